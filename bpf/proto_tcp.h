/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP: two directions, ten states, and what packets do to them. Tables and special cases are
 * nf_conntrack_tcp_packet()'s; sequence windows are not checked here, so a reset or a FIN is
 * believed whatever its numbers are.
 */
#ifndef PROTO_TCP_H
#define PROTO_TCP_H

/* What a packet is to the table; when several flags are set the first of RST, SYN, FIN, ACK counts. */
enum ct_tcp_index {
	CT_TI_SYN,
	CT_TI_SYNACK,
	CT_TI_FIN,
	CT_TI_ACK,
	CT_TI_RST,
	CT_TI_NONE,
	CT_TI_MAX,
};

enum ct_tcp_peer_flags {
	CT_TF_CLOSE_INIT = 0x1, /* this side sent the first FIN */
};

enum ct_tcp_flow_flags {
	CT_TF_SIMULTANEOUS = 0x1, /* both sides opened with a SYN */
	CT_TF_CHALLENGE = 0x2,    /* a SYN came in LAST_ACK: its answer may be a challenge ACK */
};

/*
 * The tables' short words. Besides states: IV - invalid, state kept; IG - let through and
 * remembered, state kept: it may be a forgery, or the answer will tell.
 */
#define CT_NO CT_TCP_NONE
#define CT_SS CT_TCP_SYN_SENT
#define CT_SR CT_TCP_SYN_RECV
#define CT_ES CT_TCP_ESTABLISHED
#define CT_FW CT_TCP_FIN_WAIT
#define CT_CW CT_TCP_CLOSE_WAIT
#define CT_LA CT_TCP_LAST_ACK
#define CT_TW CT_TCP_TIME_WAIT
#define CT_CL CT_TCP_CLOSE
#define CT_S2 CT_TCP_SYN_SENT2
#define CT_IV (CT_TCP_STATE_MAX)
#define CT_IG (CT_TCP_STATE_MAX + 1)

#define ROW(...) { __VA_ARGS__ }
static const __u8 ct_tcp_table[CT_DIRS][CT_TI_MAX][CT_TCP_STATE_MAX] = {
	[CT_ORIGINAL] = {
		/*
		 * NO: opens. SS: again. SR..LA: a SYN into a connection is out of order or an attack:
		 * wait for what the other side says. TW, CL: opens anew, if the old one was closed
		 * (see ct_tcp_reopens). S2: again.
		 */
		/*                 NO     SS     SR     ES     FW     CW     LA     TW     CL     S2 */
		[CT_TI_SYN]    = ROW(CT_SS, CT_SS, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_SS, CT_SS, CT_S2),
		/* Only in answer to a SYN from the other side: S2, or SR which it led to. */
		[CT_TI_SYNACK] = ROW(CT_IV, CT_IV, CT_SR, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_SR),
		/* SS, S2: nothing was answered yet. FW, CW: the second FIN. LA, TW: it again. */
		[CT_TI_FIN]    = ROW(CT_IV, CT_IV, CT_FW, CT_FW, CT_LA, CT_LA, CT_LA, CT_TW, CT_CL, CT_IV),
		/* NO: picked up in the middle. SR: end of the handshake. FW: acknowledges the FIN. */
		[CT_TI_ACK]    = ROW(CT_ES, CT_IV, CT_ES, CT_ES, CT_CW, CT_CW, CT_TW, CT_TW, CT_CL, CT_IV),
		[CT_TI_RST]    = ROW(CT_IV, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL),
		[CT_TI_NONE]   = ROW(CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV),
	},
	[CT_REPLY] = {
		/* SS, S2: both open at once. TW: the other side opens anew. Else never an answer. */
		/*                 NO     SS     SR     ES     FW     CW     LA     TW     CL     S2 */
		[CT_TI_SYN]    = ROW(CT_IV, CT_S2, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_SS, CT_IV, CT_S2),
		/* SS: the answer. SR..CL: again, or the answer to a SYN that we ignored. */
		[CT_TI_SYNACK] = ROW(CT_IV, CT_SR, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_SR),
		[CT_TI_FIN]    = ROW(CT_IV, CT_IV, CT_FW, CT_FW, CT_LA, CT_LA, CT_LA, CT_TW, CT_CL, CT_IV),
		/* SS, S2: a challenge ACK, of a connection only the server still knows. */
		[CT_TI_ACK]    = ROW(CT_IV, CT_IG, CT_SR, CT_ES, CT_CW, CT_CW, CT_TW, CT_TW, CT_CL, CT_IG),
		[CT_TI_RST]    = ROW(CT_IV, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL),
		[CT_TI_NONE]   = ROW(CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV),
	},
};
#undef ROW

