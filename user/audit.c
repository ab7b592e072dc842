// SPDX-License-Identifier: GPL-2.0-only
#include "audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const audit_names[AUDIT_MAX] = {
#define X(id, name, help) [AUDIT_##id] = name,
	AUDIT_INVARIANTS(X)
#undef X
};

const char *const audit_help[AUDIT_MAX] = {
#define X(id, name, help) [AUDIT_##id] = help,
	AUDIT_INVARIANTS(X)
#undef X
};

struct audit_range audit_exactly(uint64_t n)
{
	return (struct audit_range){ n, n };
}

struct audit_range audit_between(uint64_t before, uint64_t after)
{
	return (struct audit_range){ before, after };
}

struct audit_range audit_sum(struct audit_range a, struct audit_range b)
{
	return (struct audit_range){ a.least + b.least, a.most + b.most };
}

enum audit_seen audit_compare(struct audit_range left, struct audit_range right)
{
	if ((int64_t)(left.most - right.least) < 0)
		return AUDIT_LESS;
	if ((int64_t)(left.least - right.most) > 0)
		return AUDIT_MORE;
	return left.least == left.most && right.least == right.most ? AUDIT_EQUAL : AUDIT_OVERLAP;
}

/* --- figures of a reading --------------------------------------------------------------------- */

static uint64_t ends(const struct ct_stats *s)
{
	uint64_t sum = 0;

#define X(id, name, help) sum += s->ends.name;
	CT_ENDS(X)
#undef X
	return sum;
}

/* Packets of a class that comes with a reason, on both sides. */
#define PACKETS(class) (s->packets.ingress.class + s->packets.egress.class)

static uint64_t reasons(const struct ct_stats *s)
{
	uint64_t sum = 0;

#define X(id, class, key, help) sum += s->reasons.key;
	CT_REASONS(X)
#undef X
	return sum;
}

/* Flows that were opened, and are not unconfirmed any more. */
static uint64_t decided(const struct ct_stats *s)
{
	return s->counters.confirmed + s->counters.dropped_unconfirmed +
	       s->counters.swept_unconfirmed + s->counters.lost_unconfirmed;
}

/* What a flow before confirm that is refused there is counted for, too. */
static uint64_t refused(const struct ct_stats *s)
{
	return s->counters.clash_resolved + s->counters.insert_failed +
	       s->counters.untracked_full + s->counters.drop_table_full +
	       s->counters.untracked_source + s->counters.drop_source;
}

#define BETWEEN(from, to, expression)                                                              \
	({                                                                                         \
		const struct ct_stats *s = (from);                                                 \
		uint64_t before = (expression);                                                    \
		s = (to);                                                                          \
		audit_between(before, (expression));                                               \
	})

#define COUNTER(key) s->counters.key

/*
 * A count that rises and falls, read before the walk that it is compared with: since then it can
 * have risen by as many as came, and fallen by as many as went.
 */
static struct audit_range gauge(uint64_t value, struct audit_range came, struct audit_range went)
{
	return (struct audit_range){ value - (went.most - went.least),
				     value + (came.most - came.least) };
}

void audit_count(struct audit_counted *c, const struct ct_source *source, uint64_t flows)
{
	const uint8_t *byte = (const uint8_t *)source;
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*source); i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	c->flows += flows;
	c->mixed += hash * flows;
}

static bool same_counted(const struct audit_counted *a, const struct audit_counted *b)
{
	return a->flows == b->flows && a->mixed == b->mixed;
}

/*
 * How many flows become assured nobody counts, so there is no range: figures of a table in which
 * flows came, went or were counted out meanwhile prove nothing.
 */
static enum audit_seen judge_sources(const struct audit_reading *r)
{
	const struct ct_stats *one = &r->before, *two = &r->between;
	const struct audit_counted *sources = &r->sources[0];

	if (same_counted(sources, &r->counted) && same_counted(sources, &r->sources[1]))
		return AUDIT_EQUAL;
	if (one->counters.confirmed != two->counters.confirmed ||
	    one->counters.destroyed != two->counters.destroyed ||
	    !same_counted(sources, &r->sources[1]))
		return AUDIT_OVERLAP;
	return sources->flows < r->counted.flows ? AUDIT_LESS : AUDIT_MORE;
}

enum audit_seen audit_judge(const struct audit_reading *r, enum audit_id id)
{
	const struct ct_stats *one = &r->before, *two = &r->between, *three = &r->after;
	struct audit_range left, right;

