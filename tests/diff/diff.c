// SRC: tests/unit/packet.c tests/prog/harness.c tests/diff/kernel.c tests/diff/written.c tests/diff/random.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nf_conntrack and ours, packet by packet; see diff.h.
 *
 *	diff				all written conversations, and 200 random ones
 *	diff NAME...			these written ones
 *	diff -n 20000 -s 7		20000 random ones, seeds from 7 on
 *	diff -v				every packet and what both sides make of it
 *	diff -c				and which cells of the state tables they have touched
 *	diff -l				names of the written ones
 *
 * Ours runs by BPF_PROG_TEST_RUN, in turn as XDP and as tc ingress; its clock follows the kernel's.
 */
#define _GNU_SOURCE
#include "diff.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct talk_list *writing;
struct written *written_first;

static bool verbose, count_cells;
static unsigned long said; /* packets, all in all */

/* --- what is said ---------------------------------------------------------------------------- */

const char *addr_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::1" : "fd00:2::1";
	return who == CT_ORIGINAL ? "10.0.1.1" : "10.0.2.1";
}

/* Routers behind either side, which send errors; and somebody whom no error is about. */
static const char *router_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::99" : "fd00:2::99";
	return who == CT_ORIGINAL ? "10.0.1.99" : "10.0.2.99";
}

static const char *neighbour_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::77" : "fd00:2::77";
	return who == CT_ORIGINAL ? "10.0.1.77" : "10.0.2.77";
}

/* ICMP types are said in IPv4's numbers. */
static uint8_t type_of(uint8_t type, bool v6)
{
	static const uint8_t six[][2] = {
		{ 8, 128 }, { 0, 129 }, { 3, 1 }, { 4, 2 }, { 11, 3 }, { 12, 4 },
	};

	for (size_t i = 0; v6 && i < sizeof(six) / sizeof(six[0]); i++)
		if (six[i][0] == type)
			return six[i][1];
	return type;
}

static uint8_t proto_of(const struct say *s, bool v6)
{
	switch (s->kind) {
	case SAY_TCP:
		return IPPROTO_TCP;
	case SAY_UDP:
		return IPPROTO_UDP;
	case SAY_OTHER:
		return 253; /* RFC 3692: for experiments */
	default:
		return v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	}
}

/* The packet that an error travelling in direction s->dir is about: it went the other way. */
static struct say quoted(const struct say *s)
{
	struct say q = *s;

	q.kind = s->quote == IPPROTO_UDP ? SAY_UDP : s->quote == IPPROTO_ICMP ? SAY_ICMP : SAY_TCP;
	q.dir = !s->dir;
	q.flags = ACK;
	q.payload = 0;
	q.options[0] = 0;
	q.flaw = NO_FLAW;
	q.icmp_type = q.dir == CT_ORIGINAL ? 8 : 0;
	q.icmp_code = 0;
	return q;
}

struct ct_tuple tuple_of(const struct say *s, bool v6)
{
	struct say inner = quoted(s);
	const struct say *q = s->kind == SAY_ERROR ? &inner : s;
	int family = v6 ? AF_INET6 : AF_INET;
	struct ct_tuple t = { .family = v6 ? CT_IPV6 : CT_IPV4, .proto = proto_of(q, v6) };

	inet_pton(family, addr_of(v6, q->dir), &t.src);
	inet_pton(family, addr_of(v6, !q->dir), &t.dst);
	if (q->kind == SAY_ICMP) {
		t.sport = htons(q->icmp_id);
		t.dport = htons(type_of(q->icmp_type, v6) << 8 | q->icmp_code);
	} else if (q->kind != SAY_OTHER) {
		t.sport = htons(q->dir == CT_ORIGINAL ? A_PORT + q->port : B_PORT);
		t.dport = htons(q->dir == CT_ORIGINAL ? B_PORT : A_PORT + q->port);
	}
	return t;
}

