// SPDX-License-Identifier: GPL-2.0
#include "doctor/chain.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"

#define JUMPS_MAX 8
/* What a chain that jumps to others twice, and those so again, may cost. */
#define STEPS_MAX 100000

const char *const eg_doctor_backend_names[EG_DOCTOR_BACKENDS] = {
	[EG_DOCTOR_LEGACY] = "legacy",
	[EG_DOCTOR_NFT] = "nft",
};

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void free_rule(struct eg_doctor_rule *rule)
{
	for (size_t i = 0; i < rule->n_words; i++)
		free(rule->words[i]);
	free(rule->words);
	free(rule->saved);
}

static void free_rules(struct eg_doctor_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free_rule(&rules->rules[i]);
	for (size_t i = 0; i < rules->n_chains; i++)
		free(rules->chains[i]);
	free(rules->rules);
	free(rules->chains);
}

/* The next word, without its quotes; *text moves on. NULL at the end. iptables-save puts what has
 * blanks into double quotes, and a backslash before what would end them. */
static char *next_word(const char **text, bool *failed)
{
	const char *from = *text + strspn(*text, " ");
	bool quoted = *from == '"';
	char *word;
	size_t len = 0;

	*text = from;
	if (!*from)
		return NULL;
	word = malloc(strlen(from) + 1);
	if (!word) {
		*failed = true;
		return NULL;
	}
	for (from += quoted; *from && *from != (quoted ? '"' : ' '); from++) {
		if (quoted && *from == '\\' && from[1])
			from++;
		word[len++] = *from;
	}
	word[len] = '\0';
	*text = from + (quoted && *from);
	return word;
}

/* "OUTPUT -o wg0 -j DROP" */
static int add_rule(struct eg_doctor_rules *rules, const char *line, size_t len)
{
	struct eg_doctor_rule rule = {.saved = strndup(line, len), .number = 1};
	bool failed = !rule.saved;
	const char *rest = rule.saved;
	char *word;

	while (!failed && (word = next_word(&rest, &failed))) {
		if (EG_ARRAY_ADD(rule.words, rule.n_words, word) < 0) {
			free(word);
			failed = true;
		}
	}
	for (size_t i = 0; rule.n_words && i < rules->n; i++)
		rule.number += same(rules->rules[i].words[0], rule.words[0]);
	if (failed || !rule.n_words || EG_ARRAY_ADD(rules->rules, rules->n, rule) < 0) {
		failed |= rule.n_words > 0;
		free_rule(&rule);
	}
	return failed ? -ENOMEM : 0;
}

/* ":OUTPUT DROP [0:0]", ":MINE - [0:0]" */
static int add_chain(struct eg_doctor_rules *rules, const char *line, size_t len)
{
	size_t name_len = strcspn(line, " \n");
	const char *policy = line + name_len + 1;
	char *name;

	if (name_len + 2 > len)
		return 0;
	if (*policy == '-') {
		name = strndup(line, name_len);
		if (name && EG_ARRAY_ADD(rules->chains, rules->n_chains, name) == 0)
			return 0;
		free(name);
		return -ENOMEM;
	}
	if (strncmp(policy, "DROP", strlen("DROP")) == 0) {
		rules->output_drops |= strncmp(line, "OUTPUT ", strlen("OUTPUT ")) == 0;
		rules->input_drops |= strncmp(line, "INPUT ", strlen("INPUT ")) == 0;
	}
	return 0;
}

