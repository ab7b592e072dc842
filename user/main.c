// SPDX-License-Identifier: GPL-2.0-only
/* Global options, the table of commands, dispatch. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "cmd.h"
#include "log.h"
#include "opts.h"
#include "priv.h"

/*
 * Capabilities. Every command may have to put right what a loader that died has left, for which
 * most have theirs at times only. SYS_ADMIN enters the namespace of --netns, mounts, and finds
 * programs and types by their ids; SYS_PTRACE and SYS_CHROOT are for the mounts of the namespace we
 * come from (pins.h); CHOWN gives pins to the group of --group.
 */
#define LOADING	  (CAP(BPF) | CAP(NET_ADMIN) | CAP(PERFMON))
#define REPAIRING (LOADING | CAP(SYS_ADMIN) | CAP(SYS_PTRACE) | CAP(SYS_CHROOT) | CAP(CHOWN))

#define TO_LOOK	       { .at_times = REPAIRING }
#define TO_LOOK_CLOSER { .uses = LOADING | CAP(SYS_ADMIN), .at_times = REPAIRING }
#define TO_LISTEN      { .needs = CAP(BPF), .at_times = REPAIRING }
#define TO_LOAD	       { .needs = LOADING, .at_times = REPAIRING }
#define TO_SEE_ALL     { .needs = LOADING | CAP(SYS_ADMIN), .at_times = REPAIRING }
#define TO_UNLOAD      { .needs = CAP(BPF) | CAP(NET_ADMIN), .at_times = REPAIRING }

