// SPDX-License-Identifier: GPL-2.0
#include "net/runtime_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "net/parse.h"
#include "net/runtime_http.h"
#include "util/cleanup.h"
#include "util/text.h"

#define AGAIN_MS     500
#define LINE_MAX_LEN (1U << 20)
#define WHY_LEN      256

/* No other kinds, whatever else happens there. */
#define PATH "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"

struct eg_runtime_events {
	enum eg_runtime runtime;
	eg_runtime_tell tell;
	void *argument;
	struct eg_http_stream *stream; /* NULL: to be opened when the timer says so */
	int epoll_fd, timer_fd;
	bool up;
	struct eg_text line;
	bool is_long; /* the rest of it is left out */
};

static void tell(struct eg_runtime_events *events, enum eg_runtime_told told,
		 const struct eg_engine_event *event, const char *text)
{
	events->tell(events->argument, events->runtime, told, event, text);
}

/* With it come the labels of the container's image, as long as they like. */
static void take_line(struct eg_runtime_events *events)
{
	struct eg_engine_event event;
	int result = 0;

	if (events->is_long)
		eg_engine_event_begin(events->line.data, events->line.len, &event);
	else
		result = eg_engine_event_parse(events->line.data, events->line.len, &event);
	if (result == 0)
		tell(events, EG_RUNTIME_EVENT, &event, NULL);
	events->line.len = 0;
	events->is_long = false;
}

/* Podman and Docker end each with a newline; JSON has none inside. */
static int take(void *argument, const char *data, size_t len)
{
	struct eg_runtime_events *events = argument;

	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t part = end ? (size_t)(end - data) + 1 : len;

		events->is_long = events->is_long || events->line.len + part > LINE_MAX_LEN;
		if (!events->is_long)
			eg_text_add(&events->line, data, part);
		if (events->line.failed)
			return -ENOMEM;
		if (end)
			take_line(events);
		data += part;
		len -= part;
	}
	return 0;
}

static void close_stream(struct eg_runtime_events *events)
{
	eg_http_stream_close(events->stream);
	events->stream = NULL;
	events->up = false;
	eg_text_free(&events->line);
	events->line = (struct eg_text){};
	events->is_long = false;
}

static void again_in(struct eg_runtime_events *events, unsigned int ms)
{
	const struct itimerspec timer = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L + 1}};

	timerfd_settime(events->timer_fd, 0, &timer, NULL);
}

static int open_stream(struct eg_runtime_events *events)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1};
	int result = eg_http_stream_open(eg_runtime_engine(events->runtime), PATH, take, events,
					 &events->stream);

	if (result < 0)
		return result;
	return epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, eg_http_stream_fd(events->stream),
			 &event) < 0
		       ? -errno
		       : 0;
}

static void go_down(struct eg_runtime_events *events, const char *why)
{
	close_stream(events);
	again_in(events, AGAIN_MS);
	tell(events, EG_RUNTIME_DOWN, NULL, why);
}

static void work_stream(struct eg_runtime_events *events)
{
	char why[WHY_LEN] = "";
	int result = eg_http_stream_work(events->stream, why);

	if (result < 0) {
		go_down(events, why);
	} else if (result > 0 && !events->up) {
		events->up = true;
		tell(events, EG_RUNTIME_UP, NULL, NULL);
	}
}

void eg_runtime_events_work(struct eg_runtime_events *events)
{
	uint64_t times;
	int result;

	if (!events->stream && read(events->timer_fd, &times, sizeof(times)) > 0) {
		result = open_stream(events);
		if (result < 0)
			go_down(events, strerror(-result));
	}
	if (events->stream)
		work_stream(events);
}

int eg_runtime_events_fd(const struct eg_runtime_events *events)
{
	return events->epoll_fd;
}

void eg_runtime_events_free(struct eg_runtime_events *events)
{
	if (!events)
		return;
	close_stream(events);
	eg_cleanup_close(&events->epoll_fd);
	eg_cleanup_close(&events->timer_fd);
	free(events);
}

static void events_freep(struct eg_runtime_events **events)
{
	eg_runtime_events_free(*events);
}

int eg_runtime_events_new(enum eg_runtime runtime, eg_runtime_tell tell_it, void *argument,
			  struct eg_runtime_events **ret_events)
{
	EG_AUTO(events_freep) struct eg_runtime_events *events = calloc(1, sizeof(*events));
	struct epoll_event event = {.events = EPOLLIN};

	if (!eg_runtime_available()) {
		free(EG_TAKE(events));
		return -EOPNOTSUPP;
	}
	if (!events)
		return -ENOMEM;
	events->runtime = runtime;
	events->tell = tell_it;
	events->argument = argument;
	events->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	events->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (events->epoll_fd < 0 || events->timer_fd < 0 ||
	    epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, events->timer_fd, &event) < 0)
		return -errno;
	again_in(events, 0);
	*ret_events = EG_TAKE(events);
	return 0;
}
