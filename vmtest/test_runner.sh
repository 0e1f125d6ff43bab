#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vmtest/run itself: test_runner.sh [KERNEL]. A machine's failure is a failure, nothing else decides,
# and nothing is left behind.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
kernel=${1:-6.1}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eg-runner-XXXXXX")
# Inside the project's directory, which a machine sees too.
witness=$here/.witness-$$
trap 'rm -rf "$scratch" "$witness"' EXIT
trap 'exit 130' INT TERM HUP

pass() {
	echo "PASS $1"
}

fail() {
	echo "FAIL $1${2:+: $2}"
	sed 's/^/  | /' "$scratch/out" "$scratch/err" 2>/dev/null | tail -n 40
}

check_equal() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "'$2', not '$3'"
	fi
}

# vm [OPTION]... -- COMMAND...: its exit status in $status, its output in $scratch.
vm() {
	status=0
	"$here/run" --kernel "$kernel" --cpus 1 --memory 512 --timeout 300 "$@" \
		>"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
}

# One machine for what needs no failure.
cd "$here" || exit
# shellcheck disable=SC2016 # the machine's shell expands it
vm --env 'GIVEN=a b' --results "$scratch/results" --console "$scratch/console" -- bash -c '
	uname -r
	pwd
	echo "$GIVEN $EG_VM"
	[ "$EG_SLOW" -ge 1 ] && echo slow
	id -u
	echo to stderr >&2
	echo result >"$EG_VM_RESULTS"
	echo another >"$EG_VM_RESULTS"
	cat /dev/stdin
	echo again >/dev/stdout
	ls /sys/class/net
	echo changed >"$0" 2>&1 && cat "$0"
	echo changed >/tmp/eg-vm-witness
	mount --bind /proc/1/root /mnt 2>/dev/null; : >/usr/eg-vm-witness
	for nonce in 0 00000000000000000000000000000000; do
		echo "$nonce exit 0"
		for port in /dev/vport*; do
			[ ! -w "$port" ] || timeout 5 bash -c "echo \"$nonce exit 0\" >$port" 2>/dev/null
		done
	done
	(setsid sleep 1000 &)
	head -c 300000 /dev/zero | tr "\0" x
	echo
	exit 77' "$witness"
check_equal 'the exit status passes through' "$status" 77
check_equal 'the kernel is the one that was asked for' "$(sed -n 1p "$scratch/out" | cut -d. -f1)" "${kernel%%.*}"
check_equal 'the current directory' "$(sed -n 2p "$scratch/out")" "$here"
check_equal 'the environment' "$(sed -n 3,4p "$scratch/out")" "a b $kernel
slow"
check_equal 'as root' "$(sed -n 5p "$scratch/out")" 0
check_equal 'stdout can be opened again' "$(sed -n 6p "$scratch/out")" again
check_equal 'no network card' "$(sed -n 7p "$scratch/out")" lo
check_equal 'it can write' "$(sed -n 8p "$scratch/out")" changed
check_equal 'stderr is apart' "$(grep -c '^to stderr$' "$scratch/err")" 1
check_equal 'results have a way of their own' "$(grep -c -x -e result -e another "$scratch/results")" 2
check_equal 'nothing of a long output is lost' "$(tail -n 1 "$scratch/out" | tr -d '\n' | wc -c)" 300000
if [ ! -e "$witness" ] && [ ! -e /tmp/eg-vm-witness ] && [ ! -e /usr/eg-vm-witness ]; then
	pass 'what it writes does not reach the machine'
else
	fail 'what it writes does not reach the machine'
fi
check_equal 'the console is kept where it is wanted' "$(grep -c '^.*Linux version' "$scratch/console")" 1

# What is shared is read-only even for somebody who gets round the throwaway layer.
# shellcheck disable=SC2016
vm -- bash -c 'mkdir /run/raw && mount -t virtiofs machine /run/raw && mount -o remount,rw /run/raw
	ls /run/raw/usr/bin >/dev/null && echo readable
	echo x >"/run/raw$0" 2>&1 || echo refused
	rm "/run/raw$1" 2>&1 || echo kept' "$witness" "$here/run"
check_equal 'the share is read-only' \
	"$(grep -x -e readable -e refused -e kept "$scratch/out" | tr '\n' ' ')" 'readable refused kept '
check_equal 'and so nothing came of it' "$(ls -d "$here/run" "$witness" 2>/dev/null)" "$here/run"

# failed NAME: the machine failed, and its console's log was kept.
failed() {
	local log
	log=$(sed -n 's/.* its console, \(.*\), ends with:$/\1/p' "$scratch/err")
	if [ "$status" = 125 ] && [ -s "$log" ]; then
		pass "$1"
	else
		fail "$1" "exit status $status, console '$log'"
	fi
	[ -z "$log" ] || cp "$log" "$scratch/console"
	rm -f "$log"
}

vm -- sh -c 'echo exit 0; echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 100'
failed 'a panic is a failure'
check_equal 'the console tells of the panic' "$(grep -c 'Kernel panic' "$scratch/console")" 1

vm -- sh -c 'echo 1 >/proc/sys/kernel/sysrq; echo o >/proc/sysrq-trigger; sleep 100'
failed 'a machine that is switched off is a failure'

vm --timeout 20 -- sleep 1000
failed 'a machine that hangs is a failure'

