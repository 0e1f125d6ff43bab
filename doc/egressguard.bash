# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion for egressguard(8). Commands and options are what the installed command's own --help
# lists, so that they are never out of date.

_egressguard_commands() {
	"$1" --help 2>/dev/null | sed -n '/^Commands:/,$s/^  \([a-z]*\) .*/\1/p'
}

_egressguard_options() { # PROGRAM COMMAND
	"$1" "$2" --help 2>/dev/null | sed -n 's/^ *\(--[a-z][a-z-]*\).*/\1/p'
}

# Guards' names as they stand in bpffs; _XX there is a byte in hexadecimal.
_egressguard_guards() { # PIN-DIR
	local path name
	for path in "$1"/*/; do
		name=${path%/}
		name=${name##*/}
		case $name in
		'*' | _new-* | _old-* | _shared) ;;
		*) printf '%b\n' "${name//_/\\x}" ;;
		esac
	done
}

_egressguard_namespaces() {
	local path
	for path in /run/netns/*; do
		[ ! -e "$path" ] || printf '%s\n' "${path##*/}"
	done
}

_egressguard() {
	local program=$1 current=$2 previous=$3 command=${COMP_WORDS[1]-} words='' i
	local pin_dir=/sys/fs/bpf/egressguard
	local reasons='ethertype malformed source-route source not-wireguard fragment tunnel-only denied
		dns-off-tunnel protocol multicast broadcast private public'

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="$(_egressguard_commands "$program") --help --version"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" != --pin-dir ] || pin_dir=${COMP_WORDS[i + 1]}
	done

	case $previous in
	--netns) words=$(_egressguard_namespaces) ;;
	--tunnel)
		words=wg0
		;;
	--reason) words=$reasons ;;
	--dns) words='auto lan tunnel' ;;
	--on-block) words='drop reject' ;;
	--endpoint-shape) words='wireguard any' ;;
	--format) words='text json prometheus' ;;
	--pin-dir | --cgroup)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	--policy | --pcap)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--wg-conf)
		mapfile -t COMPREPLY < <(compgen -f -W 'auto none' -- "$current")
		return
		;;
	--allow | --deny | --endpoint | --allow-dns | --name | --try | --count | --duration) return ;;
	*)
		case $command,$current in
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
		detach,* | status,* | events,* | explain,*) words=$(_egressguard_guards "$pin_dir") ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _egressguard egressguard
