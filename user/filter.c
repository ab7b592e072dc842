// SPDX-License-Identifier: GPL-2.0-only
#include "filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../bpf/match.h"
#include "../include/ct_proto.h"
#include "fmt.h"
#include "log.h"

enum {
	OPT_SPORT = OPT_FILTER, /* the ports in the order of enum ct_filter_place */
	OPT_DPORT,
	OPT_REPLY_SPORT,
	OPT_REPLY_DPORT,
	OPT_STATE,
	OPT_ICMP_TYPE,
	OPT_ICMP_CODE,
	OPT_ICMP_ID,
};

#define X(id, name) "|" name
static const char states[] = CT_TCP_STATES(X) CT_SCTP_STATES(X);
#undef X

const struct opt filter_options[] = {
	{ 'f', "family", "FAMILY", "ipv4|ipv6", "address family" },
	{ 'p', "proto", "PROTO", "tcp|udp|icmp|icmpv6|sctp|gre|udplite", "protocol, by name or number" },
	{ 'p', "protonum", "PROTO", NULL, NULL },
	{ 's', "src", "ADDR[/PREFIX]", NULL, "source of the original direction" },
	{ 's', "orig-src", "ADDR[/PREFIX]", NULL, NULL },
	{ 'd', "dst", "ADDR[/PREFIX]", NULL, "destination of the original direction" },
	{ 'd', "orig-dst", "ADDR[/PREFIX]", NULL, NULL },
	{ 'r', "reply-src", "ADDR[/PREFIX]", NULL, "source of the replies" },
	{ 'q', "reply-dst", "ADDR[/PREFIX]", NULL, "destination of the replies" },
	{ OPT_SPORT, "sport", "PORT", NULL, "source port of the original direction" },
	{ OPT_SPORT, "orig-port-src", "PORT", NULL, NULL },
	{ OPT_DPORT, "dport", "PORT", NULL, "destination port of the original direction" },
	{ OPT_DPORT, "orig-port-dst", "PORT", NULL, NULL },
	{ OPT_REPLY_SPORT, "reply-port-src", "PORT", NULL, "source port of the replies" },
	{ OPT_REPLY_DPORT, "reply-port-dst", "PORT", NULL, "destination port of the replies" },
	{ OPT_STATE, "state", "STATE", states + 1, "state of TCP or SCTP" },
	{ 'u', "status", "STATUS[,...]", "SEEN_REPLY|ASSURED|CONFIRMED|UNSET",
	  "status bits, all of them" },
	{ 'm', "mark", "MARK[/MASK]", NULL, "mark" },
	{ 'w', "zone", "ZONE", NULL, "zone" },
	{ OPT_ICMP_TYPE, "icmp-type", "TYPE", NULL, "ICMP type of the original direction" },
	{ OPT_ICMP_TYPE, "icmpv6-type", "TYPE", NULL, NULL },
	{ OPT_ICMP_CODE, "icmp-code", "CODE", NULL, "ICMP code" },
	{ OPT_ICMP_CODE, "icmpv6-code", "CODE", NULL, NULL },
	{ OPT_ICMP_ID, "icmp-id", "ID", NULL, "ICMP identifier" },
	{ OPT_ICMP_ID, "icmpv6-id", "ID", NULL, NULL },
	{ 0 },
};

/* --- parsing ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t number;
} proto_names[] = {
	{ "tcp", IPPROTO_TCP },		{ "udp", IPPROTO_UDP },
	{ "icmp", IPPROTO_ICMP },	{ "icmpv6", IPPROTO_ICMPV6 },
	{ "ipv6-icmp", IPPROTO_ICMPV6 },{ "sctp", IPPROTO_SCTP },
	{ "gre", IPPROTO_GRE },		{ "dccp", IPPROTO_DCCP },
	{ "udplite", IPPROTO_UDPLITE },	{ "igmp", IPPROTO_IGMP },
	{ "ipip", IPPROTO_IPIP },	{ "ipencap", IPPROTO_IPIP },
	{ "ipv6", IPPROTO_IPV6 },	{ "esp", IPPROTO_ESP },
	{ "ah", IPPROTO_AH },		{ "ospf", 89 },
	{ "pim", IPPROTO_PIM },		{ "vrrp", 112 },
	{ "l2tp", 115 },
};

/* The protocols with states. Those of the same name are asked for together, unless -p tells. */
static const char *const tcp_states[] = {
#define X(id, name) [CT_TCP_##id] = name,
	CT_TCP_STATES(X)
#undef X
};

