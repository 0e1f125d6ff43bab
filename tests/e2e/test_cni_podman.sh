#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Containers of Podman's, over its CNI backend, on a network with the plugin in its list: their first
# instruction is to send, and nothing of it leaves.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"
# shellcheck source=tests/e2e/cni.sh
. "$(dirname "$0")/cni.sh"

# A container whose first instruction is to send, and which ends soon after.
first() { # NETWORK
	podman_bed run --rm --network "$1" --cap-add NET_RAW --cgroup-parent "/$ENGINE_CGROUP" \
		bed /bin/first 60
}

guards() {
	eg status --json | jq -r '[.guards[]|"\(.name) \(.state)"]|join(", ")'
}

engine_hide /etc/egressguard
CONFIG=/etc/egressguard
mkdir -p "$CONFIG/templates"
cni_podman_up
cni_network open 172.26.0.0/16 .
cni_network guarded 172.27.0.0/16 "$CNI_GUARDED"
cni_network second 172.28.0.0/16 "$CNI_GUARDED"
cni_network named 172.30.0.0/16 "$CNI_GUARDED | .plugins[-1] |= (del(.policy) | .policyName = \"pods\")"
cni_network broken 172.29.0.0/16 "$CNI_GUARDED | .plugins[-1].policy = {Allow: \"nonsense\"}"

# --- the positive control ------------------------------------------------------------------------
starts open 1 first open
check_leaks 'without the plugin: what it sends first leaves' open
for way in udp tcp icmp; do
	check "without the plugin: $way" test "$(capture_count open "$way and src net 172.26.0.0/16")" -ge 1
done

# --- one start after the other -------------------------------------------------------------------
starts guarded "${EG_STARTS:-8}" first guarded
check_no_leak 'with it: nothing leaves, however often it starts' guarded

# --- what its kernel says by itself, once it has an address ----------------------------------------
# has_one SUBNET: its containers have the address 77 there.
has_one() {
	echo ".plugins[0].ipam.ranges[0][0] += {rangeStart: \"$1.77\", rangeEnd: \"$1.77\"}"
}
cni_network answers 172.31.0.0/16 "$CNI_GUARDED | $(has_one 172.31.0)"
cni_network also 172.25.0.0/16 "$CNI_GUARDED | $(has_one 172.25.0)"
knocks_start 172.31.0.77 172.25.0.77
knocked answers starts answering 1 first answers
check 'without a mute entry: its kernel answers before it is guarded' test "$(capture_count answers)" -gt 0
for network in answers also; do
	jq '.plugins = [{type: "egressguard-cni", mute: true}] + .plugins' "$BED/$network.conflist" \
		>"$BED/podman/networks/$network.conflist"
done
knocked mute starts muted 3 first answers
knocked two starts muted-two 3 first answers,also
knocks_stop
check_equal 'with one: it answers nobody, and sends nothing' "$(capture_show mute)" ''
check_equal 'nor with two networks' "$(capture_show two)" ''

# --- a policy by its name ------------------------------------------------------------------------
template pods 'SourcePort = 51820'
starts named 2 first named
check_no_leak 'a policy by its name: nothing leaves' named
mv "$CONFIG/templates/pods.conf" "$CONFIG/templates/other.conf"
not_started 'a policy that is not there' "there is no policy 'pods'" first named
policy pods 'Target = podman:pods'
not_started "a policy of the daemon's" 'has a Target' first named
rm "$CONFIG/pods.conf"

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
