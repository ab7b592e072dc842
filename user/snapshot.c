// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 1024U

void snapshot_free(struct snapshot *s)
{
	free(s->entries);
	free(s->heads);
	*s = (struct snapshot){};
}

/* The word holds a secret hash of the tuple: no need for another one. */
static uint32_t *head_of(const struct snapshot *s, const struct ct_flow *flow)
{
	return &s->heads[(flow->entry.word >> CT_WORD_HASH_SHIFT) & (s->size - 1)];
}

static bool same(const struct ct_flow *a, const struct ct_flow *b)
{
	return !((a->entry.word ^ b->entry.word) & ~CT_WORD_PHASE) &&
	       !memcmp(&a->tuple, &b->tuple, sizeof(a->tuple));
}

/* The link that leads to this incarnation, or the 0 at the end of its chain. */
static uint32_t *find(const struct snapshot *s, const struct ct_flow *flow)
{
	uint32_t *link = head_of(s, flow);

	while (*link && !same(&s->entries[*link - 1].flow, flow))
		link = &s->entries[*link - 1].next;
	return link;
}

static void chain(struct snapshot *s, uint32_t index)
{
	uint32_t *head = head_of(s, &s->entries[index].flow);

	s->entries[index].next = *head;
	*head = index + 1;
}

/* Twice the room. Only called when none is free, so all that is used is here. */
static int grow(struct snapshot *s)
{
	uint32_t size = s->size ? 2 * s->size : SMALLEST;
	struct snapshot_entry *entries = realloc(s->entries, size * sizeof(*entries));
	uint32_t *heads;

	if (!entries)
		return -ENOMEM;
	s->entries = entries;
	heads = calloc(size, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	free(s->heads);
	s->heads = heads;
	s->size = size;
	for (uint32_t i = 0; i < s->used; i++)
		chain(s, i);
	return 0;
}

static int insert(struct snapshot *s, const struct ct_flow *flow, uint64_t time)
{
	uint32_t index = s->free;
	int err = index || s->used < s->size ? 0 : grow(s);

	if (err)
		return err;
	if (index)
		s->free = s->entries[--index].next;
	else
		index = s->used++;
	s->entries[index] = (struct snapshot_entry){ .flow = *flow, .time = time, .here = true };
	chain(s, index);
	s->flows++;
	return 0;
}

/* What is the newest that is known of a flow. */
static int renew(struct snapshot *s, const struct ct_flow *flow, uint64_t time)
{
	const uint32_t *link = s->size ? find(s, flow) : NULL;
	struct snapshot_entry *e;

	if (!link || !*link)
		return insert(s, flow, time);
	e = &s->entries[*link - 1];
	if (time >= e->time) {
		e->flow = *flow;
		e->time = time;
	}
	return 0;
}

int snapshot_flow(struct snapshot *s, const struct ct_flow *flow, uint64_t time)
{
	return renew(s, flow, time);
}

static void forget(struct snapshot *s, const struct ct_flow *flow)
{
	uint32_t *link = s->size ? find(s, flow) : NULL, index;

	if (!link || !*link)
		return; /* it ended before the walk came by */
	index = *link - 1;
	*link = s->entries[index].next;
	s->entries[index].here = false;
	s->entries[index].next = s->free;
	s->free = index + 1;
	s->flows--;
}

int snapshot_event(struct snapshot *s, const struct ct_event *ev)
{
	switch (ev->type) {
	case CT_EV_NEW:
	case CT_EV_UPDATE:
		return renew(s, &ev->flow, ev->time);
	case CT_EV_DESTROY:
		forget(s, &ev->flow);
		return 0;
	default:
		return 0;
	}
}
