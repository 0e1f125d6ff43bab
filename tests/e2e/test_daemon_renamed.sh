#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Containers that swap their names, and a policy file that gets another: each container has the policy of the name
# that it goes by, and is guarded all the time.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

engine_bed
docker_up
export CONTAINER_HOST=unix://$BED/no.sock

inode_of() { # CONTAINER
	stat -L -c %i "/proc/$(docker_pid "$1")/ns/net"
}
# is_guarded GUARD CONTAINER
is_guarded() {
	[ "$(of_guard "$1" .state)" = enforcing ] && [ "$(guard_meta "$1" .netns_inode)" = "$(inode_of "$2")" ]
}
denies() { # GUARD
	eg policy show "$1" | grep -q '^Deny = 192.168.1.10'
}
allows() { # GUARD
	eg policy show "$1" >/dev/null && ! denies "$1"
}

docker_run wide -- /bin/idle "$ENGINE_LIFE"
docker_run narrow -- /bin/idle "$ENGINE_LIFE"
engine_check Docker wide
# It leaks as long as it runs.
for name in wide narrow; do
	# shellcheck disable=SC2016 # the inner shell's
	start_in host "sender-$name" nsenter --net="/proc/$(docker_pid "$name")/ns/net" -- sh -c \
		'while :; do "$0" udp 203.0.113.7:443 --timeout 20; done' "$PROBE"
done
capture_start control internet host0 'dst host 203.0.113.7'
sleep "$((2 * ${EG_SLOW:-1}))"
capture_stop control
check_leaks 'control: without a guard they leak' control
check 'control: the address answers in the LAN' probe_in narrow tcp 192.168.1.10:80 --timeout 1000

policy wide 'Target = docker:wide'
policy narrow 'Target = docker:narrow' 'Deny = 192.168.1.10'
check 'the daemon starts' daemon_up
check 'both are guarded' is_guarded wide wide
check 'both are guarded, the other too' is_guarded narrow narrow
capture_start guarded internet host0 'dst host 203.0.113.7'

# --- containers -----------------------------------------------------------------------------------------
was_wide=$(inode_of wide)
docker rename wide between
docker rename narrow wide
docker rename between narrow
check_equal 'swapped: they are' "$(inode_of narrow)" "$was_wide"
check 'swapped: the wide one is guarded by its name' wait_until 30 is_guarded wide wide
check 'swapped: the narrow one is guarded by its name' wait_until 30 is_guarded narrow narrow
check 'swapped: the narrow one has its policy' wait_until 30 denies narrow
check 'swapped: the wide one has its policy' wait_until 30 allows wide
check 'swapped: what the narrow one denies does not answer' no_answer narrow tcp 192.168.1.10:80 --timeout 300
guards_are() {
	[ "$(eg status --json | jq -r '[.guards[].name] | sort | join(" ")')" = "$1" ]
}
check 'swapped: no other guard is left' wait_until 20 guards_are 'narrow wide'

# --- a file ----------------------------------------------------------------------------------------------
mv "$CONFIG/wide.conf" "$CONFIG/late.conf"
printf 'Deny = 192.168.1.10\n' >>"$CONFIG/late.conf"
reload
check 'a file renamed: its policy is in force, by its name' wait_until 30 denies late
check 'a file renamed: the guard is on the container' wait_until 30 is_guarded late wide
check 'a file renamed: no other guard is left' wait_until 20 guards_are 'late narrow'

# --- what is nobody's to take ------------------------------------------------------------------------------
forget
cp "$CONFIG/late.conf" "$CONFIG/twice.conf"
reload
check_logged 'two files for one container: refused' "twice: this namespace has the guard 'late' already.*take one of the two policy files away"
check 'two files for one container: the first one stays' is_guarded late wide
capture_stop guarded
check_no_leak 'nothing in the clear, all the time' guarded
