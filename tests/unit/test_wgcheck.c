// SPDX-License-Identifier: GPL-2.0
/*
 * The check of wg0.conf. golden/wgconf/check has a pair for each finding: ID.conf has it,
 * ID-ok.conf is the same put right and has it not. golden/wgconf/shape has whole files in the
 * shapes that people publish. What the check says of each is in the .out beside it. A first line `#
 * test: WORDS` tells what is known besides: mode=0644, programs=nft, name=wg0.conf, ipv6=off.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>

#include "golden.h"
#include "policy/wgrender.h"
#include "util/cleanup.h"
#include "util/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "WAmgVYXkbT2bCtdcDwolI88/iVi/aV3/PHcUBTQSYmo="

static void read_facts(const char *text, struct eg_wgfacts *facts)
{
	const char *mode = strstr(text, "mode=");
	const char *programs = strstr(text, "programs=");
	const char *end = strchr(text, '\n');

	static char file_name[64];
	const char *name = strstr(text, "name=");

	facts->ifname = "wg0";
	if (strncmp(text, "# test:", 7) != 0)
		return;
	if (name && name < end) {
		snprintf(file_name, sizeof(file_name), "%.*s", (int)strcspn(name + 5, " \n"),
			 name + 5);
		facts->name = file_name;
	}
	facts->ipv6_off = strncmp(text, "# test: ipv6=off", 16) == 0;
	if (mode && mode < end) {
		facts->have_mode = true;
		facts->mode = (unsigned int)strtoul(mode + 5, NULL, 8);
		facts->dir_mode = 0755;
	}
	if (programs && programs < end) {
		facts->have_programs = true;
		facts->nft = strncmp(programs + 9, "nft", 3) == 0;
		facts->iptables = facts->ip6tables = !facts->nft;
	}
}

static int check_text(const char *text, size_t len, const struct eg_wgfacts *facts,
		      struct eg_wgreport **ret_report)
{
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	/* just as long as it is, so that ASan sees a byte read too much */
	EG_AUTO_FREE char *exact = malloc(len ? len : 1);
	int result;

	assert_non_null(exact);
	memcpy(exact, text, len);
	result = eg_wgfile_parse(exact, len, &file, NULL);
	return result < 0 ? result : eg_wgcheck(file, facts, ret_report);
}

static char *summary(const struct eg_wgreport *report)
{
	struct eg_text text = {};

	eg_text_add(&text, "", 0);
	for (size_t i = 0; i < report->n_findings; i++) {
		const struct eg_wgfinding *finding = &report->findings[i];
		const struct eg_wgfinding_info *info = &eg_wgfinding_infos[finding->id];

		assert_non_null(finding->fix);
		eg_text_printf(&text, "%u:%u %s %s\n\t%s\n\t%s\n", finding->line, finding->column,
			       eg_wgseverity_names[info->severity], info->id, finding->what,
			       finding->fix);
	}
	return eg_text_take(&text);
}

static bool has(const struct eg_wgreport *report, const char *id)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		if (strcmp(eg_wgfinding_infos[report->findings[i].id].id, id) == 0)
			return true;
	}
	return false;
}

/* NULL: there is no such file. With EG_GOLDEN_WRITE set the .out is written instead. */
static struct eg_wgreport *check_golden(const char *kind, const char *name)
{
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_FREE char *wanted = NULL;
	EG_AUTO_FREE char *found = NULL;
	struct eg_wgreport *report = NULL;
	struct eg_wgfacts facts = {};
	char path[512], out[520];
	size_t len = 0, out_len;

