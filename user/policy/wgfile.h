/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wg0.conf line by line, as wg-quick(8) and wg(8) read it: which of the two takes a line, and where
 * its parts stand. What a value means is for others. Nothing is left out: comments, empty lines and
 * what nobody understands are there too, so that a file can be written again. PURE.
 */
#ifndef EG_WGFILE_H
#define EG_WGFILE_H

#include "policy/lines.h"

#define EG_WGFILE_MAX (1U << 20)

enum eg_wgsection {
	EG_WGSECTION_NONE, /* before the first */
	EG_WGSECTION_INTERFACE,
	EG_WGSECTION_PEER,
	EG_WGSECTION_OTHER,
};

/* X(name, as it is written, section, whether wg-quick takes it itself; wg takes the others) */
#define EG_WGKEYS(X)                                                                               \
	X(PRIVATE_KEY, "PrivateKey", INTERFACE, false)                                             \
	X(LISTEN_PORT, "ListenPort", INTERFACE, false)                                             \
	X(FWMARK, "FwMark", INTERFACE, false)                                                      \
	X(ADDRESS, "Address", INTERFACE, true)                                                     \
	X(DNS, "DNS", INTERFACE, true)                                                             \
	X(MTU, "MTU", INTERFACE, true)                                                             \
	X(TABLE, "Table", INTERFACE, true)                                                         \
	X(PRE_UP, "PreUp", INTERFACE, true)                                                        \
	X(POST_UP, "PostUp", INTERFACE, true)                                                      \
	X(PRE_DOWN, "PreDown", INTERFACE, true)                                                    \
	X(POST_DOWN, "PostDown", INTERFACE, true)                                                  \
	X(SAVE_CONFIG, "SaveConfig", INTERFACE, true)                                              \
	X(PUBLIC_KEY, "PublicKey", PEER, false)                                                    \
	X(PRESHARED_KEY, "PresharedKey", PEER, false)                                              \
	X(ALLOWED_IPS, "AllowedIPs", PEER, false)                                                  \
	X(ENDPOINT, "Endpoint", PEER, false)                                                       \
	X(PERSISTENT_KEEPALIVE, "PersistentKeepalive", PEER, false)

enum eg_wgkey {
	EG_WGKEY_NONE, /* none of the format's */
#define X(name, text, section, quick) EG_WGKEY_##name,
	EG_WGKEYS(X)
#undef X
	EG_WGKEY_COUNT
};

/* "PostUp" */
const char *eg_wgkey_name(enum eg_wgkey key);
enum eg_wgsection eg_wgkey_section(enum eg_wgkey key);
bool eg_wgkey_is_quick(enum eg_wgkey key);

static inline bool eg_wgkey_is_hook(enum eg_wgkey key)
{
	return key >= EG_WGKEY_PRE_UP && key <= EG_WGKEY_POST_DOWN;
}
static inline bool eg_wgkey_is_secret(enum eg_wgkey key)
{
	return key == EG_WGKEY_PRIVATE_KEY || key == EG_WGKEY_PRESHARED_KEY;
}

enum eg_wgline_kind {
	EG_WGLINE_EMPTY, /* or a comment and nothing else */
	EG_WGLINE_SECTION,
	EG_WGLINE_SETTING,
	EG_WGLINE_CONTINUED, /* follows a hook that ends in a backslash, and was meant to be its
				rest */
	EG_WGLINE_OTHER,
};

struct eg_wgline {
	enum eg_wgline_kind kind;
	unsigned int number;
	const char *raw; /* the whole line, without its end */
	size_t raw_len;
	enum eg_wgsection section; /* it stands in, or begins */
	enum eg_wgkey key;         /* in whatever section it stands */
	struct eg_token name;      /* of a setting; of a section, what stands in the brackets */
	struct eg_token value;     /* without a comment */
	unsigned int hash_column;  /* where '#' cuts the line, 0: nowhere */
};

/* Points into the text it was read from, which must outlive it. */
struct eg_wgfile {
	const char *text;
	size_t len;
	struct eg_wgline *lines; /* all: number n is lines[n - 1] */
	size_t n_lines;
	bool byte_order_mark;
};

/* -EFBIG, -ENOMEM, and -EINVAL for a NUL byte. Anything else is a file, if a strange one. */
int eg_wgfile_parse(const char *text, size_t len, struct eg_wgfile **ret_file,
		    struct eg_error *error);
void eg_wgfile_free(struct eg_wgfile *file);
static inline void eg_wgfile_freep(struct eg_wgfile **file)
{
	eg_wgfile_free(*file);
}
#define EG_AUTO_WGFILE __attribute__((cleanup(eg_wgfile_freep)))

/* A word of a value, copied: an address or `host:port`. One that is too long is cut. */
#define EG_WGWORD_MAX 320

struct eg_wgword {
	char text[EG_WGWORD_MAX];
	unsigned int column;
};

/* The next word of a line's value, split at commas and blanks as wg-quick splits Address and DNS.
 * Moves *at behind it. False at the end. */
bool eg_wgword_next(const struct eg_wgline *line, size_t *at, struct eg_wgword *ret_word);

/* The next of what stands between commas, blanks within it left out: the way of wg. May be empty.
 */
bool eg_wgword_between_commas(const struct eg_wgline *line, size_t *at, struct eg_wgword *ret_word);

/* wg-quick takes what has a colon, or digits and dots alone, for a DNS server, and the rest for
 * search domains. */
bool eg_wgword_is_dns_server(const char *text);

/* Whether this may hold a key, or some of one, that slipped to where it does not belong. */
bool eg_wgword_may_hold_key(const char *text);

#endif /* EG_WGFILE_H */
