# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line: every command's text and JSON, exit codes, and one clear line for whatever
# goes wrong, after which nothing has changed. (How lines of flows are written is in flows.sh.)
# TIMEOUT: 240

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

COMMANDS="attach detach status audit list get count delete update create flush save restore events stats top set show"
# What needs an instance and takes no arguments that could be wrong.
READERS="status list count flush events stats top show"

setup() { topo_up; }

# ---- Wrong usage: exit code 2, before anything is looked at -------------------------------------

# An unknown command is refused with what there is, and with what was probably meant.
test_unknown_command() {
	refuses 2 atach 'unknown command; there is attach, detach, .*; did you mean attach\?$' atach ra
	refuses 2 42 'unknown command' 42
	refuses 2 COMMAND 'no command given' -v
	fails 2 "$CTLOADER"
	want_refusal COMMAND 'no command given'
	refuses 2 --nonsense 'unknown option' --nonsense list
	want_detached
}

# Every command refuses an option it does not know, and one whose argument is missing.
test_unknown_option() {
	local c
	for c in $COMMANDS; do
		refuses 2 "$c: --nonsense" '^unknown option$' "$c" --nonsense
		refuses 2 "$c: -Z" '^unknown option$' "$c" -Z
	done
	refuses 2 'attach: --hok' 'did you mean --hook\?$' attach --hok tc ra
	refuses 2 'attach: --max N' 'argument is missing' attach --max
	refuses 2 'list: -s ADDR[/PREFIX]' 'argument is missing' list -s
	refuses 2 'attach: --drop-invalid=1' 'takes no argument' attach --drop-invalid=1 ra
	want_detached
}

# Commands that take no arguments say so; those that need some say which.
test_arguments() {
	local c
	for c in status audit list get count delete update create events stats top; do
		refuses 2 "$c: ra" 'takes no arguments' "$c" ra
	done
	refuses 2 'flush: ra' 'takes no filter' flush ra
	refuses 2 'attach: IFACE' 'name at least one' attach
	refuses 2 'attach: ra' 'named twice' attach ra ra
	refuses 2 'detach: IFACE' 'name at least one, or use --all' detach
	refuses 2 'detach: ra' 'either --all or interfaces' detach --all ra
	refuses 2 'set: KEY=VALUE' 'missing' set
	for c in save restore; do
		refuses 2 "$c: FILE" '^name one file, or - for standard' "$c"
		refuses 2 "$c: FILE" '^name one file, or - for standard' "$c" a b
	done
	fails 2 ctl save -o json -
	want_match "$ERR" '^ctloader: save: -o json: the flows go to standard output' "error"
	want_detached
}

# Every option's bad value is refused with the values there are.
test_bad_values() {
	local value
	for value in 0 1 63 16777216 -1 x 64x '' ' 64' 1e3 99999999999999999999999; do
		refuses 2 "attach: --max $value" '^not a number from 64 to 16777215$' attach --max "$value" ra
	done
	refuses 2 'attach: --hook foo' '^not one of auto, native, generic, tc$' attach --hook foo ra
	refuses 2 'attach: --hook TC' '^not one of' attach --hook TC ra
	refuses 2 'attach: --confirm tc' '^not one of auto, xdp$' attach --confirm tc ra
	refuses 2 'attach: --xdp foo' '^not one of auto, ' attach --xdp foo ra
	refuses 2 'attach: --tc foo' '^not one of auto, tcx, clsact$' attach --tc foo ra
	for value in foo xml '' 'id,'; do
		refuses 2 "list: -o ${value#id,}" 'unknown format; there is ' list -o "$value"
	done
	for value in id timestamp text; do
		refuses 2 "stats: -o $value" 'unknown format; there is json$' stats -o "$value"
	done
	for value in 0 x -1 0.01 1e9; do
		refuses 2 "stats: --interval $value" 'number of seconds' stats --interval "$value"
		refuses 2 "top: --interval $value" 'number of seconds' top --interval "$value"
	done
	refuses 2 'top: --by source' 'it is src, dst, port or flow' top --by source
	for value in 0 129 -1 x; do
		refuses 2 "top: --prefix $value" 'not a number of bits from 1 to 128' top --prefix "$value"
		[[ $value == 129 ]] || refuses 2 "top: --rows $value" 'not a number from' top -n "$value"
	done
	refuses 2 'events: -e foo' 'there is new, update, destroy' events -e foo
	refuses 2 'events: -e foo' 'there is new, update, destroy' events -e new,foo
	for value in 0 -1 x; do
		refuses 2 "events: -n $value" 'not a number' events -n "$value"
	done
	for value in 0 5000001 x; do
		refuses 2 "events: --backlog $value" 'not a number from 1' events --reliable --backlog "$value"
	done
	refuses 2 'events: --backlog without --reliable' 'is for reliable' events --backlog 5
	refuses 2 'events: --reliable' 'is about destroy' events --reliable -e new,update
	for value in 0 1 4095 5000 2G x 4kk; do
		refuses 2 "events: -b $value" 'power of two' events -b "$value"
	done
	for value in '' ../x a/b .x 'a b' 123456789012345678901234567890123; do
		refuses 2 "list: --instance $value" "instance's name" --instance "$value" list
	done
	want_detached
}

