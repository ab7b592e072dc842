/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a tuple to the key both directions share, and back. Pure.
 *
 * A key has no direction. What a packet adds is whether it runs from endpoint 0 of the key to
 * endpoint 1, or is *swapped*; the entry remembers that bit of its first packet, and a packet's
 * direction is the exclusive or of the two. Where both endpoints are equal (a host talking to
 * itself from and to one port) nothing tells the directions apart: every packet is original.
 */
#ifndef TUPLE_H
#define TUPLE_H

#include "compat.h"
#include "parse.h"

/* IPv4 addresses have zero words behind them, so all four may be compared. */
static __always_inline bool ct_addr_equal(const union ct_addr *a, const union ct_addr *b)
{
	return a->ip6[0] == b->ip6[0] && a->ip6[1] == b->ip6[1] && a->ip6[2] == b->ip6[2] &&
	       a->ip6[3] == b->ip6[3];
}

/* The type that comes back, or goes out, where `type` went the other way. */
static __always_inline __u8 ct_icmp_inverse_type(__u8 family, __u8 type)
{
	if (family == CT_IPV4)
		switch (type) {
		case 0:
			return 8;
		case 8:
			return 0;
		case 13:
		case 15:
		case 17:
			return type + 1;
		case 14:
		case 16:
		case 18:
			return type - 1;
		default:
			return type;
		}
	switch (type) {
	case 128:
	case 139:
		return type + 1;
	case 129:
	case 140:
		return type - 1;
	default:
		return type;
	}
}

/* The tuple of a packet the other way. */
static __always_inline void ct_tuple_invert(const struct ct_tuple *t, struct ct_tuple *inverse)
{
	*inverse = *t;
	inverse->src = t->dst;
	inverse->dst = t->src;
	if (ct_is_icmp(t)) {
		__u16 type_code = bpf_ntohs(t->dport);
		__u8 type = ct_icmp_inverse_type(t->family, type_code >> 8);

		inverse->dport = bpf_htons(type << 8 | (type_code & 0xff));
	} else {
		inverse->sport = t->dport;
		inverse->dport = t->sport;
	}
}

/* Whether a packet runs against its key's order; see the top of the file. */
static __always_inline bool ct_tuple_swapped(const struct ct_tuple *t)
{
	if (ct_is_icmp(t))
		return ct_icmp_kind(t->family, bpf_ntohs(t->dport) >> 8) == CT_ICMP_ANSWER;
	if (t->family == CT_IPV4) {
		if (t->src.ip != t->dst.ip)
			return t->src.ip > t->dst.ip;
	} else {
		if (t->src.ip6[0] != t->dst.ip6[0])
			return t->src.ip6[0] > t->dst.ip6[0];
		if (t->src.ip6[1] != t->dst.ip6[1])
			return t->src.ip6[1] > t->dst.ip6[1];
		if (t->src.ip6[2] != t->dst.ip6[2])
			return t->src.ip6[2] > t->dst.ip6[2];
		if (t->src.ip6[3] != t->dst.ip6[3])
			return t->src.ip6[3] > t->dst.ip6[3];
	}
	return t->sport > t->dport;
}

/* ports of the endpoint pair in key order */
static __always_inline void ct_key_ports(__be16 port[2], const struct ct_tuple *t, bool swapped)
{
	if (ct_is_icmp(t)) {
		__u16 type_code = bpf_ntohs(t->dport);
		__u8 type = type_code >> 8;

		if (swapped)
			type = ct_icmp_inverse_type(t->family, type);
		port[0] = t->sport;
		port[1] = bpf_htons(type << 8 | (type_code & 0xff));
	} else {
		port[0] = swapped ? t->dport : t->sport;
		port[1] = swapped ? t->sport : t->dport;
	}
}

static __always_inline bool ct_key4_of(struct ct_key4 *k, const struct ct_tuple *t)
{
	bool swapped = ct_tuple_swapped(t);

	k->addr[0] = swapped ? t->dst.ip : t->src.ip;
	k->addr[1] = swapped ? t->src.ip : t->dst.ip;
	ct_key_ports(k->port, t, swapped);
	k->zone = t->zone;
	k->proto = t->proto;
	k->pad = 0;
	return swapped;
}

static __always_inline bool ct_key6_of(struct ct_key6 *k, const struct ct_tuple *t)
{
	bool swapped = ct_tuple_swapped(t);

	if (swapped) {
		__builtin_memcpy(k->addr[0], t->dst.ip6, 16);
		__builtin_memcpy(k->addr[1], t->src.ip6, 16);
	} else {
		__builtin_memcpy(k->addr[0], t->src.ip6, 16);
		__builtin_memcpy(k->addr[1], t->dst.ip6, 16);
	}
	ct_key_ports(k->port, t, swapped);
	k->zone = t->zone;
	k->proto = t->proto;
	k->pad = 0;
	return swapped;
}

static __always_inline void ct_tuple_of_key_rest(struct ct_tuple *t, const __be16 port[2],
						 bool swapped)
{
	if (ct_is_icmp(t)) {
		__u16 type_code = bpf_ntohs(port[1]);
		__u8 type = type_code >> 8;

		if (swapped)
			type = ct_icmp_inverse_type(t->family, type);
		t->sport = port[0];
		t->dport = bpf_htons(type << 8 | (type_code & 0xff));
	} else {
		t->sport = swapped ? port[1] : port[0];
		t->dport = swapped ? port[0] : port[1];
	}
}

/* The tuple of a packet of this key, along the key's order or swapped. */
static __always_inline void ct_tuple_of_key4(struct ct_tuple *t, const struct ct_key4 *k,
					     bool swapped)
{
	__builtin_memset(t, 0, sizeof(*t));
	t->family = CT_IPV4;
	t->proto = k->proto;
	t->zone = k->zone;
	t->src.ip = swapped ? k->addr[1] : k->addr[0];
	t->dst.ip = swapped ? k->addr[0] : k->addr[1];
	ct_tuple_of_key_rest(t, k->port, swapped);
}

static __always_inline void ct_tuple_of_key6(struct ct_tuple *t, const struct ct_key6 *k,
					     bool swapped)
{
	t->family = CT_IPV6;
	t->proto = k->proto;
	t->zone = k->zone;
	if (swapped) {
		__builtin_memcpy(t->src.ip6, k->addr[1], 16);
		__builtin_memcpy(t->dst.ip6, k->addr[0], 16);
	} else {
		__builtin_memcpy(t->src.ip6, k->addr[0], 16);
		__builtin_memcpy(t->dst.ip6, k->addr[1], 16);
	}
	ct_tuple_of_key_rest(t, k->port, swapped);
}

/*
 * 32 bits that name a key in its entry's word (table.h): multilinear hashing of 32-bit words with
 * 64-bit multipliers, top half of the sum (Lemire, Kaser: "Strongly universal string hashing is
 * fast", 2014). The multipliers are secret, so nobody outside can choose two keys that agree.
 */
static __always_inline __u32 ct_hash_words(const __u32 *word, int n, const volatile __u64 *salt)
{
	__u64 h = salt[0];

	for (int i = 0; i < n; i++)
		h += salt[i + 1] * word[i];
	return h >> 32;
}

#endif
