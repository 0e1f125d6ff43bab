#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# What root inside can do to packets after `device` has judged them, or beside it: later filters and
# actions that rewrite, qdiscs that do, detours by an ifb, redirects, and interfaces that lead out by
# another namespace. Each is first seen to reach the internet without a guard. Under one it is held,
# and counted where it was stopped; where one is not, `status` must not say that root is.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/inside.sh
. "$(dirname "$0")/inside.sh"

ROOT_TOO='root with NET_ADMIN inside, on the listed interfaces'
NOT_ROOT='processes without NET_ADMIN'
COUNT=5
MANY=200
PINNED=/sys/fs/bpf/egressguard-attack

# NAME PORT: the UDP port tells one attack's packets from another's.
declare -A PORT=(
	[direct]=7000 [bypass]=7001
	[pedit]=7002 [nat]=7003 [ct]=7004 [skbmod]=7005 [prio]=7006 [netem]=7007
	[redirect]=7008 [fwd]=7009 [ifb]=7010 [ifb-netem]=7011 [flushed]=7012 [flushed-ifb]=7013
	[back-by-netem]=7014
	[bpf-rewrite]=7101 [bpf-redirect]=7102 [bpf-peer]=7103 [xdp]=7104 [xdp-ifb]=7105
	[pktgen]=7106 [foreign-macvlan]=7107 [foreign-wireguard]=7108
)
# Why this kernel cannot do it.
declare -A LACKS=()

# install NAME COMMAND...: the attack can be made if the command succeeds.
install() {
	local name=$1
	shift
	if ! "$@" >"$BED/install" 2>&1; then
		LACKS[$name]=$(grep -m 1 -i error "$BED/install" || head -n 1 "$BED/install")
	fi
}
possible() {
	[ -z "${LACKS[$1]:-}" ]
}
# Loaded ahead, since in a container it is the host that does.
load() {
	modprobe -q -a "$@" 2>/dev/null || true
}

filter() { # WHO INTERFACE PREF PROTOCOL MATCH...
	local who=$1 interface=$2 pref=$3 protocol=$4
	shift 4
	"$who" tc filter add dev "$interface" egress pref "$pref" protocol "$protocol" u32 "$@"
}
port() { # NAME: as u32 matches it; no packet here has options
	echo match ip dport "${PORT[$1]}" 0xffff
}
TO_PUBLIC="action pedit ex munge ip dst set $INSIDE_PUBLIC pipe csum ip4h and udp"
to_lan() { # WHO NAME [OPTION...]
	local who=$1 name=$2
	shift 2
	"$who" "$PROBE" raw "$INSIDE_LAN:${PORT[$name]}" --count "$COUNT" "$@" || true
}
to_public() { # WHO WAY NAME INTERFACE
	"$1" "$PROBE" "$2" "$INSIDE_PUBLIC:${PORT[$3]}" --count "$COUNT" --interface "$4" \
		--mac "$BED_HOST_MAC" --source "$(address_of "$1")" || true
}
address_of() {
	case $1 in
	remapped) echo 172.18.0.2 ;;
	*) echo 172.18.0.3 ;;
	esac
}

# --- root of a user namespace of its own ---------------------------------------------------------------

# What can be there before the guard is.
# shellcheck disable=SC2046,SC2086 # words are meant
early() {
	load sch_ingress cls_u32 cls_flower act_pedit act_csum act_nat act_ct act_skbmod sch_prio sch_netem \
		act_mirred ifb
	remapped tc qdisc add dev eth0 clsact
	install pedit filter remapped eth0 21 ip $(port pedit) $TO_PUBLIC
	install nat filter remapped eth0 22 ip $(port nat) action nat ingress $INSIDE_LAN/32 $INSIDE_PUBLIC
	install ct remapped tc filter add dev eth0 egress pref 23 protocol ip flower ip_proto udp \
		dst_port "${PORT[ct]}" action ct commit nat dst addr $INSIDE_PUBLIC pipe
	install skbmod filter remapped eth0 24 arp match u8 0x45 0xff at 0 action skbmod set etype 0x0800
	install prio remapped tc qdisc add dev eth0 root handle 1: prio
	if possible prio; then
		install netem remapped tc qdisc add dev eth0 parent 1:3 netem corrupt 100%
		possible netem && install netem remapped tc filter add dev eth0 parent 1: pref 1 protocol ip \
			u32 $(port netem) flowid 1:3
		possible netem && remapped tc filter add dev eth0 parent 1: pref 3 protocol ip \
			u32 $(port back-by-netem) flowid 1:3
		install prio remapped tc filter add dev eth0 parent 1: pref 2 protocol ip u32 $(port prio) $TO_PUBLIC
	else
		LACKS[netem]=${LACKS[prio]}
	fi
}

