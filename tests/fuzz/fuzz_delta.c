/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the description of a delta. What parses is written, and what was written parses to
 * the same text: so that nothing of a description is read in two ways.
 */
#include <assert.h>

#include "base/limits.h"
#include "ops/delta_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool rewrite(struct span text, struct buf *ret)
{
	cleanup_delta_doc struct delta_doc d = { 0 };

	*ret = BUF_INIT(LIMIT_MANIFEST_JSON);
	if (delta_doc_parse(text, &d, NULL) < 0)
		return false;
	for (size_t i = 0; i < d.n_layers; i++) {
		assert(digest_set(&d.layers[i].diff_id));
		assert(d.layers[i].size >= (d.layers[i].from == DRAY_DELTA_BASE ? -1 : 0));
		assert(digest_set(&d.layers[i].digest) == (d.layers[i].from != DRAY_DELTA_BASE));
	}
	assert(delta_doc_write(&d, ret, NULL) == 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf one = { 0 }, two = { 0 };

	if (!rewrite(span_of(data, size), &one))
		return 0;
	assert(rewrite(span_buf(&one), &two));
	assert(span_eq(span_buf(&one), span_buf(&two)));
	return 0;
}
