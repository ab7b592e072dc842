/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A streaming JSON writer: it takes care of commas and escapes. What it writes goes through a
 * buffer inside the struct to `out`; nothing is allocated.
 *
 *	struct json j;
 *
 *	json_init(&j, stdout);
 *	json_object(&j, NULL);
 *	json_u64(&j, "flows", 12);
 *	json_object(&j, "gc");
 *	json_object_end(&j);
 *	json_object_end(&j);      (the end of the outermost value also ends the line)
 *	json_flush(&j);
 *
 * Inside an array `key` is NULL.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 16

struct json {
	FILE *out;
	unsigned int depth;
	bool some[JSON_DEPTH];  /* something has been written at this depth */
	bool lines[JSON_DEPTH]; /* elements at this depth begin on a line of their own */
	size_t len;
	char buf[8192];
};

void json_init(struct json *j, FILE *out);
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
/* An array with one element per line. */
void json_array_lines(struct json *j, const char *key);
void json_array_end(struct json *j);

void json_u64(struct json *j, const char *key, uint64_t value);
/* value / 10^decimals, written out with all its decimals; decimals from 1 to 9. */
void json_fixed(struct json *j, const char *key, uint64_t value, unsigned int decimals);
void json_bool(struct json *j, const char *key, bool value);
/* Bytes that are not UTF-8 become U+FFFD. NULL is written as null. */
void json_string(struct json *j, const char *key, const char *value);

/* Hand everything to `out`, which is not flushed itself. Errors stay in `out` (ferror). */
void json_flush(struct json *j);

#endif
