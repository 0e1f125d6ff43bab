// SPDX-License-Identifier: GPL-2.0
/* Endpoints: an address or a host name, and a port. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address_internal.h"

#define HOST_MAX  253 /* RFC 1035, 3.1, as text */
#define LABEL_MAX 63

/* Whether the system's resolver would read it as an address (127.1, 0x7f000001): then it has to be
 * one in full. */
static bool ends_in_number(const struct eg_part *part)
{
	size_t to = part->to;
	size_t from;

	if (to > part->from && part->text[to - 1] == '.')
		to--;
	for (from = to; from > part->from && part->text[from - 1] != '.';)
		from--;
	if (from + 1 < to && part->text[from] == '0' && (part->text[from + 1] | 0x20) == 'x')
		return true;
	for (size_t i = from; i < to; i++) {
		if (!eg_is_digit(part->text[i]))
			return false;
	}
	return from < to;
}

static int check_label(const struct eg_part *host, size_t from, size_t to)
{
	char quoted[EG_QUOTE_LEN];

	if (to == from)
		return EG_PART_FAIL(host, from, "%s is no host name: a part between dots is empty",
				    eg_part_quote(quoted, host));
	if (to - from > LABEL_MAX)
		return EG_PART_FAIL(host, from,
				    "%s is no host name: a part is longer than %d bytes",
				    eg_part_quote(quoted, host), LABEL_MAX);
	if (host->text[from] == '-' || host->text[to - 1] == '-')
		return EG_PART_FAIL(host, from,
				    "%s is no host name: a part starts or ends with '-'",
				    eg_part_quote(quoted, host));
	return 0;
}

static int check_host_bytes(const struct eg_part *host)
{
	char quoted[EG_QUOTE_LEN];

	for (size_t i = host->from; i < host->to; i++) {
		char c = host->text[i];

		if (eg_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
		    c == '.' || c == '_')
			continue;
		return EG_PART_FAIL(host, i, "%s is neither an address nor a host name%s",
				    eg_part_quote(quoted, host),
				    c & 0x80 ? ": write a name with other letters in its xn-- form"
					     : "");
	}
	return 0;
}

static int check_host(const struct eg_part *host)
{
	char quoted[EG_QUOTE_LEN];
	size_t from = host->from;
	int result;

	if (host->from == host->to)
		return EG_PART_FAIL(host, host->from, "an address is missing before the port");
	if (host->to - host->from > HOST_MAX)
		return EG_PART_FAIL(host, host->from,
				    "%s is no host name: it is longer than %d bytes",
				    eg_part_quote(quoted, host), HOST_MAX);
	result = check_host_bytes(host);
	/* a last dot, which says that the name is complete, has nothing after it */
	while (result == 0 && (from < host->to || from == host->from)) {
		struct eg_part rest = eg_part_between(host, from, host->to);
		size_t dot = eg_part_find(&rest, '.');

		result = check_label(host, from, dot);
		from = dot + 1;
	}
	return result;
}

/* A host name, copied, or an IPv4 address. */
static int read_host(const struct eg_part *part, struct eg_endpoint *endpoint)
{
	char quoted[EG_QUOTE_LEN];
	int result;

	if (ends_in_number(part) && eg_part_has_letter(part))
		return EG_PART_FAIL(part, part->from,
				    "%s ends in a number like an address, but is none",
				    eg_part_quote(quoted, part));
	if (ends_in_number(part))
		return eg_read_addr(part, &endpoint->family, &endpoint->addr);
	result = check_host(part);
	if (result < 0)
		return result;
	endpoint->host = strndup(part->text + part->from, part->to - part->from);
	if (!endpoint->host)
		return eg_error_no_memory(part->error);
	return 0;
}

static int read_bracketed_endpoint(const struct eg_part *part, struct eg_endpoint *endpoint)
{
	size_t close = eg_part_find(part, ']');
	struct eg_part inside = eg_part_between(part, part->from + 1, close);
	struct eg_part port = eg_part_between(part, close + 2, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (close == part->to)
		return EG_PART_FAIL(part, part->from, "%s lacks the ']' of its '['",
				    eg_part_quote(quoted, part));
	result = eg_read_addr(&inside, &endpoint->family, &endpoint->addr);
	if (result < 0)
		return result;
	if (endpoint->family == EG_FAMILY_IPV4)
		return EG_PART_FAIL(part, part->from,
				    "%s has brackets, which only an IPv6 address has",
				    eg_part_quote(quoted, part));
	if (close + 1 == part->to || part->text[close + 1] != ':')
		return EG_PART_FAIL(part, close + 1, "%s: after ']' comes ':' and a port",
				    eg_part_quote(quoted, part));
	return eg_read_port(&port, &endpoint->port);
}

static int read_plain_endpoint(const struct eg_part *part, struct eg_endpoint *endpoint)
{
	size_t colon = eg_part_find(part, ':');
	struct eg_part host = eg_part_between(part, part->from, colon);
	struct eg_part port = eg_part_between(part, colon + 1, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (part->from == part->to)
		return eg_not_an_address(part, part->from);
	if (colon == part->to)
		return EG_PART_FAIL(part, part->to, "%s has no port: write ADDR:PORT",
				    eg_part_quote(quoted, part));
	if (!eg_is_ipv4_with_port(part) && eg_part_find(&port, ':') < part->to)
		return EG_PART_FAIL(part, part->from,
				    "%s: an IPv6 address with a port needs brackets, [ADDR]:PORT",
				    eg_part_quote(quoted, part));
	result = eg_read_port(&port, &endpoint->port);
	return result < 0 ? result : read_host(&host, endpoint);
}

static int read_endpoint(const struct eg_part *part, struct eg_endpoint *ret_endpoint)
{
	struct eg_endpoint endpoint = {};
	int result = *part->text == '[' ? read_bracketed_endpoint(part, &endpoint)
					: read_plain_endpoint(part, &endpoint);

	if (result == 0)
		*ret_endpoint = endpoint;
	return result;
}

int eg_endpoint_parse(const char *text, struct eg_endpoint *ret_endpoint, struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

	return read_endpoint(&part, ret_endpoint);
}

int eg_endpoint_parse_own(const char *text, struct eg_endpoint *ret_endpoint,
			  struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

	part.own = true;
	return read_endpoint(&part, ret_endpoint);
}

char *eg_endpoint_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_endpoint *endpoint)
{
	char addr[EG_ADDRESS_TEXT_LEN];
	bool v6 = endpoint->family == EG_FAMILY_IPV6;

	eg_addr_format(addr, endpoint->family, &endpoint->addr);
	snprintf(to, EG_ADDRESS_TEXT_LEN, "%s%.48s%s:%u", v6 ? "[" : "", addr, v6 ? "]" : "",
		 endpoint->port);
	return to;
}

struct eg_endpoint eg_endpoint_unmapped(const struct eg_endpoint *endpoint)
{
	struct eg_endpoint plain = *endpoint;

	if (plain.family == EG_FAMILY_IPV6 && eg_addr_is_v4_mapped(&plain.addr)) {
		plain.family = EG_FAMILY_IPV4;
		plain.addr = eg_addr_unmapped(&endpoint->addr);
	}
	return plain;
}
