/* SPDX-License-Identifier: Apache-2.0
 *
 * An mtree while it is read.
 */
#pragma once

#include "base/map.h"
#include "build/mtree.h"

struct parser {
	struct mtree *m;
	struct span text; /* what is still to be read */
	size_t line;
	struct mtree_entry set; /* what /set says */
	struct buf folder;	/* where names without a slash lie; cleaned */
	size_t *depths;		/* its lengths, before each that was entered */
	size_t n_depths, cap_depths;
	struct buf clean;
	size_t names; /* bytes of all of them, those told twice too */
	struct map seen; /* path -> place in the list + 1 */
};
/** Escapes of vis(3) undone, in the arena. FORMAT. */
int mtree_unescape(struct parser *p, struct span word, const char **ret,
		   dray_error **err) MUST_CHECK;

/* ---- mtree_words.c ---- */

/** "NAME=VALUE" or "NAME" into @p e; @p set: /set says it. */
int mtree_keyword(struct parser *p, struct span word, bool set, struct mtree_entry *e,
		  dray_error **err) MUST_CHECK;
/** A word of /unset. */
int mtree_unset(struct parser *p, struct span word, dray_error **err) MUST_CHECK;
/** What no word shows to be wrong. */
int mtree_check(const struct mtree_entry *e, dray_error **err) MUST_CHECK;
