#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The start of a container has made its guard, and no interface is there: Docker makes them later from version 28
# on, and any engine may take the last network away from one that runs. The daemon follows that guard all the
# same, also where it comes only then, and covers what comes.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

is_there() {
	test "/proc/${BED_PIDS[inside]}/ns/net" -ef /run/netns/wireguard
}
hook() { # STATUS
	printf '{"ociVersion":"1.0.2","id":"%s","status":"%s","pid":%d,"bundle":"/"}' \
		aaaaaaaaaaaaaaaa "$1" "${BED_PIDS[inside]}" |
		"$EG" oci-hook --late --policy strict --pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG"
}
interface() {
	bed_link host veth-wg wireguard eth0
	ip -n host link set veth-wg master br0 up
	bed_address wireguard eth0 172.18.0.2/16
	ip -n wireguard route add default via 172.18.0.1
}
is_covered() {
	eg status strict-aaaaaaaaaaaa --check
}
# check_holds NAME
check_holds() {
	capture_start held internet host0
	probe wireguard udp 203.0.113.7:443 --timeout 100 || true
	capture_stop held
	check_no_leak "$1: nothing in the clear" held
}

bed_up
capture_start control internet host0
probe wireguard udp 203.0.113.7:443 --timeout 100 || true
capture_stop control
check_leaks 'control: without a guard it leaves' control

template strict
ip -n wireguard link delete eth0
start_in wireguard inside sleep 900
wait_until 20 is_there
check 'the daemon starts' daemon_up
check 'a guard on what has no interface yet' hook creating
interface
check 'the interface that comes is covered' wait_until 20 is_covered
check_holds 'the interface that comes'

stop daemon
ip -n wireguard link delete eth0
check 'the daemon starts, and no interface is there' daemon_up
interface
check 'the one that comes then is covered' wait_until 20 is_covered
check_holds 'the one that comes then'
