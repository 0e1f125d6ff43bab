// SPDX-License-Identifier: GPL-2.0
#include "net/runtime_http.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

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

int eg_http_stream_open(const char *engine, const char *path,
			int (*take)(void *argument, const char *data, size_t len), void *argument,
			struct eg_http_stream **ret_stream)
{
	(void)engine, (void)path, (void)take, (void)argument, (void)ret_stream;
	return -EOPNOTSUPP;
}

void eg_http_stream_close(struct eg_http_stream *stream)
{
	(void)stream;
}

int eg_http_stream_fd(const struct eg_http_stream *stream)
{
	(void)stream;
	return -1;
}

int eg_http_stream_work(struct eg_http_stream *stream, char ret_why[256])
{
	(void)stream, (void)ret_why;
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

/* Where to, and how: for whatever is asked. */
static void set_way(CURL *curl, const char *socket_path)
{
	if (socket_path)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	/* Not what http_proxy or ~/.netrc say. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)EG_HTTP_MS);
}

static void set_options(CURL *curl, const char *socket_path, struct body *body, size_t *header_left)
{
	set_way(curl, socket_path);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)EG_HTTP_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, skip_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, header_left);
}

static int explain(CURL *curl, CURLcode code, const struct body *body, char why[WHY_LEN])
{
	long connecting = 0; /* what errno was */

	if (body->too_long) {
		snprintf(why, WHY_LEN, "it answered with more than %u MiB", EG_HTTP_MAX >> 20);
		return -EFBIG;
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		snprintf(why, WHY_LEN, "it did not answer within %u seconds", EG_HTTP_MS / 1000);
		return -ETIMEDOUT;
	}
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &connecting);
	if (code == CURLE_COULDNT_CONNECT && (connecting == EACCES || connecting == EPERM)) {
		snprintf(why, WHY_LEN, "%s; run as root", strerror((int)connecting));
		return -EACCES;
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

static void start_curl_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start_curl);
}

int eg_http_get(const char *engine, const char *path, const char *argument, long *ret_status,
		char **ret_body, size_t *ret_len, char ret_why[256])
{
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
	start_curl_once();
	curl = curl_easy_init();
	if (!curl || set_url(curl, host, path, argument) < 0) {
		snprintf(ret_why, WHY_LEN, "out of memory");
		return -ENOMEM;
	}
	set_options(curl, socket_path, &body, &header_left);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		eg_text_free(&body.text);
		return explain(curl, code, &body, ret_why);
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	*ret_len = body.text.len;
	*ret_body = eg_text_take(&body.text);
	return *ret_body ? 0 : -ENOMEM;
}

/* --- a stream -------------------------------------------------------------------------------- */

/* libcurl's sockets and its timer, behind one descriptor. */
struct eg_http_stream {
	CURLM *multi;
	CURL *curl;
	int epoll_fd, timer_fd;
	int (*take)(void *argument, const char *data, size_t len);
	void *argument;
	size_t header_left;
	long status;
	bool answered; /* all of the header is there */
};

static size_t take_piece(char *data, size_t size, size_t n, void *argument)
{
	struct eg_http_stream *stream = argument;

	return stream->take(stream->argument, data, size * n) ? 0 : size * n;
}

/* An empty line ends the header. */
static size_t take_header(char *data, size_t size, size_t n, void *argument)
{
	struct eg_http_stream *stream = argument;
	size_t len = size * n;

	if (len <= 2 && *data == '\r') {
		curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &stream->status);
		stream->answered = stream->status == 200;
		return stream->status == 200 || stream->status == 100 ? len : 0;
	}
	return skip_header(data, size, n, &stream->header_left);
}

