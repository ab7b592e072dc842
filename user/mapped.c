// SPDX-License-Identifier: GPL-2.0-only
#include "mapped.h"

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

void *mapped(const struct instance *in, const char *name, size_t size)
{
	int fd = instance_need(in, name);
	void *memory;

	if (fd < 0)
		return NULL;
	memory = mmap(NULL, whole_pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		fail(strerror(errno), NULL, "map '%s' can't be mapped", name);
		memory = NULL;
	}
	close(fd);
	return memory;
}

void mapped_release(void *memory, size_t size)
{
	if (memory)
		munmap(memory, whole_pages(size));
}
