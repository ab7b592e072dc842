/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets for tests; see packet.h. */
#include "packet.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

enum kind { ETH, VLAN, IP4, IP6, EXT, TCP, UDP, UDPLITE, SCTP, GRE, ICMP };

#define IP4_HLEN 20
#define IP6_HLEN 40
#define TCP_HLEN 20
#define UDP_HLEN 8
#define SCTP_HLEN 12

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "pkt: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

uint16_t pkt_get16(const struct pkt *p, size_t at)
{
	return p->data[at] << 8 | p->data[at + 1];
}

uint32_t pkt_get32(const struct pkt *p, size_t at)
{
	return (uint32_t)pkt_get16(p, at) << 16 | pkt_get16(p, at + 2);
}

static void put16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = value >> 8;
	bytes[1] = value;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, value >> 16);
	put16(bytes + 2, value);
}

void pkt_set16(struct pkt *p, size_t at, uint16_t value)
{
	put16(p->data + at, value);
}

void pkt_set32(struct pkt *p, size_t at, uint32_t value)
{
	put32(p->data + at, value);
}

/* `len` zero bytes more; where they begin. */
static size_t extend(struct pkt *p, size_t len)
{
	size_t at = p->len;

	if (len > sizeof(p->data) - at)
		wrong("a packet of %zu bytes is too long", at + len);
	memset(p->data + at, 0, len);
	p->len += len;
	return at;
}

/* The last layer, which has to be of this kind and still the end of the packet. */
static struct pkt_layer *last(struct pkt *p, enum kind kind)
{
	struct pkt_layer *l = p->layers ? &p->layer[p->layers - 1] : NULL;

	if (!l || l->kind != kind || l->at + l->len != p->len)
		wrong("there is no such header to change at the end of the packet");
	return l;
}

void pkt_next(struct pkt *p, uint16_t number)
{
	if (p->next_size == 2)
		pkt_set16(p, p->next_at, number);
	else if (p->next_size == 1)
		p->data[p->next_at] = number;
	p->next_size = 0;
}

/*
 * A header more: named `number` by the one before it, naming its own successor at offset `next`
 * with `next_size` bytes. Where it begins.
 */
static size_t push(struct pkt *p, enum kind kind, uint16_t number, size_t len, size_t next,
		   unsigned int next_size)
{
	size_t at = extend(p, len);

	if (p->layers == PKT_LAYERS)
		wrong("more than %d headers", PKT_LAYERS);
	p->layer[p->layers++] = (struct pkt_layer){ .kind = kind, .len = len, .at = at };
	pkt_next(p, number);
	p->next_at = at + next;
	p->next_size = next_size;
	return at;
}

/* The same for a header behind IP, which names nothing that we build. */
static size_t push_l4(struct pkt *p, enum kind kind, uint16_t number, size_t len)
{
	size_t at = push(p, kind, number, len, 0, 0);

	if (p->l4 == PKT_ABSENT) {
		p->l4 = at;
		p->payload = p->len;
	}
	return at;
}

/* Options that belong to the header just made. */
static size_t push_options(struct pkt *p, struct pkt_layer *l, size_t len)
{
	size_t at = extend(p, len);

	l->len += len;
	if (p->l4 == l->at)
		p->payload = p->len;
	return at;
}

/* The IP header that layer `i` is inside of. */
static const struct pkt_layer *ip_above(const struct pkt *p, unsigned int i)
{
	while (i-- > 0)
		if (p->layer[i].kind == IP4 || p->layer[i].kind == IP6)
			return &p->layer[i];
	return NULL;
}

void pkt_start(struct pkt *p)
{
	p->len = 0;
	p->eth = p->ip = p->l4 = p->payload = PKT_ABSENT;
	p->layers = 0;
	p->next_at = 0;
	p->next_size = 0;
}

/* Something behind IP that has no builder of its own here begins. */
static void note_l4(struct pkt *p)
{
	if (p->ip != PKT_ABSENT && p->l4 == PKT_ABSENT)
		p->l4 = p->payload = p->len;
}

static void put_mac(struct pkt *p, size_t at, const char *text)
{
	uint8_t *m = p->data + at;

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
		wrong("%s is not a MAC address", text);
}

