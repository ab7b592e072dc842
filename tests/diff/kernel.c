/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The running kernel's nf_conntrack as an oracle, in two network namespaces.
 *
 * In the router's there are two TUN devices, and the kernel forwards between them. A packet that is
 * written to one has come out of the other when write() returns. Rules put its class into the DSCP
 * field, so that each packet says itself what it was taken for; ctnetlink tells the rest.
 *
 * The host is a. What it says is sent by a raw socket, and comes out of the only TUN device; what b
 * says comes in there and is delivered, and as nobody gets to see that, the class is logged. The
 * host's own answers are dropped before its tracker sees them.
 *
 * A packet's zone comes in with it as a DSCP, too.
 */
#define _GNU_SOURCE
#include "diff.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_GROUP 5
#define OUR_MARK  7 /* of what the raw sockets send */

/* What both sides can be told: the key is the end of the sysctl's name. */
static const struct setting {
	enum say_kind kind;
	int id;
	const char *key;
	uint32_t normal;
} settings[] = {
#define X(id, key, value, largest, help) { SAY_KNOB, CT_K_##id, #key, value },
	CT_KNOBS(X)
#undef X
#define X(id, key, seconds, help) { SAY_TIMEOUT, CT_T_##id, #key, seconds },
	CT_TIMEOUTS(X)
#undef X
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* A namespace, as far as it can be reached from outside. */
static struct side {
	bool host;
	enum hook hook; /* of ours, which it is compared with */
	int tun[2]; /* a's side, b's side; the host has none on a's */
	int raw[2]; /* IPv4, IPv6; the host's */
	int netlink, listener, log;
	int setting[SETTINGS];
	bool changed[SETTINGS];
} sides[2], *side;

/* The flows there are, as far as events have told. */
static struct ct_tuple flows[1024];
static size_t flow_count;

static void die(const char *what)
{
	printf("kernel: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int tun_open(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strcpy(r.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		die("a TUN device");
	return fd;
}

/*
 * Zones are set before fragments are put together (-400), so that those of two zones are not mixed.
 * MTUs that leave packets in one piece: what is sent again in fragments is not seen again.
 */
static const char common[] =
	"set -e\n"
	"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.netfilter.nf_conntrack_acct=1\n"
	"for i in 1 2; do\n"
	"	[ -e /proc/sys/net/ipv4/conf/ct$i ] || continue\n"
	"	sysctl -qw net.ipv4.conf.ct$i.rp_filter=0 net.ipv6.conf.ct$i.addr_gen_mode=1\n"
	"	ip link set ct$i mtu 65535 up\n"
	"done\n"
	"zones() {\n"
	"	for i in 1 2 3; do\n"
	"		for ip in ip ip6; do echo \"$ip dscp $((32 + i)) ct zone set $i\"; done\n"
	"	done\n"
	"}\n"
	/* Classes in the order of enum ct_class; DSCP 0 is a packet that no rule has met. */
	"classes='new 1 established 2 related 3 invalid 4 untracked 5'\n"
	"marks() {\n"
	"	set -- $classes\n"
	"	while [ $# -gt 0 ]; do\n"
	"		for ip in ip ip6; do echo \"ct state $1 $ip dscp set $2\"; done\n"
	"		shift 2\n"
	"	done\n"
	"}\n"
	"logs() {\n"
	"	set -- $classes\n"
	"	while [ $# -gt 0 ]; do\n"
	"		echo \"ct state $1 log prefix \\\"$2\\\" group 5 queue-threshold 1\"\n"
	"		shift 2\n"
	"	done\n"
	"}\n";

static const char router[] =
	"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n"
	"for i in 1 2; do\n"
	"	ip addr add 10.0.$i.254/24 dev ct$i\n"
	"	ip addr add fd00:$i::254/64 dev ct$i nodad\n"
	"done\n"
	"nft -f - <<-END\n"
	"	table inet diff {\n"
	"		chain zone {\n"
	"			type filter hook prerouting priority -450\n"
	"			$(zones)\n"
	"		}\n"
	"		chain forward {\n"
	"			type filter hook forward priority filter\n"
	"			$(marks)\n"
	"		}\n"
	"	}\n"
	"END\n";

static const char host[] =
	"for who in 1 77; do\n"
	"	ip addr add 10.0.1.$who/32 dev ct2\n"
	"	ip addr add fd00:1::$who/128 dev ct2 nodad\n"
	"done\n"
	"ip route add 10.0.2.0/24 dev ct2\n"
	"ip route add fd00:2::/64 dev ct2\n"
	"nft -f - <<-END\n"
	"	table inet diff {\n"
	"		chain zone {\n"
	"			type filter hook prerouting priority -450\n"
	"			$(zones)\n"
	"		}\n"
	"		chain ours {\n"
	"			type filter hook output priority -450\n"
	"			meta mark != 7 drop\n"
	"			$(zones)\n"
	"		}\n"
	"		chain output {\n"
	"			type filter hook output priority filter\n"
	"			$(marks)\n"
	"		}\n"
	"		chain input {\n"
	"			type filter hook input priority filter\n"
	"			$(logs)\n"
	"		}\n"
	"	}\n"
	"END\n";

static int listen_to(int groups)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0),
			NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (void *)&sa, sizeof(sa)))
		die("ctnetlink");
	return fd;
}

