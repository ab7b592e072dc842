/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a frame to a tuple. Pure: reads the bytes it is given and nothing else, writes no packet.
 *
 * Two lengths bound every read. `end` is how far the *packet* reaches, by the frame's length and
 * then by what the IP header says; passing it is the packet's fault and gets a reason. `data_end`
 * is how far the packet is *readable* at the moment (an skb may keep its tail elsewhere); passing
 * it gives CT_PARSE_MORE, and the caller pulls the rest in and asks again.
 *
 * Offsets are scalars below CT_PARSE_REACH; each access starts again from `data`, because that is
 * the form in which the verifier follows a bound through a loop.
 */
#ifndef PARSE_H
#define PARSE_H

#include "compat.h"

#include "../include/ct_proto.h"
#include "../include/ct_stats.h"
#include "../include/ct_types.h"
#include "sum.h"

/* What ct_parse() returns besides 0 and enum ct_reason. */
#define CT_PARSE_NOT_IP (-1) /* leave it alone */
#define CT_PARSE_MORE   (-2) /* more of the packet must be made readable */

/* No header we follow lies beyond; it also keeps offsets where the verifier wants them. */
#define CT_PARSE_REACH 0x3fff
#define CT_MAX_EXT_HEADERS 32
#define CT_MAX_VLAN_TAGS 2
#define CT_IP4_MAX_HEADER 60
#define CT_TCP_MAX_OPTIONS 40
#define CT_TCP_MAX_SCALE 14 /* RFC 7323 2.3 */
#define CT_SCTP_MAX_CONTROL 16 /* chunks that go into ct_parsed.chunks */

/* How the frame begins, and what its length fields may be worth. */
#define CT_FRAME_L3  0x1 /* with the IP header; the version tells which */
#define CT_FRAME_GSO 0x2 /* a super-packet: its IP length may be 0 (BIG TCP) */

/* TCP options that a packet has. */
enum ct_tcp_option {
	CT_TO_SCALE = 0x1,     /* RFC 7323 */
	CT_TO_SACK_PERM = 0x2, /* RFC 2018 */
	CT_TO_SACK = 0x4,      /* RFC 2018 */
	CT_TO_ANY = 0x8,       /* something, even if only padding */
};

/*
 * SCTP chunks (RFC 9260 3.2) as the tracker sees them: those of its table, and how the others are
 * called in a set of 1 << enum ct_sctp_chunk.
 */
enum ct_sctp_chunk {
	CT_SC_END, /* of a list */
	CT_SC_INIT,
	CT_SC_INIT_ACK,
	CT_SC_ABORT,
	CT_SC_SHUTDOWN,
	CT_SC_SHUTDOWN_ACK,
	CT_SC_ERROR,
	CT_SC_COOKIE_ECHO,
	CT_SC_COOKIE_ACK,
	CT_SC_SHUTDOWN_COMPLETE,
	CT_SC_HEARTBEAT,
	CT_SC_HEARTBEAT_ACK,
	CT_SC_ABORT_T, /* with the T bit: the tag is that of the other direction */
	CT_SC_SHUTDOWN_COMPLETE_T,
	CT_SC_DATA,
	CT_SC_OTHER,
};

/* Chunks that have to be the only one of their packet, or the first. */
#define CT_SC_ALONE                                                                                \
	(1 << CT_SC_INIT | 1 << CT_SC_INIT_ACK | 1 << CT_SC_SHUTDOWN_COMPLETE |                    \
	 1 << CT_SC_SHUTDOWN_COMPLETE_T)
#define CT_SC_FIRST (CT_SC_ALONE | 1 << CT_SC_COOKIE_ECHO | 1 << CT_SC_COOKIE_ACK)

/* A packet that is not a whole datagram. */
enum ct_fragment {
	CT_FRAG_NONE,
	CT_FRAG_FIRST, /* lengths inside may exceed it */
	CT_FRAG_LATER, /* `tuple` has no ports, and IPv6's proto is that of the fragment header */
};

/* What the trackers need to know of a packet. */
struct ct_parsed {
	struct ct_tuple tuple; /* as seen; zone is left 0 */
	struct ct_tuple inner; /* of the packet an ICMP error is about, as that one was sent */
	__u32 len;             /* bytes from the IP header to the end of the IP packet */
	__u32 bytes;           /* of these, what counts: a datagram in fragments adds up to the whole one */
	__u32 l4_off;          /* where in the frame the header behind IP begins, and ... */
	__u32 l4_end;          /* ... where the IP packet ends */
	__u32 frag_id;         /* of a fragment; in network order */
	__u32 frag_off;        /* bytes of the datagram's payload that come before it */
	__u32 frag_len;        /* bytes that it has */
	__u32 need;            /* bytes that the header behind IP says there must be; 0: it doesn't say */
	union {
		struct { /* TCP, in host order */
			__u32 seq;
			__u32 ack;
			__u32 sack;       /* `ack`, or the highest right edge of the SACK blocks above it */
			__u16 win;        /* as it is in the header */
			__u8 tcp_flags;   /* enum ct_tcp_flag */
			__u8 tcp_options; /* enum ct_tcp_option */
		};
		struct { /* SCTP */
			__be32 tag;       /* verification tag */
			__be32 init_tag;  /* of an INIT or INIT ACK */
			__u64 chunks;     /* enum ct_sctp_chunk, 4 bits each, the first one lowest */
		};
	};
	__u32 payload;         /* bytes behind the TCP header */
	__u8 icmp_error;       /* `inner` is filled in */
	__u8 fragment;         /* enum ct_fragment */
	__u8 walk_next;        /* where ct_skip_ext() is: type of the header, and its offset */
	__u8 tos;              /* IPv4 type of service, IPv6 traffic class */
	__u32 walk_off;
	__u32 walk_left;       /* bytes of TCP options or SCTP chunks at walk_off */
	__u16 chunk_set;       /* SCTP: 1 << enum ct_sctp_chunk */
	__u8 chunk_count;      /* in `chunks` */
	__u8 scale;            /* TCP, with CT_TO_SCALE */
	__u8 frag_more;        /* of a fragment: it is not the last one */
	__u8 hops;             /* IPv6 hop limit */
	__be16 check;          /* TCP's or UDP's checksum */
};

