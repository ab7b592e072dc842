// SPDX-License-Identifier: GPL-2.0-only
#include "priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

/* Those that messages have names for: all that a command may keep. */
static const struct {
	int cap;
	const char *name;
} names[] = {
#define X(name)                                                                                    \
	{                                                                                          \
		CAP_##name, "CAP_" #name                                                           \
	}
	X(BPF), X(NET_ADMIN), X(PERFMON), X(SYS_ADMIN), X(SYS_CHROOT), X(SYS_PTRACE), X(CHOWN),
#undef X
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static uint64_t permitted, effective, needed;
static uint64_t constant; /* of those in force what priv_lower() leaves there */
static bool limited; /* else all that there was is in force */

/* --- the environment -------------------------------------------------------------------------- */

/* A zone's name or rule, which is no way to another file than the system's. */
static bool zone_name(const char *tz)
{
	if (!isalnum((unsigned char)*tz) && *tz != '<')
		return false;
	for (const char *c = tz; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("+-_:,./<>", *c))
			return false;
	return !strstr(tz, "..") && strlen(tz) < 64;
}

/*
 * Libraries read variables that name files, places to mount and what to skip. The time zone is the
 * only one that means something to us.
 */
static void clear_environment(void)
{
	const char *tz = getenv("TZ");
	char zone[64] = "";

	if (tz && zone_name(tz))
		snprintf(zone, sizeof(zone), "%s", tz);
	clearenv();
	if (*zone)
		setenv("TZ", zone, 1);
}

void priv_start(void)
{
	clear_environment();
	umask(077);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* --- capabilities ----------------------------------------------------------------------------- */

static void caps_get(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {};

	syscall(SYS_capget, &header, data);
	permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Fewer than there were is always possible. */
static void caps_set(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ .permitted = (uint32_t)permitted, .effective = (uint32_t)effective },
		{ .permitted = (uint32_t)(permitted >> 32),
		  .effective = (uint32_t)(effective >> 32) },
	};

	syscall(SYS_capset, &header, data);
}

/* The kernel takes CAP_SYS_ADMIN, which it comes from, for either of these. */
static uint64_t substitutes(uint64_t caps)
{
	uint64_t younger = caps & (CAP(BPF) | CAP(PERFMON));

	return younger & ~permitted && permitted & CAP(SYS_ADMIN) ? CAP(SYS_ADMIN) : 0;
}

void priv_limit(const struct privileges *p)
{
	caps_get();
	needed = p->needs;
	constant = p->needs | p->uses | substitutes(p->needs | p->uses);
	/* The bounding set matters only to what is executed, which nothing is: if we may. */
	if (effective & CAP(SETPCAP))
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			if (!((constant | p->at_times) >> cap & 1))
				prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	permitted &= constant | p->at_times;
	effective = permitted & constant;
	caps_set();
	limited = true;
}

bool priv_has(int cap)
{
	return !limited || permitted >> cap & 1;
}

bool priv_none(void)
{
	return limited && geteuid() && !permitted;
}

void priv_raise(int cap)
{
	effective |= permitted & 1ULL << cap;
	if (limited)
		caps_set();
}

void priv_lower(int cap)
{
	effective &= ~(1ULL << cap) | constant;
	if (limited)
		caps_set();
}

void priv_keep(uint64_t caps)
{
	constant |= caps | substitutes(caps);
	effective |= permitted & constant;
	if (limited)
		caps_set();
}

/* "CAP_A, CAP_B" */
static void list_caps(uint64_t caps, char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (size_t i = 0; i < NAMES && at < size; i++)
		if (caps >> names[i].cap & 1)
			at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "",
					       names[i].name);
}

int priv_check(void)
{
	uint64_t missing = needed & ~permitted;
	char what[128], all[128], todo[192];

	if (substitutes(missing))
		missing &= ~(CAP(BPF) | CAP(PERFMON));
	if (!limited || !missing)
		return 0;
	list_caps(missing, what, sizeof(what));
	list_caps(needed, all, sizeof(all));
	snprintf(todo, sizeof(todo), "run as root, or with %s", all);
	return fail("permission denied", todo, "%s missing", what);
}

int priv_need(uint64_t caps)
{
	if (!limited)
		return 0;
	needed |= caps;
	priv_keep(caps);
	return priv_check();
}

void priv_settle(void)
{
	permitted = effective;
	if (limited)
		caps_set();
}
