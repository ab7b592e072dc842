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

#include "log.h"
#include "priv.h"

#define BPF_FS_MAGIC 0xcafe4a11
#define SYSTEM	     "/sys/fs/bpf"
#define OWN_PARENT   "/run/ctloader"
#define OWN	     OWN_PARENT "/bpf"
#define RUN_LOCK     "/run/ctloader.lock"
#define SUBDIR	     "/ctloader"

/* How long another loader may keep us waiting. */
#define LOCK_WAIT_MS 30000

static int is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* --- whom to trust ---------------------------------------------------------------------------- */

/* What was found that is not to be trusted, and why; for pins_report(). */
static char unsafe[PATH_MAX] = OWN_PARENT, unsafe_why[96] = "it is not root's alone";

static int distrust(const char *path, const char *why)
{
	snprintf(unsafe, sizeof(unsafe), "%s", path);
	snprintf(unsafe_why, sizeof(unsafe_why), "%s", why);
	return -EUCLEAN;
}

/*
 * Whether what is at `path`, whose status this is, is of that type, and root's or our own alone.
 * Whoever has no privileges can't be led to misuse them: he may look at anybody's.
 *
 * There is no race in looking at names one after the other, from the root on: in a directory that
 * passes, nobody but its owner can put another thing in the place of what we have seen.
 */
static int check_stat(const char *path, const struct stat *st, mode_t type)
{
	char why[96];

	if ((st->st_mode & S_IFMT) != type)
		return distrust(path, S_ISLNK(st->st_mode) ? "it is a symbolic link" :
				      type == S_IFDIR	   ? "it is no directory" :
							     "it is no plain file");
	if (st->st_uid && st->st_uid != geteuid() && !priv_none()) {
		snprintf(why, sizeof(why), "it belongs to user %u", st->st_uid);
		return distrust(path, why);
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(why, sizeof(why), "others may write to it (mode %04o)",
			 st->st_mode & 07777);
		return distrust(path, why);
	}
	return 0;
}

/* 0, -EUCLEAN, -ENOENT or -errno. */
static int check_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -errno : check_stat(path, &st, S_IFDIR);
}

/* The root of a bpffs may be open to all, for whom the sticky bit then keeps it in order. */
static int check_root(const char *path)
{
	struct stat st;

	if (strstr(path, OWN)) {
		char parent[PATH_MAX];
		int err;

		snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
		err = check_dir(parent);
		if (err)
			return err;
	}
	if (stat(path, &st))
		return -errno;
	if (st.st_mode & S_ISVTX)
		st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
	return check_stat(path, &st, S_IFDIR);
}

int pins_report(int err)
{
	if (err == -EUCLEAN)
		return fail(unsafe_why, "move it away", "%s", unsafe);
	return fail("no BPF file system is mounted",
		    "mount -t bpf bpf " SYSTEM ", or run as root, with CAP_SYS_ADMIN, CAP_SYS_PTRACE "
		    "and CAP_SYS_CHROOT",
		    "no place for pins");
}

/* --- where ------------------------------------------------------------------------------------ */

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
static pid_t find_home(bool *seen)
{
	struct stat ours, theirs;

	*seen = false;
	if (!mount_namespace(getpid(), &ours))
		return 0;
	*seen = mount_namespace(1, &theirs) &&
		!faccessat(AT_FDCWD, "/proc/1/root/.", R_OK, AT_EACCESS);
	if (*seen)
		return theirs.st_ino != ours.st_ino;
	for (pid_t pid = getppid(); pid > 1; pid = parent_of(pid)) {
		if (!mount_namespace(pid, &theirs))
			continue;
		*seen = true;
		if (theirs.st_ino != ours.st_ino)
			return pid;
	}
	return 0;
}

/* Nothing is mounted by somebody who can't tell: it might end with this process. */
static bool home_seen;

