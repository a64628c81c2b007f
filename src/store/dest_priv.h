/* SPDX-License-Identifier: Apache-2.0
 *
 * What the writing halves share: a checked copy, and the text of index.json.
 */
#pragma once

#include "base/map.h"
#include "flow/sink.h"
#include "store/store.h"

#define OCI_LAYOUT_NAME "oci-layout"
#define OCI_LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define OCI_INDEX_NAME "index.json"
/** An index without entries, for dest_index_write(). */
#define OCI_INDEX_EMPTY \
	"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX "\",\"manifests\":[]}"

/**
 * All of @p data (consumed) into @p k (not finished), against digest and size of
 * @p put as far as they are set; the digest is learnt if not. Success means proven bytes.
 */
int dest_copy(const struct blob_put *put, struct source *data, struct sink *k,
	      struct digest *ret_digest, int64_t *ret_size, dray_error **err) MUST_CHECK;
/**
 * The same into a file that holds the first @p have bytes already (digest and size of @p put
 * are set, @p fd is O_APPEND): they are hashed again, @p data is rewound past them. If the whole
 * then is not the blob, the file is emptied and everything fetched once.
 */
int dest_copy_rest(const struct blob_put *put, struct source *data, int fd, int64_t have,
		   struct digest *ret_digest, int64_t *ret_size, dray_error **err) MUST_CHECK;
/** @p rc; a folder that was taken away under us is SYSTEM: nobody asked for something to be found. */
int dest_gone(int rc, dray_error **err) MUST_CHECK;
/** "blobs/sha256/HEX" in new memory; NULL = no memory. */
char *dest_blob_path(const struct digest *d);

/** Manifests that were put, until index.json is written. Zero-initialise. */
struct dest_entry {
	struct digest digest;
	int64_t size;
	const char *media_type;
	const char *artifact_type; /* of artifacts that have one; NULL */
	const char *tag;	/* OCI ref name; NULL = by digest only */
	/* "docker.io/library/app:1" for containerd, "app:1" for Docker; NULL where @tag is all */
	const char *full, *familiar;
	const char *announced; /* what containerd is to call it; NULL */
	struct dest_origin origin;
};
/** What makes two entries the same name. NULL = by digest only. */
static inline const char *dest_entry_key(const struct dest_entry *e)
{
	return e->full ? e->full : e->tag;
}
/** All entries of one digest. */
struct dest_seen {
	bool tagged;		/* one of them has a tag */
	size_t last_untagged;	/* counted from 1; 0 = none */
};
struct dest_index {
	struct arena arena;
	struct dest_entry *list;
	size_t n, cap;
	struct map children;	/* digests that one of them names: no entry of their own */
	struct map by_tag;	/* dest_entry_key() -> the last of it in list, counted from 1 */
	struct map by_digest;	/* digest text -> struct dest_seen */
	bool no_clobber;	/* no entry may give way: USAGE */
	bool named;		/* a tag that reads as NAME:TAG is one: full and familiar are set */
	struct dest_origin origin; /* of what is added next */
};
int dest_index_add(struct dest_index *x, const struct manifest *m, const char *tag,
		   dray_error **err) MUST_CHECK;
/**
 * Whether the i-th is listed: the last of its tag; without a tag, when no index and no
 * tag leads to it.
 */
bool dest_index_stands(const struct dest_index *x, size_t i);
/**
 * The text of index.json: @p old with an entry for each tag, and for each manifest that
 * nothing else leads to. Entries of the same name give way, or lead elsewhere where they name
 * the origin of what has their name now. All other bytes stay. FORMAT when @p old is damaged.
 */
int dest_index_write(const struct dest_index *x, struct span old, struct buf *ret,
		     dray_error **err) MUST_CHECK;
/** Is the name @p full or the OCI ref name @p ref taken by an entry here? Either may be NULL. */
const struct dest_entry *dest_index_named(const struct dest_index *x, const char *full,
					  const char *ref);
void dest_index_clear(struct dest_index *x);
