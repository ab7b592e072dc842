/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets for tests. Name `tests/unit/packet.c` in the test's SRC line.
 *
 * Either as a description, which suits conversations:
 *
 *	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1000,
 *					  .dport = 80, .tcp_flags = SYN, .seq = 100 });
 *
 * or header by header, outermost first, which suits what no description foresees:
 *
 *	pkt_start(&p);
 *	pkt_eth(&p, NULL, NULL);
 *	pkt_ip6(&p, "fd00:1::1", "fd00:2::1");
 *	pkt_ext(&p, IPPROTO_HOPOPTS, 8);
 *	pkt_udp(&p, 53, 53);
 *	pkt_payload(&p, 100);
 *	pkt_finish(&p);
 *
 * Each header names itself in the one before it (EtherType, protocol, next header). pkt_finish()
 * sets lengths and checksums; whatever is changed after it stays as the test wrote it:
 *
 *	p.data[p.ip] = 0x44;			IHL 4
 *	pkt_set16(&p, p.l4 + 4, 7);		a UDP length that lies
 *	p.len = p.l4 + 3;			truncated
 *
 * Addresses are text, numbers are in host order. A builder that is asked for nonsense (an address
 * that is none, more than fits) ends the program: the test is wrong.
 */
#ifndef PACKET_H
#define PACKET_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
	URG = 0x20,
	ECE = 0x40,
	CWR = 0x80,
};

#define PKT_ROOM   (ETH_HLEN + 4 * 4 + 65535)
#define PKT_LAYERS 64
#define PKT_ABSENT SIZE_MAX

struct pkt {
	size_t len; /* of the frame */

	/* Offsets in data; PKT_ABSENT if there is none. */
	size_t eth;
	size_t ip;      /* the first IP header */
	size_t l4;      /* the first header behind IP and its extensions */
	size_t payload; /* what follows that header */

	/* The builder's own: the headers so far, and where the last one names its successor. */
	struct pkt_layer {
		uint8_t kind;
		bool no_checksum;
		uint16_t len; /* of the header */
		uint32_t at;
	} layer[PKT_LAYERS];
	unsigned int layers;
	size_t next_at;
	unsigned int next_size;

	uint8_t data[PKT_ROOM];
};

/* Header by header. */
void pkt_start(struct pkt *p);
/* MAC addresses as text; NULL: 02:00:00:00:00:02 and 02:00:00:00:00:01. */
void pkt_eth(struct pkt *p, const char *dst, const char *src);
/* A tag: tpid ETH_P_8021Q or ETH_P_8021AD. */
void pkt_vlan(struct pkt *p, uint16_t tpid, uint16_t vid);
void pkt_ip4(struct pkt *p, const char *src, const char *dst);
/* Options behind the IPv4 header just made: `len` bytes (a multiple of 4, up to 40) of NOP. */
void pkt_ip4_options(struct pkt *p, size_t len);
/* Make the IPv4 packet just begun a fragment; offset in bytes. */
void pkt_ip4_fragment(struct pkt *p, size_t offset, bool more, uint16_t id);
void pkt_ip6(struct pkt *p, const char *src, const char *dst);
/* An extension header of `len` bytes (a multiple of 8), harmless inside. */
void pkt_ext(struct pkt *p, uint8_t type, size_t len);
/* A fragment header; offset in bytes. */
void pkt_frag6(struct pkt *p, size_t offset, bool more, uint32_t id);
/* An authentication header with `icv` bytes of value: 12 + icv bytes. */
void pkt_ah(struct pkt *p, uint32_t spi, size_t icv);
void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t flags, uint32_t seq,
	     uint32_t ack, uint16_t win);
/*
 * Options behind the TCP header just made, as packetdrill and tcpdump write them, e.g.
 * "mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7", "nop,nop,sack 100:200 300:400", "eol", and
 * "hex 1e04dead" for bytes as they are. Padded with EOL to a multiple of 4.
 */
void pkt_tcp_options(struct pkt *p, const char *options);
void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport);
/* The UDP header just made says that there is no checksum. */
void pkt_udp_no_checksum(struct pkt *p);
/* UDP-Lite; `coverage` bytes are under the checksum, 0: all. */
void pkt_udplite(struct pkt *p, uint16_t sport, uint16_t dport, uint16_t coverage);
void pkt_sctp(struct pkt *p, uint16_t sport, uint16_t dport, uint32_t vtag);
/*
 * Chunks behind the SCTP header just made, each padded to a multiple of 4:
 *
 *	"init 7"		INIT whose initiate tag is 7; "init_ack 7" likewise
 *	"abort", "abort T"	the flags' lowest bit; also of "shutdown_complete T"
 *	"data 10"		10 bytes of data, without a number none; "heartbeat 10" likewise
 *	"type 200"		a chunk of this type, without a body
 *	"hex 00030000"		bytes as they are, not padded
 *
 * and sack, shutdown, shutdown_ack, error, cookie_echo, cookie_ack, heartbeat_ack; by commas.
 */
