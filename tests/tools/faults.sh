# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every failure at every step: a command that changes an instance fails, or is killed, at each of
# its system calls that matter (tools/fault.c), and after each
#
#	- packets pass, IPv4 and IPv6;
#	- it ended with 0, or with 1 and one line that says why;
#	- the instance is wholly as before or wholly as wanted; if it is neither, the next command,
#	  whichever it is, makes it so;
#	- its flows, its settings and its listener are still there, and `audit` finds nothing;
#	- `detach --all` ends with nothing left.
#
# netns/faults.sh plays a sample in every scenario; stress/faults.sh plays them all.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

SEED=${SEED:-1}
# Set: where a fault changed nothing, the next one finds the same instance.
REUSE=${REUSE-}
# Set: others load programs of the same names meanwhile, in namespaces where audit can't see them.
SHARED=${SHARED-}
# Of these: one error, an error that stays, a kill.
# shellcheck disable=SC2206 # words
KINDS=(${KINDS:-error stays kill})
ERRORS=(ENOMEM EPERM EBUSY E2BIG EINTR ENOSPC)

# ---- Scenarios ----------------------------------------------------------------------------------

# scenario NAME SET-UP COMMAND: what is done before, by `given`, and the command that is to fail.
SCENARIOS=()
declare -A GIVEN COMMAND
scenario() {
	SCENARIOS+=("$1")
	GIVEN[$1]=$2 COMMAND[$1]=$3
}

scenario attach-one '' 'attach ra'
scenario attach-two '' 'attach ra rb'
scenario attach-clsact '' 'attach --tc clsact ra rb'
scenario attach-native '' 'attach --hook native ra rb'
scenario attach-confirm-xdp '' 'attach --hook native --confirm xdp ra rb'
scenario attach-bpffs 'bpffs' 'attach ra rb'
scenario attach-exec 'exec' 'attach ra rb'
scenario attach-more 'attach ra' 'attach rb'
scenario attach-more-two 'attach ra' 'attach rb lo'
scenario attach-more-clsact 'attach --tc clsact ra' 'attach --tc clsact rb'
scenario attach-listener 'attach ra, listener' 'attach rb'
scenario attach-again 'attach ra rb' 'attach ra rb'
scenario attach-repair 'attach ra rb, unlink' 'attach ra rb'
scenario attach-kept 'attach ra rb, detach --keep --all' 'attach ra rb'
scenario attach-policy 'attach ra, policies' 'attach --policy PINS/test/ct_test_drop81 rb'
scenario detach-one 'attach ra rb' 'detach rb'
scenario detach-two 'attach ra rb lo' 'detach rb lo'
scenario detach-one-clsact 'attach --tc clsact ra rb' 'detach rb'
scenario detach-last 'attach ra' 'detach ra'
scenario detach-keep 'attach ra rb' 'detach --keep --all'
scenario detach-all 'attach ra rb' 'detach --all'
scenario detach-clsact 'attach --tc clsact ra rb' 'detach --all'
scenario detach-native 'attach --hook native ra rb' 'detach --all'
scenario detach-bpffs 'bpffs, attach ra rb' 'detach --all'
scenario detach-exec 'exec, attach ra rb' 'detach --all'
scenario detach-kept 'attach ra rb, detach --keep --all' 'detach --all'
scenario detach-listener 'attach ra rb, listener' 'detach --all'

# has COMMAND: whether ctloader has it.
has() { "$CTLOADER" help "$1" >/dev/null 2>&1; }

if has upgrade; then
	scenario upgrade 'attach ra rb' 'upgrade'
	scenario upgrade-clsact 'attach --tc clsact ra rb' 'upgrade'
	scenario upgrade-native 'attach --hook native ra rb' 'upgrade'
	scenario upgrade-listener 'attach ra rb, listener' 'upgrade'
	scenario upgrade-kept 'attach ra rb, detach --keep --all' 'upgrade'
	scenario set-max 'attach --max 1024 ra rb' 'set max=2048'
	scenario set-max-listener 'attach --max 1024 ra rb, listener' 'set max=2048'
	scenario attach-max 'attach --max 1024 ra' 'attach --max 2048 rb'
	scenario attach-kept-max 'attach --max 1024 ra rb, detach --keep --all' 'attach --max 2048 ra rb'
fi

# The command, by words in `words`; where it runs, in `runner`.
words_of() {
	# shellcheck disable=SC2206 # words
	words=(${COMMAND[$1]/PINS/$INSTANCE})
	runner=()
	[[ ${GIVEN[$1]} != *exec* ]] || runner=(ip netns exec "$NS_R")
}