static int raw_open(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), mark = OUR_MARK;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		die("a raw socket");
	return fd;
}

static int log_open(void);

static void side_open(struct side *of)
{
	static char script[8192];
	char path[128];

	if (unshare(CLONE_NEWNET))
		die("a network namespace");
	if (!of->host)
		of->tun[0] = tun_open("ct1");
	of->tun[1] = tun_open("ct2");
	snprintf(script, sizeof(script), "%s%s", common, of->host ? host : router);
	if (system(script)) {
		printf("kernel: setting up ip, sysctl and nft failed\n");
		exit(2);
	}
	for (size_t i = 0; i < SETTINGS; i++) {
		of->setting[i] = -1;
		snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_%s",
			 settings[i].key);
		of->setting[i] = open(path, O_WRONLY | O_CLOEXEC); /* not all are the kernel's */
	}
	of->netlink = listen_to(0);
	of->listener = listen_to(1 << (NFNLGRP_CONNTRACK_NEW - 1) |
				 1 << (NFNLGRP_CONNTRACK_UPDATE - 1) |
				 1 << (NFNLGRP_CONNTRACK_DESTROY - 1));
	if (!of->host)
		return;
	of->raw[0] = raw_open(AF_INET);
	of->raw[1] = raw_open(AF_INET6);
	of->log = log_open();
}

void kernel_open(void)
{
	sides[1].host = true;
	for (int i = 0; i < 2; i++)
		side_open(&sides[i]);
}

/* --- ctnetlink ------------------------------------------------------------------------------- */

struct request {
	struct nlmsghdr h;
	struct nfgenmsg g;
	char attrs[256];
};

static void begin(struct request *r, int type, int flags, uint8_t family)
{
	static uint32_t seq;

	memset(r, 0, sizeof(*r));
	r->h.nlmsg_len = NLMSG_LENGTH(sizeof(r->g));
	r->h.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	r->h.nlmsg_flags = NLM_F_REQUEST | flags;
	r->h.nlmsg_seq = ++seq;
	r->g.nfgen_family = family;
}

static struct nlattr *put(struct request *r, int type, const void *data, size_t len)
{
	struct nlattr *a = (void *)((char *)r + r->h.nlmsg_len);

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	r->h.nlmsg_len += NLA_ALIGN(a->nla_len);
	return a;
}

static struct nlattr *nest(struct request *r, int type)
{
	return put(r, type | NLA_F_NESTED, NULL, 0);
}

static void unnest(struct request *r, struct nlattr *a)
{
	a->nla_len = (char *)r + r->h.nlmsg_len - (char *)a;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP || proto == IPPROTO_GRE;
}

static void put_tuple(struct request *r, const struct ct_tuple *t)
{
	bool v6 = t->family == CT_IPV6, icmp = t->proto == IPPROTO_ICMP;
	struct nlattr *tuple = nest(r, CTA_TUPLE_ORIG), *part = nest(r, CTA_TUPLE_IP);
	uint16_t zone = htons(t->zone);
	size_t len = v6 ? 16 : 4;
	uint8_t type, code;

	put(r, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, &t->src, len);
	put(r, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, &t->dst, len);
	unnest(r, part);
	part = nest(r, CTA_TUPLE_PROTO);
	put(r, CTA_PROTO_NUM, &t->proto, 1);
	if (icmp || t->proto == IPPROTO_ICMPV6) {
		type = ntohs(t->dport) >> 8;
		code = ntohs(t->dport);
		put(r, icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, &t->sport, 2);
		put(r, icmp ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE, &type, 1);
		put(r, icmp ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, &code, 1);
	} else if (has_ports(t->proto)) {
		put(r, CTA_PROTO_SRC_PORT, &t->sport, 2);
		put(r, CTA_PROTO_DST_PORT, &t->dport, 2);
	}
	unnest(r, part);
	unnest(r, tuple);
	if (zone)
		put(r, CTA_ZONE, &zone, 2);
}

