# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
#
# Another set of programs, or a table of another size or layout, in the place of the running one.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# exact LOAD...: the flow of each of these loads has counted every packet of both directions, once (but
# those that a device dropped in front of us).
exact() {
	local load line flow sent received original reply
	for load; do
		line=$(grep ^sent "$T/$load.out")
		case $load in
		ab4) flow=$(ctl list -p udp -s 10.0.1.1 -d 10.0.2.1 --dport 7 -o json) ;;
		ba4) flow=$(ctl list -p udp -s 10.0.2.1 -d 10.0.1.1 --dport 7 -o json) ;;
		ab6) flow=$(ctl list -f ipv6 -p udp -s fd00:1::1 --dport 7 -o json) ;;
		ba6) flow=$(ctl list -f ipv6 -p udp -s fd00:2::1 --dport 7 -o json) ;;
		ping4) flow=$(ctl list -p icmp -o json) ;;
		ping6) flow=$(ctl list -f ipv6 -p icmpv6 -o json) ;;
		esac
		read -r sent received < <(awk '{ print $2, $4 }' <<<"$line")
		read -r original reply < <(jq -r '.[] | "\(.original.packets) \(.reply.packets)"' <<<"$flow")
		want_num "$original" -ge "$received" "packets of $load, original; answered are"
		want_num "$original" -le "$sent" "packets of $load, original; sent are"
		want_num "$reply" -ge "$received" "packets of $load, reply; received are"
		want_num "$reply" -le "$original" "packets of $load, reply; original are"
	done
}

# under_load HOOK N COMMAND...: run it N times under load; not a packet is lost but by the devices,
# every one is counted in its flow, and none got another class than it should have.
under_load() {
	local hook=$1 n=$2 i stats
	shift 2
	# shellcheck disable=SC2086 # words
	run ctl attach $hook --max 20000 ra rb
	[[ $hook != *native* ]] || { xdp_pass a && xdp_pass b; }
	load_on
	start events ctl events -e destroy -p icmp -o json
	wait_for 5 listening 1
	for ((i = 1; i <= n; i++)); do
		run "$@" "$i"
	done
	load_off
	# shellcheck disable=SC2086
	exact $LOADS
	stats=$(ctl stats -o json)
	want_num "$LOST" -le "$(driver_lost)" "packets lost, where the devices dropped some"
	want_eq "$(jq -c '[.packets[].invalid] | add' <<<"$stats")" 0 \
		"invalid packets: $(jq -c '.invalid | with_entries(select(.value > 0))' <<<"$stats")"
	# Multicast listener reports are.
	want_num "$(jq -c '[.packets[].untracked] | add' <<<"$stats")" -le 4 "untracked packets"
	want_eq "$(jq -c '.lifecycle | .confirmed - .destroyed' <<<"$stats")" "$(jq .flows <<<"$stats")" \
		"flows by the counters; $stats"
	# A packet between its hooks leaves its entry behind in another map, and makes one anew.
	want_eq "$(jq -c '.lifecycle.created - .lifecycle.confirmed - .unconfirmed' <<<"$stats")" 0 \
		"flows not confirmed; $stats"
	want_num "$(jq .unconfirmed <<<"$stats")" -le "$([[ $1 == there_and_back ]] && echo 3 || echo 0)" \
		"flows left unconfirmed"
	want_eq "$(jq -c '.lifecycle | [.stage_missing, .in_without_confirm, .stale_record,
		.confirm_without_in, .lost_unconfirmed, .confirm_missed]' <<<"$stats")" '[0,0,0,0,0,0]' \
		"packets that missed a stage"
	want_eq "$(ctl count -o json | jq .count)" "$(jq .flows <<<"$stats")" "flows by the walk"
	run ctl detach --all
	finish events
	# Its ring was there all the time; unless it could not read what a later version writes.
	[[ $1 == there_and_back ]] ||
		want_eq "$(jq -r .flow.proto "$T/events.out" | xargs)" "icmp" "the ping's end"
	want_detached
}

upgrade() { ctl upgrade; }
# Tables of sizes that differ from each other, with as many flows as there are.
resize() { ctl set "max=$((20000 + 1000 * $1))"; }

test_upgrade_tcx() { under_load "--hook tc" 3 upgrade; }
test_upgrade_clsact() { under_load "--hook tc --tc clsact" 3 upgrade; }
test_resize_tcx() { under_load "--hook tc" 3 resize; }
test_upgrade_native() { under_load "--hook native" 2 upgrade; }

# ---- Another layout -----------------------------------------------------------------------------