static const struct command {
	const char *name;
	int (*run)(struct instance *in, int argc, char **argv);
	bool reads; /* it changes nothing, and opens nothing for writing */
	struct privileges privileges;
	const char *synopsis;
	const char *help;
} commands[] = {
	{ "attach", cmd_attach, false, TO_LOAD, "[OPTIONS] IFACE...",
	  "Track the packets of interfaces." },
	{ "detach", cmd_detach, false, TO_UNLOAD, "[--keep] [IFACE...|--all]",
	  "Stop tracking them." },
	{ "upgrade", cmd_upgrade, false, TO_SEE_ALL, "[-o json]",
	  "Replace the programs by this build's, keeping every flow." },
	{ "status", cmd_status, true, TO_LOOK_CLOSER, "[-o json]",
	  "Show interfaces, programs, table and settings." },
	{ "audit", cmd_audit, false, TO_SEE_ALL, "[-o json]",
	  "Check that everything holds that is to hold." },
	{ "list", cmd_list, true, TO_LOOK, "[FILTER] [-o LIST]", "Show the flows in the table." },
	{ "get", cmd_get, true, TO_LOOK, "TUPLE [-o LIST]",
	  "Show one flow; either direction finds it." },
	{ "count", cmd_count, true, TO_LOOK, "[FILTER] [-o json]", "Print the number of flows." },
	{ "delete", cmd_delete, false, TO_LOOK, "TUPLE|FILTER [-o json]",
	  "Delete one flow (either direction finds it), or all that match." },
	{ "update", cmd_update, false, TO_LOOK,
	  "TUPLE|FILTER [--mark MARK[/MASK]] [--timeout SECONDS] [-o json]",
	  "Change one flow, or all that match." },
	{ "create", cmd_create, false, TO_LOOK,
	  "TUPLE --timeout SECONDS [--state STATE] [--mark MARK] [-u STATUS,...] [-o json]",
	  "Put a flow into the table." },
	{ "flush", cmd_flush, false, TO_LOOK, "[-o json]", "Delete every flow." },
	{ "save", cmd_save, true, TO_LOOK, "[FILTER] [-o json] FILE|-",
	  "Write the flows in the table to a file." },
	{ "restore", cmd_restore, false, TO_LOOK, "[-o json] FILE|-",
	  "Enter the flows of a file that the table does not have." },
	{ "events", cmd_events, false, TO_LISTEN,
	  "[-e TYPE,...] [FILTER] [-n COUNT] [-b SIZE] [--sync] [--reliable [--backlog N]] [-o LIST]",
	  "Follow what happens to flows." },
	{ "stats", cmd_stats, true, TO_LOOK, "[--interval SECONDS] [-o json]", "Show the counters." },
	{ "top", cmd_top, true, TO_LOOK,
	  "[--by WHAT] [FILTER] [-n ROWS] [--interval SECONDS] [--once] [-o json]",
	  "Show who fills the table." },
	{ "set", cmd_set, false, TO_LOOK, "KEY=VALUE... [-o json]", "Change settings, in force at once." },
	{ "show", cmd_show, true, TO_LOOK, "[KEY...] [-o json]", "Show settings." },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum { OPT_INSTANCE = OPT_LONG, OPT_NETNS, OPT_VERSION };

static const struct opt global_options[] = {
	{ OPT_INSTANCE, "instance", "NAME", NULL,
	  "the instance (default: the network namespace's own)" },
	{ OPT_NETNS, "netns", "NAME|PATH", NULL, "the network namespace (default: the caller's)" },
	{ 'v', "verbose", NULL, NULL, "say more; twice: libbpf's and libxdp's messages, too" },
	{ OPT_VERSION, "version", NULL, NULL, "print the version" },
	{ 0 },
};

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (log_verbose < 2 || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

static int print_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	if (log_verbose < 2 || level == LIBXDP_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

/* What -h shows, made of the table. */
static const char *overview(void)
{
	static char text[4096];
	size_t at = 0;

	at += (size_t)snprintf(text, sizeof(text),
			       "Connection tracking in XDP and tc.\n\nCommands ('ctloader COMMAND "
			       "-h' explains one):\n");
	for (size_t i = 0; i < COMMANDS && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  %-8s %s%s",
				       commands[i].name, commands[i].help,
				       i + 1 < COMMANDS ? "\n" : "");
	return text;
}

static int unknown_command(const char *name)
{
	char why[512] = "unknown command; there is ";
	size_t at = strlen(why);
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; i < COMMANDS; i++) {
		nearest_try(&near, commands[i].name);
		at += (size_t)snprintf(why + at, sizeof(why) - at, "%s%s", i ? ", " : "",
				       commands[i].name);
	}
	if (near.best)
		snprintf(why + at, sizeof(why) - at, "; did you mean %s?", near.best);
	return usage_error(why, "%s", name);
}

/* Output is buffered: whether it has arrived shows at the end. A reader that left is no error. */
static int finish(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	return errno == EPIPE ? code : fail(strerror(errno), NULL, "standard output");
}

/* Whether -o json is among the options: an error in front of it is to be an object, too. */
static bool asks_json(char **argv)
{
	for (; *argv; argv++) {
		const char *word = NULL;

		if (!strcmp(*argv, "-o") || !strcmp(*argv, "--output"))
			word = argv[1];
		else if (!strncmp(*argv, "-o", 2))
			word = *argv + 2;
		else if (!strncmp(*argv, "--output=", 9))
			word = *argv + 9;
		for (; word && *word; word += strcspn(word, ","), word += *word == ',')
			if (strcspn(word, ",") == 4 && !strncmp(word, "json", 4))
				return true;
	}
	return false;
}

static int run(struct global *global, int argc, char **argv)
{
	struct instance in;
	int code;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[0]))
			continue;
		log_command(argv[0]);
		opts_about(commands[i].name, commands[i].synopsis, commands[i].help);
		log_json = asks_json(argv);
		priv_limit(&commands[i].privileges);
		global->reads = commands[i].reads;
		code = instance_init(&in, global);
		if (code)
			return code;
		code = finish(commands[i].run(&in, argc, argv));
		instance_close(&in);
		return code;
	}
	return unknown_command(argv[0]);
}

int main(int argc, char **argv)
{
	static char output[1 << 18];
	struct global global = {};
	struct opts o;
	int id;

	priv_start();
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	libbpf_set_print(print_libbpf);
	libxdp_set_print(print_libxdp);
	opts_about("[GLOBAL]", "COMMAND [OPTIONS] [ARGUMENTS]", overview());
	opts_init_front(&o, argc, argv, global_options, NULL);
	while ((id = opts_next(&o)) > 0) {
		if (id == OPT_INSTANCE)
			global.instance = o.value;
		else if (id == OPT_NETNS)
			global.netns = o.value;
		else if (id == 'v')
			log_verbose++;
		else
			return printf("ctloader v" CTLOADER_VERSION "\n") < 0;
	}
	if (id < 0)
		return finish(o.exit);
	if (!o.argc)
		return usage_error("no command given (see 'ctloader help')", "COMMAND");
	if (!strcmp(o.argv[0], "help") && o.argc == 1)
		return finish(opts_help(&o));
	if (!strcmp(o.argv[0], "help")) {
		char *help[] = { o.argv[1], "-h", NULL };

		return run(&global, 2, help);
	}
	return run(&global, o.argc, o.argv);
}
