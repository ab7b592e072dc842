// SPDX-License-Identifier: GPL-2.0-only
/* For the hosts of a test: a veth takes redirected frames only if it has an XDP program itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
