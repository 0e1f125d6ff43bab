/* SPDX-License-Identifier: GPL-2.0 */
/* Tells a service manager how we are: sd_notify(3)'s protocol. */
#ifndef EG_NOTIFY_H
#define EG_NOTIFY_H

/* "READY=1", "STOPPING=1"; nothing happens where nobody asked ($NOTIFY_SOCKET). */
void eg_notify(const char *state);

#endif /* EG_NOTIFY_H */
