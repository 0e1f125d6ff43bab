#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The rest of what test_promise.sh begins: each further way to send that `verify` tries, what root
# inside does first, and real programs that nobody here wrote. Without a guard all of it arrives; with
# one none does, and is counted; in audit mode it arrives as before.
# time-limit: 300

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/phases.sh
. "$(dirname "$0")/phases.sh"

# From a socket that was made inside by a process that is outside.
passed_in() {
	python3 - "$@" <<-'PYTHON'
		import os, socket, sys
		mine, inside = os.open("/proc/self/ns/net", os.O_RDONLY), os.open("/run/netns/wireguard", os.O_RDONLY)
		libc = __import__("ctypes").CDLL(None)
		assert libc.setns(inside, 0x40000000) == 0
		sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		assert libc.setns(mine, 0x40000000) == 0
		sender.sendto(b"x" * 60, (sys.argv[1], int(sys.argv[2])))
	PYTHON
}
# By a process that has been moved to a cgroup of its own.
in_another_cgroup() {
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$PROBE" "$@" --timeout 60 --netns /run/netns/wireguard
}
cgroup=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)/eg-battery-$$

# What must never leave.
blocked() {
	local i4='src 172.18.0.2 and dst 203.0.113.7' i6='src fd00:18::2 and dst 2001:db8:7::7'

	one 'TCP, v4-mapped' internet "$i4 and tcp dst port 7050" 'device public 1' \
		from_guarded tcp '[::ffff:203.0.113.7]:7050'
	one 'UDP, v4-mapped' internet "$i4 and udp dst port 7051" 'device public 1' \
		from_guarded udp '[::ffff:203.0.113.7]:7051'
	one 'connected UDP, v4-mapped' internet "$i4 and udp dst port 7053" 'device public 1' \
		from_guarded connected '[::ffff:203.0.113.7]:7053'
	one 'UDP with a forged mark' internet "$i4 and udp dst port 7054" 'device public 1' \
		from_guarded udp 203.0.113.7:7054 --mark "$BED_WG_PORT" --bind eth0
	one 'UDP with a forged mark, IPv6' internet "$i6 and udp dst port 7054" 'device public 1' \
		from_guarded udp '[2001:db8:7::7]:7054' --mark "$BED_WG_PORT" --bind eth0
	one 'UDP in segments' internet "$i4 and udp dst port 7055" 'device public 4' \
		from_guarded udp 203.0.113.7:7055 --size 400 --segment 100
	one 'behind destination options' internet 'dst 2001:db8:7::7 and ip6 proto 60' \
		'device public 1' frame destination-options
	one 'a fragment, IPv6' internet 'dst 2001:db8:7::7 and ip6 proto 44' 'device public 1' \
		frame public-fragment6
	one 'DNS to the internet' internet "$i4 and udp dst port 53" 'device dns-off-tunnel 1' \
		from_guarded udp 203.0.113.7:53
	one 'DNS to the internet, IPv6' internet "$i6 and udp dst port 53" 'device dns-off-tunnel 1' \
		from_guarded udp '[2001:db8:7::7]:53'
	one 'WireGuard to a stranger, IPv6' internet "$i6 and udp dst port 51820" 'device public 1' \
		from_guarded udp '[2001:db8:7::7]:51820' --payload wireguard
	one 'a socket made inside, used outside' internet "$i4 and udp dst port 7056" \
		'device public 1' passed_in 203.0.113.7 7056
	[ -z "$have_cgroup" ] ||
		one 'from another cgroup' internet "$i4 and udp dst port 7057" 'device public 1' \
			in_another_cgroup udp 203.0.113.7:7057
	[ -z "$have_xdp" ] || {
		one 'AF_XDP' internet 'dst 203.0.113.7 and udp dst port 7020' 'peer public 1' frame --xdp public
		one 'AF_XDP, IPv6' internet 'dst 2001:db8:7::7 and udp dst port 7020' 'peer public 1' \
			frame --xdp public6
		one 'AF_XDP, not IP' host 'ether proto 0x88b6' 'peer ethertype 1' frame --xdp non-ip
	}
	# What would come back from the LAN to the internet side goes to 203.0.113.200.
	one 'a ping of the LAN from a forged source' internet 'dst 203.0.113.200 and icmp' \
		'device source 1' in_ns wireguard hping3 -q -n -c 1 -1 -a 203.0.113.200 192.168.1.10
	one 'a connection to the LAN from a forged source' internet 'dst 203.0.113.200 and tcp' \
		'device source 1' in_ns wireguard hping3 -q -n -c 1 -S -p 80 -a 203.0.113.200 192.168.1.10
	one 'what the LAN answers by ICMP to a forged source' internet \
		'dst 203.0.113.200 and icmp[icmptype] = icmp-unreach' 'device source 1' \
		in_ns wireguard hping3 -q -n -c 1 -2 -p 7058 -a 203.0.113.200 192.168.1.10
}

