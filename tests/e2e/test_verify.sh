#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# `verify` says sealed where nothing leaves, leak where something does, and otherwise that it cannot
# tell: with a guard, without one, with one that has a hole, and where it cannot see.
# time-limit: 300

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# verify WANTED-STATUS NAME [ARGUMENT...]: its JSON is in $BED/verify.json then.
verify() {
	local wanted=$1 name=$2 status=0
	shift 2
	eg verify "$@" --json >"$BED/verify.json" 2>"$BED/verify.err" || status=$?
	check_equal "$name: exit status" "$status" "$wanted"
	[ "$status" = "$wanted" ] || sed 's/^/  | /' "$BED/verify.json" "$BED/verify.err"
	check_equal "$name: nothing on stderr" "$(cat "$BED/verify.err")" ''
	case $wanted in
	0) check_equal "$name: result" "$(json .result)" sealed ;;
	1) check_equal "$name: result" "$(json .result)" 'cannot tell' ;;
	4) check_equal "$name: result" "$(json .result)" leak ;;
	esac
}
# table WANTED-STATUS NAME PATTERN [ARGUMENT...]: what people get says the same as the JSON of the
# same command just before, and ends with a line like PATTERN.
table() {
	local wanted=$1 name=$2 pattern=$3 status=0
	shift 3
	eg verify "$@" >"$BED/verify.txt" 2>"$BED/verify.err" || status=$?
	check_equal "$name: the table: exit status" "$status" "$wanted"
	check "$name: the table: its end" grep -q -x -e "$pattern" "$BED/verify.txt"
	check_equal "$name: the table: the same rows" "$(grep -c -E '^  .* (stopped|leaked|not here|cannot tell) ' "$BED/verify.txt")" \
		"$(json '[.underlays[].rows[]]|length')"
	check_equal "$name: the table: no colours where no terminal is" "$(grep -c $'\e' "$BED/verify.txt" || true)" 0
}
json() {
	jq -r "$1" "$BED/verify.json"
}
# rows RESULT: the names of the rows of eth0 that ended so.
rows() {
	json ".underlays[]|select(.name==\"eth0\").rows[]|select(.result==\"$1\").name" | paste -sd' '
}
# by ROW: who stopped it, and under which reason.
by() {
	json ".underlays[0].rows[]|select(.name==\"$1\")|\"\(.result) \(.layer) \(.reason)\""
}
doubts() {
	json '.doubts|join(" ")'
}
check_of() { # tunnel|lan
	json ".checks[]|select(.what==\"$1\")|\"\(.name) \(.state): \(.detail)\""
}
attach() {
	eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns "${dns:-lan}" --replace "$@"
}
# fails WANTED-STATUS NAME PATTERN [ARGUMENT...]: it says why on stderr, and sends nothing.
fails() {
	local wanted=$1 name=$2 pattern=$3 status=0
	shift 3
	capture_start silent host veth-wg 'net 198.51.100.0/24 or host 192.168.255.222'
	eg verify "$@" >"$BED/verify.txt" 2>"$BED/verify.err" || status=$?
	capture_stop silent
	check_equal "$name: exit status" "$status" "$wanted"
	check "$name: says why" grep -q -e "$pattern" "$BED/verify.err"
	check_equal "$name: sends nothing" "$(capture_count silent)" 0
}
# Nothing of the namespace's own is changed.
configuration() {
	ip -n wireguard address show | grep -v _lft
	ip -n wireguard route show table all
	ip -n wireguard -6 route show table all | sed 's/ expires [0-9]*sec//'
	in_ns wireguard tc qdisc show | grep -v clsact # the guard's own, on kernels without tcx
	in_ns wireguard nft list ruleset 2>/dev/null
}

