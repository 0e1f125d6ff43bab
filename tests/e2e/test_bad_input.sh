#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Bad input gets a clear error, and loses nothing: the exit status, one message on stderr that quotes
# what was wrong and says what to do, and neither a pin nor a guard that is another than before. All
# of it without a guard, and once more with one in force.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# The policy of every attach here, so that nothing but an error is worth a word on stderr.
attach() {
	attach_to wireguard "$@"
}

# refused NAME STATUS PATTERN COMMAND...
refused() {
	local name=$1 wanted=$2 pattern=$3 status=0 before
	shift 3
	before=$(guards_snapshot)
	"$@" >"$BED/out" 2>"$BED/err" || status=$?
	if [ "$status" != "$wanted" ]; then
		fail "$name$WHEN" "exit status $status, not $wanted"
	elif [ "$(wc -l <"$BED/err")" != 1 ] || [ -s "$BED/out" ]; then
		fail "$name$WHEN" 'not exactly one message, on stderr'
	elif ! grep -q -E -- "$pattern" "$BED/err"; then
		fail "$name$WHEN" "the message does not match $pattern"
	elif [ "$before" != "$(guards_snapshot)" ]; then
		fail "$name$WHEN" 'something changed'
		diff <(echo "$before") <(guards_snapshot) | sed 's/^/  | /'
		return
	else
		pass "$name$WHEN"
		return
	fi
	sed 's/^/  | /' "$BED/out" "$BED/err"
}

# here COMMAND...: in a mount namespace that differs by what $CHANGE says, without a trace afterwards.
here() {
	# shellcheck disable=SC2016 # the inner shell's
	CHANGE=$CHANGE unshare --mount --propagation private -- \
		bash -c 'set -e; eval "$CHANGE"; exec "$@"' - "$@"
}

engine() { # NAME=PID...: a container engine of its own at $BED/engine.sock
	stop engine
	rm -f "$BED/engine.sock" "$BED/engine.sock.new"
	start engine python3 "$BED_SOURCE/tests/e2e/engine.py" "$BED/engine.sock" "$@"
	wait_until 10 test -S "$BED/engine.sock"
}

bed_up
tunnel_up
tunnel_server_up
# No engine of this machine's has a say here.
export DOCKER_HOST=unix://$BED/engine.sock CONTAINER_HOST=unix://$BED/no.sock
start stranger sleep 1000
engine stopped=0 both=0 "elsewhere=${BED_PIDS[stranger]}"

ip netns add bare
ip netns add both
ip netns add fake
ip link add wg0 netns fake type veth peer name fake-host netns host
ip netns add two
bed_wireguard two wg1
bed_wireguard two wg2

cd "$BED"
printf '[Lan]\nAlow = 10.0.0.0/8\n' >unknown.conf
printf '[Lan]\nDns = lan\n\nDns = tunnel\n' >duplicate.conf
printf '[Guard]\nTunnel =\n' >missing.conf
printf '[Lan]\nAllow = 10.0.0.0/8\0\n' >nul.conf
printf '[Lan]\r\nAllow = 10.0.0.1/8\r\n' >crlf-bad.conf
printf '[Lan]\r\nDns = lan\r\nDeny = 10.0.0.0/8\r\n' >crlf.conf
head -c 10000000 /dev/zero | tr '\0' 'x' >line.conf
awk 'BEGIN { for (i = 0; i < 833333; i++) print "# a comment"; print "Alow = 1.1.1.1" }' >long.conf
head -c 40000000 /dev/zero | tr '\0' '\n' >longer.conf
{
	printf '[WireGuard]\n'
	for i in {1..4097}; do
		echo "Endpoint = 203.0.113.9:$i"
	done
} >endpoints.conf
{
	printf '[Lan]\n'
	# Five sets of ports, of which no two are the same.
	awk 'BEGIN { for (i = 1; i <= 5; i++) for (port = i; port <= 65535; port++) print "Allow = 198.51.100." i ":" port }'
} >rules.conf
{
	printf '[Lan]\n'
	seq 0 1048576 | awk '{ printf "Allow = 198.%d.%d.%d\n", 16 + $1 / 65536, $1 / 256 % 256, $1 % 256 }'
} >prefixes.conf

