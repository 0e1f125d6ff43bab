#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A tunnel whose way changes: the server roams, a peer with a new key appears, and the tunnel's MTU is
# above the path's. Nobody follows a peer in this version: what left its endpoint is held and shown,
# until `attach` is told.
# time-limit: 240

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"

later="$mine and ((ip[6:2] & 0x1fff != 0) or (ip6[6] = 44 and ip6[42:2] & 0xfff8 != 0))"
first="$mine and ((ip[6:2] & 0x3fff = 0x2000) or (ip6[6] = 44 and ip6[42:2] & 0xfff9 = 1))"

# server_at ADDRESS FORMER: the server has another address. It says so by sending something.
server_at() {
	bed_address vpn eth0 "$1/24"
	ip -n vpn address delete "$2/24" dev eth0
	ip -n internet route replace 10.13.13.0/24 via "$1"
	# It forgets the address it sent from.
	in_ns vpn wg set wgs0 peer "$(cat "$BED/client.pub")" \
		endpoint "172.18.0.2:$(in_ns wireguard wg show wg0 listen-port)"
	probe vpn icmp 10.13.13.2 --timeout 300 >/dev/null || true
}

# Where the client takes the server to be.
endpoint_is() {
	[ "$(in_ns wireguard wg show wg0 endpoints | awk 'NR == 1 { print $2 }')" = "$1" ]
}

set_endpoint() {
	in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$1"
}

# settle ENDPOINT: both sides have heard of it. Else the server may yet send from where it was, and the
# client follows it back.
settle() {
	set_endpoint "$1"
	wait_until 10 answered 1000 1
}

carries() {
	probe wireguard tcp 10.13.13.1:443 --timeout 1000 | matches '^answer: from 10.13.13.2 '
}

held() {
	! probe wireguard icmp 10.13.13.1 --timeout 200
}

# blocked ADDRESS: WireGuard's packets to it are among what was blocked lately.
blocked() {
	eg status wireguard --json | jq -e --arg address "$1" --argjson port "$BED_WG_PORT" \
		'.guards[0].recent[]|select(.dst == $address and .dport == $port and .reason == "public")'
}

# Keeps what it said.
attach() {
	eg attach --netns wireguard "$@" 2>&1 | tee "$BED/attach.out"
}

said() {
	grep -q "$1" "$BED/attach.out"
}

notes() {
	eg status wireguard --json | jq -r '.guards[0].notes // [] | .[]'
}

endpoints() {
	eg status wireguard --json | jq -r '.guards[0].endpoints | join(" ")'
}

# answered BYTES [SECONDS]: so many bytes inside the tunnel.
answered() {
	in_ns wireguard ping -n -q -M dont -c 1 -W "${2:-${EG_SLOW:-1}}" -s $(($1 - 28)) 10.13.13.1
}

# path_mtu BYTES: of a link beyond the host.
path_mtu() {
	local namespace
	ip -n host link set wan0 mtu "$1"
	ip -n internet link set host0 mtu "$1"
	for namespace in wireguard vpn; do
		ip -n "$namespace" route flush cache
		ip -n "$namespace" -6 route flush cache
	done
}

# fragments_held BYTES: what does not fit is sent, not answered, and counted.
fragments_held() {
	guard_counted wireguard >/dev/null
	! answered "$1" 1 && ! answered "$1" 1 && guard_counted wireguard dropped | grep '^device fragment '
}

bed_up
in_ns vpn sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries'
tunnel_up

# --- without a guard -----------------------------------------------------------------------------

capture_start control internet host0
server_at 203.0.113.10 203.0.113.9
check 'no guard: the client follows the server' wait_until 5 endpoint_is "203.0.113.10:$BED_WG_PORT"
check 'no guard: and reaches it' carries
server_at 203.0.113.9 203.0.113.10
wait_until 5 endpoint_is "$BED_ENDPOINT"
ip -n wireguard link set wg0 mtu 1500
check 'no guard: outer IPv4, more than fits: arrives' answered 1500
ip -n wireguard link set wg0 mtu 1420
settle "$BED_ENDPOINT6"
ip -n wireguard link set wg0 mtu 1500
check 'no guard: outer IPv6, more than fits: arrives' answered 1500
ip -n wireguard link set wg0 mtu 1420
# A way of its own to the endpoint: a router's word on what fits has no mark, so what the kernel's
# WireGuard sends would not hear of it where a mark chooses the way.
ip -n wireguard -6 route add 2001:db8:9::9 via fd00:18::1
path_mtu 1400
check 'no guard: outer IPv6, more than fits further on: arrives' wait_until 10 answered 1420 1
path_mtu 1500
settle "$BED_ENDPOINT"
capture_stop control
check 'no guard: the capture sees it at its new address' \
	test "$(capture_count control "$mine and udp and dst host 203.0.113.10")" -gt 0
for family in ip ip6; do
	check "no guard: the capture sees later fragments of $family" \
		test "$(capture_count control "$family and $later")" -gt 0
