#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The layer `netns`: what an interface lets out that appears while traffic flows, from its first
# packet on. Whoever holds the layer is stopped (SIGSTOP) where it must not get to put `device` and
# `peer` there, so that it is `netns` alone that is looked at.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

FEATURE='if .features.netfilter_link.present then "not held" else "not available" end'
LEAKS=(203.0.113.50 2001:db8:7::50)

attach() { # [OPTION...]
	"$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" "$@"
}
hold() { # returns when it is held
	start holder "$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan \
		--endpoint "$BED_ENDPOINT" --foreground
	wait_until 10 grep -q 'following the guard' "$BED/holder.log" || {
		cat "$BED/holder.log"
		return 1
	}
}
# Not while it has the lock, or no other command gets anywhere.
freeze() {
	while :; do
		kill -STOP "${BED_PIDS[holder]}"
		! flock -n "$EG_PIN_DIR" true || return 0
		thaw
		sleep 0.02
	done
}
thaw() {
	kill -CONT "${BED_PIDS[holder]}"
}
netns_layer() { # FILTER
	eg status wireguard --json | jq -r ".guards[0].layers[] | select(.name == \"netns\") | $1"
}

# The other side of what appears: not a capture, which may lose some.
far_up() {
	bed_namespace far
	bed_address far lo 203.0.113.50/32 2001:db8:7::50/128
	in_ns far nft -f - <<'END'
table inet arrived {
	counter leaked {}
	counter lan {}
	chain in {
		type filter hook prerouting priority -500;
		iifname "lo" accept
		ip daddr 203.0.113.0/24 counter name leaked
		ip6 daddr 2001:db8::/32 counter name leaked
		ip saddr 203.0.113.0/24 counter name leaked
		ip daddr 172.30.0.1 udp dport 7001 counter name lan
		ip6 daddr fd00:30::1 udp dport 7001 counter name lan
	}
}
END
}
arrived() { # COUNTER
	in_ns far nft -j list counter inet arrived "$1" | jq '.nftables[]|select(.counter)|.counter.packets'
}
forget() {
	in_ns far nft reset counters table inet arrived >/dev/null
}
has_arrived() { # COUNTER
	[ "$(arrived "$1")" -gt 0 ]
}

# appear NAME: as when a container is connected to one more network.
appear() {
	ip -n far link add "$1" type veth peer name far0
	bed_address far far0 172.30.0.1/24 fd00:30::1/64
	ip -n far link set "$1" netns wireguard
	lead_out "$1"
}
lead_out() { # NAME
	ip -n wireguard -batch - <<-END
		address add 172.30.0.2/24 dev $1
		address add fd00:30::2/64 dev $1 nodad
		link set $1 up
		route add 203.0.113.50/32 via 172.30.0.1
		route add 2001:db8:7::50/128 via fd00:30::1
	END
}
vanish() { # NAME
	ip -n wireguard link delete "$1"
}

# Whoever talks all the time: both families, as UDP and as raw packets with a mark of their own.
talk() {
	: >"$BED/talk"
	# shellcheck disable=SC2016 # the inner shell's
	for destination in "${LEAKS[0]}:7001" "[${LEAKS[1]}]:7001"; do
		start_in wireguard "talk-$destination" bash -c 'while [ -e "$3" ]; do
			"$1" udp "$2" --count 100 --gap 500 --timeout 0 --mark 51820
		done' - "$PROBE" "$destination" "$BED/talk"
	done
	# shellcheck disable=SC2016 # the inner shell's
	start_in wireguard talk-raw bash -c 'while [ -e "$3" ]; do
		"$1" raw "$2" --source 172.30.0.2 --count 100 --gap 500
	done' - "$PROBE" "${LEAKS[0]}:7001" "$BED/talk"
}
hush() {
	rm -f "$BED/talk"
	for name in "${!BED_PIDS[@]}"; do
		case $name in
		talk-*) stop "$name" ;;
		esac
	done
}
lan_passes() {
	probe wireguard udp 172.30.0.1:7001 --timeout 0
	probe wireguard udp '[fd00:30::1]:7001' --timeout 0
	wait_until 5 has_arrived lan
}
far_mac() {
	ip -n far -j link show far0 | jq -r '.[0].address'
}

bed_up
far_up
talk

# --- without the layer ---------------------------------------------------------------------------

check 'attach' attach
check_equal 'nobody holds it' "$(netns_layer .state)" \
	"$("$EG" features --json | jq -r "$FEATURE")"
