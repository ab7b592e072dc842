// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* Events, as a listener gets them: what, in which order, exactly once, and losses counted. */
#include "talk.h"

#define NEW	(1 << CT_EV_NEW)
#define UPDATE	(1 << CT_EV_UPDATE)
#define DESTROY (1 << CT_EV_DESTROY)
#define ALL	(NEW | UPDATE | DESTROY)
#define RING	65536

static struct ct_event events[512];
static size_t n_events;

static const char *type_name(int type)
{
	static const char *const names[] = {
#define X(id, name, tag) #id,
		CT_EVENTS(X)
#undef X
	};

	return type >= 0 && type < CT_EV_MAX ? names[type] : "no type";
}

static const char *end_name(int end)
{
	static const char *const names[CT_END_MAX] = { "no reason",
#define X(id, name, help) #id,
						       CT_ENDS(X)
#undef X
	};

	return end >= 0 && end < CT_END_MAX ? names[end] : "a number of no meaning";
}

/* Everything that has come since, into `events`. */
static size_t take(__u32 slot)
{
	n_events = listen_take(slot, events, sizeof(events) / sizeof(events[0]));
	return n_events;
}

/* Exactly one event has come, of this type; true if so. */
static bool want_event(const char *file, int line, int type)
{
	take(0);
	if (n_events == 1 && events[0].type == type)
		return true;
	check_fail(file, line);
	printf("events: got %zu", n_events);
	for (size_t i = 0; i < n_events && i < 8; i++)
		printf(" %s", type_name(events[i].type));
	printf(", wanted one, %s\n", type_name(type));
	return false;
}

static void want_new(const char *file, int line, int state)
{
	if (!want_event(file, line, CT_EV_NEW))
		return;
	check_names(file, line, "state", tcp_state_name(events[0].flow.entry.state),
		    tcp_state_name(state));
	check_eq(file, line, "status", events[0].flow.entry.status, CT_S_CONFIRMED);
	check_eq(file, line, "reason", events[0].reason, CT_END_NONE);
}

static void want_update(const char *file, int line, int state, __u16 status)
{
	if (!want_event(file, line, CT_EV_UPDATE))
		return;
	check_names(file, line, "state", tcp_state_name(events[0].flow.entry.state),
		    tcp_state_name(state));
	check_eq(file, line, "status", events[0].flow.entry.status, CT_S_CONFIRMED | status);
}

static void want_destroy(const char *file, int line, int end)
{
	if (!want_event(file, line, CT_EV_DESTROY))
		return;
	check_names(file, line, "reason", end_name(events[0].reason), end_name(end));
	check_true(file, line, "DYING", events[0].flow.entry.status & CT_S_DYING);
}

static void want_quiet(const char *file, int line)
{
	if (!take(0))
		return;
	check_fail(file, line);
	printf("events: got %zu, the first %s, wanted none\n", n_events, type_name(events[0].type));
}

#define WANT_NEW(state)	       want_new(__FILE__, __LINE__, CT_TCP_##state)
#define WANT_UPDATE(state, st) want_update(__FILE__, __LINE__, CT_TCP_##state, (st))
#define WANT_DESTROY(end)      want_destroy(__FILE__, __LINE__, CT_END_##end)
#define WANT_QUIET()	       want_quiet(__FILE__, __LINE__)

// A connection's life in events: NEW, an UPDATE for each change and no other packet, one DESTROY.
CONVERSATION(life)
{
	listen_begin(0, ALL, RING);
	ORIG(SYN, .seq = 100);
	WANT_NEW(SYN_SENT);
	ORIG(SYN, .seq = 100);
	WANT_QUIET();
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT_UPDATE(SYN_RECV, CT_S_SEEN_REPLY);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT_UPDATE(ESTABLISHED, CT_S_SEEN_REPLY | CT_S_ASSURED);
	for (int i = 0; i < 10; i++) {
		ORIG(ACK, .payload = 100);
		REPLY(ACK, .payload = 100);
	}
	WANT_QUIET();
	ORIG(FIN | ACK);
	WANT_UPDATE(FIN_WAIT, CT_S_SEEN_REPLY | CT_S_ASSURED);
	REPLY(FIN | ACK);
	WANT_UPDATE(LAST_ACK, CT_S_SEEN_REPLY | CT_S_ASSURED);
	ORIG(ACK);
	WANT_UPDATE(TIME_WAIT, CT_S_SEEN_REPLY | CT_S_ASSURED);
	for (int i = 0; i < 119; i++) {
		LATER(1);
		sweep();
	}
	WANT_QUIET();
	for (int i = 0; i < 3; i++) {
		LATER(1);
		sweep();
	}
	WANT_DESTROY(TIMEOUT);
	CHECK_EQ(events[0].flow.entry.counters[CT_ORIGINAL].packets, 2 + 10 + 2);
	CHECK_EQ(events[0].flow.entry.counters[CT_REPLY].packets, 1 + 10 + 1);
	sweep();
	WANT_QUIET();
}

