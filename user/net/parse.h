/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The readers of what the kernel, WireGuard implementations and container engines answer, apart
 * from how it is asked for. PURE: bytes in, values out.
 */
#ifndef EG_PARSE_H
#define EG_PARSE_H

#include <libmnl/libmnl.h>

#include "net/link.h"
#include "net/runtime.h"
#include "net/wireguard.h"

/* An RTM_NEWLINK message. -EBADMSG if it is malformed or has no name. */
int eg_link_parse(const struct nlmsghdr *message, struct eg_link *ret_link);

/* An RTM_NEWADDR message; -ENODATA if it holds no address of a family we know. */
int eg_link_addr_parse(const struct nlmsghdr *message, struct eg_link_addr *ret_addr);

/* An RTM_NEWROUTE answer to RTM_F_FIB_MATCH: the subnet of the route, if it is a connected one (no
 * gateway, no default route, no local address) of one of the two interfaces. Else -ENOENT. */
int eg_route_parse(const struct nlmsghdr *message, __u32 ifindex, __u32 other_ifindex,
		   struct eg_prefix *ret_subnet);

/* One message of a WG_CMD_GET_DEVICE dump. Peers are added behind those of the messages before; a
 * peer that goes on from the last message is the same peer. */
int eg_wg_message_parse(const struct nlmsghdr *message, struct eg_wg_device *device);

/* The answer to "get=1" of the UAPI, up to its empty line. -EBADMSG if it is malformed; a negative
 * errno that the implementation reported is returned as it is. */
int eg_wg_uapi_parse(const char *text, size_t len, struct eg_wg_device *ret_device);

/* "/containers/NAME/json". -EBADMSG, with what is wrong with it in `error`. */
int eg_container_parse(const char *json, size_t len, enum eg_runtime runtime,
		       struct eg_container *ret_container, struct eg_error *error);

/* "/containers/json" */
int eg_container_list_parse(const char *json, size_t len, enum eg_runtime runtime,
			    struct eg_container **ret_containers, size_t *ret_n,
			    struct eg_error *error);

/* One line of "/events": the container that something happened to. -ENOMSG: to none; -EBADMSG: it
 * is no event. */
int eg_engine_event_parse(const char *json, size_t len, struct eg_engine_event *ret_event);

/* Of one of which only the beginning is there, as it is too long to be kept: the container's id, or
 * nothing. */
void eg_engine_event_begin(const char *json, size_t len, struct eg_engine_event *ret_event);

/* A text of an engine's answer, "Version" of GET /version, say, as it came. -EBADMSG. */
int eg_engine_text(char *to, size_t size, const char *key, const char *json, size_t len);

/* The "message" of an engine's error answer, escaped; empty if there is none. Returns `to`. */
char *eg_engine_message(char *to, size_t size, const char *json, size_t len);

/* Nanoseconds since 1970 of an RFC 3339 time, 0 if it is not one, or before 1970 (an engine's
 * "never" is the year 1). */
__u64 eg_rfc3339_parse(const char *text);

/* Whether the text of /proc/PID/cgroup has the id in some hierarchy. */
bool eg_cgroup_names_id(const char *text, const char *id);

#endif /* EG_PARSE_H */
