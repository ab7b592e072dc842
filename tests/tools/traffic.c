/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traffic for tests, with exact accounts: every packet is numbered, so what got lost is known by
 * number. IPv4 and IPv6; the address decides.
 *
 * Servers print "ready" once they can be talked to, and what they did when told to stop (SIGTERM
 * or SIGINT). Senders print one line, "sent N received N lost N dup N", and, if any were lost,
 * "missing" and their numbers. Losses in our own socket buffers are told apart: "overflow N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/icmp.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../unit/crc32c.h"
#include "pattern.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define BATCH       64
#define SIZE_MAX_   9000          /* of a datagram's payload */
#define BUFFER      (32 << 20)    /* of a socket; losses are to be the router's, not ours */
#define MAGIC       0x63747472    /* "cttr" */
#define NSEC        1000000000ULL

static struct {
	size_t size;        /* -s: payload bytes */
	unsigned int wait;  /* -w: ms to wait for the last replies */
	const char *source; /* -S: first source address of `flows` */
	uint64_t first;     /* -f: number of the first flow */
} option = { .size = 64, .wait = 1000 };

static volatile sig_atomic_t stopping;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "traffic: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

static uint64_t number(const char *text, uint64_t max, const char *what)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text || *end || n > max)
		die("%s: not a %s", text, what);
	return n;
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

static struct address address(const char *text, const char *port)
{
	struct address a = { .len = 0 };
	in_port_t p = htons(number(port, 65535, "port"));

	if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = p;
		a.len = sizeof(a.in);
	} else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = p;
		a.len = sizeof(a.in6);
	} else {
		die("%s: not an address", text);
	}
	return a;
}

static int new_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol), size = BUFFER;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static int connected(int type, const struct address *to)
{
	int fd = new_socket(to->any.sa_family, type, 0);

	if (connect(fd, &to->any, to->len))
		die("connect: %s", strerror(errno));
	return fd;
}

/* Bound to `port` of both families, or of one address. */
static int bound(int type, const char *port, const char *addr)
{
	struct address a = address(addr ? addr : "::", port);
	int fd = new_socket(a.any.sa_family, type, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, &a.any, a.len))
		die("port %s: %s", port, strerror(errno));
	return fd;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* What arrived at this socket and found its buffer full. */
static unsigned int overflow(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

/*
 * Batches of datagrams.
 */
struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct address from[BATCH];
	uint8_t data[BATCH][SIZE_MAX_ + 128];
};

