// SPDX-License-Identifier: GPL-2.0
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>

#include "collect.h"
#include "cover.h"
#include "kern/hold.h"
#include "names.h"
#include "net/monitor.h"
#include "net/witness.h"
#include "reap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define NS_PER_MS 1000000ULL

#define FIRST_LOCK_MS 5000
#define TICK_NS       (1000 * NS_PER_MS)  /* is the witness still there, and the guard ours? */
#define LOOK_NS       (30000 * NS_PER_MS) /* a look at all interfaces, whatever was told */
#define SPACE_NS      (20 * NS_PER_MS)    /* between looks: whoever is inside can ask for many */
#define SPACE_MAX_NS  (200 * NS_PER_MS)   /* as long as the last one took, but no longer */
#define AGAIN_NS      (200 * NS_PER_MS)   /* after a failure */
#define NAMES_SHARE   20                  /* and never more than this part of the time for it */
/* A userspace WireGuard answers some time after its interface is there. */
#define TUN_PATIENCE_NS (10000 * NS_PER_MS)

struct known {
	__u32 ifindex;
	char name[IFNAMSIZ];
	bool tunnel;
};

struct eg_follow {
	char *pin_dir; /* NULL: the usual place */
	char *name;
	eg_follow_say say;
	void *argument;

	struct eg_guard *guard;
	struct eg_netns netns; /* fd -1: let go of */
	struct eg_witness witness;
	struct eg_hold *hold; /* NULL: let go of, or not to be had here */
	bool cannot_hold;     /* this kernel */
	bool changed;         /* interfaces or addresses, since somebody asked */
	bool claimed;         /* the guard's meta names our hold */
	struct eg_policy *policy;
	__u64 policy_generation;

	struct eg_cover_pass pass;
	struct known *known;
	size_t n_known;
	char complaint[EG_ERROR_LEN]; /* the last one, to say it once */

	int epoll_fd, monitor_fd, timer_fd, inotify_fd;
	__u64 tick_ns, look_ns; /* when to do it */
	__u64 space_until_ns;   /* no look before */
	__u64 names_ns;         /* when to see whether names may be asked for */
	bool names_open;
	__u64 tun_until_ns;
};

/* --- what it says ----------------------------------------------------------------------------- */

static __attribute__((format(printf, 3, 4))) void tell(struct eg_follow *follow, bool warning,
						       const char *format, ...)
{
	char line[EG_ERROR_LEN * 2];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	follow->say(follow->argument, warning, line);
}

/* Tried again and again, said once. */
static void complain(struct eg_follow *follow, const struct eg_error *error)
{
	if (strcmp(follow->complaint, error->message) == 0)
		return;
	snprintf(follow->complaint, sizeof(follow->complaint), "%s", error->message);
	tell(follow, true, "%s", error->message);
}

static const char *escaped(char to[IFNAMSIZ * 4], const char *name)
{
	return eg_escape(to, IFNAMSIZ * 4, name, strnlen(name, IFNAMSIZ));
}

/* --- when ------------------------------------------------------------------------------------- */

static void look_at(struct eg_follow *follow, __u64 at_ns)
{
	if (at_ns < follow->space_until_ns)
		at_ns = follow->space_until_ns;
	if (at_ns < follow->look_ns)
		follow->look_ns = at_ns;
}

