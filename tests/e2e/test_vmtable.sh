#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vmtest/table, with a machine of straw: what it is told does not fit is a failure, and it ends when it
# is told to. What a machine does, vmtest/test_runner.sh looks at.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eg-table-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# A copy, whose machines are what $scratch/machine does.
mkdir -p "$scratch/vmtest" "$scratch/tests/bpf" "$scratch/build"
cp "$root/vmtest/table" "$scratch/vmtest/"
cp "$root/tests/run" "$root/tests/report.py" "$scratch/tests/"
touch "$scratch/build/egressguard" "$scratch/vmtest/expected-skips"
touch "$scratch"/tests/bpf/test_{one,two}.sh
echo 'bpf/*' >"$scratch/vmtest/tests"
cat >"$scratch/vmtest/packages.py" <<'END'
import collections
class Failure(Exception):
    pass
Kernel = collections.namedtuple("Kernel", "name release version vmlinuz modules")
def entries():
    return [provide("9.1"), provide("9.2")]
def provide(name):
    return Kernel(name, name, name, None, None)
END
cat >"$scratch/vmtest/machine.py" <<'END'
VM_FAILED = 125
def choose_accel(_):
    return "kvm"
END
cat >"$scratch/vmtest/run" <<'END'
#!/bin/bash
while [ "$1" != -- ]; do
	[ "$1" != --results ] || results=$2
	shift
done
end() {
	echo "{\"end\": \"$1\", \"seconds\": 1, \"outcomes\": [[\"${2-PASS}\", \"$1\", \"\"]], \"log\": \"\"}" >"$results"
}
begin() {
	echo "{\"start\": \"$1\"}" >"$results"
}
both() {
	begin bpf/test_one; begin bpf/test_two; end bpf/test_one "$@"; end bpf/test_two
}
. "$(dirname "$0")/../machine"
END
for name in runner lockdown; do
	cat >"$scratch/vmtest/test_$name.sh" <<'END'
#!/bin/bash
# What it waits for is not told by whoever ends it alone.
trap 'exit 130' TERM
. "$(dirname "$0")/../machine.outer"
END
done
# shellcheck disable=SC2016
echo 'echo $$ >>"$(dirname "$0")/../began"; sleep 600' >"$scratch/machine.outer"
chmod +x "$scratch"/vmtest/*.sh "$scratch/vmtest/run"

# table [ARGUMENT]...: its exit status in $status.
table() {
	status=0
	"$scratch/vmtest/table" --build "$scratch/build" "$@" >"$scratch/other" 2>&1 </dev/null || status=$?
	mv "$scratch/other" "$scratch/out"
}

# check NAME STATUS [TEXT]
check() {
	if [ "$status" = "$2" ] && grep -qe "${3-}" "$scratch/out"; then
		echo "PASS $1"
	else
		echo "FAIL $1: exit status $status"
		sed 's/^/  | /' "$scratch/out"
	fi
}

# told NAME STATUS TEXT: of one kernel, by the machine that stdin is.
told() {
	cat >"$scratch/machine"
	table --kernels 9.1 bpf/
	check "$@"
}

told 'all passed' 0 '^2 passed, 0 failed' <<<'both'
told 'one failed' 1 '^1 passed, 1 failed' <<<'both FAIL; exit 1'
told 'a test that is not heard of' 1 'FAIL bpf/test_two: .* before it began' <<<'begin bpf/test_one; end bpf/test_one'
told 'a test that is not heard of again' 1 'FAIL bpf/test_two: .* while it ran' \
	<<<'begin bpf/test_one; end bpf/test_one; begin bpf/test_two; exit 125'
told 'a machine that fails after the last result' 1 'FAIL vmtest/table: machine: exit status 125' <<<'both; exit 125'
told 'tests that fail where no result does' 1 'FAIL vmtest/table: machine: exit status 1' <<<'both; exit 1'
told 'tests that pass where a result does not' 1 'FAIL vmtest/table: machine: exit status 0' <<<'both FAIL'
told 'a result that comes again' 1 'FAIL vmtest/table: results: not expected' <<<'both FAIL; end bpf/test_one; exit 1'
told 'a result before its test began' 1 'FAIL vmtest/table: results: out of order' \
	<<<'end bpf/test_one; begin bpf/test_two; end bpf/test_two'
told 'a result of another test' 1 'FAIL vmtest/table: results: not expected' <<<'both; begin e2e/test_x; end e2e/test_x'
told 'a result without a verdict' 1 'FAIL vmtest/table: results: no verdict' <<<'both WELL'
for text in rubbish 5 '"start"' '[]' '{}' '{"end": "bpf/test_one", "seconds": [], "outcomes": [[1]]}' $'\xff\xfe'; do
	told "a line of rubbish: $(printf %q "$text")" 1 'FAIL vmtest/table: results: ' <<<"echo '$text' >\"\$results\"; both"
done

table --kernels 9.1 bpf/ nothing
check 'a name that no test has' 1 "no test whose name contains 'nothing'"
echo 'e2e/test_gone' >>"$scratch/vmtest/tests"
table
check 'a pattern that no test has' 1 'vmtest/tests: there is no test e2e/test_gone'
sed -i '$d' "$scratch/vmtest/tests"

# start MACHINE [ARGUMENT]...: a table in the background; returns when something of it runs.
start() {
	echo "$1" >"$scratch/machine"
	rm -f "$scratch/began"
	"$scratch/vmtest/table" --build "$scratch/build" "${@:2}" >"$scratch/long" 2>&1 </dev/null &
	pid=$!
	for _ in $(seq 300); do
		[ ! -s "$scratch/began" ] || break
		sleep 0.1
	done
}

# ended NAME SIGNAL: it ends at once, with all that it started and all that it was to start.
ended() {
	local begin=$SECONDS
	kill -s "$2" "$pid"
	status=0
	wait "$pid" || status=$?
	mv "$scratch/long" "$scratch/out"
	check "$1" 130 interrupted
	if [ $((SECONDS - begin)) -lt 20 ] && [ "$(wc -l <"$scratch/began")" = 1 ] &&
		! kill -0 "$(cat "$scratch/began")" 2>/dev/null; then
		echo "PASS $1, with all"
	else
		echo "FAIL $1, with all: $((SECONDS - begin)) s, began: $(tr '\n' ' ' <"$scratch/began")"
	fi
}

# shellcheck disable=SC2016 # the machine expands it
long='echo $$ >>"$(dirname "$0")/../began"; exec sleep 600'
start "$long" --jobs 1 bpf/
table
check 'two at once in one build directory' 1 'another one is at work'
ended 'SIGINT ends it' INT
start "$long" --jobs 1 test_runner
ended 'SIGTERM ends a test that boots machines' TERM