void pkt_eth(struct pkt *p, const char *dst, const char *src)
{
	size_t at = push(p, ETH, ETH_P_TEB, ETH_HLEN, 12, 2);

	put_mac(p, at, dst ? dst : "02:00:00:00:00:02");
	put_mac(p, at + ETH_ALEN, src ? src : "02:00:00:00:00:01");
	if (p->eth == PKT_ABSENT)
		p->eth = at;
}

void pkt_vlan(struct pkt *p, uint16_t tpid, uint16_t vid)
{
	size_t at = push(p, VLAN, tpid, 4, 2, 2);

	pkt_set16(p, at, vid);
}

static void put_addr(struct pkt *p, size_t at, int family, const char *text)
{
	if (inet_pton(family, text, p->data + at) != 1)
		wrong("%s is not an %s address", text, family == AF_INET ? "IPv4" : "IPv6");
}

/* The number by which the header in front announces IP: an EtherType or a protocol. */
static uint16_t ip_number(const struct pkt *p, uint16_t ethertype, uint8_t proto)
{
	return p->next_size == 1 ? proto : ethertype;
}

void pkt_ip4(struct pkt *p, const char *src, const char *dst)
{
	size_t at;

	note_l4(p);
	at = push(p, IP4, ip_number(p, ETH_P_IP, IPPROTO_IPIP), IP4_HLEN, 9, 1);
	p->data[at] = 0x45;
	p->data[at + 8] = 64;
	put_addr(p, at + 12, AF_INET, src);
	put_addr(p, at + 16, AF_INET, dst);
	if (p->ip == PKT_ABSENT)
		p->ip = at;
}

void pkt_ip4_options(struct pkt *p, size_t len)
{
	struct pkt_layer *l = last(p, IP4);

	if (len % 4 || len > 40)
		wrong("%zu bytes of IPv4 options", len);
	memset(p->data + push_options(p, l, len), 1, len);
	p->data[l->at] = 0x40 | l->len / 4;
}

void pkt_ip4_fragment(struct pkt *p, size_t offset, bool more, uint16_t id)
{
	struct pkt_layer *l = last(p, IP4);

	if (offset % 8 || offset > 65528)
		wrong("%zu is no fragment offset", offset);
	pkt_set16(p, l->at + 4, id);
	pkt_set16(p, l->at + 6, offset / 8 | (more ? 0x2000 : 0));
}

void pkt_ip6(struct pkt *p, const char *src, const char *dst)
{
	size_t at;

	note_l4(p);
	at = push(p, IP6, ip_number(p, ETH_P_IPV6, IPPROTO_IPV6), IP6_HLEN, 6, 1);
	p->data[at] = 0x60;
	p->data[at + 6] = IPPROTO_NONE;
	p->data[at + 7] = 64;
	put_addr(p, at + 8, AF_INET6, src);
	put_addr(p, at + 24, AF_INET6, dst);
	if (p->ip == PKT_ABSENT)
		p->ip = at;
}

void pkt_ext(struct pkt *p, uint8_t type, size_t len)
{
	size_t at, room;

	if (len % 8 || len < 8 || len > 2048)
		wrong("an extension header of %zu bytes", len);
	at = push(p, EXT, type, len, 0, 1);
	p->data[at] = IPPROTO_NONE;
	p->data[at + 1] = len / 8 - 1;
	if (type != IPPROTO_HOPOPTS && type != IPPROTO_DSTOPTS)
		return; /* zero inside: routing type 0 with no segments left, mobility "refresh" */
	for (at += 2; at < p->len; at += room) { /* PadN, 257 bytes at most; never 1 byte left */
		room = p->len - at;
		if (room > 257)
			room = room == 258 ? 256 : 257;
		p->data[at] = 1;
		p->data[at + 1] = room - 2;
	}
}

void pkt_frag6(struct pkt *p, size_t offset, bool more, uint32_t id)
{
	size_t at;

	if (offset % 8 || offset > 65528)
		wrong("%zu is no fragment offset", offset);
	at = push(p, EXT, IPPROTO_FRAGMENT, 8, 0, 1);
	p->data[at] = IPPROTO_NONE;
	pkt_set16(p, at + 2, offset | more);
	pkt_set32(p, at + 4, id);
}

