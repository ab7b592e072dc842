#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests. See tests/README.md, or `tests/run.sh -h`.
#
# Tests run in the mounts of whoever runs this, not in private ones: that is where users run
# ctloader, and it is where the loader's own mount (/run/ctloader/bpf) has to come and go. What a
# test makes it removes; what it leaves behind fails it, and is then removed here.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tests/lib.sh
source "$PWD/tests/lib.sh"

BUILD=$O/tests
V=${V:-}
DEBUG=${DEBUG:-}
CC=${CC:-cc}
CLANG=${CLANG:-clang}
passed=0 failed=0 skipped=0

usage() {
	cat <<-END
		usage: tests/run.sh [-v] [-l] [NAME...]
		       tests/run.sh --shell [TOPOLOGY]

		NAME is a level (unit, prog, netns), a file (netns/tcp.sh), a test (test_rst), or both
		(netns/tcp.sh:test_rst). Without names, all tests run.

		  -v, V=1             show what tests say while they run
		  -l                  list the tests, run none
		  -b                  build what they need, run none (and CTT_BUILT=1: run what is built)
		  DEBUG=1             open a shell in the topology of a netns test that fails
		  --shell [TOPOLOGY]  open a shell in a topology (router) straight away
		  LIMIT=N             N seconds for each test, in place of what its file says
		  O=FOLDER            where things are built (build)
	END
}

give_up() {
	echo "tests/run.sh: $*" >&2
	exit 2
}

# ---- Which tests ------------------------------------------------------------------------------

# tests_in FILE: their names.
tests_in() {
	case $1 in
	*.c) sed -n 's/^TEST(\([A-Za-z0-9_]*\)).*/\1/p
		s/^EDGE(\([A-Za-z0-9_]*\),.*/edge_\1/p
		s/^CONVERSATION(\([A-Za-z0-9_]*\)).*/\1_xdp\n\1_ingress\n\1_egress/p' "$1" ;;
	*.sh) sed -n 's/^\(test_[A-Za-z0-9_]*\) *().*/\1/p' "$1" ;;
	esac
}

test_files() {
	grep -l '^CHECK_MAIN()' tests/unit/*.c tests/prog/*.c 2>/dev/null
	ls tests/netns/*.sh 2>/dev/null
}

# is_meant ID NAME: whether NAME means the test ID (level/file:test).
is_meant() {
	local id=$1 name=${2#tests/} file=${1%:*} meaning
	for meaning in "$id" "$file" "${file##*/}" "${id##*:}" "${id%%/*}"; do
		[[ $name == "$meaning" || $name == "${meaning%.*}" ]] && return 0
	done
	return 1
}

