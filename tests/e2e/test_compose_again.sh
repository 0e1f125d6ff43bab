#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# dist/compose/guard.yaml when its containers are started one right after the other, as an engine does after a
# reboot: nobody is asked whether the guard is healthy. Its network lets nothing out until it is guarded, and not
# then either where the guard cannot be made.

# shellcheck source=tests/e2e/pidns.sh
. "$(dirname "$0")/pidns.sh"
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/guard_container.sh
. "$(dirname "$0")/guard_container.sh"

export DOCKER_PROXY=true
engine_bed
guard_container_up
image_for lscr.io/linuxserver/wireguard vpn
image_for lscr.io/linuxserver/qbittorrent application
download_server
check_application_is_seen

compose_use guard.yaml
mkdir "$BED/compose/egressguard"
cp "$BED_SOURCE/dist/self.conf" "$BED/compose/egressguard/"
sed -i -e 's|#- ./egressguard:|- ./egressguard:|' \
	-e 's/^    image: egressguard$/&\n    healthcheck: {interval: 1s, start_period: 0s, retries: 60}/' "$BED/compose/guard.yaml"
check 'it comes up' "${COMPOSE[@]}" up -d
guard=$(container_of guard)
wireguard=$(container_of wireguard)
application=$(container_of qbittorrent)
check 'the application downloads through the tunnel' wait_until 60 has_downloaded "$application" 10

again() { # without a guard to go on with: a reboot leaves none
	docker stop -t 0 "$application" "$wireguard" "$guard" && "$EG" detach --all &&
		docker start "$guard" "$application" "$wireguard"
}
tries() { # what the application has tried in vain, by the tunnel or not: it goes on
	# shellcheck disable=SC2016 # awk's
	nsenter --net="/proc/$(docker_pid "$guard")/ns/net" -- awk '/^Udp: [0-9]/ { print $5 + $7 }' /proc/net/snmp
}
tries_on() {
	[ "$(tries)" -gt "$1" ]
}

capture_start again internet host0 'host 203.0.113.7'
check 'they are started again, and nothing is waited for' again
check 'the application downloads through the tunnel' wait_until 60 has_downloaded "$application" 10
capture_stop again
check_no_leak 'not one packet in the clear, nor before the guard' again
check 'the guard is healthy' wait_until 60 is_healthy "$guard"

# --- a guard that cannot be made --------------------------------------------------------------------------
echo 'Nonsense = 1' >>"$BED/compose/egressguard/self.conf"
capture_start shut internet host0 'host 203.0.113.7'
check 'they are started again, and the policy does not parse' again
check 'the application runs all the same' wait_until 60 tries_on 5
capture_stop shut
check_no_leak 'nothing leaves its network' shut
said_shut() {
	docker logs "$guard" 2>&1 | matches 'its target, self, is shut: nothing leaves it, until it is put right'
}
check 'and the log says so' wait_until 20 said_shut
check_equal 'the guard is not healthy' "$(is_healthy "$guard" && echo healthy)" ''
sed -i '/Nonsense/d' "$BED/compose/egressguard/self.conf"
capture_start right internet host0 'host 203.0.113.7'
docker kill -s HUP "$guard" >/dev/null
check 'put right, it downloads through the tunnel' wait_until 60 has_downloaded "$application" 10
capture_stop right
check_no_leak 'and nothing else' right
check 'it goes down' "${COMPOSE[@]}" down -t 1
