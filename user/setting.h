/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings by their keys: what KEY=VALUE means, and how a value is written. */
#ifndef SETTING_H
#define SETTING_H

#include <stdint.h>

#include "ct_proto.h"

struct ct_settings;

struct setting {
	const char *name;
	int timeout;    /* enum ct_timeout, or -1 */
	int knob;       /* enum ct_knob, or -1 */
	uint64_t usual; /* its default; timeouts are in seconds here */
	uint64_t most;
	const char *help;
};

#define SETTINGS (CT_T_MAX - 1 + CT_K_MAX_) /* CT_T_TCP_NONE is none */
extern const struct setting settings_known[SETTINGS];

struct change {
	const struct setting *setting;
	uint64_t value; /* seconds of a timeout */
};

/* With or without the kernel's prefix. NULL, reported, when there is none. */
const struct setting *setting_find(const char *name);
/* KEY=VALUE. 0, or 2 (reported). */
int setting_parse(char *argument, struct change *change);
/* The word for a value, "pass" or "drop"; NULL for settings that are numbers. */
const char *setting_word(const struct setting *setting, uint64_t value);

/* What is in force: seconds of a timeout. */
uint64_t setting_value(const struct ct_settings *s, const struct setting *setting);

#endif
