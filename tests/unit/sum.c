// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of checksums: against vectors from standards, against sums computed bit by bit,
 * and against the packets of packet.c, which are compared with captured ones in packet_self.c.
 */
#include <stdlib.h>

#include "check.h"
#include "packet.h"
#include "parse.h"
#include "sum.h"

static struct pkt p;
static struct ct_parsed got;

static uint8_t aligned[PKT_ROOM + 2] __attribute__((aligned(4)));

static int parse(__u32 how)
{
	memcpy(aligned + 2, p.data, p.len);
	return ct_parse(&got, aligned + 2, aligned + 2 + p.len, (__u32)p.len, how);
}

/* --- the Internet checksum ------------------------------------------------------------------- */

/* Words as they lie in memory; an odd end is followed by a zero. */
static uint64_t add_up(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		uint8_t pair[2] = { bytes[i], i + 1 < len ? bytes[i + 1] : 0 };
		uint16_t word;

		memcpy(&word, pair, sizeof(word));
		sum += word;
	}
	return sum;
}

// RFC 1071 3: 00 01 f2 03 f4 f5 f6 f7 adds up to ddf2.
TEST(rfc1071)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	CHECK_EQ(be16toh(ct_sum_fold(add_up(bytes, sizeof(bytes)))), 0xddf2);
}

// Carries are folded in until none is left; 0 and 0xffff stay what they are.
TEST(fold)
{
	CHECK_EQ(ct_sum_fold(0), 0);
	CHECK_EQ(ct_sum_fold(0xffff), 0xffff);
	CHECK_EQ(ct_sum_fold(0x10000), 1);
	CHECK_EQ(ct_sum_fold(0x1fffe), 0xffff);
	CHECK_EQ(ct_sum_fold(0x1ffff), 1);
	CHECK_EQ(ct_sum_fold(0xffffffff), 0xffff);
	CHECK_EQ(ct_sum_fold(0x1ffffffffULL), 1);
	CHECK_EQ(ct_sum_fold(0xffffffffffffffffULL), 0xffff);
	CHECK_EQ(ct_sum_fold(0xfffeffffffffffffULL), 0xfffe);
}

/* What the packet in `p` adds up to, its pseudo-header included. */
static uint16_t whole(void)
{
	const struct ct_tuple *t = &got.tuple;
	uint64_t sum = add_up(p.data + got.l4_off, got.l4_end - got.l4_off);

	if (t->proto != IPPROTO_ICMP)
		sum += ct_sum_pseudo(t, got.l4_end - got.l4_off);
	return ct_sum_fold(sum);
}

// With its pseudo-header, a right packet adds up to 0xffff, whatever its length; one bit less, not.
TEST(packets)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };

	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < sizeof(protos); i++)
			for (size_t len = 0; len < 300; len++) {
				struct pkt_desc d = { .src = v6 ? "fd00:1::1" : "10.0.1.1",
						      .dst = v6 ? "fd00:2::ffff" : "10.0.2.255",
						      .proto = protos[i],
						      .sport = 1000,
						      .dport = 80,
						      .tcp_flags = ACK,
						      .seq = (uint32_t)len * 7919,
						      .payload = len };

				if (protos[i] == IPPROTO_ICMP) {
					d.icmp_type = v6 ? 128 : 8;
					d.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
				}
				CHECK_CASE("IPv%d, protocol %d, %zu bytes", v6 ? 6 : 4, protos[i], len);
				pkt_build(&p, &d);
				CHECK_EQ(parse(0), 0);
				CHECK_EQ(whole(), 0xffff);
				p.data[p.len - 1] ^= 1;
				CHECK(whole() != 0xffff);
			}
}

static bool header_wrong(void)
{
	struct ct_frame f = { aligned + 2, aligned + 2 + p.len };

	parse(0);
	return ct_ip4_wrong(&got, &f);
}

// An IPv4 header adds up, with any number of options, or it does not.
TEST(ip4_header)
{
	for (size_t options = 0; options <= 40; options += 4) {
		size_t header = 20 + options;

		CHECK_CASE("%zu bytes of options", options);
		pkt_build(&p, &(struct pkt_desc){ .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1,
						  .dport = 2, .ip4_options = options });
		CHECK(!header_wrong());
		for (size_t bit = 8 * 8; bit < header * 8; bit++) { /* of what says no length */
			p.data[p.ip + bit / 8] ^= 1 << bit % 8;
			CHECK(header_wrong());
			p.data[p.ip + bit / 8] ^= 1 << bit % 8;
		}
	}
}

/* --- CRC32c ---------------------------------------------------------------------------------- */

static uint32_t crc(const uint8_t *bytes, size_t len)
{
	uint32_t c = CT_CRC_BEGIN;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint32_t word[2];

		memcpy(word, bytes + i, sizeof(word));
		c = ct_crc_8(c, word[0], word[1]);
	}
	for (; i < len; i++)
		c = ct_crc_1(c, bytes[i]);
	return ct_crc_end(c);
}

static uint32_t bit_by_bit(const uint8_t *bytes, size_t len)
{
	uint32_t c = ~0U;

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bool out = (c ^ bytes[bit / 8] >> bit % 8) & 1;

		c >>= 1;
		if (out)
			c ^= 0x82f63b78;
	}
	return ~c;
}

// The examples of RFC 3720 B.4, as they stand in a packet.
TEST(crc_vectors)
{
	static const uint8_t read_pdu[48] = { 0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14,
					      [31] = 0x18, 0x28, [40] = 0x02 };
	static const struct {
		uint8_t first, step;
		uint8_t crc[4];
	} rows[] = {
		{ 0x00, 0, { 0xaa, 0x36, 0x91, 0x8a } },
		{ 0xff, 0, { 0x43, 0xab, 0xa8, 0x62 } },
		{ 0x00, 1, { 0x4e, 0x79, 0xdd, 0x46 } },
		{ 0x1f, 0xff, { 0x5c, 0xdb, 0x3f, 0x11 } },
	};
	uint8_t bytes[32];
	uint32_t c;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_CASE("example %zu", i);
		for (size_t n = 0; n < sizeof(bytes); n++)
			bytes[n] = (uint8_t)(rows[i].first + n * rows[i].step);
		c = crc(bytes, sizeof(bytes));
		CHECK_MEM(&c, rows[i].crc, 4);
	}
	CHECK_CASE("iSCSI read PDU");
	c = crc(read_pdu, sizeof(read_pdu));
	CHECK_MEM(&c, "\x56\x3a\x96\xd9", 4);
}

// Any length gives what shifting bit by bit gives.
TEST(crc_lengths)
{
	uint8_t bytes[100];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i * 31 + 7);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		CHECK_EQ(le32toh(crc(bytes, len)), bit_by_bit(bytes, len));
}

CHECK_MAIN()