static void set_timer(struct eg_follow *follow)
{
	__u64 at = follow->tick_ns;
	struct itimerspec timer = {};

	if (follow->netns.fd >= 0 && follow->look_ns < at)
		at = follow->look_ns;
	timer.it_value.tv_sec = (time_t)(at / 1000000000ULL);
	timer.it_value.tv_nsec = (long)(at % 1000000000ULL);
	timerfd_settime(follow->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

static int wait_for(struct eg_follow *follow, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(follow->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* --- the namespace ---------------------------------------------------------------------------- */

static const char *target_path(const struct eg_follow *follow, char path[EG_TARGET_MAX + 1])
{
	memcpy(path, eg_guard_meta(follow->guard)->target, EG_TARGET_MAX);
	path[EG_TARGET_MAX] = '\0';
	return path;
}

/* Where that is not possible, the next tick tells. */
static void watch_witness(struct eg_follow *follow)
{
	if (follow->witness.pidfd >= 0 && follow->epoll_fd >= 0)
		(void)wait_for(follow, follow->witness.pidfd);
}

static int find_witness(struct eg_follow *follow)
{
	char path[EG_TARGET_MAX + 1];
	struct eg_witness witness = EG_WITNESS_NONE;
	int result = eg_witness_find(&follow->netns, target_path(follow, path), &witness);

	if (result < 0)
		return result;
	eg_witness_close(&follow->witness);
	follow->witness = witness;
	watch_witness(follow);
	return 0;
}

static int start_monitor(struct eg_follow *follow)
{
	int result = eg_monitor_open(&follow->netns, &follow->monitor_fd);

	return result < 0 ? result : wait_for(follow, follow->monitor_fd);
}

/* All by which we keep the namespace alive. */
static void let_go(struct eg_follow *follow)
{
	eg_hold_close(follow->hold);
	follow->hold = NULL;
	follow->claimed = false;
	eg_cleanup_close(&follow->monitor_fd);
	follow->monitor_fd = -1;
	eg_witness_close(&follow->witness);
	eg_netns_close(&follow->netns);
}

/* --- the guard -------------------------------------------------------------------------------- */

static int open_guard(struct eg_follow *follow, struct eg_guard **ret_guard, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(follow->pin_dir, false, &pins, error);

	return result < 0 ? result : eg_guard_open(&pins, follow->name, ret_guard, error);
}

static int lock(struct eg_follow *follow, unsigned int wait_ms, struct eg_pins *pins,
		struct eg_error *error)
{
	int result = eg_pins_open(follow->pin_dir, false, pins, error);

	return result < 0 ? result : eg_pins_lock(pins, wait_ms, error);
}

/* Under the lock. The guard's meta then says which holder is the newest. */
static int claim(struct eg_follow *follow, __u32 id)
{
	struct eg_meta meta;
	int result = eg_guard_refresh(follow->guard);

	if (result < 0)
		return result;
	meta = *eg_guard_meta(follow->guard);
	if (meta.hold_prog_id == id)
		return 0;
	meta.hold_prog_id = id;
	return eg_guard_set_meta(follow->guard, &meta);
}

/* The new one is in force before the old one ends. */
static int take_hold(struct eg_follow *follow, struct eg_error *error)
{
	struct eg_hold *hold = NULL;
	int result = eg_hold_open(follow->guard, &follow->netns, &hold, error);

	if (result == -EOPNOTSUPP) {
		if (!follow->cannot_hold)
			tell(follow, true,
			     "the layer `netns` is not available: %s. An interface that appears is "
			     "not covered until this process has put `device` and `peer` on it",
			     error->message);
		follow->cannot_hold = true;
		result = 0;
	}
	if (result < 0)
		return result;
	eg_hold_close(follow->hold);
	follow->hold = hold;
	follow->claimed = false;
	return 0;
}

static int read_policy(struct eg_follow *follow, struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	int result = eg_guard_refresh(follow->guard);
	__u64 generation = eg_guard_meta(follow->guard)->generation;

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot read the guard's meta: %s", strerror(-result));
	if (follow->policy && follow->policy_generation == generation)
		return 0;
	result = eg_collect_policy(follow->guard, &policy, error);
	if (result < 0)
		return result;
	if (follow->policy)
		tell(follow, false, "the policy was replaced, and is followed");
	eg_policy_free(follow->policy);
	follow->policy = EG_TAKE(policy);
	follow->policy_generation = generation;
	return 0;
}

static bool is_our_namespace(const struct eg_follow *follow, const struct eg_meta *meta)
{
	const struct eg_netns guarded = eg_netns_of_meta(meta);

	return eg_netns_same(&guarded, &follow->netns);
}

/* A guard of that name was made beside ours, and ours is no more. */
static enum eg_follow_end follow_successor(struct eg_follow *follow)
{
	EG_AUTO_GUARD struct eg_guard *successor = NULL;
	struct eg_error error = {};
	struct eg_guard *before = follow->guard;
	int result = open_guard(follow, &successor, &error);

	if (result == -ENOENT)
		return EG_FOLLOW_DETACHED;
	if (result == -EPROTO) {
		tell(follow, true, "%s", error.message);
		return EG_FOLLOW_TAKEN_OVER;
	}
	if (result < 0) {
		complain(follow, &error);
		return EG_FOLLOW_GOES_ON;
	}
	if (!is_our_namespace(follow, eg_guard_meta(successor)))
		return EG_FOLLOW_DETACHED;
	follow->guard = successor;
	if (follow->netns.fd >= 0 && !follow->cannot_hold)
		result = take_hold(follow, &error);
	if (result < 0) {
		/* Ours still judges by what was in force. */
		follow->guard = before;
		complain(follow, &error);
		return EG_FOLLOW_GOES_ON;
	}
	successor = before;
	eg_policy_free(follow->policy);
	follow->policy = NULL;
	look_at(follow, eg_monotonic_ns());
	tell(follow, false, "the guard was replaced as a whole, and its successor is followed");
	return EG_FOLLOW_GOES_ON;
}

static enum eg_follow_end check_guard(struct eg_follow *follow)
{
	int current = eg_guard_is_current(follow->guard);
	__u32 id;

	if (current == 0)
		return follow_successor(follow);
	if (current < 0 || !follow->claimed || eg_guard_refresh(follow->guard) < 0)
		return EG_FOLLOW_GOES_ON;
	id = eg_guard_meta(follow->guard)->hold_prog_id;
	if (follow->hold && id && id != eg_hold_id(follow->hold))
		return EG_FOLLOW_TAKEN_OVER;
	return EG_FOLLOW_GOES_ON;
}

/* --- a look at the interfaces -------------------------------------------------------------------
 */

static const struct known *find_known(const struct eg_follow *follow, __u32 ifindex)
{
	for (size_t i = 0; i < follow->n_known; i++)
		if (follow->known[i].ifindex == ifindex)
			return &follow->known[i];
	return NULL;
}

static void add_known(struct known *list, size_t *n, const struct eg_link *link, bool tunnel)
{
	struct known *known = &list[(*n)++];

	known->ifindex = link->ifindex;
	known->tunnel = tunnel;
	memcpy(known->name, link->name, sizeof(known->name));
}

/* Says which have gone, and remembers which are there. */
static void remember(struct eg_follow *follow, const struct eg_survey *survey)
{
	size_t n = 0, room = survey->n_underlays + survey->n_tunnels + 1;
	struct known *list = calloc(room, sizeof(*list));
	char name[IFNAMSIZ * 4];

	if (!list)
		return;
	for (size_t i = 0; i < survey->n_underlays; i++)
		add_known(list, &n, &survey->underlays[i].link, false);
	for (size_t i = 0; i < survey->n_tunnels; i++) {
		const struct eg_link *link = &survey->tunnels[i].link;
		const struct known *known = find_known(follow, link->ifindex);

		add_known(list, &n, link, true);
		if (follow->known && (!known || !known->tunnel))
			tell(follow, false, "%s is the tunnel, and free",
			     escaped(name, link->name));
	}
	for (size_t i = 0; follow->known && i < follow->n_known; i++) {
		bool there = false;

		for (size_t j = 0; j < n; j++)
			there = there || list[j].ifindex == follow->known[i].ifindex;
		if (!there)
			tell(follow, false, "%s is gone", escaped(name, follow->known[i].name));
	}
	free(follow->known);
	follow->known = list;
	follow->n_known = n;
}

/* A declared tun that nobody answers for yet is an underlay, and may be the tunnel soon. */
static bool may_be_tunnel(const struct eg_follow *follow, const struct eg_link *link)
{
	return strcmp(link->kind, "tun") == 0 && !link->tap &&
	       eg_policy_has_tunnel(follow->policy, link->name);
}

static void tell_covered(struct eg_follow *follow, const struct eg_underlay *underlay)
{
	char name[IFNAMSIZ * 4];

	escaped(name, underlay->link.name);
	if (may_be_tunnel(follow, &underlay->link))
		tell(follow, false, "%s is guarded until a WireGuard answers for it", name);
	else if (underlay->has_peer)
		tell(follow, false, "%s is guarded: `device` and `peer` are on it", name);
	else if (underlay->by_others)
		tell(follow, false, "%s is guarded: `device` is on it", name);
	else
		tell(follow, true,
		     "%s is guarded by `device` alone, as it has no other end in reach: root "
		     "inside "
		     "can get past it",
		     name);
}

static void told(void *argument, const struct eg_underlay *underlay)
{
	tell_covered(argument, underlay);
}

/* A share of them at a time: others wait for the lock, and for this process. */
static int cover(struct eg_follow *follow, const struct eg_survey *survey, struct eg_error *error)
{
	struct eg_cover_pass *pass = &follow->pass;
	int result;

	pass->extent = EG_COVER_SHARE;
	pass->told = told;
	pass->argument = follow;
	result = eg_cover_some(follow->guard, &follow->netns, survey, pass, error);
	if (pass->n_left)
		look_at(follow, eg_monotonic_ns());
	return result;
}

/* What was an underlay until it proved to be the tunnel. */
static int free_tunnels(struct eg_follow *follow, const struct eg_survey *survey,
			struct eg_error *error)
{
	if (!eg_cover_is_on_tunnel(follow->guard, &follow->netns, survey))
		return 0;
	look_at(follow, eg_monotonic_ns());
	return eg_cover_free_tunnels(follow->guard, &follow->netns, follow->policy, true,
				     EG_COVER_SHARE, error);
}

static bool expects_tunnel(const struct eg_follow *follow, const struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_underlays; i++)
		if (may_be_tunnel(follow, &survey->underlays[i].link))
			return true;
	return false;
}

static int tell_hold(struct eg_follow *follow, const struct eg_survey *survey)
{
	__u32 tuns[EG_TUNNELS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < survey->n_tunnels && n < EG_TUNNELS_MAX; i++)
		if (survey->tunnels[i].kind == EG_TUNNEL_USERSPACE)
			tuns[n++] = survey->tunnels[i].link.ifindex;
	return follow->hold ? eg_hold_update(follow->hold, follow->guard, tuns, n) : 0;
}

/* Under the lock. */
static int look_around(struct eg_follow *follow, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	__u64 now;
	int result = read_policy(follow, error);

	if (result == 0)
		result = eg_survey_take_anyway(&follow->netns, follow->policy, &survey, error);
	if (result < 0)
		return result;
	result = cover(follow, &survey, error);
	if (result == 0)
		result = free_tunnels(follow, &survey, error);
	if (tell_hold(follow, &survey) < 0 && result == 0)
		result = eg_error_set(error, EG_EXIT_FAILED, EIO,
				      "cannot tell the layer `netns` of the interfaces");
	remember(follow, &survey);
	eg_guard_clean(follow->guard, &follow->netns);
	(void)eg_viewers_reclaim(follow->guard);
	now = eg_monotonic_ns();
	if (!expects_tunnel(follow, &survey))
		follow->tun_until_ns = now + TUN_PATIENCE_NS;
	else if (now < follow->tun_until_ns)
		look_at(follow, now + AGAIN_NS);
	return result;
}

/* Others have their turn. */
static void make_space(struct eg_follow *follow, __u64 began_ns)
{
	__u64 now = eg_monotonic_ns(), space = now - began_ns;

	space = space < SPACE_NS ? SPACE_NS : space > SPACE_MAX_NS ? SPACE_MAX_NS : space;
	follow->space_until_ns = now + space;
	if (follow->look_ns < follow->space_until_ns)
		follow->look_ns = follow->space_until_ns;
}

static int look(struct eg_follow *follow, unsigned int lock_wait_ms, struct eg_error *error)
{
	__u64 began_ns = eg_monotonic_ns();
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = lock(follow, lock_wait_ms, &pins, error);

	/* What another command has made of it is looked at first. */
	if (result == 0 && eg_guard_is_current(follow->guard) != 1)
		return -EAGAIN;
	follow->look_ns = eg_moment_in_ns(LOOK_NS);
	if (result == 0)
		result = look_around(follow, error);
	if (result == 0 && follow->hold && !follow->claimed) {
		result = claim(follow, eg_hold_id(follow->hold));
		follow->claimed = result == 0;
	}
	eg_guard_rest(follow->guard);
	make_space(follow, began_ns);
	return result;
}

static void look_again(struct eg_follow *follow)
{
	struct eg_error error = {};
	int result = look(follow, 0, &error);

	if (result == 0) {
		follow->complaint[0] = '\0';
		return;
	}
	if (*error.message && result != -EWOULDBLOCK && result != -EBUSY)
		complain(follow, &error);
	look_at(follow, eg_monotonic_ns() + AGAIN_NS);
}

/* --- when the last process has gone ------------------------------------------------------------
 */

static enum eg_follow_end check_gone(struct eg_follow *follow)
{
	EG_AUTO_NETNS struct eg_netns found = EG_NETNS_NONE;
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result =
		eg_netns_find(follow->netns.dev, follow->netns.inode, follow->netns.cookie, &found);

	if (result == 0) {
		struct eg_error error = {};

		follow->netns = found;
		found = EG_NETNS_NONE;
		result = find_witness(follow);
		if (result == 0)
			result = start_monitor(follow);
		if (result == 0)
			result = take_hold(follow, &error);
		if (result < 0) {
			let_go(follow);
			return EG_FOLLOW_GOES_ON;
		}
		tell(follow, false, "its namespace is in use again, and is followed again");
		follow->look_ns = eg_monotonic_ns();
		return EG_FOLLOW_GOES_ON;
	}
	if (result != -ENOENT || !eg_guard_is_dead(follow->guard) ||
	    lock(follow, 0, &pins, NULL) < 0)
		return EG_FOLLOW_GOES_ON;
	return eg_reap(&pins, NULL) < 0 ? EG_FOLLOW_GOES_ON : EG_FOLLOW_GONE;
}

static void check_witness(struct eg_follow *follow)
{
	int result;

	if (eg_witness_holds(&follow->witness, &follow->netns))
		return;
	result = find_witness(follow);
	if (result != -ENOENT) /* found, or not known: then it is not given up */
		return;
	tell(follow, false, "nothing else keeps its namespace: let go of it");
	let_go(follow);
}

/* Only who follows it knows whether there is a tunnel. A namespace that is slow to tell is not
 * asked all the time: the time to ask then ends. */
static void tend_names(struct eg_follow *follow)
{
	__u64 started = eg_monotonic_ns(), took;

	if (!follow->policy || started < follow->names_ns)
		return;
	follow->names_open = false;
	if (!eg_names_are_asked(follow->policy))
		return;
	(void)eg_names_tend(follow->guard, &follow->netns, follow->policy, EG_NAMES_KEPT_MS,
			    &follow->names_open);
	took = eg_monotonic_ns() - started;
	follow->names_ns = started + took * NAMES_SHARE;
}

/* --- work ---------------------------------------------------------------------------------------
 */

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(8)));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

static enum eg_follow_end take_events(struct eg_follow *follow)
{
	struct epoll_event events[8];
	bool guard = false;
	int n = epoll_wait(follow->epoll_fd, events, 8, 0);

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == follow->timer_fd) {
			drain(fd);
		} else if (fd == follow->inotify_fd) {
			drain(fd);
			guard = true;
		} else if (fd == follow->monitor_fd) {
			if (eg_monitor_drain(fd) != 0) {
				look_at(follow, eg_monotonic_ns());
				follow->changed = true;
			}
		} else {
			follow->tick_ns = eg_monotonic_ns(); /* the witness has ended */
		}
	}
	return guard ? check_guard(follow) : EG_FOLLOW_GOES_ON;
}

