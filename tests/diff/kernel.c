/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The running kernel's nf_conntrack as an oracle.
 *
 * Two TUN devices in a namespace of their own, and the kernel forwards between them. A packet that
 * is written to one has come out of the other when write() returns. Rules put its class into the
 * DSCP field, so that each packet says itself what it was taken for; ctnetlink tells the rest.
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
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int tun[2]; /* a's side, b's side */
static int netlink, listener;
/* What both sides can be told: the key is the end of the sysctl's name. */
static struct setting {
	enum say_kind kind;
	int id;
	const char *key;
	uint32_t normal;
	int fd;
	bool changed;
} settings[] = {
#define X(id, key, value, largest, help) { SAY_KNOB, CT_K_##id, key, value, -1, false },
	CT_KNOBS(X)
#undef X
#define X(id, key, seconds, help) { SAY_TIMEOUT, CT_T_##id, key, seconds, -1, false },
	CT_TIMEOUTS(X)
#undef X
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void die(const char *what)
{
	printf("kernel: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int tun_open(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strcpy(r.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		die("a TUN device");
	return fd;
}

/* Classes in the order of enum ct_class; DSCP 0 is a packet that no rule has met. */
static const char setup[] =
	"set -e\n"
	"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \\\n"
	"	net.ipv4.conf.all.rp_filter=0 net.netfilter.nf_conntrack_acct=1\n"
	"for i in 1 2; do\n"
	"	sysctl -qw net.ipv4.conf.ct$i.rp_filter=0 net.ipv6.conf.ct$i.addr_gen_mode=1\n"
	"	ip addr add 10.0.$i.254/24 dev ct$i\n"
	"	ip addr add fd00:$i::254/64 dev ct$i nodad\n"
	"	ip link set ct$i up\n"
	"done\n"
	"nft -f - <<-END\n"
	"	table inet diff {\n"
	"		chain forward {\n"
	"			type filter hook forward priority filter\n"
	"			ct state new ip dscp set 1\n"
	"			ct state new ip6 dscp set 1\n"
	"			ct state established ip dscp set 2\n"
	"			ct state established ip6 dscp set 2\n"
	"			ct state related ip dscp set 3\n"
	"			ct state related ip6 dscp set 3\n"
	"			ct state invalid ip dscp set 4\n"
	"			ct state invalid ip6 dscp set 4\n"
	"			ct state untracked ip dscp set 5\n"
	"			ct state untracked ip6 dscp set 5\n"
	"		}\n"
	"	}\n"
	"END\n";

void kernel_open(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	char path[128];

	if (unshare(CLONE_NEWNET))
		die("a network namespace");
	tun[0] = tun_open("ct1");
	tun[1] = tun_open("ct2");
	if (system(setup)) {
		printf("kernel: setting up ip, sysctl and nft failed\n");
		exit(2);
	}
	for (size_t i = 0; i < SETTINGS; i++) {
		if (!settings[i].key)
			continue;
		snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_%s",
			 settings[i].key);
		settings[i].fd = open(path, O_WRONLY | O_CLOEXEC); /* not all are the kernel's */
	}
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (netlink < 0 || bind(netlink, (void *)&sa, sizeof(sa)))
		die("ctnetlink");
	listener = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	sa.nl_groups = 1 << (NFNLGRP_CONNTRACK_NEW - 1) | 1 << (NFNLGRP_CONNTRACK_UPDATE - 1) |
		       1 << (NFNLGRP_CONNTRACK_DESTROY - 1);
	if (listener < 0 || bind(listener, (void *)&sa, sizeof(sa)))
		die("listening to ctnetlink");
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

static void put_tuple(struct request *r, const struct ct_tuple *t)
{
	bool v6 = t->family == CT_IPV6, icmp = t->proto == IPPROTO_ICMP;
	struct nlattr *tuple = nest(r, CTA_TUPLE_ORIG), *part = nest(r, CTA_TUPLE_IP);
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
	} else if (t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP) {
		put(r, CTA_PROTO_SRC_PORT, &t->sport, 2);
		put(r, CTA_PROTO_DST_PORT, &t->dport, 2);
	}
	unnest(r, part);
	unnest(r, tuple);
}

/* One request, one answer. 0 or -errno. */
static int ask(struct request *r, char *answer, size_t room)
{
	struct nlmsghdr *h = (void *)answer;
	ssize_t n;

	if (send(netlink, r, r->h.nlmsg_len, 0) < 0)
		die("asking ctnetlink");
	do {
		n = recv(netlink, answer, room, 0);
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

static void read_tcp(const struct nlattr *info, struct view *v)
{
	const struct nlattr *p[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1];

	inside(p, CTA_PROTOINFO_MAX, info);
	inside(tcp, CTA_PROTOINFO_TCP_MAX, p[CTA_PROTOINFO_TCP]);
	v->state = u8(tcp[CTA_PROTOINFO_TCP_STATE]);
	v->scale[0] = u8(tcp[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL]);
	v->scale[1] = u8(tcp[CTA_PROTOINFO_TCP_WSCALE_REPLY]);
	/* Those of a side; two more are about the flow, and get among them by a resync. */
	v->flags[0] = u8(tcp[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL]) & 0x3f;
	v->flags[1] = u8(tcp[CTA_PROTOINFO_TCP_FLAGS_REPLY]) & 0x3f;
}

static void look_up(const struct ct_tuple *t, struct view *v)
{
	const struct nlattr *a[CTA_MAX + 1], *tuple[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1];
	static char answer[8192];
	struct nlmsghdr *h = (void *)answer;
	uint8_t ours[16], theirs[16] = {};
	bool v6 = t->family == CT_IPV6;
	struct request r;
	int err;

	begin(&r, IPCTNL_MSG_CT_GET, 0, t->family);
	put_tuple(&r, t);
	err = ask(&r, answer, sizeof(answer));
	v->found = !err;
	/* A type that can't be in a tuple is "invalid argument". */
	if (err && err != -ENOENT && t->proto != IPPROTO_ICMP && t->proto != IPPROTO_ICMPV6) {
		errno = -err;
		die("looking a flow up");
	}
	if (err)
		return;
	attributes(a, CTA_MAX, answer + NLMSG_LENGTH(sizeof(struct nfgenmsg)),
		   h->nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	v->status = u32(a[CTA_STATUS]) & (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED);
	v->timeout = u32(a[CTA_TIMEOUT]);
	for (int d = 0; d < 2; d++) {
		const struct nlattr *c[CTA_COUNTERS_MAX + 1];

		inside(c, CTA_COUNTERS_MAX, a[d ? CTA_COUNTERS_REPLY : CTA_COUNTERS_ORIG]);
		v->packets[d] = u64(c[CTA_COUNTERS_PACKETS]);
		v->bytes[d] = u64(c[CTA_COUNTERS_BYTES]);
	}
	inside(tuple, CTA_TUPLE_MAX, a[CTA_TUPLE_ORIG]);
	inside(ip, CTA_IP_MAX, tuple[CTA_TUPLE_IP]);
	inet_pton(v6 ? AF_INET6 : AF_INET, addr_of(v6, CT_ORIGINAL), ours);
	if (ip[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC])
		memcpy(theirs, data(ip[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC]), v6 ? 16 : 4);
	v->from_a = !memcmp(ours, theirs, v6 ? 16 : 4);
	if (t->proto == IPPROTO_TCP)
		read_tcp(a[CTA_PROTOINFO], v);
}

/* What has been said since it was asked last. */
static void hear(unsigned int events[3])
{
	static char message[8192];
	struct nlmsghdr *h = (void *)message;

	memset(events, 0, 3 * sizeof(events[0]));
	while (recv(listener, message, sizeof(message), 0) > 0)
		if ((h->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE)
			events[2]++;
		else
			events[!(h->nlmsg_flags & NLM_F_CREATE)]++;
}

/* --- talking --------------------------------------------------------------------------------- */

static void set(struct setting *of, uint32_t value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	if (pwrite(of->fd, text, n, 0) != n)
		die(of->key);
	of->changed = value != of->normal;
}

void kernel_begin(void)
{
	static char answer[8192];
	unsigned int old[3];
	struct request r;

	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].changed)
			set(&settings[i], settings[i].normal);
	hear(old);
	if (!entries())
		return;
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
	hear(old);
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

void kernel_say(const struct say *s, bool v6, struct view *v)
{
	struct ct_tuple t = tuple_of(s, v6);
	static uint8_t out[70000];
	static struct pkt p;
	int from = tun[s->dir], to = tun[!s->dir];
	ssize_t n;

	memset(v, 0, sizeof(*v));
	if (s->kind == SAY_WAIT) {
		usleep(s->value * 1000);
		return;
	}
	if (s->kind >= SAY_KNOB) {
		for (size_t i = 0; i < SETTINGS; i++)
			if (settings[i].kind == s->kind && settings[i].id == s->knob)
				set(&settings[i], s->value);
		return;
	}
	while (read(to, out, sizeof(out)) > 0) /* left from before: the kernel's own */
		;
	say_build(&p, s, v6, true, XDP);
	if (write(from, p.data, p.len) != (ssize_t)p.len)
		die("writing a packet");
	v->class = NO_CLASS;
	while (v->class == NO_CLASS && (n = read(to, out, sizeof(out))) > 0)
		v->class = class_of(out, n, &p);
	look_up(&t, v);
	v->count = entries();
	hear(v->events);
}

void kernel_end(const struct talk_list *t)
{
	static char answer[8192];
	struct request r;

	for (unsigned int i = 0; i < t->n; i++) {
		struct ct_tuple tuple = tuple_of(&t->say[i], t->v6);

		if (t->say[i].kind >= SAY_KNOB || (i && t->say[i].kind == SAY_TCP &&
						    t->say[i - 1].kind == SAY_TCP &&
						    t->say[i].port == t->say[i - 1].port))
			continue;
		begin(&r, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, tuple.family);
		put_tuple(&r, &tuple);
		ask(&r, answer, sizeof(answer));
	}
}
