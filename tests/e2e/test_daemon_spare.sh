#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 180
# The daemon has programs for the next guard loaded before its target comes: they are what guards it then; until
# then they are attached to nothing, no command takes them for a guard's, and they end with the daemon.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

# Ids of the tc programs (type 3), or those of netfilter (32), that the daemon has by a descriptor.
held() { # TYPE
	awk -v type="$1" '/^prog_type:/ { is = $2 == type } is && /^prog_id:/ { print $2 }' \
		/proc/"${BED_PIDS[daemon]}"/fdinfo/* 2>/dev/null | sort -u || true
}
has_spare() {
	[ "$(held 3 | wc -l)" -ge 2 ] && { [ "$HAS_LAYER" != true ] || [ -n "$(held 32)" ]; }
}
id_of() { # PIN
	bed_bpftool -j prog show pinned "$EG_PIN_DIR/wireguard/$1" | jq .id
}
is_enforcing() {
	[ "$(state wireguard)" = enforcing ]
}
blocked() {
	! probe wireguard icmp 203.0.113.7 --timeout 200
}
lives() { # ID
	bed_bpftool prog show id "$1" >/dev/null 2>&1
}
gone() { # ID
	! lives "$1"
}

bed_up
ip netns delete wireguard
wait_until 60 bed_no_link host veth-wg
HAS_LAYER=$("$EG" features --json | jq .features.netfilter_link.present)
policy wireguard 'Target = netns:wireguard' "Endpoint = $BED_ENDPOINT"

check 'the daemon starts' daemon_up
if [ ! -r /sys/kernel/btf/vmlinux ]; then
	skip 'programs are ready' 'this kernel has no BTF'
	exit 0
fi
check 'programs are ready before there is a target' wait_until 60 has_spare
spare=$(held 3)
nets=$(held 32)
eg status >"$BED/status.out" 2>&1 || true
# Other tests at the same time have guards that it tells of, by name.
check 'status takes them for no guard' test -z "$(grep -E "guard '' on|guard of which" "$BED/status.out")"
check_equal 'and lists none' "$(eg status --json | jq '.guards | length')" 0

bed_container ''
check_logged 'the target appears: guarded' 'wireguard: guarded: netns:wireguard'
check 'in force' wait_until 60 is_enforcing
for pin in prog_device prog_peer; do
	check "$pin is one of those" grep -q -x "$(id_of "$pin")" <<<"$spare"
done
if [ "$HAS_LAYER" = true ]; then
	in_force() {
		grep -q -x "$(guard_meta wireguard .hold_prog_id)" <<<"$nets"
	}
	check 'the layer netns too' wait_until 60 in_force
fi
check_equal 'which have another meta now' \
	"$(guard_meta wireguard .name)" wireguard
check 'the internet is not reached' blocked
check 'the LAN is' wait_until 30 probe wireguard icmp 192.168.1.10 --timeout 500
check 'what is pinned is genuine' eg status wireguard --check
fresh() {
	[ -n "$(comm -13 <(echo "$spare") <(held 3))" ] &&
		{ [ "$HAS_LAYER" != true ] || [ -n "$(comm -13 <(echo "$nets") <(held 32))" ]; }
}
check 'the next ones are made, whole' wait_until 60 fresh

# --- a container that is started again --------------------------------------------------------------------
next=$(held 3)
forget
ip netns delete wireguard
wait_until 60 bed_no_link host veth-wg
check_logged 'its namespace ends' 'its namespace has ended'
bed_container ''
check_logged 'it is back: guarded' 'wireguard: guarded: netns:wireguard'
check 'by those' grep -q -x "$(id_of prog_device)" <<<"$next"
check 'the internet is not reached' blocked

# --- a policy that is larger ---------------------------------------------------------------------------------
ip netns delete wireguard
wait_until 60 bed_no_link host veth-wg
rules=()
for i in $(seq 600); do
	rules+=("Allow = 198.51.100.5:$((1000 + i))/tcp")
done
policy wireguard 'Target = netns:wireguard' "Endpoint = $BED_ENDPOINT" "${rules[@]}"
check 'SIGHUP' reload
wait_until 60 has_spare
spare=$(held 3)
bed_container ''
check_logged 'guarded' 'wireguard: guarded: netns:wireguard'
is_not_spare() {
	! grep -q -x "$(id_of prog_device)" <<<"$spare"
}
check 'it does not fit into those, and has its own' is_not_spare
check 'the internet is not reached' blocked

# --- they end with the daemon --------------------------------------------------------------------------------
wait_until 60 has_spare
spare=$(held 3 | grep -v -x -e "$(id_of prog_device)" -e "$(id_of prog_peer)" | head -n 1)
check 'one is there' lives "$spare"
stop daemon KILL
check 'killed: it is gone' wait_until 30 gone "$spare"
check 'and the guard is not' blocked
