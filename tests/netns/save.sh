# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The table in a file: what comes back of it in another table, time, or build; and what is refused.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

setup() { topo_up; }

# next ARGS...: ctloader as a later version might be: see tests/tools/next.sh.
next() { "$O/tests/next/ctloader" --netns "$NS_R" "$@"; }

# some_flows: of every protocol, over both families; some answered, some not.
some_flows() {
	local a b
	running echo || serve echo in_b traffic udp-echo 7
	while read -r a b; do
		in_a ping -q -c 2 -i 0.01 "$b" >/dev/null
		in_a traffic udp-send "$b" 7 3 1000 >/dev/null
		in_a traffic udp-send -w 0 "$b" 9 1 1000 0 >/dev/null
		in_a traffic raw "$b" 132 03e80b59 00000000 00000000 01000014 0b0b0b0b 0000ffff 000a000a 00000001
		in_b traffic raw "$a" 132 0b5903e8 0b0b0b0b 00000000 02000014 0a0a0a0a 0000ffff 000a000a 00000001
		in_a traffic raw "$b" 132 03e80b59 0a0a0a0a 00000000 0a000008 00000000
		in_b traffic raw "$a" 132 0b5903e8 0b0b0b0b 00000000 0b000004
		in_a traffic raw "$b" 47 00000800 4500
		in_b traffic raw "$a" 47 20000800 00000007 4500
	done <<-'END'
		10.0.1.1 10.0.2.1
		fd00:1::1 fd00:2::1
	END
}

# connect NAME ADDR: a connection to b that sends so many bytes as each line of NAME.go says, and
# then says so.
connect() {
	mkfifo "$T/$1.go"
	# shellcheck disable=SC2016 # for the shell within
	start "$1" in_a bash -c 'exec 3<>"/dev/tcp/$0/8080" 4<>"$1"
		while read -r n <&4 && ((n)); do head -c "$n" /dev/zero >&3; echo "$n"; done' "$2" "$T/$1.go"
	send "$1" 1000
}
send() {
	echo "$2" >"$T/$1.go"
	wait_for 10 grep -qx "$2" "$T/$1.out"
}

# flows [CTL]: all there are in JSON, sorted, without what can't be the same; at_$1: with the time.
flows() { "${1-ctl}" list -o json | jq -cS 'sort_by(.proto, .original)[] | del(.id, .age, .start, .timeout)'; }
# ends: when each ends and when it began, in seconds since 1970, in the same order.
ends() {
	"${1-ctl}" list -o json | jq -c --argjson now "$EPOCHREALTIME" 'def at: (.[0:19] + "Z" | fromdate) + (.[19:26] | tonumber);
		sort_by(.proto, .original)[] | [.timeout + $now, (.start | at)]'
}

# same_ends: those of now are those in file $1, within a second; and the beginnings within 10 ms.
same_ends() {
	want_eq "$(paste -d ' ' "$1" <(ends "${2-ctl}") | jq -cs '[range(0; length; 2) as $i | [.[$i][0] - .[$i + 1][0],
		.[$i][1] - .[$i + 1][1]] | map(fabs) | select(.[0] > 1.2 or .[1] > 0.01)]')" '[]' "times that differ"
}

invalid() { stat_of '.invalid | with_entries(select(.value > 0))' | jq -c .; }

# Saved, gone with all that there was, and restored into a table of another size: everything is as it was.
# Connections that went on meanwhile, unseen, go on: no packet is refused, and every byte arrives.
test_everything() {
	local n c
	start sink4 in_b bash -c 'ncat -4 -l 8080 | wc -c'
	start sink6 in_b bash -c 'ncat -6 -l 8080 | wc -c'
	# shellcheck disable=SC2016 # for the shell within
	wait_for 5 in_b bash -c '(($(ss -Hltn sport = :8080 | wc -l) == 2))'
	run ctl attach --zone 7 --max 1000 ra rb
	some_flows
	connect c4 10.0.2.1
	connect c6 fd00:2::1
	flows >"$T/flows"
	ends >"$T/ends"
	n=$(wc -l <"$T/flows")
	want_num "$n" -ge 12 "flows"
	run ctl save "$T/file"
	want_match "$OUT" "^ctloader v[0-9.]+: $n flow entries have been saved\.\$" "what save says"
	run ctl detach --all
	want_detached
	for c in c4 c6; do send $c 3000000; done
	run ctl attach --zone 7 --max 500 ra rb
	run ctl restore "$T/file"
	want_match "$OUT" "^ctloader v[0-9.]+: $n flow entries have been restored; 0 were there, 0 had expired\.\$" \
		"what restore says"
	same_ends "$T/ends"
	want_eq "$(flows)" "$(<"$T/flows")" "flows"
	for c in c4 c6; do send $c 5000000; done
	for c in c4 c6; do echo 0 >"$T/$c.go"; done
	finish c4
	finish c6
	finish sink4
	finish sink6
	want_eq "$(output sink4) $(output sink6)" "8001000 8001000" "bytes that arrived"
	want_eq "$(invalid)" "{}" "invalid packets"
	want_eq "$(ctl count -p tcp)" 2 "connections"
	want_eq "$(ctl count -w 7)" "$n" "flows in the zone"
	sound
	run ctl detach --all
	want_detached
}

