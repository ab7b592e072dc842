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
#include "grace.h"
#include "listener.h"
#include "log.h"
#include "mapped.h"
#include "out.h"
#include "priv.h"
#include "snapshot.h"
#include "table.h"

/* How long a quiet ring is slept on before we look whether the instance has gone. */
#define POLL_MS 200

#define RING_LEAST 4096U
#define RING_MOST  (1U << 30)
#define RING       (16U << 20)

/* A record of a flow, and what a ring takes for it. */
#define RECORD	     (sizeof(struct ct_event) + 8)
#define BACKLOG	     65536
#define BACKLOG_MOST 5000000

#define EVENT_FORMATS (OUT_JSON | OUT_EXTENDED | OUT_ID | OUT_TIMESTAMP | OUT_KTIMESTAMP)
#define EVENTS_ALL    ((1U << CT_EV_MAX) - 1)
/* What happens to the table. */
#define EVENTS_OF_TABLE (1U << CT_EV_NEW | 1U << CT_EV_UPDATE | 1U << CT_EV_DESTROY)

/* So often the table is read anew because something was lost meanwhile, or the programs were replaced. */
#define SYNC_TRIES   5
/* So long (ms) the end of an upgrade is waited for, which a loader that died may have left undone. */
#define SYNC_PATIENCE 5000

enum { OPT_SYNC = OPT_LONG, OPT_RELIABLE, OPT_BACKLOG };

static const struct opt events_options[] = {
	{ 'e', "event-mask", "TYPE[,...]", "new|update|destroy|invalid|all", "events to follow (default: all)" },
	{ 'n', "count", "COUNT", NULL, "end after so many events" },
	{ 'b', "buffer-size", "SIZE", NULL,
	  "bytes of the ring, a power of two (default: 16M)" },
	{ OPT_SYNC, "sync", NULL, NULL, "begin with the flows that are there" },
	{ OPT_RELIABLE, "reliable", NULL, NULL, "lose no destroy: keep what the ring has no room for" },
	{ OPT_BACKLOG, "backlog", "N", NULL, "so many at most (with --reliable; default: 65536)" },
	{ 0 },
};

/* What the command line asks for, and how far we are. */
struct following {
	struct ct_filter filter;
	unsigned int formats;
	uint32_t mask;       /* 1 << enum ct_event_type */
	uint32_t ring_bytes;
	bool reliable;
	uint64_t backlog;    /* events; 0: not said */
	uint64_t wanted;     /* events to show; 0: no end */
	uint64_t shown, lost;
	bool sync;           /* the table is wanted, and has not been told yet */
	struct snapshot table;
	uint64_t from;       /* what is before this place in the stream is no matter */
	uint64_t place;      /* where the table is to be told */
	uint64_t before;     /* records that went into it: they are not numbered */
	struct listener *listener;
	int err;             /* out of memory */
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
	case OPT_SYNC:
		f->sync = true;
		return 0;
	case OPT_RELIABLE:
		f->reliable = true;
		return 0;
	case OPT_BACKLOG:
		if (number_parse(value, 1, BACKLOG_MOST, &f->backlog))
			return 0;
		return usage_error("not a number from 1 to 5000000", "--backlog %s", value);
	case 'o':
		return out_parse(value, EVENT_FORMATS, &f->formats);
	default:
		return filter_option(&f->filter, id, value);
	}
}

/* What is said of the backlog: does it go together? 0 or 2, reported. */
static int check_backlog(const struct following *f)
{
	if (f->backlog && !f->reliable)
		return usage_error("is for reliable listeners", "--backlog without --reliable");
	if (f->reliable && !(f->mask & 1U << CT_EV_DESTROY))
		return usage_error("is about destroy, which -e leaves out", "--reliable");
	return 0;
}

