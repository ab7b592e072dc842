# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `audit` finds nothing after traffic of every kind, and while it runs; and what is broken by hand,
# by bpftool, tc and rm, it names: that and nothing else.
#
# FULL=1 has the traffic at every kind of hook, and the load at two.
# TIMEOUT: 240

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# broken "NAME..." [TEXT]: audit names exactly these, and TEXT matches what it says of them.
broken() {
	local said
	fails 1 ctl audit -o json
	said=$(jq -r '.invariants[] | select(.ok | not) | .name + ": " + .text' <<<"$OUT")
	want_eq "$(jq -r '[.invariants[] | select(.ok | not) | .name] | join(" ")' <<<"$OUT")" "$1" \
		"broken invariants ($said)"
	want_match "$said" "${2-.}" "what audit says"
}

# ---- Sound ---------------------------------------------------------------------------------------

# Packets of every kind: TCP that is closed, refused, reset and left open; UDP and ICMP, answered,
# unanswered and refused by an ICMP error; packets that are refused; more flows than there is room
# for, through the router, to it, and to where there is no way, for which nobody confirms them.
everything() {
	local to
	for to in 10.0.2.1 fd00:2::1 10.0.1.254 fd00:1::fe; do
		in_a ping -c 2 -i 0.02 -W 2 -q "$to" >/dev/null
		in_a traffic tcp-get "$to" 80 1000 >/dev/null
		fails 2 in_a traffic tcp-get "$to" 81 1
		in_a traffic udp-send "$to" 7 3 1000 >/dev/null
		in_a traffic udp-send -w 0 "$to" 99 2 1000 0 >/dev/null
		in_a traffic raw "$to" 6 03e80050000000010000000050ff0000 >/dev/null # all flags
		in_a traffic raw "$to" 17 03e8 >/dev/null
		in_a traffic flows "$to" 9 5000 0.2 >/dev/null
	done
	in_a traffic flows 10.9.0.1 9 5000 0.1 >/dev/null
	in_r traffic udp-send 10.0.1.1 7 1 1000 0 >/dev/null
}

serve_everything() {
	serve echo in_b traffic udp-echo 7
	serve tcp in_b traffic tcp-serve 80
	serve sink in_b traffic udp-sink 9
	serve router_echo in_r traffic udp-echo 7
	serve router_tcp in_r traffic tcp-serve 80
	serve router_sink in_r traffic udp-sink 9
	ip -n "$NS_R" route add blackhole 10.9.0.0/16
}

# At each kind of hook; refused packets dropped or not; what a policy drops; with the table kept
# and taken up again; and when the instance has gone.
test_sound_after_traffic() {
	local hook hooks
	serve_everything
	xdp_pass a
	xdp_pass b
	hooks=("--hook tc" "--hook native")
	[[ -z ${FULL-} ]] || hooks+=("--hook tc --tc clsact" "--hook native --confirm xdp")
	for hook in "${hooks[@]}"; do
		# shellcheck disable=SC2086 # words
		run ctl attach $hook --max 2048 ra rb
		sound "after attach $hook"
		everything
		sound "after traffic, $hook"
		want_num "$(stat_of .lifecycle.evicted)" -gt 0 "evictions"
		run ctl set drop_invalid=1 full=drop
		load_policies
		run ctl attach --policy "$(pins)/test/ct_test_drop81" ra
		in_a traffic udp-send -w 0 10.0.2.1 81 50 10000 0 >/dev/null
		in_a traffic raw 10.0.2.1 6 03e80050000000010000000050ff0000 >/dev/null
		in_a traffic flows 10.0.2.1 9 20000 0.2 >/dev/null
		sound "after a policy, $hook"
		run ctl detach --keep --all
		sound "with the table kept, $hook"
		# shellcheck disable=SC2086
		run ctl attach $hook ra rb
		sound "with the table taken up, $hook"
		in_a traffic flows 10.0.2.1 9 20000 0.1 >/dev/null
		run ctl upgrade
		sound "after an upgrade, $hook"
		run ctl set max=1024
		sound "with a smaller table, $hook"
		run ctl flush
		sound "after a flush, $hook"
		run ctl detach --all
		run ctl audit
		want_match "$OUT" $'^there is no instance here\nok +leftovers' "audit after detach"
	done
}

