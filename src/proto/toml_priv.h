/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the TOML reader share.
 */
#pragma once

#include "proto/toml.h"

struct toml_reader {
	struct span text;
	size_t at;
	int line;
	int values;
	struct arena *arena;
	struct toml *root, *table; /* where keys go now */
};

/** The byte at hand; -1 at the end. */
int toml_here(const struct toml_reader *r);
bool toml_at(const struct toml_reader *r, const char *text);
void toml_spaces(struct toml_reader *r);
/** "line N: ..."; returns -1. */
int toml_wrong(const struct toml_reader *r, dray_error **err, const char *what);
/** Past one byte @p c, or FORMAT. */
int toml_expect(struct toml_reader *r, char c, const char *what, dray_error **err) MUST_CHECK;
/** Past white space, comments and line ends. */
int toml_blank(struct toml_reader *r, dray_error **err) MUST_CHECK;
/** A new value below @p parent. */
struct toml *toml_add(struct toml_reader *r, struct toml *parent, const char *key, dray_error **err);

/** One string of any kind, decoded; @p multi: those of several lines too. */
int toml_string(struct toml_reader *r, bool multi, const char **ret, dray_error **err) MUST_CHECK;
/** One part of a key: bare or quoted. */
int toml_key_part(struct toml_reader *r, const char **ret, dray_error **err) MUST_CHECK;
/** "a.b.c =" into a new member, below @p table. */
int toml_key(struct toml_reader *r, struct toml *table, struct toml **ret,
	     dray_error **err) MUST_CHECK;
/** A value into @p slot. */
int toml_value(struct toml_reader *r, struct toml *slot, dray_error **err) MUST_CHECK;
