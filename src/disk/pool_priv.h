/* SPDX-License-Identifier: Apache-2.0
 *
 * containerd's content store, as the files that read it see it.
 */
#pragma once

#include "disk/disk_priv.h"

#define POOL_META "io.containerd.metadata.v1.bolt/meta.db"

struct pool_time {
	bool known;
	int64_t sec;
	int32_t nsec;
};
/** When a name was given first, and when it was last made to lead to what it leads to. */
struct pool_times {
	struct pool_time named, updated;
};

/** What an index.json of the place would list. Strings in the pool's arena. */
struct pool_root {
	const char *digest, *media_type;
	const char *name; /* NULL = none */
	int64_t size;
	struct pool_times times;
};

struct pool {
	int root;	    /* of the content store */
	struct arena arena;
	struct pool_root *roots;
	size_t n_roots, cap;
	struct map found;   /* manifests and indexes among the blobs: hex -> pool_root, sorted */
	struct map named;   /* hex -> not NULL: an index names it */
};
int pool_add(struct pool *p, const struct pool_root *root, dray_error **err) MUST_CHECK;
/**
 * The roots that containerd's metadata tells. @p home is the folder below @p root that has it and the
 * content store, "" or with '/' at its end. NOT_FOUND without one, FORMAT, LIMIT and UNSUPPORTED when it
 * cannot be read.
 */
int pool_names(struct pool *p, int root, const char *home, dray_error **err) MUST_CHECK;
/** Go's binary form of a time; not known where it is none. */
struct pool_time pool_time_of(struct span s);
/** From here on the images of @p st have the times of the pool's roots. */
int pool_tell_times(const struct pool *p, struct store *st, dray_error **err) MUST_CHECK;
