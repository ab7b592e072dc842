# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many at once: loaders that race on one instance, others that read beside them, fifty namespaces
# with an instance each, and listeners that are killed, stopped or hung at any moment.
#
# MANY=N makes N times as many rounds. TIMEOUT is for that, too.
# TIMEOUT: 600

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

MANY=${MANY:-1}

setup() { topo_up; }

# instances: the folders of the router's instances that there are.
instances() {
	local cookie
	cookie=$(in_r traffic cookie)
	find {/sys/fs/bpf,/run/ctloader/bpf}/ctloader -maxdepth 1 -name "netns-$cookie" 2>/dev/null || :
}

# sensible NAME CODE COMMAND...: it ends with 0; or with 1 and one line that says that there is no
# instance (now). Any other end is told of on standard output.
NOT_LOADED="^ctloader: [a-z]+: table: not loaded \(run 'ctloader attach' first\)\$"
sensible() {
	local code=0 said
	said=$(ctl "$@" 2>&1 >/dev/null) || code=$?
	((code == 0)) && return
	((code == 1)) && [[ $said =~ $NOT_LOADED ]] && return
	echo "$*: exit code $code: $said"
}

# whole INTERFACE...: an instance has exactly these, and every step of them was reached: attaching
# them again finds nothing to do.
whole() {
	want_eq "$(ctl status -o json | jq -r '[.interfaces[].name] | sort | join(" ")')" "$*" interfaces
	run ctl attach "$@"
	want_eq "$(grep -c 'attached already' <<<"$OUT")" $# "interfaces that are whole: $OUT"
}

# ---- Loaders --------------------------------------------------------------------------------------

# Three attach at the same time, the same interfaces and others: all succeed, and share one instance.
test_attach_together() {
	local i
	for ((i = 0; i < 2 * MANY; i++)); do
		start one ctl attach ra
		start two ctl attach rb
		start three ctl attach ra rb
		for loader in one two three; do
			finish $loader 30
			want_eq "$RC" 0 "exit code of $loader ($(<"$T/$loader.err"))"
		done
		want_eq "$(instances | wc -l)" 1 instances
		whole ra rb
		traffic_flows
		want_num "$(ctl count -p icmp)" -ge 1 "flows"
		run ctl detach --all
		want_detached
	done
}

# One attaches while another detaches all: both succeed, or the second found nothing to detach. What
# is there afterwards is whole or nothing at all, and no packet is lost in it.
test_attach_against_detach() {
	local i together=0
	wait_for 5 traffic_flows # the links are up
	serve ping in_a traffic ping-flood 10.0.2.1 1000
	for ((i = 0; i < 6 * MANY; i++)); do
		start attach ctl attach ra rb
		((i % 3 == 0)) || sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		start detach sensible detach --all
		finish attach 30
		want_eq "$RC" 0 "exit code of attach ($(<"$T/attach.err"))"
		finish detach 30
		want_eq "$(output detach)" "" "detach"
		[[ -z $(instances) ]] || { whole ra rb && together=$((together + 1)); }
	done
	echo "$together of $i left the interfaces attached"
	stop ping
	want_match "$(output ping)" ' lost 0 ' "ping flood"
	ctl detach --all >/dev/null 2>&1 || :
	want_eq "$(instances)" "" instances
	want_detached
}

# Four loaders attach and detach an interface each, again and again, while others read, write and
# listen: whoever finds the instance gone says so in one line.
test_four_loaders_and_readers() {
	local i
	for i in 3 4; do
		ip netns add "$CTT-h$i"
		link_host "$CTT-h$i" "r$i" "$i"
	done
	start flows in_a traffic flows 10.0.2.1 9 1000 1000
	for i in ra rb r3 r4; do start "loader-$i" loader $i $((2 * MANY)); done
	start list reader list -o json
	start stats reader stats
	start status reader status -o json
	start set reader set udp_timeout=31
	start count reader count
	start flush reader flush
	start events reader events -n 1 -b 4k
	for i in ra rb r3 r4; do
		finish "loader-$i" $((60 * MANY))
		want_eq "$(output "loader-$i")" "" "what went wrong with $i"
	done
	touch "$T/enough"
	for i in list stats status set count flush events; do
		finish $i 20
		want_match "$(tail -n 1 "$T/$i.out")" '^[1-9][0-9]* times$' "$i"
		want_eq "$(head -n -1 "$T/$i.out")" "" "what went wrong with $i"
		tail -n 1 "$T/$i.out"
	done
	want_detached
}

loader() {
	for ((i = 0; i < $2; i++)); do
		sensible attach "$1"
		sensible list
		sensible detach "$1"
	done
}