static enum eg_follow_end tick(struct eg_follow *follow)
{
	enum eg_follow_end end = check_guard(follow);

	follow->tick_ns = eg_moment_in_ns(TICK_NS);
	if (end != EG_FOLLOW_GOES_ON)
		return end;
	if (follow->netns.fd >= 0)
		check_witness(follow);
	if (follow->netns.fd < 0)
		end = check_gone(follow);
	else
		tend_names(follow);
	return end;
}

enum eg_follow_end eg_follow_work(struct eg_follow *follow)
{
	enum eg_follow_end end = take_events(follow);

	if (end == EG_FOLLOW_GOES_ON && eg_monotonic_ns() >= follow->tick_ns)
		end = tick(follow);
	if (end == EG_FOLLOW_GOES_ON && follow->netns.fd >= 0 &&
	    eg_monotonic_ns() >= follow->look_ns)
		look_again(follow);
	set_timer(follow);
	return end;
}

int eg_follow_fd(const struct eg_follow *follow)
{
	return follow->epoll_fd;
}

const struct eg_netns *eg_follow_netns(const struct eg_follow *follow)
{
	return &follow->netns;
}

const struct eg_hold *eg_follow_hold(const struct eg_follow *follow)
{
	return follow->hold;
}

bool eg_follow_is_current(const struct eg_follow *follow)
{
	return follow->netns.fd >= 0 && eg_guard_is_current(follow->guard) == 1;
}

