/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of one object by name: a hostile one may have a hundred thousand.
 */
#pragma once

#include "base/map.h"
#include "json/json.h"

/** Lent from the document. Zeroed is empty. */
struct json_members {
	struct arena names;
	struct map map; /* decoded name -> node, in the order of the object */
	const struct json_doc *doc;
};
/** Of what is no object: none. json_members_clear() also on failure. */
int json_members_init(struct json_members *m, struct json v, dray_error **err) MUST_CHECK;
void json_members_clear(struct json_members *m);
/** MISSING when there is none. */
struct json json_members_get(const struct json_members *m, struct span name);
