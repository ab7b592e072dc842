# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# XDP through libxdp's dispatcher, with somebody else's programs in front of ours and behind it: a
# filter (priority 10) and a balancer (50), which count packets, and drop UDP to 7001 and 7002. Where
# the dispatcher can't run: a link instead, and why.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() {
	need xdp-loader
	tool chain
	topo_up
}

# load DEV NAME [PRIORITY]: put a program in; unload DEV NAME: and out.
load() { in_r xdp-loader load -m "${MODE-native}" -P "${3-50}" -n "$2" "$1" "$O/tests/chain.o"; }
unload() {
	in_r xdp-loader unload -i "$(in_r xdp-loader status "$1" |
		awk -v name="$2" '$1 == "=>" && $3 == name { print $4 }')" "$1"
}

# chain DEV: who is in it, in order, with the priorities: "filter:10 ct_xdp:15".
chain() {
	in_r xdp-loader status "$1" | awk '$1 == "=>" { printf "%s%s:%s", n++ ? " " : "", $3, $2 }'
}
want_chain() { want_eq "$(chain "$1")" "$2" "chain of $1"; }

# can_chain PROGRAM: libxdp's own loader attaches the bare one where the dispatcher does not work.
can_chain() {
	local seen
	load ra "$1" >/dev/null 2>&1
	seen=$(chain ra)
	in_r xdp-loader unload -a ra >/dev/null
	[[ -n $seen ]]
}

chained() {
	shared_bpffs
	can_chain filter || skip "a kernel and libxdp whose dispatcher runs programs like ours"
	pins_of_libxdp >"$T/pins"
}
pins_of_libxdp() { find /sys/fs/bpf/xdp -mindepth 1 | sort; }
new_programs() { new_pins | grep -- -prog | xargs -r -n 1 bpftool -j prog show pinned | jq -r .name; }
new_pins() { pins_of_libxdp | comm -13 "$T/pins" -; }

# want_all_detached: and libxdp has no new pin, either.
want_all_detached() {
	want_detached
	want_eq "$(new_pins)" "" "libxdp's pins"
}

# met NAME: packets that it has met.
met() { bpftool -j map dump name "met_$1" | jq '.[0].formatted.value'; }
# udp PORT: one packet.
tracked() { want_eq "$(ctl count -p "$1")" 1 flows; }
udp() { in_a bash -c "echo x >/dev/udp/10.0.2.1/$1"; }
methods() { ctl status -o json | jq -r '[.interfaces[] | "\(.name) \(.method) \(.priority)"] | join("; ")'; }

# Others are there first: ours goes between them, and out again. Then they come and go around ours,
# while pings are forwarded: none is lost, or not tracked.
test_chain() {
	local sent made seen
	chained
	load ra filter 10
	load ra balancer 50
	run ctl attach --hook native ra rb
	want_match "$OUT" '^ra: native \(libxdp, (clsact|tcx)\): as asked' attach
	want_chain ra "filter:10 ct_xdp:15 balancer:50"
	want_chain rb "ct_xdp:15"
	want_match "$(methods)" '^ra libxdp, [a-z]* 15; rb libxdp, [a-z]* 15$' status

	made=$(stat_of .lifecycle.created)
	udp 7001
	want_eq "$(stat_of .lifecycle.created)" "$made" "flows, after a packet that the filter dropped"
	seen=$(met balancer)
	udp 7002
	want_eq "$(stat_of .lifecycle.created)" $((made + 1)) "flows, after one that the balancer dropped"
	want_num "$(met balancer)" -gt "$seen" "packets at the balancer"

	start ping in_a ping -i 0.02 -q 10.0.2.1
	wait_for 5 tracked icmp
	unload ra filter
	want_chain ra "ct_xdp:15 balancer:50"
	unload ra balancer
	want_chain ra "ct_xdp:15"
	load rb balancer 50
	load rb filter 10
	want_chain rb "filter:10 ct_xdp:15 balancer:50"
	stop ping INT
	want_match "$(output ping)" ' 0% packet loss' pings
	sent=$(output ping | sed -n 's/ packets transmitted.*//p')
	want_eq "$(flow -p icmp | jq -c '[.original.packets, .reply.packets]')" "[$sent,$sent]" "pings tracked"

	run ctl detach --keep --all
	want_chain ra ""
	want_chain rb "filter:10 balancer:50"
	run ctl attach --hook native rb
	want_chain rb "filter:10 ct_xdp:15 balancer:50"
	want_eq "$(ctl count -p icmp)" 1 "flows that were kept"
	run ctl detach --all
	want_chain rb "filter:10 balancer:50"
	in_r xdp-loader unload -a rb
	want_all_detached
}