void pkt_ah(struct pkt *p, uint32_t spi, size_t icv)
{
	size_t at;

	if (icv % 4 || icv > 1008)
		wrong("%zu bytes of authentication", icv);
	at = push(p, EXT, IPPROTO_AH, 12 + icv, 0, 1);
	p->data[at] = IPPROTO_NONE;
	p->data[at + 1] = (12 + icv) / 4 - 2;
	pkt_set32(p, at + 4, spi);
	pkt_set32(p, at + 8, 1);
}

void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, uint8_t flags, uint32_t seq,
	     uint32_t ack, uint16_t win)
{
	size_t at = push_l4(p, TCP, IPPROTO_TCP, TCP_HLEN);

	pkt_set16(p, at, sport);
	pkt_set16(p, at + 2, dport);
	pkt_set32(p, at + 4, seq);
	pkt_set32(p, at + 8, ack);
	p->data[at + 12] = 0x50;
	p->data[at + 13] = flags;
	pkt_set16(p, at + 14, win);
}

/* The edges of a SACK option: "100:200 300:400". The option's length, 0 if the text is wrong. */
static size_t tcp_sack(uint8_t *bytes, const char *text)
{
	size_t n = 2;
	unsigned int left, right;
	int used;

	for (; n < 34 && sscanf(text, "%u:%u%n", &left, &right, &used) == 2; text += used, n += 8) {
		put32(bytes + n, left);
		put32(bytes + n + 4, right);
	}
	put16(bytes, 5 << 8 | n);
	return *text ? 0 : n;
}

static size_t tcp_hex(uint8_t *bytes, const char *text)
{
	size_t n = 0;

	for (; n < 40 && sscanf(text, "%2hhx", bytes + n) == 1; n++)
		text += 2;
	return *text ? 0 : n;
}

/* One option into `bytes`, which hold 40. Its length, 0 if the text is wrong. */
static size_t tcp_option(uint8_t *bytes, const char *text)
{
	unsigned int a, b;

	if (!strcmp(text, "eol") || !strcmp(text, "nop")) {
		bytes[0] = text[0] == 'n';
		return 1;
	}
	if (!strcmp(text, "sackOK")) {
		put16(bytes, 4 << 8 | 2);
		return 2;
	}
	if (sscanf(text, "wscale %u", &a) == 1) {
		put16(bytes, 3 << 8 | 3);
		bytes[2] = a;
		return 3;
	}
	if (sscanf(text, "mss %u", &a) == 1) {
		put16(bytes, 2 << 8 | 4);
		put16(bytes + 2, a);
		return 4;
	}
	if (sscanf(text, "TS val %u ecr %u", &a, &b) == 2) {
		put16(bytes, 8 << 8 | 10);
		put32(bytes + 2, a);
		put32(bytes + 6, b);
		return 10;
	}
	if (!strncmp(text, "sack ", 5))
		return tcp_sack(bytes, text + 5);
	if (!strncmp(text, "hex ", 4))
		return tcp_hex(bytes, text + 4);
	return 0;
}

void pkt_tcp_options(struct pkt *p, const char *options)
{
	struct pkt_layer *l = last(p, TCP);
	uint8_t bytes[40 + 40] = { 0 };
	char text[256], *save, *t;
	size_t len = 0, n, at;

	snprintf(text, sizeof(text), "%s", options);
	for (t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		n = tcp_option(bytes + len, t + strspn(t, " "));
		if (!n)
			wrong("\"%s\" is no TCP option", t);
		len += n;
		if (len > 40)
			wrong("TCP options \"%s\" are longer than 40 bytes", options);
	}
	len = (len + 3) & ~3UL;
	at = push_options(p, l, len);
	memcpy(p->data + at, bytes, len);
	p->data[l->at + 12] = l->len / 4 << 4;
}

void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport)
{
	size_t at = push_l4(p, UDP, IPPROTO_UDP, UDP_HLEN);

	pkt_set16(p, at, sport);
	pkt_set16(p, at + 2, dport);
}

void pkt_udp_no_checksum(struct pkt *p)
{
	last(p, UDP)->no_checksum = true;
}

