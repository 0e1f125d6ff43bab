#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Datagrams that the kernel chains to one packet when it receives them (fraglist GRO): what root inside
# forwards like that keeps, behind the first one's headers, the headers of all the others, and where
# the chain is cut some kernels bring them out as they came. So no chain passes a guard, wherever its
# first one goes.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CHAINS=5
PUBLIC='dst 203.0.113.7 or dst 2001:db8:7::7'
SENT='udp port 5001'
WHOLE="$SENT and (udp[4:2] > 200 or ip6[44:2] > 200)" # eight datagrams of 100 bytes

# To a public address, all of them; the first one of each chain is rewritten to a host of the LAN's.
inside_up() {
	bed_sysctl wireguard ipv4/ip_forward=1 ipv6/conf/all/forwarding=1
	in_ns wireguard nft -f - <<-'EOT'
		table ip chained { chain c { type filter hook prerouting priority raw
			iifname "tun0" ip daddr 203.0.113.7 ip daddr set 192.168.1.10; }; }
		table ip6 chained { chain c { type filter hook prerouting priority raw
			iifname "tun0" ip6 daddr 2001:db8:7::7 ip6 daddr set fd00:1::10; }; }
	EOT
}

# send FAMILY: what came out of eth0 is in the capture `out`. How long datagrams wait for others to
# come is a file in a /sys of the namespace's own.
send() {
	local source=172.18.0.77 public=203.0.113.7
	[ "$1" = 4 ] || source=fd00:18::77 public=2001:db8:7::7
	capture_start out host veth-wg
	ip netns exec wireguard \
		python3 "$BED_SOURCE/tests/e2e/chained.py" tun0 "$source" "$public" "$CHAINS" >"$BED/sent" 2>&1
	capture_stop out
}

# Since the last call.
chains_dropped() {
	guard_counted wireguard dropped >"$BED/counted"
	grep -q malformed "$BED/counted"
}

# At `device`, which is on its sender's way: nothing to wait for.
segments_passed() {
	guard_counted wireguard allowed >"$BED/counted"
	grep -q -x 'device lan 8' "$BED/counted"
}

bed_up
inside_up
for family in 4 6; do
	send "$family"
	kept=$(capture_count out "$PUBLIC") whole=$(capture_count out "$WHOLE")
	check "IPv$family, no guard: they leave" test "$(capture_count out "$SENT")" -gt 0
	# Linux 5.10 cuts them before a veth; there a stable release makes IPv4's datagrams what the first is.
	if [ "$family${EG_VM:-}" != 45.10 ]; then
		check "IPv$family, no guard: as a chain, or to a public address" test $((kept + whole)) -gt 0
	fi
	echo "# IPv$family, no guard: $whole chains, $kept to a public address"
done
check 'attach' eg attach --netns wireguard --dns lan --endpoint "$BED_ENDPOINT"
guard_counted wireguard dropped >/dev/null
for family in 4 6; do
	send "$family"
	check_equal "IPv$family: none leaves to a public address" "$(capture_count out "$PUBLIC")" 0
	check "IPv$family: the chains are dropped" chains_dropped
	check_equal "IPv$family: no chain leaves" "$(capture_count out "$WHOLE")" 0
done
# What is cut because its sender wants it so is no chain.
guard_counted wireguard dropped >/dev/null
probe wireguard udp 192.168.1.10:5002 --size 800 --segment 100 --timeout 200 >/dev/null 2>&1 || true
check 'segments of a socket: they pass' segments_passed
check 'detach' eg detach wireguard
