/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random talks: a legal TCP conversation, told by two simulated hosts, into which somebody meddles.
 * Nearly all that he sends is aimed: numbers at the edges of the windows that our table holds at
 * that moment, flags at what the state tables treat apart. Everything comes out of the seed.
 */
#include "diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t any(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) >> 16);
}

static uint32_t below(uint32_t n)
{
	return any() % n;
}

static bool percent(uint32_t n)
{
	return below(100) < n;
}

#define PICK(...)                                                                                  \
	({                                                                                         \
		const uint32_t choice_[] = { __VA_ARGS__ };                                        \
		choice_[below(sizeof(choice_) / sizeof(choice_[0]))];                              \
	})

/* One of the two hosts, as far as a legal conversation needs it. */
struct host {
	uint32_t next;	/* sequence number */
	uint32_t acked; /* what it acknowledges */
	uint16_t win;
	char options[96]; /* of its SYN */
};

static struct {
	struct host host[2];
	uint8_t opener;
	enum { CLOSED, SYN_SENT, SYN_RECV, OPEN, CLOSING, CLOSING_ACKED, LAST_ACK, DONE } phase;
	uint8_t closer;
	uint32_t noise; /* percent */
	bool protocols; /* UDP and ICMP in between */
	bool restless;	/* timeouts change all the time, so that it shows which packets refresh */
	struct say held;
	bool holding;
} r;

static uint16_t window(void)
{
	return (uint16_t)PICK(NO_WINDOW, 1, 10, 100, 1000, 1000, 5000, 30000, 0, 0, below(65536));
}

static void syn_options(char *text, size_t room)
{
	char scale[32] = "", sack[16] = "";

	if (percent(50))
		snprintf(scale, sizeof(scale), ",nop,wscale %u", PICK(0, 1, 2, 7, 14, 15, 255));
	if (percent(50))
		snprintf(sack, sizeof(sack), ",sackOK");
	if (percent(10))
		snprintf(text, room, "%s", PICK(0, 1) ? "nop,nop,TS val 1 ecr 0" : "");
	else
		snprintf(text, room, "mss 1460%s%s", percent(50) ? scale : sack,
			 percent(50) ? sack : scale);
}

static void connection(void)
{
	r.phase = CLOSED;
	r.opener = percent(20);
	for (int i = 0; i < 2; i++) {
		struct host *h = &r.host[i];

		h->next = PICK(0, 1, 0xffffff00, 0xfffffffe, 0x7fffff00, 1000, any(), any(),
			       h->next + 1000, h->next + 70000, h->next - 1000);
		h->acked = 0;
		h->win = window();
		syn_options(h->options, sizeof(h->options));
	}
}

void random_begin(uint64_t seed, struct talk_list *t)
{
	(void)t;
	state = seed * 0x2545f4914f6cdd1dULL;
	any();
	memset(&r, 0, sizeof(r));
	r.noise = PICK(5, 20, 40, 70, 90);
	r.protocols = percent(20);
	r.restless = percent(30);
	connection();
	r.opener = 0;
	if (percent(10))
		r.phase = OPEN; /* nobody has seen it begin */
}

/* --- the legal conversation ------------------------------------------------------------------ */

static void from(struct say *s, uint8_t dir, uint8_t flags, uint16_t payload)
{
	struct host *h = &r.host[dir];

	memset(s, 0, sizeof(*s));
	s->kind = SAY_TCP;
	s->dir = dir;
	s->flags = flags;
	s->seq = h->next;
	s->payload = payload;
	s->win = h->win;
	if (flags & ACK) {
		s->ack = r.host[!dir].next;
		h->acked = s->ack;
	}
	if (flags & SYN)
		snprintf(s->options, sizeof(s->options), "%s", h->options);
	h->next += payload + !!(flags & SYN) + !!(flags & FIN);
}

