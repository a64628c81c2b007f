/* SPDX-License-Identifier: Apache-2.0
 *
 * The image configuration; its bytes are the image ID. formats.md 3.
 */
#pragma once

#include "base/arena.h"
#include "digest/digest.h"
#include "image/platform.h"
#include "json/json.h"

struct history {
	const char *created, *created_by, *author, *comment; /* NULL when absent */
	bool empty_layer;
};

struct config {
	struct arena arena;
	struct buf raw;	      /* exact bytes */
	struct digest digest; /* the image ID */
	struct json_doc *doc;
	struct platform platform; /* os and arch may be NULL */
	const char *created;	  /* text as stored; NULL when absent */
	struct digest *diff_ids;
	size_t n_diff_ids;
	bool has_diff_ids; /* rootfs.diff_ids is there */
	struct history *history;
	size_t n_history;
};

/** Parse @p raw (taken over). FORMAT unless a JSON object with known members of their types. */
int config_parse(struct buf *raw, struct config **ret, dray_error **err) MUST_CHECK;
void config_free(struct config *c);
DEFINE_CLEANUP(struct config, cleanup_config_fn, config_free)
#define cleanup_config CLEANUP(cleanup_config_fn)

/** History entry that made layer @p layer (k-th entry without empty_layer), or -1. */
int64_t config_history_of_layer(const struct config *c, size_t layer);

/** ChainIDs of @p n diff ids into @p ret. formats.md 3.4 */
int chain_ids(const struct digest *diff_ids, size_t n, struct digest *ret,
	      dray_error **err) MUST_CHECK;

/* ---- legacy v1 IDs, formats.md 2 ---- */

enum v1_era {
	V1_ERA_EPOCH, /* 17.04 and later: Unix time 0 in the daemon's zone */
	V1_ERA_ZERO,  /* 1.10 - 1.12 */
	V1_ERA_IMAGE, /* 1.13 - 17.03: the image's own created */
};

struct v1_params {
	enum v1_era era;
	int32_t off_min;   /* zone offset in January 1970, minutes (EPOCH only) */
	bool go122;	   /* \b \f instead of \u0008 \u000c */
	bool created_null; /* 25 and later: absent created is null; StartInterval is known */
	bool no_variant;   /* 17.04 - 19.03: "variant" is not known yet (EPOCH only) */
};

typedef char v1_id[65];

/** The IDs that Docker's save derives for @p c, one per diff id. */
int v1_ids_docker(const struct config *c, const struct v1_params *p, v1_id *ret,
		  dray_error **err) MUST_CHECK;
/**
 * The file "ID/json" of layer @p i as Docker's save of 18.05 to 24 writes it, appended to @p ret; @p ids
 * as v1_ids_docker() gave them for the same @p p. formats.md 1.3
 */
int v1_json_docker(const struct config *c, const struct v1_params *p, const v1_id *ids, size_t i,
		   struct buf *ret, dray_error **err) MUST_CHECK;
/** The IDs of containers/image (skopeo, podman), formats.md 1.6. */
int v1_ids_skopeo(const struct config *c, v1_id *ret, dray_error **err) MUST_CHECK;
/**
 * A v1-only image ("HEX/json" bottom first) into a modern config, as Docker <= 28 does
 * (formats.md 1.9). @p diff_ids one per json.
 */
int config_from_v1(const struct span *jsons, const struct digest *diff_ids, size_t n,
		   struct buf *ret, dray_error **err) MUST_CHECK;
