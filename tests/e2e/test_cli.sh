#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Command lines that are wrong, and those that need no guard: exit status, and the one message.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# says NAME STATUS PATTERN ARGUMENT...: this exit status, and one line on stderr that matches.
says() {
	local name=$1 wanted=$2 pattern=$3 status=0
	shift 3
	"$EG" "$@" >"$BED/out" 2>"$BED/err" || status=$?
	if [ "$status" = "$wanted" ] && [ "$(wc -l <"$BED/err")" = 1 ] &&
		grep -q -- "$pattern" "$BED/err" && ! [ -s "$BED/out" ]; then
		pass "$name"
	else
		fail "$name" "exit status $status (not $wanted), or another message: $*"
		sed 's/^/  | /' "$BED/out" "$BED/err"
	fi
}

# prints NAME PATTERN ARGUMENT...: status 0, nothing on stderr, and a line on stdout that matches.
prints() {
	local name=$1 pattern=$2 status=0
	shift 2
	"$EG" "$@" >"$BED/out" 2>"$BED/err" || status=$?
	if [ "$status" = 0 ] && grep -q -- "$pattern" "$BED/out" && ! [ -s "$BED/err" ]; then
		pass "$name"
	else
		fail "$name" "exit status $status, or nothing like '$pattern': $*"
		sed 's/^/  | /' "$BED/out" "$BED/err"
	fi
}

# --- the command itself --------------------------------------------------------------------------

check_status 'no command: usage' 2 "$EG"
prints '--help lists the commands' '^  explain ' --help
prints '--version' "^egressguard $(cat "$BED_SOURCE/VERSION")\$" --version
says 'unknown command: the nearest' 2 "egressguard: unknown command 'stauts'; did you mean 'status'?" stauts
says 'a far command: where to look' 2 '--help lists them' zzzzzzzz
for command in attach detach status events explain policy verify features; do
	prints "$command --help" "^Usage: egressguard $command" "$command" --help
	prints "$command --help has an example" '^Example: egressguard ' "$command" --help
	says "$command: unknown option" 2 "^egressguard $command: unknown option '--hlep'; did you mean --help?" \
		"$command" --hlep
done

# --- options -----------------------------------------------------------------------------------

says 'an option in part' 2 "unknown option '--js'" status --js
says 'a short option' 2 "unknown option '-j'" status -j
says 'a missing value' 2 '--netns needs a value: --netns TARGET' status --netns
says 'an option where a value belongs' 2 '--netns needs a value' status --netns --json
says 'a value too many' 2 '--json takes no value' status --json=yes
says 'GUARD and --netns' 2 'not both' status wireguard --netns=wireguard
says 'two guards' 2 "what is 'b'?" status a b
says 'two formats' 2 'one format is enough' status --json --format prometheus
says 'unknown format' 2 "--format 'xml'" status --format xml
says 'an escape sequence in an option' 2 "'--\\\\x1b\\[31m'" status $'--\e[31m'
says '-- ends options' 3 "no guard is called '--json'" status --pin-dir "$EG_PIN_DIR" -- --json
says '--count 0' 2 "--count '0'" events --count 0
says '--count with more' 2 "--count '1x'" events --count 1x
says '--duration in words' 2 "--duration 'inf'" events --duration inf
says '--duration below 0' 2 "--duration '-1'" events --duration=-1
says '--reason: the nearest' 2 "--reason 'pubilc': there is no such reason; did you mean public?" \
	events --reason pubilc
