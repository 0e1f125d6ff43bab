/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The answer to a packet that `device` drops (OnBlock = reject): a TCP SYN gets a reset, other
 * packets an ICMP or ICMPv6 error "administratively prohibited", so that whoever sent it fails at
 * once.
 *
 * The packet itself becomes the answer, and is redirected to where its interface receives. So it
 * never goes on: whatever fails here, at any step, it is dropped. It is not answered either where
 * the answer's destination, which is the sender's word, is not the namespace's own: the kernel
 * would forward it.
 *
 * Nothing is answered that RFC 1122, 3.2.2 and RFC 4443, 2.4 forbid to: errors, fragments, what is
 * sent to many, what comes from nobody in particular. Resets are not answered, so nothing goes back
 * and forth. Rare forms (options, extension headers, VLAN tags) are dropped without a word.
 */
#ifndef EG_ANSWER_H
#define EG_ANSWER_H

#include "record.h"

/* Per CPU, and twice what one needs to find out that it is blocked: the rest is dropped without a
 * word, as the kernel's own limit for ICMP errors does. */
#define EG_ANSWERS_PER_SECOND 1000
#define EG_SECOND_NS          1000000000ULL

#define EG_TCP_SYN            0x02
#define EG_TCP_RST            0x04
#define EG_TCP_ACK            0x10
#define EG_ICMP_ECHO          8
#define EG_ICMP_UNREACHABLE   3
#define EG_ICMP_PROHIBITED    13 /* RFC 1812, 5.2.7.1 */
#define EG_ICMPV6_ECHO        128
#define EG_ICMPV6_UNREACHABLE 1
#define EG_ICMPV6_PROHIBITED  1
#define EG_ANSWER_TTL         64
#define EG_AF_INET            2
#define EG_AF_INET6           10

struct eg_icmp_error {
	struct eg_icmp icmp;
	__be32 unused;
} EG_WIRE;

/* As much of the packet as its sender's socket is found by. */
#define EG_ANSWER_PORTS 8

struct eg_answer4 {
	struct eg_ipv4 ip;
	union {
		struct eg_tcp tcp;
		struct {
			struct eg_icmp_error error;
			struct eg_ipv4 about;
			__u8 ports[EG_ANSWER_PORTS];
		};
	};
};
_Static_assert(sizeof(struct eg_answer4) == 56, "as on the wire");

struct eg_answer6 {
	struct eg_ipv6 ip;
	union {
		struct eg_tcp tcp;
		struct {
			struct eg_icmp_error error;
			struct eg_ipv6 about;
			__u8 ports[EG_ANSWER_PORTS];
		};
	};
};
_Static_assert(sizeof(struct eg_answer6) == 96, "as on the wire");

/* --- whether ---------------------------------------------------------------------------------- */

/* What is broken, forged or meant for many gets no answer. */
EG_INLINE int eg_reason_is_answered(enum eg_reason reason)
{
	switch (reason) {
	case EG_REASON_NOT_WIREGUARD:
	case EG_REASON_TUNNEL_ONLY:
	case EG_REASON_DENIED:
	case EG_REASON_DNS_OFF_TUNNEL:
	case EG_REASON_PROTOCOL:
	case EG_REASON_PRIVATE:
	case EG_REASON_PUBLIC:
		return 1;
	case EG_REASON_LOOPBACK:
	case EG_REASON_TUNNEL:
	case EG_REASON_CONTROL:
	case EG_REASON_ENDPOINT:
	case EG_REASON_BOOTSTRAP_DNS:
	case EG_REASON_LAN:
	case EG_REASON_LAN_DNS:
	case EG_REASON_RULE:
	case EG_REASON_ETHERTYPE:
	case EG_REASON_MALFORMED:
	case EG_REASON_QDISC_BYPASS:
	case EG_REASON_SOURCE_ROUTE:
	case EG_REASON_SOURCE:
	case EG_REASON_FRAGMENT:
	case EG_REASON_MULTICAST:
	case EG_REASON_BROADCAST:
	case EG_REASON_COUNT:
		return 0;
	}
	return 0;
}

