#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# wg-quick, with the kill switch of its manual in wg0.conf, beside the guard: both work, and what the
# kill switch lets out, or cannot hold back because it is not there, the guard holds.
# time-limit: 240

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "$0")/wireguard.sh"

# shellcheck source=tests/e2e/quick.sh
. "$(dirname "$0")/quick.sh"

write_conf() {
	bed_keys
	(umask 077 && cat >"$BED/wg0.conf") <<-EOF
		[Interface]
		PrivateKey = $(cat "$BED/client.key")
		Address = 10.13.13.2/32, fd13::2/128
		DNS = 10.13.13.1
		PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT && ip6tables -I OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT
		PreDown = iptables -D OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT && ip6tables -D OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT

		[Peer]
		PublicKey = $(cat "$BED/server.pub")
		AllowedIPs = 0.0.0.0/0, ::/0
		Endpoint = $BED_ENDPOINT
	EOF
}

# rules: how many of wg-quick's are there: of the kill switch, of its own, and those that choose routes.
rules() {
	echo "$({ in_ns wireguard iptables -S OUTPUT; in_ns wireguard ip6tables -S OUTPUT; } | grep -c REJECT)" \
		"$(in_ns wireguard nft list tables | grep -c 'wg-quick-wg0')" \
		"$({ ip -n wireguard -4 rule; ip -n wireguard -6 rule; } | grep -c 'not from all fwmark')"
}

carries() {
	probe wireguard tcp 203.0.113.7:443 --timeout 1000 | matches '^answer: from 10.13.13.2 ' &&
		probe wireguard udp '[2001:db8:7::7]:443' --timeout 1000 | matches '^answer: from fd13::2 '
}

# What an application sends that does not know of tunnels; and what one does that has CAP_NET_RAW.
ordinary() {
	probe wireguard udp 203.0.113.7:443 --timeout 50 || true
	probe wireguard udp '[2001:db8:7::7]:443' --timeout 50 || true
}
bound() {
	probe wireguard udp 203.0.113.7:443 --bind eth0 --timeout 50 || true
}
forged() {
	probe wireguard udp 203.0.113.7:443 --mark "$BED_WG_PORT" --timeout 50 || true
	probe wireguard udp '[2001:db8:7::7]:443' --mark "$BED_WG_PORT" --timeout 50 || true
	probe wireguard packet 203.0.113.7:443 --interface eth0 --mac "$BED_HOST_MAC" || true
}

# dropped COMMAND: what the guard drops of it, a line for each layer and reason.
dropped() {
	guard_counted wireguard >/dev/null
	"$@" >/dev/null
	guard_counted wireguard dropped | paste -sd,
}

bed_up
tunnel_server_up
write_conf

# --- without a guard -----------------------------------------------------------------------------

check 'no guard: wg-quick up' quick up
check 'no guard: carries' wait_until 10 carries
check_equal 'no guard: the rules are there' "$(rules)" '2 2 2'
capture_start control internet host0
bound >/dev/null
capture_stop control
check_no_leak 'no guard: the kill switch holds what is bound to eth0' control
capture_start control internet host0
forged >/dev/null
capture_stop control
check_equal 'no guard: it lets out what has its mark, and packet sockets' "$(capture_count control 'udp and dst port 443')" 3
check 'no guard: wg-quick down' quick down
capture_start control internet host0
ordinary >/dev/null
capture_stop control
check_leaks 'no guard: after wg-quick down everything leaves' control

# --- beside a guard --------------------------------------------------------------------------------

check 'attach --wg-conf before there is a tunnel' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
check_equal 'it has the endpoint and the DNS servers of the configuration' "$(eg status wireguard --json |
	jq -r '.guards[0] | [.state, .endpoints[], .dns] | join(" ")')" "enforcing $BED_ENDPOINT tunnel"
capture_start guarded internet host0
check_equal 'before wg-quick up: the guard holds' "$(dropped ordinary)" 'device public 2'
check 'wg-quick up' quick up
check 'carries' wait_until 10 carries
check_equal 'the rules are there' "$(rules)" '2 2 2'
check_equal 'the kill switch refuses before the guard sees it' "$(dropped bound)" ''
check_equal 'what gets past the kill switch does not get past the guard' "$(dropped forged)" \
	'device public 3'
check 'wg-quick down' quick down
check_equal 'wg-quick down: its rules are gone' "$(rules)" '0 0 0'
check_equal 'wg-quick down: the guard holds' "$(dropped ordinary)" 'device public 2'
check 'wg-quick up again, without another attach' quick up
check 'carries again' wait_until 10 carries
capture_stop guarded
check_no_leak 'all the time, nothing left in the clear' guarded
check "the capture saw WireGuard's packets" test "$(capture_count guarded "$mine and udp port $BED_WG_PORT")" -gt 0
check_equal 'the guard saw no attempt to get past it' "$(eg status wireguard --json |
	jq '.guards[0].counters.bypass_attempts')" 0
