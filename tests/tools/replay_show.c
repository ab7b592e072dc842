// SPDX-License-Identifier: GPL-2.0-only
/* What became of a packet: lines for people, objects for programs. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "out.h"
#include "replay.h"

/* Lines beneath a packet's begin where its addresses do. */
#define INDENT	     "                     "
#define PACKET_WIDTH 76

/* --- names ----------------------------------------------------------------------------------- */

static const struct {
	const char *name, *help;
} classes[] = {
#define X(id, key, help) { #key, help },
	CT_CLASSES(X)
#undef X
}, reasons_known[CT_R_MAX] = {
#define X(id, class, key, help) [CT_R_##id] = { #key, help },
	CT_REASONS(X)
#undef X
};

static const char *const dirs[CT_DIRS] = { "original", "reply" };

const char *show_class(int class)
{
	return class < 0 ? "-" : classes[class].name;
}

const char *show_reason(int reason)
{
	return reasons_known[reason].name;
}

const char *show_reason_help(int reason)
{
	return reasons_known[reason].help;
}

/* The letters of tcpdump. */
static const char *flags_text(uint8_t flags)
{
	static const char letters[] = "FSRP.UEW";
	static char text[9];
	size_t n = 0;

	for (int i = 0; i < 8; i++)
		if (flags & 1 << i)
			text[n++] = letters[i];
	text[n] = '\0';
	return n ? text : "none";
}

/* --- a packet in a line ---------------------------------------------------------------------- */

struct line {
	char text[512];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, format, args);
	va_end(args);
	l->len += (size_t)n;
	if (l->len >= sizeof(l->text))
		l->len = sizeof(l->text) - 1;
}

static bool has_ports(const struct ct_tuple *t)
{
	return fmt_ports(t->proto) == FMT_PORTS && (t->sport || t->dport);
}

static void add_endpoint(struct line *l, const union ct_addr *addr, const struct ct_tuple *t,
			 uint16_t port)
{
	char text[FMT_ADDR];

	fmt_addr(text, addr, t->family);
	add(l, "%s", text);
	if (has_ports(t))
		add(l, ".%u", port);
}

static void add_tuple(struct line *l, const struct ct_tuple *t)
{
	add_endpoint(l, &t->src, t, ntohs(t->sport));
	add(l, " > ");
	add_endpoint(l, &t->dst, t, ntohs(t->dport));
	if (fmt_ports(t->proto) == FMT_NO_PORTS)
		add(l, " proto %u", t->proto);
	else
		add(l, " %s", fmt_proto(t->proto));
	if (fmt_ports(t->proto) == FMT_ICMP && (t->dport || t->sport))
		add(l, " type %u code %u id %u", ntohs(t->dport) >> 8, ntohs(t->dport) & 0xff,
		    ntohs(t->sport));
	if (fmt_ports(t->proto) == FMT_KEYS && (t->sport || t->dport))
		add(l, " key 0x%x 0x%x", ntohs(t->sport), ntohs(t->dport));
}

static void describe(struct line *l, const struct frame *f, const struct outcome *o)
{
	const struct ct_tuple *t = &o->parsed.tuple;
	struct wire_tcp tcp;

	l->len = 0;
	if (o->fate != PLAYED && !t->family) {
		add(l, "%u bytes of %u", f->caplen, f->len);
		return;
	}
	if (o->seen.class != NO_CLASS && o->record.tuple.family)
		t = &o->record.tuple; /* of what follows a fragment, too */
	if (!t->family) {
		add(l, f->ip ? "IPv%d, %u bytes" : "not IP, %u bytes",
		    f->ip ? f->v6 ? 6 : 4 : f->len, f->len);
		return;
	}
	add_tuple(l, t);
	if (frame_tcp(f, &tcp)) {
		add(l, " %s %" PRIu32 ":%" PRIu32, flags_text(tcp.flags), tcp.seq,
		    tcp.seq + tcp.payload);
		if (tcp.flags & ACK)
			add(l, " ack %" PRIu32, tcp.ack);
		add(l, " win %u", tcp.win);
	} else {
		add(l, " length %u", o->parsed.len);
	}
	if (o->parsed.icmp_error) {
		add(l, " about ");
		add_tuple(l, &o->parsed.inner);
	}
}