probes_are_announced() {
	[ "$(bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/probes" | jq '.[0].formatted.value.until_ns')" != 0 ]
}
# held_at_work NAME COMMAND...: starts a verify that is stopped in the middle. Looked at while it stands
# still: on a slow machine it would be over before anybody has looked.
held_at_work() {
	local i
	start "$@"
	for ((i = 0; i < 500; i++)); do
		kill -STOP "${BED_PIDS[$1]}"
		! probes_are_announced || return 0
		kill -CONT "${BED_PIDS[$1]}"
		sleep 0.02
	done
	return 1
}
# counted WHAT: packets under the reason qdisc-bypass.
bypasses() {
	eg status wireguard --json | jq ".guards[0].counters.$1[\"qdisc-bypass\"].packets"
}

all_rows=37
bed_up
configuration >"$BED/before"

# --- without a guard -------------------------------------------------------------------------------

capture_start outside internet host0 'dst host 2001:db8:6567:7264::222'
verify 4 'no guard' --netns wireguard
capture_stop outside
table 4 'no guard' 'leak: 36 of 36 ways out that were tried lead out' --netns wireguard
check_equal 'no guard: all leak' "$(rows stopped)$(rows 'cannot tell')" ''
check_equal 'no guard: but for the unknown endpoint' "$(rows 'not here')" endpoint-plain
check 'no guard: they do reach the internet' test "$(capture_count outside)" -ge 8
check_equal 'no guard: the LAN' "$(check_of lan)" '172.18.0.1 works: answers ARP and ping'
check_equal 'no guard: where it was watched' "$(json '.underlays[0].far_end')" veth-wg
check_equal 'nothing is left in the namespace' "$(configuration)" "$(cat "$BED/before")"

# What wg-quick's manual has for a kill switch stops ordinary sockets only.
for tables in iptables ip6tables; do
	in_ns wireguard "$tables" -I OUTPUT ! -o wg0 -m mark ! --mark "$BED_WG_PORT" \
		-m addrtype ! --dst-type LOCAL ! -d "$([ "$tables" = iptables ] && echo 172.18.0.1 || echo fd00:18::1)" -j REJECT
done
verify 4 'a kill switch of iptables' --netns wireguard
check 'a kill switch of iptables: UDP is stopped' grep -qx 'stopped null null' <(by udp)
for row in mark packet packet6 bypass xdp; do
	check_equal "a kill switch of iptables: $row leaks" "$(by $row)" 'leaked null null'
done

# --- with a guard ----------------------------------------------------------------------------------

# The rules inside do not make it say less, nor more.
check 'attach' attach
verify 0 'guard and iptables inside' wireguard
check 'guard and iptables inside: what is stopped inside is tried by a packet socket too' \
	test "$(json '.underlays[0].rows[]|select(.name=="udp").detail')" = \
	'held back inside (sendto: Operation not permitted); by a packet socket: stopped'
check_equal 'guard and iptables inside: by the guard' "$(by udp)" 'stopped device public'
for tables in iptables ip6tables; do
	in_ns wireguard "$tables" -F OUTPUT
done
in_ns wireguard nft flush ruleset

eg detach wireguard >/dev/null
check 'attach' attach
start events "$EG" events --pin-dir "$EG_PIN_DIR" wireguard --json
sleep 0.5
verify 0 guard wireguard
check_equal 'guard: rows' "$(json '.underlays[0].rows|length')" "$all_rows"
check_equal 'guard: all are stopped' "$(rows stopped | wc -w)" "$all_rows"
refused=0 # by the layer `socket`: the three of TCP and the two of connected UDP
if eg status wireguard --json | jq -e '.guards[0].layers[]|select(.name=="socket" and .state=="attached")' >/dev/null; then
	refused=5
fi
check_equal 'guard: who stopped them' \
	"$(json '.underlays[0].rows[]|"\(.layer) \(.reason)"' | sort | uniq -c | awk '{print $1, $2, $3}' | paste -sd,)" \
	"1 device ethertype,1 device not-wireguard,$((27 - refused)) device public,2 device source,2 device source-route,4 peer public$([ $refused = 0 ] || echo ",$refused socket public")"
for row in bypass bypass6 xdp xdp6; do
	check_equal "guard: $row is seen at the far end, and dropped there" \
		"$(json ".underlays[0].rows[]|select(.name==\"$row\")|\"\(.layer) \(.seen)\"")" 'peer 1'
