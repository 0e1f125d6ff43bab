#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A namespace that has lost its last process must not live on with its tunnel. Watched from the server:
# while something holds the namespace, a keepalive comes every second; when nothing does, none comes any
# more, with a guard as without.
# time-limit: 240

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

bed_up
bed_wireguard_kind
if [ "$BED_WIREGUARD" != kernel ]; then
	skip 'a dead namespace' \
		"wireguard-go is itself a process of the namespace: only the kernel's WireGuard could outlive it"
	exit
fi

# Three containers: with no guard, with one, and with one that does without tcx.
clients=(none guard clsact)
declare -A address=([none]=172.18.0.11 [guard]=172.18.0.12 [clsact]=172.18.0.13)
declare -A inside=([none]=10.13.13.11 [guard]=10.13.13.12 [clsact]=10.13.13.13)

# A namespace that only a process holds, as a container's, with a tunnel that never rests.
client_up() { # NAME
	local name=$1
	ip netns add "$name"
	start_in "$name" "$name" sleep infinity
	(umask 077 && wg genkey >"$BED/$name.key")
	bed_link host "veth-$name" "$name" eth0
	ip -n host link set "veth-$name" master br0 up
	bed_address "$name" eth0 "${address[$name]}/16"
	ip -n "$name" route add default via 172.18.0.1
	in_ns vpn wg set wgs0 peer "$(wg pubkey <"$BED/$name.key")" allowed-ips "${inside[$name]}/32"
	ip -n "$name" link add wg0 type wireguard
	in_ns "$name" wg set wg0 private-key "$BED/$name.key" peer "$(cat "$BED/server.pub")" \
		allowed-ips 10.13.13.1/32 endpoint "$BED_ENDPOINT" persistent-keepalive 1
	bed_address "$name" wg0 "${inside[$name]}/24"
	wait_until 10 probe "$name" icmp 10.13.13.1 --timeout 1000
	ip netns delete "$name"
}

# watch_seconds: what comes to the server in some time, into the capture `watch`.
watch_seconds() {
	capture_start watch vpn eth0 "udp dst port $BED_WG_PORT"
	sleep $((4 * (EG_SLOW > 4 ? 2 : 1)))
	capture_stop watch
}

comes_from() { # NAME
	capture_count watch "src host ${address[$1]}"
}

ended() { # NAME: its namespace is no more, so neither is the host's end of its veth
	bed_no_link host "veth-$1"
}

guard() { # NAME: on the namespace of that name
	eg attach --netns "pid:${BED_PIDS[$1]}" --name "$1" --endpoint "$BED_ENDPOINT" --dns lan
}

tunnel_server_up
for name in "${clients[@]}"; do
	client_up "$name"
done
check 'attach' guard guard
EGRESSGUARD_FORCE_CLSACT=1 check 'attach without tcx' guard clsact
watch_seconds
for name in "${clients[@]}"; do
	check "$name: its tunnel is heard" test "$(comes_from "$name")" -gt 0
done

# Something else holds one of them: that it would be heard is the control for all that follows.
exec 7<"/proc/${BED_PIDS[guard]}/ns/net"
for name in "${clients[@]}"; do
	stop "$name" KILL
done
for name in none clsact; do
	check "$name: without a process its namespace ends" wait_until 20 ended "$name"
done
watch_seconds
for name in none clsact; do
	check_equal "$name: its tunnel is not heard any more" "$(comes_from "$name")" 0
done
check 'guard: held by somebody, its tunnel is heard' test "$(comes_from guard)" -gt 0
check_equal 'guard: held by somebody, status' "$(state guard)" degraded
check_equal 'clsact: status' "$(state clsact)" gone

exec 7<&-
check 'guard: without a holder its namespace ends' wait_until 20 ended guard
watch_seconds
check_equal 'guard: its tunnel is not heard any more' "$(comes_from guard)" 0
check_equal 'guard: status' "$(state guard)" gone
for name in guard clsact; do
	check "$name: all of it is still pinned" test -e "$EG_PIN_DIR/$name/counters"
done
check 'the next command takes them away' eg detach --all
check_equal 'nothing is left' "$(find "$EG_PIN_DIR" -mindepth 1)" ''
