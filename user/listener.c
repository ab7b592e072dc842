// SPDX-License-Identifier: GPL-2.0-only
#include "listener.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "instance.h"
#include "log.h"
#include "mapped.h"
#include "pins.h"
#include "table.h"

/* A bit of `closed`: it was not this listener that was sent away, the instance has ended. */
#define CLOSED_FOR_GOOD 2U

/* What of ct_listeners.listening is masks; there are more bits than types. */
#define LISTENING_MASKS 0xffU
_Static_assert(CT_EV_MAX <= 8, "a mask fits into LISTENING_MASKS");

_Static_assert(sizeof(struct ct_listener) % 8 == 0, "elements of an array are 8-byte aligned");

/* --- places ---------------------------------------------------------------------------------- */

/*
 * Nobody who listens takes a lock that somebody else may have to wait for: a process can be stopped
 * between any two of its instructions, and stay so.
 *
 * A place belongs to whoever has a flock on its directory, for as long as that is there: only its
 * owner writes its element of `listener_state` and `listeners`, or removes the directory, which it
 * does before it unlocks. So a directory that can be locked is a dead listener's, or one that was
 * just made; both are free. Whoever gets a lock looks whether the directory is still there.
 *
 * Everything goes through a descriptor of the instance's directory that was opened before the
 * maps: one that has been removed takes no new directories, so who could make one knows that the
 * maps belong to it, and never touches the places of another instance made under the same name.
 */

/* bpffs refuses names with a dot in them. */
static void place_name(unsigned int slot, char *name, size_t size)
{
	snprintf(name, size, "listener-%u", slot);
}

static bool still_there(int dir)
{
	struct stat st;

	return !fstat(dir, &st) && st.st_nlink;
}

