#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# A daemon that guards its own namespace shuts that, first of all, until it is guarded; and so it stays where no
# guard can be made, or the daemon ends before one is, and with what comes into it and what is there. By tcx, and as
# before Linux 6.6.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

own_daemon() { # [VARIABLE=VALUE...]
	start_in wireguard daemon env "$@" "$EG" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
	wait_until 60 logged 'daemon: (warning: )?ready'
}
# What does not leave is not answered either: the LAN's is as good as the internet's here.
lan_answers() {
	probe wireguard icmp 192.168.1.10 --timeout 1000
}
is_enforcing() {
	[ "$(eg status --json | jq -r '.guards[0].state')" = enforcing ]
}
# check_shut NAME CAPTURE
check_shut() {
	capture_start "$2" host veth-wg
	probe wireguard udp 192.168.1.10:53 --timeout 200 || true
	probe wireguard tcp 203.0.113.7:443 --timeout 200 || true
	probe wireguard udp '[2001:db8:7::7]:53' --timeout 200 || true
	probe wireguard udp 203.0.113.7:53 --bind eth0 --timeout 200 || true
	capture_stop "$2"
	check_equal "$1: not even to the LAN" "$(capture_show "$2" "ether src $ETH0")" ''
}

# One more interface, and a packet sent by it.
more() {
	ip -n host link add veth-more type veth peer name eth1 netns wireguard
	ip -n host link set veth-more up
	ip -n wireguard link set eth1 up
}
leaves_by_eth1() {
	local from='udp and dst host 203.0.113.7'
	capture_start more host veth-more "$from"
	probe wireguard packet 203.0.113.7:53 --interface eth1 --mac 02:00:00:00:00:99
	capture_stop more
	[ "$(capture_count more "$from")" -gt 0 ]
}
is_shut() {
	! leaves_by_eth1
}

HAS_TCX=$("$EG" features --json | jq .features.tcx.present)
bed_up
ETH0=$(ip -n wireguard -j link show eth0 | jq -r '.[0].address')

capture_start control host veth-wg
check 'control: without a daemon the LAN answers' lan_answers
capture_stop control
check 'control: the capture sees it' test "$(capture_count control "ether src $ETH0")" -ge 1
more
check 'control: and that an interface more sends' leaves_by_eth1
ip -n host link delete veth-more

for way in tcx clsact; do
	variables=()
	[ "$way" = tcx ] || variables=(EGRESSGUARD_FORCE_CLSACT=1)
	policy self 'Target = self' 'Nonsense = 1'
	if [ "$way" = tcx ] && [ "$HAS_TCX" = true ]; then
		start_in wireguard other python3 "$BED_SOURCE/tests/e2e/bpf.py" in-front eth0 egress "$BED/ready"
		wait_until 20 test -e "$BED/ready"
	fi
	check "$way: the daemon starts with a policy that does not parse" own_daemon "${variables[@]}"
	check_logged "$way: the network is shut, it says" 'nothing leaves this network until it is guarded'
	check_logged "$way: and what that means" 'its target, self, is shut: nothing leaves it, until'
	check_shut "$way: shut" "$way-shut"

	more
	check "$way: an interface that comes later is shut" wait_until 10 is_shut
	ip -n host link delete veth-more

	stop daemon KILL
	check_shut "$way: its daemon was killed" "$way-killed"
	check "$way: another one starts" own_daemon "${variables[@]}"
	stop daemon TERM
	check_shut "$way: its daemon was told to end" "$way-ended"

	stop other
	check "$way: one more starts" own_daemon "${variables[@]}"
	policy self 'Target = self'
	kill -HUP "${BED_PIDS[daemon]}"
	check "$way: the policy was put right: guarded" wait_until 30 is_enforcing
	check "$way: and open for what may leave" wait_until 10 lan_answers
	capture_start "$way-guarded" internet host0
	probe wireguard tcp 203.0.113.7:443 --timeout 200 || true
	capture_stop "$way-guarded"
	check_no_leak "$way: for nothing else" "$way-guarded"
	stop daemon TERM
	check "$way: detach" eg detach --all
	check "$way: what shut it is gone" lan_answers
done
