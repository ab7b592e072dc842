#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Print a vmlinux.h that holds just the types named in types.list, taken from a kernel's BTF.
#	vmlinux/make.sh [BTF file, default that of the running kernel]
set -eu
btf=${1:-/sys/kernel/btf/vmlinux}
list=$(dirname "$0")/types.list
all=$(mktemp)
trap 'rm -f "$all"' EXIT

"${BPFTOOL:-bpftool}" btf dump file "$btf" format c >"$all"

echo "/* From the BTF of Linux ${VMLINUX_RELEASE:-$(uname -r | cut -d- -f1)}, $(uname -m): made by vmlinux/make.sh, do not edit. */"
echo "#ifndef __VMLINUX_H__"
echo "#define __VMLINUX_H__"
grep -v '^#' "$list" | while read -r kind name; do
	echo
	case $kind in
	typedef) grep -m1 -E "^typedef [a-z_ 0-9]+ $name;" "$all" ;;
	*) awk -v head="$kind $name {" '$0 == head { on = 1 } on { print } on && /^}/ { exit }' "$all" ;;
	esac
done | sed -e 's/^\(struct\|enum\) .* {$/&/' | awk 'BEGIN { blank = 0 }
	/^$/ { blank = 1; next }
	{ if (blank && !(/^typedef/ && last ~ /^typedef/)) print ""; blank = 0; print; last = $0 }'
echo
echo "#endif"
