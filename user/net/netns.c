// SPDX-License-Identifier: GPL-2.0
#include "net/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "net/process.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"
#include "util/thread.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define ESCAPED_LEN 512
#define PLACE_LEN   320

/* Where namespaces without a process are kept. Docker's overlay networks are such: the other end of
 * a container's veth is in one. */
static const char *const kept_in[] = {"/run/netns", "/run/docker/netns"};

void eg_netns_close(struct eg_netns *netns)
{
	if (netns->fd >= 0)
		close(netns->fd);
	netns->fd = -1;
}

struct eg_netns eg_netns_of_meta(const struct eg_meta *meta)
{
	return (struct eg_netns){.fd = -1,
				 .dev = (dev_t)meta->netns_dev,
				 .inode = (ino_t)meta->netns_inode,
				 .cookie = meta->netns_cookie};
}

static int read_cookie(void *argument)
{
	__u64 *cookie = argument;
	socklen_t len = sizeof(*cookie);
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) < 0)
		return -errno;
	return 0;
}

/* Takes `fd`, whatever comes of it. Does not fill in the cookie: that takes a thread. */
static int identify(int fd, struct eg_netns *ret_netns)
{
	EG_AUTO_NETNS struct eg_netns netns = {.fd = fd};
	struct statfs fs;
	struct stat stat;
	int type;

	/* The ioctl is safe to issue only where the file is one of nsfs. */
	if (fstatfs(netns.fd, &fs) < 0 || fstat(netns.fd, &stat) < 0)
		return -errno;
	if (fs.f_type != NSFS_MAGIC)
		return -EINVAL;
	type = ioctl(netns.fd, NS_GET_NSTYPE);
	if (type < 0)
		return -errno;
	if (type != CLONE_NEWNET)
		return -EINVAL;
	netns.dev = stat.st_dev;
	netns.inode = stat.st_ino;
	*ret_netns = netns;
	netns.fd = -1;
	return 0;
}

static int open_at(int dir_fd, const char *path, struct eg_netns *ret_netns)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : identify(fd, ret_netns);
}

void eg_netns_learn_cookie(struct eg_netns *netns)
{
	__u64 cookie = 0;
	int result = eg_netns_run(netns, read_cookie, &cookie);

	/* Asked again where something failed (a kernel that has none says so): known by its number
	 * alone, it would later be taken for another one, or another one for it. */
	if (result < 0 && result != -ENOPROTOOPT)
		result = eg_netns_run(netns, read_cookie, &cookie);
	if (result == 0)
		netns->cookie = cookie;
}

static int open_with_cookie(const char *path, struct eg_netns *ret_netns)
{
	int result = open_at(AT_FDCWD, path, ret_netns);

	if (!result)
		eg_netns_learn_cookie(ret_netns);
	return result;
}

int eg_netns_open_path(const char *path, struct eg_netns *ret_netns, struct eg_error *error)
{
	char escaped[ESCAPED_LEN];
	int result = open_with_cookie(path, ret_netns);

	if (!result)
		return 0;
	eg_escape(escaped, sizeof(escaped), path, strlen(path));
	if (result == -EINVAL)
		return eg_error_set(error, EG_EXIT_NO_SUCH, EINVAL,
				    "'%s' is not a network namespace: name a file of /run/netns "
				    "or /proc/PID/ns/net",
				    escaped);
	if (result == -ENOENT || result == -ENOTDIR)
		return eg_error_set(error, EG_EXIT_NO_SUCH, -result, "'%s' does not exist",
				    escaped);
	return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot open '%s': %s%s", escaped,
			    strerror(-result),
			    result == -EACCES || result == -EPERM ? "; run as root" : "");
}

int eg_netns_open_pid(pid_t pid, struct eg_netns *ret_netns, struct eg_error *error)
{
	char path[64];
	int result;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	result = open_with_cookie(path, ret_netns);
	/* A zombie has the file but no namespace any more: EINVAL cannot come of /proc otherwise.
	 */
	if (result == -ENOENT || result == -ESRCH || result == -EINVAL)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ESRCH, "there is no process %d", pid);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot open the network namespace of process %d: %s%s", pid,
				    strerror(-result),
				    result == -EACCES || result == -EPERM ? "; run as root" : "");
	return 0;
}

/* The calling thread's own, which is not the process's in a thread of eg_netns_run(). */
static const char own_path[] = "/proc/thread-self/ns/net";

int eg_netns_open_self(struct eg_netns *ret_netns)
{
	return open_with_cookie(own_path, ret_netns);
}

/* The namespace of PID 1; where a security policy hides that, of PID 2 if it is a kernel thread,
 * for those never leave the initial one. */
