// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A router's two hooks: `in` where a packet comes in, `confirm` where it goes out. In between its
 * flow is among the unconfirmed: nobody's but its own packets' of that direction.
 *
 * Between the hooks test_run forgets what one told the other in skb->tc_index, so packets meet
 * egress without a tag: as after an attach, or behind somebody who wipes tags off.
 */
#include <net/if.h>

#include "talk.h"

static __u32 in, out;

/* Two devices and routes between them, once for all tests. False if that can't be had. */
static bool router(void)
{
	if (in && out)
		return true;
	if (system("ip link set lo up &&"
		   "ip link add in0 address 02:00:00:00:00:02 type veth peer name in1 &&"
		   "ip link add out0 type veth peer name out1 &&"
		   "for dev in in0 in1 out0 out1; do ip link set $dev up || exit; done &&"
		   "ip addr add 10.0.1.254/24 dev in0 && ip addr add 10.0.2.254/24 dev out0 &&"
		   "ip addr add fd00:1::fe/64 dev in0 nodad &&"
		   "ip addr add fd00:2::fe/64 dev out0 nodad &&"
		   "ip route add blackhole 10.0.3.0/24 && ip route add blackhole fd00:3::/64 &&"
		   "echo 1 >/proc/sys/net/ipv4/ip_forward &&"
		   "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"))
		return false;
	in = if_nametoindex("in0");
	out = if_nametoindex("out0");
	return in && out;
}

static enum way {
	BY_XDP, /* in at XDP, of lo: test_run knows no other device */
	BY_TC,	/* in at tc ingress, of in0 */
	WAYS,
} way;

/* A packet comes in, and goes out by the router's other side. */
static void comes_in(enum ct_dir dir, const struct pkt_desc *d)
{
	const struct pkt_desc full = talk_desc(dir, d);
	static struct pkt p;

	pkt_build(&p, &full);
	talk.last = send_frame(
		way == BY_XDP ? XDP : INGRESS, p.data, p.len,
		way == BY_XDP ? NULL : &(struct skb_desc){ .ifindex = in, .ingress_ifindex = in });
	check_seen(__FILE__, __LINE__, &talk.last);
}

static void goes_out(enum ct_dir dir, const struct pkt_desc *d)
{
	const struct pkt_desc full = talk_desc(dir, d);
	static struct pkt p;

	pkt_build(&p, &full);
	talk.last = send_frame(
		EGRESS, p.data, p.len,
		&(struct skb_desc){ .ifindex = out, .ingress_ifindex = way == BY_XDP ? 1 : in });
	check_seen(__FILE__, __LINE__, &talk.last);
	CHECK_EQ(talk.last.class, NO_CLASS); /* it was counted where it came in */
}

#define IN(dir, bits, ...)  comes_in((dir), &(struct pkt_desc){ .tcp_flags = (bits), __VA_ARGS__ })
#define OUT(dir, bits, ...) goes_out((dir), &(struct pkt_desc){ .tcp_flags = (bits), __VA_ARGS__ })

/* Run a test for both ways in and both families, each time in an empty table. */
static bool next_way(int i)
{
	if (i > 0)
		WANT_SOUND();
	if (i == 2 * WAYS)
		return false;
	world_begin(XDP);
	if (!router()) {
		check_skipped = "veth, or ip(8)";
		return false;
	}
	talk_begin(XDP, i & 1);
	way = i >> 1;
	put_iface(1, CT_IF_ACTIVE, CT_HOOK_NATIVE, 0);
	put_iface(in, CT_IF_ACTIVE | CT_IF_CONFIRMS, CT_HOOK_TC, 0);
	put_iface(out, CT_IF_ACTIVE | CT_IF_CONFIRMS, CT_HOOK_TC, 0);
	CHECK_CASE("in by %s, IPv%d", way == BY_XDP ? "XDP" : "tc", i & 1 ? 6 : 4);
	return true;
}
#define EACH_WAY                                                                                   \
	int i_ = 0;                                                                                \
	next_way(i_);                                                                              \
	i_++

