# shellcheck shell=bash disable=SC2153
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 1200
#
# Two TCP stacks talk through two trackers in bad weather. On the way are two routers, one attached
# at tc, one natively at XDP, and in both the kernel's own tracker sees the same packets in the same
# order: it is the judge. After each case both must have counted the same classes and have the same
# flows, in the same states, with the same packets and bytes; none may have called a packet INVALID
# (except where said); and each flow's state has to be what its hosts made of it.
#
#	 a                  router r                 router s                 b
#	+------+           +--------+               +--------+           +------+
#	| eth0 |----w:a    | ra  rb |               | sa  sb |    w:b----| eth0 |
#	+------+     :     +--------+               +--------+     :     +------+
#	           w:ra------|    |----w:rb   w:sa----|    |-----w:sb
#
# In w, `weather` forwards between w:a and w:ra, w:rb and w:sa, w:sb and w:b, and loses, copies and
# reorders on all three lines: so each router sees packets that come later, again, or only again,
# and others that it saw get lost behind it. `stacks` makes the connections and knows how they
# ended. Nothing expires while it runs: the closing states have the time of a day.
#
# STACKS_SCALE=N makes N times as many connections (of the bulk, as many bytes), SEED chooses the
# weather: see tests/README.md.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

NS_S=$CTT-s NS_W=$CTT-w
SCALE=${STACKS_SCALE:-1} SEED=${SEED:-1}

in_host() { nsenter --net="/run/netns/$CTT-$1" -- "${@:2}"; }
ctl_of() { "$CTLOADER" --netns "$CTT-$1" "${@:2}"; }

# ---- Topology -----------------------------------------------------------------------------------

