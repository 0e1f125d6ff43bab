# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion for egressguard(8). Commands and options are what the installed command's own --help
# lists, so that they are never out of date.

_egressguard_commands() {
	"$1" --help 2>/dev/null | sed -n '/^Commands:/,$s/^  \([a-z-]*\) .*/\1/p'
}

_egressguard_options() { # PROGRAM COMMAND
	"$1" "$2" --help 2>/dev/null | sed -n 's/^ *\(--[a-z][a-z-]*\).*/\1/p'
}

# Guards' names as they stand in bpffs; _XX there is a byte in hexadecimal. Any other _ is of a
# guard that is being made or taken away, or of what all guards share.
_egressguard_guards() { # PIN-DIR
	local path name
	for path in "$1"/*/; do
		name=${path%/}
		name=${name##*/}
		case $name in
		'*' | _[!0-9A-F]*) ;;
		*) printf '%b\n' "${name//_/\\x}" ;;
		esac
	done
}

_egressguard_namespaces() {
	local path
	echo self
	for path in /run/netns/*; do
		[ ! -e "$path" ] || printf '%s\n' "${path##*/}"
	done
}

# What stands between `=` or a blank and the cursor: the value of an option, completed into
# COMPREPLY. Fails where the word before is no option with a value.
_egressguard_value() { # OPTION CURRENT
	local reasons='ethertype malformed qdisc-bypass source-route source not-wireguard fragment tunnel-only denied
		dns-off-tunnel protocol multicast broadcast private public'
	local words=''

	case $1 in
	--netns) words=$(_egressguard_namespaces) ;;
	--tunnel) words=wg0 ;;
	--reason) words=$reasons ;;
	--dns) words='auto lan tunnel' ;;
	--kill-switch) words='iptables egressguard both' ;;
	--on-block) words='drop reject' ;;
	--endpoint-shape) words='wireguard any' ;;
	--engine) words='docker podman other' ;;
	--runtime)
		mapfile -t COMPREPLY < <(compgen -c -- "$2")
		return 0
		;;
	--format) words='text json prometheus' ;;
	--cgroup | --pin-dir | --root | --config-dir | --state-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
		return 0
		;;
	--policy | --pcap)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return 0
		;;
	--conf)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return 0
		;;
	--wg-conf)
		mapfile -t COMPREPLY < <(compgen -f -W 'auto none' -- "$2")
		return 0
		;;
	--allow | --deny | --endpoint | --allow-dns | --bootstrap-dns | --source-port | --name | --try | --count | \
		--duration | --port | --host-port) ;;
	*) return 1 ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2")
}

# How many words that are no option, nor the value of one, follow the command before the cursor.
# `=` is a word of its own.
_egressguard_operands() {
	local i count=0 word before=''
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $before,$word in
		*,-* | *,= | =,*) ;;
		--netns,* | --cgroup,* | --pin-dir,* | --policy,* | --tunnel,* | --allow,* | --deny,* | --dns,* | \
			--allow-dns,* | --bootstrap-dns,* | --endpoint,* | --endpoint-shape,* | --source-port,* | \
			--wg-conf,* | --on-block,*) ;;
		*) count=$((count + 1)) ;;
		esac
		before=$word
	done
	echo "$count"
}

# explain takes GUARD PROTO DEST, or options that make a policy in the place of GUARD.
_egressguard_explain() { # PIN-DIR
	local i operands place=0
	operands=$(_egressguard_operands)
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--json | --pin-dir | --netns) ;;
		--*) place=1 ;;
		esac
	done
	case $((operands + place)) in
	0) _egressguard_guards "$1" ;;
	1) printf '%s\n' tcp udp icmp icmpv6 wireguard bootstrap ;;
	esac
}

# What goes with one of the two verbs of wgconf and not with the other is not offered to the other.
_egressguard_wgconf_options() { # PROGRAM VERB
	local not='^$'
	case $2 in
	check) not='^--kill-switch$\|^--in-place$' ;;
	render) not='^--json$\|^--root$' ;;
	esac
	_egressguard_options "$1" wgconf | grep -v -- "$not"
}

_egressguard() {
	local program=$1 current=$2 previous=$3 command=${COMP_WORDS[1]-} words='' i
	local pin_dir=/sys/fs/bpf/egressguard

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="$(_egressguard_commands "$program") --help --version"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" = --pin-dir ] || continue
		pin_dir=${COMP_WORDS[i + 1]}
		[ "$pin_dir" != = ] || pin_dir=${COMP_WORDS[i + 2]-}
	done

	# --option=value comes as three words; the second may be the one with the cursor.
	if [ "$current" = = ]; then
		_egressguard_value "$previous" ''
		return
	fi
	if [ "$previous" = = ]; then
		_egressguard_value "${COMP_WORDS[COMP_CWORD - 2]}" "$current"
		return
	fi
	_egressguard_value "$previous" "$current" && return

	case $command,$current in
	wgconf,-*) words=$(_egressguard_wgconf_options "$program" "${COMP_WORDS[2]}") ;;
	*,-*) words=$(_egressguard_options "$program" "$command") ;;
	policy,*)
		if [ "$COMP_CWORD" -eq 2 ]; then
			words='check show'
		elif [ "${COMP_WORDS[2]}" = check ]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
		else
			words=$(_egressguard_guards "$pin_dir")
		fi
		;;
	wgconf,*)
		if [ "$COMP_CWORD" -eq 2 ]; then
			words='check render'
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
		fi
		;;
	explain,*) words=$(_egressguard_explain "$pin_dir") ;;
	detach,* | status,* | events,* | verify,*) words=$(_egressguard_guards "$pin_dir") ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _egressguard egressguard
