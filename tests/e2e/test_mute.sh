#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A container's network that is kept mute until it is sealed, as a runtime's hooks do it one after the other.
# Whatever goes wrong in them, it is mute, or guarded, or not started.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CONFIG=$BED/etc
mkdir -p "$CONFIG/templates"
printf '[WireGuard]\nEndpoint = 203.0.113.9:51820\n' >"$CONFIG/templates/strict.conf"

# hook [WRAPPER... --] [OPTION...]: what a runtime tells of the namespace `fresh`.
hook() {
	local wrapper=()
	if [[ " $* " == *' -- '* ]]; then
		while [ "$1" != -- ]; do
			wrapper+=("$1")
			shift
		done
		wrapper+=(--)
		shift
	fi
	printf '{"ociVersion":"1.0.2","id":"aaaaaaaaaaaaaaaa","status":"created","pid":%d,"bundle":"/"}' \
		"${BED_PIDS[inside]}" | in_ns host ${wrapper[@]+"${wrapper[@]}"} "$EG" oci-hook "$@" >"$BED/said" 2>&1
}
seal() { # [WRAPPER... --] [OPTION...]
	hook "$@" --policy strict --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
}
# As a new container's: nothing but lo, and a process that waits.
fresh() {
	! running inside || stop inside
	! [ -e /run/netns/fresh ] || ip netns delete fresh
	bed_namespace fresh
	start_in fresh inside sleep 1000
	wait_until 20 test "/proc/${BED_PIDS[inside]}/ns/net" -ef /run/netns/fresh
}
rules() {
	{ ip -n fresh rule && ip -n fresh -6 rule; } | grep -c blackhole
}
is_mute() {
	[ "$(rules)" = 4 ]
}
speaks() {
	[ "$(rules)" = 0 ]
}
# As an engine does it, with all that it looks up.
connect() {
	ip -n host link delete veth-fresh 2>/dev/null || true
	bed_link host veth-fresh fresh eth0 && ip -n host link set veth-fresh master br0 up
	bed_address fresh eth0 172.18.0.3/16 fd00:18::3/64
	ip -n fresh route get 172.18.0.1 && ip -n fresh -6 route get fd00:18::1
	bed_route fresh default 172.18.0.1 default fd00:18::1
}
answers() {
	probe host icmp "$1" --timeout 500
}
enforces() {
	eg status --json | jq -e '.guards[] | select(.state == "enforcing")' >/dev/null
}
guards() {
	guard_places | grep -c -v '^_'
}

ip netns add host
bed_sysctl host ipv6/conf/default/accept_dad=0
ip -n host link add br0 type bridge forward_delay 0
bed_address host br0 172.18.0.1/16 fd00:18::1/64

# --- in turn ---------------------------------------------------------------------------------------------
fresh
check 'first of all: mute' hook --mute
check 'it is' is_mute
check 'it can be connected' connect
check 'IPv4: it does not answer' eval '! answers 172.18.0.3'
check 'IPv6: it does not answer' eval '! answers fd00:18::3'
check 'sealed, and to be sealed again' seal --late
check 'it is mute still' is_mute
check 'sealed for good' seal
check 'it speaks' speaks
check 'IPv4: it answers the LAN' answers 172.18.0.3
check 'IPv6: it answers the LAN' answers fd00:18::3
check_equal 'by one guard' "$(guards)" 1
check 'one that has an interface' hook --mute
check 'is left as it is' speaks
stop inside
start_in host inside sleep 1000
wait_until 20 test "/proc/${BED_PIDS[inside]}/ns/net" -ef /run/netns/host
check_status "the engine's own" 2 hook --mute
check "is refused, and why" grep -q 'the network namespace of its engine' "$BED/said"
check 'and can speak' eval '! ip -n host rule | matches blackhole'

# --- what goes wrong ---------------------------------------------------------------------------------------
# labels FROM [OPTION...]: the calls of sockets and threads that a hook makes, from the one that begins so.
labels() {
	sed -n "/ $1/,\$p" "$BED/log" | sed -n 's/^[nt] . [0-9]* \([^ ]*\) .*/\1/p'
}
faults=0 wrong=()
fresh
hook "$BUILD/tests/inject" --log "$BED/log" -- --mute
for label in $(labels 'sendto#1'); do
	for action in ENOMEM kill; do
		fresh
		faults=$((faults + 1))
		! hook "$BUILD/tests/inject" --fault "$label=$action" -- --mute || is_mute || wrong+=("$label=$action")
	done
done
check 'muting: calls that can fail' test "$faults" -ge 20
check_equal 'each of them: mute, or not started' "${wrong[*]}" ''

faults=0 wrong=()
fresh
hook --mute
connect >/dev/null
seal --late
seal "$BUILD/tests/inject" --log "$BED/log" --
last=$(sed -n 's/.* \(sendto#[0-9]*\) message type 34$/\1/p' "$BED/log" | tail -1) # RTM_GETRULE
for label in $(labels "$last "); do
	for action in ENOMEM kill; do
		fresh
		hook --mute
		connect >/dev/null
		faults=$((faults + 1))
		if seal "$BUILD/tests/inject" --fault "$label=$action" --; then
			enforces && speaks || wrong+=("$label=$action: started")
		elif speaks; then
			enforces || wrong+=("$label=$action: speaks")
		fi
	done
done
check 'letting it speak: calls that can fail' test "$faults" -ge 6
check_equal 'each of them: mute, or guarded' "${wrong[*]}" ''
