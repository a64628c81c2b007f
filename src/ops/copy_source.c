/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of a copy, one after the other: opened, and their images chosen.
 * Relies on ops/place.c for what a reference means and on the store to select.
 * Promises that no two images of one run claim the same tag.
 */
#include "ops/copy_run.h"

#include "base/mem.h"

static void origin_close(struct run *r)
{
	images_free(r->from.images, r->from.n);
	store_free(r->copy.store);
	place_clear(&r->from.place);
	r->from = (struct origin){ 0 };
	r->copy.store = NULL;
	r->copy.source_host = r->copy.source_path = NULL;
}

void run_clear(struct run *r)
{
	origin_close(r);
	reuse_clear(&r->copy.reuse);
	map_clear(&r->copy.passed);
	arena_clear(&r->copy.arena);
	blobcache_close(r->copy.cache);
	mem_free(r->copy.kept);
	map_clear(&r->tags);
	arena_clear(&r->arena);
}

int run_begin(struct run *r, dray_context *ctx, const struct dray_copy_options *o, dray_error **err)
{
	r->copy.ctx = ctx;
	if (wishes_parse(o, &r->copy.wishes, err) < 0)
		return -1;
	if (!ctx->no_cache)
		r->copy.cache = blobcache_open();
	return 0;
}

int run_source(struct run *r, const char *src, dray_error **err)
{
	origin_close(r);
	if (place_parse(src, PLACE_READ, &r->from.place, err) < 0)
		return -1;
	if (r->from.place.kind == PLACE_REGISTRY) {
		r->copy.source_host = r->from.place.ref.domain;
		r->copy.source_path = r->from.place.ref.path;
	}
	return 0;
}

/* A platform that fits several images of an index: each of them would want its tag. */
static int refuse_twins(const struct run *r, dray_error **err)
{
	for (size_t i = 1; i < r->from.n; i++) {
		const struct digest *a = &r->from.images[i - 1]->root;

		if (!digest_set(a) || !digest_eq(a, &r->from.images[i]->root))
			continue;
		err_set(err, DRAY_ERR_USAGE, "%s: several images of one index fit --platform",
			r->from.place.text);
		return err_hint(err, "name the variant too, or take the index: --all-platforms");
	}
	return 0;
}

/* The index to copy @p im with: what was asked for by digest may stand inside another. */
static struct digest root_of(const struct selector *sel, const struct image *im)
{
	if (!sel->whole)
		return (struct digest){ 0 };
	if (!selector_by_digest(sel) || selector_names(sel, &im->root))
		return im->root;
	if (selector_names(sel, &im->index_digest))
		return im->index_digest;
	return (struct digest){ 0 };
}

static int find_roots(struct run *r, dray_error **err)
{
	struct origin *o = &r->from;

	o->roots = arena_array(&r->arena, o->n + 1, sizeof(*o->roots));
	if (!o->roots)
		return err_nomem(err);
	for (size_t i = 0; i < o->n; i++) {
		struct digest index = root_of(&o->sel, o->images[i]);
		struct root *last = o->n_roots ? &o->roots[o->n_roots - 1] : NULL;

		if (last && digest_set(&index) && digest_eq(&index, &last->index))
			last->n++;
		else
			o->roots[o->n_roots++] = (struct root){ &o->images[i], 1, index };
	}
	return 0;
}

