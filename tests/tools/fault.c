/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lets a command fail, or be killed, at the N-th of its system calls that matter: those that make,
 * change or ask for something that outlives the process, or that is short on a machine in need.
 *
 *	fault [-o FILE] [-n N -e ERROR[+]|KILL] COMMAND [ARGS...]
 *
 * FILE gets a line for each call, "NAME DETAIL", in order; with -n that of call N alone, if it was
 * reached. With '+', every call of the same name and kind fails from N on. KILL comes instead of
 * call N, to every process of the command; after the last call there is one more, "exit". It ends as
 * the command does; 128 + SIGKILL if it was killed.
 *
 * A filter of seccomp stops the processes at these calls only, so the rest runs at full speed.
 * What the dynamic linker does before main() is not counted: there everything fails the same way.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS(X)                                                                                  \
	X(bpf) X(mmap) X(flock) X(mount) X(umount2) X(setns) X(unshare) X(ioctl) X(membarrier)    \
	X(openat) X(mkdirat) X(unlinkat) X(renameat2) X(newfstatat) X(statx) X(faccessat2)        \
	X(fchmodat) X(fchownat) X(fchmod) X(fchown) X(getdents64) X(ftruncate) X(getrandom)       \
	X(socket) X(bind) X(getsockname) X(getsockopt) X(sendto) X(sendmsg) X(recvfrom)           \
	X(recvmsg) X(clone) X(clone3) X(wait4) X(epoll_create1) X(epoll_ctl) X(prctl) X(capset)
/* What older architectures have beside these. */
#define OLD_CALLS(X)                                                                              \
	X(open) X(mkdir) X(rmdir) X(unlink) X(rename) X(stat) X(lstat) X(access) X(chmod) X(chown) \
	X(fork) X(vfork)

/* The number of each; -1 for what this architecture does not have. */
enum {
#define X(name) N_##name,
	CALLS(X)
	OLD_CALLS(X)
#undef X
	N_exit,
	N_CALLS
};

#ifndef __NR_open
#define __NR_open -1
#define __NR_mkdir -1
#define __NR_rmdir -1
#define __NR_unlink -1
#define __NR_rename -1
#define __NR_stat -1
#define __NR_lstat -1
#define __NR_access -1
#define __NR_chmod -1
#define __NR_chown -1
#define __NR_fork -1
#define __NR_vfork -1
#endif

static const struct {
	int nr;
	const char *name;
} calls[] = {
#define X(name) { __NR_##name, #name },
	CALLS(X)
	OLD_CALLS(X)
#undef X
	{ __NR_exit_group, "exit" },
};

static const char *const commands[] = {
	[BPF_MAP_CREATE] = "MAP_CREATE",
	[BPF_MAP_LOOKUP_ELEM] = "MAP_LOOKUP_ELEM",
	[BPF_MAP_UPDATE_ELEM] = "MAP_UPDATE_ELEM",
	[BPF_MAP_DELETE_ELEM] = "MAP_DELETE_ELEM",
	[BPF_MAP_GET_NEXT_KEY] = "MAP_GET_NEXT_KEY",
	[BPF_PROG_LOAD] = "PROG_LOAD",
	[BPF_OBJ_PIN] = "OBJ_PIN",
	[BPF_OBJ_GET] = "OBJ_GET",
	[BPF_PROG_TEST_RUN] = "PROG_TEST_RUN",
	[BPF_PROG_GET_FD_BY_ID] = "PROG_GET_FD_BY_ID",
	[BPF_MAP_GET_FD_BY_ID] = "MAP_GET_FD_BY_ID",
	[BPF_OBJ_GET_INFO_BY_FD] = "OBJ_GET_INFO_BY_FD",
	[BPF_BTF_LOAD] = "BTF_LOAD",
	[BPF_MAP_FREEZE] = "MAP_FREEZE",
	[BPF_LINK_CREATE] = "LINK_CREATE",
	[BPF_LINK_UPDATE] = "LINK_UPDATE",
	[BPF_LINK_DETACH] = "LINK_DETACH",
	[BPF_PROG_BIND_MAP] = "PROG_BIND_MAP",
};

