#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The daemon, with a named namespace as its target: that comes, goes and comes back, gains interfaces and a
# tunnel; the files that say what to guard, read again; the daemon killed, and started again.
# time-limit: 480

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

HAS_LAYER=$("$EG" features --json | jq .features.netfilter_link.present)
NETNS="Target = netns:wireguard"

is_enforcing() { # [GUARD]
	[ "$(state "${1:-wireguard}")" = enforcing ]
}
layer() {
	eg status wireguard --json | jq -r '.guards[0].layers[] | select(.name == "netns") | .state'
}
# Without the layer in this kernel, what is said of it is always the same.
is_held() {
	[ "$HAS_LAYER" != true ] || [ "$(layer)" = attached ]
}
blocked() {
	! probe wireguard icmp 203.0.113.7 --timeout 200
}
lan() {
	probe wireguard icmp 192.168.1.10 --timeout 1000
}

bed_up
ip netns delete wireguard
wait_until 10 bed_no_link host veth-wg
tunnel_server_up

# --- what it refuses -------------------------------------------------------------------------------

check_status 'no directory: refused' 1 eg daemon --config-dir "$BED/nowhere"
check_status 'no operands' 2 eg daemon wireguard

# --- a target that appears ---------------------------------------------------------------------------

policy wireguard "$NETNS"
check 'it starts before there is a target' daemon_up
check_status 'another one for the same files: refused' 1 eg daemon --config-dir "$CONFIG"
check 'nothing to guard yet' test "$(state wireguard)" = ''

bed_container ''
check_logged 'the target appears: guarded' 'wireguard: guarded: netns:wireguard'
check 'its interface too' wait_until 60 is_enforcing
check 'it holds the layer netns' wait_until 60 is_held
check 'the internet is not reached' blocked
check 'the LAN is' wait_until 30 lan
check 'by IPv6 too: its addresses were learned when they came' wait_until 60 \
	probe wireguard icmp fd00:1::10 --timeout 300

# --- the tunnel: endpoints are learned when it names them, and followed for known keys alone --------

tunnel_create
check 'the tunnel comes up later, and works' wait_until 60 probe wireguard icmp 10.13.13.1 --timeout 300
check_logged 'its endpoint was learned' 'allows WireGuard to 203\.0\.113\.9:51820'
check_equal 'it is the live one' "$(eg status wireguard --json | jq -r '.guards[0].endpoints[]')" "$BED_ENDPOINT"
check 'the key is known' grep -q "^# Peer = $(cat "$BED/server.pub") $BED_ENDPOINT$" <(eg policy show wireguard)
in_ns wireguard wg set wg0 peer "$(wg genkey | wg pubkey)" allowed-ips 198.51.100.99/32 endpoint 203.0.113.7:4444
ip -n vpn address add 203.0.113.19/24 dev eth0
in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint 203.0.113.19:"$BED_WG_PORT"
endpoint_is() {
	[ "$(eg status wireguard --json | jq -r '.guards[0].endpoints | join(" ")')" = "$1" ]
}
check 'its peer moves: followed, and no key that was not known' wait_until 60 endpoint_is "203.0.113.19:$BED_WG_PORT"
in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$BED_ENDPOINT"
check 'and back' wait_until 60 endpoint_is "$BED_ENDPOINT"
tunnel_delete
sleep 2.5
check_equal 'without the tunnel nothing is forgotten' "$(eg status wireguard --json | jq -r '.guards[0].endpoints[]')" \
	"$BED_ENDPOINT"

# --- an interface more -------------------------------------------------------------------------------

bed_link host veth-more wireguard eth1
check_logged 'an interface appears: guarded' 'eth1 is guarded: .device. and .peer. are on it|on new interfaces too'
ip -n wireguard link delete eth1
check_logged 'and goes' 'eth1 is gone'

# --- files read again ----------------------------------------------------------------------------------

policy wireguard "$NETNS" 'Deny = 192.168.1.10'
check 'SIGHUP' reload
check_logged 'a narrower policy is put in force' 'the policy was replaced'
no_lan() {
	! lan
}
check 'the LAN is refused' wait_until 30 no_lan
echo 'Alow = 10.0.0.0/8' >>"$CONFIG/wireguard.conf"
check 'SIGHUP with a bad file' reload
check_logged 'it says where it is bad' 'wireguard\.conf:6:1: .*Alow.*: the policy that it had before is kept'
old_policy() {
	! lan && blocked && is_enforcing wireguard
}
check 'the old policy is in force' old_policy
policy wireguard "$NETNS"
check 'SIGHUP with a good file' reload
check_logged 'a wider one, too, as the file says so' 'the policy was replaced'
check 'the LAN is reached again' wait_until 30 lan
long=$(printf 'a%.0s' {1..128})
policy "$long" 'Target = netns:elsewhere'
check 'SIGHUP with a file whose name is too long' reload
check_logged 'it says that that guards nothing' \
	"$long\.conf: a guard's name has 127 bytes at most.*its target, netns:elsewhere, is OPEN"
