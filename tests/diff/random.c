/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random talks: a legal conversation of TCP or SCTP, told by two simulated hosts, into which somebody
 * meddles. Nearly all that he sends is aimed: numbers at the edges of the windows that our table
 * holds at that moment, flags and chunks at what the state tables treat apart. In some talks there
 * are two of these conversations at once, of the same addresses and ports, in two zones. Everything
 * comes out of the seed.
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
	uint32_t tag;	  /* SCTP: that it wants to be sent */
};

enum phase {
	CLOSED,
	SYN_SENT, /* SCTP: INIT */
	SYN_RECV, /* SCTP: INIT ACK */
	ECHOED,	  /* SCTP: COOKIE ECHO */
	OPEN,
	CLOSING,
	CLOSING_ACKED,
	LAST_ACK,
	DONE,
};

/* A conversation, in a zone of its own. */
static struct conversation {
	struct host host[2];
	uint8_t opener;
	enum phase phase;
	uint8_t closer;
	unsigned int begun; /* the number of its first packet in the talk */
	struct say held;
	bool holding;
	struct ct_flow flow; /* what our table had of it when last seen */
	bool known;
} conversations[2], *r;

/* What kind of talk it is. */
static struct {
	bool sctp;
	bool zones;
	uint32_t noise;	    /* percent */
	uint32_t protocols; /* others in between, percent */
	bool restless;	    /* timeouts change all the time, so that it shows which packets refresh */
	bool old;	    /* time passes */
	bool supers;
} talks;

static unsigned int said_before; /* things, in this talk */

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
	r->phase = CLOSED;
	r->opener = percent(20);
	r->begun = said_before;
	for (int i = 0; i < 2; i++) {
		struct host *h = &r->host[i];

		h->next = PICK(0, 1, 0xffffff00, 0xfffffffe, 0x7fffff00, 1000, any(), any(),
			       h->next + 1000, h->next + 70000, h->next - 1000);
		h->acked = 0;
		h->win = window();
		h->tag = PICK(any() | 1, any() | 1, 1, 0xffffffff, h->tag, 0);
		syn_options(h->options, sizeof(h->options));
	}
}

void random_begin(uint64_t seed, struct talk_list *t)
{
	(void)t;
	state = seed * 0x2545f4914f6cdd1dULL;
	any();
	memset(conversations, 0, sizeof(conversations));
	said_before = 0;
	talks.sctp = percent(25);
	talks.zones = percent(20);
	talks.noise = PICK(5, 20, 40, 70, 90);
	talks.protocols = PICK(0, 0, 0, 20, 80);
	talks.restless = percent(25);
	talks.old = percent(25);
	talks.supers = percent(20);
	for (int i = 0; i < 2; i++) {
		r = &conversations[i];
		connection();
		r->opener = 0;
		if (percent(10))
			r->phase = OPEN; /* nobody has seen it begin */
	}
	r = conversations;
}

/* --- the legal conversation ------------------------------------------------------------------ */

static void from(struct say *s, uint8_t dir, uint8_t flags, uint16_t payload)
{
	struct host *h = &r->host[dir];

	memset(s, 0, sizeof(*s));
	s->kind = SAY_TCP;
	s->dir = dir;
	s->flags = flags;
	s->seq = h->next;
	s->payload = payload;
	s->win = h->win;
	if (flags & ACK) {
		s->ack = r->host[!dir].next;
		h->acked = s->ack;
	}
	if (flags & SYN)
		snprintf(s->options, sizeof(s->options), "%s", h->options);
	h->next += payload + !!(flags & SYN) + !!(flags & FIN);
}

