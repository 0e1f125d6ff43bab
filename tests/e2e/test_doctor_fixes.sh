#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: what is wrong with the tunnel as a whole, its file, or the namespace: named first, and mended by
# what is pasted.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

# --- the file, and the interface -------------------------------------------------------------------------

# What is touched in the second in which the tunnel was made may be older than that.
is_stale() {
	touch "$BED/wg0.conf"
	found >/dev/null
	has stale-conf
}
check 'a file that is edited' wait_until 10 is_stale
heals 'a file that was edited' stale-conf
check 'it is edited again' wait_until 10 is_stale
ip -n wireguard rule del not fwmark 51820 table 51820
heals 'a file that was touched, and a rule that is missing' rule-missing
quick down >/dev/null 2>&1
heals 'no wg0' no-tunnel
quick down >/dev/null 2>&1
ip -n wireguard link add wg0 type veth peer name wg0-other
ip -n wireguard link set wg0 up
heals 'a veth of that name' not-wireguard
quick down >/dev/null 2>&1
cp -p "$BED/wg0.conf" "$BED/good.conf"
sed -i '/^\[Peer\]/i PostUp = iptables -A OUTPUT -d 10.99.0.0/16 \\\n  -j ACCEPT\n' "$BED/wg0.conf"
check_status 'a PostUp of two lines: wg-quick refuses' 1 quick up
names_first 'it is the cause' no-tunnel
check 'by its line' grep -q 'wg-quick stops at line [0-9]' <<<"$(jq -r '.findings[0].what' "$BED/doctor.json")"
heals 'the same' no-tunnel
quick down >/dev/null 2>&1
cp -p "$BED/good.conf" "$BED/wg0.conf"
sed -i '/^\[Peer\]/i PostUp = ip route add 172.18.0.0/16 via 172.18.0.1 dev eth0 metric 0\n' "$BED/wg0.conf"
ip -n wireguard route add 172.18.0.0/16 via 172.18.0.1 dev eth0 2>/dev/null || true
check_status 'a PostUp that adds a route which is there: wg-quick fails' 2 quick up
heals 'the same' no-tunnel
quick down >/dev/null 2>&1
cp -p "$BED/good.conf" "$BED/wg0.conf"
for change in 's|^Address|Table = off\nAddress|' 's|^AllowedIPs.*|AllowedIPs = 10.13.13.0/24|'; do
	sed "$change" "$BED/source.conf" >"$BED/wg0.conf"
	check "$change: wg-quick up" quick up
	eg attach --netns wireguard --wg-conf "$BED/wg0.conf" >"$BED/attach.out" 2>&1 || cat "$BED/attach.out"
	heals 'the same' not-in-tunnel
	eg detach wireguard >/dev/null
	quick down >/dev/null 2>&1
done
cp -p "$BED/good.conf" "$BED/wg0.conf"
bed_sysctl wireguard ipv6/conf/all/disable_ipv6=1 ipv6/conf/default/disable_ipv6=1
check_status 'no IPv6: wg-quick fails' 2 quick up
heals 'no IPv6' no-tunnel

# --- the namespace ---------------------------------------------------------------------------------------

ip netns add alone
ip -n alone link set lo up
start_in alone stranded sleep 600
doctor_of() {
	local status=0
	in_ns host "$EG" doctor --pin-dir "$EG_PIN_DIR" --json "$@" >"$BED/doctor.json" || status=$?
	echo "$status" "$(jq -r '[.findings[].id] | join(" ")' "$BED/doctor.json")"
}
check_equal 'nothing but lo' "$(doctor_of --netns alone)" '1 stranded'
check_equal 'no word of routes' "$(jq -r '[.checks[].name] | join(" ")' "$BED/doctor.json")" containers
check 'it says so' grep -q 'no interface but lo' <<<"$(jq -r '.findings[0].what' "$BED/doctor.json")"
ip netns delete alone

# This machine's resolv.conf is not that of a namespace with a name.
doctor_of --netns wireguard >/dev/null
stop container
check 'a namespace without a resolv.conf: it cannot tell' [ "$(doctor_of --netns wireguard --conf "$BED/wg0.conf")" = '0 no-guard' ]
check_equal 'nor does it judge ours' "$(jq -r '.checks[] | select(.name == "dns") | .state' "$BED/doctor.json")" 'cannot tell'
mkdir "$BED/etc-netns"
mkdir -p /etc/netns
mount --bind "$BED/etc-netns" /etc/netns
mkdir /etc/netns/wireguard
echo 'nameserver 192.168.1.10' >/etc/netns/wireguard/resolv.conf
check_equal 'that of /etc/netns is it' "$(doctor_of --netns wireguard --conf "$BED/wg0.conf")" '1 dns-outside no-guard'
echo 'nameserver 10.13.13.53' >/etc/netns/wireguard/resolv.conf
check_equal 'and right' "$(doctor_of --netns wireguard --conf "$BED/wg0.conf")" '0 no-guard'

# --- curl's word -----------------------------------------------------------------------------------------

check_status 'what curl said of a port that leads nobody knows where' 2 \
	in_ns host "$EG" doctor --netns wireguard --host-port 8080=28
check_equal 'with where it leads' \
	"$(doctor_of --netns wireguard --conf "$BED/wg0.conf" --host-port 8080=28 --port 8080:8081)" '1 port-silent no-guard'
