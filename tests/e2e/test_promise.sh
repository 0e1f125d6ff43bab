#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The promise, live: what a guarded namespace can send, and that nothing else leaves. Every probe is
# first seen without a guard; with one it is not, and is counted under its reason, in its layer.
# time-limit: 300

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/phases.sh
. "$(dirname "$0")/phases.sh"

# What must never leave. The destinations' ports are closed: one packet each, and no talk about it.
blocked() {
	local i4='src 172.18.0.2 and dst 203.0.113.7' i6='src fd00:18::2 and dst 2001:db8:7::7'

	# every way to send to the internet
	one 'TCP' internet "$i4 and tcp dst port 7001" 'device public 1' \
		from_guarded tcp 203.0.113.7:7001
	one 'TCP, IPv6' internet "$i6 and tcp dst port 7001" 'device public 1' \
		from_guarded tcp '[2001:db8:7::7]:7001'
	one 'UDP' internet "$i4 and udp dst port 7002" 'device public 1' from_guarded udp 203.0.113.7:7002
	one 'UDP, IPv6' internet "$i6 and udp dst port 7002" 'device public 1' \
		from_guarded udp '[2001:db8:7::7]:7002'
	one 'connected UDP' internet "$i4 and udp dst port 7003" 'device public 1' \
		from_guarded connected 203.0.113.7:7003
	one 'connected UDP, IPv6' internet "$i6 and udp dst port 7003" 'device public 1' \
		from_guarded connected '[2001:db8:7::7]:7003'
	one 'echo' internet "$i4 and icmp[icmptype] = icmp-echo" 'device public 1' \
		from_guarded icmp 203.0.113.7
	one 'echo, IPv6' internet "$i6 and icmp6 and ip6[40] = 128" 'device public 1' \
		from_guarded icmp 2001:db8:7::7
	one 'bound to the interface' internet "$i4 and udp dst port 7004" 'device public 1' \
		from_guarded udp 203.0.113.7:7004 --bind eth0
	one 'raw with a forged mark' internet "$i4 and udp dst port 7005" 'device public 1' \
		from_guarded raw 203.0.113.7:7005 --source 172.18.0.2 --mark "$BED_WG_PORT"
	one 'raw with a forged mark, IPv6' internet "$i6 and udp dst port 7005" 'device public 1' \
		from_guarded raw '[2001:db8:7::7]:7005' --source fd00:18::2 --mark "$BED_WG_PORT"
	one 'packet socket' internet "$i4 and udp dst port 7006" 'device public 1' \
		from_guarded packet 203.0.113.7:7006 "${packet[@]}"
	one 'packet socket, IPv6' internet "$i6 and udp dst port 7006" 'device public 1' \
		from_guarded packet '[2001:db8:7::7]:7006' "${packet6[@]}"
	one 'past the qdisc' internet "$i4 and udp dst port 7007" 'peer public 1' \
		from_guarded bypass 203.0.113.7:7007 "${packet[@]}"
	one 'past the qdisc, IPv6' internet "$i6 and udp dst port 7007" 'peer public 1' \
		from_guarded bypass '[2001:db8:7::7]:7007' "${packet6[@]}"
	one 'what the kernel answers' internet 'src 172.18.0.2 and icmp[icmptype] = icmp-echoreply' \
		'device public 1' probe internet icmp 172.18.0.2 --timeout 60
	one 'a reset' internet 'src 172.18.0.2 and tcp src port 7008' 'device public 1' \
		probe internet tcp 172.18.0.2:7008 --timeout 60
	one 'a fragment' internet "$i4 and ip[6:2] & 0x1fff = 16" 'device public 1' frame public-fragment
	one 'behind an extension header' internet 'dst 2001:db8:7::7 and ip6 proto 0' 'device public 1' \
		frame hop-by-hop
	one 'cloud metadata' internet 'dst 169.254.169.254' 'device private 1' \
		from_guarded udp 169.254.169.254:7009

	# what the LAN would answer to, or pass on
	one 'a forged source' internet 'dst 203.0.113.200' 'device source 1' \
		from_guarded raw 192.168.1.10:443 --source 203.0.113.200
	one 'a forged source, IPv6' internet 'dst 2001:db8:7::200' 'device source 1' \
		from_guarded packet '[fd00:1::10]:443' "${packet6[@]}" --source 2001:db8:7::200
	one 'a forged source past the qdisc' internet 'dst 203.0.113.201' 'peer source 1' \
		from_guarded bypass 192.168.1.10:443 "${packet[@]}" --source 203.0.113.201
	one 'a source route' internet 'dst 203.0.113.7 and udp dst port 7021' 'device source-route 1' \
		frame source-route
	one 'a routing header' host 'dst fd00:18::1 and ip6 proto 43' 'device source-route 1' \
		frame routing-header
	one 'IPIP to the LAN' lan 'ip proto 4' 'device protocol 1' frame ipip
	one 'GRE to the LAN' lan 'ip proto 47' 'device protocol 1' frame gre
	one 'IPv6 in IPv6 to the LAN' lan 'ip6 proto 41' 'device protocol 1' frame 6in6

	# towards the endpoint, and what looks like that
	one 'to the endpoint, but not WireGuard' internet \
		'dst 203.0.113.9 and udp dst port 51820 and udp[8:4] = 0x78787878' \
		'device not-wireguard 1' from_guarded udp 203.0.113.9:51820
	one 'a fragment to the endpoint' internet 'dst 203.0.113.9 and ip[6:2] & 0x1fff = 8' \
		'device fragment 1' frame endpoint-fragment
	one 'another port of the endpoint' internet 'dst 203.0.113.9 and udp dst port 51821' \
		'device public 1' from_guarded udp 203.0.113.9:51821 --payload wireguard
	one 'WireGuard to a stranger' internet "$i4 and udp dst port 51820" 'device public 1' \
		from_guarded udp 203.0.113.7:51820 --payload wireguard

	# frames
	one 'a VLAN tag' host 'vlan and udp dst port 7024' 'device public 1' frame vlan
	one 'two VLAN tags' host 'vlan and vlan and udp dst port 7025' 'device public 1' frame qinq
	one 'three VLAN tags' host 'vlan and vlan and vlan' 'device ethertype 1' frame three-tags
	one 'a frame that is not IP' host 'ether proto 0x88b6' 'device ethertype 1' frame non-ip
	one 'not IP, past the qdisc' host 'ether proto 0x88b6' 'peer ethertype 1' frame --bypass non-ip
	one 'a truncated packet' host 'src 172.18.0.2 and less 40' 'device malformed 1' frame truncated
	# In audit mode the kernel does rewrite them, which the next layer sees.
	one 'a checksum over the destination' internet "$i4 and udp dst port 7040" \
		'device malformed 1; peer public 1' frame checksum-destination
	one 'a checksum over the type' host \
		'ether[12:2] = 0x88a8 and ether[16:2] = 0x8100 and ether[20:2] = 0x0800 and ether[44:2] = 7041' \
		'device malformed 1; peer public 1' frame checksum-qinq-arp
	one 'multicast' host 'dst 239.1.1.1' 'device multicast 1' frame multicast
	one 'multicast, IPv6' host 'dst ff05::1:3' 'device multicast 1' frame multicast6
	one 'broadcast' host 'dst 255.255.255.255' 'device broadcast 1' frame broadcast

	# what the policy takes away from the LAN
	one 'DNS off the tunnel' lan 'udp dst port 53' 'device dns-off-tunnel 1' \
		from_guarded udp 192.168.1.10:53
	one 'DNS off the tunnel, TCP and IPv6' host 'dst fd00:1::1 and tcp dst port 853' \
		'device dns-off-tunnel 1' from_guarded tcp '[fd00:1::1]:853'
	one "the tunnel's own subnet" internet 'dst 10.13.13.77 and udp dst port 7010' \
		'device tunnel-only 1' from_guarded udp 10.13.13.77:7010
	one "the tunnel's resolver" internet 'dst 10.13.13.1 and udp dst port 53' \
		'device tunnel-only 1' from_guarded udp 10.13.13.1:53
	one "the tunnel's own subnet, IPv6" internet 'dst fd13::77 and udp dst port 7010' \
		'device tunnel-only 1' from_guarded udp '[fd13::77]:7010'
	one 'denied' host 'dst 192.168.1.1 and udp dst port 7011' 'device denied 1' \
		from_guarded udp 192.168.1.1:7011
	one 'another port than the rule names' internet "$i4 and udp dst port 6002" 'device public 1' \
		from_guarded udp 203.0.113.7:6002
	one 'another protocol than the rule names' internet "$i4 and tcp dst port 6001" \
		'device public 1' from_guarded tcp 203.0.113.7:6001
}

