// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "out/text_internal.h"

static const char *row_color(enum eg_row_result result)
{
	switch (result) {
	case EG_ROW_STOPPED:
		return GREEN;
	case EG_ROW_LEAKED:
		return RED;
	case EG_ROW_UNKNOWN:
		return YELLOW;
	case EG_ROW_NOT_HERE:
		break;
	}
	return "";
}

#define ROW_WIDTH    40
#define RESULT_WIDTH 13

static void put_verify_row(struct eg_text *text, const struct eg_verify_row_view *row, bool colored)
{
	const struct eg_row_verdict *verdict = &row->verdict;
	const char *word = eg_row_result_names[verdict->result];
	const char *before = "";

	eg_text_printf(text, "  %-*s", ROW_WIDTH, eg_probe_rows[row->row].what);
	eg_put_colored(text, colored, row_color(verdict->result), word);
	eg_text_printf(text, "%*s", RESULT_WIDTH - (int)strlen(word), "");
	if (verdict->layer >= 0) {
		eg_put(text, eg_layer_names[verdict->layer]);
		before = "; ";
		if (verdict->reason >= 0)
			eg_text_printf(text, ": %s", eg_reason_names[verdict->reason]);
	}
	if (row->seen && verdict->result == EG_ROW_STOPPED) {
		eg_text_printf(text, "%sseen at the far end, and dropped there", before);
		before = "; ";
	} else if (row->seen) {
		eg_put(text, before);
		eg_put_count(text, row->seen, "packet");
		eg_put(text, " seen at the far end");
		before = "; ";
	}
	if (verdict->detail[0]) {
		eg_put(text, before);
		eg_put_safe(text, verdict->detail);
	}
	eg_put(text, "\n");
}

static void put_verify_underlay(struct eg_text *text, const struct eg_verify_underlay_view *view,
				bool colored)
{
	if (colored)
		eg_put(text, BOLD);
	eg_put_safe(text, view->name);
	if (colored)
		eg_put(text, PLAIN);
	if (view->far_end) {
		eg_put(text, ", far end ");
		eg_put_safe(text, view->far_end);
	}
	if (view->detail)
		eg_text_printf(text, ": %s", view->detail);
	eg_put(text, "\n");
	for (size_t i = 0; i < view->n_rows; i++)
		put_verify_row(text, &view->rows[i], colored);
}

static void put_verify_check(struct eg_text *text, const struct eg_verify_check_view *check,
			     bool colored)
{
	bool works = strcmp(check->state, "works") == 0;

	eg_text_printf(text, "%-8s", check->what);
	eg_put_safe(text, check->name);
	eg_put(text, " ");
	eg_put_colored(text, colored, works ? GREEN : YELLOW, check->state);
	eg_put(text, ": ");
	eg_put_safe(text, check->detail);
	eg_put(text, "\n");
}

static void put_conclusion(struct eg_text *text, const struct eg_verify_view *verify, bool colored)
{
	const char *word = eg_verify_result_names[verify->result];
	size_t rows[4];
	size_t tried;

	eg_verify_count(verify, rows);
	tried = rows[EG_ROW_STOPPED] + rows[EG_ROW_LEAKED] + rows[EG_ROW_UNKNOWN];
	switch (verify->result) {
	case EG_VERIFY_SEALED:
		eg_put_colored(text, colored, GREEN, word);
		eg_text_printf(text, ": of %zu ways out that were tried, each was stopped", tried);
		break;
	case EG_VERIFY_LEAK:
		eg_put_colored(text, colored, RED, word);
		eg_text_printf(text, ": %zu of %zu ways out that were tried lead out",
			       rows[EG_ROW_LEAKED], tried);
		break;
	case EG_VERIFY_UNKNOWN:
		eg_put_colored(text, colored, YELLOW, word);
		eg_text_printf(text,
			       ": of %zu ways out that were tried, %zu are known to be closed",
			       tried, rows[EG_ROW_STOPPED]);
		break;
	}
	if (verify->result == EG_VERIFY_SEALED && verify->holds_against)
		eg_text_printf(text, " (holds against %s)", verify->holds_against);
	eg_put(text, "\n");
	for (char *const *doubt = verify->doubts; doubt && *doubt; doubt++) {
		eg_put(text, "  but ");
		eg_put_safe(text, *doubt);
		eg_put(text, "\n");
	}
}

int eg_text_verification(const struct eg_verify_view *verify, FILE *to)
{
	struct eg_text *text = eg_line_start();
	bool colored = eg_color(to);

	for (size_t i = 0; i < verify->n_underlays; i++)
		put_verify_underlay(text, &verify->underlays[i], colored);
	for (size_t i = 0; i < verify->n_checks; i++)
		put_verify_check(text, &verify->checks[i], colored);
	put_conclusion(text, verify, colored);
	return eg_line_end(text, to);
}
