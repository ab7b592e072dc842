# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The world changes under an instance that is attached: interfaces go, come back as others, are
# renamed, moved and taken down; somebody takes our links, filters, qdiscs and pins away, or attaches
# what is his before, after or in place of ours. `status` and `audit` say what is wrong, `attach`
# repairs it as it was, `detach` ends clean, and what is somebody else's stays.
# TIMEOUT: 120

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

# How this test attaches.
HOOK=()

setup() {
	topo_up
	tool others tcx
	serve echo in_b traffic udp-echo 7
	serve ping in_a traffic ping-flood 10.0.2.1 500
}

ifindex() { ip -n "$NS_R" -j link show "$1" | jq '.[0].ifindex'; }

# says wrong|notes IFACE: what status has to say of it.
says() {
	ctl status -o json | jq -r --arg name "$2" --arg key "$1" \
		'.interfaces[] | select(.name == $name) | .[$key] | join("; ")'
}

# wrong IFACE TEXT: status says so, in text and in JSON, and audit does.
wrong() {
	want_match "$(says wrong "$1")" "$2" "what status says of $1"
	want_match "$(ctl status)" "$2" "status as text"
	fails 1 ctl audit -o json
	want_match "$(jq -r '.invariants[] | select(.ok | not) | .name + ": " + .text' <<<"$OUT")" \
		"^interfaces: .*$1: $2" "what audit says"
}

# whole IFACE [NOTE]: nothing is wrong with it; but there is this to be said.
whole() {
	want_eq "$(says wrong "$1")" "" "what is wrong with $1"
	want_match "$(says notes "$1")" "${2-^$}" "what status notes of $1"
	sound "of what is whole"
}

# passes: packets are tracked at both interfaces.
passes() {
	run ctl flush
	run in_a traffic udp-send 10.0.2.1 7 4 1000
	want_eq "$(flow -p udp | jq -c '[.original.packets, .reply.packets]')" '[4,4]' "packets"
}

# repaired: attach makes it as it was, without being told how.
repaired() {
	local was=$METHODS
	run ctl attach ra rb
	want_eq "$(methods)" "$was" "hooks and methods after the repair"
	sound "after the repair"
	passes
}
methods() { ctl status -o json | jq -c '.interfaces | map([.name, .hook, .method, .zone])'; }

# begin_world OPTIONS...: attach with these, in a zone of its own.
begin_world() {
	HOOK=("$@" --zone 7)
	! [[ $* == *native* ]] || { xdp_pass a && xdp_pass b; }
	ip -n "$NS_R" link del rb
	new_rb 77 # a number that it keeps wherever it goes
	run ctl attach "${HOOK[@]}" ra rb
	METHODS=$(methods)
	passes
}

end_world() {
	run ctl detach --all
	want_detached
	run ctl audit
}

# ---- What happens at every hook -----------------------------------------------------------------

# Renamed, down and up again: it stays attached.
renamed_and_down() {
	ip -n "$NS_R" link set rb down
	whole rb '^the interface is down$'
	run ctl attach ra rb
	want_match "$OUT" $'rb: [^\n]*attached already' "attach"
	ip -n "$NS_R" link set rb name rx
	ip -n "$NS_R" link set rx up
	whole rx
	want_eq "$(says wrong rb)" "" "what there is of rb"
	refuses 1 'detach: rb' 'no such interface' detach rb
	ip -n "$NS_R" link set rx down
	ip -n "$NS_R" link set rx name rb
	up_again
	passes
}

# What a link loses when it goes down.
up_again() {
	ip_in "$NS_R" <<-'END'
		link set rb up
		addr replace 10.0.2.254/24 dev rb
		addr replace fd00:2::fe/64 dev rb nodad
		neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev rb nud permanent
		neigh replace fd00:2::1 lladdr 02:00:00:00:02:01 dev rb nud permanent
	END
}

# Moved to another network namespace and back: $1 is what is wrong then, $2 when it is back. An
# attach of another interface clears it away, so that nothing of ours stays on it.
moved() {
	local index
	index=$(ifindex rb)
	ip -n "$NS_R" link set rb netns "$NS_A"
	wrong "ifindex $index" "$1"
	ip -n "$NS_A" link set rb netns "$NS_R"
	up_again
	[[ -z ${2-} ]] || wrong rb "$2"
	repaired
	ip -n "$NS_R" link set rb netns "$NS_A"
	run ctl attach ra
	want_eq "$(ctl status -o json | jq -c '.interfaces | map(.name)')" '["ra"]' "interfaces"
	want_no_match "$(ip -n "$NS_A" -d link show rb)" 'prog/xdp' "XDP of what was moved"
	sound "when what was moved has been cleared away"
	ip -n "$NS_A" link set rb netns "$NS_R"
	up_again
	run ctl attach "${HOOK[@]}" rb
	want_eq "$(methods)" "$METHODS" "hooks and methods"
	passes
}

