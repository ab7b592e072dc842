# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Listeners: each gets what it asked for, in order and numbered; every NEW has its one DESTROY;
# what a ring could not take is counted to the last event; and no listener can hold anybody up.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() {
	tool events
	topo_up
}

# new_flows N [FIRST]: that many UDP flows through the router, to a server that takes them.
new_flows() {
	[[ -n ${STARTED[sink]-} ]] || serve sink in_b traffic udp-sink 9
	in_a traffic -f "${2:-0}" flows 10.0.2.1 9 "${RATE:-100000}" \
		"$(awk -v n="$1" -v rate="${RATE:-100000}" 'BEGIN { print n / rate }')" >"$T/flows"
	want_eq "$(awk '{ print $2 }' "$T/flows")" "$1" "flows sent"
}

# summary NAME: what tools/events.c says of that listener's output.
summary() { events <"$T/$1.out"; }

# lines_of NAME N: the listener has written so many lines.
lines_of() { want_num "$(wc -l <"$T/$1.out")" -ge "$2" "lines of $1"; }

# ends NAME: the stream has ended by itself, and with exit code 0.
ends() {
	finish "$1" 30
	want_eq "$RC" 0 "exit code of events ($(<"$T/$1.err"))"
}

# ---- What each gets -----------------------------------------------------------------------------

# Listeners with different masks and filters run at once; each sees every event it asked for, and
# no other.
test_masks_and_filters() {
	run ctl attach ra rb
	serve echo in_b traffic udp-echo 7
	start all ctl events -o json
	start new ctl events -o json -e new
	start gone ctl events -o json -e destroy
	start changes ctl events -o json -e update,destroy -p tcp
	start icmp ctl events -o json -p icmp
	start narrow ctl events -o json -e new -p udp -d 10.0.2.0/24 --dport 7
	wait_for 5 listening 6
	serve tcp in_b traffic tcp-serve 80
	run in_a traffic udp-send 10.0.2.1 7 2 1000
	run in_a traffic udp-send fd00:2::1 7 2 1000
	run in_a traffic tcp-get 10.0.2.1 80 1000
	in_a ping -c 1 -q 10.0.2.1 >/dev/null
	run ctl detach --all
	for listener in all new gone changes icmp narrow; do
		ends "$listener"
		want_eq "$(summary "$listener" | jq .lost)" 0 "lost by $listener"
	done
	want_eq "$(summary all | jq -c '[.new, .destroy, .unpaired, .orphans, .gaps]')" '[4,4,0,0,0]' all
	want_eq "$(summary new | jq -c '[.new, .update, .destroy]')" '[4,0,0]' "-e new"
	want_eq "$(summary gone | jq -c '[.new, .update, .destroy]')" '[0,0,4]' "-e destroy"
	want_eq "$(jq -c .flow.proto "$T/changes.out" | sort -u)" '"tcp"' "-p tcp"
	want_eq "$(summary changes | jq -c '[.new, .destroy]')" '[0,1]' "-e update,destroy -p tcp"
	want_eq "$(jq -r .type "$T/icmp.out" | xargs)" 'new update destroy' "-p icmp"
	want_eq "$(jq -c '[.type, .flow.original.dst, .flow.original.dport]' "$T/narrow.out")" \
		'["new","10.0.2.1",7]' "a narrow filter"
	want_eq "$(jq -c 'select(.type == "update") | .flow.state' "$T/changes.out" | head -n 2 | xargs)" \
		"SYN_RECV ESTABLISHED" "states in updates"
}

# What `traffic flows` begins with.
FLOW1='src=10\.64\.0\.1 dst=10\.0\.2\.1 sport=1024 dport=9'
FLOW1_REPLY='src=10\.0\.2\.1 dst=10\.64\.0\.1 sport=9 dport=1024'

# fin_from PORT: a FIN from a to b's port 80, of a connection that nobody knows.
fin_from() {
	local -i sum=$((0x0a00 + 0x0101 + 0x0a00 + 0x0201 + 6 + 20 + $1 + 80 + 7 + 0x5011 + 501))
	local hex
	printf -v hex '%04x0050%08x%08x5011%04x%04x0000' "$1" 7 0 501 $((~(sum % 0xffff) & 0xffff))
	hex=$(sed 's/../\\x&/g' <<<"$hex")
	in_a bash -c "printf '$hex' | socat -u - IP4-SENDTO:10.0.2.1:6"
}

