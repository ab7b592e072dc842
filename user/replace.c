// SPDX-License-Identifier: GPL-2.0-only
#include "replace.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "grace.h"
#include "listener.h"
#include "log.h"
#include "mapped.h"
#include "migrate.h"
#include "object.h"
#include "pins.h"
#include "policy.h"
#include "priv.h"

/* The events of the old table while it is being copied: some 80,000. */
#define RING_BYTES (16U << 20)

/* So long is waited for a flow of the old table that somebody owns: see user/table.c. */
#define TAKE_WAIT_MS 200

/* Parts of struct ct_ctl and ct_event that no build changes: all but the flow at their end. */
#define CTL_HEAD offsetof(struct ct_ctl, flow)
#define EVENT_HEAD offsetof(struct ct_event, flow)

/* The table: shared or made anew together. */
static const char *const table_maps[] = { "ct4",   "ct6",   "index4", "index6",
					  "free4", "free6", "state" };
/* Shared if the table is: its flows say whether they are counted there. */
static const char *const table_counts[] = { "sources" };
/* Shared, or this is no instance that we understand. */
static const char *const constant_maps[] = { "epoch", "secrets", "listeners", "listener_state" };
/* Each set of programs has its own: so an old `in` never calls a new `confirm`, but through a policy. */
static const char *const own_maps[] = { "chunk", "xdp_stages", "tc_stages" };

#define IS_IN(name, list) is_in(name, list, sizeof(list) / sizeof((list)[0]))

static bool is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

/* --- Layouts ---------------------------------------------------------------------------------- */

/* How the values of a pinned map are laid out. */
struct layout {
	struct btf *btf; /* NULL: it has none */
	struct bpf_map_info info;
};

static int layout_of(int fd, struct layout *l)
{
	__u32 len = sizeof(l->info);

	memset(l, 0, sizeof(*l));
	if (bpf_obj_get_info_by_fd(fd, &l->info, &len))
		return -errno;
	if (l->info.btf_id)
		l->btf = btf__load_from_kernel_by_id(l->info.btf_id);
	return l->info.btf_id && !l->btf ? -errno : 0;
}

static void layout_free(struct layout *l)
{
	btf__free(l->btf);
	l->btf = NULL;
}

static bool same_type(const struct layout *l, __u32 theirs, const struct btf *btf, __u32 ours)
{
	struct migration *m;
	char why[256];
	bool same;

	if (!theirs || !ours)
		return theirs == ours;
	/* Global data (the map `epoch`): its variables are in a section, not in a struct. */
	if (btf_is_datasec(btf__type_by_id(btf, ours)))
		return true;
	m = migration_plan(l->btf, theirs, btf, ours, why, sizeof(why));
	same = m && migration_same(m);
	migration_free(m);
	return same;
}

/* Can the pinned map `fd` be the map of our programs as it is? 1, 0, -errno. */
static int map_same(int fd, const struct bpf_map *map, const struct btf *btf)
{
	struct layout l;
	int ret = layout_of(fd, &l);

	if (!ret)
		ret = l.info.type == bpf_map__type(map) &&
		      l.info.key_size == bpf_map__key_size(map) &&
		      l.info.value_size == bpf_map__value_size(map) &&
		      l.info.max_entries == bpf_map__max_entries(map) &&
		      l.info.map_flags == bpf_map__map_flags(map) &&
		      (!l.btf || (same_type(&l, l.info.btf_key_type_id, btf,
					    bpf_map__btf_key_type_id(map)) &&
				  same_type(&l, l.info.btf_value_type_id, btf,
					    bpf_map__btf_value_type_id(map))));
	layout_free(&l);
	return ret;
}

/* How to make values of the pinned map `name` into ours of `map`. NULL, with *why. */
static struct migration *value_plan(const struct instance *in, const char *name, bool key,
				    const struct btf *btf, __u32 type, size_t *size, char *why,
				    size_t why_size)
{
	struct migration *m = NULL;
	struct layout l = {};
	int fd = instance_fd(in, name), err = fd < 0 ? fd : layout_of(fd, &l);

	snprintf(why, why_size, "%s", err ? strerror(-err) : "it does not describe itself");
	if (!err && l.btf)
		m = migration_plan(l.btf, key ? l.info.btf_key_type_id : l.info.btf_value_type_id,
				   btf, type, why, why_size);
	if (size)
		*size = key ? l.info.key_size : l.info.value_size;
	layout_free(&l);
	if (fd >= 0)
		close(fd);
	return m;
}

