// SPDX-License-Identifier: GPL-2.0-only
#include "table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/tuple.h"

/*
 * Who ends or enters many flows waits this long for listeners that take no event, and so long in
 * all for some that take few; then goes on without them.
 */
#define PATIENCE_MS 2000
#define WAIT_MS     10000

/*
 * A walk waits so long for a flow that somebody owns: nobody does for more than some microseconds, unless his
 * virtual CPU is taken away meanwhile.
 */
#define WALK_WAIT_MS 200

int table_open(struct table *t, const struct instance *in)
{
	memset(t, 0, sizeof(*t));
	t->in = in;
	t->get = t->delete = t->flush = t->restore = t->state = -1;
	if ((t->dump = instance_need(in, "progs/ct_ctl_dump")) < 0 ||
	    (t->get = instance_need(in, "progs/ct_ctl_get")) < 0 ||
	    (t->state = instance_need(in, "state")) < 0 ||
	    (!in->reads && ((t->delete = instance_need(in, "progs/ct_ctl_delete")) < 0 ||
			    (t->flush = instance_need(in, "progs/ct_ctl_flush")) < 0))) {
		table_close(t);
		return 1;
	}
	return 0;
}

void table_close(struct table *t)
{
	int fds[] = { t->dump, t->get, t->delete, t->flush, t->restore, t->state };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Run a control program on a message of `size` bytes. What it returned, or -errno. */
static int control(struct table *t, int prog, struct ct_ctl *m, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = m, .data_size_in = size, .data_out = m,
		    .data_size_out = size);

	if (bpf_prog_test_run_opts(prog, &run))
		return -errno;
	if (m->now)
		clock_at(&t->clock, m->now, m->now_ns);
	return (int)run.retval;
}

static void pause_ms(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	nanosleep(&pause, NULL);
}

int table_next(struct table *t, struct table_walk *walk)
{
	struct ct_ctl *m = &walk->dump.m;
	int ret;

	*m = (struct ct_ctl){ .family = walk->family, .first = walk->first, .full = walk->all };
	ret = control(t, t->dump, m, sizeof(walk->dump));
	if (ret < 0)
		return ret;
	if (ret > 1 || m->count > CT_DUMP_FLOWS)
		return -EIO;
	if (!ret) {
		walk->first = walk->waited = 0;
		walk->done = ++walk->family == 2;
	} else if (m->first != walk->first) {
		walk->first = m->first;
		walk->waited = 0;
	} else if (++walk->waited < WALK_WAIT_MS) {
		pause_ms();
	} else {
		walk->first++;
		walk->waited = 0;
	}
	return (int)m->count;
}

int table_each(struct table *t, table_each_fn *each, void *arg)
{
	struct table_walk walk = {};

	while (!walk.done) {
		int n = table_next(t, &walk);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			if (!each(&walk.dump.flows[i], &t->clock, arg))
				return 0;
	}
	return 0;
}

int table_get(struct table *t, const struct ct_tuple *tuple, struct ct_flow *flow)
{
	struct ct_ctl m = { .flow.tuple = *tuple };
	int ret = control(t, t->get, &m, sizeof(m));

	if (!ret)
		*flow = m.flow;
	return ret > 0 ? -ret : ret;
}

int table_delete(struct table *t, const struct ct_flow *flow, enum ct_end reason)
{
	struct ct_ctl m = { .flow = *flow, .reason = reason };
	int ret = control(t, t->delete, &m, sizeof(m));

	return ret > 0 ? -ret : ret;
}

static uint64_t now_ms(void)
{
	struct timespec ts = {};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A listener has no room for what is to come: wait a little, and see whether that was all. */
static void patience_wait(struct patience *p)
{
	if (!p->since)
		p->since = now_ms();
	pause_ms();
	p->over = now_ms() - p->since >= PATIENCE_MS || p->waited + now_ms() - p->since >= WAIT_MS;
}

/* It has. */
static void patience_go_on(struct patience *p)
{
	if (p->since)
		p->waited += now_ms() - p->since;
	p->since = 0;
}

long table_flush(struct table *t, enum ct_end reason)
{
	struct patience p = {};
	int more;
	long n = 0;

	for (int family = 0; family < 2; family++) {
		__u32 first = 0;

		do {
			/* Once the patience is spent, events that find no room are counted as lost. */
			struct ct_ctl m = { .family = family, .first = first, .reason = reason,
					    .full = p.over };

			more = control(t, t->flush, &m, sizeof(m));
			if (more < 0)
				return more;
			if (more > 1)
				return -EIO;
			n += m.count;
			first = m.first;
			if (m.full)
				patience_wait(&p);
			else
				patience_go_on(&p);
		} while (more);
	}
	return n;
}

int table_restore_open(struct table *t)
{
	t->restore = instance_need(t->in, "progs/ct_ctl_restore");
	return t->restore < 0;
}

/* The first of these flows, as many as listeners have room for, or all. How many, or -errno. */
static int restore_some(struct table *t, const struct ct_flow *flows, uint32_t n,
			struct restored *r)
{
	struct dump d = { .m = { .count = n, .full = r->patience.over } };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &d, .data_out = &d.m,
		    .data_size_in = (__u32)(sizeof(d.m) + n * sizeof(*flows)),
		    .data_size_out = sizeof(d.m));

	memcpy(d.flows, flows, n * sizeof(*flows));
	/* It hands the packet back whole, which is more than we want: that is no error. */
	if (bpf_prog_test_run_opts(t->restore, &run) && errno != ENOSPC)
		return -errno;
	if (run.retval)
		return -EIO;
	r->entered += d.m.count;
	r->there += d.m.first;
	r->full += d.m.full;
	return (int)(d.m.count + d.m.first + d.m.full);
}

int table_restore(struct table *t, const struct ct_flow *flows, uint32_t n, struct restored *r)
{
	int done;

	for (; n; flows += done, n -= (uint32_t)done) {
		done = restore_some(t, flows, n, r);
		if (done < 0 || (!done && r->patience.over))
			return done ?: -EIO;
		if (done)
			patience_go_on(&r->patience);
		else
			patience_wait(&r->patience);
	}
	return 0;
}

int table_relearn(const struct instance *in)
{
	int prog = instance_fd(in, "progs/ct_ctl_relearn"), more = 0;
	struct table t = {};

	if (prog < 0)
		return prog;
	for (int family = 0; family < 2; family++) {
		__u32 first = 0;

		do {
			struct ct_ctl m = { .family = family, .first = first };

			more = control(&t, prog, &m, sizeof(m));
			first = m.first;
		} while (more == 1);
		if (more)
			break;
	}
	close(prog);
	return more > 0 ? -EIO : more;
}

int table_count(struct table *t, uint64_t *flows)
{
	struct ct_state st;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(t->state, &zero, &st))
		return -errno;
	*flows = st.flows;
	return 0;
}

uint64_t flow_timeout(const struct ct_flow *flow, const struct ct_clock *clock)
{
	uint64_t end = flow->entry.expires;

	return end > clock->ticks ? (end - clock->ticks) / clock->hz : 0;
}

uint32_t flow_id(const struct ct_flow *flow)
{
	uint64_t word = flow->entry.word;

	return (uint32_t)(word >> CT_WORD_HASH_SHIFT) ^ (uint32_t)(word & CT_WORD_GENERATION);
}

void tuple_invert(const struct ct_tuple *tuple, struct ct_tuple *inverse)
{
	ct_tuple_invert(tuple, inverse);
}
