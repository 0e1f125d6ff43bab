#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: routes, rules, addresses and settings that were taken away just now: they are named first, and
# whoever pastes what doctor says has a working pattern again.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

W="ip -n wireguard"

check 'attach' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
healthy 'with a guard'

$W route del default table 51820
heals 'no default route into the tunnel' tunnel-route-missing
$W route del 192.168.0.0/16
heals 'a LAN route less' lan-route-missing
$W route del 10.0.0.0/8 table 51820
heals 'a LAN route less in the table' lan-route-missing
in_ns wireguard wg set wg0 fwmark 0
heals 'the mark is missing' no-mark
$W route del default via 172.18.0.1
heals 'the default route is gone' endpoint-unreachable
$W address del 10.13.13.2/32 dev wg0
heals 'an address is missing' address-missing
bed_sysctl wireguard ipv4/conf/all/rp_filter=1 ipv4/conf/all/src_valid_mark=0
heals 'strict reverse path filtering' rp-filter
bed_sysctl wireguard ipv4/conf/all/rp_filter=0
$W link set wg0 down
heals 'wg0 is down' tunnel-down