answers_from() { # ADDRESS WAY DESTINATION...
	local from=$1
	shift
	probe wireguard "$@" --timeout 2000 | matches "^answer: from $from "
}

# Sends, and says under which reasons of an allowing verdict it was counted.
allowed_as() {
	guard_counted wireguard >/dev/null
	"$@" >/dev/null 2>&1 || true
	guard_counted wireguard allowed | awk '{print $1, $2}' | grep -v ' control$' | sort -u | paste -sd,
}

# Without a guard, with one, and in audit mode, the tunnel being away, so that the default route
# leads into the clear.
cat >"$BED/wg0.conf" <<END
[Interface]
PrivateKey = $(wg genkey)
Address = 10.13.13.2/24, fd13::2/64
DNS = 10.13.13.1

[Peer]
PublicKey = $(wg genkey | wg pubkey)
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = $BED_ENDPOINT
END
policy=(--wg-conf "$BED/wg0.conf" --deny 192.168.1.1
	--allow 203.0.113.7:6001/udp --allow '[2001:db8:7::7]:6001/tcp' --allow 203.0.113.7:443/tcp)

bed_up
# A host that follows source routes, and a device that computes checksums after the hooks: the
# worst that can be there.
bed_sysctl host ipv4/conf/all/accept_source_route=1 ipv4/conf/br0/accept_source_route=1
in_ns wireguard ethtool -K eth0 tx off >/dev/null

