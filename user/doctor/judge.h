/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is wrong with a live pattern, by what was seen of it. PURE: facts in, findings out.
 */
#ifndef EG_DOCTOR_JUDGE_H
#define EG_DOCTOR_JUDGE_H

#include "doctor/facts.h"

/*
 * X(identifier, "id", severity, "why it matters"). Causes come before what follows from them, and
 * of causes that could explain the same, the likelier one: findings are shown in this order, but
 * for notes, which come last, and where one that explains others is put before them (judge.c,
 * put_in_order).
 */
#define EG_DOCTOR_FINDINGS(X)                                                                      \
	X(NOT_RUNNING, "not-running", ERROR,                                                       \
	  "the container that owns the namespace is stopped: the tunnel is gone, and those that "  \
	  "shared its namespace are in a dead one")                                                \
	X(STRANDED, "stranded", ERROR,                                                             \
	  "a container keeps the namespace that it was started in: when the owner is restarted "   \
	  "or made anew, whoever shared with it stays behind in a dead one, without a network")    \
	X(NO_TUNNEL, "no-tunnel", ERROR,                                                           \
	  "without the interface everything takes the container's own default route, in the "      \
	  "clear, unless something holds it back")                                                 \
	X(NOT_WIREGUARD, "not-wireguard", ERROR,                                                   \
	  "an interface of that name which is no WireGuard encrypts nothing")                      \
	X(TUNNEL_DOWN, "tunnel-down", ERROR,                                                       \
	  "an interface that is down has no routes: everything takes the container's own default " \
	  "route, in the clear, unless something holds it back")                                   \
	X(OTHER_CONF, "other-conf", ERROR,                                                         \
	  "what runs was not made from this file: what is edited there has no effect")             \
	X(MUTE, "mute", ERROR,                                                                     \
	  "it was kept from answering anybody until it was sealed, and that has not ended: no "    \
	  "packet that has a source is routed")                                                    \
	X(NO_MARK, "no-mark", ERROR,                                                               \
	  "without its mark WireGuard's own packets are routed into the tunnel again, and "        \
	  "nothing "                                                                               \
	  "leaves")                                                                                \
	X(TUNNEL_BLOCKED, "tunnel-blocked", ERROR,                                                 \
	  "what is sent into the tunnel, or comes out of it, is dropped on the way: nothing "      \
	  "works")                                                                                 \
	X(ENDPOINT_BLOCKED, "endpoint-blocked", ERROR,                                             \
	  "WireGuard's own packets are dropped before they leave: no handshake, no tunnel")        \
	X(GUARD_BLOCKS, "guard-blocks-endpoint", ERROR,                                            \
	  "the guard knows another endpoint than the one that WireGuard uses, and drops its "      \
	  "packets")                                                                               \
	X(ENDPOINT_UNREACHABLE, "endpoint-unreachable", ERROR,                                     \
	  "WireGuard's own packets find no way to the server")                                     \
	X(RP_FILTER, "rp-filter", ERROR,                                                           \
	  "with strict reverse path filtering and without src_valid_mark, the kernel drops the "   \
	  "answers of WireGuard's server: by its routes they ought to come out of the tunnel")     \
	X(NO_HANDSHAKE, "no-handshake", ERROR,                                                     \
	  "without a handshake nothing goes through the tunnel")                                   \
	X(ADDRESS_MISSING, "address-missing", ERROR,                                               \
	  "the server drops what comes from another address than it gave out")                     \
	X(TUNNEL_SILENT, "tunnel-silent", ERROR,                                                   \
	  "what is sent into the tunnel gets no answer: the server has gone, or forgotten this "   \
	  "peer, since the last handshake")                                                        \
	X(RULE_MISSING, "rule-missing", ERROR,                                                     \
	  "wg-quick's two rules are what sends everything into the tunnel, and the LAN past it")   \
	X(TUNNEL_ROUTE_MISSING, "tunnel-route-missing", ERROR,                                     \
	  "what has no route into the tunnel takes another one, in the clear")                     \
	X(GATEWAY_IN_TUNNEL, "gateway-in-tunnel", ERROR,                                           \
	  "a route that names a gateway and no device, in the tunnel's own table, has its "        \
	  "gateway "                                                                               \
	  "looked for there: the kernel finds the tunnel's default route, and sends the LAN's "    \
	  "packets into the tunnel")                                                               \
	X(LAN_ROUTE_MISSING, "lan-route-missing", ERROR,                                           \
	  "answers to that network go into the tunnel: web interfaces and published ports do not " \
	  "answer to the LAN")                                                                     \
	X(LEAKING, "leaves-in-clear", ERROR,                                                       \
	  "what is sent to the internet goes out by the underlay, unencrypted, and nothing holds " \
	  "it back")                                                                               \
	X(NOT_IN_TUNNEL, "not-in-tunnel", ERROR,                                                   \
	  "what is sent to the internet is not routed into the tunnel; it is held back, so "       \
	  "nothing works")                                                                         \
	X(IPV6_BYPASS, "ipv6-bypass", ERROR,                                                       \
	  "IPv6 takes the container's own default route, in the clear")                            \
	X(LAN_BLOCKED, "lan-blocked", ERROR,                                                       \
	  "the route is there, and a rule drops what takes it: the LAN gets no answer")            \
	X(KILL_SWITCH_MISSING, "kill-switch-missing", ERROR,                                       \
	  "the file has a kill switch and the kernel has not: with the tunnel down, everything "   \
	  "leaves in the clear")                                                                   \
	X(GUARD_NOT_ENFORCING, "guard-not-enforcing", ERROR,                                       \
	  "a guard that does not enforce holds nothing back")                                      \
	X(NO_GUARD, "no-guard", ERROR,                                                             \
	  "with the tunnel down or misconfigured, nothing stops what leaves in the clear")         \
	X(IPV6_MISSING, "ipv6-missing", WARNING,                                                   \
	  "the configuration has IPv6 and the namespace does not: what prefers IPv6 waits, or "    \
	  "wg-quick stops half-way")                                                               \
	X(WEDGED_PROXY, "wedged-proxy", ERROR,                                                     \
	  "Docker Desktop's own proxy between the host and its virtual machine accepts the "       \
	  "connection and carries nothing; the container, its service and its routes are fine")    \
	X(PORT_SILENT, "port-silent", ERROR,                                                       \
	  "the connection is accepted on the way, and what the service answers gets lost")         \
	X(PORT_UNREACHABLE, "port-unreachable", ERROR,                                             \
	  "the service answers inside, and from outside it cannot be reached")                     \
	X(NO_SERVICE, "no-service", WARNING,                                                       \
	  "the port is published, and nobody listens behind it")                                   \
	X(DNS_OUTSIDE, "dns-outside", ERROR,                                                       \
	  "names are asked for past the tunnel: whoever runs that resolver, or the line to it, "   \
	  "sees what the containers look up")                                                      \
	X(DNS_SILENT, "dns-silent", WARNING, "without names nearly nothing works")                 \
	X(SERVICE_SILENT, "service-silent", NOTE,                                                  \
	  "it accepts connections and says nothing to who asks for a page: it hangs, or it "       \
	  "speaks "                                                                                \
	  "another protocol")                                                                      \
	X(BOTH_BACKENDS, "both-backends", WARNING,                                                 \
	  "iptables-legacy and iptables-nft keep their rules apart, and a packet must pass both: " \
	  "what the one accepts the other may drop, and no listing shows it")                      \
	X(STALE_CONF, "stale-conf", WARNING,                                                       \
	  "the file is read once, when the container starts: what was edited since is not in "     \
	  "force")                                                                                 \
	X(CONF_ERRORS, "conf-errors", WARNING,                                                     \
	  "what the file has wrong shows at the next start, at the latest")