# Into a kept table, by a pipe, and only what a filter chose; then all, where the chosen are left alone.
# Each that is entered is told to listeners.
test_pieces() {
	local n
	run ctl attach ra rb
	some_flows
	n=$(ctl count)
	run ctl save "$T/all"
	run ctl save -o json -p icmp "$T/icmp"
	want_eq "$OUT" '{"saved":1}' "what save says"
	run ctl detach --keep --all
	run ctl flush
	# shellcheck disable=SC2094 # not that file
	run ctl restore -o json - < <(ctl save - 2>/dev/null)
	want_eq "$OUT" '{"restored":0,"existing":0,"expired":0}' "an empty table"
	run ctl restore -o json - < <(cat "$T/icmp")
	want_eq "$OUT" '{"restored":1,"existing":0,"expired":0}' "one"
	start events ctl events -e new -o json -n $((n - 1))
	wait_for 5 listening 1
	run ctl restore -o json "$T/all"
	want_eq "$OUT" "{\"restored\":$((n - 1)),\"existing\":1,\"expired\":0}" "the rest"
	finish events
	want_eq "$(jq -c .flow.original "$T/events.out" | sort)" \
		"$(ctl list -o json | jq -c '.[] | select(.proto != "icmp").original' | sort)" "events"
	run ctl attach ra rb
	want_eq "$(ctl count)" "$n" "flows"
	run ctl detach --all
	want_detached
}

# What is over by the wall clock is not entered.
test_over() {
	run ctl attach ra rb
	run ctl set icmp_timeout=1
	in_a ping -q -c 1 10.0.2.1 >/dev/null
	in_a ping -q -c 1 fd00:2::1 >/dev/null
	run ctl save "$T/file"
	# shellcheck disable=SC2016 # each time anew
	wait_for 5 eval '(($(ctl list -p icmp 2>/dev/null | wc -l) == 0))'
	run ctl flush
	run ctl restore -o json "$T/file"
	want_eq "$(jq -c '[.restored, .expired]' <<<"$OUT")" '[1,1]' "restored, expired"
	run ctl detach --all
}

# A table that is too small is said to be, with the size that it should have; and nothing is entered. What
# it has already takes no room.
test_too_small() {
	run ctl attach --max 200 ra rb
	run in_a traffic flows 10.0.2.1 9 1000 0.15
	want_eq "$(ctl count)" 150 "flows"
	run ctl save "$T/file"
	run ctl detach --all
	run ctl attach --max 100 ra rb
	run in_a traffic -f 140 flows 10.0.2.1 9 1000 0.02
	refuses 1 "restore: $T/file" '^the table has room for 80 more flows, not for 140 \(ctloader set max=160\)$' \
		restore "$T/file"
	want_eq "$(ctl count)" 20 "flows"
	run ctl set max=160
	run ctl restore -o json "$T/file"
	want_eq "$OUT" '{"restored":140,"existing":10,"expired":0}' "restored"
	run ctl restore -o json "$T/file"
	want_eq "$OUT" '{"restored":0,"existing":150,"expired":0}' "once more, with a full table"
	want_eq "$(stat_of .lifecycle.evicted)" 0 "evicted"
	run ctl detach --all
}

# What one build saved, another reads by names; a later one has columns that this one has not.
test_builds() {
	run ctl attach ra rb
	some_flows
	flows >"$T/flows"
	ends >"$T/ends"
	run ctl save "$T/ours"
	run next upgrade
	run next flush
	run next restore "$T/ours"
	want_eq "$(flows next)" "$(<"$T/flows")" "flows there"
	same_ends "$T/ends" next
	run next save "$T/theirs"
	! grep -q tcp.rtt "$T/ours" || die "columns of theirs in our file"
	grep -q tcp.rtt "$T/theirs" || die "no columns of theirs in their file"
	run ctl upgrade
	run ctl flush
	run ctl restore "$T/theirs"
	want_eq "$(flows)" "$(<"$T/flows")" "flows back here"
	same_ends "$T/ends"
	run ctl detach --all
	want_detached
}

