// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "pins.h"
#include "priv.h"

#define PIN_POLICIES "policies"

static int prog_fd(uint32_t id)
{
	int fd;

	priv_raise(CAP_SYS_ADMIN);
	fd = bpf_prog_get_fd_by_id(id);
	priv_lower(CAP_SYS_ADMIN);
	return fd;
}

/* Is there a program in a stage? 1, 0, or -errno. */
static int is_filled(int stages, __u32 stage, __u32 *id)
{
	return !bpf_map_lookup_elem(stages, &stage, id) ? 1 : errno == ENOENT ? 0 : -errno;
}

static int empty(int stages, __u32 stage)
{
	return bpf_map_delete_elem(stages, &stage) && errno != ENOENT ? -errno : 0;
}

/* What is in a stage, into another; also if it is nothing. 0 or -errno. */
static int copy_stage(int stages, __u32 from, __u32 to)
{
	__u32 id;
	int prog, err = is_filled(stages, from, &id);

	if (err <= 0)
		return err ? err : empty(stages, to);
	prog = prog_fd(id);
	if (prog < 0)
		return -errno;
	err = 0;
	if (bpf_map_update_elem(stages, &to, &prog, BPF_ANY))
		err = -errno;
	close(prog);
	return err;
}

/* One type of hook of those of policy_settle(). */
static int settle(int stages, bool keep)
{
	__u32 id;
	int changed = is_filled(stages, CT_STAGE_NEXT_EGRESS, &id), err = 0;

	if (changed < 0)
		return changed;
	if (changed && !keep)
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

/* The id of a map; 0 when it can't be had. */
static __u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) ? info.id : 0;
}

/* Is the map of this id an array that is kept for policies? */
static bool array_kept(const struct instance *in, __u32 id)
{
	char path[PATH_MAX + 64], pin[PATH_MAX + NAME_MAX + 66];
	bool kept = false;
	struct names names;

	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	names_read(&names, path);
	for (int i = 0; i < names.n && !kept; i++) {
		int fd;

		snprintf(pin, sizeof(pin), "%s/%s", path, names.entry[i]->d_name);
		fd = bpf_obj_get(pin);
		kept = map_id(fd) == id;
		if (fd >= 0)
			close(fd);
	}
	names_free(&names);
	return kept;
}

/*
 * Was a policy made for another array of stages than `stages`, and not for one that is kept for it? What
 * it calls there has gone, or is another instance's: it would let no flow be confirmed.
 */
static bool made_for_others(const struct instance *in, int prog, int stages)
{
	struct bpf_map_info ours = {}, info;
	__u32 ids[64], len = sizeof(ours);
	struct bpf_prog_info of = { .nr_map_ids = 64, .map_ids = (__u64)(unsigned long)ids };
	bool others = false;

	if (bpf_obj_get_info_by_fd(stages, &ours, &len))
		return false;
	len = sizeof(of);
	if (bpf_obj_get_info_by_fd(prog, &of, &len))
		return false;
	for (__u32 i = 0; i < of.nr_map_ids && i < 64; i++) {
		int fd;

		if (ids[i] == ours.id || array_kept(in, ids[i]))
			return false;
		priv_raise(CAP_SYS_ADMIN);
		fd = bpf_map_get_fd_by_id(ids[i]);
		priv_lower(CAP_SYS_ADMIN);
		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
			others |= info.type == ours.type && !strcmp(info.name, ours.name);
		if (fd >= 0)
			close(fd);
	}
	return others;
}

int policy_set(const struct instance *in, const char *path)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), stage = CT_STAGE_POLICY, mark = CT_STAGE_NEXT_EGRESS, id;
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
	else if (made_for_others(in, prog, stages))
		code = fail("it was loaded with the maps of programs that have gone, or of another "
			    "instance",
			    "load it again", "--policy %s", path);
	/* The one in force is to be put back if the attach fails. */
	else if (is_filled(stages, CT_STAGE_POLICY, &id) == 1 && priv_need(CAP(SYS_ADMIN)))
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

static void kept_path(char *path, size_t size, const struct instance *in, size_t array,
		      uint32_t number)
{
	snprintf(path, size, "%s/" PIN_POLICIES "/%s-%u", in->dir, stage_arrays[array], number);
}

