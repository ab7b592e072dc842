/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversations between the TCP stacks of two network namespaces, hosts a and b of a topology in
 * tests/netns. Both ends of a connection are in the hands of one process, so one can wait for what
 * the other has done, and nothing depends on time. Every byte is checked, by its position.
 *
 * Connections alternate between IPv4 and IPv6, and between a and b as the one that opens. Some
 * cases leave connections open at the end.
 *
 * On standard output, for each connection: "src=A dst=B sport=P dport=Q STATE", the state that a
 * tracker between the hosts should have in the end; "-" is no flow, "any" whatever. When all is
 * over and no socket of either host is between two states, "settled ..." with the sums. Then the
 * connections left open are held until SIGTERM. Exit code 1 if anything went wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "random.h"

#define CHUNK	      (128 << 10)
#define STUCK_MS      100000 /* nothing has moved for so long: not slow, but broken */
#define WORKERS_MAX   400
#define LISTENER_PORT 1000  /* plus the number of the worker */
#define CLOSED_PORT   999   /* nobody listens there */
#define FIXED_PORT    10000 /* where connections get ports of their own, up to ... */
#define FIXED_PORTS   50000
#define TRIES	      5 /* for SYNs to cross */
#define ROUNDS	      4 /* on the same ports */

enum { ESTABLISHED = 1, FIN_WAIT2 = 5, TIME_WAIT = 6, CLOSE = 7, CLOSE_WAIT = 8, LISTEN = 10 };

struct play;

static struct {
	unsigned int count, workers;
	uint64_t bytes, seed;
	uint8_t with, without; /* TCPI_OPT_ */
	const struct play *play;
} option = { .count = 8, .workers = 8, .bytes = 100000, .seed = 1 };

/* What the workers have done, in memory they share. */
static struct shared {
	atomic_uint finished, connections, again;
	atomic_uint half_open; /* held: FIN_WAIT2 at one end, CLOSE_WAIT at the other */
	atomic_uint syn_data;
	atomic_ulong bytes, retransmitted;
} *shared;

/* As in the picture in lib.sh. */
static const char *const addresses[2][2] = { { "10.0.1.1", "fd00:1::1" },
					     { "10.0.2.1", "fd00:2::1" } };

struct end {
	int fd;
	uint64_t sent, received;
	uint32_t salt; /* of the stream it sends */
};

/* One connection. end[0] opens; `side` is the host where that is. */
struct talk {
	unsigned int index, worker, side, family;
	uint64_t random;
	struct end end[2];
	uint16_t port[2];
};

struct play {
	const char *name;
	void (*run)(struct talk *t);
	bool small_buffers, fast_open;
	const char *help;
};

static int namespaces[2];
static int listeners[2][2]; /* of this worker: host, family */
static uint8_t *pattern;

__attribute__((format(printf, 2, 3), noreturn)) static void die(const struct talk *t,
								const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "stacks: %s", option.play ? option.play->name : "");
	if (t)
		fprintf(stderr, ", connection %u, ports %u and %u", t->index, t->port[0],
			t->port[1]);
	fprintf(stderr, ": ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static uint64_t below(struct talk *t, uint64_t n)
{
	return n ? next_random(&t->random) % n : 0;
}

static void enter(int host)
{
	if (setns(namespaces[host], CLONE_NEWNET))
		die(NULL, "setns: %s", strerror(errno));
}

/* --- sockets --------------------------------------------------------------------------------- */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

static struct address address(int host, int family, uint16_t port)
{
	const char *text = addresses[host][family];
	struct address a = { .len = 0 };

	if (family) {
		a.in6.sin6_family = AF_INET6;
		inet_pton(AF_INET6, text, &a.in6.sin6_addr);
		a.len = sizeof(a.in6);
	} else {
		a.in.sin_family = AF_INET;
		inet_pton(AF_INET, text, &a.in.sin_addr);
		a.len = sizeof(a.in);
	}
	a.in.sin_port = htons(port); /* same place in both */
	return a;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die(NULL, "setsockopt %d: %s", name, strerror(errno));
}

/* On that host; bound if there is a port. */
static int new_socket(int host, int family, uint16_t port)
{
	struct address a = address(host, family, port);
	int fd;

	enter(host);
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die(NULL, "socket: %s", strerror(errno));
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (option.play->small_buffers) {
		set(fd, SOL_SOCKET, SO_RCVBUF, 1); /* the least there is */
		set(fd, SOL_SOCKET, SO_SNDBUF, 1);
	}
	if (port && bind(fd, &a.any, a.len))
		die(NULL, "port %u: %s", port, strerror(errno));
	return fd;
}

static int new_listener(int host, int family, uint16_t port)
{
	int fd = new_socket(host, family, port);

	if (option.play->fast_open)
		set(fd, IPPROTO_TCP, TCP_FASTOPEN, 16);
	if (listen(fd, 64))
		die(NULL, "listen: %s", strerror(errno));
	return fd;
}

static struct tcp_info info(const struct end *e)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &i, &len);
	return i;
}

