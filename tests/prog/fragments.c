// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Datagrams in fragments: each is let through as it comes, with the class of the first.
 */
#include "talk.h"

static struct pkt whole, part;

static void udp(void)
{
	talk.proto = IPPROTO_UDP;
	talk.bport = 53;
}

/* A datagram for the fragments below; `d` is filled in from the talk. */
static void datagram(enum ct_dir dir, const struct pkt_desc *d)
{
	struct pkt_desc filled = talk_desc(dir, d);

	build_for(talk.hook, &whole, &filled);
}
#define DATAGRAM(dir, ...) datagram(dir, &(struct pkt_desc){ __VA_ARGS__ })

/* Bytes behind the IP header: the UDP or TCP header is among them. */
static void fragment(const char *file, int line, size_t from, size_t to, __u32 id)
{
	pkt_fragment(&part, &whole, from, to - from, id);
	talk.last = send_frame(talk.hook, part.data, part.len, NULL);
	check_seen(file, line, &talk.last);
}
#define FRAGMENT(from, to, id) fragment(__FILE__, __LINE__, from, to, id)

static size_t bytes_of_whole(void)
{
	return whole.len - whole.ip;
}

// In order: all have the class of the first; the flow has one packet, and the whole's bytes.
CONVERSATION(in_order)
{
	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 2992);
	FRAGMENT(0, 1400, 7);
	WANT_CLASS(NEW, PASS);
	FRAGMENT(1400, 2800, 7);
	WANT_CLASS(NEW, PASS);
	CHECK_EQ(fragment_elements(), 1);
	FRAGMENT(2800, 3000, 7);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(1);
	WANT_COUNT(CT_ORIGINAL, 1, bytes_of_whole());
	CHECK_EQ(fragment_elements(), 0);

	DATAGRAM(CT_REPLY, .payload = 1592);
	FRAGMENT(0, 800, 7);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_STATUS(CT_S_SEEN_REPLY);
	FRAGMENT(800, 1600, 7);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_COUNT(CT_REPLY, 1, bytes_of_whole());
	WANT_COUNT(CT_ORIGINAL, 1, 3000 + (talk.v6 ? 40 : 20));
	CHECK_EQ(fragment_elements(), 0);
}

// In reverse: those before the first are untracked, but the first brings their bytes along.
CONVERSATION(in_reverse)
{
	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 2992);
	FRAGMENT(2800, 3000, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	FRAGMENT(1400, 2800, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	WANT_FLOWS(0);
	FRAGMENT(0, 1400, 7);
	WANT_CLASS(NEW, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, bytes_of_whole());
	CHECK_EQ(fragment_elements(), 0);
	CHECK_EQ(packets(talk.hook == EGRESS ? CT_EGRESS : CT_INGRESS, CT_UNTRACKED), 2);
}

// Under frag_early=drop, what comes before the first is dropped and not remembered.
CONVERSATION(early_dropped)
{
	udp();
	set_knob(CT_K_FRAG_EARLY, 1);
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	FRAGMENT(800, 1600, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, DROP);
	CHECK_EQ(counter(CT_C_DROP_FRAG_EARLY), 1);
	CHECK_EQ(fragment_elements(), 0);
	FRAGMENT(0, 800, 7);
	WANT_CLASS(NEW, PASS);
	FRAGMENT(800, 1600, 7);
	WANT_CLASS(NEW, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, bytes_of_whole());
}

// A fragment that comes again, or lies over another, is invalid; dropped, if that is asked for.
CONVERSATION(overlaps)
{
	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 2992);
	FRAGMENT(0, 800, 7);
	FRAGMENT(0, 800, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, PASS);
	FRAGMENT(800, 1600, 7);
	WANT_CLASS(NEW, PASS);
	set_knob(CT_K_DROP_INVALID, 1);
	FRAGMENT(1592, 2400, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, DROP);
	FRAGMENT(2400, 3000, 7); /* with that, the rest of it */
	WANT_REASON(INVALID, FRAG_OVERLAP, DROP);
	FRAGMENT(0, 800, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, DROP);
	WANT_COUNT(CT_ORIGINAL, 1, 1600 + (talk.v6 ? 40 : 20));
	FRAGMENT(0, 800, 8);
	WANT_CLASS(NEW, PASS);
}

// The first fragment over one that came before it: an attack on the ports. It opens nothing.
CONVERSATION(first_over_early)
{
	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	FRAGMENT(8, 1600, 7);
	FRAGMENT(0, 16, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, PASS);
	WANT_FLOWS(0);
}