/* fd, -EWOULDBLOCK when its owner lives, -ENOENT, -errno. */
static int lock_place(const struct listeners *ls, unsigned int slot)
{
	char name[32];
	int fd, err = ENOENT;

	place_name(slot, name, sizeof(name));
	fd = openat(ls->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno;
	else if (still_there(fd))
		return fd;
	close(fd);
	return -err;
}

/* The same, making the directory if need be. */
static int take_place(const struct listeners *ls, unsigned int slot)
{
	char name[32];
	int fd;

	place_name(slot, name, sizeof(name));
	do {
		if (mkdirat(ls->dir, name, 0700) && errno != EEXIST)
			return -errno;
		fd = lock_place(ls, slot);
	} while (fd == -ENOENT); /* somebody has taken it for a dead one's, and removed it */
	return fd;
}

static void leave_place(const struct listeners *ls, unsigned int slot, int fd)
{
	char name[32];

	place_name(slot, name, sizeof(name));
	unlinkat(ls->dir, name, AT_REMOVEDIR);
	close(fd);
}

/*
 * What any listener wants: the one word that every packet looks at. Owners call it when they have
 * changed their mask. The bits above the masks count the changes, so that a word made of masks that
 * are no longer true, by a process that was stopped meanwhile, is not put in place of a newer one.
 * Who dies before he comes to it leaves a bit too many until the next one does.
 */
static void update_listening(const struct listeners *ls)
{
	uint32_t *word = &ls->map->listening;
	uint32_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST), any;

	do {
		any = 0;
		for (unsigned int i = 0; i < CT_LISTENERS; i++)
			any |= __atomic_load_n(&ls->map->slot[i].mask, __ATOMIC_SEQ_CST);
		any = ((old | LISTENING_MASKS) + 1) | (any & LISTENING_MASKS);
	} while (!__atomic_compare_exchange_n(word, &old, any, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
}

/*
 * Nobody listens at this place, which we own. After the delete no program has the ring any more:
 * the kernel waits for those in flight when an element of a map of maps goes. Most have no backlog, and
 * need not wait for it to go; a DESTROY that comes between its end and the mask's goes into the ring.
 */
static void clear_place(const struct listeners *ls, unsigned int slot)
{
	__u32 id;

	if (ls->backlogs >= 0 && !bpf_map_lookup_elem(ls->backlogs, &slot, &id))
		bpf_map_delete_elem(ls->backlogs, &slot);
	__atomic_store_n(&ls->map->slot[slot].mask, 0, __ATOMIC_SEQ_CST);
	bpf_map_delete_elem(ls->rings, &slot);
}

/* Free the places of the dead, so that nobody waits for them and no ring of theirs is filled. */
static void reap(const struct listeners *ls)
{
	for (unsigned int i = 0; i < CT_LISTENERS; i++) {
		int fd = lock_place(ls, i);

		/* Its directory has been removed by somebody else. */
		if (fd == -ENOENT && __atomic_load_n(&ls->map->slot[i].mask, __ATOMIC_SEQ_CST))
			fd = take_place(ls, i);
		if (fd < 0)
			continue;
		clear_place(ls, i);
		leave_place(ls, i, fd);
	}
	update_listening(ls);
}

static void listeners_close(struct listeners *ls)
{
	if (ls->rings >= 0)
		close(ls->rings);
	if (ls->backlogs >= 0)
		close(ls->backlogs);
	if (ls->dir >= 0)
		close(ls->dir);
	mapped_release(ls->map, sizeof(*ls->map));
}

/* 0 or 1, reported. */
static int listeners_open(struct listeners *ls, const struct instance *in)
{
	*ls = (struct listeners){ .rings = -1, .backlogs = -1 };
	ls->dir = open(in->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ls->dir < 0)
		return errno == ENOENT ? instance_gone() : fail(strerror(errno), NULL, "%s", in->dir);
	ls->rings = instance_need(in, "listeners");
	ls->backlogs = instance_fd(in, "backlogs");
	if (ls->rings >= 0)
		ls->map = mapped(in, "listener_state", sizeof(*ls->map));
	if (ls->map)
		return 0;
	listeners_close(ls);
	return 1;
}

/* --- for those who empty the table ------------------------------------------------------------ */

static void read_losses(const struct listeners *ls, uint64_t lost[])
{
	for (unsigned int i = 0; i < CT_LISTENERS; i++)
		lost[i] = __atomic_load_n(&ls->map->slot[i].lost, __ATOMIC_ACQUIRE);
}

static void tell_losses(const struct listeners *ls, const uint64_t before[])
{
	uint64_t lost[CT_LISTENERS];

	read_losses(ls, lost);
	for (unsigned int i = 0; i < CT_LISTENERS; i++) {
		char name[32], process[32] = "";
		pid_t pid;

		if (lost[i] <= before[i])
			continue;
		place_name(i, name, sizeof(name));
		pid = pins_holder(ls->dir, name);
		if (pid)
			snprintf(process, sizeof(process), " (process %d)", (int)pid);
		note("listener %u%s does not read: %" PRIu64 " events are lost to it", i, process,
		     lost[i] - before[i]);
	}
}

long listeners_told(const struct instance *in, long (*what)(void *arg), void *arg)
{
	uint64_t before[CT_LISTENERS];
	struct listeners ls;
	long n;

	if (listeners_open(&ls, in))
		return -ENOENT;
	reap(&ls); /* nobody waits for the dead */
	read_losses(&ls, before);
	n = what(arg);
	tell_losses(&ls, before);
	listeners_close(&ls);
	return n;
}

struct flushing {
	struct table *t;
	enum ct_end reason;
};

static long flush(void *arg)
{
	struct flushing *f = arg;

	return table_flush(f->t, f->reason);
}

long listeners_flush(struct table *t, enum ct_end reason)
{
	struct flushing f = { t, reason };
	long n = listeners_told(t->in, flush, &f);

	/* An instance ends, whatever it lacks. */
	return n == -ENOENT && reason == CT_END_DETACHED ? flush(&f) : n;
}

void listeners_reap(const struct instance *in)
{
	struct listeners ls;

	if (listeners_open(&ls, in))
		return;
	reap(&ls);
	listeners_close(&ls);
}

int listeners_end(const struct instance *in)
{
	struct ct_listeners *map = mapped(in, "listener_state", sizeof(*map));

	if (!map)
		return 1;
	for (int i = 0; i < CT_LISTENERS; i++)
		__atomic_fetch_or(&map->slot[i].closed, CLOSED_FOR_GOOD, __ATOMIC_SEQ_CST);
	mapped_release(map, sizeof(*map));
	return 0;
}

/* --- registering ------------------------------------------------------------------------------ */

/* Take the first place that is free, or becomes so while we look. 0 or 1, reported. */
static int claim_place(struct listener *l)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };

	/* Again, since who reaps has a place for a moment. */
	for (int tries = 0; tries < 5; tries++) {
		if (tries)
			nanosleep(&pause, NULL);
		for (l->slot = 0; l->slot < CT_LISTENERS; l->slot++) {
			l->dir = take_place(&l->all, l->slot);
			if (l->dir >= 0)
				return 0;
			if (l->dir == -ENOENT)
				return instance_gone();
			if (l->dir != -EWOULDBLOCK)
				return fail(strerror(-l->dir), NULL, "place %u for a listener",
					    l->slot);
		}
	}
	return fail("all places for listeners are taken", "end another 'ctloader events'",
		    "%d listeners", CT_LISTENERS);
}

