#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test_tamper.sh on kernels without tcx: with clsact and cls_bpf in its place.
# time-limit: 300

export EGRESSGUARD_FORCE_CLSACT=1
# shellcheck source=tests/e2e/test_tamper.sh
. "$(dirname "$0")/test_tamper.sh"
