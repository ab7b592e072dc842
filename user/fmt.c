// SPDX-License-Identifier: GPL-2.0-only
#include "fmt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "out.h"
#include "table.h"

#define NSEC_PER_SEC 1000000000ULL

/* --- names ------------------------------------------------------------------------------------ */

/* conntrack(8) knows these names; any other protocol is "unknown" to it, and so to us. */
static const struct proto {
	const char *name;
	enum fmt_ports ports;
} protos[256] = {
	[IPPROTO_ICMP] = { "icmp", FMT_ICMP },
	[IPPROTO_TCP] = { "tcp", FMT_PORTS },
	[IPPROTO_UDP] = { "udp", FMT_PORTS },
	[IPPROTO_DCCP] = { "dccp", FMT_PORTS },
	[IPPROTO_GRE] = { "gre", FMT_KEYS },
	[IPPROTO_ICMPV6] = { "icmpv6", FMT_ICMP },
	[IPPROTO_SCTP] = { "sctp", FMT_PORTS },
	[IPPROTO_UDPLITE] = { "udplite", FMT_PORTS },
};

static const char *const tcp_states[] = {
#define X(id, name) [CT_TCP_##id] = name,
	CT_TCP_STATES(X)
#undef X
};

static const char *const sctp_states[] = {
#define X(id, name) [CT_SCTP_##id] = name,
	CT_SCTP_STATES(X)
#undef X
};

static const char *const event_types[] = {
#define X(id, name, tag) [CT_EV_##id] = name,
	CT_EVENTS(X)
#undef X
};

static const char *const event_tags[] = {
#define X(id, name, tag) [CT_EV_##id] = tag,
	CT_EVENTS(X)
#undef X
};

static const char *const ends[] = {
	[CT_END_NONE] = NULL,
#define X(id, name, help) [CT_END_##id] = #name,
	CT_ENDS(X)
#undef X
};

static const char *const reasons[CT_R_MAX] = {
#define X(id, class, key, help) [CT_R_##id] = #key,
	CT_REASONS(X)
#undef X
};

static const char *const sides[] = {
#define X(id, name) [CT_##id] = #name,
	CT_HOOK_SIDES(X)
#undef X
};

const char *fmt_proto(uint8_t proto)
{
	return protos[proto].name ? protos[proto].name : "unknown";
}

enum fmt_ports fmt_ports(uint8_t proto)
{
	return protos[proto].ports;
}

const char *fmt_state(const struct ct_flow *flow)
{
	unsigned int state = flow->entry.state;

	switch (flow->tuple.proto) {
	case IPPROTO_TCP:
		return state < CT_TCP_STATE_MAX ? tcp_states[state] : "UNKNOWN";
	case IPPROTO_SCTP:
		return state < CT_SCTP_STATE_MAX ? sctp_states[state] : "UNKNOWN";
	default:
		return NULL;
	}
}

const char *fmt_event_type(uint16_t type)
{
	if (type == CT_EV_SYNC)
		return "sync";
	return type < CT_EV_MAX ? event_types[type] : NULL;
}

const char *fmt_end(uint8_t reason)
{
	return reason < CT_END_MAX ? ends[reason] : NULL;
}

const char *fmt_reason(uint8_t reason)
{
	return reason < CT_R_MAX ? reasons[reason] : NULL;
}

/* --- pieces ----------------------------------------------------------------------------------- */

static char *put(char *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p, text, n + 1);
	return p + n;
}

/* The text in a column of at least `width`. */
static char *put_padded(char *p, const char *text, int width)
{
	char *end = put(p, text);

	while (end < p + width)
		*end++ = ' ';
	*end = '\0';
	return end;
}

char *fmt_u64(char *p, uint64_t value)
{
	char digits[20], *d = digits + sizeof(digits);
	size_t n;

	do {
		*--d = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	n = (size_t)(digits + sizeof(digits) - d);
	memcpy(p, d, n);
	p[n] = '\0';
	return p + n;
}

static char *put_hex(char *p, unsigned int value)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 28;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digits[value >> shift & 15];
	*p = '\0';
	return p;
}

