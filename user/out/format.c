// SPDX-License-Identifier: GPL-2.0
#include "out/format.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "eg_packet.h"
#include "out/render.h"
#include "policy/address.h"

#define NS_PER_S 1000000000ULL

struct eg_text *eg_line_start(void)
{
	static struct eg_text line;

	if (line.failed)
		eg_text_free(&line);
	line.failed = false;
	line.len = 0;
	return &line;
}

int eg_line_end(const struct eg_text *line, FILE *to)
{
	if (line->failed)
		return -ENOMEM;
	errno = 0;
	if (fwrite(line->data, 1, line->len, to) != line->len)
		return errno ? -errno : -EIO;
	return 0;
}

void eg_put(struct eg_text *line, const char *text)
{
	eg_text_add(line, text, strlen(text));
}

void eg_put_number(struct eg_text *line, __u64 number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	eg_text_add(line, digits + at, sizeof(digits) - at);
}

/* --- time ------------------------------------------------------------------------------------ */

static void put_padded(struct eg_text *line, unsigned int number, unsigned int width)
{
	char digits[9];

	for (unsigned int i = width; i-- > 0; number /= 10)
		digits[i] = (char)('0' + number % 10);
	eg_text_add(line, digits, width);
}

/* Events come by the hundred thousand a second, and all of a second look the same. */
struct second {
	time_t second;
	bool known;
	char text[40];
};

static void put_second(struct eg_text *line, struct second *cache, time_t second, bool utc,
		       const char *format)
{
	if (!cache->known || cache->second != second) {
		struct tm tm = {};

		if (utc)
			gmtime_r(&second, &tm);
		else
			localtime_r(&second, &tm);
			/* The formats are the three literals below. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (!strftime(cache->text, sizeof(cache->text), format, &tm))
			cache->text[0] = '\0';
#pragma GCC diagnostic pop
		cache->second = second;
		cache->known = true;
	}
	eg_put(line, cache->text);
}

void eg_put_clock(struct eg_text *line, __u64 realtime_ns)
{
	static struct second cache;

	put_second(line, &cache, (time_t)(realtime_ns / NS_PER_S), false, "%H:%M:%S.");
	put_padded(line, (unsigned int)(realtime_ns % NS_PER_S / 1000), 6);
}

void eg_put_date(struct eg_text *line, __u64 realtime_ns)
{
	static struct second cache;

	put_second(line, &cache, (time_t)(realtime_ns / NS_PER_S), false, "%Y-%m-%d %H:%M:%S");
}

void eg_put_rfc3339(struct eg_text *line, __u64 realtime_ns)
{
	static struct second cache;

	put_second(line, &cache, (time_t)(realtime_ns / NS_PER_S), true, "%Y-%m-%dT%H:%M:%S.");
	put_padded(line, (unsigned int)(realtime_ns % NS_PER_S), 9);
	eg_text_add(line, "Z", 1);
}

/* --- packets --------------------------------------------------------------------------------- */

void eg_put_address(struct eg_text *line, __u8 family, const union eg_addr *addr)
{
	char text[EG_ADDRESS_TEXT_LEN];

	if (family != EG_FAMILY_IPV4) {
		eg_put(line, eg_addr_format(text, family, addr));
		return;
	}
	/* libc's way is through printf(), a third of what a line of `events` costs. */
	for (int i = 0; i < 4; i++) {
		if (i)
			eg_text_add(line, ".", 1);
		eg_put_number(line, addr->bytes[i]);
	}
}

void eg_put_tcp_flags(struct eg_text *line, __u8 flags)
{
	/* Bits 0 to 7: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR. */
	static const char letters[] = "FSRP.UEW";
	char text[8];
	size_t n = 0;

	for (unsigned int bit = 0; bit < 8; bit++) {
		if (flags & (1U << bit) && bit != 4)
			text[n++] = letters[bit];
	}
	if (flags & (1U << 4))
		text[n++] = '.';
	if (!n)
		eg_put(line, "none");
	eg_text_add(line, text, n);
}

struct icmp_type {
	__u8 type;
	const char *name;
};

static const struct icmp_type icmp4_types[] = {
	{0, "echo reply"},           {3, "unreachable"},
	{4, "source quench"},        {5, "redirect"},
	{8, "echo request"},         {9, "router advertisement"},
	{10, "router solicitation"}, {11, "time exceeded"},
	{12, "parameter problem"},   {13, "time stamp query"},
	{14, "time stamp reply"},    {},
};

static const struct icmp_type icmp6_types[] = {
	{1, "unreachable"},
	{2, "packet too big"},
	{3, "time exceeded"},
	{4, "parameter problem"},
	{128, "echo request"},
	{129, "echo reply"},
	{130, "multicast listener query"},
	{131, "multicast listener report"},
	{132, "multicast listener done"},
	{133, "router solicitation"},
	{134, "router advertisement"},
	{135, "neighbor solicitation"},
	{136, "neighbor advertisement"},
	{137, "redirect"},
	{143, "multicast listener report v2"},
	{},
};

const char *eg_icmp_name(__u8 family, __u8 type)
{
	const struct icmp_type *types = family == EG_FAMILY_IPV4 ? icmp4_types : icmp6_types;

	for (; types->name; types++) {
		if (types->type == type)
			return types->name;
	}
	return NULL;
}

void eg_put_proto(struct eg_text *line, __u8 proto)
{
	const char *name = eg_proto_name(proto);

	if (name)
		eg_put(line, name);
	else
		eg_put_number(line, proto);
}

bool eg_event_has_ports(const struct eg_event *event)
{
	if (event->family == EG_FAMILY_NONE || !eg_proto_has_ports(event->proto))
		return false;
	return event->sport_be || event->dport_be;
}

bool eg_event_has_icmp(const struct eg_event *event)
{
	if (event->reason == EG_REASON_MALFORMED || event->reason == EG_REASON_FRAGMENT)
		return false;
	return (event->family == EG_FAMILY_IPV4 && event->proto == EG_PROTO_ICMP) ||
	       (event->family == EG_FAMILY_IPV6 && event->proto == EG_PROTO_ICMPV6);
}

bool eg_event_is_bypass(const struct eg_event *event)
{
	return event->layer == EG_LAYER_PEER && event->verdict == EG_VERDICT_DROP &&
	       !(event->flags & (EG_EVENT_TRANSITION | EG_EVENT_PROBE));
}

bool eg_event_is_connect(const struct eg_event *event)
{
	return event->layer == EG_LAYER_SOCKET;
}

bool eg_event_has_source(const struct eg_event *event)
{
	static const union eg_addr unspecified;

	return !eg_event_is_connect(event) ||
	       memcmp(&event->src, &unspecified, sizeof(unspecified)) != 0;
}

/* --- strangers' strings ---------------------------------------------------------------------- */

void eg_put_utf8(struct eg_text *line, const char *string)
{
	while (*string) {
		__u32 code;
		size_t len = eg_utf8_decode(string, EG_UTF8_MAX, &code);

		if (len) {
			eg_text_add(line, string, len);
			string += len;
		} else {
			eg_text_printf(line, "\\x%02x", (unsigned char)*string++);
		}
	}
}

void eg_put_safe(struct eg_text *line, const char *string)
{
	char safe[EG_SAFE_LEN];

	eg_put(line, eg_escape(safe, sizeof(safe), string, strlen(string)));
}

int eg_render_end(int result, struct eg_error *error)
{
	if (result == 0 && fflush(stdout) != 0)
		result = -errno;
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot write: %s",
				    strerror(-result));
	return 0;
}
