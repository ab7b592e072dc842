#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# tests/tools/next.sh FOLDER: build, in that folder, a ctloader as a later version might be: of another
# ABI, with members that are new, elsewhere or wider, in everything that an upgrade has to convert, and with
# counters and settings among those that were there. So that upgrades and downgrades can be tested.
set -eu
to=$1
mkdir -p "$to"
rm -rf "$to/tree"
mkdir "$to/tree"
cp -r Makefile bpf include user vmlinux "$to/tree"
cd "$to/tree"

# change FILE EXPRESSION: by sed(1), which must change something.
change() {
	cp "$1" was
	sed -i -E "$2" "$1"
	! cmp -s "$1" was || {
		echo "$0: nothing to change in $1: $2" >&2
		exit 1
	}
	rm was
}

change include/ct_config.h 's/^(#define CT_ABI) .*/\1 1000/'
# Sizes that are promised of this version.
change include/ct_types.h '/^_Static_assert\(sizeof\(struct ct_(entry|flow|tcp)\)/d'
# The entry: new members in front and in the middle, one that moves.
change include/ct_types.h '/^struct ct_entry \{/,/^\}/ {
	s/^\t__u32 mark;/\t__u16 priority; \/* new *\/\n\t__u16 queue;/
	s/^\t__u64 start;/\t__u32 mark;\n\t__u32 weight;\n\t__u64 start;/
	s/^\t__u64 word;/\t__u64 touched;\n\t__u64 word;/
}'
change include/ct_types.h '/^struct ct_tcp \{/,/^\}/ s/^struct ct_tcp \{/&\n\t__u32 rtt;/'
change include/ct_types.h 's/__u32 words\[13\];/__u32 words[14];/'
# Columns of saved files: one more, and one that is wider.
change user/flowfile.h 's/^\tNUMBER\(END, TCP,/\tNUMBER(RTT, TCP, "tcp.rtt", 3, entry.l4.tcp.rtt) \\\n&/'
change user/flowfile.h 's/^(\tNUMBER\(MARK, ALL, "mark",) 4,/\1 8,/'
# Interfaces, and what the CPUs share.
change include/ct_config.h '/^struct ct_iface \{/,/^\}/ s/^\t__u16 zone;/\t__u32 index;\n\t__u16 zone;/'
change include/ct_config.h '/^struct ct_state \{/,/^\}/ s/^\t__u64 flows;/\t__u64 peak;\n&/'
# Counters and settings among the others.
change include/ct_stats.h 's/^(\tX\()CREATED,/\1FORESEEN, foreseen, "entries nobody needed")\\\n&/'
change include/ct_stats.h 's/^(\tX\()ETH_TRUNCATED,/\1NOT_TODAY, INVALID, not_today, "not today")\\\n&/'
change include/ct_proto.h '0,/^\tX\(TCP_LOOSE,/ s/^\tX\(TCP_LOOSE,/\tX(PATIENCE, patience, 1, 1, "wait")\\\n&/'

make -s O=out out/ctloader
cp out/ctloader ..
