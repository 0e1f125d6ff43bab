#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 120
# The OCI runtime by hand, with runc and crun: annotations, interfaces that come between
# `create` and `start`, what is refused.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"
# shellcheck source=tests/e2e/start.sh
. "$(dirname "$0")/start.sh"

bed_up
engine_root
policy app 'Target = docker:app' 'Endpoint = 203.0.113.9:51820'
template any
options=(--pin-dir "$EG_PIN_DIR" --config-dir "$CONFIG")

# bundle NAMESPACE FILTER: in $BED/bundle, a container of that namespace (none: of the machine's own) whose
# config.json is what the filter makes of it. It sends when it starts, and on for a moment.
bundle() {
	mkdir -p "$BED/bundle"
	[ -e "$BED/bundle/spec.json" ] || (cd "$BED/bundle" && runc spec && mv config.json spec.json)
	jq --arg root "$BED/root" --arg netns "${1:+/run/netns/$1}" --arg cgroup "/$ENGINE_CGROUP/oci" '
		.root.path = $root | .process.terminal = false | .process.args = ["/bin/first"] |
		.process.rlimits = [] | .linux.cgroupsPath = $cgroup | del(.linux.resources, .linux.maskedPaths) |
		.linux.namespaces |= (map(select(.type != "network")) +
			if $netns == "" then [] else [{type: "network", path: $netns}] end) |
		(.process.capabilities[]) |= (. + ["CAP_NET_RAW"] | unique) | '"${2:-.}" \
		"$BED/bundle/spec.json" >"$BED/bundle/config.json"
}
# container NAMESPACE: what an engine makes before it creates a container.
container() {
	bed_namespace "$1"
}
# connected NAMESPACE: and what gives it a network.
connected() {
	bed_link host veth-oci "$1" eth0
	ip -n host link set veth-oci master br0 up
	bed_address "$1" eth0 172.18.0.7/16 fd00:18::7/64
	bed_route "$1" default 172.18.0.1 default fd00:18::1
	wait_until 10 in_ns "$1" ping -c 1 -W 1 172.18.0.1 >/dev/null
}
gone() {
	"$OCI" "${globals[@]}" delete --force oci >/dev/null 2>&1 || true
	# With the namespace it would go some time later.
	ip -n host link delete veth-oci 2>/dev/null || true
	ip netns delete oci 2>/dev/null || true
}
ours() { # ARGUMENT...: before the runtime's
	in_ns host "$EG" oci-runtime --runtime "$OCI" "${options[@]}" "$@"
}
create() { # ARGUMENT...: of ours
	ours "$@" "${globals[@]}" --log "$BED/runtime.log" --log-format json \
		create --bundle "$BED/bundle" oci >"$BED/said" 2>&1
}
created() {
	create || {
		cat "$BED/said" "$BED/runtime.log"
		return 1
	}
}
not_created() {
	! create "$@"
}
no_container() {
	! "$OCI" "${globals[@]}" state oci
}
begin() { # COMMAND...: and waits until it has sent
	"$@" "${globals[@]}" start oci >>"$BED/said" 2>&1 &&
		wait_until 10 grep -q '^sent ' "$BED/said"
}
guards() {
	guard_places | grep -c -v '^_' || true
}

