# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Real traffic through the router and to it: what `list` and `stats` say of it, whichever way the
# interfaces are hooked; beside it the kernel's own tracker, who else is at the hooks, and what
# never becomes a flow.
# TIMEOUT: 60

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# ---- As the kernel's own tracker sees it --------------------------------------------------------

# Let nf_conntrack track in the router, with counters.
kernel_tracks() {
	need nft conntrack
	in_r nft -f - <<-'END'
		table inet track {
			chain see { type filter hook prerouting priority 0; ct state new counter; }
		}
	END
	in_r sh -c 'echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct'
}

# everything: ping, UDP and TCP, IPv4 and IPv6, through the router, to it and from it; a TCP
# connection that is closed, one that stays open, one that is refused; UDP that nobody answers.
everything() {
	local a b
	serve echo in_b traffic udp-echo 7
	serve sink in_b traffic udp-sink 9
	serve tcp in_b traffic tcp-serve 80
	serve router_echo in_r traffic udp-echo 7
	serve router_tcp in_r traffic tcp-serve 80
	serve a_echo in_a traffic udp-echo 7
	for b in 10.0.2.1 fd00:2::1 10.0.1.254 fd00:1::fe; do
		in_a ping -c 2 -i 0.05 -W 2 -q "$b" >/dev/null
		in_a traffic udp-send "$b" 7 3 1000 >/dev/null
		in_a traffic tcp-get "$b" 80 1000 >/dev/null
		fails 2 in_a traffic tcp-get "$b" 81 1
	done
	for b in 10.0.2.1 fd00:2::1; do
		in_a traffic udp-send -w 0 "$b" 9 2 1000 0 >/dev/null
		hold "$b"
	done
	for a in 10.0.1.1 fd00:1::1; do
		in_r ping -c 1 -W 2 -q "$a" >/dev/null
		in_r traffic udp-send "$a" 7 1 1000 >/dev/null
	done
}

# more_protocols: an SCTP association that is opened, another that is refused, GRE both ways, a PPTP
# call, each over both families. UDP-Lite is left out: the kernel takes right checksums for wrong.
more_protocols() {
	local a b
	while read -r a b; do
		in_a traffic raw "$b" 132 03e80b59 00000000 00000000 01000014 0b0b0b0b 0000ffff 000a000a 00000001
		in_b traffic raw "$a" 132 0b5903e8 0b0b0b0b 00000000 02000014 0a0a0a0a 0000ffff 000a000a 00000001
		in_a traffic raw "$b" 132 03e80b59 0a0a0a0a 00000000 0a000008 00000000
		in_b traffic raw "$a" 132 0b5903e8 0b0b0b0b 00000000 0b000004
		in_a traffic raw "$b" 132 03e90b59 00000000 00000000 01000014 0b0b0b0b 0000ffff 000a000a 00000001
		in_b traffic raw "$a" 132 0b5903e9 0b0b0b0b 00000000 06000004
		in_a traffic raw "$b" 47 00000800 4500
		in_b traffic raw "$a" 47 20000800 00000007 4500
		in_b traffic raw "$a" 47 20000800 00000007 4500
		in_a traffic raw "$b" 47 2001880b 00000007
	done <<-'END'
		10.0.1.1 10.0.2.1
		fd00:1::1 fd00:2::1
	END
}

# hold ADDR: a connection that stays open, after some bytes in both directions.
hold() {
	# shellcheck disable=SC2016 # for the shell within
	start "held-$1" in_a bash -c 'exec 3<>"/dev/tcp/$0/80" && printf "\4\0\0\0\0\0\0\0" >&3 &&
		head -c 4 <&3 | wc -c && sleep 60' "$1"
	wait_for 5 test -s "$T/held-$1.out"
}

# comparable: lines of `list` or of conntrack -L without what may differ: the timeout; of TCP the
# counters, which the kernel keeps per buffer and we per segment. One connection's last ACK may
# still be under way in one of the two.
comparable() {
	sed -E -e 's/^([a-z0-9]+ +[0-9]+) [0-9]+ /\1 /' -e '/^tcp/s/ (packets|bytes)=[0-9]+//g' |
		grep -v 'ff02::\|224\.0\.0' | sort
}

