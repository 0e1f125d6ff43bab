#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guard container's network while its guard cannot be made: what comes into it later is shut as well, and where
# something of it is not shut the log says that it is open.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

bad_file() {
	printf '[Guard]\nTarget = self\nNonsense = 1\n' >"$CONFIG/self.conf"
}
own_daemon_up() {
	start_in wireguard daemon "$EG" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
	wait_until 60 logged 'daemon: warning: ready, but'
}
second_interface() {
	bed_link host veth-wg2 wireguard eth1
	ip -n host link set veth-wg2 master br0 up
	bed_address wireguard eth1 172.18.0.3/16
	ip -n wireguard route replace default via 172.18.0.1 dev eth1
}
leaves() {
	probe wireguard udp 203.0.113.7:443 --timeout 300
}
stays() {
	! leaves
}

bed_up
second_interface
check 'control: without a guard it leaves' leaves
ip -n wireguard link delete eth1
ip -n wireguard route replace default via 172.18.0.1 dev eth0

bad_file
check 'the daemon starts, and its file does not parse' own_daemon_up
check_logged 'it says that the network is shut' 'its target, self, is shut: nothing leaves it, until'
check 'it is' stays
second_interface
check 'an interface that comes is shut' wait_until 20 stays
capture_start second internet host0
stays
in_ns wireguard "$PROBE" udp 203.0.113.7:443 --timeout 100 --bind eth0 >/dev/null 2>&1 || true
capture_stop second
check_no_leak 'nothing in the clear' second
forget
cat >"$CONFIG/self.conf" <<'END'
[Guard]
Target = self
[Lan]
Dns = lan
END
kill -HUP "${BED_PIDS[daemon]}"
check_logged 'the file was put right: guarded' 'guarded: net:'
check 'and it opens what the policy allows' wait_until 20 probe wireguard tcp 192.168.1.10:80 --timeout 300
check 'that alone' stays
stop daemon
"$EG" detach --pin-dir "$EG_PIN_DIR" --all >/dev/null

# --- what cannot be shut -------------------------------------------------------------------------------
start_in wireguard intruder python3 "$BED_SOURCE/tests/e2e/bpf.py" in-front eth1 egress "$BED/ready"
wait_until 20 test -e "$BED/ready"
bad_file
check 'another program is on an interface: the daemon starts' own_daemon_up
check 'it leaves there' leaves
check_logged 'and the log says so' 'its target, self, is OPEN until'
check 'and nothing else' test -z "$(grep -E 'shut|nothing leaves' "$BED/daemon.log")"
