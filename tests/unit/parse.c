// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parser: from a frame to a tuple, or to the reason why there is none. Frames lie at the very
 * end of a heap block, so that one byte read too many ends the test (AddressSanitizer).
 */
#include <stdlib.h>

#include "broken.h"
#include "check.h"
#include "names.h"
#include "packet.h"
#include "parse.h"

#define A4 "10.0.1.1"
#define B4 "10.0.2.1"
#define A6 "fd00:1::1"
#define B6 "fd00:2::1"

static struct pkt p, about;
static struct ct_parsed got;

/* A name for what the parser returns. */
static const char *result_name(int result)
{
	if (result == CT_PARSE_MORE)
		return "MORE";
	if (result == CT_PARSE_NOT_IP)
		return "NOT_IP";
	return reason_name(result);
}

static bool want_result(const char *file, int line, int result, int want)
{
	if (result == want)
		return true;
	check_fail(file, line);
	printf("the parser: got %s, wanted %s\n", result_name(result), result_name(want));
	return false;
}
#define WANT(result, want) want_result(__FILE__, __LINE__, (result), (want))

/*
 * Parse the first `readable` of `len` bytes. Two bytes in front of a frame align its IP header to
 * four, as drivers do; what is in `got` before must not matter.
 */
static int parse_part(const uint8_t *bytes, size_t readable, size_t len, __u32 how)
{
	size_t front = how & CT_FRAME_L3 ? 0 : 2;
	uint8_t *block = malloc(front + readable);
	int result;

	memcpy(block + front, bytes, readable);
	memset(&got, 0xa5, sizeof(got));
	result = ct_parse(&got, block + front, block + front + readable, (__u32)len, how);
	free(block);
	return result;
}

static int parse(__u32 how)
{
	return parse_part(p.data, p.len, p.len, how);
}

#define BUILD(...) pkt_build(&p, &(struct pkt_desc){ __VA_ARGS__ })
#define TCP4(flags, ...)                                                                           \
	BUILD(.src = A4, .dst = B4, .sport = 1000, .dport = 80, .tcp_flags = flags, __VA_ARGS__)
#define UDP4(...) BUILD(.src = A4, .dst = B4, .sport = 1000, .dport = 53, __VA_ARGS__)
#define UDP6(...) BUILD(.src = A6, .dst = B6, .sport = 1000, .dport = 53, __VA_ARGS__)

static void set_udp_length(uint16_t len)
{
	pkt_set16(&p, p.l4 + 4, len);
}

/* Numbers that are the same every time; SEED=N gives others. */
static uint64_t random_state;

static void random_begin(void)
{
	const char *seed = getenv("SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("  SEED=%llu\n", (unsigned long long)random_state);
}

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % n;
}

/* --- every reason ---------------------------------------------------------------------------- */

// Each reason that the parser has is what exactly one kind of broken packet gets.
TEST(every_reason)
{
	for (int reason = 1; reason < CT_R_MAX; reason++) {
		CHECK_CASE("%s", result_name(reason));
		if (broken_by_state(reason)) {
			CHECK(!broken_by[reason]);
			continue;
		}
		if (!CHECK(broken_by[reason]))
			continue;
		broken_by[reason](&p);
		WANT(parse(0), reason);
	}
}

/* --- what a good packet gives ---------------------------------------------------------------- */

static void want_ports(uint16_t sport, uint16_t dport)
{
	CHECK_EQ(be16toh(got.tuple.sport), sport);
	CHECK_EQ(be16toh(got.tuple.dport), dport);
}

static void want_addresses(const struct ct_tuple *t, size_t src, size_t dst)
{
	size_t len = t->family == CT_IPV4 ? 4 : 16;
	static const uint8_t zero[12];

	CHECK_MEM(&t->src, p.data + src, len);
	CHECK_MEM(&t->dst, p.data + dst, len);
	CHECK_MEM((uint8_t *)&t->src + len, zero, 16 - len);
	CHECK_MEM((uint8_t *)&t->dst + len, zero, 16 - len);
}

// A TCP segment gives its tuple, its numbers in host order, its flags and the length of its data.
TEST(tcp_fields)
{
	TCP4(PSH | ACK, .seq = 0xfffffffe, .ack = 0x12345678,
	     .tcp_options = "nop,nop,TS val 1 ecr 2", .payload = 100);
	WANT(parse(0), 0);
	CHECK_EQ(got.tuple.family, CT_IPV4);
	CHECK_EQ(got.tuple.proto, IPPROTO_TCP);
	CHECK_EQ(got.tuple.zone, 0);
	want_addresses(&got.tuple, p.ip + 12, p.ip + 16);
	want_ports(1000, 80);
	CHECK_EQ(got.seq, 0xfffffffe);
	CHECK_EQ(got.ack, 0x12345678);
	CHECK_EQ(got.tcp_flags, PSH | ACK);
	CHECK_EQ(got.payload, 100);
	CHECK_EQ(got.len, 20 + 32 + 100);
	CHECK_EQ(got.icmp_error, 0);
	CHECK_EQ(got.fragment, 0);
}

// The same of an IPv6 packet: addresses are sixteen bytes, the length includes the IP header.
TEST(ip6_fields)
{
	UDP6(.payload = 10);
	WANT(parse(0), 0);
	CHECK_EQ(got.tuple.family, CT_IPV6);
	CHECK_EQ(got.tuple.proto, IPPROTO_UDP);
	want_addresses(&got.tuple, p.ip + 8, p.ip + 24);
	want_ports(1000, 53);
	CHECK_EQ(got.len, 40 + 8 + 10);
}

// What a driver adds behind the IP packet to fill up a frame belongs to nobody.
TEST(padding_is_not_data)
{
	TCP4(SYN);
	memset(p.data + p.len, 0xff, 60 - p.len);
	p.len = 60;
	WANT(parse(0), 0);
	CHECK_EQ(got.len, 40);
	CHECK_EQ(got.payload, 0);
}

// One and two tags, 802.1Q or 802.1ad, change nothing; three are too many, whatever is inside.
TEST(vlan_tags)
{
	static const uint16_t tpid[] = { ETH_P_8021Q, ETH_P_8021AD };

	for (int tags = 0; tags <= 4; tags++)
		for (int mix = 0; mix < 1 << tags; mix++) {
			struct pkt_desc d = { .src = A6, .dst = B6, .sport = 7, .dport = 9 };

			CHECK_CASE("%d tags, mix %d", tags, mix);
			for (int i = 0; i < tags; i++) {
				d.vlan[i].tpid = tpid[mix >> i & 1];
				d.vlan[i].vid = 0xefff; /* all bits but one: no business of ours */
			}
			pkt_build(&p, &d);
			WANT(parse(0), tags < 3 ? 0 : CT_R_VLAN_TAGS);
			if (tags < 3)
				want_ports(7, 9);
		}
}

// What is not IP is left alone: other EtherTypes, lengths in their place, tagged or not.
TEST(not_ip)
{
	static const uint16_t types[] = { 0,
					  46,
					  1500,
					  ETH_P_ARP,
					  ETH_P_RARP,
					  ETH_P_MPLS_UC,
					  ETH_P_PPP_SES,
					  ETH_P_LLDP,
					  ETH_P_IP + 1,
					  ETH_P_IPV6 - 1,
					  0x9100,
					  0xffff,
					  /* with bytes swapped */ 0x0008,
					  0xdd86,
					  0x0081,
					  0xa888 };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		CHECK_CASE("EtherType %04x", types[i]);
		TCP4(SYN);
		pkt_set16(&p, 12, types[i]);
		WANT(parse(0), CT_PARSE_NOT_IP);
		TCP4(SYN, .vlan = { { .vid = 7 } });
		pkt_set16(&p, 16, types[i]);
		WANT(parse(0), CT_PARSE_NOT_IP);
	}
}

