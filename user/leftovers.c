// SPDX-License-Identifier: GPL-2.0-only
#include "leftovers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <mntent.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "clsact.h"
#include "ending.h"
#include "instance.h"
#include "object.h"
#include "pins.h"

#define PATIENCE_MS 2000
#define NAME_LEN    16 /* BPF_OBJ_NAME_LEN */

/* --- sets of ids ------------------------------------------------------------------------------ */

enum kind {
	PROGRAM,
	MAP,
	LINK,
	KINDS,
};

static const char *const kind_names[KINDS] = { "program", "map", "link" };

struct ids {
	__u32 *id;
	size_t n, room;
};

static bool has(const struct ids *set, __u32 id)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->id[i] == id)
			return true;
	return false;
}

static void add(struct ids *set, __u32 id)
{
	if (!id || has(set, id))
		return;
	if (set->n == set->room) {
		size_t room = set->room ? 2 * set->room : 64;
		__u32 *more = realloc(set->id, room * sizeof(*more));

		if (!more)
			return;
		set->id = more;
		set->room = room;
	}
	set->id[set->n++] = id;
}

/* --- what our parts are called ---------------------------------------------------------------- */

#define PARTS_MOST 64
#define KEPT_MOST  256

/* Kernel names are cut off at 15 letters. */
struct part {
	char name[NAME_LEN];
	bool program;
	__u32 type, key_size, value_size;
};

struct search {
	struct part parts[PARTS_MOST];
	size_t n_parts;
	struct ids reached[KINDS]; /* of a living instance, or in the hands of a process */
	struct ids ours[KINDS];	   /* there are, by their names */
	struct ids used;	   /* maps of our programs that are left */
	int kept[KEPT_MOST];	   /* see find_maps() */
	size_t n_kept;
	struct ids ifaces; /* that instances of this network namespace have */

	void (*say)(const char *what, void *arg);
	void *arg;
	int n;
};

static void take_part(const struct object_part *part, void *arg)
{
	struct search *s = arg;
	struct part *p = &s->parts[s->n_parts];

	if (s->n_parts == PARTS_MOST || !part->pinned)
		return;
	snprintf(p->name, sizeof(p->name), "%s", part->name);
	p->program = part->program;
	p->type = part->type;
	p->key_size = part->key_size;
	p->value_size = part->value_size;
	s->n_parts++;
}

/* Programs say so themselves: see "Names that other programs see". */
static bool our_program(const struct bpf_prog_info *info)
{
	return !strncmp(info->name, "ct_", 3) &&
	       (info->type == BPF_PROG_TYPE_XDP || info->type == BPF_PROG_TYPE_SCHED_CLS);
}

/* "stats" and "state" may be anybody's: of ours they have the shape. */
static bool our_map(const struct search *s, const struct bpf_map_info *info)
{
	if (!strcmp(info->name, "ct_events") || !strcmp(info->name, "ct_grace") ||
	    !strcmp(info->name, "ct4") || !strcmp(info->name, "ct6"))
		return true;
	for (size_t i = 0; i < s->n_parts; i++)
		if (!s->parts[i].program && !strcmp(info->name, s->parts[i].name) &&
		    info->type == s->parts[i].type && info->key_size == s->parts[i].key_size &&
		    info->value_size == s->parts[i].value_size)
			return true;
	return false;
}

/* --- what can be reached ---------------------------------------------------------------------- */

static void reach_map(struct search *s, __u32 id)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), value;
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) &&
	    (info.type == BPF_MAP_TYPE_PROG_ARRAY || info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS))
		for (__u32 i = 0; i < info.max_entries; i++)
			if (!bpf_map_lookup_elem(fd, &i, &value))
				add(&s->reached[info.type == BPF_MAP_TYPE_PROG_ARRAY ? PROGRAM
										     : MAP],
				    value);
	close(fd);
}

static void maps_of_program(struct ids *maps_found, __u32 id)
{
	__u32 maps[64] = {}, len;
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (__u64)(unsigned long)maps };
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return;
	len = sizeof(info);
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++)
			add(maps_found, maps[i]);
	close(fd);
}

