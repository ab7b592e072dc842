// SPDX-License-Identifier: GPL-2.0-only
#include "listener.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "instance.h"
#include "log.h"
#include "mapped.h"
#include "pins.h"

/* --- the lock of the instance ---------------------------------------------------------------- */

/*
 * Lock the instance as pins_lock() does, for a listener that leaves. Who detaches holds the lock
 * while it waits for us, having told us by `closed`; then there is nothing to protect. fd or -1.
 */
static int lock_to_leave(const struct listener *l)
{
	int fd = open(l->in->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (int i = 0; i < 500; i++) {
		const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		if (__atomic_load_n(&l->all->slot[l->slot].closed, __ATOMIC_ACQUIRE))
			break;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return -1;
}

/* --- slots ----------------------------------------------------------------------------------- */

/* bpffs refuses names with a dot in them. */
static void slot_path(const struct instance *in, unsigned int slot, char *path, size_t size)
{
	snprintf(path, size, "%s/listener-%u", in->dir, slot);
}

/* What any listener wants: the one word every packet looks at. Called with the instance locked. */
static void update_listening(struct ct_listeners *all)
{
	uint32_t any = 0;

	for (unsigned int i = 0; i < CT_LISTENERS; i++)
		any |= __atomic_load_n(&all->slot[i].mask, __ATOMIC_SEQ_CST);
	__atomic_store_n(&all->listening, any, __ATOMIC_SEQ_CST);
}

/*
 * Open and lock the slot's directory; it exists or not. fd, -EWOULDBLOCK when its owner lives,
 * -ENOENT, -errno.
 */
static int lock_slot(const struct instance *in, unsigned int slot)
{
	char path[PATH_MAX + 16];
	int fd, err;

	slot_path(in, slot, path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/*
 * Nobody listens here. After the delete no program has the ring any more: the kernel waits for
 * those in flight when an element of a map of maps goes.
 */
static void clear_slot(struct ct_listeners *all, int rings, unsigned int slot)
{
	__atomic_store_n(&all->slot[slot].mask, 0, __ATOMIC_SEQ_CST);
	bpf_map_delete_elem(rings, &slot);
}

/* Free the slot if its listener died. Whether a listener lives there. */
static bool reap_slot(const struct instance *in, struct ct_listeners *all, int rings,
		      unsigned int slot)
{
	char path[PATH_MAX + 16];
	int fd = lock_slot(in, slot);

	if (fd < 0 && fd != -ENOENT)
		return true;
	if (fd >= 0 || __atomic_load_n(&all->slot[slot].mask, __ATOMIC_RELAXED))
		clear_slot(all, rings, slot);
	if (fd >= 0) {
		slot_path(in, slot, path, sizeof(path));
		rmdir(path);
		close(fd);
	}
	return false;
}

static int reap(const struct instance *in, struct ct_listeners *all, int rings)
{
	int living = 0;

	for (unsigned int i = 0; i < CT_LISTENERS; i++)
		living += reap_slot(in, all, rings, i);
	update_listening(all);
	return living;
}

int listeners_reap(const struct instance *in)
{
	struct ct_listeners *all = mapped(in, "listener_state", sizeof(*all));
	int rings = instance_fd(in, "listeners"), lock = -1;
	int living = all ? 0 : -EIO; /* reported */

	if (!living && rings < 0)
		living = rings;
	if (!living && in->lock < 0)
		living = pins_lock(in->dir, &lock);
	if (!living)
		living = reap(in, all, rings);
	if (lock >= 0)
		close(lock);
	if (rings >= 0)
		close(rings);
	mapped_release(all, sizeof(*all));
	return living;
}

/* Take the first free slot: its directory, locked, is the claim. 0 or 1, reported. */
static int claim_slot(struct listener *l)
{
	char path[PATH_MAX + 16];
	int err = EBUSY;

	for (l->slot = 0; l->slot < CT_LISTENERS; l->slot++) {
		slot_path(l->in, l->slot, path, sizeof(path));
		if (mkdir(path, 0700)) {
			err = errno;
			if (err == EEXIST)
				continue;
			break;
		}
		l->dir = lock_slot(l->in, l->slot);
		if (l->dir >= 0)
			return 0;
		err = -l->dir;
		rmdir(path);
		break;
	}
	l->dir = -1;
	if (err == EEXIST)
		return fail("all places for listeners are taken", "end another 'ctloader events'",
			    "%d listeners", CT_LISTENERS);
	return fail(strerror(err), NULL, "%s", path);
}

/* Begin from zero, then the ring, then the mask: programs look at them in the other order. */
static int register_ring(struct listener *l, uint32_t mask)
{
	struct ct_listener *mine = &l->all->slot[l->slot];

	__atomic_store_n(&mine->mask, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->closed, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->delivered, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->lost, 0, __ATOMIC_SEQ_CST);
	if (bpf_map_update_elem(l->rings, &l->slot, &l->ring, BPF_ANY))
		return fail(strerror(errno), NULL, "the ring can't be registered");
	__atomic_store_n(&mine->mask, mask, __ATOMIC_SEQ_CST);
	update_listening(l->all);
	return 0;
}

/*
 * Give the slot back; from here on no program writes into the ring. Returns the losses in all:
 * the next owner of the slot counts from zero.
 */
static uint64_t give_back(struct listener *l)
{
	struct ct_listener *mine = &l->all->slot[l->slot];
	char path[PATH_MAX + 16];
	uint64_t lost;

	clear_slot(l->all, l->rings, l->slot);
	lost = __atomic_load_n(&mine->lost, __ATOMIC_ACQUIRE);
	/* When the instance goes, whoever detaches it has no more use for the word, nor have we. */
	if (!__atomic_load_n(&mine->closed, __ATOMIC_ACQUIRE))
		update_listening(l->all);
	slot_path(l->in, l->slot, path, sizeof(path));
	rmdir(path);
	close(l->dir);
	l->dir = -1;
	return lost;
}

/* --- records --------------------------------------------------------------------------------- */

/* Losses between what has been reported and `lost`; they take their sequence numbers. */
static uint64_t gap(struct listener *l, uint64_t lost)
{
	uint64_t n = lost > l->lost ? lost - l->lost : 0;

	l->lost += n;
	l->seq += n;
	return n;
}

static int take_record(void *ctx, void *data, size_t size)
{
	struct listener *l = ctx;
	const struct ct_event *ev = data;
	uint64_t missing;

	/* A record of a kind we do not know, or of a program older than its oldest: it counts. */
	if (size < l->least || ev->length < l->least || ev->type >= CT_EV_MAX) {
		l->seq++;
		return 0;
	}
	missing = gap(l, ev->lost);
	l->seq++;
	return l->each(ev, l->seq, missing, l->arg) ? 0 : -ECANCELED;
}

/* Tell of the losses that no record came after; `lost` is all there were. */
static void last_losses(struct listener *l, uint64_t lost)
{
	uint64_t missing = gap(l, lost);

	if (missing)
		l->each(NULL, l->seq, missing, l->arg);
}

int listener_poll(struct listener *l, int timeout_ms)
{
	const struct ct_listener *mine = &l->all->slot[l->slot];
	int n = ring_buffer__poll(l->reader, timeout_ms);
	bool closed;

	if (n == -EINTR)
		return 0;
	if (n)
		return n;
	/* Whoever closes does so after the last record: what is read from here on is all of it. */
	closed = __atomic_load_n(&mine->closed, __ATOMIC_ACQUIRE);
	n = ring_buffer__consume(l->reader);
	if (n || !closed)
		return n;
	last_losses(l, __atomic_load_n(&mine->lost, __ATOMIC_ACQUIRE));
	return -ENODATA;
}

/* --- open, close ----------------------------------------------------------------------------- */

static void release(struct listener *l)
{
	ring_buffer__free(l->reader);
	if (l->ring >= 0)
		close(l->ring);
	if (l->rings >= 0)
		close(l->rings);
	mapped_release(l->all, sizeof(*l->all));
}

/* The maps of the instance and the ring. 0 or 1, reported. */
static int acquire(struct listener *l, uint32_t ring_bytes)
{
	l->rings = instance_need(l->in, "listeners");
	if (l->rings < 0)
		return 1;
	l->all = mapped(l->in, "listener_state", sizeof(*l->all));
	if (!l->all)
		return 1;
	l->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ct_events", 0, 0, ring_bytes, NULL);
	if (l->ring < 0)
		return fail(strerror(errno), NULL, "a ring of %u bytes can't be made", ring_bytes);
	l->reader = ring_buffer__new(l->ring, take_record, l, NULL);
	if (!l->reader)
		return fail(strerror(errno), NULL, "the ring can't be read");
	return 0;
}

int listener_open(struct listener *l, const struct instance *in, uint32_t mask,
		  uint32_t ring_bytes, listener_fn *each, void *arg)
{
	int lock = -1, err;

	*l = (struct listener){
		.in = in, .dir = -1, .ring = -1, .rings = -1, .each = each, .arg = arg,
		.least = l->least ? l->least : sizeof(struct ct_event),
	};
	err = in->lock >= 0 ? 0 : pins_lock(in->dir, &lock);
	if (err == -ENOENT)
		return fail("not loaded", "run 'ctloader attach' first", "table");
	if (err)
		return fail(strerror(-err), "is another ctloader at work on it?", "instance %s",
			    in->name);
	err = acquire(l, ring_bytes);
	if (err)
		goto out;
	reap(in, l->all, l->rings);
	err = claim_slot(l);
	if (err)
		goto out;
	err = register_ring(l, mask);
	if (err)
		give_back(l);
out:
	if (lock >= 0)
		close(lock);
	if (err)
		release(l);
	return err;
}

void listener_close(struct listener *l, bool drain)
{
	int lock = l->in->lock >= 0 ? -1 : lock_to_leave(l);
	uint64_t lost = give_back(l);

	if (lock >= 0)
		close(lock);
	if (drain && ring_buffer__consume(l->reader) >= 0)
		last_losses(l, lost);
	release(l);
}
