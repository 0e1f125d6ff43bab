#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Something that is no tunnel takes the tunnel's name. This version covers the interfaces that are there
# at the moment of attach: until the next one, what leaves by it is not held, and status does not claim
# that it is. (tests/e2e/states.table has the states of a real tunnel.)

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

forge() {
	bed_link wireguard wg0 internet forged
	bed_address wireguard wg0 10.66.0.2/24
	bed_address internet forged 10.66.0.1/24
	ip -n wireguard route replace default via 10.66.0.1 dev wg0 table "$BED_WG_PORT"
}
by_forged() { # how many packets leave by it
	capture_start forged internet forged 'udp and dst host 203.0.113.7'
	probe wireguard udp 203.0.113.7:443 --bind wg0 --count 5 --timeout 100 >/dev/null || true
	capture_stop forged
	capture_count forged
}
by_eth0() { # the same, for the underlay, which is guarded all the time
	probe wireguard udp 203.0.113.7:443 --bind eth0 --count 5 --timeout 20 >/dev/null || true
}

bed_up
capture_start open internet host0
by_eth0
capture_stop open
check_leaks 'without a guard what leaves by eth0 is seen' open

attach=(attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan)
tunnel_up
check 'attach' eg "${attach[@]}"
check_equal 'status' "$(state wireguard)" enforcing
capture_start eth0 internet host0
tunnel_delete
forge
by_eth0
check_equal 'forged: status' "$(state wireguard)" degraded
check 'forged: status says why' grep -q 'wg0 is declared as the tunnel, but is none' <(eg status)
check_status 'forged: status --check' 1 eg status wireguard --check
check 'forged: what leaves by it is seen' test "$(by_forged)" -ge 5
check_status 'forged: attach refuses it' 1 eg "${attach[@]}"
check 'forged: and says why' grep -q 'wg0 is not WireGuard but a device of kind veth' \
	<(eg "${attach[@]}" 2>&1)
check_equal 'forged: but has covered it first' "$(by_forged)" 0
by_eth0
check 'attach with the real name' eg attach --netns wireguard --replace --tunnel wg1 \
	--endpoint "$BED_ENDPOINT" --dns lan
check_equal 'status then' "$(state wireguard)" enforcing
guard_counted wireguard >/dev/null
check_equal 'nothing leaves by it then' "$(by_forged)" 0
check_counted 'and that is counted' dropped 'device public 5'
by_eth0
capture_stop eth0
check_no_leak 'nothing left by eth0 all the time' eth0