/* "app:1" and "docker.io/library/app:1" are one name; a lone word is only itself. */
static int name_of_tag(struct run *r, const char *tag, const char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *full = NULL;

	if (strpbrk(tag, "/:") && reference_parse(span_str(tag), &ref, &odd) == 0) {
		full = reference_text(&ref);
		if (!full)
			return err_nomem(err);
	}
	if (odd && dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	*ret = arena_strdup(&r->arena, full ? full : tag);
	return *ret ? 0 : err_nomem(err);
}

/* A tag names one image: two that claim it would replace each other without a word. */
static int claim_tag(struct run *r, const char *tag, dray_error **err)
{
	const char *name = NULL;
	uintptr_t owner;

	if (name_of_tag(r, tag, &name, err) < 0)
		return -1;
	owner = (uintptr_t)map_get(&r->tags, span_str(name));
	if (owner == r->n_images)
		return 0;
	if (owner) {
		err_set(err, DRAY_ERR_FORMAT, "%s: two images have the tag %.128s",
			r->from.place.text, tag);
		return err_hint(err, "choose one with --image or --platform");
	}
	return map_put(&r->tags, span_str(name), (void *)r->n_images, err);
}

static int claim_tags(struct run *r, dray_error **err)
{
	for (size_t i = 0; i < r->from.n_roots; i++) {
		const struct image *im = r->from.roots[i].images[0];

		r->n_images++;
		for (size_t k = 0; k < im->n_tags; k++)
			if (claim_tag(r, im->tags[k], err) < 0)
				return -1;
	}
	return 0;
}

/* Does the source hold indexes, and the target take them? */
static int takes_indexes(struct run *r, bool *ret, dray_error **err)
{
	const struct target *t = r->copy.target; /* NULL: nothing is written */

	switch (r->from.place.kind) {
	case PLACE_DAEMON:
		*ret = false;
		return 0;
	case PLACE_ARCHIVE:
		*ret = !t || (!t->engine && !t->dest->lone);
		break;
	default: /* a layout may have its images side by side */
		*ret = true;
		if (r->copy.store->kind != STORE_OCI_LAYOUT)
			return 0;
		break;
	}
	return *ret ? store_lists_indexes(r->copy.store, ret, err) : 0;
}

/* Platforms say what is changed of an index: all of it comes along. */
static int take_whole(struct run *r, struct selector *sel, dray_error **err)
{
	bool whole;

	if (takes_indexes(r, &whole, err) < 0)
		return -1;
	if (whole ||
	    (r->copy.store->kind == STORE_OCI_LAYOUT && r->from.place.kind != PLACE_ARCHIVE))
		r->edit->which = *sel;
	if (!whole)
		return 0;
	sel->platform = (struct platform){ 0 };
	sel->more = NULL;
	sel->n_more = 0;
	sel->all_platforms = true;
	return 0;
}

bool run_makes_oci(const struct run *r, bool oci)
{
	if (!oci || r->copy.wishes.format_asked)
		return false;
	return r->made ? !r->made->again : r->edit && r->copy.store->kind != STORE_OCI_LAYOUT;
}

static int edit_images(struct run *r, dray_error **err)
{
	r->edit->to_oci = r->copy.oci_made ||
			  (r->copy.wishes.format_asked && !r->copy.wishes.docker);
	for (size_t i = 0; i < r->from.n; i++)
		if (edit_image(r->edit, r->from.images[i], err) < 0)
			return -1;
	r->copy.edited = r->edit->n_changed > 0;
	if (r->edit->n_meant > 0)
		return 0;
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image of that platform",
		       r->from.place.text);
}

static int open_place(struct run *r, const struct place_options *po, dray_error **err)
{
	const struct dray_copy_options *o = r->copy.wishes.o;
	struct selector *sel = &r->from.sel;

	if (place_open(r->copy.ctx, &r->from.place, po, &r->copy.store, err) < 0 ||
	    place_selector(r->copy.ctx, &r->from.place, o->image, o->all, &r->arena, sel, err) < 0)
		return -1;
	if (r->edit && take_whole(r, sel, err) < 0)
		return -1;
	sel->whole = sel->all_platforms || sel->n_more || (sel->all && !sel->platform.os);
	return 0;
}

static void tell_notes(const struct run *r)
{
	context_notes(r->copy.ctx, &r->copy.store->notes);
	for (size_t i = 0; i < r->from.n; i++)
		if (!r->from.images[i]->broken) /* else the first of them is the error */
			context_notes(r->copy.ctx, &r->from.images[i]->notes);
}

int run_open(struct run *r, member_fn *walk, dray_error **err)
{
	const struct place_options po = { .on_member = walk,
					  .known = walk ? &copy_known : NULL,
					  .arg = &r->copy };
	struct selector *sel = &r->from.sel;

	if ((r->made ? r->made->open(r->made->arg, &po, &r->copy.store, err)
		     : open_place(r, &po, err)) < 0)
		return -1;
	r->copy.forward = r->copy.store->forward_only;
	r->copy.oci_made = run_makes_oci(r, r->copy.target && r->copy.target->oci);
	if (store_images(r->copy.store, sel, &r->from.images, &r->from.n, err) < 0)
		return -1;
	tell_notes(r);
	if (r->from.n == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", r->from.place.text);
	if (!sel->whole && refuse_twins(r, err) < 0)
		return -1;
	if (r->edit && edit_images(r, err) < 0)
		return -1;
	return find_roots(r, err) < 0 ? -1 : claim_tags(r, err);
}
