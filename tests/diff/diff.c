// SRC: tests/unit/packet.c tests/prog/harness.c tests/diff/say.c tests/diff/kernel.c tests/diff/ours.c tests/diff/written.c tests/diff/written_sctp.c tests/diff/random.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nf_conntrack and ours, packet by packet; see diff.h.
 *
 *	diff				all written conversations, and 600 random ones
 *	diff NAME...			these written ones
 *	diff -n 20000 -s 7		20000 random ones and no written ones, seeds from 7 on
 *	diff -n 0			all written ones, and no random ones
 *	diff -h xdp -4			at one hook only (xdp, ingress, egress; veth: XDP on one, where
 *					the others are test_run); one family only
 *	diff -v				every packet and what both sides make of it
 *	diff -c				account of what has been said; of the cells of TCP's tables
 *	diff -a				the kernel alone: are the written ones what they say they are?
 *	diff -l				names of the written ones
 *
 * A seed's hook and family follow from it, unless they are given.
 */
#define _GNU_SOURCE
#include "written.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "tuple.h"

struct talk_list *writing;
uint8_t writing_zone;
struct written *written_first;

unsigned long mutated[M_MAX];

static bool verbose, count_cells;
static unsigned long said; /* packets, all in all */

/* --- what comes of it ------------------------------------------------------------------------ */

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
	return class == NO_CLASS ? "dropped" : class_name(class);
}

#define NO_STATE CT_TCP_STATE_MAX /* of a flow that is not there */

static const char *state_text(uint8_t proto, int state)
{
	static char number[24];

	if (proto == IPPROTO_TCP && state < CT_TCP_STATE_MAX)
		return tcp_state_name(state);
	if (proto == IPPROTO_SCTP && state < CT_SCTP_STATE_MAX)
		return sctp_state_name(state);
	snprintf(number, sizeof(number), "state %d", state);
	return number;
}

static const char *tuple_text(const struct ct_tuple *t)
{
	static char text[200];
	char src[64], dst[64], zone[16] = "";
	int family = t->family == CT_IPV6 ? AF_INET6 : AF_INET;

	inet_ntop(family, &t->src, src, sizeof(src));
	inet_ntop(family, &t->dst, dst, sizeof(dst));
	if (t->zone)
		snprintf(zone, sizeof(zone), " zone %u", t->zone);
	snprintf(text, sizeof(text), "%u %s.%u>%s.%u%s", t->proto, src, ntohs(t->sport), dst,
		 ntohs(t->dport), zone);
	return text;
}

static const char *status_text(uint16_t status)
{
	static char text[40];

	snprintf(text, sizeof(text), "%s%s%s", status & CT_S_SEEN_REPLY ? "" : " unreplied",
		 status & CT_S_ASSURED ? " assured" : "",
		 status & CT_S_CONFIRMED ? "" : " unconfirmed");
	return text;
}

static void counters_print(const struct ct_counters c[CT_DIRS])
{
	printf(", %llu/%llu packets %llu/%llu bytes", (unsigned long long)c[0].packets,
	       (unsigned long long)c[1].packets, (unsigned long long)c[0].bytes,
	       (unsigned long long)c[1].bytes);
}

static void view_print(const char *who, const struct view *v)
{
	printf("      %-7s %-11s", who, class_text(v->class));
	if (v->found) {
		printf(" %s: %s %ld s%s, scale %u/%u flags %02x/%02x vtag %u/%u",
		       tuple_text(&v->tuple[0]), state_text(v->tuple[0].proto, v->state),
		       v->timeout, status_text(v->status), v->scale[0], v->scale[1], v->flags[0],
		       v->flags[1], v->vtag[0], v->vtag[1]);
		counters_print(v->counters);
	} else {
		printf(" no entry");
	}
	printf("; %u in all\n", v->count);
	for (unsigned int i = 0; i < v->n; i++) {
		const struct heard *e = &v->events[i];
		static const char *const types[] = { "NEW", "UPDATE", "DESTROY" };

		printf("        %-7s %s%s", types[e->type], tuple_text(&e->tuple),
		       status_text(e->status));
		if (e->state >= 0)
			printf(" %s", state_text(e->tuple.proto, e->state));
		if (e->timeout >= 0)
			printf(" %ld s", e->timeout);
		if (e->counted)
			counters_print(e->counters);
		printf("\n");
	}
}

/* --- differences ----------------------------------------------------------------------------- */

