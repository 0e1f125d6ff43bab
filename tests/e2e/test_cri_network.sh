#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# What else stands in a cluster's list of plugins, before and after ours: ports of the node's (portmap), limits
# (bandwidth); and a list of its own for pods of one RuntimeClass.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"
# shellcheck source=tests/e2e/cri.sh
. "$(dirname "$0")/cri.sh"

PORTMAP='{type: "portmap", capabilities: {portMappings: true}}'
BANDWIDTH='{type: "bandwidth", capabilities: {bandwidth: true}}'
LIMITED='.annotations = {"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "10M"}'

# A pod whose port 8080 is the node's 18080. Who connects is told `hello`.
pod_serves() {
	pod_run web '.port_mappings = [{container_port: 8080, host_port: 18080}]'
	container_run web app . /bin/busybox nc -ll -p 8080 -e /bin/echo hello
	wait_until 10 served lan 192.168.1.1
}

served() { # NAMESPACE ADDRESS
	# shellcheck disable=SC2016 # the inner shell's
	in_ns "$1" timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/18080" && read -r line <&3 && [ "$line" = hello ]' "$2"
}

not_served() {
	! served "$@"
}

engine_bed
engine_root
cri_up
bed_route internet 172.26.0.0/16 198.51.100.2 fd00:26::/64 2001:db8:100::2

# --- a port of the node's ------------------------------------------------------------------------
cri_network ".plugins[1] = $PORTMAP"
check 'without the plugin, a port of the node: the LAN is served' pod_serves
check 'without the plugin, a port of the node: the internet is served' served internet 198.51.100.2
pod_remove web
for order in "before $PORTMAP, .[1]" "after .[1], $PORTMAP"; do
	cri_network ".plugins |= [.[0], ${order#* }]"
	capture_start port internet host0 'src host 198.51.100.2 or src net 172.26.0.0/16'
	check "portmap ${order%% *} ours: the LAN is served" pod_serves
	check "portmap ${order%% *} ours: no client with a public address is" not_served internet 198.51.100.2
	capture_stop port
	check_equal "portmap ${order%% *} ours: nothing is answered" "$(capture_count port tcp)" 0
	check "portmap ${order%% *} ours: the guard is whole" eg status default.web --check
	pod_remove web
done

# --- limits --------------------------------------------------------------------------------------
cri_network ".plugins[1] = $BANDWIDTH"
starts limited 1 pod_first "$LIMITED"
check_leaks 'limited, without the plugin: what it sends first leaves' limited
# Both want the same place on the interface, but by tcx.
for order in "before $BANDWIDTH, .[1]" "after .[1], $BANDWIDTH"; do
	cri_network ".plugins |= [.[0], ${order#* }]"
	if [ "${EGRESSGUARD_FORCE_CLSACT:-}" = 1 ] ||
		! "$EG" features --json | jq -e .features.tcx.present >/dev/null; then
		not_started "bandwidth ${order%% *} ours, without tcx" 'Specified filter kind|create ingress qdisc' \
			pod_first "$LIMITED"
		continue
	fi
	starts limited 2 pod_first "$LIMITED"
	check_no_leak "bandwidth ${order%% *} ours: nothing leaves" limited
	pod_run web "$LIMITED"
	check "bandwidth ${order%% *} ours: the guard is whole" eg status default.web --check
	pod_remove web
done
