/* SPDX-License-Identifier: Apache-2.0
 *
 * What "edit" was told to do, from options or from a sentence.
 */
#pragma once

#include <dray/edit.h>
#include "cli/cli.h"

#define EDIT_STEPS_MAX 10000

/** Steps as they are gathered. Strings that had to be made live in made. */
struct edit_steps {
	struct dray_edit_step *list;
	size_t n, cap;
	char **made;
	size_t n_made, cap_made;
};
void edit_steps_clear(struct edit_steps *s);
int edit_steps_add(struct edit_steps *s, enum dray_edit_field field, enum dray_edit_action action,
		   const char *name, const char *value, dray_error **err) MUST_CHECK;
/** Keep @p text (taken over, NULL = no memory) as long as the steps; *ret is it. */
int edit_steps_keep(struct edit_steps *s, char *text, const char **ret,
		    dray_error **err) MUST_CHECK;

/** Are these the words of a sentence, as docker-copyedit has them? */
bool edit_is_sentence(const char *const *words, size_t n);
/** "FROM a INTO b REMOVE ALL VOLUMES": the steps, and both places. USAGE, naming the word. */
int edit_sentence(const char *const *words, size_t n, struct edit_steps *ret, const char **ret_from,
		  const char **ret_into, dray_error **err) MUST_CHECK;