static struct batch *batch_new(void)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		die("no memory");
	for (int i = 0; i < BATCH; i++) {
		b->iov[i].iov_base = b->data[i];
		b->msg[i].msg_hdr.msg_iov = &b->iov[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

/* What is there, without waiting; 0 if nothing is. Counts refusals that ICMP told us. */
static int batch_receive(int fd, struct batch *b, bool addresses, uint64_t *refused)
{
	int n;

	for (int i = 0; i < BATCH; i++) {
		b->iov[i].iov_len = sizeof(b->data[i]);
		b->msg[i].msg_hdr.msg_name = addresses ? &b->from[i].any : NULL;
		b->msg[i].msg_hdr.msg_namelen = addresses ? sizeof(b->from[i].in6) : 0;
	}
	n = recvmmsg(fd, b->msg, BATCH, MSG_DONTWAIT, NULL);
	if (n >= 0)
		return n;
	if (errno == ECONNREFUSED && refused)
		++*refused;
	else if (errno != EAGAIN && errno != EINTR && errno != EHOSTUNREACH && errno != ENETUNREACH)
		die("receive: %s", strerror(errno));
	return 0;
}

/*
 * udp-echo, udp-sink
 */
static int serve_udp(const char *port, const char *addr, bool echo)
{
	int fd = bound(SOCK_DGRAM, port, addr);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct batch *b = batch_new();
	uint64_t received = 0, echoed = 0;

	ready();
	while (!stopping) {
		int n, done = 0, sent;

		poll(&poll_fd, 1, 100);
		while ((n = batch_receive(fd, b, echo, NULL)) > 0) {
			received += n;
			for (int i = 0; i < n; i++)
				b->iov[i].iov_len = b->msg[i].msg_len;
			for (done = 0; echo && done < n; done += sent > 0 ? sent : 1) {
				sent = sendmmsg(fd, b->msg + done, n - done, 0);
				echoed += sent > 0 ? sent : 0;
			}
		}
	}
	printf("received %lu echoed %lu", received, echoed);
	if (overflow(fd))
		printf(" overflow %u", overflow(fd));
	putchar('\n');
	free(b);
	close(fd);
	return 0;
}

static int udp_echo(int argc, char **argv)
{
	return serve_udp(argv[0], argc > 1 ? argv[1] : NULL, true);
}

static int udp_sink(int argc, char **argv)
{
	return serve_udp(argv[0], argc > 1 ? argv[1] : NULL, false);
}

/*
 * Senders of numbered requests. The number travels in the payload, in a UDP datagram or an ICMP
 * echo request, and comes back in the answer.
 */
struct stamp {
	uint32_t magic;
	uint32_t run; /* whose request this is */
	uint64_t seq;
};

struct probe {
	int fd;
	int icmp; /* 0, IPPROTO_ICMP or IPPROTO_ICMPV6 */
	uint32_t run;
	uint64_t sent, received, dup, refused;
	uint64_t last; /* ns, when something was sent or received */
	uint8_t *seen; /* a bit for each number */
	uint64_t room; /* bits */
	struct batch *in;
	uint8_t out[sizeof(struct icmphdr) + SIZE_MAX_];
};

static void mark_seen(struct probe *p, uint64_t seq)
{
	uint8_t bit = 1 << (seq & 7);

	if (seq >= p->sent)
		return; /* an answer to what was never asked */
	if (p->seen[seq / 8] & bit)
		p->dup++;
	else
		p->received++;
	p->seen[seq / 8] |= bit;
}

static void make_room(struct probe *p)
{
	uint64_t room = p->room ? p->room * 2 : 1 << 20;

	if (p->sent < p->room)
		return;
	p->seen = realloc(p->seen, room / 8);
	if (!p->seen)
		die("no memory");
	memset(p->seen + p->room / 8, 0, (room - p->room) / 8);
	p->room = room;
}

static uint16_t checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (; len > 1; len -= 2, bytes += 2)
		sum += bytes[0] << 8 | bytes[1];
	if (len)
		sum += bytes[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* Header of an echo request; ICMP and ICMPv6 have the same but for the type. */
static size_t put_echo_request(struct probe *p)
{
	struct icmphdr h = { .type = p->icmp == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST };

	if (!p->icmp)
		return 0;
	h.un.echo.id = htons(p->run);
	h.un.echo.sequence = htons(p->sent);
	memcpy(p->out, &h, sizeof(h));
	return sizeof(h);
}

static bool send_one(struct probe *p)
{
	struct stamp stamp = { MAGIC, p->run, p->sent };
	size_t head = put_echo_request(p), len = head + option.size;
	uint16_t sum;

	make_room(p);
	memcpy(p->out + head, &stamp, sizeof(stamp));
	if (p->icmp == IPPROTO_ICMP) { /* for ICMPv6 the kernel does it */
		sum = checksum(p->out, len, 0);
		memcpy(p->out + offsetof(struct icmphdr, checksum), &sum, sizeof(sum));
	}
	if (send(p->fd, p->out, len, 0) < 0) {
		if (errno == ECONNREFUSED)
			p->refused++; /* the answer to an earlier one; this one was not sent */
		else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			die("send: %s", strerror(errno));
		return false;
	}
	p->sent++;
	return true;
}

/* Offset of the stamp in what was received, or -1 if it is no answer. */
static int answer_offset(const struct probe *p, const uint8_t *data, size_t len)
{
	size_t at = 0;
	uint8_t reply = p->icmp == IPPROTO_ICMP ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;

	if (p->icmp == IPPROTO_ICMP)
		at = (data[0] & 0xf) * 4; /* a raw IPv4 socket shows the IP header */
	if (p->icmp) {
		if (len < at + sizeof(struct icmphdr) || data[at] != reply)
			return -1;
		at += sizeof(struct icmphdr);
	}
	return len < at + sizeof(struct stamp) ? -1 : (int)at;
}

static void receive_answers(struct probe *p)
{
	struct stamp stamp;
	int n, at;

	while ((n = batch_receive(p->fd, p->in, false, &p->refused)) > 0) {
		for (int i = 0; i < n; i++) {
			at = answer_offset(p, p->in->data[i], p->in->msg[i].msg_len);
			if (at < 0)
				continue;
			memcpy(&stamp, p->in->data[i] + at, sizeof(stamp));
			if (stamp.magic != MAGIC || stamp.run != p->run)
				continue;
			mark_seen(p, stamp.seq);
			p->last = now_ns();
		}
	}
}

static void wait_answers(const struct probe *p, uint64_t ns)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
	struct timespec t = { .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };

	ppoll(&poll_fd, 1, &t, NULL);
}

/* Send `count` requests, `rate` a second; then wait for what is still under way. */
static void run_probe(struct probe *p, uint64_t count, uint64_t rate)
{
	uint64_t start = now_ns(), wait = option.wait * 1000000ULL;

	while (!stopping && p->sent < count) {
		uint64_t next = start + (p->sent / rate) * NSEC + p->sent % rate * NSEC / rate;
		uint64_t now = now_ns();

		if (now >= next)
			send_one(p);
		else
			wait_answers(p, next - now);
		if (now < next || p->sent % 16 == 0)
			receive_answers(p);
	}
	for (p->last = now_ns(); p->received < p->sent && now_ns() - p->last < wait;) {
		wait_answers(p, 10000000);
		receive_answers(p);
	}
}

/* The numbers of the lost, as ranges; the first thousand ranges of them. */
static void print_missing(const struct probe *p)
{
	unsigned int ranges = 0;

	printf("missing");
	for (uint64_t seq = 0, first; seq < p->sent; seq++) {
		for (first = seq; seq < p->sent && !(p->seen[seq / 8] & 1 << (seq & 7)); seq++)
			;
		if (seq == first)
			continue;
		if (++ranges > 1000) {
			printf(" ...");
			break;
		}
		printf(seq - 1 == first ? " %lu" : " %lu-%lu", first, seq - 1);
	}
	putchar('\n');
}

static void report(const struct probe *p)
{
	printf("sent %lu received %lu lost %lu dup %lu", p->sent, p->received,
	       p->sent - p->received, p->dup);
	if (p->refused)
		printf(" refused %lu", p->refused);
	if (overflow(p->fd))
		printf(" overflow %u", overflow(p->fd));
	putchar('\n');
	if (p->received < p->sent)
		print_missing(p);
}

static struct probe *probe_new(int fd, int icmp)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		die("no memory");
	p->fd = fd;
	p->icmp = icmp;
	p->run = getpid();
	p->in = batch_new();
	return p;
}

static void probe_free(struct probe *p)
{
	close(p->fd);
	free(p->seen);
	free(p->in);
	free(p);
}

static uint64_t rate_of(const char *text)
{
	uint64_t rate = number(text, 10000000, "rate");

	if (!rate)
		die("the rate can't be 0");
	return rate;
}

static int udp_send(int argc, char **argv)
{
	struct address to = address(argv[0], argv[1]);
	uint64_t count = number(argv[2], UINT64_MAX, "count"), rate = rate_of(argv[3]);
	uint64_t wanted = argc > 4 ? number(argv[4], UINT64_MAX, "count") : count;
	struct probe *p = probe_new(connected(SOCK_DGRAM, &to), 0);
	bool enough;

	run_probe(p, count, rate);
	report(p);
	enough = p->received >= wanted;
	probe_free(p);
	return !enough;
}

static int udp_stream(int argc, char **argv)
{
	struct address to = address(argv[0], argv[1]);
	struct probe *p = probe_new(connected(SOCK_DGRAM, &to), 0);

	ready();
	run_probe(p, UINT64_MAX, argc > 2 ? rate_of(argv[2]) : 1000);
	report(p);
	probe_free(p);
	return 0;
}

/* Let only echo replies through to this socket: there may be a flood of other things. */
static void only_replies(int fd, int icmp)
{
	struct icmp_filter filter = { .data = ~(1U << ICMP_ECHOREPLY) };
	struct icmp6_filter filter6;

	ICMP6_FILTER_SETBLOCKALL(&filter6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
	if (icmp == IPPROTO_ICMP)
		setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
	else
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof(filter6));
}

static int ping_flood(int argc, char **argv)
{
	struct address to = address(argv[0], "0");
	int icmp = to.any.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = new_socket(to.any.sa_family, SOCK_RAW, icmp);
	struct probe *p = probe_new(fd, icmp);

	only_replies(fd, icmp);
	if (connect(fd, &to.any, to.len))
		die("connect: %s", strerror(errno));
	ready();
	run_probe(p, argc > 2 ? number(argv[2], UINT64_MAX, "count") : UINT64_MAX,
		  argc > 1 ? rate_of(argv[1]) : 1000);
	report(p);
	probe_free(p);
	return 0;
}

/*
 * TCP: the client asks for a number of bytes, the server sends that many of a known pattern.
 */
#define CHUNK (256 << 10)

static void serve_client(int fd)
{
	uint8_t *pattern = pattern_new(CHUNK);
	uint64_t left, at = 0;

	if (recv(fd, &left, sizeof(left), MSG_WAITALL) == sizeof(left)) {
		while (at < left) {
			size_t len = left - at < CHUNK ? left - at : CHUNK;
			ssize_t n = send(fd, pattern + at % PATTERN, len, MSG_NOSIGNAL);

			if (n < 0)
				break;
			at += n;
		}
	}
	free(pattern);
	close(fd);
}

static int tcp_serve(int argc, char **argv)
{
	int fd = bound(SOCK_STREAM, argv[0], argc > 1 ? argv[1] : NULL), client;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	unsigned long served = 0;

	signal(SIGCHLD, SIG_IGN);
	if (listen(fd, 1024))
		die("listen: %s", strerror(errno));
	ready();
	while (!stopping) {
		if (poll(&poll_fd, 1, 100) <= 0)
			continue;
		client = accept(fd, NULL, NULL);
		if (client < 0)
			continue;
		served++;
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve_client(client);
			_exit(0);
		}
		close(client);
	}
	printf("served %lu\n", served);
	close(fd);
	return 0;
}

