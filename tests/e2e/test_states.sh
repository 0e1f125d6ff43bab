#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Everything that becomes of a guarded tunnel: a walk through all of tests/e2e/states.table. Somebody
# inside sends to the internet in every way there is, all the time, and two captures outside look for
# it: where the internet is, and on the host's bridge for what nobody routes. What left during each
# event and in each state is compared with the table, and so are the LAN, the tunnel and `status`.
# scripts/states-doc.py makes doc/states.md of what it prints.
# $STATES_WALK: `short` for a part of it.
# time-limit: 420

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

STATES=$BED_SOURCE/tests/e2e/states.py
TABLE=$BED_SOURCE/tests/e2e/states.table
TALK=$BUILD/tests/talk
SLOW=${EG_SLOW:-1}
OTHER=203.0.113.10 # the server's other address

# --- the tunnel, by wg-quick -----------------------------------------------------------------------

wg_quick_prepare() {
	tunnel_server_up
	bed_address vpn eth0 "$OTHER/24"
	# For where there is no kernel WireGuard: in the background, but not as a daemon.
	cat >"$BED/wireguard-go" <<-END
		#!/bin/sh
		setsid wireguard-go -f "\$1" >/dev/null 2>&1 </dev/null &
		echo \$! >"$BED/wireguard-go.pid"
		until grep -q " 00010000 .*/\$1[.]sock\\$" /proc/net/unix; do sleep 0.02; done
	END
	chmod +x "$BED/wireguard-go"
	export WG_QUICK_USERSPACE_IMPLEMENTATION=$BED/wireguard-go LOG_LEVEL=silent
	mkdir -m 700 "$BED/good" "$BED/fails" "$BED/killed"
	wg_quick_config >"$BED/good/wg0.conf"
	wg_quick_config 'PostUp = echo no such thing; false' >"$BED/fails/wg0.conf"
	# The routes come after what it has done by then.
	# shellcheck disable=SC2016 # wg-quick's
	wg_quick_config 'Table = off' 'PostUp = kill -KILL $$' >"$BED/killed/wg0.conf"
}

wg0_add() {
	if [ "$BED_WIREGUARD" = kernel ]; then
		ip -n wireguard link add wg0 type wireguard
	else
		in_ns wireguard "$BED/wireguard-go" wg0
	fi
}

wireguard_go_ends() {
	[ -e "$BED/wireguard-go.pid" ] || return 0
	kill -KILL "$(cat "$BED/wireguard-go.pid")" 2>/dev/null
	wait_until 10 wireguard_go_has_ended
	rm -f "$BED/wireguard-go.pid" /run/wireguard/wg0.sock
}

# A zombie, which nobody may come to wait for, has no program either.
wireguard_go_has_ended() {
	[ ! -e "$BED/wireguard-go.pid" ] || [ ! -e "/proc/$(cat "$BED/wireguard-go.pid")/exe" ]
}

wg_quick_config() { # LINE...: more of the interface
	echo '[Interface]'
	printf '%s\n' "PrivateKey = $(cat "$BED/client.key")" 'Address = 10.13.13.2/32, fd13::2/128' "$@"
	printf '%s\n' '[Peer]' "PublicKey = $(cat "$BED/server.pub")" \
		"Endpoint = $BED_ENDPOINT" 'AllowedIPs = 0.0.0.0/0, ::/0'
}

wg_quick() { # up|down [CONFIGURATION]
	in_ns wireguard wg-quick "$1" "$BED/${2:-good}/wg0.conf"
}

# What wg0 leaves to whoever makes it next.
wg0_tidy() {
	local family
	wait_until 10 wireguard_go_has_ended
	for family in -4 -6; do
		ip -n wireguard "$family" rule delete table "$BED_WG_PORT" 2>/dev/null
		ip -n wireguard "$family" rule delete table main suppress_prefixlength 0 2>/dev/null
	done
	return 0
}

peer_at() { # ADDRESS
	in_ns wireguard wg set wg0 peer "$(cat "$BED/server.pub")" endpoint "$1:$BED_WG_PORT"
}

# The server hears, and nobody hears it.
server_is_deaf() {
	ip -n vpn route add blackhole 172.18.0.0/16
}
server_answers() {
	ip -n vpn route delete blackhole 172.18.0.0/16
}

# --- who talks ---------------------------------------------------------------------------------------

