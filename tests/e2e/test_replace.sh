#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A policy is replaced in one step: under constant traffic no packet is judged by half of one. What
# both policies allow never loses a packet, what neither allows never passes one.
# $EG_REPLACES: how often (each takes a second, the time before the old tables are used again).
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

REPLACES=${EG_REPLACES:-30}

declare -A destinations=(
	[both]=203.0.113.21:7001 [first]=203.0.113.22:7001 [second]=203.0.113.23:7001
	[neither]=203.0.113.24:7001
	[both6]='[2001:db8:7::21]:7001' [neither6]='[2001:db8:7::24]:7001'
)

bed_up
bed_address internet lo 203.0.113.{21,22,23,24}/32 2001:db8:7::{21,24}/128
# Not a capture, which may lose some.
in_ns internet nft -f - <<'END'
table inet arrived {
	counter both {}
	counter first {}
	counter second {}
	counter neither {}
	counter both6 {}
	counter neither6 {}
	chain in {
		type filter hook prerouting priority -500;
		ip daddr 203.0.113.21 udp dport 7001 counter name both drop
		ip daddr 203.0.113.22 udp dport 7001 counter name first drop
		ip daddr 203.0.113.23 udp dport 7001 counter name second drop
		ip daddr 203.0.113.24 udp dport 7001 counter name neither drop
		ip6 daddr 2001:db8:7::21 udp dport 7001 counter name both6 drop
		ip6 daddr 2001:db8:7::24 udp dport 7001 counter name neither6 drop
	}
}
END

arrived() {
	in_ns internet nft -j list counter inet arrived "$1" | jq '.nftables[]|select(.counter)|.counter.packets'
}

# talk NAME: until $BED/talk is gone; how much it sent is in $BED/NAME.sent.
talk() {
	# shellcheck disable=SC2016 # the inner shell's
	start_in wireguard "$1" bash -c 'sent=0
		while [ -e "$3" ]; do
			"$1" udp "$2" --count 200 --gap 500 --timeout 0
			sent=$((sent + 200))
		done
		echo "$sent" >"$4"' - "$PROBE" "${destinations[$1]}" "$BED/talk" "$BED/$1.sent"
}

common=(attach --netns wireguard --replace --endpoint "$BED_ENDPOINT" --dns lan
	--allow 203.0.113.21 --allow '[2001:db8:7::21]:7001/udp')
first=("${common[@]}" --allow 203.0.113.22 --deny 192.168.1.1)
second=("${common[@]}" --allow 203.0.113.23:7001/udp --deny 192.168.1.2)

for name in "${!destinations[@]}"; do
	probe wireguard udp "${destinations[$name]}" --count 10 --timeout 0 >/dev/null || true
	wait_until 5 test "$(arrived "$name")" = 10 || true
	check_equal "no guard: $name arrives" "$(arrived "$name")" 10
done
in_ns internet nft reset counters >/dev/null

check 'the first policy' eg "${first[@]}"
touch "$BED/talk"
guard_counted wireguard >/dev/null
for name in "${!destinations[@]}"; do
	talk "$name"
done
failed=0
for ((i = 1; i <= REPLACES; i++)); do
	if ((i % 2)); then
		eg "${second[@]}" >"$BED/replace.log" 2>&1 || failed=$((failed + 1))
	else
		eg "${first[@]}" >"$BED/replace.log" 2>&1 || failed=$((failed + 1))
	fi
done
check_equal "$REPLACES replacements" "$failed $(guard_meta wireguard .generation)" "0 $REPLACES"
sleep 0.3
rm "$BED/talk"
declare -A sent=()
for name in "${!destinations[@]}"; do
	wait_until 10 test -s "$BED/$name.sent"
	sent[$name]=$(cat "$BED/$name.sent")
	check "$name: sent all the time" test "${sent[$name]}" -gt $((REPLACES * 100))
done
sleep 0.2

for name in both both6; do
	check_equal "$name: each arrives" "$(arrived "$name")" "${sent[$name]}"
done
for name in neither neither6; do
	check_equal "$name: none arrives" "$(arrived "$name")" 0
done
blocked=$((sent[neither] + sent[neither6]))
for name in first second; do
	check "$name: some arrive, some do not" \
		test "$(arrived "$name")" -gt 1000 -a "$(arrived "$name")" -lt $((sent[$name] - 1000))
	blocked=$((blocked + sent[$name] - $(arrived "$name")))
done
check_equal 'what did not arrive was counted' \
	"$(guard_counted wireguard dropped | awk '{ all += $3 } END { print all }')" "$blocked"
check_equal 'none of it is an attempt to get past' \
	"$(eg status --json | jq '.guards[0].counters.bypass_attempts')" 0
echo "$REPLACES replacements, ${sent[*]} packets sent, $blocked blocked, at peer during a switch:" \
	"$(eg status --json | jq '.guards[0].counters.by_layer.peer.dropped|map(.packets)|add')"
