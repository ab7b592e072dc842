#!/bin/bash
# shellcheck disable=SC2329
# SPDX-License-Identifier: GPL-2.0-only
#
# What saving and restoring a table costs, and what the kernel's own takes where the same exists:
#
#	tests/bench/save.sh [FLOWS]
#
# UDP flows by the number (1,000,000), half of them IPv6, in a namespace of their own. Prints seconds and
# bytes; of the kernel's table, `conntrack -L -o save` and `conntrack -R` of the same number of flows.

cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/lib.sh
source tests/lib.sh
# shellcheck source=tests/tools/more.sh
source tests/tools/more.sh

n=${1:-1000000}
half=$((n / 2))
tests/run.sh -b netns/speed.sh || exit 2
CTT_BEFORE=$(mktemp)
snapshot >"$CTT_BEFORE"
begin
rm "$CTT_BEFORE"
exec 9</run/lock # as tests/run.sh: one at a time
flock 9
topo_up

# took COMMAND...: how long it takes, in TOOK; what it says, in $T/out.
took() {
	local start=${EPOCHREALTIME/./} us
	"$@" >"$T/out" 2>"$T/err" || echo "$*: exit code $?: $(head -n 3 "$T/err")"
	us=$((${EPOCHREALTIME/./} - start))
	TOOK=$(printf '%d.%02d' $((us / 1000000)) $((us % 1000000 / 10000)))
}
row() { printf '%-28s %8s s  %s\n' "$1" "$TOOK" "${2-}"; }
size() { stat -c %s "$1"; }

# fill COUNT FLOWS: new flows, until COUNT, a command, says that there are so many.
fill() {
	local have from=0 rest
	for _ in 1 2 3 4 5 6 7 8 9; do
		have=$("$1")
		rest=$(($2 - have))
		((rest > 0)) || break
		# What is lost on the way is made up by others.
		in_a traffic -f "$from" flows "$TO" 9 "$RATE" "$((rest / RATE)).$((rest % RATE * 10 / RATE + 1))" >/dev/null
		from=$((from + rest + RATE / 10 + 1))
	done
}
RATE=100000

ours4() { ctl count -f ipv4; }
ours6() { ctl count -f ipv6; }
ctl attach --max $((n + n / 4)) ra rb >/dev/null
ctl set udp_timeout=36000 >/dev/null
TO=10.0.2.1 fill ours4 $half
TO=fd00:2::1 fill ours6 $half
count=$(ctl count)
echo "$count flows, $(ours6) of them IPv6"
took ctl save "$T/file"
row save "$(size "$T/file") bytes, $(($(size "$T/file") / count)) a flow"
took ctl list
row "list, for comparison" "$(size "$T/out") bytes"
took ctl restore "$T/file"
row "restore, all are there"
ctl flush >/dev/null
took ctl restore "$T/file"
row restore "$(ctl count) flows are there"
head -c -1 "$T/file" >"$T/damaged"
took ctl restore "$T/damaged" >/dev/null
row "restore, refused"
ctl flush >/dev/null
start events ctl events -e new -b 1M -o json
wait_for 5 listening 1
took ctl restore "$T/file"
row "restore, with a reader" "$(stat_of .events.delivered) events, $(stat_of .events.lost) lost"
stop events
ctl detach --all >/dev/null

kernels() { in_r conntrack -C; }
most=$((($(</proc/sys/net/netfilter/nf_conntrack_max) - $(</proc/sys/net/netfilter/nf_conntrack_count)) * 9 / 10))
((most < n)) && n=$most
in_r nft -f - <<-'END'
	table inet track {
		chain see { type filter hook prerouting priority 0; ct state new counter; }
	}
END
in_r sh -c 'echo 36000 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout'
TO=10.0.2.1 fill kernels "$n"
echo "the kernel's table: $(kernels) flows (nf_conntrack_max)"
took in_r conntrack -L -o save
mv "$T/out" "$T/kernel"
row "conntrack -L -o save" "$(size "$T/kernel") bytes, $(($(size "$T/kernel") / $(wc -l <"$T/kernel"))) a flow"
in_r conntrack -F >/dev/null 2>&1
took in_r conntrack -R "$T/kernel"
row "conntrack -R" "$(kernels) flows are there"
topo_down
