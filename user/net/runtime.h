/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Container runtimes: the Docker and Podman API sockets (libcurl, jansson; Podman through its
 * Docker-compatible API). Replies are bounded to 64 MiB and five seconds.
 */
#ifndef EG_RUNTIME_H
#define EG_RUNTIME_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "util/error.h"

enum eg_runtime {
	EG_RUNTIME_DOCKER,
	EG_RUNTIME_PODMAN
};
#define EG_RUNTIME_COUNT 2
extern const char *const eg_runtime_names[EG_RUNTIME_COUNT]; /* "docker", "podman" */

/* A port of the container's that the host has too. */
struct eg_published {
	__u8 proto;
	__u16 port; /* inside */
	__u16 host_port;
	char host[64]; /* "0.0.0.0", "::", an address; "" is any */
};

/* Owns what it points to. Strings are as the runtime gave them: escape before printing. */
struct eg_container {
	enum eg_runtime runtime;
	char id[65];
	char *name; /* without the leading slash */
	bool running;
	pid_t pid;
	__u64 started_realtime_ns; /* 0: not known */
	char *network_mode; /* HostConfig.NetworkMode: "bridge", "container:ID", "host", … */
	char *sandbox;      /* the file by which the engine keeps its network namespace, "": none */
	struct eg_prefix
		*subnets; /* its networks' addresses and lengths, from the runtime's IPAM */
	size_t n_subnets;
	char **dns; /* HostConfig.Dns, NULL-terminated; may be NULL */
	char *restart_policy;
	/* what compose made it of, NULL where it did not */
	char *compose_project, *compose_service;
	char *compose_files;            /* separated by commas */
	struct eg_published *published; /* what of it makes no sense is left out */
	size_t n_published;
};
void eg_container_free(struct eg_container *container);
#define EG_AUTO_CONTAINER __attribute__((cleanup(eg_container_free)))

/* Whether this build can ask at all (built with libcurl). */
bool eg_runtime_available(void);

/*
 * Asks one runtime for a container by name, id or unique id prefix. -ENOENT: no such container;
 * -ECONNREFUSED: the runtime does not run here (its socket is absent or dead; `error` says which
 * socket). DOCKER_HOST (unix:// or tcp://) is respected for Docker, CONTAINER_HOST for Podman.
 * A PID is believed only if /proc/PID/cgroup of this machine names the container's id: a remote
 * engine's PID is somebody else's process here.
 */
int eg_runtime_inspect(enum eg_runtime runtime, const char *name,
		       struct eg_container *ret_container, struct eg_error *error);

/* The process that listens at the engine's Unix socket (or made it: PID 1 where systemd does).
 * -EOPNOTSUPP: it has none. */
pid_t eg_runtime_pid(enum eg_runtime runtime);

/* Whether root runs it (or systemd for it): its word is then root's. */
bool eg_runtime_is_roots(enum eg_runtime runtime);

/* The engine's version ("20.10.24"), as it says it: escape before printing. */
int eg_runtime_version(enum eg_runtime runtime, char *ret_version, size_t size);

/* What the engine runs on, by GET /info ("Debian GNU/Linux 12 (bookworm)", "Docker Desktop"), as it
 * says it: escape before printing. */
int eg_runtime_system(enum eg_runtime runtime, char *ret_system, size_t size);

/* Lists running containers: id and name only are filled in. The caller frees each, and the array.
 */
int eg_runtime_list(enum eg_runtime runtime, struct eg_container **ret_containers, size_t *ret_n,
		    struct eg_error *error);

/* Where an engine is asked: unix:///PATH or tcp://HOST:PORT. */
const char *eg_runtime_engine(enum eg_runtime runtime);

/* What an engine's stream of events told of a container; empty: it did not say. As it came. */
struct eg_engine_event {
	char id[65];
	char name[256];
};

/* The container id in a cgroup path ("/docker/ID", "docker-ID.scope", "libpod-ID.scope", …): 64 hex
 * digits. PURE. */
bool eg_cgroup_container_id(const char *path, char ret_id[65]);

/* The same, of a cgroup v2 id as bpf_skb_cgroup_id() gives it: finds the directory below the
 * cgroup2 mount (open_by_handle_at, kernfs). *ret_path is below the mount, as /proc/PID/cgroup
 * writes it, and the caller's to free. -ENOENT: no such cgroup (any more). */
int eg_cgroup_path(__u64 cgroup_id, char **ret_path);

#endif /* EG_RUNTIME_H */
