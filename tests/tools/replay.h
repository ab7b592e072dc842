/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Play a capture through the loaded programs (replay.c), which takes frames from a file
 * (replay_capture.c) and shows what became of each (replay_show.c).
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "fmt.h"
#include "harness.h"
#include "pkt.h"
#include "table.h"

#define NSEC_PER_SEC 1000000000ULL

/* --- frames from a capture ------------------------------------------------------------------- */

#define FRAME_ROOM (1 << 19)
/* What test_run takes in one piece: a page, less the room that it keeps for itself. */
#define FRAME_WHOLE 3500

enum way {
	WAY_UNKNOWN, /* most captures do not say */
	WAY_IN,
	WAY_OUT,    /* sent by the host that captured it */
	WAY_OTHERS, /* for another host: seen because the interface was promiscuous */
};

/* A packet, with an Ethernet header whatever it was captured with. */
struct frame {
	unsigned long number; /* in the capture, from 1 */
	uint64_t ns;	      /* since 1970 */
	uint32_t caplen, len; /* as the capture says */
	enum way way;
	bool ethernet; /* it has been captured as Ethernet */

	/* Offsets in data; 0: there is none, or it is not in the capture. */
	size_t ip, l4;
	size_t ip_end;
	bool v6;
	uint8_t proto; /* of l4 */

	size_t size;  /* of data */
	size_t known; /* of that; the rest is zeros in place of what was not captured */
	/* As in an skb: the IP header, behind Ethernet's 14 bytes, is where words are aligned. */
	_Alignas(4) uint8_t front[2];
	uint8_t data[FRAME_ROOM];
};

struct capture;

/* `expression` in libpcap's syntax; NULL on failure, which is reported. */
struct capture *capture_open(const char *file, const char *expression);
/* The next packet that the expression is true of. 1, 0 at the end, -1 when it fails (reported). */
int capture_next(struct capture *c, struct frame *f);
void capture_close(struct capture *c);

/*
 * What test_run can't take whole is played in pieces: TCP as the segments that were glued together
 * on the capturing host (GRO, TSO), all else as one packet that is shorter than it was.
 */
unsigned int frame_pieces(const struct frame *f);
struct piece {
	size_t size;
	_Alignas(4) uint8_t front[2];
	uint8_t data[FRAME_WHOLE];
};
void frame_piece(const struct frame *f, unsigned int number, struct piece *piece);

/* TCP as it is on the wire, whatever the parser says of it. */
struct wire_tcp {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint32_t payload;
	uint16_t win;
	uint8_t flags;
};
/* False if the packet has no TCP header that we could read. */
bool frame_tcp(const struct frame *f, struct wire_tcp *t);

/* --- what became of one ---------------------------------------------------------------------- */

enum fate {
	PLAYED,
	CUT,	   /* not played: the capture ends inside its headers */
	TOO_SHORT, /* not played: test_run takes no such frame */
};

struct outcome {
	enum fate fate;
	enum hook hook;
	struct seen seen;	 /* of the piece that is told of, as all that follows */
	struct ct_packet record; /* if it has a class */
	struct ct_parsed parsed;
	bool parsable; /* `parsed` holds what the packet says */
	bool had;      /* it met a flow: `before` */
	struct ct_flow before;
	bool has; /* a flow, after the packet: `after` */
	struct ct_flow after;
	unsigned int pieces;
	bool padded, shortened, unfinished; /* see warn_all() */
};

struct show {
	bool json;
	bool windows; /* of every TCP packet, not only of refused ones */
	uint64_t begin_ns;
	struct ct_clock clock; /* the packet's time */
	struct json *j;
};

const char *show_class(int class);
const char *show_reason(int reason);
const char *show_reason_help(int reason);
void show_packet(const struct show *s, const struct frame *f, const struct outcome *o);
void show_event(const struct show *s, const struct ct_event *ev);
void show_flow(const struct show *s, const struct ct_flow *flow);

#endif