static bool starts(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* A line of another table: whether it drops what leaves. What only comes in is none. */
static bool drops_elsewhere(const char *line, size_t len)
{
	if (starts(line, ":OUTPUT DROP") || starts(line, ":POSTROUTING DROP"))
		return true;
	return starts(line, "-A ") && !starts(line, "-A PREROUTING ") &&
	       !starts(line, "-A INPUT ") && !starts(line, "-A FORWARD ") &&
	       memmem(line, len, " -j DROP", strlen(" -j DROP"));
}

/* The table `filter` of what iptables-save printed, and whether others of it matter. */
static int read_rules(const char *saved, struct eg_doctor_rules *rules)
{
	bool filter = false, nat = false;
	int result = 0;

	while (*saved && result == 0) {
		size_t len = strcspn(saved, "\n");

		if (*saved == '*') {
			filter = len == strlen("*filter") && memcmp(saved, "*filter", len) == 0;
			nat = len == strlen("*nat") && memcmp(saved, "*nat", len) == 0;
		} else if (filter && *saved == ':') {
			result = add_chain(rules, saved + 1, len - 1);
		} else if (filter && len > 3 && memcmp(saved, "-A ", 3) == 0) {
			result = add_rule(rules, saved + 3, len - 3);
		} else if (!filter && !nat) {
			rules->elsewhere |= drops_elsewhere(saved, len);
		}
		saved += len + (saved[len] == '\n');
	}
	return result;
}

int eg_doctor_tables_read(const char *text4, const char *text6, struct eg_doctor_tables *ret_tables)
{
	struct eg_doctor_tables tables = {.known = true};
	int result = read_rules(text4, &tables.four);

	if (result == 0)
		result = read_rules(text6, &tables.six);
	if (result < 0) {
		eg_doctor_tables_free(&tables);
		return result;
	}
	*ret_tables = tables;
	return 0;
}

void eg_doctor_tables_free(struct eg_doctor_tables *tables)
{
	free_rules(&tables->four);
	free_rules(&tables->six);
	*tables = (struct eg_doctor_tables){};
}

size_t eg_doctor_rules_count(const struct eg_doctor_rules *rules)
{
	size_t n = 0;

	for (size_t i = 0; i < rules->n; i++)
		n += same(rules->rules[i].words[0], "OUTPUT");
	return n;
}

bool eg_doctor_rule_has(const struct eg_doctor_rule *rule, const char *option, const char *value)
{
	for (size_t i = 1; i + 1 < rule->n_words; i++) {
		if (same(rule->words[i], option) && same(rule->words[i + 1], value) &&
		    !same(rule->words[i - 1], "!"))
			return true;
	}
	return false;
}

/* --- what a rule says of a packet ------------------------------------------------------------- */

enum match {
	NO,
	YES,
	PERHAPS,
};

static enum match answer(bool is)
{
	return is ? YES : NO;
}

static enum match not_so(enum match match)
{
	return match == PERHAPS ? PERHAPS : answer(match == NO);
}

/* `eth0`, `wg+` */
static enum match match_device(const char *pattern, const char *device)
{
	size_t len = strlen(pattern);

	if (!device)
		return PERHAPS;
	if (len && pattern[len - 1] == '+')
		return answer(strncmp(pattern, device, len - 1) == 0);
	return answer(same(pattern, device));
}

static enum match match_address(const char *text, const struct eg_prefix *address)
{
	struct eg_prefix prefix;
	union eg_addr host;

	if (eg_prefix_parse_host(text, &prefix, &host, NULL) < 0)
		return PERHAPS;
	return answer(eg_prefix_covers(&prefix, address));
}

static enum match match_protocol(const char *text, __u8 proto)
{
	static const struct {
		const char *name;
		__u8 number;
	} names[] = {{"tcp", IPPROTO_TCP},
		     {"udp", IPPROTO_UDP},
		     {"icmp", IPPROTO_ICMP},
		     {"ipv6-icmp", IPPROTO_ICMPV6},
		     {"icmpv6", IPPROTO_ICMPV6}};
	char *end = NULL;
	unsigned long number = strtoul(text, &end, 10);

	if (same(text, "all") || (!*end && *text && number == 0))
		return YES;
	if (!proto)
		return PERHAPS;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (same(text, names[i].name))
			return answer(names[i].number == proto);
	}
	return !*end && *text ? answer(number == proto) : PERHAPS;
}

/* "53", "1000:2000", "53,853,1000:2000" */
static enum match match_ports(const char *text, __u16 port)
{
	if (!port)
		return PERHAPS;
	while (*text) {
		char *end = NULL;
		unsigned long low = strtoul(text, &end, 10), high = low;

		if (end == text)
			return PERHAPS; /* a service's name */
		if (*end == ':') {
			text = end + 1;
			high = strtoul(text, &end, 10);
			high = end == text ? 65535 : high;
		}
		if (*end && *end != ',')
			return PERHAPS;
		if (port >= low && port <= high)
			return YES;
		text = end + (*end == ',');
	}
	return NO;
}

