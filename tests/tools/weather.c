/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bad weather on a line: forwards frames between pairs of interfaces, and loses, doubles, delays
 * and marks TCP packets on the way, at given rates. What becomes of the n-th packet of a way
 * depends on the seed and on n alone. Everything else (neighbours, ICMP) passes unharmed.
 *
 * Frames are taken and sent with what the kernel knows of them (PACKET_VNET_HDR), so GSO packets
 * and checksums that are still to be filled in survive, and share one fate.
 *
 * It stays on one CPU: a router behind it then does its work inside our send(), packet by packet,
 * and all that look at packets there see them in the same order.
 *
 * Prints "ready". On SIGTERM the weather clears: what is held back goes its way, nothing is harmed
 * any more, and when no packet has come for a while it ends with an account of each way: in + dup =
 * lost + out. "late" are copies that came behind time, "overflow" what our own socket lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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

#include "random.h"

#define BUFFER	  (64 << 20)
#define FRAME_MAX (68 << 10)
#define WAYS_MAX  8
#define BATCH	  64
#define QUIET_MS  60
#define MSEC	  1000000ULL

/* Rates are in parts of a million. */
static struct {
	uint32_t lose, lose_syn, copy, reorder, mark;
	uint64_t delay, jitter, late; /* ns */
	uint64_t seed;
	bool old_syn;
} option = { .jitter = 3 * MSEC, .late = 30 * MSEC, .seed = 1 };

struct way {
	char name[2 * IFNAMSIZ + 2];
	int from, to; /* packet sockets */
	uint64_t random;
	uint64_t in, out, lost, dup, late, held, marked, gso, bytes;
};

struct frame {
	uint64_t due, order;
	struct way *way;
	size_t len;
	uint8_t data[];
};