# --- real programs -------------------------------------------------------------------------------------

# A torrent of 1 MiB of nothing, with trackers and peers on the internet.
make_torrent() {
	python3 - >"$BED/battery.torrent" <<-'PYTHON'
		import hashlib, sys
		def code(value):
		    if isinstance(value, int):
		        return b"i%de" % value
		    if isinstance(value, str):
		        value = value.encode()
		    if isinstance(value, bytes):
		        return b"%d:%s" % (len(value), value)
		    if isinstance(value, list):
		        return b"l" + b"".join(map(code, value)) + b"e"
		    return b"d" + b"".join(code(key) + code(value[key]) for key in sorted(value)) + b"e"
		piece = hashlib.sha1(bytes(1 << 18)).digest()
		sys.stdout.buffer.write(code({
		    "announce": "http://203.0.113.7:80/announce",
		    "announce-list": [["http://203.0.113.7:80/announce"], ["udp://203.0.113.7:443/announce"],
		                      ["http://[2001:db8:7::7]:443/announce"]],
		    "info": {"name": "nothing", "piece length": 1 << 18, "length": 1 << 20, "pieces": piece * 4},
		    "url-list": ["http://203.0.113.7:443/nothing"],
		}))
	PYTHON
}
bittorrent() {
	timeout "$((6 * ${EG_SLOW:-1}))" nsenter --net=/run/netns/wireguard -- aria2c --dir="$BED" --seed-time=0 \
		--enable-dht=true --dht-entry-point=203.0.113.7:443 --enable-dht6=true \
		--dht-entry-point6='[2001:db8:7::7]:443' --dht-file-path="$BED/dht" --dht-file-path6="$BED/dht6" \
		--bt-enable-lpd=true --bt-tracker-connect-timeout=2 --connect-timeout=2 \
		"$BED/battery.torrent" >"$BED/aria2.log" 2>&1 </dev/null || true
}
scan() { # OPTION...
	in_ns wireguard nmap -n -Pn --max-retries 0 --min-rate 200 --host-timeout 10s "$@" >"$BED/nmap.log" 2>&1 || true
}

# program NAME FILTER COMMAND...: how much of it reaches the internet must be something without a guard
# and in audit mode, nothing with one; and the guard has counted it.
program() {
	local name=$1 filter=$2 seen counted
	shift 2
	guard_counted wireguard >/dev/null 2>&1 || true
	capture_start program internet host0
	"$@" >/dev/null 2>&1 || true
	sleep 0.1
	capture_stop program
	seen=$(capture_count program "$filter")
	case $mode in
	guard)
		check_equal "$mode: $name: nothing leaves" "$seen" 0
		counted=$(guard_counted wireguard dropped)
		check "$mode: $name: counted" grep -q '^device \(public\|source\|dns-off-tunnel\|protocol\) ' <<<"$counted"
		check_equal "$mode: $name: nothing gets past device" "$(grep ^peer <<<"$counted" || true)" ''
		;;
	*)
		check "$mode: $name: leaves" test "$seen" -gt 0
		;;
	esac
}

programs() {
	local from='(src 172.18.0.2 or src fd00:18::2)'

	program 'nmap -sS' "$from and tcp" scan -sS -p 22,80,443,7059 203.0.113.7
	program 'nmap -sS -6' "$from and ip6 and tcp" scan -6 -sS -p 22,80,443,7059 2001:db8:7::7
	program 'nmap -sU' "$from and udp" scan -sU -p 443,7059 203.0.113.7
	program 'nmap -sO' "$from" scan -sO -p 2,4,47,50,132 203.0.113.7
	program 'nmap -f, in fragments' "$from" scan -f -sS -p 443 203.0.113.7
	program 'nmap -g 51820, --data-length' "$from" scan -g 51820 -sU --data-length 144 -p 51820 203.0.113.7
	program 'nmap -D, with decoys' 'dst 203.0.113.7 and tcp' scan -D 203.0.113.201,192.168.1.77,ME -sS -p 443 203.0.113.7
	program 'nmap --send-eth, its own frames' "$from and tcp" scan --send-eth -sS -p 443 203.0.113.7
	program 'hping3 --rand-source' 'dst 203.0.113.7 and tcp dst port 7060' \
		in_ns wireguard hping3 -q -n -c 5 -i u1000 -S -p 7060 --rand-source 203.0.113.7
	program 'hping3, raw IP' 'dst 203.0.113.7 and ip proto 47' \
		in_ns wireguard hping3 -q -n -c 2 -i u1000 --rawip --ipproto 47 203.0.113.7
	program 'traceroute' "$from and udp" in_ns wireguard traceroute -n -q 1 -m 4 -w 0.2 203.0.113.7
	program 'traceroute -I' "$from and icmp" in_ns wireguard traceroute -n -I -q 1 -m 4 -w 0.2 203.0.113.7
	program 'traceroute -T -6' "$from and ip6 and tcp" \
		in_ns wireguard traceroute -6 -n -T -q 1 -m 4 -w 0.2 2001:db8:7::7
	program 'a BitTorrent client' "$from" bittorrent
}