mode='no guard'
captures_start
all_blocked send
captures_stop
all_blocked seen

mode=guard
check 'attach' eg attach --netns wireguard "${policy[@]}"
layers() {
	eg status wireguard --json | jq -r '.guards[0].layers[]|select(.state=="attached" and .name!="socket")|.name+" "+(.detail|split(";")[0])' | paste -sd,
}
if [ -n "${EGRESSGUARD_FORCE_CLSACT:-}" ]; then
	check_equal 'attached by' "$(layers)" 'device clsact,peer clsact'
elif "$EG" features --json | jq -e .features.tcx.present >/dev/null; then
	check_equal 'attached by' "$(layers)" 'device tcx,peer tcx'
fi
captures_start
verdict=dropped
all_blocked judge
# A checksum over the type of an untagged frame: kernels since 6.12 or so refuse to send it.
guard_counted wireguard >/dev/null
if frame checksum-arp >/dev/null; then
	check_counted 'guard: a checksum over an untagged type' dropped 'device malformed 1'
fi
guard_counted wireguard >/dev/null
probe wireguard bypass 203.0.113.7:7050 "${packet[@]}" --count 7 >/dev/null
check_counted 'guard: attempts to get past are counted' dropped 'peer public 7'

# what passes
check 'LAN: TCP' answers_from 172.18.0.2 tcp 192.168.1.10:80
check 'LAN: UDP' answers_from 172.18.0.2 udp 192.168.1.10:443
check 'LAN: TCP, IPv6' answers_from fd00:18::2 tcp '[fd00:1::10]:80'
check 'LAN: UDP, IPv6' answers_from fd00:18::2 udp '[fd00:1::10]:443'
check 'LAN: the bridge' answers_from 172.18.0.2 tcp 172.18.0.1:80
check 'LAN: echo' probe wireguard icmp 192.168.1.10
check 'LAN: echo, IPv6' probe wireguard icmp fd00:1::10
check 'LAN: a client from there is answered' probe lan icmp 172.18.0.2
check 'LAN: a packet socket' test "$(allowed_as probe wireguard packet 192.168.1.10:7060 "${packet[@]}")" = \
	'device lan,peer lan'
