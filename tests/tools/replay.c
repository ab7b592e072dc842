// SPDX-License-Identifier: GPL-2.0-only
/*
 * A capture in, verdicts out: every packet is given to the programs by BPF_PROG_TEST_RUN, at the
 * time the capture has for it, and a line says what they made of it. `-h` lists the options.
 *
 * The programs are loaded for this run alone, in a network namespace of its own (tests/prog/
 * harness.h); nothing is attached, and nothing else on the machine notices. Time is the capture's:
 * timeouts end flows as they did, without waiting.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ct.skel.h"
#include "filter.h"
#include "json.h"
#include "log.h"
#include "opts.h"
#include "replay.h"
#include "setting.h"

#define FLOWS	   65536 /* in the table, unless --set max=... */
#define FLOWS_MOST (1U << 20)
#define EGRESSES   16
#define RING_BYTES (1U << 20)
/* A walk over the flows pays if it lets us leave out that many sweeps. */
#define QUIET_SECONDS 128
/* The sweep looks at every flow at least this often, in seconds (the hints of table.h). */
#define SWEEP_REACH 64

enum exit_code {
	ALL_WELL,
	FOUND_INVALID, /* with --check */
	WRONG_USAGE,   /* or a capture that can't be read */
	WORLD_BROKEN,  /* the programs did what they must never do */
};

enum hook_choice {
	BY_FRAME, /* XDP for Ethernet, tc for all else */
	AS_XDP,
	AS_TC,
};

static struct options {
	enum hook_choice hook;
	struct ct_filter egress[EGRESSES]; /* sent from these addresses: tc egress */
	int egresses;
	uint16_t zone;
	unsigned long first, last; /* numbers of the packets to play */
	unsigned int classes;	   /* 1 << enum ct_class to be shown; 0: all packets are */
	bool json, events, windows, flows, check;
	const char *file;
	char expression[4096];
} options = { .first = 1, .last = ~0UL };

static struct sum {
	unsigned long packets, played, not_ours, cut, short_, padded, shortened, in_pieces,
		unfinished, backwards, wrong;
	unsigned long hooks[HOOKS], classes[CT_CLASS_MAX], reasons[CT_R_MAX];
	uint64_t begin_ns, end_ns;
	__u64 ends[CT_END_MAX];
} sum;

static struct json json;
static struct show show = { .j = &json };

/* --- settings -------------------------------------------------------------------------------- */

/* What --set asks for: by place in settings_known; where there is none, the default stays. */
static struct {
	bool set;
	uint64_t value;
} wanted[SETTINGS];

static int take_setting(char *text)
{
	struct change change;

	if (setting_parse(text, &change))
		return 2;
	if (change.setting->knob == CT_K_MAX && change.value > FLOWS_MOST)
		return usage_error("too many flows to play with", "%s", text);
	wanted[change.setting - settings_known].set = true;
	wanted[change.setting - settings_known].value = change.value;
	return 0;
}

static void put_setting(struct ct_settings *s, const struct setting *setting, uint64_t value)
{
	if (setting->knob >= 0)
		CT_KNOB_OF(s)[setting->knob] = (__u32)value;
	else
		CT_TIMEOUT_OF(s)[setting->timeout] = value * HZ;
}

static void apply_settings(void)
{
	struct ct_settings s = get_settings();

	for (int i = 0; i < SETTINGS; i++)
		if (wanted[i].set)
			put_setting(&s, &settings_known[i], wanted[i].value);
	put_settings(&s);
}

/*
 * Checksums can't hold where bytes are missing or were sent as others: `intact` says whether they
 * are to be looked at, if the programs do that at all.
 */
static void check_sums(bool intact)
{
	static bool were = true;
	const struct setting *checksum = setting_find("checksum");
	static uint64_t value;
	struct ct_settings s;

	if (!checksum || were == intact)
		return;
	were = intact;
	s = get_settings();
	if (!intact)
		value = CT_KNOB_OF(&s)[checksum->knob];
	put_setting(&s, checksum, intact ? value : 0);
	put_settings(&s);
}

/* --- time ------------------------------------------------------------------------------------ */

