# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A small bed for what root inside can do to its own interfaces. Sourced after lib.sh.
#
#   remapped  eth0 172.18.0.2 --- \ br0 172.18.0.1      wan0 198.51.100.2 --- host0 198.51.100.1
#   plain     eth0 172.18.0.3 --- / 192.168.1.10 (LAN)
#                                      host                              internet 203.0.113.7
#
# `remapped` belongs to a user namespace of its own, as the engines make it under userns-remap:
# whoever is root in there has NET_ADMIN in there and nowhere else. `plain` belongs to ours, as engines
# make it otherwise; who acts there has NET_ADMIN and NET_RAW and no other capability.
#
# Nothing answers, and nothing has to be resolved. Each attack has a UDP port of its own, so all of
# them are sent one after the other and counted at the end: what reached the host (the LAN, or the next
# hop on the way out), behind everything a guard has, and what reached the internet.

INSIDE_LAN=192.168.1.10
INSIDE_PUBLIC=203.0.113.7

inside_bed_up() {
	local namespace
	ip netns add host
	ip netns add internet
	ip -n host -batch - <<-EOF
		link set lo up
		link add br0 address $BED_HOST_MAC type bridge forward_delay 0 mcast_snooping 0
		link set br0 up
		address add 172.18.0.1/16 dev br0
		address add $INSIDE_LAN/32 dev lo
		link add wan0 address 02:00:00:00:00:02 type veth peer name host0 address 02:00:00:00:00:03 netns internet
		address add 198.51.100.2/24 dev wan0
		link set wan0 up
		neighbour add 198.51.100.1 lladdr 02:00:00:00:00:03 dev wan0
		route add default via 198.51.100.1
	EOF
	ip -n internet -batch - <<-EOF
		link set lo up
		address add 198.51.100.1/24 dev host0
		address add $INSIDE_PUBLIC/32 dev lo
		link set host0 up
		neighbour add 198.51.100.2 lladdr 02:00:00:00:00:02 dev host0
		route add 172.18.0.0/16 via 198.51.100.2
	EOF
	bed_sysctl host ipv4/ip_forward=1 ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0 \
		bridge/bridge-nf-call-iptables=0 bridge/bridge-nf-call-ip6tables=0
	for namespace in host:br0 internet:host0; do
		in_ns "${namespace%:*}" nft -f - <<-EOF
			table netdev eg {
				set seen {
					type ipv4_addr . inet_service
					size 65535
					flags dynamic
					counter
				}
				chain arriving {
					type filter hook ingress device ${namespace#*:} priority 0
					update @seen { ip daddr . udp dport counter }
				}
			}
		EOF
	done
}

# A namespace called NAME, of a user namespace of its own.
inside_remapped() { # NAME
	start "$1" unshare --user --map-root-user --net -- sleep 100000
	wait_until 10 inside_is_up "$1"
	touch "/run/netns/$1"
	mount --bind "/proc/${BED_PIDS[$1]}/ns/net" "/run/netns/$1"
}
inside_is_up() {
	[ "$(cat "/proc/${BED_PIDS[$1]}/comm")" = sleep ]
}

# Its eth0, 172.18.0.NUMBER.
inside_connect() { # NAME NUMBER
	ip -n host -batch - <<-EOF
		link add veth-$1 type veth peer name eth0 address 02:00:00:00:01:0$2 netns $1
		link set veth-$1 master br0 up
		neighbour add 172.18.0.$2 lladdr 02:00:00:00:01:0$2 dev br0
	EOF
	ip -n "$1" -batch - <<-EOF
		link set lo up
		link set eth0 up
		address add 172.18.0.$2/16 dev eth0
		neighbour add 172.18.0.1 lladdr $BED_HOST_MAC dev eth0
		route add default via 172.18.0.1
	EOF
}

# remapped COMMAND..., plain COMMAND...: as root inside.
remapped() {
	nsenter --user --net --preserve-credentials --target "${BED_PIDS[remapped]}" -- "$@"
}
plain() {
	in_ns plain setpriv --bounding-set=-all,+net_admin,+net_raw -- "$@"
}
# The same with BPF and PERFMON, which no engine gives unless asked to.
plain_with_bpf() {
	in_ns plain setpriv --bounding-set=-all,+net_admin,+net_raw,+bpf,+perfmon -- "$@"
}

inside_forget() {
	in_ns host nft flush set netdev eg seen
	in_ns internet nft flush set netdev eg seen
}

# Reads what was seen, once everything has arrived: the last packet marks the end.
declare -A INSIDE_SEEN=()
inside_look() { # NAME
	local namespace address port packets
	wait_until 10 inside_marker_arrives "$1"
	INSIDE_SEEN=()
	for namespace in host internet; do
		while read -r address port packets; do
			INSIDE_SEEN[$namespace $address $port]=$packets
		done < <(in_ns "$namespace" nft -j list set netdev eg seen | jq -r '.nftables[].set.elem[]?.elem |
			"\(.val.concat[0]) \(.val.concat[1]) \(.counter.packets)"')
	done
}
inside_marker_arrives() {
	probe "$1" raw "$INSIDE_LAN:1" >/dev/null
	in_ns host nft list set netdev eg seen | matches "$INSIDE_LAN . 1 "
}

# inside_seen host|internet ADDRESS PORT: sets SEEN to how many packets to there were seen.
inside_seen() {
	SEEN=${INSIDE_SEEN[$*]:-0}
}
# inside_seen_public PORT: to anywhere but the LAN.
inside_seen_public() {
	local key
	SEEN=0
	for key in "${!INSIDE_SEEN[@]}"; do
		case $key in
		'host 192.168.'* | 'host 172.18.'* | internet*) ;;
		*" $1") SEEN=$((SEEN + INSIDE_SEEN[$key])) ;;
		esac
	done
}
