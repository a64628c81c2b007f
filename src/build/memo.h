/* SPDX-License-Identifier: Apache-2.0
 *
 * What the last build saw: the contents of files, by what stat(2) says of them, and what became of
 * layers. One file in a folder, docs/build.md "A cache". A hint: who counts on it is right as long
 * as files do not change without their ctime, and never gets other bytes written because of it.
 */
#pragma once

#include "base/map.h"
#include "build/inputs.h"
#include "digest/digest.h"

#define MEMO_NAME "dray-build-cache"
#define MEMO_ENCODER 96 /* bytes of an encoder's name, with NUL */

/** What an encoder made of a layer; "" is none: the tar itself. */
struct memo_blob {
	char encoder[MEMO_ENCODER];
	struct digest digest;
	int64_t size;
	struct memo_blob *next;
};
/** A layer, by all that its bytes depend on. */
struct memo_layer {
	struct digest key;
	struct digest diff_id;
	int64_t size; /* of the tar */
	struct memo_blob *blobs;
};
struct memo {
	struct arena arena;
	struct map files;  /* what stat(2) says -> sha256, CONTENT_DIGEST_LEN bytes */
	struct map layers; /* text of the key -> struct memo_layer */
	struct timespec begun; /* files that changed about then, or later, are not remembered */
};
void memo_clear(struct memo *m);
#define cleanup_memo CLEANUP(memo_clear)

/** Note the time: before the first file is looked at. */
void memo_begin(struct memo *m);
/**
 * What folder @p dir holds, into the empty @p m. NOT_FOUND when there is nothing; FORMAT when it is
 * damaged, UNSUPPORTED when another version wrote it; then @p m is empty.
 */
int memo_load(struct memo *m, const char *dir, dray_error **err) MUST_CHECK;
/** Replace what folder @p dir holds, which is made if it is not there: all of it, or nothing. */
int memo_save(const struct memo *m, const char *dir, dray_error **err) MUST_CHECK;

/** The contents of a file of the host, or of a part of one, lent: 1; 0 = not known; -1. */
int memo_find(const struct memo *m, const struct content *c, const uint8_t **ret,
	      dray_error **err) MUST_CHECK;
/** Remember it, unless it changed so late that a further change could look the same. */
int memo_add(struct memo *m, const struct content *c, const uint8_t *sha256,
	     dray_error **err) MUST_CHECK;
/** Has @p c a name by which stat(2) would find it again? */
static inline bool memo_takes(const struct content *c)
{
	return c->kind == CONTENT_FILE || (c->kind == CONTENT_EXTENT && c->path);
}
struct memo_layer *memo_layer(const struct memo *m, const struct digest *key);
/** A layer that is not there yet. NULL = no memory. */
struct memo_layer *memo_add_layer(struct memo *m, const struct digest *key,
				  const struct digest *diff_id, int64_t size, dray_error **err);
/** In place of another of the same encoder. */
int memo_add_blob(struct memo *m, struct memo_layer *l, const struct memo_blob *b,
		  dray_error **err) MUST_CHECK;
