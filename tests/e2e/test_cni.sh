#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The CNI plugin, called by the specification (cni.py) behind the plugin that makes interfaces. The
# runtime is in the bed's namespace `host`, its pods are namespaces of their own.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CNI_PLUGINS=
for directory in /usr/lib/cni /usr/libexec/cni /opt/cni/bin; do
	[ ! -x "$directory/bridge" ] || CNI_PLUGINS=$directory
done
if [ -z "$CNI_PLUGINS" ]; then
	skip plugins 'no plugin that makes interfaces is here (containernetworking-plugins)'
	exit 0
fi

mkdir -p "$BED/cni" "$BED/cache"
ln -s "$EG" "$BED/cni/egressguard-cni"

POLICY='{"Endpoint": "203.0.113.9:51820", "Dns": "tunnel"}'

# conflist NAME VERSION SUBNET [KEY VALUE]...: of the plugin that is tested, beside its policy.
conflist() {
	local name=$1 version=$2 subnet=$3 policy=$POLICY
	shift 3
	jq -n --arg name "$name" --arg version "$version" --arg subnet "$subnet" --arg bed "$BED" \
		--argjson policy "$policy" --arg pins "$EG_PIN_DIR" --args '{
		cniVersion: $version, name: $name, plugins: [
			{type: "bridge", bridge: "br-\($name)", isGateway: true, ipam: {
				type: "host-local", dataDir: "\($bed)/ipam", routes: [{dst: "0.0.0.0/0"}],
				ranges: [[{subnet: $subnet}]]}},
			({type: "egressguard-cni", policy: $policy, pinDir: $pins} +
				($ARGS.positional | [range(0; length; 2) as $i | {(.[$i]): (.[$i + 1] | fromjson)}] | add // {}) |
				with_entries(select(.value != null)))]}' "$@" >"$BED/$name.conflist"
}

# runtime COMMAND NETWORK POD [OPTION...]: what it answers is in $BED/answer, and on stderr in
# $BED/answer.err.
runtime() {
	local command=$1 network=$2 pod=$3
	shift 3
	in_ns host python3 "$BED_SOURCE/tests/e2e/cni.py" "$command" "$BED/$network.conflist" \
		--path "$BED/cni:$CNI_PLUGINS" --cache "$BED/cache" --id "id-$pod" \
		--netns "/run/netns/$pod" --ifname eth0 "$@" >"$BED/answer" 2>"$BED/answer.err" || {
		local status=$?
		cat "$BED/answer" "$BED/answer.err"
		return "$status"
	}
}

# refused NAME CODE PATTERN COMMAND NETWORK POD [OPTION...]
refused() {
	local name=$1 code=$2 pattern=$3
	shift 3
	if runtime "$@" >/dev/null; then
		fail "$name" 'it was not refused'
	elif [ "$(jq .code "$BED/answer")" = "$code" ] && jq -r .msg "$BED/answer" | matches -E -- "$pattern"; then
		pass "$name"
	else
		fail "$name" "$(cat "$BED/answer" "$BED/answer.err")"
	fi
}

pod() { # NAME
	bed_namespace "$1"
}

# What must not leave: by the stack, bound to each interface, and past the stack.
try_to_leak() { # POD
	local pod=$1 interface bridge mac
	for interface in $(ip -n "$pod" -o link show type veth | sed -n 's/^[0-9]*: \([^@:]*\).*/\1/p'); do
		probe "$pod" udp 203.0.113.7:443 --timeout 50 --bind "$interface" || true
		bridge=br-one
		[ "$interface" = eth0 ] || bridge=br-two
		mac=$(ip -n host -j link show "$bridge" | jq -r '.[0].address')
		probe "$pod" packet 203.0.113.7:443 --interface "$interface" --mac "$mac" \
			--source "$(ip -n "$pod" -o -4 address show dev "$interface" | sed 's/.*inet \([0-9.]*\).*/\1/')" || true
	done
	probe "$pod" tcp 203.0.113.7:443 --timeout 50 || true
	probe "$pod" icmp 203.0.113.7 --timeout 50 || true
}

# Each DEL takes away guards whose namespace is gone, and nothing else does here.
is_gone() { # GUARD
	runtime DEL one "${1#id-}" && [ ! -e "$EG_PIN_DIR/${1//./_2E}" ]
}

collected() {
	runtime GC status none --valid id-dead,id-web && [ ! -e "$EG_PIN_DIR/id-dead" ]
}

bed_up
for network in 'one 172.21.0.0/16' 'two 172.22.0.0/16'; do
	ip -n internet route add "${network#* }" via 198.51.100.2
done