/* What a packet may differ in. X(id, name) */
#define DIFFERENCES(X)                                                                             \
	X(CLASS, "class")                                                                          \
	X(FOUND, "entry")                                                                          \
	X(TUPLE, "tuple")                                                                          \
	X(STATE, "state")                                                                          \
	X(STATUS, "status")                                                                        \
	X(MARK, "mark")                                                                            \
	X(TIMEOUT, "timeout")                                                                      \
	X(SCALE, "scale")                                                                          \
	X(FLAGS, "flags")                                                                          \
	X(VTAG, "vtag")                                                                            \
	X(COUNTERS, "counters")                                                                    \
	X(COUNT, "entry count")                                                                    \
	X(EVENTS, "events")

enum {
#define X(id, name) D_BIT_##id,
	DIFFERENCES(X)
#undef X
};
enum {
#define X(id, name) D_##id = 1 << D_BIT_##id,
	DIFFERENCES(X)
#undef X
};

static void differences_print(unsigned int d)
{
	static const char *const names[] = {
#define X(id, name) name,
		DIFFERENCES(X)
#undef X
	};

	printf("  they differ in:");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (d & 1U << i)
			printf(" %s", names[i]);
	printf("\n");
}

/* By how much our counters are known to differ, for each flow; and which timeouts may differ. */
struct excuse {
	struct ct_tuple tuple;
	struct ct_counters more[CT_DIRS]; /* ours minus the kernel's */
	bool timeout;			  /* until the next packet is counted */
	uint64_t packets[CT_DIRS];
};

static struct excuse excuses[256];
static size_t excused;

static struct excuse *excuse_of(const struct ct_tuple *t)
{
	static struct excuse none;
	size_t i;

	for (i = 0; i < excused; i++)
		if (!memcmp(&excuses[i].tuple, t, sizeof(*t)))
			return &excuses[i];
	none = (struct excuse){ .tuple = *t };
	if (excused == sizeof(excuses) / sizeof(excuses[0]))
		return &none;
	excuses[excused] = none;
	return &excuses[excused++];
}

static void forget_excuse(const struct ct_tuple *t)
{
	for (size_t i = 0; i < excused; i++)
		if (!memcmp(&excuses[i].tuple, t, sizeof(*t)))
			excuses[i] = excuses[--excused];
}

static bool timeouts_differ(long k, long o)
{
	return labs(k - o) > 1;
}

#include "known.h"

/*
 * Ours differ from the kernel's by what is known of the flow, and perhaps by what is known of this
 * packet; then that is known from now on.
 */
static bool counters_differ(const struct say *s, enum hook hook, struct excuse *x,
			    const struct ct_counters k[CT_DIRS], const struct ct_counters o[CT_DIRS])
{
	struct ct_counters more = known_more(s, hook, x->tuple.family == CT_IPV6);

	for (int d = 0; d < CT_DIRS; d++) {
		uint64_t packets = o[d].packets - k[d].packets, bytes = o[d].bytes - k[d].bytes;

		if (packets == x->more[d].packets && bytes == x->more[d].bytes)
			continue;
		if (packets != x->more[d].packets + more.packets ||
		    bytes != x->more[d].bytes + more.bytes)
			return true;
		x->more[d].packets = packets;
		x->more[d].bytes = bytes;
	}
	return false;
}

static bool event_differs(const struct say *s, enum hook hook, const struct heard *k,
			  const struct heard *o)
{
	struct excuse *x = excuse_of(&k->tuple);

	if (k->type != o->type || memcmp(&k->tuple, &o->tuple, sizeof(k->tuple)) ||
	    k->status != o->status)
		return true;
	/* The kernel says what has changed, ours all there is. */
	if (k->state >= 0 && k->state != o->state)
		return true;
	if (k->timeout >= 0 && !x->timeout && timeouts_differ(k->timeout, o->timeout))
		return true;
	return k->counted && counters_differ(s, hook, x, k->counters, o->counters);
}

static bool about(const struct heard *e, const struct ct_tuple *t)
{
	struct ct_tuple inverse;

	ct_tuple_invert(t, &inverse);
	return !memcmp(&e->tuple, t, sizeof(*t)) || !memcmp(&e->tuple, &inverse, sizeof(inverse));
}

static int by_tuple(const void *a, const void *b)
{
	const struct heard *x = a, *y = b;

	return memcmp(&x->tuple, &y->tuple, sizeof(x->tuple)) ?: x->type - y->type;
}

/*
 * What happens to the packet's flow has an order. Others do no more than end, by age: the kernel's
 * whenever somebody comes across them, ours at the sweep.
 */