static void legal(struct say *s)
{
	uint8_t dir;

	switch (r.phase) {
	case CLOSED:
		from(s, r.opener, SYN | (percent(10) ? ECE | CWR : 0), percent(5) ? 20 : 0);
		r.phase = SYN_SENT;
		return;
	case SYN_SENT:
		if (percent(8)) {
			from(s, !r.opener, SYN, 0);
			return;
		}
		from(s, !r.opener, SYN | ACK, 0);
		r.phase = SYN_RECV;
		return;
	case SYN_RECV:
		from(s, r.opener, ACK, percent(30) ? 100 : 0);
		r.phase = OPEN;
		return;
	case OPEN:
		dir = percent(50);
		if (percent(15)) {
			from(s, dir, FIN | ACK, percent(20) ? 50 : 0);
			r.closer = dir;
			r.phase = CLOSING;
		} else if (percent(5)) {
			from(s, dir, RST | (percent(50) ? ACK : 0), 0);
			r.phase = DONE;
		} else {
			if (percent(20))
				r.host[dir].win = window();
			from(s, dir, ACK | (percent(30) ? PSH : 0),
			     (uint16_t)PICK(0, 0, 1, 10, 100, 1000, 1400));
		}
		return;
	case CLOSING:
		from(s, !r.closer, percent(40) ? FIN | ACK : ACK, 0);
		r.phase = s->flags & FIN ? LAST_ACK : CLOSING_ACKED;
		return;
	case CLOSING_ACKED:
		if (percent(40)) {
			from(s, !r.closer, ACK, 100);
			return;
		}
		from(s, !r.closer, FIN | ACK, 0);
		r.phase = LAST_ACK;
		return;
	case LAST_ACK:
		from(s, r.closer, ACK, 0);
		r.phase = DONE;
		return;
	case DONE:
		connection();
		legal(s);
		return;
	}
}

/* --- meddling -------------------------------------------------------------------------------- */

/* A number near one that matters. */
static uint32_t near(uint32_t n)
{
	return n + PICK(0, 0, 0, 1, 2, 0u - 1, 0u - 2);
}

static uint32_t far(uint32_t n)
{
	return n + PICK(1000, 0u - 1000, 65535, 66000, 0u - 66000, 1u << 20, 0u - (1u << 20),
			0x7fffffff, 0x80000000, 0x80000001, any());
}

/* Which of the flow's two peers sends in this direction. */
static int peer_of(const struct ct_flow *f, uint8_t dir)
{
	bool v6 = f->tuple.family == CT_IPV6;
	bool from_a = v6 ? f->tuple.src.ip6[0] && ((const uint8_t *)&f->tuple.src)[3] == 1 :
			   ((const uint8_t *)&f->tuple.src)[2] == 1;

	return from_a ? dir : !dir;
}

static uint32_t length(const struct say *s)
{
	return s->payload + !!(s->flags & SYN) + !!(s->flags & FIN);
}

static void aim_seq(struct say *s, const struct ct_flow *f)
{
	const struct ct_tcp *t = &f->entry.l4.tcp;
	const struct ct_tcp_peer *S = &t->peer[peer_of(f, s->dir)], *R = &t->peer[!peer_of(f, s->dir)];

	switch (below(9)) {
	case 0: /* I */
		s->seq = near(S->maxend);
		break;
	case 1: /* I by a little, so that all depends on the end */
		s->seq = near(S->maxend + 1 + below(1400));
		s->payload = (uint16_t)below(1400);
		break;
	case 2: /* the overshoot that is forgiven */
		s->payload = (uint16_t)(1 + below(1400));
		s->seq = near(S->maxend + R->maxwin - length(s));
		break;
	case 3: /* II */
		s->seq = near(S->end - R->maxwin - length(s));
		break;
	case 4:
		s->seq = near(S->end);
		break;
	case 5:
		s->seq = near(S->end - length(s));
		break;
	case 6:
		s->seq = near(R->maxack);
		break;
	case 7:
		s->seq = near(PICK(t->last_end, t->last_ack, t->last_seq, 0));
		break;
	default:
		s->seq = far(S->end);
	}
}