# Bad addresses, ports, states and the like in a filter are refused; also combinations that no
# flow can match.
test_bad_filters() {
	local value
	for value in 10.0.0 10.0.0.0.1 10.0.0.256 foo '' fd00::1::2 fd00::g :::: 10.0.0.1x; do
		refuses 2 "list: -s $value" '^not an address$' list -s "$value"
	done
	refuses 2 'list: -d 10.0.0.0/33' 'prefix length is 0 to 32' list -d 10.0.0.0/33
	refuses 2 'list: -d 10.0.0.0/' 'prefix length is 0 to 32' list -d 10.0.0.0/
	refuses 2 'list: -r fd00::/129' 'prefix length is 0 to 128' list -r fd00::/129
	refuses 2 'list: -q fd00::1' 'mixes IPv4 and IPv6' list -s 10.0.0.1 -q fd00::1
	refuses 2 'list: -s 10.0.0.1' 'mixes IPv4 and IPv6' list -f ipv6 -s 10.0.0.1
	refuses 2 'list: -f ipx' 'there is ipv4 and ipv6' list -f ipx
	refuses 2 'list: -p foo' 'unknown protocol' list -p foo
	refuses 2 'list: -p 256' 'unknown protocol' list -p 256
	refuses 2 'list: --sport 65536' 'not a number from 0 to 65535' list --sport 65536
	refuses 2 'list: --dport http' 'not a number' list --dport http
	refuses 2 'list: --state ESTAB' 'did you mean ESTABLISHED' list --state ESTAB
	refuses 2 'list: -u FOO' 'unknown status' list -u FOO
	refuses 2 'list: -m x' 'not MARK' list -m x
	refuses 2 'list: -w 65536' 'not a number' list -w 65536
	refuses 2 'list: -p 1' 'no ports' list -p icmp --sport 1
	refuses 2 'list: -p 17' '--state is for TCP' list -p udp --state ESTABLISHED
	refuses 2 "list: ICMP's options and ports or states" 'no flow has both' list --icmp-type 8 --sport 1
	refuses 2 'count: -s foo' '^not an address$' count -s foo
	refuses 2 'save: -s foo' '^not an address$' save -s foo -
	refuses 2 'events: -s foo' '^not an address$' events -s foo
	refuses 2 'get: the tuple is not complete; missing' '-p, -s .*, -d ' get
	refuses 2 'get: the tuple is not complete; missing' '--dport$' \
		get -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1
	refuses 2 'get: the tuple is not complete; missing' 'whole address' \
		get -p udp -s 10.0.0.0/8 -d 10.0.0.2 --sport 1 --dport 2
	want_detached
}

# Settings: an unknown key, a value out of range or none at all is refused.
test_bad_settings() {
	local value
	refuses 2 'set: foo' 'unknown setting' set foo=1
	refuses 2 'set: udp_timout' 'did you mean udp_timeout\?' set udp_timout=1
	refuses 2 'set: udp_timeout' "no '='" set udp_timeout
	refuses 2 'show: foo' 'unknown setting' show foo
	for value in 7 2 -1 x '' yes; do
		refuses 2 "set: tcp_loose=$value" 'not a number from 0 to 1$' set "tcp_loose=$value"
	done
	for value in 0 -1 16777216 x; do
		refuses 2 "set: max=$value" 'not a number from 1 to ' set "max=$value"
	done
	for value in 0 -1 1.5 2147483648 ''; do
		refuses 2 "set: udp_timeout=$value" 'number of seconds from 1 ' set "udp_timeout=$value"
	done
	refuses 2 'set: full=maybe' 'pass or drop' set full=maybe
	want_detached
}

