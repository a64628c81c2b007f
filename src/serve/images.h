/* SPDX-License-Identifier: Apache-2.0
 *
 * A shelf over images of other places, read-only: manifests from memory, configs likewise, layers
 * from where they lie. Filled once, then never changed, so that it needs no lock.
 *
 * Names. A stored name "HOST/PATH:TAG" is offered as repository PATH for docker.io (without
 * "library/") and localhost, and for hosts that cannot be part of a repository's name (a port); else
 * as HOST/PATH. A tag without a name, and an image without either, belong to the repository that
 * the place is called by. Clients find "library/x", "docker.io/x" and "localhost/x" too.
 *
 * Manifests. One that a place has is served as it is. Where there is none (docker save, disks of
 * engines) it is that of the canonical archive: layers uncompressed, their digests the DiffIDs.
 */
#pragma once

#include "serve/shelf.h"
#include "store/store.h"

struct images_shelf;

struct images_shelf *images_shelf_new(dray_error **err);
struct shelf *images_shelf_base(struct images_shelf *s);

/** Something to know about what is served, or not; texts are safe for a terminal. */
typedef void images_note_fn(void *arg, const char *text);
/**
 * Add the @p n images of @p st; both are taken over, also on failure. @p name is what the place is
 * called by, any text. Images that cannot be served are told to @p note (may be NULL) and left out,
 * as are names that are taken.
 */
int images_shelf_add(struct images_shelf *s, struct store *st, struct image **images, size_t n,
		     const char *name, images_note_fn *note, void *arg, dray_error **err) MUST_CHECK;
/** Nothing is added any more: what the lists need is made. */
int images_shelf_seal(struct images_shelf *s, dray_error **err) MUST_CHECK;
