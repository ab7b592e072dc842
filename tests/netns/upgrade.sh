# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
#
# Another set of programs, or a table of another size or layout, in the place of the running one.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# exact LOAD...: the flow of each of these loads has counted every packet of both directions, once.
exact() {
	local load line flow port
	for load; do
		line=$(grep ^sent "$T/$load.out")
		case $load in
		ab4) flow=$(ctl list -p udp -s 10.0.1.1 -d 10.0.2.1 --dport 7 -o json) ;;
		ba4) flow=$(ctl list -p udp -s 10.0.2.1 -d 10.0.1.1 --dport 7 -o json) ;;
		ab6) flow=$(ctl list -f ipv6 -p udp -s fd00:1::1 --dport 7 -o json) ;;
		ba6) flow=$(ctl list -f ipv6 -p udp -s fd00:2::1 --dport 7 -o json) ;;
		ping4) flow=$(ctl list -p icmp -o json) ;;
		ping6) flow=$(ctl list -f ipv6 -p icmpv6 -o json) ;;
		esac
		want_eq "$(jq -r '.[] | "\(.original.packets) \(.reply.packets)"' <<<"$flow")" \
			"$(awk '{ print $2, $4 }' <<<"$line")" "packets of $load, original and reply"
	done
}

# driver_lost: what the devices say that they dropped: veth with XDP has queues of 256 frames.
driver_lost() {
	for ns in "$NS_A" "$NS_B" "$NS_R"; do
		ip -n "$ns" -s -j link
	done | jq -s '[.[][] | .stats64 | .rx.dropped + .tx.dropped] | add'
}

# under_load HOOK N COMMAND...: run it N times under load; not a packet is lost but by the devices,
# every one is counted in its flow, and none got another class than it should have.
under_load() {
	local hook=$1 n=$2 i stats
	shift 2
	# shellcheck disable=SC2086 # words
	run ctl attach $hook --max 20000 ra rb
	[[ $hook != *native* ]] || { xdp_pass a && xdp_pass b; }
	load_on
	# A download fills those of native XDP.
	[[ $hook == *native* ]] || {
		serve web in_b traffic tcp-serve 80
		start get in_a traffic tcp-get 10.0.2.1 80 1500000000
	}
	start events ctl events -e destroy -p icmp -o json
	wait_for 5 listening 1
	for ((i = 1; i <= n; i++)); do
		run "$@" "$i"
	done
	[[ -z ${STARTED[get]-} ]] || {
		finish get 60
		want_eq "$RC" 0 "exit code of a download: $(output get)"
	}
	load_off
	# shellcheck disable=SC2086
	exact $LOADS
	stats=$(ctl stats -o json)
	want_num "$LOST" -le "$(driver_lost)" "packets lost, where the devices dropped some"
	want_eq "$(jq -c '[.packets[].invalid] | add' <<<"$stats")" 0 \
		"invalid packets: $(jq -c '.invalid | with_entries(select(.value > 0))' <<<"$stats")"
	# Multicast listener reports are.
	want_num "$(jq -c '[.packets[].untracked] | add' <<<"$stats")" -le 4 "untracked packets"
	want_eq "$(jq -c '.lifecycle | [.confirmed - .destroyed, .created - .confirmed]' <<<"$stats")" \
		"[$(jq .flows <<<"$stats"),0]" "flows by the counters; $stats"
	want_eq "$(jq -c '.lifecycle | [.stage_missing, .in_without_confirm, .stale_record,
		.confirm_without_in, .lost_unconfirmed]' <<<"$stats")" '[0,0,0,0,0]' \
		"packets that missed a stage"
	want_eq "$(ctl count -o json | jq .count)" "$(jq .flows <<<"$stats")" "flows by the walk"
	run ctl detach --all
	finish events
	# Its ring was there all the time: it has heard of both pings' ends.
	want_eq "$(jq -r .flow.proto "$T/events.out" | sort | xargs)" "icmp" "last events"
	want_detached
}

upgrade() { ctl upgrade; }
# Tables of sizes that differ from each other, with as many flows as there are.
resize() { ctl set "max=$((20000 + 1000 * $1))"; }

test_upgrade_tcx() { under_load "--hook tc" 5 upgrade; }
test_upgrade_clsact() { under_load "--hook tc --tc clsact" 5 upgrade; }
test_upgrade_native() { under_load "--hook native" 5 upgrade; }
test_resize_tcx() { under_load "--hook tc" 4 resize; }
test_resize_native() { under_load "--hook native" 4 resize; }
