/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What commands show, as plain values: commands fill these, renderers (render.h) print them.
 * Neither knows the other. Strings are as they came; a renderer escapes them.
 */
#ifndef EG_MODEL_H
#define EG_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "eg_abi.h"
#include "verify/judge.h"

enum eg_guard_state {
	EG_STATE_ENFORCING,
	EG_STATE_AUDIT,
	EG_STATE_DEGRADED,  /* something it should cover is not covered */
	EG_STATE_UNGUARDED, /* the name now means another namespace, without a guard */
	EG_STATE_GONE,      /* its namespace is no more */
};
extern const char *const eg_guard_state_names[5];

struct eg_layer_view {
	const char *name; /* "device" */
	/* "attached", "partial", "missing", "not held", "not known", "not available" */
	const char *state;
	char **interfaces; /* NULL-terminated */
	char *detail;      /* what it does not cover, or NULL */
};

struct eg_recent_view {
	__u8 family;
	union eg_addr dst;
	__u16 dport;
	__u8 proto;
	enum eg_reason reason;
	enum eg_layer layer;
	bool would;
	__u64 packets, bytes;
	__u64 first_realtime_ns, last_realtime_ns;
	__u32 pid;                       /* 0: not known */
	char *comm, *container, *cgroup; /* NULL: not known */
};

/* Owns what it points to. */
struct eg_guard_view {
	char *name;
	char *target;
	const char *mode; /* "enforce", "audit" */
	enum eg_guard_state state;
	char *reason;                     /* why it is degraded, unguarded or gone; NULL */
	__u64 since_realtime_ns;          /* guarded since; 0: it is not, or that is not known */
	__u64 target_started_realtime_ns; /* what has the target's name now; 0: not known */
	__u64 unguarded_ns; /* from its start until the guard, or now; of no meaning without */
	char **tunnels;     /* "wg0", NULL-terminated */
	char *tunnel_state; /* "wg0 (WireGuard, up)", "wg0 absent", … */
	char **endpoints;   /* texts */
	char *dns;          /* "tunnel", "lan", "outside the guard", "not known" */
	const char *dns_resolver; /* Docker's: "none", "inside", "outside", "not known"; NULL */
	bool dns_refused;         /* it is refused on loopback */
	char *dns_detail;         /* what leaves outside any hook, and the fix; NULL */
	char *holds_against;      /* "processes without NET_ADMIN", …; NULL: nothing known */
	bool hidden; /* root inside has interfaces elsewhere that lead out; the notes name them */
	struct eg_layer_view *layers;
	size_t n_layers;
	char **notes; /* what this kernel leaves uncovered, leftovers, hints */
	struct eg_counter counters[EG_COUNTERS_ALL];
	bool have_counters;
	bool answers; /* OnBlock = reject */
	__u64 answers_sent, answers_withheld;
	struct eg_recent_view *recent;
	size_t n_recent;
	char *policy; /* text without [Derived], NULL: not known */
};

/* A container left in a dead namespace. */
struct eg_stranded_view {
	const char *engine; /* "docker" */
	const char *cause;  /* "restarted", "stopped", "removed": what became of the owner */
	char *container;
	char *owner; /* NULL: removed */
	char *fix;   /* a command, or NULL */
};

struct eg_status_view {
	const char *version;
	const char *pin_dir; /* the directory that was looked in */
	struct eg_guard_view *guards;
	size_t n_guards;
	bool looked_for_stranded;
	struct eg_stranded_view *stranded;
	size_t n_stranded;
	char *stranded_why; /* why it may not be all of them, NULL */
};
void eg_status_view_free(struct eg_status_view *status);

/*
 * The counters of all layers put together, by reason. A dropped packet was dropped by one layer:
 * drops are summed. An allowed packet, or one that audit mode let pass, was counted by each layer
 * it went through: the layer that counted most tells.
 */
struct eg_totals {
	struct eg_counter allowed[EG_REASON_COUNT];
	struct eg_counter dropped[EG_REASON_COUNT];
	struct eg_counter would_drop[EG_REASON_COUNT];
	struct eg_counter all_allowed;
	/* Without multicast and broadcast, the noise of discovery protocols: the headline. */
	struct eg_counter all_dropped;
	struct eg_counter all_would_drop;
	/* Drops at `peer` that no switch of policy explains. */
	__u64 bypass_packets;
};
void eg_totals(const struct eg_counter counters[EG_COUNTERS_ALL], struct eg_totals *ret_totals);
/* The same of what `verify` sent and was blocked; nothing of that is in the other. */
void eg_totals_of_probes(const struct eg_counter counters[EG_COUNTERS_ALL],
			 struct eg_totals *ret_totals);

/* One line of `events`. */
struct eg_event_view {
	const struct eg_event *event;
	__u64 realtime_ns;
	const char *guard;
	const char *ifname;       /* NULL: not known */
	const char *cgroup;       /* path, NULL: not known */
	const char *container;    /* name, NULL */
	const char *container_id; /* NULL */
};

/* One line of the table of `verify`. */
struct eg_verify_row_view {
	enum eg_probe_row row;
	struct eg_row_verdict verdict;
	__u32 seen; /* frames at the far end */
};

struct eg_verify_underlay_view {
	char *name;
	char *far_end; /* "veth1a2b3c", NULL: none that could be watched */
	char *detail;  /* why nothing, or less, could be tried; NULL */
	struct eg_verify_row_view rows[EG_PROBE_ROW_COUNT];
	size_t n_rows; /* 0: it is down */
};

/* What `verify` finds out beside: it says nothing about leaks. */
struct eg_verify_check_view {
	const char *what;  /* "tunnel", "lan" */
	char *name;        /* "wg0", "172.18.0.1" */
	const char *state; /* "works", "fails", "cannot tell" */
	char *detail;
};

/* Owns what it points to. */
struct eg_verify_view {
	char *guard; /* NULL: none */
	char *target;
	const char *mode; /* "enforce", "audit"; NULL without a guard */
	char *holds_against;
	enum eg_verify_result result;
	char **doubts; /* why it is not called sealed, beside the rows; NULL-terminated */
	struct eg_verify_underlay_view *underlays;
	size_t n_underlays;
	struct eg_verify_check_view *checks;
	size_t n_checks;
};
void eg_verify_view_free(struct eg_verify_view *verify);
/* Rows by how they ended, over all underlays. */
void eg_verify_count(const struct eg_verify_view *verify, size_t ret_rows[4]);

/* One line of `features`. */
struct eg_feature_view {
	const char *name; /* JSON key, "checksum_test" */
	const char *what; /* for people: "test of pending checksums" */
	bool present;
	bool unknown;       /* could not be tried: `present` says nothing */
	const char *detail; /* why not, and what follows; a path; NULL */
};

#endif /* EG_MODEL_H */
