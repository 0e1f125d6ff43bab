# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Real container engines in the bed, and an image for them. Sourced after lib.sh.
#
# An engine runs in the bed's namespace `host`, so that its networks lead to the bed's LAN and
# internet, and with all it writes in $BED. What it would share with an engine of the machine's is
# hidden from it (engine_hide), its containers' cgroups are below one that is named after this
# process, and at the end, however that comes, all of it is ended, unmounted and removed
# (engine_end). Containers end by themselves after a while, should this script be killed.

ENGINE_CGROUP=eg-bed-$$
ENGINE_LIFE=900 # seconds
ENGINE_HIDDEN=() # directories that were made to be mounted over

# The machine's own engines have their own places: nothing of them is seen or written.
engine_hide() {
	local directory
	for directory in /run/containerd /run/docker /etc/docker "$@"; do
		if ! [ -d "$directory" ]; then
			mkdir -p "$directory"
			ENGINE_HIDDEN+=("$directory")
		fi
		mount -t tmpfs -o mode=755 tmpfs "$directory"
	done
}

# --- the image ---------------------------------------------------------------------------------

# engine_program ROOT PROGRAM: with the libraries it needs.
engine_program() {
	local root=$1 program library
	program=$(command -v "$2")
	cp -L "$program" "$root/bin/${2##*/}"
	# A static one has none.
	{ ldd "$program" || true; } 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | while read -r library; do
		[ -e "$root$library" ] || install -D "$library" "$root$library"
	done
}

# A root file system: a shell, the probe, and what a container needs that runs the tunnel.
engine_root() {
	local root=$BED/root program
	mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,var}
	ln -s ../run "$root/var/run"
	for program in busybox ip wg wireguard-go "$PROBE"; do
		engine_program "$root" "$program"
	done
	for program in sh sleep cat grep mkdir mkfifo ln rm dd; do
		ln -s busybox "$root/bin/$program"
	done
	# In the manner of the images that run WireGuard from their configuration.
	cat >"$root/bin/tunnel" <<-'TUNNEL'
		#!/bin/sh
		set -e
		conf=/config/wg_confs/wg0.conf
		rm -f /run/up /run/wireguard/wg0.sock
		if ! ip link add wg0 type wireguard 2>/dev/null; then
			LOG_LEVEL=error wireguard-go -f wg0 &
			until [ -S /run/wireguard/wg0.sock ]; do sleep 0.05; done
		fi
		grep -v -E '^(Address|DNS) ' "$conf" >/tmp/wg0.conf
		wg setconf wg0 /tmp/wg0.conf
		wg set wg0 fwmark 51820
		ip address add 10.13.13.2/32 dev wg0
		ip address add fd13::2/128 dev wg0
		ip link set wg0 mtu 1420 up
		for family in -4 -6; do
			ip $family route add default dev wg0 table 51820
			ip $family rule add not fwmark 51820 table 51820
			ip $family rule add table main suppress_prefixlength 0
		done
		# The LAN keeps its own way.
		default=$(ip -4 route show default)
		ip route add 192.168.1.0/24 ${default#default}
		default=$(ip -6 route show default)
		[ -z "$default" ] || ip route add fd00:1::/64 ${default#default}
		: >/run/up
		trap 'exit 0' TERM
		sleep "$1" &
		wait
	TUNNEL
	cat >"$root/bin/idle" <<-'IDLE'
		#!/bin/sh
		trap 'exit 0' TERM
		sleep "$1" &
		wait
	IDLE
	chmod 755 "$root/bin/tunnel" "$root/bin/idle"
}

# What the container `wireguard` finds in /config, which is $BED/config.
engine_config() {
	bed_keys
	mkdir -p "$BED/config/wg_confs"
	cat >"$BED/config/wg_confs/wg0.conf" <<-CONF
		[Interface]
		Address = 10.13.13.2/32, fd13::2/128
		DNS = 10.2.0.1
		PrivateKey = $(cat "$BED/client.key")

		[Peer]
		PublicKey = $(cat "$BED/server.pub")
		AllowedIPs = 0.0.0.0/0, ::/0
		Endpoint = $BED_ENDPOINT
	CONF
}

# The bed without its own namespace `wireguard`, which is what the container is called here, and with
# the VPN's DNS server.
engine_bed() {
	bed_up
	ip netns delete wireguard
	tunnel_server_up
	ip -n vpn address add 10.2.0.1/32 dev wgs0
	start_in vpn responder-dns python3 "$BED_SOURCE/tests/e2e/responder.py" "$BED/dns.ready" 10.2.0.1
	wait_until 10 test -e "$BED/dns.ready"
	engine_config
}

# --- Docker ------------------------------------------------------------------------------------

# dockerd with its default bridge on 172.17.0.0/16 and fd00:17::/64. It translates no address and
# writes no firewall rule: what leaks is seen with the container's own address.
docker_up() {
	local directory=$BED/docker
	engine_hide
	mkdir -p "$directory/client"
	echo '{}' >"$directory/daemon.json"
	export DOCKER_HOST=unix://$directory/docker.sock DOCKER_CONFIG=$directory/client
	start_in host dockerd dockerd --host "$DOCKER_HOST" --config-file "$directory/daemon.json" \
		--data-root "$directory/data" --exec-root "$directory/exec" \
		--pidfile "$directory/pid" --exec-opt native.cgroupdriver=cgroupfs \
		--cgroup-parent "/$ENGINE_CGROUP" --iptables=false --ip6tables=false --ip-masq=false \
		--userland-proxy=false --dns 192.168.1.10 \
		--bip 172.17.0.1/16 --ipv6 --fixed-cidr-v6 fd00:17::/64
	wait_until 60 docker version || {
		cat "$BED/dockerd.log"
		return 1
	}
	bed_route internet 172.17.0.0/16 198.51.100.2 fd00:17::/64 2001:db8:100::2
	engine_root
	tar -C "$BED/root" -c . | docker import - bed >/dev/null
}

# docker_run NAME [OPTION...] -- COMMAND...
docker_run() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	docker run --detach --name "$name" "${options[@]}" bed "$@" >/dev/null
}