/* One request, one answer. 0 or -errno. */
static int ask(struct request *r, char *answer, size_t room)
{
	struct nlmsghdr *h = (void *)answer;
	ssize_t n;

	if (send(side->netlink, r, r->h.nlmsg_len, 0) < 0)
		die("asking ctnetlink");
	do {
		n = recv(side->netlink, answer, room, 0);
		if (n < (ssize_t)sizeof(*h))
			die("ctnetlink's answer");
	} while (h->nlmsg_seq != r->h.nlmsg_seq);
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	return 0;
}

/* The attributes in [from, from + len), by number. */
static void attributes(const struct nlattr *table[], int max, const void *from, size_t len)
{
	const char *p = from, *end = p + len;

	memset(table, 0, (max + 1) * sizeof(table[0]));
	while (p + NLA_HDRLEN <= end) {
		const struct nlattr *a = (const void *)p;
		int type = a->nla_type & NLA_TYPE_MASK;

		if (a->nla_len < NLA_HDRLEN)
			break;
		if (type <= max)
			table[type] = a;
		p += NLA_ALIGN(a->nla_len);
	}
}

static const void *data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static void inside(const struct nlattr *table[], int max, const struct nlattr *a)
{
	if (a)
		attributes(table, max, data(a), a->nla_len - NLA_HDRLEN);
	else
		memset(table, 0, (max + 1) * sizeof(table[0]));
}

static uint16_t u16(const struct nlattr *a)
{
	uint16_t v = 0;

	if (a)
		memcpy(&v, data(a), 2);
	return ntohs(v);
}

static uint32_t u32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a)
		memcpy(&v, data(a), 4);
	return ntohl(v);
}

static uint64_t u64(const struct nlattr *a)
{
	uint64_t v = 0;

	if (a)
		memcpy(&v, data(a), 8);
	return be64toh(v);
}

static uint8_t u8(const struct nlattr *a)
{
	return a ? *(const uint8_t *)data(a) : 0;
}