static void show_events(void)
{
	static struct ct_event events[RING_BYTES / sizeof(struct ct_event)];
	size_t n;

	if (!options.events)
		return;
	n = listen_take(0, events, sizeof(events) / sizeof(events[0]));
	for (size_t i = 0; i < n; i++)
		show_event(&show, &events[i]);
}

static __u64 first_tick, next_sweep;

/* When the first flow ends: at once, if one has and was not swept; far away if there is none. */
static __u64 next_end(void)
{
	static struct ct_flow *flows;
	__u64 end = ~0ULL;
	size_t n;

	if (!flows)
		flows = calloc(world_size, sizeof(*flows));
	if (!flows)
		abort();
	n = dump(flows, world_size); /* of those that live */
	if (n < get_state().flows)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (flows[i].entry.expires < end)
			end = flows[i].entry.expires;
	return end;
}

static void set_clock(__u64 tick)
{
	*world_now = tick;
	show.clock.ticks = tick;
	show.clock.mono_ns = tick * (NSEC_PER_SEC / HZ);
	show.clock.wall_ns = sum.begin_ns + (tick - first_tick) * (NSEC_PER_SEC / HZ);
}

/* Let time pass until a packet of the capture, with a sweep each second, as the kernel's timer. */
static void pass_time(uint64_t ns)
{
	uint64_t since = ns - sum.begin_ns;
	__u64 tick;

	if (ns < sum.end_ns) {
		sum.backwards++;
		return;
	}
	sum.end_ns = ns;
	tick = first_tick + since / NSEC_PER_SEC * HZ + since % NSEC_PER_SEC * HZ / NSEC_PER_SEC;
	while (next_sweep <= tick) {
		if (tick - next_sweep > QUIET_SECONDS * HZ) {
			__u64 end = next_end();

			if (end > tick)
				end = tick;
			if (end > next_sweep + SWEEP_REACH * HZ)
				next_sweep += (end - next_sweep) / HZ * HZ - SWEEP_REACH * HZ;
		}
		set_clock(next_sweep);
		sweep();
		show_events();
		next_sweep += HZ;
	}
	set_clock(tick);
}

/* --- playing --------------------------------------------------------------------------------- */

static bool sent_by_us(const struct frame *f, const struct ct_tuple *t)
{
	const struct ct_flow packet = { .tuple = *t };

	if (f->way == WAY_OUT)
		return true;
	for (int i = 0; i < options.egresses; i++)
		if (t->family && filter_match(&options.egress[i], &packet))
			return true;
	return false;
}

static enum hook hook_of(const struct frame *f, const struct ct_tuple *t)
{
	if (sent_by_us(f, t))
		return EGRESS;
	if (options.hook == BY_FRAME)
		return f->ethernet ? XDP : INGRESS;
	return options.hook == AS_XDP ? XDP : INGRESS;
}

static void put_hook(enum hook hook)
{
	if (talk.hook == hook)
		return;
	talk.hook = hook;
	put_zone(options.zone);
}

/* The packet record as the programs have left it. */
static struct ct_packet read_record(enum hook hook)
{
	static __u8 values[65536];
	const struct bpf_map *map = skel->maps.record;
	size_t size = (bpf_map__value_size(map) + 7) & ~7UL;
	__u32 slot = hook == XDP ? CT_REC_XDP : CT_REC_TC;
	struct ct_packet record = { 0 };

	if (size * (size_t)libbpf_num_possible_cpus() <= sizeof(values) &&
	    !bpf_map_lookup_elem(bpf_map__fd(map), &slot, values))
		memcpy(&record, values + size * (size_t)sched_getcpu(), sizeof(record));
	return record;
}

/* The flow a packet is of, or is about. */
static bool find_flow(const struct ct_tuple *t, struct ct_flow *flow)
{
	struct ct_tuple zoned = *t;

	zoned.zone = options.zone;
	return t->family && !flow_get(&zoned, flow);
}

static const struct ct_tuple *flow_tuple(const struct ct_parsed *p)
{
	return p->icmp_error ? &p->inner : &p->tuple;
}

