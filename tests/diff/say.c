/* SPDX-License-Identifier: GPL-2.0-only */
/* What is said: the packet, the tuple of its flow, and how it would stand in written.c. */
#include "diff.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const char *addr_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::1" : "fd00:2::1";
	return who == CT_ORIGINAL ? "10.0.1.1" : "10.0.2.1";
}

/* Routers behind either side, which send errors. */
static const char *router_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::99" : "fd00:2::99";
	return who == CT_ORIGINAL ? "10.0.1.99" : "10.0.2.99";
}

const char *neighbour_of(bool v6, enum ct_dir who)
{
	if (v6)
		return who == CT_ORIGINAL ? "fd00:1::77" : "fd00:2::77";
	return who == CT_ORIGINAL ? "10.0.1.77" : "10.0.2.77";
}

/* ICMP types are said in IPv4's numbers. */
static uint8_t type_of(uint8_t type, bool v6)
{
	static const uint8_t six[][2] = {
		{ 8, 128 }, { 0, 129 }, { 3, 1 }, { 4, 2 }, { 11, 3 }, { 12, 4 },
	};

	for (size_t i = 0; v6 && i < sizeof(six) / sizeof(six[0]); i++)
		if (six[i][0] == type)
			return six[i][1];
	return type;
}

static uint8_t proto_of(const struct say *s, bool v6)
{
	switch (s->kind) {
	case SAY_TCP:
		return IPPROTO_TCP;
	case SAY_UDP:
		return IPPROTO_UDP;
	case SAY_UDPLITE:
		return IPPROTO_UDPLITE;
	case SAY_SCTP:
		return IPPROTO_SCTP;
	case SAY_GRE:
		return IPPROTO_GRE;
	case SAY_OTHER:
		return 253; /* RFC 3692: for experiments */
	default:
		return v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	}
}

/* The packet that an error travelling in direction s->dir is about: it went the other way. */
static struct say quoted(const struct say *s)
{
	struct say q = *s;

	q.kind = s->quote == IPPROTO_UDP     ? SAY_UDP :
		 s->quote == IPPROTO_UDPLITE ? SAY_UDPLITE :
		 s->quote == IPPROTO_SCTP    ? SAY_SCTP :
		 s->quote == IPPROTO_GRE     ? SAY_GRE :
		 s->quote == IPPROTO_ICMP    ? SAY_ICMP :
		 s->quote == 253	     ? SAY_OTHER :
					       SAY_TCP;
	q.dir = !s->dir;
	q.flags = ACK;
	q.payload = 0;
	q.options[0] = 0;
	q.flaw = NO_FLAW;
	q.segs = 0;
	q.fragment = false;
	q.icmp_type = q.dir == CT_ORIGINAL ? 8 : 0;
	q.icmp_code = 0;
	return q;
}

struct ct_tuple tuple_of(const struct say *s, bool v6)
{
	struct say inner = quoted(s);
	const struct say *q = s->kind == SAY_ERROR ? &inner : s;
	int family = v6 ? AF_INET6 : AF_INET;
	struct ct_tuple t = { .family = v6 ? CT_IPV6 : CT_IPV4,
			      .proto = proto_of(q, v6),
			      .zone = s->zone };

	inet_pton(family, addr_of(v6, q->dir), &t.src);
	inet_pton(family, addr_of(v6, !q->dir), &t.dst);
	if (q->kind == SAY_ICMP) {
		t.sport = htons(q->icmp_id);
		t.dport = htons(type_of(q->icmp_type, v6) << 8 | q->icmp_code);
	} else if (q->kind == SAY_GRE) {
		t.dport = q->call ? htons(q->icmp_id) : 0;
	} else if (q->kind != SAY_OTHER) {
		t.sport = htons(q->dir == CT_ORIGINAL ? A_PORT + q->port : B_PORT);
		t.dport = htons(q->dir == CT_ORIGINAL ? B_PORT : A_PORT + q->port);
	}
	return t;
}

/* The packet, Ethernet not counted, ends `len` bytes behind the begin of what IP carries. */
static void cut(struct pkt *p, size_t len, bool v6)
{
	p->len = p->l4 + len;
	if (v6)
		pkt_set16(p, p->ip + 4, p->len - p->ip - 40);
	else
		pkt_set16(p, p->ip + 2, p->len - p->ip);
}

