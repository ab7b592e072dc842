// SRC: tests/unit/packet.c tests/prog/harness.c -lpthread
// ALONE
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two CPUs in one table: the same flow, the same first packet, flows that come and go under each
 * other's hands. What the outcome is nobody knows; what must hold of it is.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"

#define SECONDS 2.0 /* of each race */
#define FLOWS	48

static struct pkt frames[FLOWS][CT_DIRS]; /* of UDP flows, both families */
static volatile bool stop;

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Another number for each call; every thread has a state of its own. */
static uint32_t random_below(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33) % n;
}

/* --- threads --------------------------------------------------------------------------------- */

struct racer {
	int number;
	void (*run)(struct racer *);
	uint64_t random;
	uint64_t sent; /* packets */
	pthread_t thread;
};

static void *start(void *arg)
{
	struct racer *r = arg;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(r->number, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	r->run(r);
	return NULL;
}

/*
 * Two threads on two CPUs for some seconds (0: until they have had enough), and `meanwhile` here.
 * The number of packets that they sent.
 */
static uint64_t race(void (*run)(struct racer *), double seconds, void (*meanwhile)(void))
{
	struct racer racers[2] = { { .number = 0, .run = run, .random = 1 },
				   { .number = 1, .run = run, .random = 2 } };
	double end = now_seconds() + seconds;

	stop = false;
	for (int i = 0; i < 2; i++)
		pthread_create(&racers[i].thread, NULL, start, &racers[i]);
	while (now_seconds() < end)
		meanwhile();
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(racers[i].thread, NULL);
	return racers[0].sent + racers[1].sent;
}

static void build_frames(void)
{
	for (int i = 0; i < FLOWS; i++) {
		struct pkt_desc d = { .src = i & 1 ? "fd00:1::1" : "10.0.1.1",
				      .dst = i & 1 ? "fd00:2::1" : "10.0.2.1",
				      .sport = 1000 + i,
				      .dport = 53,
				      .proto = IPPROTO_UDP };

		build_for(EGRESS, &frames[i][CT_ORIGINAL], &d);
		d = pkt_answer(&d);
		d.eth_dst = NULL;
		build_for(EGRESS, &frames[i][CT_REPLY], &d);
	}
}

static void send_udp(struct racer *r, unsigned int flow, enum ct_dir dir, unsigned int times)
{
	const struct pkt *p = &frames[flow % FLOWS][dir];

	/*
	 * XDP's and tc's records, one table. By XDP one at a time: test_run takes milliseconds to
	 * prepare for more than one, in which nobody races.
	 */
	run_hook(r->number == 0 && times == 1 ? XDP : EGRESS, p->data, p->len, NULL, times);
	r->sent += times;
}

/* XDP and tc at once: lo is hooked for both. */
static bool begin(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		check_skipped = "a second CPU";
		return false;
	}
	world_begin(XDP);
	put_iface(1, CT_IF_ACTIVE | CT_IF_CONFIRM_XDP, CT_HOOK_TC, 0);
	build_frames();
	return true;
}

static __u64 classes(enum ct_class class)
{
	return packets(CT_INGRESS, class) + packets(CT_EGRESS, class);
}

/* Every packet got a class, and was NEW or of a known flow. */
static void want_all_counted(uint64_t sent)
{
	CHECK_EQ(classes(CT_NEW) + classes(CT_ESTABLISHED), sent);
	CHECK_EQ(classes(CT_UNTRACKED) + classes(CT_INVALID) + classes(CT_RELATED), 0);
	CHECK_EQ(counter(CT_C_STAGE_MISSING), 0);
	CHECK_EQ(counter(CT_C_STALE_RECORD), 0);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
}

/* --- one flow -------------------------------------------------------------------------------- */

static void idle(void)
{
	usleep(10000);
}

static void one_flow(struct racer *r)
{
	while (!stop)
		send_udp(r, 0, random_below(&r->random, 2), 1 + 99 * random_below(&r->random, 2));
}

// Two CPUs, both directions on each: no packet is lost from the counters, and there is one flow.
TEST(one_flow_counts_all)
{
	static struct ct_flow flow;
	uint64_t sent;

	if (!begin())
		return;
	sent = race(one_flow, SECONDS, idle);
	want_all_counted(sent);
	CHECK(sent > 1000);
	CHECK_EQ(dump(&flow, 1), 1);
	CHECK_EQ(flow.entry.counters[0].packets + flow.entry.counters[1].packets +
			 counter(CT_C_CONTENDED) + counter(CT_C_INSERT_FAILED),
		 sent);
	CHECK_EQ(flow.entry.counters[0].bytes, 28 * flow.entry.counters[0].packets);
	CHECK_EQ(flow.entry.counters[1].bytes, 28 * flow.entry.counters[1].packets);
	WANT_SOUND();
}