enum eg_doctor_id {
#define X(name, id, severity, why) EG_DOCTOR_FOUND_##name,
	EG_DOCTOR_FINDINGS(X)
#undef X
	EG_DOCTOR_ID_COUNT
};

struct eg_doctor_info {
	const char *id;
	enum eg_wgseverity severity;
	const char *why;
};
extern const struct eg_doctor_info eg_doctor_infos[EG_DOCTOR_ID_COUNT];

/* One way to put it right: in words, and where commands do it, those for a shell of this machine's,
 * one after the other. Each works as it stands. */
struct eg_doctor_remedy {
	char *what;
	char **commands;
	size_t n_commands;
};

/* Printable, all of it. */
struct eg_doctor_finding {
	enum eg_doctor_id id;
	enum eg_wgseverity severity;
	unsigned int rank; /* where it is shown */
	char *what;
	char *evidence;                    /* NULL: `what` says it all */
	struct eg_doctor_remedy *remedies; /* the best first */
	size_t n_remedies;
	char *fix; /* all of them, in one text */
};

enum eg_doctor_state {
	EG_DOCTOR_OK,
	EG_DOCTOR_WRONG,
	EG_DOCTOR_CANNOT_TELL,
};
extern const char *const eg_doctor_state_names[3]; /* "ok", "wrong", "cannot tell" */

/* One thing that was looked at. */
struct eg_doctor_check {
	const char *name; /* "tunnel" */
	enum eg_doctor_state state;
	char *detail; /* what was seen, or why it cannot be told; NULL */
};

/* Owns what it points to. */
struct eg_doctor_report {
	char *target;
	struct eg_doctor_finding *findings; /* most likely cause first */
	size_t n_findings;
	unsigned int counts[3]; /* by severity */
	struct eg_doctor_check *checks;
	size_t n_checks;
};

/* 0 or -ENOMEM. */
int eg_doctor_judge(const struct eg_doctor_facts *facts, struct eg_doctor_report **ret_report);
void eg_doctor_report_free(struct eg_doctor_report *report);
static inline void eg_doctor_report_freep(struct eg_doctor_report **report)
{
	eg_doctor_report_free(*report);
}
#define EG_AUTO_DOCTOR_REPORT __attribute__((cleanup(eg_doctor_report_freep)))

/* Whether something is wrong that is more than a note: what the exit status says. */
bool eg_doctor_is_healthy(const struct eg_doctor_report *report);

#endif /* EG_DOCTOR_JUDGE_H */
