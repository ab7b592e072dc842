/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options: one table gives the parser, the help text and (through the help text, which the
 * completion script reads) the completion.
 *
 *	enum { OPT_ALL = OPT_LONG };
 *	static const struct opt options[] = {
 *		{ 'e', "event-mask", "TYPE[,...]", "new|update|destroy", "events to follow" },
 *		{ OPT_ALL, "all", NULL, NULL, "every interface" },
 *		{ 0 },
 *	};
 *	struct opts o;
 *	int id;
 *
 *	opts_init(&o, argc, argv, options, output_options, NULL);
 *	while ((id = opts_next(&o)) > 0)
 *		...                     (o.value is the option's argument)
 *	if (id < 0)
 *		return o.exit;          (-h has been answered, or an error reported)
 *	o.argc, o.argv: the arguments that are no options
 */
#ifndef OPTS_H
#define OPTS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

/* Ids of options without a letter count from here; smaller ones are the letter. */
#define OPT_LONG 256
/* Ids of the tables that several commands share: the filter's and the output's. */
#define OPT_FILTER 512

/* A row without `help` is another spelling of the row before it. A row of zeros ends the table. */
struct opt {
	int id;             /* its letter, or OPT_LONG + n */
	const char *name;   /* the long spelling; NULL when there is none */
	const char *arg;    /* what its argument is called; NULL when it takes none */
	const char *values; /* the words it may be, "a|b", for help and completion; or NULL */
	const char *help;
};

#define OPTS_TABLES 4
#define OPTS_MAX 64

struct opts {
	int argc;          /* after the last option: the other arguments */
	char **argv;
	const char *value; /* of the option just returned; NULL when it takes none */
	int exit;          /* after a negative opts_next() */
	/* private */
	const struct opt *tables[OPTS_TABLES + 1];
	char letters[2 * OPTS_MAX + 4];
	struct option longs[OPTS_MAX + 2];
	bool stop_early;
};

/*
 * Tables follow argv and end with NULL; -h, --help is added to them. Of a name that two of them have the
 * first is meant. argv[0] is skipped.
 */
void opts_init(struct opts *o, int argc, char **argv, ...);
/* The same, but the first argument that is no option ends the options (globals). */
void opts_init_front(struct opts *o, int argc, char **argv, ...);
/*
 * The next option's id; 0 when none is left; -1 when the command has to return o->exit, because
 * help was asked for and given (0) or the option is wrong and has been reported (2).
 */
int opts_next(struct opts *o);
/* What -h prints above the options: "NAME SYNOPSIS", and a sentence or two. */
void opts_about(const char *name, const char *synopsis, const char *help);
/* Print what -h prints. Returns 0. */
int opts_help(const struct opts *o);
/* Report arguments where a command takes none. 0 or 2. */
int opts_no_arguments(const struct opts *o);

/*
 * A number between `least` and `most` in decimal, or hex with 0x; nothing may follow it. False
 * (and *value untouched) when the text is not one.
 */
bool number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *value);
/* A size in bytes, with an optional k, M or G (binary). */
bool size_parse(const char *text, uint64_t *bytes);
/* An interval in seconds, 0.1 to 86400, with decimals or without. */
bool seconds_parse(const char *text, double *seconds);

/*
 * "did you mean": offer candidates one by one; `best` is the nearest that is near enough to be a
 * slip of the fingers, or NULL.
 */
struct nearest {
	const char *word;
	const char *best;
	unsigned int distance;
};
void nearest_init(struct nearest *n, const char *word);
void nearest_try(struct nearest *n, const char *candidate);

#endif
