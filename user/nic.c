// SPDX-License-Identifier: GPL-2.0-only
#include "nic.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Hardware types whose frames begin with an Ethernet header as programs see them. */
static bool has_ethernet_header(unsigned short type)
{
	return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
}

/* NICs of virtual machines: behind them is a host, or a neighbour on it, and no wire. */
static bool paravirtual(const char *driver)
{
	return !strcmp(driver, "virtio_net") || !strcmp(driver, "vmxnet3");
}

int nic_probe(const char *name, struct nic *nic)
{
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct ifreq ifr = {};

	if (fd < 0)
		return -errno;
	memset(nic, 0, sizeof(*nic));
	if (strlen(name) >= IFNAMSIZ) {
		err = -ENODEV;
		goto out;
	}
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	memcpy(ifr.ifr_name, nic->name, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFINDEX, &ifr)) {
		err = -errno;
		goto out;
	}
	nic->ifindex = ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr)) {
		err = -errno;
		goto out;
	}
	nic->up = ifr.ifr_flags & IFF_UP;
	nic->loopback = ifr.ifr_flags & IFF_LOOPBACK;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr)) {
		err = -errno;
		goto out;
	}
	nic->l3 = !has_ethernet_header(ifr.ifr_hwaddr.sa_family);
	nic->partial = true;
	ifr.ifr_data = (void *)&drv;
	if (!ioctl(fd, SIOCETHTOOL, &ifr)) {
		snprintf(nic->driver, sizeof(nic->driver), "%s", drv.driver);
		/* Virtual devices answer with nothing, or with a word of their own. */
		nic->hardware = strchr(drv.bus_info, ':') || strchr(drv.bus_info, '.') ||
				paravirtual(drv.driver);
		nic->partial = !nic->hardware || paravirtual(drv.driver);
	}
out:
	close(fd);
	return err;
}

const char *nic_name(int ifindex, char name[IFNAMSIZ + 16])
{
	if (!if_indextoname((unsigned int)ifindex, name))
		snprintf(name, IFNAMSIZ + 16, "ifindex %d", ifindex);
	return name;
}
