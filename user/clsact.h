/* SPDX-License-Identifier: GPL-2.0-only */
/* tc programs on kernels before 6.6, which have no TCX: filters of the clsact qdisc. */
#ifndef CLSACT_H
#define CLSACT_H

#include <stdbool.h>

struct instance;

/* Is there a clsact (or ingress) qdisc on the interface? */
bool clsact_there(int ifindex);
/* Is our program attached there? */
bool clsact_attached(const struct instance *in, int ifindex, bool ingress);
/* Attach ct_tc_ingress or ct_tc_egress, making the qdisc if need be. 0 or -errno. */
int clsact_attach(const struct instance *in, int ifindex, bool ingress);
/* Put the program of `next` in its place at once, if what is there is ours. 0 or -errno. */
int clsact_replace(const struct instance *in, const struct instance *next, int ifindex, bool ingress);
/* Detach it, if what is there is ours. 0 (also when nothing is there) or -errno. */
int clsact_detach(const struct instance *in, int ifindex, bool ingress);
/* Remove the qdisc unless somebody else has filters there. 0 or -errno. */
int clsact_remove(int ifindex);

#endif
