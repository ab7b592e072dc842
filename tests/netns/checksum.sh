# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checksums of real traffic: those that the stack leaves to hardware, those that it finishes itself,
# and wrong ones.
# TIMEOUT: 60

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() {
	topo_up
	tool wire
}


# traffic_of_all_kinds: ping, UDP and TCP, IPv4 and IPv6, through the router, to it, and from it.
traffic_of_all_kinds() {
	local to
	serve udp in_b traffic udp-echo 7
	serve tcp in_b traffic tcp-serve 80
	serve router_udp in_r traffic udp-echo 7
	serve router_tcp in_r traffic tcp-serve 80
	for to in 10.0.2.1 fd00:2::1 10.0.1.254 fd00:1::fe; do
		in_a ping -c 2 -i 0.05 -s 1201 -W 2 -q "$to" >/dev/null
		in_a traffic udp-send -s 1001 "$to" 7 20 1000 >/dev/null
		in_a traffic tcp-get "$to" 80 3000001 >/dev/null
	done
	for to in 10.0.2.1 fd00:2::1; do
		in_r traffic udp-send -s 33 "$to" 7 20 1000 >/dev/null
		in_r traffic tcp-get "$to" 80 3000001 >/dev/null
	done
	stop udp && stop tcp && stop router_udp && stop router_tcp
}

# Whoever finishes the checksums, and whichever way the interfaces are hooked, none is found wrong.
test_none_is_wrong() {
	local hook offload
	for hook in tc native generic; do
		for offload in on off; do
			in_a "$O/tests/wire" offload eth0 "$offload"
			in_b "$O/tests/wire" offload eth0 "$offload"
			run ctl attach --hook "$hook" --drop-invalid ra rb
			traffic_of_all_kinds
			echo "$hook, offload $offload: $(stat_of '.invalid | add') invalid of" \
				"$(stat_of '[.packets[][]] | add')"
			want_eq "$(stat_of '.invalid | add')" 0 "invalid packets ($hook, offload $offload)"
			want_num "$(stat_of .packets.ingress.established)" -ge 100 "established packets"
			run ctl detach --all
		done
	done
}

# frame DEV SIZE KIND: from a to the router.
frame() {
	in_a "$O/tests/wire" frame "$1" 02:00:00:00:01:01 10.0.1.1 02:00:00:00:01:fe 10.0.1.254 "$2" "$3"
}

wrong() { stat_of .invalid.udp_checksum; }

# A wrong checksum is found at tc and at XDP, in small packets and in large ones whose bytes are in
# many places; a right one, or none, is not.
test_wrong_ones() {
	local hook size n=0
	for hook in tc native; do
		run ctl attach --hook "$hook" ra rb
		if [[ $hook == tc ]]; then
			ip -n "$NS_A" link set eth0 mtu 65535
			ip -n "$NS_R" link set ra mtu 65535
		fi
		n=0
		for size in 1 2 3 5 511 512 1472 8972 20001 65507; do
			[[ $hook == tc ]] || ((size <= 1472)) || continue
			frame eth0 "$size" right
			frame eth0 "$size" none
			wait_for 5 counted $((3 * n + 2))
			want_eq "$(wrong)" "$n" "wrong ones before $size bytes ($hook)"
			frame eth0 "$size" wrong
			n=$((n + 1))
			wait_for 5 counted $((3 * n))
			want_eq "$(wrong)" "$n" "wrong ones after $size bytes ($hook)"
		done
		run ctl detach --all
		ip -n "$NS_A" link set eth0 mtu 1500
		ip -n "$NS_R" link set ra mtu 1500
	done
}

# At tc the kernel says which checksums are yet to be finished, so one that only looks like it is
# wrong; at XDP nobody does.
test_unfinished() {
	local hook
	grep -q . /sys/kernel/btf/vmlinux || skip "the kernel has no BTF"
	for hook in tc native; do
		run ctl attach --hook "$hook" ra rb
		frame eth0 100 unfinished
		wait_for 5 counted 1
		want_eq "$(wrong)" "$([[ $hook == tc ]] && echo 1 || echo 0)" "wrong ones ($hook)"
		run ctl detach --all
	done
}

# counted N: so many packets have come in.
counted() { want_eq "$(stat_of '.packets.ingress | add')" "$1" "packets counted"; }

# An skb whose device has summed it up (CHECKSUM_COMPLETE; a tunnel gives its inner packets that)
# is judged by that sum.
test_summed_up() {
	local n=0 size
	need_probe "vxlan devices" ip -n "$NS_A" link add tun0 address 02:00:00:00:09:01 type vxlan \
		id 7 remote 10.0.1.254 dstport 4789 dev eth0 udpcsum
	ip -n "$NS_R" link add tun0 address 02:00:00:00:09:fe type vxlan id 7 remote 10.0.1.1 \
		dstport 4789 dev ra udpcsum
	ip -n "$NS_A" link set tun0 up
	ip -n "$NS_R" link set tun0 up
	in_a "$O/tests/wire" offload eth0 off
	run ctl attach tun0
	for size in 1 2 777 1400; do
		tunnelled "$size" right
		tunnelled "$size" wrong
		n=$((n + 1))
		wait_for 5 counted $((2 * n))
		want_eq "$(wrong)" "$n" "wrong ones after $size bytes"
	done
	run ctl detach --all
}

tunnelled() {
	in_a "$O/tests/wire" frame tun0 02:00:00:00:09:01 10.9.0.1 02:00:00:00:09:fe 10.9.0.2 "$1" "$2"
}
