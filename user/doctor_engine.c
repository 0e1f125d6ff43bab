// SPDX-License-Identifier: GPL-2.0
/* What the engine knows: who shares the namespace, and who is stranded in a dead one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "net/container_netns.h"
#include "policy/array.h"
#include "stranded.h"
#include "util/cleanup.h"
#include "util/text.h"

#define CONTAINERS_MAX 200

static int add(struct eg_doctor_facts *facts, const struct eg_container *container, bool stranded,
	       bool owner_gone)
{
	struct eg_doctor_container one = {
		.name = strdup(container->name),
		.again = owner_gone ? eg_doctor_again(container) : NULL,
		.stranded = stranded,
		.owner_gone = owner_gone,
	};

	if (one.name && EG_ARRAY_ADD(facts->containers, facts->n_containers, one) == 0)
		return 0;
	free(one.name);
	free(one.again);
	return -ENOMEM;
}

/* One that shares, or did. `owner` NULL: the namespace is no container's, so only those whose owner
 * is gone can be told. `target` NULL: the owner does not run. */
static int look_at(const struct eg_container *container, const struct eg_container *owner,
		   const struct eg_target *target, struct eg_doctor_facts *facts)
{
	EG_AUTO(eg_stranded_free) struct eg_stranded stranded = {};
	const char *id = eg_container_shares_with(container);
	bool is_owners = id && owner && strcmp(id, owner->id) == 0;
	int result;

	if (!id || (owner && strcmp(container->id, owner->id) == 0))
		return 0;
	if (is_owners && !target)
		return add(facts, container, false, false);
	result = eg_stranded_look(container, &stranded);
	if (result == -ENOMEM)
		return result;
	if (result == 0 && is_owners)
		return add(facts, container, false, false);
	if (result > 0 && (is_owners || stranded.cause == EG_STRANDED_REMOVED))
		return add(facts, container, true, stranded.cause == EG_STRANDED_REMOVED);
	return 0;
}

static int look_at_all(enum eg_runtime runtime, const struct eg_container *owner,
		       const struct eg_target *target, struct eg_doctor_facts *facts)
{
	struct eg_container *containers = NULL;
	struct eg_error why = {};
	size_t n = 0, failed = 0;
	int result = eg_runtime_list(runtime, &containers, &n, &why);

	if (result < 0) {
		eg_doctor_say(facts->engine_why, "%s", why.message);
		return result;
	}
	facts->have_engine = true;
	for (size_t i = 0; i < n; i++) {
		EG_AUTO_CONTAINER struct eg_container one = {};

		if (i >= CONTAINERS_MAX ||
		    eg_runtime_inspect(runtime, containers[i].id, &one, NULL) < 0)
			failed++;
		else
			failed += look_at(&one, owner, target, facts) < 0;
		eg_container_free(&containers[i]);
	}
	free(containers);
	if (failed)
		eg_doctor_say(
			facts->containers_why,
			"the engine was not, or could not be, asked about %zu of %zu containers",
			failed, n);
	return 0;
}

void eg_doctor_collect_containers(const struct eg_container *owner, const struct eg_target *target,
				  struct eg_doctor_facts *facts)
{
	enum eg_runtime runtime = owner ? owner->runtime : EG_RUNTIME_DOCKER;

	if (!eg_runtime_available()) {
		eg_doctor_say(facts->engine_why,
			      "this build cannot ask for containers (no libcurl)");
		return;
	}
	if (look_at_all(runtime, owner, target, facts) < 0)
		return;
	if (eg_runtime_system(runtime, facts->system, sizeof(facts->system)) < 0)
		facts->system[0] = '\0';
	facts->docker_desktop = strstr(facts->system, "Docker Desktop") != NULL;
}

/* --- where no target was named ---------------------------------------------------------------- */

struct candidates {
	char owners[2][EG_TARGET_MAX]; /* others share their network */
	size_t n_owners;
	char tunnels[2][EG_TARGET_MAX]; /* they have a tunnel */
	size_t n_tunnels;
	struct eg_error silent; /* why an engine that may have some was not heard */
};

static void add_candidate(char names[2][EG_TARGET_MAX], size_t *n, const char *name)
{
	for (size_t i = 0; i < *n && i < 2; i++) {
		if (strcmp(names[i], name) == 0)
			return;
	}
	if (*n < 2)
		snprintf(names[*n], EG_TARGET_MAX, "%s", name);
	(*n)++;
}

static bool has_tunnel(const struct eg_container *container)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO_FREE struct eg_link *links = NULL;
	bool found = false;
	size_t n = 0;

	if (eg_container_netns(container, &netns, NULL) < 0 || eg_netns_is_initial(&netns) ||
	    eg_links_get(&netns, &links, &n) < 0)
		return false;
	for (size_t i = 0; i < n && !found; i++) {
		enum eg_tunnel_kind kind = eg_tunnel_kind(&netns, &links[i]);

		found = kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE;
	}
	return found;
}

static void find_candidates(enum eg_runtime runtime, struct candidates *found)
{
	struct eg_container *containers = NULL;
	size_t n = 0;

	struct eg_error why = {};
	int result = eg_runtime_list(runtime, &containers, &n, &why);

	/* One that does not run has no containers; of others it is not known. */
	if (result < 0 && result != -ECONNREFUSED && result != -EOPNOTSUPP)
		found->silent = why;
	if (result < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		EG_AUTO_CONTAINER struct eg_container one = {};
		EG_AUTO_CONTAINER struct eg_container owner = {};
		const char *id;
		char name[EG_TARGET_MAX];

		if (i < CONTAINERS_MAX &&
		    eg_runtime_inspect(runtime, containers[i].id, &one, NULL) == 0) {
			id = eg_container_shares_with(&one);
			if (id && eg_runtime_inspect(runtime, id, &owner, NULL) == 0) {
				snprintf(name, sizeof(name), "%s:%.200s", eg_runtime_names[runtime],
					 owner.name);
				add_candidate(found->owners, &found->n_owners, name);
			} else if (!id && has_tunnel(&one)) {
				snprintf(name, sizeof(name), "%s:%.200s", eg_runtime_names[runtime],
					 one.name);
				add_candidate(found->tunnels, &found->n_tunnels, name);
			}
		}
		eg_container_free(&containers[i]);
	}
	free(containers);
}

int eg_doctor_find_target(char ret_target[EG_TARGET_MAX], struct eg_error *error)
{
	struct candidates found = {};
	char a[2 * EG_TARGET_MAX], b[2 * EG_TARGET_MAX];
	bool many;

	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		find_candidates(runtime, &found);
	if (found.n_owners == 1 || (!found.n_owners && found.n_tunnels == 1)) {
		snprintf(ret_target, EG_TARGET_MAX, "%s",
			 found.n_owners ? found.owners[0] : found.tunnels[0]);
		return 0;
	}
	many = found.n_owners || found.n_tunnels;
	if (!many)
		return eg_error_set(
			error, EG_EXIT_NO_SUCH, ENOENT,
			"no container with a tunnel, or whose network others share, was "
			"found: name the target: --netns TARGET%s%s",
			found.silent.message[0] ? "; " : "", found.silent.message);
	return eg_error_set(
		error, EG_EXIT_USAGE, EINVAL,
		"several may be meant, '%s' and '%s' among them: name one: --netns "
		"TARGET",
		eg_escape(a, sizeof(a), found.n_owners ? found.owners[0] : found.tunnels[0],
			  EG_TARGET_MAX),
		eg_escape(b, sizeof(b), found.n_owners ? found.owners[1] : found.tunnels[1],
			  EG_TARGET_MAX));
}