#define WANT_UNCONFIRMED(n) CHECK_EQ(unconfirmed_elements(), (n))

// A new flow waits among the unconfirmed until its first packet goes out; then it is in the table.
TEST(in_and_out)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		WANT_CLASS(NEW, PASS);
		WANT_UNCONFIRMED(1);
		WANT_FLOWS(0);
		WANT_GONE(); /* for everybody else */
		OUT(CT_ORIGINAL, SYN);
		CHECK_EQ(talk.last.verdict, PASS);
		WANT_UNCONFIRMED(0);
		WANT_FLOWS(1);
		WANT_STATUS(0);
		WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 60 : 40);
		IN(CT_REPLY, SYN | ACK);
		WANT(SYN_RECV, ESTABLISHED, PASS);
		OUT(CT_REPLY, SYN | ACK);
		WANT_COUNT(CT_REPLY, 1, talk.v6 ? 60 : 40);
		CHECK_EQ(counter(CT_C_CREATED), 1);
		CHECK_EQ(counter(CT_C_CONFIRMED), 1);
		CHECK_EQ(counter(CT_C_CONFIRM_WITHOUT_IN), 0);
	}
}

// More packets of that direction use the same entry; each counts.
TEST(repeated)
{
	for (EACH_WAY) {
		talk.proto = IPPROTO_UDP;
		for (int i = 0; i < 3; i++) {
			IN(CT_ORIGINAL, 0);
			WANT_CLASS(NEW, PASS);
			WANT_UNCONFIRMED(1);
		}
		for (int i = 0; i < 3; i++) {
			OUT(CT_ORIGINAL, 0);
			WANT_UNCONFIRMED(0);
			WANT_FLOWS(1);
		}
		WANT_COUNT(CT_ORIGINAL, 3, 3 * (talk.v6 ? 48 : 28));
		CHECK_EQ(counter(CT_C_CREATED), 1);
		CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 0);
	}
}

// A reply does not see it: it would be a first packet itself. Confirmed, they are one flow.
TEST(invisible_to_replies)
{
	for (EACH_WAY) {
		talk.proto = IPPROTO_UDP;
		IN(CT_ORIGINAL, 0);
		IN(CT_REPLY, 0);
		WANT_CLASS(NEW, PASS);
		WANT_UNCONFIRMED(2);
		OUT(CT_ORIGINAL, 0);
		WANT_FLOWS(1);
		OUT(CT_REPLY, 0);
		WANT_FLOWS(1);
		WANT_UNCONFIRMED(0);
		WANT_STATUS(CT_S_SEEN_REPLY);
		WANT_COUNT(CT_REPLY, 1, talk.v6 ? 48 : 28);
		CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 1);
	}
}

// What the host drops in between (a rule, no route) never becomes a flow, and goes after 20 s.
TEST(dropped_in_between)
{
	for (EACH_WAY) {
		struct ct_state st;

		IN(CT_ORIGINAL, SYN);
		for (int i = 0; i < 19; i++) {
			LATER(1);
			sweep();
		}
		WANT_UNCONFIRMED(1);
		for (int i = 0; i < 11; i++) {
			LATER(1);
			sweep();
		}
		WANT_UNCONFIRMED(0);
		st = get_state();
		CHECK_EQ(st.unconfirmed, 0);
		CHECK_EQ(counter(CT_C_SWEPT_UNCONFIRMED), 1);
		WANT_FLOWS(0);
		IN(CT_ORIGINAL, SYN);
		WANT_CLASS(NEW, PASS);
	}
}

