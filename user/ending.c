// SPDX-License-Identifier: GPL-2.0-only
#include "ending.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "grace.h"
#include "listener.h"
#include "log.h"
#include "mapped.h"
#include "object.h"
#include "pins.h"
#include "table.h"

static int empty_stage(const struct instance *in, __u32 stage)
{
	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int fd = instance_fd(in, stage_arrays[i]), err;

		if (fd < 0)
			return fd;
		err = bpf_map_delete_elem(fd, &stage) && errno != ENOENT ? -errno : 0;
		close(fd);
		if (err)
			return err;
	}
	return grace_period();
}

static int drop_unconfirmed(const struct instance *in)
{
	struct ct_ctl m = { .first = 1 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &m, .data_size_in = sizeof(m));
	int fd = instance_fd(in, PIN_PROGS "/ct_ctl_sweep");
	int err = fd < 0 ? fd : bpf_prog_test_run_opts(fd, &run);

	if (fd >= 0)
		close(fd);
	return err;
}

bool instance_damaged(const struct instance *in)
{
	static const char *const needed[] = { "state", "listener_state", "xdp_stages", "tc_stages",
					      PIN_PROGS "/ct_ctl_get", PIN_PROGS "/ct_ctl_select",
					      PIN_PROGS "/ct_ctl_delete", PIN_PROGS "/ct_ctl_flush",
					      PIN_PROGS "/ct_ctl_sweep" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (instance_has(in, needed[i]) == -ENOENT)
			return true;
	return false;
}

long instance_end(const struct instance *in)
{
	struct table t;
	int err = 0;
	long flows;

	for (__u32 stage = 0; stage < CT_STAGE_NEXT && !err; stage++)
		err = empty_stage(in, stage);
	if (!err)
		err = drop_unconfirmed(in);
	if (err && err != -ENOENT) {
		fail(strerror(-err), NULL, "the stages can't be emptied");
		return -1;
	}
	if (table_open(&t, in)) {
		/* If it can be tried again, what comes then is still for the listeners. */
		if (instance_damaged(in))
			listeners_end(in);
		return -1;
	}
	flows = listeners_flush(&t, CT_END_DETACHED);
	table_close(&t);
	if (flows < 0) {
		fail(strerror((int)-flows), NULL, "the table can't be emptied");
		return -1;
	}
	return listeners_end(in) ? -1 : flows;
}

bool orphaned(const struct instance *in, bool named)
{
	struct ct_state st;
	bool alive;

	return instance_check(in, &st) == -EXDEV && (hookings_links(in, &alive) || named) &&
	       !alive && !netns_found(st.netns);
}

static int remove_orphan(struct instance *in, bool named)
{
	/* Whoever has it locked is at work on it. Seen without the lock it may have been half done. */
	if (!orphaned(in, named) || pins_try_lock(in->dir, &in->lock))
		return -EXDEV;
	if (!orphaned(in, named)) {
		instance_close(in);
		return -EXDEV;
	}
	verbose("instance %s: its network namespace has gone, removed", in->name);
	hookings_forget(in);
	instance_end(in);
	return pins_remove(in->dir, &in->lock);
}

int orphan_remove(struct instance *in)
{
	return remove_orphan(in, true);
}

/* Not whole, and nobody is at work on it: its loader died, and its namespace may have, too. */
static void remove_fragment(struct instance *in)
{
	if (pins_try_lock(in->dir, &in->lock))
		return;
	if (instance_has(in, "state") == -ENOENT)
		pins_remove(in->dir, &in->lock);
	instance_close(in);
}

int orphan_clear(const char *name, const char *dir, void *arg)
{
	struct instance in = { .lock = -1 };

	(void)arg;
	snprintf(in.name, sizeof(in.name), "%s", name);
	snprintf(in.dir, sizeof(in.dir), "%s", dir);
	if (instance_has(&in, "state") == -ENOENT)
		remove_fragment(&in);
	else
		remove_orphan(&in, false);
	return 0;
}
