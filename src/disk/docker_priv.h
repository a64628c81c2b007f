/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's data root, one storage driver of it at a time (formats.md 7.2).
 */
#pragma once

#include "disk/disk_priv.h"

/** Where a driver keeps the files of a layer, below the root. */
struct docker_driver {
	const char *name;
	const char *before, *behind; /* around the cache ID */
	bool whole; /* the whole tree, not what the layer changed */
};
/** NULL = a driver that has to be mounted, or that we have not heard of. */
const struct docker_driver *docker_driver_find(const char *name);

/** What belongs to one image ID in the lists of the root. */
struct docker_names {
	struct texts tags, digests;
};

/** One driver's images while they are loaded. */
struct docker_root {
	struct disk_store *disk;
	const char *driver;			/* in the store's arena */
	const struct docker_driver *known;	/* NULL */
	struct arena arena;			/* for the load */
	struct map names;			/* image ID -> struct docker_names */
	struct map containers;			/* ChainID -> struct texts */
	struct map parents;			/* image IDs that others were built on */
};

/** The layer with @p chain on @p below, whose tar should be @p diff_id. */
int docker_layer(struct docker_root *r, const struct digest *chain, const struct digest *diff_id,
		 const struct disk_layer *below, struct disk_layer **ret,
		 dray_error **err) MUST_CHECK;
/** All containers of the driver, by the ChainID that they began with. */
int docker_containers(struct docker_root *r, dray_error **err) MUST_CHECK;
/**
 * What happened to the image @p im, whose top layer has the ChainID @p chain (NULL = no layers)
 * and whose config has been written at @p written.
 */
int docker_events(struct docker_root *r, struct image *im, const struct digest *chain,
		  const struct timespec *written, struct dray_disk_info *ret,
		  dray_error **err) MUST_CHECK;
