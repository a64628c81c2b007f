/* SPDX-License-Identifier: Apache-2.0 */

/* Which of the images of a place is meant: by name, position, digest, platform.
 * Relies on families for images that differ in platform only.
 * Promises never to guess: several candidates are an error that names them. */

#include "store/assemble.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

#define IMAGES_NAMED_MAX 20 /* images that an error lists */
#define TAG_SHOWN_MAX 160   /* bytes of a tag that an error shows */
#define ID_SHOWN 12	    /* hex digits of the ID of an image without a tag */

/* Keep only what @p keep says; the rest is freed. */
static void keep_only(struct image_list *l, const bool *keep)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (keep[i])
			l->list[n++] = l->list[i];
		else
			image_free(l->list[i]);
	}
	l->n = n;
}

static int add_name(struct buf *b, const struct image *im, dray_error **err)
{
	cleanup_free char *tag = NULL;

	if (im->n_tags) {
		tag = text_safe(span_str(im->tags[0]), TAG_SHOWN_MAX);
		if (!tag)
			return err_nomem(err);
	}
	const struct platform *of = im->config ? &im->config->platform : im->index_platform;
	cleanup_free char *platform = im->family && of ? platform_text(of) : NULL;
	const struct digest *id = im->config ? image_id(im) : &im->config_digest_claimed;
	bool known = !tag && id && digest_set(id);

	return buf_printf(b, err, "%s@%lld%s%s%.*s%s%s", b->len ? ", " : "", (long long)im->at,
			  tag || known ? " " : "", tag ? tag : "", known ? ID_SHOWN : 0,
			  known ? digest_hex(id) : "", platform ? " " : "",
			  platform ? platform : "");
}

/* "@0 app:1, @1 app:2"; empty when memory is short. */
static char *names_of(const struct image_list *l)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_PATH);
	size_t shown = 0;

	for (size_t i = 0; i < l->n && shown < IMAGES_NAMED_MAX; i++) {
		if (l->list[i]->attestation)
			continue;
		if (add_name(&b, l->list[i], NULL) < 0)
			return NULL;
		shown++;
	}
	if (l->n > IMAGES_NAMED_MAX && buf_printf(&b, NULL, " and more (%zu in all)", l->n) < 0)
		return NULL;
	return buf_steal_str(&b, NULL);
}

static int fail(const struct image_list *l, enum dray_err_kind kind, const char *place,
		const char *what, dray_error **err)
{
	cleanup_free char *names = names_of(l);

	if (!l->n)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", place);
	return err_set(err, kind, "%s %s: %s", place, what, names ? names : "?");
}

/* ---- by name ---- */

/* How well a name fits, best first. */
enum fit { FIT_EXACT, FIT_NORMAL, FIT_ANY_TAG, FIT_TAG_ALONE, FIT_NONE };

static bool same_name(const struct reference *a, const struct reference *b)
{
	return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0;
}

static enum fit fit_reference(const struct reference *want, const char *tag)
{
	cleanup_reference struct reference have = { 0 };

	if (reference_parse(span_str(tag), &have, NULL) < 0 || !same_name(want, &have))
		return FIT_NONE;
	const char *have_tag = have.tag ? have.tag : "latest";
	if (strcmp(want->tag ? want->tag : "latest", have_tag) == 0)
		return FIT_NORMAL;
	return want->tag ? FIT_NONE : FIT_ANY_TAG;
}

/* "1.0" of "example.org/app:1.0": layouts of engines have the tag alone where ours have all. */
static bool is_tag_of(const char *text, const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && strcmp(colon + 1, text) == 0 && reference_tag_valid(span_str(text));
}

static enum fit fit_tag(const char *text, const struct reference *want, const struct image *im,
			size_t i)
{
	const char *ref = im->ref_names ? im->ref_names[i] : NULL;
	enum fit fit = want->path ? fit_reference(want, im->tags[i]) : FIT_NONE;

	if (strcmp(im->tags[i], text) == 0 || (ref && strcmp(ref, text) == 0))
		return FIT_EXACT;
	return fit == FIT_NONE && is_tag_of(text, im->tags[i]) ? FIT_TAG_ALONE : fit;
}

static enum fit fit_image(const char *text, const struct reference *want, const struct image *im)
{
	enum fit best = FIT_NONE;

