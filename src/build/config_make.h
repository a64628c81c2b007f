/* SPDX-License-Identifier: Apache-2.0
 *
 * The config of the image: what the spec says over what the base says.
 */
#pragma once

#include "build/spec.h"
#include "image/config.h"

struct config_make {
	const struct spec *spec;
	const struct config *base; /* NULL = from scratch */
	const char *created;	   /* RFC 3339 */
	struct platform platform;  /* of what has no base */
	/* out */
	bool dropped_onbuild; /* the base had triggers; they are gone */
};
/**
 * The text, appended, with the base's layers and history. A new image has none of both. FORMAT when
 * the base's config is not as one should be.
 */
int config_make(struct config_make *m, struct buf *ret, dray_error **err) MUST_CHECK;
/** A step of the history, appended. */
int config_make_step(const struct spec *s, const char *created, const char *comment,
		     struct buf *ret, dray_error **err) MUST_CHECK;