	snprintf(path, sizeof(path), "%s/wgconf/%s/%s.conf", golden_dir(), kind, name);
	snprintf(out, sizeof(out), "%s/wgconf/%s/%s.out", golden_dir(), kind, name);
	text = golden_read(path, &len);
	if (!text)
		return NULL;
	read_facts(text, &facts);
	assert_int_equal(check_text(text, len, &facts, &report), 0);
	found = summary(report);
	if (getenv("EG_GOLDEN_WRITE")) {
		EG_AUTO_FCLOSE FILE *file = fopen(out, "w");

		assert_non_null(file);
		fputs(found, file);
		return report;
	}
	wanted = golden_read(out, &out_len);
	if (!wanted || strcmp(found, wanted) != 0)
		fail_msg("%s: found\n%sand not\n%s", path, found, wanted ? wanted : "(no .out)\n");
	return report;
}

static void each_finding_right_and_wrong(void **state)
{
	(void)state;
	for (int id = 0; id < EG_WGFINDING_COUNT; id++) {
		const char *name = eg_wgfinding_infos[id].id;
		EG_AUTO_WGREPORT struct eg_wgreport *wrong = check_golden("check", name);
		EG_AUTO_WGREPORT struct eg_wgreport *right = NULL;
		char right_name[64];

		snprintf(right_name, sizeof(right_name), "%s-ok", name);
		right = check_golden("check", right_name);
		if (!wrong || !right)
			fail_msg("%s.conf or %s.conf is not there", name, right_name);
		if (!has(wrong, name))
			fail_msg("%s.conf has no finding %s", name, name);
		if (has(right, name))
			fail_msg("%s.conf has a finding %s", right_name, name);
	}
}

static unsigned int check_dir(const char *kind)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;
	unsigned int n = 0;
	char path[512];

	snprintf(path, sizeof(path), "%s/wgconf/%s", golden_dir(), kind);
	dir = opendir(path);
	if (!dir)
		fail_msg("cannot open %s (EG_GOLDEN says where the golden files are)", path);
	while ((entry = readdir(dir))) {
		char *dot = strrchr(entry->d_name, '.');
		struct eg_wgreport *report;

		if (!dot || strcmp(dot, ".conf") != 0)
			continue;
		*dot = '\0';
		report = check_golden(kind, entry->d_name);
		assert_non_null(report);
		eg_wgreport_free(report);
		n++;
	}
	return n;
}

static void golden_files(void **state)
{
	(void)state;
	assert_true(check_dir("check") >= 2 * EG_WGFINDING_COUNT);
	assert_true(check_dir("shape") >= 12);
}

/* --- render ----------------------------------------------------------------------------------- */

static char *render(const char *text, size_t len, enum eg_wgkill kill,
		    struct eg_wgreport **ret_report, struct eg_error *error)
{
	int result;
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	struct eg_wgfacts facts = {.ifname = "wg0"};
	EG_AUTO_FREE char *exact = malloc(len ? len : 1);
	char *rendered = NULL;

	assert_non_null(exact);
	memcpy(exact, text, len);
	assert_int_equal(eg_wgfile_parse(exact, len, &file, NULL), 0);
	result = eg_wgrender(file, &facts, kill, &rendered, ret_report, error);
	assert_int_equal(result, result == -EINVAL ? -EINVAL : 0);
	return rendered;
}

static void compare_golden(const char *path, const char *found)
{
	EG_AUTO_FREE char *wanted = NULL;
	size_t len;

	if (getenv("EG_GOLDEN_WRITE")) {
		EG_AUTO_FCLOSE FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(found, file);
		return;
	}
	wanted = golden_read(path, &len);
	if (!wanted || strcmp(found, wanted) != 0)
		fail_msg("%s: found\n%sand not\n%s", path, found, wanted ? wanted : "(nothing)\n");
}

/* Whatever it was rendered for before: the same as if at once. */
static void renders_again(const char *rendered)
{
	for (int kill = EG_WGKILL_BOTH; kill <= EG_WGKILL_EGRESSGUARD; kill++) {
		EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
		EG_AUTO_WGREPORT struct eg_wgreport *back_report = NULL;
		struct eg_error error = {};
		EG_AUTO_FREE char *other =
			render(rendered, strlen(rendered), (enum eg_wgkill)kill, &report, &error);

		EG_AUTO_FREE char *back =
			render(other, strlen(other), EG_WGKILL_BOTH, &back_report, &error);

		assert_int_equal(report->counts[EG_WGSEVERITY_ERROR], 0);
		assert_string_equal(back, rendered);
	}
}