static unsigned int entries(void)
{
	const struct nlattr *table[CTA_STATS_GLOBAL_MAX + 1];
	static char answer[8192];
	struct request r;
	struct nlmsghdr *h = (void *)answer;

	begin(&r, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
	if (ask(&r, answer, sizeof(answer)))
		die("counting entries");
	attributes(table, CTA_STATS_GLOBAL_MAX, answer + NLMSG_LENGTH(sizeof(struct nfgenmsg)),
		   h->nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	return u32(table[CTA_STATS_GLOBAL_ENTRIES]);
}

/* Of one direction, into the half of a flow that is found so. */
static void read_tuple(struct ct_tuple *t, const struct nlattr *from, const struct nlattr *zone,
		       uint8_t family)
{
	const struct nlattr *tuple[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *l4[CTA_PROTO_MAX + 1];
	bool v6 = family == AF_INET6;
	const struct nlattr *src, *dst;

	inside(tuple, CTA_TUPLE_MAX, from);
	inside(ip, CTA_IP_MAX, tuple[CTA_TUPLE_IP]);
	inside(l4, CTA_PROTO_MAX, tuple[CTA_TUPLE_PROTO]);
	memset(t, 0, sizeof(*t));
	t->family = v6 ? CT_IPV6 : CT_IPV4;
	t->proto = u8(l4[CTA_PROTO_NUM]);
	t->zone = u16(zone);
	src = ip[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC];
	dst = ip[v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST];
	if (src && dst) {
		memcpy(&t->src, data(src), v6 ? 16 : 4);
		memcpy(&t->dst, data(dst), v6 ? 16 : 4);
	}
	if (t->proto == IPPROTO_ICMP) {
		t->sport = htons(u16(l4[CTA_PROTO_ICMP_ID]));
		t->dport = htons(u8(l4[CTA_PROTO_ICMP_TYPE]) << 8 | u8(l4[CTA_PROTO_ICMP_CODE]));
	} else if (t->proto == IPPROTO_ICMPV6) {
		t->sport = htons(u16(l4[CTA_PROTO_ICMPV6_ID]));
		t->dport = htons(u8(l4[CTA_PROTO_ICMPV6_TYPE]) << 8 |
				 u8(l4[CTA_PROTO_ICMPV6_CODE]));
	} else {
		t->sport = htons(u16(l4[CTA_PROTO_SRC_PORT]));
		t->dport = htons(u16(l4[CTA_PROTO_DST_PORT]));
	}
}

/* Also the state, or -1 if nothing is said of it. */
static int read_protocol(const struct nlattr *info, struct view *v)
{
	const struct nlattr *p[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1],
		*sctp[CTA_PROTOINFO_SCTP_MAX + 1];

	inside(p, CTA_PROTOINFO_MAX, info);
	inside(tcp, CTA_PROTOINFO_TCP_MAX, p[CTA_PROTOINFO_TCP]);
	inside(sctp, CTA_PROTOINFO_SCTP_MAX, p[CTA_PROTOINFO_SCTP]);
	if (v) {
		v->scale[0] = u8(tcp[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL]);
		v->scale[1] = u8(tcp[CTA_PROTOINFO_TCP_WSCALE_REPLY]);
		/* Those of a side; two more are about the flow, and get among them by a resync. */
		v->flags[0] = u8(tcp[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL]) & 0x3f;
		v->flags[1] = u8(tcp[CTA_PROTOINFO_TCP_FLAGS_REPLY]) & 0x3f;
		v->vtag[0] = u32(sctp[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL]);
		v->vtag[1] = u32(sctp[CTA_PROTOINFO_SCTP_VTAG_REPLY]);
	}
	return tcp[CTA_PROTOINFO_TCP_STATE]   ? u8(tcp[CTA_PROTOINFO_TCP_STATE]) :
	       sctp[CTA_PROTOINFO_SCTP_STATE] ? u8(sctp[CTA_PROTOINFO_SCTP_STATE]) :
						-1;
}

static void read_counters(struct ct_counters counters[CT_DIRS], const struct nlattr *a[])
{
	for (int d = 0; d < CT_DIRS; d++) {
		const struct nlattr *c[CTA_COUNTERS_MAX + 1];

		inside(c, CTA_COUNTERS_MAX, a[d ? CTA_COUNTERS_REPLY : CTA_COUNTERS_ORIG]);
		counters[d].packets = u64(c[CTA_COUNTERS_PACKETS]);
		counters[d].bytes = u64(c[CTA_COUNTERS_BYTES]);
	}
}

/* Find a flow. 0 or -errno. */
static int get(const struct ct_tuple *t, const struct nlattr *a[CTA_MAX + 1])
{
	static char answer[8192];
	struct nlmsghdr *h = (void *)answer;
	struct request r;
	int err;

	begin(&r, IPCTNL_MSG_CT_GET, 0, t->family);
	put_tuple(&r, t);
	err = ask(&r, answer, sizeof(answer));
	/* A type that can't be in a tuple is "invalid argument". */
	if (err && err != -ENOENT && t->proto != IPPROTO_ICMP && t->proto != IPPROTO_ICMPV6) {
		errno = -err;
		die("looking a flow up");
	}
	if (!err)
		attributes(a, CTA_MAX, answer + NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			   h->nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	return err;
}

#define STATUS (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED)

void kernel_look(const struct ct_tuple *t, struct view *v)
{
	const struct nlattr *a[CTA_MAX + 1];
	int state;

	v->count = entries();
	v->found = !get(t, a);
	if (!v->found)
		return;
	v->status = u32(a[CTA_STATUS]) & STATUS;
	v->timeout = u32(a[CTA_TIMEOUT]);
	v->mark = u32(a[CTA_MARK]);
	read_counters(v->counters, a);
	read_tuple(&v->tuple[CT_ORIGINAL], a[CTA_TUPLE_ORIG], a[CTA_ZONE], t->family);
	read_tuple(&v->tuple[CT_REPLY], a[CTA_TUPLE_REPLY], a[CTA_ZONE], t->family);
	state = read_protocol(a[CTA_PROTOINFO], v);
	v->state = state < 0 ? 0 : state;
}

static void note_flow(const struct heard *e)
{
	size_t i;

	for (i = 0; i < flow_count; i++)
		if (!memcmp(&flows[i], &e->tuple, sizeof(e->tuple)))
			break;
	if (e->type == CT_EV_NEW) {
		if (i == sizeof(flows) / sizeof(flows[0]))
			die("more flows than expected");
		flows[i] = e->tuple;
		flow_count += i == flow_count;
	} else if (e->type == CT_EV_DESTROY && i < flow_count) {
		flows[i] = flows[--flow_count];
	}
}

size_t kernel_flows(struct ct_tuple *into, size_t max)
{
	size_t n = flow_count < max ? flow_count : max;

	memcpy(into, flows, n * sizeof(flows[0]));
	return n;
}

void kernel_hear(struct view *v)
{
	static char message[8192];
	struct nlmsghdr *h = (void *)message;
	const struct nfgenmsg *g = NLMSG_DATA(h);
	const struct nlattr *a[CTA_MAX + 1];

	while (recv(side->listener, message, sizeof(message), 0) > 0) {
		struct heard e = {};

		attributes(a, CTA_MAX, message + NLMSG_LENGTH(sizeof(*g)),
			   h->nlmsg_len - NLMSG_LENGTH(sizeof(*g)));
		e.type = (h->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE ? CT_EV_DESTROY :
			 h->nlmsg_flags & NLM_F_CREATE			? CT_EV_NEW :
									  CT_EV_UPDATE;
		if (e.type == CT_EV_UPDATE && h->nlmsg_pid)
			continue; /* kernel_leave() did it */
		read_tuple(&e.tuple, a[CTA_TUPLE_ORIG], a[CTA_ZONE], g->nfgen_family);
		e.status = u32(a[CTA_STATUS]) & STATUS;
		e.state = read_protocol(a[CTA_PROTOINFO], NULL);
		e.timeout = a[CTA_TIMEOUT] ? (long)u32(a[CTA_TIMEOUT]) : -1;
		e.counted = a[CTA_COUNTERS_ORIG] || a[CTA_COUNTERS_REPLY];
		if (e.counted)
			read_counters(e.counters, a);
		note_flow(&e);
		if (v->n == HEARD_MAX)
			die("more events than expected");
		v->events[v->n++] = e;
	}
}

long kernel_left(const struct ct_tuple *t)
{
	const struct nlattr *a[CTA_MAX + 1];

	return get(t, a) ? -1 : (long)u32(a[CTA_TIMEOUT]);
}

void kernel_leave(const struct ct_tuple *t, long seconds)
{
	uint32_t left = htonl((uint32_t)seconds);
	static char answer[8192];
	struct request r;
	int err;

	begin(&r, IPCTNL_MSG_CT_NEW, NLM_F_ACK, t->family);
	put_tuple(&r, t);
	put(&r, CTA_TIMEOUT, &left, 4);
	err = ask(&r, answer, sizeof(answer));
	if (err) {
		errno = -err;
		die("setting a flow's timeout");
	}
}

/* --- the log --------------------------------------------------------------------------------- */

static int log_open(void)
{
	struct nfulnl_msg_config_cmd bind_it = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_mode = NFULNL_COPY_META };
	int fd = listen_to(0);
	struct request r;

	begin(&r, 0, 0, AF_UNSPEC);
	r.h.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	r.g.res_id = htons(LOG_GROUP);
	put(&r, NFULA_CFG_CMD, &bind_it, sizeof(bind_it));
	put(&r, NFULA_CFG_MODE, &mode, sizeof(mode));
	if (send(fd, &r, r.h.nlmsg_len, 0) < 0)
		die("listening to the log");
	return fd;
}

/* The class of the packet that was delivered. */
static int logged(void)
{
	static char message[8192];
	struct nlmsghdr *h = (void *)message;
	const struct nlattr *a[NFULA_PREFIX + 1];
	int class = NO_CLASS;

	while (recv(side->log, message, sizeof(message), MSG_DONTWAIT) > 0) {
		if (h->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
			continue;
		attributes(a, NFULA_PREFIX, message + NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			   h->nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)));
		class = atoi(data(a[NFULA_PREFIX])) - 1;
	}
	return class;
}

/* --- talking --------------------------------------------------------------------------------- */

static void set(size_t i, uint32_t value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	if (pwrite(side->setting[i], text, n, 0) != n)
		die(settings[i].key);
	side->changed[i] = value != settings[i].normal;
}

static void flush_all(void)
{
	static char answer[8192];
	struct request r;

	begin(&r, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, AF_UNSPEC);
	if (ask(&r, answer, sizeof(answer)))
		die("flushing");
	for (int i = 0; entries(); i++) {
		if (i == 1000) {
			printf("kernel: %u entries survive a flush\n", entries());
			exit(2);
		}
		usleep(1000);
	}
}

void kernel_begin(enum hook hook)
{
	static struct view old;

	side = &sides[hook == EGRESS];
	side->hook = hook;
	for (size_t i = 0; i < SETTINGS; i++)
		if (side->changed[i])
			set(i, settings[i].normal);
	if (entries())
		flush_all();
	old.n = 0;
	kernel_hear(&old);
	flow_count = 0;
}

/* The class in the packet that came out, if it is the one that went in. */
static int class_of(const uint8_t *out, ssize_t n, const struct pkt *in)
{
	bool v6 = in->data[0] >> 4 == 6;
	size_t addrs = v6 ? 8 : 12, len = v6 ? 32 : 8;

	if (n < (ssize_t)(addrs + len) || out[0] >> 4 != in->data[0] >> 4 ||
	    memcmp(out + addrs, in->data + addrs, len))
		return NO_CLASS;
	return (v6 ? (out[0] & 0xf) << 2 | out[1] >> 6 : out[1] >> 2) - 1;
}

/*
 * What tells the TUN device, and by it the kernel, that a packet stands for many. UDP-Lite's checksum
 * is said to be left to the device, so that it is not verified: 6.18 does that with UDP's number in
 * the pseudo header, and finds it wrong where it is right (udplite_error()).
 */
static struct virtio_net_hdr vnet_header(const struct pkt *p, unsigned int segs, unsigned int payload)
{
	bool v6 = p->data[0] >> 4 == 6, udplite = p->data[v6 ? 6 : 9] == IPPROTO_UDPLITE;
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)p->l4,
		.csum_offset = udplite ? 6 : 16,
	};

	if (!segs)
		return udplite && p->len >= p->l4 + 8 ? h : (struct virtio_net_hdr){};
	h.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h.hdr_len = (uint16_t)p->payload;
	h.gso_size = (uint16_t)((payload + segs - 1) / segs);
	return h;
}

static ssize_t tun_read(int fd, uint8_t *out, size_t room)
{
	static uint8_t frame[70000];
	ssize_t n = read(fd, frame, sizeof(frame)), header = sizeof(struct virtio_net_hdr);

	if (n < header || (size_t)(n - header) > room)
		return -1;
	memcpy(out, frame + header, n - header);
	return n - header;
}

static void tun_write(int fd, const struct pkt *p, unsigned int segs, unsigned int payload)
{
	static uint8_t frame[70000];
	struct virtio_net_hdr header = vnet_header(p, segs, payload);
	ssize_t n = sizeof(header) + p->len;

	memcpy(frame, &header, sizeof(header));
	memcpy(frame + sizeof(header), p->data, p->len);
	if (write(fd, frame, n) != n)
		die("writing a packet");
}

static void raw_send(const struct pkt *p)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	bool v6 = p->data[0] >> 4 == 6;

	memcpy(&to4.sin_addr, p->data + 16, 4);
	memcpy(&to6.sin6_addr, p->data + 24, 16);
	if (sendto(side->raw[v6], p->data, p->len, 0, v6 ? (void *)&to6 : (void *)&to4,
		   v6 ? sizeof(to6) : sizeof(to4)) < 0 &&
	    errno != EPERM) /* dropped: it overlaps another fragment */
		die("sending a packet");
}