# same_as_kernel: our table and the kernel's hold the same flows.
same_as_kernel() {
	want_eq "$(ctl list 2>/dev/null | comparable)" \
		"$(for f in ipv4 ipv6; do in_r conntrack -L -f $f 2>/dev/null; done | comparable)" "flows"
}

# timeouts_as_kernel: the timeouts of UDP and ICMP are the same, but for a tick of the clock.
timeouts_as_kernel() {
	local off
	off=$(paste -d ' ' <(ctl list 2>/dev/null | timeouts) \
		<(for f in ipv4 ipv6; do in_r conntrack -L -f $f 2>/dev/null; done | timeouts) |
		awk '$1 - $3 > 2 || $3 - $1 > 2 || $2 != $4')
	want_eq "$off" "" "timeouts (ours, the kernel's) that differ"
}
timeouts() { grep -v '^tcp' | grep -v 'ff02::' | awk '{ print $3, $1 $4 $5 $6 $7 }' | sort -k 2; }

compare_hook() {
	kernel_tracks
	run ctl attach --hook "$1" ra rb
	want_match "$OUT" "^ra: $1 " "hook"
	everything
	more_protocols
	wait_for 3 same_as_kernel
	timeouts_as_kernel
	want_eq "$(ctl count -p sctp --state ESTABLISHED -u ASSURED)" 2 "associations"
	want_eq "$(ctl count -p gre)" 4 "GRE flows"
	want_eq "$(ctl count)" "$(ctl list 2>/dev/null | wc -l)" "count"
	want_eq "$(stat_of '[.packets.ingress.invalid, .packets.egress.invalid, .unconfirmed] | add')" 0 \
		"invalid packets and unconfirmed flows"
	run ctl detach --all
	want_detached
}

# With programs at tc, each flow's line is the kernel's: state, tuples, counters, status.
test_tc_as_kernel() { compare_hook tc; }

# So it is with native XDP (as redirection needs it, with XDP at the hosts, too).
test_native_as_kernel() {
	xdp_pass a
	xdp_pass b
	compare_hook native
}

# And with generic XDP.
test_generic_as_kernel() { compare_hook generic; }

# ---- When and where -----------------------------------------------------------------------------

# A flow is in `list` when its first packet arrives at the other end: the receiver looks.
test_listed_at_once() {
	run ctl attach ra rb
	# shellcheck disable=SC2016 # for the shell within
	serve look in_b bash -c 'echo ready; exec socat UDP-RECVFROM:9,reuseaddr SYSTEM:"$0"' \
		"$CTLOADER --netns $NS_R list -o json -p udp --dport 9 2>/dev/null >$T/seen; echo seen"
	wait_for 2 in_b bash -c 'ss -lun | grep -q :9'
	run in_a bash -c 'echo hello | socat -t 3 - UDP:10.0.2.1:9'
	want_eq "$OUT" seen "answer"
	want_eq "$(jq -c '[.[] | .original.packets, .reply.packets]' "$T/seen")" '[1,0]' \
		"what the receiver of the first packet saw in the table"
	echo "listed $(jq '.[0].age * 1000' "$T/seen") ms after it was confirmed"
	want_eq "$(flow -p udp --dport 9 | jq .reply.packets)" 1 "replies, right after the first"
	run ctl detach --all
}

# A flow counts once and is seen in both directions when only one of the router's interfaces is
# attached: where packets come in, or where they go out.
test_one_interface() {
	local dev
	serve echo in_b traffic udp-echo 7
	serve tcp in_b traffic tcp-serve 80
	for dev in ra rb; do
		run ctl attach "$dev"
		run in_a traffic udp-send 10.0.2.1 7 3 1000
		run in_a traffic udp-send fd00:2::1 7 3 1000
		run in_a traffic tcp-get 10.0.2.1 80 5000
		want_eq "$(ctl list -p udp -o json 2>/dev/null |
			jq -c 'map([.original.packets, .reply.packets])')" '[[3,3],[3,3]]' "packets at $dev"
		want_eq "$(flow -p tcp | jq -c '[.state, .assured]')" '["TIME_WAIT",true]' "TCP at $dev"
		want_eq "$(stat_of .unconfirmed)" 0 "unconfirmed"
		run ctl detach --all
	done
}

