#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# time-limit: 240
# An image whose labels are made to get in the way of who asks the engine: with a NUL, which a reader of JSON may
# refuse, and longer than one would take. Its container is guarded as any, and so are those beside it.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/engine.sh
. "$(dirname "$0")/engine.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

engine_bed
docker_up
export CONTAINER_HOST=unix://$BED/no.sock

# labelled IMAGE LABELS: `bed` with these labels, a Python expression, as a registry would give it.
labelled() {
	local directory=$BED/image-$1
	mkdir "$directory"
	docker save bed | tar -C "$directory" -x
	python3 - "$directory" "$1" "$2" <<-'END'
		import hashlib, json, os, sys
		directory, name, labels = sys.argv[1:]
		os.chdir(directory)
		manifest = json.load(open("manifest.json"))
		image = json.load(open(manifest[0]["Config"]))
		image["config"]["Labels"] = eval(labels)
		text = json.dumps(image).encode()
		config = hashlib.sha256(text).hexdigest() + ".json"
		open(config, "wb").write(text)
		manifest[0].update(Config=config, RepoTags=[name + ":latest"])
		json.dump(manifest, open("manifest.json", "w"))
		for other in "index.json", "oci-layout", "repositories":
		    if os.path.exists(other):
		        os.unlink(other)
	END
	tar -C "$directory" -c . | docker load >/dev/null
}
labelled nul '{"a\0b": "a\0b"}'
# Each of these is six in JSON.
labelled long '{"a": "<" * (4 << 20)}'

run() { # NAME IMAGE
	docker run --detach --name "$1" "$2" /bin/idle "$ENGINE_LIFE" >/dev/null
}
# By the event, long before the look that comes every half minute.
is_guarded() { # NAME
	[ "$(of_guard "$1" .state)" = enforcing ] &&
		[ "$(guard_meta "$1" .netns_inode)" = "$(stat -L -c %i "/proc/$(docker_pid "$1")/ns/net")" ]
}
for name in nul long beside; do
	policy "$name" "Target = docker:$name"
done

run nul nul
engine_check Docker nul
capture_start control internet host0
probe_in nul udp 203.0.113.7:443 --timeout 100 || true
capture_stop control
check_leaks 'control: without a guard it leaks' control

check 'the daemon starts' daemon_up
check 'a label with a NUL: guarded when it is ready' is_guarded nul
docker restart --time 1 nul >/dev/null
check 'a label with a NUL: guarded when it restarts' wait_until 15 is_guarded nul
run long long
check 'a long label: guarded when it starts' wait_until 20 is_guarded long
docker restart --time 1 long >/dev/null
check 'a long label: guarded when it restarts' wait_until 20 is_guarded long
run beside bed
check 'a container beside them: guarded' wait_until 15 is_guarded beside
capture_start guarded internet host0
for name in nul long beside; do
	probe_in "$name" udp 203.0.113.7:443 --timeout 100 || true
done
capture_stop guarded
check_no_leak 'nothing in the clear' guarded
never_gone() {
	! logged 'docker does not answer'
}
check 'the engine is never taken for gone' never_gone
