// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* The program in a stage: its fd; -ENOENT: there is none. */
static int stage_fd(int stages, __u32 stage)
{
	__u32 id;
	int fd;

	if (bpf_map_lookup_elem(stages, &stage, &id))
		return -errno;
	fd = bpf_prog_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}

static int empty(int stages, __u32 stage)
{
	return bpf_map_delete_elem(stages, &stage) && errno != ENOENT ? -errno : 0;
}

/* What is in a stage, into another; also if it is nothing. 0 or -errno. */
static int copy_stage(int stages, __u32 from, __u32 to)
{
	int prog = stage_fd(stages, from), err = 0;

	if (prog == -ENOENT)
		return empty(stages, to);
	if (prog < 0)
		return prog;
	if (bpf_map_update_elem(stages, &to, &prog, BPF_ANY))
		err = -errno;
	close(prog);
	return err;
}

/* One type of hook of those of policy_settle(). */
static int settle(int stages, bool keep)
{
	int changed = stage_fd(stages, CT_STAGE_NEXT_EGRESS), err = 0;

	if (changed < 0 && changed != -ENOENT)
		return changed;
	if (changed >= 0)
		close(changed);
	if (changed >= 0 && !keep)
		err = copy_stage(stages, CT_STAGE_NEXT, CT_STAGE_POLICY);
	if (!err)
		err = empty(stages, CT_STAGE_NEXT_EGRESS);
	return err ? err : empty(stages, CT_STAGE_NEXT);
}

int policy_settle(const struct instance *in, bool keep)
{
	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int stages = instance_fd(in, stage_arrays[i]), err;

		if (stages < 0)
			return stages;
		err = settle(stages, keep);
		close(stages);
		if (err)
			return err;
	}
	return 0;
}

int policy_set(const struct instance *in, const char *path)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), stage = CT_STAGE_POLICY, mark = CT_STAGE_NEXT_EGRESS;
	int prog = bpf_obj_get(path), stages = -1, code = 0;

	if (prog < 0)
		return fail(strerror(errno), "pin a program there first: bpftool prog load",
			    "--policy %s", path);
	if (bpf_obj_get_info_by_fd(prog, &info, &len) ||
	    (info.type != BPF_PROG_TYPE_XDP && info.type != BPF_PROG_TYPE_SCHED_CLS)) {
		code = fail("not an XDP or tc program", NULL, "--policy %s", path);
		goto out;
	}
	stages = instance_need(in, info.type == BPF_PROG_TYPE_XDP ? "xdp_stages" : "tc_stages");
	if (stages < 0)
		code = 1;
	else if (copy_stage(stages, CT_STAGE_POLICY, CT_STAGE_NEXT))
		code = fail(strerror(errno), NULL, "the policy before");
	else if (bpf_map_update_elem(stages, &mark, &prog, BPF_ANY) ||
		 bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
		code = fail(strerror(errno), "it must be loaded with expected_attach_type 0",
			    "--policy %s", path);
out:
	if (stages >= 0)
		close(stages);
	close(prog);
	return code;
}

/* The ids of the policies in force, 0 for none. 0 or -errno. */
static int policies_read(const struct instance *in, uint32_t ids[STAGE_ARRAYS])
{
	__u32 stage = CT_STAGE_POLICY;

	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int stages = instance_fd(in, stage_arrays[i]), err = 0;

		ids[i] = 0;
		if (stages < 0)
			return stages;
		if (bpf_map_lookup_elem(stages, &stage, &ids[i]) && errno != ENOENT)
			err = -errno;
		close(stages);
		if (err)
			return err;
	}
	return 0;
}

int policies_copy(const struct instance *in, const struct bpf_object *obj)
{
	__u32 stage = CT_STAGE_POLICY, ids[STAGE_ARRAYS];
	int err = policies_read(in, ids);

	for (size_t i = 0; i < STAGE_ARRAYS && !err; i++) {
		int stages = bpf_object__find_map_fd_by_name(obj, stage_arrays[i]);
		int prog = ids[i] ? bpf_prog_get_fd_by_id(ids[i]) : -1;

		if (ids[i] && prog < 0)
			err = -errno;
		else if (prog >= 0 && bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
			err = -errno;
		if (prog >= 0)
			close(prog);
	}
	return err;
}
