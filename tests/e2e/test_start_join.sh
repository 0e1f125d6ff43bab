#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A container joins the network of one that is guarded, after root inside has taken off what it could.
# The guard stays the one it is, with its policy, and nothing leaves meanwhile. Where a namespace has no
# cookie (before Linux 5.14), it must not be taken for that of one that has ended.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

# hook ID POLICY PROCESS [OPTION...]: what a runtime tells before the container's first instruction. Its network
# is $WHERE.
WHERE=wireguard
hook() {
	local id=$1 policy=$2 process=$3
	shift 3
	wait_until 20 test "/proc/${BED_PIDS[$process]}/ns/net" -ef "/run/netns/$WHERE"
	printf '{"ociVersion":"1.0.2","id":"%s","status":"created","pid":%d,"bundle":"/",
		"annotations":{"egressguard.policy":"%s"}}' "$id" "${BED_PIDS[$process]}" "$policy" |
		in_ns host "$EG" oci-hook --pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG" "$@" >"$BED/said" 2>&1
}
guards() {
	guard_places | grep -v '^_' | tr '\n' ' '
}
# flood: as fast as it goes, through what is there at each moment.
flood() {
	start_in wireguard flood sh -c "while :; do '$PROBE' udp '$PUBLIC:9999' --count 50 --timeout 1; done"
}

bed_up
PUBLIC=203.0.113.77
template strict
template other '[Lan]' 'Allow = 203.0.113.0/24'
start_in wireguard inside sleep 1000
capture_start control internet host0
in_ns wireguard "$PROBE" udp "$PUBLIC:9999" --timeout 100 || true
capture_stop control
check_leaks 'without a guard it leaves' control
check 'the first container: sealed' hook aaaaaaaaaaaaaaaa strict inside
before=$(guards)
in_ns wireguard tc qdisc del dev eth0 clsact 2>/dev/null || true
capture_start joined internet host0
flood
start_in wireguard second sleep 1000
check 'another one joins it' hook bbbbbbbbbbbbbbbb other second
check_equal 'the guard is the same one' "$(guards)" "$before"
stop flood
capture_stop joined
check_no_leak 'nothing left meanwhile' joined

# Now nothing is left that the guard could be on. An interface that comes later has the same guard.
in_ns wireguard ip link delete eth0
start_in wireguard third sleep 1000
check 'without an interface: a third one joins it' hook cccccccccccccccc other third --late
check_equal 'without an interface: the guard is the same one' "$(guards)" "$before"

# Its engine names the owner: that is told by the cgroup, however old its processes are.
owner=$(printf 'd%.0s' {1..64})
"$EG" detach --pin-dir "$EG_PIN_DIR" --all >/dev/null
check 'of an engine: sealed' hook "$owner" strict inside --late --engine docker
before=$(guards)
stop inside
stop second
stop third
start_in wireguard fifth sleep 1000
scope=$(engine_cgroup2)/$ENGINE_CGROUP/$owner
mkdir -p "$scope"
# shellcheck disable=SC2016 # the inner shell's
start_in wireguard owner sh -c 'echo $$ >"$0/cgroup.procs" && exec sleep 1000' "$scope"
wait_until 20 grep -q . "$scope/cgroup.procs"
check 'of an engine: another one joins it' hook eeeeeeeeeeeeeeee other fifth --late
check_equal 'of an engine: the guard is the same one' "$(guards)" "$before"

# --- a policy with a target is one container's, also while that has no interface --------------------------
policy one 'Target = docker:one'
start_in wireguard sixth sleep 1000
"$EG" detach --pin-dir "$EG_PIN_DIR" --all >/dev/null
check 'a policy with a target: sealed' hook ffffffffffffffff one sixth --late
if [ "$(guard_meta one .netns_cookie)" = 0 ]; then
	skip 'without an interface: it is one container'\''s policy still' 'a namespace has no cookie on this kernel'
	exit 0
fi
bed_namespace another
start_in another seventh sleep 1000
WHERE=another check_status 'no other container is started with it while that one runs' 1 \
	hook 9999999999999999 one seventh --late
check 'and it is said why' grep -q 'which is in use' "$BED/said"
check_equal 'the guard stays where it is' "$(guard_meta one .netns_inode)" "$(stat -L -c %i /run/netns/wireguard)"
stop owner
stop fifth
stop sixth
WHERE=another check 'when it has ended: another one is' hook 9999999999999999 one seventh --late
