// SPDX-License-Identifier: GPL-2.0
#include "kern/pins.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BPFFS         "/sys/fs/bpf"
#define BPFFS_OF_INIT "/proc/1/root" BPFFS

/* --- names ---------------------------------------------------------------------------------- */

/* bpffs takes names of 255 bytes; the rest is for a prefix. */
#define ESCAPED_MAX (255 - 16)

static bool stays(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-';
}

int eg_pin_name_escape(char *to, size_t size, const char *name)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;

	if (!*name)
		return -EINVAL;
	for (; *name; name++) {
		size_t needed = stays(*name) ? 1 : 3;

		if (len + needed >= size || len + needed > ESCAPED_MAX)
			return -ENAMETOOLONG;
		if (stays(*name)) {
			to[len++] = *name;
		} else {
			to[len++] = '_';
			to[len++] = hex[(unsigned char)*name >> 4];
			to[len++] = hex[(unsigned char)*name & 15];
		}
	}
	to[len] = '\0';
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int eg_pin_name_unescape(char *to, size_t size, const char *pin_name)
{
	size_t len = 0;

	if (!*pin_name)
		return -EINVAL;
	for (; *pin_name; len++) {
		char c = *pin_name++;

		if (len + 1 >= size)
			return -ENAMETOOLONG;
		if (c == '_') {
			int high = hex_digit(pin_name[0]);
			int low = high < 0 ? -1 : hex_digit(pin_name[1]);

			if (low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			/* Each name has one escaped form only. */
			if (!c || stays(c))
				return -EINVAL;
			pin_name += 2;
		} else if (!stays(c)) {
			return -EINVAL;
		}
		to[len] = c;
	}
	to[len] = '\0';
	return 0;
}

/* --- the root ------------------------------------------------------------------------------- */

/* Whether a call failed for who the caller is, and then says so. */
static bool wants_root(struct eg_error *error)
{
	if (geteuid() == 0 || (errno != EACCES && errno != EPERM))
		return false;
	eg_error_set(error, EG_EXIT_FAILED, EPERM, "this needs root: sudo egressguard ...");
	return true;
}

void eg_pins_close(struct eg_pins *pins)
{
	if (pins->lock_fd >= 0)
		close(pins->lock_fd);
	if (pins->dir_fd >= 0)
		close(pins->dir_fd);
	free(pins->path);
	*pins = (struct eg_pins){.dir_fd = -1, .lock_fd = -1};
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (__u32)fs.f_type == BPF_FS_MAGIC;
}

/* From Linux 6.17 on the first mount namespace, which nothing can end, has a number of its own;
 * before, nothing had this one. */
#define FIRST_MOUNT_NAMESPACE 0xEFFFFFF8U

static bool in_lasting_mount_namespace(void)
{
	struct stat own, init;

	if (stat("/proc/self/ns/mnt", &own) < 0)
		return false;
	if (own.st_ino == FIRST_MOUNT_NAMESPACE)
		return true;
	return stat("/proc/1/ns/mnt", &init) == 0 && own.st_dev == init.st_dev &&
	       own.st_ino == init.st_ino;
}

static int mount_bpffs(struct eg_error *error)
{
	if (!in_lasting_mount_namespace())
		return eg_error_set(error, EG_EXIT_FAILED, ENODEV,
				    "no bpffs is mounted at " BPFFS " here, and this is not the "
				    "machine's own mount namespace: bind the host's " BPFFS
				    " to the same place, or choose a directory with --pin-dir");
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot mount bpffs at " BPFFS
				    ": %m; try `mount -t bpf bpf " BPFFS "`");
	return 0;
}