static int parse(struct ct_parsed *p, const uint8_t *data, size_t known, size_t size)
{
	return ct_parse(p, data, data + known, (__u32)size, 0);
}

/* One frame, as the programs get it, and what they make of it. False if it can't be played. */
static bool play_piece(struct outcome *o, const struct piece *piece)
{
	const uint8_t *data = piece->data;
	size_t size = piece->size;

	o->parsable = !parse(&o->parsed, data, size, size);
	o->had = find_flow(flow_tuple(&o->parsed), &o->before);
	o->seen = size < ETH_HLEN ? (struct seen){ .verdict = REFUSED, .class = NO_CLASS }
				  : send_frame(o->hook, data, size, NULL);
	if (o->seen.verdict == REFUSED) {
		o->fate = TOO_SHORT;
		return false;
	}
	if (o->seen.class != NO_CLASS)
		o->record = read_record(o->hook);
	/* The programs know of a later fragment whose it is. */
	o->has =
		find_flow(o->parsed.icmp_error || o->seen.class == NO_CLASS ? flow_tuple(&o->parsed)
									    : &o->record.tuple,
			  &o->after);
	return true;
}

/*
 * A packet captured where it was sent, or on a device that has no wire, has a checksum that the
 * hardware was to write: what stands there is the pseudo-header's sum, and with SCTP 0.
 */
static bool unfinished(const struct frame *f, const struct ct_parsed *p)
{
	__u32 len = p->l4_end - p->l4_off;

	if (p->tuple.proto == IPPROTO_SCTP && p->l4_off + 12 <= f->known)
		return !memcmp(f->data + p->l4_off + 8, "\0\0\0", 4);
	return (p->tuple.proto == IPPROTO_TCP || p->tuple.proto == IPPROTO_UDP) &&
	       p->check == ct_sum_fold(ct_sum_pseudo(&p->tuple, len));
}

static void play(const struct frame *f, struct outcome *o)
{
	static struct piece piece;
	int result = parse(&o->parsed, f->data, f->known, f->size);

	o->fate = PLAYED;
	o->hook = hook_of(f, &o->parsed.tuple);
	o->had = o->has = false;
	o->seen = (struct seen){ .class = NO_CLASS };
	o->pieces = frame_pieces(f);
	o->padded = f->known < (f->ip_end ? f->ip_end : f->size);
	o->shortened = o->pieces == 1 && f->size > FRAME_WHOLE;
	o->unfinished = !result && unfinished(f, &o->parsed);
	if (result == CT_PARSE_MORE && f->known < f->size) {
		o->fate = CUT;
		return;
	}
	put_hook(o->hook);
	check_sums(!o->padded && !o->shortened && !o->unfinished && o->pieces == 1);
	/* The first piece that is refused stands for all of it, else the last. */
	for (unsigned int i = 0; i < o->pieces; i++) {
		struct outcome now = *o;
		bool refused = o->seen.reason;

		frame_piece(f, i, &piece);
		if (!play_piece(&now, &piece)) {
			o->fate = now.fate;
			return;
		}
		if (!refused)
			*o = now;
		o->has = now.has;
		o->after = now.after;
	}
}

static void count(const struct outcome *o)
{
	sum.packets++;
	if (o->fate != PLAYED) {
		if (o->fate == CUT)
			sum.cut++;
		else
			sum.short_++;
		return;
	}
	sum.played++;
	sum.hooks[o->hook]++;
	sum.padded += o->padded;
	sum.shortened += o->shortened;
	sum.in_pieces += o->pieces > 1;
	sum.unfinished += o->unfinished;
	sum.wrong += o->seen.wrong != NULL;
	if (o->seen.class == NO_CLASS) {
		sum.not_ours++;
		return;
	}
	sum.classes[o->seen.class]++;
	sum.reasons[o->seen.reason]++;
}

static bool is_shown(const struct outcome *o)
{
	if (!options.classes || o->seen.wrong)
		return true;
	return o->seen.class != NO_CLASS && options.classes & 1U << o->seen.class;
}

