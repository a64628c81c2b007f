/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the last step of filling a shelf: sorted lists, and indexes for names that several
 * platforms share.
 * Relies on everything being there.
 * Promises: the same images give the same indexes, byte for byte.
 */
#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "serve/images_priv.h"

/* ---- one name, several platforms ---- */

static int write_index(const struct named *t, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", MT_OCI_INDEX);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	for (size_t i = 0; i < t->n; i++) {
		const struct doc *d = t->docs[i];

		jsonw_object(&w);
		jsonw_kstring(&w, "mediaType", d->media_type);
		jsonw_kstring(&w, "digest", d->digest.text);
		jsonw_kint(&w, "size", (int64_t)d->bytes.len);
		if (d->config)
			platform_write(&w, &d->config->platform);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int compare_docs(const void *a, const void *b)
{
	const struct doc *const *x = a, *const *y = b;

	return strcmp((*x)->digest.text, (*y)->digest.text);
}

/* The index takes the first place, where lookups find it. */
static int make_index(struct images_shelf *s, struct repo *r, struct named *t, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	struct doc *d = arena_alloc(&s->arena, sizeof(*d));

	if (!d)
		return err_nomem(err);
	qsort(t->docs, t->n, sizeof(struct doc *), compare_docs);
	if (write_index(t, &text, err) < 0 || digest_of(span_buf(&text), &d->digest, err) < 0)
		return -1;
	d->media_type = MT_OCI_INDEX;
	d->bytes = arena_dup(&s->arena, span_buf(&text));
	if (!d->bytes.data)
		return err_nomem(err);
	t->docs[0] = d;
	return map_put(&r->docs, span_str(d->digest.text), d, err);
}

/* ---- sorted ---- */

static int compare_tags(const void *a, const void *b)
{
	const struct named *const *x = a, *const *y = b;

	return strcmp((*x)->tag, (*y)->tag);
}

static int compare_repos(const void *a, const void *b)
{
	const struct repo *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The values of @p m, sorted, in the arena. */
static void *sorted_values(const struct map *m, struct arena *a,
			   int (*compare)(const void *, const void *), dray_error **err)
{
	void **list = arena_array(a, m->len + 1, sizeof(*list));

	if (!list) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < m->len; i++)
		list[i] = m->slots[i].value;
	qsort(list, m->len, sizeof(*list), compare);
	return list;
}

static int list_untagged(struct images_shelf *s, struct repo *r, dray_error **err)
{
	struct map named = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->tags.len; i++)
		rc = map_put(&named, span_str(r->sorted[i]->docs[0]->digest.text), r->sorted[i],
			     err);
	r->untagged = arena_array(&s->arena, r->docs.len + 1, sizeof(struct doc *));
	if (rc == 0 && !r->untagged)
		rc = err_nomem(err);
	for (size_t i = 0; rc == 0 && i < r->docs.len; i++)
		if (!map_get(&named, span_str(r->by_digest[i]->digest.text)))
			r->untagged[r->n_untagged++] = r->by_digest[i];
	map_clear(&named);
	return rc;
}

static int seal_repo(struct images_shelf *s, struct repo *r, dray_error **err)
{
	for (size_t i = 0; i < r->tags.len; i++) {
		struct named *t = r->tags.slots[i].value;

		if (t->n > 1 && make_index(s, r, t, err) < 0)
			return -1;
	}
	r->sorted = sorted_values(&r->tags, &s->arena, compare_tags, err);
	if (!r->sorted)
		return -1;
	r->by_digest = sorted_values(&r->docs, &s->arena, compare_docs, err);
	return r->by_digest ? list_untagged(s, r, err) : -1;
}

int images_shelf_seal(struct images_shelf *s, dray_error **err)
{
	for (size_t i = 0; i < s->repos.len; i++)
		if (seal_repo(s, s->repos.slots[i].value, err) < 0)
			return -1;
	s->sorted = sorted_values(&s->repos, &s->arena, compare_repos, err);
	return s->sorted ? 0 : -1;
}
