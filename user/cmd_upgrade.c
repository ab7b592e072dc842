// SPDX-License-Identifier: GPL-2.0-only
/* upgrade: this binary's programs in the place of a running instance's. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "log.h"
#include "object.h"
#include "opts.h"
#include "out.h"
#include "pins.h"
#include "priv.h"
#include "repair.h"
#include "replace.h"
#include "table.h"

static void show(const struct instance *in, const struct replaced *what, uint64_t flows, bool json)
{
	bool same = what->build == object_build();
	struct json j;

	if (!json) {
		printf("instance %s: %s, %" PRIu64 " flows kept%s\n", in->name,
		       same ? "the same programs again" : "upgraded", flows,
		       what->table ? " in a new table" : "");
		return;
	}
	json_init(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", in->name);
	json_bool(&j, "same_build", same);
	json_bool(&j, "new_table", what->table);
	json_u64(&j, "abi", CT_ABI);
	json_u64(&j, "abi_before", what->abi);
	json_u64(&j, "flows", flows);
	json_object_end(&j);
	json_flush(&j);
}

/* Like instance_open(), which refuses what another build has made. 0 or 1, reported. */
static int open_any(struct instance *in)
{
	struct ct_state st;
	int err = instance_check(in, &st);

	return err == -EPROTO ? 0 : instance_open(in);
}

int cmd_upgrade(struct instance *in, int argc, char **argv)
{
	struct replaced what;
	uint64_t flows = 0;
	struct ct_epoch e;
	struct table t;
	bool json;
	bool later; /* what another build left half done is put right in our layouts */
	int code, err;

	if (!out_alone(argc, argv, &json, &code))
		return code;
	if (priv_check())
		return 1;
	if (pins_find(in->name, in->dir, sizeof(in->dir)) && instance_open(in))
		return 1; /* and it has said why */
	if (open_any(in) || instance_lock(in))
		return 1;
	err = repair_due(in) ? repair(in) : 0;
	later = err == -EPROTO;
	if (err && !later && instance_open(in))
		return 1;
	if (open_any(in))
		return 1;
	code = instance_epoch(in, &e);
	if (code)
		return fail(strerror(-code), "detach it with the build that made it", "%s/epoch",
			    in->dir);
	if (change_begin(in))
		return 1;
	code = replace(in, 0, &what);
	if (code != 2)
		change_end(in, (int)e.life, !later);
	if (code)
		return 1;
	if (later && instance_open(in))
		return 1;
	if (!table_open(&t, in)) {
		table_count(&t, &flows);
		table_close(&t);
	}
	show(in, &what, flows, json);
	return 0;
}
