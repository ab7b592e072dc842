/* SPDX-License-Identifier: GPL-2.0-only */
/* Conversations with the loaded programs; see harness.h. */
#define _GNU_SOURCE
#include "harness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ct.skel.h"
#include "tuple.h"

/* Verdicts of the programs: <linux/pkt_cls.h>, which has no place for what we return. */
#define TC_UNSPEC ((__u32)-1)
#define TC_SHOT	  2

#define FRAME_ROOM 70000
#define META_SIZE  8

const char *const harness_hooks[HOOKS] = { "xdp", "ingress", "egress" };
unsigned int world_size = 1024;
struct ct_bpf *skel;
struct talk talk;

static __u64 clock_before;
__u64 *world_now = &clock_before;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("harness: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

/* --- the world ------------------------------------------------------------------------------- */

static int map_fd(const struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(map_fd(map), key, value, BPF_ANY))
		die("writing the map %s: %s", bpf_map__name(map), strerror(errno));
}

static void forget_ring(__u32 slot);

static void close_world(void)
{
	for (__u32 i = 0; i < CT_LISTENERS; i++)
		forget_ring(i);
	ct_bpf__destroy(skel);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vprintf(format, args) : 0;
}

/* As user/object.c loads them, but for the clock, fixed salts and small maps. */
static void world_open(void)
{
	struct bpf_program *prog;
	cpu_set_t cpu;

	libbpf_set_print(quiet);
	if (unshare(CLONE_NEWNET))
		die("a network namespace of our own: %s", strerror(errno));
	/* Counters and records are per CPU: stay where they can be told from others'. */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	skel = ct_bpf__open();
	if (!skel)
		die("opening the programs: %s", strerror(errno));
	atexit(close_world);
	bpf_map__set_max_entries(skel->maps.ct4, world_size);
	bpf_map__set_max_entries(skel->maps.ct6, world_size);
	bpf_map__set_max_entries(skel->maps.index4, world_size);
	bpf_map__set_max_entries(skel->maps.index6, world_size);
	bpf_map__set_max_entries(skel->maps.free4, world_size);
	bpf_map__set_max_entries(skel->maps.free6, world_size);
	bpf_map__set_max_entries(skel->maps.sources, 2 * world_size);
	bpf_object__for_each_program (prog, skel->obj)
		bpf_program__set_expected_attach_type(prog, 0);
	for (int i = 0; i < 11; i++)
		((__u64 *)skel->rodata->ct_salt)[i] = 0x9e3779b97f4a7c15ULL * (i + 1) ^ 0xdeadbeef;
	*(__u32 *)&skel->rodata->ct_magic = 0x12345678;
	*(bool *)&skel->rodata->ct_test_clock = true;
	if (ct_bpf__load(skel))
		die("loading the programs: %s", strerror(errno));
	world_now = &skel->bss->ct_test_now;
}

static void delete_all(const struct bpf_map *map)
{
	__u8 key[64];

	while (!bpf_map_get_next_key(map_fd(map), NULL, key))
		if (bpf_map_delete_elem(map_fd(map), key))
			die("emptying the map %s: %s", bpf_map__name(map), strerror(errno));
}

static void empty_queue(const struct bpf_map *queue)
{
	__u32 slot;

	while (!bpf_map_lookup_and_delete_elem(map_fd(queue), NULL, &slot))
		;
}

/* Zero the first `n` elements of an array; of a per-CPU one, on each CPU. */
static void zero_array(const struct bpf_map *map, __u32 n)
{
	static __u8 zero[65536];

	if (bpf_map__value_size(map) * (unsigned int)libbpf_num_possible_cpus() > sizeof(zero))
		die("too many CPUs");
	for (__u32 i = 0; i < n; i++)
		put(map, &i, zero);
}

static struct bpf_map *stages_of(enum hook hook)
{
	return hook == XDP ? skel->maps.xdp_stages : skel->maps.tc_stages;
}

int stage_prog(enum hook hook, enum ct_stage stage)
{
	const struct bpf_program *prog =
		hook == XDP
			? stage == CT_STAGE_IN ? skel->progs.ct_xdp_in : skel->progs.ct_xdp_confirm
		: stage == CT_STAGE_IN ? skel->progs.ct_tc_in
				       : skel->progs.ct_tc_confirm;

	return bpf_program__fd(prog);
}

void put_stage(enum hook hook, enum ct_stage stage, int prog)
{
	__u32 slot = stage, fd = (__u32)prog;

	if (prog >= 0)
		put(stages_of(hook), &slot, &fd);
	else
		bpf_map_delete_elem(map_fd(stages_of(hook)), &slot);
}

