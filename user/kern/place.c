// SPDX-License-Identifier: GPL-2.0
/* The directories of one guard, and how it moves between them (pins.h). Needs the root's lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/text.h"

/* --- names of places ------------------------------------------------------------------------ */

/* No escaped name begins like these: after its `_` come two upper-case hex digits. */
static const char *const place_prefix[] = {
	[EG_PLACE_NAME] = "",      [EG_PLACE_NEW] = "_new",   [EG_PLACE_OLD] = "_old",
	[EG_PLACE_GONE] = "_gone", [EG_PLACE_HALF] = "_half",
};
#define N_PLACES (sizeof(place_prefix) / sizeof(*place_prefix))

int eg_place_name(char to[EG_PLACE_LEN], enum eg_place place, unsigned int number, const char *name)
{
	int len = 0;

	if (place == EG_PLACE_HALF && number)
		len = snprintf(to, EG_PLACE_LEN, "%s%u-", place_prefix[place], number);
	else if (place != EG_PLACE_NAME)
		len = snprintf(to, EG_PLACE_LEN, "%s-", place_prefix[place]);
	return eg_pin_name_escape(to + len, EG_PLACE_LEN - (size_t)len, name);
}

int eg_place_parse(const char *entry, enum eg_place *ret_place, char ret_name[EG_NAME_MAX])
{
	for (enum eg_place place = EG_PLACE_NEW; place < N_PLACES; place++) {
		size_t len = strlen(place_prefix[place]);

		if (strncmp(entry, place_prefix[place], len) != 0)
			continue;
		if (place == EG_PLACE_HALF)
			len += strspn(entry + len, "0123456789");
		if (entry[len] != '-')
			continue;
		*ret_place = place;
		return eg_pin_name_unescape(ret_name, EG_NAME_MAX, entry + len + 1);
	}
	*ret_place = EG_PLACE_NAME;
	return eg_pin_name_unescape(ret_name, EG_NAME_MAX, entry);
}

/* --- entries -------------------------------------------------------------------------------- */

static void free_entries(char ***entries)
{
	eg_names_free(*entries);
}

/* All of them before the first visit: a visit may unlink. */
static int read_entries(int dir_fd, char ***ret_entries)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	EG_AUTO(free_entries) char **entries = calloc(1, sizeof(*entries));
	EG_AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	size_t n = 0;

	if (!entries)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)EG_TAKE_FD(fd);
	while ((errno = 0, entry = readdir(dir))) {
		char **more;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		more = reallocarray(entries, n + 2, sizeof(*entries));
		if (!more)
			return -ENOMEM;
		entries = more;
		entries[n + 1] = NULL;
		entries[n] = strdup(entry->d_name);
		if (!entries[n++])
			return -ENOMEM;
	}
	if (errno)
		return -errno;
	*ret_entries = EG_TAKE(entries);
	return 0;
}

