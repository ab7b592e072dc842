// SRC: tests/unit/packet.c tests/prog/harness.c -lpthread
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows by a filter (ct_ctl_select, ct_ctl_change) and flows that no packet began (ct_ctl_create); and
 * the mark that an interface gives its flows.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <time.h>

#include "ct.skel.h"
#include "match.h"
#include "talk.h"

#define EVERY ((1 << CT_EV_NEW) | (1 << CT_EV_UPDATE) | (1 << CT_EV_DESTROY))
#define MOST 1024

static struct {
	struct ct_ctl m;
	struct ct_request r;
	struct ct_flow flows[CT_DUMP_FLOWS];
} asked;

/* Run a program once on `asked`. */
static int ask(const struct bpf_program *prog, __u32 size)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &asked, .data_size_in = size,
		    .data_out = &asked, .data_size_out = size);

	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(prog), &run), 0);
	return (int)run.retval;
}

static void prepare(const struct ct_filter *f, enum ct_action action)
{
	memset(&asked, 0, sizeof(asked));
	if (f)
		asked.r.filter = *f;
	asked.r.action = action;
	asked.m.reason = CT_END_DELETED;
}

/* Run what is prepared over both tables; what is dumped goes to `flows`. How many there were. */
static size_t walk(struct ct_flow *flows)
{
	bool change = asked.r.action >= CT_ACTION_DELETE;
	const struct bpf_program *prog = change ? skel->progs.ct_ctl_change :
						  skel->progs.ct_ctl_select;
	size_t n = 0;
	int more;

	for (int family = 0; family < 2; family++) {
		asked.m.first = 0;
		do {
			asked.m.family = family;
			more = ask(prog, change ? sizeof(asked.m) + sizeof(asked.r) : sizeof(asked));
			for (__u32 i = 0; flows && i < asked.m.count && n + i < MOST; i++)
				flows[n + i] = asked.flows[i];
			n += asked.m.count;
		} while (more == 1);
		CHECK_EQ(more, 0);
		CHECK_EQ(asked.m.first, 0);
	}
	return n;
}

static size_t act(const struct ct_filter *f, enum ct_action action)
{
	prepare(f, action);
	return walk(NULL);
}

static size_t update(const struct ct_filter *f, __u32 mark, __u32 mask)
{
	prepare(f, CT_ACTION_UPDATE);
	asked.r.mark = mark;
	asked.r.mark_mask = mask;
	return walk(NULL);
}

/* Change the flow of one tuple. */
static int change_one(const struct ct_tuple *t, enum ct_action action, __u64 word)
{
	prepare(NULL, action);
	asked.m.flow.tuple = *t;
	asked.m.flow.entry.word = word;
	asked.r.set_timeout = 1;
	asked.r.timeout = 1000;
	asked.r.mark_mask = ~0U;
	asked.r.mark = 9;
	return -ask(skel->progs.ct_ctl_change, sizeof(asked.m) + sizeof(asked.r));
}

static struct ct_filter by_dport(__u16 port)
{
	struct ct_filter f = { .fields = CT_FILTER_ORIG_DPORT };

	f.port[CT_FILTER_AT_ORIG_DST] = htobe16(port);
	return f;
}

static struct ct_tuple inverse(const struct ct_tuple *t)
{
	struct ct_tuple i;

	ct_tuple_invert(t, &i);
	return i;
}

static struct ct_event event; /* the last one that came */

static bool one_event(int type)
{
	return listen_take(0, &event, 1) == 1 && event.type == type;
}

/* --- which flows ------------------------------------------------------------------------------ */