void pkt_sctp_chunks(struct pkt *p, const char *chunks);
/* GRE of version 0, with a key if it is not 0; and of version 1, with a call id, as PPTP's. */
void pkt_gre(struct pkt *p, uint16_t proto, uint32_t key);
void pkt_pptp(struct pkt *p, uint16_t call_id);
/* ICMP or ICMPv6, as the IP header wants it. In errors id and seq are halves of the second word. */
void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint16_t id, uint16_t seq);
/* What an ICMP error quotes: the IP packet in `about`, up to `max` bytes of it. */
void pkt_quote(struct pkt *p, const struct pkt *about, size_t max);
/* Name what follows by number, where none of the above does: pkt_next(&p, IPPROTO_GRE). */
void pkt_next(struct pkt *p, uint16_t number);
void pkt_bytes(struct pkt *p, const void *bytes, size_t len);
/* `len` bytes of a pattern. */
void pkt_payload(struct pkt *p, size_t len);
void pkt_finish(struct pkt *p);
/* The halves of pkt_finish(), e.g. to make checksums right again after a field was changed. */
void pkt_lengths(struct pkt *p);
void pkt_checksums(struct pkt *p);

/* Fields by offset, in network order. */
uint16_t pkt_get16(const struct pkt *p, size_t at);
uint32_t pkt_get32(const struct pkt *p, size_t at);
void pkt_set16(struct pkt *p, size_t at, uint16_t value);
void pkt_set32(struct pkt *p, size_t at, uint32_t value);

/*
 * A fragment of a finished packet: `len` bytes of what follows the IP header, from byte `offset`
 * (a multiple of 8) on. IPv6 gets its fragment header right behind the fixed header.
 */
void pkt_fragment(struct pkt *fragment, const struct pkt *whole, size_t offset, size_t len,
		  uint32_t id);

/* A whole packet in one go. What is left out is 0, absent, or the default named here. */
struct pkt_desc {
	bool l3; /* no Ethernet header: a frame of an L3-only device */
	const char *eth_dst, *eth_src;
	struct {
		uint16_t tpid; /* default ETH_P_8021Q */
		uint16_t vid;
	} vlan[4]; /* outermost first, until both are 0 */

	const char *src, *dst; /* IPv6 if there is a ':' in src */
	uint8_t ttl;           /* 64 */
	uint8_t tos;
	uint32_t flow_label;
	uint16_t ip_id;
	bool df;
	size_t ip4_options; /* bytes */
	/*
	 * IPv6 extension headers in order, a letter each, smallest size: h hop-by-hop, d destination
	 * options, r routing, f fragment (atomic, or as below), a AH (IPv4 too), m mobility,
	 * i HIP, s shim6. "dddddddd" is eight. A fragment without an f gets one at the end.
	 */
	const char *ext;
	size_t frag_offset; /* bytes */
	bool frag_more;
	uint32_t frag_id;

	/* Default: TCP with tcp_flags, SCTP with chunks, ICMP(v6) with icmp_type (an echo reply's is 0!), else UDP. */
	uint8_t proto;
	uint16_t sport, dport;

	uint8_t tcp_flags;
	uint32_t seq, ack;
	uint16_t win;            /* 65535; NO_WINDOW for 0 */
	const char *tcp_options; /* as pkt_tcp_options() */

	bool no_checksum; /* UDP */
	uint16_t coverage; /* UDP-Lite */

	const char *chunks; /* as pkt_sctp_chunks(); makes it SCTP */
	uint32_t vtag;

	uint32_t gre_key;
	bool pptp; /* GRE version 1 */
	uint16_t call_id;

	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id, icmp_seq;
	const struct pkt *quote; /* of an ICMP error */
	size_t quote_len;        /* default: as much as a router quotes, 548 or 1232 bytes */

	const void *data; /* default: a pattern */
	size_t payload;   /* bytes */
};

#define NO_WINDOW 0xfffe /* a value of .win that stands for 0 */

void pkt_build(struct pkt *p, const struct pkt_desc *d);
/* The answer's description: addresses, ports and MACs swapped, an echo request made a reply. */
struct pkt_desc pkt_answer(const struct pkt_desc *d);

#endif