/* A tc hook runs with softirqs off: nobody else is at this CPU's copy. */
EG_INLINE int eg_answer_is_due(void)
{
	__u32 zero = 0;
	struct eg_answers *count = bpf_map_lookup_elem(&answers, &zero);
	__u64 now = bpf_ktime_get_ns();

	if (!count)
		return 0;
	if (now - count->second_ns >= EG_SECOND_NS) {
		count->second_ns = now;
		count->this_second = 0;
	}
	if (count->this_second >= EG_ANSWERS_PER_SECOND) {
		count->withheld++;
		return 0;
	}
	count->this_second++;
	count->sent++;
	return 1;
}

/*
 * Whether the kernel delivers here what is for `fib`'s destination, or drops it, and does not
 * forward it. An interface that does not forward at all says so before it looks.
 */
EG_INLINE int eg_answer_stays(struct __sk_buff *skb, struct bpf_fib_lookup *fib)
{
	long result;

	fib->ifindex = skb->ifindex;
	result = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
	return result == BPF_FIB_LKUP_RET_NOT_FWDED || result == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* --- checksums -------------------------------------------------------------------------------- */

EG_INLINE __u16 eg_csum_fold(__s64 sum)
{
	__u32 folded = (__u32)sum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return (__u16)~folded;
}

#define EG_CSUM(sum, from, size) bpf_csum_diff(NULL, 0, (__be32 *)(from), size, (__wsum)(sum))

/* --- the frame -------------------------------------------------------------------------------- */

/* Cut or grown to size, with its addresses turned round, and to where it would come in. */
EG_INLINE int eg_answer_send(struct __sk_buff *skb, __u32 offset, const void *answer,
			     const __u32 size)
{
	struct eg_ethernet eth;
	__u8 address[6];

	if (offset) {
		if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
			return TC_ACT_SHOT;
		__builtin_memcpy(address, eth.dst, sizeof(address));
		__builtin_memcpy(eth.dst, eth.src, sizeof(address));
		__builtin_memcpy(eth.src, address, sizeof(address));
	}
	if (bpf_skb_change_tail(skb, offset + size, 0))
		return TC_ACT_SHOT;
	if (offset && bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(skb, offset, answer, size, 0))
		return TC_ACT_SHOT;
	/* The way back is looked for as it was above. */
	skb->mark = 0;
	return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* Of both families: what of the transport header is asked. */
struct eg_asked {
	__u32 reset;
	struct eg_tcp tcp;
};

/* -1: gets no answer. */
EG_INLINE int eg_answer_ask(struct __sk_buff *skb, __u32 offset, __u8 proto, __u8 icmp, __u8 echo,
			    struct eg_asked *asked)
{
	__u8 type;

	asked->reset = 0;
	if (proto == EG_PROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset, &asked->tcp, sizeof(asked->tcp)) ||
		    (asked->tcp.flags & EG_TCP_RST))
			return -1;
		asked->reset = (asked->tcp.flags & (EG_TCP_SYN | EG_TCP_ACK)) == EG_TCP_SYN;
	}
	if (proto == icmp && (bpf_skb_load_bytes(skb, offset, &type, sizeof(type)) || type != echo))
		return -1;
	return 0;
}

/* RFC 9293, 3.10.7.1: to a segment without ACK, sequence number zero, and what it has sent is
 * acknowledged: its SYN. */
EG_INLINE void eg_answer_reset(const struct eg_tcp *to, struct eg_tcp *reset)
{
	*reset = (struct eg_tcp){
		.ports.both = to->ports.both >> 16 | to->ports.both << 16,
		.ack_be = EG_BE32(EG_FROM_BE32(to->seq_be) + 1),
		.data_offset = sizeof(*reset) / 4 << 4,
		.flags = EG_TCP_RST | EG_TCP_ACK,
	};
}

/* --- IPv4 ------------------------------------------------------------------------------------- */

EG_INLINE int eg_is_one_host4(__be32 addr_be)
{
	__u32 first = EG_FROM_BE32(addr_be) >> 24;

	return first != 0 && first != 127 && first < 224;
}

