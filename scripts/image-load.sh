#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# image-load.sh TAR [ENGINE]: gives the image to Docker or Podman; without ENGINE, to the first that answers.
set -eu

tar=$1
engine=${2:-}

if [ -n "$engine" ] && ! command -v "$engine" >/dev/null; then
	echo "image: there is no '$engine' here; the image is $tar: copy it to where one is, \`$engine load -i\`" >&2
	exit 1
fi
for try in ${engine:-docker podman}; do
	command -v "$try" >/dev/null || continue
	if why=$("$try" version 2>&1 >/dev/null); then
		exec "$try" load -i "$tar"
	fi
	echo "image: $try does not answer: $(printf '%s\n' "$why" | tail -n 1)" >&2
done
echo "image: no container engine answers here; the image is $tar: start Docker or Podman and try again (as root:" \
	"sudo make image-load), or copy the file to where one is: \`docker load -i\`, \`podman load -i\`" >&2
exit 1
