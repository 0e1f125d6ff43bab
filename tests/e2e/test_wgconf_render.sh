#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# wgconf render: what it writes, wg-quick takes. After up and down, routes, rules and both iptables are
# as they were; between, the LAN answers, the tunnel carries, and nothing leaks, with the tunnel up or
# down, by the rendered iptables rules and by a guard beside rendered routes.
# time-limit: 300

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"
# shellcheck source=tests/e2e/quick.sh
. "$(dirname "$0")/quick.sh"

SHAPES=$BED_SOURCE/tests/unit/golden/wgconf/shape

# Everything that hooks may leave behind. Empty base chains are no rules.
in_kernel() {
	local family tool
	for family in -4 -6; do
		ip -n wireguard "$family" route show table all | grep -v '^\(local\|broadcast\|anycast\|multicast\) ' |
			sed 's/ pref medium//' | sort
		ip -n wireguard "$family" rule
	done
	for tool in iptables-legacy-save ip6tables-legacy-save iptables-nft-save ip6tables-nft-save; do
		in_ns wireguard "$tool" 2>/dev/null | grep -E '^(-A|:.* -)' | sed "s/^/$tool /" || true
	done
	in_ns wireguard nft list tables | grep wg-quick || true
}

# own FILE: with the keys of this bed and its server, which must not be called by a name.
own() {
	sed -E -e "s|^(private *key *= *).*|\1$(cat "$BED/client.key")\r|I; s|^(public *key *= *).*|\1$(cat "$BED/server.pub")\r|I" \
		-e 's/^(endpoint *= *)[a-z].*/\1203.0.113.9:51820\r/I' -e 's/\r*$//' "$1"
}

render() { # FILE [OPTION]...: into wg0.conf
	local file=$1
	shift
	mkdir -p "$BED/source" # the interface is called as the file is
	own "$file" >"$BED/source/wg0.conf"
	(umask 077 && "$EG" wgconf render "$@" "$BED/source/wg0.conf" >"$BED/wg0.conf")
}

bed_up
tunnel_server_up
before=$(in_kernel)

# --- each shape ----------------------------------------------------------------------------------

