# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The bed: the seed pattern in namespaces that nothing outside can reach. Sourced by each script of
# tests/e2e/ and by the demo; a script that was not started by tests/run starts itself again in
# private namespaces (tests/private).
#
#            wireguard                    host                 internet                 vpn
#   eth0 172.18.0.2, fd00:18::2 --- br0 172.18.0.1           203.0.113.7,            203.0.113.9
#   wg0  10.13.13.2, fd13::2           fd00:18::1            2001:db8:7::7           2001:db8:9::9
#            |                      wan0 198.51.100.2 --- host0 198.51.100.1         wgs0 10.13.13.1,
#            |                           2001:db8:100::2        2001:db8:100::1           fd13::1
#            |                      lan0 192.168.1.1      vpn0 203.0.113.1 ------ eth0   |
#            |                           fd00:1::1 \           2001:db8:9::1             |
#            |                                      lan eth0 192.168.1.10, fd00:1::10    |
#            +............... the tunnel, 203.0.113.9:51820 .............................+
#
# host forwards everything and translates nothing, so what leaks is seen at internet's host0 with
# the address 172.18.0.2 or fd00:18::2, and what comes through the tunnel at vpn0 with 10.13.13.2 or
# fd13::2. The addresses that answer: 203.0.113.7, 2001:db8:7::7 (internet), 192.168.1.10, fd00:1::10
# (lan), 172.18.0.1, fd00:18::1 (host), and, through the tunnel alone, 10.13.13.1, fd13::1 (vpn).

set -Eeuo pipefail

BED_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BUILD=${BUILD:-$BED_SOURCE/build}

if [ "${EG_PRIVATE:-}" != 1 ]; then
	exec "$BED_SOURCE/tests/private" "$0" "$@"
fi

PATH=$PATH:/usr/sbin:/sbin
EG=$BUILD/egressguard
PROBE=$BUILD/tests/probe
BED=$(mktemp -d "${TMPDIR:-/tmp}/eg-bed-XXXXXX")
BED_NAMESPACES=(host wireguard lan internet vpn)
BED_WG_PORT=51820
BED_ENDPOINT=203.0.113.9:51820 # what wg0 is made with
BED_HOST_MAC=02:00:00:00:00:01 # br0's: the next hop of everything that leaves by eth0

# Packet sockets go past the qdisc in many tests, to see what `peer` holds of them. The layer `socket`
# would refuse that, as it does in test_socket.sh.
export EGRESSGUARD_NO_SETSOCKOPT=${EGRESSGUARD_NO_SETSOCKOPT:-1}

declare -A BED_PIDS=()
BED_FAILED=0
BED_LINE=
BED_RESULTS=0

# --- results -----------------------------------------------------------------------------------

pass() {
	BED_RESULTS=$((BED_RESULTS + 1))
	echo "PASS $1"
}

# ... | matches [OPTION...] PATTERN: what `grep -q` tells, but to the end of its input. That one ends at the first
# match; who writes the next line fails then, and with it, by pipefail, what was found.
matches() {
	grep "$@" | cat >/dev/null
}

# fail NAME [DETAIL]
fail() {
	BED_RESULTS=$((BED_RESULTS + 1))
	BED_FAILED=1
	echo "FAIL $1${2:+: $2}"
}

# skip NAME REASON
skip() {
	BED_RESULTS=$((BED_RESULTS + 1))
	echo "SKIP $1: $2"
}

# check NAME COMMAND...: passes if the command does. Its output is shown if it does not.
check() {
	local name=$1
	shift
	if "$@" >"$BED/check.out" 2>&1; then
		pass "$name"
	else
		fail "$name" "exit status $? of: $*"
		sed 's/^/  | /' "$BED/check.out"
	fi
}

# check_status NAME STATUS COMMAND...: passes if the command exits with exactly this status.
check_status() {
	local name=$1 wanted=$2 status=0
	shift 2
	"$@" >"$BED/check.out" 2>&1 || status=$?
	if [ "$status" = "$wanted" ]; then
		pass "$name"
	else
		fail "$name" "exit status $status, not $wanted, of: $*"
		sed 's/^/  | /' "$BED/check.out"
	fi
}

