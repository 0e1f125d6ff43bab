#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: a mark, an address and settings that were taken away just now: they are named first, and whoever
# pastes what doctor says has a working pattern again.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

W="ip -n wireguard"

check 'attach' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
healthy 'with a guard'

in_ns wireguard wg set wg0 fwmark 0
heals 'the mark is missing' no-mark
$W rule add preference 0 not from 0.0.0.0 blackhole protocol 101
$W -6 rule add preference 0 from ::/1 blackhole protocol 101
$W -6 rule add preference 0 from 8000::/1 blackhole protocol 101
$W -6 rule add preference 0 ipproto ipv6-icmp blackhole protocol 101
heals 'it is kept mute' mute
$W address del 10.13.13.2/32 dev wg0
heals 'an address is missing' address-missing
bed_sysctl wireguard ipv4/conf/all/rp_filter=1 ipv4/conf/all/src_valid_mark=0
heals 'strict reverse path filtering' rp-filter
bed_sysctl wireguard ipv4/conf/all/rp_filter=0
$W link set wg0 down
heals 'wg0 is down' tunnel-down
