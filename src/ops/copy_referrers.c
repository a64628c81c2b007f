/* SPDX-License-Identifier: Apache-2.0
 *
 * What refers to the copied manifests - signatures, SBOMs, attestations - follows them.
 * Relies on the store to find referrers, where it is a registry, else on all its images.
 * Promises that nothing of it is converted, that each is copied once, and to finish: what
 * refers to referrers comes too, to LIMIT_INDEX_DEPTH steps.
 */
#include "ops/copy_priv.h"

#include "base/limits.h"
#include "base/mem.h"

/* Images that a store handed out. */
struct crowd {
	struct image **images;
	size_t n;
};

static void crowd_clear(struct crowd *c)
{
	images_free(c->images, c->n);
	*c = (struct crowd){ 0 };
}
#define cleanup_crowd CLEANUP(crowd_clear)

struct search {
	struct copy *c;
	struct crowd all;	   /* of a place that cannot be asked */
	struct digest *subject_of; /* of each of them: its own, else that of its root */
	bool listed;
	struct map done; /* digest text of a root -> anything */
	struct arena arena;
	struct arena *result;
	size_t n_copied;
};

static void search_clear(struct search *s)
{
	crowd_clear(&s->all);
	mem_free(s->subject_of);
	map_clear(&s->done);
	arena_clear(&s->arena);
}
#define cleanup_search CLEANUP(search_clear)

int copy_note_kept(struct copy *c, const struct digest *d, dray_error **err)
{
	if (!c->wishes.o->referrers)
		return 0;
	if (mem_grow(&c->kept, c->n_kept, &c->cap_kept, sizeof(*c->kept)) < 0)
		return err_nomem(err);
	c->kept[c->n_kept++] = (struct kept){ *d, c->kept_depth };
	return 0;
}

/* ---- finding ---- */

/* An index with a subject refers as a whole; what stands in a plain one, for itself. */
static int subject_of(struct search *s, const struct image *im, struct digest *ret,
		      dray_error **err)
{
	cleanup_manifest struct manifest *index = NULL;

	*ret = im->manifest ? im->manifest->subject.digest : (struct digest){ 0 };
	if (digest_set(ret) || !digest_set(&im->root))
		return 0;
	if (store_index(s->c->store, &im->root, &index, err) < 0)
		return -1;
	*ret = index->subject.digest;
	return 0;
}

static int list_all(struct search *s, dray_error **err)
{
	static const struct selector all = { .all = true, .all_platforms = true, .whole = true };

	if (s->listed)
		return 0;
	if (store_images(s->c->store, &all, &s->all.images, &s->all.n, err) < 0)
		return -1;
	s->subject_of = mem_alloc_array(s->all.n + 1, sizeof(*s->subject_of));
	if (!s->subject_of)
		return err_nomem(err);
	for (size_t i = 0; i < s->all.n; i++) {
		const struct image *im = s->all.images[i];
		bool same = i > 0 && digest_set(&im->root) &&
			    !(im->manifest && digest_set(&im->manifest->subject.digest)) &&
			    digest_eq(&im->root, &s->all.images[i - 1]->root);

		if (same)
			s->subject_of[i] = s->subject_of[i - 1];
		else if (subject_of(s, im, &s->subject_of[i], err) < 0)
			return -1;
	}
	s->listed = true;
	return 0;
}

/* The cosign tag of @p subject that @p im has; *ret NULL = none. */
static int tag_about(const struct image *im, const struct digest *subject, const char **ret,
		     dray_error **err)
{
	static const char *const kinds[] = { "sig", "att", "sbom" };

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !*ret; i++) {
		cleanup_free char *tag = cosign_tag(subject, kinds[i]);

		if (!tag)
			return err_nomem(err);
		for (size_t k = 0; k < im->n_tags && !*ret; k++)
			if (strcmp(im->tags[k], tag) == 0)
				*ret = im->tags[k];
	}
	return 0;
}

/* ---- copying ---- */

