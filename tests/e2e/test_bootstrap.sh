#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The endpoint by a host's name, with --bootstrap-dns: the namespace may ask for exactly that name, of
# exactly that resolver, until there is a tunnel, and again when it is gone; and nothing else.
# time-limit: 300

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

RESOLVER=203.0.113.53 OTHER=203.0.113.54 RESOLVER6=2001:db8:7::53 FORGED=203.0.113.55
NAME=vpn.example.com

ask() { # RESOLVER NAME [FLAG...]
	in_ns wireguard python3 "$BED_SOURCE/tests/e2e/ask.py" "$@"
}
asked() { # how many questions the resolvers have seen
	wc -l <"$BED/names.log"
}
not_asked() { # RESOLVER NAME [FLAG...]: no answer, and the resolver has seen nothing
	local before
	before=$(asked)
	! ask "$@" && [ "$(asked)" = "$before" ]
}
# attach [OPTION...]: from `host`, whose resolver is RESOLVER, as a machine's would be.
attach() {
	in_ns host "$EG" attach --pin-dir "$EG_PIN_DIR" --netns /run/netns/wireguard --name wireguard \
		--bootstrap-dns "${ASKED-$RESOLVER}" --endpoint "$NAME:$BED_WG_PORT" "$@"
}
# counted_are VERDICT REASON PACKETS: so many by one of the layers, and no more by the other.
counted_are() {
	[ "$(eg status wireguard --json | jq --arg verdict "$1" --arg reason "$2" \
		'.guards[0].counters.by_layer | [.device, .peer] | map(.[$verdict][$reason].packets // 0) | max')" = "$3" ]
}
endpoints() {
	eg status wireguard --json | jq -r '.guards[0].endpoints | sort | join(" ")'
}
endpoints_are() {
	[ "$(endpoints)" = "$1" ]
}

bed_up
for address in "$RESOLVER/32" "$OTHER/32" "$RESOLVER6/128"; do
	ip -n internet address add "$address" dev lo
done
start_in internet names python3 "$BED_SOURCE/tests/e2e/nameserver.py" "$BED/names.ready" "$RESOLVER" "$OTHER" \
	"$RESOLVER6" -- "$NAME=203.0.113.9" other.example.com=203.0.113.7 alias.example.com=203.0.113.9
wait_until 20 test -e "$BED/names.ready"

# --- without a guard every question is seen ------------------------------------------------------------

open() {
	ask "$RESOLVER" "$NAME" && ask "$RESOLVER" other.example.com && ask "$OTHER" "$NAME" &&
		ask "$RESOLVER" "$NAME" AAAA && ask "$RESOLVER" "$NAME" TXT &&
		ask "$RESOLVER" "$NAME" cookie && ask "$RESOLVER" "$NAME" more && ask "$RESOLVER6" "$NAME"
}
check 'no guard: every question is answered' open

# --- one attach, and no tunnel yet -----------------------------------------------------------------------

check 'attach: the name is resolved by the same resolver' attach
check_equal 'its address is the endpoint' "$(endpoints)" "$BED_ENDPOINT"
check 'the policy in force knows the name' \
	grep -q "^# EndpointName = $NAME:$BED_WG_PORT" <(eg policy show wireguard)
check_equal 'the name: answered' "$(ask "$RESOLVER" "$NAME")" 203.0.113.9
check 'its IPv6 address may be asked for' ask "$RESOLVER" "$NAME" AAAA
check 'as resolvers of libc ask' ask "$RESOLVER" "$NAME" opt
check 'in letters drawn by lot' ask "$RESOLVER" vPN.eXampLe.Com
check 'counted' wait_until 10 counted_are allowed bootstrap-dns 4
check 'another name: not asked' not_asked "$RESOLVER" other.example.com
check 'a name beneath it' not_asked "$RESOLVER" "leak.$NAME"
check 'another type' not_asked "$RESOLVER" "$NAME" TXT
check 'one byte more' not_asked "$RESOLVER" "$NAME" more
check 'an option in the OPT record' not_asked "$RESOLVER" "$NAME" cookie
check 'two questions' not_asked "$RESOLVER" "$NAME" two
check 'another resolver' not_asked "$OTHER" "$NAME"
check 'one in the LAN' not_asked 192.168.1.10 "$NAME"
check 'each of them counted' wait_until 10 counted_are dropped dns-off-tunnel 8
check 'by TCP: not asked' not_asked "$RESOLVER" "$NAME" tcp
check 'nor anything else of that address' not_asked "$RESOLVER6" "$NAME"
check_equal 'explain knows the question' \
	"$(eg explain wireguard bootstrap "$RESOLVER" --json | jq -r .reason)" bootstrap-dns