// Without an Ethernet header the version decides; an empty frame is none of ours.
TEST(l3_only)
{
	TCP4(SYN, .l3 = true);
	WANT(parse(CT_FRAME_L3), 0);
	want_ports(1000, 80);
	UDP6(.l3 = true);
	WANT(parse(CT_FRAME_L3), 0);
	want_ports(1000, 53);
	for (int version = 0; version < 16; version++) {
		CHECK_CASE("version %d", version);
		if (version == 4 || version == 6)
			continue;
		p.data[0] = version << 4 | 5;
		WANT(parse(CT_FRAME_L3), CT_PARSE_NOT_IP);
	}
	CHECK_CASE("empty");
	p.len = 0;
	WANT(parse(CT_FRAME_L3), CT_PARSE_NOT_IP);
}

// A protocol we know nothing of needs no header of its own.
TEST(generic)
{
	for (int proto = 0; proto < 256; proto++) {
		bool known = proto == IPPROTO_TCP || proto == IPPROTO_UDP ||
			     proto == IPPROTO_SCTP || proto == IPPROTO_UDPLITE;
		bool known4 = known || proto == IPPROTO_ICMP;
		bool known6 = known || proto == IPPROTO_ICMPV6;
		/* RFC 8200 and 4302; mobility, HIP and shim6 are not followed (as in
		 * ipv6_ext_hdr()). */
		bool ext = proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60;

		CHECK_CASE("protocol %d", proto);
		if (!known4) {
			pkt_start(&p);
			pkt_eth(&p, NULL, NULL);
			pkt_ip4(&p, A4, B4);
			p.data[p.ip + 9] = proto;
			pkt_finish(&p);
			WANT(parse(0), 0);
			CHECK_EQ(got.tuple.proto, proto);
			want_ports(0, 0);
		}
		if (!known6) {
			pkt_start(&p);
			pkt_eth(&p, NULL, NULL);
			pkt_ip6(&p, A6, B6);
			p.data[p.ip + 6] = proto;
			pkt_finish(&p);
			WANT(parse(0), ext	     ? CT_R_IP6_EXT_TRUNCATED
				       : proto == 59 ? CT_R_IP6_NO_NEXT
						     : 0);
			if (!ext && proto != 59)
				CHECK_EQ(got.tuple.proto, proto);
		}
	}
}

/* --- SCTP, UDP-Lite, GRE --------------------------------------------------------------------- */

// Of an SCTP packet the ports, the tags, and the chunks in their order.
TEST(sctp_fields)
{
	BUILD(.src = A4, .dst = B4, .sport = 1000, .dport = 2000, .vtag = 0x12345678,
	      .chunks = "cookie_echo, data 100, heartbeat, sack, abort T");
	WANT(parse(0), 0);
	CHECK_EQ(got.tuple.proto, IPPROTO_SCTP);
	want_ports(1000, 2000);
	CHECK_EQ(be32toh(got.tag), 0x12345678);
	CHECK_EQ(got.chunks, CT_SC_ABORT_T << 8 | CT_SC_HEARTBEAT << 4 | CT_SC_COOKIE_ECHO);
	CHECK_EQ(got.chunk_set, 1 << CT_SC_COOKIE_ECHO | 1 << CT_SC_DATA | 1 << CT_SC_HEARTBEAT |
					1 << CT_SC_OTHER | 1 << CT_SC_ABORT_T);
	CHECK_EQ(got.need, 0);

	BUILD(.src = A6, .dst = B6, .ext = "hd", .sport = 1, .dport = 2, .chunks = "init 0x01020304");
	WANT(parse(0), 0);
	CHECK_EQ(be32toh(got.tag), 0);
	CHECK_EQ(be32toh(got.init_tag), 0x01020304);
	CHECK_EQ(got.chunks, CT_SC_INIT);
}

// Every chunk type is what RFC 9260 says it is; the T bit is looked at where there is one.
TEST(sctp_chunk_types)
{
	static const __u8 kinds[] = { CT_SC_DATA,	  CT_SC_INIT,	     CT_SC_INIT_ACK,
				      CT_SC_OTHER,	  CT_SC_HEARTBEAT,   CT_SC_HEARTBEAT_ACK,
				      CT_SC_ABORT,	  CT_SC_SHUTDOWN,    CT_SC_SHUTDOWN_ACK,
				      CT_SC_ERROR,	  CT_SC_COOKIE_ECHO, CT_SC_COOKIE_ACK,
				      CT_SC_OTHER,	  CT_SC_OTHER,	     CT_SC_SHUTDOWN_COMPLETE };

	for (int type = 0; type < 256; type++)
		for (int flags = 0; flags < 256; flags++) {
			int want = type < 15 ? kinds[type] : CT_SC_OTHER;

			if (want == CT_SC_ABORT && flags & 1)
				want = CT_SC_ABORT_T;
			if (want == CT_SC_SHUTDOWN_COMPLETE && flags & 1)
				want = CT_SC_SHUTDOWN_COMPLETE_T;
			BUILD(.src = A4, .dst = B4, .chunks = "init 1");
			p.data[p.l4 + 12] = (uint8_t)type;
			p.data[p.l4 + 13] = (uint8_t)flags;
			CHECK_CASE("type %d, flags %02x", type, flags);
			WANT(parse(0), 0);
			CHECK_EQ(got.chunk_set, 1 << want);
			CHECK_EQ(got.chunks, want < CT_SC_DATA ? want : 0);
		}
}

// The first fragment of an SCTP packet may end inside a chunk: what is there counts.
TEST(sctp_first_fragment)
{
	BUILD(.src = A4, .dst = B4, .frag_more = true, .chunks = "cookie_echo, data 104");
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_FIRST);
	pkt_fragment(&about, &p, 0, 24, 7);
	p = about;
	WANT(parse(0), 0);
	CHECK_EQ(got.chunk_set, 1 << CT_SC_COOKIE_ECHO | 1 << CT_SC_DATA);
	pkt_fragment(&about, &p, 0, 16, 7);
	p = about;
	WANT(parse(0), 0);
	CHECK_EQ(got.chunk_set, 1 << CT_SC_COOKIE_ECHO);
	pkt_fragment(&about, &p, 0, 8, 7);
	p = about;
	WANT(parse(0), CT_R_SCTP_TRUNCATED);
}

// UDP-Lite's coverage: none is all, else 8 to the whole packet. There is always a checksum.
TEST(udplite_coverage)
{
	for (unsigned int coverage = 0; coverage < 65536; coverage += coverage < 40 ? 1 : 509) {
		bool good = coverage == 0 || (coverage >= 8 && coverage <= 28);

		CHECK_CASE("%u bytes covered", coverage);
		for (int first = 0; first < 2; first++) {
			BUILD(.src = A6, .dst = B6, .proto = IPPROTO_UDPLITE, .sport = 1000, .dport = 53,
			      .coverage = (uint16_t)coverage, .frag_more = first, .payload = 20);
			WANT(parse(0), good || (first && coverage > 28) ? 0 : CT_R_UDPLITE_COVERAGE);
			if (good) {
				want_ports(1000, 53);
				CHECK_EQ(got.need, coverage);
			}
		}
		BUILD(.src = A4, .dst = B4, .proto = IPPROTO_UDPLITE,
		      .coverage = (uint16_t)coverage, .payload = 20);
		pkt_set16(&p, p.l4 + 6, 0);
		WANT(parse(0), good ? CT_R_UDPLITE_UNCHECKED : CT_R_UDPLITE_COVERAGE);
	}
}

static void want_gre(uint16_t call_id)
{
	WANT(parse(0), 0);
	CHECK_EQ(got.tuple.proto, IPPROTO_GRE);
	want_ports(0, call_id);
}