/* Flows of all protocols, both families, both orders of the key, several zones, states and marks. */
static void crowd(void)
{
	static const __u8 protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, 89 };

	for (int i = 0; i < 64; i++) {
		bool turned = i & 2;

		talk.v6 = i & 1;
		talk.a = talk.v6 ? (turned ? "fd00:2::9" : "fd00:1::1") :
				   (turned ? "10.0.2.9" : "10.0.1.1");
		talk.b = talk.v6 ? (turned ? "fd00:1::1" : "fd00:2::1") :
				   (turned ? "10.0.1.1" : "10.0.2.1");
		talk.aport = 1000 + i / 16;
		talk.bport = i & 4 ? 80 : 1001;
		talk.proto = protos[i / 8 % 4];
		put_zone(i / 32);
		ORIG(talk.proto == IPPROTO_TCP ? SYN : 0);
		if (i % 3)
			REPLY(talk.proto == IPPROTO_TCP ? SYN | ACK : 0);
		if (i % 3 == 2)
			ORIG(talk.proto == IPPROTO_TCP ? ACK : 0);
	}
	for (int v6 = 0; v6 < 2; v6++)
		for (int id = 5; id < 8; id++)
			SAY(CT_ORIGINAL, .src = v6 ? "fd00:1::1" : "10.0.1.1",
			    .dst = v6 ? "fd00:2::1" : "10.0.2.1",
			    .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			    .icmp_type = v6 ? 128 : 8, .icmp_id = id);
	put_zone(0);
}

static uint32_t below(uint32_t n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 33) % n;
}

/* A filter of some things that are true of a flow, and sometimes one that is not. */
static struct ct_filter some_filter(const struct ct_flow *flow)
{
	const union ct_addr *addr[] = { &flow->tuple.src, &flow->tuple.dst, &flow->tuple.dst,
					&flow->tuple.src };
	const __be16 port[] = { flow->tuple.sport, flow->tuple.dport, flow->tuple.dport,
				flow->tuple.sport };
	struct ct_filter f = {
		.fields = (1U << below(17)) | (below(2) ? 1U << below(17) : 0),
		.family = flow->tuple.family,
		.proto = flow->tuple.proto,
		.zone = flow->tuple.zone,
		.tcp_state = flow->entry.state,
		.sctp_state = CT_FILTER_NO_STATE,
		.status = flow->entry.status & (1U << below(4)),
		.unset = below(4) == 0,
		.mark = flow->entry.mark,
		.mark_mask = below(2) ? ~0U : 1,
		.icmp_type = be16toh(flow->tuple.dport) >> 8,
		.icmp_code = (__u8)be16toh(flow->tuple.dport),
		.icmp_id = be16toh(flow->tuple.sport),
	};

	for (int i = 0; i < CT_FILTER_PLACES; i++) {
		__u32 word = below(4);

		f.prefix[i].addr.ip6[word] = addr[i]->ip6[word];
		f.prefix[i].mask.ip6[word] = ~0U;
		if (below(8) == 0)
			f.prefix[i].addr.ip6[0] ^= htobe32(1), f.prefix[i].mask.ip6[0] = ~0U;
		f.port[i] = port[i];
	}
	return f;
}

// The programs find what the same code finds natively: no flow more, and no flow less.
TEST(select_as_natively)
{
	static struct ct_flow all[MOST], found[MOST];
	size_t n, some = 0, none = 0;

	world_begin(XDP);
	talk_begin(XDP, false);
	crowd();
	for (int i = 0; i < 3; i++) {
		struct ct_filter f = by_dport(i == 2 ? 80 : 1001);

		update(&f, i + 1, 3);
	}
	n = dump(all, MOST);
	CHECK_EQ(n, 62); /* protocol 89 has no ports */
	CHECK_EQ(act(NULL, CT_ACTION_COUNT), n);
	for (int i = 0; i < 600; i++) {
		struct ct_filter f = some_filter(&all[below((uint32_t)n)]);
		size_t want = 0;

		CHECK_CASE("filter %d, fields %#x", i, f.fields);
		for (size_t k = 0; k < n; k++)
			want += ct_filter_match(&f, &all[k].tuple, &all[k].entry);
		CHECK_EQ(act(&f, CT_ACTION_COUNT), want);
		prepare(&f, CT_ACTION_DUMP);
		CHECK_EQ(walk(found), want);
		for (size_t k = 0; k < want; k++)
			CHECK(ct_filter_match(&f, &found[k].tuple, &found[k].entry));
		*(want ? &some : &none) += 1;
	}
	CHECK(some > 100 && none > 20);
	CHECK_EQ(act(NULL, CT_ACTION_COUNT), n);
	WANT_SOUND();
}

// Who may only look can't change anything by it, and a change is no way to look.
CONVERSATION(select_changes_nothing)
{
	ORIG(SYN);
	prepare(NULL, CT_ACTION_DELETE);
	CHECK(ask(skel->progs.ct_ctl_select, sizeof(asked)) > 1);
	prepare(NULL, CT_ACTION_UPDATE);
	CHECK(ask(skel->progs.ct_ctl_select, sizeof(asked)) > 1);
	prepare(NULL, CT_ACTION_DUMP);
	CHECK(ask(skel->progs.ct_ctl_change, sizeof(asked)) > 1);
	WANT_FLOWS(1);
}

