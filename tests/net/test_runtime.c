// SPDX-License-Identifier: GPL-2.0
/* time-limit: 120 */
/* Container engines, played by a thread that answers, stalls and lies; and TARGET, which asks them.
 */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "net/runtime.h"
#include "net/target.h"
#include "util/cleanup.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* --- an engine ----------------------------------------------------------------------------- */

enum behaviour {
	ANSWER,
	STALL,
	ENDLESS_BODY,
	ENDLESS_HEADERS,
	TRICKLE,
	GARBAGE,
	HANG_UP,
	SERVER_ERROR,
};

struct engine {
	char socket_path[64];
	const char *name; /* the one container that it has */
	char body[1024];
	enum behaviour behaviour;
	char asked[512]; /* the last request line */
	int fd;
	bool stop;
	pthread_t thread;
};

static struct engine docker, podman;

static void say(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void say_body(int fd, const char *status, const char *body)
{
	dprintf(fd,
		"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		status, strlen(body), body);
}

static void answer(const struct engine *engine, int fd)
{
	char inspect[256], list[256];

	snprintf(inspect, sizeof(inspect), "GET /containers/%s/json HTTP/1.1", engine->name);
	if (strcmp(engine->asked, inspect) == 0) {
		say_body(fd, "200 OK", engine->body);
	} else if (strcmp(engine->asked, "GET /containers/json HTTP/1.1") == 0) {
		snprintf(list, sizeof(list),
			 "[{\"Id\":\"" ID "\",\"Names\":[\"/%s\"],"
			 "\"Labels\":{\"com.docker.compose.service\":\"vpn\"}}]",
			 engine->name);
		say_body(fd, "200 OK", list);
	} else {
		say_body(fd, "404 Not Found", "{\"message\":\"No such container\"}");
	}
}

static void repeat(int fd, const char *text, long pause_ms)
{
	struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};

	while (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
		if (pause_ms)
			nanosleep(&pause, NULL);
}

/* Much at once: as much as is ever taken has to come in time. */
static void flood(int fd)
{
	static char much[1 << 20];

	memset(much, '[', sizeof(much));
	while (send(fd, much, sizeof(much), MSG_NOSIGNAL) > 0)
		;
}

static void wait_for_end(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, 0) > 0)
		;
}

static void behave(const struct engine *engine, int fd)
{
	switch (engine->behaviour) {
	case ANSWER:
		answer(engine, fd);
		break;
	case STALL:
		wait_for_end(fd);
		break;
	case ENDLESS_BODY:
		say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		flood(fd);
		break;
	case ENDLESS_HEADERS:
		say(fd, "HTTP/1.1 200 OK\r\n");
		repeat(fd, "X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 0);
		break;
	case TRICKLE:
		say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		repeat(fd, " ", 100);
		break;
	case GARBAGE:
		say(fd, "\001\002\003 not HTTP at all\n\n");
		break;
	case HANG_UP:
		break;
	case SERVER_ERROR:
		say_body(fd, "500 Internal Server Error", "{\"message\":\"no\\u001b[31m\"}");
		break;
	}
}

static void serve(struct engine *engine, int fd)
{
	char request[4096] = {0};
	size_t len = 0;

	while (!strstr(request, "\r\n\r\n") && len < sizeof(request) - 1) {
		ssize_t got = recv(fd, request + len, sizeof(request) - 1 - len, 0);

		if (got <= 0)
			return;
		len += (size_t)got;
	}
	snprintf(engine->asked, sizeof(engine->asked), "%.*s", (int)strcspn(request, "\r"),
		 request);
	behave(engine, fd);
}

static void *run_engine(void *argument)
{
	struct engine *engine = argument;
	int fd;

	while ((fd = accept(engine->fd, NULL, NULL)) >= 0) {
		if (__atomic_load_n(&engine->stop, __ATOMIC_SEQ_CST)) {
			close(fd);
			break;
		}
		serve(engine, fd);
		close(fd);
	}
	return NULL;
}

static void engine_start(struct engine *engine, const char *title, const char *variable)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char url[128];

	*engine = (struct engine){.name = "none"};
	snprintf(engine->socket_path, sizeof(engine->socket_path), "/run/netns/.%s.sock", title);
	strcpy(addr.sun_path, engine->socket_path);
	engine->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(engine->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(engine->fd, 8), 0);
	snprintf(url, sizeof(url), "unix://%s", engine->socket_path);
	setenv(variable, url, 1);
	assert_int_equal(pthread_create(&engine->thread, NULL, run_engine, engine), 0);
}