static void renders_shape(const char *dir, const char *name)
{
	EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_FREE char *rendered = NULL;
	EG_AUTO_FREE char *left = NULL;
	struct eg_error error = {};
	char path[1024];
	size_t len;

	snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	text = golden_read(path, &len);
	assert_non_null(text);
	rendered = render(text, len, EG_WGKILL_BOTH, &report, &error);
	snprintf(path, sizeof(path), "%s/%s.refused", dir, name);
	if (!rendered) {
		EG_AUTO_TEXT struct eg_text why = {};

		eg_text_printf(&why, "%u:%u: %s\n", error.line, error.column, error.message);
		compare_golden(path, why.data);
		return;
	}
	if (report->counts[EG_WGSEVERITY_ERROR]) {
		left = summary(report);
		compare_golden(path, left);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s.rendered", dir, name);
	compare_golden(path, rendered);
	renders_again(rendered);
}

static void renders_shapes(void **state)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	struct dirent *entry;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/wgconf/shape", golden_dir());
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, ".conf") != 0)
			continue;
		*dot = '\0';
		renders_shape(path, entry->d_name);
	}
}

/* Where a key stands in the wrong place, nothing tells it. */
static const char *const misplaced[] = {
	"[Interface]\nPrivateKey = " KEY " x\n",
	"[Interface]\nPrivateKey " KEY "\n",
	"[Interface]\n" KEY "\n",
	"[Interface]\nAddress = " KEY "\n",
	"[Interface]\nPrivatKey = " KEY "\n",
	"[Interface]\nDNS = " KEY ":x\n",
	"[Interface]\nTable = " KEY "\n",
	"[Interface]\nPrivateKey = " KEY "\nPostUp = wg set %i private-key " KEY "\n",
	"[Interface]\nPostUp = echo " KEY " | foo --mark " KEY "\n",
	"[Interface]\nPostUp = iptables -A OUTPUT -m mark ! --mark " KEY " -j DROP\n",
	"[Interface]\nPostUp = " KEY "=x; ip route add 10.0.0.0/8 via $" KEY "\n",
	"[Interface]\nPrivateKey = " KEY "\nPostUp = x WAmgVYXkbT2bCtdcDwol\n", /* a part */
	"[Peer]\nPresharedKey = " KEY "\nEndpoint = WAmgVYXkbT2bCtdc:1\n",
	"[Peer]\nPresharedKey = " KEY "\nAllowedIPs = I88/iVi/aV3/PHcUBTQSYmo=\n",
	"[" KEY "]\n",
	"[Peer]\nEndpoint = " KEY ":51820\n",
};

static void never_tells_a_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(misplaced); i++) {
		EG_AUTO_WGREPORT struct eg_wgreport *report = NULL;
		EG_AUTO_FREE char *text = NULL;
		struct eg_wgfacts facts = {};

		assert_int_equal(check_text(misplaced[i], strlen(misplaced[i]), &facts, &report),
				 0);
		text = summary(report);
		for (size_t at = 0; at + 8 <= strlen(KEY); at++) {
			char piece[9] = "";

			memcpy(piece, &KEY[at], 8);
			if (strstr(text, piece))
				fail_msg("a key is told of\n%sin\n%s", misplaced[i], text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_finding_right_and_wrong),
		cmocka_unit_test(golden_files),
		cmocka_unit_test(renders_shapes),
		cmocka_unit_test(never_tells_a_key),
	};

	return cmocka_run_group_tests_name("wgcheck", tests, NULL, NULL);
}