static uint32_t reliable(const struct listener *l)
{
	return l->backlog_bytes ? CT_LISTEN_RELIABLE : 0;
}

/*
 * Begin from zero, with nothing of who had the place before. The ring comes last (after the backlog): without one an
 * event is neither delivered nor lost. That the instance has ended is never taken back: it may have
 * while we registered.
 */
static int register_ring(struct listener *l, uint32_t mask)
{
	struct ct_listener *mine = &l->all.map->slot[l->slot];

	clear_place(&l->all, l->slot);
	__atomic_fetch_and(&mine->closed, CLOSED_FOR_GOOD, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->delivered, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->lost, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mine->mask, mask | reliable(l), __ATOMIC_SEQ_CST);
	update_listening(&l->all);
	if ((l->backlog_bytes &&
	     bpf_map_update_elem(l->all.backlogs, &l->slot, &l->backlog.fd, BPF_ANY)) ||
	    bpf_map_update_elem(l->all.rings, &l->slot, &l->ring.fd, BPF_ANY))
		return fail(strerror(errno), NULL, "the ring can't be registered");
	return 0;
}

/*
 * Give the place back; from here on no program writes into the ring. Returns the losses in all: the
 * next owner counts from zero. When the directory has gone the instance has, and its programs; or
 * somebody has taken the place from us, and it is another's by now.
 */
static uint64_t give_back(struct listener *l)
{
	uint64_t lost;

	if (!still_there(l->dir)) {
		close(l->dir);
		return listener_lost(l);
	}
	clear_place(&l->all, l->slot);
	lost = listener_lost(l);
	update_listening(&l->all);
	leave_place(&l->all, l->slot, l->dir);
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

/* Stop reading the backlog at backlog_end, which may be in the middle of it. */
static int take_kept(void *ctx, void *data, size_t size)
{
	struct listener *l = ctx;
	/* A record takes 8 bytes more, and multiples of 8. */
	unsigned long next = __atomic_load_n(l->backlog.read, __ATOMIC_ACQUIRE) + ((size + 15) & ~7UL);
	int err = take_record(ctx, data, size);

	return err ? err : next >= l->backlog_end ? -EXFULL : 0;
}

/*
 * Read what is there, in the order of each flow (bpf/event.h): before a record of the backlog all that was in the
 * ring when that was seen. If one there is yet to be finished, the backlog waits. The number read, or -errno.
 */
static int consume(struct listener *l)
{
	unsigned long place, end;
	int n, kept = 0;

	if (!l->backlog_bytes)
		return ring_buffer__consume(l->ring.reader);
	end = __atomic_load_n(l->backlog.written, __ATOMIC_ACQUIRE);
	place = __atomic_load_n(l->ring.written, __ATOMIC_ACQUIRE);
	n = ring_buffer__consume(l->ring.reader);
	if (n < 0 || listener_at(l) < place ||
	    __atomic_load_n(l->backlog.read, __ATOMIC_ACQUIRE) >= end)
		return n;
	l->backlog_end = end;
	kept = ring_buffer__consume(l->backlog.reader);
	if (kept == -EXFULL)
		return n + 1;
	return kept < 0 ? kept : n + kept;
}

/* Wait until something is there. 0 or -errno; 0 also when nothing came. */
static int await(struct listener *l, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = ring_buffer__epoll_fd(l->ring.reader), .events = POLLIN },
		{ .fd = l->backlog_bytes ? ring_buffer__epoll_fd(l->backlog.reader) : -1,
		  .events = POLLIN },
	};

	return poll(fds, 2, timeout_ms) < 0 ? -errno : 0;
}

int listener_poll(struct listener *l, int timeout_ms)
{
	const struct ct_listener *mine = &l->all.map->slot[l->slot];
	int n = await(l, timeout_ms);
	bool closed;

	if (!n)
		n = consume(l);
	if (n == -EINTR)
		return 0;
	if (n)
		return n;
	/* Whoever closes does so after the last record: what is read from here on is all of it. */
	closed = __atomic_load_n(&mine->closed, __ATOMIC_ACQUIRE) || !still_there(l->dir);
	n = consume(l);
	if (n || !closed)
		return n;
	last_losses(l, __atomic_load_n(&mine->lost, __ATOMIC_ACQUIRE));
	return -ENODATA;
}

