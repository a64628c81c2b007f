/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of copy: what was asked, where it goes, what is there already.
 * Plan first, then stream: docs/architecture.md "Copy".
 */
#pragma once

#include "base/map.h"
#include "ops/blobcache.h"
#include "ops/transfer.h"

/** What the user asked for, parsed once. */
struct wishes {
	const struct dray_copy_options *o;
	bool compression_asked;
	struct encode_params encode;	/* of what gets compressed */
	char encoder[96];		/* encode_params_text of it */
	bool format_asked;
	bool docker;			/* when asked */
	enum { HOLES_DROP, HOLES_KEEP, HOLES_FAIL } holes;
};
int wishes_parse(const struct dray_copy_options *o, struct wishes *ret,
		 dray_error **err) MUST_CHECK;

/** One destination: a repository of a registry, a layout, an archive. */
struct target {
	struct dest *dest;
	struct remote *remote;	/* registries only */
	char *host;		/* "127.0.0.1:5000"; NULL outside registries */
	char *repository;	/* "host/path"; NULL outside registries */
	struct digest pinned;	/* REF@DIGEST: the manifest must be this one */
	bool archive;		/* named by the image ID, as archives are */
	bool takes_plain;	/* what an engine saved stays uncompressed */
	bool absent;		/* failed to open because it has to be there and is not */
	bool engine;		/* likewise, behind its name there */
	bool legacy;		/* an archive that Docker before 1.10 reads too */
	bool oci;		/* its readers know OCI's documents, and many no others */
};
int target_open_registry(dray_context *ctx, const struct reference *ref, struct target *ret,
			 dray_error **err) MUST_CHECK;
/** Every kind of place but registries. */
int target_open(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		struct target *ret, dray_error **err) MUST_CHECK;
void target_clear(struct target *t);
#define cleanup_target CLEANUP(target_clear)

/** Blobs that the destination is known to have, by DiffID: "--reuse" of dray-push(1). */
struct reuse {
	struct arena arena;
	struct map by_diff_id;	/* text -> struct reused */
	struct map by_v1_id;	/* names that old archives give the same layers -> the same */
	struct config *config;	/* until its names are learnt */
};
struct reused {
	struct digest diff_id;
	struct digest blob_digest;
	int64_t size;
	enum compression compression;
	const char *from;	/* repository path to mount from; NULL = it is in the target */
};
/**
 * Learn from the manifest at @p tag of the target, or at --reuse REF. What is not there is no
 * error unless asked for by name. Layouts have nothing to learn from.
 */
int reuse_load(dray_context *ctx, const struct target *t, const struct wishes *w, const char *tag,
	       struct reuse *ret, dray_error **err) MUST_CHECK;
struct copy;
/**
 * Learn from @p image too, as typed, where it is at the target's registry and the user wants no other
 * one looked at. What was learnt before comes first; what tells nothing is no error.
 */
int reuse_also(struct copy *c, const char *image, dray_error **err) MUST_CHECK;
const struct reused *reuse_find(const struct reuse *r, const struct digest *diff_id,
				const struct wishes *w);
/**
 * Learn the names that docker save gives to the reused layers, by every era and time zone
 * of the engine that wrote the archive; before the first reuse_guess().
 */
int reuse_learn_names(struct reuse *r, dray_error **err) MUST_CHECK;
/** The digest that @p member is named by, if it is. */
bool reuse_member_digest(const char *member, struct digest *ret);
/** By the name of an archive's member: DiffID names and v1 directory names. */
const struct reused *reuse_guess(const struct reuse *r, const char *member, const struct wishes *w);
void reuse_clear(struct reuse *r);

/** One run of copy or push. */
struct copy {
	dray_context *ctx;
	struct wishes wishes;
	struct blobcache *cache;
	struct store *store;
	const char *source_host, *source_path;	/* when it is a repository of a registry */
	struct target *target;
	struct reuse reuse;
	/* forward walks: what became of each member, by the digest of its stored bytes */
	struct map passed;	/* text -> struct passed */
	struct arena arena;
	bool forward;
	/* counted under the context's lock */
	int64_t blobs_sent, blobs_skipped, bytes_sent;
	bool below;		/* works for an index or for referrers: the pin is not theirs */
	bool edited;		/* images were changed on the way: no index is there already */
	bool oci_made;		/* what is not the source's any more becomes OCI's: see run_makes_oci() */
	bool as_is;		/* works for referrers: nothing is converted */
	/* with --referrers, what arrived unchanged and may be referred to */
	struct kept {
		struct digest digest;
		int depth;	/* 0 = not itself a referrer */
	} *kept;
	size_t n_kept, cap_kept;
	int kept_depth;
	struct put {		/* the manifest that was put last */
		struct digest digest;
		int64_t size;
		const char *media_type;	/* static */
	} put;
};

