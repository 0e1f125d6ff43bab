#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# A list of plugins for the pods of one RuntimeClass, beside that of all others.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"
# shellcheck source=tests/e2e/cri.sh
. "$(dirname "$0")/cri.sh"

engine_bed
engine_root
mkdir -p "$BED/guarded.d"
# shellcheck disable=SC2034 # cri.sh's
CRI_SETTINGS="
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.guarded]
runtime_type = \"io.containerd.runc.v2\"
cni_conf_dir = \"$BED/guarded.d\""
cri_up
bed_route internet 172.26.0.0/16 198.51.100.2 fd00:26::/64 2001:db8:100::2

# --- a list for some pods ------------------------------------------------------------------------
cri_network .
cp /etc/cni/net.d/10-bed.conflist "$BED/guarded.d"
cri_network '.plugins |= .[:1]'
guarded_reads() {
	cri Status '{"verbose": 1}' | jq -e '.info."lastCNILoadStatus.guarded" == "OK"'
}
wait_until 10 guarded_reads
starts others 1 pod_first
check_leaks 'a list for some pods: the others leak' others
starts some 2 pod_first . guarded
check_no_leak 'a list for some pods: nothing leaves of those' some