done
table 0 'guard' 'sealed: of 37 ways out that were tried, each was stopped (holds against .*)' wireguard
stop events
check 'guard: its events say so' test \
	"$(grep '^{' "$BED/events.log" | jq -s '[.[]|select(.type=="packet")]|length > 70 and all(.probe) and (any(.bypass)|not)')" = true
eg status wireguard --json >"$BED/status.json"
check_equal 'guard: nothing is counted as a real drop' \
	"$(jq '[.guards[0].counters.dropped[].packets]|add' "$BED/status.json")" 0
check_equal 'guard: it is counted apart' \
	"$(jq '[.guards[0].counters.probes.dropped[].packets]|add' "$BED/status.json")" $(((all_rows + refused) * 2))
check_equal 'guard: no bypass attempts' "$(jq '.guards[0].counters.bypass_attempts' "$BED/status.json")" 0
check_equal 'guard: nothing in what was blocked lately' "$(jq -c '.guards[0].recent' "$BED/status.json")" '[]'
check_equal 'nothing is left in the namespace' "$(configuration)" "$(cat "$BED/before")"
check 'guard: by target' test "$(eg verify --netns wireguard --json | jq -r .guard)" = wireguard

# What a stranger sends meanwhile is a stranger's, be it the very same.
# shellcheck disable=SC2016 # the inner shell's
start stranger bash -c 'while :; do "$@"; done' - "$PROBE" udp 198.51.100.222:53 --timeout 5 --netns /run/netns/wireguard
verify 0 'guard and a stranger' wireguard
stop stranger
check 'guard and a stranger: counted as such' test "$(eg status wireguard --json | jq '.guards[0].counters.dropped.public.packets')" -gt 10

# --- where the layer `socket` refuses PACKET_QDISC_BYPASS ---------------------------------------------

refuses_bypass() {
	eg status wireguard --json | jq -e '.guards[0].layers[]|select(.name=="socket" and .state=="attached")|
		.detail|contains(" setsockopt;")' >/dev/null
}
eg detach wireguard >/dev/null
EGRESSGUARD_NO_SETSOCKOPT=0 check 'attach' attach
if refuses_bypass; then
	for round in first second; do # the second finds nothing of the first
		verify 0 "bypass refused: $round" wireguard
		check_equal "bypass refused: $round: by socket" "$(by bypass) $(by bypass6)" \
			'stopped socket qdisc-bypass stopped socket qdisc-bypass'
		check_equal "bypass refused: $round: what is beneath is tried" \
			"$(json '[.underlays[0].rows[]|select(.name|startswith("bypass")).detail]|unique[]')" \
			'refused; beneath, by a socket that it let pass: stopped'
		check_equal "bypass refused: $round: peer is tried all the same" "$(by xdp) $(by xdp6)" \
			'stopped peer public stopped peer public'
	done
	check_equal 'bypass refused: counted as probes' "$(bypasses probes.dropped)" 4
	check_equal 'bypass refused: nothing is counted as a real drop' \
		"$(eg status wireguard --json | jq '[.guards[0].counters.dropped[].packets]|add')" 0
	check_equal 'bypass refused: nothing in what was blocked lately' \
		"$(eg status wireguard --json | jq -c '.guards[0].recent')" '[]'
	# Another process that asks for it meanwhile is none of verify's.
	held_at_work first "$EG" verify --pin-dir "$EG_PIN_DIR" wireguard --json
	check_status 'bypass refused: a stranger meanwhile' 1 in_ns wireguard python3 -c "import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); s.setsockopt(263, 20, 1)"
	check_equal 'bypass refused: a stranger is counted as such' "$(bypasses dropped)" 1
	kill -CONT "${BED_PIDS[first]}"
	wait "${BED_PIDS[first]}" && status=0 || status=$?
	unset 'BED_PIDS[first]'
	check_equal 'bypass refused: and verify goes on' "$status" 0
	# In a PID namespace of its own it has another number there than the guard sees.
	unshare --pid --fork --mount-proc "$EG" verify --pin-dir "$EG_PIN_DIR" wireguard --json >"$BED/verify.json"
	check_equal 'bypass refused: in a PID namespace' "$(by bypass)" 'stopped socket qdisc-bypass'
	check_equal 'bypass refused: in a PID namespace: nothing is counted as real' "$(bypasses dropped)" 1
