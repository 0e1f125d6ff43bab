// SPDX-License-Identifier: GPL-2.0
/*
 * What loading costs. Nearly all of `attach` is the verifier, and in an emulated machine a test is
 * mostly that; so its work has a limit, in instructions processed, which no machine's speed
 * changes. A program that goes beyond has ways that multiply: see eg_forget() and EG_GLOBAL.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.skel.h"
#include "cgroup_nobtf.skel.h"
#include "guard.skel.h"
#include "guard_nobtf.skel.h"
#include "kern/features.h"
#include "netns.skel.h"
#include "util/cleanup.h"

#define INSNS_MAX 40000

/* BPF_LOG_STATS of the kernel's bpf_verifier.h: the summary alone */
#define LOG_STATS 4

static bool kernel_has_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

/* From a log's "processed N insns ...". */
static unsigned long processed(const char *log)
{
	const char *at = strstr(log, "processed ");
	unsigned long n = 0;

	if (!at || sscanf(at, "processed %lu", &n) != 1)
		fail_msg("no summary in the verifier's log: %s", log);
	return n;
}

static char logs[EG_PROG_COUNT][4096];

static struct bpf_object *load(enum eg_object which, const void *elf, size_t elf_size,
			       bool with_setsockopt)
{
	struct bpf_object *object = bpf_object__open_mem(elf, elf_size, NULL);

	assert_non_null(object);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		struct bpf_program *found =
			bpf_object__find_program_by_name(object, eg_progs[prog].function);

		if (eg_progs[prog].object != which)
			continue;
		assert_non_null(found);
		assert_int_equal(bpf_program__set_log_buf(found, logs[prog], sizeof(logs[prog])),
				 0);
		assert_int_equal(bpf_program__set_log_level(found, LOG_STATS), 0);
		if (prog == EG_PROG_SETSOCKOPT && !with_setsockopt)
			bpf_program__set_autoload(found, false);
	}
	if (bpf_object__load(object) == 0)
		return object;
	bpf_object__close(object);
	return NULL;
}

static void load_each(const char *name, enum eg_object which, const void *elf, size_t elf_size)
{
	EG_AUTO(close_object) struct bpf_object *object = load(which, elf, elf_size, true);
	bool with_setsockopt = object;

	/* Linux 5.10 tells a program for setsockopt nothing of the process. */
	if (!object && strstr(logs[EG_PROG_SETSOCKOPT], "unknown func"))
		object = load(which, elf, elf_size, false);
	for (enum eg_prog prog = 0; !object && prog < EG_PROG_COUNT; prog++)
		print_message("%s: %s\n", eg_progs[prog].function, logs[prog]);
	if (!object)
		fail_msg("%s is refused", name);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		unsigned long n;

		if (eg_progs[prog].object != which ||
		    (prog == EG_PROG_SETSOCKOPT && !with_setsockopt))
			continue;
		n = processed(logs[prog]);
		printf("%s, %s: %lu instructions processed, at most %d\n", name,
		       eg_progs[prog].function, n, INSNS_MAX);
		assert_true(n && n <= INSNS_MAX);
	}
}

static void test_verifier_with_btf(void **state)
{
	size_t elf_size;
	const void *elf = guard_bpf__elf_bytes(&elf_size);

	(void)state;
	if (!kernel_has_btf()) {
		print_message("this kernel has no BTF\n");
		skip();
	}
	load_each("with BTF", EG_OBJECT_GUARD, elf, elf_size);
	elf = cgroup_bpf__elf_bytes(&elf_size);
	load_each("with BTF", EG_OBJECT_CGROUP, elf, elf_size);
}

static void test_verifier_without_btf(void **state)
{
	size_t elf_size;
	const void *elf = guard_nobtf_bpf__elf_bytes(&elf_size);

	(void)state;
	load_each("without BTF", EG_OBJECT_GUARD, elf, elf_size);
	elf = cgroup_nobtf_bpf__elf_bytes(&elf_size);
	load_each("without BTF", EG_OBJECT_CGROUP, elf, elf_size);
}

/* At netfilter: by numbers that an older libbpf does not know (kern/hold.c). */
static void test_verifier_netns(void **state)
{
	static char log[4096];
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	struct bpf_program *prog;
	size_t elf_size;
	const void *elf = netns_bpf__elf_bytes(&elf_size);
	unsigned long n;

	(void)state;
	if (!kernel_has_btf() || !eg_features_has_netfilter()) {
		printf("\nSKIP: this kernel has no BPF netfilter programs\n");
		fflush(stdout);
		skip();
	}
	object = bpf_object__open_mem(elf, elf_size, NULL);
	assert_non_null(object);
	prog = bpf_object__find_program_by_name(object, "eg_netns");
	assert_non_null(prog);
	bpf_program__set_type(prog, (enum bpf_prog_type)32);
	bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)45);
	assert_int_equal(bpf_program__set_log_buf(prog, log, sizeof(log)), 0);
	assert_int_equal(bpf_program__set_log_level(prog, LOG_STATS), 0);
	if (bpf_object__load(object) < 0)
		fail_msg("netns is refused: %s", log);
	n = processed(log);
	printf("eg_netns: %lu instructions processed, at most %d\n", n, INSNS_MAX);
	assert_true(n && n <= INSNS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifier_netns),
		cmocka_unit_test(test_verifier_with_btf),
		cmocka_unit_test(test_verifier_without_btf),
	};

	fixture_enter("test_load");
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
