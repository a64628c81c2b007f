/* SPDX-License-Identifier: Apache-2.0
 *
 * copy and push: which images, to which destination, under which tags.
 * Relies on ops/copy_image.c for one image and on ops/copy_passing.c for pipes.
 * Promises one result per image and destination, in the order of the source.
 */
#include "ops/copy_priv.h"

#include "base/mem.h"

/* ---- results ---- */

struct dray_copy_result {
	struct arena arena;
	struct dray_copied *list;
	size_t n, cap;
};

static struct dray_copied *result_add(dray_copy_result *r, dray_error **err)
{
	if (mem_grow(&r->list, r->n, &r->cap, sizeof(*r->list)) < 0) {
		err_nomem(err);
		return NULL;
	}
	return &r->list[r->n++];
}

size_t dray_copy_count(const dray_copy_result *r)
{
	return r->n;
}

const struct dray_copied *dray_copy_get(const dray_copy_result *r, size_t i)
{
	return i < r->n ? &r->list[i] : NULL;
}

void dray_copy_free(dray_copy_result *r)
{
	if (!r)
		return;
	mem_free(r->list);
	arena_clear(&r->arena);
	mem_free(r);
}
DEFINE_CLEANUP(dray_copy_result, cleanup_result_fn, dray_copy_free)
#define cleanup_result CLEANUP(cleanup_result_fn)

/* ---- counting, from several threads ---- */

void copy_count_sent(struct copy *c, int64_t bytes)
{
	lock_take(c->ctx->lock);
	c->blobs_sent++;
	c->bytes_sent += bytes;
	lock_drop(c->ctx->lock);
}

void copy_count_skipped(struct copy *c, const char *label, const char *detail)
{
	lock_take(c->ctx->lock);
	c->blobs_skipped++;
	lock_drop(c->ctx->lock);
	context_progress(c->ctx, &(struct dray_progress){
					 .state = DRAY_PROGRESS_SKIPPED,
					 .id = context_progress_id(c->ctx),
					 .label = label,
					 .total = -1,
					 .detail = detail,
				 });
}

/* ---- one run ---- */

/* Images of the source, chosen; freed together. */
struct chosen {
	struct image **images;
	size_t n;
};

static void chosen_clear(struct chosen *c)
{
	images_free(c->images, c->n);
	*c = (struct chosen){ 0 };
}
#define cleanup_chosen CLEANUP(chosen_clear)

struct run {
	struct copy copy;
	struct place src;
	struct chosen chosen;
	struct arena arena;
};

static void run_clear(struct run *r)
{
	chosen_clear(&r->chosen);
	store_free(r->copy.store);
	reuse_clear(&r->copy.reuse);
	map_clear(&r->copy.passed);
	arena_clear(&r->copy.arena);
	blobcache_close(r->copy.cache);
	place_clear(&r->src);
	arena_clear(&r->arena);
}
#define cleanup_run CLEANUP(run_clear)

static int run_begin(struct run *r, dray_context *ctx, const char *src,
		     const struct dray_copy_options *o, dray_error **err)
{
	r->copy.ctx = ctx;
	if (wishes_parse(o, &r->copy.wishes, err) < 0 || place_parse(src, false, &r->src, err) < 0)
		return -1;
	if (r->src.kind == PLACE_REGISTRY) {
		r->copy.source_host = r->src.ref.domain;
		r->copy.source_path = r->src.ref.path;
	}
	if (!ctx->no_cache)
		r->copy.cache = blobcache_open();
	return 0;
}

static void warn_notes(dray_context *ctx, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct note *n = &notes->list[i];

		context_log(ctx, DRAY_LOG_WARNING, "%s%s%s", n->where ? n->where : "",
			    n->where ? ": " : "", n->message);
	}
}

