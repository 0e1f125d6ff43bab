#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The shorter walk through tests/e2e/states.table, on kernels with tcx as on those without: with clsact
# and cls_bpf in its place.
# time-limit: 200

export EGRESSGUARD_FORCE_CLSACT=1 STATES_WALK=short
# shellcheck source=tests/e2e/test_states.sh
. "$(dirname "$0")/test_states.sh"
