#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The promise, on kernels without tcx: test_promise.sh with clsact and cls_bpf in its place.
# time-limit: 300

export EGRESSGUARD_FORCE_CLSACT=1
# shellcheck source=tests/e2e/test_promise.sh
. "$(dirname "$0")/test_promise.sh"