# While new flows push out old ones, in the table and among the unconfirmed, and others come and go.
test_sound_under_load() {
	local i hook hooks
	serve_everything
	hooks=("--hook native")
	[[ -z ${FULL-} ]] || hooks+=("--hook tc")
	for hook in "${hooks[@]}"; do
		# shellcheck disable=SC2086
		run ctl attach $hook --max 1024 ra rb
		start flood in_a traffic flows 10.0.2.1 9 0 60
		start ping in_a traffic ping-flood 10.0.2.1 2000
		wait_for 10 evicting
		for ((i = 0; i < 4; i++)); do sound "under load, $hook"; done
		run ctl flush
		sound "after a flush under load, $hook"
		stop flood
		stop ping
		start nowhere in_a traffic flows 10.9.0.1 9 0 60
		wait_for 10 pushing
		sound "while unconfirmed flows are pushed out, $hook"
		stop nowhere
		sound "after the load, $hook"
		want_num "$(stat_of .lifecycle.lost_unconfirmed)" -gt 0 "unconfirmed that were pushed out"
		run ctl detach --all
	done
}
evicting() { want_num "$(stat_of .lifecycle.evicted)" -gt 2000; }
pushing() { want_num "$(stat_of .unconfirmed)" -gt 20000; }

# ---- Broken --------------------------------------------------------------------------------------

# bytes NUMBER [SIZE]: little end first, as bpftool takes them.
bytes() {
	local n=$1 i
	for ((i = 0; i < ${2-8}; i++)); do printf '0x%02x ' $((n >> 8 * i & 255)); done
}

# element MAP: its first one. at MAP KEY...: that one. put MAP ELEMENT: into the map; key and value from its JSON.
element() { bpftool -j map dump pinned "$(pins)/$1" | jq -c '.[0]'; }
at() { bpftool -j map lookup pinned "$(pins)/$1" key "${@:2}" | jq -c .; }
put() {
	# shellcheck disable=SC2046 # words
	bpftool map update pinned "$(pins)/$1" key $(jq -r '.key | join(" ")' <<<"$2") \
		value $(jq -r '.value | join(" ")' <<<"$2")
}

# change KEY|VALUE OFFSET BYTE...: of the element on standard input.
change() {
	local where=${1,,} at=$2
	shift 2
	jq -c --argjson at "$at" --args ".${where}[\$at:\$at + (\$ARGS.positional | length)] = \$ARGS.positional" "$@"
}

# with_flow: an instance, and one flow in it.
with_flow() {
	run ctl attach ra rb
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	sound "with a flow"
}

# A flow that is taken out behind everybody's back; one that is put in; one with another's slot.
test_broken_table() {
	local e
	with_flow
	e=$(element ct4)
	# shellcheck disable=SC2046
	bpftool map delete pinned "$(pins)/ct4" key $(jq -r '.key | join(" ")' <<<"$e")
	broken "confirmed flows slots" 'confirmed 1 = flows 0 \+ destroyed 0.*IPv4: 1 slots taken'
	put ct4 "$e"
	sound "when it has come back"

	put ct4 "$(change key 8 0x07 <<<"$e")"
	broken "confirmed flows index" 'confirmed 1 = flows 2 .*IPv4: 1 flows whose slot'
	# shellcheck disable=SC2046
	bpftool map delete pinned "$(pins)/ct4" key $(change key 8 0x07 <<<"$e" | jq -r '.key | join(" ")')
	sound "when it has gone"

	put index4 "$(at index4 0 0 0 0 | change value 8 0x07)"
	broken "index slots" 'IPv4: 1 flows whose slot.*IPv4: 1 slots taken'
	run ctl detach --all
}