# Removed, and another of the same name and number in its place, which has nothing of ours.
replaced() {
	local index
	index=$(ifindex rb)
	ip -n "$NS_R" link del rb
	wrong "ifindex $index" 'the interface has gone'
	refuses 1 'detach: rb' 'no such interface' detach rb
	new_rb "$index"
	wrong rb ".*nothing of ours is on it: another interface may have got the number $index"
	repaired
	# Gone for good, while the other is detached: the instance goes with it.
	ip -n "$NS_R" link del rb
	run ctl detach ra
	want_match "$OUT" "ifindex $index: detached.*is gone, with" "detach of the last that is there"
	want_detached
	new_rb "$index"
	run ctl attach "${HOOK[@]}" ra rb
	passes
}

# new_rb NUMBER
new_rb() {
	local mac=02:00:00:00:02
	ip_in "$NS_R" <<-END
		link add rb index $1 address $mac:fe type veth peer name eth0 address $mac:01 netns $NS_B
	END
	up_again
	ip_in "$NS_B" <<-END
		addr add 10.0.2.1/24 dev eth0
		link set eth0 up
		neigh replace 10.0.2.254 lladdr $mac:fe dev eth0 nud permanent
		route add default via 10.0.2.254
	END
	! [[ ${HOOK[*]} == *native* ]] || xdp_pass b
}

# other_pinned: somebody else's program, pinned at $OTHER/prog; it is his, and stays.
other_pinned() {
	OTHER=$(dirname "$(dirname "$(pins)")")/world
	mkdir "$OTHER"
	bpftool prog load "$O/tests/others.o" "$OTHER/prog" type tc
}
other_tcx() { in_r tcx rb "$1" "$2" "$OTHER/prog" "$OTHER/$1-$2"; }

# others_there: everything of somebody else's on rb.
others_there() {
	local side
	for side in ingress egress; do
		tc -n "$NS_R" filter show dev rb $side | grep -E ' (handle|fh) ' | grep -v ct_tc_ || :
	done
	[[ -z ${OTHER-} ]] || ls "$OTHER"
}

link_detach() { bpftool link detach pinned "$(pins)/links/$(ifindex rb)-$1"; }

# Away and back again with another number, because somebody there has its own.
renumbered() {
	ip -n "$NS_A" link add v0 index 77 type veth peer name v1
	ip -n "$NS_R" link set rb netns "$NS_A"
	ip -n "$NS_A" link set rb netns "$NS_R"
	ip -n "$NS_A" link del v0
	up_again
	wrong "ifindex 77" "it has been away, and has come back as number $(ifindex rb): rb"
	repaired
}

# ---- tc by TCX ----------------------------------------------------------------------------------

test_tcx() {
	local there side
	shared_bpffs
	begin_world --hook tc
	renamed_and_down
	moved 'it has been moved to another network namespace'
	replaced
	renumbered
	# Links that are detached, and pins that are removed.
	for side in ingress egress; do
		link_detach tc-$side
		wrong rb "tc $side: our link has been detached"
		repaired
		rm "$(pins)/links/$(ifindex rb)-tc-$side"
		wrong rb "tc $side: the pin of our link has gone"
		repaired
	done
	rm "$(pins)/links/$(ifindex rb)"-*
	wrong rb "tc: our links or filters have gone"
	repaired
	# Others before and after us, by TCX and by a filter.
	other_pinned
	other_tcx ingress after
	tc -n "$NS_R" qdisc add dev rb clsact
	tc -n "$NS_R" filter add dev rb ingress bpf direct-action obj "$O/tests/others.o" sec ok
	whole rb
	there=$(others_there)
	other_tcx egress before
	whole rb "^tc egress: program [0-9]+ 'other_ok' comes before us\$"
	passes_nothing_out
	rm "$OTHER/egress-before"
	link_detach tc-ingress
	repaired
	want_eq "$(others_there)" "$there" "what is somebody else's, after a repair"
	run ctl detach --all
	want_eq "$(others_there)" "$there" "what is somebody else's, after a detach"
	tc -n "$NS_R" qdisc del dev rb clsact
	rm -r "$OTHER"
	end_when_gone
}

# A program before us that ends the chain keeps packets from us: nothing is confirmed there.
passes_nothing_out() {
	run ctl flush
	run in_a traffic udp-send 10.0.2.1 7 4 1000
	want_eq "$(ctl count -p udp -d 10.0.2.1)" 0 "flows that an earlier program keeps from us"
}

end_when_gone() {
	run ctl audit
	want_match "$OUT" '^there is no instance here' "audit"
	want_detached
}

# ---- tc by clsact -------------------------------------------------------------------------------

