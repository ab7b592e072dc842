/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of checksums: the Internet checksum (RFC 1071) and CRC32c (RFC 9260 appendix A).
 * Pure. Which packets are checked, and how their bytes are reached, is csum.h's business.
 *
 * Internet sums are of 16-bit words as they lie in memory. Their order makes no difference as long
 * as nothing but such words is added and compared (RFC 1071 2(B)).
 */
#ifndef SUM_H
#define SUM_H

#include "compat.h"

#include "../include/ct_types.h"

static __always_inline __u16 ct_sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The pseudo-header's, for `len` bytes behind the IP header (RFC 9293 3.1, RFC 8200 8.1). The
 * destination is the one in the IP header: as in nf_ip6_checksum(), also where a routing header
 * names a further one.
 */
static __always_inline __u64 ct_sum_pseudo(const struct ct_tuple *t, __u32 len)
{
	__u64 sum = (__u64)bpf_htonl(len) + bpf_htonl(t->proto);

	/* The words of IPv4 addresses behind the first are zero. */
	for (int i = 0; i < 4; i++)
		sum += (__u64)t->src.ip6[i] + t->dst.ip6[i];
	return sum;
}

/*
 * CRC32c, eight bytes at a time with eight tables ("slicing"). Entry i of table k is the CRC of
 * byte i with k zero bytes behind it. A CRC is linear, so an entry is the exclusive or of those of
 * its bits; and the bit that comes before another is that one, a step on. So all the tables follow
 * from the polynomial, bit-reflected, by 63 steps.
 */
#define CT_CRC_STEP(c) ((c) >> 1 ^ ((c) & 1 ? 0x82f63b78U : 0))
#define CT_CRC_STEPS(k, first)                                                                     \
	CT_CRC_##k##7 = (first),                                                                   \
	CT_CRC_##k##6 = CT_CRC_STEP(CT_CRC_##k##7),                                                \
	CT_CRC_##k##5 = CT_CRC_STEP(CT_CRC_##k##6),                                                \
	CT_CRC_##k##4 = CT_CRC_STEP(CT_CRC_##k##5),                                                \
	CT_CRC_##k##3 = CT_CRC_STEP(CT_CRC_##k##4),                                                \
	CT_CRC_##k##2 = CT_CRC_STEP(CT_CRC_##k##3),                                                \
	CT_CRC_##k##1 = CT_CRC_STEP(CT_CRC_##k##2),                                                \
	CT_CRC_##k##0 = CT_CRC_STEP(CT_CRC_##k##1)

/* Entry 1 << b of table k. */
enum ct_crc_bit {
	CT_CRC_STEPS(0, 0x82f63b78U),
	CT_CRC_STEPS(1, CT_CRC_STEP(CT_CRC_00)),
	CT_CRC_STEPS(2, CT_CRC_STEP(CT_CRC_10)),
	CT_CRC_STEPS(3, CT_CRC_STEP(CT_CRC_20)),
	CT_CRC_STEPS(4, CT_CRC_STEP(CT_CRC_30)),
	CT_CRC_STEPS(5, CT_CRC_STEP(CT_CRC_40)),
	CT_CRC_STEPS(6, CT_CRC_STEP(CT_CRC_50)),
	CT_CRC_STEPS(7, CT_CRC_STEP(CT_CRC_60)),
};

#define CT_CRC_IF(k, i, b) ((i) >> (b) & 1 ? CT_CRC_##k##b : 0)
#define CT_CRC_1(k, i)                                                                             \
	(CT_CRC_IF(k, i, 0) ^ CT_CRC_IF(k, i, 1) ^ CT_CRC_IF(k, i, 2) ^ CT_CRC_IF(k, i, 3) ^       \
	 CT_CRC_IF(k, i, 4) ^ CT_CRC_IF(k, i, 5) ^ CT_CRC_IF(k, i, 6) ^ CT_CRC_IF(k, i, 7))
#define CT_CRC_2(k, i) CT_CRC_1(k, i), CT_CRC_1(k, (i) + 1)
#define CT_CRC_8(k, i)                                                                             \
	CT_CRC_2(k, i), CT_CRC_2(k, (i) + 2), CT_CRC_2(k, (i) + 4), CT_CRC_2(k, (i) + 6)
#define CT_CRC_32(k, i)                                                                            \
	CT_CRC_8(k, i), CT_CRC_8(k, (i) + 8), CT_CRC_8(k, (i) + 16), CT_CRC_8(k, (i) + 24)
#define CT_CRC_128(k, i)                                                                           \
	CT_CRC_32(k, i), CT_CRC_32(k, (i) + 32), CT_CRC_32(k, (i) + 64), CT_CRC_32(k, (i) + 96)
#define CT_CRC_256(k) { CT_CRC_128(k, 0), CT_CRC_128(k, 128) }

static const __u32 ct_crc_table[8][256] = {
	CT_CRC_256(0), CT_CRC_256(1), CT_CRC_256(2), CT_CRC_256(3),
	CT_CRC_256(4), CT_CRC_256(5), CT_CRC_256(6), CT_CRC_256(7),
};

#define CT_CRC_BEGIN 0xffffffffU

static __always_inline __u32 ct_le32(__u32 x)
{
	return __builtin_bswap32(bpf_ntohl(x));
}

/* Eight bytes more, as two words that were read from memory. */
static __always_inline __u32 ct_crc_8(__u32 crc, __u32 first, __u32 second)
{
	__u32 a = crc ^ ct_le32(first), b = ct_le32(second);

	return ct_crc_table[7][a & 0xff] ^ ct_crc_table[6][a >> 8 & 0xff] ^
	       ct_crc_table[5][a >> 16 & 0xff] ^ ct_crc_table[4][a >> 24] ^
	       ct_crc_table[3][b & 0xff] ^ ct_crc_table[2][b >> 8 & 0xff] ^
	       ct_crc_table[1][b >> 16 & 0xff] ^ ct_crc_table[0][b >> 24];
}

static __always_inline __u32 ct_crc_1(__u32 crc, __u8 byte)
{
	__u32 at = crc ^ byte;

	barrier_var(at); /* or clang masks before the xor, and older verifiers lose the bound */
	return crc >> 8 ^ ct_crc_table[0][at & 0xff];
}

/* The checksum as SCTP has it in its header. */
static __always_inline __u32 ct_crc_end(__u32 crc)
{
	return ct_le32(~crc);
}

#endif
