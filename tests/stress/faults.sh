#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every failure at every step, in full: see tests/tools/faults.sh.
#
#	tests/stress/faults.sh [-v] [HOW [SCENARIO...]]
#
# HOW is `each` (at each call worth it an error, one that stays, and a kill), `all` (each of six errors
# in place of one), `once` (one of the three at each call, in turn), or `sample:K`. SEED=N chooses other
# errors for the same calls. REUSE=1: where nothing has changed, the next fault finds the same instance.
# It takes hours, and lets other tests run in between.

cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/lib.sh
source tests/lib.sh
# shellcheck source=tests/tools/faults.sh
source tests/tools/faults.sh

V=
[[ ${1-} != -v ]] || { V=1 && shift; }
how=${1:-each}
shift
scenarios=("${@:-${SCENARIOS[@]}}")

tests/run.sh -b netns || exit 2
CTT_BEFORE=$(mktemp)
snapshot >"$CTT_BEFORE"
begin
rm "$CTT_BEFORE"
tool fault pinned
for name in "${scenarios[@]}"; do
	[[ -n ${GIVEN[$name]+x} ]] || die "$name: no such scenario; there is ${SCENARIOS[*]}"
done
# As tests/run.sh: one at a time. Who waits gets it.
exec 9</run/lock
flock 9
give_way() {
	flock -u 9
	sleep 0.1
	flock 9
}
for name in "${scenarios[@]}"; do
	topo_up
	xdp_pass a
	xdp_pass b
	# shellcheck disable=SC2086 # words
	play "$name" ${how/:/ }
	topo_down
done
account
((${TALLY[BROKEN]-0} == 0))
