// SPDX-License-Identifier: GPL-2.0
#include "net/runtime_http.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/text.h"

#define WHY_LEN 256

#ifdef EG_NO_CURL

bool eg_runtime_available(void)
{
	return false;
}

int eg_http_get(const char *engine, const char *path, const char *argument, long *ret_status,
		char **ret_body, size_t *ret_len, char ret_why[256])
{
	(void)engine, (void)path, (void)argument, (void)ret_status, (void)ret_body, (void)ret_len;
	snprintf(ret_why, WHY_LEN, "this build cannot ask for containers (no libcurl)");
	return -EOPNOTSUPP;
}

#else /* !EG_NO_CURL */

#include <curl/curl.h>

bool eg_runtime_available(void)
{
	return true;
}

static void curl_cleanupp(CURL **curl)
{
	curl_easy_cleanup(*curl);
}
#define EG_AUTO_CURL EG_AUTO(curl_cleanupp)

struct body {
	struct eg_text text;
	bool too_long;
};

static size_t take_body(char *data, size_t size, size_t n, void *argument)
{
	struct body *body = argument;
	size_t len = size * n;

	if (len > EG_HTTP_MAX || body->text.len > EG_HTTP_MAX - len) {
		body->too_long = true;
		return 0;
	}
	eg_text_add(&body->text, data, len);
	return body->text.failed ? 0 : len;
}

/* Headers count for the limit too. */
static size_t skip_header(char *data, size_t size, size_t n, void *argument)
{
	size_t *left = argument;
	size_t len = size * n;

	(void)data;
	if (len > *left)
		return 0;
	*left -= len;
	return len;
}

/* "http://HOST" for the engine's address, with the path of its socket in *ret_socket. */
static int split_engine(const char *engine, const char **ret_socket, const char **ret_host)
{
	static const char unix_scheme[] = "unix://", tcp_scheme[] = "tcp://";

	if (strncmp(engine, unix_scheme, strlen(unix_scheme)) == 0) {
		*ret_socket = engine + strlen(unix_scheme);
		*ret_host = "localhost";
		return **ret_socket == '/' ? 0 : -EINVAL;
	}
	if (strncmp(engine, tcp_scheme, strlen(tcp_scheme)) == 0) {
		*ret_socket = NULL;
		*ret_host = engine + strlen(tcp_scheme);
		return **ret_host && !strpbrk(*ret_host, "/@?# ") ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int set_url(CURL *curl, const char *host, const char *path, const char *argument)
{
	EG_AUTO_TEXT struct eg_text url = {0};
	const char *place = strstr(path, "%s");
	char *escaped;

	eg_text_printf(&url, "http://%s", host);
	if (place && argument) {
		escaped = curl_easy_escape(curl, argument, (int)strlen(argument));
		if (!escaped)
			return -ENOMEM;
		eg_text_add(&url, path, (size_t)(place - path));
		eg_text_printf(&url, "%s%s", escaped, place + strlen("%s"));
		curl_free(escaped);
	} else {
		eg_text_printf(&url, "%s", path);
	}
	if (url.failed)
		return -ENOMEM;
	return curl_easy_setopt(curl, CURLOPT_URL, url.data) == CURLE_OK ? 0 : -ENOMEM;
}

static void set_options(CURL *curl, const char *socket_path, struct body *body, size_t *header_left)
{
	if (socket_path)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	/* Not what http_proxy or ~/.netrc say. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)EG_HTTP_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)EG_HTTP_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, skip_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, header_left);
}

static int explain(CURLcode code, const struct body *body, char why[WHY_LEN])
{
	if (body->too_long) {
		snprintf(why, WHY_LEN, "it answered with more than %u MiB", EG_HTTP_MAX >> 20);
		return -EFBIG;
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		snprintf(why, WHY_LEN, "it did not answer within %u seconds", EG_HTTP_MS / 1000);
		return -ETIMEDOUT;
	}
	snprintf(why, WHY_LEN, "%s", curl_easy_strerror(code));
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return -ECONNREFUSED;
	return -EIO;
}

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int eg_http_get(const char *engine, const char *path, const char *argument, long *ret_status,
		char **ret_body, size_t *ret_len, char ret_why[256])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	EG_AUTO_CURL CURL *curl = NULL;
	const char *socket_path, *host;
	size_t header_left = EG_HTTP_MAX;
	struct body body = {0};
	CURLcode code;
	int result = split_engine(engine, &socket_path, &host);

	if (result < 0) {
		snprintf(ret_why, WHY_LEN, "only unix:///PATH and tcp://HOST:PORT are understood");
		return result;
	}
	pthread_once(&once, start_curl);
	curl = curl_easy_init();
	if (!curl || set_url(curl, host, path, argument) < 0) {
		snprintf(ret_why, WHY_LEN, "out of memory");
		return -ENOMEM;
	}
	set_options(curl, socket_path, &body, &header_left);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		eg_text_free(&body.text);
		return explain(code, &body, ret_why);
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	*ret_len = body.text.len;
	*ret_body = eg_text_take(&body.text);
	return *ret_body ? 0 : -ENOMEM;
}

#endif /* !EG_NO_CURL */