static void begin(uint64_t ns)
{
	world_begin(EGRESS);
	put_zone(options.zone);
	apply_settings();
	if (options.events)
		listen_begin(0, 1U << CT_EV_NEW | 1U << CT_EV_UPDATE | 1U << CT_EV_DESTROY, RING_BYTES);
	first_tick = *world_now;
	next_sweep = first_tick + HZ;
	sum.begin_ns = sum.end_ns = show.begin_ns = ns;
	show.clock.hz = HZ;
	set_clock(first_tick);
}

/* 0, or -1 when the capture can't be read any further (reported). */
static int play_all(struct capture *c)
{
	static struct frame f;
	static struct outcome o;
	int more;

	while ((more = capture_next(c, &f)) > 0 && f.number <= options.last) {
		if (f.number < options.first)
			continue;
		if (!skel)
			begin(f.ns);
		pass_time(f.ns);
		play(&f, &o);
		count(&o);
		if (is_shown(&o))
			show_packet(&show, &f, &o);
		show_events();
		json_flush(&json);
	}
	return more < 0 ? -1 : 0;
}

/* --- the end --------------------------------------------------------------------------------- */

static void show_flows(void)
{
	struct ct_flow *flows = calloc(world_size, sizeof(*flows));
	size_t n;

	if (!flows)
		abort();
	n = dump(flows, world_size);
	if (!options.json)
		printf("\n");
	for (size_t i = 0; i < n; i++)
		show_flow(&show, &flows[i]);
	free(flows);
}

static void sum_text(const struct ct_stats *s, uint64_t flows)
{
	printf("\n%lu packets played in %.6f s", sum.played,
	       (double)(sum.end_ns - sum.begin_ns) / 1e9);
	for (int i = 0; i < HOOKS; i++)
		if (sum.hooks[i])
			printf(", %lu at %s", sum.hooks[i], harness_hooks[i]);
	printf("\n");
	for (int i = 0; i < CT_CLASS_MAX; i++)
		if (sum.classes[i])
			printf("  %-12s %8lu\n", show_class(i), sum.classes[i]);
	if (sum.not_ours)
		printf("  %-12s %8lu  not IP, or for another host\n", "-", sum.not_ours);
	for (int i = 1; i < CT_R_MAX; i++)
		if (sum.reasons[i])
			printf("  %8lu %-18s %s\n", sum.reasons[i], show_reason(i),
			       show_reason_help(i));
	printf("flows: %llu begun, %" PRIu64 " now", s->counters.confirmed, flows);
	for (int i = 1; i < CT_END_MAX; i++)
		if (CT_END_OF(s)[i])
			printf(", %llu ended (%s)", CT_END_OF(s)[i], fmt_end((uint8_t)i));
	printf("\n");
}

static void sum_json(const struct ct_stats *s, uint64_t flows)
{
	json_object(&json, NULL);
	json_object(&json, "summary");
	json_u64(&json, "played", sum.played);
	json_u64(&json, "cut", sum.cut);
	json_u64(&json, "too_short", sum.short_);
	json_u64(&json, "padded", sum.padded);
	json_u64(&json, "not_ours", sum.not_ours);
	json_object(&json, "packets");
	for (int i = 0; i < CT_CLASS_MAX; i++)
		json_u64(&json, show_class(i), sum.classes[i]);
	json_object_end(&json);
	json_object(&json, "reasons");
	for (int i = 1; i < CT_R_MAX; i++)
		if (sum.reasons[i])
			json_u64(&json, show_reason(i), sum.reasons[i]);
	json_object_end(&json);
	json_u64(&json, "begun", s->counters.confirmed);
	json_u64(&json, "flows", flows);
	json_object(&json, "ended");
	for (int i = 1; i < CT_END_MAX; i++)
		if (CT_END_OF(s)[i])
			json_u64(&json, fmt_end((uint8_t)i), CT_END_OF(s)[i]);
	json_object_end(&json);
	json_object_end(&json);
	json_object_end(&json);
}

static void warn(unsigned long n, const char *what)
{
	if (n)
		note("%lu packet%s %s", n, n == 1 ? "" : "s", what);
}