# As a later version might be: see tests/tools/next.sh.
next() { "$O/tests/next/ctloader" --netns "$NS_R" "$@"; }

# To another layout of everything, and back again.
there_and_back() {
	run next upgrade -o json
	want_eq "$(jq -c '[.abi, .new_table, .same_build]' <<<"$OUT")" '[1000,true,false]' "upgrade"
	fails 1 ctl list
	want_match "$ERR" "made by another version of ctloader \(use that version, or run 'ctloader upgrade'\)\$" "error"
	run ctl upgrade -o json
	want_eq "$(jq -c '[.abi_before, .new_table]' <<<"$OUT")" '[1000,true]' "upgrade"
}

test_layouts_tcx() { under_load "--hook tc" 1 there_and_back; }
test_layouts_native() { under_load "--hook native" 1 there_and_back; }

# hold, let_go: packets to b wait in the router, behind ingress and before egress, for b's address.
hold() {
	in_b sysctl -qw net.ipv4.conf.eth0.arp_ignore=8
	in_r sysctl -qw net.ipv4.neigh.rb.mcast_solicit=1000
	ip -n "$NS_R" neigh del 10.0.2.1 dev rb
}
let_go() { ip -n "$NS_R" neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev rb nud permanent; }

# held COMMAND...: a first packet meets the upgrade between the hooks. Its flow is confirmed, and is its
# sender's, whichever set of programs and map it was left in.
held() {
	local lost=$1 left
	shift
	run ctl attach --hook tc ra rb
	hold
	start ping in_a ping -q -c 1 -W 20 10.0.2.1
	wait_for 5 eval '(($(ctl stats -o json | jq .unconfirmed) == 1))'
	run "$@" upgrade
	# As if it had not been brought over in time.
	if ((lost)); then
		left=$("$@" status -o json | jq -r .pins)/unconfirmed
		# shellcheck disable=SC2046 # bytes
		run bpftool map delete pinned "$left" key \
			$(bpftool -j map dump pinned "$left" | jq -r '.[].key | join(" ")')
	fi
	let_go
	finish ping
	want_eq "$("$@" list -p icmp -o json | jq -c '.[] | [.original.src, .original.packets, .reply.packets]')" \
		'["10.0.1.1",1,1]' "flows"
	want_eq "$("$@" stats -o json | jq '.lifecycle.confirm_missed')" 0 "missed at confirm"
	run "$@" detach --all
	want_detached
}

test_held_same() { held 0 ctl; }
test_held_layouts() { held 0 next; }
test_held_left_behind() { held 1 next; }

# What an operator set, and what was counted, has its name there and here; what only one of them knows
# is as it would be from the start.
test_layouts_keep_settings() {
	run ctl attach --max 5000 --zone 7 --drop-invalid ra rb
	run ctl set udp_timeout=77 tcp_loose=0 max=4000 frag_early=drop
	in_a ping -q -c 3 -i 0.01 10.0.2.1 >/dev/null
	ctl list -o json,id >"$T/flows"
	ctl stats -o json | jq -S 'del(.gc)' >"$T/stats"
	ctl show >"$T/show"
	run next upgrade
	want_eq "$(next show patience tcp_loose udp_timeout max | xargs)" \
		"patience = 1 tcp_loose = 0 udp_timeout = 77 max = 4000" "settings"
	want_eq "$(next stats -o json | jq -S 'del(.gc, .lifecycle.foreseen, .invalid.not_today)')" \
		"$(<"$T/stats")" "counters there"
	want_eq "$(next status -o json | jq -c '[.interfaces[] | [.name, .hook, .zone, .state]]')" \
		'[["ra","tc",7,"attached"],["rb","tc",7,"attached"]]' "interfaces"
	run ctl upgrade
	want_eq "$(ctl stats -o json | jq -S 'del(.gc)')" "$(<"$T/stats")" "counters back here"
	want_eq "$(ctl show)" "$(<"$T/show")" "settings back here"
	want_eq "$(ctl list -o json,id | jq -c '.[] | del(.timeout, .age, .start)')" \
		"$(jq -c '.[] | del(.timeout, .age, .start)' "$T/flows")" "flows"
	run ctl detach --all
	want_detached
}

# Listeners can't read flows of another layout: their stream ends, with a line.
test_layouts_end_listeners() {
	run ctl attach ra rb
	start events ctl events
	wait_for 5 listening 1
	run next upgrade
	finish events
	want_eq "$RC" 0 "exit code of events"
	run next detach --all
	want_detached
}

