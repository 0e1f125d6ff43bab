// SPDX-License-Identifier: GPL-2.0
#include "net/dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/qname.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define AGAIN_MS    700 /* a datagram may be lost */
#define MESSAGE_MAX 4096
#define QUERY_MAX   (12 + EG_QNAME_MAX + 4)
#define ANSWERS_MAX 64

/* RFC 1035, 4.1.1 */
#define RCODE_OK      0
#define RCODE_NO_NAME 3
#define RCODE_REFUSED 5

/* Of one type. */
struct query {
	__u8 message[QUERY_MAX];
	size_t len;
	__u16 type;
	bool answered;
	int rcode;
};

struct asking {
	struct query queries[2];
	__u16 port; /* the endpoint's */
	struct eg_endpoint *found;
	size_t n;
};

/* --- the question ----------------------------------------------------------------------------- */

/*
 * Draws by lot which of the name's letters are upper case ("0x20"). An answer has to have the same,
 * and that is what whoever forges one cannot guess: a container can send to this machine from any
 * address of the LAN, the resolver's too, and has the time to try all of 2^16 numbers and the ports
 * again and again, as the name is asked for every half a minute while its tunnel is down.
 */
static int draw_letters(__u8 *name, size_t len)
{
	__u8 lot[EG_QNAME_MAX];

	if (getrandom(lot, len, 0) != (ssize_t)len)
		return -EIO;
	for (size_t i = 0; i < len; i++)
		if (name[i] >= 'a' && name[i] <= 'z')
			name[i] ^= lot[i] & 0x20;
	return 0;
}

static int write_query(const struct eg_bootstrap_name *name, __u16 type, struct query *query)
{
	__u8 *at = query->message;

	memset(query, 0, sizeof(*query));
	if (getrandom(at, 2, 0) != 2)
		return -EIO;
	at[2] = 1; /* RD */
	at[5] = 1; /* one question */
	at += 12;
	eg_qname_bytes(name, at);
	if (draw_letters(at, name->len) < 0)
		return -EIO;
	at += name->len;
	at[1] = (__u8)type;
	at[3] = EG_DNS_CLASS_IN;
	at += 4;
	query->len = (size_t)(at - query->message);
	query->type = type;
	return 0;
}

static int open_socket(const struct eg_prefix *resolver)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = EG_BE16(EG_PORT_DNS)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = EG_BE16(EG_PORT_DNS)};
	bool is_v4 = resolver->family == EG_FAMILY_IPV4;
	EG_AUTO_CLOSE int fd =
		socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	v4.sin_addr.s_addr = resolver->addr.v4_be;
	memcpy(v6.sin6_addr.s6_addr, resolver->addr.bytes, 16);
	/* Connected: what others send is not received. */
	if (fd < 0 || connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
			      is_v4 ? sizeof(v4) : sizeof(v6)) < 0)
		return -errno;
	return EG_TAKE_FD(fd);
}

/* --- the answer ------------------------------------------------------------------------------- */

/* The same number, and the same question to the letter. */
static struct query *find_query(struct asking *asking, const __u8 *message, size_t len)
{
	for (size_t i = 0; i < 2; i++) {
		struct query *query = &asking->queries[i];

		if (len >= query->len && memcmp(message, query->message, 2) == 0 &&
		    (message[2] & 0x80) && message[4] == 0 && message[5] == 1 &&
		    memcmp(message + 12, query->message + 12, query->len - 12) == 0)
			return query;
	}
	return NULL;
}

static bool is_among(const struct asking *asking, const struct eg_endpoint *endpoint)
{
	for (size_t i = 0; i < asking->n; i++)
		if (asking->found[i].family == endpoint->family &&
		    memcmp(&asking->found[i].addr, &endpoint->addr, sizeof(endpoint->addr)) == 0)
			return true;
	return false;
}

/* A resource record (RFC 1035, 4.1.3), whoever's it is: an alias leads from our name to its owner.
 */
struct record {
	__u16 type, class;
	const __u8 *data;
	size_t len;
};

