/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flow, and packets that its tracker sees: what the tests of bpf/proto*.h are written with. The
 * clock, the settings and the packets are the test's; what the core does around a tracker is done
 * here as ct_meet() does it.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdio.h>

#include "check.h"
#include "names.h"
#include "packet.h" /* flags by their names */
#include "proto.h"

#define HZ 250

static struct ct_settings settings;
static struct ct_entry flow;
static struct ct_step step;
static __u64 now;

/*
 * No flow yet; settings with a value of its own for each timeout, so that one taken for another
 * shows; 300 s for "unacknowledged" between the short ones and "established".
 */
static inline void begin(void)
{
	memset(&settings, 0, sizeof(settings));
	memset(&flow, 0, sizeof(flow));
	for (int i = 0; i < CT_T_MAX; i++)
		CT_TIMEOUT_OF(&settings)[i] = 1000 + 10 * i;
	settings.timeout.tcp_timeout_established = 432000 * HZ;
	settings.timeout.tcp_timeout_unacknowledged = 300 * HZ;
	settings.timeout.tcp_timeout_max_retrans = 300 * HZ + 1;
	settings.knob.tcp_loose = 1;
	settings.knob.tcp_max_retrans = 3;
	settings.hz = HZ;
	now = 1000000;
}

static inline bool want_state(const char *file, int line, int want)
{
	if (flow.state == want)
		return true;
	check_fail(file, line);
	printf("state: got %s, wanted %s\n", tcp_state_name(flow.state), tcp_state_name(want));
	return false;
}
#define WANT_STATE(name) want_state(__FILE__, __LINE__, CT_TCP_##name)

static inline const char *verdict_name(int verdict)
{
	static const char *const names[] = { "accepted", "ignored", "refused", "reopens",
					     "closes" };

	return verdict >= 0 && verdict < 5 ? names[verdict] : "a verdict of no meaning";
}

static inline bool want_verdict(const char *file, int line, int got, int want)
{
	if (got == want)
		return true;
	check_fail(file, line);
	printf("the packet: got %s, wanted %s\n", verdict_name(got), verdict_name(want));
	return false;
}
#define WANT_VERDICT(got, name) want_verdict(__FILE__, __LINE__, (got), CT_V_##name)

/* A packet of the flow, with what the core does after the tracker. The tracker's verdict. */
static inline int packet(const struct ct_parsed *p, enum ct_dir dir)
{
	memset(&step, 0xa5, sizeof(step));
	ct_proto_packet(&flow, p, dir, &settings, now, &step);
	if (step.verdict == CT_V_REFUSE || step.verdict == CT_V_REOPEN)
		return step.verdict;
	if (dir == CT_REPLY)
		flow.status |= CT_S_SEEN_REPLY;
	if (step.assured)
		flow.status |= CT_S_ASSURED;
	if (step.verdict == CT_V_ACCEPT)
		flow.expires = now + step.timeout;
	return step.verdict;
}

#define WANT_TIMEOUT(id) CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[CT_T_##id])
#define WANT_UNCHANGED(statement)                                                                  \
	do {                                                                                       \
		struct ct_entry before = flow;                                                     \
		statement;                                                                         \
		CHECK_MEM(&flow, &before, sizeof(flow));                                           \
	} while (0)

#endif