/* The only value of an array of the old set, made into ours over what is in `to`. 0 or 1, reported. */
static int convert_value(const struct instance *in, const char *name, const struct btf *btf,
			 __u32 type, void *to)
{
	struct migration *m;
	char why[256];
	__u32 zero = 0;
	void *from;
	size_t size;
	int fd, err;

	m = value_plan(in, name, false, btf, type, &size, why, sizeof(why));
	if (!m)
		return fail(why, "use the build that made it", "%s/%s", in->dir, name);
	from = malloc(size);
	fd = instance_fd(in, name);
	err = !from ? -ENOMEM : fd < 0 ? fd : bpf_map_lookup_elem(fd, &zero, from) ? -errno : 0;
	if (!err)
		migration_run(m, from, to, NULL);
	if (fd >= 0)
		close(fd);
	free(from);
	migration_free(m);
	return err ? fail(strerror(-err), NULL, "%s/%s", in->dir, name) : 0;
}

/* --- Flows ------------------------------------------------------------------------------------ */

/* How flows of the old set, a tuple and an entry behind it, become ours. */
struct flows {
	struct migration *tuple, *entry;
	size_t tuple_size, size; /* of the old ones: tuple, and both */
	int dump, adopt;         /* the old programs', the new ones' */
};

struct batch {
	struct ct_ctl m;
	struct ct_flow flow[CT_DUMP_FLOWS];
};

static void flows_close(struct flows *f)
{
	migration_free(f->tuple);
	migration_free(f->entry);
	if (f->dump >= 0)
		close(f->dump);
	if (f->adopt >= 0)
		close(f->adopt);
}

/*
 * 0 or 1, reported. The new ones are described by `btf`, of the new set. (A map that is shared says which
 * types of the old one's it has.)
 */
static int flows_open(struct flows *f, const struct instance *in, int adopt, const struct btf *btf,
		      __u32 entry)
{
	__s32 tuple = btf__find_by_name_kind(btf, "ct_tuple", BTF_KIND_STRUCT);
	size_t entry_size;
	char why[256];

	*f = (struct flows){ .adopt = adopt, .dump = -1 };
	snprintf(why, sizeof(why), "struct ct_tuple is not described");
	if (tuple > 0)
		f->tuple = value_plan(in, "unconfirmed", true, btf, (__u32)tuple, &f->tuple_size, why,
				      sizeof(why));
	if (f->tuple)
		f->entry = value_plan(in, "ct4", false, btf, entry, &entry_size, why, sizeof(why));
	if (!f->entry)
		return fail(why, "use the build that made it", "the flows of %s", in->dir);
	f->size = f->tuple_size + entry_size;
	f->dump = instance_need(in, PIN_PROGS "/ct_ctl_dump");
	return f->dump < 0;
}

static const char *l4_of(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		return NULL;
	}
}

static void convert_flow(const struct flows *f, const void *from, struct ct_flow *to)
{
	memset(to, 0, sizeof(*to));
	migration_run(f->tuple, from, &to->tuple, NULL);
	migration_run(f->entry, (const char *)from + f->tuple_size, &to->entry,
		      l4_of(to->tuple.proto));
}

/* Hand flows to the new programs. What did not fit in, or -errno. */
static int adopt(const struct flows *f, struct batch *b, enum ct_adopt what)
{
	size_t size = sizeof(b->m) + b->m.count * sizeof(b->flow[0]);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = b, .data_size_in = (__u32)size,
		    .data_out = &b->m, .data_size_out = sizeof(b->m));

	b->m.reason = what;
	/* It hands the packet back whole, which is more than we have room for: that is no error. */
	if (bpf_prog_test_run_opts(f->adopt, &run) && errno != ENOSPC)
		return -errno;
	return run.retval ? -EIO : (int)b->m.full;
}

/*
 * The flows of the old table from slot *first on: at most CT_DUMP_FLOWS, converted, into b. 1 if more
 * follow (*first is where), 0, -errno.
 */
static int take_some(const struct flows *f, int family, __u32 *first, struct batch *b)
{
	size_t head = CTL_HEAD + f->size, size = head + CT_DUMP_FLOWS * f->size;
	struct ct_ctl *m = calloc(1, size < sizeof(*m) ? sizeof(*m) : size);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = m, .data_size_in = (__u32)size,
		    .data_out = m, .data_size_out = (__u32)size);
	int ret;

	if (!m)
		return -ENOMEM;
	m->family = (__u8)family;
	m->first = *first;
	m->full = 1; /* those past their time, too: the new sweep will end them */
	ret = bpf_prog_test_run_opts(f->dump, &run) ? -errno : (int)run.retval;
	if (ret >= 0 && (ret > 1 || m->count > CT_DUMP_FLOWS))
		ret = -EIO;
	if (ret >= 0) {
		b->m.count = m->count;
		for (__u32 i = 0; i < m->count; i++)
			convert_flow(f, (char *)m + head + i * f->size, &b->flow[i]);
		*first = m->first;
	}
	free(m);
	return ret;
}

/*
 * The same, waiting for a flow that somebody owns, as table_next() does: 1 always comes with another *first.
 */
