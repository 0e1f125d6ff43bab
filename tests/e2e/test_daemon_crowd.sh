#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Root inside one container can make any number of interfaces. Other guards do not wait until the daemon
# has covered them all, what leads out is covered first, and status tells of what is not covered yet.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

PAIRS=300

# What the daemon has said of the crowd before it said PATTERN; of all where it has not.
crowd_before() { # PATTERN
	sed "/$1/q" "$BED/daemon.log" | grep -c -a ': [ab][0-9]* is guarded' || true
}
more_of_the_crowd() { # THAN
	[ "$(crowd_before NOTHING)" -gt "$1" ]
}

bed_up
policy wireguard 'Target = /run/netns/wireguard' "Endpoint = $BED_ENDPOINT"
policy other 'Target = /run/netns/other' "Endpoint = $BED_ENDPOINT"
# shellcheck disable=SC2119 # without variables
daemon_up
check_logged 'the container: guarded' 'wireguard: guarded'

# All of it is there when the daemon looks again.
forget
kill -STOP "${BED_PIDS[daemon]}"
for ((i = 0; i < PAIRS; i++)); do
	echo "link add a$i type veth peer name b$i"
done | ip -n wireguard -batch -
ip -n host link add vx type veth peer name eth1 netns wireguard
ip netns add other
ip -n host link add vo type veth peer name eth0 netns other
kill -CONT "${BED_PIDS[daemon]}"
check_logged 'with a crowd in the first: the other one is guarded' 'other: guarded'
kill -STOP "${BED_PIDS[daemon]}"
said=$(crowd_before NOTHING)
check 'with less than half of the crowd covered before it' \
	[ "$(crowd_before 'other: guarded')" -lt "$PAIRS" ]
check_equal 'what leads out comes before all of it' "$(crowd_before 'eth1 is guarded')" 0
"$EG" status wireguard --pin-dir "$EG_PIN_DIR" --json >"$BED/status.json" || true
check_equal 'what is not covered yet is not claimed' "$(jq -r '.guards[0].state,
	(.guards[0].layers[] | select(.name == "device") | .state)' "$BED/status.json" | tr '\n' ' ')" 'degraded partial '
kill -CONT "${BED_PIDS[daemon]}"
check 'the crowd is covered meanwhile' wait_until 60 more_of_the_crowd $((said + 20))
