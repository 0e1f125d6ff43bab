#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guard on a cgroup where net_cls or net_prio of cgroup v1 comes into use. Until Linux 5.15 the kernel
# then takes each new socket for the root's: that must be told, and never called guarded. It lasts
# until the machine is started again, so this is for machines that are thrown away.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROOT=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
CGROUP=$ROOT/eg-v1-$$
PUBLIC=203.0.113.7

if [ -z "${EG_VM:-}" ]; then
	skip 'cgroup v1 beside' 'it would change this machine until it is started again'
	exit 0
fi
mkdir "$CGROUP"
bed_at_exit() {
	umount "$BED/v1" 2>/dev/null
	wait_until 5 rmdir "$CGROUP"
}

from_cgroup() {
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$CGROUP" "$PROBE" "$@" --netns /run/netns/wireguard
}
attach_it() {
	eg attach --cgroup "$CGROUP" --name v1 --endpoint "$BED_ENDPOINT" --dns lan "$@"
}
held() {
	! from_cgroup udp "$PUBLIC:443" --timeout 500
}
before_5_15() {
	[ "$(printf '%s\n5.15\n' "$(uname -r)" | sort -V | head -n 1)" != 5.15 ]
}

bed_up
check 'without a guard it arrives' wait_until 5 from_cgroup udp "$PUBLIC:443" --timeout 500
check 'attach' attach_it
check_equal 'it enforces' "$(state v1)" enforcing
check 'it holds' held

mkdir "$BED/v1"
if ! mount -t cgroup -o net_cls none "$BED/v1" 2>"$BED/out" && ! mount -t cgroup -o net_prio none "$BED/v1" 2>>"$BED/out"; then
	skip 'cgroup v1 beside' "this kernel has neither: $(head -n 1 "$BED/out")"
	exit 0
fi
check 'mounted alone it does nothing: it enforces' test "$(state v1)" = enforcing
check 'and holds' held
mkdir "$BED/v1/one"
if [ -e "$BED/v1/one/net_cls.classid" ]; then
	echo 0x10001 >"$BED/v1/one/net_cls.classid"
else
	echo 'lo 1' >"$BED/v1/one/net_prio.ifpriomap"
fi
if before_5_15; then
	check_equal 'in use: degraded' "$(state v1)" degraded
	check_status 'in use: status --check' 1 eg status v1 --check
	check 'in use: and says why' grep -q 'net_cls or net_prio of cgroup v1 is in use' <(eg status v1)
	check 'in use: which is true: it leaves' from_cgroup udp "$PUBLIC:443" --timeout 500
	check_status 'in use: attach refuses' 5 attach_it
	check 'in use: detach' eg detach v1
	check_status 'in use: a first attach, too' 5 attach_it
	check_equal 'in use: and leaves nothing' "$(ls "$EG_PIN_DIR")" ''
	check 'a guard on the namespace' eg attach --netns wireguard --endpoint "$BED_ENDPOINT" --dns lan
	check 'holds all the same' held
	check 'detach' eg detach wireguard
else
	check_equal 'in use: it enforces' "$(state v1)" enforcing
	check 'in use: and holds' held
	check 'in use: attach' attach_it
	check 'in use: detach' eg detach v1
fi
rmdir "$BED/v1/one"
