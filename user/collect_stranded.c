// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "policy/array.h"
#include "stranded.h"
#include "util/cleanup.h"

static int add(const struct eg_stranded *stranded, struct eg_status_view *status)
{
	struct eg_stranded_view view = {
		.engine = eg_runtime_names[stranded->runtime],
		.cause = eg_stranded_cause_names[stranded->cause],
		.container = strdup(stranded->name),
		.owner = stranded->owner ? strdup(stranded->owner) : NULL,
		.fix = stranded->fix ? strdup(stranded->fix) : NULL,
	};

	if (view.container && (view.owner || !stranded->owner) && (view.fix || !stranded->fix) &&
	    EG_ARRAY_ADD(status->stranded, status->n_stranded, view) == 0)
		return 0;
	free(view.container);
	free(view.owner);
	free(view.fix);
	return -ENOMEM;
}

static int add_of(enum eg_runtime runtime, struct eg_status_view *status, struct eg_text *unknown)
{
	struct eg_stranded *list = NULL;
	struct eg_error why = {};
	size_t n = 0, n_unknown = 0;
	int failed = 0;
	int result = eg_stranded_find(runtime, &list, &n, &n_unknown, &why);

	if (result == -ECONNREFUSED || result == -EOPNOTSUPP)
		return 0;
	if (result < 0)
		eg_text_printf(unknown, "%s%s", unknown->len ? "; " : "", why.message);
	if (n_unknown)
		eg_text_printf(unknown, "%s%s could not be asked about %zu containers",
			       unknown->len ? "; " : "", eg_runtime_names[runtime], n_unknown);
	status->looked_for_stranded = status->looked_for_stranded || result == 0;
	for (size_t i = 0; i < n && !failed; i++)
		failed = add(&list[i], status);
	eg_strandeds_free(list, n);
	return failed;
}

int eg_collect_stranded(struct eg_status_view *status, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text unknown = {};
	int result = 0;

	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT && result == 0; runtime++)
		result = add_of(runtime, status, &unknown);
	if (result == 0 && (unknown.len || unknown.failed)) {
		status->stranded_why = eg_text_take(&unknown);
		result = status->stranded_why ? 0 : -ENOMEM;
	}
	return result < 0 ? eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result))
			  : 0;
}
