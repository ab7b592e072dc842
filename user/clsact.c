// SPDX-License-Identifier: GPL-2.0-only
#include "clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "instance.h"
#include "object.h"

/*
 * Where our filter goes: in front of the others, by a handle that nobody takes by chance. Who has
 * taken it all the same keeps it, and we go next to it. Which one is ours, the program's id tells.
 */
#define HANDLE 0xc7
#define PRIORITY 1
#define HANDLES 8
#define PRIORITIES 4

#define FILTERS_MOST 64

static int program(const struct instance *in, bool ingress)
{
	return instance_fd(in, ingress ? PIN_PROGS "/ct_tc_ingress" : PIN_PROGS "/ct_tc_egress");
}

static __u32 program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static __u32 parent_of(bool ingress)
{
	return TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

typedef bool dump_fn(const struct tcmsg *t, struct rtattr *attrs, ssize_t size, void *arg);

/*
 * Show `each` the elements of a netlink dump of `type` for the interface and parent, until it
 * returns false. 0 or -errno.
 */
static int dump(int type, int ifindex, __u32 parent, dump_fn *each, void *arg)
{
	struct {
		struct nlmsghdr n;
		struct tcmsg t;
	} req = {
		.n = { .nlmsg_len = sizeof(req), .nlmsg_type = (__u16)type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.t = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	static char buf[32768];
	bool done = false;

	if (fd < 0)
		return -errno;
	if (send(fd, &req, sizeof(req), 0) != (ssize_t)sizeof(req))
		err = errno ? -errno : -EIO;
	while (!done && !err) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *n = (struct nlmsghdr *)buf;

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			err = len ? -errno : -EIO;
		for (; !done && !err && NLMSG_OK(n, (size_t)len); n = NLMSG_NEXT(n, len)) {
			struct tcmsg *t = NLMSG_DATA(n);

			if (n->nlmsg_type == NLMSG_ERROR)
				err = ((struct nlmsgerr *)NLMSG_DATA(n))->error ?: -EIO;
			else if (n->nlmsg_type == NLMSG_DONE)
				done = true;
			else if (t->tcm_ifindex == ifindex) /* qdisc dumps are of all interfaces */
				done = !each(t, TCA_RTA(t), (ssize_t)NLMSG_PAYLOAD(n, sizeof(*t)),
					     arg);
		}
	}
	close(fd);
	return err;
}

static struct rtattr *attribute(struct rtattr *a, ssize_t size, int type)
{
	for (; RTA_OK(a, size); a = RTA_NEXT(a, size))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

struct filters {
	struct clsact_filter *filter;
	int n, max;
};

static bool take_filter(const struct tcmsg *t, struct rtattr *attrs, ssize_t size, void *arg)
{
	struct rtattr *kind = attribute(attrs, size, TCA_KIND), *o, *a;
	struct filters *all = arg;
	struct clsact_filter *f = &all->filter[all->n];

	/* One without a handle stands for all those of its priority. */
	if (!t->tcm_handle || !kind)
		return true;
	if (all->n >= all->max)
		return false;
	*f = (struct clsact_filter){ .handle = t->tcm_handle, .priority = t->tcm_info >> 16 };
	snprintf(f->name, sizeof(f->name), "%s", (const char *)RTA_DATA(kind));
	o = attribute(attrs, size, TCA_OPTIONS);
	if (o && !strcmp(f->name, "bpf")) {
		a = attribute(RTA_DATA(o), (ssize_t)RTA_PAYLOAD(o), TCA_BPF_ID);
		if (a)
			memcpy(&f->prog_id, RTA_DATA(a), sizeof(f->prog_id));
		a = attribute(RTA_DATA(o), (ssize_t)RTA_PAYLOAD(o), TCA_BPF_NAME);
		if (a)
			snprintf(f->name, sizeof(f->name), "%s", (const char *)RTA_DATA(a));
	}
	all->n++;
	return true;
}

int clsact_filters(int ifindex, bool ingress, struct clsact_filter *filter, int max)
{
	struct filters all = { filter, 0, max };
	int err = dump(RTM_GETTFILTER, ifindex, parent_of(ingress), take_filter, &all);

	/* No qdisc, no interface. */
	return err && err != -ENOENT && err != -EINVAL && err != -ENODEV ? err : all.n;
}

/* Our filter: 1 and where it is; 0: not there, or nothing to ask; -errno. */
static int find_ours(const struct instance *in, int ifindex, bool ingress,
		     struct clsact_filter *ours)
{
	struct clsact_filter filter[FILTERS_MOST];
	int n = clsact_filters(ifindex, ingress, filter, FILTERS_MOST), fd;
	__u32 id;

	if (n <= 0)
		return n;
	fd = program(in, ingress);
	if (fd < 0)
		return fd;
	id = program_id(fd);
	close(fd);
	for (int i = 0; i < n; i++)
		if (id && filter[i].prog_id == id) {
			*ours = filter[i];
			return 1;
		}
	return 0;
}

int clsact_attach(const struct instance *in, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	int err = bpf_tc_hook_create(&hook), fd;

	if (err && err != -EEXIST)
		return err;
	fd = program(in, ingress);
	if (fd < 0)
		return fd;
	/* EEXIST: the handle is somebody's. EINVAL, ENOSPC: the priority, for another kind of filter. */
	for (int i = 0; i < HANDLES * PRIORITIES; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = HANDLE + i % HANDLES,
			    .priority = PRIORITY + i / HANDLES);

		err = bpf_tc_attach(&hook, &opts);
		if (err != -EEXIST && err != -EINVAL && err != -ENOSPC)
			break;
	}
	close(fd);
	return err;
}

int clsact_attached(const struct instance *in, int ifindex, bool ingress)
{
	struct clsact_filter ours;

	return find_ours(in, ifindex, ingress, &ours);
}

int clsact_detach(const struct instance *in, int ifindex, bool ingress)
{
	struct clsact_filter ours;
	int err = find_ours(in, ifindex, ingress, &ours);

	return err == 1 ? clsact_filter_remove(ifindex, ingress, &ours) : err;
}

int clsact_replace(const struct instance *in, const struct instance *next, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .flags = BPF_TC_F_REPLACE);
	struct clsact_filter ours;
	int err = find_ours(in, ifindex, ingress, &ours);

	if (err != 1)
		return err;
	opts.handle = ours.handle;
	opts.priority = ours.priority;
	opts.prog_fd = program(next, ingress);
	if (opts.prog_fd < 0)
		return opts.prog_fd;
	err = bpf_tc_attach(&hook, &opts);
	close(opts.prog_fd);
	return err;
}

int clsact_filter_remove(int ifindex, bool ingress, const struct clsact_filter *f)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority);
	int err = bpf_tc_detach(&hook, &opts);

	return err == -ENOENT ? 0 : err;
}

