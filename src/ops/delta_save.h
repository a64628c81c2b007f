/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of delta save, for the files that share it.
 */
#pragma once

#include "ops/delta_priv.h"

/* Level file reads bases for what is more than this part of the biggest: 100 kB of 1.7 GB. */
#define DELTA_FILES_PAY 16384

/* An image of a base, or a have-list: what it has, and what of that is needed. */
struct delta_side {
	struct haves haves;
	struct delta_need need;
};

struct delta_save {
	dray_context *ctx;
	const struct dray_delta_options *o;
	struct stack *s; /* the image */
	struct delta_side *olds;
	size_t n_olds, cap_olds;
	int64_t base_bytes; /* of the biggest of them, as stored */
	struct delta_bases bases; /* their bytes, at level file */
	/* The same for recipes; NULL at level layer, and where they are not worth reading. */
	struct delta_olds *files;
	struct dest *dest;
	struct delta_side **from; /* of each layer: who has it; NULL = it is sent */
	struct map sent; /* DiffID text of those -> struct delta_layer, once it is in */
	struct delta_doc doc;
	int64_t stored;	    /* bytes of all blobs */
	struct manifest *artifact;
	struct buf list;    /* manifest.json */
};

/* ---- delta_write.c ---- */

/** Once all layers are in: the image's own documents, the description, the artifact that names all. */
int delta_put_documents(struct delta_save *v, dray_error **err) MUST_CHECK;
/** Into v->list, what "docker load" reads: all layers are named, those of the base are not in the archive. */
int delta_write_list(struct delta_save *v, dray_error **err) MUST_CHECK;
