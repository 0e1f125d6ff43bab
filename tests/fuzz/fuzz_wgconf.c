// SPDX-License-Identifier: GPL-2.0
/*
 * The wg0.conf reader, and the check of such a file: it finishes, tells no key, and says of each
 * finding what to do. Whatever it takes from a text, written as a plain wg0.conf, reads back as
 * the same; whatever it refuses has a message that is safe to print and holds no private key.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/wgconf.h"
#include "policy/wgrender.h"
#include "util/cleanup.h"
#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The corpus has this for a key: no message may have the half of it. */
#define KEY "WAmgVYXkbT2bCtdcDwolI88/iVi/aV3/PHcUBTQSYmo="

static void require(int condition)
{
	if (!condition)
		abort();
}

static void check_error(const struct eg_error *error)
{
	require(error->exit == EG_EXIT_USAGE);
	require(error->line >= 1 && error->column >= 1);
	require(error->message[0] != '\0');
	for (const char *c = error->message; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* A text with the key in it, whole, never comes back in a message. */
static void check_secret(const char *text, size_t len, const struct eg_error *error)
{
	if (memmem(text, len, KEY, strlen(KEY)))
		require(!strstr(error->message, KEY));
}

static void write_addresses(struct eg_text *text, const struct eg_wgconf *conf)
{
	char one[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < conf->n_addresses; i++) {
		const struct eg_prefix *prefix = &conf->addresses[i];

		require(eg_prefix_contains(prefix, prefix->family, &conf->address_hosts[i]));
		eg_addr_format(one, prefix->family, &conf->address_hosts[i]);
		eg_text_printf(text, "Address = %s/%u\n", one, prefix->len);
	}
	for (size_t i = 0; i < conf->n_dns; i++)
		eg_text_printf(text, "DNS = %s\n", eg_prefix_format(one, &conf->dns[i]));
	eg_text_printf(text, "ListenPort = %u\n", conf->listen_port);
}

static char *write_conf(const struct eg_wgconf *conf)
{
	struct eg_text text = {};
	char one[EG_ADDRESS_TEXT_LEN];

	eg_text_printf(&text, "[Interface]\n");
	write_addresses(&text, conf);
	for (size_t i = 0; i < conf->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &conf->endpoints[i];

		require(!endpoint->host == (endpoint->family != EG_FAMILY_NONE));
		if (endpoint->host)
			eg_text_printf(&text, "[Peer]\nEndpoint = %s:%u\n", endpoint->host,
				       endpoint->port);
		else
			eg_text_printf(&text, "[Peer]\nEndpoint = %s\n",
				       eg_endpoint_format(one, endpoint));
	}
	return eg_text_take(&text);
}

static void check_conf(const struct eg_wgconf *conf)
{
	EG_AUTO_FREE char *text = write_conf(conf);
	EG_AUTO_FREE char *text_again = NULL;
	EG_AUTO_WGCONF struct eg_wgconf *again = NULL;

	require(text && eg_wgconf_parse(text, strlen(text), &again, NULL) == 0);
	text_again = write_conf(again);
	require(text_again && strcmp(text, text_again) == 0);
}

static void check_finding(const struct eg_wgfile *file, const struct eg_wgfinding *finding,
			  bool has_key)
{
	require(finding->what && finding->fix && *finding->what && *finding->fix);
	require(finding->line <= file->n_lines);
	for (const char *c = finding->what; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
	if (!has_key)
		return;
	for (size_t at = 0; at + 12 <= strlen(KEY); at++) {
		require(!memmem(finding->what, strlen(finding->what), &KEY[at], 12));
		require(!memmem(finding->fix, strlen(finding->fix), &KEY[at], 12));
	}
}

/* What is rendered, and not refused, is rendered to the same again. */
static void check_render(const struct eg_wgfile *file, const struct eg_wgfacts *facts)
{
	EG_AUTO_WGFILE struct eg_wgfile *once = NULL;
	EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
	EG_AUTO_WGREPORT struct eg_wgreport *report_again = NULL;
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_FREE char *again = NULL;

	struct eg_error error = {};
	int result = eg_wgrender(file, facts, EG_WGKILL_BOTH, &text, &report, &error);

	require(result == 0 || (result == -EINVAL && error.line));
	if (result < 0)
		return;
	if (report->counts[EG_WGSEVERITY_ERROR])
		return;
	require(eg_wgfile_parse(text, strlen(text), &once, NULL) == 0);
	require(eg_wgrender(once, facts, EG_WGKILL_BOTH, &again, &report_again, &error) == 0);
	require(strcmp(text, again) == 0);
}

static void check_lint(const char *text, size_t len)
{
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
	struct eg_wgfacts facts = {.ifname = "wg0"};
	bool has_key = memmem(text, len, KEY, strlen(KEY));

	if (eg_wgfile_parse(text, len, &file, NULL) < 0)
		return;
	require(eg_wgcheck(file, &facts, &report) == 0);
	for (size_t i = 0; i < report->n_findings; i++)
		check_finding(file, &report->findings[i], has_key);
	check_render(file, &facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	struct eg_error error = {};

	check_lint((const char *)data, size);
	if (eg_wgconf_parse((const char *)data, size, &conf, &error) == 0) {
		check_conf(conf);
	} else {
		check_error(&error);
		check_secret((const char *)data, size, &error);
	}
	return 0;
}