uint64_t listener_at(const struct listener *l)
{
	return __atomic_load_n(l->ring.read, __ATOMIC_ACQUIRE);
}

uint64_t listener_written(const struct listener *l)
{
	return __atomic_load_n(l->ring.written, __ATOMIC_ACQUIRE);
}

uint64_t listener_kept(const struct listener *l)
{
	return l->backlog_bytes ? __atomic_load_n(l->backlog.written, __ATOMIC_ACQUIRE) : 0;
}

uint64_t listener_lost(const struct listener *l)
{
	return __atomic_load_n(&l->all.map->slot[l->slot].lost, __ATOMIC_ACQUIRE);
}

/*
 * Not if it has been sent away meanwhile, by one who took its mask: what programs write from then on is for
 * readers of another build.
 */
void listener_ask(struct listener *l, uint32_t mask)
{
	struct ct_listener *mine = &l->all.map->slot[l->slot];
	uint32_t old = __atomic_load_n(&mine->mask, __ATOMIC_SEQ_CST);

	if (!old || !listener_stands(l) ||
	    !__atomic_compare_exchange_n(&mine->mask, &old, mask | reliable(l), false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return;
	update_listening(&l->all);
}

bool listener_stands(const struct listener *l)
{
	return still_there(l->dir) &&
	       !__atomic_load_n(&l->all.map->slot[l->slot].closed, __ATOMIC_ACQUIRE);
}

/* --- open, close ----------------------------------------------------------------------------- */

static void ring_free(struct ring *r)
{
	ring_buffer__free(r->reader);
	if (r->read)
		munmap((void *)r->read, 2 * (size_t)sysconf(_SC_PAGESIZE));
	if (r->fd >= 0)
		close(r->fd);
}

static void release(struct listener *l)
{
	ring_free(&l->ring);
	ring_free(&l->backlog);
	listeners_close(&l->all);
}

/*
 * 0 or 1, reported. The first two pages of a ring are its reader's place and its writers'; libbpf has them, but
 * does not show them before 1.3.
 */
static int ring_make(struct ring *r, struct listener *l, uint32_t bytes, ring_buffer_sample_fn each)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *places;

	r->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ct_events", 0, 0, bytes, NULL);
	if (r->fd < 0)
		return fail(strerror(errno), NULL, "a ring of %u bytes can't be made", bytes);
	r->reader = ring_buffer__new(r->fd, each, l, NULL);
	if (!r->reader)
		return fail(strerror(errno), NULL, "the ring can't be read");
	places = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, r->fd, 0);
	if (places == MAP_FAILED)
		return fail(strerror(errno), NULL, "the ring can't be read");
	r->read = (void *)places;
	r->written = (void *)(places + page);
	return 0;
}

/* 0 or 1, reported. */
static int make_rings(struct listener *l, uint32_t ring_bytes)
{
	if (l->backlog_bytes && l->all.backlogs < 0)
		return fail("its programs are an older build's", "run 'ctloader upgrade' first",
			    "a reliable listener");
	if (ring_make(&l->ring, l, ring_bytes, take_record))
		return 1;
	return l->backlog_bytes ? ring_make(&l->backlog, l, l->backlog_bytes, take_kept) : 0;
}

int listener_open(struct listener *l, const struct instance *in, uint32_t mask,
		  uint32_t ring_bytes, listener_fn *each, void *arg)
{
	int err;

	*l = (struct listener){
		.dir = -1, .ring.fd = -1, .backlog.fd = -1, .each = each, .arg = arg,
		.backlog_bytes = l->backlog_bytes,
		.least = l->least ? l->least : sizeof(struct ct_event),
	};
	if (listeners_open(&l->all, in))
		return 1;
	reap(&l->all);
	err = make_rings(l, ring_bytes);
	if (!err)
		err = claim_place(l);
	if (!err) {
		err = register_ring(l, mask);
		if (err)
			give_back(l);
	}
	if (err)
		release(l);
	return err;
}

void listener_close(struct listener *l, bool drain)
{
	uint64_t lost = give_back(l);
	int n = 0;

	do
		n = drain ? consume(l) : -1;
	while (n > 0);
	if (!n)
		last_losses(l, lost);
	release(l);
}
