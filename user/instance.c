// SPDX-License-Identifier: GPL-2.0-only
#include "instance.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "object.h"
#include "pins.h"
#include "priv.h"
#include "repair.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int enter_netns(const char *netns)
{
	char path[PATH_MAX];
	int fd, err = 0;

	if (strchr(netns, '/'))
		snprintf(path, sizeof(path), "%s", netns);
	else
		snprintf(path, sizeof(path), "/run/netns/%s", netns);
	/* /proc/PID/ns/net of a process that has capabilities which we have dropped. */
	priv_raise(CAP_SYS_PTRACE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	priv_lower(CAP_SYS_PTRACE);
	if (fd < 0)
		return errno == ENOENT ? fail("no such network namespace", "see 'ip netns list'",
					      "%s", netns) :
					 fail(strerror(errno), NULL, "%s", netns);
	priv_raise(CAP_SYS_ADMIN);
	if (setns(fd, CLONE_NEWNET))
		err = errno == EINVAL ? fail("not a network namespace", NULL, "%s", netns) :
		      errno == EPERM  ? fail("permission denied",
					     "run as root: entering it takes CAP_SYS_ADMIN", "%s",
					     netns) :
					fail(strerror(errno), NULL, "%s", netns);
	priv_lower(CAP_SYS_ADMIN);
	close(fd);
	return err;
}

/* Of our namespace; 0 where the kernel has none (before 5.14). */
static uint64_t own_cookie;

uint64_t netns_cookie(void)
{
	return own_cookie;
}

/* That of the namespace we are in just now. 0 or -errno. */
static int ask_cookie(uint64_t *cookie)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	socklen_t len = sizeof(*cookie);

	*cookie = 0;
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) && errno != ENOPROTOOPT)
		err = -errno;
	close(fd);
	return err;
}

/* Is this the network namespace of pid 1? 1, 0, or -errno where that is closed to us. */
static int first_netns(void)
{
	struct stat ours, first;
	int err = 0;

	priv_raise(CAP_SYS_PTRACE);
	if (stat("/proc/thread-self/ns/net", &ours) || stat("/proc/1/ns/net", &first))
		err = -errno;
	priv_lower(CAP_SYS_PTRACE);
	return err ? err : ours.st_ino == first.st_ino && ours.st_dev == first.st_dev;
}

/* What is known while namespaces are looked for. */
struct search {
	uint64_t cookie; /* the one that is wanted */
	int home;        /* ours, to come back to */
	ino_t *seen;     /* those that have been looked at */
	size_t n;
};

/* Is it this one? A cookie is told to who is in the namespace only. */
static bool netns_is(struct search *s, const char *path)
{
	bool found = false;
	uint64_t here;
	struct stat st;
	ino_t *seen;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st))
		goto out;
	for (size_t i = 0; i < s->n; i++)
		if (s->seen[i] == st.st_ino)
			goto out;
	seen = realloc(s->seen, (s->n + 1) * sizeof(*seen));
	if (!seen)
		goto out;
	s->seen = seen;
	s->seen[s->n++] = st.st_ino;
	if (setns(fd, CLONE_NEWNET))
		goto out;
	found = ask_cookie(&here) || here == s->cookie; /* yes when in doubt */
	if (setns(s->home, CLONE_NEWNET))
		abort(); /* nothing may be done in a namespace that was not asked for */
out:
	close(fd);
	return found;
}

static bool in_processes(struct search *s)
{
	struct names names;
	bool found = names_read(&names, "/proc");

	for (int i = 0; i < names.n && !found; i++) {
		const char *name = names.entry[i]->d_name;
		char path[NAME_MAX + 32];

		snprintf(path, sizeof(path), "/proc/%s/ns/net", name);
		found = isdigit((unsigned char)name[0]) && netns_is(s, path);
	}
	names_free(&names);
	return found;
}

static bool in_mounts(struct search *s)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX + 512], path[PATH_MAX];
	bool found = !f;

	/* 36 35 0:4 net:[4026532288] /run/netns/name rw ... */
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d %*d %*s net:[%*u] %4095s", path) == 1 && netns_is(s, path);
	if (f)
		fclose(f);
	return found;
}

