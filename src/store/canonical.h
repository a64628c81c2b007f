/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical archive, version 1: which members it has, their headers, their
 * documents, their places. Pure: from what is known of images to bytes and
 * offsets, no I/O. The format is docs/canonical-archive.md.
 */
#pragma once

#include "base/map.h"
#include "image/config.h"
#include "store/store.h"

#define CANONICAL_KEY "dray.canonical-archive" /* annotation of index.json ... */
#define CANONICAL_VERSION "1"		       /* ... and its value */

/** One distinct layer, known by its DiffID. */
struct canonical_layer {
	struct digest diff_id;
	int64_t size;		   /* uncompressed; -1 until somebody knows */
	int64_t off;		   /* of its bytes in the archive, by canonical_lay_out(); -1: as a document */
	size_t number;		   /* from 0, in order of arrival */
	struct store *store;	   /* lent: where its bytes can be had ... */
	const struct image *image; /* ... of this image ... */
	size_t at;		   /* ... as this layer */
};

/** One distinct image, known by the digest of its config. */
struct canonical_image {
	const struct config *config; /* lent */
	const char **names;	     /* full names; sorted by canonical_lay_out() */
	size_t n_names, cap_names;
	struct canonical_layer **layers; /* bottom first; a layer may stand twice */
	struct buf manifest;		 /* by canonical_lay_out() */
	struct digest manifest_digest;
};

/** What an archive is a function of. Zero-initialised is empty. */
struct canonical_set {
	struct arena arena;
	struct canonical_image **images; /* sorted by canonical_lay_out() */
	size_t n_images, cap_images;
	struct canonical_layer **layers;
	size_t n_layers, cap_layers;
	struct map by_id, by_diff_id;
};

/**
 * Add @p im of @p st (lent as long as the set lives), or find it again: images with one config
 * are one. UNSUPPORTED unless its DiffIDs are sha256, FORMAT where the config has none or
 * their count is not that of the layers.
 */
int canonical_add(struct canonical_set *s, struct store *st, const struct image *im,
		  struct canonical_image **ret, dray_error **err) MUST_CHECK;
/**
 * Give @p im the full name of @p stored ("app:1" is "docker.io/library/app:1"; a digest behind
 * the tag is dropped). 1; 0 when it says no name and tag, so that it names nothing here; -1.
 */
int canonical_add_name(struct canonical_set *s, struct canonical_image *im, const char *stored,
		       dray_error **err) MUST_CHECK;
void canonical_clear(struct canonical_set *s);
#define cleanup_canonical CLEANUP(canonical_clear)

/** A member in its place; its padding follows. */
struct canonical_member {
	struct span head;		     /* header blocks */
	struct span bytes;		     /* of a document; unused for layers */
	const struct canonical_layer *layer; /* NULL: a document */
	int64_t off;			     /* of the header */
	int64_t size;			     /* of the content */
};
struct canonical_layout {
	struct arena arena;
	struct canonical_member *members; /* in order, without gaps */
	size_t n_members, cap_members;
	struct buf index, manifest_json;
	int64_t size; /* of the archive: two zero blocks end it */
};
#define CANONICAL_END (2 * 512) /* bytes of zeros behind the last member */

/**
 * Sort @p s and lay it out in *ret, which is zero or was cleared. Every layer's size is
 * known. FORMAT where two images of one platform have the same name; LIMIT.
 */
int canonical_lay_out(struct canonical_set *s, struct canonical_layout *ret,
		      dray_error **err) MUST_CHECK;
void canonical_layout_clear(struct canonical_layout *l);
#define cleanup_canonical_layout CLEANUP(canonical_layout_clear)
