/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output of the commands that show an object: one call per field serves text and JSON, so the two
 * can't diverge. And -o, the option that chooses between them.
 */
#ifndef OUT_H
#define OUT_H

#include "json.h"
#include "opts.h"

/* What -o may ask for. */
#define OUT_JSON       0x01
#define OUT_EXTENDED   0x02
#define OUT_ID         0x04
#define OUT_TIMESTAMP  0x08
#define OUT_KTIMESTAMP 0x10

/* -o LIST for commands whose only format besides text is JSON, and for those that show flows. */
extern const struct opt out_options_json[];
extern const struct opt out_options_flow[];
/*
 * Take the words of -o into *formats (added to what is there); `accepted` are those the command
 * knows. Sets log_json when json is among them. 0, or 2 (reported).
 */
int out_parse(const char *list, unsigned int accepted, unsigned int *formats);

/*
 * The arguments of a command that takes -o for JSON and nothing else. True to go on; else it ends, with
 * *code.
 */
bool out_alone(int argc, char **argv, bool *json, int *code);

struct out {
	bool json;
	unsigned int depth;
	struct json writer;
};

/* An object on standard output: begin, fields and groups, end. */
void out_begin(struct out *o, bool json);
void out_end(struct out *o);
/* A group of fields: an object in JSON, an indented block in text. */
void out_group(struct out *o, const char *key);
void out_group_end(struct out *o);
/* `help` is shown behind the value in text; NULL: nothing. */
void out_u64(struct out *o, const char *key, uint64_t value, const char *help);
void out_string(struct out *o, const char *key, const char *value, const char *help);

/*
 * What conntrack(8) says when it is done: "ctloader v0.1.0: ..." on `to`, after everything that
 * went to standard output.
 */
void out_summary(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
