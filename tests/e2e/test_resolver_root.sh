#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Docker's resolver is refused where packets leave by loopback. Root with NET_ADMIN inside, of a user
# namespace of its own, gets past that with a rule of its own where they arrive: so status, which
# claims to hold such root, has to except it, and only where it is refused.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/inside.sh
. "$(dirname "$0")/inside.sh"

ROOT_TOO='root with NET_ADMIN inside, on the listed interfaces'
EXCEPTED="$ROOT_TOO, Docker's resolver excepted"
NOTE="root with NET_ADMIN inside gets past that"

attach_to() { # GUARD [OPTION...]
	eg attach --netns "$1" --endpoint "$BED_ENDPOINT" --replace "${@:2}"
}
told() { # GUARD FILTER
	eg status "$1" --json | jq -r ".guards[0] | $2"
}
claim() { # GUARD
	told "$1" '.holds_against + " / " + (.dns_refused | tostring)'
}
noted() { # GUARD: how many such notes there are
	told "$1" "[.notes // [] | .[] | select(contains(\"$NOTE\"))] | length"
}
# asks GUARD ADDRESS: whether something answers there.
asks() {
	probe "$1" udp "$2:53" --timeout 500 | matches '^answer: '
}
# not_refused NAME GUARD CLAIM
not_refused() {
	check_equal "$1: the claim" "$(claim "$2")" "$3 / false"
	check_equal "$1: no note" "$(noted "$2")" 0
}

inside_bed_up
inside_remapped remapped
inside_connect remapped 2
ip netns add plain
inside_connect plain 3

check 'no resolver: attach' attach_to remapped --dns tunnel
TCX=$(told remapped '[.layers[] | select(.name == "device") | .detail] | .[0] | test("tcx")')
[ "$TCX" = true ] || EXCEPTED='processes without NET_ADMIN' ROOT_TOO=$EXCEPTED
not_refused 'no resolver' remapped "$ROOT_TOO"

for name in remapped plain; do
	bed_responder "$name" 127.0.0.11
done
check 'dns = lan: attach' attach_to remapped --dns lan
not_refused 'dns = lan' remapped "$ROOT_TOO"
check 'dns = lan: it answers' wait_until 10 asks remapped 127.0.0.11

check 'refused: attach' attach_to remapped --dns tunnel
check 'refused: it does not answer' eval '! asks remapped 127.0.0.11'
check_equal 'refused: the claim excepts it' "$(claim remapped)" "$EXCEPTED / true"
if [ "$TCX" = true ]; then
	check_equal 'refused: a note says why' "$(noted remapped)" 1
	check 'refused: for people: the claim' grep -q -x "  holds against *$EXCEPTED" <(eg status remapped)
	check 'refused: for people: the note' grep -q "$NOTE" <(eg status remapped | tr -s ' \n' ' ')
else
	check_equal 'refused: nobody claims to hold root, so there is no note' "$(noted remapped)" 0
fi
check_equal 'refused: the guard itself is well' "$(told remapped .state)" enforcing

# What the note says is so.
if remapped nft -f - 2>"$BED/out" <<-'TABLE'; then
	table ip eg-test {
		chain arriving {
			type filter hook prerouting priority raw
			iifname lo ip daddr 127.0.0.99 ip daddr set 127.0.0.11
		}
	}
TABLE
	check 'rewritten where it arrives: it answers' wait_until 10 asks remapped 127.0.0.99
	check_equal 'rewritten where it arrives: the claim is what it was' "$(claim remapped)" \
		"$EXCEPTED / true"
else
	skip 'rewritten where it arrives' "this kernel cannot: $(head -n 1 "$BED/out")"
fi

check '--allow-dns: attach' attach_to remapped --dns tunnel --allow-dns 127.0.0.11
not_refused '--allow-dns' remapped "$ROOT_TOO"

# Root of the host's user namespace is not claimed to be held anyway.
check 'not remapped: attach' attach_to plain --dns tunnel
check_equal 'not remapped: the claim' "$(claim plain)" 'processes without NET_ADMIN / true'
check_equal 'not remapped: no note of that' "$(noted plain)" 0

for name in remapped plain; do
	check "detach $name" eg detach "$name"
done
