#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The life of `attach --foreground`: how it ends, what stays, who takes over; and the end of the
# namespace, which it must not hold up.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

HAS_LAYER=$("$EG" features --json | jq .features.netfilter_link.present)

attach() { # [OPTION...]
	"$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" "$@"
}
# follow NAME TARGET [OPTION...]: returns when it follows.
follow() {
	local name=$1 target=$2
	shift 2
	start "$name" "$EG" attach --pin-dir "$EG_PIN_DIR" --netns "$target" --dns lan \
		--endpoint "$BED_ENDPOINT" --foreground "$@"
	if ! wait_until 10 grep -q 'following the guard' "$BED/$name.log"; then
		cat "$BED/$name.log"
		return 1
	fi
}
# ends NAME PATTERN: by itself, with status 0, and says why.
ends() {
	local status=0
	wait_until 15 is_over "$1" || return
	wait "${BED_PIDS[$1]}" || status=$?
	cat "$BED/$1.log"
	[ "$status" = 0 ] && grep -q "$2" "$BED/$1.log"
}
is_over() {
	! running "$1"
}
layer() { # GUARD
	eg status "$1" --json | jq -r '.guards[0].layers[] | select(.name == "netns") | .state'
}
# Without the layer in this kernel, what is said of it is always the same.
check_layer() { # NAME STATE [GUARD]
	[ "$HAS_LAYER" = true ] || set -- "$1" 'not available' "${3:-}"
	# What it says comes before it notes in the guard that it holds it.
	wait_until 10 layer_is "${3:-wireguard}" "$2" || true
	check_equal "$1" "$(layer "${3:-wireguard}")" "$2"
}
layer_is() {
	[ "$(layer "$1")" = "$2" ]
}
blocked() {
	! probe wireguard icmp 203.0.113.7 --timeout 200
}
no_guard() {
	! eg status "$1" >/dev/null 2>&1
}

bed_up
check 'control: the internet is reached' probe wireguard icmp 203.0.113.7

# --- signals -------------------------------------------------------------------------------------

check_status '--try goes with no --foreground' 2 attach --foreground --try 5
for signal in TERM INT HUP; do
	check "$signal: it follows" follow holder wireguard
	check_layer "$signal: held" attached
	kill -"$signal" "${BED_PIDS[holder]}"
	check "$signal: it ends" ends holder 'stay in force'
	check "$signal: what is pinned stays" blocked
	check_equal "$signal: as it was meant" "$(state wireguard)" enforcing
	check_layer "$signal: nobody holds it" 'not held'
done

check 'to be killed' follow holder wireguard
stop holder KILL
check 'killed: what is pinned stays' blocked
check_layer 'killed: missed' missing
if [ "$HAS_LAYER" = true ]; then
	check_equal 'killed: degraded' "$(state wireguard)" degraded
	check 'and why' grep -q 'the process that held .netns. was killed' <(eg status wireguard)
fi
check 'again' follow holder wireguard
check_equal 'again: all is well' "$(state wireguard)" enforcing

# --- one after the other ---------------------------------------------------------------------------

if [ "$HAS_LAYER" = true ]; then
	check 'another one' follow second wireguard
	check 'the first one gives way' ends holder 'another process follows'
	check 'the second one does not' running second
	check_layer 'it holds' attached
	stop second
	check 'one more' follow holder wireguard
fi

# --- the guard is replaced, and taken away --------------------------------------------------------

{
	echo '[Lan]'
	for i in {1..3000}; do
		echo "Allow = 198.18.0.0/15:$i/tcp"
	done
} >"$BED/large.conf"
check 'a policy that outgrows the guard' attach --replace --policy "$BED/large.conf"
check 'its successor is followed' wait_until 10 grep -q 'its successor is followed' "$BED/holder.log"
check_layer 'and held' attached
check_equal 'all is well' "$(state wireguard)" enforcing
check 'an interface appears' bed_link host veth-new wireguard eth1
check 'it is guarded' wait_until 10 grep -q 'eth1 is guarded: .device. and .peer. are on it' "$BED/holder.log"
check_equal 'by the new guard' "$(state wireguard)" enforcing
ip -n wireguard link delete eth1
ip -n wireguard link add tap9 type veth peer name tap9b
check 'one with both ends inside' wait_until 10 grep -q 'tap9 is guarded: .device. is on it' "$BED/holder.log"
ip -n wireguard link delete tap9

# What leads out does not wait for what root inside has made in any number.
said_at() { # PATTERN: in which line
	grep -n -m 1 -- "$1" "$BED/holder.log" | cut -d : -f 1
}
kill -STOP "${BED_PIDS[holder]}"
for i in {1..6}; do
	echo "link add many$i type veth peer name other$i"
done | ip -n wireguard -batch -
check 'many interfaces, and then one more' bed_link host veth-late wireguard late0
kill -CONT "${BED_PIDS[holder]}"
check 'all of them are guarded' wait_until 60 grep -q 'many6 is guarded' "$BED/holder.log"
check 'what leads out first' [ "$(said_at 'late0 is guarded')" -lt "$(said_at '\(many\|other\)[0-9]* is guarded')" ]
for i in {1..6}; do
	echo "link delete many$i"
done | ip -n wireguard -batch -
ip -n wireguard link delete late0

