/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loaded programs, packet by packet, by BPF_PROG_TEST_RUN: no network, no loader, and the clock
 * in the test's hand. talk.h is what most tests are written with.
 *
 * The programs are loaded once for all tests of a file, in a network namespace of its own, so that
 * the machine's routes don't matter. The interface is lo, which is what test_run uses.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "ct_config.h"
#include "ct_event.h"
#include "ct_proto.h"
#include "ct_stats.h"
#include "ct_types.h"
#include "packet.h"

#define HZ 250

enum hook {
	XDP,	 /* the whole chain in XDP */
	INGRESS, /* tc, packets that come in and are for this host */
	EGRESS,	 /* tc, packets that this host sends */
	HOOKS,
};
extern const char *const harness_hooks[HOOKS];

enum verdict {
	PASS,
	DROP,
	REFUSED, /* by test_run itself: shorter than its headers */
};

#define NO_CLASS (-1) /* the packet was not counted: not ours */

/* What became of a packet. */
struct seen {
	enum verdict verdict;
	int class;	   /* enum ct_class or NO_CLASS */
	int reason;	   /* enum ct_reason */
	const char *wrong; /* what no packet may ever do; NULL if nothing */
};

/* --- the world: programs, maps, clock -------------------------------------------------------- */

/* The skeleton, once world_begin() has been called. */
extern struct ct_bpf *skel;
/* Entries the table may hold at most; to be set before the first world_begin(). */
extern unsigned int world_size;

/* An empty table, counters at zero, default settings, all stages filled, lo hooked at `hook`. */
void world_begin(enum hook hook);

extern __u64 *world_now; /* the clock, in ticks */
#define LATER(seconds)	   (*world_now += (__u64)((seconds)*HZ))
#define LATER_TICKS(ticks) (*world_now += (ticks))

/* Maps that tests write: read, change, write back. */
struct ct_settings get_settings(void);
void put_settings(const struct ct_settings *s);
void set_knob(enum ct_knob knob, __u32 value);
struct ct_state get_state(void);
void put_state(const struct ct_state *st);
struct ct_stats get_stats(void); /* summed up */
__u64 counter(enum ct_counter id);
__u64 ended(enum ct_end end);
__u64 reasons(enum ct_reason reason);
__u64 packets(enum ct_side side, enum ct_class class);

/* How an interface is hooked (struct ct_iface). */
void put_iface(__u32 ifindex, __u32 flags, __u8 hook, __u16 zone);
void forget_iface(__u32 ifindex);
/* Put lo, as the talk's hook needs it, into a zone. */
void put_zone(__u16 zone);
/* Fill a stage slot of a hook's array with a program, or empty it with -1. */
void put_stage(enum hook hook, enum ct_stage stage, int prog);
int stage_prog(enum hook hook, enum ct_stage stage);

/* --- packets --------------------------------------------------------------------------------- */

/* How an skb is to be; what is 0 is left as test_run makes it. */
struct skb_desc {
	__u32 ifindex;
	__u32 ingress_ifindex; /* where it came in, of a forwarded packet */
	__u32 gso_size, gso_segs;
};

/* Run a hook's entry program on a frame. */
struct seen send_frame(enum hook hook, const void *frame, size_t len, const struct skb_desc *skb);
/* Run any program on a frame; what it returned, or -errno. */
int run_prog(int prog, const void *frame, size_t len);
/* A hook's entry program on a frame, `times` times, and nothing is looked at: for many threads. */
void run_hook(enum hook hook, const void *frame, size_t len, const struct skb_desc *skb,
	      unsigned int times);
/* Run a stage by itself, on the record as it is. */
enum verdict run_stage(enum hook hook, enum ct_stage stage);
/* Overwrite the record's ABI number. */
void put_record_abi(enum hook hook, __u32 abi);
/* The frame of a description as it has to look for a hook (its destination is lo's MAC). */
void build_for(enum hook hook, struct pkt *p, const struct pkt_desc *d);