int eg_dir_visit(int dir_fd, int (*visit)(const char *entry, void *argument), void *argument)
{
	EG_AUTO(free_entries) char **entries = NULL;
	int result = read_entries(dir_fd, &entries);

	for (char **entry = entries; !result && *entry; entry++)
		result = visit(*entry, argument);
	return result;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool hangs_on_something(const char *entry)
{
	return starts_with(entry, "link_") || starts_with(entry, "filter_");
}

static int visit_in_force(const char *entry, void *argument)
{
	(void)argument;
	return hangs_on_something(entry);
}

bool eg_dir_in_force(int dir_fd)
{
	/* Where we cannot look, assume that it is. */
	return eg_dir_visit(dir_fd, visit_in_force, NULL) != 0;
}

/* --- pins ----------------------------------------------------------------------------------- */

char *eg_pin_path(char to[EG_PIN_PATH_LEN], int dir_fd, const char *pin)
{
	snprintf(to, EG_PIN_PATH_LEN, "/proc/self/fd/%d/%s", dir_fd, pin);
	return to;
}

/* What the kernel calls the object behind a descriptor: "bpf-map", "bpf-prog", "bpf_link". */
static int check_object(int fd, const char *type)
{
	char path[64], target[64], wanted[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(wanted, sizeof(wanted), "anon_inode:%s", type);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	return strcmp(target, wanted) == 0 ? 0 : -EBADF;
}

int eg_pin_open(int dir_fd, const char *pin, const char *type)
{
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = bpf_obj_get(eg_pin_path(path, dir_fd, pin));
	int err;

	if (fd < 0)
		return -errno;
	err = check_object(fd, type);
	return err ? err : EG_TAKE_FD(fd);
}

/* A link whose last pin goes is detached by the kernel some time later: whoever takes a guard away
 * may count on its being away. */
static void detach_link(int dir_fd, const char *pin)
{
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = bpf_obj_get(eg_pin_path(path, dir_fd, pin));

	if (fd >= 0)
		bpf_link_detach(fd);
}

int eg_pin_unlink(int dir_fd, const char *pin)
{
	if (starts_with(pin, "link_"))
		detach_link(dir_fd, pin);
	return unlinkat(dir_fd, pin, 0) < 0 && errno != ENOENT ? -errno : 0;
}

__u32 eg_prog_id(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
}

/* --- whose directory it is ------------------------------------------------------------------ */

static bool is_known_pin(const char *entry)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		if (strcmp(entry, eg_maps[map].name) == 0)
			return true;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (strcmp(entry, eg_progs[prog].pin) == 0)
			return true;
	return hangs_on_something(entry);
}

struct look {
	size_t n;
	char strange[256]; /* the first entry that is not ours */
};

static int look_at_entry(const char *entry, void *argument)
{
	struct look *look = argument;

	look->n++;
	if (!*look->strange && !is_known_pin(entry))
		eg_escape(look->strange, sizeof(look->strange), entry, strlen(entry));
	return 0;
}

/* Reads only the two members that keep their meaning, and the size, whatever version wrote it. */
static int look_at_meta(int dir_fd, __u32 *ret_abi_version)
{
	EG_AUTO_CLOSE int fd = eg_pin_open(dir_fd, eg_maps[EG_MAP_META].name, "bpf-map");
	EG_AUTO_FREE struct eg_meta *meta = NULL;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;

	if (fd < 0)
		return fd == -ENOENT ? -EBADF : fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(__u32) ||
	    info.value_size < offsetof(struct eg_meta, netns_cookie) || info.max_entries < 1)
		return -EBADF;
	meta = malloc(info.value_size);
	if (!meta)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, meta) < 0)
		return -errno;
	if (meta->magic != EG_ABI_MAGIC ||
	    (meta->abi_version == EG_ABI_VERSION && info.value_size != sizeof(struct eg_meta)))
		return -EBADF;
	*ret_abi_version = meta->abi_version;
	return 0;
}

#define FOREIGN (EG_DIR_OTHER_ABI + 1)

static int look_into(int dir_fd, char *what, size_t what_size)
{
	struct look look = {};
	__u32 abi_version = 0;
	int err = eg_dir_visit(dir_fd, look_at_entry, &look);

	if (err)
		return err;
	if (!look.n)
		return EG_DIR_EMPTY;
	err = look_at_meta(dir_fd, &abi_version);
	if (err == -EBADF) {
		snprintf(what, what_size, "has no pin 'meta' that egressguard made");
		return FOREIGN;
	}
	if (err)
		return err;
	if (abi_version != EG_ABI_VERSION)
		return EG_DIR_OTHER_ABI;
	if (*look.strange) {
		snprintf(what, what_size, "has a pin '%s' that is not egressguard's", look.strange);
		return FOREIGN;
	}
	return EG_DIR_OURS;
}

static int look_at(int root_fd, const char *entry, int *ret_dir_fd, char *what, size_t what_size)
{
	EG_AUTO_CLOSE int fd = -1;
	int kind;

	fd = openat(root_fd, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return EG_DIR_NONE;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		snprintf(what, what_size, "is not a directory");
		return FOREIGN;
	}
	if (fd < 0)
		return -errno;
	kind = look_into(fd, what, what_size);
	if (kind >= 0 && ret_dir_fd)
		*ret_dir_fd = EG_TAKE_FD(fd);
	return kind;
}

static int foreign(const char *root_path, const char *entry, const char *what,
		   struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, EBADF,
			    "'%s/%s' %s: nothing was touched; move it away, or choose another "
			    "directory with --pin-dir",
			    root_path, entry, what);
}

