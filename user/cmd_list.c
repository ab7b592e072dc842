// SPDX-License-Identifier: GPL-2.0-only
/* list, get, count: what is in the table. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "filter.h"
#include "fmt.h"
#include "log.h"
#include "out.h"
#include "table.h"

#define FLOW_FORMATS (OUT_JSON | OUT_EXTENDED | OUT_ID | OUT_TIMESTAMP | OUT_KTIMESTAMP)

/* What the command line of these commands asks for. */
struct request {
	struct ct_filter filter;
	unsigned int formats;
};

/*
 * Read the options of the filter and -o; `accepted` are the formats the command has. True to go
 * on; else the command returns *code.
 */
static bool read_request(struct opts *o, unsigned int accepted, struct request *r, int *code)
{
	int id;

	memset(r, 0, sizeof(*r));
	*code = 0;
	while (!*code && (id = opts_next(o)) > 0)
		*code = id == 'o' ? out_parse(o->value, accepted, &r->formats) :
				    filter_option(&r->filter, id, o->value);
	if (*code)
		return false;
	if (id < 0) {
		*code = o->exit;
		return false;
	}
	*code = opts_no_arguments(o);
	if (!*code)
		*code = filter_check(&r->filter);
	return !*code;
}

/* --- list ------------------------------------------------------------------------------------- */

struct listing {
	const struct request *request;
	uint64_t shown;
	struct json json;
};

static bool list_flow(const struct ct_flow *flow, const struct ct_clock *clock, void *arg)
{
	struct listing *l = arg;
	char line[FMT_LINE], *end;

	l->shown++;
	if (l->request->formats & OUT_JSON) {
		fmt_flow_json(&l->json, NULL, flow, clock);
	} else {
		end = fmt_flow(line, flow, clock, l->request->formats);
		*end++ = '\n';
		fwrite_unlocked(line, 1, (size_t)(end - line), stdout);
	}
	/* Whoever reads us may have gone. */
	return !ferror_unlocked(stdout);
}

static int show_list(struct table *t, const struct request *r)
{
	struct listing l = { .request = r };
	int err;

	json_init(&l.json, stdout);
	if (r->formats & OUT_JSON)
		json_array_lines(&l.json, NULL);
	err = table_each(t, &r->filter, list_flow, &l);
	if (r->formats & OUT_JSON)
		json_array_end(&l.json);
	json_flush(&l.json);
	if (err)
		return fail(strerror(-err), NULL, "the table can't be read");
	if (!ferror(stdout) && !fflush(stdout))
		out_summary(stderr, "%" PRIu64 " flow entries have been shown.", l.shown);
	return 0;
}

int cmd_list(struct instance *in, int argc, char **argv)
{
	struct request r;
	struct table t;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, filter_options, out_options_flow, NULL);
	if (!read_request(&o, FLOW_FORMATS, &r, &code))
		return code;
	if (instance_open(in) || table_open(&t, in))
		return 1;
	code = show_list(&t, &r);
	table_close(&t);
	return code;
}

/* --- get -------------------------------------------------------------------------------------- */

static void show_one(const struct ct_flow *flow, const struct ct_clock *clock,
		     unsigned int formats)
{
	char line[FMT_LINE];
	struct json j;

	if (formats & OUT_JSON) {
		json_init(&j, stdout);
		fmt_flow_json(&j, NULL, flow, clock);
		json_flush(&j);
	} else {
		fmt_flow(line, flow, clock, formats);
		puts(line);
	}
	out_summary(stderr, "1 flow entries have been shown.");
}

static int get_flow(struct table *t, const struct ct_tuple *tuple, unsigned int formats)
{
	char text[FMT_LINE];
	struct ct_flow flow;
	int err = table_get(t, tuple, &flow);

	if (!err) {
		show_one(&flow, &t->clock, formats);
		return 0;
	}
	fmt_tuple(text, tuple);
	return fail(err == -ENOENT ? "no such flow" : strerror(-err), NULL, "%s %s",
		    fmt_proto(tuple->proto), text);
}

int cmd_get(struct instance *in, int argc, char **argv)
{
	struct ct_tuple tuple;
	struct request r;
	struct table t;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, filter_options, out_options_flow, NULL);
	if (!read_request(&o, FLOW_FORMATS, &r, &code))
		return code;
	code = filter_tuple(&r.filter, &tuple);
	if (code)
		return code;
	if (instance_open(in) || table_open(&t, in))
		return 1;
	code = get_flow(&t, &tuple, r.formats);
	table_close(&t);
	return code;
}

/* --- count ------------------------------------------------------------------------------------ */

static int show_count(struct table *t, const struct request *r)
{
	uint64_t flows = 0;
	long n = 0;

	/* Without a filter the number is kept ready. */
	if (r->filter.fields)
		n = table_count_matching(t, &r->filter);
	else
		n = table_count(t, &flows);
	if (n < 0)
		return fail(strerror((int)-n), NULL, "the table can't be read");
	if (r->filter.fields)
		flows = (uint64_t)n;
	if (r->formats & OUT_JSON)
		printf("{\"count\":%" PRIu64 "}\n", flows);
	else
		printf("%" PRIu64 "\n", flows);
	return 0;
}

int cmd_count(struct instance *in, int argc, char **argv)
{
	struct request r;
	struct table t;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, filter_options, out_options_json, NULL);
	if (!read_request(&o, OUT_JSON, &r, &code))
		return code;
	if (instance_open(in) || table_open(&t, in))
		return 1;
	code = show_count(&t, &r);
	table_close(&t);
	return code;
}
