#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# check.sh: formatting, static analysis, shell scripts, manual pages, and the rules of the house. Says
# what is wrong, goes on to the next, and fails at the end. Called by `make check`, which sets BUILD,
# CHECK_CFLAGS and JOBS.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# Versions of clang-format disagree with each other: this one decides.
FORMAT_VERSION=14

failed=0
problem() {
	failed=1
	echo "check: $*"
}

tool() { # the command, or its newest versioned name
	command -v "$1" || printf '%s\n' /usr/bin/"$1"-[0-9]* | sort -V | tail -n 1
}

if git rev-parse --git-dir >/dev/null 2>&1; then
	mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done)
else
	mapfile -t files < <(find . -type f -not -path './.git/*' -not -path './build*' |
		sed 's|^\./||')
fi

matching() { # PATTERN: files whose path matches it, one a line
	printf '%s\n' "${files[@]}" | grep -E "$1" || true
}

of_shell() {
	printf '%s\0' "${files[@]}" | xargs -0 awk '
		FNR == 1 && (/^#!.*[\/ ](ba)?sh$/ || /shellcheck shell=/) { print FILENAME }
		FNR == 2 && /shellcheck shell=/ { print FILENAME }'
}

of_python() {
	printf '%s\0' "${files[@]}" | xargs -0 awk 'FNR == 1 && /^#!.*python3$/ { print FILENAME }'
}

check_format() {
	local format version
	format=$(tool clang-format)
	version=$("$format" --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
	if [ "$version" != "$FORMAT_VERSION" ]; then
		echo "check: formatting not checked: that takes clang-format $FORMAT_VERSION, not $version"
		return
	fi
	matching '\.[ch]$' | xargs -r "$format" --dry-run -Werror || problem 'run clang-format -i'
}

check_tidy() {
	local tidy
	tidy=$(tool clang-tidy)
	export tidy
	# shellcheck disable=SC2016 # the inner shell's
	matching '^user/.*\.c$' | xargs -r -P "${JOBS:-1}" -I FILE sh -c '
		output=$(eval "$tidy --quiet FILE -- $CHECK_CFLAGS -Ibpf -I$BUILD/skel" 2>&1) && exit
		printf "%s\n" "$output"
		exit 1' || problem 'clang-tidy found something'
}

check_shell() {
	of_shell | xargs -r shellcheck -x || problem 'shellcheck found something'
}

check_python() {
	local file
	while read -r file; do
		python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file" ||
			problem "$file does not compile"
	done < <(of_python)
}

check_manual() {
	local output
	output=$(matching '^doc/.*\.[0-9]$' | xargs -r mandoc -T lint -W warning 2>&1) ||
		problem "mandoc: $output"
}

# Everything but licences and what tests read as data, where a comment would change the meaning.
check_license() {
	local file
	while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' ||
			problem "$file: no SPDX line"
	done < <(matching . | grep -vE '^(COPYING|VERSION)$|/(golden|corpus)/|\.(json|conflist)$')
}

# $1: paths; $2: what they may not include; $3: why
forbid_include() {
	local found
	found=$(matching "$1" | xargs -r grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]+$2")
	[ -z "$found" ] || problem "$3:"$'\n'"$found"
}

check_layers() {
	forbid_include '^user/policy/' '("(kern|net|out)/|"[a-z_]*\.skel\.h|<(bpf|libmnl|curl|jansson))' \
		'policy/ is pure'
	forbid_include '^user/verify/' '("(policy|kern|net|out)/|"[a-z_]*\.skel\.h|<(bpf|libmnl|curl|jansson|sys/socket))' \
		'verify/ is pure'
	forbid_include '^user/doctor/' '("(kern|out)/|"[a-z_]*\.skel\.h|<(bpf|libmnl|curl|jansson|sys/))' \
		'doctor/ is pure, and takes types alone from net/'
	forbid_include '^user/daemon/' '("(kern|net|out)/|"[a-z_]*\.skel\.h|<(bpf|libmnl|curl|jansson|sys/))' \
		'daemon/ is pure'
	forbid_include '^user/util/' '"(policy|kern|net|out)/' 'util/ is below all others'
	forbid_include '^user/(net|out)/' '"kern/' 'net/ and out/ do not know kern/'
	forbid_include '^user/out/' '"net/' 'out/ does not know net/'
	forbid_include '^user/([^/]*\.[ch]$|(policy|verify|net|out|util)/)' '(<bpf/|"(bpf/|skel/|[a-z_]*\.skel\.h))' \
		'kern/ alone includes libbpf'
	forbid_include '^include/' '<(std(io|lib)|string|unistd|errno|bpf/)' \
		'include/ is shared with the kernel: no libc, no helper'
	forbid_include '^(bpf|include)/' '"(user|policy|kern|net|out|util)/' \
		'bpf/ and include/ do not know user space'
}

# The completion repeats one list of the ABI: the reasons for a drop.
check_completion() {
	diff <(sed -n 's/^\tX([A-Z0-9_]*, "\([a-z-]*\)", DROP.*/\1/p' include/eg_abi.h) \
		<(sed -n "/local reasons='/,/'\$/p" doc/egressguard.bash |
			grep -oE '[a-z]+(-[a-z]+)*' | grep -vxE 'local|reasons') ||
		problem 'doc/egressguard.bash: its reasons are not those of include/eg_abi.h'
}

# findings_of HEADER PAGE: the manual lists each finding, with its severity.
findings_of() {
	diff <(tr -d '\\\n' <"$1" | grep -oE 'X\([A-Z0-9_]+,[[:space:]]*"[a-z0-9-]+",[[:space:]]*[A-Z]+' |
		sed -E 's/.*"(.*)",[[:space:]]*(.*)/\1 \L\2/') \
		<(sed -nE 's/^\.It Cm ([a-z0-9-]+) Pq (error|warning|note)$/\1 \2/p' "$2") ||
		problem "$2: its findings are not those of $1"
}

check_findings() {
	findings_of user/policy/wgcheck.h doc/egressguard-wgconf.8
	findings_of user/doctor/judge.h doc/egressguard-doctor.8
}

# What people read of the state table is what the test walks through.
check_states() {
	local output
	output=$(scripts/states-doc.py --check) || problem "$output"
}

# What README says of speed is what was measured.
check_bench() {
	local output
	output=$(scripts/bench-doc.py --check) || problem "$output"
}

check_format
check_tidy
check_shell
check_python
check_manual
check_license
check_layers
check_completion
check_findings
check_states
check_bench
[ "$failed" != 0 ] || echo 'check: nothing to complain about'
exit "$failed"