	switch (id) {
	case AUDIT_CREATED:
		left = BETWEEN(two, three, COUNTER(created));
		right = audit_sum(BETWEEN(two, three, decided(s)), audit_exactly(r->unconfirmed));
		break;
	case AUDIT_CONFIRMED:
		left = BETWEEN(one, two, COUNTER(confirmed));
		right = audit_sum(BETWEEN(one, two, COUNTER(destroyed)), audit_exactly(r->flows));
		break;
	case AUDIT_ENDS:
		left = BETWEEN(one, three, COUNTER(destroyed));
		right = BETWEEN(one, three, ends(s));
		break;
	case AUDIT_EVICTED:
		left = BETWEEN(one, three, COUNTER(evicted));
		right = BETWEEN(one, three, s->ends.evicted);
		break;
	case AUDIT_DROPPED:
		left = BETWEEN(one, three, refused(s));
		right = BETWEEN(one, three, COUNTER(dropped_unconfirmed));
		/* Others are, too: flows that ended, or whose first packets were two. */
		return audit_compare(left, right) == AUDIT_MORE ? AUDIT_MORE : AUDIT_EQUAL;
	case AUDIT_CLASSES:
		left = BETWEEN(one, three, PACKETS(invalid) + PACKETS(untracked));
		right = BETWEEN(one, three, reasons(s));
		break;
	case AUDIT_FLOWS:
		left = gauge(r->flows_gauge, BETWEEN(one, two, COUNTER(confirmed)),
			     BETWEEN(one, two, COUNTER(destroyed)));
		right = audit_exactly(r->flows + r->dying);
		break;
	case AUDIT_UNCONFIRMED:
		left = gauge(r->unconfirmed_gauge, BETWEEN(two, three, COUNTER(created)),
			     BETWEEN(two, three, decided(s)));
		right = audit_exactly(r->unconfirmed + r->unconfirmed_dead);
		break;
	case AUDIT_SOURCES:
		return judge_sources(r);
	default:
		return AUDIT_EQUAL;
	}
	return audit_compare(left, right);
}

/* --- for eyes and for programs ---------------------------------------------------------------- */

/* Every equation's figures, once: FIGURE(key, sign in front of it, value). */
static void figures(const struct audit_reading *r, enum audit_id id,
		    void (*each)(const char *key, const char *sign, uint64_t value, void *arg),
		    void *arg)
{
	const struct ct_stats *s = &r->after;

	switch (id) {
	case AUDIT_CREATED:
		each("created", "", COUNTER(created), arg);
		each("confirmed", "=", COUNTER(confirmed), arg);
		each("dropped", "+", COUNTER(dropped_unconfirmed), arg);
		each("swept", "+", COUNTER(swept_unconfirmed), arg);
		each("lost", "+", COUNTER(lost_unconfirmed), arg);
		each("unconfirmed", "+", r->unconfirmed, arg);
		break;
	case AUDIT_CONFIRMED:
		s = &r->between;
		each("confirmed", "", COUNTER(confirmed), arg);
		each("flows", "=", r->flows, arg);
		each("destroyed", "+", COUNTER(destroyed), arg);
		break;
	case AUDIT_ENDS:
		each("destroyed", "", COUNTER(destroyed), arg);
#define X(id, name, help) each(#name, CT_END_##id == 1 ? "=" : "+", s->ends.name, arg);
		CT_ENDS(X)
#undef X
		break;
	case AUDIT_EVICTED:
		each("evicted", "", COUNTER(evicted), arg);
		each("reason_evicted", "=", s->ends.evicted, arg);
		break;
	case AUDIT_DROPPED:
		each("clash_resolved", "", COUNTER(clash_resolved), arg);
		each("insert_failed", "+", COUNTER(insert_failed), arg);
		each("untracked_full", "+", COUNTER(untracked_full), arg);
		each("table_full", "+", COUNTER(drop_table_full), arg);
		each("untracked_source", "+", COUNTER(untracked_source), arg);
		each("source", "+", COUNTER(drop_source), arg);
		each("dropped", "<=", COUNTER(dropped_unconfirmed), arg);
		break;
	case AUDIT_CLASSES:
		each("invalid", "", PACKETS(invalid), arg);
		each("untracked", "+", PACKETS(untracked), arg);
		each("reasons", "=", reasons(s), arg);
		break;
	case AUDIT_FLOWS:
		each("counter", "", r->flows_gauge, arg);
		each("flows", "=", r->flows, arg);
		each("dying", "+", r->dying, arg);
		break;
	case AUDIT_UNCONFIRMED:
		each("counter", "", r->unconfirmed_gauge, arg);
		each("unconfirmed", "=", r->unconfirmed, arg);
		each("dead", "+", r->unconfirmed_dead, arg);
		break;
	case AUDIT_SOURCES:
		each("counts", "", r->sources[1].flows, arg);
		each("counted", "=", r->counted.flows, arg);
		break;
	default:
		break;
	}
}

struct writing {
	char *text;
	size_t size, at;
};

static void write_figure(const char *key, const char *sign, uint64_t value, void *arg)
{
	struct writing *w = arg;
	int n;

	if (w->at >= w->size)
		return;
	n = snprintf(w->text + w->at, w->size - w->at, "%s%s%s%s %" PRIu64, w->at ? " " : "", sign,
		     *sign ? " " : "", key, value);
	w->at += n > 0 ? (size_t)n : 0;
}

void audit_write(const struct audit_reading *r, enum audit_id id, char *text, size_t size)
{
	struct writing w = { text, size, 0 };

	*text = '\0';
	figures(r, id, write_figure, &w);
	if (w.at < size && audit_judge(r, id) == AUDIT_OVERLAP)
		snprintf(text + w.at, size - w.at, ", while packets went on");
}

struct handing {
	audit_figure_fn *each;
	void *arg;
};

static void hand_figure(const char *key, const char *sign, uint64_t value, void *arg)
{
	const struct handing *h = arg;

	(void)sign;
	h->each(key, value, h->arg);
}

void audit_figures(const struct audit_reading *r, enum audit_id id, audit_figure_fn *each,
		   void *arg)
{
	struct handing h = { each, arg };

	figures(r, id, hand_figure, &h);
}