talk_start() { # inside|outside
	local namespace=wireguard
	[ "$1" = inside ] || namespace=internet
	rm -f "$BED/$1.rounds"
	start_in "$namespace" "talk-$1" "$TALK" "$1" "$BED/$1.records" "$BED/$1.rounds"
	wait_until 10 test -s "$BED/$1.rounds"
}

# rounds_read SIDE ARRAY: rounds finished, then the answers of each family that asks.
rounds_read() {
	read -r -a "$2" <"$BED/$1.rounds"
}

exec {NEVER}<> <(:)
nap() { # SECONDS, without a process
	read -r -t "$1" -u "$NEVER" _ || true
}

declare -A MARK=()

# rounds_mark, rounds_pass: waits until all was sent once more, from its begin on, since the mark.
rounds_mark() {
	local side now
	for side in inside outside; do
		running "talk-$side" || continue
		rounds_read "$side" now
		MARK[$side]=${now[*]}
	done
}
rounds_pass() {
	local side now end=$((SECONDS + 10 * SLOW))
	for side in inside outside; do
		running "talk-$side" || continue
		until rounds_read "$side" now && [ "${now[0]}" -gt $((${MARK[$side]%% *} + 1)) ]; do
			[ "$SECONDS" -le "$end" ] && running "talk-$side" || return 1
			nap 0.005
		done
	done
}

# answers_come LAN|TUNNEL: waits until each family that asks there has another answer since the mark.
answers_come() {
	local begin now from=1 i end=$((SECONDS + 15 + 2 * SLOW))
	[ "$1" = LAN ] || from=4
	read -r -a begin <<<"${MARK[inside]}"
	for ((i = from; i < from + 3; i++)); do
		until rounds_read inside now && [ "${now[i]}" -gt "${begin[i]}" ]; do
			[ "$SECONDS" -le "$end" ] || return 1
			nap 0.005
		done
	done
}

# --- what happens ------------------------------------------------------------------------------------

attach() { # [OPTION...]
	attach_at "$BED_ENDPOINT" "$@"
}
attach_at() { # ENDPOINT [OPTION...]
	local endpoint=$1
	shift
	eg attach --netns wireguard --dns lan --endpoint "$endpoint" "$@"
}

# More endpoints than the tables in force have room for: takes a new guard.
large_policy() {
	local i
	ENDPOINTS=$((${ENDPOINTS:-60} * 4))
	{
		echo '[WireGuard]'
		for ((i = 1; i < ENDPOINTS; i++)); do
			echo "Endpoint = 203.0.113.9:$i"
		done
		echo "Endpoint = $BED_ENDPOINT"
	} >"$BED/large.conf"
}

