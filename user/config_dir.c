// SPDX-License-Identifier: GPL-2.0
#include "config_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "net/target.h"
#include "policy/array.h"
#include "policy/lines.h"
#include "policy_options.h"
#include "util/cleanup.h"
#include "util/file.h"

static const char suffix[] = ".conf";

void eg_config_files_free(struct eg_config_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(files[i].text);
		eg_policy_free(files[i].policy);
	}
	free(files);
}

/* self.conf goes with an image, to containers that may share one bpffs: the guard's name is theirs.
 */
static void take_own_name(char ret_name[EG_NAME_MAX])
{
	char name[EG_NAME_MAX] = {};

	if (gethostname(name, sizeof(name) - 1) == 0 && *name)
		strcpy(ret_name, name);
}

/* The guard's name, or where that is too long, its beginning. */
static bool take_name(const char *entry, char ret_name[EG_NAME_MAX])
{
	size_t len = strlen(entry);

	if (entry[0] == '.' || len <= strlen(suffix) ||
	    strcmp(entry + len - strlen(suffix), suffix) != 0)
		return false;
	len -= strlen(suffix);
	if (len >= EG_NAME_MAX)
		len = EG_NAME_MAX - 1;
	memcpy(ret_name, entry, len);
	ret_name[len] = '\0';
	if (strcmp(ret_name, EG_TARGET_OF_SELF) == 0)
		take_own_name(ret_name);
	return true;
}

/* The first line that looks like it, wherever it stands: nothing else of that file is believed. */
static void guess_target(const char *path, char ret_hint[EG_TARGET_MAX])
{
	EG_AUTO_FREE char *text = NULL;
	struct eg_lines lines = {.comment_chars = "#;"};
	struct eg_line line;

	if (eg_file_read(AT_FDCWD, path, EG_POLICY_TEXT_MAX, &text, &lines.len) < 0)
		return;
	lines.text = text;
	while (eg_lines_next(&lines, &line, NULL) > 0) {
		if (line.kind != EG_LINE_SETTING || !line.value.len ||
		    line.value.len >= EG_TARGET_MAX || !eg_token_is(&line.name, "Target"))
			continue;
		memcpy(ret_hint, line.value.text, line.value.len);
		ret_hint[line.value.len] = '\0';
		return;
	}
}

static void read_file(const char *directory, struct eg_config_file *file)
{
	EG_AUTO_FREE char *path = NULL, *text = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;

	if (asprintf(&path, "%s/%s", directory, file->entry) < 0) {
		path = NULL;
		eg_error_no_memory(&file->error);
		return;
	}
	if (eg_policy_read_text(path, &text, &policy, &file->error) < 0) {
		guess_target(path, file->hint);
		return;
	}
	if (strlen(file->entry) >= EG_NAME_MAX + strlen(suffix)) {
		guess_target(path, file->hint);
		eg_error_set(&file->error, EG_EXIT_USAGE, ENAMETOOLONG,
			     "%s: a guard's name has %d bytes at most: give the file a shorter one",
			     path, EG_NAME_MAX - 1);
		return;
	}
	if (strlen(text) == 0 || !policy->target) {
		eg_error_set(&file->error, EG_EXIT_USAGE, EINVAL,
			     "%s: what it is for is missing: Target = in the section [Guard]",
			     path);
		return;
	}
	file->text = EG_TAKE(text);
	file->policy = EG_TAKE(policy);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct eg_config_file *)a)->name,
		      ((const struct eg_config_file *)b)->name);
}

int eg_config_dir_read(const char *directory, struct eg_config_file **ret_files, size_t *ret_n,
		       struct eg_error *error)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir(directory);
	struct eg_config_file *files = NULL;
	const struct dirent *entry;
	size_t n = 0;

	if (!dir && errno != ENOENT)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot read %s: %m", directory);
	while (dir && (errno = 0, entry = readdir(dir))) {
		struct eg_config_file file = {};

		if (!take_name(entry->d_name, file.name))
			continue;
		strcpy(file.entry, entry->d_name);
		if (EG_ARRAY_ADD(files, n, file) < 0) {
			eg_config_files_free(files, n);
			return eg_error_no_memory(error);
		}
	}
	/* Those that are not told of would be taken for gone. */
	if (dir && errno) {
		int result =
			eg_error_set(error, EG_EXIT_FAILED, errno, "cannot read %s: %m", directory);

		eg_config_files_free(files, n);
		return result;
	}
	if (n)
		qsort(files, n, sizeof(*files), compare);
	for (size_t i = 0; i < n; i++)
		read_file(directory, &files[i]);
	*ret_files = files;
	*ret_n = n;
	return 0;
}

int eg_config_dir_lock(const char *directory, int *ret_fd, struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot open the directory of policy files %s: %m", directory);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    errno == EWOULDBLOCK
					    ? "another daemon has the policy files of %s"
					    : "cannot lock %s: %m",
				    directory);
	*ret_fd = EG_TAKE_FD(fd);
	return 0;
}

bool eg_config_dir_keeps(const char *name)
{
	struct eg_error why = {};
	EG_AUTO_FREE char *path = NULL;
	EG_AUTO_CLOSE int lock_fd = -1;

	if (asprintf(&path, EG_CONFIG_DIR "/%s.conf", name) < 0) {
		path = NULL;
		return false;
	}
	return access(path, F_OK) == 0 &&
	       eg_config_dir_lock(EG_CONFIG_DIR, &lock_fd, &why) == -EWOULDBLOCK;
}
