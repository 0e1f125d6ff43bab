#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The layer `socket`: whose a blocked packet is, what is refused at once and what is not, and that
# namespaces without a guard have nothing of it.

export EGRESSGUARD_NO_SETSOCKOPT=0
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

SOCKETS=$BED_SOURCE/tests/e2e/sockets.py
PUBLIC=203.0.113.7
PUBLIC6=2001:db8:7::7
SHARED=$EG_PIN_DIR/_shared
UNDERLAY=eth0

# --- what is asked ---------------------------------------------------------------------------------

# last FILTER PROTO PORT: of the last event about that port.
last() {
	jq -r "select(.type==\"packet\" and .dport==$2)|$1" "$BED/watch.json" | tail -n 1
}

# seen PORT COMMAND...: runs it until the viewer has shown an event about that port.
seen() {
	local port=$1
	shift
	wait_until 10 sent_and_seen "$port" "$@" || {
		cat "$BED/watch.json" "$BED/watch.log"
		return 1
	}
}

sent_and_seen() {
	local port=$1
	shift
	"$@" || true
	grep -q "\"dport\": *${port}[,}]" "$BED/watch.json"
}

watch_start() {
	: >"$BED/watch.json"
	# shellcheck disable=SC2016 # the inner shell's
	start watch sh -c 'exec "$@" >"$0"' "$BED/watch.json" "$EG" events --pin-dir "$EG_PIN_DIR" --json
	# It watches once it shows something.
	check 'a viewer' seen 7000 probe wireguard udp "$PUBLIC:7000" --timeout 20
}

layer_state() { # [GUARD]
	eg status "${1:-wireguard}" --json | jq -r '.guards[0].layers[]|select(.name=="socket")|.state'
}

refusals() { # [VERDICT]: all that the layer has counted
	eg status wireguard --format prometheus |
		awk -v verdict="verdict=\"${1:-drop}\"" '/^egressguard_packets_total/ && /layer="socket"/ &&
			index($0, verdict) { n += $NF } END { print n + 0 }'
}

# dial NAMESPACE DESTINATION [OPTION...]: a TCP connect of a socket bound to the underlay.
dial() {
	local namespace=$1 destination=$2
	shift 2
	probe "$namespace" tcp "$destination" --bind "$UNDERLAY" --timeout 300 "$@"
}

# --- a process that holds sockets -------------------------------------------------------------------

holder() { # NAME NETNS
	mkfifo "$BED/$1.in"
	# shellcheck disable=SC2016 # the inner shell's
	start "$1" sh -c 'exec python3 "$1" hold "$2" <"$3"' - "$SOCKETS" "$2" "$BED/$1.in"
	exec {HOLDER}>"$BED/$1.in"
	wait_until 10 grep -q ready "$BED/$1.log"
}

tell() { # NAME LINE
	local before
	before=$(wc -l <"$BED/$1.log")
	echo "$2" >&"$HOLDER"
	wait_until 10 said_more "$1" "$before"
}

said_more() {
	[ "$(wc -l <"$BED/$1.log")" -gt "$2" ]
}

holder_end() {
	exec {HOLDER}>&-
	stop "$1" KILL
	rm "$BED/$1.in"
}

# --- before any guard ---------------------------------------------------------------------------------
bed_up
start_in wireguard sleeper sleep 600
box=$(printf box | sha256sum | cut -d ' ' -f 1)
start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/engine.sock" box=0
wait_until 10 test -S "$BED/engine.sock"
export DOCKER_HOST=unix://$BED/engine.sock CONTAINER_HOST=unix://$BED/none.sock

check 'without a guard: a bound connect goes through' dial wireguard "$PUBLIC:443"
check 'without a guard: the same with IPv6' dial wireguard "[$PUBLIC6]:443"
holder early wireguard

