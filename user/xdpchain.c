// SPDX-License-Identifier: GPL-2.0-only
#include "xdpchain.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/prog_dispatcher.h>

#include "object.h"
#include "pins.h"

#define ENTRY "ct_xdp"
#define DISPATCHER_FILE "xdp-dispatcher.o"

static char why[128];

const char *chain_why(void)
{
	return why;
}

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return -ENOEXEC;
}

static int program_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/*
 * Where libxdp pins what is in a chain, which is where everybody else who uses it looks: the
 * system's bpffs, but by a path that leads there (`ip netns exec` hides it). NULL if there is none.
 * What else the environment could tell libxdp is not for us.
 */
static const char *bpffs(void)
{
	const char *dir = pins_system(), *taken;

	unsetenv(XDP_BPFFS_MOUNT_ENVVAR);
	unsetenv(XDP_OBJECT_ENVVAR);
	unsetenv("LIBXDP_SKIP_DISPATCHER");
	if (!dir || setenv(XDP_BPFFS_ENVVAR, dir, 1))
		return NULL;
	/* With file capabilities libxdp does not listen. */
	taken = secure_getenv(XDP_BPFFS_ENVVAR) ?: "/sys/fs/bpf";
	return strcmp(taken, dir) ? NULL : dir;
}

/* libxdp's dispatcher, loaded, for nobody yet. */
static struct xdp_program *dispatcher_load(const char *prog)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = DISPATCHER_FILE,
			    .prog_name = prog);
	struct xdp_program *p = xdp_program__create(&opts);
	int err;

	if (!p) {
		refuse("libxdp's " DISPATCHER_FILE " can't be opened: %s", strerror(errno));
		return NULL;
	}
	err = bpf_object__load(xdp_program__bpf_obj(p));
	if (err) {
		refuse("the kernel refuses libxdp's dispatcher: %s", strerror(-err));
		xdp_program__close(p);
		return NULL;
	}
	return p;
}

static struct bpf_program *program_of(const struct xdp_program *p, const char *name)
{
	return bpf_object__find_program_by_name(
		xdp_program__bpf_obj((struct xdp_program *)p), name);
}

/* Make `prog`, not loaded yet, one that takes the place of a function of a loaded program. */
static int replaces(struct bpf_program *prog, const struct xdp_program *target, const char *name)
{
	int err = bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);

	if (!err)
		err = bpf_program__set_expected_attach_type(prog, 0);
	if (!err)
		err = bpf_program__set_attach_target(
			prog, bpf_program__fd(program_of(target, name)), name);
	return err;
}

/* What libxdp itself tries first: one of its programs in the place of another. */
static int try_to_replace(void)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = DISPATCHER_FILE,
			    .prog_name = "xdp_pass");
	struct xdp_program *target = dispatcher_load("xdp_pass"), *ext;
	int err = -ENOEXEC, link;

	if (!target)
		return err;
	ext = xdp_program__create(&opts);
	if (ext) {
		struct bpf_program *prog = program_of(ext, "xdp_pass");

		err = replaces(prog, target, "xdp_pass");
		if (!err)
			err = bpf_object__load(xdp_program__bpf_obj(ext));
		if (!err) {
			link = bpf_raw_tracepoint_open(NULL, bpf_program__fd(prog));
			err = link < 0 ? -errno : 0;
			if (link >= 0)
				close(link);
		}
		if (err)
			err = refuse("the kernel lets no function of a program be replaced: %s",
				     strerror(-err));
		xdp_program__close(ext);
	}
	xdp_program__close(target);
	return err;
}

int chain_probe(void)
{
	static int known = 1;

	if (!bpffs())
		return refuse("no bpffs at /sys/fs/bpf");
	if (known > 0)
		known = try_to_replace();
	return known;
}

static enum xdp_attach_mode mode_of(bool native)
{
	return native ? XDP_MODE_NATIVE : XDP_MODE_SKB;
}

static struct xdp_multiprog *chain_of(int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);

	if (!mp || libxdp_get_error(mp))
		return NULL;
	if (!xdp_multiprog__is_legacy(mp))
		return mp;
	xdp_multiprog__close(mp);
	return NULL;
}

bool chain_joinable(int ifindex, bool native)
{
	struct xdp_multiprog *mp = chain_of(ifindex);
	bool joinable = mp && xdp_multiprog__attach_mode(mp) == mode_of(native) &&
			xdp_multiprog__program_count(mp) < MAX_DISPATCHER_ACTIONS;

	xdp_multiprog__close(mp);
	return joinable;
}

/* The id of the program pinned there. 0 or -errno. */
static int pinned(const char *pin, __u32 *id)
{
	int fd = bpf_obj_get(pin), err;
	struct bpf_prog_info info;

	if (fd < 0)
		return -errno;
	err = program_info(fd, &info);
	close(fd);
	*id = info.id;
	return err;
}

/* Is `prog` what the instance's own entry program is? Another build's may mean other maps. */
static int check_same(const struct instance *in, const struct xdp_program *prog)
{
	struct bpf_prog_info ours, theirs;
	int fd = instance_fd(in, PIN_PROGS "/" ENTRY), err;

	if (fd < 0)
		return fd;
	err = program_info(fd, &theirs);
	close(fd);
	if (!err)
		err = program_info(xdp_program__fd(prog), &ours);
	if (!err && memcmp(ours.tag, theirs.tag, sizeof(ours.tag)))
		err = refuse("the instance was loaded by another build");
	return err;
}

