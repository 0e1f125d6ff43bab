#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Docker's own resolver, 127.0.0.11, of containers on a network that a user made. Where it is not known
# to ask through the tunnel and DNS may go no other way, it is refused on loopback, however it is asked;
# where the container has `dns:` with the tunnel's resolver, it works.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

WAYS=(udp tcp port raw packet vlan)
ANSWERED=(udp tcp port)

# ask CONTAINER WAY NAME
ask() {
	nsenter --net="/proc/$(docker_pid "$1")/ns/net" -- python3 "$BED_SOURCE/tests/e2e/dnsask.py" "$2" "$3"
}
# ask_all CONTAINER PREFIX: by all ways, each for a name of its own.
ask_all() {
	local way
	for way in "${WAYS[@]}"; do
		echo "$way $(ask "$1" "$way" "$2-$way.example")"
	done >"$BED/asked"
}
asked_for() { # CAPTURE NAME
	capture_show "$1" | matches -F "$2"
}
dns_of() { # GUARD
	of_guard "$1" '|.dns+" "+.dns_resolver+" "+(.dns_refused|tostring)'
}
on_loopback() { # PACKETS that left by another way than the resolver
	local sent
	start "listen" nsenter --net="/proc/$(docker_pid "$1")/ns/net" -- \
		python3 "$BED_SOURCE/tests/e2e/responder.py" "$BED/loopback.ready" 127.0.0.1
	wait_until 10 test -e "$BED/loopback.ready"
	nsenter --net="/proc/$(docker_pid "$1")/ns/net" -- "$PROBE" tcp 127.0.0.1:80 --timeout 1000 &&
		nsenter --net="/proc/$(docker_pid "$1")/ns/net" -- "$PROBE" udp 127.0.0.1:53 --timeout 1000
	sent=$?
	stop listen
	rm -f "$BED/loopback.ready"
	return "$sent"
}

engine_bed
docker_up
docker network create --subnet 172.31.0.0/16 seed >/dev/null
bed_route internet 172.31.0.0/16 198.51.100.2 fd00:31::/64 2001:db8:100::2

# --- without `dns:` -------------------------------------------------------------------------------------

docker_wireguard wireguard --network seed
engine_check Docker wireguard
wait_for_tunnel docker
version=$(docker version --format '{{.Server.Version}}' | tr + .)

# What a packet socket sends by lo is taken only where whoever is root has seen to it.
for name in route_localnet accept_local; do
	nsenter --net="/proc/$(docker_pid wireguard)/ns/net" -- sysctl -q -w "net.ipv4.conf.lo.$name=1"
done
capture_start control lan eth0 'port 53'
ask_all wireguard control
capture_stop control
for way in "${WAYS[@]}"; do
	check "without a guard: asked by $way, the LAN's server is asked" asked_for control "control-$way.example"
done
check 'without a guard: loopback' on_loopback wireguard

check 'attach' attach wireguard
check 'attach says that it is refused, why, and what to do' said \
	"Docker's resolver 127\.0\.0\.11 is refused.*no \`dns:\`.*Docker $version.*the fix: \`dns:\`.*--allow-dns 127\.0\.0\.11"
check_equal 'status says so' "$(dns_of wireguard)" 'tunnel not known true'
check_equal 'it enforces' "$(of_guard wireguard .state)" enforcing
check 'status, for people' grep -q "Docker's resolver is refused" <(eg status wireguard)
events_start
wait_until 20 sh -c "grep -q 'dns-off-tunnel lo' '$BED/events-text.log' ||
	{ nsenter --net=/proc/$(docker_pid wireguard)/ns/net -- '$PROBE' udp 127.0.0.11:53 --timeout 50; false; }"
guard_counted wireguard
capture_start held lan eth0 'port 53'
ask_all wireguard held
capture_stop held
counted=$(guard_counted wireguard dropped)
check 'events' events_stop
check_equal 'refused: nobody is asked' "$(capture_count held)" 0
for way in "${ANSWERED[@]}"; do
	check "refused: $way" grep -q -x "$way no answer" "$BED/asked"