/* The packet, Ethernet not counted, ends `len` bytes behind the begin of what IP carries. */
static void cut(struct pkt *p, size_t len, bool v6)
{
	p->len = p->l4 + len;
	if (v6)
		pkt_set16(p, p->ip + 4, p->len - p->ip - 40);
	else
		pkt_set16(p, p->ip + 2, p->len - p->ip);
}

/* Where the checksum is, behind IP. */
static size_t checksum_at(const struct say *s)
{
	return s->kind == SAY_TCP ? 16 : s->kind == SAY_UDP ? 6 : 2;
}

static void spoil(struct pkt *p, const struct say *s, bool v6)
{
	size_t room = p->len - p->l4;

	switch ((enum flaw)s->flaw) {
	case NO_FLAW:
		return;
	case TCP_DOFF_4:
		p->data[p->l4 + 12] = 0x40;
		break;
	case TCP_DOFF_15:
		p->data[p->l4 + 12] = 0xf0;
		break;
	case L4_CUT_SHORT:
		cut(p, s->kind == SAY_TCP ? 19 : 7, v6);
		break;
	case L4_CUT_AT_20:
		p->data[p->l4 + 12] = 0x60;
		cut(p, 20, v6);
		break;
	case UDP_LENGTH_7:
		pkt_set16(p, p->l4 + 4, 7);
		break;
	case UDP_LENGTH_MORE:
		pkt_set16(p, p->l4 + 4, room + 1);
		break;
	case UDP_LENGTH_LESS:
		pkt_set16(p, p->l4 + 4, room - 1);
		break;
	case UDP_LENGTH_0:
		pkt_set16(p, p->l4 + 4, 0);
		break;
	case WRONG_CHECKSUM:
		p->data[p->l4 + checksum_at(s)] ^= 0x10;
		break;
	case WRONG_LAST_BYTE:
		p->data[p->len - 1] ^= 1;
		break;
	case NO_CHECKSUM:
		pkt_set16(p, p->l4 + checksum_at(s), 0);
		break;
	}
	if (!v6) { /* a wrong header checksum would not get as far as conntrack */
		uint32_t sum = 0;

		pkt_set16(p, p->ip + 10, 0);
		for (size_t i = 0; i < 20; i += 2)
			sum += pkt_get16(p, p->ip + i);
		sum = (sum & 0xffff) + (sum >> 16);
		pkt_set16(p, p->ip + 10, (uint16_t) ~(sum + (sum >> 16)));
	}
}

static void build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook)
{
	struct pkt_desc d = {
		.l3 = l3,
		.src = addr_of(v6, s->dir),
		.dst = addr_of(v6, !s->dir),
		.proto = proto_of(s, v6),
		.tcp_flags = s->flags,
		.seq = s->seq,
		.ack = s->ack,
		.win = s->win,
		.tcp_options = s->options[0] ? s->options : NULL,
		.payload = s->payload,
		.icmp_type = type_of(s->icmp_type, v6),
		.icmp_code = s->icmp_code,
		.icmp_id = s->icmp_id,
		.ext = v6 ? s->ext : NULL,
	};
	static struct pkt about;

	d.sport = s->dir == CT_ORIGINAL ? A_PORT + s->port : B_PORT;
	d.dport = s->dir == CT_ORIGINAL ? B_PORT : A_PORT + s->port;
	if (s->kind == SAY_ERROR) {
		struct say q = quoted(s);

		build(&about, &q, v6, true, XDP);
		d.src = router_of(v6, s->dir);
		if (s->misdirected)
			d.dst = neighbour_of(v6, !s->dir);
		d.quote = &about;
		d.quote_len = s->quoted;
	}
	if (l3)
		pkt_build(p, &d);
	else
		build_for(hook, p, &d);
	spoil(p, s, v6);
}

void say_build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook)
{
	build(p, s, v6, l3, hook);
}