/* --- windows --------------------------------------------------------------------------------- */

/* The inequality of proto_tcp.h that a refused packet breaks, if it was one. */
struct broken {
	const char *rule, *what, *bound;
	uint32_t number, limit;
};

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a) < 0;
}

static bool window_broken(const struct outcome *o, struct broken *b)
{
	const struct ct_tcp *t = &o->before.entry.l4.tcp;
	const struct ct_tcp_peer *s = &t->peer[o->record.dir & 1];
	const struct ct_tcp_peer *r = &t->peer[!(o->record.dir & 1)];
	const struct ct_parsed *p = &o->parsed;

	switch (o->seen.reason) {
	case CT_R_TCP_SEQ_OVER:
		*b = (struct broken){ "I", "seq", "S.maxend", p->seq, s->maxend };
		return after(b->number, b->limit);
	case CT_R_TCP_ACK_OVER:
		*b = (struct broken){ "III", "ack", "R.end", p->ack, r->end };
		if (!after(b->number, b->limit)) {
			b->what = "sack";
			b->number = p->sack;
		}
		return after(b->number, b->limit);
	case CT_R_TCP_RST:
		*b = (struct broken){ "RST", "seq", "R.maxack", p->seq, r->maxack };
		return after(b->limit, b->number);
	default:
		return false;
	}
}

/* The packet's flow is one of TCP, and the packet could be held against it. */
static bool has_windows(const struct outcome *o)
{
	return o->had && o->parsable && !o->parsed.icmp_error &&
	       o->before.tuple.proto == IPPROTO_TCP;
}

static bool wants_windows(const struct show *s, const struct outcome *o)
{
	return has_windows(o) && (s->windows || o->seen.class == CT_INVALID);
}

static void show_peer(const char *name, const struct ct_tcp *t, enum ct_dir dir)
{
	const struct ct_tcp_peer *peer = &t->peer[dir];

	printf(INDENT "  %s (%s): ", name, dirs[dir]);
	if (peer->maxwin)
		printf("end %u maxend %u maxwin %u maxack %u scale %u\n", peer->end, peer->maxend,
		       peer->maxwin, peer->maxack, t->scale[dir]);
	else
		printf("not seen yet; end %u maxend %u\n", peer->end, peer->maxend);
}

static void show_windows(const struct show *s, const struct outcome *o)
{
	const struct ct_entry *e = &o->before.entry;
	enum ct_dir dir = o->record.dir & 1;
	struct broken b;

	printf(INDENT "before it: %s, %" PRIu64 " s left\n", fmt_state(&o->before),
	       flow_timeout(&o->before, &s->clock));
	show_peer("S", &e->l4.tcp, dir);
	show_peer("R", &e->l4.tcp, !dir);
	if (o->pieces > 1 && o->seen.class == CT_INVALID)
		printf(INDENT "of the packet, this piece: seq %u, %u bytes\n", o->parsed.seq,
		       o->parsed.payload);
	if (!window_broken(o, &b))
		return;
	if (o->seen.reason == CT_R_TCP_RST)
		printf(INDENT "%s: %s %u < %s %u, by %u\n", b.rule, b.what, b.number, b.bound,
		       b.limit, b.limit - b.number);
	else
		printf(INDENT "%s: %s %u > %s %u, by %u\n", b.rule, b.what, b.number, b.bound,
		       b.limit, b.number - b.limit);
}

/* --- text ------------------------------------------------------------------------------------ */