static pid_t home(void)
{
	static pid_t known = -1;

	if (known >= 0)
		return known;
	/* Every path through /proc/PID/root takes it, too. */
	priv_raise(CAP_SYS_PTRACE);
	known = find_home(&home_seen);
	if (known)
		priv_keep(CAP(SYS_PTRACE));
	else
		priv_lower(CAP_SYS_PTRACE);
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
		int found;

		if (!is_bpffs(place_path(i)))
			continue;
		snprintf(dir, size, "%s" SUBDIR, place_path(i));
		found = check_dir(dir);
		if (!found)
			found = check_root(place_path(i));
		if (!found) {
			snprintf(dir, size, "%s" SUBDIR "/%s", place_path(i), name);
			found = check_dir(dir);
		}
		if (!found || found == -EUCLEAN)
			return found;
		if (found != -ENOENT)
			err = found;
	}
	return err;
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int names_read(struct names *names, const char *dir)
{
	*names = (struct names){};
	names->n = scandir(dir, &names->entry, is_visible, alphasort);
	if (names->n >= 0)
		return 0;
	names->n = 0;
	return -errno;
}

void names_free(struct names *names)
{
	while (names->n)
		free(names->entry[--names->n]);
	free(names->entry);
	names->entry = NULL;
}

int pins_each(int (*each)(const char *name, const char *dir, void *arg), void *arg)
{
	dev_t seen[PLACES];
	size_t n = 0;

	for (size_t i = 0; i < PLACES; i++) {
		char path[PATH_MAX];
		struct names names;
		struct stat st;
		bool known = false;
		int ret = 0;

		if (!is_bpffs(place_path(i)) || stat(place_path(i), &st))
			continue;
		for (size_t j = 0; j < n; j++)
			known |= seen[j] == st.st_dev;
		if (known)
			continue; /* the same file system by another path */
		seen[n++] = st.st_dev;
		snprintf(path, sizeof(path), "%s" SUBDIR, place_path(i));
		if (check_root(place_path(i)) || check_dir(path))
			continue;
		names_read(&names, path);
		for (int j = 0; j < names.n && !ret; j++) {
			const char *name = names.entry[j]->d_name;
			char sub[PATH_MAX + NAME_MAX + 2];

			snprintf(sub, sizeof(sub), "%s/%s", path, name);
			if (!check_dir(sub))
				ret = each(name, sub, arg);
		}
		names_free(&names);
		if (ret)
			return ret;
	}
	return 0;
}

/* --- locks ------------------------------------------------------------------------------------ */

/*
 * Lock what is at `path`, a file or directory, opened with `flags`: a descriptor, whose closing
 * unlocks. The wait for somebody else is bounded: -EBUSY. -ENOENT if it has gone meanwhile.
 */
static int lock_path(const char *path, int flags, int wait_ms)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	mode_t type = flags & O_DIRECTORY ? S_IFDIR : S_IFREG;

	for (int waited = 0; waited <= wait_ms; waited += 20) {
		struct stat opened, named;
		int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600), err;

		if (fd < 0) {
			err = -errno;
			if (!lstat(path, &named) && check_stat(path, &named, type))
				return -EUCLEAN;
			return err;
		}
		err = fstat(fd, &opened) ? -errno : check_stat(path, &opened, type);
		if (err) {
			close(fd);
			return err;
		}
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			err = lstat(path, &named) ? -errno : 0;
			/* Whoever had it may have removed it. */
			if (!err && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
				return fd;
			close(fd);
			return err ? err : -ENOENT;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			err = -errno;
			close(fd);
			return err;
		}
		close(fd);
		if (waited < wait_ms)
			nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

/* Make a directory of ours alone, whatever is inherited from the one above; or find it so. */
static int make_dir(const char *path)
{
	if (!mkdir(path, 0700))
		return chmod(path, 0700) ? -errno : 0;
	return errno == EEXIST ? check_dir(path) : -errno;
}

/* The directory above the instances where they are made, by somebody who can't write to /run. */
static int lock_top(int wait_ms)
{
	char top[PATH_MAX];
	int err;

	if (!place())
		return -ENODEV;
	err = check_root(place());
	snprintf(top, sizeof(top), "%s" SUBDIR, place());
	if (!err)
		err = make_dir(top);
	return err ? err : lock_path(top, O_RDONLY | O_DIRECTORY, wait_ms);
}

