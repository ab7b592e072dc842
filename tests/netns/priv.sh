# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Privileges: which capabilities a command needs and keeps, whom the pins belong to, what is refused
# in their place, the environment, and a group that may read. Users and groups are numbers that
# nobody has; each test has a bpffs of its own.

# shellcheck source=tests/tools/more.sh
source "$TOP/tests/tools/more.sh"

USER_ID=47110 OTHER_ID=47111 GROUP_ID=47112

setup() {
	topo_up
	start mounts with_bpffs sleep 600
	wait_for 5 private_bpffs
	# Handed over open, since its folder may be closed to others.
	exec 5<"$CTLOADER"
}

private_bpffs() {
	[[ $(readlink "/proc/${STARTED[mounts]}/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]] &&
		at_home mountpoint -q /sys/fs/bpf
}

# at_home COMMAND...: in the router, with the test's own bpffs.
at_home() { nsenter --mount="/proc/${STARTED[mounts]}/ns/mnt" --net="/run/netns/$NS_R" -- "$@"; }

# with_caps "CAP..." ARGS...: ctloader as root with these capabilities alone.
with_caps() {
	at_home setpriv --bounding-set="-all$(printf ',+%s' $1 | sed 's/,+$//')" --inh-caps=-all \
		/proc/self/fd/5 "${@:2}"
}

# as_user UID "GID..." COMMAND...: without privileges.
as_user() {
	local groups=--clear-groups
	[[ -z $2 ]] || groups=--groups=$2
	at_home setpriv --reuid="$1" --regid="$1" "$groups" "${@:3}"
}
member() { as_user "$USER_ID" "$GROUP_ID" "$@"; }
stranger() { as_user "$OTHER_ID" "" "$@"; }

# as_service ARGS...: ctloader as a user with what it takes in his ambient capabilities.
as_service() {
	at_home setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups \
		--inh-caps=-all,+bpf,+net_admin,+perfmon --ambient-caps=-all,+bpf,+net_admin,+perfmon \
		--bounding-set=-all,+bpf,+net_admin,+perfmon /proc/self/fd/5 "$@"
}

root() { at_home "$CTLOADER" "$@"; }

# refused WHAT WHY COMMAND...: it ends with 1 and one line.
refused() {
	fails 1 "${@:3}"
	want_refusal "$1" "$2"
}

# ---- Capabilities ------------------------------------------------------------------------------

# Every command does its work with the capabilities that the manual names, CAP_SYS_RESOURCE not
# among them. With one fewer it names the one that is missing, and changes nothing.
test_capabilities() {
	local command before
	for_one_fewer attach 'bpf net_admin perfmon' attach ra
	want_detached
	run with_caps 'bpf net_admin perfmon' attach ra rb
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	for command in list count show stats status 'top --once' 'get -p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-type 8 --icmp-id 0'; do
		# shellcheck disable=SC2086 # words
		capture with_caps '' $command
		want_no_match "$ERR" 'permission|permitted' "$command"
	done
	want_eq "$(with_caps '' count)" 1 "flows"
	run with_caps '' set udp_timeout=31
	with_caps '' save - 2>/dev/null >"$T/saved"
	run with_caps '' flush
	want_match "$OUT" ' 1 flows' "flush"
	run with_caps '' restore - <"$T/saved"
	want_match "$OUT" ' 1 flow entries have been restored' "restore"
	refused 'upgrade: CAP_NET_ADMIN missing' 'permission denied' \
		with_caps 'bpf perfmon sys_admin' upgrade
	refused 'upgrade: CAP_SYS_ADMIN missing' 'permission denied' \
		with_caps 'bpf net_admin perfmon' upgrade
	run with_caps 'bpf net_admin perfmon sys_admin' upgrade
	refused 'set: CAP_SYS_ADMIN missing' 'permission denied' \
		with_caps 'bpf net_admin perfmon' set max=16777215
	for_one_fewer events bpf events -n 1
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	start listener with_caps bpf events -n 1 -p icmp -e new
	wait_for 5 one_listener
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	finish listener
	want_match "$(output listener)" '\[NEW\] icmp' "event"
	before=$(root status -o json)
	for_one_fewer detach 'bpf net_admin' detach --all
	want_eq "$(root status -o json)" "$before" "status"
	run with_caps 'bpf net_admin' detach --all
	want_detached
}

one_listener() {
	[[ -n $(at_home find /sys/fs/bpf/ctloader -name 'listener-0') ]] &&
		at_home flock -n "$(at_home find /sys/fs/bpf/ctloader -mindepth 1 -maxdepth 1)" true
}

# for_one_fewer COMMAND "CAP..." ARGS...
for_one_fewer() {
	local cap command=$1 caps=$2
	shift 2
	for cap in $caps; do
		refused "$command: CAP_${cap^^} missing" 'permission denied \(run as root, or with CAP_' \
			with_caps "${caps/$cap/}" "$@"
	done
}

# CAP_SYS_ADMIN stands for the two that were split off from it.
test_before_cap_bpf() {
	run with_caps 'sys_admin net_admin' attach --tc clsact ra
	run with_caps 'sys_admin net_admin' detach --all
	want_detached
}

# What is not needed is gone while a command runs, from every set, and does not come back.
test_dropped() {
	run root attach ra
	start listener in_r nsenter --mount="/proc/${STARTED[mounts]}/ns/mnt" -- "$CTLOADER" events
	wait_for 5 one_listener
	wait_for 3 settled listener "CapInh 0 CapPrm bpf CapEff bpf \
CapBnd chown,net_admin,sys_chroot,sys_ptrace,sys_admin,perfmon,bpf CapAmb 0 NoNewPrivs 1"
	stop listener INT
	serve counters in_r nsenter --mount="/proc/${STARTED[mounts]}/ns/mnt" -- "$CTLOADER" stats --interval 60
	wait_for 3 settled counters "CapInh 0 CapPrm 0 CapEff 0 \
CapBnd chown,net_admin,sys_chroot,sys_ptrace,sys_admin,perfmon,bpf CapAmb 0 NoNewPrivs 1"
	stop counters
	run root detach --all
}

# settled NAME SETS: it has dropped what it is to drop.
settled() { want_eq "$(sets "$1")" "$2" "$1"; }

# sets NAME: the sets of a process, in words; read in one go, since they may be changing.
sets() {
	local key value text=
	while read -r key value; do
		case $key in
		Cap*)
			value=$(capsh --decode="$value")
			value=${value#*=} value=${value//cap_/}
			text+="${key%:} ${value:-0} "
			;;
		NoNewPrivs:) text+="${key%:} $value" ;;
		esac
	done <<<"$(cat "/proc/${STARTED[$1]}/status")"
	echo "$text"
}

# A mount of our own takes CAP_SYS_ADMIN to make, and to take away; from within `ip netns exec` also
# what it takes to reach the mounts outside. Without, nothing is made, or left.
test_own_mount() {
	local all='bpf net_admin perfmon sys_admin sys_chroot sys_ptrace' cap
	! mountpoint -q /sys/fs/bpf || skip "a machine without a bpffs at /sys/fs/bpf"
	for cap in sys_admin sys_chroot sys_ptrace; do
		refused 'attach: no place for pins' "no BPF file system is mounted .*CAP_${cap^^}" \
			exec_with "${all/$cap/}" attach ra
		[[ ! -e /run/ctloader ]] || die "/run/ctloader is left"
	done
	want_detached
	run exec_with "$all" attach ra
	for cap in sys_admin sys_chroot sys_ptrace; do
		refused "detach: CAP_${cap^^} missing" 'unmounting /run/ctloader/bpf takes it' \
			exec_with "${all/$cap/}" detach --all
	done
	want_match "$(ctl status)" 'ra +tc' "status"
	run exec_with "$all" detach --all
	want_detached
	[[ ! -e /run/ctloader ]] || die "/run/ctloader is left"
}

exec_with() {
	exec_r setpriv --bounding-set="-all$(printf ',+%s' $1)" --inh-caps=-all "$CTLOADER" "${@:2}"
}

# A service that is not root needs no more than the ambient capabilities and a place to write to.
# What it makes is its own, and nothing that root would touch.
test_service() {
	run as_service attach ra
	run as_service list
	want_eq "$(at_home find /sys/fs/bpf/ctloader ! -uid "$USER_ID")" "" "pins of somebody else"
	want_modes
	refused 'list: /sys/fs/bpf/ctloader' "it belongs to user $USER_ID \(move it away\)" root list
	refused 'attach: /sys/fs/bpf/ctloader' "it belongs to user $USER_ID" root attach rb
	refused 'list: table' 'permission denied' stranger /proc/self/fd/5 list
	run as_service detach --all
	[[ -z $(at_home find /sys/fs/bpf -name ctloader) ]] || die "a folder is left"
	want_detached
}

# ---- Pins --------------------------------------------------------------------------------------

# Directories are 0700 and files 0600, whatever the umask, the mode of the mount and its group.
test_modes() {
	local mask
	at_home chgrp "$GROUP_ID" /sys/fs/bpf
	at_home chmod 3777 /sys/fs/bpf
	for mask in 000 777; do
		(umask "$mask" && at_home "$CTLOADER" attach ra >/dev/null)
		want_modes
		want_eq "$(at_home find /sys/fs/bpf/ctloader ! -uid 0)" "" "pins of somebody else"
		start listener root events
		wait_for 5 one_listener
		want_modes
		stop listener INT
		run root detach --all
	done
}

want_modes() {
	local odd
	odd=$(at_home find /sys/fs/bpf/ctloader \( -type d ! -perm 0700 -o ! -type d ! -perm 0600 \) -ls)
	want_eq "$odd" "" "pins of other modes"
}

# What is in the place of our directories and isn't ours alone is refused by every command, named,
# and stays as it is.
test_refused_directories() {
	local top=/sys/fs/bpf/ctloader name
	at_home mkdir -m 0700 /sys/fs/bpf/elsewhere
	at_home ln -s elsewhere "$top"
	refuses_it "$top" 'it is a symbolic link'
	at_home rm "$top"
	at_home mkdir -m 0700 "$top"
	at_home chown "$USER_ID" "$top"
	refuses_it "$top" "it belongs to user $USER_ID"
	at_home chown 0 "$top"
	at_home chmod 0770 "$top"
	refuses_it "$top" 'others may write to it \(mode 0770\)'
	at_home chmod 0700 "$top"

	name=netns-$(nsenter --net="/run/netns/$NS_R" traffic cookie)
	at_home ln -s ../elsewhere "$top/$name"
	refuses_it "$top/$name" 'it is a symbolic link'
	at_home rm "$top/$name"
	at_home mkdir -m 0702 "$top/$name"
	refuses_it "$top/$name" 'others may write to it \(mode 0702\)'
	at_home chmod 0700 "$top/$name"
	at_home chown "$USER_ID" "$top/$name"
	refuses_it "$top/$name" "it belongs to user $USER_ID"
	at_home rmdir "$top/$name" "$top"

	# The root of the mount: everybody may write to it only if the sticky bit is set.
	at_home chmod 0777 /sys/fs/bpf
	refused "attach: /sys/fs/bpf" 'others may write to it' root attach ra
	at_home chmod 1777 /sys/fs/bpf
	at_home chown "$USER_ID" /sys/fs/bpf
	refused "attach: /sys/fs/bpf" "it belongs to user $USER_ID" root attach ra
	want_detached
}

refuses_it() {
	local command before
	before=$(at_home find /sys/fs/bpf -ls)
	for command in 'attach ra' list 'detach --all' status events 'set udp_timeout=1'; do
		# shellcheck disable=SC2086 # words
		refused "${command%% *}: $1" "$2 \(move it away\)$" root $command
	done
	want_eq "$(at_home find /sys/fs/bpf -ls)" "$before" "what is there"
}

# The same for the lock, with a /run of the test's own.
test_refused_lock() {
	local lock=/run/ctloader.lock
	at_home mount -t tmpfs -o mode=0755 none /run
	with_mounts() { nsenter --mount="/proc/${STARTED[mounts]}/ns/mnt" -- "$@"; }
	ctl_there() { in_r nsenter --mount="/proc/${STARTED[mounts]}/ns/mnt" -- "$CTLOADER" "$@"; }
	with_mounts touch /run/victim
	with_mounts ln -s /run/victim "$lock"
	refused "attach: $lock" 'it is a symbolic link \(move it away\)$' ctl_there attach ra
	with_mounts rm "$lock"
	with_mounts mkdir "$lock"
	refused "attach: $lock" 'it is no plain file' ctl_there attach ra
	with_mounts rmdir "$lock"
	with_mounts mkfifo -m 0600 "$lock"
	refused "attach: $lock" 'it is no plain file' ctl_there attach ra
	with_mounts rm "$lock"
	with_mounts install -m 0600 -o "$USER_ID" /dev/null "$lock"
	refused "attach: $lock" "it belongs to user $USER_ID" ctl_there attach ra
	with_mounts chown 0 "$lock"
	with_mounts chmod 0666 "$lock"
	refused "attach: $lock" 'others may write to it' ctl_there attach ra
	want_eq "$(with_mounts stat -c '%s %a' "$lock")" "0 666" "the lock"
	want_detached
	with_mounts rm "$lock"
	run ctl_there attach ra
	run ctl_there detach --all
}

# The same for the directory of our own mount.
test_refused_run() {
	! mountpoint -q /sys/fs/bpf || skip "a machine without a bpffs at /sys/fs/bpf"
	[[ ! -e /run/ctloader ]] || skip "a machine without /run/ctloader"
	mkdir "$T/planted"
	(
		trap 'rm -rf /run/ctloader' EXIT
		ln -s "$T/planted" /run/ctloader
		refused 'attach: /run/ctloader' 'it is a symbolic link \(move it away\)$' ctl attach ra
		rm /run/ctloader
		mkdir /run/ctloader
		chown "$USER_ID" /run/ctloader
		refused 'attach: /run/ctloader' "it belongs to user $USER_ID" ctl attach ra
		chown 0 /run/ctloader
		chmod 0777 /run/ctloader
		refused 'attach: /run/ctloader' 'others may write to it' ctl attach ra
		want_eq "$(find /run/ctloader "$T/planted" -mindepth 1)" "" "what was made"
	)
	want_detached
}

# ---- The environment ---------------------------------------------------------------------------

# No library gets to see a variable; but the time zone is the user's, as long as it is no file.
test_environment() {
	cat >"$T/told.c" <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		extern char **environ;
		__attribute__((destructor)) static void tell(void)
		{
			for (char **e = environ; e && *e; e++)
				fprintf(stderr, "%s\n", *e);
		}
	END
	"${CC:-cc}" -shared -fPIC -o "$T/told.so" "$T/told.c"
	told() {
		run env "$@" LIBXDP_OBJECT_PATH=/tmp LIBBPF_LOG_LEVEL=debug TMPDIR=/tmp LC_ALL=C \
			LD_PRELOAD="$T/told.so" "$CTLOADER" help
		echo "$ERR"
	}
	want_eq "$(told -u TZ)" "" "what is left"
	want_eq "$(told TZ=Asia/Tokyo)" TZ=Asia/Tokyo "what is left"
	want_eq "$(told TZ=CET-1CEST,M3.5.0,M10.5.0/3)" TZ=CET-1CEST,M3.5.0,M10.5.0/3 "what is left"
	want_eq "$(told "TZ=$T/zone")" "" "what is left"
	want_eq "$(told "TZ=:$T/zone")" "" "what is left"
	want_eq "$(told TZ=a/../../../../etc/passwd)" "" "what is left"
}

# ---- A group that may read -----------------------------------------------------------------------

# Its members see what root sees, and can change nothing. Nobody else sees anything.
test_group() {
	local command
	at_home chmod 0711 /sys/fs/bpf
	run root attach --group "$GROUP_ID" ra rb
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	in_a ping -c 1 -W 2 -q fd00:2::1 >/dev/null
	run root set acct=1 checksum=1 icmp_timeout=3600 icmpv6_timeout=3600
	in_a ping -c 1 -W 2 -q 10.0.2.1 >/dev/null
	in_a ping -c 1 -W 2 -q fd00:2::1 >/dev/null
	for command in 'count' 'count -p icmp' 'show' 'show -o json' 'list -p icmp -m 0 -o json' 'status -o json' \
		'stats -o json'; do
		# shellcheck disable=SC2086 # words
		wait_for 3 same_for_member $command
	done
	want_eq "$(member /proc/self/fd/5 list -o json 2>/dev/null | jq length)" 4 "flows"
	member /proc/self/fd/5 save - 2>/dev/null >"$T/saved"
	run root restore -o json - <"$T/saved"
	want_eq "$OUT" '{"restored":0,"existing":4,"expired":0}' "what a member saved"
	want_eq "$(member /proc/self/fd/5 top --once -o json | jq .flows)" 4 "flows of top"
	refused 'get: icmp src=10.0.1.1 dst=10.0.2.1 type=8 code=0 id=0' 'no such flow' \
		member /proc/self/fd/5 get -p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-type 8 --icmp-id 0

	no_change_for member 'permission denied: your group may read it, and no more \(run as root\)'
	for command in list count status stats top show; do
		refused "$command: table" "permission denied \(run as root, or be in the group of 'attach" \
			stranger /proc/self/fd/5 "$command"
	done
	no_change_for stranger 'permission denied \(run as root\)'
	run root detach --all
	want_detached
}

# What takes time does not count: the age and the rest of a flow, the runs of the sweep. Nor do the
# programs, which only root can open.
same_for_member() {
	local mine roots
	mine=$(member /proc/self/fd/5 "$@" 2>/dev/null)
	roots=$(root "$@" 2>/dev/null)
	[[ -n $mine ]] || die "$*: nothing"
	if [[ " $* " == *json* ]]; then
		mine=$(without_time "$mine") roots=$(without_time "$roots")
	fi
	want_eq "$mine" "$roots" "$*"
}
without_time() {
	jq 'if type == "array" then map(del(.age, .timeout, .start)) else del(.programs, .gc, .packets.ingress.untracked,
		.packets.egress.untracked, .untracked) end' <<<"$1"
}

# no_change_for WHO WHY: nor does anything change.
no_change_for() {
	local command before who=$1 why=$2
	before=$(root show)$(root list -o id 2>&1 | grep -o 'id=.*')$(at_home find /sys/fs/bpf/ctloader -ls)
	for command in 'set udp_timeout=1' flush; do
		# shellcheck disable=SC2086 # words
		refused "${command%% *}: table" "$why" "$who" /proc/self/fd/5 $command
	done
	refused 'events: CAP_BPF missing' 'permission denied' "$who" /proc/self/fd/5 events -n 1
	refused 'attach: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing' 'permission denied' \
		"$who" /proc/self/fd/5 attach ra
	refused 'detach: CAP_BPF, CAP_NET_ADMIN missing' 'permission denied' \
		"$who" /proc/self/fd/5 detach --all
	want_eq "$(root show)$(root list -o id 2>&1 | grep -o 'id=.*')$(at_home find /sys/fs/bpf/ctloader -ls)" \
		"$before" "settings, flows and pins"
}

# By other tools than ours its members get no further: nothing is written, deleted, run, detached,
# unlinked or locked.
test_group_with_other_tools() {
	local d file
	tool readers
	at_home chmod 0711 /sys/fs/bpf
	run root attach --group "$GROUP_ID" ra
	exec 6<"$O/tests/readers"
	d=$(root status -o json | jq -r .pins)
	while read -r file; do
		run member /proc/self/fd/6 "$d/$file"
		case $file in
		state | settings | stats | ifaces | listener_state | xdp_stages | tc_stages | epoch)
			want_eq "$OUT" "map: read" "$file"
			;;
		progs/ct_ctl_select | progs/ct_ctl_get)
			want_eq "$OUT" "program: run" "$file"
			;;
		*) want_eq "$OUT" "closed" "$file" ;;
		esac
		run stranger /proc/self/fd/6 "$d/$file"
		want_eq "$OUT" closed "$file for a stranger"
	done < <(at_home find "$d" -type f -printf '%P\n')
	for file in . progs links; do
		fails 2 member ls "$d/$file"
		capture member flock -n "$d/$file" true
		want_num "$RC" -ne 0 "lock of $file"
		capture member touch "$d/$file/x"
		want_num "$RC" -ne 0 "a new file in $file"
	done
	capture member rm -f "$d/state" "$d/progs/ct_ctl_get"
	want_num "$RC" -ne 0 "rm"
	capture member bpftool map update pinned "$d/settings" key 0 0 0 0 value 0
	want_num "$RC" -ne 0 "bpftool map update"
	run root detach --all
	want_detached
}