# A place of one's own choice, in another mode; and what is refused.
test_places() {
	chained
	MODE=skb load ra balancer 50
	refuses 1 'attach: ra' "^XDP is held by program [0-9]+ 'xdp_dispatcher', which is not ours" \
		attach --hook native ra
	refuses 1 'attach: ra' "^XDP is held by program [0-9]+ 'xdp_dispatcher', which is not ours" \
		attach --hook generic --xdp link ra
	run ctl attach --hook generic --xdp-prio 60 ra rb
	want_chain ra "balancer:50 ct_xdp:60"
	want_match "$(methods)" '^ra libxdp, [a-z]* 60; rb libxdp, [a-z]* 60$' status
	traffic_flows
	tracked icmp
	run ctl detach --all
	want_chain ra "balancer:50"
	in_r xdp-loader unload -a ra

	xdp_pass r ra
	refuses 1 'attach: ra' "^XDP is held by program [0-9]+ 'xdp_pass', which is not ours" \
		attach --hook native --xdp libxdp ra
	xdp_off r ra
	run ctl attach --hook native --xdp link ra
	want_match "$OUT" '^ra: native \(link, [a-z]*\): as asked$' attach
	run ctl detach --all
	want_all_detached
}

# Upgraded and resized, the chain stays as it is, and no ping is lost or not tracked. Of the old programs
# only the one in the chain stays.
test_upgrade() {
	local sent
	chained
	load ra filter 10
	run ctl attach --hook native ra rb
	start ping in_a ping -i 0.02 -q 10.0.2.1
	wait_for 5 tracked icmp
	run ctl upgrade
	run ctl upgrade
	run ctl set max=4096
	want_chain ra "filter:10 ct_xdp:15"
	incomplete "attached attached"
	stop ping INT
	want_match "$(output ping)" ' 0% packet loss' pings
	sent=$(output ping | sed -n 's/ packets transmitted.*//p')
	want_eq "$(flow -p icmp | jq -c '[.original.packets, .reply.packets]')" "[$sent,$sent]" "pings tracked"
	want_eq "$(stat_of .lifecycle.in_without_confirm)" 0 "packets that were not confirmed"
	wait_for 5 one_program ct_xdp_in
	run ctl detach --all
	want_chain ra "filter:10"
	in_r xdp-loader unload -a ra
	want_all_detached
}
one_program() {
	want_eq "$(bpftool -j prog show | jq --arg name "$1" '[.[] | select(.name == $name)] | length')" 1 \
		"programs $1"
}

incomplete() { want_eq "$(ctl status -o json | jq -r '[.interfaces[].state] | join(" ")')" "$1" state; }

# Somebody empties the hook, or takes the interface away: status says so, attach repairs it, detach
# ends clean. So does the next command after a loader that was killed.
test_behind_our_back() {
	chained
	run ctl attach --hook native ra rb
	in_r xdp-loader unload -a ra
	incomplete "incomplete attached"
	run ctl attach --hook native ra rb
	want_chain ra "ct_xdp:15"
	ip -n "$NS_R" link set ra xdp off
	incomplete "incomplete attached"
	traffic_flows
	run ctl attach --hook native ra
	want_chain ra "ct_xdp:15"
	incomplete "attached attached"
	ip -n "$NS_R" link set ra xdp off
	load rb balancer 50
	ip -n "$NS_R" link del rb
	run ctl detach --all
	want_detached
	want_eq "$(new_programs)" balancer "what is in libxdp's pins of an interface that has gone"
	run in_r xdp-loader clean
	want_all_detached
}