/* Several platforms of one index would all want its tag: that takes the index itself, which is not copied yet. */
static int refuse_indexes(const struct run *r, dray_error **err)
{
	for (size_t i = 1; i < r->chosen.n; i++) {
		const struct digest *a = &r->chosen.images[i - 1]->index_digest;

		if (!digest_set(a) || !digest_eq(a, &r->chosen.images[i]->index_digest))
			continue;
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"%s: this version does not copy an index with several platforms",
			r->src.text);
		return err_hint(err, "choose one with --platform or --image");
	}
	return 0;
}

/* A tag names one image: two that claim it would replace each other without a word. */
static int refuse_twin_tags(const struct run *r, dray_error **err)
{
	struct map seen = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->chosen.n; i++) {
		const struct image *im = r->chosen.images[i];

		for (size_t k = 0; rc == 0 && k < im->n_tags; k++) {
			const struct image *other = map_get(&seen, span_str(im->tags[k]));

			if (other && other != im)
				rc = err_set(err, DRAY_ERR_FORMAT,
					     "%s: two images have the tag %.128s", r->src.text,
					     im->tags[k]);
			else
				rc = map_put(&seen, span_str(im->tags[k]), r->chosen.images[i],
					     err);
		}
	}
	map_clear(&seen);
	return rc < 0 ? err_hint(err, "choose one with --image") : 0;
}

