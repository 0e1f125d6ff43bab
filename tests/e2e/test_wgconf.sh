#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# wgconf check as a command: exit status, places, JSON, standard input, modes, --root, and that no key
# is ever shown.
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