/* `width` digits of it, with leading zeros. */
static char *put_digits(char *p, uint64_t value, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		p[i] = (char)('0' + value % 10);
		value /= 10;
	}
	p[width] = '\0';
	return p + width;
}

static char *put_ip4(char *p, const uint8_t *byte)
{
	for (int i = 0; i < 4; i++) {
		unsigned int v = byte[i];

		if (v >= 100)
			*p++ = (char)('0' + v / 100);
		if (v >= 10)
			*p++ = (char)('0' + v / 10 % 10);
		*p++ = (char)('0' + v % 10);
		*p++ = '.';
	}
	*--p = '\0';
	return p;
}

/* The longest run of zero words, the first of equals; only runs of two or more count. */
static int zero_run(const uint16_t word[8], int *length)
{
	int at = -1, longest = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !word[i + n])
			n++;
		if (n > longest) {
			at = i;
			longest = n;
		}
		i += n;
	}
	*length = at < 0 ? 0 : longest;
	return at;
}

/* RFC 5952 in inet_ntop()'s reading: ::a.b.c.d and ::ffff:a.b.c.d have a dotted end. */
static char *put_ip6(char *p, const uint8_t *byte)
{
	uint16_t word[8];
	int at, length;

	for (int i = 0; i < 8; i++)
		word[i] = (uint16_t)(byte[2 * i] << 8 | byte[2 * i + 1]);
	at = zero_run(word, &length);
	for (int i = 0; i < 8; i++) {
		if (i == at) {
			*p++ = ':';
			i += length - 1;
			if (i == 7)
				*p++ = ':';
			continue;
		}
		if (i)
			*p++ = ':';
		if (i == 6 && at == 0 && (length == 6 || (length == 5 && word[5] == 0xffff)))
			return put_ip4(p, byte + 12);
		p = put_hex(p, word[i]);
	}
	*p = '\0';
	return p;
}

char *fmt_addr(char *p, const union ct_addr *addr, uint8_t family)
{
	const uint8_t *bytes = (const uint8_t *)addr;

	return family == CT_IPV6 ? put_ip6(p, bytes) : put_ip4(p, bytes);
}

/* The type and the code of an ICMP query share the field of the destination port. */
static unsigned int icmp_type(const struct ct_tuple *t)
{
	return ntohs(t->dport) >> 8;
}

static unsigned int icmp_code(const struct ct_tuple *t)
{
	return ntohs(t->dport) & 0xff;
}

char *fmt_tuple(char *p, const struct ct_tuple *t)
{
	p = fmt_addr(put(p, "src="), &t->src, t->family);
	p = fmt_addr(put(p, " dst="), &t->dst, t->family);
	switch (fmt_ports(t->proto)) {
	case FMT_PORTS:
		p = fmt_u64(put(p, " sport="), ntohs(t->sport));
		p = fmt_u64(put(p, " dport="), ntohs(t->dport));
		break;
	case FMT_ICMP:
		p = fmt_u64(put(p, " type="), icmp_type(t));
		p = fmt_u64(put(p, " code="), icmp_code(t));
		p = fmt_u64(put(p, " id="), ntohs(t->sport));
		break;
	case FMT_KEYS:
		p = put_hex(put(p, " srckey=0x"), ntohs(t->sport));
		p = put_hex(put(p, " dstkey=0x"), ntohs(t->dport));
		break;
	case FMT_NO_PORTS:
		break;
	}
	return p;
}

/* --- times ------------------------------------------------------------------------------------ */

uint64_t fmt_wall(const struct ct_clock *clock, uint64_t mono_ns)
{
	return clock->wall_ns - clock->mono_ns + mono_ns;
}

/*
 * Year, month and day of a number of days since 1970-01-01: Howard Hinnant's civil_from_days.
 * Years begin on March 1st there, so that the leap day is a year's last.
 */
