// SRC: user/filter.c user/fmt.c user/opts.c user/log.c user/json.c
// SPDX-License-Identifier: GPL-2.0-only
/* FILTER: which flows an option means, and which options mean nothing. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "check.h"
#include "filter.h"
#include "log.h"
#include "../../include/ct_proto.h"
#include "../../user/table.h"

/* fmt.c is here for the names of protocols; it prints nothing. */
uint64_t flow_timeout(const struct ct_flow *flow, const struct ct_clock *clock)
{
	(void)flow, (void)clock;
	return 0;
}

uint32_t flow_id(const struct ct_flow *flow)
{
	(void)flow;
	return 0;
}

void tuple_invert(const struct ct_tuple *tuple, struct ct_tuple *inverse)
{
	*inverse = *tuple;
}

static struct ct_filter filter;
static struct ct_tuple tuple;
static char *message;

/* Parse the words of a line; the exit code, and what was said in `message`. */
static int parse(const char *line, bool want_tuple)
{
	static char text[256];
	char *argv[32] = { "list" }, *save = NULL;
	FILE *was = stderr;
	int argc = 1, id = 0, err = 0;
	size_t len;
	struct opts o;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	memset(&filter, 0, sizeof(filter));
	free(message);
	message = NULL;
	stderr = open_memstream(&message, &len);
	opts_init(&o, argc, argv, filter_options, NULL);
	while (!err && (id = opts_next(&o)) > 0)
		err = filter_option(&filter, id, o.value);
	if (!err && id < 0)
		err = o.exit;
	if (!err)
		err = filter_check(&filter);
	if (!err && want_tuple)
		err = filter_tuple(&filter, &tuple);
	fclose(stderr);
	stderr = was;
	return err;
}

static struct ct_flow flow(uint8_t family, uint8_t proto, const char *src, const char *dst,
			   uint16_t sport, uint16_t dport)
{
	int af = family == CT_IPV6 ? AF_INET6 : AF_INET;
	struct ct_flow f;

	memset(&f, 0, sizeof(f));
	f.tuple.family = family;
	f.tuple.proto = proto;
	inet_pton(af, src, &f.tuple.src);
	inet_pton(af, dst, &f.tuple.dst);
	f.tuple.sport = htons(sport);
	f.tuple.dport = htons(dport);
	return f;
}

struct match_case {
	const char *options;
	bool match;
};

static void check_matches(const struct match_case *cases, size_t n, const struct ct_flow *f)
{
	for (size_t i = 0; i < n; i++) {
		CHECK_CASE("%s", cases[i].options);
		if (CHECK_EQ(parse(cases[i].options, false), 0))
			CHECK_EQ(filter_match(&filter, f), cases[i].match);
		else
			printf("  %s", message);
	}
}

#define CHECK_MATCHES(cases, f) check_matches(cases, sizeof(cases) / sizeof((cases)[0]), f)

