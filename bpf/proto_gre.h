/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GRE: unreplied or replied. The first packet that finds a replied flow makes it assured
 * (nf_conntrack_gre_packet()). What makes two packets one flow: see ct_parse_gre().
 */
#ifndef PROTO_GRE_H
#define PROTO_GRE_H

static __always_inline enum ct_reason ct_gre_new(struct ct_entry *e, const struct ct_settings *s,
						 __u64 now)
{
	e->expires = now + ct_timeout(s, CT_T_GRE);
	return CT_R_NONE;
}

static __always_inline void ct_gre_packet(const struct ct_entry *e, const struct ct_settings *s,
					  struct ct_step *step)
{
	step->assured = e->status & CT_S_SEEN_REPLY;
	step->timeout = ct_timeout(s, step->assured ? CT_T_GRE_STREAM : CT_T_GRE);
}

#endif
