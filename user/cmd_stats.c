// SPDX-License-Identifier: GPL-2.0-only
/* stats: every counter, once or again and again with rates. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "log.h"
#include "mapped.h"
#include "opts.h"
#include "out.h"

static const struct opt stats_options[] = {
	{ 'i', "interval", "SECONDS", NULL, "again every so many seconds, with rates" },
	{ 0 },
};

/* Where the numbers are. */
struct sources {
	const struct instance *in;
	int stats;
	int cpus;
	void *per_cpu; /* room for the value of every CPU */
	struct ct_state *state;
	struct ct_listeners *listeners;
	struct ct_settings *settings;
};

/* The numbers at one moment. */
struct sample {
	uint64_t time_ns;
	uint64_t flows, unconfirmed, max;
	uint64_t delivered, lost;
	uint64_t gc_runs, gc_scanned, gc_expired, gc_last_ns;
	struct ct_stats sum;
};

/* --- reading ---------------------------------------------------------------------------------- */

static void sources_close(struct sources *s)
{
	if (s->stats >= 0)
		close(s->stats);
	free(s->per_cpu);
	mapped_release(s->state, sizeof(*s->state));
	mapped_release(s->listeners, sizeof(*s->listeners));
	mapped_release(s->settings, sizeof(*s->settings));
}

/* 0 or 1, reported. */
static int sources_open(struct sources *s, const struct instance *in)
{
	*s = (struct sources){ .in = in, .stats = instance_need(in, "stats") };
	if (s->stats < 0)
		return 1;
	s->cpus = libbpf_num_possible_cpus();
	if (s->cpus < 1)
		return fail(strerror(-s->cpus), NULL, "the number of CPUs");
	s->per_cpu = calloc((size_t)s->cpus, sizeof(struct ct_stats));
	if (!s->per_cpu)
		return fail(strerror(errno), NULL, "counters");
	/* One by one: when one is missing, so may be the others, and one line says it. */
	s->state = mapped(in, "state", sizeof(*s->state));
	s->listeners = s->state ? mapped(in, "listener_state", sizeof(*s->listeners)) : NULL;
	s->settings = s->listeners ? mapped(in, "settings", sizeof(*s->settings)) : NULL;
	return !s->settings;
}

_Static_assert(sizeof(struct ct_stats) % 8 == 0, "the kernel pads each CPU's value to 8 bytes");