// An entry that somebody owns stops the walk there, and is found when it is free again.
CONVERSATION(busy)
{
	static const enum ct_action actions[] = { CT_ACTION_COUNT, CT_ACTION_DUMP, CT_ACTION_UPDATE,
						  CT_ACTION_DELETE };
	struct ct_tuple t = talk_tuple();
	struct ct_entry e;

	talk.aport--;
	ORIG(SYN);
	talk.aport++;
	ORIG(SYN);
	for (int i = 0; i < 4; i++) {
		bool change = actions[i] >= CT_ACTION_DELETE;
		const struct bpf_program *prog = change ? skel->progs.ct_ctl_change :
							  skel->progs.ct_ctl_select;
		__u32 size = change ? sizeof(asked.m) + sizeof(asked.r) : sizeof(asked);

		CHECK_CASE("action %d", actions[i]);
		CHECK_EQ(raw_get(&t, &e), 0);
		e.word |= CT_WORD_BUSY;
		raw_put(&t, &e);
		prepare(NULL, actions[i]);
		asked.m.family = talk.v6;
		CHECK_EQ(ask(prog, size), 1);
		CHECK_EQ(asked.m.first, 1);
		CHECK_EQ(asked.m.count, 1);
		CHECK_EQ(ask(prog, size), 1);
		CHECK_EQ(asked.m.first, 1);
		CHECK_EQ(asked.m.count, 0);
		e.word &= ~CT_WORD_BUSY;
		raw_put(&t, &e);
		CHECK_EQ(ask(prog, size), 0);
		CHECK_EQ(asked.m.count, 1);
	}
	WANT_FLOWS(0);
	CHECK_EQ(ended(CT_END_DELETED), 2);
}

// What is past its time is nobody's any more, though the sweep has not come by.
CONVERSATION(over)
{
	struct ct_tuple t = talk_tuple();

	ORIG(SYN);
	LATER(121);
	CHECK_EQ(act(NULL, CT_ACTION_COUNT), 0);
	CHECK_EQ(update(NULL, 1, ~0U), 0);
	CHECK_EQ(change_one(&t, CT_ACTION_UPDATE, 0), -ENOENT);
	CHECK_EQ(change_one(&t, CT_ACTION_DELETE, 0), -ENOENT);
	CHECK_EQ(act(NULL, CT_ACTION_DELETE), 0);
	WANT_FLOWS(1);
	sweep();
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
}

/* --- delete ----------------------------------------------------------------------------------- */

// Each that matches ends with one DESTROY, with reason and counters; the others stay.
CONVERSATION(delete_matching)
{
	struct ct_filter f = by_dport(80);
	struct ct_tuple t = talk_tuple();

	ORIG(SYN);
	talk.bport = 81;
	ORIG(SYN);
	listen_begin(0, EVERY, 4096);
	CHECK_EQ(act(&f, CT_ACTION_DELETE), 1);
	CHECK(one_event(CT_EV_DESTROY));
	CHECK_EQ(event.reason, CT_END_DELETED);
	CHECK_MEM(&event.flow.tuple, &t, sizeof(t));
	CHECK_EQ(event.flow.entry.counters[CT_ORIGINAL].packets, 1);
	CHECK_EQ(event.flow.entry.status, CT_S_CONFIRMED | CT_S_DYING);
	CHECK_EQ(act(&f, CT_ACTION_DELETE), 0);
	CHECK_EQ(listen_take(0, &event, 1), 0);
	WANT_FLOWS(1);
	talk.bport = 80;
	ORIG(SYN); /* and may begin again */
	WANT(SYN_SENT, NEW, PASS);
	CHECK(one_event(CT_EV_NEW));
	CHECK_EQ(ended(CT_END_DELETED), 1);
	listen_end(0);
}

