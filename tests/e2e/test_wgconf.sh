#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# wgconf as a command: exit status, places, JSON, standard input, modes, --root, that the check shows no
# key, and that render --in-place replaces a file and nothing else.
# time-limit: 120

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

KEY=$(wg genkey)
conf=$BED/wg0.conf

write_conf() { # HOOKS: a file with these lines in [Interface]
	(umask 077 && cat >"$conf") <<-EOF2
		[Interface]
		PrivateKey = $KEY
		Address = 10.13.13.2/32
		$1

		[Peer]
		PublicKey = $(wg pubkey <<<"$KEY")
		PresharedKey = $KEY
		AllowedIPs = 0.0.0.0/0, ::/0
		Endpoint = 203.0.113.9:51820
	EOF2
}

ids() { # ARGUMENT...: of the findings
	"$EG" wgconf check --json "$@" | jq -r '.findings[].id' | sort | paste -sd' '
}

write_conf 'MTU = 1420'
check_status 'errors: exit status 2' 2 "$EG" wgconf check "$conf"
check_equal 'errors: which' "$(ids "$conf")" 'lan-not-excluded lan-not-excluded lan-not-excluded no-kill-switch'
check_equal 'standard input' "$(ids - <"$conf")" "$(ids "$conf")"
check 'the fix names the file' sh -c "'$EG' wgconf check '$conf' | grep -q 'wgconf render --in-place $conf'"
write_conf 'PostUp = ip route add 10.0.0.0/8 via 172.18.0.1'
check_equal 'the place' "$("$EG" wgconf check "$conf" | grep -c "^$conf:4:10: warning: .* \[route-add\]\$")" 1
check_equal 'the place in JSON' "$("$EG" wgconf check --json "$conf" |
	jq -r '.findings[] | select(.id == "gateway-by-hand") | "\(.line):\(.column) \(.severity)"')" '4:38 warning'
chmod 644 "$conf"
chmod 711 "$BED"
check_equal 'readable by all, in a directory that is not' "$(ids "$conf" | grep -c world-readable)" 0
chmod 755 "$BED"
check_equal 'readable by all' "$(ids "$conf" | grep -c world-readable)" 1
chmod 600 "$conf"

write_conf 'PostUp = nft add table inet x; iptables -A OUTPUT -j ACCEPT'
mkdir -p "$BED/root/usr/sbin" "$BED/root/sbin"
touch "$BED/root/usr/sbin/nft"
ln -s /nothing "$BED/root/sbin/iptables"
check_equal '--root: a link to nothing is no program' \
	"$("$EG" wgconf check --root "$BED/root" --json "$conf" | jq -r '.findings[] | select(.id == "backend-missing").what')" \
	'there is no iptables where this file is used'
check_status '--root: not there' 2 "$EG" wgconf check --root "$BED/none" "$conf"

# Wherever it slips to.
for line in "DNS = $KEY" "PrivatKey = $KEY" "$KEY" "PostUp = wg set %i private-key $KEY" "Address = 10.0.0.1$KEY" \
	"PostUp = iptables -A OUTPUT -d $KEY -j ACCEPT" "ListenPort = $KEY" "Table = $KEY"; do
	write_conf "$line"
	"$EG" wgconf check "$conf" >"$BED/out" 2>&1 || true
	"$EG" wgconf check --json "$conf" >>"$BED/out" 2>&1 || true
	check "something is said of '${line%%"$KEY"*}'" grep -q 'finding' "$BED/out"
	check_equal "no key is shown of '${line%%"$KEY"*}'" "$(grep -cF -e "${KEY:0:10}" -e "${KEY:20:12}" "$BED/out")" 0
done

printf 'a\0b' >"$conf"
check_status 'a NUL byte' 2 "$EG" wgconf check "$conf"
check_status 'no such file' 2 "$EG" wgconf check "$BED/none.conf"
check_status 'a directory' 2 "$EG" wgconf check "$BED"
check_status 'no file' 2 "$EG" wgconf check
check_status 'no verb' 2 "$EG" wgconf
check_status 'another verb' 2 "$EG" wgconf chek "$conf"
check_status "check does not render" 2 "$EG" wgconf check --in-place "$conf"
check_status "render has no JSON" 2 "$EG" wgconf render --json "$conf"