/* Open the source. @p walk sends layers while a pipe passes; else they are only looked at. */
static int run_open(struct run *r, member_fn *walk, dray_error **err)
{
	const struct place_options po = { .on_member = walk, .arg = &r->copy };
	const struct dray_copy_options *o = r->copy.wishes.o;
	struct selector sel;

	if (place_open(r->copy.ctx, &r->src, &po, &r->copy.store, err) < 0)
		return -1;
	r->copy.forward = r->copy.store->forward_only;
	if (place_selector(r->copy.ctx, &r->src, o->image, o->all, &r->arena, &sel, err) < 0 ||
	    store_images(r->copy.store, &sel, &r->chosen.images, &r->chosen.n, err) < 0)
		return -1;
	warn_notes(r->copy.ctx, &r->copy.store->notes);
	for (size_t i = 0; i < r->chosen.n; i++)
		if (!r->chosen.images[i]->broken) /* else the first of them is the error */
			warn_notes(r->copy.ctx, &r->chosen.images[i]->notes);
	if (r->chosen.n == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", r->src.text);
	return refuse_indexes(r, err) < 0 ? -1 : refuse_twin_tags(r, err);
}

static int copy_one(struct run *r, struct image *im, const char *const *tags, size_t n_tags,
		    dray_copy_result *result, dray_error **err)
{
	struct dray_copied *slot = result_add(result, err);

	if (!slot)
		return -1;
	if (copy_image(&r->copy, im, tags, n_tags, &result->arena, slot, err) < 0) {
		result->n--;
		return err_ctx(err, "%s", im->where);
	}
	/* Not before: what passed on a forward walk was counted before its image was known. */
	r->copy.blobs_sent = r->copy.blobs_skipped = r->copy.bytes_sent = 0;
	return 0;
}

/* ---- to a layout ---- */

static int to_layout(struct run *r, const struct place *dst, dray_copy_result *result,
		     dray_error **err)
{
	cleanup_target struct target t = { 0 };

	if (dst->tag && r->copy.wishes.o->all)
		return err_set(err, DRAY_ERR_USAGE, "--all and a tag for one image: %s", dst->text);
	if (target_open_layout(r->copy.ctx, dst, r->copy.wishes.o, &t, err) < 0)
		return -1;
	r->copy.target = &t;
	if (run_open(r, copy_passing, err) < 0)
		return -1;
	if (dst->tag && r->chosen.n > 1)
		return err_set(err, DRAY_ERR_USAGE, "%s holds %zu such images; choose one for %s",
			       r->src.text, r->chosen.n, dst->text);
	for (size_t i = 0; i < r->chosen.n; i++) {
		struct image *im = r->chosen.images[i];
		const char *one = dst->tag;

		if ((one ? copy_one(r, im, &one, 1, result, err)
			 : copy_one(r, im, im->tags, im->n_tags, result, err)) < 0)
			return -1;
	}
	return dest_finish(t.dest, err);
}

/* ---- to a registry ---- */

static int refuse_existing(const struct target *t, const char *tag, dray_error **err)
{
	struct digest digest;
	int there = remote_head_manifest(t->remote, tag, &digest, err);

	if (there > 0)
		return err_set(err, DRAY_ERR_USAGE, "%s:%s exists already", t->repository, tag);
	return there;
}

static int with_target(struct run *r, const struct reference *ref, struct target *t,
		       dray_error **err)
{
	if (target_open_registry(r->copy.ctx, ref, t, err) < 0)
		return -1;
	r->copy.target = t;
	reuse_clear(&r->copy.reuse);
	if (r->copy.wishes.o->no_clobber && ref->tag && refuse_existing(t, ref->tag, err) < 0)
		return -1;
	return reuse_load(r->copy.ctx, t, &r->copy.wishes, ref->tag, &r->copy.reuse, err);
}

/* One image to the reference that the user gave. */
static int to_reference(struct run *r, const struct reference *given, dray_copy_result *result,
			dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_target struct target t = { 0 };
	const char *tag;

	if (r->copy.wishes.o->all)
		return err_set(
			err, DRAY_ERR_USAGE,
			"--all pushes every image under its own tags; leave the reference out");
	/* --creds name no host: they are the destination's, and a source elsewhere never sees them. */
	r->src.anonymous = r->src.kind == PLACE_REGISTRY &&
			   strcmp(r->src.ref.domain, given->domain) != 0;
	if (reference_copy(given, &ref, err) < 0 || reference_default_tag(&ref, err) < 0 ||
	    with_target(r, &ref, &t, err) < 0 || run_open(r, copy_passing, err) < 0)
		return -1;
	if (r->chosen.n != 1)
		return err_set(err, DRAY_ERR_USAGE, "%s holds %zu such images; choose one",
			       r->src.text, r->chosen.n);
	tag = ref.tag;
	if (copy_one(r, r->chosen.images[0], &tag, tag ? 1 : 0, result, err) < 0)
		return -1;
	return dest_finish(t.dest, err);
}

/* A tag of the archive, and whether it names a registry host. */
static int parse_own(const char *text, struct reference *ret, bool *ret_usable, dray_error **err)
{
	if (reference_parse(span_str(text), ret, err) < 0 || reference_default_tag(ret, err) < 0)
		return -1;
	*ret_usable = ret->domain_given && ret->tag;
	return 0;
}

static bool same_repository(const struct reference *a, const struct reference *b)
{
	return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0;
}

/* Push @p im to the repository of its tag @p first, with all of its tags there. */
static int to_own_repository(struct run *r, struct image *im, const struct reference *first,
			     dray_copy_result *result, dray_error **err)
{
	cleanup_target struct target t = { 0 };
	const char **tags = arena_array(&r->arena, im->n_tags, sizeof(*tags));
	size_t n = 0;

	if (!tags)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_tags; i++) {
		cleanup_reference struct reference ref = { 0 };
		bool usable;

		if (parse_own(im->tags[i], &ref, &usable, err) < 0)
			return -1;
		if (!usable || !same_repository(&ref, first))
			continue;
		tags[n] = arena_strdup(&r->arena, ref.tag);
		if (!tags[n++])
			return err_nomem(err);
	}
	if (with_target(r, first, &t, err) < 0 || copy_one(r, im, tags, n, result, err) < 0)
		return -1;
	return dest_finish(t.dest, err);
}

/* Was the repository of tag @p i served by an earlier tag already? */
static int served_before(const struct image *im, size_t i, const struct reference *ref, bool *ret,
			 dray_error **err)
{
	*ret = false;
	for (size_t k = 0; k < i && !*ret; k++) {
		cleanup_reference struct reference earlier = { 0 };
		bool usable;

		if (parse_own(im->tags[k], &earlier, &usable, err) < 0)
			return -1;
		*ret = usable && same_repository(&earlier, ref);
	}
	return 0;
}