static void engine_stop(struct engine *engine)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, engine->socket_path);
	__atomic_store_n(&engine->stop, true, __ATOMIC_SEQ_CST);
	(void)connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	pthread_join(engine->thread, NULL);
	close(fd);
	close(engine->fd);
	unlink(engine->socket_path);
}

static void give(struct engine *engine, const char *name, const char *id, pid_t pid)
{
	engine->behaviour = ANSWER;
	engine->name = name;
	snprintf(engine->body, sizeof(engine->body),
		 "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Running\":%s,\"Pid\":%d,"
		 "\"StartedAt\":\"2024-01-02T03:04:05.5Z\"}}",
		 id, name, pid ? "true" : "false", pid);
}

/* --- a container --------------------------------------------------------------------------- */

static char cgroup2[256], cgroup[512];
static pid_t container_pid; /* 0: there is no cgroup2 to write to */

static pid_t sweeper; /* takes the cgroup away, however the test ends */
static int sweeper_fd;

static void sweep(int fd)
{
	char directory[600], byte;

	while (read(fd, &byte, 1) > 0)
		;
	snprintf(directory, sizeof(directory), "%s/docker-" ID ".scope", cgroup);
	for (int i = 0; i < 100 && rmdir(directory) < 0 && errno == EBUSY; i++)
		usleep(20000);
	rmdir(cgroup);
	_exit(0);
}

static void start_sweeper(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	sweeper_fd = fds[1];
	sweeper = fork();
	assert_true(sweeper >= 0);
	if (!sweeper) {
		setsid();
		close(fds[1]);
		sweep(fds[0]);
	}
	close(fds[0]);
}

static void start_container(void)
{
	const char *const sleeper[] = {"sleep", "600", NULL};
	char command[1200];
	FILE *found = popen("findmnt -n -t cgroup2 -o TARGET | head -n 1", "r");
	int n = found ? fscanf(found, "%255s", cgroup2) : 0;

	if (found)
		pclose(found);
	if (n != 1)
		return;
	snprintf(cgroup, sizeof(cgroup), "%s/eg-test-%d", cgroup2, getpid());
	start_sweeper();
	snprintf(command, sizeof(command), "mkdir -p %s/docker-" ID ".scope 2>/dev/null", cgroup);
	if (system(command) != 0)
		return;
	container_pid = bed_start("inner", NULL, sleeper);
	bed_run("echo %d >%s/docker-" ID ".scope/cgroup.procs", container_pid, cgroup);
}

static void stop_container(void)
{
	bed_stop(container_pid);
	if (!sweeper)
		return;
	close(sweeper_fd);
	waitpid(sweeper, NULL, 0);
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("http_proxy");
	bed_run("ip netns add inner");
	start_container();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop_container();
	bed_run("ip netns del inner");
	return 0;
}

static int start_engines(void **state)
{
	(void)state;
	engine_start(&docker, "docker", "DOCKER_HOST");
	engine_start(&podman, "podman", "CONTAINER_HOST");
	return 0;
}

static int stop_engines(void **state)
{
	(void)state;
	engine_stop(&docker);
	engine_stop(&podman);
	return 0;
}

#define NEED_CONTAINER()                                                                           \
	do {                                                                                       \
		if (!container_pid)                                                                \
			BED_SKIP("no cgroup2 hierarchy to write to");                              \
	} while (0)

/* --- cgroups ------------------------------------------------------------------------------- */

static void test_cgroup_path(void **state)
{
	EG_AUTO_FREE char *path = NULL;
	char directory[1024], id[65];
	struct stat stat_buffer;

	(void)state;
	NEED_CONTAINER();
	snprintf(directory, sizeof(directory), "%s/docker-" ID ".scope", cgroup);
	assert_int_equal(stat(directory, &stat_buffer), 0);
	assert_int_equal(eg_cgroup_path(stat_buffer.st_ino, &path), 0);
	assert_string_equal(path, directory + strlen(cgroup2));
	assert_true(eg_cgroup_container_id(path, id));
	assert_string_equal(id, ID);
	assert_int_equal(stat(cgroup2, &stat_buffer), 0);
	free(EG_TAKE(path));
	assert_int_equal(eg_cgroup_path(stat_buffer.st_ino, &path), 0);
	assert_string_equal(path, "/");
	free(EG_TAKE(path));
	assert_int_equal(eg_cgroup_path(0x123456789abcULL, &path), -ENOENT);
	assert_null(path);
}

