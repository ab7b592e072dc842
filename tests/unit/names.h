/* SPDX-License-Identifier: GPL-2.0-only */
/* What the numbers of include/ are called, for what failed tests say. */
#ifndef NAMES_H
#define NAMES_H

#include "ct_proto.h"
#include "ct_stats.h"

static inline const char *class_name(int class)
{
	static const char *const names[] = {
#define X(id, key, help) #id,
		CT_CLASSES(X)
#undef X
	};

	return class >= 0 && class < CT_CLASS_MAX ? names[class] : "no class";
}

static inline const char *reason_name(int reason)
{
	static const char *const names[CT_R_MAX] = { "no reason",
#define X(id, class, key, help) #key,
						     CT_REASONS(X)
#undef X
	};

	return reason >= 0 && reason < CT_R_MAX ? names[reason] : "a number of no meaning";
}

static inline const char *tcp_state_name(int state)
{
	static const char *const names[] = {
#define X(id, name) name,
		CT_TCP_STATES(X)
#undef X
	};

	return state >= 0 && state < CT_TCP_STATE_MAX ? names[state] : "a number of no meaning";
}

static inline const char *sctp_state_name(int state)
{
	static const char *const names[] = {
#define X(id, name) name,
		CT_SCTP_STATES(X)
#undef X
	};

	return state >= 0 && state < CT_SCTP_STATE_MAX ? names[state] : "a number of no meaning";
}

#endif
