#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guard under a kernel that is locked down: test_lockdown.sh KERNEL. Nothing unlocks a kernel, so that
# this takes a machine of its own. In confidentiality mode no program may read the kernel's memory,
# which some kernels say when a program is loaded and some only when it reads: the guard is the weaker
# one, seals, and says what it does not hold against.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-$here/../build}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eg-lockdown-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# shellcheck disable=SC2016 # the machine's shell expands it
"$here/run" --kernel "${1:-6.1}" --cpus 1 --memory 1024 --timeout 600 --env "EG=$(realpath "$BUILD")/egressguard" \
	--env "PROBE=$(realpath "$BUILD")/tests/probe" -- bash -c '
	mount -t securityfs none /sys/kernel/security
	echo confidentiality >/sys/kernel/security/lockdown
	echo "lockdown $(cat /sys/kernel/security/lockdown)"
	ip netns add guarded && ip netns add host
	ip -n guarded link add eth0 type veth peer name v0 netns host
	ip -n guarded address add 172.18.0.2/16 dev eth0
	ip -n host address add 172.18.0.1/16 dev v0
	ip -n host address add 203.0.113.7/32 dev v0
	for one in "guarded eth0" "host v0" "guarded lo" "host lo"; do ip -n ${one% *} link set ${one#* } up; done
	ip -n guarded route add default via 172.18.0.1
	# A closed port refuses at once whom it hears.
	tries() {
		$PROBE tcp "$1" --timeout 1000 --netns /run/netns/guarded 2>&1 | grep -q refused && echo arrives
	}
	echo "before $(tries 203.0.113.7:7001)"
	$EG attach --netns guarded --endpoint 203.0.113.9:51820 --dns tunnel
	echo "attach $?"
	echo "internet $(tries 203.0.113.7:7001)"
	echo "LAN $(tries 172.18.0.1:7001)"
	$EG status --check
	echo "check $?"
	$EG detach --netns guarded
	echo "detach $?"
' >"$scratch/out" 2>&1 </dev/null
status=$?

failed=0
expect() { # NAME LINE-PATTERN
	if grep -q -x -- "$2" "$scratch/out"; then
		echo "PASS $1"
	else
		echo "FAIL $1: no line is '$2'"
		failed=1
	fi
}
expect 'the kernel is locked down' 'lockdown .*\[confidentiality\]'
expect 'without a guard it arrives' 'before arrives'
expect 'attach' 'attach 0'
expect 'it warns that it is weaker' '.*warning: the guard cannot read this kernel.*it is weaker.*'
expect 'nothing leaves' 'internet '
expect 'the LAN is there' 'LAN arrives'
expect 'it claims less' ' *holds against processes without NET_ADMIN'
expect 'and says what is not covered' '.*not covered: a pending checksum that rewrites the packet later.*'
expect 'status --check' 'check 0'
expect 'detach' 'detach 0'
if [ "$failed" != 0 ] || [ "$status" != 0 ]; then
	sed 's/^/  | /' "$scratch/out"
	exit 1
fi
