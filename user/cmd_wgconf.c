// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "log.h"
#include "options.h"
#include "out/render.h"
#include "policy/address.h"
#include "policy/networks.h"
#include "policy/wgcheck.h"
#include "policy/wgrender.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define PATH_LEN   4096
#define BACKUP_LEN (PATH_LEN + 16)
#define IFNAME_MAX 15

enum {
	OPTION_ROOT = EG_OPTION_OWN,
	OPTION_KILL_SWITCH,
	OPTION_IN_PLACE,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_JSON,
	{OPTION_ROOT, "--root", "DIR",
	 "check: look under DIR (a container's root, such as /proc/PID/root) for the programs that "
	 "the file runs"},
	{OPTION_KILL_SWITCH, "--kill-switch", "iptables|egressguard|both",
	 "render: iptables rules; routes alone, for a guard to enforce; both (the default): the "
	 "rules hold while no guard is there"},
	{OPTION_IN_PLACE, "--in-place", NULL,
	 "render: replace FILE, and keep the old one beside it as FILE.bak"},
	{},
};

static const struct eg_help help = {
	.command = "wgconf",
	.usage = "check FILE [--root DIR] [--json]\n"
		 "render FILE [--kill-switch iptables|egressguard|both] [--in-place]",
	.summary = "check: say what is wrong with a wg0.conf whose namespace other containers "
		   "share, why it matters, and how to put it right; no key is shown. render: print "
		   "the file, keys and all, with its routes and its kill switch made right. FILE - "
		   "is standard input.",
	.options = option_table,
	.example = "egressguard wgconf check config/wg_confs/wg0.conf",
};

struct request {
	struct eg_common common;
	const char *verb;
	const char *file;
	const char *root;
	enum eg_wgkill kill;
	bool kill_given;
	bool in_place;
};

/* A file and what is known of it besides. */
struct source {
	char *text;
	size_t len;
	struct eg_wgfile *file;
	struct eg_wgfacts facts;
	char ifname[IFNAME_MAX + 1];
	char safe[512]; /* its name, for messages */
};

static void source_free(struct source *source)
{
	eg_wgfile_free(source->file);
	if (source->text)
		explicit_bzero(source->text, source->len); /* keys */
	free(source->text);
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* wg-quick names the interface after the file. A file without such a name, and standard input, are
 * taken for wg0's. */
static void find_ifname(const char *path, struct source *source)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name);

	snprintf(source->ifname, sizeof(source->ifname), "wg0");
	source->facts.ifname = source->ifname;
	if (len <= 5 || len - 5 > IFNAME_MAX || strcmp(name + len - 5, ".conf") != 0)
		return;
	memcpy(source->ifname, name, len - 5);
	source->ifname[len - 5] = '\0';
}

static void find_modes(int fd, const char *path, struct source *source)
{
	char dir[PATH_LEN];
	char *slash;
	struct stat info;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return;
	source->facts.mode = info.st_mode;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	source->facts.have_mode = stat(slash ? dir : ".", &info) == 0;
	source->facts.dir_mode = info.st_mode;
}

static bool has_program(int root_fd, const char *name)
{
	static const char *const dirs[] = {"usr/local/sbin", "usr/local/bin", "usr/sbin",
					   "usr/bin",        "sbin",          "bin"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[64];
		EG_AUTO_CLOSE int fd = -1;

		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		fd = eg_open_in_root(root_fd, path, O_PATH);
		if (fd >= 0)
			return true;
	}
	return false;
}

/* Of a process's root, its network namespace's. Without addresses, not even loopback's, IPv6 is off
 * there; without that file the kernel has none. */
static void find_ipv6(const char *root, struct source *source)
{
	EG_AUTO_CLOSE int fd = -1;
	char path[64], byte, rest;
	int pid;

	if (sscanf(root, "/proc/%d/roo%c", &pid, &rest) != 2 || rest != 't')
		return;
	snprintf(path, sizeof(path), "/proc/%d/net/if_inet6", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		source->facts.ipv6_off = read(fd, &byte, 1) == 0;
	} else if (errno == ENOENT) {
		snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
		source->facts.ipv6_off = access(path, F_OK) == 0;
	}
}

