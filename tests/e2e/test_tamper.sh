#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Somebody tampers with a guard in force: `status` says `degraded` and why, and `attach` repairs it.
# What is no tampering (the tunnel made anew) is not called so. Each case is a line of a table: its
# name, what status must say, and what repairs it; and a function, what is done.
# time-limit: 300

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

attach_it() { # [OPTION...]
	eg attach --netns wireguard --tunnel wg0 --endpoint "$BED_ENDPOINT" --dns lan "$@"
}
reason() {
	of_guard wireguard .detail
}
blocked() {
	! probe wireguard icmp 203.0.113.7 --timeout 200
}
pin_of() { # PATTERN
	find "$EG_PIN_DIR/wireguard" -name "$1" | grep -m 1 .
}
# Bytes of a number as the machine has them, for bpftool.
word() {
	python3 -c 'import struct, sys; print(*struct.pack("=" + sys.argv[1], int(sys.argv[2])))' "$1" "$2"
}
write_map() { # MAP KEY-BYTES VALUE-BYTES
	# shellcheck disable=SC2086 # they are words
	bed_bpftool map update pinned "$EG_PIN_DIR/wireguard/$1" key $2 value $3
}

slot_in_use() {
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/control" | jq '.[0].formatted.value.slot'
}
# says NAME STATUS PATTERN COMMAND...: it exits so, and says that.
says() {
	local name=$1 wanted=$2 pattern=$3 status=0
	shift 3
	"$@" >"$BED/said" 2>&1 || status=$?
	if [ "$status" = "$wanted" ] && grep -q -E -- "$pattern" "$BED/said"; then
		pass "$name"
	else
		fail "$name" "exit status $status (not $wanted), or another message"
		sed 's/^/  | /' "$BED/said"
	fi
}

# --- what is done ------------------------------------------------------------------------------------

in_front() { # NAMESPACE INTERFACE DIRECTION
	rm -f "$BED/ready"
	start_in "$1" intruder python3 "$BED_SOURCE/tests/e2e/bpf.py" in-front "$2" "$3" "$BED/ready"
	wait_until 10 test -e "$BED/ready"
}
do_front_device() { in_front wireguard eth0 egress; }
do_front_peer() { in_front host veth-wg ingress; }
hold() { # PIN
	rm -f "$BED/ready"
	start intruder python3 "$BED_SOURCE/tests/e2e/bpf.py" hold "$1" "$BED/ready"
	wait_until 10 test -e "$BED/ready"
}
do_link_device() { rm "$(pin_of 'link_device_*')"; }
do_link_peer() { rm "$(pin_of 'link_peer_*')"; }
do_held_device() { hold "$(pin_of 'link_device_*')"; }
do_held_peer() { hold "$(pin_of 'link_peer_*')"; }
do_qdisc_device() { tc -n wireguard qdisc delete dev eth0 clsact; }
do_qdisc_peer() { tc -n host qdisc delete dev veth-wg clsact; }
do_filter_device() { tc -n wireguard filter delete dev eth0 egress pref 1; }
do_filter_peer() { tc -n host filter delete dev veth-wg ingress pref 1; }
do_pin_device() { rm "$(pin_of 'filter_device_*')"; }
do_pin_peer() { rm "$(pin_of 'filter_peer_*')"; }
forge() { # NAMESPACE PROGRAM-PIN [LINK-PIN INTERFACE DIRECTION]
	in_ns "$1" python3 "$BED_SOURCE/tests/e2e/bpf.py" forge "${@:2}"
}
do_forged_device() { forge wireguard "$(pin_of prog_device)" "$(pin_of 'link_device_*')" eth0 egress; }
do_forged_peer() { forge host "$(pin_of prog_peer)" "$(pin_of 'link_peer_*')" veth-wg ingress; }
do_forged_pin() { forge host "$(pin_of prog_peer)"; }
# It says what the real one does, so that nothing else is amiss; only nobody reads it.
do_copied_map() {
	local pin=$EG_PIN_DIR/wireguard/control slot
	slot=$(slot_in_use)
	rm "$pin"
	bed_bpftool map create "$pin" type array key 4 value 4 entries 1 name control
	write_map control "$(word I 0)" "$(word I "$slot")"
}
# What is at a cgroup below the root does not see the others' processes.
do_other_cgroup() {
	local root
	root=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	BED_CGROUP=$root/eg-tamper-$$
	mkdir "$BED_CGROUP"
	python3 "$BED_SOURCE/tests/e2e/bpf.py" connect4-at "$BED_CGROUP" "$EG_PIN_DIR/_shared/prog_connect4" \
		"$EG_PIN_DIR/_shared/link_connect4"
}
do_forged_shared() {
	local pin=$EG_PIN_DIR/_shared/prog_connect4 other=$EG_PIN_DIR/_shared/prog_connect6
	rm "$pin"
	bed_bpftool prog pin pinned "$other" "$pin"
}
bed_at_exit() {
	[ -z "${BED_CGROUP:-}" ] || rmdir "$BED_CGROUP" 2>/dev/null
}
do_prog() { rm "$(pin_of prog_peer)"; }
do_map() { rm "$(pin_of endpoints)"; }
# 0.0.0.0/0 as a rule's.
do_prefix() { write_map addr4 "$(word I 32) $(word I "$(slot_in_use)") 0 0 0 0" "$(word I 2) $(word I 0)"; }
do_overview() { write_map front4 "$(word I "$(slot_in_use)")" "$(yes 2 | head -n 65536 | tr '\n' ' ')"; }
do_endpoint() {
	# To 203.0.113.7, port 443: address, slot, port, family.
	write_map endpoints "203 0 113 7 $(yes 0 | head -n 12 | tr '\n' ' ') $(word I "$(slot_in_use)") 1 187 4 0" 1
}
do_overview6() { write_map front6 "$(word I "$(slot_in_use)")" "$(yes '2 0' | head -n 8192 | tr '\n' ' ')"; }
do_settings() { # audit mode, whatever else it has
	local slot value
	slot=$(slot_in_use)
	value=$(bed_bpftool -j map lookup pinned "$EG_PIN_DIR/wireguard/config" key hex "0$slot" 00 00 00 |
		jq -r '.value | map(ltrimstr("0x")) | join(" ")')
	write_map config "hex 0$slot 00 00 00" "hex $(printf %02x $((0x${value%% *} | 1))) ${value#* }"
}
do_generation() {
	attach_it --deny 192.168.1.7 >/dev/null
	write_map control "$(word I 0)" "$(word I $((1 - $(slot_in_use))))"
}
do_interface() {
	ip -n host link add veth-more type veth peer name more netns wireguard
	ip -n wireguard link set more up
}
undo_interface() { ip -n wireguard link delete more; }
do_kind() {
	bed_link wireguard wg0 vpn forged
	ip -n wireguard link set wg0 up
}
undo_kind() { ip -n wireguard link delete wg0; }