EG_INLINE int eg_answer_stays4(struct __sk_buff *skb, const struct eg_ipv4 *to)
{
	struct bpf_fib_lookup fib = {.family = EG_AF_INET};

	fib.ipv4_src = to->dst_be;
	fib.ipv4_dst = to->src_be;
	return eg_answer_stays(skb, &fib);
}

EG_GLOBAL int eg_skb_answer4(struct __sk_buff *skb, __u32 offset)
{
	struct eg_answer4 answer = {};
	struct eg_asked asked;
	struct eg_ipv4 ip;
	__be32 pseudo;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version_ihl != 0x45 ||
	    (ip.frag_be & EG_BE16(EG_IPV4_MORE_FRAGS | EG_IPV4_FRAG_MASK)) ||
	    !eg_is_one_host4(ip.src_be) || !eg_is_one_host4(ip.dst_be) ||
	    eg_answer_ask(skb, offset + sizeof(ip), ip.proto, EG_PROTO_ICMP, EG_ICMP_ECHO, &asked))
		return TC_ACT_SHOT;
	if (!asked.reset && bpf_skb_load_bytes(skb, offset, &answer.about,
					       sizeof(answer.about) + sizeof(answer.ports)))
		return TC_ACT_SHOT;
	if (!eg_answer_stays4(skb, &ip) || !eg_answer_is_due())
		return TC_ACT_SHOT;

	answer.ip = (struct eg_ipv4){
		.version_ihl = 0x45,
		.ttl = EG_ANSWER_TTL,
		.src_be = ip.dst_be,
		.dst_be = ip.src_be,
	};
	if (asked.reset) {
		answer.ip.proto = EG_PROTO_TCP;
		answer.ip.total_len_be = EG_BE16(sizeof(answer.ip) + sizeof(answer.tcp));
		eg_answer_reset(&asked.tcp, &answer.tcp);
		pseudo = EG_BE32(EG_PROTO_TCP << 16 | sizeof(answer.tcp));
		answer.tcp.checksum_be = eg_csum_fold(
			EG_CSUM(EG_CSUM(EG_CSUM(0, &pseudo, sizeof(pseudo)), &answer.ip.src_be, 8),
				&answer.tcp, sizeof(answer.tcp)));
	} else {
		answer.ip.proto = EG_PROTO_ICMP;
		answer.ip.total_len_be = EG_BE16(sizeof(answer));
		answer.error.icmp.type = EG_ICMP_UNREACHABLE;
		answer.error.icmp.code = EG_ICMP_PROHIBITED;
		answer.error.icmp.checksum_be =
			eg_csum_fold(EG_CSUM(0, &answer.error, sizeof(answer) - sizeof(answer.ip)));
	}
	answer.ip.checksum_be = eg_csum_fold(EG_CSUM(0, &answer.ip, sizeof(answer.ip)));
	return asked.reset ? eg_answer_send(skb, offset, &answer,
					    sizeof(answer.ip) + sizeof(answer.tcp))
			   : eg_answer_send(skb, offset, &answer, sizeof(answer));
}

/* --- IPv6 ------------------------------------------------------------------------------------- */

EG_INLINE int eg_is_one_host6(const __be32 addr_be[4])
{
	return (addr_be[0] & EG_BE32(0xff000000)) != EG_BE32(0xff000000) &&
	       (addr_be[0] || addr_be[1] || addr_be[2] || (EG_FROM_BE32(addr_be[3]) & ~1U));
}

EG_INLINE int eg_answer_stays6(struct __sk_buff *skb, const struct eg_ipv6 *to)
{
	struct bpf_fib_lookup fib = {.family = EG_AF_INET6};

	__builtin_memcpy(fib.ipv6_src, to->dst_be, sizeof(to->dst_be));
	__builtin_memcpy(fib.ipv6_dst, to->src_be, sizeof(to->src_be));
	return eg_answer_stays(skb, &fib);
}

