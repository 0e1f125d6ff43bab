#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Counting and watching: N blocked packets count N, in each layer; every viewer sees each event or
# counts it as lost; what was blocked while nobody watched is told afterwards.
# run-alone: counts what viewers keep up with.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

packet=(--interface eth0 --mac "$BED_HOST_MAC" --source 172.18.0.2)
attach=(attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan)

send() {
	probe wireguard "$@" --timeout 1 >/dev/null || true
}

# counts NAME WANTED COMMAND...: what the command sends is counted as exactly this.
counts() {
	local name=$1 wanted=$2
	shift 2
	guard_counted wireguard >/dev/null
	"$@"
	check_equal "$name" "$(guard_counted wireguard "$verdict" | paste -sd,)" "$wanted"
}

watch() { # NAME ARGUMENT...
	local name=$1
	shift
	# shellcheck disable=SC2016 # the inner shell's
	start "$name" sh -c 'err=$1; shift; exec "$@" 2>"$err"' - "$BED/$name.err" \
		"$EG" events --pin-dir "$EG_PIN_DIR" "$@"
	wait_until 5 more_viewers wireguard $((viewers++))
}

# ended NAME: waits until a viewer ends by itself.
ended() {
	local status=0
	wait_until 20 not_running "$1" || { echo "$1 goes on"; return 1; }
	wait "${BED_PIDS[$1]}" || status=$?
	unset "BED_PIDS[$1]"
	viewers=$((viewers - 1))
	[ "$status" = 0 ] || { echo "status $status"; cat "$BED/$1.err"; return 1; }
}

not_running() {
	! running "$1"
}

lost_of_slots() {
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/viewer_lost" | jq -c '[.[].formatted.value]'
}

viewers=0
bed_up
check 'attach' eg "${attach[@]}"

# --- exact ---------------------------------------------------------------------------------------

verdict=dropped
counts 'IPv4' 'device public 1000' send udp 203.0.113.7:7001 --count 1000
counts 'IPv6' 'device public 1000' send udp '[2001:db8:7::7]:7001' --count 1000
counts 'past the qdisc' 'peer public 1000' send bypass 203.0.113.7:7002 --count 1000 "${packet[@]}"
counts 'reasons apart' 'device private 300' send udp 169.254.169.254:7003 --count 300
counts 'segments' 'device public 600' send udp 203.0.113.7:7004 --count 100 --size 6000 --segment 1000
counts 'segments, the last one short' 'device public 700' \
	send udp 203.0.113.7:7004 --count 100 --size 6001 --segment 1000
counts 'segments, IPv6' 'device public 600' \
	send udp '[2001:db8:7::7]:7004' --count 100 --size 6000 --segment 1000
two_processors() {
	send udp 203.0.113.7:7005 --count 50000 &
	local other=$!
	send bypass 203.0.113.7:7005 --count 50000 "${packet[@]}"
	wait "$other"
}
counts 'two at a time' 'device public 50000,peer public 50000' two_processors

check 'attach --audit' eg "${attach[@]}" --replace --audit
verdict=would_drop
counts 'audit: each layer' 'device public 1000,peer public 1000' \
	send udp 203.0.113.7:7001 --count 1000 --gap 20
counts 'audit: segments' 'device public 600,peer public 600' \
	send udp 203.0.113.7:7004 --count 100 --size 6000 --segment 1000 --gap 100
counts 'audit: segments, IPv6' 'device public 600,peer public 600' \
	send udp '[2001:db8:7::7]:7004' --count 100 --size 6000 --segment 1000 --gap 100
verdict=dropped
check 'attach' eg "${attach[@]}" --replace
sleep 1.1 # until a drop at `peer` counts as an attempt to get past again

# --- viewers -------------------------------------------------------------------------------------

watch one --json --count 1000
watch two --json --count 1000
send udp 203.0.113.7:7006 --count 400 --gap 20
send udp '[2001:db8:7::7]:7006' --count 300 --gap 20
send bypass 203.0.113.7:7006 --count 300 --gap 20 "${packet[@]}"
check 'two viewers: --count ends the first' ended one
check 'two viewers: --count ends the second' ended two
for viewer in one two; do
	check_equal "two viewers: $viewer sees each" \
		"$(jq -r '[.type,.family,.layer,.reason,.dport|tostring]|join(" ")' "$BED/$viewer.log" | LC_ALL=C sort | uniq -c | awk '{$1 = $1; print}' | paste -sd,)" \
		'400 packet ipv4 device public 7006,300 packet ipv4 peer public 7006,300 packet ipv6 device public 7006'