// UDP: NEW, the reply, the assured bit.
CONVERSATION(udp_life)
{
	listen_begin(0, ALL, RING);
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL);
	WANT_NEW(NONE);
	SAY(CT_ORIGINAL);
	WANT_QUIET();
	SAY(CT_REPLY);
	WANT_UPDATE(NONE, CT_S_SEEN_REPLY);
	LATER(3);
	SAY(CT_REPLY);
	WANT_UPDATE(NONE, CT_S_SEEN_REPLY | CT_S_ASSURED);
	SAY(CT_ORIGINAL);
	SAY(CT_REPLY);
	WANT_QUIET();
}

// Every event names the flow by its original direction, whoever's packet it was.
CONVERSATION(named_by_the_original)
{
	struct ct_tuple t = talk_tuple();

	listen_begin(0, ALL, RING);
	ORIG(SYN);
	REPLY(SYN | ACK);
	REPLY(RST);
	LATER(10);
	REPLY(SYN);
	CHECK_EQ(take(0), 5);
	for (size_t i = 0; i < 4; i++) {
		CHECK_CASE("%s, IPv%d, event %zu", harness_hooks[talk.hook], talk.v6 ? 6 : 4, i);
		CHECK_MEM(&events[i].flow.tuple, &t, sizeof(t));
		CHECK_EQ(events[i].flow.entry.word & ~CT_WORD_PHASE,
			 events[0].flow.entry.word & ~CT_WORD_PHASE);
	}
	CHECK_EQ(events[3].type, CT_EV_DESTROY);
	CHECK_EQ(events[4].type, CT_EV_NEW); /* the other side's, the other way round */
	CHECK_MEM(&events[4].flow.tuple.src, &t.dst, 16);
	CHECK_EQ(events[4].flow.tuple.dport, t.sport);
}

// Records carry their time, in ticks and in nanoseconds.
CONVERSATION(times)
{
	listen_begin(0, ALL, RING);
	LATER(77);
	ORIG(SYN);
	WANT_NEW(SYN_SENT);
	CHECK_EQ(events[0].now, *world_now);
	CHECK_EQ(events[0].time, *world_now * (1000000000 / HZ));
	CHECK_EQ(events[0].flow.entry.expires, *world_now + 120 * HZ);
	CHECK_EQ(events[0].flow.entry.start, *world_now * (1000000000 / HZ));
}

// What changes no flow is no event: invalid, untracked, related, refused for want of room.
CONVERSATION(no_event)
{
	static struct pkt about;

	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	listen_begin(0, ALL, RING);
	ORIG(SYN | FIN);
	ORIG(SYN);
	REPLY(SYN);
	ORIG(ACK, .frag_offset = 8);
	pkt_build(&about, &(struct pkt_desc){ .src = talk.a,
					      .dst = talk.b,
					      .sport = talk.aport,
					      .dport = talk.bport,
					      .tcp_flags = ACK });
	SAY(CT_REPLY, .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
	    .icmp_type = talk.v6 ? 1 : 3, .quote = &about);
	WANT_CLASS(RELATED, PASS);
	set_knob(CT_K_MAX, 1);
	talk.aport++;
	ORIG(SYN);
	WANT_GONE();
	WANT_QUIET();
}

/* --- every end ------------------------------------------------------------------------------- */

static void end_by(enum ct_end end)
{
	struct ct_tuple t = talk_tuple();

	switch (end) {
	case CT_END_TIMEOUT:
		LATER(120);
		REPLY(SYN | ACK);
		break;
	case CT_END_CLOSED:
		REPLY(RST | ACK);
		break;
	case CT_END_EVICTED:
		set_knob(CT_K_MAX, 1);
		talk.aport++;
		ORIG(SYN);
		break;
	case CT_END_REPLACED:
		REPLY(ACK);
		ORIG(RST);
		ORIG(SYN);
		break;
	case CT_END_DELETED:
		flow_delete(&t, 0, end);
		break;
	default:
		flush(end);
		break;
	}
}

