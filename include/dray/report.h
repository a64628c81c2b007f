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
	const char *diff_id;		/**< sha256 of the uncompressed tar; declared, or computed where the image declares none */
	const char *chain_id;
	const char *v1_id;		/**< found in the archive, else derived as Docker 17.04+ does */
	bool v1_id_found;		/**< v1_id stands in the archive */
	const char *v1_id_origin;	/**< how it is derived: "docker" (17.04 and later), "docker@UTC-05:00" (on a host of that zone), "docker-1.10", "docker-1.13", "skopeo", "chain-id" (older skopeo: the ChainID itself), NULL = by no rule we know */
	const char *blob_digest;	/**< sha256 of the stored bytes */
	const char *compression;	/**< "none", "gzip", "zstd", ...; NULL unknown */
	const char *media_type;
	const char *path;		/**< member as referenced */
	const char *link_target;	/**< member that it resolves to, when path is a link */
	int64_t same_as;		/**< index of the first layer with the same DiffID, -1 = first itself */
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

struct dray_image_info {
	const char *const *tags;
	size_t n_tags;
	const char *image_id;		/**< digest of the config bytes; NULL for artifacts */
	const char *manifest_digest;	/**< NULL where the place stores no manifest */
	const char *media_type;		/**< of the manifest */
	const char *platform;		/**< "linux/amd64" */
	const char *created;
	const char *author;
	int64_t size;			/**< config and distinct layers as stored */
	const char *config_json;	/**< the config document's "config" object, as JSON text; NULL */
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
	const char *config_path;	/**< member or file that holds the config, as referenced; NULL */
};

/** A problem (verify failed because of it) or a warning. */
struct dray_finding {
	const char *code;		/**< stable: "diff-id-mismatch" */
	const char *where;
	const char *expected, *actual;
	const char *message;
};

DRAY_API size_t dray_report_images(const dray_report *r);
DRAY_API const struct dray_image_info *dray_report_image(const dray_report *r, size_t i);
DRAY_API size_t dray_report_problems(const dray_report *r);
DRAY_API const struct dray_finding *dray_report_problem(const dray_report *r, size_t i);
DRAY_API size_t dray_report_warnings(const dray_report *r);
DRAY_API const struct dray_finding *dray_report_warning(const dray_report *r, size_t i);
/** "docker-archive", "docker-v1", "oci", "registry", ... */
DRAY_API const char *dray_report_store(const dray_report *r);
DRAY_API void dray_report_free(dray_report *r);

/** Which images of the place; zero = the only one (ambiguity is USAGE and lists them), or all for dray_images(). */
struct dray_select {
	size_t size;
	const char *image;		/**< "REF", "@N" or "sha256:ID" as --image */
	bool all;
};
#define DRAY_SELECT_INIT { .size = sizeof(struct dray_select) }

/** Every image of a place. Reads documents only (a forward-only place is read through once). */
DRAY_API int dray_images(dray_context *ctx, const char *place, const struct dray_select *sel,
			 dray_report **ret, dray_error **err);
/** One image with every identity; documents only. Also serves inspect and digest. */
DRAY_API int dray_explain(dray_context *ctx, const char *image, const struct dray_select *sel,
			  dray_report **ret, dray_error **err);
/** Read everything, recompute every digest. Problems are in the report; -1 = could not look. */
DRAY_API int dray_verify(dray_context *ctx, const char *image, const struct dray_select *sel,
			 dray_report **ret, dray_error **err);

/** One identity that a hash or prefix matched. */
struct dray_match {
	const char *kind;	/**< "image_id", "manifest_digest", "diff_id", "chain_id", "v1_id", "blob_digest", "config_digest", "index_digest", "v1_parent", "skopeo_id" */
	const char *image;	/**< image ID */
	int64_t layer;		/**< -1 */
	const char *value;	/**< whole */
	const char *how;	/**< a sentence: how it is derived */
};
typedef struct dray_matches dray_matches;
/** Find @p hash (hex or algo:hex, at least 4 digits) among all identities of an image. None is success with zero matches. */
DRAY_API int dray_explain_hash(dray_context *ctx, const char *hash, const char *image,
			       const struct dray_select *sel, dray_matches **ret, dray_error **err);
DRAY_API size_t dray_matches_count(const dray_matches *m);
DRAY_API const struct dray_match *dray_matches_get(const dray_matches *m, size_t i);
DRAY_API void dray_matches_free(dray_matches *m);

/** Why two images differ; the first cause comes first. */
struct dray_cause {
	const char *code;	/**< "config", "layers", "layer-count", "layer-order", "compression", "manifest-type", "manifest-bytes", "tag", "platform" */
	const char *message;
};
typedef struct dray_why_result dray_why_result;
DRAY_API int dray_why(dray_context *ctx, const char *a, const char *b, dray_why_result **ret, dray_error **err);
DRAY_API bool dray_why_same(const dray_why_result *w);		/**< nothing differs */
DRAY_API bool dray_why_same_image_id(const dray_why_result *w);
DRAY_API int dray_why_same_rootfs(const dray_why_result *w);	/**< 1, 0, -1 = not known (layers differ, trees not compared) */
DRAY_API size_t dray_why_causes(const dray_why_result *w);
DRAY_API const struct dray_cause *dray_why_cause(const dray_why_result *w, size_t i);
DRAY_API void dray_why_free(dray_why_result *w);

#ifdef __cplusplus
}
#endif