# --- what can be wrong on the command line ------------------------------------------------------------

bad_command_lines() {
	# targets
	refused 'no such namespace' 3 "no target 'wiregaurd'.*did you mean 'wireguard'\\?" attach_to wiregaurd
	refused 'no such namespace, explicitly' 3 "'wiregaurd'.* /run/netns" attach_to netns:wiregaurd
	refused 'no such container' 3 "Docker has no container 'nonesuch'" attach_to docker:nonesuch
	refused 'no engine' 3 'Podman does not run here.*/no.sock.*CONTAINER_HOST' attach_to podman:stopped
	refused 'a name, and an engine that is not asked' 3 "no target 'nonesuch'.*Podman does not run here.*podman.socket" \
		attach_to nonesuch
	refused 'a kind that is misspelt' 3 "no target 'dokcer:x'.*did you mean 'docker:x'\\?" attach_to dokcer:x
	refused 'a kind that there is not' 3 "no target 'container:x'.*docker, podman, netns or pid" attach_to container:x
	refused 'no such process' 3 'no process 999999999' attach_to pid:999999999
	refused 'no such file' 3 "'/run/netns/none' does not exist" attach_to /run/netns/none
	refused 'a file that is no namespace' 3 "'/etc/passwd' is not a network namespace" attach_to /etc/passwd
	refused 'another kind of namespace' 3 "'/proc/self/ns/mnt' is not a network namespace" \
		attach_to /proc/self/ns/mnt
	refused 'a namespace and a container' 2 \
		"'both' is more than one thing: write netns:both .* or docker:both" attach_to both
	refused 'a stopped container' 3 "the container 'stopped' \\(docker\\) is stopped; start it" attach_to stopped
	refused 'a remote engine' 3 "container 'elsewhere' is process ${BED_PIDS[stranger]}, and on this machine" \
		attach_to docker:elsewhere
	refused 'an empty target' 2 'the target is empty' attach_to ''
	refused 'no target' 2 '--netns TARGET, --cgroup DIR, or Target =' eg attach --dns lan

	# the tunnel
	refused 'no tunnel and no endpoint' 2 'no tunnel wg0, and no endpoint.* --endpoint ADDR:PORT or --wg-conf' \
		eg attach --netns bare --dns lan
	refused 'two WireGuard interfaces' 2 'two WireGuard interfaces, wg[12] and wg[12]: .*--tunnel wg' \
		eg attach --netns two --dns lan --accept-device-only
	refused 'a veth called wg0' 1 'wg0 is not WireGuard but a device of kind veth.* --tunnel IFACE' attach_to fake

	# malformed options
	refused 'host bits' 2 "--allow '10.0.0.1/8': .*the network is 10.0.0.0/8" attach --allow 10.0.0.1/8
	refused 'host bits, IPv6' 2 "--deny 'fd00::1/64': .*the network is fd00::/64" attach --deny fd00::1/64
	refused 'a prefix that is too long' 2 "'10.0.0.0/33': .*from 0 to 32" attach --deny 10.0.0.0/33
	refused 'a port' 2 "'10.0.0.1:65536': .*from 1 to 65535" attach --allow 10.0.0.1:65536
	refused 'a protocol' 2 "'10.0.0.1:80/tpc': .*'tpc'" attach --allow 10.0.0.1:80/tpc
	refused 'an endpoint' 2 "--endpoint '203.0.113.9': .*write ADDR:PORT" attach --endpoint 203.0.113.9
	refused 'a guard that guards nothing' 2 "--allow '0.0.0.0/0': .*as good as off" attach --allow 0.0.0.0/0
	refused 'unknown option' 2 "unknown option '--alow'; did you mean --allow\\?" attach --alow 10.0.0.0/8
	refused 'unknown command' 2 "unknown command 'atach'; did you mean 'attach'\\?" "$EG" atach --netns wireguard
	refused 'an operand' 2 "'wireguard': attach takes no operand.*--netns TARGET" eg attach wireguard
	refused 'a name that is too long' 2 "'0000.* is too long, at most 127 bytes: choose another with --name" \
		attach --name "$(printf '%0200d' 0)"
	refused 'an empty name' 2 'needs a name.*--name' attach --name ''
	refused '--try 0' 2 "--try '0'" attach --try 0
	refused '--host for a container' 2 "--host is for the initial network namespace, and '.*' is in another" \
		attach --host
	refused '--wg-conf auto without a process' 2 "--wg-conf FILE" eg attach --netns bare --wg-conf auto
	refused '--wg-conf with a file of something else' 2 "^egressguard attach: /etc/hostname names no Endpoint, " \
		eg attach --netns bare --dns lan --wg-conf /etc/hostname
	refused '--wg-conf without a file' 2 "cannot read none.conf" attach --wg-conf none.conf

	# the policy file
	refused 'an unknown key' 2 "unknown.conf:2:1: .*'Alow'.*Allow" attach --policy unknown.conf
	refused 'a duplicate' 2 'duplicate.conf:4:1: .*Dns.*line 2' eg attach --netns wireguard --policy duplicate.conf
	refused 'a missing value' 2 'missing.conf:2:[0-9]+: Tunnel has no value' attach --policy missing.conf
	refused 'a NUL' 2 'nul.conf:2:[0-9]+: a NUL' attach --policy nul.conf
	refused 'an error among CRLF' 2 'crlf-bad.conf:2:[0-9]+: .*10.0.0.0/8' attach --policy crlf-bad.conf
	refused '10 MB in one line' 2 'line.conf:1:[0-9]+: the line has 10000000 bytes' attach --policy line.conf
	refused '10 MB in lines' 2 'long.conf:[0-9]+:[0-9]+: ' attach --policy long.conf
	refused 'more than is read' 2 'longer.conf: longer than' attach --policy longer.conf
	refused 'no such policy file' 2 'none.conf: No such file' attach --policy none.conf
	refused 'a directory' 2 "$BED: Is a directory" attach --policy "$BED"

	# more than a table holds
	refused 'too many endpoints' 2 '4096|4,096' eg attach --netns wireguard --dns lan --policy endpoints.conf

	# what could be meant, but is not there to detach, show or explain
	refused 'detach: no such guard' 3 "no guard.*'wiregaurd'|there are no guards" eg detach wiregaurd
	refused 'status: no such guard' 3 "no guard.*'wiregaurd'|there are no guards" eg status wiregaurd
}

