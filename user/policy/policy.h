/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A policy: what one guard enforces on one target, as options and policy files say it. PURE, like
 * all of policy/: text in; values, or one error with line, column and message, out.
 *
 * Every setting has one key (EG_POLICY_KEYS), whether it comes from an option or from a file, and
 * one function that reads its value, so the two can't differ.
 */
#ifndef EG_POLICY_H
#define EG_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "eg_abi.h"
#include "util/error.h"
#include "util/text.h"

struct eg_prefix {
	union eg_addr addr; /* host bits are zero */
	__u8 family;
	__u8 len; /* bits */
};

/* `--allow`: PREFIX, ADDR:PORT[/PROTO], PREFIX:PORT[/PROTO]; an IPv6 address or prefix in brackets
 * where a port follows. PORT `*` is any port, which lets a rule name a protocol alone
 * (10.0.0.5:*\/esp). */
struct eg_rule {
	struct eg_prefix prefix;
	__u16 port;  /* host order; 0: any */
	__s16 proto; /* -1: TCP and UDP where a port is named, else any of TCP, UDP, ICMP, ICMPv6 */
};

struct eg_endpoint {
	union eg_addr addr;
	__u8 family; /* EG_FAMILY_NONE: `host` is yet to be resolved */
	__u16 port;  /* host order */
	char *host;  /* a host name, or NULL; owned */
};

enum eg_policy_mode {
	EG_MODE_ENFORCE,
	EG_MODE_AUDIT
};
enum eg_on_block {
	EG_ON_BLOCK_DROP,
	EG_ON_BLOCK_REJECT
};
enum eg_dns {
	EG_DNS_AUTO,
	EG_DNS_LAN,
	EG_DNS_TUNNEL
};
enum eg_shape {
	EG_SHAPE_WIREGUARD,
	EG_SHAPE_ANY
};

/* X(identifier, "section", "Key", "--option", repeats, "ARGUMENT or NULL for a switch", "help") */
#define EG_POLICY_KEYS(X)                                                                          \
	X(TARGET, "Guard", "Target", NULL, false, "TARGET", "what to guard")                       \
	X(TUNNEL, "Guard", "Tunnel", "--tunnel", true, "IFACE",                                    \
	  "the tunnel's interface (default: the WireGuard interface found)")                       \
	X(MODE, "Guard", "Mode", NULL, false, "enforce|audit", "whether a drop is a drop")         \
	X(ON_BLOCK, "Guard", "OnBlock", "--on-block", false, "drop|reject",                        \
	  "what a drop answers: nothing, or a reset or ICMP error")                                \
	X(LAN, "Lan", "Lan", NULL, false, "yes|no", "whether RFC 1918 and fc00::/7 are allowed")   \
	X(ALLOW, "Lan", "Allow", "--allow", true, "RULE",                                          \
	  "allow this prefix, address or port too")                                                \
	X(DENY, "Lan", "Deny", "--deny", true, "PREFIX", "refuse this part of what is allowed")    \
	X(DNS, "Lan", "Dns", "--dns", false, "auto|lan|tunnel", "where DNS queries may go")        \
	X(ALLOW_DNS, "Lan", "AllowDns", "--allow-dns", true, "ADDR",                               \
	  "let DNS queries to this address leave off the tunnel")                                  \
	X(ALLOW_DHCP, "Lan", "AllowDhcp", "--allow-dhcp", false, NULL,                             \
	  "allow DHCP on the underlay")                                                            \
	X(ALLOW_MULTICAST, "Lan", "AllowMulticast", "--allow-multicast", false, NULL,              \
	  "allow 224.0.0.0/24, 239/8 and ff01-ff05")                                               \
	X(WG_CONF, "WireGuard", "Config", "--wg-conf", false, "FILE|auto|none",                    \
	  "the tunnel's wg0.conf")                                                                 \
	X(ENDPOINT, "WireGuard", "Endpoint", "--endpoint", true, "ADDR:PORT",                      \
	  "WireGuard's endpoint (default: taken from the live interface)")                         \
	X(BOOTSTRAP_DNS, "WireGuard", "BootstrapDns", "--bootstrap-dns", true, "ADDR",             \
	  "let this resolver be asked for an endpoint's name, until there is a tunnel")            \
	X(ENDPOINT_SHAPE, "WireGuard", "EndpointShape", "--endpoint-shape", false,                 \
	  "wireguard|any", "what a packet to the endpoint must look like")                         \
	X(SOURCE_PORT, "WireGuard", "SourcePort", "--source-port", false, "PORT",                  \
	  "pin WireGuard's own UDP port")

enum eg_policy_key_id {
#define X(id, section, key, option, repeats, argument, help) EG_KEY_##id,
	EG_POLICY_KEYS(X)
#undef X
	EG_KEY_COUNT
};

struct eg_policy_key_info {
	const char *section;
	const char *key;
	const char
		*option; /* NULL: has none, or one that is spelled otherwise (--audit, --no-lan) */
	bool repeats;
	const char *argument;
	const char *help;
};
extern const struct eg_policy_key_info eg_policy_keys[EG_KEY_COUNT];

