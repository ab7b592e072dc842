/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What loader and programs agree on besides flows: settings, interfaces, shared state, stages,
 * the control programs' messages, and the names under which all of it is pinned.
 */
#ifndef CT_CONFIG_H
#define CT_CONFIG_H

#include "ct_event.h"
#include "ct_filter.h"
#include "ct_proto.h"
#include "ct_types.h"

/*
 * Changes whenever the layout of any pinned map, of the packet record or of a control message does.
 * `upgrade` takes over an instance of another ABI if that one's number is CT_ABI_OLDEST or later, or
 * if that one says that its layouts can be read by a build of ours (ct_state.abi_oldest): values are
 * then converted by the names of their members. So a member's meaning never changes under its name,
 * and struct ct_ctl and the head of struct ct_event (up to their flow) stay as they are.
 */
#define CT_ABI 6
#define CT_ABI_OLDEST 5

/*
 * Stages of a packet's path: indices into xdp_stages and tc_stages. The last two are filled while an
 * upgrade is under way, with the entry programs of the build to come: see struct ct_epoch. An attach
 * with another policy keeps the one before in NEXT until it is decided, and the new one in NEXT_EGRESS:
 * no packet comes there, as no other set of programs is in force (policy.h).
 *	X(id, "name")
 */
#define CT_STAGES(X)                                                                               \
	X(IN, "in")                                                                                \
	X(POLICY, "policy")                                                                        \
	X(CONFIRM, "confirm")                                                                      \
	X(NEXT, "next")                                                                            \
	X(NEXT_EGRESS, "next egress")

enum ct_stage {
#define X(id, name) CT_STAGE_##id,
	CT_STAGES(X)
#undef X
	CT_STAGE_MAX,
};

/* The life of an instance, so that who finds one whose loader died knows what it was about. */
enum ct_life {
	CT_LIFE_MAKING,  /* pinned, and nothing attached yet: to be removed */
	CT_LIFE_RUNNING, /* interfaces are attached */
	CT_LIFE_KEPT,    /* none is: detach --keep */
	CT_LIFE_ENDING,  /* the last one is being detached: to be removed */
};

/* How far a change of the instance has come; see repair.h. */
enum ct_change {
	CT_CHANGE_NONE,
	CT_CHANGE_BEGUN,     /* what is half done is to be taken back */
	CT_CHANGE_DECIDED,   /* it is to be finished */
	CT_CHANGE_AT_SWITCH, /* it is to be finished if ct_epoch.now is not `from` any more */
};

/*
 * The map `epoch`, which all builds of an instance share and whose layout never changes. Every set of
 * programs has a number of its own. An entry program that finds another number here hands the packet
 * to the entry program in the stage CT_STAGE_NEXT, and a sweep stops. So one store switches every
 * hook of an instance on every CPU from one set of programs to the next at once, or back.
 */
struct ct_epoch {
	__u32 now;      /* the set of programs in force; all of it is written by the loader */
	__u32 life;     /* enum ct_life */
	__u32 changing; /* enum ct_change: not 0: a loader is at work on the instance, or died there */
	__u32 from;     /* `now` before the change: see CT_CHANGE_AT_SWITCH */
};

/* The map `secrets`: no program reads it. What the programs of an instance have in common. */
struct ct_secrets {
	__u64 salt[11]; /* multipliers of the key hash */
	__u32 magic;    /* marks metadata and tags */
	__u32 pad;
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
#define CT_IF_COMING      0x100 /* attach is at work on it, or died there */
#define CT_IF_LEAVING     0x200 /* detach likewise */

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
	__u32 mark;    /* of flows whose first packet comes in here */
};

