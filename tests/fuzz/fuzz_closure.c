/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a closure; what is taken is planned by every strategy that needs no more.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "build/closure.h"
#include "build/layering.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan(const struct closure *c, const struct unit *u)
{
	for (enum layering_strategy s = LAYERING_AUTO; s < LAYERING_PIPELINE; s++) {
		const struct layering_options o = { .strategy = s, .max = 5 };
		struct layering l;

		if (layering_plan(u, c->n, &o, &l, NULL) == 0)
			for (size_t i = 0; i < c->n; i++)
				assert(l.layer_of[i] < l.n && l.n <= 5);
		layering_clear(&l);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct closure_options o = { .store = "/s", .ignore_missing = size & 1 };
	struct arena a = { 0 };
	struct closure c;
	struct unit *u;

	if (closure_read(span_of(data, size), &o, &c, NULL) == 0) {
		u = calloc(c.n + 1, sizeof(*u));
		for (size_t i = 0; u && i < c.n; i++)
			u[i] = (struct unit){
				.name = c.units[i].path,
				.component = layering_component(&a, c.units[i].path),
				.origin = layering_origin(&a, c.units[i].path),
				.bytes = c.units[i].nar_size > 0 ? c.units[i].nar_size / 2 : 0,
				.refs = c.units[i].refs,
				.n_refs = c.units[i].n_refs,
				.root = c.units[i].root,
				.group = LAYERING_NONE,
			};
		if (u)
			plan(&c, u);
		free(u);
	}
	arena_clear(&a);
	closure_clear(&c);
	return 0;
}
