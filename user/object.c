// SPDX-License-Identifier: GPL-2.0-only
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ct.skel.h"
#include "log.h"

/* bpf_xdp_load_bytes() is the youngest thing that the programs can't do without. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 18

const char *const stage_arrays[STAGE_ARRAYS] = { "xdp_stages", "tc_stages" };

uint32_t object_default_max(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t max = bytes / 16384 / 8;

	if (bytes > 4ULL << 30)
		return 262144;
	if (bytes > 1ULL << 30)
		return 65536;
	return max < 1024 ? 1024 : (uint32_t)max;
}

static int too_old(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;
	char needs[64];

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2 ||
	    major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	snprintf(needs, sizeof(needs), "the programs need Linux %d.%d or later", KERNEL_MAJOR,
		 KERNEL_MINOR);
	return fail(needs, NULL, "Linux %s", u.release);
}

void object_defaults(struct ct_settings *s, uint32_t max)
{
	memset(s, 0, sizeof(*s));
	s->hz = clock_hz();
#define X(id, key, seconds, help) s->timeout.key = (uint64_t)(seconds) * s->hz;
	CT_TIMEOUTS(X)
#undef X
#define X(id, key, value, largest, help) s->knob.key = value;
	CT_KNOBS(X)
#undef X
	s->knob.max = max;
}

uint64_t object_build(void)
{
	static uint64_t build;
	const unsigned char *elf;
	size_t size;

	if (build)
		return build;
	elf = ct_bpf__elf_bytes(&size);
	build = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < size; i++)
		build = (build ^ elf[i]) * 0x100000001b3;
	return build;
}

void object_state(struct ct_state *st, uint32_t max)
{
	*st = (struct ct_state){
		.max_slots = max,
		.netns = netns_cookie(),
		.abi = CT_ABI,
		.abi_oldest = CT_ABI_OLDEST,
		.build = object_build(),
	};
}

int object_put(const struct ct_bpf *skel, const char *map, const void *value)
{
	int fd = bpf_object__find_map_fd_by_name(skel->obj, map);
	uint32_t zero = 0;

	return bpf_map_update_elem(fd, &zero, value, BPF_ANY) ? -errno : 0;
}

static int fill_settings(struct ct_bpf *skel, const struct object_options *options, uint32_t max,
			 const struct ct_secrets *secrets)
{
	struct ct_settings s;
	struct ct_state st;
	int err;

	object_defaults(&s, max);
	s.knob.drop_invalid = options->drop_invalid;
	object_state(&st, max);
	err = object_put(skel, "settings", &s);
	if (!err)
		err = object_put(skel, "state", &st);
	if (!err)
		err = object_put(skel, "secrets", secrets);
	return err;
}

/* All programs of an array need the same type of attachment: none serves every kernel. */
static void no_attach_type(const struct bpf_object *obj)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj)
		bpf_program__set_expected_attach_type(prog, 0);
}

/* The last stage first: from the moment `in` is there, so is all that it leads to. */
int object_fill_stages(struct ct_bpf *skel)
{
	const struct {
		struct bpf_map *stages;
		__u32 stage;
		struct bpf_program *prog;
	} rows[] = {
		{ skel->maps.xdp_stages, CT_STAGE_CONFIRM, skel->progs.ct_xdp_confirm },
		{ skel->maps.tc_stages, CT_STAGE_CONFIRM, skel->progs.ct_tc_confirm },
		{ skel->maps.xdp_stages, CT_STAGE_IN, skel->progs.ct_xdp_in },
		{ skel->maps.tc_stages, CT_STAGE_IN, skel->progs.ct_tc_in },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u32 fd = (__u32)bpf_program__fd(rows[i].prog);

		if (bpf_map_update_elem(bpf_map__fd(rows[i].stages), &rows[i].stage, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

const char *object_pin_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	/* libbpf's .rodata and .bss belong to the programs; the name of .data.epoch is no file's. */
	if (!bpf_map__is_internal(map))
		return name;
	return strstr(name, ".data.epoch") ? "epoch" : NULL;
}

int object_pin(struct ct_bpf *skel, const char *dir)
{
	char path[PATH_MAX + 128];
	struct bpf_program *prog;
	struct bpf_map *map;

	snprintf(path, sizeof(path), "%s/" PIN_PROGS, dir);
	if (mkdir(path, 0700))
		return -errno;
	bpf_object__for_each_program(prog, skel->obj) {
		snprintf(path, sizeof(path), "%s/" PIN_PROGS "/%s", dir, bpf_program__name(prog));
		if (bpf_obj_pin(bpf_program__fd(prog), path))
			return -errno;
	}
	/* `state` last: an instance without it is not whole, and is made anew by the next attach. */
	bpf_object__for_each_map(map, skel->obj) {
		if (!object_pin_name(map) || map == skel->maps.state)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, object_pin_name(map));
		if (bpf_obj_pin(bpf_map__fd(map), path))
			return -errno;
	}
	snprintf(path, sizeof(path), "%s/state", dir);
	return bpf_obj_pin(bpf_map__fd(skel->maps.state), path) ? -errno : 0;
}

static int pin(const struct instance *in, struct ct_bpf *skel)
{
	char path[PATH_MAX + 128];

	snprintf(path, sizeof(path), "%s/" PIN_LINKS, in->dir);
	if (mkdir(path, 0700))
		return -errno;
	return object_pin(skel, in->dir);
}

int object_start_sweep(const struct instance *in)
{
	struct ct_ctl m = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &m, .data_size_in = sizeof(m));
	int fd = instance_need(in, PIN_PROGS "/ct_ctl_arm"), err;

	if (fd < 0)
		return 1;
	err = bpf_prog_test_run_opts(fd, &run) ? -errno : 0;
	close(fd);
	if (err || run.retval)
		return fail(strerror(err ? -err : EIO), NULL, "the sweep can't be started");
	return 0;
}

/* The bit where a member of a struct begins, also inside of anonymous ones; -1: there is none. */
static long member_bit(const struct btf *btf, const struct btf_type *t, const char *name)
{
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *its_name = btf__name_by_offset(btf, m->name_off);
		const struct btf_type *inner;
		long bit;

		if (!strcmp(its_name, name))
			return btf_member_bit_offset(t, i);
		inner = btf__type_by_id(btf, m->type);
		if (*its_name || !btf_is_composite(inner))
			continue;
		bit = member_bit(btf, inner, name);
		if (bit >= 0)
			return btf_member_bit_offset(t, i) + bit;
	}
	return -1;
}

