/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XDP through libxdp: on its dispatcher several programs share an interface, in the order of their
 * priorities; each goes on to the next where its verdict is XDP_PASS.
 *
 * The dispatcher calls functions that programs of type EXT ("freplace") take the place of, so our
 * entry program is loaded a second time as such a one, on the same maps. It is never a plain XDP
 * program, so libxdp can't do what it does where the dispatcher does not work: attach the bare
 * program, alone, and report success.
 *
 * An interface of ours has the EXT program pinned (`pin`), which is how it is known in the chain.
 * libxdp's own folder in the bpffs stays when it is empty: others may be about to use it.
 */
#ifndef XDPCHAIN_H
#define XDPCHAIN_H

#include "instance.h"

/*
 * Behind filters, which drop floods (xdp-filter has 10), and in front of those that redirect
 * (AF_XDP's has 20) and of whoever does not say (50).
 */
#define CHAIN_PRIO 15
#define CHAIN_PRIO_MOST 65535

/* Can the dispatcher run here? 0; or -ENOEXEC, chain_why() says why not. Touches no interface. */
int chain_probe(void);
const char *chain_why(void);
/* Is there a dispatcher on the interface, in this mode, with room for one more? */
bool chain_joinable(int ifindex, bool native);

/* Into the chain, or a new one. 0 or -errno; -ENOEXEC as above, and nothing was touched. */
int chain_attach(const struct instance *in, const char *pin, int ifindex, bool native,
		 unsigned int prio);
/* Out of it, leaving the others in theirs; the last one takes the dispatcher along. 0 or -errno. */
int chain_detach(const char *pin, int ifindex);
/* Is what is pinned in the interface's chain? Its priority into *prio. */
bool chain_attached(const char *pin, int ifindex, unsigned int *prio);

#endif