# check_equal NAME ACTUAL WANTED
check_equal() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "'$2', not '$3'"
	fi
}

# wait_until SECONDS COMMAND...: tries until the command succeeds. $EG_SLOW says how much slower than
# usual everything is, as in an emulated machine; who asks too often there takes the time away from
# what is waited for.
wait_until() {
	local end=$((SECONDS + $1 * ${EG_SLOW:-1})) nap=0.02
	[ "${EG_SLOW:-1}" = 1 ] || nap=0.2
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep "$nap"
	done
}

# --- processes ---------------------------------------------------------------------------------

# start NAME COMMAND...: runs it in the background; it dies with this script, however that ends. Its
# output is in $BED/NAME.log.
start() {
	local name=$1
	shift
	# Now, not when the background process gets to it: whoever waits for a line in the log must not
	# find one of an earlier process of that name.
	: >"$BED/$name.log"
	setpriv --pdeathsig KILL -- "$@" >"$BED/$name.log" 2>&1 </dev/null &
	BED_PIDS[$name]=$!
}

running() {
	[ -n "${BED_PIDS[$1]:-}" ] && kill -0 "${BED_PIDS[$1]}" 2>/dev/null
}

# stop NAME [SIGNAL]: and waits until it is gone.
stop() {
	local pid=${BED_PIDS[$1]:-}
	[ -n "$pid" ] || return 0
	kill -"${2:-TERM}" "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	unset "BED_PIDS[$1]"
}

bed_cleanup() {
	local status=$? name
	trap - ERR
	trap '' INT TERM HUP
	set +e
	if [ "$status" != 0 ] && [ -n "$BED_LINE" ] && [ "$status" != 130 ] && [ "$status" != 143 ]; then
		fail "${0##*/}" "stopped with status $status at line ${BED_LINE:-?}"
	fi
	if declare -F bed_at_exit >/dev/null; then
		bed_at_exit
	fi
	for name in "${!BED_PIDS[@]}"; do
		stop "$name" KILL
	done
	rm -rf "$BED"
	[ "$status" = 0 ] || exit "$status"
	exit "$BED_FAILED"
}
trap bed_cleanup EXIT
trap 'BED_LINE=${BASH_LINENO[0]}:$LINENO' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- namespaces --------------------------------------------------------------------------------

# in_ns NAMESPACE COMMAND...: not by `ip netns exec`, which would hide bpffs.
in_ns() {
	local namespace=$1
	shift
	nsenter --net="/run/netns/$namespace" -- "$@"
}

# start_in NAMESPACE NAME COMMAND...
start_in() {
	local namespace=$1 name=$2
	shift 2
	start "$name" nsenter --net="/run/netns/$namespace" -- "$@"
}

# probe NAMESPACE WAY DESTINATION [OPTION VALUE]...: see tests/e2e/probe.c.
probe() {
	local namespace=$1
	shift
	"$PROBE" "$@" --netns "/run/netns/$namespace"
}

# eg COMMAND [ARGUMENT]...: egressguard with this bed's own place for guards.
eg() {
	local command=$1
	shift
	"$EG" "$command" --pin-dir "$EG_PIN_DIR" "$@"
}

bed_sysctl() { # NAMESPACE NAME=VALUE...
	local namespace=$1
	shift
	# shellcheck disable=SC2016 # the inner shell's
	in_ns "$namespace" sh -ec 'for assignment; do
		f=/proc/sys/net/${assignment%%=*}
		! [ -e "$f" ] || echo "${assignment#*=}" >"$f"
	done' - "$@"
}

bed_link() { # NAMESPACE INTERFACE NAMESPACE INTERFACE
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
}

bed_address() { # NAMESPACE INTERFACE ADDRESS...
	local namespace=$1 interface=$2 address
	shift 2
	for address in "$@"; do
		ip -n "$namespace" address add "$address" dev "$interface" nodad 2>/dev/null ||
			ip -n "$namespace" address add "$address" dev "$interface"
	done
	ip -n "$namespace" link set "$interface" up
}