# log_invalid: the packet that was refused, why, and where it came in.
test_log_invalid() {
	run ctl attach ra rb
	in_b nft -f - <<-END
		table ip t { chain c { type filter hook input priority 0; ip protocol tcp drop; }; }
	END
	start json ctl events -o json -e invalid
	start text ctl events -e invalid -p tcp -d 10.0.2.1
	start none ctl events -e invalid -d 10.0.2.2
	wait_for 5 listening 3
	fin_from 1000
	run ctl set log_invalid=6
	fin_from 1001
	run ctl set nf_conntrack_log_invalid=255
	fin_from 1002
	run ctl detach --all
	ends json; ends text; ends none
	want_eq "$(jq -c '[.type, .seq, .reason, .packet.interface, .packet.src, .packet.sport, .packet.tcp.flags]' \
		"$T/json.out" | xargs -d '\n')" \
		'["invalid",1,"tcp_state","ra","10.0.1.1",1001,["FIN","ACK"]] ["invalid",2,"tcp_state","ra","10.0.1.1",1002,["FIN","ACK"]]' json
	want_match "$(head -n 1 "$T/text.out")" \
		'^\[INVALID\] tcp      6 src=10\.0\.1\.1 dst=10\.0\.2\.1 sport=1001 dport=80 reason=tcp_state in=ra len=40 flags=FIN,ACK seq=7 ack=0 win=501$' text
	want_eq "$(wc -l <"$T/text.out")" 2 "lines of text"
	want_eq "$(wc -l <"$T/none.out")" 0 "packets for somebody else"
	want_match "$(<"$T/none.err")" 'log_invalid is 0' "what it said at the beginning"
}

# An event's JSON has the contract's keys; text is conntrack(8)'s; -o timestamp puts the time first.
test_formats() {
	local now second
	run ctl attach ra rb
	start json ctl events -o json
	start text ctl events -o timestamp,id
	start plain ctl events
	wait_for 5 listening 3
	now=$EPOCHSECONDS
	new_flows 1
	run ctl detach --all
	for listener in json text plain; do ends $listener; done
	want_keys "$(sed -n 1p "$T/json.out")" . type seq time flow
	want_keys "$(sed -n 1p "$T/json.out")" .flow family proto protonum timeout original reply id
	want_keys "$(sed -n 2p "$T/json.out")" . type seq time reason flow
	want_eq "$(jq -c '[.type, .seq, .reason]' "$T/json.out" | xargs)" \
		'[new,1,null] [destroy,2,detached]' "events"
	want_eq "$(jq -s 'map(.flow.id) | unique | length' "$T/json.out")" 1 "ids of one flow"
	want_match "$(sed -n 1p "$T/plain.out")" \
		"^    \[NEW\] udp      17 (29|30) $FLOW1 \[UNREPLIED\] $FLOW1_REPLY\$" "NEW"
	want_match "$(sed -n 2p "$T/plain.out")" \
		"^\[DESTROY\] udp      17 (29 |30 )?$FLOW1 packets=1 bytes=44 \[UNREPLIED\] $FLOW1_REPLY " "DESTROY"
	want_match "$(sed -n 1p "$T/text.out")" '^\[[0-9]+\.[0-9]{6} *\].*\[NEW\] udp .* id=[0-9]+' \
		"with time and id"
	second=$(sed -n '1s/^\[\([0-9]*\)\..*/\1/p' "$T/text.out")
	want_num "$second" -ge "$now" "second of the event"
	want_num "$second" -le "$EPOCHSECONDS" "second of the event"
	want_match "$(<"$T/plain.err")" '2 flow events have been shown' "summary"
}