static bool has_path(__u64 cgroup_id, const char *wanted)
{
	EG_AUTO_FREE char *path = NULL;

	return eg_cgroup_path(cgroup_id, &path) == 0 && strcmp(path, wanted) == 0;
}

/* In the container's cgroup, as the root of a cgroup namespace. Returns what failed; 0: nothing. */
static int look_from_inside(const char *directory, const char *own)
{
	EG_AUTO_FREE char *path = NULL;
	struct stat outer, inner;
	char procs[1100];
	FILE *file;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", directory);
	file = fopen(procs, "we");
	if (!file || fprintf(file, "%d\n", getpid()) < 0 || fclose(file) != 0)
		return 1;
	if (stat(cgroup, &outer) < 0 || stat(directory, &inner) < 0 ||
	    unshare(CLONE_NEWCGROUP | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return 2;
	/* The machine's mount is still there, and shows all. */
	if (!has_path(outer.st_ino, cgroup + strlen(cgroup2)) ||
	    !has_path(inner.st_ino, directory + strlen(cgroup2)))
		return 3;
	/* With one that shows what is below us only. */
	if (mount("none", own, "cgroup2", 0, NULL) < 0)
		return 4;
	if (!has_path(outer.st_ino, cgroup + strlen(cgroup2)))
		return 5;
	/* With that alone. */
	if (mount("none", cgroup2, "tmpfs", 0, NULL) < 0)
		return 6;
	if (!has_path(inner.st_ino, "/"))
		return 7;
	return eg_cgroup_path(outer.st_ino, &path) == -ENOENT ? 0 : 8;
}

static void test_cgroup_path_from_inside(void **state)
{
	char directory[1024], own[] = "/tmp/eg-cgroup-XXXXXX";
	int status = 0;
	pid_t child;

	(void)state;
	NEED_CONTAINER();
	snprintf(directory, sizeof(directory), "%s/docker-" ID ".scope", cgroup);
	assert_non_null(mkdtemp(own));
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(look_from_inside(directory, own));
	assert_int_equal(waitpid(child, &status, 0), child);
	rmdir(own);
	assert_int_equal(status, 0);
}

/* --- engines ------------------------------------------------------------------------------- */

static void test_inspect(void **state)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	struct eg_error error = {0};

	(void)state;
	NEED_CONTAINER();
	give(&docker, "wireguard", ID, container_pid);
	if (eg_runtime_inspect(EG_RUNTIME_DOCKER, "wireguard", &container, &error) < 0)
		fail_msg("%s", error.message);
	assert_string_equal(container.id, ID);
	assert_int_equal(container.pid, container_pid);
	assert_true(container.started_realtime_ns == 1704164645500000000ULL);
}

static void test_remote_engine(void **state)
{
	struct eg_container container = {.pid = 77};
	struct eg_error error = {0};

	(void)state;
	give(&docker, "wireguard", OTHER, getpid());
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "wireguard", &container, &error),
			 -EREMOTE);
	assert_non_null(strstr(error.message, "does not run here"));
	give(&docker, "wireguard", OTHER, 2147483647);
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "wireguard", &container, &error),
			 -EREMOTE);
	assert_int_equal(container.pid, 77);
}

static void test_no_engine(void **state)
{
	struct eg_container container;
	struct eg_error error = {0};

	(void)state;
	setenv("DOCKER_HOST", "unix:///run/netns/absent.sock", 1);
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "x", &container, &error),
			 -ECONNREFUSED);
	assert_non_null(strstr(error.message, "/run/netns/absent.sock"));
	setenv("DOCKER_HOST", "tcp://127.0.0.1:1", 1);
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "x", &container, &error),
			 -ECONNREFUSED);
	setenv("DOCKER_HOST", "ssh://somewhere", 1);
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "x", &container, &error), -EINVAL);
	assert_non_null(strstr(error.message, "ssh://somewhere"));
	assert_non_null(strstr(error.message, "tcp://HOST:PORT"));
}

