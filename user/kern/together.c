// SPDX-License-Identifier: GPL-2.0
#include "kern/together.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * libbpf relocates all programs of an object before it loads the first, and asks whoever has
 * registered a section before it loads one of that section. Asked so, we give the program with all
 * that libbpf would have passed on to a thread, and leave to libbpf one that returns 0 in its
 * place.
 */

struct one {
	enum eg_prog prog;
	enum bpf_prog_type type;
	const char *name;
	struct bpf_insn *insns;
	size_t n_insns;
	struct bpf_prog_load_opts opts;
	void *func_info, *line_info; /* those of the object go where it fails to load */
	pthread_t thread;
	int fd; /* or -errno */
};

struct batch {
	struct one all[EG_PROG_COUNT];
	size_t n;
};

/* What the calling thread is loading, NULL: nothing together. */
static _Thread_local struct batch *current;

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

	one->fd = bpf_prog_load(one->type, one->name, "GPL", one->insns, one->n_insns, &one->opts);
	return NULL;
}

/* Signals are for the threads that were there before. */
static int start(struct one *one)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&one->thread, NULL, load_one, one);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
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

static void one_free(struct one *one)
{
	free(EG_TAKE(one->insns));
	free(EG_TAKE(one->func_info));
	free(EG_TAKE(one->line_info));
}

static int copy(const void *from, size_t n, size_t size, void **ret_copy)
{
	if (!from || !n || !size)
		return 0;
	*ret_copy = reallocarray(NULL, n, size);
	if (!*ret_copy)
		return -ENOMEM;
	memcpy(*ret_copy, from, n * size);
	return 0;
}

static int copy_all(struct one *one, const struct bpf_program *prog,
		    const struct bpf_prog_load_opts *opts)
{
	void *insns = NULL;
	int err;

	/* A newer libbpf's may have more members than we know of, an older one's fewer. */
	memcpy(&one->opts, opts, opts->sz < sizeof(one->opts) ? opts->sz : sizeof(one->opts));
	one->opts.sz = sizeof(one->opts);
	err = copy(bpf_program__insns(prog), one->n_insns, sizeof(struct bpf_insn), &insns);
	one->insns = insns;
	if (!err)
		err = copy(opts->func_info, opts->func_info_cnt, opts->func_info_rec_size,
			   &one->func_info);
	if (!err)
		err = copy(opts->line_info, opts->line_info_cnt, opts->line_info_rec_size,
			   &one->line_info);
	one->opts.func_info = one->func_info;
	one->opts.line_info = one->line_info;
	return err;
}

/* Asked by libbpf, of each program of such a section that this process loads. */
static int hand_over(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	struct one one = {
		.type = bpf_program__type(prog),
		.name = bpf_program__name(prog),
		.n_insns = bpf_program__insn_cnt(prog),
		.fd = -EIO,
	};
	struct one *place;
	int err;

	(void)cookie;
	if (!current)
		return 0;
	if (current->n == EG_PROG_COUNT || !find_prog(one.name, &one.prog))
		return -EINVAL;
	err = copy_all(&one, prog, opts);
	if (!err)
		err = put_nothing(prog, opts);
	place = &current->all[current->n];
	*place = one;
	if (!err)
		err = start(place);
	if (err)
		one_free(place);
	else
		current->n++;
	return err;
}

static const struct section {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} sections[] = {
	{"tc", BPF_PROG_TYPE_SCHED_CLS, 0},
	{"cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE},
	{"cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
	{"cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
	{"cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
};

/* Where that fails, libbpf loads as it always does. */
static void register_sections(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = hand_over);

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		(void)libbpf_register_prog_handler(sections[i].name, sections[i].type,
						   sections[i].attach, &opts);
}

void eg_together_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_sections);
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

	current = together ? &batch : NULL;
	err = bpf_object__load(object);
	current = NULL;
	for (size_t i = 0; i < batch.n; i++) {
		struct one *one = &batch.all[i];

		pthread_join(one->thread, NULL);
		one_free(one);
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