/* "0xca6c", "51820", "0xca6c/0xffff" */
static enum match match_mark(const char *text, __u32 mark)
{
	char *end = NULL;
	__u32 value = (__u32)strtoul(text, &end, 0);
	__u32 mask = *end == '/' ? (__u32)strtoul(end + 1, NULL, 0) : (__u32)-1;

	return answer((mark & mask) == value);
}

/* Whether a list with commas has a word. */
static bool lists(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len) {
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	}
	return false;
}

/* Of the end that is this namespace's, or of the far one, which is somebody else's. */
static enum match match_type(const char *list, bool own)
{
	if (own)
		return answer(lists(list, "LOCAL"));
	return answer(lists(list, "UNICAST"));
}

struct option {
	const char *name, *value;
	const char *module; /* the last `-m` */
};

/* One option with its value. */
static enum match match_option(const struct option *option, const struct eg_doctor_packet *packet)
{
	const char *name = option->name, *value = option->value;
	bool in = packet->incoming;

	if (same(name, "-o"))
		return in ? NO : match_device(value, packet->device);
	if (same(name, "-i"))
		return in ? match_device(value, packet->device) : NO;
	if (same(name, in ? "-s" : "-d"))
		return match_address(value, &packet->far);
	if (same(name, "-p"))
		return match_protocol(value, packet->proto);
	if (same(name, "--dport") || same(name, "--dports"))
		return match_ports(value, in ? packet->own_port : packet->far_port);
	if (same(name, "--sport") || same(name, "--sports"))
		return match_ports(value, in ? packet->far_port : packet->own_port);
	if (same(name, "--mark") && same(option->module, "mark"))
		return match_mark(value, packet->mark);
	if (same(name, "--dst-type"))
		return match_type(value, in);
	if (same(name, "--src-type"))
		return match_type(value, !in);
	if (same(name, "--state") || same(name, "--ctstate"))
		return answer(lists(value, packet->reply ? "ESTABLISHED" : "NEW"));
	return PERHAPS;
}

/* What says how, not which. */
static bool says_nothing(const char *name)
{
	static const char *const names[] = {
		"-j", "-g", "--comment", "--reject-with", "--log-prefix", "--log-level"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (same(name, names[i]))
			return true;
	}
	return false;
}

static enum match match_rule(const struct eg_doctor_rule *rule,
			     const struct eg_doctor_packet *packet)
{
	struct option option = {.module = ""};
	enum match all = YES;

	for (size_t i = 1; i < rule->n_words; i++) {
		bool not = same(rule->words[i], "!");
		enum match one;

		i += not ;
		if (i >= rule->n_words || rule->words[i][0] != '-')
			continue; /* more values of what is not known here */
		option.name = rule->words[i];
		option.value = "";
		/* a value that begins with `-` is none of those that are looked at */
		if (i + 1 < rule->n_words && rule->words[i + 1][0] != '-' &&
		    !same(rule->words[i + 1], "!"))
			option.value = rule->words[++i];
		if (same(option.name, "-m")) {
			option.module = option.value;
			continue;
		}
		if (says_nothing(option.name))
			continue;
		one = match_option(&option, packet);
		one = not ? not_so(one) : one;
		if (one == NO)
			return NO;
		if (one == PERHAPS)
			all = PERHAPS;
	}
	return all;
}

/* --- what becomes of it ----------------------------------------------------------------------- */

/* What may: several where a rule is not followed. */
enum {
	ACCEPTED = 1,
	DROPPED = 2,
	GOES_ON = 4,  /* to the next rule */
	RETURNED = 8, /* from its chain */
	ANY = ACCEPTED | DROPPED | GOES_ON,
};

struct walk {
	const struct eg_doctor_rules *rules;
	const struct eg_doctor_packet *packet;
	const struct eg_doctor_rule *drop; /* the first that may */
	unsigned int steps;
};

static unsigned int walk_chain(struct walk *walk, const char *chain, unsigned int jumps);

static bool is_chain(const struct eg_doctor_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->n_chains; i++) {
		if (same(rules->chains[i], name))
			return true;
	}
	return false;
}

