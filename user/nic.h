/* SPDX-License-Identifier: GPL-2.0-only */
/* What there is to know of a network interface before it is hooked. */
#ifndef NIC_H
#define NIC_H

#include <net/if.h>
#include <stdbool.h>

struct nic {
	char name[IFNAMSIZ];
	int ifindex;
	bool up;
	bool l3;          /* frames begin with the IP header */
	bool loopback;
	bool hardware;    /* has a bus behind it */
	bool partial;     /* what comes in may not have been on a wire: checksums may be unfinished */
	char driver[32];  /* "" where there is none to ask */
};

/* 0; -ENODEV: no such interface; -errno. In the namespace of the caller. */
int nic_probe(const char *name, struct nic *nic);
/* The name of an interface, or "ifindex N" when it is gone. Returns `name`. */
const char *nic_name(int ifindex, char name[IFNAMSIZ + 16]);

#endif
