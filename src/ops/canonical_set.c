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

/*
 * Of the images of one index the host's, unless platforms were named; an index without it is
 * an error. Images that share no index stay.
 */
static int choose_host(struct canonical_run *r, bool *keep, dray_error **err)
{
	struct platform host;

	platform_host(&host);
	for (size_t i = 0; i < r->n_images; i++) {
		const struct image *im = r->images[i];
		size_t relatives = 0, matching = 0;

		for (size_t k = 0; k < r->n_images; k++) {
			const struct image *other = r->images[k];

			if (!im->family || other->family != im->family || is_extra(other))
				continue;
			relatives++;
			matching += other->config &&
				    platform_match(&host, &other->config->platform);
		}
		keep[i] = relatives < 2 ||
			  (im->config && platform_match(&host, &im->config->platform));
		if (relatives > 1 && matching == 0) {
			cleanup_free char *text = platform_text(&host);

			err_set(err, DRAY_ERR_NOT_FOUND, "%s: no image for %s", im->where,
				text ? text : "this platform");
			return err_hint(err, "--platform chooses one, --all-platforms takes all");
		}
	}
	return 0;
}

static int add_image(struct canonical_run *r, const struct image *im, dray_error **err)
{
	struct canonical_image *c;

	if (im->manifest && manifest_is_artifact(im->manifest))
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is an artifact, not an image",
			       im->where);
	if (place_require_whole(r->store, im, err) < 0)
		return -1;
	context_notes(r->ctx, &im->notes);
	if (canonical_add(&r->set, im, &c, err) < 0)
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

static int add_images(struct canonical_run *r, bool one, dray_error **err)
{
	const dray_context *ctx = r->ctx;
	cleanup_free bool *keep = mem_alloc_array(r->n_images + 1, sizeof(*keep));
	size_t extras = 0;

	if (!keep)
		return err_nomem(err);
	memset(keep, true, r->n_images);
	if (!ctx->all_platforms && !ctx->platform.os && choose_host(r, keep, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_images; i++) {
		if (!keep[i])
			continue;
		/* What was chosen alone is told to be no image; in a crowd it is passed over. */
		if (is_extra(r->images[i]) && !(one && r->n_images == 1)) {
			extras++;
			continue;
		}
		if (add_image(r, r->images[i], err) < 0)
			return -1;
	}
	if (extras > 0)
		context_log(r->ctx, DRAY_LOG_INFO,
			    "%zu attestations and artifacts are no part of a canonical archive",
			    extras);
	if (r->set.n_images == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", r->place.text);
	return 0;
}

/* ---- names that were asked for ---- */

static bool one_family(const struct canonical_run *r)
{
	for (size_t i = 0; i < r->n_images; i++)
		if (!r->images[i]->family || r->images[i]->family != r->images[0]->family)
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

static int give_names(struct canonical_run *r, dray_error **err)
{
	if (r->w->n_tags > 0 && r->set.n_images > 1 && !one_family(r)) {
		err_set(err, DRAY_ERR_USAGE, "--tag names one image, and %s holds %zu",
			r->place.text, r->set.n_images);
		return err_hint(err, "choose one with --image");
	}
	for (size_t i = 0; i < r->w->n_tags; i++)
		if (give_name(r, r->w->tags[i], err) < 0)
			return -1;
	return 0;
}

int canonical_choose(struct canonical_run *r, dray_error **err)
{
	struct selector sel;

	if (place_selector(r->ctx, &r->place, r->w->image, r->w->all, &r->arena, &sel, err) < 0 ||
	    store_images(r->store, &sel, &r->images, &r->n_images, err) < 0)
		return -1;
	context_notes(r->ctx, &r->store->notes);
	if (add_images(r, !r->w->all, err) < 0)
		return -1;
	return give_names(r, err);
}
