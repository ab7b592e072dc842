// SPDX-License-Identifier: GPL-2.0-only
#include "setting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ct_config.h"
#include "instance.h"
#include "log.h"
#include "opts.h"

/* Timeouts, in seconds. With 0 every flow would be a miss from its beginning. */
#define SECONDS_LEAST 1
#define SECONDS_MOST  INT32_MAX

const struct setting settings_known[SETTINGS] = {
#define X(id, key, seconds, help) { #key, CT_T_##id, -1, seconds, SECONDS_MOST, help },
	CT_TIMEOUTS(X)
#undef X
#define X(id, key, value, largest, help) { #key, -1, CT_K_##id, value, largest, help },
	CT_KNOBS(X)
#undef X
};

/* full=pass|drop and the like: the words of their numbers. */
static const char *const fates[] = { "pass", "drop" };

const char *setting_word(const struct setting *setting, uint64_t value)
{
	return CT_KNOB_IS_FATE(setting->knob) ? fates[value != 0] : NULL;
}

const struct setting *setting_find(const char *name)
{
	static const char prefix[] = "nf_conntrack_";
	const char *plain = name;
	struct nearest near;
	char why[128] = "unknown setting (see 'ctloader set -h')";

	if (!strncmp(name, prefix, strlen(prefix)))
		plain += strlen(prefix);
	nearest_init(&near, plain);
	for (size_t i = 0; i < SETTINGS; i++) {
		if (!strcmp(settings_known[i].name, plain))
			return &settings_known[i];
		nearest_try(&near, settings_known[i].name);
	}
	if (near.best)
		snprintf(why, sizeof(why), "unknown setting; did you mean %s?", near.best);
	usage_error(why, "%s", name);
	return NULL;
}

static int parse_fate(const struct setting *setting, const char *text, uint64_t *value)
{
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
		if (strcmp(text, fates[i]))
			continue;
		*value = i;
		return 0;
	}
	return usage_error("it is pass or drop", "%s=%s", setting->name, text);
}

static int parse_value(const struct setting *setting, const char *text, uint64_t *value)
{
	uint64_t least = setting->timeout >= 0 ? SECONDS_LEAST : setting->knob == CT_K_MAX;
	char why[64];

	if (CT_KNOB_IS_FATE(setting->knob))
		return parse_fate(setting, text, value);
	if (number_parse(text, least, setting->most, value))
		return 0;
	snprintf(why, sizeof(why), "not a number%s from %" PRIu64 " to %" PRIu64,
		 setting->timeout >= 0 ? " of seconds" : "", least, setting->most);
	return usage_error(why, "%s=%s", setting->name, text);
}

int setting_parse(char *argument, struct change *change)
{
	char *equals = strchr(argument, '=');

	if (!equals)
		return usage_error("no '='; settings are given as KEY=VALUE", "%s", argument);
	*equals = '\0';
	change->setting = setting_find(argument);
	*equals = '=';
	if (!change->setting)
		return 2;
	return parse_value(change->setting, equals + 1, &change->value);
}

uint64_t setting_value(const struct ct_settings *s, const struct setting *setting)
{
	unsigned int hz = clock_hz();
	uint64_t ticks;

	if (setting->knob >= 0)
		return __atomic_load_n(&CT_KNOB_OF(s)[setting->knob], __ATOMIC_RELAXED);
	ticks = __atomic_load_n(&CT_TIMEOUT_OF(s)[setting->timeout], __ATOMIC_RELAXED);
	return (ticks + hz / 2) / hz;
}