for OCI in runc crun; do
	globals=(--root "$BED/runtime")
	# It refuses a machine that has cgroups of both versions; the mounts are this script's own.
	if [ "$OCI" = crun ]; then
		globals+=(--cgroup-manager disabled)
		! mountpoint -q /sys/fs/cgroup/unified || umount -l /sys/fs/cgroup/unified
	fi
	# --- an interface after `create`, as newer engines make it ------------------------------------------
	for second_look in without with; do
		bundle oci '.annotations["egressguard.policy"] = "any"'
		container oci
		check "$OCI: create" created
		check_equal "$OCI: created: there is a guard" "$(guards)" 1
		connected oci
		capture_start "$second_look" internet host0
		if [ "$second_look" = with ]; then
			begin ours
		else
			begin "$OCI"
		fi
		check "$OCI: the container has sent" grep -q '^sent ' "$BED/said"
		capture_stop "$second_look"
		if [ "$second_look" = with ]; then
			check_no_leak "$OCI: an interface after create: nothing in the clear" with
		else
			check_leaks "$OCI: an interface after create, and no second look: it leaks" without
		fi
		gone
	done

	# --- an interface before, and a policy by each way -----------------------------------------------------
	for way in '.annotations["egressguard.policy"] = "app"' '.process.env += ["EGRESSGUARD_POLICY=app"]' \
		'.annotations["egressguard.policy"] = "app" | .process.env += ["EGRESSGUARD_POLICY=nobody"]' \
		'.hooks.createRuntime = [{path: "/bin/cat"}] | .process.env += ["EGRESSGUARD_POLICY=app"]'; do
		bundle oci "$way"
		container oci
		connected oci
		capture_start way internet host0
		check "$OCI: $way" created
		check_equal 'the guard of that policy' "$(of_guard app .target)" docker:app
		begin ours
		capture_stop way
		check_no_leak "$OCI: nothing in the clear" way
		gone
	done
	bundle oci '.annotations["egressguard.policy"] = "any" | .annotations["egressguard.name"] = "a name"'
	container oci
	check "$OCI: another name" create
	check_equal 'is the guard.s' "$(of_guard 'a name' .mode)" enforce
	gone

	# --- what is refused ------------------------------------------------------------------------------------
	refuse() { # NAME PATTERN FILTER [ARGUMENT...]
		local name=$1 pattern=$2
		# What a hook says, crun throws away.
		[ "$OCI" = runc ] || pattern="$pattern|error executing hook"
		bundle "${NETNS-oci}" "$3"
		shift 3
		: >"$BED/runtime.log"
		container oci
		check "$OCI: $name: not created" not_created "$@"
		check 'and says why' grep -q -E -- "$pattern" "$BED/said"
		check 'to its caller, too' grep -q -E -- "$pattern" "$BED/runtime.log"
		check 'there is no container' no_container
		gone
	}
	refuse 'no policy' 'names no policy' .
	refuse 'no such policy' "there is no policy 'nobody'" '.annotations["egressguard.policy"] = "nobody"'
	refuse "the name of another file's guard" "cannot be called 'app'" \
		'.annotations["egressguard.policy"] = "any" | .annotations["egressguard.name"] = "app"'
	NETNS='' refuse "the engine's network" 'the network namespace of its engine' . --policy any
	refuse 'a misspelt option' 'the option ..?--polcy' . --polcy any
	refuse 'two lists of hooks' 'in other letters' '.Hooks = {} | .hooks = {}' --policy any
	bundle oci .
	container oci
	check "$OCI: no policy, and --optional: created" create --optional
	check_equal 'without a guard' "$(jq -c .hooks "$BED/bundle/config.json")" null
	gone
done

bundle oci .
cp "$BED/bundle/config.json" "$BED/before.json"
OCI=runc
ln -s "$EG" "$BED/egressguard-runtime"
is_runc() {
	"$BED/egressguard-runtime" --runtime runc --version | matches '^runc version'
}
refused() { # PATTERN ARGUMENT...
	local pattern=$1
	shift
	if ours --policy any "$@" >"$BED/said" 2>&1; then
		fail "refused: $pattern"
	else
		check "refused: $pattern" grep -q -- "$pattern" "$BED/said"
	fi
}
refused 'the option .--new' --new create --bundle "$BED/bundle" oci
refused 'the command .begin' begin --bundle "$BED/bundle" oci
refused 'the option .--new' create --new --bundle="$BED/bundle" oci
refused 'from a checkpoint runs before it could be guarded' restore --bundle "$BED/bundle" oci
refused 'another file than its bundle' create --config /x --bundle "$BED/bundle" oci
check 'nothing was written' cmp "$BED/before.json" "$BED/bundle/config.json"
check 'what starts nothing is the runtime.s' is_runc
