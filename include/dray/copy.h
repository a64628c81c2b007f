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

/** Begin with DRAY_COPY_OPTIONS_INIT. */
struct dray_copy_options {
	size_t size;
	const char *image;	/**< choose one image of the source, as --image */
	bool all;		/**< every image of the source */
	const char *format;	/**< "docker" or "oci"; NULL = the source's */
	const char *compression;/**< "gzip", "gzip-single", "zstd", "none"; NULL = keep */
	int level;		/**< 0 = default */
	const char *reuse;	/**< reference whose layers may be kept; NULL = the tag being overwritten */
	bool no_reuse;
	bool no_clobber;
};
#define DRAY_COPY_OPTIONS_INIT { .size = sizeof(struct dray_copy_options) }

typedef struct dray_copy_result dray_copy_result;
struct dray_copied {
	const char *reference;		/**< "HOST/NAME@sha256:..." or "PATH@sha256:..." */
	const char *tagged;		/**< "HOST/NAME:TAG", NULL */
	const char *manifest_digest;
	const char *image_id;
	const char *const *changes;	/**< one sentence per conversion; none = digests preserved */
	size_t n_changes;
	int64_t blobs_sent, blobs_skipped, bytes_sent;
};

/** Any readable place to any writable one. */
DRAY_API int dray_copy(dray_context *ctx, const char *src, const char *dst,
		       const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err);
/** To a registry; @p ref NULL = each image's own tags that name a registry host. */
DRAY_API int dray_push(dray_context *ctx, const char *src, const char *ref,
		       const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err);
DRAY_API size_t dray_copy_count(const dray_copy_result *r);
DRAY_API const struct dray_copied *dray_copy_get(const dray_copy_result *r, size_t i);
DRAY_API void dray_copy_free(dray_copy_result *r);

#ifdef __cplusplus
}
#endif