# Layouts of another number, but the same in what the table is made of: it is this build's afterwards.
test_another_abi() {
	local oldest
	oldest=$(awk '$2 == "CT_ABI_OLDEST" { print $3 }' "$TOP/include/ct_config.h")
	run ctl attach ra rb
	in_a ping -q -c 2 -i 0.01 10.0.2.1 >/dev/null
	tool poke
	run poke "$(pins)/state" abi "$oldest" abi_oldest "$oldest"
	fails 1 ctl list
	run ctl upgrade -o json
	want_eq "$(jq -c '[.abi_before, .flows]' <<<"$OUT")" "[$oldest,1]" "upgrade"
	want_eq "$(ctl list -p icmp -o json | jq -c '.[].original.packets')" 2 "packets of the flow"
	run ctl audit
	run ctl detach --all
	want_detached
}

# A layout that this build does not know is refused, and nothing is touched.
test_unknown_layout() {
	local pins before
	run ctl attach ra rb
	pins=$(pins)
	in_a ping -q -c 1 10.0.2.1 >/dev/null
	before=$(ctl status -o json)
	tool poke
	run poke "$pins/state" abi 99 abi_oldest 99
	fails 1 ctl upgrade
	want_match "$ERR" '^ctloader: upgrade: instance netns-[0-9]+: its layouts \(99\) are none that this build \([0-9]+\) knows \(detach it with the build that made it\)$' "error"
	in_a ping -q -c 1 10.0.2.1 >/dev/null
	run poke "$pins/state" abi "$(awk '$2 == "CT_ABI" { print $3 }' "$TOP/include/ct_config.h")" abi_oldest 5
	want_eq "$(ctl status -o json | jq -c 'del(.table)')" "$(jq -c 'del(.table)' <<<"$before")" "status"
	want_eq "$(ctl count)" 2 "flows"
	run ctl detach --all
	want_detached
}

# Nothing to upgrade, and nothing to say beside.
test_upgrade_refuses() {
	fails 1 ctl upgrade
	want_match "$ERR" "^ctloader: upgrade: table: not loaded \(run 'ctloader attach' first\)\$" "error"
	fails 2 ctl upgrade ra
	run ctl attach --max 100 ra
	run in_a traffic flows 10.0.2.1 9 1000 0.09
	fails 1 ctl attach --max 64 ra
	want_match "$ERR" 'a table for 64 flows: more flows than that are in it \(flush it, or choose more\)$' "error"
	want_eq "$(ctl status -o json | jq -c .table.size)" 100 "size"
	run ctl attach --max 200 ra
	want_eq "$(ctl status -o json | jq -c '[.table.size, .table.max]')" '[200,200]' "size, max"
	want_eq "$(ctl count)" 90 "flows"
	run ctl detach --all
	want_detached
}

# dropped_81: the policy drops what goes to port 81; what goes elsewhere is tracked and answered.
dropped_81() {
	run in_a traffic udp-send 10.0.2.1 7 5 1000
	fails 1 in_a traffic -w 100 udp-send 10.0.2.1 81 5 1000 1
	want_eq "$(ctl count -p udp --dport 81)" 0 "flows to port 81"
	want_eq "$(stat_of '.lifecycle | [.in_without_confirm, .stage_missing, .confirm_without_in] | add')" 0 \
		"packets that missed a stage"
}

# A policy stays in force, through as many upgrades as there are; as long as it can read the record.
test_policy() {
	local i
	serve echo in_b traffic udp-echo 7
	serve echo81 in_b traffic udp-echo 81
	run ctl attach ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_drop81" ra rb
	dropped_81
	for i in 1 2 3; do
		run ctl upgrade
		dropped_81
		want_eq "$(ctl count -p udp --dport 7)" $((i + 1)) "flows to port 7"
	done
	run ctl set max=300000
	dropped_81
	fails 1 next upgrade
	want_match "$ERR" 'the policy of netns-[0-9]+: it was made for another layout of packets \(detach --keep, upgrade, and attach with one for this build\)$' "error"
	dropped_81
	run ctl detach --keep --all
	run next upgrade
	run ctl upgrade
	run ctl attach ra rb
	run in_a traffic udp-send 10.0.2.1 81 5 1000
	run ctl detach --all
	want_detached
}

# A table kept without interfaces is resized and upgraded, too.
test_kept() {
	run ctl attach ra rb
	in_a ping -q -c 1 10.0.2.1 >/dev/null
	run ctl detach --keep --all
	run ctl upgrade
	run ctl attach --max 3000 ra rb
	want_eq "$(ctl status -o json | jq -c .table.size)" 3000 "size"
	want_eq "$(ctl count -p icmp)" 1 "flows"
	run ctl detach --all
	want_detached
}
