/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP: two directions, ten states, what packets do to them, and which packets can be part of the
 * connection at all. Tables, special cases and inequalities are those of nf_conntrack_proto_tcp.c;
 * the windows go back to Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001).
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
	CT_TF_SCALE = 0x01,      /* its SYN offered window scaling */
	CT_TF_SACK_PERM = 0x02,  /* its SYN permitted SACK */
	CT_TF_CLOSE_INIT = 0x04, /* it sent the first FIN */
	CT_TF_LIBERAL = 0x08,    /* its windows can't be known: never refuse it for them */
	CT_TF_UNACKED = 0x10,    /* it has sent data that the other side has not acknowledged */
	CT_TF_MAXACK = 0x20,     /* peer.maxack is known */
	CT_TF_RELEARN = 0x40,    /* its packets went unseen for a while; see ct_tcp_relearn */
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
		/*
		 * S2: answers the SYN of the other side. SR: so it does, after the other's SYN/ACK.
		 * All else: the other side has sent no SYN.
		 */
		[CT_TI_SYNACK] = ROW(CT_IV, CT_IV, CT_SR, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_SR),
		/*
		 * NO, SS, S2: there is nothing to close yet. SR, ES: the first FIN (in SR it is the
		 * handshake's last ACK, too). FW, CW: the second, whoever sends it. LA, TW: again.
		 * CL: of no consequence.
		 */
		[CT_TI_FIN]    = ROW(CT_IV, CT_IV, CT_FW, CT_FW, CT_LA, CT_LA, CT_LA, CT_TW, CT_CL, CT_IV),
		/*
		 * NO: picked up in the middle (tcp_loose). SS, S2: there is no SYN/ACK to acknowledge.
		 * SR: the end of the handshake. ES: as it should be. FW: acknowledges the FIN, as far
		 * as we look. CW: its side may send on. LA: acknowledges the second FIN, if it is no
		 * challenge (see ct_tcp_packet). TW: again. CL: of no consequence.
		 */
		[CT_TI_ACK]    = ROW(CT_ES, CT_IV, CT_ES, CT_ES, CT_CW, CT_CW, CT_TW, CT_TW, CT_CL, CT_IV),
		/* NO: nothing to reset. All else: closes, as far as it is believed (ct_tcp_reset). */
		[CT_TI_RST]    = ROW(CT_IV, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL),
		/* No host sends such packets: the flags have been looked at before. */
		[CT_TI_NONE]   = ROW(CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV),
	},
	[CT_REPLY] = {
		/*
		 * SS, S2: both open at once. TW: opens anew, from the other side. NO: a flow does not
		 * begin with its answer. All else: servers don't open.
		 */
		/*                 NO     SS     SR     ES     FW     CW     LA     TW     CL     S2 */
		[CT_TI_SYN]    = ROW(CT_IV, CT_S2, CT_IV, CT_IV, CT_IV, CT_IV, CT_IV, CT_SS, CT_IV, CT_S2),
		/*
		 * NO: answers nothing. SS, S2: the answer. SR..CL: it again, because its ACK was lost;
		 * or the answer to a SYN that we ignored (see ct_tcp_ignored).
		 */
		[CT_TI_SYNACK] = ROW(CT_IV, CT_SR, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_IG, CT_SR),
		/* As above. SR: the server closes before the handshake's last ACK has come. */
		[CT_TI_FIN]    = ROW(CT_IV, CT_IV, CT_FW, CT_FW, CT_LA, CT_LA, CT_LA, CT_TW, CT_CL, CT_IV),
		/*
		 * NO: nothing is picked up by its answer. SS, S2: a challenge ACK, of a connection only
		 * the server still knows. SR: data before the handshake's last ACK; if both have opened,
		 * the end of the handshake (see ct_tcp_packet). The rest as above.
		 */
		[CT_TI_ACK]    = ROW(CT_IV, CT_IG, CT_SR, CT_ES, CT_CW, CT_CW, CT_TW, CT_TW, CT_CL, CT_IG),
		/* As above. SS: refused. */
		[CT_TI_RST]    = ROW(CT_IV, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL, CT_CL),
		/* As above. */
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

/* Sequence numbers are compared modulo 2^32 (RFC 9293 3.4). */
static __always_inline bool ct_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline bool ct_after(__u32 a, __u32 b)
{
	return ct_before(b, a);
}

/* What we let through without believing it: the answer will tell. */
static __always_inline void ct_tcp_remember(struct ct_tcp *t, const struct ct_parsed *p,
					    enum ct_dir dir, enum ct_tcp_index index)
{
	t->last_index = index;
	t->last_dir = dir;
	t->last_seq = p->seq;
	t->last_end = ct_tcp_end(p);
	t->last_win = p->win;
}

/*
 * The options of a SYN, as far as they concern its sender alone. One without any says nothing of
 * them: what an earlier SYN of this side offered stays (tcp_options() in nf_conntrack).
 */
static __always_inline void ct_tcp_options(struct ct_tcp *t, const struct ct_parsed *p,
					   enum ct_dir dir)
{
	if (!(p->tcp_options & CT_TO_ANY))
		return;
	t->scale[dir & 1] = p->tcp_options & CT_TO_SCALE ? p->scale : 0;
	t->peer_flags[dir & 1] &= CT_TF_LIBERAL;
	if (p->tcp_options & CT_TO_SCALE)
		t->peer_flags[dir & 1] |= CT_TF_SCALE;
	if (p->tcp_options & CT_TO_SACK_PERM)
		t->peer_flags[dir & 1] |= CT_TF_SACK_PERM;
}

/* A SYN, with or without ACK, begins its sender's side. */
static __always_inline void ct_tcp_begin(struct ct_tcp *t, const struct ct_parsed *p,
					 enum ct_dir dir, __u32 end)
{
	struct ct_tcp_peer *sender = &t->peer[dir & 1];

	sender->end = end;
	sender->maxend = end;
	sender->maxwin = p->win ?: 1;
	ct_tcp_options(t, p, dir);
	/* Windows are scaled only if both have offered it (RFC 7323 2.2). */
	if (dir == CT_REPLY &&
	    !(t->peer_flags[CT_ORIGINAL] & t->peer_flags[CT_REPLY] & CT_TF_SCALE)) {
		t->scale[CT_ORIGINAL] = 0;
		t->scale[CT_REPLY] = 0;
	}
}

/* A host may keep its ACKs back for this much data at least (MAXACKWINCONST). */
#define CT_TCP_MAXACKWIN 66000

enum ct_tcp_window {
	CT_W_ACCEPT,
	CT_W_IGNORE,
	CT_W_SEQ_OVER,
	CT_W_ACK_OVER,
};

/*
 * Is the packet within what its sender may send now? And if so, what does it say about the windows.
 * With S the sender's side and R the receiver's, as known before this packet:
 *
 *	I	seq  <= S.maxend		not more than R has offered room for
 *	II	end  >= S.end - R.maxwin	not older than a window ago
 *	III	sack <= R.end			acknowledges nothing that R has not sent
 *	IV	sack >= R.end - MAXACKWINDOW	not an acknowledgement from long ago
 *
 * Below the lower bounds (II, IV) are duplicates and late packets: let through, and not learned
 * from. Above the upper bounds is what nobody can have sent.
 */
static __always_inline enum ct_tcp_window ct_tcp_window(struct ct_tcp *t,
							const struct ct_parsed *p,
							enum ct_dir dir, enum ct_tcp_index index,
							__u32 state, bool liberal)
{
	struct ct_tcp_peer *sender = &t->peer[dir & 1], *receiver = &t->peer[!(dir & 1)];
	__u8 *sender_flags = &t->peer_flags[dir & 1], *receiver_flags = &t->peer_flags[!(dir & 1)];
	__u32 seq = p->seq, end = ct_tcp_end(p), ack = p->ack, sack = p->ack, win = p->win;
	__u32 maxackwin, swin;
	bool in_window;

	/* SACK blocks count if the side that the data came from permitted them. */
	if (*receiver_flags & CT_TF_SACK_PERM)
		sack = p->sack;

	if (!sender->maxwin) {
		/* Its first packet. */
		if (p->tcp_flags & CT_TCP_SYN) {
			ct_tcp_begin(t, p, dir, end);
			if (!(p->tcp_flags & CT_TCP_ACK))
				return CT_W_ACCEPT; /* both open at once */
		} else {
			/* We came in the middle: take the packet's word for it. */
			swin = win << (t->scale[dir & 1] & 15);
			sender->end = end;
			sender->maxwin = swin ?: 1;
			sender->maxend = end + sender->maxwin;
			if (!receiver->maxwin) {
				/* III and IV must hold until the other side has been seen. */
				receiver->end = sack;
				receiver->maxend = sack;
			} else if (sack == receiver->end + 1) {
				receiver->end++; /* the answer to a keepalive */
			}
		}
	} else if (p->tcp_flags & CT_TCP_SYN && ct_after(end, sender->end) &&
		   (state == CT_TCP_SYN_SENT || state == CT_TCP_SYN_RECV)) {
		/* It has begun again, with a higher sequence number (RFC 9293 3.4.3). */
		ct_tcp_begin(t, p, dir, end);
		if (dir == CT_REPLY && !(p->tcp_flags & CT_TCP_ACK))
			return CT_W_ACCEPT;
	}

	/* No ACK, or the zero that some stacks put into a reset: as if it fitted. */
	if (!(p->tcp_flags & CT_TCP_ACK) || (p->tcp_flags & CT_TCP_RST && !ack)) {
		ack = receiver->end;
		sack = receiver->end;
	}
	/* A reset in answer to a SYN has sequence number 0. */
	if (p->tcp_flags & CT_TCP_RST && !seq && state == CT_TCP_SYN_SENT) {
		seq = sender->end;
		end = sender->end;
	}

	/* Until the receiver has been seen again, nobody knows how much room it offers. */
	if (*sender_flags & CT_TF_RELEARN && !receiver->maxwin && ct_after(seq, sender->maxend))
		sender->maxend = end;

	maxackwin = sender->maxwin > CT_TCP_MAXACKWIN ? sender->maxwin : CT_TCP_MAXACKWIN;
	if (!ct_before(seq, sender->maxend + 1)) { /* I */
		/*
		 * Some send more than they may. If that is all that is wrong, and it is not more
		 * than R's window again (so none, before R has been seen), remember that it has
		 * been sent, or its acknowledgement would break III.
		 */
		if (end - sender->maxend + 1 <= receiver->maxwin &&
		    ct_after(end, sender->end - receiver->maxwin - 1) && /* II */
		    ct_before(sack, receiver->end + 1) && /* III */
		    ct_after(sack, receiver->end - maxackwin - 1)) { /* IV */
			sender->end = end;
			*sender_flags |= CT_TF_UNACKED;
			return liberal ? CT_W_ACCEPT : CT_W_IGNORE;
		}
		return liberal ? CT_W_ACCEPT : CT_W_SEQ_OVER;
	}
	if (!ct_before(sack, receiver->end + 1)) /* III */
		return liberal ? CT_W_ACCEPT : CT_W_ACK_OVER;
	in_window = !receiver->maxwin || ct_after(end, sender->end - receiver->maxwin - 1); /* II */
	if (!in_window || !ct_after(sack, receiver->end - maxackwin - 1)) /* IV */
		return liberal ? CT_W_ACCEPT : CT_W_IGNORE;

	/* What the sender has sent, acknowledged and offered. The window of a SYN is not scaled. */
	if (!(p->tcp_flags & CT_TCP_SYN))
		win <<= t->scale[dir & 1] & 15;
	swin = win + (sack - ack);
	if (sender->maxwin < swin)
		sender->maxwin = swin;
	if (ct_after(end, sender->end)) {
		sender->end = end;
		*sender_flags |= CT_TF_UNACKED;
	}
	if (p->tcp_flags & CT_TCP_ACK) {
		if (!(*sender_flags & CT_TF_MAXACK) || ct_after(ack, sender->maxack))
			sender->maxack = ack;
		*sender_flags |= CT_TF_MAXACK;
	}
	/* What the receiver may send. */
	if (receiver->maxwin && ct_after(end, sender->maxend))
		receiver->maxwin += end - sender->maxend;
	if (ct_after(sack + win, receiver->maxend - 1))
		receiver->maxend = sack + win + !win;
	if (ack == receiver->end)
		*receiver_flags &= ~CT_TF_UNACKED;

	/* The very same again, or news. */
	if (index == CT_TI_ACK) {
		if (t->last_dir == dir && t->last_seq == seq && t->last_ack == ack &&
		    t->last_end == end && t->last_win == p->win) {
			if (t->retransmits < 15)
				t->retransmits++;
		} else {
			t->last_seq = seq;
			t->last_ack = ack;
			t->last_end = end;
			t->last_win = p->win;
			t->retransmits = 0;
		}
	}
	return CT_W_ACCEPT;
}

/*
 * Packets of the connection may have passed unseen: forget its windows. The next packet of each
 * side tells them anew (tcp_fixup() in nf_conntrack_proto.c). The kernel lets a side send no more
 * than its own window until the other has been seen; in a fast transfer that refuses data, then
 * its acknowledgements, and does not end.
 */
static __always_inline void ct_tcp_relearn(struct ct_tcp *t)
{
	t->peer[CT_ORIGINAL].maxwin = 0;
	t->peer[CT_REPLY].maxwin = 0;
	t->peer_flags[CT_ORIGINAL] |= CT_TF_RELEARN;
	t->peer_flags[CT_REPLY] |= CT_TF_RELEARN;
}

/*
 * A connection that no packet has begun, in this state: of its windows as much is known as of one that
 * is picked up in the middle. If its SYN is yet to come, that tells the rest.
 */
static __always_inline void ct_tcp_created(struct ct_tcp *t, __u8 state)
{
	t->last_index = CT_TI_NONE; /* 0 would be a SYN, which a forged answer would fit */
	ct_tcp_relearn(t);
	if (state == CT_TCP_SYN_SENT || state == CT_TCP_SYN_SENT2)
		return;
	t->peer_flags[CT_ORIGINAL] |= CT_TF_SACK_PERM | CT_TF_LIBERAL;
	t->peer_flags[CT_REPLY] |= CT_TF_SACK_PERM | CT_TF_LIBERAL;
}

/*
 * A later fragment of a segment: `end` is the sequence number behind it, `seq` that at which the
 * segment begins, or a little before. What it brings has been sent, as if it had come with the
 * first. But a connection lets packets through without learning from them (a SYN that it ignores,
 * say), and those may lie anywhere: then the segment begins behind all that has been sent.
 */
static __always_inline void ct_tcp_more(struct ct_tcp *t, enum ct_dir dir, __u32 seq, __u32 end)
{
	struct ct_tcp_peer *sender = &t->peer[dir & 1], *receiver = &t->peer[!(dir & 1)];

	if (!sender->maxwin || ct_after(seq, sender->end) || !ct_after(end, sender->end))
		return;
	sender->end = end;
	t->peer_flags[dir & 1] |= CT_TF_UNACKED;
	if (receiver->maxwin && ct_after(end, sender->maxend))
		receiver->maxwin += end - sender->maxend;
}

/*
 * A SYN to a connection in TIME_WAIT or CLOSE is a new one if the old was closed by a FIN, or reset
 * by the side that now sends the SYN (RFC 9293 3.6.1). A reset from the other side may be forged:
 * the SYN is let through, and a SYN/ACK to it will reopen the flow (see ct_tcp_ignored).
 */
static __always_inline bool ct_tcp_reopens(const struct ct_tcp *t, enum ct_dir dir)
{
	if ((t->peer_flags[CT_ORIGINAL] | t->peer_flags[CT_REPLY]) & CT_TF_CLOSE_INIT)
		return true;
	return t->last_dir == dir && t->last_index == CT_TI_RST;
}

/*
 * A packet that the table says to ignore. True if it is to be taken after all: a SYN/ACK that
 * acknowledges the SYN which we ignored. Both hosts know of a new connection and only we did not;
 * the SYN's side begins with what was remembered of it, the other with this packet.
 */
static __always_inline bool ct_tcp_ignored(struct ct_tcp *t, const struct ct_parsed *p,
					   enum ct_dir dir, enum ct_tcp_index index, __u32 old)
{
	if (index == CT_TI_SYNACK && t->last_index == CT_TI_SYN && t->last_dir != dir &&
	    p->ack == t->last_end) {
		__u32 other = !(dir & 1);

		t->peer[other].end = t->last_end;
		t->peer[other].maxend = t->last_end;
		t->peer[other].maxwin = t->last_win ?: 1;
		t->scale[other] = t->last_scaled ? t->last_scale : 0;
		t->peer_flags[other] = (t->last_scaled ? CT_TF_SCALE : 0) |
				       (t->last_sack_perm ? CT_TF_SACK_PERM : 0);
		t->peer[dir & 1] = (struct ct_tcp_peer){}; /* begins in ct_tcp_window */
		t->peer_flags[dir & 1] &= CT_TF_LIBERAL;
		return true;
	}
	ct_tcp_remember(t, p, dir, index);
	if (index == CT_TI_SYN && dir == CT_ORIGINAL) {
		t->last_scaled = !!(p->tcp_options & CT_TO_SCALE);
		t->last_scale = p->scale & 15;
		t->last_sack_perm = !!(p->tcp_options & CT_TO_SACK_PERM);
		t->challenge = old == CT_TCP_LAST_ACK;
		t->simultaneous = 0;
	}
	/* Perhaps the challenge of a server that still knows an older connection. */
	if (index == CT_TI_ACK && dir == CT_REPLY && old == CT_TCP_SYN_SENT)
		t->last_ack = p->ack;
	return false;
}

enum ct_tcp_reset {
	CT_RST_BELIEVED, /* nobody else can have sent it: no need to look at the window */
	CT_RST_LIKELY,   /* closes, if it is in the window */
	CT_RST_INEXACT,  /* in the window perhaps, but does not hit: changes nothing (RFC 5961 3.2) */
	CT_RST_BOGUS,
};

/* How far to believe a reset. */
static __always_inline enum ct_tcp_reset ct_tcp_reset(const struct ct_entry *e,
						      const struct ct_parsed *p, enum ct_dir dir,
						      __u32 old, bool ignore_invalid)
{
	const struct ct_tcp *t = &e->l4.tcp;
	__u32 maxack = t->peer[!(dir & 1)].maxack;
	bool established = old == CT_TCP_ESTABLISHED && e->status & CT_S_ASSURED;

	/* Closing already: nothing is lost. */
	if (old >= CT_TCP_FIN_WAIT && old <= CT_TCP_CLOSE)
		return CT_RST_BELIEVED;
	if (t->peer_flags[!(dir & 1)] & CT_TF_MAXACK && t->last_index != CT_TI_SYN) {
		if (!p->seq && !established)
			return CT_RST_LIKELY; /* in answer to a SYN that we had let through */
		if (ct_before(p->seq, maxack) && !ignore_invalid)
			return CT_RST_BOGUS;
		/* Exactly what the other side waits for; or right behind its sender's last packet. */
		if (!established || p->seq == maxack ||
		    (t->last_index == CT_TI_ACK && t->last_dir == dir && p->seq == t->last_end))
			return CT_RST_LIKELY;
		return CT_RST_INEXACT;
	}
	/* In answer to a SYN, or an ACK, that we had let through. */
	if (((e->status & CT_S_SEEN_REPLY && t->last_index == CT_TI_SYN && t->last_dir != dir) ||
	     (!(e->status & CT_S_ASSURED) && t->last_index == CT_TI_ACK)) &&
	    p->ack == t->last_end)
		return CT_RST_BELIEVED;
	/* In answer to a challenge ACK. */
	if (old == CT_TCP_SYN_SENT && t->last_index == CT_TI_ACK && t->last_dir == CT_REPLY &&
	    p->seq == t->last_ack)
		return CT_RST_BELIEVED;
	return CT_RST_LIKELY;
}

/*
 * A FIN or reset out of the window is refused. But when both sides say so, it is we who are wrong:
 * don't keep the connection for days.
 */
static __always_inline void ct_tcp_refused(struct ct_entry *e, enum ct_dir dir,
					   enum ct_tcp_index index, const struct ct_settings *s,
					   __u64 now)
{
	struct ct_tcp *t = &e->l4.tcp;
	__u64 unacked = ct_timeout(s, CT_T_TCP_UNACK);

	if (!(e->status & CT_S_ASSURED) || (index != CT_TI_RST && index != CT_TI_FIN))
		return;
	if (t->last_dir != dir && (t->last_index == CT_TI_FIN || t->last_index == CT_TI_RST)) {
		if (e->expires >= now + 120ULL * s->hz && e->expires > now + unacked)
			e->expires = now + unacked;
		return;
	}
	t->last_index = index;
	t->last_dir = dir;
}

/* The timeout after a packet that was accepted. */
static __always_inline __u64 ct_tcp_timeout(const struct ct_tcp *t, __u32 state,
					    enum ct_tcp_index index, const struct ct_settings *s)
{
	__u64 timeout = ct_timeout(s, (enum ct_timeout)state);
	__u64 retrans = ct_timeout(s, CT_T_TCP_RETRANS), unacked = ct_timeout(s, CT_T_TCP_UNACK);

	if (t->retransmits >= s->knob.tcp_max_retrans && timeout > retrans)
		return retrans;
	/* A reset that was not believed may be followed by a challenge: 6.12.117 and later. */
	if (index == CT_TI_RST)
		return state == CT_TCP_ESTABLISHED ? unacked : ct_timeout(s, CT_T_TCP_CLOSE);
	if ((t->peer_flags[CT_ORIGINAL] | t->peer_flags[CT_REPLY]) & CT_TF_UNACKED &&
	    timeout > unacked)
		return unacked;
	if (!t->last_win && timeout > retrans)
		return retrans;
	return timeout;
}

/*
 * One packet. `e` is owned by the caller, or its own (ct_tcp_new). The same for every path that
 * leads here, so the verifier looks at it once.
 */
ct_global int ct_tcp_packet(struct ct_entry *e, const struct ct_parsed *p, __u32 dir_bit,
			    const struct ct_settings *s, struct ct_step *step)
{
	enum ct_dir dir = dir_bit & 1 ? CT_REPLY : CT_ORIGINAL;
	enum ct_tcp_window window = CT_W_ACCEPT;
	enum ct_tcp_index index;
	bool check = true, liberal;
	struct ct_tcp *t;
	__u32 old, new;

	if (!e || !p || !s || !step)
		return 0;
	t = &e->l4.tcp;
	index = ct_tcp_index(p->tcp_flags);
	old = e->state;
	/* Never out of range; the verifier can't know. */
	if (old >= CT_TCP_STATE_MAX)
		old = CT_TCP_NONE;
	new = ct_tcp_table[dir][index][old];

	if (new == CT_TCP_SYN_SENT && old >= CT_TCP_TIME_WAIT) {
		if (ct_tcp_reopens(t, dir)) {
			step->verdict = CT_V_REOPEN;
			return 0;
		}
		new = CT_IG;
	}
	if (new == CT_IG) {
		if (!ct_tcp_ignored(t, p, dir, index, old)) {
			step->verdict = CT_V_IGNORE;
			return 0;
		}
		old = CT_TCP_SYN_SENT;
		new = CT_TCP_SYN_RECV;
	}
	barrier_var(new); /* or clang checks another copy of it than the one that indexes below */
	if (new >= CT_TCP_STATE_MAX) {
		step->verdict = CT_V_REFUSE;
		step->reason = CT_R_TCP_STATE;
		return 0;
	}
	/*
	 * The ACK that answers a SYN in LAST_ACK is not the last one of the old connection but a
	 * challenge (RFC 5961 4): whoever sent the SYN will reset, if it meant it.
	 */
	if (new == CT_TCP_TIME_WAIT && old == CT_TCP_LAST_ACK && index == CT_TI_ACK &&
	    t->last_dir != dir && t->last_index == CT_TI_SYN && t->challenge) {
		t->challenge = 0;
		step->verdict = CT_V_IGNORE;
		return 0;
	}
	if (new == CT_TCP_SYN_SENT2)
		t->simultaneous = 1;
	/* After two SYNs each side's SYN/ACK is acknowledged; the reply's ACK then ends the handshake. */
	if (new == CT_TCP_SYN_RECV && dir == CT_REPLY && index == CT_TI_ACK && t->simultaneous)
		new = CT_TCP_ESTABLISHED;
	if (new == CT_TCP_CLOSE && index == CT_TI_RST)
		switch (ct_tcp_reset(e, p, dir, old, s->knob.tcp_ignore_invalid_rst)) {
		case CT_RST_BOGUS:
			step->verdict = CT_V_REFUSE;
			step->reason = CT_R_TCP_RST;
			return 0;
		case CT_RST_INEXACT:
			new = old;
			break;
		case CT_RST_BELIEVED:
			check = false;
			break;
		case CT_RST_LIKELY:
			break;
		}

	liberal = s->knob.tcp_be_liberal || t->peer_flags[dir] & CT_TF_LIBERAL;
	if (check)
		window = ct_tcp_window(t, p, dir, index, old, liberal);
	if (window == CT_W_IGNORE) {
		step->verdict = CT_V_IGNORE;
		return 0;
	}
	if (window != CT_W_ACCEPT) {
		step->verdict = CT_V_REFUSE;
		step->reason = window == CT_W_SEQ_OVER ? CT_R_TCP_SEQ_OVER : CT_R_TCP_ACK_OVER;
		ct_tcp_refused(e, dir, index, s, step->now);
		return 0;
	}

	t->last_index = index;
	t->last_dir = dir;
	if (new == CT_TCP_FIN_WAIT) /* no cell leads there from itself */
		t->peer_flags[dir] |= CT_TF_CLOSE_INIT;
	step->changed = new != old;
	e->state = new;
	barrier_var(new);
	if (new >= CT_TCP_STATE_MAX)
		return 0;
	step->timeout = ct_tcp_timeout(t, new, index, s);

	if (!(e->status & CT_S_SEEN_REPLY)) {
		/* Refused, or given up: there never was a connection. */
		if (index == CT_TI_RST) {
			step->verdict = CT_V_CLOSE;
			return 0;
		}
		/* Repeating a SYN must not keep an unanswered flow alive for ever. */
		if (index == CT_TI_SYN && old == CT_TCP_SYN_SENT) {
			step->verdict = CT_V_IGNORE;
			return 0;
		}
		/* Picked up and not answered: nothing yet says that it is alive. */
		if (new == CT_TCP_ESTABLISHED && step->timeout > ct_timeout(s, CT_T_TCP_UNACK))
			step->timeout = ct_timeout(s, CT_T_TCP_UNACK);
	} else if (new == CT_TCP_ESTABLISHED &&
		   (old == CT_TCP_SYN_RECV || old == CT_TCP_ESTABLISHED)) {
		step->assured = true;
	}
	return 0;
}

/*
 * The first packet of a flow: a SYN, or, if `tcp_loose`, an ACK from the middle of a connection.
 * Of that nothing is known, not even whether its windows are scaled.
 */
static __always_inline enum ct_reason ct_tcp_new(struct ct_entry *e, const struct ct_parsed *p,
						 const struct ct_settings *s, __u64 now)
{
	struct ct_step step = { .verdict = CT_V_ACCEPT, .now = now };
	enum ct_tcp_index index = ct_tcp_index(p->tcp_flags);
	__u8 state = ct_tcp_table[CT_ORIGINAL][index][CT_TCP_NONE];
	struct ct_tcp *t = &e->l4.tcp;

	if (state >= CT_TCP_STATE_MAX)
		return CT_R_TCP_STATE;
	if (state == CT_TCP_SYN_SENT) {
		ct_tcp_begin(t, p, CT_ORIGINAL, ct_tcp_end(p));
	} else if (s->knob.tcp_loose) {
		struct ct_tcp_peer *sender = &t->peer[CT_ORIGINAL];

		sender->end = ct_tcp_end(p);
		sender->maxwin = p->win ?: 1;
		sender->maxend = sender->end + sender->maxwin;
		t->peer_flags[CT_ORIGINAL] = CT_TF_SACK_PERM | CT_TF_LIBERAL;
		t->peer_flags[CT_REPLY] = CT_TF_SACK_PERM | CT_TF_LIBERAL;
	} else {
		return CT_R_TCP_NO_SYN;
	}
	/* Never refused: it is in the window that it has just opened, or liberal. */
	ct_tcp_packet(e, p, CT_ORIGINAL, s, &step);
	e->expires = now + step.timeout;
	return CT_R_NONE;
}

#endif