# A list of settings with one bad one among them changes none of them. Good ones are shown as they are
# from then on, under both spellings.
test_set_all_or_nothing() {
	local before
	run ctl attach --max 1000 ra
	before=$(ctl show)
	refuses 2 'set: tcp_loose=7' . set udp_timeout=77 tcp_loose=7
	want_eq "$(ctl show)" "$before" "settings after refusals"
	run ctl set udp_timeout=77 nf_conntrack_icmp_timeout=9 max=500 full=drop
	want_eq "$(ctl show udp_timeout icmp_timeout max full)" \
		$'udp_timeout = 77\nicmp_timeout = 9\nmax = 500\nfull = drop' "settings"
	want_eq "$(ctl show -o json | jq -c '[.udp_timeout, .icmp_timeout, .max, .full]')" \
		'[77,9,500,"drop"]' "settings as JSON"
	want_eq "$(ctl status -o json | jq -c .settings)" \
		'{"udp_timeout":77,"icmp_timeout":9,"max":500,"full":"drop"}' "settings that differ"
	run ctl detach --all
}

# -h explains each command, on standard output, with exit code 0; so do `help` and --version.
test_help() {
	local c
	for c in $COMMANDS; do
		run ctl "$c" -h
		want_match "$OUT" "^Usage: ctloader $c" "help of $c"
		want_eq "$ERR" "" "standard error"
		want_eq "$(ctl help "$c")" "$OUT" "help $c"
		want_match "$(ctl -h)" $'\n'"  $c +[A-Z]" "overview"
	done
	run ctl --version
	want_match "$OUT" '^ctloader v[0-9]' "version"
}

# ---- Nothing there ------------------------------------------------------------------------------

# Without an instance every command that needs one says so, with exit code 1; in JSON, too.
test_not_loaded() {
	local c
	for c in $READERS 'save -' 'set udp_timeout=30' 'detach --all' 'detach ra' \
		'get -p udp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2'; do
		# shellcheck disable=SC2086 # words
		refuses 1 "${c%% *}: table" "^not loaded \(run 'ctloader attach' first\)$" $c
	done
	fails 1 ctl list -o json
	want_keys "$OUT" .error command what why todo
	want_eq "$(json .error.why <<<"$OUT")" "not loaded" "why"
	fails 2 ctl list -s foo -o json
	want_eq "$(json -c .error <<<"$OUT")" \
		'{"command":"list","what":"-s foo","why":"not an address"}' "error"
	want_detached
}

# A missing namespace or one that is none is one line, exit code 1.
test_no_namespace() {
	local ns
	fails 1 "$CTLOADER" --netns "$CTT-nosuch" list
	want_refusal "list: $CTT-nosuch" 'no such network namespace'
	for ns in /dev/null /proc/self/ns/mnt; do
		fails 1 "$CTLOADER" --netns "$ns" list
		want_refusal "list: $ns" 'not a network namespace'
	done
}

# ---- Interfaces that can't be attached ----------------------------------------------------------

# A missing interface or one that is down stops the attach of all; nothing is loaded.
test_attach_missing_or_down() {
	refuses 1 'attach: nosuch' "no such interface \(see 'ip link'\)" attach nosuch
	refuses 1 'attach: nosuch' 'no such interface' attach ra nosuch
	refuses 1 'attach: averyveryverylongname' 'no such interface' attach averyveryverylongname
	ip -n "$NS_R" link set rb down
	refuses 1 'attach: rb' 'is down \(ip link set rb up\)' attach ra rb
	want_detached
}

# An XDP hook that somebody else holds is left alone: --hook native says who holds it, --hook tc
# works beside it, and detach does not touch it.
test_attach_foreign_xdp() {
	local id
	xdp_pass r ra
	id=$(xdp_id ra)
	refuses 1 'attach: ra' "held by program $id 'xdp_pass', which is not ours \(use --hook tc" \
		attach --hook native rb ra
	refuses 1 'attach: ra' "held by program $id" attach --hook generic ra
	want_eq "$(xdp_id ra) $(xdp_id rb)" "$id " "XDP programs after the refusals"
	run ctl attach ra rb
	want_match "$OUT" '^ra: tc ' "attach"
	traffic_flows
	want_eq "$(ctl count -p icmp)" 1 "flows"
	run ctl detach --all
	want_eq "$(xdp_id ra)" "$id" "XDP program after detach"
	xdp_off r ra
	want_detached
}

