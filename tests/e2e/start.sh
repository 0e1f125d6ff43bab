# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Containers whose first instruction is to send, for the tests of ways to start without a gap. Sourced
# after lib.sh, engine.sh and daemon.sh.

# The server goes on ending connections of the controls for minutes, to an address that another container
# has by then. Nothing that runs here forges a source.
BED_LEAK+=" and not (src host 203.0.113.7 and tcp[tcpflags] & tcp-fin != 0)"

# template NAME LINE...: a policy without a target.
template() {
	local name=$1
	shift
	mkdir -p "$CONFIG/templates"
	printf '%s\n' '[Lan]' 'Dns = lan' '[WireGuard]' 'Endpoint = 203.0.113.9:51820' "$@" \
		>"$CONFIG/templates/$name.conf"
}

# starts NAME COUNT COMMAND...: runs it that often, one after the other; each has to say that a process has
# run there, and sent. What leaves meanwhile is in the capture NAME.
starts() {
	local name=$1 count=$2 i ran=0
	shift 2
	capture_start "$name" internet host0
	for ((i = 0; i < count; i++)); do
		if "$@" >"$BED/starts.out" 2>&1 && grep -q '^sent [0-9]' "$BED/starts.out"; then
			ran=$((ran + 1))
		else
			sed 's/^/  | /' "$BED/starts.out"
		fi
	done
	capture_stop "$name"
	check_equal "$name: all of $count have run" "$ran" "$count"
}

# not_started NAME PATTERN COMMAND...: it fails, says why, and nothing has run or left.
not_started() {
	local name=$1 pattern=$2 status=0
	shift 2
	capture_start refused internet host0
	"$@" >"$BED/starts.out" 2>&1 || status=$?
	capture_stop refused
	if [ "$status" = 0 ] || grep -q '^sent ' "$BED/starts.out"; then
		fail "$name: not started" "$(cat "$BED/starts.out")"
	elif ! grep -q -E -- "$pattern" "$BED/starts.out"; then
		fail "$name: says why" "$(cat "$BED/starts.out")"
	else
		pass "$name: not started, and says why"
	fi
	check_no_leak "$name: nothing in the clear" refused
}

# knocks_start ADDRESS...: the internet asks these all the time for what a kernel answers by itself. The host
# finds who has them as soon as somebody does.
knocks_start() {
	local address pairs=()
	# shellcheck disable=SC2016 # the inner shell's
	in_ns host sh -c 'for each in /proc/sys/net/ipv[46]/neigh/*/retrans_time_ms; do echo 10 >"$each"; done'
	rm -f "$BED/knock.ready"
	KNOCKED=
	for address; do
		case $address in
		*:*) pairs+=(2001:db8:7::7 "$address") ;;
		*) pairs+=(203.0.113.7 "$address") ;;
		esac
		KNOCKED+="${KNOCKED:+ or }src host $address"
	done
	start_in internet knock "$BED_SOURCE/tests/e2e/knock.py" "$BED/knock.ready" "${pairs[@]}"
	wait_until 10 test -e "$BED/knock.ready"
}

# Nor does the host tell the internet any longer that nobody has them.
knocks_stop() {
	stop knock
	wait_until 10 eval '! ip -n host neigh show | matches -E "INCOMPLETE|DELAY|PROBE"'
}

# knocked NAME COMMAND...: while it runs, and a second longer; what is answered is in the capture NAME.
knocked() {
	local name=$1
	shift
	capture_start "$name" internet host0 "$KNOCKED"
	"$@"
	sleep 1
	capture_stop "$name"
}

# engine_silent COMMAND...: no engine is asked anything meanwhile. What it says is in $BED/starts.out.
engine_silent() {
	local status=0
	rm -f "$BED/asked" "$BED/tarpit.sock"
	start tarpit python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while listener.accept():
    open(sys.argv[2], "a").write("asked\n")
' "$BED/tarpit.sock" "$BED/asked"
	wait_until 10 test -S "$BED/tarpit.sock"
	DOCKER_HOST=unix://$BED/tarpit.sock CONTAINER_HOST=unix://$BED/tarpit.sock "$@" \
		>"$BED/starts.out" 2>&1 || status=$?
	stop tarpit
	! [ -e "$BED/asked" ] && return "$status"
}
