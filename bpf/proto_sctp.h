/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SCTP (RFC 9260): an association's states, what each chunk does to them, and the verification
 * tags that say whose packets are to be believed. Table and rules are those of
 * nf_conntrack_proto_sctp.c.
 *
 * A packet's chunks act one after the other. Where one is refused the packet is invalid, but what
 * those before it did stays done.
 */
#ifndef PROTO_SCTP_H
#define PROTO_SCTP_H

/*
 * The table's short words; IV - invalid, state kept. CL is where an association begins, with its
 * INIT, as well as where it ends.
 */
#define CT_NO CT_SCTP_NONE
#define CT_CL CT_SCTP_CLOSED
#define CT_CW CT_SCTP_COOKIE_WAIT
#define CT_CE CT_SCTP_COOKIE_ECHOED
#define CT_ES CT_SCTP_ESTABLISHED
#define CT_SS CT_SCTP_SHUTDOWN_SENT
#define CT_SR CT_SCTP_SHUTDOWN_RECD
#define CT_SA CT_SCTP_SHUTDOWN_ACK_SENT
#define CT_HS CT_SCTP_HEARTBEAT_SENT
#define CT_IV CT_SCTP_STATE_MAX

/* Those with the T bit act as those without. */
#define CT_SC_ROWS CT_SC_ABORT_T

#define ROW(...) { __VA_ARGS__ }
static const __u8 ct_sctp_table[CT_DIRS][CT_SC_ROWS][CT_SCTP_STATE_MAX] = {
	[CT_ORIGINAL] = {
		/*
		 * NO: opens. CW..ES: again, or a restart; the tags are renewed, the rest is for the
		 * COOKIE ACK to say. SS, SR: the host has begun anew instead of finishing. SA: too
		 * late, the end is on its way. HS: this path is to be an association of its own.
		 */
		/*                          NO     CL     CW     CE     ES     SS     SR     SA     HS */
		[CT_SC_INIT]          = ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_ES, CT_CL, CT_CL, CT_SA, CT_CW),
		/* An answer of who asks: to an INIT from the other side. Changes nothing but HS. */
		[CT_SC_INIT_ACK]      = ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_CL),
		/* With the right tag there is no arguing. */
		[CT_SC_ABORT]         = ROW(CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL),
		/* Means something in ES only. SR: both at once, the other's was first. */
		[CT_SC_SHUTDOWN]      = ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_SS, CT_SS, CT_SR, CT_SA, CT_CL),
		/* NO: of an association from before us. SS: both have shut down at once. SR: the answer. */
		[CT_SC_SHUTDOWN_ACK]  = ROW(CT_SA, CT_CL, CT_CW, CT_CE, CT_ES, CT_SA, CT_SA, CT_SA, CT_SA),
		/* A stale cookie would be the other side's error. */
		[CT_SC_ERROR]         = ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_CL),
		/* CW: the third of the four. CE, ES: again. */
		[CT_SC_COOKIE_ECHO]   = ROW(CT_CL, CT_CL, CT_CE, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_CL),
		/* CE: the fourth, when the other side's INIT has won a collision. */
		[CT_SC_COOKIE_ACK]    = ROW(CT_CL, CT_CL, CT_CW, CT_ES, CT_ES, CT_SS, CT_SR, CT_SA, CT_CL),
		/* Only the answer to a SHUTDOWN ACK ends. */
		[CT_SC_SHUTDOWN_COMPLETE] =
					ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_CL, CT_CL),
		/* NO: a further path of an association that was opened elsewhere. */
		[CT_SC_HEARTBEAT]     = ROW(CT_HS, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_HS),
		/* HS: answers nothing that we saw, and says nothing against it. */
		[CT_SC_HEARTBEAT_ACK] = ROW(CT_CL, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_HS),
	},
	[CT_REPLY] = {
		/*
		 * NO is never met: a flow has a state before it has replies. HS: on a path with
		 * heartbeats the answer is a heartbeat or its acknowledgement, and nothing else.
		 */
		/* From the other side: a collision, or a restart. Only the tags change. */
		/*                          NO     CL     CW     CE     ES     SS     SR     SA     HS */
		[CT_SC_INIT]          = ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_IV),
		/* CL: the second of the four. */
		[CT_SC_INIT_ACK]      = ROW(CT_IV, CT_CW, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_IV),
		[CT_SC_ABORT]         = ROW(CT_IV, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_IV),
		/* SS: both at once, the original side's was first. */
		[CT_SC_SHUTDOWN]      = ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_SR, CT_SS, CT_SR, CT_SA, CT_IV),
		/* SS: the answer. SR: both have shut down at once. */
		[CT_SC_SHUTDOWN_ACK]  = ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_ES, CT_SA, CT_SA, CT_SA, CT_IV),
		/* CE: the cookie was stale, the opening has failed. */
		[CT_SC_ERROR]         = ROW(CT_IV, CT_CL, CT_CW, CT_CL, CT_ES, CT_SS, CT_SR, CT_SA, CT_IV),
		/* CW: of a collision that the other side has won. */
		[CT_SC_COOKIE_ECHO]   = ROW(CT_IV, CT_CL, CT_CE, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_IV),
		/* CE: the fourth of the four: it stands. */
		[CT_SC_COOKIE_ACK]    = ROW(CT_IV, CT_CL, CT_CW, CT_ES, CT_ES, CT_SS, CT_SR, CT_SA, CT_IV),
		[CT_SC_SHUTDOWN_COMPLETE] =
					ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_CL, CT_IV),
		/* HS: the other side tries the path, too. */
		[CT_SC_HEARTBEAT]     = ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_HS),
		/* HS: the path works. */
		[CT_SC_HEARTBEAT_ACK] = ROW(CT_IV, CT_CL, CT_CW, CT_CE, CT_ES, CT_SS, CT_SR, CT_SA, CT_ES),
	},
};
#undef ROW
#undef CT_NO
#undef CT_CL
#undef CT_CW
#undef CT_CE
#undef CT_ES
#undef CT_SS
#undef CT_SR
#undef CT_SA
#undef CT_HS
#undef CT_IV

