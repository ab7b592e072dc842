/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many flows that are not assured each source has: `max_unassured_per_source`.
 *
 * A flow is counted for the source of its original direction when it is put into the table, if the
 * limit is on and it is not assured yet, and then has CT_S_COUNTED. It is counted out by whoever
 * takes that bit away: the packet that makes it assured, or whoever ends it. The bit is part of the entry
 * and so its owner's (table.h); so each flow is counted out exactly once, however it ends, whether
 * the limit has been switched off meanwhile or not. Flows from before it was switched on are not
 * counted. There is nothing that could drift, and nothing to count again.
 *
 * The counts
 * ----------
 * `sources` is a hash map, not an LRU, which would forget the worst sources' counts when there are many.
 * Each element is there for a flow. When so many sources have flows that it is full, those that are in it
 * are limited, and others are not. An element's word is
 *
 *	hash of the key << 32 | CT_SOURCE_DEAD | flows
 *
 *   - in: cmpxchg of the word that was read, +1. Elements are used again the moment they are deleted,
 *     so that pointer may show another source by then: but with another hash, and the cmpxchg fails.
 *   - out: an atomic -1. The flow that is counted out is itself why the element can't have gone.
 *   - Who has counted down to 0 claims the element (0 -> DEAD, by cmpxchg: it fails if somebody has come
 *     in) and deletes it. Nobody comes into a DEAD one, nobody else deletes it, and until it is gone
 *     the key can't be inserted again.
 *   - A delete that the map refuses (before 6.15 a bucket can be busy) leaves 0 flows and no claim: the
 *     next one of that source comes in there.
 *
 * Who finds a DEAD element waits a little for its deletion, on another CPU; then, or when there is no
 * memory or no room, he goes in uncounted: a source that has just had no flow left is not one that floods.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "maps.h"
#include "tuple.h"

#define CT_SOURCE_TRIES 32
#define CT_SOURCE_FLOWS 0x7fffffffULL
#define CT_SOURCE_DEAD	0x80000000ULL
#define CT_SOURCE_HASH_SHIFT 32

/* No limit: for flows that another table had counted. */
#define CT_SOURCE_ALL CT_SOURCE_FLOWS

enum ct_source_fate {
	CT_SOURCE_COUNTED,
	CT_SOURCE_UNCOUNTED, /* it may go in, but its count could not be kept */
	CT_SOURCE_REFUSED,
};

static __always_inline void ct_source_of(struct ct_source *source, const struct ct_tuple *original)
{
	__builtin_memset(source, 0, sizeof(*source));
	source->addr = original->src;
	if (original->family == CT_IPV6) { /* a host has a /64 to itself */
		source->addr.ip6[2] = 0;
		source->addr.ip6[3] = 0;
	}
	source->zone = original->zone;
	source->family = original->family;
}

/* One more flow of this source, unless it has as many as `limit`. enum ct_source_fate. */
ct_global int ct_source_enter(const struct ct_tuple *original, __u32 limit)
{
	struct ct_source source;
	__u64 hash, word, first;
	__u64 *count;

	if (!original)
		return CT_SOURCE_UNCOUNTED;
	ct_source_of(&source, original);
	hash = ct_hash_words((const __u32 *)&source, sizeof(source) / 4, ct_salt);
	first = hash << CT_SOURCE_HASH_SHIFT | 1;
	for (int i = 0; i < CT_SOURCE_TRIES; i++) {
		count = bpf_map_lookup_elem(&sources, &source);
		if (!count) {
			long err = bpf_map_update_elem(&sources, &source, &first, BPF_NOEXIST);

			if (!err)
				return CT_SOURCE_COUNTED;
			if (err != -CT_EEXIST)
				return CT_SOURCE_UNCOUNTED;
			continue;
		}
		word = READ_ONCE(*count);
		if (word >> CT_SOURCE_HASH_SHIFT != hash || word & CT_SOURCE_DEAD)
			continue;
		if ((word & CT_SOURCE_FLOWS) >= limit)
			return CT_SOURCE_REFUSED;
		if (__sync_val_compare_and_swap(count, word, word + 1) == word)
			return CT_SOURCE_COUNTED;
	}
	return CT_SOURCE_UNCOUNTED;
}

/* One less. The caller has taken CT_S_COUNTED off a flow of this source, or never let it have it. */
ct_global int ct_source_leave(const struct ct_tuple *original)
{
	struct ct_source source;
	__u64 *count;
	__u64 word;

	if (!original)
		return 0;
	ct_source_of(&source, original);
	count = bpf_map_lookup_elem(&sources, &source);
	/* Else somebody has deleted the element behind our back (bpftool). */
	if (!count || !(READ_ONCE(*count) & CT_SOURCE_FLOWS))
		return 0;
	word = __sync_fetch_and_sub(count, 1) - 1;
	if (word & CT_SOURCE_FLOWS ||
	    __sync_val_compare_and_swap(count, word, word | CT_SOURCE_DEAD) != word)
		return 0;
	if (bpf_map_delete_elem(&sources, &source))
		WRITE_ONCE(*count, word);
	return 0;
}

#endif