/* --- one first packet ------------------------------------------------------------------------ */

#define ROUNDS 4000

static int at_line[2]; /* rounds that each has begun */

static void first_packets(struct racer *r)
{
	static struct pkt packets[2];
	struct pkt *p = &packets[r->number];

	for (int i = 0; i < ROUNDS; i++) {
		struct pkt_desc d = { .src = "10.0.1.1",
				      .dst = "10.0.2.1",
				      .sport = 1000 + i,
				      .dport = 53,
				      .proto = IPPROTO_UDP };

		if (i & r->number & 1) /* the same direction in even rounds, opposite in odd ones */
			d = pkt_answer(&d);
		d.eth_dst = NULL;
		build_for(EGRESS, p, &d);
		__atomic_store_n(&at_line[r->number], i + 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&at_line[!r->number], __ATOMIC_SEQ_CST) < i + 1)
			sched_yield();
		run_hook(r->number ? EGRESS : XDP, p->data, p->len, NULL, 1);
		r->sent++;
	}
}

// Two first packets of one flow at the same moment make one flow, with both packets in it.
TEST(one_first_packet)
{
	static struct ct_flow flows[ROUNDS];
	__u64 packets_in_flows = 0;
	uint64_t sent;

	if (!begin())
		return;
	memset(at_line, 0, sizeof(at_line));
	sent = race(first_packets, 0, NULL);
	CHECK_EQ(sent, 2 * ROUNDS);
	want_all_counted(sent);
	CHECK_EQ(dump(flows, ROUNDS), ROUNDS);
	for (int i = 0; i < ROUNDS; i++) {
		const struct ct_entry *e = &flows[i].entry;
		int port = be16toh(flows[i].tuple.sport) == 53 ? be16toh(flows[i].tuple.dport)
							       : be16toh(flows[i].tuple.sport);

		packets_in_flows += e->counters[0].packets + e->counters[1].packets;
		/* Answered in odd rounds, if neither packet was turned away. */
		if (e->counters[0].packets + e->counters[1].packets == 2)
			CHECK_EQ(!!(e->status & CT_S_SEEN_REPLY), (port - 1000) & 1);
	}
	CHECK_EQ(packets_in_flows + counter(CT_C_CONTENDED), sent);
	CHECK_EQ(counter(CT_C_CONFIRMED), ROUNDS);
	CHECK_EQ(counter(CT_C_INSERT_FAILED), 0);
	printf("  %llu of %d met at confirm, %llu found the entry busy\n",
	       counter(CT_C_CLASH_RESOLVED), ROUNDS, counter(CT_C_CONTENDED));
	WANT_SOUND();
}

/* --- everything at once ---------------------------------------------------------------------- */

static __u64 wrong_flows; /* answers about another flow than the one asked for */

static struct ct_tuple tuple_of(int flow)
{
	talk_begin(EGRESS, flow & 1);
	talk.proto = IPPROTO_UDP;
	talk.aport = 1000 + flow;
	talk.bport = 53;
	return talk_tuple();
}

static struct ct_tuple tuples[FLOWS];

static void ask(const struct ct_tuple *t)
{
	struct ct_flow flow;
	bool same;

	if (flow_get(t, &flow))
		return;
	same = flow.tuple.sport == t->sport
		       ? !memcmp(&flow.tuple, t, sizeof(*t))
		       : flow.tuple.dport == t->sport && !memcmp(&flow.tuple.src, &t->dst, 16) &&
				 !memcmp(&flow.tuple.dst, &t->src, 16);
	if (!same || !flow.entry.counters[0].packets)
		__atomic_fetch_add(&wrong_flows, 1, __ATOMIC_RELAXED);
}

static int flows_used; /* of FLOWS */

/* Mostly packets, of few flows; and somebody who deletes, asks and flushes. */
static void anything(struct racer *r)
{
	while (!stop) {
		uint32_t what = random_below(&r->random, 1000);
		uint32_t flow = random_below(&r->random, flows_used);

		if (what < 700)
			send_udp(r, flow, random_below(&r->random, 2),
				 1 + random_below(&r->random, 4));
		else if (what < 900)
			flow_delete(&tuples[flow], 0, CT_END_DELETED);
		else if (what < 998)
			ask(&tuples[flow]);
		else
			flush(CT_END_FLUSHED);
	}
}

