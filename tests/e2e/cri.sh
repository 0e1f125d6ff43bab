# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# containerd with its plugin for kubelets, and what a kubelet asks of it. Sourced after lib.sh, engine.sh
# and start.sh.

CRI_IMAGE=example.test/bed:1
declare -A CRI_PODS=()       # the ids of sandboxes, by the pod's name
declare -A CRI_CONTAINERS=() # the ids of containers, by POD/NAME
declare -A CRI_ATTEMPTS=()   # how many sandboxes a pod has had
# shellcheck disable=SC2034 # engine.sh's
ENGINE_EXEC=(cri_exec)

# cri METHOD [JSON]: the answer, as JSON.
cri() {
	"$BED_SOURCE/tests/e2e/cri.py" "$BED/docker/containerd.sock" "$@"
}

# cri_image: what scripts/image.sh makes of egressguard, of the bed's root file system. Its program waits, as
# that of a sandbox does.
cri_image() {
	local image=$BED/image layer config
	mkdir -p "$image"
	tar -C "$BED/root" -cf "$image/layer.tar" .
	layer=$(sha256sum <"$image/layer.tar")
	config='{"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/idle", "'$ENGINE_LIFE'"],
		"Env": ["PATH=/bin", "EG_SLOW='${EG_SLOW:-1}'"]},
		"rootfs": {"type": "layers", "diff_ids": ["sha256:'${layer%% *}'"]}}'
	echo "$config" >"$image/config.json"
	echo '[{"Config": "config.json", "RepoTags": ["'$CRI_IMAGE'"], "Layers": ["layer.tar"]}]' >"$image/manifest.json"
	tar -C "$image" -cf "$BED/image.tar" manifest.json config.json layer.tar
	rm -r "$image"
	"${CTR[@]}" --namespace k8s.io images import "$BED/image.tar" >/dev/null
	rm "$BED/image.tar"
}

# The bed's containerd, $CRI_SETTINGS, in TOML, behind the usual ones.
cri_up() {
	local plugin='plugins."io.containerd.grpc.v1.cri"'
	CTR=(env CONTAINERD_ADDRESS="$BED/docker/containerd.sock" ctr)
	engine_cni
	# shellcheck disable=SC2034 # engine.sh's
	CONTAINERD_CRI="
[$plugin]
sandbox_image = \"$CRI_IMAGE\"
restrict_oom_score_adj = true
disable_apparmor = true
${CRI_SETTINGS:-}"
	containerd_up
	cri_image
}


# cri_network FILTER: the one that containerd finds, of both families. The filter of jq's makes something of
# the list with the plugin at its end.
cri_network() {
	jq -n --arg pins "$EG_PIN_DIR" --arg endpoint "$BED_ENDPOINT" '{
		cniVersion: "1.0.0", name: "bed", plugins: [
			{type: "bridge", bridge: "br-bed", isGateway: true, ipam: {type: "host-local",
				ranges: [[{subnet: "172.26.0.0/16"}], [{subnet: "fd00:26::/64"}]],
				routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}]}},
			{type: "egressguard-cni", policy: {Endpoint: $endpoint, Dns: "tunnel"}, pinDir: $pins}]} |
		'"$1" >"$BED/network.json"
	# At once: what is half-written would be read, too.
	mv "$BED/network.json" /etc/cni/net.d/10-bed.conflist
	wait_until 10 cri_reads
}

# containerd reads a list some time after it was written.
cri_reads() {
	"$BED_SOURCE/tests/e2e/cri.py" "$BED/docker/containerd.sock" Status '{"verbose": 1}' |
		jq -e --slurpfile list /etc/cni/net.d/10-bed.conflist '
			[.status.conditions[]|.status] == [1, 1] and
			(.info.cniconfig|fromjson|.Networks[]|select(.Config.Name == "bed")|.Config.Source|fromjson) == $list[0]'
}

# --- pods ----------------------------------------------------------------------------------------

# pod_run NAME [FILTER [HANDLER]]: a sandbox for it, whose configuration the filter of jq's changes. The
# kubelet makes a new one, with the next number, where the last one has ended. As it does, each container has
# processes of its own (pid: 1), and what is in the pod goes on without its sandbox's.
pod_run() {
	local name=$1 attempt=${CRI_ATTEMPTS[$1]:-0} answer
	jq -n --arg name "$name" --arg cgroup "/$ENGINE_CGROUP" --argjson attempt "$attempt" --arg logs "$BED/logs/$name" '{
		metadata: {name: $name, uid: "uid-\($name)", namespace: "default", attempt: $attempt}, hostname: $name,
		log_directory: $logs,
		linux: {cgroup_parent: $cgroup, security_context: {namespace_options: {pid: 1}}},
		labels: {"io.kubernetes.pod.name": $name, "io.kubernetes.pod.namespace": "default"}} | '"${2:-.}" \
		>"$BED/pod-$name.json"
	mkdir -p "$BED/logs/$name"
	answer=$(cri RunPodSandbox "$(jq -c --arg handler "${3:-}" '{config: ., runtime_handler: $handler}' "$BED/pod-$name.json")") ||
		return
	CRI_ATTEMPTS[$name]=$((attempt + 1))
	CRI_PODS[$name]=$(jq -r .pod_sandbox_id <<<"$answer")
}

