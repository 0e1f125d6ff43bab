#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guard on a cgroup: what sockets made in there send, whatever network namespace they are in, and
# that everything else is left alone. Each probe is seen without the guard first.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROOT=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
CGROUP=$ROOT/eg-cgroup-$$
PUBLIC=203.0.113.7
PUBLIC6=2001:db8:7::7

if [ -z "$ROOT" ] || ! mkdir "$CGROUP" 2>"$BED/mkdir.err"; then
	skip 'a guard on a cgroup' 'no cgroup can be made here'
	exit 0
fi

bed_at_exit() {
	local pid dir name
	for name in "${!BED_PIDS[@]}"; do
		stop "$name" KILL
	done
	for dir in "$CGROUP/below" "$CGROUP"; do
		while read -r pid; do
			kill -KILL "$pid" 2>/dev/null
		done < <(cat "$dir/cgroup.procs" 2>/dev/null)
		wait_until 5 remove_cgroup "$dir"
	done
}

remove_cgroup() { # DIR
	[ ! -d "$1" ] || rmdir "$1"
}

# in_cgroup DIR COMMAND...
in_cgroup() {
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$@"
}

# start_in_cgroup DIR NAMESPACE NAME COMMAND...
start_in_cgroup() {
	local dir=$1 namespace=$2 name=$3
	shift 3
	# shellcheck disable=SC2016 # the inner shell's
	start_in "$namespace" "$name" sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$dir" "$@"
	wait_until 5 grep -qx "${BED_PIDS[$name]}" "$dir/cgroup.procs"
}

from_cgroup() { # WAY DESTINATION [OPTION VALUE]...
	in_cgroup "$WHERE" "$PROBE" "$@" --netns /run/netns/wireguard
}

# counted VERDICT REASON: by the layer cgroup
counted() {
	eg status "$GUARD" --json | jq -r --arg verdict "$1" --arg reason "$2" \
		'.guards[0].counters.by_layer.cgroup[$verdict][$reason].packets'
}

# arrives NAME WAY DESTINATION [OPTION VALUE]...: its answer comes.
arrives() {
	local name=$1
	shift
	check "$name" wait_until 3 from_cgroup "$@" --timeout 500
}

# counts NAME VERDICT REASON COMMAND...: the command adds to that count, and to no other drop's.
counts() {
	local name=$1 verdict=$2 reason=$3 before
	shift 3
	before=$(counted "$verdict" "$reason")
	"$@" >"$BED/counts.out" 2>&1 || true
	if [ "$(counted "$verdict" "$reason")" -gt "$before" ]; then
		pass "$name"
	else
		fail "$name" "not counted as $reason"
		sed 's/^/  | /' "$BED/counts.out"
	fi
}

# blocked NAME REASON WAY DESTINATION [OPTION VALUE]...: it is not answered, and counted.
blocked() {
	local name=$1 reason=$2
	shift 2
	check "$name: no answer" refused "$@"
	counts "$name: counted" dropped "$reason" from_cgroup "$@" --timeout 100
}
refused() {
	! from_cgroup "$@" --timeout 100
}

# name, destination's way, for each family
WAYS=(
	"UDP|udp|$PUBLIC:443"
	"connected UDP|connected|$PUBLIC:443"
	"TCP|tcp|$PUBLIC:443"
	"ICMP|icmp|$PUBLIC"
	"UDP, IPv6|udp|[$PUBLIC6]:443"
	"TCP, IPv6|tcp|[$PUBLIC6]:443"
	"ICMPv6|icmp|$PUBLIC6"
	"TCP, v4-mapped|tcp|[::ffff:$PUBLIC]:443"
	"UDP, v4-mapped|udp|[::ffff:$PUBLIC]:443"
)

