// SPDX-License-Identifier: GPL-2.0
#include "policy/wghooks_internal.h"

#include <ctype.h>
#include <string.h>

bool eg_wgword_is_fwmark(const char *text)
{
	const char *show = strstr(text, "wg show");

	return show && strstr(show, "fwmark");
}

bool eg_wgword_is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool eg_wgword_is_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (eg_wgword_is(word, *words))
			return true;
	}
	return false;
}

/* `ip` takes any beginning of its words. */
bool eg_wgword_begins(const char *word, const char *whole)
{
	return *word && strncmp(word, whole, strlen(word)) == 0;
}

bool eg_wgword_is_tunnel(const struct eg_wgreader *reader, const char *word)
{
	return eg_wgword_is(word, "%i") || eg_wgword_is(word, "${INTERFACE}") ||
	       (reader->ifname && eg_wgword_is(word, reader->ifname));
}

/* The same thing said in another way is the same. */
const char *eg_wgword_normal(const struct eg_wgreader *reader, const char *word)
{
	static const char *const pairs[][2] = {
		{"--append", "-A"},
		{"--insert", "-I"},
		{"--delete", "-D"},
		{"--jump", "-j"},
		{"--out-interface", "-o"},
		{"--in-interface", "-i"},
		{"--destination", "-d"},
		{"--dst", "-d"},
		{"--source", "-s"},
		{"--src", "-s"},
		{"--protocol", "-p"},
		{"--proto", "-p"},
		{"--match", "-m"},
		{"--table", "-t"},
		{"--goto", "-g"},
		{"--flush", "-F"},
		{"--policy", "-P"},
		{"--new-chain", "-N"},
		{"--new", "-N"},
		{"--delete-chain", "-X"},
		{"--check", "-C"},
		{"--destination-port", "--dport"},
		{"lookup", "table"},
		{"pref", "priority"},
		{"preference", "priority"},
		{"order", "priority"},
	};

	if (eg_wgword_is_tunnel(reader, word))
		return "%i";
	if (eg_wgword_is_fwmark(word))
		return "$(wg show %i fwmark)";
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (eg_wgword_is(word, pairs[i][0]))
			return pairs[i][1];
	}
	return word;
}

const char *eg_wgword_at(const struct eg_shell_command *command, size_t i)
{
	return i < command->n_words ? command->words[i].text : "";
}

void eg_wgword_add_all(const struct eg_wgreader *reader, struct eg_text *text,
		       const struct eg_shell_command *command, size_t from)
{
	for (size_t i = from; i < command->n_words; i++) {
		const char *word = eg_wgword_normal(reader, command->words[i].text);

		/* waiting for a lock, or telling a step, changes nothing of what is meant */
		if (eg_wgword_is(word, "-w") || eg_wgword_is(word, "--wait")) {
			i += isdigit((unsigned char)*eg_wgword_at(command, i + 1)) != 0;
			continue;
		}
		eg_text_printf(text, " %s", word);
	}
}
