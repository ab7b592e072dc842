/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a flow is: its tuple as a packet shows it, the canonical key it is found under, and the
 * entry that holds its state. Shared by the programs (bpf/), the loader (user/) and the tests.
 *
 * Byte order: addresses and ports are in network order wherever they are stored. Everything else
 * is in host order. Times called "ticks" are jiffies (bpf_jiffies64(), CT_TICKS_PER_SEC is HZ);
 * times called "ns" are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef CT_TYPES_H
#define CT_TYPES_H

#ifndef __VMLINUX_H__ /* a program that has it has the types, and can't have both */
#include <linux/types.h>
#endif

/* The two directions of a flow: that of the packet which opened it, and the other. */
enum ct_dir {
	CT_ORIGINAL,
	CT_REPLY,
	CT_DIRS,
};

/*
 * What the tracker says of a packet; the names are nf_conntrack's (ct state).
 *	X(id, key, "help")
 */
#define CT_CLASSES(X)                                                                              \
	X(NEW, new, "opens a flow, or repeats an opening nobody answered yet")                     \
	X(ESTABLISHED, established, "belongs to a flow that has seen a reply")                     \
	X(RELATED, related, "an ICMP error about a packet of a tracked flow")                      \
	X(INVALID, invalid, "unparseable, or impossible in the state of its flow")                 \
	X(UNTRACKED, untracked, "IP, but let through without looking for a flow")

enum ct_class {
#define X(id, key, help) CT_##id,
	CT_CLASSES(X)
#undef X
	CT_CLASS_MAX,
};

/*
 * Status bits of an entry. Numbers and names are the kernel's (enum ip_conntrack_status), so that
 * scripts written for conntrack(8) keep their meaning.
 *	X(id, bit, "NAME")
 */
#define CT_STATUSES(X)                                                                             \
	X(SEEN_REPLY, 1, "SEEN_REPLY")                                                             \
	X(ASSURED, 2, "ASSURED")                                                                   \
	X(CONFIRMED, 3, "CONFIRMED")                                                               \
	X(DYING, 9, "DYING")

enum ct_status {
#define X(id, bit, name) CT_S_##id = 1 << (bit),
	CT_STATUSES(X)
#undef X
};

/*
 * One more, of our own and never shown (the kernel's is that of templates, which are in no table): a copy
 * of an entry of the table before, that no packet has met. See enum ct_adopt.
 */
#define CT_S_ADOPTED (1 << 11)
/* And another: the flow is among those that `sources` counts for its source (source.h). */
#define CT_S_COUNTED (1 << 12)
#define CT_S_INTERNAL (CT_S_ADOPTED | CT_S_COUNTED)

/* Address families as conntrack(8) prints them: "ipv4     2", "ipv6     10". */
#define CT_IPV4 2
#define CT_IPV6 10

union ct_addr {
	__be32 ip; /* the three words behind it are zero */
	__be32 ip6[4];
};

/*
 * A packet's addresses as seen, and the key of the table of unconfirmed flows.
 *
 * sport/dport: TCP, UDP, UDP-Lite, SCTP ports; for ICMP queries the identifier (sport) and
 * type << 8 | code (dport, network order: type is the first byte); for GRE version 1 (PPTP) 0 and
 * the call id, which is that of the direction's receiver; 0 for every other protocol.
 */
struct ct_tuple {
	union ct_addr src;
	union ct_addr dst;
	__be16 sport;
	__be16 dport;
	__u16 zone;
	__u8 proto;  /* IPPROTO_* */
	__u8 family; /* CT_IPV4, CT_IPV6 */
};

/*
 * The canonical keys: both directions of a flow have the same one, so a packet costs one lookup.
 * The endpoints (address, port) are ordered as pairs, lower first; ordering addresses and ports
 * apart would make one key of two flows. ICMP queries are kept in the request's orientation
 * instead, because the request and its answer carry different types.
 *
 * `pad` is zero in the tables. In the slot index the same byte holds the slot's hint (table.h).
 */
struct ct_key4 {
	__be32 addr[2];
	__be16 port[2];
	__u16 zone;
	__u8 proto;
	__u8 pad;
};

struct ct_key6 {
	__be32 addr[2][4];
	__be16 port[2];
	__u16 zone;
	__u8 proto;
	__u8 pad;
};

/* Who is held to `max_unassured_per_source`: an IPv4 address, or the upper half of an IPv6 one. */
struct ct_source {
	union ct_addr addr;
	__u16 zone;
	__u8 family;
	__u8 pad;
};

struct ct_counters {
	__u64 packets; /* a GSO packet counts as the segments it stands for */
	__u64 bytes;   /* from the IP header on */
};

/*
 * What the TCP tracker knows of one side of a connection: the bounds of what it may send. Sequence
 * numbers in host order; see proto_tcp.h for the inequalities.
 */
