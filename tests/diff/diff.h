/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differential tests: the same packets through nf_conntrack and through ours, side by side.
 *
 *	say.c		what is said: a packet, its tuple, its text
 *	written*.c	conversations for every rule, each named after it
 *	random.c	conversations out of a seed, aimed at the edges of our windows
 *	kernel.c	the running kernel's nf_conntrack: a router and a host, in network namespaces
 *	ours.c		the loaded programs, by BPF_PROG_TEST_RUN
 *	diff.c		plays a conversation to both, compares after every packet, makes it shorter
 *	known.h		where they differ, and why
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
	SAY_UDPLITE,
	SAY_SCTP,
	SAY_GRE,
	SAY_ICMP,  /* a query or its answer */
	SAY_ERROR, /* an ICMP error about a packet that came the other way */
	SAY_OTHER, /* a protocol that no tracker knows */
	/* From here on not a packet. */
	SAY_KNOB,
	SAY_TIMEOUT, /* in seconds */
	SAY_WAIT,    /* milliseconds */
	SAY_AGE,     /* seconds, which are over for every flow there is */
	SAY_KINDS,
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
	uint8_t zone; /* below ZONES */

	uint8_t flags;
	uint32_t seq, ack;
	uint16_t win;
	uint16_t payload;
	uint16_t port; /* added to a's port */
	/* As pkt_tcp_options(); SCTP: as pkt_sctp_chunks(). */
	char options[96];
	uint32_t vtag;	   /* SCTP */
	uint16_t coverage; /* UDP-Lite */
	bool call;	   /* GRE: version 1, of the call icmp_id */
	uint8_t segs;	   /* TCP: a super-packet of so many segments, where the hook can have one */

	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	/* Only a part of the packet: these bytes of what IP carries; all to its end. */
	uint16_t from, to;
	bool fragment; /* it is one, though it be whole */
	uint16_t id;
	uint16_t counted; /* bytes behind IP that ours counts of a datagram which never is complete */
	bool more; /* nothing is compared before the next has been said */

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

/* An event, as far as both sides tell the same. */
struct heard {
	uint8_t type; /* enum ct_event_type */
	struct ct_tuple tuple; /* of the original direction */
	uint16_t status;
	int state;    /* -1: not said */
	long timeout; /* seconds; -1: not said */
	bool counted; /* the counters are said */
	struct ct_counters counters[CT_DIRS];
};
#define HEARD_MAX 64

/* What one side makes of a packet and has in its table afterwards. */
struct view {
	int class; /* enum ct_class, NO_CLASS: it did not come out */
	unsigned int count; /* entries */
	bool found;
	struct ct_tuple tuple[CT_DIRS];
	uint8_t state;
	uint16_t status; /* enum ct_status, as far as both have it */
	uint32_t mark;
	long timeout; /* seconds, rounded down */
	uint8_t scale[2], flags[2]; /* TCP */
	uint32_t vtag[2];	    /* SCTP */
	struct ct_counters counters[CT_DIRS];
	struct heard events[HEARD_MAX];
	unsigned int n; /* events that this packet has caused */
};

/* --- say.c ----------------------------------------------------------------------------------- */

#define A_PORT 1000
#define B_PORT 80
#define ZONES  4

/* The ends of a talk; somebody whom no error is about. */
const char *addr_of(bool v6, enum ct_dir who);
const char *neighbour_of(bool v6, enum ct_dir who);

/* The tuple of the flow that a packet belongs to, as that packet shows it. */
struct ct_tuple tuple_of(const struct say *s, bool v6);
/* The packet, for a hook, or (l3) as the kernel's TUN devices take it. */
void say_build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook);
/* What is left of datagrams that never got complete is in the kernel for half a minute: the talk that
 * begins uses other ids. */
void say_new_ids(void);
/* Segments that the packet is made of at this hook; 0: it is an ordinary one. */
unsigned int say_segments(const struct say *s, enum hook hook);
/* As it would stand in written.c. */
void say_print(const struct say *s);

/* --- kernel.c -------------------------------------------------------------------------------- */