/*
 * A HEARTBEAT or its answer. On a path of an association that was opened elsewhere the first tag of
 * each direction is believed. A HEARTBEAT with another tag is let through, but believed only when
 * it is answered: then the association behind these ports is another one, whose tags are learned.
 */
static __always_inline enum ct_verdict ct_sctp_heartbeat(struct ct_sctp *a,
							 const struct ct_parsed *p,
							 enum ct_dir dir, bool answer,
							 enum ct_verdict so_far)
{
	__be32 *own = &a->tag[dir & 1];

	if (!*own) {
		*own = p->tag;
		return CT_V_ACCEPT;
	}
	if (p->tag == *own) {
		a->wrong_tag = 0;
		return CT_V_ACCEPT;
	}
	/* Data is not let through on trust, nor is a second one. */
	if (p->chunk_set & 1 << CT_SC_DATA || so_far == CT_V_IGNORE)
		return CT_V_REFUSE;
	if (!answer) {
		a->wrong_tag = 1;
		a->wrong_dir = dir;
		return CT_V_IGNORE;
	}
	if (!a->wrong_tag || a->wrong_dir == dir)
		return CT_V_REFUSE;
	a->wrong_tag = 0;
	*own = p->tag;
	a->tag[!(dir & 1)] = 0;
	return CT_V_ACCEPT;
}

/*
 * May this chunk come with the packet's tag (RFC 9260 8.5)? CT_V_IGNORE: it may, but does nothing.
 */
static __always_inline enum ct_verdict ct_sctp_tag(struct ct_sctp *a, const struct ct_parsed *p,
						   enum ct_sctp_chunk chunk, enum ct_dir dir,
						   enum ct_verdict so_far)
{
	__be32 own = a->tag[dir & 1], other = a->tag[!(dir & 1)];