/* Where a rule that matches sends it. */
static unsigned int follow(struct walk *walk, const struct eg_doctor_rule *rule, unsigned int jumps)
{
	static const char *const go_on[] = {"LOG", "NFLOG", "ULOG", "TRACE", "AUDIT"};
	const char *target = NULL;
	unsigned int ends;
	bool go_to = false;

	for (size_t i = 1; i + 1 < rule->n_words && !target; i++) {
		go_to = same(rule->words[i], "-g");
		if (go_to || same(rule->words[i], "-j"))
			target = rule->words[i + 1];
	}
	if (!target)
		return GOES_ON;
	if (same(target, "ACCEPT"))
		return ACCEPTED;
	if (same(target, "RETURN"))
		return RETURNED;
	if (same(target, "DROP") || same(target, "REJECT")) {
		walk->drop = walk->drop ? walk->drop : rule;
		return DROPPED;
	}
	for (size_t i = 0; i < sizeof(go_on) / sizeof(go_on[0]); i++) {
		if (same(target, go_on[i]))
			return GOES_ON;
	}
	if (jumps >= JUMPS_MAX || walk->steps > STEPS_MAX || !is_chain(walk->rules, target))
		return ANY;
	ends = walk_chain(walk, target, jumps + 1);
	if (ends & RETURNED) /* from there it goes on here */
		ends = (ends & ~(unsigned int)RETURNED) | (go_to ? RETURNED : GOES_ON);
	return ends;
}

/* How it may end in a chain: RETURNED is its end as well. */
static unsigned int walk_chain(struct walk *walk, const char *chain, unsigned int jumps)
{
	unsigned int ends = 0;

	for (size_t i = 0; i < walk->rules->n; i++) {
		const struct eg_doctor_rule *rule = &walk->rules->rules[i];
		enum match match;
		unsigned int there;

		walk->steps++;
		if (!same(rule->words[0], chain))
			continue;
		match = match_rule(rule, walk->packet);
		if (match == NO)
			continue;
		there = follow(walk, rule, jumps);
		ends |= there & ~(unsigned int)GOES_ON;
		if (match == YES && !(there & GOES_ON))
			return ends;
	}
	return ends | RETURNED;
}

static enum eg_doctor_fate fate_in(const struct eg_doctor_tables *tables,
				   const struct eg_doctor_packet *packet,
				   const struct eg_doctor_rule **ret_rule)
{
	bool six = packet->far.family == EG_FAMILY_IPV6;
	struct walk walk = {.rules = six ? &tables->six : &tables->four, .packet = packet};
	bool policy = packet->incoming ? walk.rules->input_drops : walk.rules->output_drops;
	unsigned int ends;

	if (!tables->known)
		return EG_DOCTOR_MAYBE;
	ends = walk_chain(&walk, packet->incoming ? "INPUT" : "OUTPUT", 0);
	if (ends & RETURNED)
		ends = (ends & ~(unsigned int)RETURNED) | (policy ? DROPPED : ACCEPTED);
	if (ends == DROPPED) {
		*ret_rule = walk.drop;
		return EG_DOCTOR_DROPPED;
	}
	return ends == ACCEPTED && !tables->others && (packet->incoming || !walk.rules->elsewhere)
		       ? EG_DOCTOR_PASSES
		       : EG_DOCTOR_MAYBE;
}

bool eg_doctor_drops(const struct eg_doctor_tables *tables, const struct eg_doctor_packet *packet,
		     const struct eg_doctor_rule **ret_rule)
{
	return fate_in(tables, packet, ret_rule) == EG_DOCTOR_DROPPED;
}

enum eg_doctor_fate eg_doctor_fate(const struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS],
				   const struct eg_doctor_packet *packet,
				   struct eg_doctor_drop *ret_drop)
{
	struct eg_doctor_drop drop = {};
	bool maybe = false;

	for (enum eg_doctor_backend i = 0; i < EG_DOCTOR_BACKENDS; i++) {
		const struct eg_doctor_rule *rule = NULL;
		enum eg_doctor_fate fate = fate_in(&tables[i], packet, &rule);

		maybe |= fate == EG_DOCTOR_MAYBE;
		if (fate != EG_DOCTOR_DROPPED)
			continue;
		if (!drop.n_backends++) {
			drop.backend = i;
			drop.rule = rule;
		}
	}
	if (drop.n_backends) {
		if (ret_drop)
			*ret_drop = drop;
		return EG_DOCTOR_DROPPED;
	}
	return maybe ? EG_DOCTOR_MAYBE : EG_DOCTOR_PASSES;
}
