#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# A container whose first process leaves the network that its engine gave it for one of its own making, as any
# process may with Podman, without a privilege, and has others send where it was: what is guarded is the
# container's network, before and after.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

engine_bed
export DOCKER_HOST=unix://$BED/no.sock
podman_up
# It sends from before until after; `go` has the first process leave.
cat >"$BED/config/leave" <<'END'
#!/bin/sh
(while :; do /bin/probe udp 203.0.113.7:443 --timeout 50; done) &
until [ -e "/config/$1" ]; do sleep 0.1; done
exec /bin/busybox unshare -U -r -n /bin/sleep 900
END
chmod 755 "$BED/config/leave"

leaver() { # NAME
	podman_run "$1" --network bed --volume "$BED/config:/config" -- /bin/sh /config/leave "go-$1"
}
pid_of() {
	podman_bed inspect --format '{{.State.Pid}}' "$1"
}
network_of() {
	stat -L -c %i "$(podman_bed inspect --format '{{.NetworkSettings.SandboxKey}}' "$1")"
}
has_left() { # NAME
	[ "$(stat -L -c %i "/proc/$(pid_of "$1")/ns/net")" != "$(network_of "$1")" ]
}
is_guarded() { # NAME
	[ "$(of_guard "$1" .state)" = enforcing ] && [ "$(guard_meta "$1" .netns_inode)" = "$(network_of "$1")" ]
}
# Long enough for the sender to have had many turns.
watch_it() { # CAPTURE
	capture_start "$1" internet host0 'dst host 203.0.113.7'
	sleep "$((2 * ${EG_SLOW:-1}))"
	capture_stop "$1"
}

# --- it has left before anybody came ------------------------------------------------------------------
leaver before
engine_check Podman before
touch "$BED/config/go-before"
if ! wait_until 20 has_left before; then
	skip 'leaves' 'a container cannot make a user namespace here'
	exit 0
fi
watch_it control
check_leaks 'control: what it left behind leaks, without a guard' control
policy before 'Target = podman:before'
check 'the daemon starts' daemon_up
check 'it had left: its network is guarded' wait_until 15 is_guarded before
watch_it before
check_no_leak 'it had left: nothing in the clear' before

# --- it leaves when it is guarded ------------------------------------------------------------------------
policy after 'Target = podman:after'
reload
leaver after
check 'it is there: guarded' wait_until 15 is_guarded after
touch "$BED/config/go-after"
wait_until 20 has_left after
forget
reload
check 'it left: its network is guarded still' is_guarded after
policy after 'Target = podman:after' 'Deny = 192.168.1.10'
reload
denies() {
	eg policy show after | grep -q '^Deny = 192.168.1.10'
}
check 'it left: a new policy is for its network' wait_until 15 denies
check 'it left: its network is guarded by it' is_guarded after
check_equal 'it left: no guard of its own making' "$(eg status --json | jq '.guards | length')" 2
watch_it after
check_no_leak 'it left: nothing in the clear' after
stop daemon

# --- an engine that does not tell where its network is ----------------------------------------------------
inside=$(pgrep -P "$(pid_of after)" | head -n 1)
container() { # NAME COMMAND...: in the network that was left, in a cgroup such as the engine's
	local id
	id=$(printf %s "$1" | sha256sum | cut -d' ' -f1)
	in_scope "$id" "$inside" "${@:2}" &
	wait_until 10 scope_runs "$id" sleep
	read -r pid <"$(engine_cgroup2)/$ENGINE_CGROUP/$id/cgroup.procs"
}
scope_runs() { # ID COMM
	local pid
	read -r pid <"$(engine_cgroup2)/$ENGINE_CGROUP/$1/cgroup.procs" && [ "$(cat "/proc/$pid/comm")" = "$2" ]
}
container mover unshare -U -r -n sleep "$ENGINE_LIFE"
mover=$pid
container stayer sleep "$ENGINE_LIFE"
export DOCKER_HOST=unix://$BED/docker.sock
start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/docker.sock" "mover=$mover" "stayer=$pid"
wait_until 10 test -S "$BED/docker.sock"
eg detach after >/dev/null
refused 'not told: where it went is not taken for its network' 1 'can have made itself' docker:mover \
	--endpoint "$BED_ENDPOINT"
check 'not told: of who stayed it is' attach docker:stayer --endpoint "$BED_ENDPOINT"
check_equal 'not told: of who stayed it is its network' "$(guard_meta stayer .netns_inode)" "$(network_of after)"
