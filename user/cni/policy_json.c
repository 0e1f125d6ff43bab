// SPDX-License-Identifier: GPL-2.0
#include "cni/policy_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"
#include "util/text.h"

#define NUMBER_LEN 24

static int unknown_key(const char *key, struct eg_cni_error *error)
{
	const char *names[EG_KEY_COUNT + 1] = {};
	char quoted[EG_QUOTE_LEN];
	const char *nearest;

	for (int i = 0; i < EG_KEY_COUNT; i++)
		names[i] = eg_policy_keys[i].key;
	eg_quote(quoted, key, strlen(key));
	nearest = eg_nearest(key, names);
	if (nearest)
		return eg_cni_fail(error, EG_CNI_BAD_FIELD,
				   "policy: there is no key %s; did you mean '%s'?", quoted,
				   nearest);
	return eg_cni_fail(error, EG_CNI_BAD_FIELD,
			   "policy: there is no key %s; egressguard.conf(5) has them all", quoted);
}

/* Case aside, as in a policy file. */
static int find_key(const char *name, enum eg_policy_key_id *ret_key, struct eg_cni_error *error)
{
	for (int i = 0; i < EG_KEY_COUNT; i++) {
		if (strcasecmp(eg_policy_keys[i].key, name) == 0) {
			*ret_key = (enum eg_policy_key_id)i;
			return 0;
		}
	}
	return unknown_key(name, error);
}

/* What a policy file would have behind the `=`; NULL: nothing that could stand there. */
static const char *value_text(const json_t *value, char number[NUMBER_LEN])
{
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (json_is_integer(value)) {
		snprintf(number, NUMBER_LEN, "%lld", (long long)json_integer_value(value));
		return number;
	}
	return json_string_value(value);
}

static int set_value(struct eg_policy *policy, enum eg_policy_key_id key, const json_t *value,
		     struct eg_cni_error *error)
{
	const struct eg_policy_key_info *info = &eg_policy_keys[key];
	char number[NUMBER_LEN], quoted[EG_QUOTE_LEN];
	const char *text = value_text(value, number);
	struct eg_error why = {};

	if (!text)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "policy: %s is neither a string, a number nor a boolean",
				   info->key);
	if (eg_policy_set(policy, key, text, &why) < 0)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "policy: %s %s: %s", info->key,
				   eg_quote(quoted, text, strlen(text)), why.message);
	return 0;
}

static int set_key(struct eg_policy *policy, const char *name, const json_t *value,
		   struct eg_cni_error *error)
{
	enum eg_policy_key_id key = EG_KEY_COUNT;
	const json_t *item;
	size_t i;

	if (find_key(name, &key, error) < 0)
		return -EINVAL;
	if (policy->given[key])
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "policy: %s is given twice",
				   eg_policy_keys[key].key);
	if (!json_is_array(value))
		return set_value(policy, key, value, error);
	if (!eg_policy_keys[key].repeats)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "policy: %s has one value, not an array of them",
				   eg_policy_keys[key].key);
	json_array_foreach(value, i, item)
	{
		if (set_value(policy, key, item, error) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_object(struct eg_policy *policy, const json_t *object, struct eg_cni_error *error)
{
	const char *name;
	json_t *value;

	/* jansson's iterators are of no const object, and change none. */
	json_object_foreach((json_t *)object, name, value)
	{
		if (set_key(policy, name, value, error) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_text(struct eg_policy *policy, const json_t *string, struct eg_cni_error *error)
{
	struct eg_error why = {};

	if (eg_policy_parse(policy, json_string_value(string), json_string_length(string), false,
			    &why) == 0)
		return 0;
	if (why.line)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "policy:%u:%u: %s", why.line,
				   why.column, why.message);
	return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "policy: %s", why.message);
}

int eg_cni_policy_read(const json_t *value, struct eg_policy **ret_policy,
		       struct eg_cni_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	int result;

	if (eg_policy_new(&policy) < 0)
		return eg_cni_fail(error, EG_CNI_FAILED, "out of memory");
	if (json_is_object(value))
		result = read_object(policy, value, error);
	else if (json_is_string(value))
		result = read_text(policy, value, error);
	else
		result = eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				     "policy: neither an object with the keys of a policy file nor "
				     "a string with its text");
	if (result == 0 && policy->target)
		result = eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				     "policy: it has a Target, and here the pod is the target: "
				     "leave that out");
	if (result < 0)
		return result;
	*ret_policy = EG_TAKE(policy);
	return 0;
}