# link_line NAMESPACE DEVICE NET HOST MAC PEER_MAC PEER_HOST: an end of the line NET, in w behind it.
link_line() {
	local peer=$1-$2
	peer=${peer#"$CTT-"}
	ip_in "$NS_W" <<-END
		link add w-$peer type veth peer name $2 address 02:00:00:00:0$3:$5 netns $1
		link set w-$peer up
	END
	ip_in "$1" <<-END
		addr add 10.0.$3.$4/24 dev $2
		addr add fd00:$3::$5/64 dev $2 nodad
		link set $2 up
		neigh replace 10.0.$3.$7 lladdr 02:00:00:00:0$3:$6 dev $2 nud permanent
		neigh replace fd00:$3::$6 lladdr 02:00:00:00:0$3:$6 dev $2 nud permanent
	END
}

# route NAMESPACE NET VIA4 VIA6
route() {
	ip -n "$1" route add "10.0.$2.0/24" via "$3" rto_min 20ms
	ip -n "$1" route add "fd00:$2::/64" via "$4" rto_min 20ms
}

topo_stacks() {
	local ns
	for ns in a b r s w; do
		ip netns add "$CTT-$ns"
		in_host $ns traffic cookie >>"${CTT_COOKIES:-/dev/null}"
		quiet_namespace "$CTT-$ns" "$([[ $ns == [rs] ]] && echo 1 || echo 0)"
	done
	in_host w sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
	link_line "$NS_A" eth0 1 1 01 fe 254
	link_line "$NS_R" ra 1 254 fe 01 1
	link_line "$NS_R" rb 3 1 01 02 2
	link_line "$NS_S" sa 3 2 02 01 1
	link_line "$NS_S" sb 2 254 fe 01 1
	link_line "$NS_B" eth0 2 1 01 fe 254
	route "$NS_A" 2 10.0.1.254 fd00:1::fe
	route "$NS_R" 2 10.0.3.2 fd00:3::02
	route "$NS_S" 1 10.0.3.1 fd00:3::01
	route "$NS_B" 1 10.0.2.254 fd00:2::fe
}

# segments NAMESPACE N: so many in a frame at most. With one, packets can be counted.
segments() { ip -n "$1" link set eth0 gso_max_segs "$2"; }

LONG='close close_wait established fin_wait last_ack max_retrans syn_recv syn_sent time_wait
	unacknowledged'

# Both trackers, in router $1, attached at hook $2.
track() {
	local state dev settings=()
	in_host "$1" nft -f - <<-'END'
		table inet track {
			counter new {}
			counter established {}
			counter related {}
			counter invalid {}
			chain see {
				type filter hook prerouting priority 0
				meta l4proto tcp ct state new counter name new
				meta l4proto tcp ct state established counter name established
				meta l4proto tcp ct state related counter name related
				meta l4proto tcp ct state invalid counter name invalid
			}
		}
	END
	in_host "$1" bash -s "$LONG" <<-'END'
		cd /proc/sys/net/netfilter && echo 1 >nf_conntrack_acct
		for state in $1; do echo 86400 >nf_conntrack_tcp_timeout_$state; done
	END
	ctl_of "$1" attach --hook "$2" "$1a" "$1b"
	for state in $LONG; do settings+=("tcp_timeout_$state=86400"); done
	ctl_of "$1" set "${settings[@]}"
	for dev in "$1a" "$1b"; do
		ip -n "$CTT-$1" link set "$dev" gro_max_size 1 # attaching to XDP turned GRO on
	done
}

setup() {
	need nft conntrack
	tool stacks weather
	topo_stacks
	segments "$NS_A" 1
	segments "$NS_B" 1
	start track-s track s native
	track r tc >"$T/track-r"
	finish track-s 60
	want_eq "$RC" 0 "tracking in s ($(<"$T/track-s.err"))"
}

untrack() {
	start untrack-s ctl_of s detach --all
	run ctl detach --all
	finish untrack-s
	want_eq "$RC" 0 "detach in s ($(<"$T/untrack-s.err"))"
	want_detached
}

# hosts KEY=VALUE...: sysctls net.ipv4.KEY of both hosts, where the kernel has them.
hosts() {
	local ns setting net=/proc/sys/net/ipv4
	for ns in a b; do
		for setting; do
			in_host $ns sh -c "! test -e $net/${setting%%=*} || echo ${setting#*=} >$net/${setting%%=*}"
		done
	done
}

# A lost SYN costs a second, however often it gets lost. (That a host then gives up the last FIN of a
# connection sooner is not wanted.)
impatient() { hosts tcp_rto_max_ms=1000 tcp_orphan_retries=20; }

# ---- Playing ------------------------------------------------------------------------------------

# What hosts and trackers have counted so far, as JSON: {class: packets} of the kernel and ours.
kernels_classes() {
	in_host "$1" nft -j list counters | jq -cS '[.nftables[].counter // empty |
		select(.name | IN("new", "established", "related", "invalid")) | {(.name): .packets}] | add'
}
our_classes() { ctl_of "$1" stats -o json | jq -cS '.packets.ingress | del(.untracked)'; }
resets_sent() { in_host "$1" nstat -asz TcpOutRsts | awk '/OutRsts/ { print $2 }'; }

# The flows, as conntrack(8) writes them; without what differs by when it is asked.
bare() { sed -E 's/^(tcp +6) [0-9]+ /\1 /; s/ mark=[0-9]+ use=[0-9]+//' | sort; }
kernels_flows() { in_host "$1" conntrack -L -p tcp 2>/dev/null | bare; }
our_flows() { ctl_of "$1" list -p tcp 2>/dev/null | bare; }

