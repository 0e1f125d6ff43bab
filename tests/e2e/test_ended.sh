#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A namespace ends, and the next one gets its number, by which alone a kernel before 5.14 knows it: the
# guard that was left behind is not taken for one of the new namespace.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

attach_to() { # NAMESPACE NAME [OPTION...]
	local namespace=$1 name=$2
	shift 2
	eg attach --netns "$namespace" --name "$name" --dns lan --endpoint "$BED_ENDPOINT" "$@"
}
number() { # NAMESPACE
	stat -L -c %i "/run/netns/$1"
}
up() { # NAMESPACE
	bed_link host "veth-$1" "$1" eth0
	ip -n host link set "veth-$1" up
	bed_address "$1" eth0 172.18.0.2/16
}
first_ends() {
	local was
	was=$(number first)
	ip -n first link delete eth0
	ip netns delete first
	wait_until 20 numbered "$was" || true
	# Elsewhere somebody else may have got it; what is shown holds there all the same.
	[ -z "${EG_VM:-}" ] || check_equal 'the next namespace has its number' "$(number second)" "$was"
}
# The lowest free number is taken: who gets another one keeps it, so that it is used up.
FILLERS=0
numbered() { # NUMBER
	ip netns add second
	[ "$(number second)" != "$1" ] || return 0
	[ "$FILLERS" -lt 50 ] || return 0
	mv_netns second "filler$((FILLERS += 1))"
	return 1
}
mv_netns() {
	: >"/run/netns/$2"
	mount --bind "/run/netns/$1" "/run/netns/$2"
	ip netns delete "$1"
}
names() {
	eg status --json | jq -r '[.guards[].name] | sort | join(" ")'
}

bed_namespace host
bed_namespace first
up first
check 'a guard on the first' attach_to first one --allow 100.64.0.0/10
first_ends
bed_sysctl second ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/accept_dad=0
up second
check_status 'status: the second has no guard' 3 eg status --netns second
check_status 'status --check: nor has it for that' 1 eg status --netns second --check
# Not refused, neither as a second guard on one namespace nor for allowing what the first did not.
check 'another guard on the second' attach_to second two
check_equal 'it is the only one' "$(names)" two
check_equal 'it enforces' "$(state two)" enforcing
check_equal 'and is the namespace'"'"'s' "$(eg status --netns second --json | jq -r '.guards[].name')" two
check_status 'a second one is refused' 1 attach_to second three
check 'detach' eg detach --netns second
check_equal 'nothing is left' "$(guard_places)" ''
