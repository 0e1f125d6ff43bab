#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: where nothing is wrong, in each shape of the pattern, nothing is found; a guard, or a kill switch,
# that is not what it should be is named first, and mended by what is pasted.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

# shape NAME KIND: the pattern as `wgconf render` makes it of the same file.
shape() {
	quick down >/dev/null 2>&1 || true
	(umask 077 && "$EG" wgconf render --kill-switch "$1" "$BED/${2:-source.conf}" >"$BED/wg0.conf")
	check "$1, ${2:-source.conf}: wg-quick up" quick up
	wait_until 10 carries || fail "$1: the tunnel carries"
}

attach() {
	eg attach --netns wireguard --wg-conf "$BED/wg0.conf" "$@"
}

# --- nothing is wrong ----------------------------------------------------------------------------------

check_equal 'both, and no guard yet: a note' "$(found)" '0 no-guard'
check 'attach' attach
healthy 'both'
shape egressguard
healthy 'a guard alone'
shape iptables
eg detach wireguard >/dev/null
check_equal 'iptables alone: a note' "$(found)" '0 no-guard'
sed 's|^AllowedIPs.*|AllowedIPs = 0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1|' "$BED/source.conf" >"$BED/halves.conf"
shape iptables halves.conf
check_equal 'halves, and iptables: a note' "$(found)" '0 no-guard'
ip -n wireguard route del 203.0.113.9
heals "halves: the endpoint's own route is missing" endpoint-unreachable
shape both

# --- the guard -------------------------------------------------------------------------------------------

check 'attach' attach --audit
heals 'a guard in audit mode' guard-not-enforcing
eg detach wireguard >/dev/null
check 'attach, with another endpoint' eg attach --netns wireguard --endpoint 203.0.113.99:51820
heals 'a guard that knows another endpoint' guard-blocks-endpoint
in_ns wireguard iptables -F OUTPUT
in_ns wireguard ip6tables -F OUTPUT
heals 'the kill switch is gone' kill-switch-missing
eg detach wireguard >/dev/null
