/* SPDX-License-Identifier: Apache-2.0
 *
 * A merged tree, or a part of it, as files on the disk.
 *
 * Contents come first, in any order and from several threads, each into a file of its own in the
 * stage; then the tree is built around them by renaming; then it is moved to where it belongs.
 * All names are reached by folder descriptors and no symbolic link is ever followed.
 */
#pragma once

#include "layer/tree.h"

/** What of an image the disk or the user's rights had no place for. */
enum disk_left {
	DISK_LEFT_OWNERS,   /* names that belong to whom they did not belong to */
	DISK_LEFT_SETID,    /* setuid or setgid bits taken from files that changed owner */
	DISK_LEFT_DEVICES,  /* not made */
	DISK_LEFT_SECURITY, /* attributes "security." */
	DISK_LEFT_TRUSTED,  /* "trusted." */
	DISK_LEFT_XATTRS,   /* others */
	DISK_LEFT_KINDS
};

struct disk_options {
	bool owners; /* give names to their owners, where we may; needs root */
	bool xattrs;
};

/** Where a node's content comes from. */
struct disk_homes {
	const uint32_t *of; /* for each layer of the tree, the number that disk_put() was told */
	bool shared;	    /* some are the same: a layer that comes twice */
};

struct disk;
/** @p stage is an empty folder of ours, lent. */
struct disk *disk_new(int stage, const struct disk_options *o, dray_error **err);
void disk_free(struct disk *d);
DEFINE_CLEANUP(struct disk, cleanup_disk_fn, disk_free)
#define cleanup_disk CLEANUP(cleanup_disk_fn)

/** Before the first disk_put() of layer @p home. */
int disk_add_layer(struct disk *d, uint32_t home, dray_error **err) MUST_CHECK;
/** Store the content (lent, to its end) of the file @p e. Any thread, one per layer. */
int disk_put(struct disk *d, uint32_t home, const struct layer_entry *e, struct source *data,
	     dray_error **err) MUST_CHECK;

/**
 * Of a nameless top only what it holds is meant: the folder around that is nobody's, gets no attributes and
 * does not count. Before disk_build().
 */
void disk_leave_top(struct disk *d);
/**
 * Make @p top (lent, of a finished tree) and all below it in the stage, under @p name; NULL = top
 * is a folder, whose contents are made. All contents of the tree were put.
 */
int disk_build(struct disk *d, const struct node *top, const char *name,
	       const struct disk_homes *homes, dray_error **err) MUST_CHECK;

/** Rename what was built, a folder, to @p name, which nothing has, in @p parent. */
int disk_place(struct disk *d, int parent, const char *name, dray_error **err) MUST_CHECK;
/**
 * Move what was built into the folder @p target. A name that is there is USAGE, and nothing
 * changes; with @p force it is replaced, folders are merged, and a failure leaves both mixed.
 * Without a name for the top the folder gets its attributes, if the image tells them.
 */
int disk_merge(struct disk *d, int target, bool force, dray_error **err) MUST_CHECK;

/** Names and bytes of content of what was built, and what was left out. */
struct disk_counts {
	int64_t names, bytes;
	int64_t left[DISK_LEFT_KINDS];
};
void disk_counts(const struct disk *d, struct disk_counts *ret);
