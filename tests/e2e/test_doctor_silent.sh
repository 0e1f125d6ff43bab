#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: a published port that accepts and is silent: the rules of the namespace that may be why are named,
# and not called right where they are not followed.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

# What accepts at 8090 never answers, and inside a page is served.
silent() { # NAME EVIDENCE COMMAND: the first finding's, as patterns
	names_first "$1" port-silent --port 127.0.0.1:8090:8081
	# shellcheck disable=SC2016 # jq's
	check "$1: the evidence is $2" \
		jq -e --arg what "$2" '.findings[0].evidence | test($what)' "$BED/doctor.json"
	# shellcheck disable=SC2016
	check "$1: the first command is $3" \
		jq -e --arg what "$3" '.findings[0].remedies[0].commands[0] | test($what)' "$BED/doctor.json"
}

check 'attach' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
silent 'no rules but the rendered' 'routes and rules are right' '^ss '
in_ns wireguard iptables -A INPUT -i eth0 -p tcp -j DROP
silent 'INPUT drops it' 'iptables drops what comes in to port 8081' '^ip netns exec|^nsenter .* -I INPUT'
check 'the command runs' paste_fix
silent 'it lets it in' 'routes and rules are right' '^ss '
in_ns wireguard iptables -F INPUT
in_ns wireguard iptables -t mangle -A OUTPUT -o eth0 -m mark ! --mark 51820 -j DROP
silent 'mangle drops the answers' 'not followed here' '^egressguard wgconf render '
in_ns wireguard iptables -t mangle -F OUTPUT
silent 'mangle has no rule' 'routes and rules are right' '^ss '
in_ns wireguard nft add table inet mine
in_ns wireguard nft 'add chain inet mine out { type filter hook output priority 0; policy drop; }'
in_ns wireguard nft add rule inet mine out oifname '{ "lo", "wg0" }' accept
in_ns wireguard nft add rule inet mine out udp dport "$BED_WG_PORT" accept
silent 'a table of nft drops the answers' 'not followed here' '^egressguard wgconf render '
