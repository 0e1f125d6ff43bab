#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# image.sh PROGRAM TAR: a container image of PROGRAM, as a file that `docker load` and `podman load` take.
# Called by `make image`. No engine and no registry has a part in it: its one layer is the program, stripped,
# the libraries that ldd names, and a policy for a guard container. The same sources and libraries give the
# same bytes; SOURCE_DATE_EPOCH sets the time of all files (else the last commit's).
set -eu

if [ $# != 2 ]; then
	echo 'usage: image.sh PROGRAM TAR' >&2
	exit 2
fi
program=$1
tar=$2
source=$(cd "$(dirname "$0")/.." && pwd)
version=$(cat "$source/VERSION")
umask 022

for tool in ldd strip tar sha256sum; do
	command -v "$tool" >/dev/null || {
		echo "image: '$tool' is missing" >&2
		exit 1
	}
done
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(uname -m) ;;
esac
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct 2>/dev/null || echo 1)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

work=$(mktemp -d "$tar.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the layer -------------------------------------------------------------------------------------

root=$work/root
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/usr/bin"
chmod 1777 "$root/tmp"
strip -o "$root/usr/bin/egressguard" "$program"
chmod 755 "$root/usr/bin/egressguard"
install -D -m 644 "$source/dist/self.conf" "$root/etc/egressguard/self.conf"
install -D -m 644 "$source/COPYING" "$root/usr/share/doc/egressguard/COPYING"
# A name is asked for in files, then of DNS; the C library has both in itself.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
ldd "$program" >"$work/libraries" 2>/dev/null || : # a static one has none
if grep -q 'not found' "$work/libraries"; then
	echo "image: libraries of $program are missing:" >&2
	grep 'not found' "$work/libraries" >&2
	exit 1
fi
sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' "$work/libraries" | sort -u | while read -r library; do
	install -D -m 755 "$library" "$root$library"
done

# pack DIRECTORY FILE NAME...
pack() {
	directory=$1
	file=$2
	shift 2
	tar -C "$directory" --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 \
		--numeric-owner -cf "$file" "$@"
}
sum() {
	sha256sum "$1" | cut -d ' ' -f 1
}

mkdir "$work/image"
pack "$root" "$work/image/layer.tar" .
layer=$(sum "$work/image/layer.tar")

# --- what an engine is told of it ------------------------------------------------------------------

# The guard of the container's own namespace: healthy if it is in force, whole. Engines from Docker 25 on
# ask each second while it starts.
health='"Healthcheck":{"Test":["CMD","/usr/bin/egressguard","status","--netns","self","--check"],'
health=$health'"Interval":5000000000,"Timeout":30000000000,"Retries":2,'
health=$health'"StartPeriod":30000000000,"StartInterval":1000000000}'
labels="\"Labels\":{\"org.opencontainers.image.title\":\"egressguard\","
labels="$labels\"org.opencontainers.image.version\":\"$version\","
labels="$labels\"org.opencontainers.image.licenses\":\"GPL-2.0\"}"
cat >"$work/config" <<JSON
{"architecture":"$architecture","os":"linux","created":"$created",
"config":{"Entrypoint":["/usr/bin/egressguard"],"Cmd":["daemon"],"Env":["PATH=/usr/bin"],
"StopSignal":"SIGTERM",$health,$labels},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
"history":[{"created":"$created","created_by":"make image"}]}
JSON
config=$(sum "$work/config")
mv "$work/config" "$work/image/$config.json"
cat >"$work/image/manifest.json" <<JSON
[{"Config":"$config.json","RepoTags":["egressguard:$version","egressguard:latest"],"Layers":["layer.tar"]}]
JSON
pack "$work/image" "$work/tar" manifest.json "$config.json" layer.tar
mv "$work/tar" "$tar"
echo "image: $tar, egressguard:$version, $(($(wc -c <"$tar") / 1024)) KiB"
