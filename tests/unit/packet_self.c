// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet builder makes what a Linux host makes. The bytes are frames captured from a veth
 * (kernel 6.18, checksum offload off), not our own.
 */
#include "check.h"
#include "packet.h"

static struct pkt p, q;

/* Compare the frame with a dump, "0200 0000 ...". */
static void want_frame(const char *hex)
{
	static uint8_t want[2048];
	size_t len = 0;
	int used;

	for (; sscanf(hex, "%2hhx%n", &want[len], &used) == 1; len++)
		hex += used;
	CHECK_EQ(p.len, len);
	CHECK_MEM(p.data, want, len);
}

// IPv4 header and ICMP checksum of `ping -s 5`, an odd length.
TEST(icmp_echo)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.1.2", .ip_id = 14238,
					  .df = true, .icmp_type = 8, .icmp_id = 6366,
					  .icmp_seq = 1, .data = "\0\1\2\3\4", .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 0800 4500 0021 379e 4000 4001 ed3b 0a00 0101 0a00"
		   "0102 0800 d91c 18de 0001 0001 0203 04");
}

TEST(icmp6_echo)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:1::2",
					  .flow_label = 0x681ad, .icmp_type = 128, .icmp_id = 6367,
					  .icmp_seq = 1, .data = "\0\1\2\3\4", .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 86dd 6006 81ad 000d 3a40 fd00 0001 0000 0000 0000"
		   "0000 0000 0001 fd00 0001 0000 0000 0000 0000 0000 0002 8000 66cd 18df 0001 0001"
		   "0203 04");
}

TEST(udp)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.1.2", .ip_id = 18163,
					  .df = true, .sport = 5353, .dport = 53, .data = "hello",
					  .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 0800 4500 0021 46f3 4000 4011 ddd6 0a00 0101 0a00"
		   "0102 14e9 0035 000d 90e1 6865 6c6c 6f");
}

TEST(udp6)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:1::2",
					  .flow_label = 0xf2272, .sport = 5353, .dport = 53,
					  .data = "hello", .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 86dd 600f 2272 000d 1140 fd00 0001 0000 0000 0000"
		   "0000 0000 0001 fd00 0001 0000 0000 0000 0000 0000 0002 14e9 0035 000d acdd 6865"
		   "6c6c 6f");
}

TEST(udplite_of_linux)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.1.2", .ip_id = 49350,
					  .df = true, .proto = IPPROTO_UDPLITE, .sport = 5353,
					  .dport = 53, .coverage = 10, .data = "hello",
					  .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 0800 4500 0021 c0c6 4000 4088 638c 0a00 0101 0a00"
		   "0102 14e9 0035 000a 6bda 6865 6c6c 6f");
}

TEST(udplite6_of_linux)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:1::2",
					  .flow_label = 0x4c163, .proto = IPPROTO_UDPLITE,
					  .sport = 5353, .dport = 53, .coverage = 13,
					  .data = "hello", .payload = 5 });
	want_frame("0200 0000 0002 0200 0000 0001 86dd 6004 c163 000d 8840 fd00 0001 0000 0000 0000"
		   "0000 0000 0001 fd00 0001 0000 0000 0000 0000 0000 0002 14e9 0035 000d ac66 6865"
		   "6c6c 6f");
}

TEST(tcp_syn)
{
	pkt_build(&p, &(struct pkt_desc){
			      .src = "10.0.1.1", .dst = "10.0.1.2", .ip_id = 50829, .df = true,
			      .sport = 1000, .dport = 80, .tcp_flags = SYN, .seq = 196623739,
			      .win = 64240,
			      .tcp_options = "mss 1460,sackOK,TS val 2243965722 ecr 0,nop,wscale 10" });
	want_frame("0200 0000 0002 0200 0000 0001 0800 4500 003c c68d 4000 4006 5e2c 0a00 0101 0a00"
		   "0102 03e8 0050 0bb8 3d7b 0000 0000 a002 faf0 30c4 0000 0204 05b4 0402 080a 85c0"
		   "331a 0000 0000 0103 030a");
}

TEST(tcp6_syn)
{
	pkt_build(&p, &(struct pkt_desc){
			      .src = "fd00:1::1", .dst = "fd00:1::2", .flow_label = 0x262d2,
			      .sport = 1000, .dport = 80, .tcp_flags = SYN, .seq = 843488174,
			      .win = 64800,
			      .tcp_options = "mss 1440,sackOK,TS val 2045873529 ecr 0,nop,wscale 10" });
	want_frame("0200 0000 0002 0200 0000 0001 86dd 6002 62d2 0028 0640 fd00 0001 0000 0000 0000"
		   "0000 0000 0001 fd00 0001 0000 0000 0000 0000 0000 0002 03e8 0050 3246 9bae 0000"
		   "0000 a002 fd20 7752 0000 0204 05a0 0402 080a 79f1 8d79 0000 0000 0103 030a");
}

