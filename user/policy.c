// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "priv.h"

int policy_set(const struct instance *in, const char *path)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), stage = CT_STAGE_POLICY;
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
	else if (bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
		code = fail(strerror(errno), "it must be loaded with expected_attach_type 0",
			    "--policy %s", path);
out:
	if (stages >= 0)
		close(stages);
	close(prog);
	return code;
}

void policies_read(const struct instance *in, uint32_t ids[STAGE_ARRAYS])
{
	__u32 stage = CT_STAGE_POLICY;

	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int stages = instance_fd(in, stage_arrays[i]);

		ids[i] = 0;
		if (stages < 0)
			continue;
		if (bpf_map_lookup_elem(stages, &stage, &ids[i]))
			ids[i] = 0;
		close(stages);
	}
}

/* -1 for none. */
static int policy_fd(uint32_t id)
{
	int fd;

	if (!id)
		return -1;
	priv_raise(CAP_SYS_ADMIN);
	fd = bpf_prog_get_fd_by_id(id);
	priv_lower(CAP_SYS_ADMIN);
	return fd;
}

void policies_restore(const struct instance *in, const uint32_t ids[STAGE_ARRAYS])
{
	__u32 stage = CT_STAGE_POLICY;

	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		int stages = instance_fd(in, stage_arrays[i]);
		int prog = policy_fd(ids[i]);

		if (stages >= 0 && prog >= 0)
			bpf_map_update_elem(stages, &stage, &prog, BPF_ANY);
		else if (stages >= 0)
			bpf_map_delete_elem(stages, &stage);
		if (prog >= 0)
			close(prog);
		if (stages >= 0)
			close(stages);
	}
}

int policies_copy(const struct instance *in, const struct bpf_object *obj)
{
	__u32 stage = CT_STAGE_POLICY, ids[STAGE_ARRAYS];
	int err = 0;

	policies_read(in, ids);
	for (size_t i = 0; i < STAGE_ARRAYS && !err; i++) {
		int stages = bpf_object__find_map_fd_by_name(obj, stage_arrays[i]);
		int prog = policy_fd(ids[i]);

		if (ids[i] && prog < 0)
			err = -errno;
		else if (prog >= 0 && bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
			err = -errno;
		if (prog >= 0)
			close(prog);
	}
	return err;
}
