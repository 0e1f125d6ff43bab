#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# SIGKILL at random moments of attach and detach, more than 200 in all: what was in force stays in
# force, the next command carries on, and nothing is left behind: no pin, no program, no map. That
# nothing leaves is seen from the internet side, while probes keep asking for it.
#
# Four workers at once, each with a namespace and a place for guards of its own: a new guard, a
# narrower policy, --replace, detach.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

OURS=kill-$BASHPID- # what our guards' names begin with, on the whole machine
SHARE=${SHARE:-100} # per cent of the rounds

# --- one worker --------------------------------------------------------------------------------------

attach() {
	eg attach --netns "$WORKER" --name "$GUARD" --dns lan --endpoint "$BED_ENDPOINT" "$@"
}
now_ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# life COMMAND...: runs it; from then on others are killed within that time.
life() {
	local start
	start=$(now_ms)
	"$@" >/dev/null
	LIFE=$(($(now_ms) - start + 5))
}

# killed COMMAND...: runs it and kills it at some moment of its life, of which more is learned from
# those that outlive it.
killed() {
	local start status=0 after=$((RANDOM % LIFE + 1))
	start=$(now_ms)
	timeout --foreground -s KILL "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))" \
		"$EG" "$@" --pin-dir "$EG_PIN_DIR" >/dev/null 2>"$BED/$WORKER.err" || status=$?
	if [ "$status" = 137 ]; then
		echo killed >>"$BED/killed"
		LIFE=$((LIFE + (after * 10 > LIFE * 9 ? LIFE / 10 : 0)))
	elif [ "$status" = 0 ] || [ "$status" = 124 ]; then # 124: it ended just then
		LIFE=$(((LIFE + $(now_ms) - start) / 2 + 5))
	else
		wrong "failed before it was killed: $(cat "$BED/$WORKER.err")"
	fi
}
killed_attach() {
	killed attach --netns "$WORKER" --name "$GUARD" --dns lan --endpoint "$BED_ENDPOINT" "$@"
}

probing() {
	start_in "$WORKER" "$WORKER-4" "$PROBE" udp 203.0.113.7:9999 --count 100000000 --gap 500 --timeout 1
	start_in "$WORKER" "$WORKER-6" "$PROBE" udp '[2001:db8:7::7]:9999' --count 100000000 --gap 500 --timeout 1
}
quiet() {
	stop "$WORKER-4" KILL
	stop "$WORKER-6" KILL
}
look() { # captures what this worker's namespace lets out
	capture_start "$WORKER" internet host0 "host 172.18.0.$ADDRESS or host fd00:18::$ADDRESS"
}
look_no_more() {
	capture_stop "$WORKER"
}

wrong() {
	WRONG+="  round $round: $*"$'\n'
}
conclude() { # NAME
	if [ -z "$WRONG" ]; then
		pass "$LAYER: $1"
	else
		fail "$LAYER: $1"
		printf '%s' "$WRONG" | sed 's/^/  |/'
	fi
	WRONG=
}