/* The guards of a bpffs die with its last mount: it must be the one that PID 1 holds. */
static int check_lasting(struct eg_error *error)
{
	struct stat own, init;

	if (stat(BPFFS, &own) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot look at " BPFFS ": %m");
	if (in_lasting_mount_namespace())
		return 0;
	if (stat(BPFFS_OF_INIT, &init) < 0 && wants_root(error))
		return -EPERM;
	if (stat(BPFFS_OF_INIT, &init) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot look at " BPFFS_OF_INIT
				    ", to make sure that guards would last: %m; run as root with "
				    "CAP_SYS_PTRACE, or choose a directory with --pin-dir");
	if (own.st_dev != init.st_dev)
		return eg_error_set(
			error, EG_EXIT_FAILED, EXDEV,
			"the bpffs at " BPFFS
			" is not the one that PID 1 sees, so guards would die with this "
			"mount: bind the host's " BPFFS
			" here, or choose a directory with --pin-dir");
	return 0;
}

bool eg_bpffs_lasts(void)
{
	return is_bpffs(BPFFS) && check_lasting(NULL) == 0;
}

static int prepare_default_root(bool create, struct eg_error *error)
{
	if (!is_bpffs(BPFFS)) {
		int err;

		if (!create)
			return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
					    "there are no guards: no bpffs is mounted at " BPFFS);
		err = mount_bpffs(error);
		if (err)
			return err;
	}
	return check_lasting(error);
}

/* Only the last component, and only in a bpffs: nothing of ours belongs anywhere else. */
static int make_root(const char *path, struct eg_error *error)
{
	EG_AUTO_FREE char *parent = strdup(path);
	char *slash;

	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	if (!slash)
		strcpy(parent, ".");
	else if (slash == parent)
		slash[1] = '\0';
	else
		*slash = '\0';
	if (access(parent, F_OK) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot make the pin directory '%s': '%s': %m", path, parent);
	if (!is_bpffs(parent))
		return eg_error_set(error, EG_EXIT_FAILED, EINVAL,
				    "cannot make the pin directory '%s': '%s' is not in a bpffs "
				    "(`mount -t bpf bpf DIR` makes one)",
				    path, parent);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot make the pin directory '%s': %m", path);
	return 0;
}

static int open_root(const char *path, bool create, struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = -1;
	struct statfs fs;
	int err;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && wants_root(error))
		return -EPERM;
	if (fd < 0 && errno == ENOENT && create) {
		err = make_root(path, error);
		if (err)
			return err;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 && errno == ENOENT)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "there are no guards: '%s' does not exist", path);
	if (fd < 0 && errno == ENOTDIR)
		return eg_error_set(error, EG_EXIT_FAILED, EBADF,
				    "'%s' is not a directory, so not a place for guards: nothing "
				    "was touched; move it away, or choose another with --pin-dir",
				    path);
	if (fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "cannot open the pin directory '%s': %m", path);
	if (fstatfs(fd, &fs) < 0 || (__u32)fs.f_type != BPF_FS_MAGIC)
		return eg_error_set(error, EG_EXIT_FAILED, EINVAL,
				    "'%s' is not in a bpffs, so guards cannot be pinned there "
				    "(`mount -t bpf bpf DIR` makes one)",
				    path);
	return EG_TAKE_FD(fd);
}

static char *without_trailing_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return strndup(path, len);
}

int eg_pins_open(const char *pin_dir, bool create, struct eg_pins *ret_pins, struct eg_error *error)
{
	EG_AUTO_FREE char *path = without_trailing_slashes(pin_dir ? pin_dir : EG_PIN_ROOT);
	int fd;

	if (!path)
		return -ENOMEM;
	if (!pin_dir) {
		int err = prepare_default_root(create, error);

		if (err)
			return err;
	}
	fd = open_root(path, create, error);
	if (fd < 0)
		return fd;
	*ret_pins = (struct eg_pins){.dir_fd = fd, .lock_fd = -1, .path = EG_TAKE(path)};
	return 0;
}

/* --- the lock ------------------------------------------------------------------------------- */

int eg_pins_lock(struct eg_pins *pins, unsigned int wait_ms, struct eg_error *error)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	__u64 until = eg_monotonic_ns() + wait_ms * 1000000ULL;
	EG_AUTO_CLOSE int fd = -1;

	if (pins->lock_fd >= 0)
		return 0;
	/* A descriptor of its own: a lock belongs to the open file, not to the process. */
	fd = openat(pins->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot open '%s': %m",
				    pins->path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot lock '%s': %m",
					    pins->path);
		if (eg_monotonic_ns() >= until)
			return eg_error_set(error, EG_EXIT_FAILED, EBUSY,
					    "another egressguard is changing the guards of '%s': "
					    "try again when it is done",
					    pins->path);
		nanosleep(&pause, NULL);
	}
	pins->lock_fd = EG_TAKE_FD(fd);
	return 0;
}

