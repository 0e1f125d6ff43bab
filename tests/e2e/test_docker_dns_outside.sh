#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 200
# Docker's resolver where the engine's own server is on the host's loopback, as with systemd-resolved:
# Docker asks that from its own namespace, past every layer. Nothing of it is seen in the container's
# namespace, `attach` sees it in the engine's, and under dns = tunnel it is refused.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

ask() { # NAME
	nsenter --net="/proc/$(docker_pid wireguard)/ns/net" -- \
		python3 "$BED_SOURCE/tests/e2e/dnsask.py" udp "$1"
}
dns_of() {
	of_guard wireguard '|.dns+" "+.dns_resolver+" "+(.dns_refused|tostring)'
}
asked_outside() {
	in_ns host nft -j list counter inet eg asked | jq '.nftables[]|select(.counter)|.counter.packets'
}

engine_bed
# In this script's own mount namespace.
echo 'nameserver 127.0.0.53' >"$BED/resolv.conf"
mount --bind "$BED/resolv.conf" "$(readlink -f /etc/resolv.conf)"
DOCKER_DNS=
docker_up
in_ns host nft -f - <<-TABLE
	table inet eg {
		counter asked {}
		chain in {
			type filter hook input priority 0;
			iifname lo ip daddr 127.0.0.53 udp dport 53 counter name asked
		}
	}
TABLE
docker network create --subnet 172.31.0.0/16 seed >/dev/null
bed_route internet 172.31.0.0/16 198.51.100.2 fd00:31::/64 2001:db8:100::2
docker_wireguard wireguard --network seed
engine_check Docker wireguard
wait_for_tunnel docker

ask control.example >/dev/null
check 'without a guard the host asks on its behalf' [ "$(asked_outside)" -gt 0 ]
check 'dns = lan: attach' attach wireguard --dns lan
check 'attach has seen that it leaves from elsewhere' \
	said "for a name that nobody has left from the engine's namespace: outside the guard"
check_equal 'status does not know of it' "$(dns_of)" 'not known not known false'
guard_counted wireguard
before=$(asked_outside)
ask passes.example >/dev/null
check 'it passes every layer' [ "$(asked_outside)" -gt "$before" ]
check_equal 'and no layer has seen it' "$(guard_counted wireguard dropped)$(guard_counted wireguard allowed |
	grep dns || true)" ''
check 'dns = tunnel: attach' attach wireguard --dns tunnel
check_equal 'it is refused' "$(dns_of)" 'tunnel not known true'
before=$(asked_outside)
check_equal 'no answer' "$(ask refused.example)" 'no answer'
check_equal 'nobody is asked' "$(asked_outside)" "$before"
check 'detach' eg detach wireguard
