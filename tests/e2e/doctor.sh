# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A pattern for doctor to look at: wg-quick with a rendered wg0.conf, a process that stands for the
# container, the tunnel's resolver, services inside, and their ends at the host. Sourced in the place of
# lib.sh.

# shellcheck source=tests/e2e/wireguard.sh
. "$(dirname "${BASH_SOURCE[0]}")/wireguard.sh"

# shellcheck source=tests/e2e/quick.sh
. "$(dirname "${BASH_SOURCE[0]}")/quick.sh"

# doctor [OPTION...]: of the process that stands for the container.
doctor() {
	in_ns host "$EG" doctor --pin-dir "$EG_PIN_DIR" --netns "pid:${BED_PIDS[container]}" \
		--conf "$BED/wg0.conf" "$@"
}

# found [OPTION...]: its exit status, and what it finds, in order.
found() {
	local status=0
	doctor --json "$@" >"$BED/doctor.json" || status=$?
	echo "$status" "$(jq -r '[.findings[].id] | join(" ")' "$BED/doctor.json")"
}

# names_first NAME ID [OPTION...]
names_first() {
	local name=$1 id=$2 said
	shift 2
	said=$(found "$@")
	case "$said " in
	"1 $id "*) pass "$name: it says $id first" ;;
	*)
		fail "$name: it says $id first" "'$said'"
		jq -r '.findings[] | "  | \(.id): \(.what); \(.evidence)"' "$BED/doctor.json"
		;;
	esac
}

healthy() {
	local said
	said=$(found "${@:2}")
	[ "$said" = '0 ' ] || jq -r '.findings[] | "  | \(.id): \(.what); \(.evidence)"' "$BED/doctor.json"
	check_equal "$1: nothing is wrong" "$said" '0 '
}

# paste_fix: the commands of the first finding's first way, as they stand, into a shell.
paste_fix() {
	jq -r '.findings[0].remedies[0].commands[]' "$BED/doctor.json" >"$BED/pasted"
	[ -s "$BED/pasted" ] && in_ns host bash -e "$BED/pasted"
}

# show_found: what was found last, and what was pasted.
show_found() {
	jq -r '.findings[] | "  | \(.id): \(.what); \(.evidence); \(.fix)"' "$BED/doctor.json"
	sed 's/^/  | pasted: /' "$BED/pasted"
}

# mends NAME: what was found first last is no more once its fix was pasted.
mends() {
	local id
	id=$(jq -r '.findings[0].id' "$BED/doctor.json")
	if paste_fix >"$BED/paste.log" 2>&1 && { found >/dev/null && ! has "$id"; }; then
		pass "$1: the fix of $id mends it"
	else
		fail "$1: the fix of $id mends it"
		sed 's/^/  | /' "$BED/paste.log"
		show_found
	fi
}

# heals NAME ID [OPTION...]: ID is found first, and whoever pastes what doctor says first, as often as it
# says something, has nothing wrong in the end, or a note alone.
heals() {
	local name=$1 id=$2 said ids='' round
	shift 2
	for round in 1 2 3 4 5; do
		said=$(found "$@")
		case "$round $said " in
		"1 1 $id "*) ;;
		"1 "*) break ;;
		*' 0 '*)
			pass "$name: $id is found first, and what it says heals it"
			return
			;;
		esac
		ids+=" ${said#* }"
		paste_fix >"$BED/paste.log" 2>&1 || break
	done
	fail "$name: $id is found first, and what it says heals it" "$ids; $said"
	sed 's/^/  | /' "$BED/paste.log"
	show_found
}

# has ID: among what was found last.
has() {
	jq -e --arg id "$1" '.findings | any(.id == $id)' "$BED/doctor.json" >/dev/null
}

carries() {
	probe wireguard tcp 203.0.113.7:443 --timeout 1000 | matches '^answer: from 10.13.13.2 '
}

again() {
	quick down && quick up && wait_until 10 carries
}

ln -s "$EG" "$BED/bin/egressguard"
bed_up
tunnel_server_up
ip -n wireguard route del 192.168.1.0/24 # the rendered routes are to do that
(umask 077 && cat >"$BED/source.conf") <<-EOF2
	[Interface]
	PrivateKey = $(cat "$BED/client.key")
	Address = 10.13.13.2/32, fd13::2/128
	DNS = 10.13.13.53

	[Peer]
	PublicKey = $(cat "$BED/server.pub")
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = $BED_ENDPOINT
EOF2
(umask 077 && "$EG" wgconf render "$BED/source.conf" >"$BED/wg0.conf")

# The tunnel's resolver; a page that is served inside, and published by the host; and the host's end of
# another that is wedged.
ip -n vpn address add 10.13.13.53/32 dev lo
ip -n internet route add 10.13.13.53/32 via 203.0.113.9
start_in vpn dns "$BED_SOURCE/tests/e2e/services.py" "$BED/dns.ready" dns 10.13.13.53 53
start_in wireguard page "$BED_SOURCE/tests/e2e/services.py" "$BED/page.ready" page 0.0.0.0 8081 mute 0.0.0.0 8082
start_in host proxies "$BED_SOURCE/tests/e2e/services.py" "$BED/proxies.ready" page 127.0.0.1 8081 mute 127.0.0.1 8090

# A process with a resolv.conf of its own, as in a container.
echo 'nameserver 10.13.13.53' >"$BED/resolv.conf"
# shellcheck disable=SC2016 # the inner shell's
start_in wireguard container unshare --mount --propagation private -- \
	sh -c 'mount --bind "$1" /etc/resolv.conf && exec sleep 600' - "$BED/resolv.conf"
is_ready() {
	cmp -s "/proc/${BED_PIDS[container]}/root/etc/resolv.conf" "$BED/resolv.conf" &&
		[ -e "$BED/dns.ready" ] && [ -e "$BED/page.ready" ] && [ -e "$BED/proxies.ready" ]
}
check 'a process that stands for the container' wait_until 10 is_ready
check 'wg-quick up' quick up
check 'the tunnel carries' wait_until 10 carries