# A flow that somebody holds and never gives back; one that has been over for hours; a sweep that
# does not come any more.
test_broken_entries() {
	local e
	with_flow
	e=$(element ct4)
	put ct4 "$(change value 0 "$(printf '0x%02x' $(($(jq -r '.value[0]' <<<"$e") | 1)))" <<<"$e")"
	broken entries 'IPv4: 1 entries that are not live flows, or that somebody holds'
	# shellcheck disable=SC2046
	put ct4 "$(change value 8 $(bytes 1) <<<"$e")"
	broken overdue 'IPv4: 1 flows that the sweep has forgotten'
	put ct4 "$e"
	sound "when it is as it was"
	# shellcheck disable=SC2046
	bpftool map update pinned "$(pins)/sweep_timer" key 0 0 0 0 value $(bytes 0 16)
	wait_for 15 broken sweep 'has not come for [0-9]+ s'
	run ctl detach --all
}

# An unconfirmed flow that is stuck: nobody opened it, it is old, and the sweep can't take it.
test_broken_unconfirmed() {
	local e
	with_flow
	in_a traffic flows 10.0.2.1 9 100 0.01 >/dev/null
	e=$(element ct4 | jq -c '.key = ([range(40)] | map("0x07"))')
	# Held: word LIVE and BUSY; prepared in the first tick.
	# shellcheck disable=SC2046
	put unconfirmed "$(change value 0 0x03 <<<"$e" | change value 112 $(bytes 1))"
	broken "created unconfirmed age" 'counter 0 = unconfirmed 1'
	run ctl detach --all
}

# A count of a source's flows that is too high.
test_broken_sources() {
	run ctl attach ra rb
	run ctl set max_unassured_per_source=10
	in_a traffic flows 10.0.2.1 9 100 0.02 >/dev/null
	sound "with flows that are counted"
	put sources "$(element sources | change value 0 0x07)"
	broken sources 'counts 7 = counted 2'
	run ctl detach --all
}

