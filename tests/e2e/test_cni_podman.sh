#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Containers of Podman's, over its CNI backend, on a network with the plugin in its list: their first
# instruction is to send, and nothing of it leaves.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

if ! podman --version | grep -q ' version [0-4]\.'; then
	skip podman 'it has no CNI backend any more, from version 5 on'
	exit 0
fi

# network NAME SUBNET FILTER: what Podman makes of one, changed by a filter of jq's.
network() {
	local directory=$BED/podman/networks
	podman_bed network create --disable-dns --subnet "$2" "$1" >/dev/null
	# Nothing is translated: what leaks is seen with the container's own address.
	jq --argjson policy "$POLICY" --arg pins "$EG_PIN_DIR" ".plugins[0].ipMasq = false | $3" \
		"$directory/$1.conflist" >"$BED/$1.conflist"
	cat "$BED/$1.conflist" >"$directory/$1.conflist"
	ip -n internet route add "$2" via 198.51.100.2
}

# A container whose first instruction is to send, and which ends soon after.
first() { # NETWORK
	podman_bed run --rm --network "$1" --cap-add NET_RAW --cgroup-parent "/$ENGINE_CGROUP" \
		bed /bin/first 60
}

guards() {
	eg status --json | jq -r '[.guards[]|"\(.name) \(.state)"]|join(", ")'
}

engine_bed
POLICY="{\"Endpoint\": \"$BED_ENDPOINT\", \"Dns\": \"tunnel\"}"
# shellcheck disable=SC2016 # a filter of jq's
GUARDED='.plugins += [{type: "egressguard-cni", policy: $policy, pinDir: $pins}]'
podman_up
mkdir -p "$BED/cni"
ln -s "$EG" "$BED/cni/egressguard-cni"
network open 172.26.0.0/16 .
network guarded 172.27.0.0/16 "$GUARDED"
network second 172.28.0.0/16 "$GUARDED"
network broken 172.29.0.0/16 "$GUARDED | .plugins[-1].policy = {Allow: \"nonsense\"}"

# --- the positive control ------------------------------------------------------------------------
starts open 1 first open
check_leaks 'without the plugin: what it sends first leaves' open
for way in udp tcp icmp; do
	check "without the plugin: $way" test "$(capture_count open "$way and src net 172.26.0.0/16")" -ge 1
done

# --- one start after the other -------------------------------------------------------------------
starts guarded "${EG_STARTS:-8}" first guarded
check_no_leak 'with it: nothing leaves, however often it starts' guarded

# --- one that stays ------------------------------------------------------------------------------
capture_start stays internet host0
podman_run stays --network guarded --cap-add NET_RAW -- /bin/idle "$ENGINE_LIFE"
check_equal 'its guard has its name, and those of before are gone' "$(guards)" 'stays enforcing'
check 'it sends nothing' no_answer stays udp 203.0.113.7:443 --timeout 50
check 'the LAN works' answers_from '[0-9.]*' stays tcp 192.168.1.10:80
podman_bed network connect second stays
check_equal 'a second network: one guard, on both interfaces' \
	"$(eg status stays --json | jq -r '.guards[0].layers[]|select(.name=="peer").interfaces|join(" ")')" 'eth0 eth1'
check 'a second network: it sends nothing by it' no_answer stays udp 203.0.113.7:443 --timeout 50 --bind eth1
podman_bed network disconnect second stays
check_equal 'without it again: the guard stays' "$(guards)" 'stays enforcing'
check 'without it again: it sends nothing' no_answer stays udp 203.0.113.7:443 --timeout 50
podman_bed restart --time 1 stays >/dev/null
check_equal 'restarted: guarded' "$(guards)" 'stays enforcing'
check 'restarted: it sends nothing' no_answer stays udp 203.0.113.7:443 --timeout 50

# --- what must not start ---------------------------------------------------------------------------
not_started 'a policy that is wrong' 'nonsense' first broken
check 'the guards are what they were' test "$(guards)" = 'stays enforcing'
capture_stop stays
check_no_leak 'nothing leaves' stays
podman_bed rm --force --time 1 stays >/dev/null
