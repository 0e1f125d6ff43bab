#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Real Podman containers: what differs from Docker's. test_docker.sh has the rest.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

podman_id() {
	podman_bed inspect --format '{{.Id}}' "$1"
}

podman_pid() {
	podman_bed inspect --format '{{.State.Pid}}' "$1"
}

engine_bed
# No engine of this machine's has a say here.
export DOCKER_HOST=unix://$BED/no.sock
podman_up
podman_run wireguard --network bed --cap-add NET_ADMIN,NET_RAW --device /dev/net/tun \
	--sysctl net.ipv6.conf.all.disable_ipv6=0 --volume "$BED/config:/config" \
	-- /bin/tunnel "$ENGINE_LIFE"
engine_check Podman wireguard
podman_run qbittorrent --network container:wireguard --cap-add NET_RAW -- /bin/idle "$ENGINE_LIFE"
wireguard_id=$(podman_id wireguard)
qbittorrent_id=$(podman_id qbittorrent)
wireguard_pid=$(podman_pid wireguard)
wait_for_tunnel podman_bed

# --- the positive control ------------------------------------------------------------------------
tunnel_off "$wireguard_pid"
capture_start control internet host0
try_to_leak
capture_stop control
check_all_leak control
tunnel_on "$wireguard_pid"

# --- attach ----------------------------------------------------------------------------------------
check 'attach to podman:NAME' attach podman:wireguard
eg status wireguard --json >"$BED/status.json"
of_status() { # FILTER
	jq -r ".guards[0]$1" "$BED/status.json"
}
check_equal 'its target' "$(of_status .target)" podman:wireguard
check_equal 'it enforces' "$(of_status .state)" enforcing
check_equal 'DNS is what the wg0.conf inside says' "$(of_status .dns)" tunnel
check 'since when the container runs' test "$(of_status .target_started)" '<' "$(of_status .since)"
for target in wireguard "$wireguard_id" "podman:${wireguard_id:0:12}"; do
	check "attach to $(sed "s/$wireguard_id/ID/; s/[0-9a-f]\{12\}/ID12/" <<<"$target")" attach "$target"
	check 'the same guard, nothing changed' grep -q 'nothing changed' "$BED/attach.out"
done
capture_start up internet host0
check_works qbittorrent '[0-9.]*' '[0-9a-f:]*'
capture_stop up
check_no_leak 'tunnel up: nothing in the clear' up

tunnel_off "$wireguard_pid"
events_start
check 'events name the first container, for people too' \
	events_know wireguard "libpod-$wireguard_id" "$wireguard_pid"
check 'events name the second container, for people too' \
	events_know qbittorrent "libpod-$qbittorrent_id" "$wireguard_pid"
capture_start down internet host0
try_to_leak
capture_stop down
check_no_leak 'tunnel down: nothing in the clear' down
check 'tunnel down: the LAN works' answers_from '[0-9.]*' qbittorrent tcp 192.168.1.10:80
check 'events end' events_stop
for proto in tcp udp; do
	check_equal "events name the containers: $proto" "$(event_names "$proto" 203.0.113.7 public)" \
		"qbittorrent $qbittorrent_id wireguard $wireguard_id "
done

# --- restart, stop, names ----------------------------------------------------------------------------
podman_bed restart --time 5 wireguard >/dev/null
check_equal 'restarted: unguarded' "$(of_guard wireguard .state)" unguarded
check_equal 'since when, and for how long, is of the container that runs now' \
	"$(of_guard wireguard " | (.target_started > \"$(of_status .since)\"), .since, (.unguarded_seconds | type)" |
		tr '\n' ' ')" 'true null number '
wait_for_tunnel podman_bed
check 'restarted: attach again' attach wireguard
check_equal 'restarted: enforcing' "$(of_guard wireguard .state)" enforcing

start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/engine.sock" wireguard=0
wait_until 10 test -S "$BED/engine.sock"
DOCKER_HOST=unix://$BED/engine.sock refused "a container of Docker's and one of Podman's" 2 \
	'.wireguard. is more than one thing: write docker:wireguard .* or podman:wireguard' wireguard
refused 'no such container' 3 'Podman has no container .nonesuch.' podman:nonesuch
podman_bed stop --time 5 qbittorrent wireguard >/dev/null
refused 'stopped' 3 'the container .wireguard. \(podman\) is stopped; start it first' wireguard
check_equal 'stopped: the guard is gone' "$(of_guard wireguard .state)" gone
podman_bed rm qbittorrent >/dev/null
podman_bed rm wireguard >/dev/null

# --- a pod -------------------------------------------------------------------------------------------
# It has an id and a cgroup too; its containers are below that.
podman_bed pod create --name pod --network bed --cgroup-parent "/$ENGINE_CGROUP/libpod_parent" \
	--infra-image bed --infra-command "/bin/idle $ENGINE_LIFE" >/dev/null
# With cgroup v2 and without systemd, Podman 4.3 forbids a pod all devices, /dev/null too: nothing starts
# in it then. The prohibition is lifted, it is a program at the cgroup of the pod.
engine_cgroups | while read -r directory; do
	{ bed_bpftool -j cgroup show "$directory" 2>/dev/null || true; } |
		jq -r '.[]?|objects|select(.attach_type|endswith("device"))|"\(.attach_type) \(.id)"' |
		while read -r type id; do
			bed_bpftool cgroup detach "$directory" "$type" id "$id"
		done
done
podman_bed run --detach --name inpod --pod pod bed /bin/idle "$ENGINE_LIFE" >/dev/null
inpod_id=$(podman_id inpod)
check 'pod: attach to a container of it' attach inpod --endpoint "$BED_ENDPOINT"
check_equal 'pod: its target' "$(of_guard inpod .target)" podman:inpod
events_start
# In the cgroup that the engine gave it.
inpod_cgroup=$(sed -n 's/^0:://p' "/proc/$(podman_pid inpod)/cgroup")
check_equal 'pod: its cgroup is below the one of the pod' \
	"$(sed -E 's/[0-9a-f]{64}/ID/g' <<<"${inpod_cgroup#/"$ENGINE_CGROUP"/}")" libpod_parent/ID/libpod-ID
check 'pod: events name the container' \
	events_know inpod "${inpod_cgroup#/"$ENGINE_CGROUP"/}" "$(podman_pid inpod)"
check 'pod: events end' events_stop
check_equal 'pod: events have the id of the container' \
	"$(jq -r 'select(.dport==9 and .container_id!=null)|.container_id' "$BED/events.json" | sort -u)" "$inpod_id"
