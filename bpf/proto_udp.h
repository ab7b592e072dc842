/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UDP: unreplied, replied, stream. A flow that is still answered two seconds after it began is a
 * stream: assured, with the longer timeout (nf_conntrack_udp_packet()). UDP-Lite does not wait those
 * two seconds (nf_conntrack_udplite_packet()).
 */
#ifndef PROTO_UDP_H
#define PROTO_UDP_H

#define CT_UDP_STREAM_AFTER 2 /* seconds */

static __always_inline enum ct_reason ct_udp_new(struct ct_entry *e, const struct ct_parsed *p,
						 const struct ct_settings *s, __u64 now)
{
	(void)p;
	e->expires = now + ct_timeout(s, CT_T_UDP);
	e->l4.udp.stream_at = now + (__u64)s->hz * CT_UDP_STREAM_AFTER;
	return CT_R_NONE;
}

static __always_inline void ct_udp_packet(const struct ct_entry *e, const struct ct_settings *s,
					  __u64 now, struct ct_step *step)
{
	/* The reply bit is set after this, so the first reply still finds an unreplied flow. */
	if (!(e->status & CT_S_SEEN_REPLY) ||
	    (!(e->status & CT_S_ASSURED) && (__s32)((__u32)now - e->l4.udp.stream_at) <= 0)) {
		step->timeout = ct_timeout(s, CT_T_UDP);
		return;
	}
	step->timeout = ct_timeout(s, CT_T_UDP_STREAM);
	step->assured = true;
}

static __always_inline enum ct_reason ct_udplite_new(struct ct_entry *e,
						     const struct ct_settings *s, __u64 now)
{
	e->expires = now + ct_timeout(s, CT_T_UDP);
	return CT_R_NONE;
}

static __always_inline void ct_udplite_packet(const struct ct_entry *e, const struct ct_settings *s,
					      struct ct_step *step)
{
	step->assured = e->status & CT_S_SEEN_REPLY;
	step->timeout = ct_timeout(s, step->assured ? CT_T_UDP_STREAM : CT_T_UDP);
}

#endif
