/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving images; digests are preserved unless a conversion was asked for or the
 * destination cannot hold the source, and then the result says so.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begin with DRAY_COPY_OPTIONS_INIT; strings are lent for the call. */
struct dray_copy_options {
	size_t size;
	const char *image;	/**< choose one image of the source, as --image */
	bool all;		/**< every image of the source */
	/**
	 * "docker" or "oci"; NULL = the source's, else as the destination is used to; for an OCI layout
	 * or archive "oci" of what is made anew, or edited and from another kind of place.
	 */
	const char *format;
	const char *compression;/**< "gzip", "gzip-single", "zstd", "none"; NULL = keep */
	int level;		/**< 0 = default */
	/** Image of the same registry whose layers may stay; NULL = the tag being overwritten. */
	const char *reuse;
	bool no_reuse;
	bool no_clobber;	/**< a file or tag that is there already is USAGE */
	/**
	 * Of an index what the source does not have: "drop" (default: the index is rewritten
	 * without it), "keep" (named all the same), "fail" (NOT_FOUND).
	 */
	const char *holes;
	/** Also what refers to the images: manifests with a subject, and cosign's tags. */
	bool referrers;
	bool canonical;		/**< write the canonical archive, see dray_normalize() */
	/** Add to an archive that is there; its layers stay where they are. */
	bool append;
	/** A bare @p dst that is not there is a new archive, never a registry; see dst_may_be_host. */
	bool dst_is_path;
	/**
	 * A new archive also has what Docker before 1.10 and old tools read: a folder with a v1 json for
	 * each layer, and "repositories". Layers are uncompressed, and stored once; manifests are not
	 * stored.
	 */
	bool legacy;
	/**
	 * With dst_is_path: a @p dst whose first part can only be a registry's host ("HOST:PORT/",
	 * "localhost/", a name with a dot) and is no folder is one of that registry all the same,
	 * unless it ends as archives do (".tar").
	 */
	bool dst_may_be_host;
};
#define DRAY_COPY_OPTIONS_INIT { .size = sizeof(struct dray_copy_options) }

typedef struct dray_copy_result dray_copy_result;
/** One image, artifact or index at one destination. Read only, lives as long as its result. */
struct dray_copied {
	/**
	 * "HOST/NAME@sha256:MANIFEST", "DIR@sha256:MANIFEST" or "FILE@sha256:IMAGE-ID"; of an
	 * index or artifact in a file its own digest.
	 */
	const char *reference;
	const char *tagged;		/**< "HOST/NAME:TAG" or "PATH:TAG", the first tag; NULL */
	const char *manifest_digest;	/**< of an index the index's */
	const char *image_id;		/**< NULL for indexes and artifacts */
	const char *const *changes;	/**< sentences on conversions; none = digests preserved */
	size_t n_changes;
	int64_t blobs_sent, blobs_skipped, bytes_sent;	/**< of layers */
	const char *kind;	/**< "image", "index", "artifact" */
	size_t n_manifests;	/**< of an index: manifests and indexes that came with it; else 0 */
	size_t n_referrers;	/**< that came along */
};

/**
 * Copy images from any readable place to a registry, an archive, an OCI layout or a "dir:".
 *
 * A new archive ("docker-archive:", a bare NAME.tar, "-") is one that Docker, podman, skopeo
 * and containerd load and that keeps manifests and blobs as they were.
 *
 * Blobs go first, then config and manifest, then tags: a tag never names something
 * incomplete. Every byte is checked against the digest that vouches for it. What a
 * forward-only source ("-", a compressed archive) holds is read once.
 *
 * @param src  a reference as dray(1) spells them
 * @param dst  likewise. Its tag, else "latest" in a registry, the source's tags elsewhere;
 *             "dir:" takes one image and keeps no tag
 * @param o    NULL = defaults
 * @return  0; -1: a layout or archive is as before, a registry may keep blobs and tags so far
 *
 * Units:   bytes_sent counts bytes as stored at the destination
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  USAGE reference, option, or choice of images; NOT_FOUND place, image or blob;
 *          CORRUPT bytes against their digest; FORMAT damaged documents or layers;
 *          UNSUPPORTED kinds of place or document; LIMIT;
 *          DENIED, NETWORK from registries; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec, distribution-spec; Docker image manifest v2 schema 2
 * Since:   0.1
 */
DRAY_API int dray_copy(dray_context *ctx, const char *src, const char *dst,
		       const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err);
/**
 * dray_copy() from several places to one, in the order given.
 *
 * @param srcs  @p n references; "-" may be one of them
 * @param o     NULL = defaults; image and all choose in each source
 * @return  0; -1, as dray_copy(): an archive is as before whichever source failed
 *
 * Units:   as dray_copy()
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  as dray_copy(); USAGE also when @p dst takes one image only; FORMAT when two
 *          images have the same tag
 * Threads: see dray_context_new()
 * Spec:    as dray_copy()
 * Since:   0.1
 */
DRAY_API int dray_copy_many(dray_context *ctx, const char *const *srcs, size_t n, const char *dst,
			    const struct dray_copy_options *o, dray_copy_result **ret,
			    dray_error **err);
/**
 * dray_copy() to a registry.
 *
 * @param ref  the destination; NULL = each image's own tags that name a registry host
 * @param o    NULL = defaults
 * @return  0; -1, as dray_copy()
 *
 * Units:   as dray_copy()
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  as dray_copy(); USAGE also when no image has such a tag, or @p ref is NULL
 *          for a source that is read forward only
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Push".
 * Since:   0.1
 */
DRAY_API int dray_push(dray_context *ctx, const char *src, const char *ref,
		       const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err);
/** Images copied, in the order of the source; once for each repository. Since: 0.1 */
DRAY_API size_t dray_copy_count(const dray_copy_result *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_copied *dray_copy_get(const dray_copy_result *r, size_t i);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_copy_free(dray_copy_result *r);

#ifdef __cplusplus
}
#endif
