/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets as the kernel lists them, its own among them: /proc/net. */
#ifndef EG_SOCKETS_H
#define EG_SOCKETS_H

/*
 * Whether a socket of the namespace that the calling thread is in has a local address that begins
 * with `local`. `table` is a file of /proc/net ("udp", "tcp6"); `local` as it stands there: in hex,
 * the address in the machine's order, a colon, the port. 1, 0, or -errno.
 */
int eg_sockets_has(const char *table, const char *local);

#endif /* EG_SOCKETS_H */
