/* SPDX-License-Identifier: Apache-2.0
 *
 * Images as a copy meets them, with another config.
 */
#pragma once

#include <dray/edit.h>
#include "store/store.h"

/** What is done to the images of a run. */
struct edit {
	const struct dray_edit_options *o;
	struct selector which; /* of an index: platforms that are changed */
	size_t n_meant, n_changed;
	bool to_oci;		/* the copy writes OCI manifests, whatever the source has */
	struct manifest **made; /* that annotations come from, owned; their images go first */
	size_t n_made, cap_made;
	bool whole_names; /* Docker reads the names: "app" is "app:latest", and no other text goes */
};
void edit_clear(struct edit *e);
#define cleanup_edit CLEANUP(edit_clear)
/** USAGE for a name that could not be told where the result goes. */
int edit_check_tags(const struct edit *e, dray_error **err) MUST_CHECK;
/** Do the steps change what an image says of its platform? */
bool edit_moves_platform(const struct dray_edit_options *o);
/** An image, and one of the platforms that are to change. */
bool edit_means(const struct edit *e, const struct image *im);
/**
 * Change config and manifest of @p im, if it is an image that is meant. Its layers and its
 * digest as others name it (wanted) stay.
 */
int edit_image(struct edit *e, struct image *im, dray_error **err) MUST_CHECK;

/** All steps for a manifest, or all for a config, one after the other. */
int edit_run_steps(const struct dray_edit_options *o, bool manifest, struct buf *text,
		   dray_error **err) MUST_CHECK;
/** USAGE for steps that say nothing sensible. */
int edit_check_steps(const struct dray_edit_options *o, dray_error **err) MUST_CHECK;
/** @p m with another config; all other text of it stays. */
int edit_manifest_config(const struct manifest *m, const struct config *c, struct manifest **ret,
			 dray_error **err) MUST_CHECK;
