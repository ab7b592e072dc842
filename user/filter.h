/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FILTER: which flows a command is about, in the spelling of conntrack(8). Pure: parsing and
 * matching need no kernel.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "../include/ct_types.h"
#include "opts.h"

/* The options, for opts_init(). */
extern const struct opt filter_options[];

/* What has been asked for; fields count only if their bit is set. */
#define FILTER_FAMILY     0x0001
#define FILTER_PROTO      0x0002
#define FILTER_STATE      0x0004
#define FILTER_STATUS     0x0008
#define FILTER_MARK       0x0010
#define FILTER_ZONE       0x0020
#define FILTER_ICMP_TYPE  0x0040
#define FILTER_ICMP_CODE  0x0080
#define FILTER_ICMP_ID    0x0100
#define FILTER_ORIG_SRC   0x0200
#define FILTER_ORIG_DST   0x0400
#define FILTER_REPLY_SRC  0x0800
#define FILTER_REPLY_DST  0x1000
#define FILTER_ORIG_SPORT 0x2000
#define FILTER_ORIG_DPORT 0x4000
#define FILTER_REPLY_SPORT 0x8000
#define FILTER_REPLY_DPORT 0x10000

#define FILTER_NO_STATE UINT8_MAX

/* The four address options, and likewise the four port options, in this order. */
enum filter_place {
	FILTER_AT_ORIG_SRC,
	FILTER_AT_ORIG_DST,
	FILTER_AT_REPLY_SRC,
	FILTER_AT_REPLY_DST,
	FILTER_PLACES,
};

struct filter_prefix {
	union ct_addr addr; /* bits behind the prefix are zero */
	uint8_t length;     /* bits */
};

struct filter {
	uint32_t fields; /* FILTER_*; 0 matches every flow */
	uint8_t family;  /* CT_IPV4, CT_IPV6; also set by the first address */
	uint8_t proto;
	uint8_t tcp_state;   /* of that name, or FILTER_NO_STATE */
	uint8_t sctp_state;
	uint8_t icmp_type;   /* of the original direction */
	uint8_t icmp_code;
	uint16_t icmp_id;    /* host order, as everything here but addresses */
	uint16_t zone;
	uint16_t status;     /* bits that are wanted */
	bool unset;          /* -u UNSET: neither answered nor assured */
	uint32_t mark;
	uint32_t mark_mask;
	struct filter_prefix prefix[FILTER_PLACES];
	uint16_t port[FILTER_PLACES];
};

/* Take one option. 0, or 2 (reported); -1 when the id is none of the filter's. */
int filter_option(struct filter *f, int id, const char *value);
/* After the last option: do they go together? 0, or 2 (reported). */
int filter_check(const struct filter *f);
bool filter_match(const struct filter *f, const struct ct_flow *flow);
/*
 * The tuple that the options spell out in full; ICMP's code is 0 and the zone is 0 unless given.
 * 0, or 2 (reported) when something is missing or is no part of a tuple.
 */
int filter_tuple(const struct filter *f, struct ct_tuple *tuple);

#endif