/* What the events say of each flow: the word of the incarnation that lives, or 0. */
static struct tally {
	__u64 living[FLOWS];
	__u64 packets; /* of those that ended */
	__u64 news, destroys;
	const char *wrong;
} tally;

static void tally_event(const struct ct_event *ev)
{
	int port = be16toh(ev->flow.tuple.sport) == 53 ? be16toh(ev->flow.tuple.dport)
						       : be16toh(ev->flow.tuple.sport);
	__u64 word = ev->flow.entry.word & ~CT_WORD_PHASE, *living = &tally.living[port - 1000];

	switch (ev->type) {
	case CT_EV_NEW:
		if (*living)
			tally.wrong = "a NEW of a flow that had one and no DESTROY";
		*living = word;
		tally.news++;
		break;
	case CT_EV_UPDATE:
		if (*living != word)
			tally.wrong = "an UPDATE of a flow that does not live";
		break;
	case CT_EV_DESTROY:
		if (*living != word)
			tally.wrong = "a DESTROY of a flow that does not live";
		*living = 0;
		tally.destroys++;
		tally.packets +=
			ev->flow.entry.counters[0].packets + ev->flow.entry.counters[1].packets;
		break;
	}
}

static void listen_and_sweep(void)
{
	static struct ct_event events[1 << 18];
	size_t n = listen_take(0, events, 1 << 18);

	for (size_t i = 0; i < n && i < 1 << 18; i++)
		tally_event(&events[i]);
	sweep();
}

static void listen_and_let_expire(void)
{
	listen_and_sweep();
	LATER(0.1);
}

static void race_for_anything(int flows)
{
	__u64 sent, missing;

	for (int i = 0; i < FLOWS; i++)
		tuples[i] = tuple_of(i);
	memset(&tally, 0, sizeof(tally));
	wrong_flows = 0;
	flows_used = flows;
	listen_begin(0, 1 << CT_EV_NEW | 1 << CT_EV_UPDATE | 1 << CT_EV_DESTROY, 1 << 25);
	sent = race(anything, 2 * SECONDS, listen_and_let_expire);
	WANT_SOUND();
	want_all_counted(sent);
	CHECK_EQ(wrong_flows, 0);
	flush(CT_END_FLUSHED);
	WANT_FLOWS(0);
	listen_and_sweep();
	CHECK_STR(tally.wrong, NULL);
	CHECK_EQ(get_listener(0).lost, 0);
	CHECK_EQ(tally.news, counter(CT_C_CONFIRMED));
	CHECK_EQ(tally.destroys, counter(CT_C_DESTROYED));
	CHECK_EQ(tally.news, tally.destroys);
	printf("  %llu packets, %llu flows; %llu met at confirm, %llu found the entry busy\n", sent,
	       tally.news, counter(CT_C_CLASH_RESOLVED), counter(CT_C_CONTENDED));
	/*
	 * Each packet is in the final counters of one flow. (Of one that comes while the map still
	 * copies a new entry of its flow, the count may be copied over: table.h.)
	 */
	missing = sent - tally.packets - counter(CT_C_CONTENDED) - counter(CT_C_INSERT_FAILED) -
		  counter(CT_C_UNTRACKED_FULL) - counter(CT_C_UNTRACKED_SOURCE);
	CHECK(missing <= sent / 10000);
	WANT_SOUND();
}

// Packets, deletes, flushes, sweeps, all on few flows: every NEW has its DESTROY, every packet is
// in one flow, no entry stands under another's key, and everything adds up.
TEST(anything_at_once)
{
	if (!begin())
		return;
	race_for_anything(FLOWS);
	CHECK(ended(CT_END_DELETED) > 100);
	CHECK(ended(CT_END_FLUSHED) > 100);
}

// The same on two flows, so that everybody is in everybody's way.
TEST(anything_on_two_flows)
{
	if (!begin())
		return;
	race_for_anything(2);
	CHECK(ended(CT_END_DELETED) > 100);
}

// The same with room for sixteen: evictions besides.
TEST(anything_in_a_full_table)
{
	if (!begin())
		return;
	set_knob(CT_K_MAX, 16);
	race_for_anything(FLOWS);
	CHECK(ended(CT_END_EVICTED) > 100);
}

// The same with sources that may have three flows each: they are counted in, out and refused, and in the end
// each count is that of its flows.
TEST(anything_with_sources_limited)
{
	if (!begin())
		return;
	set_knob(CT_K_MAX_UNASSURED_PER_SOURCE, 3);
	race_for_anything(FLOWS);
	CHECK(counter(CT_C_UNTRACKED_SOURCE) > 100);
	CHECK(counter(CT_C_CONFIRMED) > 100);
	/* ... and nothing stays behind. */
	flush(CT_END_FLUSHED);
	CHECK_EQ(source_elements(), 0);
}