pins_are() { # NAME...: and nothing else
	local there
	there=$(ls "$EG_PIN_DIR")
	[ $# = 0 ] || there=$(guard_places)
	[ "$there" = "$*" ] || wrong "pins: $there"
}

# The next command after a kill: status works, attach carries on, and nothing is left over.
carries_on() {
	eg status >"$BED/$WORKER.out" 2>&1 || wrong "status: $(cat "$BED/$WORKER.out")"
	attach "$@" >"$BED/$WORKER.out" 2>&1 || wrong "attach: $(cat "$BED/$WORKER.out")"
	[ "$(state "$GUARD")" = enforcing ] || wrong "state $(state "$GUARD")"
	pins_are "$GUARD"
}

# Or detach, of a guard that may or may not be there, half or whole.
goes_away() {
	local status=0
	eg status >"$BED/$WORKER.out" 2>&1 || wrong "status: $(cat "$BED/$WORKER.out")"
	eg detach "$GUARD" >"$BED/$WORKER.out" 2>&1 || status=$?
	[ "$status" = 0 ] || [ "$status" = 3 ] || wrong "detach: $(cat "$BED/$WORKER.out")"
	pins_are
}

kill_new() { # ROUNDS
	life attach
	eg detach "$GUARD" >/dev/null
	for ((round = 1; round <= $1; round++)); do
		killed_attach
		((round % 3 != 0)) || carries_on
		goes_away
	done
	conclude 'attach, killed: the next command carries on'
}

kill_narrower() { # ROUNDS
	local policy=$BED/$WORKER.conf
	echo '[Lan]' >"$policy"
	attach --policy "$policy" >/dev/null
	look
	probing
	echo 'Deny = 10.10.0.0/24' >>"$policy"
	life attach --policy "$policy"
	for ((round = 1; round <= $1; round++)); do
		echo "Deny = 10.10.$round.0/24" >>"$policy"
		killed_attach --policy "$policy"
		((round % 5 != 0)) || carries_on --policy "$policy"
	done
	carries_on --policy "$policy"
	grep -q "^Deny = 10.10.$1.0/24\$" <(eg policy show "$GUARD") || wrong 'the last one is not in force'
	quiet
	look_no_more
	conclude 'attach of a narrower policy, killed: the next command carries on'
	check_no_leak "$LAYER: attach of a narrower policy, killed: nothing leaves" "$WORKER"
}

# In turns in place and, for too many endpoints for the tables in force, by a new guard beside the old.
kill_replace() { # ROUNDS
	local policy=$BED/$WORKER.conf
	{
		echo '[WireGuard]'
		for round in {1..100}; do
			echo "Endpoint = 203.0.113.9:$round"
		done
	} >"$policy"
	attach >/dev/null
	look
	life attach --replace --policy "$policy"
	for ((round = 1; round <= $1; round++)); do
		if ((round % 3 == 1)); then
			eg detach "$GUARD" >/dev/null || wrong 'detach'
			attach >/dev/null || wrong 'attach'
		fi
		probing
		if ((round % 3 == 1)); then
			killed_attach --replace --policy "$policy"
		else
			killed_attach --replace --allow "100.64.$round.0/24"
		fi
		if ((round % 3 != 2)); then
			carries_on --replace
		fi
		quiet
	done
	carries_on --replace
	look_no_more
	conclude 'attach --replace, killed: the next command carries on'
	check_no_leak "$LAYER: attach --replace, killed: nothing leaves" "$WORKER"
}

kill_detach() { # ROUNDS
	attach >/dev/null
	life eg detach "$GUARD"
	attach >/dev/null
	for ((round = 1; round <= $1; round++)); do
		killed detach "$GUARD"
		((round % 4 != 0)) || goes_away
		carries_on
		probe "$WORKER" udp 203.0.113.7:9999 --timeout 30 >/dev/null && wrong 'it leaks after attach'
	done
	conclude 'detach, killed: the next command carries on'
}

# worker NUMBER LAYER WHAT ROUNDS
worker() {
	local WORKER=worker$1 ADDRESS=3$1 LAYER=$2 GUARD=$OURS$1 WRONG='' LIFE round=0 BED_FAILED=0
	EG_PIN_DIR=$EG_PIN_DIR/$WORKER
	mkdir -p "$EG_PIN_DIR"
	"kill_$3" $(($4 * SHARE / 100))
	goes_away
	conclude "$3: detach at the end"
	check_equal "$LAYER: $3: no filter is left" "$(in_ns "$WORKER" tc filter show dev eth0 egress
		in_ns host tc filter show dev "veth-$WORKER" ingress)" ''
	check "$LAYER: $3: the namespace is open" wait_until 5 probe "$WORKER" icmp 203.0.113.7
	return "$BED_FAILED"
}

# --- all of them -------------------------------------------------------------------------------------