# Whether the other end of a clsact filter's veth is gone cannot be told from here.
pins_are_of_one() {
	[ "$(find "$EG_PIN_DIR/wireguard" -name 'link_device_*' -o -name 'filter_device_*' | wc -l)" = 1 ]
}
check 'gone: nothing of it is left' wait_until 10 pins_are_of_one
check 'detach' eg detach wireguard
check 'then it ends' ends holder 'the guard was taken away'
check 'control: the internet is reached again' probe wireguard icmp 203.0.113.7

# --- the end of a namespace ------------------------------------------------------------------------

# A container: processes, no file.
container() { # ADDRESS
	start container unshare --net sleep 1000
	wait_until 5 container_is_apart
	ip -n host link add veth-c type veth peer name eth0 netns "${BED_PIDS[container]}"
	ip -n host link set veth-c master br0 up
	inside ip address add "$1/16" dev eth0
	inside ip link set eth0 up
	inside ip link set lo up
	inside ip route add default via 172.18.0.1
}
container_is_apart() {
	[ "$(readlink "/proc/${BED_PIDS[container]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
inside() {
	nsenter --net="/proc/${BED_PIDS[container]}/ns/net" -- "$@"
}
host_end_gone() {
	bed_no_link host veth-c
}

container 172.18.0.9
check 'a container' follow holder "${BED_PIDS[container]}" --name box
check 'guarded' test -z "$(inside "$PROBE" icmp 203.0.113.7 --timeout 200 | grep answer:)"
check_layer 'held' attached box
# Its first process ends, another one lives on.
setpriv --pdeathsig KILL -- nsenter --net="/proc/${BED_PIDS[container]}/ns/net" -- sleep 1001 &
other=$!
other_is_there() {
	[ "$(readlink "/proc/$other/ns/net")" = "$(readlink "/proc/${BED_PIDS[container]}/ns/net")" ]
}
wait_until 10 other_is_there
stop container KILL
sleep 2.5
check 'another process is there: it is held' running holder
check_layer 'still' attached box
# What holds it now is an open descriptor: nobody is in it.
exec 9<"/proc/$other/ns/net"
kill -KILL "$other"
wait "$other" 2>/dev/null || true
check 'the last process ends: it lets go' wait_until 10 grep -q 'nothing else keeps its namespace' "$BED/holder.log"
check 'it goes on as long as the namespace is there' running holder
check 'which it is' test -z "$(bed_no_link host veth-c && echo gone)"
setpriv --pdeathsig KILL -- nsenter --net=/proc/self/fd/9 -- sleep 1002 &
other=$!
check 'a process comes in: held again' wait_until 10 grep -q 'followed again' "$BED/holder.log"
check_layer 'really' attached box
exec 9<&-
kill -KILL "$other"
wait "$other" 2>/dev/null || true
check 'then the namespace ends' wait_until 15 host_end_gone
check 'and it ends with it' ends holder 'its namespace has ended'
check 'nothing is left of the guard' no_guard box

# A name without a process.
bed_namespace named
bed_link host veth-c named eth0
bed_address named eth0 172.18.0.10/16
check 'a name' follow holder named
sleep 2
check 'is held' running holder
ip netns delete named
check 'its end is seen' ends holder 'its namespace has ended'
check 'nothing is left' no_guard named
check 'nor of the interface' wait_until 10 host_end_gone

# Kernel WireGuard: its socket is in the namespace that it was made in, and tells whether it lives.
bed_wireguard_kind
if [ "$BED_WIREGUARD" = kernel ]; then
	container 172.18.0.9
	ip -n host link add wg0 type wireguard
	bed_keys
	in_ns host wg set wg0 listen-port 51999 private-key "$BED/client.key"
	ip -n host link set wg0 up
	ip -n host link set wg0 netns "${BED_PIDS[container]}"
	inside ip link set wg0 up
	wg_lives() {
		in_ns host ss -lun | matches :51999
	}
	wg_gone() {
		! wg_lives
	}
	check 'WireGuard: follow' follow holder "${BED_PIDS[container]}" --name box
	check 'WireGuard: it is there' wg_lives
	stop container KILL
	check 'WireGuard: gone with the last process' wait_until 15 wg_gone
	check 'WireGuard: and the holder' ends holder 'its namespace has ended'
else
	skip 'WireGuard goes with its namespace' 'wireguard-go is itself a process of the namespace'
fi

# --- a service manager -----------------------------------------------------------------------------

python3 - "$BED/notify" "$((30 * ${EG_SLOW:-1}))" >"$BED/notified" <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(int(sys.argv[2]))
for _ in range(2):
    print(s.recv(100).decode(), flush=True)
END
listener=$!
wait_until 5 test -S "$BED/notify"
NOTIFY_SOCKET=$BED/notify follow holder wireguard
stop holder
wait "$listener" || true
check_equal 'a service manager is told' "$(tr '\n' ' ' <"$BED/notified")" 'READY=1 STOPPING=1 '

# What nothing that we see keeps cannot be followed.
bed_namespace hidden
exec 9</run/netns/hidden
ip netns delete hidden
status=0
"$EG" attach --pin-dir "$EG_PIN_DIR" --netns /proc/self/fd/9 --name hidden --dns lan --endpoint "$BED_ENDPOINT" \
	--foreground >"$BED/out" 2>&1 9<&9 || status=$?
check_equal 'a namespace that nothing visible keeps: refused' "$status" 1
check 'and why' grep -q 'would keep it for ever' "$BED/out"
exec 9<&-
