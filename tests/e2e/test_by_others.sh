#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run-alone: what new namespaces come with is the whole machine's, in a virtual one
# Devices that lead nowhere but to other interfaces of their namespace: the fallback tunnels that a
# module puts everywhere (tunl0, gre0, sit0), bridges, VXLAN, dummies. `attach` needs no word for them
# and what the guard holds against stays the same, for what they send leaves by an underlay. One that
# sends by another namespace is a way out, and is refused.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

attach_it() { # [OPTION...]
	eg attach --netns wireguard --tunnel wg0 --endpoint "$BED_ENDPOINT" --dns lan "$@"
}
of_status() { # FILTER
	eg status wireguard --json | jq -r ".guards[0]$1"
}
inside() {
	ip -n wireguard "$@"
}

MADE=()
# made KIND ARGUMENT...: a device d-KIND inside, unless this kernel has none.
made() {
	local kind=$1
	shift
	if inside link add "d-$kind" type "$kind" "$@" 2>"$BED/make"; then
		inside link set "d-$kind" up
		MADE+=("d-$kind")
	else
		skip "$kind" "not here: $(head -n 1 "$BED/make")"
	fi
}
covered() { # INTERFACE
	of_status '.layers[] | select(.name == "device") | .interfaces[]' | matches -x -F "$1"
}

# The modules would change other namespaces of a machine that somebody uses.
FALLBACKS=()
fallbacks() {
	local name
	for name in $(inside -o link show | sed 's/^[0-9]*: //; s/[:@].*//'); do
		case $name in
		lo | eth0) ;;
		*) FALLBACKS+=("$name") ;;
		esac
	done
}
if [ -n "${EG_VM:-}" ]; then
	# Other tests there want new namespaces without them.
	nsenter --net=/proc/1/ns/net -- sysctl -q -w net.core.fb_tunnels_only_for_init_net=0
	modprobe -q -a ipip ip_gre ip6_gre sit ip6_tunnel ip_vti ip6_vti dummy vxlan bridge vrf 8021q || true
fi
bed_up
fallbacks
if [ -n "${EG_VM:-}" ]; then
	check 'there are fallback devices' [ "${#FALLBACKS[@]}" -ge 3 ]
else
	skip 'fallback devices' 'their modules would change other namespaces too; see vmtest'
fi
check 'attach' attach_it
HOLDS=$(of_status .holds_against)
for name in "${FALLBACKS[@]}"; do
	check "$name: device is on it" covered "$name"
done
check 'detach' eg detach wireguard

# --- made inside ---------------------------------------------------------------------------------------

# Whoever is root inside, and quick, would else have every attach refused.
inside link add name d-veth type veth peer name d-end
inside link set d-veth up
inside link set d-end up
MADE+=(d-veth d-end)
made dummy
made bridge forward_delay 0
made vxlan id 7 remote 172.18.0.1 dstport 4789
[ -z "${EG_VM:-}" ] || {
	made ipip remote 172.18.0.1 local 172.18.0.2
	made gre remote 172.18.0.1 local 172.18.0.2
	made sit remote 172.18.0.1 local 172.18.0.2
}
inside address add 10.66.0.2/24 dev d-vxlan
inside neighbour add 10.66.0.1 lladdr $BED_HOST_MAC dev d-vxlan
inside route add 203.0.113.99/32 via 10.66.0.1 dev d-vxlan
# Whoever may add an address may say that it is anybody's.
inside address add 203.0.113.66/32 dev d-bridge

# What is inside, by its destination: the kernel sends MLD of its own.
IN_VXLAN='udp port 4789 and udp[46:4] = 0xcb007163'
capture_start free host veth-wg "$IN_VXLAN"
probe wireguard raw 203.0.113.99:7001 --count 3
probe wireguard raw 192.168.1.10:7002 --count 3 --source 203.0.113.66
capture_stop free
check 'without a guard VXLAN leads out' [ "$(capture_count free)" -ge 3 ]

check 'attach needs no word for them' attach_it
check_equal 'state' "$(of_status .state)" enforcing
check_equal 'it holds against the same' "$(of_status .holds_against)" "$HOLDS"
for name in "${MADE[@]}"; do
	check "$name: device is on it" covered "$name"
done
guard_counted wireguard
capture_start held host veth-wg "($IN_VXLAN) or udp port 7002"
probe wireguard raw 203.0.113.99:7001 --count 3
probe wireguard raw 192.168.1.10:7002 --count 3 --source 203.0.113.66
capture_stop held
check_equal 'nothing leaves by them' "$(capture_count held)" 0
counted=$(guard_counted wireguard dropped)
check 'what goes into them is judged' grep -q -x 'device public 3' <<<"$counted"
check 'an address of theirs is no source: nothing outside knows it' \
	grep -q -E -x 'device source ([3-9]|[1-9][0-9]+)' <<<"$counted"
# With its other end somewhere else it may lead out.
ip netns add hidden
inside link set d-end netns hidden
is() { # STATE
	[ "$(of_status .state)" = "$1" ]
}
check 'a veth that no more ends inside' wait_until 10 is degraded
check 'is told of' matches 'not on d-veth' <<<"$(of_status '.layers[] | select(.name == "peer") | .detail')"
ip netns delete hidden
check 'without it all is as before' wait_until 10 is enforcing
for name in "${MADE[@]}"; do
	case $name in
	d-veth | d-end) ;; # gone with that namespace
	*) inside link delete "$name" ;;
	esac
done

# --- made outside --------------------------------------------------------------------------------------

# It sends by the namespace that it was made in.
ip -n host link add far type vxlan id 9 remote 198.51.100.1 dstport 4790
ip -n host link set far netns wireguard
inside link set far up
inside address add 10.67.0.2/24 dev far
inside neighbour add 10.67.0.1 lladdr $BED_HOST_MAC dev far
check 'detach' eg detach wireguard
capture_start far internet host0 'udp port 4790'
probe wireguard raw 10.67.0.1:7003 --count 3
capture_stop far
check 'one that was made on the host is a way out' [ "$(capture_count far)" -ge 3 ]
check_status 'attach refuses it' 5 attach_it
attach_it --no-lan >"$BED/said" 2>&1 || true
check 'and says so' grep -q 'can guard far (it has no other end on the host)' "$BED/said"
check 'with --accept-device-only' attach_it --accept-device-only
check_equal 'it does not claim to hold root' "$(of_status .holds_against)" 'processes without NET_ADMIN and NET_RAW'
check 'detach' eg detach wireguard