for file in "$SHAPES"/*.conf; do
	name=$(basename "$file" .conf)
	case $name in
	# what the hooks of the first two do is for them to say; the scripts of the others are not here
	table-off | named-interface-drop | nft-script | removal-of-the-unseen | restored-rules) continue ;;
	esac
	if [ -e "${file%.conf}.refused" ]; then
		check_status "$name: refused" 2 render "$file"
		continue
	fi
	for kill in iptables egressguard both; do
		check "$name: render for $kill" render "$file" --kill-switch "$kill"
		check_equal "$name, $kill: check finds no error" "$("$EG" wgconf check --json "$BED/wg0.conf" | jq .errors)" 0
		check "$name, $kill: once more changes nothing" \
			cmp "$BED/wg0.conf" <("$EG" wgconf render --kill-switch "$kill" "$BED/wg0.conf")
	done
	check "$name: wg-quick up" quick up
	check "$name: wg-quick down" quick down
	check_equal "$name: nothing stays behind" "$(in_kernel | diff - <(echo "$before"))" ''
done

# --- leaks ---------------------------------------------------------------------------------------

# By what does not know of tunnels, by what is bound to eth0, with a forged mark, to the tunnel's
# resolver, and by what there is of IPv6.
battery() {
	probe wireguard udp 203.0.113.7:443 --timeout 50 || true
	probe wireguard tcp 203.0.113.7:443 --timeout 50 || true
	probe wireguard udp '[2001:db8:7::7]:443' --timeout 50 || true
	probe wireguard udp 203.0.113.7:443 --bind eth0 --timeout 50 || true
	probe wireguard udp '[2001:db8:7::7]:443' --bind eth0 --timeout 50 || true
	probe wireguard udp 203.0.113.7:443 --mark "$BED_WG_PORT" --timeout 50 || true
	probe wireguard udp '[2001:db8:7::7]:443' --mark "$BED_WG_PORT" --timeout 50 || true
	probe wireguard icmp 203.0.113.7 --timeout 50 || true
	probe wireguard udp 10.13.13.1:53 --bind eth0 --timeout 50 || true
	probe wireguard udp 10.13.13.1:53 --timeout 50 || true
}

packet() {
	probe wireguard packet 203.0.113.7:443 --interface eth0 --mac "$BED_HOST_MAC" || true
}

carries() {
	probe wireguard tcp 203.0.113.7:443 --timeout 1000 | matches '^answer: from 10.13.13.2 ' &&
		probe wireguard udp '[2001:db8:7::7]:443' --timeout 1000 | matches '^answer: from fd13::2 '
}

lan_answers() {
	probe wireguard tcp 192.168.1.10:80 --timeout 1000 | matches '^answer: from 172.18.0.2 '
}

resolver_answers() {
	probe wireguard udp 10.13.13.1:53 --timeout 1000 | matches '^answer: from 10.13.13.2 '
}

# battery_is_held NAME: seen from the internet and, for the resolver, from the host, whose bridge is the
# way to the LAN.
battery_is_held() {
	capture_start held internet host0
	capture_start dns host br0 'host 10.13.13.1'
	battery >/dev/null
	capture_stop held
	capture_stop dns
	check_no_leak "$1: nothing leaves in the clear" held
	check_equal "$1: nothing asks the tunnel's resolver past it" "$(capture_count dns)" 0
}

# The LAN is reached by the rendered routes alone.
ip -n wireguard route del 192.168.1.0/24
cat >"$BED/plain.conf" <<-EOF2
	[Interface]
	PrivateKey = x
	Address = 10.13.13.2/32, fd13::2/128
	DNS = 10.13.13.1

	[Peer]
	PublicKey = x
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = $BED_ENDPOINT
EOF2
own "$BED/plain.conf" >"$BED/wg0.conf"
chmod 600 "$BED/wg0.conf"

check 'as the provider has it: wg-quick up' quick up
check 'as the provider has it: the tunnel carries' wait_until 10 carries
check_status 'as the provider has it: the LAN does not answer' 1 lan_answers
capture_start control internet host0
battery >/dev/null
capture_stop control
check_leaks 'as the provider has it: it leaks' control
ip -n wireguard link set wg0 down
capture_start control internet host0
battery >/dev/null
capture_stop control
check_leaks 'as the provider has it, and down: it leaks' control
ip -n wireguard link set wg0 up
check 'as the provider has it: wg-quick down' quick down

for kill in iptables egressguard; do
	check "$kill: render" render "$BED/plain.conf" --kill-switch "$kill"
	if [ "$kill" = egressguard ]; then
		check "$kill: attach" eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
		battery_is_held "$kill, before wg-quick up"
	fi
	check "$kill: wg-quick up" quick up
	check "$kill: the tunnel carries" wait_until 10 carries
	check "$kill: the LAN answers" lan_answers
	check "$kill: the tunnel's resolver answers" resolver_answers
	battery_is_held "$kill, the tunnel up"
	ip -n wireguard link set wg0 down
	battery_is_held "$kill, the tunnel down"
	check "$kill, the tunnel down: the LAN answers" lan_answers
	ip -n wireguard link delete wg0
	wait_until 10 is_tidy
	battery_is_held "$kill, the tunnel gone"
	check "$kill: wg-quick up finds what is left of one before" quick up
	check "$kill: and the tunnel carries" wait_until 10 carries
	battery_is_held "$kill, up once more"
	capture_start packet internet host0
	packet >/dev/null
	capture_stop packet
	if [ "$kill" = egressguard ]; then
		check_no_leak "$kill: a packet socket does not get past it" packet
	else
		check_leaks "$kill: a packet socket gets past it, as the manual says" packet
	fi
	check "$kill: wg-quick down" quick down
	check_equal "$kill: no rule stays behind" "$(in_kernel | grep -c EGRESSGUARD)" 0
	[ "$kill" = iptables ] || battery_is_held "$kill, after wg-quick down"
done

# A hook that fails takes the tunnel away again, and leaves the kill switch closed.
render "$BED/plain.conf"
sed -i 's/^PostUp = via=.*/PostUp = false/' "$BED/wg0.conf"
check 'a guard no more' eg detach wireguard
check_status 'a hook that fails: wg-quick up fails' 1 quick up
wait_until 10 is_tidy
battery_is_held 'a hook that fails'
