// SPDX-License-Identifier: GPL-2.0-only
/* save, restore: the table in a file, for after a reboot or another machine. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "filter.h"
#include "flowfile.h"
#include "listener.h"
#include "log.h"
#include "out.h"
#include "table.h"
#include "wholefile.h"

/* How messages call it. */
static const char *name_of(const char *path, const char *stream)
{
	return strcmp(path, "-") ? path : stream;
}

/* --- save ------------------------------------------------------------------------------------- */

struct saving {
	struct ct_filter filter;
	const char *path;
	unsigned int formats;
	struct ct_clock clock; /* when it began: all times are of this moment */
	struct flowfile_writer writer;
	bool stream; /* what it is saved to is no file: it may be standard output */
	int err;
};

/* Read the command line. True to go on; else the command returns *code. */
static bool read_save(struct opts *o, struct saving *s, int *code)
{
	int id;

	*code = 0;
	while (!*code && (id = opts_next(o)) > 0)
		*code = id == 'o' ? out_parse(o->value, OUT_JSON, &s->formats) :
				    filter_option(&s->filter, id, o->value);
	if (!*code && id < 0) {
		*code = o->exit;
		return false;
	}
	if (!*code && o->argc != 1)
		*code = usage_error("name one file, or - for standard output", "FILE");
	if (!*code)
		*code = filter_check(&s->filter);
	if (*code)
		return false;
	s->path = o->argv[0];
	if (s->formats & OUT_JSON && !strcmp(s->path, "-"))
		*code = usage_error("the flows go to standard output, and so would this", "-o json");
	return !*code;
}

static bool save_flow(const struct ct_flow *flow, const struct ct_clock *clock, void *arg)
{
	struct saving *s = arg;
	struct ct_flow copy = *flow;

	(void)clock;
	if (flow->entry.expires <= s->clock.ticks)
		return true;
	flowfile_leave(&copy, &s->clock);
	flowfile_add(&s->writer, &copy);
	if (ferror_unlocked(s->writer.to))
		s->err = -errno;
	return !s->err && !wholefile_interrupted();
}

/* 0 or 1, reported. */
static int save_table(struct table *t, struct saving *s)
{
	const char *name = name_of(s->path, "standard output");
	struct wholefile w;
	int err, end;

	if (clock_read(t->in, &s->clock))
		return 1;
	err = wholefile_begin(&w, s->path);
	if (err)
		return fail(strerror(-err),
			    err == -EACCES ? "let the shell open it: ctloader save - >FILE" : NULL,
			    "%s", name);
	s->stream = !*w.temporary;
	flowfile_begin(&s->writer, w.to, s->clock.wall_ns);
	err = table_each(t, &s->filter, save_flow, s);
	if (!err && !s->err)
		flowfile_end(&s->writer);
	end = wholefile_end(&w, !err && !s->err);
	if (err)
		return fail(strerror(-err), NULL, "the table can't be read");
	err = s->err ?: end;
	return err ? fail(strerror(-err), NULL, "%s", name) : 0;
}

int cmd_save(struct instance *in, int argc, char **argv)
{
	struct saving s = {};
	struct table t;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, filter_options, out_options_json, NULL);
	if (!read_save(&o, &s, &code))
		return code;
	if (instance_open(in) || table_open(&t, in))
		return 1;
	code = save_table(&t, &s);
	table_close(&t);
	if (code)
		return code;
	if (s.formats & OUT_JSON)
		printf("{\"saved\":%" PRIu64 "}\n", s.writer.rows);
	else
		out_summary(s.stream ? stderr : stdout,
			    "%" PRIu64 " flow entries have been saved.", s.writer.rows);
	return 0;
}

/* --- restore ---------------------------------------------------------------------------------- */

struct restoring {
	const char *name; /* of the file */
	struct flowfile file;
	struct table t;
	struct ct_clock clock;
	uint64_t living, over; /* flows of the file */
	struct restored result;
};

/* The next flow of the file that has time left, in the instance's times. */
static bool next_flow(struct restoring *r, struct ct_flow *flow)
{
	while (flowfile_next(&r->file, flow))
		if (flowfile_arrive(flow, r->file.saved_ns, &r->clock))
			return true;
	return false;
}

/* How many of them the table has already. -errno */
static int64_t count_there(struct restoring *r)
{
	struct ct_flow flow, found;
	int64_t n = 0;

	flowfile_rewind(&r->file);
	while (next_flow(r, &flow)) {
		int err = table_get(&r->t, &flow.tuple, &found);

		if (err && err != -ENOENT)
			return err;
		n += !err;
	}
	return n;
}

