#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Root inside does what it can to be left without a guard by the daemon, before that comes: it takes the tunnel's
# name for something else, makes two tunnels, gives interfaces other names all the time. And an engine that talks
# nonsense of the target is no reason to say that all is well.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

export DOCKER_HOST=unix://$BED/docker.sock CONTAINER_HOST=unix://$BED/no.sock
bed_up

leak() { # CAPTURE [INTERFACE]
	local interface=${2:-eth0}
	capture_start "$1" internet host0
	probe wireguard udp 203.0.113.7:443 --timeout 100 --bind "$interface" || true
	probe wireguard udp '[2001:db8:7::7]:443' --timeout 100 --bind "$interface" || true
	capture_stop "$1"
}
has_guard() {
	eg status wireguard --json | jq -e '.guards[0].state == "enforcing" or .guards[0].state == "degraded"'
}
# check_guarded NAME: by the daemon, that is started for it.
check_guarded() {
	check "$1: the daemon starts" daemon_up
	check "$1: guarded" wait_until 20 has_guard
	leak guarded
	check_no_leak "$1: nothing in the clear" guarded
}
daemon_down() {
	stop daemon
	eg detach wireguard >/dev/null
}

leak control
check_leaks 'control: without a guard it leaks' control
policy wireguard 'Target = netns:wireguard'

# --- the tunnel's name -----------------------------------------------------------------------------
ip -n wireguard link add wg0 type veth peer name other
check_guarded 'a veth called wg0'
check_logged 'a veth called wg0: said' 'wg0 is not WireGuard but a device of kind veth'
daemon_down
ip -n wireguard link delete wg0

ip -n wireguard tuntap add dev wg0 mode tun
check_guarded 'a tun called wg0 that nobody answers for'
check_logged 'a tun called wg0: said' 'no userspace WireGuard answers for it'
daemon_down

# --- other names all the time ------------------------------------------------------------------------
ip -n wireguard link add n0 type veth peer name other
start_in wireguard renames python3 -c '
import fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names = [b"n0", b"n1"]
while True:
    fcntl.ioctl(s, 0x8923, struct.pack("16s16s8x", *names))  # SIOCSIFNAME
    names.reverse()
    open(sys.argv[1], "w").close()
' "$BED/renames"
wait_until 10 test -e "$BED/renames"
check_guarded 'names that change all the time'
check 'names that change all the time: it goes on' running renames
# From outside, as an engine adds a network.
bed_link host late0 wireguard eth1
bed_address host late0 172.30.0.1/16
bed_address wireguard eth1 172.30.0.2/16
ip -n internet route add 172.30.0.0/16 via 198.51.100.2
ip -n wireguard route add default via 172.30.0.1 dev eth1 metric 900
check 'an interface that comes meanwhile is covered' wait_until 20 eth1_is_covered
leak late eth1
check_no_leak 'an interface that comes meanwhile: nothing in the clear' late
daemon_down
leak control eth1
check 'control: without a guard it leaks there, too' test \
	"$(capture_count control 'src host 172.30.0.2')" -gt 0
stop renames

# --- an engine that talks nonsense ---------------------------------------------------------------------
cat >"$BED/nonsense.py" <<'END'
import http.server, os, socketserver, sys, time

class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path.startswith("/events"):
            self.wfile.flush()
            time.sleep(600)
        self.wfile.write(b"[nonsense")

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

with Server(sys.argv[1] + ".new", Engine) as server:
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()
END
start nonsense python3 "$BED/nonsense.py" "$BED/docker.sock"
wait_until 10 test -S "$BED/docker.sock"
rm "$CONFIG/wireguard.conf"
policy app 'Target = docker:app'
check 'nonsense: the daemon starts' daemon_up
check_logged 'nonsense: the answer is said to be none' "app: the container engine's answer is malformed"
check_logged 'nonsense: no mere "ready"' 'ready, but no guard could be made .*for app: open until it can'
stop daemon
stop nonsense

# --- any number of addresses ----------------------------------------------------------------------------
rm "$CONFIG/app.conf"
policy wireguard 'Target = netns:wireguard'
for ((i = 1; i <= 200; i++)); do
	echo "address add 2001:db8:5::$i/128 dev eth0 nodad"
done | ip -n wireguard -batch -
check 'many addresses: the daemon starts' daemon_up
check_logged 'many addresses: said' '[0-9]+ more addresses are there that nothing outside the namespace knows'
check 'many addresses: not one by one' test "$(grep -a -c 'has the address 2001:db8:5::' "$BED/daemon.log")" -lt 20
check 'many addresses: guarded' has_guard
