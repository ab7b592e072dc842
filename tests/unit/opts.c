// SRC: user/opts.c user/log.c user/json.c
// SPDX-License-Identifier: GPL-2.0-only
/* Options: what a command line means, and what is said of one that means nothing. */
#include <stdlib.h>

#include "check.h"
#include "log.h"
#include "opts.h"

enum { OPT_ALL = OPT_LONG, OPT_MODE };

static const struct opt own[] = {
	{ 'n', "count", "COUNT", NULL, "how many" },
	{ 'n', "number", "COUNT", NULL, NULL },
	{ OPT_ALL, "all", NULL, NULL, "everything" },
	{ OPT_MODE, "mode", "MODE", "fast|safe|fast", "how" },
	{ 0 },
};

static const struct opt shared[] = {
	{ 'o', "output", "FORMAT", "json", "output format" },
	{ 0 },
};

static struct opts o;
static int words_count;
static char *words_given[16];

static void command(const char *first, ...)
{
	va_list words;

	words_count = 0;
	va_start(words, first);
	for (const char *w = first; w && words_count < 15; w = va_arg(words, const char *))
		words_given[words_count++] = (char *)w;
	va_end(words);
	words_given[words_count] = NULL;
	opts_init(&o, words_count, words_given, own, shared, NULL);
}

/* Let the parser run to its end with its messages caught; the text is good until the next call. */
static const char *says(FILE **stream, int *result)
{
	static char *text;
	size_t len;
	FILE *was = *stream;

	free(text);
	text = NULL;
	*stream = open_memstream(&text, &len);
	do
		*result = opts_next(&o);
	while (*result > 0);
	fclose(*stream);
	*stream = was;
	return text;
}

// Short and long options of every table are found, wherever they stand.
TEST(opts_are_found)
{
	command("list", "eth0", "-n", "3", "--all", "--output=json", "eth1", "--mode", "fast",
		NULL);
	CHECK_EQ(opts_next(&o), 'n');
	CHECK_STR(o.value, "3");
	CHECK_EQ(opts_next(&o), OPT_ALL);
	CHECK_STR(o.value, NULL);
	CHECK_EQ(opts_next(&o), 'o');
	CHECK_STR(o.value, "json");
	CHECK_EQ(opts_next(&o), OPT_MODE);
	CHECK_STR(o.value, "fast");
	CHECK_EQ(opts_next(&o), 0);
	CHECK_EQ(o.argc, 2);
	CHECK_STR(o.argv[0], "eth0");
	CHECK_STR(o.argv[1], "eth1");
}

// Another spelling is the same option.
TEST(opts_have_aliases)
{
	command("list", "--number", "4", NULL);
	CHECK_EQ(opts_next(&o), 'n');
	CHECK_STR(o.value, "4");
	CHECK_EQ(opts_next(&o), 0);
	CHECK_EQ(opts_no_arguments(&o), 0);
}

// Of a name that two tables have, the first table's is meant; the letter stays what it was.
TEST(opts_override)
{
	static const struct opt first[] = { { OPT_LONG + 9, "number", "N", NULL, "another" }, { 0 } };
	char *given[] = { "list", "--number", "4", "-n", "5", NULL };

	opts_init(&o, 5, given, first, own, NULL);
	CHECK_EQ(opts_next(&o), OPT_LONG + 9);
	CHECK_EQ(opts_next(&o), 'n');
	CHECK_STR(o.value, "5");
	CHECK_EQ(opts_next(&o), 0);
}

// What follows -- is no option.
TEST(opts_end_at_two_dashes)
{
	command("list", "--", "-n", NULL);
	CHECK_EQ(opts_next(&o), 0);
	CHECK_EQ(o.argc, 1);
	CHECK_STR(o.argv[0], "-n");
}

// Global options end at the command: its own are left alone.
TEST(opts_front_stop_at_the_command)
{
	char *given[] = { "ctloader", "--all", "list", "-n", "3", NULL };

	opts_init_front(&o, 5, given, own, NULL);
	CHECK_EQ(opts_next(&o), OPT_ALL);
	CHECK_EQ(opts_next(&o), 0);
	CHECK_EQ(o.argc, 3);
	CHECK_STR(o.argv[0], "list");
	CHECK_STR(o.argv[1], "-n");
}

