/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Our side: the loaded programs by BPF_PROG_TEST_RUN, or native XDP on a veth; their clock in our
 * hand. It follows the machine's, and runs ahead of it by what SAY_AGE has skipped.
 */
#define _GNU_SOURCE
#include "diff.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "ct.skel.h"
#include "tuple.h"

static uint64_t began_ms, began_ticks;
static uint8_t zone_now;

static uint64_t ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static void follow_clock(void)
{
	*world_now = began_ticks + (ms() - began_ms) * HZ / 1000;
}

/* --- on a veth ------------------------------------------------------------------------------- */

/* What is written to one end comes in at the other, where our XDP program is; -1: test_run. */
static int wire = -1;
static __u32 wire_ifindex;

static void wire_zone(__u16 zone)
{
	if (wire >= 0)
		put_iface(wire_ifindex, CT_IF_ACTIVE | CT_IF_CONFIRM_XDP, CT_HOOK_NATIVE, zone);
}

/* Frames are for nobody's address, so the stack leaves them alone when XDP has let them pass. */
void ours_open_veth(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };

	world_begin(XDP);
	if (system("ip link add cv0 mtu 3400 type veth peer name cv1 mtu 3400 && "
		   "sysctl -qw net.ipv6.conf.cv0.disable_ipv6=1 net.ipv6.conf.cv1.disable_ipv6=1 && "
		   "ip link set cv0 up && ip link set cv1 up"))
		exit(2);
	wire_ifindex = if_nametoindex("cv1");
	to.sll_ifindex = (int)if_nametoindex("cv0");
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (wire < 0 || bind(wire, (void *)&to, sizeof(to)) ||
	    bpf_xdp_attach((int)wire_ifindex, bpf_program__fd(skel->progs.ct_xdp), XDP_FLAGS_DRV_MODE,
			   NULL)) {
		printf("ours: XDP on a veth: %s\n", strerror(errno));
		exit(2);
	}
}

/* The counter that has grown, of n; -1: none. */
static int grown(const __u64 *before, const __u64 *after, int n)
{
	for (int i = 0; i < n; i++)
		if (after[i] != before[i])
			return i;
	return -1;
}

static struct seen send_by_wire(const struct pkt *p)
{
	struct seen s = { .class = NO_CLASS };
	struct ct_stats before = get_stats(), after;
	uint64_t patience = ms() + 1000;
	int reason;

	if (send(wire, p->data, p->len, 0) != (ssize_t)p->len)
		s.wrong = "the veth does not take the frame";
	while (s.class == NO_CLASS && !s.wrong) {
		after = get_stats();
		s.class = grown(CT_PACKETS_OF(&before)[CT_INGRESS],
				CT_PACKETS_OF(&after)[CT_INGRESS], CT_CLASS_MAX);
		if (s.class < 0 && ms() > patience)
			s.wrong = "the frame did not arrive";
		s.class = s.class < 0 ? NO_CLASS : s.class;
	}
	reason = s.wrong ? -1 : grown(CT_REASON_OF(&before), CT_REASON_OF(&after), CT_R_MAX);
	if (reason > 0)
		s.reason = reason;
	return s;
}

void ours_begin(enum hook hook)
{
	world_begin(hook);
	wire_zone(0);
	listen_begin(0, 1 << CT_EV_NEW | 1 << CT_EV_UPDATE | 1 << CT_EV_DESTROY, 1 << 16);
	began_ms = ms();
	began_ticks = *world_now;
	zone_now = 0;
}

static void set_timeout(enum ct_timeout id, uint32_t seconds)
{
	struct ct_settings settings = get_settings();

	CT_TIMEOUT_OF(&settings)[id] = (uint64_t)seconds * HZ;
	put_settings(&settings);
}

static struct seen say(const struct say *s, bool v6)
{
	/* What a says leaves the host, what b says comes in. */
	enum hook hook = talk.hook == EGRESS && s->dir == CT_REPLY ? INGRESS : talk.hook;
	unsigned int segs = say_segments(s, talk.hook);
	struct skb_desc skb = {
		.gso_size = segs ? (s->payload + segs - 1) / segs : 0,
		.gso_segs = segs,
	};
	static struct pkt p;