static void sort_events(struct view *v, const struct ct_tuple *t)
{
	static struct heard others[HEARD_MAX];
	unsigned int own = 0, n = 0;

	for (unsigned int i = 0; i < v->n; i++)
		if (t && about(&v->events[i], t))
			v->events[own++] = v->events[i];
		else
			others[n++] = v->events[i];
	qsort(others, n, sizeof(others[0]), by_tuple);
	memcpy(&v->events[own], others, n * sizeof(others[0]));
}

static bool events_differ(const struct say *s, enum hook hook, const struct view *k,
			  const struct view *o)
{
	bool differ = k->n != o->n;

	for (unsigned int i = 0; i < k->n && !differ; i++)
		differ = event_differs(s, hook, &k->events[i], &o->events[i]);
	for (unsigned int i = 0; i < k->n; i++)
		if (k->events[i].type == CT_EV_DESTROY)
			forget_excuse(&k->events[i].tuple);
	return differ;
}

static unsigned int compare(const struct say *s, enum hook hook, const struct view *k,
			    const struct view *o)
{
	struct excuse *x;
	unsigned int d = 0;

	if (k->class != o->class && !known_class(s, k, o))
		d |= D_CLASS;
	if (k->count != o->count)
		d |= D_COUNT;
	if (events_differ(s, hook, k, o))
		d |= D_EVENTS;
	if (k->found != o->found)
		return d | D_FOUND;
	if (!k->found)
		return d;
	x = excuse_of(&k->tuple[CT_ORIGINAL]);
	if (memcmp(k->tuple, o->tuple, sizeof(k->tuple)))
		d |= D_TUPLE;
	if (k->state != o->state)
		d |= D_STATE;
	if (k->status != o->status)
		d |= D_STATUS;
	if (k->mark != o->mark)
		d |= D_MARK;
	if (memcmp(k->scale, o->scale, sizeof(k->scale)))
		d |= D_SCALE;
	if (memcmp(k->flags, o->flags, sizeof(k->flags)))
		d |= D_FLAGS;
	if (memcmp(k->vtag, o->vtag, sizeof(k->vtag)))
		d |= D_VTAG;
	if (counters_differ(s, hook, x, k->counters, o->counters))
		d |= D_COUNTERS;
	if (x->timeout && (x->packets[0] != k->counters[0].packets ||
			   x->packets[1] != k->counters[1].packets))
		x->timeout = false;
	if (!timeouts_differ(k->timeout, o->timeout) || x->timeout)
		return d;
	if (!known_timeout(s, k, o))
		return d | D_TIMEOUT;
	x->timeout = true;
	x->packets[0] = k->counters[0].packets;
	x->packets[1] = k->counters[1].packets;
	return d;
}

/* --- playing --------------------------------------------------------------------------------- */

#define AGREED (-1)

static bool alone; /* the kernel, without ours: is a conversation what its author believes? */
static unsigned long kinds_said[SAY_KINDS][CT_CLASS_MAX + 1], flows_aged, flows_expired;

/*
 * Time passes. The kernel's entries are told how long they have left, by ours, whose clock jumps:
 * but first they have to agree. What would be left of a flow is nothing, or more than a moment.
 */
static const char *age(unsigned int seconds)
{
	static struct ct_tuple flows[1024];
	size_t n = kernel_flows(flows, 1024);
	long left[1024];

	for (size_t i = 0; i < n; i++) {
		long kernels = kernel_left(&flows[i]);

		left[i] = alone ? kernels * HZ : ours_left(&flows[i]);
		if (kernels < 0)
			left[i] = -1;
		else if (!excuse_of(&flows[i])->timeout &&
			 timeouts_differ(kernels, left[i] / HZ))
			return "a timeout that differed is seen when time passes";
	}
	for (size_t i = 0; i < n; i++)
		if (left[i] >= 0 && labs(left[i] - (long)seconds * HZ) < 4 * HZ) {
			seconds += 8;
			i = -1UL; /* again, all of them */
		}
	if (!alone)
		ours_age(seconds);
	for (size_t i = 0; i < n; i++) {
		long rest = (left[i] + HZ / 2) / HZ - (long)seconds;

		if (left[i] < 0)
			continue;
		kernel_leave(&flows[i], rest > 0 ? rest : 0);
		excuse_of(&flows[i])->timeout = false;
		flows_aged++;
		flows_expired += rest <= 0;
	}
	return NULL;
}

/* What has expired goes, on both sides, after the packet had its chance to find it so. */
static void reap(struct view *k, struct view *o)
{
	static struct ct_tuple flows[1024];
	size_t n = kernel_flows(flows, 1024);

	for (size_t i = 0; i < n; i++)
		kernel_left(&flows[i]);
	kernel_hear(k);
	if (alone)
		return;
	ours_sweep();
	ours_hear(o);
}