static const char *flags_text(uint8_t flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH",
					     "ACK", "URG", "ECE", "CWR" };
	static char text[64];

	strcpy(text, flags ? "" : "0");
	for (int i = 0; i < 8; i++)
		if (flags & 1 << i) {
			if (text[0])
				strcat(text, " | ");
			strcat(text, names[i]);
		}
	return text;
}

/* As it would stand in written.c. */
static void say_print(const struct say *s)
{
	static const char *const knob_names[] = {
#define X(id, key, value, largest, help) #id,
		CT_KNOBS(X)
#undef X
	};
	static const char *const timeout_names[] = {
#define X(id, key, seconds, help) #id,
		CT_TIMEOUTS(X)
#undef X
	};
	char who = s->dir == CT_ORIGINAL ? 'A' : 'B';

	switch ((enum say_kind)s->kind) {
	case SAY_OTHER:
		printf("%c_OTHER(.payload = %u", who, s->payload);
		break;
	case SAY_WAIT:
		printf("WAIT(%u", s->value);
		break;
	case SAY_TCP:
		printf("%c(%s, .seq = %u", who, flags_text(s->flags), s->seq);
		if (s->flags & ACK || s->ack)
			printf(", .ack = %u", s->ack);
		if (s->win == NO_WINDOW)
			printf(", .win = NO_WINDOW");
		else if (s->win)
			printf(", .win = %u", s->win);
		if (s->payload)
			printf(", .payload = %u", s->payload);
		if (s->options[0])
			printf(", .options = \"%s\"", s->options);
		break;
	case SAY_UDP:
		printf("%c_UDP(.payload = %u", who, s->payload);
		break;
	case SAY_ICMP:
		printf("%c_ICMP(.icmp_type = %u, .icmp_code = %u, .icmp_id = %u", who, s->icmp_type,
		       s->icmp_code, s->icmp_id);
		break;
	case SAY_ERROR:
		printf("%c_ERROR(.icmp_type = %u, .icmp_code = %u, .quote = %u, .icmp_id = %u",
		       who, s->icmp_type, s->icmp_code, s->quote, s->icmp_id);
		if (s->quoted)
			printf(", .quoted = %u", s->quoted);
		if (s->misdirected)
			printf(", .misdirected = true");
		break;
	case SAY_KNOB:
		printf("KNOB(%s, %u", knob_names[s->knob], s->value);
		break;
	case SAY_TIMEOUT:
		printf("TIMEOUT(%s, %u", timeout_names[s->knob], s->value);
		break;
	}
	if (s->port)
		printf(", .port = %u", s->port);
	if (s->flaw)
		printf(", .flaw = %u", s->flaw);
	if (s->ext[0])
		printf(", .ext = \"%s\"", s->ext);
	printf(");\n");
}

/* --- what comes of it ------------------------------------------------------------------------ */

static uint64_t ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static uint64_t began_ms, began_ticks;

static void ours_begin(enum hook hook)
{
	world_begin(hook);
	listen_begin(0, ~0U, 1 << 16);
	began_ms = ms();
	began_ticks = *world_now;
}