bed_namespace() { # NAME
	ip netns add "$1"
	bed_sysctl "$1" ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0 \
		ipv6/conf/default/accept_dad=0 ipv6/conf/default/accept_ra=0 \
		ipv6/conf/default/router_solicitations=0 \
		ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0 \
		ipv4/icmp_ratelimit=0 ipv4/conf/all/log_martians=0
	ip -n "$1" link set lo up
}

# What the container `wireguard` has when it starts. An engine gives it the same MAC each time.
bed_container() { # MAC, or '' for any
	bed_namespace wireguard
	bed_link host veth-wg wireguard eth0
	[ -z "$1" ] || ip -n wireguard link set eth0 address "$1"
	ip -n host link set veth-wg master br0 up
	bed_address wireguard eth0 172.18.0.2/16 fd00:18::2/64
	bed_route wireguard default 172.18.0.1 default fd00:18::1
	# As in the seed pattern, the LAN keeps its own way when the tunnel takes the default route.
	bed_route wireguard 192.168.1.0/24 172.18.0.1 fd00:1::/64 fd00:18::1
}

# Everything but the tunnel.
bed_up() {
	local namespace
	for namespace in "${BED_NAMESPACES[@]}"; do
		[ "$namespace" = wireguard ] || bed_namespace "$namespace"
	done
	for namespace in host internet vpn; do
		bed_sysctl "$namespace" ipv4/ip_forward=1 ipv6/conf/all/forwarding=1
	done

	ip -n host link add br0 address "$BED_HOST_MAC" type bridge forward_delay 0
	bed_sysctl host bridge/bridge-nf-call-iptables=0 bridge/bridge-nf-call-ip6tables=0
	bed_address host br0 172.18.0.1/16 fd00:18::1/64
	bed_container ''
	bed_link host lan0 lan eth0
	bed_link host wan0 internet host0
	bed_link internet vpn0 vpn eth0

	bed_address host lan0 192.168.1.1/24 fd00:1::1/64
	bed_address lan eth0 192.168.1.10/24 fd00:1::10/64
	bed_address host wan0 198.51.100.2/24 2001:db8:100::2/64
	bed_address internet host0 198.51.100.1/24 2001:db8:100::1/64
	bed_address internet vpn0 203.0.113.1/24 2001:db8:9::1/64
	bed_address internet lo 203.0.113.7/32 2001:db8:7::7/128
	bed_address vpn eth0 203.0.113.9/24 2001:db8:9::9/64

	bed_route host default 198.51.100.1 default 2001:db8:100::1
	bed_route lan default 192.168.1.1 default fd00:1::1
	bed_route internet 172.18.0.0/16 198.51.100.2 fd00:18::/64 2001:db8:100::2
	bed_route internet 192.168.1.0/24 198.51.100.2 fd00:1::/64 2001:db8:100::2
	bed_route internet 10.13.13.0/24 203.0.113.9 fd13::/64 2001:db8:9::9
	bed_route vpn default 203.0.113.1 default 2001:db8:9::1

	# The first hook of a machine and its last switch code in the way of every packet, which an emulated
	# processor may trip over while another one sends (an int3 that nobody expects: a panic).
	[ -z "${EG_VM:-}" ] || tc -n lan qdisc add dev lo clsact

	bed_responder internet 203.0.113.7 2001:db8:7::7
	bed_responder lan 192.168.1.10 fd00:1::10
	bed_responder host 172.18.0.1 fd00:18::1
	# What is asked first may find a bridge port that does not forward yet.
	wait_until 5 probe wireguard icmp 203.0.113.7 --timeout 200
	wait_until 5 probe wireguard icmp 2001:db8:7::7 --timeout 200
}

bed_route() { # NAMESPACE DESTINATION GATEWAY DESTINATION6 GATEWAY6
	ip -n "$1" route add "$2" via "$3"
	ip -n "$1" -6 route add "$4" via "$5"
}

bed_responder() { # NAMESPACE ADDRESS...
	local namespace=$1
	shift
	rm -f "$BED/responder-$namespace.ready"
	start_in "$namespace" "responder-$namespace" \
		python3 "$BED_SOURCE/tests/e2e/responder.py" "$BED/responder-$namespace.ready" "$@"
	wait_until 10 test -e "$BED/responder-$namespace.ready"
}

