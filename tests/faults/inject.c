// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command and makes one of its system calls go wrong, or kills it there. `inject --help`
 * says how. A call is named by what it does and counted: `bpf:OBJ_PIN#3` is the third pin, in
 * whichever thread, so that a case can be run again by its name.
 *
 * What the dynamic loader does before the program begins is not counted. A sleep until a time (the
 * pause before a guard's tables are filled again) takes no time.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "inject.c sets registers of x86-64"
#endif

static const char help[] =
	"usage: inject [--log FILE] [--fault LABEL#N=ACTION] [--seconds N] -- COMMAND...\n"
	"\n"
	"  --log FILE   a line for each call: kind, effect, group, label, what it is about;\n"
	"               at the end `hit` if the fault was reached\n"
	"  ACTION       kill      SIGKILL before the call is made\n"
	"               killed    SIGKILL after it was made\n"
	"               short     a read of one byte less than half of what was asked for\n"
	"               ENOMEM... the call is not made and fails so\n"
	"  --seconds N  kill it after so long (60); exit status 124\n"
	"\n"
	"The exit status is the command's; 128 + N if a signal ended it.\n";

/* --- names ---------------------------------------------------------------------------------- */

struct call_name {
	long number;
	const char *name;
	char kind;   /* b: bpf, n: sockets, f: files, m: memory, t: threads, -: others */
	bool effect; /* may change something outside of the process */
};

#define CALL(name, kind, effect)                                                                   \
	{                                                                                          \
		SYS_##name, #name, kind, effect                                                    \
	}

static const struct call_name call_names[] = {
	CALL(socket, 'n', false),
	CALL(bind, 'n', false),
	CALL(connect, 'n', false),
	CALL(sendto, 'n', true),
	CALL(sendmsg, 'n', true),
	CALL(recvfrom, 'n', false),
	CALL(recvmsg, 'n', false),
	CALL(getsockname, 'n', false),
	CALL(setsockopt, 'n', false),
	CALL(getsockopt, 'n', false),
	CALL(open, 'f', false),
	CALL(openat, 'f', false),
	CALL(openat2, 'f', false),
	CALL(mkdir, 'f', true),
	CALL(mkdirat, 'f', true),
	CALL(rename, 'f', true),
	CALL(renameat, 'f', true),
	CALL(renameat2, 'f', true),
	CALL(unlink, 'f', true),
	CALL(unlinkat, 'f', true),
	CALL(rmdir, 'f', true),
	CALL(flock, 'f', true),
	CALL(mount, 'f', true),
	CALL(statfs, 'f', false),
	CALL(fstatfs, 'f', false),
	CALL(stat, 'f', false),
	CALL(fstat, 'f', false),
	CALL(lstat, 'f', false),
	CALL(newfstatat, 'f', false),
	CALL(statx, 'f', false),
	CALL(access, 'f', false),
	CALL(faccessat, 'f', false),
	CALL(faccessat2, 'f', false),
	CALL(readlink, 'f', false),
	CALL(readlinkat, 'f', false),
	CALL(getdents64, 'f', false),
	CALL(read, 'f', false),
	CALL(pread64, 'f', false),
	CALL(write, 'f', true),
	CALL(lseek, 'f', false),
	CALL(fcntl, 'f', false),
	CALL(ioctl, 'f', false),
	CALL(dup, 'f', false),
	CALL(mmap, 'm', false),
	CALL(brk, 'm', false),
	CALL(mprotect, 'm', false),
	CALL(mremap, 'm', false),
	CALL(setns, 't', false),
	CALL(unshare, 't', false),
	CALL(clone, 't', false),
	CALL(clone3, 't', false),
	CALL(eventfd2, 't', false),
	CALL(pipe2, 't', false),
	CALL(close, '-', false),
	CALL(munmap, '-', false),
	CALL(madvise, '-', false),
	CALL(futex, '-', false),
	CALL(exit, '-', false),
	CALL(exit_group, '-', false),
	CALL(rt_sigprocmask, '-', false),
	CALL(rt_sigaction, '-', false),
	CALL(set_robust_list, '-', false),
	CALL(rseq, '-', false),
	CALL(poll, '-', false),
	CALL(clock_nanosleep, '-', false),
	CALL(getrandom, '-', false),
	CALL(uname, '-', false),
	CALL(capget, '-', false),
	CALL(geteuid, '-', false),
	CALL(getpid, '-', false),
	CALL(gettid, '-', false),
	CALL(sysinfo, '-', false),
	CALL(prctl, '-', false),
	CALL(prlimit64, '-', false),
};

struct bpf_name {
	long command;
	const char *name;
	bool effect;
};

static const struct bpf_name bpf_names[] = {
	{BPF_MAP_CREATE, "MAP_CREATE", false},
	{BPF_MAP_LOOKUP_ELEM, "MAP_LOOKUP", false},
	{BPF_MAP_UPDATE_ELEM, "MAP_UPDATE", true},
	{BPF_MAP_DELETE_ELEM, "MAP_DELETE", true},
	{BPF_MAP_GET_NEXT_KEY, "MAP_NEXT", false},
	{BPF_PROG_LOAD, "PROG_LOAD", false},
	{BPF_OBJ_PIN, "OBJ_PIN", true},
	{BPF_OBJ_GET, "OBJ_GET", false},
	{BPF_PROG_TEST_RUN, "TEST_RUN", true},
	{BPF_OBJ_GET_INFO_BY_FD, "INFO", false},
	{BPF_PROG_QUERY, "PROG_QUERY", false},
	{BPF_BTF_LOAD, "BTF_LOAD", false},
	{BPF_BTF_GET_FD_BY_ID, "BTF_BY_ID", false},
	{BPF_MAP_FREEZE, "MAP_FREEZE", true},
	{BPF_MAP_LOOKUP_BATCH, "MAP_BATCH", false},
	{BPF_LINK_CREATE, "LINK_CREATE", true},
	{BPF_LINK_UPDATE, "LINK_UPDATE", true},
	{BPF_LINK_DETACH, "LINK_DETACH", true},
	{BPF_PROG_BIND_MAP, "BIND_MAP", true},
};

static const struct errno_name {
	const char *name;
	int number;
} errno_names[] = {
	{"ENOMEM", ENOMEM}, {"EPERM", EPERM},   {"EIO", EIO},       {"ENOSPC", ENOSPC},
	{"EINTR", EINTR},   {"EAGAIN", EAGAIN}, {"EACCES", EACCES}, {"EINVAL", EINVAL},
};

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

/* --- one call ------------------------------------------------------------------------------- */

struct call {
	char label[64];
	char kind;
	bool effect;
	long group; /* the descriptor it is about: alike calls in a row are of one group */
	char about[160];
};

static bool read_memory(pid_t pid, uint64_t from, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)from, size};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* Byte by byte: the string may end where the memory does. */
static void read_string(pid_t pid, uint64_t from, char *to, size_t size)
{
	size_t i = 0;

	while (from && i + 1 < size && read_memory(pid, from + i, &to[i], 1) && to[i])
		i++;
	to[i] = '\0';
}