# Killed when it had pinned our program; when libxdp had built the new chain; and when it had put that
# in place: whoever comes next takes it back.
test_killed() {
	local call
	chained
	load ra filter 10
	strace -f -e trace=bpf,unlink -o "$T/trace" "$CTLOADER" --netns "$NS_R" attach --hook native ra
	run ctl detach --all
	for call in "$(number_of bpf 'OBJ_PIN.*links/[0-9]*-libxdp"')" \
		"$(number_of bpf 'OBJ_PIN.*/dispatch-.*/prog1-prog"')" \
		"$(number_of unlink '/dispatch-.*/prog0-prog"')"; do
		fails 137 with_fault "${call/:/:signal=KILL:}" "$CTLOADER" --netns "$NS_R" attach --hook native ra
		run ctl attach --hook native ra
		want_chain ra "filter:10 ct_xdp:15"
		incomplete attached
		run ctl detach --all
		want_chain ra "filter:10"
		want_no_match "$(new_programs)" ct_xdp "what is in libxdp's pins, after a kill at $call"
	done
	in_r xdp-loader unload -a ra
	in_r xdp-loader clean # of what there is twice of the filter's
	want_all_detached
}

# number_of CALL PATTERN: which of the calls in $T/trace matches first, for strace: CALL:when=N.
number_of() {
	local n
	n=$(grep -o "$1(.*" "$T/trace" | grep -nE -m 1 -- "$2" | cut -d: -f1)
	[[ -n $n ]] || die "no $1() matches $2"
	echo "$1:when=$n"
}

# By `ip netns exec`, which hides the bpffs that the chain's pins are in.
test_ip_netns_exec() {
	chained
	load ra filter 10
	# shellcheck disable=SC2016 # for the shell within
	run unshare --pid --fork --mount-proc bash -c 'ip netns exec "$@"; exit $?' bash "$NS_R" \
		"$CTLOADER" attach --hook native ra
	want_chain ra "filter:10 ct_xdp:15"
	run ctl detach --all
	want_chain ra "filter:10"
	in_r xdp-loader unload -a ra
	want_all_detached
}

# hiding_dispatcher COMMAND...: where libxdp does not find it.
hiding_dispatcher() {
	local file
	file=$(dpkg -L libxdp1 | grep '/xdp-dispatcher\.o$')
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c 'mount --bind /dev/null "$1" && shift && exec "$@"' \
		sh "$file" "$@"
}

# No dispatcher: never the bare program that libxdp would attach, but a link; or nothing, if a link
# is not what was asked for.
test_link_instead() {
	local how=() why='the kernel lets no function of a program be replaced: '
	shared_bpffs
	if can_chain balancer; then
		how=(hiding_dispatcher) why="libxdp's xdp-dispatcher.o can't be opened: "
	fi
	fails 1 "${how[@]}" "$CTLOADER" --netns "$NS_R" attach --hook native --xdp libxdp ra
	want_refusal 'attach: ra: --xdp libxdp' "^$why"
	want_detached
	run "${how[@]}" "$CTLOADER" --netns "$NS_R" attach --hook native ra
	want_match "$OUT" "^ra: native \(link, (tcx|clsact)\): as asked; no libxdp: $why[A-Za-z ]+\$" attach
	want_match "$(methods)" '^ra link, [a-z]* null$' status
	want_match "$(ctl status)" $'\n  ra  *native \(link, ' status
	fails 1 "${how[@]}" "$CTLOADER" --netns "$NS_R" attach --hook native --xdp libxdp rb
	want_refusal 'attach: rb: --xdp libxdp' "^$why"
	run "${how[@]}" "$CTLOADER" --netns "$NS_R" attach --hook tc rb
	want_match "$OUT" '^rb: tc \([a-z]*\): as asked$' "attach to tc"
	traffic_flows
	tracked icmp
	run ctl detach --all
	want_detached

	if can_chain balancer && ! can_chain filter; then
		why="its dispatcher can't have our program in it: Invalid argument"
		refuses 1 'attach: ra: XDP' "^$why" attach --hook native --xdp libxdp ra
		run ctl attach --hook native ra
		want_match "$OUT" "^ra: native \(link, tcx\): as asked; no libxdp: $why\$" attach
		run ctl detach --all
		want_detached
	fi
	refuses 2 'attach: --xdp-prio 7' '^a link has no priority$' attach --xdp link --xdp-prio 7 ra
	refuses 2 'attach: --xdp-prio 65536' '^not a number from 0 to 65535$' attach --xdp-prio 65536 ra
}

# Without a bpffs there is no place for libxdp's pins.
test_no_bpffs() {
	fails 1 without_bpffs "$CTLOADER" --netns "$NS_R" attach --hook native --xdp libxdp ra
	want_refusal 'attach: ra: --xdp libxdp' '^no bpffs at /sys/fs/bpf '
	want_detached
}
