/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is wrong with a wg0.conf of the shared-namespace pattern: one container runs WireGuard,
 * others share its namespace; RFC 1918 stays off the tunnel, all else goes through it, a kill
 * switch drops the rest. PURE. No message ever has a key in it.
 */
#ifndef EG_WGCHECK_H
#define EG_WGCHECK_H

#include "policy/wgmodel.h"

enum eg_wgseverity {
	EG_WGSEVERITY_ERROR,
	EG_WGSEVERITY_WARNING,
	EG_WGSEVERITY_NOTE,
};
extern const char *const eg_wgseverity_names[3];

/* X(identifier, "id", severity, "why it matters") */
#define EG_WGFINDINGS(X)                                                                           \
	X(BYTE_ORDER_MARK, "byte-order-mark", ERROR,                                               \
	  "wg-quick and wg take it for a part of the first line, and refuse that line")            \
	X(UNKNOWN_LINE, "unknown-line", ERROR,                                                     \
	  "wg refuses the whole file for one line that it does not know, and the tunnel does not " \
	  "come up")                                                                               \
	X(WRONG_SECTION, "wrong-section", ERROR,                                                   \
	  "wg-quick reads its own keys in [Interface] alone and hands the others to wg, which "    \
	  "refuses the file")                                                                      \
	X(WRONG_VALUE, "wrong-value", ERROR,                                                       \
	  "the tunnel does not come up, or comes up without it")                                   \
	X(MISSING, "missing", ERROR, "without it there is no tunnel")                              \
	X(MULTI_LINE_HOOK, "multi-line-hook", ERROR,                                               \
	  "wg-quick runs what stands on the one line; it hands the next line to wg, which "        \
	  "refuses the file, or the shell refuses half a command")                                 \
	X(HASH_IN_HOOK, "hash-in-hook", ERROR,                                                     \
	  "wg-quick cuts each line at the first '#', within quotes too: what follows never runs")  \
	X(HOOK_SYNTAX, "hook-syntax", ERROR,                                                       \
	  "the shell refuses the whole line and runs nothing of it, and wg-quick takes the "       \
	  "tunnel "                                                                                \
	  "away again")                                                                            \
	X(IPV6_OFF, "ipv6-off", ERROR,                                                             \
	  "wg-quick fails at the first IPv6 address or route, before any PostUp has run: there "   \
	  "is no "                                                                                 \
	  "tunnel and no kill switch, and everything leaves in the clear")                         \
	X(SAVE_CONFIG, "save-config", WARNING,                                                     \
	  "at `wg-quick down` the file is written anew from what the interface has: comments, "    \
	  "and edits made while it was up, are lost")                                              \
	X(LAN_NOT_EXCLUDED, "lan-not-excluded", ERROR,                                             \
	  "answers to that network go into the tunnel: web interfaces and published ports do not " \
	  "answer to the LAN")                                                                     \
	X(LAN_WRONG_TABLE, "lan-wrong-table", ERROR,                                               \
	  "packets are routed by another table: the route is there and nothing looks at it")       \
	X(LAN_ONE_TABLE, "lan-one-table", NOTE,                                                    \
	  "wg-quick's rule `table main suppress_prefixlength 0` makes one table enough; without "  \
	  "that rule it is not")                                                                   \
	X(TABLE_BY_HAND, "table-by-hand", WARNING,                                                 \
	  "wg-quick takes 51820 only if that table is empty, else the next free one: after a "     \
	  "failed start the number is another")                                                    \
	X(TABLE_UNUSED, "table-unused", WARNING,                                                   \
	  "with Table = a number, wg-quick adds routes there and no rule that looks there: "       \
	  "everything leaves by the default route, in the clear")                                  \
	X(TABLE_OFF, "table-off", ERROR,                                                           \
	  "with Table = off, wg-quick adds no route and no rule: nothing takes the tunnel, and "   \
	  "what "                                                                                  \
	  "no kill switch drops leaves in the clear")                                              \
	X(NOT_REMOVED, "not-removed", WARNING,                                                     \
	  "it stays after `wg-quick down`: the next `up` finds it, fails or adds it twice")        \
	X(NEVER_ADDED, "never-added", ERROR,                                                       \
	  "taking away what is not there fails, and `wg-quick down` stops before it removes the "  \
	  "interface")                                                                             \
	X(WRONG_BACKEND, "wrong-backend", ERROR,                                                   \
	  "iptables-legacy and iptables-nft keep their rules apart: neither removes the other's")  \
	X(BACKEND_MIXED, "backend-mixed", WARNING,                                                 \
	  "a packet must pass both, and no listing shows both: what blocks it is hard to find")    \
	X(BACKEND_MISSING, "backend-missing", ERROR,                                               \
	  "the command is not there: the hook fails, and `wg-quick up` takes the tunnel away "     \
	  "again")                                                                                 \
	X(RULE_REFUSED, "rule-refused", ERROR,                                                     \
	  "iptables does not take the rule: the hook fails, and `wg-quick up` takes the tunnel "   \
	  "away "                                                                                  \
	  "again")                                                                                 \
	X(VARIABLE_LOST, "variable-lost", ERROR,                                                   \
	  "each hook runs in a shell of its own: what one sets, no other has")                     \
	X(ROUTE_ADD, "route-add", WARNING,                                                         \
	  "where the route is there already (a second start, a start after a failed one) it says " \
	  "'File exists', and wg-quick takes the tunnel away again")                               \
	X(GATEWAY_BY_HAND, "gateway-by-hand", WARNING,                                             \
	  "the container engine may give the network another gateway when it makes it anew")       \
	X(GATEWAY_IN_TUNNEL, "gateway-in-tunnel", WARNING,                                         \
	  "the kernel looks for the gateway in the table that the route is for, finds the "        \
	  "tunnel's default route there, and sends the packets into the tunnel")                   \
	X(NO_KILL_SWITCH, "no-kill-switch", ERROR,                                                 \
	  "when the tunnel is down or misconfigured, everything leaves in the clear")              \
	X(KILL_SWITCH_IPV4_ONLY, "kill-switch-ipv4-only", ERROR,                                   \
	  "iptables sees IPv4 alone: with the tunnel down, IPv6 leaves in the clear")              \
	X(IPV6_BYPASS, "ipv6-bypass", ERROR,                                                       \
	  "IPv6 takes the container's own default route, in the clear, whenever it has one")       \
	X(KILL_SWITCH_EARLY, "kill-switch-early", ERROR,                                           \
	  "rules are asked in order: what stands behind it never gets a word")                     \
	X(KILL_SWITCH_OPEN, "kill-switch-open", ERROR,                                             \
	  "rules are asked in order: what an earlier one accepts, the kill switch never sees")     \
	X(KILL_SWITCH_NO_MARK, "kill-switch-no-mark", ERROR,                                       \
	  "wg-quick sets a mark only with a default route in AllowedIPs and Table = auto: "        \
	  "without "                                                                               \
	  "one, WireGuard's own packets are dropped, or the rule is refused")                      \
	X(KILL_SWITCH_BLOCKS, "kill-switch-blocks-tunnel", ERROR,                                  \
	  "WireGuard's own packets, or what goes into the tunnel, are dropped with the rest: "     \
	  "nothing works")                                                                         \
	X(LAN_NOT_ACCEPTED, "lan-not-accepted", ERROR,                                             \
	  "the route is there, and the kill switch drops what takes it: the LAN gets no answer")   \
	X(LOOPBACK_BLOCKED, "loopback-blocked", WARNING,                                           \
	  "what applications say to each other, and ask Docker's resolver 127.0.0.11, is dropped " \
	  "too")                                                                                   \
	X(ACCEPTS_ESTABLISHED, "accepts-established", WARNING,                                     \
	  "connections from before the kill switch go on in the clear")                            \
	X(ACCEPTS_PUBLIC, "accepts-public", WARNING, "this leaves in the clear, on purpose?")      \
	X(GUARD_ENFORCES, "guard-enforces", NOTE,                                                  \
	  "the file has no kill switch of its own; it holds where the guard is attached")          \
	X(PARTIAL_TUNNEL, "partial-tunnel", WARNING,                                               \
	  "what AllowedIPs do not name leaves in the clear: this is no full tunnel")               \
	X(DNS_IN_LAN, "dns-in-lan", ERROR,                                                         \
	  "its queries take the LAN's route and leave past the tunnel: a DNS leak, or no answer")  \
	X(ENDPOINT_IN_LAN, "endpoint-in-lan", WARNING,                                             \
	  "WireGuard's server is in the LAN: the tunnel may end there, before the internet")       \
	X(ENDPOINT_IN_TUNNEL, "endpoint-in-tunnel", ERROR,                                         \
	  "without a default route in AllowedIPs there is no mark that keeps WireGuard's own "     \
	  "packets off the tunnel: they go round and round, and nothing leaves")                   \
	X(ENDPOINT_BY_NAME, "endpoint-by-name", WARNING,                                           \
	  "the name is asked for in the clear, before there is a tunnel, and once: when the "      \
	  "server moves, the tunnel stays dead; and no rule can name its address")                 \
	X(ALLOWED_OVERLAP, "allowed-overlap", WARNING,                                             \
	  "the same addresses are sent into the tunnel and past it: which route wins depends on "  \
	  "their lengths and tables")                                                              \
	X(WORLD_READABLE, "world-readable", WARNING,                                               \
	  "the file has the private key: whoever reads it can be this tunnel's end")               \
	X(FILE_NAME, "file-name", WARNING,                                                         \
	  "wg-quick names the interface after the file, and takes no other name")                  \
	X(CANNOT_TELL, "cannot-tell", NOTE,                                                        \
	  "this reader runs nothing and knows ip, iptables, ip6tables, sysctl and wg: what it "    \
	  "cannot follow it does not vouch for")

enum eg_wgfinding_id {
#define X(name, id, severity, why) EG_WGFINDING_##name,
	EG_WGFINDINGS(X)
#undef X
	EG_WGFINDING_COUNT
};

struct eg_wgfinding_info {
	const char *id;
	enum eg_wgseverity severity;
	const char *why;
};
extern const struct eg_wgfinding_info eg_wgfinding_infos[EG_WGFINDING_COUNT];

struct eg_wgfinding {
	enum eg_wgfinding_id id;
	unsigned int line, column; /* 0: the file as a whole */
	char *what;                /* printable, as is the next */
	char *fix;
};

/* Owns what it points to. By line and column. */
struct eg_wgreport {
	struct eg_wgfinding *findings;
	size_t n_findings;
	unsigned int counts[3]; /* by severity */
};

/* All that is wrong with the file. 0 or -ENOMEM. */
int eg_wgcheck(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
	       struct eg_wgreport **ret_report);
void eg_wgreport_free(struct eg_wgreport *report);
static inline void eg_wgreport_freep(struct eg_wgreport **report)
{
	eg_wgreport_free(*report);
}
#define EG_AUTO_WGREPORT __attribute__((cleanup(eg_wgreport_freep)))

#endif /* EG_WGCHECK_H */