static void reach_program(struct search *s, __u32 id)
{
	maps_of_program(&s->reached[MAP], id);
}

static void reach_link(struct search *s, __u32 id)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_link_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		add(&s->reached[PROGRAM], info.prog_id);
	close(fd);
}

/* From what is reached to what that leads to, until there is nothing new. */
static void reach_on(struct search *s)
{
	static void (*const on[KINDS])(struct search * s, __u32 id) = { reach_program, reach_map,
									reach_link };
	size_t done[KINDS] = {};
	bool more = true;

	while (more) {
		more = false;
		for (int kind = 0; kind < KINDS; kind++)
			for (; done[kind] < s->reached[kind].n; more = true)
				on[kind](s, s->reached[kind].id[done[kind]++]);
	}
}

/* The kind and id of an open BPF object, by what /proc says of it. */
static bool identify(const char *fdinfo, enum kind *kind, __u32 *id)
{
	FILE *f = fopen(fdinfo, "re");
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f)) {
		/* A link's file has its program's id, too, behind its own. */
		if ((found = sscanf(line, "link_id: %u", id) == 1))
			*kind = LINK;
		else if ((found = sscanf(line, "prog_id: %u", id) == 1))
			*kind = PROGRAM;
		else if ((found = sscanf(line, "map_id: %u", id) == 1))
			*kind = MAP;
	}
	if (f)
		fclose(f);
	return found;
}

static bool identify_pin(const char *path, enum kind *kind, __u32 *id)
{
	int fd = bpf_obj_get(path);
	char fdinfo[64];
	bool found;

	if (fd < 0)
		return false;
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
	found = identify(fdinfo, kind, id);
	close(fd);
	return found;
}

static struct search *searching; /* nftw() hands nothing on */

static int reach_pin(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	enum kind kind;
	__u32 id;

	(void)st;
	(void)ftw;
	if (type == FTW_F && identify_pin(path, &kind, &id))
		add(&searching->reached[kind], id);
	return 0;
}

static int reach_instance(const char *name, const char *dir, void *arg)
{
	struct instance in = { .lock = -1 };
	struct search *s = arg;
	struct ct_state st;
	int map;

	snprintf(in.name, sizeof(in.name), "%s", name);
	snprintf(in.dir, sizeof(in.dir), "%s", dir);
	searching = s;
	nftw(dir, reach_pin, 8, FTW_PHYS | FTW_MOUNT);
	map = instance_check(&in, &st) ? -1 : instance_fd(&in, "ifaces");
	for (__u32 i = 0; map >= 0 && i < CT_IFACES; i++) {
		struct ct_iface slot;

		if (!bpf_map_lookup_elem(map, &i, &slot))
			add(&s->ifaces, slot.ifindex);
	}
	if (map >= 0)
		close(map);
	return 0;
}

/* Instances in a bpffs that only the mount namespace of some process has. */
static void reach_mounts(struct search *s, const char *pid, struct ids *seen)
{
	static const char *const places[] = { "sys/fs/bpf/ctloader", "run/ctloader/bpf/ctloader" };
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", pid);
	if (stat(path, &st) || has(seen, (__u32)st.st_ino))
		return;
	add(seen, (__u32)st.st_ino);
	searching = s;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%.20s/root/%s", pid, places[i]);
		nftw(path, reach_pin, 8, FTW_PHYS | FTW_MOUNT);
	}
}

/* Whatever any process but us has open, or pinned where we would not look. */
static void reach_held(struct search *s)
{
	DIR *proc = opendir("/proc");
	struct ids seen = {};
	struct dirent *p, *f;

	while (proc && (p = readdir(proc))) {
		char path[300 + NAME_MAX];
		DIR *dir;

		if (p->d_name[0] < '0' || p->d_name[0] > '9' || atoi(p->d_name) == getpid())
			continue;
		reach_mounts(s, p->d_name, &seen);
		snprintf(path, sizeof(path), "/proc/%s/fdinfo", p->d_name);
		dir = opendir(path);
		while (dir && (f = readdir(dir))) {
			enum kind kind;
			__u32 id;

			snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%s", p->d_name, f->d_name);
			if (f->d_name[0] != '.' && identify(path, &kind, &id))
				add(&s->reached[kind], id);
		}
		if (dir)
			closedir(dir);
	}
	if (proc)
		closedir(proc);
	free(seen.id);
}

