/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs in the kernel and the commands in user space share: the names of reasons and
 * layers, and the keys and values of every pinned map.
 *
 * One meaning, one place: a reason's name, its verdict and its sentence stand in EG_REASONS and
 * nowhere else. Counters, events, JSON, the manual page and the tests are made from that list.
 *
 * Byte order: a name that ends in _be is in network byte order, everything else in host order.
 * Times: *_ns are nanoseconds of CLOCK_MONOTONIC (what bpf_ktime_get_ns() returns), unless the name
 * says realtime.
 * Ownership: user space alone writes policy (BPF_F_RDONLY_PROG); programs alone write counters,
 * `recent` and `viewer_lost`.
 */
#ifndef EG_ABI_H
#define EG_ABI_H

#include <linux/types.h>

/* Raised whenever a layout below changes. A guard of another version is never reinterpreted: it is
 * replaced as a whole, the new one beside the old one (kern/guard.h). */
#ifndef EG_ABI_VERSION /* tests build an older one */
#define EG_ABI_VERSION 4
#endif
/* The oldest version whose `meta`, `control` and `policy` are as below: who a guard of a version
 * from this on is, and what it enforces, can be read, so that it is replaced by no more than that.
 * A change of those three sets this to the new version. */
#define EG_ABI_READABLE 2
#define EG_ABI_MAGIC    0x65677264 /* "egrd" */

#define EG_INLINE            static inline __attribute__((always_inline, unused))
#define EG_RARELY(condition) __builtin_expect(!!(condition), 0)

/* --- reasons ------------------------------------------------------------------------------- */

/* X(identifier, "name", verdict, "sentence"), allowing reasons first; within a verdict the order is
 * that of the decision table. */
#define EG_REASONS(X)                                                                              \
	X(LOOPBACK, "loopback", ALLOW, "leaves through loopback")                                  \
	X(TUNNEL, "tunnel", ALLOW, "leaves through the tunnel")                                    \
	X(CONTROL, "control", ALLOW, "keeps the link working (ARP, NDP, MLD, IGMP, DHCP)")         \
	X(ENDPOINT, "endpoint", ALLOW, "is WireGuard's own packet to a known endpoint")            \
	X(BOOTSTRAP_DNS, "bootstrap-dns", ALLOW, "asks for the address of the endpoint's name")    \
	X(LAN, "lan", ALLOW, "goes to the LAN")                                                    \
	X(LAN_DNS, "lan-dns", ALLOW, "is a DNS query to the LAN: likely a DNS leak")               \
	X(RULE, "rule", ALLOW, "goes where a rule of the policy allows")                           \
	X(ETHERTYPE, "ethertype", DROP, "is neither IPv4 nor IPv6 nor ARP")                        \
	X(MALFORMED, "malformed", DROP, "cannot be parsed, or would be rewritten after the check") \
	X(QDISC_BYPASS, "qdisc-bypass", DROP, "would be sent past the layer device")               \
	X(SOURCE_ROUTE, "source-route", DROP, "carries a source route")                            \
	X(SOURCE, "source", DROP, "has a source address that is not the namespace's own")          \
	X(NOT_WIREGUARD, "not-wireguard", DROP, "goes to an endpoint but is not WireGuard")        \
	X(FRAGMENT, "fragment", DROP,                                                              \
	  "is a later fragment to an endpoint: lower the tunnel's MTU")                            \
	X(TUNNEL_ONLY, "tunnel-only", DROP, "may be reached through the tunnel only")              \
	X(DENIED, "denied", DROP, "goes to a denied prefix")                                       \
	X(DNS_OFF_TUNNEL, "dns-off-tunnel", DROP, "is a DNS query outside the tunnel")             \
	X(PROTOCOL, "protocol", DROP, "is neither TCP, UDP nor ICMP, and no rule lists it")        \
	X(MULTICAST, "multicast", DROP, "goes to a multicast group")                               \
	X(BROADCAST, "broadcast", DROP, "is a limited broadcast")                                  \
	X(PRIVATE, "private", DROP, "goes to a private address that is not allowed")               \
	X(PUBLIC, "public", DROP, "goes to the internet in the clear")

enum eg_reason {
#define X(id, name, verdict, sentence) EG_REASON_##id,
	EG_REASONS(X)
#undef X
	EG_REASON_COUNT
};