// One of them, by its tuple in either direction, if it is still the one that is meant.
CONVERSATION(delete_one)
{
	struct ct_tuple t = talk_tuple(), back = inverse(&t);
	struct ct_flow flow;

	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(change_one(&back, CT_ACTION_DELETE, flow.entry.word ^ 0x100), -ENOENT);
	WANT_FLOWS(1);
	CHECK_EQ(change_one(&back, CT_ACTION_DELETE, flow.entry.word), 0);
	WANT_FLOWS(0);
}

// No more are deleted than the slowest listener has room for, unless that is what is asked for.
TEST(room)
{
	struct ct_ctl *m = &asked.m;

	world_begin(XDP);
	talk_begin(XDP, false);
	for (int i = 0; i < 100; i++, talk.aport++)
		ORIG(SYN);
	listen_begin(0, 1 << CT_EV_DESTROY, 4096);
	prepare(NULL, CT_ACTION_UPDATE); /* for which nobody listens */
	CHECK_EQ(walk(NULL), 100);
	prepare(NULL, CT_ACTION_DELETE);
	while (ask(skel->progs.ct_ctl_change, sizeof(asked.m) + sizeof(asked.r)) == 1 && !m->full)
		CHECK(m->count > 0 && m->count <= 10);
	CHECK_EQ(m->full, 1);
	CHECK_EQ(m->count, 0);
	CHECK_EQ(get_listener(0).lost, 0);
	CHECK(table_elements() > 50);
	CHECK_EQ(ask(skel->progs.ct_ctl_change, sizeof(asked.m) + sizeof(asked.r)), 0);
	CHECK_EQ(table_elements(), 0);
	CHECK(get_listener(0).lost > 50);
	listen_end(0);
	WANT_SOUND();
}

static volatile bool stop;

static void *open_again(void *arg)
{
	static struct pkt p[16];

	(void)arg;
	for (int i = 0; i < 16; i++) {
		struct pkt_desc d = { .src = "10.0.1.1", .dst = "10.0.2.1", .sport = 1000 + i,
				      .dport = 53, .proto = IPPROTO_UDP };

		build_for(XDP, &p[i], &d);
	}
	while (!stop)
		for (int i = 0; i < 16; i++)
			run_hook(XDP, p[i].data, p[i].len, NULL, 1);
	return NULL;
}

// Packets that bring flows back under the hands of who deletes and updates them: each flow that began
// ends once, and the table is sound.
TEST(revived)
{
	struct ct_filter f = by_dport(53);
	time_t end = time(NULL) + 20;
	pthread_t thread;
	size_t n = 0;

	world_begin(XDP);
	stop = false;
	pthread_create(&thread, NULL, open_again, NULL);
	for (__u32 i = 0; n < 1000 && time(NULL) < end; i++) {
		update(&f, i, ~0U);
		n += act(&f, CT_ACTION_DELETE);
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(n >= 1000);
	CHECK_EQ(ended(CT_END_DELETED), n);
	WANT_SOUND();
	CHECK_EQ(counter(CT_C_CONFIRMED), n + table_elements());
}

/* --- update ----------------------------------------------------------------------------------- */

// A mark: the bits of the mask are cleared, then it is XORed; told with its flow, seen by a policy, and
// everything else stays.
CONVERSATION(update_mark)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow before, after;

	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &before), 0);
	listen_begin(0, EVERY, 4096);
	CHECK_EQ(update(NULL, 0xf5, ~0U), 1);
	CHECK(one_event(CT_EV_UPDATE));
	CHECK_MEM(&event.flow.tuple, &t, sizeof(t));
	CHECK_EQ(event.flow.entry.mark, 0xf5);
	CHECK_EQ(update(NULL, 0x0a, 0x0f), 1);
	CHECK(one_event(CT_EV_UPDATE));
	CHECK_EQ(event.flow.entry.mark, 0xfa);
	CHECK_EQ(update(NULL, 0x12, 0x0f), 1); /* outside of the mask: XORed */
	CHECK(one_event(CT_EV_UPDATE));
	CHECK_EQ(event.flow.entry.mark, 0xe2);
	listen_end(0);
	CHECK_EQ(flow_get(&t, &after), 0);
	before.entry.mark = 0xe2;
	CHECK_MEM(&after, &before, sizeof(after));
	policy_begin(talk.hook, "ct_test_look");
	REPLY(SYN | ACK);
	CHECK_EQ(policy_memory(4), 0xe2);
	policy_end(talk.hook);
}

