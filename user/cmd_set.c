// SPDX-License-Identifier: GPL-2.0-only
/* set, show: the settings of an instance, in force at once. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "log.h"
#include "mapped.h"
#include "opts.h"
#include "out.h"
#include "repair.h"
#include "replace.h"
#include "setting.h"

/* One aligned word: a packet sees the value before or the value after. */
static void write_value(struct ct_settings *s, const struct change *c)
{
	if (c->setting->knob >= 0)
		__atomic_store_n(&CT_KNOB_OF(s)[c->setting->knob], (uint32_t)c->value,
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&CT_TIMEOUT_OF(s)[c->setting->timeout], c->value * clock_hz(),
				 __ATOMIC_RELAXED);
}

/* --- output ----------------------------------------------------------------------------------- */

/* "key = value", as sysctl(8) writes it, or a member of a JSON object. */
static void show_key(struct out *o, const struct ct_settings *s, const struct setting *setting)
{
	uint64_t value = setting_value(s, setting);
	const char *word = setting_word(setting, value);

	if (o->json && word)
		json_string(&o->writer, setting->name, word);
	else if (o->json)
		json_u64(&o->writer, setting->name, value);
	else if (word)
		printf("%s = %s\n", setting->name, word);
	else
		printf("%s = %" PRIu64 "\n", setting->name, value);
}

/* -h: what there is to set, behind the options. */
static void list_settings(void)
{
	puts("\nSettings (timeouts are in seconds):");
	for (int i = 0; i < SETTINGS; i++)
		printf("  %-32s %s\n", settings_known[i].name, settings_known[i].help);
}

/* Only -o: both commands have the same options. True to go on; else the command returns *code. */
static bool read_options(struct opts *o, unsigned int *formats, int *code)
{
	int id;

	*formats = 0;
	*code = 0;
	while (!*code && (id = opts_next(o)) > 0)
		*code = out_parse(o->value, OUT_JSON, formats);
	if (!*code && id < 0) {
		*code = o->exit;
		if (!*code)
			list_settings();
		return false;
	}
	return !*code;
}

/* --- set -------------------------------------------------------------------------------------- */

/* The last of a key's changes counts, so there are never more to remember than keys. */
static void remember(struct change *changes, size_t *n, const struct change *change)
{
	size_t i = 0;

	while (i < *n && changes[i].setting != change->setting)
		i++;
	changes[i] = *change;
	if (i == *n)
		(*n)++;
}

/*
 * Is the table as large as these changes want it? If not, another takes its place, with its flows.
 * 0 or 1, reported.
 */
static int fit_max(const struct instance *in, const struct change *changes, size_t n)
{
	struct replaced what;
	struct ct_state st;
	struct ct_epoch e;
	int code;

	for (; n && changes->setting->knob != CT_K_MAX; n--)
		changes++;
	if (!n)
		return 0;
	code = instance_check(in, &st);
	if (!code)
		code = instance_epoch(in, &e);
	if (code)
		return fail(strerror(-code), NULL, "%s", in->dir);
	if (changes->value <= st.max_slots)
		return 0;
	if (change_begin(in))
		return 1;
	code = replace(in, (uint32_t)changes->value, &what);
	if (code != 2)
		change_end(in, (int)e.life, true);
	return code != 0;
}

static int apply(const struct instance *in, const struct change *changes, size_t n, bool json)
{
	struct ct_settings *settings = mapped(in, "settings", sizeof(*settings));
	struct out out;

	if (!settings)
		return 1;
	out_begin(&out, json);
	for (size_t i = 0; i < n; i++) {
		write_value(settings, &changes[i]);
		show_key(&out, settings, changes[i].setting);
	}
	out_end(&out);
	mapped_release(settings, sizeof(*settings));
	return 0;
}

int cmd_set(struct instance *in, int argc, char **argv)
{
	struct change changes[SETTINGS], change;
	unsigned int formats;
	struct opts o;
	size_t n = 0;
	int code;

	opts_init(&o, argc, argv, out_options_json, NULL);
	if (!read_options(&o, &formats, &code))
		return code;
	if (!o.argc)
		return usage_error("what to set is missing", "KEY=VALUE");
	/* All of it is checked before any of it is written. */
	for (int i = 0; i < o.argc; i++) {
		if (setting_parse(o.argv[i], &change))
			return 2;
		remember(changes, &n, &change);
	}
	/* Locked, so that nobody replaces the settings meanwhile. */
	if (instance_open(in) || instance_lock(in) || instance_open(in) ||
	    fit_max(in, changes, n))
		return 1;
	return apply(in, changes, n, formats & OUT_JSON);
}

/* --- show ------------------------------------------------------------------------------------- */

static void show_keys(struct out *o, const struct ct_settings *s, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		show_key(o, s, setting_find(argv[i]));
	for (int i = 0; i < SETTINGS && !argc; i++)
		show_key(o, s, &settings_known[i]);
}

int cmd_show(struct instance *in, int argc, char **argv)
{
	struct ct_settings *settings;
	unsigned int formats;
	struct out out;
	struct opts o;
	int code;

	opts_init(&o, argc, argv, out_options_json, NULL);
	if (!read_options(&o, &formats, &code))
		return code;
	for (int i = 0; i < o.argc; i++)
		if (!setting_find(o.argv[i]))
			return 2;
	if (instance_open(in))
		return 1;
	settings = mapped(in, "settings", sizeof(*settings));
	if (!settings)
		return 1;
	out_begin(&out, formats & OUT_JSON);
	show_keys(&out, settings, o.argc, o.argv);
	out_end(&out);
	mapped_release(settings, sizeof(*settings));
	return 0;
}
