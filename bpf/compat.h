/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place that knows whether this is a BPF program or a native build of the pure parts
 * (parse.h, tuple.h, proto*.h) for unit tests, sanitizers and fuzzers.
 */
#ifndef COMPAT_H
#define COMPAT_H

#ifdef __bpf__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

typedef _Bool bool;
enum { false, true };

#else

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <linux/types.h>

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define bpf_htons(x) htobe16(x)
#define bpf_ntohs(x) be16toh(x)
#define bpf_htonl(x) htobe32(x)
#define bpf_ntohl(x) be32toh(x)
#define barrier_var(x) ((void)(x))

static inline long bpf_loop(__u32 times, long (*step)(__u32 i, void *ctx), void *ctx, __u64 flags)
{
	__u32 i = 0;

	(void)flags;
	while (i < times && !step(i, ctx))
		i++;
	return i;
}

#endif

/*
 * A function that the verifier checks once by itself, not anew on every path that calls it. Its
 * pointers are to memory of the size of their type, and may be NULL for all it knows. Before 6.2
 * such memory can't be a map's key or value: these are copied, or the record is looked up again.
 */
#define ct_global __attribute__((noinline))

#ifndef NULL
#define NULL ((void *)0)
#endif

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* <linux/bpf.h> */
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_MMAPABLE (1U << 10)
#define BPF_CSUM_LEVEL_QUERY 0

/* <linux/if_ether.h>, <linux/in.h>: macros, which BTF does not carry. */
#define CT_ETH_P_IP 0x0800
#define CT_ETH_P_IPV6 0x86dd
#define CT_ETH_P_PPTP 0x880b
#define CT_ETH_P_8021Q 0x8100
#define CT_ETH_P_8021AD 0x88a8

#define CT_IPPROTO_ICMP 1
#define CT_IPPROTO_TCP 6
#define CT_IPPROTO_UDP 17
#define CT_IPPROTO_GRE 47
#define CT_IPPROTO_ICMPV6 58
#define CT_IPPROTO_SCTP 132
#define CT_IPPROTO_UDPLITE 136

/* IPv6 extension headers, as ipv6_ext_hdr() knows them. */
#define CT_EXT_HOPOPTS 0
#define CT_EXT_ROUTING 43
#define CT_EXT_FRAGMENT 44
#define CT_EXT_AUTH 51
#define CT_EXT_NONE 59
#define CT_EXT_DSTOPTS 60

#endif
