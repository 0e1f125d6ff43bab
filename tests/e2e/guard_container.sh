# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A real dockerd with egressguard's image, and images that stand in for those of compose files. Sourced after
# pidns.sh, lib.sh and engine.sh.

# PID 1 is every such script's number.
# shellcheck disable=SC2034 # engine.sh's
ENGINE_CGROUP=${BED##*/}
IMAGE=$BUILD/egressguard-image.tar
# Where those of the image are.
export EG_PIN_DIR=/sys/fs/bpf/egressguard

# What the WireGuard container runs: as wg-quick, up when it starts and down when it is ended, in whatever
# network it has; and an application, whose first instruction is to send, and that then downloads.
guard_container_programs() {
	mkdir -p "$BED/root/bin"
	cat >"$BED/root/bin/vpn" <<-'VPN'
		#!/bin/sh
		set -e
		ip=/bin/ip
		down() {
			$ip link delete wg0 2>/dev/null || :
			exit 0
		}
		trap down TERM
		$ip link delete wg0 2>/dev/null || :
		rm -f /run/up /run/wireguard/wg0.sock
		if ! $ip link add wg0 type wireguard 2>/dev/null; then
			LOG_LEVEL=error wireguard-go -f wg0 2>/dev/null &
			until [ -S /run/wireguard/wg0.sock ]; do sleep 0.05; done
		fi
		grep -v -E '^(Address|DNS) ' /config/wg_confs/wg0.conf >/run/wg0.conf
		wg setconf wg0 /run/wg0.conf
		wg set wg0 fwmark 51820
		for family in -4 -6; do
			$ip $family rule | grep -q suppress_prefixlength || {
				$ip $family rule add not fwmark 51820 table 51820
				$ip $family rule add table main suppress_prefixlength 0
			}
		done
		/bin/tunnel-up
		: >/run/up
		sleep 900 &
		wait
	VPN
	cat >"$BED/root/bin/application" <<-'APPLICATION'
		#!/bin/sh
		/bin/probe udp 203.0.113.7:9 --timeout 1
		while :; do
			/bin/probe udp 203.0.113.7:9 --timeout 1
			/bin/probe tcp 203.0.113.7:443 --timeout 50
			sleep 0.1
		done >/dev/null 2>&1 &
		until /bin/probe tcp 203.0.113.7:443 --timeout 300 >/dev/null 2>&1; do sleep 0.1; done
		/bin/busybox nc 203.0.113.7 8000 >/run/download
		echo 'the download has ended' >>/run/download
		sleep 900
	APPLICATION
	chmod 755 "$BED"/root/bin/{vpn,application}
}

# guard_container_up: dockerd, the image, and what stands in for others.
guard_container_up() {
	guard_container_programs
	docker_up
	docker load -q -i "$IMAGE" >/dev/null
	bed_route internet 172.16.0.0/12 198.51.100.2 fd00::/16 2001:db8:100::2
}

# image_for NAME PROGRAM
image_for() {
	tar -C "$BED/root" -c . | docker import --change "CMD [\"/bin/$2\"]" --change "ENV EG_SLOW=1" - \
		"$1" >/dev/null
}

health() { # CONTAINER
	docker inspect --format '{{.State.Health.Status}}' "$1"
}

is_healthy() {
	[ "$(health "$1")" = healthy ]
}

is_unhealthy() {
	[ "$(health "$1")" = unhealthy ]
}

state_of() { # GUARD: as the host's own program sees it
	"$EG" status "$1" --json | jq -r '.guards[0].state'
}

# --- what the compose files name ------------------------------------------------------------------------

COMPOSE=(docker-compose)
docker compose version >/dev/null 2>&1 && COMPOSE=(docker compose)

# compose_use FILE: of dist/compose, as it is written, beside the WireGuard container's configuration.
compose_use() {
	local directory=$BED/compose
	mkdir -p "$directory"
	cp "$BED_SOURCE/dist/compose/$1" "$directory/"
	ln -sfn ../config "$directory/config"
	COMPOSE+=(--project-name pattern --file "$directory/$1")
}

container_of() { # SERVICE
	docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.service=$1"
}

# A server at 203.0.113.7:8000 that sends a numbered line each 20 ms, and says so of each connection.
download_server() {
	cat >"$BED/numbers.py" <<-'END'
		import pathlib, socket, sys, threading, time
		def serve(connection):
		    number = 0
		    try:
		        while True:
		            number += 1
		            connection.sendall(b"%d\n" % number)
		            time.sleep(0.02)
		    except OSError:
		        pass  # who asked has gone
		server = socket.create_server(("203.0.113.7", 8000))
		pathlib.Path(sys.argv[1]).touch()
		while True:
		    connection, peer = server.accept()
		    print(peer[0], flush=True)
		    threading.Thread(target=serve, args=(connection,), daemon=True).start()
	END
	start_in internet download python3 "$BED/numbers.py" "$BED/download.ready"
	wait_until 10 test -e "$BED/download.ready"
}

# From where it was asked for, since the last forget_connections.
connections() {
	tail -n "+$((FORGOTTEN + 1))" "$BED/download.log" | tr '\n' ' ' | sed 's/ $//'
}
FORGOTTEN=0
forget_connections() {
	FORGOTTEN=$(wc -l <"$BED/download.log")
}

downloaded() { # CONTAINER: lines
	docker exec "$1" /bin/busybox wc -l /run/download | cut -d ' ' -f 1
}

has_downloaded() { # CONTAINER LINES: more than those
	[ "$(downloaded "$1")" -gt "$2" ]
}

# The positive control: the application in a container of its own, without a guard.
check_application_is_seen() {
	docker run --detach --name open lscr.io/linuxserver/qbittorrent >/dev/null
	engine_check Docker open
	capture_start control internet host0 'dst host 203.0.113.7'
	sleep 1
	capture_stop control
	check 'control: without a guard the application is seen' \
		test "$(capture_count control 'udp and dst host 203.0.113.7')" -ge 1
	docker rm -f open >/dev/null
	forget_connections
}
