// SPDX-License-Identifier: GPL-2.0-only
#include "repair.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "ending.h"
#include "listener.h"
#include "log.h"
#include "mapped.h"
#include "pins.h"
#include "policy.h"
#include "priv.h"
#include "replace.h"

static int change_to(const struct instance *in, enum ct_change change)
{
	struct ct_epoch *e = mapped(in, "epoch", sizeof(*e));

	if (!e)
		return 1;
	__atomic_store_n(&e->from, e->now, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->changing, (uint32_t)change, __ATOMIC_SEQ_CST);
	mapped_release(e, sizeof(*e));
	return 0;
}

int change_begin(const struct instance *in)
{
	return change_to(in, CT_CHANGE_BEGUN);
}

int change_decide(const struct instance *in)
{
	return change_to(in, CT_CHANGE_DECIDED);
}

int change_decide_at_switch(const struct instance *in)
{
	return change_to(in, CT_CHANGE_AT_SWITCH);
}

int change_life(const struct instance *in, int life)
{
	struct ct_epoch *e = mapped(in, "epoch", sizeof(*e));

	if (!e)
		return 1;
	__atomic_store_n(&e->life, (uint32_t)life, __ATOMIC_SEQ_CST);
	mapped_release(e, sizeof(*e));
	return 0;
}

int change_end(const struct instance *in, int life, bool whole)
{
	struct ct_epoch *e = mapped(in, "epoch", sizeof(*e));
	int err;

	if (!e)
		return 1;
	if (whole && !replace_pending(in)) {
		__atomic_store_n(&e->life, (uint32_t)life, __ATOMIC_SEQ_CST);
		__atomic_store_n(&e->changing, CT_CHANGE_NONE, __ATOMIC_SEQ_CST);
	}
	mapped_release(e, sizeof(*e));
	if (!whole || !pins_group(in->dir))
		return 0;
	err = pins_share(in->dir, pins_group(in->dir)); /* what is new, too */
	return err ? fail(strerror(-err), NULL, "sharing %s", in->dir) : 0;
}

bool repair_due(const struct instance *in)
{
	struct ct_epoch e;

	return instance_has(in, "state") == -ENOENT || (!instance_epoch(in, &e) && e.changing);
}

/* Was the change decided before its loader died? */
static bool is_decided(const struct ct_epoch *e)
{
	return e->changing == CT_CHANGE_DECIDED ||
	       (e->changing == CT_CHANGE_AT_SWITCH && e->now != e->from);
}

/*
 * Detach interfaces that were to go, or that were coming when it was not decided yet; all, if
 * `every`. The others of them stay. How many are left, or -errno.
 */
static int clear_interfaces(const struct instance *in, bool every, bool decided)
{
	struct hooking *all = calloc(CT_IFACES, sizeof(*all));
	struct hookings half = { .in = in };
	int n, left = 0;

	if (!all)
		return -ENOMEM;
	half.iface = all;
	n = hookings_all(all, CT_IFACES, in);
	for (int i = 0; i < n; i++) {
		if (every || (decided ? all[i].leaving : all[i].coming)) {
			verbose("%s: detached: its loader died", all[i].nic.name);
			all[half.n] = all[i];
			all[half.n++].there = false;
			continue;
		}
		if ((all[i].coming || all[i].leaving) && hooking_keep(in, &all[i]))
			n = -EIO;
		left++;
	}
	if (n < 0)
		left = n;
	else if (half.n && hookings_detach(&half, ATTACH_SAFE))
		left = -EIO;
	free(all);
	return left;
}

static int repair_locked(struct instance *in)
{
	struct ct_epoch e;
	struct ct_state st;
	int left, err;

	if (!repair_due(in))
		return 0; /* somebody else was quicker */
	err = instance_has(in, "state");
	if (err && err != -ENOENT)
		return err;
	if (err) {
		verbose("instance %s: its loader died while making or removing it: removed",
			in->name);
		return pins_remove(in->dir, &in->lock) ? -EIO : -ENOENT;
	}
	err = instance_epoch(in, &e);
	if (!err)
		err = replace_resume(in);
	/* What its interfaces have is found in its own namespace only, by who knows its layouts. */
	if (!err)
		err = instance_check(in, &st);
	if (err)
		return err == -ENOENT ? -EIO : err; /* a pin is missing, not the instance */
	if (e.life == CT_LIFE_MAKING || e.life == CT_LIFE_ENDING) {
		if (clear_interfaces(in, true, false) < 0)
			return -EIO;
		if (instance_end(in) < 0 && !instance_damaged(in))
			return -EIO;
		verbose("instance %s: ended: its loader died", in->name);
		return pins_remove(in->dir, &in->lock) ? -EIO : -ENOENT;
	}
	err = policy_settle(in, is_decided(&e));
	if (err)
		return err;
	left = clear_interfaces(in, false, is_decided(&e));
	if (left < 0)
		return left == -ENOENT ? -EIO : left;
	listeners_reap(in);
	return change_end(in, left ? CT_LIFE_RUNNING : CT_LIFE_KEPT, true) ? -EIO : 0;
}

int repair(struct instance *in)
{
	bool locked = in->lock >= 0, reads = in->reads;
	int err;

	/* Who has not what it takes leaves it to somebody who has, and looks at what there is. */
	if (!priv_has(CAP_BPF) || !priv_has(CAP_NET_ADMIN) || !priv_has(CAP_PERFMON))
		return 0;
	if (!locked && pins_try_lock(in->dir, &in->lock))
		return 0;
	in->reads = false;
	priv_keep(CAP(BPF) | CAP(NET_ADMIN) | CAP(PERFMON) | CAP(SYS_ADMIN));
	err = repair_locked(in);
	in->reads = reads;
	if (!locked) {
		if (in->lock >= 0)
			close(in->lock);
		in->lock = -1;
	}
	return err;
}
