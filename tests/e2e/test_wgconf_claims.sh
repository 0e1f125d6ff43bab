#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What wgconf check says of wg-quick is so: each mistake, made with the real wg-quick, has the effect
# that the finding names.
# time-limit: 240

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"
# shellcheck source=tests/e2e/quick.sh
. "$(dirname "$0")/quick.sh"

quick() { # up | down
	in_ns wireguard wg-quick "$1" "$BED/wg0.conf"
}

# down by hand, whatever wg-quick has left
clear_up() {
	local family
	ip -n wireguard link delete wg0 2>/dev/null || true
	wait_until 10 is_tidy
	for family in -4 -6; do
		ip -n wireguard "$family" rule flush
		ip -n wireguard "$family" rule add pref 32766 table main
		ip -n wireguard "$family" route flush table 51820 2>/dev/null || true
		ip -n wireguard "$family" route flush table 200 2>/dev/null || true
	done
	ip -n wireguard route flush 10.0.0.0/8
	ip -n wireguard route flush root 192.168.0.0/16
	in_ns wireguard nft flush ruleset
}

# conf HOOKS [ALLOWED] [HEAD] [TAIL]
conf() {
	(umask 077 && cat >"$BED/wg0.conf") <<-EOF2
		${3:-[Interface]}
		PrivateKey = $(cat "$BED/client.key")
		Address = 10.13.13.2/32
		$1

		[Peer]
		PublicKey = $(cat "$BED/server.pub")
		AllowedIPs = ${2:-0.0.0.0/0}
		Endpoint = $BED_ENDPOINT
		${4:-}
	EOF2
}

finds() { # ID: the check finds it in the file
	{ "$EG" wgconf check --json "$BED/wg0.conf" || true; } | jq -e --arg id "$1" 'any(.findings[]; .id == $id)' >/dev/null
}

# claim ID NAME COMMAND...: the check finds it, and the command, run after it, tells that it is so.
claim() {
	local id=$1 name=$2
	shift 2
	check "$id: found where $name" finds "$id"
	check "$id: so it is: $name" "$@"
	clear_up >/dev/null 2>&1
}

up_fails() { # PATTERN: and says so
	! quick up >"$BED/up.out" 2>&1 && grep -q -- "$1" "$BED/up.out" && wait_until 10 is_tidy
}

# Straight, and not by way of the tunnel's other end.
lan_answers() {
	probe wireguard tcp 192.168.1.10:80 --timeout 500 | matches '^answer: from 172.18.0.2 '
}

bed_up
tunnel_server_up
ip -n wireguard route del 192.168.1.0/24

# --- the format ----------------------------------------------------------------------------------

conf $'PostUp = true; \\\n  ip route show'
claim multi-line-hook 'a backslash ends the line' up_fails 'Line unrecognized'
conf $'PostUp = echo "a\nMTU = 1420'
claim multi-line-hook 'a quote is left open' up_fails 'unexpected EOF'
conf $'PostUp = true;\n    ip route show'
claim multi-line-hook 'the next line is indented' up_fails 'Line unrecognized'
conf 'PostUp = true ; ; true'
claim hook-syntax 'two semicolons' up_fails 'syntax error'
conf 'PostUp = true &&'
claim hook-syntax 'nothing behind the last' up_fails 'syntax error'
conf "PostUp = echo \"a #b\""
claim hash-in-hook 'the quote is cut' up_fails 'unexpected EOF'
conf $'PostUp = test "$(echo x#y)" = x#y' '' '' 
claim hash-in-hook 'the word is cut' up_fails ''
conf '' '' $'\xef\xbb\xbf[Interface]'
claim byte-order-mark 'there is one' up_fails 'Line unrecognized'
conf '' '' '[ Interface ]'
claim unknown-line 'the section has blanks' up_fails 'Line unrecognized'
conf 'Adress = 10.0.0.1'
claim unknown-line 'the key is misspelt' up_fails 'Line unrecognized'
conf '' '' '' 'PostUp = true'
claim wrong-section 'a hook is in [Peer]' up_fails 'Line unrecognized'
conf '' '0.0.0.0/0 ::/0'
claim wrong-value 'AllowedIPs have no comma' up_fails 'AllowedIP'
conf '' '0.0.0.0/0,'
claim wrong-value 'a comma has nothing behind it' up_fails 'Unable to parse'
conf '' '' '' 'PresharedKey ='
claim wrong-value 'a key of wg has no value' up_fails 'Line unrecognized'

comment_is_lost() {
	quick up && quick down && ! grep -q '# mine' "$BED/wg0.conf"
}
conf $'SaveConfig = true\n# mine'
claim save-config 'it is on' comment_is_lost

# --- hooks ---------------------------------------------------------------------------------------