event_attach() {
	attach
}
event_attach_again() {
	attach
}
event_replace_in_place() {
	attach --replace --allow 100.64.0.0/24
}
event_replace_beside() {
	local before
	before=$(stat -c %i "$EG_PIN_DIR/wireguard/meta")
	large_policy
	attach --replace --policy "$BED/large.conf" && [ "$(stat -c %i "$EG_PIN_DIR/wireguard/meta")" != "$before" ]
}
event_loader_killed() {
	local pid status
	for _ in 1 2; do
		large_policy
		# Not by a function: that would be a shell's process, which the command outlives.
		"$EG" attach --pin-dir "$EG_PIN_DIR" --netns wireguard --dns lan --endpoint "$BED_ENDPOINT" \
			--replace --policy "$BED/large.conf" &
		pid=$!
		until [ -e "$EG_PIN_DIR/_new-wireguard" ] || ! kill -0 "$pid" 2>/dev/null; do
			:
		done
		kill -KILL "$pid" 2>/dev/null || true
		status=0
		wait "$pid" || status=$?
		if [ "$status" = 137 ] && [ -e "$EG_PIN_DIR/_new-wireguard" ]; then
			return
		fi
		echo 'it was faster'
	done
	return 1
}
event_attach_new() {
	attach_at "$OTHER:$BED_WG_PORT" --replace && server_answers && peer_at "$OTHER"
}
event_attach_old() {
	attach --replace && server_answers && peer_at 203.0.113.9
}
event_daemon_starts() {
	policy wireguard 'Target = netns:wireguard' "Endpoint = $BED_ENDPOINT"
	# shellcheck disable=SC2119 # no variable is to be set
	daemon_up && wait_until 30 logged 'wireguard: guarded|guarded already|policy was replaced'
}
event_daemon_killed() {
	stop daemon KILL
}
event_daemon_ends() {
	stop daemon
}
event_detach() {
	eg detach wireguard
}
event_wg_quick_up() {
	wg_quick up
}
event_wg0_made() {
	ip -n wireguard link show wg0 2>/dev/null && return 1
	wg0_add && tunnel_configure
}
event_wg0_made_deaf() {
	server_is_deaf && event_wg0_made
}
event_server_answers() {
	server_answers
}
event_wg_quick_down() {
	wg_quick down && wg0_tidy
}
event_wg_quick_fails() {
	! wg_quick up fails && bed_no_link wireguard wg0 && wg0_tidy
}
event_wg_quick_killed() {
	! wg_quick up killed && ip -n wireguard link show wg0
}
event_endpoint_lost() {
	ip -n internet route add unreachable 203.0.113.9/32
}
event_endpoint_back() {
	ip -n internet route delete unreachable 203.0.113.9/32
}
event_wg0_down() {
	ip -n wireguard link set wg0 down
}
event_wg0_down_cut() {
	event_wg0_down && event_endpoint_back
}
event_wg0_up() {
	tunnel_link_up
}
event_wg0_deleted() {
	ip -n wireguard link delete wg0 && wg0_tidy
}
event_peer_moves() {
	server_is_deaf && nap 0.05 && peer_at "$OTHER"
}
event_peer_moves_back() {
	server_is_deaf && nap 0.05 && peer_at 203.0.113.9
}
event_bpffs_moved() {
	mkdir -p "$BED/elsewhere" && mount --move /sys/fs/bpf "$BED/elsewhere"
}
event_bpffs_back() {
	mount --move "$BED/elsewhere" /sys/fs/bpf
}
event_bpffs_lost() {
	umount /sys/fs/bpf && mount -t bpf -o mode=700 bpf /sys/fs/bpf && mkdir "$EG_PIN_DIR"
}
# With what clsact's filters would go on to drop, a walk would not see what the next guard lets out.
event_attach_anew() {
	in_ns wireguard tc filter delete dev eth0 egress 2>/dev/null
	in_ns host tc filter delete dev veth-wg ingress 2>/dev/null
	attach
}
event_container_stops() {
	MAC=$(mac_of wireguard eth0)
	ip netns delete wireguard
	wireguard_go_ends
	stop talk-inside KILL
	# The kernel takes namespaces away one after the other, for the whole machine.
	wait_until 150 bed_no_link host veth-wg
}
event_container_starts() {
	bed_container "$MAC" && prepare_inside && talk_start inside
}

mac_of() { # NAMESPACE INTERFACE
	ip -n "$1" -br link show "$2" | awk '{ print $3 }'
}

bed_at_exit() {
	wireguard_go_ends
}

prepare_inside() {
	bed_sysctl wireguard ipv6/icmp/ratelimit=0
}

# --- what must hold in a state, beside what the table says -------------------------------------------

# refused_of_tunnel ADDRESS: the tunnel sends to it, and the guard refuses what it sends.
refused_of_tunnel() {
	eg status wireguard --json | jq -e --arg address "$1" --argjson port "$BED_WG_PORT" \
		'.guards[0].recent[]|select(.dst==$address and .dport==$port and .proto=="udp" and .reason=="public")' >/dev/null
}
state_other_endpoint() {
	wait_until 15 refused_of_tunnel "$OTHER" || echo 'nothing of the tunnel was refused'
}
state_old_endpoint() {
	wait_until 15 refused_of_tunnel 203.0.113.9 || echo 'nothing of the tunnel was refused'
}

# --- the walk ----------------------------------------------------------------------------------------

declare -A LEAVES=() TUNNEL=() STATUS=() WG0=()

table_read() {
	local kind name rest
	while read -r kind name rest; do
		[ "$kind" != state ] ||
			read -r LEAVES["$name"] TUNNEL["$name"] _ STATUS["$name"] WG0["$name"] _ <<<"$rest"
	done <"$TABLE"
}

phase() { # event|state ORIGIN EVENT TARGET
	echo "${EPOCHREALTIME/,/.} $*" >>"$BED/phases"
}

