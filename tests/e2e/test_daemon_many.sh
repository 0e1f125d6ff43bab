#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# One daemon, many guards: it watches them by one descriptor, sees at once what becomes of each, and namespaces
# that are slow to answer keep no other waiting for long. bench/daemon has what a thousand cost.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

MANY=12
SLOW=2

ip netns add host
BED_NAMESPACES=()
many() {
	seq -f "m%g" "$MANY"
}
add() { # NAMESPACE
	ip netns add "$1"
	ip link add eth0 netns "$1" type veth peer name "$1" netns host
	ip -n "$1" link set eth0 up
}
all_enforce() {
	[ "$(eg status --json | jq '[.guards[] | select(.state == "enforcing")] | length')" = "$1" ]
}
for name in $(many) new; do
	policy "$name" "Target = netns:$name" 'Endpoint = 203.0.113.9:51820'
done
for name in $(many); do
	add "$name"
done

# --- many ------------------------------------------------------------------------------------------------
check 'the daemon starts' daemon_up
check 'all are guarded' wait_until 60 all_enforce "$MANY"
watches() {
	find "/proc/${BED_PIDS[daemon]}/fd" -lname 'anon_inode:inotify' | wc -l
}
check_equal 'it watches all by one descriptor, of which a user has few' "$(watches)" 1
forget
eg detach m3 >/dev/null
eg detach m7 >/dev/null
check_logged 'it sees which ones are taken away' 'm3: the guard was taken away: it is put back'
check_logged 'each of them' 'm7: the guard was taken away: it is put back'
check 'and puts them back' wait_until 60 all_enforce "$MANY"
check_equal 'no other was said to be' "$(grep -c 'was taken away' "$BED/daemon.log")" 2

# --- more than it may open files for ------------------------------------------------------------------------
mkdir "$BED/few"
for name in $(many); do
	printf '[Guard]\nTarget = netns:nobody-%s\n' "$name" >"$BED/few/$name.conf"
done
bash -c 'ulimit -n 300 && exec "$@"' - "$EG" daemon --config-dir "$BED/few" --pin-dir "$EG_PIN_DIR/few" 2>"$BED/few.log" &
few=$!
check 'fewer open files than its guards take: said at once' wait_until 60 grep -q \
	'12 guards take up to [0-9]* open files, and this process may have 300: .*LimitNOFILE' "$BED/few.log"
check 'it starts' wait_until 60 grep -q 'daemon: ready' "$BED/few.log"
kill "$few"
wait "$few" || true
check 'not where they are enough' test -z "$(grep 'open files' "$BED/daemon.log")"

# --- some are slow -----------------------------------------------------------------------------------------
for i in $(seq "$SLOW"); do
	start_in "m$i" "silent$i" unshare --mount --propagation private python3 \
		"$BED_SOURCE/tests/e2e/silent.py" "$BED/asked$i"
done
asked() {
	[ "$(cat "$BED"/asked* 2>/dev/null | wc -l)" -gt $((SLOW * 2)) ]
}
check 'those that do not answer are asked' wait_until 60 asked
# What they may take at first.
sleep $((SLOW * 6))
most=0
for round in 1 2 3 4 5; do
	began=$(date +%s%N)
	add new
	wait_until 60 test -d "$EG_PIN_DIR/new" || fail "round $round: a new namespace was not guarded"
	took=$((($(date +%s%N) - began) / 1000000))
	[ "$took" -le "$most" ] || most=$took
	ip netns delete new
	wait_until 60 test ! -d "$EG_PIN_DIR/new" || fail "round $round: the guard did not go with its namespace"
done
echo "a new namespace was guarded within $most ms"
check 'a new namespace does not wait for them' test "$most" -lt $((10000 * ${EG_SLOW:-1}))
# As an underlay, since it is no tunnel.
is_covered() { # GUARD
	eg status "$1" --json | jq -e '.guards[0].layers[] | select(.name == "device") | .interfaces |
		index("eth0") and index("wg0")'
}
for i in $(seq "$SLOW"); do
	check "m$i: who does not answer is guarded" wait_until 30 is_covered "m$i"
done
