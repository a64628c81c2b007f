/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry, as the one behind a pull-through cache.
 */
#pragma once

#include "ops/ops.h"
#include "serve/proxy.h"

struct behind;

/**
 * @p text is [http[s]://]HOST[:PORT][/PREFIX]; nothing is asked yet. registries.conf says nothing
 * here: it may name this very server as a mirror. USAGE.
 */
int behind_open(dray_context *ctx, const char *text, struct behind **ret,
		dray_error **err) MUST_CHECK;
/** NULL-safe; after everything that came of it. */
void behind_free(struct behind *b);
struct upstream *behind_upstream(struct behind *b);
/** "docker.io", "quay.io/org": what a cache of it is called; borrowed. */
const char *behind_name(const struct behind *b);
