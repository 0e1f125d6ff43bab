// SPDX-License-Identifier: GPL-2.0
#include "net/target.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/cgroup.h"
#include "net/cgroup_target.h"
#include "net/container_netns.h"
#include "net/process.h"
#include "net/suggest.h"
#include "util/cleanup.h"
#include "util/text.h"

#define NETNS_DIR    "/run/netns"
#define NETNS_PREFIX "netns:"
#define ESCAPED_LEN  (EG_TARGET_MAX * 2)
#define PIDS_MAX     65536
#define SHORT_ID_LEN 12 /* what engines show of an id */

void eg_target_close(struct eg_target *target)
{
	eg_netns_close(&target->netns);
	eg_container_free(&target->container);
}

static bool set_name(struct eg_target *target, const char *name)
{
	if (strlen(name) >= sizeof(target->name))
		return false;
	strcpy(target->name, name);
	return true;
}

static bool set_text(struct eg_target *target, const char *kind, const char *rest)
{
	int len = snprintf(target->text, sizeof(target->text), "%s:%s", kind, rest);

	return len >= 0 && (size_t)len < sizeof(target->text);
}

static int too_long(struct eg_error *error, const char *text)
{
	char escaped[ESCAPED_LEN];

	eg_escape(escaped, sizeof(escaped), text, strlen(text));
	return eg_error_set(error, EG_EXIT_USAGE, ENAMETOOLONG,
			    "the target '%s' is too long: at most %d bytes, its name at most %d",
			    escaped, EG_TARGET_MAX - 1, EG_NAME_MAX - 1);
}

/* --- since when, and by whom --------------------------------------------------------------- */

/* The oldest process of the namespace stands for it. */
void eg_target_learn(struct eg_target *target)
{
	EG_AUTO_FREE pid_t *pids = NULL;
	size_t n = 0;

	if (target->started_realtime_ns)
		return;
	pids = calloc(PIDS_MAX, sizeof(*pids));
	/* It is told to people, and decides nothing. */
	if (!pids || eg_netns_pids(&target->netns, pids, PIDS_MAX, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		__u64 started = eg_process_started(pids[i]);

		if (!started ||
		    (target->started_realtime_ns && started >= target->started_realtime_ns))
			continue;
		target->started_realtime_ns = started;
		if (target->kind != EG_TARGET_PID && target->kind != EG_TARGET_SELF)
			target->pid = pids[i];
	}
}

/* --- the kinds ----------------------------------------------------------------------------- */

static bool is_netns_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strlen(name) <= NAME_MAX;
}

static bool netns_exists(const char *name)
{
	char path[sizeof(NETNS_DIR) + 1 + NAME_MAX];
	struct stat stat_buffer;

	if (!is_netns_name(name))
		return false;
	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	return stat(path, &stat_buffer) == 0;
}

static int resolve_netns(const char *name, struct eg_target *target, struct eg_error *error)
{
	char path[sizeof(NETNS_DIR) + 1 + NAME_MAX], escaped[ESCAPED_LEN];

	if (!netns_exists(name)) {
		eg_escape(escaped, sizeof(escaped), name, strlen(name));
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "there is no network namespace '%s' in " NETNS_DIR, escaped);
	}
	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	target->kind = EG_TARGET_NETNS;
	if (!set_text(target, "netns", name) || !set_name(target, name))
		return too_long(error, name);
	return eg_netns_open_path(path, &target->netns, error);
}

static bool is_process_path(const char *path, char digits[16])
{
	int end = 0;

	return sscanf(path, "/proc/%15[0-9]/ns/net%n", digits, &end) == 1 && end && !path[end];
}

static int resolve_path(const char *path, struct eg_target *target, struct eg_error *error)
{
	const char *base = strrchr(path, '/'), *separator = "";
	EG_AUTO_FREE char *directory = NULL;
	char digits[16], name[32];
	int len;

	if (is_process_path(path, digits)) {
		/* "net" would be the name of them all. */
		snprintf(name, sizeof(name), "pid-%s", digits);
		base = name;
	} else {
		base = base ? base + 1 : path;
	}
	target->kind = EG_TARGET_PATH;
	/* It must mean the same from wherever it is read. */
	if (*path != '/') {
		directory = getcwd(NULL, 0);
		if (!directory)
			return eg_error_set(error, EG_EXIT_FAILED, errno,
					    "the working directory is gone: write the whole path");
		separator = "/";
	}
	len = snprintf(target->text, sizeof(target->text), "%s%s%s", directory ? directory : "",
		       separator, path);
	if (len < 0 || (size_t)len >= sizeof(target->text) || !set_name(target, base))
		return too_long(error, path);
	return eg_netns_open_path(path, &target->netns, error);
}

