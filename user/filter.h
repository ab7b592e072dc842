/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FILTER: which flows a command is about, in the spelling of conntrack(8). Pure: parsing and
 * matching need no kernel. The programs match alike: bpf/match.h.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "../include/ct_filter.h"
#include "opts.h"

/* The options, for opts_init(). */
extern const struct opt filter_options[];

/* Take one option. 0, or 2 (reported); -1 when the id is none of the filter's. */
int filter_option(struct ct_filter *f, int id, const char *value);
/* After the last option: do they go together? 0, or 2 (reported). */
int filter_check(const struct ct_filter *f);
bool filter_match(const struct ct_filter *f, const struct ct_flow *flow);
/*
 * The tuple that the options spell out in full; ICMP's code is 0 and the zone is 0 unless given.
 * 0, or 2 (reported) when something is missing or is no part of a tuple.
 */
int filter_tuple(const struct ct_filter *f, struct ct_tuple *tuple);
/*
 * Do the options spell out the tuple of one flow, and nothing else? Not of GRE: there is no option for
 * its keys.
 */
bool filter_is_tuple(const struct ct_filter *f, struct ct_tuple *tuple);
/* MARK[/MASK], of which the mask is all bits when it is not given. 0, or 2 (reported, as of `option`). */
int mark_parse(const char *option, const char *value, uint32_t *mark, uint32_t *mask);

#endif