# descendants PID
descendants() {
	local pid
	cat "/proc/$1/task/"*/children 2>/dev/null | tr ' ' '\n' | while read -r pid; do
		echo "$pid"
		descendants "$pid"
	done
}

# start_vm: one that runs for long, in the background; returns when its command runs.
start_vm() {
	"$here/run" --kernel "$kernel" --cpus 1 --memory 512 -- sh -c 'echo running; exec sleep 1000' \
		>"$scratch/out" 2>"$scratch/err" </dev/null &
	runner=$!
	for _ in $(seq 600); do
		! grep -q running "$scratch/out" || break
		sleep 0.2
	done
	processes=$(descendants "$runner")
	directory=$(sed -n 's/.*source=\(.*\)\/machine,.*/\1/p; s/.*shared-dir=\(.*\)\/machine.*/\1/p' \
		<<<"$(for pid in $processes; do tr '\0' '\n' <"/proc/$pid/cmdline"; done)")
}

# gone NAME: of those processes none is left.
gone() {
	local pid left=
	for _ in $(seq 100); do
		left=
		for pid in $processes; do
			! kill -0 "$pid" 2>/dev/null || left="$left $(cat "/proc/$pid/comm")"
		done
		[ -n "$left" ] || break
		sleep 0.1
	done
	if [ -n "$processes" ] && [ -z "$left" ]; then
		pass "$1"
	else
		fail "$1" "still there:$left"
	fi
}

start_vm
for pid in $processes; do
	[ "$(cat "/proc/$pid/comm")" != qemu-system-x86 ] || kill -9 "$pid"
done
wait "$runner"
status=$?
failed 'a machine that is killed is a failure'
gone 'nothing is left of a machine that was killed'

start_vm
kill -TERM "$runner"
wait "$runner"
check_equal 'SIGTERM ends it' $? 143
gone 'nothing is left after SIGTERM'
if [ -n "$directory" ] && [ ! -e "$directory" ]; then
	pass 'nor a directory'
else
	fail 'nor a directory' "$directory"
fi

start_vm
kill -KILL "$runner"
wait "$runner" 2>/dev/null
gone 'no process is left after SIGKILL'
check_equal 'no mount is left after SIGKILL' "$(grep -c "$directory" /proc/self/mountinfo)" 0
rm -rf "$directory"

# A package that is not what the signed index promised. Its place in the cache is a copy.
cache=${EG_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/egressguard/vm}
mkdir "$scratch/cache"
cp -a "$cache/$kernel" "$scratch/cache/"
for package in "$scratch/cache/$kernel"/*.deb; do
	break
done

# refused NAME
refused() {
	status=0
	EG_VM_CACHE=$scratch/cache "$here/run" --kernel "$kernel" --fetch >"$scratch/out" 2>"$scratch/err" || status=$?
	if [ "$status" = 1 ] && grep -q "$2" "$scratch/err"; then
		pass "$1"
	else
		fail "$1" "exit status $status"
	fi
}

status=0
EG_VM_CACHE=$scratch/cache "$here/run" --kernel "$kernel" --fetch >"$scratch/out" 2>"$scratch/err" || status=$?
check_equal 'a package from the cache' "$status" 0
cp "$package" "$scratch/package"
printf x | dd of="$package" bs=1 seek=100000 conv=notrunc status=none
refused 'a package with one byte changed' 'SHA-256 differs'
head -c 100000 "$scratch/package" >"$package"
refused 'a package cut short' 'SHA-256 differs'
rm "$package"
refused 'a package that is missing' 'missing from the cache'

# A mirror with the release files that apt has accepted, and lists that are not what they promise.
mirror=$scratch/mirror
while read -r entry suites _; do
	[ "$entry" = "$kernel" ] || continue
	for suite in ${suites//,/ }; do
		mkdir -p "$mirror/dists/$suite/main/binary-amd64"
		cp "$cache/$kernel/apt/lists/"*"_dists_${suite}_InRelease" "$mirror/dists/$suite/InRelease"
		sed 's/^SHA256: ./SHA256: z/' \
			"$cache/$kernel/apt/lists/"*"_dists_${suite}_main_binary-amd64_Packages" |
			xz -0 >"$mirror/dists/$suite/main/binary-amd64/Packages.xz"
	done
done <"$here/kernels"
chmod -R a+rX "$scratch"

# fetch_fails NAME TEXT: from that mirror, with nothing in the cache.
fetch_fails() {
	rm -rf "$scratch/cache"
	status=0
	EG_VM_CACHE=$scratch/cache EG_VM_MIRROR=file://$mirror EG_VM_SECURITY_MIRROR=file://$mirror \
		"$here/run" --kernel "$kernel" --fetch >"$scratch/out" 2>"$scratch/err" || status=$?
	if [ "$status" = 1 ] && grep -q "$2" "$scratch/err" && [ ! -e "$scratch/cache/$kernel/record" ]; then
		pass "$1"
	else
		fail "$1" "exit status $status"
	fi
}

fetch_fails 'a list that the signed release file does not know' 'Hash Sum mismatch'
if grep -qi 'signature' "$scratch/err"; then
	fail 'the release file itself is accepted'
else
	pass 'the release file itself is accepted'
fi
for release in "$mirror"/dists/*/InRelease; do
	sed -i 's/^Label: Debian/Label: Nobody/' "$release"
done
fetch_fails 'a release file with another word' 'signature'
