/* SPDX-License-Identifier: GPL-2.0 */
/* One GET to a container engine. The only file that includes libcurl is runtime_http.c. */
#ifndef EG_RUNTIME_HTTP_H
#define EG_RUNTIME_HTTP_H

#include "net/runtime.h"

#define EG_HTTP_MAX (8U << 20)
#define EG_HTTP_MS  5000U

/*
 * `engine` is unix:///PATH or tcp://HOST:PORT, `path` what comes behind it, with `argument` (NULL:
 * none) escaped in the place of its %s. 0: an answer with *ret_status, NUL-terminated, the caller's
 * to free. -ECONNREFUSED: nobody there; -ETIMEDOUT; -EFBIG; -EINVAL: no such kind of address;
 * -EOPNOTSUPP: built without libcurl; -EIO: anything else. ret_why gets a sentence's end.
 */
int eg_http_get(const char *engine, const char *path, const char *argument, long *ret_status,
		char **ret_body, size_t *ret_len, char ret_why[256]);

#endif /* EG_RUNTIME_HTTP_H */