test_clsact() {
	local there side
	shared_bpffs
	begin_world --hook tc --tc clsact
	renamed_and_down
	moved 'the interface has gone' '.*our clsact qdisc was deleted'
	replaced
	for side in ingress egress; do
		tc -n "$NS_R" filter del dev rb $side
		wrong rb "tc $side: our filter has gone"
		repaired
	done
	tc -n "$NS_R" qdisc del dev rb clsact
	wrong rb '.*tc: our clsact qdisc was deleted'
	repaired
	# A qdisc that somebody made after ours was deleted, with nothing in it: it is not ours.
	tc -n "$NS_R" qdisc del dev rb clsact
	tc -n "$NS_R" qdisc add dev rb clsact
	wrong rb '.*tc egress: our filter has gone'
	run ctl detach rb
	want_match "$(tc -n "$NS_R" qdisc show dev rb)" clsact "somebody else's qdisc"
	run ctl attach "${HOOK[@]}" rb
	# Somebody else's in the place of ours: by its very handle and priority.
	tc -n "$NS_R" filter replace dev rb ingress prio 1 handle 0xc7 bpf direct-action \
		obj "$O/tests/others.o" sec ok
	wrong rb "tc ingress: our filter has gone; another is there: 'others.o:"
	there=$(others_there)
	repaired
	want_eq "$(others_there)" "$there" "what is somebody else's, after a repair"
	run ctl detach --all
	want_eq "$(others_there)" "$there" "what is somebody else's, after a detach"
	# Behind and before filters of another kind.
	tc -n "$NS_R" filter add dev rb egress prio 1 protocol all u32 match u32 0 0 flowid :1
	run ctl attach "${HOOK[@]}" ra rb
	whole rb "^tc egress: filter 'u32' comes before us\$"
	tc -n "$NS_R" filter del dev rb egress prio 1
	whole rb
	tc -n "$NS_R" filter add dev rb egress prio 9 protocol all u32 match u32 0 0 flowid :1
	whole rb
	passes
	there=$(others_there)
	run ctl detach --all
	want_eq "$(others_there)" "$there" "what is somebody else's, after a detach"
	tc -n "$NS_R" qdisc del dev rb clsact
	end_when_gone
}

# ---- Native XDP ---------------------------------------------------------------------------------

test_native() {
	local id
	begin_world --hook native
	renamed_and_down
	moved 'it has been moved to another network namespace'
	replaced
	renumbered
	# Frames that XDP could not take are refused while it is there, or XDP is.
	fails 2 ip -n "$NS_B" link set eth0 mtu 9000
	whole rb
	link_detach xdp
	wrong rb 'XDP: our link has been detached'
	repaired
	rm "$(pins)/links/$(ifindex rb)-xdp"
	wrong rb 'XDP: the pin of our link has gone'
	repaired
	# Somebody else's in the place of ours.
	link_detach xdp
	xdp_pass r rb
	id=$(ip -n "$NS_R" -j link show rb | jq '.[0].xdp.prog.id')
	wrong rb "XDP: our link has been detached, and the hook is held by program $id 'xdp_pass'"
	refuses 1 'attach: rb' "held by program $id 'xdp_pass', which is not ours" attach --hook native rb
	run ctl attach rb
	want_match "$OUT" "^rb: tc .*XDP is held by program $id" "attach"
	whole rb "^XDP: program $id 'xdp_pass' comes before us\$"
	passes
	run ctl detach rb
	want_eq "$(ip -n "$NS_R" -j link show rb | jq '.[0].xdp.prog.id')" "$id" "somebody else's program"
	xdp_off r rb
	# An MTU beyond what XDP takes, set while it was not there.
	ip -n "$NS_B" link set eth0 xdpdrv off
	ip -n "$NS_B" link set eth0 mtu 9000
	ip -n "$NS_R" link set rb mtu 9000
	refuses 1 'attach: rb' 'MTU' attach --hook native rb
	run ctl attach "${HOOK[@]}" ra
	whole ra
	end_world
}

# ---- The namespace ------------------------------------------------------------------------------

# It goes with its instance attached: audit of another names what is left, and the next attach
# anywhere takes it away; or, where it was attached by filters, which leave no trace, a detach of it.
test_namespace_gone() {
	local kind name
	for kind in tcx clsact; do
		run "$CTLOADER" --netns "$NS_R" attach --tc $kind ra rb
		name=$(ctl status -o json | jq -r .instance)
		ip netns del "$NS_R"
		wait_for 5 interfaces_gone
		fails 1 "$CTLOADER" --netns "$NS_A" audit
		want_match "$OUT" "instance $name at .*: its network namespace has gone" "audit ($kind)"
		[[ $kind == tcx ]] || run "$CTLOADER" --instance "$name" detach --all
		run "$CTLOADER" --netns "$NS_A" attach lo
		run "$CTLOADER" --netns "$NS_A" audit
		run "$CTLOADER" --netns "$NS_A" detach --all
		stop ping
		stop echo
		topo_down
		topo_up
		want_detached
		serve echo in_b traffic udp-echo 7
		serve ping in_a traffic ping-flood 10.0.2.1 500
	done
}
interfaces_gone() { ! ip -n "$NS_A" link show eth0 && ! ip -n "$NS_B" link show eth0; }
