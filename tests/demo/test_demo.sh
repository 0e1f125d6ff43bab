#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The demo says what it should, and leaves nothing behind, also when it is stopped half-way.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

demo=$BED_SOURCE/scripts/demo.sh

# Processes that still have the demo's scratch directory in their environment or command line.
left_behind() {
	local path
	for path in /proc/[0-9]*; do
		[ "${path#/proc/}" != $$ ] || continue
		if tr '\0' '\n' <"$path/environ" 2>/dev/null | grep -qx "TMPDIR=$BED/scratch"; then
			echo "${path#/proc/}: $(tr '\0' ' ' <"$path/cmdline" 2>/dev/null)"
		fi
	done
}

mkdir "$BED/scratch"
check 'runs to its end' env -u EG_PRIVATE TMPDIR="$BED/scratch" "$demo" "$BUILD"
cp "$BED/check.out" "$BED/demo.out"
check 'shows the leak' grep -q 'packets left in the clear' "$BED/demo.out"
check 'shows the events' grep -q 'DROP public eth0 172.18.0.2' "$BED/demo.out"
check 'proves it' grep -q 'sealed: of [0-9]* ways out that were tried, each was stopped' "$BED/demo.out"
check 'shows that nothing left' grep -q ': 0 packets in the clear' "$BED/demo.out"
check_equal 'no colours where no terminal is' "$(grep -c $'\e' "$BED/demo.out" || true)" 0
check_equal 'no files are left' "$(ls -A "$BED/scratch")" ''
check_equal 'no processes are left' "$(left_behind)" ''

# Ctrl-C goes to all of the terminal's foreground processes; here setsid makes them a group.
stop_at() { # TEXT: stops the demo as soon as it has said this
	local pid status=0
	TMPDIR="$BED/scratch" setsid python3 -c '
import os, signal, sys
os.environ.pop("EG_PRIVATE", None)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[1], sys.argv[1:])' "$demo" "$BUILD" >"$BED/stopped.out" 2>&1 &
	pid=$!
	wait_until 20 grep -q "$1" "$BED/stopped.out"
	check "Ctrl-C at '$1': it is seen while it runs" test -n "$(left_behind)"
	kill -INT -- "-$pid"
	wait "$pid" || status=$?
	check_equal "Ctrl-C at '$1': exit status" "$status" 130
	check_equal "Ctrl-C at '$1': no files are left" "$(ls -A "$BED/scratch")" ''
	check_equal "Ctrl-C at '$1': no processes are left" "$(left_behind)" ''
}
stop_at Building
stop_at 'ip link set wg0 down'
stop_at 'egressguard events'
