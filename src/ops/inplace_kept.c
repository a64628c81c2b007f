/* SPDX-License-Identifier: Apache-2.0
 *
 * What the documents of an archive lead to that is edited where it lies: read, or kept as it is.
 * Relies on digests: a document that is not what its name says is none.
 * Promises that nothing below an entry of index.json that was not chosen goes.
 */
#include "ops/inplace.h"

#include "base/limits.h"
#include "base/mem.h"

const char *inplace_blob(struct inplace *p, const struct digest *d)
{
	const char *hex = digest_hex(d);

	return arena_printf(&p->arena, "blobs/%.*s/%s", (int)(hex - d->text - 1), d->text, hex);
}

int inplace_read(struct inplace *p, const struct descriptor *d, struct manifest **ret,
		 dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(0);
	cleanup_error dray_error *bad = NULL;
	const char *name = inplace_blob(p, &d->digest);
	const struct amend_member *m;

	*ret = NULL;
	if (!name)
		return err_nomem(err);
	m = amend_find(&p->amend, span_str(name));
	if (!m)
		return 0;
	if (amend_read(&p->amend, m, LIMIT_MANIFEST, &raw, &bad) < 0 ||
	    manifest_parse(&raw, d->media_type, ret, &bad) < 0) {
		enum dray_err_kind kind = dray_error_kind(bad);

		if (kind == DRAY_ERR_FORMAT || kind == DRAY_ERR_LIMIT ||
		    kind == DRAY_ERR_UNSUPPORTED)
			return 0;
		if (err)
			*err = steal_pointer(&bad);
		return -1;
	}
	if (digest_eq(&(*ret)->digest, &d->digest))
		return 0;
	manifest_free(*ret);
	*ret = NULL;
	return 0;
}

bool inplace_is_kept(const struct inplace *p, const struct digest *d)
{
	return map_find(&p->kept, span_str(d->text)) != NULL;
}

int inplace_keep(struct inplace *p, const struct descriptor *d, int depth, dray_error **err)
{
	struct inplace_kept *k;

	if (inplace_is_kept(p, &d->digest))
		return 0;
	if (depth > LIMIT_INDEX_DEPTH)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "more than %d indexes inside indexes",
			       LIMIT_INDEX_DEPTH);
	k = arena_alloc(&p->arena, sizeof(*k));
	if (!k)
		return err_nomem(err);
	*k = (struct inplace_kept){ .digest = d->digest, .depth = depth };
	if (d->media_type) {
		k->media_type = arena_strdup(&p->arena, d->media_type);
		if (!k->media_type)
			return err_nomem(err);
	}
	return map_put(&p->kept, span_str(k->digest.text), k, err);
}

static int keep_next(struct inplace *p, const struct inplace_kept *k, dray_error **err)
{
	const struct descriptor d = { .digest = k->digest, .media_type = k->media_type };
	cleanup_manifest struct manifest *m = NULL;

	if (inplace_read(p, &d, &m, err) < 0)
		return -1;
	for (size_t i = 0; m && m->kind == MANIFEST_IMAGE && i < p->n; i++)
		if (digest_eq(&m->config.digest, &p->list[i].old_config))
			p->list[i].config_shared = true;
	for (size_t i = 0; m && m->kind == MANIFEST_INDEX && i < m->n_entries; i++)
		if (inplace_keep(p, &m->entries[i], k->depth + 1, err) < 0)
			return -1;
	return 0;
}

/* The map is its own list of what is still to be looked at: it grows meanwhile. */
int inplace_keep_below(struct inplace *p, dray_error **err)
{
	for (size_t i = 0; i < p->kept.len; i++)
		if (keep_next(p, p->kept.slots[i].value, err) < 0)
			return -1;
	return 0;
}
