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
		int fd = instance_fd(in, stage_arrays[i]);

		if (fd < 0)
			return fd;
		bpf_map_delete_elem(fd, &stage);
		close(fd);
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

long instance_end(const struct instance *in)
{
	struct table t;
	long flows = -1;

	for (__u32 stage = 0; stage < CT_STAGE_NEXT; stage++)
		empty_stage(in, stage);
	drop_unconfirmed(in);
	if (!table_open(&t, in)) {
		flows = listeners_flush(&t, CT_END_DETACHED);
		table_close(&t);
		if (flows < 0)
			fail(strerror((int)-flows), NULL, "the table can't be emptied");
	}
	listeners_end(in);
	return flows < 0 ? -1 : flows;
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