docker_wireguard() { # NAME [OPTION...]
	local name=$1
	shift
	docker_run "$name" --cap-add NET_ADMIN --device /dev/net/tun \
		--sysctl net.ipv6.conf.all.disable_ipv6=0 --volume "$BED/config:/config" "$@" \
		-- /bin/tunnel "$ENGINE_LIFE"
}

docker_id() {
	docker inspect --format '{{.Id}}' "$1"
}

docker_pid() {
	docker inspect --format '{{.State.Pid}}' "$1"
}

# --- the end -----------------------------------------------------------------------------------

# The processes of this test's containers, and the directories of their cgroups, deepest first.
engine_cgroups() {
	local mount_point
	awk '$0 ~ / - cgroup2? / { print $5 }' /proc/self/mountinfo | while read -r mount_point; do
		find "$mount_point/$ENGINE_CGROUP" -depth -type d 2>/dev/null
	done
}

engine_kill_containers() {
	local directory pid
	engine_cgroups | while read -r directory; do
		while read -r pid; do
			kill -KILL "$pid"
		done <"$directory/cgroup.procs"
	done 2>/dev/null
}

# Who watches a container is no child of ours. In this mount namespace, which was made for this
# script, nothing is another's.
engine_kill_monitors() {
	local process own
	own=$(readlink /proc/self/ns/mnt)
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/ns/mnt" 2>/dev/null)" = "$own" ] || continue
		case $(cat "$process/comm" 2>/dev/null) in
		containerd | containerd-shim* | conmon) kill -KILL "${process##*/}" 2>/dev/null ;;
		esac
	done
}

engine_rmdir_cgroups() {
	local directory
	engine_cgroups | while read -r directory; do
		rmdir "$directory" 2>/dev/null
	done
	[ -z "$(engine_cgroups)" ]
}

engine_end() {
	local name mount_point directory
	for name in dockerd podman; do
		stop "$name"
	done
	engine_kill_containers
	engine_kill_monitors
	wait_until 5 engine_rmdir_cgroups || echo "left: $(engine_cgroups)"
	awk -v bed="$BED/" 'index($5, bed) == 1 { print $5 }' /proc/self/mountinfo | tac |
		while read -r mount_point; do
			umount -l "$mount_point"
		done
	for directory in "${ENGINE_HIDDEN[@]}"; do
		umount -l "$directory"
		rmdir "$directory"
	done
}

bed_at_exit() {
	engine_end 2>/dev/null
}