/* --- what there is ---------------------------------------------------------------------------- */

static void find_programs(struct search *s)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && our_program(&info))
			add(&s->ours[PROGRAM], id);
		close(fd);
	}
}

/*
 * When the last descriptor of an array of programs is closed, and no pin is left, the kernel
 * empties it, by work that takes a reference; when that happens again before the work is done, the
 * reference is never given back (prog_array_map_clear() in kernel/bpf/arraymap.c). So they stay
 * open here for as long as we look.
 */
static void find_maps(struct search *s)
{
	__u32 id = 0;

	while (!bpf_map_get_next_id(id, &id)) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && our_map(s, &info))
			add(&s->ours[MAP], id);
		if (info.type == BPF_MAP_TYPE_PROG_ARRAY && s->n_kept < KEPT_MOST)
			s->kept[s->n_kept++] = fd;
		else
			close(fd);
	}
}

/* After the programs: a link is ours if it runs one. */
static void find_links(struct search *s)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    has(&s->ours[PROGRAM], info.prog_id))
			add(&s->ours[LINK], id);
		close(fd);
	}
}

__attribute__((format(printf, 2, 3))) static void say(struct search *s, const char *format, ...)
{
	char text[PATH_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	s->n++;
	if (s->say)
		s->say(text, s->arg);
}

/* Our programs on interfaces of this network namespace that no instance has. */
static void find_attached(struct search *s)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
		int ifindex = (int)i->if_index;

		if (has(&s->ifaces, i->if_index))
			continue;
		if (!bpf_xdp_query(ifindex, 0, &xdp) && has(&s->ours[PROGRAM], xdp.prog_id))
			say(s, "program %u on XDP of %s", xdp.prog_id, i->if_name);
		for (int ingress = 1; ingress >= 0; ingress--) {
			const char *side = ingress ? "ingress" : "egress";
			struct clsact_filter filter[64];
			struct tcx_program tcx[64];
			int n = clsact_filters(ifindex, ingress, filter, 64);

			for (int k = 0; k < n; k++)
				if (has(&s->ours[PROGRAM], filter[k].prog_id))
					say(s, "a tc filter on %s of %s (program %u '%s')", side,
					    i->if_name, filter[k].prog_id, filter[k].name);
			n = tcx_programs(ifindex, ingress, tcx, 64);
			for (int k = 0; k < n; k++)
				if (has(&s->ours[PROGRAM], tcx[k].prog_id))
					say(s, "program %u on tc %s of %s", tcx[k].prog_id, side,
					    i->if_name);
		}
	}
	if_freenameindex(all);
}

/* Where an object is pinned outside of the instances. */
static enum kind pin_kind;
static __u32 pin_id;
static char pin_path[PATH_MAX];

static int match_pin(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	enum kind kind;
	__u32 id;

	(void)st;
	(void)ftw;
	if (type != FTW_F || !identify_pin(path, &kind, &id) || kind != pin_kind || id != pin_id)
		return 0;
	snprintf(pin_path, sizeof(pin_path), "%s", path);
	return 1;
}

static const char *pinned_at(enum kind kind, __u32 id)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	pin_kind = kind;
	pin_id = id;
	*pin_path = '\0';
	while (mounts && !*pin_path && (m = getmntent(mounts)))
		if (!strcmp(m->mnt_type, "bpf"))
			nftw(m->mnt_dir, match_pin, 8, FTW_PHYS | FTW_MOUNT);
	if (mounts)
		endmntent(mounts);
	return *pin_path ? pin_path : NULL;
}