says '--reason that allows' 2 'are allowed' events --reason lan
check 'features has a row for each layer that a machine may lack' \
	grep -q 'true' <("$EG" features --json | jq '.features | has("socket") and has("netns") and
		(.netns.present | not) == (.netfilter_link.present | not)')
says 'features takes no guard' 2 'takes no GUARD' features wireguard

# --- no guards -----------------------------------------------------------------------------------

mkdir "$EG_PIN_DIR" 2>/dev/null || true
check_equal 'status: no guards' "$(eg status 2>/dev/null)" "no guards in $EG_PIN_DIR"
# An engine of this machine may have its own idea of who is stranded.
check_equal 'status --json: no guards' \
	"$(eg status --json 2>/dev/null | jq -c '.stranded = 0 | .stranded_detail = 0')" \
	"{\"version\":\"$(cat "$BED_SOURCE/VERSION")\",\"pin_dir\":\"$EG_PIN_DIR\",\"guards\":[],\"stranded\":0,\"stranded_detail\":0}"
check_status 'status --check: no guards guard nothing' 1 eg status --check
says 'status of no such guard' 3 "no guard is called 'clitest'" \
	status --pin-dir "$EG_PIN_DIR" clitest
check_status 'status --check of no such guard' 1 eg status clitest --check
says 'status of no such target' 3 'nonesuch' status --pin-dir "$EG_PIN_DIR" --netns nonesuch
says 'events: no guards' 3 'there are no guards' events --pin-dir "$EG_PIN_DIR"
says 'policy show: no such guard' 3 "no guard is called 'x'" policy --pin-dir "$EG_PIN_DIR" show x
says 'explain: no such guard' 3 "no guard is called 'x'" \
	explain --pin-dir "$EG_PIN_DIR" x tcp 203.0.113.7:443

# --- policy check ----------------------------------------------------------------------------------

printf '[Guard]\nTunnel = wg0\n[Lan]\nAllow = 100.64.0.0/10\nDeny = 192.168.1.1\n' >"$BED/good.conf"
printf '[Lan]\nAllow = 10.0.0.1/8\n' >"$BED/bad.conf"
printf '[Lan]\r\nAlow = 10.0.0.0/8\r\n' >"$BED/unknown.conf"
printf '[Lan]\nAllow = 10.0.0.0/8\0\n' >"$BED/nul.conf"
prints 'policy check: a good file' \
	"^$BED/good.conf: ok (1 rule, 1 denied prefix, 0 endpoints; no Target =, which the daemon needs)\$" \
	policy check "$BED/good.conf"
sed 's/^Tunnel/Target = docker:app\n&/' "$BED/good.conf" >"$BED/target.conf"
prints 'policy check: one for the daemon' "^$BED/target.conf: ok (1 rule, 1 denied prefix, 0 endpoints)\$" \
	policy check "$BED/target.conf"
says 'policy check: host bits' 2 "^egressguard policy: $BED/bad.conf:2:[0-9]*: .*10.0.0.0/8" \
	policy check "$BED/bad.conf"
says 'policy check: an unknown key' 2 "unknown.conf:2:1: .*Allow" policy check "$BED/unknown.conf"
says 'policy check: a NUL' 2 'nul.conf:2:' policy check "$BED/nul.conf"
says 'policy check: no such file' 2 'none.conf: No such file' policy check "$BED/none.conf"
says 'policy check: a directory' 2 "$BED: " policy check "$BED"
says 'policy check: no file' 2 'needs a FILE' policy check
says 'policy: unknown verb' 2 "'chek' is neither" policy chek
status=0
"$EG" policy check "$BED/bad.conf" "$BED/good.conf" "$BED/unknown.conf" >"$BED/out" 2>"$BED/err" || status=$?
check_equal 'policy check: status of several' "$status" 2
check_equal 'policy check: the good one of several' "$(wc -l <"$BED/out")" 1
check_equal 'policy check: each bad one of several' "$(wc -l <"$BED/err")" 2
cp "$BED/bad.conf" "$BED/"$'\e[31m.conf'
says 'policy check: an escape sequence in a file name' 2 '/\\x1b\[31m.conf:2:' policy check "$BED/"$'\e[31m.conf'
head -c 40000000 /dev/zero | tr '\0' '#' >"$BED/huge.conf"
says 'policy check: a file without end' 2 'huge.conf: longer than' policy check "$BED/huge.conf"
rm "$BED/huge.conf"

# --- explain without a guard -----------------------------------------------------------------------

prints 'explain --policy' '^ALLOW rule: tcp > 100.64.0.1.443 ' \
	explain --policy "$BED/good.conf" tcp 100.64.0.1:443
prints 'explain: an option adds to the file' '^ALLOW rule: ' \
	explain --policy "$BED/good.conf" --allow 203.0.113.7 tcp 203.0.113.7:443
prints 'explain: what the file allows stays' '^ALLOW rule: ' \
	explain --policy "$BED/good.conf" --allow 203.0.113.7 tcp 100.64.0.1:443
prints 'explain: an option overrides the file' '^DROP private: ' \
	explain --policy "$BED/good.conf" --no-lan udp 10.1.1.1:5000
prints 'explain --audit' '^WOULD-DROP public: ' explain --audit tcp 203.0.113.7:443
prints 'explain --json' '"verdict":"drop","reason":"denied","row":11' \
	explain --policy "$BED/good.conf" --json tcp 192.168.1.1:80
prints 'explain: IPv6 with a port' '^DROP public: udp > 2001:db8::1.53' \
	explain --allow 10.0.0.0/8 udp '[2001:db8::1]:53'
says 'explain: an option that is wrong' 2 "^egressguard explain: --allow '10.0.0.1/8': " \
	explain --allow 10.0.0.1/8 tcp 203.0.113.7:443
says 'explain: an option twice' 2 '--dns is given twice' \
	explain --dns lan --dns tunnel tcp 203.0.113.7:443
says 'explain: GUARD and options' 2 'not both' explain --allow 10.0.0.0/8 x tcp 203.0.113.7:443
says 'explain: nothing to explain' 2 'needs GUARD PROTO DEST' explain x
says 'explain: no such protocol' 2 'tpc' explain --audit tpc 203.0.113.7:443
says 'explain: no address' 2 'example.org' explain --audit tcp example.org:443

# --- who may ---------------------------------------------------------------------------------------

nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all -- "$@"
}
if nobody test -x "$EG"; then
	check 'explain needs no root' nobody "$EG" explain --audit tcp 203.0.113.7:443
	check '--help needs no root' nobody "$EG" attach --help
	check_status 'attach without privileges' 1 nobody "$EG" attach --netns pid:1
else
	skip 'without root' "the build is not readable for nobody"
fi

# --- output that can't be written ------------------------------------------------------------------

full() {
	"$EG" "$@" >/dev/full
}
check_status 'status to a full disk' 1 full status --pin-dir "$EG_PIN_DIR"
check_status 'features --json to a full disk' 1 full features --json
check_status 'explain to a full disk' 1 full explain --audit tcp 203.0.113.7:443