xdp_id() { ip -n "$NS_R" -j link show dev "$1" | jq -r '.[0].xdp.prog.id // empty'; }

# An instance's XDP hook taken over by force is not touched by its detach.
test_detach_leaves_foreign_xdp() {
	run ctl attach ra rb
	bpftool prog load "$O/tests/xdp_pass.o" "$(pins)/xdp_pass" type xdp
	in_r bpftool net attach xdpgeneric pinned "$(pins)/xdp_pass" dev ra
	run ctl detach --all
	want_match "$(ip -n "$NS_R" link show dev ra)" xdpgeneric "the foreign program after detach"
	in_r bpftool net detach xdpgeneric dev ra
	want_detached
}

# ---- Twice, never -------------------------------------------------------------------------------

# Attaching again is not an error and changes nothing; detaching again is an error that says so.
test_twice() {
	local before
	run ctl attach ra
	before=$(ctl status -o json | jq -c '[.programs, .interfaces]')
	traffic_flows
	run ctl attach ra
	want_eq "$OUT" "ra: tc (tcx): attached already" "attach again"
	want_eq "$(ctl status -o json | jq -c '[.programs, .interfaces]')" "$before" "the instance"
	want_eq "$(ctl count -p icmp)" 1 "flows"
	refuses 1 'detach: rb' 'not attached' detach rb
	refuses 1 'detach: lo' 'not attached' detach ra lo
	refuses 1 'detach: nosuch' 'no such interface' detach nosuch
	want_eq "$(ctl status -o json | jq -c '[.programs, .interfaces]')" "$before" "the instance"
	run ctl attach rb
	run ctl detach ra
	want_eq "$OUT" "ra: detached" "detach"
	refuses 1 'detach: ra' 'not attached' detach ra
	run ctl detach rb
	want_match "$OUT" 'is gone, with [0-9]+ flows' "detach of the last"
	refuses 1 'detach: table' 'not loaded' detach rb
	refuses 1 'detach: table' 'not loaded' detach --all
	want_detached
}

# ---- Text and JSON ------------------------------------------------------------------------------

FLOW_KEYS="family proto protonum timeout zone mark id assured replied status original reply start age"

# JSON of every command is valid and has the contract's keys: with no flow, with one, with many.
test_json() {
	run ctl attach -o json ra rb
	want_keys "$OUT" . instance interfaces
	want_keys "$OUT" '.interfaces[]' name hook method why
	json_when_empty
	in_a traffic udp-send 10.0.2.1 9 1 100 0 >/dev/null
	wait_for 2 count_is 1
	json_with_one
	in_a traffic flows 10.0.2.1 9 100000 0.1 >/dev/null
	wait_for 2 count_is 10001
	json_with_many
	run ctl flush -o json
	want_eq "$OUT" '{"deleted":10001}' "flush"
	run ctl detach -o json --all
	want_eq "$(jq -c '[(.interfaces | sort), .gone, .destroyed]' <<<"$OUT")" \
		'[["ra","rb"],true,0]' "detach"
}

count_is() { want_eq "$(ctl count -p udp --dport 9)" "$1" "flows to port 9"; }

json_when_empty() {
	want_eq "$(ctl list -o json -p udp | jq -c .)" '[]' "list"
	want_eq "$(ctl count -o json -p udp)" '{"count":0}' "count"
	run ctl stats -o json
	json_stats "$OUT"
	run ctl status -o json
	want_keys "$OUT" . instance pins interfaces programs table settings
	want_keys "$OUT" '.interfaces[]' name hook method state
	want_keys "$OUT" .table flows max unconfirmed
	run ctl show -o json
	want_keys "$OUT" . tcp_timeout_{syn_sent,syn_recv,established,fin_wait,close_wait,last_ack} \
		tcp_timeout_{time_wait,close,unacknowledged} udp_timeout udp_timeout_stream \
		icmp_timeout icmpv6_timeout generic_timeout tcp_loose checksum acct timestamp max drop_invalid full
	run ctl set -o json udp_timeout=30
	want_eq "$OUT" '{"udp_timeout":30}' "set"
}

