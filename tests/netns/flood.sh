# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Floods: one source held to its share; live and honest connections beside one. The long form, with figures
# and beside nf_conntrack, is stress/flood.sh.
# TIMEOUT: 60

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

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
