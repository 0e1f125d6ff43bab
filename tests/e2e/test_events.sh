#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run-alone: counts what a viewer keeps up with.
# `events` and `status` on a guard whose tunnel is not there: everything public is blocked.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
bed_up

attach() {
	eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan "$@" >"$BED/attach.log" 2>&1
}

# watch NAME ARGUMENT...: a viewer in the background, once it is there. Output in $BED/NAME.log, what
# it says on stderr in $BED/NAME.err.
watch() {
	local name=$1 before
	shift
	before=$(viewers wireguard)
	# shellcheck disable=SC2016 # the inner shell's
	start "$name" sh -c 'err=$1; shift; exec "$@" 2>"$err"' - "$BED/$name.err" \
		"$EG" events --pin-dir "$EG_PIN_DIR" "$@"
	# One that takes a dead one's place makes no difference.
	wait_until 3 more_viewers wireguard "$before" || true
}

# ended NAME: waits for a viewer to end by itself, and gives its status.
ended() {
	local status=0
	wait_until 10 not_running "$1" || { echo "$1 goes on"; return 1; }
	wait "${BED_PIDS[$1]}" || status=$?
	unset "BED_PIDS[$1]"
	[ "$status" = 0 ] || { echo "$1 ended with $status"; cat "$BED/$1.err"; return 1; }
}

not_running() {
	! running "$1"
}

# send N: as many packets to the internet, all blocked.
send() {
	probe wireguard udp 203.0.113.7:443 --count "$1" --timeout 1 --gap "${2:-0}" >/dev/null || true
}

said() { # NAME PATTERN
	grep -q -- "$2" "$BED/$1.err" || { cat "$BED/$1.err"; return 1; }
}

check 'attach before there is a tunnel' attach

# --- what is shown ---------------------------------------------------------------------------------

watch text --count 3
watch json --json --count 3 --pcap "$BED/blocked.pcapng"
watch other --reason private --duration 3
send 1
probe wireguard tcp '[2001:db8:7::7]:443' --timeout 50 >/dev/null || true
probe wireguard icmp 203.0.113.7 --timeout 50 >/dev/null || true
check 'events --count ends' ended text
check 'events --json --count ends' ended json
time_re='^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]\{6\}'
sender='probe\[[1-9][0-9]*\], layer device$'
check 'a line: IPv4, UDP' grep -q \
	"$time_re DROP public eth0 172\.18\.0\.2\.[0-9]* > 203\.0\.113\.7\.443: udp, length 102, $sender" "$BED/text.log"
check 'a line: IPv6, TCP' grep -q \
	"$time_re DROP public eth0 fd00:18::2\.[0-9]* > 2001:db8:7::7\.443: tcp S, length 94, $sender" "$BED/text.log"
check 'a line: ICMP' grep -q \
	"$time_re DROP public eth0 172\.18\.0\.2 > 203\.0\.113\.7: icmp echo request, length [0-9]*, $sender" "$BED/text.log"
check_equal 'no other line' "$(wc -l <"$BED/text.log")" 3
check 'how many were shown and lost' said text '3 events shown, 0 lost'
check_equal 'an object a line' \
	"$(jq -r '[.type,.guard,.verdict,.reason,.layer,.ifname,.family,.proto,.dst,.dport]|@csv' "$BED/json.log")" \
	'"packet","wireguard","drop","public","device","eth0","ipv4","udp","203.0.113.7",443
"packet","wireguard","drop","public","device","eth0","ipv6","tcp","2001:db8:7::7",443
"packet","wireguard","drop","public","device","eth0","ipv4","icmp","203.0.113.7",'
now=$(date +%s)
check_equal 'times are those of the wall clock' "$(jq -r '.time|sub("\\.[0-9]*Z";"Z")|fromdate' \
	"$BED/json.log" | awk -v now="$now" '{ if ($1 < now - 10 || $1 > now + 1) n++ } END { print n + 0 }')" 0
check_equal 'a capture that tcpdump reads' \
	"$(tcpdump -n -r "$BED/blocked.pcapng" 2>/dev/null | sed 's/^.* > \([^,]*\),.*/\1/')" \
	'203.0.113.7.443: UDP