else
	skip 'bypass refused' 'this kernel has no such hook'
fi
eg detach wireguard >/dev/null
check 'attach' attach

# --- tunnel, DNS, IPv6, LAN --------------------------------------------------------------------------

tunnel_up
verify 0 'tunnel up' wireguard
check 'tunnel up: it works' grep -q '^wg0 works: last handshake [0-9]* s ago; a packet went into it$' <(check_of tunnel)
check_equal 'tunnel up: nothing of it is among the underlays' "$(json '.underlays[].name')" eth0
tunnel_down
verify 0 'tunnel down' wireguard
check_equal 'tunnel down: it says so' "$(check_of tunnel)" 'wg0 fails: it is down'
tunnel_link_up
# Whichever WireGuard it is; it would go on trying, and be answered by the kernel, which is counted.
ip -n vpn link set wgs0 down
stop wireguard-go-wgs0
verify 0 'no server' wireguard
check 'no server: it says so' grep -q '^wg0 \(fails\|works\): ' <(check_of tunnel)
tunnel_delete

dns=tunnel
check 'attach --dns tunnel --no-lan' attach --no-lan
dns=lan
verify 0 'no LAN' wireguard
check_equal 'no LAN: DNS' "$(by dns) $(by dns6)" \
	'stopped device dns-off-tunnel stopped device dns-off-tunnel'
check_equal 'no LAN: the gateway is not pinged' "$(check_of lan)" \
	'172.18.0.1 works: answers ARP; the policy does not let it be pinged'
check 'attach' attach

bed_sysctl wireguard ipv6/conf/eth0/disable_ipv6=1
verify 0 'no IPv6' wireguard
check_equal 'no IPv6: what needs an address' "$(rows 'not here')" \
	'tcp6 udp6 connected-udp6 icmpv6 raw6 mark6 fragments6 dns6 wireguard-stranger6'
check_equal 'no IPv6: what does not' "$(by packet6) $(by bypass6)" 'stopped device public stopped peer public'
bed_sysctl wireguard ipv6/conf/eth0/disable_ipv6=0
bed_address wireguard eth0 fd00:18::2/64
ip -n wireguard -6 route replace fd00:1::/64 via fd00:18::1
ip -n wireguard -6 route replace default via fd00:18::1

# --- another interface ------------------------------------------------------------------------------

bed_link host veth-two wireguard eth1
bed_address host veth-two 172.19.0.1/16
bed_address wireguard eth1 172.19.0.2/16
verify 4 'an interface without a layer' wireguard
check 'an interface without a layer: says which' grep -q 'eth1 has no .device. layer' <(doubts)
check_equal 'an interface without a layer: eth0 is sealed' "$(rows stopped | wc -w)" "$all_rows"
check 'an interface without a layer: it leaks' test \
	"$(json '[.underlays[]|select(.name=="eth1").rows[]|select(.result=="leaked")]|length')" -gt 10
check 'attach again' attach
verify 0 'two interfaces' wireguard
check_equal 'two interfaces: both are tried' "$(json '.underlays[]|"\(.name) \(.rows|length)"' | paste -sd,)" \
	"eth0 $all_rows,eth1 $all_rows"
ip -n wireguard link set eth1 down
verify 0 'one of them is down' wireguard
check_equal 'one of them is down: not tried' "$(json '.underlays[1]|"\(.rows|length) \(.detail)"')" \
	'0 it is down: nothing can leave by it now'
ip -n wireguard link delete eth1

# --- holes -----------------------------------------------------------------------------------------

rm "$EG_PIN_DIR"/wireguard/link_peer_* 2>/dev/null || in_ns host tc filter del dev veth-wg ingress pref 1
verify 4 'without peer' wireguard
check_equal 'without peer: what passes device by leaks' "$(rows leaked)" 'bypass bypass6 xdp xdp6'
check 'without peer: status is asked too' grep -q 'the guard is degraded' <(doubts)
check 'attach repairs' attach
verify 0 'repaired' wireguard

