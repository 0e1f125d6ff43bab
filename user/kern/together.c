// SPDX-License-Identifier: GPL-2.0
#include "kern/together.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kern/relocated.h"
#include "util/cleanup.h"
#include "util/thread.h"

/*
 * Each program that libbpf is about to load is given, with all that libbpf would have passed on, to
 * a thread, and to libbpf one that returns 0 in its place.
 */

struct one {
	enum eg_prog prog;
	struct eg_relocated relocated;
	pthread_t thread;
	int fd; /* or -errno */
};

struct batch {
	struct one all[EG_PROG_COUNT];
	size_t n;
};

void eg_loaded_close(struct eg_loaded *loaded)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		eg_cleanup_close(&loaded->fds[prog]);
		loaded->fds[prog] = -1;
	}
}

static void *load_one(void *argument)
{
	struct one *one = argument;

	one->fd = eg_relocated_load(&one->relocated);
	return NULL;
}

static bool find_prog(const char *function, enum eg_prog *ret_prog)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		if (strcmp(eg_progs[prog].function, function) == 0) {
			*ret_prog = prog;
			return true;
		}
	}
	return false;
}

/* What libbpf loads instead. */
static int put_nothing(struct bpf_program *prog, struct bpf_prog_load_opts *opts)
{
	struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};

	opts->func_info = NULL;
	opts->func_info_cnt = 0;
	opts->line_info = NULL;
	opts->line_info_cnt = 0;
	return bpf_program__set_insns(prog, nothing, sizeof(nothing) / sizeof(*nothing));
}

static int hand_over(struct bpf_program *prog, struct bpf_prog_load_opts *opts, void *argument)
{
	struct batch *batch = argument;
	struct one one = {.fd = -EIO};
	struct one *place;
	int err;

	if (batch->n == EG_PROG_COUNT || !find_prog(bpf_program__name(prog), &one.prog))
		return -EINVAL;
	err = eg_relocated_copy(prog, opts, &one.relocated);
	if (!err)
		err = put_nothing(prog, opts);
	place = &batch->all[batch->n];
	*place = one;
	if (!err)
		err = eg_thread_start(&place->thread, load_one, place);
	if (err)
		eg_relocated_free(&place->relocated);
	else
		batch->n++;
	return err;
}

/* Those that libbpf loaded by itself. */
static int take_rest(struct bpf_object *object, struct eg_loaded *loaded)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		enum eg_prog which;

		if (bpf_program__fd(prog) < 0 || !find_prog(bpf_program__name(prog), &which) ||
		    loaded->fds[which] >= 0)
			continue;
		loaded->fds[which] = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);
		if (loaded->fds[which] < 0)
			return -errno;
	}
	return 0;
}

int eg_load_object(struct bpf_object *object, bool together, struct eg_loaded *ret_loaded)
{
	EG_AUTO(eg_loaded_close) struct eg_loaded loaded = EG_LOADED_NONE;
	struct batch batch = {};
	int err;

	err = eg_relocated_load_all(object, together ? hand_over : NULL, &batch);
	for (size_t i = 0; i < batch.n; i++) {
		struct one *one = &batch.all[i];

		pthread_join(one->thread, NULL);
		eg_relocated_free(&one->relocated);
		if (one->fd >= 0)
			loaded.fds[one->prog] = one->fd;
		else if (!err)
			err = one->fd;
	}
	if (!err)
		err = take_rest(object, &loaded);
	if (err)
		return err;
	*ret_loaded = loaded;
	loaded = EG_LOADED_NONE;
	return 0;
}
