#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# One pod of containerd's, from its first container to its end, on a network with the plugin in its list: each of
# its containers, what is shown of it, and what happens to it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"
# shellcheck source=tests/e2e/cri.sh
. "$(dirname "$0")/cri.sh"

engine_bed
engine_root
cri_up
bed_route internet 172.26.0.0/16 198.51.100.2 fd00:26::/64 2001:db8:100::2

# --- the positive control ------------------------------------------------------------------------
cri_network '.plugins |= .[:1]'
capture_start open internet host0
pod_run open
container_run open app . /bin/idle "$ENGINE_LIFE"
tries open/app
capture_stop open
for way in 'udp and src net 172.26.0.0/16' 'udp and src net fd00:26::/64' 'tcp and src net 172.26.0.0/16' \
	'icmp and src net 172.26.0.0/16'; do
	check "without the plugin: $way" test "$(capture_count open "$way")" -ge 1
done
check 'a pod that runs already is guarded by the path of its namespace' \
	eg attach --netns "$(pod_netns open)" --name open --endpoint "$BED_ENDPOINT" --dns tunnel
check 'from then on it sends nothing' quiet open/app
pod_remove open
cri_network .

# --- its containers ------------------------------------------------------------------------------
capture_start pod internet host0
pod_run web
check_equal 'its guard has the name of the pod' "$(guards)" 'default.web enforcing'
pod_containers web
check 'verify: it is sealed' eg verify default.web

# --- what is shown of them -----------------------------------------------------------------------
check_equal 'status finds it by its namespace' "$(eg status --netns "$(pod_netns web)" --json | jq -r '.guards[0].name')" \
	default.web
# It does not wait long for who is to tell.
status_names() {
	of_guard default.web '.recent|map(.container|values)|unique|join(" ")' | matches -x 'default/web/app default/web/side'
}
check 'status names the containers' wait_until 20 status_names
# shellcheck disable=SC2016 # the inner shell's
start events sh -c 'exec "$@" >"$0"' "$BED/events.json" "$EG" events --pin-dir "$EG_PIN_DIR" --json default.web
# One that is the first of its container may be shown before that has been looked for.
events_name() { # CONTAINER NAME
	quiet "$1"
	jq -e --arg name "$2" --arg id "${CRI_CONTAINERS[$1]}" \
		'select(.type == "packet" and .container == $name and .container_id == $id)' "$BED/events.json"
}
for name in app side; do
	check "events name $name" wait_until 20 events_name "web/$name" "default/web/$name"
done
stop events INT

# --- containerd comes to an end, and back ----------------------------------------------------------
stop containerd KILL
check_equal 'without containerd the guard is in force' "$(guards)" 'default.web enforcing'
containerd_daemon
wait_until 20 cri_reads
check 'with it again: it sends nothing' quiet web/app
check_equal 'with it again: the guard is in force' "$(guards)" 'default.web enforcing'

# --- its sandbox's process is killed ---------------------------------------------------------------
kill -KILL "$(pod_pid web)"
check 'its sandbox is killed: that shows' wait_until 10 pod_is web 1
check 'its sandbox is killed: what is left of it sends nothing' quiet web/app
check_equal 'its sandbox is killed: the guard is in force' "$(guards)" 'default.web enforcing'
old=${CRI_PODS[web]}
pod_run web
check_equal 'a new one, and the old one still there: both are guarded' \
	"$(eg status --json | jq -r '[.guards[].state]|join(" ")') $(of_guard "${CRI_PODS[web]}" .state)" \
	'enforcing enforcing enforcing'
pod_remove web
CRI_PODS[web]=$old
pod_remove web
check_equal 'removed: no guard is left' "$(guard_places)" ''
pod_run web
container_run web app . /bin/first 60
check 'made anew: it has sent' container_wait web/app
check_equal 'made anew: its guard' "$(guards)" 'default.web enforcing'
capture_stop pod
check_no_leak 'nothing leaves in all this' pod
pod_remove web

# --- with the daemon -------------------------------------------------------------------------------
no_pod() {
	[ -z "$(guard_places)" ] && [ -z "$(ip -n host link show master br-bed)" ]
}
held() {
	of_guard default.web '.layers[]|select(.name == "netns").state' | matches -x attached
}
# shellcheck disable=SC2119 # none is set
daemon_up
pod_run web
if "$EG" features --json | jq -e .features.netfilter_link.present >/dev/null; then
	check 'the daemon follows its guard' wait_until 20 held
fi
pod_remove web
check 'nothing keeps the namespace, nor its guard' wait_until 20 no_pod
