#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Underlays of each kind, and the devices that root inside makes upon them: `attach` covers them or
# says why not, and what leaves by them is judged as it is, whatever stands before its IP header.
#
# Each device has a number N: 172.20.N.2 on it, the LAN's 172.20.N.1 and the internet's
# 203.0.113.(100 + N) behind it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/inside.sh
. "$(dirname "$0")/inside.sh"

COUNT=3
MODULES=(macvlan ipvlan netkit dummy 8021q bridge bonding vrf ipip ip_gre ip6_gre sit vxlan geneve wireguard)

# What is there when the guard comes.
UNDERLAYS=(macvlan ipvlan-l2 ipvlan-l3 netkit-l2 netkit-l3 dummy)
# What root inside makes upon those, and what shows outside that it was used: a protocol of IP's, or a
# UDP port. `routed` says that the packet itself comes out, not one around it.
INNER=(vlan bridge bond vrf ipip gre gretap ip6gre sit vxlan geneve wireguard)
declare -A NUMBER=(
	[macvlan]=1 [ipvlan-l2]=2 [ipvlan-l3]=3 [netkit-l2]=4 [netkit-l3]=5 [dummy]=6
	[vlan]=11 [bridge]=12 [bond]=13 [vrf]=14
	[ipip]=21 [gre]=22 [gretap]=23 [ip6gre]=24 [sit]=25 [vxlan]=26 [geneve]=27 [wireguard]=28
)
declare -A OUTER=(
	[vlan]=routed [bridge]=routed [bond]=routed [vrf]=routed
	[ipip]='protocol 4' [gre]='protocol 47' [gretap]='protocol 47' [ip6gre]='protocol 47'
	[sit]='protocol 41' [vxlan]='port 4789' [geneve]='port 6081' [wireguard]='port 5555'
)
declare -A LACKS=()

# make NAME COMMAND...: the device is there if the command succeeds.
make() {
	local name=$1
	shift
	if ! "$@" >"$BED/make" 2>&1; then
		LACKS[$name]=$(grep -m 1 -i -E 'error|netkit' "$BED/make" || head -n 1 "$BED/make")
		return 1
	fi
}
there() {
	[ -z "${LACKS[$1]:-}" ]
}
many() {
	ip -n many "$@"
}
# Addresses and routes of the device DEVICE, inside.
inside_address() { # NAME DEVICE
	local n=${NUMBER[$1]}
	many -batch - <<-EOF
		address add 172.20.$n.2/24 dev $2
		link set $2 up
		route add 203.0.113.$((100 + n))/32 via 172.20.$n.1 dev $2 onlink
	EOF
}
outside_address() { # NAME DEVICE
	ip -n internet address add "172.20.${NUMBER[$1]}.1/24" dev "$2"
	ip -n internet link set "$2" up
}

# --- underlays -------------------------------------------------------------------------------------------

# lower NAME: an interface of the host's for it, and a far side.
lower() {
	ip -n host link add "low${NUMBER[$1]}" type veth peer name "far${NUMBER[$1]}" netns internet
	ip -n host link set "low${NUMBER[$1]}" up
	outside_address "$1" "far${NUMBER[$1]}"
}
upon_lower() { # NAME TYPE...
	local name=$1 n=${NUMBER[$1]}
	shift
	lower "$name"
	make "$name" ip -n host link add "u$n" link "low$n" netns many type "$@" && inside_address "$name" "u$n"
}
netkit() { # NAME MODE
	local n=${NUMBER[$1]}
	if make "$1" in_ns many python3 "$BED_SOURCE/tests/e2e/attack.py" netkit "$2" "far$n" "u$n"; then
		many link set "far$n" netns internet
		outside_address "$1" "far$n"
		inside_address "$1" "u$n"
	fi
}
underlays_up() {
	upon_lower macvlan macvlan mode bridge || true
	ip -n internet address add fd00:21::1/64 dev far1 nodad
	# This one is for a VRF to have.
	ip -n internet address add 172.20.14.1/24 dev far1
	! there macvlan || ip -n host link add mvr link low1 netns many type macvlan mode bridge
	! there macvlan || many address add fd00:21::2/64 dev u1 nodad
	upon_lower ipvlan-l2 ipvlan mode l2 || true
	upon_lower ipvlan-l3 ipvlan mode l3 || true
	# In this mode it is the host that routes.
	ip -n host address add 172.20.3.254/24 dev low3
	ip -n host route add 203.0.113.103/32 via 172.20.3.1
	netkit netkit-l2 L2
	netkit netkit-l3 L3
	! make dummy many link add u6 type dummy || inside_address dummy u6
}

