// SPDX-License-Identifier: GPL-2.0
#include "kern/spare.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "kern/hold.h"
#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/thread.h"

#define THREADS 2
/* Programs of the layer `netns` whose guards were made, and are yet to be held. */
#define HOLDS_MAX 16

struct spare {
	struct eg_guard *guard;
	struct eg_hold *hold; /* NULL: this kernel has no such layer */
};

struct held {
	struct eg_hold *hold;
	__u32 map_ids[EG_MAP_COUNT];
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	pthread_t threads[THREADS];
	size_t n_threads;
	unsigned int wanted, making;
	unsigned int wished; /* programs, a bit for each */
	struct spare ready[EG_SPARES_MAX];
	size_t n_ready;
	bool stop, no_hold;
	/* The maker's own; no thread looks at it. */
	struct held holds[HOLDS_MAX];
	size_t next_hold;
} spares = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void free_spare(struct spare *spare)
{
	eg_hold_close(spare->hold);
	eg_guard_close(spare->guard);
	*spare = (struct spare){};
}

/* --- making them ------------------------------------------------------------------------------ */

static int make(unsigned int wished, bool with_hold, struct spare *ret_spare)
{
	struct spare spare = {.guard = eg_guard_blank()};
	int err = spare.guard ? eg_guard_load_spare(spare.guard, wished) : -ENOMEM;

	if (!err && with_hold)
		err = eg_hold_prepare(spare.guard, &spare.hold);
	/* It is told when somebody asks for the layer; the rest is as good without. */
	if (err == -EOPNOTSUPP && with_hold)
		err = 0;
	if (err)
		free_spare(&spare);
	else
		*ret_spare = spare;
	/* libbpf has read all that the kernel tells of its types, some megabytes. */
	malloc_trim(0);
	return err;
}

/* Makes one, and lets go of the lock meanwhile. */
static void make_ready(void)
{
	struct spare spare = {};
	bool with_hold = !spares.no_hold;
	unsigned int wished = spares.wished;
	int err;

	spares.making++;
	pthread_mutex_unlock(&spares.mutex);
	err = make(wished, with_hold, &spare);
	pthread_mutex_lock(&spares.mutex);
	spares.making--;
	if (err) {
		spares.wanted = 0; /* whoever makes a guard is told why */
	} else {
		spares.no_hold = !spare.hold;
		if (spares.n_ready < spares.wanted) {
			spares.ready[spares.n_ready++] = spare;
			spare = (struct spare){};
		}
	}
	free_spare(&spare);
	pthread_cond_broadcast(&spares.changed);
}

static void *keep_ready(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&spares.mutex);
	while (!spares.stop) {
		if (spares.n_ready + spares.making < spares.wanted)
			make_ready();
		else
			pthread_cond_wait(&spares.changed, &spares.mutex);
	}
	pthread_mutex_unlock(&spares.mutex);
	return NULL;
}

static void start_threads(void)
{
	while (spares.n_threads < THREADS &&
	       eg_thread_start(&spares.threads[spares.n_threads], keep_ready, NULL) == 0)
		spares.n_threads++;
}

static unsigned int ask_wished(const char *pin_dir)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	return eg_pins_open(pin_dir, false, &pins, NULL) < 0 ? 0 : eg_shared_progs(pins.dir_fd);
}

void eg_spares_want(const char *pin_dir, unsigned int n)
{
	unsigned int wished = n ? ask_wished(pin_dir) : 0;

	pthread_mutex_lock(&spares.mutex);
	spares.wanted = n < EG_SPARES_MAX ? n : EG_SPARES_MAX;
	spares.wished = wished;
	while (spares.n_ready > spares.wanted)
		free_spare(&spares.ready[--spares.n_ready]);
	pthread_cond_broadcast(&spares.changed);
	pthread_mutex_unlock(&spares.mutex);
	if (n && !spares.n_threads)
		start_threads();
}

void eg_spares_end(void)
{
	eg_spares_want(NULL, 0);
	pthread_mutex_lock(&spares.mutex);
	spares.stop = true;
	pthread_cond_broadcast(&spares.changed);
	pthread_mutex_unlock(&spares.mutex);
	for (size_t i = 0; i < spares.n_threads; i++)
		pthread_join(spares.threads[i], NULL);
	spares.n_threads = 0;
	spares.stop = false;
	for (size_t i = 0; i < HOLDS_MAX; i++) {
		eg_hold_close(spares.holds[i].hold);
		spares.holds[i].hold = NULL;
	}
}

