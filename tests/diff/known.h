/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where ours is known to differ from the running kernel, each with its reason. Whatever is not
 * explained here is a failure. A part of diff.c.
 *
 * Differences of another kind are none, because they are about how it is told and not what:
 *	an UPDATE of the kernel's has the state only if it has changed; ours has it always;
 *	the kernel tells that a flow's time was up when somebody comes across it, ours at the sweep.
 * And what random.c does not say, because the difference would last:
 *	a changed timeout of GRE: the kernel keeps those with which a flow began, here they hold from
 *	the next packet on, as for all protocols (nf_conntrack_gre_packet()).
 */

/* 6.18 leaves an established flow CLOSE's 10 s behind a reset that is in the window, not exact. */
static bool inexact_reset(const struct say *s, const struct view *k, const struct view *o)
{
	struct ct_settings now = get_settings();

	return s->kind == SAY_TCP && s->flags & RST && k->state == CT_TCP_ESTABLISHED &&
	       !timeouts_differ(k->timeout, (long)now.timeout.tcp_timeout_close / HZ) &&
	       !timeouts_differ(o->timeout, (long)now.timeout.tcp_timeout_unacknowledged / HZ);
}

static struct ct_counters super_packet(const struct say *s, enum hook hook, bool v6)
{
	unsigned int segs = say_segments(s, hook);

	(void)v6;
	return (struct ct_counters){ .packets = segs ? segs - 1 : 0 };
}

/* The kernel has it, and waits for the rest or has thrown all of it away: nothing comes out. */
static bool fragment_class(const struct say *s, const struct view *k, const struct view *o)
{
	return s->fragment && k->class == NO_CLASS &&
	       (o->class == CT_UNTRACKED || o->class == CT_INVALID);
}

static struct ct_counters incomplete_datagram(const struct say *s, enum hook hook, bool v6)
{
	(void)hook;
	if (!s->counted)
		return (struct ct_counters){};
	return (struct ct_counters){ .packets = 1, .bytes = s->counted + (v6 ? 40 : 20) };
}

static struct known {
	const char *name, *why;
	bool (*class)(const struct say *s, const struct view *k, const struct view *o);
	/* Explains a timeout, until the next packet of the flow is counted. */
	bool (*timeout)(const struct say *s, const struct view *k, const struct view *o);
	/* What ours counts more than the kernel, if it counts the packet. */
	struct ct_counters (*counters)(const struct say *s, enum hook hook, bool v6);
	unsigned long seen;
} known[] = {
	{ "inexact reset",
	  "a reset that is in the window but not exact leaves an established flow with 10 s in 6.18; "
	  "with 300 s in 6.12.117 and later, and here",
	  NULL, inexact_reset, NULL, 0 },
	{ "super-packet",
	  "the kernel counts a packet that stands for many as one; we count the segments, which are "
	  "what XDP or the wire would have seen",
	  NULL, NULL, super_packet, 0 },
	{ "fragment",
	  "the kernel holds fragments back until the datagram is complete, and nothing comes of one "
	  "that never is; XDP can't, so each goes its way with the class of the first, or untracked "
	  "before it, invalid where it overlaps",
	  fragment_class, NULL, incomplete_datagram, 0 },
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

static bool known_class(const struct say *s, const struct view *k, const struct view *o)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].class && known[i].class(s, k, o)) {
			known[i].seen++;
			return true;
		}
	return false;
}

static bool known_timeout(const struct say *s, const struct view *k, const struct view *o)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].timeout && known[i].timeout(s, k, o)) {
			known[i].seen++;
			return true;
		}
	return false;
}

static struct ct_counters known_more(const struct say *s, enum hook hook, bool v6)
{
	struct ct_counters sum = {};

	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].counters) {
			struct ct_counters more = known[i].counters(s, hook, v6);

			sum.packets += more.packets;
			sum.bytes += more.bytes;
			known[i].seen += more.packets || more.bytes;
		}
	return sum;
}