/* --- what is there -------------------------------------------------------------------------- */

struct listing {
	const struct eg_pins *pins;
	bool leftovers;
	char **names;
	size_t n;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct listing *listing, const char *name)
{
	char **names = reallocarray(listing->names, listing->n + 2, sizeof(*names));

	if (!names)
		return -ENOMEM;
	listing->names = names;
	names[listing->n + 1] = NULL;
	names[listing->n] = strdup(name);
	if (!names[listing->n])
		return -ENOMEM;
	listing->n++;
	return 0;
}

static int place_exists(const struct eg_pins *pins, enum eg_place place, const char *name)
{
	return eg_place_exists(pins->dir_fd, place, 0, name);
}

/* As long as nothing has its name, _old-NAME is a guard: in its stead, or until _new-NAME, which is
 * in force then, takes the name. */
static int is_leftover(const struct eg_pins *pins, enum eg_place place, const char *name)
{
	int there;

	switch (place) {
	case EG_PLACE_NAME:
		return 0;
	case EG_PLACE_OLD:
		return place_exists(pins, EG_PLACE_NAME, name);
	case EG_PLACE_NEW:
		there = place_exists(pins, EG_PLACE_NAME, name);
		if (there)
			return there;
		there = place_exists(pins, EG_PLACE_OLD, name);
		return there < 0 ? there : !there;
	case EG_PLACE_GONE:
	case EG_PLACE_HALF:
		return 1;
	}
	return 0;
}

static int list_entry(const char *entry, void *argument)
{
	struct listing *listing = argument;
	char name[EG_NAME_MAX];
	enum eg_place place;
	int leftover;

	if (eg_place_parse(entry, &place, name) < 0)
		return 0;
	leftover = is_leftover(listing->pins, place, name);
	if (leftover < 0)
		return leftover;
	return leftover == listing->leftovers ? add_name(listing, name) : 0;
}

static void drop_duplicates(struct listing *listing)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->n; i++) {
		if (kept && strcmp(listing->names[kept - 1], listing->names[i]) == 0)
			free(listing->names[i]);
		else
			listing->names[kept++] = listing->names[i];
	}
	listing->names[kept] = NULL;
}

int eg_pins_list(const struct eg_pins *pins, bool leftovers, char ***ret_names)
{
	struct listing listing = {.pins = pins, .leftovers = leftovers};
	int err;

	listing.names = calloc(1, sizeof(*listing.names));
	if (!listing.names)
		return -ENOMEM;
	err = eg_dir_visit(pins->dir_fd, list_entry, &listing);
	if (err) {
		eg_names_free(listing.names);
		return err;
	}
	qsort(listing.names, listing.n, sizeof(*listing.names), compare_names);
	drop_duplicates(&listing);
	*ret_names = listing.names;
	return 0;
}

void eg_names_free(char **names)
{
	if (!names)
		return;
	for (char **name = names; *name; name++)
		free(*name);
	free(names);
}

/* Where a commit was interrupted between its two renames there is an _old-NAME. */
static int settle(const char *entry, void *argument)
{
	const struct eg_pins *pins = argument;
	char name[EG_NAME_MAX];
	enum eg_place place;

	if (eg_place_parse(entry, &place, name) < 0 || place != EG_PLACE_OLD)
		return 0;
	return eg_place_settle(pins->dir_fd, pins->path, name, NULL);
}

static int clear(struct eg_pins *pins, const char *name)
{
	int err = eg_leftovers_remove(pins->dir_fd, pins->path, name, NULL);

	/* What is not ours is not ours to clear. */
	return err == -EBADF || err > 0 ? 0 : err;
}

/* A failure on one name must not keep the others from their turn. */
static int clear_leftovers(struct eg_pins *pins)
{
	char **names;
	int failed = 0, err = eg_pins_list(pins, true, &names);

	if (err)
		return err;
	for (char **name = names; *name; name++) {
		err = clear(pins, *name);
		if (err && !failed)
			failed = err;
	}
	eg_names_free(names);
	return failed;
}

int eg_pins_sweep(struct eg_pins *pins)
{
	int err = eg_dir_visit(pins->dir_fd, settle, pins);

	if (!err)
		err = clear_leftovers(pins);
	return err ? err : eg_shared_sweep(pins->dir_fd);
}