static int take_flows(const struct flows *f, int family, __u32 *first, struct batch *b)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	__u32 from = *first;
	int more = take_some(f, family, first, b);

	for (int ms = 0; more == 1 && *first == from && ms < TAKE_WAIT_MS; ms++) {
		nanosleep(&pause, NULL);
		more = take_some(f, family, first, b);
	}
	if (more == 1 && *first == from)
		++*first;
	return more;
}

/* What happens in the old table while it is copied. */
struct following {
	struct listener l;
	struct flows *f;
	int err;
	uint64_t lost;
};

static bool follow_one(const struct ct_event *ev, uint64_t seq, uint64_t lost, void *arg)
{
	static const enum ct_adopt what[CT_EV_MAX] = {
		[CT_EV_NEW] = CT_ADOPT_ENTER,
		[CT_EV_UPDATE] = CT_ADOPT_RENEW,
		[CT_EV_DESTROY] = CT_ADOPT_FORGET,
	};
	struct following *fo = arg;
	struct batch b = {};
	int ret;

	(void)seq;
	fo->lost += lost;
	if (!ev || ev->type == CT_EV_INVALID)
		return true;
	b.m.count = 1;
	convert_flow(fo->f, (const char *)ev + EVENT_HEAD, &b.flow[0]);
	ret = adopt(fo->f, &b, what[ev->type]);
	if (ret)
		fo->err = ret < 0 ? ret : -ENOSPC;
	return !fo->err;
}

/* Everything that is in the ring. 0 or -errno. */
static int follow(struct following *fo)
{
	int n;

	do
		n = listener_poll(&fo->l, 0);
	while (n > 0);
	if (fo->err)
		return fo->err;
	return n < 0 && n != -ENODATA ? n : fo->lost ? -EOVERFLOW : 0;
}

static int report_copy(int err, uint32_t max)
{
	if (err == -ENOSPC)
		return fail("more flows than that are in it", "flush it, or choose more",
			    "a table for %u flows", max);
	if (err == -EOVERFLOW)
		return fail("flows come and go faster than they can be copied", "try again later",
			    "the table");
	return fail(strerror(-err), NULL, "the flows can't be copied");
}

/* Copy the old table into the new one, and keep it up to date. 0 or -errno. */
static int copy_flows(struct following *fo)
{
	struct batch b = {};
	int ret = 0;

	for (int family = 0; family < 2; family++) {
		__u32 first = 0;
		int more;

		do {
			more = take_flows(fo->f, family, &first, &b);
			if (more < 0)
				return more;
			b.m.family = (__u8)family;
			ret = b.m.count ? adopt(fo->f, &b, CT_ADOPT_ENTER) : 0;
			if (ret)
				return ret < 0 ? ret : -ENOSPC;
			ret = follow(fo);
			if (ret)
				return ret;
		} while (more);
	}
	return 0;
}

/*
 * Add what the old programs counted for each flow. None of them runs any more, so their table stands
 * still, and a walk that was broken off goes on where it was.
 */
