#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# demo.sh BUILD: what leaks without a guard, and what happens with one, in some ten seconds. All of it
# happens in private namespaces (tests/e2e/lib.sh), which are gone afterwards, on Ctrl-C too. Exit
# status 1 if anything went otherwise than it should.

if [ "$(id -u)" != 0 ]; then
	echo 'demo: network namespaces need root: sudo make demo' >&2
	exit 1
fi
BUILD=$(realpath "${1:-build}")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../tests/e2e/lib.sh"

bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}
show() { # what was typed
	printf '%s# %s%s\n' "$dim" "$*" "$plain"
}
indent() {
	sed -u 's/^/  /'
}

# What is tried with wg0 down: a name, what a capture on the internet side sees of it, the probe.
packet_options="--interface eth0 --mac $BED_HOST_MAC --source 172.18.0.2"
attempts=(
	'web page over IPv4|tcp dst port 443 and dst 203.0.113.7|tcp 203.0.113.7:443'
	'web page over IPv6|ip6 dst 2001:db8:7::7 and tcp dst port 443|tcp [2001:db8:7::7]:443'
	'DNS query to a public server|udp dst port 53|udp 203.0.113.7:53'
	'ping|icmp and dst 203.0.113.7|icmp 203.0.113.7'
	'UDP with a forged WireGuard mark|udp dst port 80|udp 203.0.113.7:80 --mark 51820'
	'raw packet, forged source address|src 203.0.113.200|raw 203.0.113.7:853 --source 203.0.113.200'
	"packet socket|udp dst port 5353|packet 203.0.113.7:5353 $packet_options"
	"packet socket past the qdisc|udp dst port 9999|bypass 203.0.113.7:9999 $packet_options"
)

# Tries all of it while a capture runs; the counts are in `seen`, in the same order.
declare -a seen
try_all() { # CAPTURE
	local attempt filter arguments
	capture_start "$1" internet host0
	for attempt in "${attempts[@]}"; do
		arguments=${attempt##*|}
		# shellcheck disable=SC2086 # words
		probe wireguard $arguments --timeout 250 >/dev/null 2>&1 || true
	done
	capture_stop "$1"
	seen=()
	for attempt in "${attempts[@]}"; do
		filter=${attempt#*|}
		seen+=("$(capture_count "$1" "${filter%|*}")")
	done
}

works() {
	if probe "$@" --timeout 2000 >/dev/null 2>&1; then echo works; else echo 'does not work'; fi
}

declare -a table
surprises=0
row() { # NAME WITHOUT WITH WANTED-WITHOUT WANTED-WITH
	local without=$2 with=$3 colour=$green
	if [ "$without" != "$4" ] || [ "$with" != "$5" ]; then
		surprises=$((surprises + 1))
		colour=$red
	fi
	table+=("$(printf '  %-38s %-20s %s%s%s' "$1" "$without" "$colour" "$with" "$plain")")
}

fate() { # COUNT
	if [ "$1" = 0 ]; then echo blocked; else echo 'left in the clear'; fi
}

say 'Building: a bridge host, the namespace "wireguard" with its tunnel, a VPN server, an internet'
bed_up
tunnel_up
echo "  the tunnel is up ($BED_WIREGUARD WireGuard); in the clear only its own packets leave"

say 'Without a guard: wg0 goes down'
tunnel_without=$(works wireguard tcp 203.0.113.7:443)
lan_without=$(works wireguard tcp 192.168.1.10:80)
show 'ip link set wg0 down'
tunnel_down
try_all without
without=("${seen[@]}")
show 'tcpdump, on the internet side'
capture_show without "$BED_LEAK and (src 172.18.0.2 or src fd00:18::2 or src 203.0.113.200)" |
	sed -n '1,8{s/^[0-9:.]* //;s/^/  /;p}' | cut -c1-100
echo "  ${red}$(leaks without) packets left in the clear${plain}"

say 'With a guard'
tunnel_up
show 'egressguard attach --netns wireguard'
eg attach --netns wireguard 2>&1 | indent
show 'egressguard events wireguard'
setpriv --pdeathsig KILL -- "$EG" events --pin-dir "$EG_PIN_DIR" wireguard \
	> >(indent) 2>&1 </dev/null &
BED_PIDS[events]=$!
sleep 0.5
tunnel_with=$(works wireguard tcp 203.0.113.7:443)
lan_with=$(works wireguard tcp 192.168.1.10:80)
echo "  through the tunnel: $tunnel_with; the LAN: $lan_with"
show 'ip link set wg0 down'
tunnel_down
try_all with
with=("${seen[@]}")
sleep 0.3
stop events
show 'egressguard verify wireguard'
verified=0
eg verify wireguard >"$BED/verify" 2>&1 || verified=$?
tail -n 2 "$BED/verify" | indent
show 'egressguard status wireguard'
eg status wireguard 2>&1 | indent
show 'egressguard detach wireguard'
eg detach wireguard 2>&1 | indent

say 'What was tried, and what happened'
row 'through the tunnel' "$tunnel_without" "$tunnel_with" works works
row 'to the LAN' "$lan_without" "$lan_with" works works
table+=('  with wg0 down:')
for i in "${!attempts[@]}"; do
	row "  ${attempts[i]%%|*}" "$(fate "${without[i]}")" "$(fate "${with[i]}")" \
		'left in the clear' blocked
done
printf '  %s%-38s %-20s %s%s\n' "$bold" '' 'without a guard' 'with egressguard' "$plain"
printf '%s\n' "${table[@]}"
count=$(leaks with)
printf '\n  seen on the internet side with the guard: %s packets in the clear\n' "$count"
if [ "$surprises" != 0 ] || [ "$count" != 0 ] || [ "$verified" != 0 ]; then
	echo "demo: not what it should be" >&2
	exit 1
fi