# --- the table ---------------------------------------------------------------------------------------

# Of a tcx link's making; of a filter's; of either.
TCX="
front_device|another program runs before .device. on eth0|attach
front_peer|another program runs before .peer. on eth0|attach
link_device|eth0 has no .device. layer|attach
link_peer|eth0 has no .peer. layer|attach
held_device|.device. on eth0 has lost its pin|attach
held_peer|.peer. on eth0 has lost its pin|attach
forged_device|something else is pinned as its .prog_device.|attach
forged_peer|something else is pinned as its .prog_peer.|attach
"
CLSACT="
qdisc_device|eth0 has no .device. layer|attach
qdisc_peer|eth0 has no .peer. layer|attach
filter_device|eth0 has no .device. layer|attach
filter_peer|eth0 has no .peer. layer|attach
pin_device|.device. on eth0 has lost its pin|attach
pin_peer|.peer. on eth0 has lost its pin|attach
"
BOTH="
prog|is incomplete .it has no pin .prog_peer.|replace
map|is incomplete .it has no pin .endpoints.|replace
forged_pin|something else is pinned as its .prog_peer.|attach
copied_map|something else is pinned as its .control.|attach
prefix|table of IPv4 prefixes is not what the policy|attach
overview|table of IPv4 overview is not what the policy|attach
overview6|table of IPv6 overview is not what the policy|attach
endpoint|table of endpoints is not what the policy|attach
settings|table of settings is not what the policy|attach
generation|table of control is not what the policy|attach
interface|more has no .device. layer|attach
kind|wg0 is declared as the tunnel, but is none|undo
"

SOCKET="
other_cgroup|the layer .socket. is not whole .link_connect4.|attach
forged_shared|the layer .socket. is not whole .link_connect4.|attach
"

tamper() { # NAME PATTERN REPAIR
	local options=()
	attach_it --replace >/dev/null
	check_equal "$1: before" "$(state wireguard)" enforcing
	"do_$1"
	check_equal "$1: state" "$(state wireguard)" degraded
	check "$1: status says why" grep -q "$2" <(reason)
	check_status "$1: status --check" 1 eg status wireguard --check
	case $3 in
	replace)
		says "$1: attach alone says what to do" 1 'attach --replace' attach_it
		options=(--replace)
		;;
	undo) "undo_$1" ;;
	esac
	check "$1: attach repairs" attach_it "${options[@]}"
	check_equal "$1: then" "$(state wireguard)" enforcing
	check "$1: and it holds" blocked
	check_equal "$1: nothing is left" "$(guard_places)" wireguard
	stop intruder
	[ "$3" = undo ] || ! declare -F "undo_$1" >/dev/null || "undo_$1"
}
tamper_all() { # TABLE
	local name pattern repair
	while IFS='|' read -r name pattern repair; do
		[ -z "$name" ] || tamper "$name" "$pattern" "$repair"
	done <<<"$1"
}

