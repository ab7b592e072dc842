/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests in C, of the unit and the prog level. A test is a sentence about behaviour:
 *
 *	// SRC: user/fmt.c
 *	#include "check.h"
 *
 *	// An IPv4 address is printed as four decimal numbers.
 *	TEST(ip4_is_dotted)
 *	{
 *		CHECK_STR(fmt_addr(...), "10.0.1.1");
 *	}
 *
 *	CHECK_MAIN()
 *
 * A check that fails says where, what it got and what it wanted, and the test goes on; REQUIRE
 * ends it. The program runs every test, or those named as arguments, prints `ok NAME`,
 * `not ok NAME` (after the failed lines) or `skip NAME: WHAT IS MISSING` for each, and exits with
 * 1 if one failed. `--list` prints the names.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct check_test {
	const char *name;
	void (*run)(void);
	struct check_test *next;
};

static struct check_test *check_first, **check_last = &check_first;
static unsigned int check_failures; /* of the running test */
static const char *check_skipped;   /* why the running test can't be made here */
static char check_case[256];        /* the row of a table being tested */

/* Define a test: TEST(name) { ... }. Tests run in the order of their file. */
#define TEST(test)                                                                                 \
	static void test_##test(void);                                                             \
	__attribute__((constructor)) static void check_add_##test(void)                            \
	{                                                                                          \
		static struct check_test entry = { #test, test_##test, NULL };                     \
		*check_last = &entry;                                                              \
		check_last = &entry.next;                                                          \
	}                                                                                          \
	static void test_##test(void)

/* Start of a line that reports a failure; the caller prints the rest of it. */
static inline void check_fail(const char *file, int line)
{
	check_failures++;
	printf("  %s:%d: ", file, line);
	if (check_case[0])
		printf("[%s] ", check_case);
}

static inline bool check_true(const char *file, int line, const char *text, bool holds)
{
	if (!holds) {
		check_fail(file, line);
		printf("%s does not hold\n", text);
	}
	return holds;
}

static inline bool check_eq(const char *file, int line, const char *text, long long got,
			    long long want)
{
	if (got == want)
		return true;
	check_fail(file, line);
	printf("%s: got %lld (0x%llx), wanted %lld (0x%llx)\n", text, got,
	       (unsigned long long)got, want, (unsigned long long)want);
	return false;
}

static inline void check_quote(const char *s)
{
	if (!s) {
		printf("NULL");
		return;
	}
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s == '\n')
			printf("\\n");
		else if (*s == '\t')
			printf("\\t");
		else if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			printf("\\x%02x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

static inline bool check_str(const char *file, int line, const char *text, const char *got,
			     const char *want)
{
	if (got == want || (got && want && !strcmp(got, want)))
		return true;
	check_fail(file, line);
	printf("%s: got ", text);
	check_quote(got);
	printf(",\n    wanted ");
	check_quote(want);
	putchar('\n');
	return false;
}

/* Up to 16 bytes of the row in which the difference is, as hexadecimal. */
static inline void check_hex(const unsigned char *bytes, size_t from, size_t len)
{
	for (size_t i = from; i < len && i < from + 16; i++)
		printf(" %02x", bytes[i]);
}

static inline bool check_mem(const char *file, int line, const char *text, const void *got,
			     const void *want, size_t len)
{
	const unsigned char *g = got, *w = want;
	size_t at = 0;

	while (at < len && g[at] == w[at])
		at++;
	if (at == len)
		return true;
	check_fail(file, line);
	printf("%s: differs at byte %zu of %zu\n    got    %4zu:", text, at, len, at & ~15UL);
	check_hex(g, at & ~15UL, len);
	printf("\n    wanted %4zu:", at & ~15UL);
	check_hex(w, at & ~15UL, len);
	putchar('\n');
	return false;
}

/* Each gives true if it holds. Integers of any width and sign; text may be NULL. */
#define CHECK(cond)          check_true(__FILE__, __LINE__, #cond, (cond))
#define CHECK_EQ(got, want)  check_eq(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_STR(got, want) check_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_MEM(got, want, len) check_mem(__FILE__, __LINE__, #got, (got), (want), (len))

/* As CHECK, and nothing more of this test makes sense if it fails. */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!CHECK(cond))                                                                  \
			return;                                                                    \
	} while (0)

/* The test can't be made on this machine: say what is missing (a string that stays) and leave. */
#define SKIP(missing)                                                                              \
	do {                                                                                       \
		check_skipped = (missing);                                                         \
		return;                                                                            \
	} while (0)

/* Name the case that the checks to come are about (a row of a table); printed with failures. */
__attribute__((format(printf, 1, 2), unused)) static void CHECK_CASE(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check_case, sizeof(check_case), format, args);
	va_end(args);
}

static inline bool check_wanted(const char *name, int argc, char **argv)
{
	bool wanted = argc <= 1;

	for (int i = 1; i < argc; i++)
		wanted |= !strcmp(argv[i], name);
	return wanted;
}

static inline bool check_run(const struct check_test *t)
{
	check_failures = 0;
	check_skipped = NULL;
	check_case[0] = '\0';
	t->run();
	if (check_failures)
		printf("not ok %s\n", t->name);
	else if (check_skipped)
		printf("skip %s: %s\n", t->name, check_skipped);
	else
		printf("ok %s\n", t->name);
	return !check_failures;
}

static inline int check_main(int argc, char **argv)
{
	bool list = argc == 2 && !strcmp(argv[1], "--list");
	int ran = 0, err = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct check_test *t = check_first; t; t = t->next) {
		if (list) {
			puts(t->name);
		} else if (check_wanted(t->name, argc, argv)) {
			ran++;
			err |= !check_run(t);
		}
	}
	if (!list && !ran) {
		fprintf(stderr, "no such test\n");
		return 1;
	}
	return err;
}

#define CHECK_MAIN()                                                                               \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return check_main(argc, argv);                                                     \
	}

#endif