static const struct {
	const char *name;
	int error;
} errors[] = {
	{ "ENOMEM", ENOMEM }, { "EPERM", EPERM }, { "EBUSY", EBUSY },
	{ "E2BIG", E2BIG },   { "EINTR", EINTR }, { "ENOSPC", ENOSPC },
};

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* --- The filter ------------------------------------------------------------------------------- */

static void install_filter(void)
{
	static struct sock_filter f[N_CALLS + 3];
	struct sock_fprog prog = { .filter = f };
	int n = 0, wanted = 0;

	for (int i = 0; i < N_CALLS; i++)
		wanted += calls[i].nr >= 0;
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (int i = 0; i < N_CALLS; i++)
		if (calls[i].nr >= 0) {
			f[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							    (__u32)calls[i].nr,
							    (__u8)(wanted + 1 - n), 0);
			n++;
		}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	prog.len = (unsigned short)n;
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		die("seccomp");
}

/* --- One call ----------------------------------------------------------------------------------- */

struct call {
	int id;            /* of calls[] */
	unsigned int kind; /* of bpf(): the command */
	char detail[256];
};

/* What is at an address of the process: as much of it as can be read, up to size. */
static void peek(pid_t pid, uint64_t from, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };

	memset(to, 0, size);
	/* A string near the end of a page: what follows it may not be there. */
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0) {
		local.iov_len = remote.iov_len = 4096 - from % 4096;
		if (local.iov_len < size)
			process_vm_readv(pid, &local, 1, &remote, 1, 0);
	}
}

static void peek_path(pid_t pid, uint64_t from, char *to, size_t size)
{
	peek(pid, from, to, size);
	to[size - 1] = 0;
}

static void detail_bpf(pid_t pid, const uint64_t args[], struct call *c)
{
	const char *command = NULL;
	char what[200] = "";
	union bpf_attr attr;

	c->kind = (unsigned int)args[0];
	memset(&attr, 0, sizeof(attr));
	peek(pid, args[1], &attr, args[2] < sizeof(attr) ? args[2] : sizeof(attr));
	if (c->kind < sizeof(commands) / sizeof(commands[0]))
		command = commands[c->kind];
	if (c->kind == BPF_MAP_CREATE)
		snprintf(what, sizeof(what), "%.16s", attr.map_name);
	else if (c->kind == BPF_PROG_LOAD)
		snprintf(what, sizeof(what), "%.16s", attr.prog_name);
	else if (c->kind == BPF_OBJ_PIN || c->kind == BPF_OBJ_GET)
		peek_path(pid, attr.pathname, what, sizeof(what));
	if (command)
		snprintf(c->detail, sizeof(c->detail), "%s %s", command, what);
	else
		snprintf(c->detail, sizeof(c->detail), "%u", c->kind);
}

static void describe(pid_t pid, const uint64_t args[], struct call *c)
{
	c->kind = 0;
	c->detail[0] = 0;
	switch (c->id) {
	case N_bpf:
		detail_bpf(pid, args, c);
		break;
	case N_openat:
	case N_mkdirat:
	case N_unlinkat:
	case N_newfstatat:
	case N_mount:
	case N_faccessat2:
		peek_path(pid, args[1], c->detail, sizeof(c->detail));
		break;
	case N_open:
	case N_mkdir:
	case N_rmdir:
	case N_unlink:
	case N_rename:
	case N_stat:
	case N_lstat:
	case N_access:
	case N_umount2:
		peek_path(pid, args[0], c->detail, sizeof(c->detail));
		break;
	case N_ioctl:
		snprintf(c->detail, sizeof(c->detail), "%#llx", (unsigned long long)args[1]);
		break;
	}
}

/* The dynamic linker looks for libraries first. */
static bool is_linkers(const struct call *c)
{
	return c->id != N_openat || strstr(c->detail, ".so");
}

/* In place of the call that the process is about to make, the error. */
static void let_fail(pid_t pid, int error)
{
#if defined(__x86_64__)
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1) ||
	    ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), (long)-error))
		die("ptrace");
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof(regs) };
	int none = -1;
	struct iovec nr = { &none, sizeof(none) };

	if (ptrace(PTRACE_GETREGSET, pid, (void *)1L /* NT_PRSTATUS */, &io))
		die("ptrace");
	regs.regs[0] = (unsigned long long)-error;
	if (ptrace(PTRACE_SETREGSET, pid, (void *)1L, &io) ||
	    ptrace(PTRACE_SETREGSET, pid, (void *)0x404L /* NT_ARM_SYSTEM_CALL */, &nr))
		die("ptrace");