TEST(tcp_data)
{
	pkt_build(&p, &(struct pkt_desc){
			      .src = "10.0.1.1", .dst = "10.0.1.2", .ip_id = 8151, .df = true,
			      .sport = 1001, .dport = 99, .tcp_flags = PSH | ACK, .seq = 2988778676,
			      .ack = 2490527571, .win = 63,
			      .tcp_options = "nop,nop,TS val 3751098409 ecr 2074437298",
			      .data = "bye", .payload = 3 });
	want_frame("0200 0000 0002 0200 0000 0001 0800 4500 0037 1fd7 4000 4006 04e8 0a00 0101 0a00"
		   "0102 03e9 0063 b225 24b4 9472 6f53 8018 003f bff4 0000 0101 080a df95 3829 7ba5"
		   "66b2 6279 65");
}

// Header by header, with a field set after the lengths: a multicast listener report.
TEST(mld_report)
{
	static const uint8_t record[] = { 4, 0, 0, 0, 0xff, 2, 0, 0, 0, 0,
					  0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1 };

	pkt_start(&p);
	pkt_eth(&p, "33:33:00:00:00:16", NULL);
	pkt_ip6(&p, "fe80::ff:fe00:1", "ff02::16");
	pkt_ext(&p, IPPROTO_HOPOPTS, 8);
	pkt_icmp(&p, 143, 0, 0, 1);
	pkt_bytes(&p, record, sizeof(record));
	pkt_finish(&p);
	p.data[p.ip + 7] = 1;
	pkt_set32(&p, p.ip + 42, 0x05020000);
	pkt_set16(&p, p.ip + 46, 0x0100);
	want_frame("3333 0000 0016 0200 0000 0001 86dd 6000 0000 0024 0001 fe80 0000 0000 0000 0000"
		   "00ff fe00 0001 ff02 0000 0000 0000 0000 0000 0000 0016 3a00 0502 0000 0100 8f00"
		   "7207 0000 0001 0400 0000 ff02 0000 0000 0000 0000 0001 ff00 0001");
}

// Every header names the one behind it, and the offsets are those of the outermost.
TEST(headers_are_chained)
{
	pkt_build(&p, &(struct pkt_desc){ .vlan = { { .tpid = ETH_P_8021AD, .vid = 7 }, { .vid = 8 } },
					  .src = "fd00:1::1", .dst = "fd00:2::1", .ext = "hdrfa",
					  .sport = 1, .dport = 2, .payload = 1 });
	CHECK_EQ(pkt_get16(&p, 12), ETH_P_8021AD);
	CHECK_EQ(pkt_get32(&p, 14), 7 << 16 | ETH_P_8021Q);
	CHECK_EQ(pkt_get32(&p, 18), 8 << 16 | ETH_P_IPV6);
	CHECK_EQ(p.ip, 22);
	CHECK_EQ(p.data[p.ip + 6], IPPROTO_HOPOPTS);
	CHECK_EQ(p.data[p.ip + 40], IPPROTO_DSTOPTS);
	CHECK_EQ(p.data[p.ip + 48], IPPROTO_ROUTING);
	CHECK_EQ(p.data[p.ip + 56], IPPROTO_FRAGMENT);
	CHECK_EQ(p.data[p.ip + 64], IPPROTO_AH);
	CHECK_EQ(p.data[p.ip + 72], IPPROTO_UDP);
	CHECK_EQ(p.data[p.ip + 73], 4); /* 24 bytes */
	CHECK_EQ(p.l4, p.ip + 96);
	CHECK_EQ(p.payload, p.l4 + 8);
	CHECK_EQ(p.len, p.payload + 1);
}

// IPv4 options are part of the header and of its checksum.
TEST(ip4_options)
{
	uint32_t sum = 0;

	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .l3 = true,
					  .ip4_options = 40, .sport = 1, .dport = 2 });
	CHECK_EQ(p.eth, PKT_ABSENT);
	CHECK_EQ(p.ip, 0);
	CHECK_EQ(p.data[0], 0x4f);
	CHECK_EQ(p.l4, 60);
	CHECK_EQ(p.len, 68);
	for (size_t at = 0; at < p.l4; at += 2)
		sum += pkt_get16(&p, at);
	CHECK_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
}