static int tcp_get(int argc, char **argv)
{
	struct address to = address(argv[0], argv[1]);
	uint64_t want = number(argv[2], UINT64_MAX, "number of bytes"), at = 0;
	uint64_t start = now_ns();
	uint8_t *pattern = pattern_new(CHUNK), *bytes = malloc(CHUNK);
	int fd = connected(SOCK_STREAM, &to), err = 0;
	double seconds;
	ssize_t n = 0;

	(void)argc;
	if (!bytes)
		die("no memory");
	if (send(fd, &want, sizeof(want), MSG_NOSIGNAL) != sizeof(want))
		die("send: %s", strerror(errno));
	while (!stopping && !err && at < want && (n = recv(fd, bytes, CHUNK, 0)) > 0) {
		err = memcmp(bytes, pattern + at % PATTERN, n) != 0;
		at += n;
	}
	if (n < 0 && !stopping)
		die("after %lu bytes: %s", at, strerror(errno));
	seconds = (now_ns() - start) / 1e9;
	printf("received %lu of %lu bytes in %.3f s, %.0f Mbit/s\n", at, want, seconds,
	       at * 8 / seconds / 1e6);
	if (err)
		printf("wrong bytes between %lu and %lu\n", at - n, at);
	free(pattern);
	free(bytes);
	close(fd);
	return err || at != want;
}

