#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# WireGuard's own packets, from before the tunnel exists until it is gone: each is seen in `device` and
# in `peer`, counted exactly, has the mark, and passes by its endpoint and its shape, over IPv4 and
# IPv6. What is not WireGuard to an endpoint, or WireGuard to a stranger, does not.
# time-limit: 240

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"

sport=40000 # of what others than WireGuard send
bulk_bytes=400000

# What others than WireGuard send: what is not WireGuard to an endpoint, and what looks like it to a
# stranger and to another port of the endpoint's.
strangers=(bad 203.0.113.9 "$BED_WG_PORT" bad 2001:db8:9::9 "$BED_WG_PORT"
	good 203.0.113.7 "$BED_WG_PORT" good 2001:db8:7::7 "$BED_WG_PORT"
	good 203.0.113.9 51821 good 2001:db8:9::9 51821)

shapes() {
	in_ns wireguard "$WIREGUARD" shapes "$sport" "$@"
}

# What the guard counted since attach, of LAYER, allowed or dropped, by REASON.
counted() {
	jq --arg layer "$1" --arg verdict "$2" --arg reason "$3" \
		'.guards[0].counters.by_layer[$layer][$verdict][$reason].packets // 0' "$BED/status.json"
}

passed_rule() { # COUNTER: how many packets
	in_ns wireguard nft list counter inet seen "$1" | sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

# has_left COUNTER
has_left() {
	[ "$(passed_rule "$1")" -gt 0 ]
}

# seen CONDITION: how many packets the capture saw at the endpoint, by awk's `family` (IP, IP6), `sport`
# and `bytes` of payload.
seen() {
	awk '{ n = split($3, from, "."); family = $2; sport = from[n]; bytes = $NF } '"$1"' { count++ }
		END { print count + 0 }' "$BED/out.text"
}

bulk() {
	in_ns wireguard "$WIREGUARD" bulk "$1" "$bulk_bytes"
}

client_port() {
	in_ns wireguard wg show wg0 listen-port
}

# The server starts a handshake, so the client is the one that responds.
server_asks() {
	local peer
	peer=$(cat "$BED/client.pub")
	in_ns vpn wg set wgs0 peer "$peer" remove
	in_ns vpn wg set wgs0 peer "$peer" allowed-ips 10.13.13.2/32,fd13::2/128 \
		endpoint "172.18.0.2:$(client_port)"
	wait_until 10 probe vpn icmp 10.13.13.2 --timeout 300
}

# So many initiations that the client answers with a cookie. They are forged at the internet's: what
# matters is where the answers go.
cookie() {
	in_ns internet "$WIREGUARD" flood "$(cat "$BED/client.pub")" 172.18.0.2 "$(client_port)" \
		203.0.113.9 "$BED_WG_PORT" || return
	wait_until 1 has_left cookies
}

bed_up
# Beyond the host each segment is a packet, and so in the capture.
in_ns host ethtool -K wan0 tx-udp-segmentation off

# --- without a guard -----------------------------------------------------------------------------

capture_start control internet host0 "$mine and udp and src port $sport"
shapes "${strangers[@]}" >"$BED/shapes"
capture_stop control
bad=$(awk '$1 == "bad" { print $2; exit }' "$BED/shapes")
good=$(awk '$1 == "good" { print $2; exit }' "$BED/shapes")
check_equal 'no guard: what is not WireGuard arrives at the endpoint' \
	"$(capture_count control "$to_endpoint")" $((2 * bad))
check_equal 'no guard: what looks like WireGuard arrives elsewhere' \
	"$(capture_count control "not ($to_endpoint)")" $((4 * good))

# --- before there is a tunnel ----------------------------------------------------------------------

check 'attach before there is a tunnel, by --endpoint alone' eg attach --netns wireguard \
	--endpoint "$BED_ENDPOINT" --endpoint "$BED_ENDPOINT6" --dns lan
in_ns wireguard nft -f - <<-EOF
	table inet seen {
		counter with_mark { }
		counter without { }
		counter cookies { }
		counter keepalives { }
		chain out {
			type filter hook postrouting priority 300; policy accept;
			udp dport $BED_WG_PORT udp length 72 counter name cookies
			udp dport $BED_WG_PORT udp length 40 counter name keepalives
			udp dport $BED_WG_PORT udp sport != $sport meta mark $BED_WG_PORT counter name with_mark
			udp dport $BED_WG_PORT udp sport != $sport meta mark != $BED_WG_PORT counter name without
		}
	}
EOF
capture_start out internet host0
shapes "${strangers[@]}" good 203.0.113.9 "$BED_WG_PORT" good 2001:db8:9::9 "$BED_WG_PORT" \
	batch 203.0.113.9 "$BED_WG_PORT" batch 2001:db8:9::9 "$BED_WG_PORT" >"$BED/shapes"
batch=$(awk '$1 == "batch" { print $2; exit }' "$BED/shapes")
others=$((2 * good + 2 * batch)) # of these, what is to arrive
in_ns wireguard nft reset counters table inet seen >/dev/null

# --- the tunnel ------------------------------------------------------------------------------------

check 'the tunnel comes up' tunnel_up
start_in vpn bulk-server "$WIREGUARD" bulk-server "$BED/bulk.ready" 10.13.13.1 fd13::1
wait_until 10 test -e "$BED/bulk.ready"
check 'outer IPv4: IPv4 inside' grep -q '^answer: from 10.13.13.2 ' \
	<(probe wireguard tcp 203.0.113.7:443 --timeout 2000)
check 'outer IPv4: IPv6 inside' grep -q '^answer: from fd13::2 ' \
	<(probe wireguard tcp '[2001:db8:7::7]:443' --timeout 2000)
check 'outer IPv4: bulk TCP, IPv4 inside' bulk 10.13.13.1
check 'outer IPv4: bulk TCP, IPv6 inside' bulk fd13::1
check 'outer IPv4: batches of UDP inside' probe wireguard udp 10.13.13.1:9999 --count 20 --size 13920 \
	--segment 1392 --timeout 2000
check 'outer IPv4: the server asks, and is answered' server_asks
check 'outer IPv4: under load, a cookie leaves' wait_until 20 cookie

in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$BED_ENDPOINT6" \
	persistent-keepalive 1
check 'outer IPv6: IPv4 inside' wait_until 10 probe wireguard tcp 203.0.113.7:443 --timeout 1000
check 'outer IPv6: IPv6 inside' probe wireguard tcp '[2001:db8:7::7]:443' --timeout 2000
check 'outer IPv6: bulk TCP' bulk 10.13.13.1
check 'a keepalive leaves' wait_until 10 has_left keepalives

# --- the count ---------------------------------------------------------------------------------------

# Nothing of the tunnel's is sent any more.
tunnel_delete
capture_stop out
eg status wireguard --json >"$BED/status.json"
capture_show out "$to_endpoint" >"$BED/out.text"
total=$(seen 1)
check_equal 'device counts what arrives, exactly' "$(counted device allowed endpoint)" "$total"
check_equal 'peer counts what arrives, exactly' "$(counted peer allowed endpoint)" "$total"
check_equal "each of the tunnel's packets has its mark" \
	"$(passed_rule with_mark), $(passed_rule without)" "$((total - others)), 0"
for kind in 'initiations 148' 'responses 92' 'cookies 64' 'keepalives 32' 'full data messages 1452'; do
	check "${kind% *} of ${kind##* } bytes were among them" \
		test "$(seen "sport != $sport && bytes == ${kind##* }")" -gt 0
done
for family in IP IP6; do
	check "bulk went over outer $family" \
		test "$(seen "family == \"$family\" && sport != $sport && bytes == 1452")" -gt 200
done
check_equal "of what others sent to the endpoint, WireGuard's shapes arrived" \
	"$(seen "sport == $sport")" "$others"
check_equal 'what is not WireGuard was dropped' "$(counted device dropped not-wireguard)" $((2 * bad))
check_equal 'WireGuard to strangers was dropped' "$(counted device dropped public)" $((4 * good))
check_equal 'peer had nothing to drop' \
	"$(jq '[.guards[0].counters.by_layer.peer.dropped[].packets] | add' "$BED/status.json")" 0
check_no_leak 'nothing left in the clear' out