# Each verb is offered its own options.
completed() { # VERB
	(
		set +eu
		# shellcheck source=doc/egressguard.bash
		. "$(dirname "$0")/../../doc/egressguard.bash"
		COMP_WORDS=(egressguard wgconf "$1" --)
		COMP_CWORD=3
		_egressguard "$EG" -- "$1"
		echo "${COMPREPLY[*]}"
	)
}
check_equal 'completed after check' "$(completed check)" '--json --root --help'
check_equal 'completed after render' "$(completed render)" '--kill-switch --in-place --help'

# A private server may be the provider's, or the LAN's.
write_conf 'DNS = 192.168.1.5'
check_equal 'a private DNS server: said' "$("$EG" wgconf render "$conf" 2>&1 >"$BED/out" | grep -c "DNS = 192.168.1.5 is taken for the provider's")" 1
write_conf 'DNS = 198.51.100.5'
check_equal 'a public one: nothing to say' "$("$EG" wgconf render "$conf" 2>&1 >"$BED/out" | wc -c)" 0
cp "$conf" "$BED/a-name-that-is-too-long.conf"
check_equal 'a name that wg-quick does not take' "$(ids "$BED/a-name-that-is-too-long.conf" | grep -c file-name)" 1
rm "$BED/a-name-that-is-too-long.conf"

# --- render --in-place ---------------------------------------------------------------------------

write_conf '# mine'
chmod 640 "$conf"
chown 12:34 "$conf"
cp -p "$conf" "$BED/as-it-was"
ln -s wg0.conf "$BED/link.conf"
"$EG" wgconf render "$conf" >"$BED/wanted"
check 'in place, by a link' "$EG" wgconf render --in-place "$BED/link.conf"
check 'it is what render prints' cmp "$conf" "$BED/wanted"
check 'the link is still one' test -L "$BED/link.conf"
check_equal 'mode and owner stay' "$(stat -c '%a %u %g' "$conf")" '640 12 34'
check_equal 'the backup is what was there' "$(stat -c '%a %u %g' "$conf.bak") $(cmp "$conf.bak" "$BED/as-it-was" && echo same)" '640 12 34 same'
inode=$(stat -c %i "$conf")
check 'once more' "$EG" wgconf render --in-place "$conf"
check_equal 'once more: nothing is written' "$(stat -c %i "$conf") $(find "$BED" -name "*.bak*" | wc -l)" "$inode 1"
check 'for a guard' "$EG" wgconf render --kill-switch egressguard --in-place "$conf"
check_equal 'a second backup' "$(cmp "$conf.bak2" "$BED/wanted" && echo same)" same
check_equal 'no new file is left' "$(find "$BED" -name '*.new.*' | wc -l)" 0
check_equal 'no rule is in it' "$(grep -c '^PostUp.*tables' "$conf")" 0
check_equal 'the note of the check' "$(ids "$conf" | tr ' ' '\n' | grep -c guard-enforces)" 1

write_conf 'PostUp = echo "never closed'
cp -p "$conf" "$BED/as-it-was"
check_status 'what it cannot put right: refused' 2 "$EG" wgconf render --in-place "$conf"
check 'what it cannot put right: nothing is written' cmp "$conf" "$BED/as-it-was"
check_equal 'what it cannot put right: nothing on standard output' "$("$EG" wgconf render "$conf" 2>"$BED/err" | wc -c)" 0
check_equal 'what it cannot put right: no key on standard error' "$(grep -c "${KEY:0:10}" "$BED/err")" 0
write_conf 'MTU = 1420'
check_status 'standard input is no place' 2 "$EG" wgconf render --in-place - <"$conf"
check_status 'another kill switch' 2 "$EG" wgconf render --kill-switch nft "$conf"
mount --bind "$conf" "$conf"
check_status 'a file that cannot be replaced, such as a mount' 1 "$EG" wgconf render --in-place "$conf"
umount "$conf"
check_equal 'nothing is left of the attempt' "$(find "$BED" -name 'wg0.conf.new*' | wc -l) $(find "$BED" -name '*.bak*' | wc -l)" '0 2'