static int merge_flows(const struct flows *f)
{
	for (int family = 0; family < 2; family++) {
		struct batch b = { .m = { .family = (__u8)family, .first = ~0U - 1 } };
		int ret = adopt(f, &b, CT_ADOPT_COUNT); /* asks how far it has come */

		while (ret >= 0 && b.m.first != ~0U) {
			__u32 from = b.m.first, to = from;

			ret = take_flows(f, family, &to, &b);
			if (ret < 0)
				break;
			b.m.family = (__u8)family;
			b.m.first = from;
			b.m.full = to;
			ret = adopt(f, &b, CT_ADOPT_COUNT);
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --- Pins ------------------------------------------------------------------------------------- */

/* next-N or done-N in the directory of the instance: its path, 1 if it is done; -ENOENT. */
static int find_next(const struct instance *in, char *path, size_t size, uint32_t *number)
{
	struct names names;
	int ret = names_read(&names, in->dir) ?: -ENOENT;

	for (int i = 0; i < names.n && ret < 0; i++) {
		const char *name = names.entry[i]->d_name;

		if (sscanf(name, "next-%u", number) == 1)
			ret = 0;
		else if (sscanf(name, "done-%u", number) == 1)
			ret = 1;
		else
			continue;
		snprintf(path, size, "%s/%s", in->dir, name);
	}
	names_free(&names);
	return ret;
}

static bool is_map(const char *path)
{
	char fd_path[64], what[32] = "";
	int fd = bpf_obj_get(path);

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && readlink(fd_path, what, sizeof(what) - 1) < 0)
		what[0] = '\0';
	if (fd >= 0)
		close(fd);
	return strstr(what, "bpf-map");
}

/*
 * Remove those pins of `to` that the set in `from` has none for: another build's. (Beside the maps
 * somebody may have pinned a program of his own.)
 */
static int drop_pins(const char *from, const char *to, bool maps)
{
	struct names names;
	int err = names_read(&names, to);

	for (int i = 0; i < names.n && !err; i++) {
		const struct dirent *d = names.entry[i];
		char path[PATH_MAX + NAME_MAX + 2], own[PATH_MAX + NAME_MAX + 2];

		snprintf(path, sizeof(path), "%s/%s", from, d->d_name);
		snprintf(own, sizeof(own), "%s/%s", to, d->d_name);
		if (d->d_type == DT_DIR || !access(path, F_OK))
			continue;
		if (errno != ENOENT)
			err = -errno;
		else if ((!maps || is_map(own)) && unlink(own))
			err = -errno;
	}
	names_free(&names);
	return err;
}

/* Move every pin of `from` over those of `to`. */
static int move_pins(const char *from, const char *to)
{
	struct names names;
	int err = names_read(&names, from);

	for (int i = 0; i < names.n && !err; i++) {
		const struct dirent *d = names.entry[i];
		char source[PATH_MAX + NAME_MAX + 2], target[PATH_MAX + NAME_MAX + 2];

		snprintf(source, sizeof(source), "%s/%s", from, d->d_name);
		snprintf(target, sizeof(target), "%s/%s", to, d->d_name);
		if (d->d_type != DT_DIR && rename(source, target))
			err = -errno;
	}
	names_free(&names);
	return err;
}

/* The last step: the pins of done-N take the place of the old ones. */
static int settle(const struct instance *in, const char *done)
{
	char progs[PATH_MAX + 16], ours[PATH_MAX + 16];
	int err;

	snprintf(progs, sizeof(progs), "%s/" PIN_PROGS, done);
	snprintf(ours, sizeof(ours), "%s/" PIN_PROGS, in->dir);
	/* Not there: it was moved, and the rest of done-N is about to be removed. */
	err = !access(progs, F_OK) ? move_pins(progs, ours) : errno == ENOENT ? 0 : -errno;
	if (!err)
		err = move_pins(done, in->dir);
	return err ? err : pins_clear(done);
}

/* --- The steps after the switch --------------------------------------------------------------- */

/* An instance that consists of what is pinned in a folder of it. */
static struct instance within(const struct instance *in, const char *path)
{
	struct instance part = *in;

	snprintf(part.dir, sizeof(part.dir), "%.*s", PATH_MAX - 1, path);
	return part;
}

/* Is `fd` the map that is pinned for the old set? 1, 0, -errno. */
static int is_shared(const struct instance *in, const char *name, int fd)
{
	struct bpf_map_info a = {}, b = {};
	__u32 len = sizeof(a);
	int old = instance_fd(in, name), ret;

	if (old == -ENOENT)
		return 0;
	if (old < 0)
		return old;
	ret = bpf_obj_get_info_by_fd(old, &a, &len) || bpf_obj_get_info_by_fd(fd, &b, &len) ?
		      -errno :
		      a.id == b.id;
	close(old);
	return ret;
}

/* A map of the new set if it is another than the old one: its fd; -ENOENT: it is shared. */
static int fresh_fd(const struct instance *in, const struct instance *next, const char *name)
{
	int fd = instance_fd(next, name), shared;

	if (fd < 0)
		return fd;
	shared = is_shared(in, name, fd);
	if (!shared)
		return fd;
	close(fd);
	return shared < 0 ? shared : -ENOENT;
}

/* The counters of the old set, summed and converted, are added to the new one's. */
static int merge_stats(const struct instance *in, const struct instance *next)
{
	int fresh = fresh_fd(in, next, "stats"), add = -1, err = 0, old = -1;
	int cpus = libbpf_num_possible_cpus();
	struct {
		struct ct_ctl m;
		struct ct_stats stats;
	} message = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &message, .data_size_in = sizeof(message));
	struct migration *m = NULL;
	struct layout l = {};
	__u64 *values = NULL, *sum = NULL;
	__u32 zero = 0;
	char why[256];
	size_t size;

	if (fresh < 0)
		return fresh == -ENOENT ? 0 : fresh;
	err = layout_of(fresh, &l);
	close(fresh);
	if (err)
		return err;
	m = value_plan(in, "stats", false, l.btf, l.info.btf_value_type_id, &size, why, sizeof(why));
	layout_free(&l);
	if (!m)
		return -EPROTO;
	old = instance_fd(in, "stats");
	add = instance_fd(next, PIN_PROGS "/ct_ctl_add");
	values = calloc((size_t)cpus, size);
	sum = calloc(1, size);
	if (!values || !sum)
		err = -ENOMEM;
	else if (old < 0 || add < 0)
		err = old < 0 ? old : add;
	else if (bpf_map_lookup_elem(old, &zero, values))
		err = -errno;
	for (int cpu = 0; !err && cpu < cpus; cpu++)
		for (size_t i = 0; i < size / 8; i++)
			sum[i] += values[(size_t)cpu * size / 8 + i];
	if (!err) {
		migration_run(m, sum, &message.stats, NULL);
		err = bpf_prog_test_run_opts(add, &run) ? -errno : run.retval ? -EIO : 0;
	}
	migration_free(m);
	free(values);
	free(sum);
	if (old >= 0)
		close(old);
	if (add >= 0)
		close(add);
	return err;
}

/* What stands in the old table and not in the events. */
static int merge_table(const struct instance *in, const struct instance *next)
{
	int fresh = fresh_fd(in, next, "ct4"), err;
	struct layout flow = {};
	struct flows f = { .dump = -1, .adopt = -1 };

	if (fresh < 0)
		return fresh == -ENOENT ? 0 : fresh;
	err = layout_of(fresh, &flow);
	close(fresh);
	if (!err && flows_open(&f, in, instance_fd(next, PIN_PROGS "/ct_ctl_adopt"), flow.btf,
			       flow.info.btf_value_type_id))
		err = -EIO;
	if (!err)
		err = merge_flows(&f);
	flows_close(&f);
	layout_free(&flow);
	return err;
}

/* A table of another size is one for as many flows. */
static int fit_max(const struct instance *in, const struct instance *next)
{
	struct ct_state st[2] = {};
	struct ct_settings *s;
	int err;

	err = instance_check(in, &st[0]);
	if (!err)
		err = instance_check(next, &st[1]);
	if (err)
		return err == -EPROTO ? 0 : err;
	if (st[0].max_slots == st[1].max_slots)
		return 0;
	s = mapped(next, "settings", sizeof(*s));
	if (!s)
		return -EIO;
	__atomic_store_n(&s->knob.max, (uint32_t)st[1].max_slots, __ATOMIC_RELAXED);
	mapped_release(s, sizeof(*s));
	return 0;
}

/*
 * All that follows the switch. Every step can be repeated. 0, or -errno: the rest is for the next
 * command to do, and packets do not mind.
 */
static int complete(const struct instance *in, const char *path, uint32_t number)
{
	char done[PATH_MAX + 32], progs[PATH_MAX + 16], ours[PATH_MAX + 16];
	struct instance next = within(in, path);
	int err;

	err = object_start_sweep(&next) ? -EIO : 0;
	if (!err)
		err = policies_update(in, &next);
	if (!err)
		err = hookings_update(in, &next);
	if (!err)
		err = grace_period();
	if (!err)
		hookings_release(in, &next);
	if (!err)
		err = merge_table(in, &next);
	if (!err)
		err = merge_stats(in, &next);
	if (!err)
		err = fit_max(in, &next);
	if (err)
		return err;
	policies_tidy(in, &next);
	/* As long as it can be seen which there are: settle() may have to go on where it stopped. */
	err = drop_pins(path, in->dir, true);
	if (!err) {
		snprintf(progs, sizeof(progs), "%s/" PIN_PROGS, path);
		snprintf(ours, sizeof(ours), "%s/" PIN_PROGS, in->dir);
		err = drop_pins(progs, ours, false);
	}
	if (err)
		return err;
	snprintf(done, sizeof(done), "%s/done-%u", in->dir, number);
	if (rename(path, done))
		return -errno;
	return settle(in, done);
}

/* Nothing was switched: as if nothing had been. */
static int take_back(const struct instance *in, const char *path, uint32_t number)
{
	policies_copy_undo(in, number);
	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int fd = instance_fd(in, stage_arrays[i]), err = 0;

		if (fd < 0)
			return fd;
		for (__u32 stage = CT_STAGE_NEXT; !err && stage < CT_STAGE_MAX; stage++)
			if (bpf_map_delete_elem(fd, &stage) && errno != ENOENT)
				err = -errno;
		close(fd);
		if (err)
			return err;
	}
	return pins_clear(path);
}