done
# Each finds out for itself what the wall clock said at the kernel's time, a little later or earlier.
check 'two viewers: and the same' cmp <(jq -c 'del(.time)' "$BED/one.log") <(jq -c 'del(.time)' "$BED/two.log")
check_equal 'every key that is promised is there' \
	"$(jq -c '["type","time","guard","verdict","reason","layer","ifname","ifindex","family","proto","src",
		"sport","dst","dport","length","tcp_flags","pid","comm","uid","cgroup","container",
		"container_id","attribution"] - keys' "$BED/one.log" | sort -u)" '[]'
check_equal 'what is not known is null' \
	"$(jq -c '[.container,.container_id,.tcp_flags]' "$BED/one.log" | sort -u)" '[null,null,null]'
check_equal 'nor is the process that has a packet socket' \
	"$(jq -c 'select(.layer=="peer")|[.pid,.comm]' "$BED/one.log" | sort -u)" '[null,null]'
check_equal 'times never go back' \
	"$(jq -r .time "$BED/one.log" | LC_ALL=C sort -c 2>&1)" ''
watch reason --json --reason private --count 3
send udp 203.0.113.7:7007 --count 5
send udp 169.254.169.254:7007 --count 3
check '--reason' ended reason
check_equal '--reason: only these' "$(jq -r .reason "$BED/reason.log" | sort | uniq -c | awk '{print $1, $2}')" \
	'3 private'
watch duration --duration 0.5
check '--duration' ended duration

# --- a viewer that is killed ---------------------------------------------------------------------

watch killed --json
send udp 203.0.113.7:7008 --count 3
stop killed KILL
sleep 3.2
before=$(lost_of_slots)
send udp 203.0.113.7:7008 --count 50000
check_equal 'a killed viewer: nothing is built for it any more' "$(lost_of_slots)" "$before"
viewers=0
slots=()
for slot in {1..16}; do
	watch "slot$slot" --json --count 1 >/dev/null
	slots+=("slot$slot")
done
check_status 'a killed viewer: its place is used again, all 16 are taken' 1 eg events --duration 0.1
send udp 203.0.113.7:7008
for slot in "${slots[@]}"; do
	ended "$slot" || fail "a killed viewer: $slot sees the event"
done
check 'a killed viewer: 16 others see the event' test "$(cat "$BED"/slot*.log | wc -l)" = 16

# --- a flood -------------------------------------------------------------------------------------

viewers=0
watch flood --json
watch other
guard_counted wireguard >/dev/null
flood=()
for sender in 'udp 203.0.113.7:7009' 'udp [2001:db8:7::7]:7009' "bypass 203.0.113.7:7009 ${packet[*]}" \
	'udp 169.254.169.254:7009'; do
	# shellcheck disable=SC2086 # several words
	send $sender --count 60000 &
	flood+=("$!")
done
wait "${flood[@]}"
check_equal 'a flood: the counters' "$(guard_counted wireguard dropped | paste -sd,)" \
	'device private 60000,device public 120000,peer public 60000'
sleep 1
for viewer in flood other; do
	kill -INT "${BED_PIDS[$viewer]}"
	check "a flood: $viewer ends" ended "$viewer"
	read -r shown lost <<<"$(sed -n 's/.*: \([0-9]*\) events\{0,1\} shown, \([0-9]*\) lost/\1 \2/p' "$BED/$viewer.err")"
	check_equal "a flood: $viewer: shown and lost are what was blocked" "$((shown + lost))" 240000
	echo "$viewer: $shown shown, $lost lost"
done
check_equal 'a flood: lost ones are told in the stream' \
	"$(jq -s 'map(if .type == "lost" then .lost else 1 end)|add' "$BED/flood.log")" 240000
rm "$BED/flood.log" "$BED/other.log"

# --- what leaked while nobody watched ----------------------------------------------------------------

check 'detach' eg detach wireguard
check 'attach anew' eg "${attach[@]}"
send udp 203.0.113.7:7010 --count 5
send udp 203.0.113.7:7011 --count 6
send udp '[2001:db8:7::7]:7010' --count 7
send bypass 203.0.113.7:7010 --count 8 "${packet[@]}"
probe wireguard tcp 203.0.113.7:7012 --timeout 50 >/dev/null || true
send udp 169.254.169.254:7010 --count 9
check_equal 'recent: all of it' "$(eg status --json | jq -r '.guards[0].recent[]|
	[.dst,.dport,.proto,.reason,.layer,.packets|tostring]|join(" ")' | LC_ALL=C sort)" \
	"$(printf '%s\n' '169.254.169.254 7010 udp private device 9' '203.0.113.7 7010 udp public device 5' \
		'203.0.113.7 7010 udp public peer 8' '203.0.113.7 7011 udp public device 6' \
		'203.0.113.7 7012 tcp public device 1' '2001:db8:7::7 7010 udp public device 7' | LC_ALL=C sort)"