/* The end: what is left goes, and each tells what it has seen. */
static bool end_differs(const struct say *last, enum hook hook, struct view *k, struct view *o,
			bool aloud)
{
	memset(k, 0, sizeof(*k));
	memset(o, 0, sizeof(*o));
	kernel_end();
	kernel_hear(k);
	if (alone)
		return false;
	ours_end();
	ours_hear(o);
	sort_events(k, NULL);
	sort_events(o, NULL);
	if (!events_differ(last, hook, k, o))
		return false;
	if (aloud) {
		view_print("kernel", k);
		view_print("ours", o);
		printf("  they differ in what they tell at the end\n");
	}
	return true;
}

static const char *not_believed(const struct say *s, const struct view *k)
{
	if (s->want_class && s->want_class - 1 != k->class)
		return class_text(k->class);
	if (s->want_state && (k->found ? k->state : NO_STATE) != s->want_state - 1)
		return k->found ? state_text(k->tuple[0].proto, k->state) : "no flow";
	return NULL;
}

/* What a whole talk is made of has to be one thing for each side: a datagram's last fragment. */
static bool goes_on(const struct talk_list *t, unsigned int i)
{
	return t->say[i].more && i + 1 < t->n;
}

/*
 * Play a talk to both. `seed` non-zero: make it up on the way, `t->n` things at most. The number of
 * the first thing that they don't agree about, or AGREED.
 */
static int play(struct talk_list *t, enum hook hook, uint64_t seed, bool aloud)
{
	static struct view k, o;
	unsigned int n = t->n, d = 0;
	const char *wrong = NULL;
	struct ct_flow flow;
	bool aged = false;
	int result = AGREED;

	excused = 0;
	for (unsigned int i = 0; i < n; i++)
		if (seed || t->say[i].fragment) {
			say_new_ids();
			break;
		}
	kernel_begin(hook);
	if (!alone)
		ours_begin(hook);
	memset(&o, 0, sizeof(o));
	if (seed) {
		t->n = 0;
		random_begin(seed, t);
	}
	for (unsigned int i = 0; i < n && result == AGREED; i++) {
		struct say *s = &t->say[i];
		struct ct_tuple tuple;

		if (seed) {
			random_next(t, i && o.found ? &flow : NULL, s);
			t->n = i + 1;
		}
		if (!i || !t->say[i - 1].more) {
			memset(&k, 0, sizeof(k));
			memset(&o, 0, sizeof(o));
		}
		tuple = tuple_of(s, t->v6);
		if (count_cells && !alone && s->kind == SAY_TCP)
			count_cell(s, t->v6);
		kernel_say(s, t->v6, &k);
		wrong = alone ? NULL : ours_say(s, t->v6, &o);
		said++;
		if (s->kind == SAY_AGE) {
			wrong = age(s->value);
			aged = true;
			if (!wrong && !aloud)
				continue;
		}
		if (s->kind < SAY_KNOB && !goes_on(t, i)) {
			if (aged)
				reap(&k, &o);
			kernel_look(&tuple, &k);
			kernel_hear(&k);
			sort_events(&k, &tuple);
			if (!alone) {
				ours_look(&tuple, &o, &flow);
				sort_events(&o, &tuple);
				d = compare(s, hook, &k, &o);
			}
			kinds_said[s->kind][k.class < 0 ? CT_CLASS_MAX : k.class]++;
		} else {
			d = 0;
		}
		if (aloud) {
			printf("  %3u ", i);
			say_print(s);
			if (s->kind < SAY_KNOB) {
				view_print("kernel", &k);
				if (!alone)
					view_print("ours", &o);
			}
		}
		if (!wrong && s->kind < SAY_KNOB) {
			wrong = not_believed(s, &k);
			if (wrong && aloud)
				printf("  not what the author says: ");
		}
		if (wrong || d)
			result = (int)i;
		if (wrong && aloud)
			printf("  at %u: %s\n", i, wrong);
		if (aloud && d)
			differences_print(d);
	}
	if (end_differs(&t->say[t->n ? t->n - 1 : 0], hook, &k, &o, aloud) && result == AGREED)
		result = (int)n - 1;
	return result;
}