appear eth1
check 'control: without the layer packets leave by the new interface' wait_until 10 has_arrived leaked
check_equal 'the status says so' "$(state wireguard)" degraded
vanish eth1

if [ "$(netns_layer .state)" = 'not available' ]; then
	check 'this kernel has no such layer: status says so' grep -q 'Linux 6.4' <(netns_layer .detail)
	hold
	check 'and so does attach' grep -q 'the layer .netns. is not available' "$BED/holder.log"
	appear eth1
	check 'but the interface is guarded soon' wait_until 10 grep -q 'eth1 is guarded' "$BED/holder.log"
	forget
	sleep 1
	check_equal 'and then nothing leaves by it' "$(arrived leaked)" 0
	hush
	exit
fi

# --- the layer alone -----------------------------------------------------------------------------

hold
check_equal 'held' "$(netns_layer .state)" attached
check 'by a process' grep -q 'held by a process, priority 2147483646' <(netns_layer .detail)
check_equal 'enforcing' "$(state wireguard)" enforcing

freeze
forget
guard_counted wireguard
appear eth1
sleep 1
check_equal 'nothing leaves, from the first packet' "$(arrived leaked)" 0
guard_counted wireguard dropped >"$BED/counted"
check 'it was netns that dropped them' grep -q '^netns public [1-9]' "$BED/counted"
check 'and nobody else' test -z "$(grep '^peer' "$BED/counted")"
check 'the LAN of that interface is reached' lan_passes
check_status 'whoever sends is told at once' 3 probe wireguard udp "${LEAKS[0]}:9" --timeout 0
check 'what was blocked names the layer' jq -e '[.guards[0].recent[] |
	select(.layer == "netns" and .reason == "public" and .dst == "203.0.113.50")] | length > 0' \
	<(eg status wireguard --json)
eg events wireguard --json --count 1000 --duration 3 >"$BED/events" || true
check 'so do events, with the interface' jq -e -s 'map(select(.layer == "netns" and .ifname == "eth1" and
	.reason == "public" and .verdict == "drop" and .family == "ipv4" and .dst == "203.0.113.50" and
	.dport == 7001)) | length > 0' "$BED/events"
check 'and IPv6' jq -e -s 'map(select(.layer == "netns" and .dst == "2001:db8:7::50")) | length > 0' \
	"$BED/events"

# What is one packet here is fragments below: it is judged whole.
guard_counted wireguard
probe wireguard udp "${LEAKS[0]}:7009" --size 4000 --timeout 0 || true
probe wireguard raw "${LEAKS[0]}:7009" --source 203.0.113.99 || true
check 'a forged source' grep -q '^netns source 1$' <(guard_counted wireguard dropped)
check_equal 'big, forged: nothing leaves' "$(arrived leaked)" 0

# What verify sends is counted apart here, too. By an interface that only this layer judges it finds a
# leak: packet sockets.
of_verify() { # JQ-FILE: what of it the layer blocked, by its test addresses
	jq -s '[.[] | select(.layer == "netns" and (.dst == "198.51.100.222" or .dst == "2001:db8:6567:7264::222"))]' "$1"
}
blocked_of() { # JQ: of the guard's counters
	eg status wireguard --json | jq "[.guards[0].counters.$1[].packets] | add"
}
start watch "$EG" events --pin-dir "$EG_PIN_DIR" wireguard --json
sleep 0.5
ip -n wireguard route add 2001:db8:6567:7264::222/128 via fd00:30::1 # or IPv6 gets no further than the routes
before=$(blocked_of probes.dropped)
status=0
eg verify wireguard --json >"$BED/verify" || status=$?
check_equal 'verify: a leak' "$status" 4
stop watch
grep '^{' "$BED/watch.log" | grep '"type":"packet"' >"$BED/watched" || true
of_verify "$BED/watched" >"$BED/of-verify"
check 'verify: ordinary sockets are stopped by netns' jq -e '[.underlays[] | select(.name == "eth1").rows[] |
	select((.name == "udp" or .name == "udp6") and .result == "stopped" and .layer == "netns")] | length == 2' "$BED/verify"
check 'verify: its events at netns' jq -e 'length > 8' "$BED/of-verify"
check 'verify: all of them are marked as probes' jq -e 'all(.probe)' "$BED/of-verify"
check 'verify: and counted as such' test "$(blocked_of probes.dropped)" -gt "$before"
eg status wireguard --json | jq -c '.guards[0].recent[]' >"$BED/recent"
check_equal 'verify: nothing of it in what was blocked lately' "$(of_verify "$BED/recent")" '[]'
forget

