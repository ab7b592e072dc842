// SPDX-License-Identifier: GPL-2.0-only
#include "out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cmd.h"
#include "log.h"

/* Text: the values begin in this column, and the help behind them in that. */
#define VALUE_COLUMN 26
#define VALUE_WIDTH  14

const struct opt out_options_json[] = {
	{ 'o', "output", "FORMAT", "json", "output format" },
	{ 0 },
};

const struct opt out_options_flow[] = {
	{ 'o', "output", "LIST", "json|extended|id|timestamp|ktimestamp", "output format" },
	{ 0 },
};

static const struct format {
	const char *name;
	unsigned int bit;
} formats_known[] = {
	{ "json", OUT_JSON },
	{ "extended", OUT_EXTENDED },
	{ "id", OUT_ID },
	{ "timestamp", OUT_TIMESTAMP },
	{ "ktimestamp", OUT_KTIMESTAMP },
};

#define FORMATS (sizeof(formats_known) / sizeof(formats_known[0]))

static unsigned int format_bit(const char *word, size_t len)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (strlen(formats_known[i].name) == len &&
		    !memcmp(formats_known[i].name, word, len))
			return formats_known[i].bit;
	return 0;
}

static int unknown_format(const char *word, size_t len, unsigned int accepted)
{
	char why[160] = "unknown format; there is ";
	size_t at = strlen(why);
	const char *separator = "";

	for (size_t i = 0; i < FORMATS; i++) {
		if (!(accepted & formats_known[i].bit))
			continue;
		at += (size_t)snprintf(why + at, sizeof(why) - at, "%s%s", separator,
				       formats_known[i].name);
		separator = ", ";
	}
	return usage_error(why, "-o %.*s", (int)len, word);
}

int out_parse(const char *list, unsigned int accepted, unsigned int *formats)
{
	const char *word = list;

	for (;;) {
		size_t len = strcspn(word, ",");
		unsigned int bit = format_bit(word, len) & accepted;

		if (!bit)
			return unknown_format(word, len, accepted);
		*formats |= bit;
		if (bit == OUT_JSON)
			log_json = true;
		if (!word[len])
			return 0;
		word += len + 1;
	}
}

bool out_alone(int argc, char **argv, bool *json, int *code)
{
	unsigned int formats = 0;
	struct opts o;
	int id;

	*code = 2;
	opts_init(&o, argc, argv, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0)
		if (out_parse(o.value, OUT_JSON, &formats))
			return false;
	*json = formats & OUT_JSON;
	if (id < 0)
		*code = o.exit;
	return !id && !opts_no_arguments(&o);
}

void out_begin(struct out *o, bool json)
{
	o->json = json;
	o->depth = 0;
	json_init(&o->writer, stdout);
	if (json)
		json_object(&o->writer, NULL);
}

void out_end(struct out *o)
{
	if (o->json)
		json_object_end(&o->writer);
	json_flush(&o->writer);
}

void out_group(struct out *o, const char *key)
{
	if (o->json)
		json_object(&o->writer, key);
	else
		printf("%*s%s\n", (int)(2 * o->depth), "", key);
	o->depth++;
}

void out_group_end(struct out *o)
{
	o->depth--;
	if (o->json)
		json_object_end(&o->writer);
}

/* The key of a line of text, up to the column of the values. */
static void put_key(const struct out *o, const char *key)
{
	int indent = (int)(2 * o->depth);

	printf("%*s%-*s ", indent, "", VALUE_COLUMN - indent, key);
}

void out_u64(struct out *o, const char *key, uint64_t value, const char *help)
{
	if (o->json) {
		json_u64(&o->writer, key, value);
		return;
	}
	put_key(o, key);
	printf("%*" PRIu64 "%s%s\n", VALUE_WIDTH, value, help ? "  " : "", help ? help : "");
}

void out_string(struct out *o, const char *key, const char *value, const char *help)
{
	if (o->json) {
		json_string(&o->writer, key, value);
		return;
	}
	put_key(o, key);
	printf("%s%s%s\n", value, help ? "  " : "", help ? help : "");
}

void out_summary(FILE *to, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fflush(stdout);
	fprintf(to, "ctloader v" CTLOADER_VERSION ": %s\n", text);
}