bool eg_follow_has_changed(struct eg_follow *follow)
{
	bool changed = follow->changed;

	follow->changed = false;
	return changed;
}

bool eg_follow_names_open(const struct eg_follow *follow)
{
	return follow->names_open;
}

void eg_follow_hurry(struct eg_follow *follow)
{
	follow->tick_ns = eg_monotonic_ns();
	set_timer(follow);
}

/* --- beginning and end
 * ---------------------------------------------------------------------------- */

/* Whoever ends in order is not missed afterwards. */
static void disclaim(struct eg_follow *follow)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	if (!follow->claimed || lock(follow, FIRST_LOCK_MS, &pins, NULL) < 0 ||
	    eg_guard_refresh(follow->guard) < 0 ||
	    eg_guard_meta(follow->guard)->hold_prog_id != eg_hold_id(follow->hold))
		return;
	(void)claim(follow, 0);
}

void eg_follow_free(struct eg_follow *follow)
{
	if (!follow)
		return;
	disclaim(follow);
	let_go(follow);
	eg_guard_close(follow->guard);
	eg_policy_free(follow->policy);
	eg_cleanup_close(&follow->epoll_fd);
	eg_cleanup_close(&follow->timer_fd);
	eg_cleanup_close(&follow->inotify_fd);
	free(follow->known);
	free(follow->pin_dir);
	free(follow->name);
	free(follow);
}

