#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Pods, as a kubelet has containerd make them, on a network with the plugin in its list: nothing leaves of any
# of their containers, from the first instruction to the last.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"
# shellcheck source=tests/e2e/cri.sh
. "$(dirname "$0")/cri.sh"

sandboxes() {
	"${CTR[@]}" --namespace k8s.io containers ls -q | wc -l
}

engine_bed
engine_root
cri_up
bed_route internet 172.26.0.0/16 198.51.100.2 fd00:26::/64 2001:db8:100::2

# --- the positive control ------------------------------------------------------------------------
cri_network '.plugins |= .[:1]'
starts open 1 pod_first
check_leaks 'without the plugin: what it sends first leaves' open
for way in 'udp and src net 172.26.0.0/16' 'tcp and src net 172.26.0.0/16' 'icmp and src net 172.26.0.0/16' \
	'udp and src net fd00:26::/64'; do
	check "without the plugin: $way" test "$(capture_count open "$way")" -ge 1
done

# --- one pod after the other ---------------------------------------------------------------------
cri_network .
starts guarded "${EG_STARTS:-4}" pod_first
check_no_leak 'with it: nothing leaves, however often it starts' guarded
check_equal 'their guards are gone with them' "$(guard_places)" ''

# --- what must not start -------------------------------------------------------------------------
before=$(sandboxes)
places=$(ls /run/netns)
cri_network '.plugins[1].policy.Allow = "nonsense"'
not_started 'a policy that is wrong' 'RunPodSandbox: code [0-9]+: .*Allow .nonsense.: .* is not an IPv4 or IPv6 address' pod_first
cri_network '.plugins[1].policyName = "pods" | del(.plugins[1].policy)'
not_started 'a policy that is not there' "RunPodSandbox: code [0-9]+: .*there is no policy 'pods'.*write one" pod_first
cri_network '.plugins |= reverse'
not_started 'the plugin in the wrong place' 'RunPodSandbox: code [0-9]+: .*comes after' pod_first
check_equal 'nothing of them is left: sandboxes' "$(sandboxes)" "$before"
check_equal 'nothing of them is left: namespaces' "$(ls /run/netns)" "$places"
check_equal 'nothing of them is left: guards' "$(guards)" ''

# containerd cannot end either what such a plugin may have had a part in; the kubelet asks again and again.
rm /opt/cni/bin/egressguard-cni
cri_network .
not_started 'the plugin is missing' 'RunPodSandbox: code [0-9]+: .*egressguard-cni' pod_first
ln -s "$EG" /opt/cni/bin/egressguard-cni
CRI_PODS[first]=$(cri ListPodSandbox | jq -r '.items[].id')
pod_remove first
check_equal 'once it is back nothing is left: sandboxes' "$(sandboxes)" "$before"
check_equal 'once it is back nothing is left: namespaces' "$(ls /run/netns)" "$places"

# --- on the node's own network -------------------------------------------------------------------
capture_start node internet host0
pod_run node '.linux.security_context.namespace_options.network = 2 | .hostname = ""'
container_run node app '.linux.security_context.namespace_options.network = 2' /bin/first 60
check "a pod on the node's network: it runs" container_wait node/app
capture_stop node
check_leaks "a pod on the node's network: no plugin is called, and it leaks" node
check_equal "a pod on the node's network: no guard" "$(guards)" ''
pod_remove node
