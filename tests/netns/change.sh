# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# delete, update, create, and the mark that an interface gives: what they say, and what becomes of the
# flows and of those who listen. (Which flows a filter means is in unit/filter.c and prog/change.c.)

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

TUPLE=(-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1000 --dport 80)
BACK=(-p tcp -s 10.0.2.1 -d 10.0.1.1 --sport 80 --dport 1000)

# What is incomplete, or means nothing, is refused, and nothing is done.
test_refusals() {
	local icmp=(-p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-id 1) sctp=(-p sctp "${TUPLE[@]:2}")
	refuses 2 'delete: FILTER' "say which flows; 'ctloader flush' deletes them all" delete
	refuses 2 'update: FILTER' 'say which flows' update --mark 1
	refuses 2 'update: --mark, --timeout' 'say what is to change' update -p tcp
	refuses 2 'update: --mark x' 'not MARK' update -p tcp --mark x
	refuses 2 'update: --mark 1/x' 'not MARK' update -p tcp --mark 1/x
	refuses 2 'update: --timeout -1' 'not a number' update -p tcp --timeout -1
	refuses 2 'create: the tuple is not complete; missing' '--sport, --dport' create \
		-p tcp -s 10.0.1.1 -d 10.0.2.1 -t 5 --state CLOSE
	refuses 2 'create: --timeout' 'for how many seconds' create "${TUPLE[@]}" --state CLOSE
	refuses 2 'create: --timeout' 'one at least' create "${TUPLE[@]}" --state CLOSE -t 0
	refuses 2 'create: --state' 'missing; flows of this protocol have one' create "${TUPLE[@]}" -t 5
	refuses 2 'create: --state NONE' 'no flow is in this state' create "${TUPLE[@]}" -t 5 --state NONE
	refuses 2 'create: --orig-vtag, --reply-vtag' 'missing' create "${sctp[@]}" -t 5 --state CLOSED \
		--orig-vtag 1
	refuses 2 'create: --orig-vtag, --reply-vtag' "SCTP's" create "${TUPLE[@]}" -t 5 --state CLOSE \
		--orig-vtag 1
	refuses 2 'create: --icmp-type 0' 'not a request' create "${icmp[@]}" --icmp-type 0 -t 5
	refuses 2 'create: -p 1' 'not a protocol of this family' create -p icmp -s fd00::1 -d fd00::2 \
		--icmp-id 1 --icmp-type 8 -t 5
	refuses 2 'create: --mark' 'no mask' create "${TUPLE[@]}" -t 5 --state CLOSE --mark 1/1
	refuses 2 'create: -u' 'SEEN_REPLY, ASSURED' create "${TUPLE[@]}" -t 5 --state CLOSE -u DYING
	refuses 2 'create: -u' 'UNSET and another' create "${TUPLE[@]}" -t 5 --state CLOSE -u UNSET,ASSURED
	refuses 1 'delete: table' 'not loaded' delete -p tcp
	refuses 1 'update: table' 'not loaded' update -p tcp --mark 1
	refuses 1 'create: table' 'not loaded' create "${TUPLE[@]}" -t 5 --state CLOSE
	want_detached
}

# A flow that is created shows, is changed and goes, by either direction and by a filter; each step says
# how many, and is told.
test_life() {
	local n
	run ctl attach ra rb
	start events ctl events -e new,update,destroy -p tcp -o json
	wait_for 5 listening 1
	run ctl create "${TUPLE[@]}" --timeout 1000 --state ESTABLISHED -u SEEN_REPLY,ASSURED --mark 0xf
	want_match "$OUT" ': 1 flow entries have been created\.$' "create"
	run ctl create "${TUPLE[@]}" --dport 81 --timeout 1000 --state SYN_SENT -o json
	want_eq "$OUT" '{"created":1}' "create -o json"
	refuses 1 'create: tcp src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000' 'exists already' \
		create "${BACK[@]}" -t 5 --state ESTABLISHED
	want_match "$(ctl list -p tcp --dport 80 2>/dev/null)" "^tcp      6 [0-9]+ ESTABLISHED src=10\.0\.1\.1 \
dst=10\.0\.2\.1 sport=1000 dport=80 src=10\.0\.2\.1 dst=10\.0\.1\.1 sport=80 dport=1000 \
\[ASSURED\] mark=15 use=1$" "the flow"
	run ctl update "${BACK[@]}" --mark 0x20/0xc --timeout 500 -o json
	want_eq "$OUT" '{"updated":1}' "update -o json"
	want_eq "$(flow -p tcp --dport 80 | json '[.mark, .timeout > 490 and .timeout <= 500] | @csv')" '35,true' "the update"
	run ctl update -p tcp -m 0 --mark 9 --state SYN_SENT
	want_match "$OUT" ': 1 flow entries have been updated\.$' "update by a filter"
	want_eq "$(ctl count -m 9)" 1 "flows of mark 9"
	fails 1 ctl update -p tcp --dport 82 --mark 9
	want_match "$OUT" ': 0 flow entries have been updated\.$' "an update of nothing"
	fails 1 ctl delete "${BACK[@]}" -w 3 -o json
	want_eq "$OUT" '{"deleted":0}' "a delete in another zone"
	run ctl delete "${BACK[@]}"
	want_match "$OUT" ': 1 flow entries have been deleted\.$' "delete"
	fails 1 ctl delete "${BACK[@]}"
	run ctl delete -p tcp -d 10.0.0.0/8 -o json
	want_eq "$OUT" '{"deleted":1}' "delete by a filter"
	wait_for 5 told 6
	want_eq "$(json -r '[.type, .flow.original.dport, .reason // "-"] | join(" ")' <"$T/events.out" | paste -sd,)" \
		"new 80 -,new 81 -,update 80 -,update 81 -,destroy 80 deleted,destroy 81 deleted" "events"
	in_a traffic flows 10.0.2.1 9 20000 0.1 >/dev/null
	n=$(ctl count -p udp --dport 9)
	run ctl delete -p udp --dport 9 -o json
	want_eq "$OUT" "{\"deleted\":$n}" "many flows"
	run ctl audit
	run ctl detach --all
}

told() { want_eq "$(wc -l <"$T/events.out")" "$1"; }

# Flows begin with the mark of the interface that they come in by; another holds at once, for new ones.
test_iface_mark() {
	fails 2 ctl attach --mark 1/1 ra
	run ctl attach --mark 7 ra
	run ctl attach rb
	run in_a ping -qc1 10.0.2.1
	run in_b ping -qc1 10.0.1.1
	want_eq "$(ctl count -m 7) $(ctl count -m 7 -s 10.0.1.1)" "1 1" "flows that begin at ra"
	want_eq "$(ctl status -o json | json -c '[.interfaces[].mark]')" '[7,0]' "marks in status"
	want_match "$(ctl status)" 'ra .*, mark 7' "status"
	run ctl attach ra # as it is
	run ctl attach --mark 8 ra rb
	run in_a ping -qc1 10.0.2.1
	run in_b ping -qc1 10.0.1.1
	want_eq "$(ctl count -m 7) $(ctl count -m 8)" "1 2" "flows after the change"
	run ctl detach --all
}