# --- the positive control ------------------------------------------------------------------------
conflist one 1.0.0 172.21.0.0/16
conflist two 1.0.0 172.22.0.0/16
for network in one two; do
	jq '.plugins |= map(select(.type == "bridge"))' "$BED/$network.conflist" >"$BED/open-$network.conflist"
done
pod open
check 'without the plugin: a pod is made' runtime ADD open-one open
cp "$BED/answer" "$BED/open.answer"
check 'without the plugin: it has another network' runtime ADD open-two open --ifname net1
capture_start control internet host0
try_to_leak open >/dev/null
capture_stop control
check_leaks 'without the plugin: it leaks' control
check 'without the plugin: both interfaces leak' test "$(capture_count control 'src net 172.22.0.0/16')" -ge 2
runtime DEL open-two open --ifname net1
runtime DEL open-one open
ip netns delete open

# --- what it is --------------------------------------------------------------------------------------
check 'VERSION' runtime VERSION one none
check_equal 'VERSION: what it knows' "$(jq -c .supportedVersions "$BED/answer")" \
	'["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]'
check 'it tells a person who calls it what it is' sh -c "'$EG' cni </dev/null | grep -q 'egressguard-cni(8)'"
check_status 'and that this is no way to call it' 1 "$BED/cni/egressguard-cni"

# --- ADD ---------------------------------------------------------------------------------------------
capture_start guarded internet host0
for version in 0.3.1 0.4.0 1.0.0; do
	conflist one "$version" 172.21.0.0/16
	pod "pod-$version"
	check "$version: ADD" runtime ADD one "pod-$version"
	check_equal "$version: it answers what was made" \
		"$(jq -c '[.cniVersion, .interfaces[2].name, .interfaces[2].sandbox, (.ips|length)]' "$BED/answer")" \
		"[\"$version\",\"eth0\",\"/run/netns/pod-$version\",1]"
	check_equal "$version: it enforces" "$(of_guard "id-pod-$version" .state)" enforcing
	try_to_leak "pod-$version" >/dev/null
	check "$version: the LAN works" probe "pod-$version" tcp 192.168.1.10:80
	[ "$version" = 0.3.1 ] || check "$version: CHECK" runtime CHECK one "pod-$version"
	check "$version: DEL" runtime DEL one "pod-$version"
	check_equal "$version: its guard stays while it is there" "$(of_guard "id-pod-$version" .name)" \
		"id-pod-$version"
	check "$version: DEL again" runtime DEL one "pod-$version"
	ip netns delete "pod-$version"
	check "$version: DEL when all is gone" runtime DEL one "pod-$version"
	check "$version: its guard is gone too" wait_until 5 is_gone "id-pod-$version"
done
capture_stop guarded
check_no_leak 'nothing leaves, whatever the version' guarded

# --- a pod of Kubernetes, and its second network -----------------------------------------------------
conflist one 1.0.0 172.21.0.0/16
ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=media;K8S_POD_NAME=web-0'
pod web
capture_start pod internet host0
check 'pod: ADD' runtime ADD one web --args "$ARGS"
check_equal 'pod: its name is the guard' "$(of_guard media.web-0 .state)" enforcing
check 'pod: a second network' runtime ADD two web --args "$ARGS" --ifname net1
check_equal 'pod: one guard' "$(eg status --json | jq '.guards|length')" 1
check_equal 'pod: on both interfaces' \
	"$(of_guard media.web-0 '.layers[]|select(.name=="peer").interfaces|sort|join(" ")')" 'eth0 net1'
try_to_leak web >/dev/null
check 'pod: CHECK of the first' runtime CHECK one web --args "$ARGS"
check 'pod: CHECK of the second' runtime CHECK two web --args "$ARGS" --ifname net1

# Its addresses are sources of the pod's; the first network has no IPv6.
conflist both 1.0.0 172.24.0.0/16
jq '.plugins[0].ipam.ranges += [[{subnet: "fd00:24::/64"}]]' "$BED/both.conflist" >"$BED/both.tmp"
mv "$BED/both.tmp" "$BED/both.conflist"
check 'pod: one more, with IPv6' runtime ADD both web --args "$ARGS" --ifname net3
check 'pod: it is in its addresses' grep -q 'Source = fd00:24::' <(eg policy show media.web-0)
try_to_leak web >/dev/null
check 'pod: DEL of it' runtime DEL both web --args "$ARGS" --ifname net3

# A second network cannot ask for more than the first let.
POLICY='{"Allow": "203.0.113.0/24", "Dns": "tunnel", "Endpoint": "203.0.113.9:51820"}' conflist wide 1.0.0 172.23.0.0/16
eg policy show media.web-0 >"$BED/before"
refused 'a wider policy is refused' 100 "media.web-0. has a guard already, which allows less .*'wide'" ADD wide web --args "$ARGS" --ifname net2
eg policy show media.web-0 >"$BED/after"
check 'and what was in force is' cmp "$BED/before" "$BED/after"
runtime DEL wide web --args "$ARGS" --ifname net2
# The plugin before it had made an interface, which went again with DEL.
check 'its interface is gone' bed_no_link web net2

