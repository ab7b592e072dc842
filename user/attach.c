// SPDX-License-Identifier: GPL-2.0-only
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clsact.h"
#include "grace.h"
#include "log.h"
#include "object.h"
#include "pins.h"
#include "priv.h"
#include "xdpchain.h"

/* <linux/bpf.h> of 6.6; the headers of Debian 12 are older. */
#define CT_TCX_INGRESS 46
#define CT_TCX_EGRESS 47
#define CT_F_BEFORE (1U << 3)

const char *const hook_names[] = {
#define X(id, name) [CT_HOOK_##id] = name,
	CT_HOOKS(X)
#undef X
};

const char *hooking_method(const struct hooking *h)
{
	static const char *const methods[][2] = {
		{ "tcx", "clsact" },
		{ "link, tcx", "link, clsact" },
		{ "libxdp, tcx", "libxdp, clsact" },
	};
	int xdp = h->xdp == ATTACH_XDP_LIBXDP ? 2 : 1;

	return methods[h->hook == CT_HOOK_TC ? 0 : xdp][h->tc == ATTACH_TC_CLSACT];
}

/* --- The interface's slot in the map `ifaces` ------------------------------------------------ */

/* Find the slot of `ifindex`; with `make`, or a free one. Its index, or -errno. */
static int slot_find(int map, __u32 ifindex, struct ct_iface *slot, bool make)
{
	int vacant = -ENOSPC;

	if (!ifindex)
		return -ENOENT;
	for (__u32 i = 0; i < CT_IFACE_PROBES; i++) {
		__u32 at = (ifindex + i) % CT_IFACES;

		if (bpf_map_lookup_elem(map, &at, slot))
			return -errno;
		if (slot->ifindex == ifindex)
			return (int)at;
		if (!slot->ifindex && vacant < 0)
			vacant = (int)at;
	}
	memset(slot, 0, sizeof(*slot));
	return make ? vacant : -ENOENT;
}

/* The next slot that is taken, from *at on. 1, 0 when there is no other, -errno. */
static int slot_next(int map, __u32 *at, struct ct_iface *slot)
{
	while (*at < CT_IFACES) {
		if (bpf_map_lookup_elem(map, at, slot))
			return -errno;
		(*at)++;
		if (slot->ifindex)
			return 1;
	}
	return 0;
}

int hookings_count(int map)
{
	struct ct_iface slot;
	__u32 at = 0;
	int n = 0, more;

	while ((more = slot_next(map, &at, &slot)) > 0)
		n++;
	return more < 0 ? more : n;
}

enum slot_how {
	SLOT_CHANGE,
	SLOT_REMARK,
	SLOT_MAKE,
	SLOT_FREE,
};

static int slot_update(const struct instance *in, const struct hooking *h, enum slot_how how,
		       __u32 set, __u32 clear)
{
	int map = instance_fd(in, "ifaces"), at;
	struct ct_iface slot;
	__u32 key;

	if (map < 0)
		return map;
	at = slot_find(map, (__u32)h->nic.ifindex, &slot, how == SLOT_MAKE);
	switch (how) {
	case SLOT_CHANGE:
		slot.flags = (slot.flags | set) & ~clear;
		slot.hook = h->hook;
		break;
	case SLOT_REMARK:
		slot.mark = h->mark;
		break;
	case SLOT_MAKE:
		slot = (struct ct_iface){
			.ifindex = (__u32)h->nic.ifindex,
			.flags = set,
			.zone = h->zone,
			.mark = h->mark,
			.hook = h->hook,
			.used = 1,
		};
		break;
	case SLOT_FREE:
		slot = (struct ct_iface){ .used = 1 };
		break;
	}
	key = (__u32)at;
	if (at >= 0 && bpf_map_update_elem(map, &key, &slot, BPF_ANY))
		at = -errno;
	close(map);
	return at < 0 ? at : 0;
}

/* Change the slot of an interface: set some flags, clear others. */
static int slot_flags(const struct instance *in, const struct hooking *h, __u32 set, __u32 clear)
{
	return slot_update(in, h, SLOT_CHANGE, set, clear);
}

