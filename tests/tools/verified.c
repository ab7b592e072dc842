/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Load every program and print what the verifier of this kernel had to look at, against the
 * million instructions that it is ready to.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "ct.skel.h"

#define LIMIT 1000000

int main(void)
{
	struct ct_bpf *skel = ct_bpf__open();
	struct bpf_program *prog;
	struct utsname u;
	int failed = 0;

	if (!skel)
		return 1;
	/* As small as may be: it is the programs that are looked at. */
	bpf_map__set_max_entries(skel->maps.ct4, 64);
	bpf_map__set_max_entries(skel->maps.ct6, 64);
	bpf_map__set_max_entries(skel->maps.index4, 64);
	bpf_map__set_max_entries(skel->maps.index6, 64);
	bpf_map__set_max_entries(skel->maps.free4, 64);
	bpf_map__set_max_entries(skel->maps.free6, 64);
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_expected_attach_type(prog, 0);
	if (ct_bpf__load(skel))
		return 1;
	uname(&u);
	bpf_object__for_each_program(prog, skel->obj) {
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len)) {
			failed = 1;
			continue;
		}
		printf("Linux %s: %-15s verified: %6u of %d instructions (%4.1f%%); size: %zu\n",
		       u.release, bpf_program__name(prog), info.verified_insns, LIMIT,
		       100.0 * info.verified_insns / LIMIT, bpf_program__insn_cnt(prog));
	}
	ct_bpf__destroy(skel);
	return failed;
}
