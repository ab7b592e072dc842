// SRC: tests/unit/packet.c -lpcap
// TIMEOUT: 300
// SPDX-License-Identifier: GPL-2.0-only
/* The tool that plays a capture through the programs: what it prints of captures made here. */
#include <arpa/inet.h>
#include <ctype.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "packet.h"

#define NANO 1000000000ULL
#define BEGIN (1767225600 * NANO) /* 2026-01-01 */

/* --- captures -------------------------------------------------------------------------------- */

static char file[4096];
static pcap_t *pcap;
static pcap_dumper_t *dumper;
static int link_type;
static uint64_t now; /* ns */
static unsigned int snaplen;
static bool outgoing; /* cooked: what is said is sent by this host */

#define AT(seconds) (now = BEGIN + (uint64_t)((seconds)*NANO))

static void capture_begin(int link)
{
	const char *folder = getenv("TMPDIR");

	snprintf(file, sizeof(file), "%s/replay.pcap", folder ? folder : "/tmp");
	link_type = link;
	snaplen = 262144;
	outgoing = false;
	AT(0);
	pcap = pcap_open_dead_with_tstamp_precision(link, (int)snaplen, PCAP_TSTAMP_PRECISION_NANO);
	dumper = pcap_dump_open(pcap, file);
}

static void capture_bytes(const void *bytes, size_t len)
{
	struct pcap_pkthdr h = { .ts = { .tv_sec = (time_t)(now / NANO),
					 .tv_usec = (suseconds_t)(now % NANO) },
				 .caplen = len > snaplen ? snaplen : (uint32_t)len,
				 .len = (uint32_t)len };

	pcap_dump((u_char *)dumper, &h, bytes);
}

/* What a link type puts in front of an IP packet; its length. */
static size_t link_header(uint8_t h[20], bool v6)
{
	uint8_t type[2] = { v6 ? 0x86 : 0x08, v6 ? 0xdd : 0x00 };

	memset(h, 0, 20);
	switch (link_type) {
	case DLT_LINUX_SLL:
		h[1] = outgoing ? 4 : 0;
		h[3] = 1;
		h[5] = 6;
		memcpy(h + 14, type, 2);
		return 16;
	case DLT_LINUX_SLL2:
		memcpy(h, type, 2);
		h[7] = 3;
		h[9] = 1;
		h[10] = outgoing ? 4 : 0;
		h[11] = 6;
		return 20;
	case DLT_NULL: /* in the byte order of who captured: a PC, and an old Macintosh */
		h[v6 ? 3 : 0] = v6 ? 30 : 2;
		return 4;
	case DLT_LOOP:
		h[3] = v6 ? 24 : 2;
		return 4;
	default:
		return 0;
	}
}

static void capture_packet(const struct pkt *p, bool v6)
{
	static uint8_t frame[PKT_ROOM + 20];
	size_t header;

	if (link_type == DLT_EN10MB) {
		capture_bytes(p->data, p->len);
		return;
	}
	header = link_header(frame, v6);
	memcpy(frame + header, p->data + p->ip, p->len - p->ip);
	capture_bytes(frame, header + p->len - p->ip);
}

static void say(const struct pkt_desc *d)
{
	static struct pkt p;

	pkt_build(&p, d);
	capture_packet(&p, strchr(d->src, ':'));
}

/* From a to b, and back. */
#define A "10.0.1.1"
#define B "10.0.2.1"
#define ORIG(bits, ...)                                                                            \
	say(&(struct pkt_desc){ .src = A, .dst = B, .sport = 1000, .dport = 80,                    \
				.tcp_flags = (bits), __VA_ARGS__ })
#define REPLY(bits, ...)                                                                           \
	say(&(struct pkt_desc){ .src = B, .dst = A, .sport = 80, .dport = 1000,                    \
				.tcp_flags = (bits), __VA_ARGS__ })

static void handshake(void)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101, .win = 1000);
	ORIG(ACK, .seq = 101, .ack = 201, .win = 2000);
}

static void capture_end(void)
{
	if (dumper) {
		pcap_dump_close(dumper);
		pcap_close(pcap);
		dumper = NULL;
	}
}

