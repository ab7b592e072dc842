# SPDX-License-Identifier: GPL-2.0-only
# ctloader. `make help` says what there is; `make V=1` shows every command.

O       ?= build
V       ?= 0
CC      ?= cc
CLANG   ?= $(or $(shell command -v clang-19),$(shell command -v clang),clang)
BPFTOOL ?= $(or $(shell command -v bpftool),$(wildcard /usr/sbin/bpftool),bpftool)
PREFIX  ?= /usr/local
VMLINUX_BTF ?= /sys/kernel/btf/vmlinux

Q := $(if $(filter 0,$(V)),@)
silent := $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(silent)$(filter-out 0,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# A compiler of the caller's choice may know more warnings than ours: they are shown, and no more.
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
C_FLAGS := -std=gnu11 -D_GNU_SOURCE $(WARN) -Iinclude -Iuser -I$(O) $(CFLAGS)
LIBS    := -lxdp -lbpf -lelf -lz

# Block placement turns loops so that their head follows a plain instruction: "back-edge" before 6.4.
BPF_FLAGS := -O2 -g -target bpf -mcpu=v3 -mllvm -disable-block-placement \
	-Wall -Wextra -Wimplicit-fallthrough -Ivmlinux -Iinclude

USER_SRC := $(wildcard user/*.c)
USER_OBJ := $(USER_SRC:user/%.c=$(O)/user/%.o)

DEBIAN := clang llvm gcc make libc6-dev libbpf-dev libxdp-dev libelf-dev zlib1g-dev bpftool pkg-config
DEBIAN_TESTS := clang-19 iproute2 iputils-ping traceroute tcpdump ncat socat curl jq iperf3 \
	conntrack nftables xdp-tools strace procps util-linux libpcap-dev \
	qemu-system-x86 busybox-static kmod cpio xz-utils

.DEFAULT_GOAL := all
.PHONY: all check check-kernels diff replay demo bench bench-checksum install clean deps deps-tests help \
	vmlinux
.DELETE_ON_ERROR:

all: ctloader ## build ./ctloader

ctloader: $(O)/ctloader
	$(Q)ln -sf $< $@

$(O)/ctloader: $(USER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/user/%.o: user/%.c | $(O)/ct.skel.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) -MMD -MP -c -o $@ $<

$(O)/ct.bpf.o: bpf/ct.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -MT $@ -c -o $@ $<

$(O)/ct.skel.h: $(O)/ct.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name ct_bpf >$@

-include $(USER_OBJ:.o=.d) $(O)/ct.bpf.d

check: deps-tests ## install what is missing, build, run every test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(O) CLANG=$(CLANG) CC=$(CC) BPFTOOL=$(BPFTOOL) tests/run.sh $(TESTS)

diff: deps-tests ## the same packets through nf_conntrack and ctloader (DIFF='-n 20000 -s 1')
	$(Q)$(MAKE) --no-print-directory all $(O)/tests/diff/diff
	$(Q)$(O)/tests/diff/diff $(DIFF)

$(O)/tests/diff/diff: $(wildcard tests/diff/*.[ch] tests/prog/harness.[ch] tests/unit/packet.c \
		tests/unit/*.h bpf/*.h include/*.h) | $(O)/ct.skel.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -D_GNU_SOURCE,$(C_FLAGS)) -Ibpf -Itests/unit -Itests/prog -o $@ tests/diff/diff.c \
		$$(sed -n '1s#^// SRC:##p' tests/diff/diff.c) $(LIBS)

check-kernels: deps-tests ## run the tests on Debian's kernels under qemu (KERNELS='PACKAGE...' TESTS='NAME...')
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(O) CLANG=$(CLANG) CC=$(CC) tests/kernels.sh $(addprefix -k ,$(KERNELS)) $(TESTS)

replay: deps-tests ## play a capture through the programs (PCAP=file REPLAY='options' FILTER='tcp port 80')
	$(Q)$(MAKE) --no-print-directory $(O)/tests/replay
	$(Q)$(O)/tests/replay $(REPLAY) $(if $(PCAP),'$(PCAP)') $(if $(FILTER),'$(FILTER)')

REPLAY_SRC := $(wildcard tests/tools/replay*.c) tests/prog/harness.c tests/unit/packet.c
REPLAY_OBJ = $(filter-out $(O)/user/main.o,$(USER_OBJ))

$(O)/tests/replay: $(REPLAY_SRC) $(wildcard tests/tools/replay.h tests/prog/harness.h tests/unit/*.h \
		bpf/*.h include/*.h) $(REPLAY_OBJ) $(O)/ct.skel.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -D_GNU_SOURCE,$(C_FLAGS)) -Ibpf -Itests/unit -Itests/prog -o $@ \
		$(filter %.c %.o,$^) -lpcap $(LIBS)

bench-checksum: deps-tests ## what verifying checksums costs, as a table
	$(Q)$(MAKE) --no-print-directory all $(O)/tests/bench/checksum
	$(Q)$(O)/tests/bench/checksum

$(O)/tests/bench/%: tests/bench/%.c $(wildcard tests/prog/harness.[ch] tests/unit/packet.c \
		tests/unit/*.h bpf/*.h include/*.h) | $(O)/ct.skel.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -D_GNU_SOURCE,$(C_FLAGS)) -Ibpf -Itests/unit -Itests/prog -o $@ $< \
		$$(sed -n '1s#^// SRC:##p' $<) $(LIBS)

demo: deps-tests ## install what is missing, build, and take a tour with live traffic
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(O) tests/demo.sh

install: all ## install to $(DESTDIR)$(PREFIX)
	install -D -m 755 $(O)/ctloader $(DESTDIR)$(PREFIX)/sbin/ctloader
	install -D -m 644 user/ctloader.8 $(DESTDIR)$(PREFIX)/share/man/man8/ctloader.8
	install -D -m 644 user/ctloader.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ctloader
	for h in include/ctloader/*.h include/ct_*.h; do \
		install -D -m 644 $$h $(DESTDIR)$(PREFIX)/$$h || exit 1; done

deps: ## install the Debian packages that the build needs
	$(Q)tests/packages.sh $(DEBIAN)

deps-tests:
	$(Q)tests/packages.sh $(DEBIAN) $(DEBIAN_TESTS)

vmlinux: ## make vmlinux/vmlinux.h anew from the BTF in VMLINUX_BTF
	$(call say,BTF,vmlinux/vmlinux.h)
	$(Q)BPFTOOL=$(BPFTOOL) vmlinux/make.sh $(VMLINUX_BTF) >vmlinux/vmlinux.h.new
	$(Q)mv vmlinux/vmlinux.h.new vmlinux/vmlinux.h

clean: ## remove what was built
	rm -rf $(O) ctloader

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables: O=$(O) V=0|1 CC=$(CC) CLANG=$(CLANG) TESTS='NAME...' DESTDIR PREFIX"