# --- devices upon them -----------------------------------------------------------------------------------

# The outer packets go to the macvlan's far side.
LOCAL=172.20.1.2 REMOTE=172.20.1.1
upon_macvlan() { # NAME ARGUMENT...
	local name=$1 n=${NUMBER[$1]}
	shift
	there "$name" || return
	make "$name" many link add "i$n" "$@" && inside_address "$name" "i$n"
}
inner_up() {
	if upon_macvlan vlan link u1 type vlan id 7; then
		ip -n internet link add link far1 name far1.7 type vlan id 7
		outside_address vlan far1.7
	fi
	port_up bridge eth0 type bridge forward_delay 0
	port_up bond eth1 type bond mode active-backup
	if make vrf many link add i14 type vrf table 14; then
		many -batch - <<-EOF
			link set i14 up
			link set mvr master i14 up
			address add 172.20.14.2/24 dev mvr
			route add 203.0.113.114/32 via 172.20.14.1 dev mvr table 14
		EOF
	fi
	upon_macvlan ipip type ipip remote $REMOTE local $LOCAL || true
	upon_macvlan gre type gre remote $REMOTE local $LOCAL || true
	upon_macvlan gretap type gretap remote $REMOTE local $LOCAL key 7 || true
	upon_macvlan ip6gre type ip6gre remote fd00:21::1 local fd00:21::2 || true
	if upon_macvlan sit type sit remote $REMOTE local $LOCAL; then
		many -6 address add fd00:20:25::2/64 dev i25 nodad
		many -6 route add 2001:db8:7::/64 dev i25
	fi
	upon_macvlan vxlan type vxlan id 7 remote $REMOTE dstport 4789 || true
	upon_macvlan geneve type geneve id 7 remote $REMOTE || true
	! upon_macvlan wireguard type wireguard || wireguard_peer
	for_neighbours gretap vxlan geneve
}
port_up() { # NAME PORT TYPE...
	local name=$1 port=$2 n=${NUMBER[$1]}
	shift 2
	make "$name" many link add "i$n" "$@" || return 0
	many link set "$port" down
	many address flush dev "$port"
	many link set "$port" master "i$n"
	many link set "$port" up
	inside_address "$name" "i$n"
	many neighbour replace "172.20.$n.1" lladdr $BED_HOST_MAC dev "i$n"
	ip -n host route replace "172.20.$n.1/32" via 198.51.100.1
}
# Nobody is there to tell an address.
for_neighbours() { # NAME...
	local name
	for name; do
		! there "$name" || many neighbour replace "172.20.${NUMBER[$name]}.1" lladdr 02:00:00:00:00:09 \
			dev "i${NUMBER[$name]}"
	done
}
wireguard_peer() {
	(umask 077 && wg genkey >"$BED/key")
	in_ns many wg set i28 private-key "$BED/key" peer "$(wg genkey | wg pubkey)" \
		allowed-ips 0.0.0.0/0 endpoint $REMOTE:5555
}
inner_down() {
	local name
	for name in bridge bond; do
		! there "$name" || many link delete "i${NUMBER[$name]}"
	done
	for name in "${INNER[@]}"; do
		many link delete "i${NUMBER[$name]}" 2>/dev/null || true
	done
	! there macvlan || many address flush dev mvr
	ip -n internet link delete far1.7 2>/dev/null || true
}

# --- what is sent, and what is seen ----------------------------------------------------------------------

