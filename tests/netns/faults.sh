# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every failure at every step, a sample of it: in each scenario of tools/faults.sh a few system calls
# fail, with errors in turn, or bring SIGKILL. SEED chooses others; FAULTS=N makes N in each. All of
# them are made by stress/faults.sh.
# TIMEOUT: 300

# shellcheck source=tests/tools/faults.sh
source "$TOP/tests/tools/faults.sh"

FAULTS_EACH=${FAULTS:-2}

setup() {
	topo_up
	xdp_pass a
	xdp_pass b
	tool fault pinned
	need_probe "tracing other processes" fault true
}

# played PREFIX...: the scenarios whose names begin so.
played() {
	local name prefix
	REUSE=1
	for name in "${SCENARIOS[@]}"; do
		for prefix; do
			[[ $name != "$prefix"* ]] || play "$name" sample "$FAULTS_EACH"
		done
	done
	account
	want_eq "${TALLY[BROKEN]-0}" 0 "faults that left neither the old state nor the new one, or broke something else"
}

test_attach() { played attach; }
test_detach() { played detach; }
test_upgrade() {
	has upgrade || skip "the command upgrade"
	played upgrade set
}