static int resolve_pid(const char *digits, struct eg_target *target, struct eg_error *error)
{
	pid_t pid = eg_pid_parse(digits);
	char text[32], escaped[ESCAPED_LEN];

	if (!pid) {
		eg_escape(escaped, sizeof(escaped), digits, strlen(digits));
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "'%s' is not a process's number",
				    escaped);
	}
	target->kind = EG_TARGET_PID;
	target->pid = pid;
	snprintf(text, sizeof(text), "%d", pid);
	set_text(target, "pid", text);
	snprintf(target->name, sizeof(target->name), "pid-%d", pid);
	return eg_netns_open_pid(pid, &target->netns, error);
}

/*
 * What it is to others is a namespace without a name: its number stands for it, and the name of the
 * host (in a container, of that) for the guard's, as several containers may share one bpffs.
 */
static int resolve_self(struct eg_target *target, struct eg_error *error)
{
	char name[HOST_NAME_MAX + 1] = {};
	int result = eg_netns_open_self(&target->netns);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot open our own network namespace: %s", strerror(-result));
	target->kind = EG_TARGET_SELF;
	target->pid = getpid();
	snprintf(target->text, sizeof(target->text), "net:[%llu]",
		 (unsigned long long)target->netns.inode);
	if (gethostname(name, sizeof(name) - 1) < 0 || !*name || !set_name(target, name))
		set_name(target, EG_TARGET_OF_SELF);
	return 0;
}

/* Takes what `container` owns. */
static int open_container(struct eg_container *container, struct eg_target *target,
			  struct eg_error *error)
{
	const char *runtime = eg_runtime_names[container->runtime];
	char name[ESCAPED_LEN];
	int result;

	eg_escape(name, sizeof(name), container->name, strlen(container->name));
	if (!container->running)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ESRCH,
				    "the container '%s' (%s) is stopped; start it first", name,
				    runtime);
	target->kind = EG_TARGET_CONTAINER;
	/* The name outlives the container: a new one in its place has another id. */
	if ((!set_text(target, runtime, container->name) || !set_name(target, container->name)) &&
	    (!set_text(target, runtime, container->id) || !set_name(target, container->id)))
		return too_long(error, container->name);
	result = eg_container_netns(container, &target->netns, error);
	if (result < 0)
		return result;
	/* The process may have ended, and its number be another's, before it was opened. */
	if (!eg_cgroup_holds(container->pid, container->id))
		return eg_error_set(error, EG_EXIT_NO_SUCH, ESRCH,
				    "the container '%s' (%s) stopped just now; try again", name,
				    runtime);
	target->pid = container->pid;
	target->started_realtime_ns = container->started_realtime_ns;
	target->container = *container;
	*container = (struct eg_container){0};
	return 0;
}

static int resolve_container(enum eg_runtime runtime, const char *name, struct eg_target *target,
			     struct eg_error *error)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	EG_AUTO_TEXT struct eg_text hint = {0};
	struct eg_error why = {};
	int result = eg_runtime_inspect(runtime, name, &container, &why);

	if (result == 0)
		return open_container(&container, target, error);
	if (result == -ENOENT)
		eg_target_suggest(name, (int)runtime, &hint);
	return eg_error_set(error, why.exit, -result, "%s%s", why.message,
			    hint.data ? hint.data : "");
}

/* --- a name that may be several things ------------------------------------------------------ */

struct meanings {
	struct eg_text silent; /* why engines were not asked, "; " before each */
	bool netns;
	bool has[EG_RUNTIME_COUNT];
	struct eg_container containers[EG_RUNTIME_COUNT];
};

static void meanings_free(struct meanings *meanings)
{
	for (size_t i = 0; i < EG_RUNTIME_COUNT; i++)
		eg_container_free(&meanings->containers[i]);
	eg_text_free(&meanings->silent);
}

