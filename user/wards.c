// SPDX-License-Identifier: GPL-2.0
#include "wards.h"

#include <stdlib.h>
#include <string.h>

#include "policy_files.h"

void eg_wards_free(struct eg_wards *wards)
{
	for (size_t i = 0; i < wards->n; i++)
		eg_ward_free(wards->ward[i]);
	free(wards->ward);
	*wards = (struct eg_wards){};
}

struct eg_ward *eg_wards_find(const struct eg_wards *wards, const char *name)
{
	for (size_t i = 0; i < wards->n; i++)
		if (strcmp(eg_ward_name(wards->ward[i]), name) == 0)
			return wards->ward[i];
	return NULL;
}

bool eg_wards_add(struct eg_wards *wards, struct eg_ward *ward)
{
	struct eg_ward **grown = reallocarray(wards->ward, wards->n + 1, sizeof(struct eg_ward *));

	if (!grown)
		return false;
	wards->ward = grown;
	grown[wards->n++] = ward;
	return true;
}

void eg_wards_drop_finished(struct eg_wards *wards)
{
	size_t kept = 0;

	for (size_t i = 0; i < wards->n; i++) {
		if (eg_ward_is_over(wards->ward[i]))
			eg_ward_free(wards->ward[i]);
		else
			wards->ward[kept++] = wards->ward[i];
	}
	wards->n = kept;
}

void eg_wards_name_open(const struct eg_wards *wards, struct eg_text *names)
{
	for (size_t i = 0; i < wards->n; i++)
		if (eg_ward_is_open(wards->ward[i]))
			eg_policy_files_name(names, eg_ward_name(wards->ward[i]), "");
}

__u64 eg_wards_due_ns(const struct eg_wards *wards, __u64 latest)
{
	for (size_t i = 0; i < wards->n; i++)
		if (eg_ward_due_ns(wards->ward[i]) < latest)
			latest = eg_ward_due_ns(wards->ward[i]);
	return latest;
}