# Attaching again gives it to another group, or to none; or leaves it. The directory above is open
# for as long as one needs it.
test_group_changes() {
	at_home chmod 0711 /sys/fs/bpf
	run root attach ra
	refused 'list: table' 'permission denied' member /proc/self/fd/5 list
	run root attach --group "$GROUP_ID" ra
	run member /proc/self/fd/5 list
	run root attach rb
	run member /proc/self/fd/5 status
	want_match "$OUT" 'group +47112.*rb +tc' "status"
	run root --instance two attach --group 1 lo
	run root --instance two attach --group root lo
	run member /proc/self/fd/5 list
	run root attach --group "$OTHER_ID" ra
	refused 'list: table' 'permission denied' member /proc/self/fd/5 list
	run as_user 4 "$OTHER_ID" /proc/self/fd/5 list
	run root upgrade
	run as_user 4 "$OTHER_ID" /proc/self/fd/5 list
	run root detach --keep --all
	run as_user 4 "$OTHER_ID" /proc/self/fd/5 list
	run root attach ra
	run as_user 4 "$OTHER_ID" /proc/self/fd/5 list
	run root attach --group 0 ra
	refused 'list: table' 'permission denied' as_user 4 "$OTHER_ID" /proc/self/fd/5 list
	want_modes
	run root --instance two detach --all
	run root detach --all
}