void put_iface(__u32 ifindex, __u32 flags, __u8 hook, __u16 zone)
{
	struct ct_iface iface = {
		.ifindex = ifindex, .flags = flags, .hook = hook, .zone = zone, .used = 1
	};
	__u32 slot = ifindex % CT_IFACES;

	put(skel->maps.ifaces, &slot, &iface);
}

void forget_iface(__u32 ifindex)
{
	struct ct_iface none = { .used = 1 };
	__u32 slot = ifindex % CT_IFACES;

	put(skel->maps.ifaces, &slot, &none);
}

void put_zone(__u16 zone)
{
	bool xdp = talk.hook == XDP;

	talk.zone = zone;
	put_iface(1, CT_IF_ACTIVE | (xdp ? CT_IF_CONFIRM_XDP : 0),
		  xdp ? CT_HOOK_NATIVE : CT_HOOK_TC, zone);
}

static void default_settings(void)
{
	struct ct_settings s = { .hz = HZ };

#define X(id, key, seconds, help) s.timeout.key = (__u64)(seconds)*HZ;
	CT_TIMEOUTS(X)
#undef X
#define X(id, key, value, largest, help) s.knob.key = value;
	CT_KNOBS(X)
#undef X
	s.knob.max = world_size;
	put_settings(&s);
}

void world_begin(enum hook hook)
{
	struct ct_state st = { .max_slots = world_size, .abi = CT_ABI };
	struct ct_state old;

	if (!skel)
		world_open();
	old = get_state();
	delete_all(skel->maps.ct4);
	delete_all(skel->maps.ct6);
	delete_all(skel->maps.unconfirmed);
	delete_all(skel->maps.fragments);
	delete_all(skel->maps.sources);
	zero_array(skel->maps.index4,
		   old.next_slot[0] < world_size ? old.next_slot[0] : world_size);
	zero_array(skel->maps.index6,
		   old.next_slot[1] < world_size ? old.next_slot[1] : world_size);
	empty_queue(skel->maps.free4);
	empty_queue(skel->maps.free6);
	zero_array(skel->maps.stats, 1);
	zero_array(skel->maps.record, bpf_map__max_entries(skel->maps.record));
	zero_array(skel->maps.listener_state, 1);
	zero_array(skel->maps.ifaces, 64);
	put_state(&st);
	memset(skel->bss->ct_barren, 0, sizeof(skel->bss->ct_barren));
	default_settings();
	for (int h = XDP; h <= INGRESS; h++) {
		put_stage(h, CT_STAGE_CONFIRM, stage_prog(h, CT_STAGE_CONFIRM));
		put_stage(h, CT_STAGE_POLICY, -1);
		put_stage(h, CT_STAGE_IN, stage_prog(h, CT_STAGE_IN));
	}
	*world_now = 4000 * HZ + 100;
	talk_begin(hook, false);
	put_zone(0);
}

struct ct_settings get_settings(void)
{
	struct ct_settings s;
	__u32 zero = 0;

	bpf_map_lookup_elem(map_fd(skel->maps.settings), &zero, &s);
	return s;
}

void put_settings(const struct ct_settings *s)
{
	__u32 zero = 0;

	put(skel->maps.settings, &zero, s);
}

void set_knob(enum ct_knob knob, __u32 value)
{
	struct ct_settings s = get_settings();

	CT_KNOB_OF(&s)[knob] = value;
	put_settings(&s);
}

struct ct_state get_state(void)
{
	struct ct_state st;
	__u32 zero = 0;

	bpf_map_lookup_elem(map_fd(skel->maps.state), &zero, &st);
	return st;
}

void put_state(const struct ct_state *st)
{
	__u32 zero = 0;

	put(skel->maps.state, &zero, st);
}

struct ct_stats get_stats(void)
{
	static struct ct_stats cpu[256];
	struct ct_stats sum = {};
	__u32 zero = 0;

	if (libbpf_num_possible_cpus() > 256)
		die("more than 256 CPUs");
	bpf_map_lookup_elem(map_fd(skel->maps.stats), &zero, cpu);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		for (size_t n = 0; n < sizeof(sum) / sizeof(__u64); n++)
			((__u64 *)&sum)[n] += ((__u64 *)&cpu[i])[n];
	return sum;
}

__u64 counter(enum ct_counter id)
{
	struct ct_stats s = get_stats();

	return CT_COUNTER_OF(&s)[id];
}

__u64 ended(enum ct_end end)
{
	struct ct_stats s = get_stats();

	return CT_END_OF(&s)[end];
}

__u64 reasons(enum ct_reason reason)
{
	struct ct_stats s = get_stats();

	return CT_REASON_OF(&s)[reason];
}

__u64 packets(enum ct_side side, enum ct_class class)
{
	struct ct_stats s = get_stats();

	return CT_PACKETS_OF(&s)[side][class];
}

