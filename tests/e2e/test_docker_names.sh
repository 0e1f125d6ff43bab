#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# Containers of Docker by their names, ids and states, and the networks that they are in.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"

engine_bed
docker_up
docker_run wireguard -- /bin/idle "$ENGINE_LIFE"
engine_check Docker wireguard
wireguard_id=$(docker_id wireguard)

# --- one container, many names ------------------------------------------------------------------------
attach_wireguard() { # [TARGET]
	attach "${1:-wireguard}" --endpoint "$BED_ENDPOINT"
}
check 'attach' attach_wireguard
for target in docker:wireguard "${wireguard_id:0:12}" "docker:${wireguard_id:0:12}" "$wireguard_id" \
	"docker:${wireguard_id:0:6}"; do
	check "attach to $(sed "s/$wireguard_id/ID/; s/[0-9a-f]\{12\}/ID12/; s/[0-9a-f]\{6\}/ID6/" \
		<<<"$target"): the same guard" attach_wireguard "$target"
	check 'nothing changed' grep -q 'nothing changed' "$BED/attach.out"
done
check_equal 'one guard' "$(eg status --json | jq -r '[.guards[].name]|join(" ")')" wireguard
docker_run qbittorrent --network container:wireguard -- /bin/idle "$ENGINE_LIFE"
check_equal 'status --netns finds it by whom it shares its namespace with' \
	"$(eg status --netns qbittorrent --json | jq -r '.guards[0].name')" wireguard

# --- stop and start -------------------------------------------------------------------------------------
docker stop -t 5 qbittorrent wireguard >/dev/null
check_equal 'stopped: the guard is gone' "$(of_guard wireguard .state)" gone
refused 'stopped: attach says so' 3 \
	'the container .wireguard. \(docker\) is stopped; start it first' wireguard
docker start wireguard >/dev/null
check 'started: attach' attach_wireguard
check_equal 'started: enforcing' "$(of_guard wireguard .state)" enforcing
check_equal 'started: the old guard is reaped' "$(eg status --json | jq '.guards|length')" 1

# --- names ---------------------------------------------------------------------------------------------
ip netns add wireguard
refused 'a namespace and a container' 2 \
	'.wireguard. is more than one thing: write netns:wireguard .* or docker:wireguard' wireguard
check 'said explicitly' attach_wireguard docker:wireguard
ip netns delete wireguard
refused 'no such container' 3 'did you mean .wireguard.' wiregaurd
refused 'no such container, explicitly' 3 'Docker has no container .nonesuch.' docker:nonesuch
check 'detach --netns' eg detach --netns wireguard

long=$(printf 'n%.0s' {1..200})
for name in a.b-c_d 4242 "$long"; do
	docker_run "$name" -- /bin/idle "$ENGINE_LIFE"
	id=$(docker_id "$name")
	label=${name:0:20}
	check "a container called $label" attach "$name" --endpoint "$BED_ENDPOINT"
	guard=$(eg status --json | jq -r '.guards[0].name')
	check_equal "its guard is $label, or has its id" "$guard" \
		"$([ "$name" = "$long" ] && echo "$id" || echo "$name")"
	check "status of $label" eg status "$guard" --check
	check "detach from $label" eg detach --netns "docker:$name"
	docker rm --force "$name" >/dev/null
done

# --- networks that are not LAN ---------------------------------------------------------------------------
docker network create --subnet 198.18.0.0/16 odd >/dev/null
docker_run odd --network odd -- /bin/idle "$ENGINE_LIFE"
check 'a network outside RFC 1918' attach odd --endpoint "$BED_ENDPOINT"
check 'a hint says how to allow it' said '198\.18\.0\.0/16 is not LAN .*--allow 198\.18\.0\.0/16'
check 'DNS: attach says that it cannot tell' said 'dns: not known: cannot tell from which namespace'
check_equal 'DNS: status too' "$(of_guard odd .dns)" 'not known'
check 'it is not allowed' no_answer odd icmp 198.18.0.1 --timeout 200
refused 'what allows more has to be confirmed' 1 '--replace' \
	odd --endpoint "$BED_ENDPOINT" --allow 198.18.0.0/16
check 'and then is' attach odd --endpoint "$BED_ENDPOINT" --allow 198.18.0.0/16 --replace
check 'the hint is gone' grep -q -v 'is not LAN' "$BED/attach.err"
check 'it is allowed' probe_in odd icmp 198.18.0.1
check 'detach' eg detach odd
docker rm --force odd >/dev/null