struct ct_tcp_peer {
	__u32 end;    /* after the last byte it has sent */
	__u32 maxend; /* how far the other side lets it send: highest ACK + window */
	__u32 maxwin; /* the largest window it has offered, scaled; 0: it has not been seen yet */
	__u32 maxack; /* its highest ACK number */
};

/* What the TCP tracker remembers of a connection: 52 bytes. */
struct ct_tcp {
	struct ct_tcp_peer peer[CT_DIRS];
	__u32 last_seq; /* of the last packet that was accepted or ignored */
	__u32 last_ack;
	__u32 last_end; /* its sequence number after the last byte, SYN and FIN included */
	__u16 last_win; /* as it is in the header */
	__u8 peer_flags[CT_DIRS]; /* enum ct_tcp_peer_flags */
	__u8 scale[CT_DIRS];      /* shift of the windows that side offers */
	__u8 last_index : 3;      /* enum ct_tcp_index */
	__u8 last_dir : 1;        /* enum ct_dir */
	__u8 simultaneous : 1;    /* both sides opened with a SYN */
	__u8 challenge : 1;       /* a SYN came in LAST_ACK: its answer may be a challenge ACK */
	__u8 last_sack_perm : 1;  /* options of a SYN that was ignored */
	__u8 last_scaled : 1;
	__u8 last_scale : 4;
	__u8 retransmits : 4;     /* of the last packet; stays at 15 */
};

struct ct_udp {
	__u32 stream_at; /* ticks, low 32 bits: replied traffic from here on makes the flow a stream */
};

/*
 * What the SCTP tracker remembers of an association. `tag[dir]` is the verification tag that
 * packets of this direction carry; 0: not known yet.
 */
struct ct_sctp {
	__be32 tag[CT_DIRS];
	__u8 init[CT_DIRS];    /* an INIT has been seen, and no COOKIE ACK since */
	__u8 wrong_tag : 1;    /* the last HEARTBEAT had another tag, and ... */
	__u8 wrong_dir : 1;    /* ... this direction: its answer may tell that it was right */
	__u8 untold : 1;       /* the state was changed by a packet that was refused in the end */
};

/*
 * The state of a flow: the value in ct4 and ct6. Whoever holds the BUSY bit of `word` owns all
 * the rest and may read and write it plainly; table.h argues why that is safe although elements
 * are re-used the moment they are deleted.
 *
 * 120 bytes: with the kernel's 48 of element header and a 16-byte key the stride is 184, which
 * keeps an IPv4 flow, bucket, index and free list included, below 224 bytes.
 */
struct ct_entry {
	__u64 word;    /* hash << 32 | generation << 8 | phase: who this is and who may touch it */
	__u64 expires; /* ticks; from this moment on the entry is a miss */
	__u32 slot;    /* place in the slot index */
	__u32 mark;
	__u16 status;  /* CT_S_* */
	__u8 state;    /* of the protocol; 0 where it has none */
	__u8 swapped;  /* the original direction runs from endpoint 1 of the key to endpoint 0 */
	union {
		struct ct_tcp tcp;
		struct ct_udp udp;
		struct ct_sctp sctp;
		__u32 words[13];
	} l4;
	struct ct_counters counters[CT_DIRS];
	__u64 start; /* ns, when it was confirmed */
};

/* An entry and whose it is: what events carry and `list` reads. */
struct ct_flow {
	struct ct_tuple tuple; /* of the original direction */
	struct ct_entry entry;
};

/* The parts of ct_entry.word. */
#define CT_WORD_BUSY  0x01ULL /* somebody owns the entry */
#define CT_WORD_LIVE  0x02ULL /* it is in the table (or among the unconfirmed) */
#define CT_WORD_DEAD  0x04ULL /* its DESTROY is out; waiting for the map to drop it */
#define CT_WORD_PHASE 0xffULL
#define CT_WORD_GENERATION 0xffffff00ULL
#define CT_WORD_HASH_SHIFT 32

_Static_assert(sizeof(struct ct_tuple) == 40, "ct_tuple is a map key: no holes");
_Static_assert(sizeof(struct ct_key4) == 16, "ct_key4 is a map key: no holes");
_Static_assert(sizeof(struct ct_key6) == 40, "ct_key6 is a map key: no holes");
_Static_assert(sizeof(struct ct_source) == 20, "ct_source is a map key: no holes");
_Static_assert(sizeof(struct ct_tcp) == 52, "ct_tcp fits ct_entry");
_Static_assert(sizeof(struct ct_sctp) == 12, "ct_sctp: no holes");
_Static_assert(sizeof(struct ct_entry) == 120, "ct_entry: 224 bytes a flow depend on it");
_Static_assert(sizeof(struct ct_flow) == 160, "ct_flow is a record that leaves the program");

#endif
