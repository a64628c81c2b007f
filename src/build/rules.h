/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules: owner, mode, time and absence of what their globs fit.
 */
#pragma once

#include "build/match.h"
#include "build/spec.h"
#include "layer/tree.h"

struct rules {
	const struct spec *spec;
	struct arena arena;
	struct match *list; /* one for each rule */
	/* For rules_apply(), by whoever calls it. */
	const struct tree *lower; /* the base's own files; NULL = none */
	int64_t folder_mtime;	  /* of folders that nobody described */
	struct match_path path;
	struct buf text;
};
/** USAGE for a glob that is none. */
int rules_init(struct rules *r, const struct spec *s, dray_error **err) MUST_CHECK;
void rules_clear(struct rules *r);
#define cleanup_rules CLEANUP(rules_clear)

/** Is a rule for files of this type? */
bool rule_is_for(const struct spec_rule *rule, enum tar_type t);
/** Does a rule change what @p n carries? 1, 0, -1. */
int rules_concern(struct rules *r, const struct node *n, dray_error **err) MUST_CHECK;
/**
 * Do to the names of layer @p n_base and above what the rules say; the later rule wins. The tree
 * is finished before and after. USAGE for a rule that would remove what the base has.
 */
int rules_apply(struct rules *r, struct tree *t, uint32_t n_base, dray_error **err) MUST_CHECK;