// A TCP flow over IPv4 is found by each thing that is true of it, and by all of them together.
TEST(filter_tcp)
{
	static const struct match_case cases[] = {
		{ "", true },
		{ "-f ipv4", true },
		{ "-f ipv6", false },
		{ "-p tcp", true },
		{ "-p TCP", true },
		{ "-p 6", true },
		{ "-p udp", false },
		{ "-s 10.0.1.1", true },
		{ "--src 10.0.1.1", true },
		{ "--orig-src 10.0.1.1", true },
		{ "-s 10.0.2.1", false },
		{ "-d 10.0.2.1", true },
		{ "-d 10.0.1.1", false },
		{ "-r 10.0.2.1", true },
		{ "-r 10.0.1.1", false },
		{ "-q 10.0.1.1", true },
		{ "-q 10.0.2.1", false },
		{ "-s 10.0.1.0/24", true },
		{ "-s 10.0.1.77/24", true },
		{ "-s 10.0.0.0/23", true },
		{ "-s 10.0.0.0/24", false },
		{ "-s 10.0.1.0/31", true },
		{ "-s 10.0.1.2/31", false },
		{ "-s 0.0.0.0/0", true },
		{ "-s ::/0", false },
		{ "--sport 1000", true },
		{ "--sport 80", false },
		{ "--dport 80", true },
		{ "--orig-port-dst 80", true },
		{ "--dport 1000", false },
		{ "--reply-port-src 80", true },
		{ "--reply-port-src 1000", false },
		{ "--reply-port-dst 1000", true },
		{ "--reply-port-dst 80", false },
		{ "--state ESTABLISHED", true },
		{ "--state established", true },
		{ "--state NONE", false },
		{ "-u ASSURED", true },
		{ "-u assured,seen_reply", true },
		{ "-u CONFIRMED", true },
		{ "-u DYING", false },
		{ "-u ASSURED,DYING", false },
		{ "-u UNSET", false },
		{ "-u OFFLOAD", false },
		{ "-m 42", true },
		{ "-m 0x2a", true },
		{ "-m 43", false },
		{ "-m 0x20/0xf0", true },
		{ "-m 0x2f/0xf0", true },
		{ "-m 0x10/0xf0", false },
		{ "-m 0/0", true },
		{ "-w 7", true },
		{ "-w 0", false },
		{ "--icmp-type 0", false },
		{ "-p tcp -s 10.0.1.0/24 -d 10.0.2.1 --dport 80 --state ESTABLISHED "
		  "-u ASSURED -w 7",
		  true },
		{ "-p tcp -s 10.0.1.0/24 -d 10.0.2.1 --dport 81 --state ESTABLISHED "
		  "-u ASSURED -w 7",
		  false },
	};
	struct ct_flow f = flow(CT_IPV4, IPPROTO_TCP, "10.0.1.1", "10.0.2.1", 1000, 80);

	f.tuple.zone = 7;
	f.entry.mark = 42;
	f.entry.state = CT_TCP_ESTABLISHED;
	f.entry.status = CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED;
	CHECK_MATCHES(cases, &f);
}

// IPv6 prefixes end at any bit.
TEST(filter_ip6)
{
	static const struct match_case cases[] = {
		{ "-f ipv6", true },
		{ "-f ipv4", false },
		{ "-s fd00:1::1", true },
		{ "-s fd00:1::2", false },
		{ "-s fd00:1::/32", true },
		{ "-s fd00:2::/32", false },
		{ "-s fd00:2::/30", true },
		{ "-s fd00:1::/127", true },
		{ "-s fd00:1::/128", false },
		{ "-s ::/0", true },
		{ "-s 0.0.0.0/0", false },
		{ "-d fd00:2::1 -p udp", true },
		{ "--dport 53", true },
		{ "-u UNSET", true },
		{ "-u SEEN_REPLY", false },
		{ "--state SYN_SENT", false },
	};
	struct ct_flow f = flow(CT_IPV6, IPPROTO_UDP, "fd00:1::1", "fd00:2::1", 5353, 53);

	f.entry.status = CT_S_CONFIRMED;
	CHECK_MATCHES(cases, &f);
}

// SCTP has ports and states, of which some have the names of TCP's.
TEST(filter_sctp)
{
	static const struct match_case cases[] = {
		{ "-p sctp", true },
		{ "-p 132", true },
		{ "-p tcp", false },
		{ "--sport 1000 --dport 2905", true },
		{ "--reply-port-src 2905", true },
		{ "--dport 2906", false },
		{ "--state ESTABLISHED", true },
		{ "-p sctp --state established", true },
		{ "-p tcp --state ESTABLISHED", false },
		{ "--state SHUTDOWN_ACK_SENT", false },
		{ "--state FIN_WAIT", false }, /* the number is the same */
	};
	struct ct_flow f = flow(CT_IPV4, IPPROTO_SCTP, "10.0.1.1", "10.0.2.1", 1000, 2905);
	struct ct_flow udplite = flow(CT_IPV4, IPPROTO_UDPLITE, "10.0.1.1", "10.0.2.1", 1, 2);
	static const struct match_case udplite_cases[] = {
		{ "-p udplite --sport 1 --dport 2", true },
		{ "-p udp", false },
		{ "--state NONE", false },
	};

	f.entry.state = CT_SCTP_ESTABLISHED;
	CHECK_MATCHES(cases, &f);
	CHECK_MATCHES(udplite_cases, &udplite);
}