void pkt_udplite(struct pkt *p, uint16_t sport, uint16_t dport, uint16_t coverage)
{
	size_t at = push_l4(p, UDPLITE, IPPROTO_UDPLITE, UDP_HLEN);

	pkt_set16(p, at, sport);
	pkt_set16(p, at + 2, dport);
	pkt_set16(p, at + 4, coverage);
}

void pkt_sctp(struct pkt *p, uint16_t sport, uint16_t dport, uint32_t vtag)
{
	size_t at = push_l4(p, SCTP, IPPROTO_SCTP, SCTP_HLEN);

	pkt_set16(p, at, sport);
	pkt_set16(p, at + 2, dport);
	pkt_set32(p, at + 4, vtag);
}

static const char *const sctp_chunks[] = {
	"data",	    "init",	   "init_ack",	  "sack",  "heartbeat",	  "heartbeat_ack",
	"abort",    "shutdown",	   "shutdown_ack", "error", "cookie_echo", "cookie_ack",
	"ecne",	    "cwr",	   "shutdown_complete",
};

/* The type of a chunk by its name, with what stands behind that. */
static unsigned int sctp_type(const char *text, const char **rest)
{
	size_t len = strcspn(text, " ");
	unsigned int type;
	int used;

	for (type = 0; type < sizeof(sctp_chunks) / sizeof(sctp_chunks[0]); type++)
		if (strlen(sctp_chunks[type]) == len && !strncmp(text, sctp_chunks[type], len)) {
			*rest = text + len;
			return type;
		}
	if (sscanf(text, "type %u%n", &type, &used) != 1 || type > 255)
		wrong("\"%s\" is no SCTP chunk", text);
	*rest = text + used;
	return type;
}

/* RFC 9260 3.3: what a chunk of this type has behind its header, at least. */
static size_t sctp_body(unsigned int type)
{
	switch (type) {
	case 0: /* data: TSN, stream, sequence, protocol */
		return 12;
	case 1: /* init: tag, window, streams, TSN */
	case 2:
		return 16;
	case 3: /* sack: TSN, window, two counts */
		return 12;
	case 7: /* shutdown: TSN */
		return 4;
	default:
		return 0;
	}
}

static void sctp_chunk(struct pkt *p, struct pkt_layer *l, const char *text)
{
	const char *rest;
	unsigned int type = sctp_type(text, &rest);
	bool init = type == 1 || type == 2;
	unsigned int value = 0;
	size_t at, len;

	rest += strspn(rest, " ");
	if (*rest && strcmp(rest, "T") && sscanf(rest, "%i", (int *)&value) != 1)
		wrong("\"%s\" is no SCTP chunk", text);
	len = 4 + sctp_body(type) + (init ? 0 : value);
	at = push_options(p, l, (len + 3) & ~3UL);
	p->data[at] = type;
	p->data[at + 1] = type == 0 ? 3 : !strcmp(rest, "T"); /* data: first and last piece */
	pkt_set16(p, at + 2, len);
	if (init) {
		pkt_set32(p, at + 4, value);
		pkt_set32(p, at + 8, 65535);
		pkt_set32(p, at + 12, 10 << 16 | 10);
		pkt_set32(p, at + 16, value);
	}
}

static void sctp_hex(struct pkt *p, struct pkt_layer *l, const char *text)
{
	for (; *text; text += 2)
		if (sscanf(text, "%2hhx", p->data + push_options(p, l, 1)) != 1)
			wrong("\"%s\" is not hexadecimal", text);
}

void pkt_sctp_chunks(struct pkt *p, const char *chunks)
{
	struct pkt_layer *l = last(p, SCTP);
	char text[1024], *save, *t;

	if ((size_t)snprintf(text, sizeof(text), "%s", chunks) >= sizeof(text))
		wrong("too many SCTP chunks");
	for (t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		t += strspn(t, " ");
		if (!strncmp(t, "hex ", 4))
			sctp_hex(p, l, t + 4);
		else
			sctp_chunk(p, l, t);
	}
}

void pkt_gre(struct pkt *p, uint16_t proto, uint32_t key)
{
	size_t at = push_l4(p, GRE, IPPROTO_GRE, key ? 8 : 4);

	pkt_set16(p, at, key ? 0x2000 : 0);
	pkt_set16(p, at + 2, proto);
	if (key)
		pkt_set32(p, at + 4, key);
}