// An entry that was confirmed, but whose delete the map refused, is dead: the sweep takes it out,
// and does not count as swept what has been counted as confirmed.
TEST(refused_delete)
{
	for (EACH_WAY) {
		struct ct_tuple t = talk_tuple();
		struct ct_state st;
		struct ct_entry e;

		IN(CT_ORIGINAL, SYN);
		OUT(CT_ORIGINAL, SYN);
		WANT_UNCONFIRMED(0);
		CHECK_EQ(raw_get(&t, &e), 0);
		e.word = (e.word & ~CT_WORD_PHASE) | CT_WORD_DEAD;
		e.start = *world_now;
		put_unconfirmed(&t, &e);
		st = get_state();
		st.unconfirmed = 1;
		put_state(&st);
		for (int i = 0; i < 30; i++) {
			LATER(1);
			sweep();
		}
		WANT_UNCONFIRMED(0);
		CHECK_EQ(get_state().unconfirmed, 0);
		CHECK_EQ(counter(CT_C_SWEPT_UNCONFIRMED), 0);
		CHECK_EQ(counter(CT_C_CREATED), 1);
		CHECK_EQ(counter(CT_C_CONFIRMED), 1);
	}
}

// On detach every one of them is swept, however young.
TEST(swept_at_once)
{
	for (EACH_WAY) {
		for (unsigned int i = 0; i < 50; i++) {
			talk.aport = 1000 + i;
			IN(CT_ORIGINAL, SYN);
		}
		WANT_UNCONFIRMED(50);
		sweep_unconfirmed();
		WANT_UNCONFIRMED(0);
		CHECK_EQ(counter(CT_C_SWEPT_UNCONFIRMED), 50);
		OUT(CT_ORIGINAL, SYN);
		CHECK_EQ(talk.last.verdict, PASS);
		WANT_FLOWS(0);
		CHECK_EQ(counter(CT_C_CONFIRM_WITHOUT_IN), 1);
	}
}

// A packet that goes out and has not been in `in` passes, makes no flow, and is counted by name.
TEST(confirm_without_in)
{
	for (EACH_WAY) {
		OUT(CT_ORIGINAL, SYN);
		CHECK_EQ(talk.last.verdict, PASS);
		CHECK_EQ(counter(CT_C_CONFIRM_WITHOUT_IN), 1);
		WANT_FLOWS(0);
		WANT_UNCONFIRMED(0);
		IN(CT_ORIGINAL, SYN);
		OUT(CT_ORIGINAL, SYN);
		OUT(CT_ORIGINAL, SYN); /* of a flow that is known: nothing to count */
		OUT(CT_REPLY, SYN | ACK);
		CHECK_EQ(counter(CT_C_CONFIRM_WITHOUT_IN), 1);
		WANT_FLOWS(1);
		WANT_STATUS(0);
	}
}

// What ends while it is unconfirmed leaves nothing: a SYN and the RST after it.
TEST(closed_before_confirm)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		IN(CT_ORIGINAL, RST);
		WANT_CLASS(NEW, PASS);
		WANT_UNCONFIRMED(0);
		OUT(CT_ORIGINAL, SYN);
		WANT_FLOWS(0);
		CHECK_EQ(counter(CT_C_DROPPED_UNCONFIRMED), 1);
	}
}

// An unconfirmed flow has a time, too: the packet that comes after it is a first one.
TEST(expired_before_confirm)
{
	for (EACH_WAY) {
		struct ct_settings s = get_settings();

		s.timeout.udp_timeout = 5 * HZ;
		put_settings(&s);
		talk.proto = IPPROTO_UDP;
		IN(CT_ORIGINAL, 0);
		LATER(5);
		IN(CT_ORIGINAL, 0);
		WANT_CLASS(NEW, PASS);
		WANT_UNCONFIRMED(1);
		CHECK_EQ(counter(CT_C_SWEPT_UNCONFIRMED), 1);
		OUT(CT_ORIGINAL, 0);
		WANT_TIMEOUT(5);
		WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 48 : 28);
	}
}

