// SPDX-License-Identifier: GPL-2.0-only
#include "opts.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static const char *about_name, *about_synopsis, *about_help;

void opts_about(const char *name, const char *synopsis, const char *help)
{
	about_name = name;
	about_synopsis = synopsis;
	about_help = help;
}

static const struct opt help_option[] = {
	{ 'h', "help", NULL, NULL, "this text" },
	{ 0 },
};

/* Whether a table before this one has an option of the name: that one is meant. */
static bool overridden(const struct opts *o, const struct opt *const *table, const char *name)
{
	for (const struct opt *const *before = o->tables; before < table; before++)
		for (const struct opt *row = *before; row->id; row++)
			if (name && row->name && !strcmp(row->name, name))
				return true;
	return false;
}

/* Translate one table into what getopt_long() reads. */
static void add_table(struct opts *o, const struct opt *const *table, size_t *letters, size_t *longs)
{
	for (const struct opt *row = *table; row->id; row++) {
		if (row->id < OPT_LONG && *letters < sizeof(o->letters) - 3) {
			o->letters[(*letters)++] = (char)row->id;
			if (row->arg)
				o->letters[(*letters)++] = ':';
		}
		if (row->name && *longs < OPTS_MAX && !overridden(o, table, row->name))
			o->longs[(*longs)++] = (struct option){
				.name = row->name,
				.has_arg = row->arg ? required_argument : no_argument,
				.val = row->id,
			};
	}
}

static void init(struct opts *o, int argc, char **argv, bool stop_early, va_list tables)
{
	size_t letters = 0, longs = 0, n = 0;

	memset(o, 0, sizeof(*o));
	o->argc = argc;
	o->argv = argv;
	/* ':' makes getopt tell a missing argument from an unknown option. */
	if (stop_early)
		o->letters[letters++] = '+';
	o->letters[letters++] = ':';
	while (n < OPTS_TABLES - 1) {
		const struct opt *table = va_arg(tables, const struct opt *);

		if (!table)
			break;
		o->tables[n++] = table;
	}
	o->tables[n] = help_option;
	for (n = 0; o->tables[n]; n++)
		add_table(o, &o->tables[n], &letters, &longs);
	opterr = 0;
	optind = 0; /* main's and the command's options are two scans: start afresh */
}

void opts_init(struct opts *o, int argc, char **argv, ...)
{
	va_list tables;

	va_start(tables, argv);
	init(o, argc, argv, false, tables);
	va_end(tables);
}

void opts_init_front(struct opts *o, int argc, char **argv, ...)
{
	va_list tables;

	va_start(tables, argv);
	init(o, argc, argv, true, tables);
	va_end(tables);
}

/* Whether the word at `at` of a list "a|b" stands in it before, too. */
static bool said_before(const char *list, const char *at, size_t len)
{
	for (const char *w = list; w < at; w += strcspn(w, "|") + 1)
		if (strcspn(w, "|") == len && !memcmp(w, at, len))
			return true;
	return false;
}

/* Lists are put together of several: each word once. */
static void print_values(const char *values)
{
	const char *separator = " {";

	for (const char *w = values;; w++) {
		size_t len = strcspn(w, "|");

		if (!said_before(values, w, len)) {
			printf("%s%.*s", separator, (int)len, w);
			separator = "|";
		}
		w += len;
		if (!*w)
			break;
	}
	putchar('}');
}

/* Its letter, its name (NULL: it has none) and what it is for. */
static void print_option(const struct opt *row, const char *name)
{
	char left[80];

	snprintf(left, sizeof(left), "%s%s%s%s%s",
		 row->id < OPT_LONG ? (char[]){ '-', (char)row->id, '\0' } : "   ",
		 name ? (row->id < OPT_LONG ? ", --" : " --") : "", name ? name : "",
		 row->arg ? " " : "", row->arg ? row->arg : "");
	printf("  %-32s %s", left, row->help);
	if (row->values)
		print_values(row->values);
	putchar('\n');
}

int opts_help(const struct opts *o)
{
	printf("Usage: ctloader %s%s%s\n", about_name ? about_name : "",
	       about_name && *about_name ? " " : "", about_synopsis ? about_synopsis : "");
	if (about_help)
		puts(about_help);
	puts("\nOptions:");
	for (size_t n = 0; o->tables[n]; n++)
		for (const struct opt *row = o->tables[n]; row->id; row++)
			if (row->help)
				print_option(row, overridden(o, &o->tables[n], row->name) ? NULL :
											     row->name);
	return 0;
}

