// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests only: attach and detach in either order, with something happening between the steps.
 *
 *	naive load					make the instance, attach nothing
 *	naive attach|detach ORDER HOOK COMMAND STEP IFACE...
 *
 * ORDER is `safe`, as ctloader does it, or `naive`: a packet's first hook first, its last one last.
 * HOOK is tc, native or generic. COMMAND is run by the shell before STEP ("XDP", "confirm", ...) is
 * done or undone; with STEP "each" before every one. Runs in the network namespace it is about.
 *
 * It is ctloader but for main(): attach.c announces every step by verbose(), which the linker sends
 * here (--wrap).
 */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "instance.h"
#include "log.h"
#include "object.h"
#include "pins.h"
#include "repair.h"

#define IFACES 8

static const char *command, *wanted_step;
static char last_step[64];

/* "ra: XDP: on [1234.567]": the interfaces take each step in turn; COMMAND comes before the first. */
void __wrap_verbose(const char *format, ...);
void __wrap_verbose(const char *format, ...)
{
	char text[256], step[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!command || (!strstr(text, ": on [") && !strstr(text, ": off [")) ||
	    sscanf(text, "%*[^:]: %63[^:]", step) != 1 || !strcmp(step, last_step))
		return;
	snprintf(last_step, sizeof(last_step), "%s", step);
	if (strcmp(wanted_step, "each") && strcmp(wanted_step, step))
		return;
	fprintf(stderr, "before %s\n", strchr(text, ' ') + 1);
	if (system(command)) {
		fprintf(stderr, "naive: %s: failed\n", command);
		exit(1);
	}
}

static int load(struct instance *in)
{
	struct object_options options = {};

	if (pins_make(in->name, in->dir, sizeof(in->dir), &in->lock))
		return fail("no place for pins", NULL, "load");
	return object_load(in, &options) || change_end(in, CT_LIFE_RUNNING, true);
}

static enum attach_hook hook_of(const char *name)
{
	if (!strcmp(name, "native"))
		return ATTACH_NATIVE;
	return strcmp(name, "generic") ? ATTACH_TC : ATTACH_GENERIC;
}

static int change(struct instance *in, char **argv, int argc, bool attach)
{
	enum attach_order order = strcmp(argv[0], "naive") ? ATTACH_SAFE : ATTACH_NAIVE;
	struct hooking iface[IFACES] = {};
	struct hookings hs = { in, iface, 0 };

	command = argv[2];
	wanted_step = argv[3];
	if (instance_open(in) || instance_lock(in))
		return 1;
	for (int i = 4; i < argc && i - 4 < IFACES; i++) {
		struct hooking *h = &iface[hs.n++];

		if (hooking_plan(h, in, argv[i], hook_of(argv[1]), ATTACH_XDP_LINK, false))
			return 1;
		if (h->there == attach)
			return fail(attach ? "attached already" : "not attached", NULL, "%s", argv[i]);
		h->there = false;
	}
	if (!attach)
		return hookings_detach(&hs, order);
	return hookings_attach(&hs, order) || hookings_keep(&hs);
}

int main(int argc, char **argv)
{
	struct global global = {};
	struct instance in;
	int code;

	log_command("naive");
	libbpf_set_print(NULL);
	if (instance_init(&in, &global))
		return 1;
	if (argc == 2 && !strcmp(argv[1], "load"))
		code = load(&in);
	else if (argc > 6 && (!strcmp(argv[1], "attach") || !strcmp(argv[1], "detach")))
		code = change(&in, argv + 2, argc - 2, argv[1][0] == 'a');
	else
		code = usage_error("see the top of naive.c", "arguments");
	instance_close(&in);
	return code;
}
