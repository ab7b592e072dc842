// SRC: user/audit.c
// SPDX-License-Identifier: GPL-2.0-only
/* Figures of an instance that agree, that may agree, and that do not. */
#include "audit.h"
#include "check.h"

#include <string.h>

/* An instance at rest where everything holds: 100 opened, 70 confirmed, 40 of these destroyed. */
static struct audit_reading sound(void)
{
	struct audit_reading r = {
		.flows_gauge = 30, .flows = 30, .unconfirmed_gauge = 5, .unconfirmed = 5
	};
	struct ct_stats *s = &r.before;

	s->counters.created = 100;
	s->counters.confirmed = 70;
	s->counters.dropped_unconfirmed = 15;
	s->counters.swept_unconfirmed = 8;
	s->counters.lost_unconfirmed = 2;
	s->counters.destroyed = 40;
	s->counters.evicted = 10;
	s->counters.clash_resolved = 3;
	s->counters.untracked_full = 4;
	s->ends.timeout = 30;
	s->ends.evicted = 10;
	s->packets.ingress.invalid = 5;
	s->packets.egress.untracked = 2;
	s->reasons.tcp_flags = 5;
	s->reasons.nd = 2;
	r.between = r.after = r.before;
	return r;
}

/* The equations that do not hold, by name. */
static const char *broken(const struct audit_reading *r)
{
	static char names[256];

	names[0] = '\0';
	for (int id = 0; id < AUDIT_EQUATIONS; id++) {
		enum audit_seen seen = audit_judge(r, id);

		if (seen == AUDIT_LESS || seen == AUDIT_MORE)
			sprintf(names + strlen(names), "%s%s", *names ? " " : "", audit_names[id]);
	}
	return names;
}

static void count(struct audit_reading *r, enum ct_counter id, int n)
{
	struct ct_stats *all[] = { &r->before, &r->between, &r->after };

	for (int i = 0; i < 3; i++)
		((__u64 *)&all[i]->counters)[id] += (__u64)n;
}

// At rest every equation is exact.
TEST(at_rest)
{
	struct audit_reading r = sound();

	CHECK_STR(broken(&r), "");
	for (int id = 0; id < AUDIT_EQUATIONS; id++)
		CHECK_EQ(audit_judge(&r, id), AUDIT_EQUAL);
}

// A flow or a count too few or too many is found wherever it is, by one.
TEST(one_off)
{
	static const struct {
		enum ct_counter counter;
		const char *more, *less;
	} rows[] = {
		{ CT_C_CREATED, "created", "created" },
		{ CT_C_CONFIRMED, "created confirmed", "created confirmed" },
		{ CT_C_DROPPED_UNCONFIRMED, "created", "created" },
		{ CT_C_SWEPT_UNCONFIRMED, "created", "created" },
		{ CT_C_LOST_UNCONFIRMED, "created", "created" },
		{ CT_C_DESTROYED, "confirmed ends", "confirmed ends" },
		{ CT_C_EVICTED, "evicted", "evicted" },
	};
	struct audit_reading r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = sound();
		count(&r, rows[i].counter, 1);
		CHECK_STR(broken(&r), rows[i].more);
		r = sound();
		count(&r, rows[i].counter, -1);
		CHECK_STR(broken(&r), rows[i].less);
	}
	r = sound();
	r.flows++;
	CHECK_STR(broken(&r), "confirmed flows");
	r = sound();
	r.dying++; /* it is not deleted yet, so it is not in the count that packets go by either */
	CHECK_STR(broken(&r), "flows");
	r.flows_gauge++;
	CHECK_STR(broken(&r), "");
	r = sound();
	r.unconfirmed--;
	CHECK_STR(broken(&r), "created unconfirmed");
	r = sound();
	r.unconfirmed_dead++;
	CHECK_STR(broken(&r), "unconfirmed");
}

// New flows that are refused are among those dropped; there may be more of these, not fewer.
TEST(dropped)
{
	struct audit_reading r = sound();

	count(&r, CT_C_INSERT_FAILED, 8);
	CHECK_STR(broken(&r), "");
	count(&r, CT_C_DROP_TABLE_FULL, 1);
	CHECK_STR(broken(&r), "dropped");
}