# What comes after the guard. An ifb before it would be an interface to guard.
# shellcheck disable=SC2046,SC2086 # words are meant
late_up() {
	local name
	if ! remapped ip link add ifb7 type ifb 2>"$BED/install"; then
		for name in ifb ifb-netem flushed-ifb redirect fwd; do
			LACKS[$name]=$(cat "$BED/install")
		done
		return
	fi
	remapped ip link add ifb8 type ifb
	remapped ip link set ifb7 up
	remapped ip link set ifb8 up
	remapped tc qdisc add dev ifb7 clsact
	remapped tc qdisc add dev ifb8 clsact
	install redirect filter remapped ifb8 25 ip $(port redirect) action mirred egress redirect dev eth0
	install fwd forward_by_nft
	by_ifb ifb 26
	# It comes back under another port, and so is not sent round again.
	install ifb filter remapped ifb7 26 ip $(port ifb) $TO_PUBLIC
	by_ifb ifb-netem 27
	possible netem || LACKS[ifb-netem]=${LACKS[netem]}
	install ifb-netem filter remapped ifb7 27 ip $(port ifb-netem) \
		action pedit ex munge udp dport set "${PORT[back-by-netem]}"
	possible ifb || LACKS[flushed-ifb]=${LACKS[ifb]}
}
forward_by_nft() {
	remapped nft -f - <<-EOF
		table netdev away {
			chain out {
				type filter hook egress device ifb8 priority 0
				udp dport ${PORT[fwd]} fwd to eth0
			}
		}
	EOF
}
late_down() {
	remapped nft delete table netdev away 2>/dev/null || true
	remapped tc filter del dev eth0 egress pref 26 2>/dev/null || true
	remapped tc filter del dev eth0 egress pref 27 2>/dev/null || true
	remapped tc filter del dev eth0 egress pref 28 2>/dev/null || true
	remapped ip link delete ifb7 2>/dev/null || true
	remapped ip link delete ifb8 2>/dev/null || true
}
# shellcheck disable=SC2046 # words are meant
by_ifb() { # NAME PREF
	install "$1" filter remapped eth0 "$2" ip match ip dst $INSIDE_LAN/32 $(port "$1") \
		action mirred egress redirect dev ifb7
}

send() {
	to_public remapped raw direct eth0
	to_public remapped bypass bypass eth0
	to_lan remapped pedit
	to_lan remapped nat
	to_lan remapped ct
	remapped python3 "$BED_SOURCE/tests/e2e/attack.py" disguised eth0 "$BED_HOST_MAC" 172.18.0.2 \
		$INSIDE_PUBLIC "${PORT[skbmod]}" $COUNT
	to_lan remapped prio
	to_lan remapped netem --count $MANY --size 0
	! possible redirect || to_public remapped packet redirect ifb8
	! possible fwd || to_public remapped packet fwd ifb8
	! possible ifb || to_lan remapped ifb
	! possible ifb-netem || to_lan remapped ifb-netem --count $MANY --size 0
}

# As `tc qdisc del` leaves it; then the same detour once more.
flush() {
	remapped tc qdisc del dev eth0 clsact
	to_public remapped raw flushed eth0
	remapped tc qdisc add dev eth0 clsact 2>/dev/null || true
	if possible flushed-ifb; then
		by_ifb flushed-ifb 28
		# shellcheck disable=SC2046,SC2086 # words are meant
		install flushed-ifb filter remapped ifb7 28 ip $(port flushed-ifb) $TO_PUBLIC
		to_lan remapped flushed-ifb
	fi
}

# Sets SEEN to how many packets of an attack got out: for netem, to anywhere but the LAN.
arrived() { # NAME
	case $1 in
	netem) inside_seen_public "${PORT[netem]}" ;;
	ifb-netem) inside_seen_public "${PORT[back-by-netem]}" ;;
	*) inside_seen internet $INSIDE_PUBLIC "${PORT[$1]}" ;;
	esac
}
check_arrives() { # NAME
	if possible "$1"; then
		arrived "$1"
		check "$1: seen without a guard" test "$SEEN" -gt 0
	else
		skip "$1" "this kernel cannot: ${LACKS[$1]}"
	fi
}
gets_past() { # NAME
	if possible "$1"; then
		arrived "$1"
		check "$1: gets past it" test "$SEEN" -gt 0
	fi
}

