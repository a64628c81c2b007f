/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which images a canonical archive is made of, and their names.
 * Relies on: place_selector() for what the user said, store/canonical.h for the set.
 * Promises: what cannot be part of it is refused or told, never dropped in silence.
 */
#include "base/mem.h"
#include "ops/canonical_priv.h"

/* ---- which images ---- */

static bool is_extra(const struct image *im)
{
	return im->attestation || im->artifact;
}

/* Images that differ in their platform only. */
struct family {
	size_t n, fit;
};

static bool fits(const struct image *im, const struct platform *host)
{
	return im->config && platform_match(host, &im->config->platform);
}

static struct span family_key(const struct image *im)
{
	return span_of(&im->family, sizeof(im->family));
}

static int count_families(const struct canonical_source *src, const struct platform *host,
			  struct arena *a, struct map *ret, dray_error **err)
{
	for (size_t i = 0; i < src->n_images; i++) {
		const struct image *im = src->images[i];
		struct family *f = map_get(ret, family_key(im));

		if (!im->family || is_extra(im))
			continue;
		if (!f) {
			f = arena_alloc(a, sizeof(*f));
			if (!f)
				return err_nomem(err);
			if (map_put(ret, family_key(im), f, err) < 0)
				return -1;
		}
		f->n++;
		f->fit += fits(im, host);
	}
	return 0;
}

static int nothing_fits(const struct image *im, const struct platform *host, dray_error **err)
{
	cleanup_free char *text = platform_text(host);

	err_set(err, DRAY_ERR_NOT_FOUND, "%s: no image for %s", im->where,
		text ? text : "this platform");
	return err_hint(err, "--platform chooses one, --all-platforms takes all");
}

/*
 * Of the images of one index the host's; an index without it is an error. Images that share
 * no index stay.
 */
static int keep_host(const struct canonical_source *src, const struct platform *host,
		     const struct map *families, bool *keep, dray_error **err)
{
	for (size_t i = 0; i < src->n_images; i++) {
		const struct image *im = src->images[i];
		const struct family *f = map_get(families, family_key(im));

		if (!f || f->n < 2)
			continue;
		if (f->fit == 0)
			return nothing_fits(im, host, err);
		keep[i] = fits(im, host);
	}
	return 0;
}

static int choose_host(const struct canonical_source *src, bool *keep, dray_error **err)
{
	struct map families = { 0 };
	struct arena arena = { 0 };
	struct platform host;
	int rc;

	platform_host(&host);
	rc = count_families(src, &host, &arena, &families, err) < 0
		     ? -1
		     : keep_host(src, &host, &families, keep, err);
	map_clear(&families);
	arena_clear(&arena);
	return rc;
}

static int add_image(struct canonical_run *r, struct store *st, const struct image *im,
		     dray_error **err)
{
	struct canonical_image *c;

	if (im->manifest && manifest_is_artifact(im->manifest))
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is an artifact, not an image",
			       im->where);
	if (place_require_whole(st, im, err) < 0)
		return -1;
	context_notes(r->ctx, &im->notes);
	if (canonical_add(&r->set, st, im, &c, err) < 0)
		return -1;
	for (size_t i = 0; !r->w->untagged && r->w->n_tags == 0 && i < im->n_tags; i++) {
		int named = canonical_add_name(&r->set, c, im->tags[i], err);

		if (named < 0)
			return -1;
		if (named == 0)
			context_log(r->ctx, DRAY_LOG_WARNING,
				    "%s: \"%.128s\" is no NAME:TAG and is left out", im->where,
				    im->tags[i]);
	}
	return 0;
}

static int add_images(struct canonical_run *r, const struct canonical_source *src, dray_error **err)
{
	const dray_context *ctx = r->ctx;
	cleanup_free bool *keep = mem_alloc_array(src->n_images + 1, sizeof(*keep));
	size_t extras = 0;

	if (!keep)
		return err_nomem(err);
	memset(keep, true, src->n_images);
	if (!ctx->all_platforms && !ctx->platform.os && choose_host(src, keep, err) < 0)
		return -1;
	for (size_t i = 0; i < src->n_images; i++) {
		if (!keep[i])
			continue;
		/* What was chosen alone is told to be no image; in a crowd it is passed over. */
		if (is_extra(src->images[i]) && (r->w->all || src->n_images > 1)) {
			extras++;
			continue;
		}
		if (add_image(r, src->store, src->images[i], err) < 0)
			return -1;
	}
	if (extras > 0)
		context_log(r->ctx, DRAY_LOG_INFO,
			    "%zu attestations and artifacts are no part of a canonical archive",
			    extras);
	if (extras == src->n_images)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", src->place.text);
	return 0;
}

/* ---- names that were asked for ---- */

static bool one_family(const struct canonical_run *r)
{
	const struct canonical_source *src = r->sources;

	if (r->n_sources > 1)
		return false;
	for (size_t i = 0; i < src->n_images; i++)
		if (!src->images[i]->family || src->images[i]->family != src->images[0]->family)
			return false;
	return true;
}

static int give_name(struct canonical_run *r, const char *text, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_free char *name = NULL;

	if (reference_parse(span_str(text), &ref, err) < 0)
		return err_ctx(err, "--tag");
	if (digest_set(&ref.digest))
		return err_set(err, DRAY_ERR_USAGE,
			       "--tag: a name with a digest names no new image");
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	name = reference_text(&ref);
	if (!name)
		return err_nomem(err);
	for (size_t i = 0; i < r->set.n_images; i++)
		if (canonical_add_name(&r->set, r->set.images[i], name, err) < 0)
			return -1;
	return 0;
}

int canonical_give_names(struct canonical_run *r, dray_error **err)
{
	if (r->w->n_tags > 0 && r->set.n_images > 1 && !one_family(r)) {
		err_set(err, DRAY_ERR_USAGE, "--tag names one image, and there are %zu",
			r->set.n_images);
		return err_hint(err, "choose one with --image");
	}
	for (size_t i = 0; i < r->w->n_tags; i++)
		if (give_name(r, r->w->tags[i], err) < 0)
			return -1;
	return 0;
}

int canonical_choose(struct canonical_run *r, struct canonical_source *src, dray_error **err)
{
	struct selector sel;

	if (place_selector(r->ctx, &src->place, r->w->image, r->w->all, &r->arena, &sel, err) < 0 ||
	    store_images(src->store, &sel, &src->images, &src->n_images, err) < 0)
		return -1;
	context_notes(r->ctx, &src->store->notes);
	return add_images(r, src, err);
}
