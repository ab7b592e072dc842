# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a loader that died has left is put right by who can do it, and left alone by who can't; and
# another set of programs leaves nothing of the one before.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# This build, and one as a later version might be: see tests/tools/next.sh.
THIS=("$CTLOADER" --netns "$NS_R")
NEXT=("$O/tests/next/ctloader" --netns "$NS_R")

# dies_at CALL[:N] COMMAND...: killed when it is about to make its first (N-th) call of this kind.
dies_at() {
	need strace
	local call=${1%:*} n=1
	[[ $1 != *:* ]] || n=${1#*:}
	shift
	capture with_fault "$call:signal=KILL:when=$n" "$@"
	want_num "$RC" -ge 128 "exit code of $* killed at $call $n: $ERR"
}

ping_once() { in_a ping -q -c 1 -W 2 10.0.2.1 >/dev/null; }
# pinned PATTERN: what is pinned in the instance's directory by such names.
pinned() { find "$D" -path "$D/$1" -printf '%P\n' | sort | xargs; }

# A build of before there was `epoch` has made this one: nobody may take it for half of an instance.
test_without_epoch() {
	run ctl attach ra rb
	D=$(pins)
	ping_once
	mv "$D/epoch" "$D/hidden"
	capture ctl list
	capture ctl attach ra
	fails 1 ctl upgrade
	mv "$D/hidden" "$D/epoch"
	ping_once
	want_eq "$(ctl count)" 2 flows
	run ctl detach --all
	want_detached
}

# What is half there is not looked for in another namespace, where an interface of the same number is
# somebody else's.
test_other_namespace() {
	need strace
	ip -n "$NS_R" link add half index 77 type veth peer name half2
	ip -n "$NS_R" link set half up
	ip -n "$NS_B" link add foreign index 77 type veth peer name foreign2
	tc -n "$NS_B" qdisc add dev foreign clsact
	trace_bpf "${THIS[@]}" --instance half attach --tc clsact half
	run ctl --instance half detach --all
	dies_at "bpf:$(call_of MAP_UPDATE last)" "${THIS[@]}" --instance half attach --tc clsact half
	fails 1 "$CTLOADER" --netns "$NS_B" --instance half list
	want_match "$ERR" '^ctloader: list: instance half: it belongs to another network namespace \(use --netns\)$' error
	want_match "$(tc -n "$NS_B" qdisc show dev foreign)" clsact "somebody else's qdisc"
	want_match "$(tc -n "$NS_R" filter show dev half ingress)" ct_tc_ingress "filter"
	fails 1 ctl --instance half list
	want_match "$ERR" 'not loaded' error
	want_detached
}

# An upgrade by another build, which died behind the switch, can't be finished by one that doesn't know
# its layouts; before the switch anybody can take it back.
test_died_upgrading_elsewhere() {
	run ctl attach ra rb
	D=$(pins)
	ping_once
	dies_at rename "${NEXT[@]}" upgrade
	want_match "$(pinned 'next-*')" '^next-2' "pins of it"
	ping_once
	fails 1 ctl list
	want_match "$ERR" "^ctloader: list: .*: its upgrade by another version of ctloader was broken off \(use that version: any of its commands goes on with it\)\$" error
	fails 1 ctl upgrade
	want_match "$ERR" '^ctloader: upgrade: .*was broken off' error
	fails 1 ctl attach ra
	want_match "$ERR" '^ctloader: attach: .*was broken off' error
	ping_once
	want_eq "$("${NEXT[@]}" count)" 3 "flows there"
	want_eq "$(pinned 'next-*')" "" "pins of it"
	dies_at mkdir:2 "${NEXT[@]}" upgrade
	want_match "$(pinned 'next-*')" '^next-3' "pins of it"
	fails 1 ctl list
	run ctl upgrade
	want_eq "$(ctl count)" 3 flows
	run ctl detach --all
	want_detached
}

# An attach does not go on where the repair failed, nor is it forgotten that there is one to be made.
test_repair_fails() {
	run ctl attach ra
	D=$(pins)
	dies_at rename "${THIS[@]}" upgrade
	mv "$D/next-2/progs/ct_tc_egress" "$D/next-2/progs/hidden"
	fails 1 ctl attach rb
	want_match "$ERR" '^ctloader: attach: [^ ]*: Input/output error$' error
	fails 1 ctl upgrade
	fails 1 ctl list
	want_eq "$(pinned 'next-*/state')" "next-2/state" "pins of it"
	mv "$D/next-2/progs/hidden" "$D/next-2/progs/ct_tc_egress"
	run ctl attach ra rb
	want_eq "$(pinned 'next-*')" "" "pins of it"
	want_match "$OUT" 'ra: tc \(tcx\): attached already' "interface"
	run ctl detach --all
	want_detached
}

# A folder that can't be read is not an empty one, of which nothing were to be moved: the upgrade is in
# force then, and the next command does the rest.
test_folders_that_cannot_be_read() {
	local n
	tool fault
	need_probe "tracing other processes" fault true
	run ctl attach ra rb
	D=$(pins)
	ping_once
	run fault -o "$T/calls" "${THIS[@]}" upgrade
	for n in $(awk '/^getdents64/ && last !~ /^getdents64/ { n = NR }
		/^rename/ && n > 0 { print n; n = 0 } { last = $0 }' "$T/calls"); do
		capture fault -n "$n" -e EPERM "${THIS[@]}" upgrade
		((RC == 0)) || want_match "$ERR" '^ctloader: upgrade: the upgrade is in force: Operation not permitted \(the next command does the rest\)$' "error at $n"
		want_eq "$(ctl count)" 1 flows
		want_eq "$(pinned 'next-*')$(pinned 'done-*')" "" "pins of it"
		run ctl audit
	done
	run ctl detach --all
	want_detached
}

# tables: the sizes of the tables for IPv4 among these that there are.
tables() {
	local sizes
	sizes=$(bpftool -j map show name ct4 2>/dev/null | jq -s 'flatten | [.[].max_entries]')
	jq -rn --argjson all "$sizes" '$all - ($all - $ARGS.positional) | unique | join(" ")' \
		--jsonargs "$@"
}
only_table() { want_eq "$(tables 7001 7002 7003)" "$1" "tables"; }

# The arrays that are kept for a policy keep nothing else: old tables go.
test_policy_keeps_no_table() {
	run ctl attach --max 7001 ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_drop81" ra rb
	run ctl set max=7002
	run ctl set max=7003
	ping_once
	want_eq "$(ctl count -p icmp)" 1 "flows"
	wait_for 5 only_table 7003
	run ctl detach --all
	want_detached
}

# A policy that was loaded before an upgrade and attached behind it, or for the instance before this one,
# calls programs that have gone.
test_policy_of_others() {
	local what
	run ctl attach ra rb
	load_policies
	D=$(pins)
	rm -r "$D/test-maps"
	for what in upgrade "set max=300001"; do
		# shellcheck disable=SC2086 # words
		run ctl $what
		fails 1 ctl attach --policy "$D/test/ct_test_drop81" ra rb
		want_match "$ERR" '^ctloader: attach: --policy .*/ct_test_drop81: it was loaded with the maps of programs that have gone, or of another instance \(load it again\)$' error
		traffic_flows
		want_eq "$(ctl count -p icmp) $(stat_of .dropped.policy)" "1 0" "flows, and dropped by policy"
		run ctl flush
		rm -r "$D/test"
		load_policies
		rm -r "$D/test-maps"
	done
	run ctl attach --policy "$D/test/ct_test_drop81" ra rb
	run ctl upgrade
	run ctl attach --policy "$D/test/ct_test_drop81" ra rb
	traffic_flows
	want_eq "$(ctl count -p icmp) $(stat_of .dropped.policy)" "1 0" "flows, and dropped by policy"
	run ctl detach --all
	want_detached
}

# One who died after it had kept the policy's array is not in the way of the next.
test_policy_died() {
	run ctl attach ra rb
	load_policies
	D=$(pins)
	run ctl attach --policy "$D/test/ct_test_drop81" ra rb
	dies_at mkdir:2 "${THIS[@]}" upgrade
	want_eq "$(pinned 'policies/*')" "policies/tc_stages-2" "arrays kept"
	run ctl upgrade
	ping_once
	want_eq "$(ctl count -p icmp)" 1 "flows"
	run ctl detach --all
	want_detached
}

# A flush that comes between the switch and the end of a resize empties the table that is in force then.
test_flush_meets_resize() {
	need strace
	run ctl attach --max 7001 ra rb
	run in_a traffic flows 10.0.2.1 9 1000 0.5
	start resize strace -o "$T/renames" -e trace=rename -e inject=rename:signal=STOP:when=1 \
		"${THIS[@]}" set max=7002
	wait_for 10 grep -q 'stopped by SIGSTOP' "$T/renames"
	start flush strace -o "$T/calls" -e trace=flock,bpf "${THIS[@]}" flush
	wait_for 10 grep -qE 'flock.*EAGAIN|TEST_RUN' "$T/calls"
	kill -CONT -- "-${STARTED[resize]}"
	finish resize
	finish flush
	want_eq "$RC $(ctl count)" "0 0" "exit code of flush, and flows"
	run ctl detach --all
	want_detached
}

# Pins of another build that this one has no programs or maps for go; not a program of somebody else's.
test_pins_of_others() {
	local before
	run ctl attach ra rb
	D=$(pins)
	bpftool prog pin pinned "$D/progs/ct_ctl_get" "$D/somebodys"
	before=$(pinned '*')
	bpftool prog pin pinned "$D/progs/ct_ctl_get" "$D/progs/ct_ctl_gone"
	bpftool map pin pinned "$D/stats" "$D/gone"
	run ctl upgrade
	want_eq "$(pinned '*')" "$before" "pins"
	run ctl detach --all
	want_detached
}