// A flow ends in exactly one DESTROY, which says why; and there is no end that no test knows of.
CONVERSATION(ends)
{
	for (int end = 1; end < CT_END_MAX; end++) {
		int destroyed = 0;

		world_begin(talk.hook);
		talk_begin(talk.hook, talk.v6);
		CHECK_CASE("%s, IPv%d, %s", harness_hooks[talk.hook], talk.v6 ? 6 : 4, end_name(end));
		listen_begin(0, ALL, RING);
		ORIG(SYN);
		end_by(end);
		take(0);
		CHECK_EQ(events[0].type, CT_EV_NEW);
		for (size_t i = 1; i < n_events; i++) {
			if (events[i].type != CT_EV_DESTROY)
				continue;
			destroyed++;
			check_names(__FILE__, __LINE__, "reason", end_name(events[i].reason),
				    end_name(end));
			CHECK_EQ(events[i].flow.entry.word & ~CT_WORD_PHASE,
				 events[0].flow.entry.word & ~CT_WORD_PHASE);
		}
		CHECK_EQ(destroyed, 1);
		CHECK_EQ(ended(end), 1);
		WANT_SOUND();
	}
}

// The flow that takes over comes after the one that it replaces: DESTROY, then NEW.
CONVERSATION(replaced_order)
{
	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	ORIG(RST);
	listen_begin(0, ALL, RING);
	ORIG(SYN);
	CHECK_EQ(take(0), 2);
	CHECK_EQ(events[0].type, CT_EV_DESTROY);
	CHECK_EQ(events[1].type, CT_EV_NEW);
	CHECK((events[0].flow.entry.word ^ events[1].flow.entry.word) & CT_WORD_GENERATION);
}

/* --- listeners ------------------------------------------------------------------------------- */

// Each listener gets the types that it asked for, all of them, whatever the others asked for.
CONVERSATION(masks)
{
	static const __u32 masks[CT_LISTENERS] = {
		ALL, NEW, UPDATE, DESTROY, NEW | DESTROY, UPDATE | DESTROY, NEW | UPDATE, ALL
	};

	for (__u32 i = 0; i < CT_LISTENERS; i++)
		listen_begin(i, masks[i], RING);
	ORIG(SYN);
	REPLY(RST | ACK); /* closed at once */
	talk.aport++;
	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	flush(CT_END_FLUSHED);
	for (__u32 i = 0; i < CT_LISTENERS; i++) {
		size_t want = 0, got[CT_EV_MAX] = {};

		CHECK_CASE("%s, IPv%d, listener %u", harness_hooks[talk.hook], talk.v6 ? 6 : 4, i);
		for (int type = 0; type < CT_EV_MAX; type++)
			want += masks[i] & 1 << type ? 2 : 0;
		CHECK_EQ(take(i), want);
		for (size_t e = 0; e < n_events; e++)
			got[events[e].type]++;
		for (int type = 0; type < CT_EV_MAX; type++)
			CHECK_EQ(got[type], masks[i] & 1 << type ? 2 : 0);
		CHECK_EQ(get_listener(i).delivered, want);
		CHECK_EQ(get_listener(i).lost, 0);
	}
}

// Nobody listens: nothing is sent, and the flow is the same. Somebody comes: from then on.
CONVERSATION(nobody)
{
	ORIG(SYN);
	listen_begin(0, ALL, RING);
	WANT_QUIET();
	REPLY(SYN | ACK);
	WANT_UPDATE(SYN_RECV, CT_S_SEEN_REPLY);
	listen_end(0);
	ORIG(ACK);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	listen_begin(0, DESTROY, RING);
	flush(CT_END_DETACHED);
	WANT_DESTROY(DETACHED); /* of a flow whose NEW it has not seen */
}

