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