# status_is STATE: what is wrong with it. The text: a start of jq takes long in a virtual machine.
status_is() {
	local wanted=${STATUS[$1]} said=none wg0='' exit=0 word rest
	eg status wireguard --check >"$BED/status" 2>/dev/null || exit=$?
	while read -r word rest; do
		case $word in
		wireguard:) said=${rest%%:*} ;; # and a reason
		tunnel) wg0=$rest ;;
		layers) ! [[ $rest =~ tcx|clsact ]] || echo "${BASH_REMATCH[0]}" >"$BED/layer" ;; # of `device`
		esac
	done <"$BED/status"
	[[ "|$wanted|" == *"|$said|"* ]] || echo "status says '$said', not '$wanted'"
	if [ "$said" = enforcing ]; then
		[ "$exit" = 0 ] || echo "status --check: exit status $exit"
	else
		[ "$exit" = 1 ] || echo "status --check: exit status $exit, not 1"
	fi
	case ${WG0[$1]} in
	absent) [ "$wg0" = 'wg0 absent' ] ;;
	up | down) [[ $wg0 == "wg0 ("*"WireGuard, ${WG0[$1]})" ]] ;;
	-) ;;
	esac || echo "status says of the tunnel '$wg0', not '${WG0[$1]}'"
}

# look STATE: what is wrong with it.
look() {
	rounds_mark
	status_is "$1"
	if declare -F "state_${1//-/_}" >/dev/null; then
		"state_${1//-/_}"
	fi
	rounds_pass || echo 'nobody sends'
	if [ "${LEAVES[$1]}" != nobody ]; then
		answers_come LAN || echo 'the LAN does not answer'
	fi
	if [ "${TUNNEL[$1]}" = yes ]; then
		answers_come TUNNEL || echo 'the tunnel does not carry'
	fi
}

step() { # ORIGIN EVENT TARGET
	local wrong started=$EPOCHREALTIME between
	phase event "$@"
	if ! "event_${2//-/_}" >"$BED/event.log" 2>&1; then
		fail "$1, $2" 'that failed'
		sed 's/^/  | /' "$BED/event.log"
		exit 1
	fi
	if [ "${LEAVES[$1]}" = open ]; then
		# From now on nothing may leave but what was under way.
		nap "0.0$((SLOW < 10 ? 5 : 50))"
		phase state "$@"
	fi
	between=$EPOCHREALTIME
	rounds_mark
	rounds_pass || true
	[ "${LEAVES[$1]}" = open ] || phase state "$@"
	wrong=$(look "$3")
	echo "$2 took $(((${between/[.,]/} - ${started/[.,]/}) / 1000)) ms," \
		"looking $(((${EPOCHREALTIME/[.,]/} - ${between/[.,]/}) / 1000)) ms"
	if [ -z "$wrong" ]; then
		pass "$3 after $2"
	else
		fail "$3 after $2" "${wrong//$'\n'/; }"
		sed 's/^/  | /' "$BED/event.log"
	fi
}

if [ -n "${EGRESSGUARD_FORCE_CLSACT:-}" ] &&
	! env -u EGRESSGUARD_FORCE_CLSACT "$EG" features --json | jq -e .features.tcx.present >/dev/null; then
	skip 'a walk with clsact' 'this kernel has no tcx, so the whole walk was one'
	exit
fi
table_read
bed_up
prepare_inside
wg_quick_prepare
"$TALK" families >"$BED/families"
capture_start internet internet host0 "ether src $(mac_of host wan0)"
# In this order: what follows `vlan` is looked for behind a tag.
capture_start host host br0 "not ether src $BED_HOST_MAC and (not (ip or ip6 or arp) or vlan)"

STATE=unguarded
phase state - - "$STATE"
talk_start inside
talk_start outside
wrong=$(look "$STATE")
check_equal "$STATE" "$wrong" ''
echo "ready after $SECONDS s"
mapfile -t walk < <("$STATES" walk "$TABLE" "${STATES_WALK:-}")
for line in "${walk[@]}"; do
	# shellcheck disable=SC2086 # three words
	step $line
done
stop talk-inside
stop talk-outside
capture_stop internet
capture_stop host
echo "walked after $SECONDS s"

"$STATES" judge "$BED" "$TABLE" || BED_FAILED=1
pass "walk: ${#walk[@]} events, Linux $(uname -r), $(cat "$BED/layer"), $BED_WIREGUARD WireGuard"
