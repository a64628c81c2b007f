/* SPDX-License-Identifier: Apache-2.0
 *
 * What a layer must say so that one tree becomes another: the entries that are new or differ,
 * whiteouts for the names that are gone. Spec: docs/layers.md "Writing a difference".
 */
#pragma once

#include "layer/write.h"

/**
 * The same file: type, attributes, time, content? Names of users and groups do not count
 * (docs/rootfs-id.md). Contents whose digest nobody computed are the same only if they are one
 * entry of one layer.
 */
bool inode_same(const struct inode *a, const struct inode *b);

struct change;
/**
 * From @p lower to @p upper, both finished and of the same layers' indexes, which are lent; the
 * trees may go after the call. A root that @p upper does not describe is left as it is.
 */
int change_find(const struct tree *lower, const struct tree *upper, struct change **ret,
		dray_error **err) MUST_CHECK;
/** Lent from @p c; empty when the trees are the same. */
struct record_list change_records(const struct change *c);
bool change_is_empty(const struct change *c);
void change_free(struct change *c);
DEFINE_CLEANUP(struct change, cleanup_change_fn, change_free)
#define cleanup_change CLEANUP(cleanup_change_fn)
