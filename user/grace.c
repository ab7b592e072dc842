// SPDX-License-Identifier: GPL-2.0-only
#include "grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Updating a map of maps waits for a grace period by contract: maybe_wait_bpf_programs() in
 * kernel/bpf/syscall.c, so that user space knows when no program uses the old inner map.
 */
static int grace_by_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int inner, outer = -1, err = 0;
	__u32 zero = 0;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ct_grace", 4, 4, 1, NULL);
	if (inner < 0)
		return -errno;
	opts.inner_map_fd = (__u32)inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ct_grace", 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &zero, &inner, BPF_ANY))
		err = -errno;
	if (outer >= 0)
		close(outer);
	close(inner);
	return err;
}

int grace_period(void)
{
	/*
	 * membarrier(GLOBAL) is synchronize_rcu(), but for two cases: with one CPU online it
	 * returns at once, and with nohz_full CPUs it fails. (The policy is sched_ext's.)
	 */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
	    !syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return 0;
	return grace_by_map();
}