# Make what the scenario begins with.
given() {
	local step
	EXPECTED=0
	while read -r step; do
		case $step in
		'' | bpffs | exec) ;;
		listener)
			start listener ctl events -e destroy -o json
			wait_for 5 listening 1
			;;
		policies) load_policies ;;
		unlink) rm "$INSTANCE/links/$(in_r ip -o link show ra | cut -d: -f1)-tc-ingress" ;;
		*)
			# shellcheck disable=SC2086 # words
			ctl $step >/dev/null || die "$step"
			[[ $step != *attach*ra* ]] || flows_made
			;;
		esac
		find_instance
	done < <(tr , '\n' <<<"${GIVEN[$1]}" | sed 's/^ //')
	find_instance
	mapfile -t WAS < <(ids)
}

# Flows and a setting, to be found again.
flows_made() {
	# shellcheck disable=SC2016 # for the shell within
	in_a bash -c 'for i in {1..20}; do echo >/dev/udp/10.0.2.1/9; done'
	ctl set udp_timeout=777 >/dev/null || die "set"
	wait_for 2 flows_there
	EXPECTED=$(ctl count -p udp --dport 9)
}

# A port may have been taken twice.
flows_there() { want_num "$(ctl count -p udp --dport 9)" -ge 17 "flows made, of 20"; }

# ---- What is there --------------------------------------------------------------------------------

# The directory of the router's instance, whether it is there or not.
find_instance() {
	local dir
	INSTANCE=/run/ctloader/bpf/ctloader/netns-$COOKIE
	for dir in /sys/fs/bpf /run/ctloader/bpf; do
		[[ ! -e $dir/ctloader/netns-$COOKIE ]] || INSTANCE=$dir/ctloader/netns-$COOKIE
	done
}

# The ids of all that is pinned there, for `state` to know them again: an instance that was made anew
# by the way is not the old one.
ids() { [[ ! -e $INSTANCE ]] || pinned "$INSTANCE"; }

# state: the instance and all that belongs to it, from outside, in lines that mean the same in
# another run.
state() {
	find_instance
	find {/sys/fs/bpf,/run}/ctloader /run/ctloader.lock -printf 'file %p\n' 2>/dev/null |
		sed 's/listener-[0-9]*/listener/; /[.]debug$/d'
	grep -o ' /run/ctloader[^ ]*' /proc/mounts
	[[ ! -e $INSTANCE ]] || pinned "$INSTANCE" "${WAS[@]}" - | sed 's/listener-[0-9]*/listener/g'
	# shellcheck disable=SC2016 # for the shell within
	in_r sh -c '
		tc qdisc show | grep -o "clsact.*" && for dev in ra rb; do
			tc filter show dev $dev ingress
			tc filter show dev $dev egress
		done 2>/dev/null | grep -o "ct_[a-z_]*"
		ip -o link show | grep -ow "ra\|rb\|xdp[a-z]*"'
	return 0
}

# What `status` says of it; nothing when there is none.
status() {
	ctl status -o json 2>/dev/null | jq -c '[.interfaces, [.programs[]?.name], .table.size, .settings]'
	return 0
}

# A moment for what the kernel frees later: until the state in NOW is OLD or NEW; else 0.5 s.
look() {
	local deadline=$((${EPOCHREALTIME/./} + 500000))
	while :; do
		NOW=$(state)
		[[ $NOW != "$OLD" && $NOW != "$NEW" ]] || return 0
		((${EPOCHREALTIME/./} < deadline)) || return 0
	done
}

# One word for the state in NOW.
which() {
	if [[ $NOW == "$NEW" ]]; then
		echo new # also where both are the same
	elif [[ $NOW == "$OLD" ]]; then
		echo old
	else
		echo between
	fi
}

difference() {
	diff <(echo "$OLD") <(echo "$NOW") | grep '^[<>]' | sed 's/^/        old,now: /' | head -n 6
	diff <(echo "$NEW") <(echo "$NOW") | grep '^[<>]' | sed 's/^/        new,now: /' | head -n 6
}

# ---- One fault -------------------------------------------------------------------------------------

packets_pass() {
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null &&
		in_a ping -c 1 -W 2 -q fd00:2::1 >/dev/null &&
		in_a traffic udp-send 10.0.2.1 7 5 1000 >/dev/null &&
		in_a traffic udp-send fd00:2::1 7 5 1000 >/dev/null
}

