/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an mtree and as paths: what is taken has clean paths, each once.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/map.h"
#include "build/mtree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct mtree *m)
{
	struct map seen = { 0 };

	for (size_t i = 0; i < m->n; i++) {
		const struct mtree_entry *e = &m->list[i];

		assert(e->path && (!e->path[0] || tar_name_quirks(span_str(e->path)) == 0));
		assert(e->line > 0 && (e->mode & ~07777u) == 0);
		assert(!e->link || e->link[0]);
		assert(!e->sha256 || e->sha256->algo == DIGEST_SHA256);
		assert(!e->sha512 || e->sha512->algo == DIGEST_SHA512);
		assert(!map_get(&seen, span_str(e->path)));
		assert(map_put(&seen, span_str(e->path), &seen, NULL) == 0);
	}
	map_clear(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mtree m;

	if (mtree_parse(span_of(data, size), &m, NULL) == 0)
		check(&m);
	mtree_clear(&m);
	if (mtree_paths(span_of(data, size), size & 1 ? '\n' : '\0', &m, NULL) == 0)
		check(&m);
	mtree_clear(&m);
	return 0;
}
