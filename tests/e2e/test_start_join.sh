#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A container joins the network of one that is guarded, after root inside has taken off what it could.
# The guard stays the one it is, with its policy, and nothing leaves meanwhile. Where a namespace has no
# cookie (before Linux 5.14), it must not be taken for that of one that has ended.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

# hook ID POLICY: what a runtime tells before the container's first instruction.
hook() {
	printf '{"ociVersion":"1.0.2","id":"%s","status":"created","pid":%d,"bundle":"/",
		"annotations":{"egressguard.policy":"%s"}}' "$1" "${BED_PIDS[inside]}" "$2" |
		in_ns host "$EG" oci-hook --pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG" >"$BED/said" 2>&1
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
check 'the first container: sealed' hook aaaaaaaaaaaaaaaa strict
before=$(guards)
in_ns wireguard tc qdisc del dev eth0 clsact 2>/dev/null || true
capture_start joined internet host0
flood
check 'another one joins it' hook bbbbbbbbbbbbbbbb other
check_equal 'the guard is the same one' "$(guards)" "$before"
stop flood
capture_stop joined
check_no_leak 'nothing left meanwhile' joined
