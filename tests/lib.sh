# shellcheck shell=bash disable=SC2030,SC2031
# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests of the netns level are written with. run.sh sources this file, then the test's,
# then calls the test function. A command that fails ends the test (set -e); so do want_*,
# wait_for, run and fails, which say what they got and what they wanted.
#
# The topology "router" (topo_up):
#
#	 a                          router  r                         b
#	+-----------+            +------------------+            +-----------+
#	| eth0      |----veth----| ra            rb |----veth----| eth0      |
#	| 10.0.1.1  |            | 10.0.1.254       |            | 10.0.2.1  |
#	| fd00:1::1 |            |       10.0.2.254 |            | fd00:2::1 |
#	+-----------+            | fd00:1::fe       |            +-----------+
#	                         |       fd00:2::fe |
#	                         +------------------+
#
# Both families are forwarded; neighbours, routes and MAC addresses are fixed, duplicate address
# detection and ICMP rate limits are off, so that nothing has to be learned or waited for and the
# first packet arrives.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
O=${O:-build}
[[ $O == /* ]] || O=$TOP/$O
CTLOADER=${CTLOADER:-$TOP/ctloader}
PATH=$O/tests:$PATH	# traffic
export O CTLOADER PATH LC_ALL=C

# Namespaces are called after the process that makes them.
export CTT=${CTT:-ctt-$$}
NS_A=$CTT-a NS_B=$CTT-b NS_R=$CTT-r
# A folder of the test's own, gone when it ends.
export T=${T:-}

# ---- Commands in the namespaces ---------------------------------------------------------------

# in_a PROGRAM ARGS...: in a host or the router, with the mounts of the caller.
# $CTT_EXEC is "exec" within start, so that the process started is the program itself.
in_a() { ${CTT_EXEC-} nsenter --net="/run/netns/$NS_A" -- "$@"; }
in_b() { ${CTT_EXEC-} nsenter --net="/run/netns/$NS_B" -- "$@"; }
in_r() { ${CTT_EXEC-} nsenter --net="/run/netns/$NS_R" -- "$@"; }

# The same by way of ip(8), which hides /sys/fs/bpf behind a /sys of its own.
exec_a() { ${CTT_EXEC-} ip netns exec "$NS_A" "$@"; }
exec_b() { ${CTT_EXEC-} ip netns exec "$NS_B" "$@"; }
exec_r() { ${CTT_EXEC-} ip netns exec "$NS_R" "$@"; }

# ctl COMMAND ARGS...: ctloader, on the router's instance.
ctl() { ${CTT_EXEC-} "$CTLOADER" --netns "$NS_R" "$@"; }

# json FILTER: what jq finds in standard input, bare.
json() { jq -r "$@"; }

# ---- Wanting ----------------------------------------------------------------------------------

# die MESSAGE: the test (or, in wait_for, the try) has failed.
die() {
	printf '%s\n' "$*" >&2
	call_stack
	trap - ERR
	exit 1
}

# Who called, from the inside out, and the line; this file and run.sh left out.
call_stack() {
	local i file line text
	for ((i = 1; i < ${#FUNCNAME[@]} - 1; i++)); do
		file=${BASH_SOURCE[i + 1]} line=${BASH_LINENO[i]}
		[[ $file != *tests/lib.sh && $file != *tests/run.sh ]] || continue
		text=$(sed -n "${line}s/^[[:space:]]*//p" "$file")
		echo "  at ${file#"$TOP"/}:$line in ${FUNCNAME[i + 1]}: $text" >&2
	done
}

# want_eq GOT WANT [WHAT]
want_eq() { [[ $1 == "$2" ]] || die "${3:-value}: got '$1', wanted '$2'"; }
# want_match GOT REGEX [WHAT]
want_match() { [[ $1 =~ $2 ]] || die "${3:-text}: got '$1', wanted a match of '$2'"; }
# want_no_match GOT REGEX [WHAT]
want_no_match() { ! [[ $1 =~ $2 ]] || die "${3:-text}: got '$1', wanted no '$2' in it"; }
# want_num GOT OPERATOR WANT [WHAT], with an operator of test(1): want_num "$lost" -le 3 lost
want_num() { test "$1" "$2" "$3" || die "${4:-number}: got $1, wanted $2 $3"; }

# Run a command and keep what it said in OUT and ERR, its exit code in RC.
capture() {
	RC=0
	"$@" >"$T/capture.out" 2>"$T/capture.err" || RC=$?
	OUT=$(<"$T/capture.out")
	ERR=$(<"$T/capture.err")
}

# fails CODE COMMAND...: it has to end with this exit code. OUT and ERR are what it said.
fails() {
	local code=$1
	shift
	capture "$@"
	((RC == code)) && return
	die "$*: exit code $RC, wanted $code"$'\n'"standard output: $OUT"$'\n'"standard error: $ERR"
}

# run COMMAND...: it has to succeed. OUT and ERR are what it said.
run() { fails 0 "$@"; }

# wait_for SECONDS COMMAND...: try it until it succeeds. It may be a function (also one that uses
# want_*); it runs in a subshell.
wait_for() {
	local seconds=$1 deadline
	shift
	deadline=$((${EPOCHREALTIME/./} + $(seconds_to_us "$seconds") * ${CTT_SLOW:-1}))
	until (trap - ERR && "$@") >"$T/wait_for" 2>&1; do
		((${EPOCHREALTIME/./} < deadline)) ||
			die "waited $seconds s for: $*"$'\n'"the last try said: $(<"$T/wait_for")"
		sleep 0.02
	done
}

seconds_to_us() {
	local whole=${1%.*} part=
	[[ $1 != *.* ]] || part=${1#*.}
	part=${part}000000
	echo $((10#${whole:-0} * 1000000 + 10#${part:0:6}))
}

# skip WHAT: the test can't be made here, because WHAT is missing.
skip() {
	echo "$*"
	exit 4
}

# need PROGRAM...: skip the test if one is not installed.
need() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "$program is missing"
	done
}

# need_probe WHAT COMMAND...: skip the test, for want of WHAT, if the command fails.
need_probe() {
	local what=$1
	shift
	"$@" >/dev/null 2>&1 || skip "$what is missing"
}

# ---- Background processes ---------------------------------------------------------------------

declare -A STARTED=()

# start NAME COMMAND...: in the background; its output goes to $T/NAME.out and $T/NAME.err.
# `start ev ctl events`, `start echo in_b traffic udp-echo 7`.
start() {
	local name=$1
	shift
	set -m # a process group of its own, so that stop reaches all of it
	(
		trap - ERR
		case $1 in
		in_[abr] | exec_[abr] | ctl | with_bpffs | without_bpffs) CTT_EXEC="exec" ;;
		esac
		"$@"
	) >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	STARTED[$name]=$!
	set +m
}

# serve NAME COMMAND...: start it and wait until it says something, as `traffic` does when ready.
serve() {
	start "$@"
	wait_for 5 test -s "$T/$1.out"
}

# running NAME: whether it still runs.
running() { [[ -n ${STARTED[$1]-} ]] && kill -0 "${STARTED[$1]}" 2>/dev/null; }
ended() { ! running "$1"; }
# output NAME: what it has said on standard output.
output() { cat "$T/$1.out"; }

# stop NAME [SIGNAL]: end it and wait for that; its exit code is in RC. Not an error if it ended before.
stop() {
	local pid=${STARTED[$1]}
	kill -"${2:-TERM}" -- "-$pid" 2>/dev/null || :
	RC=0
	wait "$pid" || RC=$?
	unset "STARTED[$1]"
}

# finish NAME [SECONDS]: wait for it to end by itself (10 s); its exit code is in RC.
finish() {
	local pid=${STARTED[$1]}
	wait_for "${2:-10}" ended "$1"
	RC=0
	wait "$pid" || RC=$?
	unset "STARTED[$1]"
}

stop_all() {
	local name
	for name in "${!STARTED[@]}"; do
		kill -TERM -- "-${STARTED[$name]}" 2>/dev/null
		(wait_for 2 ended "$name") 2>/dev/null || kill -KILL -- "-${STARTED[$name]}"
		wait "${STARTED[$name]}"
	done
	STARTED=()
}

# ---- Topology ---------------------------------------------------------------------------------

# topo_up [TOPOLOGY]: make the namespaces (default: router). A test's file may define more:
# a function topo_NAME is made by `topo_up NAME` and by `tests/run.sh --shell NAME`.
topo_up() { "topo_${1:-router}"; }

# Rules of the game in a namespace; the router forwards. (A report of multicast listeners or two
# right after its links came up remain.)
quiet_namespace() {
	nsenter --net="/run/netns/$1" bash -s "$2" <<-'END'
		put() { [[ ! -e /proc/sys/net/$1 ]] || echo "$2" 2>/dev/null >"/proc/sys/net/$1"; }
		put ipv4/ip_forward "$1"
		put ipv6/conf/all/forwarding "$1"
		for conf in all default; do
			put ipv4/conf/$conf/rp_filter 0
			put ipv4/conf/$conf/send_redirects 0
			put ipv6/conf/$conf/accept_dad 0
			put ipv6/conf/$conf/accept_ra 0
			put ipv6/conf/$conf/router_solicitations 0
			put ipv6/conf/$conf/mldv1_unsolicited_report_interval 3600000
			put ipv6/conf/$conf/mldv2_unsolicited_report_interval 3600000
		done
		put ipv4/icmp_ratemask 0 # a limit of 0 also empties the bucket of ip_error() (6.12)
		put ipv4/icmp_ratelimit 0
		put ipv4/icmp_msgs_per_sec 1000000
		put ipv4/icmp_msgs_burst 1000000
		put ipv6/icmp/ratelimit 0
		put ipv6/mld_qrv 1
		exit 0
	END
}

# ip_in NAMESPACE: run the ip(8) commands of standard input there.
ip_in() { nsenter --net="/run/netns/$1" ip -batch -; }

# link_host NAMESPACE DEVICE NET: a host of the router's, behind its DEVICE, as number NET.
link_host() {
	local mac=02:00:00:00:0$3
	ip_in "$NS_R" <<-END
		link add $2 address $mac:fe type veth peer name eth0 address $mac:01 netns $1
		addr add 10.0.$3.254/24 dev $2
		addr add fd00:$3::fe/64 dev $2 nodad
		link set $2 up
		neigh replace 10.0.$3.1 lladdr $mac:01 dev $2 nud permanent
		neigh replace fd00:$3::1 lladdr $mac:01 dev $2 nud permanent
	END
	ip_in "$1" <<-END
		link set lo up
		addr add 10.0.$3.1/24 dev eth0
		addr add fd00:$3::1/64 dev eth0 nodad
		link set eth0 up
		neigh replace 10.0.$3.254 lladdr $mac:fe dev eth0 nud permanent
		neigh replace fd00:$3::fe lladdr $mac:fe dev eth0 nud permanent
		route add default via 10.0.$3.254
		route add default via fd00:$3::fe
	END
}

topo_router() {
	local ns
	for ns in "$NS_A" "$NS_B" "$NS_R"; do
		ip netns add "$ns"
		nsenter --net="/run/netns/$ns" traffic cookie >>"${CTT_COOKIES:-/dev/null}"
		quiet_namespace "$ns" "$([[ $ns == "$NS_R" ]] && echo 1 || echo 0)"
	done
	ip -n "$NS_R" link set lo up
	link_host "$NS_A" ra 1
	link_host "$NS_B" rb 2
}

# Remove every namespace of ours, and with them their devices.
topo_down() {
	local ns
	for ns in /run/netns/"$CTT"-*; do
		[[ ! -e $ns ]] || ip netns del "${ns##*/}"
	done
}

# xdp_pass a|b|r [DEVICE]: an XDP program that passes everything, without which a veth takes no
# frames that its peer redirects. By ip -n: otherwise ip(8) mounts a bpffs at /sys/fs/bpf.
xdp_pass() { ip -n "$CTT-$1" link set dev "${2:-eth0}" xdpdrv obj "$O/tests/xdp_pass.o" sec xdp; }
xdp_off() { ip -n "$CTT-$1" link set dev "${2:-eth0}" xdpdrv off; }

# with_bpffs COMMAND..., without_bpffs COMMAND...: with and without a bpffs at /sys/fs/bpf, in
# mounts of its own.
with_bpffs() {
	# shellcheck disable=SC2016 # for the shell within
	${CTT_EXEC-} unshare --mount --propagation private sh -c '
		mount -t bpf bpf /sys/fs/bpf
		exec "$@"' sh "$@"
}
without_bpffs() {
	# shellcheck disable=SC2016
	${CTT_EXEC-} unshare --mount --propagation private sh -c '
		while umount /sys/fs/bpf 2>/dev/null; do :; done
		exec "$@"' sh "$@"
}

# host_bpffs: mount a bpffs at /sys/fs/bpf where everybody sees it, until the test ends.
HOST_BPFFS=
host_bpffs() {
	! mountpoint -q /sys/fs/bpf || return 0
	mount -t bpf bpf /sys/fs/bpf
	HOST_BPFFS=1
}

# ---- Proof that nothing is left ---------------------------------------------------------------

# Maps by these names are ours, and those that begin with ct_.
CT_MAPS=${CT_MAPS:-ct4 ct6 index4 index6 free4 free6 unconfirmed settings stats state ifaces record
	records listeners backlogs listener_state listener_ring ring events xdp_stages tc_stages sweep_timer
	sources sweep timer}

ct_maps_json() {
	# shellcheck disable=SC2086 # words
	printf '%s\n' $CT_MAPS | jq -Rn '[inputs]'
}

# snapshot: everything of ours that there is, a line each.
#
# But for program arrays: the kernel may keep one, empty, for ever if somebody opens it by its id just
# after its last user (prog_array_map_clear() takes a reference that a pending work never gives
# back). `bpftool map show` does that, below. One with programs in it shows by these.
snapshot() {
	{
		bpftool -j prog show | jq -r '.[] | select((.name // "") | startswith("ct_")) |
			"program \(.id) \(.name)"'
		bpftool -j map show | jq -r --argjson ours "$(ct_maps_json)" '.[] |
			.name //= "" | select(.type != "prog_array") |
			select((.name | startswith("ct_")) or (.name | IN($ours[]))) |
			"map \(.id) \(.name)"'
		# By way of pid 1, too (where that is allowed): these mounts may not be the host's.
		find {,/proc/1/root}/{sys/fs/bpf,run}/ctloader -printf 'pin %p\n' 2>/dev/null |
			sed 's#^pin /proc/1/root/#pin /#'
		awk '$3 == "bpf" || $2 ~ "^/run/ctloader" { print "mount", $2 }' /proc/1/mounts
		tc qdisc show | awk '$2 == "clsact" { print "qdisc clsact of", $5 }'
		find /run/netns -name 'ctt-*' -printf 'namespace %f\n' 2>/dev/null || :
	} | sort -u
}

# held: programs and maps that a process which is none of this test's has open, as in a snapshot.
held() {
	local mine
	mine=$(grep -lszx "CTT_MARK=${CTT_MARK-none}" /proc/[0-9]*/environ | sed 's#environ$#fdinfo/#') || :
	grep -Es '^(prog|map)_id:' /proc/[0-9]*/fdinfo/* | grep -vFf <(echo "${mine:-none}") |
		awk -F '[:\t]+' '{ print $2 == "prog_id" ? "program" : "map", $3, "" }' | sort -u
}

# Lines that were not in the snapshot in file $1, and are nobody's who is at work elsewhere.
new_since() { comm -13 "$1" <(snapshot) | grep -vFf <(held; echo 'no such line') || :; }

# Programs and maps are freed some time after their last user: give it 5 s.
nothing_new() { [[ -z $(new_since "$1") ]]; }

# assert_clean FILE: nothing of ours is there that was not in that snapshot.
assert_clean() {
	(wait_for 5 nothing_new "$1") 2>/dev/null || die "$(new_since "$1" | sed 's/^/left behind: /')"
}

nothing_attached() {
	local left
	left=$(
		in_r ip -o link show | grep -w xdp
		in_r tc qdisc show | grep clsact
		new_since "$T/before" | grep -v ^namespace
	)
	echo "$left"
	[[ -z $left ]]
}

# want_detached: in the middle of a test, nothing is loaded, pinned or attached any more.
want_detached() { wait_for 5 nothing_attached; }

# ---- Running a test ---------------------------------------------------------------------------

on_error() {
	echo "a command ended with exit code $1" >&2
	call_stack
}

on_exit() {
	local code=$?
	trap - ERR EXIT
	set +e
	# A test that fails midway leaves the tracker attached: that is no second failure.
	if ((code != 0)); then
		((code == 4)) || [[ -z ${DEBUG-} ]] || topology_shell
		[[ ! -e /run/netns/$NS_R || ! -x $CTLOADER ]] ||
			timeout -k 1 20 "$CTLOADER" --netns "$NS_R" detach --all >/dev/null 2>&1
	fi
	stop_all
	topo_down
	[[ -z $HOST_BPFFS ]] || umount /sys/fs/bpf
	rm -rf "$T"
	exit "$code"
}

begin() {
	set -eEuo pipefail
	T=$(mktemp -d "${TMPDIR:-/tmp}/ctt.XXXXXX")
	trap on_exit EXIT
	trap 'on_error $?' ERR
	if [[ -n ${CTT_BEFORE-} ]]; then
		cp "$CTT_BEFORE" "$T/before"
	else
		snapshot >"$T/before"
	fi
}

# run_test FILE FUNCTION: what run.sh calls. `setup` of the file runs before each test.
run_test() {
	begin
	# shellcheck disable=SC1090
	source "$1"
	[[ $(type -t setup) != function ]] || setup
	"$2"
}

# A shell in the router, with all of the above at hand.
topology_shell() {
	local ns=/run/netns/$NS_R
	[[ -e $ns ]] || ns=/proc/self/ns/net
	cat >"$T/bashrc" <<-END
		source "$TOP/tests/lib.sh"
		PS1='[$CTT router] \w# '
	END
	echo "A shell in the router $NS_R. Here: in_a, in_b, in_r, ctl, ...; files in $T. 'exit' removes all."
	if [[ -t 0 ]]; then
		nsenter --net="$ns" bash --rcfile "$T/bashrc" -i
	else
		BASH_ENV=$T/bashrc nsenter --net="$ns" bash -s
	fi
}

# run_shell TOPOLOGY: one of this file's, or one that a test's file defines.
run_shell() {
	local file
	begin
	if [[ $(type -t "topo_$1") != function ]]; then
		file=$(grep -l "^topo_$1()" "$TOP"/tests/netns/*.sh) || die "there is no topology $1"
		# shellcheck disable=SC1090
		source "$file"
	fi
	topo_up "$1"
	set +e
	trap - ERR
	topology_shell
	exit 0
}