// NEW is told when the flow is confirmed, not before, and never if it is not.
TEST(events)
{
	for (EACH_WAY) {
		static struct ct_event events[4];

		listen_begin(0, 7, 65536);
		IN(CT_ORIGINAL, SYN);
		talk.aport++;
		IN(CT_ORIGINAL, SYN);
		CHECK_EQ(listen_take(0, events, 4), 0);
		OUT(CT_ORIGINAL, SYN);
		CHECK_EQ(listen_take(0, events, 4), 1);
		CHECK_EQ(events[0].type, CT_EV_NEW);
		CHECK_EQ(be16toh(events[0].flow.tuple.sport), talk.aport);
		sweep_unconfirmed();
		CHECK_EQ(listen_take(0, events, 4), 0);
	}
}

// A table full of assured flows: at confirm the packet passes, or is dropped, by setting.
TEST(full_at_confirm)
{
	for (EACH_WAY) {
		set_knob(CT_K_MAX, 1);
		IN(CT_ORIGINAL, SYN);
		OUT(CT_ORIGINAL, SYN);
		IN(CT_REPLY, SYN | ACK);
		IN(CT_ORIGINAL, ACK);
		for (__u32 drop = 0; drop < 2; drop++) {
			set_knob(CT_K_FULL, drop);
			talk.aport++;
			IN(CT_ORIGINAL, SYN);
			WANT_CLASS(NEW, PASS);
			OUT(CT_ORIGINAL, SYN);
			CHECK_EQ(talk.last.verdict, drop ? DROP : PASS);
			CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 1);
			CHECK_EQ(counter(CT_C_DROP_TABLE_FULL), drop);
			WANT_UNCONFIRMED(0);
			WANT_FLOWS(1);
		}
	}
}

// More than the LRU holds: those that were pushed out are counted when the sweep comes by.
TEST(pushed_out)
{
	enum { MANY = 20000 };

	for (EACH_WAY) {
		char a[64];
		size_t left;

		if (way == BY_TC && talk.v6)
			continue; /* the same map; three times will do */
		for (unsigned int i = 0; i < MANY; i++) {
			talk.a = numbered(talk.v6, a, 0x10000 + i);
			IN(CT_ORIGINAL, SYN);
		}
		left = unconfirmed_elements();
		CHECK(left <= 16384);
		LATER(6);
		sweep();
		CHECK_EQ(counter(CT_C_LOST_UNCONFIRMED), MANY - left);
		CHECK_EQ(get_state().unconfirmed, left);
		sweep_unconfirmed();
		WANT_UNCONFIRMED(0);
	}
}

/* An error that this host sends about the packet from a. */
static void error_goes_out(const char *to)
{
	static struct pkt about, p;
	const struct pkt_desc syn = talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .tcp_flags = SYN });
	const struct pkt_desc d = { .src = talk.v6 ? "fd00:1::fe" : "10.0.1.254",
				    .dst = to,
				    .icmp_type = talk.v6 ? 3 : 11,
				    .quote = &about };

	pkt_build(&about, &syn);
	pkt_build(&p, &d);
	talk.last = send_frame(EGRESS, p.data, p.len, &(struct skb_desc){ .ifindex = in });
	check_seen(__FILE__, __LINE__, &talk.last);
}

// The host's own error about a packet that it dropped (TTL, no route) is RELATED, though that flow
// was never confirmed; one that it forwards is not, nor one that goes elsewhere.
TEST(own_errors)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		error_goes_out(talk.a);
		WANT_CLASS(RELATED, PASS);
		error_goes_out(talk.b);
		WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
		WANT_UNCONFIRMED(1);
		sweep_unconfirmed();
		error_goes_out(talk.a);
		WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
		WANT_FLOWS(0);
	}
}

/* This host sends a packet of b's itself, to a. */
static void host_answers(const struct pkt_desc *d)
{
	const struct pkt_desc full = talk_desc(CT_REPLY, d);
	static struct pkt p;

	pkt_build(&p, &full);
	talk.last = send_frame(EGRESS, p.data, p.len, &(struct skb_desc){ .ifindex = in });
	check_seen(__FILE__, __LINE__, &talk.last);
}
#define HOST_ANSWERS(bits, ...) host_answers(&(struct pkt_desc){ .tcp_flags = (bits), __VA_ARGS__ })

