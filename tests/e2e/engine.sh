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
declare -A ENGINE_HIDDEN=() # directories that were mounted over, each with a descriptor that has its lock
ENGINE_EXEC=()              # what executes a command in a container: followed by its name and the command
ENGINE_MADE=.eg-bed         # in a directory that was made to be mounted over

# engine_hide DIRECTORY...: the machine's own engines have their own places: nothing of them is seen
# or written. A directory that is not there is made, and removed by the last one that is mounted over it: to
# remove it unmounts it in all mount namespaces.
engine_hide() {
	local directory lock
	for directory; do
		[ -z "${ENGINE_HIDDEN[$directory]:-}" ] || continue
		# Somebody may remove it in each of these moments.
		while :; do
			[ -d "$directory" ] || { mkdir -p "$directory" && : >"$directory/$ENGINE_MADE"; } || continue
			exec {lock}<"$directory" || continue
			flock --shared "$lock"
			[ ! "$directory" -ef "/dev/fd/$lock" ] || break
			exec {lock}<&-
		done 2>/dev/null
		ENGINE_HIDDEN[$directory]=$lock
		mount -t tmpfs -o mode=755 tmpfs "$directory"
	done
}

engine_unhide() {
	local directory
	for directory in "${!ENGINE_HIDDEN[@]}"; do
		umount -l "$directory"
		[ -e "$directory/$ENGINE_MADE" ] &&
			flock --nonblock --exclusive "${ENGINE_HIDDEN[$directory]}" &&
			rm "$directory/$ENGINE_MADE" && rmdir "$directory"
		# Whoever has it too, by inheritance, has it no longer.
		flock --unlock "${ENGINE_HIDDEN[$directory]}"
	done
}

# --- the image ---------------------------------------------------------------------------------

# A root file system: a shell, the probe, and what a container needs that runs the tunnel.
engine_root() {
	local root=$BED/root programs
	mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,var}
	ln -s ../run "$root/var/run"
	programs=(busybox ip wg)
	[ "${BED_WIREGUARD:-}" = kernel ] || programs+=(wireguard-go)
	mapfile -t programs < <(command -v "${programs[@]}" "$PROBE" "${PROBE%/*}/first")
	cp -L "${programs[@]}" "$root/bin/"
	# The libraries that they need. A static one has none.
	{ ldd "${programs[@]}" || true; } 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | sort -u |
		xargs -r cp -L --parents -t "$root"
	# The shell's commands; what is there stays.
	chroot "$root" /bin/busybox --install -s /bin 2>/dev/null || true
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
		for family in -4 -6; do
			$ip $family rule add not fwmark 51820 table 51820
			$ip $family rule add table main suppress_prefixlength 0
		done
		# The LAN keeps its own way: via whatever the default route goes.
		set -- "$1" $($ip -4 route show default)
		$ip route add 192.168.1.0/24 via "$4"
		set -- "$1" $($ip -6 route show default)
		[ $# = 1 ] || $ip route add fd00:1::/64 via "$4" dev eth0
		/bin/tunnel-up
		: >/run/up
		trap 'exit 0' TERM
		sleep "$1" &
		wait
	TUNNEL
	# After `ip link set wg0 down` too.
	cat >"$root/bin/tunnel-up" <<-'TUNNEL_UP'
		#!/bin/sh
		set -e
		ip=/bin/ip
		$ip address replace 10.13.13.2/32 dev wg0
		$ip link set wg0 mtu 1420 up
		$ip address replace fd13::2/128 dev wg0
		for family in -4 -6; do
			$ip $family route replace default dev wg0 table 51820
		done
	TUNNEL_UP
	# What the probe is told, a line for each; all at once.
	cat >"$root/bin/probes" <<-'PROBES'
		#!/bin/sh
		while read -r label arguments; do
			{
				said=$(/bin/probe $arguments 2>&1 </dev/null)
				echo "$label: $said"
			} &
		done <<LINES
		$1
		LINES
		wait
	PROBES
	cat >"$root/bin/idle" <<-'IDLE'
		#!/bin/sh
		trap 'exit 0' TERM
		sleep "$1" &
		wait
	IDLE
	chmod 755 "$root"/bin/{tunnel,tunnel-up,probes,idle}
	echo "$BED" >"$root/etc/bed"
}