static int stat_initial(struct stat *ret_stat)
{
	if (stat("/proc/1/ns/net", ret_stat) == 0)
		return 0;
	if (!eg_process_is_kernel_thread(2) || stat("/proc/2/ns/net", ret_stat) < 0)
		return -EACCES;
	return 0;
}

bool eg_netns_is_initial(const struct eg_netns *netns)
{
	struct stat initial;

	/* Whoever cannot tell must not take a host for a container. */
	if (stat_initial(&initial) < 0)
		return true;
	return initial.st_dev == netns->dev && initial.st_ino == netns->inode;
}

bool eg_netns_same(const struct eg_netns *a, const struct eg_netns *b)
{
	if (a->cookie && b->cookie && a->cookie != b->cookie)
		return false;
	return a->dev == b->dev && a->inode == b->inode;
}

struct inside {
	const struct eg_netns *netns;
	int (*call)(void *argument);
	void *argument;
	int result;
};

/* Where this thread is, NULL: where it began. */
static _Thread_local const struct eg_netns *entered;

static void *run_inside(void *argument)
{
	struct inside *inside = argument;

	if (setns(inside->netns->fd, CLONE_NEWNET) < 0) {
		inside->result = -errno;
		return NULL;
	}
	entered = inside->netns;
	inside->result = inside->call(inside->argument);
	return NULL;
}

/* Whoever is in a namespace keeps it: its number is nobody else's. */
static bool is_where_we_are(const struct eg_netns *netns)
{
	char name[32];
	unsigned long long inode;
	ssize_t len = readlink(own_path, name, sizeof(name) - 1);

	if (len < 0)
		return false;
	name[len] = '\0';
	return sscanf(name, "net:[%llu]", &inode) == 1 && (ino_t)inode == netns->inode;
}

int eg_netns_run(const struct eg_netns *netns, int (*call)(void *argument), void *argument)
{
	struct inside inside = {.netns = netns, .call = call, .argument = argument};
	pthread_t thread;
	int result;

	if (entered ? eg_netns_same(entered, netns) : is_where_we_are(netns))
		return call(argument);
	result = eg_thread_start(&thread, run_inside, &inside);
	if (result)
		return result;
	pthread_join(thread, NULL);
	return inside.result;
}

/* --- all namespaces ------------------------------------------------------------------------ */

struct identity {
	dev_t dev;
	ino_t inode;
};

struct walk {
	/* Before anything is opened: whether this one is of interest. NULL: all are. */
	bool (*wanted)(const struct identity *identity, void *argument);
	int (*visit)(const struct eg_netns *netns, void *argument);
	void *argument;
	const char *directory; /* what is walked, for *place; NULL: paths are whole */
	char *place;           /* where the visit that ended the walk was; NULL: not asked */
	struct identity *seen; /* an open-addressed table, n_slots a power of two */
	size_t n_slots;
	size_t n_seen;
	dev_t dev;  /* of all namespaces, 0: not known */
	int failed; /* why something could not be looked at: it may be what is looked for */
};

static size_t seen_slot(const struct walk *walk, const struct identity *identity)
{
	size_t slot = (size_t)(identity->inode * 0x9e3779b97f4a7c15ULL >> 20);

	for (;; slot++) {
		struct identity *at = &walk->seen[slot & (walk->n_slots - 1)];

		if (!at->inode || (at->inode == identity->inode && at->dev == identity->dev))
			return slot & (walk->n_slots - 1);
	}
}

static int grow_seen(struct walk *walk)
{
	struct walk larger = {.n_slots = walk->n_slots ? walk->n_slots * 2 : 64};

	larger.seen = calloc(larger.n_slots, sizeof(*larger.seen));
	if (!larger.seen)
		return -ENOMEM;
	for (size_t i = 0; i < walk->n_slots; i++)
		if (walk->seen[i].inode)
			larger.seen[seen_slot(&larger, &walk->seen[i])] = walk->seen[i];
	free(walk->seen);
	walk->seen = larger.seen;
	walk->n_slots = larger.n_slots;
	return 0;
}

/* 1 if it is new. */
static int remember(struct walk *walk, const struct identity *identity)
{
	size_t slot;
	int result;

	if (walk->n_seen * 2 >= walk->n_slots) {
		result = grow_seen(walk);
		if (result < 0)
			return result;
	}
	slot = seen_slot(walk, identity);
	if (walk->seen[slot].inode)
		return 0;
	walk->seen[slot] = *identity;
	walk->n_seen++;
	return 1;
}

