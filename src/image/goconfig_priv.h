/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's Go structs, decoded and encoded again: what its legacy code does to JSON before it
 * hashes it. Spec: formats.md 2.5 and 2.6. Not for other rooms.
 */
#pragma once

#include "base/jsonw.h"
#include "image/config.h"

/** Go's time.Time{}: what an absent time becomes. */
#define GO_ZERO_TIME "0001-01-01T00:00:00Z"

/** An encoder at work. */
struct goconfig {
	struct jsonw *w;
	struct arena *arena; /* decoded strings */
	const struct v1_params *p;
	dray_error **err;
};

/**
 * Write @p v as the struct container.Config: members in Go's order, zero values where Go
 * writes them. MISSING or null gives the zero struct. FORMAT where Go's decoder refuses.
 */
int goconfig_write(struct goconfig *g, struct json v) MUST_CHECK;

/** Member @p name of @p obj (any case) as key @p name with a string; nothing when empty. */
int goconfig_string(struct goconfig *g, struct json obj, const char *name) MUST_CHECK;

/** The time @p v as Go writes it; MISSING or null gives NULL. FORMAT unless RFC 3339. */
int goconfig_time(struct goconfig *g, struct json v, const char **ret) MUST_CHECK;
