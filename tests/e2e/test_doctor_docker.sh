#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# doctor with real containers: who shares the namespace, who is stranded in a dead one, published ports
# with a proxy that is stuck, and what it says of that on Docker Desktop.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

found() { # [OPTION...]: its exit status, and what it finds, in order
	local status=0
	in_ns host "$EG" doctor --pin-dir "$EG_PIN_DIR" --conf "$BED/wg0.conf" --json "$@" \
		>"$BED/doctor.json" || status=$?
	echo "$status" "$(jq -r '[.findings[].id] | join(" ")' "$BED/doctor.json")"
}

# says NAME WANTED [OPTION...]: all that is found
says() {
	local said
	said=$(found "${@:3}")
	check_equal "$1" "$said" "$2"
	[ "$said" = "$2" ] || jq -r '.findings[] | "  | \(.id): \(.what); \(.evidence)"' "$BED/doctor.json"
}

first() { # FILTER: of the first finding
	jq -r ".findings[0]$1" "$BED/doctor.json"
}

# --- the pattern -------------------------------------------------------------------------------------

export DOCKER_DNS=10.2.0.53 DOCKER_PROXY=true
engine_bed
ip -n vpn address add 10.2.0.53/32 dev lo
start_in vpn dns "$BED_SOURCE/tests/e2e/services.py" "$BED/dns.ready" dns 10.2.0.53 53
docker_up
docker_wireguard wireguard --publish 127.0.0.1:8080:8081 --sysctl net.ipv4.conf.all.src_valid_mark=1
engine_check Docker wireguard
docker_run qbittorrent --network container:wireguard --label com.docker.compose.project=vpn \
	--label com.docker.compose.service=torrents --label 'com.docker.compose.project.config_files=/srv/my vpn/compose.yaml' -- \
	/bin/busybox httpd -f -p 8081 -h /etc
wait_for_tunnel docker

# What a rendered wg0.conf makes, by hand: the image has no wg-quick.
sed 's/10\.2\.0\.1$/10.2.0.53/' "$BED/config/wg_confs/wg0.conf" >"$BED/source.conf"
(umask 077 && "$EG" wgconf render --kill-switch egressguard "$BED/source.conf" >"$BED/wg0.conf")
touch -d '-1 hour' "$BED/wg0.conf"
make_routes() {
	local pid network table
	pid=$(docker_pid wireguard)
	for table in main 51820; do
		for network in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16; do
			nsenter --net="/proc/$pid/ns/net" -- ip route replace "$network" via 172.17.0.1 \
				dev eth0 table "$table" metric 51820
		done
		nsenter --net="/proc/$pid/ns/net" -- ip route replace 10.2.0.53 dev wg0 table "$table"
	done
}
make_routes
check 'attach' attach wireguard --wg-conf "$BED/wg0.conf"
serves() {
	in_ns host curl -s -m 2 http://127.0.0.1:8080/bed | matches .
}
check 'the published port serves' wait_until 10 serves

says 'a healthy pattern, found by itself' '0 '
check_equal 'which it is' "$(jq -r .target "$BED/doctor.json")" docker:wireguard
says 'the same by the container that shares it' '0 ' --netns qbittorrent
check_equal 'who shares the namespace' \
	"$(jq -r '.checks[] | select(.name == "containers") | .detail' "$BED/doctor.json")" \
	'wireguard: its namespace is shared by qbittorrent'

# Its file, by the path that it is mounted from: a process of the container's ends with the next restart.
in_ns host "$EG" doctor --pin-dir "$EG_PIN_DIR" --json >"$BED/doctor.json" || true
# shellcheck disable=SC2016 # jq's
check 'the file by its path here' jq -e --arg file "$BED/config/wg_confs/wg0.conf" \
	'[.findings[].remedies[].commands[]] | any(. == "egressguard wgconf render --in-place " + $file)' "$BED/doctor.json"
touch "$BED/wg0.conf"
says 'a file that was edited' '1 stale-conf'
# shellcheck disable=SC2016
check 'the guard is attached again after the restart' jq -e --arg file "$BED/wg0.conf" \
	'.findings[0].remedies[0].commands | (.[0] | test("^docker restart wireguard && docker restart qbittorrent$")) and
	(.[1] | test("^egressguard attach --netns docker:wireguard .*--wg-conf " + $file))' "$BED/doctor.json"
touch -d '-1 hour' "$BED/wg0.conf"

# --- a proxy that is stuck ---------------------------------------------------------------------------

proxy=$(in_ns host ss -Htlnp 'sport = :8080' | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
kill -STOP "$proxy"
says 'the proxy is stuck, on plain Linux' '1 port-silent'
docker_socket=${DOCKER_HOST#unix://}
start_in host desktop "$BED_SOURCE/tests/e2e/desktop.py" "$BED/desktop.sock" "$docker_socket"
wait_until 10 test -S "$BED/desktop.sock"
cp /etc/hosts "$BED/hosts"
mount --bind "$BED/hosts" /etc/hosts
export DOCKER_HOST=unix://$BED/desktop.sock
says 'on Docker Desktop, and the host cannot be asked' '0 ' --netns docker:wireguard
check_equal 'it says what to run there' "$(jq -r '.checks[] | select(.name == "ports") | .state' "$BED/doctor.json")" \
	'cannot tell'
check 'and which option takes the result' jq -e '.checks[] | select(.name == "ports") | .detail |
	test("curl .* http://127.0.0.1:8080/.*--host-port 8080=STATUS")' "$BED/doctor.json"
says 'with what curl said' '1 wedged-proxy' --host-port 8080=28
check 'the fix is to start Docker Desktop again, first' \
	grep -q '^quit Docker Desktop and start it again, before anything else' <<<"$(first .fix)"
says 'curl got its page' '0 ' --host-port 8080=0
echo '127.0.0.1 host.docker.internal' >>"$BED/hosts"
says 'by host.docker.internal' '1 wedged-proxy'
kill -CONT "$proxy"
says 'it goes on' '0 '
export DOCKER_HOST=unix://$docker_socket
stop desktop

# --- stranded ----------------------------------------------------------------------------------------

docker restart -t 1 wireguard >/dev/null
wait_for_tunnel docker
make_routes
check 'attach once more' attach wireguard --wg-conf "$BED/wg0.conf"
says 'the owner was restarted' '1 stranded no-service' --netns wireguard
check_equal 'who is stranded' "$(first .remedies[0].commands[0])" 'docker restart qbittorrent'
check 'the fix works when it is pasted' bash -c "$(first '.remedies[0].commands[]')"
check 'and it serves again' wait_until 10 serves
says 'and nothing is wrong' '0 ' --netns wireguard

docker stop -t 1 wireguard >/dev/null
says 'the owner is stopped' '1 not-running' --netns wireguard
docker rm --force wireguard >/dev/null
docker_wireguard wireguard --publish 127.0.0.1:8080:8081 --sysctl net.ipv4.conf.all.src_valid_mark=1
wait_for_tunnel docker
make_routes
check 'attach to the new one' attach wireguard --wg-conf "$BED/wg0.conf"
says 'the owner was made anew' '1 stranded no-service' --netns wireguard
check_equal 'its fix is to make the other anew' "$(first '.remedies[0].commands[]')" \
	"docker compose -f '/srv/my vpn/compose.yaml' -p vpn up -d --no-deps --force-recreate torrents"
says 'asked about the stranded one itself' '1 stranded' --netns qbittorrent
