# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A real wg-quick in the bed. Sourced after lib.sh or what sources that.

# What wg-quick runs besides: a command for resolvers, and where the kernel has no WireGuard, one that
# starts a userspace one in the background.
mkdir "$BED/bin"
cat >"$BED/bin/resolvconf" <<-'EOF2'
	#!/bin/sh
	[ "$1" = -d ] || cat >/dev/null
EOF2
cat >"$BED/bin/wireguard-userspace" <<-'EOF2'
	#!/bin/sh
	LOG_LEVEL=silent setsid wireguard-go -f "$1" >/dev/null 2>&1 </dev/null &
	until [ -S "/run/wireguard/$1.sock" ]; do sleep 0.02; done
EOF2
chmod +x "$BED"/bin/*
export PATH=$BED/bin:$PATH WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-userspace

# A userspace WireGuard lives as long as its interface, and would outlive this script.
bed_at_exit() {
	ip -n wireguard link delete wg0 2>/dev/null
}

# wg-quick down is through, and so is a userspace WireGuard.
is_tidy() {
	bed_no_link wireguard wg0 && [ ! -S /run/wireguard/wg0.sock ]
}

quick() { # up | down
	in_ns wireguard wg-quick "$1" "$BED/wg0.conf" && { [ "$1" = up ] || wait_until 10 is_tidy; }
}
