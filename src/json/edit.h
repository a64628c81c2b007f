/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing a document by cutting its text: what is not named keeps its bytes, its order
 * and its white space. New members go to the end of their object, in its style.
 */
#pragma once

#include "json/json.h"

struct json_edit;
/** Nothing changed yet. @p doc and its text are lent. */
int json_edit_new(const struct json_doc *doc, struct json_edit **ret, dray_error **err) MUST_CHECK;
void json_edit_free(struct json_edit *e);
DEFINE_CLEANUP(struct json_edit, cleanup_json_edit_fn, json_edit_free)
#define cleanup_json_edit CLEANUP(cleanup_json_edit_fn)

/* @p text is the JSON of a value, copied. What lies in something that goes is not looked at. */

/** Put @p text in the place of value @p v; the last one counts. */
int json_edit_replace(struct json_edit *e, struct json v, struct span text,
		      dray_error **err) MUST_CHECK;
/** Take member or element @p v out, with its comma. Not the root. */
void json_edit_remove(struct json_edit *e, struct json v);
/** Add a member to @p object; @p name is new there. */
int json_edit_insert(struct json_edit *e, struct json object, const char *name, struct span text,
		     dray_error **err) MUST_CHECK;
/** Add an element to the end of @p array. */
int json_edit_append(struct json_edit *e, struct json array, struct span text,
		     dray_error **err) MUST_CHECK;
/** json_edit_replace() or json_edit_insert(). */
int json_edit_set(struct json_edit *e, struct json object, const char *name, struct span text,
		  dray_error **err) MUST_CHECK;

/** The new text, appended to @p ret. */
int json_edit_apply(const struct json_edit *e, struct buf *ret, dray_error **err) MUST_CHECK;
