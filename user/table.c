// SPDX-License-Identifier: GPL-2.0-only
#include "table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/tuple.h"

/*
 * A flush waits this long for listeners that take no event, and so long in all for some that take
 * few; then it goes on without them.
 */
#define FLUSH_PATIENCE_MS 2000
#define FLUSH_WAIT_MS     10000
/* So often an entry is tried for that somebody owns; each time takes some 50 us. */
#define BUSY_TRIES 200

/* What ct_ctl_select and ct_ctl_change are asked. */
struct asked {
	struct ct_ctl m;
	struct ct_request r;
	struct ct_flow flows[CT_DUMP_FLOWS];
};

int table_open(struct table *t, const struct instance *in)
{
	memset(t, 0, sizeof(*t));
	t->in = in;
	t->get = t->delete = t->flush = t->change = t->create = t->state = -1;
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
	int fds[] = { t->select, t->get, t->delete, t->flush, t->change, t->create, t->state };

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

/*
 * What a walk came to that was asked to begin at slot `first`: where to go on. One that is still there
 * has met an entry that is owned; after a while it goes without.
 */
static __u32 go_on(const struct ct_ctl *m, __u32 first, unsigned int *tries)
{
	if (m->first != first || m->count || m->full) {
		*tries = 0;
		return m->first;
	}
	if (++*tries < BUSY_TRIES)
		return first;
	*tries = 0;
	return first + 1;
}

/* Called with what each run of ct_ctl_select found; false to end the walk. */
typedef bool found_fn(const struct asked *a, struct table *t, void *arg);

static int select_flows(struct table *t, const struct ct_filter *filter, enum ct_action action,
			found_fn *found, void *arg)
{
	struct asked a;

	memset(&a, 0, sizeof(a));
	a.r.filter = *filter;
	a.r.action = (__u8)action;
	for (int family = 0; family < 2; family++) {
		unsigned int tries = 0;
		__u32 first = 0;
		int more;

		do {
			a.m.family = (__u8)family;
			a.m.first = first;
			more = control(t, t->select, &a.m,
				       action == CT_ACTION_DUMP ? sizeof(a) :
								  sizeof(a.m) + sizeof(a.r));
			if (more < 0)
				return more;
			if (more > 1)
				return -EIO;
			if (!found(&a, t, arg))
				return 0;
			first = go_on(&a.m, first, &tries);
		} while (more);
	}
	return 0;
}

struct each {
	table_each_fn *each;
	void *arg;
};

static bool each_found(const struct asked *a, struct table *t, void *arg)
{
	struct each *e = arg;

	for (__u32 i = 0; i < a->m.count && i < CT_DUMP_FLOWS; i++)
		if (!e->each(&a->flows[i], &t->clock, e->arg))
			return false;
	return true;
}

int table_each(struct table *t, const struct ct_filter *filter, table_each_fn *each, void *arg)
{
	struct each e = { each, arg };

	return select_flows(t, filter, CT_ACTION_DUMP, each_found, &e);
}

static bool add_found(const struct asked *a, struct table *t, void *arg)
{
	(void)t;
	*(long *)arg += a->m.count;
	return true;
}

long table_count_matching(struct table *t, const struct ct_filter *filter)
{
	long n = 0;
	int err = select_flows(t, filter, CT_ACTION_COUNT, add_found, &n);

	return err ? err : n;
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

/* How long a walk has waited for listeners. */
struct patience {
	uint64_t waited, since; /* ms in all; when this wait began, 0: it has not */
	bool spent;             /* events that find no room are counted as lost from here on */
};

/* `full`: the walk stopped because some listener has no room. */
static void wait_for_room(struct patience *p, bool full)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	if (full) {
		if (!p->since)
			p->since = now_ms();
		nanosleep(&pause, NULL);
		p->spent = now_ms() - p->since >= FLUSH_PATIENCE_MS ||
			   p->waited + now_ms() - p->since >= FLUSH_WAIT_MS;
	} else if (p->since) {
		p->waited += now_ms() - p->since;
		p->since = 0;
	}
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
			m->family = (__u8)family;
			m->first = first;
			m->reason = (__u8)reason;
			m->full = patience.spent;
			more = control(t, prog, m, size);
			if (more < 0)
				return more;
			if (more > 1)
				return -EIO;
			n += m->count;
			wait_for_room(&patience, m->full);
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