static void legal_tcp(struct say *s)
{
	uint8_t dir;

	switch (r->phase) {
	case CLOSED:
	case ECHOED:
		from(s, r->opener, SYN | (percent(10) ? ECE | CWR : 0), percent(5) ? 20 : 0);
		r->phase = SYN_SENT;
		return;
	case SYN_SENT:
		if (percent(8)) {
			from(s, !r->opener, SYN, 0);
			return;
		}
		from(s, !r->opener, SYN | ACK, 0);
		r->phase = SYN_RECV;
		return;
	case SYN_RECV:
		from(s, r->opener, ACK, percent(30) ? 100 : 0);
		r->phase = OPEN;
		return;
	case OPEN:
		dir = percent(50);
		if (percent(15)) {
			from(s, dir, FIN | ACK, percent(20) ? 50 : 0);
			r->closer = dir;
			r->phase = CLOSING;
		} else if (percent(5)) {
			from(s, dir, RST | (percent(50) ? ACK : 0), 0);
			r->phase = DONE;
		} else {
			if (percent(20))
				r->host[dir].win = window();
			from(s, dir, ACK | (percent(30) ? PSH : 0),
			     (uint16_t)PICK(0, 0, 1, 10, 100, 1000, 1400));
		}
		return;
	case CLOSING:
		from(s, !r->closer, percent(40) ? FIN | ACK : ACK, 0);
		r->phase = s->flags & FIN ? LAST_ACK : CLOSING_ACKED;
		return;
	case CLOSING_ACKED:
		if (percent(40)) {
			from(s, !r->closer, ACK, 100);
			return;
		}
		from(s, !r->closer, FIN | ACK, 0);
		r->phase = LAST_ACK;
		return;
	case LAST_ACK:
		from(s, r->closer, ACK, 0);
		r->phase = DONE;
		return;
	case DONE:
		mutated[M_REUSE]++;
		connection();
		legal_tcp(s);
		return;
	}
}

static void sctp(struct say *s, uint8_t dir, const char *chunks)
{
	memset(s, 0, sizeof(*s));
	s->kind = SAY_SCTP;
	s->dir = dir;
	s->vtag = r->host[!dir].tag;
	snprintf(s->options, sizeof(s->options), "%s", chunks);
}

static void sctp_init(struct say *s, uint8_t dir, const char *chunk)
{
	sctp(s, dir, "");
	snprintf(s->options, sizeof(s->options), "%s %u", chunk, r->host[dir].tag);
	if (!strcmp(chunk, "init"))
		s->vtag = 0;
}

static const char *data_chunks(void)
{
	static const char *const some[] = {
		"data 10",     "data 100", "sack",	    "sack,data 33",
		"data 1,data 2", "sack", "type 192", "heartbeat",
		"heartbeat_ack", "ecne",
	};

	return some[below(sizeof(some) / sizeof(some[0]))];
}

static void legal_sctp(struct say *s)
{
	uint8_t opener = r->opener;

	switch (r->phase) {
	case CLOSED:
		sctp_init(s, opener, "init");
		r->phase = SYN_SENT;
		return;
	case SYN_SENT:
		if (percent(10)) {
			sctp_init(s, percent(60), "init"); /* once more, or from both */
			return;
		}
		sctp_init(s, !opener, "init_ack");
		r->phase = SYN_RECV;
		return;
	case SYN_RECV:
		sctp(s, opener, percent(30) ? "cookie_echo,data 10" : "cookie_echo");
		r->phase = ECHOED;
		return;
	case ECHOED:
		sctp(s, !opener, percent(30) ? "cookie_ack,sack" : "cookie_ack");
		r->phase = OPEN;
		return;
	case OPEN:
		if (percent(12)) {
			r->closer = percent(50);
			sctp(s, r->closer, "shutdown");
			r->phase = CLOSING;
		} else if (percent(4)) {
			sctp(s, percent(50), "abort");
			r->phase = DONE;
		} else {
			sctp(s, percent(50), data_chunks());
		}
		return;
	case CLOSING:
	case CLOSING_ACKED:
		if (percent(20)) {
			sctp(s, !r->closer, "data 10");
			return;
		}
		sctp(s, !r->closer, "shutdown_ack");
		r->phase = LAST_ACK;
		return;
	case LAST_ACK:
		sctp(s, r->closer, "shutdown_complete");
		r->phase = DONE;
		return;
	case DONE:
		mutated[M_REUSE]++;
		connection();
		legal_sctp(s);
		return;
	}
}

