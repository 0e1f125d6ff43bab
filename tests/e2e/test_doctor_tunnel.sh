#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: what is wrong with the tunnel itself, and with published ports, is named first.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

# --- published ports ------------------------------------------------------------------------------------

names_first 'the host accepts, and then silence' port-silent --port 8090:8081
names_first 'nobody listens inside' no-service --port 8081:8083
names_first 'nobody listens at the host' port-unreachable --port 8084:8081
check_equal 'a service that says nothing inside either is not the port'\''s fault' \
	"$(found --port 8090:8082)" '0 no-guard service-silent'

# --- what is no command line -----------------------------------------------------------------------------

check_status 'a port that is none' 2 doctor --port 8080
check_status 'a status that is none' 2 doctor --host-port 8080=yes
check_status 'an operand' 2 doctor wireguard
check_status 'a target that is not there' 3 in_ns host "$EG" doctor --netns nobody-has-this-name
doctor --conf "$BED/nothing.conf" >"$BED/doctor.txt" || true
check 'a file that is not there: it cannot tell' grep -q 'wg0.conf .*cannot tell .*No such file' "$BED/doctor.txt"

# --- the tunnel -----------------------------------------------------------------------------------------

ip -n wireguard link set wg0 down
names_first 'wg0 is down' tunnel-down
ip -n wireguard link set wg0 up
quick down >/dev/null 2>&1
names_first 'no wg0' no-tunnel
in_ns vpn wg set wgs0 peer "$(cat "$BED/client.pub")" remove
quick up >/dev/null 2>&1
names_first 'the server does not know this peer' no-handshake
in_ns wireguard iptables -I OUTPUT -d 203.0.113.9 -j DROP
names_first "a rule drops WireGuard's own packets" endpoint-blocked
in_ns wireguard iptables -D OUTPUT -d 203.0.113.9 -j DROP
in_ns vpn wg set wgs0 peer "$(cat "$BED/client.pub")" allowed-ips 10.13.13.2/32,fd13::2/128
check 'the server knows it again' again
check_equal 'and all is well again' "$(found)" '0 no-guard'
in_ns vpn wg set wgs0 peer "$(cat "$BED/client.pub")" remove
names_first 'the server forgets this peer, after a handshake' tunnel-silent
