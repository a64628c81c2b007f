/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical archive of images, written: docs/canonical-archive.md. The bytes
 * depend on the images and their names only, wherever they come from.
 */
#pragma once

#include "flow/sink.h"
#include "ops/ops.h"

/** Which images, under which names. All zero = the only image with its own names. */
struct canonical_wishes {
	const char *image;	/* as --image; NULL = what the reference says */
	bool all;		/* every image of the place; else one, USAGE where there are several */
	bool untagged;		/* no names: the form that a signature covers */
	const char *const *tags; /* these names in place of the stored ones; one image only */
	size_t n_tags;
	bool want_digest;	/* hash the archive too; canonical_stream() always does */
};

/** What was written. Free with canonical_facts_clear(). */
struct canonical_facts {
	struct arena arena;
	struct dray_normalized *images; /* in their order; reference NULL for streams */
	size_t n_images;
	int64_t size;		/* bytes of the archive */
	struct digest digest;	/* sha256 of the archive; unset unless wanted */
	int64_t layers, layer_bytes; /* distinct ones, uncompressed */
	int64_t spooled;	/* bytes that waited in temporary files */
};
void canonical_facts_clear(struct canonical_facts *f);
#define cleanup_canonical_facts CLEANUP(canonical_facts_clear)

/**
 * The canonical bytes of image @p ref, a reference as typed, into @p k (lent, not finished).
 * Every layer is proven against its DiffID before its last byte is written; on failure
 * @p k holds part of an archive and must be thrown away. Layers whose uncompressed size
 * nobody tells, and those of a pipe, wait in unlinked files below the context's tmpdir.
 * USAGE, NOT_FOUND, CORRUPT, FORMAT, UNSUPPORTED (artifacts, DiffIDs that are not sha256).
 */
int canonical_stream(dray_context *ctx, const char *ref, const struct canonical_wishes *w,
		     struct sink *k, struct canonical_facts *ret, dray_error **err) MUST_CHECK;

/**
 * The same of the images of @p n places into file @p path, which appears whole or not at all; "-"
 * is standard output. Layers are written side by side. An existing file is replaced, or USAGE
 * with @p no_clobber.
 */
int canonical_file(dray_context *ctx, const char *const *refs, size_t n,
		   const struct canonical_wishes *w, const char *path, bool no_clobber,
		   struct canonical_facts *ret, dray_error **err) MUST_CHECK;

/**
 * Whether all images of @p ref are meant: @p all says so, or nothing chooses one and it is a file
 * or folder; a registry is asked for one.
 */
int canonical_means_all(const char *ref, const char *image, bool all, bool *ret,
			dray_error **err) MUST_CHECK;
