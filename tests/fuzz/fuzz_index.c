/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: an index, rewritten. The first byte of the input chooses what becomes of the
 * entries. Whatever the text looks like, the result parses and lists what it should.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEW "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

static struct manifest *parse(const uint8_t *data, size_t size)
{
	struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct manifest *m = NULL;

	if (buf_add(&raw, span_of(data, size), NULL) < 0 ||
	    manifest_parse(&raw, NULL, &m, NULL) < 0) {
		buf_clear(&raw);
		return NULL;
	}
	if (m->kind == MANIFEST_INDEX)
		return m;
	manifest_free(m);
	return NULL;
}

static void choose(struct entry_change *c, uint8_t how, size_t i)
{
	*c = (struct entry_change){ .size = 7, .media_type = MT_DOCKER_MANIFEST };
	c->fate = (enum entry_fate)((how + i * (how % 5)) % 3);
	assert(digest_parse(span_str(NEW), &c->digest, NULL) == 0);
}

/* What is listed is what was to stay, in order. */
static void compare(const struct manifest *old, const struct entry_change *c,
		    const struct manifest *new)
{
	size_t k = 0;

	for (size_t i = 0; i < old->n_entries; i++) {
		const struct descriptor *e;

		if (c[i].fate == ENTRY_DROPPED)
			continue;
		assert(k < new->n_entries);
		e = &new->entries[k++];
		assert(digest_eq(&e->digest, c[i].fate == ENTRY_MOVED ? &c[i].digest
								      : &old->entries[i].digest));
		assert(e->size == (c[i].fate == ENTRY_MOVED ? 7 : old->entries[i].size));
		assert(!e->has_data || c[i].fate == ENTRY_KEPT);
	}
	assert(k == new->n_entries);
}

static void rewrite(const struct manifest *old, const char *type, uint8_t how)
{
	struct entry_change *c = calloc(old->n_entries + 1, sizeof(*c));
	cleanup_manifest struct manifest *new = NULL;
	cleanup_error dray_error *err = NULL;

	assert(c);
	for (size_t i = 0; i < old->n_entries; i++)
		choose(&c[i], how, i);
	/* Longer names may carry a text over the limit; that is the only reason to fail. */
	if (index_rewrite(old, type, c, &new, &err) == 0)
		compare(old, c, new);
	else
		assert(dray_error_kind(err) == DRAY_ERR_LIMIT);
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_manifest struct manifest *old = size ? parse(data + 1, size - 1) : NULL;
	cleanup_manifest struct manifest *more = NULL;

	if (!old)
		return 0;
	rewrite(old, old->media_type, data[0]);
	rewrite(old, MT_DOCKER_LIST, data[0]);
	rewrite(old, MT_OCI_INDEX, data[0]);
	if (index_append(old, SPAN_LIT("{\"digest\":\"" NEW "\",\"size\":7}"), &more, NULL) == 0)
		assert(more->n_entries == old->n_entries + 1);
	return 0;
}
