#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A namespace that nothing but an open descriptor keeps any more: the daemon has let go of it, says what it sees,
# and takes the guard away when the namespace has ended.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/daemon.sh
. "$(dirname "$0")/daemon.sh"

bed_up
policy wireguard 'Target = netns:wireguard'
check 'the daemon starts' daemon_up
check 'it guards' wait_until 60 eg status wireguard --check
# shellcheck disable=SC2016 # the inner shell's
start keeper sh -c 'exec 9</run/netns/wireguard && touch "$1" && exec sleep 900' - "$BED/kept"
wait_until 20 test -e "$BED/kept"
ip netns delete wireguard
check_logged 'it lets go' 'nothing else keeps its namespace: let go of it'
check_logged 'it says what is the matter' 'its namespace is not to be found'
stop keeper
check_logged 'the descriptor is closed: the guard has gone' 'its namespace has ended, and the guard with it'
check_equal 'and its pins' "$(guard_places | grep -v '^_' || true)" ''