# -n ends after that many events; a reader that leaves ends it, too; so does SIGINT.
test_ends() {
	run ctl attach ra rb
	start three ctl events -e new -n 3
	start head bash -c '"$0" --netns "$1" events -e new | head -n 1' "$CTLOADER" "$NS_R"
	start interrupted ctl events -e new
	wait_for 5 listening 3
	new_flows 5
	ends three
	want_eq "$(wc -l <"$T/three.out")" 3 "lines with -n 3"
	ends head
	wait_for 3 lines_of interrupted 5
	stop interrupted INT
	want_eq "$RC" 0 "exit code after SIGINT"
	wait_for 3 listening 0
	run ctl detach --all
}

# ---- NEW and DESTROY ----------------------------------------------------------------------------

# Each of 20000 flows is told of once when it begins and once when it ends, with the reason: flushed,
# evicted, timed out, or by the detach, after which the stream ends by itself.
test_pairs() {
	run ctl attach --max 10000 ra rb
	start events ctl events -o json -b 64M
	wait_for 5 listening 1
	RATE=50000 new_flows 6000
	run ctl flush
	run ctl set udp_timeout=1
	RATE=50000 new_flows 4000 6000
	wait_for 10 none_left
	run ctl set udp_timeout=30
	RATE=50000 new_flows 10000 10000
	run ctl set max=9000
	new_flows 500 20000
	run ctl detach --all
	ends events
	summary events
	want_eq "$(summary events | jq -c '[.new, .destroy, .unpaired, .orphans, .gaps, .lost]')" \
		'[20500,20500,0,0,0,0]' "NEW, DESTROY, unpaired, orphans, gaps, lost"
	want_eq "$(summary events | jq -c '.reasons | [.flushed, .timeout]')" '[6000,4000]' \
		"ends by flush and timeout"
	want_num "$(summary events | jq .reasons.evicted)" -ge 500 "ends by eviction"
	want_eq "$(summary events | jq '.reasons | .flushed + .timeout + .evicted + .detached')" 20500 \
		"ends by these reasons"
}
none_left() { want_eq "$(ctl count)" 0 "flows"; }

# ---- The table first ----------------------------------------------------------------------------

# churn: for two seconds flows come and, a second later, go; beside them, connections.
churn() {
	local -i i
	start flood in_a traffic -f 1000 flows 10.0.2.1 9 5000 2
	for i in 1 2 3 4 5; do
		in_a traffic tcp-get 10.0.2.1 80 1000 >/dev/null
		in_b ping -c 1 -q 10.0.1.1 >/dev/null
		start "late$i" ctl events --sync -o json "$@"
	done
	finish flood
}

# Who comes late, and asks for the table, gets it once, whole, and then the changes to it: whatever happens
# while it is read, who follows the stream has at the end the very table that `list` shows.
test_sync() {
	local i want all
	run ctl attach --max 100000 ra rb
	serve tcp in_b traffic tcp-serve 80
	new_flows 1000
	run ctl set udp_timeout=1
	churn
	wait_for 10 only_steady
	all=$(ctl list -o json 2>/dev/null | events)
	for i in 1 2 3 4 5; do
		stop "late$i" INT
		want_eq "$RC" 0 "exit code of listener $i ($(<"$T/late$i.err"))"
		want=$(summary "late$i")
		echo "$want"
		want_eq "$(jq -c '[.twice, .orphans, .gaps, .lost, .synced - .sync]' <<<"$want")" '[0,0,0,0,0]' \
			"listener $i: twice, orphans, gaps, lost, synced - sync"
		want_eq "$(jq -c '[.unpaired, .table]' <<<"$want")" "$(jq -c '[.sync, .table]' <<<"$all")" \
			"listener $i: flows left, and the table"
		want_num "$(jq .sync <<<"$want")" -ge 1000 "flows of the table for listener $i"
		want_eq "$(sed -n '/"type":"synced"/q;p' "$T/late$i.out" | jq -r .type | sort -u)" sync \
			"events before the table is complete"
	done
	run ctl detach --all
}
# The first thousand, and five of TCP and ICMP each; the flood's have been swept, too.
only_steady() { want_eq "$(ctl count)" 1010 "flows"; }

