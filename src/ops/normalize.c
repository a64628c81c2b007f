/* SPDX-License-Identifier: Apache-2.0
 *
 * For: dray_normalize(), the public door of the canonical archive.
 * Relies on: ops/canonical.h for the work.
 * Promises: results that outlive their context.
 */
#include "base/mem.h"
#include "ops/canonical.h"

struct dray_normalize_result {
	struct canonical_facts facts;
};

size_t dray_normalize_count(const dray_normalize_result *r)
{
	return r->facts.n_images;
}

const struct dray_normalized *dray_normalize_get(const dray_normalize_result *r, size_t i)
{
	return i < r->facts.n_images ? &r->facts.images[i] : NULL;
}

const char *dray_normalize_digest(const dray_normalize_result *r)
{
	return digest_set(&r->facts.digest) ? r->facts.digest.text : NULL;
}

int64_t dray_normalize_size(const dray_normalize_result *r, int64_t *ret_spooled)
{
	if (ret_spooled)
		*ret_spooled = r->facts.spooled;
	return r->facts.size;
}

void dray_normalize_free(dray_normalize_result *r)
{
	if (!r)
		return;
	canonical_facts_clear(&r->facts);
	mem_free(r);
}
DEFINE_CLEANUP(dray_normalize_result, cleanup_normalize_fn, dray_normalize_free)
#define cleanup_normalize CLEANUP(cleanup_normalize_fn)

int canonical_means_all(const char *ref, const char *image, bool all, bool *ret, dray_error **err)
{
	cleanup_place struct place p = { 0 };

	if (place_parse(ref, false, &p, err) < 0)
		return -1;
	*ret = all || (!image && !p.tag && !p.has_at && !digest_set(&p.digest) &&
		       p.kind != PLACE_REGISTRY);
	return 0;
}

int dray_normalize(dray_context *ctx, const char *in, const char *out,
		   const struct dray_normalize_options *o, dray_normalize_result **ret,
		   dray_error **err)
{
	struct dray_normalize_options own = DRAY_NORMALIZE_OPTIONS_INIT;
	cleanup_normalize dray_normalize_result *r = mem_zalloc(sizeof(*r));
	struct canonical_wishes w;

	if (!r)
		return err_nomem(err);
	o = options_take(&own, sizeof(own), o);
	w = (struct canonical_wishes){
		.image = o->image,
		.untagged = o->untagged,
		.tags = o->tags,
		.n_tags = o->n_tags,
		.want_digest = o->digest,
	};
	if (canonical_means_all(in, o->image, o->all, &w.all, err) < 0 ||
	    canonical_file(ctx, &in, 1, &w, out, o->no_clobber, &r->facts, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}