/*
 * flows: one UDP datagram for each of very many flows, written by hand onto a raw socket. Flow
 * number i comes from source address -S plus i / PORTS and from port 1024 + i % PORTS.
 */
#define PORTS 60000

struct flow4 {
	struct iphdr ip;
	struct udphdr udp;
	struct stamp stamp;
} __attribute__((packed));

struct flow6 {
	struct ip6_hdr ip;
	struct udphdr udp;
	struct stamp stamp;
} __attribute__((packed));

#define FLOW_UDP_LEN (sizeof(struct udphdr) + sizeof(struct stamp))

static void put_flow4(struct flow4 *f, const struct address *from, const struct address *to,
		      uint64_t i)
{
	*f = (struct flow4){
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .id = 1,
			.saddr = htonl(ntohl(from->in.sin_addr.s_addr) + i / PORTS),
			.daddr = to->in.sin_addr.s_addr }, /* the kernel sets length, checksum */
		.udp = { .source = htons(1024 + i % PORTS), .dest = to->in.sin_port,
			 .len = htons(FLOW_UDP_LEN) },
		.stamp = { MAGIC, getpid(), i },
	};
}

static void put_flow6(struct flow6 *f, const struct address *from, const struct address *to,
		      uint64_t i)
{
	*f = (struct flow6){
		.ip = { .ip6_flow = htonl(6U << 28), .ip6_plen = htons(FLOW_UDP_LEN),
			.ip6_nxt = IPPROTO_UDP, .ip6_hlim = 64,
			.ip6_src = from->in6.sin6_addr, .ip6_dst = to->in6.sin6_addr },
		.udp = { .source = htons(1024 + i % PORTS), .dest = to->in6.sin6_port,
			 .len = htons(FLOW_UDP_LEN) },
		.stamp = { MAGIC, getpid(), i },
	};
	f->ip.ip6_src.s6_addr32[3] = htonl(ntohl(f->ip.ip6_src.s6_addr32[3]) + i / PORTS);
	f->udp.check = checksum((uint8_t *)&f->ip.ip6_src, 2 * sizeof(f->ip.ip6_src) + FLOW_UDP_LEN,
				IPPROTO_UDP + FLOW_UDP_LEN);
	if (!f->udp.check)
		f->udp.check = 0xffff;
}

