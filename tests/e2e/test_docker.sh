#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Real Docker containers: `wireguard` owns the namespace and the tunnel, `qbittorrent` shares it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

probe_in() { # CONTAINER WAY DESTINATION [OPTION VALUE]...
	local container=$1
	shift
	docker exec "$container" /bin/probe "$@"
}

answers_from() { # ADDRESS CONTAINER WAY DESTINATION...
	local from=$1
	shift
	probe_in "$@" | grep -q "^answer: from $from "
}

no_answer() {
	! probe_in "$@"
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

said() { # PATTERN: on stderr
	grep -q -E -- "$1" "$BED/attach.err" || {
		cat "$BED/attach.err"
		return 1
	}
}

# refused NAME STATUS PATTERN TARGET [OPTION...]
refused() {
	local name=$1 wanted=$2 pattern=$3 status=0
	shift 3
	attach "$@" >/dev/null || status=$?
	if [ "$status" = "$wanted" ] && said "$pattern" >/dev/null; then
		pass "$name"
	else
		fail "$name" "exit status $status (wanted $wanted): $(cat "$BED/attach.err")"
	fi
}

of_guard() { # GUARD FILTER
	eg status "$1" --json | jq -r ".guards[0]$2"
}

derived() { # GUARD KEY
	eg policy show "$1" | sed -n "s/^# $2 = //p" | sort -u | tr '\n' ' '
}

# What the tunnel says if it does not come up.
wait_for_tunnel() {
	wait_until 15 tunnel_is_up || {
		docker logs wireguard
		return 1
	}
}

tunnel_is_up() {
	docker exec wireguard busybox test -e /run/up && probe_in wireguard icmp 10.13.13.1 --timeout 300
}

# Everything that must not leave, from both containers.
try_to_leak() {
	local container
	for container in wireguard qbittorrent; do
		probe_in "$container" tcp 203.0.113.7:443 --timeout 100
		probe_in "$container" tcp '[2001:db8:7::7]:443' --timeout 100
		probe_in "$container" udp 203.0.113.7:443 --timeout 100
		probe_in "$container" udp '[2001:db8:7::7]:53' --timeout 100
		probe_in "$container" icmp 203.0.113.7 --timeout 100
		probe_in "$container" udp 10.2.0.1:53 --timeout 100
		probe_in "$container" udp 203.0.113.9:9999 --timeout 100
		probe_in "$container" udp 203.0.113.7:443 --timeout 100 --bind eth0
	done >/dev/null 2>&1 || true
	probe_in wireguard udp 203.0.113.7:443 --timeout 100 --mark 51820 >/dev/null 2>&1 || true
}

engine_bed
docker_up
docker_wireguard wireguard
docker_run qbittorrent --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
wireguard_id=$(docker_id wireguard)
qbittorrent_id=$(docker_id qbittorrent)
wait_for_tunnel

# --- the positive control ------------------------------------------------------------------------
docker exec wireguard /bin/ip link set wg0 down
capture_start control internet host0
try_to_leak
capture_stop control
check_leaks 'without a guard: it leaks' control
for seen in 'tcp and dst host 203.0.113.7' 'tcp and dst host 2001:db8:7::7' 'icmp' 'dst host 10.2.0.1'; do
	check "without a guard: the capture sees $seen" test "$(capture_count control "$seen")" -ge 2
done
docker restart -t 5 wireguard >/dev/null
docker restart -t 5 qbittorrent >/dev/null
wait_for_tunnel

# --- attach by name --------------------------------------------------------------------------------
check 'attach to the container by its name' attach wireguard
check_equal 'nothing to warn of' "$(cat "$BED/attach.err")" ''
check 'it says what happens when the container restarts' \
	grep -q 'When this container restarts, its namespace is a new one' "$BED/attach.out"
check_equal 'the guard has the name of the container' "$(of_guard wireguard .target)" docker:wireguard
check_equal 'it enforces' "$(of_guard wireguard .state)" enforcing
check_equal 'on its interface, from the outside' \
	"$(of_guard wireguard '.layers[]|select(.name=="peer")|.state+" "+.interfaces[0]')" 'attached eth0'
check_equal 'tunnel-only: what the wg0.conf inside says' "$(derived wireguard TunnelOnly)" \
	'10.13.13.2 10.2.0.1 fd13::2 '
check_equal 'DNS through the tunnel, then' "$(of_guard wireguard .dns)" tunnel
check_equal 'the endpoint is the live one' "$(of_guard wireguard '.endpoints[0]')" "$BED_ENDPOINT"
# Docker leaves out the zeros at the end.
started=$(docker inspect --format '{{.State.StartedAt}}' wireguard | sed 's/0*Z$/Z/')
check_equal 'since when the container runs, as Docker says' \
	"$(of_guard wireguard .target_started | sed 's/0*Z$/Z/')" "$started"
check 'since when it is guarded' test "$(of_guard wireguard .since)" '>' \
	"$(of_guard wireguard .target_started)"
check 'status shows both' grep -q -z -E 'started  .*guarded since ' <(eg status wireguard)
for target in docker:wireguard "${wireguard_id:0:12}" "docker:${wireguard_id:0:12}" "$wireguard_id" \
	"docker:${wireguard_id:0:6}"; do
	check "attach to $(sed "s/$wireguard_id/ID/; s/[0-9a-f]\{12\}/ID12/; s/[0-9a-f]\{6\}/ID6/" \
		<<<"$target"): the same guard" attach "$target"
	check 'nothing changed' grep -q 'nothing changed' "$BED/attach.out"
done
check_equal 'one guard' "$(eg status --json | jq -r '[.guards[].name]|join(" ")')" wireguard
check_equal 'status --netns finds it' \
	"$(eg status --netns qbittorrent --json | jq -r '.guards[0].name')" wireguard
refused 'the other container has the same namespace' 1 \
	"has the guard 'wireguard' already" qbittorrent

# --- what works ----------------------------------------------------------------------------------------
capture_start up internet host0
for container in wireguard qbittorrent; do
	check "$container: tunnel, IPv4" answers_from 10.13.13.2 "$container" tcp 203.0.113.7:443
	check "$container: tunnel, IPv6" answers_from fd13::2 "$container" udp '[2001:db8:7::7]:443'
	check "$container: LAN, IPv4" answers_from '172\.17\.0\.[0-9]*' "$container" tcp 192.168.1.10:80
	check "$container: LAN, IPv6" answers_from 'fd00:17:[0-9a-f:]*' "$container" tcp '[fd00:1::10]:80'
	check "$container: its DNS server" answers_from 10.13.13.2 "$container" udp 10.2.0.1:53
	check "$container: no DNS server of the LAN" no_answer "$container" udp 192.168.1.10:53 --timeout 100
done
try_to_leak
capture_stop up
check_no_leak 'tunnel up: nothing in the clear' up

# --- the tunnel is down ----------------------------------------------------------------------------------
"$EG" events --pin-dir "$EG_PIN_DIR" --json --duration 30 >"$BED/events.json" 2>"$BED/events.err" &
events=$!
sleep 0.5
docker exec wireguard /bin/ip link set wg0 down
capture_start down internet host0
try_to_leak
capture_stop down
check_no_leak 'tunnel down: nothing in the clear' down
check 'tunnel down: LAN' answers_from '172\.17\.0\.[0-9]*' qbittorrent tcp 192.168.1.10:80
kill -INT "$events"
check 'events end' wait "$events"

event_names() { # PROTO DST REASON
	jq -r "select(.type==\"packet\" and .proto==\"$1\" and .dst==\"$2\" and .reason==\"$3\")
		|.container+\" \"+.container_id" "$BED/events.json" | sort -u | tr '\n' ' '
}
both="qbittorrent $qbittorrent_id wireguard $wireguard_id "
check_equal 'events name the containers: TCP' "$(event_names tcp 203.0.113.7 public)" "$both"
check_equal 'events name the containers: TCP, IPv6' "$(event_names tcp 2001:db8:7::7 public)" "$both"
check_equal 'events name the containers: UDP' "$(event_names udp 203.0.113.7 public)" "$both"
check_equal 'events name the containers: DNS for the tunnel' \
	"$(event_names udp 10.2.0.1 tunnel-only)" "$both"
check_equal 'events name the cgroup' \
	"$(jq -r 'select(.container=="qbittorrent")|.cgroup' "$BED/events.json" | sort -u)" \
	"/$ENGINE_CGROUP/$qbittorrent_id"
check 'a line for people names it too' grep -q ' in qbittorrent, layer device$' <(
	eg events --count 1 2>/dev/null &
	sleep 0.3
	probe_in qbittorrent udp 203.0.113.7:443 --timeout 50 >/dev/null
	wait
)
check_equal 'status names it too' "$(of_guard wireguard \
	'.recent[]|select(.dst=="203.0.113.7" and .proto=="udp" and .container=="qbittorrent")|.container' |
	sort -u)" qbittorrent