void kernel_say(const struct say *s, bool v6, struct view *v)
{
	static uint8_t out[70000];
	static struct pkt p;
	int class, to;
	ssize_t n;

	if (s->kind == SAY_WAIT)
		usleep(s->value * 1000);
	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].kind == s->kind && settings[i].id == s->knob)
			set(i, s->value);
	if (s->kind >= SAY_KNOB)
		return;
	to = side->tun[side->host || s->dir == CT_ORIGINAL];
	while (tun_read(to, out, sizeof(out)) > 0) /* left from before: the kernel's own */
		;
	say_build(&p, s, v6, true, side->hook);
	class = NO_CLASS;
	if (side->host && s->dir == CT_ORIGINAL)
		raw_send(&p);
	else
		tun_write(side->tun[s->dir], &p, say_segments(s, side->hook), s->payload);
	if (side->host && s->dir == CT_REPLY)
		class = logged();
	else
		while ((n = tun_read(to, out, sizeof(out))) > 0)
			if (class == NO_CLASS)
				class = class_of(out, n, &p);
	v->class = class;
	kernel_hear(v);
}

void kernel_end(void)
{
	static char answer[8192];
	struct request r;

	for (size_t i = 0; i < flow_count; i++) {
		begin(&r, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flows[i].family);
		put_tuple(&r, &flows[i]);
		ask(&r, answer, sizeof(answer));
	}
}
