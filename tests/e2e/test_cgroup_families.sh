#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a guard on a cgroup does not see, as egressguard(8) says: packets that the kernel sends for
# sockets of other families. Each is sent by a process without any privilege; a guard on the namespace
# holds all of them.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROOT=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
CGROUP=$ROOT/eg-families-$$
PUBLIC=203.0.113.7
FAMILIES=$(cat "$BED_SOURCE/tests/e2e/families.py") # nobody may not read the file

if [ -z "$ROOT" ] || ! mkdir "$CGROUP" 2>"$BED/mkdir.err"; then
	skip 'other families' 'no cgroup can be made here'
	exit 0
fi

bed_at_exit() {
	local name
	for name in "${!BED_PIDS[@]}"; do
		stop "$name" KILL
	done
	wait_until 5 rmdir "$CGROUP"
}

# send_from CGROUP WAY [SECONDS]: as nobody, from the namespace.
send_from() {
	local dir=$1 way=$2
	shift 2
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$dir" nsenter --net=/run/netns/wireguard -- \
		setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all -- \
		python3 -c "$FAMILIES" "$way" 172.18.0.2 "$PUBLIC" "$@"
}

# What the kernel sends for each. It may go on to try for some time.
declare -A FILTER=([pppol2tp]='udp port 1701' [rds]='tcp port 16385' [smc]='tcp port 443' [rxrpc]='udp port 7001')

# leaves WAY: sets SEEN to how many packets of it come to the internet, and STATUS.
leaves() {
	capture_start seen internet host0
	STATUS=0
	send_from "$CGROUP" "$1" >"$BED/sent" 2>&1 || STATUS=$?
	sleep 0.3
	capture_stop seen
	SEEN=$(capture_count seen "dst $PUBLIC and ${FILTER[$1]}")
}

unguarded() { # WAY
	leaves "$1"
	[ "$STATUS" != 77 ] || {
		skip "$1" "this kernel has no such sockets: $(head -n 1 "$BED/sent")"
		return 1
	}
	check "$1: seen without a guard" test "$SEEN" -gt 0
	sed 's/^/  | /' "$BED/sent"
}

attach_cgroup() {
	check "$1: attach --cgroup" eg attach --cgroup "$CGROUP" --name families --endpoint "$BED_ENDPOINT" --dns lan
}

# whole WAY: a guard on the namespace holds it.
whole() {
	check "$1: attach --netns" eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
	leaves "$1"
	check_equal "$1: a guard on the namespace holds it" "$SEEN" 0
	check "$1: detach" eg detach wireguard
}

# What comes of it under a guard on the cgroup, as the manual says: `passes` or `held`.
way() { # WAY passes|held
	unguarded "$1" || return 0
	attach_cgroup "$1"
	leaves "$1"
	if [ "$2" = passes ]; then
		check "$1: passes a guard on the cgroup, as the manual says" test "$SEEN" -gt 0
		check "$1: and status says that it would" grep -q 'sockets of other families' <(eg status families)
	else
		check_equal "$1: held by a guard on the cgroup" "$SEEN" 0
	fi
	check "$1: detach" eg detach families
	whole "$1"
}

# The kernel's own socket is shared by all that have one, and is whoever's who was first.
shared_rxrpc() {
	local name='rxrpc by a socket of somebody else'
	send_from "$ROOT" rxrpc >"$BED/sent" 2>&1 || {
		skip "$name" "this kernel has no such sockets: $(head -n 1 "$BED/sent")"
		return 0
	}
	start_in wireguard other python3 -c "$FAMILIES" rxrpc 172.18.0.2 192.168.1.77 1000
	sleep 0.5
	attach_cgroup "$name"
	leaves rxrpc
	echo "  | $SEEN seen"
	check "$name: passes a guard on the cgroup, as the manual says" test "$SEEN" -gt 0
	stop other KILL
	check "$name: detach" eg detach families
}

bed_up
for module in l2tp_ppp rds_tcp rxrpc smc; do
	[ -z "${EG_VM:-}" ] || modprobe "$module" 2>/dev/null || true
done
for one in "${@:-pppol2tp rds smc rxrpc shared}"; do
	case $one in
	*pppol2tp*) way pppol2tp passes ;;&
	*rds*) way rds passes ;;&
	*smc*) way smc held ;;&
	*rxrpc*) way rxrpc held ;;&
	*shared*) shared_rxrpc ;;
	esac
done
