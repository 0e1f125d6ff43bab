#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whose a blocked packet is: known by the cgroup of its socket, in whatever layout of cgroups, and
# asked of an engine that answers, does not answer, or is still being asked when the viewer ends.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

VIEWERS=8
ROUNDS=12
[ "${EG_SLOW:-1}" = 1 ] || ROUNDS=1

send_in() { # SCOPE
	in_scope "$1" "$BED_PID" "$PROBE" udp 203.0.113.7:9 --timeout 10 >/dev/null || true
}

id_of() { # NAME: as engine.py has it
	printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

# watch SCOPE [TEXT]: events of it, in $BED/events.json, until one has TEXT in it, which is the cgroup
# if not said; the viewer ends by Ctrl-C, then and there.
watch() {
	local scope=$1 text=${2:-/$ENGINE_CGROUP/$1} status=0
	rm -f "$BED/events.json"
	# shellcheck disable=SC2016 # the inner shell's
	start viewer sh -c 'exec "$@" >"$0"' "$BED/events.json" "$EG" events --pin-dir "$EG_PIN_DIR" --json
	wait_until 10 sent_and_seen "$scope" "$text" || {
		cat "$BED/viewer.log"
		return 1
	}
	kill -INT "${BED_PIDS[viewer]}"
	wait "${BED_PIDS[viewer]}" || status=$?
	unset 'BED_PIDS[viewer]'
	return "$status"
}

sent_and_seen() {
	send_in "$1"
	grep -q -F -- "$2" "$BED/events.json"
}

# Of the last event: an event is not held up until an engine has answered.
of_event() { # FILTER
	jq -r "select(.type==\"packet\")|$1" "$BED/events.json" | tail -n 1
}

bed_up
start_in wireguard sleeper sleep 600
BED_PID=${BED_PIDS[sleeper]}
start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/engine.sock" box=0 mute=-1
wait_until 10 test -S "$BED/engine.sock"
export DOCKER_HOST=unix://$BED/engine.sock CONTAINER_HOST=unix://$BED/none.sock
eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan >/dev/null
box=$(id_of box)
mute=$(id_of mute)
pod=$(id_of pod)

# --- layouts -----------------------------------------------------------------------------------------
for layout in "$box" "system.slice/docker-$box.scope" "machine.slice/libpod-$box.scope/container" \
	"libpod_parent/$pod/libpod-$box" \
	"machine.slice/machine-libpod_pod_$pod.slice/libpod-$box.scope/container"; do
	label=${layout//$box/ID}
	label=${label//$pod/POD}
	check "$label: an event" watch "$layout"
	check_equal "$label: the cgroup" "$(of_event .cgroup)" "/$ENGINE_CGROUP/$layout"
	check_equal "$label: the id" "$(of_event .container_id)" "$box"
done
check_equal 'the engine tells the name' "$(eg status wireguard --json |
	jq -r '.guards[0].recent[].container' | sort -u)" box
check 'no container: an event' watch 'user.slice/session.scope'
check_equal 'no container: the cgroup' "$(of_event .cgroup)" "/$ENGINE_CGROUP/user.slice/session.scope"
check_equal 'no container: none is named' "$(of_event '.container_id')" null

# --- an engine that does not answer ---------------------------------------------------------------------
check 'an engine that does not answer: the event is shown, and the viewer ends' \
	watch "system.slice/docker-$mute.scope" '"packet"'
check_equal 'an engine that does not answer: nobody is named' "$(of_event '.container')" null
check 'an engine that does not answer: status is shown' eg status wireguard

# --- the end of a viewer ----------------------------------------------------------------------------
# Whoever asks the engine ends before the libraries do that it asks with. Many, for it is a matter of
# moments.
all_have_seen() {
	local number
	send_in "$1"
	for ((number = 0; number < VIEWERS; number++)); do
		[ -s "$BED/many-$number.log" ] || return 1
	done
}

many_viewers() {
	local round number status=0
	for ((round = 0; round < ROUNDS; round++)); do
		for ((number = 0; number < VIEWERS; number++)); do
			start "many-$number" "$EG" events --pin-dir "$EG_PIN_DIR" --json
		done
		# About nobody's packets no engine is asked.
		wait_until 20 all_have_seen user.slice/session.scope || return
		send_in "system.slice/docker-$box.scope"
		for ((number = 0; number < VIEWERS; number++)); do
			kill -INT "${BED_PIDS[many-$number]}"
		done
		for ((number = 0; number < VIEWERS; number++)); do
			wait "${BED_PIDS[many-$number]}" || status=$?
			unset "BED_PIDS[many-$number]"
		done
	done
	return "$status"
}
check 'viewers that end while they ask end well' many_viewers