// ICMP's type is the request's; its identifier is no port.
TEST(filter_icmp)
{
	static const struct match_case cases[] = {
		{ "-p icmp", true },
		{ "-p icmpv6", false },
		{ "--icmp-type 8", true },
		{ "--icmp-type 0", false },
		{ "--icmp-code 0", true },
		{ "--icmp-code 1", false },
		{ "--icmp-id 77", true },
		{ "--icmp-id 78", false },
		{ "-p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77", true },
		{ "--sport 77", false },
		{ "--dport 2048", false },
	};
	struct ct_flow f = flow(CT_IPV4, IPPROTO_ICMP, "10.0.1.1", "10.0.2.1", 77, 8 << 8);

	CHECK_MATCHES(cases, &f);
}

// What means nothing is refused with a line that says what is wrong, and exit code 2.
TEST(filter_wrong)
{
	static const struct {
		const char *options, *want;
	} cases[] = {
		{ "-f ipx", "-f ipx: unknown family; there is ipv4 and ipv6" },
		{ "-p foo", "-p foo: unknown protocol; give its number" },
		{ "-p 256", "-p 256: unknown protocol; give its number" },
		{ "-s 10.0.1", "-s 10.0.1: not an address" },
		{ "-s ::g", "-s ::g: not an address" },
		{ "-s 10.0.1.1/33", "-s 10.0.1.1/33: the prefix length is 0 to 32" },
		{ "-s fd00::/129", "-s fd00::/129: the prefix length is 0 to 128" },
		{ "-s 10.0.1.1/", "-s 10.0.1.1/: the prefix length is 0 to 32" },
		{ "-s 10.0.1.1/x", "-s 10.0.1.1/x: the prefix length is 0 to 32" },
		{ "-s 10.0.1.1 -d fd00::1", "-d fd00::1: mixes IPv4 and IPv6" },
		{ "-f ipv6 -s 10.0.1.1", "-s 10.0.1.1: mixes IPv4 and IPv6" },
		{ "--sport 65536", "--sport 65536: not a number from 0 to 65535" },
		{ "--dport http", "--dport http: not a number from 0 to 65535" },
		{ "--state FOO", "--state FOO: unknown state" },
		{ "--state SYN_SEND", "--state SYN_SEND: unknown state; did you mean SYN_SENT?" },
		{ "--state COOKIE_WAITS",
		  "--state COOKIE_WAITS: unknown state; did you mean COOKIE_WAIT?" },
		{ "-p udp --state CLOSE", "-p 17: --state is for TCP and SCTP" },
		{ "-p gre --state CLOSED", "-p 47: --state is for TCP and SCTP" },
		{ "-p tcp --state CLOSED", "-p 6: this protocol has no such state" },
		{ "--state SYN_SENT -p sctp", "-p 132: this protocol has no such state" },
		{ "-p gre --dport 1", "-p 47: this protocol has no ports" },
		{ "--state CLOSED --icmp-id 1", "ICMP's options and ports or states: no flow has both" },
		{ "-p icmp --sport 1", "-p 1: this protocol has no ports" },
		{ "-p tcp --icmp-id 1",
		  "-p 6: --icmp-type, --icmp-code and --icmp-id are for ICMP" },
		{ "--sport 1 --icmp-id 1",
		  "ICMP's options and ports or states: no flow has both" },
		{ "-u ASSURED,FOO",
		  "-u FOO: unknown status; there is SEEN_REPLY, ASSURED, CONFIRMED, DYING, UNSET" },
		{ "-u ASSURED,",
		  "-u : unknown status; there is SEEN_REPLY, ASSURED, CONFIRMED, DYING, UNSET" },
		{ "-m x", "-m x: not MARK[/MASK], two numbers of 32 bits" },
		{ "-m 1/", "-m 1/: not MARK[/MASK], two numbers of 32 bits" },
		{ "-m 0x100000000", "-m 0x100000000: not MARK[/MASK], two numbers of 32 bits" },
		{ "-w 65536", "-w 65536: not a number from 0 to 65535" },
		{ "--icmp-type 256", "--icmp-type 256: not a number from 0 to 255" },
	};
	char want[256];

	log_command("list");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%s", cases[i].options);
		CHECK_EQ(parse(cases[i].options, false), 2);
		snprintf(want, sizeof(want), "ctloader: list: %s\n", cases[i].want);
		CHECK_STR(message, want);
	}
}