# reader COMMAND...: over and over until it is enough; then it says how often.
reader() {
	local n=0
	until [[ -e $T/enough ]]; do
		sensible "$@"
		n=$((n + 1))
	done
	echo "$n times"
}

# ---- Namespaces -----------------------------------------------------------------------------------

# Many namespaces attach at once (fifty, if there is time for it: MANY=2); each tracks its own packets;
# each detaches. Some go away with their instance: the next attach anywhere takes what they left.
test_many_namespaces() {
	local i n=$((MANY > 1 ? 50 : 10)) cookies
	for ((i = 1; i <= n; i++)); do
		ip netns add "$CTT-n$i"
		nsenter --net="/run/netns/$CTT-n$i" traffic cookie >>"${CTT_COOKIES:-/dev/null}"
		ip_in "$NS_R" <<-END
			link add v$i type veth peer name eth0 netns $CTT-n$i
			addr add 10.1.$i.254/24 dev v$i
			link set v$i up
		END
		ip_in "$CTT-n$i" <<-END
			link set lo up
			addr add 10.1.$i.1/24 dev eth0
			link set eth0 up
		END
	done
	each_namespace $n attach --max 1000 eth0
	for ((i = 1; i <= n; i++)); do
		in_r ping -c 1 -W 5 -q "10.1.$i.1" >/dev/null || echo "$i" >>"$T/unanswered" &
	done
	wait
	[[ ! -e $T/unanswered ]] || die "no answer from $(xargs <"$T/unanswered")"
	for ((i = 1; i <= n; i++)); do
		want_eq "$("$CTLOADER" --netns "$CTT-n$i" count -p icmp)" 1 "flows of namespace $i"
	done
	for ((i = n - 3; i <= n; i++)); do
		cookies+=" $(nsenter --net="/run/netns/$CTT-n$i" traffic cookie)"
		ip netns del "$CTT-n$i"
	done
	wait_for 5 no_device "v$((n - 3))" "v$((n - 2))" "v$((n - 1))" "v$n"
	run ctl attach ra rb
	for i in $cookies; do
		[[ ! -e /sys/fs/bpf/ctloader/netns-$i && ! -e /run/ctloader/bpf/ctloader/netns-$i ]] ||
			die "an instance of a namespace that has gone is left: netns-$i"
	done
	run ctl detach --all
	each_namespace $((n - 4)) detach --all
	want_detached
}

no_device() {
	local device
	for device; do
		! ip -n "$NS_R" link show "$device" || return
	done
}

# each_namespace N COMMAND...: all at once; all have to succeed.
each_namespace() {
	local i n=$1 pids=()
	shift
	for ((i = 1; i <= n; i++)); do
		"$CTLOADER" --netns "$CTT-n$i" "$@" >/dev/null 2>"$T/each.$i" || echo "exit code $?" >>"$T/each.$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	want_eq "$(cat "$T"/each.*)" "" "$n times $1 at once"
}

# An instance whose only interface was removed is not one whose namespace has gone.
test_living_namespace_is_no_orphan() {
	run ctl attach ra
	traffic_flows
	ip -n "$NS_R" link del ra
	run "$CTLOADER" --netns "$NS_B" attach eth0
	want_num "$(ctl count -p icmp)" -ge 1 "flows of the instance without an interface"
	run "$CTLOADER" --netns "$NS_B" detach --all
	run ctl detach --all
	want_detached
}

# ---- Listeners ------------------------------------------------------------------------------------

# Listeners that are killed at any moment leave their places to others: in the end there are eight,
# and nothing that the dead had asked for is asked for any more.
test_listeners_killed() {
	local i n=0
	run ctl attach ra rb
	for ((i = 1; i <= 4; i++)); do start "killer$i" killer $((50 * MANY)); done
	for ((i = 1; i <= 4; i++)); do
		finish "killer$i" $((60 * MANY))
		want_eq "$RC $(output "killer$i")" "0 " "killer $i ($(<"$T/killer$i.err"))"
	done
	for ((i = 1; i <= 8; i++)); do start "l$i" ctl events -o json -e new; done
	wait_for 5 listening 8
	refuses 1 'events: 8 listeners' 'all places .* taken' events
	traffic_flows
	for ((i = 1; i <= 8; i++)); do
		wait_for 5 test -s "$T/l$i.out"
		stop "l$i" KILL
	done
	run ctl flush
	listening 0
	want_eq "$(wanted)" 0 "what listeners want when there are none"
	want_eq "$(find "$(pins)" -name 'listener-*')" "" "places taken"
	run ctl detach --all
	want_detached
}

