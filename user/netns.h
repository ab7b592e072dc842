/* SPDX-License-Identifier: GPL-2.0-only */
/* Network namespaces by their cookies, which name them for as long as the machine runs. */
#ifndef NETNS_H
#define NETNS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Has the namespace of this cookie gone? No when in doubt: where not all processes can be seen.
 * Looks into every namespace that a process is in, or that is mounted or open somewhere.
 */
bool netns_gone(uint64_t cookie);

#endif
