#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The moments in a guard's life: attached again with another policy, its namespace made again, gone or
# only held, the initial namespace and --try, a policy that outgrows it, interfaces that come, others
# who put themselves in front of it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

reason() { # GUARD
	of_guard "$1" .detail
}

# unchanged NAME STATUS PATTERN COMMAND...: this exit status, this message, and the guards are as before.
unchanged() {
	local name=$1 wanted=$2 pattern=$3 status=0 before
	shift 3
	before=$(guards_snapshot)
	"$@" >"$BED/out" 2>&1 || status=$?
	if [ "$status" = "$wanted" ] && grep -q -E -- "$pattern" "$BED/out" &&
		[ "$before" = "$(guards_snapshot)" ]; then
		pass "$name"
	else
		fail "$name" "exit status $status (not $wanted), another message, or a change"
		sed 's/^/  | /' "$BED/out"
		diff <(echo "$before") <(guards_snapshot) | sed 's/^/  | /' || true
	fi
}

blocked() { # NAMESPACE DESTINATION
	! probe "$1" icmp "$2" --timeout 200
}

# A namespace like a container's, on the bridge: NAME, last part of its addresses
container() {
	ip netns add "$1"
	bed_sysctl "$1" ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0 \
		ipv6/conf/default/accept_dad=0
	ip -n "$1" link set lo up
	bed_link host "veth-$1" "$1" eth0
	ip -n host link set "veth-$1" master br0 up
	bed_address "$1" eth0 "172.18.0.$2/16" "fd00:18::$2/64"
	bed_route "$1" default 172.18.0.1 default fd00:18::1
	wait_until 5 probe "$1" icmp 203.0.113.7 --timeout 200
}

no_guard() { # NAME
	! eg status "$1" >/dev/null 2>&1
}
no_pin() { # NAME
	[ ! -e "$EG_PIN_DIR/$1" ]
}

no_pins() {
	[ -z "$(ls "$EG_PIN_DIR")" ]
}

# --- the initial namespace ------------------------------------------------------------------------------
#
# In a PID namespace of its own, where PID 1 is this script: what is initial is told by PID 1, so the
# machine's own namespace is out of sight.

