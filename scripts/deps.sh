#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deps.sh [--dry-run] [SET...]: install what is missing to build, demo, test, check (all of them by
# default), measure (bench), make a static binary (static), or test in virtual machines (vmtest).
#
# Says what it will install and asks on a terminal; goes on without asking where there is none, or
# with YES=1. Says nothing, and needs neither root nor a network, where nothing is missing. With
# --dry-run it only says what is missing, and fails if something is.
set -eu

dry_run=
if [ "${1:-}" = --dry-run ]; then
	dry_run=1
	shift
fi

[ $# -gt 0 ] || set -- build demo test check
PATH=$PATH:/usr/sbin:/sbin

missing=
lack() {
	case " $missing " in
	*" $1 "*) ;;
	*) missing="$missing $1" ;;
	esac
}

# need_command NAME WHAT: WHAT is the Debian name of the package that has the command.
need_command() {
	command -v "$1" >/dev/null 2>&1 || lack "$2"
}

# A command that Debian may have under a versioned name only.
need_versioned() {
	command -v "$1" >/dev/null 2>&1 && return
	for file in /usr/bin/"$1"-[0-9]*; do
		[ -x "$file" ] && return
	done
	lack "$2"
}

need_library() {
	if ! command -v pkg-config >/dev/null 2>&1 || ! pkg-config --exists "$1"; then
		lack "$2"
	fi
}

need_static() {
	for file in /usr/lib/lib"$1".a /usr/lib64/lib"$1".a /usr/lib/*/lib"$1".a; do
		[ -e "$file" ] && return
	done
	lack "$2"
}

# Ubuntu's bpftool in PATH is a script that fails unless the tools of the running kernel are there.
need_bpftool() {
	for tool in bpftool /usr/lib/linux-tools*/bpftool /usr/lib/linux-tools/*/bpftool; do
		"$tool" version >/dev/null 2>&1 && return
	done
	lack bpftool
}

# libFuzzer is a package of its own beside clang.
need_fuzzer() {
	clang=$(command -v clang || printf '%s\n' /usr/bin/clang-[0-9]*[0-9] | sort -V | tail -n 1)
	if [ -x "$clang" ]; then
		for file in "$("$clang" -print-resource-dir)"/lib/*/libclang_rt.fuzzer*; do
			[ -e "$file" ] && return
		done
	fi
	lack libclang-rt-dev
}

set_build() {
	need_command gcc gcc
	need_command make make
	need_command pkg-config pkg-config
	need_versioned clang clang
	need_versioned llvm-strip llvm
	need_bpftool
	need_library libbpf libbpf-dev
	need_library libelf libelf-dev
	need_library zlib zlib1g-dev
	need_library libmnl libmnl-dev
	need_library libcurl libcurl4-openssl-dev
	need_library jansson libjansson-dev
	need_library libcap-ng libcap-ng-dev
	[ -e /usr/include/stdio.h ] || lack libc6-dev
	[ -e /usr/include/linux/bpf.h ] || lack linux-libc-dev
	need_command cmp diffutils
	need_command find findutils
}

set_bed() {
	need_command ip iproute2
	need_command unshare util-linux
	need_command setpriv util-linux
	need_command mount mount
	need_command python3 python3
	need_command wg wireguard-tools
	need_command wireguard-go wireguard-go
	need_command tcpdump tcpdump
}

set_demo() {
	set_bed
}

# What Podman makes networks with: the plugins up to version 4, netavark since.
need_container_network() {
	for directory in /usr/lib /usr/libexec; do
		[ -x "$directory/cni/bridge" ] || [ -x "$directory/podman/netavark" ] && return
	done
	lack containernetworking-plugins
}

# A runtime's plugins that make interfaces, for the one of ours behind them.
need_cni_plugins() {
	for directory in /usr/lib /usr/libexec /opt; do
		[ -x "$directory/cni/bridge" ] || [ -x "$directory/cni/bin/bridge" ] && return
	done
	lack containernetworking-plugins
}

# Docker's own is a plugin; what Debian calls docker-compose is a command, before 13 of another program.
need_compose() {
	docker compose version >/dev/null 2>&1 || need_command docker-compose docker-compose
}

