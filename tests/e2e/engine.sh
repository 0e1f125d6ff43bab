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

# engine_hide DIRECTORY...: the machine's own engines have their own places: nothing of them is seen
# or written.
engine_hide() {
	local directory
	for directory; do
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
		# busybox would take its own for `ip`.
		ip=/bin/ip
		conf=/config/wg_confs/wg0.conf
		rm -f /run/up /run/wireguard/wg0.sock
		if ! $ip link add wg0 type wireguard 2>/dev/null; then
			LOG_LEVEL=error wireguard-go -f wg0 2>/dev/null &
			until [ -S /run/wireguard/wg0.sock ]; do sleep 0.05; done
		fi
		grep -v -E '^(Address|DNS) ' "$conf" >/tmp/wg0.conf
		wg setconf wg0 /tmp/wg0.conf
		wg set wg0 fwmark 51820
		$ip address add 10.13.13.2/32 dev wg0
		$ip address add fd13::2/128 dev wg0
		$ip link set wg0 mtu 1420 up
		for family in -4 -6; do
			$ip $family route add default dev wg0 table 51820
			$ip $family rule add not fwmark 51820 table 51820
			$ip $family rule add table main suppress_prefixlength 0
		done
		# The LAN keeps its own way: via whatever the default route goes.
		set -- "$1" $($ip -4 route show default)
		$ip route add 192.168.1.0/24 via "$4"
		set -- "$1" $($ip -6 route show default)
		[ $# = 1 ] || $ip route add fd00:1::/64 via "$4" dev eth0
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
	echo "$BED" >"$root/etc/bed"
}

# engine_check ENGINE CONTAINER COMMAND...: COMMAND executes in the container. In a chroot it would be
# executed in the root that was left, and what these tests do to their containers, be done to that.
engine_check() {
	local engine=$1 container=$2
	shift 2
	[ "$("$@" "$container" /bin/busybox cat /etc/bed)" != "$BED" ] || return 0
	skip "$engine" 'what is executed in a container is not in its root; is this a chroot?'
	exit 0
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
	engine_hide /run/containerd /run/docker /etc/docker
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
	docker_run try -- /bin/idle "$ENGINE_LIFE"
	engine_check Docker try docker exec
	docker rm --force try >/dev/null
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

# --- Podman ------------------------------------------------------------------------------------

# Podman with a network `bed` on 172.20.0.0/16, and its service, whose socket is CONTAINER_HOST for
# egressguard. The client does without the service: see podman_bed().
podman_up() {
	local directory=$BED/podman backend=netavark
	engine_hide /run/libpod /run/containers /run/podman /run/runc /run/crun /run/lock \
		/var/lib/cni /var/lib/containers /var/cache/containers
	mkdir -p "$directory"/{root,run,tmp,networks,volumes,home}
	if podman --version | grep -q ' version [0-4]\.'; then
		backend=cni
	fi
	# Locks in files: those in shared memory have one name for the whole machine.
	cat >"$directory/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		pids_limit = 0
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		lock_type = "file"
		runtime = "runc"
		static_dir = "$directory/root/libpod"
		tmp_dir = "$directory/tmp"
		volume_path = "$directory/volumes"
		[network]
		network_backend = "$backend"
		network_config_dir = "$directory/networks"
		cni_plugin_dirs = ["/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"]
	CONF
	cat >"$directory/storage.conf" <<-CONF
		[storage]
		driver = "vfs"
		graphroot = "$directory/root"
		runroot = "$directory/run"
	CONF
	export CONTAINERS_CONF=$directory/containers.conf HOME=$directory/home
	export CONTAINERS_STORAGE_CONF=$directory/storage.conf
	export CONTAINER_HOST=unix://$directory/podman.sock
	start_in host podman env -u CONTAINER_HOST podman system service --time 0 "$CONTAINER_HOST"
	wait_until 30 test -S "$directory/podman.sock" || {
		cat "$BED/podman.log"
		return 1
	}
	engine_root
	tar -C "$BED/root" -c . | podman_bed import --quiet - bed >/dev/null
	podman_run try --network none -- /bin/idle "$ENGINE_LIFE"
	engine_check Podman try podman_bed exec
	podman_bed rm --force try >/dev/null
	podman_bed network create --disable-dns --subnet 172.20.0.0/16 bed >/dev/null
	ip -n internet route add 172.20.0.0/16 via 198.51.100.2
}

# podman_run NAME [OPTION...] -- COMMAND...
podman_run() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	podman_bed run --detach --name "$name" --cgroup-parent "/$ENGINE_CGROUP" "${options[@]}" \
		bed "$@" >/dev/null
}

# A client of its own, without the service, in the namespace of the networks.
podman_bed() {
	env -u CONTAINER_HOST nsenter --net=/run/netns/host -- podman "$@"
}

# --- the end -----------------------------------------------------------------------------------

# The directories of this test's cgroups, deepest first.
engine_cgroups() {
	local mount_point
	awk '$0 ~ / - cgroup2? / { print $5 }' /proc/self/mountinfo | while read -r mount_point; do
		find "$mount_point/$ENGINE_CGROUP" -depth -type d 2>/dev/null
	done
}

# Ends this test's containers.
engine_clear_cgroups() {
	local directory pid
	engine_cgroups | while read -r directory; do
		while read -r pid; do
			kill -KILL "$pid"
		done <"$directory/cgroup.procs"
		rmdir "$directory"
	done 2>/dev/null
	[ -z "$(engine_cgroups)" ]
}

# Who watches a container is no child of ours. In this mount namespace, which was made for this
# script, nothing is another's.
engine_kill_monitors() {
	local process name
	for process in /proc/[0-9]*; do
		[ "$process/ns/mnt" -ef /proc/self/ns/mnt ] || continue
		read -r name <"$process/comm" || continue
		case $name in
		containerd | containerd-shim* | conmon) kill -KILL "${process##*/}" ;;
		esac
	done 2>/dev/null
}

engine_end() {
	local name mount_point directory
	# Quickly, for who ends us may not wait: not by asking the engine.
	for name in dockerd podman; do
		stop "$name" KILL
	done
	engine_kill_monitors
	wait_until 5 engine_clear_cgroups || echo "left: $(engine_cgroups)"
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
	trap '' PIPE
	engine_end 2>/dev/null
}
# Nobody reads what is said any more: that ends this script like Ctrl-C.
trap 'exit 141' PIPE