	for (size_t i = 0; i < im->n_tags; i++) {
		enum fit fit = fit_tag(text, want, im, i);

		if (fit < best)
			best = fit;
	}
	return best;
}

/* An OCI ref name need not be a reference: *ret stays empty then. */
static int parse_want(const char *text, struct reference *ret, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	if (reference_parse(span_str(text), ret, &odd) == 0)
		return 0;
	reference_clear(ret);
	*ret = (struct reference){ 0 };
	return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

int image_keep_names(struct image *im, const char *text, dray_error **err)
{
	cleanup_reference struct reference want = { 0 };
	enum fit best;
	size_t kept = 0;

	if (parse_want(text, &want, err) < 0)
		return -1;
	best = fit_image(text, &want, im);
	for (size_t i = 0; i < im->n_tags; i++) {
		if (fit_tag(text, &want, im, i) != best)
			continue;
		im->tags[kept] = im->tags[i];
		im->ref_names[kept++] = im->ref_names[i];
	}
	im->n_tags = kept;
	return 0;
}

static enum fit best_fit(const enum fit *fits, size_t n)
{
	enum fit best = FIT_NONE;

	for (size_t i = 0; i < n; i++)
		if (fits[i] < best)
			best = fits[i];
	return best;
}

/* Do the images share a name that ends in tag @p text? */
static bool share_name(const struct image *a, const struct image *b, const char *text)
{
	for (size_t i = 0; i < a->n_tags; i++)
		for (size_t k = 0; is_tag_of(text, a->tags[i]) && k < b->n_tags; k++)
			if (strcmp(a->tags[i], b->tags[k]) == 0)
				return true;
	return false;
}

/* A tag alone that several names have says nothing; a platform must not decide between them. */
static int check_one_name(const struct image_list *l, const char *text, const char *place,
			  dray_error **err)
{
	for (size_t i = 1; i < l->n; i++)
		if (!share_name(l->list[0], l->list[i], text))
			return fail(l, DRAY_ERR_USAGE, place, "holds several images, choose one",
				    err);
	return 0;
}

static int by_ref(struct image_list *l, const struct selector *sel, const char *place, bool *keep,
		  dray_error **err)
{
	cleanup_reference struct reference want = { 0 };
	cleanup_free enum fit *fits = mem_alloc_array(l->n ? l->n : 1, sizeof(*fits));
	const char *text = sel->ref;
	cleanup_free char *shown = text_safe(span_str(text), TAG_SHOWN_MAX);

	if (!fits || !shown)
		return err_nomem(err);
	if (parse_want(text, &want, err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		fits[i] = fit_image(text, &want, l->list[i]);
	enum fit best = best_fit(fits, l->n);
	if (best == FIT_NONE) {
		fail(l, DRAY_ERR_NOT_FOUND, place, "has these images", err);
		return l->n ? err_ctx(err, "no image \"%s\"", shown) : -1;
	}
	for (size_t i = 0; i < l->n; i++)
		keep[i] = fits[i] == best;
	keep_only(l, keep);
	return best == FIT_TAG_ALONE && !sel->all ? check_one_name(l, text, place, err) : 0;
}

/* ---- by position, by digest ---- */

bool selector_by_digest(const struct selector *sel)
{
	return digest_set(&sel->digest) || sel->prefix;
}

bool selector_names(const struct selector *sel, const struct digest *d)
{
	if (!digest_set(d))
		return false;
	if (digest_set(&sel->digest))
		return digest_eq(&sel->digest, d);
	return sel->prefix && span_starts(span_str(d->text), sel->prefix);
}

static bool has_digest(const struct image *im, const struct selector *sel)
{
	return (im->config && selector_names(sel, &im->config->digest)) ||
	       (im->manifest && selector_names(sel, &im->manifest->digest)) ||
	       selector_names(sel, &im->index_digest) || selector_names(sel, &im->root);
}

static bool is_manifest(const struct image *im, const struct digest *d)
{
	return digest_set(d) && im->manifest && digest_eq(&im->manifest->digest, d);
}

/*
 * One manifest that an index lists and a tag names, or two indexes, is one image still: the
 * tagged one first. Manifests of one config are several.
 */
static void one_manifest_once(struct image_list *l, const struct digest *d, bool *keep)
{
	size_t best = l->n;

	for (size_t i = 0; i < l->n; i++)
		if (is_manifest(l->list[i], d) &&
		    (best == l->n ||
		     (digest_set(&l->list[best]->root) && !digest_set(&l->list[i]->root))))
			best = i;
	if (best == l->n)
		return;
	for (size_t i = 0; i < l->n; i++)
		keep[i] = i == best;
	keep_only(l, keep);
}

static int by_place(struct image_list *l, const struct selector *sel, const char *place, bool *keep,
		    dray_error **err)
{
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		keep[i] = (!sel->has_at || l->list[i]->at == sel->at) &&
			  (!selector_by_digest(sel) || has_digest(l->list[i], sel));
		any = any || keep[i];
	}
	if (!any) {
		fail(l, DRAY_ERR_NOT_FOUND, place, "has these images", err);
		if (!l->n)
			return -1;
		return sel->has_at ? err_ctx(err, "no image @%lld", (long long)sel->at)
				   : err_ctx(err, "no image %s",
					     sel->prefix ? sel->prefix : sel->digest.text);
	}
	keep_only(l, keep);
	one_manifest_once(l, &sel->digest, keep);
	return 0;
}

/* ---- what is no image ---- */

/* Attestations, artifacts and absent manifests step back while there is a real image. */
static void images_first(struct image_list *l, bool *keep)
{
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		const struct image *im = l->list[i];

		keep[i] = !im->attestation && !im->artifact && (im->manifest || im->config);
		any = any || keep[i];
	}
	if (any)
		keep_only(l, keep);
}

/* ---- by platform ---- */

bool selector_wants(const struct selector *sel, const struct platform *have)
{
	struct platform host;

	if (!sel->platform.os) {
		platform_host(&host);
		return platform_match(&host, have);
	}
	if (platform_match(&sel->platform, have))
		return true;
	for (size_t i = 0; i < sel->n_more; i++)
		if (platform_match(&sel->more[i], have))
			return true;
	return false;
}

/*
 * Of each family with several images those that @p sel wants; families with none keep
 * nothing. Images without family count as one when a platform was asked for, else all stay.
 */
static int by_platform(struct image_list *l, const struct selector *sel, bool *keep,
		       dray_error **err)
{
	struct map sizes = { 0 };
	bool asked = sel->platform.os;
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		struct span key = span_of(&l->list[i]->family, sizeof(l->list[i]->family));
		uintptr_t n = (uintptr_t)map_get(&sizes, key);

		rc = map_put(&sizes, key, (void *)(n + 1), err);
	}
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		struct span key = span_of(&l->list[i]->family, sizeof(l->list[i]->family));
		bool alone = (uintptr_t)map_get(&sizes, key) == 1;

		keep[i] = alone || (!l->list[i]->family && !asked) ||
			  (l->list[i]->config &&
			   selector_wants(sel, &l->list[i]->config->platform));
	}
	map_clear(&sizes);
	return rc;
}

