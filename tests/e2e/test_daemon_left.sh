#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A daemon's guard whose file has been taken away stays in force and is looked after, by the next daemon too. What
# somebody has attached by hand is left to them.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

# covered GUARD INTERFACE
covered() {
	eg status "$1" --json | jq -e --arg interface "$2" '[.guards[0].layers[] |
		select(.name == "device" or .name == "peer") | select(.interfaces | index($interface))] | length == 2'
}
# more NAMESPACE INTERFACE ADDRESS
more() {
	bed_link host "veth-$2" "$1" "$2"
	ip -n host link set "veth-$2" master br0 up
	bed_address "$1" "$2" "$3/16"
	ip -n "$1" route replace default via 172.18.0.1 dev "$2"
}
# check_holds NAME NAMESPACE
check_holds() {
	capture_start held internet host0
	probe "$2" udp 203.0.113.7:443 --timeout 100 || true
	capture_stop held
	check_no_leak "$1: nothing in the clear" held
}

bed_up
capture_start control internet host0
probe wireguard udp 203.0.113.7:443 --timeout 100 || true
capture_stop control
check_leaks 'control: without a guard it leaves' control

start_in wireguard inside sleep 900
policy wireguard 'Target = netns:wireguard'
check 'the daemon starts' daemon_up
check 'it guards' wait_until 60 eg status wireguard --check
rm "$CONFIG/wireguard.conf"
reload
check_logged 'its file is taken away' 'its file is gone: a guard in force stays'
stop daemon
check 'another one starts' daemon_up
more wireguard eth1 172.18.0.3
check 'its file is away: an interface that comes is covered' wait_until 20 covered wireguard eth1
check_holds 'its file is away' wireguard

stop daemon
bed_namespace other
start_in other life sleep 900
eg attach --netns netns:other --endpoint "$BED_ENDPOINT" --dns lan >/dev/null
check 'the next one starts' daemon_up
more wireguard eth2 172.18.0.4
more other eth0 172.18.0.5
check 'the next one covers it again' wait_until 20 covered wireguard eth2
check_equal 'who attached by hand is not interfered with' "$(covered other eth0)" false