2001:db8:7::7.443: Flags [S]
203.0.113.7: ICMP echo request'
check 'events --duration ends' ended other
check_equal '--reason filters' "$(wc -c <"$BED/other.log")" 0
check 'and says so' said other '0 events shown, 0 lost'
eg events --pcap - --count 1 2>/dev/null | tcpdump -n -r - >"$BED/piped.log" 2>/dev/null &
piped=$!
sleep 1
send 1
wait "$piped" || true
check 'a capture through a pipe' grep -q '203.0.113.7.443: UDP' "$BED/piped.log"

# --- how it ends -----------------------------------------------------------------------------------

watch interrupted
send 2
kill -INT "${BED_PIDS[interrupted]}"
check 'Ctrl-C ends it with 0' ended interrupted
check 'what came before Ctrl-C was shown' said interrupted '2 events shown, 0 lost'
check_equal 'and is whole' "$(grep -c 'layer device$' "$BED/interrupted.log")" 2

status=0
(
	set +e
	eg events 2>"$BED/pipe.err" | head -n 1 >"$BED/pipe.log"
	echo "${PIPESTATUS[0]}" >"$BED/pipe.status"
) &
piped=$!
sleep 1
send 1
wait_until 5 test -s "$BED/pipe.status" || kill "$piped" 2>/dev/null || true
wait "$piped" || true
check_equal 'a reader that goes ends it, and nothing has to come for that' \
	"$(cat "$BED/pipe.status")$(cat "$BED/pipe.err")" 0

# shellcheck disable=SC2016 # the inner shell's
start full sh -c 'exec "$@" >/dev/full' - "$EG" events --pin-dir "$EG_PIN_DIR"
sleep 1
send 1
wait_until 5 not_running full || true
status=0
wait "${BED_PIDS[full]}" || status=$?
check_equal 'a full disk is a failure' "$status" 1
check 'and says so' grep -q 'No space left' "$BED/full.log"

# --- as fast as they come ------------------------------------------------------------------------------

blocked() {
	eg status --json | jq '.guards[0].counters.dropped.public.packets'
}
before=$(blocked)
shown=
watch flood
watch flood-json --json
send 200000
sleep 0.5
for viewer in flood flood-json; do
	kill -INT "${BED_PIDS[$viewer]}"
	check "$viewer: Ctrl-C in or after a flood" ended "$viewer"
	read -r shown lost <<<"$(sed -n 's/.*: \([0-9]*\) events\{0,1\} shown, \([0-9]*\) lost/\1 \2/p' "$BED/$viewer.err")"
	check_equal "$viewer: shown and lost are all that were blocked" \
		"$((shown + lost))" "$(($(blocked) - before))"
	echo "$viewer: $shown shown, $lost lost"
done
check_equal 'flood: as many lines as it says' "$(grep -c 'layer device$' "$BED/flood.log")" \
	"$(sed -n 's/.*: \([0-9]*\) events\{0,1\} shown.*/\1/p' "$BED/flood.err")"
check_equal 'flood-json: every line is an object' \
	"$(jq -r 'select(.type=="packet")|.dst' "$BED/flood-json.log" | wc -l)" "$shown"
rm "$BED/flood.log" "$BED/flood-json.log"

# --- a viewer that is killed -------------------------------------------------------------------------

for viewer in {1..17}; do
	watch "killed$viewer" --count 1000000 >/dev/null
	stop "killed$viewer" KILL
done
sleep 3.2
check 'killed viewers leave their places' eg events --duration 0.1

# --- the guard changes ---------------------------------------------------------------------------------

watch changing --json
check 'a wider policy' attach --replace --allow 203.0.113.8
send 1
sleep 1.5
check 'the viewer goes on' running changing
check 'the guard is taken away' eg detach wireguard
check 'events ends then' ended changing
check_equal 'and says why' "$(jq -r '.type + " " + (.state // .reason)' "$BED/changing.log")" \
	'packet public
state detached'

# --- another guard of the same name --------------------------------------------------------------------