/*
 * Where a kernel keeps skb->ip_summed, which says whether a checksum is yet to be finished. 0 where
 * it does not say (no BTF) or does not let programs look (lockdown): these can do without.
 */
static uint32_t ip_summed_bit(void)
{
	struct btf *btf = NULL;
	long bit = -1;
	int id;

	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_probe_read_kernel, NULL) == 1)
		btf = btf__load_vmlinux_btf();
	if (!btf)
		return 0;
	id = btf__find_by_name_kind(btf, "sk_buff", BTF_KIND_STRUCT);
	if (id > 0)
		bit = member_bit(btf, btf__type_by_id(btf, (uint32_t)id), "ip_summed");
	btf__free(btf);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	if (bit > 0) /* BTF counts the bits of a byte from its upper end */
		bit = (bit & ~7L) + 6 - bit % 8;
#endif
	return bit > 0 ? (uint32_t)bit : 0;
}

int object_report(int err)
{
	if (err == -EPERM || err == -EACCES)
		return fail("permission denied", "run as root, or with CAP_BPF, CAP_NET_ADMIN and "
						 "CAP_PERFMON",
			    "the programs can't be loaded");
	if (err == -ENOMEM)
		return fail("not enough memory", "use a smaller --max",
			    "the programs can't be loaded");
	return fail(strerror(-err), "-vv shows what the kernel says",
		    "the programs can't be loaded");
}

/* Datagrams in fragments that are known at a time: see the map. */
static uint32_t fragments_most(void)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus > 4 ? 256 * (uint32_t)cpus : 1024;
}

/* Sources whose flows are counted at a time: see the map. */
static uint32_t sources_most(uint32_t max)
{
	return max < 4096 ? 1024 : max / 4;
}

void object_set_max(struct ct_bpf *skel, uint32_t max)
{
	bpf_map__set_max_entries(skel->maps.ct4, max);
	bpf_map__set_max_entries(skel->maps.ct6, max);
	bpf_map__set_max_entries(skel->maps.index4, max);
	bpf_map__set_max_entries(skel->maps.index6, max);
	bpf_map__set_max_entries(skel->maps.free4, max);
	bpf_map__set_max_entries(skel->maps.free6, max);
	bpf_map__set_max_entries(skel->maps.sources, sources_most(max));
}

struct ct_bpf *object_open(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct ct_bpf *skel;

	if (too_old())
		return NULL;
	/* For kernels before 5.11; without the right to do so it may still be enough. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);

	skel = ct_bpf__open();
	if (!skel) {
		object_report(-errno);
		return NULL;
	}
	bpf_map__set_max_entries(skel->maps.fragments, fragments_most());
	no_attach_type(skel->obj);
	skel->rodata->ct_ip_summed = ip_summed_bit();
#if !defined(__x86_64__) && !defined(__i386__)
	skel->rodata->ct_weak_memory = true;
#endif
	return skel;
}

struct bpf_object *object_bpf(const struct ct_bpf *skel)
{
	return skel->obj;
}

/* Kernels take no description of what is in these. */
static bool is_described(__u32 type)
{
	return type != BPF_MAP_TYPE_ARRAY_OF_MAPS && type != BPF_MAP_TYPE_QUEUE &&
	       type != BPF_MAP_TYPE_STACK;
}

/*
 * Where the kernel refuses a map's description, a name or the like, libbpf goes on without, and so it
 * does when there was no memory for a moment. But who looks at the instance, and the next upgrade, go
 * by these. 0 or -errno.
 */
static int check_names(const struct ct_bpf *skel)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);

		if (!object_pin_name(map))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len))
			return -errno;
		if (!*info.name || (!info.btf_id && is_described(info.type)))
			return -EIO;
	}
	bpf_object__for_each_program(prog, skel->obj) {
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			return -errno;
		if (!*info.name)
			return -EIO;
	}
	return 0;
}

