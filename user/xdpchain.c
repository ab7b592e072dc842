// SPDX-License-Identifier: GPL-2.0-only
#include "xdpchain.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
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
#include "priv.h"

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

/* libbpf and libxdp have errors of their own. */
static const char *words(int err)
{
	static char text[64];

	if (libbpf_strerror(err, text, sizeof(text)))
		snprintf(text, sizeof(text), "error %d", err);
	return text;
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

/* One of the programs in libxdp's dispatcher file, which has the same name as its function. */
static struct xdp_program *theirs_open(const char *name)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = DISPATCHER_FILE,
			    .prog_name = name);
	struct xdp_program *p = xdp_program__create(&opts);

	if (!p)
		refuse("libxdp's " DISPATCHER_FILE " can't be opened: %s", words(errno));
	return p;
}

static struct xdp_program *theirs_load(const char *name)
{
	struct xdp_program *p = theirs_open(name);
	int err = p ? bpf_object__load(xdp_program__bpf_obj(p)) : 0;

	if (!err)
		return p;
	refuse("the kernel refuses libxdp's dispatcher: %s", words(err));
	xdp_program__close(p);
	return NULL;
}

static struct bpf_program *program_of(struct xdp_program *p)
{
	return bpf_object__find_program_by_name(xdp_program__bpf_obj(p), xdp_program__name(p));
}

/* Make `p`, not loaded yet, one that takes the place of a program which is. */
static int replaces(struct xdp_program *p, struct xdp_program *target)
{
	struct bpf_program *prog = program_of(p);
	int err = bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);

	if (!err)
		err = bpf_program__set_expected_attach_type(prog, 0);
	if (!err)
		err = bpf_program__set_attach_target(prog, bpf_program__fd(program_of(target)),
						     xdp_program__name(target));
	return err;
}

/* What libxdp itself tries first: one of its programs in the place of another. */
static int try_to_replace(void)
{
	struct xdp_program *target = theirs_load("xdp_pass");
	struct xdp_program *ext = target ? theirs_open("xdp_pass") : NULL;
	int err = -ENOEXEC, link;

	if (!ext)
		goto out;
	err = replaces(ext, target);
	if (!err)
		err = bpf_object__load(xdp_program__bpf_obj(ext));
	if (!err) {
		link = bpf_raw_tracepoint_open(NULL, bpf_program__fd(program_of(ext)));
		err = link < 0 ? -errno : 0;
		if (link >= 0)
			close(link);
	}
	if (err)
		err = refuse("the kernel lets no function of a program be replaced: %s",
			     words(err));
out:
	xdp_program__close(ext);
	xdp_program__close(target);
	return err;
}

int chain_probe(void)
{
	static int known = 1;

	if (!bpffs())
		return refuse("no bpffs at /sys/fs/bpf");
	if (!priv_has(CAP_SYS_ADMIN)) /* it finds programs and links by their ids */
		return refuse("CAP_SYS_ADMIN missing");
	priv_keep(CAP(SYS_ADMIN));
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
	struct xdp_multiprog *mp;

	priv_keep(CAP(SYS_ADMIN));
	mp = xdp_multiprog__get_from_ifindex(ifindex);
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
	struct xdp_program *target = theirs_load("xdp_dispatcher");
	unsigned char frame[ETH_HLEN] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	int err;

	if (!target)
		return -ENOEXEC;
	err = replaces(prog, target);
	if (!err)
		err = xdp_program__set_run_prio(prog, prio);
	if (!err)
		err = xdp_program__set_chain_call_enabled(prog, XDP_PASS, true);
	if (!err)
		err = xdp_program__test_run(prog, &run, 0);
	if (err)
		err = refuse("its dispatcher can't have our program in it: %s", words(err));
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
		return refuse("the entry program can't be loaded again: %s", words(errno));
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
	char name[IFNAMSIZ];
	__u32 id;

	/* Who can't look into the chain sees that it was put there, and the interface. */
	if (!priv_has(CAP_SYS_ADMIN))
		return !access(pin, F_OK) && if_indextoname((unsigned int)ifindex, name);
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

/* Which program is the link pinned there of? 0: there is none. */
static __u32 pinned_link(const char *pin)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(pin);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.prog_id = 0;
	close(fd);
	return info.prog_id;
}

/*
 * One of libxdp's folders: if our program is in it, take it out, and with it what is in the chain
 * of today, too: that was only about to be moved here, or was not removed yet.
 */
static void forget_in(const char *dir, __u32 id, const struct xdp_multiprog *today)
{
	char path[MAX_DISPATCHER_ACTIONS][2][PATH_MAX + 32];
	__u32 ids[MAX_DISPATCHER_ACTIONS] = {};
	bool ours = false;

	for (int i = 0; i < MAX_DISPATCHER_ACTIONS; i++) {
		snprintf(path[i][0], sizeof(path[i][0]), "%s/prog%d-link", dir, i);
		snprintf(path[i][1], sizeof(path[i][1]), "%s/prog%d-prog", dir, i);
		ids[i] = pinned_link(path[i][0]); /* which comes and goes before the other */
		if (!ids[i] && pinned(path[i][1], &ids[i]))
			continue;
		ours |= ids[i] == id;
	}
	for (int i = 0; ours && i < MAX_DISPATCHER_ACTIONS; i++) {
		if (!ids[i] || (ids[i] != id && !member(today, ids[i])))
			continue;
		unlink(path[i][0]);
		unlink(path[i][1]);
	}
	if (ours)
		rmdir(dir);
}

static int forget_all(const char *dir, int ifindex, __u32 id, const struct xdp_multiprog *today)
{
	int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	char prefix[32], sub[PATH_MAX];
	struct names names = {};

	if (lock < 0)
		return errno == ENOENT ? 0 : -errno;
	err = flock(lock, LOCK_EX) ? -errno : names_read(&names, dir); /* libxdp's lock */
	snprintf(prefix, sizeof(prefix), "dispatch-%d-", ifindex);
	for (int i = 0; i < names.n; i++) {
		const char *name = names.entry[i]->d_name;

		if (strncmp(name, prefix, strlen(prefix)))
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", dir, name) < (int)sizeof(sub))
			forget_in(sub, id, today);
	}
	names_free(&names);
	close(lock);
	return err;
}

/*
 * Take our program out of dispatchers that are on this interface no more, or never were: because
 * it has gone, or its XDP hook was emptied without libxdp, or a loader was killed. Without its link
 * the dispatcher's own function is back in its place, which goes on to the next.
 */
static int forget(int ifindex, __u32 id)
{
	struct xdp_multiprog *today = chain_of(ifindex); /* takes libxdp's lock itself */
	char dir[PATH_MAX];
	int err;

	snprintf(dir, sizeof(dir), "%s/xdp", bpffs());
	err = forget_all(dir, ifindex, id, today);
	xdp_multiprog__close(today);
	return err;
}

int chain_detach(const char *pin, int ifindex)
{
	__u32 id = 0;
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
