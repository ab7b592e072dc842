// SPDX-License-Identifier: GPL-2.0-only
/* attach and detach: the life of an instance. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "cmd.h"
#include "ending.h"
#include "log.h"
#include "mapped.h"
#include "object.h"
#include "opts.h"
#include "out.h"
#include "pins.h"
#include "policy.h"
#include "priv.h"
#include "repair.h"
#include "replace.h"
#include "table.h"
#include "xdpchain.h"

#define MAX_LEAST 64
#define MAX_MOST 0xffffff

enum { OPT_HOOK = OPT_LONG, OPT_CONFIRM, OPT_MAX, OPT_DROP_INVALID, OPT_POLICY, OPT_XDP,
       OPT_XDP_PRIO, OPT_TC, OPT_ZONE, OPT_MARK, OPT_GROUP, OPT_KEEP, OPT_ALL };

static const struct opt attach_options[] = {
	{ OPT_HOOK, "hook", "HOOK", "auto|native|generic|tc", "where packets come in; auto" },
	{ OPT_CONFIRM, "confirm", "WHERE", "auto|xdp", "where flows are confirmed; auto" },
	{ OPT_MAX, "max", "N", NULL, "flows the table is made for; by the machine's memory" },
	{ OPT_DROP_INVALID, "drop-invalid", NULL, NULL, "drop packets of class invalid" },
	{ OPT_ZONE, "zone", "N", NULL, "zone of the flows on these interfaces; 0" },
	{ OPT_MARK, "mark", "MARK", NULL, "mark of flows that begin at these interfaces; 0" },
	{ OPT_POLICY, "policy", "PATH", NULL, "a pinned program to run before confirm" },
	{ OPT_XDP, "xdp", "METHOD", "auto|libxdp|link", "how to attach to XDP; auto" },
	{ OPT_XDP_PRIO, "xdp-prio", "N", NULL, "priority in libxdp's chain; 15" },
	{ OPT_TC, "tc", "METHOD", "auto|tcx|clsact", "how to attach to tc; auto" },
	{ OPT_GROUP, "group", "GROUP", NULL,
	  "who may read the instance, by name or number; root: nobody else" },
	{ 0 },
};

static const struct opt detach_options[] = {
	{ OPT_KEEP, "keep", NULL, NULL, "keep table and settings for the next attach" },
	{ OPT_ALL, "all", NULL, NULL, "every interface of the instance" },
	{ 0 },
};

struct request {
	enum attach_hook hook;
	bool confirm_xdp;
	enum attach_tc tc;
	enum attach_xdp xdp;
	int prio; /* -1: not said */
	struct object_options object;
	const char *policy;
	__u16 zone;
	bool zoned; /* --zone was given */
	__u32 mark;
	bool marked; /* --mark was given */
	bool json;
	bool share;  /* with the members of ... */
	gid_t group; /* ... or, with 0, with nobody */
};

