# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 120
# XDP through libxdp's dispatcher, with somebody else's programs in front of ours and behind it: a
# filter (priority 10) and a balancer (50), which count, and drop UDP to 7001 and 7002. Where the
# kernel can't run the dispatcher: a link instead, and why.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() {
	need xdp-loader
	tool chain
	shared_bpffs
	topo_up
}

load() { in_r xdp-loader load -m "${MODE-native}" -P "$3" -n "$2" "$1" "$O/tests/chain.o"; }
unload() { in_r xdp-loader unload -i "$(id_in_chain "$1" "$2")" "$1"; }

# chain DEV: the programs in its chain, in order: "filter:10 ct_xdp:15 ".
chain() {
	in_r xdp-loader status "$1" | awk '$1 == "=>" { printf "%s:%s ", $3, $2 }'
}
id_in_chain() { in_r xdp-loader status "$1" | awk -v name="$2" '$1 == "=>" && $3 == name { print $4 }'; }

# Does libxdp's dispatcher work here? Its own loader falls back to the bare program if not.
can_chain() {
	local seen
	load ra filter 10 >/dev/null 2>&1
	seen=$(chain ra)
	in_r xdp-loader unload -a ra >/dev/null
	[[ $seen == "filter:10 " ]]
}

test_order() {
	can_chain || skip "a kernel that runs libxdp's dispatcher"
	load ra filter 10
	load ra balancer 50
	run ctl attach --hook native ra rb
	echo "$OUT"
	want_eq "$(chain ra)" "filter:10 ct_xdp:15 balancer:50 " "chain of ra"
	want_eq "$(chain rb)" "ct_xdp:15 " "chain of rb"
	traffic_flows
	run ctl list
	echo "$OUT"
	in_r xdp-loader status
	run ctl status
	echo "$OUT"
	run ctl detach --all
	want_eq "$(chain ra)" "filter:10 balancer:50 " "chain of ra"
	in_r xdp-loader status
	ls -R /sys/fs/bpf
}
