// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/wghooks_internal.h"
#include "util/text.h"

/* --- iptables --------------------------------------------------------------------------------- */

/* The words before the rule itself; what is left is the rule. */
void eg_wgread_tables(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		      struct eg_wgop *op)
{
	static const char *const plain[] = {"-v", "--verbose", "-n", "--numeric", "-4", "-6", NULL};
	EG_AUTO_TEXT struct eg_text spec = {};

	op->kind = EG_WGOP_TABLES;
	op->family = strncmp(op->tool, "ip6", 3) == 0 ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4;
	op->table_name = "filter";
	op->verb = '?';
	for (; at < command->n_words; at++) {
		const char *word = eg_wgword_normal(reader, eg_wgword_at(command, at));

		if (eg_wgword_is(word, "-t")) {
			op->table_name = eg_wgword_at(command, ++at);
		} else if (strncmp(word, "--table=", strlen("--table=")) == 0) {
			op->table_name = word + strlen("--table=");
		} else if (eg_wgword_is_of(word, plain)) {
			continue;
		} else if (eg_wgword_is(word, "-w") || eg_wgword_is(word, "--wait")) {
			at += isdigit((unsigned char)*eg_wgword_at(command, at + 1)) != 0;
		} else if (word[0] == '-' && word[1] && strchr("AIDNXFPCRLSZ", word[1]) &&
			   !word[2]) {
			op->verb = word[1];
			op->chain = at + 1 < command->n_words ? eg_wgword_at(command, ++at) : "";
			at++;
			break;
		} else {
			break;
		}
	}
	if (op->verb == 'I' && isdigit((unsigned char)*eg_wgword_at(command, at)))
		op->position = atoi(eg_wgword_at(command, at++));
	op->first_word = at;
	op->act = op->verb == 'D' || op->verb == 'X' || op->verb == 'F' ? EG_WGACT_DELETE
									: EG_WGACT_ADD;
	eg_text_printf(&spec, "%s %s %s%s", op->family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
		       op->table_name, op->verb == 'N' || op->verb == 'X' ? "chain " : "",
		       op->chain ? op->chain : "");
	/* `-t` may also stand behind the chain */
	for (size_t i = at; i + 1 < command->n_words; i++) {
		if (eg_wgword_is(eg_wgword_normal(reader, eg_wgword_at(command, i)), "-t"))
			op->table_name = eg_wgword_at(command, i + 1);
	}
	eg_wgword_add_all(reader, &spec, command, at);
	op->spec = eg_text_take(&spec);
	reader->failed |= !op->spec;
}

/* --- others ----------------------------------------------------------------------------------- */

void eg_wgread_wg(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		  struct eg_wgop *op)
{
	op->kind = EG_WGOP_HARMLESS;
	if (!eg_wgword_is(eg_wgword_at(command, at), "set") ||
	    !eg_wgword_is_tunnel(reader, eg_wgword_at(command, at + 1)))
		return;
	for (size_t i = at + 2; i + 1 < command->n_words; i++) {
		if (!eg_wgword_is(eg_wgword_at(command, i), "fwmark") ||
		    eg_wgword_is(eg_wgword_at(command, i + 1), "off") ||
		    eg_wgword_is(eg_wgword_at(command, i + 1), "0"))
			continue;
		op->kind = EG_WGOP_FWMARK;
		op->fwmark = strtoul(eg_wgword_at(command, i + 1), NULL, 0);
	}
}

/* `net.ipv6.conf.all.disable_ipv6`, with dots or slashes: the interface in it, or NULL. */
static char *find_ipv6_switch(struct eg_wgreader *reader, const char *name)
{
	static const char begin[] = "net/ipv6/conf/", end[] = "/disable_ipv6";
	char text[128];
	char *stop;

	snprintf(text, sizeof(text), "%s", name);
	for (char *c = text; *c; c++)
		*c = *c == '.' ? '/' : *c;
	stop = strstr(text, end);
	if (strncmp(text, begin, strlen(begin)) != 0 || !stop || stop[strlen(end)] ||
	    stop < text + strlen(begin))
		return NULL;
	*stop = '\0';
	stop = strdup(eg_wgword_is_tunnel(reader, text + strlen(begin)) ? "%i"
									: text + strlen(begin));
	reader->failed |= !stop;
	return stop;
}

static void take_no_ipv6(struct eg_wgop *op, char *interface)
{
	if (!interface)
		return;
	op->kind = EG_WGOP_NO_IPV6;
	op->spec = interface;
	op->dev = interface;
}