bad_surroundings() {
	# who may
	refused 'without CAP_NET_ADMIN' 1 'root, or these capabilities:.* CAP_NET_ADMIN|: CAP_NET_ADMIN' \
		setpriv --inh-caps=-net_admin --bounding-set=-net_admin -- "$EG" attach --netns netns:wireguard \
		--dns lan --pin-dir "$EG_PIN_DIR"
	refused 'without CAP_SYS_ADMIN' 1 'root, or these capabilities:.*CAP_SYS_ADMIN' \
		setpriv --inh-caps=-sys_admin --bounding-set=-sys_admin -- "$EG" attach --netns netns:wireguard \
		--dns lan --pin-dir "$EG_PIN_DIR"
	if setpriv --reuid nobody --clear-groups -- test -x "$EG"; then
		refused 'not root' 1 'this needs root, or these capabilities: CAP_BPF CAP_NET_ADMIN' \
			setpriv --reuid nobody --clear-groups --bounding-set=-all -- \
			"$EG" attach --netns netns:wireguard --dns lan --pin-dir "$EG_PIN_DIR"
		refused 'detach, not root' 1 'this needs root: sudo egressguard' \
			setpriv --reuid nobody --clear-groups --bounding-set=-all -- \
			"$EG" detach wireguard --pin-dir "$EG_PIN_DIR"
	else
		skip "not root$WHEN" 'the build is not readable for nobody'
	fi

	# the kernel
	refused 'a kernel without bpf()' 5 'this kernel \(.*\) was built without bpf\(\)' \
		"$BED_SOURCE/tests/e2e/bpf.py" without ENOSYS "$EG" attach --netns netns:wireguard \
		--dns lan --pin-dir "$EG_PIN_DIR"
	refused 'a container that forbids bpf()' 1 'does not let this process use bpf\(\): run as root outside' \
		"$BED_SOURCE/tests/e2e/bpf.py" without EPERM "$EG" attach --netns netns:wireguard \
		--dns lan --pin-dir "$EG_PIN_DIR"

	# the place for guards
	CHANGE='mount -t tmpfs tmpfs /sys/fs/bpf'
	refused 'no bpffs' 1 'no bpffs is mounted at /sys/fs/bpf here.*--pin-dir' here \
		"$EG" attach --netns netns:wireguard --dns lan
	CHANGE=:
	# Whether PID 1 lets itself be looked at depends on the machine.
	refused 'a bpffs that PID 1 does not see' 1 '(not the one that PID 1 sees|/proc/1/root/sys/fs/bpf,).*--pin-dir' here \
		"$EG" attach --netns netns:wireguard --dns lan
	check_equal "nothing was pinned in the usual place$WHEN" "$(find /sys/fs/bpf -maxdepth 1 -name egressguard)" ''
	refused '--pin-dir that is no bpffs' 1 "$BED' is not in a bpffs.*mount -t bpf" \
		"$EG" attach --netns netns:wireguard --dns lan --pin-dir "$BED"
	refused '--pin-dir below what is no bpffs' 1 "$BED' is not in a bpffs" \
		"$EG" attach --netns netns:wireguard --dns lan --pin-dir "$BED/new"
	check "no such directory was made$WHEN" test ! -e "$BED/new"
	refused '--pin-dir in a directory that is not there' 1 "$EG_PIN_DIR/a/b" \
		"$EG" attach --netns netns:wireguard --dns lan --pin-dir "$EG_PIN_DIR/a/b"
	refused '--pin-dir that is a file' 1 "'/etc/passwd' is not a directory" \
		"$EG" attach --netns netns:wireguard --dns lan --pin-dir /etc/passwd
}