/* What is gone meanwhile, is no namespace, or is hidden from us, is passed over. */
static int pass_over(struct walk *walk, int err)
{
	if (err && err != -ENOENT && err != -ESRCH && err != -ENOTDIR && err != -EINVAL &&
	    err != -EACCES && err != -ELOOP && !walk->failed)
		walk->failed = err;
	return 0;
}

static int walk_one(struct walk *walk, int dir_fd, const char *path)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	struct identity identity;
	struct stat stat;
	int result;

	if (fstatat(dir_fd, path, &stat, 0) < 0)
		return pass_over(walk, -errno);
	if (!stat.st_ino)
		return 0;
	identity = (struct identity){.dev = stat.st_dev, .inode = stat.st_ino};
	if (path == own_path)
		walk->dev = stat.st_dev;
	result = remember(walk, &identity);
	if (result <= 0)
		return result;
	if (walk->wanted && !walk->wanted(&identity, walk->argument))
		return 0;
	result = open_at(dir_fd, path, &netns);
	if (result < 0)
		return pass_over(walk, result);
	result = walk->visit(&netns, walk->argument);
	if (result == 1 && walk->place && path != walk->place &&
	    snprintf(walk->place, PLACE_LEN, "%s%s%s", walk->directory ? walk->directory : "",
		     walk->directory ? "/" : "", path) >= PLACE_LEN)
		walk->place[0] = '\0';
	return result;
}

/* Most processes are in a namespace that has been seen: that its number tells. */
static int walk_process(pid_t pid, int proc_fd, void *argument)
{
	struct walk *walk = argument;
	struct identity identity = {.dev = walk->dev};
	char path[32];

	if (walk->n_seen && eg_process_netns_inode(pid, proc_fd, &identity.inode) == 0 &&
	    walk->seen[seen_slot(walk, &identity)].inode)
		return 0;
	snprintf(path, sizeof(path), "%d/ns/net", pid);
	return walk_one(argument, proc_fd, path);
}

static int walk_directory(struct walk *walk, const char *directory)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir(directory);
	int result = 0;

	/* No such directory: nothing is kept there. */
	if (!dir)
		return pass_over(walk, -errno);
	walk->directory = directory;
	while (!result) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return pass_over(walk, -errno);
		if (entry->d_name[0] != '.')
			result = walk_one(walk, dirfd(dir), entry->d_name);
	}
	return result;
}

int eg_netns_kept_visit(int (*visit)(const char *directory, void *argument), void *argument)
{
	int result = 0;

	for (size_t i = 0; !result && i < sizeof(kept_in) / sizeof(kept_in[0]); i++)
		result = visit(kept_in[i], argument);
	return result;
}

/* *place may be where something was found before: it is looked at early. */
static int walk_namespaces(struct walk *walk)
{
	int result = walk_one(walk, AT_FDCWD, own_path);

	if (!result && walk->place && walk->place[0])
		result = walk_one(walk, AT_FDCWD, walk->place);
	for (size_t i = 0; !result && i < sizeof(kept_in) / sizeof(kept_in[0]); i++)
		result = walk_directory(walk, kept_in[i]);
	walk->directory = "/proc";
	if (!result)
		result = eg_processes_visit(walk_process, walk);
	free(walk->seen);
	/* All that could be visited was. */
	return result ? result : walk->failed;
}

int eg_netns_each(int (*visit)(const struct eg_netns *netns, void *argument), void *argument)
{
	struct walk walk = {.visit = visit, .argument = argument};

	return walk_namespaces(&walk);
}

int eg_netns_search(int (*is_it)(const struct eg_netns *netns, void *argument), void *argument)
{
	/* A name, and nothing that would keep a namespace alive. */
	static _Thread_local char last[PLACE_LEN];
	struct walk walk = {.visit = is_it, .argument = argument, .place = last};

	return walk_namespaces(&walk);
}

struct visit {
	int (*visit)(const struct eg_netns *netns, void *argument);
	void *argument;
};

static int visit_with_cookie(const struct eg_netns *netns, void *argument)
{
	const struct visit *visit = argument;
	struct eg_netns known = *netns;

	eg_netns_learn_cookie(&known);
	return visit->visit(&known, visit->argument);
}

int eg_netns_visit(int (*visit)(const struct eg_netns *netns, void *argument), void *argument)
{
	struct visit inner = {.visit = visit, .argument = argument};

	return eg_netns_each(visit_with_cookie, &inner);
}

struct search {
	struct eg_netns wanted;
	struct eg_netns found;
};

static bool is_wanted(const struct identity *identity, void *argument)
{
	const struct search *search = argument;

	return identity->dev == search->wanted.dev && identity->inode == search->wanted.inode;
}

