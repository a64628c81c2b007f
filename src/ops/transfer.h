/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer from where it is to where it goes: checked, converted only when
 * told so, in one pass.
 */
#pragma once

#include "ops/ops.h"

/** What becomes of the bytes. */
struct conversion {
	bool convert;			/* false: stored bytes go untouched */
	struct encode_params encode;	/* when converting */
};

struct transfer {
	dray_context *ctx;
	struct dest *dest;
	const char *label;		/* "layer 3 of 7 sha256:0123456789ab" */
	int64_t total;			/* stored bytes, for progress; -1 unknown */
	struct digest blob_digest;	/* somebody vouched for it: checked; may be unset */
	int64_t blob_size;		/* -1 unknown */
	struct digest diff_id;		/* checked when set */
	enum compression found;		/* of the stored bytes */
	bool dear;			/* they come over a network: see blob_put.keep_partial */
	struct conversion how;
};

/** What a layer's media type says about its bytes; NULL or no suffix says none. */
enum compression compression_declared(const char *media_type);

/** What came out at the destination. */
struct transferred {
	struct digest digest;
	int64_t size;
	enum compression compression;
	struct blob_facts facts;	/* of the source; complete after a forward transfer */
};

/** Opens the stored bytes, again if asked again (uploads that resume). */
struct layer_opener {
	struct store *store;
	const struct image *image;
	size_t index;
};

/** A layer of a place with random access. */
int transfer_layer(const struct transfer *t, const struct layer_opener *from,
		   struct transferred *ret, dray_error **err) MUST_CHECK;

/**
 * A layer that passes by on a forward walk (@p data lent): nothing is known of
 * it yet, so t->blob_digest and t->diff_id are unset and ret->facts is what the
 * archive's documents are held against later. @p found is the sniffed compression.
 */
int transfer_passing(const struct transfer *t, struct source *data, enum compression found,
		     struct transferred *ret, dray_error **err) MUST_CHECK;
