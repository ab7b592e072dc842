# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# What comes out of each compiler builds without a warning, loads, and tracks.

with_clang() {
	local clang=$1
	need "$clang"
	# A warning would be on the screen; with -Werror it also ends the build.
	run make -s -C "$TOP" O="$T/build" CLANG="$clang" CFLAGS="-O1 -Werror" "$T/build/ctloader"
	want_eq "$OUT$ERR" "" "what make said"
	topo_up
	CTLOADER=$T/build/ctloader
	run ctl attach ra rb
	run in_a ping -q -c 1 10.0.2.1
	run in_a ping -q -6 -c 1 fd00:2::1
	want_eq "$(ctl count -p icmp) $(ctl count -p icmpv6)" "1 1" "flows"
	run ctl detach --all
	want_detached
}

# clang 14, Debian 12's default, builds the programs without a warning, and they work.
test_clang_14() { with_clang clang-14; }

# So does clang 19, which Debian 12 also has.
test_clang_19() { with_clang clang-19; }

# A vmlinux.h made from the running kernel's BTF serves as well as the pinned one.
test_vmlinux_made_anew() {
	need bpftool
	[[ -r /sys/kernel/btf/vmlinux ]] || skip "the kernel's BTF"
	mkdir "$T/h"
	BPFTOOL=bpftool "$TOP/vmlinux/make.sh" >"$T/h/vmlinux.h"
	want_match "$(head -n 1 "$T/h/vmlinux.h")" "From the BTF of Linux $(uname -r | cut -d- -f1)," "first line"
	run "${CLANG:-clang}" -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I"$T/h" -I"$TOP/include" \
		-c "$TOP/bpf/ct.bpf.c" -o "$T/ct.bpf.o"
}

# A second make has nothing to do, and a touched header of the programs rebuilds them.
test_make_knows_what_depends_on_what() {
	run make -s -C "$TOP" O="$T/build" "$T/build/ctloader"
	want_eq "$(make --no-print-directory -C "$TOP" O="$T/build" "$T/build/ctloader" | grep -c -v 'up to date')" 0 "lines of a second make"
	touch -d '+1 minute' "$T/build/ct.skel.h" "$T/build/ctloader"
	want_match "$(make -n -C "$TOP" O="$T/build" -W bpf/proto_udp.h "$T/build/ctloader")" 'bpf/ct.bpf.c' "make after a change in bpf/"
}