# --- another interface ---------------------------------------------------------------------------------
docker network create --subnet 172.31.0.0/16 second >/dev/null
docker network connect second wireguard
check_equal 'a network more: degraded' "$(of_guard wireguard .state)" degraded
check 'and says which' grep -q "eth1 has no .peer. layer: attach again" <(eg status wireguard)
check_status 'for health checks too' 1 eg status wireguard --check
check 'attach again' attach wireguard
check_equal 'covers it' \
	"$(of_guard wireguard '|.state+" "+(.layers[]|select(.name=="peer")|.interfaces|sort|join(" "))')" \
	'enforcing eth0 eth1'
check "Docker's resolver: attach says so" said 'dns: outside the guard.*127\.0\.0\.11'
check_equal "Docker's resolver: status says so" "$(of_guard wireguard .dns)" 'outside the guard'
capture_start eth1 internet host0
probe_in qbittorrent udp 203.0.113.7:443 --timeout 100 --bind eth1 >/dev/null || true
probe_in wireguard tcp 203.0.113.7:443 --timeout 100 --bind eth1 >/dev/null || true
capture_stop eth1
check_no_leak 'nothing in the clear there' eth1
docker network disconnect second wireguard
check_equal 'and gone again: enforcing' "$(of_guard wireguard .state)" enforcing

