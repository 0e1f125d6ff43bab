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
#include "policy/wgcheck.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define PATH_LEN   4096
#define IFNAME_MAX 15

enum {
	OPTION_ROOT = EG_OPTION_OWN,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_JSON,
	{OPTION_ROOT, "--root", "DIR",
	 "check: look under DIR (a container's root, such as /proc/PID/root) for the programs that "
	 "the file runs"},
	{},
};

static const struct eg_help help = {
	.command = "wgconf",
	.usage = "check FILE [--root DIR] [--json]",
	.summary = "check: say what is wrong with a wg0.conf whose namespace other containers "
		   "share, why it matters, and how to put it right. FILE - is standard input. Keys "
		   "are never shown.",
	.options = option_table,
	.example = "egressguard wgconf check config/wg_confs/wg0.conf",
};

struct request {
	struct eg_common common;
	const char *verb;
	const char *file;
	const char *root;
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

/* wg-quick names the interface after the file. */
static void find_ifname(const char *path, struct source *source)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name);

	if (len <= 5 || len - 5 > IFNAME_MAX || strcmp(name + len - 5, ".conf") != 0)
		return;
	memcpy(source->ifname, name, len - 5);
	source->facts.ifname = source->ifname;
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

static int find_programs(const char *root, struct source *source, struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char safe[256];

	if (fd < 0)
		return eg_error_set(error, EG_EXIT_USAGE, errno, "--root %s: %s",
				    eg_escape(safe, sizeof(safe), root, strlen(root)),
				    strerror(errno));
	source->facts.have_programs = true;
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
	if (!is_stdin) {
		find_ifname(path, source);
		find_modes(fd, path, source);
	}
	if (request->root) {
		result = find_programs(request->root, source, error);
		if (result < 0)
			return result;
	}
	result = eg_wgfile_parse(source->text, source->len, &source->file, &why);
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
	result = renderer->wgreport(request->file, report, stdout);
	if (result == 0 && fflush(stdout) != 0)
		result = -errno;
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot write: %s",
				    strerror(-result));
	return report->counts[EG_WGSEVERITY_ERROR] ? EG_EXIT_USAGE : EG_EXIT_OK;
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
		else
			result = eg_common_take(&request->common, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

static int run(const struct request *request, struct eg_error *error)
{
	EG_AUTO(source_free) struct source source = {};
	char safe[256];
	int result;

	if (!request->verb)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "needs check FILE");
	if (strcmp(request->verb, "check") != 0)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL, "'%s' is not check",
			eg_escape(safe, sizeof(safe), request->verb, strlen(request->verb)));
	if (!request->file)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "%s needs a FILE, or - for standard input", request->verb);
	result = read_source(request, &source, error);
	return result < 0 ? result : check(request, &source, error);
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
