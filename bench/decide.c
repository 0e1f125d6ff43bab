// SPDX-License-Identifier: GPL-2.0
/*
 * What the decision alone costs, by BPF_PROG_TEST_RUN: each path through the table, in the same
 * program that `attach` loads, beside an empty program over the same frame.
 *
 * usage: decide [--rounds N] [--repeat N] [--cpu N] [--path NAME] [--prefixes N]... [--programs]
 *
 * Prints JSON. "paths" has for each path two lists of nanoseconds, one number a round: of the path,
 * and of the empty program right before it. The kernel tells a run's time in whole nanoseconds, so
 * the time of `repeat` runs is taken here and divided. --programs adds what each program is for the
 * kernel: instructions loaded and translated, bytes compiled, instructions the verifier processed.
 * --path NAME: that path alone, for a profile of it.
 * --prefixes N: instead of the usual paths three of them, under policies with N prefixes more.
 * Needs root.
 */
#include "bpf/fixture.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cgroup.skel.h"
#include "cgroup_nobtf.skel.h"
#include "guard.skel.h"
#include "guard_nobtf.skel.h"
#include "netns.skel.h"
#include "shared.skel.h"
#include "util/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static unsigned long rounds = 60;
static unsigned long repeat = 10000;
#define SIZES_MAX 8
static unsigned long sizes[SIZES_MAX];
static size_t n_sizes;
static int wants_programs;
static const char *only; /* NULL: all paths */

static void give_up(const char *what)
{
	fprintf(stderr, "decide: %s\n", what);
	exit(1);
}

/* A member that could not be stored would be a quiet omission. */
static void put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		give_up("out of memory");
}

static void add(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		give_up("out of memory");
}

/* --- programs --------------------------------------------------------------------------------- */

/* BPF_LOG_STATS of the kernel's bpf_verifier.h, and the numbers of netfilter programs, which an
 * older libbpf does not know (kern/hold.c). */
#define LOG_STATS           4
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

/* Loads one program of an object, alone. NULL where the kernel refuses it. */
static struct bpf_program *load_alone(struct bpf_object *object, const char *name, char *log,
				      size_t log_size)
{
	struct bpf_program *prog, *wanted = NULL;

	bpf_object__for_each_program(prog, object)
	{
		bool is_wanted = strcmp(bpf_program__name(prog), name) == 0;

		if (is_wanted)
			wanted = prog;
		bpf_program__set_autoload(prog, is_wanted);
		if (strcmp(bpf_program__section_name(prog), "netfilter") == 0) {
			bpf_program__set_type(prog, (enum bpf_prog_type)PROG_TYPE_NETFILTER);
			bpf_program__set_expected_attach_type(
				prog, (enum bpf_attach_type)ATTACH_NETFILTER);
		}
	}
	if (!wanted || bpf_program__set_log_buf(wanted, log, log_size) ||
	    bpf_program__set_log_level(wanted, LOG_STATS))
		give_up("libbpf takes no log");
	return bpf_object__load(object) ? NULL : wanted;
}

static void show_program(json_t *programs, const char *object_name, const void *elf,
			 size_t elf_size, const char *name)
{
	EG_AUTO(close_object)
	struct bpf_object *object = bpf_object__open_mem(elf, elf_size, NULL);
	struct bpf_prog_info info = {};
	__u32 info_len = sizeof(info);
	unsigned long verified = 0;
	struct bpf_program *prog;
	static char log[65536];
	const char *summary;
	char full_name[128];
	json_t *entry;

	if (!object)
		give_up("an object cannot be opened");
	prog = load_alone(object, name, log, sizeof(log));
	entry = json_object();
	snprintf(full_name, sizeof(full_name), "%s/%s", object_name, name);
	put(entry, "name", json_string(full_name));
	put(entry, "loads", json_boolean(prog));
	if (prog) {
		summary = strstr(log, "processed ");
		if (!summary || sscanf(summary, "processed %lu", &verified) != 1 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &info_len))
			give_up("the kernel does not tell about a program");
		put(entry, "loaded", json_integer((json_int_t)bpf_program__insn_cnt(prog)));
		put(entry, "translated",
		    json_integer((json_int_t)(info.xlated_prog_len / sizeof(struct bpf_insn))));
		put(entry, "jited_bytes", json_integer(info.jited_prog_len));
		put(entry, "verified", json_integer((json_int_t)verified));
	}
	add(programs, entry);
}