static uint16_t port_of(int fd, bool peer)
{
	struct address a = { .len = sizeof(a.in6) };

	if (peer ? getpeername(fd, &a.any, &a.len) : getsockname(fd, &a.any, &a.len))
		return 0;
	return ntohs(a.in.sin_port);
}

static void await(const struct talk *t, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (poll(&p, 1, STUCK_MS) == 0)
		die(t, "stuck");
}

static void nap(void)
{
	poll(NULL, 0, 2);
}

static int error_of(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

/* --- opening --------------------------------------------------------------------------------- */

static void begin_connect(struct talk *t, int end, uint16_t own_port, uint16_t port)
{
	int host = t->side ^ end;
	struct address to = address(!host, t->family, port);

	t->end[end].fd = new_socket(host, t->family, own_port);
	if (connect(t->end[end].fd, &to.any, to.len) && errno != EINPROGRESS)
		die(t, "connect: %s", strerror(errno));
	t->port[end] = port_of(t->end[end].fd, false);
	t->port[!end] = port;
}

static void check_options(const struct talk *t)
{
	for (int i = 0; i < 2; i++) {
		uint8_t has = info(&t->end[i]).tcpi_options;

		if ((has & option.with) != option.with || has & option.without)
			die(t, "options %#x were agreed on", has);
	}
}

/* The connection whose other end is ours; a late SYN may have made others. */
static void await_accept(struct talk *t, int listener)
{
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0 && port_of(fd, true) == t->port[0])
			break;
		if (fd >= 0)
			close(fd);
		else
			await(t, listener, POLLIN);
	}
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	t->end[1].fd = fd;
	shared->connections++;
	check_options(t);
}

static void await_connect(struct talk *t)
{
	int err;

	await(t, t->end[0].fd, POLLOUT);
	err = error_of(t->end[0].fd);
	if (err)
		die(t, "connect: %s", strerror(err));
}

static int listener(const struct talk *t)
{
	return listeners[!t->side][t->family];
}

static void open_talk(struct talk *t)
{
	begin_connect(t, 0, 0, LISTENER_PORT + t->worker);
	await_connect(t);
	await_accept(t, listener(t));
}

/* --- moving bytes ---------------------------------------------------------------------------- */

static const uint8_t *bytes_at(const struct end *from, uint64_t at)
{
	return pattern + (at + from->salt) % PATTERN;
}