# --- without a guard ----------------------------------------------------------------------------------

WHEN=
bad_command_lines
bad_surroundings
refused 'too many rules' 2 '262144|262,144' attach --policy rules.conf
refused 'too many prefixes' 2 '1048576|1,048,576' attach --policy prefixes.conf
check_equal 'nothing was pinned' "$(ls "$EG_PIN_DIR")" ''
capture_start open internet host0 'udp port 9999'
tunnel_down
probe wireguard udp 203.0.113.7:9999 --timeout 200
capture_stop open
check_leaks 'and nothing is held back' open
tunnel_up

# --- with one in force ----------------------------------------------------------------------------------

check 'a policy file with CRLF' eg attach --netns wireguard --policy crlf.conf --endpoint "$BED_ENDPOINT"
check 'is read as it is meant' grep -q '^Deny = 10.0.0.0/8$' <(eg policy show wireguard)
before=$(guards_snapshot)
WHEN=', with a guard in force'
bad_command_lines
bad_surroundings
check_equal 'the guard in force is the same, generation and all' "$(guards_snapshot)" "$before"
check_equal 'and enforces' "$(eg status --json | jq -r '.guards[0].state')" enforcing
tunnel_down
capture_start closed internet host0
probe wireguard udp 203.0.113.7:9999 --timeout 200 || true
probe wireguard tcp '[2001:db8:7::7]:443' --timeout 200 || true
capture_stop closed
check_no_leak 'nothing leaves' closed
tunnel_up
check 'detach' eg detach wireguard

# --- a kernel that lacks something ------------------------------------------------------------------------

