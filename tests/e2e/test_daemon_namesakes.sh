#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Two guard containers of one host name, or a guard container that is called as a guard of the host's daemon is:
# two daemons want one name for guards on different namespaces, at the same time. Neither takes the other's guard
# away.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

# own_daemon NAMESPACE
own_daemon() {
	mkdir -p "$BED/etc-$1"
	printf '%s\n' '[Guard]' 'Target = self' '[Lan]' 'Dns = lan' >"$BED/etc-$1/self.conf"
	start_in "$1" "daemon-$1" "$EG" daemon --config-dir "$BED/etc-$1" --pin-dir "$EG_PIN_DIR"
}
said() { # NAMESPACE PATTERN
	grep -q -E -- "$2" "$BED/daemon-$1.log"
}
flood() { # NAMESPACE
	start_in "$1" "flood-$1" sh -c "while :; do '$PROBE' udp 203.0.113.7:443 --count 20 --timeout 1; done"
}
is_guarded() { # NAMESPACE
	[ "$(eg status --netns "netns:$1" --json | jq -r '[.guards[].state] | join(" ")')" = enforcing ]
}

bed_up
bed_namespace other
bed_link host veth-other other eth0
ip -n host link set veth-other master br0 up
bed_address other eth0 172.18.0.3/16
ip -n other route add default via 172.18.0.1
namespaces='wireguard other'

capture_start control internet host0
for namespace in $namespaces; do
	check "control: without a guard $namespace is heard" probe "$namespace" udp 203.0.113.7:443
done
capture_stop control
check_leaks 'control: and seen' control

for namespace in $namespaces; do
	own_daemon "$namespace"
done
for namespace in $namespaces; do
	check "$namespace: shut at first" wait_until 20 said "$namespace" 'nothing leaves this network until it is guarded'
done
capture_start both internet host0
for namespace in $namespaces; do
	flood "$namespace"
done
for namespace in $namespaces; do
	check "$namespace: its daemon is ready" wait_until 60 said "$namespace" 'daemon: (warning: )?ready'
	check "$namespace: guarded" wait_until 60 is_guarded "$namespace"
done
# They are told to look at everything again, which is when they would meet once more.
for _ in 1 2 3; do
	for namespace in $namespaces; do
		: >"$BED/daemon-$namespace.log"
		kill -HUP "${BED_PIDS[daemon-$namespace]}"
	done
	for namespace in $namespaces; do
		check "$namespace: its file is read again" wait_until 60 said "$namespace" 'policy files were read again'
	done
done
for namespace in $namespaces; do
	check "$namespace: guarded still" wait_until 60 is_guarded "$namespace"
	stop "flood-$namespace"
done
capture_stop both
check_no_leak 'nothing in the clear, all the time' both
