#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# OnBlock = reject: whoever is blocked is told at once; the answer stays in the namespace, is never made
# for what must not be answered, and cannot be used to flood. A drop stays a drop.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ANSWERS=$BED_SOURCE/tests/e2e/answers.py
INTERNET=203.0.113.7
# Nobody is there: what is seen with such an address was made in the namespace.
BLOCKED=(203.0.113.77 2001:db8:7::77)

attach() { # [OPTION...]
	"$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" --replace "$@"
}
try() { # ARGUMENT...
	in_ns wireguard "$ANSWERS" "$@"
}
# check_fails NAME ERROR ARGUMENT...: with this error, at once.
check_fails() {
	local name=$1 wanted=$2 outcome
	shift 2
	outcome=$(try "$@")
	if [ "${outcome% *}" = "$wanted" ] && [ "${outcome#* }" -lt $((500 * ${EG_SLOW:-1})) ]; then
		pass "$name"
	else
		fail "$name" "$outcome, not at once $wanted"
	fi
}
check_silent() { # NAME ARGUMENT...
	local name=$1
	shift
	check_equal "$name" "$(try "$@" | sed 's/ .*//')" TIMEOUT
}
rp_filter() { # N
	bed_sysctl wireguard "ipv4/conf/all/rp_filter=$1" "ipv4/conf/eth0/rp_filter=$1" \
		"ipv4/conf/default/rp_filter=$1"
}
answers() { # sent|withheld, by all processors
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/answers" |
		jq "[.[0].formatted.values[].value.$1] | add"
}

# What leaves the namespace: all that comes out at the host's end of the veth but what keeps the link.
OUTSIDE="not arp and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 136) and not (icmp6 and ip6[40] = 143) \
and not (ip6 proto 0 and dst net ff00::/8) and not host $INTERNET"

bed_up
check_equal 'control: the internet answers' "$(try tcp "$INTERNET" 80 | sed 's/ .*//')" OK

check 'attach, drop' attach
check_silent 'drop: TCP waits' tcp "${BLOCKED[0]}" 80
check_silent 'drop: UDP waits' udp "${BLOCKED[0]}" 53

# --- at once ---------------------------------------------------------------------------------------

check 'attach, reject' attach --on-block reject
check 'the policy in force says so' grep -q '^OnBlock = reject$' <(eg policy show wireguard)
capture_start outside host veth-wg
capture_start inside wireguard eth0
for filter in 0 1 2; do
	rp_filter "$filter"
	check_fails "rp_filter $filter: TCP" ECONNREFUSED tcp "${BLOCKED[0]}" 80
	check_fails "rp_filter $filter: UDP" EHOSTUNREACH udp "${BLOCKED[0]}" 53
done
check_fails 'TCP over IPv6' ECONNREFUSED tcp "${BLOCKED[1]}" 80
check_fails 'UDP over IPv6' EACCES udp "${BLOCKED[1]}" 53
check_fails 'a private address' EHOSTUNREACH udp 169.254.169.254 80
check_equal 'the LAN is reached as before' "$(try tcp 192.168.1.10 9 | sed 's/ .*//')" ECONNREFUSED
probe wireguard icmp "${BLOCKED[0]}" --timeout 200 >/dev/null || true
probe wireguard icmp "${BLOCKED[1]}" --timeout 200 >/dev/null || true
# The frame that marks a capture's end is dropped in there.
sleep 0.5
stop capture-inside INT
capture_stop outside
check_equal 'a reset for each SYN' "$(capture_count inside 'tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack) and src host 203.0.113.77')" 3
check 'ICMP errors, echo requests included' test "$(capture_count inside 'icmp[0] = 3 and icmp[1] = 13 and src host 203.0.113.77')" -ge 4
check 'ICMPv6 errors' test "$(capture_count inside 'icmp6 and ip6[40] = 1 and ip6[41] = 1 and src host 2001:db8:7::77')" -ge 2
check_equal 'their checksums are right' \
	"$(tcpdump -vv -n -r "$BED/inside.pcap" 'src host 203.0.113.77 or src host 2001:db8:7::77' 2>/dev/null | grep -c -E 'incorrect|wrong|bad cksum' || true)" 0
check_equal 'no answer comes out, nor what was answered' \
	"$(capture_show outside "($OUTSIDE) and not host 192.168.1.10")" ''
check 'control: what is allowed does' test "$(capture_count outside 'host 192.168.1.10')" -gt 0

# --- what is not answered ---------------------------------------------------------------------------