/* Generic XDP comes behind GRO, which leaves the checksums of what it merges unfinished. */
static bool has_partial(const struct hooking *h)
{
	return h->nic.partial || h->hook == CT_HOOK_GENERIC;
}

static int slot_make(const struct instance *in, const struct hooking *h)
{
	return slot_update(in, h, SLOT_MAKE,
			   CT_IF_COMING | (h->nic.l3 ? CT_IF_L3 : 0) | (h->nic.loopback ? CT_IF_LOOPBACK : 0) |
				   (h->confirm_xdp ? CT_IF_CONFIRM_XDP : 0) |
				   (has_partial(h) ? CT_IF_PARTIAL : 0),
			   0);
}

static int slot_free(const struct instance *in, const struct hooking *h)
{
	int err = slot_update(in, h, SLOT_FREE, 0, 0);

	return err == -ENOENT ? 0 : err;
}

/* --- Links ------------------------------------------------------------------------------------ */

static void link_path(char *path, size_t size, const struct instance *in, const struct hooking *h,
		      const char *hook)
{
	snprintf(path, size, "%s/" PIN_LINKS "/%d-%s", in->dir, h->nic.ifindex, hook);
}

/* The interface the link pinned at `path` is on, 0 when that has gone. -ENOENT: there is none. */
static int link_at(const char *path)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(path), err = 0;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		err = -errno;
	close(fd);
	return err ? err : (int)info.xdp.ifindex; /* tcx has its own in the same place */
}

