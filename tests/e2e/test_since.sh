#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# When a target started, since when it is guarded, and for how long it was not: of a name in /run/netns and of a
# process. Of containers test_docker.sh and test_podman.sh say it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

bed_up

of() { # GUARD FILTER
	eg status "$1" --json | jq -r ".guards[0] | $2"
}
# times NAME GUARD: what the JSON says agrees with itself and with the text, which says it in seconds.
times() {
	local name=$1 guard=$2
	check "$name: from its start on" test "$(of "$guard" '(.unguarded_seconds * 1000 | floor)')" -ge 2000
	check "$name: that is from the one time to the other" test "$(of "$guard" \
		'def s: (.[0:19] + "Z" | fromdate);
		((.since | s) - (.target_started | s) - .unguarded_seconds) | fabs < 1.1')" = true
	eg status "$guard" >"$BED/status.txt"
	check "$name: for people too" grep -q -x -E \
		"  guarded since .{19} \($(of "$guard" '.unguarded_seconds | floor') s unguarded\)" "$BED/status.txt"
	check "$name: and when it started" grep -q -x -E '  started       [0-9-]{10} [0-9:]{8}' "$BED/status.txt"
}

# --- as long as its oldest process runs ---------------------------------------------------------------
start_in wireguard app sleep 900
start_in lan other sleep 900
sleep 2.1
start_in wireguard app-two sleep 900
check 'attach to a name' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
times 'a name' wireguard
check 'attach to a process' eg attach --netns "pid:${BED_PIDS[other]}" --name other --endpoint "$BED_ENDPOINT" \
	--dns lan --accept-device-only
times 'a process' other
before=$(of wireguard .since)
check 'a policy that is replaced' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --deny 192.168.1.1
check_equal 'has not begun to guard anew' "$(of wireguard .since)" "$before"

# --- the name is another namespace's now ----------------------------------------------------------------
stop app KILL
stop app-two KILL
ip netns delete wireguard
ip netns add wireguard
check_equal 'another namespace: unguarded' "$(of wireguard .state)" unguarded
check_equal 'without a process: since when is not known' "$(of wireguard '"\(.target_started) \(.unguarded_seconds)"')" \
	'null null'
start_in wireguard app sleep 900
sleep 1.1
check_equal 'with one: by that' \
	"$(of wireguard "(.target_started > \"$before\"), .since, (.unguarded_seconds >= 1)" | tr '\n' ' ')" 'true null true '
check 'for people too' grep -q -x -E '  unguarded for [0-9]+ s' <(eg status wireguard)
check_status '--check' 1 eg status wireguard --check

# --- what shows a policy that nothing is held to says so ------------------------------------------------------
warns() { # COMMAND...: on standard error
	"$EG" "$@" --pin-dir "$EG_PIN_DIR" 2>&1 >/dev/null |
		matches "^egressguard $1: warning: 'wireguard' is unguarded: the target has another namespace"
}
check 'explain' warns explain wireguard tcp 203.0.113.7:443
check 'events' warns events wireguard --duration 0.1
check 'policy show' warns policy show wireguard
check 'and nothing else, where it is read by a machine' eval 'eg explain wireguard tcp 203.0.113.7:443 --json 2>/dev/null | jq -e .row'
check 'attached to the new one' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --replace
check_equal 'in force: no warning' "$(eg explain wireguard tcp 203.0.113.7:443 2>&1 >/dev/null)" ''
