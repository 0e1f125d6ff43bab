/* SPDX-License-Identifier: GPL-2.0 */
/* How programs are written for the verifier, whatever hook they are for. */
#ifndef EG_COMMON_H
#define EG_COMMON_H

/*
 * A global function: the verifier follows it once, for any arguments, and goes on where it is
 * called knowing nothing of what it returned. So it keeps the ways through a program from
 * multiplying, and its stack from those that do not call it. Linux 5.10 allows such a function
 * numbers only, beside the context. Weak, so that the compiler takes it as it stands: for an
 * argument that is not used it would pass anything, and 5.10 refuses that.
 */
#define EG_GLOBAL __attribute__((noinline, weak))

#define EG_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#endif /* EG_COMMON_H */