static bool is_ingress_qdisc(const struct tcmsg *t, struct rtattr *attrs, ssize_t size, void *arg)
{
	struct rtattr *kind = attribute(attrs, size, TCA_KIND);
	bool *there = arg;

	(void)t;
	*there |= kind && (!strcmp(RTA_DATA(kind), "clsact") || !strcmp(RTA_DATA(kind), "ingress"));
	return !*there;
}

int clsact_there(int ifindex)
{
	bool there = false;
	int err = dump(RTM_GETQDISC, ifindex, 0, is_ingress_qdisc, &there);

	return err ? err : there;
}

static bool note_filter(const struct tcmsg *t, struct rtattr *attrs, ssize_t size, void *arg)
{
	(void)t;
	(void)attrs;
	(void)size;
	*(bool *)arg = true;
	return false;
}

int clsact_remove(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	bool used = false;
	int err;

	for (int i = 0; i < 2 && !used; i++) {
		err = dump(RTM_GETTFILTER, ifindex, parent_of(i == 0), note_filter, &used);
		/* No qdisc, no interface. */
		if (err)
			return err == -ENOENT || err == -EINVAL || err == -ENODEV ? 0 : err;
	}
	if (used)
		return 0;
	err = bpf_tc_hook_destroy(&hook);
	return err == -ENOENT || err == -EINVAL || err == -ENODEV ? 0 : err;
}
