// SPDX-License-Identifier: GPL-2.0-only
/* events: follow what happens to flows. */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "filter.h"
#include "fmt.h"
#include "listener.h"
#include "log.h"
#include "mapped.h"
#include "out.h"
#include "priv.h"

/* How long a quiet ring is slept on before we look whether the instance has gone. */
#define POLL_MS 200

#define RING_LEAST 4096U
#define RING_MOST  (1U << 30)
#define RING       (16U << 20)

#define EVENT_FORMATS (OUT_JSON | OUT_EXTENDED | OUT_ID | OUT_TIMESTAMP | OUT_KTIMESTAMP)
#define EVENTS_ALL    ((1U << CT_EV_MAX) - 1)

static const struct opt events_options[] = {
	{ 'e', "event-mask", "TYPE[,...]", "new|update|destroy|invalid|all", "events to follow (default: all)" },
	{ 'n', "count", "COUNT", NULL, "end after so many events" },
	{ 'b', "buffer-size", "SIZE", NULL,
	  "bytes of the ring, a power of two (default: 16M)" },
	{ 0 },
};

/* What the command line asks for, and how far we are. */
struct following {
	struct ct_filter filter;
	unsigned int formats;
	uint32_t mask;       /* 1 << enum ct_event_type */
	uint32_t ring_bytes;
	uint64_t wanted;     /* events to show; 0: no end */
	uint64_t shown, lost;
	struct ct_clock clock; /* mono_ns and wall_ns: read together, now and then */
	struct json json;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* --- options ---------------------------------------------------------------------------------- */

static int parse_type(const char *word, size_t len, uint32_t *mask)
{
	static const struct {
		const char *name;
		uint32_t mask;
	} types[] = {
#define X(id, name, tag) { name, 1U << CT_EV_##id },
		CT_EVENTS(X)
#undef X
		{ "updates", 1U << CT_EV_UPDATE }, /* conntrack(8) calls it so */
		{ "all", EVENTS_ALL },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].name) != len || strncasecmp(word, types[i].name, len))
			continue;
		*mask |= types[i].mask;
		return 0;
	}
	return usage_error("unknown event; there is new, update, destroy, invalid, all", "-e %.*s",
			   (int)len, word);
}

static int parse_types(const char *list, uint32_t *mask)
{
	for (;;) {
		size_t len = strcspn(list, ",");
		int err = parse_type(list, len, mask);

		if (err || !list[len])
			return err;
		list += len + 1;
	}
}

static int parse_ring(const char *text, uint32_t *bytes)
{
	uint64_t size;

	if (!size_parse(text, &size) || size < RING_LEAST || size > RING_MOST ||
	    (size & (size - 1)))
		return usage_error("not a power of two from 4k to 1G", "-b %s", text);
	*bytes = (uint32_t)size;
	return 0;
}

static int parse_option(struct following *f, int id, const char *value)
{
	switch (id) {
	case 'e':
		return parse_types(value, &f->mask);
	case 'n':
		if (number_parse(value, 1, UINT64_MAX, &f->wanted))
			return 0;
		return usage_error("not a number from 1", "-n %s", value);
	case 'b':
		return parse_ring(value, &f->ring_bytes);
	case 'o':
		return out_parse(value, EVENT_FORMATS, &f->formats);
	default:
		return filter_option(&f->filter, id, value);
	}
}

/* --- output ----------------------------------------------------------------------------------- */

static void show_loss(struct following *f, uint64_t lost)
{
	f->lost += lost;
	if (f->formats & OUT_JSON) {
		json_object(&f->json, NULL);
		json_string(&f->json, "type", "lost");
		json_u64(&f->json, "count", lost);
		json_object_end(&f->json);
	} else {
		printf("[LOST] %" PRIu64 " events\n", lost);
	}
}

static void show_json(struct following *f, const struct ct_event *ev, const char *dev, uint64_t seq,
		      const struct ct_clock *then)
{
	char time[32];

	fmt_iso(time, then->wall_ns);
	json_object(&f->json, NULL);
	json_string(&f->json, "type", fmt_event_type(ev->type));
	json_u64(&f->json, "seq", seq);
	json_string(&f->json, "time", time);
	if (ev->type == CT_EV_INVALID) {
		json_string(&f->json, "reason", fmt_reason(ev->reason) ?: "unknown");
		fmt_refused_json(&f->json, "packet", ev, dev);
	} else {
		if (ev->type == CT_EV_DESTROY && fmt_end(ev->reason))
			json_string(&f->json, "reason", fmt_end(ev->reason));
		fmt_flow_json(&f->json, "flow", &ev->flow, then);
	}
	json_object_end(&f->json);
}

