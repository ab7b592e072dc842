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
	t->get = t->delete = t->flush = t->change = t->create = t->restore = t->state = -1;
	if ((t->select = instance_need(in, "progs/ct_ctl_select")) < 0 ||
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
	int fds[] = { t->select, t->get,    t->delete,  t->flush,
		      t->change, t->create, t->restore, t->state };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A program that few commands need. 0 or -errno; -ENOENT is kept for flows that are not there. */
static int need(struct table *t, int *prog, const char *name)
{
	if (*prog < 0)
		*prog = instance_fd(t->in, name);
	if (*prog == -ENOENT)
		return -ENOSYS;
	return *prog < 0 ? *prog : 0;
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

/*
 * What a walk came to that was asked to begin at slot `first`: where to go on. One that is still there
 * has met an entry that is owned; after a while it goes without.
 */
static __u32 go_on(const struct ct_ctl *m, __u32 first, unsigned int *waited)
{
	if (m->first != first || m->count || m->full) {
		*waited = 0;
		return m->first;
	}
	if (++*waited < WALK_WAIT_MS) {
		pause_ms();
		return first;
	}
	*waited = 0;
	return first + 1;
}

int table_next(struct table *t, struct table_walk *walk)
{
	struct ct_ctl *m = &walk->asked.m;
	size_t size = offsetof(typeof(walk->asked), flows);
	int more;

	if (walk->asked.r.action == CT_ACTION_DUMP)
		size = sizeof(walk->asked);
	*m = (struct ct_ctl){ .family = walk->family, .first = walk->first, .full = walk->all };
	more = control(t, t->select, m, size);
	if (more < 0)
		return more;
	if (more > 1 || (size == sizeof(walk->asked) && m->count > CT_DUMP_FLOWS))
		return -EIO;
	if (more) {
		walk->first = go_on(m, walk->first, &walk->waited);
	} else {
		walk->first = walk->waited = 0;
		walk->done = ++walk->family == 2;
	}
	return (int)m->count;
}

int table_each(struct table *t, const struct ct_filter *filter, table_each_fn *each, void *arg)
{
	struct table_walk walk = { .asked.r = { .filter = *filter, .action = CT_ACTION_DUMP } };

	while (!walk.done) {
		int n = table_next(t, &walk);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			if (!each(&walk.asked.flows[i], &t->clock, arg))
				return 0;
	}
	return 0;
}

long table_count_matching(struct table *t, const struct ct_filter *filter)
{
	struct table_walk walk = { .asked.r = { .filter = *filter, .action = CT_ACTION_COUNT } };
	long count = 0;

	while (!walk.done) {
		int n = table_next(t, &walk);

		if (n < 0)
			return n;
		count += n;
	}
	return count;
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

/* Run a program that changes flows over both tables, on a message of `size` bytes. */
static long change_flows(struct table *t, int prog, struct ct_ctl *m, size_t size, enum ct_end reason)
{
	struct patience patience = {};
	long n = 0;
	int more;

	for (int family = 0; family < 2; family++) {
		unsigned int tries = 0;
		__u32 first = 0;

		do {
			/* Once the patience is spent, events that find no room are counted as lost. */
			m->family = (__u8)family;
			m->first = first;
			m->reason = (__u8)reason;
			m->full = patience.over;
			more = control(t, prog, m, size);
			if (more < 0)
				return more;
			if (more > 1)
				return -EIO;
			n += m->count;
			if (m->full)
				patience_wait(&patience);
			else
				patience_go_on(&patience);
			first = go_on(m, first, &tries);
		} while (more);
	}
	return n;
}

long table_flush(struct table *t, enum ct_end reason)
{
	struct ct_ctl m = {};

	return change_flows(t, t->flush, &m, sizeof(m), reason);
}

long table_change(struct table *t, const struct ct_request *what, enum ct_end reason)
{
	struct {
		struct ct_ctl m;
		struct ct_request r;
	} a = { .r = *what };
	int err = need(t, &t->change, "progs/ct_ctl_change");

	return err ? err : change_flows(t, t->change, &a.m, sizeof(a), reason);
}

int table_update(struct table *t, const struct ct_tuple *tuple, const struct ct_request *what)
{
	struct {
		struct ct_ctl m;
		struct ct_request r;
	} a = { .m.flow.tuple = *tuple, .r = *what };
	int ret = need(t, &t->change, "progs/ct_ctl_change");

	if (!ret)
		ret = control(t, t->change, &a.m, sizeof(a));
	return ret > 0 ? -ret : ret;
}

int table_create(struct table *t, const struct ct_flow *flow, uint32_t timeout)
{
	struct ct_ctl m = { .flow = *flow, .first = timeout };
	int ret = need(t, &t->create, "progs/ct_ctl_create");

	if (!ret)
		ret = control(t, t->create, &m, sizeof(m));
	return ret > 0 ? -ret : ret;
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
	struct {
		struct ct_ctl m;
		struct ct_flow flows[CT_DUMP_FLOWS];
	} d = { .m = { .count = n, .full = r->patience.over } };
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