# held NAME LAYER REASON: none arrived, and all are counted there. Through a packet socket the first
# is the last if `device` drops it, since the kernel says so.
held() {
	local counted=${BLOCKED[$INSIDE_PUBLIC ${PORT[$1]} $2 $3]:-0}
	possible "$1" || return 0
	arrived "$1"
	check_equal "$1: held" "$SEEN" 0
	if [ "$1" = redirect ] || [ "$1" = fwd ]; then
		check "$1: by $2, as $3" test "$counted" -gt 0
	else
		check_equal "$1: by $2, as $3" "$counted" $COUNT
	fi
}
declare -A BLOCKED=()
look_at_guard() { # GUARD
	local address port layer reason packets
	eg status "$1" --json >"$BED/status"
	BLOCKED=()
	while read -r address port layer reason packets; do
		BLOCKED[$address $port $layer $reason]=$packets
	done < <(jq -r '.guards[0].recent[] | "\(.dst) \(.dport) \(.layer) \(.reason) \(.packets)"' "$BED/status")
}
of_status() { # FILTER
	jq -r ".guards[0]$1" "$BED/status"
}
guard_it() { # NAMESPACE
	eg attach --netns "$1" --dns lan --endpoint "$BED_ENDPOINT"
}

remapped_root() {
	local guard=$1 name

	check "$guard: attach" guard_it remapped
	look_at_guard remapped
	CLAIMED=$(of_status .holds_against)
	check_equal "$guard: state" "$(of_status .state)" enforcing
	inside_forget
	late_up
	send >"$BED/sent"
	inside_look remapped
	look_at_guard remapped
	held direct device public
	held bypass peer public
	held pedit peer public
	held nat peer public
	held ct peer public
	held skbmod peer public
	held prio peer public
	for name in netem ifb-netem; do
		if possible "$name"; then
			arrived "$name"
			check_equal "$name: held" "$SEEN" 0
		fi
	done
	held redirect device public
	held fwd device public
	held ifb device public
	if possible ifb-netem; then
		check_equal 'ifb-netem: by device, as malformed' \
			"${BLOCKED[$INSIDE_LAN ${PORT[back-by-netem]} device malformed]:-0}" $MANY
	fi

	flush >"$BED/sent"
	inside_look remapped
	look_at_guard remapped
	if [ "$guard" = tcx ]; then
		held flushed device public
		held flushed-ifb device public
		check_equal 'tcx: it claims to hold root' "$CLAIMED" "$ROOT_TOO"
	else
		held flushed peer public
		check_equal "$guard: state after that" "$(of_status .state)" degraded
		gets_past flushed-ifb
		check_equal "$guard: it does not claim to hold root" "$CLAIMED" "$NOT_ROOT"
	fi
	late_down
	check "$guard: detach" eg detach remapped
}

# --- root that is root on the host too --------------------------------------------------------------------

# What an engine's default gives: NET_ADMIN in our own user namespace. That is NET_ADMIN in each network
# namespace that this one has a number for, and its eth0 gives it one of the host's.
foreign() { # WHO INTERFACE ARGUMENT...
	local who=$1 interface=$2 number
	shift 2
	number=$("$who" ip -j link show eth0 | jq '.[0].link_netnsid')
	"$who" ip link add "$interface" link-netnsid "$number" "$@"
}
foreign_macvlan() { # WHO
	foreign "$1" mv0 link "if$(ip -n host -j link show wan0 | jq '.[0].ifindex')" type macvlan mode bridge
}
foreign_wireguard() { # WHO
	foreign "$1" wg0 type wireguard
}
wireguard_up() {
	umask 077
	wg genkey >"$BED/key"
	in_ns plain wg set wg0 private-key "$BED/key" peer "$(wg genkey | wg pubkey)" \
		allowed-ips 0.0.0.0/0 endpoint "$INSIDE_PUBLIC:${PORT[foreign-wireguard]}"
	plain ip link set wg0 up
}