# Nor does it matter that they are hooked in two ways.
test_mixed_hooks() {
	local hooks a b
	serve echo in_b traffic udp-echo 7
	serve tcp in_b traffic tcp-serve 80
	for hooks in 'tc native' 'native tc' 'generic native'; do
		read -r a b <<<"$hooks"
		run ctl attach --hook "$a" ra
		run ctl attach --hook "$b" rb
		run in_a traffic udp-send 10.0.2.1 7 3 1000
		run in_a traffic tcp-get fd00:2::1 80 5000
		want_eq "$(flow -p udp | jq -c '[.original.packets, .reply.packets]')" '[3,3]' "$a and $b"
		want_eq "$(flow -p tcp | jq -r .state)" TIME_WAIT "TCP with $a and $b"
		want_eq "$(stat_of '[.unconfirmed, .packets.ingress.invalid] | add')" 0 "lost to sight"
		run ctl detach --all
	done
}

# On the loopback device a packet goes out and comes in again: it is counted once.
test_loopback() {
	serve echo in_r traffic udp-echo 7
	run ctl attach lo
	run in_r traffic udp-send 127.0.0.1 7 3 1000
	run in_r traffic udp-send ::1 7 3 1000
	in_r ping -c 2 -i 0.05 -q 127.0.0.1 >/dev/null
	want_eq "$(ctl list -o json 2>/dev/null |
		jq -c 'map([.proto, .original.packets, .reply.packets]) | sort')" \
		'[["icmp",2,2],["udp",3,3],["udp",3,3]]' "packets"
	want_eq "$(stat_of '[.packets.ingress[], .packets.egress[]] | add')" 16 "packets in all classes"
	run ctl detach lo
	want_detached
}

# ---- ICMP errors --------------------------------------------------------------------------------

# A refused connection leaves no flow; UDP to a closed port leaves one, and the error about it is
# RELATED; so are those a traceroute lives by.
test_errors_are_related() {
	need traceroute
	run ctl attach ra rb
	fails 2 in_a traffic tcp-get 10.0.2.1 81 1
	want_eq "$(ctl count -p tcp)" 0 "flows after a refusal"
	want_eq "$(stat_of .ends.closed)" 1 "flows closed by a RST"
	related 0
	in_a traffic udp-send -w 50 10.0.2.1 99 1 100 0 >/dev/null
	related 1
	want_eq "$(flow -p udp --dport 99 | jq -c '[.replied, .original.packets, .reply.packets]')" \
		'[false,1,0]' "a flow with an error about it"
	in_a traffic udp-send -w 50 fd00:2::1 99 1 100 0 >/dev/null
	related 2
	# The router's "time exceeded", about a packet that it drops and never confirms, and b's "port
	# unreachable".
	run in_a traceroute -n -q 1 -N 1 -w 1 10.0.2.1
	want_match "$OUT" $'1  10\\.0\\.1\\.254 .*\n 2  10\\.0\\.2\\.1 ' "traceroute"
	related 4
	want_eq "$(stat_of '[.packets[].invalid] | add')" 0 "invalid packets"
	run ctl detach --all
}

related() { want_eq "$(stat_of '[.packets[].related] | add')" "$1" "RELATED packets"; }

# ---- What does not become a flow ----------------------------------------------------------------

# What the router's own rules drop is never in the table; it is unconfirmed until it is swept, and
# its "reply" does not find it.
test_dropped_by_nftables() {
	need nft
	in_r nft -f - <<-'END'
		table inet t {
			chain forward { type filter hook forward priority 0; iifname ra udp dport 9 drop; }
		}
	END
	run ctl attach ra rb
	for _ in 1 2 3; do # the same flow
		in_a bash -c 'echo x | socat -u - UDP:10.0.2.1:9,sourceport=5000'
	done
	want_eq "$(ctl count -p udp) $(stat_of .unconfirmed)" "0 1" "confirmed and unconfirmed flows"
	want_eq "$(stat_of '.lifecycle | [.created, .confirmed]' | jq -c .)" '[1,0]' "lifecycle"
	in_b bash -c 'echo x | socat -u - UDP:10.0.1.1:5000,sourceport=9'
	want_eq "$(flow -p udp | jq -c '[.original.src, .replied]')" '["10.0.2.1",false]' \
		"the other direction's packet opened"
	run ctl detach --keep --all
	run ctl detach --all
	want_detached
}