# play [-k] [-g] 'WEATHER OPTIONS' CASE [OPTIONS]...: -k: packets may be INVALID, and states be another
# than the hosts', as long as the kernel thinks so, too. -g: frames are larger than segments, and not
# counted.
play() {
	local flags='' weather case x resets again began=$EPOCHREALTIME
	while [[ $1 == -[kg] ]]; do
		flags+=$1
		shift
	done
	weather=$1 case=$2
	shift 2
	for x in r s; do
		ctl_of $x flush >/dev/null
		in_host $x conntrack -F 2>/dev/null
		in_host $x nft reset counters >/dev/null
		our_classes $x >"$T/classes-$x"
	done
	resets=$(($(resets_sent a) + $(resets_sent b)))
	rm -f "$T/weather.out" "$T/stacks.out"
	# shellcheck disable=SC2086 # words
	serve weather nsenter --net="/run/netns/$NS_W" -- "$O/tests/weather" -s "$SEED" $weather \
		w-a-eth0 w-r-ra w-r-rb w-s-sa w-s-sb w-b-eth0
	start stacks "$O/tests/stacks" -s "$SEED" "$@" "$case" "$NS_A" "$NS_B"
	wait_for $((110 * SCALE)) over
	running stacks || die "$case $*: $(<"$T/stacks.err")"
	stop weather
	want_eq "$RC" 0 "weather ($(<"$T/weather.err"))"
	resets=$(($(resets_sent a) + $(resets_sent b) - resets))
	echo "$case $* in weather '$weather', $(seconds_since "$began") s; $(grep ^settled "$T/stacks.out")"
	tell_weather
	again=$(sed -n 's/^settled.* \([0-9]*\) segments sent again.*/\1/p' "$T/stacks.out")
	again=$((again + $(jq -s 'map(.dup) | add' "$T/accounts")))
	for x in r s; do
		compare $x "$resets" "$again" "$flags"
	done
	stop stacks
}
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", b - a }'; }
over() { ! running stacks || grep -qs ^settled "$T/stacks.out"; }

# What the weather says adds up, and is what it did.
tell_weather() {
	local bad
	sed -n '/^{/p' "$T/weather.out" | jq -c . >"$T/accounts"
	bad=$(jq -c 'select(.in + .dup != .lost + .out)' "$T/accounts")
	want_eq "$bad" "" "ways whose account is wrong"
	jq -rs '"  \(map(.in) | add) packets on all ways (\(map(.gso) | add) GSO), \(map(.bytes) | add) bytes; lost \(map(.lost) | add), copied \(map(.dup) | add) (late: \(map(.late) | add)), held back \(map(.reordered) | add), marked \(map(.marked) | add), overflow \(map(.overflow) | add)"' "$T/accounts"
}

# compare ROUTER RESETS AGAIN FLAGS
compare() {
	local kernels ours
	kernels=$(kernels_classes "$1")
	ours=$(jq -cS --slurpfile before "$T/classes-$1" \
		'with_entries(.value -= $before[0][.key])' <<<"$(our_classes "$1")")
	kernels_flows "$1" >"$T/kernels-$1"
	our_flows "$1" >"$T/ours-$1"
	if [[ $4 == *-g* ]]; then
		sed -i -E 's/ packets=[0-9]+ bytes=[0-9]+//g' "$T/kernels-$1" "$T/ours-$1"
		kernels=$(jq -c .invalid <<<"$kernels") ours=$(jq -c .invalid <<<"$ours")
	fi
	echo "  $1: ${ours//\"/}, $(states "$T/ours-$1"), $2 resets"
	diff -u0 --label kernels --label ours "$T/kernels-$1" "$T/ours-$1" >"$T/diff-$1" ||
		die "flows in $1 differ: $(grep -c '^+[^+]' "$T/diff-$1")"$'\n'"$(head -n 20 "$T/diff-$1")"
	want_eq "$ours" "$kernels" "classes in $1"
	if [[ $4 != *-k* ]]; then
		want_eq "$(jq '.invalid? // .' <<<"$ours")" 0 "INVALID packets in $1 ($(ctl_of "$1" stats -o json |
			jq -c '.invalid | with_entries(select(.value > 0))') so far)"
		judge "$T/stacks.out" "$T/ours-$1" "$2" "$3" >"$T/judge-$1" ||
			die "states in $1: $(<"$T/judge-$1")"
	fi
}