static void show_status(uint16_t status)
{
	const char *separator = " ";

	/* CONFIRMED goes without saying. */
#define X(id, bit, name)                                                                           \
	if (status & CT_S_##id && CT_S_##id != CT_S_CONFIRMED) {                                   \
		printf("%s%s", separator, name);                                                   \
		separator = ",";                                                                   \
	}
	CT_STATUSES(X)
#undef X
}

/* The flow as it is now, or that there was one until this packet. */
static void show_flow_state(const struct show *s, const struct outcome *o)
{
	const struct ct_flow *flow = o->has ? &o->after : &o->before;
	const char *state;

	if (!o->has && !o->had)
		return;
	state = fmt_state(flow);
	printf(" %-8s", dirs[o->record.dir & 1]);
	if (!o->has) {
		printf(" the flow is gone");
		return;
	}
	printf(" %-11s %6" PRIu64, state ? state : "-", flow_timeout(flow, &s->clock));
	show_status(flow->entry.status);
}

static void show_notes(const struct frame *f, const struct outcome *o)
{
	if (o->seen.reason)
		printf(INDENT "%s: %s\n", show_reason(o->seen.reason),
		       show_reason_help(o->seen.reason));
	if (o->seen.verdict == DROP)
		printf(INDENT "dropped\n");
	if (o->pieces > 1)
		printf(INDENT "played as %u segments\n", o->pieces);
	if (o->shortened)
		printf(INDENT "%u bytes, played as %d\n", f->len, FRAME_WHOLE);
	if (o->padded)
		printf(INDENT "%u bytes captured of %u, the rest played as zeros\n", f->caplen,
		       f->len);
	if (o->seen.wrong)
		printf(INDENT "WRONG: %s\n", o->seen.wrong);
}

static const char *not_played(enum fate fate)
{
	return fate == CUT ? "not played: the capture ends inside its headers"
			   : "not played: too short for the kernel's test_run";
}