# each NAME COMMAND: for all of them
each() {
	local way rest
	for way in "${WAYS[@]}"; do
		rest=${way#*|}
		"${@:2}" "$1: ${way%%|*}" "${rest%%|*}" "${rest#*|}"
	done
}
blocked_public() {
	blocked "$1" public "${@:2}"
}
# What arrives in audit mode is counted as what would not.
audited() {
	arrives "$@"
	counts "$1: counted" would_drop public from_cgroup "${@:2}"
}

# links: how many hold a program at the cgroup. Not by `bpftool cgroup`, which asks Linux 5.10 more
# than that knows.
links() {
	bed_bpftool -j link show | jq --argjson id "$(stat -c %i "$CGROUP")" \
		'[.[]|select(.type=="cgroup" and .cgroup_id==$id)]|length'
}

same_policy() {
	eg attach --policy "$BED/shown.conf" | matches 'nothing changed'
}

dropped_by_device() {
	[ "$(eg status wireguard --json | jq '.guards[0].counters.by_layer.device.dropped.public.packets')" -gt "${1:-0}" ]
}

lan_is_blocked() {
	! in_cgroup "$CGROUP" "$PROBE" udp "$PUBLIC:443" --timeout 300 --netns /run/netns/lan
}

# One after the other, whatever becomes of it.
SENDER='
import socket, sys, time
to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        to.sendto(b"x" * 60, (sys.argv[1], 443))
    except PermissionError:
        pass
    time.sleep(0.0005)
'

GUARD=${CGROUP##*/}
WHERE=$CGROUP
mkdir "$CGROUP/below"
bed_up
start_in_cgroup "$CGROUP" wireguard holder sleep 1000

# --- what attach refuses -----------------------------------------------------------------------

check_status 'the root of the hierarchy is refused' 2 eg attach --cgroup "$ROOT" --endpoint "$BED_ENDPOINT"
check_status 'what is no cgroup is refused' 2 eg attach --cgroup /tmp --endpoint "$BED_ENDPOINT"
check_status 'what is not there is refused' 3 eg attach --cgroup "$CGROUP/none" --endpoint "$BED_ENDPOINT"
check_status 'a guard without an endpoint is refused' 2 eg attach --cgroup "$CGROUP"
check_status '--accept-device-only is refused' 2 eg attach --cgroup "$CGROUP" --accept-device-only
check_status '--foreground is refused' 2 eg attach --cgroup "$CGROUP" --foreground
check_status '--host is refused' 2 eg attach --cgroup "$CGROUP" --host
check_status 'two targets are refused' 2 eg attach --cgroup "$CGROUP" --netns wireguard
check_equal 'and nothing is left' "$(guard_places)" ''

# --- without, with, and in audit mode -------------------------------------------------------------

each 'without a guard' arrives
check 'without a guard: from another namespace' in_cgroup "$CGROUP" "$PROBE" udp "$PUBLIC:443" \
	--netns /run/netns/lan
check 'attach' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT"
check_equal 'it enforces' "$(state "$GUARD")" enforcing
check 'status --check says so' eg status "$GUARD" --check
capture_start leak internet host0
each 'with a guard' blocked_public
WHERE=$CGROUP/below
blocked 'a cgroup below' public udp "$PUBLIC:443"
WHERE=$CGROUP
blocked 'a non-WireGuard payload to the endpoint' not-wireguard udp "$BED_ENDPOINT"
check 'from another network namespace' lan_is_blocked
counts 'a forged source: counted' dropped source \
	from_cgroup raw 192.168.1.10:9999 --source "$PUBLIC"
capture_stop leak
check_no_leak 'nothing of it left' leak

arrives 'LAN' udp 192.168.1.10:443
arrives 'LAN, IPv6' tcp '[fd00:1::10]:443'
counts 'WireGuard to the endpoint is allowed' allowed endpoint \
	from_cgroup udp "$BED_ENDPOINT" --payload wireguard --timeout 20
check 'whoever is outside is left alone' wait_until 3 probe wireguard udp "$PUBLIC:443" --timeout 500
WHERE=$ROOT
arrives 'whoever has been moved out is, too' udp "$PUBLIC:443"
WHERE=$CGROUP

start watch "$EG" events --pin-dir "$EG_PIN_DIR" "$GUARD" --json
shown() {
	from_cgroup udp "$PUBLIC:443" --timeout 20 >/dev/null 2>&1
	grep -q '"reason":"public".*"layer":"cgroup"' "$BED/watch.log"
}
check 'an event names the process' wait_until 10 shown
check_equal 'by its socket' "$(jq -r '.attribution+" "+.comm' "$BED/watch.log" | sort -u)" 'socket probe'
stop watch

check 'audit mode' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT" --audit --replace
check_equal 'it says so' "$(state "$GUARD")" audit
each 'in audit mode' audited
check 'it enforces again' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT"
blocked 'after audit mode' public udp "$PUBLIC:443"

# --- replaced while something is sent ----------------------------------------------------------------

capture_start gap internet host0
start_in_cgroup "$CGROUP" wireguard sender python3 -c "$SENDER" "$PUBLIC"
before=$(counted dropped public)
for rule in 192.0.2.1 192.0.2.2 192.0.2.3; do
	check "replaced by one that allows $rule" eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT" \
		--allow "$rule" --replace
done
check_equal 'attach makes no second one' "$(links)" 4
if running sender && [ "$(counted dropped public)" -gt $((before + 10)) ]; then
	pass 'it was sent all the time'
else
	fail 'it was sent all the time' "$(cat "$BED/sender.log")"
fi
stop sender KILL
capture_stop gap
check_no_leak 'and nothing left meanwhile' gap

# --- the tunnel ------------------------------------------------------------------------------------

tunnel_up
check 'with the tunnel' eg attach --cgroup "$CGROUP" --replace
arrives 'it arrives by the tunnel' udp "$PUBLIC:443"
counts 'through the tunnel' allowed tunnel from_cgroup udp "$PUBLIC:443"
blocked 'past the tunnel' public udp "$PUBLIC:443" --bind eth0
tunnel_delete
ip -n wireguard link add wg0 type veth peer name wg0p
ip -n wireguard link set wg0p up
ip -n wireguard link set wg0 up
ip -n wireguard route add "$PUBLIC/32" dev wg0
ip -n wireguard neigh add "$PUBLIC" dev wg0 lladdr 02:00:00:00:00:77
blocked 'by a veth called wg0' public udp "$PUBLIC:443"
ip -n wireguard link delete wg0

# --- both kinds of guards ----------------------------------------------------------------------------

check 'a guard on the namespace, too' eg attach --netns wireguard --endpoint "$BED_ENDPOINT"
check 'what the one allows' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT" --allow "$PUBLIC" --replace
counts 'allowed by one' allowed rule refused udp "$PUBLIC:443"
check 'and counted by the other, which drops it' wait_until 3 dropped_by_device
arrives 'what both allow' udp 192.168.1.10:443
check 'the namespace goes' eg detach wireguard
check 'strict again' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT"

# --- tampering, and the end --------------------------------------------------------------------------

bed_bpftool link detach pinned "$EG_PIN_DIR/$(guard_places)/link_cgroup_egress"
arrives 'taken off, it holds nothing back' udp "$PUBLIC:443"
check_equal 'and status says so' "$(state "$GUARD")" degraded
check 'attach puts it on again' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT"
check_equal 'and status, too' "$(state "$GUARD")" enforcing
blocked 'and it holds' public udp "$PUBLIC:443"
check_status 'verify says that it is for namespaces' 2 eg verify "$GUARD"
check 'attach says that reject has no effect' grep -q "'reject' has no effect on a guard on a cgroup" \
	<(eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT" --on-block reject 2>&1)
check 'drop again' eg attach --cgroup "$CGROUP" --endpoint "$BED_ENDPOINT"
check 'status names what it does not see' grep -q 'not seen: packet sockets, sockets of other families' \
	<(eg status "$GUARD")
check 'explain' eg explain "$GUARD" udp "$PUBLIC:443"

eg policy show "$GUARD" >"$BED/shown.conf"
check 'its policy as a file' eg attach --policy "$BED/shown.conf"
check 'is the same' same_policy
check 'named as /proc has it' eg attach --cgroup "${CGROUP#"$ROOT"}" --endpoint "$BED_ENDPOINT"
check_equal 'it is the same, too' "$(guard_places)" "$GUARD"
check_status 'a cgroup is no name of a namespace' 2 eg attach --netns "cgroup:$CGROUP"

check 'detach' eg detach "$GUARD"
check_equal 'leaves no program' "$(links)" 0
check_equal 'and no pin' "$(ls "$EG_PIN_DIR")" ''
arrives 'what was held back' udp "$PUBLIC:443"

WHERE=$CGROUP/below
check 'a guard on the cgroup below' eg attach --cgroup "$WHERE" --name below --endpoint "$BED_ENDPOINT"
GUARD=below
check 'which is removed' wait_until 5 rmdir "$WHERE"
is_gone() {
	[ "$(state "$GUARD")" = gone ]
}
check 'is gone' wait_until 10 is_gone
check 'the next one' eg attach --cgroup "$CGROUP" --name above --endpoint "$BED_ENDPOINT"
check_equal 'takes it away' "$(guard_places)" above
check 'detach --all' eg detach --all

# A socket keeps what is attached to a cgroup that was removed; one made since has nothing.
mkdir "$WHERE"
check 'a guard on a cgroup that goes' eg attach --cgroup "$WHERE" --name below --endpoint "$BED_ENDPOINT"
start_in_cgroup "$WHERE" wireguard holder python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
open("'"$BED"'/made", "w").close()
time.sleep(600)'
wait_until 10 test -e "$BED/made"
check_equal 'before' "$(state "$GUARD")" enforcing
echo "${BED_PIDS[holder]}" >"$ROOT/cgroup.procs"
check 'its process leaves, and it is removed' wait_until 5 rmdir "$WHERE"
mkdir "$WHERE"
check_equal 'the same name is another cgroup: not called enforcing' "$(state "$GUARD")" degraded
check_status 'status --check' 1 eg status below --check
check 'and says why' grep -q 'the cgroup was removed' <(eg status below)
check 'a new process there is not guarded' wait_until 3 from_cgroup udp "$PUBLIC:443" --timeout 500
check 'attach --replace is the way' eg attach --cgroup "$WHERE" --name below --endpoint "$BED_ENDPOINT" --replace
check_equal 'it guards the new one' "$(state "$GUARD")" enforcing
check_status 'and holds' 3 from_cgroup udp "$PUBLIC:443" --timeout 200
stop holder KILL
check 'detach' eg detach below
rmdir "$WHERE"
