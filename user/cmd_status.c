// SPDX-License-Identifier: GPL-2.0-only
/* status: what there is of an instance, and where. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "cmd.h"
#include "log.h"
#include "mapped.h"
#include "object.h"
#include "opts.h"
#include "out.h"
#include "pins.h"
#include "setting.h"

static bool prog_info(const struct instance *in, const char *name, struct bpf_prog_info *info)
{
	char path[NAME_MAX + 16];
	__u32 len = sizeof(*info);
	int fd, err;

	snprintf(path, sizeof(path), PIN_PROGS "/%s", name);
	fd = instance_fd(in, path);
	memset(info, 0, sizeof(*info));
	if (fd < 0)
		return false;
	err = bpf_obj_get_info_by_fd(fd, info, &len);
	close(fd);
	return !err;
}

/* The programs that packets run through, in the order in which they do. */
static const char *const programs[] = {
	"ct_xdp",	"ct_xdp_in",	 "ct_xdp_confirm", "ct_tc_ingress",
	"ct_tc_egress", "ct_tc_in",	 "ct_tc_confirm",
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* Those that are not as they were made: in text nothing at all when there are none. */
static void show_settings(struct out *o, const struct ct_settings *s, uint64_t max)
{
	bool begun = o->json;

	if (begun)
		out_group(o, "settings");
	for (int i = 0; i < SETTINGS; i++) {
		const struct setting *setting = &settings_known[i];
		uint64_t value = setting_value(s, setting);
		const char *word = setting_word(setting, value);

		if (value == (setting->knob == CT_K_MAX ? max : setting->usual))
			continue;
		if (!begun)
			out_group(o, "settings");
		begun = true;
		if (word)
			out_string(o, setting->name, word, NULL);
		else
			out_u64(o, setting->name, value, NULL);
	}
	if (begun)
		out_group_end(o);
}

static void show_words_json(struct json *j, const char *key, const struct words *words)
{
	const char *at = NULL, *sentence;
	char text[WORDS_SIZE];
	size_t length;

	json_array(j, key);
	while ((sentence = words_next(words, &at, &length))) {
		snprintf(text, sizeof(text), "%.*s", (int)length, sentence);
		json_string(j, NULL, text);
	}
	json_array_end(j);
}

static void show_words(const struct words *words)
{
	const char *at = NULL, *sentence;
	size_t length;

	while ((sentence = words_next(words, &at, &length)))
		printf("    %.*s\n", (int)length, sentence);
}

static void show_interfaces_json(struct json *j, const struct hooking *h, int n)
{
	json_array(j, "interfaces");
	for (int i = 0; i < n; i++) {
		json_object(j, NULL);
		json_string(j, "name", h[i].nic.name);
		json_u64(j, "ifindex", (uint64_t)h[i].nic.ifindex);
		json_string(j, "hook", hook_names[h[i].hook]);
		json_string(j, "method", hooking_method(&h[i]));
		if (h[i].there && h[i].hook != CT_HOOK_TC && h[i].xdp == ATTACH_XDP_LIBXDP)
			json_u64(j, "priority", h[i].prio);
		json_u64(j, "zone", h[i].zone);
		json_u64(j, "mark", h[i].mark);
		json_string(j, "state", h[i].there ? "attached" : "incomplete");
		show_words_json(j, "wrong", &h[i].wrong);
		show_words_json(j, "notes", &h[i].notes);
		json_object_end(j);
	}
	json_array_end(j);
}

/* Who else may read it. */
static void show_group(struct out *o, gid_t gid)
{
	const struct group *named = gid ? getgrgid(gid) : NULL;
	char number[16];

	snprintf(number, sizeof(number), "%u", gid);
	if (gid)
		out_string(o, "group", named ? named->gr_name : number, NULL);
}

static int show(const struct instance *in, const struct hooking *h, int n, bool json)
{
	struct ct_settings *s = mapped(in, "settings", sizeof(*s));
	struct ct_state *st = s ? mapped(in, "state", sizeof(*st)) : NULL;
	struct out o;

	if (!st) {
		mapped_release(s, sizeof(*s));
		return 1;
	}
	out_begin(&o, json);
	out_string(&o, "instance", in->name, NULL);
	out_string(&o, "pins", in->dir, NULL);
	show_group(&o, pins_group(in->dir));
	if (json) {
		show_interfaces_json(&o.writer, h, n);
		json_array(&o.writer, "programs");
		for (size_t i = 0; i < PROGRAMS; i++) {
			struct bpf_prog_info info;

			if (!prog_info(in, programs[i], &info))
				continue;
			json_object(&o.writer, NULL);
			json_string(&o.writer, "name", programs[i]);
			json_u64(&o.writer, "id", info.id);
			if (info.jited_prog_len)
				json_u64(&o.writer, "jited_bytes", info.jited_prog_len);
			json_object_end(&o.writer);
		}
		json_array_end(&o.writer);
	} else {
		out_group(&o, "interfaces");
		for (int i = 0; i < n; i++) {
			char text[128], mark[32] = "";

			if (h[i].mark)
				snprintf(mark, sizeof(mark), ", mark %u", h[i].mark);
			snprintf(text, sizeof(text), "%s (%s)%s%s", hook_names[h[i].hook],
				 hooking_method(&h[i]), mark,
				 h[i].there ? "" :
				 h[i].gone  ? ", gone: the next attach or detach clears it away" :
					      ", incomplete: attach it again to repair it");
			out_string(&o, h[i].nic.name, text, NULL);
			show_words(&h[i].wrong);
			show_words(&h[i].notes);
		}
		out_group_end(&o);
		bool begun = false;

		/* A group that may read sees none. */
		for (size_t i = 0; i < PROGRAMS; i++) {
			struct bpf_prog_info info;
			char text[64];

			if (!prog_info(in, programs[i], &info))
				continue;
			if (!begun)
				out_group(&o, "programs");
			begun = true;
			/* The kernel tells the size only who has CAP_BPF. */
			snprintf(text, sizeof(text), info.jited_prog_len ? "id %u, %u bytes" : "id %u",
				 info.id, info.jited_prog_len);
			out_string(&o, programs[i], text, NULL);
		}
		if (begun)
			out_group_end(&o);
	}
	out_group(&o, "table");
	out_u64(&o, "flows", __atomic_load_n(&st->flows, __ATOMIC_RELAXED), NULL);
	out_u64(&o, "max", s->knob.max, NULL);
	out_u64(&o, "size", st->max_slots, NULL);
	out_u64(&o, "unconfirmed", __atomic_load_n(&st->unconfirmed, __ATOMIC_RELAXED), NULL);
	out_group_end(&o);
	if (s->hz)
		show_settings(&o, s, st->max_slots);
	out_end(&o);
	mapped_release(s, sizeof(*s));
	mapped_release(st, sizeof(*st));
	return 0;
}

int cmd_status(struct instance *in, int argc, char **argv)
{
	struct hooking *h;
	int n, code;
	bool json;

	if (!out_alone(argc, argv, &json, &code))
		return code;
	if (instance_open(in))
		return 1;
	h = calloc(CT_IFACES, sizeof(*h));
	if (!h)
		return fail(strerror(ENOMEM), NULL, "interfaces");
	n = hookings_all(h, CT_IFACES, in);
	if (n == -ENOENT)
		code = instance_need(in, "ifaces") < 0; /* says why */
	else if (n < 0)
		code = fail(strerror(-n), NULL, "%s/ifaces", in->dir);
	else
		code = show(in, h, n, json);
	free(h);
	return code;
}