states() { awk '{ n[$3]++ } END { for (s in n) printf "%s%d %s", m++ ? ", " : "", n[s], s }' "$1"; }

# judge EXPECTED FLOWS RESETS AGAIN: each flow is expected, each expected one is there, in its state.
# But when a packet comes to a host that has done with the connection, it answers with a reset, which
# turns TIME_WAIT into CLOSE. A FIN that comes again is taken for the other side's, so CLOSE_WAIT
# becomes LAST_ACK and TIME_WAIT. And when FINs cross and come again, each may acknowledge the other;
# the ACKs that the tracker waits for in LAST_ACK then got lost before it, and nobody misses them. So
# many flows may have met that.
judge() {
	awk -v resets="$3" -v again="$4" '
		# Either end may have been the first for the tracker.
		function key(s, d, sp, dp) { return s "," sp < d "," dp ? s "," sp " " d "," dp : d "," dp " " s "," sp }
		function value(i) { sub(/.*=/, "", $i); return $i }
		function of(i) { return key(value(i), value(i + 1), value(i + 2), value(i + 3)) }
		FNR == NR && /^src=/ { k = of(1); want[k] = $5 }
		FNR == NR { next }
		{
			state = $3; k = of(4)
			if (!(k in want)) { print "unexpected: " k " " state; bad = 1; next }
			w = want[k]; seen[k] = 1
			if (w == state || w == "any") next
			if (w == "TIME_WAIT" && state == "CLOSE") { closed++; next }
			if (w == "CLOSE_WAIT" && state ~ /LAST_ACK|TIME_WAIT/) { fins++; next }
			if (w == "TIME_WAIT" && state == "LAST_ACK") { fins++; next }
			print k ": got " state ", wanted " w; bad = 1
		}
		END {
			for (k in want)
				if (!(k in seen) && want[k] != "-" && want[k] != "any") { print "no flow: " k " " want[k]; bad = 1 }
			if (closed > resets) { print closed " in CLOSE instead of TIME_WAIT, but " resets " resets"; bad = 1 }
			if (fins > again) { print fins " in other states for their FINs, but " again " segments again"; bad = 1 }
			exit bad
		}' "$1" "$2"
}

# Weather for every day, and none.
STORM='-l 1.5 -c 2 -r 3' FAIR=''

# ---- Cases --------------------------------------------------------------------------------------

# Bytes both ways; in large frames; with urgent ones in between.
test_bulk() {
	play "$STORM" bulk -n 8 -b $((3000000 * SCALE)) -o timestamps,sack,wscale
	play "$STORM" urgent -n $((16 * SCALE)) -w 16 -b 200000
	segments "$NS_A" 65535
	segments "$NS_B" 65535
	play -g '-l 0.3 -c 0.5 -r 1' bulk -n 8 -b $((8000000 * SCALE)) -o timestamps,sack,wscale
	untrack
}

# What TCP can do without: SACK, timestamps, both, window scaling; also if only one of them has it.
# With ECN, "congestion experienced" is marked on the way, and told back by ECE and CWR.
test_options() {
	local bytes=$((500000 * SCALE))
	hosts tcp_sack=0
	play "$STORM" bulk -n 4 -b $bytes -o timestamps,wscale,-sack
	hosts tcp_timestamps=0
	play "$STORM" bulk -n 4 -b $bytes -o wscale,-sack,-timestamps
	hosts tcp_sack=1
	play "$STORM" bulk -n 4 -b $bytes -o wscale,sack,-timestamps
	hosts tcp_window_scaling=0
	play "$STORM" bulk -n 4 -b $bytes -o -wscale,sack
	in_b sh -c 'cd /proc/sys/net/ipv4 && echo 1 >tcp_window_scaling && echo 0 >tcp_sack'
	play "$STORM" bulk -n 4 -b $bytes -o -wscale,-sack
	hosts tcp_window_scaling=1 tcp_sack=1 tcp_timestamps=1 tcp_ecn=1
	play "$STORM -e 5" bulk -n 4 -b $bytes -o timestamps,sack,wscale,ecn
	want_num "$(jq -s 'map(.marked) | add' "$T/accounts")" -gt 0 "packets marked"
	untrack
}

