// SPDX-License-Identifier: GPL-2.0
/*
 * Sends in several network namespaces in turn, and says how long each took.
 *
 * usage: pace KIND [--rounds N] [--count N] [--warm N] [--batch N] [--size N] [--cpu N] [--to
 * ADDRESS]
 *             [--port N] [--mark N] [--seconds N] ROW=NAMESPACE...
 *        pace sink [--cpu N] --port N NAMESPACE...
 *
 * KIND: udp          datagrams of --size bytes by one socket, --batch of them a system call
 * (sendmmsg) sendto       the same by sendto(), one a call packet       the same datagrams as whole
 * frames by a packet socket at eth0 (--to IPv4) connect      TCP: socket(), connect(), close()
 *       udp-connect  socket(), connect(), close()
 *       flood        as udp, for --seconds at --rate a second (0: as fast as it goes), in the first
 * row
 *
 * Each round goes once through all rows, beginning with another one each time. In each it does
 * --warm operations, and then takes the time of --count: few, so that little comes in between.
 * JSON: for each row a list of nanoseconds for one operation, one number a round, how many
 * operations there were in all, and how many failed. NAMESPACE is a name in /run/netns.
 *
 * sink: takes what comes to a port, TCP and UDP, until its standard input ends. A datagram is
 * dropped by a filter on the socket, and counted in /proc/net/udp, so that no queue grows. Says
 * `ready`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX    1024
#define SIZE_MAX_    1500
#define ROWS_MAX     64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static unsigned long rounds = 10, count = 1000, warm = 64, batch = 64, size = 64, port = 9;
static unsigned long mark, rate;
static double seconds = 1;
static const char *to = "172.18.0.1";

struct row {
	const char *name;
	int netns; /* descriptor */
	int fd;    /* the socket of kinds that have one */
	double *ns;
	unsigned long done, failed;
};

static struct row rows[ROWS_MAX];
static size_t n_rows;

static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_ll link;
} destination;
static socklen_t destination_len;

static struct mmsghdr messages[BATCH_MAX];
static struct iovec parts[BATCH_MAX];
static unsigned char payload[SIZE_MAX_ + 64];
static size_t payload_len;

static void give_up(const char *what)
{
	fprintf(stderr, "pace: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- namespaces and sockets ------------------------------------------------------------------- */

static int netns_open(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up(path);
	return fd;
}

static void enter(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		give_up("setns");
}

static int family(void)
{
	return strchr(to, ':') ? AF_INET6 : AF_INET;
}

static int make_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		give_up("socket");
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &(unsigned int){(unsigned int)mark}, 4))
		give_up("SO_MARK");
	return fd;
}

static void set_destination(void)
{
	if (family() == AF_INET6) {
		destination.v6.sin6_family = AF_INET6;
		destination.v6.sin6_port = htons((unsigned short)port);
		destination_len = sizeof(destination.v6);
		if (inet_pton(AF_INET6, to, &destination.v6.sin6_addr) != 1)
			give_up(to);
		return;
	}
	destination.v4.sin_family = AF_INET;
	destination.v4.sin_port = htons((unsigned short)port);
	destination_len = sizeof(destination.v4);
	if (inet_pton(AF_INET, to, &destination.v4.sin_addr) != 1)
		give_up(to);
}

/* --- frames for a packet socket --------------------------------------------------------------- */

static unsigned short ip_checksum(const struct iphdr *ip)
{
	const unsigned short *words = (const void *)ip;
	unsigned int sum = 0;

	for (size_t i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)~(sum + (sum >> 16));
}

static struct in_addr own_address(int fd)
{
	struct ifreq request = {.ifr_name = "eth0"};

	request.ifr_addr.sa_family = AF_INET;
	if (ioctl(fd, SIOCGIFADDR, &request))
		give_up("the address of eth0");
	return ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
}

/* The other end's address is 02:00:00:00:00:01 in every bed, ours 02:00:00:00:00:02. */
static void build_frame(int fd)
{
	static const unsigned char macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	struct ether_header *eth = (void *)payload;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	memcpy(eth, macs, sizeof(macs));
	eth->ether_type = htons(ETHERTYPE_IP);
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons((unsigned short)(sizeof(*ip) + sizeof(*udp) + size)),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = own_address(fd).s_addr,
		.daddr = destination.v4.sin_addr.s_addr,
	};
	ip->check = ip_checksum(ip);
	udp->uh_sport = htons(40000);
	udp->uh_dport = htons((unsigned short)port);
	udp->uh_ulen = htons((unsigned short)(sizeof(*udp) + size));
	udp->uh_sum = 0;
	payload_len = sizeof(*eth) + sizeof(*ip) + sizeof(*udp) + size;
}

