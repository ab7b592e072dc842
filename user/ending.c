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

/* Tell the listeners that nothing follows. Their rings are theirs: what is in them can be read. */
static void end_listeners(const struct instance *in)
{
	struct ct_listeners *all = mapped(in, "listener_state", sizeof(*all));

	if (!all)
		return;
	for (int i = 0; i < CT_LISTENERS; i++)
		__atomic_store_n(&all->slot[i].closed, 1, __ATOMIC_SEQ_CST);
	mapped_release(all, sizeof(*all));
}

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
	long flows;

	for (__u32 stage = 0; stage < CT_STAGE_NEXT; stage++)
		empty_stage(in, stage);
	drop_unconfirmed(in);
	listeners_reap(in); /* nobody waits for the dead */
	if (table_open(&t, in))
		return -1;
	flows = table_flush(&t, CT_END_DETACHED);
	table_close(&t);
	end_listeners(in);
	if (flows < 0) {
		fail(strerror((int)-flows), NULL, "the table can't be emptied");
		return -1;
	}
	return flows;
}

int orphan_remove(const char *name, const char *dir, void *arg)
{
	struct instance in = { .lock = -1 };
	struct ct_state st;

	(void)arg;
	snprintf(in.name, sizeof(in.name), "%s", name);
	snprintf(in.dir, sizeof(in.dir), "%s", dir);
	if (instance_check(&in, &st) != -EXDEV || !hookings_orphaned(&in) ||
	    pins_lock(in.dir, &in.lock))
		return 0;
	verbose("instance %s: its network namespace has gone, removed", name);
	instance_end(&in);
	pins_remove(in.dir, &in.lock);
	return 0;
}
