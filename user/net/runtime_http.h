/* SPDX-License-Identifier: GPL-2.0 */
/* GETs to a container engine: one answer, or a stream without an end. The only file that includes
 * libcurl is runtime_http.c. */
#ifndef EG_RUNTIME_HTTP_H
#define EG_RUNTIME_HTTP_H

#include "net/runtime.h"

#define EG_HTTP_MAX (64U << 20)
#define EG_HTTP_MS  5000U

/*
 * `engine` is unix:///PATH or tcp://HOST:PORT, `path` what comes behind it, with `argument` (NULL:
 * none) escaped in the place of its %s. 0: an answer with *ret_status, NUL-terminated, the caller's
 * to free. -ECONNREFUSED: nobody there; -ETIMEDOUT; -EFBIG; -EINVAL: no such kind of address;
 * -EOPNOTSUPP: built without libcurl; -EIO: anything else. ret_why gets a sentence's end.
 */
int eg_http_get(const char *engine, const char *path, const char *argument, long *ret_status,
		char **ret_body, size_t *ret_len, char ret_why[256]);

struct eg_http_stream;
void eg_http_stream_close(struct eg_http_stream *stream);

/* Begins one, without waiting for anything. What comes is given to `take`, piece by piece; other
 * than 0 from that ends the stream. */
int eg_http_stream_open(const char *engine, const char *path,
			int (*take)(void *argument, const char *data, size_t len), void *argument,
			struct eg_http_stream **ret_stream);

/* Readable when there is something to do. */
int eg_http_stream_fd(const struct eg_http_stream *stream);

/* Does it. 1: it answered, and goes on; 0: it has not answered yet; -errno: it has ended, as said
 * of eg_http_get(). */
int eg_http_stream_work(struct eg_http_stream *stream, char ret_why[256]);

#endif /* EG_RUNTIME_HTTP_H */
