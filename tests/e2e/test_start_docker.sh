#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# The OCI runtime, with a real Docker: containers whose first instruction is to send.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

STARTS=${EG_STARTS:-8} # in a row

engine_bed
# As daemon.json has them: a policy by --policy, or by the container's environment.
runtimes() {
	local options=(oci-runtime --pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG")
	jq -n --arg eg "$EG" --arg plain "$BED/plain" --arg missing "$BED/no-such-runtime" '{
		app: {path: $eg, runtimeArgs: ($ARGS.positional + ["--policy", "app"])},
		environment: {path: $eg, runtimeArgs: $ARGS.positional},
		optional: {path: $eg, runtimeArgs: ($ARGS.positional + ["--optional"])},
		nobpffs: {path: $eg, runtimeArgs: ["oci-runtime", "--pin-dir", $plain, "--config-dir", $ARGS.positional[4],
			"--policy", "any"]},
		missing: {path: $eg, runtimeArgs: ($ARGS.positional + ["--policy", "any", "--runtime", $missing])},
		gone: {path: $eg, runtimeArgs: ($ARGS.positional + ["--policy", "nobody"])}}' \
		--args -- "${options[@]}"
}
DOCKER_SETTINGS="\"runtimes\": $(runtimes)"
mkdir "$BED/plain"
docker_up
policy app 'Target = docker:app' 'Endpoint = 203.0.113.9:51820'
template any
engine_check Docker "$(docker run --detach --name trial bed /bin/idle 60)"
# It would end at some time, and the next one have its address.
docker rm --force trial >/dev/null

# one OPTION...: a container that sends, until it ends.
one() {
	docker run --rm "$@" bed /bin/first
}

# --- many starts ---------------------------------------------------------------------------------------
starts control 2 one
check_leaks 'with runc alone: what it sends first is seen' control
check 'by IPv4' test "$(capture_count control 'udp and dst host 203.0.113.7')" -ge 2
starts sealed "$STARTS" one --runtime app
check_no_leak "of $STARTS containers: nothing in the clear" sealed
starts environment 2 one --runtime environment --env EGRESSGUARD_POLICY=any
check_no_leak 'a policy by the environment: nothing in the clear' environment
starts optional 1 one --runtime optional
check_leaks 'without a policy, and --optional: it is not guarded' optional

# --- a container that stays, and the daemon ---------------------------------------------------------------
is_guarded() {
	local inode
	inode=$(stat -L -c %i "/proc/$(docker_pid app)/ns/net") || return
	[ "$(of_guard app .state)" = enforcing ] && [ "$(guard_meta app .netns_inode)" = "$inode" ]
}
guard_since() {
	guard_meta app .guarded_since_realtime_ns
}
stay() { # NAME OPTION...
	local name=$1
	shift
	docker_run "$name" "$@" -- /bin/sh -c "/bin/first; exec /bin/idle $ENGINE_LIFE"
}
check 'one that stays' stay app --runtime app
check 'is guarded, without a daemon' is_guarded
check_equal 'the target is the policy file.s' "$(of_guard app .target)" docker:app
check_equal 'the container is known' "$(guard_meta app .container_id)" "$(docker_id app)"

# A network more, of which the hook knows nothing. It is no LAN, and the container sends to it all the time.
docker network create --subnet 203.0.113.128/25 --gateway 203.0.113.129 \
	--opt com.docker.network.bridge.name=second0 second >/dev/null
connected() { # CAPTURE [UNTIL-COMMAND]
	local name=$1
	shift
	docker exec --detach app /bin/sh -c 'while [ ! -e /stop ]; do
		/bin/probe udp 203.0.113.129:9 --timeout 1; done'
	capture_start "$name" host second0 'udp and dst host 203.0.113.129'
	docker network connect second app
	if [ $# -gt 0 ] && ! wait_until 30 "$@"; then
		fail "$name: never" "$(eg status app; cat "$BED/daemon.log")"
	fi
	# As many as are seen without.
	sleep 1
	capture_stop "$name"
	docker exec app /bin/touch /stop
	docker network disconnect second app
	docker exec app /bin/rm /stop
}
covered() {
	eg status app --json | jq -e '[.guards[0].layers[] | select(.name == "device" or .name == "peer") |
		select(.interfaces | length == 2)] | length == 2'
}
held() {
	eg status app --json | jq -e '.guards[0].layers[] | select(.name == "netns") | .state == "attached"'
}
leaked() {
	[ "$(capture_count alone)" -gt 0 ]
}
connected alone leaked
check 'a network more, without a daemon: it leaks' test "$(capture_count alone)" -gt 0