static int find_programs(const char *root, struct source *source, struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char safe[256];

	if (fd < 0)
		return eg_error_set(error, EG_EXIT_USAGE, errno, "--root %s: %s",
				    eg_escape(safe, sizeof(safe), root, strlen(root)),
				    strerror(errno));
	source->facts.have_programs = true;
	find_ipv6(root, source);
	source->facts.iptables = has_program(fd, "iptables");
	source->facts.ip6tables = has_program(fd, "ip6tables");
	source->facts.nft = has_program(fd, "nft");
	return 0;
}

static int read_source(const struct request *request, struct source *source, struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = -1;
	struct eg_error why = {};
	const char *path = request->file;
	bool is_stdin = strcmp(path, "-") == 0;
	int result;

	eg_escape(source->safe, sizeof(source->safe), path, strlen(path));
	fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
		      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	result = fd < 0 ? -errno : eg_fd_read(fd, EG_WGFILE_MAX, &source->text, &source->len);
	if (result == -EFBIG)
		return eg_error_set(error, EG_EXIT_USAGE, EFBIG,
				    "%s: longer than %u MiB: this is no wg0.conf", source->safe,
				    EG_WGFILE_MAX >> 20);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "%s: %s", source->safe,
				    strerror(-result));
	find_ifname(path, source);
	if (!is_stdin) {
		source->facts.name = source->safe;
		find_modes(fd, path, source);
	}
	if (request->root) {
		result = find_programs(request->root, source, error);
		if (result < 0)
			return result;
	}
	result = eg_wgfile_parse(source->text, source->len, &source->file, &why);
	if (result < 0 && !why.line)
		return eg_error_set(error, why.exit, -result, "%s: %s", source->safe, why.message);
	if (result < 0)
		return eg_error_set(error, why.exit, -result, "%s:%u:%u: %s", source->safe,
				    why.line, why.column, why.message);
	return 0;
}

/* --- check --------------------------------------------------------------------------------------
 */

/* Returns the exit status, or a negative number and `error`. */
static int check(const struct request *request, const struct source *source, struct eg_error *error)
{
	const struct eg_renderer *renderer =
		request->common.json ? &eg_render_json : &eg_render_text;
	EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
	int result = eg_wgcheck(source->file, &source->facts, &report);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	result = eg_render_end(renderer->wgreport(request->file, report, stdout), error);
	if (result < 0)
		return result;
	return report->counts[EG_WGSEVERITY_ERROR] ? EG_EXIT_USAGE : EG_EXIT_OK;
}

/* --- render -------------------------------------------------------------------------------------
 */

#define BACKUPS_MAX 100

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* A new file with the old one's mode and owner. Nobody else may read it before it has them. */
static int write_new(const char *path, const struct stat *info, const char *text, size_t len)
{
	EG_AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int result = fd < 0 ? -errno : 0;

	if (fd < 0)
		return result;
	if (fchown(fd, info->st_uid, info->st_gid) < 0 || fchmod(fd, info->st_mode & 07777) < 0)
		result = -errno;
	if (result == 0)
		result = write_all(fd, text, len);
	if (result < 0)
		unlink(path);
	return result;
}

/* FILE.bak, or FILE.bak2 and so on: no backup is ever overwritten. */
static int write_backup(const char *path, const struct stat *info, const struct source *source,
			char backup[BACKUP_LEN])
{
	int result = -EEXIST;

	for (int i = 1; i < BACKUPS_MAX && result == -EEXIST; i++) {
		if (i == 1)
			snprintf(backup, BACKUP_LEN, "%s.bak", path);
		else
			snprintf(backup, BACKUP_LEN, "%s.bak%d", path, i);
		result = write_new(backup, info, source->text, source->len);
	}
	return result;
}

static void sync_directory(const char *path)
{
	char dir[PATH_LEN];
	char *slash;
	EG_AUTO_CLOSE int fd = -1;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
}