set_test() {
	set_bed
	need_library cmocka libcmocka-dev
	need_fuzzer
	need_command nft nftables
	need_command iptables iptables
	need_command socat socat
	need_command jq jq
	need_command ping iputils-ping
	need_command dockerd docker.io
	need_command docker docker-cli
	need_compose
	need_command podman podman
	need_command crun crun
	need_container_network
	need_cni_plugins
	need_command containerd containerd
	need_command curl curl
	# The static one, which set_vmtest takes too: Debian's two conflict.
	need_command busybox busybox-static
	need_command ethtool ethtool
	need_command ps procps
	need_command nmap nmap
	need_command hping3 hping3
	need_command traceroute traceroute
	need_command aria2c aria2
	need_command systemd-analyze systemd
}

# Debian 12 has virtiofsd beside qemu, later ones in a package of its own.
need_virtiofsd() {
	for file in /usr/libexec/virtiofsd /usr/lib/virtiofsd /usr/lib/qemu/virtiofsd; do
		[ -x "$file" ] && return
	done
	if apt-cache show virtiofsd 2>/dev/null | grep -q '^Package:'; then
		lack virtiofsd
	else
		lack qemu-system-common
	fi
}

# A machine's first processes have no libraries.
need_static_busybox() {
	for file in /bin/busybox /bin/busybox.static; do
		[ -x "$file" ] && ! ldd "$file" >/dev/null 2>&1 && return
	done
	lack busybox-static
}

set_vmtest() {
	need_command python3 python3
	need_command qemu-system-x86_64 qemu-system-x86
	need_virtiofsd
	need_static_busybox
	need_command depmod kmod
	need_command zstd zstd
	need_command xz xz-utils
	need_command dpkg-deb dpkg
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || lack debian-archive-keyring
}

# What egressguard is measured with, and against.
set_bench() {
	set_bed
	need_library cmocka libcmocka-dev
	need_bpftool
	need_command iperf3 iperf3
	need_command ethtool ethtool
	need_command nft nftables
	need_command iptables iptables
}

set_check() {
	need_versioned clang-format clang-format
	need_versioned clang-tidy clang-tidy
	need_command shellcheck shellcheck
	need_command mandoc mandoc
}

set_static() {
	set_build
	need_static bpf libbpf-dev
	need_static elf libelf-dev
	need_static z zlib1g-dev
	# libmnl.a: Debian 12 has it in no package, later ones in libmnl-dev. The Makefile looks for it.
	need_static jansson libjansson-dev
	need_static cap-ng libcap-ng-dev
	need_static c libc6-dev
	# Newer libelf compresses with zstd.
	case $(pkg-config --static --libs libelf 2>/dev/null) in
	*-lzstd*) need_static zstd libzstd-dev ;;
	esac
}

for set in "$@"; do
	case $set in
	build | demo | test | bench | vmtest | check | static) "set_$set" ;;
	*)
		echo "deps: there is no set '$set': use build, demo, test, bench, vmtest, check or static" >&2
		exit 2
		;;
	esac
done

[ -n "$missing" ] || exit 0
if [ -n "$dry_run" ]; then
	echo "deps: missing:$missing; \`sudo make deps\` installs them" >&2
	exit 1
fi

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		echo "deps: not root, and there is no sudo: as root, run: $*" >&2
		exit 1
	fi
}

# A package manager's hundreds of lines matter only when it fails.
quietly() {
	log=$(mktemp)
	status=0
	"$@" >"$log" 2>&1 </dev/null || status=$?
	[ "$status" = 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$status"
}

confirm() {
	echo "deps: missing:$*"
	if [ "${YES:-}" != 1 ] && [ -t 0 ] && [ -t 1 ]; then
		printf 'deps: install them with %s? [Y/n] ' "$manager"
		read -r answer
		case $answer in
		'' | y | Y | yes) ;;
		*)
			echo 'deps: nothing installed' >&2
			exit 1
			;;
		esac
	fi
}

# --- apt -------------------------------------------------------------------------------------