/* --- control programs ------------------------------------------------------------------------ */

/* 0, -ENOENT, or what else the program says. */
int flow_get(const struct ct_tuple *tuple, struct ct_flow *flow);
int flow_delete(const struct ct_tuple *tuple, __u64 word, enum ct_end reason);
/* Run the sweep once, as its timer would; `unconfirmed`: every unconfirmed entry goes. */
void sweep(void);
void sweep_unconfirmed(void);
/* Flush both tables, without regard to listeners; how many went. */
long flush(enum ct_end reason);
/* One call of the flush of IPv4's table, which stops where a listener has no room. */
void flush_once(enum ct_end reason);
/* Every flow that dump shows, into `flows`; how many; or that it stopped at one which somebody owns. */
#define DUMP_STOPPED ((size_t)-1)
size_t dump(struct ct_flow *flows, size_t max);
/* Elements of the maps themselves. */
size_t table_elements(void);
size_t unconfirmed_elements(void);
size_t fragment_elements(void); /* datagrams of which something is missing */
size_t source_elements(void);
/* The flows that are counted for the source of this flow. */
__u32 source_count(const struct ct_tuple *original);
/* The entry as it is in the map, owned or not. */
int raw_get(const struct ct_tuple *tuple, struct ct_entry *e);
int raw_put(const struct ct_tuple *tuple, const struct ct_entry *e);
/* Put an entry among the unconfirmed, by the tuple of its first packet. */
void put_unconfirmed(const struct ct_tuple *tuple, const struct ct_entry *e);

/* Entries whose time was up `ticks` ago or earlier, and which are still in the map. */
size_t overdue(__u64 ticks);

/* --- listeners ------------------------------------------------------------------------------- */

/* Listen in this slot for events of `mask` (1 << enum ct_event_type), with a ring of `size` bytes.
 */
void listen_begin(__u32 slot, __u32 mask, __u32 size);
void listen_end(__u32 slot);
/* Take what is in the ring: up to `max` records, how many there were. */
size_t listen_take(__u32 slot, struct ct_event *events, size_t max);
/* A backlog of `size` bytes for the listener of this slot (0: none any more), and what is in that. */
void listen_keep(__u32 slot, __u32 size);
size_t listen_take_kept(__u32 slot, struct ct_event *events, size_t max);
struct ct_listener get_listener(__u32 slot);

/* --- policies -------------------------------------------------------------------------------- */

/*
 * Load the program `name` of tests/prog/policy.bpf.c for a hook, working on our maps, and fill the
 * policy's slot with it. Its map `policy_memory` of `n` words is read by policy_memory().
 */
void policy_begin(enum hook hook, const char *name);
int policy_fd(enum hook hook); /* of that program */
__u64 policy_memory(__u32 word);
void policy_end(enum hook hook);

/* --- invariants ------------------------------------------------------------------------------ */

/* What must hold at any time; NULL, or the first thing that does not. */
const char *world_broken(void);

/* --- conversations --------------------------------------------------------------------------- */

/* Who talks: filled in by talk_begin(), may be changed by the script. */
extern struct talk {
	enum hook hook;
	bool v6;
	const char *a, *b; /* a opens */
	uint16_t aport, bport;
	uint8_t proto;
	uint16_t zone;
	struct seen last; /* the last packet */
} talk;

/* The tuple of packets from a to b. */
struct ct_tuple talk_tuple(void);
/* Addresses by number, e.g. for many flows: 10.0.0.0/8 or fd00::/16 plus n. */
const char *numbered(bool v6, char text[64], unsigned int n);
/* The description, its blanks filled in from `talk`. */
struct pkt_desc talk_desc(enum ct_dir dir, const struct pkt_desc *d);
/* Send it. */
struct seen talk_send(enum ct_dir dir, const struct pkt_desc *d);
void talk_begin(enum hook hook, bool v6);

#endif