# What the router has a route for only to refuse it is never in the table; the error that the router
# sends about it is RELATED all the same.
test_refused_by_a_route() {
	local to
	run ctl attach ra rb
	ip -n "$NS_R" route add blackhole 10.9.1.0/24
	ip -n "$NS_R" route add unreachable 10.9.2.0/24
	ip -n "$NS_R" route add prohibit 10.9.3.0/24
	for to in 10.9.1.1 10.9.2.1 10.9.3.1; do
		in_a bash -c "echo x | socat -u - UDP:$to:9,sourceport=5000"
	done
	want_eq "$(ctl count -p udp)" 0 "flows"
	want_eq "$(stat_of '[.packets.ingress.new, .lifecycle.confirmed]' | jq -c .)" '[3,0]' "new, confirmed"
	related 2
	run ctl detach --all
	want_detached
}

# --drop-invalid drops what is INVALID, and `set drop_invalid` switches that at once.
test_drop_invalid() {
	local n
	run ctl attach --drop-invalid ra rb
	n=$(replies_heard)
	unasked_reply
	unasked_reply
	want_eq "$(replies_heard)" "$n" "unasked replies heard by b"
	want_eq "$(stat_of '[.dropped.invalid, .invalid.icmp_unasked]' | jq -c .)" '[2,2]' "dropped, invalid"
	run ctl set drop_invalid=0
	unasked_reply
	want_eq "$(replies_heard)" $((n + 1)) "unasked replies heard by b"
	want_eq "$(stat_of '[.dropped.invalid, .invalid.icmp_unasked]' | jq -c .)" '[2,3]' "dropped, invalid"
	traffic_flows
	run ctl detach --all
}

# ICMP echo replies that b has received.
replies_heard() { in_b nstat -asz IcmpInEchoReps | awk '/^Icmp/ { print $2 }'; }

# An echo reply from a to b that nobody asked for.
unasked_reply() {
	in_a bash -c "printf '\0\0\355\313\22\64\0\0' | socat -u - IP4-SENDTO:10.0.2.1:1"
}

# ---- Policy -------------------------------------------------------------------------------------

# A policy program that drops port 81: nothing of that is tracked, each packet is counted, all else
# goes on.
test_policy() {
	run ctl attach ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_drop81" ra
	serve echo in_b traffic udp-echo 81
	run in_a traffic udp-send -w 100 10.0.2.1 81 5 1000 0
	want_match "$OUT" 'received 0' "answers from port 81"
	want_eq "$(stat_of .dropped.policy) $(ctl count -p udp) $(stat_of .unconfirmed)" "5 0 0" \
		"dropped by policy, flows, unconfirmed"
	want_eq "$(replies_sent echo)" "received 0 echoed 0" "what the server got"
	traffic_flows
	want_eq "$(ctl count -p icmp)" 1 "other flows"
	refuses 1 "attach: --policy $T/nosuch" 'bpftool prog load' attach --policy "$T/nosuch" ra
	run ctl detach --all
	want_detached
}
replies_sent() { stop "$1"; output "$1" | sed 1d; }

# One that simply returns the verdict is counted, too: by the next packet on its CPU.
test_policy_that_just_drops() {
	run ctl attach ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_shot81" ra
	run taskset -c 0 nsenter --net="/run/netns/$NS_A" traffic udp-send -w 100 10.0.2.1 81 5 1000 0
	taskset -c 0 nsenter --net="/run/netns/$NS_A" ping -c 1 -q 10.0.2.1 >/dev/null
	want_eq "$(stat_of .dropped.policy) $(ctl count -p udp) $(stat_of .unconfirmed)" "5 0 0" \
		"dropped by policy, flows, unconfirmed"
	run ctl detach --all
}

