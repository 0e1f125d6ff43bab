// SPDX-License-Identifier: GPL-2.0
#include "ward_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/process.h"
#include "stranded.h"
#include "util/text.h"

bool eg_ward_target_has_kind(const char *target, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(target, kind, len) == 0 && target[len] == ':';
}

bool eg_ward_target_is_plain(const char *target)
{
	return !strchr(target, '/') && strcmp(target, EG_TARGET_OF_SELF) != 0 &&
	       !eg_ward_target_has_kind(target, "netns") &&
	       !eg_ward_target_has_kind(target, "pid") &&
	       !eg_ward_target_has_kind(target, "docker") &&
	       !eg_ward_target_has_kind(target, "podman");
}

/* Whether there is any use in asking what the target is now. */
static enum eg_plan_target can_ask(const char *target, const bool engine_up[EG_RUNTIME_COUNT],
				   struct eg_error *error)
{
	char path[EG_TARGET_MAX + 16];
	bool any = false;

	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		any = any || engine_up[runtime];
		if (!eg_ward_target_has_kind(target, eg_runtime_names[runtime]))
			continue;
		if (engine_up[runtime])
			return EG_PLAN_TARGET_HERE;
		eg_error_set(error, EG_EXIT_NO_SUCH, ECONNREFUSED,
			     "%s does not answer: its containers are waited for",
			     eg_runtime_names[runtime]);
		return EG_PLAN_TARGET_UNKNOWN;
	}
	if (!eg_ward_target_is_plain(target) || any)
		return EG_PLAN_TARGET_HERE;
	snprintf(path, sizeof(path), "/run/netns/%s", target);
	if (access(path, F_OK) == 0 || eg_pid_parse(target))
		return EG_PLAN_TARGET_HERE;
	eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
		     "there is no namespace of that name in /run/netns, and no container engine "
		     "answers: waiting for it");
	return EG_PLAN_TARGET_AWAY;
}

bool eg_ward_target_is_untold(const char *target)
{
	return strncmp(target, "pid:", 4) == 0 || strchr(target, '/');
}

static enum eg_plan_target found(int result, const struct eg_error *error)
{
	if (result == 0)
		return EG_PLAN_TARGET_HERE;
	/* An engine that does not answer knows of no container, and its containers may run. */
	if (error->exit == EG_EXIT_NO_SUCH && result != -ECONNREFUSED && result != -EREMOTE)
		return EG_PLAN_TARGET_AWAY;
	return EG_PLAN_TARGET_UNKNOWN;
}

enum eg_plan_target eg_ward_target_look(const char *target, const bool engine_up[EG_RUNTIME_COUNT],
					struct eg_target *ret_target, struct eg_error *error)
{
	enum eg_plan_target can = can_ask(target, engine_up, error);

	return can == EG_PLAN_TARGET_HERE ? found(eg_target_find(target, ret_target, error), error)
					  : can;
}

static bool asks_engine(const char *target, const bool engine_up[EG_RUNTIME_COUNT])
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (engine_up[runtime] &&
		    (eg_ward_target_is_plain(target) ||
		     eg_ward_target_has_kind(target, eg_runtime_names[runtime])))
			return true;
	return false;
}

enum eg_plan_target eg_ward_target_ask(const struct eg_ward_question *question,
				       struct eg_finding **finding, enum eg_ward_asked *ret_asked,
				       struct eg_target *ret_target, struct eg_error *error)
{
	enum eg_plan_target can;
	int result;

	*ret_asked = EG_WARD_ASKED_NOBODY;
	if (!asks_engine(question->target, question->engine_up))
		return eg_ward_target_look(question->target, question->engine_up, ret_target,
					   error);
	can = can_ask(question->target, question->engine_up, error);
	if (can != EG_PLAN_TARGET_HERE)
		return can;
	result = eg_finding_ask(finding, question->target, question->wait_ms,
				question->ret_asked_ns, ret_target, error);
	*ret_asked = result == -EINPROGRESS ? EG_WARD_ASKED_STILL : EG_WARD_ASKED_DONE;
	return found(result, error);
}

static void say_one(const struct eg_stranded *one, eg_follow_say say, void *argument)
{
	EG_AUTO_TEXT struct eg_text line = {};
	char name[EG_NAME_MAX * 4];

	eg_escape(name, sizeof(name), one->name, strlen(one->name));
	eg_text_printf(&line,
		       "the container %s was left in a namespace that is dead, and has no network: "
		       "%s",
		       name, one->fix ? one->fix : "make it anew, as it was made");
	if (!line.failed)
		say(argument, true, line.data);
}

void eg_ward_target_stranded(const char *target, const bool engine_up[EG_RUNTIME_COUNT],
			     eg_follow_say say, void *argument)
{
	EG_AUTO_TARGET struct eg_target now = {.netns = EG_NETNS_NONE};
	struct eg_stranded *list = NULL;
	struct eg_error why = {};
	size_t n = 0, unknown = 0;

	if (eg_ward_target_look(target, engine_up, &now, &why) != EG_PLAN_TARGET_HERE ||
	    now.kind != EG_TARGET_CONTAINER)
		return;
	if (eg_stranded_find(now.container.runtime, &list, &n, &unknown, &why) < 0)
		say(argument, true, why.message);
	for (size_t i = 0; i < n; i++)
		if (list[i].cause == EG_STRANDED_REMOVED ||
		    strcmp(list[i].owner_id, now.container.id) == 0)
			say_one(&list[i], say, argument);
	eg_strandeds_free(list, n);
}
