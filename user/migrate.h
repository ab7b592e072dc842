/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns the values (or keys) of a map made by one build into those of another, by the names of
 * their members as the maps' BTF gives them. Pure: no system calls, no knowledge of our types.
 *
 * What corresponds: members of the same name, those of unnamed structs and unions as if they were
 * their parent's. Structs go member by member, arrays element by element up to the shorter one's
 * end, numbers (enums too) by value. A number has to fit whatever it is: a plan does not see the
 * values, and a counter or an index cut short would be wrong without anybody noticing. So what is
 * narrower, or can't be negative where it was, is refused; and so is a change of byte order (__be32
 * and the like), of kind (a struct for a number), and what is none of these (pointers, floats).
 *
 * What only `from` has is dropped and can be named; what only `to` has stays as the caller left it.
 *
 * A union does not say which of its members is in use. It is copied as it is if both are laid out
 * the same. If not, only the member that the caller names is converted.
 */
#ifndef MIGRATE_H
#define MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct btf;
struct migration;

/*
 * How to turn a value of type `from_type` into one of `to_type`. NULL with errno set when there is
 * no way; `why` then says in words what is in it. Neither BTF is needed afterwards.
 */
struct migration *migration_plan(const struct btf *from, __u32 from_type, const struct btf *to,
				 __u32 to_type, char *why, size_t size);
void migration_free(struct migration *m);
/*
 * Are both laid out the same: the same members by name, place and type all the way down? Such a map
 * needs no conversion.
 */
bool migration_same(const struct migration *m);
/* How large the types are; run() touches nothing beyond. */
size_t migration_from_size(const struct migration *m);
size_t migration_to_size(const struct migration *m);
/* What run() leaves out, as "mark, l4.tcp.last_win, timeout[27..]"; "" if nothing. */
const char *migration_dropped(const struct migration *m);
/*
 * Convert one value. `to` holds what members that the source does not have are to be. `variant`
 * names the members of unions that are in use (of every union that has one of this name); NULL for
 * none. `from` and `to` don't overlap.
 */
void migration_run(const struct migration *m, const void *from, void *to, const char *variant);

#endif