static void show_text(const struct show *s, const struct frame *f, const struct outcome *o)
{
	struct line l;

	describe(&l, f, o);
	printf("%6lu %12.6f  %-*s", f->number, (double)(int64_t)(f->ns - s->begin_ns) / 1e9,
	       PACKET_WIDTH, l.text);
	if (o->fate != PLAYED) {
		printf(" %s\n", not_played(o->fate));
		return;
	}
	printf(" %-11s", show_class(o->seen.class));
	if (o->seen.class != NO_CLASS)
		show_flow_state(s, o);
	else if (f->way == WAY_OTHERS)
		printf(" for another host");
	putchar('\n');
	show_notes(f, o);
	if (wants_windows(s, o))
		show_windows(s, o);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void json_peer(struct json *j, const char *key, const struct ct_tcp *t, enum ct_dir dir)
{
	json_object(j, key);
	json_string(j, "direction", dirs[dir]);
	json_u64(j, "end", t->peer[dir].end);
	json_u64(j, "maxend", t->peer[dir].maxend);
	json_u64(j, "maxwin", t->peer[dir].maxwin);
	json_u64(j, "maxack", t->peer[dir].maxack);
	json_u64(j, "scale", t->scale[dir]);
	json_object_end(j);
}

static void json_windows(const struct show *s, const struct outcome *o)
{
	const struct ct_tcp *t = &o->before.entry.l4.tcp;
	enum ct_dir dir = o->record.dir & 1;
	struct broken b;

	fmt_flow_json(s->j, "before", &o->before, &s->clock);
	json_object(s->j, "window");
	json_peer(s->j, "sender", t, dir);
	json_peer(s->j, "receiver", t, !dir);
	if (window_broken(o, &b)) {
		json_string(s->j, "rule", b.rule);
		json_string(s->j, "what", b.what);
		json_u64(s->j, "number", b.number);
		json_string(s->j, "bound", b.bound);
		json_u64(s->j, "limit", b.limit);
	}
	json_object_end(s->j);
}

static void json_tcp(struct json *j, const struct wire_tcp *t)
{
	json_object(j, "tcp");
	json_string(j, "flags", flags_text(t->flags));
	json_u64(j, "seq", t->seq);
	json_u64(j, "payload", t->payload);
	json_u64(j, "ack", t->ack);
	json_u64(j, "win", t->win);
	json_object_end(j);
}

static void json_verdict(const struct show *s, const struct outcome *o)
{
	json_string(s->j, "hook", harness_hooks[o->hook]);
	json_string(s->j, "class", o->seen.class == NO_CLASS ? NULL : show_class(o->seen.class));
	json_string(s->j, "verdict", o->seen.verdict == DROP ? "drop" : "pass");
	if (o->seen.reason) {
		json_string(s->j, "reason", show_reason(o->seen.reason));
		json_string(s->j, "help", show_reason_help(o->seen.reason));
	}
	if (o->has || o->had)
		json_string(s->j, "direction", dirs[o->record.dir & 1]);
	if (o->has)
		fmt_flow_json(s->j, "flow", &o->after, &s->clock);
	if (wants_windows(s, o))
		json_windows(s, o);
	json_u64(s->j, "pieces", o->pieces);
	json_bool(s->j, "padded", o->padded);
	json_bool(s->j, "shortened", o->shortened);
	if (o->seen.wrong)
		json_string(s->j, "wrong", o->seen.wrong);
}

static void show_json(const struct show *s, const struct frame *f, const struct outcome *o)
{
	struct wire_tcp tcp;
	struct line l;
	char time[32];

	fmt_iso(time, f->ns);
	describe(&l, f, o);
	json_object(s->j, NULL);
	json_u64(s->j, "packet", f->number);
	json_string(s->j, "time", time);
	json_u64(s->j, "captured", f->caplen);
	json_u64(s->j, "length", f->len);
	json_string(s->j, "text", l.text);
	if (frame_tcp(f, &tcp))
		json_tcp(s->j, &tcp);
	if (o->fate == PLAYED)
		json_verdict(s, o);
	else
		json_string(s->j, "skipped", not_played(o->fate));
	json_object_end(s->j);
}

void show_packet(const struct show *s, const struct frame *f, const struct outcome *o)
{
	if (s->json)
		show_json(s, f, o);
	else
		show_text(s, f, o);
}

/* --- events, flows --------------------------------------------------------------------------- */

void show_event(const struct show *s, const struct ct_event *ev)
{
	const struct ct_clock then = { .ticks = ev->now,
				       .mono_ns = ev->time,
				       .wall_ns = fmt_wall(&s->clock, ev->time),
				       .hz = s->clock.hz };
	char text[FMT_LINE];

	if (s->json) {
		json_object(s->j, NULL);
		json_string(s->j, "event", fmt_event_type(ev->type));
		fmt_iso(text, then.wall_ns);
		json_string(s->j, "time", text);
		if (ev->type == CT_EV_DESTROY)
			json_string(s->j, "reason", fmt_end(ev->reason));
		fmt_flow_json(s->j, "flow", &ev->flow, &then);
		json_object_end(s->j);
		return;
	}
	fmt_event(text, ev, "", &then, 0);
	printf("       %12.6f  %s%s%s\n", (double)(int64_t)(then.wall_ns - s->begin_ns) / 1e9, text,
	       ev->type == CT_EV_DESTROY ? " " : "",
	       ev->type == CT_EV_DESTROY ? fmt_end(ev->reason) : "");
}

void show_flow(const struct show *s, const struct ct_flow *flow)
{
	char text[FMT_LINE];

	if (s->json) {
		json_object(s->j, NULL);
		fmt_flow_json(s->j, "flow", flow, &s->clock);
		json_object_end(s->j);
		return;
	}
	fmt_flow(text, flow, &s->clock, 0);
	puts(text);
}