static void show_object(json_t *programs, const char *object_name, const void *elf, size_t elf_size)
{
	EG_AUTO(close_object)
	struct bpf_object *names = bpf_object__open_mem(elf, elf_size, NULL);
	struct bpf_program *prog;

	if (!names)
		give_up("an object cannot be opened");
	bpf_object__for_each_program(prog, names)
		show_program(programs, object_name, elf, elf_size, bpf_program__name(prog));
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static json_t *all_programs(void)
{
	json_t *programs = json_array();
	const void *elf;
	size_t size;

	elf = guard_bpf__elf_bytes(&size);
	show_object(programs, "guard", elf, size);
	elf = guard_nobtf_bpf__elf_bytes(&size);
	show_object(programs, "guard_nobtf", elf, size);
	elf = shared_bpf__elf_bytes(&size);
	show_object(programs, "shared", elf, size);
	elf = netns_bpf__elf_bytes(&size);
	show_object(programs, "netns", elf, size);
	elf = cgroup_bpf__elf_bytes(&size);
	show_object(programs, "cgroup", elf, size);
	elf = cgroup_nobtf_bpf__elf_bytes(&size);
	show_object(programs, "cgroup_nobtf", elf, size);
	return programs;
}

/* --- paths ------------------------------------------------------------------------------------ */

#define POLICY                                                                                     \
	"[Lan]\nDns = lan\nAllow = 203.0.113.80:443/tcp\nAllow = [2001:db8:80::1]:443/tcp\n"       \
	"Deny = 192.168.66.0/24\nDeny = fd00:66::/32\n"

#define POLICY_TAIL                                                                                \
	"[WireGuard]\nEndpoint = 203.0.113.9:51820\nEndpoint = [2001:db8::9]:51820\n"              \
	"[Derived]\nTunnelOnly = 10.2.0.0/16\nTunnelOnly = fd00:2::/32\n"                          \
	"OnLink = 172.18.0.0/16\n"

struct path {
	const char *name;
	enum eg_prog prog;
	enum eg_reason reason;
	struct packets_sketch sketch;
};

#define V4 FIXTURE_V4
#define V6 FIXTURE_V6
#define TCP(make, to, ...)                                                                         \
	make(to, EG_PROTO_TCP, .dport = 443, .tcp_flags = 16, .payload_len = 64, __VA_ARGS__)
#define UDP(make, to, ...) make(to, EG_PROTO_UDP, .dport = 9000, .payload_len = 64, __VA_ARGS__)
#define WG(make, to)       UDP(make, to, .dport = 51820, .payload = {4}, .payload_len = 128)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Woverride-init"

/* The first is what the budget of the whole is about. clang-format off: a table */
/* clang-format off */
static const struct path paths[] = {
	{"lan-tcp", EG_PROG_DEVICE, EG_REASON_LAN, TCP(V4, "172.18.0.1")},
	{"lan-tcp-6", EG_PROG_DEVICE, EG_REASON_LAN, TCP(V6, "fd00::5")},
	{"lan-udp", EG_PROG_DEVICE, EG_REASON_LAN, UDP(V4, "172.18.0.1")},
	{"lan-udp-6", EG_PROG_DEVICE, EG_REASON_LAN, UDP(V6, "fd00::5")},
	{"lan-tcp-peer", EG_PROG_PEER, EG_REASON_LAN, TCP(V4, "172.18.0.1")},
	{"lan-tcp-6-peer", EG_PROG_PEER, EG_REASON_LAN, TCP(V6, "fd00::5")},
	/* In a /16 of which a part is denied: the table of the upper bits says to ask further. */
	{"lan-tcp-asked", EG_PROG_DEVICE, EG_REASON_LAN, TCP(V4, "192.168.1.5")},
	{"lan-dns", EG_PROG_DEVICE, EG_REASON_LAN_DNS, UDP(V4, "172.18.0.1", .dport = 53)},
	{"rule", EG_PROG_DEVICE, EG_REASON_RULE, TCP(V4, "203.0.113.80")},
	{"rule-6", EG_PROG_DEVICE, EG_REASON_RULE, TCP(V6, "2001:db8:80::1")},
	{"endpoint", EG_PROG_DEVICE, EG_REASON_ENDPOINT, WG(V4, "203.0.113.9")},
	{"endpoint-6", EG_PROG_DEVICE, EG_REASON_ENDPOINT, WG(V6, "2001:db8::9")},
	{"arp", EG_PROG_DEVICE, EG_REASON_CONTROL,
	 {.ethertype = EG_ETHERTYPE_ARP, .payload_len = 28}},
	{"public", EG_PROG_DEVICE, EG_REASON_PUBLIC, TCP(V4, "198.51.100.7")},
	{"public-6", EG_PROG_DEVICE, EG_REASON_PUBLIC, TCP(V6, "2001:db8:7::7")},
	{"public-peer", EG_PROG_PEER, EG_REASON_PUBLIC, TCP(V4, "198.51.100.7")},
	{"denied", EG_PROG_DEVICE, EG_REASON_DENIED, TCP(V4, "192.168.66.1")},
	{"denied-6", EG_PROG_DEVICE, EG_REASON_DENIED, TCP(V6, "fd00:66::1")},
	{"tunnel-only", EG_PROG_DEVICE, EG_REASON_TUNNEL_ONLY, TCP(V4, "10.2.0.5")},
	{"source", EG_PROG_DEVICE, EG_REASON_SOURCE, TCP(V4, "172.18.0.1", .src = "198.51.100.9")},
	{"not-wireguard", EG_PROG_DEVICE, EG_REASON_NOT_WIREGUARD,
	 UDP(V4, "203.0.113.9", .dport = 51820)},
	{"ethertype", EG_PROG_DEVICE, EG_REASON_ETHERTYPE, {.ethertype = 0x88cc, .payload_len = 46}},
};

/* Asked with --prefixes: the last two go to the first of its prefixes. */
static const struct path prefix_paths[] = {
	{"lan-tcp", EG_PROG_DEVICE, EG_REASON_LAN, TCP(V4, "172.18.0.1")},
	{"prefix", EG_PROG_DEVICE, EG_REASON_RULE, TCP(V4, "101.0.0.7")},
	{"prefix-6", EG_PROG_DEVICE, EG_REASON_RULE, TCP(V6, "2a00:1::7")},
};
/* clang-format on */
#pragma GCC diagnostic pop

/* Half IPv4, half IPv6, in the manner of a list of a country's networks: none can be merged with
 * its neighbour. */
static char *policy_text(unsigned long prefixes)
{
	size_t size = 4096 + prefixes * 32;
	char *text = malloc(size);
	size_t at;

	if (!text)
		give_up("out of memory");
	at = (size_t)snprintf(text, size, POLICY);
	for (unsigned long i = 0; i < prefixes; i++) {
		unsigned long n = i / 2;

		if (i % 2)
			at += (size_t)snprintf(text + at, size - at, "Allow = 2a00:%lx:%lx::/48\n",
					       1 + (n * 2 >> 16), n * 2 & 0xffff);
		else
			at += (size_t)snprintf(text + at, size - at, "Allow = %lu.%lu.%lu.0/24\n",
					       101 + (n * 2 >> 16), n * 2 >> 8 & 255, n * 2 & 255);
	}
	snprintf(text + at, size - at, POLICY_TAIL);
	return text;
}

static int empty_program(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", pass, COUNT(pass), NULL);

	if (fd < 0)
		give_up("the kernel refuses an empty program");
	return fd;
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds of one run. */
static double run(int prog_fd, const struct eg_host_frame *frame, unsigned long times)
{
	struct __sk_buff context = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)times);
	double start = now_ns();

	if (bpf_prog_test_run_opts(prog_fd, &opts) < 0)
		give_up("the kernel refuses a test run");
	return (now_ns() - start) / (double)times;
}