// GRE's key is no part of a flow, a PPTP call id is; what is cut off is an address pair.
TEST(gre)
{
	BUILD(.src = A4, .dst = B4, .proto = IPPROTO_GRE, .payload = 40);
	want_gre(0);
	BUILD(.src = A4, .dst = B4, .proto = IPPROTO_GRE, .gre_key = 77, .payload = 40);
	want_gre(0);
	BUILD(.src = A6, .dst = B6, .proto = IPPROTO_GRE, .pptp = true, .call_id = 77);
	want_gre(77);
	p.len = p.l4 + 8;
	pkt_set16(&p, p.ip + 4, 8);
	want_gre(77);
	p.len = p.l4 + 7;
	pkt_set16(&p, p.ip + 4, 7);
	want_gre(0);
	pkt_set16(&p, p.l4 + 2, ETH_P_IP); /* not looked at */
	want_gre(0);
	p.len = p.l4;
	pkt_set16(&p, p.ip + 4, 0);
	want_gre(0);
	for (unsigned int version = 0; version < 8; version++)
		for (unsigned int flags = 0; flags < 0x10000; flags += 0x3c8) {
			CHECK_CASE("version %u, flags %04x", version, flags);
			BUILD(.src = A4, .dst = B4, .proto = IPPROTO_GRE, .pptp = true, .call_id = 9);
			pkt_set16(&p, p.l4, (uint16_t)(flags & ~7U) | (uint16_t)version);
			want_gre(version == 1 ? 9 : 0);
			pkt_set16(&p, p.l4 + 2, ETH_P_IP);
			if (version == 1)
				WANT(parse(0), CT_R_GRE_PROTOCOL);
			else
				want_gre(0);
		}
}

/* --- IPv4's lengths -------------------------------------------------------------------------- */

// The header is as long as IHL says; below five words it is none.
TEST(ip4_options)
{
	for (size_t len = 0; len <= 40; len += 4) {
		CHECK_CASE("%zu bytes of options", len);
		UDP4(.ip4_options = len, .payload = 3);
		WANT(parse(0), 0);
		want_ports(1000, 53);
		CHECK_EQ(got.len, 20 + len + 8 + 3);
	}
	for (int ihl = 0; ihl < 5; ihl++) {
		CHECK_CASE("IHL %d", ihl);
		UDP4();
		p.data[p.ip] = 0x40 | ihl;
		WANT(parse(0), CT_R_IP4_IHL);
	}
}

// A total length is believed if it holds the header and fits the frame.
TEST(ip4_total_length)
{
	for (int ihl = 5; ihl <= 7; ihl++)
		for (int len = 0; len <= 200; len++) {
			int header = ihl * 4, frame = 100;

			CHECK_CASE("IHL %d, total length %d", ihl, len);
			BUILD(.src = A4, .dst = B4, .proto = IPPROTO_ESP, .payload = 80);
			p.data[p.ip] = 0x40 | ihl;
			pkt_set16(&p, p.ip + 2, len);
			WANT(parse(0), len < header  ? CT_R_IP4_LENGTH
				       : len > frame ? CT_R_IP4_BEYOND_FRAME
						     : 0);
			if (len >= header && len <= frame)
				CHECK_EQ(got.len, len);
		}
	CHECK_CASE("the largest");
	pkt_set16(&p, p.ip + 2, 0xffff);
	WANT(parse(0), CT_R_IP4_BEYOND_FRAME);
}

// Only a super-packet may say that it has no length: then it reaches to the end of the frame.
TEST(gso_lengths)
{
	TCP4(ACK, .payload = 3000);
	pkt_set16(&p, p.ip + 2, 0);
	WANT(parse(0), CT_R_IP4_LENGTH);
	WANT(parse(CT_FRAME_GSO), 0);
	CHECK_EQ(got.len, 3040);
	CHECK_EQ(got.payload, 3000);

	BUILD(.src = A6, .dst = B6, .tcp_flags = ACK, .payload = 3000);
	pkt_set16(&p, p.ip + 4, 0);
	WANT(parse(0), CT_R_TCP_TRUNCATED);
	WANT(parse(CT_FRAME_GSO), 0);
	CHECK_EQ(got.len, 3060);
	CHECK_EQ(got.payload, 3000);

	UDP4(.payload = 3000);
	set_udp_length(0);
	WANT(parse(0), CT_R_UDP_LENGTH);
	WANT(parse(CT_FRAME_GSO), 0);

	/* A length that it does have still has to fit. */
	TCP4(ACK, .payload = 3000);
	pkt_set16(&p, p.ip + 2, 3041);
	WANT(parse(CT_FRAME_GSO), CT_R_IP4_BEYOND_FRAME);
}

/* --- fragments ------------------------------------------------------------------------------- */

static void want_fragment(__u8 which, __u32 id, __u32 off, __u32 len, bool more)
{
	CHECK_EQ(got.fragment, which);
	CHECK_EQ(bpf_ntohl(got.frag_id), id);
	CHECK_EQ(got.frag_off, off);
	CHECK_EQ(got.frag_len, len);
	CHECK_EQ(got.frag_more, more);
}

// The first fragment has the ports; later ones, told by their offset alone, are not looked into.
TEST(ip4_fragments)
{
	UDP4(.payload = 3000, .ip4_options = 8);
	about = p;
	pkt_fragment(&p, &about, 0, 1400, 42);
	WANT(parse(0), 0);
	want_ports(1000, 53);
	want_fragment(CT_FRAG_FIRST, 42 << 16, 0, 1400, true);
	CHECK_EQ(got.bytes, 1428);
	pkt_fragment(&p, &about, 1400, 1608, 42);
	WANT(parse(0), 0);
	want_ports(0, 0);
	want_fragment(CT_FRAG_LATER, 42 << 16, 1400, 1608, false);
	CHECK_EQ(got.bytes, 1608);
	for (int offset = 1; offset < 0x2000; offset = offset * 2 + 1) {
		CHECK_CASE("offset %d", offset);
		pkt_set16(&p, p.ip + 6, offset);
		WANT(parse(0), 0);
		want_fragment(CT_FRAG_LATER, 42 << 16, 8 * offset, 1608, false);
		pkt_set16(&p, p.ip + 6, 0x2000 | offset);
		WANT(parse(0), 0);
		want_fragment(CT_FRAG_LATER, 42 << 16, 8 * offset, 1608, true);
	}
	CHECK_CASE("DF and the reserved bit");
	UDP4();
	pkt_set16(&p, p.ip + 6, 0xc000);
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_NONE);
}

// IPv6: the same. The headers in front of the fragment header are in every fragment, and count once.
TEST(ip6_fragments)
{
	UDP6(.payload = 3000);
	about = p;
	pkt_fragment(&p, &about, 0, 1400, 42);
	WANT(parse(0), 0);
	want_ports(1000, 53);
	want_fragment(CT_FRAG_FIRST, 42, 0, 1400, true);
	CHECK_EQ(got.bytes, 1440);
	pkt_fragment(&p, &about, 1400, 1608, 42);
	WANT(parse(0), 0);
	want_ports(0, 0);
	want_fragment(CT_FRAG_LATER, 42, 1400, 1608, false);
	CHECK_EQ(got.bytes, 1608);
	CHECK_EQ(got.tuple.proto, IPPROTO_UDP);
	UDP6(.ext = "hfd", .frag_more = true, .frag_id = 7, .payload = 24);
	WANT(parse(0), 0);
	want_ports(1000, 53);
	want_fragment(CT_FRAG_FIRST, 7, 0, 8 + 8 + 24, true);
	CHECK_EQ(got.bytes, 40 + 8 + 8 + 8 + 24);
	CHECK_CASE("what a later fragment begins with is not what it carries");
	UDP6(.ext = "hfd", .frag_offset = 8, .payload = 24);
	WANT(parse(0), 0);
	CHECK_EQ(got.tuple.proto, IPPROTO_DSTOPTS);
	CHECK_EQ(got.fragment, CT_FRAG_LATER);
}