bool replace_pending(const struct instance *in)
{
	char path[PATH_MAX + NAME_MAX + 2];
	uint32_t number;

	return find_next(in, path, sizeof(path), &number) != -ENOENT;
}

int replace_resume(const struct instance *in)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct ct_epoch e;
	uint32_t number;
	int done = find_next(in, path, sizeof(path), &number), err;

	if (done < 0)
		return done == -ENOENT ? 0 : done;
	err = instance_epoch(in, &e);
	if (err)
		return err;
	if (done)
		return settle(in, path);
	if (e.now == number) {
		struct instance next = within(in, path);
		struct ct_state st;

		err = instance_check(&next, &st);
		if (err)
			return err == -EPROTO ? -ESTALE : err;
	}
	verbose("instance %s: its loader died at an upgrade: %s", in->name,
		e.now == number ? "finished" : "taken back");
	return e.now == number ? complete(in, path, number) : take_back(in, path, number);
}

/* --- The steps before ------------------------------------------------------------------------- */

struct replacement {
	const struct instance *in;
	struct ct_bpf *skel;
	struct bpf_object *obj;
	struct ct_epoch epoch;
	struct ct_state before;
	uint32_t max, number;
	bool table; /* the table is another one */
	char path[PATH_MAX + 32];
};

/* Our own type of the value (or key) of a map. */
static __u32 our_type(const struct replacement *r, const char *name, bool key)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(r->obj, name);

	return key ? bpf_map__btf_key_type_id(map) : bpf_map__btf_value_type_id(map);
}