static void aim_ack(struct say *s, const struct ct_flow *f)
{
	const struct ct_tcp *t = &f->entry.l4.tcp;
	const struct ct_tcp_peer *S = &t->peer[peer_of(f, s->dir)], *R = &t->peer[!peer_of(f, s->dir)];
	uint32_t maxackwin = S->maxwin > 66000 ? S->maxwin : 66000;

	switch (below(6)) {
	case 0:
	case 1: /* III */
		s->ack = near(R->end);
		break;
	case 2: /* IV */
		s->ack = near(R->end - maxackwin);
		break;
	case 3:
		s->ack = near(PICK(t->last_end, t->last_ack, 0));
		break;
	case 4:
		s->ack = near(S->maxack);
		break;
	default:
		s->ack = far(R->end);
	}
}

static void aim_sack(struct say *s, const struct ct_flow *f)
{
	const struct ct_tcp *t = &f->entry.l4.tcp;
	const struct ct_tcp_peer *R = &t->peer[!peer_of(f, s->dir)];
	uint32_t right = percent(70) ? near(R->end) : far(R->end), left = right - below(2000);
	const char *before = percent(30) ? "nop,nop,TS val 1 ecr 1," : "";

	switch (below(4)) {
	case 0:
		snprintf(s->options, sizeof(s->options), "%snop,nop,sack %u:%u", before, left,
			 right);
		break;
	case 1:
		snprintf(s->options, sizeof(s->options), "%snop,nop,sack %u:%u %u:%u", before,
			 left - 5000, left - 4000, left, right);
		break;
	case 2:
		snprintf(s->options, sizeof(s->options), "sack %u:%u,sack %u:%u", left, right,
			 left - 1000, right - 1000);
		break;
	default:
		snprintf(s->options, sizeof(s->options), "hex %02x%02x%08x%08x",
			 PICK(5, 5, 5, 3, 4, 8, 99), PICK(0, 1, 2, 3, 9, 10, 11, 18, 200), left,
			 right);
	}
	if (percent(60))
		s->flags |= ACK;
}

