#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 400
# dist/compose/guard.yaml as it is written: the guard first, then WireGuard and an application whose first
# instruction is to send. The WireGuard container is restarted ten times under a download.

# shellcheck source=tests/e2e/pidns.sh
. "$(dirname "$0")/pidns.sh"
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/guard_container.sh
. "$(dirname "$0")/guard_container.sh"

RESTARTS=10
export DOCKER_PROXY=true
engine_bed
echo 'PersistentKeepalive = 1' >>"$BED/config/wg_confs/wg0.conf"
guard_container_up
image_for lscr.io/linuxserver/wireguard vpn
image_for lscr.io/linuxserver/qbittorrent application
download_server

# --- the positive control ------------------------------------------------------------------------------
check_application_is_seen

# --- up ----------------------------------------------------------------------------------------------------
capture_start all internet host0 'host 203.0.113.7'
compose_use guard.yaml
check 'it comes up as it is written' "${COMPOSE[@]}" up -d
guard=$(container_of guard)
application=$(container_of qbittorrent)
check 'the guard is healthy' is_healthy "$guard"
guard_name=$(docker inspect --format '{{.Config.Hostname}}' "$guard")
is_enforcing() {
	[ "$(state_of "$guard_name")" = enforcing ]
}
# The tunnel may be there and not answer yet.
check 'its guard is called as the container is' wait_until 20 is_enforcing
check 'the application downloads through the tunnel' wait_until 60 has_downloaded "$application" 10
has_downloaded "$application" 10 || "${COMPOSE[@]}" logs
check_equal 'from the tunnel'\''s address' "$(connections)" 10.13.13.2

# --- restarts ----------------------------------------------------------------------------------------------
dropped() {
	"$EG" status "$guard_name" --json | jq '[.guards[0].counters.dropped[].packets] | add'
}
before=$(dropped)
started=$(docker inspect --format '{{.State.StartedAt}}' "$application")
restart() {
	local lines
	docker restart -t 10 "$(container_of wireguard)" >/dev/null
	lines=$(downloaded "$application")
	wait_until 60 has_downloaded "$application" "$lines"
}
done_restarts=0
for ((i = 0; i < RESTARTS; i++)); do
	restart || break
	done_restarts=$((done_restarts + 1))
done
check_equal 'the download goes on after each restart of WireGuard' "$done_restarts" "$RESTARTS"
docker exec "$application" /bin/busybox cat /run/download >"$BED/download"
# shellcheck disable=SC2016 # awk's
check 'not a line of it is missing' awk '$1 != NR { exit 1 }' "$BED/download"
check_equal 'by one and the same connection' "$(connections)" 10.13.13.2
check_equal 'and the application was not restarted' \
	"$(docker inspect --format '{{.State.StartedAt}}' "$application")" "$started"
check 'meanwhile it tried to get out without the tunnel' test "$(dropped)" -gt "$before"
capture_stop all
check_no_leak 'from before the first container to the last restart: not one packet in the clear' all
check 'the guard is healthy still' wait_until 30 is_healthy "$guard"
check_equal 'nobody is stranded' "$("$EG" status --json | jq -c .stranded)" '[]'

# --- the WireGuard container made anew -----------------------------------------------------------------------
lines=$(downloaded "$application")
"${COMPOSE[@]}" up -d --force-recreate --no-deps wireguard >/dev/null 2>&1
check 'made anew, the download goes on too' wait_until 60 has_downloaded "$application" "$((lines + 10))"
docker rm -f "$guard" >/dev/null
check_equal 'without the guard container: the command that makes the application anew is named' \
	"$("$EG" status --json | jq -r '.stranded[] | select(.container | test("qbittorrent")) | .fix')" \
	"docker compose -f $BED/compose/guard.yaml -p pattern up -d --no-deps --force-recreate qbittorrent"
check 'it goes down' "${COMPOSE[@]}" down -t 5

# --- a seal that fails -----------------------------------------------------------------------------------------
sed -i -e '/pid: host/d' -e 's/^    image: egressguard$/&\n    healthcheck: {interval: 1s, start_period: 0s, retries: 2}/' \
	"$BED/compose/guard.yaml"
check_status 'without the seal it does not come up' 1 timeout 120 "${COMPOSE[@]}" up -d
check_equal 'and nobody else was started' "$(container_of wireguard)$(container_of qbittorrent)" ''
check 'it goes down once more' "${COMPOSE[@]}" down -t 5
check 'and its guard with it' wait_until 30 eval "! '$EG' status '$guard_name' --check"
