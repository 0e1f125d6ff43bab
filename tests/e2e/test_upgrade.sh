#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guard that an older egressguard made, read and replaced by this one: under constant traffic, with nothing
# out; what it had learned, and since when it guards, stays. By hand and by the daemon.
# $EG_OLDER: another older one than the build's.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

OLDER=${EG_OLDER:-$BUILD/tests/egressguard-older}
NEWER_ABI=$(sed -n 's/^#define EG_ABI_VERSION //p' "$BED_SOURCE/include/eg_abi.h")

attach_by() { # EGRESSGUARD [OPTION...]
	local by=$1
	shift
	"$by" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan \
		--deny 192.168.1.1 "$@"
}
abi() {
	guard_meta wireguard .abi_version
}
since() {
	guard_meta wireguard .guarded_since_realtime_ns
}
lan() {
	probe wireguard icmp 192.168.1.10 --timeout 1000
}

bed_up

# --- what is sent all the time is seen while nothing holds it back --------------------------------------

# shellcheck disable=SC2016 # the inner shell's
start_in wireguard talk bash -c 'while :; do
	"$1" udp 203.0.113.7:443 --count 50 --gap 300 --timeout 0
	"$1" udp "[2001:db8:7::7]:443" --count 50 --gap 300 --timeout 0
done' - "$PROBE"
capture_start control internet host0
sleep 0.3
capture_stop control
check_leaks 'no guard: it is seen' control

# --- by hand ---------------------------------------------------------------------------------------------

check 'the older one guards it' attach_by "$OLDER"
check_equal 'it is of another version' "$([ "$(abi)" = "$NEWER_ABI" ] || echo yes)" yes
first=$(since)
check_status 'status says that it is of another version' 1 eg status wireguard --check
check 'and how it is replaced' grep -q 'egressguard attach. replaces it' <(eg status wireguard 2>&1)
capture_start replaced internet host0
check_status 'a wider policy is refused, as between guards of one version' 1 attach_by "$EG" --allow 203.0.113.7
check_equal 'nothing has changed' "$(since) $(abi)" "$first $(guard_meta wireguard .abi_version)"
for round in 1 2 3 4; do
	attach_by "$EG" >/dev/null || fail "round $round: the newer one does not replace it"
	[ "$(abi)" = "$NEWER_ABI" ] || fail "round $round: it is still the older one's"
	lan || fail "round $round: the LAN is not reached"
	attach_by "$OLDER" >"$BED/older.out" 2>&1 && fail "round $round: the older one replaces what it cannot read"
	attach_by "$OLDER" --replace >/dev/null || fail "round $round: the older one, with --replace"
done
first=$(since)
check 'the newer one once more' attach_by "$EG"
capture_stop replaced
check_no_leak 'nothing has left while they were replaced, eight times' replaced
check_equal 'guarded since: as before' "$(since)" "$first"
check 'it enforces' eg status wireguard --check
check_equal 'one guard, and no leftovers' "$(guard_places)" wireguard

# --- what was learned stays ---------------------------------------------------------------------------------

eg detach wireguard >/dev/null
tunnel_create
check 'a tunnel' wait_until 60 probe wireguard icmp 10.13.13.1 --timeout 300
"$OLDER" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan >/dev/null
tunnel_delete
check 'the tunnel is away: replaced all the same' "$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan
check_equal 'its endpoint is known' "$(eg status wireguard --json | jq -r '.guards[0].endpoints[]')" "$BED_ENDPOINT"
check 'its subnet is for the tunnel alone' grep -q '^# TunnelOnly = 10.13.13.2' <(eg policy show wireguard)

# --- the daemon ------------------------------------------------------------------------------------------------

eg detach wireguard >/dev/null
tunnel_create
check 'the tunnel again' wait_until 60 probe wireguard icmp 10.13.13.1 --timeout 300
policy wireguard 'Target = netns:wireguard' 'Deny = 192.168.1.1'
start daemon "$OLDER" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
check_logged 'an older daemon guards it' 'allows WireGuard to 203\.0\.113\.9:51820|guarded: netns:wireguard'
endpoint_known() {
	grep -q "^# Peer = $(cat "$BED/server.pub")" <("$OLDER" policy show --pin-dir "$EG_PIN_DIR" wireguard)
}
check 'it knows the endpoint' wait_until 30 endpoint_known
tunnel_delete
capture_start daemon internet host0
stop daemon
check 'the newer daemon starts' daemon_up
newer_enforces() {
	[ "$(abi)" = "$NEWER_ABI" ] && eg status wireguard --check
}
check 'it has replaced the guard' wait_until 60 newer_enforces
check_equal 'and knows the endpoint' "$(eg status wireguard --json | jq -r '.guards[0].endpoints[]')" "$BED_ENDPOINT"
capture_stop daemon
check_no_leak 'nothing has left meanwhile' daemon
stop daemon

# --- one that the start of a container has made, and that has no file -----------------------------------------

eg detach wireguard >/dev/null
rm "$CONFIG/wireguard.conf"
template strict '[Lan]' 'Deny = 192.168.1.1'
start_in wireguard inside sleep 900
is_there() {
	test "/proc/${BED_PIDS[inside]}/ns/net" -ef /run/netns/wireguard
}
wait_until 20 is_there
hook_of_older() {
	printf '{"ociVersion":"1.0.2","id":"%s","status":"creating","pid":%d,"bundle":"/"}' \
		aaaaaaaaaaaaaaaa "${BED_PIDS[inside]}" |
		"$OLDER" oci-hook --policy strict --pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG"
}
check 'a container is started under the older one' hook_of_older
since=$(guard_meta strict-aaaaaaaaaaaa .guarded_since_realtime_ns)
capture_start started internet host0
check 'the newer daemon starts' daemon_up
started_by_newer() {
	[ "$(guard_meta strict-aaaaaaaaaaaa .abi_version)" = "$NEWER_ABI" ] && eg status strict-aaaaaaaaaaaa --check
}
check 'it has replaced that guard as well' wait_until 60 started_by_newer
check_equal 'since when it guards stays' "$(guard_meta strict-aaaaaaaaaaaa .guarded_since_realtime_ns)" "$since"
check 'its policy too' grep -q '^Deny = 192.168.1.1' <(eg policy show strict-aaaaaaaaaaaa)
capture_stop started
check_no_leak 'nothing has left meanwhile' started
bed_link host veth-more wireguard eth1
ip -n host link set veth-more master br0 up
bed_address wireguard eth1 172.18.0.3/16
more_is_covered() {
	eg status strict-aaaaaaaaaaaa --json | jq -e '[.guards[0].layers[] |
		select(.name == "device" or .name == "peer") | select(.interfaces | index("eth1"))] | length == 2'
}
check 'and it follows it: an interface that comes is covered' wait_until 60 more_is_covered
