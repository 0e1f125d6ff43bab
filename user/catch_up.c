// SPDX-License-Identifier: GPL-2.0
#include "catch_up.h"

#include <unistd.h>

#include "kern/spare.h"

void eg_catch_up_begin(struct eg_catch_up *catch_up, const struct eg_wards *wards)
{
	*catch_up = (struct eg_catch_up){};
	for (size_t i = 0; i < wards->n; i++) {
		if (eg_ward_waits_to_follow(wards->ward[i]))
			catch_up->left++;
		else
			eg_ward_follow_now(wards->ward[i]);
	}
}

/* A processor each. */
static size_t loads_at_once(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors < EG_SPARE_HOLDS_MAX ? (size_t)processors : EG_SPARE_HOLDS_MAX;
}

static void load_some(struct eg_catch_up *catch_up, const char *pin_dir,
		      const struct eg_wards *wards)
{
	const char *names[EG_SPARE_HOLDS_MAX];
	size_t n_names = 0, most = loads_at_once();

	for (size_t i = 0; i < wards->n && n_names < most; i++)
		if (eg_ward_waits_to_follow(wards->ward[i]))
			names[n_names++] = eg_ward_name(wards->ward[i]);
	catch_up->loaded = n_names;
	catch_up->in_vain = eg_spares_hold(pin_dir, names, n_names) == 0;
}

/* Those that wait; *ret_first: the first of them. */
static size_t count_waiting(const struct eg_wards *wards, struct eg_ward **ret_first)
{
	size_t waiting = 0;

	for (size_t i = 0; i < wards->n; i++) {
		if (!eg_ward_waits_to_follow(wards->ward[i]))
			continue;
		if (!waiting++)
			*ret_first = wards->ward[i];
	}
	return waiting;
}

bool eg_catch_up_next(struct eg_catch_up *catch_up, const char *pin_dir,
		      const struct eg_wards *wards)
{
	struct eg_ward *next = NULL;

	catch_up->left = count_waiting(wards, &next);
	if (!next)
		return false;
	if (!catch_up->loaded && !catch_up->in_vain)
		load_some(catch_up, pin_dir, wards);
	if (catch_up->loaded)
		catch_up->loaded--;
	eg_ward_follow_now(next);
	return true;
}
