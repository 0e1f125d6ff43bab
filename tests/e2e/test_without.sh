#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A machine without the tool: what `make install` has put there `make uninstall` takes away, guards stay in force
# and are listed; and the commands of egressguard(8), WITHOUT THE TOOL, as they stand there, show them and take
# one away, with all that it held.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

bed_up

# --- installed, and removed ------------------------------------------------------------------------------
installed=$BED/installed
make_it() { # TARGET: nothing is built
	make -s -C "$BED_SOURCE" BUILD="$BUILD" BUILD_AS_CALLER=true DESTDIR="$installed" "$1"
}
files() {
	find "$installed" ! -type d -printf '%P\n' | sort
}
check 'make install' make_it install
check 'the command is there' test -x "$installed/usr/local/bin/egressguard"
check 'each manual page is there' test "$(files | grep -c /man/)" = "$(printf '%s\n' "$BED_SOURCE"/doc/*.[1578] | wc -l)"
check 'each example is there' test "$(files | grep -c /doc/egressguard/)" = \
	"$(find "$BED_SOURCE/dist" -type f ! -name oci-hook.json ! -name '*.service' | wc -l)"
printf '[Guard]\n' >"$installed/etc/egressguard/own.conf"
check 'make uninstall' make_it uninstall
check_equal 'nothing is left but what is the administrator'\''s' "$(files)" etc/egressguard/own.conf

# --- what is in force ------------------------------------------------------------------------------------
# Each tries what the one layer or the other refuses, a bound socket and a packet past the qdisc included.
send_all() {
	probe wireguard udp 203.0.113.7:443 --timeout 0 || true
	probe wireguard udp 203.0.113.7:444 --timeout 0 --bind eth0 || true
	probe wireguard tcp 203.0.113.7:443 --timeout 200 --bind eth0 || true
	probe wireguard udp '[2001:db8:7::7]:443' --timeout 0 || true
} >/dev/null 2>&1
seen() { # CAPTURE
	local what
	for what in 'udp and dst host 203.0.113.7 and dst port 443' 'udp and dst port 444' \
		'tcp and dst host 203.0.113.7' 'dst host 2001:db8:7::7'; do
		check "$1: seen: $what" test "$(capture_count "$1" "$what")" -ge 1
	done
}
capture_start control internet host0
send_all
capture_stop control
seen control
start_in wireguard app sleep 900
eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan >/dev/null
eg attach --netns lan --name other --endpoint "$BED_ENDPOINT" --dns lan --accept-device-only >/dev/null
capture_start without internet host0
send_all
capture_stop without
check_no_leak 'no process of ours: the guard is in force' without
"$BED_SOURCE/scripts/left-in-force" "$EG_PIN_DIR" >"$BED/left"
check_equal 'what is left in force is listed when the tool is removed' "$(grep "^  $EG_PIN_DIR" "$BED/left" | tr -d ' \n')" \
	"$EG_PIN_DIR/other$EG_PIN_DIR/wireguard"

# --- the manual's commands -------------------------------------------------------------------------------
# One a line, with this test's names in the place of the manual's.
commands() {
	sed -n '/^\.Ss Without the tool/,/^\.S[hs] S/p' "$BED_SOURCE/doc/egressguard.8" | sed 's/^\.Dl //' |
		sed -e ':again' -e '/\\e$/{' -e N -e 's/ *\\e\n */ /' -e 'b again' -e '}' | sed -n 's/^# //p' |
		sed -e "s|/sys/fs/bpf/egressguard|$EG_PIN_DIR|g" -e "s|/proc/PID|/proc/${BED_PIDS[app]}|" \
			-e 's|veth1a2b3c4|veth-wg|'
}
commands >"$BED/commands"
cat "$BED/commands"
paste_it() { # PATTERN: each command that it fits, in the order of the manual, where the host's interfaces are
	local found=
	while read -r command; do
		found=yes
		nsenter --net=/run/netns/host -- bash -e -c "$command" </dev/null || return
	done < <(grep -E "$1" "$BED/commands")
	[ -n "$found" ]
}
paste_it '^ls ' >"$BED/ls"
check 'ls: they are listed' grep -q '^wireguard$' "$BED/ls"
if bpftool version >/dev/null 2>&1; then
	paste_it '^bpftool ' >"$BED/dump" || true
	check 'bpftool: the counters are shown' test "$(grep -c '"packets"' "$BED/dump")" -ge 1
else
	bed_bpftool map dump pinned "$EG_PIN_DIR/wireguard/counters" >"$BED/dump"
	check 'the counters are shown' test "$(grep -c '"packets"' "$BED/dump")" -ge 1
fi
check 'rm: it is removed' paste_it '^rm '
check 'and what all have in common' test ! -e "$EG_PIN_DIR/_shared"
if [ "${EGRESSGUARD_FORCE_CLSACT:-}" = 1 ] || [ "$("$EG" features --json | jq .features.tcx.present)" != true ]; then
	check 'tc: its filters are removed' paste_it 'tc filter del'
fi
capture_start removed internet host0
send_all
capture_stop removed
seen removed
check_equal 'the other one is in force' "$(eg status other --json | jq -r '.guards[0].layers[] |
	select(.name == "device") | .state')" attached
