/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a place, as every reading verb tells it. The structs are read only,
 * belong to their report and only ever grow at the end.
 */
#pragma once

#include <dray/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dray_report dray_report;

/** Digests are "algo:hex"; sizes bytes, -1 unknown; strings NULL where they do not apply. */
struct dray_layer_info {
	int64_t index;			/**< 0 = bottom */
	/** sha256 of the uncompressed tar; declared, or computed where the image declares none. */
	const char *diff_id;
	const char *chain_id;
	const char *v1_id;		/**< of the archive, else derived as Docker 17.04+ does */
	bool v1_id_found;		/**< v1_id stands in the archive */
	/**
	 * How v1_id is derived: "docker" (17.04 and later), "docker@UTC-05:00" (on a host of
	 * that zone), "docker-1.10", "docker-1.13", "skopeo", "chain-id" (older skopeo: the
	 * ChainID itself); NULL = by no rule we know.
	 */
	const char *v1_id_origin;
	const char *blob_digest;	/**< of the stored bytes: declared, or computed */
	const char *compression;	/**< "none", "gzip", "zstd", "xz", "bzip2"; NULL unknown */
	const char *media_type;
	const char *path;		/**< member as referenced */
	const char *link_target;	/**< member that it resolves to, when path is a link */
	int64_t same_as;		/**< first layer with the same DiffID; -1 = first itself */
	int64_t size;			/**< of the uncompressed tar */
	int64_t blob_size;		/**< as stored */
	const char *created_by;
	bool missing;
};

struct dray_history_info {
	const char *created_by, *created, *comment, *author;
	bool empty_layer;
	int64_t layer;			/**< index of the layer it made, -1 */
};

/** Something that happened to an image, as a file of an engine's disk tells. */
struct dray_disk_event {
	/**
	 * "pulled" or "written" (its config was, by a pull, load or build), "registered" (its top
	 * layer was, for the first time), "tagged", or "transferred" (its top layer was, to or
	 * from some registry); of containerd, where a name was given first, "named", and last, "updated".
	 */
	const char *event;
	const char *time;	/**< RFC 3339, UTC */
	const char *from;	/**< the file that tells, below the place */
	/**
	 * "recorded": the engine wrote this time down; "likely": the file's own time, which
	 * copies and backups may change; "possible": the same, of a file that other images share.
	 */
	const char *certainty;
};

/** What an engine's disk tells of an image besides its documents. Strings NULL = not told. */
struct dray_disk_info {
	const char *driver;		/**< "overlay2", "vfs" */
	const char *state;		/**< "tagged", "dangling", "intermediate" (of a build) */
	const char *parent;		/**< image ID that the last step of a local build began with */
	const char *const *repo_digests; /**< "NAME@sha256:..." that it was pulled or pushed by */
	size_t n_repo_digests;
	const char *const *containers;	/**< IDs of containers whose layer lies on this image */
	size_t n_containers;
	const struct dray_disk_event *events; /**< newest first */
	size_t n_events;
	/** The one that says when it was pulled, built, loaded or tagged last; NULL. */
	const struct dray_disk_event *updated;
	int64_t size;			/**< as the engine counts it, mostly of its files; -1 unknown */
	const char *digest;		/**< of the manifest that podman lists it by; NULL */
};

struct dray_image_info {
	const char *const *tags;
	size_t n_tags;
	/**
	 * Digest of the config bytes. NULL for artifacts, and where an engine with containerd's
	 * store lists its images: it calls them by manifest or index.
	 */
	const char *image_id;
	const char *manifest_digest;	/**< NULL where the place stores no manifest */
	const char *media_type;		/**< of the manifest */
	const char *platform;		/**< "linux/amd64" */
	const char *created;
	const char *author;
	int64_t size;			/**< config and distinct layers as stored */
	const char *config_json;	/**< the config's "config" member, as JSON text; NULL */
	const struct dray_layer_info *layers;
	size_t n_layers;
	const struct dray_history_info *history;
	size_t n_history;
	const char *index_digest;	/**< the index it was chosen from */
	const char *where;		/**< for messages */
	const char *kind;		/**< "image" or "artifact" */
	const void *config_raw;		/**< exact bytes, config_size of them */
	size_t config_size;
	const void *manifest_raw;
	size_t manifest_size;
	const char *config_path;	/**< member that holds the config, as referenced; NULL */
	const struct dray_disk_info *disk; /**< of images on an engine's disk; NULL */
};

/** A problem (verify failed because of it) or a warning. */
struct dray_finding {
	const char *code;		/**< stable: "diff-id-mismatch" */
	const char *where;
	const char *expected, *actual;
	const char *message;
};

