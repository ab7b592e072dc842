// SPDX-License-Identifier: GPL-2.0-only
/* flush: empty the table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "listener.h"
#include "log.h"
#include "out.h"
#include "table.h"

static int flush_table(struct table *t, bool json)
{
	long n = listeners_flush(t, CT_END_FLUSHED);

	if (n == -ENOENT)
		return 1;
	if (n < 0)
		return fail(strerror((int)-n), NULL, "the table can't be emptied");
	if (json)
		printf("{\"deleted\":%ld}\n", n);
	else
		out_summary(stdout, "connection tracking table has been emptied: %ld flows.", n);
	return 0;
}

int cmd_flush(struct instance *in, int argc, char **argv)
{
	unsigned int formats = 0;
	struct table t;
	struct opts o;
	int id, code;

	opts_init(&o, argc, argv, out_options_json, NULL);
	while ((id = opts_next(&o)) > 0)
		if (out_parse(o.value, OUT_JSON, &formats))
			return 2;
	if (id < 0)
		return o.exit;
	if (o.argc)
		return usage_error("flush empties the whole table and takes no filter", "%s",
				   o.argv[0]);
	if (instance_open(in) || instance_lock(in) || instance_open(in) || table_open(&t, in))
		return 1;
	code = flush_table(&t, formats & OUT_JSON);
	table_close(&t);
	return code;
}