// A ring that is full loses events, counts each, and says in the next record how many there were.
CONVERSATION(losses)
{
	__u64 lost;

	listen_begin(0, ALL, 4096);
	listen_begin(1, ALL, RING);
	for (unsigned int i = 0; i < 100; i++) {
		talk.aport = 1000 + i;
		ORIG(SYN);
		WANT(SYN_SENT, NEW, PASS); /* the packet does not suffer */
	}
	lost = get_listener(0).lost;
	CHECK(lost > 0);
	CHECK_EQ(get_listener(0).delivered + lost, 100);
	CHECK_EQ(take(0), 100 - lost);
	for (size_t i = 0; i < n_events; i++)
		CHECK_EQ(events[i].lost, 0);
	CHECK_EQ(take(1), 100); /* the other listener does not suffer either */
	CHECK_EQ(get_listener(1).lost, 0);
	talk.aport = 5000;
	ORIG(SYN);
	WANT_NEW(SYN_SENT);
	CHECK_EQ(events[0].lost, lost);
}

static void many_flows(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		talk.aport = 1000 + i;
		ORIG(SYN);
	}
}

// The backlog of a reliable listener takes each DESTROY that its ring has no room for, and as long as it is
// not empty every DESTROY; nothing else; and then it is as before.
CONVERSATION(reliable)
{
	struct ct_tuple t;
	__u64 lost;

	listen_keep(0, RING);
	listen_begin(0, ALL | CT_LISTEN_RELIABLE, 4096);
	many_flows(100);
	lost = get_listener(0).lost;
	CHECK(lost > 0);
	CHECK_EQ(listen_take_kept(0, NULL, 0), 0);
	CHECK_EQ(flush(CT_END_FLUSHED), 100);
	CHECK_EQ(get_listener(0).lost, lost);
	CHECK_EQ(take(0), 100 - lost);
	for (size_t i = 0; i < n_events; i++)
		CHECK_EQ(events[i].type, CT_EV_NEW);
	ORIG(SYN); /* there is room in the ring again, but what came before waits */
	t = talk_tuple();
	flow_delete(&t, 0, CT_END_DELETED);
	CHECK_EQ(take(0), 0);
	CHECK_EQ(get_listener(0).lost, lost + 1);
	n_events = listen_take_kept(0, events, 512);
	CHECK_EQ(n_events, 101);
	for (size_t i = 0; i < n_events; i++) {
		CHECK_EQ(events[i].type, CT_EV_DESTROY);
		CHECK_EQ(ntohs(events[i].flow.tuple.sport), 1000 + (i < 100 ? i : 99));
	}
	CHECK_EQ(events[100].reason, CT_END_DELETED);
	CHECK_EQ(events[100].lost, lost + 1);
	ORIG(SYN);
	WANT_NEW(SYN_SENT);
	CHECK_EQ(get_listener(0).delivered, 100 - lost + 101 + 1);
	listen_keep(0, 0);
}

// A backlog that is full loses them as a ring does: counted, and said in the next record.
CONVERSATION(small_backlog)
{
	struct ct_listener l;
	size_t kept, taken;

	many_flows(200);
	listen_keep(0, 4096);
	listen_begin(0, DESTROY | CT_LISTEN_RELIABLE, 4096);
	CHECK_EQ(flush(CT_END_FLUSHED), 200);
	taken = take(0);
	kept = listen_take_kept(0, events, 512);
	l = get_listener(0);
	CHECK_EQ(taken, 20);
	CHECK_EQ(kept, 20);
	CHECK_EQ(l.delivered, 40);
	CHECK_EQ(l.lost, 160);
	CHECK_EQ(events[19].lost, 0);
	talk.aport = 5000;
	ORIG(SYN);
	flush(CT_END_FLUSHED);
	WANT_DESTROY(FLUSHED);
	CHECK_EQ(events[0].lost, 160);
	listen_keep(0, 0);
}

// A flush goes on while the backlog has room, and not when that has none left.
TEST(flush_waits_for_backlog)
{
	world_begin(XDP);
	many_flows(200);
	listen_keep(0, 16384);
	listen_begin(0, DESTROY | CT_LISTEN_RELIABLE, 4096);
	for (int i = 0; i < 100; i++)
		flush_once(CT_END_FLUSHED);
	CHECK_EQ(get_listener(0).lost, 0);
	CHECK(get_listener(0).delivered > 80);
	CHECK(table_elements() > 90);
	CHECK_EQ(take(0), 20);
	n_events = listen_take_kept(0, events, 512);
	CHECK_EQ(n_events + table_elements(), 180);
	listen_keep(0, 0);
}

