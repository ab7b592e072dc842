#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `events --sync` in the midst of everything:
#
#	tests/stress/sync.sh [ROUNDS]
#
# In each round (10) flows come and go by the ten thousand a second while listeners begin to follow the table, half
# of them reliable ones; it is resized and its programs are replaced meanwhile. At the end the stream of each must
# lead to the table that `list` shows; one that was refused (events were lost while the table was read) must
# have printed nothing. Prints for each round what the listeners were told.

cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/lib.sh
source tests/lib.sh
# shellcheck source=tests/tools/more.sh
source tests/tools/more.sh

rounds=${1:-10}
if [[ -z ${CTT_BUILT-} ]]; then
	tests/run.sh -b netns || exit 2
	exec 9</run/lock # as tests/run.sh: one at a time
	flock -n 9 || { echo "waiting for another run of the tests to end" && flock 9; }
fi
tool events
T=$(mktemp -d)
trap 'stop_all; ctl detach --all >/dev/null 2>&1; topo_down; rm -rf "$T"' EXIT
set -eEu -o pipefail

# As long as a flow that is over waits for its sweep, `list` does not show it, and the stream does.
settled() { want_eq "$(ctl count)" "$(ctl count -p udp)" "flows, and those that are not over"; }

told=0 refused=0
# check NAME: what that listener was told.
check() {
	local got
	stop "$1" INT
	if ((RC == 1)); then
		want_match "$(<"$T/$1.err")" 'events were lost while it was read' "$1"
		want_eq "$(<"$T/$1.out")" "" "$1, refused"
		refused=$((refused + 1))
		return
	fi
	want_eq "$RC" 0 "$1: $(<"$T/$1.err")"
	got=$(events <"$T/$1.out")
	echo "  $1: $(jq -c '[.sync, .new, .update, .destroy, .lost]' <<<"$got")"
	[[ $(jq .lost <<<"$got") == 0 ]] || return 0
	want_eq "$(jq -c '[.twice, .orphans, .gaps, .synced - .sync, .unpaired, .table]' <<<"$got")" \
		"$(jq -c '[0, 0, 0, 0, .sync, .table]' <<<"$table")" "$1"
	told=$((told + 1))
}

for ((round = 1; round <= rounds; round++)); do
	echo "round $round: flows of the table, new, update, destroy, lost"
	topo_up
	run ctl attach --max 300000 ra rb
	serve echo in_b traffic udp-echo 7
	serve sink in_b traffic udp-sink 9
	in_a traffic flows 10.0.2.1 9 50000 0.4 >/dev/null
	run ctl set udp_timeout=1
	start flood in_a traffic -f 100000 flows 10.0.2.1 9 15000 3
	start talk in_a traffic udp-send 10.0.2.1 7 3000 1000
	for i in 1 2 3 4 5 6; do
		reliable=()
		((i % 2)) || reliable=(--reliable)
		start "l$i" ctl events --sync -o json -b 64M "${reliable[@]}"
		case $((round % 4)).$i in
		1.3 | 3.3) run ctl set "max=$((300000 + round * 1000))" ;;
		2.3 | 3.5) run ctl upgrade ;;
		0.*) ctl count >/dev/null ;;
		esac
	done
	finish flood 20
	finish talk 20
	run ctl set udp_timeout=600
	in_a traffic -f 300000 flows 10.0.2.1 9 1000 1 >/dev/null
	wait_for 30 settled
	table=$(ctl list -o json 2>/dev/null | events)
	for i in 1 2 3 4 5 6; do check "l$i"; done
	stop echo
	stop sink
	run ctl detach --all
	topo_down
done
echo "$told streams led to the table, $refused were refused"
