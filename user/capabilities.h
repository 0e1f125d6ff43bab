/* SPDX-License-Identifier: GPL-2.0 */
/* The privileges of a process that stays. */
#ifndef EG_CAPABILITIES_H
#define EG_CAPABILITIES_H

/* Keeps what guards need and gives up all else, for good: not even a program that it executed could
 * have it again. 0 or -errno. */
int eg_capabilities_drop(void);

#endif /* EG_CAPABILITIES_H */