// While flows come and go the count may fall anywhere between; beyond that it is wrong.
TEST(under_load)
{
	struct audit_reading r = sound();

	/* While the table is walked 20 are confirmed and 7 destroyed. */
	r.between.counters.created += 20;
	r.between.counters.confirmed += 20;
	r.between.counters.destroyed += 7;
	r.between.ends.timeout += 7;
	r.after = r.between;
	for (int flows = 23; flows <= 50; flows++) {
		r.flows = (uint64_t)flows;
		CHECK_STR(broken(&r), "");
		CHECK_EQ(audit_judge(&r, AUDIT_CONFIRMED), AUDIT_OVERLAP);
	}
	r.flows = 22;
	CHECK_STR(broken(&r), "confirmed flows");
	CHECK_EQ(audit_judge(&r, AUDIT_CONFIRMED), AUDIT_MORE);
	r.flows = 51;
	CHECK_STR(broken(&r), "confirmed flows");
	CHECK_EQ(audit_judge(&r, AUDIT_CONFIRMED), AUDIT_LESS);
}

// Likewise the unconfirmed, which are counted after the table.
TEST(under_load_unconfirmed)
{
	struct audit_reading r = sound();

	r.after.counters.created += 10;
	r.after.counters.confirmed += 6;
	for (int n = 0; n <= 15; n++) {
		r.unconfirmed = (uint64_t)n;
		CHECK_STR(broken(&r), "");
	}
	r.unconfirmed = 16;
	CHECK_STR(broken(&r), "created unconfirmed");
}

// Counts by source: as many flows as say so, and of the same sources; while flows come and go nobody can tell.
TEST(sources)
{
	const struct ct_source a = { .addr.ip = 1, .family = CT_IPV4 }, b = { .addr.ip = 2, .family = CT_IPV4 };
	struct audit_reading r = sound(), load;

	for (int i = 0; i < 2; i++) {
		audit_count(&r.sources[i], &a, 3);
		audit_count(&r.sources[i], &b, 1);
	}
	for (int i = 0; i < 3; i++)
		audit_count(&r.counted, &a, 1);
	CHECK_STR(broken(&r), "sources");
	CHECK_EQ(audit_judge(&r, AUDIT_SOURCES), AUDIT_MORE);
	audit_count(&r.counted, &b, 1);
	CHECK_STR(broken(&r), "");
	CHECK_EQ(audit_judge(&r, AUDIT_SOURCES), AUDIT_EQUAL);
	load = r;
	audit_count(&load.counted, &b, 1);
	CHECK_EQ(audit_judge(&load, AUDIT_SOURCES), AUDIT_LESS);
	/* A flow came meanwhile, or one went, or was counted out. */
	load.between.counters.confirmed++;
	CHECK_EQ(audit_judge(&load, AUDIT_SOURCES), AUDIT_OVERLAP);
	load.between.counters.confirmed--;
	load.between.counters.destroyed++;
	CHECK_EQ(audit_judge(&load, AUDIT_SOURCES), AUDIT_OVERLAP);
	load.between.counters.destroyed--;
	audit_count(&load.sources[1], &a, -1ULL);
	CHECK_EQ(audit_judge(&load, AUDIT_SOURCES), AUDIT_OVERLAP);
	/* The sum is right, and one of them too high. */
	load = r;
	load.counted = (struct audit_counted){};
	audit_count(&load.counted, &a, 2);
	audit_count(&load.counted, &b, 2);
	CHECK_STR(broken(&load), "sources");
}

// Counters wrap: what has just done so is no less equal.
TEST(wrapped)
{
	struct audit_reading r = sound();

	count(&r, CT_C_CREATED, -100);
	count(&r, CT_C_LOST_UNCONFIRMED, -100);
	CHECK_STR(broken(&r), "");
}

// The equation is written out with its figures, and says if it is of no single moment.
TEST(written)
{
	struct audit_reading r = sound();
	char text[256];

	audit_write(&r, AUDIT_CREATED, text, sizeof(text));
	CHECK_STR(text,
		  "created 100 = confirmed 70 + dropped 15 + swept 8 + lost 2 + unconfirmed 5");
	audit_write(&r, AUDIT_CONFIRMED, text, sizeof(text));
	CHECK_STR(text, "confirmed 70 = flows 30 + destroyed 40");
	r.between.counters.confirmed++;
	audit_write(&r, AUDIT_CONFIRMED, text, sizeof(text));
	CHECK_STR(text, "confirmed 71 = flows 30 + destroyed 40, while packets went on");
	audit_write(&r, AUDIT_CREATED, text, 12);
	CHECK_STR(text, "created 100");
}

CHECK_MAIN()