# --- what is no tampering -------------------------------------------------------------------------------

another_tunnel() {
	tunnel_create
	attach_it --replace >/dev/null
	check_equal 'the tunnel is there' "$(state wireguard)" enforcing
	tunnel_delete
	tunnel_create
	check_equal 'the tunnel was made anew, as restarts do' "$(state wireguard)" enforcing
	tunnel_delete
	bed_wireguard wireguard evil0
	says 'another WireGuard device, and wg0 away: attach without a name' 2 \
		'has the tunnel wg0.*evil0 is.*--tunnel evil0' \
		eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --replace
	check_equal 'and keeps what is in force' "$(eg status wireguard --json | jq -r '.guards[0].tunnel')" wg0
	check 'with a name: --tunnel' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan \
		--tunnel evil0 --replace
	bed_wireguard_delete wireguard evil0
}

# --- pins out of reach -----------------------------------------------------------------------------------

# The BPF file system is covered by another one.
covered() {
	local dir=${EG_PIN_DIR%/*} told="programs of a guard 'wireguard' on 'netns:wireguard' are in the kernel"
	attach_it --replace >/dev/null
	mount -t bpf bpf "$dir"
	check 'covered: it is in force' blocked
	check 'covered: status finds none' grep -q 'no guards in' <(eg status 2>/dev/null)
	check 'covered: and says that there is one' grep -q "$told" <(eg status 2>&1)
	check 'covered: and where it looked' grep -q "$EG_PIN_DIR" <(eg status 2>&1)
	says 'covered: status by name' 3 "$told" eg status wireguard
	says 'covered: detach' 3 "$told" eg detach wireguard
	says 'covered: attach does not put a second one there in silence' 1 "$told" attach_it
	says 'covered: and says what to do' 1 '--pin-dir.*unmount' attach_it
	check 'covered: attach --replace puts it beside' attach_it --replace
	check 'covered: both judge' blocked
	eg detach wireguard >/dev/null
	umount "$dir"
	check_equal 'uncovered: it is found again' "$(state wireguard)" enforcing
	check 'uncovered: nothing is told any more' [ -z "$(eg status wireguard 2>&1 >/dev/null)" ]
}

# It is unmounted for good: links go with their pins, filters do not.
unmounted() {
	local told="programs of a guard 'lost' on 'netns:wireguard' are in the kernel"
	eg detach wireguard >/dev/null
	mkdir "$BED/bpf"
	mount -t bpf bpf "$BED/bpf"
	"$EG" attach --pin-dir "$BED/bpf/guards" --netns wireguard --name lost --tunnel wg0 --dns lan \
		--endpoint "$BED_ENDPOINT" >/dev/null
	check 'elsewhere: it is in force' blocked
	check 'elsewhere: status tells of it' grep -q "$told" <(eg status 2>&1)
	umount "$BED/bpf"
	if [ "$WITH" = tcx ]; then
		wait_until 5 probe wireguard icmp 203.0.113.7 --timeout 200
		check 'unmounted: attach has nothing in its way' attach_it
		return
	fi
	check 'unmounted: the filters stay' blocked
	says 'unmounted: attach' 1 "$told" attach_it
	says 'unmounted: how to take it away' 1 'tc filter del dev IFACE egress pref 1' attach_it
	tc -n wireguard filter delete dev eth0 egress pref 1
	tc -n host filter delete dev veth-wg ingress pref 1
	check 'unmounted: then attach' attach_it
}

# --- all -------------------------------------------------------------------------------------------------

WITH=clsact
if [ "${EGRESSGUARD_FORCE_CLSACT:-}" != 1 ] && "$EG" features --json | jq -e .features.tcx.present >/dev/null; then
	WITH=tcx
fi
bed_up
check 'without a guard the probe is answered' probe wireguard icmp 203.0.113.7 --timeout 1000
if [ "$WITH" = tcx ]; then
	tamper_all "$TCX"
else
	tamper_all "$CLSACT"
fi
tamper_all "$BOTH"
if "$EG" features --json | jq -e .features.cgroup2.present >/dev/null &&
	[ "$(eg status wireguard --json | jq -r '.guards[0].layers[] | select(.name == "socket") | .state')" = attached ]; then
	tamper_all "$SOCKET"
else
	skip 'the layer socket' 'this machine cannot have it'
fi
another_tunnel
covered
unmounted
check 'detach' eg detach wireguard
