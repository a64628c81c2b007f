/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules: owner, mode, time, attributes and absence of what their globs or expressions fit.
 */
#pragma once

#include <regex.h>

#include "build/match.h"
#include "build/spec.h"
#include "layer/tree.h"

/** A rule, read. */
struct rule {
	struct match glob;
	bool is_regex;
	regex_t regex;
	struct layer_xattrs *xattrs; /* a value without data: the attribute goes; NULL = none */
};
struct rules {
	const struct spec *spec;
	struct arena arena;
	struct rule *list; /* one for each of the spec */
	size_t n;	   /* that were read */
	size_t parts;	   /* of their expressions, repeats written out */
	struct map gone;   /* paths that rules deleted of the base, the topmost of them */
	struct buf slashed;
	/* For rules_apply(), by whoever calls it. */
	const struct tree *lower; /* the base's own files; NULL = none */
	int64_t folder_mtime;	  /* of folders that nobody described */
	struct match_path path;
	struct buf text;
};
/**
 * USAGE for a glob or an expression that is none, and for attributes that no file has. LIMIT for
 * expressions that are too much together.
 */
int rules_init(struct rules *r, const struct spec *s, dray_error **err) MUST_CHECK;
/** The errors of rules_init(), and nothing stays: expressions take up to 5 MB each. */
int rules_check(const struct spec *s, dray_error **err) MUST_CHECK;
void rules_clear(struct rules *r);
#define cleanup_rules CLEANUP(rules_clear)

/** Is a rule for files of this type? */
bool rule_is_for(const struct spec_rule *rule, enum tar_type t);
/** Does rule @p i fit what stands at cleaned @p path, whose parts are @p parts? 1, 0, -1. */
int rules_fit(struct rules *r, size_t i, const struct match_path *parts, const char *path,
	      enum tar_type t, dray_error **err) MUST_CHECK;
/** Take what rules for the base delete out of @p t, a finished tree of it, which is one after. */
int rules_delete_base(struct rules *r, struct tree *t, dray_error **err) MUST_CHECK;
/** Does a rule change what @p n carries? 1, 0, -1. */
int rules_concern(struct rules *r, const struct node *n, dray_error **err) MUST_CHECK;
/**
 * Do to the names of layer @p n_base and above what the rules say; the later rule wins, also
 * where two names of one file are told apart. The tree is finished before and after. USAGE for a rule that would remove what the base has.
 */
int rules_apply(struct rules *r, struct tree *t, uint32_t n_base, dray_error **err) MUST_CHECK;