# What --sync prints: flows as `list` does, that they were all, then numbered changes; with -e, FILTER, -n.
test_sync_formats() {
	run ctl attach ra rb
	new_flows 3
	start json ctl events --sync --reliable -o json -n 2
	start text ctl events --sync -e new,destroy -n 1
	start some ctl events --sync -e destroy -o json --sport 1025
	start none ctl events --sync -o json -e update --sport 5
	wait_for 5 synced json
	wait_for 5 synced none
	wait_for 5 synced some
	wait_for 5 grep -q '3 flow entries' "$T/text.err"
	new_flows 2 3
	ends json; ends text
	run ctl detach --all
	ends some; ends none
	want_eq "$(jq -c '[.type, .seq, .count, .flow.original.sport]' "$T/json.out" | xargs)" \
		'[sync,null,null,1024] [sync,null,null,1025] [sync,null,null,1026] [synced,null,3,null] [new,1,null,1027] [new,2,null,1028]' json
	want_keys "$(sed -n 1p "$T/json.out")" . type time flow
	want_match "$(sed -n 1p "$T/text.out")" \
		"^   \[SYNC\] udp      17 (29|30) $FLOW1 packets=1 bytes=44 \[UNREPLIED\] $FLOW1_REPLY packets=0 bytes=0 mark=0 use=1\$" SYNC
	want_eq "$(cut -c 1-10 "$T/text.out" | xargs)" '[SYNC] [SYNC] [SYNC] [NEW]' text
	want_match "$(<"$T/text.err")" '3 flow entries have been shown.*1 flow events have been shown' "summaries"
	want_eq "$(jq -c '[.type, .flow.original.sport]' "$T/some.out" | xargs)" \
		'[sync,1025] [synced,null] [destroy,1025]' "-e destroy --sport 1025"
	want_eq "$(<"$T/none.out")" '{"type":"synced","count":0}' "-e update --sport 5"
}
synced() { want_match "$(<"$T/$1.out")" '"type":"synced","count":'; }

# A table that was not printed to its end is not said to be complete, nor does anything follow.
test_sync_interrupted() {
	run ctl attach --max 20000 ra rb
	new_flows 20000
	mkfifo "$T/slow"
	# It takes a little, and the others when the writer, who waits for it, has been told to end.
	# shellcheck disable=SC2016 # for the shell within
	start reader sh -c 'exec 3<"$1"; head -c 100 <&3; while [ ! -e "$1.go" ]; do sleep 0.01; done; cat <&3' - "$T/slow"
	start late sh -c 'exec "$@" >"$0"' "$T/slow" "$CTLOADER" --netns "$NS_R" events --sync -o json
	wait_for 5 test -s "$T/reader.out"
	kill -TERM -- "-${STARTED[late]}"
	touch "$T/slow.go"
	finish late
	finish reader
	want_num "$(grep -c '"type":"sync"' "$T/reader.out")" -gt 10 "flows shown"
	want_eq "$(grep -c '"type":"\(synced\|new\|destroy\)"' "$T/reader.out")" 0 "what followed"
	run ctl detach --all
}

# What can't be told without a gap is not told at all: a ring that is too small for what happens meanwhile.
test_sync_lost() {
	run ctl attach --max 20000 ra rb
	new_flows 20000
	start flood in_a traffic -f 20000 flows 10.0.2.1 9 100000 20
	wait_for 15 too_small
	stop flood
	run ctl detach --all
}
# (Nothing may have happened for as long as it took: then it ends with the next event.)
too_small() {
	refuses 1 "events: the table can't be told" 'events were lost while it was read .*-b' \
		events --sync -b 4k -n 1
}

# ---- Losses -------------------------------------------------------------------------------------

