/* SPDX-License-Identifier: Apache-2.0
 *
 * The bases of an image: which they are, and what its annotations say about them.
 * Spec: OCI image-spec annotations.md "Pre-Defined Annotation Keys".
 */
#pragma once

#include "ops/stack.h"

/** Both as dray(1) spells references; in the stack's arena or lent. */
struct bases {
	const char *old_base, *new_base;
};
/** As they were told, else as the annotations of @p s say. USAGE where nothing says it. */
int bases_find(struct stack *s, const struct dray_rebase_options *ro, struct bases *ret,
	       dray_error **err) MUST_CHECK;
/**
 * The manifest of @p s with annotations for base @p b: those of the old base go, and those of a
 * new one that a registry has come. NULL without an error where there are none to change.
 */
int bases_annotate(const struct stack *s, const struct stack *b, struct manifest **ret,
		   dray_error **err) MUST_CHECK;
/**
 * The manifest of @p s for an image that has its lowest @p kept layers only: without annotations
 * for a base that has more. NULL without an error where there is nothing to change.
 */
int bases_forget(struct stack *s, size_t kept, struct manifest **ret, dray_error **err) MUST_CHECK;
/** A warning for what images inherit and @p old_base and @p new_base have differently. */
int bases_compare(dray_context *ctx, const struct image *old_base, const struct image *new_base,
		  dray_error **err) MUST_CHECK;