static void name_bpf(pid_t pid, const uint64_t *args, struct call *call)
{
	uint32_t first = 0;

	snprintf(call->label, sizeof(call->label), "bpf:%llu", (unsigned long long)args[0]);
	call->kind = 'b';
	call->effect = true;
	for (size_t i = 0; i < N_OF(bpf_names); i++)
		if (bpf_names[i].command == (long)args[0]) {
			snprintf(call->label, sizeof(call->label), "bpf:%s", bpf_names[i].name);
			call->effect = bpf_names[i].effect;
		}
	read_memory(pid, args[1], &first, sizeof(first));
	call->group = first;
	if (args[0] == BPF_OBJ_PIN || args[0] == BPF_OBJ_GET) {
		uint64_t path = 0;

		read_memory(pid, args[1], &path, sizeof(path));
		read_string(pid, path, call->about, sizeof(call->about));
	} else if (args[0] == BPF_PROG_LOAD || args[0] == BPF_MAP_CREATE) {
		size_t at = args[0] == BPF_PROG_LOAD ? offsetof(union bpf_attr, prog_name)
						     : offsetof(union bpf_attr, map_name);
		char name[17] = {0};

		if (args[2] >= at + 16)
			read_memory(pid, args[1] + at, name, 16);
		snprintf(call->about, sizeof(call->about), "%s", name);
	}
}

static void name_netlink(pid_t pid, uint64_t buffer, struct call *call)
{
	struct nlmsghdr header = {0};

	if (read_memory(pid, buffer, &header, sizeof(header)))
		snprintf(call->about, sizeof(call->about), "message type %u", header.nlmsg_type);
}