bool netns_found(uint64_t cookie)
{
	struct search s = { .cookie = cookie };
	bool found;

	/* Who can't look everywhere has not looked. */
	if (!priv_has(CAP_SYS_ADMIN) || !priv_has(CAP_SYS_PTRACE))
		return true;
	priv_keep(CAP(SYS_ADMIN) | CAP(SYS_PTRACE));
	s.home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s.home < 0)
		return false;
	found = in_mounts(&s) || in_processes(&s);
	free(s.seen);
	close(s.home);
	return found;
}

/*
 * The namespace of pid 1 has the instance "default"; another one is named by its cookie. There is
 * a pid 1 in every container; if "default" is another's already, its namespace has a cookie, too.
 * Who can't look at pid 1 may still find "default", which says itself whose it is.
 */
static void own_name(struct instance *in)
{
	int first = first_netns(), found;
	struct ct_state st;

	snprintf(in->name, sizeof(in->name), "netns-%llu", (unsigned long long)netns_cookie());
	if (!first || !pins_find(in->name, in->dir, sizeof(in->dir)))
		return;
	found = pins_find("default", in->dir, sizeof(in->dir));
	if (!found)
		found = instance_check(in, &st);
	if (first > 0 ? found == -EXDEV : found && found != -EPROTO && found != -EACCES)
		return;
	snprintf(in->name, sizeof(in->name), "default");
}

static bool name_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > 32 || !isalnum((unsigned char)name[0]))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_-", *name))
			return false;
	return true;
}

int instance_init(struct instance *in, const struct global *g)
{
	int err;

	memset(in, 0, sizeof(*in));
	in->lock = -1;
	in->reads = g->reads;
	if (g->instance && !name_valid(g->instance))
		return usage_error("an instance's name is up to 32 letters, digits, '-' and '_', "
				   "and begins with a letter or digit",
				   "--instance %s", g->instance);
	if (g->netns && enter_netns(g->netns))
		return 1;
	err = ask_cookie(&own_cookie);
	if (err)
		return fail(strerror(-err), NULL, "the network namespace's cookie");
	if (g->instance)
		snprintf(in->name, sizeof(in->name), "%s", g->instance);
	else
		own_name(in);
	return 0;
}

void instance_close(struct instance *in)
{
	if (in->lock >= 0)
		close(in->lock);
	in->lock = -1;
}

int instance_fd(const struct instance *in, const char *name)
{
	/* A link can't be opened for reading only. */
	bool reads = in->reads && strncmp(name, PIN_LINKS "/", sizeof(PIN_LINKS));
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = reads ? BPF_F_RDONLY : 0);
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", in->dir, name);
	fd = bpf_obj_get_opts(path, &opts);
	return fd < 0 ? -errno : fd;
}

int instance_epoch(const struct instance *in, struct ct_epoch *e)
{
	int fd = instance_fd(in, "epoch"), err;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno :
	      info.value_size != sizeof(*e)	      ? -EPROTO :
	      bpf_map_lookup_elem(fd, &zero, e)	      ? -errno :
							0;
	close(fd);
	return err;
}

int instance_has(const struct instance *in, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", in->dir, name);
	return access(path, F_OK) ? -errno : 0;
}

int instance_gone(void)
{
	return fail("not loaded", "run 'ctloader attach' first", "table");
}

int instance_need(const struct instance *in, const char *name)
{
	int fd = instance_fd(in, name);

	if (fd >= 0)
		return fd;
	if (fd == -ENOENT && instance_has(in, "state")) /* detached meanwhile */
		instance_gone();
	else if (fd == -ENOENT)
		fail("missing", "run 'ctloader attach' to repair the instance", "%s/%s", in->dir,
		     name);
	else
		fail(strerror(-fd), NULL, "%s/%s", in->dir, name);
	return -1;
}