initial() {
	EG_PIN_DIR=/sys/fs/bpf/egressguard-initial
	mkdir "$EG_PIN_DIR"
	check_equal 'this is PID 1' "$BASHPID" 1
	ip link set lo up
	ip netns add beyond
	ip -n beyond link set lo up
	bed_sysctl beyond ipv4/conf/all/rp_filter=0
	ip link add eth0 type veth peer name outside netns beyond
	ip address add 172.18.0.2/16 dev eth0
	ip link set eth0 up
	bed_address beyond outside 172.18.0.1/16
	ip -n beyond address add 203.0.113.7/32 dev lo
	ip route add default via 172.18.0.1
	wait_until 5 "$PROBE" icmp 203.0.113.7 --timeout 200
	check 'initial: it reaches the internet' "$PROBE" icmp 203.0.113.7

	unchanged 'initial: refused by PID' 2 "'pid:1' is in the initial network namespace.*--host.*--try" \
		attach_to pid:1
	unchanged 'initial: refused by path' 2 'in the initial network namespace' attach_to /proc/1/ns/net
	unchanged 'initial: refused by any process there' 2 'in the initial network namespace' \
		attach_to "$BASHPID"
	unchanged 'initial: --host for another' 2 "in another: leave it out" attach_to beyond --host
	check_equal 'nothing was pinned' "$(ls "$EG_PIN_DIR")" ''

	check '--try' attach_to pid:1 --host --name machine --try 5
	tried=$SECONDS
	check 'on trial: it enforces' test -z "$("$PROBE" icmp 203.0.113.7 --timeout 200 | grep answer:)"
	check 'on trial: status says so' grep -q 'on trial: taken away at' <(eg status machine)
	check 'on trial: and what it guards' grep -q 'guards the initial namespace' <(eg status machine)
	unchanged 'on trial: not once more' 2 "'machine' is in force: detach it first" \
		attach_to pid:1 --host --name machine --try 3
	check 'the trial ends' wait_until 8 no_guard machine
	check 'not before its time' test "$((SECONDS - tried))" -ge 1
	check 'and everything is as before' wait_until 5 "$PROBE" icmp 203.0.113.7
	check 'nothing is left' wait_until 5 no_pins

	check '--try again' attach_to pid:1 --host --name machine --try 5
	check 'confirmed by the same command' attach_to pid:1 --host --name machine
	sleep 5.5
	check_equal 'confirmed: it stays' "$(state machine)" enforcing
	check 'confirmed: no more on trial' test -z "$(eg status machine | grep 'on trial')"
	check 'confirmed: it enforces' test -z "$("$PROBE" icmp 203.0.113.7 --timeout 200 | grep answer:)"
	check 'detach' eg detach machine

	check '--try, to be killed' attach_to pid:1 --host --name machine --try 5
	killed=0
	for process in /proc/[0-9]*; do
		if grep -q -s -z -- '--try' "$process/cmdline"; then
			kill -KILL "${process#/proc/}"
			killed=$((killed + 1))
		fi
	done
	check_equal 'there is one process to kill' "$killed" 1
	sleep 5.5
	check_equal 'killed: the guard stays' "$(state machine)" enforcing
	check 'detach' eg detach machine

	# The usual place, here without consequences: this is PID 1's mount namespace.
	EG_PIN_DIR=/sys/fs/bpf/egressguard
	mount -t tmpfs tmpfs /sys/fs/bpf
	check 'bpffs is mounted where it is missing' "$EG" attach --netns pid:1 --host --dns lan \
		--endpoint "$BED_ENDPOINT" --name machine
	check 'for good' test -e "$EG_PIN_DIR/machine/meta"
	check 'status finds it' "$EG" status machine --check
	# shellcheck disable=SC2016 # the inner shell's
	unchanged 'a bpffs that PID 1 does not see' 1 'is not the one that PID 1 sees.*bind .*--pin-dir' \
		unshare --mount --propagation private -- \
		sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' - "$EG" attach --netns beyond --dns lan \
		--endpoint "$BED_ENDPOINT"
	check 'detach from the usual place' "$EG" detach machine
	check 'nothing is left there' no_pins
}

if [ "${1:-}" = initial ]; then
	initial
	exit
fi
unshare --pid --fork --mount --net --kill-child --mount-proc -- "$0" initial || BED_FAILED=1

# --- another policy ---------------------------------------------------------------------------------------

bed_up
check 'attach' attach_to wireguard
since=$(guard_meta wireguard .guarded_since_realtime_ns)
unchanged 'the same policy: nothing changes' 0 'nothing changed' attach_to wireguard
check 'the same by another name of the target' grep -q 'nothing changed' \
	<(attach_to /run/netns/wireguard --name wireguard)
check_equal 'in the same generation' "$(guard_meta wireguard .generation)" 0
attach_to wireguard >/dev/null
check 'narrower: replaced' attach_to wireguard --deny 192.168.1.10
check_equal 'narrower: one more generation' "$(guard_meta wireguard .generation)" 1
check 'narrower: in force' blocked wireguard 192.168.1.10
unchanged 'wider: refused, and says how' 1 '^  \+ .*192\.168\.1\.10' attach_to wireguard
check 'wider: and what to do' grep -q "'wireguard' in force allows less; .*--replace" "$BED/out"
check 'wider: nothing of it in force' blocked wireguard 192.168.1.10
unchanged 'wider in one thing, narrower in another: refused' 1 '\+ .*192\.168\.1\.10' \
	attach_to wireguard --no-lan --allow 192.168.0.0/16
check 'wider, with --replace' attach_to wireguard --replace
check_equal 'wider: one more generation' "$(guard_meta wireguard .generation)" 2
check 'wider: in force' probe wireguard icmp 192.168.1.10
unchanged 'another tunnel is wider' 1 '\+ lets everything out through the tunnel wg9' \
	attach_to wireguard --tunnel wg0 --tunnel wg9