# container_run POD NAME FILTER COMMAND...: a container in it, whose configuration the filter changes.
container_run() {
	local pod=$1 name=$2 filter=$3 config answer
	shift 3
	config=$(jq -n --arg name "$name" --arg image "$CRI_IMAGE" --argjson attempt "${CRI_ATTEMPTS[$pod]}" '{
		metadata: {name: $name, attempt: $attempt}, image: {image: $image},
		command: $ARGS.positional, log_path: "\($name).log", labels: {"io.kubernetes.container.name": $name},
		linux: {security_context: {namespace_options: {pid: 1}}}} | '"$filter" \
		--args -- "$@")
	answer=$(cri CreateContainer "$(jq -n --arg id "${CRI_PODS[$pod]}" --argjson config "$config" \
		--slurpfile pod "$BED/pod-$pod.json" '{pod_sandbox_id: $id, config: $config, sandbox_config: $pod[0]}')") || return
	CRI_CONTAINERS[$pod/$name]=$(jq -r .container_id <<<"$answer")
	cri StartContainer "{\"container_id\": \"${CRI_CONTAINERS[$pod/$name]}\"}" >/dev/null
}

container_ended() { # POD/NAME
	cri ContainerStatus "{\"container_id\": \"${CRI_CONTAINERS[$1]}\"}" | jq -e '.status.state == 2' >/dev/null
}

# container_wait POD/NAME: until it has ended, and what it has said.
container_wait() {
	wait_until 20 container_ended "$1" || return
	sed 's/^[^ ]* [^ ]* [^ ]* //' "$BED/logs/$1.log"
}

# cri_exec POD/NAME COMMAND...
cri_exec() {
	local id=${CRI_CONTAINERS[$1]} answer
	shift
	answer=$(cri ExecSync "$(jq -n --arg id "$id" '{container_id: $id, cmd: $ARGS.positional}' --args -- "$@")") || return
	jq -j '.stdout // "", .stderr // ""' <<<"$answer"
	return "$(jq '.exit_code // 0' <<<"$answer")"
}

# pod_state NAME: 0 where its sandbox runs, 1 where it does not.
pod_state() {
	cri PodSandboxStatus "{\"pod_sandbox_id\": \"${CRI_PODS[$1]}\"}" | jq '.status.state // 0'
}

pod_is() { # NAME STATE
	[ "$(pod_state "$1")" = "$2" ]
}

# pod_netns NAME: the path that the plugins are given.
pod_netns() {
	cri PodSandboxStatus "{\"pod_sandbox_id\": \"${CRI_PODS[$1]}\", \"verbose\": 1}" |
		jq -r '.info.info|fromjson|.runtimeSpec.linux.namespaces[]|select(.type == "network").path'
}

# pod_pid NAME: of the sandbox's process.
pod_pid() {
	cri PodSandboxStatus "{\"pod_sandbox_id\": \"${CRI_PODS[$1]}\", \"verbose\": 1}" | jq -r '.info.info|fromjson|.pid'
}

pod_stop() {
	cri StopPodSandbox "{\"pod_sandbox_id\": \"${CRI_PODS[$1]}\"}" >/dev/null
}

pod_remove() {
	pod_stop "$1" && cri RemovePodSandbox "{\"pod_sandbox_id\": \"${CRI_PODS[$1]}\"}" >/dev/null
}

# A pod whose container's first instruction is to send, and which ends soon after.
pod_first() { # [FILTER [HANDLER]]
	local status=0
	pod_run first "$@" || return
	container_run first app . /bin/first 60 && container_wait first/app || status=$?
	pod_remove first && return "$status"
}

# --- what is asked of them and of their guards ---------------------------------------------------

tries() { # POD/NAME
	probes_in "$1" 'udp4 udp 203.0.113.7:443 --timeout 100
udp6 udp [2001:db8:7::7]:443 --timeout 100
tcp4 tcp 203.0.113.7:443 --timeout 100
icmp4 icmp 203.0.113.7 --timeout 100
eth0 udp 203.0.113.7:443 --timeout 100 --bind eth0
lan tcp 192.168.1.10:80'
}

# Nothing of it is answered but what goes to the LAN.
quiet() { # POD/NAME
	tries "$1"
	! grep -v '^lan: ' "$BED/probes" | grep 'answer: ' && probe_said lan 'answer: from 172\.26\.'
}

guards() {
	eg status --json 2>/dev/null | jq -r '[.guards[]|"\(.name) \(.state)"]|join(", ")'
}

# pod_containers POD: one that ends first, and two that stay, `app` and `side`: none of them sends.
pod_containers() {
	local name
	container_run "$1" init . /bin/first 60
	check 'a container that ends before the others: it has sent' container_wait "$1/init"
	for name in app side; do
		container_run "$1" "$name" . /bin/idle "$ENGINE_LIFE"
		check "$name: it sends nothing, and the LAN works" quiet "$1/$name"
	done
}