static __u16 get16(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

/* After a name: labels, and at their end a zero or two bytes that lead elsewhere. 0: it is none. */
static size_t skip_name(const __u8 *message, size_t len, size_t at)
{
	while (at < len && message[at] && message[at] < 0xc0)
		at += message[at] + 1U;
	if (at < len)
		at += message[at] ? 2 : 1;
	return at <= len ? at : 0;
}

/* The one at *at, which then is after it. */
static bool next_record(const __u8 *message, size_t len, size_t *at, struct record *ret_record)
{
	size_t fixed = skip_name(message, len, *at);

	if (!fixed || len - fixed < 10)
		return false;
	ret_record->type = get16(message + fixed);
	ret_record->class = get16(message + fixed + 2);
	ret_record->len = get16(message + fixed + 8);
	ret_record->data = message + fixed + 10;
	if (ret_record->len > len - fixed - 10)
		return false;
	*at = fixed + 10 + ret_record->len;
	return true;
}

static int take_record(struct asking *asking, const struct record *record, __u16 type)
{
	struct eg_endpoint endpoint = {.port = asking->port};

	if (record->type != type || record->class != EG_DNS_CLASS_IN)
		return 0; /* an alias on the way */
	if (type == EG_DNS_TYPE_A && record->len == 4)
		endpoint.family = EG_FAMILY_IPV4;
	else if (type == EG_DNS_TYPE_AAAA && record->len == 16)
		endpoint.family = EG_FAMILY_IPV6;
	else
		return 0;
	memcpy(endpoint.addr.bytes, record->data, record->len);
	if (is_among(asking, &endpoint) || asking->n >= ANSWERS_MAX)
		return 0;
	return EG_ARRAY_ADD(asking->found, asking->n, endpoint);
}

static int take_answer(struct asking *asking, const __u8 *message, size_t len)
{
	struct query *query = find_query(asking, message, len);
	struct record record;
	size_t at;
	int result = 0;

	if (!query || query->answered)
		return 0;
	query->answered = true;
	query->rcode = message[3] & 0xf;
	at = query->len;
	for (__u16 i = get16(message + 6); result == 0 && i; i--) {
		if (!next_record(message, len, &at, &record))
			break;
		result = take_record(asking, &record, query->type);
	}
	return result;
}

/* --- both ------------------------------------------------------------------------------------- */

static int send_queries(int fd, const struct asking *asking)
{
	for (size_t i = 0; i < 2; i++) {
		const struct query *query = &asking->queries[i];

		if (!query->answered && send(fd, query->message, query->len, MSG_NOSIGNAL) < 0 &&
		    errno != EAGAIN)
			return -errno;
	}
	return 0;
}

static int receive(int fd, struct asking *asking)
{
	__u8 message[MESSAGE_MAX];
	ssize_t len;
	int result = 0;

	while (result == 0 && (len = recv(fd, message, sizeof(message), 0)) >= 0)
		result = take_answer(asking, message, (size_t)len);
	if (result == 0 && errno != EAGAIN && errno != EINTR)
		result = -errno;
	return result;
}

static int ask(int fd, struct asking *asking, unsigned int timeout_ms)
{
	__u64 until = eg_monotonic_ms() + timeout_ms, again = 0;
	int result = 0;

	while (result == 0 && !(asking->queries[0].answered && asking->queries[1].answered)) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		__u64 now = eg_monotonic_ms(), wake;

		if (now >= until)
			return -ETIMEDOUT;
		if (now >= again) {
			result = send_queries(fd, asking);
			again = now + AGAIN_MS;
		}
		wake = again < until ? again : until;
		if (result == 0 && poll(&ready, 1, (int)(wake - now)) > 0)
			result = receive(fd, asking);
	}
	return result;
}

static const char *why_none(const struct asking *asking, int result)
{
	if (result == -ETIMEDOUT)
		return "no answer in time";
	if (result < 0)
		return strerror(-result);
	switch (asking->queries[0].rcode) {
	case RCODE_OK:
		return "the name has no address";
	case RCODE_NO_NAME:
		return "there is no such name";
	case RCODE_REFUSED:
		return "it refuses to answer";
	}
	return "it failed to find out";
}

int eg_dns_resolve(const struct eg_prefix *resolver, const struct eg_endpoint *endpoint,
		   unsigned int timeout_ms, struct eg_endpoint **ret_endpoints, size_t *ret_n,
		   struct eg_error *error)
{
	struct asking asking = {.port = endpoint->port};
	struct eg_bootstrap_name name;
	char where[EG_ADDRESS_TEXT_LEN];
	EG_AUTO_CLOSE int fd = -1;
	int result = eg_qname_make(endpoint->host, &name, error);

	if (result < 0)
		return result;
	fd = open_socket(resolver);
	result = fd < 0 ? fd : write_query(&name, EG_DNS_TYPE_A, &asking.queries[0]);
	if (result == 0)
		result = write_query(&name, EG_DNS_TYPE_AAAA, &asking.queries[1]);
	if (result == 0)
		result = ask(fd, &asking, timeout_ms);
	/* One family is as good as two. */
	if (asking.n) {
		*ret_endpoints = asking.found;
		*ret_n = asking.n;
		return 0;
	}
	return eg_error_set(error, EG_EXIT_FAILED, EHOSTUNREACH,
			    "the resolver %s, asked for the endpoint's name '%s': %s",
			    eg_prefix_format(where, resolver), endpoint->host,
			    why_none(&asking, result));
}