int object_verify(struct ct_bpf *skel, const struct ct_secrets *secrets, uint32_t epoch)
{
	int err;

	memcpy((void *)skel->rodata->ct_salt, secrets->salt, sizeof(secrets->salt));
	skel->rodata->ct_magic = secrets->magic;
	skel->rodata->ct_epoch_own = epoch;
	err = ct_bpf__load(skel);
	return err ? err : check_names(skel);
}

uint32_t *object_epoch(const struct ct_bpf *skel)
{
	return skel->data_epoch->ct_epoch;
}

void object_close(struct ct_bpf *skel)
{
	ct_bpf__destroy(skel);
}

int object_load(const struct instance *in, const struct object_options *options)
{
	uint32_t max = options->max ? options->max : object_default_max();
	struct ct_secrets secrets = {};
	struct ct_bpf *skel = object_open();
	int err;

	if (!skel)
		return 1;
	object_set_max(skel, max);
	err = getrandom(&secrets, offsetof(struct ct_secrets, pad), 0) < 0 ? -errno : 0;
	if (!err)
		err = object_verify(skel, &secrets, 1);
	if (!err)
		err = fill_settings(skel, options, max, &secrets);
	if (!err)
		err = object_fill_stages(skel);
	if (err) {
		object_report(err);
		goto out;
	}
	/* Until the first interface is attached nobody is to take it for an instance. */
	*(struct ct_epoch *)skel->data_epoch->ct_epoch =
		(struct ct_epoch){ .now = 1, .life = CT_LIFE_MAKING, .changing = CT_CHANGE_BEGUN };
	err = pin(in, skel);
	if (err)
		fail(strerror(-err), NULL, "pinning to %s", in->dir);
	else
		err = object_start_sweep(in);
out:
	object_close(skel);
	return err ? 1 : 0;
}

int object_each(void (*each)(const struct object_part *part, void *arg), void *arg)
{
	struct ct_bpf *skel = ct_bpf__open();
	struct bpf_program *prog;
	struct bpf_map *map;

	if (!skel)
		return -errno;
	bpf_object__for_each_program(prog, skel->obj) {
		struct object_part part = { .name = bpf_program__name(prog), .program = true,
					    .pinned = true };

		each(&part, arg);
	}
	bpf_object__for_each_map(map, skel->obj) {
		const char *pin = object_pin_name(map);
		struct object_part part = {
			.name = pin ?: bpf_map__name(map),
			.pinned = pin,
			.type = bpf_map__type(map),
			.key_size = bpf_map__key_size(map),
			.value_size = bpf_map__value_size(map),
		};

		each(&part, arg);
	}
	ct_bpf__destroy(skel);
	return 0;
}

/*
 * Does the kernel know this map by that name? It cuts names off; and of libbpf's own maps, like
 * "ct_bpf.rodata", they both know only from the dot on in the same way.
 */
static bool map_called(const struct bpf_map *map, const char *name)
{
	const char *known = bpf_map__name(map);

	if (bpf_map__is_internal(map)) {
		known = strchr(known, '.') ?: known;
		name = strchr(name, '.') ?: name;
	}
	return !strncmp(name, known, BPF_OBJ_NAME_LEN - 1);
}

/* Give `obj` the maps with these ids. What is not among them it does without. 0 or -errno. */
static int share_maps(const struct bpf_object *obj, const __u32 *ids, __u32 n)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		bpf_map__set_autocreate(map, false);
	for (__u32 i = 0; i < n; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]), err;
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);

		if (fd < 0)
			return -errno;
		err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : -ENOENT;
		bpf_object__for_each_map(map, obj) {
			if (err != -ENOENT || !map_called(map, info.name))
				continue;
			err = bpf_map__set_autocreate(map, true);
			if (!err)
				err = bpf_map__reuse_fd(map, fd);
			break;
		}
		close(fd);
		if (err)
			return err;
	}
	return 0;
}

struct bpf_object *object_open_again(const struct instance *in, const char *prog)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "ct_bpf");
	__u32 ids[64], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .map_ids = (uintptr_t)ids, .nr_map_ids = 64 };
	struct bpf_program *other;
	struct bpf_object *obj;
	char path[NAME_MAX + 16];
	const void *elf;
	size_t size;
	int fd, err;

	snprintf(path, sizeof(path), PIN_PROGS "/%s", prog);
	fd = instance_fd(in, path);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : 0;
	close(fd);
	elf = ct_bpf__elf_bytes(&size);
	obj = err ? NULL : bpf_object__open_mem(elf, size, &opts);
	if (!err && !obj)
		err = -errno;
	if (!err)
		err = share_maps(obj, ids, info.nr_map_ids < 64 ? info.nr_map_ids : 64);
	if (err) {
		bpf_object__close(obj);
		errno = -err;
		return NULL;
	}
	no_attach_type(obj);
	bpf_object__for_each_program(other, obj)
		bpf_program__set_autoload(other, !strcmp(bpf_program__name(other), prog));
	return obj;
}