static void name_call(pid_t pid, long number, const uint64_t *args, struct call *call)
{
	*call = (struct call){.kind = '-', .group = (long)args[0]};
	snprintf(call->label, sizeof(call->label), "call:%ld", number);
	if (number == SYS_bpf) {
		name_bpf(pid, args, call);
		return;
	}
	for (size_t i = 0; i < N_OF(call_names); i++) {
		if (call_names[i].number != number)
			continue;
		snprintf(call->label, sizeof(call->label), "%s", call_names[i].name);
		call->kind = call_names[i].kind;
		call->effect = call_names[i].effect;
	}
	switch (number) {
	case SYS_openat:
	case SYS_openat2:
	case SYS_mkdirat:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_unlinkat:
	case SYS_newfstatat:
	case SYS_faccessat:
	case SYS_faccessat2:
	case SYS_readlinkat:
		read_string(pid, args[1], call->about, sizeof(call->about));
		break;
	case SYS_open:
	case SYS_stat:
	case SYS_statfs:
	case SYS_access:
	case SYS_mkdir:
	case SYS_mount:
	case SYS_readlink:
		read_string(pid, args[0], call->about, sizeof(call->about));
		break;
	case SYS_sendto:
		name_netlink(pid, args[1], call);
		break;
	case SYS_mmap:
	case SYS_brk:
	case SYS_mprotect:
	case SYS_clone3:
	case SYS_futex:
	case SYS_rt_sigprocmask:
		call->group = 0;
		break;
	}
}

/* --- counting ------------------------------------------------------------------------------- */

#define LABELS_MAX 256

struct counter {
	char label[64];
	unsigned long n;
};

static unsigned long count(const char *label)
{
	static struct counter counters[LABELS_MAX];

	for (size_t i = 0; i < LABELS_MAX; i++) {
		if (!counters[i].n)
			snprintf(counters[i].label, sizeof(counters[i].label), "%s", label);
		if (strcmp(counters[i].label, label) == 0)
			return ++counters[i].n;
	}
	return 0;
}

/* --- the fault ------------------------------------------------------------------------------ */

enum action {
	ACTION_NONE,
	ACTION_KILL,
	ACTION_KILLED,
	ACTION_SHORT,
	ACTION_ERRNO,
};

static struct {
	char label[64];
	unsigned long n;
	enum action action;
	int number; /* of the error */
} fault;

static bool parse_fault(const char *text)
{
	const char *hash = strchr(text, '#'), *equals = strchr(text, '=');

	if (!hash || !equals || equals < hash || (size_t)(hash - text) >= sizeof(fault.label))
		return false;
	memcpy(fault.label, text, (size_t)(hash - text));
	fault.n = strtoul(hash + 1, NULL, 10);
	if (strcmp(equals, "=kill") == 0)
		fault.action = ACTION_KILL;
	else if (strcmp(equals, "=killed") == 0)
		fault.action = ACTION_KILLED;
	else if (strcmp(equals, "=short") == 0)
		fault.action = ACTION_SHORT;
	for (size_t i = 0; i < N_OF(errno_names); i++)
		if (strcmp(equals + 1, errno_names[i].name) == 0) {
			fault.action = ACTION_ERRNO;
			fault.number = errno_names[i].number;
		}
	return fault.n && fault.action != ACTION_NONE;
}

/* --- the traced ----------------------------------------------------------------------------- */