static void warn_all(void)
{
	warn(sum.cut, "not played: the capture ends inside their headers (use tcpdump -s 0)");
	warn(sum.short_, "not played: too short for the kernel's test_run");
	warn(sum.padded, "not captured whole: zeros stood for the rest, and checksums could not be "
			 "checked (use tcpdump -s 0)");
	warn(sum.unfinished, "with a checksum that the hardware was to write: it was not checked");
	warn(sum.in_pieces, "glued together by the capturing host: played in segments");
	warn(sum.shortened, "too long for the kernel's test_run: played shortened, so bytes are "
			    "counted short");
	warn(sum.backwards, "older than the one before: played at that one's time");
}

static enum exit_code end(void)
{
	struct ct_stats s = { 0 };
	const char *wrong = NULL;
	uint64_t flows = 0;

	if (skel) {
		s = get_stats();
		flows = get_state().flows;
		wrong = world_broken();
		if (options.flows)
			show_flows();
	}
	if (options.json)
		sum_json(&s, flows);
	else
		sum_text(&s, flows);
	json_flush(&json);
	fflush(stdout);
	warn_all();
	if (wrong)
		note("WRONG: %s", wrong);
	if (wrong || sum.wrong)
		return WORLD_BROKEN;
	return options.check && sum.classes[CT_INVALID] ? FOUND_INVALID : ALL_WELL;
}

/* --- options --------------------------------------------------------------------------------- */

static void help(void)
{
	puts("Usage: replay [OPTIONS] FILE [EXPRESSION]\n"
	     "Play a capture (pcap or pcapng, - for standard input) through the programs, and say "
	     "of\n"
	     "each packet what it was taken for. EXPRESSION is tcpdump's: only such packets are "
	     "played.\n"
	     "\n"
	     "  --hook xdp|tc            where packets come in (XDP if they are Ethernet frames, "
	     "else tc)\n"
	     "  --egress ADDR[/PREFIX]   packets from there are sent by the tracking host: tc "
	     "egress;\n"
	     "                           may be repeated. Cooked captures (tcpdump -i any) know it "
	     "anyhow\n"
	     "  --set KEY=VALUE          a setting, as in 'ctloader set'; may be repeated\n"
	     "  --zone ZONE              the zone of the interface\n"
	     "  -n, --packets A-B        play these only; A, A- and -B will do, too\n"
	     "  --only CLASS[,...]       show packets of these classes only (all are played)\n"
	     "  -v                       show TCP's windows with every packet, not only with "
	     "invalid ones\n"
	     "  -e                       show events beneath the packet that caused them\n"
	     "  --flows                  show the flows that are left, as 'ctloader list' does\n"
	     "  --check                  end with 1 if a packet was invalid\n"
	     "  -o json                  an object for each packet, event and flow, and a last "
	     "one,\n"
	     "                           \"summary\"\n"
	     "  -h, --help               this text\n"
	     "\n"
	     "Exit code: 0; 1: see --check; 2: wrong usage, or the capture can't be read; 3: the\n"
	     "programs did something that they must never do, which is said after WRONG.\n"
	     "\n"
	     "  replay --only invalid bug.pcap 'tcp port 80'\n"
	     "  replay --egress 192.0.2.1 --set tcp_loose=0 -e bug.pcap\n"
	     "\n"
	     "A capture with -i any on a router has forwarded packets twice: add the expression\n"
	     "'inbound'.");
}

static int take_egress(const char *text)
{
	if (options.egresses == EGRESSES)
		return usage_error("there are too many", "--egress %s", text);
	return filter_option(&options.egress[options.egresses++], 's', text);
}

static int take_range(const char *text)
{
	const char *dash = strchr(text, '-');
	uint64_t first = 1, last = ~0UL;
	char number[24];
	bool good = true;

	snprintf(number, sizeof(number), "%.*s", (int)(dash ? dash - text : 23), text);
	if (*number || !dash)
		good = number_parse(number, 1, ~0UL, &first);
	if (!dash)
		last = first;
	else if (dash[1])
		good &= number_parse(dash + 1, first, ~0UL, &last);
	else
		good &= dash != text;
	if (!good)
		return usage_error("not a range of packet numbers, like 10-20", "-n %s", text);
	options.first = first;
	options.last = last;
	return 0;
}

