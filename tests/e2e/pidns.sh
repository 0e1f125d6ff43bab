# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For tests of containers with `pid: host`: starts the script again as PID 1 of a PID namespace, so that the
# host that such a container sees is the test's own, with its bpffs and its namespaces. Sourced before
# lib.sh.

if [ "${EG_PRIVATE:-}" = 1 ] && [ $$ != 1 ]; then
	exec unshare --pid --fork --kill-child --mount-proc "$0" "$@"
fi