static void legal(struct say *s)
{
	if (talks.sctp)
		legal_sctp(s);
	else
		legal_tcp(s);
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

/* --- of both protocols; false: this one does nothing here ---------------------------------- */

static bool replay(const struct talk_list *t, struct say *s, unsigned int from_n, unsigned int to)
{
	unsigned int i;

	if (from_n >= to)
		return false;
	i = from_n + below(to - from_n);
	if (t->say[i].kind >= SAY_KNOB)
		return false;
	*s = t->say[i];
	return true;
}

static bool hold_back(struct say *s)
{
	struct say now = r->held;

	if (r->holding) {
		r->held = *s;
		*s = now;
		return true;
	}
	r->held = *s;
	r->holding = true;
	legal(s);
	return true;
}

static void icmp_error(struct say *s)
{
	bool dir = s->dir;

	memset(s, 0, sizeof(*s));
	s->kind = SAY_ERROR;
	s->dir = dir;
	s->icmp_type = (uint8_t)PICK(3, 3, 11, 12, 4);
	s->icmp_code = (uint8_t)below(4);
	s->quote = (uint8_t)(percent(70) ? talks.sctp ? IPPROTO_SCTP : IPPROTO_TCP :
					   PICK(IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
						IPPROTO_UDPLITE, IPPROTO_GRE, 253));
	s->misdirected = percent(10);
}

static void knob(struct say *s)
{
	memset(s, 0, sizeof(*s));
	s->kind = SAY_KNOB;
	s->knob = (uint8_t)PICK(CT_K_TCP_LOOSE, CT_K_TCP_BE_LIBERAL, CT_K_TCP_IGNORE_INVALID_RST,
				CT_K_TCP_MAX_RETRANS);
	s->value = (uint8_t)below(2);
}

/* Past the ends of what is short-lived, or not. */
static void delay(struct say *s)
{
	memset(s, 0, sizeof(*s));
	s->kind = SAY_AGE;
	s->value = PICK(5, 20, 20, 35, 65, 125, 200, 310, 500, 432010);
}

static bool meddle_both(const struct talk_list *t, enum mutator what, struct say *s)
{
	switch (what) {
	case M_DROP:
		legal(s); /* the one before is lost */
		return true;
	case M_DUPLICATE:
		return t->n && replay(t, s, t->n - 1, t->n);
	case M_REORDER:
		return hold_back(s);
	case M_REPLAY:
		return replay(t, s, r->begun, t->n);
	case M_REPLAY_OLD:
		return replay(t, s, 0, r->begun);
	case M_SWAP:
		s->dir = !s->dir;
		return true;
	case M_REUSE:
		connection();
		legal(s);
		return true;
	case M_ERROR:
		icmp_error(s);
		return true;
	case M_KNOB:
		knob(s);
		return true;
	case M_DELAY:
		delay(s);
		return talks.old;
	default:
		return false;
	}
}

/* --- TCP ------------------------------------------------------------------------------------- */

static void aim_reset(const struct ct_flow *f, struct say *s)
{
	uint8_t dir = percent(50);

	from(s, dir, RST, 0);
	r->host[dir].next = s->seq;
	if (percent(50)) {
		s->flags |= ACK;
		s->ack = PICK(0, r->host[!dir].next, f ? f->entry.l4.tcp.last_end : 0, any());
	}
	if (f && percent(70))
		aim_seq(s, f);
	if (f && percent(20))
		aim_ack(s, f);
	if (percent(10))
		s->seq = 0;
	s->payload = 0;
}

/* A SYN, perhaps of another connection. */
static void aim_syn(const struct ct_flow *f, struct say *s)
{
	uint8_t dir = percent(40);

	memset(s, 0, sizeof(*s));
	s->dir = dir;
	s->flags = SYN;
	s->seq = percent(50) ? any() : r->host[dir].next;
	s->win = window();
	syn_options(s->options, sizeof(s->options));
	if (f && percent(50))
		aim_seq(s, f);
}

/* An answer to the last thing said. */
static bool answer(const struct talk_list *t, struct say *s)
{
	struct say last = t->n ? t->say[t->n - 1] : *s;
	uint8_t what = (uint8_t)PICK(SYN | ACK, SYN | ACK, ACK, RST | ACK, RST);

	if (last.kind != SAY_TCP)
		return false;
	memset(s, 0, sizeof(*s));
	s->dir = !last.dir;
	s->flags = what;
	s->win = window();
	s->seq = PICK(last.ack, last.ack, 0, any());
	s->ack = near(last.seq + length(&last));
	if (what & SYN)
		syn_options(s->options, sizeof(s->options));
	return true;
}

static void super(struct say *s)
{
	s->payload = (uint16_t)PICK(2, 100, 1000, 2920, 3000);
	s->segs = (uint8_t)(2 + below(31));
	if (s->segs > s->payload)
		s->segs = 2;
	s->flags &= ~(SYN | RST);
	s->flags |= ACK;
	r->host[s->dir].next = s->seq + s->payload;
}

static bool meddle_tcp(const struct talk_list *t, enum mutator what, struct say *s)
{
	static const uint8_t flags[] = {
		SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, FIN | ACK, RST, RST, RST | ACK,
		SYN | FIN, FIN, 0, SYN | RST, ACK | URG, SYN | URG, SYN | ACK | PSH, FIN | ACK | URG,
		0xff, PSH, SYN | ECE | CWR,
	};
	const struct ct_flow *f = r->known ? &r->flow : NULL;

	switch (what) {
	case M_FLAGS:
		s->flags = flags[below(sizeof(flags))];
		return true;
	case M_WINDOW:
		s->win = window();
		return true;
	case M_OPTIONS:
		if (s->flags & SYN)
			syn_options(s->options, sizeof(s->options));
		else if (f)
			aim_sack(s, f);
		return f || s->flags & SYN;
	case M_RESET:
		aim_reset(f, s);
		return true;
	case M_SYN:
		aim_syn(f, s);
		return true;
	case M_ANSWER:
		return answer(t, s);
	case M_SEQ:
		if (f)
			aim_seq(s, f);
		return f;
	case M_ACK:
		if (f)
			aim_ack(s, f);
		return f;
	case M_SUPER:
		super(s);
		return talks.supers;
	default:
		return meddle_both(t, what, s);
	}
}

/* --- SCTP ------------------------------------------------------------------------------------ */

static const char *any_chunk(uint8_t dir)
{
	static const char *const some[] = {
		"data 10", "sack", "heartbeat", "heartbeat_ack", "abort", "abort T", "shutdown",
		"shutdown_ack", "error", "cookie_echo", "cookie_ack", "shutdown_complete",
		"shutdown_complete T", "init", "init_ack", "type 192",
	};
	static char text[32];

	snprintf(text, sizeof(text), "%s", some[below(sizeof(some) / sizeof(some[0]))]);
	if (!strcmp(text, "init") || !strcmp(text, "init_ack"))
		snprintf(text + strlen(text), 12, " %u",
			 PICK(r->host[dir].tag, r->host[dir].tag, r->host[!dir].tag, any(), 0));
	return text;
}

static void bundle(struct say *s)
{
	size_t n = strlen(s->options);

	for (unsigned int i = 1 + below(2); i > 0 && n < 50; i--)
		n += snprintf(s->options + n, sizeof(s->options) - n, ",%s", any_chunk(s->dir));
}

/* Of a chunk that is as long as this says; then perhaps another. */
static void lie_about_length(struct say *s)
{
	uint8_t type = (uint8_t)PICK(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 14);
	uint16_t len = (uint16_t)PICK(0, 1, 3, 4, 5, 7, 8, 9, 19, 20, 21, 1000, 65535);

	snprintf(s->options, sizeof(s->options), "hex %02x00%04x%s%s", type, len,
		 percent(50) ? "00000001" : "", percent(30) ? "0000000200000003" : "");
	if (percent(40))
		strcat(s->options, ",cookie_ack");
}

static bool meddle_sctp(const struct talk_list *t, enum mutator what, struct say *s)
{
	switch (what) {
	case M_VTAG:
		s->vtag = PICK(0, r->host[s->dir].tag, r->host[!s->dir].tag, s->vtag + 1, any());
		return true;
	case M_CHUNK:
		snprintf(s->options, sizeof(s->options), "%s", any_chunk(s->dir));
		if (percent(30))
			s->vtag = 0;
		return true;
	case M_BUNDLE:
		bundle(s);
		return true;
	case M_LENGTH:
		lie_about_length(s);
		return true;
	default:
		return meddle_both(t, what, s);
	}
}

static void meddle(const struct talk_list *t, struct say *s)
{
	static const uint8_t tcp[] = {
		M_DROP, M_DUPLICATE, M_REORDER, M_REPLAY, M_REPLAY_OLD, M_REPLAY_OLD, M_SWAP, M_REUSE,
		M_ERROR, M_KNOB, M_DELAY, M_DELAY, M_FLAGS, M_WINDOW, M_OPTIONS, M_OPTIONS, M_RESET,
		M_RESET, M_SYN, M_ANSWER, M_ANSWER, M_SEQ, M_SEQ, M_ACK, M_SUPER, M_SUPER,
	};
	static const uint8_t sctp[] = {
		M_DROP, M_DUPLICATE, M_REORDER, M_REPLAY, M_REPLAY_OLD, M_SWAP, M_REUSE, M_ERROR,
		M_DELAY, M_VTAG, M_VTAG, M_CHUNK, M_CHUNK, M_CHUNK, M_BUNDLE, M_BUNDLE, M_LENGTH,
	};
	enum mutator what = talks.sctp ? sctp[below(sizeof(sctp))] : tcp[below(sizeof(tcp))];
	struct say before = *s;
	bool done = talks.sctp ? meddle_sctp(t, what, s) : meddle_tcp(t, what, s);

	if (done)
		mutated[what]++;
	else
		*s = before;
}

/* Of the state the flow is in, or of any. */
static void another_timeout(struct say *s)
{
	uint8_t which = (uint8_t)below(CT_T_MAX);

	memset(s, 0, sizeof(*s));
	if (r->known && r->flow.tuple.proto == IPPROTO_TCP && percent(60))
		which = r->flow.entry.state;
	if (which == CT_T_TCP_NONE || which == CT_T_TCP_SYN_SENT2) /* no sysctls of the kernel's */
		which = CT_T_TCP_SYN_RECV;
	if (which == CT_T_GRE || which == CT_T_GRE_STREAM) /* see known.h */
		which = CT_T_GENERIC;
	s->kind = SAY_TIMEOUT;
	s->knob = which;
	s->value = PICK(40, 60, 90, 110, 118, 122, 150, 250, 299, 301, 1000, 86400, 432000);
}

static void another_protocol(struct say *s)
{
	memset(s, 0, sizeof(*s));
	s->kind = (uint8_t)PICK(SAY_UDP, SAY_UDP, SAY_UDP, SAY_ICMP, SAY_ICMP, SAY_OTHER, SAY_UDPLITE,
				SAY_GRE);
	s->dir = percent(50);
	s->payload = (uint16_t)below(100);
	s->icmp_type = s->dir ^ percent(20) ? 0 : 8;
	s->icmp_id = (uint16_t)below(2);
	s->port = (uint16_t)below(2);
	s->call = percent(50);
	if (s->kind != SAY_UDP && s->kind != SAY_UDPLITE)
		s->port = 0;
	if (s->kind == SAY_UDPLITE)
		s->coverage = (uint16_t)PICK(0, 0, 8, 9, 8 + s->payload, 7, 9 + s->payload);
	if (s->kind == SAY_UDP && percent(10))
		s->flaw = (uint8_t)PICK(UDP_LENGTH_7, UDP_LENGTH_MORE, L4_CUT_SHORT);
	if (percent(15))
		icmp_error(s);
}

/* Our table is looked at for numbers to aim at: the flow that the last packet was of. */
static void look(const struct ct_flow *f)
{
	struct conversation *of;

	if (!f) {
		r->known = false;
		return;
	}
	of = &conversations[f->tuple.zone ? 1 : 0];
	if (f->tuple.proto != IPPROTO_TCP)
		return;
	of->flow = *f;
	of->known = true;
}

static void next(const struct talk_list *t, struct say *s)
{
	if (percent(talks.protocols)) {
		mutated[M_PROTOCOL]++;
		another_protocol(s);
		return;
	}
	if (r->holding && percent(20)) {
		*s = r->held;
		r->holding = false;
		return;
	}
	if (talks.restless && percent(30)) {
		mutated[M_TIMEOUT]++;
		another_timeout(s);
		return;
	}
	legal(s);
	if (!percent(talks.noise)) {
		mutated[M_LEGAL]++;
		return;
	}
	do
		meddle(t, s);
	while (s->kind == (talks.sctp ? SAY_SCTP : SAY_TCP) && percent(40) && percent(talks.noise));
}

void random_next(const struct talk_list *t, const struct ct_flow *f, struct say *s)
{
	look(f);
	if (talks.zones && percent(50)) {
		mutated[M_ZONE]++;
		r = r == conversations ? conversations + 1 : conversations;
	}
	said_before = t->n;
	next(t, s);
	s->zone = r == conversations ? 0 : 2;
}
