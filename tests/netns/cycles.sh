# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The bug that this project began with, and its cure. A packet meets `in` first and `confirm` last;
# whoever attaches in that order lets packets through `in` alone, and the flows they open are
# leaked. Attached in the other order, and detached in this one with a grace period after each step,
# the two may come and go under any traffic.
#
# CYCLES=N makes N cycles at each hook in place of 60: CYCLES=1000 LIMIT=7200 tests/run.sh cycles.sh is
# the full test, 2000 cycles and 500 more with upgrades.
# TIMEOUT: 600

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

CYCLES=${CYCLES:-8}

setup() { topo_up; }

# ---- (a) The order ------------------------------------------------------------------------------

# Three pings at once through the router, all answered; a shell command for tools/naive.
three_pings() {
	cat >"$T/pings" <<-END
		for i in 1 2 3; do
			nsenter --net=/run/netns/$NS_A ping -c 1 -W 2 -q 10.0.2.1 >/dev/null & pids="\$pids \$!"
		done
		for pid in \$pids; do wait \$pid || exit 1; done
	END
	echo "sh $T/pings"
}

# Flows that were opened and that nobody has confirmed, or dropped.
leaked() { stat_of .unconfirmed; }

# The naive order, "in" before "confirm": three pings that cross an attach in the wrong moment are
# answered, but leave three unconfirmed entries that nobody will confirm, and no listener hears of
# them. So it is with a naive detach, and each adds three. (Here a sweep ends that in half a
# minute, or the detach does.)
test_naive_order_leaks() {
	tool naive
	run in_r naive load
	start events ctl events -o json
	wait_for 5 listening 1
	run in_r naive attach naive native "$(three_pings)" 'tc ingress' ra rb
	want_eq "$(leaked)" 3 "unconfirmed entries after a naive attach"
	want_eq "$(stat_of .lifecycle.confirmed) $(stat_of .events.delivered)" "0 0" \
		"confirmed flows, and events that reached the listener"
	traffic_flows # whole now
	want_eq "$(stat_of .lifecycle.confirmed)" 2 "confirmed flows when all hooks are there"
	run in_r naive detach naive native "$(three_pings)" XDP ra rb
	want_eq "$(leaked)" 6 "unconfirmed entries after a naive detach"
	want_eq "$(stat_of .lifecycle.confirmed)" 2 "confirmed flows"
	run ctl detach --all
	finish events
	want_eq "$(jq -r .type "$T/events.out" | grep -c new)" 2 "NEW events, of eight pings"
	want_detached
}

# The real order, with three pings between each of its steps, on and off again: nothing is leaked,
# and every flow there is has its NEW.
test_real_order_does_not_leak() {
	local hook
	tool naive events
	run in_r naive load
	start events ctl events -o json -e new,destroy
	wait_for 5 listening 1
	for hook in native tc; do
		run in_r naive attach safe $hook "$(three_pings)" each ra rb
		want_eq "$(grep -c ^before <<<"$ERR")" 5 "steps with pings ($ERR)"
		want_eq "$(leaked)" 0 "unconfirmed entries after an attach ($hook)"
		traffic_flows
		run in_r naive detach safe $hook "$(three_pings)" each ra rb
		want_eq "$(leaked)" 0 "unconfirmed entries after a detach ($hook)"
	done
	want_num "$(stat_of .lifecycle.confirmed)" -ge 10 "confirmed flows"
	want_eq "$(stat_of '.lifecycle | .created - .confirmed')" 0 "opened and not confirmed"
	want_eq "$(stat_of .events.delivered)" "$(stat_of .lifecycle.confirmed)" "NEW events"
	run ctl detach --all
	finish events
	want_eq "$(events <"$T/events.out" | jq -c '[.unpaired, .orphans, .lost]')" '[0,0,0]' "NEW without DESTROY, DESTROY without NEW, lost"
	want_detached
}

# ---- (b) Under load -----------------------------------------------------------------------------

# A cycle is attach and detach. Every fifth is the whole life of an instance, which takes ten times as long,
# every other of those with a listener, whose stream must end by itself; the others keep the table, so
# that what is in it can be looked at after the detach. What is given behind is done in each, while it is
# attached.
cycles() {
	local hook=$1 n=$2 i
	shift 2
	for ((i = 1; i <= n; i++)); do
		ctl attach --hook "$hook" ra rb >/dev/null
		(($# == 0)) || "$@"
		if ((i % 10 == 0)); then
			start "events$i" ctl events -e destroy -p icmp -f ipv4
			wait_for 5 listening 1
			add_up "$(ctl stats -o json)"
		elif ((i % 5 && i < n)); then
			ctl detach --keep --all >/dev/null
			((i % 3)) || kept_clean "$i"
			continue
		fi
		timeout 30 "$CTLOADER" --netns "$NS_R" detach --all >/dev/null
		((i % 10)) && continue
		finish "events$i" 5
		want_eq "$RC" 0 "exit code of events at cycle $i"
		want_match "$(output "events$i")" '^\[DESTROY\] icmp ' "last event of the ping flood at cycle $i"
	done
}

# After a detach that keeps the table: no flow is between `in` and `confirm`, and all that were
# opened are accounted for.
kept_clean() {
	local stats
	stats=$(ctl stats -o json)
	want_eq "$(jq -c '[.unconfirmed, (.lifecycle | .created - .confirmed - .dropped_unconfirmed
		- .swept_unconfirmed - .lost_unconfirmed)]' <<<"$stats")" '[0,0]' \
		"flows left unconfirmed, or unaccounted for, by the detach of cycle $1; $stats"
	want_eq "$(jq -c '.lifecycle | [.stage_missing, .in_without_confirm, .stale_record]' <<<"$stats")" \
		'[0,0,0]' "packets that missed a stage"
}