check 'a rule with a port' answers_from 172.18.0.2 tcp 203.0.113.7:443
check_equal 'a rule with a port: counted' \
	"$(allowed_as from_guarded udp 203.0.113.7:6001)" 'device rule,peer rule'
check_equal 'a rule with a port, IPv6: counted' \
	"$(allowed_as from_guarded tcp '[2001:db8:7::7]:6001')" 'device rule,peer rule'
check_equal 'to the endpoint, WireGuard: counted' \
	"$(allowed_as from_guarded udp "$BED_ENDPOINT" --payload wireguard)" 'device endpoint,peer endpoint'
ip -n wireguard neigh flush dev eth0
check 'ARP and neighbour discovery' answers_from fd00:18::2 tcp '[fd00:18::1]:80'
captures_stop
all_blocked unseen
# All that the two rules let out, and what answers to a client beyond.
check_equal 'nothing but what a rule allows leaves in the clear' "$(capture_show internet "$BED_LEAK \
	and (src net 172.18.0.0/16 or src net fd00:18::/64 or dst net 203.0.113.192/26 or dst 2001:db8:7::200)
	and not (host 203.0.113.7 and (tcp port 443 or udp port 6001))
	and not (host 2001:db8:7::7 and tcp port 6001)")" ''

# What audit mode is in the programs, tests/bpf shows wherever time is short.
if [ -z "$batch" ]; then
	mode=audit
	check 'attach --audit' eg attach --netns wireguard "${policy[@]}" --audit --replace
	captures_start
	verdict=would_drop
	all_blocked judge
	check_equal 'audit: nothing is dropped' "$(guard_counted wireguard >/dev/null; from_guarded udp 203.0.113.7:7002 >/dev/null || true
		guard_counted wireguard dropped)" ''
	captures_stop
	# This one has been sent once more.
	arrived[UDP]=$((arrived[UDP] + 1))
	all_blocked same
fi
in_ns wireguard ethtool -K eth0 tx on >/dev/null

# --- other policies --------------------------------------------------------------------------------

check 'attach --no-lan' eg attach --netns wireguard --replace --endpoint "$BED_ENDPOINT" --no-lan
guard_counted wireguard >/dev/null
from_guarded udp 192.168.1.10:443 >/dev/null || true
from_guarded udp '[fd00:1::10]:443' >/dev/null || true
from_guarded udp 172.18.0.1:443 >/dev/null || true
check_counted '--no-lan: private addresses' dropped 'device private 3'
check 'attach --dns lan' eg attach --netns wireguard --replace --endpoint "$BED_ENDPOINT" --dns lan
check_equal '--dns lan: counted apart' \
	"$(allowed_as from_guarded udp 192.168.1.10:53)" 'device lan-dns,peer lan-dns'
check '--dns lan: answered' answers_from 172.18.0.2 udp 192.168.1.10:53

# --- the tunnel ----------------------------------------------------------------------------------