// A flush goes no faster than its slowest listener, unless it is told to.
TEST(flush_waits_for_listeners)
{
	struct ct_listener l;

	world_begin(XDP);
	for (unsigned int i = 0; i < 200; i++) {
		talk.aport = 1000 + i;
		ORIG(SYN);
	}
	listen_begin(0, DESTROY, 4096);
	listen_begin(1, ALL, RING);
	{
		size_t taken = 0, rounds = 0, before = 200;

		for (; table_elements() && rounds < 300; rounds++) {
			flush_once(CT_END_FLUSHED);
			if (table_elements() == before) /* it stopped: make room */
				taken += take(0);
			before = table_elements();
		}
		taken += take(0);
		l = get_listener(0);
		CHECK_EQ(l.lost, 0);
		CHECK_EQ(l.delivered, 200);
		CHECK_EQ(taken, 200);
		CHECK(rounds > 10);
		CHECK(rounds < 300);
	}
	CHECK_EQ(take(1), 200);

	world_begin(XDP);
	for (unsigned int i = 0; i < 200; i++) {
		talk.aport = 1000 + i;
		ORIG(SYN);
	}
	listen_begin(0, DESTROY, 4096);
	CHECK_EQ(flush(CT_END_FLUSHED), 200);
	WANT_FLOWS(0);
	l = get_listener(0);
	CHECK(l.lost > 0);
	CHECK_EQ(l.lost + l.delivered, 200);
	WANT_SOUND();
}

/* --- log_invalid ----------------------------------------------------------------------------- */

static void want_refused(const char *file, int line, int reason)
{
	struct ct_tuple t = talk_tuple();

	if (!want_event(file, line, CT_EV_INVALID))
		return;
	check_names(file, line, "reason", reason_name(events[0].reason), reason_name(reason));
	check_eq(file, line, "the tuple as seen", memcmp(&events[0].tuple, &t, sizeof(t)), 0);
	check_eq(file, line, "interface", events[0].refused.ifindex, 1);
	check_eq(file, line, "side", events[0].refused.side,
		 talk.hook == EGRESS ? CT_EGRESS : CT_INGRESS);
	check_eq(file, line, "length", events[0].refused.len,
		 (talk.v6 ? 60 : 40) - (talk.proto == IPPROTO_UDP ? 12 : 0));
}
#define WANT_REFUSED(reason) want_refused(__FILE__, __LINE__, CT_R_##reason)

// log_invalid: off, for one protocol, for all; to those who listen for it. Nothing else of them changes.
CONVERSATION(log_invalid)
{
	listen_begin(0, ALL | 1 << CT_EV_INVALID, RING);
	listen_begin(1, ALL, RING);
	ORIG(RST | ACK, .seq = 7, .ack = 9, .win = 11);
	WANT_QUIET();
	set_knob(CT_K_LOG_INVALID, IPPROTO_UDP);
	ORIG(RST | ACK, .seq = 7, .ack = 9, .win = 11);
	WANT_QUIET();
	for (int all = 0; all < 2; all++) {
		set_knob(CT_K_LOG_INVALID, all ? 255 : IPPROTO_TCP);
		ORIG(RST | ACK, .seq = 7, .ack = 9, .win = 11);
		WANT_REFUSED(TCP_STATE);
		CHECK_EQ(events[0].refused.seq, 7);
		CHECK_EQ(events[0].refused.ack, 9);
		CHECK_EQ(events[0].refused.win, 11);
		CHECK_EQ(events[0].refused.tcp_flags, RST | ACK);
		ORIG(SYN | FIN, .seq = 8);
		WANT_REFUSED(TCP_FLAGS);
		CHECK_EQ(events[0].refused.seq, 8);
		CHECK_EQ(events[0].refused.tcp_flags, SYN | FIN);
	}
	set_knob(CT_K_DROP_INVALID, 1); /* told before it is dropped */
	ORIG(RST | ACK);
	WANT_REFUSED(TCP_STATE);
	WANT_REASON(INVALID, TCP_STATE, DROP);
	set_knob(CT_K_LOG_INVALID, IPPROTO_TCP);
	ORIG(ACK, .frag_offset = 8, .payload = 20);
	WANT_QUIET(); /* untracked */
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL, .payload = 0);
	WANT_NEW(NONE);
	CHECK_EQ(take(1), 1);
	CHECK_EQ(get_listener(0).lost, 0);
}

CHECK_MAIN()