/* Where the checksum is, behind IP. */
static size_t checksum_at(const struct say *s)
{
	return s->kind == SAY_TCP ? 16 : s->kind == SAY_UDP ? 6 : s->kind == SAY_SCTP ? 8 : 2;
}

static void spoil(struct pkt *p, const struct say *s, bool v6)
{
	size_t room = p->len - p->l4;

	switch ((enum flaw)s->flaw) {
	case NO_FLAW:
		return;
	case TCP_DOFF_4:
		p->data[p->l4 + 12] = 0x40;
		break;
	case TCP_DOFF_15:
		p->data[p->l4 + 12] = 0xf0;
		break;
	case L4_CUT_SHORT:
		cut(p, s->kind == SAY_TCP ? 19 : s->kind == SAY_SCTP ? 11 : s->kind == SAY_GRE ? 3 : 7,
		    v6);
		break;
	case L4_CUT_AT_20:
		p->data[p->l4 + 12] = 0x60;
		cut(p, 20, v6);
		break;
	case UDP_LENGTH_7:
		pkt_set16(p, p->l4 + 4, 7);
		break;
	case UDP_LENGTH_MORE:
		pkt_set16(p, p->l4 + 4, room + 1);
		break;
	case UDP_LENGTH_LESS:
		pkt_set16(p, p->l4 + 4, room - 1);
		break;
	case UDP_LENGTH_0:
		pkt_set16(p, p->l4 + 4, 0);
		break;
	case WRONG_CHECKSUM:
		p->data[p->l4 + checksum_at(s)] ^= 0x10;
		break;
	case WRONG_LAST_BYTE:
		p->data[p->len - 1] ^= 1;
		break;
	case NO_CHECKSUM:
		pkt_set16(p, p->l4 + checksum_at(s), 0);
		break;
	}
	if (!v6) { /* a wrong header checksum would not get as far as conntrack */
		uint32_t sum = 0;

		pkt_set16(p, p->ip + 10, 0);
		for (size_t i = 0; i < 20; i += 2)
			sum += pkt_get16(p, p->ip + i);
		sum = (sum & 0xffff) + (sum >> 16);
		pkt_set16(p, p->ip + 10, (uint16_t) ~(sum + (sum >> 16)));
	}
}

static uint16_t first_id;

void say_new_ids(void)
{
	first_id += 16;
}

static void build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook)
{
	struct pkt_desc d = {
		.l3 = l3,
		.src = addr_of(v6, s->dir),
		.dst = addr_of(v6, !s->dir),
		.proto = proto_of(s, v6),
		.tcp_flags = s->flags,
		.seq = s->seq,
		.ack = s->ack,
		.win = s->win,
		.tcp_options = s->options[0] ? s->options : NULL,
		.payload = s->payload,
		.icmp_type = type_of(s->icmp_type, v6),
		.icmp_code = s->icmp_code,
		.icmp_id = s->icmp_id,
		.ext = v6 ? s->ext : NULL,
		.vtag = s->vtag,
		.chunks = s->kind == SAY_SCTP ? s->options : NULL,
		.coverage = s->coverage,
		.pptp = s->call,
		.call_id = s->icmp_id,
		.tos = s->zone ? (32 + s->zone) << 2 : 0, /* how the kernel's rules know it */
		.df = say_segments(s, hook) > 0,
	};
	static struct pkt about, whole;

	d.sport = s->dir == CT_ORIGINAL ? A_PORT + s->port : B_PORT;
	d.dport = s->dir == CT_ORIGINAL ? B_PORT : A_PORT + s->port;
	if (s->kind == SAY_ERROR) {
		struct say q = quoted(s);

		build(&about, &q, v6, true, XDP);
		d.src = router_of(v6, s->dir);
		if (s->misdirected)
			d.dst = neighbour_of(v6, !s->dir);
		d.quote = &about;
		d.quote_len = s->quoted;
	}
	if (s->kind == SAY_SCTP)
		d.payload = 0;
	if (l3)
		pkt_build(p, &d);
	else
		build_for(hook, p, &d);
	spoil(p, s, v6);
	if (s->fragment) {
		size_t len = p->len - p->ip - (v6 ? 40 : 20), to = s->to && s->to < len ? s->to : len;

		whole = *p;
		pkt_fragment(p, &whole, s->from, to - s->from, (uint16_t)(first_id + s->id));
	}
}

