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
};
/**
 * Change config and manifest of @p im, if it is an image that is meant. Its layers and its
 * digest as others name it (wanted) stay.
 */
int edit_image(struct edit *e, struct image *im, dray_error **err) MUST_CHECK;
