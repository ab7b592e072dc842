// SPDX-License-Identifier: GPL-2.0-only
/* delete, update, create: changing flows. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../bpf/parse.h"
#include "cmd.h"
#include "filter.h"
#include "fmt.h"
#include "listener.h"
#include "log.h"
#include "out.h"
#include "table.h"

enum { OPT_MARK = OPT_LONG, OPT_ORIG_VTAG, OPT_REPLY_VTAG };

static const struct opt update_options[] = {
	{ OPT_MARK, "mark", "MARK[/MASK]", NULL,
	  "new mark: the bits of the mask are cleared, then MARK is XORed" },
	{ 't', "timeout", "SECONDS", NULL, "how long the flow lasts from now on" },
	{ 0 },
};

static const struct opt create_options[] = {
	{ 't', "timeout", "SECONDS", NULL, "how long the flow lasts" },
	{ OPT_ORIG_VTAG, "orig-vtag", "TAG", NULL, "SCTP's tag in the original direction" },
	{ OPT_REPLY_VTAG, "reply-vtag", "TAG", NULL, "SCTP's tag in the replies" },
	{ 0 },
};

/* What the command line asks for. */
struct wanted {
	struct ct_request request; /* its filter: FILTER, or TUPLE and what else a new flow has */
	bool marked, timed;        /* --mark, --timeout were given */
	bool tagged[CT_DIRS];
	__be32 tag[CT_DIRS];
	bool json;
};

static int take_number(const char *option, const char *value, uint32_t *number, bool *given)
{
	uint64_t n;

	if (!number_parse(value, 0, UINT32_MAX, &n))
		return usage_error("not a number of 32 bits", "%s %s", option, value);
	*number = (uint32_t)n;
	*given = true;
	return 0;
}

static int take_tag(struct wanted *w, enum ct_dir dir, const char *option, const char *value)
{
	uint32_t tag = 0;
	int code = take_number(option, value, &tag, &w->tagged[dir]);

	w->tag[dir] = htonl(tag);
	return code;
}

static int take_option(struct wanted *w, int id, const char *value)
{
	struct ct_request *r = &w->request;
	unsigned int formats = 0;

	switch (id) {
	case OPT_MARK:
		w->marked = true;
		return mark_parse("--mark", value, &r->mark, &r->mark_mask);
	case 't':
		return take_number("--timeout", value, &r->timeout, &w->timed);
	case OPT_ORIG_VTAG:
		return take_tag(w, CT_ORIGINAL, "--orig-vtag", value);
	case OPT_REPLY_VTAG:
		return take_tag(w, CT_REPLY, "--reply-vtag", value);
	case 'o':
		w->json = true;
		return out_parse(value, OUT_JSON, &formats);
	default:
		return filter_option(&r->filter, id, value);
	}
}

/* Read the options. True to go on; else the command returns *code. */
static bool read_wanted(struct opts *o, struct wanted *w, int *code)
{
	int id;

	memset(w, 0, sizeof(*w));
	*code = 0;
	while (!*code && (id = opts_next(o)) > 0)
		*code = take_option(w, id, o->value);
	if (!*code && id < 0) {
		*code = o->exit;
		return false;
	}
	if (!*code)
		*code = opts_no_arguments(o);
	if (!*code)
		*code = filter_check(&w->request.filter);
	return !*code;
}

/* Hold the instance, so that nobody replaces the table meanwhile. 0 or 1, reported. */
static int open_table(struct table *t, struct instance *in)
{
	return instance_open(in) || instance_lock(in) || instance_open(in) || table_open(t, in);
}

/* Say how many; 1 if that is none. */
static int show_number(long n, const char *done, bool json)
{
	if (json)
		printf("{\"%s\":%ld}\n", done, n);
	else
		out_summary(stdout, "%ld flow entries have been %s.", n, done);
	return n ? 0 : 1;
}

/* --- delete, update --------------------------------------------------------------------------- */

/* The one flow of a tuple. How many that was, or -errno. */
static long change_one(struct table *t, const struct ct_tuple *tuple, const struct ct_request *r)
{
	struct ct_flow flow;
	int err;

	if (r->action == CT_ACTION_UPDATE) {
		err = table_update(t, tuple, r);
	} else {
		err = table_get(t, tuple, &flow);
		if (!err)
			err = table_delete(t, &flow, CT_END_DELETED);
	}
	return err == -ENOENT ? 0 : err ? err : 1;
}

struct changing {
	struct table t;
	const struct ct_request *r;
};

static long change_flows(void *arg)
{
	struct changing *c = arg;
	struct ct_tuple tuple;

	return filter_is_tuple(&c->r->filter, &tuple) ? change_one(&c->t, &tuple, c->r) :
							table_change(&c->t, c->r, CT_END_DELETED);
}

static int change(struct instance *in, const struct wanted *w, const char *done)
{
	struct changing c = { .r = &w->request };
	long n;

	if (open_table(&c.t, in))
		return 1;
	n = listeners_told(in, change_flows, &c);
	table_close(&c.t);
	if (n == -ENOENT)
		return 1; /* reported */
	if (n < 0)
		return fail(strerror((int)-n), NULL, "the table can't be changed");
	return show_number(n, done, w->json);
}

