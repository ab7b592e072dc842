// SPDX-License-Identifier: GPL-2.0-only
/* top: who fills the table, again and again. */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "filter.h"
#include "log.h"
#include "opts.h"
#include "out.h"
#include "table.h"
#include "top.h"

/* Lines of the heading, and the one that stays free below the table. */
#define LINES_BESIDE 3
#define ROWS_DEFAULT 20
#define ROWS_MOST    1000

enum { OPT_BY = OPT_LONG, OPT_ONCE, OPT_PREFIX };

static const struct opt top_options[] = {
	{ OPT_BY, "by", "WHAT", "src|dst|port|flow", "sum up by (default: src)" },
	{ 'n', "rows", "ROWS", NULL, "rows to show (default: 20; on a terminal, what fits)" },
	{ 'i', "interval", "SECONDS", NULL, "again every so many seconds (default: 1)" },
	{ 'b', "batch", NULL, NULL, "one table after the other, on a terminal, too" },
	{ OPT_ONCE, "once", NULL, NULL, "one table, and that's all" },
	{ OPT_PREFIX, "prefix", "BITS", NULL, "IPv6 addresses by their first bits (default: 128)" },
	{ 0 },
};

/* What the command line asks for. */
struct watching {
	struct ct_filter filter;
	unsigned int formats;
	enum top_by by;
	uint64_t rows; /* 0: what fits */
	uint64_t prefix;
	double interval;
	bool once, batch;
};

/* --- options ---------------------------------------------------------------------------------- */

static int parse_option(struct watching *w, int id, const char *value)
{
	switch (id) {
	case 'o':
		return out_parse(value, OUT_JSON, &w->formats);
	case 'b':
		w->batch = true;
		return 0;
	case OPT_ONCE:
		w->once = true;
		return 0;
	case OPT_BY:
		w->by = top_by_word(value);
		return w->by < TOP_BY_MAX ? 0 : usage_error("it is src, dst, port or flow", "--by %s", value);
	case 'n':
		return number_parse(value, 1, ROWS_MOST, &w->rows) ? 0 :
			usage_error("not a number from 1 to 1000", "--rows %s", value);
	case 'i':
		return seconds_parse(value, &w->interval) ? 0 :
			usage_error("not a number of seconds from 0.1 to 86400", "--interval %s", value);
	case OPT_PREFIX:
		return number_parse(value, 1, 128, &w->prefix) ? 0 :
			usage_error("not a number of bits from 1 to 128", "--prefix %s", value);
	default:
		return filter_option(&w->filter, id, value);
	}
}

/* True to go on; else the command returns *code. */
static bool parse_options(struct opts *o, struct watching *w, int *code)
{
	int id;

	*code = 0;
	while (!*code && (id = opts_next(o)) > 0)
		*code = parse_option(w, id, o->value);
	if (*code)
		return false;
	if (id < 0) {
		*code = o->exit;
		return false;
	}
	*code = opts_no_arguments(o);
	if (!*code)
		*code = filter_check(&w->filter);
	return !*code;
}

/* --- the terminal ----------------------------------------------------------------------------- */

/*
 * Taken as a whole: another screen, no cursor, keys at once and not shown. Whatever ends us gives it
 * back first, and so does what stops us (^Z).
 */
static struct {
	bool taken, keys;
	struct termios before;
} terminal;

static volatile sig_atomic_t interrupted; /* the signal, or 0 */
static volatile sig_atomic_t stopped;

static void say(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

static void terminal_take(void)
{
	struct termios now;

	terminal.taken = true;
	terminal.keys = !tcgetattr(STDIN_FILENO, &terminal.before);
	if (terminal.keys) {
		now = terminal.before;
		now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		now.c_cc[VMIN] = 1;
		now.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &now);
	}
	say("\033[?1049h\033[?25l\033[H");
}

static void terminal_give_back(void)
{
	if (!terminal.taken)
		return;
	terminal.taken = false;
	say("\033[?25h\033[?1049l");
	if (terminal.keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

static void interrupt(int signal)
{
	interrupted = signal;
}

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* A window that changes its size merely wakes us. */
static void wake(int signal)
{
	(void)signal;
}

static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Signals are seen while we wait; blocked, so that none falls between looking and waiting. */
static void signals_take(sigset_t *open)
{
	struct sigaction action = { .sa_handler = interrupt };
	sigset_t ours;

	sigemptyset(&ours);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		sigaction(endings[i], &action, NULL);
		sigaddset(&ours, endings[i]);
	}
	action.sa_handler = stop;
	sigaction(SIGTSTP, &action, NULL);
	sigaddset(&ours, SIGTSTP);
	action.sa_handler = wake;
	sigaction(SIGWINCH, &action, NULL);
	sigaddset(&ours, SIGWINCH);
	sigprocmask(SIG_BLOCK, &ours, open);
}

/* The size of the window; where it isn't known, that of the oldest. */
static void window(size_t *lines, size_t *columns)
{
	struct winsize w = {};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col)
		w = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	*lines = w.ws_row;
	*columns = w.ws_col;
}

static size_t rows_that_fit(const struct watching *w)
{
	size_t lines, columns, rows;

	window(&lines, &columns);
	rows = lines > LINES_BESIDE ? lines - LINES_BESIDE : 0;
	return w->rows && w->rows < rows ? w->rows : rows;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A key that ends us has been pressed; or nobody is at the keys any more. */
static bool key_ends(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0) {
		terminal.keys = n < 0 && (errno == EINTR || errno == EAGAIN);
		return false;
	}
	return memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n);
}

/* What a wait has ended with. */
enum waited {
	WAITED_TIME,   /* the time has come */
	WAITED_WINDOW, /* the table is to be drawn again */
	WAITED_END,
};

