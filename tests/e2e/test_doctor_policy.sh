#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# doctor: the rules of policy routing, taken away or put in another order: they are named first, and
# whoever pastes what doctor says has a working pattern again.
# time-limit: 240

# shellcheck source=tests/e2e/doctor.sh
. "$(dirname "$0")/doctor.sh"

W="ip -n wireguard"

check 'attach' eg attach --netns wireguard --wg-conf "$BED/wg0.conf"
healthy 'with a guard'

$W rule del not fwmark 51820 table 51820
heals "the tunnel's rule is missing" rule-missing
check 'it stands where wg-quick puts it' grep -q '^32765:.*fwmark 0xca6c' <<<"$($W rule)"
$W rule del table main suppress_prefixlength 0
heals 'the rule for the main table is missing' rule-missing
$W rule del table main suppress_prefixlength 0
$W rule del not fwmark 51820 table 51820
heals 'both are missing' rule-missing
$W rule del table main suppress_prefixlength 0
$W rule add table main suppress_prefixlength 0 priority 32765
heals 'the rule for the main table comes too late' rule-missing
