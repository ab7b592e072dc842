# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# A capture of real traffic, played through the programs, ends in the flows that the attached ones had.

setup() {
	need tcpdump
	run make -s -C "$TOP" O="$O" "$O/tests/replay"
	topo_up
}

# record NAME TCPDUMP_OPTIONS...: on the router, into $T/NAME.pcap, until `stop NAME INT`.
record() {
	local name=$1
	shift
	start "$name" in_r tcpdump -Z root -n -U -B 32768 "$@" -w "$T/$name.pcap"
	wait_for 5 grep -q 'listening on' "$T/$name.err"
}

# The server has closed its side of both connections that stay open, and that is acknowledged.
settled() { want_eq "$(ctl count --state CLOSE_WAIT)" 2 "connections half closed"; }

# Connections that end, stay open and are refused; questions with an answer and without.
talk() {
	local b
	serve echo in_b traffic udp-echo 7
	serve sink in_b traffic udp-sink 9
	serve tcp in_b traffic tcp-serve 80
	for b in 10.0.2.1 fd00:2::1; do
		run in_a ping -q -c 1 "$b"
		run in_a traffic udp-send "$b" 7 3 1000
		run in_a traffic udp-send -w 0 "$b" 9 2 1000 0
		run in_a traffic tcp-get "$b" 80 300000
		fails 2 in_a traffic tcp-get "$b" 81 1
		# shellcheck disable=SC2016 # for the shell within
		start "held-$b" in_a bash -c 'exec 3<>"/dev/tcp/$0/80" && printf "\4\0\0\0\0\0\0\0" >&3 &&
			head -c 4 <&3 | wc -c && sleep 60' "$b"
		wait_for 5 test -s "$T/held-$b.out"
	done
	wait_for 5 settled
	fails 1 in_a traffic udp-send 10.0.2.1 77 1 1000 # nobody is there: an ICMP error
}

# Flows without what differs by moments and by how the kernel glues segments together.
flows() {
	sed -nE '/ src=/{s/ [0-9]+ (\[|src=|[A-Z])/ \1/; s/ (packets|bytes)=[0-9]+//g; p}' | sort
}

compare() {
	run "$O/tests/replay" --check --flows "$@"
	want_eq "$(flows <<<"$OUT")" "$(ctl list 2>/dev/null | flows)" "flows of the capture"
}

# Ethernet, one interface: through XDP.
test_one_interface() {
	run ctl attach ra rb
	record ra -i ra
	talk
	wait_for 5 captured_all ra
	stop ra INT
	compare "$T/ra.pcap"
	want_match "$OUT" ' packets played in [0-9.]* s, [0-9]* at xdp'$'\n' "hooks"
	run ctl detach --all
}

# All interfaces, cooked: packets come in at one and go out at another; those that come in are enough.
test_all_interfaces() {
	run ctl attach ra rb
	record any -i any
	talk
	wait_for 5 captured_all any
	stop any INT
	compare "$T/any.pcap" inbound
	want_match "$OUT" ' packets played in [0-9.]* s, [0-9]* at ingress'$'\n' "hooks"
	run ctl detach --all
}

# The last that was said, the error, has come to the file.
captured_all() { [[ -n $(tcpdump -nr "$T/$1.pcap" 'icmp[0] == 3' 2>/dev/null) ]]; }
