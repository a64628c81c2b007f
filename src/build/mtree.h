/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of files: mtree(5) as bsdtar, FreeBSD and Bazel's tar.bzl write it, and paths, a line each
 * or NUL after each. Pure: bytes in. Spec: docs/build.md "Lists of files".
 */
#pragma once

#include "base/arena.h"
#include "digest/digest.h"
#include "tar/tar.h"

/** What was told of a file. */
enum mtree_has {
	MTREE_TYPE = 1,
	MTREE_MODE = 2,
	MTREE_UID = 4,
	MTREE_GID = 8,
	MTREE_TIME = 16,
	MTREE_SIZE = 32,
	MTREE_DEVICE = 64,
};
/** One file. Strings are NULL where nothing was told. */
struct mtree_entry {
	const char *path; /* cleaned; "" = the root */
	size_t line;	  /* from 1 on; of paths with NULs which path */
	unsigned has;	  /* enum mtree_has */
	enum tar_type type;
	uint32_t mode, uid, gid, dev_major, dev_minor;
	int64_t mtime, size;
	const char *uname, *gname;
	const char *link;
	const char *content; /* where its bytes are; not cleaned */
	const struct digest *sha256, *sha512;
	bool optional; /* it need not be there */
	bool nochange; /* attributes are those of the file, whatever is told */
};
struct mtree {
	struct arena arena;
	struct mtree_entry *list; /* in the order of the text; no path twice */
	size_t n, cap;
	const char *counts; /* what mtree_entry.line counts: lines, or paths */
};
/** @p ret is to be cleared, after failure too. FORMAT says which line; LIMIT. */
int mtree_parse(struct span text, struct mtree *ret, dray_error **err) MUST_CHECK;
/** Paths, each ended by @p end, the last one perhaps not. */
int mtree_paths(struct span text, char end, struct mtree *ret, dray_error **err) MUST_CHECK;
void mtree_clear(struct mtree *m);
#define cleanup_mtree CLEANUP(mtree_clear)