/*
 * Two namespaces with nf_conntrack: a router, which forwards between two TUN devices, and a host,
 * who is a, and to whom b comes by one. Leaves the caller in neither of the machine's own.
 */
void kernel_open(void);
/* No entries, default settings; the host for EGRESS, or the router. */
void kernel_begin(enum hook hook);
/* Send a packet, and see what it is taken for and what events it causes. */
void kernel_say(const struct say *s, bool v6, struct view *v);
/* Look for a flow, and count all. */
void kernel_look(const struct ct_tuple *t, struct view *v);
/* Hear what else has happened. */
void kernel_hear(struct view *v);
/* The flows there are, expired ones among them, by their original direction. */
size_t kernel_flows(struct ct_tuple *flows, size_t max);
/* The seconds a flow has left; below 0: it is not there. Set them: 0 ends it now. */
long kernel_left(const struct ct_tuple *t);
void kernel_leave(const struct ct_tuple *t, long seconds);
/* Delete all flows, one after the other. */
void kernel_end(void);

/* --- ours.c ---------------------------------------------------------------------------------- */

/* Send frames over a veth to native XDP from now on, instead of test_run; for hook XDP. */
void ours_open_veth(void);
void ours_begin(enum hook hook);
/* As their counterparts; what is wrong apart from all comparison, or NULL. */
const char *ours_say(const struct say *s, bool v6, struct view *v);
void ours_look(const struct ct_tuple *t, struct view *v, struct ct_flow *flow);
void ours_hear(struct view *v);
/* Ticks a flow has left; below 0: it is not there. */
long ours_left(const struct ct_tuple *t);
/* So many seconds are over, but not for what the kernel counts from a flow's beginning. */
void ours_age(unsigned int seconds);
/* Expired flows go, as they do in the kernel when somebody looks for them. */
void ours_sweep(void);
void ours_end(void);

/* --- written.c, random.c --------------------------------------------------------------------- */

struct written {
	const char *name;
	void (*write)(void);
	struct written *next;
};
extern struct written *written_first;
/* The list that a written conversation writes. */
extern struct talk_list *writing;

/* What a random talk is made of, for the account of it. */
#define MUTATORS(X)                                                                                \
	X(LEGAL, "as the hosts say it")                                                            \
	X(DROP, "drop")                                                                            \
	X(DUPLICATE, "duplicate")                                                                  \
	X(REORDER, "reorder")                                                                      \
	X(REPLAY, "replay of something said before")                                               \
	X(REPLAY_OLD, "replay from an older connection")                                           \
	X(FLAGS, "flip flags")                                                                     \
	X(SWAP, "swap direction")                                                                  \
	X(WINDOW, "change the window")                                                             \
	X(OPTIONS, "change options")                                                               \
	X(SEQ, "sequence number at a window's edge")                                               \
	X(ACK, "ACK number at a window's edge")                                                    \
	X(RESET, "reset")                                                                          \
	X(SYN, "SYN")                                                                              \
	X(ANSWER, "answer to the last")                                                            \
	X(REUSE, "port re-use")                                                                    \
	X(ERROR, "ICMP error")                                                                     \
	X(DELAY, "delay")                                                                          \
	X(KNOB, "change a setting")                                                                \
	X(TIMEOUT, "change a timeout")                                                             \
	X(ZONE, "another zone")                                                                    \
	X(SUPER, "super-packet")                                                                   \
	X(PROTOCOL, "another protocol")                                                            \
	X(VTAG, "SCTP: another tag")                                                               \
	X(CHUNK, "SCTP: another chunk")                                                            \
	X(BUNDLE, "SCTP: chunks put together")                                                     \
	X(LENGTH, "SCTP: a chunk's length lies")

enum mutator {
#define X(id, name) M_##id,
	MUTATORS(X)
#undef X
	M_MAX,
};
extern unsigned long mutated[M_MAX];

/* Begin a random talk; the next thing to say, given what our table has of the flow (or NULL). */
void random_begin(uint64_t seed, struct talk_list *t);
void random_next(const struct talk_list *t, const struct ct_flow *flow, struct say *s);

#endif