/* --- packets --------------------------------------------------------------------------------- */

int run_prog(int prog, const void *frame, size_t len)
{
	static __u8 out[FRAME_ROOM];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = sizeof(out));

	return bpf_prog_test_run_opts(prog, &run) ? -errno : (int)run.retval;
}

/* What a hook's program returns to the kernel, in our words. */
static enum verdict verdict_of(enum hook hook, __u32 returned, const char **wrong)
{
	if (returned == (hook == XDP ? XDP_DROP : TC_SHOT))
		return DROP;
	if (returned != (hook == XDP ? XDP_PASS : TC_UNSPEC))
		*wrong = "the program returned something else than pass or drop";
	return PASS;
}

enum verdict run_stage(enum hook hook, enum ct_stage stage)
{
	static const __u8 frame[64];
	const char *wrong = NULL;
	enum verdict v =
		verdict_of(hook, (__u32)run_prog(stage_prog(hook, stage), frame, 64), &wrong);

	if (wrong)
		die("%s", wrong);
	return v;
}

void put_record_abi(enum hook hook, __u32 abi)
{
	static __u8 values[65536];
	const struct bpf_map *record = skel->maps.record;
	__u32 slot = hook == XDP ? 0 : 1;
	size_t size = (bpf_map__value_size(record) + 7) & ~7UL;

	bpf_map_lookup_elem(map_fd(record), &slot, values);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		memcpy(values + i * size, &abi,
		       sizeof(abi)); /* the first field of struct ct_packet */
	put(record, &slot, values);
}

static int entry_prog(enum hook hook)
{
	return bpf_program__fd(hook == XDP	 ? skel->progs.ct_xdp
			       : hook == INGRESS ? skel->progs.ct_tc_ingress
						 : skel->progs.ct_tc_egress);
}

static struct __sk_buff skb_context(const struct skb_desc *skb)
{
	return (struct __sk_buff){ .ifindex = skb->ifindex,
				   .ingress_ifindex = skb->ingress_ifindex,
				   .gso_size = skb->gso_size,
				   .gso_segs = skb->gso_segs };
}

void run_hook(enum hook hook, const void *frame, size_t len, const struct skb_desc *skb,
	      unsigned int times)
{
	struct __sk_buff ctx;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (__u32)len,
		    .repeat = (int)times);

	if (skb) {
		ctx = skb_context(skb);
		run.ctx_in = &ctx;
		run.ctx_size_in = sizeof(ctx);
	}
	if (bpf_prog_test_run_opts(entry_prog(hook), &run))
		die("test_run of %u packets: %s", times, strerror(errno));
}

/* The class that was counted since `before`, at the side where the hook is. */
static void find_class(struct seen *s, enum hook hook, const struct ct_stats *before)
{
	enum ct_side side = hook == EGRESS ? CT_EGRESS : CT_INGRESS;
	struct ct_stats after = get_stats();
	__u64 more[CT_SIDES] = {};

	s->class = NO_CLASS;
	s->reason = CT_R_NONE;
	for (int i = 0; i < CT_CLASS_MAX; i++)
		for (int at = 0; at < CT_SIDES; at++) {
			__u64 n = CT_PACKETS_OF(&after)[at][i] - CT_PACKETS_OF(before)[at][i];

			more[at] += n;
			if (n)
				s->class = i;
		}
	if (more[!side])
		s->wrong = "the packet was counted at the wrong hook";
	if (more[side] > 1)
		s->wrong = "the packet was counted more than once";
	for (int i = 1; i < CT_R_MAX; i++)
		if (CT_REASON_OF(&after)[i] != CT_REASON_OF(before)[i])
			s->reason = i;
	if (!!s->reason != (s->class == CT_INVALID || s->class == CT_UNTRACKED))
		s->wrong = s->reason ? "a tracked packet was counted with a reason"
				     : "the packet was refused without a reason";
}

/*
 * What has no Ethernet header test_run won't take; nor, since 6.17 and for an skb, what says that
 * it is IP and has no whole IP header.
 */
static bool test_run_refuses(enum hook hook, const __u8 *frame, size_t len)
{
	if (len < 14)
		return true;
	if (hook == XDP)
		return false;
	return (!memcmp(frame + 12, "\x08\x00", 2) && len < 14 + 20) ||
	       (!memcmp(frame + 12, "\x86\xdd", 2) && len < 14 + 40);
}

