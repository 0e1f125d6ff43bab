#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Containers of containerd's, which calls CNI plugins by the directories that all runtimes share: their
# first instruction is to send, and nothing of it leaves.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

CTR=(env CONTAINERD_ADDRESS="$BED/docker/containerd.sock" ctr)
COUNT=0

# A container whose first instruction is to send, and which ends soon after.
first() {
	COUNT=$((COUNT + 1))
	in_ns host "${CTR[@]}" run --rm --rootfs --cni --cgroup "/$ENGINE_CGROUP/first-$COUNT" \
		"$BED/root" "first-$COUNT" /bin/first 60
}

# network SUBNET FILTER: the one that containerd finds.
network() {
	jq -n --arg subnet "$1" --arg pins "$EG_PIN_DIR" --arg endpoint "$BED_ENDPOINT" '{
		cniVersion: "1.0.0", name: "bed", plugins: [
			{type: "bridge", bridge: "br-bed", isGateway: true, ipam: {type: "host-local",
				ranges: [[{subnet: $subnet}]], routes: [{dst: "0.0.0.0/0"}]}},
			{type: "egressguard-cni", policy: {Endpoint: $endpoint, Dns: "tunnel"}, pinDir: $pins}]} |
		'"$2" >/etc/cni/net.d/10-bed.conflist
}

engine_bed
engine_root
containerd_up
engine_cni
ip -n internet route add 172.26.0.0/16 via 198.51.100.2

network 172.26.0.0/16 '.plugins |= .[:1]'
starts open 1 first
check_leaks 'without the plugin: what it sends first leaves' open
for way in udp tcp icmp; do
	check "without the plugin: $way" test "$(capture_count open "$way and src net 172.26.0.0/16")" -ge 1
done

network 172.26.0.0/16 .
starts guarded "${EG_STARTS:-8}" first
check_no_leak 'with it: nothing leaves, however often it starts' guarded

# What the kernel says by itself once it has an address. This one has always the same.
ONE='.plugins[0].ipam.ranges[0][0] += {rangeStart: "172.26.0.77", rangeEnd: "172.26.0.77"}'
MUTE='.plugins = [{type: "egressguard-cni", mute: true}] + .plugins'
knocks_start 172.26.0.77
network 172.26.0.0/16 "$ONE"
knocked answers starts answering 1 first
check 'without a mute entry: its kernel answers before it is guarded' test "$(capture_count answers)" -gt 0
network 172.26.0.0/16 "$ONE | $MUTE"
knocked mute starts muted "${EG_STARTS:-3}" first
knocks_stop
check_equal 'with one: it answers nobody, and sends nothing' "$(capture_show mute)" ''

network 172.26.0.0/16 '.plugins[1].policy.Allow = "nonsense"'
not_started 'a policy that is wrong' nonsense first
