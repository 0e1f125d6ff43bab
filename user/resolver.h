/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Docker's own resolver, 127.0.0.11. Whoever asks it does so over loopback; dockerd then asks
 * others on its behalf, from a socket in the container's namespace, where the layers judge it as
 * any, or from one in its own namespace, where none of them sees it. Which of the two, the engine
 * decides by where it has its servers from. Podman has no such resolver.
 */
#ifndef EG_RESOLVER_H
#define EG_RESOLVER_H

#include <stdbool.h>

#include "net/netns.h"
#include "net/runtime.h"
#include "net/survey.h"
#include "policy/policy.h"

#define EG_DOCKER_RESOLVER "127.0.0.11"

enum eg_resolver_way {
	EG_RESOLVER_NONE,    /* nobody here has it */
	EG_RESOLVER_INSIDE,  /* its queries leave from the namespace, and are judged there */
	EG_RESOLVER_OUTSIDE, /* from the engine's: outside the guard */
	EG_RESOLVER_UNKNOWN, /* cannot tell */
};
/* "none", "inside", "outside", "not known" */
extern const char *const eg_resolver_way_names[4];

struct eg_resolver {
	enum eg_resolver_way way;
	char why[768]; /* of OUTSIDE and UNKNOWN: a sentence, with the fix */
};

/*
 * By the engine's word on the container (`known`, NULL: the one whose process has that resolver is
 * looked for), its version, and what it wrote into resolv.conf. That file is within the container's
 * reach: it may say that the way is outside, never that it is inside.
 */
void eg_resolver_find(const struct eg_netns *netns, const struct eg_container *known,
		      struct eg_resolver *ret_resolver);

/* The same before anything runs there, and of whom nobody can ask the engine: unknown in a
 * container of Docker's, whose resolver may come any moment; none in any other. */
void eg_resolver_presume(const struct eg_container *known, struct eg_resolver *ret_resolver);

/* Whether the policy wants it refused: DNS through the tunnel only, and not known to go that way.
 */
bool eg_resolver_is_refused(const struct eg_resolver *resolver, const struct eg_policy *policy);

enum eg_resolver_seen {
	EG_RESOLVER_SEEN_NOWHERE, /* which tells nothing: it may have been dropped */
	EG_RESOLVER_SEEN_TUNNEL,  /* leaving the namespace through its tunnel */
	EG_RESOLVER_SEEN_UNDERLAY,
	EG_RESOLVER_SEEN_OUTSIDE, /* in the engine's namespace, and not in this one */
};

/*
 * Asks it for a name that nobody has, from inside the namespace, and watches on which interface the
 * question goes on: here, and in the engine's namespace (the one of whoever listens at the engine's
 * socket). Takes up to two seconds. What it sees was so this time; what leads to the resolver is
 * within reach of root inside, so nobody should allow anything for it.
 */
int eg_resolver_ask(const struct eg_netns *netns, const struct eg_survey *survey,
		    enum eg_resolver_seen *ret_seen);

/* PURE. Of a resolv.conf: whether it names Docker's resolver; whether Docker wrote into it that it
 * asks some server from the host's namespace ("# ExtServers: [host(192.0.2.53)]"). */
bool eg_resolv_conf_has_docker(const char *text);
bool eg_resolv_conf_asks_host(const char *text);

#endif /* EG_RESOLVER_H */
