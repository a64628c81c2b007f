/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives and folders: one store over a map of members, and the readers of
 * each format that turn members into images.
 */
#pragma once

#include "base/number.h"
#include "store/assemble.h"
#include "store/members.h"

struct archive {
	struct store store;
	struct members *members;
	size_t n_opening_notes; /* of store.notes: from opening; those of images() follow */
	const char *label; /* the place, safe to print */
	struct digest flat; /* STORE_DIR: of manifest.json */
	struct span index;  /* what stands for index.json; empty = the file itself */
};

/** An archive without members yet: the caller fills a->members, then decides. */
int archive_new(const char *place, struct archive **ret, dray_error **err) MUST_CHECK;
/** By content what it is. @p oci: index.json counts more than manifest.json. */
int archive_decide(struct archive *a, bool oci, dray_error **err) MUST_CHECK;

#define V1_ID_LEN 64
static inline bool v1_id_valid(struct span id)
{
	return hex_is_lower(id, V1_ID_LEN);
}

/** manifest.json: one image for each of its elements. */
int docker_archive_images(struct archive *a, struct image_list *ret, dray_error **err) MUST_CHECK;
/** HEX/json and HEX/layer.tar alone; reads the layers to learn their DiffIDs. */
int docker_v1_images(struct archive *a, struct image_list *ret, dray_error **err) MUST_CHECK;
/** index.json and what it leads to. */
int oci_layout_images(struct archive *a, struct image_list *ret, dray_error **err) MUST_CHECK;
/**
 * Attach the manifests that index.json stores to images that came from manifest.json; for
 * selector.every also add the images that only index.json leads to.
 */
int hybrid_attach(struct archive *a, const struct selector *sel, struct image_list *images,
		  dray_error **err) MUST_CHECK;

/** Point layer @p i of @p im at the member that its path leads to; notes what is in the way. */
int archive_bind_layer(struct archive *a, struct image *im, size_t i, dray_error **err) MUST_CHECK;

/** The file "repositories": "name:tag" to v1 ID. */
struct repositories {
	struct arena arena;
	struct map map; /* "name:tag" -> v1 ID, both NUL-terminated, in the arena */
};
/** Empty when there is none; unreadable content is noted. */
int repositories_load(struct archive *a, struct repositories *ret, dray_error **err) MUST_CHECK;
void repositories_clear(struct repositories *r);
#define cleanup_repositories CLEANUP(repositories_clear)

/* ---- index.json and what is below it ---- */

struct oci_tag {
	const char *text;     /* the full name where containerd wrote one, else ref_name */
	const char *ref_name; /* NULL when there is none */
	struct oci_tag *next;
};
/** One distinct digest of index.json, with all names it has there. */
struct oci_root {
	const struct descriptor *desc;
	struct oci_tag *tags, *last_tag;
	int64_t at;  /* its first entry */
	uint64_t id; /* from 1 */
	uint64_t family;
};
/** One manifest that index.json leads to. Strings and descriptors live in the tree. */
struct oci_leaf {
	const struct descriptor *desc;
	const struct oci_root *root;
	const struct digest *index; /* the innermost index it stands in; NULL = index.json */
};
struct oci_tree {
	struct arena arena;
	struct manifest *index; /* index.json */
	struct oci_root *roots;
	size_t n_roots;
	struct oci_leaf *leaves;
	size_t n_leaves, cap_leaves;
	struct map nodes; /* digest text -> struct oci_node */
	size_t n_visited;
};
/** The image behind @p leaf; what is damaged or absent is in its notes. */
int oci_leaf_image(struct archive *a, const struct oci_leaf *leaf, struct image **ret,
		   dray_error **err) MUST_CHECK;
int oci_tree_load(struct archive *a, struct oci_tree *ret, dray_error **err) MUST_CHECK;
void oci_tree_clear(struct oci_tree *t);
#define cleanup_oci_tree CLEANUP(oci_tree_clear)

/** The member that holds a blob, "blobs/sha256/HEX" or as "dir:" names it, in @p arena. */
int blob_path(struct archive *a, const struct digest *d, struct arena *arena, const char **ret,
	      dray_error **err) MUST_CHECK;
/** Of a "dir:" layout: an index.json that leads to its manifest.json; sets a->flat. */
int flat_index(struct archive *a, struct buf *ret, dray_error **err) MUST_CHECK;
/** Blob @p d as it is, unproven. *ret_code on failure: "blob-missing" or "blob-unreadable". */
int blob_fetch(struct archive *a, const struct descriptor *d, size_t max, struct buf *ret,
	       const char **ret_code, dray_error **err) MUST_CHECK;
/** CORRUPT unless the size is the descriptor's. */
int blob_check_size(const struct descriptor *d, struct span bytes, dray_error **err) MUST_CHECK;
/**
 * Fetched and proven. *ret_code also "blob-digest-differs" and "blob-size-differs"; @p ret is
 * filled then, and with the latter the digest holds.
 */
int blob_read(struct archive *a, const struct descriptor *d, size_t max, struct buf *ret,
	      const char **ret_code, dray_error **err) MUST_CHECK;
