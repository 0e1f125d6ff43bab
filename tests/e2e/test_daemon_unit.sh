#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What `make install` puts there for the daemon: the unit, as systemd reads it; the sample policy. And what a
# daemon keeps of its privileges.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

unit=$BED/egressguard.service
sed "s|@BINDIR@|$BUILD|" "$BED_SOURCE/dist/egressguard.service" >"$unit"
if command -v systemd-analyze >/dev/null; then
	check 'systemd reads the unit' systemd-analyze verify --man=no --recursive-errors=no "$unit"
	check 'and has no word against it' test ! -s "$BED/check.out"
	# 0 is the best of 10; what costs most is CAP_SYS_ADMIN.
	check 'its exposure is below 5.0' systemd-analyze security --offline=true --threshold=50 "$unit"
	# Enabled beside the engines' own, as on a machine that boots.
	units=$BED/units
	mkdir -p "$units"/{sockets,multi-user}.target.wants
	cp "$unit" "$units/"
	for engine in docker podman; do
		printf '%s\n' '[Socket]' "ListenStream=/run/$engine.test" >"$units/$engine.socket"
		printf '%s\n' '[Unit]' "Requires=$engine.socket" "After=$engine.socket" '[Service]' 'ExecStart=/bin/true' \
			>"$units/$engine.service"
		ln -s "../$engine.socket" "$units/sockets.target.wants/"
		ln -s "../$engine.service" "$units/multi-user.target.wants/"
	done
	ln -s ../egressguard.service "$units/multi-user.target.wants/"
	boot_order() {
		SYSTEMD_UNIT_PATH=$units: systemd-analyze verify --man=no multi-user.target >"$BED/order" 2>&1 || true
		grep -c 'ordering cycle' "$BED/order"
	}
	check_equal 'a boot that starts it, and the engines, has an order' "$(boot_order)" 0
	sed -i 's/^Before=docker.service/& docker.socket/' "$units/egressguard.service"
	check 'control: with a socket after it, it would have none' test "$(boot_order)" -gt 0
else
	skip 'systemd reads the unit' 'no systemd-analyze here'
fi
check 'the sample policy is right' "$EG" policy check "$BED_SOURCE/dist/wireguard.conf"

# --- a watchdog, and what it is told -------------------------------------------------------------------
notified() { # PATTERN
	grep -q -a -E "$1" "$BED/notified"
}
notified_up STOPPING
check 'it starts' daemon_up NOTIFY_SOCKET="$BED/notify" WATCHDOG_USEC=400000
check 'a service manager is told that it is ready' wait_until 10 notified '^READY=1$'
check 'and that it is alive' wait_until 10 notified '^WATCHDOG=1$'
kill -HUP "${BED_PIDS[daemon]}"
check 'and that it reads its files' wait_until 10 notified '^RELOADING=1 MONOTONIC_USEC=[0-9]+$'

# --- privileges ----------------------------------------------------------------------------------------
has() { # SET CAPABILITY-NUMBER
	local set
	set=$(sed -n "s/^$1:\t//p" "/proc/${BED_PIDS[daemon]}/status")
	[ $((0x$set >> $2 & 1)) = 1 ]
}
has_not() {
	! has "$@"
}
check 'it has NET_ADMIN' has CapEff 12
check 'and SYS_ADMIN' has CapEff 21
for number in 0 3 5 6 7 8 16 17 18 22 23 25 26 27 31; do
	check "it has given up capability $number" has_not CapPrm "$number"
	check "and could not get $number again" has_not CapBnd "$number"
done
check_equal 'nor by a program that it executes' \
	"$(sed -n 's/^NoNewPrivs:\t//p' "/proc/${BED_PIDS[daemon]}/status")" 1
stop daemon TERM
check 'and that it stops' wait_until 10 notified '^STOPPING=1$'
kill "$LISTENER" 2>/dev/null || true
wait "$LISTENER" 2>/dev/null || true