/* Do builds of both kinds understand each other? 0 or 1, reported. */
static int check_abi(const struct replacement *r)
{
	const struct ct_state *st = &r->before;
	char why[128];

	if (st->netns != netns_cookie())
		return fail("it belongs to another network namespace", "use --netns", "instance %s",
			    r->in->name);
	if (st->abi == CT_ABI || (st->abi < CT_ABI && st->abi >= CT_ABI_OLDEST) ||
	    (st->abi > CT_ABI && st->abi_oldest <= CT_ABI))
		return 0;
	snprintf(why, sizeof(why), "its layouts (%u) are none that this build (%u) knows", st->abi,
		 CT_ABI);
	return fail(why, "detach it with the build that made it", "instance %s", r->in->name);
}

/* Share a pinned map with the new set if that is possible. 1, 0, -errno. */
static int share(struct replacement *r, struct bpf_map *map, bool wanted)
{
	const char *name = object_pin_name(map);
	int fd, ret;

	fd = instance_fd(r->in, name);
	if (fd == -ENOENT)
		return 0; /* new in this build */
	if (fd < 0)
		return fd;
	ret = map_same(fd, map, bpf_object__btf(r->obj));
	if (ret == 1 && wanted && bpf_map__reuse_fd(map, fd))
		ret = -errno;
	close(fd);
	return ret;
}

/* Which maps are shared. 0 or 1, reported. */
static int share_maps(struct replacement *r)
{
	struct bpf_map *map;
	int ret;

	/* The state says whose layouts these are, until the switch and after it: each has its own then. */
	r->table = r->before.abi != CT_ABI;
	bpf_object__for_each_map(map, r->obj) {
		const char *name = object_pin_name(map);

		if (!name || !IS_IN(name, table_maps))
			continue;
		ret = share(r, map, false);
		if (ret < 0)
			return fail(strerror(-ret), NULL, "%s/%s", r->in->dir, name);
		r->table |= !ret;
	}
	bpf_object__for_each_map(map, r->obj) {
		const char *name = object_pin_name(map);

		if (!name || IS_IN(name, own_maps) ||
		    (r->table && (IS_IN(name, table_maps) || IS_IN(name, table_counts))))
			continue;
		ret = share(r, map, true);
		if (ret < 0)
			return fail(strerror(-ret), NULL, "%s/%s", r->in->dir, name);
		if (!ret && IS_IN(name, constant_maps))
			return fail("it is laid out as no build should lay it out",
				    "detach it with the build that made it", "%s/%s", r->in->dir,
				    name);
	}
	return 0;
}

static int load(struct replacement *r)
{
	struct ct_secrets secrets;
	int fd = instance_need(r->in, "secrets"), err;
	__u32 zero = 0;

	if (fd < 0)
		return 1;
	err = bpf_map_lookup_elem(fd, &zero, &secrets) ? -errno : 0;
	close(fd);
	if (!err)
		err = object_verify(r->skel, &secrets, r->number);
	return err ? object_report(err) : 0;
}

/* A fresh map is one that is not pinned for the old set. 1, 0, -errno. */
static int is_fresh(const struct replacement *r, const char *name)
{
	int shared = is_shared(r->in, name, bpf_object__find_map_fd_by_name(r->obj, name));

	return shared < 0 ? shared : !shared;
}

static int fill_interfaces(const struct replacement *r)
{
	int from = instance_need(r->in, "ifaces"), err = 0;
	int to = bpf_object__find_map_fd_by_name(r->obj, "ifaces");
	struct migration *m;
	char why[256], *old;
	size_t size;

	if (from < 0)
		return 1;
	m = value_plan(r->in, "ifaces", false, bpf_object__btf(r->obj),
		       our_type(r, "ifaces", false), &size, why, sizeof(why));
	old = m ? malloc(size) : NULL;
	for (__u32 i = 0; old && i < CT_IFACES && !err; i++) {
		struct ct_iface iface = {};

		if (bpf_map_lookup_elem(from, &i, old)) {
			err = -errno;
			break;
		}
		migration_run(m, old, &iface, NULL);
		if (bpf_map_update_elem(to, &i, &iface, BPF_ANY))
			err = -errno;
	}
	if (m && !old)
		err = -ENOMEM;
	close(from);
	free(old);
	if (!m)
		return fail(why, "use the build that made it", "%s/ifaces", r->in->dir);
	migration_free(m);
	return err ? fail(strerror(-err), NULL, "%s/ifaces", r->in->dir) : 0;
}