static const char *ours_say(const struct say *s, bool v6, struct view *v, struct ct_flow *flow)
{
	struct ct_tuple t = tuple_of(s, v6);
	static struct ct_event events[64];
	static struct pkt p;
	struct seen seen;
	size_t n;

	memset(v, 0, sizeof(*v));
	if (s->kind == SAY_KNOB) {
		set_knob(s->knob, s->value);
		return NULL;
	}
	if (s->kind == SAY_WAIT)
		return NULL;
	if (s->kind == SAY_TIMEOUT) {
		struct ct_settings settings = get_settings();

		settings.timeout[s->knob] = (uint64_t)s->value * HZ;
		put_settings(&settings);
		return NULL;
	}
	*world_now = began_ticks + (ms() - began_ms) * HZ / 1000;
	say_build(&p, s, v6, false, talk.hook);
	seen = send_frame(talk.hook, p.data, p.len, NULL);
	v->class = seen.verdict == PASS ? seen.class : NO_CLASS;
	n = listen_take(0, events, sizeof(events) / sizeof(events[0]));
	for (size_t i = 0; i < n; i++)
		v->events[events[i].type == CT_EV_NEW	 ? 0 :
			  events[i].type == CT_EV_UPDATE ? 1 :
							   2]++;
	v->count = get_state().flows;
	v->found = !flow_get(&t, flow);
	if (v->found) {
		const struct ct_entry *e = &flow->entry;
		union ct_addr a = {};

		inet_pton(v6 ? AF_INET6 : AF_INET, addr_of(v6, CT_ORIGINAL), &a);
		v->from_a = !memcmp(&a, &flow->tuple.src, sizeof(a));
		v->state = e->state;
		v->status = e->status & (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED);
		v->timeout = (long)((e->expires - *world_now) / HZ);
		for (int d = 0; d < 2; d++) {
			v->packets[d] = e->counters[d].packets;
			v->bytes[d] = e->counters[d].bytes;
			if (flow->tuple.proto == IPPROTO_TCP) {
				v->scale[d] = e->l4.tcp.scale[d];
				v->flags[d] = e->l4.tcp.peer_flags[d]; /* the kernel's bits */
			}
		}
	}
	return seen.wrong;
}

/* Packets by direction, kind and state, as in ct_tcp_table; NO is a first packet. */
static unsigned long cells[CT_DIRS][5][CT_TCP_STATE_MAX];
static const char *const kinds[] = { "SYN", "SYN/ACK", "FIN", "ACK", "RST" };

static void count_cell(const struct say *s, bool v6)
{
	struct ct_tuple t = tuple_of(s, v6);
	struct ct_flow flow = {};
	int kind = s->flags & RST ? 4 :
		   s->flags & SYN ? !!(s->flags & ACK) :
		   s->flags & FIN ? 2 :
				    3;
	bool reply = !flow_get(&t, &flow) && memcmp(&flow.tuple.src, &t.src, sizeof(t.src));

	cells[reply][kind][flow.entry.state]++;
}

static void cells_print(void)
{
	unsigned int untouched = 0;

	for (int dir = 0; dir < CT_DIRS; dir++)
		for (int kind = 0; kind < 5; kind++) {
			printf("%-8s %-8s", dir ? "reply" : "original", kinds[kind]);
			for (int i = 0; i < CT_TCP_STATE_MAX; i++) {
				printf(" %7lu", cells[dir][kind][i]);
				untouched += !cells[dir][kind][i] && (i || !dir);
			}
			printf("\n");
		}
	printf("%u of 95 cells untouched\n", untouched);
}

static const char *class_text(int class)
{
	static const char *const names[] = {
#define X(id, name, help) #id,
		CT_CLASSES(X)
#undef X
	};

	return class >= 0 && class < CT_CLASS_MAX ? names[class] : "dropped";
}

static const char *state_text(int state)
{
	static const char *const names[] = {
#define X(id, name) name,
		CT_TCP_STATES(X)
#undef X
	};

	return state >= 0 && state < CT_TCP_STATE_MAX ? names[state] : "?";
}

static void view_print(const char *who, const struct view *v)
{
	printf("      %-7s %-11s", who, class_text(v->class));
	if (v->found)
		printf(" %s %ld s%s%s%s, scale %u/%u flags %02x/%02x, %llu/%llu packets %llu/%llu bytes",
		       state_text(v->state), v->timeout, v->from_a ? "" : " from b",
		       v->status & CT_S_SEEN_REPLY ? "" : " unreplied",
		       v->status & CT_S_ASSURED ? " assured" : "", v->scale[0], v->scale[1],
		       v->flags[0], v->flags[1], (unsigned long long)v->packets[0],
		       (unsigned long long)v->packets[1], (unsigned long long)v->bytes[0],
		       (unsigned long long)v->bytes[1]);
	else
		printf(" no entry");
	printf("; %u in all", v->count);
	for (int i = 0; i < 3; i++)
		for (unsigned int n = 0; n < v->events[i]; n++)
			printf(" %s", (const char *[]){ "+NEW", "+UPDATE", "+DESTROY" }[i]);
	printf("\n");
}