/* A number may be the beginning of some container's id by chance: that alone is not its name. */
static bool is_meant(const char *text, const struct eg_container *container)
{
	return !eg_pid_parse(text) || strlen(text) >= SHORT_ID_LEN ||
	       strcmp(text, container->name) == 0;
}

/* A runtime that is not there has no such container. One that is there and does not tell may have:
 * then the name's meaning is unknown, and the error says how to do without it. */
static int ask_runtime(const char *text, enum eg_runtime runtime, struct meanings *meanings,
		       struct eg_error *error)
{
	struct eg_container *container = &meanings->containers[runtime];
	char escaped[ESCAPED_LEN / 2];
	struct eg_error why;
	int result = eg_runtime_inspect(runtime, text, container, &why);

	if (result == -ECONNREFUSED)
		eg_text_printf(&meanings->silent, "; %s", why.message);
	if (result == -ENOENT || result == -ECONNREFUSED || result == -EOPNOTSUPP)
		return 0;
	if (!result) {
		meanings->has[runtime] = is_meant(text, container);
		return 0;
	}
	eg_escape(escaped, sizeof(escaped), text, strlen(text));
	if (meanings->netns)
		return eg_error_set(error, why.exit, -result,
				    "%s (write netns:%s if you mean the namespace in " NETNS_DIR
				    ")",
				    why.message, escaped);
	if (eg_pid_parse(text))
		return eg_error_set(error, why.exit, -result,
				    "%s (write pid:%s if you mean the process)", why.message,
				    escaped);
	return eg_error_set(error, why.exit, -result, "%s", why.message);
}

static int find_meanings(const char *text, struct meanings *meanings, struct eg_error *error)
{
	meanings->netns = netns_exists(text);
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		int result = ask_runtime(text, runtime, meanings, error);

		if (result < 0)
			return result;
	}
	return 0;
}

static size_t count_meanings(const struct meanings *meanings)
{
	size_t n = meanings->netns;

	for (size_t i = 0; i < EG_RUNTIME_COUNT; i++)
		n += meanings->has[i];
	return n;
}

static int ambiguous(const char *text, const struct meanings *meanings, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text ways = {0};
	char escaped[ESCAPED_LEN];
	const char *separator = "";

	eg_escape(escaped, sizeof(escaped), text, strlen(text));
	if (meanings->netns) {
		eg_text_printf(&ways, "netns:%s (a namespace in " NETNS_DIR ")", escaped);
		separator = " or ";
	}
	for (size_t i = 0; i < EG_RUNTIME_COUNT; i++) {
		if (!meanings->has[i])
			continue;
		eg_text_printf(&ways, "%s%s:%s (a container)", separator, eg_runtime_names[i],
			       escaped);
		separator = " or ";
	}
	return eg_error_set(error, EG_EXIT_USAGE, EEXIST, "'%s' is more than one thing: write %s",
			    escaped, ways.data ? ways.data : "");
}

/* Of a container's name a ':' is no part: who wrote one meant a kind of target. */
static void suggest_kind(const char *text, struct eg_text *hint)
{
	static const char *const kinds[] = {"docker", "podman", "netns", "pid", NULL};
	const char *colon = strchr(text, ':'), *kind;
	char word[16], escaped[ESCAPED_LEN / 2];

	if (!colon)
		return;
	snprintf(word, sizeof(word), "%.*s", (int)(colon - text), text);
	kind = eg_nearest(word, kinds);
	if (kind)
		eg_text_printf(hint, "; did you mean '%s:%s'?", kind,
			       eg_escape(escaped, sizeof(escaped), colon + 1, strlen(colon + 1)));
	else
		eg_text_printf(hint, "; before the ':' stands docker, podman, netns or pid");
}

