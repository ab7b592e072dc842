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
	bool made;
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	made = !err;
	opts.prog_fd = program(in, ingress);
	if (opts.prog_fd < 0)
		err = opts.prog_fd;
	else
		err = bpf_tc_attach(&hook, &opts);
	if (opts.prog_fd >= 0)
		close(opts.prog_fd);
	if (err && made)
		clsact_remove(ifindex);
	return err ? err : made;
}

int clsact_detach(const struct instance *in, int ifindex, bool ingress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	int fd, err;
	__u32 id;

	if (bpf_tc_query(&hook, &opts))
		return 0; /* no qdisc, no filter, or no interface */
	fd = program(in, ingress);
	if (fd < 0)
		return fd;
	id = program_id(fd);
	close(fd);
	if (opts.prog_id != id)
		return 0;
	opts.prog_fd = 0;
	opts.prog_id = 0;
	opts.flags = 0;
	err = bpf_tc_detach(&hook, &opts);
	return err == -ENOENT ? 0 : err;
}

/* Are there filters at this side of the qdisc? Yes when in doubt. */
static bool any_filter(int ifindex, __u32 parent)
{
	struct {
		struct nlmsghdr n;
		struct tcmsg t;
	} req = {
		.n = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETTFILTER,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.t = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool any = true, done = false;
	char buf[16384];

	if (fd < 0)
		return true;
	if (send(fd, &req, sizeof(req), 0) == (ssize_t)sizeof(req)) {
		any = false;
		while (!done && !any) {
			ssize_t len = recv(fd, buf, sizeof(buf), 0);
			struct nlmsghdr *n = (struct nlmsghdr *)buf;

			if (len <= 0)
				any = true;
			for (; !any && !done && NLMSG_OK(n, (size_t)len); n = NLMSG_NEXT(n, len)) {
				if (n->nlmsg_type == NLMSG_DONE)
					done = true;
				else
					any = true; /* a filter, or an error */
			}
		}
	}
	close(fd);
	return any;
}

int clsact_remove(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int err;

	if (any_filter(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
	    any_filter(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
		return 0;
	err = bpf_tc_hook_destroy(&hook);
	return err == -ENOENT || err == -EINVAL || err == -ENODEV ? 0 : err;
}
