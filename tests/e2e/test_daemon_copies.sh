#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# A policy file that does not parse when the daemon starts and no guard is there, as after a reboot: the copy
# of what it said last counts, if nobody else can have written it; and where there is none, that is said.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

STATE=$BED/state
COPY=$STATE/wireguard.conf.kept

is_enforcing() {
	[ "$(state wireguard)" = enforcing ]
}
up() { # [VARIABLE=VALUE...]
	start daemon env "$@" "$EG" daemon --config-dir "$CONFIG" --state-dir "$STATE" --pin-dir "$EG_PIN_DIR"
	wait_until 60 logged 'daemon: (warning: )?ready'
}
# Nothing of ours is in the kernel any more, and the container starts anew.
reboot() {
	stop daemon TERM
	eg detach --all >/dev/null
	ip netns delete wireguard
	wait_until 60 bed_no_link host veth-wg
	bed_container ''
}
good() { # LINE...
	policy wireguard 'Target = netns:wireguard' "Endpoint = $BED_ENDPOINT" "$@"
}
spoil() {
	echo 'Alow = 10.0.0.0/8' >>"$CONFIG/wireguard.conf"
}
send() {
	probe wireguard udp 203.0.113.7:443 --timeout 100 >/dev/null 2>&1 || true
}
says() { # LINE: the copy
	grep -q -x -F -- "$1" "$COPY"
}
lan() {
	probe wireguard icmp 192.168.1.10 --timeout 500
}
no_lan() {
	! lan
}

bed_up

# --- it is kept ------------------------------------------------------------------------------------------
good 'Deny = 192.168.1.10'
noted() {
	eg status wireguard --json | jq -e '[.guards[0].notes[] | select(test("policy file did not parse"))] | length == 1'
}
not_noted() {
	eg status wireguard --json | jq -e '[.guards[0].notes[] | select(test("policy file did not parse"))] | length == 0'
}
check 'the daemon starts' up
check 'status has no note on its file' not_noted
check 'a copy is kept' wait_until 30 test -f "$COPY"
check 'word for word' cmp "$COPY" "$CONFIG/wireguard.conf"
check_equal 'for root alone' "$(stat -c '%a %u' "$STATE" "$COPY" | tr '\n' ' ')" '700 0 600 0 '
good 'Deny = 192.168.1.10' 'Deny = 192.168.1.11'
check 'SIGHUP' reload
check 'it follows its file' wait_until 30 says 'Deny = 192.168.1.11'
spoil
check 'SIGHUP with a bad file' reload
sleep 0.5
check 'but not what does not parse' test -z "$(grep Alow "$COPY")"
check 'status notes that the file does not count' wait_until 30 noted
mkdir "$BED/other"
"$EG" daemon --config-dir "$BED/other" --state-dir "$STATE" --pin-dir "$EG_PIN_DIR" 2>"$BED/other.log" &
other=$!
check 'another daemon is told whose they are' wait_until 30 grep -q "is another daemon's: no copies" "$BED/other.log"
check 'and starts' wait_until 30 grep -q 'daemon: ready' "$BED/other.log"
kill "$other"
wait "$other" || true
check 'it is there' test -f "$COPY"

# --- it counts -------------------------------------------------------------------------------------------
reboot
touch "$STATE/nobodys" "$STATE/wireguard.conf.kept-new" "$STATE/gone.conf.kept"
notified_up READY
check 'it starts with a bad file' up NOTIFY_SOCKET="$BED/notify"
capture_start copied internet host0
wait "$LISTENER" || true
check_logged 'it says that the copy counts' "wireguard.conf:[0-9]+:1: .*Alow.*: the copy in $STATE counts"
check 'and has the service manager show it' grep -q -x \
	'STATUS=1 policy file; not as they say.*: wireguard.conf (as its copy says)' "$BED/notified"
check_equal 'its target was guarded when it was ready' "$(state wireguard)" enforcing
check 'status notes that a copy counts' noted
check 'for people, too' grep -q 'policy file did not parse' <<<"$(eg status wireguard)"
denies() {
	eg policy show wireguard | matches '^Deny = 192.168.1.11'
}
check 'by that policy' denies
send
check 'that part of the LAN is refused' wait_until 30 no_lan
capture_stop copied
check_no_leak 'nothing leaves' copied
check 'what a kill left is swept away' test ! -e "$STATE/wireguard.conf.kept-new"
check 'so are copies of files that are gone' test ! -e "$STATE/gone.conf.kept"
check 'and nothing else' test -e "$STATE/nobodys"
good
check 'SIGHUP with the file put right' reload
check 'it is what counts' wait_until 30 lan
check 'and status notes nothing' wait_until 30 not_noted
no_deny() {
	! grep -q Deny "$COPY"
}
check 'and what is kept' wait_until 30 no_deny

# --- what is not trusted, or not there ---------------------------------------------------------------------
open_target() { # NAME PATTERN
	check "$1: it starts" up
	check_logged "$1: why" "$2"
	check_logged "$1: what is open is named" 'its target, netns:wireguard, is OPEN until'
	check_logged "$1: it does not claim to be well" 'ready, but 1 of 1 policy files guard nothing.*wireguard.conf \(netns:wireguard\)'
	capture_start control internet host0
	send
	capture_stop control
	check_leaks "$1: control: without a guard the same is seen" control
}
reboot
spoil
chmod g+w "$COPY"
open_target 'others may have written it' 'others than root could have written it'
reboot
chmod 600 "$COPY"
cp "$COPY" "$BED/elsewhere"
ln -sf "$BED/elsewhere" "$COPY"
open_target 'it is a link' 'nor is its copy any use, .*wireguard.conf.kept: '
reboot
rm "$COPY"
echo 'nonsense' >"$COPY"
open_target 'it does not parse either' 'nor is its copy any use, .*wireguard.conf.kept:1:1: '
reboot
rm "$COPY"
open_target 'there is none' 'and there is no copy of it'
good
check 'the file is put right' reload
check 'guarded' wait_until 30 is_enforcing
check 'and kept' wait_until 30 test -f "$COPY"

reboot
spoil
chmod g+w "$STATE"
open_target 'others may write to the directory' 'is not root.s alone to write to.*no copies of the policy files'
stop daemon TERM
chmod 700 "$STATE"

# --- what a file names, and cannot be read ----------------------------------------------------------------------
policy wireguard 'Target = netns:wireguard' '[WireGuard]' "Config = $BED/wg0.conf"
check 'its wg0.conf is away: it starts' up
check_logged 'why there is no guard' 'wireguard: cannot read .*wg0.conf'
check_logged 'what is open is named' 'ready, but no guard could be made on what is there for wireguard: open'
printf '[Interface]\nAddress = 10.13.13.2/24\n[Peer]\nEndpoint = %s\n' "$BED_ENDPOINT" >"$BED/wg0.conf"
check 'it is there: guarded without being told' wait_until 60 is_enforcing
reboot

# --- a file that is taken away -------------------------------------------------------------------------------
good
check 'started again' up
check 'its copy is there' test -f "$COPY"
rm "$CONFIG/wireguard.conf"
check 'SIGHUP without the file' reload
check 'its copy is gone' test ! -e "$COPY"
