// SPDX-License-Identifier: GPL-2.0
#include "policy_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/plan.h"
#include "journal.h"
#include "util/cleanup.h"
#include "util/notify.h"

#define NAMES_LEN 400 /* of what a line names, before it says that there are more */

char *eg_policy_files_place(const char *state_dir, const char *config_dir)
{
	const char *given = getenv("STATE_DIRECTORY"); /* by StateDirectory=; more of them: a:b */

	if (state_dir)
		return strdup(state_dir);
	if (given && *given == '/')
		return strndup(given, strcspn(given, ":"));
	return strcmp(config_dir, EG_CONFIG_DIR) == 0 ? strdup(EG_COPIES_DIR) : NULL;
}

void eg_policy_files_open(struct eg_policy_files *files, const char *dir)
{
	struct eg_error why = {};

	files->copies_dir = dir ? strdup(dir) : NULL;
	if (!dir || eg_copies_open(dir, &files->copies, &why) == 0)
		return;
	eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
		   "%s: no copies of the policy files are kept or used: one that does not parse "
		   "after a reboot leaves its target open",
		   why.message);
}

void eg_policy_files_free(struct eg_policy_files *files)
{
	eg_copies_free(files->copies);
	free(files->copies_dir);
	eg_text_free(&files->open);
	eg_text_free(&files->old);
}

void eg_policy_files_begin(struct eg_policy_files *files)
{
	eg_text_free(&files->open);
	eg_text_free(&files->old);
	files->open = files->old = (struct eg_text){};
	files->n = files->n_open = 0;
}

/* --- one file --------------------------------------------------------------------------------- */

void eg_policy_files_name(struct eg_text *names, const char *name, const char *what)
{
	char safe[NAME_MAX * 4];

	if (names->len > NAMES_LEN) {
		if (names->data[names->len - 1] != '.')
			eg_text_printf(names, ", ...");
		return;
	}
	eg_text_printf(names, "%s%s%s%s%s", names->len ? ", " : "",
		       eg_escape(safe, sizeof(safe), name, strlen(name)), *what ? " (" : "", what,
		       *what ? ")" : "");
}

static void set_policy(struct eg_ward *ward, const char *entry, const char *text,
		       const struct eg_policy *policy)
{
	if (eg_ward_set_policy(ward, text, policy->target) < 0)
		eg_journal("daemon", EG_JOURNAL_ERROR, entry, "out of memory");
}

static void take_good(struct eg_policy_files *files, struct eg_ward *ward,
		      const struct eg_config_file *file)
{
	set_policy(ward, file->name, file->text, file->policy);
	eg_ward_set_spoilt(ward, false);
	if (files->copies && eg_copies_keep(files->copies, file->entry, file->text) < 0)
		eg_journal("daemon", EG_JOURNAL_ERROR, file->name, "out of memory");
}

static int take_copy(struct eg_policy_files *files, struct eg_ward *ward,
		     const struct eg_config_file *file, struct eg_error *why)
{
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	int result = -ENOENT;

	if (files->copies)
		result = eg_copies_read(files->copies, file->entry, &text, &policy, why);
	if (result < 0)
		return result;
	set_policy(ward, file->name, text, policy);
	eg_ward_set_spoilt(ward, true);
	eg_journal("daemon", EG_JOURNAL_ERROR, file->name,
		   "%s: the copy in %s counts, of what the file said when it last parsed",
		   file->error.message, files->copies_dir);
	eg_policy_files_name(&files->old, file->entry, "as its copy says");
	return 0;
}

/* Of a directory that has but one file, for our own network. */
static bool is_shut(const struct eg_policy_files *files)
{
	return files->own_is_shut && files->n == 1;
}

/* Nothing says what it was for but itself. */
static void leave_open(struct eg_policy_files *files, const struct eg_config_file *file,
		       const struct eg_error *why, int result)
{
	char target[EG_TARGET_MAX * 4];
	bool is_spoilt = files->copies && result != -ENOENT;

	eg_escape(target, sizeof(target), file->hint, strlen(file->hint));
	eg_journal("daemon", EG_JOURNAL_ERROR, file->name,
		   "%s; %s%s: nothing is guarded by it, and its target%s%s%s is %s until it is put "
		   "right and read again (SIGHUP)",
		   file->error.message, is_spoilt ? "nor is its copy any use, " : "",
		   is_spoilt ? why->message : "and there is no copy of it", *target ? ", " : "",
		   target, *target ? "," : "",
		   is_shut(files) ? "shut: nothing leaves it," : "OPEN");
	files->n_open++;
	eg_policy_files_name(&files->open, file->entry, target);
}