struct seen send_frame(enum hook hook, const void *frame, size_t len, const struct skb_desc *skb)
{
	static __u8 out[FRAME_ROOM];
	struct __sk_buff ctx;
	struct seen s = { .class = NO_CLASS };
	struct ct_stats before = get_stats();
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = sizeof(out));

	if (skb) {
		ctx = skb_context(skb);
		run.ctx_in = &ctx;
		run.ctx_size_in = sizeof(ctx);
	}
	if (bpf_prog_test_run_opts(entry_prog(hook), &run)) {
		if (errno != EINVAL || !test_run_refuses(hook, frame, len))
			die("test_run of a frame of %zu bytes: %s", len, strerror(errno));
		s.verdict = REFUSED;
		return s;
	}
	find_class(&s, hook, &before);
	s.verdict = verdict_of(hook, run.retval, &s.wrong);
	/* XDP may leave metadata in front for tc. */
	if (run.data_size_out != len && (hook != XDP || run.data_size_out != len + META_SIZE))
		s.wrong = "the program changed the packet's length";
	else if (memcmp(out + run.data_size_out - len, frame, len))
		s.wrong = "the program wrote into the packet";
	return s;
}

void build_for(enum hook hook, struct pkt *p, const struct pkt_desc *d)
{
	struct pkt_desc own = *d;

	/* lo's address, or tc ingress takes the frame for somebody else's. */
	if (hook != XDP && !own.eth_dst)
		own.eth_dst = "00:00:00:00:00:00";
	pkt_build(p, &own);
}

/* --- control programs ------------------------------------------------------------------------ */

static int control(const struct bpf_program *prog, struct ct_ctl *m, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = m, .data_size_in = (__u32)size,
		    .data_out = m, .data_size_out = (__u32)size);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &run))
		die("test_run of %s: %s", bpf_program__name(prog), strerror(errno));
	return (int)run.retval;
}

int flow_get(const struct ct_tuple *tuple, struct ct_flow *flow)
{
	struct ct_ctl m = { .flow.tuple = *tuple };
	int ret = control(skel->progs.ct_ctl_get, &m, sizeof(m));

	*flow = m.flow;
	return -ret;
}

int flow_delete(const struct ct_tuple *tuple, __u64 word, enum ct_end reason)
{
	struct ct_ctl m = { .flow.tuple = *tuple, .flow.entry.word = word, .reason = reason };

	return -control(skel->progs.ct_ctl_delete, &m, sizeof(m));
}

void sweep(void)
{
	struct ct_ctl m = {};

	control(skel->progs.ct_ctl_sweep, &m, sizeof(m));
}

void sweep_unconfirmed(void)
{
	struct ct_ctl m = { .first = 1 };

	control(skel->progs.ct_ctl_sweep, &m, sizeof(m));
}

long flush(enum ct_end reason)
{
	long n = 0;

	for (int family = 0; family < 2; family++) {
		struct ct_ctl m = { .family = family };

		do {
			m.reason = reason;
			m.full = 1; /* do not wait for listeners */
			control(skel->progs.ct_ctl_flush, &m, sizeof(m));
			n += m.count;
		} while (m.first);
	}
	return n;
}

void flush_once(enum ct_end reason)
{
	struct ct_ctl m = { .reason = reason };

	control(skel->progs.ct_ctl_flush, &m, sizeof(m));
}

size_t dump(struct ct_flow *flows, size_t max)
{
	struct {
		struct ct_ctl m;
		struct ct_flow flows[CT_DUMP_FLOWS];
	} d;
	size_t n = 0;

	for (int family = 0; family < 2; family++) {
		__u32 first;
		int more;

		memset(&d, 0, sizeof(d));
		do {
			d.m.family = family;
			first = d.m.first;
			more = control(skel->progs.ct_ctl_dump, &d.m, sizeof(d));
			if (more && !d.m.count && d.m.first == first)
				return DUMP_STOPPED; /* somebody owns that flow */
			if (d.m.count > CT_DUMP_FLOWS)
				die("dump says %u flows", d.m.count);
			for (__u32 i = 0; i < d.m.count; i++, n++)
				if (n < max)
					flows[n] = d.flows[i];
		} while (more);
	}
	return n;
}

static size_t elements(const struct bpf_map *map)
{
	__u8 key[64], next[64];
	size_t n = 0;
	int err = bpf_map_get_next_key(map_fd(map), NULL, next);

	for (; !err; n++) {
		memcpy(key, next, sizeof(key));
		err = bpf_map_get_next_key(map_fd(map), key, next);
	}
	return n;
}

size_t table_elements(void)
{
	return elements(skel->maps.ct4) + elements(skel->maps.ct6);
}

size_t unconfirmed_elements(void)
{
	return elements(skel->maps.unconfirmed);
}

size_t fragment_elements(void)
{
	return elements(skel->maps.fragments);
}

size_t source_elements(void)
{
	return elements(skel->maps.sources);
}

static struct ct_source source_of(const struct ct_tuple *original)
{
	struct ct_source source = { .zone = original->zone, .family = original->family };