# A flow's first packet is on its way through the router while one of the other direction overtakes
# it: one flow comes of it, with both packets, and nothing stays unconfirmed. (The policy keeps the
# first for a second; nobody else may use that CPU, or the disk, whose interrupts it may have.)
test_overtaken_by_the_reply() {
	need_probe "a second CPU" taskset -c 1 true
	need_probe "a CPU that is not emulated" test "${CTT_SLOW:-1}" -eq 1
	run ctl attach ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_slow" ra
	taskset -cp 0 $BASHPID >/dev/null
	start slow taskset -c 1 nsenter --net="/run/netns/$NS_A" \
		bash -c 'echo x | socat -u - UDP:10.0.2.1:9,sourceport=4242'
	slow_began
	in_b bash -c 'echo x | socat -u - UDP:10.0.1.1:4242,sourceport=9'
	finish slow
	want_eq "$(flow -p udp | jq -c '[.original.src, .original.packets, .reply.packets]')" \
		'["10.0.2.1",1,1]' "the flow"
	want_eq "$(stat_of '[.flows, .lifecycle.clash_resolved, .unconfirmed]' | jq -c .)" '[1,1,0]' \
		"flows, clashes resolved, unconfirmed"
	run ctl detach --all
}

# ---- Beside others ------------------------------------------------------------------------------

# tc filters that end in TC_ACT_OK, or write over what we left in the packet, change nothing for us
# nor we for them: the flow is confirmed all the same, and their program sees every packet.
test_beside_tc_filters() {
	local other
	tool others
	serve echo in_b traffic udp-echo 7
	run ctl attach ra rb
	for other in ok wipe; do
		tc -n "$NS_R" qdisc add dev ra clsact
		tc -n "$NS_R" filter add dev ra ingress bpf direct-action obj "$O/tests/others.o" sec "$other"
		run in_a traffic udp-send 10.0.2.1 7 4 1000
		want_eq "$(stat_of '[.unconfirmed, .lifecycle.confirm_without_in]' | jq -c .)" '[0,0]' \
			"unconfirmed, confirm_without_in beside '$other'"
		want_eq "$(flow -p udp | jq -c '[.original.packets, .reply.packets]')" '[4,4]' \
			"packets beside '$other'"
		tc -n "$NS_R" qdisc del dev ra clsact
		run ctl flush
	done
	run ctl detach --all
}

# Where a flow's first packet is dropped by somebody's tc filter behind us, it never is in the table.
test_dropped_by_tc_filter() {
	tool others
	run ctl attach ra rb
	tc -n "$NS_R" qdisc add dev ra clsact
	tc -n "$NS_R" filter add dev ra ingress bpf direct-action obj "$O/tests/others.o" sec shot
	in_a bash -c 'echo x | socat -u - UDP:10.0.2.1:9'
	want_eq "$(ctl count -p udp) $(stat_of .unconfirmed)" "0 1" "confirmed and unconfirmed flows"
	tc -n "$NS_R" qdisc del dev ra clsact
	run ctl detach --all
}

# --tc clsact attaches by filters: it works, is found again, and leaves other people's filters and
# qdisc where they are; a qdisc that it had to make itself goes with it.
test_clsact() {
	local before side
	tool others
	tc -n "$NS_R" qdisc add dev ra clsact
	for side in ingress egress; do
		tc -n "$NS_R" filter add dev ra $side prio 5 bpf direct-action obj "$O/tests/others.o" sec ok
	done
	before=$(foreign_filters)
	serve echo in_b traffic udp-echo 7
	run ctl attach --tc clsact ra rb
	want_match "$OUT" $'^ra: tc \\(clsact\\).*\nrb: tc \\(clsact\\)' "attach"
	run in_a traffic udp-send 10.0.2.1 7 4 1000
	want_eq "$(flow -p udp | jq -c '[.original.packets, .reply.packets]')" '[4,4]' "packets"
	run ctl attach ra
	want_eq "$OUT" 'ra: tc (clsact): attached already' "attach again"
	want_eq "$(ctl status -o json | jq -c '.interfaces | map([.name, .method, .state])')" \
		'[["ra","clsact","attached"],["rb","clsact","attached"]]' "status"
	run ctl detach --all
	want_eq "$(foreign_filters)" "$before" "somebody else's filters"
	want_eq "$(tc -n "$NS_R" qdisc show dev rb | grep -c clsact)" 0 "clsact of rb"
	tc -n "$NS_R" qdisc del dev ra clsact
	want_detached
}

