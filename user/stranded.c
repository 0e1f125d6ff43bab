// SPDX-License-Identifier: GPL-2.0
#include "stranded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "net/container_netns.h"
#include "policy/array.h"
#include "util/cleanup.h"

#define CONTAINERS_MAX 1000

const char *const eg_stranded_cause_names[3] = {
	[EG_STRANDED_RESTARTED] = "restarted",
	[EG_STRANDED_STOPPED] = "stopped",
	[EG_STRANDED_REMOVED] = "removed",
};

void eg_stranded_free(struct eg_stranded *stranded)
{
	free(stranded->name);
	free(stranded->owner);
	free(stranded->fix);
	*stranded = (struct eg_stranded){};
}
#define EG_AUTO_STRANDED EG_AUTO(eg_stranded_free)

void eg_strandeds_free(struct eg_stranded *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		eg_stranded_free(&list[i]);
	free(list);
}

/* --- one container ------------------------------------------------------------------------------
 */

/* 1 where they are two. */
static int in_different_namespaces(const struct eg_container *a, const struct eg_container *b)
{
	EG_AUTO_NETNS struct eg_netns of_a = EG_NETNS_NONE, of_b = EG_NETNS_NONE;
	int result = eg_container_netns(a, &of_a, NULL);

	if (result == 0)
		result = eg_container_netns(b, &of_b, NULL);
	return result < 0 ? result : !eg_netns_same(&of_a, &of_b);
}

/* 1 and why, 0 where they are together. */
static int compare(const struct eg_container *container, const char *owner_id,
		   struct eg_container *ret_owner, enum eg_stranded_cause *ret_cause)
{
	int result = eg_runtime_inspect(container->runtime, owner_id, ret_owner, NULL);

	if (result == -ENOENT) {
		*ret_cause = EG_STRANDED_REMOVED;
		return 1;
	}
	if (result < 0)
		return result;
	if (!ret_owner->running) {
		*ret_cause = EG_STRANDED_STOPPED;
		return 1;
	}
	*ret_cause = EG_STRANDED_RESTARTED;
	return in_different_namespaces(container, ret_owner);
}

/* NULL where a name cannot be written, or there is no memory. */
static char *restart(const struct eg_container *container, const struct eg_container *owner,
		     bool start_owner)
{
	EG_AUTO_TEXT struct eg_text text = {};
	const char *engine = eg_runtime_names[container->runtime];
	char word[EG_DOCTOR_WORD];

	if (start_owner && !eg_doctor_word(word, owner->name))
		return NULL;
	if (start_owner)
		eg_text_printf(&text, "%s start %s && ", engine, word);
	if (!eg_doctor_word(word, container->name))
		return NULL;
	eg_text_printf(&text, "%s restart %s", engine, word);
	return eg_text_take(&text);
}

static int fill(const struct eg_container *container, const struct eg_container *owner,
		struct eg_stranded *stranded)
{
	stranded->name = strdup(container->name);
	stranded->owner = owner->name ? strdup(owner->name) : NULL;
	if (!stranded->name || (owner->name && !stranded->owner))
		return -ENOMEM;
	switch (stranded->cause) {
	case EG_STRANDED_REMOVED:
		stranded->fix = eg_doctor_again(container);
		break;
	case EG_STRANDED_STOPPED:
	case EG_STRANDED_RESTARTED:
		stranded->fix = restart(container, owner, stranded->cause == EG_STRANDED_STOPPED);
		break;
	}
	return 0;
}

int eg_stranded_look(const struct eg_container *container, struct eg_stranded *ret_stranded)
{
	EG_AUTO_CONTAINER struct eg_container owner = {};
	EG_AUTO_STRANDED struct eg_stranded stranded = {.runtime = container->runtime};
	const char *id = eg_container_shares_with(container);
	int result;

	if (!id || !container->running)
		return 0;
	snprintf(stranded.owner_id, sizeof(stranded.owner_id), "%s", id);
	result = compare(container, id, &owner, &stranded.cause);
	if (result <= 0)
		return result;
	result = fill(container, &owner, &stranded);
	if (result < 0)
		return result;
	*ret_stranded = stranded;
	stranded = (struct eg_stranded){};
	return 1;
}

/* --- all of them --------------------------------------------------------------------------------
 */

struct list {
	struct eg_stranded *all;
	size_t n, unknown;
};

static int look_at(enum eg_runtime runtime, const char *id, struct list *list)
{
	EG_AUTO_CONTAINER struct eg_container container = {};
	EG_AUTO_STRANDED struct eg_stranded stranded = {};
	int result = eg_runtime_inspect(runtime, id, &container, NULL);

	if (result == 0)
		result = eg_stranded_look(&container, &stranded);
	if (result == -ENOMEM)
		return result;
	/* One that is gone meanwhile is none. */
	if (result < 0 && result != -ENOENT)
		list->unknown++;
	if (result <= 0)
		return 0;
	result = EG_ARRAY_ADD(list->all, list->n, stranded);
	if (result == 0)
		stranded = (struct eg_stranded){};
	return result;
}

int eg_stranded_find(enum eg_runtime runtime, struct eg_stranded **ret_list, size_t *ret_n,
		     size_t *ret_unknown, struct eg_error *error)
{
	struct eg_container *containers = NULL;
	struct list list = {};
	size_t n = 0;
	int result = eg_runtime_list(runtime, &containers, &n, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < n; i++) {
		if (i >= CONTAINERS_MAX)
			list.unknown++;
		else if (result == 0)
			result = look_at(runtime, containers[i].id, &list);
		eg_container_free(&containers[i]);
	}
	free(containers);
	if (result < 0) {
		eg_strandeds_free(list.all, list.n);
		return eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result));
	}
	*ret_list = list.all;
	*ret_n = list.n;
	*ret_unknown = list.unknown;
	return 0;
}
