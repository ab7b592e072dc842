# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# More of what netns tests are written with, for the files that source it: programs of tools/ that
# only some tests need, refusals, flows and counters by name, system calls to fail at.

# tool NAME...: build $O/tests/NAME from tools/NAME.c, or NAME.o from tools/NAME.bpf.c, if need be.
tool() {
	local name
	mkdir -p "$O/tests"
	for name; do
		case $name in
		naive) tool_linked "$name" ;;
		pinned) tool_plain "$name" -I"$TOP/include" -lbpf -lelf -lz ;;
		poke) tool_plain "$name" -lbpf -lelf -lz ;;
		events | wire | stacks | weather | fault | flood | honest) tool_plain "$name" ;;
		readers | tcx) tool_plain "$name" -lbpf ;;
		*) tool_bpf "$name" ;;
		esac
	done
}

tool_bpf() {
	local from=$TOP/tests/tools/$1.bpf.c to=$O/tests/$1.o
	older "$to" "$from" "$TOP/include" || return 0
	"${CLANG:-clang}" -O2 -g --target=bpf -Wall -I"$TOP/include" \
		-I"/usr/include/$(uname -m)-linux-gnu" -c "$from" -o "$to"
}

tool_plain() {
	local from=$TOP/tests/tools/$1.c to=$O/tests/$1
	older "$to" "$from" "$TOP"/tests/tools/*.h || return 0
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra "$from" -o "$to" "${@:2}"
}

# A program made of ctloader's own parts: everything but its main(). Its messages pass through the
# test's hands (--wrap), which is where it can stop between two steps.
tool_linked() {
	local from=$TOP/tests/tools/$1.c to=$O/tests/$1 objects
	mapfile -t objects < <(find "$O/user" -name '*.o' ! -name main.o)
	older "$to" "$from" "${objects[@]}" || return 0
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I"$TOP/include" -I"$TOP/user" -I"$O" \
		"$from" "${objects[@]}" -Wl,--wrap=verbose -o "$to" -lxdp -lbpf -lelf -lz
}

# older FILE FROM...: it is not there, or older than any of these.
older() {
	local to=$1
	shift
	[[ ! -e $to || -n $(find "$@" -newer "$to") ]]
}

# ---- What ctloader says ------------------------------------------------------------------------

# want_refusal WHAT WHY: what the last command said is one line, "ctloader: WHAT: ..." where the
# rest matches WHY, and nothing on standard output.
want_refusal() {
	local line=$ERR rest
	[[ $line != *$'\n'* ]] || die "error: got several lines, wanted one: '$line'"
	[[ $line == "ctloader: $1: "* ]] || die "error: got '$line', wanted 'ctloader: $1: ...'"
	rest=${line#"ctloader: $1: "}
	want_match "$rest" "$2" "reason in '$line'"
	want_eq "$OUT" "" "standard output"
}

# refuses CODE WHAT WHY ARGS...: ctloader, in the router, ends with CODE and that line.
refuses() {
	local code=$1 what=$2 why=$3
	shift 3
	fails "$code" ctl "$@"
	want_refusal "$what" "$why"
}

# flow FILTER...: the first such flow as JSON; nothing when there is none.
flow() { ctl list -o json "$@" 2>/dev/null | jq -c '.[0] // empty'; }

# stat_of PATH: a counter, like .lifecycle.confirmed; `stat_of '.lifecycle | .created - .confirmed'`.
stat_of() { ctl stats -o json | jq "$1"; }

# pins: the directory of the router's instance.
pins() { ctl status -o json | jq -r .pins; }

# listening N: so many listeners have registered with the router's instance: the ring comes last.
listening() {
	want_eq "$(bpftool -j map dump pinned "$(pins)/listeners" | jq length)" "$1" listeners
}

# shared_bpffs: host_bpffs, which want_detached then expects to be there.
shared_bpffs() {
	host_bpffs
	(trap - ERR && set +e && snapshot) >"$T/before"
}

# want_keys JSON PATH KEY...: what is at PATH has these keys (more may be added).
want_keys() {
	local json=$1 path=$2 missing
	shift 2
	missing=$(jq -r --args "($path) as \$o | \$ARGS.positional - (\$o | keys) | .[]" "$@" <<<"$json")
	[[ -z $missing ]] || die "keys missing at $path: $missing; in: $json"
}

# sound [WHEN]: `audit` finds that everything holds.
sound() {
	capture ctl audit
	((RC == 0)) || die "audit ${1-}: exit code $RC; $ERR; $(grep -v ^ok <<<"$OUT")"
}

# ---- Failing and killing it at a system call -----------------------------------------------------

# trace_bpf COMMAND...: run it and remember its bpf() calls, for call_of.
trace_bpf() {
	strace -f -e trace=bpf -o "$T/bpf.all" "$@" >/dev/null
	grep -o 'bpf(BPF_[A-Z_]*.*' "$T/bpf.all" >"$T/bpf.calls"
}

# call_of PATTERN [N|last]: the number of the N-th (1) bpf() call whose text matches.
call_of() {
	local lines
	lines=$(grep -n -E "$1" "$T/bpf.calls" | cut -d: -f1)
	[[ -n $lines ]] || die "no bpf() call matches $1"
	if [[ ${2-1} == last ]]; then
		tail -n 1 <<<"$lines"
	else
		sed -n "${2-1}p" <<<"$lines"
	fi
}

# with_fault WHAT COMMAND...: with one system call of it tampered with, as strace's inject= says:
# with_fault bpf:error=ENOSPC:when=7 ...
with_fault() {
	local what=$1
	shift
	strace -f -o /dev/null -e trace="${what%%:*}" -e inject="$what" "$@"
}

# ---- Policy programs -----------------------------------------------------------------------------

# load_policies: pin those of tools/policies.bpf.c, on the instance's maps, in its folder (where
# detach removes them with everything else).
load_policies() {
	local d
	tool policies
	d=$(pins)
	bpftool prog loadall "$O/tests/policies.o" "$d/test" type tc map name record pinned "$d/record" \
		map name stats pinned "$d/stats" map name tc_stages pinned "$d/tc_stages" pinmaps "$d/test-maps"
	SLOW_TIMES=$d/test-maps/ct_test_times
}

# slow_time N: when (ns) the slow policy began (0) and ended (1). slow_began: wait for that, without
# using the disk.
slow_time() { bpftool -j map dump pinned "$SLOW_TIMES" | jq ".[$1].formatted.value"; }
slow_began() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		(($(slow_time 0) == 0)) || return 0
	done
	die "the slow policy has not met its packet"
}

# ---- Packets -------------------------------------------------------------------------------------

# Replies arrive, IPv4 and IPv6.
traffic_flows() {
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	in_a ping -c 1 -W 2 -q fd00:2::1 >/dev/null
}

# A ping flood, and UDP streams in both directions, IPv4 and IPv6, each request numbered; new flows all
# the time, counted at the other end; and TCP downloads both ways, one after the other, byte by byte.
load_on() {
	rm -f "$T/enough"
	[[ -n ${1-} ]] || {
		serve tcp_b in_b traffic tcp-serve 80
		serve tcp_a in_a traffic tcp-serve 80
		start get4 downloads in_a 10.0.2.1
		start get6 downloads in_b fd00:1::1
	}
	serve echo_b in_b traffic udp-echo 7
	serve echo_a in_a traffic udp-echo 7
	serve sink in_b traffic udp-sink 9
	serve ping4 in_a traffic ping-flood 10.0.2.1 2000
	serve ping6 in_a traffic ping-flood fd00:2::1 2000
	serve ab4 in_a traffic udp-stream 10.0.2.1 7 2000
	serve ab6 in_a traffic udp-stream fd00:2::1 7 2000
	serve ba4 in_b traffic udp-stream 10.0.1.1 7 2000
	serve ba6 in_b traffic udp-stream fd00:1::1 7 2000
	start flows in_a traffic flows 10.0.2.1 9 4000 1000
}

# downloads HOST ADDRESS: whatever went wrong, and at the end how many there were.
DOWNLOAD=3000000
downloads() {
	local n=0
	until [[ -e $T/enough ]]; do
		"$1" timeout 60 traffic tcp-get "$2" 80 $DOWNLOAD >"$T/download.$BASHPID" 2>&1 ||
			echo "download $n: exit code $?: $(<"$T/download.$BASHPID")"
		n=$((n + 1))
		sleep 0.1 # or the CPUs have no time for the rest
	done
	echo "$n downloads"
}

# driver_lost: what the devices say that they dropped: veth with XDP has queues of 256 frames.
driver_lost() {
	for ns in "$NS_A" "$NS_B" "$NS_R"; do
		ip -n "$ns" -s -j link
	done | jq -s '[.[][] | .stats64 | .rx.dropped + .tx.dropped] | add'
}

LOADS="ping4 ping6 ab4 ab6 ba4 ba6"

# load_off: end it; SENT and LOST are the sums, and what was lost is shown.
load_off() {
	local load line sent received
	SENT=0 LOST=0
	touch "$T/enough"
	[[ -z ${STARTED[get4]-} ]] || {
		for load in get4 get6; do
			finish $load 70
			want_match "$(output $load)" '^[1-9][0-9]* downloads$' "downloads, whole and in order"
		done
		echo "downloads of $DOWNLOAD bytes: $(awk '{ n += $1 } END { print n }' "$T"/get[46].out), all intact"
		stop tcp_a
		stop tcp_b
	}
	stop flows
	sent=$(awk '{ print $2 }' "$T/flows.out")
	for load in $LOADS; do stop "$load"; done
	stop sink # it reads what has arrived
	stop echo_a
	stop echo_b
	received=$(awk '/^received/ { print $2 }' "$T/sink.out")
	for load in $LOADS; do
		line=$(grep ^sent "$T/$load.out")
		want_no_match "$line" overflow "$load: a buffer of our own ran over"
		SENT=$((SENT + $(awk '{ print $2 }' <<<"$line")))
		LOST=$((LOST + $(awk '{ print $6 }' <<<"$line")))
		[[ $line == *' lost 0 '* ]] || echo "$load: $line; $(grep ^missing "$T/$load.out")"
	done
	echo "requests: $LOST of $SENT lost; datagrams in new flows: $((sent - received)) of $sent lost"
	SENT=$((SENT + sent)) LOST=$((LOST + sent - received))
}