# A file that is not whole, not ours, or not to be read is refused with one line, and nothing is entered.
test_refused_files() {
	local file=$T/file n size cut='it is cut off( or altered: its checksum does not fit)?'
	refuses 1 'save: table' "not loaded \(run 'ctloader attach' first\)" save "$file"
	[[ ! -e $file ]] || die "a file without a table"
	run ctl attach ra rb
	some_flows
	run ctl save "$file"
	size=$(stat -c %s "$file")
	refuses 1 'restore: table' "not loaded" --instance other restore "$file"
	run ctl flush
	for n in 1 8 24 30 2249 2250 $((size - 13)) $((size - 1)); do
		head -c "$n" "$file" >"$T/cut"
		refuses 1 "restore: $T/cut" "^$cut\$" restore "$T/cut"
	done
	{ cat "$file" && echo; } >"$T/longer"
	refuses 1 "restore: $T/longer" "^$cut\$" restore "$T/longer"
	{ head -c 2300 "$file" && printf '\xaa' && tail -c +2302 "$file"; } >"$T/altered"
	refuses 1 "restore: $T/altered" "^$cut\$" restore "$T/altered"
	{ head -c 8 "$file" && printf '\7' && tail -c +10 "$file"; } >"$T/later"
	refuses 1 "restore: $T/later" '^it is of version 7 of the format, this build knows 1 \(use the build that saved it, or a later one\)$' \
		restore "$T/later"
	refuses 1 'restore: /dev/null' '^it is empty$' restore /dev/null
	refuses 1 'restore: standard input' '^it is empty$' restore - </dev/null
	refuses 1 'restore: standard input' '^it is no file of saved flows$' restore - </dev/zero
	refuses 1 "restore: $T" '^Is a directory$' restore "$T"
	refuses 1 "restore: $T/none" '^No such file' restore "$T/none"
	install -m 000 -o 12345 "$file" "$T/secret"
	refuses 1 "restore: $T/secret" '^Permission denied \(let the shell open it: ctloader restore - <FILE\)$' \
		restore "$T/secret"
	fails 1 ctl restore -o json "$T/cut"
	want_eq "$(jq -r .error.what <<<"$OUT")" "$T/cut" "error in JSON"
	want_eq "$(ctl count)" 0 "flows"
	run ctl detach --all
}

# A save replaces the file as a whole, mode and all, or leaves the old one. A link stays a link.
test_writing() {
	mkdir "$T/d"
	run ctl attach ra rb
	some_flows
	echo old >"$T/d/old"
	chmod 644 "$T/d/old"
	ln -s old "$T/d/link"
	run ctl save "$T/d/link"
	want_eq "$(stat -c '%F %a' "$T/d/link" "$T/d/old" | xargs)" "symbolic link 777 regular file 600" "files"
	run ctl restore "$T/d/old"
	want_eq "$(ls -A "$T/d")" $'link\nold' "in the folder"
	refuses 1 'save: /dev/full' '^No space left on device$' save /dev/full
	[[ -c /dev/full ]] || die "/dev/full has been replaced"
	ERR=$(ctl save - 2>&1 >/dev/full) && die "saved to a full device"
	want_eq "$ERR" "ctloader: save: standard output: No space left on device" "standard output"
	ctl save /dev/stdout 2>/dev/null | cat >"$T/piped"
	run ctl restore "$T/piped"
	refuses 1 "save: $T/none/f" '^No such file' save "$T/none/f"
	refuses 1 "save: $T/d" '^Is a directory$' save "$T/d"
	install -d -o 12345 -m 700 "$T/theirs"
	refuses 1 "save: $T/theirs/f" '^Permission denied \(let the shell open it: ctloader save - >FILE\)$' save "$T/theirs/f"
	run in_a traffic flows 10.0.2.1 9 10000 0.1
	# shellcheck disable=SC2016 # for the shell within
	fails 1 unshare --mount --propagation private sh -c 'mount -t tmpfs -o size=8k tmpfs "$1" && echo old >"$1/f"
		"$2" --netns "$3" save "$1/f"; code=$?; ls -A "$1"; cat "$1/f"; exit $code' sh "$T/d" "$CTLOADER" "$NS_R"
	want_eq "$ERR" "ctloader: save: $T/d/f: No space left on device" "error"
	want_eq "$OUT" $'f\nold' "what is left"
	run ctl detach --all
}