# --- restart -------------------------------------------------------------------------------------------
docker restart -t 5 wireguard >/dev/null
check_equal 'restarted: unguarded' "$(of_guard wireguard .state)" unguarded
check_status 'restarted: for health checks too' 1 eg status wireguard --check
wait_for_tunnel
check 'restarted: attach again' attach wireguard
check_equal 'restarted: enforcing' "$(of_guard wireguard .state)" enforcing
docker restart -t 5 qbittorrent >/dev/null
check 'restarted: the tunnel' answers_from 10.13.13.2 qbittorrent tcp 203.0.113.7:443
docker exec wireguard /bin/ip link set wg0 down
capture_start restarted internet host0
try_to_leak
capture_stop restarted
check_no_leak 'restarted: nothing in the clear' restarted

docker stop -t 5 qbittorrent wireguard >/dev/null
check_equal 'stopped: the guard is gone' "$(of_guard wireguard .state)" gone
refused 'stopped: attach says so' 3 \
	'the container .wireguard. \(docker\) is stopped; start it, then attach' wireguard
docker start wireguard >/dev/null
wait_for_tunnel
check 'started: attach' attach wireguard
check_equal 'started: enforcing' "$(of_guard wireguard .state)" enforcing
check_equal 'started: the old guard is reaped' "$(eg status --json | jq '.guards|length')" 1

# --- names ---------------------------------------------------------------------------------------------
ip netns add wireguard
refused 'a namespace and a container' 2 \
	'.wireguard. is more than one thing: write netns:wireguard .* or docker:wireguard' wireguard