/*
 * Policies stay in force: they read the packet record, so that has to be the same. Without packets
 * they can as well be left out. 0 or 1, reported.
 */
static int copy_policies(const struct replacement *r)
{
	int fresh = is_fresh(r, "record"), err = fresh;

	if (fresh > 0 && !hookings_count(bpf_object__find_map_fd_by_name(r->obj, "ifaces"))) {
		verbose("policies that were made for another layout are not taken over");
		return 0;
	}
	if (fresh >= 0)
		err = policies_copy(r->in, r->obj, r->number);
	if (err == 1 && fresh)
		return fail("it was made for another layout of packets",
			    "detach --keep, upgrade, and attach with one for this build",
			    "the policy of %s", r->in->name);
	return err < 0 ? fail(strerror(-err), NULL, "the policy of %s", r->in->name) : 0;
}

/* Fill those maps that are not shared. 0 or 1, reported. */
static int fill(struct replacement *r)
{
	const struct btf *btf = bpf_object__btf(r->obj);
	struct ct_settings settings;
	struct ct_state st;
	int err;

	object_state(&st, r->max);
	err = is_fresh(r, "settings");
	if (err > 0) {
		object_defaults(&settings, r->max);
		if (convert_value(r->in, "settings", btf, our_type(r, "settings", false), &settings))
			return 1;
		err = object_put(r->skel, "settings", &settings);
	}
	if (!err)
		err = is_fresh(r, "state");
	if (err > 0) {
		st.unconfirmed = r->before.unconfirmed;
		err = object_put(r->skel, "state", &st);
	}
	if (!err)
		err = is_fresh(r, "ifaces");
	if (err > 0) {
		if (fill_interfaces(r))
			return 1;
		err = 0;
	}
	if (!err)
		err = object_fill_stages(r->skel);
	if (err)
		return fail(strerror(-err), NULL, "the maps can't be filled");
	return copy_policies(r);
}