/* XDP's packets are those of the wire; raw sockets, from which the host speaks, don't segment. */
unsigned int say_segments(const struct say *s, enum hook hook)
{
	if (s->kind != SAY_TCP || s->segs < 2 || s->payload < s->segs || s->flaw)
		return 0;
	return hook == INGRESS || (hook == EGRESS && s->dir == CT_REPLY) ? s->segs : 0;
}

void say_build(struct pkt *p, const struct say *s, bool v6, bool l3, enum hook hook)
{
	build(p, s, v6, l3, hook);
}

static const char *flags_text(uint8_t flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH",
					     "ACK", "URG", "ECE", "CWR" };
	static char text[64];

	strcpy(text, flags ? "" : "0");
	for (int i = 0; i < 8; i++)
		if (flags & 1 << i) {
			if (text[0])
				strcat(text, " | ");
			strcat(text, names[i]);
		}
	return text;
}

void say_print(const struct say *s)
{
	static const char *const knob_names[] = {
#define X(id, key, value, largest, help) #id,
		CT_KNOBS(X)
#undef X
	};
	static const char *const timeout_names[] = {
#define X(id, key, seconds, help) [CT_T_##id] = #id,
		CT_TIMEOUTS(X)
#undef X
	};
	char who = s->dir == CT_ORIGINAL ? 'A' : 'B';

	switch ((enum say_kind)s->kind) {
	case SAY_OTHER:
		printf("%c_OTHER(.payload = %u", who, s->payload);
		break;
	case SAY_WAIT:
		printf("WAIT(%u", s->value);
		break;
	case SAY_AGE:
		printf("AGE(%u", s->value);
		break;
	case SAY_SCTP:
		printf("%c_SCTP(%u, \"%s\"", who, s->vtag, s->options);
		break;
	case SAY_UDPLITE:
		printf("%c_UDPLITE(.payload = %u, .coverage = %u", who, s->payload, s->coverage);
		break;
	case SAY_GRE:
		printf("%c_GRE(.payload = %u", who, s->payload);
		if (s->call)
			printf(", .call = true, .icmp_id = %u", s->icmp_id);
		break;
	case SAY_KINDS:
		break;
	case SAY_TCP:
		printf("%c(%s, .seq = %u", who, flags_text(s->flags), s->seq);
		if (s->flags & ACK || s->ack)
			printf(", .ack = %u", s->ack);
		if (s->win == NO_WINDOW)
			printf(", .win = NO_WINDOW");
		else if (s->win)
			printf(", .win = %u", s->win);
		if (s->payload)
			printf(", .payload = %u", s->payload);
		if (s->options[0])
			printf(", .options = \"%s\"", s->options);
		break;
	case SAY_UDP:
		printf("%c_UDP(.payload = %u", who, s->payload);
		break;
	case SAY_ICMP:
		printf("%c_ICMP(.icmp_type = %u, .icmp_code = %u, .icmp_id = %u", who, s->icmp_type,
		       s->icmp_code, s->icmp_id);
		break;
	case SAY_ERROR:
		printf("%c_ERROR(.icmp_type = %u, .icmp_code = %u, .quote = %u, .icmp_id = %u",
		       who, s->icmp_type, s->icmp_code, s->quote, s->icmp_id);
		if (s->quoted)
			printf(", .quoted = %u", s->quoted);
		if (s->misdirected)
			printf(", .misdirected = true");
		break;
	case SAY_KNOB:
		printf("KNOB(%s, %u", knob_names[s->knob], s->value);
		break;
	case SAY_TIMEOUT:
		printf("TIMEOUT(%s, %u", timeout_names[s->knob], s->value);
		break;
	}
	if (s->port)
		printf(", .port = %u", s->port);
	if (s->zone)
		printf(", .zone = %u", s->zone);
	if (s->segs)
		printf(", .segs = %u", s->segs);
	if (s->fragment)
		printf(", .fragment = true, .from = %u, .to = %u, .id = %u", s->from, s->to, s->id);
	if (s->flaw)
		printf(", .flaw = %u", s->flaw);
	if (s->ext[0])
		printf(", .ext = \"%s\"", s->ext);
	printf(");\n");
}

