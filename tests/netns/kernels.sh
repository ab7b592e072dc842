# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 400
# BESIDE
# The oldest kernel that is promised: the short form of `make check-kernels`.

# On Debian 12's own kernel the verifier takes every program, conversations have the same outcome, and
# flows are tracked at tc (by clsact: it has no TCX) and at XDP. (libxdp's chain takes a minute: `make check-kernels` has it.)
test_debian_12() {
	local code=0
	LIMIT=380 "$TOP/tests/kernels.sh" -k linux-image-amd64 prog/stages.c prog/adopt.c prog/evict.c:waiting_among_answered_xdp prog/source.c:ends_xdp \
		netns/flows.sh:test_behind_vlan >"$T/said" 2>&1 || code=$?
	cat "$T/said"
	((code != 4)) || skip "$(sed -n 's/^missing: //p' "$T/said")"
	! grep -q 'not offered' "$T/said" || skip "Debian's kernel packages"
	want_eq "$code" 0 "exit code"
	want_match "$(<"$T/said")" 'Linux 6\.1\..*: passed' "outcome"
}
