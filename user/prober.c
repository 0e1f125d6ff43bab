// SPDX-License-Identifier: GPL-2.0
#include "prober.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "util/cleanup.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define XDP_CHUNK 4096U
#define XDP_RING  2U

#define XDP_BUSY_NAP_NS 20000000
#define XDP_BUSY_TRIES  100

struct eg_prober {
	int fd;
	struct eg_prober_request request;
	struct eg_probe probe;
	__u64 cookie;
	void *umem; /* AF_XDP: what is sent */
	void *ring; /* its ring of descriptors */
	size_t ring_len;
	struct xdp_ring_offset ring_at;
};

/* --- addresses ------------------------------------------------------------------------------- */

struct socket_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static struct socket_address address_of(const struct eg_prober *prober, const union eg_addr *addr,
					__u16 port)
{
	struct socket_address address = {};

	if (prober->probe.family == EG_FAMILY_IPV4 && !prober->request.mapped) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(port);
		address.v4.sin_addr.s_addr = addr->v4_be;
		address.len = sizeof(address.v4);
		return address;
	}
	address.v6.sin6_family = AF_INET6;
	address.v6.sin6_port = htons(port);
	if (prober->request.mapped) {
		address.v6.sin6_addr.s6_addr[10] = address.v6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(address.v6.sin6_addr.s6_addr + 12, addr->bytes, 4);
	} else {
		memcpy(address.v6.sin6_addr.s6_addr, addr->bytes, 16);
	}
	address.len = sizeof(address.v6);
	return address;
}

static bool is_ipv4_socket(const struct eg_prober *prober)
{
	return prober->probe.family == EG_FAMILY_IPV4 && !prober->request.mapped;
}

/* --- making them ----------------------------------------------------------------------------- */

static int refuse(struct eg_refusal *refusal, const char *call)
{
	*refusal = (struct eg_refusal){.call = call, .errnum = errno};
	return -errno;
}

static int make_socket(struct eg_prober *prober, struct eg_refusal *refusal)
{
	const bool v4 = is_ipv4_socket(prober);
	const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	int domain = v4 ? AF_INET : AF_INET6, type = SOCK_DGRAM, protocol = 0;

	switch (prober->request.way) {
	case EG_WAY_TCP:
		type = SOCK_STREAM;
		break;
	case EG_WAY_UDP:
	case EG_WAY_CONNECTED:
		break;
	case EG_WAY_ICMP:
		type = SOCK_RAW;
		protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		break;
	case EG_WAY_RAW:
		type = SOCK_RAW;
		protocol = IPPROTO_RAW;
		break;
	case EG_WAY_PACKET:
	case EG_WAY_BYPASS: /* no protocol: it is to hear nothing */
		domain = AF_PACKET;
		type = SOCK_RAW;
		break;
	case EG_WAY_XDP:
		domain = AF_XDP;
		type = SOCK_RAW;
		break;
	}
	prober->fd = socket(domain, type | flags, protocol);
	return prober->fd < 0 ? refuse(refusal, "socket") : 0;
}

static int bind_to_interface(struct eg_prober *prober, struct eg_refusal *refusal)
{
	int ifindex = (int)prober->request.link->ifindex, one = 1;

	if (setsockopt(prober->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex)) < 0)
		return refuse(refusal, "SO_BINDTOIFINDEX");
	if (prober->request.mark &&
	    setsockopt(prober->fd, SOL_SOCKET, SO_MARK, &prober->request.mark, sizeof(__u32)) < 0)
		return refuse(refusal, "SO_MARK");
	/* Another socket may have the random port. */
	setsockopt(prober->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return 0;
}

/* A SYN is known again by its ports. */
static int bind_to_port(struct eg_prober *prober, struct eg_refusal *refusal)
{
	static const union eg_addr any;
	struct socket_address address = address_of(prober, &any, prober->probe.sport);

	if (prober->request.mapped)
		address.v6.sin6_addr = in6addr_any;
	if (bind(prober->fd, &address.any, address.len) < 0)
		return refuse(refusal, "bind");
	return 0;
}