static const struct opt *find(const struct opts *o, int id)
{
	for (size_t n = 0; o->tables[n]; n++)
		for (const struct opt *row = o->tables[n]; row->id; row++)
			if (row->id == id)
				return row;
	return NULL;
}

/* An option as the reader wrote it, or could have. */
static void name_option(const struct opt *row, char *text, size_t size)
{
	if (row->id < OPT_LONG)
		snprintf(text, size, "-%c", row->id);
	else
		snprintf(text, size, "--%s", row->name);
}

static int missing_argument(const struct opts *o)
{
	const struct opt *row = find(o, optopt);
	char name[64];

	if (!row)
		return usage_error("an argument is missing", "-%c", optopt);
	name_option(row, name, sizeof(name));
	return usage_error("an argument is missing", "%s %s", name, row->arg);
}

/* getopt's '?': unknown, ambiguous, or an argument given to an option that takes none. */
static int wrong_option(const struct opts *o)
{
	const char *word = o->argv[optind - 1];
	struct nearest near;
	char why[128];

	if (optopt && find(o, optopt))
		return usage_error("this option takes no argument", "%s", word);
	if (optopt)
		return usage_error("unknown option", "-%c", optopt);
	nearest_init(&near, word + strspn(word, "-"));
	for (const struct option *l = o->longs; l->name; l++)
		nearest_try(&near, l->name);
	if (!near.best)
		return usage_error("unknown option", "%s", word);
	snprintf(why, sizeof(why), "unknown option; did you mean --%s?", near.best);
	return usage_error(why, "%s", word);
}

int opts_next(struct opts *o)
{
	int id = getopt_long(o->argc, o->argv, o->letters, o->longs, NULL);

	o->value = optarg;
	switch (id) {
	case -1:
		o->argc -= optind;
		o->argv += optind;
		return 0;
	case 'h':
		o->exit = opts_help(o);
		return -1;
	case ':':
		o->exit = missing_argument(o);
		return -1;
	case '?':
		o->exit = wrong_option(o);
		return -1;
	default:
		return id;
	}
}

int opts_no_arguments(const struct opts *o)
{
	if (!o->argc)
		return 0;
	return usage_error("this command takes no arguments", "%s", o->argv[0]);
}

bool number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	unsigned long long number;
	char *end;

	/* strtoull() would take blanks and signs. */
	if (!(hex ? isxdigit((unsigned char)*digits) : isdigit((unsigned char)*digits)))
		return false;
	errno = 0;
	number = strtoull(digits, &end, hex ? 16 : 10);
	if (errno || *end || number < least || number > most)
		return false;
	*value = number;
	return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmg";
	size_t len = strlen(text);
	const char *unit;
	char digits[32];
	uint64_t number;
	unsigned int shift = 0;

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, text, len + 1);
	unit = strchr(units, tolower((unsigned char)digits[len - 1]));
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		digits[len - 1] = '\0';
	}
	if (!number_parse(digits, 0, UINT64_MAX >> shift, &number))
		return false;
	*bytes = number << shift;
	return true;
}

bool seconds_parse(const char *text, double *seconds)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	*seconds = strtod(text, &end);
	return !*end && *seconds >= 0.1 && *seconds <= 86400;
}

/* Levenshtein's distance; words longer than the row are far from everything. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[64];
	size_t width = strlen(b);

	if (width >= sizeof(row) / sizeof(row[0]))
		return UINT_MAX;
	for (size_t j = 0; j <= width; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned int corner = row[0];

		row[0] = (unsigned int)i + 1;
		for (size_t j = 0; j < width; j++) {
			unsigned int above = row[j + 1], best = corner + (a[i] != b[j]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
			corner = above;
		}
	}
	return row[width];
}

/* Distances count double here, so that there is room for half a slip. */
void nearest_init(struct nearest *n, const char *word)
{
	size_t len = strlen(word), slips = len / 3;

	if (slips < 2)
		slips = len > 3 ? 2 : 1;
	n->word = word;
	n->best = NULL;
	n->distance = 2 * (unsigned int)slips + 1; /* has to be below */
}

void nearest_try(struct nearest *n, const char *candidate)
{
	size_t len = strlen(n->word);
	unsigned int far = distance(n->word, candidate);

	if (far > len + strlen(candidate))
		return; /* too long to compare */
	far *= 2;
	/* The beginning of a word is a better guess than any slip. */
	if (len >= 3 && !strncmp(candidate, n->word, len))
		far = far ? 1 : 0;
	if (far < n->distance) {
		n->distance = far;
		n->best = candidate;
	}
}
