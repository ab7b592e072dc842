/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map: what is in it, who writes, who deletes, and what a race can at worst do. One file
 * touches each; the sizes of those marked "sized by the loader" are set before loading.
 */
#ifndef MAPS_H
#define MAPS_H

#include "frag.h"
#include "pkt.h"

/* What helpers of maps say, and are told. */
#define CT_ENOENT 2
#define CT_EBUSY 16
#define CT_EEXIST 17
#define CT_ENOSPC 28
#define CT_EDQUOT 122

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2

/*
 * The confirmed flows. Touched by table.h alone, which argues its concurrency.
 * Sized by the loader (--max).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ct_key4);
	__type(value, struct ct_entry);
} ct4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ct_key6);
	__type(value, struct ct_entry);
} ct6 SEC(".maps");

/*
 * New flows on their way from one hook to the next, by the tuple of their first packet *as seen*:
 * a reply does not find them. An LRU, because they may be lost: the next packet of the flow starts
 * again. Touched by table.h.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct ct_tuple);
	__type(value, struct ct_entry);
} unconfirmed SEC(".maps");

/*
 * Datagrams of which fragments are on their way. An LRU, because they may be lost: fragments then
 * pass untracked. Touched by fragment.h. Whoever owns one (`busy`, by cmpxchg, with softirqs off,
 * for less than a microsecond) may read and write it, if it is still the datagram of that id. An
 * element that is deleted or pushed out while somebody owns it may become another datagram's under
 * his hands: one datagram is then misjudged, refused or counted for the flow of another of its id.
 * Sized by the loader: before 6.16 an LRU hands out its elements by 128 for each CPU, so one with
 * fewer than that for a CPU forgets at once.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct ct_frag_key);
	__type(value, struct ct_datagram);
} fragments SEC(".maps");

/*
 * The slot index: the keys of the confirmed flows in an array, so that sweeps, dumps, flushes and
 * evictions can go on where they stopped, which a hash map doesn't offer. A slot belongs to the
 * entry that names it, from before the entry is inserted until after it is deleted; `pad` of the
 * key holds the slot's hint (table.h). Sized by the loader.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_key4);
} index4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_key6);
} index6 SEC(".maps");

/* Slots that were used and are free again; the others are above state.next_slot. Sized likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
} free4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
} free6 SEC(".maps");

/*
 * Flows that are not assured, by source, while that is limited. Touched by source.h alone, which argues
 * its concurrency. Sized by the loader: a quarter as many as flows, for the buckets are taken whether the
 * limit is on or not; elements are as they come.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct ct_source);
	__type(value, __u64);
} sources SEC(".maps");

/*
 * Written by `ctloader set`, one aligned word at a time; packets read what they need. A packet may
 * see one of two settings changed together before the other.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_settings);
} settings SEC(".maps");

/* What the CPUs share; struct ct_state says who writes what. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_state);
} state SEC(".maps");

/* Counters: each CPU adds to its own, with softirqs off; readers sum them up. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_stats);
} stats SEC(".maps");

/* Interfaces we are attached to. Written by the loader; a packet sees an entry before or after. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CT_IFACES);
	__type(key, __u32);
	__type(value, struct ct_iface);
} ifaces SEC(".maps");

/* The packet record, one per CPU and hook: see pkt.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CT_RECORDS);
	__type(key, __u32);
	__type(value, struct ct_pkt);
} record SEC(".maps");

/*
 * Room for a piece of a packet whose checksum is being verified. Touched by csum.h, within one
 * program: no second one begins on this CPU meanwhile, see pkt.h.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_chunk);
} chunk SEC(".maps");

/* The stages of each hook type: filled by the loader. Both types of program array are strict. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CT_STAGE_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xdp_stages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CT_STAGE_MAX);
	__type(key, __u32);
	__type(value, __u32);
} tc_stages SEC(".maps");

/* A ring per listener, made and owned by it. Written by listeners; read in event.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CT_LISTENERS);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} listeners SEC(".maps");

/*
 * A second ring of each reliable listener, its backlog; made, registered and removed by it as the first, and
 * gone with it. Read in event.h, which argues the order of what is in the two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CT_LISTENERS);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} backlogs SEC(".maps");

/* Masks (written by the listeners) and counts (atomics of the programs), see struct ct_listeners. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_listeners);
} listener_state SEC(".maps");

/* Written once by the loader, read by that of the build to come. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_secrets);
} secrets SEC(".maps");

/*
 * The sweep's clockwork: armed by ct_ctl_arm, re-armed by itself, cancelled with the map. There is one
 * timer, whichever build's callback it has: arming it again replaces that.
 */
