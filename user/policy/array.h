/* SPDX-License-Identifier: GPL-2.0 */
/* Arrays that grow one by one in linear time without a member for their room. PURE. */
#ifndef EG_ARRAY_H
#define EG_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define EG_ARRAY_ROOM_MIN 8

/*
 * Returns `array` with room for one element after its `n`, NULL if memory is out (`array` is then
 * as it was). The room is the next power of two from `n` on, so it is full exactly when `n` is one.
 */
static inline void *eg_array_room(void *array, size_t n, size_t element_size)
{
	size_t room = n ? 2 * n : EG_ARRAY_ROOM_MIN;

	if (n && (n < EG_ARRAY_ROOM_MIN || (n & (n - 1))))
		return array;
	if (room > SIZE_MAX / 2 / element_size)
		return NULL;
	return realloc(array, room * element_size);
}

/* Adds `element` to `array` of `n`; 0 or -ENOMEM. */
#define EG_ARRAY_ADD(array, n, element)                                                            \
	({                                                                                         \
		__typeof__(array) eg_grown = eg_array_room((array), (n), sizeof(*(array)));        \
                                                                                                   \
		if (eg_grown) {                                                                    \
			(array) = eg_grown;                                                        \
			(array)[(n)++] = (element);                                                \
		}                                                                                  \
		eg_grown ? 0 : -ENOMEM;                                                            \
	})

#endif /* EG_ARRAY_H */
