/* SPDX-License-Identifier: Apache-2.0
 *
 * What describes a closure: store paths, their sizes, and which needs which. Pure: bytes in.
 *
 * Read are, told apart by their beginning: the JSON of exportReferencesGraph, alone or under a
 * key of .attrs.json; "nix path-info --json" as array, as object, and as object with "info";
 * closureInfo's registration; the text of exportReferencesGraph; lists of paths, a line each or
 * NUL after each.
 */
#pragma once

#include "base/arena.h"

struct closure_options {
	const char *store; /* NULL = "/nix/store": each path is one component below it */
	const char *key;   /* of .attrs.json; NULL = the only one that holds a graph */
	bool ignore_missing; /* references to paths that are not described are left out */
	/*
	 * Paths that nobody needs. With references known, what these do not need is left out; NULL:
	 * those that nobody refers to.
	 */
	const char *const *roots;
	size_t n_roots;
	/* Such as count only where they are described, and where there are roots. */
	const char *const *extra;
	size_t n_extra;
};

struct closure_unit {
	const char *path;
	int64_t nar_size;     /* -1 = not told */
	const uint32_t *refs; /* each once, ascending, never itself */
	size_t n_refs;
	bool root;
};
struct closure {
	struct arena arena;
	struct closure_unit *units; /* by path, bytewise */
	size_t n;
	bool has_refs; /* false: a list, which tells of no references */
};

/**
 * @p text is not needed afterwards; closure_clear() also after failure. No paths are a closure
 * too. What is said twice in the same way counts once.
 *
 * FORMAT says which entry and why: not such a text, a path that is not directly in the store, two
 * descriptions of one path that differ, a cycle, a reference to nothing. NOT_FOUND: a root or key
 * that is not there. LIMIT: LIMIT_CLOSURE, LIMIT_UNITS, LIMIT_UNIT_REFS, those of JSON.
 */
int closure_read(struct span text, const struct closure_options *o, struct closure *ret,
		 dray_error **err) MUST_CHECK;
void closure_clear(struct closure *c);
#define cleanup_closure CLEANUP(closure_clear)
/** The unit of @p path, or NULL. */
const struct closure_unit *closure_find(const struct closure *c, const char *path);