static void open_packet(struct row *row)
{
	struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	build_frame(fd);
	close(fd);
	link.sll_ifindex = (int)if_nametoindex("eth0");
	/* Protocol 0: it receives nothing. */
	row->fd = make_socket(AF_PACKET, SOCK_RAW, 0);
	link.sll_protocol = 0;
	if (bind(row->fd, (struct sockaddr *)&link, sizeof(link)))
		give_up("bind to eth0");
}

static void open_datagram(struct row *row)
{
	row->fd = make_socket(family(), SOCK_DGRAM, 0);
	payload_len = size;
}

static void fill_messages(int with_address)
{
	for (unsigned long i = 0; i < batch; i++) {
		parts[i] = (struct iovec){.iov_base = payload, .iov_len = payload_len};
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = with_address ? &destination : NULL,
			.msg_namelen = with_address ? destination_len : 0,
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
	}
}

/* --- operations: `n` of them; returns how many failed ----------------------------------------- */

/* What a filter refuses at once ends the call, and the next begins behind it. */
static unsigned long send_some(int fd, unsigned long n)
{
	unsigned long done = 0, failed = 0;

	while (done < n) {
		unsigned long left = n - done;
		int sent = sendmmsg(fd, messages, (unsigned int)(left < batch ? left : batch), 0);

		if (sent <= 0) {
			if (errno != EPERM && errno != ECONNREFUSED && errno != ENOBUFS)
				give_up("sendmmsg");
			failed++;
			sent = 1;
		}
		done += (unsigned long)sent;
	}
	return failed;
}

static unsigned long do_messages(const struct row *row, unsigned long n)
{
	return send_some(row->fd, n);
}

static unsigned long do_sendto(const struct row *row, unsigned long n)
{
	unsigned long failed = 0;

	for (unsigned long i = 0; i < n; i++)
		if (sendto(row->fd, payload, payload_len, 0, &destination.any, destination_len) < 0)
			failed++;
	return failed;
}

static unsigned long connect_all(int type, unsigned long n)
{
	/* Closed by a reset: nothing waits, and no port is used up. */
	static const struct linger at_once = {.l_onoff = 1};
	unsigned long failed = 0;

	for (unsigned long i = 0; i < n; i++) {
		int fd = make_socket(family(), type, 0);

		if (type == SOCK_STREAM)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (connect(fd, &destination.any, destination_len))
			failed++;
		close(fd);
	}
	return failed;
}

/* In the row's namespace already. */
static unsigned long do_connect(const struct row *row, unsigned long n)
{
	(void)row;
	return connect_all(SOCK_STREAM, n);
}

static unsigned long do_udp_connect(const struct row *row, unsigned long n)
{
	(void)row;
	return connect_all(SOCK_DGRAM, n);
}

struct kind {
	const char *name;
	void (*open)(struct row *row);
	unsigned long (*run)(const struct row *row, unsigned long n);
	int with_address;
};

static const struct kind kinds[] = {
	{"udp", open_datagram, do_messages, 1},   {"sendto", open_datagram, do_sendto, 1},
	{"packet", open_packet, do_messages, 0},  {"connect", NULL, do_connect, 0},
	{"udp-connect", NULL, do_udp_connect, 0},
};

/* --- rounds ----------------------------------------------------------------------------------- */

static void work(const struct kind *kind, struct row *row, unsigned long n)
{
	row->failed += kind->run(row, n);
	row->done += n;
}

static void measure(const struct kind *kind, struct row *row, unsigned long round)
{
	double start;

	/* Neither is part of it: to enter, and what the first packets of a row find cold. */
	enter(row->netns);
	work(kind, row, warm);
	start = now_ns();
	work(kind, row, count);
	row->ns[round] = (now_ns() - start) / (double)count;
}

static void show(void)
{
	json_t *root = json_object();

	for (size_t i = 0; i < n_rows; i++) {
		json_t *values = json_array();
		int err = 0;

		for (unsigned long round = 0; round < rounds; round++)
			err |= json_array_append_new(values, json_real(rows[i].ns[round]));
		err |= json_object_set_new(root, rows[i].name,
					   json_pack("{s:o,s:I,s:I}", "ns", values, "done",
						     (json_int_t)rows[i].done, "failed",
						     (json_int_t)rows[i].failed));
		if (err)
			give_up("JSON");
	}
	if (json_dumpf(root, stdout, JSON_REAL_PRECISION(7) | JSON_COMPACT) || putchar('\n') == EOF)
		give_up("write");
	json_decref(root);
}

