#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# What root inside the guarded namespace, with namespaces of its own, can try against attach, against
# what is pinned and against the frames' way. Each attack is first seen to work where there is no
# guard; under one it is held, and no command says more than is true.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

PUBLIC='dst 203.0.113.7 or dst 2001:db8:7::7'

holds_against() { # GUARD
	of_guard "$1" .holds_against
}

# refused NAME STATUS PATTERN COMMAND...: this exit status and this message.
refused() {
	local name=$1 wanted=$2 pattern=$3 status=0
	shift 3
	"$@" >"$BED/out" 2>&1 || status=$?
	if [ "$status" = "$wanted" ] && grep -q -E -- "$pattern" "$BED/out"; then
		pass "$name"
	else
		fail "$name" "exit status $status, not $wanted, or not '$pattern'"
		sed 's/^/  | /' "$BED/out"
	fi
}

# degraded NAME: status says so of the guard, in words and by its exit status.
degraded() {
	check_equal "$1: status says degraded" "$(state wireguard)" degraded
	check_status "$1: status --check" 1 eg status wireguard --check
}

# count_at NAMESPACE INTERFACE FILTER COMMAND...: sets SEEN to how many such packets pass there while
# the command runs.
count_at() {
	local namespace=$1 interface=$2 filter=$3
	shift 3
	capture_start seen "$namespace" "$interface"
	"$@" >"$BED/sent" 2>&1 || true
	sleep 0.1
	capture_stop seen
	SEEN=$(capture_count seen "$filter")
}

# held NAME FILTER COMMAND..., leaves NAME FILTER COMMAND...: none, or some, of such packets leave to
# the internet.
held() {
	local name=$1
	shift
	count_at internet host0 "$@"
	check_equal "$name: held" "$SEEN" 0
}
leaves() {
	local name=$1
	shift
	count_at internet host0 "$@"
	check "$name: seen without a guard" test "$SEEN" -gt 0
}

# A namespace of the container's own, in a user namespace of its own: there it can be anything.
own_namespace_up() {
	start_in wireguard own unshare --user --map-root-user --net -- sleep 1000
	wait_until 5 own_namespace_is_up
	bed_own_sysctl
	in_own ip link set lo up
}
own_namespace_is_up() {
	[ "$(cat "/proc/${BED_PIDS[own]}/comm")" = sleep ]
}
in_own() {
	nsenter --net="/proc/${BED_PIDS[own]}/ns/net" -- "$@"
}
bed_own_sysctl() {
	# shellcheck disable=SC2016 # the inner shell's
	in_own sh -c 'for f in all default; do echo 0 >"/proc/sys/net/ipv6/conf/$f/disable_ipv6"; done'
}
own_namespace_down() {
	stop own KILL
}

eth0_away() {
	ip -n wireguard link set eth0 netns "${BED_PIDS[own]}"
	in_own ip link set eth0 up
}
eth0_back() {
	in_own ip link set eth0 netns wireguard
	bed_address wireguard eth0 172.18.0.2/16 fd00:18::2/64
	bed_route wireguard default 172.18.0.1 default fd00:18::1
	bed_route wireguard 192.168.1.0/24 172.18.0.1 fd00:1::/64 fd00:18::1
	wait_until 5 probe wireguard icmp 203.0.113.7 --timeout 200
}

# A tun with names, and an index, of the attacker's choice, and as many processes that hold it. The
# first of them answers as a WireGuard would (`answer`), or none does (`silent`).
cat >"$BED/tun.py" <<'PYTHON'
import fcntl, os, signal, socket, struct, sys
names, index, holders, way, ready = sys.argv[1].split("/"), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
sockets, tuns = [], []
for name in names:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    if index:
        fcntl.ioctl(tun, 0x400454DA, struct.pack("I", index))  # TUNSETIFINDEX
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH14x", name.encode(), 0x1001))  # TUNSETIFF
    path = f"/run/wireguard/{name}.sock"
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1000)
    tuns.append(tun)
    sockets.append(listener)