check 'pod: DEL of the second network' runtime DEL two web --args "$ARGS" --ifname net1
check_equal 'pod: the guard stays' "$(of_guard media.web-0 .state)" enforcing
try_to_leak web >/dev/null
capture_stop pod
check_no_leak 'pod: nothing leaves, by either network, before or after' pod

# Of the same name, while the first one runs.
start_in web idle sleep 600
pod web-again
check 'another pod of that name: ADD' runtime ADD one web-again --args "$ARGS"
check_equal 'another pod of that name: guarded by its id' "$(of_guard id-web-again .state)" enforcing
check_equal 'the first one is, too' "$(of_guard media.web-0 .state)" enforcing
runtime DEL one web-again --args "$ARGS"
ip netns delete web-again

# --- CHECK -------------------------------------------------------------------------------------------
capture_start attached internet host0
attach() {
	eg attach --netns web --name media.web-0 --endpoint "$BED_ENDPOINT" --dns tunnel "$@" >/dev/null 2>&1
}
attach --replace --allow 203.0.113.0/24
refused 'CHECK: it allows more' 101 'allows more than the network configuration: .*203.0.113.0/24' \
	CHECK one web --args "$ARGS"
attach --replace --audit
refused 'CHECK: it only looks on' 101 'audit mode' CHECK one web --args "$ARGS"
attach --replace --deny 192.168.1.7
check 'CHECK: it allows less' runtime CHECK one web --args "$ARGS"
attach --replace
check 'CHECK: as configured' runtime CHECK one web --args "$ARGS"
bed_link host veth-more web more
ip -n web link set more up
ip -n host link set veth-more up
refused 'CHECK: an interface is not covered' 101 'degraded: .*more' CHECK one web --args "$ARGS"
check 'ADD again covers it' runtime ADD two web --args "$ARGS" --ifname net1
check 'CHECK: it is covered' runtime CHECK one web --args "$ARGS"
runtime DEL two web --args "$ARGS" --ifname net1
capture_stop attached
eg detach media.web-0 >/dev/null
refused 'CHECK: there is no guard' 101 'no guard' CHECK one web --args "$ARGS"

# --- what is refused -----------------------------------------------------------------------------------
conflist alone 1.0.0 172.24.0.0/16
alone() { # NAME CODE PATTERN NETNS
	refused "$1" "$2" "$3" ADD alone none --netns "$4" --made "$BED/open.answer"
}
jq '.plugins |= map(select(.type != "bridge"))' "$BED/alone.conflist" >"$BED/alone.new"
mv "$BED/alone.new" "$BED/alone.conflist"
guards_snapshot >"$BED/before"
refused 'first in the list' 7 'no prevResult' ADD alone web
# Where the machine's own cannot even be opened, that is said.
alone "the machine's own network" 4 'CNI_NETNS.*(own network|cannot open|ermission)' /proc/1/ns/net
alone "the runtime's own network" 4 'CNI_NETNS.*its engine' /run/netns/host
alone 'no such namespace' 4 "CNI_NETNS: '/run/netns/none' does not exist" /run/netns/none
alone 'something else' 4 "CNI_NETNS" "$BED"
conflist wire 1.0.0 192.168.1.0/24
jq '.plugins[0] = {type: "macvlan", master: "lan0", ipam: .plugins[0].ipam} |
	.plugins[0].ipam.ranges[0][0].rangeStart = "192.168.1.100"' "$BED/wire.conflist" >"$BED/macvlan.conflist"
jq '.plugins[1].acceptDeviceOnly = true' "$BED/macvlan.conflist" >"$BED/accepted.conflist"
pod wire
if runtime ADD accepted wire >"$BED/accepted" || grep -q egressguard "$BED/accepted"; then
	check_equal 'macvlan, accepted: it enforces' "$(of_guard id-wire .state)" enforcing
	check_equal 'macvlan, accepted: against whom it holds' "$(of_guard id-wire .holds_against)" \
		'processes without NET_ADMIN and NET_RAW'
	runtime DEL accepted wire
	eg detach id-wire >/dev/null
	refused 'macvlan, not accepted' 100 'acceptDeviceOnly' ADD macvlan wire
	runtime DEL macvlan wire
else
	skip macvlan "not here: $(jq -r .msg "$BED/accepted")"
