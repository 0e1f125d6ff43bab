// SPDX-License-Identifier: GPL-2.0
#include "kern/relocated.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

void eg_relocated_free(struct eg_relocated *relocated)
{
	free(EG_TAKE(relocated->name));
	free(EG_TAKE(relocated->insns));
	free(EG_TAKE(relocated->func_info));
	free(EG_TAKE(relocated->line_info));
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

int eg_relocated_copy(const struct bpf_program *prog, const struct bpf_prog_load_opts *opts,
		      struct eg_relocated *ret_relocated)
{
	struct eg_relocated made = {
		.type = bpf_program__type(prog),
		.name = strdup(bpf_program__name(prog)),
		.n_insns = bpf_program__insn_cnt(prog),
	};
	void *insns = NULL;
	int err = made.name ? 0 : -ENOMEM;

	/* A newer libbpf's may have more members than we know of, an older one's fewer. */
	memcpy(&made.opts, opts, opts->sz < sizeof(made.opts) ? opts->sz : sizeof(made.opts));
	made.opts.sz = sizeof(made.opts);
	if (!err)
		err = copy(bpf_program__insns(prog), made.n_insns, sizeof(struct bpf_insn), &insns);
	made.insns = insns;
	if (!err)
		err = copy(opts->func_info, opts->func_info_cnt, opts->func_info_rec_size,
			   &made.func_info);
	if (!err)
		err = copy(opts->line_info, opts->line_info_cnt, opts->line_info_rec_size,
			   &made.line_info);
	made.opts.func_info = made.func_info;
	made.opts.line_info = made.line_info;
	if (err)
		eg_relocated_free(&made);
	else
		*ret_relocated = made;
	return err;
}

int eg_relocated_load(struct eg_relocated *relocated)
{
	return bpf_prog_load(relocated->type, relocated->name, "GPL", relocated->insns,
			     relocated->n_insns, &relocated->opts);
}

/* --- what libbpf shows ------------------------------------------------------------------------ */

/* Of what the calling thread is loading. */
static _Thread_local struct {
	eg_relocated_seen seen;
	void *argument;
} shown;

/* Asked by libbpf, of each program of such a section that this process loads. */
static int show(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)cookie;
	return shown.seen ? shown.seen(prog, opts, shown.argument) : 0;
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
	{"netfilter", (enum bpf_prog_type)EG_PROG_TYPE_NETFILTER,
	 (enum bpf_attach_type)EG_ATTACH_NETFILTER},
};

static void register_sections(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = show);

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		(void)libbpf_register_prog_handler(sections[i].name, sections[i].type,
						   sections[i].attach, &opts);
}

/* All at once: libbpf keeps no lock. */
void eg_relocated_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_sections);
}

int eg_relocated_load_all(struct bpf_object *object, eg_relocated_seen seen, void *argument)
{
	int err;

	shown.seen = seen;
	shown.argument = argument;
	err = bpf_object__load(object);
	shown.seen = NULL;
	return err;
}