for _ in range(holders - 1):
    if os.fork() == 0:
        signal.alarm(60)
        while True:
            signal.pause()
open(ready, "w").close()
while way == "silent":
    signal.pause()
while True:
    connection, _ = sockets[0].accept()
    connection.recv(100)
    connection.send(b"listen_port=1\npublic_key=" + b"ab" * 32 + b"\nendpoint=203.0.113.9:51820\nerrno=0\n\n")
    connection.close()
PYTHON
tun_up() { # NAME[/NAME]... INDEX HOLDERS answer|silent
	rm -f "$BED/tun.ready"
	# A process group of its own, to be ended as one.
	start_in wireguard tun setsid python3 "$BED/tun.py" "$@" "$BED/tun.ready"
	wait_until 10 test -e "$BED/tun.ready"
}
tun_down() {
	kill -KILL -- "-${BED_PIDS[tun]}"
	stop tun KILL
	wait_until 5 tun_is_gone
}
# Not by `! ... | grep -q .`: that ends at the first line, and who writes the next one fails.
tun_is_gone() {
	[ -z "$(ip -n wireguard link show type tun)" ]
}
bed_at_exit() {
	[ -z "${BED_PIDS[tun]:-}" ] || kill -KILL -- "-${BED_PIDS[tun]}" 2>/dev/null
}

# --- names that a terminal obeys -------------------------------------------------------------------------

# clean NAME COMMAND...: whatever it answers, no control character is in it.
clean() {
	local name=$1
	shift
	"$@" >"$BED/out" 2>&1 || true
	if [ -s "$BED/out" ] && ! grep -q -a -P '[\x00-\x08\x0b-\x1f\x7f]' "$BED/out"; then
		pass "names: $name"
	else
		fail "names: $name" 'control characters, or nothing at all'
		cat -v "$BED/out" | sed 's/^/  | /'
	fi
}

names() {
	local escape=$'a\e]0;x\a\e[2J' tunnel=$'w\e[2J"\\='

	ip -n wireguard link add "$escape" type veth peer name odd-host netns host
	ip -n wireguard link set "$escape" up
	ip -n host link set odd-host up
	check 'names: a terminal would obey this one' grep -q -a $'\e' <(in_ns wireguard cat /proc/self/net/dev)
	clean attach attach_to wireguard
	check_equal 'names: it enforces' "$(state wireguard)" enforcing
	clean status eg status wireguard
	clean 'status --json' eg status wireguard --json
	clean 'status --format prometheus' eg status wireguard --format prometheus
	start events "$EG" events --pin-dir "$EG_PIN_DIR" wireguard --count 1
	wait_until 5 more_viewers wireguard 0
	probe wireguard packet 203.0.113.7:53 --interface "$escape" --mac "$BED_HOST_MAC" >/dev/null || true
	wait_until 5 eval '! running events'
	check 'names: an event of it was shown' grep -q 'DROP public a' "$BED/events.log"
	clean events cat "$BED/events.log"
	ip -n wireguard link delete "$escape"
	check 'names: detach' eg detach wireguard

	tun_up "$tunnel" 0 1 answer
	refused 'names: a tunnel called so: refused' 2 "'w.x1b" eg attach --netns wireguard --dns lan
	cp "$BED/out" "$BED/refusal"
	clean 'the refusal' cat "$BED/refusal"
	tun_down
	rm -f "/run/wireguard/$tunnel.sock"
}

# --- files of the container's that are none --------------------------------------------------------------

# Who opens a device node or a FIFO of the container's lets it choose what happens then. Here: a FIFO,
# whose writer goes on as soon as someone opens it, and a device that has no driver.
strange_files() {
	# shellcheck disable=SC2016 # the inner shell's
	start_in wireguard container unshare --mount -- sh -c '
		mount -t tmpfs tmpfs /etc && mkdir /etc/wireguard &&
		mkfifo /etc/resolv.conf && mknod /etc/wireguard/wg0.conf "$@" && exec sleep 1000' - "$@"
	wait_until 5 container_is_up
}
container_is_up() {
	[ "$(cat "/proc/${BED_PIDS[container]}/comm")" = sleep ]
}
in_container_root() { # COMMAND...
	nsenter --mount="/proc/${BED_PIDS[container]}/ns/mnt" -- "$@"
}

