/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksums on the wire:
 *
 *	wire offload DEV on|off                              who finishes checksums of what is sent
 *	wire frame DEV MAC IP MAC IP SIZE KIND               an IPv4 UDP datagram, from, to, port 9
 *
 * A frame is sent as it is (AF_PACKET), so that its checksum is nobody's but ours. Its headers are
 * in the linear part of the skb, the rest is not: as many drivers receive. KIND is the checksum:
 * right, wrong, none (0), or unfinished (the sum of the pseudo-header, and nothing says that it
 * is).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int offload(const char *dev, bool on)
{
	struct ethtool_value value = { .cmd = ETHTOOL_STXCSUM, .data = on };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr))
		die(dev);
	return 0;
}

static uint64_t add_up(const uint8_t *bytes, size_t len, uint64_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint64_t)bytes[i] << (i % 2 ? 0 : 8);
	return sum;
}

static uint16_t checksum(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void address(const char *mac, const char *ip, uint8_t to[ETH_ALEN], uint32_t *addr)
{
	if (!ether_aton_r(mac, (void *)to) || inet_pton(AF_INET, ip, addr) != 1) {
		errno = EINVAL;
		die(mac);
	}
}

static int frame(char **args)
{
	static struct {
		struct virtio_net_hdr hdr;
		uint8_t data[HEADERS + 65535];
	} __attribute__((packed)) out = { .hdr.hdr_len = HEADERS };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	struct ether_header *eth = (void *)out.data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	size_t size = strtoul(args[5], NULL, 10), len = sizeof(*udp) + size;
	uint32_t src, dst;
	int fd, one = 1;

	address(args[1], args[2], eth->ether_shost, &src);
	address(args[3], args[4], eth->ether_dhost, &dst);
	eth->ether_type = htons(ETHERTYPE_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(sizeof(*ip) + len), .ttl = 64,
			      .protocol = IPPROTO_UDP, .saddr = src, .daddr = dst };
	ip->check = checksum(add_up((void *)ip, sizeof(*ip), 0));
	*udp = (struct udphdr){ .source = htons(1000), .dest = htons(9), .len = htons(len) };
	for (size_t i = 0; i < size; i++)
		out.data[HEADERS + i] = i * 31 >> 3;
	if (!strcmp(args[6], "unfinished"))
		udp->check = ~checksum(add_up((void *)&ip->saddr, 8, IPPROTO_UDP + len));
	else if (strcmp(args[6], "none"))
		udp->check = checksum(add_up((void *)udp, len,
					     add_up((void *)&ip->saddr, 8, IPPROTO_UDP + len)));
	if (!strcmp(args[6], "wrong"))
		out.data[HEADERS + size - 1] ^= 1;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		die("a packet socket");
	to.sll_ifindex = (int)if_nametoindex(args[0]);
	memcpy(to.sll_addr, eth->ether_dhost, ETH_ALEN);
	if (sendto(fd, &out, sizeof(out.hdr) + HEADERS + size, 0, (void *)&to, sizeof(to)) < 0)
		die(args[0]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "offload"))
		return offload(argv[2], !strcmp(argv[3], "on"));
	if (argc == 9 && !strcmp(argv[1], "frame"))
		return frame(argv + 2);
	fprintf(stderr, "usage: see the top of wire.c\n");
	return 2;
}
