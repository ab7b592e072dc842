# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Which instance a command means: the network namespace's own, another's, a named one; wherever
# the command runs and whatever is mounted there. Nothing gets mixed up.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# sees ROUTER_FLOWS COMMAND...: this ctloader lists so many ICMP flows.
sees() {
	local n=$1
	shift
	want_eq "$("$@" count -p icmp)" "$n" "ICMP flows seen by '$*'"
}

ping_b() { in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null; }

# A namespace is named by its name or its path, or is the one that the command runs in.
test_name_and_path() {
	run "$CTLOADER" --netns "$NS_R" attach ra rb
	ping_b
	sees 1 "$CTLOADER" --netns "$NS_R"
	sees 1 "$CTLOADER" --netns "/run/netns/$NS_R"
	sees 1 in_r "$CTLOADER"
	sees 1 exec_r "$CTLOADER"
	start resident in_r sleep 60
	wait_for 2 grep -q sleep "/proc/${STARTED[resident]}/comm"
	sees 1 "$CTLOADER" --netns "/proc/${STARTED[resident]}/ns/net"
	stop resident
	run "$CTLOADER" --netns "/run/netns/$NS_R" detach --all
	want_detached
}

# Under `ip netns exec`, which hides /sys/fs/bpf: what is attached there is seen from everywhere,
# and the other way round. Without a bpffs on the machine, ctloader's own comes and goes.
test_ip_netns_exec() {
	! mountpoint -q /sys/fs/bpf || skip "a machine without a bpffs at /sys/fs/bpf"
	run exec_r "$CTLOADER" attach ra rb
	want_match "$(pins)" /run/ctloader/bpf/ctloader/ "pins"
	exec_sees_the_same
	mountpoint -q /run/ctloader/bpf && die "/run/ctloader/bpf is mounted still"
	[[ ! -e /run/ctloader ]] || die "/run/ctloader is left"
}

# The same with a bpffs at /sys/fs/bpf: that is where the pins are.
test_ip_netns_exec_with_bpffs() {
	shared_bpffs
	run exec_r "$CTLOADER" attach ra rb
	[[ -e /sys/fs/bpf/ctloader/$(ctl status -o json | jq -r .instance)/ct4 ]] ||
		die "nothing is pinned at /sys/fs/bpf/ctloader; status says: $(ctl status)"
	exec_sees_the_same
	[[ ! -e /sys/fs/bpf/ctloader && ! -e /run/ctloader ]] || die "a folder is left"
}

exec_sees_the_same() {
	start events exec_r "$CTLOADER" events -p icmp -e destroy
	wait_for 5 listening 1
	ping_b
	sees 1 exec_r "$CTLOADER"
	sees 1 ctl
	run exec_r "$CTLOADER" attach ra
	want_match "$OUT" 'attached already' "attach again under ip netns exec"
	run ctl detach ra
	run exec_r "$CTLOADER" detach rb
	want_detached
	finish events
	want_eq "$RC" 0 "exit code of events"
	want_match "$(output events)" '^\[DESTROY\] icmp ' "event"
}

# A bpffs that only a mount namespace of one's own has serves what runs in it.
test_private_bpffs() {
	# shellcheck disable=SC2016 # for the shell within
	run with_bpffs bash -ec '
		"$CTLOADER" --netns "$1" attach ra rb >/dev/null
		"$CTLOADER" --netns "$1" status -o json | jq -r .pins
		nsenter --net=/run/netns/"$2" ping -c 1 -q 10.0.2.1 >/dev/null
		"$CTLOADER" --netns "$1" count -p icmp
		"$CTLOADER" --netns "$1" detach --all >/dev/null' bash "$NS_R" "$NS_A"
	want_match "$OUT" $'^/sys/fs/bpf/ctloader/[^\n]*\n1$' "pins and count"
	want_detached
}

# Two named instances in one namespace: each has its interface, its flows and its listeners.
test_instances() {
	run ctl --instance one attach ra
	run ctl --instance two attach rb
	refuses 1 'list: table' 'not loaded' list
	in_r ping -c 1 -q 10.0.1.1 >/dev/null
	sees 1 ctl --instance one
	sees 0 ctl --instance two
	in_r ping -c 1 -q 10.0.2.1 >/dev/null
	sees 1 ctl --instance one
	sees 1 ctl --instance two
	run ctl --instance one detach --all
	sees 1 ctl --instance two
	want_eq "$(ctl --instance two status -o json | jq -r .instance)" two "instance"
	run ctl --instance two detach rb
	want_detached
}