void pkt_pptp(struct pkt *p, uint16_t call_id)
{
	size_t at = push_l4(p, GRE, IPPROTO_GRE, 12);

	pkt_set16(p, at, 0x3001); /* with a key and a sequence number */
	pkt_set16(p, at + 2, 0x880b);
	pkt_set16(p, at + 6, call_id);
}

void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint16_t id, uint16_t seq)
{
	const struct pkt_layer *ip = ip_above(p, p->layers);
	uint8_t number = ip && ip->kind == IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	size_t at = push_l4(p, ICMP, number, 8);

	p->data[at] = type;
	p->data[at + 1] = code;
	pkt_set16(p, at + 4, id);
	pkt_set16(p, at + 6, seq);
}

void pkt_quote(struct pkt *p, const struct pkt *about, size_t max)
{
	size_t len;

	if (about->ip == PKT_ABSENT)
		wrong("there is no IP packet to quote");
	len = about->len - about->ip;
	pkt_bytes(p, about->data + about->ip, len < max ? len : max);
}

void pkt_bytes(struct pkt *p, const void *bytes, size_t len)
{
	note_l4(p);
	if (len)
		memcpy(p->data + extend(p, len), bytes, len);
}

void pkt_payload(struct pkt *p, size_t len)
{
	size_t at;

	note_l4(p);
	at = extend(p, len);
	for (size_t i = 0; i < len; i++)
		p->data[at + i] = i * 7 + 1;
}

void pkt_lengths(struct pkt *p)
{
	for (unsigned int i = 0; i < p->layers; i++) {
		const struct pkt_layer *l = &p->layer[i];

		if (l->kind == IP4)
			pkt_set16(p, l->at + 2, p->len - l->at);
		else if (l->kind == IP6)
			pkt_set16(p, l->at + 4, p->len - l->at - IP6_HLEN);
		else if (l->kind == UDP)
			pkt_set16(p, l->at + 4, p->len - l->at);
		else if (l->kind == GRE && p->data[l->at + 1] & 7)
			pkt_set16(p, l->at + 4, p->len - l->at - l->len);
	}
}

/* The Internet checksum (RFC 1071) is the complement of this, folded. */
static uint64_t sum(const struct pkt *p, size_t at, size_t end, uint64_t s)
{
	for (; at + 1 < end; at += 2)
		s += pkt_get16(p, at);
	if (at < end)
		s += p->data[at] << 8;
	return s;
}

static uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s;
}

static void set_checksum(struct pkt *p, size_t field, size_t from, size_t end, uint64_t pseudo)
{
	pkt_set16(p, field, 0);
	pkt_set16(p, field, fold(sum(p, from, end, pseudo)));
}

/* The pseudo header's share: addresses, protocol, length. */
static uint64_t pseudo_header(const struct pkt *p, const struct pkt_layer *ip, uint8_t proto,
			      size_t len)
{
	uint64_t s = proto + (len >> 16) + (len & 0xffff);

	if (!ip)
		return s;
	return ip->kind == IP4 ? sum(p, ip->at + 12, ip->at + 20, s) :
				 sum(p, ip->at + 8, ip->at + 40, s);
}

static void set_crc(struct pkt *p, const struct pkt_layer *l)
{
	memset(p->data + l->at + 8, 0, 4);
	pkt_set32(p, l->at + 8, __builtin_bswap32(crc32c(p->data + l->at, p->len - l->at)));
}

/* RFC 3828 3.1: the pseudo header has the packet's length, the sum what is covered. */
static void set_udplite_checksum(struct pkt *p, const struct pkt_layer *l, uint64_t pseudo)
{
	size_t covered = pkt_get16(p, l->at + 4);

	if (!covered || covered > p->len - l->at)
		covered = p->len - l->at;
	set_checksum(p, l->at + 6, l->at, l->at + covered, pseudo);
	if (!pkt_get16(p, l->at + 6))
		pkt_set16(p, l->at + 6, 0xffff);
}

