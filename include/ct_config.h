/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What loader and programs agree on besides flows: settings, interfaces, shared state, stages,
 * the control programs' messages, and the names under which all of it is pinned.
 */
#ifndef CT_CONFIG_H
#define CT_CONFIG_H

#include "ct_event.h"
#include "ct_proto.h"
#include "ct_types.h"

/* Changes whenever the layout of any pinned map or of the packet record does. */
#define CT_ABI 4

/*
 * Stages of a packet's path: indices into xdp_stages and tc_stages.
 *	X(id, "name")
 */
#define CT_STAGES(X)                                                                               \
	X(IN, "in")                                                                                \
	X(POLICY, "policy")                                                                        \
	X(CONFIRM, "confirm")

enum ct_stage {
#define X(id, name) CT_STAGE_##id,
	CT_STAGES(X)
#undef X
	CT_STAGE_MAX,
};

/*
 * The value of `settings`. Written by user space field by field, read by every packet. Named and
 * numbered as the members of struct ct_stats are.
 */
struct ct_settings {
	struct {
		__u64 none;
#define X(id, key, seconds, help) __u64 key;
		CT_TIMEOUTS(X)
#undef X
	} timeout; /* ticks */
	struct {
#define X(id, key, value, largest, help) __u32 key;
		CT_KNOBS(X)
#undef X
	} knob;
	__u32 hz; /* ticks per second */
};

#define CT_TIMEOUT_OF(s) ((__u64 *)&(s)->timeout) /* [enum ct_timeout] */
#define CT_KNOB_OF(s)    ((__u32 *)&(s)->knob)    /* [enum ct_knob] */

_Static_assert(sizeof(((struct ct_settings *)0)->timeout) == 8 * CT_T_MAX, "timeouts by number");
_Static_assert(sizeof(((struct ct_settings *)0)->knob) == 4 * CT_K_MAX_, "knobs by number");

/* How an interface is hooked. X(id, "name") */
#define CT_HOOKS(X)                                                                                \
	X(NONE, "none")                                                                            \
	X(TC, "tc")                                                                                \
	X(NATIVE, "native")                                                                        \
	X(GENERIC, "generic")

enum ct_hook {
#define X(id, name) CT_HOOK_##id,
	CT_HOOKS(X)
#undef X
};

#define CT_IF_ACTIVE      0x1 /* `in` runs here */
#define CT_IF_CONFIRMS    0x2 /* tc egress is in place: what is forwarded to here is confirmed here */
#define CT_IF_L3          0x4 /* frames begin with the IP header */
#define CT_IF_CONFIRM_XDP 0x8 /* the whole chain runs in XDP */
#define CT_IF_CLSACT      0x10 /* the clsact qdisc is there because we needed it */
#define CT_IF_LOOPBACK    0x20 /* what goes out comes in again, the same packet */
#define CT_IF_PARTIAL     0x40 /* checksums of what comes in may be left for hardware to finish */

/*
 * The value of `ifaces`: an open-addressed table, so that a packet finds its interface without
 * hashing. Interface N is in one of the CT_IFACE_PROBES slots that begin at N % CT_IFACES.
 */
#define CT_IFACES 1024
#define CT_IFACE_PROBES 8

struct ct_iface {
	__u32 ifindex; /* 0: free */
	__u32 flags;   /* CT_IF_* */
	__u16 zone;
	__u8 hook;     /* enum ct_hook */
	__u8 used;     /* has been taken: probing goes on behind it */
};

/* The value of `state`: what the programs of an instance share. Every field says who writes it. */
struct ct_state {
	__u64 flows;        /* entries in the table; atomic add by whoever inserts or deletes */
	__u64 unconfirmed;  /* entries between the hooks; atomic add likewise */
	__u32 next_slot[2]; /* index slots ever used, IPv4 and IPv6; atomic add */
	__u32 hand[2];      /* where eviction looks next; atomic add */
	__u32 cursor[2];    /* where the sweep goes on; written by the sweep alone */
	__u32 listening;    /* OR of the listeners' masks; written by user space */
	__u32 sweeping;     /* the sweep's timer is armed */
	__u64 sweep_at;     /* ticks: the unconfirmed are swept again */
	__u64 gc_runs;      /* the rest: written by the sweep alone */
	__u64 gc_scanned;
	__u64 gc_expired;
	__u64 gc_last_ns;
	__u64 max_slots;    /* size of each index; this and the rest: written once by the loader */
	__u64 netns;        /* cookie of the network namespace the instance is for */
	__u32 abi;          /* CT_ABI */
	__u32 pad;
};

/*
 * Messages to the control programs: the "packet" of a BPF_PROG_TEST_RUN of ct_ctl_*. Running them
 * so keeps softirqs off the CPU while an entry is owned, which a syscall program would not.
 * The 14 bytes in front are where test_run expects an Ethernet header.
 */
struct ct_ctl {
	__u8 eth[14];
	__u8 family; /* 0: IPv4 index, 1: IPv6 index */
	__u8 reason; /* delete, flush: enum ct_end */
	__u32 first; /* dump, flush: slot to begin with; on return the slot to go on with */
	__u32 count; /* on return: flows dumped, deleted, ... */
	__u32 full;  /* flush: go on although a ring is full; on return 1 if it stopped for that */
	__u64 now;   /* on return: ticks */
	__u64 now_ns; /* on return: CLOCK_MONOTONIC */
	struct ct_flow flow; /* get, delete: the tuple to find (either direction); on return the flow */
};

/* ct_ctl_dump appends this many flows at most; they fit the linear part of a test packet. */
#define CT_DUMP_FLOWS 16

_Static_assert(sizeof(struct ct_ctl) == 48 + sizeof(struct ct_flow), "ct_ctl is a message");

#endif