int eg_follow_watch(struct eg_follow *follow)
{
	follow->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (follow->inotify_fd < 0)
		return -errno;
	if (inotify_add_watch(follow->inotify_fd, follow->pin_dir ? follow->pin_dir : EG_PIN_ROOT,
			      IN_MOVE | IN_DELETE) < 0)
		return -errno;
	return wait_for(follow, follow->inotify_fd);
}

static int make_waiting(struct eg_follow *follow)
{
	follow->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	follow->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return follow->epoll_fd < 0 || follow->timer_fd < 0 ? -errno
							    : wait_for(follow, follow->timer_fd);
}

static int start_waiting(struct eg_follow *follow)
{
	int result = make_waiting(follow);

	if (result == 0)
		result = start_monitor(follow);
	return result;
}

static int find_namespace(struct eg_follow *follow, struct eg_error *error)
{
	const struct eg_meta *meta = eg_guard_meta(follow->guard);
	int result = eg_netns_find((dev_t)meta->netns_dev, (ino_t)meta->netns_inode,
				   meta->netns_cookie, &follow->netns);
	char path[EG_TARGET_MAX + 1];

	/* A file that is kept elsewhere is known by the target's own word. */
	if (result == -ENOENT && *target_path(follow, path) == '/' &&
	    eg_netns_open_path(path, &follow->netns, NULL) == 0)
		result = is_our_namespace(follow, meta) ? 0 : -ENOENT;
	if (result == 0)
		result = find_witness(follow);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot follow the guard's namespace: no process and no file "
				    "that keeps it is to be seen from here (%s), and by following "
				    "it this process would keep it for ever",
				    strerror(-result));
	return 0;
}