# What became of packets that crossed a change, by name, summed up in CROSSED.
add_up() {
	CROSSED=$(jq -c --argjson sum "$CROSSED" '.lifecycle | {confirm_without_in, in_without_confirm,
		stage_missing, stale_record} | with_entries(.value += ($sum[.key] // 0))' <<<"$1")
}

# With programs at tc, again and again: not one packet is lost.
test_cycles_tc() {
	CROSSED='{}'
	load_on
	cycles tc "$CYCLES"
	load_off
	echo "packets that crossed a change: $CROSSED"
	want_eq "$LOST" 0 "packets lost in $CYCLES cycles"
	want_num "$SENT" -gt 20000 "packets sent"
	want_detached
}

# With native XDP likewise: veth itself loses some when a program comes or goes, whatever the
# program; a bare XDP_PASS shows how many, in the same traffic. Ours is no worse.
test_cycles_native() {
	local bare bare_sent
	xdp_pass a
	xdp_pass b
	load_on without_downloads
	bare_cycles "$CYCLES"
	load_off
	bare=$LOST bare_sent=$SENT
	CROSSED='{}'
	load_on without_downloads
	cycles native "$CYCLES"
	load_off
	echo "bare XDP_PASS: $bare of $bare_sent packets lost; ctloader: $LOST of $SENT"
	echo "packets that crossed a change: $CROSSED"
	# Both are a few by chance: three standard deviations.
	want_num "$LOST" -le "$(awk -v n="$bare" 'BEGIN { print int(n + 3 * sqrt(n + 1) + 1) }')" \
		"packets lost in $CYCLES cycles, where a bare XDP_PASS loses $bare"
	want_detached
}

# Downloads fill the queues of a veth with native XDP: their streams are whole, and all that is lost beside
# them the devices have dropped.
test_cycles_native_downloads() {
	CROSSED='{}'
	xdp_pass a
	xdp_pass b
	load_on
	cycles native $((CYCLES / 4))
	load_off
	echo "packets that crossed a change: $CROSSED; the devices dropped $(driver_lost)"
	want_num "$LOST" -le "$(driver_lost)" "packets lost in $((CYCLES / 4)) cycles, where the devices dropped some"
	want_detached
}

# At tc, where a lost packet is ours, with an upgrade in every cycle.
test_cycles_with_upgrade() {
	CROSSED='{}'
	load_on
	cycles tc $((CYCLES / 4)) run ctl upgrade
	load_off
	echo "packets that crossed a change: $CROSSED"
	want_eq "$LOST" 0 "packets lost in $((CYCLES / 4)) cycles with an upgrade"
	want_num "$SENT" -gt 5000 "packets sent"
	want_detached
}

# As often as `cycles`, and nearly as long: traffic has to flow with the program and without.
bare_cycles() {
	local i
	for ((i = 0; i < $1; i++)); do
		xdp_pass r ra
		xdp_pass r rb
		sleep 0.15
		xdp_off r ra
		xdp_off r rb
		sleep 0.15
	done
}

# ---- (c) The grace period -----------------------------------------------------------------------

# A packet that stays between `in` and `confirm` for a second holds up a detach: the step after
# "in: off" begins only when it has gone, and then its flow is confirmed.
test_grace_period() {
	local off xdp began ended
	run ctl attach ra rb
	load_policies
	run ctl attach --policy "$(pins)/test/ct_test_slow" ra
	# Who sends the packet also runs it through the router: we stay off that CPU, and off the
	# disk, whose interrupts may be waiting there, too.
	need_probe "a second CPU" taskset -c 1 true
	taskset -cp 0 $BASHPID >/dev/null
	start slow taskset -c 1 nsenter --net="/run/netns/$NS_A" ping -c 1 -W 5 -q -e 4242 10.0.2.1
	slow_began
	ERR=$(ctl -v detach --keep --all 2>&1 >/dev/null)
	finish slow
	want_eq "$RC" 0 "exit code of the ping"
	began=$(slow_time 0)
	ended=$(slow_time 1)
	off=$(step_time 'ra: in: off')
	xdp=$(step_time 'ra: XDP: off')
	echo "the packet: $began to $ended; in: off at $off; XDP: off at $xdp"
	want_num "$off" -gt "$began" "ns when 'in' was switched off; the packet was in it from"
	want_num "$off" -lt "$ended" "ns when 'in' was switched off; the packet was in it to"
	want_num "$xdp" -ge "$ended" "ns when the next step began; the packet had gone at"
	want_eq "$(ctl count -p icmp)" 1 "its flow, confirmed"
	want_eq "$(stat_of .unconfirmed)" 0 "unconfirmed flows"
	run ctl detach --all
	want_detached
}

# step_time STEP: the ns of CLOCK_MONOTONIC in its line in ERR.
step_time() { sed -n "s/^ctloader: detach: $1 \[\([0-9]*\)\.\([0-9]*\)\]$/\1\2/p" <<<"$ERR"; }