// An ICMP error quotes the packet it is about, unchanged, as much of it as was asked for.
TEST(quote)
{
	pkt_build(&q, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 5,
					  .dport = 6, .payload = 1000 });
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.254", .dst = "10.0.1.1", .icmp_type = 3,
					  .icmp_code = 3, .quote = &q });
	CHECK_EQ(p.len, p.l4 + 8 + 548);
	CHECK_MEM(p.data + p.payload, q.data + q.ip, 548);
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.254", .dst = "10.0.1.1", .icmp_type = 3,
					  .icmp_code = 4, .icmp_seq = 1400, .quote = &q,
					  .quote_len = 28 });
	CHECK_EQ(pkt_get32(&p, p.l4 + 4), 1400);
	CHECK_EQ(p.len, p.l4 + 8 + 28);
}

static void cut_and_join(const char *src, const char *dst)
{
	static uint8_t joined[4096];
	size_t head, len = 0;

	CHECK_CASE("%s", src);
	pkt_build(&q, &(struct pkt_desc){ .src = src, .dst = dst, .sport = 5, .dport = 6,
					  .payload = 3000 });
	for (; len < 3008; len += p.len - p.l4) {
		pkt_fragment(&p, &q, len, len + 1400 < 3008 ? 1400 : 3008 - len, 42);
		memcpy(joined + len, p.data + p.l4, p.len - p.l4);
	}
	CHECK_EQ(len, 3008);
	CHECK_MEM(joined, q.data + q.l4, len);
	head = p.l4 - p.ip; /* of the last one */
	if (head == 20) {
		CHECK_EQ(pkt_get16(&p, p.ip + 4), 42);
		CHECK_EQ(pkt_get16(&p, p.ip + 6), 2800 / 8);
		CHECK_EQ(pkt_get16(&p, p.ip + 2), 20 + 208);
	} else {
		CHECK_EQ(head, 48);
		CHECK_EQ(p.data[p.ip + 6], IPPROTO_FRAGMENT);
		CHECK_EQ(pkt_get32(&p, p.ip + 40), IPPROTO_UDP << 24 | 2800);
		CHECK_EQ(pkt_get32(&p, p.ip + 44), 42);
		CHECK_EQ(pkt_get16(&p, p.ip + 4), 8 + 208);
	}
}

// The fragments of a packet, put together again, are the packet.
TEST(fragments)
{
	cut_and_join("10.0.1.1", "10.0.2.1");
	cut_and_join("fd00:1::1", "fd00:2::1");
}

// A description can begin in the middle, too.
TEST(later_fragment)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:2::1", .frag_offset = 8,
					  .frag_more = true, .frag_id = 1, .payload = 16 });
	CHECK_EQ(p.data[p.ip + 6], IPPROTO_FRAGMENT);
	CHECK_EQ(pkt_get32(&p, p.ip + 40), IPPROTO_UDP << 24 | 8 | 1);
	CHECK_EQ(p.len, p.ip + 40 + 8 + 16);
}

// The answer to a packet goes the other way; an echo request's is an echo reply.
TEST(answer)
{
	struct pkt_desc ping = { .src = "10.0.1.1", .dst = "10.0.2.1", .icmp_type = 8, .icmp_id = 3 };
	struct pkt_desc pong = pkt_answer(&ping);

	pkt_build(&p, &pong);
	CHECK_EQ(pkt_get32(&p, p.ip + 12), 0x0a000201);
	CHECK_EQ(p.data[p.ip + 9], IPPROTO_ICMP);
	CHECK_EQ(p.data[p.l4], 0);
	CHECK_EQ(pkt_get16(&p, p.l4 + 4), 3);
	CHECK_EQ(p.data[5], 1);
}

// SACK blocks, bytes as they are, and padding.
TEST(tcp_options)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .tcp_flags = ACK,
					  .tcp_options = "nop,nop,sack 1:2 3:4, hex fe04dead,nop" });
	CHECK_EQ(p.data[p.l4 + 12] >> 4, 5 + 7);
	CHECK_MEM(p.data + p.l4 + 20,
		  "\1\1\5\x12\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\xfe\4\xde\xad\1\0\0\0", 28);
	CHECK_EQ(p.payload, p.l4 + 48);
}

/* CRC32c of the SCTP packet, bit by bit from its definition (RFC 9260 A), its own field as zero. */
static uint32_t crc_of_sctp(void)
{
	uint32_t crc = ~0U;

	for (size_t i = p.l4; i < p.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			uint8_t byte = i >= p.l4 + 8 && i < p.l4 + 12 ? 0 : p.data[i];
			uint32_t out = (crc ^ (byte >> bit)) & 1;

			crc = crc >> 1 ^ (out ? 0x82f63b78 : 0);
		}
	return ~crc;
}

