#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: a rule that drops what it must not, just now, while everything else looks as it did: it is named
# first, and whoever pastes what doctor says has a working pattern again.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

rule() {
	in_ns wireguard "$@"
}

seen() { # PATTERN: in the first finding's evidence
	jq -r '.findings[0].evidence' "$BED/doctor.json" | matches -e "$1"
}

check_equal 'the kill switch of iptables alone' "$(found)" '0 no-guard'

rule iptables -I OUTPUT -o wg0 -j DROP
names_first 'a rule that drops what goes into the tunnel' tunnel-blocked
check 'it is named' seen '-A OUTPUT -o wg0 -j DROP'
check_equal 'nothing is asked, so nothing is right' \
	"$(jq -r '.checks[] | select(.name == "dns") | .state' "$BED/doctor.json")" wrong
heals 'the same' tunnel-blocked
rule iptables -I OUTPUT ! -o eth0 -j DROP
heals 'a rule that lets out eth0 alone' tunnel-blocked
check 'which is still there, behind another' rule iptables -C OUTPUT ! -o eth0 -j DROP
rule iptables -D OUTPUT ! -o eth0 -j DROP
rule iptables -D OUTPUT -o wg0 -j ACCEPT
# shellcheck disable=SC2016 # nobody is to expand it
rule iptables -I INPUT -i wg0 -m comment --comment 'a "$(touch me)" b' -j DROP
heals 'a rule that drops what comes out of it, with a comment of some stranger' tunnel-blocked
check 'which a shell never saw' [ ! -e me ]
rule nft add table inet own
rule nft 'add chain inet own out { type filter hook output priority 0; }'
rule nft add rule inet own out oifname wg0 drop
names_first "a rule of nftables' own" tunnel-blocked
rule nft delete table inet own

rule iptables -I OUTPUT -d 203.0.113.9 -j DROP
heals "a rule that drops WireGuard's own packets, after a handshake" endpoint-blocked
rule iptables -I OUTPUT -o eth0 -p udp --dport 51820 -j DROP
heals 'one that does so by their port' endpoint-blocked
rule iptables -D OUTPUT -o eth0 -p udp --dport 51820 -j DROP
rule iptables -D OUTPUT -p udp -d 203.0.113.9 --dport 51820 -j ACCEPT
rule iptables -I INPUT -s 203.0.113.9 -j DROP
heals "one that drops the server's answers" endpoint-blocked

rule iptables -I OUTPUT -d 192.168.0.0/16 -j DROP
heals 'a rule that drops the LAN' lan-blocked
rule iptables -I OUTPUT -o wg0 -p udp --dport 53 -j DROP
heals 'a rule that drops questions of names' dns-silent
