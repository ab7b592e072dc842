/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs and maps of an instance: from the object inside this binary into the kernel, and
 * pinned.
 */
#ifndef OBJECT_H
#define OBJECT_H

#include "instance.h"

struct object_options {
	uint32_t max;      /* flows the table is made for; 0: by the size of the machine */
	bool drop_invalid;
};

/* Programs that commands and interfaces need are pinned under "progs/". */
#define PIN_PROGS "progs"
#define PIN_LINKS "links"

/*
 * Load, fill the stage arrays from the last stage to the first, pin everything below in->dir, and
 * start the sweep. Reports its errors and takes back what it did. 0 or 1.
 */
int object_load(const struct instance *in, const struct object_options *options);
/* Start the sweep's timer, or see that it runs. 0 or 1, reported. */
int object_start_sweep(const struct instance *in);
/* The maps and programs that this build makes an instance of. */
struct object_part {
	const char *name;
	bool program;
	bool pinned;
	uint32_t type, key_size, value_size; /* of a map */
};
/* Call `each` for every one. 0 or -errno. */
int object_each(void (*each)(const struct object_part *part, void *arg), void *arg);
/* What `max` is when nobody says: nf_conntrack's rule, by the memory of the machine. */
uint32_t object_default_max(void);

#endif