# The least buffers, with windows that shut and are probed, and small reads; connections that idle
# and ask whether the other is still there.
test_windows() {
	play "$STORM" tiny -n $((8 * SCALE)) -w 8 -b 20000
	play "$STORM" keepalive -n $((100 * SCALE)) -w 100 -b 20000
	hosts tcp_window_scaling=0 tcp_timestamps=0
	play "$STORM" tiny -n $((8 * SCALE)) -b 20000 -o -wscale
	untrack
}

# A FIN, and then bytes the other way for a while.
test_half_close() {
	play "$FAIR" half-close -n $((40 * SCALE)) -w 40 -b 20000
	play "$STORM" half-close -n $((80 * SCALE)) -w 80 -b 20000
	untrack
}

# Resets, at many moments. (In full flow, a host answers what was under way with resets that are older
# than what the tracker has seen acknowledged: INVALID.)
test_reset() {
	play "$FAIR" reset -n $((320 * SCALE)) -w 32
	play -k "$STORM" reset -n $((160 * SCALE)) -w 160
	play -k "$FAIR" reset-in-flow -n $((60 * SCALE)) -w 20 -b 30000
	play -k "$STORM" reset-in-flow -n $((60 * SCALE)) -w 20 -b 30000
	play -k "$STORM" given-up -n $((100 * SCALE)) -w 100
	untrack
}

# Nobody listens (a refusal ends the flow; its copy belongs to none). Both open at once (when packets
# overtake SYN/ACKs then, scaling and states go wrong, as in the kernel). Bytes in the SYN, which may be
# lost and the SYN sent again without.
test_opening() {
	impatient
	hosts tcp_fastopen=3 tcp_fastopen_blackhole_timeout_sec=0
	play '-l 3 -r 3' refused -n $((100 * SCALE)) -w 100
	play -k "$STORM" refused -n $((100 * SCALE)) -w 100
	play '-d 5' simultaneous -n $((32 * SCALE)) -w 32 -b 20000
	play -k "-d 5 $STORM" simultaneous -n $((32 * SCALE)) -w 32 -b 20000
	play "$FAIR" fast-open -n $((120 * SCALE)) -w 40 -b 20000
	play -k "$STORM" fast-open -n $((120 * SCALE)) -w 40 -b 20000
	want_no_match "$(grep ^settled "$T/stacks.out")" ', 0 with data' "data in SYNs"
	untrack
}

# The same ports again: while one end is in TIME_WAIT; and by either end, when neither host is. (What
# comes late belongs to the connection before.)
test_ports_again() {
	impatient
	play '-l 2' reuse -n $((24 * SCALE)) -w 24 -b 5000
	play -k "$STORM" reuse -n $((24 * SCALE)) -w 24 -b 5000
	hosts tcp_max_tw_buckets=0
	play -k "$STORM" reuse-in-turn -n $((24 * SCALE)) -w 24 -b 5000
	untrack
}

# Thousands of short connections; some when every fifth SYN and SYN/ACK gets lost on the way; some
# with SYNs that come when all is over.
test_short() {
	impatient
	play "$FAIR" short -n $((300 * SCALE)) -w 300 -b 5000
	play -k "$STORM" short -n $((1200 * SCALE)) -w 300 -b 5000
	play "$STORM -y 6" short -n $((40 * SCALE)) -w 40 -b 5000
	play -k "-l 1 -c 10 -r 10 -L 100 -o" short -n $((200 * SCALE)) -w 100 -b 2000
	untrack
}