/* Refuse what can't fit, before anything is entered. 0 or 1, reported. */
static int check_room(struct restoring *r)
{
	int fd = instance_need(r->t.in, "settings"), err;
	char why[96], todo[64];
	struct ct_settings s;
	uint64_t flows, max;
	int64_t there = 0;
	__u32 zero = 0;

	if (fd < 0)
		return 1;
	err = bpf_map_lookup_elem(fd, &zero, &s) ? -errno : table_count(&r->t, &flows);
	close(fd);
	if (err)
		return fail(strerror(-err), NULL, "the table can't be read");
	max = s.knob.max;
	if (flows + r->living <= max)
		return 0;
	there = count_there(r);
	if (there < 0)
		return fail(strerror((int)-there), NULL, "the table can't be read");
	if (flows + r->living - (uint64_t)there <= max)
		return 0;
	snprintf(why, sizeof(why), "the table has room for %" PRIu64 " more flows, not for %" PRIu64,
		 max > flows ? max - flows : 0, r->living - (uint64_t)there);
	snprintf(todo, sizeof(todo), "ctloader set max=%" PRIu64,
		 flows + r->living - (uint64_t)there);
	return fail(why, todo, "%s", r->name);
}

/* 0 or -errno. */
static long enter_flows(void *arg)
{
	struct restoring *r = arg;
	struct ct_flow flows[CT_DUMP_FLOWS];
	uint32_t n;
	int err;

	flowfile_rewind(&r->file);
	do {
		for (n = 0; n < CT_DUMP_FLOWS && next_flow(r, &flows[n]); n++)
			;
		err = n ? table_restore(&r->t, flows, n, &r->result) : 0;
	} while (!err && n == CT_DUMP_FLOWS);
	return err;
}

/* 0 or 1, reported. */
static int restore_table(struct restoring *r)
{
	struct ct_flow flow;
	int err;

	if (clock_read(r->t.in, &r->clock))
		return 1;
	while (next_flow(r, &flow))
		r->living++;
	r->over = r->file.rows - r->living;
	if (check_room(r))
		return 1;
	err = (int)listeners_told(r->t.in, enter_flows, r);
	if (!err)
		return 0;
	if (err == -ENOENT)
		return 1; /* reported */
	return fail(strerror(-err), NULL, "%s: %" PRIu64 " flows were entered, then no more", r->name,
		    r->result.entered);
}

static int show_restored(const struct restoring *r, bool json)
{
	const struct restored *n = &r->result;

	/* There was, when we looked. */
	if (n->full)
		return fail("new flows have filled the table meanwhile", NULL,
			    "%s: %" PRIu64 " flows restored, %" PRIu64 " not", r->name, n->entered,
			    n->full);
	if (json)
		printf("{\"restored\":%" PRIu64 ",\"existing\":%" PRIu64 ",\"expired\":%" PRIu64 "}\n",
		       n->entered, n->there, r->over);
	else
		out_summary(stdout,
			    "%" PRIu64 " flow entries have been restored; %" PRIu64
			    " were there, %" PRIu64 " had expired.",
			    n->entered, n->there, r->over);
	return 0;
}

static int read_file(struct restoring *r, const char *path, uint8_t **data)
{
	char why[256];
	size_t size;
	int err;

	r->name = name_of(path, "standard input");
	err = wholefile_read(path, FLOWFILE_MOST, flowfile_begins, data, &size);
	if (err)
		return fail(strerror(-err),
			    err == -EACCES ? "let the shell open it: ctloader restore - <FILE" : NULL,
			    "%s", r->name);
	err = flowfile_open(&r->file, *data, size, why, sizeof(why));
	if (!err)
		return 0;
	return fail(why, err == -ENOTSUP ? "use the build that saved it, or a later one" : NULL, "%s",
		    r->name);
}

static int restore(struct instance *in, const char *path, bool json)
{
	struct restoring *r = calloc(1, sizeof(*r)); /* too large for a stack */
	uint8_t *data = NULL;
	int code = 1;

	if (!r)
		return fail(strerror(ENOMEM), NULL, "%s", path);
	if (!read_file(r, path, &data) && !instance_open(in) && !instance_lock(in) &&
	    !instance_open(in) && !table_open(&r->t, in)) {
		code = table_restore_open(&r->t) || restore_table(r);
		table_close(&r->t);
		if (!code)
			code = show_restored(r, json);
	}
	free(data);
	free(r);
	return code;
}

int cmd_restore(struct instance *in, int argc, char **argv)
{
	unsigned int formats = 0;
	struct opts o;
	int id;

	opts_init(&o, argc, argv, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0)
		if (out_parse(o.value, OUT_JSON, &formats))
			return 2;
	if (id < 0)
		return o.exit;
	if (o.argc != 1)
		return usage_error("name one file, or - for standard input", "FILE");
	return restore(in, o.argv[0], formats & OUT_JSON);
}