# --- the tunnel --------------------------------------------------------------------------------

# Kernel WireGuard where there is one, else wireguard-go. BED_WIREGUARD says which.
bed_wireguard_kind() {
	if [ -z "${BED_WIREGUARD:-}" ]; then
		BED_WIREGUARD=userspace
		if ip -n vpn link add wg-try type wireguard 2>/dev/null; then
			ip -n vpn link delete wg-try
			BED_WIREGUARD=kernel
		fi
	fi
}

# Their sockets share a directory, so the interfaces need names of their own.
bed_wireguard() { # NAMESPACE INTERFACE
	bed_wireguard_kind
	if [ "$BED_WIREGUARD" = kernel ]; then
		ip -n "$1" link add "$2" type wireguard
	else
		LOG_LEVEL=error start_in "$1" "wireguard-go-$2" wireguard-go -f "$2"
		wait_until 10 bed_wireguard_listens "$1" "$2"
	fi
}

# Whoever asks between its bind() and its listen() is refused, and wg then takes the socket away.
bed_wireguard_listens() { # NAMESPACE INTERFACE
	in_ns "$1" grep -q " 00010000 .*/$2[.]sock\$" /proc/net/unix
}

bed_wireguard_delete() { # NAMESPACE INTERFACE
	if [ "$BED_WIREGUARD" = kernel ]; then
		ip -n "$1" link delete "$2"
	else
		stop "wireguard-go-$2"
		wait_until 5 bed_no_link "$1" "$2"
	fi
}

bed_no_link() {
	! ip -n "$1" link show "$2" >/dev/null 2>&1
}

bed_keys() {
	local side
	for side in client server; do
		[ ! -e "$BED/$side.key" ] || continue
		(umask 077 && wg genkey >"$BED/$side.key")
		wg pubkey <"$BED/$side.key" >"$BED/$side.pub"
	done
}

# The VPN server, once.
tunnel_server_up() {
	! running responder-vpn || return 0
	bed_keys
	bed_wireguard vpn wgs0
	in_ns vpn wg set wgs0 listen-port "$BED_WG_PORT" private-key "$BED/server.key" \
		peer "$(cat "$BED/client.pub")" allowed-ips 10.13.13.2/32,fd13::2/128
	bed_address vpn wgs0 10.13.13.1/24 fd13::1/64
	bed_responder vpn 10.13.13.1 fd13::1
}

# The client's interface wg0, up and configured in the manner of wg-quick, but without a kill
# switch: everything takes the tunnel except its own packets and the LAN.
tunnel_create() {
	tunnel_server_up
	bed_wireguard wireguard wg0
	tunnel_configure
}

tunnel_configure() {
	local family
	in_ns wireguard wg set wg0 private-key "$BED/client.key" fwmark "$BED_WG_PORT" \
		peer "$(cat "$BED/server.pub")" allowed-ips 0.0.0.0/0,::/0 \
		endpoint "$BED_ENDPOINT"
	ip -n wireguard link set wg0 mtu 1420
	bed_address wireguard wg0 10.13.13.2/32
	tunnel_link_up
	for family in -4 -6; do
		ip -n wireguard "$family" rule | matches suppress_prefixlength || {
			ip -n wireguard "$family" rule add not fwmark "$BED_WG_PORT" table "$BED_WG_PORT"
			ip -n wireguard "$family" rule add table main suppress_prefixlength 0
		}
	done
}

# Up, with what the kernel takes away when it goes down.
tunnel_link_up() {
	local family
	ip -n wireguard link set wg0 up
	ip -n wireguard address replace fd13::2/128 dev wg0 nodad
	for family in -4 -6; do
		ip -n wireguard "$family" route replace default dev wg0 table "$BED_WG_PORT"
	done
}

# Makes it where it is not there, sets it up where it is down, and waits until it carries packets.
tunnel_up() {
	if bed_no_link wireguard wg0; then
		tunnel_create
	else
		tunnel_link_up
	fi
	wait_until 10 probe wireguard icmp 10.13.13.1 --timeout 300
}

