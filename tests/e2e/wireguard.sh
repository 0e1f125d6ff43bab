# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of WireGuard's facts share beyond the bed: the server's second endpoint, over IPv6, and
# what a leak is where both endpoints are known. Sourced in the place of lib.sh.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2034 # the tests use them
{
	WIREGUARD=$BED_SOURCE/tests/e2e/wireguard.py
	BED_ENDPOINT6="[2001:db8:9::9]:$BED_WG_PORT"
}

# Of what a capture sees, what the guarded namespace sends by itself; all that comes from inside,
# whatever source it claims; and what goes to an endpoint.
mine="(src host 172.18.0.2 or src host fd00:18::2)"
from_inside="not src net 203.0.113.0/24 and not src net 198.51.100.0/24 and not src net 2001:db8::/32"
to_endpoint="$mine and udp dst port $BED_WG_PORT and (dst host 203.0.113.9 or dst host 2001:db8:9::9)"
BED_LEAK+=" and $from_inside and not ($to_endpoint)"
