// SPDX-License-Identifier: GPL-2.0
/*
 * Viewers of live events. Each has a ring buffer of its own in a slot of `viewers` and a word in
 * `viewer_beats`, which all of them have mapped: a beat is one store of one word, so that viewers
 * cannot write over one another. A word changes owner by compare-and-exchange, under a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define RING_SIZE     (8U << 20)
#define RING_SIZE_MIN (256U << 10)

/* Not live for the programs, not free for other viewers: its owner is putting its ring there. */
#define BEAT_CLAIMED 1

struct eg_viewer {
	struct eg_viewer_beats *beats; /* mapped */
	int viewers_fd;
	int lost_fd;
	int dir_fd;
	int ring_fd;
	struct ring_buffer *ring;
	__u32 slot;
	__u64 beat_ns;     /* what our word holds, as long as it is ours */
	__u64 lost_before; /* by others, before the slot was ours */
	__u64 lost_so_far; /* in slots that were taken from us */
	eg_viewer_event call;
	void *argument;
	int stopped; /* what the callback returned */
};

static size_t mapped_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (sizeof(struct eg_viewer_beats) + page - 1) / page * page;
}

static bool is_stale(__u64 beat_ns, __u64 now_ns)
{
	return !beat_ns || (beat_ns < now_ns && now_ns - beat_ns >= EG_VIEWER_STALE_NS);
}

static bool exchange(__u64 *word, __u64 from, __u64 to)
{
	return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* Among viewers only: a root lock would keep them waiting for a long `attach`. Blocks shortly. */
static int lock_slots(int dir_fd)
{
	EG_AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return EG_TAKE_FD(fd);
}

static __u64 read_lost(const struct eg_viewer *viewer)
{
	__u64 lost = 0;

	bpf_map_lookup_elem(viewer->lost_fd, &viewer->slot, &lost);
	return lost;
}

/* With the lock held. -EBUSY: all slots are live. */
static int claim_slot(struct eg_viewer *viewer)
{
	__u64 now_ns = eg_monotonic_ns();

	for (__u32 slot = 0; slot < EG_VIEWERS; slot++) {
		__u64 *word = &viewer->beats->beat_ns[slot];
		__u64 seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);

		/* Whoever owned it may come back to life just now. */
		if (!is_stale(seen, now_ns) || !exchange(word, seen, BEAT_CLAIMED))
			continue;
		if (bpf_map_update_elem(viewer->viewers_fd, &slot, &viewer->ring_fd, BPF_ANY) < 0) {
			int err = -errno;

			exchange(word, BEAT_CLAIMED, 0);
			return err;
		}
		viewer->slot = slot;
		viewer->lost_before = read_lost(viewer);
		viewer->beat_ns = eg_monotonic_ns();
		__atomic_store_n(word, viewer->beat_ns, __ATOMIC_SEQ_CST);
		return 0;
	}
	return -EBUSY;
}

static int take_slot(struct eg_viewer *viewer)
{
	EG_AUTO_CLOSE int lock_fd = lock_slots(viewer->dir_fd);

	return lock_fd < 0 ? lock_fd : claim_slot(viewer);
}

/* --- the ring ------------------------------------------------------------------------------- */

static int receive(void *argument, void *data, size_t size)
{
	struct eg_viewer *viewer = argument;

	if (size < sizeof(struct eg_event))
		return 0;
	viewer->stopped = viewer->call(data, viewer->argument);
	/* libbpf stops at negative results only. */
	return viewer->stopped ? -ECANCELED : 0;
}

/* A smaller one where memory is short: events may get lost then, and are counted as lost. */
static int make_ring(struct eg_viewer *viewer)
{
	__u32 size = RING_SIZE;

	do {
		viewer->ring_fd =
			bpf_map_create(BPF_MAP_TYPE_RINGBUF, "eg_viewer", 0, 0, size, NULL);
		size /= 2;
	} while (viewer->ring_fd < 0 && (errno == ENOMEM || errno == EPERM) &&
		 size >= RING_SIZE_MIN);
	if (viewer->ring_fd < 0)
		return -errno;
	viewer->ring = ring_buffer__new(viewer->ring_fd, receive, viewer, NULL);
	return viewer->ring ? 0 : -errno;
}

/* --- opening, closing ------------------------------------------------------------------------ */

static int take_copy(int fd, int *ret_fd)
{
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? -errno : 0;
}

static int map_beats(struct eg_viewer *viewer, int fd)
{
	void *mapped = mmap(NULL, mapped_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mapped == MAP_FAILED)
		return -errno;
	viewer->beats = mapped;
	return 0;
}

static int prepare(struct eg_viewer *viewer, struct eg_guard *guard)
{
	int err = map_beats(viewer, eg_guard_map(guard, EG_MAP_VIEWER_BEATS));

	/* The guard may be closed before the viewer is. */
	if (!err)
		err = take_copy(eg_guard_map(guard, EG_MAP_VIEWERS), &viewer->viewers_fd);
	if (!err)
		err = take_copy(eg_guard_map(guard, EG_MAP_VIEWER_LOST), &viewer->lost_fd);
	if (!err)
		err = take_copy(guard->dir_fd, &viewer->dir_fd);
	return err ? err : make_ring(viewer);
}

