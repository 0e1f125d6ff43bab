# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A daemon with policy files of its own in $CONFIG. Sourced after lib.sh.

CONFIG=$BED/etc
mkdir -p "$CONFIG"

# daemon_up [VARIABLE=VALUE...]: returns when it is ready.
daemon_up() {
	start daemon env "$@" "$EG" daemon --config-dir "$CONFIG" --pin-dir "$EG_PIN_DIR"
	wait_until 60 logged 'daemon: (warning: )?ready' || {
		cat "$BED/daemon.log"
		return 1
	}
}

# notified_up WORD: who listens at $BED/notify as a service manager does, until what it is told begins with WORD;
# it writes that to $BED/notified. Its process is $LISTENER.
notified_up() {
	python3 - "$BED/notify" "$((60 * ${EG_SLOW:-1}))" "$1" >"$BED/notified" <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(int(sys.argv[2]))
		while True:
		    said = s.recv(1000).decode()
		    print(said.replace("\n", " "), flush=True)
		    if said.startswith(sys.argv[3]):
		        break
	END
	# shellcheck disable=SC2034 # for who sources this
	LISTENER=$!
	wait_until 10 test -S "$BED/notify"
}

logged() { # PATTERN
	grep -q -a -E -- "$1" "$BED/daemon.log"
}

# check_logged NAME PATTERN [SECONDS]
check_logged() {
	if wait_until "${3:-60}" logged "$2"; then
		pass "$1"
	else
		fail "$1" "the log has no '$2'"
		tr -d '\0' <"$BED/daemon.log" | sed 's/^/  | /'
	fi
}

# What was logged until now.
forget() {
	: >"$BED/daemon.log"
}

# policy GUARD TARGET-LINE LINE...: its file, with what follows the target in the section [Guard].
policy() {
	local name=$1
	shift
	{
		echo '[Guard]'
		printf '%s\n' "$1"
		shift
		case ${1:-} in
		Endpoint*)
			printf '[WireGuard]\n%s\n' "$1"
			shift
			;;
		esac
		printf '%s\n' '[Lan]' 'Dns = lan' "$@"
	} >"$CONFIG/.$name.conf"
	mv "$CONFIG/.$name.conf" "$CONFIG/$name.conf"
}

reload() {
	forget
	kill -HUP "${BED_PIDS[daemon]}"
	wait_until 60 logged 'policy files were read again'
}

eth1_is_covered() {
	eg status wireguard --json | jq -e '[.guards[0].layers[] | select(.name == "device" or .name == "peer") |
		select(.interfaces | index("eth1"))] | length == 2'
}
# check_network_more SECONDS ENGINE [OPTION...]: the container `wireguard` gets a network more, made with these
# options, is covered there in so many seconds, and loses it again.
check_network_more() {
	local seconds=$1 engine=$2
	shift 2
	"$engine" network create "$@" --subnet 172.31.0.0/16 second >/dev/null
	forget
	"$engine" network connect second wireguard
	check 'a network more: guarded' wait_until "$seconds" eth1_is_covered
	capture_start eth1 internet host0
	probes_in wireguard 'tcp tcp 203.0.113.7:443 --timeout 100 --bind eth1
		udp udp 203.0.113.7:443 --timeout 100 --bind eth1'
	capture_stop eth1
	check_no_leak 'nothing in the clear there' eth1
	"$engine" network disconnect second wireguard
	check_logged 'and gone again' 'eth1 is gone' "$seconds"
}