check 'attach before the tunnel is there' eg attach --netns wireguard --replace "${policy[@]}"
tunnel_up
capture_start up internet host0
capture_start beyond internet vpn0
check 'tunnel: TCP' answers_from 10.13.13.2 tcp 203.0.113.7:443
check 'tunnel: TCP, IPv6' answers_from fd13::2 tcp '[2001:db8:7::7]:443'
check 'tunnel: UDP' answers_from 10.13.13.2 udp 203.0.113.7:443
check 'tunnel: UDP, IPv6' answers_from fd13::2 udp '[2001:db8:7::7]:443'
check 'tunnel: echo' probe wireguard icmp 203.0.113.7
check 'tunnel: its resolver' answers_from 10.13.13.2 udp 10.13.13.1:53
check 'tunnel: the LAN beside it' answers_from 172.18.0.2 tcp 192.168.1.10:80
check_equal 'tunnel: its packets are counted as that' \
	"$(allowed_as probe wireguard icmp 203.0.113.7)" 'device endpoint,peer endpoint'
guard_counted wireguard >/dev/null
check 'tunnel: full packets' probe wireguard udp 203.0.113.7:443 --size 1392 --count 200 --gap 1000
check_counted 'tunnel: nothing of it is dropped' dropped ''
for way in "udp 203.0.113.7:7100 --mark $BED_WG_PORT" 'udp 203.0.113.7:7100 --bind eth0' \
	"raw 203.0.113.7:7100 --source 172.18.0.2 --mark $BED_WG_PORT" \
	"udp [2001:db8:7::7]:7100 --mark $BED_WG_PORT" "packet 203.0.113.7:7100 ${packet[*]}"; do
	guard_counted wireguard >/dev/null
	# shellcheck disable=SC2086 # several words
	from_guarded $way >/dev/null || true
	check_counted "beside the tunnel: $way" dropped 'device public 1'
done
capture_stop up
capture_stop beyond
check_no_leak 'tunnel: nothing beside it' up
check 'tunnel: its packets pass' test "$(capture_count up "udp port $BED_WG_PORT")" -gt 150
check 'tunnel: what it carries arrives' test "$(capture_count beyond 'dst 203.0.113.7 and src 10.13.13.2')" -gt 150

# --- a packet that changes while it is sent --------------------------------------------------------

check 'attach' eg attach --netns wireguard --replace --endpoint "$BED_ENDPOINT" --dns lan
tunnel_delete
race() {
	in_ns wireguard "$BUILD/tests/race" eth0 "$BED_HOST_MAC" 172.18.0.2 192.168.123.95 203.0.113.7 "$@"
}
# Time between the check and the next reader, as a busy machine has it.
in_ns wireguard tc qdisc replace dev eth0 root tbf rate 1gbit burst 32kb limit 300kb
capture_start race internet host0 'dst 203.0.113.7 and udp port 9'
guard_counted wireguard >/dev/null
check 'a TX ring that is rewritten: sent' race 1500
guard_counted wireguard dropped >"$BED/race.dropped"
check 'a TX ring that is rewritten: both addresses were read' grep -q '^device public ' "$BED/race.dropped"
check_equal 'a TX ring that is rewritten: what was judged is what leaves' \
	"$(grep '^peer' "$BED/race.dropped")" ''
check 'a TX ring past the qdisc: sent' race 1500 bypass
check 'a TX ring past the qdisc: both addresses were read' \
	grep -q '^peer public ' <(guard_counted wireguard dropped)
capture_stop race
check_equal 'a TX ring that is rewritten: none leaves' "$(capture_count race)" 0
check 'detach' eg detach wireguard
# On a busy machine a short race may be over before both sides have started.
for milliseconds in 5 50 200 500; do
	capture_start race internet host0 'dst 203.0.113.7 and udp port 9 and ip[4:2] = 0'
	race "$milliseconds" >/dev/null
	capture_stop race || true # it may miss some
	[ "$(capture_count race)" -eq 0 ] || break
done
check 'a TX ring that is rewritten: without a guard it does' test "$(capture_count race)" -gt 0