	if (s->zone != zone_now)
		put_zone(s->zone), wire_zone(s->zone);
	zone_now = s->zone;
	say_build(&p, s, v6, false, talk.hook);
	if (wire >= 0)
		return send_by_wire(&p);
	return send_frame(hook, p.data, p.len, segs ? &skb : NULL);
}

const char *ours_say(const struct say *s, bool v6, struct view *v)
{
	struct seen seen = {};

	follow_clock();
	if (s->kind == SAY_KNOB)
		set_knob(s->knob, s->value);
	else if (s->kind == SAY_TIMEOUT)
		set_timeout(s->knob, s->value);
	if (s->kind >= SAY_KNOB)
		return NULL;
	seen = say(s, v6);
	v->class = seen.verdict == PASS ? seen.class : NO_CLASS;
	ours_hear(v);
	return seen.wrong;
}

static long seconds_left(const struct ct_entry *e, uint64_t now)
{
	return (long)((e->expires - now) / HZ);
}

void ours_look(const struct ct_tuple *t, struct view *v, struct ct_flow *flow)
{
	const struct ct_entry *e = &flow->entry;

	v->count = get_state().flows;
	v->found = !flow_get(t, flow);
	if (!v->found)
		return;
	v->tuple[CT_ORIGINAL] = flow->tuple;
	ct_tuple_invert(&flow->tuple, &v->tuple[CT_REPLY]);
	v->state = e->state;
	v->status = e->status & (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED);
	v->mark = e->mark;
	v->timeout = seconds_left(e, *world_now);
	memcpy(v->counters, e->counters, sizeof(v->counters));
	for (int d = 0; d < CT_DIRS && flow->tuple.proto == IPPROTO_SCTP; d++)
		v->vtag[d] = ntohl(e->l4.sctp.tag[d]);
	for (int d = 0; d < CT_DIRS && flow->tuple.proto == IPPROTO_TCP; d++) {
		v->scale[d] = e->l4.tcp.scale[d];
		v->flags[d] = e->l4.tcp.peer_flags[d]; /* the kernel's bits */
	}
}

void ours_hear(struct view *v)
{
	static struct ct_event events[HEARD_MAX];
	size_t n = listen_take(0, events, HEARD_MAX);

	if (v->n + n > HEARD_MAX) {
		printf("ours: more events than expected\n");
		exit(2);
	}
	for (size_t i = 0; i < n; i++) {
		const struct ct_entry *e = &events[i].flow.entry;
		struct heard *h = &v->events[v->n++];

		*h = (struct heard){
			.type = (uint8_t)events[i].type,
			.tuple = events[i].flow.tuple,
			.status = e->status & (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED),
			.state = e->state,
			.timeout = seconds_left(e, events[i].now),
			.counted = true,
		};
		memcpy(h->counters, e->counters, sizeof(h->counters));
	}
}

long ours_left(const struct ct_tuple *t)
{
	struct ct_flow flow;

	return flow_get(t, &flow) ? -1 : (long)(flow.entry.expires - *world_now);
}

/* The kernel's entries are made older one by one, and that can't be done to when they began. */
void ours_age(unsigned int seconds)
{
	static struct ct_flow flows[1024];
	size_t n = dump(flows, 1024);

	for (size_t i = 0; i < n; i++) {
		struct ct_entry e;

		if (flows[i].tuple.proto != IPPROTO_UDP || raw_get(&flows[i].tuple, &e))
			continue;
		e.l4.udp.stream_at += seconds * HZ;
		raw_put(&flows[i].tuple, &e);
	}
	began_ticks += (uint64_t)seconds * HZ;
	follow_clock();
}

/* As the timer would have in the last minute: the sweep tells seconds apart modulo 64. */
void ours_sweep(void)
{
	uint64_t now = *world_now;

	for (int ago = 63; ago >= 0 && overdue(0); ago--) {
		*world_now = now - (uint64_t)ago * HZ;
		sweep();
		*world_now = now;
	}
}

void ours_end(void)
{
	flush(CT_END_FLUSHED);
}