# A ring that is too small for a reader that pauses loses events, and the stream says how many, where
# it happened: delivered and lost are all there were, and the numbers continue behind each gap.
test_small_ring() {
	local confirmed all
	run ctl attach ra rb
	start small ctl events -o json -e new -b 4k
	wait_for 5 listening 1
	RATE=1000 new_flows 500
	kill -STOP "${STARTED[small]}"
	new_flows 5000 500
	kill -CONT "${STARTED[small]}"
	new_flows 20000 5500
	confirmed=$(stat_of .lifecycle.confirmed)
	run ctl stats -o json
	want_eq "$(jq '.events | .delivered + .lost' <<<"$OUT")" "$confirmed" "stats: delivered + lost"
	run ctl detach --all
	ends small
	all=$(summary small)
	echo "$all"
	want_num "$(jq .lost <<<"$all")" -ge 4900 "events lost, of 5000 during the pause"
	want_eq "$(jq '.new + .lost' <<<"$all") $(jq .seq <<<"$all") $(jq .gaps <<<"$all")" \
		"$confirmed $confirmed 0" "new + lost, last number, unexplained gaps"
	want_match "$(<"$T/small.err")" " $(jq .lost <<<"$all") lost" "summary"
}

# A listener that does not read (stopped) holds up nobody: flows go on, flush and detach end in
# time. When it reads again it learns what it missed, and ends.
test_stopped_listener() {
	local began
	run ctl attach ra rb
	start stopped ctl events -o json -b 4k
	start reading ctl events -o json
	wait_for 5 listening 2
	kill -STOP "${STARTED[stopped]}"
	new_flows 10000
	want_eq "$(ctl count -p udp --dport 9)" 10000 "flows while a listener is stopped"
	began=$EPOCHREALTIME
	run timeout 60 "$CTLOADER" --netns "$NS_R" detach --all
	echo "detach: $(seconds_since "$began") s"
	want_num "$(seconds_since "$began" | cut -d. -f1)" -lt 6 "seconds of the detach of 10000 flows"
	ends reading
	want_eq "$(summary reading | jq -c '[.new, .destroy, .unpaired, .lost]')" '[10000,10000,0,0]' \
		"what the other listener got"
	kill -CONT "${STARTED[stopped]}"
	ends stopped
	summary stopped
	want_eq "$(summary stopped | jq '.new + .update + .destroy + .lost') $(summary stopped | jq .gaps)" \
		"20000 0" "what the stopped one got or missed, and unexplained gaps"
	want_detached
}

# A reliable listener with a small ring that is stopped: each of 100,000 flows that end meanwhile is told of
# as destroyed, once. It is stopped again and again while others come and go: whatever is told of a flow is so
# in its order, and what is lost are other events, all of them accounted for.
test_reliable() {
	local all
	run ctl attach --max 200000 ra rb
	start reliable ctl events -e new,destroy -o json -b 64k --reliable --backlog 40000
	start plain ctl events -e destroy -o json -b 64k
	wait_for 5 listening 2
	kill -STOP "${STARTED[reliable]}" "${STARTED[plain]}"
	new_flows 40000
	run ctl flush
	kill -CONT "${STARTED[reliable]}" "${STARTED[plain]}"
	wait_for 20 lines_of reliable 40000
	run ctl set udp_timeout=1
	start flood in_a traffic -f 100000 flows 10.0.2.1 9 10000 1.5
	while running flood || (($(ctl count) > 0)); do
		kill -STOP "${STARTED[reliable]}"
		sleep 0.1 # it is to be stopped for a while: there is nothing to wait for
		kill -CONT "${STARTED[reliable]}"
		ctl count >/dev/null
	done
	finish flood
	run ctl detach --all
	ends reliable; ends plain
	all=$(summary reliable)
	echo "$all"
	summary plain
	want_eq "$(jq -c '[.destroy, .reasons.flushed, .gaps, .twice, .unpaired]' <<<"$all")" \
		'[55000,40000,0,0,0]' "destroyed, of these flushed, gaps, twice, unpaired"
	want_eq "$(jq -c '[.new + .lost, .orphans - .lost]' <<<"$all")" '[55000,0]' \
		"new or lost; destroyed without a new, but for those lost"
	want_num "$(jq .reasons.timeout <<<"$all")" -ge 10000 "timed out"
	want_num "$(jq .new <<<"$all")" -ge 600 "new"
	want_num "$(summary plain | jq .destroy)" -lt 100000 "destroyed, without a backlog"
}