# --- in force -----------------------------------------------------------------------------------------
check 'attach' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
check_equal 'status: the layer' "$(layer_state)" attached
check_equal 'status: the guard' "$(state wireguard)" enforcing
check 'status, for people' sh -c "'$EG' status --pin-dir '$EG_PIN_DIR' | grep '  socket  attached'"
mapfile -t links < <(for link in "$SHARED"/link_*; do
	bpftool -j link show pinned "$link" | jq .id
done)
refuses=$(eg status wireguard --json | jq -r '.guards[0].layers[]|select(.name=="socket")|.detail|
	test("setsockopt")')
check_equal 'programs at the root' "${#links[@]}" "$([ "$refuses" = true ] && echo 4 || echo 3)"
watch_start

# --- whose it is ------------------------------------------------------------------------------------
as_box() { # WAY DESTINATION [OPTION...]: as user 1234, in the cgroup of a container; its PID in $BED/pid
	# shellcheck disable=SC2016 # the inner shell's
	in_scope "docker-$box.scope" "${BED_PIDS[sleeper]}" sh -c 'echo $$ >"$0"; exec "$@"' "$BED/pid" \
		setpriv --reuid 1234 --clear-groups --inh-caps=-all -- "$PROBE" "$@" --timeout 50
}

owner() { # PORT: as the last event about it says
	last '[.comm, .pid, .uid, .container, .attribution, .cgroup] | map(tostring) | join(" ")' "$1"
}

# The name of a container may be asked for yet when its first packet is shown.
box_is_known() {
	as_box udp "$PUBLIC:7001" || true
	grep -q '"container": *"box"' "$BED/watch.json"
}
wait_until 10 box_is_known
for way in 'udp 203.0.113.7:7002' 'tcp 203.0.113.7:7003' 'connected 203.0.113.7:7004' \
	'udp [2001:db8:7::7]:7005' 'tcp [2001:db8:7::7]:7006' 'tcp [::ffff:203.0.113.7]:7007'; do
	port=${way##*:}
	# shellcheck disable=SC2086 # words
	check "$way: an event" seen "$port" as_box $way
	check_equal "$way: its process and its container" "$(owner "$port")" \
		"probe $(cat "$BED/pid") 1234 box socket /$ENGINE_CGROUP/docker-$box.scope"
done
start people "$EG" events --pin-dir "$EG_PIN_DIR"
people_see() { # PATTERN COMMAND...
	local pattern=$1
	shift
	"$@" || true
	grep -q -- "$pattern" "$BED/people.log"
}
check 'events for people' wait_until 10 people_see ' udp, length 102, probe\[[0-9]*\] in box, layer device$' \
	as_box udp "$PUBLIC:7008"
check 'recent names it' sh -c "'$EG' status --pin-dir '$EG_PIN_DIR' --json |
	jq -e '.guards[0].recent[]|select(.dport==7002)|.comm==\"probe\" and .container==\"box\" and .pid>1'"

# --- sockets with a past ------------------------------------------------------------------------------
check 'opened before attach: an event' seen 7010 tell early "send $PUBLIC:7010"
check_equal 'opened before attach: nobody is named' \
	"$(last '[.pid, .comm, .attribution] | map(tostring) | join(" ")' 7010)" 'null null none'
check_equal 'opened before attach: but its cgroup' "$(last '.cgroup != null' 7010)" true
tell early "dial $PUBLIC:7011"
check 'opened before attach, connected since: an event' seen 7012 tell early "send $PUBLIC:7012"
check_equal 'opened before attach, connected since: who connected it' "$(owner 7012 | cut -d ' ' -f 1,2)" \
	"python3 ${BED_PIDS[early]}"
holder_end early

mount_point=$(engine_cgroup2)
holder mover wireguard
tell mover "cgroup $mount_point/$ENGINE_CGROUP/first"
tell mover 'new -'
tell mover "cgroup $mount_point/$ENGINE_CGROUP/second"
check 'moved to another cgroup: an event' seen 7020 tell mover "send $PUBLIC:7020"
check_equal 'moved to another cgroup: that of the moment the socket was made in' "$(last .cgroup 7020)" \
	"/$ENGINE_CGROUP/first"
tell mover 'leave lan'
check 'used from another namespace: an event' seen 7021 tell mover "send $PUBLIC:7021"
check_equal 'used from another namespace: its maker' "$(owner 7021 | cut -d ' ' -f 1,2)" \
	"python3 ${BED_PIDS[mover]}"
holder_end mover

# pass_on NETNS USER PORT: a socket made in NETNS, sent by from a process in USER.
pass_on() {
	rm -f "$BED/pass"
	start giver python3 "$SOCKETS" give "$1" "$BED/pass"
	wait_until 10 test -S "$BED/pass"
	in_ns "$2" python3 "$SOCKETS" take "$BED/pass" "$PUBLIC:$3"
}
check 'passed to another process: an event' seen 7022 pass_on wireguard lan 7022
check_equal 'passed to another process: its maker' "$(owner 7022 | cut -d ' ' -f 1)" python3
check_equal 'passed to another process: not who sent' "$(last .pid 7022)" "${BED_PIDS[giver]}"
capture=$BED/passed.pcap
start_in host tap tcpdump -i wan0 --immediate-mode -U -w "$capture" 'udp port 7023'
wait_until 10 grep -q listening "$BED/tap.log"
pass_on lan wireguard 7023
check 'passed in from another namespace: leaves by that one' \
	wait_until 5 sh -c "tcpdump -r '$capture' 2>/dev/null | grep -q 192.168.1.10"
check 'passed in from another namespace: is no matter of the guard' sh -c "! grep -q ':7023,' '$BED/watch.json'"
stop tap

# A server's answers are its own, from the first one on.
start_in wireguard server python3 -c 'import socket, time
s = socket.create_server(("172.18.0.2", 7030)); time.sleep(600)'
wait_until 10 in_ns wireguard grep -q :1B76 /proc/net/tcp
asks() {
	probe internet tcp 172.18.0.2:7030 --timeout 50 --sport 7031
}
check 'an answer to a stranger: an event' seen 7031 asks
check_equal 'an answer to a stranger: the server is named' "$(owner 7031 | cut -d ' ' -f 1,2)" \
	"python3 ${BED_PIDS[server]}"
stop server

check 'a packet socket: an event' seen 7040 probe wireguard packet "$PUBLIC:7040" --interface eth0 \
	--mac "$BED_HOST_MAC" --source 172.18.0.2
check_equal 'a packet socket: nobody is named' "$(last .attribution 7040)" none

# --- what is refused ------------------------------------------------------------------------------------
before=$(refusals)
check_status 'bound, TCP: refused' 3 dial wireguard "$PUBLIC:443"
check_status 'bound, IPv6: refused' 3 dial wireguard "[$PUBLIC6]:443"
check_status 'bound, IPv4 by way of IPv6: refused' 3 dial wireguard "[::ffff:$PUBLIC]:443"
check_status 'bound, connected UDP: refused' 3 probe wireguard connected "$PUBLIC:443" --bind eth0
check_equal 'each is counted' "$(($(refusals) - before))" 4
check 'an event' seen 7050 dial wireguard "$PUBLIC:7050"
check_equal 'the event' "$(last '[.layer, .reason, .verdict, .ifname, .comm, .dst, .proto, .attribution] |
	join(" ")' 7050)" "socket public drop eth0 probe $PUBLIC tcp socket"
check 'recent has it' sh -c "'$EG' status --pin-dir '$EG_PIN_DIR' | grep '$PUBLIC.7050.*layer socket'"
before=$(refusals)
many() {
	local i pids=()
	for i in 1 2 3 4; do
		in_ns wireguard python3 "$SOCKETS" dials 500 "$PUBLIC:443" eth0 >"$BED/dials.$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	[ "$(cat "$BED"/dials.* | sort -u)" = 500 ]
}
check 'two thousand, four at a time' many
check_equal 'are counted as two thousand' "$(($(refusals) - before))" 2000
before=$(refusals)
check 'bound, to the LAN: connects' dial wireguard 192.168.1.10:80
check 'bound, to the LAN, IPv6: connects' dial wireguard '[fd00:1::10]:80'
check 'bound, to the endpoint: may be WireGuard' in_ns wireguard python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 25, b'eth0\0')
s.connect(('203.0.113.9', 51820))"
check 'bound, to its own address' in_ns wireguard python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 25, b'eth0\0')
s.connect(('172.18.0.2', 9))"
check_status 'not bound: not this layer'"'s to say" 1 probe wireguard tcp "$PUBLIC:443" --timeout 200
check_equal 'none of these is counted' "$(($(refusals) - before))" 0
tunnel_up
UNDERLAY=wg0
check 'bound to the tunnel: connects' dial wireguard "$PUBLIC:443" --timeout 2000
UNDERLAY=eth0
check 'a policy is one for all layers' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan \
	--deny 192.168.1.10
