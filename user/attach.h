/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hooking interfaces: the order of things is all there is to it.
 *
 * A packet meets `in` first and `confirm` last. If `in` were there before `confirm`, new flows
 * would be prepared that nobody puts into the table. So attach walks the steps from the packet's
 * end to its start and detach from start to end, with a grace period after every step of a detach:
 * when the next one begins, every packet that has met `in` has met `confirm`, too.
 */
#ifndef ATTACH_H
#define ATTACH_H

#include "health.h"
#include "instance.h"
#include "nic.h"

/* What the operator asked for. */
enum attach_hook {
	ATTACH_AUTO,
	ATTACH_NATIVE,
	ATTACH_GENERIC,
	ATTACH_TC,
};

enum attach_tc {
	ATTACH_TC_AUTO,
	ATTACH_TC_TCX,
	ATTACH_TC_CLSACT,
};

enum attach_xdp {
	ATTACH_XDP_AUTO,
	ATTACH_XDP_LIBXDP,
	ATTACH_XDP_LINK,
};

/* One interface. */
struct hooking {
	struct nic nic;
	enum ct_hook hook;
	bool confirm_xdp;
	bool automatic;     /* tc will do where native XDP turns out not to be possible */
	bool there;         /* it was attached already, and is whole */
	bool gone;          /* the interface is not in this network namespace (any more) */
	bool chained;       /* in libxdp's chain it is in its place */
	int now;            /* it has come back under this number; 0: not */
	bool repaired;      /* it was not whole: attach it as it was */
	bool qdisc_lost;    /* whatever clsact qdisc is there now is not the one we made */
	bool coming;        /* its loader died at an attach, or is at it */
	bool leaving;       /* likewise at a detach */
	bool half;          /* one of these, or it could not be finished */
	__u16 zone;
	__u32 mark;         /* of flows that begin here */
	enum attach_tc tc;  /* never AUTO once attached */
	enum attach_xdp xdp; /* never AUTO once planned */
	bool xdp_automatic; /* a link will do where libxdp's dispatcher can't take our program */
	unsigned int prio;  /* in libxdp's chain */
	char why[256];
	struct words wrong; /* why it is not whole */
	struct words notes; /* what else there is to know: who comes before us, the link is down */
};

/* Some interfaces of one instance, whose lock the caller holds. */
struct hookings {
	const struct instance *in;
	struct hooking *iface;
	size_t n;
};

/* The safe order is the one above. The naive one shows in tests what it is good for. */
enum attach_order {
	ATTACH_SAFE,
	ATTACH_NAIVE,
};

/*
 * Choose hook and method for nic `name` and say why, without changing anything. Reports what
 * speaks against attaching. 0 or 1.
 */
int hooking_plan(struct hooking *h, const struct instance *in, const char *name,
		 enum attach_hook hook, enum attach_xdp xdp, bool confirm_xdp);
/* What the instance has for interface `ifindex`. 0; -ENOENT: nothing; -errno. */
int hooking_find(struct hooking *h, const struct instance *in, int ifindex);
/* All that it has, in order of ifindex: at most `max` into h. How many there are, or -errno. */
int hookings_all(struct hooking *h, size_t max, const struct instance *in);

/* How many are in a map `ifaces` that is laid out as ours. Or -errno. */
int hookings_count(int map);

/* How many links the instance has, and whether one of them is on an interface still. */
int hookings_links(const struct instance *in, bool *alive);
/* Of an orphan: take out what is not pinned in its own directory. */
void hookings_forget(const struct instance *in);

/*
 * Attach those that are not there yet. Undoes everything when one fails. 0 or 1, reported. They
 * are known as coming until hookings_keep().
 */
int hookings_attach(struct hookings *hs, enum attach_order order);
int hookings_keep(struct hookings *hs);
/* For one: neither coming nor leaving, it stays. 0 or 1, reported. */
int hooking_keep(const struct instance *in, const struct hooking *h);
/* Another mark, h->mark, for the flows that begin at one that is attached. 0 or 1, reported. */
int hooking_remark(const struct instance *in, const struct hooking *h);
/* Let them be known as leaving, or as coming, and do no more. 0 or 1, reported. */
int hookings_mark(struct hookings *hs, __u32 flag);
/*
 * Detach. What can't be undone is reported, and the rest is done all the same: 1. The interface it
 * is about stays known as half detached.
 */
int hookings_detach(struct hookings *hs, enum attach_order order);

/*
 * Put the programs of `next` (pinned below another folder) in the place of those of `in`, at every hook
 * of every interface, each at once. Can be repeated. 0 or -errno.
 */
int hookings_update(const struct instance *in, const struct instance *next);
/*
 * And, when no packet is in them any more: what stays of the old ones (in libxdp's chains) is to hold
 * neither the old programs behind it nor their table. A policy may still go on to `confirm` by it.
 */
void hookings_release(const struct instance *in, const struct instance *next);

/* "tcx", "clsact", "link, tcx", "libxdp, tcx", ...: how it is attached. */
const char *hooking_method(const struct hooking *h);
extern const char *const hook_names[];

#endif