static const char *const sctp_states[] = {
#define X(id, name) [CT_SCTP_##id] = name,
	CT_SCTP_STATES(X)
#undef X
};

/*
 * Ours by their list, and the others that conntrack(8) takes: nothing here ever sets those, so
 * they match no flow, as they would there on a machine without NAT, helpers and flow offload.
 */
static const struct {
	const char *name;
	uint16_t bits;
} status_names[] = {
#define X(id, bit, name) { name, CT_S_##id },
	CT_STATUSES(X)
#undef X
	{ "EXPECTED", 1 << 0 },    { "FIXED_TIMEOUT", 1 << 10 },
	{ "OFFLOAD", 1 << 14 },    { "HW_OFFLOAD", 1 << 15 },
	{ "UNSET", 0 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Two options may ask for the family, or two addresses show it: they have to agree. */
static int set_family(struct ct_filter *f, uint8_t family, const char *option, const char *value)
{
	if ((f->fields & CT_FILTER_FAMILY) && f->family != family)
		return usage_error("mixes IPv4 and IPv6", "%s %s", option, value);
	f->family = family;
	f->fields |= CT_FILTER_FAMILY;
	return 0;
}

static int parse_family(struct ct_filter *f, const char *value)
{
	if (!strcasecmp(value, "ipv4"))
		return set_family(f, CT_IPV4, "-f", value);
	if (!strcasecmp(value, "ipv6"))
		return set_family(f, CT_IPV6, "-f", value);
	return usage_error("unknown family; there is ipv4 and ipv6", "-f %s", value);
}

static int parse_proto(struct ct_filter *f, const char *value)
{
	uint64_t number;

	if (number_parse(value, 0, 255, &number)) {
		f->proto = (uint8_t)number;
		f->fields |= CT_FILTER_PROTO;
		return 0;
	}
	for (size_t i = 0; i < COUNT(proto_names); i++) {
		if (strcasecmp(value, proto_names[i].name))
			continue;
		f->proto = proto_names[i].number;
		f->fields |= CT_FILTER_PROTO;
		return 0;
	}
	return usage_error("unknown protocol; give its number", "-p %s", value);
}

/* The mask of a prefix, and the address without what is behind it. */
static void set_prefix(struct ct_filter_prefix *prefix, unsigned int length)
{
	uint8_t *addr = (uint8_t *)&prefix->addr, *mask = (uint8_t *)&prefix->mask;

	for (unsigned int i = 0; i < sizeof(prefix->mask); i++) {
		unsigned int first = 8 * i;

		if (length >= first + 8)
			mask[i] = 0xff;
		else
			mask[i] = length > first ? (uint8_t)(0xff00 >> (length - first)) : 0;
		addr[i] &= mask[i];
	}
}

static int parse_prefix(struct ct_filter *f, enum ct_filter_place place, const char *option,
			const char *value)
{
	struct ct_filter_prefix *prefix = &f->prefix[place];
	size_t len = strcspn(value, "/");
	char text[FMT_ADDR];
	uint8_t family;
	uint64_t bits;
	int err;

	memset(&prefix->addr, 0, sizeof(prefix->addr));
	if (len >= sizeof(text))
		return usage_error("not an address", "%s %s", option, value);
	memcpy(text, value, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &prefix->addr) == 1)
		family = CT_IPV4;
	else if (inet_pton(AF_INET6, text, &prefix->addr) == 1)
		family = CT_IPV6;
	else
		return usage_error("not an address", "%s %s", option, value);

	bits = family == CT_IPV6 ? 128 : 32;
	if (value[len] && !number_parse(value + len + 1, 0, bits, &bits))
		return usage_error(family == CT_IPV6 ? "the prefix length is 0 to 128" :
						       "the prefix length is 0 to 32",
				   "%s %s", option, value);
	err = set_family(f, family, option, value);
	if (err)
		return err;
	set_prefix(prefix, (unsigned int)bits);
	f->fields |= CT_FILTER_ORIG_SRC << place;
	return 0;
}

static int parse_number(const char *option, const char *value, uint64_t most, uint64_t *number)
{
	char why[64];

	if (number_parse(value, 0, most, number))
		return 0;
	snprintf(why, sizeof(why), "not a number from 0 to %llu", (unsigned long long)most);
	return usage_error(why, "%s %s", option, value);
}

static int parse_port(struct ct_filter *f, enum ct_filter_place place, const char *option,
		      const char *value)
{
	uint64_t number;

	if (parse_number(option, value, UINT16_MAX, &number))
		return 2;
	f->port[place] = htons((uint16_t)number);
	f->fields |= CT_FILTER_ORIG_SPORT << place;
	return 0;
}

static uint8_t find_state(const char *const *names, size_t n, const char *value,
			  struct nearest *near)
{
	for (uint8_t i = 0; i < n; i++) {
		if (!strcasecmp(value, names[i]))
			return i;
		nearest_try(near, names[i]);
	}
	return CT_FILTER_NO_STATE;
}

static int parse_state(struct ct_filter *f, const char *value)
{
	struct nearest near;
	char why[96] = "unknown state";

	nearest_init(&near, value);
	f->tcp_state = find_state(tcp_states, COUNT(tcp_states), value, &near);
	f->sctp_state = find_state(sctp_states, COUNT(sctp_states), value, &near);
	if (f->tcp_state != CT_FILTER_NO_STATE || f->sctp_state != CT_FILTER_NO_STATE) {
		f->fields |= CT_FILTER_STATE;
		return 0;
	}
	if (near.best)
		snprintf(why, sizeof(why), "unknown state; did you mean %s?", near.best);
	return usage_error(why, "--state %s", value);
}

static int parse_status_word(struct ct_filter *f, const char *word, size_t len)
{
	for (size_t i = 0; i < COUNT(status_names); i++) {
		if (strlen(status_names[i].name) != len ||
		    strncasecmp(word, status_names[i].name, len))
			continue;
		if (status_names[i].bits)
			f->status |= status_names[i].bits;
		else
			f->unset = true;
		f->fields |= CT_FILTER_STATUS;
		return 0;
	}
	return usage_error("unknown status; there is SEEN_REPLY, ASSURED, CONFIRMED, DYING, UNSET",
			   "-u %.*s", (int)len, word);
}

static int parse_status(struct ct_filter *f, const char *value)
{
	for (;;) {
		size_t len = strcspn(value, ",");
		int err = parse_status_word(f, value, len);

		if (err || !value[len])
			return err;
		value += len + 1;
	}
}

int mark_parse(const char *option, const char *value, uint32_t *mark, uint32_t *mask)
{
	size_t len = strcspn(value, "/");
	uint64_t number, bits = UINT32_MAX;
	char text[32];

	if (len >= sizeof(text))
		return usage_error("not MARK[/MASK]", "%s %s", option, value);
	memcpy(text, value, len);
	text[len] = '\0';
	if (!number_parse(text, 0, UINT32_MAX, &number) ||
	    (value[len] && !number_parse(value + len + 1, 0, UINT32_MAX, &bits)))
		return usage_error("not MARK[/MASK], two numbers of 32 bits", "%s %s", option, value);
	*mark = (uint32_t)number;
	*mask = (uint32_t)bits;
	return 0;
}

static int parse_mark(struct ct_filter *f, const char *value)
{
	f->fields |= CT_FILTER_MARK;
	return mark_parse("-m", value, &f->mark, &f->mark_mask);
}

static int parse_zone(struct ct_filter *f, const char *value)
{
	uint64_t number;

	if (parse_number("-w", value, UINT16_MAX, &number))
		return 2;
	f->zone = (uint16_t)number;
	f->fields |= CT_FILTER_ZONE;
	return 0;
}

static int parse_icmp(struct ct_filter *f, int id, const char *value)
{
	uint64_t number;

	switch (id) {
	case OPT_ICMP_TYPE:
		if (parse_number("--icmp-type", value, UINT8_MAX, &number))
			return 2;
		f->icmp_type = (uint8_t)number;
		f->fields |= CT_FILTER_ICMP_TYPE;
		return 0;
	case OPT_ICMP_CODE:
		if (parse_number("--icmp-code", value, UINT8_MAX, &number))
			return 2;
		f->icmp_code = (uint8_t)number;
		f->fields |= CT_FILTER_ICMP_CODE;
		return 0;
	default:
		if (parse_number("--icmp-id", value, UINT16_MAX, &number))
			return 2;
		f->icmp_id = (uint16_t)number;
		f->fields |= CT_FILTER_ICMP_ID;
		return 0;
	}
}

int filter_option(struct ct_filter *f, int id, const char *value)
{
	switch (id) {
	case 'f':
		return parse_family(f, value);
	case 'p':
		return parse_proto(f, value);
	case 's':
		return parse_prefix(f, CT_FILTER_AT_ORIG_SRC, "-s", value);
	case 'd':
		return parse_prefix(f, CT_FILTER_AT_ORIG_DST, "-d", value);
	case 'r':
		return parse_prefix(f, CT_FILTER_AT_REPLY_SRC, "-r", value);
	case 'q':
		return parse_prefix(f, CT_FILTER_AT_REPLY_DST, "-q", value);
	case OPT_SPORT:
		return parse_port(f, CT_FILTER_AT_ORIG_SRC, "--sport", value);
	case OPT_DPORT:
		return parse_port(f, CT_FILTER_AT_ORIG_DST, "--dport", value);
	case OPT_REPLY_SPORT:
		return parse_port(f, CT_FILTER_AT_REPLY_SRC, "--reply-port-src", value);
	case OPT_REPLY_DPORT:
		return parse_port(f, CT_FILTER_AT_REPLY_DST, "--reply-port-dst", value);
	case OPT_STATE:
		return parse_state(f, value);
	case 'u':
		return parse_status(f, value);
	case 'm':
		return parse_mark(f, value);
	case 'w':
		return parse_zone(f, value);
	case OPT_ICMP_TYPE:
	case OPT_ICMP_CODE:
	case OPT_ICMP_ID:
		return parse_icmp(f, id, value);
	default:
		return -1;
	}
}

int filter_check(const struct ct_filter *f)
{
	bool ports = f->fields & CT_FILTER_PORTS, icmp = f->fields & CT_FILTER_ICMP;
	bool state = f->fields & CT_FILTER_STATE;

	if (f->fields & CT_FILTER_PROTO) {
		if (ports && fmt_ports(f->proto) != FMT_PORTS)
			return usage_error("this protocol has no ports", "-p %u", f->proto);
		if (icmp && fmt_ports(f->proto) != FMT_ICMP)
			return usage_error("--icmp-type, --icmp-code and --icmp-id are for ICMP",
					   "-p %u", f->proto);
		if (state && f->proto != IPPROTO_TCP && f->proto != IPPROTO_SCTP)
			return usage_error("--state is for TCP and SCTP", "-p %u", f->proto);
		if (state && ct_filter_state(f, f->proto) == CT_FILTER_NO_STATE)
			return usage_error("this protocol has no such state", "-p %u", f->proto);
	}
	if (icmp && (ports || state))
		return usage_error("no flow has both", "ICMP's options and ports or states");
	return 0;
}

/* --- matching --------------------------------------------------------------------------------- */

bool filter_match(const struct ct_filter *f, const struct ct_flow *flow)
{
	return ct_filter_match(f, &flow->tuple, &flow->entry);
}

/* --- a tuple ---------------------------------------------------------------------------------- */

/* Collects what is missing, so that one message names it all. */
struct missing {
	char names[96];
	size_t len;
};

static void miss(struct missing *m, const char *name)
{
	m->len += (size_t)snprintf(m->names + m->len, sizeof(m->names) - m->len, "%s%s",
				   m->len ? ", " : "", name);
}

/* The address of either spelling; false when there is none. */
static bool take_address(const struct ct_filter *f, enum ct_filter_place orig,
			 enum ct_filter_place reply, union ct_addr *addr)
{
	unsigned int last = f->family == CT_IPV6 ? 3 : 0; /* word of the address */
	enum ct_filter_place place = f->fields & CT_FILTER_ORIG_SRC << orig ? orig : reply;

	if (!(f->fields & CT_FILTER_ORIG_SRC << place) || ~f->prefix[place].mask.ip6[last])
		return false;
	*addr = f->prefix[place].addr;
	return true;
}

static bool take_port(const struct ct_filter *f, enum ct_filter_place orig,
		      enum ct_filter_place reply, __be16 *port)
{
	enum ct_filter_place place = f->fields & CT_FILTER_ORIG_SPORT << orig ? orig : reply;

	if (!(f->fields & CT_FILTER_ORIG_SPORT << place))
		return false;
	*port = f->port[place];
	return true;
}

static void take_ports(const struct ct_filter *f, struct ct_tuple *t, struct missing *m)
{
	if (!take_port(f, CT_FILTER_AT_ORIG_SRC, CT_FILTER_AT_REPLY_DST, &t->sport))
		miss(m, "--sport");
	if (!take_port(f, CT_FILTER_AT_ORIG_DST, CT_FILTER_AT_REPLY_SRC, &t->dport))
		miss(m, "--dport");
}

static void take_icmp(const struct ct_filter *f, struct ct_tuple *t, struct missing *m)
{
	if (!(f->fields & CT_FILTER_ICMP_TYPE))
		miss(m, "--icmp-type");
	if (!(f->fields & CT_FILTER_ICMP_ID))
		miss(m, "--icmp-id");
	t->sport = htons(f->icmp_id);
	t->dport = htons((uint16_t)(f->icmp_type << 8 | f->icmp_code));
}

/* As much of the tuple as there is; what is missing. */
static void collect_tuple(const struct ct_filter *f, struct ct_tuple *tuple, struct missing *m)
{
	memset(tuple, 0, sizeof(*tuple));
	m->len = 0;
	tuple->family = f->family;
	tuple->proto = f->proto;
	tuple->zone = f->zone;
	if (!(f->fields & CT_FILTER_PROTO))
		miss(m, "-p");
	if (!take_address(f, CT_FILTER_AT_ORIG_SRC, CT_FILTER_AT_REPLY_DST, &tuple->src))
		miss(m, "-s (a whole address)");
	if (!take_address(f, CT_FILTER_AT_ORIG_DST, CT_FILTER_AT_REPLY_SRC, &tuple->dst))
		miss(m, "-d (a whole address)");
	switch (f->fields & CT_FILTER_PROTO ? fmt_ports(f->proto) : FMT_NO_PORTS) {
	case FMT_PORTS:
		if (f->proto != IPPROTO_DCCP) /* is tracked by address alone */
			take_ports(f, tuple, m);
		break;
	case FMT_ICMP:
		take_icmp(f, tuple, m);
		break;
	case FMT_KEYS:
	case FMT_NO_PORTS:
		break;
	}
}

int filter_tuple(const struct ct_filter *f, struct ct_tuple *tuple)
{
	struct ct_filter ends = *f;
	struct missing m;

	if (f->fields & CT_FILTER_OF_ENTRY)
		return usage_error("no part of a tuple", "--state, -u and -m");
	collect_tuple(f, tuple, &m);
	if (m.len)
		return usage_error(m.names, "the tuple is not complete; missing");
	/* Either spelling is enough; both have to mean the same. */
	ends.fields &= f->proto == IPPROTO_DCCP ? CT_FILTER_ADDRESSES :
						  CT_FILTER_ADDRESSES | CT_FILTER_PORTS;
	if (!ct_filter_tuple(&ends, tuple))
		return usage_error("there is no such flow: without NAT it is the other end of what is said "
				   "already", "-r, -q, --reply-port-src, --reply-port-dst");
	return 0;
}

bool filter_is_tuple(const struct ct_filter *f, struct ct_tuple *tuple)
{
	struct missing m;

	collect_tuple(f, tuple, &m);
	return !m.len && !(f->fields & CT_FILTER_OF_ENTRY) && fmt_ports(f->proto) != FMT_KEYS &&
	       ct_filter_tuple(f, tuple); /* two spellings of an end may differ */
}
