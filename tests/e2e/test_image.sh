#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# `make image`: what is in it, that the same goes in gives the same bytes, and what is said where no engine is.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

image=$BUILD/egressguard-image.tar
mkdir "$BED/image" "$BED/root"
tar -C "$BED/image" -xf "$image"
layer=$BED/image/$(jq -r '.[0].Layers[0]' "$BED/image/manifest.json")
config=$BED/image/$(jq -r '.[0].Config' "$BED/image/manifest.json")
tar -C "$BED/root" -xf "$layer"

check 'it is small' test "$(stat -c %s "$image")" -lt $((16 << 20))
check_equal 'the configuration names the layer' "$(jq -r '.rootfs.diff_ids[0]' "$config")" \
	"sha256:$(sha256sum "$layer" | cut -d ' ' -f 1)"
check_equal 'and is called by its own sum' "${config##*/}" "$(sha256sum "$config" | cut -d ' ' -f 1).json"
check_equal 'the program runs from it alone' \
	"$(chroot "$BED/root" /usr/bin/egressguard --version | cut -d ' ' -f 1,2)" \
	"$("$EG" --version | cut -d ' ' -f 1,2)"
check_equal 'its health check is its own guard'\''s' "$(jq -r '.config.Healthcheck.Test | join(" ")' "$config")" \
	'CMD /usr/bin/egressguard status --netns self --check'
check 'its policy is right' "$EG" policy check "$BED/root/etc/egressguard/self.conf"
check_equal 'all of it is root'\''s' "$(tar -tvf "$layer" | awk '{ print $2 }' | sort -u)" 0/0
check_equal 'nothing of it may be written by others' \
	"$(tar -tvf "$layer" | grep -v -e '^l' -e '^d.*/tmp/' | grep -E '^(.....w|........w)')" ''

program=$(find "$BUILD/image/egressguard" "$BUILD/egressguard" 2>/dev/null | head -n 1)
for try in 1 2; do
	SOURCE_DATE_EPOCH=1700000000 TZ=UTC-$try "$BED_SOURCE/scripts/image.sh" "$program" "$BED/$try.tar" >/dev/null
done
check 'the same gives the same bytes' cmp "$BED/1.tar" "$BED/2.tar"
check_status 'what is no program is refused' 1 \
	"$BED_SOURCE/scripts/image.sh" "$BED_SOURCE/VERSION" "$BED/none.tar"

# --- no engine ---------------------------------------------------------------------------------------------
without_engine() {
	DOCKER_HOST=unix://$BED/none.sock "$BED_SOURCE/scripts/image-load.sh" "$image" "$@"
}
says() { # PATTERN STATUS ENGINE
	local status=0
	without_engine "$3" >"$BED/said" 2>&1 || status=$?
	if [ "$status" != "$2" ] || ! grep -q -F -- "$1" "$BED/said"; then
		cat "$BED/said"
		return 1
	fi
}
check 'no engine answers: it says so, and where the image is' \
	says "no container engine answers here; the image is $image" 1 docker
check 'an engine that is not there is named' says "there is no 'no-such-engine' here" 1 no-such-engine