check_status 'what it denies is refused' 3 dial wireguard 192.168.1.10:80

# --- round tc egress ------------------------------------------------------------------------------------
past() { # NETNS [OPTION...]: a packet socket past the qdisc
	local netns=$1
	shift
	probe "$netns" bypass "$PUBLIC:7070" --interface eth0 --mac "$BED_HOST_MAC" --source 172.18.0.2 "$@"
}
if [ "$refuses" = true ]; then
	before=$(refusals)
	check_status 'past the qdisc: refused' 3 past wireguard
	check_equal 'past the qdisc: is counted' "$(($(refusals) - before))" 1
	check 'past the qdisc: an event' wait_until 10 grep -q '"reason":"qdisc-bypass"' "$BED/watch.json"
	check 'past the qdisc: for people' wait_until 10 grep -q \
		"DROP qdisc-bypass - a packet socket's PACKET_QDISC_BYPASS, probe\[" "$BED/people.log"
	check_equal 'past the qdisc: the event' "$(jq -r 'select(.reason=="qdisc-bypass")|[.layer, .verdict, .comm,
		.attribution, .dst, .ifindex, .ethertype, .length]|map(tostring)|join(" ")' "$BED/watch.json" | tail -n 1)" \
		'socket drop probe socket null null null null'
	check 'past the qdisc: a namespace without a guard may' past lan
	check 'a packet socket with the option off' in_ns wireguard python3 -c "import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); s.setsockopt(263, 20, 0)"