unchanged 'another endpoint is wider' 1 '\+ .*203\.0\.113\.9:9999' \
	attach_to wireguard --endpoint 203.0.113.9:9999
unchanged 'audit is wider' 1 '\+ audit: ' attach_to wireguard --audit
check 'audit, with --replace' attach_to wireguard --audit --replace
check_equal 'audit' "$(state wireguard)" audit
check 'audit: what would be dropped passes' probe wireguard icmp 203.0.113.7
check 'enforcing is narrower' attach_to wireguard
check 'enforcing' blocked wireguard 203.0.113.7
check 'time in audit mode is no guarded time' \
	test "$(guard_meta wireguard .guarded_since_realtime_ns)" -gt "$since"
unchanged 'a second guard on the namespace' 1 \
	"has the guard 'wireguard' already.*--name 'wireguard' --replace.*egressguard detach 'wireguard'" \
	attach_to wireguard --name two
unchanged 'a second guard, by another name of the target' 1 "has the guard 'wireguard' already" \
	attach_to /run/netns/wireguard --name two --replace
check 'detach' eg detach wireguard
check 'and it is open' probe wireguard icmp 203.0.113.7

# --- a policy that outgrows the guard's tables ----------------------------------------------------------

{
	printf '[Lan]\n'
	awk 'BEGIN { for (i = 0; i < 20; i++) printf "Allow = 100.64.%d.0/24\n", i }'
} >"$BED/small.conf"
{
	printf '[Lan]\n'
	awk 'BEGIN { for (i = 0; i < 20; i++) printf "Allow = 100.64.%d.0/24\n", i
		for (i = 0; i < 100000; i++) printf "Allow = 100.%d.%d.%d\n", 65 + i / 65536, i / 256 % 256, i % 256 }'
} >"$BED/large.conf"
check 'attach with 20 prefixes' attach_to wireguard --policy "$BED/small.conf"
since=$(guard_meta wireguard .guarded_since_realtime_ns)
before=$(stat -c %i "$EG_PIN_DIR/wireguard/addr4")
capture_start grown internet host0
start_in wireguard public "$PROBE" udp 203.0.113.7:9999 --count 1000000 --gap 500 --timeout 1
start_in wireguard lan "$PROBE" udp 192.168.1.10:9999 --count 1000000 --gap 500 --timeout 1
sleep 0.3
check 'replaced by one with 100,000' attach_to wireguard --replace --policy "$BED/large.conf"
sleep 0.3
check 'the public probe is still at it' running public
stop public
stop lan
capture_stop grown
check_no_leak 'no gap' grown
check 'it is a new guard' test "$before" != "$(stat -c %i "$EG_PIN_DIR/wireguard/addr4")"
check_equal 'guarded since' "$(guard_meta wireguard .guarded_since_realtime_ns)" "$since"
check_equal 'nothing is left of the old one' "$(guard_places)" wireguard
check 'the new policy is in force' grep -q '^ALLOW rule' <(eg explain wireguard tcp 100.65.3.7:80)
check_equal 'it enforces' "$(state wireguard)" enforcing
check 'back to the small one' attach_to wireguard --policy "$BED/small.conf"
check 'which is in force' grep -q '^DROP private' <(eg explain wireguard tcp 100.65.3.7:80)
check 'detach' eg detach wireguard
start_in wireguard public "$PROBE" udp 203.0.113.7:9999 --count 1000000 --gap 500 --timeout 1
capture_start open internet host0
sleep 0.2
stop public
capture_stop open
check_leaks 'the same probe is seen without a guard' open

# --- interfaces and neighbours ----------------------------------------------------------------------------

check 'attach' attach_to wireguard
ip -n wireguard link add more type veth peer name more-host netns host
check_equal 'an interface that came after' "$(state wireguard)" degraded
check 'is named' grep -q 'more has no .device. layer: attach again' <(reason wireguard)
check 'attach covers it' attach_to wireguard
check_equal 'then all is well' "$(state wireguard)" enforcing
check_equal 'in the same generation' "$(guard_meta wireguard .generation)" 0
ip -n wireguard link delete more
check_equal 'an interface that went is no harm' "$(state wireguard)" enforcing