// An atomic fragment is a whole packet; its header does not count, as the kernel takes it out.
TEST(ip6_atomic_fragments)
{
	UDP6(.ext = "f", .payload = 10);
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_NONE);
	want_ports(1000, 53);
	CHECK_EQ(got.len, 40 + 8 + 8 + 10);
	CHECK_EQ(got.bytes, 40 + 8 + 10);
	CHECK_CASE("the two reserved bits are not the offset");
	p.data[p.ip + 43] |= 6;
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_NONE);
	CHECK_CASE("two");
	UDP6(.ext = "ff", .payload = 10);
	WANT(parse(0), 0);
	want_ports(1000, 53);
	CHECK_CASE("an atomic one around a fragment");
	p.data[p.ip + 48 + 3] = 1;
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_FIRST);
	CHECK_CASE("a fragment around an atomic one");
	UDP6(.ext = "ff", .payload = 10);
	p.data[p.ip + 40 + 3] = 1;
	WANT(parse(0), 0);
	CHECK_EQ(got.fragment, CT_FRAG_FIRST);
}

// A first fragment's UDP length is that of the whole; a TCP header that is split is truncated.
TEST(first_fragment_lengths)
{
	UDP4(.payload = 3000);
	about = p;
	pkt_fragment(&p, &about, 0, 16, 42);
	WANT(parse(0), 0);
	set_udp_length(7);
	WANT(parse(0), CT_R_UDP_LENGTH);
	TCP4(SYN, .payload = 100);
	about = p;
	pkt_fragment(&p, &about, 0, 16, 42);
	WANT(parse(0), CT_R_TCP_TRUNCATED);
	pkt_fragment(&p, &about, 0, 24, 42);
	WANT(parse(0), 0);
}

/* --- IPv6 extension headers ------------------------------------------------------------------ */

// 32 extension headers, of each kind and mixed, are followed; one more is too many.
TEST(extension_headers)
{
	static const char *const kinds[] = { "h", "d", "r", "f", "a", "hdrfa" };
	static const size_t counts[] = { 0, 1, 8, 30, 32, 33, 60 };

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			char ext[64] = "";

			CHECK_CASE("%zu times %s", counts[i], kinds[kind]);
			for (size_t n = 0; n < counts[i]; n++)
				ext[n] = kinds[kind][n % strlen(kinds[kind])];
			BUILD(.src = A6, .dst = B6, .ext = ext, .sport = 5, .dport = 6,
			      .tcp_flags = SYN, .payload = 9);
			WANT(parse(0), counts[i] <= 32 ? 0 : CT_R_IP6_EXT_TOO_MANY);
			if (counts[i] > 32)
				continue;
			want_ports(5, 6);
			CHECK_EQ(got.tuple.proto, IPPROTO_TCP);
			CHECK_EQ(got.payload, 9);
		}
}

// After as many headers as we follow, "nothing follows" is still "nothing follows".
TEST(no_next_header)
{
	for (int n = 0; n <= 33; n++) {
		char ext[40] = "";

		CHECK_CASE("behind %d headers", n);
		memset(ext, 'd', n);
		BUILD(.src = A6, .dst = B6, .ext = ext, .proto = IPPROTO_NONE);
		WANT(parse(0), n <= 32 ? CT_R_IP6_NO_NEXT : CT_R_IP6_EXT_TOO_MANY);
	}
}

// A header's length is in words of eight bytes, without the first; AH's in words of four plus two.
TEST(extension_header_lengths)
{
	static const uint8_t types[] = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS };

	for (size_t i = 0; i < sizeof(types); i++)
		for (size_t len = 8; len <= 2048; len += 8) {
			CHECK_CASE("type %d, %zu bytes", types[i], len);
			pkt_start(&p);
			pkt_eth(&p, NULL, NULL);
			pkt_ip6(&p, A6, B6);
			pkt_ext(&p, types[i], len);
			pkt_udp(&p, 5, 6);
			pkt_finish(&p);
			WANT(parse(0), 0);
			want_ports(5, 6);
		}
	for (size_t icv = 0; icv <= 1008; icv += 4) {
		CHECK_CASE("AH with %zu bytes of value", icv);
		pkt_start(&p);
		pkt_eth(&p, NULL, NULL);
		pkt_ip6(&p, A6, B6);
		pkt_ah(&p, 1, icv);
		pkt_udp(&p, 5, 6);
		pkt_finish(&p);
		WANT(parse(0), 0);
		want_ports(5, 6);
	}
	CHECK_CASE("the fragment header's second byte is no length");
	UDP6(.ext = "f");
	p.data[p.ip + 41] = 0xff;
	WANT(parse(0), 0);
}

// A header that says it is longer than the packet is truncated, at whatever place in the chain.
TEST(extension_header_passes_the_end)
{
	static const char kinds[] = "hdra";

	for (size_t kind = 0; kind < 4; kind++)
		for (int n = 1; n <= 32; n++) {
			size_t at, step = kinds[kind] == 'a' ? 24 : 8,
				   unit = kinds[kind] == 'a' ? 4 : 8;
			char ext[40] = "";

			CHECK_CASE("%d times %c", n, kinds[kind]);
			memset(ext, kinds[kind], n);
			UDP6(.ext = ext);
			at = p.ip + 40 + (n - 1) * step + 1;
			p.data[at] += 8 / unit; /* to the end: then UDP is cut off */
			WANT(parse(0), CT_R_UDP_TRUNCATED);
			p.data[at] += 1;
			WANT(parse(0), CT_R_IP6_EXT_TRUNCATED);
			p.data[at] = 0xff;
			WANT(parse(0), CT_R_IP6_EXT_TRUNCATED);
		}
}

// Headers that reach further than we look are too many, or the parser asks for what it can't get
// (which the hook counts as unreadable): the packet is neither accepted nor taken for no IP.
TEST(headers_beyond_our_reach)
{
	for (int n = 7; n <= 12; n++) {
		CHECK_CASE("%d headers of 2048 bytes", n);
		pkt_start(&p);
		pkt_eth(&p, NULL, NULL);
		pkt_ip6(&p, A6, B6);
		for (int i = 0; i < n; i++)
			pkt_ext(&p, IPPROTO_DSTOPTS, 2048);
		pkt_udp(&p, 5, 6);
		pkt_finish(&p);
		if (n < 8)
			WANT(parse(0), 0);
		else if (n == 8) /* it is UDP's header that is out of reach */
			WANT(parse(0), CT_PARSE_MORE);
		else
			WANT(parse(0), CT_R_IP6_EXT_TOO_MANY);
	}
}

/* --- TCP ------------------------------------------------------------------------------------- */

// The data offset has to hold the header and to fit the packet.
TEST(tcp_data_offset)
{
	for (int doff = 0; doff < 16; doff++)
		for (int more = 0; more <= 44; more += 4) {
			CHECK_CASE("doff %d, %d bytes behind the header", doff, more);
			TCP4(SYN, .payload = more);
			p.data[p.l4 + 12] = doff << 4 | 0xf; /* the rest is reserved */
			WANT(parse(0), doff < 5		      ? CT_R_TCP_DOFF
				       : doff * 4 > 20 + more ? CT_R_TCP_OPTIONS
							      : 0);
			if (doff >= 5 && doff * 4 <= 20 + more)
				CHECK_EQ(got.payload, 20 + more - doff * 4);
		}
}

/* The flags as letters, in the order of the list below. */
static const char *letters(uint8_t flags)
{
	static char text[8];
	size_t n = 0;

	if (flags & SYN)
		text[n++] = 'S';
	if (flags & FIN)
		text[n++] = 'F';
	if (flags & RST)
		text[n++] = 'R';
	if (flags & ACK)
		text[n++] = 'A';
	if (flags & URG)
		text[n++] = 'U';
	text[n] = '\0';
	return text;
}