/* Send what can be sent now, up to `goal` bytes in all: how many, or -errno. */
static ssize_t push(struct end *e, uint64_t goal, int flags)
{
	uint64_t left = goal - e->sent;
	ssize_t n;

	if (!left)
		return 0;
	n = send(e->fd, bytes_at(e, e->sent), left < CHUNK ? left : CHUNK, flags | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	e->sent += n;
	return n;
}

#define END_OF_STREAM (-1000)

/* Receive what is there, up to `most` bytes, and check it: how many, or -errno, END_OF_STREAM. */
static ssize_t pull(struct talk *t, int end, size_t most)
{
	static uint8_t buffer[CHUNK];
	struct end *e = &t->end[end];
	ssize_t n = recv(e->fd, buffer, most < CHUNK ? most : CHUNK, 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n)
		return END_OF_STREAM;
	if (memcmp(buffer, bytes_at(&t->end[!end], e->received), n))
		die(t, "wrong bytes behind the first %lu", e->received);
	e->received += n;
	shared->bytes += n;
	return n;
}

static ssize_t working(const struct talk *t, ssize_t n, const char *what)
{
	if (n < 0)
		die(t, "%s: %s", what, n == END_OF_STREAM ? "early end" : strerror(-n));
	return n;
}

/* Wait until either end can move on; when all is sent, only the reader counts. */
static void await_either(const struct talk *t, const uint64_t goal[2])
{
	struct pollfd p[2];

	for (int i = 0; i < 2; i++) {
		p[i] = (struct pollfd){ .fd = t->end[i].fd };
		if (t->end[!i].fd >= 0 && t->end[i].received < goal[!i])
			p[i].events |= POLLIN;
		if (t->end[i].sent < goal[i])
			p[i].events |= POLLOUT;
		if (!p[i].events)
			p[i].fd = -1;
	}
	if (poll(p, 2, STUCK_MS) == 0)
		die(t, "stuck: sent %lu and %lu, received %lu and %lu", t->end[0].sent,
		    t->end[1].sent, t->end[0].received, t->end[1].received);
}

/* Both ways at once: so many bytes from either end, read in pieces of up to `piece`. */
static void transfer_in(struct talk *t, uint64_t from0, uint64_t from1, size_t piece)
{
	uint64_t goal[2] = { t->end[0].sent + from0, t->end[1].sent + from1 };
	ssize_t moved;

	while (t->end[0].received < goal[1] || t->end[1].received < goal[0]) {
		moved = 0;
		for (int i = 0; i < 2; i++) {
			moved += working(t, push(&t->end[i], goal[i], 0), "send");
			if (t->end[i].received < goal[!i])
				moved += working(t, pull(t, i, 1 + below(t, piece)), "receive");
		}
		if (!moved)
			await_either(t, goal);
	}
}

static void transfer(struct talk *t, uint64_t from0, uint64_t from1)
{
	transfer_in(t, from0, from1, 2 * CHUNK);
}

/* --- ending ---------------------------------------------------------------------------------- */

static void retransmissions(const struct talk *t)
{
	for (int i = 0; i < 2; i++)
		if (t->end[i].fd >= 0)
			shared->retransmitted += info(&t->end[i]).tcpi_total_retrans;
}

static void shut(const struct talk *t, int end)
{
	if (shutdown(t->end[end].fd, SHUT_WR))
		die(t, "shutdown: %s", strerror(errno));
}

static void await_end_of_stream(struct talk *t, int end)
{
	ssize_t n;

	while ((n = pull(t, end, CHUNK)) != END_OF_STREAM) {
		if (n)
			die(t, "end of stream: %s", n > 0 ? "more bytes" : strerror(-n));
		await(t, t->end[end].fd, POLLIN);
	}
}

static void close_end(struct talk *t, int end)
{
	close(t->end[end].fd);
	t->end[end].fd = -1;
}

/* `first` sends its FIN first; 2: both at once. */
static void finish(struct talk *t, int first)
{
	shut(t, first & 1);
	if (first == 2)
		shut(t, 1);
	await_end_of_stream(t, !(first & 1));
	if (first != 2)
		shut(t, !first);
	await_end_of_stream(t, first & 1);
	retransmissions(t);
}

/* Until neither socket is in use any more (one may be in TIME_WAIT, without its owner). */
static void await_closed(const struct talk *t)
{
	for (int i = 0; i < 2; i++)
		while (info(&t->end[i]).tcpi_state != CLOSE)
			nap();
}

static void close_both(struct talk *t)
{
	close_end(t, 0);
	close_end(t, 1);
}

static void reset(struct talk *t, int end)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(t->end[end].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close_end(t, end);
}

/* The other end has reset; that may have got lost: write until it shows. */
static void await_reset(struct talk *t, int end)
{
	struct pollfd p = { .fd = t->end[end].fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = pull(t, end, CHUNK);
		if (n >= 0 || n == END_OF_STREAM)
			n = push(&t->end[end], t->end[end].sent + 1, 0);
		if (n < 0)
			break;
		if (info(&t->end[end]).tcpi_state == CLOSE)
			break;
		poll(&p, 1, 10);
	}
	if (n < 0 && n != -ECONNRESET && n != -EPIPE)
		die(t, "instead of a reset: %s", strerror(-n));
	close_end(t, end);
}

static void expect(const struct talk *t, const char *state)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "src=%s dst=%s sport=%u dport=%u %s\n",
			 addresses[t->side][t->family], addresses[!t->side][t->family], t->port[0],
			 t->port[1], state);

	if (write(1, line, n) != n)
		die(t, "write: %s", strerror(errno));
}

/* --- cases ----------------------------------------------------------------------------------- */