void pkt_checksums(struct pkt *p)
{
	/* Innermost first: an outer checksum covers the inner ones. */
	for (unsigned int i = p->layers; i-- > 0;) {
		const struct pkt_layer *l = &p->layer[i], *ip = ip_above(p, i);
		size_t len = p->len - l->at;

		switch ((enum kind)l->kind) {
		case IP4:
			set_checksum(p, l->at + 10, l->at, l->at + l->len, 0);
			break;
		case TCP:
			set_checksum(p, l->at + 16, l->at, p->len,
				     pseudo_header(p, ip, IPPROTO_TCP, len));
			break;
		case UDP:
			set_checksum(p, l->at + 6, l->at, p->len,
				     pseudo_header(p, ip, IPPROTO_UDP, len));
			if (l->no_checksum)
				pkt_set16(p, l->at + 6, 0);
			else if (!pkt_get16(p, l->at + 6))
				pkt_set16(p, l->at + 6, 0xffff);
			break;
		case UDPLITE:
			set_udplite_checksum(p, l, pseudo_header(p, ip, IPPROTO_UDPLITE, len));
			break;
		case SCTP:
			set_crc(p, l);
			break;
		case ICMP:
			set_checksum(p, l->at + 2, l->at, p->len,
				     ip && ip->kind == IP6 ?
					     pseudo_header(p, ip, IPPROTO_ICMPV6, len) : 0);
			break;
		case ETH:
		case VLAN:
		case IP6:
		case EXT:
		case GRE:
			break;
		}
	}
}

void pkt_finish(struct pkt *p)
{
	pkt_lengths(p);
	pkt_checksums(p);
}

void pkt_fragment(struct pkt *f, const struct pkt *whole, size_t offset, size_t len, uint32_t id)
{
	size_t ip = whole->ip, from;
	bool v6, more;

	if (ip == PKT_ABSENT)
		wrong("there is no IP packet to cut");
	v6 = whole->data[ip] >> 4 == 6;
	from = ip + (v6 ? IP6_HLEN : (whole->data[ip] & 0xf) * 4);
	if (offset % 8 || from + offset + len > whole->len)
		wrong("there is no fragment of %zu bytes at %zu", len, offset);
	more = from + offset + len < whole->len;

	pkt_start(f);
	memcpy(f->data, whole->data, from);
	f->len = from;
	f->eth = whole->eth;
	f->ip = ip;
	f->layer[f->layers++] = (struct pkt_layer){ .kind = v6 ? IP6 : IP4, .len = from - ip, .at = ip };
	if (v6) {
		f->next_at = ip + 6;
		f->next_size = 1;
		pkt_frag6(f, offset, more, id);
		pkt_next(f, whole->data[ip + 6]);
	} else {
		pkt_ip4_fragment(f, offset, more, id);
	}
	pkt_bytes(f, whole->data + from + offset, len);
	pkt_finish(f);
}

static void build_ext(struct pkt *p, const struct pkt_desc *d, char letter)
{
	switch (letter) {
	case 'h':
		pkt_ext(p, IPPROTO_HOPOPTS, 8);
		break;
	case 'd':
		pkt_ext(p, IPPROTO_DSTOPTS, 8);
		break;
	case 'r':
		pkt_ext(p, IPPROTO_ROUTING, 8);
		break;
	case 'f':
		pkt_frag6(p, d->frag_offset, d->frag_more, d->frag_id);
		break;
	case 'a':
		pkt_ah(p, 1, 12);
		break;
	case 'm':
		pkt_ext(p, IPPROTO_MH, 8);
		break;
	case 'i':
		pkt_ext(p, 139, 8);
		break;
	case 's':
		pkt_ext(p, 140, 8);
		break;
	default:
		wrong("'%c' is no extension header", letter);
	}
}

static void build_ip(struct pkt *p, const struct pkt_desc *d)
{
	const char *ext = d->ext ? d->ext : "";
	bool v6;
	size_t ip;

	if (!d->src || !d->dst)
		wrong("a packet needs src and dst");
	v6 = strchr(d->src, ':');
	if (v6) {
		pkt_ip6(p, d->src, d->dst);
		ip = p->ip;
		pkt_set32(p, ip, 6U << 28 | d->tos << 20 | d->flow_label);
		p->data[ip + 7] = d->ttl ? d->ttl : 64;
	} else {
		pkt_ip4(p, d->src, d->dst);
		ip = p->ip;
		p->data[ip + 1] = d->tos;
		p->data[ip + 8] = d->ttl ? d->ttl : 64;
		pkt_ip4_fragment(p, d->frag_offset, d->frag_more, d->frag_id ? d->frag_id : d->ip_id);
		if (d->df)
			p->data[ip + 6] |= 0x40;
		pkt_ip4_options(p, d->ip4_options);
	}
	for (const char *e = ext; *e; e++)
		build_ext(p, d, *e);
	if (v6 && (d->frag_offset || d->frag_more) && !strchr(ext, 'f'))
		build_ext(p, d, 'f');
}