# unanswered NAME COMMAND...: dropped, and nothing comes back.
unanswered() {
	local name=$1 before after
	shift
	before=$(answers sent)
	guard_counted wireguard
	"$@" >/dev/null 2>&1 || true
	guard_counted wireguard dropped >"$BED/counted"
	after=$(answers sent)
	if [ "$before" = "$after" ] && [ -s "$BED/counted" ]; then
		pass "$name"
	else
		fail "$name" "$((after - before)) answers, dropped: $(tr '\n' ' ' <"$BED/counted")"
	fi
}
big() {
	probe wireguard udp "${BLOCKED[0]}:7001" --size 4000 --timeout 50
}
check_answered() { # NAME COMMAND...
	local name=$1 before
	shift
	before=$(answers sent)
	"$@" >/dev/null 2>&1 || true
	check "$name" test "$(answers sent)" -gt "$before"
}
check_answered 'control: a raw packet is answered' probe wireguard raw "${BLOCKED[0]}:7" --source 172.18.0.2
capture_start outside host veth-wg
unanswered 'fragments' big
unanswered 'an ICMP error' try raw "${BLOCKED[0]}" 0
unanswered 'multicast' probe wireguard udp 239.1.2.3:7001 --bind eth0 --timeout 50
unanswered 'a forged public source' probe wireguard raw "${BLOCKED[0]}:7" --source 198.51.100.77
unanswered 'a link-layer broadcast' probe wireguard packet "${BLOCKED[0]}:7" --interface eth0 \
	--source 172.18.0.2 --mac ff:ff:ff:ff:ff:ff
bed_sysctl wireguard ipv4/ip_forward=1
check_answered 'control: with forwarding its own packets are answered' probe wireguard raw "${BLOCKED[0]}:7" \
	--source 172.18.0.2
unanswered "another's LAN address, which the kernel would forward to" probe wireguard raw \
	"${BLOCKED[0]}:7" --source 192.168.1.10
bed_sysctl wireguard ipv4/ip_forward=0
check_answered "without forwarding it comes in" probe wireguard raw "${BLOCKED[0]}:7" --source 192.168.1.10
sleep 0.2
capture_stop outside
check_equal 'and nothing of it all came out' "$(capture_show outside "$OUTSIDE")" ''

# --- a flood -----------------------------------------------------------------------------------------

before=$(answers sent)
start_time=$SECONDS
probe wireguard udp "${BLOCKED[0]}:7001" --count 30000 --timeout 0 >/dev/null || true
seconds=$((SECONDS - start_time + 1))
sent=$(($(answers sent) - before))
check "a flood of 30000: $sent answers in $seconds s" test "$sent" -le $((1000 * (seconds + 1) * $(nproc)))
check 'the rest is dropped without a word' test "$(answers withheld)" -gt 0

# --- with a tunnel -----------------------------------------------------------------------------------

# Who forges WireGuard's mark is routed past it.
check 'the tunnel' tunnel_up
sleep 1.1
for filter in 0 2; do
	rp_filter "$filter"
	check_fails "rp_filter $filter: past the tunnel" ECONNREFUSED tcp "${BLOCKED[0]}" 80 --mark "$BED_WG_PORT"
done
# The way back leads through the tunnel, so the kernel does not believe the answer.
rp_filter 1
check_silent 'rp_filter 1: past the tunnel nothing is told' tcp "${BLOCKED[0]}" 80 --mark "$BED_WG_PORT"
rp_filter 0
tunnel_delete
# The server tries to reach it for some time more.
ip -n vpn link set wgs0 down

# --- other modes -------------------------------------------------------------------------------------

check 'audit' attach --on-block reject --audit
before=$(answers sent)
check_equal 'audit: it passes, and the internet answers' "$(try tcp "$INTERNET" 80 | sed 's/ .*//')" OK
check_equal 'audit: not we' "$(answers sent)" "$before"
check 'drop again' attach
check_silent 'drop again: TCP waits' tcp "${BLOCKED[0]}" 80
check 'drop to reject allows nothing more' "$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan \
	--endpoint "$BED_ENDPOINT" --on-block reject
check 'detach' eg detach wireguard

export EGRESSGUARD_FORCE_CLSACT=1
check 'clsact' attach --on-block reject
capture_start outside host veth-wg
check_fails 'clsact: TCP' ECONNREFUSED tcp "${BLOCKED[0]}" 80
check_fails 'clsact: UDP over IPv6' EACCES udp "${BLOCKED[1]}" 53
capture_stop outside
check_equal 'clsact: nothing comes out' "$(capture_show outside "$OUTSIDE")" ''
check 'detach' eg detach wireguard
unset EGRESSGUARD_FORCE_CLSACT

# An interface without a link-layer header.
start_in wireguard tun "$ANSWERS" tun tun9 "$BED/tun"
wait_until 5 test -e "$BED/tun"
ip -n wireguard address add 172.31.0.2/24 dev tun9
ip -n wireguard route add 203.0.113.78/32 dev tun9
try udp 203.0.113.78 53 --timeout 0.2 >/dev/null
check 'tun, control: packets leave by it' wait_until 5 grep -q cb00714e "$BED/tun"
check 'tun: attach' attach --on-block reject --accept-device-only
sleep 0.3
: >"$BED/tun"
check_fails 'tun: TCP' ECONNREFUSED tcp 203.0.113.78 80
check_fails 'tun: UDP' EHOSTUNREACH udp 203.0.113.78 53
check_equal 'tun: nothing leaves by it' "$(grep -c cb00714e "$BED/tun" || true)" 0