if "$EG" features --json | jq -e .features.tcx.present >/dev/null; then
	for direction in egress ingress; do
		if [ "$direction" = egress ]; then
			where=(wireguard eth0 device)
		else
			where=(host veth-wg peer)
		fi
		rm -f "$BED/ready"
		start_in "${where[0]}" intruder python3 "$BED_SOURCE/tests/e2e/bpf.py" in-front \
			"${where[1]}" "$direction" "$BED/ready"
		wait_until 10 test -e "$BED/ready"
		check_equal "in front of ${where[2]}" "$(state wireguard)" degraded
		check "in front of ${where[2]}: status says so" \
			grep -q "another program runs before \`${where[2]}\` on eth0" <(reason wireguard)
		check "in front of ${where[2]}: attach warns" \
			grep -q 'another program was attached in front' <(attach_to wireguard 2>&1)
		check_equal "in front of ${where[2]}: the guard is in front again" "$(state wireguard)" enforcing
		check "in front of ${where[2]}: and enforces" blocked wireguard 203.0.113.7
		check_equal "in front of ${where[2]}: nothing is left" "$(guard_places)" wireguard
		stop intruder
	done
else
	skip 'another program in front' 'this kernel has no tcx'
fi
check 'detach' eg detach wireguard

# --- what only `device` can guard -------------------------------------------------------------------------

device_only() { # NAME INTERFACE: in the namespace `alone`, which is gone afterwards
	unchanged "$1: refused" 5 "only the layer 'device' can guard (.*, )?$2 \\(.*NET_ADMIN and NET_RAW.*--accept-device-only" \
		attach_to alone
	check "$1: accepted" attach_to alone --accept-device-only
	check_equal "$1: status says what it holds against" \
		"$(eg status alone --json | jq -r '.guards[0].holds_against')" 'processes without NET_ADMIN and NET_RAW'
	check_equal "$1: which is what was asked" "$(state alone)" enforcing
	check "$1: the same again" attach_to alone
	check 'detach' eg detach alone
	ip netns delete alone
}
ip netns add alone
if ip -n alone tuntap add mode tap tap0 2>/dev/null; then
	device_only 'a tap' tap0
	ip netns add alone
else
	skip 'a tap' 'this kernel has no tun'
fi
# Both ends inside: what goes in stays there, and it is no way out.
ip -n alone link add veth0 type veth peer name veth1
check 'a veth with both ends inside needs no word' attach_to alone
check_equal 'but with nothing else it has no way out to guard' "$(state alone)" degraded
check 'detach' eg detach alone
ip netns delete alone
# The other end in a namespace that only a descriptor holds.
ip netns add alone
ip netns add hidden
ip -n alone link add veth0 type veth peer name veth1 netns hidden
exec 8</run/netns/hidden
ip netns delete hidden
device_only 'a veth whose other end is out of sight' veth0
exec 8<&-
ip netns add alone
if ip -n host link add mac0 link lan0 netns alone type macvlan mode bridge 2>/dev/null; then
	device_only 'a macvlan' mac0
else
	skip 'a macvlan' 'this kernel has no macvlan'
	ip netns delete alone
fi

check_status '--try with --replace is refused' 2 attach_to wireguard --try 60 --replace

# --- a killed first attach ---------------------------------------------------------------------------------

# What such a command leaves where it dies after the links are on.
eg detach --all >/dev/null
check 'attach, to be left half-made' attach_to wireguard
mv "$EG_PIN_DIR/wireguard" "$EG_PIN_DIR/_new-wireguard"
check_equal 'status lists what is half-made' \
	"$(eg status --json | jq -r '.guards[] | .name + " " + .state')" 'wireguard degraded'
check 'attach again' attach_to wireguard
check_equal 'nothing half-made is left' "$(guard_places)" wireguard
check 'detach it' eg detach wireguard

# --- namespaces come and go -------------------------------------------------------------------------------

