# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A flood from a through the router, beside honest connections from a to b; for netns/flood.sh and
# stress/flood.sh. The flood goes to an address that b throws away, or to b itself, which answers.

# topo_flood: the router's topology, where what the flood is answered goes nowhere.
topo_flood() {
	topo_router
	ip_in "$NS_R" <<-END
		neigh replace 10.0.2.99 lladdr 02:00:00:00:02:01 dev rb nud permanent
		route add blackhole default
	END
	ip -n "$NS_B" route add blackhole 10.0.2.99
	in_b sh -c 'echo 4096 >/proc/sys/net/core/somaxconn'
}

# flood COUNT KIND [OPTION...] [-- ADDRESS]: in the foreground, on the last CPU; SENT is how many packets.
flood() {
	local count=$1 kind=$2 address=10.0.2.99 options=()
	shift 2
	while (($#)); do
		if [[ $1 == -- ]]; then
			address=$2
			shift 2
		else
			options+=("$1")
			shift
		fi
	done
	FLOOD=$(in_a taskset -c "$(($(nproc) - 1))" "$O/tests/flood" -k "$kind" -c "$count" \
		${options[@]+"${options[@]}"} eth0 02:00:00:00:01:fe "$address")
	SENT=$(awk '{ print $2 }' <<<"$FLOOD")
}

# live_flows: the established honest connections, each by its port and id, as `list` or, with "kernel", as
# conntrack(8) shows them.
live_flows() {
	if [[ ${1-} == kernel ]]; then
		in_r conntrack -L -o id -p tcp --dport 7777 --state ESTABLISHED 2>/dev/null
	else
		ctl list -o id -p tcp --dport 7777 --state ESTABLISHED 2>/dev/null
	fi | sed -n 's/.*sport=\([0-9]*\) dport=7777 .*id=/\1 /p' | sort
}

# honest_on LIVE IDLE RATE: honest connections; honest_off: what became of them is in HONEST.
honest_on() {
	serve honest_server in_b taskset -c 0 "$O/tests/honest" serve 7777
	start honest in_a taskset -c 0 "$O/tests/honest" talk 10.0.2.1 7777 "$@"
	wait_for 40 grep -q ready "$T/honest.out"
}
honest_off() {
	kill -TERM -- "-${STARTED[honest]}"
	finish honest 10
	HONEST=$(tail -n 1 "$T/honest.out")
	stop honest_server
}