/* A sleep until a time, which is flag 1, returns 0 at once. */
static int skip_pauses(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIMER_ABSTIME, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {N_OF(filter), filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void become(char **command)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 || skip_pauses() < 0) {
		perror("inject");
		_exit(126);
	}
	raise(SIGSTOP);
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

static pid_t traced;
static volatile sig_atomic_t timed_out;

static void on_alarm(int signal)
{
	(void)signal;
	timed_out = 1;
	kill(traced, SIGKILL);
}

/* Set at a call's entry, done at its return. */
static struct {
	pid_t pid;
	bool kill;
	int number;
	size_t changed; /* the register of an argument that the program must find as it was */
	uint64_t value;
} pending;
static bool hit, killed_in_thread;

/* A call with another argument. */
static void change(pid_t pid, size_t at, uint64_t from, uint64_t to)
{
	pending.pid = pid;
	pending.changed = at;
	pending.value = from;
	ptrace(PTRACE_POKEUSER, pid, at, to);
}

/* True: nothing more is to be watched. */
static bool at_entry(pid_t pid, const struct __ptrace_syscall_info *info, FILE *log)
{
	static bool begun;
	struct call call;
	unsigned long n;

	if (!begun) {
		/* The loader's last call frees its cache. */
		begun = info->entry.nr == SYS_munmap;
		return false;
	}
	name_call(pid, (long)info->entry.nr, (const uint64_t *)info->entry.args, &call);
	n = count(call.label);
	if (log)
		fprintf(log, "%c %c %ld %s#%lu %s\n", call.kind, call.effect ? '!' : '.',
			call.group, call.label, n, call.about);
	if (fault.action == ACTION_NONE || n != fault.n || strcmp(call.label, fault.label) != 0)
		return false;
	hit = true;
	switch (fault.action) {
	case ACTION_NONE:
		break;
	case ACTION_KILL:
		kill(traced, SIGKILL);
		return true;
	case ACTION_KILLED:
		pending.pid = pid;
		pending.kill = true;
		return false;
	case ACTION_SHORT:
		change(pid, offsetof(struct user_regs_struct, rdx), info->entry.args[2],
		       (info->entry.args[2] + 1) / 2 - (info->entry.args[2] > 1));
		return false;
	case ACTION_ERRNO:
		/* brk() tells a failure by the end as it was, which is what it says to 0. */
		if (info->entry.nr == SYS_brk) {
			change(pid, offsetof(struct user_regs_struct, rdi), info->entry.args[0], 0);
			return false;
		}
		ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L);
		pending.pid = pid;
		pending.number = fault.number;
		return false;
	}
	return false;
}

static bool at_return(pid_t pid)
{
	if (pending.pid != pid)
		return false;
	pending.pid = 0;
	killed_in_thread = pending.kill && pid != traced;
	if (pending.kill)
		kill(traced, SIGKILL);
	else if (pending.changed)
		ptrace(PTRACE_POKEUSER, pid, pending.changed, pending.value);
	else
		ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax),
		       -(long)pending.number);
	return true;
}

static bool at_stop(pid_t pid, int status, FILE *log, int *ret_signal)
{
	struct __ptrace_syscall_info info = {0};
	int signal = WSTOPSIG(status);

	*ret_signal = 0;
	if (signal != (SIGTRAP | 0x80)) {
		/* New threads stop once; other stops of ptrace's own are SIGTRAP. */
		if (signal != SIGTRAP && signal != SIGSTOP)
			*ret_signal = signal;
		return false;
	}
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return at_entry(pid, &info, log);
	return info.op == PTRACE_SYSCALL_INFO_EXIT && at_return(pid);
}

static int trace(FILE *log)
{
	int request = PTRACE_SYSCALL;

	for (;;) {
		int status, signal;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return 126;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != traced)
				continue;
			if (timed_out)
				return 124;
			/* It had begun to end when a thread of it made the call. */
			if (WIFEXITED(status) && killed_in_thread)
				hit = false;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		if (at_stop(pid, status, log, &signal) && !log)
			request = PTRACE_CONT;
		ptrace(request, pid, 0, signal);
	}
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	unsigned int seconds = 60;
	const char *path = NULL;
	FILE *log = NULL;
	int status;
	int i = 1;

	for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
		if (strcmp(argv[i], "--log") == 0)
			path = argv[i + 1];
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = (unsigned int)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--fault") != 0 || !parse_fault(argv[i + 1]))
			break;
	}
	if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fputs(help, stderr);
		return 2;
	}
	traced = fork();
	if (traced == 0)
		become(&argv[i + 1]);
	if (traced < 0 || waitpid(traced, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, traced, 0, options) < 0) {
		perror("inject");
		return 126;
	}
	if (path && !fault.action)
		log = fopen(path, "we");
	signal(SIGALRM, on_alarm);
	alarm(seconds);
	ptrace(PTRACE_SYSCALL, traced, 0, 0);
	status = trace(log);
	if (path && !log)
		log = fopen(path, "we");
	if (path && !log) {
		perror(path);
		return 126;
	}
	if (log && hit)
		fputs("hit\n", log);
	if (log && fclose(log) != 0)
		return 126;
	return status;
}