/*
 * Load the entry program of `obj` in a dispatcher's function's place. libxdp does that as part of
 * a test run: with a dispatcher that is no interface's, and a frame that is nothing to anybody.
 */
static int entry_load(const struct instance *in, struct xdp_program *prog, unsigned int prio)
{
	struct xdp_program *target = dispatcher_load("xdp_dispatcher");
	unsigned char frame[ETH_HLEN] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	int err;

	if (!target)
		return -ENOEXEC;
	err = replaces(program_of(prog, ENTRY), target, "xdp_dispatcher");
	if (!err)
		err = xdp_program__set_run_prio(prog, prio);
	if (!err)
		err = xdp_program__set_chain_call_enabled(prog, XDP_PASS, true);
	if (!err)
		err = xdp_program__test_run(prog, &run, 0);
	if (err)
		err = refuse("libxdp's dispatcher can't have our program in it: %s", strerror(-err));
	else
		err = check_same(in, prog);
	xdp_program__close(target);
	return err;
}

int chain_attach(const struct instance *in, const char *pin, int ifindex, bool native,
		 unsigned int prio)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = ENTRY);
	struct xdp_program *prog;
	int err = chain_probe();

	if (err)
		return err;
	opts.obj = object_open_again(in, ENTRY);
	if (!opts.obj)
		return -errno;
	prog = xdp_program__create(&opts);
	err = prog ? entry_load(in, prog, prio) : -errno;
	/* Pinned first: whoever finds the pin of a loader that was killed can take it all back. */
	if (!err && bpf_obj_pin(xdp_program__fd(prog), pin))
		err = -errno;
	else if (!err) {
		err = xdp_program__attach(prog, ifindex, mode_of(native), 0);
		if (err)
			unlink(pin);
	}
	xdp_program__close(prog);
	bpf_object__close(opts.obj);
	return err;
}

/* Which of the programs in a chain is it? */
static const struct xdp_program *member(const struct xdp_multiprog *mp, __u32 id)
{
	const struct xdp_program *p = NULL;

	while ((p = xdp_multiprog__next_prog(p, mp)))
		if (xdp_program__id(p) == id)
			break;
	return p;
}

bool chain_attached(const char *pin, int ifindex, unsigned int *prio)
{
	const struct xdp_program *p;
	struct xdp_multiprog *mp;
	__u32 id;

	if (!bpffs() || pinned(pin, &id))
		return false;
	mp = chain_of(ifindex);
	p = mp ? member(mp, id) : NULL;
	if (p)
		*prio = xdp_program__run_prio(p);
	xdp_multiprog__close(mp);
	return p;
}

static int leave(const char *pin, int ifindex, __u32 id)
{
	struct xdp_multiprog *mp = chain_of(ifindex);
	struct xdp_program *prog;
	int err = 0;

	if (!mp || !member(mp, id))
		goto out;
	prog = xdp_program__from_pin(pin);
	err = (int)libxdp_get_error(prog);
	if (err)
		goto out;
	err = xdp_program__detach(prog, ifindex, xdp_multiprog__attach_mode(mp), 0);
	xdp_program__close(prog);
out:
	xdp_multiprog__close(mp);
	return err;
}

/* Take our pins out of one of libxdp's folders, and that away if nothing else is in it. */
static void forget_in(const char *dir, __u32 id)
{
	for (int i = 0; i < MAX_DISPATCHER_ACTIONS; i++) {
		char path[PATH_MAX + NAME_MAX + 32];
		__u32 theirs;

		snprintf(path, sizeof(path), "%s/prog%d-prog", dir, i);
		if (pinned(path, &theirs) || theirs != id)
			continue;
		unlink(path);
		snprintf(path, sizeof(path), "%s/prog%d-link", dir, i);
		unlink(path);
		rmdir(dir);
	}
}

/*
 * Take our program out of dispatchers that are on this interface no more: because it has gone, or
 * its XDP hook was emptied without libxdp, or a loader was killed. Without its link the
 * dispatcher's own function is back in its place, which goes on to the next.
 */
static int forget(int ifindex, __u32 id)
{
	char path[PATH_MAX], prefix[32];
	struct dirent *d;
	int lock;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/xdp", bpffs());
	snprintf(prefix, sizeof(prefix), "dispatch-%d-", ifindex);
	lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(lock, LOCK_EX)) { /* libxdp's lock */
		int err = -errno;

		close(lock);
		return err;
	}
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char sub[PATH_MAX + NAME_MAX + 2];

		if (strncmp(d->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name);
		forget_in(sub, id);
	}
	if (dir)
		closedir(dir);
	close(lock);
	return 0;
}

int chain_detach(const char *pin, int ifindex)
{
	__u32 id;
	int err = pinned(pin, &id);

	if (err)
		return err == -ENOENT ? 0 : err;
	/* Without a bpffs no chain has anything in it. */
	if (bpffs()) {
		err = leave(pin, ifindex, id);
		if (!err)
			err = forget(ifindex, id);
	}
	if (!err && unlink(pin))
		err = -errno;
	return err;
}