/* A counter is a counter, whatever its name: add them up as numbers. */
static void add_stats(struct ct_stats *sum, const struct ct_stats *stats)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)stats;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static uint64_t load(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* 0 or 1, reported. */
static int take_sample(const struct sources *s, struct sample *now)
{
	const struct ct_stats *cpu = s->per_cpu;
	uint32_t zero = 0;
	struct timespec t;

	memset(now, 0, sizeof(*now));
	if (bpf_map_lookup_elem(s->stats, &zero, s->per_cpu))
		return fail(strerror(errno), NULL, "the counters can't be read");
	if (mapped_renew(s->in, "state", s->state, sizeof(*s->state)) ||
	    mapped_renew(s->in, "listener_state", s->listeners, sizeof(*s->listeners)) ||
	    mapped_renew(s->in, "settings", s->settings, sizeof(*s->settings)))
		return 1;
	for (int i = 0; i < s->cpus; i++)
		add_stats(&now->sum, &cpu[i]);
	for (int i = 0; i < CT_LISTENERS; i++) {
		now->delivered += load(&s->listeners->slot[i].delivered);
		now->lost += load(&s->listeners->slot[i].lost);
	}
	now->flows = load(&s->state->flows);
	now->unconfirmed = load(&s->state->unconfirmed);
	now->max = __atomic_load_n(&s->settings->knob.max, __ATOMIC_RELAXED);
	now->gc_runs = load(&s->state->gc_runs);
	now->gc_scanned = load(&s->state->gc_scanned);
	now->gc_expired = load(&s->state->gc_expired);
	now->gc_last_ns = load(&s->state->gc_last_ns);
	clock_gettime(CLOCK_MONOTONIC, &t);
	now->time_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	return 0;
}

/* --- showing ---------------------------------------------------------------------------------- */

/*
 * One walk over the counters serves three outputs: the text, with a rate behind each counter when
 * there is a sample before; the JSON object; and the JSON object of the rates.
 */
struct view {
	struct out out;
	const struct sample *now, *before; /* before: NULL the first time */
	double seconds;                    /* between the two */
	bool rates;                        /* JSON: rates in place of totals */
	bool all;                          /* text: also counters that are zero */
};

/* Per second, since the sample before. Listeners come and go, so a sum may fall: no rate then. */
static double rate(const struct view *v, uint64_t now, uint64_t before)
{
	return now > before && v->seconds > 0 ? (double)(now - before) / v->seconds : 0;
}

/* A number that is what it is: a level, not a count. */
static void gauge(struct view *v, const char *key, uint64_t value, const char *help)
{
	if (!v->rates)
		out_u64(&v->out, key, value, help);
}

static void counter(struct view *v, const char *key, uint64_t now, uint64_t before,
		    const char *help)
{
	double per_second = v->before ? rate(v, now, before) : 0;
	char text[160];

	if (v->rates) {
		json_fixed(&v->out.writer, key, (uint64_t)(per_second * 10 + 0.5), 1);
		return;
	}
	if (!v->out.json && per_second > 0) {
		snprintf(text, sizeof(text), "%12.1f/s  %s", per_second, help);
		help = text;
	}
	out_u64(&v->out, key, now, help);
}

/* The counter at `now`, and where it was in the sample before. */
#define COUNTER(v, key, field, help)                                                               \
	counter(v, key, (v)->now->field, (v)->before ? (v)->before->field : 0, help)

static const struct row {
	const char *key, *help;
	unsigned int class; /* of a reason: enum ct_class */
} class_rows[CT_CLASS_MAX] = {
#define X(id, key, help) [CT_##id] = { #key, help, 0 },
	CT_CLASSES(X)
#undef X
}, reason_rows[CT_R_MAX] = {
#define X(id, class, key, help) [CT_R_##id] = { #key, help, CT_##class },
	CT_REASONS(X)
#undef X
}, end_rows[CT_END_MAX] = {
#define X(id, name, help) [CT_END_##id] = { #name, help, 0 },
	CT_ENDS(X)
#undef X
}, counter_rows[CT_C_MAX] = {
#define X(id, key, help) [CT_C_##id] = { #key, help, 0 },
	CT_LIFECYCLE(X)
	CT_DROPS(X)
#undef X
};

static const char *const side_names[CT_SIDES] = {
#define X(id, name) [CT_##id] = #name,
	CT_HOOK_SIDES(X)
#undef X
};

/* The first of the drops: CT_LIFECYCLE is in front of them in enum ct_counter. */
enum {
#define X(id, key, help) FIRST_##id,
	CT_LIFECYCLE(X)
#undef X
	FIRST_DROP,
};

/* A counter of the sum at `now`; it has the same place in that of the sample before. */
static void show_row(struct view *v, const struct row *row, const __u64 *now)
{
	const __u64 *before = v->before ? (const __u64 *)&v->before->sum : NULL;

	counter(v, row->key, *now, before ? before[now - (const __u64 *)&v->now->sum] : 0,
		row->help);
}

static void show_packets(struct view *v)
{
	out_group(&v->out, "packets");
	for (int side = 0; side < CT_SIDES; side++) {
		out_group(&v->out, side_names[side]);
		for (int i = 0; i < CT_CLASS_MAX; i++)
			show_row(v, &class_rows[i], &CT_PACKETS_OF(&v->now->sum)[side][i]);
		out_group_end(&v->out);
	}
	out_group_end(&v->out);
}

static void show_counters(struct view *v, const char *group, int from, int to)
{
	out_group(&v->out, group);
	for (int i = from; i < to; i++)
		show_row(v, &counter_rows[i], &CT_COUNTER_OF(&v->now->sum)[i]);
	out_group_end(&v->out);
}

/* The reasons of one class; in text only those that have occurred, for there are many. */
static void show_reasons(struct view *v, const char *group, enum ct_class class)
{
	bool any = v->out.json || v->all;

	for (int i = 1; i < CT_R_MAX; i++)
		any |= reason_rows[i].class == class && CT_REASON_OF(&v->now->sum)[i];
	if (!any)
		return;
	out_group(&v->out, group);
	for (int i = 1; i < CT_R_MAX; i++)
		if (reason_rows[i].class == class &&
		    (v->out.json || v->all || CT_REASON_OF(&v->now->sum)[i]))
			show_row(v, &reason_rows[i], &CT_REASON_OF(&v->now->sum)[i]);
	out_group_end(&v->out);
}

static void show_ends(struct view *v)
{
	out_group(&v->out, "ends");
	for (int i = 1; i < CT_END_MAX; i++)
		show_row(v, &end_rows[i], &CT_END_OF(&v->now->sum)[i]);
	out_group_end(&v->out);
}

static void show_events(struct view *v)
{
	out_group(&v->out, "events");
	COUNTER(v, "delivered", delivered, "records that listeners got");
	COUNTER(v, "lost", lost, "records that found no room in a listener's ring");
	out_group_end(&v->out);
}

static void show_gc(struct view *v)
{
	out_group(&v->out, "gc");
	COUNTER(v, "runs", gc_runs, "of the sweep");
	COUNTER(v, "scanned", gc_scanned, "entries it looked at");
	COUNTER(v, "expired", gc_expired, "entries it took out");
	gauge(v, "last_ns", v->now->gc_last_ns, "ns that the last run took");
	out_group_end(&v->out);
}

static void show_all(struct view *v)
{
	gauge(v, "flows", v->now->flows, "in the table");
	gauge(v, "max", v->now->max, "that it may hold");
	gauge(v, "unconfirmed", v->now->unconfirmed, "between in and confirm");
	show_packets(v);
	show_counters(v, "dropped", FIRST_DROP, CT_C_MAX);
	show_reasons(v, "invalid", CT_INVALID);
	show_reasons(v, "untracked", CT_UNTRACKED);
	show_counters(v, "lifecycle", 0, FIRST_DROP);
	show_ends(v);
	show_events(v);
	show_gc(v);
}

/* Everything at one moment; `before` is the sample before, or NULL. */
static void show_sample(const struct sample *now, const struct sample *before, bool json)
{
	struct view v = { .now = now, .before = before, .all = log_verbose > 0 };

	if (before)
		v.seconds = (double)(now->time_ns - before->time_ns) / 1e9;
	out_begin(&v.out, json);
	show_all(&v);
	if (json && before) {
		json_fixed(&v.out.writer, "interval", (uint64_t)(v.seconds * 1e3 + 0.5), 3);
		out_group(&v.out, "rates");
		v.rates = true;
		show_all(&v);
		out_group_end(&v.out);
	}
	out_end(&v.out);
}

/* --- the command ------------------------------------------------------------------------------ */

/* Once, or until the process is ended or nobody reads. */
static int show_stats(const struct sources *s, double interval, bool json)
{
	struct timespec next;
	struct sample sample[2];
	int current = 0, err = take_sample(s, &sample[0]);

	if (err)
		return err;
	show_sample(&sample[0], NULL, json);
	clock_gettime(CLOCK_MONOTONIC, &next);
	while (interval > 0 && !fflush(stdout)) {
		uint64_t ns = (uint64_t)next.tv_nsec + (uint64_t)(interval * 1e9);

		next.tv_sec += (time_t)(ns / 1000000000);
		next.tv_nsec = (long)(ns % 1000000000);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
		current = !current;
		err = take_sample(s, &sample[current]);
		if (err)
			return err;
		if (!json)
			putchar('\n');
		show_sample(&sample[current], &sample[!current], json);
	}
	return 0;
}

int cmd_stats(struct instance *in, int argc, char **argv)
{
	unsigned int formats = 0;
	double interval = 0;
	struct sources s;
	struct opts o;
	int id, code;

	opts_init(&o, argc, argv, stats_options, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0) {
		if (id == 'o' && out_parse(o.value, OUT_JSON, &formats))
			return 2;
		if (id == 'i' && !seconds_parse(o.value, &interval))
			return usage_error("not a number of seconds from 0.1 to 86400",
					   "--interval %s", o.value);
	}
	if (id < 0)
		return o.exit;
	if (opts_no_arguments(&o))
		return 2;
	if (instance_open(in))
		return 1;
	code = sources_open(&s, in);
	if (!code)
		code = show_stats(&s, interval, formats & OUT_JSON);
	sources_close(&s);
	return code;
}
