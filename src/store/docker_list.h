/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json of an archive that Docker loads: an element for each image, names as people
 * write them. Spec: formats.md 1.3, 1.5.
 */
#pragma once

#include "store/dest_priv.h"

#define DOCKER_LIST_NAME "manifest.json"

struct listed;
/** Manifests and indexes that were put. Zero-initialise. */
struct docker_list {
	struct arena arena;
	struct listed *first, **last;
	struct map by_digest;	/* digest text -> struct listed */
	bool legacy;		/* names of layers and configs are those of store/legacy.h */
};
int docker_list_add(struct docker_list *l, const struct manifest *m, dray_error **err) MUST_CHECK;
/**
 * The text of manifest.json: the elements of @p old ("[]" for none) without the names that
 * @p x gives away, then ours. Of an index the host's platform is listed, else its first;
 * artifacts are not. An image that @p old has already gets its names there. Other bytes
 * of @p old stay. FORMAT when it is damaged.
 */
int docker_list_write(const struct docker_list *l, const struct dest_index *x, struct span old,
		      struct buf *ret, dray_error **err) MUST_CHECK;
/** The manifest of the image that stands for what @p d names: itself, or one of an index; NULL. */
const struct digest *docker_list_image(const struct docker_list *l, const struct digest *d);
void docker_list_clear(struct docker_list *l);