plain_early() {
	load cls_bpf pktgen macvlan wireguard
	plain tc qdisc add dev eth0 clsact
	plain tc qdisc add dev lo clsact
	plain_with_bpf python3 "$BED_SOURCE/tests/e2e/attack.py" pin $PINNED \
		"$(ip -n plain -j link show eth0 | jq '.[0].ifindex')" $INSIDE_PUBLIC "${PORT[bpf-rewrite]}"
	install bpf-rewrite bpf_filter eth0 egress rewrite
	install bpf-redirect bpf_filter lo egress redirect
	install bpf-peer bpf_filter lo ingress peer
	[ -e /proc/net/pktgen/pgctrl ] || LACKS[pktgen]='no module pktgen'
}
bpf_filter() { # INTERFACE DIRECTION PROGRAM
	plain_with_bpf tc filter add dev "$1" "$2" protocol ip bpf da pinned "$PINNED/$3"
}
plain_xdp() { # PROGRAM NAME
	plain_with_bpf ip link set dev lo xdpgeneric pinned "$PINNED/$1" || return
	to_public plain packet "$2" lo
	plain ip link set dev lo xdpgeneric off
}
plain_pktgen() {
	# shellcheck disable=SC2016 # the inner shell's
	plain sh -c 'cd /proc/net/pktgen && echo rem_device_all >kpktgend_0 && echo add_device eth0 >kpktgend_0 &&
		while read -r setting; do echo "$setting" >eth0; done && echo start >pgctrl &&
		echo rem_device_all >kpktgend_0' <<-EOF
		count $COUNT
		pkt_size 64
		dst $INSIDE_PUBLIC
		dst_mac $BED_HOST_MAC
		src_min 172.18.0.3
		src_max 172.18.0.3
		udp_dst_min ${PORT[pktgen]}
		udp_dst_max ${PORT[pktgen]}
	EOF
}
plain_send() {
	to_lan plain bpf-rewrite
	to_public plain packet bpf-redirect lo
	to_public plain packet bpf-peer lo
	plain_xdp xdp xdp
	! possible pktgen || plain_pktgen
}
# With an ifb between the first time and the second, that one has the mark which tc ingress skips.
# shellcheck disable=SC2046 # words are meant
xdp_ifb() {
	install xdp-ifb plain ip link add ifb9 type ifb
	possible xdp-ifb || return 0
	plain ip link set ifb9 up
	plain tc filter add dev lo ingress pref 34 protocol ip u32 $(port xdp-ifb) \
		action mirred egress redirect dev ifb9
	plain_xdp xdp2 xdp-ifb
	plain tc filter del dev lo ingress pref 34
	plain ip link delete ifb9
}
by_foreign() {
	install foreign-macvlan foreign_macvlan plain
	if possible foreign-macvlan; then
		plain ip link set mv0 up
		plain "$PROBE" packet "$INSIDE_PUBLIC:${PORT[foreign-macvlan]}" --count $COUNT --interface mv0 \
			--mac 02:00:00:00:00:03 --source 198.51.100.77
		plain ip link delete mv0
	fi
	install foreign-wireguard foreign_wireguard plain
	if possible foreign-wireguard; then
		wireguard_up
		plain "$PROBE" packet 10.13.13.1:9 --interface wg0 --mac "$BED_HOST_MAC" --source 10.13.13.2
		wait_until 5 wireguard_left
	fi
}
wireguard_left() {
	in_ns internet nft list set netdev eg seen | matches "$INSIDE_PUBLIC . ${PORT[foreign-wireguard]} "
}

plain_root() {
	local name

	plain_early
	plain_send >"$BED/sent"
	xdp_ifb >"$BED/sent"
	by_foreign >"$BED/sent"
	plain ip link delete wg0 2>/dev/null || true
	inside_look plain
	for name in bpf-rewrite bpf-redirect bpf-peer xdp xdp-ifb pktgen foreign-macvlan foreign-wireguard; do
		check_arrives "$name"
	done
	for name in macvlan wireguard; do
		if possible "foreign-$name"; then
			check_status "foreign-$name: refused to root of another user namespace" 2 "foreign_$name" remapped
		fi
	done

	check 'plain: attach' guard_it plain
	look_at_guard plain
	CLAIMED=$(of_status .holds_against)
	inside_forget
	plain_send >"$BED/sent"
	inside_look plain
	look_at_guard plain
	held bpf-rewrite peer public
	held bpf-redirect device public
	held bpf-peer peer public
	held xdp peer public
	held pktgen peer public
	check_equal 'plain: state' "$(of_status .state)" enforcing

	xdp_ifb >"$BED/sent"
	by_foreign >"$BED/sent"
	inside_look plain
	for name in xdp-ifb foreign-macvlan foreign-wireguard; do
		gets_past "$name"
	done
	check_equal 'plain: it does not claim to hold root' "$CLAIMED" "$NOT_ROOT"
	check 'plain: detach' eg detach plain
}

inside_bed_up
inside_remapped remapped
ip netns add plain
inside_connect remapped 2
inside_connect plain 3

early
late_up
send >"$BED/sent"
inside_look remapped
for name in direct bypass pedit nat ct skbmod prio netem redirect fwd ifb ifb-netem; do
	check_arrives "$name"
done
late_down
plain_root
inside_forget
remapped_root "$("$EG" features --json | jq -r 'if .features.tcx.present then "tcx" else "clsact" end')"