killer() {
	local i pid
	for ((i = 0; i < $1; i++)); do
		"$CTLOADER" --netns "$NS_R" events -b 4k >/dev/null 2>"$T/killed.$BASHPID" &
		pid=$!
		sleep "0.0$((RANDOM % 4))$((RANDOM % 10))"
		kill -KILL $pid
		wait $pid 2>/dev/null || :
		[[ ! -s $T/killed.$BASHPID ]] || cat "$T/killed.$BASHPID"
	done
}

# wanted: the events that the word which every packet looks at says are wanted.
wanted() {
	local d map
	d=$(pins)
	for map in state listener_state; do
		bpftool -j map dump pinned "$d/$map"
	done | jq '.. | .listening? // empty | . % 256'
}

# A listener that is stopped at any call of its registration holds up nobody. Meanwhile the instance
# is detached and made anew, with a listener of its own; the stopped one, continued, ends by itself
# and leaves that one alone.
test_stopped_in_registration() {
	local at began points=(mkdirat flock MAP_UPDATE_ELEM)
	need strace
	((MANY == 1)) || points+=('OBJ_GET,.*/listeners"' MAP_CREATE.*RINGBUF MAP_DELETE_ELEM)
	run ctl attach ra rb
	strace -ff -o "$T/calls" -e trace=mkdirat,flock,bpf timeout -s INT "${CTT_SLOW:-1}" \
		"$CTLOADER" --netns "$NS_R" events || :
	for at in "${points[@]}"; do
		start stopped stopping_at "$at"
		wait_for 10 is_stopped
		began=$EPOCHREALTIME
		run timeout 60 "$CTLOADER" --netns "$NS_R" detach --all
		want_num "$(us_since "$began")" -lt 6000000 "us of a detach beside a listener stopped at $at"
		want_eq "$(instances)" "" "instances"
		[[ -z ${STARTED[other]-} ]] || other_saw 2
		run ctl attach ra rb
		start other ctl events -o json -e new
		wait_for 5 listening 1
		kill -CONT -- "-${STARTED[stopped]}"
		finish stopped 10
		want_num "$RC" -le 1 "exit code of the listener continued at $at ($(<"$T/stopped.err"))"
		((RC == 0)) || want_match "$(<"$T/stopped.err")" "$NOT_LOADED" "what it said"
		listening 1
		traffic_flows
	done
	run ctl detach --all
	other_saw 2
	want_detached
}

# other_saw N: the other listener has ended by itself, after that many events.
other_saw() {
	finish other
	want_eq "$RC $(wc -l <"$T/other.out")" "0 $1" "exit code and events of the other listener"
}

us_since() { echo $((${EPOCHREALTIME/./} - ${1/./})); }

# stopping_at PATTERN: a listener that is stopped when it has made the first of its calls like that.
stopping_at() {
	local calls line call
	calls=$(find "$T" -name 'calls.*' | sort -V | tail -n 1)
	line=$(grep -n -m 1 -E "$1" "$calls")
	call=${line#*:} call=${call%%(*}
	exec strace -o /dev/null -e trace="$call" \
		-e inject="$call:signal=STOP:when=$(head -n "${line%%:*}" "$calls" | grep -c "^$call(")" \
		"$CTLOADER" --netns "$NS_R" events -b 4k
}

is_stopped() {
	local pid
	for pid in $(pgrep -g "${STARTED[stopped]}" ctloader); do
		grep -q '^State:.[Tt]' "/proc/$pid/status" && return
	done
	return 1
}

# A detach waits for a listener that does not read, but not for ever; then it says which one, and
# what is lost to it. What is in its ring is still there when it goes on.
test_detach_gives_up() {
	local took said
	tool events
	run ctl attach ra rb
	start hung ctl events -o json -b 4k
	start reading ctl events -o json -e destroy
	wait_for 5 listening 2
	kill -STOP "${STARTED[hung]}"
	in_a traffic flows 10.0.2.1 9 10000 0.5 >/dev/null
	took=$EPOCHREALTIME
	run ctl detach --all
	took=$(us_since "$took")
	echo "detach took $((took / 1000)) ms: $ERR"
	want_num "$took" -lt 6000000 "us of the detach"
	said="^ctloader: detach: listener [0-7] \(process ${STARTED[hung]}\) does not read: ([0-9]+) events are lost to it\$"
	want_match "$ERR" "$said" "what it gave up"
	finish reading
	want_eq "$(events <"$T/reading.out" | jq -c '[.destroy, .lost]')" '[5000,0]' "who reads"
	kill -CONT "${STARTED[hung]}"
	finish hung
	want_eq "$RC" 0 "exit code of the one that was hung"
	want_eq "$(events <"$T/hung.out" | jq '.new + .destroy + .lost')" 10000 "what it got or missed"
	want_detached
}