static void civil(uint64_t days, unsigned int *year, unsigned int *month, unsigned int *day)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*day = (unsigned int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (unsigned int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (unsigned int)(yoe + era * 400 + (*month <= 2));
}

char *fmt_iso(char *p, uint64_t wall_ns)
{
	uint64_t seconds = wall_ns / NSEC_PER_SEC;
	unsigned int year, month, day, rest = (unsigned int)(seconds % 86400);

	civil(seconds / 86400, &year, &month, &day);
	p = put_digits(p, year, 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, rest / 3600, 2);
	*p++ = ':';
	p = put_digits(p, rest / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, rest % 60, 2);
	*p++ = '.';
	p = put_digits(p, wall_ns % NSEC_PER_SEC / 1000, 6);
	return put(p, "Z");
}

/* "Fri Nov 20 09:00:42 2026", local time, as ctime() writes it. */
static char *put_ctime(char *p, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return put(p, "?");
	return p + strftime(p, 64, "%a %b %e %H:%M:%S %Y", &tm);
}

/* Nanoseconds since the flow began; 0 if that is not known. */
static uint64_t age(const struct ct_flow *flow, const struct ct_clock *clock)
{
	if (!flow->entry.start || clock->mono_ns < flow->entry.start)
		return 0;
	return clock->mono_ns - flow->entry.start;
}

/* --- lines ------------------------------------------------------------------------------------ */

static char *put_counters(char *p, const struct ct_counters *c)
{
	p = fmt_u64(put(p, " packets="), c->packets);
	return fmt_u64(put(p, " bytes="), c->bytes);
}

static char *put_ktimestamp(char *p, const struct ct_flow *flow, const struct ct_clock *clock,
			    bool stop)
{
	p = fmt_u64(put(p, " delta-time="), age(flow, clock) / NSEC_PER_SEC);
	p = put_ctime(put(p, " [start="), fmt_wall(clock, flow->entry.start));
	p = put(p, "]");
	if (!stop)
		return p;
	p = put_ctime(put(p, " [stop="), clock->wall_ns);
	return put(p, "]");
}

/* Both tuples, with what stands between and behind them. */
static char *put_directions(char *p, const struct ct_flow *flow, bool counted)
{
	const struct ct_entry *e = &flow->entry;
	struct ct_tuple reply;

	p = fmt_tuple(p, &flow->tuple);
	if (counted)
		p = put_counters(p, &e->counters[CT_ORIGINAL]);
	if (!(e->status & CT_S_SEEN_REPLY))
		p = put(p, " [UNREPLIED]");
	tuple_invert(&flow->tuple, &reply);
	p = fmt_tuple(put(p, " "), &reply);
	if (counted)
		p = put_counters(p, &e->counters[CT_REPLY]);
	if (e->status & CT_S_ASSURED)
		p = put(p, " [ASSURED]");
	return p;
}

/*
 * A flow, or what an event says of it (`ev`, else NULL). The differences between the two are
 * those of conntrack(8): counters in an event only when the flow is destroyed, no timeout when
 * there is none left, mark only if it has one, no use count. A flow of the table is as in `list`.
 */
static char *put_flow(char *p, const struct ct_flow *flow, const struct ct_clock *clock,
		      unsigned int formats, const struct ct_event *ev)
{
	const struct ct_entry *e = &flow->entry;
	const char *state = fmt_state(flow);
	bool destroyed = ev && ev->type == CT_EV_DESTROY;
	/* Without accounting conntrack(8) has no counters to print; ours are then all zero. */
	bool counted = (!ev || destroyed) &&
		       (e->counters[CT_ORIGINAL].packets || e->counters[CT_REPLY].packets);
	uint64_t timeout = flow_timeout(flow, clock);

	if (formats & OUT_EXTENDED)
		p = put(p, flow->tuple.family == CT_IPV6 ? "ipv6     10 " : "ipv4     2 ");
	p = put_padded(p, fmt_proto(flow->tuple.proto), 8);
	p = fmt_u64(put(p, " "), flow->tuple.proto);
	if (timeout || !destroyed)
		p = fmt_u64(put(p, " "), timeout);
	if (state)
		p = put(put(p, " "), state);
	p = put_directions(put(p, " "), flow, counted);

	if (!ev || e->mark)
		p = fmt_u64(put(p, " mark="), e->mark);
	if (flow->tuple.zone)
		p = fmt_u64(put(p, " zone="), flow->tuple.zone);
	if ((formats & OUT_KTIMESTAMP) && e->start && (!ev || destroyed))
		p = put_ktimestamp(p, flow, clock, destroyed);
	if (!ev)
		p = put(p, " use=1");
	if (formats & OUT_ID)
		p = fmt_u64(put(p, " id="), flow_id(flow));
	return p;
}

char *fmt_flow(char *p, const struct ct_flow *flow, const struct ct_clock *clock,
	       unsigned int formats)
{
	return put_flow(p, flow, clock, formats, NULL);
}

/* "SYN,ACK"; "none" */
static char *put_tcp_flags(char *p, uint8_t flags)
{
	char *begin = p;

#define X(id, bit, name)                                 \
	if (flags & (bit))                               \
		p = put(p, p > begin ? "," name : name);
	CT_TCP_FLAGS(X)
#undef X
	return p > begin ? p : put(p, "none");
}

/* A refused packet: its tuple, then what the kernel's log_invalid has. */
static char *put_refused(char *p, const struct ct_event *ev, const char *dev)
{
	const struct ct_refused *packet = &ev->refused;

	if (ev->tuple.family) {
		p = put_padded(p, fmt_proto(ev->tuple.proto), 8);
		p = fmt_u64(put(p, " "), ev->tuple.proto);
		p = put(fmt_tuple(put(p, " "), &ev->tuple), " ");
	}
	p = put(put(p, "reason="), fmt_reason(ev->reason) ?: "unknown");
	p = put(put(p, packet->side == CT_EGRESS ? " out=" : " in="), dev);
	p = fmt_u64(put(p, " len="), packet->len);
	if (ev->tuple.proto == IPPROTO_TCP && ev->tuple.family) {
		p = put_tcp_flags(put(p, " flags="), packet->tcp_flags);
		p = fmt_u64(put(p, " seq="), packet->seq);
		p = fmt_u64(put(p, " ack="), packet->ack);
		p = fmt_u64(put(p, " win="), packet->win);
	}
	if (ev->tuple.zone)
		p = fmt_u64(put(p, " zone="), ev->tuple.zone);
	return p;
}

char *fmt_event(char *p, const struct ct_event *ev, const char *dev, const struct ct_clock *clock,
		unsigned int formats)
{
	uint64_t wall_ns = clock->wall_ns;

	if (formats & OUT_TIMESTAMP) {
		p = fmt_u64(put(p, "["), wall_ns / NSEC_PER_SEC);
		p = put_digits(put(p, "."), wall_ns % NSEC_PER_SEC / 1000, 6);
		p = put(p, "]\t");
	}
	if (ev->type == CT_EV_SYNC)
		return put_flow(put(p, "   [SYNC] "), &ev->flow, clock, formats, NULL);
	if (ev->type < CT_EV_MAX)
		p = put(p, event_tags[ev->type]);
	if (ev->type == CT_EV_INVALID)
		return put_refused(p, ev, dev);
	return put_flow(p, &ev->flow, clock, formats, ev);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_addr(struct json *j, const char *key, const union ct_addr *addr, uint8_t family)
{
	char text[FMT_ADDR];

	fmt_addr(text, addr, family);
	json_string(j, key, text);
}

static void json_tuple(struct json *j, const struct ct_tuple *t)
{
	json_addr(j, "src", &t->src, t->family);
	json_addr(j, "dst", &t->dst, t->family);
	switch (fmt_ports(t->proto)) {
	case FMT_PORTS:
		if (t->proto == IPPROTO_DCCP)
			break; /* is tracked by address alone: it has no ports to show */
		json_u64(j, "sport", ntohs(t->sport));
		json_u64(j, "dport", ntohs(t->dport));
		break;
	case FMT_ICMP:
		json_u64(j, "type", icmp_type(t));
		json_u64(j, "code", icmp_code(t));
		json_u64(j, "id", ntohs(t->sport));
		break;
	case FMT_KEYS:
		json_u64(j, "key", ntohs(t->dport)); /* what packets of this direction carry */
		break;
	case FMT_NO_PORTS:
		break;
	}
}

static void json_direction(struct json *j, const char *key, const struct ct_tuple *t,
			   const struct ct_counters *c)
{
	json_object(j, key);
	json_tuple(j, t);
	json_u64(j, "packets", c->packets);
	json_u64(j, "bytes", c->bytes);
	json_object_end(j);
}

static void json_status(struct json *j, const char *key, uint16_t status)
{
	json_array(j, key);
#define X(id, bit, name)                                                                           \
	if (status & CT_S_##id)                                                                    \
		json_string(j, NULL, name);
	CT_STATUSES(X)
#undef X
	json_array_end(j);
}

void fmt_flow_json(struct json *j, const char *key, const struct ct_flow *flow,
		   const struct ct_clock *clock)
{
	const struct ct_entry *e = &flow->entry;
	const char *state = fmt_state(flow);
	struct ct_tuple reply;
	char time[32];

	tuple_invert(&flow->tuple, &reply);
	json_object(j, key);
	json_string(j, "family", flow->tuple.family == CT_IPV6 ? "ipv6" : "ipv4");
	json_string(j, "proto", fmt_proto(flow->tuple.proto));
	json_u64(j, "protonum", flow->tuple.proto);
	if (state)
		json_string(j, "state", state);
	json_u64(j, "timeout", flow_timeout(flow, clock));
	json_u64(j, "zone", flow->tuple.zone);
	json_u64(j, "mark", e->mark);
	json_u64(j, "id", flow_id(flow));
	json_bool(j, "assured", e->status & CT_S_ASSURED);
	json_bool(j, "replied", e->status & CT_S_SEEN_REPLY);
	json_status(j, "status", e->status);
	json_direction(j, "original", &flow->tuple, &e->counters[CT_ORIGINAL]);
	json_direction(j, "reply", &reply, &e->counters[CT_REPLY]);
	if (e->start) {
		fmt_iso(time, fmt_wall(clock, e->start));
		json_string(j, "start", time);
		json_fixed(j, "age", age(flow, clock) / 1000000, 3);
	}
	json_object_end(j);
}

static void json_tcp(struct json *j, const struct ct_refused *packet)
{
	json_object(j, "tcp");
	json_array(j, "flags");
#define X(id, bit, name)                    \
	if (packet->tcp_flags & (bit))      \
		json_string(j, NULL, name);
	CT_TCP_FLAGS(X)
#undef X
	json_array_end(j);
	json_u64(j, "seq", packet->seq);
	json_u64(j, "ack", packet->ack);
	json_u64(j, "win", packet->win);
	json_object_end(j);
}

void fmt_refused_json(struct json *j, const char *key, const struct ct_event *ev, const char *dev)
{
	json_object(j, key);
	json_string(j, "interface", dev);
	json_string(j, "hook", ev->refused.side < CT_SIDES ? sides[ev->refused.side] : "");
	json_u64(j, "len", ev->refused.len);
	if (ev->tuple.family) {
		json_string(j, "family", ev->tuple.family == CT_IPV6 ? "ipv6" : "ipv4");
		json_string(j, "proto", fmt_proto(ev->tuple.proto));
		json_u64(j, "protonum", ev->tuple.proto);
		json_u64(j, "zone", ev->tuple.zone);
		json_tuple(j, &ev->tuple);
		if (ev->tuple.proto == IPPROTO_TCP)
			json_tcp(j, &ev->refused);
	}
	json_object_end(j);
}