static int replace_file(const char *path, const struct source *source, enum eg_wgkill kill,
			const char *text, struct eg_error *error)
{
	char real[PATH_LEN], new[PATH_LEN], backup[BACKUP_LEN], safe[PATH_LEN];
	struct stat info;
	int result = 0;

	if (!realpath(path, real) || stat(real, &info) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "%s: %s", source->safe,
				    strerror(errno));
	if ((size_t)snprintf(new, sizeof(new), "%s.new.%d", real, (int)getpid()) + 16 > sizeof(new))
		return eg_error_set(error, EG_EXIT_FAILED, ENAMETOOLONG, "%s: the name is too long",
				    source->safe);
	result = write_new(new, &info, text, strlen(text));
	if (result == 0) {
		result = write_backup(real, &info, source, backup);
		if (result == 0 && rename(new, real) < 0) {
			result = -errno;
			unlink(backup);
		}
		if (result < 0)
			unlink(new);
	}
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "%s: cannot be replaced: %s; nothing changed", source->safe,
				    strerror(-result));
	sync_directory(real);
	eg_log_note("wgconf",
		    "%s is written; the old one is %s. Restart the WireGuard container, "
		    "then the containers that share its namespace%s; `egressguard doctor` says "
		    "whether all is well",
		    source->safe, eg_escape(safe, sizeof(safe), backup, strlen(backup)),
		    kill == EG_WGKILL_IPTABLES
			    ? ""
			    : ", then `egressguard attach --netns CONTAINER`: the guard goes with "
			      "the old namespace");
	return 0;
}

/* Errors that are left are the user's to put right: nothing is written then. */
static int refuse(const struct request *request, const struct source *source,
		  const struct eg_wgreport *report, struct eg_error *error)
{
	eg_render_text.wgreport("(rendered)", report, stderr);
	return eg_error_set(
		error, EG_EXIT_USAGE, EINVAL,
		"%s has %u error%s that render cannot put right: lines are those of the "
		"rendered file; `egressguard wgconf check` tells where they are in "
		"yours. Nothing is written",
		strcmp(request->file, "-") == 0 ? "the file" : source->safe,
		report->counts[EG_WGSEVERITY_ERROR],
		report->counts[EG_WGSEVERITY_ERROR] == 1 ? "" : "s");
}

static bool is_own_subnet(const struct eg_wgmodel *model, const struct eg_prefix *server)
{
	for (size_t i = 0; i < model->n_addresses; i++) {
		const struct eg_prefix *subnet = &model->addresses[i].prefix;

		if (subnet->len < eg_family_bits(subnet->family) &&
		    eg_prefix_covers(subnet, server))
			return true;
	}
	return false;
}

/* A private server may be the provider's, or the LAN's: no file tells. */
static int note_dns(const struct source *source)
{
	EG_AUTO_WGMODEL struct eg_wgmodel *model = NULL;
	int result = eg_wgmodel_read(source->file, &source->facts, &model);

	for (size_t i = 0; result == 0 && model && i < model->n_dns; i++) {
		const struct eg_prefix *server = &model->dns[i].prefix;
		char name[EG_ADDRESS_TEXT_LEN];

		if (!eg_addr_is_lan(server->family, &server->addr) || is_own_subnet(model, server))
			continue;
		eg_log_note("wgconf",
			    "DNS = %s is taken for the provider's, and reached through the tunnel "
			    "alone. If it stands in your LAN, nothing will answer: write the "
			    "provider's DNS server instead",
			    eg_prefix_format(name, server));
	}
	return result;
}

/* What render leaves as it was, and what of that is not understood. */
static void note_left(const struct eg_wgreport *report)
{
	unsigned int others = 0;

	for (size_t i = 0; i < report->n_findings; i++) {
		const struct eg_wgfinding *finding = &report->findings[i];

		if (finding->id == EG_WGFINDING_TABLE_UNUSED ||
		    finding->id == EG_WGFINDING_PARTIAL_TUNNEL ||
		    (finding->id == EG_WGFINDING_CANNOT_TELL && !finding->line))
			eg_log_note("wgconf", "%s: %s. %s", eg_wgfinding_infos[finding->id].id,
				    finding->what, finding->fix);
		else
			others += finding->id == EG_WGFINDING_CANNOT_TELL;
	}
	if (others)
		eg_log_note("wgconf",
			    "%u of the commands that stay are not understood here: `egressguard "
			    "wgconf check` names them",
			    others);
}

