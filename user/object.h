/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs and maps of an instance: from the object inside this binary into the kernel, and
 * pinned.
 */
#ifndef OBJECT_H
#define OBJECT_H

#include "instance.h"

struct bpf_object;

struct object_options {
	uint32_t max;      /* flows the table is made for; 0: by the size of the machine */
	bool drop_invalid;
};

/* Programs that commands and interfaces need are pinned under "progs/". */
#define PIN_PROGS "progs"
#define PIN_LINKS "links"
/* The maps of stages: a type of hook each. */
#define STAGE_ARRAYS 2
extern const char *const stage_arrays[STAGE_ARRAYS];

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
/*
 * The same step by step, for who puts it in the place of another (replace.c). Opened: NULL, reported.
 * Then the table is given its size and maps may be shared (bpf_map__reuse_fd on those of
 * object_bpf()); loaded, with the secrets of the instance and a number of its own; arrays filled;
 * pinned to `dir`. The last three return 0 or -errno.
 */
struct ct_bpf;
struct bpf_map;
struct ct_bpf *object_open(void);
void object_set_max(struct ct_bpf *skel, uint32_t max);
struct bpf_object *object_bpf(const struct ct_bpf *skel);
int object_verify(struct ct_bpf *skel, const struct ct_secrets *secrets, uint32_t epoch);
int object_fill_stages(struct ct_bpf *skel);
int object_pin(struct ct_bpf *skel, const char *dir);
void object_close(struct ct_bpf *skel);
/* The word ct_epoch.now, once loaded. */
uint32_t *object_epoch(const struct ct_bpf *skel);
/* Write the only element of a map. 0 or -errno. */
int object_put(const struct ct_bpf *skel, const char *map, const void *value);
/* The name a map is pinned by: NULL when it is not. */
const char *object_pin_name(const struct bpf_map *map);
/* Say why loading failed. Always 1. */
int object_report(int err);
/* Settings and state of an instance that begins. */
void object_defaults(struct ct_settings *s, uint32_t max);
void object_state(struct ct_state *st, uint32_t max);
/* A number that names the programs inside this binary. */
uint64_t object_build(void);
/*
 * The object once more, of which only `prog` is to be loaded (as another type, say), with the maps
 * that the pinned program of this name uses, its constants among them. NULL and errno.
 */
struct bpf_object *object_open_again(const struct instance *in, const char *prog);
/* What `max` is when nobody says: nf_conntrack's rule, by the memory of the machine. */
uint32_t object_default_max(void);

#endif