static struct way way[WAYS_MAX];
static unsigned int ways;
/* Held back; a heap, the first to go on top. */
static struct frame **heap;
static size_t heaped, heap_room;
static volatile sig_atomic_t clear;

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "weather: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void on_signal(int signal)
{
	(void)signal;
	clear = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static bool chance(struct way *w, uint32_t rate)
{
	return next_random(&w->random) % 1000000 < rate;
}

static bool sooner(const struct frame *a, const struct frame *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_put(struct frame *f)
{
	size_t i = heaped++;

	if (heaped > heap_room) {
		heap_room = heap_room ? 2 * heap_room : 1024;
		heap = realloc(heap, heap_room * sizeof(heap[0]));
		if (!heap)
			die("memory");
	}
	for (; i && sooner(f, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = f;
}

static struct frame *heap_take(void)
{
	struct frame *first = heap[0], *last = heap[--heaped];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < heaped) {
		if (child + 1 < heaped && sooner(heap[child + 1], heap[child]))
			child++;
		if (!sooner(heap[child], last))
			break;
		heap[i] = heap[child];
		i = child;
	}
	if (heaped)
		heap[i] = last;
	return first;
}

static void forward(struct way *w, const uint8_t *data, size_t len)
{
	ssize_t n;

	do {
		n = send(w->to, data, len, 0);
	} while (n < 0 && (errno == EINTR || errno == ENOBUFS || errno == EAGAIN));
	if (n < 0)
		die(w->name);
	w->out++;
	w->bytes += len - sizeof(struct virtio_net_hdr);
}

static void hold(struct way *w, const uint8_t *data, size_t len, uint64_t ns)
{
	static uint64_t order;
	struct frame *f = malloc(sizeof(*f) + len);

	if (!f)
		die("memory");
	f->due = now_ns() + ns;
	f->order = order++;
	f->way = w;
	f->len = len;
	memcpy(f->data, data, len);
	heap_put(f);
}

static void pass(struct way *w, const uint8_t *data, size_t len, uint64_t ns)
{
	if (ns)
		hold(w, data, len, ns);
	else
		forward(w, data, len);
}

static void release_due(void)
{
	while (heaped && (clear || heap[0]->due <= now_ns())) {
		struct frame *f = heap_take();

		forward(f->way, f->data, f->len);
		free(f);
	}
}

/* The TCP header, if the frame has one; no extension headers, as none come from the hosts' TCP. */
static const struct tcphdr *tcp_of(const uint8_t *frame, size_t len)
{
	const struct ethhdr *eth = (const void *)frame;
	const struct ip6_hdr *ip6 = (const void *)(eth + 1);
	const struct iphdr *ip = (const void *)(eth + 1);
	size_t at = sizeof(*eth);

	if (len < at + sizeof(*ip6) + sizeof(struct tcphdr) - (sizeof(*ip6) - sizeof(*ip)))
		return NULL;
	if (eth->h_proto == htons(ETH_P_IP) && ip->protocol == IPPROTO_TCP)
		at += ip->ihl * 4;
	else if (eth->h_proto == htons(ETH_P_IPV6) && ip6->ip6_nxt == IPPROTO_TCP)
		at += sizeof(*ip6);
	else
		return NULL;
	return at + sizeof(struct tcphdr) <= len ? (const void *)(frame + at) : NULL;
}

/* "Congestion experienced", where the sender says that it listens (RFC 3168 5). */
static bool mark(uint8_t *frame)
{
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	uint32_t *ip6 = (void *)(eth + 1), ecn, sum;

	if (eth->h_proto == htons(ETH_P_IPV6)) {
		ecn = ntohl(*ip6) >> 20 & 3;
		*ip6 |= ecn ? htonl(3 << 20) : 0;
		return ecn;
	}
	ecn = ip->tos & 3;
	if (!ecn)
		return false;
	sum = ntohs(ip->check) + ecn + 0xffff - 3; /* RFC 1624: HC' = ~(~HC + ~m + m') */
	ip->tos |= 3;
	ip->check = htons((sum & 0xffff) + (sum >> 16));
	return true;
}

/* One frame from the line: decide, in the same order and by as many numbers for each. */
static void meet(struct way *w, uint8_t *data, size_t len)
{
	uint8_t *frame = data + sizeof(struct virtio_net_hdr);
	const struct tcphdr *tcp = tcp_of(frame, len - sizeof(struct virtio_net_hdr));
	bool lost, copied, reordered, marked, late, syn;
	uint64_t by, late_by;

	if (!tcp || clear) {
		w->in += !!tcp;
		forward(w, data, len);
		w->out -= !tcp;
		return;
	}
	w->in++;
	w->gso += ((struct virtio_net_hdr *)data)->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	syn = tcp->syn;
	lost = chance(w, syn ? option.lose_syn : option.lose);
	copied = chance(w, option.copy);
	reordered = chance(w, option.reorder);
	marked = chance(w, option.mark);
	late = chance(w, 500000);
	by = next_random(&w->random) % (option.jitter + 1);
	late_by = next_random(&w->random) % (option.late + 1);
	/* A SYN that comes when its connection is over is the beginning of another one. */
	if (syn && !option.old_syn)
		reordered = late = false;
	if (lost) {
		w->lost++;
		return;
	}
	if (marked && mark(frame))
		w->marked++;
	if (reordered)
		w->held++;
	pass(w, data, len, option.delay + (reordered ? by : 0));
	if (copied) {
		w->dup++;
		w->late += late;
		pass(w, data, len, option.delay + (late ? late_by : 0));
	}
}

static void read_way(struct way *w)
{
	static uint8_t data[FRAME_MAX];
	ssize_t n;

	for (int i = 0; i < BATCH; i++) {
		n = recv(w->from, data, sizeof(data), MSG_DONTWAIT);
		if (n <= (ssize_t)sizeof(struct virtio_net_hdr))
			return;
		meet(w, data, n);
	}
}

static int line(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), size = BUFFER, yes = 1;

	if (!at.sll_ifindex || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) ||
	    bind(fd, (void *)&at, sizeof(at)))
		die(name);
	return fd;
}

static void new_way(const char *from, int from_fd, const char *to, int to_fd)
{
	struct way *w = &way[ways++];

	snprintf(w->name, sizeof(w->name), "%s>%s", from, to);
	w->from = from_fd;
	w->to = to_fd;
	w->random = option.seed * 0x2545f4914f6cdd1d + ways;
}

static void account(const struct way *w)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	getsockopt(w->from, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	printf("{\"way\":\"%s\",\"in\":%lu,\"lost\":%lu,\"dup\":%lu,\"out\":%lu,\"late\":%lu,"
	       "\"reordered\":%lu,\"marked\":%lu,\"gso\":%lu,\"bytes\":%lu,\"overflow\":%u}\n",
	       w->name, w->in, w->lost, w->dup, w->out, w->late, w->held, w->marked, w->gso,
	       w->bytes, stats.tp_drops);
}

static void stay_on_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (cpu < 0 || sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* Until the weather has cleared and the lines are quiet. */
static void run(void)
{
	struct pollfd fds[WAYS_MAX];

	for (unsigned int i = 0; i < ways; i++)
		fds[i] = (struct pollfd){ .fd = way[i].from, .events = POLLIN };
	for (;;) {
		uint64_t now = now_ns(), wait = clear ? QUIET_MS * MSEC : 100 * MSEC;
		struct timespec t;
		int n;

		if (heaped && !clear)
			wait = heap[0]->due <= now ? 0 : heap[0]->due - now;
		t = (struct timespec){ wait / 1000000000, wait % 1000000000 };
		n = ppoll(fds, ways, &t, NULL);
		release_due();
		if (!n && clear && wait == QUIET_MS * MSEC)
			return;
		for (unsigned int i = 0; n > 0 && i < ways; i++)
			if (fds[i].revents)
				read_way(&way[i]);
	}
}

static uint32_t percent(const char *text)
{
	char *end;
	double p = strtod(text, &end);

	if (end == text || *end || p < 0 || p > 100) {
		fprintf(stderr, "weather: %s: not a percentage\n", text);
		exit(2);
	}
	return p * 10000 + 0.5;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: weather [OPTIONS] LEFT RIGHT [LEFT RIGHT]...\n"
		"  -l PERCENT  lose                  -y PERCENT  lose SYNs and SYN/ACKs (as -l)\n"
		"  -c PERCENT  copy; every second copy comes late, up to -L MS (30)\n"
		"  -r PERCENT  reorder: hold back for up to -J MS (3)\n"
		"  -e PERCENT  mark \"congestion experienced\"\n"
		"  -d MS       delay every packet    -o  SYNs may come late, too\n"
		"  -s SEED\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	bool syn_given = false;
	int c;

	while ((c = getopt(argc, argv, "l:y:c:r:e:d:J:L:s:o")) != -1) {
		switch (c) {
		case 'l':
			option.lose = percent(optarg);
			break;
		case 'y':
			option.lose_syn = percent(optarg);
			syn_given = true;
			break;
		case 'c':
			option.copy = percent(optarg);
			break;
		case 'r':
			option.reorder = percent(optarg);
			break;
		case 'e':
			option.mark = percent(optarg);
			break;
		case 'd':
			option.delay = strtod(optarg, NULL) * MSEC;
			break;
		case 'J':
			option.jitter = strtod(optarg, NULL) * MSEC;
			break;
		case 'L':
			option.late = strtod(optarg, NULL) * MSEC;
			break;
		case 's':
			option.seed = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			option.old_syn = true;
			break;
		default:
			usage();
		}
	}
	if (!syn_given)
		option.lose_syn = option.lose;
	argc -= optind;
	argv += optind;
	if (argc < 2 || argc % 2 || argc > WAYS_MAX)
		usage();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	stay_on_this_cpu();
	for (; argc; argc -= 2, argv += 2) {
		int left = line(argv[0]), right = line(argv[1]);

		new_way(argv[0], left, argv[1], right);
		new_way(argv[1], right, argv[0], left);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	run();
	for (unsigned int i = 0; i < ways; i++)
		account(&way[i]);
	return 0;
}