is_selected() {
	local name
	((${#names[@]} > 0)) || return 0
	for name in "${names[@]}"; do
		is_meant "$1" "$name" && return 0
	done
	return 1
}

# Fill `files` (in order) and `tests` (file -> names).
declare -a files=()
declare -A tests=()
select_tests() {
	local path file name
	for path in $(test_files); do
		file=${path#tests/}
		for name in $(tests_in "$path"); do
			is_selected "$file:$name" || continue
			[[ -n ${tests[$file]-} ]] || files+=("$file")
			tests[$file]+="$name "
		done
	done
}

# Every name has to mean something.
check_names() {
	local name file test
	for name in ${names[@]+"${names[@]}"}; do
		for file in ${files[@]+"${files[@]}"}; do
			for test in ${tests[$file]}; do
				is_meant "$file:$test" "$name" && continue 3
			done
		done
		give_up "no test is called $name (tests/run.sh -l lists them)"
	done
}

any_in() { [[ " ${files[*]-}" == *" $1/"* ]]; }

# Tests that were started early, to run beside others: their processes, and when.
declare -A beside=() began=()

# ---- Building ---------------------------------------------------------------------------------

# sources FILE: what its first line names.
sources() { sed -n '1s#^// SRC:##p' "$1"; }

COMPILE="-std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all
	-Iinclude -Iuser -Ibpf -Itests/unit"

# What several tests are linked with is compiled once: build/tests/objects/PATH.o of PATH.c.
object() { echo "$BUILD/objects/${1%.c}.o"; }

compile_object() {
	local out
	out=$(object "$1")
	mkdir -p "${out%/*}"
	rm -f "$out"
	# shellcheck disable=SC2086 # words
	$CC $COMPILE -I"$O" -c "$1" -o "$out" >"$out.log" 2>&1
}

# compile FILE: build/tests/LEVEL/NAME from level/NAME.c; what the compiler says goes to NAME.log.
compile() {
	local out=$BUILD/${1%.c} libs source with=()
	libs=$([[ $1 == unit/* ]] || echo -lbpf -lelf -lz)
	mkdir -p "${out%/*}"
	: >"$out.log"
	for source in $(sources "tests/$1"); do
		if [[ $source == *.c ]]; then
			with+=("$(object "$source")")
			cat "$(object "$source").log" >>"$out.log"
		else
			with+=("$source")
		fi
	done
	# shellcheck disable=SC2086 # words
	if $CC $COMPILE -I"$O" "tests/$1" ${with[@]+"${with[@]}"} $libs -o "$out.new" >>"$out.log" 2>&1; then
		mv "$out.new" "$out" # at once: kernels.sh builds for its guest while others run
	else
		rm -f "$out" "$out.new"
	fi
}

# in_turn COMMAND FILE...: the command for each file, as many at a time as there are CPUs.
in_turn() {
	local command=$1 file
	shift
	for file; do
		while (($(jobs -rp | wc -l) >= $(nproc) + ${#beside[@]})); do wait -n || :; done
		"$command" "$file" &
	done
	wait
}

compile_all() {
	local file tests=() shared
	for file in ${files[@]+"${files[@]}"}; do
		[[ $file != *.c ]] || tests+=("$file")
	done
	((${#tests[@]})) || return 0
	shared=$(for file in "${tests[@]}"; do sources "tests/$file"; done | tr ' ' '\n' | grep '\.c$' | sort -u) || :
	# shellcheck disable=SC2086 # words
	in_turn compile_object $shared
	in_turn compile "${tests[@]}"
}

# What prog tests use: policy programs, for either type of hook.
build_policies() {
	local from=tests/prog/policy.bpf.c hook to
	mkdir -p "$BUILD/prog"
	for hook in xdp tc; do
		to=$BUILD/prog/policy_$hook.o
		[[ -e $to && -z $(find "$from" include -newer "$to" -name '*.[ch]') ]] ||
			$CLANG -O2 -g --target=bpf -Wall -DCT_POLICY_${hook^^} -Iinclude \
				-I"/usr/include/$(uname -m)-linux-gnu" -c "$from" -o "$to" || exit 2
	done
}

# The tool that prog/replay.c is about.
build_replay() {
	[[ " ${files[*]-} " != *" prog/replay.c "* ]] || make -s O="$O" CC="$CC" "$O/tests/replay" || exit 2
}

# What netns tests use: the traffic generator and an XDP program; a later version of ctloader.
build_tools() {
	mkdir -p "$BUILD"
	[[ ! " ${files[*]-} " =~ " netns/"(upgrade|repair|save)".sh " || ( -e $BUILD/next/ctloader &&
		-z $(find tests/tools/next.sh Makefile bpf include user -newer "$BUILD/next/ctloader" -type f) ) ]] ||
		tests/tools/next.sh "$BUILD/next" || exit 2
	[[ -e $BUILD/traffic && -z $(find tests/tools/traffic.c tests/tools/pattern.h tests/unit/crc32c.h \
		-newer "$BUILD/traffic") ]] ||
		$CC -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra tests/tools/traffic.c -o "$BUILD/traffic" ||
		exit 2
	[[ -e $BUILD/verified && -z $(find tests/tools/verified.c "$O/ct.skel.h" -newer "$BUILD/verified") ]] ||
		$CC -std=gnu11 -O1 -Wall -Wextra -I"$O" tests/tools/verified.c -lbpf -lelf -lz \
			-o "$BUILD/verified" || exit 2
	[[ $BUILD/xdp_pass.o -nt tests/tools/xdp_pass.bpf.c ]] ||
		$CLANG -O2 -g --target=bpf -I"/usr/include/$(uname -m)-linux-gnu" \
			-c tests/tools/xdp_pass.bpf.c -o "$BUILD/xdp_pass.o" || exit 2
}

# ---- Results ----------------------------------------------------------------------------------

if [[ -t 1 ]]; then
	green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
	green='' red='' yellow='' plain=''
fi

us() { echo "${EPOCHREALTIME/./}"; }

# since BEGIN [END]: seconds between two times of us(), like 0.8; until now.
since() {
	local tenths=$(((${2:-$(us)} - $1 + 50000) / 100000))
	echo "$((tenths / 10)).$((tenths % 10))"
}

# pass ID SECONDS; skip_test ID WHAT; fail ID SECONDS, with what it said on standard input
pass() {
	passed=$((passed + 1))
	echo "${green}PASS$plain $1 ($2 s)"
}

skip_test() {
	skipped=$((skipped + 1))
	echo "${yellow}SKIP$plain $1 ($2)"
}

fail() {
	failed=$((failed + 1))
	echo "${red}FAIL$plain $1 ($2 s)"
	sed 's/^/    /'
}

# The tests of a file, all with the same fate: each_in FILE COMMAND ARGS...
each_in() {
	local file=$1 command=$2 test
	shift 2
	for test in ${tests[$file]}; do
		"$command" "$file:$test" "$@"
	done
}

# ---- What is left behind ----------------------------------------------------------------------

# Processes of a test carry CTT_MARK=... in their environment, whatever becomes of their parents.
# $1 of these is a regular expression.
marked_processes() {
	grep -lzx "CTT_MARK=$1" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/##; s#/environ##'
}

no_processes() { [[ -z $(marked_processes "$1") ]]; }

end_processes() {
	local signal
	for signal in TERM KILL; do
		no_processes "$1" && return
		# shellcheck disable=SC2046 # words
		kill -"$signal" $(marked_processes "$1") 2>/dev/null
		(wait_for 3 no_processes "$1") 2>/dev/null
	done
}

# A process that was killed needs a moment to be gone.
leftover_processes() {
	local pid
	(wait_for 1 no_processes "$1") 2>/dev/null && return
	for pid in $(marked_processes "$1"); do
		echo "left behind: process $pid, $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
}

# Remove what a test left, so that the next one starts clean; and, of the pins, only those of
# instances in the tests' own namespaces.
sweep() {
	local kind what cookie
	end_processes "$1"
	while read -r cookie; do
		rm -rf {/sys/fs/bpf,/run/ctloader/bpf}/ctloader/"netns-$cookie"
	done <"$CTT_COOKIES"
	rmdir {/sys/fs/bpf,/run/ctloader/bpf}/ctloader 2>/dev/null
	while read -r kind what; do
		case $kind in
		namespace) ip netns del "$what" ;;
		qdisc) tc qdisc del dev "${what##* }" clsact ;;
		mount) [[ $what != /run/ctloader/bpf || -e $what/ctloader ]] || umount "$what" ;;
		esac
	done < <(new_since "$before")
	rmdir /run/ctloader/bpf /run/ctloader 2>/dev/null
	snapshot >"$before"
}

# left_behind MARK: what there is now that was not there before; nothing, if all is well.
left_behind() {
	leftover_processes "$1"
	(assert_clean "$before") 2>&1
}

# ---- Running ----------------------------------------------------------------------------------

# time_limit FILE: seconds, as its TIMEOUT line says, or LIMIT.
time_limit() {
	local limit
	limit=$(sed -n 's/^\(#\|\/\/\) TIMEOUT: *\([0-9]*\).*/\2/p' "tests/$1" | head -n 1)
	echo $((${LIMIT:-${limit:-120}} * ${CTT_SLOW:-1}))
}

how_it_ended() {
	case $1 in
	124 | 137) echo "ended by the time limit of $2 s" ;;
	*) echo "ended with exit code $1" ;;
	esac
}

# play_program FILE: runs it; what it says, each line behind the time, and its exit code.
play_program() {
	local limit line
	limit=$(time_limit "$1")
	echo "${EPOCHREALTIME/./} "
	{
		# shellcheck disable=SC2086 # words
		CTT_MARK=$CTT-$1 timeout -k 5 "$limit" "$BUILD/${1%.c}" ${tests[$1]} 2>&1 </dev/null 9>&-
		echo "exit code $?"
	} | while IFS= read -r line; do
		echo "${EPOCHREALTIME/./} $line"
	done
}

# Programs that need no CPU of their own ("// ALONE" says which do) are run first, as many at a time as
# there are CPUs; what they say is kept until it is their turn.
play_file() { play_program "$1" >"$work/said-${1//\//-}"; }
play_together() {
	local file test together=()
	for file in ${files[@]+"${files[@]}"}; do
		[[ $file != *.c || ! -x $BUILD/${file%.c} ]] || ((EUID != 0)) || grep -q '^// ALONE' "tests/$file" ||
			together+=("$file")
	done
	[[ -z $V && ${#together[@]} -ge 2 ]] || return 0
	# What is in a machine of its own ("# BESIDE") needs one CPU, and nothing of ours.
	for file in "${files[@]}"; do
		[[ $file == *.sh && -z $DEBUG ]] && grep -q '^# BESIDE' "tests/$file" || continue
		for test in ${tests[$file]}; do
			start_function "$file" "$test"
		done
	done
	in_turn play_file "${together[@]}"
}

# A file of the unit or prog level: one program, a line of result for each of its tests.
run_program() {
	local file=$1 program=$BUILD/${1%.c} limit said='' now line start='' id left code=0 test
	local kept=$work/said-${1//\//-}
	local -A done_tests=()
	limit=$(time_limit "$file")
	if [[ ! -x $program ]]; then
		for test in ${tests[$file]}; do
			fail "$file:$test" 0.0 <"$program.log"
		done
		return
	fi
	[[ ! -s $program.log ]] || cat "$program.log"
	while IFS= read -r line; do
		now=${line%% *} line=${line#* }
		: "${start:=$now}"
		id=$file:${line##* }
		case $line in
		"ok "*) pass "$id" "$(since "$start" "$now")" ;;
		"not ok "*) fail "$id" "$(since "$start" "$now")" < <(printf %s "$said") ;;
		"skip "*)
			line=${line#skip }
			id=$file:${line%%: *}
			skip_test "$id" "${line#*: }"
			;;
		"exit code "*) code=${line##* } && continue ;;
		'') continue ;;
		*) if [[ -n $V ]]; then echo "$line"; else said+=$line$'\n'; fi && continue ;;
		esac
		done_tests[${id##*:}]=1
		said=''
		start=$now
	done < <(if [[ -e $kept ]]; then cat "$kept"; else play_program "$file"; fi)
	for test in ${tests[$file]}; do
		[[ -z ${done_tests[$test]-} ]] || continue
		fail "$file:$test" "$(since "$start" "$now")" <<<"$said($(how_it_ended "$code" "$limit"))"
		said='not run: the program ended before '
	done
	[[ $file == unit/* ]] && return
	left=$(left_behind "$CTT-$file")
	if [[ -n $left ]]; then
		fail "$file" "$(since "$start")" <<<"$left"
		sweep "$CTT-$file"
	fi
}

# A word of ours in the log of the running test.
say() { echo "$*" | if [[ -n $V ]]; then tee -a "$log"; else cat >>"$log"; fi; }

# The command that runs a test of the netns level in a shell of its own, into `command`.
command_of() {
	# shellcheck disable=SC2016 # for the shell within
	command=(bash -c 'source tests/lib.sh; run_test "$1" "$2"' - "tests/$1" "$2")
}

# start_function FILE TEST: in the background, saying what it says into its log.
start_function() {
	local id=$1:$2
	local -a command
	command_of "$1" "$2"
	mkdir -p "$BUILD/log/${id%/*}"
	began[$id]=$(us)
	{
		CTT_MARK=$CTT-$id setsid timeout -k 10 "$(time_limit "$1")" "${command[@]}" \
			>"$BUILD/log/$id" 2>&1 </dev/null
		echo $? >"$work/code-${id//\//-}"
	} 9>&- &
	beside[$id]=$!
}

# A test of the netns level.
run_function() {
	local file=$1 test=$2 id=$1:$2 log start left pid code=0 limit mark=$CTT-$1:$2
	local -a command
	log=$BUILD/log/$id
	limit=$(time_limit "$file")
	if [[ -n $DEBUG ]]; then
		command_of "$file" "$test"
		mkdir -p "${log%/*}"
		start=$(us)
		: >"$log"
		CTT_MARK=$mark "${command[@]}" 9>&- || code=$?
	else
		[[ -n ${beside[$id]-} ]] || start_function "$file" "$test"
		pid=${beside[$id]} start=${began[$id]}
		unset "beside[$id]"
		[[ -z $V ]] || tail -n +1 -s 0.1 -f --pid=$pid "$log" &
		wait # for all: whoever waits for one may find that another has been told of its end
		code=$(<"$work/code-${id//\//-}")
	fi
	start=$(since "$start")
	left=$(left_behind "$mark")
	[[ -z $left ]] || { say "$left" && sweep "$mark"; }
	if ((code == 4)) && [[ -z $left ]]; then
		skip_test "$id" "$(tail -n 1 "$log")"
	elif ((code == 0)) && [[ -z $left ]]; then
		pass "$id" "$start"
	else
		((code == 0 || code == 1)) || say "$(how_it_ended "$code" "$limit")"
		if [[ -n $V ]]; then : >"$log"; fi # it has been shown
		fail "$id" "$start" <"$log"
	fi
}

run_file() {
	local file=$1 test
	if [[ $file != unit/* ]] && ((EUID != 0)); then
		each_in "$file" skip_test "needs root"
	elif [[ $file == *.c ]]; then
		run_program "$file"
	else
		for test in ${tests[$file]}; do
			run_function "$file" "$test"
		done
	fi
}

# `ip netns` makes a mount of /run/netns; if it was not there before, it goes.
netns_folder() { mountpoint -q /run/netns; }

# This run's own folder: what there was before, and the tests' folders.
work=$(mktemp -d "${TMPDIR:-/tmp}/ctt.XXXXXX")
before=$work/before
export TMPDIR=$work T=$work CTT_BEFORE=$before CTT_COOKIES=$work/cookies
: >"$CTT_COOKIES"

clean_up() {
	end_processes "$CTT-.*"
	topo_down
	[[ -n $had_netns ]] || { umount /run/netns && rmdir /run/netns; } 2>/dev/null
	rm -rf "$work"
}

interrupted() {
	echo "interrupted"
	exit 130
}

build_all() {
	compile_all
	! any_in prog || build_policies
	build_replay
	build_tools
}

prepare() {
	local tool
	[[ -n ${CTT_BUILT-} ]] || build_all
	[[ -z $build ]] || exit 0
	((EUID == 0)) && { any_in prog || any_in netns || [[ -n ${shell-} ]]; } || return 0
	for tool in ip tc bpftool jq nsenter; do
		command -v "$tool" >/dev/null || give_up "$tool is missing (run 'make deps')"
	done
	[[ -x $CTLOADER ]] || ! any_in netns || give_up "ctloader is not built (run 'make')"
	# One run at a time on a machine: each would see the other's programs as leaks.
	if [[ -d /run/lock ]] && exec 9</run/lock && ! flock -n 9; then
		echo "waiting for another run of the tests to end"
		flock 9
	fi
	snapshot >"$before"
}

main() {
	local file
	select_tests
	check_names
	if [[ -n $list ]]; then
		for file in ${files[@]+"${files[@]}"}; do
			each_in "$file" echo
		done
		exit
	fi
	prepare
	play_together
	for file in ${files[@]+"${files[@]}"}; do
		run_file "$file"
	done
	echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((failed == 0))
}

list='' build='' shell='' names=() had_netns=''
! netns_folder || had_netns=1
while (($# > 0)); do
	case $1 in
	-v) V=1 ;;
	-l | --list) list=1 ;;
	-b | --build) build=1 ;;
	-h | --help) usage && exit ;;
	--shell) shell=${2:-router} && break ;;
	-*) usage >&2 && exit 2 ;;
	*) names+=("$1") ;;
	esac
	shift
done
# Building only, there is nothing of ours to end; but a run that we are part of may have something.
if [[ -n $build ]]; then trap 'rm -rf "$work"' EXIT; else trap clean_up EXIT; fi
trap interrupted INT TERM HUP
if [[ -n $shell ]]; then
	prepare
	bash -c 'source tests/lib.sh; run_shell "$1"' - "$shell" 9>&-
else
	main
fi