files() {
	local file

	strange_files p
	for file in /etc/wireguard/wg0.conf /etc/resolv.conf; do
		# shellcheck disable=SC2016 # the inner shell's
		start "writer-${file##*/}" nsenter --mount="/proc/${BED_PIDS[container]}/ns/mnt" -- \
			sh -c 'echo opened >"$1"' - "$file"
	done
	check 'files: attach says what it did not read' grep -q 'wg0.conf cannot be read (it is no regular file)' \
		<(attach_to "pid:${BED_PIDS[container]}" --wg-conf auto --name wireguard 2>&1)
	eg status wireguard >/dev/null
	for file in wg0.conf resolv.conf; do
		check "files: nobody opened $file" running "writer-$file"
	done
	in_container_root timeout 5 cat /etc/wireguard/wg0.conf /etc/resolv.conf >/dev/null
	for file in wg0.conf resolv.conf; do
		check "files: who does is noticed ($file)" wait_until 5 eval "! running writer-$file"
	done
	check 'files: detach' eg detach wireguard
	stop container KILL

	strange_files c 60 0
	check 'files: a device is not opened either' \
		grep -q 'wg0.conf cannot be read (it is no regular file)' \
		<(attach_to "pid:${BED_PIDS[container]}" --wg-conf auto --name wireguard 2>&1)
	check 'files: detach' eg detach wireguard
	stop container KILL
}

# --- an attach that is made to fail ----------------------------------------------------------------------

# The engine connects the container to another network. What is inside makes the next attach fail, but
# not before the new interface is covered.
veto() {
	local mac

	check "veto: attach" attach_to wireguard
	bed_link host veth-two wireguard eth1
	bed_address host veth-two 172.19.0.1/16
	bed_address wireguard eth1 172.19.0.2/16
	ip -n internet route add 172.19.0.0/16 via 198.51.100.2
	mac=$(ip -n host -j link show veth-two | jq -r '.[0].address')
	eth1_sends() {
		probe wireguard packet 203.0.113.7:53 --source 172.19.0.2 --interface eth1 --mac "$mac" --count 3
		probe wireguard bypass 203.0.113.7:53 --source 172.19.0.2 --interface eth1 --mac "$mac" --count 3
	}
	leaves 'veto: eth1' "$PUBLIC" eth1_sends
	degraded 'veto: before attach'

	"$1_up"
	refused "veto by $1: attach" "$2" "$3" eg attach --netns wireguard --dns lan
	held "veto by $1: eth1" "$PUBLIC" eth1_sends
	"$1_down"
	check "veto by $1: without it" attach_to wireguard
	check_equal "veto by $1: it enforces" "$(state wireguard)" enforcing
	check "veto by $1: detach" eg detach wireguard
	ip -n wireguard link delete eth1
	ip -n internet route delete 172.19.0.0/16
}
tap_up() { ip -n wireguard tuntap add mode tap veto0; }
tap_down() { ip -n wireguard link delete veto0; }
silence_up() { tun_up wg0 0 1 silent; }
silence_down() { tun_down; }

# --- a WireGuard that does not answer --------------------------------------------------------------------

# Every process that holds the tunnel could be one to ask, and attach has the lock of all guards.
slow() {
	# One after the other they would take two seconds each, a minute in all.
	local began limit=$((${EG_SLOW:-1} > 1 ? 40 : 10))

	ip netns add other
	tun_up wg0/wg1/wg2/wg3/wg4/wg5 0 30 silent
	began=$SECONDS
	start slow "$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
	sleep 0.5
	check 'slow: meanwhile another attach' attach_to other
	check 'slow: is done soon' test $((SECONDS - began)) -le "$limit"
	check 'slow: and so is the one' wait_until 10 eval '! running slow'
	check 'slow: detach' eg detach --all
	tun_down
	ip netns delete other
}

