// SPDX-License-Identifier: GPL-2.0
/* The tables of names, made from the one list of reasons and layers in eg_abi.h. */
#include <errno.h>
#include <string.h>

#include "policy/explain.h"

const char *const eg_reason_names[EG_REASON_COUNT] = {
#define X(id, name, verdict, sentence) [EG_REASON_##id] = name,
	EG_REASONS(X)
#undef X
};

const char *const eg_reason_sentences[EG_REASON_COUNT] = {
#define X(id, name, verdict, sentence) [EG_REASON_##id] = sentence,
	EG_REASONS(X)
#undef X
};

const char *const eg_layer_names[EG_LAYER_COUNT] = {
#define X(id, name) [EG_LAYER_##id] = name,
	EG_LAYERS(X)
#undef X
};

const char *const eg_verdict_names[3] = {
	[EG_VERDICT_ALLOW] = "allow",
	[EG_VERDICT_DROP] = "drop",
	[EG_VERDICT_WOULD_DROP] = "would-drop",
};

int eg_reason_parse(const char *name)
{
	for (int i = 0; i < EG_REASON_COUNT; i++)
		if (!strcmp(name, eg_reason_names[i]))
			return i;
	return -EINVAL;
}
