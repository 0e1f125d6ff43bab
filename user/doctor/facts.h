/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `doctor` has seen of a live pattern, as plain values: collected elsewhere, judged in
 * judge.h. Whatever could not be seen is left out, and `why` says why. Strings are as they came.
 */
#ifndef EG_DOCTOR_FACTS_H
#define EG_DOCTOR_FACTS_H

#include "doctor/chain.h"
#include "net/link.h"
#include "net/route.h"
#include "net/wireguard.h"
#include "policy/wgcheck.h"

#define EG_DOCTOR_WORD 512

/* A container in the network of another, or that was. */
struct eg_doctor_container {
	char *name;
	char *again;     /* the command that makes it anew, NULL: not known */
	bool stranded;   /* its namespace is not its owner's */
	bool owner_gone; /* the container that it shared with exists no more */
};

/* Where the kernel would send a packet. */
struct eg_doctor_lookup {
	struct eg_prefix address;
	bool public;
	int result; /* 0, or -errno of "nowhere" */
	struct eg_route route;
};

struct eg_doctor_sysctls {
	int rp_filter_all, rp_filter_underlay; /* -1: not known */
	int valid_mark_all, valid_mark_underlay;
	int no_ipv6_all, no_ipv6_default, no_ipv6_tunnel;
};

/* What a process got that connected to a port and asked for a page. */
enum eg_doctor_answer {
	EG_DOCTOR_UNTRIED, /* `why` says why */
	EG_DOCTOR_REFUSED,
	EG_DOCTOR_NO_ROUTE, /* no connection: timeout, unreachable */
	EG_DOCTOR_SILENT,   /* connected, then nothing until the time was up */
	EG_DOCTOR_CLOSED,   /* connected, then closed without a byte */
	EG_DOCTOR_ANSWERED,
};
extern const char *const eg_doctor_answer_names[6];

struct eg_doctor_port {
	__u8 proto;
	__u16 port; /* inside */
	__u16 host_port;
	char host[64]; /* where it was tried from outside: "127.0.0.1" */
	enum eg_doctor_answer outside, inside;
	char why[EG_DOCTOR_WHY];
};

struct eg_doctor_dns {
	char server[64]; /* as resolv.conf has it */
	bool docker;     /* Docker's own */
	bool loopback;   /* of the namespace */
	struct eg_prefix address;
	bool known;    /* the next four are */
	int result;    /* of the lookup */
	__u32 ifindex; /* by which its queries go */
	enum eg_doctor_dns_asked {
		EG_DOCTOR_DNS_UNASKED,
		EG_DOCTOR_DNS_SILENT, /* or the question could not be sent: `errnum` */
		EG_DOCTOR_DNS_FAILED, /* it answers that it cannot */
		EG_DOCTOR_DNS_ANSWERED
	} asked;
	int errnum;
	/* of Docker's: where it asks */
	enum eg_doctor_dns_seen {
		EG_DOCTOR_DNS_NOT_SEEN,
		EG_DOCTOR_DNS_TUNNEL,
		EG_DOCTOR_DNS_UNDERLAY,
		EG_DOCTOR_DNS_OUTSIDE
	} seen;
};

enum eg_doctor_guard {
	EG_DOCTOR_GUARD_UNKNOWN,
	EG_DOCTOR_GUARD_NONE,
	EG_DOCTOR_GUARD_ENFORCING,
	EG_DOCTOR_GUARD_OTHER, /* audit, degraded, unguarded: `guard_state` */
};

/* Parts of commands for a shell of this machine's, quoted where that is needed; "": not known, or
 * not printable. */
struct eg_doctor_words {
	char target[EG_DOCTOR_WORD]; /* "docker:wireguard" */
	char enter[EG_DOCTOR_WORD]; /* before what is to run in the namespace: "nsenter -t 12 -n" */
	char quick[EG_DOCTOR_WORD]; /* before wg-quick: with the files that it needs, too */
	char conf[EG_DOCTOR_WORD];  /* the configuration */
	char conf_there[EG_DOCTOR_WORD]; /* the same as `quick` has it */
	char pin_dir[EG_DOCTOR_WORD];    /* "": the usual one */
	char guard[EG_DOCTOR_WORD];      /* the guard's name, and its target */
	char guard_target[EG_DOCTOR_WORD];
	char rejoin[EG_DOCTOR_WORD]; /* starts again what is in a namespace that is cut off */
	bool inside;                 /* the configuration is a file of the container's */
	bool attach_conf;            /* `attach` does not find the configuration by itself */
};