/*
 * Everything that mounts or unmounts, makes or removes the top directories, does so one at a time:
 * under a lock that only root can take, because whoever can open it can hold us up. Others than
 * root mount nothing, and are by themselves in a top directory.
 */
static int lock_run(int wait_ms)
{
	int fd;

	do
		fd = geteuid() ? lock_top(wait_ms) : lock_path(RUN_LOCK, O_RDWR | O_CREAT, wait_ms);
	while (fd == -ENOENT && !access("/run", F_OK));
	return fd;
}

static void unlock_run(int fd)
{
	if (!geteuid())
		unlink(RUN_LOCK);
	close(fd);
}

/* --- mounts ----------------------------------------------------------------------------------- */

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
		priv_raise(CAP_SYS_ADMIN);
		priv_raise(CAP_SYS_CHROOT);
		if (fd < 0 || setns(fd, CLONE_NEWNS))
			_exit(errno == EPERM ? ENODEV : errno & 0xff);
		_exit(-what() & 0xff);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static int mount_own(void)
{
	int err = make_dir(OWN_PARENT);

	if (err || is_bpffs(OWN))
		return err;
	err = make_dir(OWN);
	if (!err) {
		priv_raise(CAP_SYS_ADMIN);
		if (mount("bpf", OWN, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
			err = errno == EPERM ? -ENODEV : -errno;
		priv_lower(CAP_SYS_ADMIN);
	}
	if (err) {
		rmdir(OWN);
		rmdir(OWN_PARENT);
	}
	return err;
}

static int unmount_own(void)
{
	int err;

	if (check_dir(OWN_PARENT) || !is_bpffs(OWN))
		return 0;
	/*
	 * Nobody can be making an instance in it: that takes the lock we hold, and its directory
	 * would be there. Listeners that are not done yet keep what they have open.
	 */
	priv_raise(CAP_SYS_ADMIN);
	err = umount2(OWN, UMOUNT_NOFOLLOW | MNT_DETACH) ? -errno : 0;
	priv_lower(CAP_SYS_ADMIN);
	if (err)
		return err;
	rmdir(OWN);
	rmdir(OWN_PARENT);
	return 0;
}

/* --- instances -------------------------------------------------------------------------------- */

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

/* Who was killed between making the directories of our mount and mounting, or the other way round. */
static int remove_own_dirs(void)
{
	if (is_bpffs(OWN))
		return 0;
	rmdir(OWN);
	rmdir(OWN_PARENT);
	return 0;
}

static int make_dirs(const char *name, char *dir, size_t size)
{
	int run = lock_run(LOCK_WAIT_MS), err = 0;
	char top[PATH_MAX];

	if (run < 0)
		return run;
	err = pins_find(name, dir, size);
	if (!err || err == -EUCLEAN)
		goto out;
	if (place())
		err = 0;
	else
		err = home_seen ? in_home_mounts(mount_own) : -ENODEV;
	if (err)
		goto out;
	if (!place()) {
		err = -ENOENT;
		goto out;
	}
	err = check_root(place());
	if (err)
		goto out;
	snprintf(top, sizeof(top), "%s" SUBDIR, place());
	snprintf(dir, size, "%s" SUBDIR "/%s", place(), name);
	err = make_dir(top);
	if (!err)
		err = make_dir(dir);
	if (err)
		remove_top(top);
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

void pins_tidy(bool none)
{
	char top[PATH_MAX];
	int run;

	if (geteuid())
		return; /* to look is not to make what the lock would need */
	/* A lock that nobody has: its holder died. place_path(2) and (3) are our own mount. */
	if (access(RUN_LOCK, F_OK) &&
	    !(none && (is_bpffs(place_path(2)) || is_bpffs(place_path(3)))))
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
	in_home_mounts(remove_own_dirs);
	unlock_run(run);
}

/*
 * Listeners that are about to begin take no lock: each may make one directory more, as long as its
 * maps are there to be found.
 */
int pins_clear(const char *dir)
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
	err = pins_clear(dir);
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
	struct names names;
	bool empty = !names_read(&names, path) && !names.n;

	names_free(&names);
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

int pins_may_remove(const char *dir)
{
	const char *missing = !priv_has(CAP_SYS_ADMIN)		      ? "CAP_SYS_ADMIN" :
			      home() && !priv_has(CAP_SYS_CHROOT) ? "CAP_SYS_CHROOT" :
			      !home_seen			      ? "CAP_SYS_PTRACE" :
									NULL;

	if (!strstr(dir, OWN "/") || !missing)
		return 0;
	return fail("permission denied", "run as root: unmounting " OWN " takes it", "%s missing",
		    missing);
}

/* --- a group that may look -------------------------------------------------------------------- */

/*
 * What the reading commands open. Of programs these two: they answer, and change nothing. A program
 * that can be opened can be run (BPF_PROG_TEST_RUN asks for nothing more), and a link detached; so
 * no other is here. Directories can be passed through, not opened: whoever opens one can lock it.
 */
static const char *const shared_files[] = {
	"state",
	"settings",
	"stats",
	"ifaces",
	"listener_state",
	"xdp_stages",
	"tc_stages",
	"epoch",
	"progs/ct_ctl_select",
	"progs/ct_ctl_get",
};
static const char *const shared_dirs[] = { "/progs", "/links", "" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

gid_t pins_group(const char *dir)
{
	struct stat st;

	return !stat(dir, &st) && st.st_mode & S_IXGRP ? st.st_gid : 0;
}

/* A group of ours can be given without any privilege. */
static bool in_group(gid_t gid)
{
	gid_t groups[1024];
	int n = getgroups(COUNT(groups), groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return gid == getegid();
}

int pins_may_share(gid_t gid)
{
	struct stat st;

	if (!priv_has(CAP_CHOWN) && !in_group(gid))
		return fail("permission denied",
			    "run as root, or be in the group: giving it files takes CAP_CHOWN",
			    "CAP_CHOWN missing");
	/* A mount of our own is opened as far as need be; somebody else's is not ours to open. */
	if (!gid || !place() || strstr(place(), OWN) || stat(place(), &st) ||
	    st.st_mode & S_IXOTH || (st.st_gid == gid && st.st_mode & S_IXGRP))
		return 0;
	return fail("the group can't pass through it", "chmod o+x " SYSTEM, "%s", SYSTEM);
}

static int give(const char *path, gid_t gid, mode_t mode)
{
	return chown(path, (uid_t)-1, gid) || chmod(path, mode) ? -errno : 0;
}

/* Is any instance in `top` shared? Yes when in doubt. */
static bool any_shared(const char *top)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct names names;
	bool shared = names_read(&names, top);

	for (int i = 0; i < names.n && !shared; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", top, names.entry[i]->d_name);
		shared = !stat(path, &st) && st.st_mode & S_IXGRP;
	}
	names_free(&names);
	return shared;
}

/*
 * The directories above can be passed through by everybody for as long as some group needs it:
 * that of the instances, and those of our own mount.
 */
static int open_above(const char *dir)
{
	int levels = strstr(dir, OWN "/") ? 3 : 1, err = 0;
	char path[PATH_MAX];
	mode_t mode = 0700;

	snprintf(path, sizeof(path), "%s", dir);
	for (int i = 0; i < levels && !err; i++) {
		*strrchr(path, '/') = '\0';
		if (!i && any_shared(path))
			mode = 0711;
		err = chmod(path, mode) ? -errno : 0;
	}
	return err;
}

int pins_share(const char *dir, gid_t gid)
{
	int run = lock_run(LOCK_WAIT_MS), err = 0;
	char path[PATH_MAX + 64];

	if (run < 0)
		return run;
	priv_raise(CAP_CHOWN);
	/* Closed until all is another's. */
	if (pins_group(dir) != gid && chmod(dir, 0700))
		err = -errno;
	for (size_t i = 0; i < COUNT(shared_files) && !err; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, shared_files[i]);
		err = give(path, gid, gid ? 0640 : 0600);
	}
	for (size_t i = 0; i < COUNT(shared_dirs) && !err; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, shared_dirs[i]);
		err = give(path, gid, gid ? 0710 : 0700);
	}
	priv_lower(CAP_CHOWN);
	if (!err)
		err = open_above(dir);
	unlock_run(run);
	return err;
}
