#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Root inside makes an interface without another end, before the daemon has seen the container: it is guarded
# all the same, what can be held is held, and nobody says that all is well.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

is() { # STATE
	[ "$("$EG" status wireguard --pin-dir "$EG_PIN_DIR" --json | jq -r '.guards[0].state')" = "$1" ]
}
send() {
	probe wireguard udp 203.0.113.7:7001 --bind eth0 --count 3 --timeout 1
	probe wireguard raw 192.168.1.10:7002 --count 3 --source 203.0.113.66
}

bed_up
ip -n wireguard tuntap add mode tap tap0
ip -n wireguard address add 203.0.113.66/32 dev tap0
ip -n wireguard link set tap0 up
capture_start free host veth-wg 'udp port 7001 or udp port 7002'
send >/dev/null 2>&1 || true
capture_stop free
check 'without a guard: to the internet' [ "$(capture_count free 'port 7001')" -ge 1 ]
check 'and with its address to the LAN' [ "$(capture_count free 'port 7002')" -ge 1 ]

policy wireguard 'Target = /run/netns/wireguard' "Endpoint = $BED_ENDPOINT"
# shellcheck disable=SC2119 # without variables
daemon_up
check_logged 'it is guarded' 'wireguard: guarded'
check_logged 'with a warning' "only the layer 'device' can guard tap0"
check 'nobody says that all is well' is degraded
check_status 'nor does --check' 1 eg status wireguard --check
guard_counted wireguard >/dev/null
capture_start held host veth-wg 'udp port 7001 or udp port 7002'
send >/dev/null 2>&1 || true
capture_stop held
check_equal 'nothing leaves' "$(capture_count held)" 0
counted=$(guard_counted wireguard dropped)
check 'to the internet: counted' matches -E -x '(device|socket) public [1-9][0-9]*' <<<"$counted"
check 'an address of the tap is no source: nothing outside knows it' \
	matches -E -x 'device source [1-9][0-9]*' <<<"$counted"
check_status 'attach by hand refuses it' 5 eg attach --netns /run/netns/wireguard --name wireguard \
	--endpoint "$BED_ENDPOINT" --dns lan --replace

# --- a person accepts it ------------------------------------------------------------------------------------
check 'attach --accept-device-only' eg attach --netns /run/netns/wireguard --name wireguard \
	--endpoint "$BED_ENDPOINT" --dns lan --replace --accept-device-only
check 'the daemon keeps to that' wait_until 10 is enforcing
check 'SIGHUP' reload
check 'and when its files are read again' wait_until 10 is enforcing

# --- where guards cannot be looked at, as without CAP_SYS_PTRACE -----------------------------------------------
stop daemon
eg detach wireguard
# In another bpffs than that of PID 1 none would last.
start daemon "$EG" daemon --config-dir "$CONFIG"
check_logged 'no guard can be made: it does not say "ready" and no more' \
	'ready, but no guard could be made on what is there for wireguard: open'