/* The first datagrams of flows i, i + 1, ..., count of them. */
static void put_flows(struct batch *b, const struct address *from, const struct address *to,
		      uint64_t i, unsigned int count)
{
	for (unsigned int k = 0; k < count; k++, i++) {
		struct msghdr *h = &b->msg[k].msg_hdr;

		b->from[k] = *to;
		if (to->any.sa_family == AF_INET)
			put_flow4((struct flow4 *)b->data[k], from, to, i);
		else
			put_flow6((struct flow6 *)b->data[k], from, to, i);
		b->from[k].in.sin_port = 0; /* same place in both families */
		b->iov[k].iov_len = to->any.sa_family == AF_INET ? sizeof(struct flow4) :
								   sizeof(struct flow6);
		h->msg_name = &b->from[k].any;
		h->msg_namelen = to->len;
	}
}

static int flows(int argc, char **argv)
{
	struct address to = address(argv[0], argv[1]), from;
	uint64_t rate = number(argv[2], 100000000, "rate");
	double seconds = strtod(argv[3], NULL);
	uint64_t total = rate ? rate * seconds : UINT64_MAX, sent = 0, start, end, due;
	int fd = new_socket(to.any.sa_family, SOCK_RAW, IPPROTO_RAW), count, n;
	struct batch *b = batch_new();
	struct timespec nap = { .tv_nsec = 50000 };

	(void)argc;
	from = address(option.source ? option.source :
		       to.any.sa_family == AF_INET ? "10.64.0.1" : "fd00:64::1", "0");
	if (from.any.sa_family != to.any.sa_family)
		die("-S %s is of the other family", option.source);
	start = now_ns();
	end = start + seconds * 1e9;
	while (!stopping && sent < total && (rate || now_ns() < end)) {
		due = rate ? (now_ns() - start) / 1e9 * rate + 1 : UINT64_MAX;
		if (due > total)
			due = total;
		if (sent >= due) {
			nanosleep(&nap, NULL);
			continue;
		}
		count = due - sent < BATCH ? due - sent : BATCH;
		put_flows(b, &from, &to, option.first + sent, count);
		n = sendmmsg(fd, b->msg, count, 0);
		if (n > 0)
			sent += n;
		else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			die("send: %s", strerror(errno));
	}
	seconds = (now_ns() - start) / 1e9;
	printf("sent %lu flows in %.3f s, %.0f/s\n", sent, seconds, sent / seconds);
	free(b);
	close(fd);
	return 0;
}

