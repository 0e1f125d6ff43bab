#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# dist/compose/host.yaml as it is written, with a daemon on the host: the application waits for the guard, and
# when WireGuard is restarted `status` names who is stranded.

# shellcheck source=tests/e2e/pidns.sh
. "$(dirname "$0")/pidns.sh"
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/guard_container.sh
. "$(dirname "$0")/guard_container.sh"

export DOCKER_PROXY=true
engine_bed
guard_container_up
docker run --detach --name open bed /bin/idle "$ENGINE_LIFE" >/dev/null
engine_check Docker open
docker rm -f open >/dev/null
image_for lscr.io/linuxserver/wireguard vpn
image_for lscr.io/linuxserver/qbittorrent application
download_server
policy wireguard 'Target = docker:wireguard'

# --- without a guard the application does not start ------------------------------------------------------
capture_start all internet host0 'host 203.0.113.7'
compose_use host.yaml
start compose "${COMPOSE[@]}" up -d
watch_waits() {
	docker inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$(container_of watch)" |
		grep -q 'no guard'
}
check 'without a guard who watches it waits' wait_until 60 watch_waits
check_equal 'and the application is not there' "$(docker ps --quiet --filter label=com.docker.compose.service=qbittorrent)" ''
check 'the daemon starts' daemon_up
application_runs() {
	[ -n "$(docker ps --quiet --filter label=com.docker.compose.service=qbittorrent)" ]
}
check 'with it the application starts' wait_until 60 application_runs
application_runs || cat "$BED/compose.log"
check 'and downloads through the tunnel' wait_until 60 has_downloaded "$(container_of qbittorrent)" 10
capture_stop all
check_no_leak 'it has sent nothing in the clear' all

# --- WireGuard is restarted while no daemon is there -----------------------------------------------------
stop daemon
docker restart -t 5 "$(container_of wireguard)" >/dev/null
check 'who watches is left behind, and does not call that guarded' wait_until 90 is_unhealthy "$(container_of watch)"
docker inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$(container_of watch)" >"$BED/health"
check 'and says why' grep -q 'no interface that leads out' "$BED/health"