/* Headers as they are on the wire, without bit-fields: the same on every machine. */
struct ct_wire_eth {
	__u8 dst[6];
	__u8 src[6];
	__be16 proto;
};

struct ct_wire_vlan {
	__be16 tci;
	__be16 proto;
};

struct ct_wire_ip4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 len;
	__be16 id;
	__be16 frag; /* flags:3, offset:13 in units of 8 bytes */
	__u8 ttl;
	__u8 proto;
	__be16 check;
	__be32 src;
	__be32 dst;
};

struct ct_wire_ip6 {
	__u8 version_class;
	__u8 class_flow[3];
	__be16 payload;
	__u8 next;
	__u8 hops;
	__be32 src[4];
	__be32 dst[4];
};

struct ct_wire_ext {
	__u8 next;
	__u8 len;
	__be16 frag; /* fragment header: offset:13, reserved:2, more:1 */
	__be32 rest;
};

struct ct_wire_tcp {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 doff; /* in its upper half, in words */
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

struct ct_wire_option {
	__u8 kind;
	__u8 len; /* not with kinds 0 and 1 */
};

struct ct_wire_sack {
	__be32 left;
	__be32 right;
} __attribute__((packed)); /* where the option before it ends, that is, anywhere */

struct ct_wire_ports {
	__be16 sport;
	__be16 dport;
};

struct ct_wire_udp {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__be16 check;
};

struct ct_wire_sctp {
	__be16 sport;
	__be16 dport;
	__be32 tag;
	__be32 crc;
};

struct ct_wire_chunk {
	__u8 type;
	__u8 flags;
	__be16 len; /* this header included, padding not */
};

struct ct_wire_init {
	__be32 tag;
	__be32 window;
	__be16 out_streams;
	__be16 in_streams;
	__be32 tsn;
};

struct ct_wire_gre {
	__be16 flags; /* version in the lowest three bits */
	__be16 proto;
};

struct ct_wire_pptp { /* RFC 2637 4.1: GRE version 1 */
	struct ct_wire_gre gre;
	__be16 payload;
	__be16 call_id;
};

struct ct_wire_icmp {
	__u8 type;
	__u8 code;
	__be16 check;
	__be16 id;
	__be16 seq;
};

struct ct_wire_redirect {
	struct ct_wire_icmp icmp;
	__be32 target[4];
	__be32 dst[4];
	__u8 option;
	__u8 option_len; /* in units of 8 bytes */
	__u8 reserved[6];
};

/* The readable part of the packet. */
struct ct_frame {
	const void *data;
	const void *data_end;
};

/*
 * A walk through options, chunks or extension headers by bpf_loop(): the verifier looks at a step a
 * few times, instead of at each there may be. The cursor is in *p, which is a map's memory.
 */
struct ct_walk {
	struct ct_parsed *p;
	struct ct_frame f;
	__u32 end;   /* of what is walked through */
	bool inner;  /* in the packet that an ICMP error carries */
	int result;  /* as ct_parse() */
};

/* `len` bytes at `off`, or NULL if they are not readable. `off` is bounded here. */
static __always_inline const void *ct_at(const struct ct_frame *f, __u32 off, __u32 len)
{
	const char *p = f->data;

	if (off > CT_PARSE_REACH)
		return NULL;
	/* Once more: clang may have checked a copy, and verifiers before 6.8 don't see the relation. */
	barrier_var(off);
	p += off & CT_PARSE_REACH;
	/* Or clang checks data + (off + len), which older verifiers do not connect with p. */
	barrier_var(p);
	if (p + len > (const char *)f->data_end)
		return NULL;
	return p;
}

/* RFC 9293, and tcp_valid_flags[] of nf_conntrack: PSH, ECE and CWR may come with any of these. */
static __always_inline bool ct_tcp_flags_valid(__u8 flags)
{
	switch (flags & ~(CT_TCP_PSH | CT_TCP_ECE | CT_TCP_CWR)) {
	case CT_TCP_SYN:
	case CT_TCP_SYN | CT_TCP_URG:
	case CT_TCP_SYN | CT_TCP_ACK:
	case CT_TCP_RST:
	case CT_TCP_RST | CT_TCP_ACK:
	case CT_TCP_FIN | CT_TCP_ACK:
	case CT_TCP_FIN | CT_TCP_ACK | CT_TCP_URG:
	case CT_TCP_ACK:
	case CT_TCP_ACK | CT_TCP_URG:
		return true;
	default:
		return false;
	}
}

enum ct_icmp_kind {
	CT_ICMP_OTHER,
	CT_ICMP_REQUEST,
	CT_ICMP_ANSWER,
	CT_ICMP_ERROR,
	CT_ICMP_ND,
	CT_ICMP_REDIRECT, /* of IPv6; IPv4's is an error like others */
};

/*
 * What an ICMP type is to a tracker. Only requests open flows; router solicitation (10) and the
 * like have no inverse and are not questions (nf_conntrack_proto_icmp.c, ..._icmpv6.c).
 */
static __always_inline enum ct_icmp_kind ct_icmp4_kind(__u8 type)
{
	switch (type) {
	case 8:  /* echo */
	case 13: /* timestamp */
	case 15: /* information */
	case 17: /* address mask */
		return CT_ICMP_REQUEST;
	case 0:
	case 14:
	case 16:
	case 18:
		return CT_ICMP_ANSWER;
	case 3:  /* destination unreachable */
	case 4:  /* source quench */
	case 5:  /* redirect */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		return CT_ICMP_ERROR;
	default:
		return CT_ICMP_OTHER;
	}
}

static __always_inline enum ct_icmp_kind ct_icmp6_kind(__u8 type)
{
	switch (type) {
	case 128: /* echo */
	case 139: /* node information */
		return CT_ICMP_REQUEST;
	case 129:
	case 140:
		return CT_ICMP_ANSWER;
	case 130 ... 136: /* multicast listeners, routers, neighbours */
	case 143:         /* listener report v2 */
	case 151:         /* multicast router discovery */
	case 152:
		return CT_ICMP_ND;
	case 137:
		return CT_ICMP_REDIRECT;
	default:
		return type < 128 ? CT_ICMP_ERROR : CT_ICMP_OTHER;
	}
}

static __always_inline enum ct_icmp_kind ct_icmp_kind(__u8 family, __u8 type)
{
	return family == CT_IPV4 ? ct_icmp4_kind(type) : ct_icmp6_kind(type);
}

static __always_inline bool ct_is_icmp(const struct ct_tuple *t)
{
	return t->proto == (t->family == CT_IPV4 ? CT_IPPROTO_ICMP : CT_IPPROTO_ICMPV6);
}

static __always_inline bool ct_has_ports(__u8 proto)
{
	return proto == CT_IPPROTO_TCP || proto == CT_IPPROTO_UDP || proto == CT_IPPROTO_SCTP ||
	       proto == CT_IPPROTO_UDPLITE;
}

static __always_inline void ct_tuple_icmp(struct ct_tuple *t, const struct ct_wire_icmp *h)
{
	t->sport = h->id;
	t->dport = bpf_htons(h->type << 8 | h->code);
}

static __always_inline int ct_parse_tcp(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					__u32 end)
{
	const struct ct_wire_tcp *h;
	__u32 header;

	if (off + sizeof(*h) > end)
		return CT_R_TCP_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	header = (h->doff >> 4) * 4;
	if (header < sizeof(*h))
		return CT_R_TCP_DOFF;
	if (off + header > end)
		return CT_R_TCP_OPTIONS;
	p->tuple.sport = h->sport;
	p->tuple.dport = h->dport;
	p->seq = bpf_ntohl(h->seq);
	p->ack = bpf_ntohl(h->ack);
	p->tcp_flags = h->flags;
	p->sack = p->ack;
	p->win = bpf_ntohs(h->window);
	p->check = h->check;
	p->payload = end - off - header;
	p->tcp_options = header > sizeof(*h) ? CT_TO_ANY : 0;
	p->walk_off = off + sizeof(*h);
	p->walk_left = header - sizeof(*h);
	return ct_tcp_flags_valid(h->flags) ? 0 : CT_R_TCP_FLAGS;
}

/* One option at the cursor; what is left when the walk ends early is not looked at. */
static __always_inline int ct_parse_tcp_option(struct ct_parsed *p, const struct ct_frame *f)
{
	__u32 at = READ_ONCE(p->walk_off), left = READ_ONCE(p->walk_left);
	const struct ct_wire_option *h = ct_at(f, at, 1);
	__u32 len;

	if (!h)
		return CT_PARSE_MORE;
	if (h->kind == 0) { /* end of the list */
		WRITE_ONCE(p->walk_left, 0);
		return 0;
	}
	if (h->kind == 1) { /* padding */
		WRITE_ONCE(p->walk_off, at + 1);
		WRITE_ONCE(p->walk_left, left - 1);
		return 0;
	}
	h = ct_at(f, at, sizeof(*h));
	if (left < sizeof(*h) || !h || h->len < sizeof(*h) || h->len > left) {
		WRITE_ONCE(p->walk_left, 0); /* nonsense, or its length is cut off */
		return left >= sizeof(*h) && !h ? CT_PARSE_MORE : 0;
	}
	len = h->len;
	if (h->kind == 4 && len == 2)
		p->tcp_options |= CT_TO_SACK_PERM;
	if (h->kind == 3 && len == 3) {
		const __u8 *shift = ct_at(f, at + 2, 1);

		if (!shift)
			return CT_PARSE_MORE;
		p->tcp_options |= CT_TO_SCALE;
		p->scale = *shift > CT_TCP_MAX_SCALE ? CT_TCP_MAX_SCALE : *shift;
	}
	/* The first one counts; no host sends two. */
	if (h->kind == 5 && len >= 10 && !((len - 2) % 8) && !(p->tcp_options & CT_TO_SACK)) {
		p->tcp_options |= CT_TO_SACK;
		for (__u32 i = 0; i < 4; i++) {
			const struct ct_wire_sack *block;

			if (i * sizeof(*block) + 2 >= len)
				break;
			block = ct_at(f, at + 2 + i * sizeof(*block), sizeof(*block));
			if (!block)
				return CT_PARSE_MORE;
			if ((__s32)(READ_ONCE(p->sack) - bpf_ntohl(block->right)) < 0)
				WRITE_ONCE(p->sack, bpf_ntohl(block->right));
		}
	}
	WRITE_ONCE(p->walk_off, at + len);
	WRITE_ONCE(p->walk_left, left - len);
	return 0;
}

static long ct_parse_next_option(__u32 i, void *ctx)
{
	struct ct_walk *walk = ctx;

	(void)i;
	walk->result = ct_parse_tcp_option(walk->p, &walk->f);
	return walk->result || !READ_ONCE(walk->p->walk_left);
}

/*
 * The options of a TCP packet: what a SYN agrees on, and the right edges of SACK blocks. Most
 * packets have a timestamp and nothing else, in the form that RFC 7323 recommends.
 */
static __always_inline int ct_parse_tcp_options(struct ct_parsed *p, const struct ct_frame *f)
{
	struct ct_walk walk = { .p = p, .f = *f };

	if (READ_ONCE(p->walk_left) == 12) {
		const __be32 *first = ct_at(f, READ_ONCE(p->walk_off), sizeof(*first));

		if (!first)
			return CT_PARSE_MORE;
		if (*first == bpf_htonl(0x0101080a))
			return 0;
	}
	bpf_loop(CT_TCP_MAX_OPTIONS, ct_parse_next_option, &walk, 0);
	return walk.result;
}

static __always_inline int ct_parse_udp(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					__u32 end, __u32 how)
{
	const struct ct_wire_udp *h;
	__u32 len;

	if (off + sizeof(*h) > end)
		return CT_R_UDP_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	len = bpf_ntohs(h->len);
	if (len < sizeof(*h) && !(how & CT_FRAME_GSO))
		return CT_R_UDP_LENGTH;
	if (len > end - off && !p->fragment)
		return CT_R_UDP_LENGTH;
	p->need = len;
	p->check = h->check;
	p->tuple.sport = h->sport;
	p->tuple.dport = h->dport;
	return 0;
}

/*
 * UDP-Lite (RFC 3828) has a checksum's coverage where UDP has a length; 0: all of it. There is no
 * packet without a checksum (udplite_error() in nf_conntrack_proto_udp.c).
 */
static __always_inline int ct_parse_udplite(struct ct_parsed *p, const struct ct_frame *f,
					    __u32 off, __u32 end)
{
	const struct ct_wire_udp *h;
	__u32 coverage;

	if (off + sizeof(*h) > end)
		return CT_R_UDPLITE_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	coverage = bpf_ntohs(h->len);
	if (coverage && coverage < sizeof(*h))
		return CT_R_UDPLITE_COVERAGE;
	if (coverage > end - off && !p->fragment)
		return CT_R_UDPLITE_COVERAGE;
	if (!h->check)
		return CT_R_UDPLITE_UNCHECKED;
	p->need = coverage;
	p->tuple.sport = h->sport;
	p->tuple.dport = h->dport;
	return 0;
}

static __always_inline enum ct_sctp_chunk ct_chunk_kind(__u8 type, __u8 flags)
{
	switch (type) {
	case 0:
		return CT_SC_DATA;
	case 1:
		return CT_SC_INIT;
	case 2:
		return CT_SC_INIT_ACK;
	case 4:
		return CT_SC_HEARTBEAT;
	case 5:
		return CT_SC_HEARTBEAT_ACK;
	case 6:
		return flags & 1 ? CT_SC_ABORT_T : CT_SC_ABORT;
	case 7:
		return CT_SC_SHUTDOWN;
	case 8:
		return CT_SC_SHUTDOWN_ACK;
	case 9:
		return CT_SC_ERROR;
	case 10:
		return CT_SC_COOKIE_ECHO;
	case 11:
		return CT_SC_COOKIE_ACK;
	case 14:
		return flags & 1 ? CT_SC_SHUTDOWN_COMPLETE_T : CT_SC_SHUTDOWN_COMPLETE;
	default:
		return CT_SC_OTHER;
	}
}

static __always_inline int ct_parse_sctp(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					 __u32 end)
{
	const struct ct_wire_sctp *h;

	if (off + sizeof(*h) > end)
		return CT_R_SCTP_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	if (off + sizeof(*h) + sizeof(struct ct_wire_chunk) > end)
		return CT_R_SCTP_CHUNKS;
	p->tuple.sport = h->sport;
	p->tuple.dport = h->dport;
	p->tag = h->tag;
	p->walk_off = off + sizeof(*h);
	p->walk_left = end - off - sizeof(*h);
	return 0;
}

/*
 * Put a chunk into the list of those that act on the state. Of three of a kind in a row the third
 * does what the second did. No host sends as many control chunks as there is room for.
 */
static __always_inline int ct_parse_control(struct ct_parsed *p, enum ct_sctp_chunk chunk)
{
	__u32 n = READ_ONCE(p->chunk_count) & 31;
	__u64 list = READ_ONCE(p->chunks);

	if (n >= 2 && (list >> (4 * (n - 2)) & 0xff) == chunk * 0x11U)
		return 0;
	if (n >= CT_SCTP_MAX_CONTROL)
		return CT_R_SCTP_TOO_MANY;
	WRITE_ONCE(p->chunks, list | (__u64)chunk << (4 * n));
	WRITE_ONCE(p->chunk_count, n + 1);
	return 0;
}

/*
 * The chunk at the cursor. What can't be one ends the packet; which chunks may be together is what
 * do_basic_checks() in nf_conntrack_proto_sctp.c says.
 */
static __always_inline int ct_parse_chunk(struct ct_parsed *p, const struct ct_frame *f)
{
	__u32 at = READ_ONCE(p->walk_off), left = READ_ONCE(p->walk_left), len, set;
	const struct ct_wire_chunk *h;
	enum ct_sctp_chunk chunk;

	if (left < sizeof(*h) || at + sizeof(*h) > CT_PARSE_REACH) {
		WRITE_ONCE(p->walk_left, 0);
		return 0;
	}
	h = ct_at(f, at, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	if (!h->len)
		return CT_R_SCTP_CHUNKS;
	chunk = ct_chunk_kind(h->type, h->flags);
	len = (bpf_ntohs(h->len) + 3U) & ~3U;
	set = READ_ONCE(p->chunk_set);
	if (set && (set & CT_SC_ALONE || 1 << chunk & CT_SC_FIRST))
		return CT_R_SCTP_CHUNKS;
	WRITE_ONCE(p->chunk_set, set | 1 << chunk);
	if (chunk == CT_SC_INIT || chunk == CT_SC_INIT_ACK) {
		const struct ct_wire_init *init;

		if (left < sizeof(*h) + sizeof(*init))
			return CT_R_SCTP_TRUNCATED;
		init = ct_at(f, at + sizeof(*h), sizeof(*init));
		if (!init)
			return CT_PARSE_MORE;
		p->init_tag = init->tag;
	}
	WRITE_ONCE(p->walk_off, at + len);
	WRITE_ONCE(p->walk_left, len < left ? left - len : 0);
	return chunk < CT_SC_DATA ? ct_parse_control(p, chunk) : 0;
}

static long ct_parse_next_chunk(__u32 i, void *ctx)
{
	struct ct_walk *walk = ctx;

	(void)i;
	walk->result = ct_parse_chunk(walk->p, &walk->f);
	return walk->result || !READ_ONCE(walk->p->walk_left);
}

/*
 * The chunks of an SCTP packet, all that begin before CT_PARSE_REACH; behind that, in a
 * super-packet, is data.
 */
static __always_inline int ct_parse_chunks(struct ct_parsed *p, const struct ct_frame *f)
{
	struct ct_walk walk = { .p = p, .f = *f };

	bpf_loop(CT_PARSE_REACH / sizeof(struct ct_wire_chunk), ct_parse_next_chunk, &walk, 0);
	return walk.result;
}

/*
 * GRE. Version 1 (PPTP) has the call id of the receiver, and carries nothing but PPP; of the
 * sender's id a tracker without PPTP's control connection knows nothing. Everything else, a header
 * that is not all there included, is an address pair (gre_pkt_to_tuple() in
 * nf_conntrack_proto_gre.c).
 */
static __always_inline int ct_parse_gre(struct ct_tuple *t, const struct ct_frame *f, __u32 off,
					__u32 end)
{
	const struct ct_wire_pptp *h;
	const struct ct_wire_gre *base;

	if (off + sizeof(*base) > end)
		return 0;
	base = ct_at(f, off, sizeof(*base));
	if (!base)
		return CT_PARSE_MORE;
	if ((base->flags & bpf_htons(7)) != bpf_htons(1) || off + sizeof(*h) > end)
		return 0;
	if (base->proto != bpf_htons(CT_ETH_P_PPTP))
		return CT_R_GRE_PROTOCOL;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	t->dport = h->call_id;
	return 0;
}

/*
 * A fragment header, with `len` bytes of the packet from here on. One that says "all of it" (RFC
 * 6946) changes nothing. A fragment of a fragment is nothing a host makes.
 */
static __always_inline int ct_fragment6(struct ct_parsed *p, const struct ct_wire_ext *h, __u32 len)
{
	__u32 off = bpf_ntohs(h->frag) & 0xfff8;
	bool more = h->frag & bpf_htons(1);

	p->bytes -= sizeof(*h);
	if (!off && !more)
		return 0;
	if (p->fragment)
		return CT_R_FRAG_NESTED;
	p->fragment = off ? CT_FRAG_LATER : CT_FRAG_FIRST;
	p->frag_id = h->rest;
	p->frag_off = off;
	p->frag_len = len - sizeof(*h);
	p->frag_more = more;
	return 0;
}

static __always_inline bool ct_is_ext(__u8 type)
{
	switch (type) {
	case CT_EXT_HOPOPTS:
	case CT_EXT_ROUTING:
	case CT_EXT_FRAGMENT:
	case CT_EXT_AUTH:
	case CT_EXT_DSTOPTS:
		return true;
	default:
		return false;
	}
}

/* Step over one extension header. 0, or why the walk can't go on. */
static __always_inline int ct_skip_one(struct ct_parsed *p, const struct ct_frame *f, __u32 end,
				       bool inner)
{
	__u32 at = READ_ONCE(p->walk_off);
	const struct ct_wire_ext *h;
	__u32 len;
	int err;

	if (at + sizeof(*h) > end)
		return CT_R_IP6_EXT_TRUNCATED;
	if (at > CT_PARSE_REACH)
		return CT_R_IP6_EXT_TOO_MANY;
	h = ct_at(f, at, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	switch (READ_ONCE(p->walk_next)) {
	case CT_EXT_AUTH:
		len = ((__u32)h->len + 2) * 4;
		break;
	case CT_EXT_FRAGMENT:
		err = !inner ? ct_fragment6(p, h, end - at) :
		      h->frag & bpf_htons(0xfff8) ? CT_R_ICMP_INNER : 0;
		if (err)
			return err;
		len = sizeof(*h);
		break;
	default:
		len = ((__u32)h->len + 1) * 8;
	}
	if (at + len > end)
		return CT_R_IP6_EXT_TRUNCATED;
	WRITE_ONCE(p->walk_next, h->next);
	WRITE_ONCE(p->walk_off, at + len);
	return 0;
}

static long ct_skip_next(__u32 i, void *ctx)
{
	struct ct_walk *walk = ctx;

	(void)i;
	walk->result = ct_skip_one(walk->p, &walk->f, walk->end, walk->inner);
	return walk->result || !ct_is_ext(READ_ONCE(walk->p->walk_next)) ||
	       (!walk->inner && walk->p->fragment == CT_FRAG_LATER);
}

/*
 * Step over IPv6 extension headers, from p->walk_next at p->walk_off to what they carry; behind the
 * header of a later fragment it ends, for there the packet's payload begins in the middle. A header
 * of which we can't read the length, or which passes `end`, is CT_R_IP6_EXT_TRUNCATED.
 */
static __always_inline int ct_skip_ext(struct ct_parsed *p, const struct ct_frame *f, __u32 end,
				       bool inner)
{
	struct ct_walk walk = { .p = p, .f = *f, .end = end, .inner = inner };

	if (likely(!ct_is_ext(READ_ONCE(p->walk_next))))
		return READ_ONCE(p->walk_next) == CT_EXT_NONE ? CT_R_IP6_NO_NEXT : 0;
	bpf_loop(CT_MAX_EXT_HEADERS, ct_skip_next, &walk, 0);
	if (walk.result || (!inner && p->fragment == CT_FRAG_LATER))
		return walk.result;
	if (ct_is_ext(READ_ONCE(p->walk_next)))
		return CT_R_IP6_EXT_TOO_MANY;
	return READ_ONCE(p->walk_next) == CT_EXT_NONE ? CT_R_IP6_NO_NEXT : 0;
}

/*
 * The packet an ICMP error carries: as much of it as says whose it is. It is cut off by design, so
 * its lengths mean nothing; it must be a first fragment or whole, and no error itself.
 */
static __always_inline int ct_parse_inner(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					  __u32 end)
{
	struct ct_tuple *t = &p->inner;
	__u8 proto;

	t->family = p->tuple.family;
	if (t->family == CT_IPV4) {
		const struct ct_wire_ip4 *h;
		__u32 header;

		if (off + sizeof(*h) > end)
			return CT_R_ICMP_INNER;
		h = ct_at(f, off, sizeof(*h));
		if (!h)
			return CT_PARSE_MORE;
		header = (h->version_ihl & 0xf) * 4;
		if (h->version_ihl >> 4 != 4 || header < sizeof(*h) ||
		    h->frag & bpf_htons(0x1fff))
			return CT_R_ICMP_INNER;
		if (off + header > end)
			return CT_R_ICMP_INNER;
		t->src.ip = h->src;
		t->dst.ip = h->dst;
		proto = h->proto;
		off += header;
	} else {
		const struct ct_wire_ip6 *h;
		int err;

		if (off + sizeof(*h) > end)
			return CT_R_ICMP_INNER;
		h = ct_at(f, off, sizeof(*h));
		if (!h)
			return CT_PARSE_MORE;
		if (h->version_class >> 4 != 6)
			return CT_R_ICMP_INNER;
		__builtin_memcpy(t->src.ip6, h->src, sizeof(h->src));
		__builtin_memcpy(t->dst.ip6, h->dst, sizeof(h->dst));
		WRITE_ONCE(p->walk_next, h->next);
		WRITE_ONCE(p->walk_off, off + sizeof(*h));
		err = ct_skip_ext(p, f, end, true);
		if (err == CT_PARSE_MORE)
			return err;
		if (err)
			return CT_R_ICMP_INNER;
		proto = READ_ONCE(p->walk_next);
		off = READ_ONCE(p->walk_off);
	}
	t->proto = proto;

	if (ct_is_icmp(t)) {
		const struct ct_wire_icmp *h;
		enum ct_icmp_kind kind;

		if (off + sizeof(*h) > end)
			return CT_R_ICMP_INNER;
		h = ct_at(f, off, sizeof(*h));
		if (!h)
			return CT_PARSE_MORE;
		kind = ct_icmp_kind(t->family, h->type);
		if (kind != CT_ICMP_REQUEST && kind != CT_ICMP_ANSWER)
			return CT_R_ICMP_INNER;
		ct_tuple_icmp(t, h);
	} else if (proto == CT_IPPROTO_GRE) {
		int err = ct_parse_gre(t, f, off, end);

		if (err)
			return err == CT_PARSE_MORE ? err : CT_R_ICMP_INNER;
	} else if (ct_has_ports(proto)) {
		/* RFC 792 promises 8 bytes; the ports are enough. */
		const struct ct_wire_ports *h;

		if (off + sizeof(*h) > end)
			return CT_R_ICMP_INNER;
		h = ct_at(f, off, sizeof(*h));
		if (!h)
			return CT_PARSE_MORE;
		t->sport = h->sport;
		t->dport = h->dport;
	}
	p->icmp_error = 1;
	return 0;
}

/*
 * An ICMPv6 redirect (RFC 4861 4.5) carries the packet that it is about in an option, which the
 * kernel wants to be the first (nf_conntrack_icmpv6_redirect()). Only a router on the link can have
 * sent it. Returns 0 and where the packet begins, or what is wrong.
 */
static __always_inline int ct_parse_redirect(struct ct_parsed *p, const struct ct_frame *f,
					     __u32 *off, __u32 end)
{
	const struct ct_wire_redirect *h;

	if (*off + sizeof(*h) > end)
		return CT_R_ICMP_INNER;
	h = ct_at(f, *off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	if (h->icmp.code)
		return CT_R_ICMP_TYPE;
	if (p->hops != 255 || (p->tuple.src.ip6[0] & bpf_htonl(0xffc00000)) != bpf_htonl(0xfe800000))
		return CT_R_ICMP_REDIRECT;
	if (h->option != 4 || !h->option_len) /* redirected header */
		return CT_R_ICMP_INNER;
	*off += sizeof(*h);
	return 0;
}

static __always_inline int ct_parse_icmp(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					 __u32 end)
{
	const struct ct_wire_icmp *h;
	int err;

	if (off + sizeof(*h) > end)
		return CT_R_ICMP_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	ct_tuple_icmp(&p->tuple, h);
	switch (ct_icmp_kind(p->tuple.family, h->type)) {
	case CT_ICMP_REQUEST:
	case CT_ICMP_ANSWER:
		return 0;
	case CT_ICMP_ERROR:
		off += sizeof(*h);
		break;
	case CT_ICMP_REDIRECT:
		err = ct_parse_redirect(p, f, &off, end);
		if (err)
			return err;
		break;
	case CT_ICMP_ND:
		return CT_R_ND;
	default:
		return CT_R_ICMP_TYPE;
	}
	return ct_parse_inner(p, f, off, end);
}

static __always_inline int ct_parse_l4(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
				       __u32 end, __u32 how)
{
	if (p->tuple.proto == CT_IPPROTO_TCP)
		return ct_parse_tcp(p, f, off, end);
	if (p->tuple.proto == CT_IPPROTO_UDP)
		return ct_parse_udp(p, f, off, end, how);
	if (ct_is_icmp(&p->tuple))
		return ct_parse_icmp(p, f, off, end);
	if (p->tuple.proto == CT_IPPROTO_SCTP)
		return ct_parse_sctp(p, f, off, end);
	if (p->tuple.proto == CT_IPPROTO_GRE)
		return ct_parse_gre(&p->tuple, f, off, end);
	if (p->tuple.proto == CT_IPPROTO_UDPLITE)
		return ct_parse_udplite(p, f, off, end);
	return 0; /* generic: an address pair and a protocol */
}

static __always_inline int ct_parse_ip4(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					__u32 end, __u32 how)
{
	const struct ct_wire_ip4 *h;
	__u32 header, len;

	if (off + sizeof(*h) > end)
		return CT_R_IP4_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	if (h->version_ihl >> 4 != 4)
		return CT_R_IP4_VERSION;
	header = (h->version_ihl & 0xf) * 4;
	if (header < sizeof(*h))
		return CT_R_IP4_IHL;
	len = bpf_ntohs(h->len);
	if (!len && how & CT_FRAME_GSO)
		len = end - off;
	if (len < header)
		return CT_R_IP4_LENGTH;
	if (len > end - off)
		return CT_R_IP4_BEYOND_FRAME;
	p->tuple.family = CT_IPV4;
	p->tuple.proto = h->proto;
	p->tuple.src.ip = h->src;
	p->tuple.dst.ip = h->dst;
	p->len = len;
	p->bytes = len;
	p->tos = h->tos;
	p->l4_off = off + header;
	p->l4_end = off + len;
	if (h->frag & bpf_htons(0x3fff)) {
		p->frag_id = h->id;
		p->frag_off = (bpf_ntohs(h->frag) & 0x1fff) * 8;
		p->frag_len = len - header;
		p->frag_more = !!(h->frag & bpf_htons(0x2000));
		p->fragment = p->frag_off ? CT_FRAG_LATER : CT_FRAG_FIRST;
		if (p->frag_off) {
			p->bytes -= header;
			return 0;
		}
	}
	return ct_parse_l4(p, f, off + header, off + len, how);
}

static __always_inline int ct_parse_ip6(struct ct_parsed *p, const struct ct_frame *f, __u32 off,
					__u32 end, __u32 how)
{
	const struct ct_wire_ip6 *h;
	__u32 len;
	int err;

	if (off + sizeof(*h) > end)
		return CT_R_IP6_TRUNCATED;
	h = ct_at(f, off, sizeof(*h));
	if (!h)
		return CT_PARSE_MORE;
	if (h->version_class >> 4 != 6)
		return CT_R_IP6_VERSION;
	len = sizeof(*h) + bpf_ntohs(h->payload);
	if (len == sizeof(*h) && how & CT_FRAME_GSO)
		len = end - off;
	if (len > end - off)
		return CT_R_IP6_BEYOND_FRAME;
	p->tuple.family = CT_IPV6;
	__builtin_memcpy(p->tuple.src.ip6, h->src, sizeof(h->src));
	__builtin_memcpy(p->tuple.dst.ip6, h->dst, sizeof(h->dst));
	p->len = len;
	p->bytes = len;
	p->tos = (h->version_class & 0xf) << 4 | h->class_flow[0] >> 4;
	p->hops = h->hops;
	WRITE_ONCE(p->walk_next, h->next);
	WRITE_ONCE(p->walk_off, off + sizeof(*h));
	end = off + len;
	err = ct_skip_ext(p, f, end, false);
	p->tuple.proto = READ_ONCE(p->walk_next);
	if (err)
		return err;
	p->l4_off = READ_ONCE(p->walk_off);
	p->l4_end = end;
	if (p->fragment == CT_FRAG_LATER) {
		p->bytes = p->frag_len;
		return 0;
	}
	return ct_parse_l4(p, f, p->l4_off, end, how);
}

static __always_inline int ct_parse_l2(struct ct_parsed *p, const struct ct_frame *f, __u32 len,
				       __u32 how)
{
	__u32 off = 0;
	__be16 proto;

	if (how & CT_FRAME_L3) {
		const __u8 *version = ct_at(f, 0, 1);

		if (!version)
			return len ? CT_PARSE_MORE : CT_PARSE_NOT_IP;
		if (*version >> 4 == 4)
			return ct_parse_ip4(p, f, 0, len, how);
		if (*version >> 4 == 6)
			return ct_parse_ip6(p, f, 0, len, how);
		return CT_PARSE_NOT_IP;
	}

	{
		const struct ct_wire_eth *h = ct_at(f, 0, sizeof(*h));

		if (len < sizeof(*h))
			return CT_R_ETH_TRUNCATED;
		if (!h)
			return CT_PARSE_MORE;
		proto = h->proto;
		off = sizeof(*h);
	}
	for (int i = 0; i <= CT_MAX_VLAN_TAGS; i++) {
		const struct ct_wire_vlan *h;

		if (proto != bpf_htons(CT_ETH_P_8021Q) && proto != bpf_htons(CT_ETH_P_8021AD))
			break;
		if (i == CT_MAX_VLAN_TAGS)
			return CT_R_VLAN_TAGS;
		if (off + sizeof(*h) > len)
			return CT_R_VLAN_TRUNCATED;
		h = ct_at(f, off, sizeof(*h));
		if (!h)
			return CT_PARSE_MORE;
		proto = h->proto;
		off += sizeof(*h);
	}
	if (proto == bpf_htons(CT_ETH_P_IP))
		return ct_parse_ip4(p, f, off, len, how);
	if (proto == bpf_htons(CT_ETH_P_IPV6))
		return ct_parse_ip6(p, f, off, len, how);
	return CT_PARSE_NOT_IP;
}

/*
 * Parse a frame of `len` bytes, of which [data, data_end) is readable; `how` is CT_FRAME_*.
 * `p` is filled from zero. Returns 0, enum ct_reason, CT_PARSE_NOT_IP or CT_PARSE_MORE.
 */
static __always_inline int ct_parse(struct ct_parsed *p, const void *data, const void *data_end,
				    __u32 len, __u32 how)
{
	struct ct_frame f = { data, data_end };
	int result;

	__builtin_memset(p, 0, sizeof(*p));
	result = ct_parse_l2(p, &f, len, how);
	if (!result && READ_ONCE(p->walk_left))
		result = likely(p->tuple.proto == CT_IPPROTO_TCP) ? ct_parse_tcp_options(p, &f) :
								    ct_parse_chunks(p, &f);
	return result;
}

/*
 * Does the IPv4 header of a packet that has been parsed not add up? Conntrack in the kernel never
 * sees one like that: ip_rcv_core() has dropped it. We are in front of that, and with it in hand any
 * packet could be made to act on a flow here and never reach the host it is for.
 */
static __always_inline bool ct_ip4_wrong(const struct ct_parsed *p, const struct ct_frame *f)
{
	__u32 off = p->l4_end - p->len;
	__u64 sum = 0;

	if (p->tuple.family != CT_IPV4 || !p->l4_off)
		return false;
	for (__u32 i = 0; i < CT_IP4_MAX_HEADER; i += sizeof(__be32)) {
		const __be32 *word;

		if (off + i >= p->l4_off)
			break;
		word = ct_at(f, off + i, sizeof(*word));
		if (!word)
			return false;
		sum += *word;
	}
	return ct_sum_fold(sum) != 0xffff;
}

#endif