rm "$CONFIG/$long.conf"

# --- tampering, and detach ---------------------------------------------------------------------------

forget
check 'detach' eg detach wireguard
check_logged 'it is put back' 'taken away: it is put back'
check 'in force again' wait_until 60 is_enforcing
check 'and held' wait_until 60 is_held
check 'the internet is not reached' blocked
find "$EG_PIN_DIR/wireguard" \( -name 'link_peer_*' -o -name 'filter_peer_*' \) -delete
check_logged 'a pin is removed: seen' 'peer.*mended, if that can be' 60
check 'mended' wait_until 60 is_enforcing

# --- killed, and started again ---------------------------------------------------------------------------

capture_start killed internet host0
(
	trap - EXIT ERR
	while :; do
		probe wireguard udp 203.0.113.7:443 --timeout 20 >/dev/null 2>&1 || true
	done
) &
sender=$!
stop daemon KILL
sleep 0.5
check_equal 'killed: the guard is in force, without its holder' "$(state wireguard)" "$([ "$HAS_LAYER" = true ] && echo degraded || echo enforcing)"
check 'started again' daemon_up
check 'all is well again' wait_until 60 is_enforcing
check_logged 'the guard in force was taken on' 'guarded already'
stop daemon TERM
check_equal 'SIGTERM: what is pinned stays' "$(state wireguard)" enforcing
check 'in force' blocked
sleep 0.5
check 'and started again' daemon_up
sleep 0.5
kill "$sender"
wait "$sender" 2>/dev/null || true
capture_stop killed
check_no_leak 'killed, started, stopped, started: nothing left' killed

# A file that never parsed, for this process: the guard in force says what it was.
stop daemon TERM
echo 'Alow = 10.0.0.0/8' >>"$CONFIG/wireguard.conf"
check 'started with a bad file' daemon_up
check_logged 'what is in force counts' 'Alow.*: the policy of the guard in force is kept'
check_equal 'in force' "$(state wireguard)" enforcing

# --- the target goes, and comes back as another namespace -------------------------------------------

before=$(guard_meta wireguard .netns_inode)
ip netns delete wireguard
check_logged 'the namespace ends' 'its namespace has ended'
bed_container ''
check_logged 'it is back: guarded, by the policy that is known' 'wireguard: guarded: netns:wireguard'
check 'in force' wait_until 60 is_enforcing
check 'the internet is not reached' blocked
policy wireguard "$NETNS"
check 'the file is put right' reload

# The name means another namespace, while a process lives on in the one that it meant: both are guarded.
setpriv --pdeathsig KILL -- nsenter --net=/run/netns/wireguard -- sleep 1000 &
sleeper=$!
in_old() {
	[ "$(readlink "/proc/$sleeper/ns/net")" = "net:[$(stat -c %i /run/netns/wireguard)]" ]
}
wait_until 5 in_old
before=$(guard_meta wireguard .netns_inode)
umount -l /run/netns/wireguard && rm /run/netns/wireguard
forget
ip netns add wireguard
check_logged 'the name is another namespace now: its guard is set aside' "stays in force as 'wireguard-$before'"
check 'it is followed' wait_until 60 is_enforcing "wireguard-$before"
check 'and holds' test -z "$("$PROBE" icmp 203.0.113.7 --timeout 200 --netns "/proc/$sleeper/ns/net" | grep answer:)"
check_logged 'the new one is guarded' 'wireguard: guarded: netns:wireguard'
kill -KILL "$sleeper"
wait "$sleeper" 2>/dev/null || true
aside_is_gone() {
	! eg status "wireguard-$before" >/dev/null 2>&1
}
check 'when its namespace ends, it goes' wait_until 60 aside_is_gone

# --- a file that is taken away ---------------------------------------------------------------------------

rm "$CONFIG/wireguard.conf"
check 'SIGHUP without the file' reload
check_logged 'it says what that means' 'its file is gone: a guard in force stays'
sleep 1
check 'the guard stays' eg status wireguard
check 'detach' eg detach wireguard
check_logged 'now it stays away' 'the guard was taken away$'
sleep 1.5
check_status 'it does' 3 eg status wireguard
check 'it goes on' running daemon

# --- the positive control --------------------------------------------------------------------------------

ip netns delete wireguard
wait_until 10 bed_no_link host veth-wg
bed_container ''
capture_start control internet host0
probe wireguard udp 203.0.113.7:443 --timeout 200 >/dev/null 2>&1 || true
capture_stop control
check_leaks 'control: without a guard the same probe is seen' control
