/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of a layer whose tar cannot be put together any more: a tar of its own, made of
 * the folder that a storage driver keeps, in one way whenever and wherever it is made. What
 * overlayfs notes for itself becomes what a layer says (OCI image-spec layer.md "Whiteouts").
 */
#pragma once

#include "disk/beneath.h"
#include "disk/tarsplit.h"
#include "tar/tar.h"

/** Where it lies. Lent to remnant_read(), paths for as long as the remnant. */
struct remnant_from {
	int root;
	const char *files; /* folder below @root; NULL = nothing is left, an empty tar */
	/* The folder holds the whole tree, not what the layer changed. */
	bool whole;
	int below_root;
	const char *below; /* then the tree that it changed; NULL = it is the bottom one */
	/* Owners as the engine shifted them; 0 = it did not. */
	int64_t uid_base, gid_base;
};

/** One entry of it; in the arena it was read into. */
struct remnant_entry {
	const char *path; /* no '/' in front or behind */
	const char *link; /* of links */
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
	int64_t size, mtime;
	uint64_t dev, ino; /* of files with several names, else 0 */
	uint32_t mode, uid, gid, dev_major, dev_minor;
	uint8_t type; /* enum tar_type */
	bool unchanged; /* here only so that another name of the file can be a link to it */
	bool holes;
};

struct remnant {
	struct remnant_from from;
	struct remnant_entry *list; /* folders before what they hold, else by the bytes of names */
	size_t n, cap;
	size_t n_sockets; /* left out */
	size_t n_xattrs;  /* left out: no tar can hold their names */
	int64_t expanded; /* bytes of files with holes */
	int64_t size;	  /* of the tar */
};
/**
 * All entries, in @p a. FORMAT for what no engine keeps as a layer; LIMIT_LAYER_ENTRIES,
 * LIMIT_SPARSE_SIZE; UNSUPPORTED for content that the kernel left in a layer below.
 */
int remnant_read(struct arena *a, const struct remnant_from *from, struct remnant *ret,
		 dray_error **err) MUST_CHECK;
void remnant_clear(struct remnant *r);
/** The tar. A file that changes meanwhile is CORRUPT. Thread-safe. */
struct source *remnant_open(const struct remnant *r, dray_error **err);

/* ---- its parts ---- */

/** Fill @p r, which has its from, with entries. */
int remnant_walk(struct arena *a, struct remnant *r, dray_error **err) MUST_CHECK;

/** What the extended attributes of a name say besides what a tar keeps of them. */
struct remnant_marks {
	bool opaque, whiteout;
	bool elsewhere; /* its content or its folder is in a layer below */
	size_t n_left;	/* attributes whose names no tar can hold */
};
/**
 * Read those of @p name in the folder @p dir into @p e, which has its type and mode; what a
 * rootless engine wrote there in place of owner and mode becomes that.
 */
int remnant_attributes(struct arena *a, int dir, const char *name, struct remnant_entry *e,
		       struct remnant_marks *ret, dray_error **err) MUST_CHECK;
