#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What it takes to find and change flows in a large table, beside conntrack(8) with the kernel's tracker
# that has seen the same packets: a table, no test.
#
#	tests/bench/changing.sh [FLOWS]
#
# A million UDP flows, unless told otherwise, go through the router of tests/lib.sh, all but a thousand of
# them to port 9. The kernel's nf_conntrack_max is the machine's; it is put back at the end.

cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/lib.sh
source tests/lib.sh

flows=${1:-1000000}
few=1000
max=/proc/sys/net/netfilter/nf_conntrack_max
max_before=$(<$max)

finish() {
	ctl detach --all >/dev/null 2>&1
	topo_down
	echo "$max_before" >$max
}

tests/run.sh -b netns || exit 2
# As tests/run.sh: one at a time.
exec 9</run/lock
flock 9
T=$(mktemp -d)
trap 'finish; rm -rf "$T"' EXIT
set -e

topo_up router
(($(<$max) >= flows + 100000)) || echo $((flows + 100000)) >$max
in_b nft 'add table inet bench; add chain inet bench in { type filter hook input priority 0; policy drop; }'
in_r nft 'add table inet bench
	add chain inet bench forward { type filter hook forward priority 0; }
	add rule inet bench forward ct state new counter'
in_r sysctl -qw net.netfilter.nf_conntrack_udp_timeout=7200 net.netfilter.nf_conntrack_udp_timeout_stream=7200
ctl attach --max $((flows + flows / 4)) ra rb >/dev/null
ctl set udp_timeout=7200 >/dev/null

# send PORT N: so many new flows.
send() { in_a traffic flows 10.0.2.1 "$1" 100000 "$(awk "BEGIN { print $2 / 100000 }")" >"$T/sent"; }
send 9 $((flows - few))
send 10 $few
echo "flows: ctloader $(ctl count), nf_conntrack $(in_r conntrack -C)"

# ms COMMAND...: how long it takes.
ms() {
	local since=${EPOCHREALTIME/./}
	"$@" >"$T/out" 2>"$T/err" || :
	echo $(((${EPOCHREALTIME/./} - since) / 1000))
}

# row WHAT CTLOADER-ARGUMENTS -- CONNTRACK-ARGUMENTS
row() {
	local what=$1 ours=() took
	shift
	while [[ $1 != -- ]]; do
		ours+=("$1")
		shift
	done
	shift
	took=$(ms ctl "${ours[@]}")
	printf '%-42s %10s %14s\n' "$what" "$took" "$(ms in_r conntrack "$@")"
}

printf '%-42s %10s %14s   ms\n' '' ctloader 'conntrack(8)'
row 'count, none matches (--dport 11)' count -p udp --dport 11 -- -L -p udp --dport 11
row 'count, a thousand match (--dport 10)' count -p udp --dport 10 -- -L -p udp --dport 10
row 'count by status, looks at every entry' count -u ASSURED -- -L -u ASSURED
row 'count, nearly all match (--dport 9)' count -p udp --dport 9 -- -L -p udp --dport 9
row 'list, a thousand match' list -p udp --dport 10 -- -L -p udp --dport 10
row 'update, none matches' update -p udp --dport 11 --mark 5 -- -U -p udp --dport 11 --mark 5
row 'update, a thousand match' update -p udp --dport 10 --mark 5 -- -U -p udp --dport 10 --mark 5
row 'delete, none matches' delete -p udp --dport 11 -- -D -p udp --dport 11
row 'delete, a thousand match' delete -p udp --dport 10 -- -D -p udp --dport 10
row 'update, nearly all match' update -p udp --dport 9 --mark 5 -- -U -p udp --dport 9 --mark 5
row 'delete, nearly all match' delete -p udp --dport 9 -- -D -p udp --dport 9
echo "flows: ctloader $(ctl count), nf_conntrack $(in_r conntrack -C)"
