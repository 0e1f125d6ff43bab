// SPDX-License-Identifier: GPL-2.0
/* What `egressguard explain` is asked: PROTO DEST[:PORT]. */
#include "policy/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "util/cleanup.h"

static int read_proto(const char *text, struct eg_question *question, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	int proto;

	question->wireguard = !strcmp(text, "wireguard");
	question->bootstrap = !strcmp(text, "bootstrap");
	proto = question->wireguard || question->bootstrap ? EG_PROTO_UDP : eg_proto_parse(text);
	if (proto < 0)
		return eg_error_at(error, 1, 1,
				   "unknown protocol %s: write tcp, udp, icmp, icmpv6, wireguard, "
				   "bootstrap, or another protocol's name or number",
				   eg_quote(quoted, text, strlen(text)));
	question->proto = (__u8)proto;
	return 0;
}

/* Splits ADDR, ADDR:PORT, [ADDR] and [ADDR]:PORT. *ret_port is NULL where none is. */
static int split_dest(char *dest, char **ret_addr, char **ret_port, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	char *colon = strchr(dest, ':');
	char *close;

	*ret_port = NULL;
	*ret_addr = dest;
	if (dest[0] == '[') {
		close = strchr(dest, ']');
		if (!close || (close[1] && close[1] != ':'))
			return eg_error_at(error, 1, 1,
					   "%s is not [ADDRESS]:PORT: the bracket closes after the "
					   "address, and a colon and the port follow",
					   eg_quote(quoted, dest, strlen(dest)));
		if (close[1])
			*ret_port = close + 2;
		*close = '\0';
		*ret_addr = dest + 1;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
	return 0;
}

/* Columns are those of the whole text. */
static int shift_column(int r, struct eg_error *error, const char *part, const char *whole)
{
	if (r < 0 && error)
		error->column += (unsigned int)(part - whole);
	return r;
}

static int read_dest(const char *text, struct eg_question *question, struct eg_error *error)
{
	EG_AUTO_FREE char *dest = strdup(text);
	char *addr, *port;
	int r;

	if (!dest)
		return eg_error_no_memory(error);
	r = split_dest(dest, &addr, &port, error);
	if (r < 0)
		return r;
	r = eg_addr_parse(addr, &question->family, &question->dst, error);
	if (r < 0)
		return shift_column(r, error, addr, dest);
	if (!port) {
		question->dport = question->bootstrap ? EG_PORT_DNS : 0;
		return 0;
	}
	r = eg_port_parse(port, &question->dport, error);
	return shift_column(r, error, port, dest);
}

static int check_question(const char *proto, const char *dest, const struct eg_question *question,
			  struct eg_error *error)
{
	char quoted_proto[EG_QUOTE_LEN], quoted[EG_QUOTE_LEN];

	eg_quote(quoted_proto, proto, strlen(proto));
	eg_quote(quoted, dest, strlen(dest));
	if (question->dport && !eg_proto_has_ports(question->proto))
		return eg_error_at(error, 1, 1, "%s has no ports: write the address of %s alone",
				   quoted_proto, quoted);
	if (question->wireguard && !question->dport)
		return eg_error_at(error, 1, 1,
				   "%s has no port: write ADDRESS:PORT, as in Endpoint", quoted);
	if (question->proto == EG_PROTO_ICMP && question->family == EG_FAMILY_IPV6)
		return eg_error_at(error, 1, 1, "%s is an IPv6 address: its protocol is 'icmpv6'",
				   quoted);
	if (question->proto == EG_PROTO_ICMPV6 && question->family == EG_FAMILY_IPV4)
		return eg_error_at(error, 1, 1, "%s is an IPv4 address: its protocol is 'icmp'",
				   quoted);
	return 0;
}

int eg_question_parse(const char *proto, const char *dest, struct eg_question *ret_question,
		      struct eg_error *error)
{
	struct eg_question question = {};
	int r = read_proto(proto, &question, error);

	if (r == 0)
		r = read_dest(dest, &question, error);
	if (r == 0)
		r = check_question(proto, dest, &question, error);
	if (r == 0)
		*ret_question = question;
	return r;
}
