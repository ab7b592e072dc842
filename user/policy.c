// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

#define PIN_POLICIES "policies"

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
	err = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return err;
}

int policies_copy(const struct instance *in, const struct bpf_object *obj, uint32_t number)
{
	__u32 stage = CT_STAGE_POLICY, ids[STAGE_ARRAYS];
	int err = 0, any = 0;

	policies_read(in, ids);
	for (size_t i = 0; i < STAGE_ARRAYS && !err; i++) {
		int stages = bpf_object__find_map_fd_by_name(obj, stage_arrays[i]);
		int prog;

		if (!ids[i])
			continue;
		any = 1;
		prog = policy_fd(ids[i]);
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

int policies_update(const struct instance *in, const struct instance *next)
{
	static const char *const confirm[STAGE_ARRAYS] = { PIN_PROGS "/ct_xdp_confirm",
							   PIN_PROGS "/ct_tc_confirm" };
	char path[PATH_MAX + 64];
	__u32 stage = CT_STAGE_CONFIRM;
	struct dirent *d;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	dir = opendir(path);
	while (dir && !err && (d = readdir(dir))) {
		char pin[PATH_MAX + NAME_MAX + 66];
		int stages, prog, type;

		if (d->d_name[0] == '.')
			continue;
		type = strncmp(d->d_name, stage_arrays[0], strlen(stage_arrays[0])) ? 1 : 0;
		snprintf(pin, sizeof(pin), "%s/%s", path, d->d_name);
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
	if (dir)
		closedir(dir);
	return err;
}

void policies_tidy(const struct instance *in, const struct instance *next)
{
	char path[PATH_MAX + 64];
	uint32_t ids[STAGE_ARRAYS];
	struct dirent *d;
	DIR *dir;

	policies_read(next, ids);
	for (size_t i = 0; i < STAGE_ARRAYS; i++)
		if (ids[i])
			return;
	snprintf(path, sizeof(path), "%s/" PIN_POLICIES, in->dir);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}
