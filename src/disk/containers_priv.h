/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage of podman, buildah, CRI-O and skopeo, one driver of it at a time (formats.md 7.6).
 */
#pragma once

#include "disk/disk_priv.h"

#define STORAGE_SHOWN_ID 12 /* hex digits of an ID in messages */

/** Where a driver keeps the files of a layer, below the root. */
struct storage_driver {
	const char *name;
	const char *before, *behind; /* around the ID of a layer */
	bool whole; /* the whole tree, not what the layer changed */
};

/** One driver's images while they are loaded. */
struct storage {
	struct disk_store *disk;
	const struct storage_driver *driver;
	/* Of the places that the images lie in, the one that is read: its number, 0 = the storage's own. */
	size_t nth;
	int root;
	const char *label;
	struct arena arena;
	struct map layers;     /* ID -> struct storage_layer */
	struct map containers; /* image ID -> struct texts */
	struct map images;     /* ID -> not NULL */
	size_t digest_names;   /* of all images, so far */
};

/** One element of layers.json. */
struct storage_layer {
	struct disk_layer *layer;
	const char *parent; /* NULL = none */
	const char *created;
};

bool storage_is_id(const char *text);
/** Member @p name of @p from, in the storage's arena; NULL where there is none. */
int storage_string(struct storage *s, struct json from, const char *name, const char **ret,
		   dray_error **err) MUST_CHECK;

/* What is done with an element of a list of the storage; @p arg as its caller passes it. */
int storage_add_layer(struct storage *s, struct json element, void *arg,
		      dray_error **err) MUST_CHECK;
/** @p arg is a struct image_list. */
int storage_add_image(struct storage *s, struct json element, void *arg,
		      dray_error **err) MUST_CHECK;

/** The tags of @p im, and what tells of its names and digests in @p info. */
int storage_add_names(struct storage *s, struct json element, struct image *im,
		      struct dray_disk_info *info, dray_error **err) MUST_CHECK;
/** Parents, and states that follow from them, of the images from @p first on. */
int storage_set_parents(struct storage *s, struct image_list *l, size_t first,
			dray_error **err) MUST_CHECK;

/** Give @p im, which has a config, its layers from @p top down; what does not fit is noted. */
int storage_bind_layers(struct storage *s, struct image *im, const char *top,
			struct dray_disk_info *info, const struct storage_layer **ret_top,
			dray_error **err) MUST_CHECK;