json_stats() {
	local side
	want_keys "$1" . flows max unconfirmed packets dropped invalid lifecycle events gc
	for side in ingress egress; do
		want_keys "$1" ".packets.$side" new established related invalid untracked
	done
	want_keys "$1" .dropped invalid policy table_full
	want_keys "$1" .lifecycle created confirmed destroyed evicted insert_failed clash_resolved \
		untracked_full confirm_without_in in_without_confirm stage_missing
	want_keys "$1" .events delivered lost
	want_keys "$1" .gc runs scanned expired last_ns
	want_eq "$(jq '[.. | numbers | select(. < 0 or . != floor)] | length' <<<"$1")" 0 "odd numbers"
}

json_with_one() {
	local one
	one=$(flow -p udp --dport 9)
	# shellcheck disable=SC2086 # words
	want_keys "$one" . $FLOW_KEYS
	want_keys "$one" .original src dst sport dport packets bytes
	want_keys "$one" .reply src dst sport dport packets bytes
	want_eq "$(jq -c '[.family, .proto, .protonum, .zone, .mark, .replied, has("state")]' <<<"$one")" \
		'["ipv4","udp",17,0,0,false,false]' "flow"
	want_match "$(jq -r .start <<<"$one")" '^20..-..-..T..:..:..\.......Z$' "start"
	want_eq "$(jq '[.timeout, .id, .age | type] | unique | .[]' <<<"$one")" '"number"' "numbers"
	want_eq "$(ctl count -o json -p udp --dport 9)" '{"count":1}' "count"
}

# One flow per line, so that line tools serve, too.
json_with_many() {
	local n
	ctl list -o json -p udp --dport 9 >"$T/many"
	want_eq "$(jq length <"$T/many")" 10001 "flows in the array"
	n=$(grep -c '"family"' "$T/many")
	want_eq "$n" 10001 "lines with a flow"
	want_eq "$(jq '[.[] | [.original.src, .original.sport]] | unique | length' <"$T/many")" 10001 \
		"different flows"
}

# The default line is conntrack(8)'s with its summary on standard error; -o adds id and time stamps.
test_text() {
	local tuple counted id
	run ctl attach ra rb
	serve echo in_b traffic udp-echo 7
	run in_a traffic udp-send 10.0.2.1 7 2 100
	run ctl list -p udp --dport 7
	tuple='src=10\.0\.1\.1 dst=10\.0\.2\.1 sport=[0-9]+ dport=7 packets=2 bytes=184 '
	counted=$tuple'src=10\.0\.2\.1 dst=10\.0\.1\.1 sport=7 dport=[0-9]+ packets=2 bytes=184 '
	want_match "$OUT" "^udp      17 (29|30) ${counted}mark=0 use=1\$" "line"
	want_match "$ERR" '^ctloader v[0-9.]+: 1 flow entries have been shown\.$' "summary"
	id=$(flow -p udp --dport 7 | jq .id)
	want_match "$(ctl list -o extended,id -p udp --dport 7 2>/dev/null)" \
		"^ipv4     2 udp      17 [0-9]+ ${counted}mark=0 use=1 id=$id\$" "with family and id"
	want_match "$(ctl list -o ktimestamp -p udp --dport 7 2>/dev/null)" '\[start=[A-Z]' "start"
	want_match "$(ctl list -p tcp 2>&1)" '^ctloader v[^:]*: 0 flow entries have been shown\.$' \
		"an empty list"
	run ctl get -p udp -s 10.0.2.1 -d 10.0.1.1 --sport 7 \
		--dport "$(flow -p udp --dport 7 | jq .original.sport)"
	want_match "$OUT" "^udp      17 [0-9]+ $counted" "get by the reply's tuple"
	fails 1 ctl get -p udp -s 10.9.9.9 -d 10.0.1.1 --sport 7 --dport 7
	want_refusal 'get: udp src=10.9.9.9 dst=10.0.1.1 sport=7 dport=7' 'no such flow'
	want_eq "$(ctl count -p udp --dport 7)" 1 "count"
	want_match "$(ctl flush)" 'emptied: [0-9]+ flows' "flush"
	want_eq "$(ctl count)" 0 "count after flush"
	run ctl detach --all
}