	memcpy(&source.addr, &original->src, original->family == CT_IPV6 ? 8 : 4);
	return source;
}

__u32 source_count(const struct ct_tuple *original)
{
	struct ct_source source = source_of(original);
	__u64 word = 0;

	bpf_map_lookup_elem(map_fd(skel->maps.sources), &source, &word);
	return (__u32)word;
}

void put_unconfirmed(const struct ct_tuple *tuple, const struct ct_entry *e)
{
	put(skel->maps.unconfirmed, tuple, e);
}

int raw_get(const struct ct_tuple *t, struct ct_entry *e)
{
	struct ct_key4 k4;
	struct ct_key6 k6;
	int err;

	if (t->family == CT_IPV4) {
		ct_key4_of(&k4, t);
		err = bpf_map_lookup_elem(map_fd(skel->maps.ct4), &k4, e);
	} else {
		ct_key6_of(&k6, t);
		err = bpf_map_lookup_elem(map_fd(skel->maps.ct6), &k6, e);
	}
	return err ? -errno : 0;
}

int raw_put(const struct ct_tuple *t, const struct ct_entry *e)
{
	struct ct_key4 k4;
	struct ct_key6 k6;
	int err;

	if (t->family == CT_IPV4) {
		ct_key4_of(&k4, t);
		err = bpf_map_update_elem(map_fd(skel->maps.ct4), &k4, e, BPF_ANY);
	} else {
		ct_key6_of(&k6, t);
		err = bpf_map_update_elem(map_fd(skel->maps.ct6), &k6, e, BPF_ANY);
	}
	return err ? -errno : 0;
}

size_t overdue(__u64 ticks)
{
	const struct bpf_map *maps[] = { skel->maps.ct4, skel->maps.ct6 };
	__u8 key[64], next[64];
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		int err = bpf_map_get_next_key(map_fd(maps[i]), NULL, next);

		while (!err) {
			struct ct_entry e;

			memcpy(key, next, sizeof(key));
			if (!bpf_map_lookup_elem(map_fd(maps[i]), key, &e))
				n += e.expires + ticks <= *world_now;
			err = bpf_map_get_next_key(map_fd(maps[i]), key, next);
		}
	}
	return n;
}

/* --- listeners ------------------------------------------------------------------------------- */

static struct listener {
	int ring;
	__u32 size;
	struct ring_buffer *reader;
	struct ct_event *events; /* of listen_take() */
	size_t n, max;
} listeners[CT_LISTENERS];

static int take(void *ctx, void *data, size_t size)
{
	struct listener *l = ctx;
	const struct ct_event *ev = data;

	if (size != sizeof(*ev) || ev->length != size)
		die("a record of %zu bytes that says %u", size, ev->length);
	if (l->n < l->max)
		l->events[l->n] = *ev;
	l->n++;
	return 0;
}

static struct ct_listeners get_listeners(void)
{
	struct ct_listeners all;
	__u32 zero = 0;

	bpf_map_lookup_elem(map_fd(skel->maps.listener_state), &zero, &all);
	return all;
}

static void put_mask(__u32 slot, __u32 mask)
{
	struct ct_listeners all = get_listeners();
	__u32 zero = 0;

	all.slot[slot] = (struct ct_listener){ .mask = mask };
	all.listening = 0;
	for (__u32 i = 0; i < CT_LISTENERS; i++)
		all.listening |= all.slot[i].mask;
	put(skel->maps.listener_state, &zero, &all);
}

struct ct_listener get_listener(__u32 slot)
{
	return get_listeners().slot[slot];
}

static void forget_ring(__u32 slot)
{
	struct listener *l = &listeners[slot];

	if (!l->reader)
		return;
	bpf_map_delete_elem(map_fd(skel->maps.listeners), &slot);
	ring_buffer__free(l->reader);
	close(l->ring);
	memset(l, 0, sizeof(*l));
}

/*
 * The ring first, then the mask, as user/listener.c does it. A ring is kept for the next listener
 * in its place, because to register one takes a grace period.
 */
void listen_begin(__u32 slot, __u32 mask, __u32 size)
{
	struct listener *l = &listeners[slot];

	if (l->reader && l->size == size) {
		listen_take(slot, NULL, 0);
		put_mask(slot, mask);
		return;
	}
	forget_ring(slot);
	l->size = size;
	l->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ct_test_ring", 0, 0, size, NULL);
	if (l->ring < 0)
		die("a ring of %u bytes: %s", size, strerror(errno));
	l->reader = ring_buffer__new(l->ring, take, l, NULL);
	if (!l->reader)
		die("reading a ring: %s", strerror(errno));
	put(skel->maps.listeners, &slot, &l->ring);
	put_mask(slot, mask);
}

