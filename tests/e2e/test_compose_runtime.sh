#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# dist/compose/runtime.yaml as it is written: the OCI runtime seals the WireGuard container, without a daemon,
# and not a packet leaves in the clear from before its first instruction on, restarts included.

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

RESTARTS=10
export DOCKER_PROXY=true
# As the file says, with the places of this test.
DOCKER_SETTINGS="\"runtimes\": {\"egressguard-wireguard\": {\"path\": \"$EG\", \"runtimeArgs\": [\"oci-runtime\",
	\"--config-dir\", \"$CONFIG\", \"--policy\", \"wireguard\"]}}"
engine_bed
guard_container_up
image_for lscr.io/linuxserver/wireguard vpn
image_for lscr.io/linuxserver/qbittorrent application
download_server
policy wireguard 'Target = docker:wireguard' 'Endpoint = 203.0.113.9:51820'

# --- the positive control ------------------------------------------------------------------------------
check_application_is_seen

# At once, whatever the tunnel is about to be: while it comes up it may be there and not answer yet.
guarded_now() {
	"$EG" status wireguard --json >"$BED/status"
	[ "$(guard_meta wireguard .netns_inode)" = "$(stat -L -c %i "/proc/$(docker_pid wireguard)/ns/net")" ] &&
		jq -e '[.guards[0].layers[] | select(.name == "device" or .name == "peer") |
			select(.interfaces | index("eth0"))] | length == 2' "$BED/status" >/dev/null
}
is_enforcing() {
	[ "$(state_of wireguard)" = enforcing ]
}

# --- up, and restarted -----------------------------------------------------------------------------------
capture_start all internet host0 'host 203.0.113.7'
compose_use runtime.yaml
check 'it comes up as it is written' "${COMPOSE[@]}" up -d
check 'guarded, without a daemon' guarded_now
check 'and enforcing' wait_until 20 is_enforcing
application=$(container_of qbittorrent)
check 'the application downloads through the tunnel' wait_until 60 has_downloaded "$application" 10
check_equal 'from the tunnel'\''s address' "$(connections)" 10.13.13.2
guarded=0 downloads=0 tried=0
for ((i = 0; i < RESTARTS; i++)); do
	docker restart -t 5 wireguard >/dev/null
	if guarded_now && wait_until 20 is_enforcing; then
		guarded=$((guarded + 1))
	else
		cat "$BED/status"
	fi
	docker restart -t 0 "$application" >/dev/null
	wait_until 60 has_downloaded "$application" 5 || break
	downloads=$((downloads + 1))
	tried=$((tried + $("$EG" status wireguard --json | jq '[.guards[0].counters.dropped[].packets] | add')))
done
check_equal "$RESTARTS restarts under a download: guarded whenever Docker says that it runs" "$guarded" "$RESTARTS"
check_equal 'and the application has its download again' "$downloads" "$RESTARTS"
capture_stop all
check_no_leak 'from before the first container to the last restart: not one packet in the clear' all
check 'and it has tried' test "$tried" -ge 1
check 'it goes down' "${COMPOSE[@]}" down -t 5

# --- without its policy nothing starts ---------------------------------------------------------------------
mv "$CONFIG/wireguard.conf" "$BED/"
comes_up() {
	"${COMPOSE[@]}" up -d >"$BED/up.out" 2>&1
}
check_status 'without its policy it does not come up' 1 comes_up
check 'and it says why' grep -q "there is no policy 'wireguard'" "$BED/up.out"
check_equal 'and no application runs' "$(docker ps --quiet --filter label=com.docker.compose.service=qbittorrent)" ''
check 'it goes down once more' "${COMPOSE[@]}" down -t 5