# `top` sums up by what it is asked for, once or again and again; in JSON an object for each look.
test_top() {
	local n
	run ctl attach ra rb
	run ctl top --once
	want_eq "$(wc -l <<<"$OUT")" 2 "lines of an empty table: $OUT"
	serve echo in_b traffic udp-echo 7
	run in_a traffic udp-send 10.0.2.1 7 3 1000
	run in_a traffic udp-send fd00:2::1 7 1 1000
	in_a traffic flows 10.0.2.1 9 1000 0.05 >/dev/null
	n=$(ctl count -f ipv4)
	run ctl top --once --by src -f ipv4
	want_match "${OUT%%$'\n'*}" "^$(ctl count) flows of [0-9]+ \([0-9.]+%\): [0-9]+ unreplied, 0 assured; 2 sources$" \
		"heading"
	want_match "$OUT" $'\n'"10\.64\.0\.1 +$((n - 1)) +$((n - 1)) +0 +[0-9.]+% .*"$'\n'"10\.0\.1\.1 +1 +0 +0 +" "rows"
	run ctl top --once -o json --by port -n 1
	want_eq "$(jq -c '[.by, .flows, .keys > 1, (.top | length), (.top[0] | .proto, .port, .flows)]' <<<"$OUT")" \
		"[\"port\",$(ctl count),true,1,\"udp\",9,$((n - 1))]" "by port"
	want_keys "$OUT" . time interval by flows max unreplied assured keys top
	want_keys "$OUT" '.top[0]' flows unreplied assured share packets_per_second bytes_per_second
	run ctl top --once -o json --by flow -d 10.0.2.1 -p udp --dport 7
	want_eq "$(jq -c '[.top[0].flow.original | .dst, .dport, .packets]' <<<"$OUT")" '["10.0.2.1",7,3]' "by flow"
	want_eq "$(ctl top --once -o json --prefix 64 -f ipv6 -p udp | jq -c '[.top[].src]')" '["fd00:1::/64"]' "prefix"
	want_eq "$(ctl top --once -o json --by dst -f ipv6 -p udp | jq -c '[.top[].dst]')" '["fd00:2::1"]' "by dst"
	# Again and again: rates are those between two looks. It ends when nobody reads.
	start stream in_a traffic udp-stream 10.0.2.1 7 500
	ctl top --by dst -d 10.0.2.1 -i 0.5 -o json | head -n 3 >"$T/looks"
	want_eq "$(jq -s -c '[length, .[0].interval, (.[2].interval | . >= 0.4 and . < 0.7)]' <"$T/looks")" \
		'[3,0,true]' "looks"
	want_eq "$(jq -s '.[2].top[0].packets_per_second | . > 700 and . < 1100' <"$T/looks")" true \
		"rate of 500 requests and answers a second: $(<"$T/looks")"
	stop stream
	run ctl detach --all
}

# on_terminal KEY: top on one of 6 lines and 30 columns, until a table has been drawn, and then KEY. What it
# wrote is in $T/screen; at its end, how it ended and whether the terminal shows what is typed.
on_terminal() {
	# shellcheck disable=SC2016 # for the shell within
	local shell='trap : INT; stty rows 6 cols 30; "$0" --netns "$1" top -i 0.1
		echo "left with $?, $(stty -a | grep -ow -- "-*echo")"'
	mkfifo "$T/keys"
	start terminal sh -c "script -qfec \"bash -c '\$0' '\$1' '\$2'\" /dev/null <'$T/keys' >'$T/screen'" \
		"$shell" "$CTLOADER" "$NS_R"
	exec {keys}>"$T/keys"
	wait_for 5 grep -q '10\.64\.0\.1' "$T/screen"
	printf '%b' "$1" >&"$keys"
	finish terminal 5
	exec {keys}>&-
	rm "$T/keys"
	tr -d '\r' <"$T/screen" >"$T/screen.text"
}

