/* SPDX-License-Identifier: Apache-2.0
 *
 * zstd beside something alike: a frame whose matches may reach back into a prefix that the reader
 * has, too. Spec: RFC 8878, the prefix as a dictionary of raw content.
 */
#pragma once

#include "base/span.h"

#define PATCH_LEVEL_MAX 19

/** Compresses one piece after the other, on one thread at a time. */
struct patch_encoder;

/** NULL = no memory. */
struct patch_encoder *patch_encoder_new(void);
/** Room that any @p len bytes may need. */
size_t patch_bound(size_t len);
/**
 * One frame of @p in, not empty, that needs @p prefix (may be empty) to be decoded; @p level 1 to
 * PATCH_LEVEL_MAX. What comes out depends on these and the version of libzstd alone. Returns its
 * size, 0 = failed.
 */
size_t patch_encode(struct patch_encoder *p, int level, struct span prefix, struct span in,
		    struct room out);
void patch_encoder_free(struct patch_encoder *p);

/** Decodes one frame after the other. */
struct patch_decoder;

struct patch_decoder *patch_decoder_new(dray_error **err);
/**
 * @p frame is one frame that makes exactly out.len bytes, else FORMAT. No memory is needed but
 * @p out: what a frame says of its window does not matter.
 */
int patch_decode(struct patch_decoder *p, struct span prefix, struct span frame, struct room out,
		 dray_error **err) MUST_CHECK;
void patch_decoder_free(struct patch_decoder *p);