/** Images in the report. Since: 0.1 */
DRAY_API size_t dray_report_images(const dray_report *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_image_info *dray_report_image(const dray_report *r, size_t i);
/** Problems found; always 0 unless dray_verify() made the report. Since: 0.1 */
DRAY_API size_t dray_report_problems(const dray_report *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_finding *dray_report_problem(const dray_report *r, size_t i);
/** Warnings: what is odd and does no harm here. Since: 0.1 */
DRAY_API size_t dray_report_warnings(const dray_report *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_finding *dray_report_warning(const dray_report *r, size_t i);
/**
 * "docker-archive", "docker-v1", "oci", "dir", "registry", "docker-daemon", "docker-root",
 * "containers-storage", "containerd" or "memory"; static. Since: 0.1
 */
DRAY_API const char *dray_report_store(const dray_report *r);
/** Free @p r and all that was borrowed from it; NULL is fine. Since: 0.1 */
DRAY_API void dray_report_free(dray_report *r);

/**
 * Which images of the place, unless its reference says so. Zero = all for dray_images()
 * and dray_explain_hash(); all of a file or folder for dray_verify(), but of a registry
 * those of the context's platform; else the only one, and with several USAGE lists them.
 */
struct dray_select {
	size_t size;
	const char *image;		/**< "REF", "@N" or "sha256:ID" as --image */
	bool all;
};
#define DRAY_SELECT_INIT { .size = sizeof(struct dray_select) }

/**
 * Images of a place, damaged ones too: what is wrong is a warning. Reads documents
 * only, but a forward-only place and Docker's v1 archives are read through once.
 *
 * @param place  a reference as dray(1) spells them
 * @param sel    NULL = as a zero one: all images
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_report_free()
 * Errors:  USAGE reference, or choice of images; NOT_FOUND place or image; FORMAT no image
 *          archive, or damaged beyond a listing; CORRUPT a registry's documents; UNSUPPORTED
 *          kinds of place; LIMIT; DENIED, NETWORK from registries; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec, image-layout.md; Docker image spec v1.2 (archives)
 * Since:   0.1
 */
DRAY_API int dray_images(dray_context *ctx, const char *place, const struct dray_select *sel,
			 dray_report **ret, dray_error **err);
/**
 * One image with every identity it has; reads what dray_images() does.
 *
 * @param sel  NULL = the only one; with all set damaged images are listed, not refused
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_report_free()
 * Errors:  as dray_images(); USAGE several images, none chosen; NOT_FOUND, CORRUPT, FORMAT,
 *          UNSUPPORTED the image's documents are missing or damaged
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec config.md "Layer DiffID", "Layer ChainID", "ImageID"
 * Since:   0.1
 */
DRAY_API int dray_explain(dray_context *ctx, const char *image, const struct dray_select *sel,
			  dray_report **ret, dray_error **err);
/**
 * Read every layer once and recompute every digest; look at every tar header.
 *
 * @param sel  NULL = as a zero one
 * @return  0: dray_report_problems() tells whether all is sound; -1 = could not look
 *
 * Owns:    *ret is the caller's: dray_report_free()
 * Errors:  as dray_images(). Bytes that do not fit are problems in the report.
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec descriptor.md "Digests", config.md "Layer DiffID"
 * Since:   0.1
 */
DRAY_API int dray_verify(dray_context *ctx, const char *image, const struct dray_select *sel,
			 dray_report **ret, dray_error **err);

/** One identity that a hash or prefix matched. */
struct dray_match {
	/**
	 * "image_id", "manifest_digest", "index_digest", "diff_id", "chain_id", "v1_id",
	 * "blob_digest" or "skopeo_id".
	 */
	const char *kind;
	const char *image;	/**< image ID; NULL for artifacts */
	int64_t layer;		/**< -1 = of the image */
	const char *value;	/**< whole */
	const char *how;	/**< a sentence: how it is derived; static */
};
typedef struct dray_matches dray_matches;
/**
 * Find a hash among all identities of a place's images, those too that no file holds
 * but other writers would derive. Reads what dray_images() does.
 *
 * @param hash  hex or "algo:hex", at least 4 digits; the algorithm is not compared
 * @param sel   NULL = search all images
 * @return  0, also without a match; -1
 *
 * Owns:    *ret is the caller's: dray_matches_free()
 * Errors:  as dray_images(); USAGE not a hash; FORMAT a config that v1 IDs cannot be made of
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec config.md "Layer ChainID", "ImageID"
 * Since:   0.1
 */
DRAY_API int dray_explain_hash(dray_context *ctx, const char *hash, const char *image,
			       const struct dray_select *sel, dray_matches **ret, dray_error **err);
/** Matches found. Since: 0.1 */
DRAY_API size_t dray_matches_count(const dray_matches *m);
/** The @p i-th, borrowed from @p m; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_match *dray_matches_get(const dray_matches *m, size_t i);
/** Free @p m; NULL is fine. Since: 0.1 */
DRAY_API void dray_matches_free(dray_matches *m);

/** Why two images differ; the first cause comes first. */
struct dray_cause {
	/**
	 * "layers", "layer-count", "layer-order", "platform", "config", "compression",
	 * "manifest-type", "manifest-bytes" or "tag".
	 */
	const char *code;
	const char *message;	/**< a sentence, safe for a terminal */
};
typedef struct dray_why_result dray_why_result;
/**
 * Compare two images, deepest cause first; reads what dray_explain() does of each.
 *
 * @param a  a reference as dray(1) spells them, of one image
 * @param b  likewise
 * @return  0, whether they differ or not; -1
 *
 * Owns:    *ret is the caller's: dray_why_free()
 * Errors:  as dray_explain(); UNSUPPORTED an artifact
 * Threads: see dray_context_new()
 * Since:   0.1
 */
DRAY_API int dray_why(dray_context *ctx, const char *a, const char *b, dray_why_result **ret,
		      dray_error **err);
/**
 * The same image ID, and the same manifest where both places store one. Tags may
 * differ all the same: then they are the only cause. Since: 0.1
 */
DRAY_API bool dray_why_same(const dray_why_result *w);
/** The config bytes are the same. Since: 0.1 */
DRAY_API bool dray_why_same_image_id(const dray_why_result *w);
/**
 * 1 = the same layers, so the same files; -1 = not known: the layers differ, and trees
 * are not compared in this version; 0 = other files. Since: 0.1
 */
DRAY_API int dray_why_same_rootfs(const dray_why_result *w);
/** Causes found. Since: 0.1 */
DRAY_API size_t dray_why_causes(const dray_why_result *w);
/** The @p i-th, borrowed from @p w; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_cause *dray_why_cause(const dray_why_result *w, size_t i);
/** Free @p w; NULL is fine. Since: 0.1 */
DRAY_API void dray_why_free(dray_why_result *w);

#ifdef __cplusplus
}
#endif