// A timeout counts from now on; the next packet brings its protocol's again, and the sweep keeps to it.
CONVERSATION(update_timeout)
{
	struct ct_tuple t = talk_tuple(), back = inverse(&t);
	struct ct_flow flow;

	ORIG(SYN);
	LATER(100);
	CHECK_EQ(change_one(&back, CT_ACTION_UPDATE, 0), 0);
	WANT_TIMEOUT(1000);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 9);
	for (int i = 0; i < 99; i++) {
		LATER(10);
		sweep();
	}
	WANT_TIMEOUT(10);
	REPLY(SYN | ACK);
	WANT_TIMEOUT(60);
	prepare(NULL, CT_ACTION_UPDATE);
	asked.r.set_timeout = 1;
	asked.r.timeout = 2;
	CHECK_EQ(walk(NULL), 1);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 9); /* no mark was given */
	LATER(3);
	sweep();
	sweep();
	WANT_FLOWS(0);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
}

/* --- create ----------------------------------------------------------------------------------- */

static struct ct_flow wanted; /* by create() */

static int create(__u32 timeout)
{
	struct ct_ctl m = { .flow = wanted, .first = timeout };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &m, .data_size_in = sizeof(m));

	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.ct_ctl_create), &run), 0);
	return -(int)run.retval;
}

static void want_tuple(void)
{
	memset(&wanted, 0, sizeof(wanted));
	wanted.tuple = talk_tuple();
}

// A flow that is created is as one that a packet began, but for what packets count.
CONVERSATION(create_as_packets)
{
	static const __u8 protos[] = { IPPROTO_UDP, IPPROTO_UDPLITE, 89 };

	for (int i = 0; i < 3; i++) {
		struct ct_flow seen, made;

		talk.proto = protos[i];
		CHECK_CASE("protocol %d", talk.proto);
		ORIG(0);
		want_tuple();
		CHECK_EQ(flow_get(&wanted.tuple, &seen), 0);
		CHECK_EQ(flow_delete(&wanted.tuple, 0, CT_END_DELETED), 0);
		listen_begin(0, EVERY, 4096);
		CHECK_EQ(create(30), 0);
		CHECK(one_event(CT_EV_NEW));
		listen_end(0);
		CHECK_EQ(flow_get(&wanted.tuple, &made), 0);
		CHECK_MEM(&event.flow.tuple, &made.tuple, sizeof(made.tuple));
		CHECK_EQ(event.flow.entry.word & ~CT_WORD_PHASE, made.entry.word & ~CT_WORD_PHASE);
		made.entry.word = seen.entry.word;
		if (protos[i] == 89)
			made.entry.expires = seen.entry.expires; /* 600 s */
		memset(seen.entry.counters, 0, sizeof(seen.entry.counters));
		CHECK_MEM(&made, &seen, sizeof(made));
		REPLY(0);
		WANT_CLASS(ESTABLISHED, PASS);
		WANT_STATUS(CT_S_SEEN_REPLY);
	}
}

// What is there already, in either direction, stays as it is.
CONVERSATION(create_again)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow before, after;

	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &before), 0);
	want_tuple();
	CHECK_EQ(create(10), -EEXIST);
	wanted.tuple = inverse(&t);
	CHECK_EQ(create(10), -EEXIST);
	CHECK_EQ(flow_get(&t, &after), 0);
	CHECK_MEM(&after, &before, sizeof(after));
	CHECK_EQ(counter(CT_C_CREATED), 1);
	LATER(121); /* but what is over makes way, and is told of */
	CHECK_EQ(create(10), 0);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	CHECK_EQ(flow_get(&t, &after), 0);
	CHECK_MEM(&after.tuple, &wanted.tuple, sizeof(t));
	WANT_TIMEOUT(10);
}

// A connection of unknown windows: any packets are believed, both ways, and it is still a connection.
CONVERSATION(create_established)
{
	want_tuple();
	wanted.entry.state = CT_TCP_ESTABLISHED;
	wanted.entry.status = CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_DYING | CT_S_ADOPTED;
	wanted.entry.mark = 5;
	CHECK_EQ(create(1000), 0);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_TIMEOUT(1000);
	REPLY(ACK, .seq = 70000201, .ack = 60000111, .payload = 1000);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 60000111, .ack = 70001201, .payload = 500);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 60900111, .ack = 70001201, .payload = 500); /* windows may be scaled */
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	ORIG(FIN | ACK, .seq = 60900611, .ack = 70001201);
	WANT(FIN_WAIT, ESTABLISHED, PASS);
}