// With one each: counts are made and deleted all the time, under each other's hands.
TEST(anything_with_one_flow_of_a_source)
{
	if (!begin())
		return;
	set_knob(CT_K_MAX_UNASSURED_PER_SOURCE, 1);
	race_for_anything(4);
	CHECK(counter(CT_C_UNTRACKED_SOURCE) > 100);
	CHECK(counter(CT_C_CONFIRMED) > 100);
	flush(CT_END_FLUSHED);
	CHECK_EQ(source_elements(), 0);
}

/* --- between two hooks ----------------------------------------------------------------------- */

/* A router: packets come in by XDP, which leaves new flows unconfirmed, and go out by egress. */
static void routed(struct racer *r)
{
	static const struct skb_desc forwarded = { .ifindex = 1, .ingress_ifindex = 1 };

	while (!stop) {
		uint32_t what = random_below(&r->random, 1000);
		uint32_t flow = random_below(&r->random, flows_used);
		const struct pkt *p = &frames[flow][random_below(&r->random, 2)];

		if (what < 500) {
			run_hook(XDP, p->data, p->len, NULL, 1);
			r->sent++;
		} else if (what < 900) {
			run_hook(EGRESS, p->data, p->len, &forwarded, 1);
		} else {
			flow_delete(&tuples[flow], 0, CT_END_DELETED);
		}
	}
}

// In at one hook, out at the other, replies at the same time, and the sweep among them: each flow
// is confirmed at most once, and every entry that was prepared is accounted for.
TEST(in_and_out)
{
	__u64 sent;

	if (!begin())
		return;
	put_iface(1, CT_IF_ACTIVE | CT_IF_CONFIRMS, CT_HOOK_NATIVE, 0);
	for (int i = 0; i < FLOWS; i++)
		tuples[i] = tuple_of(i);
	memset(&tally, 0, sizeof(tally));
	flows_used = 6;
	listen_begin(0, 1 << CT_EV_NEW | 1 << CT_EV_UPDATE | 1 << CT_EV_DESTROY, 1 << 25);
	sent = race(routed, 2 * SECONDS, listen_and_sweep);
	want_all_counted(sent);
	sweep_unconfirmed();
	CHECK_EQ(unconfirmed_elements(), 0);
	WANT_SOUND();
	flush(CT_END_FLUSHED);
	listen_and_sweep();
	CHECK_STR(tally.wrong, NULL);
	CHECK_EQ(get_listener(0).lost, 0);
	CHECK_EQ(tally.news, counter(CT_C_CONFIRMED));
	CHECK_EQ(tally.destroys, tally.news);
	CHECK(tally.news > 100);
	printf("  %llu packets, %llu flows; %llu met at confirm\n", sent, tally.news,
	       counter(CT_C_CLASH_RESOLVED));
	WANT_SOUND();
}

// The sweep tells the unconfirmed that the map has pushed out from those that are just being
// confirmed: so few are never pushed out.
TEST(sweep_of_the_unconfirmed)
{
	if (!begin())
		return;
	put_iface(1, CT_IF_ACTIVE | CT_IF_CONFIRMS, CT_HOOK_NATIVE, 0);
	for (int i = 0; i < FLOWS; i++)
		tuples[i] = tuple_of(i);
	flows_used = FLOWS;
	race(routed, SECONDS, sweep_unconfirmed);
	sweep_unconfirmed();
	CHECK_EQ(unconfirmed_elements(), 0);
	CHECK(counter(CT_C_SWEPT_UNCONFIRMED) > 100);
	CHECK(counter(CT_C_CONFIRMED) > 100);
	CHECK_EQ(counter(CT_C_LOST_UNCONFIRMED), 0);
	WANT_SOUND();
}

static int sweeping_cpu;

/* One new flow after the other, from hook to hook; not where the sweep runs, for they are to race. */
static void always_new(struct racer *r)
{
	static const struct skb_desc forwarded = { .ifindex = 1, .ingress_ifindex = 1 };
	struct pkt p = frames[0][CT_ORIGINAL];

	if (r->number == sweeping_cpu)
		return;
	for (uint16_t port = 0; !stop; port++) {
		memcpy(p.data + p.l4, &port, sizeof(port));
		run_hook(XDP, p.data, p.len, NULL, 1);
		port -= 8; /* some are under way at any time */
		memcpy(p.data + p.l4, &port, sizeof(port));
		run_hook(EGRESS, p.data, p.len, &forwarded, 1);
		port += 8;
		r->sent += 2;
	}
}