come_and_go() { # PREFIX of the tests' names
	local layer=$1

	container again 20
	container other 21
	check "$layer: attach" attach_to again
	check "$layer: attach another" attach_to other
	check "$layer: it holds" blocked again 203.0.113.7

	# Nothing holds it any more.
	ip netns delete again
	wait_until 10 bed_no_link host veth-again || true
	check_equal "$layer: a namespace that is gone" "$(state again)" gone
	check_status "$layer: status --check" 1 eg status again --check
	check_equal "$layer: status only looks" "$(state again)" gone
	check "$layer: the next attach clears it away" attach_to other
	check "$layer: its pins are gone" no_pin again

	# Made again under its name.
	container again 20
	check "$layer: attach to one made again" attach_to again
	ip netns delete again
	wait_until 10 bed_no_link host veth-again || true
	container again 20
	check_equal "$layer: another namespace under the name" "$(state again)" unguarded
	check "$layer: status says what to do" grep -q 'another namespace now, without a guard: attach again' \
		<(reason again)
	check "$layer: it is open, as status says" probe again icmp 203.0.113.7
	check "$layer: attach guards it" attach_to again
	check_equal "$layer: status says so" "$(state again)" enforcing
	check "$layer: it holds again" blocked again 203.0.113.7
	check_equal "$layer: nothing is left of the old" "$(guard_places)" $'again\nother'

	# Made again under its name while a process keeps the old one.
	start_in again keeper sleep 1000
	wait_until 5 test "/proc/${BED_PIDS[keeper]}/ns/net" -ef /run/netns/again
	ip netns delete again
	ip -n host link set veth-again name veth-old
	container again 22
	check_equal "$layer: the old one is still in use: unguarded" "$(state again)" unguarded
	unchanged "$layer: its guard is not given up in silence" 1 \
		"guard 'again' is in force on another namespace.*--name.*--replace" attach_to again
	capture_start kept internet host0
	nsenter --net="/proc/${BED_PIDS[keeper]}/ns/net" -- "$PROBE" icmp 203.0.113.7 --timeout 200 >/dev/null || true
	capture_stop kept
	check_no_leak "$layer: the old one is held" kept
	check "$layer: but with --replace" attach_to again --replace
	check_equal "$layer: the new one is guarded" "$(state again)" enforcing
	stop keeper KILL
	wait_until 10 bed_no_link host veth-old || true

	# Gone, and cleared away by a detach of something else.
	ip netns delete again
	wait_until 10 bed_no_link host veth-again || true
	check_equal "$layer: gone once more" "$(state again)" gone
	check "$layer: the next detach clears it away" eg detach other
	check_equal "$layer: nothing is left" "$(ls "$EG_PIN_DIR")" ''

	# Only an open descriptor holds it: no process, no file to be found.
	container held 23
	check "$layer: attach to one that will be held" attach_to held
	exec 9</run/netns/held
	ip netns delete held
	check "$layer: attach elsewhere" attach_to other
	check "$layer: detach elsewhere" eg detach other
	check "$layer: one that is held by a descriptor keeps its guard" test -e "$EG_PIN_DIR/held/meta"
	check_equal "$layer: status does not call it gone" \
		"$(state held)" degraded
	capture_start held internet host0
	nsenter --net=/proc/self/fd/9 -- "$PROBE" icmp 203.0.113.7 --timeout 200 >/dev/null || true
	nsenter --net=/proc/self/fd/9 -- "$PROBE" udp '[2001:db8:7::7]:443' --timeout 200 >/dev/null || true
	capture_stop held
	check_no_leak "$layer: and is held by it" held
	exec 9<&-
	wait_until 10 bed_no_link host veth-held || true
	check "$layer: attach elsewhere" attach_to other
	check "$layer: when it is let go the guard goes" no_pin held
	check "$layer: detach" eg detach other
	ip netns delete other
	wait_until 10 bed_no_link host veth-other || true
}
come_and_go tcx
export EGRESSGUARD_FORCE_CLSACT=1
come_and_go clsact