static int start(struct eg_follow *follow, struct eg_error *error)
{
	int result = open_guard(follow, &follow->guard, error);

	if (result == 0)
		result = find_namespace(follow, error);
	if (result < 0)
		return result;
	result = start_waiting(follow);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot wait for changes of the namespace: %s",
				    strerror(-result));
	result = take_hold(follow, error);
	if (result < 0)
		return result;
	*error = (struct eg_error){};
	watch_witness(follow);
	follow->tick_ns = eg_moment_in_ns(TICK_NS);
	follow->tun_until_ns = eg_monotonic_ns() + TUN_PATIENCE_NS;
	result = look(follow, FIRST_LOCK_MS, error);
	if (result < 0 && *error->message)
		return result;
	if (result < 0) /* replaced at this very moment: what comes now tells */
		follow->look_ns = 0;
	set_timer(follow);
	return 0;
}

int eg_follow_new(const char *pin_dir, const char *name, eg_follow_say say, void *argument,
		  struct eg_follow **ret_follow, struct eg_error *error)
{
	EG_AUTO_FOLLOW struct eg_follow *follow = calloc(1, sizeof(*follow));
	int result;

	if (!follow)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	follow->epoll_fd = follow->monitor_fd = follow->timer_fd = follow->inotify_fd = -1;
	follow->netns = EG_NETNS_NONE;
	follow->witness = EG_WITNESS_NONE;
	follow->look_ns = ~0ULL;
	follow->say = say;
	follow->argument = argument;
	follow->name = strdup(name);
	if (pin_dir)
		follow->pin_dir = strdup(pin_dir);
	if (!follow->name || (pin_dir && !follow->pin_dir))
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	result = start(follow, error);
	if (result < 0)
		return result;
	*ret_follow = EG_TAKE(follow);
	return 0;
}
