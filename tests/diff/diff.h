/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differential tests: the same packets through nf_conntrack and through ours, side by side.
 *
 *	written.c	conversations for every rule, each named after it
 *	random.c	conversations out of a seed, aimed at the edges of our windows
 *	kernel.c	the running kernel's nf_conntrack, in a network namespace of its own
 *	diff.c		plays a conversation to both, compares after every packet, makes it shorter
 *
 * A conversation is a list of `struct say`, each complete in itself, so that any of them can be
 * left out and the rest still means something.
 */
#ifndef DIFF_H
#define DIFF_H

#include "harness.h"

#define TALK_MAX 400

enum say_kind {
	SAY_TCP,
	SAY_UDP,
	SAY_ICMP,  /* a query or its answer */
	SAY_ERROR, /* an ICMP error about a packet that came the other way */
	SAY_OTHER, /* a protocol that no tracker knows */
	SAY_KNOB,
	SAY_TIMEOUT, /* in seconds */
	SAY_WAIT,    /* milliseconds */
};

/* What is wrong with a packet: a byte or two written after it was built. */
enum flaw {
	NO_FLAW,
	TCP_DOFF_4,	/* a header of 16 bytes */
	TCP_DOFF_15,	/* a header that passes the packet's end */
	L4_CUT_SHORT,	/* the packet ends inside the header of TCP, UDP or ICMP */
	L4_CUT_AT_20,	/* TCP: options are announced, and cut off */
	UDP_LENGTH_7,	/* shorter than its header */
	UDP_LENGTH_MORE, /* longer than the packet */
	UDP_LENGTH_LESS, /* not all of the packet */
	UDP_LENGTH_0,
	WRONG_CHECKSUM,
	WRONG_LAST_BYTE, /* of the payload: the checksum no longer agrees */
	NO_CHECKSUM,	 /* 0 */
};

/* One thing said. As in struct pkt_desc, .win 0 is 65535 and NO_WINDOW is 0. */
struct say {
	uint8_t kind; /* enum say_kind */
	uint8_t dir;  /* CT_ORIGINAL: from a to b, whoever opens */

	uint8_t flags;
	uint32_t seq, ack;
	uint16_t win;
	uint16_t payload;
	uint16_t port;	  /* added to a's port */
	char options[96]; /* as pkt_tcp_options() */

	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	uint8_t quote;	 /* SAY_ERROR: the protocol of the packet that it is about */
	bool misdirected; /* SAY_ERROR: sent to somebody else than that packet's sender */
	uint16_t quoted;  /* SAY_ERROR: bytes of that packet, or all of it */
	uint8_t flaw;	  /* enum flaw */
	char ext[16];	  /* as struct pkt_desc's, IPv6 only */

	uint8_t knob; /* enum ct_knob; enum ct_timeout */
	uint32_t value;

	/* What the author believes: the kernel's class + 1 and TCP state + 1 after it. 0: anything */
	uint8_t want_class, want_state;
};

struct talk_list {
	bool v6;
	unsigned int n;
	struct say say[TALK_MAX];
};

/* What one side makes of a packet and has in its table afterwards. */
struct view {
	int class; /* enum ct_class, NO_CLASS: it did not come out */
	unsigned int count; /* entries */
	bool found;
	bool from_a; /* its original direction is from a to b */
	uint8_t state;
	uint16_t status; /* enum ct_status, as far as both have it */
	long timeout;	 /* seconds, rounded down */
	uint8_t scale[2], flags[2];
	uint64_t packets[2], bytes[2];
	unsigned int events[3]; /* NEW, UPDATE, DESTROY: how many this packet has caused */
};

/* The ends of a talk. */
const char *addr_of(bool v6, enum ct_dir who);
#define A_PORT 1000
#define B_PORT 80

/* The tuple of the flow that a packet belongs to, as that packet shows it. */
struct ct_tuple tuple_of(const struct say *s, bool v6);
/* The packet, for a hook, or (l3) as the kernel's TUN devices take it. */
void say_build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook);

/* --- kernel.c -------------------------------------------------------------------------------- */

/* A namespace with two TUN devices and nf_conntrack between them. Leaves the caller's behind. */
void kernel_open(void);
/* No entries, default settings. */
void kernel_begin(void);
/* Forward a packet and look at its flow. */
void kernel_say(const struct say *s, bool v6, struct view *v);
void kernel_end(const struct talk_list *t);

/* --- written.c, random.c --------------------------------------------------------------------- */

struct written {
	const char *name;
	void (*write)(void);
	struct written *next;
};
extern struct written *written_first;
/* The list that a written conversation writes. */
extern struct talk_list *writing;

/* Begin a random talk; the next thing to say, given what our table has of the flow (or NULL). */
void random_begin(uint64_t seed, struct talk_list *t);
void random_next(const struct talk_list *t, const struct ct_flow *flow, struct say *s);

#endif