/* An engine that nobody could ask may have it: who meant its container has to hear of that. */
static int nothing(const char *text, const struct meanings *meanings, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text hint = {0};
	char escaped[ESCAPED_LEN / 2];

	suggest_kind(text, &hint);
	if (!hint.len)
		eg_target_suggest(text, -1, &hint);
	eg_escape(escaped, sizeof(escaped), text, strlen(text));
	return eg_error_set(
		error, EG_EXIT_NO_SUCH, ENOENT,
		"there is no target '%s': no namespace of that name in " NETNS_DIR "%s%s%s",
		escaped,
		eg_runtime_available() ? ", no container of that name (Docker, Podman)"
				       : "; this build cannot ask for containers",
		meanings->silent.data ? meanings->silent.data : "", hint.data ? hint.data : "");
}

static int resolve_name(const char *text, struct eg_target *target, struct eg_error *error)
{
	EG_AUTO(meanings_free) struct meanings meanings = {0};
	int result = find_meanings(text, &meanings, error);

	if (result < 0)
		return result;
	if (count_meanings(&meanings) > 1)
		return ambiguous(text, &meanings, error);
	if (meanings.netns)
		return resolve_netns(text, target, error);
	for (size_t i = 0; i < EG_RUNTIME_COUNT; i++)
		if (meanings.has[i])
			return open_container(&meanings.containers[i], target, error);
	if (eg_pid_parse(text))
		return resolve_pid(text, target, error);
	return nothing(text, &meanings, error);
}

/* --- all together -------------------------------------------------------------------------- */

static int resolve_docker(const char *name, struct eg_target *target, struct eg_error *error)
{
	return resolve_container(EG_RUNTIME_DOCKER, name, target, error);
}

static int resolve_podman(const char *name, struct eg_target *target, struct eg_error *error)
{
	return resolve_container(EG_RUNTIME_PODMAN, name, target, error);
}

static const struct {
	const char *prefix;
	int (*resolve)(const char *rest, struct eg_target *target, struct eg_error *error);
} explicit_kinds[] = {
	{"netns:", resolve_netns},
	{"pid:", resolve_pid},
	{"docker:", resolve_docker},
	{"podman:", resolve_podman},
};

static int resolve(const char *text, struct eg_target *target, struct eg_error *error)
{
	if (!*text)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the target is empty: name a network namespace, a container, "
				    "pid:N or a path");
	for (size_t i = 0; i < sizeof(explicit_kinds) / sizeof(explicit_kinds[0]); i++) {
		size_t len = strlen(explicit_kinds[i].prefix);

		if (strncmp(text, explicit_kinds[i].prefix, len) == 0)
			return explicit_kinds[i].resolve(text + len, target, error);
	}
	if (strcmp(text, EG_TARGET_OF_SELF) == 0)
		return resolve_self(target, error);
	if (strchr(text, '/'))
		return resolve_path(text, target, error);
	return resolve_name(text, target, error);
}

int eg_target_find(const char *text, struct eg_target *ret_target, struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	char safe[4 * EG_TARGET_MAX];
	int result;

	if (strncmp(text, EG_CGROUP_PREFIX, strlen(EG_CGROUP_PREFIX)) == 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "'%s' is a cgroup, and no network namespace: `egressguard "
				    "attach --cgroup DIR` puts a guard on one",
				    eg_escape(safe, sizeof(safe), text, strlen(text)));
	result = resolve(text, &target, error);
	if (result < 0)
		return result;
	*ret_target = target;
	target = (struct eg_target){.netns = EG_NETNS_NONE};
	return 0;
}

bool eg_target_is_file_of(const char *text, const struct eg_netns *netns)
{
	const char *name = strncmp(text, NETNS_PREFIX, strlen(NETNS_PREFIX)) == 0
				   ? text + strlen(NETNS_PREFIX)
				   : text;
	char path[sizeof(NETNS_DIR) + 1 + EG_TARGET_MAX];
	struct stat now;

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : NETNS_DIR "/", name);
	return stat(path, &now) == 0 && now.st_dev == netns->dev && now.st_ino == netns->inode;
}

bool eg_target_is_but_file_of(const char *text, const struct eg_netns *netns)
{
	return (*text == '/' || strncmp(text, NETNS_PREFIX, strlen(NETNS_PREFIX)) == 0) &&
	       eg_target_is_file_of(text, netns);
}

int eg_target_resolve(const char *text, struct eg_target *ret_target, struct eg_error *error)
{
	int result = eg_target_find(text, ret_target, error);

	if (result == 0)
		eg_target_learn(ret_target);
	return result;
}
