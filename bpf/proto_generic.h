/* SPDX-License-Identifier: GPL-2.0-only */
/* Every protocol we know nothing of: an address pair, a protocol number and a timeout. */
#ifndef PROTO_GENERIC_H
#define PROTO_GENERIC_H

static __always_inline enum ct_reason ct_generic_new(struct ct_entry *e, const struct ct_parsed *p,
						     const struct ct_settings *s, __u64 now)
{
	(void)p;
	e->expires = now + ct_timeout(s, CT_T_GENERIC);
	return CT_R_NONE;
}

static __always_inline void ct_generic_packet(const struct ct_settings *s, struct ct_step *step)
{
	step->timeout = ct_timeout(s, CT_T_GENERIC);
}

#endif