int instance_check(const struct instance *in, struct ct_state *st)
{
	int fd = instance_fd(in, "state"), err = 0;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;

	if (fd < 0)
		return fd;
	/* Another build may have another layout: look before reading. */
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		err = -errno;
	else if (info.value_size != sizeof(*st))
		err = -EPROTO;
	else if (bpf_map_lookup_elem(fd, &zero, st))
		err = -errno;
	else if (st->abi != CT_ABI)
		err = -EPROTO;
	else if (st->netns != netns_cookie())
		err = -EXDEV;
	close(fd);
	return err;
}

/* It is there, and closed to us. */
static int report_closed(const struct instance *in)
{
	struct instance reader = *in;
	int fd;

	reader.reads = true;
	fd = instance_fd(&reader, "state");
	if (fd >= 0)
		close(fd);
	if (fd >= 0)
		return fail("permission denied: your group may read it, and no more", "run as root",
			    "table");
	return fail("permission denied",
		    in->reads ? "run as root, or be in the group of 'attach --group'" :
				"run as root",
		    "table");
}

int instance_open(struct instance *in)
{
	struct ct_state st;
	int err;

	if (priv_check())
		return 1;
	pins_tidy(false);
	err = pins_find(in->name, in->dir, sizeof(in->dir));
	if (!err && repair_due(in))
		err = repair(in);
	if (!err)
		err = instance_check(in, &st);
	if (err == -ENOENT)
		pins_tidy(true);
	switch (err) {
	case 0:
		if (in->reads)
			priv_settle();
		return 0;
	case -ENOENT:
		if (geteuid())
			return fail("no instance is visible here", "run as root", "permission");
		return instance_gone();
	case -EACCES:
	case -EPERM:
		return report_closed(in);
	case -EUCLEAN:
		return pins_report(err);
	case -EPROTO:
		return fail("made by another version of ctloader",
			    "use that version, or run 'ctloader upgrade'", "%s", in->dir);
	case -ESTALE:
		return fail("its upgrade by another version of ctloader was broken off",
			    "use that version: any of its commands goes on with it", "%s", in->dir);
	case -EXDEV:
		return fail("it belongs to another network namespace", "use --netns", "instance %s",
			    in->name);
	default:
		return fail(strerror(-err), NULL, "%s", in->dir);
	}
}

int instance_lock(struct instance *in)
{
	int err = pins_lock(in->dir, &in->lock);

	if (!err)
		return 0;
	in->lock = -1;
	if (err == -ENOENT)
		return instance_gone();
	if (err == -EUCLEAN)
		return pins_report(err);
	if (err == -EBUSY)
		return instance_busy(in);
	return fail(strerror(-err), NULL, "%s", in->dir);
}

int instance_busy(const struct instance *in)
{
	char why[80] = "another ctloader is at work on it";
	pid_t pid = pins_holder(AT_FDCWD, in->dir);

	if (pid)
		snprintf(why, sizeof(why), "another ctloader, process %d, is at work on it",
			 (int)pid);
	return fail(why, "wait for it, or end it", "instance %s", in->name);
}

unsigned int clock_hz(void)
{
	struct timespec res;

	/* The coarse clocks advance with the tick. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &res) || res.tv_sec || res.tv_nsec <= 0)
		return 100;
	return (unsigned int)((1000000000 + res.tv_nsec / 2) / res.tv_nsec);
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec ts = {};

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void clock_at(struct ct_clock *clock, uint64_t ticks, uint64_t mono_ns)
{
	clock->hz = clock_hz();
	clock->ticks = ticks;
	clock->mono_ns = mono_ns;
	clock->wall_ns = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC) + mono_ns;
}

int clock_read(const struct instance *in, struct ct_clock *clock)
{
	int fd = instance_need(in, "progs/ct_ctl_get");
	struct ct_ctl m = {}, answer = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &m, .data_size_in = sizeof(m),
		    .data_out = &answer, .data_size_out = sizeof(answer));
	int err;

	if (fd < 0)
		return 1;
	err = bpf_prog_test_run_opts(fd, &run);
	close(fd);
	if (err)
		return fail(strerror(errno), NULL, "the clock can't be read");
	clock_at(clock, answer.now, answer.now_ns);
	return 0;
}
