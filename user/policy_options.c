// SPDX-License-Identifier: GPL-2.0
#include "policy_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/file.h"

/* The ids: -1 and down are the policy's keys in their order, then come the options that are spelled
 * otherwise than a key. */
#define KEY_ID(key) (-1 - (int)(key))
#define ID_KEY(id)  (-1 - (id))
#define ID_NO_LAN   KEY_ID(EG_KEY_COUNT)
#define ID_AUDIT    KEY_ID(EG_KEY_COUNT + 1)
#define ID_POLICY   KEY_ID(EG_KEY_COUNT + 2)

#define SAFE_LEN 256

const struct eg_option *eg_policy_option_table(void)
{
	static struct eg_option table[EG_KEY_COUNT + 4];
	struct eg_option *option = table;

	if (table[0].name)
		return table;
	for (int key = 0; key < EG_KEY_COUNT; key++) {
		const struct eg_policy_key_info *info = &eg_policy_keys[key];

		if (info->option)
			*option++ = (struct eg_option){KEY_ID(key), info->option, info->argument,
						       info->help};
	}
	*option++ = (struct eg_option){ID_NO_LAN, "--no-lan", NULL,
				       "do not allow RFC 1918 and fc00::/7"};
	*option++ = (struct eg_option){ID_AUDIT, "--audit", NULL,
				       "let drops pass, but count and show them"};
	*option = (struct eg_option){ID_POLICY, "--policy", "FILE",
				     "read all this from a file; options override it"};
	return table;
}

void eg_policy_options_free(struct eg_policy_options *options)
{
	free(options->given);
	*options = (struct eg_policy_options){};
}

/* The key that an option sets. */
static enum eg_policy_key_id option_key(int id)
{
	if (id == ID_NO_LAN)
		return EG_KEY_LAN;
	if (id == ID_AUDIT)
		return EG_KEY_MODE;
	return (enum eg_policy_key_id)ID_KEY(id);
}

static const char *option_name(int id)
{
	for (const struct eg_option *option = eg_policy_option_table(); option->name; option++) {
		if (option->id == id)
			return option->name;
	}
	return "?";
}

static int given_twice(int id, struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s is given twice", option_name(id));
}

int eg_policy_options_take(struct eg_policy_options *options, int id, const char *value,
			   struct eg_error *error)
{
	struct eg_policy_option *given;

	if (id == ID_POLICY) {
		if (options->file)
			return given_twice(id, error);
		options->file = value;
		return 0;
	}
	for (size_t i = 0; i < options->n_given; i++) {
		if (options->given[i].id == id && value && !eg_policy_keys[option_key(id)].repeats)
			return given_twice(id, error);
	}
	given = reallocarray(options->given, options->n_given + 1, sizeof(*given));
	if (!given)
		return eg_error_no_memory(error);
	options->given = given;
	given[options->n_given++] = (struct eg_policy_option){.id = id, .value = value};
	return 0;
}

static int set_option(struct eg_policy *policy, const struct eg_policy_option *option,
		      struct eg_error *error)
{
	struct eg_error why = {};
	char safe[SAFE_LEN];
	const char *value = option->value;
	int result;

	if (option->id == ID_NO_LAN)
		value = "no";
	else if (option->id == ID_AUDIT)
		value = "audit";
	else if (!value)
		value = "yes";
	result = eg_policy_set(policy, option_key(option->id), value, &why);
	if (result == 0)
		return 0;
	if (!option->value)
		return eg_error_set(error, why.exit, -result, "%s: %s", option_name(option->id),
				    why.message);
	return eg_error_set(error, why.exit, -result, "%s '%s': %s", option_name(option->id),
			    eg_escape(safe, sizeof(safe), option->value, strlen(option->value)),
			    why.message);
}

int eg_policy_read_text(const char *path, char **ret_text, struct eg_policy **ret_policy,
			struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error why = {};
	char safe[SAFE_LEN];
	size_t len = 0;
	int result;

	eg_escape(safe, sizeof(safe), path, strlen(path));
	result = eg_file_read(AT_FDCWD, path, EG_POLICY_TEXT_MAX, &text, &len);
	if (result == -EFBIG)
		return eg_error_set(error, EG_EXIT_USAGE, EFBIG,
				    "%s: longer than %u MiB: this is no policy file", safe,
				    EG_POLICY_TEXT_MAX >> 20);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "%s: %s", safe,
				    strerror(-result));
	result = eg_policy_new(&policy);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	result = eg_policy_parse(policy, text, len, false, &why);
	if (result < 0 && why.line)
		return eg_error_set(error, why.exit, -result, "%s:%u:%u: %s", safe, why.line,
				    why.column, why.message);
	if (result < 0)
		return eg_error_set(error, why.exit, -result, "%s: %s", safe, why.message);
	*ret_policy = EG_TAKE(policy);
	if (ret_text)
		*ret_text = EG_TAKE(text);
	return 0;
}

int eg_policy_read_file(const char *path, struct eg_policy **ret_policy, struct eg_error *error)
{
	return eg_policy_read_text(path, NULL, ret_policy, error);
}

int eg_policy_options(const struct eg_policy_options *options, struct eg_policy **ret_policy,
		      struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	int result;

	if (options->file) {
		result = eg_policy_read_file(options->file, &policy, error);
		if (result < 0)
			return result;
	} else {
		result = eg_policy_new(&policy);
		if (result < 0)
			return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	}
	for (size_t i = 0; i < options->n_given; i++) {
		result = set_option(policy, &options->given[i], error);
		if (result < 0)
			return result;
	}
	*ret_policy = EG_TAKE(policy);
	return 0;
}

size_t eg_policy_drop_hosts(struct eg_policy *policy)
{
	size_t kept = 0, dropped = 0;

	for (size_t i = 0; i < policy->n_endpoints; i++) {
		if (policy->endpoints[i].family == EG_FAMILY_NONE) {
			/* Out of memory, it cannot be asked for by its name either. */
			(void)eg_policy_add_endpoint(&policy->derived.names,
						     &policy->derived.n_names,
						     &policy->endpoints[i]);
			free(policy->endpoints[i].host);
			dropped++;
		} else {
			policy->endpoints[kept++] = policy->endpoints[i];
		}
	}
	policy->n_endpoints = kept;
	return dropped;
}
