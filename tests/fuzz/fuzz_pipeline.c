/* SPDX-License-Identifier: Apache-2.0
 *
 * Any JSON as a pipeline over a small graph.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "build/layering.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t refs[] = { 1, 3, 2, 4, 3, 4, 5, 6, 2 };
	static const struct unit u[] = {
		{ .name = "A", .bytes = 7, .refs = refs, .n_refs = 2, .group = LAYERING_NONE },
		{ .name = "B", .bytes = 6, .refs = refs + 2, .n_refs = 2, .group = LAYERING_NONE },
		{ .name = "C", .bytes = 5, .refs = refs + 4, .n_refs = 2, .group = LAYERING_NONE },
		{ .name = "D", .bytes = 4, .refs = refs + 6, .n_refs = 1, .group = LAYERING_NONE },
		{ .name = "E", .bytes = 3, .refs = refs + 6, .n_refs = 1, .group = LAYERING_NONE },
		{ .name = "F", .bytes = 2, .refs = refs + 7, .n_refs = 1, .group = LAYERING_NONE },
		{ .name = "G", .bytes = 1, .group = LAYERING_NONE },
		{ .name = "H", .bytes = 1, .refs = refs + 8, .n_refs = 1, .group = LAYERING_NONE },
	};
	enum { N = sizeof(u) / sizeof(*u) };
	struct layering_options o = { .strategy = LAYERING_PIPELINE, .max = N };
	struct json_doc *doc = NULL;
	struct layering l = { 0 };
	size_t seen = 0, counted = 0;

	if (json_parse(span_of(data, size), &doc, NULL) < 0)
		return 0;
	o.pipeline = json_root(doc);
	/* No pipeline makes more layers than there are units, so only nonsense is refused. */
	if (layering_plan(u, N, &o, &l, NULL) == 0) {
		for (size_t i = 0; i < N; i++) {
			assert(l.layer_of[i] == LAYERING_NONE || l.layer_of[i] < l.n);
			seen += l.layer_of[i] != LAYERING_NONE;
		}
		for (size_t i = 0; i < l.n; i++)
			counted += l.layers[i].units;
		assert(seen == counted);
	}
	layering_clear(&l);
	json_doc_free(doc);
	return 0;
}
