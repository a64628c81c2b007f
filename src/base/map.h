/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash map from byte strings to pointers. Keys are lent and must outlive the
 * map; iteration is in order of insertion, so that no hash order reaches an output.
 * The hash is seeded per process: hostile names cannot choose its collisions.
 */
#pragma once

#include "base/span.h"

struct map_slot {
	struct span key;
	void *value;
};

struct map {
	struct map_slot *slots;	/* in order of insertion */
	size_t len, cap;
	uint32_t *table;	/* index + 1 into slots; 0 = free */
	size_t table_len;
};

void map_clear(struct map *m);
/** The slot of @p key, or NULL. Valid until the next map_put(). */
struct map_slot *map_find(const struct map *m, struct span key);
void *map_get(const struct map *m, struct span key);
/** Insert or overwrite. */
int map_put(struct map *m, struct span key, void *value, dray_error **err) MUST_CHECK;

/** The hash itself, for tables whose keys are no single byte string; after map_hash_ready(). */
uint64_t map_hash(struct span s);
/** Draw the process's seed if nobody has. */
int map_hash_ready(dray_error **err) MUST_CHECK;