// Nine combinations mean something, with or without PSH, ECE and CWR; the other 184 are invalid.
TEST(tcp_flags)
{
	static const char *const meaningful[] = {
		"S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU"
	};
	int valid = 0;

	for (int flags = 0; flags < 256; flags++) {
		bool means = false;

		CHECK_CASE("flags %02x (%s)", flags, letters(flags));
		for (size_t i = 0; i < sizeof(meaningful) / sizeof(meaningful[0]); i++)
			means |= !strcmp(letters(flags), meaningful[i]);
		TCP4(SYN);
		p.data[p.l4 + 13] = flags;
		WANT(parse(0), means ? 0 : CT_R_TCP_FLAGS);
		if (means)
			CHECK_EQ(got.tcp_flags, flags);
		valid += means;
	}
	CHECK_CASE("how many");
	CHECK_EQ(valid, 9 * 8);
}

/* --- UDP ------------------------------------------------------------------------------------- */

// A length below the header's or beyond the packet is a lie; a shorter one than the packet is not.
TEST(udp_lengths)
{
	for (int len = 0; len <= 120; len++) {
		CHECK_CASE("length %d of 108", len);
		UDP4(.payload = 100);
		set_udp_length(len);
		WANT(parse(0), len < 8 || len > 108 ? CT_R_UDP_LENGTH : 0);
		UDP6(.payload = 100, .ext = "hd");
		set_udp_length(len);
		WANT(parse(0), len < 8 || len > 108 ? CT_R_UDP_LENGTH : 0);
	}
	set_udp_length(0xffff);
	WANT(parse(0), CT_R_UDP_LENGTH);
}

// Ports may be anything, zero too; equal addresses and ports are parsed like others.
TEST(any_ports_and_addresses)
{
	static const struct {
		const char *src, *dst;
	} pairs[] = { { A4, A4 },	   { "0.0.0.0", "255.255.255.255" },
		      { A4, "224.0.0.1" }, { "127.0.0.1", A4 },
		      { A6, A6 },	   { "::", "ff02::1" },
		      { "fe80::1", A6 },   { "::ffff:10.0.1.1", A6 } };
	static const uint16_t ports[] = { 0, 1, 0x00ff, 0xff00, 0xffff };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (size_t s = 0; s < 5; s++)
			for (size_t d = 0; d < 5; d++) {
				CHECK_CASE("%s -> %s", pairs[i].src, pairs[i].dst);
				BUILD(.src = pairs[i].src, .dst = pairs[i].dst, .sport = ports[s],
				      .dport = ports[d]);
				WANT(parse(0), 0);
				want_ports(ports[s], ports[d]);
			}
}

/* --- ICMP ------------------------------------------------------------------------------------ */

/* What a type is, by number: q question, a answer, e error, n neighbours, - none of these. */
static char icmp4_is(int type)
{
	return type <= 18 ? "a--eee--q--eeqaqaqa"[type] : '-';
}

static char icmp6_is(int type)
{
	/* From 128 on; 137, redirect, carries a packet as errors do. */
	static const char from_128[] = "qannnnnnne-qa--n-------nn";

	if (type < 128)
		return 'e';
	return type - 128 < (int)sizeof(from_128) - 1 ? from_128[type - 128] : '-';
}

static void want_icmp_type(const char *src, const char *dst, int type, char is)
{
	struct pkt_desc d = {
		.src = src, .dst = dst, .icmp_type = 8, .icmp_code = 3, .icmp_id = 0xabcd
	};
	int want = is == 'n'   ? CT_R_ND
		   : is == '-' ? CT_R_ICMP_TYPE
		   : is == 'e' ? CT_R_ICMP_INNER
			       : 0;

	pkt_build(&p, &d);
	p.data[p.l4] = type;
	WANT(parse(0), want);
	if (want)
		return;
	CHECK_EQ(be16toh(got.tuple.sport), 0xabcd);
	CHECK_EQ(be16toh(got.tuple.dport), type << 8 | 3);
}

// Of the 256 types of ICMP and of ICMPv6, each is question, answer, error, neighbours or nonsense.
TEST(icmp_types)
{
	for (int type = 0; type < 256; type++) {
		CHECK_CASE("ICMP type %d", type);
		want_icmp_type(A4, B4, type, icmp4_is(type));
		CHECK_CASE("ICMPv6 type %d", type);
		want_icmp_type(A6, B6, type, icmp6_is(type));
	}
}

// ICMP inside IPv6 and ICMPv6 inside IPv4 are protocols like any other.
TEST(icmp_of_the_other_family)
{
	BUILD(.src = A4, .dst = B4, .proto = IPPROTO_ICMPV6, .payload = 4);
	WANT(parse(0), 0);
	want_ports(0, 0);
	BUILD(.src = A6, .dst = B6, .proto = IPPROTO_ICMP, .payload = 4);
	WANT(parse(0), 0);
	want_ports(0, 0);
}

/* An error from `src` to `dst` of this type about the packet in `about`, of which it quotes `len`.
 */
static void build_error(bool v6, uint8_t type, size_t len)
{
	BUILD(.src = v6 ? "fd00:1::fe" : "10.0.1.254", .dst = v6 ? A6 : A4, .icmp_type = type,
	      .quote = &about, .quote_len = len);
	p.payload = p.l4 + 8;
}

#define ABOUT(...) pkt_build(&about, &(struct pkt_desc){ __VA_ARGS__ })

// An error's inner tuple is that of the packet it quotes, as that one was sent.
TEST(icmp_error_quotes)
{
	static const uint8_t types4[] = { 3, 4, 5, 11, 12 }, types6[] = { 1, 2, 3, 4, 0, 127 };

	for (size_t i = 0; i < sizeof(types4); i++) {
		CHECK_CASE("ICMP type %d", types4[i]);
		ABOUT(.src = A4, .dst = B4, .sport = 1000, .dport = 80, .tcp_flags = SYN);
		build_error(false, types4[i], 28);
		WANT(parse(0), 0);
		CHECK_EQ(got.icmp_error, 1);
		CHECK_EQ(got.inner.family, CT_IPV4);
		CHECK_EQ(got.inner.proto, IPPROTO_TCP);
		want_addresses(&got.inner, p.payload + 12, p.payload + 16);
		CHECK_EQ(be16toh(got.inner.sport), 1000);
		CHECK_EQ(be16toh(got.inner.dport), 80);
		CHECK_EQ(got.tuple.proto, IPPROTO_ICMP);
	}
	for (size_t i = 0; i < sizeof(types6); i++) {
		CHECK_CASE("ICMPv6 type %d", types6[i]);
		ABOUT(.src = A6, .dst = B6, .ext = "hdr", .sport = 1000, .dport = 53);
		build_error(true, types6[i] ? types6[i] : 1, 0);
		p.data[p.l4] = types6[i];
		WANT(parse(0), 0);
		CHECK_EQ(got.icmp_error, 1);
		CHECK_EQ(got.inner.family, CT_IPV6);
		CHECK_EQ(got.inner.proto, IPPROTO_UDP);
		want_addresses(&got.inner, p.payload + 8, p.payload + 24);
		CHECK_EQ(be16toh(got.inner.sport), 1000);
		CHECK_EQ(be16toh(got.inner.dport), 53);
	}
}

// An error about a ping has the ping's identifier and type; one about an answer the answer's.
TEST(icmp_error_about_icmp)
{
	static const uint8_t types[][2] = { { 8, 128 }, { 0, 129 } };

	for (size_t i = 0; i < 2; i++) {
		CHECK_CASE("ICMP type %d", types[i][0]);
		ABOUT(.src = A4, .dst = B4, .proto = IPPROTO_ICMP, .icmp_type = types[i][0],
		      .icmp_id = 77, .icmp_code = 1);
		build_error(false, 11, 0);
		WANT(parse(0), 0);
		CHECK_EQ(be16toh(got.inner.sport), 77);
		CHECK_EQ(be16toh(got.inner.dport), types[i][0] << 8 | 1);
		CHECK_CASE("ICMPv6 type %d", types[i][1]);
		ABOUT(.src = A6, .dst = B6, .icmp_type = types[i][1], .icmp_id = 77);
		build_error(true, 3, 0);
		WANT(parse(0), 0);
		CHECK_EQ(be16toh(got.inner.sport), 77);
		CHECK_EQ(be16toh(got.inner.dport), types[i][1] << 8);
	}
}

