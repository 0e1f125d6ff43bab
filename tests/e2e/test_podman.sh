#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Real Podman containers: what differs from Docker's. test_docker.sh has the rest.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

probe_in() { # CONTAINER WAY DESTINATION [OPTION VALUE]...
	local container=$1
	shift
	podman_bed exec "$container" /bin/probe "$@"
}

answers_from() { # ADDRESS CONTAINER WAY DESTINATION...
	local from=$1
	shift
	probe_in "$@" | grep -q "^answer: from $from "
}

attach() { # TARGET [OPTION...]: what it says is in $BED/attach.out and .err
	local target=$1
	shift
	eg attach --netns "$target" "$@" >"$BED/attach.out" 2>"$BED/attach.err" || {
		local status=$?
		cat "$BED/attach.err"
		return "$status"
	}
}

# refused NAME STATUS PATTERN TARGET [OPTION...]
refused() {
	local name=$1 wanted=$2 pattern=$3 status=0
	shift 3
	attach "$@" >/dev/null || status=$?
	if [ "$status" = "$wanted" ] && grep -q -E -- "$pattern" "$BED/attach.err"; then
		pass "$name"
	else
		fail "$name" "exit status $status (wanted $wanted): $(cat "$BED/attach.err")"
	fi
}

of_guard() { # GUARD FILTER
	eg status "$1" --json | jq -r ".guards[0]$2"
}

podman_id() {
	podman_bed inspect --format '{{.Id}}' "$1"
}

# What the tunnel says if it does not come up.
wait_for_tunnel() {
	wait_until 15 tunnel_is_up || {
		podman_bed logs wireguard
		return 1
	}
}

tunnel_is_up() {
	podman_bed exec wireguard busybox test -e /run/up &&
		probe_in wireguard icmp 10.13.13.1 --timeout 300
}

try_to_leak() {
	local container
	for container in wireguard qbittorrent; do
		probe_in "$container" tcp 203.0.113.7:443 --timeout 100
		probe_in "$container" udp 203.0.113.7:443 --timeout 100
		probe_in "$container" udp 10.2.0.1:53 --timeout 100
	done >/dev/null 2>&1 || true
}

engine_bed
# No engine of this machine's has a say here.
export DOCKER_HOST=unix://$BED/no.sock
podman_up
podman_run wireguard --network bed --cap-add NET_ADMIN,NET_RAW --device /dev/net/tun \
	--sysctl net.ipv6.conf.all.disable_ipv6=0 --volume "$BED/config:/config" \
	-- /bin/tunnel "$ENGINE_LIFE"
podman_run qbittorrent --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
wireguard_id=$(podman_id wireguard)
qbittorrent_id=$(podman_id qbittorrent)
wait_for_tunnel

# --- the positive control ------------------------------------------------------------------------
podman_bed exec wireguard /bin/ip link set wg0 down
capture_start control internet host0
try_to_leak
capture_stop control
check_leaks 'without a guard: it leaks' control
podman_bed restart --time 5 wireguard >/dev/null
podman_bed restart --time 5 qbittorrent >/dev/null
wait_for_tunnel

# --- attach ----------------------------------------------------------------------------------------
check 'attach to podman:NAME' attach podman:wireguard
check_equal 'its target' "$(of_guard wireguard .target)" podman:wireguard
check_equal 'it enforces' "$(of_guard wireguard .state)" enforcing
check_equal 'DNS is what the wg0.conf inside says' "$(of_guard wireguard .dns)" tunnel
check 'since when the container runs' test "$(of_guard wireguard .target_started)" '<' \
	"$(of_guard wireguard .since)"
for target in wireguard "$wireguard_id" "podman:${wireguard_id:0:12}"; do
	check "attach to $(sed "s/$wireguard_id/ID/; s/[0-9a-f]\{12\}/ID12/" <<<"$target")" attach "$target"
	check 'the same guard, nothing changed' grep -q 'nothing changed' "$BED/attach.out"
done
check 'the tunnel works' answers_from 10.13.13.2 qbittorrent tcp 203.0.113.7:443
check 'the LAN works' answers_from '[0-9.]*' qbittorrent tcp 192.168.1.10:80
check 'its DNS server works' answers_from 10.13.13.2 qbittorrent udp 10.2.0.1:53

"$EG" events --pin-dir "$EG_PIN_DIR" --json --duration 30 >"$BED/events.json" 2>"$BED/events.err" &
events=$!
sleep 0.5
podman_bed exec wireguard /bin/ip link set wg0 down
capture_start down internet host0
try_to_leak
capture_stop down
check_no_leak 'tunnel down: nothing in the clear' down
check 'tunnel down: the LAN works' answers_from '[0-9.]*' qbittorrent tcp 192.168.1.10:80
kill -INT "$events"
check 'events end' wait "$events"
for proto in tcp udp; do
	check_equal "events name the containers: $proto" "$(jq -r "select(.type==\"packet\" and
		.proto==\"$proto\" and .reason==\"public\")|.container+\" \"+.container_id" \
		"$BED/events.json" | sort -u)" "qbittorrent $qbittorrent_id
wireguard $wireguard_id"
done

# --- restart, stop, names ----------------------------------------------------------------------------
podman_bed restart --time 5 wireguard >/dev/null
check_equal 'restarted: unguarded' "$(of_guard wireguard .state)" unguarded
wait_for_tunnel
check 'restarted: attach again' attach wireguard
check_equal 'restarted: enforcing' "$(of_guard wireguard .state)" enforcing

start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/engine.sock" wireguard=0
wait_until 10 test -S "$BED/engine.sock"
DOCKER_HOST=unix://$BED/engine.sock refused "a container of Docker's and one of Podman's" 2 \
	'.wireguard. is more than one thing: write docker:wireguard .* or podman:wireguard' wireguard
refused 'no such container' 3 'Podman has no container .nonesuch.' podman:nonesuch
podman_bed stop --time 5 qbittorrent wireguard >/dev/null
refused 'stopped' 3 'the container .wireguard. \(podman\) is stopped; start it, then attach' wireguard
check_equal 'stopped: the guard is gone' "$(of_guard wireguard .state)" gone