second_start_fails() {
	quick up && ip -n wireguard link delete wg0 && wait_until 10 is_tidy && up_fails 'File exists'
}
conf 'PostUp = ip route add 10.0.0.0/8 via 172.18.0.1'
claim route-add 'the route is there already' second_start_fails

down_stops() { # PATTERN: before it removes the interface
	quick up && ! quick down >"$BED/down.out" 2>&1 && grep -q -- "$1" "$BED/down.out" &&
		! bed_no_link wireguard wg0
}
conf 'PreDown = iptables -D OUTPUT -o wg9 -j ACCEPT'
claim never-added 'a rule is taken away that is not there' down_stops iptables
conf $'PostUp = GW=172.18.0.1; ip route add 10.0.0.0/8 via $GW\nPreDown = ip route del 10.0.0.0/8 via $GW'
claim variable-lost 'PreDown uses what PostUp has set' down_stops 'not complete\|rror'
conf $'PostUp = ip route replace 10.0.0.0/8 via 172.18.0.1 dev eth0\nPreDown = ip route del 10.0.0.0/8 dev lo'
claim never-added 'another device' down_stops 'No such process'
comes_down() {
	quick up && quick down && wait_until 10 is_tidy && ! ip -n wireguard rule | grep '^100:' >/dev/null
}
conf $'PostUp = ip rule add to 100.64.0.0/10 lookup main priority 100; ip route replace 10.64.0.1 dev %i\nPreDown = ip rule del pref 100; ip route del 10.64.0.1 dev %i'
check_status 'never-added: not found of a rule that is named by its priority' 1 finds never-added
check 'never-added: so it is: it comes down' comes_down
clear_up >/dev/null 2>&1
for rule in '! -d 10.0.0.0/8,192.168.0.0/16 -j DROP' '-i eth0 -j DROP' '-d fd00::/8 -j DROP' '--mark 1 -j DROP' '--dport 25 -j DROP' \
	'--dst-type LOCAL -j DROP' '--ctstate NEW -j DROP'; do
	conf "PostUp = iptables -A OUTPUT $rule"
	claim rule-refused "$rule" up_fails iptables
done
twice() {
	quick up && quick down && quick up && [ "$(in_ns wireguard iptables -S OUTPUT | grep -c 'wg9')" = 2 ]
}
conf 'PostUp = iptables -A OUTPUT -o wg9 -j DROP'
claim not-removed 'up, down and up' twice
other_backend() {
	! { quick up && quick down; } >/dev/null 2>&1 && in_ns wireguard iptables-nft -S OUTPUT | matches wg9
}
conf $'PostUp = iptables-nft -A OUTPUT -o wg9 -j DROP\nPreDown = iptables-legacy -D OUTPUT -o wg9 -j DROP'
claim wrong-backend 'nft adds and legacy removes' other_backend

# --- tables --------------------------------------------------------------------------------------

next_table() {
	ip -n wireguard route add 198.51.100.0/24 via 172.18.0.1 table 51820
	quick up && [ "$(in_ns wireguard wg show wg0 fwmark)" = 0xca6d ]
}
conf $'PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1 table 51820'
claim table-by-hand 'the table is taken' next_table

lan_is_lost() {
	quick up && ! lan_answers
}
lan_is_there() {
	quick up && lan_answers
}
conf ''
claim lan-not-excluded 'there is no route' lan_is_lost
conf 'PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1'
claim lan-one-table 'the main table alone' lan_is_there
conf "PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1 table \$(wg show %i fwmark)"
claim gateway-in-tunnel "in the tunnel's table alone, without a device" lan_is_lost
conf "PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1 dev eth0 table \$(wg show %i fwmark)"
claim lan-one-table "the tunnel's table alone, with a device" lan_is_there
number=$'Table = 200\nFwMark = 51820\nPostUp = ip rule add not fwmark 51820 table 200'
conf "$number"$'\nPostUp = ip route replace 192.168.0.0/16 via 172.18.0.1'
claim lan-wrong-table 'no rule suppresses the prefix length' lan_is_lost
conf "$number"$'; ip rule add table main suppress_prefixlength 0\nPostUp = ip route replace 192.168.0.0/16 via 172.18.0.1'
claim lan-one-table 'a rule of its own does' lan_is_there
conf $'Table = 200\nFwMark = 51820\nPostUp = ip rule add table main suppress_prefixlength 0; ip rule add not fwmark 51820 table 200\nPostUp = ip route replace 192.168.0.0/16 via 172.18.0.1'
claim lan-wrong-table 'the rule that suppresses is asked too late' lan_is_lost
conf $'Table = 200\nFwMark = 51820\nPostUp = ip rule add table main suppress_prefixlength 0 priority 100; ip rule add not fwmark 51820 table 200 pref 200\nPostUp = ip route replace 192.168.0.0/16 via 172.18.0.1'
claim lan-one-table 'it is asked before by its priority' lan_is_there
conf "PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1 table 51820" '0.0.0.0/1, 128.0.0.0/1'
claim lan-wrong-table 'there is no default route' lan_is_lost

