#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A tunnel that was made in another namespace and moved into the guarded one: what carries it leaves from
# there, past every layer of the guard, wherever the tunnel's peers are by now. `attach`, `status` and
# `verify` say so, and nothing of it where the tunnel was made in here, is down, or has nowhere to send.
# time-limit: 120

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"

SAYS='wg0 has no UDP socket in this namespace: its outer packets leave from another one, .* and the guard does not see them'

attach() {
	eg attach --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" 2>&1 | tee "$BED/attach.out"
}
is() {
	[ "$(state wireguard)" = "$1" ]
}
# made_in NAMESPACE: wg0, then moved to where it belongs, and configured there.
made_in() {
	bed_wireguard "$1" wg0
	ip -n "$1" link set wg0 netns wireguard
	in_ns wireguard wg set wg0 private-key "$BED/client.key" listen-port 51821
}
carries() {
	probe wireguard icmp 10.13.13.1 --timeout 1000
}
# sent_by ADDRESS [TO]: how many of WireGuard's packets reach the internet from there.
sent_by() {
	capture_count outer "udp and src host $1 and dst host ${2:-203.0.113.9} and dst port $BED_WG_PORT"
}
# seen: what the guard counted of that since guard_counted.
seen() {
	local before verdict
	before=$(cat "$BED/wireguard.counted")
	for verdict in allowed dropped; do
		printf '%s\n' "$before" >"$BED/wireguard.counted"
		guard_counted wireguard "$verdict" | grep -E ' (endpoint|not-wireguard|public) ' || true
	done
}
# verified NAME STATUS PATTERN ARGUMENT...: verify exits so, and says that.
verified() {
	check_status "$1" "$2" eg verify "${@:4}"
	cp "$BED/check.out" "$BED/verify.out"
	check "$1: and says why" grep -q "$3" "$BED/verify.out"
}
# well NAME
well() {
	check_equal "$1: status" "$(state wireguard)" enforcing
	check "$1: status --check" eg status wireguard --check
}

bed_up
tunnel_up

# --- made in here --------------------------------------------------------------------------------------

check 'made here: attach' attach
check_equal 'made here: attach warns of nothing' "$(grep -c 'UDP socket' "$BED/attach.out")" 0
well 'made here'
in_ns wireguard wg set wg0 listen-port 51822
check 'made here: from another port: carries' wait_until 10 carries
well 'made here: from another port'
guard_counted wireguard
capture_start outer internet host0
check 'made here: carries' wait_until 5 carries
capture_stop outer
check 'made here: the guard has seen it' grep -q endpoint <(seen)
check 'made here: what carries it leaves from here' [ "$(sent_by 172.18.0.2)" -gt 0 ]
check_equal 'made here: and from nowhere else' "$(sent_by 192.168.1.10)" 0
tunnel_delete

# --- made in another one -------------------------------------------------------------------------------

made_in lan
check_equal 'made elsewhere, not up yet: status' "$(state wireguard)" enforcing
check 'made elsewhere, not up yet: attach' attach
check_equal 'made elsewhere, not up yet: attach warns of nothing' "$(grep -c 'UDP socket' "$BED/attach.out")" 0
tunnel_configure
check 'made elsewhere: carries' wait_until 10 carries
guard_counted wireguard
capture_start outer internet host0
check 'made elsewhere: carries still' wait_until 5 carries
# Nobody inside is asked where that is.
in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "203.0.113.7:$BED_WG_PORT"
carries >/dev/null || true
check_equal 'made elsewhere: the guard has seen nothing of it' "$(seen)" ''
capture_stop outer
check 'made elsewhere: what carries it leaves from there' [ "$(sent_by 192.168.1.10)" -gt 0 ]
check_equal 'made elsewhere: and not from here' "$(sent_by 172.18.0.2)" 0
check 'made elsewhere: even to a stranger' [ "$(sent_by 192.168.1.10 203.0.113.7)" -gt 0 ]
in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$BED_ENDPOINT"
check 'made elsewhere: back at its server' wait_until 10 carries
check_equal 'made elsewhere: status' "$(state wireguard)" degraded
check 'made elsewhere: and why' grep -q "$SAYS" <(eg status wireguard --json | jq -r '.guards[0].detail')
check 'made elsewhere: for people' grep -q "$SAYS" <(eg status wireguard)
check_status 'made elsewhere: status --check' 1 eg status wireguard --check
check 'made elsewhere: attach' attach
check 'made elsewhere: attach warns' grep -q "warning: $SAYS" "$BED/attach.out"
# Each packet of it takes its time in an emulated machine, and no kernel has a part in it.
if [ -z "${EG_VM:-}" ]; then
	verified 'made elsewhere: verify cannot tell' 1 "but the guard is degraded: .*$SAYS" wireguard
	check 'made elsewhere: verify says so of the tunnel' \
		grep -q 'wg0 .*what carries it leaves from another namespace' "$BED/verify.out"
	check 'detach' eg detach wireguard
	verified 'made elsewhere: verify without a guard' 4 "but $SAYS" --netns wireguard
	check 'attach' attach
fi
tunnel_down
well 'made elsewhere, down'
tunnel_link_up
check 'made elsewhere, up again: status' wait_until 5 is degraded
tunnel_delete
well 'absent'

# --- made in one that is gone ----------------------------------------------------------------------------

if [ "$BED_WIREGUARD" = kernel ]; then
	bed_namespace maker
	made_in maker
	tunnel_configure
	check 'made in one that will be gone: status' wait_until 5 is degraded
	ip netns delete maker
	check 'made in one that is gone: it has nowhere to send' wait_until 10 is enforcing
	tunnel_delete
fi

tunnel_up
check 'made here again: attach' attach
check_equal 'made here again: attach warns of nothing' "$(grep -c 'UDP socket' "$BED/attach.out")" 0
well 'made here again'
check 'detach' eg detach wireguard