// An id is free again when its datagram is complete, and after its time; then it is another's.
CONVERSATION(id_again)
{
	udp();
	for (int i = 0; i < 3; i++) {
		DATAGRAM(CT_ORIGINAL, .payload = 1592);
		FRAGMENT(0, 800, 7);
		WANT_CLASS(NEW, PASS);
		FRAGMENT(800, 1600, 7);
		WANT_CLASS(NEW, PASS);
	}
	WANT_COUNT(CT_ORIGINAL, 3, 3 * bytes_of_whole());
	FRAGMENT(0, 800, 7);
	WANT_CLASS(NEW, PASS);
	FRAGMENT(0, 800, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, PASS);
	LATER(talk.v6 ? 59.9 : 29.9);
	FRAGMENT(0, 800, 7);
	WANT_REASON(INVALID, FRAG_OVERLAP, PASS);
	LATER(0.1);
	FRAGMENT(0, 800, 7);
	WANT_CLASS(NEW, PASS);
}

// What tells datagrams apart: addresses, id, zone; the protocol for IPv4 alone.
CONVERSATION(whose)
{
	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	FRAGMENT(0, 800, 7);
	FRAGMENT(800, 1600, 8);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	DATAGRAM(CT_REPLY, .payload = 1592);
	FRAGMENT(800, 1600, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	put_zone(3);
	FRAGMENT(800, 1600, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	put_zone(0);
	DATAGRAM(CT_ORIGINAL, .proto = IPPROTO_ESP, .payload = 1600);
	FRAGMENT(800, 1600, 7);
	if (talk.v6)
		WANT_CLASS(NEW, PASS);
	else
		WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
}

// TCP: what later fragments bring may be acknowledged; in any order.
CONVERSATION(tcp_windows)
{
	static const size_t edge[] = { 0, 504, 1008, 1220 };

	for (int order = 0; order < 6; order++) {
		int a = order / 2, b = (a + 1 + order % 2) % 3, c = 3 - a - b;
		const int which[] = { a, b, c };

		talk.aport = (uint16_t)(2000 + order);
		ORIG(SYN, .seq = 99);
		REPLY(SYN | ACK, .seq = 499, .ack = 100);
		ORIG(ACK, .seq = 100, .ack = 500);
		WANT(ESTABLISHED, ESTABLISHED, PASS);
		DATAGRAM(CT_ORIGINAL, .tcp_flags = ACK, .seq = 100, .ack = 500, .payload = 1200);
		for (int i = 0; i < 3; i++)
			FRAGMENT(edge[which[i]], edge[which[i] + 1], 7);
		REPLY(ACK, .seq = 500, .ack = 1301);
		WANT_REASON(INVALID, TCP_ACK_OVER, PASS);
		REPLY(ACK, .seq = 500, .ack = 1300);
		WANT(ESTABLISHED, ESTABLISHED, PASS);
		WANT_TIMEOUT(432000);
		WANT_COUNT(CT_ORIGINAL, 3, 1220 + (talk.v6 ? 40 : 20) + 2 * (talk.v6 ? 60 : 40));
	}
}

// TCP: a FIN's sequence number is behind what the last fragment brings.
CONVERSATION(tcp_fin)
{
	ORIG(SYN, .seq = 99);
	REPLY(SYN | ACK, .seq = 499, .ack = 100);
	ORIG(ACK, .seq = 100, .ack = 500);
	DATAGRAM(CT_ORIGINAL, .tcp_flags = FIN | ACK, .seq = 100, .ack = 500, .payload = 1200);
	FRAGMENT(0, 504, 7);
	WANT(FIN_WAIT, ESTABLISHED, PASS);
	FRAGMENT(504, 1220, 7);
	REPLY(ACK, .seq = 500, .ack = 1302);
	WANT_REASON(INVALID, TCP_ACK_OVER, PASS);
	REPLY(ACK, .seq = 500, .ack = 1301);
	WANT(CLOSE_WAIT, ESTABLISHED, PASS);
}

// A header that doesn't fit into the first fragment hides what the packet is: invalid, with the rest.
CONVERSATION(tiny_first)
{
	DATAGRAM(CT_ORIGINAL, .tcp_flags = SYN, .payload = 1200);
	FRAGMENT(0, 16, 7);
	WANT_REASON(INVALID, TCP_TRUNCATED, PASS);
	FRAGMENT(16, 1220, 7);
	WANT_REASON(INVALID, TCP_TRUNCATED, PASS);
	WANT_FLOWS(0);
}

// UDP's length has to be there when all has come, whichever fragment shows it.
CONVERSATION(udp_length)
{
	udp();
	for (int reverse = 0; reverse < 2; reverse++) {
		DATAGRAM(CT_ORIGINAL, .payload = 1592);
		pkt_set16(&whole, whole.l4 + 4, 1601);
		FRAGMENT(reverse ? 800 : 0, reverse ? 1600 : 800, 7 + reverse);
		FRAGMENT(reverse ? 0 : 800, reverse ? 800 : 1600, 7 + reverse);
		WANT_REASON(INVALID, UDP_LENGTH, PASS);
		pkt_set16(&whole, whole.l4 + 4, 1599);
		FRAGMENT(0, 800, 17 + reverse);
		FRAGMENT(800, 1600, 17 + reverse);
		WANT_CLASS(NEW, PASS);
	}
}

// The largest datagram there can be, in many pieces and an order of no order.
CONVERSATION(largest)
{
	size_t all = talk.v6 ? 65535 - 40 : 65515, step = 1448, n = (all + step - 1) / step;

	udp();
	DATAGRAM(CT_ORIGINAL, .payload = all - 8);
	for (size_t i = 0; i < n; i++) {
		size_t at = i * 17 % n;

		CHECK_CASE("IPv%d, piece %zu of %zu", talk.v6 ? 6 : 4, at, n);
		FRAGMENT(at * step, at == n - 1 ? all : (at + 1) * step, 7);
		WANT_CLASS(NEW, PASS);
	}
	WANT_COUNT(CT_ORIGINAL, 1, bytes_of_whole());
	CHECK_EQ(fragment_elements(), 0);
}

// An error about a fragmented question; an error in fragments belongs to its flow, too.
CONVERSATION(icmp_errors)
{
	struct pkt_desc d;
	static struct pkt about;

	udp();
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	about = whole;
	FRAGMENT(0, 800, 7);
	FRAGMENT(800, 1600, 7);
	d = talk_desc(CT_REPLY, &(struct pkt_desc){ .icmp_type = talk.v6 ? 1 : 3, .quote = &about,
						    .quote_len = 1000 });
	d.proto = 0;
	d.sport = d.dport = 0;
	build_for(talk.hook, &whole, &d);
	FRAGMENT(0, 504, 9);
	WANT_CLASS(RELATED, PASS);
	FRAGMENT(504, whole.len - whole.l4, 9);
	WANT_CLASS(RELATED, PASS);
	WANT_COUNT(CT_REPLY, 0, 0);
}

// An atomic fragment is a whole packet, and never waits for anything.
CONVERSATION(atomic)
{
	if (!talk.v6)
		return;
	udp();
	SAY(CT_ORIGINAL, .ext = "f", .payload = 10);
	WANT_CLASS(NEW, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, 40 + 8 + 10);
	SAY(CT_ORIGINAL, .ext = "f", .payload = 10);
	WANT_CLASS(NEW, PASS);
	CHECK_EQ(fragment_elements(), 0);
}

// A SYN that a connection ignores may have any sequence number: what comes behind its first
// fragment moves no window, is not unacknowledged data, and is not counted.
CONVERSATION(tcp_ignored)
{
	ORIG(SYN, .seq = 99);
	REPLY(SYN | ACK, .seq = 499, .ack = 100);
	ORIG(ACK, .seq = 100, .ack = 500);
	WANT_TIMEOUT(432000);
	DATAGRAM(CT_ORIGINAL, .tcp_flags = SYN, .seq = 1000000, .payload = 1200);
	FRAGMENT(0, 504, 7);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	FRAGMENT(504, 1220, 7);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (talk.v6 ? 60 : 40));
	REPLY(ACK, .seq = 500, .ack = 1000000);
	WANT_REASON(INVALID, TCP_ACK_OVER, PASS);
	ORIG(ACK, .seq = 100, .ack = 500);
	REPLY(ACK, .seq = 500, .ack = 100);
	WANT_TIMEOUT(432000);
}

// A first fragment that is refused for its length lets no other through that came before the first.
CONVERSATION(early_behind_refused)
{
	udp();
	set_knob(CT_K_FRAG_EARLY, 1);
	DATAGRAM(CT_ORIGINAL, .payload = 1592);
	FRAGMENT(0, 4, 7);
	WANT_REASON(INVALID, FRAG_LENGTH, PASS);
	FRAGMENT(800, 1600, 7);
	WANT_REASON(UNTRACKED, FRAG_EARLY, DROP);
}

CHECK_MAIN()