/* --- differences ----------------------------------------------------------------------------- */

enum {
	D_CLASS = 0x01,
	D_FOUND = 0x02,
	D_DIRECTION = 0x04,
	D_STATE = 0x08,
	D_STATUS = 0x10,
	D_TIMEOUT = 0x20,
	D_SCALE = 0x40,
	D_FLAGS = 0x80,
	D_COUNTERS = 0x100,
	D_COUNT = 0x200,
	D_EVENTS = 0x400,
};

static const char *const difference_names[] = {
	"class", "entry", "direction", "state", "status", "timeout",
	"scale", "flags", "counters", "entry count", "events",
};
#define DIFFERENCES (sizeof(difference_names) / sizeof(difference_names[0]))

static unsigned int compare(const struct view *k, const struct view *o)
{
	unsigned int d = 0;

	if (k->class != o->class)
		d |= D_CLASS;
	if (k->count != o->count)
		d |= D_COUNT;
	if (memcmp(k->events, o->events, sizeof(k->events)))
		d |= D_EVENTS;
	if (k->found != o->found)
		return d | D_FOUND;
	if (k->from_a != o->from_a)
		d |= D_DIRECTION;
	if (k->state != o->state)
		d |= D_STATE;
	if (k->status != o->status)
		d |= D_STATUS;
	if (labs(k->timeout - o->timeout) > 1)
		d |= D_TIMEOUT;
	if (memcmp(k->scale, o->scale, 2))
		d |= D_SCALE;
	if (memcmp(k->flags, o->flags, 2))
		d |= D_FLAGS;
	if (memcmp(k->packets, o->packets, sizeof(k->packets)) ||
	    memcmp(k->bytes, o->bytes, sizeof(k->bytes)))
		d |= D_COUNTERS;
	return d;
}

/* A timeout that is known to differ does so until the next packet that is taken sets it anew. */
static struct excused {
	bool set;
	uint16_t port;
	uint64_t packets[2]; /* which had been taken */
} excused;

/*
 * Differences that are meant. Each says which it explains, by what both sides show afterwards, and
 * why ours is as it is.
 */
static bool inexact_reset(const struct say *s, const struct view *k, const struct view *o)
{
	struct ct_settings now = get_settings();

	return s->kind == SAY_TCP && s->flags & RST && k->state == CT_TCP_ESTABLISHED &&
	       labs(k->timeout - (long)now.timeout[CT_T_TCP_CLOSE] / HZ) <= 1 &&
	       labs(o->timeout - (long)now.timeout[CT_T_TCP_UNACK] / HZ) <= 1;
}

static bool atomic_fragment(const struct say *s, const struct view *k, const struct view *o)
{
	return strchr(s->ext, 'f') && !memcmp(k->packets, o->packets, sizeof(k->packets)) &&
	       o->bytes[0] + o->bytes[1] - k->bytes[0] - k->bytes[1] == 8;
}

static struct known {
	const char *name;
	unsigned int what; /* D_*: these, and no others */
	bool (*explains)(const struct say *s, const struct view *k, const struct view *o);
	const char *why;
	unsigned long seen;
} known[] = {
	{ "inexact reset", D_TIMEOUT, inexact_reset,
	  "a reset that is in the window but not exact leaves an established flow with 10 s in 6.18; "
	  "with 300 s in 6.12.117 and later, and here",
	  0 },
	{ "atomic fragment", D_COUNTERS, atomic_fragment,
	  "the kernel takes a fragment header out before it counts, even where it fragments nothing; "
	  "we count the packet as it came",
	  0 },
};