#else
#error "how does a tracer replace a system call here?"
#endif
}

/* --- The story ---------------------------------------------------------------------------------- */

static struct {
	long n;     /* the call to fail at; 0: none */
	int error;  /* 0: kill */
	bool after; /* and all later ones like it */
	FILE *out;
} option;

static pid_t command;
static long count;
static bool counting;
static struct call chosen;

/* A process is about to make a call that matters. */
static void at_call(pid_t pid)
{
	struct __ptrace_syscall_info info;
	struct call c = { .id = -1 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		die("PTRACE_GET_SYSCALL_INFO");
	for (int i = 0; i < N_CALLS; i++)
		if (calls[i].nr == (int)info.seccomp.nr)
			c.id = i;
	describe(pid, (const uint64_t *)info.seccomp.args, &c);
	counting |= !is_linkers(&c);
	if (!counting || (c.id == N_exit && pid != command))
		return;
	count++;
	if (option.out && (!option.n || count == option.n))
		fprintf(option.out, "%s%s%s\n", calls[c.id].name, *c.detail ? " " : "", c.detail);
	if (option.out && count == option.n)
		fflush(option.out);
	if (count == option.n) {
		chosen = c;
		if (!option.error) /* PTRACE_O_EXITKILL: with us goes every process that we trace */
			kill(getpid(), SIGKILL);
	} else if (!option.n || count < option.n || !option.after || c.id != chosen.id ||
		   c.kind != chosen.kind) {
		return;
	}
	if (c.id != N_exit)
		let_fail(pid, option.error);
}

/* Until the command has ended; its exit code. */
static int trace(void)
{
	int status, code = 125;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == command)
				code = WIFEXITED(status) ? WEXITSTATUS(status) :
							   128 + WTERMSIG(status);
			continue;
		}
		if (status >> 16 == PTRACE_EVENT_SECCOMP)
			at_call(pid);
		/* It may have gone. A stop for an event is not for a signal of its own. */
		ptrace(PTRACE_CONT, pid, NULL, status >> 16 ? 0L : (long)WSTOPSIG(status));
	}
	return code;
}

/* Once whoever traces us is ready, and has written to `go`. */
static void run_command(char **argv, int go)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		die("pipe");
	install_filter();
	execvp(argv[0], argv);
	die(argv[0]);
}

static void choose_error(char *name)
{
	size_t len = strlen(name);

	if (!strcmp(name, "KILL"))
		return;
	if (len && name[len - 1] == '+') {
		option.after = true;
		name[len - 1] = 0;
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(errors[i].name, name))
			option.error = errors[i].error;
	if (!option.error) {
		fprintf(stderr, "fault: -e %s: not an error it knows\n", name);
		exit(125);
	}
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int c, status, go[2];

	while ((c = getopt(argc, argv, "+n:e:o:")) >= 0) {
		if (c == 'n')
			option.n = atol(optarg);
		else if (c == 'e')
			choose_error(optarg);
		else if (c != 'o')
			return 125;
		else if (!(option.out = fopen(optarg, "we")))
			die(optarg);
	}
	if (optind == argc) {
		fprintf(stderr, "usage: fault [-o FILE] [-n N -e ERROR[+]|KILL] COMMAND [ARGS...]\n");
		return 125;
	}
	/* That of ours which is killed is a child, so that whoever called sees an exit code. */
	command = fork();
	if (command < 0)
		die("fork");
	if (command) {
		if (waitpid(command, &status, 0) < 0)
			die("waitpid");
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	command = pipe2(go, O_CLOEXEC) ? -1 : fork();
	if (command < 0)
		die("fork");
	if (!command)
		run_command(argv + optind, go[0]);
	if (ptrace(PTRACE_SEIZE, command, NULL, (void *)options))
		die("PTRACE_SEIZE");
	if (write(go[1], "", 1) != 1)
		die("pipe");
	status = trace();
	if (option.out)
		fclose(option.out);
	return status;
}
