// SPDX-License-Identifier: GPL-2.0-only
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "json.h"

int log_verbose;
bool log_json;
void (*log_prepare)(void);

static const char *command;

void log_command(const char *name)
{
	command = name;
}

/*
 * One line, in one piece, since others may write there too. What went to standard output before
 * it belongs before it, also where both go to one file.
 */
static void put_line(const char *text)
{
	if (log_prepare)
		log_prepare();
	fflush(stdout);
	fprintf(stderr, "ctloader: %s%s%s\n", command ? command : "", command ? ": " : "", text);
}

static void error_json(const char *what, const char *why, const char *todo)
{
	struct json j;

	json_init(&j, stdout);
	json_object(&j, NULL);
	json_object(&j, "error");
	if (command)
		json_string(&j, "command", command);
	json_string(&j, "what", what);
	json_string(&j, "why", why);
	if (todo)
		json_string(&j, "todo", todo);
	json_object_end(&j);
	json_object_end(&j);
	json_flush(&j);
	fflush(stdout);
}

static void error(const char *what, const char *why, const char *todo)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s", what, why ? ": " : "", why ? why : "",
		 todo ? " (" : "", todo ? todo : "", todo ? ")" : "");
	put_line(text);
	if (log_json)
		error_json(what, why, todo);
}

int fail(const char *why, const char *todo, const char *what, ...)
{
	char text[1024];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	error(text, why, todo);
	return 1;
}

int usage_error(const char *why, const char *what, ...)
{
	char text[1024];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	error(text, why, NULL);
	return 2;
}

void note(const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_line(text);
}

void verbose(const char *format, ...)
{
	char text[2048];
	va_list args;

	if (!log_verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_line(text);
}
