// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can whoever runs it do with a pinned map, program or link, by any way of opening it?
 *
 *	readers PATH	"closed", "map: read", "map: read write", "program: run", ...
 *
 * What can be written to is written to: not for root.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int get(const char *path, __u32 flags)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = flags);

	return bpf_obj_get_opts(path, &opts);
}

/* Every call that could change an array or a hash. */
static bool writes(int fd, const struct bpf_map_info *info)
{
	char *value = calloc(1, info->value_size * 256 + 4096), key[64] = {};
	__u32 count = 1;
	void *memory;

	if (!bpf_map_update_elem(fd, key, value, BPF_ANY) ||
	    !bpf_map_delete_elem(fd, key) || !bpf_map_lookup_and_delete_elem(fd, key, value) ||
	    !bpf_map_delete_batch(fd, key, &count, NULL) ||
	    !bpf_map_update_batch(fd, key, value, &count, NULL) || !bpf_map_freeze(fd))
		return true;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory != MAP_FAILED;
}

static void show_map(int fd, const struct bpf_map_info *info)
{
	char *value = calloc(1, info->value_size * 256 + 4096), key[64] = {};
	bool reads = !bpf_map_lookup_elem(fd, key, value) || errno == ENOENT;

	printf("map:%s%s\n", reads ? " read" : "", writes(fd, info) ? " write" : "");
}

static void show_prog(int fd)
{
	char data[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof(data));

	printf("program:%s\n", bpf_prog_test_run_opts(fd, &run) ? "" : " run");
}

int main(int argc, char **argv)
{
	static const __u32 ways[] = { 0, BPF_F_WRONLY, BPF_F_RDONLY };
	char self[32], kind[64] = {};
	struct bpf_map_info map = {};
	__u32 size = sizeof(map);
	int fd = -1;

	if (argc != 2)
		return 2;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && fd < 0; i++) {
		fd = get(argv[1], ways[i]);
		if (fd < 0 && errno != EACCES && errno != EINVAL) {
			fprintf(stderr, "readers: %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fd < 0)
		puts("closed");
	else if (readlink(self, kind, sizeof(kind) - 1) < 0)
		return 1;
	else if (!strcmp(kind, "anon_inode:bpf-prog"))
		show_prog(fd);
	else if (!strcmp(kind, "anon_inode:bpf-map") && !bpf_obj_get_info_by_fd(fd, &map, &size))
		show_map(fd, &map);
	else
		puts(kind);
	return 0;
}