struct ct_sweep_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_sweep_timer);
} sweep_timer SEC(".maps");

/*
 * Set by the loader before loading; the verifier folds them into the code.
 */
const volatile __u32 ct_epoch_own = 1;  /* the number of this set of programs */
const volatile __u64 ct_salt[11] = {}; /* secret multipliers of the key hash */
const volatile __u32 ct_magic = 0;     /* marks our metadata and tags */
const volatile bool ct_test_clock = 0; /* time comes from ct_test_now, not from jiffies */
const volatile __u64 ct_ns_per_tick = 4000000;
const volatile bool ct_weak_memory = 0; /* stores may pass each other: not on x86 */
const volatile __u32 ct_ip_summed = 0;  /* bit where skb->ip_summed begins; 0: not known */

/*
 * The map `epoch`, a struct ct_epoch (in words, so that the skeleton needs no type of ours): its first
 * is read by every packet.
 */
__u32 ct_epoch[sizeof(struct ct_epoch) / 4] SEC(".data.epoch") = { 1 };

/* Is it for another set of programs to do the work? */
static __always_inline bool ct_superseded(void)
{
	return unlikely(READ_ONCE(ct_epoch[0]) != ct_epoch_own);
}

/*
 * The tick (its lower half) in which an eviction has found nobody, for each family; written by evictions. Who
 * misses a store looks round for himself.
 */
__u32 ct_barren[2] = {};

/*
 * Nothing, which the verifier doesn't know. Before 6.7 it goes through the callback of bpf_loop() once, and
 * takes away what can't happen with the values that the context has then.
 */
__u32 ct_zero = 0;

/*
 * How many unconfirmed flows have been taken out, ever, by this set of programs; added to by whoever takes one
 * out, after he has counted it out and before it is deleted. The sweep wants it.
 */
__u64 ct_unconfirmed_gone = 0;

/* The time, if the test says so. In ticks. */
__u64 ct_test_now = 0;

static __always_inline __u64 ct_now(void)
{
	return ct_test_clock ? READ_ONCE(ct_test_now) : bpf_jiffies64();
}

static __always_inline __u64 ct_now_ns(__u64 now)
{
	return ct_test_clock ? now * ct_ns_per_tick : bpf_ktime_get_ns();
}

static __always_inline struct ct_pkt *ct_record(__u32 slot)
{
	return bpf_map_lookup_elem(&record, &slot);
}

static __always_inline struct ct_state *ct_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&state, &zero);
}

static __always_inline struct ct_listeners *ct_listeners(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&listener_state, &zero);
}

/* pair[engine], in the form in which every verifier sees the bound. */
static __always_inline __u32 *ct_of(__u32 pair[2], __u32 engine)
{
	return engine ? &pair[1] : &pair[0];
}

static __always_inline struct ct_settings *ct_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

static __always_inline struct ct_iface *ct_iface(__u32 ifindex)
{
	for (int i = 0; i < CT_IFACE_PROBES; i++) {
		__u32 at = (ifindex + i) % CT_IFACES;
		struct ct_iface *iface = bpf_map_lookup_elem(&ifaces, &at);

		if (!iface)
			return NULL;
		if (iface->ifindex == ifindex)
			return iface;
		if (!iface->ifindex && !iface->used)
			return NULL;
	}
	return NULL;
}

#endif
