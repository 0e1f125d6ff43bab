# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Podman with networks of CNI, the plugin in their lists. Sourced after lib.sh and engine.sh.

if ! podman --version | grep -q ' version [0-4]\.'; then
	skip podman 'it has no CNI backend any more, from version 5 on'
	exit 0
fi

CNI_POLICY="{\"Endpoint\": \"$BED_ENDPOINT\", \"Dns\": \"tunnel\"}"
# shellcheck disable=SC2016,SC2034 # a filter of jq's; for who sources this
CNI_GUARDED='.plugins += [{type: "egressguard-cni", policy: $policy, pinDir: $pins}]'

# The bed, and Podman in it, which finds the plugin.
cni_podman_up() {
	engine_bed
	podman_up
	mkdir -p "$BED/cni"
	ln -s "$EG" "$BED/cni/egressguard-cni"
}

# cni_network NAME SUBNET FILTER: what Podman makes of one, changed by a filter of jq's.
cni_network() {
	local directory=$BED/podman/networks
	podman_bed network create --disable-dns --subnet "$2" "$1" >/dev/null
	# Nothing is translated: what leaks is seen with the container's own address.
	jq --argjson policy "$CNI_POLICY" --arg pins "$EG_PIN_DIR" ".plugins[0].ipMasq = false | $3" \
		"$directory/$1.conflist" >"$BED/$1.conflist"
	cat "$BED/$1.conflist" >"$directory/$1.conflist"
	ip -n internet route add "$2" via 198.51.100.2
}
