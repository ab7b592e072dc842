// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else's TCX program, which neither tc nor bpftool of Debian 12 can attach.
 *
 *	tcx IFACE ingress|egress before|after PINNED_PROGRAM LINK_PIN
 *
 * Puts it in front of all others or behind them, by a link that is pinned.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* <linux/bpf.h> of 6.6 */
#define TCX_INGRESS 46
#define TCX_EGRESS  47
#define F_BEFORE    (1U << 3)
#define F_AFTER	    (1U << 4)

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int prog, link;

	if (argc != 6) {
		fprintf(stderr, "see the top of tcx.c\n");
		return 2;
	}
	opts.flags = strcmp(argv[3], "before") ? F_AFTER : F_BEFORE;
	prog = bpf_obj_get(argv[4]);
	link = bpf_link_create(prog, (int)if_nametoindex(argv[1]),
			       strcmp(argv[2], "ingress") ? TCX_EGRESS : TCX_INGRESS, &opts);
	if (prog < 0 || link < 0 || bpf_obj_pin(link, argv[5])) {
		fprintf(stderr, "tcx: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