# A named instance belongs to the namespace in which it was made.
test_instance_elsewhere() {
	run ctl --instance one attach ra
	fails 1 "$CTLOADER" --netns "$NS_B" --instance one list
	want_refusal 'list: instance one' 'belongs to another network namespace'
	fails 1 "$CTLOADER" --netns "$NS_B" --instance one attach eth0
	want_refusal 'attach: instance one' 'belongs to another network namespace'
	fails 1 "$CTLOADER" --netns "$NS_B" --instance one detach --all
	want_refusal 'detach: instance one' 'belongs to another network namespace'
	sees 0 ctl --instance one
	run ctl --instance one detach --all
	want_detached
}

# Two namespaces, each with its instance: each sees its own packets, and goes on its own.
test_two_namespaces() {
	local b=("$CTLOADER" --netns "$NS_B")
	run ctl attach ra rb
	run "${b[@]}" attach eth0
	ping_b
	in_r ping -c 1 -q 10.0.1.1 >/dev/null
	sees 2 ctl
	sees 1 "${b[@]}"
	fails 1 "$CTLOADER" --netns "$NS_A" list
	want_refusal 'list: table' 'not loaded'
	run ctl flush
	sees 0 ctl
	sees 1 "${b[@]}"
	run ctl detach --all
	ping_b
	sees 2 "${b[@]}"
	run "${b[@]}" detach --all
	want_detached
}

# A namespace that goes with its instance attached: one of the same name that is made later can
# attach, starts with an empty table, and after its detach nothing is left, of the first neither.
test_namespace_deleted() {
	run ctl attach ra rb
	ping_b
	ip netns del "$NS_R"
	wait_for 5 interfaces_gone # the kernel takes its time, after the name has gone
	topo_down
	topo_up
	refuses 1 'list: table' 'not loaded' list
	run ctl attach ra rb
	sees 0 ctl
	ping_b
	sees 1 ctl
	run ctl detach --all
	want_detached
}

# With clsact alone nothing of what is pinned says that the interfaces have gone. Such an instance is
# taken away when it is asked for by name, and only if its namespace is not to be found.
test_namespace_deleted_with_clsact() {
	local gone
	run ctl attach --tc clsact ra rb
	gone=$(ctl status -o json | jq -r .instance)
	fails 1 "$CTLOADER" --netns "$NS_B" --instance "$gone" detach --all
	want_refusal "detach: instance $gone" 'belongs to another network namespace'
	ip netns del "$NS_R"
	wait_for 5 interfaces_gone
	run "$CTLOADER" --netns "$NS_B" --instance "$gone" detach --all
	topo_down
	topo_up
	want_detached
}

# What a loader left that was killed before its instance was whole goes with the next attach anywhere.
test_fragment_of_an_instance() {
	local dir
	run ctl attach ra
	dir=$(dirname "$(pins)")
	mkdir -p "$dir/netns-1/progs"
	run "$CTLOADER" --netns "$NS_B" attach eth0
	[[ ! -e $dir/netns-1 ]] || die "$dir/netns-1 is left"
	run "$CTLOADER" --netns "$NS_B" detach --all
	run ctl detach --all
	want_detached
}

interfaces_gone() { ! ip -n "$NS_A" link show eth0 && ! ip -n "$NS_B" link show eth0; }

# An interface that goes while it is attached: the others go on, and the detach ends clean.
test_interface_deleted() {
	run ctl attach ra rb
	ping_b
	ip -n "$NS_R" link del rb
	run ctl list
	run ctl status
	refuses 1 'detach: rb' 'no such interface' detach rb
	run ctl detach --all
	want_detached
}

# One of the same name that takes its place is attached anew, and tracked.
test_interface_replaced() {
	run ctl attach ra rb
	ip -n "$NS_R" link del rb
	link_host "$NS_B" rb 2
	run ctl attach ra rb
	want_match "$OUT" $'ra: [^\n]*attached already\nrb: tc ' "attach"
	ping_b
	sees 1 ctl
	run ctl detach --all
	want_detached
}