# And all the while; LOST: those of which some did not come back. (The kernel loses some itself where
# an XDP program comes to a veth or goes, and where a clsact qdisc does.)
streams_on() {
	serve stream in_a traffic udp-stream 10.0.2.1 7 500
	serve stream6 in_a traffic udp-stream fd00:2::1 7 500
}
streams_off() {
	stop stream
	stop stream6
	LOST+=$(grep -hv ' lost 0 ' "$T/stream.out" "$T/stream6.out" | grep ^sent)
}

# wrong WHAT: something must not be so.
wrong() { WRONG+="        $1"$'\n'; }

# What it said: with 0 nothing, with 1 one line of the right form. (Where every later call fails, too,
# undoing may have something to say in lines of its own.)
check_said() {
	local error=$1 command=${words[0]} lines
	case $RC in
	0) return ;;
	1) ;;
	124 | 137)
		[[ $error == KILL && $RC == 137 ]] || wrong "ended by the time limit, or a signal ($RC)"
		return
		;;
	*) wrong "exit code $RC: $ERR" && return ;;
	esac
	lines=$(wc -l <<<"$ERR")
	((lines == 1)) || [[ $error == *+ ]] || wrong "$lines lines in place of one: $ERR"
	! grep -vqE "^ctloader: $command: [^:]+(: .+)+$" <<<"$ERR" || wrong "said: $ERR"
	[[ -z $OUT ]] || wrong "failed, and said on standard output: $OUT"
}

# The next command, and what it may end with.
next_command() {
	local code=0 said
	local -a command=("$@")
	said=$(timeout 30 "$CTLOADER" --netns "$NS_R" "${command[@]}" 2>&1) || code=$?
	((code <= 1)) || wrong "the next command, ${command[*]}, ended with $code: $said"
	NEXT_CODE=$code NEXT_SAID=${said%%$'\n'*}
}

# Is nothing broken but that something is loaded which belongs to nobody? With SHARED=1 that is others'.
broken_by_others() { [[ $SHARED && $count != *$'\nBROKEN'*BROKEN* && $count == *'BROKEN  leftovers'* ]]; }

# After the next command the instance is whole: OLD or NEW, and what was in it still is.
check_whole() {
	local which count
	look
	which=$(which)
	if [[ $which == between ]]; then
		wrong "after '$1' ($NEXT_CODE: $NEXT_SAID) the instance is neither the old one nor the new one"
		WRONG+=$(difference)$'\n'
		return
	fi
	((CODE)) || [[ $NOW == "$NEW" ]] || wrong "it ended with 0, and after '$1' the instance is the old one"
	[[ -e $INSTANCE/state ]] || return 0
	if ((EXPECTED)); then
		count=$(timeout 30 "$CTLOADER" --netns "$NS_R" count -p udp --dport 9 2>&1) || :
		[[ $count == "$EXPECTED" ]] || wrong "flows: $count of $EXPECTED"
		[[ $(ctl show udp_timeout -o json | jq .udp_timeout) == 777 ]] || wrong "a setting is lost"
	fi
	[[ $(status) == "$OLD_STATUS" || $(status) == "$NEW_STATUS" ]] || wrong "status: $(status)"
	if [[ $AUDIT ]]; then
		count=$(timeout 30 "$CTLOADER" --netns "$NS_R" audit 2>&1) || broken_by_others ||
			wrong "audit: $count"
	fi
	[[ -z ${STARTED[listener]-} ]] || running listener || wrong "the listener has ended"
}

# Programs and maps are ours if they were pinned: OURS. (While others are at work on the machine,
# theirs come and go.)
nothing_left() {
	local left
	left=$(
		in_r sh -c 'ip -o link show | grep -w xdp; tc qdisc show | grep clsact'
		comm -13 "$T/before" <(snapshot) | awk 'NR == FNR { ours[$0] = 1; next }
			{ kind = $1 == "program" ? "prog" : $1 }
			/^(program|map) / ? (kind " " $2) in ours : !/^namespace /' \
			<(printf '%s\n' "${OURS[@]}") -
	)
	echo "$left"
	[[ -z $left ]]
}

# Back to nothing by `detach --all`.
undo() {
	local code=0 said
	find_instance
	mapfile -t OURS < <(ids)
	OURS+=("${WAS[@]}")
	said=$(timeout 30 "$CTLOADER" --netns "$NS_R" detach --all 2>&1) || code=$?
	[[ $code == 0 || $code == 1 && $said == *'not loaded'* ]] ||
		wrong "detach --all ended with $code: $said"
	if [[ -n ${STARTED[listener]-} ]]; then
		(wait_for 5 ended listener) 2>/dev/null || wrong "the listener did not end"
		stop listener
		((RC == 0)) || wrong "the listener ended with $RC: $(cat "$T/listener.err")"
	fi
	LEFT=$( (wait_for 2 nothing_left) 2>&1) || wrong "left after detach --all: $LEFT"
	[[ ! -e /run/ctloader.lock ]] || wrong "left: /run/ctloader.lock"
}

