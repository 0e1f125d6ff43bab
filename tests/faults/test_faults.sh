#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 300
# run-alone: it fills all processors, and makes and removes namespaces all the time
# A share of tests/faults/run: system calls of attach, replace, detach and status that fail, or at
# which the command is killed. Of every kind of call of every command some; `tests/faults/run --only
# CASE` runs a case again. `make faults` runs them all.
#
# EG_FAULTS_SECONDS says how long (100), EG_FAULTS_SEED which are drawn (the same ones each time),
# EG_FAULTS_ONLY of which (parts of names, separated by blanks).
set -euo pipefail

BUILD=${BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
seconds=${EG_FAULTS_SECONDS:-100}
only=${EG_FAULTS_ONLY:-}
if [ -n "${EG_VM:-}" ]; then
	seconds=${EG_FAULTS_SECONDS:-60}
	# Each attach takes seconds there: a few commands, so that there is time for their faults.
	only=${only:-/detach/ /status-broken/ /status-no-peer/}
fi

arguments=()
for part in $only; do
	arguments+=(--only "$part")
done
exec "$(dirname "$0")/run" --build "$BUILD" --seconds "$seconds" \
	--seed "${EG_FAULTS_SEED:-1}" "${arguments[@]}"