static void object_name(enum kind kind, __u32 id, char name[NAME_LEN])
{
	struct bpf_prog_info prog = {};
	struct bpf_map_info map = {};
	__u32 len;
	int fd;

	*name = '\0';
	if (kind == LINK)
		return;
	fd = kind == PROGRAM ? bpf_prog_get_fd_by_id(id) : bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return;
	len = kind == PROGRAM ? sizeof(prog) : sizeof(map);
	if (!bpf_obj_get_info_by_fd(fd, kind == PROGRAM ? (void *)&prog : (void *)&map, &len))
		snprintf(name, NAME_LEN, "%s", kind == PROGRAM ? prog.name : map.name);
	close(fd);
}

static int find_half(const char *name, const char *dir, void *arg)
{
	struct instance in = { .lock = -1 };
	struct ct_state st;
	int lock, err;

	snprintf(in.name, sizeof(in.name), "%s", name);
	snprintf(in.dir, sizeof(in.dir), "%s", dir);
	err = instance_check(&in, &st);
	if (err != -ENOENT && err != -EXDEV)
		return 0;
	if (err == -EXDEV && !orphaned(&in, true))
		return 0;
	/* Somebody may be at work on it. */
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return 0;
	if (!flock(lock, LOCK_SH | LOCK_NB))
		say(arg, "instance %s at %s: %s", name, dir,
		    err == -EXDEV ? "its network namespace has gone" : "it is not whole");
	close(lock);
	return 0;
}

static void say_empty(const char *what, void *arg)
{
	say(arg, "%s", what);
}

/*
 * An array of programs that no program uses and that is pinned nowhere is one whose reference the
 * kernel has lost, as above: nobody's to remove.
 */
static bool lost_by_kernel(const struct search *s, __u32 id)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);
	bool array;

	if (fd < 0)
		return true;
	array = !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_MAP_TYPE_PROG_ARRAY;
	close(fd);
	return array && !has(&s->used, id) && !pinned_at(MAP, id);
}

static void find_unreached(struct search *s)
{
	for (size_t i = 0; i < s->ours[PROGRAM].n; i++)
		if (!has(&s->reached[PROGRAM], s->ours[PROGRAM].id[i]))
			maps_of_program(&s->used, s->ours[PROGRAM].id[i]);
	for (int kind = 0; kind < KINDS; kind++)
		for (size_t i = 0; i < s->ours[kind].n; i++) {
			__u32 id = s->ours[kind].id[i];
			const char *path;
			char name[NAME_LEN];

			if (has(&s->reached[kind], id) || (kind == MAP && lost_by_kernel(s, id)))
				continue;
			object_name(kind, id, name);
			path = s->say ? pinned_at(kind, id) : NULL;
			say(s, "%s %u%s%s%s%s", kind_names[kind], id, *name ? " " : "", name,
			    path ? ", pinned at " : "", path ? path : "");
		}
}

/* One look at everything. How many are left. */
static int look(struct search *s)
{
	for (int kind = 0; kind < KINDS; kind++)
		s->reached[kind].n = s->ours[kind].n = 0;
	s->ifaces.n = s->used.n = 0;
	s->n = 0;
	/* What there is, first: what is made meanwhile is not looked at. */
	find_programs(s);
	find_maps(s);
	find_links(s);
	pins_each(reach_instance, s);
	reach_held(s);
	reach_on(s);
	find_unreached(s);
	find_attached(s);
	pins_each(find_half, s);
	pins_empty(say_empty, s);
	while (s->n_kept)
		close(s->kept[--s->n_kept]);
	return s->n;
}

int leftovers_find(void (*tell)(const char *what, void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	struct search s = { .arg = arg };
	int err = object_each(take_part, &s);

	if (err)
		return err;
	for (int waited = 0; look(&s) && waited < PATIENCE_MS; waited += 50)
		nanosleep(&pause, NULL);
	if (s.n) {
		s.say = tell;
		look(&s);
	}
	for (int kind = 0; kind < KINDS; kind++) {
		free(s.reached[kind].id);
		free(s.ours[kind].id);
	}
	free(s.ifaces.id);
	free(s.used.id);
	return s.n;
}