/* Makes one; false, and "", for what nobody could paste. */
bool eg_doctor_word(char to[EG_DOCTOR_WORD], const char *text);

/* Owns what it points to, but for texts that are const. */
struct eg_doctor_facts {
	char *target;                               /* as it was resolved: "docker:wireguard" */
	char *owner;                                /* the container's name, NULL: none */
	__u64 started_realtime_ns, now_realtime_ns; /* 0: not known */
	char *owner_again;                          /* the command that makes it anew, or NULL */
	struct eg_doctor_container *containers;
	size_t n_containers;

	/* interfaces */
	const struct eg_link *tunnel_link; /* one of `links`, NULL: absent */
	struct eg_link *links;
	size_t n_links;
	struct eg_link_addr *addrs;
	size_t n_addrs;

	/* WireGuard */
	struct eg_wg_device wg;
	__u64 sent, received; /* bytes, after something was sent just now */

	/* the configuration */
	char *conf_text;
	char *conf_path; /* as it came; in the container, or ours where it was named. NULL: none */
	struct eg_wgfile *conf_file;
	struct eg_wgfacts conf_facts;
	struct eg_wgmodel *model; /* NULL: none */
	struct eg_wgreport *conf_report;
	__u64 conf_changed_realtime_ns; /* 0: not known */
	__u64 tunnel_made_realtime_ns;  /* when the tunnel got its addresses; 0: not known */

	/* routes, and where packets would go; the endpoint's with the tunnel's mark */
	struct eg_route *routes;
	size_t n_routes;
	struct eg_ip_rule *rules;
	size_t n_rules;
	struct eg_doctor_lookup *lookups;
	size_t n_lookups;

	struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS];

	struct eg_doctor_dns *dns;
	size_t n_dns;
	struct eg_doctor_port *ports;
	size_t n_ports;

	struct eg_doctor_lookup endpoint;
	struct eg_doctor_sysctls sysctls;
	enum eg_tunnel_kind kind;
	enum eg_doctor_guard guard;
	int routes_result; /* why there are no routes */
	int send_result;   /* of a packet that was sent into the tunnel: -errno, or 0 */

	bool stopped;    /* the container does not run: nothing else is known */
	bool owner_gone; /* it is itself in the network of a container that exists no more */
	bool have_engine, docker_desktop;
	bool have_wg, have_routes, have_endpoint;
	bool podman;
	bool mute;       /* net/mute.h */
	bool cut_off;    /* there is no interface but loopback */
	bool no_network; /* a container that was made without one */
	bool provoked;   /* a packet was sent into the tunnel, and a handshake waited for */
	bool asked;      /* `sent` and `received` are known */
	bool guard_endpoint_known;
	bool guard_lets_endpoint; /* the live endpoint is one of the guard's */

	char tunnel[16];       /* "wg0" */
	char underlay[16];     /* the first interface that is neither, "" */
	char system[128];      /* the engine's OperatingSystem */
	char conf[256];        /* its path, safe to print */
	char resolv_conf[256]; /* where `dns` was read, safe to print; "" where the container has it
				*/
	char guard_name[256], guard_state[32];
	struct eg_doctor_words words;

	char engine_why[EG_DOCTOR_WHY];
	char containers_why[EG_DOCTOR_WHY]; /* not all could be looked at */
	char wg_why[EG_DOCTOR_WHY], conf_why[EG_DOCTOR_WHY], guard_why[EG_DOCTOR_WHY];
	char dns_why[EG_DOCTOR_WHY], ports_why[EG_DOCTOR_WHY];
};
void eg_doctor_facts_free(struct eg_doctor_facts *facts);

/* The address by which a prefix is looked up: its last, or next to it. */
struct eg_prefix eg_doctor_inside(const struct eg_prefix *prefix);

/* The name of an interface, "" where it is none. */
const char *eg_doctor_link_name(const struct eg_doctor_facts *facts, __u32 ifindex);

#endif /* EG_DOCTOR_FACTS_H */