check 'said explicitly' attach docker:wireguard
ip netns delete wireguard
refused 'no such container' 3 'did you mean .wireguard.' wiregaurd
refused 'no such container, explicitly' 3 'Docker has no container .nonesuch.' docker:nonesuch
check 'detach --netns' eg detach --netns wireguard

long=$(printf 'n%.0s' {1..200})
for name in a.b-c_d 4242 "$long"; do
	docker_run "$name" -- /bin/idle "$ENGINE_LIFE"
	id=$(docker_id "$name")
	label=${name:0:20}
	check "a container called $label" attach "$name" --endpoint "$BED_ENDPOINT"
	guard=$(eg status --json | jq -r '.guards[0].name')
	check_equal "its guard is $label, or has its id" "$guard" \
		"$([ "$name" = "$long" ] && echo "$id" || echo "$name")"
	check "status of $label" eg status "$guard" --check
	check "detach from $label" eg detach --netns "docker:$name"
	docker rm --force "$name" >/dev/null
done

# --- networks that are not LAN ---------------------------------------------------------------------------
docker network create --subnet 198.18.0.0/16 odd >/dev/null
docker_run odd --network odd -- /bin/idle "$ENGINE_LIFE"
check 'a network outside RFC 1918' attach odd --endpoint "$BED_ENDPOINT"
check 'a hint says how to allow it' said '198\.18\.0\.0/16 is not LAN .*--allow 198\.18\.0\.0/16'
check 'DNS: attach says that it is outside' said 'dns: outside the guard'
check_equal 'DNS: status too' "$(of_guard odd .dns)" 'outside the guard'
check 'it is not allowed' no_answer odd icmp 198.18.0.1 --timeout 200
refused 'what allows more has to be confirmed' 1 '--replace' \
	odd --endpoint "$BED_ENDPOINT" --allow 198.18.0.0/16
check 'and then is' attach odd --endpoint "$BED_ENDPOINT" --allow 198.18.0.0/16 --replace
check 'the hint is gone' grep -q -v 'is not LAN' "$BED/attach.err"
check 'it is allowed' probe_in odd icmp 198.18.0.1
check 'detach' eg detach odd
docker rm --force odd >/dev/null

# --- a hostile container ---------------------------------------------------------------------------------
# The configuration that it shows is a stranger's: it can take away, not give, and not hold us up.
secret=$BED/secret
printf '[Interface]\nAddress = 10.99.0.1/16\nDNS = 10.99.0.53\n' >"$secret"
docker_run hostile --pid host --cap-add NET_ADMIN -- /bin/idle "$ENGINE_LIFE"
docker exec hostile mkdir -p /etc/wireguard

# hostile NAME COMMAND: makes the container's wg0.conf by it, in its shell, and attaches.
hostile() {
	local name=$1
	docker exec hostile sh -c "rm -rf /etc/wireguard/wg0.conf; cd /etc/wireguard; $2"
	check "hostile: $name: attach" timeout 10 "$EG" attach --pin-dir "$EG_PIN_DIR" --netns hostile \
		--endpoint "$BED_ENDPOINT" --dns auto
	cp "$BED/check.out" "$BED/attach.err"
	check_equal "hostile: $name: enforcing" "$(of_guard hostile .state)" enforcing
	check_equal "hostile: $name: its endpoint is not taken" "$(of_guard hostile '.endpoints|join(" ")')" \
		"$BED_ENDPOINT"
}
hostile_end() {
	eg detach hostile >/dev/null
}
hostile_warns() { # NAME PATTERN
	check "hostile: $1: warns" said "$2"
	check_equal "hostile: $1: nothing is taken" "$(derived hostile TunnelOnly)" ''
	check "hostile: $1: nothing that a terminal obeys" \
		test -z "$(LC_ALL=C tr -d '\n\40-\176' <"$BED/attach.err")"
	hostile_end
}