# --- witnesses of the container's own --------------------------------------------------------------------

# What may be a source, and what is on the link, is asked of a veth's other end; that must be no end
# which the container itself has made.
cat >"$BED/forged.py" <<'PYTHON'
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
if sys.argv[1] == "source":
    icmp = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"out of the guard"
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0,
                         socket.inet_aton("203.0.113.7"), socket.inet_aton("192.168.1.10")) + icmp
    sender, to = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW), "192.168.1.10"
else:
    packet = bytes([135, 0, 0, 0]) + b"out of the guard" * 8
    sender, to = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6), "2001:db8:7::7"
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
for _ in range(3):
    sender.sendto(packet, (to, 0))
PYTHON
forged() { # source|neighbour
	in_ns wireguard python3 "$BED/forged.py" "$1"
}

witness() {
	local what

	for what in source neighbour; do
		leaves "witness: a forged $what" "$PUBLIC" forged "$what"
	done
	check 'witness: attach' attach_to wireguard
	for what in source neighbour; do
		held "witness: a forged $what" "$PUBLIC" forged "$what"
	done

	own_namespace_up
	ip -n wireguard link add x0 type veth peer name y0 netns "${BED_PIDS[own]}"
	bed_address wireguard x0 203.0.113.7/32 2001:db8:ffff::1/128
	in_own ip link set y0 up
	in_own ip address add 203.0.113.1/24 dev y0
	in_own ip -6 route add 2000::/3 dev y0
	refused 'witness: one of its own: attach' 5 "only the layer 'device' can guard x0 \(" attach_to wireguard
	degraded 'witness: one of its own'
	for what in source neighbour; do
		held "witness: a forged $what, with one of its own" "$PUBLIC" forged "$what"
	done
	check 'witness: detach' eg detach wireguard

	refused 'witness: the first attach' 5 "only the layer 'device' can guard x0 \(" attach_to wireguard
	check_equal 'witness: nothing is pinned' "$(ls "$EG_PIN_DIR")" ''
	# Such a guard believes the namespace's addresses, so it says that it does not hold root.
	check 'witness: attach --accept-device-only' attach_to wireguard --accept-device-only
	check_equal 'witness: status says what it holds against' \
		"$(holds_against wireguard)" 'processes without NET_ADMIN and NET_RAW'
	held 'witness: a forged neighbour, with a route of its own' "$PUBLIC" forged neighbour
	check 'witness: detach' eg detach wireguard
	own_namespace_down
	wait_until 5 bed_no_link wireguard x0
}

# --- round by an ifb -------------------------------------------------------------------------------------

# An ifb marks what it sends on, and the host's end of the veth then leaves `peer` out. So nothing that
# has the mark passes `device`. What comes from d1 goes round once: the ifb makes it come from itself.
ifb_up() {
	ip -n wireguard link add ifb7 type ifb 2>"$BED/out" && ip -n wireguard link set ifb7 up &&
		{ in_ns wireguard tc qdisc add dev eth0 clsact 2>/dev/null || true; } &&
		in_ns wireguard tc filter add dev eth0 egress protocol ip pref 9 u32 \
			match ip dst 192.168.1.10/32 indev d1 action mirred egress redirect dev ifb7 2>"$BED/out"
}
ifb_down() {
	in_ns wireguard tc filter del dev eth0 egress pref 9 2>/dev/null || true
	ip -n wireguard link delete ifb7 2>/dev/null || true
}
ifb_sends() {
	probe behind raw 192.168.1.10:9999 --count 5 --gap 1000
}
ifb_carried() {
	ip -n wireguard -s -j link show ifb7 | jq '.[0].stats64.tx.packets'
}