// A packet that we thought would be forwarded was for this host after all (a transparent proxy):
// the host's answer belongs to its flow, and confirms it.
TEST(answered_by_this_host)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		HOST_ANSWERS(SYN | ACK);
		WANT(SYN_RECV, ESTABLISHED, PASS);
		WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 60 : 40);
		WANT_COUNT(CT_REPLY, 1, talk.v6 ? 60 : 40);
		WANT_UNCONFIRMED(0);
		IN(CT_ORIGINAL, ACK);
		WANT(ESTABLISHED, ESTABLISHED, PASS);
		WANT_FLOWS(1);
	}
}

// If it refuses the connection, nothing is left, and the books are right.
TEST(refused_by_this_host)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		HOST_ANSWERS(RST | ACK);
		WANT_CLASS(ESTABLISHED, PASS);
		WANT_UNCONFIRMED(0);
		WANT_FLOWS(0);
		CHECK_EQ(counter(CT_C_CREATED), 1);
		CHECK_EQ(counter(CT_C_DROPPED_UNCONFIRMED), 1);
	}
}

// An answer that is impossible in its state is invalid, and does not take the flow away.
TEST(impossible_answer_of_this_host)
{
	for (EACH_WAY) {
		IN(CT_ORIGINAL, SYN);
		HOST_ANSWERS(FIN | ACK);
		WANT_REASON(INVALID, TCP_STATE, PASS);
		WANT_UNCONFIRMED(1);
		OUT(CT_ORIGINAL, SYN);
		WANT_STATUS(0);
	}
}

// What goes out where nobody of ours confirms, or is for this host, is confirmed on its way in;
// what the host has no way for is not confirmed at all. (tc asks the routes; XDP leaves it to tc.)
TEST(who_confirms)
{
	for (EACH_WAY) {
		if (way == BY_XDP)
			continue;
		talk.b = talk.v6 ? "fd00:1::fe" : "10.0.1.254"; /* the router itself */
		IN(CT_ORIGINAL, SYN);
		WANT(SYN_SENT, NEW, PASS);
		talk.b = talk.v6 ? "fd00:3::1" : "10.0.3.1"; /* the black hole */
		IN(CT_ORIGINAL, SYN);
		WANT_CLASS(NEW, PASS);
		WANT_GONE();
		WANT_UNCONFIRMED(1);
		talk.b = talk.v6 ? "fd00:2::1" : "10.0.2.1";
		forget_iface(out); /* detached */
		IN(CT_ORIGINAL, SYN);
		WANT(SYN_SENT, NEW, PASS);
		WANT_FLOWS(2);
	}
}

// A packet in XDP's care alone (--confirm xdp) is none of egress's business.
TEST(confirmed_in_xdp)
{
	for (EACH_WAY) {
		if (way == BY_TC)
			continue;
		put_iface(1, CT_IF_ACTIVE | CT_IF_CONFIRM_XDP, CT_HOOK_NATIVE, 0);
		IN(CT_ORIGINAL, SYN);
		WANT_FLOWS(1);
		WANT_UNCONFIRMED(0);
		talk.aport++;
		OUT(CT_ORIGINAL, SYN);
		WANT_FLOWS(1);
		CHECK_EQ(counter(CT_C_CONFIRM_WITHOUT_IN), 0);
	}
}

// What comes from an interface where nobody looks has its whole chain at egress.
TEST(from_an_unknown_interface)
{
	for (EACH_WAY) {
		static struct pkt p;
		const struct pkt_desc syn =
			talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .tcp_flags = SYN });

		forget_iface(way == BY_XDP ? 1 : in);
		pkt_build(&p, &syn);
		talk.last =
			send_frame(EGRESS, p.data, p.len,
				   &(struct skb_desc){ .ifindex = out,
						       .ingress_ifindex = way == BY_XDP ? 1 : in });
		WANT(SYN_SENT, NEW, PASS);
		WANT_FLOWS(1);
	}
}

CHECK_MAIN()