static void play_bulk(struct talk *t)
{
	open_talk(t);
	transfer(t, option.bytes, option.bytes);
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

static void play_short(struct talk *t)
{
	open_talk(t);
	transfer(t, below(t, option.bytes), below(t, option.bytes));
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

/* Send without being read until the window is shut, and has been probed twice. */
static void stall(struct talk *t, int end)
{
	struct end *e = &t->end[end];
	uint64_t goal = e->sent + option.bytes;
	uint32_t segments = 0;
	struct tcp_info i;

	for (;;) {
		working(t, push(e, goal, 0), "send");
		if (e->sent == goal)
			die(t, "%lu bytes do not fill the window", option.bytes);
		i = info(e);
		if (i.tcpi_unacked || !i.tcpi_notsent_bytes)
			segments = 0;
		else if (!segments)
			segments = i.tcpi_segs_out;
		else if (i.tcpi_segs_out >= segments + 2)
			return;
		nap();
	}
}

static void play_tiny(struct talk *t)
{
	open_talk(t);
	for (int i = 0; i < 2; i++) {
		stall(t, i);
		transfer_in(t, option.bytes, option.bytes, 700);
	}
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

static void play_keepalive(struct talk *t)
{
	uint32_t before[2];

	open_talk(t);
	transfer(t, 100, 100);
	for (int i = 0; i < 2; i++) {
		set(t->end[i].fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
		set(t->end[i].fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
		set(t->end[i].fd, IPPROTO_TCP, TCP_KEEPCNT, 100);
		set(t->end[i].fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		before[i] = info(&t->end[i]).tcpi_segs_out;
	}
	/* Nothing but probes and their answers is to be sent. */
	for (int i = 0; i < 2; i++)
		while (info(&t->end[i]).tcpi_segs_out < before[i] + 2)
			nap();
	if (t->index % 4 < 2) {
		expect(t, "ESTABLISHED");
		return;
	}
	transfer(t, option.bytes, option.bytes);
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

static void play_half_close(struct talk *t)
{
	int first = below(t, 2);

	open_talk(t);
	transfer(t, option.bytes, 1000);
	shut(t, first);
	await_end_of_stream(t, !first);
	for (int i = 0; i < 4; i++)
		transfer(t, first ? option.bytes : 0, first ? 0 : option.bytes);
	if (t->index % 4 < 2) {
		retransmissions(t);
		shared->half_open++;
		expect(t, "CLOSE_WAIT");
		return;
	}
	shut(t, !first);
	await_end_of_stream(t, first);
	retransmissions(t);
	close_both(t);
	expect(t, "TIME_WAIT");
}

static void play_reset(struct talk *t)
{
	int end = t->index >> 2 & 1;

	open_talk(t);
	switch (t->index / 8 % 4) {
	case 0: /* at once */
		break;
	case 1: /* by a close with bytes unread */
		transfer(t, 1000, 1000);
		working(t, push(&t->end[!end], t->end[!end].sent + 1000, 0), "send");
		await(t, t->end[end].fd, POLLIN);
		close_end(t, end);
		await_reset(t, !end);
		expect(t, "CLOSE");
		return;
	case 2: /* after its FIN */
		transfer(t, 1000, 1000);
		shut(t, end);
		await_end_of_stream(t, !end);
		break;
	case 3: /* after the other's FIN */
		transfer(t, 1000, 1000);
		shut(t, !end);
		await_end_of_stream(t, end);
		break;
	}
	reset(t, end);
	await_reset(t, !end);
	expect(t, "CLOSE");
}

/* In the middle of bytes both ways, some of them still under way; every third time by both. */
static void play_reset_in_flow(struct talk *t)
{
	int end = t->index >> 2 & 1;

	open_talk(t);
	transfer(t, option.bytes, option.bytes);
	for (int i = 0; i < 2; i++)
		working(t, push(&t->end[i], t->end[i].sent + option.bytes, 0), "send");
	reset(t, end);
	if (t->index % 3)
		await_reset(t, !end);
	else
		reset(t, !end);
	expect(t, "CLOSE");
}

/* Given up before the answer came: that is answered by a reset. Every fourth too late for that. */
static void play_given_up(struct talk *t)
{
	begin_connect(t, 0, 0, LISTENER_PORT + t->worker);
	if (t->index % 4 == 0)
		poll(NULL, 0, 30);
	close_end(t, 0);
	shared->connections++;
	expect(t, "any");
}

static void play_refused(struct talk *t)
{
	int err;

	begin_connect(t, 0, 0, CLOSED_PORT);
	await(t, t->end[0].fd, POLLIN | POLLOUT);
	err = error_of(t->end[0].fd);
	if (err != ECONNREFUSED)
		die(t, "instead of a refusal: %s", strerror(err));
	close_end(t, 0);
	shared->connections++;
	expect(t, "-");
}

static bool both_established(struct talk *t)
{
	int state[2];

	for (;;) {
		for (int i = 0; i < 2; i++)
			state[i] = info(&t->end[i]).tcpi_state;
		if (state[0] == ESTABLISHED && state[1] == ESTABLISHED)
			return true;
		if (state[0] == CLOSE || state[1] == CLOSE)
			return false;
		nap();
	}
}

/* The first of so many ports that no other connection uses. */
static uint16_t fixed_port(const struct talk *t, unsigned int ports)
{
	if ((t->index + 1) * ports > FIXED_PORTS)
		die(t, "not more than %u connections of this kind", FIXED_PORTS / ports);
	return FIXED_PORT + t->index * ports;
}

/* Nobody listens: it takes two SYNs that cross. If one came too soon, again on other ports. */
static void play_simultaneous(struct talk *t)
{
	uint16_t port = fixed_port(t, 2 * TRIES), end = port + 2 * TRIES;

	for (;; port += 2) {
		if (port == end)
			die(t, "the SYNs never cross");
		t->end[0].fd = new_socket(t->side, t->family, port);
		t->end[1].fd = new_socket(!t->side, t->family, port + 1);
		t->port[0] = port;
		t->port[1] = port + 1;
		for (int i = 0; i < 2; i++) {
			int host = t->side ^ i;
			struct address to = address(!host, t->family, t->port[!i]);

			connect(t->end[i].fd, &to.any, to.len);
		}
		if (both_established(t))
			break;
		close_both(t);
		expect(t, "any");
		shared->again++;
	}
	shared->connections++;
	check_options(t);
	transfer(t, option.bytes, option.bytes);
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

/* Another connection between the same ports, opened by the side of `opener`. */
static void open_on(struct talk *t, unsigned int opener, uint16_t own_port, uint16_t port)
{
	int fd;

	t->side = opener;
	t->end[0] = (struct end){ .fd = -1, .salt = next_random(&t->random) % PATTERN };
	t->end[1] = (struct end){ .fd = -1, .salt = next_random(&t->random) % PATTERN };
	fd = new_listener(!opener, t->family, port);
	begin_connect(t, 0, own_port, port);
	await_connect(t);
	await_accept(t, fd);
	close(fd);
}

/* The same ports again and again, as soon as the host lets us. Who answered closes first. */
static void play_reuse(struct talk *t)
{
	uint16_t port = fixed_port(t, 2);

	for (int round = 0; round < ROUNDS; round++) {
		open_on(t, t->side, port, port + 1);
		transfer(t, below(t, option.bytes), below(t, option.bytes));
		finish(t, 1);
		await_closed(t);
		close_both(t);
	}
	expect(t, "TIME_WAIT");
}

/* So, too, but in turn from either side, and either closes first: hosts without TIME_WAIT. */
static void play_reuse_in_turn(struct talk *t)
{
	uint16_t port = fixed_port(t, 2), ports[2] = { port, port + 1 };

	for (int round = 0; round < ROUNDS; round++) {
		unsigned int opener = below(t, 2);

		open_on(t, opener, ports[opener], ports[!opener]);
		transfer(t, below(t, option.bytes), below(t, option.bytes));
		if (below(t, 4)) {
			finish(t, below(t, 3));
			await_closed(t);
			close_both(t);
		} else {
			reset(t, 0);
			await_reset(t, 1);
		}
	}
	expect(t, "any");
}

/* Bytes in the SYN. */
static void play_fast_open(struct talk *t)
{
	struct address to = address(!t->side, t->family, LISTENER_PORT + t->worker);
	struct end *e = &t->end[0];
	ssize_t n;

	e->fd = new_socket(t->side, t->family, 0);
	n = sendto(e->fd, bytes_at(e, 0), 1000, MSG_FASTOPEN | MSG_NOSIGNAL, &to.any, to.len);
	if (n < 0 && errno != EINPROGRESS)
		die(t, "connect: %s", strerror(errno));
	e->sent = n > 0 ? n : 0;
	t->port[0] = port_of(e->fd, false);
	t->port[1] = LISTENER_PORT + t->worker;
	await_accept(t, listener(t));
	/* The answer may go out before the handshake is over. */
	working(t, push(&t->end[1], 1000, 0), "send");
	await_connect(t);
	transfer(t, 1000 - e->sent, 1000 - t->end[1].sent);
	transfer(t, below(t, option.bytes), below(t, option.bytes));
	shared->syn_data += !!(info(e).tcpi_options & TCPI_OPT_SYN_DATA);
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

static void play_urgent(struct talk *t)
{
	open_talk(t);
	for (uint64_t i = 0; i < option.bytes; i += 10000) {
		for (int end = 0; end < 2; end++) {
			push(&t->end[end], t->end[end].sent + below(t, 10000), 0);
			push(&t->end[end], t->end[end].sent + 1 + below(t, 3), MSG_OOB);
		}
		transfer(t, 0, 0);
	}
	finish(t, below(t, 3));
	close_both(t);
	expect(t, "TIME_WAIT");
}

static const struct play plays[] = {
	{ "bulk", play_bulk, false, false, "BYTES both ways at once" },
	{ "short", play_short, false, false, "up to BYTES both ways" },
	{ "tiny", play_tiny, true, false, "the least buffers, shut windows, small reads" },
	{ "keepalive", play_keepalive, false, false,
	  "idle with keepalives; half of them stay open" },
	{ "half-close", play_half_close, false, false, "half closed; half of them stay so" },
	{ "reset", play_reset, false, false, "reset: at once, with bytes unread, half closed" },
	{ "reset-in-flow", play_reset_in_flow, false, false,
	  "reset in the middle of bytes both ways" },
	{ "given-up", play_given_up, false, false, "closed before the answer to the SYN" },
	{ "refused", play_refused, false, false, "to a port where nobody listens" },
	{ "simultaneous", play_simultaneous, false, false, "SYNs that cross" },
	{ "reuse", play_reuse, false, false, "the same ports again, while b is in TIME_WAIT" },
	{ "reuse-in-turn", play_reuse_in_turn, false, false,
	  "and by either side, after resets, too" },
	{ "fast-open", play_fast_open, false, true, "TCP Fast Open" },
	{ "urgent", play_urgent, false, false, "urgent bytes in between" },
};

#define PLAYS (sizeof(plays) / sizeof(plays[0]))

/* --- workers --------------------------------------------------------------------------------- */

/* Let go of the connections that are held without another word, or it would be in the next case. */
static void let_go(int signal)
{
	int yes = 1;

	(void)signal;
	for (int fd = 3; fd < FD_SETSIZE; fd++)
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &yes, sizeof(yes));
	_exit(0);
}

/*
 * Who gives a connection up too late has one, which nobody has asked for at the other end. (On a busy
 * machine the answer to a SYN may come before the next line is run.)
 */
static void close_given_up(void)
{
	struct pollfd p[4];

	for (int i = 0; i < 4; i++)
		p[i] = (struct pollfd){ .fd = listeners[i / 2][i % 2], .events = POLLIN };
	poll(p, 4, -1);
	for (int i = 0; i < 4; i++) {
		int fd = p[i].revents ? accept4(p[i].fd, NULL, NULL, SOCK_NONBLOCK) : -1;

		if (fd >= 0)
			close(fd);
	}
}

static void work(unsigned int worker)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, let_go);
	for (int host = 0; host < 2; host++)
		for (int family = 0; family < 2; family++)
			listeners[host][family] =
				new_listener(host, family, LISTENER_PORT + worker);
	for (unsigned int i = worker; i < option.count; i += option.workers) {
		struct talk t = { .index = i,
				  .worker = worker,
				  .family = i & 1,
				  .side = i >> 1 & 1,
				  .random = option.seed << 32 | i };

		for (int end = 0; end < 2; end++)
			t.end[end] = (struct end){ .fd = -1, .salt = next_random(&t.random) % PATTERN };
		option.play->run(&t);
	}
	shared->finished++;
	for (;;)
		close_given_up();
}

/*
 * Whether no TCP socket of a host is between two states, nor has bytes that are not acknowledged.
 * Half open connections that are held are counted.
 */
static bool host_settled(int host, unsigned int *half_open)
{
	static const char *const files[] = { "/proc/thread-self/net/tcp",
					     "/proc/thread-self/net/tcp6" };
	bool settled = true;
	char line[512];

	enter(host);
	for (int i = 0; i < 2; i++) {
		FILE *f = fopen(files[i], "r");
		unsigned int state, unacked;

		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "%*d: %*s %*s %x %x:", &state, &unacked) != 2)
				continue;
			if (state == FIN_WAIT2 || state == CLOSE_WAIT)
				++*half_open;
			else if (state != ESTABLISHED && state != TIME_WAIT && state != LISTEN)
				settled = false;
			if (state != LISTEN && unacked)
				settled = false;
		}
		if (f)
			fclose(f);
	}
	return settled;
}

static bool settled(void)
{
	unsigned int half_open = 0;
	bool a = host_settled(0, &half_open), b = host_settled(1, &half_open);

	return a && b && half_open == 2 * shared->half_open;
}

static pid_t pids[WORKERS_MAX];

static void end_workers(void)
{
	for (unsigned int i = 0; i < option.workers; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGTERM);
	while (wait(NULL) > 0)
		;
}

static void on_signal(int signal)
{
	(void)signal;
	end_workers();
	_exit(0);
}

/* Nobody ends by itself, but who fails. */
static void watch(void)
{
	int status;

	if (waitpid(-1, &status, WNOHANG) <= 0)
		return;
	end_workers();
	exit(1);
}

static void options_of(const char *text)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} names[] = { { "timestamps", TCPI_OPT_TIMESTAMPS },
		      { "sack", TCPI_OPT_SACK },
		      { "wscale", TCPI_OPT_WSCALE },
		      { "ecn", TCPI_OPT_ECN } };
	char *copy = strdup(text), *word;

	for (word = strtok(copy, ","); word; word = strtok(NULL, ",")) {
		bool without = *word == '-';
		uint8_t bit = 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strcmp(word + without, names[i].name))
				bit = names[i].bit;
		if (!bit)
			die(NULL, "%s: no such option", word);
		*(without ? &option.without : &option.with) |= bit;
	}
	free(copy);
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: stacks [OPTIONS] CASE NETNS_A NETNS_B\n"
			"  -n COUNT    connections (8)    -b BYTES  (100000)\n"
			"  -w WORKERS  at a time (8)      -s SEED\n"
			"  -o LIST     of timestamps, sack, wscale, ecn: has to be agreed on; "
			"-sack: must not\n"
			"cases:\n");
	for (size_t i = 0; i < PLAYS; i++)
		fprintf(stderr, "  %-14s %s\n", plays[i].name, plays[i].help);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:w:b:s:o:")) != -1) {
		switch (c) {
		case 'n':
			option.count = strtoul(optarg, NULL, 10);
			break;
		case 'w':
			option.workers = strtoul(optarg, NULL, 10);
			break;
		case 'b':
			option.bytes = strtoull(optarg, NULL, 10);
			break;
		case 's':
			option.seed = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			options_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (option.workers < 1 || option.workers > WORKERS_MAX)
		usage();
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	argv += optind;
	argc -= optind;
	for (size_t i = 0; argc == 3 && i < PLAYS; i++)
		if (!strcmp(plays[i].name, argv[0]))
			option.play = &plays[i];
	if (!option.play)
		usage();
	for (int i = 0; i < 2; i++) {
		char path[256];

		snprintf(path, sizeof(path), "/run/netns/%s", argv[1 + i]);
		namespaces[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (namespaces[i] < 0)
			die(NULL, "%s: %s", path, strerror(errno));
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die(NULL, "memory: %s", strerror(errno));
	pattern = pattern_new(CHUNK);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, on_signal);
	for (unsigned int i = 0; i < option.workers; i++) {
		pids[i] = fork();
		if (!pids[i])
			work(i);
	}
	while (shared->finished < option.workers || !settled()) {
		watch();
		poll(NULL, 0, 10);
	}
	printf("settled: %u connections, %lu bytes, %lu segments sent again", shared->connections,
	       shared->bytes, shared->retransmitted);
	if (shared->again)
		printf(", %u SYNs that did not cross", shared->again);
	if (option.play->fast_open)
		printf(", %u with data in the SYN", shared->syn_data);
	putchar('\n');
	fflush(stdout);
	for (;;)
		pause();
}