enum eg_verdict {
	EG_VERDICT_ALLOW,
	EG_VERDICT_DROP,
	EG_VERDICT_WOULD_DROP, /* audit mode: a drop that passed */
};

EG_INLINE enum eg_verdict eg_reason_verdict(enum eg_reason reason)
{
	return reason < EG_REASON_ETHERTYPE ? EG_VERDICT_ALLOW : EG_VERDICT_DROP;
}

#define X(id, name, verdict, sentence)                                                             \
	_Static_assert((EG_REASON_##id < EG_REASON_ETHERTYPE) ==                                   \
			       (EG_VERDICT_##verdict == EG_VERDICT_ALLOW),                         \
		       "allowing reasons come first");
EG_REASONS(X)
#undef X

/* --- layers -------------------------------------------------------------------------------- */

#define EG_LAYERS(X)                                                                               \
	X(DEVICE, "device")                                                                        \
	X(PEER, "peer")                                                                            \
	X(NETNS, "netns")                                                                          \
	X(SOCKET, "socket")                                                                        \
	X(CGROUP, "cgroup")

enum eg_layer {
#define X(id, name) EG_LAYER_##id,
	EG_LAYERS(X)
#undef X
	EG_LAYER_COUNT
};

/* --- addresses
 * ----------------------------------------------------------------------------- */

#define EG_FAMILY_NONE 0
#define EG_FAMILY_IPV4 4
#define EG_FAMILY_IPV6 6

/* An IPv4 address stands in v4_be, with the other twelve bytes zero. */
union eg_addr {
	__u8 bytes[16];
	__be32 v4_be;
	__be32 v6_be[4];
};

/*
 * What the policy says of an address. The compiler (policy/image.h) flattens all prefix lists
 * into one: each entry holds what is true of its whole prefix, what its covering prefixes say
 * included, so a program asks once per address.
 */
enum eg_addr_flag {
	EG_ADDR_LAN = 1 << 0,         /* allowed as LAN, by default and not by a rule */
	EG_ADDR_RULE = 1 << 1,        /* allowed by a rule without a port */
	EG_ADDR_DENIED = 1 << 2,      /* --deny */
	EG_ADDR_TUNNEL_ONLY = 1 << 3, /* derived, and no explicit rule takes it back */
	EG_ADDR_ON_LINK = 1 << 4,     /* in an underlay's own subnet, as seen from outside */
	EG_ADDR_SOURCE = 1 << 5,      /* an underlay's own address, as seen from outside */
	EG_ADDR_ENDPOINT = 1 << 6,    /* some endpoint has this address: ask `endpoints` */
	EG_ADDR_ASK = 1 << 7,         /* front4, front6 only: ask addr4, addr6 */
	EG_ADDR_RULES = 1 << 8,       /* rules with a port or protocol: ask `rules` */
	EG_ADDR_DNS_EXCEPT = 1 << 9,  /* --allow-dns */
	EG_ADDR_BOOTSTRAP = 1 << 10,  /* --bootstrap-dns: ask `bootstrap`, and whether it is time */
};

struct eg_addr_value {
	__u32 flags;    /* enum eg_addr_flag */
	__u32 rule_set; /* which set of (protocol, port) pairs, where EG_ADDR_RULES is set */
};
_Static_assert(sizeof(struct eg_addr_value) == 8, "ABI");

/* Tables come in two slots: the programs read one while user space fills the other. `slot` is a
 * part of every key; it is compared in full, so prefix_len is 32 + the prefix's own length. */
#define EG_SLOTS           2
#define EG_SLOT_PREFIX_LEN 32

struct eg_addr4_key {
	__u32 prefix_len;
	__u32 slot;
	__be32 addr_be;
};
_Static_assert(sizeof(struct eg_addr4_key) == 12, "ABI");

struct eg_addr6_key {
	__u32 prefix_len;
	__u32 slot;
	__u8 addr[16];
};
_Static_assert(sizeof(struct eg_addr6_key) == 24, "ABI");

/*
 * front4: one byte for each /16 of IPv4, indexed by the upper 16 bits of the address in host order.
 * The low eight bits of enum eg_addr_flag if they hold for the whole /16, else EG_ADDR_ASK. It
 * keeps the cost of the common case at one load, however many prefixes the policy has.
 */
#define EG_FRONT4_SIZE 65536

struct eg_front4 {
	__u8 flags[EG_FRONT4_SIZE];
};

/*
 * front6: the same for IPv6, of which a policy names few places, but those far apart. A tree of
 * nodes with a cell for each value of a byte; the first node is that of an address's first byte. A
 * cell is the number of the node to go on with at the next byte (EG_FRONT6_NODE), or what holds for
 * all addresses that begin like this: flags, EG_ADDR_ASK where nothing does. EG_FRONT6_ON_LINK:
 * they hold but for EG_ADDR_ON_LINK, which some have and some have not; only neighbour discovery
 * wants to know.
 */
#define EG_FRONT6_NODES   32
#define EG_FRONT6_DEPTH   6 /* bytes of an address that are looked at */
#define EG_FRONT6_CELLS   256
#define EG_FRONT6_ON_LINK (1U << 14)
#define EG_FRONT6_NODE    (1U << 15)

struct eg_front6 {
	__u16 cells[EG_FRONT6_NODES * EG_FRONT6_CELLS];
};
_Static_assert(sizeof(struct eg_front6) == 16384, "ABI");

#define EG_MAX_PREFIXES  (1 << 20) /* per slot and family; tries are filled on demand */
#define EG_MAX_RULES     (1 << 18)
#define EG_MAX_ENDPOINTS 4096

/* port_be 0 is "any port". */
struct eg_rule_key {
	__u32 slot;
	__u32 rule_set;
	__be16 port_be;
	__u8 proto;
	__u8 pad[5];
};
_Static_assert(sizeof(struct eg_rule_key) == 16, "ABI");

struct eg_endpoint_key {
	union eg_addr addr;
	__u32 slot;
	__be16 port_be;
	__u8 family;
	__u8 pad;
};
_Static_assert(sizeof(struct eg_endpoint_key) == 24, "ABI");

/* --- the policy's switches ------------------------------------------------------------------ */

enum eg_config_flag {
	EG_CONFIG_AUDIT = 1 << 0,
	EG_CONFIG_DNS_TUNNEL = 1 << 1,
	EG_CONFIG_DHCP = 1 << 2,
	EG_CONFIG_SHAPE_ANY = 1 << 3, /* an endpoint's payload is not looked at */
	EG_CONFIG_REJECT = 1 << 4,    /* `device` answers what it drops (bpf/answer.h) */
	EG_CONFIG_BOOTSTRAP = 1 << 5, /* some resolver may be asked for an endpoint's name */
};

/* The first endpoint of each family stands here, too: most guards have no other, and need not look
 * into a table for it. */
struct eg_config {
	__u32 flags;              /* enum eg_config_flag */
	__be16 source_port_be;    /* WireGuard's own port where the policy pins it, else 0 */
	__be16 endpoint4_port_be; /* 0: there is none */
	__u64 active_since_ns;    /* set just before the switch, see EG_TRANSITION_NS */
	__be32 endpoint4_be;
	__be16 endpoint6_port_be; /* 0: there is none */
	__u16 pad;
	union eg_addr endpoint6;
};
_Static_assert(sizeof(struct eg_config) == 40, "ABI");

/* The one word that a switch of policy writes, read once per packet. Only its lowest byte ever
 * changes, so no reader can see half of a store. */
struct eg_control {
	__u32 slot;
};

/* A packet in flight during a switch may be judged by `device` with the old tables and by `peer`
 * with the new ones. For this long after a switch a drop at `peer` is no sign of a bypass. The old
 * slot is not reused before it has passed either. */
#define EG_TRANSITION_NS 1000000000ULL

/* --- tunnels, for layers that see them ------------------------------------------------------- */

#define EG_TUNNELS_MAX       16
#define EG_TUNNEL_NAME_WORDS 2 /* IFNAMSIZ bytes, in the words in which programs compare them */

/* `mask` covers the name and its final NUL; all zero: there is none. */
struct eg_tunnel_name {
	__u64 name[EG_TUNNEL_NAME_WORDS];
	__u64 mask[EG_TUNNEL_NAME_WORDS];
};

/* What the policy of a slot declares. */
struct eg_tunnels {
	struct eg_tunnel_name names[EG_TUNNELS_MAX];
};
_Static_assert(sizeof(struct eg_tunnels) == 512, "ABI");

/* What the layer `netns` is told by the process that holds it. Not pinned. */
struct eg_hold_settings {
	__u32 device_prog; /* ids of the programs of `device`; 0: not loaded */
	__u32 device_l3_prog;
	__u32 tuns[EG_TUNNELS_MAX]; /* tun interfaces that a userspace WireGuard runs; 0: none */
};
_Static_assert(sizeof(struct eg_hold_settings) == 72, "ABI");

/*
 * What the layer `cgroup` is told: the one network namespace whose declared tunnels are free, since
 * interfaces of that name elsewhere are a stranger's. All zero: there is none, and nothing is
 * free. It sees no WireGuard answer, so a tun counts by its index.
 */
struct eg_home {
	__u64 netns_cookie; /* 0: the kernel does not tell; then the inode alone counts */
	__u64 netns_inode;
	__u64 netns_dev;            /* for user space, which finds the namespace by it */
	__u32 tuns[EG_TUNNELS_MAX]; /* tun interfaces that a userspace WireGuard runs; 0: none */
};
_Static_assert(sizeof(struct eg_home) == 88, "ABI");

/* --- endpoints' names, while there is no tunnel (eg_question.h) ------------------------------- */

#define EG_BOOTSTRAP_NAMES 4
#define EG_QNAME_MIN       4 /* a name of two letters */
#define EG_QNAME_MAX       255
#define EG_QNAME_WORDS     (EG_QNAME_MAX / 4)

/*
 * A name as a DNS question has it (RFC 1035, 3.1), in lower case, in the words in which programs
 * compare it. `fold` has the bit that tells upper from lower case for each letter, so that a word
 * of the question is the name's if (word | fold) is. What is left of the length by four is within
 * `tail`, its last four bytes.
 */
struct eg_bootstrap_name {
	__u32 len; /* bytes, the final zero included; 0: there is none */
	__u32 tail;
	__u32 tail_fold;
	__u32 words[EG_QNAME_WORDS];
	__u32 fold[EG_QNAME_WORDS];
};

struct eg_bootstrap {
	struct eg_bootstrap_name names[EG_BOOTSTRAP_NAMES];
};
_Static_assert(sizeof(struct eg_bootstrap) == 2064, "ABI");

/* Until when they may be asked for. Whoever knows that there is no tunnel yet writes it, again and
 * again: where nobody does, it ends by itself. */
struct eg_bootstrap_window {
	__u64 until_ns;
};

/* --- answers (OnBlock = reject) ------------------------------------------------------------- */

/* Per CPU, which each have a limit of their own. */
struct eg_answers {
	__u64 second_ns; /* when the second began that is counted */
	__u64 this_second;
	__u64 sent;
	__u64 withheld; /* beyond the limit */
};
_Static_assert(sizeof(struct eg_answers) == 32, "ABI");

/* --- counters ------------------------------------------------------------------------------- */

/* Per CPU. A GSO packet counts as the segments it will become; bytes are those of the frame. */
struct eg_counter {
	__u64 packets;
	__u64 bytes;
};

/* `would`: 1 for what passed in audit mode. */
EG_INLINE __u32 eg_counter_index(enum eg_layer layer, __u32 would, enum eg_reason reason)
{
	return ((__u32)layer * 2 + would) * EG_REASON_COUNT + (__u32)reason;
}
#define EG_COUNTERS (EG_LAYER_COUNT * 2 * EG_REASON_COUNT)

/* Drops at `peer` that a switch of policy explains (counted under their reason as well). */
#define EG_COUNTER_TRANSITION EG_COUNTERS

/* What `verify` sent and was blocked: the same again, counted here and nowhere else. */
#define EG_COUNTERS_PROBES (EG_COUNTERS + 1)
#define EG_COUNTERS_ALL    (EG_COUNTERS_PROBES + EG_COUNTERS)

/*
 * The sockets that `verify` sends from just now. Told by their cookies, which nobody can forge, and
 * for a short time only, so that a killed one leaves nothing to clean. Asked for blocked packets
 * alone, after the verdict. Where the kernel tells no cookie, at setsockopt, its process is asked
 * for.
 */
#define EG_PROBE_SOCKETS 8
struct eg_probes {
	__u64 until_ns;
	__u64 cookies[EG_PROBE_SOCKETS]; /* 0: none */
	__u32 pid;                       /* as programs see it, 0: not known */
	__u32 pad;
};
_Static_assert(sizeof(struct eg_probes) == 80, "ABI");

/* --- what was blocked lately ---------------------------------------------------------------- */

#define EG_RECENT_MAX 4096

struct eg_recent_key {
	union eg_addr dst;
	__u64 cgroup_id; /* 0: not known */
	__be16 dport_be;
	__u8 family; /* EG_FAMILY_*; NONE for a frame that is not IP */
	__u8 proto;
	__u8 reason; /* enum eg_reason */
	__u8 layer;  /* enum eg_layer */
	__u8 would;  /* 1: audit mode, it passed */
	__u8 pad;
};
_Static_assert(sizeof(struct eg_recent_key) == 32, "ABI");

#define EG_COMM_LEN 16

struct eg_recent_value {
	__u64 packets;
	__u64 bytes;
	__u64 first_ns;
	__u64 last_ns;
	__u32 pid; /* 0: not known */
	__u32 uid; /* EG_UID_UNKNOWN: not known */
	char comm[EG_COMM_LEN];
};
_Static_assert(sizeof(struct eg_recent_value) == 56, "ABI");

#define EG_UID_UNKNOWN 0xffffffffU

/* --- viewers -------------------------------------------------------------------------------- */

#define EG_VIEWERS         16
#define EG_VIEWER_STALE_NS 3000000000ULL /* no heartbeat for this long: skipped, reclaimable */

/* Heartbeats, written by the viewers; 0 is a free slot. A single value, so that a program asks
 * once. */
struct eg_viewer_beats {
	__u64 beat_ns[EG_VIEWERS];
};

enum eg_event_flag {
	EG_EVENT_TRANSITION = 1 << 0, /* a switch of policy explains it, see EG_TRANSITION_NS */
	EG_EVENT_SOCKET = 1 << 1,     /* uid and cgroup_id are those of the packet's socket */
	EG_EVENT_OWNER = 1 << 2,      /* pid and comm are those of the socket's maker */
	EG_EVENT_PROBE = 1 << 3,      /* `verify` sent it */
};

#define EG_SNAP_LEN 128

/* One blocked (or, in audit mode, would-be blocked) packet. */
struct eg_event {
	__u64 time_ns;
	__u64 cgroup_id;
	__u64 socket_cookie; /* 0: the packet has no socket */
	union eg_addr src;
	union eg_addr dst;
	__u32 ifindex; /* in the namespace of the layer's hook */
	__u32 length;  /* bytes of the frame */
	__u32 uid;
	__u32 pid;
	__be16 sport_be;
	__be16 dport_be;
	__be16 ethertype_be;
	__u16 snap_len; /* bytes of `snap` in use */
	__u8 family;
	__u8 proto;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 reason;
	__u8 layer;
	__u8 verdict; /* enum eg_verdict */
	__u8 flags;   /* enum eg_event_flag */
	char comm[EG_COMM_LEN];
	__u8 snap[EG_SNAP_LEN]; /* the frame's beginning; on an interface without a link-layer
				   header, the IP header's */
	__u8 link_header;       /* 1: snap starts with an Ethernet header */
	__u8 icmp_code;
	__u8 pad[6];
};
_Static_assert(sizeof(struct eg_event) == 240, "ABI");

/* --- meta ----------------------------------------------------------------------------------- */

#define EG_NAME_MAX   128 /* guard's name, bytes with the final NUL */
#define EG_TARGET_MAX 256
#define EG_META_PROGS 16

struct eg_meta {
	/* These two stay first and keep their meaning in every version. */
	__u32 magic;
	__u32 abi_version;

	__u64 netns_cookie; /* 0: the kernel (before 5.14) does not tell */
	__u64 netns_inode;
	__u64 netns_dev;
	__u64 guarded_since_realtime_ns;
	__u64 target_started_realtime_ns; /* 0: not known */
	__u64 replaced_realtime_ns;       /* last switch of policy, 0: none yet */
	__u64 generation;                 /* counts switches of policy */
	__u64 try_until_realtime_ns;      /* --try: taken away then unless confirmed, 0: stays */
	__u64 policy_len[EG_SLOTS];       /* bytes of text in `policy`, per slot */
	__u32 flags;                      /* enum eg_meta_flag */
	__u32 hold_prog_id;               /* `netns`: the newest holder's program, 0: let go of */
	__u64 cgroup_id;            /* the target's, under EG_META_CGROUP; no namespace then */
	char name[EG_NAME_MAX];     /* the guard's, unescaped */
	char target[EG_TARGET_MAX]; /* as the user wrote it */
	char container_id[72];      /* 64 hex digits, or empty */
	char container_name[EG_NAME_MAX];
	char version[32]; /* of the egressguard that wrote this */
	/* By the number of a program (kern/internal.h): the tag of its instructions, as the kernel
	 * says it; 0: not loaded yet. */
	__u64 prog_tags[EG_META_PROGS];
};

enum eg_meta_flag {
	EG_META_ACCEPT_DEVICE_ONLY = 1 << 0,
	EG_META_HOST = 1 << 1,             /* the initial namespace, --host */
	EG_META_NO_CHECKSUM_TEST = 1 << 2, /* loaded without kernel BTF, see bpf/ */
	EG_META_NO_SOCKET = 1 << 3,   /* the layer `socket` could not be had when it was made */
	EG_META_CGROUP = 1 << 4,      /* the target is a cgroup: the layer `cgroup`, and none at
					 interfaces */
	EG_META_STARTED = 1 << 6,     /* made by the start of a container (user/start.h) */
	EG_META_SPARE = 1 << 7,       /* of no guard yet, and attached to nothing (kern/spare.h) */
	EG_META_FILE_SPOILT = 1 << 8, /* its policy file did not parse when the daemon read it */
	EG_META_KEPT = 1 << 9,        /* a daemon has put its policy in force, of a file */
};

/* --- sockets -------------------------------------------------------------------------------- */

/* Socket storage: which process made a socket, or, where that was before the guard, connected it
 * first. As the initial namespaces see it. */
struct eg_maker {
	__u64 cgroup_id;
	__u32 pid; /* of the process, not of the thread */
	__u32 uid;
	char comm[EG_COMM_LEN];
};
_Static_assert(sizeof(struct eg_maker) == 32, "ABI");

/* No maker's: the mark of a packet socket that `verify` made and may set PACKET_QDISC_BYPASS on. No
 * program writes it, and it goes with that socket. */
#define EG_MAKER_IS_VERIFY (~0ULL)

/* Underlays by interface index in the guarded namespace: what is bound to one leaves through it,
 * whatever the routes say. */
#define EG_MAX_UNDERLAYS 1024

/*
 * What all guards of a pin directory share, in _shared/: programs at the root of the cgroup
 * hierarchy, and the way from them to a guard's own programs, by the cookie of the socket's network
 * namespace. Raised whenever a layout of these changes; it has nothing to do with the version of a
 * guard, whose own maps nobody else reads.
 */
#define EG_SHARED_VERSION 1

/* X(identifier, "name", whether every kernel has it that has the layer) */
#define EG_SHARED_HOOKS(X)                                                                         \
	X(SOCK_CREATE, "sock_create", 1)                                                           \
	X(CONNECT4, "connect4", 1)                                                                 \
	X(CONNECT6, "connect6", 1)                                                                 \
	X(SETSOCKOPT, "setsockopt", 0)

struct eg_shared_meta {
	__u32 magic; /* EG_ABI_MAGIC */
	__u32 version;
	__u32 next;  /* where to look for a free index first, so that none is used again soon */
	__u32 hooks; /* a bit for each that this kernel has, in the order of EG_SHARED_HOOKS */
};
_Static_assert(sizeof(struct eg_shared_meta) == 16, "ABI");

#define EG_SHARED_GUARDS 4096

/* From linux/socket.h and linux/if_packet.h. */
#define EG_SOL_PACKET          263
#define EG_PACKET_QDISC_BYPASS 20

struct eg_shared_entry {
	__u32 index;   /* of the guard's programs in the tables of calls */
	__u32 prog_id; /* of its program for sock_create: whose entry this is */
};
_Static_assert(sizeof(struct eg_shared_entry) == 8, "ABI");

/* The policy's text in pieces (map `policy`), so that a short policy takes little memory. */
#define EG_POLICY_CHUNK 4000
struct eg_policy_key {
	__u32 slot;
	__u32 index;
};
struct eg_policy_chunk {
	char text[EG_POLICY_CHUNK];
};
#define EG_POLICY_CHUNKS_MAX 16384 /* both slots: 65 MB of text */

#endif /* EG_ABI_H */