static void test_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "a\nb", "a\177"};
	struct eg_container container;
	struct eg_error error = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, bad[i], &container, &error),
				 -ENOENT);
	assert_string_equal(docker.asked, "");
	assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "a b?c#d%2e", &container, &error),
			 -ENOENT);
	assert_string_equal(docker.asked, "GET /containers/a%20b%3Fc%23d%252e/json HTTP/1.1");
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void test_bad_engines(void **state)
{
	static const struct {
		enum behaviour behaviour;
		int result; /* 0: any error */
	} cases[] = {
		{STALL, -ETIMEDOUT},     {TRICKLE, -ETIMEDOUT}, {ENDLESS_BODY, -EFBIG},
		{ENDLESS_HEADERS, -EIO}, {GARBAGE, -EIO},       {HANG_UP, -EIO},
		{SERVER_ERROR, -EIO},
	};
	struct eg_container container;
	struct eg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double before = now();

		docker.behaviour = cases[i].behaviour;
		error = (struct eg_error){0};
		assert_int_equal(eg_runtime_inspect(EG_RUNTIME_DOCKER, "x", &container, &error),
				 cases[i].result);
		assert_true(now() - before < 20);
		assert_non_null(strstr(error.message, docker.socket_path));
		assert_null(strchr(error.message, '\033'));
	}
}

static void test_list(void **state)
{
	struct eg_container *containers = NULL;
	struct eg_error error = {0};
	size_t n = 0;

	(void)state;
	docker.name = "wireguard";
	assert_int_equal(eg_runtime_list(EG_RUNTIME_DOCKER, &containers, &n, &error), 0);
	assert_int_equal(n, 1);
	assert_string_equal(containers[0].name, "wireguard");
	eg_container_free(&containers[0]);
	free(containers);
}

/* --- targets ------------------------------------------------------------------------------- */

static void check_resolves(const char *text, enum eg_target_kind kind, const char *canonical,
			   const char *name)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	struct eg_error error = {0};

	if (eg_target_resolve(text, &target, &error) < 0)
		fail_msg("%s: %s", text, error.message);
	assert_int_equal(target.kind, kind);
	assert_string_equal(target.text, canonical);
	assert_string_equal(target.name, name);
	assert_true(eg_netns_same(&target.netns, &inner));
	if (container_pid) {
		assert_int_equal(target.pid, container_pid);
		assert_true(target.started_realtime_ns != 0);
	}
}

static void check_refuses(const char *text, enum eg_exit status, const char *part)
{
	struct eg_target target = {.pid = 77};
	struct eg_error error = {0};

	assert_true(eg_target_resolve(text, &target, &error) < 0);
	if (!strstr(error.message, part))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, error.message, part);
	assert_int_equal(error.exit, status);
	assert_int_equal(target.pid, 77);
}

static void test_target_kinds(void **state)
{
	char digits[16], explicit_pid[32], name[32], path[64];

	(void)state;
	check_resolves("inner", EG_TARGET_NETNS, "netns:inner", "inner");
	check_resolves("netns:inner", EG_TARGET_NETNS, "netns:inner", "inner");
	check_resolves("/run/netns/inner", EG_TARGET_PATH, "/run/netns/inner", "inner");
	NEED_CONTAINER();
	snprintf(digits, sizeof(digits), "%d", container_pid);
	snprintf(explicit_pid, sizeof(explicit_pid), "pid:%d", container_pid);
	snprintf(name, sizeof(name), "pid-%d", container_pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", container_pid);
	check_resolves(digits, EG_TARGET_PID, explicit_pid, name);
	check_resolves(explicit_pid, EG_TARGET_PID, explicit_pid, name);
	check_resolves(path, EG_TARGET_PATH, path, name);
	give(&docker, "wireguard", ID, container_pid);
	check_resolves("wireguard", EG_TARGET_CONTAINER, "docker:wireguard", "wireguard");
	check_resolves("docker:wireguard", EG_TARGET_CONTAINER, "docker:wireguard", "wireguard");
}

static void test_target_since_when(void **state)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	struct eg_error error = {0};
	struct timespec time;
	__u64 now_ns;

	(void)state;
	NEED_CONTAINER();
	assert_int_equal(eg_target_resolve("netns:inner", &target, &error), 0);
	clock_gettime(CLOCK_REALTIME, &time);
	now_ns = (__u64)time.tv_sec * 1000000000 + (__u64)time.tv_nsec;
	assert_true(target.started_realtime_ns <= now_ns + 1000000000ULL);
	assert_true(target.started_realtime_ns + 120ULL * 1000000000 > now_ns);
}