# What stands in the way is said before anything is made.
test_group_refused() {
	fails 2 root attach --group no-such-group ra
	want_refusal 'attach: --group no-such-group' 'no such group'
	at_home chmod 0700 /sys/fs/bpf
	refused 'attach: /sys/fs/bpf' "the group can't pass through it \(chmod o\+x /sys/fs/bpf\)" \
		root attach --group "$GROUP_ID" ra
	at_home chmod 0711 /sys/fs/bpf
	refused 'attach: CAP_CHOWN missing' 'permission denied' \
		with_caps 'bpf net_admin perfmon' attach --group "$GROUP_ID" ra
	want_detached
	run with_caps 'bpf net_admin perfmon chown' attach --group "$GROUP_ID" ra
	run member /proc/self/fd/5 list
	run root detach --all
}

# In a mount of our own, which is opened for it.
test_group_own_mount() {
	! mountpoint -q /sys/fs/bpf || skip "a machine without a bpffs at /sys/fs/bpf"
	own() { in_r setpriv --reuid="$USER_ID" --regid="$USER_ID" --groups="$GROUP_ID" /proc/self/fd/5 "$@"; }
	run ctl attach ra
	want_eq "$(stat -c %a /run/ctloader)" 700 "mode of /run/ctloader"
	fails 1 own list
	run ctl attach --group "$GROUP_ID" ra
	run own list
	run ctl attach --group root ra
	fails 1 own list
	want_eq "$(stat -c %a /run/ctloader)" 700 "mode of /run/ctloader"
	run ctl detach --all
	want_detached
}
