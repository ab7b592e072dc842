// SPDX-License-Identifier: GPL-2.0-only
/*
 * Check a stream of `ctloader events -o json` on standard input, and say in one JSON object what
 * is in it:
 *
 *	new update destroy lost	events by type; events reported as lost
 *	seq		number of the last one, losses included
 *	gaps		places where the number is not the one before plus one plus what was lost there
 *	sync synced	flows of the table, and what was said of their number (or missing)
 *	unpaired	NEW events, and flows of the table, without a DESTROY
 *	twice		NEW events and flows of the table of a flow that is there already
 *	orphans		UPDATE and DESTROY events of a flow with no NEW before, or after its DESTROY
 *	backwards	events with an earlier time than the one before them
 *	reasons		how many DESTROY events of each reason; "none" for those without
 *	table		what is there at the end, each flow with its state and status: a number that is
 *			the same for the same flows
 *
 * It takes what `ctloader list -o json` prints, too, as a table.
 *
 * It does not parse JSON in general: it looks for the keys that ctloader writes, in its lines.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flows that began and did not end: a table of 64-bit hashes, open-addressed. 0: free, 1: gone. */
#define ALIVE (1U << 22)
static uint64_t alive[ALIVE];
static uint64_t looks[ALIVE]; /* what was last said of each */

static uint64_t hash(const char *text, size_t len, uint64_t h)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3ULL; /* FNV-1a */
	return h < 2 ? h + 2 : h;
}

static uint64_t *find(uint64_t h, bool vacant)
{
	for (uint64_t i = h; ; i++) {
		uint64_t *at = &alive[i % ALIVE];

		if (*at == h || !*at || (vacant && *at == 1))
			return at;
	}
}

/* What follows `"key":` in the line, or NULL. */
static const char *value(const char *line, const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(line, quoted);
	return at ? at + strlen(quoted) : NULL;
}

static bool is(const char *text, const char *word)
{
	size_t len = strlen(word);

	return text && text[0] == '"' && !strncmp(text + 1, word, len) && text[len + 1] == '"';
}

/* Who a flow is: its id, and the original direction up to the counters. */
static uint64_t flow_of(const char *line)
{
	const char *id = value(line, "id"), *original = value(line, "original"), *end;

	if (!id || !original)
		return 0;
	end = strstr(original, "\"packets\"");
	return hash(original, end ? (size_t)(end - original) : strlen(original),
		    hash(id, strcspn(id, ","), 0xcbf29ce484222325ULL));
}

/* How a flow is: state and status. */
static uint64_t look_of(const char *line)
{
	const char *state = value(line, "state"), *status = value(line, "status");
	uint64_t h = hash(state ? state : "", state ? strcspn(state, ",") : 0, 0xcbf29ce484222325ULL);

	return hash(status ? status : "", status ? strcspn(status, "]") : 0, h);
}

int main(void)
{
	static const char *const reasons[] = { "timeout", "closed",  "evicted",	 "deleted",
					       "flushed", "detached", "replaced", "none" };
	enum { REASONS = sizeof(reasons) / sizeof(reasons[0]) };
	unsigned long long by_reason[REASONS] = { 0 }, new = 0, update = 0, destroy = 0, lost = 0;
	unsigned long long sync = 0, twice = 0, table = 0;
	long long synced = -1;
	unsigned long long seq = 0, gaps = 0, orphans = 0, backwards = 0, unpaired = 0, here = 0;
	char time[64] = "", *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		/* That of an event; ICMP has one, too. */
		const char *type = strncmp(line, "{\"type\":", 8) ? NULL : line + 8;
		const char *at = value(line, "time");
		const char *number = value(line, "seq"), *count = value(line, "count");
		uint64_t flow, *slot;

		if (is(type, "lost")) {
			here += count ? strtoull(count, NULL, 10) : 0;
			continue;
		}
		if (is(type, "synced")) {
			synced = count ? strtoll(count, NULL, 10) : -1;
			continue;
		}
		flow = flow_of(line);
		if (!flow && !type && strspn(line, "[] \n") == strlen(line))
			continue; /* where a list begins and ends */
		if (flow && (!type || is(type, "sync"))) {
			slot = find(flow, false);
			twice += *slot == flow;
			slot = find(flow, true);
			unpaired += *slot != flow;
			*slot = flow;
			looks[slot - alive] = look_of(line);
			sync++;
			continue;
		}
		if (!number || !at || !flow) {
			fprintf(stderr, "not an event: %s", line);
			return 1;
		}
		lost += here;
		if (strtoull(number, NULL, 10) != seq + here + 1)
			gaps++;
		seq = strtoull(number, NULL, 10);
		here = 0;
		if (strncmp(at, time, strcspn(at, ",")) < 0)
			backwards++;
		snprintf(time, sizeof(time), "%.*s", (int)strcspn(at, ","), at);

		slot = find(flow, false);
		if (is(type, "new")) {
			new++;
			twice += *slot == flow;
			unpaired += *slot != flow;
			slot = find(flow, true);
			*slot = flow;
			looks[slot - alive] = look_of(line);
			continue;
		}
		if (*slot != flow)
			orphans++;
		if (is(type, "update")) {
			update++;
			if (*slot == flow)
				looks[slot - alive] = look_of(line);
			continue;
		}
		destroy++;
		if (*slot == flow) {
			*slot = 1;
			unpaired--;
		}
		for (int i = 0; i < REASONS; i++)
			if (is(value(line, "reason"), reasons[i]) || i == REASONS - 1) {
				by_reason[i]++;
				break;
			}
	}
	lost += here;
	for (size_t i = 0; i < ALIVE; i++)
		if (alive[i] > 1)
			table += alive[i] * 0x9e3779b97f4a7c15ULL ^ looks[i];
	printf("{\"sync\":%llu,\"synced\":%lld,\"twice\":%llu,\"table\":\"%016llx\",", sync, synced,
	       twice, table);
	printf("\"new\":%llu,\"update\":%llu,\"destroy\":%llu,\"lost\":%llu,\"seq\":%llu,"
	       "\"gaps\":%llu,\"unpaired\":%llu,\"orphans\":%llu,\"backwards\":%llu,\"reasons\":{",
	       new, update, destroy, lost, seq + here, gaps, unpaired, orphans, backwards);
	for (int i = 0, some = 0; i < REASONS; i++)
		if (by_reason[i])
			printf("%s\"%s\":%llu", some++ ? "," : "", reasons[i], by_reason[i]);
	printf("}}\n");
	free(line);
	return 0;
}
