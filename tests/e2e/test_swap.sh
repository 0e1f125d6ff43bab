#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Root inside, of a user namespace of its own, answers egressguard's questions about a tun slowly, and
# meanwhile has eth0's index go to a vxlan, or the tunnel's to eth0 (tests/e2e/swap.py). Whatever
# attach and status then say, it must not be that `device` is on eth0 when it is not.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/inside.sh
. "$(dirname "$0")/inside.sh"

DELAYS="0 10 30"
QUESTIONS="3 4 5 6"
WITH_TCX=false
[ "${EGRESSGUARD_FORCE_CLSACT:-}" = 1 ] || WITH_TCX=$("$EG" features --json | jq .features.tcx.present)

# No address is known when the attack begins, so the endpoint is given.
attach_it() { # [OPTION...]
	eg attach --netns remapped --dns lan --tunnel wg0 --endpoint "$BED_ENDPOINT" "$@"
}
order() {
	echo "$*" >"$BED/orders.new"
	mv "$BED/orders.new" "$BED/orders"
}
# eth0 has lost what a move takes away.
again() {
	wait_until 5 ip -n remapped link show eth0
	ip -n remapped link set eth0 up
	ip -n remapped address replace 172.18.0.2/16 dev eth0
	ip -n remapped neighbour replace 172.18.0.1 lladdr "$BED_HOST_MAC" dev eth0
	ip -n remapped route replace default via 172.18.0.1
}
# What the layers have dropped so far.
dropped_by() { # LAYER
	eg status remapped --json | jq "[.guards[0].counters.by_layer.$1.dropped[]?.packets] | add // 0"
}
# more_dropped DEVICE PEER NUMBER: since there were so many
more_dropped() {
	[ $(($(dropped_by device) + $(dropped_by peer))) -ge $(($1 + $2 + $3)) ]
}
# Sets WHERE to the layer that drops what is sent by eth0: `peer` is behind `device`, so it is the one
# only where `device` is not.
where_dropped() {
	local device peer
	device=$(dropped_by device)
	peer=$(dropped_by peer)
	WHERE=nowhere
	remapped "$PROBE" raw "$INSIDE_PUBLIC:7000" --count 3 >/dev/null
	wait_until 5 more_dropped "$device" "$peer" 3 || return 0
	[ "$(dropped_by device)" -lt $((device + 3)) ] || WHERE=device
	[ "$(dropped_by peer)" -lt $((peer + 3)) ] || WHERE=peer
}
# What status says: the state, and whether it names `device` as on eth0.
claims() {
	eg status remapped --json | jq -r '.guards[0] | .state, ([.layers[] | select(.name == "device") |
		.interfaces[]? | select(. == "eth0")] | length)' | tr '\n' ' '
}

inside_bed_up
inside_remapped remapped
inside_connect remapped 2
remapped ip link add vx type vxlan id 42 dstport 4789 remote 172.18.0.1
order calm
start swap nsenter --user --net --preserve-credentials --target "${BED_PIDS[remapped]}" -- \
	python3 "$BED_SOURCE/tests/e2e/swap.py" "$BED/orders" "$BED/swaps"
wait_until 10 grep -q '^ready' "$BED/swaps"

# --- what the probe tells ----------------------------------------------------------------------------

remapped "$PROBE" raw "$INSIDE_PUBLIC:6000" >/dev/null
inside_look remapped
inside_seen internet "$INSIDE_PUBLIC" 6000
check_equal 'control: without a guard, it leaves' "$SEEN" 1
check 'attach' attach_it
check 'it has asked what answers for wg0' grep -q '^asked' "$BED/swaps"
where_dropped
check_equal 'control: the layer device drops first' "$WHERE" device
rm -f "$EG_PIN_DIR"/remapped/link_device_* "$EG_PIN_DIR"/remapped/filter_device_*
remapped tc qdisc delete dev eth0 clsact 2>/dev/null || true
where_dropped
check_equal 'control: without it on eth0, peer does' "$WHERE" peer
check_equal 'control: and status says so' "$(claims)" 'degraded 0 '
order aside 0
eg status remapped >/dev/null 2>&1 || true
if ! wait_until 5 grep -q 'swap.*:' "$BED/swaps" || grep -q '^could not swap' "$BED/swaps"; then
	skip 'an index that goes to another interface' 'this kernel cannot move one to a chosen index'
	eg detach remapped >/dev/null
	exit 0
fi
pass 'control: the interfaces are swapped while it asks'
order calm
again
eg detach remapped >/dev/null

# --- a vxlan in eth0's place ---------------------------------------------------------------------------

for delay in $DELAYS; do
	order aside "$delay"
	status=0
	attach_it >"$BED/attach.log" 2>&1 || status=$?
	said=$(claims 2>/dev/null || true)
	order calm
	again
	name="a vxlan in eth0's place, for $delay ms more"
	if [ "$status" != 0 ]; then
		check "$name: attach says why it failed" grep -q '^egressguard attach: ' "$BED/attach.log"
		check "$name: and leaves nothing" [ ! -e "$EG_PIN_DIR/remapped" ]
		continue
	fi
	where_dropped
	if [ "$said" = 'enforcing 1 ' ]; then
		check_equal "$name: what status said then was true" "$WHERE" device
	fi
	if [ "$(claims)" = 'enforcing 1 ' ]; then
		check_equal "$name: what status says is true" "$WHERE" device
	else
		check "$name: it is told that something is missing" grep -q '^degraded' <(claims)
	fi
	eg detach remapped >/dev/null
done

# --- while status asks more ------------------------------------------------------------------------------

# The vxlan has `device`, eth0 has it no more, and what is asked first is answered honestly.
attach_it >/dev/null
order aside 1000
attach_it >/dev/null 2>&1 || true
order calm
again
if [ "$WITH_TCX" = true ]; then
	rm "$EG_PIN_DIR"/remapped/link_device_*_moved_*
	where_dropped
	check_equal 'without the layer device on eth0' "$WHERE" peer
	check_equal 'status says so' "$(claims)" 'degraded 0 '
	order later 500
	check_equal 'and with a vxlan in its place while it asks more' "$(claims)" 'degraded 0 '
	check 'it did ask more' grep -q '^asked 2 under later' "$BED/swaps"
	order calm
	again
fi
eg detach remapped >/dev/null

# --- the tunnel's index for eth0 -------------------------------------------------------------------------

attach_it >/dev/null
for question in $QUESTIONS; do
	order calm
	again
	attach_it --replace >/dev/null 2>&1 || true
	order tunnel "$question"
	attach_it >"$BED/attach.log" 2>&1 || true
	order calm
	again
	where_dropped
	name="eth0 in the tunnel's place, with question $question"
	if [ "$(claims)" = 'enforcing 1 ' ]; then
		check_equal "$name: what status says is true" "$WHERE" device
	else
		# A clsact filter goes with a move, whoever makes it.
		check "$name: it is told that something is missing" grep -q '^degraded' <(claims)
	fi
	if [ "$WITH_TCX" = true ]; then
		check_equal "$name: attach has not taken \`device\` off eth0" "$WHERE" device
	fi
done
check 'eth0 did take the place' grep -q '^swapped' "$BED/swaps"
check 'detach' eg detach remapped