nobody_asks() {
	quick up && [ "$(ip -n wireguard route get 203.0.113.7 | grep -c 'dev eth0')" = 1 ]
}
conf 'Table = 200'
claim table-unused 'no rule looks there' nobody_asks
conf 'Table = off'
claim table-off 'no hook routes' nobody_asks

no_handshake() {
	quick up && probe wireguard udp 203.0.113.7:443 --timeout 500 >/dev/null
	[ "$(in_ns wireguard wg show wg0 latest-handshakes | cut -f 2)" = 0 ]
}
conf '' '0.0.0.0/1, 128.0.0.0/1'
claim endpoint-in-tunnel 'there is no mark' no_handshake

resolver_is_past_it() {
	quick up && ip -n wireguard route get 10.64.0.1 | matches 'dev eth0'
}
conf $'DNS = 10.64.0.1\nPostUp = ip route replace 10.0.0.0/8 via 172.18.0.1'
claim dns-in-lan "the provider's resolver looks like LAN" resolver_is_past_it

# --- kill switches -------------------------------------------------------------------------------

conf "PostUp = iptables -A OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -j REJECT" '0.0.0.0/1, 128.0.0.0/1'
claim kill-switch-no-mark 'there is no default route' up_fails mark
early() {
	quick up && ! lan_answers
}
conf $'PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1\nPostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT; iptables -A OUTPUT -d 192.168.0.0/16 -j ACCEPT'
claim kill-switch-early 'the accept comes behind' early
conf $'PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1\nPostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT'
claim lan-not-accepted 'there is no accept' early

tunnel_is_dead() {
	quick up && ! probe wireguard tcp 203.0.113.7:443 --timeout 500 | matches '^answer:'
}
for rule in '! -o eth0 -j DROP' '-o %i -j DROP' '-o wg+ -j REJECT' '! -o lo -j DROP'; do
	conf "PostUp = iptables -A OUTPUT $rule"
	claim kill-switch-blocks-tunnel "$rule" tunnel_is_dead
done
loopback_is_dead() {
	quick up && ! in_ns wireguard ping -c 1 -W 1 127.0.0.1 >/dev/null
}
conf "PostUp = iptables -A OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -j REJECT"
claim loopback-blocked 'nothing accepts it' loopback_is_dead

ipv6_leaves() {
	quick up || return
	capture_start six internet host0
	probe wireguard udp '[2001:db8:7::7]:443' --timeout 100 >/dev/null || true
	capture_stop six
	[ "$(leaks six)" -gt 0 ]
}
conf "PostUp = iptables -A OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -j REJECT"
claim ipv6-bypass 'AllowedIPs are IPv4 alone' ipv6_leaves

# --- IPv6 that is off ----------------------------------------------------------------------------

# IPv6 that is off fails wg-quick before any hook has run.
with_ipv6() { # HOOK
	conf "Address = fd13::2/128"$'\n'"$1"
}
before_any_hook() {
	rm -f "$BED/hook-ran"
	up_fails 'ermission denied\|IPv6 is disabled' && [ ! -e "$BED/hook-ran" ]
}
ipv6_off_again() {
	in_ns wireguard sysctl -q -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
}
with_ipv6 "PreUp = sysctl -q -w net.ipv6.conf.all.disable_ipv6=1"$'\n'"PostUp = touch $BED/hook-ran"
claim ipv6-off 'PreUp switches it off' before_any_hook
ipv6_off_again
with_ipv6 "PreUp = echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"$'\n'"PostUp = touch $BED/hook-ran"
claim ipv6-off 'PreUp writes it' before_any_hook
ipv6_off_again
with_ipv6 "PostUp = touch $BED/hook-ran"
in_ns wireguard sysctl -q -w net.ipv6.conf.all.disable_ipv6=1
start_in wireguard inside sleep 60
finds_by_root() {
	{ "$EG" wgconf check --root "/proc/$1/root" --json "$BED/wg0.conf" || true; } | jq -e 'any(.findings[]; .id == "ipv6-off")' >/dev/null
}
check 'ipv6-off: found by --root of a process' wait_until 10 finds_by_root "${BED_PIDS[inside]}"
stop inside
check 'ipv6-off: so it is: off already' before_any_hook
clear_up >/dev/null 2>&1
ipv6_off_again
start_in wireguard inside sleep 60
is_in() {
	[ "$(readlink "/proc/$1/ns/net")" = "$(in_ns wireguard readlink /proc/self/ns/net)" ]
}
check 'IPv6 is on again' wait_until 10 is_in "${BED_PIDS[inside]}"
check_status 'ipv6-off: not found where it is on' 1 finds_by_root "${BED_PIDS[inside]}"
