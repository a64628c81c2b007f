/* SPDX-License-Identifier: Apache-2.0
 *
 * From a closure to units, and from a path of the image to its unit.
 * Relies on the units of a closure being ordered, and all in one store.
 * Promises that what the closure needs and the image lacks is left out of references.
 */
#include "build/units.h"

#include <string.h>

const struct closure_unit *units_owner(const struct closure *c, const char *path)
{
	const char *slash = c->n ? strrchr(c->units[0].path, '/') : NULL;
	size_t store, len, low = 0, high = c->n;

	if (!slash)
		return NULL;
	store = (size_t)(slash - c->units[0].path); /* with the '/' in front that path has not */
	if (strncmp(path, c->units[0].path + 1, store) != 0)
		return NULL;
	path += store;
	len = strcspn(path, "/");
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const char *name = c->units[mid].path + store + 1;
		int order = strncmp(path, name, len);

		if (order == 0 && name[len] == '\0')
			return &c->units[mid];
		if (order < 0 || order == 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

int units_describe(struct arena *a, const struct closure_unit *from, struct unit *ret,
		   dray_error **err)
{
	ret->component = layering_component(a, from->path);
	ret->origin = layering_origin(a, from->path);
	ret->root = from->root;
	return ret->component && ret->origin ? 0 : err_nomem(err);
}

int units_refs(struct arena *a, const struct closure *c, const uint32_t *place, struct unit *units,
	       dray_error **err)
{
	for (size_t i = 0; i < c->n; i++) {
		uint32_t *refs;
		size_t n = 0;

		if (place[i] == LAYERING_NONE || c->units[i].n_refs == 0)
			continue;
		refs = arena_array(a, c->units[i].n_refs, sizeof(*refs));
		if (!refs)
			return err_nomem(err);
		for (size_t k = 0; k < c->units[i].n_refs; k++)
			if (place[c->units[i].refs[k]] != LAYERING_NONE)
				refs[n++] = place[c->units[i].refs[k]];
		units[place[i]].refs = refs;
		units[place[i]].n_refs = n;
	}
	return 0;
}