/* A ring that has room for so many events, whatever else: the byte too much is what a ring keeps free. */
static uint32_t backlog_bytes(const struct following *f)
{
	uint64_t bytes = RING_LEAST, need = (f->backlog ?: BACKLOG) * RECORD + 1;

	while (f->reliable && bytes < need)
		bytes *= 2;
	return f->reliable ? (uint32_t)bytes : 0;
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
	if (seq)
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

/* A flow of the table has no number: seq 0. */
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

	return f->mask & 1U << ev->type &&
	       filter_match(&f->filter, ev->type == CT_EV_INVALID ? &packet : &ev->flow);
}

/*
 * The table, at the place in the stream where we are: its flows, and that these were all. From here on records
 * are numbered from 1; `before` is the number of the last one that went into the table. Still to be shown if
 * we were interrupted.
 */
static void show_table(struct following *f, uint64_t before)
{
	/* They all are as at this moment. */
	struct ct_event ev = { .type = CT_EV_SYNC, .now = f->clock.ticks, .time = f->clock.mono_ns };
	uint64_t shown = 0;

	for (uint32_t i = 0; i < f->table.used && !ferror_unlocked(stdout) && !interrupted; i++) {
		ev.flow = f->table.entries[i].flow;
		if (!f->table.entries[i].here || !filter_match(&f->filter, &ev.flow))
			continue;
		show_event(f, &ev, 0);
		shown++;
	}
	if (interrupted || ferror_unlocked(stdout)) {
		snapshot_free(&f->table);
		return; /* these were not all: nothing may follow */
	}
	if (f->formats & OUT_JSON) {
		json_object(&f->json, NULL);
		json_string(&f->json, "type", "synced");
		json_u64(&f->json, "count", shown);
		json_object_end(&f->json);
		json_flush(&f->json);
	} else {
		out_summary(stderr, "%" PRIu64 " flow entries have been shown.", shown);
	}
	snapshot_free(&f->table);
	f->before = before;
	f->sync = false;
	listener_ask(f->listener, f->mask);
}

static bool take_event(const struct ct_event *ev, uint64_t seq, uint64_t lost, void *arg)
{
	struct following *f = arg;

	if (f->sync && listener_at(f->listener) < f->place) {
		if (ev && listener_at(f->listener) >= f->from)
			f->err = snapshot_event(&f->table, ev);
		return !f->err && !interrupted;
	}
	if (f->sync) {
		show_table(f, seq - lost - 1);
		if (f->sync)
			return false;
	}
	if (f->wanted && f->shown == f->wanted)
		return false;
	if (lost)
		show_loss(f, lost);
	if (ev && wanted(f, ev)) {
		f->shown++;
		show_event(f, ev, seq - f->before);
	}
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

/* --- the table ---------------------------------------------------------------------------------- */

static void read_table_clock(struct following *f, const struct table *t)
{
	f->clock.ticks = t->clock.ticks;
	f->clock.mono_ns = t->clock.mono_ns;
	f->clock.wall_ns = t->clock.wall_ns;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Take what is in the ring. 0, -ENODATA, -ECANCELED, -errno. */
static int take_ring(struct following *f, int timeout_ms)
{
	int n = listener_poll(f->listener, timeout_ms);

	return f->err ? f->err : n < 0 ? n : interrupted ? -ECANCELED : 0;
}

/* Step 2 of snapshot.h (read_table() takes the others). 0 or as take_ring(). */
static int walk_table(struct following *f, struct table *t)
{
	struct table_walk walk = { .all = true, .asked.r.action = CT_ACTION_DUMP };
	int err = 0;

	while (!walk.done && !err) {
		uint64_t began;
		int n;

		err = take_ring(f, 0);
		if (err)
			break;
		began = monotonic_ns();
		n = table_next(t, &walk);
		if (n < 0)
			err = n;
		for (int i = 0; i < n && !err; i++)
			err = snapshot_flow(&f->table, &walk.asked.flows[i], began);
	}
	return err;
}

/* While programs are being replaced, flows are on their way from one table into another. */
static void await_upgrade(const struct instance *in, struct ct_epoch *e)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000000 };

	for (int ms = 0; !instance_epoch(in, e) && e->changing && ms < SYNC_PATIENCE && !interrupted;
	     ms += 10)
		nanosleep(&pause, NULL);
}

