// SPDX-License-Identifier: GPL-2.0-only
#include "wholefile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_FIRST (1U << 20)

/* --- Signals ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t signalled;
static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
#define ENDING (sizeof(ending) / sizeof(ending[0]))
static struct sigaction before[ENDING];

static void remember(int signal)
{
	signalled = signal;
}

bool wholefile_interrupted(void)
{
	return signalled;
}

/* A file that grows too large is an error of a write then. */
static void hold_signals(void)
{
	const struct sigaction action = { .sa_handler = remember, .sa_flags = SA_RESTART };

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < ENDING; i++) {
		sigaction(ending[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
	}
}

static void release_signals(void)
{
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &before[i], NULL);
	if (signalled)
		raise(signalled);
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Where the file is, or will be, behind symbolic links. 1: it is something else than a file. */
static int find(const char *path, char *found)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno != ENOENT)
			return -errno;
		if (!lstat(path, &st)) /* a link to nothing: a file in its place would be another one */
			return -ENOENT;
		if (strlen(path) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(found, path);
		return *path ? 0 : -ENOENT;
	}
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return 1;
	return realpath(path, found) ? 0 : -errno;
}

static int open_temporary(struct wholefile *w)
{
	char copy[PATH_MAX];
	int fd;

	strcpy(copy, w->path);
	if (snprintf(w->temporary, sizeof(w->temporary), "%s/.ctloader.XXXXXX", dirname(copy)) >=
	    (int)sizeof(w->temporary))
		return -ENAMETOOLONG;
	hold_signals();
	fd = mkstemp(w->temporary); /* mode 0600; nothing is executed here */
	if (fd >= 0)
		return fd;
	fd = -errno;
	release_signals();
	return fd;
}

/* What was written into a temporary file goes, if it is there. */
static void give_up(struct wholefile *w)
{
	if (!*w->temporary)
		return;
	unlink(w->temporary);
	release_signals();
}

int wholefile_begin(struct wholefile *w, const char *path)
{
	int ret, fd;

	memset(w, 0, sizeof(*w));
	if (!strcmp(path, "-")) {
		w->to = stdout;
		return 0;
	}
	ret = find(path, w->path);
	if (ret < 0)
		return ret;
	if (ret)
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	else
		fd = open_temporary(w);
	if (fd < 0)
		return ret ? -errno : fd;
	w->to = fdopen(fd, "w");
	if (w->to)
		return 0;
	close(fd);
	give_up(w);
	return -ENOMEM;
}

/* On the disk, under its name, and the name on the disk, too. */
static int put_in_place(struct wholefile *w)
{
	char copy[PATH_MAX];
	int dir, err;

	if (fsync(fileno(w->to)) || rename(w->temporary, w->path))
		return -errno;
	strcpy(copy, w->path);
	dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Who may write into a directory may not always read it; and not all of them can be synced. */
	err = dir >= 0 && fsync(dir) && errno != EINVAL ? -errno : 0;
	if (dir >= 0)
		close(dir);
	return err;
}

int wholefile_end(struct wholefile *w, bool all)
{
	int err = fflush(w->to) || ferror(w->to) ? -(errno ?: EIO) : 0;

	if (!err && all && *w->temporary && !signalled)
		err = put_in_place(w);
	if (w->to == stdout && err) { /* it is told once */
		__fpurge(stdout);
		clearerr(stdout);
	} else if (w->to != stdout && fclose(w->to) && !err) {
		err = -errno;
	}
	give_up(w); /* after a rename there is nothing of that name */
	return err;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int read_all(int fd, uint64_t most, wholefile_begins_fn *begins, uint8_t **data,
		    size_t *size)
{
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (*size == room) {
			size_t more = room ? 2 * room : READ_FIRST;
			uint8_t *larger;

			if (*size > most)
				return -EFBIG;
			if (room == READ_FIRST && !begins(*data, *size))
				return 0;
			larger = realloc(*data, more);
			if (!larger)
				return -ENOMEM;
			*data = larger;
			room = more;
		}
		n = read(fd, *data + *size, room - *size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return *size > most ? -EFBIG : 0;
		*size += n > 0 ? (size_t)n : 0;
	}
}

int wholefile_read(const char *path, uint64_t most, wholefile_begins_fn *begins, uint8_t **data,
		   size_t *size)
{
	int fd = STDIN_FILENO, err;

	*data = NULL;
	*size = 0;
	if (strcmp(path, "-") != 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	err = read_all(fd, most, begins, data, size);
	if (fd != STDIN_FILENO)
		close(fd);
	if (!err)
		return 0;
	free(*data);
	*data = NULL;
	return err;
}
