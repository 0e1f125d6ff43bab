#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Real Docker containers: `wireguard` owns the namespace and the tunnel, `qbittorrent` shares it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

engine_bed
docker_up
docker_wireguard wireguard
engine_check Docker wireguard
docker_run qbittorrent --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
# Docker leaves out the zeros at the end of times.
read -r wireguard_id wireguard_pid started <<<"$(docker inspect \
	--format '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}' wireguard | sed 's/0*Z$/Z/')"
qbittorrent_id=$(docker_id qbittorrent)
wait_for_tunnel docker

# --- the positive control ------------------------------------------------------------------------
tunnel_off "$wireguard_pid"
capture_start control internet host0
try_to_leak
capture_stop control
check_all_leak control
tunnel_on "$wireguard_pid"

# --- attach by name --------------------------------------------------------------------------------
check 'attach to the container by its name' attach wireguard
check_equal 'nothing to warn of' "$(cat "$BED/attach.err")" ''
check 'it says what happens when the container restarts' \
	grep -q 'When this container restarts, its namespace is a new one' "$BED/attach.out"
eg status wireguard --json >"$BED/status.json"
of_status() { # FILTER
	jq -r ".guards[0]$1" "$BED/status.json"
}
check_equal 'the guard has the name of the container' "$(of_status .target)" docker:wireguard
check_equal 'it enforces' "$(of_status .state)" enforcing
check_equal 'on its interface, from the outside' \
	"$(of_status '.layers[]|select(.name=="peer")|.state+" "+.interfaces[0]')" 'attached eth0'
check_equal 'tunnel-only: what the wg0.conf inside says' "$(derived wireguard TunnelOnly)" \
	'10.13.13.2 10.2.0.1 fd13::2 '
check_equal 'DNS through the tunnel, then' "$(of_status .dns)" tunnel
check_equal 'the endpoint is the live one' "$(of_status '.endpoints[0]')" "$BED_ENDPOINT"
check_equal 'since when the container runs, as Docker says' \
	"$(of_status .target_started | sed 's/0*Z$/Z/')" "$started"
check 'since when it is guarded' test "$(of_status .since)" '>' "$(of_status .target_started)"
eg status wireguard >"$BED/status"
check 'status shows both' grep -q -z -E 'started  .*guarded since ' "$BED/status"
check 'attach by its id: the same guard' attach "${wireguard_id:0:12}"
check 'attach by its id: nothing changed' grep -q 'nothing changed' "$BED/attach.out"
refused 'the other container has the same namespace' 1 \
	"has the guard 'wireguard' already" qbittorrent

# --- what works ----------------------------------------------------------------------------------------
capture_start up internet host0
for container in wireguard qbittorrent; do
	check_works "$container" '172\.17\.0\.[0-9]*' 'fd00:17:[0-9a-f:]*'
done
capture_stop up
check_no_leak 'tunnel up: nothing in the clear' up

# --- the tunnel is down ----------------------------------------------------------------------------------
tunnel_off "$wireguard_pid"
events_start
check 'events name the first container, for people too' \
	events_know wireguard "$wireguard_id" "$wireguard_pid"
check 'events name the second container, for people too' \
	events_know qbittorrent "$qbittorrent_id" "$wireguard_pid"
capture_start down internet host0
try_to_leak
capture_stop down
check_no_leak 'tunnel down: nothing in the clear' down
check 'tunnel down: LAN' answers_from '172\.17\.0\.[0-9]*' qbittorrent tcp 192.168.1.10:80
check 'events end' events_stop
both="qbittorrent $qbittorrent_id wireguard $wireguard_id "
check_equal 'events name the containers: TCP' "$(event_names tcp 203.0.113.7 public)" "$both"
check_equal 'events name the containers: TCP, IPv6' "$(event_names tcp 2001:db8:7::7 public)" "$both"
check_equal 'events name the containers: UDP' "$(event_names udp 203.0.113.7 public)" "$both"
check_equal 'events name the containers: DNS for the tunnel' \
	"$(event_names udp 10.2.0.1 tunnel-only)" "$both"
check_equal 'events name the cgroup' \
	"$(jq -r 'select(.container=="qbittorrent")|.cgroup' "$BED/events.json" | sort -u)" \
	"/$ENGINE_CGROUP/$qbittorrent_id"
check_equal 'status names it too' "$(of_guard wireguard \
	'.recent[]|select(.dst=="203.0.113.7" and .proto=="udp" and .container=="qbittorrent")|.container' |
	sort -u)" qbittorrent

# --- another interface ---------------------------------------------------------------------------------
docker network create --subnet 172.31.0.0/16 second >/dev/null
docker network connect second wireguard
check_equal 'a network more: degraded' "$(of_guard wireguard .state)" degraded
eg status wireguard >"$BED/status"
check 'and says which' grep -q 'eth1 has no .peer. layer: attach again' "$BED/status"
check_status 'for health checks too' 1 eg status wireguard --check
check 'attach again' attach wireguard
check_equal 'covers it' \
	"$(of_guard wireguard '|.state+" "+(.layers[]|select(.name=="peer")|.interfaces|sort|join(" "))')" \
	'enforcing eth0 eth1'
check "Docker's resolver: attach says so" \
	said "Docker's resolver 127\.0\.0\.11 is refused.*\`dns:.*--allow-dns 127\.0\.0\.11"
check_equal "Docker's resolver: status says so" \
	"$(of_guard wireguard '|.dns+" "+.dns_resolver+" "+(.dns_refused|tostring)')" 'tunnel not known true'
capture_start eth1 internet host0
probes_in wireguard 'tcp tcp 203.0.113.7:443 --timeout 100 --bind eth1
	udp udp 203.0.113.7:443 --timeout 100 --bind eth1'
capture_stop eth1
check_no_leak 'nothing in the clear there' eth1
docker network disconnect second wireguard
check_equal 'and gone again: enforcing' "$(of_guard wireguard .state)" enforcing

# --- restart -------------------------------------------------------------------------------------------
docker restart -t 5 wireguard >/dev/null
check_equal 'restarted: unguarded' "$(of_guard wireguard .state)" unguarded
check_equal 'since when, and for how long, is of the container that runs now' \
	"$(of_guard wireguard " | (.target_started > \"$(of_status .since)\"), .since, (.unguarded_seconds | type)" |
		tr '\n' ' ')" 'true null number '
check_status 'restarted: for health checks too' 1 eg status wireguard --check
wireguard_pid=$(docker_pid wireguard)
wait_for_tunnel docker
check 'restarted: attach again' attach wireguard
check_equal 'restarted: enforcing' "$(of_guard wireguard .state)" enforcing
docker restart -t 5 qbittorrent >/dev/null
check 'restarted: the tunnel' answers_from 10.13.13.2 qbittorrent tcp 203.0.113.7:443
tunnel_off "$wireguard_pid"
capture_start restarted internet host0
try_to_leak
capture_stop restarted
check_no_leak 'restarted: nothing in the clear' restarted

# --- detach --------------------------------------------------------------------------------------------
check 'detach' eg detach wireguard
capture_start detached internet host0
probes_in qbittorrent "$ENGINE_LEAKS"
capture_stop detached
check_leaks 'detached: it leaks, as before' detached