static int image_to_own_tags(struct run *r, struct image *im, size_t *pushed,
			     dray_copy_result *result, dray_error **err)
{
	for (size_t i = 0; i < im->n_tags; i++) {
		cleanup_reference struct reference ref = { 0 };
		bool usable, served = false;

		if (parse_own(im->tags[i], &ref, &usable, err) < 0)
			return -1;
		if (!usable)
			continue;
		if (served_before(im, i, &ref, &served, err) < 0)
			return -1;
		if (served)
			continue;
		if (to_own_repository(r, im, &ref, result, err) < 0)
			return -1;
		++*pushed;
	}
	return 0;
}

static int to_own_tags(struct run *r, dray_copy_result *result, dray_error **err)
{
	size_t pushed = 0;

	if (strcmp(r->src.path ? r->src.path : "", "-") == 0) {
		err_set(err, DRAY_ERR_USAGE, "a pipe names its tags last: where shall it go?");
		return err_hint(err, "dray push - HOST/NAME:TAG");
	}
	/* Else an archive's tags would choose who gets them. */
	if (r->copy.ctx->creds)
		return err_set(err, DRAY_ERR_USAGE,
			       "--creds are for a registry that is named: say "
			       "where %s shall go",
			       r->src.text);
	if (run_open(r, NULL, err) < 0)
		return -1;
	if (r->copy.forward) {
		err_set(err, DRAY_ERR_USAGE,
			"%s is compressed as a whole and can only be read forward", r->src.text);
		return err_hint(err, "name the destination: dray push %s HOST/NAME:TAG",
				r->src.text);
	}
	for (size_t i = 0; i < r->chosen.n; i++)
		if (image_to_own_tags(r, r->chosen.images[i], &pushed, result, err) < 0)
			return -1;
	if (pushed == 0) {
		err_set(err, DRAY_ERR_USAGE, "%s: no image has a tag that names a registry host",
			r->src.text);
		return err_hint(err, "name the destination: dray push %s HOST/NAME:TAG",
				r->src.text);
	}
	return 0;
}

/* ---- doors ---- */

static const struct dray_copy_options DEFAULTS = DRAY_COPY_OPTIONS_INIT;

int dray_copy(dray_context *ctx, const char *src, const char *dst,
	      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	cleanup_result dray_copy_result *result = mem_zalloc(sizeof(*result));
	cleanup_run struct run r = { 0 };
	cleanup_place struct place to = { 0 };

	if (!result)
		return err_nomem(err);
	if (place_parse(dst, true, &to, err) < 0 ||
	    run_begin(&r, ctx, src, o ? o : &DEFAULTS, err) < 0)
		return -1;
	if ((to.kind == PLACE_REGISTRY ? to_reference(&r, &to.ref, result, err)
				       : to_layout(&r, &to, result, err)) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}

/* "oci:x" is a name that a registry could have, but nobody who types it means that. */
static int push_reference(const char *text, struct reference *ret, dray_error **err)
{
	cleanup_place struct place to = { 0 };

	if (!place_prefixed(text))
		return reference_parse(span_str(text), ret, err);
	if (place_parse(text, true, &to, err) < 0)
		return -1;
	if (to.kind == PLACE_REGISTRY)
		return reference_copy(&to.ref, ret, err);
	err_set(err, DRAY_ERR_USAGE, "%s: push sends to a registry", to.text);
	return err_hint(err, "dray copy SRC %s", to.text);
}

int dray_push(dray_context *ctx, const char *src, const char *ref,
	      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	cleanup_result dray_copy_result *result = mem_zalloc(sizeof(*result));
	cleanup_run struct run r = { 0 };
	cleanup_reference struct reference to = { 0 };

	if (!result)
		return err_nomem(err);
	if (ref && push_reference(ref, &to, err) < 0)
		return -1;
	if (run_begin(&r, ctx, src, o ? o : &DEFAULTS, err) < 0)
		return -1;
	if ((ref ? to_reference(&r, &to, result, err) : to_own_tags(&r, result, err)) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}