/* `sysctl -w NAME=1`, `sysctl -w 'NAME = 1'` */
void eg_wgread_sysctl(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		      struct eg_wgop *op)
{
	op->kind = EG_WGOP_HARMLESS;
	for (size_t i = at; i < command->n_words && op->kind == EG_WGOP_HARMLESS; i++) {
		char name[128];
		const char *word = eg_wgword_at(command, i);
		const char *value = word + strcspn(word, "=");

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, " ="), word);
		value += strspn(value, "= \t");
		if (*value == '1')
			take_no_ipv6(op, find_ipv6_switch(reader, name));
	}
}

/* `echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6`, and by way of `tee`. */
void eg_wgread_writes(struct eg_wgreader *reader, const struct eg_shell_command *command,
		      struct eg_wgop *op)
{
	static const char sys[] = "/proc/sys/";
	const char *to = command->writes ? command->writes : eg_wgword_at(command, 1);
	bool zero = false;

	for (size_t i = 1; i < command->n_words && command->writes; i++)
		zero |= eg_wgword_is(eg_wgword_at(command, i), "0");
	if (!zero && strncmp(to, sys, strlen(sys)) == 0)
		take_no_ipv6(op, find_ipv6_switch(reader, to + strlen(sys)));
}

/* --- nft -------------------------------------------------------------------------------------- */

#define NFT_TOKENS_MAX 64

/* What a shell and then nft itself take for words. Returns how many, 0: too much, or only known to
 * the shell. */
static size_t split_nft(const struct eg_shell_command *command, size_t at, char *text, size_t size,
			char *tokens[NFT_TOKENS_MAX])
{
	size_t len = 0, n = 0;
	char *rest = NULL;

	for (; at < command->n_words; at++) {
		int more = snprintf(text + len, size - len, "%s ", eg_wgword_at(command, at));

		if (more < 0 || (size_t)more >= size - len)
			return 0;
		len += (size_t)more;
	}
	for (char *token = strtok_r(text, " \t{}", &rest); token;
	     token = strtok_r(NULL, " \t{}", &rest)) {
		if (n == NFT_TOKENS_MAX)
			return 0;
		tokens[n++] = token;
	}
	return n;
}

/* The table that `add|delete|… table|chain|rule [FAMILY] NAME …` is about. */
static void take_nft_table(struct eg_wgop *op, char *tokens[], size_t n)
{
	static const char *const verbs[] = {"add",    "create",  "insert", "replace",
					    "delete", "destroy", "flush",  NULL};
	static const char *const objects[] = {"table", "chain", "rule", "set", "element", NULL};
	static const char *const families[] = {"ip",     "ip6",    "inet", "arp",
					       "bridge", "netdev", NULL};
	const char *family = "ip";
	size_t at = 2;

	if (n < 3 || !eg_wgword_is_of(tokens[0], verbs) || !eg_wgword_is_of(tokens[1], objects))
		return;
	if (eg_wgword_is_of(tokens[at], families))
		family = tokens[at++];
	/* a second command in the same words may be about another one */
	for (size_t i = at; i + 1 < n; i++) {
		if (eg_wgword_is_of(tokens[i], verbs) && eg_wgword_is_of(tokens[i + 1], objects))
			return;
	}
	if (at < n && (size_t)snprintf(op->nft_table, sizeof(op->nft_table), "%s %s", family,
				       tokens[at]) >= sizeof(op->nft_table))
		op->nft_table[0] = '\0';
}

void eg_wgread_nft(const struct eg_shell_command *command, size_t at, struct eg_wgop *op)
{
	char text[1024], *tokens[NFT_TOKENS_MAX];
	size_t n;

	op->kind = EG_WGOP_NFT;
	for (size_t i = at; i < command->n_words; i++) {
		op->drops |= strstr(eg_wgword_at(command, i), "drop") ||
			     strstr(eg_wgword_at(command, i), "reject");
		op->act = eg_wgword_is(eg_wgword_at(command, i), "delete") ||
					  eg_wgword_is(eg_wgword_at(command, i), "flush")
				  ? EG_WGACT_DELETE
				  : op->act;
	}
	n = split_nft(command, at, text, sizeof(text), tokens);
	take_nft_table(op, tokens, n);
	for (size_t i = 0; i + 1 < n; i++) {
		if (eg_wgword_is(tokens[i], "hook")) {
			bool output = eg_wgword_is(tokens[i + 1], "output");

			op->base_output |= output;
			op->base_other |= !output;
		}
		/* addresses are translated there, and nothing is held back */
		op->base_other |=
			eg_wgword_is(tokens[i], "type") && eg_wgword_is(tokens[i + 1], "nat");
	}
}