ifb() {
	local layer=$1

	ip netns add behind
	bed_link wireguard d1 behind d0
	bed_address wireguard d1 10.77.0.1/24
	bed_address behind d0 10.77.0.2/24
	ip -n behind route add default via 10.77.0.1
	bed_sysctl wireguard ipv4/ip_forward=1
	if ifb_up; then
		count_at host lan0 'udp and dst 192.168.1.10' ifb_sends
		check_equal "ifb, $layer: seen without a guard" "$SEEN" 5
		check_equal "ifb, $layer: which it carried" "$(ifb_carried)" 5
		ifb_down
		check "ifb, $layer: attach" attach_to wireguard
		count_at host lan0 'udp and dst 192.168.1.10' ifb_sends
		check_equal "ifb, $layer: what is sent straight on is allowed" "$SEEN" 5
		ifb_up
		guard_counted wireguard
		count_at host lan0 'udp and dst 192.168.1.10' ifb_sends
		check_equal "ifb, $layer: what it sends on is held" "$SEEN" 0
		check_equal "ifb, $layer: which it carried under the guard" "$(ifb_carried)" 5
		check_equal "ifb, $layer: dropped as malformed at device" \
			"$(guard_counted wireguard dropped)" 'device malformed 5'
		degraded "ifb, $layer"
		refused "ifb, $layer: attach again" 5 "only the layer 'device' can guard ifb7 " \
			attach_to wireguard
		count_at host lan0 'udp and dst 192.168.1.10' ifb_sends
		check_equal "ifb, $layer: and then it is held" "$SEEN" 0
		check "ifb, $layer: detach" eg detach wireguard
	else
		skip "ifb, $layer" "this kernel has no ifb, u32 or mirred: $(head -n 1 "$BED/out")"
	fi
	ifb_down
	in_ns wireguard tc qdisc del dev eth0 clsact 2>/dev/null || true
	bed_sysctl wireguard ipv4/ip_forward=0
	ip netns delete behind
	wait_until 5 bed_no_link wireguard d1
}

# --- the interface moved, its index used again -----------------------------------------------------------

own_sends() {
	local way
	for way in packet packet bypass bypass; do
		in_own "$PROBE" "$way" 203.0.113.7:53 --source 172.18.0.2 --interface eth0 \
			--mac "$BED_HOST_MAC" || true
	done
}
# own_held NAME LAYER: and by the same layers as ever. A clsact filter does not move with its interface.
own_held() {
	local device=2 peer=2 before_device before_peer now_device now_peer
	[ "$2" = tcx ] || device=0 peer=4
	read -r before_device before_peer < <(own_dropped)
	held "$1" "$PUBLIC" own_sends
	read -r now_device now_peer < <(own_dropped)
	check_equal "$1: at device" $((now_device - before_device)) "$device"
	check_equal "$1: at peer" $((now_peer - before_peer)) "$peer"
}
own_dropped() {
	eg status wireguard --json | jq -r '.guards[0].counters |
		.by_layer.device.dropped.public.packets as $device |
		"\($device) \(.dropped.public.packets - $device)"'
}
eth0_index() {
	ip -n wireguard -j link show eth0 | jq '.[0].ifindex'
}

# eth0, guarded, goes to a namespace of the container's own, and something else takes its index: the
# next attach must not take eth0's guard for the other's.
reuse_by_veth() { # LAYER
	local layer=$1 index

	own_namespace_up
	check "index, $layer: attach" attach_to wireguard
	index=$(eth0_index)
	eth0_away
	own_held "index, $layer: moved" "$layer"
	ip -n wireguard link add x0 index "$index" type veth peer name y0 netns "${BED_PIDS[own]}"
	refused "index, $layer: a veth in its place: attach" 5 "only the layer 'device' can guard x0 \(" \
		attach_to wireguard
	degraded "index, $layer: a veth in its place"
	own_held "index, $layer: a veth in its place" "$layer"
	ip -n wireguard link delete x0
	# As if the engine had made it: this one can be guarded.
	ip -n wireguard link add x0 index "$index" type veth peer name y0 netns host
	check "index, $layer: an honest veth in its place: attach" attach_to wireguard
	check_equal "index, $layer: it enforces" "$(state wireguard)" enforcing
	own_held "index, $layer: an honest veth in its place" "$layer"
	check "index, $layer: detach" eg detach wireguard
	check_equal "index, $layer: nothing is left" "$(ls "$EG_PIN_DIR")" ''
	leaves "index, $layer" "$PUBLIC" own_sends
	ip -n wireguard link delete x0
	eth0_back
	own_namespace_down
}