# --- in three modes ------------------------------------------------------------------------------------

policy=(--endpoint "$BED_ENDPOINT" --dns tunnel)
bed_up
# What it answers to a forged source is counted: once, however long the capture runs.
bed_sysctl lan ipv4/tcp_synack_retries=0
make_torrent
have_cgroup=
if mkdir "$cgroup" 2>/dev/null; then
	have_cgroup=1
else
	skip 'from another cgroup' 'there is no cgroup2 that can be written to'
fi
bed_at_exit() {
	[ -z "$have_cgroup" ] || rmdir "$cgroup"
}
have_xdp=
if python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW)' 2>/dev/null; then
	have_xdp=1
else
	skip 'AF_XDP' 'this kernel has no AF_XDP'
fi

mode='no guard'
captures_start
all_blocked send
captures_stop
all_blocked seen
programs

mode=guard
check 'attach' eg attach --netns wireguard "${policy[@]}"
captures_start
verdict=dropped
all_blocked judge
captures_stop
all_blocked unseen
programs

mode=audit
check 'attach --audit' eg attach --netns wireguard "${policy[@]}" --audit --replace
captures_start
verdict=would_drop
all_blocked judge
captures_stop
all_blocked same
programs

# --- what root inside does first -----------------------------------------------------------------------

# held NAME LAYER: nothing of a few ways leaves, and this layer counts most of them.
held() {
	guard_counted wireguard >/dev/null
	capture_start held internet host0
	from_guarded udp 203.0.113.7:7061 >/dev/null || true
	from_guarded tcp '[2001:db8:7::7]:7061' >/dev/null || true
	from_guarded packet 203.0.113.7:7061 "${packet[@]}" >/dev/null || true
	capture_stop held
	check_no_leak "$1: nothing leaves" held
	check_counted "$1: by $2" dropped "$2 public 3"
}
by_tcx() {
	"$EG" features --json | jq -e .features.tcx.present >/dev/null && [ -z "${EGRESSGUARD_FORCE_CLSACT:-}" ]
}

mode=guard
check 'attach' eg attach --netns wireguard "${policy[@]}"
held 'nothing' device
# All that a cleaning-up script does, and more.
flush_all() {
	# shellcheck disable=SC2016 # the inner shell's
	in_ns wireguard sh -c 'for tables in iptables ip6tables; do
		$tables -F; $tables -t mangle -F; $tables -t raw -F; $tables -P OUTPUT ACCEPT; done
		nft flush ruleset; tc filter del dev eth0 egress; tc filter del dev eth0 egress pref 1
		tc qdisc del dev eth0 clsact; tc qdisc del dev eth0 root; ip link set eth0 xdp off
		ip route flush cache; ip neigh flush all' >/dev/null 2>&1 || true
}
flush_all
if by_tcx; then
	held 'iptables and tc flushed' device
	start_in wireguard intruder python3 "$BED_SOURCE/tests/e2e/bpf.py" in-front eth0 egress "$BED/ready"
	wait_until 10 test -e "$BED/ready"
	held 'another program in front' peer
	stop intruder KILL
else
	held 'iptables and tc flushed' peer
fi
check 'attach repairs' eg attach --netns wireguard "${policy[@]}"

# The name is worth nothing: neither that of a renamed interface, nor a veth's that takes wg0's place.
rename() { # FROM TO
	ip -n wireguard link set "$1" down
	ip -n wireguard link set "$1" name "$2"
	bed_address wireguard "$2" fd00:18::2/64
	ip -n wireguard route replace default via 172.18.0.1
	ip -n wireguard -6 route replace default via fd00:18::1
}
tunnel_up
tunnel_delete
# The server tries to reach it for some time more, and the kernel's answers would be counted.
ip -n vpn link set wgs0 down
packet=(--interface wg0 --mac "$BED_HOST_MAC" --source 172.18.0.2)
rename eth0 wg0
held 'eth0 is called wg0 now' device
check_status 'attach does not take it for the tunnel' 1 eg attach --netns wireguard "${policy[@]}"
held 'eth0 is called wg0 now, attached again' device
