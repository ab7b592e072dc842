#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Floods at full speed beside live and honest connections, through a router without a tracker, with ctloader
# and with nf_conntrack; both tables hold 65,536.
#
#	[COUNT=10000000] [LIVE=1000] [RATE=100] tests/stress/flood.sh [TRACKER...]
#
# TRACKER is none, ctloader, limited (ctloader, with max_unassured_per_source), or nf_conntrack. Floods: SYNs, UDP,
# ICMP echo and ACKs from nowhere, each packet of another source, which nobody answers; ICMP echo and SYNs that
# b answers; SYNs of one source. Half of LIVE connections say nothing all the time; RATE new ones a second are
# made. A line for each flood: packets a second; of the live ones, whose flow has gone and whose stream has
# broken; new ones, failed ones; and milliseconds from connect() to the first answer. It fails if a live one suffers
# from ctloader, if audit finds something, or if figures don't add up. nf_conntrack's limit is the machine's: it is set,
# and put back at the end.

cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/lib.sh
source tests/lib.sh
# shellcheck source=tests/tools/more.sh
source tests/tools/more.sh
# shellcheck source=tests/tools/flood.sh
source tests/tools/flood.sh

COUNT=${COUNT:-10000000} LIVE=${LIVE:-1000} RATE=${RATE:-100} MAX=65536
trackers=("${@:-none}")
(($#)) || trackers=(none ctloader limited nf_conntrack)
LIMIT_OF_ALL=/proc/sys/net/netfilter/nf_conntrack_max
was=$(<$LIMIT_OF_ALL)
wrong=0

tests/run.sh -b netns || exit 2
CTT_BEFORE=$(mktemp)
snapshot >"$CTT_BEFORE"
begin
rm "$CTT_BEFORE"
tool flood honest
# As tests/run.sh: one at a time.
exec 9</run/lock
flock 9

put_back() { echo "$was" >$LIMIT_OF_ALL; }

tracker_on() {
	case $1 in
	ctloader | limited)
		run ctl attach --max $MAX ra rb
		[[ $1 == ctloader ]] || run ctl set max_unassured_per_source=1000
		;;
	nf_conntrack)
		echo $MAX >$LIMIT_OF_ALL
		in_r nft 'add table inet track; add chain inet track see { type filter hook prerouting priority 0; };
			add rule inet track see ct state new counter'
		;;
	esac
}

ours() { [[ $1 == ctloader || $1 == limited ]]; }

complain() {
	echo "WRONG: $*"
	wrong=$((wrong + 1))
}

# Of one source: `top` is asked when half a second of the flood has passed.
who_is_it() {
	local who
	sleep 0.5
	who=$(ctl top --once -u UNSET -o json -n 1 | jq -r '.top[0].src')
	[[ $who == 10.9.9.9 ]] || complain "top names $who"
}

# one TRACKER NAME KIND [OPTION...]: a flood, and its line.
one() {
	local tracker=$1 name=$2 gone=- lost at_rest
	shift 2
	honest_on "$LIVE" $((LIVE / 2)) "$RATE"
	case $tracker in
	ctloader | limited) live_flows >"$T/live" ;;
	nf_conntrack) live_flows kernel >"$T/live" ;;
	esac
	if ours "$tracker"; then
		ctl stats -o json >"$T/stats"
		lost=$(driver_lost)
		[[ $name != "syn of one" ]] || who_is_it &
	fi
	flood "$COUNT" "$@"
	case $tracker in
	ctloader | limited) gone=$(live_flows | comm -13 - "$T/live" | wc -l) ;;
	nf_conntrack) gone=$(live_flows kernel | comm -13 - "$T/live" | wc -l) ;;
	esac
	honest_off
	wait %who_is_it 2>/dev/null || :
	jq -r --arg tracker "$tracker" --arg name "$name" --arg speed "$(sed 's/.*, //;s#/s##' <<<"$FLOOD")" \
		--arg gone "$gone" 'def ms: . / 100 | round / 10; [$tracker, $name, $speed, .live, $gone, .broken,
			.new, .failed, (.p50_us | ms), (.p90_us | ms), (.p99_us | ms), (.max_us | ms)] | @tsv' <<<"$HONEST" |
		awk -F '\t' '{ printf "%-13s %-14s %9s %6s %5s %7s %7s %6s %8s %8s %8s %8s\n",
			$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 }'
	[[ $tracker != nf_conntrack ]] || in_r conntrack -F 2>/dev/null
	ours "$tracker" || return 0
	((gone == 0)) || complain "$gone live flows have gone"
	[[ $(jq .broken <<<"$HONEST") == 0 ]] || complain "streams have broken"
	capture ctl audit
	((RC == 0)) || complain "audit: $(grep -v ^ok <<<"$OUT")"
	# All of the flood has been counted, once, in some class; with what honest ones sent it is more.
	at_rest=$(ctl stats -o json | jq --slurpfile was "$T/stats" '[.packets.ingress[]] as $is |
		[$was[0].packets.ingress[]] as $was | ($is | add) - ($was | add)')
	lost=$(($(driver_lost) - lost))
	((at_rest >= SENT - lost)) || complain "$SENT packets sent, $lost lost on the way, $at_rest counted"
	run ctl flush
}

printf "%-13s %-14s %9s %6s %5s %7s %7s %6s %8s %8s %8s %8s\n" tracker flood packets/s live gone broken new failed \
	p50/ms p90/ms p99/ms max/ms
trap 'put_back; on_exit' EXIT
for tracker in "${trackers[@]}"; do
	topo_up flood
	tracker_on "$tracker"
	for kind in syn udp icmp ack; do
		one "$tracker" "$kind" $kind
	done
	one "$tracker" "icmp answered" icmp -- 10.0.2.1
	one "$tracker" "syn answered" syn -p 7777 -- 10.0.2.1
	one "$tracker" "syn of one" syn -s 10.9.9.9
	if ours "$tracker"; then
		ctl stats -o json | jq -c '{lifecycle: (.lifecycle | {created, confirmed, evicted, untracked_full,
			untracked_source, insert_failed, contended}), ends}'
		run ctl detach --all
	fi
	topo_down
	put_back
done
((wrong == 0))
