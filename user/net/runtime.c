// SPDX-License-Identifier: GPL-2.0
#include "net/runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/cgroup.h"
#include "net/parse.h"
#include "net/runtime_http.h"
#include "util/cleanup.h"
#include "util/text.h"

#define NAME_MAX_LEN 255
#define ESCAPED_LEN  256
#define WHY_LEN      256

const char *const eg_runtime_names[EG_RUNTIME_COUNT] = {
	[EG_RUNTIME_DOCKER] = "docker",
	[EG_RUNTIME_PODMAN] = "podman",
};

static const struct {
	const char *title;
	const char *variable;
	const char *engine;
	const char *start; /* what to do where nobody answers */
} runtimes[EG_RUNTIME_COUNT] = {
	[EG_RUNTIME_DOCKER] = {"Docker", "DOCKER_HOST", "unix:///var/run/docker.sock",
			       "start it, or "},
	[EG_RUNTIME_PODMAN] = {"Podman", "CONTAINER_HOST", "unix:///run/podman/podman.sock",
			       "`systemctl enable --now podman.socket`, or "},
};

void eg_container_free(struct eg_container *container)
{
	free(container->name);
	free(container->network_mode);
	free(container->sandbox);
	free(container->subnets);
	for (char **dns = container->dns; dns && *dns; dns++)
		free(*dns);
	free(container->dns);
	free(container->restart_policy);
	free(container->compose_project);
	free(container->compose_service);
	free(container->compose_files);
	free(container->published);
	*container = (struct eg_container){0};
}

const char *eg_runtime_engine(enum eg_runtime runtime)
{
	const char *engine = getenv(runtimes[runtime].variable);

	return engine && *engine ? engine : runtimes[runtime].engine;
}

/* Docker's and Podman's own rules are narrower: this is what must never get into a URL. */
static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_LEN || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (*name == '/' || (unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	return true;
}

struct reply {
	char engine[ESCAPED_LEN]; /* escaped */
	long status;
	char *body;
	size_t len;
};

static void reply_free(struct reply *reply)
{
	free(reply->body);
}
#define EG_AUTO_REPLY EG_AUTO(reply_free)

static int ask(enum eg_runtime runtime, const char *path, const char *argument, struct reply *reply,
	       struct eg_error *error)
{
	const char *engine = eg_runtime_engine(runtime);
	char why[WHY_LEN];
	int result;

	eg_escape(reply->engine, sizeof(reply->engine), engine, strlen(engine));
	result =
		eg_http_get(engine, path, argument, &reply->status, &reply->body, &reply->len, why);
	if (!result)
		return 0;
	if (result == -EOPNOTSUPP)
		return eg_error_set(error, EG_EXIT_FAILED, EOPNOTSUPP,
				    "%s; name a process of the container instead: pid:N", why);
	if (result == -ECONNREFUSED)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ECONNREFUSED,
				    "%s does not run here: nobody answers at %s (%sset %s if it is "
				    "elsewhere)",
				    runtimes[runtime].title, reply->engine, runtimes[runtime].start,
				    runtimes[runtime].variable);
	return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot ask %s at %s: %s",
			    runtimes[runtime].title, reply->engine, why);
}

/* What an answer other than 200 means. */
static int refusal(enum eg_runtime runtime, const char *name, const struct reply *reply,
		   struct eg_error *error)
{
	char escaped[ESCAPED_LEN], message[ESCAPED_LEN];

	eg_escape(escaped, sizeof(escaped), name, strlen(name));
	if (reply->status == 404)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "%s has no container '%s' (asked at %s)",
				    runtimes[runtime].title, escaped, reply->engine);
	eg_engine_message(message, sizeof(message), reply->body, reply->len);
	return eg_error_set(error, EG_EXIT_FAILED, EIO, "%s at %s refused '%s' (HTTP %ld%s%s)",
			    runtimes[runtime].title, reply->engine, escaped, reply->status,
			    message[0] ? ": " : "", message);
}