int cmd_delete(struct instance *in, int argc, char **argv)
{
	struct wanted w;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, filter_options, out_options_json, NULL);
	if (!read_wanted(&o, &w, &code))
		return code;
	if (!w.request.filter.fields)
		return usage_error("say which flows; 'ctloader flush' deletes them all", "FILTER");
	w.request.action = CT_ACTION_DELETE;
	return change(in, &w, "deleted");
}

int cmd_update(struct instance *in, int argc, char **argv)
{
	struct wanted w;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, update_options, filter_options, out_options_json, NULL);
	if (!read_wanted(&o, &w, &code))
		return code;
	if (!w.request.filter.fields)
		return usage_error("say which flows; '-s 0.0.0.0/0' is all of IPv4", "FILTER");
	if (!w.marked && !w.timed)
		return usage_error("say what is to change", "--mark, --timeout");
	w.request.action = CT_ACTION_UPDATE;
	w.request.set_timeout = w.timed;
	return change(in, &w, "updated");
}

/* --- create ----------------------------------------------------------------------------------- */

static int check_state(const struct wanted *w)
{
	const struct ct_filter *f = &w->request.filter;

	if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_SCTP)
		return 0;
	if (!(f->fields & CT_FILTER_STATE))
		return usage_error("missing; flows of this protocol have one", "--state");
	if (f->proto == IPPROTO_TCP ? f->tcp_state == CT_TCP_NONE : f->sctp_state == CT_SCTP_NONE)
		return usage_error("no flow is in this state", "--state NONE");
	if (f->proto == IPPROTO_SCTP && !(w->tagged[CT_ORIGINAL] && w->tagged[CT_REPLY]))
		return usage_error("missing; SCTP's packets are known by them",
				   "--orig-vtag, --reply-vtag");
	return 0;
}

/* Only what packets could have made. 0, or 2 (reported). */
static int check_new(const struct wanted *w, const struct ct_tuple *tuple)
{
	const struct ct_filter *f = &w->request.filter;
	uint8_t type = (uint8_t)(ntohs(tuple->dport) >> 8);

	if (!w->timed || !w->request.timeout)
		return usage_error("say for how many seconds, one at least", "--timeout");
	if ((tuple->proto == IPPROTO_ICMP || tuple->proto == IPPROTO_ICMPV6) && !ct_is_icmp(tuple))
		return usage_error("not a protocol of this family", "-p %u", tuple->proto);
	if (ct_is_icmp(tuple) && ct_icmp_kind(tuple->family, type) != CT_ICMP_REQUEST)
		return usage_error("not a request, and nothing else begins a flow", "--icmp-type %u",
				   type);
	if (f->fields & CT_FILTER_MARK && f->mark_mask != UINT32_MAX)
		return usage_error("a new flow's mark has no mask", "--mark");
	if (f->status & ~(CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED))
		return usage_error("a new flow is SEEN_REPLY, ASSURED, both, or UNSET", "-u");
	if (f->unset && f->status & (CT_S_SEEN_REPLY | CT_S_ASSURED))
		return usage_error("UNSET and another", "-u");
	if (f->proto != IPPROTO_SCTP && (w->tagged[CT_ORIGINAL] || w->tagged[CT_REPLY]))
		return usage_error("tags are SCTP's", "--orig-vtag, --reply-vtag");
	return check_state(w);
}

/* The tuple, and the rest. 0, or 2 (reported). */
static int describe(const struct wanted *w, struct ct_flow *flow)
{
	struct ct_filter f = w->request.filter;
	int code;

	memset(flow, 0, sizeof(*flow));
	f.fields &= ~(__u32)CT_FILTER_OF_ENTRY;
	code = filter_tuple(&f, &flow->tuple);
	if (!code)
		code = check_new(w, &flow->tuple);
	if (code)
		return code;
	flow->entry.mark = f.mark;
	flow->entry.status = f.status;
	if (f.proto == IPPROTO_TCP)
		flow->entry.state = f.tcp_state;
	if (f.proto == IPPROTO_SCTP) {
		flow->entry.state = f.sctp_state;
		memcpy(flow->entry.l4.sctp.tag, w->tag, sizeof(w->tag));
	}
	return 0;
}

static int create(struct table *t, const struct ct_flow *flow, const struct wanted *w)
{
	int err = table_create(t, flow, w->request.timeout);
	char text[FMT_LINE];

	if (!err)
		return show_number(1, "created", w->json);
	fmt_tuple(text, &flow->tuple);
	if (err == -EEXIST)
		return fail("exists already", "'ctloader update' changes it", "%s %s",
			    fmt_proto(flow->tuple.proto), text);
	if (err == -ENOSPC)
		return fail("the table is full of flows that may not be evicted",
			    "attach with a larger --max, or delete some", "%s %s",
			    fmt_proto(flow->tuple.proto), text);
	return fail(strerror(-err), NULL, "%s %s", fmt_proto(flow->tuple.proto), text);
}

int cmd_create(struct instance *in, int argc, char **argv)
{
	struct ct_flow flow;
	struct wanted w;
	struct table t;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, create_options, filter_options, out_options_json, NULL);
	if (!read_wanted(&o, &w, &code))
		return code;
	code = describe(&w, &flow);
	if (code)
		return code;
	if (open_table(&t, in))
		return 1;
	code = create(&t, &flow, &w);
	table_close(&t);
	return code;
}
