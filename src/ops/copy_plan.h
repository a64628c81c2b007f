/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of one image's copy: its distinct layers and what becomes of each.
 * copy_plan.c decides, copy_blobs.c moves, copy_image.c writes the documents.
 */
#pragma once

#include "ops/copy_priv.h"

/* One distinct layer. */
struct work {
	size_t layer;			/* first layer of the image that needs it */
	bool convert;
	bool done;			/* out is known, nothing to move */
	struct descriptor out;
	enum compression found;		/* as stored at the source */
	enum compression compression;	/* as it is at the destination */
};

struct plan {
	struct copy *c;
	struct image *im;
	struct arena *arena;		/* the result's */
	struct work *work;
	size_t n_work;
	size_t *of_layer;		/* layer -> index into work */
	size_t *order;			/* big ones first */
	bool config_done;		/* it went beside the layers */
	bool keep_manifest;
	bool verbatim;			/* an artifact or attestation: never converted */
	bool docker;			/* format of a manifest we write */
	const char *changes[4];
	size_t n_changes;
};

/** Is there a manifest that says which blobs the layers are? A docker-archive's must agree. */
bool has_vouched_manifest(const struct copy *c, const struct image *im);
/** The same for one layer: its stored bytes are what its blob digest says. */
bool layer_is_vouched(const struct copy *c, const struct image *im, const struct layer *l);
/** Distinct layers into p->work, and for each whether it is converted. */
int plan_layers(struct plan *p, dray_error **err) MUST_CHECK;
/** After the layers have moved: keep the stored manifest, or write one, and in which family. */
void plan_manifest(struct plan *p);
/**
 * Move what is not there; afterwards each work's out is what the destination holds. A registry
 * gets the config beside the layers, p->config_done tells.
 */
int move_layers(struct plan *p, dray_error **err) MUST_CHECK;
int copy_put_config(struct plan *p, dray_error **err) MUST_CHECK;
/** The index that the image comes in, around @p m. UNSUPPORTED where there is no place for one. */
int copy_within(const struct plan *p, const struct manifest *m, struct manifest **ret,
		dray_error **err) MUST_CHECK;
