#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What it takes to find and change flows in a large table, beside conntrack(8) with the kernel's tracker
# that has seen the same packets: a table, no test. The times are wall clock, ours the least of three
# where that is possible.
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

# ms TIMES COMMAND...: how long it takes, the least of so many times; "-" if it did not do it.
ms() {
	local times=$1 least=999999999 since took
	shift
	for ((; times; times--)); do
		since=${EPOCHREALTIME/./}
		"$@" >"$T/out" 2>"$T/err" || :
		took=$(((${EPOCHREALTIME/./} - since) / 1000))
		((took >= least)) || least=$took
	done
	grep -qE 'flow entries|^[0-9]+$' "$T/out" "$T/err" && echo $least || echo -
}

# row WHAT TIMES CTLOADER-ARGUMENTS -- CONNTRACK-ARGUMENTS
row() {
	local what=$1 times=$2 ours=()
	shift 2
	while [[ $1 != -- ]]; do
		ours+=("$1")
		shift
	done
	shift
	printf '%-42s %10s %14s\n' "$what" "$(ms "$times" ctl "${ours[@]}")" \
		"$(ms 1 in_r conntrack "$@")"
}

printf '%-42s %10s %14s   ms\n' '' ctloader 'conntrack(8)'
row 'count, none matches' 3 count -p udp --dport 11 -- -L -p udp --dport 11
row 'count, a thousand match' 3 count -p udp --dport 10 -- -L -p udp --dport 10
row 'count by status: looks at every entry' 3 count -u ASSURED -- -L -u ASSURED
row 'count, nearly all match' 3 count -p udp --dport 9 -- -L -p udp --dport 9
row 'list, a thousand match' 3 list -p udp --dport 10 -- -L -p udp --dport 10
row 'list, nearly all match' 1 list -p udp --dport 9 -- -L -p udp --dport 9
row 'update, none matches' 3 update -p udp --dport 11 --timeout 7200 -- -U -p udp --dport 11 -t 7200
row 'update, a thousand match' 3 update -p udp --dport 10 --timeout 7200 -- -U -p udp --dport 10 -t 7200
row 'update, nearly all match' 3 update -p udp --dport 9 --timeout 7200 -- -U -p udp --dport 9 -t 7200
row 'delete, none matches' 3 delete -p udp --dport 11 -- -D -p udp --dport 11
row 'delete, a thousand match' 1 delete -p udp --dport 10 -- -D -p udp --dport 10
row 'delete, nearly all match' 1 delete -p udp --dport 9 -- -D -p udp --dport 9
echo "flows: ctloader $(ctl count), nf_conntrack $(in_r conntrack -C)"
