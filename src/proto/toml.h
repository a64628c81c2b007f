/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading TOML as far as container tools use it: tables, arrays of tables, strings
 * of all four kinds, booleans, integers, arrays, inline tables, comments. Floats and
 * dates are known by their look and not understood. Strict: what TOML 1.0 forbids is
 * an error with its line. Not recursive; depth and values are bounded.
 */
#pragma once

#include "base/arena.h"

enum toml_type {
	TOML_STRING,
	TOML_BOOL,
	TOML_INT,
	TOML_OTHER, /* a float or a date */
	TOML_ARRAY,
	TOML_TABLE,
};

/** A value, in the arena it was parsed into. */
struct toml {
	const char *key; /* NULL: element of an array, or the root */
	enum toml_type type;
	int line;
	const char *string; /* TOML_STRING, decoded; it holds no NUL */
	int64_t integer;
	bool boolean;
	struct toml *first, *last, *next; /* children in order; the next sibling */
	/* How it came to be, which decides who may add to it. */
	bool implied; /* by a header below it: its own header may come yet */
	bool dotted;  /* by a dotted key: only such keys add */
	bool listed;  /* an array whose elements come from [[headers]] */
	bool open;    /* a table that headers and keys may still add to */
};

/** *ret is the root table, in @p a. FORMAT says "line N: ..."; LIMIT over LIMIT_TOML_VALUES. */
int toml_parse(struct span text, struct arena *a, struct toml **ret, dray_error **err) MUST_CHECK;
/** Member of a table, NULL when it is not there or @p table is none. */
const struct toml *toml_get(const struct toml *table, const char *key);
/** Absent members keep *ret. FORMAT, with the line, on another type. */
int toml_get_string(const struct toml *table, const char *key, const char **ret,
		    dray_error **err) MUST_CHECK;
int toml_get_bool(const struct toml *table, const char *key, bool *ret,
		  dray_error **err) MUST_CHECK;
/** An array of tables; NULL and success when absent. */
int toml_get_tables(const struct toml *table, const char *key, const struct toml **ret,
		    dray_error **err) MUST_CHECK;