/* A peer of the live tunnel, and where it was when that was last learned. */
struct eg_known_peer {
	__u8 public_key[32];
	struct eg_endpoint endpoint; /* family EG_FAMILY_NONE: not known; `host` is NULL */
};

/*
 * What attach learned and did not take from the user's own words. It narrows, but for the endpoints
 * that are the live tunnel's at that moment, and for the addresses seen from outside the namespace.
 */
struct eg_derived {
	/* Those of the live tunnel, of its configuration, and those that names came to. */
	struct eg_endpoint *endpoints;
	size_t n_endpoints;
	/* Endpoints that were given by a host's name: `host` and `port`, family EG_FAMILY_NONE. */
	struct eg_endpoint *names;
	size_t n_names;
	/* Whose endpoints those are, where they are the live tunnel's: an endpoint follows its peer
	 * for these keys only. */
	struct eg_known_peer *peers;
	size_t n_peers;
	struct eg_prefix *tunnel_only; /* tunnel's subnets, its DNS servers */
	size_t n_tunnel_only;
	struct eg_prefix *sources; /* underlays' own addresses, whole-length prefixes */
	size_t n_sources;
	struct eg_prefix *on_link; /* underlays' own subnets */
	size_t n_on_link;
	bool dns_servers; /* the tunnel's configuration names some: what `dns = auto` turns on */
};

/* Owns all it points to. A zeroed struct is not a policy: use eg_policy_new(). */
struct eg_policy {
	char *target;                  /* NULL: not given */
	char *tunnels[EG_TUNNELS_MAX]; /* interface names, not NULL up to n_tunnels */
	size_t n_tunnels;
	enum eg_policy_mode mode;
	enum eg_on_block on_block;
	bool lan;
	struct eg_rule *allow;
	size_t n_allow;
	struct eg_prefix *deny;
	size_t n_deny;
	enum eg_dns dns;
	struct eg_prefix *allow_dns; /* whole-length prefixes */
	size_t n_allow_dns;
	bool allow_dhcp;
	bool allow_multicast;
	char *wg_conf; /* path, "auto" or "none"; NULL: not given */
	struct eg_endpoint *endpoints;
	size_t n_endpoints;
	struct eg_prefix *bootstrap_dns; /* whole-length prefixes */
	size_t n_bootstrap_dns;
	enum eg_shape endpoint_shape;
	__u16 source_port; /* host order, 0: not pinned */
	struct eg_derived derived;
	bool given[EG_KEY_COUNT]; /* which keys the user set */
};

/* The defaults of egressguard(8). */
int eg_policy_new(struct eg_policy **ret_policy);
void eg_policy_free(struct eg_policy *policy);
static inline void eg_policy_freep(struct eg_policy **policy)
{
	eg_policy_free(*policy);
}
#define EG_AUTO_POLICY __attribute__((cleanup(eg_policy_freep)))

/*
 * Sets one key from its text. On failure nothing changed, and `error` has a column within `value`
 * (line 1) and a message that quotes it and says what would be right. Whether a key may repeat is
 * the caller's to know (eg_policy_keys[].repeats).
 */
int eg_policy_set(struct eg_policy *policy, enum eg_policy_key_id key, const char *value,
		  struct eg_error *error);

/*
 * Reads a policy file (egressguard.conf(5)) of `len` bytes over `policy`. Comments with # or ; at
 * the start of a line, keys and sections exact but for case. CRLF is accepted. Errors: unknown
 * section or key (with the nearest one), a key before any section, a duplicate of one that does not
 * repeat, a missing value, a NUL, a line over 4096 bytes, more than EG_POLICY_TEXT_MAX. With
 * `derived`, the section [Derived] that eg_policy_format() writes is read too; a user's file may
 * not have one. On failure `policy` is undefined but may be freed.
 */
#define EG_POLICY_TEXT_MAX (32U << 20)
int eg_policy_parse(struct eg_policy *policy, const char *text, size_t len, bool derived,
		    struct eg_error *error);

/* The policy as a file that reads back as the same policy: every setting once, in a fixed order.
 * With `derived`, a section [Derived] follows. NULL if memory is out; the caller frees. */
char *eg_policy_format(const struct eg_policy *policy, bool derived);

/* Whether the policy declares this interface to be a tunnel. */
bool eg_policy_has_tunnel(const struct eg_policy *policy, const char *name);

/* What `dns = auto` means for this policy: EG_DNS_LAN or EG_DNS_TUNNEL. */
enum eg_dns eg_policy_dns(const struct eg_policy *policy);

/* Adds a copy (of `host` too) to an array of the policy. Such an array grows through these
 * functions and eg_policy_set() alone: they know its room from its length (policy/array.h). */
int eg_policy_add_endpoint(struct eg_endpoint **array, size_t *n,
			   const struct eg_endpoint *endpoint);
int eg_policy_add_prefix(struct eg_prefix **array, size_t *n, const struct eg_prefix *prefix);

#endif /* EG_POLICY_H */
