/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors, manifests and indexes; raw bytes kept, never re-serialised (M-14).
 * Spec: OCI image-spec manifest.md, image-index.md, descriptor.md; Docker schema2.
 */
#pragma once

#include "base/arena.h"
#include "digest/digest.h"
#include "image/mediatype.h"
#include "image/platform.h"
#include "json/json.h"

struct descriptor {
	const char *media_type; /* in the document's arena or static; NULL when absent */
	struct digest digest;
	int64_t size;		  /* bytes; -1 = not known yet (only in what we make ourselves) */
	struct platform platform; /* index entries */
	bool has_platform;
	const char *artifact_type;
	struct json annotations; /* object or missing */
	struct json urls;	 /* array or missing */
	struct span data;	 /* decoded and checked "data" member, or empty */
	bool has_data;
	/* Only in what we make: of the same content in other bytes, see manifest_write(). */
	bool recoded;
};

enum manifest_kind {
	MANIFEST_IMAGE, /* config + layers */
	MANIFEST_INDEX,
	MANIFEST_SCHEMA1, /* its members: schema1.h */
};

/** A manifest or an index. Free with manifest_free(). */
struct manifest {
	struct arena arena;
	struct buf raw;	      /* exact bytes */
	struct digest digest; /* of raw; of signed schema 1: of what is signed */
	bool is_signed;	      /* schema 1 with signatures: doc is what they sign */
	struct json_doc *doc;
	enum manifest_kind kind;
	const char *media_type; /* decided as formats.md 4.3: given, then member, then shape */
	const char *artifact_type;
	struct descriptor config;
	struct descriptor *entries; /* layers bottom first, or index entries */
	size_t n_entries;
	struct descriptor subject; /* digest unset when absent */
	struct json annotations;
};

/**
 * Parse @p raw (taken over, left empty). @p given is the Content-Type or the descriptor's
 * media type, NULL when unknown; a contradiction with the document is refused (M-08).
 */
int manifest_parse(struct buf *raw, const char *given, struct manifest **ret,
		   dray_error **err) MUST_CHECK;
void manifest_free(struct manifest *m);
DEFINE_CLEANUP(struct manifest, cleanup_manifest_fn, manifest_free)
#define cleanup_manifest CLEANUP(cleanup_manifest_fn)
/** An artifact: image manifest whose config is not an image config. */
bool manifest_is_artifact(const struct manifest *m);
/** Index entry that is a BuildKit attestation. */
bool descriptor_is_attestation(const struct descriptor *d);
/** A string annotation in @p a; NULL when absent. */
int descriptor_annotation(const struct descriptor *d, const char *key, struct arena *a,
			  const char **ret, dray_error **err) MUST_CHECK;

/**
 * Compact schema2 (@p docker) or OCI image manifest from these parts. artifactType, subject and
 * annotations are those of @p like, NULL = none; Docker's have no place for them. Of a layer that is
 * recoded no URLs are written, and no annotations that speak of its old bytes.
 */
int manifest_write(bool docker, const struct descriptor *config, const struct descriptor *layers,
		   size_t n_layers, const struct manifest *like, struct buf *ret,
		   dray_error **err) MUST_CHECK;

/** What becomes of one entry of an index that is rewritten. */
enum entry_fate { ENTRY_KEPT, ENTRY_MOVED, ENTRY_DROPPED };
struct entry_change {
	enum entry_fate fate;
	/* of the document that an ENTRY_MOVED names from now on */
	struct digest digest;
	int64_t size;
	const char *media_type;
};
/**
 * @p index with one change for each of its entries, as an index of @p media_type. All text
 * that no change is about stays byte for byte.
 */
int index_rewrite(const struct manifest *index, const char *media_type,
		  const struct entry_change *changes, struct manifest **ret,
		  dray_error **err) MUST_CHECK;
/** @p index with @p entry, the text of a descriptor, behind its last one. */
int index_append(const struct manifest *index, struct span entry, struct manifest **ret,
		 dray_error **err) MUST_CHECK;