done
wait_until 10 carries

# --- roaming ---------------------------------------------------------------------------------------

check 'attach learns the endpoint' attach --dns lan
check_equal 'the endpoint' "$(endpoints)" "$BED_ENDPOINT"
check 'at its endpoint: carries' carries
check_equal 'at its endpoint: status has nothing to note' "$(notes | grep -c 'a peer of')" 0
capture_start roaming internet host0
server_at 203.0.113.10 203.0.113.9
check 'the server roams: the client follows' wait_until 5 endpoint_is "203.0.113.10:$BED_WG_PORT"
check 'the server roams: held' held
check 'the server roams: shown as public' blocked 203.0.113.10
check 'the server roams: status says where it is' grep -q \
	"a peer of wg0 is at 203.0.113.10:$BED_WG_PORT, which the policy does not let it reach" <(notes)
check 'the server roams: the guard itself is well' eg status wireguard --check

# The namespace names a server of its own.
stranger=$(wg genkey | wg pubkey)
in_ns wireguard wg set wg0 peer "$stranger" allowed-ips 10.77.0.0/24 endpoint "203.0.113.7:$BED_WG_PORT" \
	persistent-keepalive 1
check 'a new key: held' wait_until 10 blocked 203.0.113.7
check_status 'attach again is wider, and refused' 1 attach --dns lan
check 'and says what would be wider: where the server is' said "203.0.113.10:$BED_WG_PORT"
check 'and says what would be wider: where the new key is' said "203.0.113.7:$BED_WG_PORT"
check_equal 'nothing has changed' "$(endpoints)" "$BED_ENDPOINT"
check 'still held' held
capture_stop roaming
check_equal 'held: nothing arrived at the new address, nor at the stranger' "$(capture_count roaming \
	"$mine and udp and (dst host 203.0.113.10 or dst host 203.0.113.7)")" 0
check_no_leak 'held: nothing left in the clear' roaming

capture_start fits internet host0
check 'where the endpoints are given, nobody asks the tunnel' attach --dns lan --replace \
	--endpoint "$BED_ENDPOINT" --endpoint "203.0.113.10:$BED_WG_PORT" --endpoint "$BED_ENDPOINT6"
check 'and attach says that the new key is not reached' \
	said "a peer of wg0 is at 203.0.113.7:$BED_WG_PORT, which the policy does not let it reach"
check 'with the new endpoint: carries' wait_until 10 carries
in_ns wireguard wg set wg0 peer "$stranger" remove
server_at 203.0.113.9 203.0.113.10
check 'the server comes back: carries' wait_until 10 carries

# --- more than fits --------------------------------------------------------------------------------

for outer in "$BED_ENDPOINT" "$BED_ENDPOINT6"; do
	settle "$outer"
	check "1420 bytes to $outer: pass" answered 1420
done
capture_stop fits
check_equal 'the new key is never reached' "$(capture_count fits "$mine and dst host 203.0.113.7")" 0
for family in ip ip6; do
	check "1420 bytes over $family: in a packet of 1452" \
		grep -q 'UDP, length 1452$' <(capture_show fits "$family and $mine and udp")
	check_equal "1420 bytes over $family: in no fragments" \
		"$(capture_count fits "$family and (($first) or ($later))")" 0
done
check_equal 'whole packets: status has nothing to note' "$(notes | grep -c fragments)" 0

capture_start fragments internet host0
for outer in "$BED_ENDPOINT6" "$BED_ENDPOINT"; do
	ip -n wireguard link set wg0 mtu 1420
	settle "$outer"
	ip -n wireguard link set wg0 mtu 1500
	check "more than fits to $outer: held, and counted" fragments_held 1500
done
ip -n wireguard link set wg0 mtu 1420
capture_stop fragments
for family in ip ip6; do
	check "more than fits over $family: the first fragment leaves" \
		test "$(capture_count fragments "$family and $first")" -gt 0
	check_equal "more than fits over $family: the later one does not" \
		"$(capture_count fragments "$family and $later")" 0
done
check 'more than fits: status says why' \
	grep -q "fragments, .* the tunnel's MTU is above the path's: lower it (MTU = 1420" <(notes)
check 'with an MTU that fits: carries' wait_until 10 answered 1420 1

# --- more than fits further on -----------------------------------------------------------------------

path_mtu 1400
if [ "$BED_WIREGUARD" = kernel ]; then
	# It lets routers cut its packets: they do so behind the guard.
	check 'a narrow path over ip: carries' wait_until 10 answered 1420 1
else
	skip 'a narrow path over ip' 'wireguard-go does not let routers cut its packets, as the kernel does'
fi
settle "$BED_ENDPOINT6"
check 'a narrow path over ip6: cut by the sender, so held' wait_until 5 fragments_held 1420
ip -n wireguard link set wg0 mtu 1280
check 'a narrow path over ip6: with the MTU that the hint names, carries' answered 1280
check 'at last, the guard is well' eg status wireguard --check
