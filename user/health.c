// SPDX-License-Identifier: GPL-2.0-only
#include "health.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach.h"
#include "clsact.h"
#include "object.h"
#include "priv.h"
#include "xdpchain.h"

/* <linux/bpf.h> of 6.6; the headers of Debian 12 are older. */
#define CT_TCX_INGRESS 46
#define CT_TCX_EGRESS  47

#define NEIGHBOURS 64

void words_add(struct words *w, const char *format, ...)
{
	size_t at = strlen(w->text);
	va_list args;

	if (at + 2 >= sizeof(w->text))
		return;
	va_start(args, format);
	vsnprintf(w->text + at, sizeof(w->text) - at - 1, format, args);
	va_end(args);
	strcat(w->text, "\n");
}

const char *words_next(const struct words *w, const char **at, size_t *length)
{
	const char *begin = *at ? *at : w->text;

	*length = strcspn(begin, "\n");
	*at = begin + *length + (begin[*length] == '\n');
	return *length ? begin : NULL;
}

void program_words(__u32 id, char *words, size_t size)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	priv_raise(CAP_SYS_ADMIN);
	fd = bpf_prog_get_fd_by_id(id);
	priv_lower(CAP_SYS_ADMIN);
	snprintf(words, size, "program %u", id);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		snprintf(words, size, "program %u '%s'", id, info.name);
	close(fd);
}

int tcx_programs(int ifindex, bool ingress, struct tcx_program *program, int max)
{
	__u32 progs[NEIGHBOURS] = {}, links[NEIGHBOURS] = {};
	/* The attributes of BPF_PROG_QUERY since 6.6. */
	struct {
		__u32 ifindex;
		__u32 type;
		__u32 query_flags;
		__u32 attach_flags;
		__u64 prog_ids;
		__u32 count;
		__u32 pad;
		__u64 prog_attach_flags;
		__u64 link_ids;
		__u64 link_attach_flags;
		__u64 revision;
	} attr = {
		.ifindex = (__u32)ifindex,
		.type = ingress ? CT_TCX_INGRESS : CT_TCX_EGRESS,
		.prog_ids = (__u64)(unsigned long)progs,
		.count = NEIGHBOURS,
		.link_ids = (__u64)(unsigned long)links,
	};
	int n;

	if (syscall(__NR_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)))
		return errno == ENOENT ? 0 : -errno;
	n = attr.count > NEIGHBOURS ? NEIGHBOURS : (int)attr.count;
	for (int i = 0; i < n && i < max; i++)
		program[i] = (struct tcx_program){ progs[i], links[i] };
	return n < max ? n : max;
}

/* A pinned link of ours. */
struct link_state {
	bool pinned;
	__u32 id;
	__u32 prog_id;
	__u32 ifindex; /* 0: it holds nothing any more */
};

static struct link_state link_look(const struct instance *in, const struct hooking *h,
				   const char *hook)
{
	struct link_state state = {};
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char name[64];
	int fd;

	snprintf(name, sizeof(name), PIN_LINKS "/%d-%s", h->nic.ifindex, hook);
	fd = instance_fd(in, name);
	if (fd < 0)
		return state;
	state.pinned = true;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		state.id = info.id;
		state.prog_id = info.prog_id;
		state.ifindex = info.xdp.ifindex; /* tcx has its own in the same place */
	}
	close(fd);
	return state;
}

__u32 program_pinned(const struct instance *in, const char *name)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), PIN_PROGS "/%s", name);
	fd = instance_fd(in, path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.id = 0;
	close(fd);
	return info.id;
}

/* What all of an interface's hooks tell. */
struct look {
	const struct instance *in;
	struct hooking *h;
	struct link_state xdp, side[2]; /* egress, ingress */
	bool filter[2];			/* ours is among the clsact filters */
	int here;			/* hooks that are in their place */
};

static const char *const side_names[] = { "tc egress", "tc ingress" };
static const char *const side_links[] = { "tc-egress", "tc-ingress" };
static const char *const side_programs[] = { "ct_tc_egress", "ct_tc_ingress" };

/* Through libxdp's dispatcher, which holds the hook in our stead. */
static void look_at_chain(struct look *l)
{
	struct hooking *h = l->h;
	char pin[PATH_MAX + 64];

	snprintf(pin, sizeof(pin), "%s/" PIN_LINKS "/%d-libxdp", l->in->dir, h->nic.ifindex);
	h->chained = chain_attached(pin, h->nic.ifindex, &h->prio);
	if (h->chained)
		l->here++;
	else
		words_add(&h->wrong, "XDP: our program is not in libxdp's chain");
}