static bool is_known(unsigned int d, const struct say *s, const struct view *k,
		     const struct view *o)
{
	if (d == D_TIMEOUT && excused.set && excused.port == s->port &&
	    !memcmp(excused.packets, k->packets, sizeof(k->packets)))
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!(d & ~known[i].what) && known[i].explains(s, k, o)) {
			known[i].seen++;
			excused = (struct excused){ d == D_TIMEOUT, s->port,
						    { k->packets[0], k->packets[1] } };
			return true;
		}
	return false;
}

/* --- playing --------------------------------------------------------------------------------- */

#define AGREED (-1)

/*
 * Play a talk to both. `seed` non-zero: make it up on the way, `t->n` things at most. The number of
 * the first thing that they don't agree about, or AGREED.
 */
static int play(struct talk_list *t, enum hook hook, uint64_t seed, bool aloud)
{
	unsigned int n = t->n;
	struct ct_flow flow;
	struct view k, o = {};
	int result = AGREED;

	excused.set = false;
	kernel_begin();
	ours_begin(hook);
	if (seed) {
		t->n = 0;
		random_begin(seed, t);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct say *s = &t->say[i];
		const char *wrong;
		unsigned int d;

		if (seed) {
			random_next(t, i && o.found ? &flow : NULL, s);
			t->n = i + 1;
		}
		if (count_cells && s->kind == SAY_TCP)
			count_cell(s, t->v6);
		kernel_say(s, t->v6, &k);
		wrong = ours_say(s, t->v6, &o, &flow);
		said++;
		d = compare(&k, &o);
		if (aloud) {
			printf("  %3u ", i);
			say_print(s);
			if (s->kind < SAY_KNOB) {
				view_print("kernel", &k);
				view_print("ours", &o);
			}
		}
		if (s->want_class && s->want_class - 1 != k.class)
			wrong = class_text(k.class), printf("  not what the author says: ");
		if (s->want_state &&
		    (k.found ? k.state : CT_TCP_STATE_MAX) != s->want_state - 1)
			wrong = state_text(k.state), printf("  not what the author says: ");
		if (wrong || (d && !is_known(d, s, &k, &o))) {
			result = (int)i;
			if (wrong)
				printf("  at %u: %s\n", i, wrong);
			if (aloud && d) {
				printf("  they differ in:");
				for (size_t b = 0; b < DIFFERENCES; b++)
					if (d & 1 << b)
						printf(" %s", difference_names[b]);
				printf("\n");
			}
			break;
		}
	}
	kernel_end(t);
	return result;
}

static void remove_say(struct talk_list *t, unsigned int i)
{
	memmove(&t->say[i], &t->say[i + 1], (t->n - i - 1) * sizeof(t->say[0]));
	t->n--;
}

/* Leave out what need not be said, and simplify the rest, while they still differ. */
static void minimise(struct talk_list *t, enum hook hook)
{
	static struct talk_list shorter;
	bool better = true;
	int at = play(t, hook, 0, false);

	if (at == AGREED)
		return;
	t->n = at + 1;
	while (better) {
		better = false;
		for (unsigned int i = 0; i < t->n; i++) {
			shorter = *t;
			remove_say(&shorter, i);
			at = play(&shorter, hook, 0, false);
			if (at == AGREED)
				continue;
			*t = shorter;
			t->n = at + 1;
			better = true;
			i--;
		}
	}
	for (unsigned int i = 0; i < t->n; i++)
		for (int what = 0; what < 4; what++) {
			struct say *s = &shorter.say[i];

			shorter = *t;
			if (what == 0)
				s->options[0] = 0;
			else if (what == 1)
				s->payload = 0;
			else if (what == 2)
				s->win = 0;
			else
				s->flags &= ~(PSH | URG | ECE | CWR);
			if (!memcmp(s, &t->say[i], sizeof(*s)))
				continue;
			at = play(&shorter, hook, 0, false);
			if (at == AGREED)
				continue;
			*t = shorter;
			t->n = at + 1;
		}
}