/* One of the words of an option, as its place among them; -1 (reported) if it is none. */
static int word(const char *option, const char *value, const char *const *words)
{
	char why[128] = "not one of";
	size_t at = strlen(why);

	for (int i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	for (int i = 0; words[i]; i++)
		at += (size_t)snprintf(why + at, sizeof(why) - at, "%s %s", i ? "," : "", words[i]);
	usage_error(why, "--%s %s", option, value);
	return -1;
}

static int parse_group(struct request *r, const char *text)
{
	const struct group *named;
	uint64_t gid;

	r->share = true;
	if (number_parse(text, 0, UINT32_MAX - 1, &gid)) {
		r->group = (gid_t)gid;
		return 0;
	}
	named = getgrnam(text);
	if (!named)
		return usage_error("no such group", "--group %s", text);
	r->group = named->gr_gid;
	return 0;
}

static int attach_option(struct request *r, int id, const char *value)
{
	static const char *const hooks[] = { "auto", "native", "generic", "tc", NULL };
	static const char *const confirms[] = { "auto", "xdp", NULL };
	static const char *const xdps[] = { "auto", "libxdp", "link", NULL };
	static const char *const tcs[] = { "auto", "tcx", "clsact", NULL };
	unsigned int formats = 0;
	uint64_t max, zone, mark, prio;
	int n = 0;

	switch (id) {
	case OPT_HOOK:
		n = word("hook", value, hooks);
		r->hook = (enum attach_hook)n;
		break;
	case OPT_CONFIRM:
		n = word("confirm", value, confirms);
		r->confirm_xdp = n == 1;
		break;
	case OPT_XDP:
		n = word("xdp", value, xdps);
		r->xdp = (enum attach_xdp)n;
		break;
	case OPT_XDP_PRIO:
		if (!number_parse(value, 0, CHAIN_PRIO_MOST, &prio))
			return usage_error("not a number from 0 to 65535", "--xdp-prio %s", value);
		r->prio = (int)prio;
		break;
	case OPT_TC:
		n = word("tc", value, tcs);
		r->tc = (enum attach_tc)n;
		break;
	case OPT_MAX:
		if (!number_parse(value, MAX_LEAST, MAX_MOST, &max))
			return usage_error("not a number from 64 to 16777215", "--max %s", value);
		r->object.max = (uint32_t)max;
		break;
	case OPT_DROP_INVALID:
		r->object.drop_invalid = true;
		break;
	case OPT_ZONE:
		if (!number_parse(value, 0, 0xffff, &zone))
			return usage_error("not a number from 0 to 65535", "--zone %s", value);
		r->zone = (__u16)zone;
		r->zoned = true;
		break;
	case OPT_MARK:
		if (!number_parse(value, 0, UINT32_MAX, &mark))
			return usage_error("not a number of 32 bits", "--mark %s", value);
		r->mark = (__u32)mark;
		r->marked = true;
		break;
	case OPT_POLICY:
		r->policy = value;
		break;
	case OPT_GROUP:
		return parse_group(r, value);
	default:
		if (out_parse(value, OUT_JSON, &formats))
			return 2;
		r->json = formats & OUT_JSON;
	}
	return n < 0 ? 2 : 0;
}

/* Interfaces that are attached already begin with another mark from now on. 0 or 1, reported. */
static int remark(const struct instance *in, struct hookings *hs, __u32 mark)
{
	for (size_t i = 0; i < hs->n; i++) {
		if (!hs->iface[i].there)
			continue;
		hs->iface[i].mark = mark;
		if (hooking_remark(in, &hs->iface[i]))
			return 1;
	}
	return 0;
}

/* What else was asked for, of a table that is there already. 0 or 1, reported. */
static int fit_existing(const struct instance *in, const struct request *r)
{
	struct ct_settings *s;
	struct replaced what;
	struct ct_state st;
	int code;

	code = instance_check(in, &st);
	if (code)
		return fail(strerror(-code), NULL, "%s/state", in->dir);
	if (r->object.max && r->object.max != st.max_slots) {
		/* It needs the stages in which the policy before is kept. */
		code = policy_settle(in, true);
		if (code)
			return fail(strerror(-code), NULL, "%s", in->dir);
		code = change_decide_at_switch(in) ? 1 : replace(in, r->object.max, &what);
	}
	if (code || !r->object.drop_invalid)
		return code;
	s = mapped(in, "settings", sizeof(*s));
	if (!s)
		return 2;
	__atomic_store_n(&s->knob.drop_invalid, 1, __ATOMIC_RELAXED);
	mapped_release(s, sizeof(*s));
	return code;
}

/*
 * Lock the instance and make sure it is whole. *fresh: it was made just now, and goes if the
 * attach fails.
 */
static int prepare(struct instance *in, const struct request *r, bool *fresh)
{
	bool cleared = false;
	struct ct_state st;
	int err;

	for (;;) {
		err = pins_make(in->name, in->dir, sizeof(in->dir), &in->lock);
		if (err) {
			in->lock = -1;
			if (err == -EPERM || err == -EACCES)
				return fail("permission denied", "run as root",
					    "no place for pins");
			if (err == -EUCLEAN || err == -ENODEV)
				return pins_report(err);
			if (err == -EBUSY)
				return instance_busy(in);
			return fail(strerror(-err), NULL, "no place for pins");
		}
		if (cleared)
			break;
		cleared = true;
		err = instance_has(in, "state");
		if (err && err != -ENOENT)
			return fail(strerror(-err), NULL, "%s/state", in->dir);
		if (err) { /* empty; or half of one: begin with nothing */
			err = pins_remove(in->dir, &in->lock);
			if (err)
				return fail(strerror(-err), NULL, "%s", in->dir);
			continue;
		}
		err = repair_due(in) ? repair(in) : 0;
		if (err == -ENOENT)
			continue;
		if (!err)
			err = instance_check(in, &st);
		*fresh = false;
		if (err && instance_open(in))
			return 1; /* and it has said why */
		/* Armed again in case that its loader was killed before it came to that. */
		return object_start_sweep(in) || change_begin(in);
	}
	*fresh = true;
	if (object_load(in, &r->object)) {
		pins_remove(in->dir, &in->lock);
		return 1;
	}
	return 0;
}

static void show_attached(const struct hookings *hs, bool json)
{
	struct json j;

	if (!json) {
		for (size_t i = 0; i < hs->n; i++) {
			const struct hooking *h = &hs->iface[i];

			printf("%s: %s (%s): %s\n", h->nic.name, hook_names[h->hook],
			       hooking_method(h), h->why);
		}
		return;
	}
	json_init(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", hs->in->name);
	json_array(&j, "interfaces");
	for (size_t i = 0; i < hs->n; i++) {
		const struct hooking *h = &hs->iface[i];

		json_object(&j, NULL);
		json_string(&j, "name", h->nic.name);
		json_u64(&j, "ifindex", (uint64_t)h->nic.ifindex);
		json_string(&j, "hook", hook_names[h->hook]);
		json_string(&j, "method", hooking_method(h));
		json_string(&j, "why", h->why);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_flush(&j);
}

/* Choose a hook for every interface. `in` is NULL when there is no instance yet. */
static int plan_all(const struct instance *in, struct hookings *hs, char **names,
		    const struct request *r)
{
	for (size_t i = 0; i < hs->n; i++) {
		if (hooking_plan(&hs->iface[i], in, names[i], r->hook, r->xdp,
				 r->confirm_xdp))
			return 1;
		if (hs->iface[i].there)
			continue;
		if (r->tc != ATTACH_TC_AUTO || !hs->iface[i].repaired)
			hs->iface[i].tc = r->tc;
		if (r->zoned || !hs->iface[i].repaired)
			hs->iface[i].zone = r->zone;
		if (r->marked || !hs->iface[i].repaired)
			hs->iface[i].mark = r->mark;
		if (r->prio >= 0 || !hs->iface[i].repaired)
			hs->iface[i].prio = r->prio < 0 ? CHAIN_PRIO : (unsigned int)r->prio;
	}
	return 0;
}

/*
 * Hooks are in place: decide, and finish. 0; 1, reported: nothing was decided; 2, reported: the
 * next command finishes it.
 */
static int decide(const struct instance *in, struct hookings *hs, const struct request *r,
		  bool fresh)
{
	int code = fresh ? 0 : fit_existing(in, r), err;

	if (!code && r->marked)
		code = remark(in, hs, r->mark);
	if (code)
		return code;
	if (change_decide(in))
		return 1;
	err = policy_settle(in, true);
	if (err)
		fail(strerror(-err), NULL, "--policy %s", r->policy);
	if (!err && !hookings_keep(hs))
		return 0;
	return fresh ? 1 : 2; /* what was never there goes again at once */
}

/* What is left of interfaces that are not in this network namespace any more. 0 or 1, reported. */
static int clean_gone(const struct instance *in)
{
	struct hooking *all = calloc(CT_IFACES, sizeof(*all));
	struct hookings gone = { in, all, 0 };
	int n, code = 0;

	if (!all)
		return fail(strerror(ENOMEM), NULL, "interfaces");
	n = hookings_all(all, CT_IFACES, in);
	if (n < 0)
		code = fail(strerror(-n), NULL, "%s/ifaces", in->dir);
	for (int i = 0; i < n; i++)
		if (all[i].gone)
			all[gone.n++] = all[i];
	if (gone.n)
		code = hookings_mark(&gone, CT_IF_COMING) || hookings_detach(&gone, ATTACH_SAFE);
	free(all);
	return code;
}

/*
 * Take interfaces into the instance: plan all, then clear up what is half there, then attach. 0; 1:
 * as it was before; 2: the next command finishes it, or takes it back.
 */
static int attach_all(const struct instance *in, struct hookings *hs, char **names,
		      const struct request *r, bool fresh)
{
	struct hooking old;
	int code, err;

	hs->in = in;
	if (plan_all(in, hs, names, r) || clean_gone(in))
		return 1;
	for (size_t i = 0; i < hs->n; i++) {
		struct hookings half = { in, &old, 1 };

		if (hs->iface[i].there)
			continue;
		err = hooking_find(&old, in, hs->iface[i].nic.ifindex);
		if (err == -ENOENT)
			continue;
		if (err)
			return fail(strerror(-err), NULL, "%s", hs->iface[i].nic.name);
		old.there = false;
		if (hookings_mark(&half, CT_IF_COMING) || hookings_detach(&half, ATTACH_SAFE))
			return 2;
	}
	/* Nobody was attached: the packets since then have passed unseen. */
	if (!fresh && !hookings_all(NULL, 0, in)) {
		err = table_relearn(in);
		if (err)
			return fail(strerror(-err), NULL, "the windows of %s", in->name);
	}
	code = r->policy && policy_set(in, r->policy);
	if (!code)
		code = hookings_attach(hs, ATTACH_SAFE);
	if (!code) {
		code = decide(in, hs, r, fresh);
		if (code == 1)
			hookings_detach(hs, ATTACH_SAFE);
	}
	return code == 1 && policy_settle(in, false) ? 2 : code;
}

/* The change has ended; *code says how, and says it afterwards. */
static void attached(struct instance *in, const struct hookings *hs, bool fresh, int *code)
{
	bool half = *code == 2;
	struct ct_epoch e;

	for (size_t i = 0; i < hs->n; i++)
		half |= hs->iface[i].half;
	if (*code && fresh && !half) {
		pins_remove(in->dir, &in->lock);
	} else if (*code == 1) {
		if (!instance_epoch(in, &e))
			change_end(in, (int)e.life, !half);
	} else {
		change_end(in, CT_LIFE_RUNNING, !half);
	}
	*code = *code != 0;
}

static int share(const struct instance *in, const struct request *r)
{
	int err = r->share ? pins_share(in->dir, r->group) : 0;

	return err ? fail(strerror(-err), NULL, "sharing %s", in->dir) : 0;
}

int cmd_attach(struct instance *in, int argc, char **argv)
{
	struct request r = { .prio = -1 };
	struct hookings hs = {};
	bool fresh = false;
	struct opts o;
	int id, code;

	opts_init(&o, argc, argv, attach_options, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0) {
		code = attach_option(&r, id, o.value);
		if (code)
			return code;
	}
	if (id < 0)
		return o.exit;
	if (!o.argc)
		return usage_error("name at least one", "IFACE");
	if (r.xdp == ATTACH_XDP_LINK && r.prio >= 0)
		return usage_error("a link has no priority", "--xdp-prio %d", r.prio);
	for (int i = 0; i < o.argc; i++)
		for (int k = 0; k < i; k++)
			if (!strcmp(o.argv[i], o.argv[k]))
				return usage_error("named twice", "%s", o.argv[i]);

	if (priv_check() || (r.share && pins_may_share(r.group)))
		return 1;
	hs.n = (size_t)o.argc;
	hs.iface = calloc(hs.n, sizeof(*hs.iface));
	if (!hs.iface)
		return fail(strerror(ENOMEM), NULL, "%d interfaces", o.argc);
	/* Look at the interfaces before anything is made for them. */
	code = pins_find(in->name, in->dir, sizeof(in->dir)) ? plan_all(NULL, &hs, o.argv, &r) : 0;
	if (!code) {
		pins_each(orphan_clear, NULL);
		code = prepare(in, &r, &fresh);
	}
	if (!code) {
		code = attach_all(in, &hs, o.argv, &r, fresh);
		attached(in, &hs, fresh, &code);
	}
	if (!code)
		code = share(in, &r);
	if (!code)
		show_attached(&hs, r.json);
	free(hs.iface);
	return code;
}

/* What a detach has done; `flows` is negative where nobody knows how many there were. */
static void show_detached(const struct hookings *hs, bool gone, bool kept, long flows, bool json)
{
	if (json) {
		struct json j;

		json_init(&j, stdout);
		json_object(&j, NULL);
		json_string(&j, "instance", hs->in->name);
		json_array(&j, "interfaces");
		for (size_t i = 0; i < hs->n; i++)
			json_string(&j, NULL, hs->iface[i].nic.name);
		json_array_end(&j);
		json_bool(&j, "gone", gone);
		if (flows >= 0)
			json_u64(&j, "destroyed", (uint64_t)flows);
		json_object_end(&j);
		json_flush(&j);
		return;
	}
	for (size_t i = 0; i < hs->n; i++)
		printf("%s: detached\n", hs->iface[i].nic.name);
	if (gone && flows < 0)
		printf("instance %s is gone\n", hs->in->name);
	else if (gone)
		printf("instance %s is gone, with %ld flows\n", hs->in->name, flows);
	else if (kept)
		printf("instance %s keeps its table for the next attach\n", hs->in->name);
}

static int detach(struct instance *in, struct hookings *hs, bool last, bool keep, bool json)
{
	long flows = -1;
	struct ct_epoch e;
	int code, life;

	code = instance_epoch(in, &e);
	if (code)
		return fail(strerror(-code), NULL, "%s/epoch", in->dir);
	if (change_begin(in))
		return 1;
	if (hookings_mark(hs, CT_IF_LEAVING))
		return 1;
	/* From here on whoever finds it half done finishes it. */
	life = !last ? (int)e.life : keep ? CT_LIFE_KEPT : CT_LIFE_ENDING;
	if (change_life(in, life) || change_decide(in))
		return 1;
	code = hookings_detach(hs, ATTACH_SAFE);
	if (code)
		return code; /* the next command tries again */
	if (last && !keep) {
		int err;

		flows = instance_end(in);
		if (flows < 0 && !instance_damaged(in))
			return 1; /* likewise */
		err = pins_remove(in->dir, &in->lock);
		if (err)
			code = fail(strerror(-err), NULL, "%s", in->dir);
		if (flows < 0)
			code = 1;
	} else {
		code = change_end(in, life, true);
	}
	if (code)
		return code;
	show_detached(hs, last && !keep, last && keep, flows, json);
	return 0;
}

int cmd_detach(struct instance *in, int argc, char **argv)
{
	struct hooking *all = NULL;
	struct hookings hs = {};
	bool keep = false, every = false, json = false;
	struct opts o;
	int id, n, code = 1;

	opts_init(&o, argc, argv, detach_options, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0) {
		unsigned int formats = 0;

		if (id == OPT_KEEP)
			keep = true;
		else if (id == OPT_ALL)
			every = true;
		else if (out_parse(o.value, OUT_JSON, &formats))
			return 2;
		else
			json = formats & OUT_JSON;
	}
	if (id < 0)
		return o.exit;
	if (!o.argc && !every)
		return usage_error("name at least one, or use --all", "IFACE");
	if (o.argc && every)
		return usage_error("either --all or interfaces", "%s", o.argv[0]);
	if (priv_check())
		return 1;
	if (every && !pins_find(in->name, in->dir, sizeof(in->dir)) && !orphan_remove(in))
		return 0;
	/* A detach that was killed before is finished first: that may be all there is to do. */
	if (!pins_find(in->name, in->dir, sizeof(in->dir)) && repair_due(in) &&
	    !pins_may_remove(in->dir) && repair(in) == -ENOENT) {
		struct hookings none = { in, NULL, 0 };

		pins_tidy(true);
		show_detached(&none, true, false, -1, json);
		return 0;
	}
	if (instance_open(in) || pins_may_remove(in->dir) || instance_lock(in) || instance_open(in))
		return 1;

	all = calloc(CT_IFACES, sizeof(*all));
	hs.iface = calloc(CT_IFACES, sizeof(*all));
	if (!all || !hs.iface) {
		fail(strerror(ENOMEM), NULL, "interfaces");
		goto out;
	}
	hs.in = in;
	n = hookings_all(all, CT_IFACES, in);
	if (n < 0) {
		fail(strerror(-n), NULL, "%s/ifaces", in->dir);
		goto out;
	}
	/* Those that have gone are cleared away by the way. */
	for (int i = 0; i < n; i++)
		if (every || all[i].gone)
			hs.iface[hs.n++] = all[i];
	for (int i = 0; i < o.argc; i++) {
		int k;

		for (k = 0; k < n && strcmp(all[k].nic.name, o.argv[i]); k++)
			;
		if (k == n) {
			if (if_nametoindex(o.argv[i]))
				fail("not attached", "see 'ctloader status'", "%s", o.argv[i]);
			else
				fail("no such interface", "see 'ctloader status'", "%s", o.argv[i]);
			goto out;
		}
		if (all[k].gone)
			continue;
		for (size_t j = 0; j < hs.n; j++)
			if (hs.iface[j].nic.ifindex == all[k].nic.ifindex) {
				code = usage_error("named twice", "%s", o.argv[i]);
				goto out;
			}
		hs.iface[hs.n++] = all[k];
	}
	for (size_t i = 0; i < hs.n; i++) {
		hs.iface[i].there = false;
		/* libxdp finds what is in a chain by its id. */
		if (hs.iface[i].xdp == ATTACH_XDP_LIBXDP && priv_need(CAP(SYS_ADMIN)))
			goto out;
	}
	code = detach(in, &hs, hs.n == (size_t)n, keep, json);
out:
	free(all);
	free(hs.iface);
	return code;
}