static void look_at_xdp(struct look *l)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct hooking *h = l->h;
	char other[64] = "nothing";
	__u32 holder = 0;

	if (h->hook != CT_HOOK_TC && h->xdp == ATTACH_XDP_LIBXDP) {
		look_at_chain(l);
		return;
	}
	if (!bpf_xdp_query(h->nic.ifindex, 0, &query))
		holder = query.prog_id ?: query.drv_prog_id ?: query.skb_prog_id;
	if (holder)
		program_words(holder, other, sizeof(other));
	if (h->hook == CT_HOOK_TC) {
		if (holder)
			words_add(&h->notes, "XDP: %s comes before us", other);
		return;
	}
	if (l->xdp.pinned && l->xdp.prog_id == holder &&
	    l->xdp.prog_id == program_pinned(l->in, "ct_xdp")) {
		l->here++;
		return;
	}
	words_add(&h->wrong, "XDP: %s%s%s",
		  !l->xdp.pinned	     ? "the pin of our link has gone"
		  : !l->xdp.ifindex	     ? "our link has been detached"
		  : l->xdp.prog_id == holder ? "our link runs another program"
					     : "our link holds another interface",
		  holder && l->xdp.prog_id != holder ? ", and the hook is held by " : "",
		  holder && l->xdp.prog_id != holder ? other : "");
}

static void look_at_tcx(struct look *l, bool ingress)
{
	struct tcx_program at[NEIGHBOURS];
	int n = tcx_programs(l->h->nic.ifindex, ingress, at, NEIGHBOURS), ours = -1;
	const struct link_state *link = &l->side[ingress];
	const char *name = side_names[ingress];
	char other[64];

	/* Without CAP_NET_ADMIN the link's word is taken for it. */
	if (n == -EPERM && link->pinned && link->ifindex == (__u32)l->h->nic.ifindex) {
		l->here++;
		return;
	}
	for (int i = 0; i < n && ours < 0; i++)
		if (link->pinned && at[i].link_id == link->id)
			ours = i;
	if (ours < 0) {
		words_add(&l->h->wrong, "%s: %s", name,
			  !link->pinned	   ? "the pin of our link has gone"
			  : !link->ifindex ? "our link has been detached"
					   : "our link holds another interface");
		return;
	}
	l->here++;
	if (link->prog_id != program_pinned(l->in, side_programs[ingress]))
		words_add(&l->h->wrong, "%s: our link runs another program", name);
	for (int i = 0; i < ours; i++) {
		program_words(at[i].prog_id, other, sizeof(other));
		words_add(&l->h->notes, "%s: %s comes before us", name, other);
	}
}

static void look_at_filters(struct look *l, bool ingress)
{
	struct clsact_filter at[NEIGHBOURS];
	int n = clsact_filters(l->h->nic.ifindex, ingress, at, NEIGHBOURS), ours = -1;
	__u32 id = program_pinned(l->in, side_programs[ingress]);
	const char *name = side_names[ingress];
	struct tcx_program before[NEIGHBOURS];
	char other[128] = "";

	for (int i = 0; i < n && ours < 0; i++)
		if (id && at[i].prog_id == id)
			ours = i;
	if (ours < 0) {
		for (int i = 0; i < n; i++)
			snprintf(other, sizeof(other), "%s'%s'",
				 *other ? "others are there: " : "another is there: ", at[i].name);
		words_add(&l->h->wrong, "%s: our filter has gone%s%s", name, *other ? "; " : "",
			  other);
		return;
	}
	l->filter[ingress] = true;
	l->here++;
	for (int i = 0; i < ours; i++)
		if (!i || strcmp(at[i].name, at[i - 1].name)) /* u32 shows its tables, too */
			words_add(&l->h->notes, "%s: filter '%s' comes before us", name, at[i].name);
	n = tcx_programs(l->h->nic.ifindex, ingress, before, NEIGHBOURS);
	for (int i = 0; i < n; i++) {
		program_words(before[i].prog_id, other, sizeof(other));
		words_add(&l->h->notes, "%s: %s comes before us", name, other);
	}
}

