/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of a server, and who clears it up meanwhile.
 */
#pragma once

#include <dray/serve.h>

#include "ops/ops.h"
#include "serve/depot.h"

struct root;

/** Open o->root. */
int root_open(dray_context *ctx, const struct dray_serve_options *o, struct root **ret,
	      dray_error **err) MUST_CHECK;
/** What is served: the folder, or the registry that it is a cache of. Borrowed. */
struct shelf *root_shelf(const struct root *r);
/** Let go of requests that wait for another registry, before the server's threads are waited for. */
void root_stop(struct root *r);
/** To be called now and then: begins garbage collection, on a thread of its own, when it is due. */
void root_tick(struct root *r);
/** After the server. Breaks off what goes on. NULL-safe. */
void root_close(struct root *r);