# A backlog that is too small: as many as it takes are told, the others are lost, counted, and placed. That of
# a listener that died goes with its ring.
test_small_backlog() {
	local all
	run ctl attach --max 20000 ra rb
	start reliable ctl events -e new,destroy -o json -b 4k --reliable --backlog 1000
	wait_for 5 listening 1
	kill -STOP "${STARTED[reliable]}"
	new_flows 10000
	run ctl flush
	want_match "$ERR" 'does not read: [0-9]+ events are lost' "what flush says"
	kill -CONT "${STARTED[reliable]}"
	wait_for 5 lines_of reliable 1000
	new_flows 5 10000
	start dead ctl events --reliable
	wait_for 5 listening 2
	want_eq "$(bpftool -j map dump pinned "$(pins)/backlogs" | jq length)" 2 "backlogs"
	stop dead KILL
	run ctl flush
	want_eq "$(bpftool -j map dump pinned "$(pins)/backlogs" | jq length)" 1 "backlogs when one has died"
	run ctl detach --all
	ends reliable
	all=$(summary reliable)
	echo "$all"
	want_num "$(jq .destroy <<<"$all")" -ge 1005 "destroyed"
	want_num "$(jq .destroy <<<"$all")" -lt 5000 "destroyed"
	want_eq "$(jq '.new + .destroy + .lost' <<<"$all") $(jq '.gaps' <<<"$all")" "20010 0" "told or lost, gaps"
}

# The backlog of a listener that is stopped survives an upgrade, and another table.
test_backlog_upgraded() {
	run ctl attach --max 20000 ra rb
	start reliable ctl events -e destroy -o json -b 4k --reliable
	wait_for 5 listening 1
	kill -STOP "${STARTED[reliable]}"
	new_flows 1000
	run ctl flush
	run ctl upgrade
	new_flows 500 1000
	run ctl set max=30000
	run ctl flush
	kill -CONT "${STARTED[reliable]}"
	run ctl detach --all
	ends reliable
	want_eq "$(summary reliable | jq -c '[.destroy, .reasons.flushed, .lost, .gaps]')" '[1500,1500,0,0]' \
		"destroyed, flushed, lost, gaps"
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", b - a }'; }

# ---- Slots --------------------------------------------------------------------------------------

# There is room for eight: the ninth is refused with one line. The place of one that was killed is
# given to the next, and what it had asked for costs nothing any more.
test_nine_listeners() {
	local i
	run ctl attach ra rb
	for i in 1 2 3 4 5 6 7 8; do
		start "l$i" ctl events -o json -e new
		wait_for 5 listening "$i"
	done
	refuses 1 'events: 8 listeners' 'all places .* taken' events
	stop l3 KILL
	start ninth ctl events -o json -e new
	wait_for 5 owned_by_ninth
	new_flows 10
	run ctl detach --all
	for i in 1 2 4 5 6 7 8; do
		ends "l$i"
		want_eq "$(summary "l$i" | jq .new)" 10 "events of listener $i"
	done
	ends ninth
	want_eq "$(summary ninth | jq -c '[.new, .lost, .gaps]')" '[10,0,0]' "events of the ninth"
}
owned_by_ninth() {
	listening 8
	refuses 1 'events: 8 listeners' taken events
	kill -0 "${STARTED[ninth]}"
}

# ---- Speed --------------------------------------------------------------------------------------

# 100,000 new flows a second for five seconds: a listener keeps up, or says exactly what it lost.
test_keeps_up() {
	local confirmed got
	run ctl attach --max 300000 ra rb
	start events ctl events -e new
	wait_for 5 listening 1
	new_flows 200000
	cat "$T/flows"
	confirmed=$(stat_of .lifecycle.confirmed)
	stop events INT
	want_eq "$RC" 0 "exit code"
	got=$(grep -c '\[NEW\]' "$T/events.out")
	lost=$(awk '/^\[LOST\]/ { n += $2 } END { print n + 0 }' "$T/events.out")
	echo "$confirmed flows confirmed, $got events shown, $lost lost ($(<"$T/events.err"))"
	want_num "$confirmed" -ge 160000 "flows confirmed"
	want_eq $((got + lost)) "$confirmed" "events shown and lost"
	run ctl detach --all
}