static int take_wanted(const struct eg_netns *netns, void *argument)
{
	struct search *search = argument;
	struct eg_netns known = *netns;

	eg_netns_learn_cookie(&known);
	if (!eg_netns_same(&known, &search->wanted))
		return 0;
	known.fd = fcntl(netns->fd, F_DUPFD_CLOEXEC, 0);
	if (known.fd < 0)
		return -errno;
	search->found = known;
	return 1;
}

int eg_netns_find(dev_t dev, ino_t inode, __u64 cookie, struct eg_netns *ret_netns)
{
	struct search search = {
		.wanted = {.fd = -1, .dev = dev, .inode = inode, .cookie = cookie},
		.found = EG_NETNS_NONE,
	};
	struct walk walk = {.wanted = is_wanted, .visit = take_wanted, .argument = &search};
	int result = walk_namespaces(&walk);

	if (result < 0)
		return result;
	if (!result)
		return -ENOENT;
	*ret_netns = search.found;
	return 0;
}

struct members {
	const struct eg_netns *netns;
	pid_t *pids;
	size_t n, max;
};

/* What was remembered, sorted by namespace, and then by PID. */
static _Thread_local struct {
	struct process {
		ino_t inode;
		pid_t pid;
	} * all;
	size_t n;
	bool known;
	__u64 taken_ns; /* when the list was, 0: there is none */
} remembered;

static int remember_process(pid_t pid, int proc_fd, void *argument)
{
	struct process process = {.pid = pid}, *all;
	int result = eg_process_netns_inode(pid, proc_fd, &process.inode);

	(void)argument;
	if (result < 0)
		return 0; /* gone, or hidden from us */
	all = reallocarray(remembered.all, remembered.n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	remembered.all = all;
	all[remembered.n++] = process;
	return 0;
}

static int compare_processes(const void *a, const void *b)
{
	const struct process *left = a, *right = b;

	if (left->inode != right->inode)
		return left->inode < right->inode ? -1 : 1;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* The list stays, for who remembers again soon. */
void eg_netns_forget_processes(void)
{
	remembered.known = false;
}

static void drop_list(void)
{
	free(remembered.all);
	remembered.all = NULL;
	remembered.n = 0;
	remembered.taken_ns = 0;
}

void eg_netns_remember_processes(__u64 max_age_ns)
{
	__u64 now = eg_monotonic_ns();

	remembered.known = remembered.taken_ns && now - remembered.taken_ns < max_age_ns;
	if (remembered.known)
		return;
	drop_list();
	if (eg_processes_visit(remember_process, NULL) < 0) {
		drop_list();
		return;
	}
	if (remembered.n)
		qsort(remembered.all, remembered.n, sizeof(*remembered.all), compare_processes);
	remembered.known = true;
	remembered.taken_ns = now;
}

/* By halving: the first one that is not before the namespace's. */
static size_t first_process(ino_t inode)
{
	size_t low = 0, high = remembered.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (remembered.all[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t take_remembered(const struct eg_netns *netns, pid_t *pids, size_t max)
{
	size_t n = 0;

	for (size_t i = first_process(netns->inode);
	     n < max && i < remembered.n && remembered.all[i].inode == netns->inode; i++)
		pids[n++] = remembered.all[i].pid;
	return n;
}

static int take_member(pid_t pid, int proc_fd, void *argument)
{
	struct members *members = argument;
	int inside = eg_process_in_netns(pid, proc_fd, members->netns);

	if (inside < 0)
		return inside;
	if (inside)
		members->pids[members->n++] = pid;
	return members->n == members->max;
}

int eg_netns_pids(const struct eg_netns *netns, pid_t *pids, size_t max, size_t *ret_n)
{
	struct members members = {.netns = netns, .pids = pids, .max = max};
	/* /proc lists processes in ascending order. */
	int result;

	if (remembered.known) {
		*ret_n = take_remembered(netns, pids, max);
		return 0;
	}
	result = max ? eg_processes_visit(take_member, &members) : 0;
	if (result < 0)
		return result;
	*ret_n = members.n;
	return 0;
}

int eg_netns_is_ours(const struct eg_netns *netns)
{
	EG_AUTO_CLOSE int owner = ioctl(netns->fd, NS_GET_USERNS);
	struct stat own, theirs;

	/* EPERM: it belongs to one above ours. */
	if (owner < 0)
		return errno == EPERM ? 1 : -errno;
	if (stat("/proc/self/ns/user", &own) < 0 || fstat(owner, &theirs) < 0)
		return -errno;
	return own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino;
}
