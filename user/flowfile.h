/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows in a file: what `save` writes and `restore` reads. Pure: bytes in memory, no clock of its own.
 *
 * The format
 * ----------
 * Numbers are unsigned and little-endian; addresses, ports, call ids and tags are as on the wire.
 *
 *	8	"ctflows\n"
 *	4	version: 1
 *	4	bytes from the beginning of the file to the first row
 *	8	when it was saved: ns since 1970
 *	1	kinds of rows, 1 to 32; and of each kind, from 0 on:
 *		1	columns; and of each:
 *			1	length of the name
 *			-	name
 *			1	bytes in a row
 *	then the rows:
 *	1	kind
 *	-	columns, one behind the other
 *	and behind the last:
 *	1	255
 *	8	how many rows there were
 *	4	CRC-32 (that of gzip) of everything before it
 *
 * So a row takes no more than its flow has to say, and the file can be written to a pipe. Which columns
 * there are is below: their meaning never changes under their name. Another version may have more or
 * fewer, or wider ones. What only the file has is left out; what only we have is 0; a number that
 * is too large for us is refused. The version changes when all of this does.
 *
 * The CRC finds every run of up to 32 wrong bits, any two wrong bits of half a gigabyte, and of all other
 * accidents all but one in four thousand million. A longer hash would not keep anybody from deceiving root
 * with a file of his making, as he could compute it, too; and zlib is what we are linked with anyway.
 *
 * Times: a flow's `timeout_ms` counts from the moment of the save, by the wall's clock. What has passed
 * since is subtracted when it is restored, as conntrackd(8) does it: its hosts have not stood still.
 */
#ifndef FLOWFILE_H
#define FLOWFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../include/ct_types.h"

struct ct_clock;

#define FLOWFILE_VERSION 1
/* No file is longer: 16,777,215 flows, the largest table there is, take two thirds of it. */
#define FLOWFILE_MOST (4ULL << 30)

/*
 * The columns of a row: NUMBER(id, whose, "name", bytes, member of struct ct_flow), WIRE likewise for bytes
 * that are copied. In these members times are the file's: see flowfile_leave(). `whose`: of which flows
 * it tells. The size of `src` and `dst` says which family it is.
 */
#define FLOWFILE_COLUMNS(NUMBER, WIRE)                                                             \
	WIRE(SRC4, IP4, "src", 4, tuple.src.ip)                                                    \
	WIRE(DST4, IP4, "dst", 4, tuple.dst.ip)                                                    \
	WIRE(SRC6, IP6, "src", 16, tuple.src.ip6)                                                  \
	WIRE(DST6, IP6, "dst", 16, tuple.dst.ip6)                                                  \
	WIRE(SPORT, ALL, "sport", 2, tuple.sport)                                                  \
	WIRE(DPORT, ALL, "dport", 2, tuple.dport)                                                  \
	NUMBER(ZONE, ALL, "zone", 2, tuple.zone)                                                   \
	NUMBER(PROTO, ALL, "proto", 1, tuple.proto)                                                \
	NUMBER(TIMEOUT, ALL, "timeout_ms", 8, entry.expires)                                       \
	NUMBER(MARK, ALL, "mark", 4, entry.mark)                                                   \
	NUMBER(STATUS, ALL, "status", 2, entry.status)                                             \
	NUMBER(PACKETS, ALL, "original.packets", 8, entry.counters[CT_ORIGINAL].packets)           \
	NUMBER(BYTES, ALL, "original.bytes", 8, entry.counters[CT_ORIGINAL].bytes)                 \
	NUMBER(R_PACKETS, ALL, "reply.packets", 8, entry.counters[CT_REPLY].packets)               \
	NUMBER(R_BYTES, ALL, "reply.bytes", 8, entry.counters[CT_REPLY].bytes)                     \
	NUMBER(START, ALL, "start_ns", 8, entry.start)                                             \
	NUMBER(STREAM, UDP, "udp.stream_ms", 4, entry.l4.udp.stream_at)                            \
	NUMBER(TCP_STATE, TCP, "tcp.state", 1, entry.state)                                        \
	NUMBER(END, TCP, "tcp.original.end", 4, entry.l4.tcp.peer[CT_ORIGINAL].end)                \
	NUMBER(MAXEND, TCP, "tcp.original.maxend", 4, entry.l4.tcp.peer[CT_ORIGINAL].maxend)       \
	NUMBER(MAXWIN, TCP, "tcp.original.maxwin", 4, entry.l4.tcp.peer[CT_ORIGINAL].maxwin)       \
	NUMBER(MAXACK, TCP, "tcp.original.maxack", 4, entry.l4.tcp.peer[CT_ORIGINAL].maxack)       \
	NUMBER(FLAGS, TCP, "tcp.original.flags", 1, entry.l4.tcp.peer_flags[CT_ORIGINAL])          \
	NUMBER(SCALE, TCP, "tcp.original.scale", 1, entry.l4.tcp.scale[CT_ORIGINAL])               \
	NUMBER(R_END, TCP, "tcp.reply.end", 4, entry.l4.tcp.peer[CT_REPLY].end)                    \
	NUMBER(R_MAXEND, TCP, "tcp.reply.maxend", 4, entry.l4.tcp.peer[CT_REPLY].maxend)           \
	NUMBER(R_MAXWIN, TCP, "tcp.reply.maxwin", 4, entry.l4.tcp.peer[CT_REPLY].maxwin)           \
	NUMBER(R_MAXACK, TCP, "tcp.reply.maxack", 4, entry.l4.tcp.peer[CT_REPLY].maxack)           \
	NUMBER(R_FLAGS, TCP, "tcp.reply.flags", 1, entry.l4.tcp.peer_flags[CT_REPLY])              \
	NUMBER(R_SCALE, TCP, "tcp.reply.scale", 1, entry.l4.tcp.scale[CT_REPLY])                   \
	NUMBER(LAST_SEQ, TCP, "tcp.last_seq", 4, entry.l4.tcp.last_seq)                            \
	NUMBER(LAST_ACK, TCP, "tcp.last_ack", 4, entry.l4.tcp.last_ack)                            \
	NUMBER(LAST_END, TCP, "tcp.last_end", 4, entry.l4.tcp.last_end)                            \
	NUMBER(LAST_WIN, TCP, "tcp.last_win", 2, entry.l4.tcp.last_win)                            \
	NUMBER(LAST_INDEX, TCP, "tcp.last_index", 1, entry.l4.tcp.last_index)                      \
	NUMBER(LAST_DIR, TCP, "tcp.last_dir", 1, entry.l4.tcp.last_dir)                            \
	NUMBER(SIMULTANEOUS, TCP, "tcp.simultaneous", 1, entry.l4.tcp.simultaneous)                \
	NUMBER(CHALLENGE, TCP, "tcp.challenge", 1, entry.l4.tcp.challenge)                         \
	NUMBER(LAST_SACK, TCP, "tcp.last_sack_perm", 1, entry.l4.tcp.last_sack_perm)               \
	NUMBER(LAST_SCALED, TCP, "tcp.last_scaled", 1, entry.l4.tcp.last_scaled)                   \
	NUMBER(LAST_SCALE, TCP, "tcp.last_scale", 1, entry.l4.tcp.last_scale)                      \
	NUMBER(RETRANSMITS, TCP, "tcp.retransmits", 1, entry.l4.tcp.retransmits)                   \
	NUMBER(SCTP_STATE, SCTP, "sctp.state", 1, entry.state)                                     \
	WIRE(TAG, SCTP, "sctp.original.tag", 4, entry.l4.sctp.tag[CT_ORIGINAL])                    \
	WIRE(R_TAG, SCTP, "sctp.reply.tag", 4, entry.l4.sctp.tag[CT_REPLY])                        \
	NUMBER(INIT, SCTP, "sctp.original.init", 1, entry.l4.sctp.init[CT_ORIGINAL])               \
	NUMBER(R_INIT, SCTP, "sctp.reply.init", 1, entry.l4.sctp.init[CT_REPLY])                   \
	NUMBER(WRONG_TAG, SCTP, "sctp.wrong_tag", 1, entry.l4.sctp.wrong_tag)                      \
	NUMBER(WRONG_DIR, SCTP, "sctp.wrong_dir", 1, entry.l4.sctp.wrong_dir)                      \
	NUMBER(UNTOLD, SCTP, "sctp.untold", 1, entry.l4.sctp.untold)

