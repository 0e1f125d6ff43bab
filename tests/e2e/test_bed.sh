#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The bed itself, without a guard: the tunnel carries, and when it is down the same probe leaks. What
# other tests conclude from silence rests on this.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

answers_from() { # ADDRESS NAMESPACE WAY DESTINATION...
	local from=$1
	shift
	probe "$@" | matches "^answer: from $from "
}

bed_up
tunnel_up

# --- up: through the tunnel ----------------------------------------------------------------------
capture_start up-host internet host0
capture_start up-vpn internet vpn0
check 'tunnel: TCP over IPv4' answers_from 10.13.13.2 wireguard tcp 203.0.113.7:443
check 'tunnel: TCP over IPv6' answers_from fd13::2 wireguard tcp '[2001:db8:7::7]:443'
check 'tunnel: UDP over IPv4' answers_from 10.13.13.2 wireguard udp 203.0.113.7:443
check 'tunnel: UDP over IPv6' answers_from fd13::2 wireguard udp '[2001:db8:7::7]:443'
check 'tunnel: connected UDP' answers_from 10.13.13.2 wireguard connected 203.0.113.7:443
check 'tunnel: echo over IPv4' probe wireguard icmp 203.0.113.7
check 'tunnel: echo over IPv6' probe wireguard icmp 2001:db8:7::7
check 'tunnel: the server answers inside it' probe wireguard tcp 10.13.13.1:53
capture_stop up-host
capture_stop up-vpn
check_no_leak 'nothing in the clear while the tunnel carries' up-host
check 'the capture sees WireGuard' test "$(capture_count up-host 'udp port 51820')" -gt 0
check 'the capture beyond the tunnel sees the probes' \
	test "$(capture_count up-vpn 'host 203.0.113.7 and src 10.13.13.2')" -gt 0

# --- the LAN -------------------------------------------------------------------------------------
check 'LAN: IPv4' answers_from 172.18.0.2 wireguard tcp 192.168.1.10:80
check 'LAN: IPv6' answers_from fd00:18::2 wireguard udp '[fd00:1::10]:53'
check 'LAN: the bridge' answers_from 172.18.0.2 wireguard tcp 172.18.0.1:80

# --- each way to leak is seen --------------------------------------------------------------------
leak_seen() { # NAME FILTER WAY DESTINATION [OPTION VALUE]...
	local name=$1 filter=$2
	shift 2
	capture_start leak internet host0 "$filter"
	probe wireguard "$@" || true
	capture_stop leak
	check_leaks "leak: $name" leak
}
packet=(--interface eth0 --mac "$BED_HOST_MAC" --source 172.18.0.2)
packet6=(--interface eth0 --mac "$BED_HOST_MAC" --source fd00:18::2)
leak_seen 'a forged mark' 'src 172.18.0.2' udp 203.0.113.7:443 --mark 51820
leak_seen 'bound to eth0' 'src 172.18.0.2' udp 203.0.113.7:443 --bind eth0
leak_seen 'packet socket' 'src 172.18.0.2' packet 203.0.113.7:443 "${packet[@]}"
leak_seen 'packet socket past the qdisc' 'src 172.18.0.2' bypass 203.0.113.7:443 "${packet[@]}"
leak_seen 'packet socket, IPv6' 'src fd00:18::2' packet '[2001:db8:7::7]:443' "${packet6[@]}"
leak_seen 'raw with a mark' 'src 172.18.0.2' raw 203.0.113.7:443 --source 172.18.0.2 --mark 51820
leak_seen 'raw with a forged source' 'src 203.0.113.200' \
	raw 203.0.113.7:443 --source 203.0.113.200 --mark 51820
leak_seen 'raw IPv6' 'src fd00:18::2' raw '[2001:db8:7::7]:443' --source fd00:18::2 --mark 51820

# --- down: the same probes leave in the clear ------------------------------------------------------
tunnel_down
capture_start down internet host0
check 'down: TCP leaks over IPv4' answers_from 172.18.0.2 wireguard tcp 203.0.113.7:443
check 'down: TCP leaks over IPv6' answers_from fd00:18::2 wireguard tcp '[2001:db8:7::7]:443'
check 'down: UDP leaks' answers_from 172.18.0.2 wireguard udp 203.0.113.7:53
capture_stop down
check_leaks 'down: the capture sees it' down
check_equal 'a count is exact' "$(
	capture_start exact internet host0 'udp port 9999'
	probe wireguard udp 203.0.113.7:9999 --count 100 >/dev/null
	capture_stop exact
	capture_count exact 'dst port 9999'
)" 100

# --- and back --------------------------------------------------------------------------------------
tunnel_up
check 'up again' answers_from 10.13.13.2 wireguard tcp 203.0.113.7:443
check 'up again, IPv6' answers_from fd13::2 wireguard tcp '[2001:db8:7::7]:443'
tunnel_delete
check 'deleted: it leaks' answers_from 172.18.0.2 wireguard tcp 203.0.113.7:443
tunnel_up
check 'made again' answers_from 10.13.13.2 wireguard tcp 203.0.113.7:443
check 'made again, IPv6' answers_from fd13::2 wireguard tcp '[2001:db8:7::7]:443'

# --- no way out --------------------------------------------------------------------------------------
# The namespaces' only links lead to each other: nothing here is connected to the machine's own.
check_equal 'the namespace around the bed has nothing but lo' \
	"$(ip -o link show | sed 's/^[0-9]*: //; s/[:@].*//' | tr '\n' ' ')" 'lo '
