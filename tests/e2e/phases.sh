# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Probes that are sent three times: without a guard, where each must arrive; with one, where it must
# not, and is counted under one reason in one layer; in audit mode, where it arrives as it did and is
# counted as what would have been dropped. Sourced after lib.sh by a script that has them in a function
# `blocked`.

FRAMES=$BED_SOURCE/tests/e2e/frames.py
# shellcheck disable=SC2034 # for who sources this
packet=(--interface eth0 --mac "$BED_HOST_MAC" --source 172.18.0.2)
# shellcheck disable=SC2034
packet6=(--interface eth0 --mac "$BED_HOST_MAC" --source fd00:18::2)

# Where a probe arrives: `internet` beyond the host's way out, `lan`, or `host` itself, behind the
# hooks of the layer `peer`.
places=(internet lan host)
declare -A place_interface=([internet]=host0 [lan]=eth0 [host]=br0)

captures_start() {
	local place
	for place in "${places[@]}"; do
		capture_start "$place" "$place" "${place_interface[$place]}"
	done
}

captures_stop() {
	local place
	for place in "${places[@]}"; do
		capture_stop "$place"
	done
}

# Where everything is emulated, and a process costs a tenth of a second, one sends all frames of a
# phase at its end, and what was counted, or must not arrive at a place, is looked at once for all.
batch=
[ "${EG_SLOW:-1}" = 1 ] || batch=yes
frames=()
expected=()
declare -A unseen=()

frame() {
	if [ -n "$batch" ] && [ -n "$phase" ]; then
		frames+=("$@")
	else
		in_ns wireguard python3 "$FRAMES" "$@"
	fi
}

# In audit mode an answer may come, from a port of responder.py: it is waited for, since one that finds
# no socket any more is answered by an ICMP error, which is counted too.
from_guarded() {
	local timeout=60

	[ "$verdict" != would_drop ] || [[ ! $2 =~ :(22|53|80|443|853|5353|9999)$ ]] || timeout=2000
	probe wireguard "$@" --timeout "$timeout"
}

# What `one` below does with each probe, by `phase`:
#   send    sends it
#   judge   sends it and compares what is counted (verdict `dropped` or `would_drop`)
#   seen    looks for it in the captures and remembers how often it is there
#   unseen  it must not be there
#   same    it must be there as often as remembered
phase=
mode=
verdict=
declare -A arrived=()

# one NAME PLACE FILTER COUNTED COMMAND...: COUNTED is `LAYER REASON PACKETS`. In audit mode the layer
# `peer` counts the packet too: the same, unless COUNTED goes on with `; PEER REASON PACKETS`.
one() {
	local name=$1 place=$2 filter=$3 counted=$4 in_peer
	shift 4
	case $phase in
	send)
		"$@" >/dev/null 2>&1 || true
		;;
	judge)
		[ -n "$batch" ] || guard_counted wireguard >/dev/null
		"$@" >/dev/null 2>&1 || true
		if [ "$verdict" = would_drop ]; then
			in_peer=${counted/device/peer}
			case $counted in
			*\;*) in_peer=${counted#*; } ;;
			esac
			counted=$(printf '%s\n' "${counted%;*}" "$in_peer" | sort -u)
		else
			counted=${counted%;*}
		fi
		if [ -n "$batch" ]; then
			expected+=("$counted")
		else
			check_counted "$mode: $name: counted" "$verdict" "$counted"
		fi
		;;
	seen)
		arrived[$name]=$(capture_count "$place" "$filter")
		check "$mode: $name: arrives" test "${arrived[$name]}" -gt 0
		;;
	unseen)
		# `vlan` moves the offsets of all that follows it in a filter.
		if [ -n "$batch" ] && [[ $filter != *vlan* ]]; then
			unseen[$place]+="${unseen[$place]:+ or }($filter)"
			return
		fi
		check_equal "$mode: $name: does not arrive" "$(capture_count "$place" "$filter")" 0
		;;
	same)
		check_equal "$mode: $name: arrives as without a guard" \
			"$(capture_count "$place" "$filter")" "${arrived[$name]}"
		;;
	esac
}

# all_blocked PHASE: calls the function `blocked`, which calls `one` for each probe.
all_blocked() {
	local place

	phase=$1
	frames=()
	expected=()
	unseen=()
	[ -z "$batch" ] || [ "$phase" != judge ] || guard_counted wireguard >/dev/null
	blocked
	if [ ${#frames[@]} -gt 0 ]; then
		in_ns wireguard python3 "$FRAMES" "${frames[@]}" >/dev/null 2>&1 || true
	fi
	if [ ${#expected[@]} -gt 0 ]; then
		check_counted "$mode: what was counted" "$verdict" \
			"$(printf '%s\n' "${expected[@]}" |
				awk '{ n[$1 " " $2] += $3 } END { for (one in n) print one, n[one] }' | sort)"
	fi
	for place in "${!unseen[@]}"; do
		check_equal "$mode: what does not arrive at $place" \
			"$(capture_count "$place" "${unseen[$place]}")" 0
	done
	phase=
}