// A wrong option is one line that names it, and wrong usage.
TEST(opts_wrong)
{
	static const struct {
		const char *words[3], *want;
	} cases[] = {
		{ { "--nonsense" }, "ctloader: list: --nonsense: unknown option\n" },
		{ { "--cuont", "3" },
		  "ctloader: list: --cuont: unknown option; did you mean --count?\n" },
		{ { "-x" }, "ctloader: list: -x: unknown option\n" },
		{ { "-n" }, "ctloader: list: -n COUNT: an argument is missing\n" },
		{ { "--count" }, "ctloader: list: -n COUNT: an argument is missing\n" },
		{ { "--mode" }, "ctloader: list: --mode MODE: an argument is missing\n" },
		{ { "--all=1" }, "ctloader: list: --all=1: this option takes no argument\n" },
	};
	int result;

	log_command("list");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%s", cases[i].words[0]);
		command("list", cases[i].words[0], cases[i].words[1], NULL);
		CHECK_STR(says(&stderr, &result), cases[i].want);
		CHECK_EQ(result, -1);
		CHECK_EQ(o.exit, 2);
	}
}

// -h shows every option once, with the words it may have, and is no error.
TEST(opts_help_is_the_table)
{
	const char *text;
	int result;

	opts_about("list", "[FILTER]", "Show the flows.");
	command("list", "-h", NULL);
	text = says(&stdout, &result);
	CHECK_EQ(result, -1);
	CHECK_EQ(o.exit, 0);
	CHECK_STR(text, "Usage: ctloader list [FILTER]\n"
			"Show the flows.\n"
			"\n"
			"Options:\n"
			"  -n, --count COUNT                how many\n"
			"      --all                        everything\n"
			"      --mode MODE                  how {fast|safe}\n"
			"  -o, --output FORMAT              output format {json}\n"
			"  -h, --help                       this text\n");
}

// With -o json an error is an object on standard output, too.
TEST(errors_in_json)
{
	char *line = NULL, *object = NULL;
	FILE *err = stderr, *out = stdout;
	size_t len, size;

	log_command("set");
	log_json = true;
	stderr = open_memstream(&line, &len);
	stdout = open_memstream(&object, &size);
	CHECK_EQ(fail("why \"so\"", "do this", "%s=%d", "max", 3), 1);
	fclose(stderr);
	fclose(stdout);
	stderr = err;
	stdout = out;
	log_json = false;
	CHECK_STR(line, "ctloader: set: max=3: why \"so\" (do this)\n");
	CHECK_STR(object, "{\"error\":{\"command\":\"set\",\"what\":\"max=3\","
			  "\"why\":\"why \\\"so\\\"\",\"todo\":\"do this\"}}\n");
	free(line);
	free(object);
}

// Numbers are whole, within their limits, and nothing follows them.
TEST(number_parse_limits)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} cases[] = {
		{ "0", true, 0 },	  { "10", true, 10 },	 { "0x1f", true, 31 },
		{ "010", true, 10 },	  { "100", true, 100 },	 { "101", false, 0 },
		{ "", false, 0 },	  { " 1", false, 0 },	 { "+1", false, 0 },
		{ "-1", false, 0 },	  { "1 ", false, 0 },	 { "1x", false, 0 },
		{ "0x", false, 0 },	  { "0x-1", false, 0 },	 { "ten", false, 0 },
		{ "18446744073709551616", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 77;

		CHECK_CASE("'%s'", cases[i].text);
		CHECK_EQ(number_parse(cases[i].text, 0, 100, &value), cases[i].good);
		CHECK_EQ(value, cases[i].good ? cases[i].value : 77);
	}
	uint64_t value;

	CHECK(!number_parse("4", 5, 6, &value));
	CHECK(number_parse("18446744073709551615", 0, UINT64_MAX, &value));
}

// Sizes take binary units, and one that does not fit is refused.
TEST(size_parse_units)
{
	uint64_t bytes = 0;

	CHECK(size_parse("4096", &bytes));
	CHECK_EQ(bytes, 4096);
	CHECK(size_parse("16k", &bytes));
	CHECK_EQ(bytes, 16384);
	CHECK(size_parse("16M", &bytes));
	CHECK_EQ(bytes, 16 << 20);
	CHECK(size_parse("1g", &bytes));
	CHECK_EQ(bytes, 1 << 30);
	CHECK(!size_parse("", &bytes));
	CHECK(!size_parse("k", &bytes));
	CHECK(!size_parse("1kk", &bytes));
	CHECK(!size_parse("17179869184g", &bytes));
}

// A slip of the fingers is understood; a guess is not ventured where nothing is near.
TEST(nearest_word)
{
	static const char *const words[] = { "list", "events", "stats", "status", "udp_timeout" };
	static const struct {
		const char *word, *best;
	} cases[] = {
		{ "lst", "list" },	{ "evnts", "events" }, { "stat", "stats" },
		{ "statu", "status" },	{ "udp_timeot", "udp_timeout" },
		{ "udp", "udp_timeout" }, { "frobnicate", NULL }, { "x", NULL }, { "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nearest n;

		CHECK_CASE("%s", cases[i].word);
		nearest_init(&n, cases[i].word);
		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
			nearest_try(&n, words[w]);
		CHECK_STR(n.best, cases[i].best);
	}
}

CHECK_MAIN()