since=$(guard_since)
check 'the daemon starts' daemon_up
check_logged 'takes the guard for its own' 'app: (guarded already|the policy was replaced|following)'
check_equal 'which is the same one' "$(guard_since)" "$since"
check_equal 'and the only one' "$(guard_places | grep -c -v '^_')" 1
check 'the daemon holds the layer netns' wait_until 30 held
connected follows covered
check_equal 'a network more, with the daemon: nothing in the clear' "$(capture_count follows)" 0
restarts=${EG_RESTARTS:-3}
capture_start restarts internet host0
for ((i = 0; i < restarts; i++)); do
	docker restart --time 0 app >/dev/null
	check "restart $((i + 1)): guarded when Docker says that it runs" is_guarded
done
capture_stop restarts
check_no_leak "restarted $restarts times: nothing in the clear" restarts
check_equal 'one guard' "$(guard_places | grep -c -v '^_')" 1
check 'another one in its network' stay sharer --runtime environment --env EGRESSGUARD_POLICY=any \
	--network container:app
check_equal 'has the guard that is there' "$(guard_places | grep -c -v '^_')" 1

docker rm --force sharer app >/dev/null
check 'one with another name than the policy says' stay other --runtime app
check 'is guarded, and status says that the daemon does not find it' eval \
	"eg status app --json | jq -r '.guards[0].notes[]' | matches 'nothing runs by the name of its target'"
docker rm --force other >/dev/null

# --- what its kernel says by itself ----------------------------------------------------------------------
# Between its interface's coming and the guard nothing runs in there, and its kernel would answer.
address() { # NAME FIELD
	docker inspect --format "{{.NetworkSettings.$2}}" "$1"
}
again() {
	docker restart --time 0 app >/dev/null
}
docker_run app -- /bin/idle "$ENGINE_LIFE"
knocks_start "$(address app IPAddress)" "$(address app GlobalIPv6Address)"
knocked open again
check 'with runc alone: its kernel answers' test "$(capture_count open)" -gt 0
for what in 'tcp[tcpflags] & tcp-rst != 0' 'icmp[0] = 0' 'icmp[0] = 3' 'icmp6 and ip6[40] = 129'; do
	check "by $what" test "$(capture_count open "$what")" -gt 0
done
docker rm --force app >/dev/null
knocked mute stay app --runtime app
check_equal 'which has the addresses that are asked' "src host $(address app IPAddress) or src host \
$(address app GlobalIPv6Address)" "$KNOCKED"
check_equal 'guarded: it answers nobody outside, from its first moment' "$(capture_show mute)" ''
knocked mute again
check_equal 'nor when it starts again' "$(capture_show mute)" ''
check 'and is no longer mute' eval "! docker exec app /bin/ip rule | matches blackhole"
check 'as the LAN sees' probe lan icmp "$(address app IPAddress)" --timeout 1000
knocks_stop
docker rm --force app >/dev/null

# --- guards without a file of their own ---------------------------------------------------------------
template_guard() {
	echo "any-$(docker_id "$1" | cut -c 1-12)"
}
holds() { # GUARD
	eg status "$1" --json | jq -e '.guards[0] | .state == "enforcing" and
		(.layers[] | select(.name == "netns") | .state == "attached")'
}
check 'by a template, while the daemon runs' stay other --runtime environment --env EGRESSGUARD_POLICY=any
check 'the daemon follows it' wait_until 30 holds "$(template_guard other)"
docker restart --time 0 other >/dev/null
check 'restarted: again' wait_until 30 holds "$(template_guard other)"
stop daemon TERM
check 'the daemon starts again' daemon_up
check 'and follows what was there' wait_until 30 holds "$(template_guard other)"
docker rm --force other >/dev/null

# --- what stops a container -----------------------------------------------------------------------------------
not_started 'no such policy' "there is no policy 'nobody'" one --runtime gone
not_started 'no policy' 'names no policy' one --runtime environment
not_started 'a path for a policy' 'is no name of a policy' \
	one --runtime environment --env EGRESSGUARD_POLICY=../app
printf '[Guard]\nNonsense = 1\n' >"$CONFIG/templates/bad.conf"
not_started 'a policy that does not parse' 'templates/bad.conf:2:1: ' \
	one --runtime environment --env EGRESSGUARD_POLICY=bad
not_started "the engine's own network" 'the network namespace of its engine' \
	one --runtime app --network host
not_started 'no bpffs' 'bpffs' one --runtime nobpffs
not_started 'no runc' 'cannot execute the OCI runtime' one --runtime missing
check 'Docker still starts others' one