static int render(const struct request *request, const struct source *source,
		  struct eg_error *error)
{
	EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error why = {};
	int result = eg_wgrender(source->file, &source->facts, request->kill, &text, &report, &why);

	if (result == -EINVAL)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "%s:%u:%u: %s. Nothing is written", source->safe, why.line,
				    why.column, why.message);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	if (report->counts[EG_WGSEVERITY_ERROR])
		return refuse(request, source, report, error);
	if (note_dns(source) < 0)
		return eg_error_no_memory(error);
	note_left(report);
	if (request->in_place && source->text && strlen(text) == source->len &&
	    memcmp(text, source->text, source->len) == 0) {
		eg_log_note("wgconf", "%s is as it should be: nothing to write", source->safe);
		return EG_EXIT_OK;
	}
	if (request->in_place)
		return replace_file(request->file, source, request->kill, text, error);
	return eg_render_end(fputs(text, stdout) < 0 ? -errno : 0, error);
}

/* --- the command --------------------------------------------------------------------------------
 */

static int take_operand(struct request *request, const char *value, struct eg_error *error)
{
	char safe[256];

	if (!request->verb)
		request->verb = value;
	else if (!request->file)
		request->file = value;
	else
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "one FILE, and not '%s' too",
				    eg_escape(safe, sizeof(safe), value, strlen(value)));
	return 0;
}

static int take_kill(struct request *request, const char *value, struct eg_error *error)
{
	char safe[256];

	for (int i = 0; i < 3; i++) {
		if (strcmp(value, eg_wgkill_names[i]) == 0) {
			request->kill = (enum eg_wgkill)i;
			request->kill_given = true;
			return 0;
		}
	}
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "--kill-switch '%s': write iptables, egressguard or both",
			    eg_escape(safe, sizeof(safe), value, strlen(value)));
}

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == EG_OPTION_OPERAND)
			result = take_operand(request, value, error);
		else if (id == OPTION_ROOT)
			request->root = value;
		else if (id == OPTION_IN_PLACE)
			request->in_place = true;
		else if (id == OPTION_KILL_SWITCH)
			result = take_kill(request, value, error);
		else
			result = eg_common_take(&request->common, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

/* What goes with the one and not with the other. */
static int check_options(const struct request *request, bool renders, struct eg_error *error)
{
	if (renders && (request->common.json || request->root))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--json and --root are for check, not for render");
	if (!renders && (request->kill_given || request->in_place))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--kill-switch and --in-place are for render, not for check");
	if (request->in_place && strcmp(request->file, "-") == 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--in-place needs a FILE, not standard input");
	return 0;
}

static int run(const struct request *request, struct eg_error *error)
{
	EG_AUTO(source_free) struct source source = {};
	char safe[256];
	bool renders;
	int result;

	if (!request->verb)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "needs check FILE, or render FILE");
	renders = strcmp(request->verb, "render") == 0;
	if (!renders && strcmp(request->verb, "check") != 0)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL, "'%s' is neither check nor render",
			eg_escape(safe, sizeof(safe), request->verb, strlen(request->verb)));
	if (!request->file)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "%s needs a FILE, or - for standard input", request->verb);
	result = check_options(request, renders, error);
	if (result == 0)
		result = read_source(request, &source, error);
	if (result < 0)
		return result;
	return renders ? render(request, &source, error) : check(request, &source, error);
}

int cmd_wgconf(int argc, char **argv)
{
	struct request request = {};
	struct eg_error error = {};
	int result = read_options(argc, argv, &request, &error);

	if (result == 0 && request.common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = run(&request, &error);
	return result < 0 ? eg_log_error("wgconf", result, &error) : result;
}
