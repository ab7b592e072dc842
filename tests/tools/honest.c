// SPDX-License-Identifier: GPL-2.0-only
/*
 * Honest TCP connections beside a flood.
 *
 *	honest serve PORT				send back what comes, there and at PORT + 1
 *	honest talk ADDRESS PORT LIVE IDLE RATE		LIVE connections, of which IDLE say nothing until the end
 *
 * `talk` prints "ready" when they stand. The others send a message ten times a second and want it back as
 * it was; and RATE new ones a second are made, to PORT + 1, say one message, and end. At SIGTERM the idle ones say theirs,
 * too; what is open has three seconds; then a line of JSON: how many live ones have broken, how many new
 * ones came to nothing, and how long the others took from connect() to the answer, in microseconds.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 64
#define PAUSE	0.1  /* seconds between two messages of a live connection */
#define LAST	3.0  /* seconds that answers have at the end */
#define NEW_MOST (1 << 20)

static volatile sig_atomic_t stopped;
static int poller;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch(int fd, uint32_t events, void *who)
{
	struct epoll_event e = { .events = events, .data.ptr = who };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) && epoll_ctl(poller, EPOLL_CTL_MOD, fd, &e))
		err(1, "epoll");
}

/* --- the one side ----------------------------------------------------------------------------- */

static void serve_one(int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(fd, buffer, (size_t)n) != n)
			break;
	if (!n || errno != EAGAIN)
		close(fd);
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 4096))
		err(1, "port %u", port);
	watch(listener, EPOLLIN, (void *)(intptr_t)listener);
	return listener;
}

static void serve(uint16_t port)
{
	int listeners[2] = { listen_at(port), listen_at(port + 1) }, fd;
	struct epoll_event events[256];

	printf("ready\n");
	fflush(stdout);
	while (!stopped) {
		int n = epoll_wait(poller, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int ready = (int)(intptr_t)events[i].data.ptr;

			if (ready != listeners[0] && ready != listeners[1]) {
				serve_one(ready);
				continue;
			}
			while ((fd = accept4(ready, NULL, NULL, SOCK_NONBLOCK)) >= 0)
				watch(fd, EPOLLIN, (void *)(intptr_t)fd);
		}
	}
}

/* --- the other -------------------------------------------------------------------------------- */

static struct connection {
	int fd; /* -1: over */
	bool live, idle, broken, waiting; /* for the answer to what was sent last */
	uint32_t number, message;
	size_t got;
	double began; /* connect(), or the last message */
} *live;

static struct sockaddr_in there;
static size_t lives, idles;
static uint64_t messages, made, open_now;
static uint32_t *took, answered; /* microseconds of the new ones */

static void fill(const struct connection *c, char text[MESSAGE])
{
	for (uint32_t i = 0; i < MESSAGE; i++)
		text[i] = (char)(c->number * 31 + c->message * 7 + i);
}

static void over(struct connection *c)
{
	struct linger reset = { 1, 0 }; /* or ports run out: TIME_WAIT */

	if (c->live) {
		c->broken = true;
	} else {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		open_now--;
	}
	close(c->fd);
	c->fd = -1;
}

static void speak(struct connection *c)
{
	char text[MESSAGE];

	c->message++;
	fill(c, text);
	c->got = 0;
	c->waiting = true;
	if (write(c->fd, text, MESSAGE) != MESSAGE)
		over(c);
}

static void begin(struct connection *c)
{
	struct sockaddr_in to = there;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		err(1, "a socket");
	c->began = now();
	to.sin_port = htons(ntohs(there.sin_port) + !c->live);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		err(1, "connect");
	watch(c->fd, EPOLLOUT, c);
}

static void listen_to(struct connection *c)
{
	char text[MESSAGE], want[MESSAGE];
	ssize_t n = read(c->fd, text, MESSAGE - c->got);

	if (n < 0 && errno == EAGAIN)
		return;
	fill(c, want);
	if (n <= 0 || memcmp(text, want + c->got, (size_t)n)) {
		over(c);
		return;
	}
	c->got += (size_t)n;
	if (c->got < MESSAGE)
		return;
	c->waiting = false;
	messages++;
	if (c->live)
		return;
	if (answered < NEW_MOST)
		took[answered++] = (uint32_t)((now() - c->began) * 1e6);
	over(c);
	free(c);
}