/*
 * Read the table and what happens to it, up to a place of the stream. 0: f->table is the table there;
 * -EAGAIN: it may not be, for something was lost or went past the ring, or other programs have taken over;
 * -ESTALE: it is another instance's; else as take_ring().
 */
static int read_table(struct following *f, const struct instance *in)
{
	struct ct_epoch before = {}, after = {};
	uint64_t lost = listener_lost(f->listener), kept = listener_kept(f->listener);
	struct table t;
	int err;

	snapshot_free(&f->table);
	f->place = UINT64_MAX;
	await_upgrade(in, &before);
	if (table_open(&t, in))
		return -ESTALE;
	err = listener_stands(f->listener) ? grace_period() : -ENODATA;
	f->from = listener_written(f->listener);
	if (!err)
		err = walk_table(f, &t);
	if (!err && !listener_stands(f->listener))
		err = -ENODATA; /* perhaps those were the flows of another build's programs */
	if (!err)
		read_table_clock(f, &t);
	table_close(&t);
	if (err)
		return err;
	f->place = listener_written(f->listener);
	if (instance_epoch(in, &after))
		return -ENODATA;
	if (listener_lost(f->listener) != lost || listener_kept(f->listener) != kept ||
	    after.now != before.now) {
		f->place = UINT64_MAX;
		return -EAGAIN;
	}
	return 0;
}

/* Have the table to be told, by follow(). 0 or the exit code of a failure, reported. */
static int sync_table(struct following *f, const struct instance *in)
{
	int err = -EAGAIN;

	for (int tries = 0; tries < SYNC_TRIES && err == -EAGAIN; tries++)
		err = read_table(f, in);
	switch (err) {
	case 0:
	case -ECANCELED:
		return 0;
	case -ESTALE:
		return 1;
	case -ENODATA:
		return fail("the instance has gone, or has become another build's", NULL,
			    "the table can't be told");
	case -EAGAIN:
		return fail("events were lost while it was read", "use a larger ring: -b SIZE",
			    "the table can't be told");
	default:
		return fail(strerror(-err), NULL, "the table can't be told");
	}
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
		if (f->sync && listener_at(l) >= f->place) {
			show_table(f, l->seq);
			if (f->sync)
				break;
		}
		n = listener_poll(l, POLL_MS);
		if (!show_now(f))
			return 0;
		if (n < 0)
			break;
	}
	*drain = interrupted && !f->sync;
	if (f->err)
		n = f->err;
	else if (n >= 0 || n == -ECANCELED || n == -ENODATA)
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
	struct listener l = { .backlog_bytes = backlog_bytes(f) };
	bool drain = false;
	int code;

	f->listener = &l;
	f->place = UINT64_MAX;
	f->clock.hz = clock_hz();
	read_clocks(&f->clock);
	json_init(&f->json, stdout);
	catch_signals();
	if (listener_open(&l, in, f->sync ? EVENTS_OF_TABLE : f->mask, f->ring_bytes, take_event, f))
		return 1;
	verbose("listening");
	if (f->mask != EVENTS_ALL && f->mask & 1U << CT_EV_INVALID)
		note_silence(in);
	code = f->sync ? sync_table(f, in) : 0;
	if (!code)
		code = follow(f, &l, &drain);
	snapshot_free(&f->table);
	interrupted = 0; /* the rest is short, and wanted */
	listener_close(&l, drain);
	if (show_now(f) && !code)
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
	code = check_backlog(&f);
	if (code)
		return code;
	if (instance_open(in))
		return 1;
	priv_settle();
	return follow_instance(&f, in);
}