int eg_dir_check(int root_fd, const char *root_path, const char *entry, int *ret_dir_fd,
		 struct eg_error *error)
{
	char what[320] = "", name[EG_NAME_MAX];
	enum eg_place place;
	int kind = look_at(root_fd, entry, ret_dir_fd, what, sizeof(what));

	if (kind == FOREIGN)
		return foreign(root_path, entry, what, error);
	/* A guard never is; half-made and half-removed ones are, for a moment. */
	if (kind == EG_DIR_EMPTY && eg_place_parse(entry, &place, name) == 0 &&
	    place == EG_PLACE_NAME)
		return foreign(root_path, entry,
			       "is an empty directory that egressguard did not make", error);
	if (kind < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -kind, "cannot look into '%s/%s': %s",
				    root_path, entry, strerror(-kind));
	return kind;
}

/* --- moves ---------------------------------------------------------------------------------- */

int eg_place_exists(int root_fd, enum eg_place place, unsigned int number, const char *name)
{
	char entry[EG_PLACE_LEN];
	int err = eg_place_name(entry, place, number, name);

	if (err)
		return err;
	if (faccessat(root_fd, entry, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

static int look_failed(int err, const char *root_path, struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot look into '%s': %s", root_path,
			    strerror(-err));
}

int eg_place_move(int root_fd, const char *root_path, const char *name, enum eg_place from,
		  enum eg_place to, unsigned int to_number, struct eg_error *error)
{
	char from_entry[EG_PLACE_LEN], to_entry[EG_PLACE_LEN];
	int err = eg_place_name(from_entry, from, 0, name);

	if (!err)
		err = eg_place_name(to_entry, to, to_number, name);
	if (!err && renameat2(root_fd, from_entry, root_fd, to_entry, RENAME_NOREPLACE) < 0)
		err = -errno;
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot rename '%s/%s' to '%s': %s", root_path, from_entry,
				    to_entry, strerror(-err));
	return 0;
}

/*
 * A commit renames NAME to _old-NAME and then _new-NAME to NAME; all of _new-NAME is in force
 * before the first. With NAME missing, _old-NAME says that we are in between.
 */
static int find_current(int root_fd, const char *name, enum eg_place *ret_place)
{
	int there = eg_place_exists(root_fd, EG_PLACE_NAME, 0, name);

	*ret_place = EG_PLACE_NAME;
	if (there)
		return there < 0 ? there : 0;
	there = eg_place_exists(root_fd, EG_PLACE_OLD, 0, name);
	if (there <= 0)
		return there < 0 ? there : -ENOENT;
	there = eg_place_exists(root_fd, EG_PLACE_NEW, 0, name);
	*ret_place = there > 0 ? EG_PLACE_NEW : EG_PLACE_OLD;
	return there < 0 ? there : 0;
}

int eg_place_settle(int root_fd, const char *root_path, const char *name, struct eg_error *error)
{
	enum eg_place place;
	int err = find_current(root_fd, name, &place);

	if (err == -ENOENT || (!err && place == EG_PLACE_NAME))
		return 0;
	if (err)
		return look_failed(err, root_path, error);
	return eg_place_move(root_fd, root_path, name, place, EG_PLACE_NAME, 0, error);
}

int eg_place_current(int root_fd, const char *name, char to[EG_PLACE_LEN])
{
	enum eg_place place;
	int err = find_current(root_fd, name, &place);

	return err ? err : eg_place_name(to, place, 0, name);
}

int eg_place_aside(int root_fd, const char *root_path, const char *name, struct eg_error *error)
{
	for (unsigned int number = 0; number < EG_HALVES_MAX; number++) {
		int there = eg_place_exists(root_fd, EG_PLACE_HALF, number, name);

		if (there < 0)
			return look_failed(there, root_path, error);
		if (!there)
			return eg_place_move(root_fd, root_path, name, EG_PLACE_NEW, EG_PLACE_HALF,
					     number, error);
	}
	return eg_error_set(error, EG_EXIT_FAILED, ENOSPC,
			    "'%s' has %d half-made guards of this name: detach it first", root_path,
			    EG_HALVES_MAX);
}

/* --- taking away ---------------------------------------------------------------------------- */

struct removal {
	int dir_fd;
	bool (*wanted)(const char *entry);
	char failed[256]; /* the entry that stayed */
};

static int unlink_entry(const char *entry, void *argument)
{
	struct removal *removal = argument;
	int err = removal->wanted(entry) ? eg_pin_unlink(removal->dir_fd, entry) : 0;

	if (err)
		snprintf(removal->failed, sizeof(removal->failed), "%s", entry);
	return err;
}

static bool is_not_meta(const char *entry)
{
	return strcmp(entry, eg_maps[EG_MAP_META].name) != 0;
}

static bool is_anything(const char *entry)
{
	(void)entry;
	return true;
}

/* What enforces goes first, what tells whose directory it is goes last. */
static int empty_dir(int root_fd, int dir_fd, const char *root_path, const char *entry,
		     struct eg_error *error)
{
	bool (*const passes[])(const char *) = {hangs_on_something, is_not_meta, is_anything};
	int err = eg_shared_forget(root_fd, dir_fd, root_path, error);

	if (!err)
		err = eg_filters_detach(dir_fd, error);
	if (err)
		return err;
	for (size_t i = 0; i < sizeof(passes) / sizeof(*passes); i++) {
		struct removal removal = {.dir_fd = dir_fd, .wanted = passes[i]};

		err = eg_dir_visit(dir_fd, unlink_entry, &removal);
		if (err)
			return eg_error_set(error, EG_EXIT_FAILED, -err,
					    "cannot remove '%s/%s/%s': %s", root_path, entry,
					    removal.failed, strerror(-err));
	}
	return 0;
}

static int remove_gone(int root_fd, const char *root_path, const char *name, struct eg_error *error)
{
	EG_AUTO_CLOSE int dir_fd = -1;
	char entry[EG_PLACE_LEN];
	int kind, err = eg_place_name(entry, EG_PLACE_GONE, 0, name);

	if (err)
		return err;
	kind = eg_dir_check(root_fd, root_path, entry, &dir_fd, error);
	if (kind < 0)
		return kind;
	if (kind == EG_DIR_NONE)
		return -ENOENT;
	err = empty_dir(root_fd, dir_fd, root_path, entry, error);
	if (err)
		return err;
	if (unlinkat(root_fd, entry, AT_REMOVEDIR) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot remove '%s/%s': %m",
				    root_path, entry);
	return 0;
}

int eg_place_remove(int root_fd, const char *root_path, enum eg_place place, unsigned int number,
		    const char *name, struct eg_error *error)
{
	char entry[EG_PLACE_LEN], gone[EG_PLACE_LEN];
	int kind, err;

	if (place == EG_PLACE_GONE)
		return remove_gone(root_fd, root_path, name, error);
	err = eg_place_name(entry, place, number, name);
	if (!err)
		err = eg_place_name(gone, EG_PLACE_GONE, 0, name);
	if (err)
		return err;
	kind = eg_dir_check(root_fd, root_path, entry, NULL, error);
	if (kind < 0)
		return kind;
	if (kind == EG_DIR_NONE)
		return -ENOENT;
	err = remove_gone(root_fd, root_path, name, error);
	if (err && err != -ENOENT)
		return err;
	if (renameat2(root_fd, entry, root_fd, gone, RENAME_NOREPLACE) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot rename '%s/%s' to '%s': %m", root_path, entry, gone);
	return remove_gone(root_fd, root_path, name, error);
}

int eg_leftovers_remove(int root_fd, const char *root_path, const char *name,
			struct eg_error *error)
{
	static const enum eg_place places[] = {EG_PLACE_OLD, EG_PLACE_NEW, EG_PLACE_GONE};
	int err, removed = 0;

	for (unsigned int number = 0; number < EG_HALVES_MAX; number++) {
		err = eg_place_exists(root_fd, EG_PLACE_HALF, number, name);
		if (err < 0)
			return look_failed(err, root_path, error);
		if (!err)
			continue;
		err = eg_place_remove(root_fd, root_path, EG_PLACE_HALF, number, name, error);
		if (err)
			return err;
		removed++;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		err = eg_place_remove(root_fd, root_path, places[i], 0, name, error);
		if (err && err != -ENOENT)
			return err;
		removed += !err;
	}
	return removed;
}
