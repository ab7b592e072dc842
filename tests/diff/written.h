/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What conversations are written with. a is the left side, b the right one. IS() says what the
 * author believes the kernel does, so that a conversation which misses its rule is noticed; what
 * ours has to do is never written down, the kernel shows it.
 */
#ifndef WRITTEN_H
#define WRITTEN_H

#include "diff.h"

extern uint8_t writing_zone;
void add(const struct say *s);


#define SAY(what, from, ...) add(&(struct say){ .kind = SAY_##what, .dir = from, __VA_ARGS__ })
#define A(bits, ...) SAY(TCP, CT_ORIGINAL, .flags = (bits), __VA_ARGS__)
#define B(bits, ...) SAY(TCP, CT_REPLY, .flags = (bits), __VA_ARGS__)
#define A_UDP(...)   SAY(UDP, CT_ORIGINAL, __VA_ARGS__)
#define B_UDP(...)   SAY(UDP, CT_REPLY, __VA_ARGS__)
#define A_ICMP(...)  SAY(ICMP, CT_ORIGINAL, __VA_ARGS__)
#define B_ICMP(...)  SAY(ICMP, CT_REPLY, __VA_ARGS__)
#define A_UDPLITE(...) SAY(UDPLITE, CT_ORIGINAL, __VA_ARGS__)
#define B_UDPLITE(...) SAY(UDPLITE, CT_REPLY, __VA_ARGS__)
#define A_GRE(...)   SAY(GRE, CT_ORIGINAL, __VA_ARGS__)
#define B_GRE(...)   SAY(GRE, CT_REPLY, __VA_ARGS__)
#define A_SCTP(tag, chunks, ...)                                                                   \
	SAY(SCTP, CT_ORIGINAL, .vtag = (tag), .options = chunks, ##__VA_ARGS__)
#define B_SCTP(tag, chunks, ...)                                                                   \
	SAY(SCTP, CT_REPLY, .vtag = (tag), .options = chunks, ##__VA_ARGS__)
#define A_OTHER(...) SAY(OTHER, CT_ORIGINAL, __VA_ARGS__)
#define B_OTHER(...) SAY(OTHER, CT_REPLY, __VA_ARGS__)
#define WAIT(ms)     add(&(struct say){ .kind = SAY_WAIT, .value = (ms) })
#define AGE(s)	     add(&(struct say){ .kind = SAY_AGE, .value = (s) })
#define A_ERROR(...) SAY(ERROR, CT_ORIGINAL, __VA_ARGS__)
#define B_ERROR(...) SAY(ERROR, CT_REPLY, __VA_ARGS__)
#define KNOB(id, v)  add(&(struct say){ .kind = SAY_KNOB, .knob = CT_K_##id, .value = (v) })

#define TIMEOUT(id, v)                                                                             \
	add(&(struct say){ .kind = SAY_TIMEOUT, .knob = CT_T_##id, .value = (v) })

/* Of what it is put behind: bytes `b` to `e` of what IP carries (0: to the end), nothing else yet. */
#define PART(b, e, number) .fragment = true, .from = (b), .to = (e), .id = (number)
#define AND_THEN .more = true

/* What is said from here on is in this zone. */
#define ZONE(n) (writing_zone = (n))

/* Of the packet before: its class, and the TCP state after it. */
#define IS(is)	 (writing->say[writing->n - 1].want_class = CT_##is + 1)
#define AT(at)	 (writing->say[writing->n - 1].want_state = CT_TCP_##at + 1)
#define AT_SCTP(at) (writing->say[writing->n - 1].want_state = CT_SCTP_##at + 1)
#define NO_FLOW() (writing->say[writing->n - 1].want_state = CT_TCP_STATE_MAX + 1)

#define TALK(title)                                                                                \
	static void talk_##title(void);                                                            \
	__attribute__((constructor)) static void register_##title(void)                            \
	{                                                                                          \
		static struct written w = { #title, talk_##title, NULL };                          \
		struct written **last = &written_first;                                            \
                                                                                                   \
		while (*last)                                                                      \
			last = &(*last)->next;                                                     \
		*last = &w;                                                                        \
	}                                                                                          \
	static void talk_##title(void)

#endif
