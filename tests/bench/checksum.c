// SRC: tests/unit/packet.c tests/prog/harness.c
/*
 * What verifying checksums costs: ns a packet, of an established flow, with `checksum` off and on,
 * by BPF_PROG_TEST_RUN. A table, no test: `make bench-checksum`. Times are the least of several
 * runs, on and off by turns; the ratio says more than they do.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#include "ct.skel.h"

#define REPEAT 100000
#define RUNS 15

/* One run: ns a packet. */
static unsigned int run(enum hook hook, const struct pkt *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->data, .data_size_in = (__u32)p->len,
		    .repeat = REPEAT);
	const struct bpf_program *prog = hook == XDP ? skel->progs.ct_xdp : skel->progs.ct_tc_ingress;

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &o)) {
		printf("test_run: %s\n", strerror(errno));
		exit(1);
	}
	return o.duration;
}

/* A packet of `frame` bytes in the middle of a flow. */
static void measure(enum hook hook, const char *name, uint8_t proto, bool v6, size_t frame)
{
	struct pkt_desc d = { .proto = proto, .tcp_flags = SYN, .seq = 100 };
	unsigned int least[2] = { ~0U, ~0U };
	static struct pkt p;

	world_begin(hook);
	talk_begin(hook, v6);
	talk_send(CT_ORIGINAL, &d);
	d.tcp_flags = SYN | ACK;
	d.ack = 101;
	talk_send(CT_REPLY, &d);
	d.tcp_flags = ACK;
	d.seq = d.ack = 101;
	d = talk_desc(CT_ORIGINAL, &d);
	build_for(hook, &p, &d);
	d.payload = frame > p.len ? frame - p.len : 0;
	build_for(hook, &p, &d);
	for (int i = 0; i < 2 * RUNS; i++) {
		unsigned int ns;

		set_knob(CT_K_CHECKSUM, i & 1);
		ns = run(hook, &p);
		if (ns < least[i & 1])
			least[i & 1] = ns;
	}
	printf("%-8s %-5s IPv%d %5zu bytes  off %5u ns  on %5u ns  %+6d ns  x %.2f\n",
	       harness_hooks[hook], name, v6 ? 6 : 4, p.len, least[0], least[1],
	       (int)(least[1] - least[0]), (double)least[1] / least[0]);
}

int main(void)
{
	for (enum hook hook = XDP; hook <= INGRESS; hook++) {
		measure(hook, "TCP", IPPROTO_TCP, false, 64);
		measure(hook, "TCP", IPPROTO_TCP, false, 1500);
		measure(hook, "TCP", IPPROTO_TCP, true, 1500);
		measure(hook, "UDP", IPPROTO_UDP, false, 64);
		measure(hook, "SCTP", IPPROTO_SCTP, false, 1500);
	}
	return 0;
}
