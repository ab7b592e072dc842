// SRC: user/wholefile.c
// SPDX-License-Identifier: GPL-2.0-only
/* Files that are written as a whole or not at all, and read with a bound. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "wholefile.h"

static char folder[64], path[128];
static struct wholefile w;

static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static bool any(const void *data, size_t size)
{
	(void)data;
	return size > 0;
}

static bool none(const void *data, size_t size)
{
	(void)data;
	return !size;
}

/* The file's contents, and that there is nothing beside it. */
static void want(const char *text)
{
	DIR *dir = opendir(folder);
	uint8_t *data;
	size_t size;
	int n = 0;

	CHECK_EQ(wholefile_read(path, 100, any, &data, &size), 0);
	CHECK_EQ(size, strlen(text));
	CHECK_MEM(data, text, strlen(text));
	free(data);
	while (readdir(dir))
		n++;
	closedir(dir);
	CHECK_EQ(n, 3); /* it, and two dots */
}

static void begin(void)
{
	strcpy(folder, "/tmp/ctt.unit.XXXXXX");
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/file", folder);
	put("old");
	chmod(path, 0644);
}

static void end(void)
{
	unlink(path);
	CHECK_EQ(rmdir(folder), 0);
}

// The new file takes the old one's place when all is written, and is nobody else's to read.
TEST(replaces)
{
	struct stat st;

	begin();
	REQUIRE(wholefile_begin(&w, path) == 0);
	fputs("new", w.to);
	fflush(w.to);
	CHECK_EQ(access(path, F_OK), 0);
	CHECK_EQ(wholefile_end(&w, true), 0);
	want("new");
	stat(path, &st);
	CHECK_EQ(st.st_mode & 07777, 0600);
	end();
}

// A link that leads nowhere is left alone: what would be put in its place is no link.
TEST(dangling)
{
	char link[sizeof(path) + 8];
	struct stat st;

	begin();
	snprintf(link, sizeof(link), "%s.link", path);
	CHECK_EQ(symlink("nothing", link), 0);
	CHECK_EQ(wholefile_begin(&w, link), -ENOENT);
	CHECK(!lstat(link, &st) && S_ISLNK(st.st_mode));
	unlink(link);
	want("old");
	end();
}

// Who gives up leaves the old one, and nothing else.
TEST(gives_up)
{
	begin();
	REQUIRE(wholefile_begin(&w, path) == 0);
	fputs("new", w.to);
	CHECK_EQ(wholefile_end(&w, false), 0);
	want("old");
	end();
}

// So does one that is ended by a signal, of which it then dies.
TEST(signalled)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < 4; i++) {
		int status = 0;
		pid_t pid;

		begin();
		pid = fork();
		if (!pid) {
			int err = wholefile_begin(&w, path);

			fputs("new", w.to);
			raise(signals[i]);
			if (!err && wholefile_interrupted())
				wholefile_end(&w, true);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		want("old");
		end();
	}
}

// What is no file is written to as it is; and a failure there is one.
TEST(devices)
{
	REQUIRE(wholefile_begin(&w, "/dev/null") == 0);
	fputs("new", w.to);
	CHECK_EQ(wholefile_end(&w, true), 0);
	REQUIRE(wholefile_begin(&w, "/dev/full") == 0);
	fputs("new", w.to);
	CHECK_EQ(wholefile_end(&w, true), -ENOSPC);
	CHECK_EQ(wholefile_begin(&w, "/dev"), -EISDIR);
	CHECK_EQ(wholefile_begin(&w, "/dev/null/file"), -ENOTDIR);
	CHECK_EQ(wholefile_begin(&w, ""), -ENOENT);
}

// No more is read than was allowed, and not on and on where the beginning is wrong.
TEST(reads)
{
	uint8_t *data;
	size_t size;

	CHECK_EQ(wholefile_read("/dev/null", 0, none, &data, &size), 0);
	CHECK_EQ(size, 0);
	free(data);
	CHECK_EQ(wholefile_read("/dev/zero", 10 << 20, any, &data, &size), -EFBIG);
	CHECK(!data);
	CHECK_EQ(wholefile_read("/dev/zero", 1ULL << 40, none, &data, &size), 0);
	CHECK(size <= 1 << 20);
	free(data);
	CHECK_EQ(wholefile_read("/dev", 100, any, &data, &size), -EISDIR);
	CHECK_EQ(wholefile_read("/dev/none", 100, any, &data, &size), -ENOENT);
	begin();
	CHECK_EQ(wholefile_read(path, 3, any, &data, &size), 0);
	free(data);
	CHECK_EQ(wholefile_read(path, 2, any, &data, &size), -EFBIG);
	end();
}

CHECK_MAIN()