# --- a tunnel, and a handshake -----------------------------------------------------------------------------

tunnel_create
check 'the tunnel comes up' wait_until 60 probe wireguard icmp 10.13.13.1 --timeout 300
eg detach wireguard
check 'attach, while there is a handshake' attach
# What is asked leaves by the tunnel now; so by the underlay itself.
ip -n wireguard rule add to "$RESOLVER" table main pref 10
check 'the name is not asked for any more' not_asked "$RESOLVER" "$NAME"
eg detach wireguard
check 'without the guard it would be' ask "$RESOLVER" "$NAME"

# --- answers that somebody forges ------------------------------------------------------------------------------

# Whoever can send from the resolver's address has to guess the number, the port, and the letters' case.
ip -n internet address add "$FORGED/32" dev lo
start_in internet forging python3 "$BED_SOURCE/tests/e2e/nameserver.py" "$BED/forging.ready" "$FORGED" -- \
	"$NAME=203.0.113.9" forged=203.0.113.66
wait_until 20 test -e "$BED/forging.ready"
check_equal 'the forged answer comes first' "$(ask "$FORGED" "$NAME")" 203.0.113.66
for i in 1 2 3; do
	ASKED=$FORGED check "attach $i" attach --replace
	check_equal 'and is not believed' "$(endpoints)" "$BED_ENDPOINT"
done
check 'the letters are drawn by lot' [ "$(grep '^1 ' "$BED/forging.log" | sort -u | wc -l)" -gt 2 ]
stop forging
eg detach wireguard

# --- followed by the daemon: closed with the handshake, open without ----------------------------------------

tunnel_delete
cat >"$CONFIG/wireguard.conf" <<CONF
[Guard]
Target = /run/netns/wireguard
Tunnel = wg0
[WireGuard]
Endpoint = $NAME:$BED_WG_PORT
BootstrapDns = $RESOLVER
CONF
start_in host daemon "$EG" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
check_logged 'the daemon guards it' 'wireguard: guarded'
check 'the name may be asked for' wait_until 30 ask "$RESOLVER" "$NAME"
check 'another one not' not_asked "$RESOLVER" other.example.com
tunnel_create
ip -n wireguard rule add to "$RESOLVER" table main pref 10 2>/dev/null || true
check 'the tunnel comes up' wait_until 60 probe wireguard icmp 10.13.13.1 --timeout 300
if wait_until 60 not_asked "$RESOLVER" "$NAME"; then
	pass 'then the name is not asked for any more'
	check 'nor a moment later' not_asked "$RESOLVER" "$NAME"
else
	fail 'then the name is not asked for any more'
	in_ns wireguard wg show wg0 latest-handshakes
	eg status wireguard
	cat "$BED/daemon.log"
fi
tunnel_delete
check 'the tunnel gone, it may be again' wait_until 30 ask "$RESOLVER" "$NAME"
ip -n vpn address add 203.0.113.19/24 dev eth0
echo "$NAME=203.0.113.19" >"$BED/names.ready.names"
kill -HUP "${BED_PIDS[names]}"
check 'the server moves: its new address is an endpoint, the old one stays one' wait_until 90 \
	endpoints_are "203.0.113.19:$BED_WG_PORT $BED_ENDPOINT"
stop daemon KILL
check 'nobody follows: soon it is not asked for any more' wait_until 40 not_asked "$RESOLVER" "$NAME"

# --- a name that nobody can resolve ---------------------------------------------------------------------------

eg detach wireguard
stop names
check_status 'by hand it is refused' 1 attach
cp "$BED/check.out" "$BED/refused"
check 'and said who was asked: the resolver that was named, and this machine'\''s own' \
	grep -q "$RESOLVER.*; and this machine's own resolver: " "$BED/refused"
start_in host daemon "$EG" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
check_logged 'the daemon guards it all the same, and says so' 'cannot resolve|no answer in time'
check 'in force' wait_until 30 grep -q enforcing <(eg status wireguard 2>&1)
check 'with no endpoint' wait_until 10 endpoints_are ''
check 'status says why' eval "eg status wireguard | matches 'no address of the endpoint $NAME is known'"
check_logged 'and the log what is waited for' 'nothing leaves to one until its name has an address'
rm "$BED/names.ready"
start_in internet names python3 "$BED_SOURCE/tests/e2e/nameserver.py" "$BED/names.ready" "$RESOLVER" -- \
	"$NAME=203.0.113.9"
check 'it has one as soon as somebody answers' wait_until 60 endpoints_are "$BED_ENDPOINT"
stop daemon