// Chunks as RFC 9260 has them, padded, and the checksum with its lowest byte first.
TEST(sctp)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1000,
					  .dport = 2000, .vtag = 0x01020304,
					  .chunks = "cookie_ack, data 3, abort T" });
	CHECK_EQ(p.data[p.ip + 9], IPPROTO_SCTP);
	CHECK_EQ(p.len - p.l4, 12 + 4 + 20 + 4);
	CHECK_MEM(p.data + p.l4, "\x03\xe8\x07\xd0\1\2\3\4", 8);
	CHECK_MEM(p.data + p.l4 + 12, "\xb\0\0\4\0\3\0\x13\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				      "\6\1\0\4", 28);
	CHECK_EQ(pkt_get32(&p, p.l4 + 8), __builtin_bswap32(crc_of_sctp()));

	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:2::1",
					  .chunks = "init 0x01020304" });
	CHECK_EQ(p.data[p.ip + 6], IPPROTO_SCTP);
	CHECK_MEM(p.data + p.l4 + 12, "\1\0\0\x14\1\2\3\4\0\0\xff\xff\0\xa\0\xa\1\2\3\4", 20);
	CHECK_EQ(p.len, p.l4 + 32);

	pkt_build(&p, &(struct pkt_desc){ .src = "fd00:1::1", .dst = "fd00:2::1",
					  .chunks = "hex 07000000ff,abort" });
	CHECK_MEM(p.data + p.l4 + 12, "\7\0\0\0\xff\6\0\0\4", 9);
	CHECK_EQ(p.len, p.l4 + 21);
}

// The sum of 32 bytes of zeroes is known (RFC 3720 B.4).
TEST(sctp_crc)
{
	static const uint8_t zeros[32];

	/* The header's twelve bytes are within the sum, so 32 bytes of zeros in all. */
	pkt_start(&p);
	pkt_ip4(&p, "10.0.1.1", "10.0.2.1");
	pkt_sctp(&p, 0, 0, 0);
	pkt_bytes(&p, zeros, 20);
	pkt_finish(&p);
	CHECK_EQ(pkt_get32(&p, p.l4 + 8), 0xaa36918a);
}

// UDP-Lite's checksum covers what it says, with the whole length in the pseudo header.
TEST(udplite)
{
	uint16_t partial;

	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1,
					  .dport = 2, .proto = IPPROTO_UDPLITE, .coverage = 8,
					  .payload = 100 });
	CHECK_EQ(pkt_get16(&p, p.l4 + 4), 8);
	partial = pkt_get16(&p, p.l4 + 6);
	/* 0a00+0101+0a00+0201 + 136 + 108 + 1 + 2 + 8, complemented */
	CHECK_EQ(partial, (uint16_t) ~(0x0a00 + 0x0101 + 0x0a00 + 0x0201 + 136 + 108 + 1 + 2 + 8));
	p.data[p.l4 + 8] ^= 0xff; /* not covered */
	pkt_checksums(&p);
	CHECK_EQ(pkt_get16(&p, p.l4 + 6), partial);
	pkt_set16(&p, p.l4 + 4, 0);
	pkt_checksums(&p);
	CHECK(pkt_get16(&p, p.l4 + 6) != partial);
}

// GRE with and without a key, and as PPTP has it.
TEST(gre)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1",
					  .proto = IPPROTO_GRE });
	CHECK_MEM(p.data + p.l4, "\0\0\x08\0", 4);
	CHECK_EQ(p.len, p.l4 + 4);
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1",
					  .proto = IPPROTO_GRE, .gre_key = 0x01020304 });
	CHECK_MEM(p.data + p.l4, "\x20\0\x08\0\1\2\3\4", 8);
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1",
					  .proto = IPPROTO_GRE, .pptp = true, .call_id = 0x0102,
					  .payload = 5 });
	CHECK_MEM(p.data + p.l4, "\x30\1\x88\xb\0\5\1\2\0\0\0\0", 12);
}

// The largest packet there is fits.
TEST(largest)
{
	pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1",
					  .vlan = { { .vid = 1 }, { .vid = 2 }, { .vid = 3 } },
					  .payload = 65535 - 28 });
	CHECK_EQ(pkt_get16(&p, p.ip + 2), 65535);
	CHECK_EQ(pkt_get16(&p, p.l4 + 4), 65515);
}

CHECK_MAIN()