static json_t *numbers(const double *values)
{
	json_t *array = json_array();

	for (unsigned long i = 0; i < rounds; i++)
		add(array, json_real(values[i]));
	return array;
}

/* A path that is not what its name says would be measured for nothing. */
static void check(struct fixture *fixture, const struct path *path,
		  const struct packets_frame *frame)
{
	enum eg_reason reason = fixture_judge(fixture, &frame->host, NULL);
	int verdict =
		eg_reason_verdict(path->reason) == EG_VERDICT_ALLOW ? FIXTURE_PASS : FIXTURE_DROP;

	if (reason == path->reason && fixture_run(fixture, path->prog, &frame->host, 0) == verdict)
		return;
	fprintf(stderr, "decide: the path %s is of %s, not of %s\n", path->name,
		eg_reason_names[reason], eg_reason_names[path->reason]);
	exit(1);
}

/* One path under one policy. */
struct work {
	struct fixture *fixture;
	const struct path *path;
	unsigned long prefixes;
	struct packets_frame *frame;
	double *ns, *empty_ns;
};

static void work_open(struct work *work, struct fixture *fixture, const struct path *path)
{
	work->fixture = fixture;
	work->path = path;
	work->frame = malloc(sizeof(*work->frame));
	work->ns = calloc(rounds, sizeof(*work->ns));
	work->empty_ns = calloc(rounds, sizeof(*work->empty_ns));
	if (!work->frame || !work->ns || !work->empty_ns)
		give_up("out of memory");
	packets_build(&path->sketch, work->frame);
	check(fixture, path, work->frame);
}

