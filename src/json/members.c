/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of one object by name.
 * Relies on base/map.
 * Promises a look-up that does not grow with the object.
 */
#include "json/members.h"

int json_members_init(struct json_members *m, struct json v, dray_error **err)
{
	*m = (struct json_members){ .doc = v.doc };
	if (json_type(v) != JSON_OBJECT)
		return 0;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		const char *name;

		if (json_name(it, &m->names, &name, err) < 0 ||
		    map_put(&m->map, span_str(name), (void *)(uintptr_t)it.node, err) < 0)
			return -1;
	}
	return 0;
}

void json_members_clear(struct json_members *m)
{
	map_clear(&m->map);
	arena_clear(&m->names);
}

struct json json_members_get(const struct json_members *m, struct span name)
{
	return (struct json){ m->doc, (uint32_t)(uintptr_t)map_get(&m->map, name) };
}
