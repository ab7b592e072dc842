// SPDX-License-Identifier: GPL-2.0-only
#include "json.h"

#include <string.h>

void json_init(struct json *j, FILE *out)
{
	j->out = out;
	j->depth = 0;
	j->some[0] = false;
	j->lines[0] = false;
	j->len = 0;
}

void json_flush(struct json *j)
{
	if (j->len)
		fwrite(j->buf, 1, j->len, j->out);
	j->len = 0;
}

/* The place of the next few bytes. */
static char *room(struct json *j, size_t n)
{
	if (j->len + n > sizeof(j->buf))
		json_flush(j);
	return j->buf + j->len;
}

static void put(struct json *j, char c)
{
	*room(j, 1) = c;
	j->len++;
}

/*
 * Length of the UTF-8 sequence at `s` (RFC 3629), 0 if there is none. A NUL ends every check, so
 * nothing is read beyond the string's end.
 */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

/* An ASCII character that has to be escaped. */
static void put_escaped(struct json *j, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *letter = c ? strchr(letters, c) : NULL;
	char *p = room(j, 6);

	*p++ = '\\';
	if (letter) {
		*p++ = names[letter - letters];
		j->len += 2;
		return;
	}
	memcpy(p, "u00", 3);
	p[3] = hex[c >> 4];
	p[4] = hex[c & 15];
	j->len += 6;
}

/* Characters that stand for themselves. */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_bytes(struct json *j, const char *bytes, size_t n)
{
	while (n) {
		size_t left = sizeof(j->buf) - j->len, part = n < left ? n : left;

		memcpy(j->buf + j->len, bytes, part);
		j->len += part;
		bytes += part;
		n -= part;
		if (n)
			json_flush(j);
	}
}

static void put_string(struct json *j, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	put(j, '"');
	while (*s) {
		size_t n = 0;

		while (plain(s[n]))
			n++;
		if (n) {
			put_bytes(j, (const char *)s, n);
		} else if (*s < 0x80) {
			put_escaped(j, *s);
			n = 1;
		} else {
			n = utf8_length(s);
			put_bytes(j, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
			n = n ? n : 1;
		}
		s += n;
	}
	put(j, '"');
}

/* What stands before a value: a comma, a line break, its key. */
static void before(struct json *j, const char *key)
{
	if (j->some[j->depth])
		put(j, ',');
	if (j->lines[j->depth])
		put(j, '\n');
	j->some[j->depth] = true;
	if (!key)
		return;
	put_string(j, key);
	put(j, ':');
}

static void open_value(struct json *j, const char *key, char c, bool lines)
{
	before(j, key);
	put(j, c);
	/* Deeper than the deepest is a bug of ours; the commas suffer, memory does not. */
	if (j->depth < JSON_DEPTH - 1)
		j->depth++;
	j->some[j->depth] = false;
	j->lines[j->depth] = lines;
}

static void close_value(struct json *j, char c)
{
	if (j->lines[j->depth])
		put(j, '\n');
	put(j, c);
	if (j->depth)
		j->depth--;
	if (j->depth)
		return;
	put(j, '\n');
	j->some[0] = false; /* another document may follow */
}

void json_object(struct json *j, const char *key)
{
	open_value(j, key, '{', false);
}

void json_object_end(struct json *j)
{
	close_value(j, '}');
}

void json_array(struct json *j, const char *key)
{
	open_value(j, key, '[', false);
}

void json_array_lines(struct json *j, const char *key)
{
	open_value(j, key, '[', true);
}

void json_array_end(struct json *j)
{
	close_value(j, ']');
}

/* Digits of `value`, at least `least` of them, backwards from `end`; where they begin. */
static char *digits(char *end, uint64_t value, unsigned int least)
{
	char *p = end;

	while (value || p > end - least) {
		*--p = (char)('0' + value % 10);
		value /= 10;
	}
	return p;
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	char text[20], *end = text + sizeof(text), *p = digits(end, value, 1);

	before(j, key);
	put_bytes(j, p, (size_t)(end - p));
}

void json_fixed(struct json *j, const char *key, uint64_t value, unsigned int decimals)
{
	uint64_t unit = 1;

	for (unsigned int i = 0; i < decimals; i++)
		unit *= 10;
	json_u64(j, key, value / unit);
	if (decimals) {
		char text[20], *end = text + sizeof(text), *p = digits(end, value % unit, decimals);

		put(j, '.');
		put_bytes(j, p, (size_t)(end - p));
	}
}

void json_bool(struct json *j, const char *key, bool value)
{
	before(j, key);
	put_bytes(j, value ? "true" : "false", value ? 4 : 5);
}

void json_string(struct json *j, const char *key, const char *value)
{
	before(j, key);
	if (value)
		put_string(j, value);
	else
		put_bytes(j, "null", 4);
}
