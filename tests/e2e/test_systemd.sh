#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 180
# The unit as it is installed, with a real systemd, as PID 1 of its own namespaces: it is ready when what is
# there is guarded, works within what the unit leaves it, reloads, is restarted when it is killed or hangs; what
# it says is in a real journal, by fields; stopped, its guards stay in force.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for SYSTEMD in /usr/lib/systemd/systemd /lib/systemd/systemd none; do
	[ ! -x "$SYSTEMD" ] || break
done
# By that of its root, wherever it is mounted.
CGROUP2=$(awk '$4 == "/" && / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
if [ "$SYSTEMD" = none ] || [ -z "$CGROUP2" ]; then
	skip systemd 'no systemd here, or no cgroup v2'
	exit 0
fi
CGROUP=$CGROUP2/${BED##*/}
# Where the daemon has them: in the bpffs that PID 1 sees, which is this test's.
export EG_PIN_DIR=/sys/fs/bpf/egressguard

bed_at_exit() {
	[ -z "${BED_PIDS[systemd]:-}" ] || stop systemd KILL
	# Its last processes go with their namespace, and these with them.
	wait_until 10 remove_cgroups || echo "left: $(find "$CGROUP" -type d)"
}
remove_cgroups() {
	[ ! -d "$CGROUP" ] || find "$CGROUP" -depth -type d -exec rmdir {} +
}

# --- its surroundings ------------------------------------------------------------------------------------
# Its own /etc and /var/lib, with the unit of `make install` and as few others as it takes; its own /run.
bed_up
units=$BED/etc/units
cp -a /etc "$BED/etc"
rm -rf "$BED"/etc/{egressguard,systemd}
mkdir -p "$units" "$BED/etc/egressguard" "$BED/run/netns" "$BED/lib"
# Not below /tmp, where $BUILD may be: it has a /tmp of its own.
install -D "$EG" "$BED/etc/bin/egressguard"
sed 's|@BINDIR@|/etc/bin|' "$BED_SOURCE/dist/egressguard.service" >"$units/egressguard.service"
unit() { # NAME LINE...
	local name=$1
	shift
	printf '%s\n' '[Unit]' 'DefaultDependencies=no' "$@" >"$units/$name"
}
for target in sysinit basic multi-user local-fs sockets shutdown; do
	unit "$target.target"
done
printf '%s\n' 'Wants=systemd-journald.service egressguard.service' >>"$units/multi-user.target"
unit systemd-journald.socket '[Socket]' 'ListenDatagram=/run/systemd/journal/socket' \
	'ListenStream=/run/systemd/journal/stdout' 'PassCredentials=yes' 'PassSecurity=yes'
unit systemd-journald.service 'Requires=systemd-journald.socket' 'After=systemd-journald.socket' \
	'Before=sysinit.target' '[Service]' 'Type=notify' "ExecStart=${SYSTEMD%/*}/systemd-journald" \
	'Sockets=systemd-journald.socket' 'RuntimeDirectory=systemd/journal' 'StandardOutput=null'
mkdir "$units/egressguard.service.d"
printf '%s\n' '[Unit]' 'After=systemd-journald.service' '[Service]' "WatchdogSec=$((4 * ${EG_SLOW:-1}))" \
	>"$units/egressguard.service.d/test.conf"
policy() { # LINE...
	printf '%s\n' '[Guard]' 'Target = netns:wireguard' '[WireGuard]' "Endpoint = $BED_ENDPOINT" '[Lan]' 'Dns = lan' "$@" \
		>"$BED/etc/egressguard/wireguard.conf"
}
policy
echo 0123456789abcdef0123456789abcdef >"$BED/etc/machine-id"

cat >"$BED/boot" <<'BOOT'
#!/bin/bash
set -e
bed=$1 systemd=$2
mount -t proc proc /proc
# It would set what is the machine's.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$bed/etc" /etc
mount --bind "$bed/lib" /var/lib
mount -t tmpfs -o mode=755 tmpfs "$bed/run"
mkdir "$bed/run/netns"
mount --rbind /run/netns "$bed/run/netns"
mount --rbind "$bed/run" /run
exec env -i PATH="$PATH" container=other SYSTEMD_UNIT_PATH=/etc/units "$systemd" --system \
	--unit=multi-user.target --log-target=console --show-status=no
BOOT
mkdir "$CGROUP"
# shellcheck disable=SC2016 # the inner shell's
start systemd bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --cgroup --pid --mount --ipc --uts --fork \
	--kill-child -- bash "$2/boot" "$2" "$3"' - "$CGROUP" "$BED" "$SYSTEMD"
pid1() {
	PID1=$(pgrep -P "${BED_PIDS[systemd]}") && [ -d "/proc/$PID1/root/run/systemd/system" ]
}
inside() {
	nsenter --target "$PID1" --pid --mount -- "$@"
}
# As whoever is on that machine.
egressguard() {
	inside /etc/bin/egressguard "$@"
}
answers() {
	pid1 && inside systemctl show egressguard.service
}
if ! wait_until 30 answers; then
	sed 's/^/  | /' "$BED/systemd.log"
	skip systemd 'it does not run in namespaces here'
	exit 0
fi
of_unit() { # PROPERTY
	inside systemctl show --property "$1" --value egressguard.service
}
is_active() {
	[ "$(of_unit ActiveState)" = active ]
}
layer() { # NAME
	egressguard status wireguard --json | jq -r ".guards[0].layers[] | select(.name == \"$1\") | .state"
}
enforces() {
	egressguard status wireguard --check && [ "$(layer netns)" = attached ]
}
show() {
	inside systemctl status --no-pager --full egressguard.service || true
	inside journalctl --no-pager --quiet || true
	cat "$BED/systemd.log"
} 2>&1

# --- it starts -------------------------------------------------------------------------------------------
check 'it becomes active' wait_until 60 is_active
is_active || show
check_equal 'it was ready when what is there was guarded' "$(egressguard status wireguard --json | jq -r '.guards[0].state')" enforcing
check 'with the layer netns' wait_until 20 enforces
check_equal 'it has not been started twice' "$(of_unit NRestarts)" 0
check 'it has what the unit leaves it, and no more' test \
	"$(sed -n 's/^CapBnd:\t//p' "/proc/$PID1/root/proc/$(of_unit MainPID)/status")" = \
	"$(sed -n 's/^CapPrm:\t//p' "/proc/$PID1/root/proc/$(of_unit MainPID)/status")"

check_equal 'its system calls are filtered' "$(sed -n 's/^Seccomp:\t//p' "/proc/$PID1/root/proc/$(of_unit MainPID)/status")" 2

# --- an interface more, from within that ---------------------------------------------------------------------
ip link add more0 netns host type veth peer name eth1 netns wireguard
covered() {
	egressguard status wireguard --json | jq -e '[.guards[0].layers[] | select(.name == "device" or .name == "peer") |
		select(.interfaces | index("eth1"))] | length == 2'
}
check 'an interface that appears is covered' wait_until 20 covered

# --- the journal -----------------------------------------------------------------------------------------
field() { # FIELD: of what was said of the guard
	inside journalctl --quiet --output json EGRESSGUARD_GUARD=wireguard | jq -r "select(.MESSAGE | test(\"guarded: \")).$1" |
		head -n 1
}
said_in_journal() {
	inside journalctl --quiet --output cat EGRESSGUARD_GUARD=wireguard "${@:2}" | matches -E "$1"
}
check 'what it says of a guard is found by the guard' wait_until 20 said_in_journal 'wireguard: guarded: netns:wireguard'
check_equal 'with its priority' "$(field PRIORITY)" 5
check_equal 'its identifier' "$(field SYSLOG_IDENTIFIER)" egressguard
check_equal 'and the unit' "$(field _SYSTEMD_UNIT)" egressguard.service

# --- it reloads --------------------------------------------------------------------------------------------
policy 'Deny = 192.168.1.1'
check 'systemctl reload' inside systemctl reload egressguard.service
denies() {
	egressguard policy show wireguard | matches '^Deny = 192.168.1.1'
}
check 'the new policy is in force' wait_until 20 denies
policy 'Deny = nonsense'
inside systemctl reload egressguard.service
check 'a bad file is said as an error' wait_until 20 said_in_journal 'wireguard.conf:[0-9]+:[0-9]+:' PRIORITY=3
policy 'Deny = 192.168.1.1'

# --- by hand ------------------------------------------------------------------------------------------------
attach_by_hand() {
	egressguard attach --netns netns:wireguard --endpoint "$BED_ENDPOINT" --dns lan --replace "$@" >"$BED/attach.out" 2>&1
}
check 'a policy by hand' attach_by_hand --deny 192.168.1.1 --deny 192.168.1.2
check 'attach says how long that lasts, and where to change it' grep -q -F \
	"the daemon keeps 'wireguard' by /etc/egressguard/wireguard.conf: " "$BED/attach.out"
inside systemctl reload egressguard.service
not_by_hand() {
	denies && ! egressguard policy show wireguard | matches '^Deny = 192.168.1.2'
}
check 'the file.s is in force again' wait_until 20 not_by_hand

# --- it is taken away -------------------------------------------------------------------------------------
egressguard detach wireguard >"$BED/detach.out" 2>&1
check 'detach says that the daemon puts it back, and what to do' grep -q -F \
	"the daemon puts 'wireguard' back, as /etc/egressguard/wireguard.conf is there" "$BED/detach.out"
check 'and it does' wait_until 30 enforces

# --- it is killed, and hangs --------------------------------------------------------------------------------
restarted() { # TIMES
	[ "$(of_unit NRestarts)" -ge "$1" ] && is_active
}
capture_start killed internet host0
inside systemctl kill --signal=KILL egressguard.service
probe wireguard udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
check 'killed: it is started again' wait_until 30 restarted 1
check 'and holds its guard' wait_until 30 enforces
inside systemctl kill --kill-whom=main --signal=STOP egressguard.service
check 'it hangs: it is started again' wait_until 60 restarted 2
check 'and holds its guard' wait_until 30 enforces
inside systemctl stop egressguard.service
check_equal 'stopped, in order' "$(of_unit Result)" success
probe wireguard udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
capture_stop killed
check_no_leak 'nothing in the clear meanwhile, and after it was stopped' killed
check_equal 'its guard is in force' "$(egressguard status wireguard --json | jq -r '.guards[0].state')" enforcing

# --- the positive control ------------------------------------------------------------------------------------
egressguard detach wireguard >/dev/null
capture_start control internet host0
probe wireguard udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
capture_stop control
check_leaks 'without the guard it is seen' control

# --- started again, as after a reboot, with a file that was spoilt ------------------------------------------
check 'what the file said is kept where systemd lets it be' grep -q '^Deny = 192.168.1.1' \
	"$BED/lib/egressguard/wireguard.conf.kept"
check_equal 'for root alone' "$(stat -c '%a %u' "$BED/lib/egressguard")" '700 0'
policy 'Deny = nonsense'
check 'it starts' inside systemctl start egressguard.service
check_equal 'the target is guarded' "$(egressguard status wireguard --json | jq -r '.guards[0].state')" enforcing
check 'as its copy says' denies
check_equal 'systemctl status says so' "$(of_unit StatusText)" \
	'1 policy file; not as they say, as they do not parse: wireguard.conf (as its copy says)'
inside systemctl stop egressguard.service
egressguard detach wireguard >/dev/null