// Errors about errors, or about what opens and answers nothing, belong to no flow.
TEST(icmp_error_about_errors)
{
	for (int type = 0; type < 256; type++) {
		char is4 = icmp4_is(type), is6 = icmp6_is(type);

		CHECK_CASE("about ICMP type %d", type);
		ABOUT(.src = A4, .dst = B4, .icmp_type = 8, .payload = 100);
		about.data[about.l4] = type;
		build_error(false, 3, 0);
		WANT(parse(0), is4 == 'q' || is4 == 'a' ? 0 : CT_R_ICMP_INNER);
		CHECK_CASE("about ICMPv6 type %d", type);
		ABOUT(.src = A6, .dst = B6, .icmp_type = 128, .payload = 100);
		about.data[about.l4] = type;
		build_error(true, 1, 0);
		WANT(parse(0), is6 == 'q' || is6 == 'a' ? 0 : CT_R_ICMP_INNER);
	}
}

// The quote is cut off by design: its length fields mean nothing. What names the flow must be
// there.
TEST(icmp_error_inner_lengths)
{
	ABOUT(.src = A4, .dst = B4, .sport = 1000, .dport = 80, .tcp_flags = ACK, .payload = 1400);
	for (size_t len = 1; len <= 60; len++) {
		CHECK_CASE("%zu bytes of an IPv4 packet", len);
		build_error(false, 3, len);
		WANT(parse(0), len < 24 ? CT_R_ICMP_INNER : 0); /* up to the ports */
	}
	ABOUT(.src = A6, .dst = B6, .ext = "hra", .sport = 1000, .dport = 53, .payload = 1400);
	for (size_t len = 1; len <= 120; len++) {
		CHECK_CASE("%zu bytes of an IPv6 packet", len);
		build_error(true, 1, len);
		WANT(parse(0), len < 40 + 8 + 8 + 24 + 4 ? CT_R_ICMP_INNER : 0);
	}
}

// What is quoted has to be an IP packet of the same family, whole or a first fragment.
TEST(icmp_error_inner_header)
{
	ABOUT(.src = A4, .dst = B4, .sport = 1000, .dport = 53, .payload = 100);
	for (int first = 0; first < 256; first++) {
		CHECK_CASE("IPv4 begins with %02x", first);
		build_error(false, 3, 0);
		p.data[p.payload] = first;
		WANT(parse(0), first >> 4 == 4 && (first & 15) >= 5 ? 0 : CT_R_ICMP_INNER);
	}
	CHECK_CASE("IPv4 fragments");
	build_error(false, 3, 0);
	pkt_set16(&p, p.payload + 6, 0x2000);
	WANT(parse(0), 0);
	pkt_set16(&p, p.payload + 6, 0x2001);
	WANT(parse(0), CT_R_ICMP_INNER);
	pkt_set16(&p, p.payload + 6, 0x1000);
	WANT(parse(0), CT_R_ICMP_INNER);

	ABOUT(.src = A6, .dst = B6, .sport = 1000, .dport = 53, .payload = 100);
	for (int version = 0; version < 16; version++) {
		CHECK_CASE("IPv6 of version %d", version);
		build_error(true, 1, 0);
		p.data[p.payload] = version << 4;
		WANT(parse(0), version == 6 ? 0 : CT_R_ICMP_INNER);
	}
	CHECK_CASE("IPv6 fragments");
	ABOUT(.src = A6, .dst = B6, .frag_more = true, .sport = 1000, .dport = 53, .payload = 104);
	build_error(true, 2, 0);
	WANT(parse(0), 0);
	ABOUT(.src = A6, .dst = B6, .frag_offset = 8, .payload = 104);
	build_error(true, 2, 0);
	WANT(parse(0), CT_R_ICMP_INNER);
	CHECK_CASE("IPv6 with too many headers, or none");
	ABOUT(.src = A6, .dst = B6, .ext = "ddddddddddddddddddddddddddddddddd");
	build_error(true, 1, 0);
	WANT(parse(0), CT_R_ICMP_INNER);
	ABOUT(.src = A6, .dst = B6, .proto = IPPROTO_NONE, .payload = 8);
	build_error(true, 1, 0);
	WANT(parse(0), CT_R_ICMP_INNER);
}

/* A redirect from a router of the link, about a UDP packet; `len` bytes of it, or all. */
static void build_redirect(const char *from, uint8_t hops, size_t len)
{
	static uint8_t data[32 + 8 + sizeof(about.data)];
	size_t all;

	ABOUT(.src = A6, .dst = B6, .sport = 1000, .dport = 53, .payload = 16);
	all = 32 + 8 + about.len - about.ip;
	data[32] = 4; /* redirected header */
	data[33] = (uint8_t)((all - 32) / 8);
	memcpy(data + 40, about.data + about.ip, about.len - about.ip);
	BUILD(.src = from, .dst = A6, .ttl = hops, .icmp_type = 137, .data = data,
	      .payload = len ? len : all);
}

// A redirect is about the packet in its first option, if that is the redirected header.
TEST(icmp6_redirects)
{
	build_redirect("fe80::1", 255, 0);
	WANT(parse(0), 0);
	CHECK_EQ(got.icmp_error, 1);
	CHECK_EQ(be16toh(got.inner.sport), 1000);
	CHECK_EQ(be16toh(got.inner.dport), 53);
	for (size_t len = 1; len <= 32 + 8 + 40 + 4; len++) {
		CHECK_CASE("%zu bytes behind the ICMP header", len);
		build_redirect("fe80::1", 255, len);
		WANT(parse(0), len < 32 + 8 + 40 + 4 ? CT_R_ICMP_INNER : 0);
	}
	CHECK_CASE("another option first");
	build_redirect("fe80::1", 255, 0);
	p.data[p.l4 + 40] = 2;
	WANT(parse(0), CT_R_ICMP_INNER);
	CHECK_CASE("an option of no length");
	build_redirect("fe80::1", 255, 0);
	p.data[p.l4 + 41] = 0;
	WANT(parse(0), CT_R_ICMP_INNER);
	CHECK_CASE("a code");
	build_redirect("fe80::1", 255, 0);
	p.data[p.l4 + 1] = 1;
	WANT(parse(0), CT_R_ICMP_TYPE);
	CHECK_CASE("who may have sent it");
	build_redirect("febf::1", 255, 0);
	WANT(parse(0), 0);
	build_redirect("fec0::1", 255, 0);
	WANT(parse(0), CT_R_ICMP_REDIRECT);
	build_redirect("fe7f::1", 255, 0);
	WANT(parse(0), CT_R_ICMP_REDIRECT);
	build_redirect("fe80::1", 254, 0);
	WANT(parse(0), CT_R_ICMP_REDIRECT);
}

// Quotes of other protocols need their whole IP header, options included, and no more.
TEST(icmp_error_about_generic)
{
	ABOUT(.src = A4, .dst = B4, .proto = IPPROTO_ESP, .ip4_options = 40, .payload = 100);
	for (size_t len = 1; len <= 80 && check_failures < 2; len++) {
		CHECK_CASE("%zu bytes", len);
		build_error(false, 3, len);
		WANT(parse(0), len < 60 ? CT_R_ICMP_INNER : 0);
		if (len < 60)
			continue;
		CHECK_EQ(got.inner.proto, IPPROTO_ESP);
		CHECK_EQ(got.inner.sport, 0);
		CHECK_EQ(got.inner.dport, 0);
	}
}