static void show_event(struct following *f, const struct ct_event *ev, uint64_t seq)
{
	/* Everything a record says is about its own time. */
	const struct ct_clock then = {
		.ticks = ev->now,
		.mono_ns = ev->time,
		.wall_ns = fmt_wall(&f->clock, ev->time),
		.hz = f->clock.hz,
	};
	char line[FMT_LINE], dev[IF_NAMESIZE] = "", *end;

	f->shown++;
	/* One that is gone has a number only. */
	if (ev->type == CT_EV_INVALID && !if_indextoname(ev->refused.ifindex, dev))
		snprintf(dev, sizeof(dev), "#%u", ev->refused.ifindex);
	if (f->formats & OUT_JSON) {
		show_json(f, ev, dev, seq, &then);
		return;
	}
	end = fmt_event(line, ev, dev, &then, f->formats);
	*end++ = '\n';
	fwrite_unlocked(line, 1, (size_t)(end - line), stdout);
}

/* Of a refused packet there are the addresses to go by, as if it opened a flow. */
static bool wanted(const struct following *f, const struct ct_event *ev)
{
	const struct ct_flow packet = { .tuple = ev->tuple };

	return filter_match(&f->filter, ev->type == CT_EV_INVALID ? &packet : &ev->flow);
}

static bool take_event(const struct ct_event *ev, uint64_t seq, uint64_t lost, void *arg)
{
	struct following *f = arg;

	if (f->wanted && f->shown == f->wanted)
		return false;
	if (lost)
		show_loss(f, lost);
	if (ev && wanted(f, ev))
		show_event(f, ev, seq);
	if (f->wanted && f->shown == f->wanted)
		return false;
	return !interrupted && !ferror_unlocked(stdout);
}

/* What has been written so far, to whoever reads it. False when nobody does any more. */
static bool show_now(struct following *f)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };

	json_flush(&f->json);
	if (fflush(stdout) || ferror(stdout))
		return false;
	return poll(&reader, 1, 0) <= 0 || !(reader.revents & (POLLERR | POLLNVAL));
}

/* The wall clock may be set while we run: relate the two clocks anew now and then. */
static void read_clocks(struct ct_clock *clock)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	clock->mono_ns = (uint64_t)mono.tv_sec * 1000000000 + (uint64_t)mono.tv_nsec;
	clock->wall_ns = (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec;
}

/* --- the loop --------------------------------------------------------------------------------- */

/*
 * Read until something ends it. 0 or the exit code of a failure; *drain: what is still in the ring
 * is wanted.
 */
static int follow(struct following *f, struct listener *l, bool *drain)
{
	int n = 0;

	while (!interrupted) {
		read_clocks(&f->clock);
		n = listener_poll(l, POLL_MS);
		if (!show_now(f))
			return 0;
		if (n < 0)
			break;
	}
	*drain = interrupted;
	if (n >= 0 || n == -ECANCELED || n == -ENODATA)
		return 0;
	return fail(strerror(-n), NULL, "the ring can't be read");
}

/* Without SA_RESTART: a signal ends the wait. A reader that leaves is noticed by its error. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

static void show_summary(const struct following *f)
{
	if (f->lost)
		out_summary(stderr, "%" PRIu64 " flow events have been shown, %" PRIu64 " lost.",
			    f->shown, f->lost);
	else
		out_summary(stderr, "%" PRIu64 " flow events have been shown.", f->shown);
}

/* Who asks for invalid packets, and gets none, should know why. */
static void note_silence(const struct instance *in)
{
	struct ct_settings *s = mapped(in, "settings", sizeof(*s));

	if (s && !__atomic_load_n(&s->knob.log_invalid, __ATOMIC_RELAXED))
		note("log_invalid is 0: no invalid packet will be told (try 'ctloader set "
		     "log_invalid=255')");
	mapped_release(s, sizeof(*s));
}

static int follow_instance(struct following *f, const struct instance *in)
{
	struct listener l = {};
	bool drain = false;
	int code;

	f->clock.hz = clock_hz();
	read_clocks(&f->clock);
	json_init(&f->json, stdout);
	catch_signals();
	if (listener_open(&l, in, f->mask, f->ring_bytes, take_event, f))
		return 1;
	verbose("listening");
	if (f->mask != EVENTS_ALL && f->mask & 1U << CT_EV_INVALID)
		note_silence(in);
	code = follow(f, &l, &drain);
	interrupted = 0; /* the rest is short, and wanted */
	listener_close(&l, drain);
	if (show_now(f))
		show_summary(f);
	return code;
}

int cmd_events(struct instance *in, int argc, char **argv)
{
	struct following f = { .ring_bytes = RING };
	struct opts o;
	int id, code = 0;

	opts_init(&o, argc, argv, events_options, filter_options, out_options_flow, NULL);
	while (!code && (id = opts_next(&o)) > 0)
		code = parse_option(&f, id, o.value);
	if (code)
		return code;
	if (id < 0)
		return o.exit;
	code = opts_no_arguments(&o);
	if (!code)
		code = filter_check(&f.filter);
	if (code)
		return code;
	if (!f.mask)
		f.mask = EVENTS_ALL;
	if (instance_open(in))
		return 1;
	priv_settle();
	return follow_instance(&f, in);
}