else
	check 'past the qdisc: where the kernel cannot refuse, peer drops it' past wireguard
fi
# Options larger than what a program is shown: a table of a thousand rules.
if command -v iptables-legacy-restore >/dev/null; then
	{
		echo '*filter'
		for ((i = 0; i < 1000; i++)); do
			echo "-A OUTPUT -d 203.0.113.200 -p udp --dport $((i + 1)) -j ACCEPT"
		done
		echo COMMIT
	} >"$BED/rules"
	check 'a large option, in a guarded namespace' in_ns wireguard iptables-legacy-restore "$BED/rules"
	check 'a large option, in another' in_ns lan iptables-legacy-restore "$BED/rules"
	check_equal 'a large option: all of it' "$(in_ns lan iptables-legacy-save | grep -c -- --dport)" 1000
	in_ns wireguard iptables-legacy -F OUTPUT
fi

# --- audit ------------------------------------------------------------------------------------------------
check 'audit' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --audit --replace
tunnel_down
check 'audit: a bound connect goes through' dial wireguard "$PUBLIC:443"
check 'audit: and is counted' test "$(refusals would-drop)" -ge 1
check 'audit: an event of peer' seen 7060 probe wireguard udp "$PUBLIC:7060" --timeout 50
check_equal 'audit: peer names it too' \
	"$(jq -r 'select(.dport==7060 and .layer=="peer")|.comm' "$BED/watch.json" | sort -u)" probe
check 'enforcing again' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan

# --- other namespaces -----------------------------------------------------------------------------------
check 'a namespace without a guard: a bound connect goes through' dial lan "$PUBLIC:443"
check_equal 'a guarded one: its sockets are known' \
	"$(in_ns wireguard python3 "$SOCKETS" storage "$EG_PIN_DIR/wireguard/owners" wireguard |
		awk '$2 == $4 { print "known" }')" known
check_equal 'a namespace without a guard: no storage' \
	"$(python3 "$SOCKETS" storage "$EG_PIN_DIR/wireguard/owners" lan)" unknown
check 'a second guard' eg attach --netns lan --name second --endpoint "$BED_ENDPOINT" --dns lan \
	--accept-device-only