static void work_round(struct work *work, int empty, unsigned long round)
{
	const struct eg_host_frame *frame = &work->frame->host;

	work->empty_ns[round] = run(empty, frame, repeat);
	work->ns[round] = run(work->fixture->guard->progs[work->path->prog], frame, repeat);
}

static json_t *work_close(struct work *work)
{
	enum eg_reason reason = work->path->reason;
	int allows = eg_reason_verdict(reason) == EG_VERDICT_ALLOW;
	json_t *entry = json_object();

	put(entry, "name", json_string(work->path->name));
	if (n_sizes)
		put(entry, "prefixes", json_integer((json_int_t)work->prefixes));
	put(entry, "reason", json_string(eg_reason_names[reason]));
	put(entry, "verdict", json_string(allows ? "allow" : "drop"));
	put(entry, "ns", numbers(work->ns));
	put(entry, "empty_ns", numbers(work->empty_ns));
	free(work->frame);
	free(work->ns);
	free(work->empty_ns);
	return entry;
}

/* Interleaved, and each time beginning with another one. */
static json_t *measure(struct work *works, size_t n)
{
	json_t *results = json_array();
	int empty = empty_program();

	for (unsigned long round = 0; round < rounds; round++)
		for (size_t k = 0; k < n; k++)
			work_round(&works[(k + round * 7) % n], empty, round);
	close(empty);
	for (size_t i = 0; i < n; i++)
		add(results, work_close(&works[i]));
	return results;
}

static void fixture_of(struct fixture *fixture, unsigned long prefixes)
{
	char *text = policy_text(prefixes);

	fixture_open(fixture, text);
	free(text);
}

static json_t *all_paths(void)
{
	struct work works[COUNT(paths)] = {};
	struct fixture fixture;
	json_t *results;
	size_t n = 0;

	fixture_of(&fixture, 0);
	for (size_t i = 0; i < COUNT(paths); i++)
		if (!only || strcmp(only, paths[i].name) == 0)
			work_open(&works[n++], &fixture, &paths[i]);
	if (!n)
		give_up("there is no path of that name");
	results = measure(works, n);
	fixture_close(&fixture);
	return results;
}

static json_t *all_sizes(void)
{
	struct work works[SIZES_MAX * COUNT(prefix_paths)] = {};
	struct fixture fixtures[SIZES_MAX];
	json_t *results;
	size_t n = 0;

	for (size_t size = 0; size < n_sizes; size++) {
		fixture_of(&fixtures[size], sizes[size]);
		for (size_t i = 0; i < COUNT(prefix_paths); i++, n++) {
			works[n].prefixes = sizes[size];
			work_open(&works[n], &fixtures[size], &prefix_paths[i]);
		}
	}
	results = measure(works, n);
	for (size_t size = 0; size < n_sizes; size++)
		fixture_close(&fixtures[size]);
	return results;
}

static void add_size(unsigned long prefixes)
{
	if (n_sizes == SIZES_MAX || prefixes < 2 || prefixes > 100000)
		give_up("--prefixes takes 2 to 100000, and not more than eight of them");
	sizes[n_sizes++] = prefixes;
}

/* --- the command line ------------------------------------------------------------------------- */

static void pin_to(unsigned long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("cannot pin to that CPU");
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end)
		give_up("an option wants a number");
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"repeat", required_argument, NULL, 'n'},
		{"cpu", required_argument, NULL, 'c'},
		{"path", required_argument, NULL, 'o'},
		{"prefixes", required_argument, NULL, 'p'},
		{"programs", no_argument, NULL, 'i'},
		{},
	};
	json_t *root = json_object();
	struct utsname kernel;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'r')
			rounds = number(optarg);
		else if (option == 'n')
			repeat = number(optarg);
		else if (option == 'c')
			pin_to(number(optarg));
		else if (option == 'o')
			only = optarg;
		else if (option == 'p')
			add_size(number(optarg));
		else if (option == 'i')
			wants_programs = 1;
		else
			give_up("the head of bench/decide.c has the options");
	}
	if (!rounds || !repeat || repeat > 1000000)
		give_up("a number is out of range");
	fixture_enter("decide");
	libbpf_set_print(say_nothing);
	uname(&kernel);
	put(root, "kernel", json_string(kernel.release));
	put(root, "clang", json_string(BENCH_CLANG));
	put(root, "repeat", json_integer((json_int_t)repeat));
	if (wants_programs)
		put(root, "programs", all_programs());
	put(root, "paths", n_sizes ? all_sizes() : all_paths());
	if (json_dumpf(root, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT) || putchar('\n') == EOF)
		give_up("cannot write");
	json_decref(root);
	return 0;
}
