/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where pins live. /sys/fs/bpf if a bpffs is mounted there; else one that we mount ourselves at
 * /run/ctloader/bpf and take away again with the last instance.
 *
 * Both are looked for in the mount namespace of this process, and in the one it comes from: pid
 * 1's, or, where that is closed to us (in a sandbox), that of the nearest ancestor which has
 * another than we. `ip netns exec` and the like put us into a mount namespace of our own that has
 * no bpffs, and what is mounted in it ends with it.
 *
 * Every directory is 0700 and every pin 0600, of root or of whoever attached. What is found in
 * their place and is a symbolic link, somebody else's, or open to others for writing is refused:
 * -EUCLEAN, for pins_report(); nothing is touched.
 */
#ifndef PINS_H
#define PINS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The system's bpffs, by a path that leads there from here; NULL if there is none. */
const char *pins_system(void);
/*
 * The directory of instance `name` (".../ctloader/NAME") into `dir`. 0, -ENOENT when there is no
 * such instance, -EUCLEAN or -errno.
 */
int pins_find(const char *name, char *dir, size_t size);
/*
 * Make it if need be, mounting a bpffs if there is none, and lock it: *lock is a file descriptor
 * whose closing unlocks. Waits for other loaders. 0 or -errno; -EBUSY when the wait was too long;
 * -EUCLEAN; -ENODEV, for pins_report(), when there is no bpffs, and none can be mounted.
 */
int pins_make(const char *name, char *dir, size_t size, int *lock);
/* Report -EUCLEAN or -ENODEV. Returns 1. */
int pins_report(int err);
/* Lock an instance's directory that exists. Likewise; -ENOENT if it has gone meanwhile. */
int pins_lock(const char *dir, int *lock);
/* The same, without waiting: -EBUSY. */
int pins_try_lock(const char *dir, int *lock);
/*
 * Take away what a loader that died has left of the places for pins: its lock, directories, a mount
 * without an instance. It looks for the lock first; if there is none, and `none` (no instance of
 * ours), for the mount. Waits for nobody.
 */
void pins_tidy(bool none);
/* The process that has a flock on a directory, by its path from `at` on; 0 if that can't be known. */
pid_t pins_holder(int at, const char *path);
/*
 * Remove a folder of pins with everything in it; `state` goes first, so that what is left if we are
 * killed is not taken for an instance. 0, also when it is not there, or -errno.
 */
int pins_clear(const char *dir);
/*
 * Remove the instance's directory with everything in it, and the mount if it was ours and the
 * last. Ends the lock (it keeps the mount busy): *lock is -1 afterwards.
 */
int pins_remove(const char *dir, int *lock);
/*
 * What is in a folder, but for what begins with a dot. Read as a whole before anything is done with it:
 * a folder that could be read in part only is none that is empty, and entries may be removed meanwhile.
 */
struct names {
	struct dirent **entry;
	int n;
};
/* 0; -errno, and then there are none. Free them in any case. */
int names_read(struct names *names, const char *dir);
void names_free(struct names *names);

/* Have we the capabilities that it takes? 0 or 1, reported. */
int pins_may_remove(const char *dir);
/*
 * Call `each` for every instance found anywhere. Ends when it returns non-zero, with that value.
 */
int pins_each(int (*each)(const char *name, const char *dir, void *arg), void *arg);

/*
 * Say what there is of places for pins although there is no instance in them: our directory, our
 * mount, the lock file of a loader that was killed.
 */
void pins_empty(void (*say)(const char *what, void *arg), void *arg);

/*
 * The group that may read an instance is the group of its directory: 0 where there is none. To
 * share it with another, or with none, the caller holds the lock. Done again, it takes in pins
 * that have been replaced. 0 or -errno.
 */
gid_t pins_group(const char *dir);
int pins_share(const char *dir, gid_t gid);
/* Could it be done? 0 or 1, reported. */
int pins_may_share(gid_t gid);

#endif