/* The method is not written down anywhere: links have pins, and a qdisc that we made has a mark. */
static void look_at_tc(struct look *l, __u32 flags)
{
	struct hooking *h = l->h;
	bool links = l->side[0].pinned || l->side[1].pinned;

	h->tc = links ? ATTACH_TC_TCX : ATTACH_TC_CLSACT;
	if (links || flags & CT_IF_CLSACT || clsact_attached(l->in, h->nic.ifindex, true) == 1 ||
	    clsact_attached(l->in, h->nic.ifindex, false) == 1) {
		for (int side = 1; side >= 0; side--)
			if (links)
				look_at_tcx(l, side);
			else
				look_at_filters(l, side);
	} else {
		h->tc = ATTACH_TC_AUTO;
		words_add(&h->wrong, "tc: our links or filters have gone");
	}
	if (!(flags & CT_IF_CLSACT) || !(flags & CT_IF_CONFIRMS) || l->filter[0] || l->filter[1])
		return;
	h->qdisc_lost = true;
	if (!clsact_there(h->nic.ifindex))
		words_add(&h->wrong, "tc: our clsact qdisc was deleted");
}

/*
 * Nothing of this number is in this network namespace. Links go with their interface, into another
 * one and back; and on the way it gets another number if somebody has this one.
 */
static void look_for_gone(struct look *l)
{
	struct hooking *h = l->h;
	__u32 at = l->xdp.ifindex ?: l->side[0].ifindex ?: l->side[1].ifindex;
	struct tcx_program tcx[NEIGHBOURS];
	char name[IFNAMSIZ];

	h->gone = true;
	if (l->side[0].pinned || l->side[1].pinned)
		h->tc = ATTACH_TC_TCX;
	for (int side = 0; side < 2 && at; side++) {
		int n = tcx_programs((int)at, side, tcx, NEIGHBOURS);

		for (int i = 0; i < n; i++)
			if (l->side[side].pinned && tcx[i].link_id == l->side[side].id)
				h->now = (int)at;
	}
	if (h->now && if_indextoname(at, name))
		words_add(&h->wrong, "it has been away, and has come back as number %u: %s", at,
			  name);
	else
		words_add(&h->wrong, "%s",
			  at ? "it has been moved to another network namespace"
			     : "the interface has gone");
}

/*
 * Who can open a link can detach it, and a program, run it: so the group that may read can neither.
 * It sees what was put where, and whether the interface is there.
 */
static bool look_from_outside(struct look *l, bool whole)
{
	struct hooking *h = l->h;
	char link[64], name[IFNAMSIZ];
	int fd = instance_fd(l->in, PIN_PROGS "/ct_tc_ingress");

	if (fd >= 0)
		close(fd);
	if (fd != -EACCES)
		return false;
	snprintf(link, sizeof(link), PIN_LINKS "/%d-tc-ingress", h->nic.ifindex);
	h->tc = instance_has(l->in, link) ? ATTACH_TC_CLSACT : ATTACH_TC_TCX;
	h->gone = !if_indextoname((unsigned int)h->nic.ifindex, name);
	if (h->gone)
		words_add(&h->wrong, "the interface has gone");
	else if (!whole)
		words_add(&h->wrong, "it is half attached");
	return true;
}

void health_look(const struct instance *in, struct hooking *h, const struct ct_iface *slot)
{
	struct look l = { .in = in, .h = h };
	bool whole = slot->flags & CT_IF_ACTIVE && slot->flags & CT_IF_CONFIRMS && !h->half;
	struct nic nic;

	if (look_from_outside(&l, whole))
		return;
	if (h->hook != CT_HOOK_TC)
		l.xdp = link_look(in, h, "xdp");
	for (int side = 0; side < 2; side++)
		l.side[side] = link_look(in, h, side_links[side]);
	if (!if_indextoname((unsigned int)h->nic.ifindex, nic.name)) {
		look_for_gone(&l);
		return;
	}
	look_at_xdp(&l);
	look_at_tc(&l, slot->flags);
	if (!whole)
		words_add(&h->wrong, "an attach or detach was not finished");
	else if (!l.here)
		words_add(&h->wrong,
			  "nothing of ours is on it: another interface may have got "
			  "the number %d",
			  h->nic.ifindex);
	if (!nic_probe(h->nic.name, &nic) && !nic.up)
		words_add(&h->notes, "the interface is down");
}
