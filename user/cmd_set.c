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

/* Timeouts, in seconds. With 0 every flow would be a miss from its beginning. */
#define SECONDS_LEAST 1
#define SECONDS_MOST  INT32_MAX

/* Every setting by its key: a timeout, or a knob. */
static const struct key {
	const char *name;
	int timeout;   /* enum ct_timeout, or -1 */
	int knob;      /* enum ct_knob, or -1 */
	uint64_t most;
	const char *help;
} keys[] = {
#define X(id, name, seconds, help) { name, CT_T_##id, -1, SECONDS_MOST, help },
	CT_TIMEOUTS(X)
#undef X
#define X(id, name, value, largest, help) { name, -1, CT_K_##id, largest, help },
	CT_KNOBS(X)
#undef X
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* full=pass|drop and the like: the words of their numbers. */
static const char *const fates[] = { "pass", "drop" };

struct change {
	const struct key *key;
	uint64_t value; /* seconds of a timeout */
};

/* --- keys and values -------------------------------------------------------------------------- */

/* The key of that name, with or without the kernel's prefix. Reports when there is none. */
static const struct key *find_key(const char *name)
{
	static const char prefix[] = "nf_conntrack_";
	const char *plain = name;
	struct nearest near;
	char why[128] = "unknown setting (see 'ctloader show')";

	if (!strncmp(name, prefix, strlen(prefix)))
		plain += strlen(prefix);
	nearest_init(&near, plain);
	for (size_t i = 0; i < KEYS; i++) {
		if (!keys[i].name)
			continue;
		if (!strcmp(keys[i].name, plain))
			return &keys[i];
		nearest_try(&near, keys[i].name);
	}
	if (near.best)
		snprintf(why, sizeof(why), "unknown setting; did you mean %s?", near.best);
	usage_error(why, "%s", name);
	return NULL;
}

static int parse_fate(const struct key *key, const char *text, uint64_t *value)
{
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
		if (strcmp(text, fates[i]))
			continue;
		*value = i;
		return 0;
	}
	return usage_error("it is pass or drop", "%s=%s", key->name, text);
}

static int parse_value(const struct key *key, const char *text, uint64_t *value)
{
	uint64_t least = key->timeout >= 0 ? SECONDS_LEAST : key->knob == CT_K_MAX;
	char why[64];

	if (CT_KNOB_IS_FATE(key->knob))
		return parse_fate(key, text, value);
	if (number_parse(text, least, key->most, value))
		return 0;
	snprintf(why, sizeof(why), "not a number%s from %" PRIu64 " to %" PRIu64,
		 key->timeout >= 0 ? " of seconds" : "", least, key->most);
	return usage_error(why, "%s=%s", key->name, text);
}

static int parse_change(char *argument, struct change *change)
{
	char *equals = strchr(argument, '=');

	if (!equals)
		return usage_error("no '='; settings are given as KEY=VALUE", "%s", argument);
	*equals = '\0';
	change->key = find_key(argument);
	*equals = '=';
	if (!change->key)
		return 2;
	return parse_value(change->key, equals + 1, &change->value);
}

static uint64_t read_value(const struct ct_settings *s, const struct key *key)
{
	unsigned int hz = clock_hz();

	if (key->knob >= 0)
		return __atomic_load_n(&s->knob[key->knob], __ATOMIC_RELAXED);
	return (__atomic_load_n(&s->timeout[key->timeout], __ATOMIC_RELAXED) + hz / 2) / hz;
}

/* One aligned word: a packet sees the value before or the value after. */
static void write_value(struct ct_settings *s, const struct change *c)
{
	if (c->key->knob >= 0)
		__atomic_store_n(&s->knob[c->key->knob], (uint32_t)c->value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&s->timeout[c->key->timeout], c->value * clock_hz(),
				 __ATOMIC_RELAXED);
}

/* --- output ----------------------------------------------------------------------------------- */

/* "key = value", as sysctl(8) writes it, or a member of a JSON object. */
static void show_key(struct out *o, const struct ct_settings *s, const struct key *key)
{
	uint64_t value = read_value(s, key);
	const char *word = NULL;

	if (CT_KNOB_IS_FATE(key->knob))
		word = fates[value != 0];
	if (o->json && word)
		json_string(&o->writer, key->name, word);
	else if (o->json)
		json_u64(&o->writer, key->name, value);
	else if (word)
		printf("%s = %s\n", key->name, word);
	else
		printf("%s = %" PRIu64 "\n", key->name, value);
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
		return false;
	}
	return !*code;
}

/* --- set -------------------------------------------------------------------------------------- */

/* The last of a key's changes counts, so there are never more to remember than keys. */
static void remember(struct change *changes, size_t *n, const struct change *change)
{
	size_t i = 0;

	while (i < *n && changes[i].key != change->key)
		i++;
	changes[i] = *change;
	if (i == *n)
		(*n)++;
}

/* The indices are as large as they were made. 0 or 1, reported. */
static int check_max(const struct instance *in, const struct change *changes, size_t n)
{
	struct ct_state *state;
	char why[80];
	uint64_t slots;

	for (; n && changes->key->knob != CT_K_MAX; n--)
		changes++;
	if (!n)
		return 0;
	state = mapped(in, "state", sizeof(*state));
	if (!state)
		return 1;
	slots = __atomic_load_n(&state->max_slots, __ATOMIC_RELAXED);
	mapped_release(state, sizeof(*state));
	if (changes->value <= slots)
		return 0;
	snprintf(why, sizeof(why), "the table was made for %" PRIu64 " flows", slots);
	return fail(why, "detach, and attach again with --max", "max=%" PRIu64, changes->value);
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
		show_key(&out, settings, changes[i].key);
	}
	out_end(&out);
	mapped_release(settings, sizeof(*settings));
	return 0;
}

int cmd_set(struct instance *in, int argc, char **argv)
{
	struct change changes[KEYS], change;
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
		if (parse_change(o.argv[i], &change))
			return 2;
		remember(changes, &n, &change);
	}
	if (instance_open(in) || check_max(in, changes, n))
		return 1;
	return apply(in, changes, n, formats & OUT_JSON);
}

/* --- show ------------------------------------------------------------------------------------- */

static void show_keys(struct out *o, const struct ct_settings *s, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		show_key(o, s, find_key(argv[i]));
	for (size_t i = 0; i < KEYS && !argc; i++)
		if (keys[i].name)
			show_key(o, s, &keys[i]);
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
		if (!find_key(o.argv[i]))
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
