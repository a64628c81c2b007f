/* SPDX-License-Identifier: Apache-2.0
 *
 * What reads a spec: from JSON to its structs, by the tables of keys.
 */
#pragma once

#include "build/spec_priv.h"
#include "json/json.h"

struct spec_reader {
	struct spec *spec;
	struct span text; /* of which the JSON is */
	const char *where;
	size_t seen; /* byte that is at ... */
	struct spec_at at;
	bool expand; /* values of Env */
};
/** USAGE with line and column of @p v. Returns -1. */
int spec_fail(const struct spec_reader *r, struct json v, const char *what, const char *problem,
	      dray_error **err);
/** The value @p v of key @p k into @p slot, its place in its struct. */
int spec_read_value(struct spec_reader *r, struct json v, const struct spec_key *k, void *slot,
		    dray_error **err) MUST_CHECK;
/** The object @p v, which is called @p what, into the struct at @p at. */
int spec_read_shape(struct spec_reader *r, const struct spec_shape *shape, struct json v, void *at,
		    const char *what, dray_error **err) MUST_CHECK;
