/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Collects what `doctor` judges (doctor/facts.h): from netlink, /proc, the engine, and by
 * connecting to ports. Needs no BPF, changes nothing; each step has a time limit. A step that
 * cannot see something says why in the facts, and is no failure.
 */
#ifndef EG_DOCTOR_H
#define EG_DOCTOR_H

#include <limits.h>

#include "doctor/facts.h"
#include "net/target.h"
#include "options.h"

/* A published port that was named, or what was found of one elsewhere. */
struct eg_doctor_port_option {
	char host[64]; /* "" : by the engine's word, or the loopback address */
	__u16 host_port, port;
	bool has_result; /* --host-port: what curl said on the host */
	int curl;
};

struct eg_doctor_request {
	const struct eg_common *common;
	const char *conf;   /* --conf, NULL */
	const char *tunnel; /* --tunnel, NULL */
	struct eg_doctor_port_option *ports;
	size_t n_ports;
	void (*progress)(const char *what); /* NULL: nobody watches */
};

/* Fills in `facts`, which starts as {} and is the caller's to free, however this ends. Only a
 * target that cannot be found, or looked into at all, is an error. */
int eg_doctor_collect(const struct eg_doctor_request *request, struct eg_doctor_facts *facts,
		      struct eg_error *error);

/* The target where none was named: the one container whose network others share, or that has a
 * tunnel. */
int eg_doctor_find_target(char ret_target[EG_TARGET_MAX], struct eg_error *error);

/* Why something could not be seen; cut where it is too long. */
void eg_doctor_say(char to[EG_DOCTOR_WHY], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a handshake was made so lately that what is sent into the tunnel can be answered. */
bool eg_doctor_has_session(const struct eg_doctor_facts *facts);

/* How commands reach the namespace, and its files; after the configuration was looked for. */
void eg_doctor_collect_words(const struct eg_doctor_request *request,
			     const struct eg_target *target, struct eg_doctor_facts *facts);
/* Where this mount namespace has the very file that `path` is to a process: what is mounted into a
 * container has a place of its own here. False: it has none. */
bool eg_doctor_here(pid_t pid, const char *path, char ret_path[PATH_MAX]);
/* What starts again whatever is in a namespace that is cut off. */
void eg_doctor_find_rejoin(const struct eg_target *target, struct eg_doctor_facts *facts);
/* The command that makes a container anew, NULL where it is not known. The caller frees it. */
char *eg_doctor_again(const struct eg_container *container);
/* A process whose resolv.conf is that of the namespace: the container's, or one with files of its
 * own, as `ip netns exec` gives it. 0: there is none. */
pid_t eg_doctor_resolv_pid(const struct eg_target *target);

/* WireGuard's state, after a handshake was provoked where the last is old. */
void eg_doctor_collect_wireguard(const struct eg_doctor_request *request,
				 const struct eg_netns *netns, struct eg_doctor_facts *facts);
/* Sends one packet into the tunnel that goes no further than its server. 0 or -errno. */
int eg_doctor_send_into(const struct eg_netns *netns, struct eg_doctor_facts *facts);
/* What was sent into it since its state was read, and what came back, which may take until `until`
 * (eg_monotonic_ms()). */
void eg_doctor_count_traffic(const struct eg_netns *netns, long until,
			     struct eg_doctor_facts *facts);

/* The steps. `target` is NULL in the first where the container does not run. */
void eg_doctor_collect_containers(const struct eg_container *owner, const struct eg_target *target,
				  struct eg_doctor_facts *facts);
int eg_doctor_collect_conf(const struct eg_doctor_request *request, const struct eg_target *target,
			   struct eg_doctor_facts *facts);
int eg_doctor_collect_routes(const struct eg_target *target, struct eg_doctor_facts *facts);
int eg_doctor_collect_tables(const struct eg_target *target, struct eg_doctor_facts *facts);
void eg_doctor_collect_guard(const struct eg_doctor_request *request,
			     const struct eg_target *target, struct eg_doctor_facts *facts);
int eg_doctor_collect_dns(const struct eg_target *target, struct eg_doctor_facts *facts);
int eg_doctor_collect_ports(const struct eg_doctor_request *request, const struct eg_target *target,
			    struct eg_doctor_facts *facts);

#endif /* EG_DOCTOR_H */
