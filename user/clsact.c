// SPDX-License-Identifier: GPL-2.0-only
#include "clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "instance.h"
#include "object.h"

/* Ours by its handle; whether it really is, the program's id tells. */
#define HANDLE 0xc7
#define PRIORITY 1

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

int clsact_attach(const struct instance *in, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	opts.prog_fd = program(in, ingress);
	if (opts.prog_fd < 0)
		return opts.prog_fd;
	err = bpf_tc_attach(&hook, &opts);
	close(opts.prog_fd);
	return err;
}

/* 1: our program is attached; 0: not, or there is nothing to ask; -errno. */
static int query(const struct instance *in, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	int err, fd;
	__u32 id;

	err = bpf_tc_query(&hook, &opts);
	if (err == -ENOENT || err == -EINVAL || err == -ENODEV)
		return 0; /* no filter, no qdisc, no interface */
	if (err)
		return err;
	fd = program(in, ingress);
	if (fd == -EACCES)
		return 1; /* a reader without rights on the program: by its handle it is ours */
	if (fd < 0)
		return fd;
	id = program_id(fd);
	close(fd);
	return opts.prog_id == id;
}

bool clsact_attached(const struct instance *in, int ifindex, bool ingress)
{
	return query(in, ifindex, ingress) == 1;
}

int clsact_detach(const struct instance *in, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	int err = query(in, ifindex, ingress);

	if (err != 1)
		return err;
	err = bpf_tc_detach(&hook, &opts);
	return err == -ENOENT ? 0 : err;
}

int clsact_replace(const struct instance *in, const struct instance *next, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int err = query(in, ifindex, ingress);

	if (err != 1)
		return err;
	opts.prog_fd = program(next, ingress);
	if (opts.prog_fd < 0)
		return opts.prog_fd;
	err = bpf_tc_attach(&hook, &opts);
	close(opts.prog_fd);
	return err;
}

/*
 * Does a netlink dump of `type` for the interface and parent have an element (whose kind is `kind`,
 * if not NULL)? Yes when in doubt.
 */
static bool dump_has(int type, int ifindex, __u32 parent, const char *kind)
{
	struct {
		struct nlmsghdr n;
		struct tcmsg t;
	} req = {
		.n = { .nlmsg_len = sizeof(req), .nlmsg_type = (__u16)type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.t = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool has = false, done = false;
	char buf[32768];

	if (fd < 0)
		return true;
	if (send(fd, &req, sizeof(req), 0) != (ssize_t)sizeof(req))
		has = true;
	while (!done && !has) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *n = (struct nlmsghdr *)buf;

		if (len <= 0)
			has = true;
		for (; !done && NLMSG_OK(n, (size_t)len); n = NLMSG_NEXT(n, len)) {
			struct tcmsg *t = NLMSG_DATA(n);
			struct rtattr *a = TCA_RTA(t);
			ssize_t rest = (ssize_t)NLMSG_PAYLOAD(n, sizeof(*t));

			if (n->nlmsg_type == NLMSG_DONE || n->nlmsg_type == NLMSG_ERROR) {
				done = true;
				has |= n->nlmsg_type == NLMSG_ERROR;
				break;
			}
			if (t->tcm_ifindex != ifindex)
				continue; /* qdisc dumps are of all interfaces */
			if (!kind) {
				has = true;
				continue;
			}
			for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest))
				if (a->rta_type == TCA_KIND && !strcmp(RTA_DATA(a), kind))
					has = true;
		}
	}
	close(fd);
	return has;
}

bool clsact_there(int ifindex)
{
	return dump_has(RTM_GETQDISC, ifindex, 0, "clsact") ||
	       dump_has(RTM_GETQDISC, ifindex, 0, "ingress");
}

int clsact_remove(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int err;

	if (dump_has(RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), NULL) ||
	    dump_has(RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), NULL))
		return 0;
	err = bpf_tc_hook_destroy(&hook);
	return err == -ENOENT || err == -EINVAL || err == -ENODEV ? 0 : err;
}