# More endpoints than the guard has room for: it is made anew beside the old one.
{
	echo '[WireGuard]'
	for port in $(seq 140); do
		echo "Endpoint = 203.0.113.9:$port"
	done
} >"$BED/many.conf"
shown() { # LOG PATTERN
	grep -q -- "$2" "$BED/$1.log"
}
check 'attach for a viewer that outlives it' attach
made=$(stat -c %i "$EG_PIN_DIR/wireguard/meta")
watch renewed --json
send 1
check 'the old guard has a viewer' wait_until 10 shown renewed '"public"'
check 'a policy that takes a new guard' attach --replace --policy "$BED/many.conf"
check 'it is a new one' test "$made" != "$(stat -c %i "$EG_PIN_DIR/wireguard/meta")"
check 'the viewer says so' wait_until 10 shown renewed '"replaced"'
send 1
renewed_shows() {
	[ "$(jq -r '.type + " " + (.state // .reason)' "$BED/renewed.log")" = 'packet public
state replaced
packet public' ]
}
check 'and shows what the new guard blocks' wait_until 10 renewed_shows
check 'the new guard is taken away' eg detach wireguard
check 'and the viewer ends' ended renewed

# --- status ------------------------------------------------------------------------------------------

check 'attach again' attach
check_equal 'status: enforcing' "$(state wireguard)" enforcing
check 'status --check' eg status wireguard --check
check_equal 'status --netns' "$(eg status --json --netns wireguard | jq -r '.guards[0].name')" wireguard
check 'status --format prometheus' grep -q \
	'^egressguard_guard_state{guard="wireguard",state="enforcing"} 1$' <(eg status --format prometheus)
check_equal 'status: keys' "$(eg status --json | jq -r '.guards[0]|keys_unsorted|join(" ")')" \
	'name target mode state detail since target_started unguarded_seconds tunnel tunnels tunnel_state endpoints dns dns_detail dns_resolver dns_refused holds_against hidden layers notes counters recent policy'
check_equal 'status: the tunnel is not there' "$(eg status --json | jq -r '.guards[0].tunnel_state')" 'wg0 absent'
check_equal 'status: what it holds against' "$(eg status --json | jq -r '.guards[0].holds_against')" \
	'processes without NET_ADMIN'
send 3
check_equal 'status: recent' \
	"$(eg status --json | jq -c '.guards[0].recent[]|select(.dport==443)|[.dst,.proto,.reason,.layer,.packets]')" \
	'["203.0.113.7","udp","public","device",3]'
ip -n wireguard link add more type veth peer name more-host netns host
check_equal 'status: an interface that is not covered' "$(state wireguard)" degraded
check 'and says which' grep -q '^wireguard: degraded: more has no .device. layer' <(eg status)
check_status 'status --check' 1 eg status --check
ip -n wireguard link delete more
ip -n wireguard link add wg0 type veth peer name wg0-host netns host
check 'status: a tunnel that is none' grep -q 'wg0 is declared as the tunnel, but is none' <(eg status)
ip -n wireguard link delete wg0
check_equal 'policy show is a policy file' "$(eg policy show wireguard >"$BED/shown.conf" &&
	"$EG" policy check "$BED/shown.conf")" "$BED/shown.conf: ok (0 rules, 0 denied prefixes, 1 endpoint)"
check 'explain GUARD' grep -q '^DROP public: ' <(eg explain wireguard tcp 203.0.113.7:443)
check 'audit' attach --replace --audit
check_equal 'status: audit' "$(state wireguard)" audit
watch audit --count 1
send 1
check 'audit: events' ended audit
check 'audit: would-drop' grep -q ' WOULD-DROP public eth0 ' "$BED/audit.log"

# --- two guards, and a namespace that goes ---------------------------------------------------------------

check 'a second guard' eg attach --netns lan --endpoint "$BED_ENDPOINT" --dns lan
status=0
eg events 2>"$BED/which.err" || status=$?
check_equal 'events: which one?' "$status" 2
check 'and lists them' grep -q 'which guard? There are: lan, wireguard$' "$BED/which.err"
watch gone wireguard --json
ip netns delete wireguard
check 'events ends with the namespace' ended gone
check_equal 'and says why' "$(tail -n 1 "$BED/gone.log" | jq -r '.type + " " + .state')" 'state gone'
check_equal 'status: gone' "$(state wireguard)" gone
check_status 'status --check: gone' 1 eg status wireguard --check
ip netns add wireguard
check_equal 'status: another namespace of that name' "$(state wireguard)" unguarded
check 'detach all' eg detach --all

# The guard stays in force where it was made: something still runs there.
eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan >/dev/null
start_in wireguard holder sleep 300
check_equal 'status: it holds' "$(eg status wireguard --json | jq '.guards[0].holds_against != null')" true
ip netns delete wireguard
ip netns add wireguard
check_equal 'status: another namespace, beside the one that it is on' "$(state wireguard)" unguarded
check_equal 'status: it holds nobody there' \
	"$(eg status wireguard --json | jq -c '.guards[0].holds_against')" null
check 'detach it' eg detach --all