hostile 'a link out of its root' "ln -s $secret wg0.conf"
check_equal 'hostile: a link out of its root: stays inside' "$(derived hostile TunnelOnly)" ''
hostile_end
hostile 'a climbing link' "ln -s ../../../../../..$secret wg0.conf"
check_equal 'hostile: a climbing link: stays inside' "$(derived hostile TunnelOnly)" ''
hostile_end
hostile 'a link through /proc' "ln -s /proc/1/root$secret wg0.conf"
hostile_warns 'a link through /proc' 'cannot be read'
hostile 'a FIFO' 'mkfifo wg0.conf'
hostile_warns 'a FIFO' 'no regular file'
hostile 'a FIFO that never ends' 'mkfifo wg0.conf; cat /dev/zero >wg0.conf &'
hostile_warns 'a FIFO that never ends' 'no regular file'
hostile 'a device' 'busybox mknod wg0.conf c 1 5'
hostile_warns 'a device' 'no regular file'
hostile 'a directory' 'mkdir wg0.conf'
hostile_warns 'a directory' 'no regular file'
hostile 'a huge file' 'busybox truncate -s 1099511627776 wg0.conf'
hostile_warns 'a huge file' 'cannot be read'
hostile 'garbage' 'busybox dd if=/dev/urandom of=wg0.conf bs=64k count=1 2>/dev/null'
check "hostile: garbage: nothing that a terminal obeys" \
	test -z "$(LC_ALL=C tr -d '\n\40-\176' <"$BED/attach.err")"
hostile_end
hostile 'escapes' "printf '[Interface]\nAddress = \033[31mred\n' >wg0.conf"
hostile_warns 'escapes' 'wg0\.conf:2:11'
hostile 'an endpoint and more' "printf '[Interface]\nAddress = 10.98.0.0/16\nDNS = 10.98.0.1\nPostUp = touch $BED/ran\n[Peer]\nAllowedIPs = 0.0.0.0/0\nEndpoint = 198.51.100.1:443\n' >wg0.conf"
check_equal 'hostile: an endpoint and more: only what narrows' "$(derived hostile TunnelOnly)" \
	'10.98.0.0/16 10.98.0.1 '
check 'hostile: nothing of it is run' test ! -e "$BED/ran"
hostile_end
refused 'hostile: its endpoint does not stand for one that is missing' 2 'no endpoint is given' hostile

hostile 'everything is the tunnel' "printf '[Interface]\nAddress = 0.0.0.0/0, ::/0\n' >wg0.conf"
capture_start hostile internet host0 'host 203.0.113.7 or host 2001:db8:7::7'
probe_in hostile udp 203.0.113.7:443 --timeout 100 >/dev/null || true
probe_in hostile tcp '[2001:db8:7::7]:443' --timeout 100 >/dev/null || true
capture_stop hostile
check_no_leak 'hostile: everything is the tunnel: nothing in the clear' hostile
check 'hostile: everything is the tunnel: it has shut itself in' \
	no_answer hostile tcp 192.168.1.10:80 --timeout 100
hostile_end

hostile 'no configuration' true
docker exec hostile sh -c '/bin/ip link add "$(printf "e\033[31m")" type veth peer name e2'
check_equal 'hostile: interfaces of its own: degraded' "$(of_guard hostile .state)" degraded
check 'hostile: a name that a terminal obeys: status escapes it' grep -q 'e\\x1b\[31m' <(eg status hostile)
check 'hostile: a name that a terminal obeys: and nothing else' \
	test -z "$(eg status hostile | LC_ALL=C tr -d '\n\40-\176')"
refused 'hostile: a name that a terminal obeys: attach escapes it' 5 'e\\x1b\[31m .*--accept-device-only' \
	hostile --endpoint "$BED_ENDPOINT"
check_equal 'hostile: the guard is still there' \
	"$(of_guard hostile '|.layers[]|select(.name=="peer")|.interfaces[0]')" eth0
hostile_end