/* A PID is this machine's only if the process is in that container. */
static int check_here(const struct eg_container *container, const struct reply *reply,
		      struct eg_error *error)
{
	char name[ESCAPED_LEN];

	if (!container->running || eg_cgroup_holds(container->pid, container->id))
		return 0;
	eg_escape(name, sizeof(name), container->name, strlen(container->name));
	return eg_error_set(
		error, EG_EXIT_NO_SUCH, EREMOTE,
		"the engine at %s says that its container '%s' is process %d, and on this "
		"machine that is no process of the container: it has ended just now, or "
		"the engine does not run here; run egressguard where the container runs",
		reply->engine, name, container->pid);
}

int eg_runtime_inspect(enum eg_runtime runtime, const char *name,
		       struct eg_container *ret_container, struct eg_error *error)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	EG_AUTO_REPLY struct reply reply = {0};
	int result;

	if (!is_name(name)) {
		char escaped[ESCAPED_LEN];

		eg_escape(escaped, sizeof(escaped), name, strlen(name));
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "'%s' cannot be the name of a container", escaped);
	}
	result = ask(runtime, "/containers/%s/json", name, &reply, error);
	if (result < 0)
		return result;
	if (reply.status != 200)
		return refusal(runtime, name, &reply, error);
	result = eg_container_parse(reply.body, reply.len, runtime, &container, error);
	if (!result)
		result = check_here(&container, &reply, error);
	if (result < 0)
		return result;
	*ret_container = container;
	container = (struct eg_container){0};
	return 0;
}

static int ask_peer(enum eg_runtime runtime, struct ucred *ret_peer)
{
	static const char scheme[] = "unix://";
	const char *path = eg_runtime_engine(runtime);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	EG_AUTO_CLOSE int fd = -1;
	socklen_t len = sizeof(*ret_peer);

	if (strncmp(path, scheme, strlen(scheme)) != 0 ||
	    strlen(path + strlen(scheme)) >= sizeof(to.sun_path))
		return -EOPNOTSUPP;
	strcpy(to.sun_path, path + strlen(scheme));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &len) < 0)
		return -errno;
	return 0;
}

pid_t eg_runtime_pid(enum eg_runtime runtime)
{
	struct ucred peer;
	int result = ask_peer(runtime, &peer);

	if (result < 0)
		return result;
	return peer.pid > 0 ? peer.pid : -ESRCH;
}

bool eg_runtime_is_roots(enum eg_runtime runtime)
{
	struct ucred peer;

	return ask_peer(runtime, &peer) == 0 && peer.uid == 0;
}

static int ask_engine(enum eg_runtime runtime, const char *path, const char *key, char *to,
		      size_t size)
{
	EG_AUTO_REPLY struct reply reply = {0};
	int result = ask(runtime, path, NULL, &reply, NULL);

	if (result < 0)
		return result;
	if (reply.status != 200)
		return -EIO;
	return eg_engine_text(to, size, key, reply.body, reply.len);
}

int eg_runtime_version(enum eg_runtime runtime, char *ret_version, size_t size)
{
	return ask_engine(runtime, "/version", "Version", ret_version, size);
}

int eg_runtime_system(enum eg_runtime runtime, char *ret_system, size_t size)
{
	return ask_engine(runtime, "/info", "OperatingSystem", ret_system, size);
}

int eg_runtime_list(enum eg_runtime runtime, struct eg_container **ret_containers, size_t *ret_n,
		    struct eg_error *error)
{
	EG_AUTO_REPLY struct reply reply = {0};
	int result = ask(runtime, "/containers/json", NULL, &reply, error);

	if (result < 0)
		return result;
	if (reply.status != 200)
		return refusal(runtime, "*", &reply, error);
	return eg_container_list_parse(reply.body, reply.len, runtime, ret_containers, ret_n,
				       error);
}
