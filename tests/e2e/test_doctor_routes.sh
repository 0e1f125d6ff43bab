#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: routes that were taken away just now: they are named first, and whoever pastes what doctor says has
# a working pattern again.
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
$W route del default via 172.18.0.1
heals 'the default route is gone' endpoint-unreachable
