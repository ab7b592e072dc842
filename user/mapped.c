// SPDX-License-Identifier: GPL-2.0-only
#include "mapped.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "instance.h"
#include "log.h"

/* mmap() takes whole pages, and the kernel insists that they are no more than the array has. */
static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* The elements of an array, one after the other. */
static int copy(int fd, void *to, size_t size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), i;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -1;
	for (i = 0; i < size / info.value_size; i++)
		if (bpf_map_lookup_elem(fd, &i, (char *)to + (size_t)i * info.value_size))
			return -1;
	return 0;
}

void *mapped(const struct instance *in, const char *name, size_t size)
{
	int fd = instance_need(in, name);
	void *memory;

	if (fd < 0)
		return NULL;
	/* The kernel maps only what may be written to: see do_mmap() and bpf_map_mmap(). */
	memory = mmap(NULL, whole_pages(size), PROT_READ | PROT_WRITE,
		      in->reads ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, in->reads ? -1 : fd, 0);
	if (memory == MAP_FAILED) {
		fail(strerror(errno), NULL, "map '%s' can't be mapped", name);
		memory = NULL;
	} else if (in->reads && copy(fd, memory, size)) {
		fail(strerror(errno), NULL, "map '%s' can't be read", name);
		mapped_release(memory, size);
		memory = NULL;
	}
	close(fd);
	return memory;
}

int mapped_renew(const struct instance *in, const char *name, void *memory, size_t size)
{
	int fd, err;

	if (!in->reads)
		return 0;
	fd = instance_need(in, name);
	if (fd < 0)
		return 1;
	err = copy(fd, memory, size) ? fail(strerror(errno), NULL, "map '%s' can't be read", name) :
				       0;
	close(fd);
	return err;
}

void mapped_release(void *memory, size_t size)
{
	if (memory)
		munmap(memory, whole_pages(size));
}
