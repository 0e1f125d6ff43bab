#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# `verify` of a guard that answers what it blocks: the answers, which stay inside, must not change
# what a row says, and are not made for its probes in such a number that the limit is felt by others.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# verdicts OPTION...: attaches so, and says what each row has come to, a line each.
verdicts() {
	eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --replace "$@" >/dev/null
	STATUS=0
	eg verify wireguard --json >"$BED/verify.json" 2>"$BED/verify.err" || STATUS=$?
	jq -r '.underlays[0].rows[] | "\(.name) \(.result) \(.layer) \(.reason) \(.detail)"' "$BED/verify.json"
}
answers_sent() {
	bed_bpftool -j map dump pinned "$EG_PIN_DIR/wireguard/answers" |
		jq '[.[0].formatted.values[].value.sent] | add'
}
rejected() {
	in_ns wireguard python3 -c "
import socket
s = socket.socket()
s.settimeout(3)
try:
    s.connect(('203.0.113.77', 80))
except ConnectionRefusedError:
    raise SystemExit(0)
except OSError as e:
    print(e)
raise SystemExit(1)"
}

bed_up
verdicts --on-block drop >"$BED/drop"
check_equal 'drop: sealed' "$STATUS" 0
check 'drop: there are rows' [ "$(wc -l <"$BED/drop")" -gt 30 ]

for rp_filter in 0 1 2; do
	bed_sysctl wireguard "ipv4/conf/all/rp_filter=$rp_filter" "ipv4/conf/eth0/rp_filter=$rp_filter"
	verdicts --on-block reject >"$BED/reject"
	check_equal "reject, rp_filter $rp_filter: sealed" "$STATUS" 0
	check "reject, rp_filter $rp_filter: each row as without answers" diff "$BED/drop" "$BED/reject"
	check "reject, rp_filter $rp_filter: what people get is the same" \
		grep -q 'sealed: of .* ways out that were tried' <(eg verify wireguard)
done
bed_sysctl wireguard ipv4/conf/all/rp_filter=0 ipv4/conf/eth0/rp_filter=0
check 'reject: answers were made' [ "$(answers_sent)" -gt 10 ]
check 'reject: whoever is blocked is told all the same' rejected
check_equal 'reject: nothing of verify is counted as a real drop' \
	"$(eg status wireguard --json | jq '[.guards[0].counters.dropped | to_entries[] | select(.key != "public") |
		.value.packets] | add // 0')" 0

# One that leaks is found all the same: in audit mode nothing is dropped, and nothing answered.
verdicts --on-block reject --audit >/dev/null
check_equal 'audit: nothing is sent without --allow-leaks' "$STATUS" 1
eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan --replace --on-block reject --audit >/dev/null
status=0
eg verify wireguard --json --allow-leaks >"$BED/verify.json" || status=$?
check_equal 'audit: a leak' "$status" 4
check 'detach' eg detach wireguard