/* With a guard that permits it, for no longer than it takes. */
static int set_bypass(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct eg_guard *permitting = prober->request.permitting;
	int one = 1, result = 0;

	if (permitting && eg_guard_permit_bypass(permitting, prober->fd, true) < 0)
		return refuse(refusal, "PACKET_QDISC_BYPASS");
	if (setsockopt(prober->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		result = refuse(refusal, "PACKET_QDISC_BYPASS");
	if (permitting)
		eg_guard_permit_bypass(permitting, prober->fd, false);
	return result;
}

static int set_up_packet(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)prober->request.link->ifindex};

	if (bind(prober->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return refuse(refusal, "bind");
	return prober->request.way == EG_WAY_BYPASS ? set_bypass(prober, refusal) : 0;
}

/* --- AF_XDP ---------------------------------------------------------------------------------- */

static int map_umem(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct xdp_umem_reg umem = {.len = XDP_RING * XDP_CHUNK, .chunk_size = XDP_CHUNK};
	void *memory = mmap(NULL, XDP_RING * XDP_CHUNK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	__u32 entries = XDP_RING;

	if (memory == MAP_FAILED)
		return refuse(refusal, "mmap");
	prober->umem = memory;
	umem.addr = (__u64)(uintptr_t)memory;
	if (setsockopt(prober->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) < 0)
		return refuse(refusal, "XDP_UMEM_REG");
	if (setsockopt(prober->fd, SOL_XDP, XDP_UMEM_FILL_RING, &entries, sizeof(entries)) < 0 ||
	    setsockopt(prober->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, sizeof(entries)) <
		    0 ||
	    setsockopt(prober->fd, SOL_XDP, XDP_TX_RING, &entries, sizeof(entries)) < 0)
		return refuse(refusal, "XDP_TX_RING");
	return 0;
}

static int map_ring(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct xdp_mmap_offsets offsets = {};
	socklen_t len = sizeof(offsets);
	void *memory;

	if (getsockopt(prober->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &len) < 0)
		return refuse(refusal, "XDP_MMAP_OFFSETS");
	prober->ring_at = offsets.tx;
	prober->ring_len = offsets.tx.desc + XDP_RING * sizeof(struct xdp_desc);
	memory = mmap(NULL, prober->ring_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		      prober->fd, XDP_PGOFF_TX_RING);
	if (memory == MAP_FAILED)
		return refuse(refusal, "mmap");
	prober->ring = memory;
	return 0;
}

static int set_up_xdp(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct sockaddr_xdp at = {.sxdp_family = AF_XDP,
				  .sxdp_flags = XDP_COPY,
				  .sxdp_ifindex = prober->request.link->ifindex};
	int result = map_umem(prober, refusal);

	if (result == 0)
		result = map_ring(prober, refusal);
	if (result == 0 && bind(prober->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		result = refuse(refusal, "bind");
	return result;
}

static int send_by_xdp(struct eg_prober *prober, const __u8 *frame, size_t len,
		       struct eg_refusal *refusal)
{
	__u8 *ring = prober->ring;
	__u32 *producer = (__u32 *)(ring + prober->ring_at.producer);
	struct xdp_desc *desc = (struct xdp_desc *)(ring + prober->ring_at.desc);

	memcpy(prober->umem, frame, len);
	*desc = (struct xdp_desc){.addr = 0, .len = (__u32)len};
	__atomic_store_n(producer, 1, __ATOMIC_RELEASE);
	if (sendto(prober->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
		return refuse(refusal, "sendto");
	return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

struct opening {
	struct eg_prober *prober;
	struct eg_refusal *refusal;
};

static int set_up(struct eg_prober *prober, struct eg_refusal *refusal)
{
	int result = 0;

	switch (prober->request.way) {
	case EG_WAY_TCP:
		result = bind_to_interface(prober, refusal);
		if (result == 0)
			result = bind_to_port(prober, refusal);
		return result;
	case EG_WAY_UDP:
	case EG_WAY_CONNECTED:
	case EG_WAY_ICMP:
	case EG_WAY_RAW:
		return bind_to_interface(prober, refusal);
	case EG_WAY_PACKET:
	case EG_WAY_BYPASS:
		return set_up_packet(prober, refusal);
	case EG_WAY_XDP:
		return set_up_xdp(prober, refusal);
	}
	return result;
}

static int open_inside(void *argument)
{
	struct opening *opening = argument;
	struct eg_prober *prober = opening->prober;
	socklen_t len = sizeof(prober->cookie);
	int result = make_socket(prober, opening->refusal);

	if (result == 0)
		result = set_up(prober, opening->refusal);
	if (result == 0 && getsockopt(prober->fd, SOL_SOCKET, SO_COOKIE, &prober->cookie, &len) < 0)
		result = refuse(opening->refusal, "SO_COOKIE");
	return result;
}

static int open_in(const struct eg_netns *netns, int (*call)(void *argument),
		   struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct opening opening = {.prober = prober, .refusal = refusal};
	int result;

	*refusal = (struct eg_refusal){};
	result = eg_netns_run(netns, call, &opening);
	if (result < 0 && !refusal->call)
		*refusal = (struct eg_refusal){.call = "setns", .errnum = -result};
	return result;
}

static int open_once(const struct eg_prober_request *request, struct eg_prober **ret_prober,
		     struct eg_refusal *ret_refusal)
{
	EG_AUTO_PROBER struct eg_prober *prober = calloc(1, sizeof(*prober));
	int result;

	if (!prober) {
		*ret_refusal = (struct eg_refusal){.call = "malloc", .errnum = ENOMEM};
		return -ENOMEM;
	}
	*prober = (struct eg_prober){.fd = -1, .request = *request, .probe = *request->probe};
	result = open_in(request->netns, open_inside, prober, ret_refusal);
	if (result == 0)
		*ret_prober = EG_TAKE(prober);
	return result;
}

/* The kernel lets go of a queue some time after its AF_XDP socket was closed. */
int eg_prober_open(const struct eg_prober_request *request, struct eg_prober **ret_prober,
		   struct eg_refusal *ret_refusal)
{
	const struct timespec nap = {.tv_nsec = XDP_BUSY_NAP_NS};
	int result = open_once(request, ret_prober, ret_refusal);

	for (int i = 0; i < XDP_BUSY_TRIES && result == -EBUSY && request->way == EG_WAY_XDP; i++) {
		nanosleep(&nap, NULL);
		result = open_once(request, ret_prober, ret_refusal);
	}
	return result;
}

void eg_prober_close(struct eg_prober *prober)
{
	if (!prober)
		return;
	if (prober->ring)
		munmap(prober->ring, prober->ring_len);
	if (prober->fd >= 0)
		close(prober->fd);
	if (prober->umem)
		munmap(prober->umem, XDP_RING * XDP_CHUNK);
	free(prober);
}

__u64 eg_prober_cookie(const struct eg_prober *prober)
{
	return prober->cookie;
}

int eg_prober_fd(const struct eg_prober *prober)
{
	return prober->fd;
}

/* --- sending --------------------------------------------------------------------------------- */

static int send_tcp(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct socket_address to = address_of(prober, &prober->probe.dst, prober->probe.dport);

	if (connect(prober->fd, &to.any, to.len) < 0 && errno != EINPROGRESS)
		return refuse(refusal, "connect");
	return 0;
}

static int send_datagram(struct eg_prober *prober, struct eg_refusal *refusal)
{
	const bool connected = prober->request.way == EG_WAY_CONNECTED;
	const bool raw = prober->request.way == EG_WAY_RAW;
	/* A raw IPv6 socket takes a port for a protocol. */
	const __u16 port = raw || prober->request.way == EG_WAY_ICMP ? 0 : prober->probe.dport;
	struct socket_address to = address_of(prober, &prober->probe.dst, port);
	__u8 bytes[EG_PROBE_MAX];
	size_t len = raw ? eg_probe_packet(&prober->probe, bytes)
			 : eg_probe_payload(&prober->probe, bytes);

	if (connected && connect(prober->fd, &to.any, to.len) < 0)
		return refuse(refusal, "connect");
	if (connected && send(prober->fd, bytes, len, MSG_NOSIGNAL) < 0)
		return refuse(refusal, "send");
	if (!connected && sendto(prober->fd, bytes, len, 0, &to.any, to.len) < 0)
		return refuse(refusal, "sendto");
	return 0;
}

static __be16 protocol_of(const struct eg_probe *probe)
{
	return htons(probe->family == EG_FAMILY_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
}

static int send_frame(struct eg_prober *prober, struct eg_refusal *refusal)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)prober->request.link->ifindex};
	__u8 bytes[EG_PROBE_MAX];
	size_t len;

	if (prober->request.link->link_header) {
		len = eg_probe_frame(&prober->probe, bytes);
	} else {
		len = eg_probe_packet(&prober->probe, bytes);
		to.sll_protocol = protocol_of(&prober->probe);
	}
	if (prober->request.way == EG_WAY_XDP)
		return send_by_xdp(prober, bytes, len, refusal);
	if (sendto(prober->fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return refuse(refusal, "sendto");
	return 0;
}

int eg_prober_send(struct eg_prober *prober, struct eg_refusal *ret_refusal)
{
	switch (prober->request.way) {
	case EG_WAY_TCP:
		return send_tcp(prober, ret_refusal);
	case EG_WAY_UDP:
	case EG_WAY_CONNECTED:
	case EG_WAY_ICMP:
	case EG_WAY_RAW:
		return send_datagram(prober, ret_refusal);
	case EG_WAY_PACKET:
	case EG_WAY_BYPASS:
	case EG_WAY_XDP:
		return send_frame(prober, ret_refusal);
	}
	return -EINVAL;
}

/* --- ARP ------------------------------------------------------------------------------------- */

static int open_arp_inside(void *argument)
{
	struct opening *opening = argument;
	struct eg_prober *prober = opening->prober;
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ARP),
				 .sll_ifindex = (int)prober->request.link->ifindex};

	prober->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (prober->fd < 0)
		return refuse(opening->refusal, "socket");
	if (bind(prober->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return refuse(opening->refusal, "bind");
	return 0;
}

int eg_prober_open_arp(const struct eg_netns *netns, const struct eg_link *link,
		       struct eg_prober **ret_prober, struct eg_refusal *ret_refusal)
{
	EG_AUTO_PROBER struct eg_prober *prober = calloc(1, sizeof(*prober));
	int result;

	if (!prober) {
		*ret_refusal = (struct eg_refusal){.call = "malloc", .errnum = ENOMEM};
		return -ENOMEM;
	}
	*prober = (struct eg_prober){.fd = -1, .request = {.link = link}};
	result = open_in(netns, open_arp_inside, prober, ret_refusal);
	if (result == 0)
		*ret_prober = EG_TAKE(prober);
	return result;
}

int eg_prober_send_frame(struct eg_prober *prober, const __u8 *frame, size_t len,
			 struct eg_refusal *ret_refusal)
{
	if (send(prober->fd, frame, len, MSG_NOSIGNAL) < 0)
		return refuse(ret_refusal, "send");
	return 0;
}

/* --- the rest -------------------------------------------------------------------------------- */

struct hardware {
	const char *name;
	__u8 *mac;
};

static int ask_hardware(void *argument)
{
	struct hardware *hardware = argument;
	struct ifreq request = {};
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, hardware->name, sizeof(request.ifr_name));
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return -errno;
	memcpy(hardware->mac, request.ifr_hwaddr.sa_data, 6);
	return 0;
}

int eg_prober_hardware_address(const struct eg_netns *netns, const char *name, __u8 ret_mac[6])
{
	struct hardware hardware = {.name = name, .mac = ret_mac};

	return eg_netns_run(netns, ask_hardware, &hardware);
}

void eg_prober_stay(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}