static __always_inline enum ct_tcp_index ct_tcp_index(__u8 flags)
{
	if (flags & CT_TCP_RST)
		return CT_TI_RST;
	if (flags & CT_TCP_SYN)
		return flags & CT_TCP_ACK ? CT_TI_SYNACK : CT_TI_SYN;
	if (flags & CT_TCP_FIN)
		return CT_TI_FIN;
	if (flags & CT_TCP_ACK)
		return CT_TI_ACK;
	return CT_TI_NONE;
}

/* SYN and FIN take a sequence number each. */
static __always_inline __u32 ct_tcp_end(const struct ct_parsed *p)
{
	return p->seq + p->payload + !!(p->tcp_flags & CT_TCP_SYN) + !!(p->tcp_flags & CT_TCP_FIN);
}

static __always_inline void ct_tcp_remember(struct ct_tcp *t, const struct ct_parsed *p,
					    enum ct_dir dir, enum ct_tcp_index index)
{
	t->last_index = index;
	t->last_dir = dir;
	t->last_seq = p->seq;
	t->last_ack = p->ack;
	t->last_end = ct_tcp_end(p);
}

static __always_inline enum ct_reason ct_tcp_new(struct ct_entry *e, const struct ct_parsed *p,
						 const struct ct_settings *s, __u64 now)
{
	enum ct_tcp_index index = ct_tcp_index(p->tcp_flags);
	__u64 timeout;

	e->state = ct_tcp_table[CT_ORIGINAL][index][CT_TCP_NONE];
	if (e->state >= CT_TCP_STATE_MAX)
		return CT_R_TCP_STATE;
	if (e->state != CT_TCP_SYN_SENT && !s->knob[CT_K_TCP_LOOSE])
		return CT_R_TCP_NO_SYN;
	ct_tcp_remember(&e->l4.tcp, p, CT_ORIGINAL, index);
	timeout = ct_timeout(s, e->state == CT_TCP_SYN_SENT ? CT_T_TCP_SYN_SENT :
							      CT_T_TCP_ESTABLISHED);
	/* Picked up and not answered: nothing yet says that it is alive. */
	if (e->state == CT_TCP_ESTABLISHED && timeout > ct_timeout(s, CT_T_TCP_UNACK))
		timeout = ct_timeout(s, CT_T_TCP_UNACK);
	e->expires = now + timeout;
	return CT_R_NONE;
}

/*
 * A SYN to a connection in TIME_WAIT or CLOSE is a new one if the old was closed by a FIN, or reset
 * by the side that now sends the SYN (RFC 9293 3.6.1). A reset from the other side may be forged:
 * the SYN is let through, and a SYN/ACK to it will reopen the flow (see CT_IG below).
 */
static __always_inline bool ct_tcp_reopens(const struct ct_tcp *t, enum ct_dir dir)
{
	if ((t->peer_flags[CT_ORIGINAL] | t->peer_flags[CT_REPLY]) & CT_TF_CLOSE_INIT)
		return true;
	return t->last_dir == dir && t->last_index == CT_TI_RST;
}

static __always_inline void ct_tcp_packet(struct ct_entry *e, const struct ct_parsed *p,
					  enum ct_dir dir, const struct ct_settings *s,
					  struct ct_step *step)
{
	struct ct_tcp *t = &e->l4.tcp;
	enum ct_tcp_index index = ct_tcp_index(p->tcp_flags);
	__u32 old = e->state, new;
	bool replied = e->status & CT_S_SEEN_REPLY;