	switch (chunk) {
	case CT_SC_INIT:
		return p->tag ? CT_V_REFUSE : CT_V_ACCEPT;
	case CT_SC_ABORT:
	case CT_SC_SHUTDOWN_COMPLETE:
	case CT_SC_COOKIE_ECHO:
		return p->tag != own ? CT_V_REFUSE : CT_V_ACCEPT;
	case CT_SC_ABORT_T: /* from a host that knows no association: it gives the tag back */
	case CT_SC_SHUTDOWN_COMPLETE_T:
		return p->tag != other ? CT_V_REFUSE : CT_V_ACCEPT;
	case CT_SC_COOKIE_ACK:
		a->init[CT_ORIGINAL] = 0;
		a->init[CT_REPLY] = 0;
		return CT_V_ACCEPT;
	case CT_SC_HEARTBEAT:
	case CT_SC_HEARTBEAT_ACK:
		return ct_sctp_heartbeat(a, p, dir, chunk == CT_SC_HEARTBEAT_ACK, so_far);
	default:
		return CT_V_ACCEPT; /* looked at already, for all chunks together */
	}
}

/*
 * An INIT or INIT ACK says which tag its sender wants to see. When both sides have sent an INIT,
 * or one side has begun anew, an INIT ACK counts only if it repeats its sender's latest INIT
 * (RFC 9260 5.2.1): another is a late answer to an INIT that is no longer meant. An INIT that says
 * the tag that is known already, except the first, is old or sent again: it opens nothing.
 * False: refuse.
 */
static __always_inline bool ct_sctp_learn(struct ct_sctp *a, const struct ct_parsed *p,
					  enum ct_sctp_chunk chunk, enum ct_dir dir, __u32 state)
{
	__be32 *wanted = &a->tag[!(dir & 1)];
	__u8 *init = &a->init[dir & 1], *other_init = &a->init[!(dir & 1)];

	if (chunk == CT_SC_INIT) {
		if (state == CT_SCTP_NONE || *wanted != p->init_tag) {
			if (*init)
				*other_init = 0;
			*init = 1;
		}
	} else if (*wanted != p->init_tag && ((!*other_init && *wanted) || (*init && *other_init))) {
		return false;
	}
	*wanted = p->init_tag;
	return true;
}

/* One chunk of a packet: its verdict in `step`, with what the chunks before it have left there. */
ct_global int ct_sctp_chunk(struct ct_entry *e, const struct ct_parsed *p, __u32 chunk,
			    __u32 dir_bit, struct ct_step *step)
{
	enum ct_dir dir = dir_bit & 1 ? CT_REPLY : CT_ORIGINAL;
	enum ct_verdict verdict;
	__u32 row = chunk, old, new;
	struct ct_sctp *a;

	if (!e || !p || !step)
		return 0;
	a = &e->l4.sctp;
	verdict = ct_sctp_tag(a, p, chunk, dir, step->verdict);
	if (verdict != CT_V_ACCEPT) {
		step->verdict = verdict;
		step->reason = verdict == CT_V_REFUSE ? CT_R_SCTP_TAG : CT_R_NONE;
		return 0;
	}
	if (chunk == CT_SC_ABORT_T)
		row = CT_SC_ABORT;
	if (chunk == CT_SC_SHUTDOWN_COMPLETE_T)
		row = CT_SC_SHUTDOWN_COMPLETE;
	old = e->state;
	/* Never out of range; the verifier can't know. */
	if (old >= CT_SCTP_STATE_MAX || row >= CT_SC_ROWS)
		return 0;
	new = ct_sctp_table[dir][row][old];
	if (new >= CT_SCTP_STATE_MAX) {
		step->verdict = CT_V_REFUSE;
		step->reason = CT_R_SCTP_STATE;
		return 0;
	}
	if ((chunk == CT_SC_INIT || chunk == CT_SC_INIT_ACK) &&
	    !ct_sctp_learn(a, p, chunk, dir, old)) {
		step->verdict = CT_V_REFUSE;
		step->reason = CT_R_SCTP_TAG;
		return 0;
	}
	/* INITs that nobody answers do not keep the flow. */
	if (chunk == CT_SC_INIT && old == CT_SCTP_CLOSED && new == CT_SCTP_CLOSED &&
	    e->status & CT_S_CONFIRMED)
		step->verdict = CT_V_IGNORE;
	e->state = new;
	if (new == old)
		return 0;
	step->changed = true;
	if (new == CT_SCTP_ESTABLISHED)
		step->assured = true;
	return 0;
}