/* Does its index refer, or it alone? */
static struct digest index_of(const struct image *im, const char *tag)
{
	if (im->manifest && digest_set(&im->manifest->subject.digest) && !tag)
		return (struct digest){ 0 };
	return im->root;
}

static int copy_found(struct search *s, struct image **images, size_t n, const char *tag,
		      dray_error **err)
{
	static const struct selector all = { .all = true, .all_platforms = true, .whole = true };
	const struct root root = { images, n, index_of(images[0], tag) };
	const struct digest *d = digest_set(&root.index) ? &root.index : &images[0]->wanted;
	const char *key = arena_strdup(&s->arena, d->text);
	struct dray_copied told;

	if (!key)
		return err_nomem(err);
	if (map_find(&s->done, span_str(key)))
		return 0;
	if (s->c->kept_depth > LIMIT_INDEX_DEPTH)
		return err_set(err, DRAY_ERR_LIMIT,
			       "referrers of referrers, more than %d deep (LIMIT_INDEX_DEPTH)",
			       LIMIT_INDEX_DEPTH);
	if (map_put(&s->done, span_str(key), s, err) < 0)
		return -1;
	s->n_copied++;
	if (digest_set(&root.index))
		return copy_index(s->c, &root, &all, &tag, !!tag, s->result, &told, err);
	if (copy_image(s->c, images[0], &tag, !!tag, s->result, &told, err) < 0)
		return err_ctx(err, "%s", images[0]->where);
	return 0;
}

/* Images of one index follow each other. */
static size_t run_length(struct image *const *images, size_t n, const char *tag)
{
	struct digest index = index_of(images[0], tag);
	size_t i = 1;

	while (digest_set(&index) && i < n && digest_eq(&images[i]->root, &index))
		i++;
	return i;
}

static int copy_asked(struct search *s, const struct digest *subject, dray_error **err)
{
	cleanup_crowd struct crowd c = { 0 };
	const struct store_ops *ops = s->c->store->ops;

	if (ops->referrers(s->c->store, subject, &c.images, &c.n, err) < 0)
		return -1;
	for (size_t i = 0, len; i < c.n; i += len) {
		const char *tag = c.images[i]->n_tags ? c.images[i]->tags[0] : NULL;

		len = run_length(&c.images[i], c.n - i, tag);
		if (copy_found(s, &c.images[i], len, tag, err) < 0)
			return -1;
	}
	return 0;
}

static int copy_listed(struct search *s, const struct digest *subject, dray_error **err)
{
	if (list_all(s, err) < 0)
		return -1;
	for (size_t i = 0, len; i < s->all.n; i += len) {
		struct image **im = &s->all.images[i];
		const char *tag;

		if (tag_about(*im, subject, &tag, err) < 0)
			return -1;
		len = run_length(im, s->all.n - i, tag);
		if ((tag || digest_eq(&s->subject_of[i], subject)) &&
		    copy_found(s, im, len, tag, err) < 0)
			return -1;
	}
	return 0;
}

static int follow(struct search *s, size_t i, dray_error **err)
{
	struct copy *c = s->c;
	const struct kept k = c->kept[i]; /* the list grows meanwhile */

	if (i >= LIMIT_INDEX_NODES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d referrers (LIMIT_INDEX_NODES)",
			       LIMIT_INDEX_NODES);
	c->kept_depth = k.depth + 1;
	if ((c->store->ops->referrers ? copy_asked(s, &k.digest, err)
				      : copy_listed(s, &k.digest, err)) < 0)
		return err_ctx(err, "referrers of %s", k.digest.text);
	return 0;
}

int copy_referrers(struct copy *c, struct arena *result, size_t *ret_n, dray_error **err)
{
	cleanup_search struct search s = { .c = c, .result = result };
	int rc = 0;

	c->below = c->as_is = true;
	for (size_t i = 0; rc == 0 && i < c->n_kept; i++)
		rc = follow(&s, i, err);
	c->below = c->as_is = false;
	c->kept_depth = 0;
	c->n_kept = 0;
	*ret_n = s.n_copied;
	return rc;
}
