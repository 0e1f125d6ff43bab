#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# fuzz.sh BUILD SECONDS [FUZZER SEEDS]: run one fuzzer, or all of them one after the other, for so
# many seconds each. New inputs stay in BUILD/corpus/NAME, inputs that crash in BUILD/crash/.
set -eu

build=$1
seconds=$2
shift 2

run_one() {
	name=$(basename "$1")
	mkdir -p "$build/corpus/$name" "$build/crash"
	seeds=
	[ ! -d "$2" ] || seeds=$2
	"$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix="$build/crash/$name-" "$build/corpus/$name" ${seeds:+"$seeds"}
}

if [ $# -gt 0 ]; then
	run_one "$@"
else
	for fuzzer in "$build"/tests/fuzz/fuzz_*; do
		echo "fuzz: $(basename "$fuzzer") for $seconds seconds"
		run_one "$fuzzer" "tests/fuzz/corpus/$(basename "$fuzzer" | sed s/^fuzz_//)"
	done
fi