/* --- taking them ------------------------------------------------------------------------------ */

static int ask_map_ids(struct eg_guard *guard, __u32 ids[EG_MAP_COUNT])
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		ids[map] = eg_guard_map_id(guard, map);
		if (!ids[map])
			return -EIO;
	}
	return 0;
}

/* Until that guard is held; the oldest of too many is loaded again then. */
static void keep_hold(struct eg_guard *guard, struct eg_hold *hold)
{
	struct held *place = &spares.holds[spares.next_hold];

	if (!hold)
		return;
	eg_hold_close(place->hold);
	place->hold = NULL;
	if (ask_map_ids(guard, place->map_ids) < 0) {
		eg_hold_close(hold);
		return;
	}
	place->hold = hold;
	spares.next_hold = (spares.next_hold + 1) % HOLDS_MAX;
}

/* One that is being made is nearer to its end than one that would be begun now. */
static bool take(struct spare *ret_spare)
{
	bool taken;

	pthread_mutex_lock(&spares.mutex);
	while (!spares.n_ready && spares.making && spares.wanted)
		pthread_cond_wait(&spares.changed, &spares.mutex);
	taken = spares.n_ready;
	if (taken) {
		*ret_spare = spares.ready[--spares.n_ready];
		pthread_cond_broadcast(&spares.changed);
	}
	pthread_mutex_unlock(&spares.mutex);
	return taken;
}

bool eg_spare_take(struct eg_guard *guard, unsigned int wished)
{
	struct spare spare = {};

	if (!spares.n_threads)
		return false;
	pthread_mutex_lock(&spares.mutex);
	spares.wished = wished; /* the next one's, most likely */
	pthread_mutex_unlock(&spares.mutex);
	if (!take(&spare))
		return false;
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		guard->maps[map] = EG_TAKE_FD(spare.guard->maps[map]);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		guard->progs[prog] = EG_TAKE_FD(spare.guard->progs[prog]);
		guard->prog_ids[prog] = spare.guard->prog_ids[prog];
	}
	memcpy(guard->meta.prog_tags, spare.guard->meta.prog_tags, sizeof(guard->meta.prog_tags));
	keep_hold(guard, EG_TAKE(spare.hold));
	free_spare(&spare);
	return true;
}

static bool has_holds(void)
{
	for (size_t i = 0; i < HOLDS_MAX; i++)
		if (spares.holds[i].hold)
			return true;
	return false;
}

struct eg_hold *eg_spare_take_hold(struct eg_guard *guard)
{
	__u32 ids[EG_MAP_COUNT];

	if (!has_holds() || ask_map_ids(guard, ids) < 0)
		return NULL;
	for (size_t i = 0; i < HOLDS_MAX; i++) {
		struct held *held = &spares.holds[i];

		/* Over each of them: something else may be pinned as one by now. */
		if (held->hold && memcmp(held->map_ids, ids, sizeof(ids)) == 0)
			return EG_TAKE(held->hold);
	}
	return NULL;
}

/* --- for guards that are in force already ----------------------------------------------------- */

struct ahead {
	struct eg_guard *guard;
	struct eg_hold *hold; /* NULL: whoever holds it loads it, and is told why that fails */
	pthread_t thread;
	bool is_running;
};
_Static_assert(EG_SPARE_HOLDS_MAX <= HOLDS_MAX, "all of them are kept");

static void *load_ahead(void *argument)
{
	struct ahead *ahead = argument;

	(void)eg_hold_prepare(ahead->guard, &ahead->hold);
	return NULL;
}

static bool finish_ahead(struct ahead *ahead)
{
	bool loaded;

	if (ahead->is_running)
		pthread_join(ahead->thread, NULL);
	loaded = ahead->hold;
	if (loaded)
		keep_hold(ahead->guard, ahead->hold);
	eg_guard_close(ahead->guard);
	return loaded;
}

size_t eg_spares_hold(const char *pin_dir, const char *const *names, size_t n)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct ahead all[EG_SPARE_HOLDS_MAX] = {};
	size_t loaded = 0;

	if (n > EG_SPARE_HOLDS_MAX)
		n = EG_SPARE_HOLDS_MAX;
	if (eg_pins_open(pin_dir, false, &pins, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (eg_guard_open(&pins, names[i], &all[i].guard, NULL) == 0)
			all[i].is_running =
				eg_thread_start(&all[i].thread, load_ahead, &all[i]) == 0;
	for (size_t i = 0; i < n; i++)
		loaded += finish_ahead(&all[i]);
	return loaded;
}
