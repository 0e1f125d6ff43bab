/* SPDX-License-Identifier: GPL-2.0 */
/* What happens to an engine's containers, as it happens: its stream of events, opened again
 * whenever it ends. */
#ifndef EG_RUNTIME_EVENTS_H
#define EG_RUNTIME_EVENTS_H

#include "net/runtime.h"

struct eg_runtime_events;

enum eg_runtime_told {
	EG_RUNTIME_UP,    /* it answers: whatever happened before was not told */
	EG_RUNTIME_DOWN,  /* it does not, or not any more; `text` says why */
	EG_RUNTIME_EVENT, /* something happened to the container in `event` */
};
typedef void (*eg_runtime_tell)(void *argument, enum eg_runtime runtime, enum eg_runtime_told told,
				const struct eg_engine_event *event, const char *text);

/* DOWN is told each time that it cannot be reached, half a second apart. -EOPNOTSUPP: this build
 * cannot ask. */
int eg_runtime_events_new(enum eg_runtime runtime, eg_runtime_tell tell, void *argument,
			  struct eg_runtime_events **ret_events);
void eg_runtime_events_free(struct eg_runtime_events *events);

/* Readable when there is something to do. */
int eg_runtime_events_fd(const struct eg_runtime_events *events);
void eg_runtime_events_work(struct eg_runtime_events *events);

#endif /* EG_RUNTIME_EVENTS_H */
