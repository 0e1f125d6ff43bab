#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# Pods of containerd's that name the runtime `egressguard`, as by a RuntimeClass: sealed by the policy of the pod's
# annotation, with no plugin in the network's list.

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

ANNOTATION='.annotations["egressguard.policy"] = "pods"'

engine_bed
engine_root
# As the manual has it, with this bed's places.
printf '#!/bin/sh\nexec "%s" oci-runtime --pin-dir "%s" --config-dir "%s" "$@"\n' "$EG" "$EG_PIN_DIR" "$CONFIG" \
	>"$BED/egressguard-runtime"
chmod 755 "$BED/egressguard-runtime"
# shellcheck disable=SC2034 # cri.sh's
CRI_SETTINGS=$(sed -n '/^\.Ss containerd/,/^\.Ed/{/^\[/,/^\.Ed/p}' "$BED_SOURCE/doc/egressguard-oci.8" | sed '/^\.Ed/d' |
	sed "s|/usr/local/bin/egressguard-runtime|$BED/egressguard-runtime|")
cri_up
bed_route internet 172.26.0.0/16 198.51.100.2 fd00:26::/64 2001:db8:100::2
cri_network '.plugins |= .[:1]'
template pods

# --- the positive control ------------------------------------------------------------------------
starts open 1 pod_first "$ANNOTATION"
check_leaks 'by the usual runtime: it leaks, whatever the annotation says' open

# --- guarded ---------------------------------------------------------------------------------------
starts guarded "${EG_STARTS:-3}" pod_first "$ANNOTATION" egressguard
check_no_leak 'by ours: nothing leaves, however often it starts' guarded

# --- a pod that stays --------------------------------------------------------------------------------
capture_start pod internet host0
pod_run web "$ANNOTATION" egressguard
guard=pods-${CRI_PODS[web]:0:12}
check_equal 'its guard, and none of those before' "$(guards)" "$guard enforcing"
pod_containers web
check_equal 'it is still one guard' "$(guards)" "$guard enforcing"
eg detach "$guard" >/dev/null
container_run web late . /bin/first 60
check 'its guard was taken away: the next container brings it back' container_wait web/late
check 'its guard was taken away: all of it is guarded again' quiet web/app
kill -KILL "$(pod_pid web)"
check 'its sandbox is killed: that shows' wait_until 10 pod_is web 1
pod_stop web
pod_run web "$ANNOTATION" egressguard
container_run web app . /bin/first 60
check 'made anew: it has sent' container_wait web/app
check_equal 'made anew: its guard' "$(guards)" "pods-${CRI_PODS[web]:0:12} enforcing"
capture_stop pod
check_no_leak 'nothing leaves in all this' pod
pod_remove web

# --- what must not start -----------------------------------------------------------------------------
not_started 'no policy' 'RunPodSandbox: code [0-9]+: .*names no policy.*give it the annotation' pod_first . egressguard
not_started 'no such policy' "RunPodSandbox: code [0-9]+: .*there is no policy 'nobody'.*write one" \
	pod_first '.annotations["egressguard.policy"] = "nobody"' egressguard
template pods 'Endpoint = nonsense'
not_started 'a policy that is wrong' 'RunPodSandbox: code [0-9]+: .*nonsense' pod_first "$ANNOTATION" egressguard
template pods
not_started "on the node's own network" 'RunPodSandbox: code [0-9]+: .*hostNetwork.*of its own' pod_first \
	'.linux.security_context.namespace_options.network = 2 | .hostname = "" | '"$ANNOTATION" egressguard
mv "$BED/egressguard-runtime" "$BED/elsewhere"
not_started 'egressguard is missing' 'RunPodSandbox: code [0-9]+: .*egressguard-runtime' pod_first "$ANNOTATION" egressguard
mv "$BED/elsewhere" "$BED/egressguard-runtime"
check_equal 'no guard is in force for what has not started' "$(guards | tr -d ' ' | grep -c enforcing)" 0