static void test_target_twice(void **state)
{
	(void)state;
	NEED_CONTAINER();
	give(&docker, "inner", ID, container_pid);
	check_refuses("inner", EG_EXIT_USAGE, "netns:inner");
	check_refuses("inner", EG_EXIT_USAGE, "docker:inner");
	check_resolves("netns:inner", EG_TARGET_NETNS, "netns:inner", "inner");
	check_resolves("docker:inner", EG_TARGET_CONTAINER, "docker:inner", "inner");
	give(&docker, "both", ID, container_pid);
	give(&podman, "both", ID, container_pid);
	check_refuses("both", EG_EXIT_USAGE, "docker:both");
	check_refuses("both", EG_EXIT_USAGE, "podman:both");
}

static void test_target_numbers(void **state)
{
	char digits[16], explicit_pid[32], name[32];

	(void)state;
	NEED_CONTAINER();
	snprintf(digits, sizeof(digits), "%d", container_pid);
	snprintf(explicit_pid, sizeof(explicit_pid), "pid:%d", container_pid);
	snprintf(name, sizeof(name), "pid-%d", container_pid);
	/* The beginning of an id by chance: the engine answers to it, but with another name. */
	give(&docker, "wireguard", ID, container_pid);
	docker.name = digits;
	check_resolves(digits, EG_TARGET_PID, explicit_pid, name);
	give(&docker, digits, ID, container_pid);
	snprintf(name, sizeof(name), "docker:%s", digits);
	check_resolves(digits, EG_TARGET_CONTAINER, name, digits);
}

static void test_target_refuses(void **state)
{
	(void)state;
	check_refuses("", EG_EXIT_USAGE, "empty");
	check_refuses("innner", EG_EXIT_NO_SUCH, "did you mean 'inner'");
	check_refuses("zzz\033[31m", EG_EXIT_NO_SUCH, "zzz\\x1b[31m");
	check_refuses("netns:zzz", EG_EXIT_NO_SUCH, "/run/netns");
	check_refuses("netns:../netns/inner", EG_EXIT_NO_SUCH, "no network namespace");
	check_refuses("pid:x", EG_EXIT_USAGE, "'x'");
	check_refuses("pid:2147483647", EG_EXIT_NO_SUCH, "2147483647");
	check_refuses("2147483646", EG_EXIT_NO_SUCH, "2147483646");
	check_refuses("/run/netns/zzz", EG_EXIT_NO_SUCH, "/run/netns/zzz");
	check_refuses("/dev/null", EG_EXIT_NO_SUCH, "not a network namespace");
	check_refuses("docker:zzz", EG_EXIT_NO_SUCH, "Docker has no container");
	give(&docker, "sleeping", ID, 0);
	check_refuses("docker:sleepin", EG_EXIT_NO_SUCH, "did you mean 'sleeping'?");
	/* By what its compose file calls it, not by what compose calls it. */
	check_refuses("vpn", EG_EXIT_NO_SUCH, "service of that name is called 'sleeping'");
	check_refuses("docker:vpn", EG_EXIT_NO_SUCH, "service of that name is called 'sleeping'");
	check_refuses("sleeping", EG_EXIT_NO_SUCH, "is stopped; start it first");
	docker.behaviour = SERVER_ERROR;
	check_refuses("inner", EG_EXIT_FAILED, "write netns:inner");
}

int main(void)
{
#define WITH_ENGINES(test) cmocka_unit_test_setup_teardown(test, start_engines, stop_engines)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_path), cmocka_unit_test(test_cgroup_path_from_inside),
		WITH_ENGINES(test_inspect),         WITH_ENGINES(test_remote_engine),
		WITH_ENGINES(test_no_engine),       WITH_ENGINES(test_names),
		WITH_ENGINES(test_bad_engines),     WITH_ENGINES(test_list),
		WITH_ENGINES(test_target_kinds),    WITH_ENGINES(test_target_since_when),
		WITH_ENGINES(test_target_twice),    WITH_ENGINES(test_target_numbers),
		WITH_ENGINES(test_target_refuses),
	};

	bed_check_private();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