# By force, so that the next fault begins with nothing.
scrub() {
	local dev
	rm -rf {/sys/fs/bpf,/run/ctloader/bpf}/ctloader/"netns-$COOKIE" /run/ctloader.lock
	rmdir {/sys/fs/bpf,/run/ctloader/bpf}/ctloader 2>/dev/null
	[[ -e /run/ctloader/bpf/ctloader ]] || umount /run/ctloader/bpf 2>/dev/null
	rmdir /run/ctloader/bpf /run/ctloader 2>/dev/null
	for dev in ra rb; do
		in_r tc qdisc del dev $dev clsact 2>/dev/null
		in_r ip link set dev $dev xdpdrv off 2>/dev/null
	done
	wait_for 5 nothing_left >/dev/null
	:
}

# What may come after it, in turn: any command repairs.
NEXT=(status retry list 'detach --all' count retry show stats)

# inject SCENARIO N ERROR: WORD is what it led to; WRONG what was wrong. Where the state is the old one
# the instance may be used again: STANDING.
inject() {
	local name=$1 n=$2 error=$3 next which
	WRONG=
	[[ -n $STANDING ]] || given "$name"
	words_of "$name"
	rm -f "$T/fault"
	capture timeout -k 5 30 "${runner[@]}" fault -o "$T/fault" -n "$n" -e "$error" \
		"$CTLOADER" --netns "$NS_R" "${words[@]}"
	WHERE=$(cat "$T/fault") CODE=$RC
	check_said "$error"
	packets_pass || wrong "packets do not pass"
	look
	which=$(which)
	WORD=$which
	[[ $OLD != "$NEW" || $which == between ]] || WORD=old
	((CODE)) || [[ $which != old ]] || wrong "it ended with 0 and has done nothing"
	((CODE)) || WORD=succeeded
	[[ $which != between ]] || WORD=repaired
	STANDING=
	next=${NEXT[$((COUNT % ${#NEXT[@]}))]}
	if [[ $next == 'detach --all' ]]; then
		:
	elif [[ $next == retry ]]; then
		next_command "${words[@]}"
		check_whole "${words[*]}, again"
		((NEXT_CODE == 0)) || [[ ${words[0]} == detach ]] ||
			wrong "again, it ended with $NEXT_CODE: $NEXT_SAID"
		[[ $NOW == "$NEW" ]] || wrong "again, it did not do it"
	else
		next_command "$next"
		check_whole "$next"
		[[ -z $REUSE || $WRONG || $NOW != "$OLD" ]] || STANDING=1
	fi
	[[ $STANDING ]] || undo
	if [[ $WRONG ]]; then
		WORD=BROKEN
		STANDING=
		(undo) >/dev/null 2>&1 # again, for what is left
		find_instance
		[[ -z ${STARTED[listener]-} ]] || stop listener
		streams_off
		scrub
		streams_on
	fi
}

# ---- A scenario ------------------------------------------------------------------------------------

# learn SCENARIO: what is before, what is after, and the calls between, in $T/calls.
learn() {
	WRONG=
	given "$1"
	OLD=$(state) OLD_STATUS=$(status)
	words_of "$1"
	"${runner[@]}" fault -o "$T/calls" "$CTLOADER" --netns "$NS_R" "${words[@]}" >/dev/null
	NEW=$(state) NEW_STATUS=$(status)
	undo
	[[ -z $WRONG ]] || die "$1 without a fault: $WRONG"
}

# The calls worth a fault: of many that are alike (a walk through a map, a chain of parents) three.
worth() {
	awk '{ key = $0; gsub(/[0-9]+/, "", key); if (key != last) flush(); last = key; run[++n] = NR }
		function flush(	i) {
			for (i = 1; i <= n; i++)
				if (n <= 3 || i == 1 || i == n || i == int((n + 1) / 2))
					print run[i]
			n = 0
		}
		END { flush() }' "$T/calls"
}

# plan HOW: lines "N ERROR". `sample K`: K of them, by SEED, errors in turn; `once`: at each call one
# of an error, one that stays, and a kill, in turn; `each`: all three; `all`: each error.
plan() {
	local n i=0 e total
	mapfile -t calls < <(worth)
	total=${#calls[@]}
	if [[ $1 == sample ]]; then
		for ((i = 0; i < $2; i++)); do
			# Another place and kind in each scenario.
			n=$(((i * total + ((SEED + PLAYED) * 7919) % total) / $2 % total))
			e=$((i + SEED + PLAYED * $2))
			case ${KINDS[$((e % ${#KINDS[@]}))]} in
			kill) echo "${calls[n]} KILL" ;;
			error) echo "${calls[n]} ${ERRORS[e / ${#KINDS[@]} % 6]}" ;;
			stays) echo "${calls[n]} ${ERRORS[e / ${#KINDS[@]} % 6]}+" ;;
			esac
		done
		return
	fi
	for n in "${calls[@]}"; do
		i=$((i + 1))
		if [[ $1 == once ]]; then
			case ${KINDS[$(((i + SEED) % ${#KINDS[@]}))]} in
			kill) echo "$n KILL" ;;
			error) echo "$n ${ERRORS[$(((i / ${#KINDS[@]} + SEED) % 6))]}" ;;
			stays) echo "$n ${ERRORS[$(((i / ${#KINDS[@]} + SEED) % 6))]}+" ;;
			esac
			continue
		fi
		for ((e = 0; e < 6; e++)); do
			[[ $1 == all ]] || ((e == (i + SEED) % 6)) || continue
			[[ $n != $(wc -l <"$T/calls") ]] || continue # the exit
			[[ " ${KINDS[*]} " != *' error '* ]] || echo "$n ${ERRORS[e]}"
			[[ " ${KINDS[*]} " != *' stays '* ]] || echo "$n ${ERRORS[(e + 3) % 6]}+"
		done
		[[ " ${KINDS[*]} " != *' kill '* ]] || echo "$n KILL"
	done
}

# Between two faults, with nothing of ours there.
give_way() { :; }

MADE=0 COUNT=0 PLAYED=0
declare -A TALLY=()

# play SCENARIO HOW...: and say what became of it.
play() {
	local name=$1 n error word
	local -A tally=()
	shift
	# What fails here is looked at where it fails.
	trap - ERR
	set +eE +o pipefail
	COOKIE=$(in_r traffic cookie)
	AUDIT=$(! has audit || echo 1)
	STANDING=
	COUNT=$((SEED + PLAYED))
	PLAYED=$((PLAYED + 1))
	ctl status >/dev/null 2>&1 # which tidies up
	[[ ${GIVEN[$name]} != *bpffs* ]] || shared_bpffs
	serve echo in_b traffic udp-echo 7
	serve sink in_b traffic udp-sink 9
	learn "$name"
	LOST=
	streams_on
	while read -r -u 8 n error; do
		COUNT=$((COUNT + 1))
		inject "$name" "$n" "$error"
		[[ $WHERE ]] || WORD=unreached
		tally[$WORD]=$((${tally[$WORD]-0} + 1))
		TALLY[$WORD]=$((${TALLY[$WORD]-0} + 1))
		MADE=$((MADE + 1))
		if [[ $WRONG ]]; then
			echo "BROKEN $name: call $n ($WHERE) $error, exit code $CODE, then '${NEXT[$((COUNT % ${#NEXT[@]}))]}'"
			echo "${WRONG%$'\n'}"
		elif [[ ${V-} ]]; then
			echo "$WORD $name: call $n ($WHERE) $error: ${ERR:-$CODE}"
		fi
		[[ $STANDING ]] || give_way
	done 8< <(plan "$@")
	if [[ $STANDING ]]; then
		WRONG=
		undo
		[[ -z $WRONG ]] || die "after all faults of $name: $WRONG"
		STANDING=
	fi
	streams_off
	stop echo
	stop sink
	[[ -z $HOST_BPFFS ]] || { umount /sys/fs/bpf && HOST_BPFFS=; }
	printf '%-20s %4d calls, faults:' "$name" "$(wc -l <"$T/calls")"
	for word in succeeded old new repaired unreached BROKEN; do
		[[ -z ${tally[$word]-} ]] || printf ' %s %d' "$word" "${tally[$word]}"
	done
	echo
	[[ -z $LOST || $name == *native* || $name == *xdp* || $name == *clsact* ]] || die "packets lost meanwhile: $LOST"
}

# The sum of all that was played.
account() {
	local word
	printf '%d faults:' "$MADE"
	for word in succeeded old new repaired unreached BROKEN; do
		printf ' %s %d' "$word" "${TALLY[$word]-0}"
	done
	echo " (SEED=$SEED)"
}
