#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A tour: two hosts and a router made of network namespaces, real traffic, and ctloader on the
# router. Run it by `make demo`. It changes nothing outside its namespaces and removes them.
#
#	host a 10.0.1.1, fd00:1::1 --- [ra  router  rb] --- host b 10.0.2.1, fd00:2::1
set -eu -o pipefail
cd "$(dirname "$0")/.."

A=ctdemo-a B=ctdemo-b R=ctdemo-r
T=$(mktemp -d)
PATH=$PATH:/usr/sbin:/sbin

if [ -t 1 ]; then
	head=$'\e[1;36m' text=$'\e[36m' cmd=$'\e[1;32m' off=$'\e[0m'
else
	head='' text='' cmd='' off=''
fi

chapter() { printf '\n%s== %s%s\n' "$head" "$1" "$off"; }
say() { printf '%s%s%s\n' "$text" "$*" "$off"; }
# Show a command as one would type it on the router, and run it there.
show() { printf '%s# %s%s\n' "$cmd" "$*" "$off"; "$@"; }
ctloader() { ./ctloader --netns $R "$@"; }
on() { local ns=$1; shift; nsenter --net="/run/netns/$ns" -- "$@"; }

clean_up() {
	set +e
	kill $(jobs -p) 2>/dev/null
	[ -e /run/netns/$R ] && ./ctloader --netns $R detach --all >/dev/null 2>&1
	wait 2>/dev/null
	for ns in $A $B $R; do ip netns del $ns 2>/dev/null; done
	rm -rf "$T"
}

[ "$(id -u)" = 0 ] || { echo "demo: permission denied (run as root)" >&2; exit 1; }
[ -x ./ctloader ] || { echo "demo: ./ctloader is missing (run 'make')" >&2; exit 1; }
for ns in $A $B $R; do
	[ ! -e /run/netns/$ns ] || { echo "demo: namespace $ns exists (is another demo running? else: ip netns del $ns)" >&2; exit 1; }
done
trap clean_up EXIT
trap 'exit 130' INT TERM

network() {
	local ns i
	for ns in $A $B $R; do
		ip netns add $ns
		ip -n $ns link set lo up
	done
	ip -n $R link add ra type veth peer name eth0 netns $A
	ip -n $R link add rb type veth peer name eth0 netns $B
	on $R sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	i=0
	for ns in $A $B; do
		i=$((i + 1))
		dev=r${ns##*-}
		ip -n $ns addr add 10.0.$i.1/24 dev eth0
		ip -n $ns addr add fd00:$i::1/64 dev eth0 nodad
		ip -n $R addr add 10.0.$i.254/24 dev "$dev"
		ip -n $R addr add fd00:$i::fe/64 dev "$dev" nodad
		ip -n $ns link set eth0 up
		ip -n $R link set "$dev" up
		ip -n $ns route add default via 10.0.$i.254
		ip -n $ns -6 route add default via fd00:$i::fe
	done
}

# A web server that has one file of 20 MB, and something that answers datagrams, as DNS does.
services() {
	on $B ncat -lk 80 --sh-exec 'read -r _; printf "HTTP/1.0 200 OK\r\n\r\n"; head -c 20000000 /dev/zero' 2>/dev/null &
	on $B socat UDP4-RECVFROM:53,fork EXEC:cat 2>/dev/null &
	for _ in $(seq 100); do
		on $B ss -Hltn sport = :80 | grep -q . && on $B ss -Hlun sport = :53 | grep -q . && return
		sleep 0.05
	done
}

traffic() {
	say "a pings b, by IPv4 and by IPv6 ..."
	on $A ping -q -c 3 -i 0.2 10.0.2.1 | tail -n 2 | head -n 1
	on $A ping -q -6 -c 3 -i 0.2 fd00:2::1 | tail -n 2 | head -n 1
	say "... downloads 20 MB by HTTP ..."
	on $A curl -s -o /dev/null -w '%{size_download} bytes, %{speed_download} bytes/s\n' http://10.0.2.1/file
	say "... asks a question by UDP, as DNS would ..."
	echo "who is b?" | on $A socat -t 1 - UDP4:10.0.2.1:53
	say "... is refused a connection ..."
	on $A curl -s --max-time 2 http://10.0.2.1:81/ || echo "curl: exit code $? (connection refused)"
	say "... and traces the route."
	on $A traceroute -n -N 1 -q 1 -w 1 10.0.2.1
}

bpftool prog show | grep -w 'name ct_[a-z_]*' >"$T/before" || true # another instance's
pins_before=$(ls -d /sys/fs/bpf/ctloader /run/ctloader 2>/dev/null || true)

chapter "Two hosts and a router"
say "Three network namespaces: host a (10.0.1.1) - router (ra, rb) - host b (10.0.2.1). Nothing else is touched."
network
services

chapter "Attach to the router's two interfaces"
say "ctloader chooses where to hook each interface and says why. It attaches from the packet's end (confirm) to its start (in)."
show ctloader -v attach ra rb
sleep 0.1

chapter "Traffic, while somebody listens"
say "A listener runs beside it: 'ctloader events' prints what happens to flows as it happens."
ctloader events >"$T/events" 2>/dev/null &
listener=$!
sleep 0.3
traffic

chapter "What the tracker knows"
say "The flows, in conntrack(8)'s own format: original direction, then reply, with packets and bytes of each."
show ctloader list
say "The same for scripts: one flow of it as JSON."
show ctloader list -o json -p tcp --dport 80 | sed -n 2p
say "What the listener has seen so far (the refused connection is gone again: closed by a RST that nobody had answered):"
head -n 14 "$T/events"
say "Counters: every packet has one class, every invalid one a reason."
show ctloader stats | sed -n 1,20p
say "And the table itself, as anybody can dump it: a pinned map whose fields have names."
pins=$(ctloader status -o json | jq -r .pins)
show bpftool map dump pinned "$pins/ct4" | sed -n 1,48p
echo "        ..."

chapter "Detach"
say "From the packet's start to its end, and after each step a wait until every packet in flight is through. Watch the times."
show ctloader -v detach --all
wait $listener || true
say "The listener was told the end of every flow, and then the end of the stream. Its last lines:"
tail -n 4 "$T/events"

chapter "The same in native XDP"
say "--hook native forces XDP on the router's interfaces: 'in' runs there, 'confirm' at tc when the packet's way is known."
show ctloader attach --hook native ra rb
on $A ping -q -c 3 -i 0.2 10.0.2.1 | tail -n 2 | head -n 1
on $A curl -s -o /dev/null -w '%{size_download} bytes\n' http://10.0.2.1/file
show ctloader list
show ctloader detach --all

chapter "Nothing is left"
left() {
	bpftool prog show | grep -w 'name ct_[a-z_]*' | grep -v -x -F -f "$T/before" || true
	ip -n $R -d link show | grep -w 'xdp' || true
	on $R bpftool net show | grep -w ct_ || true
	[ -n "$pins_before" ] || ls -d /sys/fs/bpf/ctloader /run/ctloader 2>/dev/null || true
}
for _ in $(seq 50); do # the kernel frees programs a moment after their last user has gone
	[ -z "$(left)" ] && break
	sleep 0.1
done
if [ -n "$(left)" ]; then
	echo "left behind:"
	left
	exit 1
fi
say "No program, no link, no pin, no mount: the machine is as it was."