/* Wait until that time, or something happens. `fds`: the keys, and whether anybody reads. */
static enum waited wait_until(uint64_t at, const sigset_t *open)
{
	struct pollfd fds[2] = {
		{ .fd = terminal.taken && terminal.keys ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = STDOUT_FILENO },
	};
	uint64_t now = now_ns(), left = at > now ? at - now : 0;
	struct timespec t = { (time_t)(left / 1000000000), (long)(left % 1000000000) };
	int n = ppoll(fds, 2, &t, open);

	if (interrupted)
		return WAITED_END;
	if (stopped) {
		stopped = 0;
		terminal_give_back();
		raise(SIGSTOP);
		terminal_take();
		return WAITED_WINDOW;
	}
	if (n < 0)
		return WAITED_WINDOW;
	if (fds[1].revents & (POLLERR | POLLHUP))
		return WAITED_END;
	if (fds[0].revents)
		return key_ends() ? WAITED_END : WAITED_WINDOW;
	return n ? WAITED_WINDOW : WAITED_TIME;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct look {
	struct top *top;
	const struct ct_filter *filter;
	bool no_memory;
};

static bool look_flow(const struct ct_flow *flow, const struct ct_clock *clock, void *arg)
{
	struct look *l = arg;

	l->no_memory = !top_add(l->top, flow, clock, filter_match(l->filter, flow));
	return !l->no_memory;
}

/* How many flows the table may hold. 0 or 1, reported. */
static int read_max(const struct instance *in, uint64_t *max)
{
	struct ct_settings s;
	int fd = instance_need(in, "settings"), err;
	__u32 zero = 0;

	if (fd < 0)
		return 1;
	err = bpf_map_lookup_elem(fd, &zero, &s);
	close(fd);
	*max = s.knob.max;
	return err ? fail(strerror(errno), NULL, "the settings can't be read") : 0;
}

/*
 * One walk through the table, which is opened for it: by the next an upgrade may have put another in its
 * place. 0 or 1, reported.
 */
static int look(const struct instance *in, const struct watching *w, struct top *top,
		struct ct_clock *clock)
{
	struct look l = { .top = top, .filter = &w->filter };
	struct table t;
	uint64_t max;
	int err;

	if (table_open(&t, in))
		return 1;
	top_begin(top, now_ns());
	err = table_each(&t, &(struct ct_filter){}, look_flow, &l); /* the others count, too */
	*clock = t.clock;
	table_close(&t);
	if (l.no_memory)
		return fail(strerror(ENOMEM), NULL, "the table can't be summed up");
	if (err)
		return fail(strerror(-err), NULL, "the table can't be read");
	if (read_max(in, &max))
		return 1;
	top_end(top, max);
	return 0;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void show(struct top *top, const struct watching *w, const struct ct_clock *clock, bool again)
{
	size_t lines, columns, shown = top->shown;
	struct json j;

	if (w->formats & OUT_JSON) {
		json_init(&j, stdout);
		top_json(top, &j, clock);
		json_flush(&j);
	} else if (terminal.taken) {
		window(&lines, &columns);
		if (top->shown > rows_that_fit(w))
			top->shown = rows_that_fit(w);
		fputs("\033[H", stdout);
		top_text(top, stdout, columns, "\033[K");
		fputs("\033[J", stdout);
		top->shown = shown;
	} else {
		if (again)
			putchar('\n');
		top_text(top, stdout, 0, "");
	}
}

/* Look and show until it ends. 0 or 1. */
static int watch(const struct instance *in, const struct watching *w, struct top *top,
		 const sigset_t *open)
{
	uint64_t every = (uint64_t)(w->interval * 1e9), next = now_ns();
	enum waited waited = WAITED_TIME;
	struct ct_clock clock = {};

	for (bool again = false; waited != WAITED_END; again = true) {
		if (waited == WAITED_TIME) {
			if (look(in, w, top, &clock))
				return 1;
			next = now_ns() > next + every ? now_ns() + every / 10 : next + every;
		}
		if (waited == WAITED_TIME || terminal.taken)
			show(top, w, &clock, again);
		if (fflush(stdout) || w->once)
			break;
		waited = wait_until(next, open);
	}
	return 0;
}

int cmd_top(struct instance *in, int argc, char **argv)
{
	struct watching w = { .by = TOP_BY_SRC, .prefix = 128, .interval = 1 };
	uint64_t seed = 0;
	sigset_t open;
	struct top top;
	struct opts o;
	size_t rows;
	int code;

	opts_init(&o, argc, argv, top_options, filter_options, out_options_json, NULL);
	if (!parse_options(&o, &w, &code))
		return code;
	if (instance_open(in))
		return 1;
	w.batch |= w.once || w.formats & OUT_JSON || !isatty(STDOUT_FILENO);
	rows = w.rows ? w.rows : w.batch ? ROWS_DEFAULT : ROWS_MOST;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = now_ns();
	if (!top_init(&top, w.by, (unsigned int)w.prefix, rows, seed))
		return fail(strerror(ENOMEM), NULL, "%zu rows", rows);
	sigemptyset(&open);
	if (!w.batch) {
		log_prepare = terminal_give_back;
		signals_take(&open);
		terminal_take();
	} else {
		sigprocmask(SIG_SETMASK, NULL, &open);
	}
	code = watch(in, &w, &top, &open);
	terminal_give_back();
	top_free(&top);
	if (interrupted) {
		signal((int)interrupted, SIG_DFL);
		sigprocmask(SIG_SETMASK, &open, NULL);
		raise((int)interrupted);
	}
	return code;
}