static int take_socket(CURL *curl, curl_socket_t fd, int what, void *argument, void *known)
{
	struct eg_http_stream *stream = argument;
	struct epoll_event event = {.data.fd = fd};

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(stream->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events =
		(what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	if (known)
		return epoll_ctl(stream->epoll_fd, EPOLL_CTL_MOD, fd, &event);
	curl_multi_assign(stream->multi, fd, stream);
	return epoll_ctl(stream->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int take_timer(CURLM *multi, long ms, void *argument)
{
	const struct eg_http_stream *stream = argument;
	struct itimerspec timer = {};

	(void)multi;
	if (ms >= 0) {
		timer.it_value.tv_sec = ms / 1000;
		timer.it_value.tv_nsec = ms % 1000 * 1000000 + (ms ? 0 : 1);
	}
	return timerfd_settime(stream->timer_fd, 0, &timer, NULL);
}

void eg_http_stream_close(struct eg_http_stream *stream)
{
	if (!stream)
		return;
	if (stream->multi && stream->curl)
		curl_multi_remove_handle(stream->multi, stream->curl);
	curl_easy_cleanup(stream->curl);
	curl_multi_cleanup(stream->multi);
	eg_cleanup_close(&stream->epoll_fd);
	eg_cleanup_close(&stream->timer_fd);
	free(stream);
}

static void stream_closep(struct eg_http_stream **stream)
{
	eg_http_stream_close(*stream);
}

static int make_waiting(struct eg_http_stream *stream)
{
	struct epoll_event event = {.events = EPOLLIN};

	stream->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	stream->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event.data.fd = stream->timer_fd;
	return stream->epoll_fd < 0 || stream->timer_fd < 0 ||
			       epoll_ctl(stream->epoll_fd, EPOLL_CTL_ADD, stream->timer_fd,
					 &event) < 0
		       ? -errno
		       : 0;
}

static void set_stream_options(struct eg_http_stream *stream, const char *socket_path)
{
	set_way(stream->curl, socket_path);
	/* An engine on another machine that has gone says nothing. */
	curl_easy_setopt(stream->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(stream->curl, CURLOPT_WRITEFUNCTION, take_piece);
	curl_easy_setopt(stream->curl, CURLOPT_WRITEDATA, stream);
	curl_easy_setopt(stream->curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(stream->curl, CURLOPT_HEADERDATA, stream);
	curl_multi_setopt(stream->multi, CURLMOPT_SOCKETFUNCTION, take_socket);
	curl_multi_setopt(stream->multi, CURLMOPT_SOCKETDATA, stream);
	curl_multi_setopt(stream->multi, CURLMOPT_TIMERFUNCTION, take_timer);
	curl_multi_setopt(stream->multi, CURLMOPT_TIMERDATA, stream);
}

int eg_http_stream_open(const char *engine, const char *path,
			int (*take)(void *argument, const char *data, size_t len), void *argument,
			struct eg_http_stream **ret_stream)
{
	EG_AUTO(stream_closep) struct eg_http_stream *stream = calloc(1, sizeof(*stream));
	const char *socket_path, *host;
	int result = split_engine(engine, &socket_path, &host);

	if (!stream)
		return -ENOMEM;
	stream->epoll_fd = stream->timer_fd = -1;
	if (result < 0)
		return result;
	stream->take = take;
	stream->argument = argument;
	stream->header_left = EG_HTTP_MAX;
	result = make_waiting(stream);
	if (result < 0)
		return result;
	start_curl_once();
	stream->curl = curl_easy_init();
	stream->multi = curl_multi_init();
	if (!stream->curl || !stream->multi || set_url(stream->curl, host, path, NULL) < 0)
		return -ENOMEM;
	set_stream_options(stream, socket_path);
	if (curl_multi_add_handle(stream->multi, stream->curl) != CURLM_OK)
		return -ENOMEM;
	*ret_stream = EG_TAKE(stream);
	return 0;
}

int eg_http_stream_fd(const struct eg_http_stream *stream)
{
	return stream->epoll_fd;
}

static void take_events(struct eg_http_stream *stream)
{
	struct epoll_event events[4];
	int n = epoll_wait(stream->epoll_fd, events, 4, 0), left;

	for (int i = 0; i < n; i++) {
		int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		uint64_t times;

		if (events[i].data.fd != stream->timer_fd)
			curl_multi_socket_action(stream->multi, events[i].data.fd, what, &left);
		else if (read(stream->timer_fd, &times, sizeof(times)) > 0)
			curl_multi_socket_action(stream->multi, CURL_SOCKET_TIMEOUT, 0, &left);
	}
}

int eg_http_stream_work(struct eg_http_stream *stream, char ret_why[256])
{
	const CURLMsg *message;
	int left;

	take_events(stream);
	message = curl_multi_info_read(stream->multi, &left);
	if (!message)
		return stream->answered;
	if (stream->status && stream->status != 200) {
		snprintf(ret_why, WHY_LEN, "it refused (HTTP %ld)", stream->status);
		return -EIO;
	}
	if (message->data.result == CURLE_OK) {
		snprintf(ret_why, WHY_LEN, "it ended the connection");
		return -EPIPE;
	}
	return explain(message->easy_handle, message->data.result, &(struct body){}, ret_why);
}

#endif /* !EG_NO_CURL */
