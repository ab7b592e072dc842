// SPDX-License-Identifier: GPL-2.0-only
/* Frames from a capture, whatever its link type, in a form that test_run takes. */
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "replay.h"

/* Payload of a segment where a long TCP packet is cut: what Ethernet carries, with timestamps. */
#define SEGMENT 1448

struct capture {
	pcap_t *pcap;
	struct bpf_program filter;
	bool filtered;
	int link;
	unsigned long number;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value & 0xffff);
}

/* --- link types ------------------------------------------------------------------------------ */

/* By the version in its first byte. */
static uint16_t ethertype_of_ip(const uint8_t *p, size_t len)
{
	if (len && p[0] >> 4 == 4)
		return ETH_P_IP;
	return len && p[0] >> 4 == 6 ? ETH_P_IPV6 : 0;
}

/* AF_INET is 2 everywhere; AF_INET6 is another number on each system, in its own byte order. */
static bool family_is_ip(const uint8_t *p)
{
	uint32_t family = get32(p);

	if (family > 0xffff)
		family = family >> 24 | (family >> 8 & 0xff00);
	switch (family) {
	case 2:
	case 10: /* Linux */
	case 23: /* Windows */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return true;
	default:
		return false;
	}
}

static enum way way_of_sll(unsigned int type)
{
	switch (type) {
	case LINUX_SLL_HOST:
	case LINUX_SLL_BROADCAST:
	case LINUX_SLL_MULTICAST:
		return WAY_IN;
	case LINUX_SLL_OTHERHOST:
		return WAY_OTHERS;
	case LINUX_SLL_OUTGOING:
		return WAY_OUT;
	default:
		return WAY_UNKNOWN;
	}
}

/* How long a link type's header is; -1: we don't know it. */
static int link_header(int link)
{
	switch (link) {
	case DLT_EN10MB:
		return ETH_HLEN;
	case DLT_LINUX_SLL:
		return SLL_HDR_LEN;
	case DLT_LINUX_SLL2:
		return SLL2_HDR_LEN;
	case DLT_NULL:
	case DLT_LOOP:
		return 4;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return 0;
	default:
		return -1;
	}
}

/* The EtherType of what follows the link header; 0: nothing we know. And whose packet it is. */
static uint16_t link_ethertype(int link, const uint8_t *p, size_t len, enum way *way)
{
	size_t header = (size_t)link_header(link);

	if (len < header)
		return 0;
	switch (link) {
	case DLT_EN10MB:
		return get16(p + 12);
	case DLT_LINUX_SLL:
		*way = way_of_sll(get16(p));
		return get16(p + 14);
	case DLT_LINUX_SLL2:
		*way = way_of_sll(p[10]);
		return get16(p);
	case DLT_NULL:
	case DLT_LOOP:
		return family_is_ip(p) ? ethertype_of_ip(p + header, len - header) : 0;
	case DLT_IPV4:
		return ETH_P_IP;
	case DLT_IPV6:
		return ETH_P_IPV6;
	default:
		return ethertype_of_ip(p, len);
	}
}

/* --- headers --------------------------------------------------------------------------------- */

/* Where the header behind IPv6's extension headers begins; 0 if it is not there. */
static size_t behind_extensions(const struct frame *f, size_t at, uint8_t *proto)
{
	for (;;) {
		const uint8_t *h = f->data + at;
		size_t len;

		if (at + 8 > f->known)
			return 0;
		switch (*proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			len = (h[1] + 1U) * 8;
			break;
		case IPPROTO_AH:
			len = (h[1] + 2U) * 4;
			break;
		case IPPROTO_FRAGMENT:
			if (get16(h + 2) & 0xfff8)
				return 0;
			len = 8;
			break;
		default:
			return at;
		}
		*proto = h[0];
		at += len;
	}
}