/* Keep the instance's own array. */
static int keep_array(const struct instance *in, size_t array, uint32_t number)
{
	char path[PATH_MAX + 64];
	int fd, err;

	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = instance_fd(in, stage_arrays[array]);
	if (fd < 0)
		return fd;
	kept_path(path, sizeof(path), in, array, number);
	unlink(path); /* of one who died before there was anything else of this number */
	err = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return err;
}

int policies_copy(const struct instance *in, const struct bpf_object *obj, uint32_t number)
{
	__u32 stage = CT_STAGE_POLICY, ids[STAGE_ARRAYS];
	int err = policies_read(in, ids), any = 0;

	for (size_t i = 0; i < STAGE_ARRAYS && !err; i++) {
		int stages = bpf_object__find_map_fd_by_name(obj, stage_arrays[i]);
		int prog;

		if (!ids[i])
			continue;
		any = 1;
		prog = prog_fd(ids[i]);
		if (prog < 0 || bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
			err = -errno;
		if (prog >= 0)
			close(prog);
		if (!err)
			err = keep_array(in, i, number);
	}
	return err ? err : any;
}

void policies_copy_undo(const struct instance *in, uint32_t number)
{
	char path[PATH_MAX + 64];

	for (size_t i = 0; i < STAGE_ARRAYS; i++) {
		kept_path(path, sizeof(path), in, i, number);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	rmdir(path);
}

/* Is it an array of XDP's stages that is kept by this name? */
static bool is_xdp(const char *name)
{
	return !strncmp(name, stage_arrays[0], strlen(stage_arrays[0]));
}

int policies_update(const struct instance *in, const struct instance *next)
{
	static const char *const confirm[STAGE_ARRAYS] = { PIN_PROGS "/ct_xdp_confirm",
							   PIN_PROGS "/ct_tc_confirm" };
	char path[PATH_MAX + 64];
	__u32 stage = CT_STAGE_CONFIRM;
	struct names names;
	int err;

	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	err = names_read(&names, path);
	if (err == -ENOENT)
		return 0;
	for (int i = 0; i < names.n && !err; i++) {
		const char *name = names.entry[i]->d_name;
		char pin[PATH_MAX + NAME_MAX + 66];
		int stages, prog, type;

		type = is_xdp(name) ? 0 : 1;
		snprintf(pin, sizeof(pin), "%s/%s", path, name);
		stages = bpf_obj_get(pin);
		prog = stages < 0 ? -1 : instance_fd(next, confirm[type]);
		if (stages < 0 || prog < 0)
			err = stages < 0 ? -errno : prog;
		else if (bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
			err = -errno;
		if (prog >= 0)
			close(prog);
		if (stages >= 0)
			close(stages);
	}
	names_free(&names);
	return err;
}

/*
 * Policies call `confirm` in it, and nothing else. Left in it, the other programs would keep all that is
 * theirs: the old table. (XDP's `next` may be needed by libxdp's chain: see attach.c.)
 */
static void release_array(const char *path, bool xdp)
{
	int stages = bpf_obj_get(path);

	for (__u32 stage = 0; stages >= 0 && stage < (xdp ? CT_STAGE_NEXT : CT_STAGE_MAX); stage++)
		if (stage != CT_STAGE_CONFIRM)
			bpf_map_delete_elem(stages, &stage);
	if (stages >= 0)
		close(stages);
}

void policies_tidy(const struct instance *in, const struct instance *next)
{
	char path[PATH_MAX + 64], pin[PATH_MAX + NAME_MAX + 66];
	uint32_t ids[STAGE_ARRAYS];
	struct names names;
	bool any = false;

	if (policies_read(next, ids))
		return;
	for (size_t i = 0; i < STAGE_ARRAYS; i++)
		any |= ids[i];
	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	names_read(&names, path);
	for (int i = 0; i < names.n; i++) {
		const char *name = names.entry[i]->d_name;

		snprintf(pin, sizeof(pin), "%s/%s", path, name);
		if (any)
			release_array(pin, is_xdp(name));
		else
			unlink(pin);
	}
	names_free(&names);
	rmdir(path);
}
