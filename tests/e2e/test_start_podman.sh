#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# The OCI hook, with a real Podman: containers whose first instruction is to send.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

STARTS=${EG_STARTS:-8} # in a row

engine_bed
export DOCKER_HOST=unix://$BED/no.sock
podman_up

# hook NAME PROGRAM ARGUMENT...: the hook of dist/ in a directory of its own, but for what it executes.
hook() {
	local name=$1
	shift
	mkdir -p "$BED/hooks.$name"
	sed "s|@BINDIR@/egressguard|$1|" "$BED_SOURCE/dist/oci-hook.json" |
		jq '.hook.args += $ARGS.positional' --args -- "${@:2}" >"$BED/hooks.$name/egressguard.json"
}
options=(--pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG")
hook right "$EG" "${options[@]}"
HOOKS=right
NETWORK=bed
# one OPTION...: a container that sends, until it ends.
one() {
	podman_bed --hooks-dir "$BED/hooks.$HOOKS" run --rm --network "$NETWORK" \
		--cgroup-parent "/$ENGINE_CGROUP" "$@" bed /bin/first
}
policy app 'Target = podman:app' 'Endpoint = 203.0.113.9:51820'
template any

# --- many starts ---------------------------------------------------------------------------------------
starts control 2 one
check_leaks 'without the annotation: what it sends first is seen' control
check 'by IPv4' test "$(capture_count control 'udp and dst host 203.0.113.7')" -ge 2
starts sealed "$STARTS" one --annotation egressguard.policy=app --name app
check_no_leak "of $STARTS containers: nothing in the clear" sealed
starts template 2 one --annotation egressguard.policy=any
check_no_leak 'by a template: nothing in the clear' template

# --- a container that stays ------------------------------------------------------------------------------
stay() { # NAME OPTION...
	local name=$1
	shift
	podman_bed --hooks-dir "$BED/hooks.right" run --detach --name "$name" \
		--cgroup-parent "/$ENGINE_CGROUP" "$@" bed /bin/idle "$ENGINE_LIFE" >/dev/null
}
check 'one that stays' stay app --network bed --annotation egressguard.policy=app
check_equal 'the guard has the name of its policy' "$(of_guard app .state)" enforcing
check_equal 'and the target' "$(of_guard app .target)" podman:app
check_equal 'of the container' "$(guard_meta app .container_id)" "$(podman_bed inspect --format '{{.Id}}' app)"
guards_snapshot >"$BED/before"
check 'another one in its network' stay sharer --network container:app --annotation egressguard.policy=any
guards_snapshot >"$BED/after"
check 'has the guard that is there' cmp "$BED/before" "$BED/after"
capture_start shared internet host0
probe_in sharer udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
capture_stop shared
check_no_leak 'which holds it, too' shared
not_started 'a second one with the policy of a living one' "the guard 'app' is in force on another container" \
	one --annotation egressguard.policy=app
podman_bed rm --force --time 0 sharer >/dev/null
check 'restarted' podman_bed --hooks-dir "$BED/hooks.right" restart --time 0 app
check_equal 'guarded again' "$(guard_meta app .netns_inode)" \
	"$(stat -L -c %i "/proc/$(podman_bed inspect --format '{{.State.Pid}}' app)/ns/net")"
check_equal 'by one guard' "$(guard_places | grep -c '^app')" 1
app_is_guarded() {
	[ "$(guard_meta app .netns_inode)" = \
		"$(stat -L -c %i "/proc/$(podman_bed inspect --format '{{.State.Pid}}' app)/ns/net")" ]
}
# As the manual has it: an option's directory is forgotten, a file's is not.
podman_bed restart --time 0 app >/dev/null
check 'restarted without --hooks-dir: Podman has forgotten it' eval '! app_is_guarded'
sed -i "/^\[engine\]/a hooks_dir = [\"$BED/no-such-directory\", \"$BED/hooks.right\"]" "$CONTAINERS_CONF"
check 'restarted, with the directory in its configuration' podman_bed restart --time 0 app
check 'guarded again' app_is_guarded
sed -i '/^hooks_dir/d' "$CONTAINERS_CONF"
# Podman needs no service for its containers, and without one nobody says which is called app now.
not_asked() {
	CONTAINER_HOST=unix://$BED/no.sock eg status app --json |
		jq -e '.guards[0] | .state == "enforcing" and any(.notes[]; test("target is still the same is not known"))'
}
check 'without its service: status says that the name is not known' not_asked

# --- what stops a container -----------------------------------------------------------------------------------
not_started 'no such policy' "there is no policy 'nobody'" one --annotation egressguard.policy=nobody
not_started 'a path for a policy' 'is no name of a policy' one --annotation egressguard.policy=../app
not_started 'no policy' 'no policy is named' one --annotation egressguard.policy=
printf '[Guard]\nNonsense = 1\n' >"$CONFIG/templates/bad.conf"
not_started 'a policy that does not parse' 'templates/bad.conf:2:1: ' one --annotation egressguard.policy=bad
printf '[Guard]\nTarget = cgroup:/x\n' >"$CONFIG/templates/bad.conf"
not_started 'a policy for a cgroup' 'is for a cgroup' one --annotation egressguard.policy=bad
not_started 'a misspelt annotation' "no annotation 'egressguard.polcy'; did you mean 'egressguard.policy'" \
	one --annotation egressguard.polcy=any
annotated=(--annotation egressguard.policy=any)
NETWORK=host not_started "the engine's own network" 'the network namespace of its engine' \
	one "${annotated[@]}"
NETWORK=none not_started 'no network' 'has no network interface yet' one "${annotated[@]}"
mkdir "$BED/plain"
hook nobpffs "$EG" --pin-dir "$BED/plain" --config-dir "$CONFIG"
HOOKS=nobpffs not_started 'no bpffs' 'bpffs' one "${annotated[@]}"
cat >"$BED/slow" <<-'SLOW'
	#!/bin/sh
	exec sleep 60
SLOW
chmod 755 "$BED/slow"
# Killed in the middle: before there is anything, with half of the guard made, with all but its name.
for call in bpf:OBJ_PIN#1 bpf:LINK_CREATE#2 renameat2#1; do
	printf '#!/bin/sh\nexec %s --fault %s=kill -- %s "$@"\n' "$BUILD/tests/inject" "$call" "$EG" >"$BED/killed"
	chmod 755 "$BED/killed"
	hook killed "$BED/killed" "${options[@]}"
	HOOKS=killed not_started "killed at $call" 'exit status 137' one "${annotated[@]}"
done
hook slow "$BED/slow"
jq '.hook.timeout = 1' "$BED/hooks.slow/egressguard.json" >"$BED/slow.json"
mv "$BED/slow.json" "$BED/hooks.slow/egressguard.json"
HOOKS=slow not_started 'too slow' 'hook' one "${annotated[@]}"
starts after 1 one "${annotated[@]}"
check_no_leak 'the next start: nothing in the clear' after
hook missing "$BED/no-such-program"
HOOKS=missing not_started 'not there' 'No such file or directory' one "${annotated[@]}"

# --- who is asked ------------------------------------------------------------------------------------------
oci_state() { # PID
	jq -n --argjson pid "$1" '{ociVersion: "1.0.2", id: "'"$(printf '%064d' 7)"'", status: "creating", pid: $pid,
		bundle: "/nowhere", annotations: {"egressguard.policy": "any"}}'
}
by_hand() {
	oci_state "$1" | "$EG" oci-hook "${options[@]}" --engine docker
}
start_in lan sleeper sleep 600
check 'a hook asks no engine' engine_silent by_hand "${BED_PIDS[sleeper]}"
check_equal 'it has made a guard' "$(of_guard "any-$(printf '%012d' 0)" .state)" enforcing
