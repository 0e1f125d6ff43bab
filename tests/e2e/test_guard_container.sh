#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# The guard container: it seals the namespace that it has, is healthy only then, and what joins it leaks nothing
# from its first instruction on. What a failing seal, a signal, its end and another one in its place mean.

# shellcheck source=tests/e2e/pidns.sh
. "$(dirname "$0")/pidns.sh"
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/guard_container.sh
. "$(dirname "$0")/guard_container.sh"

engine_bed
guard_container_up

# As in dist/compose/guard.yaml.
guard_run() { # NAME [OPTION...]
	local name=$1
	shift
	docker run --detach --name "$name" --hostname "$name" --pid host \
		--volume "${GUARD_BPFFS-/sys/fs/bpf}:/sys/fs/bpf" \
		--cap-drop ALL --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE \
		--cap-add NET_RAW --security-opt no-new-privileges:true --read-only \
		--health-interval 500ms --sysctl net.ipv6.conf.all.disable_ipv6=0 "$@" >/dev/null
}

# What a container of an application does first: to send.
first_instruction() { # [OPTION...]
	docker run --rm "$@" bed /bin/probe udp 203.0.113.7:9 --timeout 100 >/dev/null 2>&1 || true
}

# --- the positive control ------------------------------------------------------------------------------
docker run --detach --name open bed /bin/idle "$ENGINE_LIFE" >/dev/null
engine_check Docker open
capture_start control internet host0 'udp and dst host 203.0.113.7'
first_instruction
first_instruction --network container:open
capture_stop control
check 'control: without a guard the first instruction is seen' \
	test "$(capture_count control 'udp and dst host 203.0.113.7')" -ge 2
docker rm -f open >/dev/null

# --- sealed, and healthy only then ---------------------------------------------------------------------
guard_run guard egressguard
check 'it is healthy' wait_until 60 is_healthy guard
is_healthy guard || docker logs guard
check_equal 'the host sees its guard, by the name of the container' "$(state_of guard)" enforcing
is_attached() {
	[ "$(layer "$1")" = attached ]
}
docker logs guard >"$BED/guard.log" 2>&1
check 'and its log says so' grep -q 'guard: guarded: net:\[[0-9]*\]' "$BED/guard.log"
layer() { # NAME
	"$EG" status guard --json | jq -r ".guards[0].layers[] | select(.name == \"$1\") | .state"
}
for name in device peer netns socket; do
	check "it has the layer $name" wait_until 30 is_attached "$name"
done
check_equal 'within: the same, for the health check' \
	"$(docker exec guard /usr/bin/egressguard status --netns self --check --json | jq -r '.guards[0].name')" guard
capture_start first internet host0 'host 203.0.113.7'
for _ in 1 2 3 4 5 6 7 8 9 10; do
	first_instruction --network container:guard
done
capture_stop first
check_no_leak 'ten containers whose first instruction is to send: nothing in the clear' first
check 'and the guard has seen them' test "$("$EG" status guard --json | jq '[.guards[0].counters.dropped[].packets] | add')" -ge 10

# --- a tunnel in it --------------------------------------------------------------------------------------
docker run --detach --name wireguard --network container:guard --cap-add NET_ADMIN --device /dev/net/tun \
	--volume "$BED/config:/config" bed /bin/vpn >/dev/null
docker run --detach --name qbittorrent --network container:guard bed /bin/idle "$ENGINE_LIFE" >/dev/null
wait_for_tunnel docker
check 'its endpoint was learned: the tunnel works' wait_until 20 probe_in qbittorrent tcp 203.0.113.7:443
check 'it is healthy still' wait_until 20 is_healthy guard

# --- it is ended, and it is another's ---------------------------------------------------------------------
started=$(date +%s%N)
docker stop -t 60 guard >/dev/null
took=$((($(date +%s%N) - started) / 1000000))
check "a signal ends it at once ($took ms)" test "$took" -lt $((20000 * ${EG_SLOW:-1}))
check_equal 'by itself' "$(docker inspect --format '{{.State.ExitCode}}' guard)" 0
check 'what is in force stays, as long as the namespace lives' "$EG" policy show guard
capture_start stopped internet host0 'host 203.0.113.7'
probes_in qbittorrent "$ENGINE_LEAKS"
capture_stop stopped
check_no_leak 'and nothing leaves' stopped
stranded() {
	"$EG" status --json | jq -r '[.stranded[] | "\(.container) \(.cause) \(.fix)"] | sort | join("\n")'
}
check_equal 'who has no network now is named, with what mends it' "$(stranded)" \
	'qbittorrent stopped docker start guard && docker restart qbittorrent
wireguard stopped docker start guard && docker restart wireguard'
docker start guard >/dev/null
check 'started again: healthy' wait_until 60 is_healthy guard
check_equal 'the others are still where they were' "$(stranded)" \
	'qbittorrent restarted docker restart qbittorrent
wireguard restarted docker restart wireguard'
"$EG" status >"$BED/status.txt"
check 'for people too' grep -q '^stranded: the container qbittorrent (docker) is in a namespace that is dead.*: guard was restarted$' \
	"$BED/status.txt"
"$EG" status --format prometheus >"$BED/status.prom"
check 'and as a metric' grep -q '^egressguard_stranded_containers 2$' "$BED/status.prom"
docker restart -t 5 wireguard qbittorrent >/dev/null
check_equal 'that mends it' "$(stranded)" ''
wait_for_tunnel docker
check 'and the tunnel works' wait_until 20 probe_in qbittorrent tcp 203.0.113.7:443
docker rm -f guard >/dev/null
guard_run guard egressguard
check_equal 'made anew, the others have to be as well' "$(stranded)" \
	'qbittorrent removed null
wireguard removed null'
docker rm -f wireguard qbittorrent >/dev/null

# --- what cannot be sealed -------------------------------------------------------------------------------
# refuses NAME PATTERN OPTION...: is never healthy, and says why.
refuses() {
	local name=$1 pattern=$2
	shift 2
	guard_run failing "$@"
	wait_until 60 is_unhealthy failing || true
	docker logs failing >"$BED/failing.log" 2>&1
	if is_unhealthy failing && grep -q -E -- "$pattern" "$BED/failing.log"; then
		pass "$name: unhealthy"
	else
		fail "$name: unhealthy" "$(health failing), $(tail -n 3 "$BED/failing.log")"
	fi
	docker rm -f failing >/dev/null
}
refuses 'without the host'\''s processes' 'pid: host' --pid '' --health-start-period 0s egressguard
GUARD_BPFFS=$BED/config refuses 'without the host'\''s bpffs' 'bind the host' --health-start-period 0s \
	egressguard