# engine_check ENGINE CONTAINER: commands execute in the container. In a chroot it would be in the root
# that was left, and what these tests do to their containers, be done to that.
engine_check() {
	[ "$("${ENGINE_EXEC[@]}" "$2" /bin/busybox cat /etc/bed)" != "$BED" ] || return 0
	skip "$1" 'what is executed in a container is not in its root; is this a chroot?'
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

# The plugins of CNI, ours among them, where all runtimes look for them, and no network.
engine_cni() {
	local directory
	engine_hide /opt/cni /etc/cni /var/lib/cni
	mkdir -p /opt/cni/bin /etc/cni/net.d
	for directory in /usr/lib/cni /usr/libexec/cni; do
		[ ! -d "$directory" ] || ln -s "$directory"/* /opt/cni/bin
	done
	# Where egressguard is installed, that one is among them.
	ln -sf "$EG" /opt/cni/bin/egressguard-cni
}

# containerd, with its socket in $BED/docker: dockerd would start one by itself, with all its plugins, and
# not wait long for it. $CONTAINERD_CRI, in TOML, are the settings of its plugin for kubelets, which is left
# out without them; with it, it writes what it does where it usually does.
containerd_up() {
	local directory=$BED/docker state=$BED/docker/containerd cri='"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images",
			"io.containerd.cri.v1.runtime",'
	if [ -n "${CONTAINERD_CRI:-}" ]; then
		cri=
		state=/run/containerd
	fi
	engine_hide /run/containerd
	mkdir -p "$directory/data"
	# Wherever $BED is: layers of images do not stack on a file system that is made of layers.
	mount -t tmpfs tmpfs "$directory/data"
	cat >"$directory/containerd.toml" <<-TOML
		version = 2
		root = "$directory/data/containerd"
		state = "$state"
		disabled_plugins = [$cri "io.containerd.internal.v1.opt",
			"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
			"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
		[grpc]
		address = "$directory/containerd.sock"
		${CONTAINERD_CRI:-}
	TOML
	containerd_daemon
}

# What containerd_up starts, and what starts again what was ended.
containerd_daemon() {
	rm -f "$BED/docker/containerd.sock"
	start_in host containerd containerd --config "$BED/docker/containerd.toml"
	wait_until 60 test -S "$BED/docker/containerd.sock" || {
		cat "$BED/containerd.log"
		return 1
	}
}

# dockerd with its default bridge on 172.17.0.0/16 and fd00:17::/64. It translates no address and
# writes no firewall rule: what leaks is seen with the container's own address.
docker_up() {
	local directory=$BED/docker
	engine_hide /run/docker /etc/docker
	mkdir -p "$directory/client"
	containerd_up
	echo "{${DOCKER_SETTINGS:-}}" >"$directory/daemon.json"
	export DOCKER_HOST=unix://$directory/docker.sock DOCKER_CONFIG=$directory/client
	docker_daemon
	engine_root
	# Who asks while it starts is made to wait.
	if ! wait_until 60 test -S "$directory/docker.sock" || ! docker version >/dev/null; then
		cat "$BED/dockerd.log"
		return 1
	fi
	bed_route internet 172.17.0.0/16 198.51.100.2 fd00:17::/64 2001:db8:100::2
	tar -C "$BED/root" -c . | docker import --change "ENV EG_SLOW=${EG_SLOW:-1}" - bed >/dev/null
	ENGINE_EXEC=(docker exec)
	[ "${EG_SLOW:-1}" = 1 ] || ENGINE_EXEC=(docker_enter)
}

# What docker_up starts, and what starts again what was ended.
docker_daemon() {
	local directory=$BED/docker dns=${DOCKER_DNS-192.168.1.10}
	start_in host dockerd dockerd --host "$DOCKER_HOST" --config-file "$directory/daemon.json" \
		--containerd "$directory/containerd.sock" \
		--data-root "$directory/data" --exec-root "$directory/exec" \
		--pidfile "$directory/pid" --exec-opt native.cgroupdriver=cgroupfs \
		--cgroup-parent "/$ENGINE_CGROUP" --iptables=false --ip6tables=false --ip-masq=false \
		--userland-proxy="${DOCKER_PROXY:-false}" ${dns:+"--dns=$dns"} \
		--bip 172.17.0.1/16 --ipv6 --fixed-cidr-v6 fd00:17::/64
}

# docker_enter NAME COMMAND...: what `docker exec` does, as far as these tests go: the same cgroup and
# namespaces. Where everything is emulated that itself takes seconds.
declare -A DOCKER_SCOPES=()
docker_enter() {
	local name=$1 pid
	shift
	[ -n "${DOCKER_SCOPES[$name]:-}" ] ||
		DOCKER_SCOPES[$name]=$(engine_cgroup2)/$ENGINE_CGROUP/$(docker_id "$name")
	read -r pid <"${DOCKER_SCOPES[$name]}/cgroup.procs" || return
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo $$ >"$0/cgroup.procs" && exec nsenter --mount --net --target "$@"' \
		"${DOCKER_SCOPES[$name]}" "$pid" -- "$@"
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
	# As for Docker. Copies instead of layers take longer.
	mount -t tmpfs tmpfs "$directory/root"
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
		cni_plugin_dirs = ["$BED/cni", "/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"]
	CONF
	cat >"$directory/storage.conf" <<-CONF
		[storage]
		driver = "overlay"
		graphroot = "$directory/root"
		runroot = "$directory/run"
	CONF
	export CONTAINERS_CONF=$directory/containers.conf HOME=$directory/home
	export CONTAINERS_STORAGE_CONF=$directory/storage.conf
	export CONTAINER_HOST=unix://$directory/podman.sock
	start_in host podman env -u CONTAINER_HOST podman system service --time 0 "$CONTAINER_HOST"
	engine_root
	wait_until 30 test -S "$directory/podman.sock" || {
		cat "$BED/podman.log"
		return 1
	}
	tar -C "$BED/root" -c . |
		podman_bed import --quiet --change "ENV EG_SLOW=${EG_SLOW:-1}" - bed >/dev/null
	ENGINE_EXEC=(podman_bed exec)
	podman_bed network create --disable-dns --ipv6 --subnet 172.20.0.0/16 --subnet fd00:20::/64 \
		bed >/dev/null
	bed_route internet 172.20.0.0/16 198.51.100.2 fd00:20::/64 2001:db8:100::2
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

# --- what is asked of containers and of the guard --------------------------------------------------

probe_in() { # CONTAINER WAY DESTINATION [OPTION VALUE]...
	local container=$1
	shift
	"${ENGINE_EXEC[@]}" "$container" /bin/probe "$@"
}

# probes_in CONTAINER LINES: LABEL and what the probe is told, a line for each; all at once, for to
# execute something in a container takes an engine long. What they say is in $BED/probes.
probes_in() {
	"${ENGINE_EXEC[@]}" "$1" /bin/probes "$2" >"$BED/probes"
}

# probe_said LABEL PATTERN: of the last probes_in.
probe_said() {
	grep -q -E -- "^$1: $2" "$BED/probes" || {
		cat "$BED/probes"
		return 1
	}
}

answers_from() { # ADDRESS CONTAINER WAY DESTINATION...
	local from=$1
	shift
	probe_in "$@" | matches "^answer: from $from "
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

derived() { # GUARD KEY
	eg policy show "$1" | sed -n "s/^# $2 = //p" | sort -u | tr '\n' ' '
}

# wait_for_tunnel ENGINE: of the container `wireguard`; what that says, if it does not come up.
wait_for_tunnel() {
	wait_until 15 engine_tunnel_is_up || {
		"$1" logs wireguard
		return 1
	}
}

engine_tunnel_is_up() {
	"${ENGINE_EXEC[@]}" wireguard /bin/sh -c \
		'test -e /run/up && exec /bin/probe icmp 10.13.13.1 --timeout 300'
}

# The container's wg0, whose process is PID, from outside: that is quicker.
tunnel_off() { # PID
	nsenter --net="/proc/$1/ns/net" -- ip link set wg0 down
}

tunnel_on() { # PID
	nsenter --net="/proc/$1/ns/net" -- "$BED/root/bin/tunnel-up"
}

# What must not leave. All of it does, with the tunnel down and no guard.
ENGINE_LEAKS='tcp4 tcp 203.0.113.7:443 --timeout 100
tcp6 tcp [2001:db8:7::7]:443 --timeout 100
udp4 udp 203.0.113.7:443 --timeout 100
udp6 udp [2001:db8:7::7]:53 --timeout 100
icmp4 icmp 203.0.113.7 --timeout 100
vpn-dns udp 10.2.0.1:53 --timeout 100
near udp 203.0.113.9:9999 --timeout 100
eth0 udp 203.0.113.7:443 --timeout 100 --bind eth0
mark udp 203.0.113.7:443 --timeout 100 --mark 51820'

# From both containers. Whether it may mark packets, who has no NET_ADMIN, depends on the kernel.
try_to_leak() {
	local container
	for container in wireguard qbittorrent; do
		probes_in "$container" "$ENGINE_LEAKS"
	done
}

# check_all_leak CAPTURE: the positive control of try_to_leak. What tells the probes apart is seen of
# both containers.
check_all_leak() {
	local seen
	check_leaks 'without a guard: it leaks' "$1"
	for seen in 'tcp and dst host 203.0.113.7' 'tcp and dst host 2001:db8:7::7' \
		'udp and dst host 2001:db8:7::7' 'icmp and dst host 203.0.113.7' 'dst host 10.2.0.1' \
		'dst host 203.0.113.9 and port 9999'; do
		check "without a guard: the capture sees $seen" test "$(capture_count "$1" "$seen")" -ge 2
	done
	# Of each: unbound, and bound to the interface. Marked as well, from who may mark.
	check 'without a guard: the capture sees what is bound and marked' test \
		"$(capture_count "$1" 'udp and dst host 203.0.113.7')" -ge 5
}

# The same as from the containers: TCP, UDP, DNS for the tunnel, and the LAN that stays.
ENGINE_WORKS='tunnel4 tcp 203.0.113.7:443
tunnel6 udp [2001:db8:7::7]:443
lan4 tcp 192.168.1.10:80
lan6 tcp [fd00:1::10]:80
dns udp 10.2.0.1:53
lan-dns udp 192.168.1.10:53 --timeout 100'

# check_works CONTAINER LAN4 LAN6: patterns for the addresses that it has on the LAN's side. It tries to
# leak at the same time.
check_works() {
	probes_in "$1" "$ENGINE_WORKS
$ENGINE_LEAKS"
	check "$1: tunnel, IPv4" probe_said tunnel4 'answer: from 10\.13\.13\.2 '
	check "$1: tunnel, IPv6" probe_said tunnel6 'answer: from fd13::2 '
	check "$1: LAN, IPv4" probe_said lan4 "answer: from $2 "
	check "$1: LAN, IPv6" probe_said lan6 "answer: from $3 "
	check "$1: its DNS server" probe_said dns 'answer: from 10\.13\.13\.2 '
	check "$1: no DNS server of the LAN" probe_said lan-dns 'no answer'
}

# engine_cgroup2: where cgroup v2 is mounted.
engine_cgroup2() {
	awk '$4 == "/" && / - cgroup2 / { print $5; exit }' /proc/self/mountinfo
}

# in_scope SCOPE PID COMMAND...: in a cgroup SCOPE of this test's, in a network namespace of PID's.
in_scope() {
	local directory pid=$2
	directory=$(engine_cgroup2)/$ENGINE_CGROUP/$1
	shift 2
	mkdir -p "$directory"
	# shellcheck disable=SC2016 # the inner shell's
	nsenter --net="/proc/$pid/ns/net" -- sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' \
		"$directory" "$@"
}

# The events of two viewers, for people and for machines, in $BED/events.txt and .json.
events_start() {
	# shellcheck disable=SC2016 # the inner shell's
	start events-json sh -c 'exec "$@" >"$0"' "$BED/events.json" \
		"$EG" events --pin-dir "$EG_PIN_DIR" --json
	start events-text "$EG" events --pin-dir "$EG_PIN_DIR"
}

# events_know CONTAINER SCOPE PID: has both see one of it by its name, sent in its cgroup and network. An
# event is not held up until the engine has told the name, so the first ones may come without.
events_know() {
	wait_until 20 engine_is_known "$@" || {
		cat "$BED/events.json" "$BED/events-json.log" "$BED/events-text.log"
		return 1
	}
}

# By Ctrl-C, as one ends them.
events_stop() {
	local viewer status=0
	for viewer in events-json events-text; do
		kill -INT "${BED_PIDS[$viewer]}"
		wait "${BED_PIDS[$viewer]}" || status=$?
		unset "BED_PIDS[$viewer]"
	done
	return "$status"
}

engine_is_known() {
	in_scope "$2" "$3" "$PROBE" udp 203.0.113.7:9 --timeout 50
	grep -q "\"container\": *\"$1\"" "$BED/events.json" &&
		grep -q " in $1, layer device$" "$BED/events-text.log"
}

# event_names PROTO DST REASON: the names and the ids of whose they are, events_know's own left out.
event_names() {
	jq -r "select(.type==\"packet\" and .proto==\"$1\" and .dst==\"$2\" and .reason==\"$3\" and
		.dport!=9) | .container+\" \"+.container_id" "$BED/events.json" | sort -u | tr '\n' ' '
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
	local name mount_point
	# Quickly, for who ends us may not wait: not by asking the engine.
	for name in dockerd containerd podman; do
		stop "$name" KILL
	done
	engine_kill_monitors
	wait_until 5 engine_clear_cgroups || echo "left: $(engine_cgroups)"
	awk -v bed="$BED/" 'index($5, bed) == 1 { print $5 }' /proc/self/mountinfo | tac |
		while read -r mount_point; do
			umount -l "$mount_point"
		done
	engine_unhide
}

bed_at_exit() {
	trap '' PIPE
	engine_end 2>/dev/null
}
# Nobody reads what is said any more: that ends this script like Ctrl-C.
trap 'exit 141' PIPE