apt_has() {
	[ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

# The name of a package here, where it is not Debian's own.
apt_name() {
	case $1 in
	bpftool)
		# A package of its own in Debian; Ubuntu has it among the kernel's tools.
		if apt_has bpftool; then
			echo bpftool
		else
			echo linux-tools-common linux-tools-generic
		fi
		;;
	docker-cli)
		# In the engine's package before Debian 13, and in Ubuntu.
		if apt_has docker-cli; then
			echo docker-cli
		else
			echo docker.io
		fi
		;;
	docker-compose)
		if apt_has docker-compose; then
			echo docker-compose
		else
			echo docker-compose-v2
		fi
		;;
	containernetworking-plugins)
		version=$(apt-cache policy podman | sed -n 's/.*Candidate: \([0-9]*\)\..*/\1/p')
		if [ "${version:-4}" -ge 5 ]; then
			echo netavark
		else
			echo containernetworking-plugins
		fi
		;;
	libclang-rt-dev)
		version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' |
			head -n 1)
		if apt_has "libclang-rt-$version-dev"; then
			echo "libclang-rt-$version-dev"
		else
			echo "libclang-common-$version-dev"
		fi
		;;
	*) echo "$1" ;;
	esac
}

# Unit files of container engines, where Debian's packages put them.
engine_units() {
	for unit in docker.service docker.socket containerd.service podman.service podman.socket \
		podman-restart.service podman-auto-update.service podman-auto-update.timer; do
		for directory in /usr/lib/systemd/system /lib/systemd/system; do
			[ ! -e "$directory/$unit" ] || {
				echo "$unit"
				break
			}
		done
	done
}

# disable_new BEFORE: engines that have come since are for the tests, which start their own. They
# must not start with the machine.
disable_new() {
	for unit in $(engine_units); do
		case " $1 " in
		*" $unit "*) ;;
		*)
			command -v systemctl >/dev/null 2>&1 || continue
			echo "deps: systemctl disable $unit (it would start at the next boot)"
			quietly as_root systemctl disable "$unit" ||
				echo "deps: $unit is still enabled" >&2
			;;
		esac
	done
}

install_apt() {
	export DEBIAN_FRONTEND=noninteractive
	# Lists that were never fetched, or that no longer match the mirror, are the rule on fresh
	# machines and in images.
	echo 'deps: apt-get update'
	quietly as_root apt-get update -q || echo 'deps: apt-get update failed; going on' >&2
	packages=
	for name in $missing; do
		packages="$packages $(apt_name "$name")"
	done
	# Installing a container engine starts it, and that changes the machine's firewall: the tests
	# start their own where it can do no harm.
	policy=/usr/sbin/policy-rc.d
	if ! [ -e "$policy" ]; then
		trap 'as_root rm -f "$policy"' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	units=$(engine_units | tr '\n' ' ')
	failed=0
	echo "deps: apt-get install$packages"
	# shellcheck disable=SC2086 # a list of names
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		$packages || failed=$?
	disable_new "$units"
	return "$failed"
}

# --- dnf -------------------------------------------------------------------------------------

dnf_name() {
	case $1 in
	pkg-config) echo pkgconf-pkg-config ;;
	libbpf-dev) echo libbpf-devel ;;
	libelf-dev) echo elfutils-libelf-devel ;;
	zlib1g-dev) echo zlib-devel ;;
	libmnl-dev) echo libmnl-devel ;;
	libcurl4-openssl-dev) echo libcurl-devel ;;
	libjansson-dev) echo jansson-devel ;;
	libcap-ng-dev) echo libcap-ng-devel ;;
	libcmocka-dev) echo libcmocka-devel ;;
	libc6-dev) echo glibc-devel ;;
	linux-libc-dev) echo kernel-headers ;;
	libclang-rt-dev) echo compiler-rt ;;
	libzstd-dev) echo libzstd-devel ;;
	iproute2) echo iproute ;;
	iputils-ping) echo iputils ;;
	mount) echo util-linux ;;
	procps) echo procps-ng ;;
	busybox-static) echo busybox ;;
	docker.io | docker-cli) echo moby-engine ;;
	iptables) echo iptables-nft ;;
	clang-format | clang-tidy) echo clang-tools-extra ;;
	shellcheck) echo ShellCheck ;;
	*) echo "$1" ;;
	esac
}

install_dnf() {
	packages=
	for name in $missing; do
		packages="$packages $(dnf_name "$name")"
	done
	echo "deps: dnf install$packages"
	# shellcheck disable=SC2086 # a list of names
	quietly as_root dnf install -y --setopt=install_weak_deps=False $packages
}

if command -v apt-get >/dev/null 2>&1; then
	manager=apt-get
elif command -v dnf >/dev/null 2>&1; then
	manager=dnf
else
	echo "deps: missing:$missing; neither apt-get nor dnf is here: install them by hand" >&2
	exit 1
fi

confirm "$missing"
case $manager in
apt-get) install_apt ;;
dnf) install_dnf ;;
esac