# counter ARRAY INDEX: add one to it, on every CPU, where all counters are zero.
counter() {
	local value n i words=''
	value=$(bpftool -j map dump pinned "$(pins)/stats" | jq -c '.[0].formatted.values[0].value')
	n=$(jq '[.. | numbers] | length' <<<"$value")
	i=$(jq --arg array "$1" '[to_entries | .[:map(.key == $array) | index(true)][] | .. | numbers] |
		length' <<<"$value")
	words=$(bytes 0 $((8 * (i + $2))))$(bytes 1)$(bytes 0 $((8 * (n - i - $2 - 1))))
	# shellcheck disable=SC2086
	bpftool map update pinned "$(pins)/stats" key 0 0 0 0 value $words
}

# index_of GROUP KEY: the place of a counter in its list, which is that of `stats`.
index_of() { ctl stats -o json | jq --arg key "$2" ".$1 | keys_unsorted | index(\$key)"; }

# Counters that do not add up, each at rest.
test_broken_counters() {
	run ctl attach ra rb
	run ctl detach --keep --all
	counter counters "$(index_of lifecycle created)"
	broken created 'created [12] = confirmed 0'
	counter counters "$(index_of lifecycle confirmed)"
	broken "created confirmed" 'confirmed [12] = flows 0'
	counter counters "$(index_of lifecycle destroyed)"
	broken "confirmed ends" 'destroyed [12] = timeout 0'
	counter counters "$(index_of lifecycle evicted)"
	broken evicted 'evicted [12] = reason_evicted 0'
	counter counters "$(index_of lifecycle clash_resolved)"
	broken dropped 'clash_resolved [12] .* <= dropped 0'
	counter counters "$(index_of lifecycle lost_unconfirmed)"
	broken created 'created 0 = .* lost [12]'
	counter ends "$((1 + $(index_of ends timeout)))"
	broken ends 'destroyed 0 = timeout [12]'
	counter packets "$(index_of packets.ingress invalid)"
	broken classes 'invalid [12] \+ untracked 0 = reasons 0'
	counter reasons 1
	broken classes 'invalid 0 \+ untracked 0 = reasons [12]'
	# shellcheck disable=SC2046
	put state "$(element state | change value 0 $(bytes 3))"
	broken "classes flows" 'counter 3 = flows 0'
	run ctl attach ra
	run ctl detach --all
}

# A stage that is empty, or another's.
test_broken_stages() {
	run ctl attach ra rb
	bpftool map delete pinned "$(pins)/tc_stages" key 0 0 0 0
	broken stages 'tc: stage in is empty'
	bpftool map update pinned "$(pins)/tc_stages" key 0 0 0 0 value pinned "$(pins)/progs/ct_tc_confirm"
	broken stages "tc: stage in has program [0-9]+ 'ct_tc_confirm', not ours"
	bpftool map update pinned "$(pins)/tc_stages" key 0 0 0 0 value pinned "$(pins)/progs/ct_tc_in"
	bpftool map delete pinned "$(pins)/xdp_stages" key 2 0 0 0
	broken stages 'XDP: stage confirm is empty'
	run ctl detach --all
}

# Pins that have gone, or are of something else; that others may write to, or that are others'.
test_broken_pins() {
	local pins
	run ctl attach ra rb
	pins=$(pins)
	chmod 0622 "$pins/ct4"
	broken owner "$pins/ct4: others may write to it \(mode 0622\)"
	chmod 0600 "$pins/ct4"
	mkdir -m 0755 "$pins/test"
	chown 1 "$pins/test"
	broken owner "$pins/test belongs to user 1"
	rmdir "$pins/test"
	sound "with pins as they were"
	rm "$pins/progs/ct_ctl_relearn" "$pins/chunk"
	broken pins 'ct_ctl_relearn: its pin has gone.*chunk: its pin has gone|chunk: .*ct_ctl_relearn: '
	bpftool map create "$pins/chunk" type percpu_array key 4 value 524 entries 1 name chunk
	broken pins 'uses map [0-9]+ chunk, pinned is map [0-9]+'
	run ctl detach --all
}

# Links, filters and the qdisc.
test_broken_interfaces() {
	local rb
	rb=$(ip -n "$NS_R" -j link show rb | jq '.[0].ifindex')
	run ctl attach --hook native ra rb
	rm "$(pins)/links/$rb-tc-egress"
	broken interfaces 'rb: tc egress: the pin of our link has gone$'
	bpftool link detach pinned "$(pins)/links/$rb-xdp"
	broken interfaces 'rb: XDP: our link has been detached; rb: tc egress: '
	run ctl detach --all
	run ctl attach --hook tc --tc clsact ra rb
	tc -n "$NS_R" filter del dev rb egress
	broken interfaces 'rb: tc egress: our filter has gone$'
	run ctl detach --all
}

# Programs, maps and filters of an instance that has gone; half an instance; an empty folder.
test_broken_leftovers() {
	local top
	shared_bpffs
	run ctl attach --tc clsact ra rb
	top=$(dirname "$(dirname "$(pins)")")
	bpftool prog pin pinned "$(pins)/progs/ct_ctl_sweep" "$top/other"
	bpftool map pin pinned "$(pins)/ct6" "$top/table"
	sound "while the instance is there"
	run ctl detach --all
	broken leftovers "program [0-9]+ ct_ctl_sweep, pinned at $top/other.*map [0-9]+ ct6, pinned at $top/table"
	rm "$top/other" "$top/table"
	sound "when they have gone"

	# Without its pins, and with its filters.
	run ctl attach --tc clsact ra rb
	rm -r "$(pins)"
	broken leftovers "a tc filter on ingress of ra \(program [0-9]+ 'ct_tc_ingress.*on egress of rb"
	want_match "$OUT" 'map [0-9]+ stats' "what is left"
	tc -n "$NS_R" qdisc del dev ra clsact
	tc -n "$NS_R" qdisc del dev rb clsact
	broken leftovers "^leftovers: $top/ctloader\$"
	rmdir "$top/ctloader"
	mkdir -p "$top/ctloader/half/links"
	broken leftovers "^leftovers: instance half at $top/ctloader/half: it is not whole\$"
	rm -r "$top/ctloader"
	sound "when all of that has gone"
}