/* Chunks of which each looks at the tag in its own way. */
#define CT_SC_OWN_TAG                                                                              \
	(1 << CT_SC_INIT | 1 << CT_SC_ABORT | 1 << CT_SC_ABORT_T | 1 << CT_SC_SHUTDOWN_ACK |       \
	 1 << CT_SC_COOKIE_ECHO | 1 << CT_SC_SHUTDOWN_COMPLETE | 1 << CT_SC_SHUTDOWN_COMPLETE_T |  \
	 1 << CT_SC_HEARTBEAT | 1 << CT_SC_HEARTBEAT_ACK)

/* One packet; see ct_tcp_packet. */
ct_global int ct_sctp_packet(struct ct_entry *e, const struct ct_parsed *p, __u32 dir_bit,
			     const struct ct_settings *s, struct ct_step *step)
{
	struct ct_sctp *a;
	__u64 chunks;
	__u32 state;

	if (!e || !p || !s || !step)
		return 0;
	a = &e->l4.sctp;
	if (!(p->chunk_set & CT_SC_OWN_TAG) && p->tag != a->tag[dir_bit & 1]) {
		step->verdict = CT_V_REFUSE;
		step->reason = CT_R_SCTP_TAG;
		return 0;
	}
	chunks = p->chunks;
	for (int i = 0; i < CT_SCTP_MAX_CONTROL && chunks; i++) {
		ct_sctp_chunk(e, p, chunks & 15, dir_bit, step);
		if (step->verdict == CT_V_REFUSE)
			break;
		chunks >>= 4;
	}
	/* What a refused packet has changed is told with the next one. */
	if (step->verdict == CT_V_REFUSE) {
		a->untold |= step->changed;
		return 0;
	}
	step->changed |= a->untold;
	a->untold = 0;
	state = e->state;
	barrier_var(state);
	if (state < CT_SCTP_CLOSED || state >= CT_SCTP_STATE_MAX)
		return 0;
	step->timeout = ct_timeout(s, CT_T_SCTP_CLOSED - CT_SCTP_CLOSED + state);
	return 0;
}

/* Chunks that no association begins with: "out of the blue" (RFC 9260 8.4). */
#define CT_SC_NEVER_FIRST                                                                          \
	(1 << CT_SC_ABORT | 1 << CT_SC_ABORT_T | 1 << CT_SC_SHUTDOWN_COMPLETE |                    \
	 1 << CT_SC_SHUTDOWN_COMPLETE_T | 1 << CT_SC_COOKIE_ACK | 1 << CT_SC_DATA |                \
	 1 << CT_SC_OTHER)

/*
 * The first packet of a flow: an INIT, a HEARTBEAT on a further path of an association, or the
 * SHUTDOWN ACK of one that we never saw, which will be answered with the same tag.
 */
static __always_inline enum ct_reason ct_sctp_new(struct ct_entry *e, const struct ct_parsed *p,
						  const struct ct_settings *s, __u64 now)
{
	struct ct_step step = { .verdict = CT_V_ACCEPT, .now = now };
	struct ct_sctp *a = &e->l4.sctp;

	if (p->chunk_set & CT_SC_NEVER_FIRST)
		return CT_R_SCTP_FIRST;
	if (p->chunk_set & 1 << CT_SC_HEARTBEAT)
		a->tag[CT_ORIGINAL] = p->tag;
	if (p->chunk_set & 1 << CT_SC_SHUTDOWN_ACK)
		a->tag[CT_REPLY] = p->tag;
	ct_sctp_packet(e, p, CT_ORIGINAL, s, &step);
	e->expires = now + step.timeout;
	return step.verdict == CT_V_REFUSE ? step.reason : CT_R_NONE;
}

#endif
