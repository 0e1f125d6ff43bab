#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 480
# The daemon and a real Docker: containers start, restart, are made anew, gain networks; the engine goes and
# comes back.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

policy wireguard 'Target = docker:wireguard'
engine_bed
docker_up

# The container's namespace has a guard of that name in force.
is_guarded() { # [GUARD]
	local inode pid
	pid=$(docker_pid "${1:-wireguard}")
	[ "$pid" != 0 ] || return
	inode=$(stat -L -c %i "/proc/$pid/ns/net") || return
	[ "$(state "${1:-wireguard}")" = enforcing ] &&
		[ "$(guard_meta "${1:-wireguard}" .netns_inode)" = "$inode" ]
}
# leaks_nothing NAME: with the tunnel down.
leaks_nothing() {
	tunnel_off "$(docker_pid wireguard)"
	capture_start "$1" internet host0
	probes_in wireguard "$ENGINE_LEAKS"
	capture_stop "$1"
	check_no_leak "$1: nothing in the clear" "$1"
	tunnel_on "$(docker_pid wireguard)"
}
# How long it was open: from when Docker says that it started until the guard was in force.
gap_ms() {
	eg status wireguard --json | jq -r '.guards[0] | [.target_started, .since] | .[]' | while read -r time; do
		date -d "$time" +%s%N
	done | { read -r started && read -r since && echo "$(((since - started) / 1000000))"; }
}

# --- the positive control --------------------------------------------------------------------------
docker_wireguard wireguard
engine_check Docker wireguard
wait_for_tunnel docker
tunnel_off "$(docker_pid wireguard)"
capture_start control internet host0
probes_in wireguard "$ENGINE_LEAKS"
capture_stop control
check_leaks 'control: without a guard it leaks' control
tunnel_on "$(docker_pid wireguard)"

# --- a container that is there, one that starts --------------------------------------------------------
check 'the daemon starts' daemon_up
check 'and does not call an engine silent that it asks for the first time' eval "! logged 'docker does not answer'"
check 'what is there is guarded when it is ready' is_guarded
check_logged 'the engine is followed' 'docker answers: its events are followed'
leaks_nothing there

docker_run sharer --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
forget
docker restart -t 2 wireguard >/dev/null
check 'restarted: guarded' wait_until 60 is_guarded
echo "open for $(gap_ms) ms"
check_logged 'and said' 'wireguard: guarded: docker:wireguard'
wait_for_tunnel docker
check 'restarted: the tunnel works, its endpoint was learned' probe_in wireguard tcp 203.0.113.7:443
leaks_nothing restarted
check_logged 'what was left in the namespace before is named, with what mends it' \
	'the container sharer was left in a namespace that is dead.*: docker restart sharer$' 60
docker rm -f sharer >/dev/null

docker rm -f wireguard >/dev/null
check_logged 'removed: its guard has gone' 'its namespace has ended, and the guard with it'
docker_wireguard wireguard
check 'made anew: guarded' wait_until 60 is_guarded
echo "open for $(gap_ms) ms"
wait_for_tunnel docker
leaks_nothing anew

# --- by its plain name, started after the file was read --------------------------------------------------
policy app 'Target = app' 'Endpoint = 203.0.113.9:51820'
check 'SIGHUP' reload
docker_run app -- /bin/idle "$ENGINE_LIFE"
check 'by its plain name' wait_until 60 is_guarded app

# --- a network more ------------------------------------------------------------------------------------
# By whichever of its looks comes first.
check_network_more 60 docker
check 'all is well' wait_until 60 is_guarded

# --- the gap at a start ----------------------------------------------------------------------------------
# A container whose first instruction is to send, and that goes on: what leaves comes to an end.
docker rm -f app >/dev/null
# shellcheck disable=SC2016 # the inner shell's
sends='i=0; while [ $i -lt 300 ]; do /bin/probe udp 203.0.113.7:9 --timeout 1; i=$((i+1)); done; exec sleep 900'
capture_start gap internet host0 'udp and dst host 203.0.113.7'
docker_run app --env EG_SLOW=1 -- /bin/sh -c "$sends"
check 'a container that sends from its first instruction on: guarded' wait_until 60 is_guarded app
sleep 1
capture_stop gap
capture_show gap >"$BED/gap"
echo "in the clear before the guard: $(wc -l <"$BED/gap") datagrams, $(tcpdump -tt -n -r "$BED/gap.pcap" \
	'udp and dst host 203.0.113.7' 2>/dev/null | awk 'NR == 1 { first = $1 } { last = $1 }
	END { printf "%d ms from the first to the last", (last - first) * 1000 }')"
capture_start after internet host0
probe_in app udp 203.0.113.7:9 --timeout 100 >/dev/null 2>&1 || true
capture_stop after
check_no_leak 'and nothing after that' after

# --- the engine goes, and comes back -------------------------------------------------------------------
forget
stop dockerd KILL
check_logged 'the engine is gone: said' 'docker does not answer any more.*its containers. guards stay'
capture_start gone internet host0
pid=$(head -n 1 "$(engine_cgroup2)/$ENGINE_CGROUP/"*/cgroup.procs 2>/dev/null | grep -m 1 '^[0-9]' || true)
check 'without the engine: a container is there' test -n "$pid"
nsenter --net="/proc/$pid/ns/net" -- "$PROBE" udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
capture_stop gone
check_no_leak 'without the engine: nothing in the clear' gone
docker_again() {
	rm -f "$BED/docker/pid" "$BED/docker/docker.sock"
	docker_daemon
	wait_until 60 test -S "$BED/docker/docker.sock" && docker version >/dev/null
}
check 'the engine is back' docker_again
check_logged 'it is followed again' 'docker answers: its events are followed'
docker rm -f wireguard >/dev/null 2>&1 || true
docker_wireguard wireguard
check 'and what starts is guarded' wait_until 60 is_guarded
echo "open for $(gap_ms) ms"

# --- the daemon is not there for a start ---------------------------------------------------------------
stop daemon TERM
docker restart -t 2 wireguard >/dev/null
check 'started without the daemon: not guarded' eval '! is_guarded'
check 'the daemon starts again' daemon_up
check 'it is guarded when that is ready' is_guarded