WHEN=
CHANGE='mount -t tmpfs tmpfs /sys/kernel/btf'
check 'without BTF: attach' here "$EG" attach --netns wireguard --dns lan --pin-dir "$EG_PIN_DIR"
check 'without BTF: status says what is not covered' \
	grep -q 'not covered: a pending checksum' <(eg status wireguard)
check 'without BTF: features says so' grep -q -i 'btf.*no' <(here "$EG" features)
check_equal 'without BTF: it enforces' "$(eg status --json | jq -r '.guards[0].state')" enforcing
eg detach wireguard >/dev/null
CHANGE='umount -a -t cgroup2'
check 'without cgroup v2: attach' here "$EG" attach --netns wireguard --dns lan --pin-dir "$EG_PIN_DIR"
check 'without cgroup v2: status' here "$EG" status wireguard --check --pin-dir "$EG_PIN_DIR"
check 'without cgroup v2: features says so' grep -q -i 'cgroup.*no' <(here "$EG" features)
check 'without cgroup v2: and that the layer socket is not available' \
	grep -q '^layer .socket. .* no .*no cgroup v2' <(here "$EG" features)
eg detach wireguard >/dev/null
check_equal 'nothing is left' "$(ls "$EG_PIN_DIR")" ''

# --- something else in our place ------------------------------------------------------------------------

place=$EG_PIN_DIR/wireguard
foreign() { # NAME PATTERN
	refused "attach over $1" 1 "'$place'? ?.*$2" attach
	refused "attach --replace over $1" 1 "'$place'? ?.*$2" attach --replace
	refused "detach of $1" 1 "'$place'? ?.*$2" eg detach wireguard
	check_status "status of $1" 1 eg status --check
}
make_map() { # PIN BYTES
	bed_bpftool map create "$1" type array key 4 value "$2" entries 1 name meta
}
mkdir "$place"
foreign 'an empty directory' 'nothing was touched'
make_map "$place/strange" 8
foreign "a directory with another's pins" "nothing was touched"
rm "$place/strange"
make_map "$place/meta" 8
foreign "a directory with another's meta" 'nothing was touched'
rm -r "$place"
make_map "$place" 8
foreign "another's pin" 'is not a directory: nothing was touched; move it away, or .*--pin-dir'
rm "$place"
mkdir "$EG_PIN_DIR/elsewhere"
ln -s elsewhere "$place"
foreign 'a symbolic link' 'nothing was touched'
rm "$place"
rmdir "$EG_PIN_DIR/elsewhere"
mkdir "$EG_PIN_DIR/a"
check 'attach beside what is not ours' attach
check_status 'detach --all beside it fails' 1 eg detach --all
check_equal 'and takes the guard away all the same' "$(guard_places)" a
rmdir "$EG_PIN_DIR/a"

# --- a guard of another version ---------------------------------------------------------------------------

# Identity of ABI 999: what every version has, and then something that this one does not know.
other_version() {
	local i
	local value=(64 72 67 65 e7 03 00 00)
	for i in {9..1000}; do
		value+=("$(printf '%02x' $((i % 256)))")
	done
	mkdir "$place"
	make_map "$place/meta" 1000
	bed_bpftool map update pinned "$place/meta" key 0 0 0 0 value hex "${value[@]}"
}
other_version
make_map "$place/something_new" 8
refused 'attach over another version' 1 "guard 'wireguard' was made by another version.*ABI 999.* --replace" attach
check 'status lists another version' grep -q '^wireguard: degraded: .*another version.*ABI 999' <(eg status)
check_status 'status --check of another version' 1 eg status --check
refused 'policy show of another version' 1 'another version.*999' eg policy --pin-dir "$EG_PIN_DIR" show wireguard
check 'another version is replaced' attach --replace
check_equal 'by a whole guard' "$(eg status --json | jq -r '.guards[0].state')" enforcing
check_equal 'and nothing is left of it' "$(guard_places)" wireguard
check 'detach' eg detach wireguard
other_version
check 'another version can be detached' eg detach wireguard
check_equal 'nothing is left of that' "$(ls "$EG_PIN_DIR")" ''
