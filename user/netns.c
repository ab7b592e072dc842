// SPDX-License-Identifier: GPL-2.0-only
#include "netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instance.h"

/* The inode of the first pid namespace, where all processes are seen: PROC_PID_INIT_INO. */
#define FIRST_PID_NAMESPACE 0xeffffffcU

struct looking {
	uint64_t cookie;
	ino_t *seen;
	size_t n, room;
	bool found;
	bool doubt; /* one could not be looked into */
};

static bool known(struct looking *l, ino_t inode)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->seen[i] == inode)
			return true;
	if (l->n == l->room) {
		ino_t *more = realloc(l->seen, (l->room + 64) * sizeof(*more));

		if (!more)
			return false;
		l->seen = more;
		l->room += 64;
	}
	l->seen[l->n++] = inode;
	return false;
}

/* Is the namespace at `path` the one? The caller goes home when all have been visited. */
static void visit(struct looking *l, const char *path)
{
	struct stat st;
	int fd;

	if (l->found || stat(path, &st) || known(l, st.st_ino))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		l->doubt |= errno != ENOENT && errno != ESRCH;
	else
		l->found = netns_cookie() == l->cookie;
	if (fd >= 0)
		close(fd);
}

/* What a process has open: descriptors of namespaces read "net:[4026531840]". */
static void visit_open(struct looking *l, const char *pid)
{
	char path[300], target[32];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, d->d_name);
		n = readlink(path, target, sizeof(target));
		if (n > 5 && !memcmp(target, "net:[", 5))
			visit(l, path);
	}
	if (dir)
		closedir(dir);
}

static void visit_threads(struct looking *l, const char *pid)
{
	struct dirent *d;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/ns/net", pid, d->d_name);
		visit(l, path);
	}
	if (dir)
		closedir(dir);
}

/* Names: namespaces that are mounted, in the mounts of this process or of `pid`. */
static void visit_mounts(struct looking *l, const char *pid)
{
	char path[PATH_MAX];
	struct mntent *m;
	FILE *mounts;

	snprintf(path, sizeof(path), "/proc/%.20s/mounts", pid);
	mounts = setmntent(path, "re");
	while (mounts && (m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "nsfs"))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/root%s", pid, m->mnt_dir);
		visit(l, path);
	}
	if (mounts)
		endmntent(mounts);
}

bool netns_gone(uint64_t cookie)
{
	struct looking l = { .cookie = cookie }, mounts = {};
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct dirent *d;
	char path[64];
	struct stat st;
	DIR *proc;

	l.doubt = home < 0 || stat("/proc/self/ns/pid", &st) || st.st_ino != FIRST_PID_NAMESPACE;
	proc = l.doubt ? NULL : opendir("/proc");
	l.doubt |= !proc;
	while (proc && !l.found && (d = readdir(proc))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		visit_threads(&l, d->d_name);
		visit_open(&l, d->d_name);
		/* Processes with the same mounts have the same names. */
		snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", d->d_name);
		if (!stat(path, &st) && !known(&mounts, st.st_ino))
			visit_mounts(&l, d->d_name);
	}
	if (proc)
		closedir(proc);
	if (home >= 0) {
		if (setns(home, CLONE_NEWNET))
			l.doubt = true;
		close(home);
	}
	free(l.seen);
	free(mounts.seen);
	return !l.found && !l.doubt;
}