void listen_end(__u32 slot)
{
	put_mask(slot, 0);
}

static struct listener backlogs[CT_LISTENERS];

void listen_keep(__u32 slot, __u32 size)
{
	struct listener *l = &backlogs[slot];

	if (l->reader) {
		bpf_map_delete_elem(map_fd(skel->maps.backlogs), &slot);
		ring_buffer__free(l->reader);
		close(l->ring);
		memset(l, 0, sizeof(*l));
	}
	if (!size)
		return;
	l->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ct_test_backlog", 0, 0, size, NULL);
	l->reader = l->ring < 0 ? NULL : ring_buffer__new(l->ring, take, l, NULL);
	if (!l->reader)
		die("a backlog of %u bytes: %s", size, strerror(errno));
	put(skel->maps.backlogs, &slot, &l->ring);
}

static size_t take_from(struct listener *l, struct ct_event *events, size_t max);

size_t listen_take_kept(__u32 slot, struct ct_event *events, size_t max)
{
	return take_from(&backlogs[slot], events, max);
}

size_t listen_take(__u32 slot, struct ct_event *events, size_t max)
{
	return take_from(&listeners[slot], events, max);
}

static size_t take_from(struct listener *l, struct ct_event *events, size_t max)
{
	l->events = events;
	l->max = max;
	l->n = 0;
	ring_buffer__consume(l->reader);
	return l->n;
}

/* --- policies -------------------------------------------------------------------------------- */

static struct bpf_object *policy[HOOKS];

/* Their object files are built by tests/run.sh: one for XDP, one for tc. */
static int policy_program[HOOKS];

void policy_begin(enum hook hook, const char *name)
{
	const char *folder = getenv("O");
	struct bpf_program *prog, *chosen = NULL;
	struct bpf_map *map;
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/tests/prog/policy_%s.o", folder ? folder : "build",
		 hook == XDP ? "xdp" : "tc");
	policy[hook] = bpf_object__open_file(path, NULL);
	if (!policy[hook])
		die("%s: %s", path, strerror(errno));
	bpf_object__for_each_map (map, policy[hook]) {
		struct bpf_map *ours = bpf_object__find_map_by_name(skel->obj, bpf_map__name(map));

		err = ours ? bpf_map__reuse_fd(map, map_fd(ours)) : 0;
		if (err)
			die("sharing the map %s: %s", bpf_map__name(map), strerror(-err));
	}
	bpf_object__for_each_program (prog, policy[hook]) {
		bool mine = !strcmp(bpf_program__name(prog), name);

		bpf_program__set_autoload(prog, mine);
		bpf_program__set_expected_attach_type(prog, 0);
		if (mine)
			chosen = prog;
	}
	if (!chosen)
		die("%s: no program %s", path, name);
	err = bpf_object__load(policy[hook]);
	if (err)
		die("loading the policy %s: %s", name, strerror(-err));
	policy_program[hook] = bpf_program__fd(chosen);
	put_stage(hook, CT_STAGE_POLICY, policy_program[hook]);
}

int policy_fd(enum hook hook)
{
	return policy_program[hook];
}

__u64 policy_memory(__u32 word)
{
	for (int hook = 0; hook < HOOKS; hook++) {
		const struct bpf_map *map;
		__u64 value = 0;

		if (!policy[hook])
			continue;
		map = bpf_object__find_map_by_name(policy[hook], "policy_memory");
		if (!map || bpf_map_lookup_elem(map_fd(map), &word, &value))
			die("the policy's memory: %s", strerror(errno));
		return value;
	}
	return 0;
}

void policy_end(enum hook hook)
{
	put_stage(hook, CT_STAGE_POLICY, -1);
	bpf_object__close(policy[hook]);
	policy[hook] = NULL;
}