/* Attach a pinned program by a link, and pin that. */
static int link_make(const struct instance *in, const struct hooking *h, const char *prog,
		     const char *hook, int type, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	char path[PATH_MAX + 64], name[64];
	int fd, link, err = 0;

	snprintf(name, sizeof(name), PIN_PROGS "/%s", prog);
	fd = instance_fd(in, name);
	if (fd < 0)
		return fd;
	link = bpf_link_create(fd, h->nic.ifindex, (enum bpf_attach_type)type, &opts);
	if (link < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	link_path(path, sizeof(path), in, h, hook);
	if (bpf_obj_pin(link, path))
		err = -errno;
	close(link); /* without a pin this detaches it */
	return err;
}

static int link_remove(const struct instance *in, const struct hooking *h, const char *hook)
{
	char path[PATH_MAX + 64];
	int fd, err = 0;

	link_path(path, sizeof(path), in, h, hook);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	/* Where the interface has gone there is nothing to detach from. */
	if (bpf_link_detach(fd) && errno != ENOLINK && errno != EINVAL)
		err = -errno;
	if (unlink(path) && !err)
		err = -errno;
	close(fd);
	return err;
}

/* --- The steps, in the order in which a packet meets them -------------------------------------- */

static int in_on(const struct instance *in, struct hooking *h)
{
	return slot_flags(in, h, CT_IF_ACTIVE, 0);
}

static int in_off(const struct instance *in, struct hooking *h)
{
	int err = slot_flags(in, h, 0, CT_IF_ACTIVE);

	return err == -ENOENT ? 0 : err;
}

/*
 * Pins beside the links, of what is no link: the program in libxdp's chain, and the stage array that
 * it belongs to. An upgrade does not touch the chain: the program hands packets on to the newest
 * one. For that its array must stay, which is emptied when the last pin has gone.
 */
#define LIBXDP "libxdp"
#define STAGES "stages"

static bool pin_is(const char *name, const char *kind)
{
	const char *dash = strchr(name, '-');

	return dash && !strcmp(dash + 1, kind);
}

static int stages_pin(const struct instance *in, const struct hooking *h)
{
	char path[PATH_MAX + 64];
	int fd = instance_fd(in, "xdp_stages"), err;

	if (fd < 0)
		return fd;
	link_path(path, sizeof(path), in, h, STAGES);
	err = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return err;
}

static int stages_open(const struct instance *in, const struct hooking *h)
{
	char path[PATH_MAX + 64];
	int fd;

	link_path(path, sizeof(path), in, h, STAGES);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int stages_unpin(const struct instance *in, const struct hooking *h)
{
	char path[PATH_MAX + 64];

	link_path(path, sizeof(path), in, h, STAGES);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* Where the program in the chain hands packets on to. */
static int stages_update(const struct instance *in, const struct instance *next,
			 const struct hooking *h)
{
	int stages = stages_open(in, h), prog, err = 0;
	__u32 stage = CT_STAGE_NEXT;

	if (stages < 0)
		return stages == -ENOENT ? 0 : stages;
	prog = instance_fd(next, PIN_PROGS "/ct_xdp");
	if (prog < 0)
		err = prog;
	else if (bpf_map_update_elem(stages, &stage, &prog, BPF_ANY))
		err = -errno;
	if (prog >= 0)
		close(prog);
	close(stages);
	return err;
}

/* Why it is a link, where libxdp was free to be used. */
static void explain_link(struct hooking *h)
{
	size_t at = strlen(h->why);

	snprintf(h->why + at, sizeof(h->why) - at, "; no libxdp: %s", chain_why());
}

static int xdp_attach(const struct instance *in, struct hooking *h)
{
	bool native = h->hook == CT_HOOK_NATIVE;
	char pin[PATH_MAX + 64];
	int err;

	if (h->xdp == ATTACH_XDP_LIBXDP) {
		link_path(pin, sizeof(pin), in, h, LIBXDP);
		err = stages_pin(in, h);
		if (!err)
			err = chain_attach(in, pin, h->nic.ifindex, native, h->prio);
		if (err)
			stages_unpin(in, h);
		if (err != -ENOEXEC || !h->xdp_automatic)
			return err;
		h->xdp = ATTACH_XDP_LINK;
		explain_link(h);
	}
	return link_make(in, h, "ct_xdp", "xdp", BPF_XDP,
			 native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
}

static int xdp_on(const struct instance *in, struct hooking *h)
{
	int err;

	if (h->hook != CT_HOOK_NATIVE && h->hook != CT_HOOK_GENERIC)
		return 0;
	err = xdp_attach(in, h);
	if (!err || !h->automatic || (err != -EOPNOTSUPP && err != -EINVAL && err != -EBUSY &&
				      err != -ENOMEM && err != -ERANGE))
		return err;
	if (h->confirm_xdp)
		return err; /* tc can't do what was asked for */
	snprintf(h->why, sizeof(h->why), "native XDP is refused: %s", strerror(-err));
	h->hook = CT_HOOK_TC;
	return slot_flags(in, h, 0, 0);
}

static int xdp_off(const struct instance *in, struct hooking *h)
{
	int err = link_remove(in, h, "xdp"), err2;
	char pin[PATH_MAX + 64];

	link_path(pin, sizeof(pin), in, h, LIBXDP);
	err2 = chain_detach(pin, h->nic.ifindex);
	if (!err2)
		err2 = stages_unpin(in, h);
	return err ? err : err2;
}

static int tc_on(const struct instance *in, struct hooking *h, bool ingress)
{
	int err;

	if (h->tc != ATTACH_TC_CLSACT) {
		/* In front of the others: one that ends with TC_ACT_OK keeps those behind it from it. */
		err = link_make(in, h, ingress ? "ct_tc_ingress" : "ct_tc_egress",
				ingress ? "tc-ingress" : "tc-egress",
				ingress ? CT_TCX_INGRESS : CT_TCX_EGRESS, CT_F_BEFORE);
		if (err != -EINVAL || h->tc == ATTACH_TC_TCX) {
			if (!err)
				h->tc = ATTACH_TC_TCX;
			return err;
		}
		verbose("%s: no TCX in this kernel, using clsact", h->nic.name);
		h->tc = ATTACH_TC_CLSACT;
	}
	/* First the mark that the qdisc is ours to remove: if we are killed it must not stay. */
	err = clsact_there(h->nic.ifindex);
	if (!err)
		err = slot_flags(in, h, CT_IF_CLSACT, 0);
	return err < 0 ? err : clsact_attach(in, h->nic.ifindex, ingress);
}

static int tc_off(const struct instance *in, struct hooking *h, bool ingress)
{
	int err = link_remove(in, h, ingress ? "tc-ingress" : "tc-egress");
	int err2 = clsact_detach(in, h->nic.ifindex, ingress);

	return err ? err : err2;
}

static int ingress_on(const struct instance *in, struct hooking *h)
{
	return tc_on(in, h, true);
}

static int ingress_off(const struct instance *in, struct hooking *h)
{
	return tc_off(in, h, true);
}

/* From here on flows that are forwarded to this interface are left for it to confirm. */
static int confirm_on(const struct instance *in, struct hooking *h)
{
	return slot_flags(in, h, CT_IF_CONFIRMS, 0);
}

static int confirm_off(const struct instance *in, struct hooking *h)
{
	int err = slot_flags(in, h, 0, CT_IF_CONFIRMS);

	return err == -ENOENT ? 0 : err;
}

static int egress_on(const struct instance *in, struct hooking *h)
{
	return tc_on(in, h, false);
}

static int egress_off(const struct instance *in, struct hooking *h)
{
	int map, at, err = tc_off(in, h, false);
	struct ct_iface slot = {};

	if (err)
		return err;
	map = instance_fd(in, "ifaces");
	if (map < 0)
		return map;
	at = slot_find(map, (__u32)h->nic.ifindex, &slot, false);
	close(map);
	if (at < 0)
		return at == -ENOENT ? 0 : at;
	return slot.flags & CT_IF_CLSACT && !h->qdisc_lost ? clsact_remove(h->nic.ifindex) : 0;
}

static const struct step {
	const char *name;
	int (*apply)(const struct instance *in, struct hooking *h);
	int (*undo)(const struct instance *in, struct hooking *h);
} steps[] = {
	{ "in", in_on, in_off },
	{ "XDP", xdp_on, xdp_off },
	{ "tc ingress", ingress_on, ingress_off },
	{ "confirm", confirm_on, confirm_off },
	{ "tc egress", egress_on, egress_off },
};
#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static const struct step *step_at(int i, bool from_the_end)
{
	return &steps[from_the_end ? STEPS - 1 - i : i];
}

/* With -v each step is shown with the time at which it begins; the tests read that. */
static void show_step(const char *what, const struct step *s, const struct hooking *h)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	verbose("%s: %s: %s [%lld.%09ld]", h->nic.name, s->name, what, (long long)now.tv_sec,
		now.tv_nsec);
}

static int report_step(const struct step *s, const struct hooking *h, int err)
{
	const char *todo = NULL;

	if (err == -EBUSY)
		todo = "another program holds the hook: see 'bpftool net'";
	else if (err == -EOPNOTSUPP)
		todo = "use --hook tc";
	else if (err == -EPERM)
		todo = "run as root";
	else if (err == -ERANGE)
		todo = "its MTU, or its peer's, is more than XDP takes: use --hook tc";
	else if (err == -ENOEXEC)
		todo = "use --xdp link";
	return fail(err == -ENOEXEC ? chain_why() : strerror(-err), todo, "%s: %s", h->nic.name,
		    s->name);
}

/*
 * Undo a step on every interface, then wait until all packets that met it have gone. Twice, if it
 * fails: memory may have been short.
 */
static int step_undo(struct hookings *hs, const struct step *s)
{
	int code = 0, err;

	for (size_t i = 0; i < hs->n; i++) {
		if (hs->iface[i].there)
			continue;
		show_step("off", s, &hs->iface[i]);
		err = s->undo(hs->in, &hs->iface[i]);
		if (err)
			err = s->undo(hs->in, &hs->iface[i]);
		if (err) {
			code = report_step(s, &hs->iface[i], err);
			hs->iface[i].half = true;
		}
	}
	err = grace_period();
	if (err)
		code = fail(strerror(-err), NULL, "waiting for packets");
	return code;
}

static int undo_all(struct hookings *hs, bool from_the_end)
{
	int code = 0;

	for (int i = 0; i < STEPS; i++)
		code |= step_undo(hs, step_at(i, from_the_end));
	for (size_t i = 0; i < hs->n; i++) {
		int err;

		if (hs->iface[i].there || hs->iface[i].half)
			continue;
		err = slot_free(hs->in, &hs->iface[i]);
		if (err) {
			code = fail(strerror(-err), NULL, "%s", hs->iface[i].nic.name);
			hs->iface[i].half = true;
		}
	}
	return code;
}

int hookings_attach(struct hookings *hs, enum attach_order order)
{
	bool from_the_end = order == ATTACH_SAFE;
	int err = 0;

	for (size_t i = 0; i < hs->n; i++) {
		if (hs->iface[i].there)
			continue;
		err = slot_make(hs->in, &hs->iface[i]);
		if (err) {
			fail(strerror(-err), NULL, "%s", hs->iface[i].nic.name);
			goto undo;
		}
	}
	for (int s = 0; s < STEPS; s++) {
		const struct step *step = step_at(s, from_the_end);

		for (size_t i = 0; i < hs->n; i++) {
			struct hooking *h = &hs->iface[i];

			if (h->there)
				continue;
			show_step("on", step, h);
			err = step->apply(hs->in, h);
			if (err) {
				report_step(step, h, err);
				goto undo;
			}
		}
	}
	return 0;
undo:
	/* Steps that were not reached find nothing to undo. */
	undo_all(hs, !from_the_end);
	return 1;
}

int hooking_keep(const struct instance *in, const struct hooking *h)
{
	int err = slot_flags(in, h, 0, CT_IF_COMING | CT_IF_LEAVING);

	return err ? fail(strerror(-err), NULL, "%s", h->nic.name) : 0;
}

int hookings_keep(struct hookings *hs)
{
	for (size_t i = 0; i < hs->n; i++)
		if (!hs->iface[i].there && hooking_keep(hs->in, &hs->iface[i]))
			return 1;
	return 0;
}

int hooking_remark(const struct instance *in, const struct hooking *h)
{
	int err = slot_update(in, h, SLOT_REMARK, 0, 0);

	return err ? fail(strerror(-err), NULL, "%s", h->nic.name) : 0;
}

int hookings_mark(struct hookings *hs, __u32 flag)
{
	for (size_t i = 0; i < hs->n; i++) {
		int err = hs->iface[i].there ? 0 : slot_flags(hs->in, &hs->iface[i], flag, 0);

		if (err && err != -ENOENT)
			return fail(strerror(-err), NULL, "%s", hs->iface[i].nic.name);
	}
	return 0;
}

int hookings_detach(struct hookings *hs, enum attach_order order)
{
	for (size_t i = 0; i < hs->n; i++)
		hs->iface[i].half = false;
	return undo_all(hs, order != ATTACH_SAFE);
}

/* --- Another set of programs ------------------------------------------------------------------- */

static int link_update(const struct instance *in, const struct instance *next,
		       const struct hooking *h, const char *hook, const char *prog)
{
	char path[PATH_MAX + 64], name[64];
	int link, fd, err = 0;

	link_path(path, sizeof(path), in, h, hook);
	link = bpf_obj_get(path);
	if (link < 0)
		return errno == ENOENT ? 0 : -errno;
	snprintf(name, sizeof(name), PIN_PROGS "/%s", prog);
	fd = instance_fd(next, name);
	if (fd < 0)
		err = fd;
	/* Where the interface has gone there is nothing to update. */
	else if (bpf_link_update(link, fd, NULL) && errno != ENOLINK)
		err = -errno;
	if (fd >= 0)
		close(fd);
	close(link);
	return err;
}

int hookings_update(const struct instance *in, const struct instance *next)
{
	/* The new set's slots: those of the old may be laid out in a way that we don't know. */
	int map = instance_fd(next, "ifaces"), err = map < 0 ? map : 0, more;
	struct hooking one, *h = &one;
	struct ct_iface slot;
	__u32 at = 0;

	while (!err && (more = slot_next(map, &at, &slot))) {
		if (more < 0) {
			err = more;
			break;
		}
		one = (struct hooking){ .nic.ifindex = (int)slot.ifindex };
		err = link_update(in, next, h, "xdp", "ct_xdp");
		if (!err)
			err = stages_update(in, next, h);
		if (!err)
			err = link_update(in, next, h, "tc-ingress", "ct_tc_ingress");
		if (!err)
			err = link_update(in, next, h, "tc-egress", "ct_tc_egress");
		if (!err)
			err = clsact_replace(in, next, h->nic.ifindex, true);
		if (!err)
			err = clsact_replace(in, next, h->nic.ifindex, false);
	}
	if (map >= 0)
		close(map);
	return err;
}

void hookings_release(const struct instance *in, const struct instance *next)
{
	int confirm = instance_fd(next, PIN_PROGS "/ct_xdp_confirm");
	int map = instance_fd(next, "ifaces");
	struct ct_iface slot;
	__u32 at = 0;

	while (map >= 0 && slot_next(map, &at, &slot) == 1) {
		struct hooking h = { .nic.ifindex = (int)slot.ifindex };
		int stages = stages_open(in, &h);

		for (__u32 stage = 0; stages >= 0 && stage < CT_STAGE_NEXT; stage++) {
			if (stage != CT_STAGE_CONFIRM || confirm < 0)
				bpf_map_delete_elem(stages, &stage);
			else
				bpf_map_update_elem(stages, &stage, &confirm, BPF_ANY);
		}
		if (stages >= 0)
			close(stages);
	}
	if (map >= 0)
		close(map);
	if (confirm >= 0)
		close(confirm);
}

/* --- Finding out ------------------------------------------------------------------------------ */

int hooking_find(struct hooking *h, const struct instance *in, int ifindex)
{
	char name[IFNAMSIZ + 16], pin[PATH_MAX + 64];
	struct ct_iface slot;
	int map = instance_fd(in, "ifaces"), at;

	if (map < 0)
		return map;
	at = slot_find(map, (__u32)ifindex, &slot, false);
	close(map);
	if (at < 0)
		return at;
	memset(h, 0, sizeof(*h));
	snprintf(h->nic.name, sizeof(h->nic.name), "%s", nic_name(ifindex, name));
	h->nic.ifindex = ifindex;
	h->nic.l3 = slot.flags & CT_IF_L3;
	h->hook = slot.hook;
	h->zone = slot.zone;
	h->mark = slot.mark;
	h->confirm_xdp = slot.flags & CT_IF_CONFIRM_XDP;
	h->coming = slot.flags & CT_IF_COMING;
	h->leaving = slot.flags & CT_IF_LEAVING;
	h->half = h->coming || h->leaving;
	link_path(pin, sizeof(pin), in, h, LIBXDP);
	h->xdp = access(pin, F_OK) ? ATTACH_XDP_LINK : ATTACH_XDP_LIBXDP;
	health_look(in, h, &slot);
	h->there = !*h->wrong.text;
	return 0;
}

int hookings_all(struct hooking *h, size_t max, const struct instance *in)
{
	int map = instance_fd(in, "ifaces"), n = 0, more;
	struct ct_iface slot;
	__u32 at = 0;

	if (map < 0)
		return map;
	while ((more = slot_next(map, &at, &slot)) > 0) {
		if ((size_t)n < max)
			more = hooking_find(&h[n], in, (int)slot.ifindex);
		if (more < 0)
			break;
		n++;
	}
	close(map);
	return more < 0 ? more : n;
}

int hookings_links(const struct instance *in, bool *alive)
{
	char path[PATH_MAX + 16];
	struct names names;
	int links = 0, err;

	snprintf(path, sizeof(path), "%s/" PIN_LINKS, in->dir);
	err = names_read(&names, path);
	*alive = err && err != -ENOENT;
	for (int i = 0; i < names.n; i++) {
		const char *name = names.entry[i]->d_name;
		char pin[PATH_MAX + NAME_MAX + 32];

		if (pin_is(name, LIBXDP) || pin_is(name, STAGES))
			continue;
		snprintf(pin, sizeof(pin), "%s/%s", path, name);
		*alive |= link_at(pin) != 0;
		links++;
	}
	names_free(&names);
	return links;
}

void hookings_forget(const struct instance *in)
{
	char path[PATH_MAX + 16];
	struct names names;

	snprintf(path, sizeof(path), "%s/" PIN_LINKS, in->dir);
	names_read(&names, path);
	for (int i = 0; i < names.n; i++) {
		const char *name = names.entry[i]->d_name;
		char pin[PATH_MAX + NAME_MAX + 32];

		if (!pin_is(name, LIBXDP))
			continue;
		snprintf(pin, sizeof(pin), "%s/%s", path, name);
		chain_detach(pin, atoi(name));
	}
	names_free(&names);
}

/* Who holds the XDP hook of an interface: its program id, and words for it. 0: nobody. */
static __u32 xdp_owner(int ifindex, char *words, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	if (bpf_xdp_query(ifindex, 0, &query) || query.attach_mode == XDP_ATTACHED_NONE)
		return 0;
	snprintf(words, size, "program %u", query.prog_id);
	priv_raise(CAP_SYS_ADMIN);
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	priv_lower(CAP_SYS_ADMIN);
	if (fd >= 0) {
		if (!bpf_obj_get_info_by_fd(fd, &info, &len))
			snprintf(words, size, "program %u '%s'", query.prog_id, info.name);
		close(fd);
	}
	return query.prog_id ?: 1;
}

static void choose(struct hooking *h, enum attach_hook hook, const char *owner)
{
	const struct nic *nic = &h->nic;

	h->automatic = hook == ATTACH_AUTO;
	switch (hook) {
	case ATTACH_NATIVE:
		h->hook = CT_HOOK_NATIVE;
		snprintf(h->why, sizeof(h->why), "as asked");
		return;
	case ATTACH_GENERIC:
		h->hook = CT_HOOK_GENERIC;
		snprintf(h->why, sizeof(h->why), "as asked");
		return;
	case ATTACH_TC:
		h->hook = CT_HOOK_TC;
		snprintf(h->why, sizeof(h->why), "as asked");
		return;
	case ATTACH_AUTO:
		break;
	}
	h->hook = CT_HOOK_TC;
	if (nic->l3)
		snprintf(h->why, sizeof(h->why), "frames without an Ethernet header");
	else if (!strcmp(nic->driver, "veth"))
		snprintf(h->why, sizeof(h->why), "native XDP on veth takes GSO away from the peer");
	else if (!nic->hardware)
		snprintf(h->why, sizeof(h->why), "a virtual device, nothing to gain from XDP");
	else if (*owner)
		snprintf(h->why, sizeof(h->why), "XDP is held by %s", owner);
	else {
		h->hook = CT_HOOK_NATIVE;
		snprintf(h->why, sizeof(h->why), "driver %s has native XDP", nic->driver);
	}
}

/* What there is for an interface that has become number `ifindex`. */
static bool find_renumbered(struct hooking *h, const struct instance *in, int ifindex)
{
	struct hooking *all = calloc(CT_IFACES, sizeof(*all));
	int n = all ? hookings_all(all, CT_IFACES, in) : 0;
	bool found = false;

	for (int i = 0; i < n && !found; i++) {
		found = all[i].now == ifindex;
		if (found)
			*h = all[i];
	}
	free(all);
	return found;
}

/* To be repaired: as it was, unless somebody asks for something else. Whether XDP confirms. */
static bool choose_as_it_was(struct hooking *h, enum attach_hook hook, const struct hooking *old,
			     const char *owner)
{
	h->repaired = true;
	h->zone = old->zone;
	h->mark = old->mark;
	h->prio = old->xdp == ATTACH_XDP_LIBXDP && old->prio ? old->prio : CHAIN_PRIO;
	h->tc = old->tc == ATTACH_TC_CLSACT ? ATTACH_TC_CLSACT : ATTACH_TC_AUTO;
	if (hook != ATTACH_AUTO)
		return false;
	if (old->hook != CT_HOOK_TC && *owner && !old->confirm_xdp) {
		h->hook = CT_HOOK_TC;
		snprintf(h->why, sizeof(h->why), "repaired; XDP is held by %s", owner);
		return false;
	}
	h->hook = old->hook;
	snprintf(h->why, sizeof(h->why), "repaired, as it was");
	return old->confirm_xdp;
}

/* libxdp, or a link, and why that; reports if what was asked for can't be. 0 or 1. */
static int choose_xdp(struct hooking *h, enum attach_xdp xdp)
{
	h->xdp = xdp;
	h->xdp_automatic = xdp == ATTACH_XDP_AUTO;
	if (xdp == ATTACH_XDP_LINK)
		return 0;
	if (!chain_probe()) {
		h->xdp = ATTACH_XDP_LIBXDP;
		return 0;
	}
	if (xdp == ATTACH_XDP_LIBXDP)
		return fail(chain_why(), "use --xdp link", "%s: --xdp libxdp", h->nic.name);
	h->xdp = ATTACH_XDP_LINK;
	explain_link(h);
	return 0;
}

int hooking_plan(struct hooking *h, const struct instance *in, const char *name,
		 enum attach_hook hook, enum attach_xdp xdp, bool confirm_xdp)
{
	char owner[64] = "";
	struct hooking old;
	bool ours = false;
	struct nic nic;
	int err = nic_probe(name, &nic);
	__u32 holder;

	if (err == -ENODEV)
		return fail("no such interface", "see 'ip link'", "%s", name);
	if (err)
		return fail(strerror(-err), NULL, "%s", name);
	if (in) {
		err = hooking_find(&old, in, nic.ifindex);
		if (err && err != -ENOENT)
			return fail(strerror(-err), NULL, "%s", name);
		ours = !err || find_renumbered(&old, in, nic.ifindex);
	}
	if (ours && old.there) {
		*h = old;
		h->nic = nic;
		snprintf(h->why, sizeof(h->why), "attached already");
		return 0;
	}
	/* One of ours that is not whole is cleared away before it is attached again. */
	memset(h, 0, sizeof(*h));
	h->nic = nic;
	if (!nic.up && !ours) {
		char todo[64];

		snprintf(todo, sizeof(todo), "ip link set %s up", name);
		return fail("interface is down", todo, "%s", name);
	}
	holder = xdp_owner(nic.ifindex, owner, sizeof(owner));
	if (holder && ours && (holder == program_pinned(in, "ct_xdp") || old.chained))
		*owner = '\0'; /* it goes before we attach again */
	/* As it was; the caller may have said more about the chain. */
	if (ours && xdp == ATTACH_XDP_AUTO && old.hook != CT_HOOK_TC && old.xdp == ATTACH_XDP_LINK)
		xdp = ATTACH_XDP_LINK;
	/* A chain that can be joined is nobody's; and of no use to a link. */
	if (hook != ATTACH_TC && holder && xdp != ATTACH_XDP_LINK && !chain_probe() &&
	    chain_joinable(nic.ifindex, hook != ATTACH_GENERIC))
		owner[0] = 0;
	choose(h, hook, owner);
	if (ours)
		confirm_xdp |= choose_as_it_was(h, hook, &old, owner);
	h->confirm_xdp = confirm_xdp && h->hook != CT_HOOK_TC;
	if (confirm_xdp && h->hook == CT_HOOK_TC)
		return fail("it would be hooked at tc", "use --hook native or generic with "
							"--confirm xdp",
			    "%s", name);
	if (h->hook == CT_HOOK_TC)
		return 0;
	if (nic.l3)
		return fail("its frames have no Ethernet header", "use --hook tc", "%s", name);
	if (*owner) {
		char why[128];

		snprintf(why, sizeof(why), "XDP is held by %s, which is not ours", owner);
		return fail(why, "use --hook tc, or detach it", "%s", name);
	}
	return choose_xdp(h, xdp);
}
