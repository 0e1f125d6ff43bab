#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Root inside, of a user namespace of its own, puts an interface into another namespace of its own
# before attach, and sends there. The guard does not cover it; attach and status have to say so,
# whatever holds that namespace.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/inside.sh
. "$(dirname "$0")/inside.sh"

HOLDS='root with NET_ADMIN inside, on the listed interfaces'

attach_it() {
	eg attach --netns remapped --dns lan --endpoint "$BED_ENDPOINT"
}
told() {
	eg status remapped --json | jq -r ".guards[0] | $1"
}
# A veth more, of the host's.
second_interface() {
	ip -n host -batch - <<-EOF
		link add veth-b type veth peer name eth1 address 02:00:00:00:01:09 netns remapped
		link set veth-b master br0 up
	EOF
	ip -n host neighbour replace 172.18.0.9 lladdr 02:00:00:00:01:09 dev br0
}
# give_away FILE: eth1 goes to the namespace that this file means, and is set up there.
give_away() {
	remapped ip link set eth1 netns "$1"
	nsenter --user --preserve-credentials --target "${BED_PIDS[remapped]}" -- nsenter --net="$1" -- \
		sh -ec "ip link set eth1 up; ip address add 172.18.0.9/16 dev eth1
			ip neighbour add 172.18.0.1 lladdr $BED_HOST_MAC dev eth1
			ip route add default via 172.18.0.1 dev eth1"
}
# away FILE COMMAND...: as root inside, in that namespace.
away() {
	local file=$1
	shift
	nsenter --user --preserve-credentials --target "${BED_PIDS[remapped]}" -- nsenter --net="$file" -- "$@"
}
# holder NAME: starts what holds another namespace, and sets FILE to what means that.
holder() {
	local held=$BED/held-$1
	: >"$held"
	case $1 in
	process)
		start "$1" nsenter --user --net --preserve-credentials --target "${BED_PIDS[remapped]}" -- \
			unshare --net sh -c "echo ready >$held; exec sleep 1000"
		wait_until 10 test -s "$held"
		FILE=/proc/${BED_PIDS[$1]}/ns/net
		;;
	thread | descriptor)
		start "$1" nsenter --user --net --preserve-credentials --target "${BED_PIDS[remapped]}" -- \
			python3 -c "
import ctypes, os, sys, threading, time
libc, how, mine = ctypes.CDLL(None), sys.argv[1], os.open('/proc/thread-self/ns/net', os.O_RDONLY)
def apart():
    libc.unshare(0x40000000)
    fd = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
    path = f'/proc/{os.getpid()}/fd/{fd}'
    if how == 'descriptor':
        libc.setns(mine, 0x40000000)
    else:
        path = f'/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net'
        os.close(fd)
    open(sys.argv[2], 'w').write(path)
    time.sleep(1000)
threading.Thread(target=apart, daemon=True).start()
time.sleep(1000)" "$1" "$held"
		wait_until 10 test -s "$held"
		FILE=$(cat "$held")
		;;
	mount)
		start "$1" nsenter --user --net --preserve-credentials --target "${BED_PIDS[remapped]}" -- \
			unshare --mount sh -c "mount -t tmpfs none /mnt && touch '/mnt/a file' &&
				unshare --net='/mnt/a file' true && echo ready >$held && exec sleep 1000"
		wait_until 10 test -s "$held"
		FILE="/proc/${BED_PIDS[$1]}/root/mnt/a file"
		;;
	esac
}

inside_bed_up
inside_remapped remapped
inside_connect remapped 2

check 'nothing is hidden: attach' attach_it
TCX=$(told '[.layers[] | select(.name == "device") | .detail] | .[0] | test("tcx")')
[ "$TCX" = true ] || HOLDS='processes without NET_ADMIN'
check_equal 'nothing is hidden: the claim' "$(told .holds_against)" "$HOLDS"
check_equal 'nothing is hidden: as JSON' "$(told .hidden)" false
eg detach remapped >/dev/null

port=6000
for how in process thread descriptor mount; do
	holder "$how"
	second_interface
	give_away "$FILE"
	port=$((port + 1))
	attach_it >"$BED/attach.log" 2>&1 || true
	away "$FILE" "$PROBE" raw "$INSIDE_PUBLIC:$port" >/dev/null
	inside_look remapped
	inside_seen internet "$INSIDE_PUBLIC" "$port"
	check_equal "held by a $how: what is there leaves" "$SEEN" 1
	check "held by a $how: attach warns" grep -q 'warning: root inside may have interfaces' "$BED/attach.log"
	check_equal "held by a $how: status claims less" "$(told .holds_against)" 'processes without NET_ADMIN'
	check_equal "held by a $how: as JSON" "$(told .hidden)" true
	check "held by a $how: and names it" grep -q 'another network namespace.*where eth1 leads out' \
		<(eg status remapped)
	eg detach remapped >/dev/null
	ip -n host link delete veth-b
	stop "$how" KILL
done

# On top of an interface of the host's, as an engine's macvlan network makes it: it has no other end.
if ip -n host link add mv0 link wan0 address 02:00:00:00:01:0a type macvlan mode bridge 2>"$BED/out"; then
	holder process
	ip -n host link set mv0 netns remapped
	remapped ip link set mv0 netns "$FILE"
	away "$FILE" sh -ec "ip link set mv0 up; ip address add 198.51.100.9/24 dev mv0
		ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:03 dev mv0
		ip route add default via 198.51.100.1 dev mv0"
	attach_it >"$BED/attach.log" 2>&1 || true
	away "$FILE" "$PROBE" raw "$INSIDE_PUBLIC:6050" >/dev/null
	inside_look remapped
	inside_seen internet "$INSIDE_PUBLIC" 6050
	check_equal 'macvlan: what is there leaves' "$SEEN" 1
	check 'macvlan: attach warns' grep -q 'warning: root inside may have interfaces' "$BED/attach.log"
	check_equal 'macvlan: status claims less' "$(told .holds_against)" 'processes without NET_ADMIN'
	check 'macvlan: and names it' grep -q 'another network namespace.*where mv0 leads out' \
		<(eg status remapped)
	eg detach remapped >/dev/null
	stop process KILL
else
	skip macvlan "not here: $(head -n 1 "$BED/out")"
fi

second_interface
ip -n remapped link set eth1 up
check 'moved after attach: attach' attach_it
holder process
give_away "$FILE"
if [ "$TCX" = true ]; then
	check_equal 'moved after attach: it has its layers still' "$(told .hidden)" false
	check_equal 'moved after attach: the claim' "$(told .holds_against)" "$HOLDS"
fi
away "$FILE" "$PROBE" raw "$INSIDE_PUBLIC:6100" >/dev/null
inside_look remapped
inside_seen internet "$INSIDE_PUBLIC" 6100
check_equal 'moved after attach: nothing leaves' "$SEEN" 0
check 'detach' eg detach remapped
