// SPDX-License-Identifier: GPL-2.0-only
#include "pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BPF_FS_MAGIC 0xcafe4a11
#define SYSTEM "/sys/fs/bpf"
#define OWN_PARENT "/run/ctloader"
#define OWN OWN_PARENT "/bpf"
#define RUN_LOCK "/run/ctloader.lock"
#define SUBDIR "/ctloader"

/* How long another loader may keep us waiting. */
#define LOCK_WAIT_MS 30000

static int is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static bool mount_namespace(pid_t pid, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return !stat(path, st);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* pid (name) state ppid: a name may hold anything, so look for the last ')' */
	if (fgets(line, sizeof(line), f) && (end = strrchr(line, ')')) &&
	    sscanf(end + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

/*
 * The process whose mount namespace is the one we come from; see pins.h. 0: it is our own.
 */
static pid_t home(void)
{
	static pid_t known = -1;
	struct stat ours, theirs;

	if (known >= 0)
		return known;
	known = 0;
	if (!mount_namespace(getpid(), &ours))
		return known;
	if (mount_namespace(1, &theirs) && !access("/proc/1/root/.", R_OK)) {
		if (theirs.st_ino != ours.st_ino)
			known = 1;
		return known;
	}
	for (pid_t pid = getppid(); pid > 1; pid = parent_of(pid))
		if (mount_namespace(pid, &theirs) && theirs.st_ino != ours.st_ino) {
			known = pid;
			break;
		}
	return known;
}

/*
 * Place `i` of those where pins may be, in the order in which they are used: the system's bpffs as
 * this process sees it, as the process it comes from does; then our own mount likewise.
 */
#define PLACES 4

static const char *place_path(size_t i)
{
	static char paths[PLACES][64];
	const char *dir = i < 2 ? SYSTEM : OWN;

	if (i & 1)
		snprintf(paths[i], sizeof(paths[i]), "/proc/%d/root%s", (int)home(), dir);
	else
		snprintf(paths[i], sizeof(paths[i]), "%s", dir);
	return i & 1 && !home() ? "" : paths[i];
}

static const char *first_of(size_t places)
{
	for (size_t i = 0; i < places; i++)
		if (is_bpffs(place_path(i)))
			return place_path(i);
	return NULL;
}

static const char *place(void)
{
	return first_of(PLACES);
}

const char *pins_system(void)
{
	return first_of(2);
}

int pins_find(const char *name, char *dir, size_t size)
{
	int err = -ENOENT;

	for (size_t i = 0; i < PLACES; i++) {
		struct stat st;

		if (!is_bpffs(place_path(i)))
			continue;
		snprintf(dir, size, "%s" SUBDIR "/%s", place_path(i), name);
		if (!stat(dir, &st))
			return 0;
		if (errno != ENOENT)
			err = -errno;
	}
	return err;
}

int pins_each(int (*each)(const char *name, const char *dir, void *arg), void *arg)
{
	dev_t seen[PLACES];
	size_t n = 0;

	for (size_t i = 0; i < PLACES; i++) {
		char path[PATH_MAX];
		struct dirent *d;
		struct stat st;
		bool known = false;
		int ret = 0;
		DIR *dir;

		if (!is_bpffs(place_path(i)) || stat(place_path(i), &st))
			continue;
		for (size_t j = 0; j < n; j++)
			known |= seen[j] == st.st_dev;
		if (known)
			continue; /* the same file system by another path */
		seen[n++] = st.st_dev;
		snprintf(path, sizeof(path), "%s" SUBDIR, place_path(i));
		dir = opendir(path);
		while (dir && !ret && (d = readdir(dir))) {
			char sub[PATH_MAX + NAME_MAX + 2];

			if (d->d_name[0] == '.')
				continue;
			snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name);
			ret = each(d->d_name, sub, arg);
		}
		if (dir)
			closedir(dir);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Lock what is at `path`, a file or directory, opened with `flags`: a descriptor, whose closing
 * unlocks. The wait for somebody else is bounded: -EBUSY. -ENOENT if it has gone meanwhile.
 */
static int lock_path(const char *path, int flags, int wait_ms)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };

	for (int waited = 0; waited <= wait_ms; waited += 20) {
		struct stat opened, named;
		int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			/* Whoever had it may have removed it. */
			if (!fstat(fd, &opened) && !stat(path, &named) &&
			    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
				return fd;
			close(fd);
			return -ENOENT;
		}
		close(fd);
		if (waited < wait_ms)
			nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

/*
 * Everything that mounts or unmounts, makes or removes the top directories, does so one at a time:
 * under a lock that only root can take, because whoever can open it can hold us up.
 */
static int lock_run(int wait_ms)
{
	int fd;

	do
		fd = lock_path(RUN_LOCK, O_RDWR | O_CREAT, wait_ms);
	while (fd == -ENOENT && !access("/run", F_OK));
	return fd;
}

static void unlock_run(int fd)
{
	unlink(RUN_LOCK);
	close(fd);
}

/*
 * Do something to the mounts of the namespace we come from, in a child, because changing the mount
 * namespace changes every path.
 */
static int in_home_mounts(int (*what)(void))
{
	pid_t from = home(), pid;
	int status;

	if (!from)
		return what();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)from);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNS))
			_exit(errno & 0xff);
		_exit(-what() & 0xff);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static int mount_own(void)
{
	if (is_bpffs(OWN))
		return 0;
	if (mkdir(OWN_PARENT, 0755) && errno != EEXIST)
		return -errno;
	if (mkdir(OWN, 0700) && errno != EEXIST)
		return -errno;
	if (mount("bpf", OWN, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")) {
		int err = -errno;

		rmdir(OWN);
		rmdir(OWN_PARENT);
		return err;
	}
	return 0;
}

static int unmount_own(void)
{
	if (!is_bpffs(OWN))
		return 0;
	/*
	 * Nobody can be making an instance in it: that takes the lock we hold, and its directory
	 * would be there. Listeners that are not done yet keep what they have open.
	 */
	if (umount2(OWN, UMOUNT_NOFOLLOW | MNT_DETACH))
		return -errno;
	rmdir(OWN);
	rmdir(OWN_PARENT);
	return 0;
}

static int lock_dir(const char *dir, int *lock, int wait_ms)
{
	int fd = lock_path(dir, O_RDONLY | O_DIRECTORY, wait_ms);

	if (fd < 0)
		return fd;
	*lock = fd;
	return 0;
}

int pins_lock(const char *dir, int *lock)
{
	return lock_dir(dir, lock, LOCK_WAIT_MS);
}

int pins_try_lock(const char *dir, int *lock)
{
	return lock_dir(dir, lock, 0);
}

pid_t pins_holder(int at, const char *path)
{
	unsigned long ino;
	unsigned int major, minor;
	struct stat st;
	char line[256];
	int pid = 0;
	FILE *f;

	if (fstatat(at, path, &st, 0))
		return 0;
	f = fopen("/proc/locks", "re");
	if (!f)
		return 0;
	/* 1: FLOCK  ADVISORY  WRITE 1234 00:2a:5678 0 EOF; who waits for it has "->" behind the number */
	while (fgets(line, sizeof(line), f) &&
	       (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &ino) != 4 ||
		major != major(st.st_dev) || minor != minor(st.st_dev) || ino != st.st_ino))
		pid = 0;
	fclose(f);
	return pid;
}

/* Remove the directory above the instances if it is there and empty, then the mount if it is ours. */
static void remove_top(const char *top)
{
	if ((!rmdir(top) || errno == ENOENT) && strstr(top, OWN "/"))
		in_home_mounts(unmount_own);
}

static int make_dirs(const char *name, char *dir, size_t size)
{
	int run = lock_run(LOCK_WAIT_MS), err = 0;
	char top[PATH_MAX];

	if (run < 0)
		return run;
	if (!pins_find(name, dir, size))
		goto out;
	if (!place())
		err = in_home_mounts(mount_own);
	if (err)
		goto out;
	if (!place()) {
		err = -ENOENT;
		goto out;
	}
	snprintf(top, sizeof(top), "%s" SUBDIR, place());
	snprintf(dir, size, "%s" SUBDIR "/%s", place(), name);
	if ((mkdir(top, 0700) && errno != EEXIST) || (mkdir(dir, 0700) && errno != EEXIST)) {
		err = -errno;
		remove_top(top);
	}
out:
	unlock_run(run);
	return err;
}

int pins_make(const char *name, char *dir, size_t size, int *lock)
{
	int err = -ENOENT;

	/* Again if another loader has removed it, or the mount, between the two. */
	for (int tries = 0; tries < 100 && err == -ENOENT; tries++) {
		err = make_dirs(name, dir, size);
		if (!err)
			err = pins_lock(dir, lock);
	}
	return err;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) && errno != ENOENT; /* a listener that leaves takes its own away */
}