/* The value of `state`: what the programs of an instance share. Every field says who writes it. */
struct ct_state {
	__u64 flows;        /* entries in the table; atomic add by whoever inserts or deletes */
	__u64 unconfirmed;  /* entries between the hooks; atomic add likewise */
	__u32 next_slot[2]; /* index slots ever used, IPv4 and IPv6; atomic add */
	__u32 hand[2];      /* where eviction looks next; atomic add */
	__u32 cursor[2];    /* where the sweep goes on; written by the sweep alone */
	__u64 sweep_at;     /* ticks: the unconfirmed are swept again */
	__u64 gc_runs;      /* the rest: written by the sweep alone */
	__u64 gc_scanned;
	__u64 gc_expired;
	__u64 gc_last_ns;
	__u64 max_slots;    /* size of each index; this and the rest: written once by the loader */
	__u64 netns;        /* cookie of the network namespace the instance is for */
	__u32 abi;          /* CT_ABI */
	__u32 abi_oldest;   /* builds of this ABI and later understand the layouts */
	__u64 build;        /* what the programs were made from: object_build() */
	__u32 merged[2];    /* how much of the table before has been counted: slots, ~0 all of them */
	__u32 merged_stats; /* its counters, too */
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
	__u8 reason; /* delete, flush: enum ct_end; adopt: enum ct_adopt */
	__u32 first; /* dump, select, change, flush: slot to begin with; on return the slot to go on with, if
		      * the program returned 1 (one that has not got on has met an entry that somebody owns,
		      * and is to be tried again); create: seconds that the flow lasts; on return of a restore:
		      * flows that were there */
	__u32 count; /* adopt, restore: flows behind the message; on return: flows dumped, deleted, entered */
	__u32 full;  /* dump, select: what is past its time, too; change, flush, restore: go on although a ring
		      * is full; on return of change and flush: it stopped for that; of an adopt or a restore:
		      * flows that found no room */
	__u64 now;   /* on return: ticks */
	__u64 now_ns; /* on return: CLOCK_MONOTONIC */
	struct ct_flow flow; /* get, delete: the tuple to find (either direction); on return the flow;
			      * change: likewise, if its family is not 0; create: what is to be */
};

/* What ct_ctl_select and ct_ctl_change do with each flow that they find. */
enum ct_action {
	CT_ACTION_COUNT,  /* select: nothing */
	CT_ACTION_DUMP,   /* select: append it */
	CT_ACTION_DELETE, /* change: end it, as m->reason says */
	CT_ACTION_UPDATE, /* change: give it another mark, another timeout */
};

/*
 * The request behind the message of ct_ctl_select and ct_ctl_change: which flows, and what is to become
 * of them. They return 0 after the last slot, 1 if there are more. One that goes on where it began has
 * met an entry that somebody else owns for long: it is to be tried again.
 */
struct ct_request {
	struct ct_filter filter;
	__u32 mark;       /* update: the mark will be (mark & ~mark_mask) ^ this, as conntrack(8) has it */
	__u32 mark_mask;
	__u32 timeout;    /* update: seconds, if ... */
	__u8 set_timeout; /* ... this is not 0 */
	__u8 action;      /* enum ct_action */
	__u8 pad[6];      /* flows follow, aligned */
};

/*
 * What ct_ctl_adopt does with flows of another table of this instance, which are in the hands of the
 * programs before. No event is sent for it and nothing is counted: these flows began, or ended, there.
 */
enum ct_adopt {
	CT_ADOPT_ENTER,    /* put into the table what isn't there: with counters of 0 */
	CT_ADOPT_RENEW,    /* state and time, if no packet has met it here yet */
	CT_ADOPT_COUNT,    /* both, and add the counters: of the slots from `first` to before `full`, once
			    * only (ct_state.merged), so that who finishes a dead loader's work can repeat
			    * it; on return `first` is where to go on */
	CT_ADOPT_FORGET,   /* take it out again */
};

/* ct_ctl_dump and ct_ctl_select append this many flows at most; ct_ctl_adopt and _restore take as many. */
#define CT_DUMP_FLOWS 16

_Static_assert(sizeof(struct ct_ctl) == 48 + sizeof(struct ct_flow), "ct_ctl is a message");
_Static_assert(sizeof(struct ct_request) == sizeof(struct ct_filter) + 20, "and so is ct_request");
_Static_assert(sizeof(struct ct_request) % 8 == 0, "flows follow it");

#endif