/* Images of one index, or side by side an index in effect. */
static bool one_family(const struct image_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->list[i]->family || l->list[i]->family != l->list[0]->family)
			return false;
	return true;
}

/* Images of one index, or any images once a platform was asked for: then it may decide. */
static bool platform_decides(const struct image_list *l, const struct selector *sel)
{
	return sel->all || sel->platform.os || one_family(l);
}

static int no_platform(const struct image_list *l, const struct platform *p, const char *place,
		       dray_error **err)
{
	cleanup_free char *text = platform_text(p);

	fail(l, DRAY_ERR_NOT_FOUND, place, "has these images", err);
	return err_ctx(err, "no image for %s", text ? text : "this platform");
}

/* Who asks for several platforms gets all of them. */
static int have_all(const struct image_list *l, const struct selector *sel, const char *place,
		    dray_error **err)
{
	for (size_t i = 0; i < sel->n_more; i++) {
		bool any = false;

		for (size_t k = 0; k < l->n && !any; k++)
			any = l->list[k]->config &&
			      platform_match(&sel->more[i], &l->list[k]->config->platform);
		if (!any)
			return no_platform(l, &sel->more[i], place, err);
	}
	return 0;
}

static int choose_platform(struct image_list *l, const struct selector *sel, const char *place,
			   bool *keep, dray_error **err)
{
	struct platform p = sel->platform;
	bool any = false;

	if (!p.os)
		platform_host(&p);
	if (by_platform(l, sel, keep, err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		any = any || keep[i];
	if (!any)
		return no_platform(l, &p, place, err);
	keep_only(l, keep);
	return have_all(l, sel, place, err);
}

/* ---- whole indexes ---- */

static bool same_root(const struct image *a, const struct image *b)
{
	return digest_set(&a->root) ? digest_eq(&a->root, &b->root) : a == b;
}

/* Roots without any image step back while there is one that has some. */
static void roots_with_images_first(struct image_list *l, bool *keep)
{
	bool any = false, real = false;
	size_t next;

	for (size_t i = 0; i < l->n; i = next, real = false) {
		for (next = i; next < l->n && same_root(l->list[i], l->list[next]); next++)
			real = real || (!l->list[next]->attestation && !l->list[next]->artifact &&
					l->list[next]->config);
		for (size_t k = i; k < next; k++)
			keep[k] = real;
		any = any || real;
	}
	if (any)
		keep_only(l, keep);
}

/*
 * Images side by side without a name, which they would have to share where they go: no index
 * around them can be cut down, so that here is where platforms choose.
 */
static int choose_family(struct image_list *l, const struct selector *sel, const char *place,
			 bool *keep, dray_error **err)
{
	return sel->n_more ? choose_platform(l, sel, place, keep, err) : 0;
}

static bool share_tag(const struct image *a, const struct image *b)
{
	for (size_t i = 0; i < a->n_tags; i++)
		for (size_t k = 0; k < b->n_tags; k++)
			if (strcmp(a->tags[i], b->tags[k]) == 0)
				return true;
	return false;
}

/* Nobody made an index of them, so there is none whose digest could be kept. */
static int refuse_roots(const struct image_list *l, const char *place, dray_error **err)
{
	bool twins = false;

	for (size_t i = 1; i < l->n; i++)
		twins = twins || share_tag(l->list[0], l->list[i]);
	fail(l, DRAY_ERR_USAGE, place, "holds several images, choose one", err);
	return err_hint(err, twins ? "one name leads to one image: copy each, by --platform or "
				     "--image @N, to a name of its own"
				   : "platforms are chosen of one index; --all takes these as they "
				     "are");
}

/* Images of one root follow each other. */
static int choose_root(struct image_list *l, const struct selector *sel, const char *place,
		       bool *keep, dray_error **err)
{
	if (l->n > 1 && !same_root(l->list[0], l->list[l->n - 1]))
		roots_with_images_first(l, keep);
	if (l->n > 1 && !digest_set(&l->list[0]->root) && !l->list[0]->n_tags && one_family(l))
		return choose_family(l, sel, place, keep, err);
	for (size_t i = 1; i < l->n; i++)
		if (!same_root(l->list[0], l->list[i]))
			return refuse_roots(l, place, err);
	return 0;
}

/* What an index names and the place does not have is nothing to look at, unless it is all there is. */
static void drop_holes(struct image_list *l, bool *keep)
{
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		keep[i] = !image_is_hole(l->list[i]);
		any = any || keep[i];
	}
	if (any)
		keep_only(l, keep);
}

static int select_with(struct image_list *l, const struct selector *sel, const char *place,
		       bool *keep, dray_error **err)
{
	if (sel->ref && by_ref(l, sel, place, keep, err) < 0)
		return -1;
	if ((sel->has_at || selector_by_digest(sel)) && by_place(l, sel, place, keep, err) < 0)
		return -1;
	if (!l->n)
		return sel->all ? 0 : fail(l, DRAY_ERR_NOT_FOUND, place, "", err);
	if (sel->whole)
		return sel->all ? 0 : choose_root(l, sel, place, keep, err);
	if (sel->every && !sel->all && one_family(l)) {
		drop_holes(l, keep);
		return 0;
	}
	if (!sel->all)
		images_first(l, keep);
	if (sel->all_platforms || (sel->all && !sel->platform.os))
		return 0;
	if (l->n > 1 && platform_decides(l, sel) && choose_platform(l, sel, place, keep, err) < 0)
		return -1;
	if (l->n > 1 && !sel->all && !sel->n_more)
		return fail(l, DRAY_ERR_USAGE, place, "holds several images, choose one", err);
	return 0;
}

int image_list_select(struct image_list *l, const struct selector *sel, const char *place,
		      dray_error **err)
{
	cleanup_free bool *keep = mem_alloc_array(l->n ? l->n : 1, sizeof(*keep));

	if (!keep)
		return err_nomem(err);
	return select_with(l, sel, place, keep, err);
}
