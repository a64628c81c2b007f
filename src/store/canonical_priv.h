/* SPDX-License-Identifier: Apache-2.0
 *
 * The documents of a canonical archive: their text.
 */
#pragma once

#include "store/canonical.h"

/** Names of an image that stand in its element of manifest.json: see canonical_names(). */
struct canonical_repo_tags {
	struct map owner; /* name -> the struct canonical_image that has it there */
};
/** FORMAT where two images of one platform have the same name. */
int canonical_names(const struct canonical_set *s, struct canonical_repo_tags *ret,
		    dray_error **err) MUST_CHECK;

/** OCI manifest of @p im into im->manifest and im->manifest_digest. */
int canonical_write_manifest(struct canonical_image *im, dray_error **err) MUST_CHECK;
int canonical_write_index(const struct canonical_set *s, struct buf *ret,
			  dray_error **err) MUST_CHECK;
int canonical_write_manifest_json(const struct canonical_set *s,
				  const struct canonical_repo_tags *tags, struct buf *ret,
				  dray_error **err) MUST_CHECK;