/* --- Times ------------------------------------------------------------------------------------ */

/*
 * Between the times of an instance and those of a file. As it leaves: `expires` becomes milliseconds
 * left at the time of `clock`, `start` the wall's, `stream_at` milliseconds to go. As it arrives, from a file
 * of the time `saved_ns`, the other way round; false: its time was over meanwhile. A clock that was
 * set back since says nothing of what has passed: then nothing has.
 */
void flowfile_leave(struct ct_flow *flow, const struct ct_clock *clock);
bool flowfile_arrive(struct ct_flow *flow, uint64_t saved_ns, const struct ct_clock *clock);

/* --- Writing ---------------------------------------------------------------------------------- */

struct flowfile_writer {
	FILE *to; /* whether it has all arrived, this says */
	uint64_t rows;
	uint32_t crc;
};

void flowfile_begin(struct flowfile_writer *w, FILE *to, uint64_t saved_ns);
/* A flow that has left. */
void flowfile_add(struct flowfile_writer *w, const struct ct_flow *flow);
void flowfile_end(struct flowfile_writer *w);

/* --- Reading ---------------------------------------------------------------------------------- */

#define FLOWFILE_KINDS 32

struct flowfile_column {
	int16_t id;   /* ours, or -1: we have none of this name */
	uint8_t size; /* in the file */
};

struct flowfile_kind {
	struct flowfile_column column[UINT8_MAX];
	size_t size; /* of a row */
	uint8_t columns;
	uint8_t family; /* CT_IPV4, CT_IPV6 */
	uint8_t whose;	/* private */
};

struct flowfile {
	uint64_t saved_ns;
	uint64_t rows;
	/* private */
	const uint8_t *first, *at, *end;
	unsigned int kinds;
	struct flowfile_kind kind[FLOWFILE_KINDS];
};

/* May this be the beginning of a file that flowfile_open() takes? */
bool flowfile_begins(const void *data, size_t size);
/*
 * Look through the whole of a file in memory. 0: every row of it can be read; or -EINVAL, and `why` says
 * in words what is wrong with it; -ENOTSUP: nothing is, but it is for another version.
 */
int flowfile_open(struct flowfile *f, const void *data, size_t size, char *why, size_t why_size);
/* The next row; false behind the last. Its word, slot and `swapped` are 0. */
bool flowfile_next(struct flowfile *f, struct ct_flow *flow);
/* Begin with the first row again. */
void flowfile_rewind(struct flowfile *f);

#endif
