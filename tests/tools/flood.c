// SPDX-License-Identifier: GPL-2.0-only
/*
 * A flood: frames from random sources, or one, as fast as a CPU can hand them to a device, past its queueing
 * discipline. IPv4; checksums are right, so that trackers look at all of it.
 *
 *	flood [-k syn|ack|udp|icmp] [-c COUNT] [-p PORT] [-s SOURCE] [-r RATE] DEVICE MAC ADDRESS
 *
 * Without -s each packet has a source of its own in 32.0.0.0/3 (and so is a flow of its own); with it, a port
 * or id of its own. Prints what it has sent: "sent N packets in S s, R/s".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define IP    14
#define L4    (IP + 20)

enum kind { SYN, ACK, UDP, ICMP, KINDS };
static const char *const kinds[KINDS] = { "syn", "ack", "udp", "icmp" };

static struct {
	enum kind kind;
	uint64_t count, rate;
	uint16_t port;
	uint32_t source; /* host order; 0: any */
	uint32_t target;
} want = { .count = 1000000, .port = 80 };

static uint8_t frames[BATCH][128];
static size_t length;

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	return s;
}

static uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* All of a frame but source, port and sums. */
static void prepare(uint8_t *f, const uint8_t mac[6])
{
	size_t l4 = want.kind == UDP || want.kind == ICMP ? 8 : 20;

	length = L4 + l4;
	memset(f, 0, length);
	memcpy(f, mac, 6);
	f[6] = 2;
	put16(f + 12, ETH_P_IP);
	f[IP] = 0x45;
	put16(f + IP + 2, (uint32_t)(20 + l4));
	f[IP + 8] = 64;
	put32(f + IP + 16, want.target);
	switch (want.kind) {
	case UDP:
		f[IP + 9] = IPPROTO_UDP;
		put16(f + L4 + 2, want.port);
		put16(f + L4 + 4, 8);
		break;
	case ICMP:
		f[IP + 9] = IPPROTO_ICMP;
		f[L4] = 8;
		break;
	default:
		f[IP + 9] = IPPROTO_TCP;
		put16(f + L4 + 2, want.port);
		put32(f + L4 + 4, 0x12345678);
		put32(f + L4 + 8, want.kind == ACK ? 0x87654321 : 0);
		f[L4 + 12] = 0x50;
		f[L4 + 13] = want.kind == ACK ? 0x10 : 0x02;
		put16(f + L4 + 14, 64240);
	}
}

/* The sums of a frame without source and port: they don't change. */
static uint64_t ip_sum, l4_sum;

static void sum_up(const uint8_t *f)
{
	size_t l4 = length - L4;

	ip_sum = sum(f + IP, 20);
	l4_sum = sum(f + L4, l4);
	if (want.kind != ICMP)
		l4_sum += sum(f + IP + 16, 4) + f[IP + 9] + l4;
}

/* The n-th packet: a source, and a port or an id. Sources go round after 2^29 packets, ports after 60,000. */
static void number(uint8_t *f, uint64_t n, uint32_t random)
{
	static const size_t sums[KINDS] = { L4 + 16, L4 + 16, L4 + 6, L4 + 2 };
	uint32_t source = want.source ? want.source : 0x20000000 + (random & 0x1fffffff);
	uint32_t port = (uint32_t)(1024 + n % 60000);
	uint32_t halves = (source >> 16) + (source & 0xffff);

	put32(f + IP + 12, source);
	put16(f + IP + 10, fold(ip_sum + halves));
	put16(f + L4 + (want.kind == ICMP ? 4 : 0), port);
	put16(f + sums[want.kind], fold(l4_sum + port + (want.kind == ICMP ? 0 : halves)));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int packet_socket(const char *device, const uint8_t mac[6])
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(device),
				  .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 1 << 26;

	memcpy(to.sll_addr, mac, 6);
	if (fd < 0)
		err(1, "a packet socket");
	if (!to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "%s", device);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		err(1, "PACKET_QDISC_BYPASS");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	return fd;
}

static void flood(int fd)
{
	uint64_t sent = 0, random = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	struct mmsghdr messages[BATCH] = {};
	struct iovec parts[BATCH];
	double began = now(), seconds;

	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ frames[i], length };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < want.count) {
		unsigned int n = want.count - sent < BATCH ? (unsigned int)(want.count - sent) : BATCH;

		for (unsigned int i = 0; i < n; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			number(frames[i], sent + i, (uint32_t)(random >> 33));
		}
		for (unsigned int done = 0; done < n;) {
			int m = sendmmsg(fd, messages + done, n - done, 0);

			if (m > 0)
				done += (unsigned int)m;
			else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
				err(1, "sendmmsg");
		}
		sent += n;
		while (want.rate && (double)sent / (now() - began) > (double)want.rate)
			usleep(100);
	}
	seconds = now() - began;
	printf("sent %llu packets in %.3f s, %.0f/s\n", (unsigned long long)sent, seconds,
	       (double)sent / seconds);
}

static void usage(void)
{
	errx(2, "usage: flood [-k syn|ack|udp|icmp] [-c COUNT] [-p PORT] [-s SOURCE] [-r RATE] DEVICE MAC ADDRESS");
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (!inet_aton(text, &a))
		errx(2, "%s: not an address", text);
	return ntohl(a.s_addr);
}

int main(int argc, char **argv)
{
	uint8_t mac[6];
	int c;

	while ((c = getopt(argc, argv, "k:c:p:s:r:")) > 0) {
		if (c == 'k') {
			want.kind = 0;
			while (want.kind < KINDS && strcmp(kinds[want.kind], optarg))
				want.kind++;
			if (want.kind == KINDS)
				usage();
		} else if (c == 'c') {
			want.count = strtoull(optarg, NULL, 10);
		} else if (c == 'p') {
			want.port = (uint16_t)atoi(optarg);
		} else if (c == 's') {
			want.source = address(optarg);
		} else if (c == 'r') {
			want.rate = strtoull(optarg, NULL, 10);
		} else {
			usage();
		}
	}
	if (argc - optind != 3 ||
	    sscanf(argv[optind + 1], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6)
		usage();
	want.target = address(argv[optind + 2]);
	for (int i = 0; i < BATCH; i++)
		prepare(frames[i], mac);
	sum_up(frames[0]);
	flood(packet_socket(argv[optind], mac));
	return 0;
}
