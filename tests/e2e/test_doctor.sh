#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: a pattern that wg-quick made of a rendered wg0.conf has nothing wrong; then each failure of its
# routes, rules, names and files is made for real, and is named first.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

check_equal 'iptables alone: nothing is wrong, and there is no guard' "$(found --port 8081:8081)" '0 no-guard'
before=$(ip -n wireguard route show table all; ip -n wireguard rule; in_ns wireguard nft --stateless list ruleset)
check 'attach' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
healthy 'with a guard' --port 8081:8081
check_equal 'and nothing changed' \
	"$(ip -n wireguard route show table all; ip -n wireguard rule; in_ns wireguard nft --stateless list ruleset)" "$before"
doctor --port 8081:8081 >"$BED/doctor.txt"
check 'for people: it says so' grep -q 'nothing is wrong' "$BED/doctor.txt"
check 'the answers from outside are told' grep -q '8081 answers' "$BED/doctor.txt"

# --- routes and rules ------------------------------------------------------------------------------

# A route less, and there again.
without_route() { # NAME ID TABLE PREFIX
	local line
	line=$(ip -n wireguard route show table "$3" "$4" | head -n 1)
	# shellcheck disable=SC2086 # words
	ip -n wireguard route del table "$3" $line
	names_first "$1" "$2"
	# shellcheck disable=SC2086
	ip -n wireguard route add table "$3" $line
}

# Where it was: wg-quick's two have an order.
put_rule_back() {
	ip -n wireguard rule add not fwmark 51820 table 51820 priority "${rule%%:*}"
}

without_route 'a LAN route less' lan-route-missing main 192.168.0.0/16
without_route 'a LAN route less in the table' lan-route-missing 51820 10.0.0.0/8
without_route 'no default route into the tunnel' tunnel-route-missing 51820 default

line=$(ip -n wireguard route show table 51820 192.168.0.0/16 | head -n 1)
# shellcheck disable=SC2086
ip -n wireguard route del table 51820 $line
ip -n wireguard route add 192.168.0.0/16 via 172.18.0.1 table 51820
names_first 'the published advice, without a device' gateway-in-tunnel
ip -n wireguard route del 192.168.0.0/16 table 51820
# shellcheck disable=SC2086
ip -n wireguard route add table 51820 $line

rule=$(ip -n wireguard rule | grep 'not from all fwmark')
ip -n wireguard rule del not fwmark 51820 table 51820
names_first "the tunnel's rule is missing" rule-missing
put_rule_back
ip -n wireguard rule del table main suppress_prefixlength 0
ip -n wireguard rule add table main suppress_prefixlength 0 priority 32765
names_first 'the rule for the main table comes too late' rule-missing
ip -n wireguard rule del table main suppress_prefixlength 0
names_first 'it is missing' rule-missing
check 'wg-quick down and up puts it right' again
healthy 'up again'

# --- what holds --------------------------------------------------------------------------------------

eg detach wireguard >/dev/null
in_ns wireguard iptables -I OUTPUT -d 192.168.0.0/16 -j DROP
names_first 'a rule that drops the LAN' lan-blocked
in_ns wireguard iptables -D OUTPUT -d 192.168.0.0/16 -j DROP

other=iptables-legacy
[ "$(in_ns wireguard iptables -V | grep -c legacy)" = 0 ] || other=iptables-nft
in_ns wireguard "$other" -A OUTPUT ! -o wg0 -d 192.168.0.0/16 -j DROP
names_first 'iptables in the other backend' both-backends
in_ns wireguard "$other" -F OUTPUT

saved=$(in_ns wireguard ip6tables-save)
in_ns wireguard ip6tables -F OUTPUT
names_first 'the kill switch for IPv6 is gone' kill-switch-missing
in_ns wireguard ip6tables-restore <<<"$saved"

rule=$(ip -n wireguard rule | grep 'not from all fwmark')
ip -n wireguard rule del not fwmark 51820 table 51820
names_first 'a rule is missing, and the kill switch holds' rule-missing
check_status 'it does not say that anything leaves' 1 has leaves-in-clear
saved=$(in_ns wireguard iptables-save)
in_ns wireguard iptables -F OUTPUT
names_first 'a rule is missing, and nothing holds' rule-missing
check 'it says that it leaves in the clear' has leaves-in-clear
in_ns wireguard iptables-restore <<<"$saved"
put_rule_back

check 'attach, to watch' eg attach --netns wireguard --wg-conf "$BED/wg0.conf" --audit
names_first 'a guard in audit mode' guard-not-enforcing
eg detach wireguard >/dev/null

# --- names, IPv6, filters, files -----------------------------------------------------------------------

echo 'nameserver 192.168.1.10' >"$BED/resolv.conf"
names_first 'DNS goes to the LAN' dns-outside
echo 'nameserver 203.0.113.8' >"$BED/resolv.conf"
names_first 'nobody is the resolver' dns-silent
echo 'nameserver 10.13.13.53' >"$BED/resolv.conf"

bed_sysctl wireguard ipv4/conf/all/rp_filter=1 ipv4/conf/all/src_valid_mark=0
names_first 'strict reverse path filtering' rp-filter
bed_sysctl wireguard ipv4/conf/all/rp_filter=0 ipv4/conf/all/src_valid_mark=1

touch "$BED/wg0.conf"
names_first 'a file that was edited since, with a guard' stale-conf
mends 'a file that was edited since'
check 'the tunnel carries again' wait_until 10 carries
touch -d '+1 hour' "$BED/wg0.conf"
doctor >"$BED/doctor.txt" || true
check 'a file of tomorrow: it cannot tell' grep -q 'wg0.conf .*cannot tell .*future' "$BED/doctor.txt"
touch -d '-1 hour' "$BED/wg0.conf"

bed_sysctl wireguard ipv6/conf/wg0/disable_ipv6=1
names_first 'IPv6 is missing' ipv6-missing
bed_sysctl wireguard ipv6/conf/wg0/disable_ipv6=0
check 'wg-quick down and up puts it right' again