static void build_tcp(struct pkt *p, const struct pkt_desc *d)
{
	uint16_t win = d->win == NO_WINDOW ? 0 : d->win ? d->win : 65535;

	pkt_tcp(p, d->sport, d->dport, d->tcp_flags, d->seq, d->ack, win);
	if (d->tcp_options)
		pkt_tcp_options(p, d->tcp_options);
}

static void build_icmp(struct pkt *p, const struct pkt_desc *d)
{
	size_t quote = p->data[p->ip] >> 4 == 6 ? 1232 : 548;

	pkt_icmp(p, d->icmp_type, d->icmp_code, d->icmp_id, d->icmp_seq);
	if (d->quote)
		pkt_quote(p, d->quote, d->quote_len ? d->quote_len : quote);
}

static uint8_t desc_proto(const struct pkt_desc *d)
{
	if (d->proto)
		return d->proto;
	if (d->tcp_flags)
		return IPPROTO_TCP;
	if (d->chunks)
		return IPPROTO_SCTP;
	if (d->icmp_type)
		return strchr(d->src, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	return IPPROTO_UDP;
}

static void build_l4(struct pkt *p, const struct pkt_desc *d)
{
	uint8_t proto = desc_proto(d), icmp = p->data[p->ip] >> 4 == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	if (d->frag_offset) {
		pkt_next(p, proto); /* a later fragment: its payload is all there is */
	} else if (proto == IPPROTO_TCP) {
		build_tcp(p, d);
	} else if (proto == IPPROTO_UDP) {
		pkt_udp(p, d->sport, d->dport);
		if (d->no_checksum)
			pkt_udp_no_checksum(p);
	} else if (proto == IPPROTO_UDPLITE) {
		pkt_udplite(p, d->sport, d->dport, d->coverage);
	} else if (proto == IPPROTO_SCTP) {
		pkt_sctp(p, d->sport, d->dport, d->vtag);
		if (d->chunks)
			pkt_sctp_chunks(p, d->chunks);
	} else if (proto == IPPROTO_GRE && d->pptp) {
		pkt_pptp(p, d->call_id);
	} else if (proto == IPPROTO_GRE) {
		pkt_gre(p, ETH_P_IP, d->gre_key);
	} else if (proto == icmp) {
		build_icmp(p, d);
	} else {
		pkt_next(p, proto);
	}
}

void pkt_build(struct pkt *p, const struct pkt_desc *d)
{
	pkt_start(p);
	if (!d->l3)
		pkt_eth(p, d->eth_dst, d->eth_src);
	for (int i = 0; i < 4 && (d->vlan[i].tpid || d->vlan[i].vid); i++)
		pkt_vlan(p, d->vlan[i].tpid ? d->vlan[i].tpid : ETH_P_8021Q, d->vlan[i].vid);
	build_ip(p, d);
	build_l4(p, d);
	if (d->data)
		pkt_bytes(p, d->data, d->payload);
	else
		pkt_payload(p, d->payload);
	pkt_finish(p);
}

struct pkt_desc pkt_answer(const struct pkt_desc *d)
{
	struct pkt_desc a = *d;

	a.src = d->dst;
	a.dst = d->src;
	a.sport = d->dport;
	a.dport = d->sport;
	a.eth_src = d->eth_dst ? d->eth_dst : "02:00:00:00:00:02";
	a.eth_dst = d->eth_src ? d->eth_src : "02:00:00:00:00:01";
	if (desc_proto(d) == IPPROTO_ICMP && d->icmp_type == 8)
		a.icmp_type = 0;
	else if (desc_proto(d) == IPPROTO_ICMPV6 && d->icmp_type == 128)
		a.icmp_type = 129;
	a.proto = desc_proto(d);
	return a;
}