# `peer` still has it all, but the guard is not what it should be.
rm "$EG_PIN_DIR"/wireguard/link_device_* 2>/dev/null || in_ns wireguard tc filter del dev eth0 egress pref 1
verify 1 'without device' wireguard
check_equal 'without device: nothing leaks' "$(rows leaked)" ''
check_equal 'without device: peer stops it' "$(by udp)" 'stopped peer public'
check 'without device: why it is not called sealed' grep -q 'the guard is degraded' <(doubts)
check 'attach repairs' attach

# A guard whose settings somebody has changed: everything passes.
slot=$(bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/control" | jq '.[0].formatted.value.slot')
config=$(bed_bpftool -j map lookup pinned "$EG_PIN_DIR/wireguard/config" key hex "0$slot" 00 00 00 | jq -r '.value|map(ltrimstr("0x"))|join(" ")')
# shellcheck disable=SC2086 # bytes
bed_bpftool map update pinned "$EG_PIN_DIR/wireguard/config" key hex "0$slot" 00 00 00 value hex "0$((0x${config:0:2} | 1))" ${config:3}
verify 4 'a hole' wireguard
check_equal 'a hole: all leak' "$(rows leaked | wc -w)" "$all_rows"
check 'attach from the beginning' eg detach wireguard
check 'attach from the beginning' attach

# --- audit mode -------------------------------------------------------------------------------------

check 'attach --audit' attach --audit
fails 1 'audit' '--allow-leaks' wireguard
verify 4 'audit, --allow-leaks' wireguard --allow-leaks
check_equal 'audit: all leak' "$(rows leaked | wc -w)" "$all_rows"
check_equal 'audit: what would have been' "$(by udp) $(by bypass) $(by non-ip)" \
	'leaked device public leaked peer public leaked device ethertype'
check_equal 'audit: nothing is counted as real' \
	"$(eg status wireguard --json | jq -r '[.guards[0].counters.would_drop|to_entries[]|
		select(.value.packets > 0)|"\(.key) \(.value.packets)"]|join(", ")')" ''
check 'attach' attach

# --- cannot tell -------------------------------------------------------------------------------------

# A capture that is broken: a program takes every frame away before it.
cat >"$BED/blind.py" <<'PYTHON'
import ctypes, struct, sys
sys.path.insert(0, sys.argv[1])
import attack
code = attack.join(attack.move(0, 1), attack.EXIT)  # XDP_DROP
instructions = ctypes.create_string_buffer(code, len(code))
name = ctypes.create_string_buffer(b"GPL")
program = attack.bpf(attack.PROG_LOAD, struct.pack("IIQQIIQ", attack.XDP, len(code) // 8,
    ctypes.addressof(instructions), ctypes.addressof(name), 0, 0, 0))
