/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with the entries of one layer, as they pass: names that come twice, and
 * entries that no verb takes which unpacks. Content is not looked at.
 */
#pragma once

#include "base/span.h"
#include "tar/tar.h"

/** Of one layer; zero-initialise. */
struct entries {
	struct buf room;
	uint64_t *seen; /* hashes of cleaned names, open addressing; 0 = free */
	size_t n, cap;
};

/**
 * Look at @p t and tell @p odd what is wrong with it: "layer-entry-refused", "layer-name-twice".
 * Fails only for reasons of our own.
 */
int entries_look(struct entries *e, const struct tar_entry *t, tar_oddity_fn *odd, void *arg,
		 dray_error **err) MUST_CHECK;
void entries_clear(struct entries *e);
#define cleanup_entries CLEANUP(entries_clear)
