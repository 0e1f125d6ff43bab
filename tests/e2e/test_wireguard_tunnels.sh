#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# More than one tunnel, and one that is made again: declared ones are free, each to its peers'
# endpoints; a WireGuard interface that nobody declared is an underlay like any other; and WireGuard's
# own port matters where the policy pins it.
# time-limit: 240

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"

BED_LEAK+=" and not ($mine and udp and dst host 203.0.113.9 and dst port 51821)"

# A second server, on another port, and a client of it, beside wg0. The client's second peer is the
# first server, over IPv6.
second_up() {
	local side
	for side in client1 server1; do
		(umask 077 && wg genkey >"$BED/$side.key")
		wg pubkey <"$BED/$side.key" >"$BED/$side.pub"
	done
	bed_wireguard vpn wgs1
	in_ns vpn wg set wgs1 listen-port 51821 private-key "$BED/server1.key" \
		peer "$(cat "$BED/client1.pub")" allowed-ips 10.14.14.2/32
	bed_address vpn wgs1 10.14.14.1/24
	bed_responder vpn 10.14.14.1
	in_ns vpn wg set wgs0 peer "$(cat "$BED/client1.pub")" allowed-ips 10.13.13.4/32
	bed_wireguard wireguard wg1
	in_ns wireguard wg set wg1 private-key "$BED/client1.key" fwmark "$BED_WG_PORT" \
		peer "$(cat "$BED/server1.pub")" allowed-ips 0.0.0.0/0 endpoint 203.0.113.9:51821 \
		peer "$(cat "$BED/server.pub")" allowed-ips 10.13.13.1/32 endpoint "$BED_ENDPOINT6"
	ip -n wireguard link set wg1 mtu 1420
	bed_address wireguard wg1 10.14.14.2/24 10.13.13.4/32
	ip -n internet route add 10.14.14.0/24 via 203.0.113.9
}

# One through each way there is: wg0; wg1 to the internet; wg1 to what looks like LAN; wg1's other peer.
by_wg0() {
	probe wireguard tcp 203.0.113.7:443 --timeout "${1:-1000}" | grep '^answer: from 10.13.13.2 '
}
by_wg1() {
	probe wireguard tcp 203.0.113.7:443 --bind wg1 --timeout "${1:-1000}" | grep '^answer: from 10.14.14.2 '
}
by_wg1_lan() {
	probe wireguard tcp 10.14.14.1:443 --timeout "${1:-1000}" | grep '^answer: from 10.14.14.2 '
}
by_wg1_peer() {
	probe wireguard icmp 10.13.13.1 --bind wg1 --source 10.13.13.4 --timeout "${1:-1000}"
}

held() {
	local way
	for way in "$@"; do
		! "$way" 200 || { echo "$way is answered"; return 1; }
	done
}

status() { # FILTER: of the guard
	eg status wireguard --json | jq -r ".guards[0] | $1"
}

remade() {
	tunnel_delete
	tunnel_create
}

bed_up
tunnel_up
second_up

# --- without a guard -----------------------------------------------------------------------------

capture_start control internet vpn0
for way in by_wg0 by_wg1 by_wg1_lan by_wg1_peer; do
	check "no guard: $way" wait_until 10 "$way"
done
capture_stop control
left_wg1='src host 10.14.14.2 and dst host 203.0.113.7'
check 'no guard: the capture sees what left by wg1, beyond the server' \
	test "$(capture_count control "$left_wg1")" -gt 0

# --- wg1 is not declared ---------------------------------------------------------------------------

check_status 'two tunnels and none named: refused' 2 eg attach --netns wireguard --dns lan
check_status 'wg1 not declared: it has no peer in reach, refused' 5 \
	eg attach --netns wireguard --tunnel wg0 --dns lan
capture_start undeclared internet vpn0
capture_start leaks internet host0
check 'wg1 not declared: attach --accept-device-only' \
	eg attach --netns wireguard --tunnel wg0 --accept-device-only --dns lan
check_equal 'wg1 not declared: it is covered as an underlay' \
	"$(status '.layers[] | select(.name == "device") | .interfaces | sort | join(" ")')" 'eth0 wg1'
check_equal 'wg1 not declared: its endpoints are not learned' "$(status '.endpoints | join(" ")')" \
	"$BED_ENDPOINT"
check 'wg1 not declared: wg0 carries' by_wg0
check 'wg1 not declared: nothing through it is answered' held by_wg1 by_wg1_lan by_wg1_peer
check_equal 'wg1 not declared: blocked are what enters it, and what it sends itself' "$(status '[.recent[] |
	select(.reason == "public" and (.layer == "device" or .layer == "socket")) | "\(.dst).\(.dport)"] | unique | join(" ")')" \
	"2001:db8:9::9.$BED_WG_PORT 203.0.113.7.443 203.0.113.9.51821"
check 'wg1 not declared, but its endpoint is known: attach' eg attach --netns wireguard --tunnel wg0 \
	--endpoint "$BED_ENDPOINT" --endpoint 203.0.113.9:51821 --dns lan --replace
check 'wg1 not declared, but its endpoint is known: the LAN is answered' wait_until 10 by_wg1_lan
check 'wg1 not declared, but its endpoint is known: wg0 carries' by_wg0
check 'wg1 not declared, but its endpoint is known: the internet is not' held by_wg1
capture_stop undeclared
capture_stop leaks
check_equal 'wg1 not declared: nothing for the internet left by it' \
	"$(capture_count undeclared "$left_wg1")" 0
check 'wg1 not declared: the LAN left by it' \
	test "$(capture_count leaks "$mine and udp and dst port 51821")" -gt 0
check_no_leak 'wg1 not declared: nothing left in the clear' leaks

# --- both are ----------------------------------------------------------------------------------------

check 'both declared: attach' eg attach --netns wireguard --tunnel wg0 --tunnel wg1 --dns lan --replace
check_equal 'both declared: each peer has its endpoint' "$(status '.endpoints | sort | join(" ")')" \
	"203.0.113.9:51820 203.0.113.9:51821 $BED_ENDPOINT6"
check_equal 'both declared: nothing is attached to them' \
	"$(status '.layers[] | select(.name == "device") | .interfaces | join(" ")')" eth0
for way in by_wg0 by_wg1 by_wg1_lan by_wg1_peer; do
	check "both declared: $way" wait_until 10 "$way"
done

# --- made again ----------------------------------------------------------------------------------------

bed_wireguard_delete wireguard wg1
before=$(in_ns wireguard wg show wg0 listen-port)
remade
check 'made again: on another port' test "$(in_ns wireguard wg show wg0 listen-port)" != "$before"
check 'made again: carries, without another attach' wait_until 10 by_wg0

in_ns wireguard wg set wg0 listen-port 41000
check '--source-port: attach' eg attach --netns wireguard --tunnel wg0 --source-port 41000 --dns lan \
	--replace
check '--source-port: carries' wait_until 10 by_wg0
guard_counted wireguard >/dev/null
remade
check '--source-port, made again on another: held' held by_wg0
check '--source-port, made again on another: counted' \
	grep '^device not-wireguard ' <(guard_counted wireguard dropped)
check '--source-port, made again on another: status says why' grep -q \
	'^wg0 sends from port [0-9]*, and the policy lets it send from port 41000 only' <(status '.notes[]')
in_ns wireguard wg set wg0 listen-port 41000
check '--source-port, back on its own: carries' wait_until 10 by_wg0