static void meddle(const struct talk_list *t, const struct ct_flow *f, struct say *s)
{
	static const uint8_t flags[] = {
		SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, FIN | ACK, RST, RST, RST | ACK,
		SYN | FIN, FIN, 0, SYN | RST, ACK | URG, SYN | URG, SYN | ACK | PSH, FIN | ACK | URG,
		0xff, PSH, SYN | ECE | CWR,
	};
	bool tcp = f && f->tuple.proto == IPPROTO_TCP;

	switch (below(16)) {
	case 0: /* said before */
	case 1:
		if (t->n)
			*s = t->say[below(t->n)];
		return;
	case 2: /* once more */
		if (t->n)
			*s = t->say[t->n - 1];
		return;
	case 3: /* later */
		if (r.holding) {
			struct say now = r.held;

			r.held = *s;
			*s = now;
			return;
		}
		r.held = *s;
		r.holding = true;
		legal(s);
		return;
	case 4:
		legal(s); /* the one before is lost */
		return;
	case 5:
		s->flags = flags[below(sizeof(flags))];
		return;
	case 6:
		s->dir = !s->dir;
		return;
	case 7:
		s->win = window();
		return;
	case 8:
		if (s->flags & SYN)
			syn_options(s->options, sizeof(s->options));
		else if (tcp)
			aim_sack(s, f);
		return;
	case 9:
	case 10: { /* a reset */
		uint8_t dir = percent(50);

		from(s, dir, RST, 0);
		r.host[dir].next = s->seq;
		if (percent(50)) {
			s->flags |= ACK;
			s->ack = PICK(0, r.host[!dir].next, tcp ? f->entry.l4.tcp.last_end : 0,
				      any());
		}
		if (tcp && percent(70))
			aim_seq(s, f);
		if (tcp && percent(20))
			aim_ack(s, f);
		if (percent(10))
			s->seq = 0;
		s->payload = 0;
		return;
	}
	case 11: { /* a SYN, perhaps of another connection */
		uint8_t dir = percent(40);

		memset(s, 0, sizeof(*s));
		s->dir = dir;
		s->flags = SYN;
		s->seq = percent(50) ? any() : r.host[dir].next;
		s->win = window();
		syn_options(s->options, sizeof(s->options));
		if (tcp && percent(50))
			aim_seq(s, f);
		return;
	}
	case 12: { /* an answer to the last thing said */
		const struct say *last = t->n ? &t->say[t->n - 1] : s;
		uint8_t what = (uint8_t)PICK(SYN | ACK, SYN | ACK, ACK, RST | ACK, RST);

		if (last->kind != SAY_TCP)
			return;
		uint8_t dir = !last->dir;
		uint32_t seq = last->seq, ack = last->ack, end = seq + length(last);

		memset(s, 0, sizeof(*s));
		s->dir = dir;
		s->flags = what;
		s->win = window();
		s->seq = PICK(ack, ack, 0, any());
		s->ack = near(end);
		if (what & SYN)
			syn_options(s->options, sizeof(s->options));
		return;
	}
	case 13: /* its numbers */
	case 14:
		if (!tcp)
			return;
		if (percent(60))
			aim_seq(s, f);
		if (percent(50))
			aim_ack(s, f);
		return;
	default:
		if (percent(30)) {
			connection();
			legal(s);
			return;
		}
		if (percent(60)) {
			bool dir = s->dir;

			memset(s, 0, sizeof(*s));
			s->kind = SAY_ERROR;
			s->dir = dir;
			s->icmp_type = (uint8_t)PICK(3, 3, 11, 12, 4);
			s->icmp_code = (uint8_t)below(4);
			s->quote = (uint8_t)PICK(IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP,
						 IPPROTO_ICMP);
			s->misdirected = percent(10);
			return;
		}
		memset(s, 0, sizeof(*s));
		s->kind = SAY_KNOB;
		s->knob = (uint8_t)PICK(CT_K_TCP_LOOSE, CT_K_TCP_BE_LIBERAL,
					CT_K_TCP_IGNORE_INVALID_RST, CT_K_TCP_MAX_RETRANS);
		s->value = (uint8_t)below(2);
	}
}

/* Of the state the flow is in, or of any. */
static void another_timeout(const struct ct_flow *f, struct say *s)
{
	bool tcp = f && f->tuple.proto == IPPROTO_TCP;

	memset(s, 0, sizeof(*s));
	s->kind = SAY_TIMEOUT;
	s->knob = (uint8_t)(tcp && percent(60) ? f->entry.state :
						 CT_T_TCP_SYN_SENT + below(CT_T_ICMPV6));
	if (s->knob == CT_T_TCP_SYN_SENT2) /* the kernel has no sysctl for it */
		s->knob = CT_T_TCP_SYN_RECV;
	s->value = PICK(40, 60, 90, 110, 118, 122, 150, 250, 299, 301, 1000, 86400, 432000);
}

static void another_protocol(struct say *s)
{
	memset(s, 0, sizeof(*s));
	s->kind = percent(50) ? SAY_UDP : percent(80) ? SAY_ICMP : SAY_OTHER;
	s->dir = percent(50);
	s->payload = (uint16_t)below(100);
	s->icmp_type = s->dir ^ percent(20) ? 0 : 8;
	s->icmp_id = (uint16_t)below(2);
	s->port = (uint16_t)below(2);
	if (s->kind == SAY_ICMP)
		s->port = 0;
}

void random_next(const struct talk_list *t, const struct ct_flow *f, struct say *s)
{
	/* `f` is of the last packet's flow: of another protocol at times, and then of no use. */
	if (r.protocols && percent(20)) {
		another_protocol(s);
		return;
	}
	if (r.holding && percent(20)) {
		*s = r.held;
		r.holding = false;
		return;
	}
	if (r.restless && percent(30)) {
		another_timeout(f, s);
		return;
	}
	legal(s);
	while (percent(r.noise)) {
		meddle(t, f, s);
		if (s->kind != SAY_TCP || percent(60))
			break;
	}
}