static void find_ip4(struct frame *f)
{
	const uint8_t *h = f->data + f->ip;
	size_t header, len;

	if (f->ip + 20 > f->known)
		return;
	header = (h[0] & 15) * 4U;
	len = get16(h + 2);
	/* What a host sends in one piece of more than 64 KB has no length of its own. */
	f->ip_end = len ? f->ip + len : f->size;
	f->proto = h[9];
	if (header >= 20 && !(get16(h + 6) & 0x1fff))
		f->l4 = f->ip + header;
}

static void find_ip6(struct frame *f)
{
	const uint8_t *h = f->data + f->ip;
	size_t len;

	if (f->ip + 40 > f->known)
		return;
	len = get16(h + 4);
	f->ip_end = len ? f->ip + 40 + len : f->size;
	f->proto = h[6];
	f->l4 = behind_extensions(f, f->ip + 40, &f->proto);
}

static void find_headers(struct frame *f)
{
	size_t at = ETH_HLEN;
	uint16_t type;

	f->ip = f->l4 = f->ip_end = 0;
	f->proto = 0;
	if (f->known < ETH_HLEN)
		return;
	type = get16(f->data + 12);
	for (; type == ETH_P_8021Q || type == ETH_P_8021AD; at += 4) {
		if (at + 4 > f->known)
			return;
		type = get16(f->data + at + 2);
	}
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return;
	f->ip = at;
	f->v6 = type == ETH_P_IPV6;
	if (f->v6)
		find_ip6(f);
	else
		find_ip4(f);
	if (f->ip_end > f->size)
		f->ip_end = f->size;
}

bool frame_tcp(const struct frame *f, struct wire_tcp *t)
{
	const uint8_t *h = f->data + f->l4;
	size_t header;

	if (!f->l4 || f->proto != IPPROTO_TCP || f->l4 + 20 > f->known)
		return false;
	header = (h[12] >> 4) * 4U;
	if (header < 20 || f->l4 + header > f->ip_end)
		return false;
	t->sport = get16(h);
	t->dport = get16(h + 2);
	t->seq = get32(h + 4);
	t->ack = get32(h + 8);
	t->flags = h[13];
	t->win = get16(h + 14);
	t->payload = (uint32_t)(f->ip_end - f->l4 - header);
	return true;
}

/* --- the file -------------------------------------------------------------------------------- */

struct capture *capture_open(const char *file, const char *expression)
{
	struct capture *c = calloc(1, sizeof(*c));
	char why[PCAP_ERRBUF_SIZE] = "";

	if (!c)
		abort();
	c->pcap = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!c->pcap) {
		usage_error(why, "the capture");
		goto failed;
	}
	c->link = pcap_datalink(c->pcap);
	if (link_header(c->link) < 0) {
		usage_error("a link type that we can't play", "%s: %s (%d)", file,
			    pcap_datalink_val_to_description_or_dlt(c->link), c->link);
		goto failed;
	}
	if (*expression) {
		if (pcap_compile(c->pcap, &c->filter, expression, 1, PCAP_NETMASK_UNKNOWN)) {
			usage_error(pcap_geterr(c->pcap), "'%s'", expression);
			goto failed;
		}
		c->filtered = true;
	}
	return c;
failed:
	capture_close(c);
	return NULL;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->filtered)
		pcap_freecode(&c->filter);
	if (c->pcap)
		pcap_close(c->pcap);
	free(c);
}

