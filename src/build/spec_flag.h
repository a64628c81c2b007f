/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of flags share.
 */
#pragma once

#include "build/spec_priv.h"

struct flag {
	const char *name; /* NULL ends a table */
	int (*set)(struct spec *s, const char *value, dray_error **err);
};
extern const struct flag config_flags[], layer_flags[];

/** USAGE "expected ...". Returns -1. */
int flag_bad(const char *expected, dray_error **err);
int flag_copy(struct spec *s, const char *text, size_t len, const char **ret,
	      dray_error **err) MUST_CHECK;
int flag_string(struct spec *s, const char *text, const char **ret, dray_error **err) MUST_CHECK;
int flag_number(const char *text, struct spec_int *ret, dray_error **err) MUST_CHECK;
/** A string of the config. */
int flag_text(struct spec *s, const char *text, struct span *ret, dray_error **err) MUST_CHECK;
/** "NAME=VALUE", or "NAME-": what the base has is taken away. */
int flag_pair(struct spec *s, struct spec_pairs *p, const char *value, dray_error **err) MUST_CHECK;
