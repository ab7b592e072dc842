/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GRACE_H
#define GRACE_H

/*
 * Wait until every packet that is inside a program now has left it: a full RCU grace period. All
 * network programs run in an RCU read-side section. Nothing in ctloader relies on a call that
 * happens to wait. 0 or -errno.
 */
int grace_period(void);

#endif
