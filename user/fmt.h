/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows as text: pure functions into the caller's buffer, no allocation, no clock of their own.
 *
 * Those that return char * write at `p`, end what they wrote with a NUL and return where it is,
 * so that calls can be chained; FMT_LINE bytes are enough for any one line.
 */
#ifndef FMT_H
#define FMT_H

#include <stdint.h>

#include "../include/ct_event.h"

struct ct_clock;
struct json;

/* Room for an address, and for a whole line of a flow or an event. */
#define FMT_ADDR 46
#define FMT_LINE 1024

/* What a protocol puts into the port fields of a tuple, and how it is written. */
enum fmt_ports {
	FMT_NO_PORTS,
	FMT_PORTS, /* sport, dport */
	FMT_ICMP,  /* type, code, id */
	FMT_KEYS,  /* GRE: srckey, dstkey */
};

char *fmt_u64(char *p, uint64_t value);
/* As inet_ntop() writes it. `family` is CT_IPV4 or CT_IPV6. */
char *fmt_addr(char *p, const union ct_addr *addr, uint8_t family);
/* "src=... dst=... sport=... dport=..." */
char *fmt_tuple(char *p, const struct ct_tuple *tuple);
/* "2026-01-01T00:00:00.000000Z" from nanoseconds since 1970. */
char *fmt_iso(char *p, uint64_t wall_ns);
/*
 * A line of `list`, as conntrack(8) -L prints it; `formats` is of OUT_EXTENDED, OUT_ID and
 * OUT_KTIMESTAMP. No newline.
 */
char *fmt_flow(char *p, const struct ct_flow *flow, const struct ct_clock *clock,
	       unsigned int formats);
/*
 * A line of `events`, as conntrack(8) -E prints it; OUT_TIMESTAMP puts the time in front. `dev` is
 * the name of the interface that an INVALID is about.
 */
char *fmt_event(char *p, const struct ct_event *ev, const char *dev, const struct ct_clock *clock,
		unsigned int formats);

/* "tcp", "unknown": the name conntrack(8) has for a protocol. */
const char *fmt_proto(uint8_t proto);
enum fmt_ports fmt_ports(uint8_t proto);
/* "ESTABLISHED"; NULL where the protocol has no states. */
const char *fmt_state(const struct ct_flow *flow);
/* "new", "update", "destroy"; NULL for a type we do not know. */
const char *fmt_event_type(uint16_t type);
/* "timeout", "closed", ... of an enum ct_end; NULL for none and for one we do not know. */
const char *fmt_end(uint8_t reason);

/* "tcp_flags", ... of an enum ct_reason; NULL for none and for one we do not know. */
const char *fmt_reason(uint8_t reason);

/* The packet that an INVALID is about. */
void fmt_refused_json(struct json *j, const char *key, const struct ct_event *ev, const char *dev);
/*
 * The object contract.md calls Flow; `key` as in json.h. Of the clock it uses all fields: ticks
 * for the timeout, the others for start and age.
 */
void fmt_flow_json(struct json *j, const char *key, const struct ct_flow *flow,
		   const struct ct_clock *clock);
/* Wall time, in ns since 1970, of a CLOCK_MONOTONIC time. */
uint64_t fmt_wall(const struct ct_clock *clock, uint64_t mono_ns);

#endif