// One whose SYN is yet to come has its handshake, and its windows from there.
CONVERSATION(create_syn_sent)
{
	want_tuple();
	wanted.entry.state = CT_TCP_SYN_SENT;
	CHECK_EQ(create(50), 0);
	WANT_STATUS(0);
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	ORIG(ACK, .seq = 50000101, .ack = 201, .payload = 10);
	WANT_REASON(INVALID, TCP_SEQ_OVER, PASS);
}

// No packet has come: a forged answer to "the SYN before" is none.
CONVERSATION(create_no_syn)
{
	want_tuple();
	wanted.entry.state = CT_TCP_ESTABLISHED;
	wanted.entry.status = CT_S_SEEN_REPLY | CT_S_ASSURED;
	CHECK_EQ(create(1000), 0);
	REPLY(SYN | ACK, .seq = 200, .ack = 0);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

// SCTP's packets have to have the tags that were given.
CONVERSATION(create_sctp)
{
	talk.proto = IPPROTO_SCTP;
	want_tuple();
	wanted.entry.state = CT_SCTP_ESTABLISHED;
	wanted.entry.l4.sctp.tag[CT_ORIGINAL] = htobe32(7);
	wanted.entry.l4.sctp.tag[CT_REPLY] = htobe32(8);
	CHECK_EQ(create(100), 0);
	CHECK_EQ(act(NULL, CT_ACTION_COUNT), 1);
	WANT_TIMEOUT(100);
}

// In a full table it takes the place of one that is not assured; else there is none.
CONVERSATION(create_full)
{
	set_knob(CT_K_MAX, 2);
	ORIG(SYN);
	talk.aport++;
	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	talk.aport++;
	want_tuple();
	wanted.entry.state = CT_TCP_ESTABLISHED;
	wanted.entry.status = CT_S_SEEN_REPLY | CT_S_ASSURED;
	CHECK_EQ(create(10), 0);
	CHECK_EQ(ended(CT_END_EVICTED), 1);
	talk.aport++;
	want_tuple();
	CHECK_EQ(create(10), -ENOSPC);
	WANT_FLOWS(2);
	CHECK_EQ(counter(CT_C_CREATED), 3);
}

// No family, no flow.
TEST(create_nonsense)
{
	world_begin(XDP);
	memset(&wanted, 0, sizeof(wanted));
	CHECK(create(10) < 0);
	WANT_FLOWS(0);
}

/* --- the mark of an interface ------------------------------------------------------------------- */

static void put_mark(__u32 mark)
{
	struct ct_iface iface;
	__u32 slot = 1;

	CHECK_EQ(bpf_map_lookup_elem(bpf_map__fd(skel->maps.ifaces), &slot, &iface), 0);
	iface.mark = mark;
	CHECK_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.ifaces), &slot, &iface, BPF_ANY), 0);
}

// A flow begins with the mark of the interface by which its first packet comes in; a later one changes
// nothing, and a policy has the last word.
CONVERSATION(iface_mark)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	put_mark(0x80000007);
	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, talk.hook == EGRESS ? 0 : 0x80000007);
	put_mark(8);
	REPLY(SYN | ACK);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, talk.hook == EGRESS ? 0 : 0x80000007);
	policy_begin(talk.hook, "ct_test_look");
	talk.aport++;
	ORIG(SYN);
	CHECK_EQ(policy_memory(4), talk.hook == EGRESS ? 0 : 8);
	policy_end(talk.hook);
	policy_begin(talk.hook, "ct_test_mark");
	talk.aport++;
	ORIG(SYN);
	t = talk_tuple();
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 42);
	policy_end(talk.hook);
}

// On lo, what goes out is what comes in.
TEST(iface_mark_lo)
{
	struct ct_tuple t;
	struct ct_flow flow;

	world_begin(EGRESS);
	talk_begin(EGRESS, false);
	put_iface(1, CT_IF_ACTIVE | CT_IF_LOOPBACK, CT_HOOK_TC, 0);
	put_mark(3);
	ORIG(SYN);
	t = talk_tuple();
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 3);
}

CHECK_MAIN()