// A whole tuple is one; the reply's spelling of an end will do.
TEST(filter_tuple_whole)
{
	static const char *const spellings[] = {
		"-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1000 --dport 80 -w 7",
		"-p tcp -q 10.0.1.1 -r 10.0.2.1 --reply-port-dst 1000 --reply-port-src 80 -w 7",
	};
	struct ct_flow f = flow(CT_IPV4, IPPROTO_TCP, "10.0.1.1", "10.0.2.1", 1000, 80);

	f.tuple.zone = 7;
	for (size_t i = 0; i < 2; i++) {
		CHECK_CASE("%s", spellings[i]);
		CHECK_EQ(parse(spellings[i], true), 0);
		CHECK_MEM(&tuple, &f.tuple, sizeof(tuple));
	}
	CHECK_CASE("icmp");
	f = flow(CT_IPV4, IPPROTO_ICMP, "10.0.1.1", "10.0.2.1", 77, 8 << 8);
	CHECK_EQ(parse("-p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-type 8 --icmp-id 77", true), 0);
	CHECK_MEM(&tuple, &f.tuple, sizeof(tuple));
	CHECK_CASE("esp");
	f = flow(CT_IPV6, 50, "fd00::1", "fd00::2", 0, 0);
	CHECK_EQ(parse("-p esp -s fd00::1 -d fd00::2", true), 0);
	CHECK_MEM(&tuple, &f.tuple, sizeof(tuple));
}

// What is a whole tuple and nothing else means one flow; what says less, or more, is a filter.
TEST(filter_is_one)
{
	static const struct {
		const char *options;
		bool one;
	} cases[] = {
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2", true },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -w 7", true },
		{ "-p tcp -s 10.0.1.1 -r 10.0.2.1 --sport 1 --reply-port-src 2", true },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1", false },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.0/31 --sport 1 --dport 2", false },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -m 0", false },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -q 10.0.1.1", true },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -q 10.0.1.2", false },
		{ "-p udp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 --reply-port-src 3", false },
		{ "-p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-type 8 --icmp-id 1", true },
		{ "-p icmp -s 10.0.1.1 -d 10.0.2.1 --icmp-type 8", false },
		{ "-p esp -s fd00::1 -d fd00::2", true },
		{ "-p gre -s 10.0.1.1 -d 10.0.2.1", false }, /* of all its keys */
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%s", cases[i].options);
		CHECK_EQ(parse(cases[i].options, false), 0);
		CHECK_EQ(filter_is_tuple(&filter, &tuple), cases[i].one);
	}
}

// A tuple that is not whole: everything that is missing is named.
TEST(filter_tuple_missing)
{
	static const struct {
		const char *options, *want;
	} cases[] = {
		{ "", "the tuple is not complete; missing: -p, -s (a whole address), "
		      "-d (a whole address)" },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1",
		  "the tuple is not complete; missing: --sport, --dport" },
		{ "-p sctp -s 10.0.1.1 -d 10.0.2.1 --sport 1",
		  "the tuple is not complete; missing: --dport" },
		{ "-p udplite -s 10.0.1.1 -d 10.0.2.1",
		  "the tuple is not complete; missing: --sport, --dport" },
		{ "-p udp -s 10.0.1.0/24 -d 10.0.2.1 --sport 1 --dport 2",
		  "the tuple is not complete; missing: -s (a whole address)" },
		{ "-p icmp -s 10.0.1.1 -d 10.0.2.1",
		  "the tuple is not complete; missing: --icmp-type, --icmp-id" },
		{ "-p tcp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 --state CLOSE",
		  "--state, -u and -m: no part of a tuple" },
		{ "-p udp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -r 192.0.2.9",
		  "-r, -q, --reply-port-src, --reply-port-dst: there is no such flow: without NAT it is the "
		  "other end of what is said already" },
		{ "-p udp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 --reply-port-dst 3",
		  "-r, -q, --reply-port-src, --reply-port-dst: there is no such flow: without NAT it is the "
		  "other end of what is said already" },
	};
	char want[256];

	CHECK_EQ(parse("-p udp -s 10.0.1.1 -d 10.0.2.1 --sport 1 --dport 2 -r 10.0.2.1 --reply-port-src 2", true), 0);

	log_command("get");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%s", cases[i].options);
		CHECK_EQ(parse(cases[i].options, true), 2);
		snprintf(want, sizeof(want), "ctloader: get: %s\n", cases[i].want);
		CHECK_STR(message, want);
	}
}

CHECK_MAIN()