/* --- what must hold -------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static const char *broken(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

static const char *counters_broken(void)
{
	const struct ct_stats s = get_stats();
	const struct ct_state st = get_state();
	const __u64 *c = CT_COUNTER_OF(&s);
	size_t flows = table_elements(), unconfirmed = unconfirmed_elements();
	__u64 ends = 0, left;

	for (int i = 1; i < CT_END_MAX; i++)
		ends += CT_END_OF(&s)[i];
	if (st.flows != flows)
		return broken("state.flows: got %llu, wanted %zu as in the maps", st.flows, flows);
	if (c[CT_C_CONFIRMED] != flows + c[CT_C_DESTROYED])
		return broken("confirmed: got %llu, wanted %zu flows + %llu destroyed",
			      c[CT_C_CONFIRMED], flows, c[CT_C_DESTROYED]);
	if (ends != c[CT_C_DESTROYED])
		return broken("destroyed: got %llu, wanted %llu, the sum of reasons",
			      c[CT_C_DESTROYED], ends);
	if (c[CT_C_EVICTED] != s.ends.evicted)
		return broken("evicted: got %llu, wanted %llu", c[CT_C_EVICTED],
			      s.ends.evicted);
	left = c[CT_C_CREATED] - c[CT_C_CONFIRMED] - c[CT_C_DROPPED_UNCONFIRMED] -
	       c[CT_C_SWEPT_UNCONFIRMED] - c[CT_C_LOST_UNCONFIRMED];
	if (left != unconfirmed || st.unconfirmed != unconfirmed)
		return broken("unconfirmed: %zu in the map, %llu in state, %llu by the counters "
			      "(created %llu, confirmed %llu, dropped %llu, swept %llu, lost %llu)",
			      unconfirmed, st.unconfirmed, left, c[CT_C_CREATED], c[CT_C_CONFIRMED],
			      c[CT_C_DROPPED_UNCONFIRMED], c[CT_C_SWEPT_UNCONFIRMED],
			      c[CT_C_LOST_UNCONFIRMED]);
	return NULL;
}

/* 1 unreplied, 2 replied, 3 assured: the upper two bits of a slot's hint. */
static int hint_class(const struct ct_entry *e)
{
	return e->status & CT_S_ASSURED ? 3 : e->status & CT_S_SEEN_REPLY ? 2 : 1;
}

/* One entry: under its own key, owned by nobody, in its slot, which says how expendable it is. */
static const char *entry_broken(const struct bpf_map *index, const void *key, size_t key_size,
				const struct ct_entry *e, __u8 *slots)
{
	__u32 hash = ct_hash_words(key, (int)key_size / 4, skel->rodata->ct_salt);
	__u8 kept[64];
	size_t pad = key_size - 1;

	if (e->word >> CT_WORD_HASH_SHIFT != hash)
		return broken("an entry's word has hash %08llx, its key %08x",
			      e->word >> CT_WORD_HASH_SHIFT, hash);
	if ((e->word & CT_WORD_PHASE) != CT_WORD_LIVE)
		return broken("an entry at rest is in phase %llx", e->word & CT_WORD_PHASE);
	if (!(e->status & CT_S_CONFIRMED) || e->status & CT_S_DYING)
		return broken("an entry in the table has status %x", e->status);
	if (e->slot >= world_size || slots[e->slot]++)
		return broken("slot %u has two owners, or is none", e->slot);
	if (bpf_map_lookup_elem(map_fd(index), &e->slot, kept) || memcmp(kept, key, pad))
		return broken("slot %u does not hold the key of its entry", e->slot);
	if (kept[pad] >> 6 != hint_class(e))
		return broken("slot %u: hint of class %d, wanted %d", e->slot, kept[pad] >> 6,
			      hint_class(e));
	return NULL;
}

/* One family's table, slots and free slots. */
static const char *table_broken(const struct bpf_map *map, const struct bpf_map *index,
				const struct bpf_map *queue, __u32 used)
{
	static __u8 slots[1 << 20];
	static __u32 vacant[1 << 20];
	__u8 key[64], next[64];
	size_t size = bpf_map__key_size(map), n = 0, m = 0;
	const char *wrong = NULL;
	struct ct_entry e;
	int err = bpf_map_get_next_key(map_fd(map), NULL, next);

	if (world_size > sizeof(slots))
		die("the harness has no room for %u slots", world_size);
	memset(slots, 0, world_size);
	for (; !err && !wrong; n++) {
		memcpy(key, next, size);
		if (bpf_map_lookup_elem(map_fd(map), key, &e))
			return broken("an entry went away while nobody was there");
		wrong = entry_broken(index, key, size, &e, slots);
		err = bpf_map_get_next_key(map_fd(map), key, next);
	}
	while (m < world_size && !bpf_map_lookup_and_delete_elem(map_fd(queue), NULL, &vacant[m]))
		m++;
	for (size_t i = 0; i < m; i++) {
		bpf_map_update_elem(map_fd(queue), NULL, &vacant[i], BPF_ANY);
		if (!wrong && (vacant[i] >= world_size || slots[vacant[i]]++))
			wrong = broken("slot %u is free and taken, or is none", vacant[i]);
		if (!wrong && !bpf_map_lookup_elem(map_fd(index), &vacant[i], key) &&
		    key[size - 1] >> 6)
			wrong = broken("the hint of free slot %u says that it is taken", vacant[i]);
	}
	if (!wrong && n + m != (used < world_size ? used : world_size))
		wrong = broken("slots: %zu taken, %zu free, %u used ever", n, m, used);
	return wrong;
}

static struct ct_source counted[1 << 16];