// An error about SCTP or UDP-Lite needs the ports, one about PPTP the call id.
TEST(icmp_error_about_others)
{
	for (size_t len = 20; len <= 20 + 12; len++) {
		CHECK_CASE("SCTP, %zu bytes", len);
		ABOUT(.src = B4, .dst = A4, .sport = 53, .dport = 1000, .chunks = "init 7");
		build_error(false, 3, len);
		WANT(parse(0), len < 20 + 4 ? CT_R_ICMP_INNER : 0);
		if (len >= 20 + 4) {
			CHECK_EQ(be16toh(got.inner.sport), 53);
			CHECK_EQ(be16toh(got.inner.dport), 1000);
		}
		CHECK_CASE("UDP-Lite, %zu bytes", len);
		ABOUT(.src = B4, .dst = A4, .proto = IPPROTO_UDPLITE, .sport = 53, .dport = 1000,
		      .payload = 20);
		build_error(false, 3, len);
		WANT(parse(0), len < 20 + 4 ? CT_R_ICMP_INNER : 0);
		if (len >= 20 + 4)
			CHECK_EQ(be16toh(got.inner.dport), 1000);
		CHECK_CASE("PPTP, %zu bytes", len);
		ABOUT(.src = B4, .dst = A4, .proto = IPPROTO_GRE, .pptp = true, .call_id = 77);
		build_error(false, 3, len);
		WANT(parse(0), 0);
		CHECK_EQ(be16toh(got.inner.sport), 0);
		CHECK_EQ(be16toh(got.inner.dport), len < 20 + 8 ? 0 : 77);
	}
	pkt_set16(&about, about.l4 + 2, ETH_P_IP);
	build_error(false, 3, 60);
	WANT(parse(0), CT_R_ICMP_INNER);
}

/* --- every truncation of every header -------------------------------------------------------- */

/*
 * Frames for the tests below. `edges` are offsets from the layer 4 header, each with the reason
 * that a packet gets which honestly ends before it; `need` is how far the parser has to see.
 */
static const struct frame {
	const char *name;
	struct pkt_desc d;
	struct {
		size_t at;
		int reason;
	} edges[3];
	size_t need;
	bool error; /* about a UDP packet */
} frames[] = {
	{ "TCP",
	  { .src = A4, .dst = B4, .tcp_flags = SYN, .payload = 9 },
	  { { 20, CT_R_TCP_TRUNCATED } },
	  20,
	  0 },
	{ "TCP with options",
	  { .src = A4,
	    .dst = B4,
	    .tcp_flags = SYN,
	    .tcp_options = "mss 1460,sackOK,nop,nop",
	    .payload = 9 },
	  { { 20, CT_R_TCP_TRUNCATED }, { 28, CT_R_TCP_OPTIONS } },
	  28,
	  0 },
	{ "TCP behind IPv4 options and two tags",
	  { .vlan = { { .vid = 1 }, { .vid = 2 } },
	    .src = A4,
	    .dst = B4,
	    .ip4_options = 12,
	    .tcp_flags = ACK },
	  { { 20, CT_R_TCP_TRUNCATED } },
	  20,
	  0 },
	{ "TCP over IPv6 with every extension header",
	  { .vlan = { { .vid = 1 } },
	    .src = A6,
	    .dst = B6,
	    .ext = "hdrfa",
	    .tcp_flags = ACK,
	    .payload = 3 },
	  { { 20, CT_R_TCP_TRUNCATED } },
	  20,
	  0 },
	{ "UDP",
	  { .src = A4, .dst = B4, .payload = 9 },
	  { { 8, CT_R_UDP_TRUNCATED }, { 17, CT_R_UDP_LENGTH } },
	  8,
	  0 },
	{ "UDP over IPv6",
	  { .src = A6, .dst = B6, .payload = 9 },
	  { { 8, CT_R_UDP_TRUNCATED }, { 17, CT_R_UDP_LENGTH } },
	  8,
	  0 },
	{ "UDP, a first fragment",
	  { .src = A6, .dst = B6, .frag_more = true, .payload = 16 },
	  { { 8, CT_R_UDP_TRUNCATED } },
	  8,
	  0 },
	{ "ping",
	  { .src = A4, .dst = B4, .icmp_type = 8, .payload = 9 },
	  { { 8, CT_R_ICMP_TRUNCATED } },
	  8,
	  0 },
	{ "ping -6",
	  { .src = A6, .dst = B6, .ext = "d", .icmp_type = 128, .payload = 9 },
	  { { 8, CT_R_ICMP_TRUNCATED } },
	  8,
	  0 },
	{ "unreachable",
	  { .src = A4, .dst = B4, .icmp_type = 3 },
	  { { 8, CT_R_ICMP_TRUNCATED }, { 32, CT_R_ICMP_INNER } },
	  32,
	  1 },
	{ "unreachable over IPv6",
	  { .src = A6, .dst = B6, .icmp_type = 1 },
	  { { 8, CT_R_ICMP_TRUNCATED }, { 8 + 40 + 32 + 4, CT_R_ICMP_INNER } },
	  8 + 40 + 32 + 4,
	  1 },
	{ "SCTP, INIT",
	  { .src = A4, .dst = B4, .chunks = "init 7" },
	  { { 12, CT_R_SCTP_TRUNCATED }, { 16, CT_R_SCTP_CHUNKS }, { 32, CT_R_SCTP_TRUNCATED } },
	  32,
	  0 },
	{ "SCTP over IPv6, chunks",
	  { .src = A6, .dst = B6, .ext = "d", .chunks = "cookie_ack, sack, heartbeat 30, data 9" },
	  { { 12, CT_R_SCTP_TRUNCATED }, { 16, CT_R_SCTP_CHUNKS } },
	  12 + 4 + 16 + 36 + 4,
	  0 },
	{ "SCTP, a first fragment",
	  { .src = A6, .dst = B6, .frag_more = true, .chunks = "abort T, data 64" },
	  { { 12, CT_R_SCTP_TRUNCATED }, { 16, CT_R_SCTP_CHUNKS } },
	  12 + 4 + 4,
	  0 },
	{ "UDP-Lite",
	  { .src = A4, .dst = B4, .proto = IPPROTO_UDPLITE, .coverage = 12, .payload = 9 },
	  { { 8, CT_R_UDPLITE_TRUNCATED }, { 12, CT_R_UDPLITE_COVERAGE } },
	  8,
	  0 },
	{ "UDP-Lite over IPv6, all covered",
	  { .src = A6, .dst = B6, .proto = IPPROTO_UDPLITE, .payload = 9 },
	  { { 8, CT_R_UDPLITE_TRUNCATED } },
	  8,
	  0 },
	{ "UDP-Lite, a first fragment",
	  { .src = A6,
	    .dst = B6,
	    .proto = IPPROTO_UDPLITE,
	    .frag_more = true,
	    .coverage = 100,
	    .payload = 16 },
	  { { 8, CT_R_UDPLITE_TRUNCATED } },
	  8,
	  0 },
	{ "GRE with a key",
	  { .src = A4, .dst = B4, .proto = IPPROTO_GRE, .gre_key = 77, .payload = 9 },
	  { { 0, 0 } },
	  4,
	  0 },
	{ "GRE of PPTP over IPv6",
	  { .src = A6, .dst = B6, .proto = IPPROTO_GRE, .pptp = true, .call_id = 77, .payload = 9 },
	  { { 0, 0 } },
	  8,
	  0 },
	{ "ESP", { .src = A4, .dst = B4, .proto = IPPROTO_ESP, .payload = 9 }, { { 0, 0 } }, 0, 0 },
	{ "ESP over IPv6",
	  { .src = A6, .dst = B6, .proto = IPPROTO_ESP, .payload = 9 },
	  { { 0, 0 } },
	  0,
	  0 },
};
#define FRAMES (sizeof(frames) / sizeof(frames[0]))