foreign_filters() {
	local side
	for side in ingress egress; do
		tc -n "$NS_R" filter show dev ra $side
	done
	tc -n "$NS_R" qdisc show dev ra
}

# ---- Other ways ---------------------------------------------------------------------------------

# --confirm xdp: the whole chain in XDP. What comes in is tracked where it comes in.
test_confirm_xdp() {
	serve echo in_b traffic udp-echo 7
	serve tcp in_b traffic tcp-serve 80
	run ctl attach --hook native --confirm xdp ra rb
	run in_a traffic udp-send 10.0.2.1 7 3 1000
	run in_a traffic udp-send fd00:2::1 7 3 1000
	run in_a traffic tcp-get 10.0.2.1 80 5000
	want_eq "$(ctl list -p udp -o json 2>/dev/null |
		jq -c 'map([.original.packets, .reply.packets])')" '[[3,3],[3,3]]' "packets"
	want_eq "$(flow -p tcp | jq -r .state)" TIME_WAIT "TCP"
	want_eq "$(stat_of '[.packets.egress[], .unconfirmed] | add')" 0 "packets classed at egress"
	refuses 1 'attach: lo' '.' attach --hook tc --confirm xdp lo
	run ctl detach --all
	want_detached
}

# Fragments have the class of the first one, and their flow counts the datagram: at tc and at XDP, and
# where the router puts datagrams together and takes them apart again (its own conntrack does).
test_fragments() {
	local hook defrag b

	serve echo in_b traffic udp-echo 7
	for hook in tc native; do
		for defrag in no yes; do
			[ $defrag = no ] || in_r nft -f - <<-END
				table inet t { chain c { type filter hook forward priority 0; ct state new; }; }
			END
			run ctl attach --hook $hook ra rb
			for b in 10.0.2.1 fd00:2::1; do
				run in_a traffic -s 4000 udp-send "$b" 7 3 20
			done
			want_eq "$(ctl list -o json -p udp 2>/dev/null | jq -c 'sort_by(.family) |
				map([.original, .reply] | map([.packets, .bytes]))')" \
				'[[[3,12084],[3,12084]],[[3,12144],[3,12144]]]' "$hook, $defrag: datagrams"
			want_eq "$(stat_of '[.packets[] | .new, .established] | add')" 36 \
				"$hook, $defrag: fragments"
			want_eq "$(stat_of '[.packets[].invalid, .untracked.frag_early] | add')" 0 \
				"$hook, $defrag: fragments without a flow"
			run ctl detach --all
			[ $defrag = no ] || in_r nft flush ruleset
		done
	done
}

# A setting is in force with the next packet.
test_set_at_once() {
	serve echo in_b traffic udp-echo 7
	run ctl attach ra rb
	in_a traffic udp-send 10.0.2.1 7 1 1000 >/dev/null
	want_num "$(flow -p udp | jq .timeout)" -gt 20 "timeout"
	run ctl set udp_timeout=7 udp_timeout_stream=7
	want_num "$(flow -p udp | jq .timeout)" -gt 20 "timeout of a flow with no packet since"
	in_a bash -c "echo x | socat -u - UDP:10.0.2.1:7,sourceport=$(flow -p udp | jq .original.sport)"
	want_num "$(flow -p udp | jq .timeout)" -le 7 "timeout after its next packet"
	run ctl set acct=0
	run ctl flush
	in_a traffic udp-send 10.0.2.1 7 3 1000 >/dev/null
	want_eq "$(flow -p udp | jq -c '[.original.packets, .reply.packets]')" '[0,0]' "without acct"
	run ctl detach --all
}

