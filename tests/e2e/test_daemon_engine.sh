#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A container engine that answers all but one question: while the daemon waits for that, others are guarded.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

ATTEMPTS=8

ip netns add host
policy stuck 'Target = docker:stuck' 'Endpoint = 203.0.113.9:51820'
for number in $(seq "$ATTEMPTS"); do
	policy "late$number" "Target = netns:late$number" 'Endpoint = 203.0.113.9:51820'
done
export DOCKER_HOST=unix://$BED/docker.sock
start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/docker.sock" stuck=-1
wait_until 10 test -S "$BED/docker.sock"
count() { # WORD
	grep -c -x "$1" "$BED/docker.sock.asked"
}
asked_again() { # HOW-OFTEN-BEFORE
	[ "$(count asked)" -gt "$1" ] && [ "$(count asked)" -gt "$(count left)" ]
}

check 'the daemon starts' daemon_up
check_logged 'the engine answers' 'docker answers'
# The question may end at any moment: once is enough, and without the thread it is never so.
among=
for number in $(seq "$ATTEMPTS"); do
	wait_until 60 asked_again "$(count asked)" || break
	question=$(count asked)
	ip netns add "late$number"
	ip link add eth0 netns "late$number" type veth peer name "late$number" netns host
	wait_until 60 test -d "$EG_PIN_DIR/late$number" || break
	if [ "$(count left)" -lt "$question" ]; then
		among=$number
		break
	fi
done
check 'a namespace that comes is guarded while the engine is waited for' test -n "$among"
check_logged 'that it does not answer is said' 'stuck: .*(cannot ask|timed out|Timeout)'
check 'and it is asked again' wait_until 60 asked_again "$(count asked)"