static void build_frame(const struct frame *f, bool l3)
{
	struct pkt_desc d = f->d;
	bool v6 = strchr(d.src, ':');

	if (f->error) {
		ABOUT(.src = v6 ? B6 : B4, .dst = v6 ? A6 : A4, .ext = v6 ? "ra" : "",
		      .payload = 20);
		d.quote = &about;
	}
	d.l3 = l3;
	if (l3)
		memset(d.vlan, 0, sizeof(d.vlan));
	pkt_build(&p, &d);
}

static bool is_v6(void)
{
	return p.data[p.ip] >> 4 == 6;
}

/* What a frame gets that is cut off in front of its IP packet's end. */
static int cut_frame(size_t len)
{
	if (p.eth == PKT_ABSENT && !len)
		return CT_PARSE_NOT_IP;
	if (p.eth != PKT_ABSENT && len < 14)
		return CT_R_ETH_TRUNCATED;
	if (len < p.ip)
		return CT_R_VLAN_TRUNCATED;
	if (len < p.ip + (is_v6() ? 40 : 20))
		return is_v6() ? CT_R_IP6_TRUNCATED : CT_R_IP4_TRUNCATED;
	return is_v6() ? CT_R_IP6_BEYOND_FRAME : CT_R_IP4_BEYOND_FRAME;
}

// A frame that ends early gets the reason of the header in which it ends.
TEST(cut_frames)
{
	for (size_t i = 0; i < 2 * FRAMES; i++) {
		const struct frame *f = &frames[i / 2];
		__u32 how = i % 2 ? CT_FRAME_L3 : 0;

		build_frame(f, how);
		for (size_t len = 0; len < p.len; len++) {
			CHECK_CASE("%s, %zu of %zu bytes%s", f->name, len, p.len,
				   how ? ", L3" : "");
			WANT(parse_part(p.data, len, len, how), cut_frame(len));
		}
		CHECK_CASE("%s", f->name);
		WANT(parse(how), 0);
	}
}

/* What an IP packet gets that honestly ends at `len` of the frame. */
static int cut_packet(const struct frame *f, size_t len)
{
	if (len < p.l4)
		return is_v6() ? CT_R_IP6_EXT_TRUNCATED : CT_R_IP4_LENGTH;
	for (size_t i = 0; i < 3; i++)
		if (len < p.l4 + f->edges[i].at)
			return f->edges[i].reason;
	return 0;
}

// An IP packet that ends early, and says so, gets the reason of the header in which it ends.
TEST(cut_packets)
{
	for (size_t i = 0; i < FRAMES; i++) {
		const struct frame *f = &frames[i];
		size_t whole;

		build_frame(f, false);
		whole = p.len;
		for (p.len = p.ip + (is_v6() ? 40 : 20); p.len <= whole; p.len++) {
			CHECK_CASE("%s, %zu of %zu bytes", f->name, p.len, whole);
			if (is_v6())
				pkt_set16(&p, p.ip + 4, p.len - p.ip - 40);
			else
				pkt_set16(&p, p.ip + 2, p.len - p.ip);
			WANT(parse(0), cut_packet(f, p.len));
			/* The same if something that is not of the packet follows it. */
			WANT(parse_part(p.data, whole, whole, 0), cut_packet(f, p.len));
		}
	}
}

// The parser asks for more exactly until it can see the last header that it needs.
TEST(readable_part)
{
	for (size_t i = 0; i < FRAMES; i++) {
		const struct frame *f = &frames[i];

		build_frame(f, false);
		for (size_t readable = 0; readable <= p.len; readable++) {
			CHECK_CASE("%s, %zu of %zu bytes readable", f->name, readable, p.len);
			WANT(parse_part(p.data, readable, p.len, 0),
			     readable < p.l4 + f->need ? CT_PARSE_MORE : 0);
		}
	}
}

// Whatever the length, a reason does not depend on how much is readable: it is that or "more".
TEST(readable_part_of_cut_frames)
{
	for (size_t i = 0; i < FRAMES; i++) {
		build_frame(&frames[i], false);
		for (size_t len = 0; len <= p.len; len++) {
			int whole = parse_part(p.data, len, len, 0);

			for (size_t readable = 0; readable < len; readable++) {
				int part = parse_part(p.data, readable, len, 0);

				CHECK_CASE("%s, %zu of %zu bytes", frames[i].name, readable, len);
				if (part != CT_PARSE_MORE)
					WANT(part, whole);
			}
		}
	}
}

// 0 to 60 bytes of anything never are a flow by themselves, unless a packet fits in.
TEST(tiny_frames)
{
	static const uint8_t fill[] = { 0x00, 0x45, 0x60, 0xff };

	for (size_t i = 0; i < sizeof(fill); i++)
		for (size_t len = 0; len <= 60; len++) {
			uint8_t frame[60];
			int want;

			CHECK_CASE("%zu bytes of %02x", len, fill[i]);
			memset(frame, fill[i], sizeof(frame));
			want = len < 14 ? CT_R_ETH_TRUNCATED : CT_PARSE_NOT_IP;
			WANT(parse_part(frame, len, len, 0), want);
			/* And behind the EtherTypes that we look into. */
			if (len < 14)
				continue;
			memcpy(frame + 12, "\x08\x00", 2);
			want = len < 34		 ? CT_R_IP4_TRUNCATED
			       : fill[i] == 0x45 ? CT_R_IP4_BEYOND_FRAME
						 : CT_R_IP4_VERSION;
			WANT(parse_part(frame, len, len, 0), want);
			memcpy(frame + 12, "\x86\xdd", 2);
			want = len < 54		 ? CT_R_IP6_TRUNCATED
			       : fill[i] == 0x60 ? CT_R_IP6_BEYOND_FRAME
						 : CT_R_IP6_VERSION;
			WANT(parse_part(frame, len, len, 0), want);
		}
}

/* --- anything -------------------------------------------------------------------------------- */

/* What holds of every packet that is not refused. */
static void check_accepted(size_t len)
{
	CHECK(got.tuple.family == CT_IPV4 || got.tuple.family == CT_IPV6);
	CHECK_EQ(got.tuple.zone, 0);
	CHECK(got.len <= len);
	CHECK(got.len >= (got.tuple.family == CT_IPV4 ? 20 : 40));
	CHECK(got.payload <= got.len);
	if (got.tuple.proto == IPPROTO_TCP)
		CHECK((got.tcp_flags & (SYN | FIN)) != (SYN | FIN));
	if (got.icmp_error)
		CHECK_EQ(got.inner.family, got.tuple.family);
}

// Frames with random changes are never read beyond their end, and never half understood.
TEST(random_changes)
{
	static const uint8_t telling[] = { 0, 0xff, IPPROTO_NONE, IPPROTO_FRAGMENT };

	random_begin();
	for (int i = 0; i < 300000 && check_failures < 10; i++) {
		size_t len, readable, changes = random_below(5);
		int whole, part;

		build_frame(&frames[random_below(FRAMES)], false);
		for (size_t n = 0; n < changes; n++)
			p.data[random_below(p.len)] =
				random_below(4) ? random_below(256) : telling[random_below(4)];
		len = random_below(3) ? p.len : random_below(p.len + 1);
		readable = random_below(len + 1);
		CHECK_CASE("round %d", i);
		part = parse_part(p.data, readable, len, 0);
		whole = parse_part(p.data, len, len, 0);
		CHECK(whole == CT_PARSE_NOT_IP || (whole >= 0 && whole < CT_R_MAX));
		if (part != CT_PARSE_MORE)
			WANT(part, whole);
		if (!whole)
			check_accepted(len);
	}
}

CHECK_MAIN()