static void viewer_closep(struct eg_viewer **viewer)
{
	eg_viewer_close(*viewer);
}

int eg_viewer_open(struct eg_guard *guard, eg_viewer_event call, void *argument,
		   struct eg_viewer **ret_viewer, struct eg_error *error)
{
	EG_AUTO(viewer_closep) struct eg_viewer *viewer = calloc(1, sizeof(*viewer));
	int err;

	if (!viewer)
		return eg_error_no_memory(error);
	viewer->viewers_fd = viewer->lost_fd = viewer->dir_fd = viewer->ring_fd = -1;
	viewer->call = call;
	viewer->argument = argument;
	if (guard->other_abi)
		return eg_error_set(error, EG_EXIT_FAILED, EPROTO,
				    "the guard was made by another version of egressguard");
	eg_libbpf_capture();
	err = prepare(viewer, guard);
	if (err == -ENOMEM || err == -EPERM)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot make a ring buffer for events: %s; free some memory, "
				    "or raise the limit of locked memory (`ulimit -l`)",
				    strerror(-err));
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot prepare to view events: %s", strerror(-err));
	err = take_slot(viewer);
	if (err == -EBUSY)
		return eg_error_set(error, EG_EXIT_FAILED, EBUSY,
				    "%d viewers are looking at this guard already, which is the "
				    "most: stop one of them",
				    EG_VIEWERS);
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot take a viewer's slot: %s",
				    strerror(-err));
	*ret_viewer = EG_TAKE(viewer);
	return 0;
}

static void free_slot(struct eg_viewer *viewer)
{
	EG_AUTO_CLOSE int lock_fd = lock_slots(viewer->dir_fd);

	if (exchange(&viewer->beats->beat_ns[viewer->slot], viewer->beat_ns, 0) && lock_fd >= 0)
		bpf_map_delete_elem(viewer->viewers_fd, &viewer->slot);
}

void eg_viewer_close(struct eg_viewer *viewer)
{
	if (!viewer)
		return;
	if (viewer->beat_ns)
		free_slot(viewer);
	ring_buffer__free(viewer->ring);
	if (viewer->beats)
		munmap(viewer->beats, mapped_size());
	eg_cleanup_close(&viewer->ring_fd);
	eg_cleanup_close(&viewer->dir_fd);
	eg_cleanup_close(&viewer->lost_fd);
	eg_cleanup_close(&viewer->viewers_fd);
	free(viewer);
}

/* --- use ------------------------------------------------------------------------------------ */

int eg_viewer_fd(const struct eg_viewer *viewer)
{
	return ring_buffer__epoll_fd(viewer->ring);
}

int eg_viewer_beat(struct eg_viewer *viewer)
{
	__u64 now_ns = eg_monotonic_ns();

	if (viewer->beat_ns &&
	    exchange(&viewer->beats->beat_ns[viewer->slot], viewer->beat_ns, now_ns)) {
		viewer->beat_ns = now_ns;
		return 0;
	}
	/* We slept for too long and another took the slot. What happened since nobody counted. */
	if (viewer->beat_ns)
		viewer->lost_so_far = eg_viewer_lost(viewer);
	viewer->beat_ns = 0;
	return take_slot(viewer);
}

int eg_viewer_consume(struct eg_viewer *viewer)
{
	int n;

	viewer->stopped = 0;
	n = ring_buffer__consume(viewer->ring);
	return viewer->stopped ? viewer->stopped : n;
}

uint64_t eg_viewer_lost(struct eg_viewer *viewer)
{
	if (!viewer->beat_ns)
		return viewer->lost_so_far;
	return viewer->lost_so_far + (read_lost(viewer) - viewer->lost_before);
}

int eg_viewers_reclaim(struct eg_guard *guard)
{
	struct eg_viewer viewer = {};
	EG_AUTO_CLOSE int lock_fd = -1;
	__u64 now_ns;
	int reclaimed = 0, err;

	if (guard->other_abi)
		return -EPROTO;
	err = map_beats(&viewer, eg_guard_map(guard, EG_MAP_VIEWER_BEATS));
	if (err)
		return err;
	lock_fd = lock_slots(guard->dir_fd);
	now_ns = eg_monotonic_ns();
	for (__u32 slot = 0; lock_fd >= 0 && slot < EG_VIEWERS; slot++) {
		__u64 *word = &viewer.beats->beat_ns[slot];
		__u64 seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);

		if (!seen || !is_stale(seen, now_ns) || !exchange(word, seen, 0))
			continue;
		eg_guard_delete(guard, EG_MAP_VIEWERS, &slot);
		reclaimed++;
	}
	munmap(viewer.beats, mapped_size());
	return lock_fd < 0 ? lock_fd : reclaimed;
}
