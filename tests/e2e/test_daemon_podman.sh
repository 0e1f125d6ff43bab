#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# The daemon and a real Podman: what its events tell. Containers start, stop, are killed, restart, are made
# anew, gain networks and lose them; the service goes and comes back.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

policy wireguard 'Target = podman:wireguard'
engine_bed
# No engine of this machine's has a say here.
export DOCKER_HOST=unix://$BED/no.sock
podman_up

podman_pid() {
	podman_bed inspect --format '{{.State.Pid}}' "$1"
}
wireguard_run() {
	podman_run wireguard --network bed --cap-add NET_ADMIN,NET_RAW --device /dev/net/tun \
		--sysctl net.ipv6.conf.all.disable_ipv6=0 --volume "$BED/config:/config" \
		-- /bin/tunnel "$ENGINE_LIFE"
}
# is_guarded PID: the guard is in force, and on that process's namespace.
is_guarded() {
	local inode
	inode=$(stat -L -c %i "/proc/$1/ns/net") || return
	[ "$(of_guard wireguard .state 2>/dev/null)" = enforcing ] &&
		[ "$(guard_meta wireguard .netns_inode)" = "$inode" ]
}
# check_guarded NAME: by the event, long before the look that comes every half minute.
check_guarded() {
	check "$1: guarded" wait_until 15 is_guarded "$(podman_pid wireguard)"
}
# How long it was open, by what status says.
open_for() {
	eg status wireguard --json | jq -r '.guards[0] | .target_started, .since' | while read -r time; do
		date -d "$time" +%s%N
	done | { read -r started && read -r since && echo "open for $(((since - started) / 1000000)) ms"; }
}
# leaks_nothing NAME: with the tunnel down.
leaks_nothing() {
	local pid
	pid=$(podman_pid wireguard)
	tunnel_off "$pid"
	capture_start "$1" internet host0
	probes_in wireguard "$ENGINE_LEAKS"
	capture_stop "$1"
	check_no_leak "$1: nothing in the clear" "$1"
	tunnel_on "$pid"
}

# --- the positive control ------------------------------------------------------------------------
wireguard_run
engine_check Podman wireguard
wait_for_tunnel podman_bed
pid=$(podman_pid wireguard)
tunnel_off "$pid"
capture_start control internet host0
probes_in wireguard "$ENGINE_LEAKS"
capture_stop control
check_leaks 'control: without a guard it leaks' control
tunnel_on "$pid"

# --- it is there, restarts, stops, starts, is killed, is made anew ---------------------------------------
check 'the daemon starts' daemon_up
check 'what is there is guarded when it is ready' is_guarded "$pid"
check_logged 'the engine is followed' 'podman answers: its events are followed'

podman_bed restart --time 2 wireguard >/dev/null
check_guarded restarted
open_for
wait_for_tunnel podman_bed
check 'restarted: the tunnel works, its endpoint was learned' \
	wait_until 20 probe_in wireguard tcp 203.0.113.7:443
leaks_nothing restarted

forget
podman_bed stop --time 2 wireguard >/dev/null
check_logged 'stopped: its guard has gone with it' 'its namespace has ended, and the guard with it' 30
podman_bed start wireguard >/dev/null
check_guarded started
forget
podman_bed kill wireguard >/dev/null
check_logged 'killed: its guard has gone with it' 'its namespace has ended, and the guard with it' 30
podman_bed rm -f wireguard >/dev/null
wireguard_run
check_guarded 'made anew'
open_for
wait_for_tunnel podman_bed

# --- a network more ------------------------------------------------------------------------------------
check_network_more 15 podman_bed --disable-dns

# --- the service goes, and comes back ------------------------------------------------------------------
forget
stop podman KILL
check_logged 'the engine is gone: said' 'podman does not answer any more.*its containers. guards stay' 15
leaks_nothing alone
podman_bed restart --time 2 wireguard >/dev/null
rm -f "$BED/podman/podman.sock"
start_in host podman env -u CONTAINER_HOST podman system service --time 0 "$CONTAINER_HOST"
check_logged 'it is followed again' 'podman answers: its events are followed' 30
check_guarded 'restarted meanwhile'
leaks_nothing back
