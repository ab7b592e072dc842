#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests on other kernels: boots Debian's own under qemu, with this machine's files as its disk
# (read-only below, in memory above), and runs tests/run.sh there.
#
#	tests/kernels.sh [-k PACKAGE]... [NAME...]
#
# PACKAGE is one of Debian's linux-image packages; default: every one of KERNELS that the package
# sources offer. NAME is a test as for run.sh; default: what TESTS says. Ends with a line for each
# kernel; exit code 1 if one failed, 4 if there is nothing to boot (and what is missing).
#
# KVM is not used: it may not be there, and this must not depend on it. A boot takes ten seconds.
set -eu -o pipefail
cd "$(dirname "$0")/.."

KERNELS="linux-image-amd64 linux-image-6.12-amd64"
TESTS="prog netns/flows.sh netns/namespaces.sh netns/events.sh netns/many.sh netns/libxdp.sh"
LIMIT=${LIMIT:-5400} # seconds for one kernel
O=${O:-build}
folder=$(realpath -m "$O")/kernels

missing() {
	echo "missing: $*" >&2
	exit 4
}

kernels=()
while getopts k: option; do
	case $option in
	k) kernels+=("$OPTARG") ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
# shellcheck disable=SC2206 # words
((${#kernels[@]})) || kernels=($KERNELS)
# shellcheck disable=SC2086 # words
(($#)) || set -- $TESTS

for tool in qemu-system-x86_64 busybox depmod cpio xz apt-get dpkg-deb; do
	command -v $tool >/dev/null || missing $tool
done
[[ $(uname -m) == x86_64 ]] || missing "an x86-64 machine"

# unpacked PACKAGE: the folder of the newest kernel that a package stands for; fetched if need be.
unpacked() {
	local name deb dir
	name=$(apt-cache depends "$1" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
	name=${name:-$1}
	dir=$folder/$name
	if [[ ! -e $dir/whole ]]; then
		rm -rf "$dir"
		mkdir -p "$dir/deb"
		(cd "$dir/deb" && apt-get download -qq "$name" >/dev/null 2>&1) || return 1
		deb=$(echo "$dir"/deb/*.deb)
		dpkg-deb -x "$deb" "$dir"
		rm -r "$dir/deb"
		depmod -b "$dir" "$(ls "$dir/lib/modules")"
		touch "$dir/whole"
	fi
	echo "$dir"
}

# initrd DIR VERSION FILE: what it takes to have the host's files as root.
initrd() {
	local root module from
	root=$(mktemp -d)
	mkdir -p "$root"/{bin,proc,sys,dev,host,mem,new,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for module in 9p 9pnet_virtio virtio_pci overlay; do
		modprobe -d "$1" -S "$2" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++' | while read -r from; do
		module=${from##*/}
		case $from in
		*.xz) xz -dc "$from" >"$root/modules/${module%.xz}" ;;
		*) cp "$from" "$root/modules/" ;;
		esac
		echo "${module%.xz}" >>"$root/modules/order"
	done
	cat >"$root/init" <<-END
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		while read -r m; do insmod /modules/\$m; done </modules/order
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
		mount -t tmpfs -o size=80% mem /mem
		mkdir /mem/upper /mem/work
		mount -t overlay -o lowerdir=/host,upperdir=/mem/upper,workdir=/mem/work root /new
		mount -t proc proc /new/proc
		mount -t sysfs sys /new/sys
		mount -t bpf bpf /new/sys/fs/bpf
		mount -t devtmpfs dev /new/dev
		mount -t tmpfs run /new/run
		ln -s /proc/self/fd /new/dev/fd
		mkdir -p /new/lib/modules /new/dev/shm
		ln -sfn "$1/lib/modules/$2" "/new/lib/modules/$2"
		exec switch_root -c /dev/ttyS0 /new /bin/bash "$1/command"
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$3"
	rm -r "$root"
}

# command NAME...: what is run inside.
command_inside() {
	cat <<-END
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
		export O=$O CTT_BUILT=1 CTT_SLOW=8 # an emulated CPU is that slow
		ip link set lo up
		for m in veth dummy tun 8021q sch_ingress cls_bpf nf_conntrack nf_tables nft_ct; do modprobe -q \$m; done
		cd "$PWD" && $O/tests/verified && tests/run.sh $*
		echo "exit code \$?"
		busybox poweroff -f
	END
}

# boot DIR VERSION: run what is in DIR/command; its exit code.
boot() {
	local code
	initrd "$1" "$2" "$1/initrd"
	timeout "$LIMIT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 \
		-nodefaults -vga none -display none -serial stdio -no-reboot \
		-kernel "$1/boot/vmlinuz-$2" -initrd "$1/initrd" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off" \
		-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host </dev/null |
		sed -u 's|\r||g' | tee "$1/console" | grep --line-buffered -v '^exit code ' || :
	rm "$1/initrd"
	code=$(sed -n 's/^exit code //p' "$1/console" | tail -n 1)
	return "${code:-3}"
}

make -s O="$O"
tests/run.sh -b "$@"
failed=0 summary=
for package in "${kernels[@]}"; do
	dir=$(unpacked "$package") || {
		summary+="$package: not offered by the package sources"$'\n'
		continue
	}
	version=$(ls "$dir/lib/modules")
	echo "== Linux $version"
	command_inside "$@" >"$dir/command"
	boot "$dir" "$version" && code=0 || code=$?
	summary+="Linux $version: $( ((code)) && echo "failed ($code)" || echo "passed")"$'\n'
	((code == 0)) || failed=1
done
printf %s "$summary"
exit $failed