/* --- what the tool says ---------------------------------------------------------------------- */

static char output[1 << 18];
static int code;

/* End the capture and play it: options before the file, `rest` behind it. */
static void replay(const char *options, const char *rest)
{
	const char *folder = getenv("O");
	char command[8192];
	size_t len;
	FILE *pipe;

	capture_end();
	snprintf(command, sizeof(command), "%s/tests/replay %s %s %s 2>&1", folder ? folder : "build",
		 options, file, rest);
	pipe = popen(command, "r");
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = '\0';
	code = pclose(pipe);
	code = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* The first line that begins so, with single spaces between its words; "" if there is none. */
static const char *line(const char *begin)
{
	static char text[1024];
	const char *at = output;

	while (*at) {
		size_t n = 0;

		for (; *at && *at != '\n'; at++) {
			bool space = isspace((unsigned char)*at);

			if (space && (!n || text[n - 1] == ' '))
				continue;
			if (n < sizeof(text) - 1)
				text[n++] = space ? ' ' : *at;
		}
		at += *at == '\n';
		while (n && text[n - 1] == ' ')
			n--;
		text[n] = '\0';
		if (!strncmp(text, begin, strlen(begin)))
			return text;
	}
	return "";
}

#define WANT_LINE(begin, rest) CHECK_STR(line(begin), begin rest)
#define WANT_NONE(begin)       CHECK_STR(line(begin), "")

/* --- tests ----------------------------------------------------------------------------------- */

// A line says who, flags, numbers, class, direction, and the flow after the packet.
TEST(handshake_in_lines)
{
	capture_begin(DLT_EN10MB);
	ORIG(SYN, .seq = 100);
	AT(0.25);
	REPLY(SYN | ACK, .seq = 200, .ack = 101, .win = 1000);
	AT(0.5);
	ORIG(ACK, .seq = 101, .ack = 201, .win = 2000);
	AT(2);
	ORIG(PSH | ACK, .seq = 101, .ack = 201, .win = 2000, .payload = 10);
	replay("", "");
	CHECK_EQ(code, 0);
	WANT_LINE("1 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp S 100:100 win 65535 "
			"new original SYN_SENT 120");
	WANT_LINE("2 ", "0.250000 10.0.2.1.80 > 10.0.1.1.1000 tcp S. 200:200 ack 101 win 1000 "
			"established reply SYN_RECV 60 SEEN_REPLY");
	WANT_LINE("3 ", "0.500000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 101:101 ack 201 win 2000 "
			"established original ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("4 ", "2.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp P. 101:111 ack 201 win 2000 "
			"established original ESTABLISHED 300 SEEN_REPLY,ASSURED");
	WANT_LINE("4 packets", " played in 2.000000 s, 4 at xdp");
	WANT_LINE("new", " 1");
	WANT_LINE("established", " 3");
	WANT_LINE("flows:", " 1 begun, 1 now");
}

// Of a refused packet it says why, and the bound that it breaks as it was before.
TEST(windows_that_were_broken)
{
	capture_begin(DLT_EN10MB);
	handshake();
	ORIG(ACK, .seq = 1102, .ack = 201, .win = 2000, .payload = 2000);
	ORIG(ACK, .seq = 101, .ack = 260, .win = 2000);
	REPLY(ACK, .seq = 201, .ack = 101, .win = 1000);
	REPLY(RST, .seq = 150);
	REPLY(SYN, .seq = 5000);
	replay("--check", "");
	CHECK_EQ(code, 1);
	WANT_LINE("4 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 1102:3102 ack 201 win 2000 "
			"invalid original ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("tcp_seq_over", ": beyond the window that the receiver offered");
	WANT_LINE("before it:", " ESTABLISHED, 432000 s left");
	/* a may send up to b's ACK plus b's window; b, up to a's. */
	WANT_LINE("S (original):", " end 101 maxend 1101 maxwin 65535 maxack 201 scale 0");
	WANT_LINE("R (reply):", " end 201 maxend 2201 maxwin 1000 maxack 101 scale 0");
	WANT_LINE("I:", " seq 1102 > S.maxend 1101, by 1");
	WANT_LINE("tcp_ack_over", ": acknowledges data that has not been seen");
	WANT_LINE("III:", " ack 260 > R.end 201, by 59");
	WANT_LINE("6 ", "0.000000 10.0.2.1.80 > 10.0.1.1.1000 tcp . 201:201 ack 101 win 1000 "
			"established reply ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("RST:", " seq 150 < R.maxack 201, by 51");
	WANT_LINE("1 tcp_state", " a TCP packet that the state table refuses");
	WANT_LINE("invalid", " 4");
}

// Without a refused packet nothing is said of windows, unless -v asks; --check is content.
TEST(windows_on_demand)
{
	capture_begin(DLT_EN10MB);
	handshake();
	replay("--check", "");
	CHECK_EQ(code, 0);
	WANT_NONE("before it:");
	replay("-v", "");
	WANT_LINE("before it:", " SYN_SENT, 120 s left");
	WANT_LINE("S (reply):", " not seen yet; end 0 maxend 65535");
}

// Every link type carries the same packets, over IPv4 and IPv6; what is no Ethernet goes to tc.
TEST(link_types)
{
	static const struct {
		int link;
		bool v4, v6;
		const char *hook;
	} rows[] = {
		{ DLT_EN10MB, true, true, "xdp" },	  { DLT_LINUX_SLL, true, true, "ingress" },
		{ DLT_LINUX_SLL2, true, true, "ingress" }, { DLT_RAW, true, true, "ingress" },
		{ DLT_NULL, true, true, "ingress" },	  { DLT_LOOP, true, true, "ingress" },
		{ DLT_IPV4, true, false, "ingress" },	  { DLT_IPV6, false, true, "ingress" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char played[64];

		CHECK_CASE("%s", pcap_datalink_val_to_name(rows[i].link));
		capture_begin(rows[i].link);
		if (rows[i].v4)
			handshake();
		if (rows[i].v6) {
			say(&(struct pkt_desc){ .src = "fd00::1", .dst = "fd00::2", .sport = 7,
						.dport = 53, .payload = 9 });
			say(&(struct pkt_desc){ .src = "fd00::2", .dst = "fd00::1", .sport = 53,
						.dport = 7, .payload = 9 });
		}
		replay("", "");
		CHECK_EQ(code, 0);
		if (rows[i].v4)
			WANT_LINE("3 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 101:101 ack 201 "
					"win 2000 established original ESTABLISHED 432000 "
					"SEEN_REPLY,ASSURED");
		if (rows[i].v6) {
			CHECK(strstr(output, "fd00::1.7 > fd00::2.53 udp length 57 "));
			CHECK(strstr(output, "fd00::2.53 > fd00::1.7 udp length 57 "));
		}
		snprintf(played, sizeof(played), "%d at %s", rows[i].v4 * 3 + rows[i].v6 * 2,
			 rows[i].hook);
		CHECK(strstr(output, played));
		snprintf(played, sizeof(played), "flows: %d begun", rows[i].v4 + rows[i].v6);
		CHECK(strstr(output, played));
	}
}

// Nothing is made of a link type that it does not know.
TEST(unknown_link_type)
{
	capture_begin(DLT_IEEE802_11);
	capture_bytes("0123456789", 10);
	replay("", "");
	CHECK_EQ(code, 2);
	CHECK(strstr(output, "a link type that we can't play"));
}

static void put32(FILE *f, uint32_t value)
{
	fwrite(&value, sizeof(value), 1, f);
}

// pcapng, with nanoseconds: a section, an interface (if_tsresol 9), a packet.
TEST(pcapng)
{
	static struct pkt p;
	uint32_t padded;
	FILE *f;

	capture_begin(DLT_EN10MB);
	capture_end();
	pkt_build(&p, &(struct pkt_desc){ .src = A, .dst = B, .sport = 1, .dport = 2, .payload = 3 });
	padded = ((uint32_t)p.len + 3) & ~3U;
	f = fopen(file, "w");
	for (uint32_t i = 0; i < 7; i++)
		put32(f, (uint32_t[]){ 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0U, ~0U, 28 }[i]);
	for (uint32_t i = 0; i < 8; i++)
		put32(f, (uint32_t[]){ 1, 32, DLT_EN10MB, 65535, 9 | 1 << 16, 9, 0, 32 }[i]);
	for (int i = 0; i < 2; i++) {
		uint64_t ns = BEGIN + (i ? 1000001999 : 0);

		put32(f, 6);
		put32(f, 32 + padded);
		put32(f, 0);
		put32(f, (uint32_t)(ns >> 32));
		put32(f, (uint32_t)ns);
		put32(f, (uint32_t)p.len);
		put32(f, (uint32_t)p.len);
		fwrite(p.data, padded, 1, f);
		put32(f, 32 + padded);
	}
	fclose(f);
	replay("-o json", "| jq -r '.time,.flow.timeout,.class' | tr '\\n' ' '");
	CHECK_STR(output, "2026-01-01T00:00:00.000000Z 30 new 2026-01-01T00:00:01.000001Z 30 new "
			  "null null null ");
}

// What the capture left out is zeros, so that lengths hold; where headers are missing, no guess.
TEST(cut_off)
{
	capture_begin(DLT_EN10MB);
	handshake();
	snaplen = 60;
	ORIG(ACK, .seq = 101, .ack = 201, .win = 2000, .payload = 500);
	snaplen = 262144;
	REPLY(ACK, .seq = 201, .ack = 601, .win = 1000);
	snaplen = 40;
	ORIG(ACK, .seq = 601, .ack = 201, .win = 2000, .payload = 500);
	replay("--check", "");
	CHECK_EQ(code, 0);
	WANT_LINE("4 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 101:601 ack 201 win 2000 "
			"established original ESTABLISHED 300 SEEN_REPLY,ASSURED");
	WANT_LINE("60 bytes", " captured of 554, the rest played as zeros");
	/* It would acknowledge what was never sent, had the length been lost. */
	WANT_LINE("5 ", "0.000000 10.0.2.1.80 > 10.0.1.1.1000 tcp . 201:201 ack 601 win 1000 "
			"established reply ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("6 ", "0.000000 10.0.1.1 > 10.0.2.1 tcp length 540 "
			"not played: the capture ends inside its headers");
	WANT_LINE("5 packets", " played in 0.000000 s, 5 at xdp");
	WANT_LINE("ctloader: replay: 1 packet not captured whole:",
		  " zeros stood for the rest, and checksums could not be checked (use tcpdump -s 0)");
	WANT_LINE("ctloader: replay: 1 packet not played:",
		  " the capture ends inside their headers (use tcpdump -s 0)");
}

#define UDP_ORIG()                                                                                 \
	say(&(struct pkt_desc){ .src = A, .dst = B, .sport = 5, .dport = 53, .payload = 1 })
#define UDP_REPLY()                                                                                \
	say(&(struct pkt_desc){ .src = B, .dst = A, .sport = 53, .dport = 5, .payload = 1 })

/* An event, told between the flow's end and two seconds later, as the sweep promises. */
static void want_event(double at, const char *text)
{
	char second[32];

	for (int i = 0; i <= 2; i++) {
		const char *rest;

		snprintf(second, sizeof(second), "%d.000000 ", (int)at + i);
		rest = line(second);
		if (*rest && (int)at + i >= at) {
			CHECK_STR(rest + strlen(second), text);
			return;
		}
	}
	CHECK_STR("no such event", text);
}

// Time is the capture's: a flow ends when it did, between the packets, also after days of silence.
TEST(time_passes)
{
	capture_begin(DLT_EN10MB);
	UDP_ORIG();
	AT(29.9);
	UDP_ORIG();
	AT(65);
	UDP_REPLY();
	AT(86400 * 5);
	UDP_REPLY();
	replay("-e", "");
	CHECK_EQ(code, 0);
	WANT_LINE("1 ", "0.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 30");
	WANT_LINE("2 ", "29.900000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 30");
	want_event(59.9, "[DESTROY] udp 17 src=10.0.1.1 dst=10.0.2.1 sport=5 dport=53 "
			 "packets=2 bytes=58 [UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=53 "
			 "dport=5 packets=0 bytes=0 timeout");
	WANT_LINE("3 ", "65.000000 10.0.2.1.53 > 10.0.1.1.5 udp length 29 new original - 30");
	WANT_LINE("65.000000 ", "[NEW] udp 17 30 src=10.0.2.1 dst=10.0.1.1 sport=53 dport=5 "
				"[UNREPLIED] src=10.0.1.1 dst=10.0.2.1 sport=5 dport=53");
	want_event(95, "[DESTROY] udp 17 src=10.0.2.1 dst=10.0.1.1 sport=53 dport=5 "
		       "packets=1 bytes=29 [UNREPLIED] src=10.0.1.1 dst=10.0.2.1 sport=5 "
		       "dport=53 packets=0 bytes=0 timeout");
	WANT_LINE("4 ", "432000.000000 10.0.2.1.53 > 10.0.1.1.5 udp length 29 new original - 30");
	WANT_LINE("flows:", " 3 begun, 1 now, 2 ended (timeout)");
}

// The clock does not go back where a capture does.
TEST(time_goes_back)
{
	capture_begin(DLT_EN10MB);
	UDP_ORIG();
	AT(20);
	UDP_ORIG();
	AT(10);
	UDP_ORIG();
	replay("", "");
	WANT_LINE("3 ", "10.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 30");
	WANT_LINE("ctloader: replay: 1 packet older", " than the one before: played at that one's time");
}

// Packets that the host sent are played where it sends: by address, or as a cooked capture says.
TEST(both_directions)
{
	capture_begin(DLT_EN10MB);
	handshake();
	replay("--egress fd00::/16 --egress 10.0.2.0/24", "");
	WANT_LINE("3 packets", " played in 0.000000 s, 2 at xdp, 1 at egress");
	WANT_LINE("established", " 2");
	replay("--hook tc --egress 10.0.1.1", "");
	WANT_LINE("3 packets", " played in 0.000000 s, 1 at ingress, 2 at egress");

	capture_begin(DLT_LINUX_SLL2);
	UDP_ORIG();
	outgoing = true;
	UDP_REPLY();
	replay("", "");
	WANT_LINE("2 packets", " played in 0.000000 s, 1 at ingress, 1 at egress");
	WANT_LINE("established", " 1");
	replay("", "inbound");
	WANT_LINE("1 packets", " played in 0.000000 s, 1 at ingress");
}

// An expression, or a range, chooses what is played; --only what is shown. Numbers are the file's.
TEST(choices)
{
	capture_begin(DLT_EN10MB);
	handshake();
	UDP_ORIG();
	ORIG(ACK, .seq = 9999, .ack = 201);
	replay("", "udp port 53");
	WANT_LINE("4 ", "0.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 30");
	WANT_LINE("1 packets", " played in 0.000000 s, 1 at xdp");
	replay("-n 3-4", "");
	WANT_LINE("3 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 101:101 ack 201 win 2000 "
			"new original ESTABLISHED 300");
	WANT_LINE("2 packets", " played in 0.000000 s, 2 at xdp");
	replay("-n 4-", "");
	WANT_LINE("2 packets", " played in 0.000000 s, 2 at xdp");
	replay("--only invalid,new", "");
	WANT_LINE("1 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp S 100:100 win 65535 "
			"new original SYN_SENT 120");
	WANT_NONE("2 ");
	WANT_LINE("5 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 9999:9999 ack 201 win 65535 "
			"invalid original ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("5 packets", " played in 0.000000 s, 5 at xdp");
}

// Settings, by the kernel's names too, and the zone are in force from the first packet on.
TEST(settings)
{
	capture_begin(DLT_EN10MB);
	ORIG(ACK, .seq = 101, .ack = 201);
	UDP_ORIG();
	replay("--set tcp_loose=0 --set drop_invalid=1 --set frag_early=drop --set nf_conntrack_udp_timeout=7 "
	       "--zone 9", "");
	WANT_LINE("1 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp . 101:101 ack 201 win 65535 invalid");
	WANT_LINE("tcp_no_syn", ": a connection that does not begin with a SYN");
	WANT_LINE("dropped", "");
	WANT_LINE("2 ", "0.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 7");
	replay("--zone 9 --flows", "udp");
	WANT_LINE("udp ", "17 30 src=10.0.1.1 dst=10.0.2.1 sport=5 dport=53 packets=1 bytes=29 "
			  "[UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=53 dport=5 packets=0 bytes=0 "
			  "mark=0 zone=9 use=1");
}

// A wrong word ends it before anything is played.
TEST(wrong_usage)
{
	static const char *const wrong[] = {
		"--set tcp_lose=0", "--set tcp_loose=2", "--set tcp_loose", "--set full=1", "--hook egress",
		"--egress 10.0.0.0/33", "--only fine", "-n 5-4", "-n 0", "-n -", "-o xml", "--zone x",
		"--nothing",
	};

	capture_begin(DLT_EN10MB);
	UDP_ORIG();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_CASE("%s", wrong[i]);
		replay(wrong[i], "");
		CHECK_EQ(code, 2);
		WANT_NONE("1 ");
	}
	CHECK_CASE("an expression");
	replay("", "nonsense");
	CHECK_EQ(code, 2);
	CHECK_CASE("no file");
	unlink(file);
	replay("", "");
	CHECK_EQ(code, 2);
}

// A capture that ends in the middle of a packet is played up to there, and the end is not fine.
TEST(broken_file)
{
	capture_begin(DLT_EN10MB);
	UDP_ORIG();
	UDP_REPLY();
	capture_end();
	CHECK_EQ(truncate(file, 24 + 16 + 43 + 16 + 20), 0);
	replay("", "");
	CHECK_EQ(code, 2);
	WANT_LINE("1 ", "0.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 new original - 30");
	WANT_LINE("1 packets", " played in 0.000000 s, 1 at xdp");
	CHECK(strstr(output, "packet 2: truncated"));
}

// What the capturing host glued together is played as it was on the wire, and counts as one line.
TEST(glued_together)
{
	capture_begin(DLT_EN10MB);
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101, .win = 65535);
	ORIG(PSH | ACK, .seq = 101, .ack = 201, .payload = 20000);
	REPLY(ACK, .seq = 201, .ack = 20101);
	say(&(struct pkt_desc){ .src = A, .dst = B, .sport = 5, .dport = 53, .payload = 8000 });
	replay("--flows --check", "");
	CHECK_EQ(code, 0);
	WANT_LINE("3 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp P. 101:20101 ack 201 win 65535 "
			"established original ESTABLISHED 300 SEEN_REPLY,ASSURED");
	WANT_LINE("played as", " 14 segments");
	/* All of it has been seen, or this would acknowledge too much. */
	WANT_LINE("4 ", "0.000000 10.0.2.1.80 > 10.0.1.1.1000 tcp . 201:201 ack 20101 win 65535 "
			"established reply ESTABLISHED 432000 SEEN_REPLY,ASSURED");
	WANT_LINE("tcp ", "6 432000 ESTABLISHED src=10.0.1.1 dst=10.0.2.1 sport=1000 dport=80 "
			  "packets=15 bytes=20600 src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 "
			  "packets=2 bytes=80 [ASSURED] mark=0 use=1");
	WANT_LINE("8042 bytes,", " played as 3500");
	WANT_LINE("new", " 2");
}

// Of segments the first that is refused is told of.
TEST(glued_beyond_the_window)
{
	capture_begin(DLT_EN10MB);
	handshake();
	ORIG(PSH | ACK, .seq = 101, .ack = 201, .win = 2000, .payload = 4000);
	replay("", "");
	WANT_LINE("4 ", "0.000000 10.0.1.1.1000 > 10.0.2.1.80 tcp P. 101:4101 ack 201 win 2000 "
			"invalid original ESTABLISHED 300 SEEN_REPLY,ASSURED");
	/* Room for 1000 bytes: the first segment begins inside, the second does not. */
	WANT_LINE("of the packet, this piece:", " seq 1549, 1448 bytes");
	WANT_LINE("I:", " seq 1549 > S.maxend 1101, by 448");
}

// What is not IP, and what is for another host, is nobody's; errors and fragments say about what.
TEST(others)
{
	static const uint8_t arp[42] = { [12] = 0x08, [13] = 0x06 };
	static uint8_t other[64] = { [1] = 3, [14] = 0x08 };
	static struct pkt p, whole;

	capture_begin(DLT_EN10MB);
	capture_bytes(arp, sizeof(arp));
	capture_bytes(arp, 5);
	UDP_ORIG();
	pkt_build(&whole, &(struct pkt_desc){ .src = A, .dst = B, .sport = 5, .dport = 53,
					      .payload = 1 });
	say(&(struct pkt_desc){ .src = "10.0.2.9", .dst = A, .proto = IPPROTO_ICMP, .icmp_type = 3,
				.icmp_code = 3, .quote = &whole });
	say(&(struct pkt_desc){ .src = A, .dst = B, .proto = IPPROTO_ICMP, .icmp_type = 8,
				.icmp_id = 77 });
	pkt_build(&whole, &(struct pkt_desc){ .src = A, .dst = B, .sport = 6, .dport = 53,
					      .payload = 100 });
	pkt_fragment(&p, &whole, 64, 16, 1);
	capture_packet(&p, false);
	replay("", "");
	WANT_LINE("1 ", "0.000000 not IP, 42 bytes -");
	WANT_LINE("2 ", "0.000000 5 bytes of 5 not played: too short for the kernel's test_run");
	WANT_LINE("4 ", "0.000000 10.0.2.9 > 10.0.1.1 icmp type 3 code 3 id 0 length 57 about "
			"10.0.1.1.5 > 10.0.2.1.53 udp related reply - 30");
	WANT_LINE("5 ", "0.000000 10.0.1.1 > 10.0.2.1 icmp type 8 code 0 id 77 length 28 "
			"new original - 30");
	WANT_LINE("6 ", "0.000000 10.0.1.1 > 10.0.2.1 udp length 36 untracked");

	capture_begin(DLT_LINUX_SLL);
	pkt_build(&whole, &(struct pkt_desc){ .src = A, .dst = B, .sport = 5, .dport = 53,
					      .payload = 1 });
	memcpy(other + 16, whole.data + whole.ip, whole.len - whole.ip);
	capture_bytes(other, 16 + whole.len - whole.ip);
	replay("", "");
	WANT_LINE("1 ", "0.000000 10.0.1.1.5 > 10.0.2.1.53 udp length 29 - for another host");
}

// As JSON the same: an object for each packet, event and flow, and the summary.
TEST(json)
{
	capture_begin(DLT_EN10MB);
	handshake();
	ORIG(ACK, .seq = 1102, .ack = 201, .win = 2000, .payload = 2000);
	replay("-o json -e --flows",
	       "| jq -c 'if .packet == 4 then [.class,.reason,.direction,.flow.state,.tcp,.window.rule,"
	       ".window.number,.window.bound,.window.limit,.window.receiver.maxwin,.before.state] "
	       "elif .packet then [.packet,.class,.flow.state,.flow.assured] "
	       "elif .event then [.event,.flow.state] "
	       "elif .summary then [.summary.packets.invalid,.summary.reasons,.summary.flows] "
	       "else [.flow.state,.flow.original.sport] end'");
	CHECK_STR(output, "[1,\"new\",\"SYN_SENT\",false]\n"
			  "[\"new\",\"SYN_SENT\"]\n"
			  "[2,\"established\",\"SYN_RECV\",false]\n"
			  "[\"update\",\"SYN_RECV\"]\n"
			  "[3,\"established\",\"ESTABLISHED\",true]\n"
			  "[\"update\",\"ESTABLISHED\"]\n"
			  "[\"invalid\",\"tcp_seq_over\",\"original\",\"ESTABLISHED\","
			  "{\"flags\":\".\",\"seq\":1102,\"payload\":2000,\"ack\":201,\"win\":2000},"
			  "\"I\",1102,\"S.maxend\",1101,1000,\"ESTABLISHED\"]\n"
			  "[\"ESTABLISHED\",1000]\n"
			  "[1,{\"tcp_seq_over\":1},1]\n");
}

CHECK_MAIN()
