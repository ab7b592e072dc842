/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is pinned below an instance's directory, a line each, in words that mean the same when it is
 * made again:
 *
 *	pinned DIR [ID...]
 *
 * Programs and maps have a "was" if their ids (as "prog 7", "map 9") are among those given; then
 * come the interfaces and the stages. Without a second argument it prints just these ids.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ct_config.h"

static const char *top;
static char **known;
static int nknown;

static const char *was(const char *kind, unsigned int id)
{
	char name[32];

	snprintf(name, sizeof(name), "%s %u", kind, id);
	for (int i = 0; i < nknown; i++)
		if (!strcmp(known[i], name))
			return "was ";
	return "";
}

/* The name of a program, by its id. */
static const char *prog_name(__u32 id)
{
	static struct bpf_prog_info info;
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	memset(&info, 0, sizeof(info));
	if (fd < 0)
		return "?";
	bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return info.name;
}

static void show_stages(int fd, const char *name)
{
	for (__u32 stage = 0, id; stage < 32; stage++)
		if (!bpf_map_lookup_elem(fd, &stage, &id))
			printf("%s[%u] %s%s\n", name, stage, was("prog", id), prog_name(id));
}

static void show_ifaces(int fd, size_t size)
{
	static unsigned char value[4096];

	for (__u32 i = 0; i < CT_IFACES && size <= sizeof(value); i++) {
		if (bpf_map_lookup_elem(fd, &i, value) || !((struct ct_iface *)value)->ifindex)
			continue;
		printf("interface");
		for (size_t k = 0; k < size; k += 4)
			printf(" %x", *(__u32 *)(value + k));
		printf("\n");
	}
}

/* A struct bpf_prog_info is longer than that of a map or link, and has its id in the same place. */
static void show(int fd, const char *path)
{
	union {
		struct bpf_prog_info prog;
		struct bpf_map_info map;
		struct bpf_link_info link;
	} info = {};
	char target[PATH_MAX] = "", self[64];
	__u32 len = sizeof(info);

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (readlink(self, target, sizeof(target) - 1) < 0 ||
	    bpf_obj_get_info_by_fd(fd, &info, &len)) {
		printf("%s: %s\n", path, strerror(errno));
	} else if (strstr(target, "bpf-map")) {
		if (!known) {
			printf("map %u\n", info.map.id);
			return;
		}
		printf("map %s %s%s %u %u%s\n", path, was("map", info.map.id), info.map.name,
		       info.map.value_size, info.map.max_entries, info.map.btf_id ? " btf" : "");
		if (info.map.type == BPF_MAP_TYPE_PROG_ARRAY)
			show_stages(fd, path);
		if (!strcmp(path, "ifaces"))
			show_ifaces(fd, info.map.value_size);
	} else if (strstr(target, "bpf-prog")) {
		if (known)
			printf("program %s %s%s%s\n", path, was("prog", info.prog.id), info.prog.name,
			       info.prog.btf_id ? " btf" : "");
		else
			printf("prog %u\n", info.prog.id);
	} else if (known) {
		printf("link %s on %u: %s%s\n", path, info.link.xdp.ifindex,
		       was("prog", info.link.prog_id), prog_name(info.link.prog_id));
	}
}

static int each(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int fd;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		printf("%s: %s\n", path + strlen(top) + 1, strerror(errno));
		return 0;
	}
	show(fd, path + strlen(top) + 1);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: pinned DIR [ID...]\n");
		return 2;
	}
	top = argv[1];
	known = argc > 2 ? argv + 2 : NULL;
	nknown = argc - 2;
	return nftw(top, each, 8, FTW_PHYS) < 0;
}
