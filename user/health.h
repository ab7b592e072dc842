/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is an interface hooked as it was left? The world changes without us: interfaces go, links and
 * filters are taken away, others attach theirs. What is wrong is said in words. Nothing is changed
 * here: attach repairs, detach cleans.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

struct instance;
struct hooking;
struct ct_iface;

/* Some sentences, each ended by a newline. What finds no room is cut off. */
#define WORDS_SIZE 512

struct words {
	char text[WORDS_SIZE];
};

void words_add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Begin with *at = NULL: the next sentence and its length, or NULL. */
const char *words_next(const struct words *w, const char **at, size_t *length);

/*
 * Look at an interface that has `slot`: fills in h->tc, h->wrong, h->notes, h->gone, h->qdisc_lost.
 */
void health_look(const struct instance *in, struct hooking *h, const struct ct_iface *slot);

/* Programs at a TCX hook, in the order in which packets meet them. -errno where there is no TCX. */
struct tcx_program {
	__u32 prog_id;
	__u32 link_id; /* 0: without a link */
};
int tcx_programs(int ifindex, bool ingress, struct tcx_program *program, int max);

/* The id of the instance's program of this name; 0: its pin has gone. */
__u32 program_pinned(const struct instance *in, const char *name);
/* "program 12 'name'" */
void program_words(__u32 id, char *words, size_t size);

#endif
