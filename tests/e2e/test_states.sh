#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Everything that becomes of a tunnel while it is guarded: something inside talks to the internet all
# the time, and in no state does a packet of it leave in the clear.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Somebody who does not stop.
talk_start() {
	# shellcheck disable=SC2016 # the inner shell's
	start_in wireguard talk bash -c 'while :; do
		"$1" udp 203.0.113.7:443 --timeout 5
		"$1" udp "[2001:db8:7::7]:443" --timeout 5
		"$1" tcp 203.0.113.7:443 --timeout 5
		"$1" connected "[2001:db8:7::7]:53" --timeout 5
		"$1" icmp 203.0.113.7 --timeout 5
	done' - "$PROBE"
}

carries() {
	probe wireguard tcp 203.0.113.7:443 --timeout 2000 | grep -q '^answer: from 10.13.13.2 ' &&
		probe wireguard udp '[2001:db8:7::7]:443' --timeout 2000 | grep -q '^answer: from fd13::2 '
}

# Nothing is answered, and that is the guard's doing.
is_held() {
	guard_counted wireguard >/dev/null
	! probe wireguard tcp 203.0.113.7:443 --timeout 200 &&
		! probe wireguard udp '[2001:db8:7::7]:443' --timeout 200 &&
		guard_counted wireguard dropped | grep -q '^device public '
}

# tunnel_is_held ADDRESS: the tunnel sends to it, and the guard refuses what it sends. Its answers
# are held back too: they would make the client follow the server back to where it was.
tunnel_is_held() {
	local status=0
	ip -n vpn route add blackhole 172.18.0.0/16
	move_to "$1:$BED_WG_PORT"
	! probe wireguard tcp 203.0.113.7:443 --timeout 500 && refused_of_tunnel "$1" || status=1
	ip -n vpn route delete blackhole 172.18.0.0/16
	return "$status"
}

refused_of_tunnel() { # ADDRESS
	eg status wireguard --json | jq -e --arg address "$1" --argjson port "$BED_WG_PORT" \
		'.guards[0].recent[]|select(.dst==$address and .dport==$port and .reason=="public")'
}

# The peer of wg0 moves.
move_to() {
	in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$1"
}

carries_to() { # ADDRESS
	move_to "$1:$BED_WG_PORT"
	carries
}

lan_works() {
	probe wireguard tcp 192.168.1.10:80 --timeout 2000 | grep -q '^answer: from 172.18.0.2 '
}

state() {
	eg status wireguard --json | jq -r '.guards[0].state'
}

tunnel_state() {
	eg status wireguard --json | jq -r '.guards[0].tunnel_state'
}

bed_up
talk_start

capture_start control internet host0
sleep 0.3
check 'no guard, no tunnel: it is answered in the clear' probe wireguard tcp 203.0.113.7:443
capture_stop control
check_leaks 'no guard, no tunnel: leaks are seen' control

attach=(attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan)
check 'attach before there is a tunnel' eg "${attach[@]}"
capture_start states internet host0

check 'no tunnel yet: held' is_held
check 'no tunnel yet: the LAN' lan_works
check_equal 'no tunnel yet: status' "$(state), $(tunnel_state)" 'enforcing, wg0 absent'

tunnel_up
check 'the tunnel comes: it carries' carries
check 'the tunnel comes: the LAN' lan_works
check_equal 'the tunnel comes: status' "$(state)" enforcing
# What the tunnel's own addresses are is known now.
check 'the tunnel comes: attach again takes its addresses off the LAN' eg "${attach[@]}"
check 'the tunnel comes: attach again changes nothing' grep -q 'nothing changed' <(eg "${attach[@]}" 2>&1)

tunnel_down
check 'wg0 is down: held' is_held
check 'wg0 is down: the LAN' lan_works
check_equal 'wg0 is down: status' "$(state)" enforcing
check 'wg0 is down: status says so' grep -q 'down' <(tunnel_state)
tunnel_up
check 'wg0 is up again: it carries' carries

tunnel_delete
check 'wg0 is deleted: held' is_held
check 'wg0 is deleted: the LAN' lan_works
check_equal 'wg0 is deleted: status' "$(state), $(tunnel_state)" 'enforcing, wg0 absent'
tunnel_up
check 'wg0 is made again: it carries, without another attach' carries
check_equal 'wg0 is made again: status' "$(state)" enforcing

# Another server, or the same in another place.
bed_address vpn eth0 203.0.113.10/24
check 'another endpoint: held' tunnel_is_held 203.0.113.10
check_equal 'another endpoint: status' "$(state)" enforcing
capture_stop states
check_no_leak 'in no state did a packet leave in the clear' states
check 'the capture saw WireGuard' test "$(capture_count states "udp port $BED_WG_PORT")" -gt 0

check 'another endpoint: attach --replace' eg attach --netns wireguard --replace \
	--endpoint "203.0.113.10:$BED_WG_PORT" --dns lan
check 'another endpoint: it carries' wait_until 10 carries_to 203.0.113.10
check 'the old endpoint: held' tunnel_is_held 203.0.113.9
check 'back again: attach --replace' eg "${attach[@]}" --replace
check 'back again: it carries' wait_until 10 carries_to 203.0.113.9

# Something that is no tunnel takes its name. This version covers the interfaces that are there at the
# moment of attach: until the next one, what leaves by it is not held, and status does not claim that
# it is.
forge() {
	bed_link wireguard wg0 internet forged
	bed_address wireguard wg0 10.66.0.2/24
	bed_address internet forged 10.66.0.1/24
	ip -n wireguard route replace default via 10.66.0.1 dev wg0 table "$BED_WG_PORT"
}
by_forged() { # how many packets leave by it
	capture_start forged internet forged 'udp and dst host 203.0.113.7'
	probe wireguard udp 203.0.113.7:443 --bind wg0 --count 5 --timeout 100 >/dev/null || true
	capture_stop forged
	capture_count forged
}
capture_start eth0 internet host0
tunnel_delete
forge
check_equal 'a forged wg0: status' "$(state)" degraded
check 'a forged wg0: status says why' grep -q 'wg0 is declared as the tunnel, but is none' <(eg status)
check_status 'a forged wg0: status --check' 1 eg status wireguard --check
check 'a forged wg0: what leaves by it is seen' test "$(by_forged)" -ge 5
check_status 'a forged wg0: attach refuses it' 1 eg "${attach[@]}"
check 'a forged wg0: and says why' grep -q 'wg0 is not WireGuard but a device of kind veth' \
	<(eg "${attach[@]}" 2>&1)
check_equal 'a forged wg0: but has covered it first' "$(by_forged)" 0
check 'a forged wg0: attach with the real name' eg attach --netns wireguard --replace --tunnel wg1 \
	--endpoint "$BED_ENDPOINT" --dns lan
check_equal 'a forged wg0: status then' "$(state)" enforcing
stop talk
guard_counted wireguard >/dev/null
check_equal 'a forged wg0: nothing leaves by it then' "$(by_forged)" 0
check_equal 'a forged wg0: counted' "$(guard_counted wireguard dropped)" 'device public 5'
capture_stop eth0
check_no_leak 'a forged wg0: nothing left by eth0 all the time' eth0