/** What a tag of a source names: one image, or an index with all that is in it. */
struct root {
	struct image **images;	/* lent, at least one */
	size_t n;
	struct digest index;	/* unset: the one image */
};

struct memo_layer;
struct memo_blob;
struct passed {
	struct blob_facts facts;
	struct transferred out;
	bool reused;		/* the destination's word for what the layer became: never remembered as proven */
	bool converted_unasked;	/* uncompressed, named by digest, and compressed for a registry */
};

/** Where layer bytes of this kind go unchanged and where they are compressed. */
bool must_convert(const struct copy *c, enum compression found, bool manifest_vouches,
		  bool engine_archive);

/** The member_fn of a forward walk; @p arg is the struct copy. */
int copy_passing(void *arg, const char *name, struct source *data, int64_t size,
		 struct blob_facts *ret, dray_error **err) MUST_CHECK;

/** What the destination has of images that are made; its arg is the struct copy. */
extern const struct known_layers copy_known;
/**
 * A layer that would pass: is at the target what the encoder would make of it? 1 = nobody need make it, it
 * counts as passed, with *ret; 0; -1.
 */
int copy_remembered(struct copy *c, const struct memo_layer *l, struct blob_facts *ret,
	       dray_error **err) MUST_CHECK;
/** What our encoder made of a member that has passed; unset when nothing had to be made. */
void copy_blob_of(const struct copy *c, const struct blob_facts *f, struct memo_blob *ret);

/** One image to c->target, under these tags (none = by digest only). */
int copy_image(struct copy *c, struct image *im, const char *const *tags, size_t n_tags,
	       struct arena *result, struct dray_copied *ret, dray_error **err) MUST_CHECK;

/** A root that is an index, children first; @p sel says which platforms. */
int copy_index(struct copy *c, const struct root *root, const struct selector *sel,
	       const char *const *tags, size_t n_tags, struct arena *result,
	       struct dray_copied *ret, dray_error **err) MUST_CHECK;
/** Put @p m under these tags; notes it in c->put. */
int copy_put_manifest(struct copy *c, const struct manifest *m, const char *const *tags,
		      size_t n_tags, dray_error **err) MUST_CHECK;
/** The same for what the user named: a pinned digest has to be that of @p m. */
int copy_put_root(struct copy *c, const struct manifest *m, const char *const *tags,
		  size_t n_tags, dray_error **err) MUST_CHECK;
/** Remember a manifest that is at the target with the digest it had. */
int copy_note_kept(struct copy *c, const struct digest *d, dray_error **err) MUST_CHECK;
/** What refers to all that was noted since the last call; *ret_n of them. */
int copy_referrers(struct copy *c, struct arena *result, size_t *ret_n,
		   dray_error **err) MUST_CHECK;
/** What every result tells: names, digests, counts. @p image_id NULL = none. */
int copy_tell(const struct copy *c, const struct manifest *m, const char *image_id,
	      const char *const *tags, size_t n_tags, struct arena *a, struct dray_copied *ret,
	      dray_error **err) MUST_CHECK;

/**
 * A blob that our encoder once made of the layer that member @p name promises, if the registry has
 * it: 1 = *ret, 0, -1.
 */
int copy_guess_cached(struct copy *c, const char *name, struct reused *ret, const char **ret_how,
		      dray_error **err) MUST_CHECK;
/** Is the blob at the target, or mounted now from repository @p from? 1 and *ret_how, 0, -1. */
int copy_try_known(struct copy *c, const struct digest *d, int64_t size, const char *from,
		   const char **ret_how, dray_error **err) MUST_CHECK;
/** The repository that the image comes from, where the target's registry can mount from it. */
const char *copy_neighbour(const struct copy *c);
/**
 * Do these tags of the target name this very manifest already? From one registry to another
 * that is as good as having its parts. 1, 0, -1.
 */
int copy_is_tagged(const struct copy *c, const struct digest *d, const char *const *tags,
		   size_t n_tags, dray_error **err) MUST_CHECK;
void copy_count_sent(struct copy *c, int64_t bytes);
void copy_count_skipped(struct copy *c, const char *label, const char *detail);