static void sweep_again(void)
{
	LATER(6);
	sweep();
}

// Nor from those that come and go while it looks: one that has gone, and one that has come where it had been
// already, are not one that was lost.
TEST(sweep_beside_new_flows)
{
	if (!begin())
		return;
	put_iface(1, CT_IF_ACTIVE | CT_IF_CONFIRMS, CT_HOOK_NATIVE, 0);
	set_knob(CT_K_CHECKSUM, 0);
	sweeping_cpu = sched_getcpu();
	race(always_new, SECONDS, sweep_again);
	CHECK(counter(CT_C_CONFIRMED) > 1000);
	CHECK_EQ(counter(CT_C_LOST_UNCONFIRMED), 0);
	sweep_unconfirmed();
	WANT_SOUND();
}

/* --- fragments ------------------------------------------------------------------------------- */

#define DATAGRAMS 3000
#define PIECES	  4 /* each CPU has half of them: the first one among those of CPU 0 */

static struct pkt pieces[DATAGRAMS][PIECES];

static void fragments(struct racer *r)
{
	for (int i = 0; i < DATAGRAMS; i++) {
		bool backwards = random_below(&r->random, 2);

		__atomic_store_n(&at_line[r->number], i + 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&at_line[!r->number], __ATOMIC_SEQ_CST) < i + 1)
			sched_yield();
		for (int n = 0; n < PIECES / 2; n++) {
			const struct pkt *p =
				&pieces[i][r->number + 2 * (backwards ? PIECES / 2 - 1 - n : n)];

			run_hook(r->number ? EGRESS : XDP, p->data, p->len, NULL, 1);
			r->sent++;
		}
	}
}

// A datagram whose fragments come on two CPUs: whatever the order, its flow gets all of its bytes,
// and when all have come it is forgotten.
TEST(fragments)
{
	static struct pkt whole;
	static struct ct_flow flow;
	size_t bytes = 0;
	uint64_t sent;

	if (!begin())
		return;
	for (int i = 0; i < DATAGRAMS; i++) {
		struct pkt_desc d = { .src = i & 1 ? "fd00:1::1" : "10.0.1.1",
				      .dst = i & 1 ? "fd00:2::1" : "10.0.2.1",
				      .sport = 1000,
				      .dport = 53,
				      .proto = IPPROTO_UDP,
				      .payload = 400 * PIECES - 8 };

		build_for(EGRESS, &whole, &d);
		for (size_t n = 0; n < PIECES; n++)
			pkt_fragment(&pieces[i][n], &whole, 400 * n, 400, (__u32)i);
		bytes += (whole.len - whole.ip) * (i < 2 ? 2 : 1);
	}
	/* Both flows are in the table: see ct_frag_more(). */
	for (int n = 0; n < 2 * PIECES; n++)
		run_hook(EGRESS, pieces[n / PIECES][n % PIECES].data, pieces[n / PIECES][n % PIECES].len,
			 NULL, 1);
	memset(at_line, 0, sizeof(at_line));
	sent = race(fragments, 0, idle) + 2 * PIECES;
	CHECK_EQ(sent, (DATAGRAMS + 2) * PIECES);
	CHECK_EQ(classes(CT_NEW) + reasons(CT_R_FRAG_EARLY), sent);
	CHECK(fragment_elements() <= counter(CT_C_CONTENDED));
	WANT_FLOWS(2);
	for (int v6 = 0; v6 < 2; v6++) {
		CHECK_CASE("IPv%d", v6 ? 6 : 4);
		talk_begin(EGRESS, v6);
		talk.proto = IPPROTO_UDP;
		talk.aport = 1000;
		talk.bport = 53;
		if (!want_flow(__FILE__, __LINE__, &flow))
			continue;
		CHECK_EQ(flow.entry.counters[0].packets, DATAGRAMS / 2 + 1);
		bytes -= flow.entry.counters[0].bytes;
	}
	/* A CPU that the host takes away in the wrong moment holds a flow for longer than others wait. */
	CHECK(bytes <= 400 * counter(CT_C_CONTENDED));
	printf("  %llu of %llu fragments came before the first\n", reasons(CT_R_FRAG_EARLY),
	       (unsigned long long)sent);
	WANT_SOUND();
}

__attribute__((constructor)) static void size(void)
{
	world_size = 8192;
}

CHECK_MAIN()