/* The sources of a family's flows that are counted, behind the `n` that are there. */
static size_t counted_of(const struct bpf_map *map, size_t n)
{
	__u8 key[64], next[64];
	int err = bpf_map_get_next_key(map_fd(map), NULL, next);
	struct ct_tuple original;
	struct ct_entry e;

	for (; !err; err = bpf_map_get_next_key(map_fd(map), key, next)) {
		memcpy(key, next, bpf_map__key_size(map));
		if (bpf_map_lookup_elem(map_fd(map), key, &e) || !(e.status & CT_S_COUNTED))
			continue;
		if (map == skel->maps.ct4)
			ct_tuple_of_key4(&original, (void *)key, e.swapped & 1);
		else
			ct_tuple_of_key6(&original, (void *)key, e.swapped & 1);
		if (n < sizeof(counted) / sizeof(counted[0]))
			counted[n++] = source_of(&original);
	}
	return n;
}

static int compare_sources(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ct_source));
}

/* Every source has as many flows as say that they are counted, and there is none without. */
static const char *sources_broken(void)
{
	size_t n = counted_of(skel->maps.ct6, counted_of(skel->maps.ct4, 0)), sources = 0, at;

	qsort(counted, n, sizeof(counted[0]), compare_sources);
	for (size_t i = 0; i < n; i = at) {
		__u64 word = 0;

		for (at = i; at < n && !compare_sources(&counted[at], &counted[i]); at++)
			;
		sources++;
		if (bpf_map_lookup_elem(map_fd(skel->maps.sources), &counted[i], &word) ||
		    (__u32)word != at - i)
			return broken("a source has %zu flows, but %x is the count", at - i, (__u32)word);
	}
	if (source_elements() != sources)
		return broken("%zu sources are counted, and %zu have flows", source_elements(), sources);
	return NULL;
}

const char *world_broken(void)
{
	struct ct_state st = get_state();
	const char *wrong = counters_broken();

	if (!wrong)
		wrong = table_broken(skel->maps.ct4, skel->maps.index4, skel->maps.free4,
				     st.next_slot[0]);
	if (!wrong)
		wrong = table_broken(skel->maps.ct6, skel->maps.index6, skel->maps.free6,
				     st.next_slot[1]);
	return wrong ? wrong : sources_broken();
}

/* --- conversations --------------------------------------------------------------------------- */

void talk_begin(enum hook hook, bool v6)
{
	talk = (struct talk){
		.hook = hook,
		.v6 = v6,
		.a = v6 ? "fd00:1::1" : "10.0.1.1",
		.b = v6 ? "fd00:2::1" : "10.0.2.1",
		.aport = 1000,
		.bport = 80,
		.proto = IPPROTO_TCP,
	};
}

struct pkt_desc talk_desc(enum ct_dir dir, const struct pkt_desc *d)
{
	struct pkt_desc full = *d;

	if (!full.src)
		full.src = dir == CT_ORIGINAL ? talk.a : talk.b;
	if (!full.dst)
		full.dst = dir == CT_ORIGINAL ? talk.b : talk.a;
	if (!full.sport)
		full.sport = dir == CT_ORIGINAL ? talk.aport : talk.bport;
	if (!full.dport)
		full.dport = dir == CT_ORIGINAL ? talk.bport : talk.aport;
	if (!full.proto)
		full.proto = talk.proto;
	return full;
}

struct seen talk_send(enum ct_dir dir, const struct pkt_desc *d)
{
	struct pkt_desc full = talk_desc(dir, d);
	static struct pkt p;

	build_for(talk.hook, &p, &full);
	return send_frame(talk.hook, p.data, p.len, NULL);
}

struct ct_tuple talk_tuple(void)
{
	struct pkt_desc d = { .src = talk.a,
			      .dst = talk.b,
			      .sport = talk.aport,
			      .dport = talk.bport,
			      .proto = talk.proto,
			      .l3 = true };
	struct ct_parsed parsed;
	static struct pkt p;

	/* ICMP: the question, with talk.aport for an identifier */
	if (talk.proto == (talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		d.icmp_type = talk.v6 ? 128 : 8;
		d.icmp_id = talk.aport;
	}
	d.tcp_flags = SYN;
	d.chunks = "init 1";
	pkt_build(&p, &d);
	if (ct_parse(&parsed, p.data, p.data + p.len, (__u32)p.len, CT_FRAME_L3))
		die("the harness can't tell who talks");
	parsed.tuple.zone = talk.zone;
	return parsed.tuple;
}

const char *numbered(bool v6, char text[64], unsigned int n)
{
	if (v6)
		snprintf(text, 64, "fd00::%x:%x", n >> 16, n & 0xffff);
	else
		snprintf(text, 64, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return text;
}
