// SPDX-License-Identifier: GPL-2.0
/* One of the daemon's guards is made, or becomes what its file says; and what is said of that. */
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"
#include "ward_parts.h"
#include "ward_target.h"

#define STRANDED_AFTER_NS EG_WARD_MS(5000) /* whoever starts them again has had the time */

static void say_lines(struct eg_ward *ward, enum eg_journal_level level, const char *prefix,
		      const char *lines)
{
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");

		EG_WARD_SAY(ward, level, "%s%.*s", prefix, (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

static void say_attached(struct eg_ward *ward, const struct eg_attach_result *result,
			 const struct eg_policy *policy)
{
	static const char *const outcomes[] = {
		[EG_ATTACH_CREATED] = "guarded",
		[EG_ATTACH_REPLACED] = "the policy was replaced",
		[EG_ATTACH_UNCHANGED] = "guarded already",
	};
	char target[EG_TARGET_MAX * 4];

	/* What was the same the last time is no news. */
	if (result->outcome != EG_ATTACH_UNCHANGED || result->mended || !ward->is_guarded)
		EG_WARD_SAY(
			ward, EG_JOURNAL_NOTICE, "%s: %s%s%s", outcomes[result->outcome],
			eg_escape(target, sizeof(target), policy->target, strlen(policy->target)),
			result->mended ? ", on new interfaces too" : "",
			policy->mode == EG_MODE_AUDIT ? " (audit: drops nothing)" : "");
	say_lines(ward, EG_JOURNAL_NOTICE, "+ ", result->diff.widened.data);
	say_lines(ward, EG_JOURNAL_NOTICE, "- ", result->diff.narrowed.data);
	if (result->outcome != EG_ATTACH_UNCHANGED && !policy->n_endpoints &&
	    !policy->derived.n_endpoints)
		EG_WARD_SAY(ward, EG_JOURNAL_INFO,
			    "no endpoint is known yet: nothing leaves to one until %s",
			    policy->derived.n_names ? "its name has an address"
						    : "the tunnel names it");
}

static void say_warnings(struct eg_ward *ward, struct eg_text *warnings)
{
	char *text = eg_text_take(warnings);

	if (!text)
		return;
	if (!ward->warnings || strcmp(text, ward->warnings) != 0)
		say_lines(ward, EG_JOURNAL_WARNING, "", text);
	free(ward->warnings);
	ward->warnings = text;
}

int eg_ward_attach(struct eg_ward *ward, struct eg_error *error)
{
	EG_AUTO(eg_attach_result_free) struct eg_attach_result result = {};
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	const struct eg_attach_request request = {
		.target = ward->target,
		.name = ward->name,
		.pin_dir = ward->pin_dir,
		.replace = true,
		.unattended = true,
		.file_is_spoilt = ward->file_is_spoilt,
	};
	__u64 began = eg_processor_ns();
	int status = eg_policy_new(&policy);

	if (status == 0)
		status = eg_policy_parse(policy, ward->text, strlen(ward->text), false, error);
	if (status == 0)
		status = eg_attach(&request, policy, &result, error);
	ward->attach_took_ns = eg_processor_ns() - began;
	say_warnings(ward, &result.warnings);
	if (status < 0)
		return status;
	say_attached(ward, &result, policy);
	ward->is_guarded = true;
	ward->policy_is_new = ward->is_damaged = ward->has_changed = false;
	ward->attached_ns = eg_monotonic_ns();
	ward->learn_ns = ~0ULL;
	/* What holds its layer `netns` came with its programs (kern/spare.h). */
	if (result.outcome == EG_ATTACH_CREATED)
		ward->follows_later = false;
	if (result.outcome == EG_ATTACH_CREATED && result.container)
		ward->stranded_ns = ward->attached_ns + STRANDED_AFTER_NS;
	/* What was followed may be the namespace that the target had before. */
	if (ward->follow && !eg_netns_same(eg_follow_netns(ward->follow), &ward->seen))
		eg_ward_unfollow(ward);
	eg_ward_learn_endpoints(ward);
	return 0;
}

void eg_ward_say_stranded(struct eg_ward *ward)
{
	ward->stranded_ns = ~0ULL;
	if (ward->text)
		eg_ward_target_stranded(ward->target, ward->engine_up, eg_ward_say, ward);
}
