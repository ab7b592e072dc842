# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# The kernel's own tracker is the judge: the short form of `make diff`.

build_diff() {
	need_probe "nf_conntrack and nftables" in_fresh_netns nft add table inet ct_probe
	run make -s -C "$TOP" O="$O" "$O/tests/diff/diff"
}

in_fresh_netns() { unshare --net "$@"; }

# Every rule by name: the kernel and ours say the same of every packet of each conversation.
test_written_conversations() {
	build_diff
	run "$O/tests/diff/diff" -n 0
	echo "$OUT" | tail -n 3
}

# So they do of random ones; a difference is printed in its shortest form, and how to repeat it.
test_random_conversations() {
	build_diff
	run "$O/tests/diff/diff" -n 4000 -s "${SEED:-1}"
	echo "$OUT" | tail -n 3
}

# And where packets come over a veth to native XDP, instead of by test_run.
test_on_a_veth() {
	build_diff
	run "$O/tests/diff/diff" -h veth -n 1000 -s "${SEED:-1}"
	echo "$OUT" | tail -n 3
}
