/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A namespace that nothing runs in yet is no quiet one: from when an interface has an address its
 * kernel answers whoever asks, with resets, echo replies and errors, and until it is guarded they
 * leave by whatever route there is. Mute, it has rules (ip-rule(8)) that let it route no packet
 * that has a source, as each answer has but some of ICMPv6, nor that. Without either routes are
 * looked up by who sets up a network: the kernel does for a gateway before it takes a route
 * (fib_check_nh(), net/ipv4/fib_semantics.c), and Docker does. What is heard is heard, ARP and
 * neighbour discovery are answered, and addresses and routes can be given. It holds against the
 * kernel alone, and not against who runs in there.
 */
#ifndef EG_MUTE_H
#define EG_MUTE_H

#include <stdbool.h>

#include "net/netns.h"

/*
 * Makes a namespace mute that has no interface to send by yet, or no process, until eg_unmute().
 * Where both are there, or the kernel has no IPv6 at all, that is left as it is. Mute already is no
 * error. Any other failure: it may answer.
 */
int eg_mute(const struct eg_netns *netns, struct eg_error *error);

/* Takes those rules away, and no others. 0 also where there are none. */
int eg_unmute(const struct eg_netns *netns, struct eg_error *error);

/* 1 or 0, or -errno. */
int eg_is_mute(const struct eg_netns *netns);

#endif /* EG_MUTE_H */