# What wg-quick leaves behind when it fails half-way, and what a crash does: the default route
# through the bridge takes over.
tunnel_down() {
	ip -n wireguard link set wg0 down
}

tunnel_delete() {
	bed_wireguard_delete wireguard wg0
}

# --- captures ----------------------------------------------------------------------------------

# capture_start NAME NAMESPACE INTERFACE [FILTER]: returns when it really captures. Leaks are looked
# for at `internet host0`.
capture_start() {
	local name=$1 namespace=$2 interface=$3 filter=${4:-}
	rm -f "$BED/$name.pcap"
	start_in "$namespace" "capture-$name" tcpdump --immediate-mode -U -n -Z root -s 2048 -B 16384 \
		-i "$interface" -w "$BED/$name.pcap" ${filter:+"($filter) or ether proto 0x88b5"}
	echo "$namespace $interface" >"$BED/$name.where"
	wait_until 10 grep -q '^tcpdump: listening on' "$BED/capture-$name.log" || return
	wait_until 10 test -s "$BED/$name.pcap"
}

# capture_stop NAME: returns when everything that passed before is in the file. A frame of our own
# marks the end; a capture that does not see it was not capturing, and that is an error.
capture_stop() {
	local name=$1 namespace interface
	running "capture-$name" || {
		echo "the capture '$name' ended by itself:"
		cat "$BED/capture-$name.log"
		return 1
	}
	read -r namespace interface <"$BED/$name.where"
	probe "$namespace" marker "$interface" >/dev/null
	wait_until 10 capture_has_marker "$name"
	stop "capture-$name" INT
	if grep -q '^[1-9][0-9]* packets\? dropped by kernel' "$BED/capture-$name.log"; then
		echo "the capture '$name' lost packets:"
		cat "$BED/capture-$name.log"
		return 1
	fi
}

capture_has_marker() {
	[ -n "$(tcpdump -n -r "$BED/$1.pcap" 'ether proto 0x88b5' 2>/dev/null)" ]
}

# capture_show NAME [FILTER]
capture_show() {
	tcpdump -n -r "$BED/$1.pcap" "not ether proto 0x88b5${2:+ and ($2)}" 2>/dev/null
}

# capture_count NAME [FILTER]
capture_count() {
	local count
	count=$(tcpdump -n -r "$BED/$1.pcap" --count "not ether proto 0x88b5${2:+ and ($2)}" 2>/dev/null)
	echo "${count%% *}"
}

# What `host` itself says of a packet of the WireGuard server's to an address that nobody has any longer: ICMP
# type 3, code 1 (RFC 792), quoting that packet's header and ports. A container's own would be code 3.
BED_UNDELIVERED="src host 198.51.100.2 and dst host 203.0.113.9 and icmp[0:2] = 0x0301 and icmp[17] = 17 \
and icmp[20:4] = 0xcb007109 and icmp[28:2] = $BED_WG_PORT"

# What must not be seen at internet's host0 while a guard is in force: anything of the guarded
# namespace's (or forged by it) but WireGuard's own packets.
BED_LEAK="not arp and not (udp and host 203.0.113.9 and port $BED_WG_PORT) \
and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 136) and not (icmp6 and ip6[40] = 143) \
and not (ip6 proto 0 and dst net ff00::/8) and not ($BED_UNDELIVERED)"

# leaks NAME: how many packets of a capture at internet's host0 left in the clear.
leaks() {
	capture_count "$1" "$BED_LEAK"
}

# check_leaks NAME CAPTURE: the positive control. A capture that sees nothing without the guard
# proves nothing with it.
check_leaks() {
	local count
	count=$(leaks "$2")
	if [ "$count" -gt 0 ]; then
		pass "$1"
	else
		fail "$1" "nothing was seen in the clear, though nothing holds it back"
	fi
}

# check_no_leak NAME CAPTURE
check_no_leak() {
	local count
	count=$(leaks "$2")
	if [ "$count" = 0 ]; then
		pass "$1"
	else
		fail "$1" "$count packets left in the clear"
		capture_show "$2" "$BED_LEAK" | sed -n '1,10s/^/  | /p'
	fi
}

# --- guards ------------------------------------------------------------------------------------