workers() { # LAYER ROUNDS...
	local layer=$1 number=0 what
	local -A pids=()
	shift
	for what in new narrower replace detach; do
		number=$((number + 1))
		(worker "$number" "$layer" "$what" "$1") >"$BED/worker-$number.log" 2>&1 &
		pids[$number]=$!
		shift
	done
	for number in "${!pids[@]}"; do
		if ! wait "${pids[$number]}"; then
			BED_FAILED=1
			grep -q '^FAIL' "$BED/worker-$number.log" || fail "worker $number" 'it stopped'
		fi
		cat "$BED/worker-$number.log"
	done
}

last_id() { # KIND: of programs or maps; the kernel's numbers only grow
	bed_bpftool -j "$1" show | jq 'map(.id) | max // 0'
}

# of_guards: programs and maps like a guard's, made since the start: kind, id, BTF.
of_guards() {
	bed_bpftool -j prog show | jq -r --argjson last "$LAST_PROG" \
		'.[]|select(.id > $last and (.name|IN("eg_device", "eg_device_l3", "eg_peer")))|"program \(.id) \(.btf_id)"'
	bed_bpftool -j map show | jq -r --argjson last "$LAST_MAP" \
		'.[]|select(.id > $last and (.name|IN("meta", "control", "addr4", "viewers")))|"map \(.id) \(.btf_id)"'
}

# leaked: those of ours that stay. A guard's objects share their BTF; those of other tests that run at
# the same time are told by the name in their identity.
leaked() {
	local objects kind id btf name others=' '
	objects=$(of_guards)
	while read -r id btf; do
		name=$(bed_bpftool -j map lookup id "$id" key 0 0 0 0 2>/dev/null |
			jq -r '.formatted.value.name? // ""' 2>/dev/null || true)
		[[ $name == "$OURS"* ]] || others+="$btf "
	done < <(bed_bpftool -j map show | jq -r '.[]|select(.name=="meta")|"\(.id) \(.btf_id)"')
	while read -r kind id btf; do
		[ -z "$kind" ] || [[ $others == *" $btf "* ]] || echo "$kind $id $btf"
	done <<<"$objects" | sort >"$BED/suspects"
	# What was being made or taken away by others just then is known, or gone, soon after.
	[ ! -s "$BED/suspects" ] || sleep 1
	comm -12 "$BED/suspects" <(of_guards | sort)
}
nothing_leaked() {
	[ -z "$(leaked)" ]
}

bed_up
for number in {1..4}; do
	ip netns add "worker$number"
	bed_sysctl "worker$number" ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0 \
		ipv6/conf/default/accept_dad=0
	ip -n "worker$number" link set lo up
	bed_link host "veth-worker$number" "worker$number" eth0
	ip -n host link set "veth-worker$number" master br0 up
	bed_address "worker$number" eth0 "172.18.0.3$number/16" "fd00:18::3$number/64"
	bed_route "worker$number" default 172.18.0.1 default fd00:18::1
	wait_until 5 probe "worker$number" icmp 203.0.113.7 --timeout 200
	wait_until 5 probe "worker$number" icmp 2001:db8:7::7 --timeout 200
done

WORKER=worker1 ADDRESS=31 GUARD=${OURS}1
LAST_PROG=$(last_id prog)
LAST_MAP=$(last_id map)
check 'attach' attach
check 'the guard can be told among all objects' test -n "$(leaked)"
check_equal 'it enforces' "$(state "$GUARD")" enforcing
check 'detach' eg detach "$GUARD"
look
probing
sleep 0.1
quiet
look_no_more
check_leaks 'without a guard the probes are seen' worker1
check 'on both ways' test "$(capture_count worker1 ip6)" -gt 0

workers tcx 75 60 40 40
export EGRESSGUARD_FORCE_CLSACT=1
workers clsact 10 10 6 6
wait_until 10 nothing_leaked || true
check_equal 'no program and no map is left' "$(leaked)" ''
count=$(wc -l <"$BED/killed")
check "$count were killed" test "$count" -ge $((150 * SHARE / 100))