static void explain(struct talk_list *t, enum hook hook)
{
	minimise(t, hook);
	printf("  shortest, IPv%d, %s:\n", t->v6 ? 6 : 4, hook_names[hook]);
	play(t, hook, 0, true);
}

static bool waits(const struct talk_list *t)
{
	for (unsigned int i = 0; i < t->n; i++)
		if (t->say[i].kind == SAY_WAIT)
			return true;
	return false;
}

static bool written_one(const struct written *w, bool v6, enum hook hook)
{
	static struct talk_list t;

	memset(&t, 0, sizeof(t));
	t.v6 = v6;
	writing = &t;
	w->write();
	if (waits(&t) && v6 != (hook == INGRESS))
		return true; /* twice is enough where it takes long */
	if (play(&t, hook, 0, verbose) == AGREED)
		return true;
	printf("not ok %s, IPv%d, %s\n", w->name, v6 ? 6 : 4, hook_names[hook]);
	if (!verbose)
		play(&t, hook, 0, true);
	return false;
}

static unsigned int failed;

static unsigned int written_all(char **names, int n)
{
	unsigned int played = 0;

	for (const struct written *w = written_first; w; w = w->next) {
		bool meant = !n, good = true;

		for (int i = 0; i < n; i++)
			meant |= !strcmp(names[i], w->name);
		for (int i = 0; meant && good && i < 4; i++)
			good = written_one(w, i & 1, i & 2 ? INGRESS : XDP);
		failed += !good;
		played += meant;
	}
	return played;
}

static void random_all(uint64_t seed, unsigned int n, unsigned int length, unsigned int patience)
{
	static struct talk_list t;
	unsigned int differed = 0;

	for (uint64_t i = seed; i < seed + n; i++) {
		enum hook hook = i & 1 ? INGRESS : XDP;

		memset(&t, 0, sizeof(t));
		t.v6 = i >> 1 & 1;
		t.n = length;
		if (play(&t, hook, i, verbose) == AGREED)
			continue;
		printf("not ok random, seed %llu, %u packets\n", (unsigned long long)i, t.n);
		explain(&t, hook);
		fflush(stdout);
		failed++;
		if (++differed >= patience) {
			printf("giving up after seed %llu\n", (unsigned long long)i);
			break;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned int n = 200, length = 30, patience = 5, played = 0;
	uint64_t seed = 1;
	bool list = false;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:k:p:vcl")) != -1) {
		switch (opt) {
		case 'n':
			n = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'k':
			length = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			patience = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			verbose = true;
			break;
		case 'c':
			count_cells = true;
			break;
		case 'l':
			list = true;
			break;
		default:
			printf("usage: %s [-v] [-c] [-l] [-n RANDOM] [-s SEED] [-k LENGTH] [-p FAILURES] "
			       "[NAME...]\n",
			       argv[0]);
			return 2;
		}
	}
	for (const struct written *w = written_first; list && w; w = w->next)
		printf("%s\n", w->name);
	if (list)
		return 0;
	if (length > TALK_MAX)
		length = TALK_MAX;
	setvbuf(stdout, NULL, _IOLBF, 0);
	kernel_open();
	played = written_all(argv + optind, argc - optind);
	if (optind < argc && !played) {
		printf("no conversation of this name\n");
		return 2;
	}
	if (optind == argc)
		random_all(seed, n, length, patience);
	else
		n = 0;
	printf("%u written, %u random from seed %llu, %lu packets, %u failed\n", played, n,
	       (unsigned long long)seed, said, failed);
	if (count_cells)
		cells_print();
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].seen)
			printf("known, %lu times: %s: %s\n", known[i].seen, known[i].name,
			       known[i].why);
	return failed ? 1 : 0;
}