done
check 'counted: dns-off-tunnel' grep -q -E -x 'device dns-off-tunnel [0-9]+' <<<"$counted"
check 'counted: the tag as ethertype' grep -q -x 'device ethertype 1' <<<"$counted"
check 'events tell the way' grep -q 'DROP dns-off-tunnel lo .* > 127\.0\.0\.11\.' "$BED/events-text.log"
check 'other traffic on loopback goes on' on_loopback wireguard
check 'audit: attach' attach wireguard --audit --replace
check 'audit: it answers' grep -q answer <(ask wireguard udp audit.example)
check_equal 'audit: would-drop' \
	"$(of_guard wireguard '.counters.by_layer.device.would_drop["dns-off-tunnel"].packets > 0')" true
check 'and back' attach wireguard

# --- by the user's word -----------------------------------------------------------------------------------

check '--allow-dns 127.0.0.11' attach wireguard --allow-dns 127.0.0.11 --replace
check_equal 'status says that it is not known' "$(dns_of wireguard)" 'not known not known false'
check 'attach says so' said 'dns: not known: cannot tell from which namespace'
ask wireguard udp allowed.example >/dev/null
check_equal 'this Docker asks from the namespace, where it is judged' "$(of_guard wireguard \
	'.recent[]|select(.dst=="192.168.1.10" and .dport==53 and .reason=="dns-off-tunnel" and .layer=="device")|.dst' |
	sort -u)" \
	192.168.1.10
check 'dns = lan' attach wireguard --dns lan --replace
check_equal 'nothing is refused' "$(dns_of wireguard)" 'not known not known false'
check 'attach has asked, and seen where it went' \
	said "a query to Docker's resolver 127\.0\.0\.11 for a name that nobody has left the namespace outside the tunnel"
check_equal 'nothing is left on loopback' "$(find "$EG_PIN_DIR/wireguard" -name '*_lo_*')" ''
capture_start lan lan eth0 'port 53'
ask wireguard udp lan.example >/dev/null
capture_stop lan
check 'it is asked' asked_for lan lan.example
check 'dns = tunnel again' attach wireguard
check_equal 'refused again' "$(dns_of wireguard)" 'tunnel not known true'
# As Docker 26 and later write it, where it asks from the host's namespace.
docker exec wireguard /bin/sh -c 'echo "# ExtServers: [host(192.168.1.10)]" >>/etc/resolv.conf'
check 'dns = lan, and resolv.conf says that it asks from outside' attach wireguard --dns lan --replace
check_equal 'then that is told' "$(dns_of wireguard)" 'outside the guard outside false'
check 'attach tells' said "dns: outside the guard: Docker's resolver 127\.0\.0\.11 asks from the host's namespace"
check 'detach' eg detach wireguard
docker rm --force wireguard >/dev/null

# --- with `dns:` ---------------------------------------------------------------------------------------

docker_wireguard wireguard --network seed --dns 10.2.0.1
docker_run qbittorrent --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
wait_for_tunnel docker
check 'with dns: attach' attach wireguard
check 'with dns: nothing to warn of' [ ! -s "$BED/attach.err" ]
check_equal 'with dns: it asks from inside' "$(dns_of wireguard)" 'tunnel inside false'
in_ns vpn nft -f - <<-TABLE
	table inet eg {
		counter asked {}
		chain in {
			type filter hook input priority 0;
			iifname wgs0 ip daddr 10.2.0.1 udp dport 53 counter name asked
		}
	}
TABLE
capture_start clear internet host0
capture_start lan lan eth0 'port 53'
ask wireguard udp inside.example >/dev/null
capture_stop clear
capture_stop lan
check 'with dns: the query goes through the tunnel' test "$(in_ns vpn nft -j list counter inet eg asked |
	jq '.nftables[]|select(.counter)|.counter.packets')" -gt 0
check_no_leak 'with dns: and nowhere else' clear
check_equal 'with dns: nor to the LAN' "$(capture_count lan)" 0
check 'detach' eg detach wireguard
check 'attach by the other container, whose network it is' attach qbittorrent --dns tunnel
check_equal 'the same is known' "$(dns_of qbittorrent)" 'tunnel inside false'
check 'detach' eg detach qbittorrent
check 'attach by a process' attach "pid:$(docker_pid qbittorrent)" --name both --dns tunnel
check_equal 'the same is known of it' "$(dns_of both)" 'tunnel inside false'
check 'detach' eg detach both