fi
ip netns delete wire
guards_snapshot >"$BED/before"
conflist typo 1.0.0 172.24.0.0/16 policyy '{}'
refused 'a key that there is not' 2 "policyy" ADD typo web --ifname net3
runtime DEL typo web --ifname net3
conflist named 1.0.0 172.24.0.0/16 policy null policyName '"nonesuch"'
refused 'a policy that there is not' 7 'nonesuch' ADD named web --ifname net3
runtime DEL named web --ifname net3
guards_snapshot >"$BED/after"
check 'nothing has changed by that' cmp "$BED/before" "$BED/after"

conflist early 1.0.0 172.24.0.0/16
jq '.plugins |= [{type: "loopback"}, .[1], .[0]]' "$BED/early.conflist" >"$BED/early.new"
mv "$BED/early.new" "$BED/early.conflist"
pod early
refused 'before the plugin that makes the interface' 7 "no interface 'eth0' yet" ADD early early
ip netns delete early
runtime DEL early early

# --- an entry before the plugin that makes the interface ---------------------------------------------------
is_mute() { # POD
	ip -n "$1" rule | matches blackhole && ip -n "$1" -6 rule | matches blackhole
}
for version in 0.4.0 1.0.0; do
	conflist mute "$version" 172.26.0.0/16
	jq '.plugins = [{type: "egressguard-cni", mute: true}] + .plugins' "$BED/mute.conflist" >"$BED/first.conflist"
	jq '.plugins |= .[:1]' "$BED/first.conflist" >"$BED/only.conflist"
	pod mute
	check "mute, $version: ADD" runtime ADD first mute
	check_equal "mute, $version: then it is guarded" "$(of_guard id-mute .state)" enforcing
	check "mute, $version: and mute no longer" eval '! is_mute mute'
	check "mute, $version: the LAN works" probe mute tcp 192.168.1.10:80
	check "mute, $version: CHECK" runtime CHECK first mute
	check "mute, $version: one more network before anything runs: ADD" runtime ADD only mute --ifname net1
	check "mute, $version: it is mute again" is_mute mute
	check "mute, $version: ADD of what seals it" runtime ADD first mute --ifname net1
	check "mute, $version: and mute no longer, again" eval '! is_mute mute'
	check "mute, $version: DEL of that" runtime DEL first mute --ifname net1
	check "mute, $version: DEL" runtime DEL first mute
	ip netns delete mute
	wait_until 5 is_gone id-mute
	pod mute
	check "mute alone, $version: ADD" runtime ADD only mute
	check "mute alone, $version: it is mute" is_mute mute
	refused "mute alone, $version: CHECK" 101 'is mute: no entry .* with a policy' CHECK only mute
	runtime DEL only mute
	ip netns delete mute
done
start_in web runs sleep 900
wait_until 20 test "/proc/${BED_PIDS[runs]}/ns/net" -ef /run/netns/web
check 'mute, a pod that runs: ADD' runtime ADD only web --args "$ARGS" --ifname net3
check 'mute, a pod that runs: it is left as it is' eval '! is_mute web'
stop runs
refused "mute, the runtime's own network" 4 'CNI_NETNS.*its engine' ADD only none --netns /run/netns/host

# --- STATUS and GC -----------------------------------------------------------------------------------------
POLICY='{"Endpoint": "203.0.113.9:51820"}' conflist late 1.1.0 172.25.0.0/16
# That bridge plugin may not know this version.
jq '.plugins |= map(select(.type != "bridge"))' "$BED/late.conflist" >"$BED/status.conflist"
check 'STATUS' runtime STATUS status none
jq --arg pins "$EG_PIN_DIR" '.cniVersion = "1.1.0" | .plugins |= map(select(.type != "bridge") + {pinDir: $pins})' \
	"$BED_SOURCE/dist/egressguard-cni.conflist" >"$BED/example.conflist"
check 'STATUS of the example' runtime STATUS example none
conflist named 1.1.0 172.24.0.0/16 policy null policyName '"nonesuch"'
jq '.plugins |= map(select(.type != "bridge"))' "$BED/named.conflist" >"$BED/unready.conflist"
refused 'STATUS: a policy that there is not' 50 'nonesuch' STATUS unready none
pod dead
runtime ADD one web --args "$ARGS" --ifname eth7
runtime ADD one dead
check 'GC' runtime GC status none --valid ''
check_equal 'GC: what lives is guarded, whatever the runtime knows' \
	"$(of_guard media.web-0 .state) $(of_guard id-dead .state)" 'enforcing enforcing'
ip netns delete dead
# The kernel takes a moment to be done with it.
check 'GC: what is gone has no guard' wait_until 5 collected
check_equal 'GC: and the other one stays' "$(of_guard media.web-0 .state)" enforcing