check_status 'the second: refused' 3 dial lan "$PUBLIC:443"
check_equal 'the second: has the layer' "$(layer_state second)" attached
check_equal 'its sockets are not the first one'"'s" \
	"$(python3 "$SOCKETS" storage "$EG_PIN_DIR/wireguard/owners" lan)" unknown
mkdir -p "$EG_PIN_DIR-other"
"$EG" attach --pin-dir "$EG_PIN_DIR-other" --netns internet --accept-device-only --endpoint "$BED_ENDPOINT" \
	--dns lan >/dev/null 2>&1
check 'a set of its own for another pin directory' test -e "$EG_PIN_DIR-other/_shared/link_connect4"
check 'detach of the second' eg detach second
"$EG" detach --pin-dir "$EG_PIN_DIR-other" --all >/dev/null
check 'the other directory is empty' rmdir "$EG_PIN_DIR-other"
check 'the second: free again' dial lan "$PUBLIC:443"
check_status 'the first: refused still' 3 dial wireguard "$PUBLIC:443"
check_equal 'the first: whole' "$(state wireguard)" enforcing

# --- what somebody has taken away ------------------------------------------------------------------------
for pin in link_connect4 prog_connect6 calls_sock_create cookies shared_meta; do
	rm "$SHARED/$pin"
	check_equal "without $pin: degraded" "$(state wireguard)" degraded
	check "without $pin: attach mends" eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
	check_equal "without $pin: whole again" "$(state wireguard)" enforcing
	check_status "without $pin: refuses again" 3 dial wireguard "$PUBLIC:443"
done
rm -r "${SHARED:?}"/*
rmdir "$SHARED"
check_equal 'without any of it: degraded' "$(state wireguard)" degraded
check 'without any of it: attach mends' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
check_status 'without any of it: refuses again' 3 dial wireguard "$PUBLIC:443"
check_equal 'status, after all of it' "$(layer_state) $(state wireguard)" 'attached enforcing'

# --- where it cannot be ------------------------------------------------------------------------------------
check 'detach' eg detach wireguard
check_equal 'nothing is left' "$(find "$EG_PIN_DIR" -mindepth 1)" ''
# PID 1's mounts are looked at too, so its list is hidden.
# shellcheck disable=SC2016 # the inner shell's
without_cgroup2() {
	unshare --mount --propagation private -- sh -c 'awk "/ - cgroup2 / { print \$5 }" /proc/self/mountinfo |
		tac | while read -r mounted; do umount -l "$mounted"; done
		mount --bind /dev/null /proc/1/mountinfo; exec "$@"' - "$@"
}
check 'without cgroup v2: attach' without_cgroup2 "$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard \
	--endpoint "$BED_ENDPOINT" --dns lan
cp "$BED/check.out" "$BED/without.out"
check 'without cgroup v2: it says so' grep 'the layer socket is not available: no cgroup v2' "$BED/without.out"
check_equal 'without cgroup v2: in force all the same' "$(state wireguard)" enforcing
check_equal 'without cgroup v2: not available' "$(layer_state)" 'not available'
check_status 'without cgroup v2: nothing leaves' 1 dial wireguard "$PUBLIC:443"
check 'attach from where there is one' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
check_equal 'has the layer' "$(layer_state)" attached
check_status 'refuses' 3 dial wireguard "$PUBLIC:443"
check 'attach from where there is none, once more' without_cgroup2 "$EG" attach --pin-dir "$EG_PIN_DIR" \
	--netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
check_equal 'keeps the layer' "$(layer_state)" attached

# --- the end ----------------------------------------------------------------------------------------------
mapfile -t -O "${#links[@]}" links < <(for link in "$SHARED"/link_*; do
	bpftool -j link show pinned "$link" | jq .id
done)
check 'detach at the end' eg detach wireguard
check_equal 'nothing is left of it' "$(find "$EG_PIN_DIR" -mindepth 1)" ''
check 'a bound connect goes through again' dial wireguard "$PUBLIC:443"
gone() {
	local link
	for link in "${links[@]}"; do
		! bpftool link show id "$link" >/dev/null 2>&1 || return 1
	done
}
check 'no program is left at the root' wait_until 5 gone
