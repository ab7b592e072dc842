# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Floods: one source held to its share; live and honest connections beside one. The long form, with figures
# and beside nf_conntrack, is stress/flood.sh.
# TIMEOUT: 60

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"
# shellcheck source=tests/tools/flood.sh
source "$TOP/tests/tools/flood.sh"

setup() { topo_up flood; }

# flows_of_10_64: those that `traffic flows` makes.
flows_of_10_64() { ctl count -s 10.64.0.1; }

# A source that floods gets its share of the table and no more, and what it sends goes through, or is dropped;
# a table of another size, and other programs, know what it has.
test_source_limit() {
	local refused
	run ctl attach --max 1000 ra rb
	run ctl set max_unassured_per_source=50
	serve sink in_b traffic udp-sink 9
	in_a traffic flows 10.0.2.1 9 1000 0.2 >/dev/null
	want_eq "$(flows_of_10_64)" 50 "flows of one source"
	refused=$(stat_of .lifecycle.untracked_source)
	want_num "$refused" -ge 150 "refused"
	want_eq "$(ctl top --once -o json -n 1 | jq -c '.top[0] | [.src, .flows, .unreplied]')" \
		'["10.64.0.1",50,50]' "top"
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	want_eq "$(ctl count -p icmp)" 1 "flows of another"
	sound "with a source at its limit"
	run ctl set max=2000 full=drop
	sound "in a larger table"
	in_a traffic flows 10.0.2.1 9 2000 0.1 >/dev/null
	want_eq "$(flows_of_10_64)" 50 "flows in a larger table"
	want_num "$(stat_of .dropped.source)" -ge 100 "dropped"
	run ctl upgrade
	in_a traffic flows 10.0.2.1 9 2000 0.1 >/dev/null
	want_eq "$(flows_of_10_64)" 50 "flows after an upgrade"
	run ctl flush
	in_a traffic flows 10.0.2.1 9 1000 0.02 >/dev/null
	want_num "$(flows_of_10_64)" -ge 15 "flows after a flush"
	sound "at the end"
	stop sink
	want_num "$(awk '/^received/ { print $2 }' "$T/sink.out")" -ge $((refused + 50)) "datagrams that went through"
	run ctl detach --all
}

# deltas FILTER: by how much these figures of `stats` have grown since $T/stats was written.
deltas() { ctl stats -o json | jq -c --slurpfile was "$T/stats" "[($1)] as \$is | \$was[0] | [($1)] as \$was |
	[\$is, \$was] | transpose | map(.[0] - .[1])"; }

# Floods of all kinds, of one source and of any, through a table that is too small for them: live connections
# stay as they are, idle or not; honest new ones come through; `top` names who it is; everything adds up.
test_flood() {
	local kind lost
	tool flood honest
	run ctl attach --max 4096 ra rb
	start ev ctl events -e destroy -o json -b 64M
	wait_for 5 listening 1
	honest_on 100 50 200
	live_flows >"$T/live"
	want_eq "$(wc -l <"$T/live")" 100 "live connections"
	flood 10000 syn -s 10.9.9.9
	want_eq "$(ctl top --once -o json -n 1 | jq -r '.top[0].src')" 10.9.9.9 "who it is"
	for kind in syn udp icmp ack; do
		flood 10000 $kind
	done
	# These b answers, so that the table is full of answered ones.
	flood 10000 icmp -- 10.0.2.1
	want_eq "$(live_flows | comm -13 - "$T/live")" "" "live connections that have gone"
	sound "after floods"
	honest_off
	echo "$HONEST"
	want_eq "$(jq -c '[.live, .broken, .failed]' <<<"$HONEST")" '[100,0,0]' "honest connections"
	want_num "$(jq .new <<<"$HONEST")" -ge 50 "new ones"

	# At rest, to the packet: each one is a flow, for which another one goes.
	run ctl flush
	lost=$(driver_lost)
	ctl stats -o json >"$T/stats"
	flood 10000 udp
	lost=$(($(driver_lost) - lost))
	want_eq "$(deltas '[.packets[][]] | add')" "[$((SENT - lost))]" "packets; $lost of $SENT lost on the way"
	want_eq "$(deltas '.packets.ingress.new, (.lifecycle | .created, .confirmed, .evicted, .untracked_full)')" \
		"[$((SENT - lost)),$((SENT - lost)),$((SENT - lost)),$((SENT - lost - 4096)),0]" \
		"packets of new flows, created, confirmed, evicted, refused"
	sound "at the end"
	run ctl flush
	ctl stats -o json >"$T/stats"
	run ctl detach --all
	finish ev
	lost=$(sed -n 's/.*"type":"lost","count":\([0-9]*\).*/\1/p' "$T/ev.out" | awk '{ n += $1 } END { print n + 0 }')
	want_eq $(($(grep -c '"type":"destroy"' "$T/ev.out") + lost)) "$(jq .lifecycle.destroyed <"$T/stats")" \
		"events of ends, with $lost lost"
	want_eq "$lost" 0 "events lost"
	want_eq "$(grep -c '"reason":"evicted"' "$T/ev.out")" "$(jq .lifecycle.evicted <"$T/stats")" "evictions told"
}