static void take_never_read(struct eg_policy_files *files, struct eg_ward *ward,
			    const struct eg_config_file *file)
{
	struct eg_error why = {};
	int result;

	if (eg_ward_recall_policy(ward, &why) == 0) {
		eg_ward_set_spoilt(ward, true);
		eg_journal("daemon", EG_JOURNAL_ERROR, file->name,
			   "%s: the policy of the guard in force is kept", file->error.message);
		eg_policy_files_name(&files->old, file->entry, "as its guard in force says");
		return;
	}
	why = (struct eg_error){};
	result = take_copy(files, ward, file, &why);
	if (result < 0)
		leave_open(files, file, &why, result);
}

void eg_policy_files_take(struct eg_policy_files *files, struct eg_ward *ward,
			  const struct eg_config_file *file)
{
	files->n++;
	switch (eg_plan_file(eg_ward_policy(ward), file->text, !file->text)) {
	case EG_PLAN_FILE_NEW:
	case EG_PLAN_FILE_CHANGED:
	case EG_PLAN_FILE_SAME: /* what it names, a wg0.conf or a host, may say other than before */
		take_good(files, ward, file);
		return;
	case EG_PLAN_FILE_BAD:
		eg_ward_set_spoilt(ward, true);
		eg_journal("daemon", EG_JOURNAL_ERROR, file->name,
			   "%s: the policy that it had before is kept", file->error.message);
		eg_policy_files_name(&files->old, file->entry, "as it was before");
		return;
	case EG_PLAN_FILE_NEVER_READ:
		take_never_read(files, ward, file);
		return;
	case EG_PLAN_FILE_GONE:
		return;
	}
}

/* --- all of them ------------------------------------------------------------------------------ */

struct present {
	const struct eg_config_file *files;
	size_t n;
};

static bool is_present(void *argument, const char *entry)
{
	const struct present *present = argument;

	for (size_t i = 0; i < present->n; i++)
		if (strcmp(present->files[i].entry, entry) == 0)
			return true;
	return false;
}

void eg_policy_files_end(struct eg_policy_files *files, const char *config_dir,
			 const struct eg_config_file *config_files, size_t n)
{
	struct present present = {.files = config_files, .n = n};

	/* Where even the directory is away nobody has taken a file out of it. */
	if (files->copies && (n || access(config_dir, F_OK) == 0))
		eg_copies_sweep(files->copies, is_present, &present);
}

void eg_policy_files_show(const struct eg_policy_files *files, const struct eg_text *failed)
{
	EG_AUTO_TEXT struct eg_text status = {};

	eg_text_printf(&status, "STATUS=%zu policy file%s", files->n, files->n == 1 ? "" : "s");
	if (failed->len)
		eg_text_printf(&status, "; OPEN, as no guard could be made: %s", failed->data);
	if (files->n_open)
		eg_text_printf(&status, "; OPEN, as they do not parse: %s", files->open.data);
	if (files->old.len)
		eg_text_printf(&status, "; not as they say, as they do not parse: %s",
			       files->old.data);
	if (!status.failed)
		eg_notify(status.data);
}

void eg_policy_files_say(const struct eg_policy_files *files, const char *what,
			 const struct eg_text *failed)
{
	if (files->n_open)
		eg_journal(
			"daemon", EG_JOURNAL_WARNING, NULL,
			"%s, but %zu of %zu policy files guard nothing, as they do not parse: %s",
			what, files->n_open, files->n, files->open.data);
	if (failed->len)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "%s, but no guard could be made on what is there for %s: %s until it "
			   "can, which is tried again",
			   what, failed->data, is_shut(files) ? "shut" : "open");
	if (!files->n_open && !failed->len)
		eg_journal("daemon", EG_JOURNAL_INFO, NULL, "%s", what);
	eg_policy_files_show(files, failed);
}

bool eg_policy_files_has_work(const struct eg_policy_files *files)
{
	return files->copies && eg_copies_has_work(files->copies);
}

void eg_policy_files_work(struct eg_policy_files *files)
{
	struct eg_error why = {};

	if (eg_policy_files_has_work(files) && eg_copies_work(files->copies, &why) < 0)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "%s: the copy is what it was before, if there is one", why.message);
}