EG_GLOBAL int eg_skb_answer6(struct __sk_buff *skb, __u32 offset)
{
	const __u32 about_len = sizeof(struct eg_ipv6) + EG_ANSWER_PORTS;
	struct eg_answer6 answer;
	struct eg_asked asked;
	struct eg_ipv6 ip;
	__be32 pseudo[2];

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || eg_is_ext_header(ip.next_header) ||
	    !eg_is_one_host6(ip.src_be) || !eg_is_one_host6(ip.dst_be) ||
	    eg_answer_ask(skb, offset + sizeof(ip), ip.next_header, EG_PROTO_ICMPV6, EG_ICMPV6_ECHO,
			  &asked))
		return TC_ACT_SHOT;
	if (!asked.reset && skb->len < offset + about_len)
		return TC_ACT_SHOT;
	if (!eg_answer_stays6(skb, &ip) || !eg_answer_is_due())
		return TC_ACT_SHOT;

	/* Not before, so that it can lie where the look-up's question lay: there is little room on
	 * the stack. */
	__builtin_memset(&answer, 0, sizeof(answer));
	if (!asked.reset && bpf_skb_load_bytes(skb, offset, &answer.about, about_len))
		return TC_ACT_SHOT;
	answer.ip.version_class_flow_be = EG_BE32(6U << 28);
	answer.ip.hop_limit = EG_ANSWER_TTL;
	__builtin_memcpy(answer.ip.src_be, ip.dst_be, sizeof(ip.dst_be));
	__builtin_memcpy(answer.ip.dst_be, ip.src_be, sizeof(ip.src_be));
	answer.ip.next_header = asked.reset ? EG_PROTO_TCP : EG_PROTO_ICMPV6;
	answer.ip.payload_len_be = asked.reset ? EG_BE16(sizeof(answer.tcp))
					       : EG_BE16(sizeof(answer) - sizeof(answer.ip));
	pseudo[0] = EG_BE32(EG_FROM_BE16(answer.ip.payload_len_be));
	pseudo[1] = EG_BE32(answer.ip.next_header);
	if (asked.reset) {
		eg_answer_reset(&asked.tcp, &answer.tcp);
		answer.tcp.checksum_be = eg_csum_fold(
			EG_CSUM(EG_CSUM(EG_CSUM(0, pseudo, sizeof(pseudo)), answer.ip.src_be, 32),
				&answer.tcp, sizeof(answer.tcp)));
		return eg_answer_send(skb, offset, &answer, sizeof(answer.ip) + sizeof(answer.tcp));
	}
	answer.error.icmp.type = EG_ICMPV6_UNREACHABLE;
	answer.error.icmp.code = EG_ICMPV6_PROHIBITED;
	answer.error.icmp.checksum_be = eg_csum_fold(
		EG_CSUM(EG_CSUM(EG_CSUM(0, pseudo, sizeof(pseudo)), answer.ip.src_be, 32),
			&answer.error, sizeof(answer) - sizeof(answer.ip)));
	return eg_answer_send(skb, offset, &answer, sizeof(answer));
}

/* --- either ----------------------------------------------------------------------------------- */

/* What the hook is to do with a packet that was dropped for this reason: nothing but TC_ACT_SHOT,
 * or a redirect to where this interface receives. */
EG_GLOBAL int eg_skb_answer(struct __sk_buff *skb, __u32 link_header, __u32 reason)
{
	struct eg_ethernet eth = {};
	__u32 offset = 0;
	__u8 nibble = 0;
	int verdict;

	if (!eg_reason_is_answered((enum eg_reason)reason) || skb->vlan_present)
		return TC_ACT_SHOT;
	if (link_header) {
		/* To many at once, or tagged: no answer. */
		if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)) || (eth.dst[0] & 1) ||
		    (eth.type_be != EG_BE16(EG_ETHERTYPE_IPV4) &&
		     eth.type_be != EG_BE16(EG_ETHERTYPE_IPV6)))
			return TC_ACT_SHOT;
		offset = sizeof(eth);
	}
	if (bpf_skb_load_bytes(skb, offset, &nibble, sizeof(nibble)))
		return TC_ACT_SHOT;
	verdict = nibble >> 4 == 4 ? eg_skb_answer4(skb, offset) : eg_skb_answer6(skb, offset);
	return verdict == TC_ACT_REDIRECT ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

#endif /* EG_ANSWER_H */
