#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Namespaces without IPv6: switched off by sysctl, or not in the kernel at all (sockets of that family
# are refused, as with ipv6.disable=1). `attach` and `status` need none of it; what a packet socket
# sends is judged all the same; and IPv6 that comes later is guarded from its first packet.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

attach_it() { # [OPTION]
	eg attach --netns wireguard --tunnel wg0 --endpoint "$BED_ENDPOINT" --dns lan "$@"
}
switch_ipv6() { # 1: off
	bed_sysctl wireguard ipv6/conf/all/disable_ipv6="$1" ipv6/conf/default/disable_ipv6="$1" \
		ipv6/conf/eth0/disable_ipv6="$1"
}
# A frame with an IPv6 packet to the internet, by a packet socket: that takes no IPv6 of the sender.
send_frame() {
	probe wireguard packet '[2001:db8:7::7]:7007' --interface eth0 --mac $BED_HOST_MAC \
		--source fd00:18::2
}

bed_up
switch_ipv6 1
check_equal 'it has no IPv6 address' "$(ip -n wireguard -6 address show dev eth0)" ''
capture_start control internet host0 'ip6 and udp port 7007'
send_frame || true
capture_stop control
check 'without a guard a packet socket sends IPv6 all the same' [ "$(capture_count control)" -ge 1 ]

check 'attach' attach_it
check_equal 'state' "$(state wireguard)" enforcing
guard_counted wireguard
capture_start held internet host0 'ip6 and udp port 7007'
send_frame || true
capture_stop held
check_equal 'nothing of it leaves' "$(capture_count held)" 0
check 'it was judged' grep -q -x 'device public [1-9][0-9]*' <<<"$(guard_counted wireguard dropped)"
check 'IPv4: the LAN' probe wireguard tcp 192.168.1.10:80 --timeout 1000
check_status 'IPv4: the internet' 1 probe wireguard udp 203.0.113.7:443 --timeout 200

# --- it comes later -----------------------------------------------------------------------------------

switch_ipv6 0
bed_address wireguard eth0 fd00:18::2/64
ip -n wireguard -6 route add default via fd00:18::1
ip -n wireguard -6 route add fd00:1::/64 via fd00:18::1
capture_start later internet host0
probe wireguard udp '[2001:db8:7::7]:443' --timeout 300 || true
capture_stop later
check_no_leak 'IPv6 came later: nothing leaves' later
check 'IPv6 came later: the LAN is reached' \
	wait_until 5 probe wireguard tcp '[fd00:1::10]:80' --timeout 500
check_equal 'IPv6 came later: state' "$(state wireguard)" enforcing
check 'attach again, with neighbour discovery in its network' attach_it --replace
check 'detach' eg detach wireguard
capture_start open internet host0
probe wireguard udp '[2001:db8:7::7]:443' --timeout 300 || true
capture_stop open
check_leaks 'and without the guard it does leave' open

# --- the kernel has none ------------------------------------------------------------------------------

switch_ipv6 1
without_ipv6() {
	python3 "$BED_SOURCE/tests/e2e/no_ipv6.py" "$EG" "$@" --pin-dir "$EG_PIN_DIR"
}
check_status 'there is no socket of IPv6' 97 python3 "$BED_SOURCE/tests/e2e/no_ipv6.py" \
	python3 -c 'import socket, sys
try:
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
except OSError as error:
    sys.exit(error.errno)'
check 'no IPv6 in the kernel: attach' without_ipv6 attach --netns wireguard --tunnel wg0 \
	--endpoint "$BED_ENDPOINT" --dns lan
check 'no IPv6 in the kernel: status' without_ipv6 status wireguard --check
check 'no IPv6 in the kernel: explain' without_ipv6 explain wireguard tcp '[2001:db8::1]:443'
check_status 'no IPv6 in the kernel: it holds' 1 probe wireguard icmp 203.0.113.7 --timeout 200
check 'no IPv6 in the kernel: detach' without_ipv6 detach wireguard