static int take_classes(char *text)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		int class = 0;

		while (class < CT_CLASS_MAX && strcmp(word, show_class(class)))
			class ++;
		if (class == CT_CLASS_MAX)
			return usage_error("there is no such class", "--only %s", word);
		options.classes |= 1U << class;
	}
	return 0;
}

static int take_hook(const char *text)
{
	if (!strcmp(text, "xdp"))
		options.hook = AS_XDP;
	else if (!strcmp(text, "tc"))
		options.hook = AS_TC;
	else
		return usage_error("it is xdp or tc", "--hook %s", text);
	return 0;
}

static int take_zone(const char *text)
{
	uint64_t zone;

	if (!number_parse(text, 0, UINT16_MAX, &zone))
		return usage_error("not a number from 0 to 65535", "--zone %s", text);
	options.zone = (uint16_t)zone;
	return 0;
}

static int take_format(const char *text)
{
	if (strcmp(text, "json"))
		return usage_error("there is json", "-o %s", text);
	options.json = show.json = log_json = true;
	return 0;
}

enum { OPT_HOOK = 256, OPT_EGRESS, OPT_SET, OPT_ZONE, OPT_ONLY, OPT_FLOWS, OPT_CHECK };

static int take_option(int id)
{
	switch (id) {
	case OPT_HOOK:
		return take_hook(optarg);
	case OPT_EGRESS:
		return take_egress(optarg);
	case OPT_SET:
		return take_setting(optarg);
	case OPT_ZONE:
		return take_zone(optarg);
	case OPT_ONLY:
		return take_classes(optarg);
	case OPT_FLOWS:
		options.flows = true;
		return 0;
	case OPT_CHECK:
		options.check = true;
		return 0;
	case 'n':
		return take_range(optarg);
	case 'o':
		return take_format(optarg);
	case 'e':
		options.events = true;
		return 0;
	case 'v':
		options.windows = show.windows = true;
		return 0;
	default:
		return 2; /* getopt has said why */
	}
}

/* What is left of the command line: the file, and words that make up the expression. */
static int take_arguments(int argc, char **argv)
{
	size_t len = 0;

	if (optind == argc)
		return usage_error("no capture was named (-h says how)", "FILE");
	options.file = argv[optind];
	for (int i = optind + 1; i < argc; i++) {
		len += (size_t)snprintf(options.expression + len, sizeof(options.expression) - len,
					"%s ", argv[i]);
		if (len >= sizeof(options.expression))
			return usage_error("it is too long", "EXPRESSION");
	}
	return 0;
}

static int take_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "hook", required_argument, NULL, OPT_HOOK },
		{ "egress", required_argument, NULL, OPT_EGRESS },
		{ "set", required_argument, NULL, OPT_SET },
		{ "zone", required_argument, NULL, OPT_ZONE },
		{ "packets", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, OPT_ONLY },
		{ "flows", no_argument, NULL, OPT_FLOWS },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int id, err;

	while ((id = getopt_long(argc, argv, "n:o:evh", longs, NULL)) != -1) {
		if (id == 'h') {
			help();
			exit(ALL_WELL);
		}
		err = take_option(id);
		if (err)
			return err;
	}
	return take_arguments(argc, argv);
}

int main(int argc, char **argv)
{
	const struct setting *max = setting_find("max");
	struct capture *c;
	enum exit_code code;
	int err;

	log_command("replay");
	json_init(&json, stdout);
	if (take_options(argc, argv))
		return WRONG_USAGE;
	c = capture_open(options.file, options.expression);
	if (!c)
		return WRONG_USAGE;
	if (geteuid())
		return usage_error("needs root", "loading the programs");
	world_size = wanted[max - settings_known].set
			     ? (unsigned int)wanted[max - settings_known].value
			     : FLOWS;
	err = play_all(c);
	capture_close(c);
	code = end();
	return err && code == ALL_WELL ? WRONG_USAGE : code;
}