void add(const struct say *s)
{
	if (writing->n == TALK_MAX)
		abort();
	writing->say[writing->n] = *s;
	writing->say[writing->n++].zone = writing_zone;
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
		for (int what = 0; what < 8; what++) {
			struct say *s = &shorter.say[i];

			shorter = *t;
			if (what == 0 && s->kind == SAY_TCP)
				s->options[0] = 0;
			else if (what == 1)
				s->payload = 0;
			else if (what == 2)
				s->win = 0;
			else if (what == 3)
				s->zone = 0;
			else if (what == 4)
				s->segs = 0;
			else if (what == 5)
				s->ext[0] = 0;
			else if (what == 6)
				s->port = 0;
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
	printf("  shortest, IPv%d, %s:\n", t->v6 ? 6 : 4, harness_hooks[hook]);
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
	writing_zone = 0;
	w->write();
	if (waits(&t) && (hook == EGRESS || v6 != (hook == INGRESS)))
		return true; /* twice is enough where it takes long */
	if (play(&t, hook, 0, verbose) == AGREED)
		return true;
	printf("not ok %s, IPv%d, %s\n", w->name, v6 ? 6 : 4, harness_hooks[hook]);
	if (!verbose)
		play(&t, hook, 0, true);
	return false;
}

static unsigned int failed;

static int only_hook = -1, only_family = -1;

static bool wanted(enum hook hook, bool v6)
{
	return (only_hook < 0 || only_hook == (int)hook) && (only_family < 0 || only_family == v6);
}

static unsigned int written_all(char **names, int n)
{
	unsigned int played = 0;

	for (const struct written *w = written_first; w; w = w->next) {
		bool meant = !n, good = true;

		for (int i = 0; i < n; i++)
			meant |= !strcmp(names[i], w->name);
		for (int i = 0; meant && good && i < 2 * HOOKS; i++)
			if (wanted(i / 2, i & 1))
				good = written_one(w, i & 1, i / 2);
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
		enum hook hook = only_hook < 0 ? (enum hook)(i % HOOKS) : (enum hook)only_hook;

		memset(&t, 0, sizeof(t));
		t.v6 = only_family < 0 ? i / HOOKS % 2 == 1 : only_family == 1;
		t.n = length;
		if (play(&t, hook, i, verbose) == AGREED)
			continue;
		printf("not ok random, seed %llu, IPv%d, %s, %u packets\n", (unsigned long long)i,
		       t.v6 ? 6 : 4, harness_hooks[hook], t.n);
		explain(&t, hook);
		fflush(stdout);
		failed++;
		if (++differed >= patience) {
			printf("giving up after seed %llu\n", (unsigned long long)i);
			break;
		}
	}
}

/* What has been said: a generator that says little but nonsense tests little. */
static void account_print(void)
{
	static const char *const kind_names[] = { "TCP",  "UDP",  "UDP-Lite",	"SCTP",
						  "GRE",  "ICMP", "ICMP error", "other" };
	static const char *const mutator_names[] = {
#define X(id, name) name,
		MUTATORS(X)
#undef X
	};

	printf("%-12s", "packets");
	for (int class = 0; class <= CT_CLASS_MAX; class++)
		printf(" %11s", class_text(class));
	printf("\n");
	for (int kind = 0; kind < SAY_KNOB; kind++) {
		printf("%-12s", kind_names[kind]);
		for (int class = 0; class <= CT_CLASS_MAX; class++)
			printf(" %11lu", kinds_said[kind][class]);
		printf("\n");
	}
	printf("%lu flows have aged, %lu of them expired\n", flows_aged, flows_expired);
	for (int i = 0; i < M_MAX; i++)
		printf("%10lu %s\n", mutated[i], mutator_names[i]);
}

static int hook_named(const char *name)
{
	for (int i = 0; i < HOOKS; i++)
		if (!strcmp(name, harness_hooks[i]))
			return i;
	printf("%s is no hook\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int n = 600, length = 30, patience = 5, played = 0;
	uint64_t seed = 1;
	bool list = false, only_random = false, veth = false;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:k:p:h:46vcal")) != -1) {
		switch (opt) {
		case 'n':
			n = strtoul(optarg, NULL, 0);
			only_random = n;
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
		case 'h':
			veth = !strcmp(optarg, "veth");
			only_hook = veth ? XDP : hook_named(optarg);
			break;
		case '4':
		case '6':
			only_family = opt == '6';
			break;
		case 'v':
			verbose = true;
			break;
		case 'c':
			count_cells = true;
			break;
		case 'a':
			alone = true;
			break;
		case 'l':
			list = true;
			break;
		default:
			printf("usage: %s [-vcal] [-46] [-h HOOK] [-n RANDOM] [-s SEED] [-k LENGTH] "
			       "[-p FAILURES] [NAME...]\n",
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
	if (veth)
		ours_open_veth();
	if (optind < argc || !only_random)
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
	if (count_cells) {
		cells_print();
		account_print();
	}
	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].seen)
			printf("known, %lu times: %s: %s\n", known[i].seen, known[i].name,
			       known[i].why);
	return failed ? 1 : 0;
}