# Ubuntu's bpftool in PATH is a script that may find no tool for the running kernel.
bed_bpftool() {
	local tool
	if [ -z "${BED_BPFTOOL:-}" ]; then
		for tool in "${BPFTOOL:-bpftool}" /usr/lib/linux-tools*/bpftool /usr/lib/linux-tools/*/bpftool; do
			if "$tool" version >/dev/null 2>&1; then
				BED_BPFTOOL=$tool
				break
			fi
		done
	fi
	"${BED_BPFTOOL:?no bpftool works here}" "$@"
}

# attach_to TARGET [OPTION...]: DNS is not the matter, and wg0 is not there.
attach_to() {
	local target=$1
	shift
	eg attach --netns "$target" --dns lan --endpoint "$BED_ENDPOINT" "$@"
}

# of_guard GUARD FILTER: of what status says of it, by a filter of jq's.
of_guard() {
	eg status "$1" --json | jq -r ".guards[0]$2"
}

# state GUARD: "null" where there is none.
state() {
	of_guard "$1" .state 2>/dev/null
}

# guard_meta GUARD FILTER: of what is pinned as the guard's identity, by a filter of jq's.
guard_meta() {
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/$1/meta" | jq -r ".[0].formatted.value$2"
}

# viewers GUARD: how many viewers beat, or have been killed and not been missed yet.
viewers() {
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/$1/viewer_beats" |
		jq '[.[0].formatted.value.beat_ns[]|select(. > 0)]|length'
}

# more_viewers GUARD THAN
more_viewers() {
	[ "$(viewers "$1")" -gt "$2" ]
}

# guard_places: the places of guards, half-made and half-removed ones too. What guards share is there
# as long as one of them is.
guard_places() {
	ls -I _shared "$EG_PIN_DIR"
}

# guards_snapshot: everything that is pinned, by inode, and what each guard says of itself. The same
# text afterwards: nothing has changed.
guards_snapshot() {
	local meta
	find "$EG_PIN_DIR" -mindepth 1 -printf '%P %y %i %l\n' | sort
	for meta in "$EG_PIN_DIR"/*/meta; do
		[ ! -e "$meta" ] || bed_bpftool -j map dump pinned "$meta" 2>&1 | jq -c 'map(.formatted.value // .value)'
	done
}

# check_counted NAME VERDICT WANTED: exactly that is counted by the guard `wireguard` since the last
# guard_counted. The layer `peer` is behind a queue of the kernel's, so that a busy machine may count
# there a moment later; what is too much never goes away.
check_counted() {
	local end=$((SECONDS + 3 * ${EG_SLOW:-1})) before counted

	before=$(cat "$BED/wireguard.counted")
	until counted=$(guard_counted wireguard "$2" | sort); [ "$counted" = "$3" ] || [ "$SECONDS" -ge "$end" ]; do
		printf '%s\n' "$before" >"$BED/wireguard.counted"
		sleep 0.1
	done
	check_equal "$1" "$counted" "$3"
}

# guard_counted GUARD [allowed|dropped|would_drop]: what was counted since the last call, a line for
# each `LAYER REASON PACKETS`. Remembers now either way.
guard_counted() {
	local guard=$1 verdict=${2:-} now line layer reason packets
	local -A earlier=()
	now=$(eg status "$guard" --json | jq -r '[.guards[0].counters.by_layer | to_entries[] |
		.key as $layer | .value | to_entries[] | .key as $verdict | .value | to_entries[] |
		"\($verdict) \($layer) \(.key) \(.value.packets)"] | sort | .[]')
	if [ -n "$verdict" ] && [ -e "$BED/$guard.counted" ]; then
		while read -r line; do
			earlier[${line% *}]=${line##* }
		done <"$BED/$guard.counted"
	fi
	printf '%s\n' "$now" >"$BED/$guard.counted"
	[ -n "$verdict" ] || return 0
	while read -r line layer reason packets; do
		if [ "$line" = "$verdict" ] && [ "$packets" != "${earlier[$line $layer $reason]:-0}" ]; then
			echo "$layer $reason $((packets - ${earlier[$line $layer $reason]:-0}))"
		fi
	done <<<"$now"
}