reuse_by_tunnel() { # LAYER
	local layer=$1 index

	own_namespace_up
	check "index, $layer: attach" attach_to wireguard
	index=$(eth0_index)
	eth0_away
	tun_up wg0 "$index" 1 answer
	check_equal "index, $layer: the tunnel has it" \
		"$(ip -n wireguard -j link show wg0 | jq '.[0].ifindex')" "$index"
	check "index, $layer: a tunnel in its place: attach" attach_to wireguard
	own_held "index, $layer: a tunnel in its place" "$layer"
	check "index, $layer: detach" eg detach wireguard
	leaves "index, $layer: a tunnel in its place" "$PUBLIC" own_sends
	tun_down
	eth0_back
	own_namespace_down
}

# --- a resolver that no resolv.conf names ----------------------------------------------------------

# Docker's own listens whatever the file says by then, and whoever knows its address can ask it.
resolver() {
	start_in wireguard resolver python3 "$BED_SOURCE/tests/e2e/responder.py" "$BED/resolver.ready" \
		127.0.0.11
	wait_until 10 test -e "$BED/resolver.ready"
	check 'resolver: without a guard it answers' probe wireguard udp 127.0.0.11:53
	eg attach --netns wireguard --dns tunnel --endpoint "$BED_ENDPOINT" >/dev/null 2>"$BED/out"
	check 'resolver: attach says that it is refused' grep -q "Docker's resolver 127.0.0.11 is refused" "$BED/out"
	check 'resolver: and it is' eval '! probe wireguard udp 127.0.0.11:53 --timeout 200'
	check 'resolver: attach without' eg attach --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" --replace
	check 'resolver: under dns = lan it answers' probe wireguard udp 127.0.0.11:53
	check_equal 'resolver: status says that it cannot tell' \
		"$(eg status wireguard --json | jq -r '.guards[0].dns')" 'not known'
	check 'resolver: detach' eg detach wireguard
	stop resolver KILL
}

# --- the interface hidden before the first attach --------------------------------------------------------

# What stands in eth0's place can be guarded, but not eth0: so nothing may be said to be guarded
# against who could do that.
hidden() {
	own_namespace_up
	eth0_away
	ip -n wireguard link add eth0 type veth peer name y0 netns "${BED_PIDS[own]}"
	bed_address wireguard eth0 172.18.0.2/16
	in_own ip address add 172.18.0.1/16 dev y0
	in_own ip link set y0 up
	leaves 'hidden: eth0' "$PUBLIC" own_sends
	refused 'hidden: attach' 5 "only the layer 'device' can guard eth0 \(" attach_to wireguard
	check_equal 'hidden: nothing is pinned' "$(ls "$EG_PIN_DIR")" ''
	check_status 'hidden: status --check' 1 eg status wireguard --check
	check 'hidden: attach --accept-device-only' attach_to wireguard --accept-device-only
	check_equal 'hidden: status says what it holds against' \
		"$(holds_against wireguard)" 'processes without NET_ADMIN and NET_RAW'
	check 'hidden: detach' eg detach wireguard
	ip -n wireguard link delete eth0
	eth0_back
	own_namespace_down
}

bed_up
names
files
veto tap 5 "only the layer 'device' can guard veto0 "
veto silence 1 'no userspace WireGuard answers'
slow
resolver
witness
ifb tcx
reuse_by_veth tcx
reuse_by_tunnel tcx
hidden
export EGRESSGUARD_FORCE_CLSACT=1
ifb clsact
reuse_by_veth clsact
reuse_by_tunnel clsact
