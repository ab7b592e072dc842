/* SPDX-License-Identifier: GPL-2.0-only */
/* tc programs on kernels before 6.6, which have no TCX: filters of the clsact qdisc. */
#ifndef CLSACT_H
#define CLSACT_H

#include <linux/types.h>
#include <stdbool.h>

struct instance;

struct clsact_filter {
	__u32 prog_id; /* 0: not a BPF filter */
	__u32 priority;
	__u32 handle;
	char name[64]; /* of a BPF filter; else its kind */
};

/* The filters of one side, in the order in which packets meet them: at most `max`; or -errno. */
int clsact_filters(int ifindex, bool ingress, struct clsact_filter *filter, int max);
/* Remove one. 0 (also when it isn't there) or -errno. */
int clsact_filter_remove(int ifindex, bool ingress, const struct clsact_filter *f);

/* Is there a clsact (or ingress) qdisc on the interface? 1, 0 or -errno. */
int clsact_there(int ifindex);
/* Is our program attached there? 1; 0 (also when there is nothing to ask); -errno. */
int clsact_attached(const struct instance *in, int ifindex, bool ingress);
/*
 * Attach ct_tc_ingress or ct_tc_egress in front of others, making the qdisc if need be. Takes
 * nobody's place. 0 or -errno.
 */
int clsact_attach(const struct instance *in, int ifindex, bool ingress);
/* Put the program of `next` in its place at once, if what is there is ours. 0 or -errno. */
int clsact_replace(const struct instance *in, const struct instance *next, int ifindex, bool ingress);
/* Detach it, if what is there is ours. 0 (also when nothing is there) or -errno. */
int clsact_detach(const struct instance *in, int ifindex, bool ingress);
/* Remove the qdisc unless somebody else has filters there. 0 or -errno. */
int clsact_remove(int ifindex);

#endif