# public NAME, lan NAME: as PUBLIC and LAN.
public() {
	if [ "$1" = sit ]; then
		PUBLIC=2001:db8:7::7
	else
		PUBLIC=203.0.113.$((100 + NUMBER[$1]))
	fi
}
send_by() { # NAME...
	local name
	for name; do
		there "$name" || continue
		public "$name"
		if [ "$name" = sit ]; then
			probe many raw "[$PUBLIC]:$((7000 + NUMBER[$name]))" --count $COUNT --source fd00:20:25::2
		elif [ "$name" = vrf ]; then
			probe many raw "$PUBLIC:$((7000 + NUMBER[$name]))" --count $COUNT --source 172.20.14.2 --bind i14
			probe many raw "172.20.14.1:$((8000 + NUMBER[$name]))" --count $COUNT --source 172.20.14.2 --bind i14
		else
			probe many raw "$PUBLIC:$((7000 + NUMBER[$name]))" --count $COUNT
			probe many raw "172.20.${NUMBER[$name]}.1:$((8000 + NUMBER[$name]))" --count $COUNT
		fi || true
	done >"$BED/sent" 2>&1
}
seen_up() {
	in_ns internet nft -f - <<-EOF
		table inet eg {
			set ports { type inet_service; size 65535; flags dynamic; counter; }
			set protocols { type inet_proto; size 256; flags dynamic; counter; }
			chain arriving {
				type filter hook prerouting priority raw
				update @protocols { meta l4proto counter }
				update @ports { udp dport counter }
			}
		}
	EOF
}
declare -A ARRIVED=()
look() {
	local what value packets
	wait_until 10 marker_arrives
	ARRIVED=()
	while read -r what value packets; do
		ARRIVED[$what $value]=$packets
	done < <(in_ns internet nft -j list table inet eg | jq -r '.nftables[].set // empty | .name as $name |
		.elem[]?.elem | "\($name) \(.val) \(.counter.packets)"' | sed 's/ gre / 47 /; s/ ipv6 / 41 /; s/ ipencap / 4 /; s/ ipip / 4 /')
	in_ns internet nft flush set inet eg ports
	in_ns internet nft flush set inet eg protocols
}
marker_arrives() {
	probe host raw 198.51.100.1:1 --source 198.51.100.2 >/dev/null
	in_ns internet nft list set inet eg ports | matches ' 1 '
}
# How many packets came out by it: sets SEEN.
outer() { # NAME
	case ${OUTER[$1]} in
	routed) SEEN=${ARRIVED[ports $((7000 + NUMBER[$1]))]:-0} ;;
	protocol*) SEEN=${ARRIVED[protocols ${OUTER[$1]#* }]:-0} ;;
	port*) SEEN=${ARRIVED[ports ${OUTER[$1]#* }]:-0} ;;
	esac
}
declare -A BLOCKED=()
look_at_guard() {
	local address layer reason packets key
	eg status many --json >"$BED/status"
	BLOCKED=()
	while read -r address layer reason packets; do
		key="$address $layer $reason"
		BLOCKED[$key]=$((${BLOCKED[$key]:-0} + packets))
	done < <(jq -r '.guards[0].recent[] | "\(.dst) \(.layer) \(.reason) \(.packets)"' "$BED/status")
}
of_status() { # FILTER
	jq -r ".guards[0]$1" "$BED/status"
}
guard_it() { # OPTION...
	eg attach --netns many --tunnel wg0 --endpoint "$BED_ENDPOINT" "$@"
}

# --- what must hold --------------------------------------------------------------------------------------

without() {
	local name
	inner_up
	send_by "${UNDERLAYS[@]}" "${INNER[@]}"
	look
	for name in "${UNDERLAYS[@]}" "${INNER[@]}"; do
		if ! there "$name"; then
			skip "$name" "not here: ${LACKS[$name]}"
		elif [ "$name" = dummy ]; then
			pass 'dummy: leads nowhere'
		elif [ -n "${OUTER[$name]:-}" ]; then
			outer "$name"
			check "$name: seen without a guard" test "$SEEN" -gt 0
		else
			check_equal "$name: seen without a guard" "${ARRIVED[ports $((7000 + NUMBER[$name]))]:-0}" $COUNT
		fi
	done
	inner_down
}

covers() { # NAME...
	local name prefix=u on
	on=" $(of_status '.layers[] | select(.name == "device") | .interfaces | join(" ")') "
	for name; do
		there "$name" || continue
		[ -z "${OUTER[$name]:-}" ] || prefix=i
		check "$name: device is on it" [ "${on/ $prefix${NUMBER[$name]} /}" != "$on" ]
	done
}

underlays() {
	local name status=0

	guard_it --dns lan >"$BED/out" 2>&1 || status=$?
	check_equal 'attach refuses' "$status" 5
	for name in "${UNDERLAYS[@]}"; do
		# What leads nowhere needs no end on the host.
		[ "$name" != dummy ] || continue
		! there "$name" || check "$name: attach says why" \
			grep -q "u${NUMBER[$name]} (it has no other end on the host)" "$BED/out"
	done
	check 'attach --accept-device-only' guard_it --dns lan --accept-device-only
	send_by "${UNDERLAYS[@]}"
	look
	look_at_guard
	check_equal 'state' "$(of_status .state)" enforcing
	check_equal 'it does not claim to hold root' "$(of_status .holds_against)" 'processes without NET_ADMIN and NET_RAW'
	covers "${UNDERLAYS[@]}"
	for name in "${UNDERLAYS[@]}"; do
		there "$name" || continue
		public "$name"
		check_equal "$name: held" "${ARRIVED[ports $((7000 + NUMBER[$name]))]:-0}" 0
		check_equal "$name: at device, as public" "${BLOCKED[$PUBLIC device public]:-0}" $COUNT
		[ "$name" = dummy ] || check_equal "$name: the LAN is reached" \
			"${ARRIVED[ports $((8000 + NUMBER[$name]))]:-0}" $COUNT
	done
}

# Made after the guard: nobody judges what goes into them, but what comes out of them is judged.
unattached() {
	local name why
	inner_up
	send_by "${INNER[@]}"
	look
	look_at_guard
	check_equal 'devices that came later: state' "$(of_status .state)" degraded
	why=$(of_status .detail)
	for name in "${INNER[@]}"; do
		there "$name" || continue
		check "$name: status says that it is not covered" \
			grep -q "i${NUMBER[$name]} has no .device. layer" <<<"$why"
		outer "$name"
		case ${OUTER[$name]} in
		routed)
			check_equal "$name: held below" "$SEEN" 0
			check_equal "$name: the LAN is reached" "${ARRIVED[ports $((8000 + NUMBER[$name]))]:-0}" $COUNT
			;;
		protocol*) check_equal "$name: held below" "$SEEN" 0 ;;
		# UDP to the LAN.
		port*) check "$name: what is around it goes to the LAN" test "$SEEN" -gt 0 ;;
		esac
	done
	if there ipip; then
		check "tunnels: held below as protocol" test \
			"${BLOCKED[$REMOTE device protocol]:-0}" -ge $((3 * COUNT))
	fi
}

attached() {
	local name
	check 'attach covers them too' guard_it --dns lan --accept-device-only --replace
	for_neighbours gretap vxlan geneve
	send_by "${INNER[@]}"
	look
	look_at_guard
	check_equal 'then: state' "$(of_status .state)" enforcing
	covers "${INNER[@]}"
	for name in "${INNER[@]}"; do
		there "$name" || continue
		public "$name"
		check "$name: at device, as public" test "${BLOCKED[$PUBLIC device public]:-0}" -ge $COUNT
		case $name in
		vlan | bridge | bond | vrf)
			check_equal "$name: held" "${ARRIVED[ports $((7000 + NUMBER[$name]))]:-0}" 0
			check_equal "$name: the LAN is reached through it" \
				"${ARRIVED[ports $((8000 + NUMBER[$name]))]:-0}" $COUNT
			;;
		vxlan | geneve)
			outer "$name"
			check "$name: the LAN is reached through it" test "$SEEN" -ge $COUNT
			;;
		esac
	done
	check 'detach' eg detach many
	check_equal 'nothing is left' "$(ls "$EG_PIN_DIR")" ''
}

# The modules of these tunnels put a device into each namespace of the machine, unless they are told
# not to: nothing for a machine that somebody uses.
if [ -n "${EG_VM:-}" ]; then
	nsenter --net=/proc/1/ns/net -- sysctl -q -w net.core.fb_tunnels_only_for_init_net=1
	modprobe -q -a "${MODULES[@]}" 2>/dev/null || true
else
	for name in ipip gre gretap ip6gre sit; do
		LACKS[$name]='its module would change other namespaces too; see vmtest'
	done
fi
inside_bed_up
seen_up
ip netns add many
bed_sysctl many ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0 \
	ipv6/conf/default/accept_dad=0 ipv6/conf/default/router_solicitations=0
inside_connect many 4
ip -n host link add veth-eth1 type veth peer name eth1 netns many
ip -n host link set veth-eth1 master br0 up
underlays_up
without
underlays
unattached
attached