static void ready(struct connection *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (events & EPOLLIN) {
		listen_to(c);
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		over(c);
	} else if (events & EPOLLOUT) {
		watch(c->fd, EPOLLIN, c);
		if (!c->idle)
			speak(c);
	}
}

static void wait_for(double until)
{
	struct epoll_event events[256];
	double left = until - now();
	int n = epoll_wait(poller, events, 256, left > 0 ? (int)(left * 1000) : 0);

	for (int i = 0; i < n; i++)
		ready(events[i].data.ptr, events[i].events);
}

static bool all_stand(void)
{
	for (size_t i = 0; i < lives; i++) {
		struct tcp_info info;
		socklen_t size = sizeof(info);

		if (live[i].fd < 0)
			errx(1, "a connection could not be made");
		if (getsockopt(live[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size) ||
		    info.tcpi_state != TCP_ESTABLISHED || (!live[i].idle && live[i].waiting))
			return false;
	}
	return true;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t percentile(double part)
{
	return answered ? took[(uint32_t)(part * (answered - 1))] : 0;
}

static void talk(double rate)
{
	double next_new, next_words, end;
	size_t broken = 0;

	live = calloc(lives + 1, sizeof(*live));
	took = calloc(NEW_MOST, sizeof(*took));
	for (size_t i = 0; i < lives; i++) {
		live[i] = (struct connection){ .live = true, .idle = i < idles, .number = (uint32_t)i };
		begin(&live[i]);
		if (i % 50 == 49)
			wait_for(now() + 0.01);
	}
	for (end = now() + 30; !all_stand() && now() < end;)
		wait_for(now() + 0.01);
	if (!all_stand())
		errx(1, "they don't all stand after 30 s");
	printf("ready\n");
	fflush(stdout);
	next_new = next_words = now();
	while (!stopped) {
		if (now() >= next_words) {
			for (size_t i = idles; i < lives; i++)
				if (live[i].fd >= 0 && !live[i].waiting)
					speak(&live[i]);
			next_words += PAUSE;
		}
		for (; rate > 0 && now() >= next_new; next_new += 1 / rate) {
			struct connection *c = calloc(1, sizeof(*c));

			c->number = (uint32_t)++made;
			open_now++;
			begin(c);
		}
		wait_for(next_new < next_words && rate > 0 ? next_new : next_words);
	}
	for (size_t i = 0; i < lives; i++)
		if (live[i].fd >= 0 && live[i].idle)
			speak(&live[i]);
	for (end = now() + LAST; now() < end;) {
		size_t waiting = open_now;

		for (size_t i = 0; i < lives; i++)
			waiting += live[i].fd >= 0 && live[i].waiting;
		if (!waiting)
			break;
		wait_for(now() + 0.01);
	}
	for (size_t i = 0; i < lives; i++)
		broken += live[i].broken || live[i].waiting;
	qsort(took, answered, sizeof(*took), by_size);
	printf("{\"live\":%zu,\"idle\":%zu,\"broken\":%zu,\"messages\":%llu,\"new\":%llu,\"failed\":%llu,"
	       "\"p50_us\":%u,\"p90_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
	       lives, idles, broken, (unsigned long long)messages, (unsigned long long)made,
	       (unsigned long long)(made - answered), percentile(.5), percentile(.9), percentile(.99),
	       percentile(1));
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	struct sigaction action = { .sa_handler = stop };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	poller = epoll_create1(0);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		serve((uint16_t)atoi(argv[2]));
		return 0;
	}
	if (argc != 7 || strcmp(argv[1], "talk"))
		errx(2, "usage: honest serve PORT | honest talk ADDRESS PORT LIVE IDLE RATE");
	there = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) };
	if (!inet_aton(argv[2], &there.sin_addr))
		errx(2, "%s: not an address", argv[2]);
	lives = (size_t)atol(argv[4]);
	idles = (size_t)atol(argv[5]);
	talk(atof(argv[6]));
	return 0;
}
