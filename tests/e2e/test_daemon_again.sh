#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A daemon that is started again where its guards are in force, more of them than it can follow in short time: it
# is ready before it follows them, says so, and follows each in the end.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

ip netns add host
for name in m1 m2 m3; do
	ip netns add "$name"
	ip link add eth0 netns "$name" type veth peer name "$name" netns host
	ip -n "$name" link set eth0 up
	policy "$name" "Target = netns:$name" 'Endpoint = 203.0.113.9:51820'
done
count() { # LAYER STATE
	eg status --json | jq --arg layer "$1" --arg state "$2" \
		'[.guards[].layers[] | select(.name == $layer and .state == $state)] | length'
}
all() { # LAYER STATE
	[ "$(count "$1" "$2")" = 3 ]
}

check 'the daemon starts' daemon_up
check 'all are guarded' wait_until 60 all device attached
if ! wait_until 10 all netns attached; then
	skip 'followed later' 'this kernel has no layer netns, by which it is seen who follows'
	exit
fi
check 'a few are followed before it is ready' test -z "$(grep 'yet to be followed' "$BED/daemon.log")"
stop daemon KILL
forget
check 'control: without it they are in force, and not followed' wait_until 60 all netns missing
check_equal 'control: the device' "$(count device attached)" 3

check 'the daemon starts again' daemon_up EGRESSGUARD_FOLLOW_LATE=1
check_logged 'it says that they are not followed yet' '3 guards in force are yet to be followed'
check_logged 'and when they are' 'all guards in force are followed'
check 'each of them' wait_until 60 all netns attached
check 'nothing was taken for damage' test -z "$(grep 'it is mended' "$BED/daemon.log")"
before() { # PATTERN PATTERN
	[ "$(grep -n -a -m1 -e "$1" "$BED/daemon.log" | cut -d: -f1)" -lt \
		"$(grep -n -a -m1 -e "$2" "$BED/daemon.log" | cut -d: -f1)" ]
}
check 'it was ready before' before 'daemon: ready' 'all guards in force are followed'
ip link add eth1 netns m2 type veth peer name m2b netns host
ip -n m2 link set eth1 up
check_logged 'an interface that appears is covered' 'm2: eth1 is guarded'
eg detach m3 >/dev/null
check_logged 'what is taken away is put back' 'm3: the guard was taken away: it is put back'
check 'and followed without delay' wait_until 60 all netns attached