/* The entry programs into the stages from which the old ones will hand packets on. */
static int fill_next(const struct replacement *r)
{
	static const struct {
		const char *stages;
		__u32 stage;
		const char *prog;
	} rows[] = {
		{ "xdp_stages", CT_STAGE_NEXT, "ct_xdp" },
		{ "tc_stages", CT_STAGE_NEXT, "ct_tc_ingress" },
		{ "tc_stages", CT_STAGE_NEXT_EGRESS, "ct_tc_egress" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int prog = bpf_program__fd(bpf_object__find_program_by_name(r->obj, rows[i].prog));
		int stages = instance_fd(r->in, rows[i].stages), err = 0;

		if (stages < 0)
			return stages;
		if (bpf_map_update_elem(stages, &rows[i].stage, &prog, BPF_ANY))
			err = -errno;
		close(stages);
		if (err)
			return err;
	}
	return 0;
}

static int pin_next(const struct replacement *r)
{
	if (mkdir(r->path, 0700))
		return -errno;
	return object_pin(r->skel, r->path);
}

/* Open the flows of the old set for the programs of the new one. */
static int open_flows(const struct replacement *r, struct flows *f)
{
	int adopter = bpf_program__fd(bpf_object__find_program_by_name(r->obj, "ct_ctl_adopt"));

	return flows_open(f, r->in, dup(adopter), bpf_object__btf(r->obj),
			  our_type(r, "ct4", false));
}

/* The listeners of the old set can't read what the new one will write: theirs ends here. */
static void end_others(const struct replacement *r, const struct listener *ours)
{
	struct ct_listeners *all = mapped(r->in, "listener_state", sizeof(*all));

	for (unsigned int i = 0; all && i < CT_LISTENERS; i++) {
		if (i == ours->slot || !__atomic_load_n(&all->slot[i].mask, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&all->slot[i].mask, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&all->slot[i].closed, 1, __ATOMIC_SEQ_CST);
	}
	mapped_release(all, sizeof(*all));
}

/*
 * How many are unconfirmed: what the old set knew when the new state was filled, and what has changed
 * until its last program ended. If that counts more than there are, the sweep finds out (sweep.h).
 */
static void count_unconfirmed(const struct replacement *r)
{
	int fd = bpf_object__find_map_fd_by_name(r->obj, "state");
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct ct_state now = {}, *st;

	if (convert_value(r->in, "state", bpf_object__btf(r->obj), our_type(r, "state", false), &now))
		return;
	st = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (st == MAP_FAILED)
		return;
	__atomic_fetch_add(&st->unconfirmed, now.unconfirmed - r->before.unconfirmed,
			   __ATOMIC_RELAXED);
	munmap(st, size);
}

/* The unconfirmed of the old set, when the new one's are elsewhere. */
static void copy_unconfirmed(const struct replacement *r, const struct flows *f)
{
	int from = instance_fd(r->in, "unconfirmed");
	int to = bpf_object__find_map_fd_by_name(r->obj, "unconfirmed");
	char *old = malloc(f->size), *key = malloc(f->tuple_size);
	const void *last = NULL;

	while (from >= 0 && old && key && !bpf_map_get_next_key(from, last, key)) {
		struct ct_flow flow;

		last = key;
		memcpy(old, key, f->tuple_size);
		if (bpf_map_lookup_elem(from, key, old + f->tuple_size))
			continue;
		convert_flow(f, old, &flow);
		if ((flow.entry.word & CT_WORD_PHASE) == CT_WORD_LIVE)
			bpf_map_update_elem(to, &flow.tuple, &flow.entry, BPF_NOEXIST);
	}
	if (from >= 0)
		close(from);
	free(old);
	free(key);
}

static void switch_to(const struct replacement *r)
{
	struct instance next = within(r->in, r->path);

	__atomic_store_n(object_epoch(r->skel), r->number, __ATOMIC_SEQ_CST);
	/* complete() does so again, and reports what goes wrong. */
	policies_update(r->in, &next);
}

/* Both tables at once: copy, switch, and bring over what is left. 0; 1: nothing was switched. */
static int switch_tables(struct replacement *r)
{
	struct flows f = { .dump = -1, .adopt = -1 };
	struct following fo = { .f = &f };
	int err;

	if (open_flows(r, &f)) {
		flows_close(&f);
		return 1;
	}
	fo.l.least = EVENT_HEAD + f.size;
	if (listener_open(&fo.l, r->in,
			  1U << CT_EV_NEW | 1U << CT_EV_UPDATE | 1U << CT_EV_DESTROY, RING_BYTES,
			  follow_one, &fo)) {
		flows_close(&f);
		return 1;
	}
	err = copy_flows(&fo);
	if (!err) {
		if (!migration_same(f.entry) || !migration_same(f.tuple))
			end_others(r, &fo.l);
		err = follow(&fo);
	}
	if (!err) {
		switch_to(r);
		follow(&fo); /* what came in the last microseconds */
		if (is_fresh(r, "unconfirmed"))
			copy_unconfirmed(r, &f);
		grace_period();
		follow(&fo);
		count_unconfirmed(r);
	}
	listener_close(&fo.l, false);
	flows_close(&f);
	return err ? report_copy(err, r->max) : 0;
}

static int prepare(struct replacement *r)
{
	int err;

	if (share_maps(r) || load(r) || fill(r))
		return 1;
	err = pin_next(r);
	if (!err)
		err = fill_next(r);
	return err ? fail(strerror(-err), NULL, "%s", r->path) : 0;
}

int replace(const struct instance *in, uint32_t max, struct replaced *what)
{
	struct replacement r = { .in = in };
	struct ct_bpf *skel = object_open();
	gid_t group = pins_group(in->dir);
	int err, code = 1;

	if (!skel)
		return 1;
	/* SYS_ADMIN finds types and policies by their ids. */
	if (priv_need(CAP(BPF) | CAP(NET_ADMIN) | CAP(PERFMON) | CAP(SYS_ADMIN)) ||
	    (group && pins_may_share(group)))
		goto out;
	r.skel = skel;
	r.obj = object_bpf(skel);
	err = instance_epoch(in, &r.epoch);
	if (err) {
		fail(strerror(-err), "detach it with the build that made it", "%s/epoch", in->dir);
		goto out;
	}
	if (convert_value(in, "state", bpf_object__btf(r.obj), our_type(&r, "state", false),
			  &r.before) ||
	    check_abi(&r))
		goto out;
	r.number = r.epoch.now + 1;
	snprintf(r.path, sizeof(r.path), "%s/next-%u", in->dir, r.number);
	r.max = max ? max : (uint32_t)r.before.max_slots;
	object_set_max(skel, r.max);
	if (prepare(&r) || (r.table ? switch_tables(&r) : (switch_to(&r), 0))) {
		take_back(in, r.path, r.number);
		goto out;
	}
	*what = (struct replaced){ .abi = r.before.abi, .build = r.before.build, .table = r.table };
	err = complete(in, r.path, r.number);
	code = err ? 2 : 0;
	if (err)
		fail(strerror(-err), "the next command does the rest", "the upgrade is in force");
out:
	object_close(skel);
	return code;
}
