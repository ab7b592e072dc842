/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For each reason that the parser can have, a packet that is broken in this way and no other:
 * broken_by[CT_R_x](&p) makes it.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include "ct_stats.h"
#include "packet.h"

static void (*broken_by[CT_R_MAX])(struct pkt *p);

#define BROKEN_BY(reason)                                                                          \
	static void broken_by_##reason(struct pkt *p);                                             \
	__attribute__((constructor)) static void broken_add_##reason(void)                         \
	{                                                                                          \
		broken_by[CT_R_##reason] = broken_by_##reason;                                     \
	}                                                                                          \
	static void broken_by_##reason(struct pkt *p)

/* lo's MAC for a destination, so that tc ingress takes it for this host's. */
#define BROKEN(...) pkt_build(p, &(struct pkt_desc){ .eth_dst = "00:00:00:00:00:00", __VA_ARGS__ })
#define BROKEN_UDP4(...)                                                                           \
	BROKEN(.src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1000, .dport = 53, __VA_ARGS__)
#define BROKEN_UDP6(...)                                                                           \
	BROKEN(.src = "fd00:1::1", .dst = "fd00:2::1", .sport = 1000, .dport = 53, __VA_ARGS__)
#define BROKEN_TCP4(...) BROKEN_UDP4(.tcp_flags = SYN, __VA_ARGS__)

BROKEN_BY(ETH_TRUNCATED)
{
	BROKEN_TCP4();
	p->len = 13;
}

BROKEN_BY(VLAN_TRUNCATED)
{
	BROKEN_TCP4(.vlan = { { .vid = 7 } });
	p->len = 17;
}

BROKEN_BY(IP4_TRUNCATED)
{
	BROKEN_TCP4();
	p->len = p->ip + 19;
}

BROKEN_BY(IP4_VERSION)
{
	BROKEN_TCP4();
	p->data[p->ip] = 0x65;
}

BROKEN_BY(IP4_IHL)
{
	BROKEN_TCP4();
	p->data[p->ip] = 0x44;
}

BROKEN_BY(IP4_LENGTH)
{
	BROKEN_TCP4();
	pkt_set16(p, p->ip + 2, 19);
}

BROKEN_BY(IP4_BEYOND_FRAME)
{
	BROKEN_TCP4();
	pkt_set16(p, p->ip + 2, 41);
}

BROKEN_BY(IP6_TRUNCATED)
{
	BROKEN_UDP6();
	p->len = p->ip + 39;
}

BROKEN_BY(IP6_VERSION)
{
	BROKEN_UDP6();
	p->data[p->ip] = 0x40;
}

BROKEN_BY(IP6_BEYOND_FRAME)
{
	BROKEN_UDP6();
	pkt_set16(p, p->ip + 4, 9);
}

BROKEN_BY(IP6_EXT_TRUNCATED)
{
	BROKEN_UDP6(.ext = "d");
	p->data[p->ip + 41] = 2; /* 24 bytes, of 16 */
}

BROKEN_BY(IP6_EXT_TOO_MANY)
{
	BROKEN_UDP6(.ext = "ddddddddddddddddddddddddddddddddd");
}

BROKEN_BY(IP6_NO_NEXT)
{
	BROKEN(.src = "fd00:1::1", .dst = "fd00:2::1", .proto = IPPROTO_NONE, .payload = 8);
}

BROKEN_BY(TCP_TRUNCATED)
{
	BROKEN_TCP4();
	p->len--;
	pkt_set16(p, p->ip + 2, 39);
	pkt_checksums(p);
}

BROKEN_BY(TCP_DOFF)
{
	BROKEN_TCP4();
	p->data[p->l4 + 12] = 0x40;
}

BROKEN_BY(TCP_OPTIONS)
{
	BROKEN_TCP4();
	p->data[p->l4 + 12] = 0x60;
}

BROKEN_BY(TCP_FLAGS)
{
	BROKEN_TCP4();
	p->data[p->l4 + 13] = SYN | FIN;
}

BROKEN_BY(UDP_TRUNCATED)
{
	BROKEN_UDP4();
	p->len--;
	pkt_set16(p, p->ip + 2, 27);
	pkt_checksums(p);
}

BROKEN_BY(UDP_LENGTH)
{
	BROKEN_UDP4();
	pkt_set16(p, p->l4 + 4, 9);
}

#define BROKEN_UDPLITE4(...) BROKEN_UDP4(.proto = IPPROTO_UDPLITE, __VA_ARGS__)
#define BROKEN_SCTP4(...) BROKEN_UDP4(.chunks = __VA_ARGS__)

BROKEN_BY(UDPLITE_TRUNCATED)
{
	BROKEN_UDPLITE4();
	p->len--;
	pkt_set16(p, p->ip + 2, 27);
	pkt_checksums(p);
}

BROKEN_BY(UDPLITE_COVERAGE)
{
	BROKEN_UDPLITE4();
	pkt_set16(p, p->l4 + 4, 9);
}

BROKEN_BY(UDPLITE_UNCHECKED)
{
	BROKEN_UDPLITE4();
	pkt_set16(p, p->l4 + 6, 0);
}

BROKEN_BY(SCTP_TRUNCATED)
{
	BROKEN_SCTP4("init 1");
	p->len--;
	pkt_set16(p, p->ip + 2, 20 + 12 + 19);
	pkt_checksums(p);
}

BROKEN_BY(SCTP_CHUNKS)
{
	BROKEN_SCTP4("init 1, data");
}

BROKEN_BY(SCTP_TOO_MANY)
{
	BROKEN_SCTP4("error, shutdown, error, shutdown, error, shutdown, error, shutdown, error,"
		     "shutdown, error, shutdown, error, shutdown, error, shutdown, error");
}

BROKEN_BY(GRE_PROTOCOL)
{
	BROKEN_UDP4(.proto = IPPROTO_GRE, .pptp = true);
	pkt_set16(p, p->l4 + 2, ETH_P_IP);
}

BROKEN_BY(ICMP_TRUNCATED)
{
	BROKEN(.src = "10.0.1.1", .dst = "10.0.2.1", .icmp_type = 8);
	p->len--;
	pkt_set16(p, p->ip + 2, 27);
	pkt_checksums(p);
}

BROKEN_BY(ICMP_TYPE)
{
	BROKEN(.src = "10.0.1.1", .dst = "10.0.2.1", .icmp_type = 10); /* router solicitation */
}

BROKEN_BY(ICMP_INNER)
{
	BROKEN(.src = "10.0.2.1", .dst = "10.0.1.1", .icmp_type = 3); /* nothing inside */
}

BROKEN_BY(ICMP_REDIRECT)
{
	/* From far away: neither the source nor the hop limit is that of a router of the link. */
	BROKEN(.src = "fd00:1::1", .dst = "fd00:2::1", .icmp_type = 137, .payload = 88);
	pkt_set16(p, p->l4 + 40, 4 << 8 | 7);
}

BROKEN_BY(FRAG_NESTED)
{
	BROKEN(.src = "fd00:1::1", .dst = "fd00:2::1", .ext = "ff", .sport = 1, .dport = 2);
	p->data[p->ip + 40 + 3] = 1; /* both say that there is more */
	p->data[p->ip + 48 + 3] = 1;
}

BROKEN_BY(VLAN_TAGS)
{
	BROKEN_TCP4(.vlan = { { .vid = 1 }, { .vid = 2 }, { .vid = 3 } });
}

BROKEN_BY(ND)
{
	BROKEN(.src = "fd00:1::1", .dst = "fd00:2::1", .icmp_type = 135);
}

static inline bool broken_by_checksum(int reason)
{
	switch (reason) {
	case CT_R_IP4_CHECKSUM:
	case CT_R_TCP_CHECKSUM:
	case CT_R_UDP_CHECKSUM:
	case CT_R_UDPLITE_CHECKSUM:
	case CT_R_SCTP_CHECKSUM:
	case CT_R_ICMP_CHECKSUM:
		return true;
	default:
		return false;
	}
}

/*
 * Reasons that come from a flow's state, from the table's or from a setting, not from the packet
 * alone.
 */
static inline bool broken_by_state(int reason)
{
	switch (reason) {
	case CT_R_TCP_STATE:
	case CT_R_TCP_SEQ_OVER:
	case CT_R_TCP_ACK_OVER:
	case CT_R_TCP_RST:
	case CT_R_TCP_NO_SYN:
	case CT_R_SCTP_FIRST:
	case CT_R_SCTP_TAG:
	case CT_R_SCTP_STATE:
	case CT_R_ICMP_UNASKED:
	case CT_R_ICMP_UNRELATED:
	case CT_R_ICMP_ADDRESS:
	case CT_R_FRAG_LENGTH:
	case CT_R_FRAG_OVERLAP:
	case CT_R_FRAG_EARLY:
	case CT_R_UNREADABLE:
		return true;
	default:
		return broken_by_checksum(reason);
	}
}

#endif
