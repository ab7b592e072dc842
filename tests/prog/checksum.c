// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `checksum`: what comes in and does not add up is invalid, whatever else it says; what this host
 * sends, what comes in pieces, and what the hardware is yet to finish, is not looked at.
 */
#include "talk.h"

static struct pkt p;

/* The kinds of packets that have a checksum; each opens a flow. */
static const struct kind {
	const char *name;
	uint8_t proto, proto6;
	enum ct_reason reason;
	size_t field; /* where the checksum is, behind IP */
	size_t least; /* bytes behind IP */
} kinds[] = {
	{ "TCP", IPPROTO_TCP, IPPROTO_TCP, CT_R_TCP_CHECKSUM, 16, 20 },
	{ "UDP", IPPROTO_UDP, IPPROTO_UDP, CT_R_UDP_CHECKSUM, 6, 8 },
	{ "ICMP", IPPROTO_ICMP, IPPROTO_ICMPV6, CT_R_ICMP_CHECKSUM, 2, 8 },
	{ "UDP-Lite", IPPROTO_UDPLITE, IPPROTO_UDPLITE, CT_R_UDPLITE_CHECKSUM, 6, 8 },
	{ "SCTP", IPPROTO_SCTP, IPPROTO_SCTP, CT_R_SCTP_CHECKSUM, 8, 16 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define FOR_EACH(k) for (const struct kind *k = kinds; k < kinds + KINDS; k++)

static uint64_t add_up(size_t at, size_t end, uint64_t sum)
{
	for (; at < end; at += 2)
		sum += p.data[at] << 8 | (at + 1 < end ? p.data[at + 1] : 0);
	return sum;
}

static uint16_t folded(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The sum of the pseudo-header. */
static uint16_t pseudo(uint8_t proto)
{
	uint64_t sum = proto + (p.len - p.l4);

	return folded(talk.v6 ? add_up(p.ip + 8, p.ip + 40, sum) : add_up(p.ip + 12, p.ip + 20, sum));
}

static uint32_t crc32c(size_t at, size_t end)
{
	uint32_t crc = ~0U;

	for (; at < end; at++) {
		crc ^= p.data[at];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* UDP-Lite, whose checksum covers `covered` bytes; 0: all. */
static void finish_udplite(uint16_t covered)
{
	size_t end = covered ? p.l4 + covered : p.len;

	pkt_set16(&p, p.l4 + 4, covered);
	pkt_set16(&p, p.l4 + 6, 0);
	pkt_set16(&p, p.l4 + 6, (uint16_t)~folded(add_up(p.l4, end, pseudo(IPPROTO_UDPLITE))));
}

static void finish_sctp(void)
{
	uint32_t crc;

	pkt_set32(&p, p.l4 + 8, 0);
	crc = crc32c(p.l4, p.len);
	pkt_set32(&p, p.l4 + 8, __builtin_bswap32(crc));
}

/* A right packet of a kind, with `more` bytes than the least; further ones of `d`. */
static void build(const struct kind *k, size_t more, struct pkt_desc d)
{
	d.proto = talk.v6 ? k->proto6 : k->proto;
	if (k->proto == IPPROTO_ICMP)
		d.icmp_type = talk.v6 ? 128 : 8;
	d.tcp_flags = SYN;
	d.payload = more;
	if (k->proto == IPPROTO_UDPLITE || k->proto == IPPROTO_SCTP)
		d.payload += k->least;
	d = talk_desc(CT_ORIGINAL, &d);
	build_for(talk.hook, &p, &d);
	if (k->proto == IPPROTO_SCTP) {
		memset(p.data + p.l4, 0, 16);
		pkt_set16(&p, p.l4, 1000);
		pkt_set16(&p, p.l4 + 2, 80);
		p.data[p.l4 + 7] = 1; /* verification tag */
		p.data[p.l4 + 12] = 4; /* one HEARTBEAT to the end */
		pkt_set16(&p, p.l4 + 14, (uint16_t)(p.len - p.l4 - 12));
		finish_sctp();
	}
	if (k->proto == IPPROTO_UDPLITE)
		finish_udplite(0);
}

static void say(void)
{
	talk.last = send_frame(talk.hook, p.data, p.len, NULL);
	check_seen(__FILE__, __LINE__, &talk.last);
}

/* Refused for this reason where packets come in; any class but invalid where they go out. */
static void want_wrong(const char *file, int line, enum ct_reason reason)
{
	if (talk.hook == EGRESS) {
		if (talk.last.class == CT_INVALID)
			want_seen(file, line, CT_NEW, CT_R_NONE, PASS);
		return;
	}
	want_seen(file, line, CT_INVALID, reason, PASS);
}
#define WANT_WRONG(reason) want_wrong(__FILE__, __LINE__, reason)

/* Not refused for its checksum. */
static void want_right(const char *file, int line, enum ct_reason reason)
{
	if (talk.last.reason == (int)reason)
		want_seen(file, line, CT_NEW, CT_R_NONE, PASS);
}
#define WANT_RIGHT(reason) want_right(__FILE__, __LINE__, reason)

/* Interfaces on which checksums may be left to be finished. */
static void bring_partial(void)
{
	bool xdp = talk.hook == XDP;

	put_iface(1, CT_IF_ACTIVE | CT_IF_PARTIAL | (xdp ? CT_IF_CONFIRM_XDP : 0),
		  xdp ? CT_HOOK_NATIVE : CT_HOOK_TC, 0);
}

// One wrong bit, in the checksum or in what it covers, makes a packet invalid, and it opens
// nothing.
CONVERSATION(one_wrong_bit)
{
	FOR_EACH(k) {
		size_t at[] = { k->field, k->field + 1, k->least, k->least + 30 };

		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			CHECK_CASE("%s, %s, IPv%d, byte %zu", harness_hooks[talk.hook], k->name,
				   talk.v6 ? 6 : 4, at[i]);
			build(k, 31, (struct pkt_desc){});
			p.data[p.l4 + at[i]] ^= 0x10;
			say();
			WANT_WRONG(k->reason);
		}
		if (talk.hook != EGRESS)
			WANT_FLOWS(k - kinds);
		build(k, 31, (struct pkt_desc){});
		say();
		WANT_CLASS(NEW, PASS);
	}
}

// A packet of a flow that does not add up does nothing to it.
CONVERSATION(of_a_flow)
{
	struct pkt_desc d = { .tcp_flags = RST | ACK, .seq = 101, .ack = 201 };

	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	if (talk.hook == EGRESS)
		return;
	d = talk_desc(CT_ORIGINAL, &d);
	build_for(talk.hook, &p, &d);
	p.data[p.l4 + 17] ^= 1;
	say();
	WANT(ESTABLISHED, INVALID, PASS);
	WANT_COUNT(CT_ORIGINAL, 2, talk.v6 ? 120 : 80);
}

// Under drop_invalid it is dropped; with `checksum` off it is none of our business.
CONVERSATION(settings)
{
	for (int checksum = 0; checksum < 2; checksum++)
		FOR_EACH(k) {
			bool refused = checksum && talk.hook != EGRESS;

			CHECK_CASE("%s, %s, checksum %d", harness_hooks[talk.hook], k->name, checksum);
			set_knob(CT_K_CHECKSUM, checksum);
			set_knob(CT_K_DROP_INVALID, 1);
			flush(CT_END_FLUSHED);
			build(k, 9, (struct pkt_desc){});
			p.data[p.len - 1] ^= 1;
			say();
			CHECK_EQ(talk.last.class, refused ? CT_INVALID : CT_NEW);
			CHECK_EQ(talk.last.verdict, refused ? DROP : PASS);
			WANT_FLOWS(!refused);
		}
}

// Packets with any number of bytes are verified to the last one.
CONVERSATION(all_lengths)
{
	static const size_t long_ones[] = { 2047, 2048, 3000, 3100 };

	if (talk.hook == EGRESS)
		return;
	FOR_EACH(k) {
		size_t step = k->proto == IPPROTO_SCTP ? 3 : 1; /* ours is slow in this test */

		for (size_t i = 0; i <= 1500 + 4; i += i < 1500 ? step : 1) {
			size_t more = i <= 1500 ? i : long_ones[i - 1501];

			CHECK_CASE("%s, %s, IPv%d, %zu bytes", harness_hooks[talk.hook], k->name,
				   talk.v6 ? 6 : 4, more);
			build(k, more, (struct pkt_desc){});
			say();
			WANT_RIGHT(k->reason);
			p.data[p.len - 1] ^= 1;
			if (more) {
				say();
				WANT_WRONG(k->reason);
			}
		}
	}
}

// What follows the IP packet in its frame is not covered.
CONVERSATION(trailer)
{
	FOR_EACH(k) {
		CHECK_CASE("%s, %s", harness_hooks[talk.hook], k->name);
		build(k, 3, (struct pkt_desc){});
		memset(p.data + p.len, 0xaa, 9);
		p.len += 9;
		say();
		WANT_CLASS(NEW, PASS);
	}
}

// Of ICMP errors and of neighbour discovery, too, nothing is believed before they add up.
CONVERSATION(icmp)
{
	static struct pkt about;
	struct pkt_desc d = { .tcp_flags = SYN, .seq = 100 };

	ORIG(SYN, .seq = 100);
	d = talk_desc(CT_ORIGINAL, &d);
	build_for(talk.hook, &about, &d);
	d = (struct pkt_desc){ .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			       .icmp_type = talk.v6 ? 1 : 3,
			       .quote = &about };
	d = talk_desc(CT_REPLY, &d);
	build_for(talk.hook, &p, &d);
	say();
	WANT_CLASS(RELATED, PASS);
	p.data[p.len - 1] ^= 1;
	say();
	WANT_WRONG(CT_R_ICMP_CHECKSUM);
	if (!talk.v6)
		return;
	d = (struct pkt_desc){ .proto = IPPROTO_ICMPV6, .icmp_type = 135, .payload = 16 };
	d = talk_desc(CT_ORIGINAL, &d);
	build_for(talk.hook, &p, &d);
	say();
	WANT_REASON(UNTRACKED, ND, PASS);
	p.data[p.len - 1] ^= 1;
	say();
	WANT_WRONG(CT_R_ICMP_CHECKSUM);
}

// UDP may do without: over IPv6, too.
CONVERSATION(none)
{
	build(&kinds[1], 10, (struct pkt_desc){ .no_checksum = true });
	CHECK_EQ(pkt_get16(&p, p.l4 + 6), 0);
	say();
	WANT_CLASS(NEW, PASS);
}

// UDP-Lite's checksum covers as much as it says.
CONVERSATION(udplite_coverage)
{
	static const uint16_t covered[] = { 8, 9, 11, 300, 608 };

	if (talk.hook == EGRESS)
		return;
	for (size_t i = 0; i < sizeof(covered) / sizeof(covered[0]); i++) {
		CHECK_CASE("%s, IPv%d, covers %d", harness_hooks[talk.hook], talk.v6 ? 6 : 4, covered[i]);
		build(&kinds[3], 600, (struct pkt_desc){});
		finish_udplite(covered[i]);
		say();
		WANT_CLASS(NEW, PASS);
		if (covered[i] < 608) {
			p.data[p.l4 + covered[i]] ^= 1;
			say();
			WANT_CLASS(NEW, PASS);
		}
		p.data[p.l4 + covered[i] - 1] ^= 1;
		say();
		WANT_WRONG(CT_R_UDPLITE_CHECKSUM);
	}
}

// The IPv4 header is verified as well: conntrack in the kernel never sees one that is wrong.
CONVERSATION(ip4_header)
{
	if (talk.v6)
		return;
	FOR_EACH(k)
		for (size_t options = 0; options <= 40; options += 20) {
			CHECK_CASE("%s, %s, %zu bytes of options", harness_hooks[talk.hook], k->name,
				   options);
			build(k, 8, (struct pkt_desc){ .ip4_options = options });
			p.data[p.ip + 8] ^= 1; /* TTL */
			say();
			WANT_WRONG(CT_R_IP4_CHECKSUM);
			p.data[p.ip + 8] ^= 1;
			say();
			WANT_CLASS(NEW, PASS);
		}
}

// Behind extension headers, and with an atomic fragment header, packets are verified like others.
CONVERSATION(extension_headers)
{
	if (!talk.v6)
		return;
	FOR_EACH(k) {
		CHECK_CASE("%s, %s", harness_hooks[talk.hook], k->name);
		build(k, 21, (struct pkt_desc){ .ext = "hdrfa" });
		say();
		WANT_CLASS(NEW, PASS);
		p.data[p.len - 1] ^= 1;
		say();
		WANT_WRONG(k->reason);
	}
}

// A datagram in pieces is not verified: each has only its part of what the checksum covers.
CONVERSATION(fragments)
{
	static struct pkt whole;

	FOR_EACH(k) {
		if (k->proto == IPPROTO_UDPLITE || k->proto == IPPROTO_SCTP)
			continue; /* packet.c cuts up what it has built */
		CHECK_CASE("%s, %s", harness_hooks[talk.hook], k->name);
		build(k, 1000, (struct pkt_desc){});
		p.data[p.len - 1] ^= 1;
		whole = p;
		for (int i = 0; i < 2; i++) {
			pkt_fragment(&p, &whole, i ? 504 : 0,
				     i ? whole.len - whole.l4 - 504 : 504, 7 + k->proto);
			say();
			WANT_CLASS(NEW, PASS);
		}
	}
}

// A super-packet was never on a wire as it is: GRO has verified its parts, or they are yet to be
// made.
TEST(gso)
{
	struct skb_desc skb = { .gso_size = 500, .gso_segs = 3 };

	for (int v6 = 0; v6 < 2; v6++)
		for (int gso = 0; gso < 2; gso++) {
			world_begin(INGRESS);
			talk_begin(INGRESS, v6);
			build(&kinds[0], 1400, (struct pkt_desc){});
			p.data[p.l4 + 17] ^= 1;
			talk.last = send_frame(INGRESS, p.data, p.len, gso ? &skb : NULL);
			if (gso)
				WANT_CLASS(NEW, PASS);
			else
				WANT_WRONG(CT_R_TCP_CHECKSUM);
		}
}

// A checksum that hardware is yet to finish is let in where such packets come from, and nowhere
// else.
CONVERSATION(unfinished)
{
	static const size_t which[] = { 0, 1, 4 };

	for (int partial = 0; partial < 2; partial++) {
		if (partial)
			bring_partial();
		for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
			const struct kind *k = &kinds[which[i]];

			for (size_t more = 0; more < 1200; more += 397) {
				CHECK_CASE("%s, %s, IPv%d, %zu bytes, partial %d",
					   harness_hooks[talk.hook], k->name, talk.v6 ? 6 : 4, more,
					   partial);
				build(k, more, (struct pkt_desc){});
				if (k->proto == IPPROTO_SCTP)
					pkt_set32(&p, p.l4 + 8, 0);
				else
					pkt_set16(&p, p.l4 + k->field, pseudo(k->proto));
				say();
				if (partial)
					WANT_RIGHT(k->reason);
				else
					WANT_WRONG(k->reason);
				/* and nothing near it */
				p.data[p.l4 + k->field + 1] ^= 1;
				say();
				WANT_WRONG(k->reason);
			}
		}
	}
}

// ICMP is finished by who sends it, on every interface.
CONVERSATION(icmp_is_never_unfinished)
{
	bring_partial();
	build(&kinds[2], 20, (struct pkt_desc){});
	pkt_set16(&p, p.l4 + 2, talk.v6 ? pseudo(IPPROTO_ICMPV6) : 0);
	say();
	WANT_WRONG(CT_R_ICMP_CHECKSUM);
}

CHECK_MAIN()
