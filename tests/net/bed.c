// SPDX-License-Identifier: GPL-2.0
#include "bed.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "util/cleanup.h"

#define PATIENCE_MS 10000
#define PAUSE_MS    20

void bed_check_private(void)
{
	if (getenv("EG_PRIVATE"))
		return;
	fprintf(stderr, "run this as: tests/private PROGRAM\n");
	exit(1);
}

void bed_run(const char *format, ...)
{
	EG_AUTO_FREE char *command = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&command, format, args);
	va_end(args);
	assert_true(length > 0);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

struct eg_netns bed_open(const char *name)
{
	struct eg_netns netns = EG_NETNS_NONE;
	struct eg_error error = {0};
	char path[256];

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	if (eg_netns_open_path(path, &netns, &error) < 0)
		fail_msg("%s", error.message);
	return netns;
}

struct eg_link bed_link(const struct eg_netns *netns, const char *name)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;

	assert_int_equal(eg_links_get(netns, &links, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0)
			return links[i];
	fail_msg("there is no interface %s", name);
	return (struct eg_link){0};
}

static void start_child(const char *netns, const char *root, const char *const *argv)
{
	char path[256];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (netns) {
		snprintf(path, sizeof(path), "/run/netns/%s", netns);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			_exit(127);
	}
	if (root && (chroot(root) < 0 || chdir("/") < 0))
		_exit(127);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

pid_t bed_start(const char *netns, const char *root, const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		start_child(netns, root, argv);
	return pid;
}

void bed_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void bed_wait(bool (*ready)(void *argument), void *argument)
{
	struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

	for (int i = 0; i < PATIENCE_MS / PAUSE_MS; i++) {
		if (ready(argument))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("waited for nothing");
}