void pins_tidy(void)
{
	char top[PATH_MAX];
	int run;

	/* place_path(2) and (3) are our own mount. */
	if (access(RUN_LOCK, F_OK) && !is_bpffs(place_path(2)) && !is_bpffs(place_path(3)))
		return;
	run = lock_run(0);
	if (run < 0)
		return;
	for (size_t i = 0; i < PLACES; i++) {
		if (!is_bpffs(place_path(i)))
			continue;
		snprintf(top, sizeof(top), "%s" SUBDIR, place_path(i));
		remove_top(top);
	}
	unlock_run(run);
}

/*
 * `state` goes first, so that what is left if we are killed is not taken for an instance. Listeners
 * that are about to begin take no lock: each may make one directory more, as long as its maps are
 * there to be found.
 */
static int remove_tree(const char *dir)
{
	char state[PATH_MAX + 16];

	snprintf(state, sizeof(state), "%s/state", dir);
	unlink(state);
	for (int tries = 0; tries < 100; tries++) {
		if (!nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
			return 0;
		if (errno == ENOENT && access(dir, F_OK))
			return 0;
		if (errno != ENOENT && errno != ENOTEMPTY)
			break;
	}
	return -errno;
}

int pins_remove(const char *dir, int *lock)
{
	int run = lock_run(LOCK_WAIT_MS), err;
	char top[PATH_MAX];

	if (run < 0)
		return run;
	/* Nobody can find the directory any more when it is unlocked: who waits looks again. */
	err = remove_tree(dir);
	if (*lock >= 0)
		close(*lock);
	*lock = -1;
	snprintf(top, sizeof(top), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
	remove_top(top);
	unlock_run(run);
	return err;
}

static bool dir_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	bool empty = dir;

	while (dir && empty && (d = readdir(dir)))
		empty = !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

void pins_empty(void (*say)(const char *what, void *arg), void *arg)
{
	int fd = open(RUN_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char path[PATH_MAX];

	for (size_t i = 0; i < PLACES; i++) {
		if (!is_bpffs(place_path(i)))
			continue;
		snprintf(path, sizeof(path), "%s" SUBDIR, place_path(i));
		if (dir_empty(path))
			say(path, arg);
		if (strstr(place_path(i), OWN) && dir_empty(place_path(i)))
			say(place_path(i), arg);
	}
	/* A lock that somebody holds is at work. */
	if (fd >= 0 && !flock(fd, LOCK_SH | LOCK_NB))
		say(RUN_LOCK, arg);
	if (fd >= 0)
		close(fd);
}