/* Put it into the frame, with zeros in place of what the capture left out. */
static void take(struct capture *c, struct frame *f, const struct pcap_pkthdr *h, const uint8_t *p)
{
	size_t header = (size_t)link_header(c->link), known = h->caplen, size = h->len;
	uint16_t type;

	f->number = c->number;
	f->ns = (uint64_t)h->ts.tv_sec * NSEC_PER_SEC + (uint64_t)h->ts.tv_usec;
	f->caplen = h->caplen;
	f->len = h->len;
	f->way = WAY_UNKNOWN;
	f->ethernet = c->link == DLT_EN10MB;
	type = link_ethertype(c->link, p, known, &f->way);
	if (size < known)
		size = known;

	memset(f->data, 0, ETH_HLEN);
	if (known < header && !f->ethernet) {
		/* Not even that: nothing of the frame is known. */
		header = known;
		size += ETH_HLEN;
		f->size = 0;
	} else if (f->ethernet) {
		header = known < ETH_HLEN ? known : ETH_HLEN;
		/* Without the receiver's address: zeros are lo's, and what is lo's is for us. */
		if (header > 6)
			memcpy(f->data + 6, p + 6, header - 6);
		f->size = header;
	} else {
		put16(f->data + 12, type);
		f->size = ETH_HLEN;
	}
	if (f->way == WAY_OTHERS)
		f->data[0] = 2;
	p += header;
	known -= header;
	size -= header;
	if (size > sizeof(f->data) - f->size)
		size = sizeof(f->data) - f->size;
	if (known > size)
		known = size;
	memcpy(f->data + f->size, p, known);
	memset(f->data + f->size + known, 0, size - known);
	f->known = f->size + known;
	f->size += size;
	find_headers(f);
}

int capture_next(struct capture *c, struct frame *f)
{
	struct pcap_pkthdr *h;
	const uint8_t *p;
	int more;

	while ((more = pcap_next_ex(c->pcap, &h, &p)) == 1) {
		c->number++;
		if (c->filtered && !pcap_offline_filter(&c->filter, h, p))
			continue;
		take(c, f, h, p);
		return 1;
	}
	if (more == PCAP_ERROR_BREAK)
		return 0;
	usage_error(pcap_geterr(c->pcap), "packet %lu", c->number + 1);
	return -1;
}

/* --- pieces ---------------------------------------------------------------------------------- */

static bool splits(const struct frame *f, struct wire_tcp *t)
{
	return frame_tcp(f, t) && !(t->flags & (SYN | RST | URG)) && t->payload &&
	       f->ip_end - t->payload + SEGMENT <= FRAME_WHOLE;
}

unsigned int frame_pieces(const struct frame *f)
{
	struct wire_tcp t;

	if (f->size <= FRAME_WHOLE || !splits(f, &t))
		return 1;
	return (t.payload + SEGMENT - 1) / SEGMENT;
}

/* Make the IP header say that the packet ends at `end`. */
static void put_ip_end(const struct frame *f, uint8_t *piece, size_t end)
{
	if (f->v6)
		put16(piece + f->ip + 4, end - f->ip - 40);
	else
		put16(piece + f->ip + 2, end - f->ip);
}

static void shorten(const struct frame *f, struct piece *piece)
{
	piece->size = FRAME_WHOLE;
	memcpy(piece->data, f->data, FRAME_WHOLE);
	if (f->ip_end <= FRAME_WHOLE)
		return;
	put_ip_end(f, piece->data, FRAME_WHOLE);
	if (f->proto == IPPROTO_UDP && f->l4 && f->l4 + 8 <= FRAME_WHOLE)
		put16(piece->data + f->l4 + 4, FRAME_WHOLE - f->l4);
}

void frame_piece(const struct frame *f, unsigned int number, struct piece *piece)
{
	size_t header, at = (size_t)number * SEGMENT, len = SEGMENT;
	struct wire_tcp t;

	if (f->size <= FRAME_WHOLE) {
		piece->size = f->size;
		memcpy(piece->data, f->data, f->size);
		return;
	}
	if (!splits(f, &t)) {
		shorten(f, piece);
		return;
	}
	header = f->ip_end - t.payload;
	if (len > t.payload - at)
		len = t.payload - at;
	piece->size = header + len;
	memcpy(piece->data, f->data, header);
	memcpy(piece->data + header, f->data + header + at, len);
	put_ip_end(f, piece->data, piece->size);
	put32(piece->data + f->l4 + 4, t.seq + (uint32_t)at);
	if (at + len < t.payload)
		piece->data[f->l4 + 13] &= (uint8_t)~(FIN | PSH);
	if (at)
		piece->data[f->l4 + 13] &= (uint8_t)~CWR;
}
