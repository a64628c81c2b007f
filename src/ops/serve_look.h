/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into layers for the pages of a server: what it may cost is bounded.
 */
#pragma once

#include <stdatomic.h>

#include "ops/ops.h"
#include "serve/serve.h"

#define LOOK_BYTES (1024 * MIB) /* of uncompressed layers: some 2 s where they are gzip */
#define LOOK_ENTRIES 200000	/* of all layers; with their text some 200 MiB of memory */
#define LOOK_TEXT (64 * MIB)	/* of these: names, links, attributes */
#define LOOK_MS 20000

/** One look at a time. Zeroed but for its first two members. */
struct looker {
	dray_context *ctx;
	struct shelf *shelf;
	atomic_bool busy;
	atomic_bool stop; /* by whoever waits for it to end */
};
/** See serve_look_fn. Every layer is held against its digest. Refuses when it is busy. */
int looker_look(struct looker *k, const char *repo, const struct manifest *m,
		struct serve_layer *ret, dray_error **err) MUST_CHECK;