# The known limit, which status and the manual name.
probe wireguard packet "${LEAKS[0]}:7001" --interface eth1 --source 172.30.0.2 \
	--mac "$(far_mac)" || true
check 'a packet socket is not seen by it' wait_until 5 has_arrived leaked
forget

# --- then the other layers -----------------------------------------------------------------------

thaw
check 'then device and peer are put there' wait_until 10 grep -q \
	'eth1 is guarded: .device. and .peer. are on it' "$BED/holder.log"
guard_counted wireguard
sleep 0.5
guard_counted wireguard dropped >"$BED/counted"
check 'and device drops' grep -q '^device public [1-9]' "$BED/counted"
check 'while netns does not judge what device covers' test -z "$(grep '^netns' "$BED/counted")"
forget
probe wireguard packet "${LEAKS[0]}:7001" --interface eth1 --source 172.30.0.2 \
	--mac "$(far_mac)" || true
sleep 0.3
check_equal 'packet sockets, too' "$(arrived leaked)" 0
vanish eth1
check 'gone: said' wait_until 5 grep -q 'eth1 is gone' "$BED/holder.log"
pins_of_one() {
	[ "$(find "$EG_PIN_DIR/wireguard" -name 'link_*' -o -name 'filter_*' | wc -l)" = 2 ]
}
check 'gone: its pins, too' wait_until 5 pins_of_one

# --- without a stop in between: as it happens -------------------------------------------------------

forget
for round in 1 2 3 4 5 6 7 8; do
	appear "eth$round"
	sleep 0.2
	vanish "eth$round"
done
check_equal 'eight interfaces come and go: nothing leaves' "$(arrived leaked)" 0

# --- names -------------------------------------------------------------------------------------

freeze
forget
appear eth1
ip -n wireguard link set eth1 down
ip -n wireguard link set eth1 name wg0
ip -n wireguard link set wg0 up
ip -n wireguard route add 203.0.113.50/32 via 172.30.0.1
sleep 0.5
check_equal 'renamed to wg0: nothing leaves' "$(arrived leaked)" 0
vanish wg0
appear wg0
sleep 0.5
check_equal 'a veth made as wg0: nothing leaves' "$(arrived leaked)" 0
vanish wg0
thaw

# --- the tunnel ----------------------------------------------------------------------------------

tunnels() { # the packets that `netns` let out through the tunnel
	eg status wireguard --json | jq '.guards[0].counters.by_layer.netns.allowed.tunnel.packets'
}
# Not an address that looks like LAN.
tunnel_carries() {
	probe wireguard icmp 203.0.113.7 --timeout 300
}
check 'the tunnel is made' tunnel_up
check 'it carries packets' wait_until 10 tunnel_carries
check 'counted as the tunnel'"'"'s' test "$(tunnels)" -gt 0
tunnel_delete
if [ "$BED_WIREGUARD" = kernel ]; then
	freeze
	tunnel_create
	check 'made again: it carries packets at once' wait_until 10 tunnel_carries
	tunnel_delete
else
	freeze
	tunnel_create
	check 'a tun is free only when WireGuard was asked for it' test -z \
		"$(tunnel_carries | grep answer:)"
	thaw
	check 'then it is' wait_until 10 tunnel_carries
	check 'which is told' grep -q 'wg0 is the tunnel, and free' "$BED/holder.log"
	tunnel_delete
	freeze
fi
forget
appear wg0
sleep 0.5
check_equal 'replaced by a veth of its name: nothing leaves' "$(arrived leaked)" 0
vanish wg0
thaw

# --- policies ------------------------------------------------------------------------------------

freeze
appear eth1
forget
check 'another policy, while the holder sleeps' attach --replace --audit
# attach has put `device` there: what appears now has only `netns`.
vanish eth1
forget
guard_counted wireguard
appear eth2
check 'audit: what it allows leaves' wait_until 5 has_arrived leaked
check 'audit: counted as what would be dropped' grep -q '^netns public [1-9]' \
	<(guard_counted wireguard would_drop)
check 'back, while it sleeps' attach
vanish eth2
forget
appear eth3
sleep 0.5
check_equal 'enforcing again: nothing leaves' "$(arrived leaked)" 0
vanish eth3
thaw
check 'the holder has seen it' wait_until 10 grep -q 'the policy was replaced' "$BED/holder.log"
hush
