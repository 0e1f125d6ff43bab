#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Networks that are connected to a guarded container of Podman's while it runs, and tries to send by
# them from the first moment.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/cni.sh
. "$(dirname "$0")/cni.sh"

# Sends by its second interface, if it has one.
# shellcheck disable=SC2016 # the container's shell's
TRY='end=$(($(date +%s) + 100)); while [ "$(date +%s)" -lt $end ]; do
	/bin/probe udp 203.0.113.7:443 --bind eth1 --timeout 10 >/dev/null 2>&1; done'

# trying NAME: a container that is guarded and tries.
trying() {
	podman_run "$1" --network guarded -- /bin/sh -c "$TRY"
}

# connected NAME NETWORK: as long as it takes to be seen of what leaves by it, if it does.
connected() {
	podman_bed network connect "$2" "$1"
	wait_until 10 podman_bed exec "$1" /bin/probe udp 192.168.1.10:80 --bind eth1 --timeout 200
}

# follows NAME: the daemon does, and covers all that there is.
follows() {
	eg status "$1" --json | jq -e '.guards[0] | .state == "enforcing" and
		(.layers[] | select(.name == "netns") | .state == "attached")'
}

has_tried() { # NAME
	[ "$(of_guard "$1" .counters.dropped.public.packets)" -gt 0 ]
}

# check_connected NETWORK WHAT: with the daemon.
check_connected() {
	trying watched
	check "$2: the daemon follows its guard" wait_until 30 follows watched
	capture_start "$1" internet host0
	check "$2: it is connected" connected watched "$1"
	check "$2: the daemon covers the interface" wait_until 30 follows watched
	check "$2: it has tried" wait_until 10 has_tried watched
	capture_stop "$1"
	check_no_leak "$2: nothing leaves" "$1"
	podman_bed rm --force --time 1 watched >/dev/null
}

cni_podman_up
cni_network open 172.26.0.0/16 .
cni_network guarded 172.27.0.0/16 "$CNI_GUARDED"
cni_network second 172.28.0.0/16 "$CNI_GUARDED"
# A container is answered by whatever interface it asks by, so that it need not have a route there.
bed_sysctl host ipv4/conf/all/proxy_arp=1

# What comes by a network without the plugin is covered by nobody, until somebody looks.
trying alone
capture_start alone internet host0
check 'without the plugin or a daemon: it is connected' connected alone open
capture_stop alone
check_leaks 'without the plugin or a daemon: it leaks' alone
check_equal 'without the plugin or a daemon: status says so' "$(of_guard alone .state)" degraded
podman_bed rm --force --time 1 alone >/dev/null

check 'the daemon starts' daemon_up
check_connected second 'a network with the plugin'
check_connected open 'a network without it'