path = ctypes.create_string_buffer(sys.argv[2].encode())
attack.bpf(attack.OBJ_PIN, struct.pack("QII", ctypes.addressof(path), program, 0))
PYTHON
blind=${EG_PIN_DIR%/*}/blind
python3 "$BED/blind.py" "$BED_SOURCE/tests/e2e" "$blind"
in_ns host ip link set veth-wg xdpgeneric pinned "$blind"
verify 1 'a broken capture' wireguard
check_equal 'a broken capture: nothing is called stopped' "$(rows stopped)" ''
table 1 'a broken capture' 'cannot tell: of 37 ways out that were tried, 0 are known to be closed' wireguard
check 'a broken capture: says why' grep -q 'was not seen at the far end' <(doubts)
eg detach wireguard >/dev/null
verify 1 'a broken capture, no guard' --netns wireguard
check_equal 'a broken capture, no guard: nothing is called stopped' "$(rows stopped)" ''
in_ns host ip link set veth-wg xdpgeneric off
rm "$blind"
verify 4 'no guard, the capture works again' --netns wireguard
check 'attach' attach

ip -n host link set veth-wg down
verify 1 'the far end is down' wireguard
ip -n host link set veth-wg up
wait_until 5 probe wireguard icmp 172.18.0.1 --timeout 200

check 'attach --allow 198.51.100.0/24' attach --allow 198.51.100.0/24
fails 1 'a policy that allows the test address' 'the policy allows the test address 198.51.100.222' wireguard
check 'attach' attach

# A resolver beyond the guard's reach.
# shellcheck disable=SC2016 # the inner shell's
start_in wireguard container unshare --mount -- sh -c 'mount -t tmpfs tmpfs /etc && echo nameserver 127.0.0.11 >/etc/resolv.conf && exec sleep 1000'
container_is_up() {
	[ "$(cat "/proc/${BED_PIDS[container]}/comm")" = sleep ]
}
wait_until 5 container_is_up
verify 1 "Docker's resolver" wireguard
check_equal "Docker's resolver: all else is stopped" "$(rows stopped | wc -w)" "$all_rows"
check "Docker's resolver: says so" grep -q '^dns is \(outside the guard\|not known\): ' <(doubts)
stop container KILL

# No far end in reach: another's namespace has it.
eg detach wireguard >/dev/null
ip -n wireguard tuntap add mode tap tap0
ip -n wireguard link set tap0 up
check 'attach --accept-device-only' attach --accept-device-only
verify 1 'an underlay without a far end' wireguard
check_equal 'an underlay without a far end: the veth is sealed' \
	"$(json '[.underlays[]|select(.name=="eth0").rows[]|select(.result=="stopped")]|length')" "$all_rows"
ip -n wireguard link delete tap0
eg detach wireguard >/dev/null

# --- who else ----------------------------------------------------------------------------------------

check 'attach' attach
held_at_work first "$EG" verify --pin-dir "$EG_PIN_DIR" wireguard --json
check_status 'two at once' 1 eg verify wireguard
kill -CONT "${BED_PIDS[first]}"
wait "${BED_PIDS[first]}" && status=0 || status=$?
unset 'BED_PIDS[first]'
check_equal 'two at once: the first goes on' "$status" 0

# Stopped half-way.
for signal in INT KILL; do
	# A background process of a script ignores SIGINT from its beginning.
	held_at_work killed python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$EG" verify --pin-dir "$EG_PIN_DIR" wireguard
	check "stopped by $signal: it is at work" running killed
	kill -"$signal" "${BED_PIDS[killed]}"
	stop killed CONT
	check_equal "stopped by $signal: it said nothing more" "$(cat "$BED/killed.log")" ''
	check "stopped by $signal: the next one works" wait_until 8 eg verify wireguard
done
check_equal 'nothing is left in the namespace' "$(configuration)" "$(cat "$BED/before")"
guard_counted wireguard >/dev/null
probe wireguard udp 203.0.113.7:7002 --timeout 50 >/dev/null || true
check_counted 'what comes then is real' dropped 'device public 1'

check_status 'no such guard' 3 eg verify nobody
check_status 'no such target' 3 eg verify --netns nobody

# --- the name means another namespace ----------------------------------------------------------------

ip netns delete wireguard
wait_until 5 bed_no_link host veth-wg
check_status 'the namespace is gone' 3 eg verify wireguard
bed_container ''
check_status 'a new namespace: the guard is not its' 1 eg verify wireguard
verify 4 'a new namespace: unguarded' --netns wireguard
check_equal 'a new namespace: no guard is named' "$(json .guard)" null

# --- nothing to try ----------------------------------------------------------------------------------

bed_namespace alone
verify 1 'no interface' --netns alone
check_equal 'no interface: why' "$(doubts)" \
	'there is no interface that leads out but tunnels, so there was nothing to try'
table 1 'no interface' 'cannot tell: of 0 ways out that were tried, 0 are known to be closed' --netns alone
check 'no interface: the table: why' grep -q 'there was nothing to try' "$BED/verify.txt"
ip -n alone link add down0 type veth peer name down1 netns host
verify 1 'all are down' --netns alone
check_equal 'all are down: why' "$(doubts)" 'every interface that leads out is down, so there was nothing to try'
ip netns delete alone