# On a terminal it is drawn in place, in the size of the window, until q is pressed; then the terminal is as
# it was, and so it is after ^C.
test_top_on_a_terminal() {
	local line keys=
	need script
	run ctl attach ra rb
	in_a traffic flows 10.0.2.1 9 1000 0.05 >/dev/null
	on_terminal q
	want_match "$(<"$T/screen.text")" $'^\033\\[\\?1049h\033\\[\\?25l\033\\[H.*\033\\[J\033\\[\\?25h\033\\[\\?1049lleft with 0, echo$' \
		"the screen, and q"
	while read -r line; do
		want_num ${#line} -le 30 "columns of '$line'"
	done < <(sed -n 's/\x1b\[K$//;s/^\(\x1b\[[?0-9]*[A-Za-z]\)*//;p' "$T/screen.text" | grep -v left)
	on_terminal '\003'
	want_match "$(<"$T/screen.text")" $'\033\\[\\?25h\033\\[\\?1049l.*left with 130, echo$' "the screen, and ^C"
	run ctl detach --all
}

# dumped MAP: its elements as bpftool shows them by the names in its BTF.
dumped() { bpftool -j map dump pinned "$(pins)/$1" | jq '[.[].formatted]'; }

# What is pinned explains itself: `bpftool map dump` shows members by the names that we use.
test_bpftool_shows_names() {
	local one hz
	serve echo in_b traffic udp-echo 7
	run ctl attach ra rb
	run in_a traffic udp-send 10.0.2.1 7 3 100
	hz=$(dumped settings | jq '.[0].value.hz')
	want_eq "$(dumped settings | jq -c --argjson hz "$hz" \
		'.[0].value | (.timeout | del(.none) | map_values(. / $hz)) + .knob | keys_unsorted')" \
		"$(ctl show -o json | jq -c keys_unsorted)" "settings"
	want_eq "$(dumped settings | jq -c --argjson hz "$hz" '.[0].value.timeout.udp_timeout / $hz')" 30 \
		"udp_timeout"
	dumped stats | jq '[.[0].values[].value]' >"$T/stats"
	want_eq "$(jq -c '.[0].reasons | del(.none) | keys' "$T/stats")" \
		"$(ctl stats -o json | jq -c '.invalid + .untracked | keys')" "reasons"
	want_eq "$(jq -c '.[0].ends | del(.none) | keys_unsorted' "$T/stats")" \
		"$(ctl stats -o json | jq -c '.ends | keys_unsorted')" "ends"
	want_eq "$(jq '[.[].packets.ingress.established] | add' "$T/stats")" \
		"$(stat_of .packets.ingress.established)" "established packets"
	want_eq "$(jq '[.[].counters.confirmed] | add' "$T/stats")" 1 "flows confirmed"
	one=$(dumped ct4)
	want_eq "$(jq '.[0].key.proto' <<<"$one")" 17 "protocol of the flow"
	want_eq "$(jq -c '.[0].value | [.counters[].packets, .l4.udp.stream_at > 0, (.l4.tcp | has("challenge"))]' \
		<<<"$one")" '[3,3,true,true]' "the flow"
	want_eq "$(dumped state | jq '.[0].value.flows')" 1 "flows in state"
	want_eq "$(dumped ifaces | jq '[.[].value | select(.ifindex > 0)] | length')" 2 "interfaces"
	want_eq "$(dumped listener_state | jq '.[0].value | [.listening % 256, (.slot | length)]' -c)" '[0,8]' "listeners"
	run ctl detach --all
}

# A reader that leaves (list | head) brings no message; a full disk brings one, and exit code 1.
test_output_ends() {
	run ctl attach ra rb
	in_a traffic flows 10.0.2.1 9 100000 0.2 >/dev/null
	(trap - ERR && ctl list 2>"$T/err") | head -n 1 >"$T/line" || :
	want_match "$(<"$T/line")" '^udp ' "first line"
	want_eq "$(<"$T/err")" "" "standard error"
	RC=0
	ctl list 2>"$T/err" >/dev/full || RC=$?
	want_eq "$RC" 1 "exit code on a full disk"
	want_match "$(<"$T/err")" '^ctloader: list: .*[Nn]o space left' "standard error"
	run ctl detach --all
}

# ---- Machines that can't ------------------------------------------------------------------------

# Without privilege: one line that says so, whether there is an instance or not; nothing changes.
# The program is handed over open, since its folder may be closed to others.
test_no_privilege() {
	local before
	exec 5<"$CTLOADER"
	as_nobody 1 'attach: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing' 'permission denied \(run as root' attach ra
	as_nobody 1 'list: [a-z]+' 'run as root' list
	want_detached
	run ctl attach ra
	before=$(ctl status -o json)
	as_nobody 1 'attach: CAP_BPF, .* missing' 'run as root' attach rb
	as_nobody 1 'list: [a-z]+' 'run as root' list
	as_nobody 1 'detach: CAP_BPF, .* missing' 'run as root' detach --all
	fails 1 setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/5 --netns "$NS_R" list
	want_refusal "list: $NS_R" 'permission denied \(run as root: .* CAP_SYS_ADMIN\)'
	want_eq "$(ctl status -o json)" "$before" "the instance"
	run ctl detach --all
}

# as_nobody CODE WHAT WHY ARGS...: WHAT may be a pattern here.
as_nobody() {
	local code=$1 what=$2 why=$3
	shift 3
	fails "$code" in_r setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/5 "$@"
	[[ $ERR != *$'\n'* ]] || die "error: got several lines, wanted one: '$ERR'"
	want_match "$ERR" "^ctloader: $what: .*$why" "error"
}

# A kernel that shows no BTF in /sys is good enough.
test_no_btf() {
	# shellcheck disable=SC2016 # for the shell within
	run unshare --mount --propagation private sh -c '
		mount -t tmpfs none /sys/kernel/btf && [ ! -e /sys/kernel/btf/vmlinux ] &&
		exec "$@"' sh "$CTLOADER" --netns "$NS_R" attach ra rb
	traffic_flows
	want_eq "$(ctl count -p icmp)" 1 "flows"
	run ctl detach --all
	want_detached
}

# A kernel that is too old is refused by name, with what is needed.
test_old_kernel() {
	need_probe "setarch --uname-2.6" setarch --uname-2.6 true
	fails 1 in_r setarch --uname-2.6 "$CTLOADER" attach ra
	want_match "$ERR" '^ctloader: attach: Linux 2\.6[^:]*: the programs need Linux [0-9.]+ or later' \
		"error"
	want_no_match "$ERR" $'\n' "error"
	want_detached
}

# ---- Failures in the middle ---------------------------------------------------------------------

# fails_at CALL ERROR WHY: attach with that bpf() call failing: one line, exit code 1, nothing left,
# and packets pass.
fails_at() {
	fails 1 with_fault "bpf:error=$2:when=$1" "$CTLOADER" --netns "$NS_R" attach ra rb
	[[ $ERR != *$'\n'* ]] || die "call $1: got several lines, wanted one: '$ERR'"
	want_match "$ERR" "^ctloader: attach: .*$3" "error when call $1 fails: $(sed -n "${1%+}p" "$T/bpf.calls")"
	want_eq "$OUT" "" "standard output"
	want_detached
	traffic_flows
}

# Whatever call fails while the programs are loaded, attach undoes everything.
test_load_fails() {
	need strace
	trace_bpf "$CTLOADER" --netns "$NS_R" attach ra rb
	run ctl detach --all
	# From then on, since libbpf tries again: a map without BTF, a program with a log.
	fails_at "$(call_of 'MAP_CREATE.*map_name="ct4"')+" ENOMEM 'not enough memory \(use a smaller --max\)'
	fails_at "$(call_of 'MAP_CREATE.*map_name="listener_state"')+" ENOMEM 'not enough memory'
	fails_at "$(call_of 'PROG_LOAD.*"ct_xdp_in"')+" ENOSPC "can't be loaded"
	fails_at "$(call_of 'PROG_LOAD.*"ct_xdp_in"')+" EPERM 'permission denied'
	fails_at "$(call_of MAP_UPDATE_ELEM 3)" ENOSPC .
	fails_at "$(call_of MAP_UPDATE_ELEM last)" ENOSPC .
}

# A bpffs that is full, at the first, some middle and the last pin; at a link's.
test_pin_fails() {
	local n pins
	need strace
	trace_bpf "$CTLOADER" --netns "$NS_R" attach ra rb
	run ctl detach --all
	pins=$(grep -c OBJ_PIN "$T/bpf.calls")
	for n in 1 $((pins / 2)) "$pins"; do
		fails_at "$(call_of OBJ_PIN "$n")" ENOSPC '[Nn]o space left'
	done
	fails_at "$(call_of PROG_TEST_RUN)" ENOMEM .
	fails 1 with_fault mkdir:error=ENOSPC:when=3 "$CTLOADER" --netns "$NS_R" attach ra rb
	want_match "$ERR" '^ctloader: attach: [^'$'\n'']*[Nn]o space left[^'$'\n'']*$' "error"
	want_detached
}

# ---- Two loaders at once ------------------------------------------------------------------------

# Two attach the same interfaces: one does it, the other waits and finds it done.
test_two_attach() {
	start one ctl attach ra rb
	start two ctl attach ra rb
	finish one 30
	want_eq "$RC" 0 "exit code of one"
	finish two 30
	want_eq "$RC" 0 "exit code of two"
	want_eq "$(cat "$T"/{one,two}.err)" "" "standard error"
	want_eq "$(cat "$T"/{one,two}.out | grep -c 'attached already')" 2 "interfaces found attached"
	traffic_flows
	want_eq "$(ctl count -p icmp)" 1 "flows"
	run ctl detach --all
	want_detached
}
