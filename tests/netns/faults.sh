# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every failure at every step, a sample of it: in some scenarios of tools/faults.sh a few system calls
# fail, with errors in turn, or bring SIGKILL. SEED chooses others; FAULTS=N makes N in each. All
# scenarios, and all calls, are in stress/faults.sh.
# TIMEOUT: 300

# shellcheck source=tests/tools/faults.sh
source "$TOP/tests/tools/faults.sh"

setup() {
	topo_up
	tool fault pinned
	need_probe "tracing other processes" fault true
}

# played SCENARIO...
played() {
	local name
	REUSE=1
	for name; do
		play "$name" sample "${FAULTS:-1}"
	done
	account
	want_eq "${TALLY[BROKEN]-0}" 0 "faults that left neither the old state nor the new one, or broke something else"
}

test_attach() { played attach-two attach-more-two attach-policy attach-kept; }
test_detach() { played detach-two detach-all detach-listener; }
test_upgrade() { played upgrade set-max attach-max; }