	/* Never out of range; the verifier can't know. */
	if (old >= CT_TCP_STATE_MAX)
		old = CT_TCP_NONE;
	new = ct_tcp_table[dir & 1][index][old];

	if (new == CT_TCP_SYN_SENT && old >= CT_TCP_TIME_WAIT) {
		if (ct_tcp_reopens(t, dir)) {
			step->verdict = CT_V_REOPEN;
			return;
		}
		new = CT_IG;
	}
	if (new == CT_IG) {
		/*
		 * A SYN/ACK that acknowledges the SYN which we ignored: both hosts know of a new
		 * connection and only we did not. Follow them.
		 */
		if (index == CT_TI_SYNACK && t->last_index == CT_TI_SYN && t->last_dir != dir &&
		    p->ack == t->last_end) {
			t->peer_flags[CT_ORIGINAL] = 0;
			t->peer_flags[CT_REPLY] = 0;
			t->flags = 0;
			new = CT_TCP_SYN_RECV;
		} else {
			ct_tcp_remember(t, p, dir, index);
			if (index == CT_TI_SYN && dir == CT_ORIGINAL && old == CT_TCP_LAST_ACK)
				t->flags |= CT_TF_CHALLENGE;
			step->verdict = CT_V_IGNORE;
			return;
		}
	}
	/*
	 * The ACK that answers a SYN in LAST_ACK is not the last one of the old connection but a
	 * challenge (RFC 5961 4): whoever sent the SYN will reset, if it meant it.
	 */
	if (new == CT_TCP_TIME_WAIT && old == CT_TCP_LAST_ACK && index == CT_TI_ACK &&
	    t->last_dir != dir && t->last_index == CT_TI_SYN && t->flags & CT_TF_CHALLENGE) {
		t->flags &= ~CT_TF_CHALLENGE;
		step->verdict = CT_V_IGNORE;
		return;
	}
	barrier_var(new); /* or clang checks another copy of it than the one that indexes below */
	if (new >= CT_TCP_STATE_MAX) {
		step->verdict = CT_V_REFUSE;
		step->reason = CT_R_TCP_STATE;
		return;
	}
	if (new == CT_TCP_SYN_SENT2)
		t->flags |= CT_TF_SIMULTANEOUS;
	/* After two SYNs each side's SYN/ACK is acknowledged; the reply's ACK then ends the handshake. */
	if (new == CT_TCP_SYN_RECV && dir == CT_REPLY && index == CT_TI_ACK &&
	    t->flags & CT_TF_SIMULTANEOUS)
		new = CT_TCP_ESTABLISHED;

	ct_tcp_remember(t, p, dir, index);
	if (new == CT_TCP_FIN_WAIT && old != CT_TCP_FIN_WAIT)
		t->peer_flags[dir & 1] |= CT_TF_CLOSE_INIT;
	step->changed = new != old;
	e->state = new;

	step->timeout = ct_timeout(s, index == CT_TI_RST ? CT_T_TCP_CLOSE : (enum ct_timeout)new);
	if (!replied) {
		/* Refused, or given up: there never was a connection. */
		if (index == CT_TI_RST) {
			step->verdict = CT_V_CLOSE;
			return;
		}
		/* Repeating a SYN must not keep an unanswered flow alive for ever. */
		if (index == CT_TI_SYN && old == CT_TCP_SYN_SENT) {
			step->verdict = CT_V_IGNORE;
			return;
		}
		if (new == CT_TCP_ESTABLISHED && step->timeout > ct_timeout(s, CT_T_TCP_UNACK))
			step->timeout = ct_timeout(s, CT_T_TCP_UNACK);
	} else if (new == CT_TCP_ESTABLISHED &&
		   (old == CT_TCP_SYN_RECV || old == CT_TCP_ESTABLISHED)) {
		step->assured = true;
	}
}

#endif
