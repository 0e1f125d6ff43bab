// SPDX-License-Identifier: GPL-2.0
#include "engines.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "journal.h"

/* One that was never there is none of this machine's, and no news. */
static void say_engine(struct eg_engine *engine, enum eg_runtime runtime, bool up, const char *why)
{
	if (up)
		eg_journal("daemon", EG_JOURNAL_INFO, NULL, "%s answers: its events are followed",
			   eg_runtime_names[runtime]);
	else if (engine->up)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "%s does not answer any more (%s): its containers' guards stay as they "
			   "are, and it is asked again",
			   eg_runtime_names[runtime], why);
}

static void take_event(void *argument, enum eg_runtime runtime, enum eg_runtime_told told,
		       const struct eg_engine_event *event, const char *text)
{
	struct eg_engines *engines = argument;
	struct eg_engine *engine = &engines->engine[runtime];
	bool up = told == EG_RUNTIME_UP;

	if (told != EG_RUNTIME_EVENT) {
		say_engine(engine, runtime, up, text);
		engine->up = up;
		engine->settled = true;
	}
	for (size_t i = 0; i < engines->wards->n; i++) {
		if (told == EG_RUNTIME_EVENT)
			eg_ward_touch_container(engines->wards->ward[i], runtime,
						*event->id ? event->id : NULL,
						*event->name ? event->name : NULL);
		else
			eg_ward_set_engine(engines->wards->ward[i], runtime, up);
	}
}

static bool is_asked(const struct eg_engines *engines, enum eg_runtime runtime)
{
	for (size_t i = 0; i < engines->wards->n; i++)
		if (eg_ward_asks(engines->wards->ward[i], runtime))
			return true;
	return false;
}

static void start_engine(struct eg_engines *engines, enum eg_runtime runtime)
{
	struct eg_engine *engine = &engines->engine[runtime];
	struct epoll_event event = {.events = EPOLLIN};
	int result = eg_runtime_events_new(runtime, take_event, engines, &engine->events);

	event.data.ptr = engine;
	if (result == 0 && epoll_ctl(engines->epoll_fd, EPOLL_CTL_ADD,
				     eg_runtime_events_fd(engine->events), &event) < 0)
		result = -errno;
	if (result == 0)
		return;
	eg_runtime_events_free(engine->events);
	engine->events = NULL;
	engine->settled = true;
	for (size_t i = 0; i < engines->wards->n; i++)
		eg_ward_set_engine(engines->wards->ward[i], runtime, false);
	eg_journal("daemon", EG_JOURNAL_ERROR, NULL, "cannot follow the events of %s: %s",
		   eg_runtime_names[runtime],
		   result == -EOPNOTSUPP ? "this build cannot ask for containers (no libcurl)"
					 : strerror(-result));
}

static void stop_engine(struct eg_engine *engine)
{
	eg_runtime_events_free(engine->events);
	*engine = (struct eg_engine){};
}

void eg_engines_choose(struct eg_engines *engines)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		struct eg_engine *engine = &engines->engine[runtime];

		if (is_asked(engines, runtime) && !engine->events)
			start_engine(engines, runtime);
		else if (!is_asked(engines, runtime) && engine->events)
			stop_engine(engine);
	}
}

bool eg_engines_are_settled(const struct eg_engines *engines)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (engines->engine[runtime].events && !engines->engine[runtime].settled)
			return false;
	return true;
}

void eg_engines_tell(const struct eg_engines *engines, struct eg_ward *ward)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (engines->engine[runtime].settled)
			eg_ward_set_engine(ward, runtime, engines->engine[runtime].up);
}

bool eg_engines_work(struct eg_engines *engines, const void *data)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		if (data != &engines->engine[runtime])
			continue;
		eg_runtime_events_work(engines->engine[runtime].events);
		return true;
	}
	return false;
}

void eg_engines_end(struct eg_engines *engines)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		stop_engine(&engines->engine[runtime]);
}