# A TCP download keeps its large packets on the way, but is counted in segments.
test_gso_counts_segments() {
	local bytes=20000000 packets gets
	serve tcp in_b traffic tcp-serve 80
	run ctl attach ra rb
	run in_a traffic tcp-get 10.0.2.1 80 $bytes
	packets=$(flow -p tcp | jq .reply.packets)
	gets=$(stat_of '.packets.ingress | add')
	echo "$packets packets for $bytes bytes, $gets passes of the programs"
	want_num "$packets" -ge $((bytes / 1460)) "packets counted, at a segment size of 1448"
	want_num "$packets" -le $((bytes * 11 / 14480 + 100)) "packets counted"
	want_num "$gets" -lt $((packets / 2)) "passes of the programs (else there was no GSO)"
	run ctl detach --all
}

# ---- What was kept -------------------------------------------------------------------------------

# A connection that moves on while nobody looks, between `detach --keep` and the next attach, is not
# refused for it: its windows are learned anew.
test_windows_after_a_pause() {
	mkfifo "$T/go"
	start sink in_b bash -c 'ncat -l 8080 | wc -c'
	wait_for 5 in_b bash -c 'ss -Hltn sport = :8080 | grep -q .'
	run ctl attach ra rb
	# shellcheck disable=SC2016 # for the shell within
	start source in_a bash -c 'exec 3<>/dev/tcp/10.0.2.1/8080 4<>"$0"
		for n in 1000 30000000 5000000; do read -r _ <&4; head -c $n /dev/zero >&3; echo $n; done' "$T/go"
	echo >"$T/go"
	wait_for 5 grep -qx 1000 "$T/source.out"
	run ctl detach --keep --all
	echo >"$T/go"
	wait_for 10 grep -qx 30000000 "$T/source.out"
	run ctl attach ra rb
	echo >"$T/go"
	finish source 10
	finish sink 10
	want_eq "$(output sink)" 35001000 "bytes that arrived"
	want_eq "$(ctl stats -o json | json -c ".invalid | with_entries(select(.value > 0))")" "{}" "invalid packets"
	want_eq "$(ctl count -p tcp)" 1 "flows"
	run ctl detach --all
	want_detached
}

# Interfaces attached with a zone have their flows in it.
test_zone() {
	fails 2 ctl attach --zone 65536 ra
	run ctl attach --zone 7 ra rb
	run in_a ping -c 1 -W 2 -q 10.0.2.1
	want_match "$(ctl list 2>/dev/null)" ' zone=7 ' "the flow"
	want_eq "$(ctl count -w 7) $(ctl count -w 0)" "1 0" "flows in zone 7, in zone 0"
	want_eq "$(ctl status -o json | json -c '[.interfaces[].zone]')" '[7,7]' "zones in status"
	run ctl detach --all
	want_detached
}

# A VLAN device puts itself in the place of the interface that a packet came in by; then the tag alone
# tells where it goes out that it has been seen. What came in whole and goes out in fragments has the
# tag of the whole. What was refused for its checksum is not looked at where checksums are not.
test_behind_vlan() {
	local i
	tool wire
	need_probe "VLAN devices" ip -n "$NS_R" link add link ra name v7 type vlan id 7
	ip_in "$NS_R" <<-'END'
		addr add 10.7.0.254/24 dev v7
		link set v7 up
		route change 10.0.2.0/24 dev rb mtu lock 1000
	END
	ip_in "$NS_A" <<-'END'
		link add link eth0 name v7 type vlan id 7
		addr add 10.7.0.1/24 dev v7
		link set v7 up
		route add 10.0.2.0/24 via 10.7.0.254
	END
	run ctl attach ra rb
	run ctl set frag_early=drop
	run in_a ping -M dont -s 1300 -c 3 -i 0.05 -W 1 -q 10.0.2.1
	want_eq "$(stat_of '.untracked.frag_early')" 0 "fragments before their first"
	want_eq "$(ctl count -p icmp)" 1 "flows"
	for i in 1 2 3 4; do
		in_a "$O/tests/wire" frame v7 02:00:00:00:01:01 "10.7.0.$i" 02:00:00:00:01:fe 10.0.2.1 20 wrong
	done
	wait_for 5 eval '[[ $(stat_of .invalid.udp_checksum) == 4 ]]'
	want_eq "$(ctl count -p udp)" 0 "flows of wrong packets"
	run ctl detach --all
}