/* raw: one packet of a protocol that has no sockets here. SCTP's checksum is put in. */
static int raw(int argc, char **argv)
{
	struct address to = address(argv[0], "0");
	uint64_t proto = number(argv[1], 255, "protocol");
	int fd = new_socket(to.any.sa_family, SOCK_RAW, proto);
	uint8_t bytes[256];
	uint32_t crc;
	size_t n = 0;

	for (int i = 2; i < argc; i++)
		for (const char *hex = argv[i]; *hex; hex += 2)
			if (n == sizeof(bytes) || sscanf(hex, "%2hhx", &bytes[n++]) != 1 || !hex[1])
				die("%s: no bytes in hex, or too many", argv[i]);
	if (proto == IPPROTO_SCTP && n >= 12) {
		memset(bytes + 8, 0, 4);
		crc = htole32(crc32c(bytes, n));
		memcpy(bytes + 8, &crc, 4);
	}
	if (sendto(fd, bytes, n, 0, &to.any, to.len) != (ssize_t)n)
		die("send: %s", strerror(errno));
	close(fd);
	return 0;
}

/* The cookie of this network namespace, by which ctloader names the instance in it. */
static int cookie(int argc, char **argv)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t value;
	socklen_t len = sizeof(value);

	(void)argc;
	(void)argv;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &value, &len))
		die("cookie: %s", strerror(errno));
	printf("%lu\n", value);
	close(fd);
	return 0;
}

static const struct mode {
	const char *name;
	int (*run)(int argc, char **argv);
	int args; /* at least */
	const char *usage, *help;
} modes[] = {
	{ "udp-echo", udp_echo, 1, "PORT [ADDR]", "answer every datagram with itself" },
	{ "udp-sink", udp_sink, 1, "PORT [ADDR]", "take datagrams and count them" },
	{ "udp-send", udp_send, 4, "ADDR PORT COUNT RATE [WANTED]",
	  "send and await echoes; exit 1 if fewer than WANTED (all) came back" },
	{ "udp-stream", udp_stream, 2, "ADDR PORT [RATE]", "the same until stopped; exit 0" },
	{ "ping-flood", ping_flood, 1, "ADDR [RATE [COUNT]]", "ICMP echo until stopped; exit 0" },
	{ "tcp-serve", tcp_serve, 1, "PORT [ADDR]", "send bytes to who asks for them" },
	{ "tcp-get", tcp_get, 3, "ADDR PORT BYTES", "ask for bytes; exit 1 if they are wrong" },
	{ "flows", flows, 4, "ADDR PORT RATE SECONDS",
	  "one datagram in each of RATE * SECONDS new flows; RATE 0: as fast as can be" },
	{ "raw", raw, 3, "ADDR PROTOCOL HEX...", "one packet: these bytes behind the IP header" },
	{ "cookie", cookie, 0, "", "print the cookie of this network namespace" },
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: traffic [OPTIONS] MODE ARGS\n");
	for (size_t i = 0; i < MODES; i++)
		fprintf(stderr, "  %s %s\n        %s\n", modes[i].name, modes[i].usage, modes[i].help);
	fprintf(stderr, "options:\n"
			"  -s BYTES  payload of a request (64)\n"
			"  -w MS     how long to wait for the last answers (1000)\n"
			"  -S ADDR   flows: first source address (10.64.0.1 or fd00:64::1)\n"
			"  -f N      flows: number of the first flow (0)\n");
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:w:S:f:")) != -1) {
		switch (c) {
		case 's':
			option.size = number(optarg, SIZE_MAX_, "size");
			break;
		case 'w':
			option.wait = number(optarg, UINT32_MAX, "time");
			break;
		case 'S':
			option.source = optarg;
			break;
		case 'f':
			option.first = number(optarg, UINT64_MAX, "number");
			break;
		default:
			usage();
		}
	}
	if (option.size < sizeof(struct stamp))
		die("a payload needs %zu bytes for its number", sizeof(struct stamp));
}

int main(int argc, char **argv)
{
	struct sigaction on_signal = { .sa_handler = stop };

	parse_options(argc, argv);
	argc -= optind + 1;
	argv += optind;
	sigaction(SIGTERM, &on_signal, NULL);
	sigaction(SIGINT, &on_signal, NULL);
	for (size_t i = 0; argc >= 0 && i < MODES; i++)
		if (!strcmp(modes[i].name, argv[0]) && argc >= modes[i].args)
			return modes[i].run(argc, argv + 1);
	usage();
}
