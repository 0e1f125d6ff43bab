// SPDX-License-Identifier: GPL-2.0
/* Host names of endpoints. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "net/wireguard.h"
#include "policy/array.h"
#include "util/cleanup.h"
#include "util/text.h"
#include "util/thread.h"

#define ESCAPED_LEN 512

/*
 * getaddrinfo() cannot be told when to stop, so it runs on a thread that is left to itself when
 * time is over. Whoever is last, the thread or its caller, frees this.
 */
struct lookup {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned int owners;
	bool done;
	int result; /* EAI_* */
	int errnum; /* for EAI_SYSTEM */
	struct addrinfo *found;
	char host[];
};

static void lookup_leave(struct lookup *lookup)
{
	bool last;

	pthread_mutex_lock(&lookup->mutex);
	last = --lookup->owners == 0;
	pthread_mutex_unlock(&lookup->mutex);
	if (!last)
		return;
	if (lookup->found)
		freeaddrinfo(lookup->found);
	pthread_cond_destroy(&lookup->changed);
	pthread_mutex_destroy(&lookup->mutex);
	free(lookup);
}

static void *run_lookup(void *argument)
{
	/* One entry for each address, not one for each kind of socket. */
	static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct lookup *lookup = argument;
	struct addrinfo *found = NULL;
	int result = getaddrinfo(lookup->host, NULL, &hints, &found);

	pthread_mutex_lock(&lookup->mutex);
	lookup->errnum = errno;
	lookup->result = result;
	lookup->found = result ? NULL : found;
	lookup->done = true;
	pthread_cond_signal(&lookup->changed);
	pthread_mutex_unlock(&lookup->mutex);
	lookup_leave(lookup);
	return NULL;
}

static struct lookup *lookup_new(const char *host)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup) + strlen(host) + 1);
	pthread_condattr_t attributes;

	if (!lookup)
		return NULL;
	strcpy(lookup->host, host);
	pthread_mutex_init(&lookup->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lookup->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	lookup->owners = 1;
	return lookup;
}

static int lookup_start(struct lookup *lookup)
{
	pthread_t thread;
	int result;

	lookup->owners++;
	result = eg_thread_start(&thread, run_lookup, lookup);
	if (result)
		lookup->owners--;
	else
		pthread_detach(thread);
	return result;
}

/* False when time is over. */
static bool lookup_wait(struct lookup *lookup, unsigned int timeout_ms)
{
	struct timespec until;
	bool done;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lookup->mutex);
	while (!lookup->done && !result)
		result = pthread_cond_timedwait(&lookup->changed, &lookup->mutex, &until);
	done = lookup->done;
	pthread_mutex_unlock(&lookup->mutex);
	return done;
}

static bool take_sockaddr(const struct sockaddr *sockaddr, struct eg_endpoint *endpoint)
{
	if (sockaddr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)sockaddr;

		endpoint->family = EG_FAMILY_IPV4;
		endpoint->addr.v4_be = v4->sin_addr.s_addr;
		return true;
	}
	if (sockaddr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sockaddr;

		/* A packet to ::ffff:192.0.2.1 is an IPv4 packet. */
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			endpoint->family = EG_FAMILY_IPV4;
			memcpy(&endpoint->addr.v4_be, v6->sin6_addr.s6_addr + 12, 4);
		} else {
			endpoint->family = EG_FAMILY_IPV6;
			memcpy(endpoint->addr.bytes, &v6->sin6_addr, sizeof(endpoint->addr.bytes));
		}
		return true;
	}
	return false;
}

static bool is_among(const struct eg_endpoint *endpoints, size_t n,
		     const struct eg_endpoint *endpoint)
{
	for (size_t i = 0; i < n; i++)
		if (endpoints[i].family == endpoint->family &&
		    memcmp(&endpoints[i].addr, &endpoint->addr, sizeof(endpoint->addr)) == 0)
			return true;
	return false;
}

static int collect(const struct addrinfo *found, __u16 port, struct eg_endpoint **ret_endpoints,
		   size_t *ret_n)
{
	EG_AUTO_FREE struct eg_endpoint *endpoints = NULL;
	size_t n = 0;

	for (; found; found = found->ai_next) {
		struct eg_endpoint endpoint = {.port = port};
		int result;

		if (!take_sockaddr(found->ai_addr, &endpoint) || is_among(endpoints, n, &endpoint))
			continue;
		result = EG_ARRAY_ADD(endpoints, n, endpoint);
		if (result < 0)
			return result;
	}
	if (!n)
		return -ENODATA;
	*ret_endpoints = EG_TAKE(endpoints);
	*ret_n = n;
	return 0;
}

static int resolve_error(struct eg_error *error, const char *host, const char *why)
{
	char escaped[ESCAPED_LEN];

	eg_escape(escaped, sizeof(escaped), host, strlen(host));
	return eg_error_set(error, EG_EXIT_FAILED, EHOSTUNREACH,
			    "cannot resolve the endpoint's host name '%s': %s; give its "
			    "address instead (--endpoint ADDR:PORT, Endpoint = ADDR:PORT)",
			    escaped, why);
}

static int lookup_take(const struct lookup *lookup, __u16 port, struct eg_endpoint **ret_endpoints,
		       size_t *ret_n, struct eg_error *error)
{
	int result;

	if (lookup->result)
		return resolve_error(error, lookup->host,
				     lookup->result == EAI_SYSTEM ? strerror(lookup->errnum)
								  : gai_strerror(lookup->result));
	result = collect(lookup->found, port, ret_endpoints, ret_n);
	if (result == -ENODATA)
		return resolve_error(error, lookup->host, "it has no address");
	return result < 0 ? eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory") : 0;
}

int eg_endpoint_resolve(const struct eg_endpoint *endpoint, unsigned int timeout_ms,
			struct eg_endpoint **ret_endpoints, size_t *ret_n, struct eg_error *error)
{
	struct eg_endpoint *known = NULL;
	struct lookup *lookup;
	size_t n = 0;
	int result;

	if (endpoint->family != EG_FAMILY_NONE) {
		struct eg_endpoint copy = *endpoint;

		copy.host = NULL;
		if (EG_ARRAY_ADD(known, n, copy) < 0)
			return eg_error_no_memory(error);
		*ret_endpoints = known;
		*ret_n = n;
		return 0;
	}
	lookup = lookup_new(endpoint->host);
	if (!lookup)
		return eg_error_no_memory(error);
	result = lookup_start(lookup);
	if (result < 0)
		result = resolve_error(error, endpoint->host, strerror(-result));
	else if (!lookup_wait(lookup, timeout_ms))
		result = resolve_error(error, endpoint->host, "no answer in time");
	else
		result = lookup_take(lookup, endpoint->port, ret_endpoints, ret_n, error);
	lookup_leave(lookup);
	return result;
}
