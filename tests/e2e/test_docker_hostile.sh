#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# A hostile container of Docker's: what it shows can take away, not give, and not hold us up.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

engine_bed
docker_up
docker_run hostile --pid host --cap-add NET_ADMIN -- /bin/idle "$ENGINE_LIFE"
engine_check Docker hostile

# --- the positive control ------------------------------------------------------------------------
leak() { # CAPTURE
	capture_start "$1" internet host0 'host 203.0.113.7 or host 2001:db8:7::7'
	probes_in hostile 'udp udp 203.0.113.7:443 --timeout 100
		tcp tcp [2001:db8:7::7]:443 --timeout 100'
	capture_stop "$1"
}
leak control
check_leaks 'without a guard: it leaks' control

# --- the configuration that it shows ----------------------------------------------------------------
secret=$BED/secret
printf '[Interface]\nAddress = 10.99.0.1/16\nDNS = 10.99.0.53\n' >"$secret"
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
leak hostile
check_no_leak 'hostile: everything is the tunnel: nothing in the clear' hostile
check 'hostile: everything is the tunnel: it has shut itself in' \
	no_answer hostile tcp 192.168.1.10:80 --timeout 100
hostile_end

# --- its interfaces --------------------------------------------------------------------------------
hostile 'no configuration' true
docker exec hostile sh -c '/bin/ip link add "$(printf "e\033[31m")" type veth peer name e2'
check_equal 'hostile: interfaces of its own: degraded' "$(of_guard hostile .state)" degraded
check 'hostile: a name that a terminal obeys: status escapes it' grep -q 'e\\x1b\[31m' <(eg status hostile)
check 'hostile: a name that a terminal obeys: and nothing else' \
	test -z "$(eg status hostile | LC_ALL=C tr -d '\n\40-\176')"
# With its other end in a namespace that only a descriptor holds, it is none to attach to.
ip netns add hidden
nsenter --net="/proc/$(docker_pid hostile)/ns/net" -- ip link set e2 netns hidden
exec 8</run/netns/hidden
ip netns delete hidden
refused 'hostile: a name that a terminal obeys: attach escapes it' 5 'e\\x1b\[31m .*--accept-device-only' \
	hostile --endpoint "$BED_ENDPOINT"
exec 8<&-
check_equal 'hostile: the guard is still there' \
	"$(of_guard hostile '|.layers[]|select(.name=="peer")|.interfaces[0]')" eth0
hostile_end