static void pace(const struct kind *kind)
{
	for (size_t i = 0; i < n_rows; i++) {
		rows[i].ns = calloc(rounds, sizeof(*rows[i].ns));
		if (!rows[i].ns)
			give_up("memory");
		enter(rows[i].netns);
		if (kind->open)
			kind->open(&rows[i]);
	}
	fill_messages(kind->with_address);
	for (unsigned long round = 0; round < rounds; round++)
		for (size_t k = 0; k < n_rows; k++)
			measure(kind, &rows[(k + round * 5) % n_rows], round);
	show();
}

/* Sends in small groups, each at its time. */
static void flood(void)
{
	double start, now, end;
	unsigned long sent = 0;

	enter(rows[0].netns);
	open_datagram(&rows[0]);
	fill_messages(1);
	start = now = now_ns();
	end = start + seconds * 1e9;
	while (now < end) {
		double due =
			rate ? (now - start) * (double)rate / 1e9 : (double)sent + (double)batch;

		if ((double)(sent + batch) <= due) {
			send_some(rows[0].fd, batch);
			sent += batch;
		}
		now = now_ns();
	}
	printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, (now - start) / 1e9);
}

/* --- the far end ------------------------------------------------------------------------------ */

static int listen_at(int type)
{
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((unsigned short)port),
	};
	int fd = make_socket(AF_INET6, type, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		give_up("bind");
	return fd;
}

static void sink(char **names, int n)
{
	static const struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog filter = {.len = COUNT(drop), .filter = (void *)drop};
	struct pollfd polled[ROWS_MAX + 1];

	polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	for (int i = 0; i < n; i++) {
		int fd;

		enter(netns_open(names[i]));
		fd = listen_at(SOCK_DGRAM);
		if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
			give_up("SO_ATTACH_FILTER");
		fd = listen_at(SOCK_STREAM);
		if (listen(fd, 4096) || fcntl(fd, F_SETFL, O_NONBLOCK))
			give_up("listen");
		polled[i + 1] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, (nfds_t)n + 1, -1) < 0)
			give_up("poll");
		if (polled[0].revents)
			return;
		for (int i = 1; i <= n; i++) {
			int fd;

			if (!polled[i].revents)
				continue;
			while ((fd = accept(polled[i].fd, NULL, NULL)) >= 0)
				close(fd);
		}
	}
}

/* --- the command line ------------------------------------------------------------------------- */

static void pin_to(unsigned long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("pin to a CPU");
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	errno = EINVAL;
	if (!*text || *end)
		give_up(text);
	return value;
}

static void set_option(int option, const char *value)
{
	switch (option) {
	case 'r':
		rounds = number(value);
		break;
	case 'n':
		count = number(value);
		break;
	case 'w':
		warm = number(value);
		break;
	case 'b':
		batch = number(value);
		break;
	case 's':
		size = number(value);
		break;
	case 'c':
		pin_to(number(value));
		break;
	case 't':
		to = value;
		break;
	case 'p':
		port = number(value);
		break;
	case 'm':
		mark = number(value);
		break;
	case 'x':
		seconds = strtod(value, NULL);
		break;
	case 'f':
		rate = number(value);
		break;
	default:
		exit(2);
	}
}

static void add_row(char *text)
{
	char *netns = strchr(text, '=');

	errno = EINVAL;
	if (!netns || n_rows == ROWS_MAX)
		give_up(text);
	*netns++ = '\0';
	rows[n_rows++] = (struct row){.name = text, .netns = netns_open(netns), .fd = -1};
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"rounds", required_argument, NULL, 'r'}, {"count", required_argument, NULL, 'n'},
		{"batch", required_argument, NULL, 'b'},  {"warm", required_argument, NULL, 'w'},
		{"size", required_argument, NULL, 's'},   {"cpu", required_argument, NULL, 'c'},
		{"to", required_argument, NULL, 't'},     {"port", required_argument, NULL, 'p'},
		{"mark", required_argument, NULL, 'm'},   {"seconds", required_argument, NULL, 'x'},
		{"rate", required_argument, NULL, 'f'},   {},
	};
	const char *kind = argc > 1 ? argv[1] : "";
	int option;

	while ((option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1)
		set_option(option, optarg);
	argv += 1 + optind;
	argc -= 1 + optind;
	errno = EINVAL;
	if (argc < 1 || argc > ROWS_MAX || !batch || batch > BATCH_MAX || size > SIZE_MAX_ ||
	    !count || !rounds)
		give_up("the head of bench/pace.c has the options");
	if (strcmp(kind, "sink") == 0) {
		sink(argv, argc);
		return 0;
	}
	for (int i = 0; i < argc; i++)
		add_row(argv[i]);
	set_destination();
	if (strcmp(kind, "flood") == 0) {
		flood();
		return 0;
	}
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strcmp(kind, kinds[i].name) == 0) {
			pace(&kinds[i]);
			return 0;
		}
	give_up(kind);
}
