// SRC: user/json.c
// SPDX-License-Identifier: GPL-2.0-only
/* The JSON writer: what it writes is JSON, whatever it is given. */
#include <stdlib.h>

#include "check.h"
#include "json.h"

static struct json j;
static char *text;
static size_t text_len;
static FILE *out;

static void begin(void)
{
	out = open_memstream(&text, &text_len);
	json_init(&j, out);
}

/* What has been written; valid until the next begin(). */
static const char *written(void)
{
	static char *last;

	json_flush(&j);
	fclose(out);
	free(last);
	last = text;
	return last;
}

// Commas stand between members, not before the first and not behind the last.
TEST(json_commas)
{
	begin();
	json_object(&j, NULL);
	json_u64(&j, "a", 1);
	json_object(&j, "b");
	json_object_end(&j);
	json_array(&j, "c");
	json_u64(&j, NULL, 2);
	json_u64(&j, NULL, 3);
	json_array_end(&j);
	json_bool(&j, "d", true);
	json_bool(&j, "e", false);
	json_string(&j, "f", NULL);
	json_object_end(&j);
	CHECK_STR(written(), "{\"a\":1,\"b\":{},\"c\":[2,3],\"d\":true,\"e\":false,\"f\":null}\n");
}

// An empty object and an empty array are valid.
TEST(json_empty)
{
	begin();
	json_object(&j, NULL);
	json_object_end(&j);
	CHECK_STR(written(), "{}\n");
	begin();
	json_array(&j, NULL);
	json_array_end(&j);
	CHECK_STR(written(), "[]\n");
}

// An array of lines has every element on its own, and is valid when it is empty.
TEST(json_lines)
{
	begin();
	json_array_lines(&j, NULL);
	json_array_end(&j);
	CHECK_STR(written(), "[\n]\n");

	begin();
	json_array_lines(&j, NULL);
	for (int i = 0; i < 2; i++) {
		json_object(&j, NULL);
		json_u64(&j, "i", (uint64_t)i);
		json_object_end(&j);
	}
	json_array_end(&j);
	CHECK_STR(written(), "[\n{\"i\":0},\n{\"i\":1}\n]\n");
}

// Documents that follow each other each end their line and have no comma between them.
TEST(json_documents)
{
	begin();
	for (int i = 0; i < 2; i++) {
		json_object(&j, NULL);
		json_u64(&j, "i", (uint64_t)i);
		json_object_end(&j);
	}
	CHECK_STR(written(), "{\"i\":0}\n{\"i\":1}\n");
}

// Numbers keep all their digits.
TEST(json_numbers)
{
	begin();
	json_array(&j, NULL);
	json_u64(&j, NULL, 0);
	json_u64(&j, NULL, UINT64_MAX);
	json_fixed(&j, NULL, 0, 1);
	json_fixed(&j, NULL, 7, 3);
	json_fixed(&j, NULL, 12500, 3);
	json_fixed(&j, NULL, UINT64_MAX, 9);
	json_array_end(&j);
	CHECK_STR(written(),
		  "[0,18446744073709551615,0.0,0.007,12.500,18446744073.709551615]\n");
}

// Quotes, backslashes and control characters are escaped, in keys as in values.
TEST(json_escapes)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "\"\"" },
		{ "eth0", "\"eth0\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "/", "\"/\"" },
	};
	char want[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%zu", i);
		begin();
		json_object(&j, NULL);
		json_string(&j, cases[i].text, cases[i].text);
		json_object_end(&j);
		snprintf(want, sizeof(want), "{%s:%s}\n", cases[i].want, cases[i].want);
		CHECK_STR(written(), want);
	}
}

// UTF-8 passes; bytes that are not UTF-8 become U+FFFD, one each (an interface may be called so).
TEST(json_utf8)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "\xc3\xa4", "[\"\xc3\xa4\"]\n" },
		{ "\xe2\x82\xac", "[\"\xe2\x82\xac\"]\n" },
		{ "\xf0\x9f\x98\x80", "[\"\xf0\x9f\x98\x80\"]\n" },
		{ "a\xff" "b", "[\"a\xef\xbf\xbd" "b\"]\n" },
		{ "\xc3", "[\"\xef\xbf\xbd\"]\n" },                         /* cut off */
		{ "\xc0\x80", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]\n" },         /* overlong */
		{ "\xed\xa0\x80", "[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]\n" }, /* surrogate */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%zu", i);
		begin();
		json_array(&j, NULL);
		json_string(&j, NULL, cases[i].text);
		json_array_end(&j);
		CHECK_STR(written(), cases[i].want);
	}
}

// Text longer than the buffer inside comes out whole.
TEST(json_longer_than_its_buffer)
{
	enum { LONG = 5 * sizeof(j.buf) + 3 };
	static char value[LONG + 1], want[LONG + 8];

	memset(value, 'x', LONG);
	snprintf(want, sizeof(want), "[\"%s\"]\n", value);
	begin();
	json_array(&j, NULL);
	json_string(&j, NULL, value);
	json_array_end(&j);
	CHECK_STR(written(), want);
}

// Nesting deeper than we ever nest does not write outside of the struct.
TEST(json_too_deep)
{
	begin();
	for (int i = 0; i < 2 * JSON_DEPTH; i++)
		json_array(&j, NULL);
	for (int i = 0; i < 2 * JSON_DEPTH; i++)
		json_array_end(&j);
	CHECK(strlen(written()) >= 4 * JSON_DEPTH);
}

CHECK_MAIN()
