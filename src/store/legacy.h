/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive that Docker before 1.10 and old tools read, too: a folder for each layer, named by
 * its v1 ID, and "repositories". Such readers take every folder for a layer, so there is no
 * "blobs": layers and configs lie at the top, as skopeo has them, and the folders hold links.
 * Spec: formats.md 1.3, 1.6, 2.
 *
 *	HEX.tar | HEX.json | ID/ ID/VERSION ID/json ID/layer.tar -> ../HEX.tar | manifest.json repositories
 */
#pragma once

#include "image/config.h"
#include "store/docker_list.h"
#include "store/tar_out.h"

struct legacy_layer;
/** Images that were put. Zero-initialise. */
struct legacy {
	struct arena arena;
	struct legacy_layer *first, **last;
	struct map folders;	/* v1 ID -> struct legacy_layer: each once */
	struct map tops;	/* digest text of a manifest -> v1 ID of its top layer */
};
/**
 * The image that @p m is, of config @p c. One without layers has no place there. FORMAT when
 * manifest and config disagree about how many there are.
 */
int legacy_add(struct legacy *l, const struct manifest *m, const struct config *c,
	       dray_error **err) MUST_CHECK;
/** The name of a layer, of a config; in new memory, NULL = no memory. */
char *legacy_layer_name(const struct digest *d);
char *legacy_config_name(const struct digest *d);
/** The folders, behind the layers that they lead to. */
int legacy_write_folders(const struct legacy *l, struct tar_out *to, dray_error **err) MUST_CHECK;
/** The names that @p x gives to images; nothing when it gives none. */
int legacy_write_names(const struct legacy *l, const struct docker_list *list,
		       const struct dest_index *x, struct tar_out *to, dray_error **err) MUST_CHECK;
void legacy_clear(struct legacy *l);
