/* SPDX-License-Identifier: Apache-2.0
 *
 * copy and push: which sources, to which destination, under which tags.
 * Relies on ops/copy_source.c for the images, on ops/copy_image.c for one of them
 * and on ops/copy_passing.c for pipes.
 * Promises one result per image and destination, in the order of the sources.
 */
#include "ops/copy_run.h"

#include "base/mem.h"

/* ---- results ---- */

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

/* ---- one image or index ---- */

static int copy_root(struct run *r, const struct root *root, const char *const *tags, size_t n_tags,
		     struct arena *a, struct dray_copied *ret, dray_error **err)
{
	if (digest_set(&root->index))
		return copy_index(&r->copy, root, &r->from.sel, tags, n_tags, a, ret, err);
	if (copy_image(&r->copy, root->images[0], tags, n_tags, a, ret, err) < 0)
		return err_ctx(err, "%s", root->images[0]->where);
	return 0;
}

static int add_referrers(struct run *r, struct arena *a, struct dray_copied *told, dray_error **err)
{
	if (!r->copy.wishes.o->referrers)
		return 0;
	if (copy_referrers(&r->copy, a, &told->n_referrers, err) < 0)
		return -1;
	told->blobs_sent = r->copy.blobs_sent;
	told->blobs_skipped = r->copy.blobs_skipped;
	told->bytes_sent = r->copy.bytes_sent;
	return 0;
}

int run_copy_one(struct run *r, const struct root *root, const char *const *tags, size_t n_tags,
		 dray_copy_result *result, dray_error **err)
{
	struct dray_copied *slot = result_add(result, err);

	if (!slot)
		return -1;
	if (copy_root(r, root, tags, n_tags, &result->arena, slot, err) < 0 ||
	    add_referrers(r, &result->arena, slot, err) < 0) {
		result->n--;
		return -1;
	}
	/* Not before: what passed on a forward walk was counted before its image was known. */
	r->copy.blobs_sent = r->copy.blobs_skipped = r->copy.bytes_sent = 0;
	return 0;
}

/* ---- one destination ---- */

static int refuse_existing(const struct target *t, const char *tag, dray_error **err)
{
	struct digest digest;
	int there = remote_head_manifest(t->remote, tag, &digest, err);

	if (there > 0)
		return err_set(err, DRAY_ERR_USAGE, "%s:%s exists already", t->repository, tag);
	return there;
}

int run_target_registry(struct run *r, const struct reference *ref, struct target *t,
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

/* The first tag is that of the place. */
static int refuse_other_tags(const struct run *r, const struct target *t, dray_error **err)
{
	for (size_t i = 1; r->made_tags && i < r->made->n_tags; i++)
		if (refuse_existing(t, r->made->tags[i], err) < 0)
			return -1;
	return 0;
}

static int run_target(struct run *r, const struct place *dst, struct target *t, dray_error **err)
{
	if (dst->kind == PLACE_REGISTRY) {
		if (run_target_registry(r, &dst->ref, t, err) < 0)
			return -1;
		return r->copy.wishes.o->no_clobber ? refuse_other_tags(r, t, err) : 0;
	}
	r->copy.target = t;
	return target_open(r->copy.ctx, dst, r->copy.wishes.o, t, err);
}

/* The one name that the user gave to what arrives; NULL = images keep their own. */
static const char *given_tag(const struct place *dst)
{
	return dst->kind == PLACE_REGISTRY ? dst->ref.tag : dst->tag;
}

/* A place that has a name for one image, or room for one. */
static bool takes_one(const struct place *dst)
{
	return dst->kind == PLACE_REGISTRY || dst->kind == PLACE_DIR || dst->tag;
}

/* A layout may lead to what is edited by the name that the result gets. */
static void tell_origin(struct run *r, const struct root *root)
{
	if (r->edit)
		r->copy.target->dest->origin = (struct dest_origin){
			digest_set(&root->index) ? root->index : root->images[0]->wanted,
			edit_moves_platform(r->edit->o),
		};
}

/* What the source chose goes to the run's target. */
static int copy_chosen(struct run *r, const struct place *dst, dray_copy_result *result,
		       dray_error **err)
{
	const char *tag = given_tag(dst);

	if (takes_one(dst) && r->from.n_roots > 1)
		return err_set(err, DRAY_ERR_USAGE, "%s holds %zu such images; choose one for %s",
			       r->from.place.text, r->from.n_roots, dst->text);
	for (size_t i = 0; i < r->from.n_roots; i++) {
		const struct image *im = r->from.roots[i].images[0];
		bool own = !tag && dst->kind != PLACE_REGISTRY;
		const char *const *tags = r->made_tags ? r->made->tags : own ? im->tags : &tag;
		size_t n_tags = r->made_tags ? r->made->n_tags : own ? im->n_tags : !!tag;

		tell_origin(r, &r->from.roots[i]);
		if (run_copy_one(r, &r->from.roots[i], tags, n_tags, result, err) < 0)
			return -1;
	}
	return 0;
}

/* --creds name no host: they are the destination's, and a source elsewhere never sees them. */
static bool is_foreign(const struct place *src, const struct place *dst)
{
	return src->kind == PLACE_REGISTRY && dst->kind == PLACE_REGISTRY &&
	       strcmp(src->ref.domain, dst->ref.domain) != 0;
}

static int copy_source(struct run *r, const char *src, const struct place *dst,
		       dray_copy_result *result, dray_error **err)
{
	if (run_source(r, src, err) < 0)
		return -1;
	r->from.place.anonymous = is_foreign(&r->from.place, dst);
	if (run_open(r, copy_passing, err) < 0)
		return -1;
	return copy_chosen(r, dst, result, err);
}

static int check_room(const struct place *dst, size_t n, const struct dray_copy_options *o,
		      dray_error **err)
{
	if (o->legacy && dst->kind != PLACE_ARCHIVE)
		return err_set(err, DRAY_ERR_USAGE,
			       "--legacy is for archives that docker load reads: %s", dst->text);
	if (o->append && dst->kind == PLACE_REGISTRY)
		return err_set(err, DRAY_ERR_USAGE, "--append is for archives: %s", dst->text);
	if (o->all && dst->kind == PLACE_REGISTRY)
		return err_set(
			err, DRAY_ERR_USAGE,
			"--all pushes every image under its own tags; leave the reference out");
	if (o->all && dst->tag)
		return err_set(err, DRAY_ERR_USAGE, "--all and a tag for one image: %s", dst->text);
	if (n > 1 && takes_one(dst))
		return err_set(err, DRAY_ERR_USAGE, "%s takes one image, not those of %zu places",
			       dst->text, n);
	return 0;
}

/* What is wrong with a source is told before the destination is touched. */
static int check_sources(const char *const *srcs, size_t n, const char *creds, dray_error **err)
{
	cleanup_place struct place first = { 0 };
	bool piped = false;

	if (n == 0)
		return err_set(err, DRAY_ERR_USAGE, "no source");
	for (size_t i = 0; i < n; i++) {
		cleanup_place struct place p = { 0 };

		if (place_parse(srcs[i], PLACE_READ, &p, err) < 0)
			return -1;
		if (piped && p.path && strcmp(p.path, "-") == 0)
			return err_set(err, DRAY_ERR_USAGE, "standard input is one source only");
		piped = piped || (p.path && strcmp(p.path, "-") == 0);
		if (p.kind != PLACE_REGISTRY)
			continue;
		if (first.kind != PLACE_REGISTRY) {
			first = p;
			p = (struct place){ 0 };
		} else if (creds && strcmp(first.ref.domain, p.ref.domain) != 0) {
			return err_set(err, DRAY_ERR_USAGE,
				       "--creds are for one registry, the sources name two: %s, %s",
				       first.ref.domain, p.ref.domain);
		}
	}
	return 0;
}

static int copy_to(struct run *r, const char *const *srcs, size_t n, const struct place *dst,
		   dray_copy_result *result, dray_error **err)
{
	cleanup_target struct target t = { 0 };

	if (check_room(dst, n, r->copy.wishes.o, err) < 0 ||
	    check_sources(srcs, n, r->copy.ctx->creds, err) < 0 || run_target(r, dst, &t, err) < 0)
		return -1;
	if (r->copy.wishes.o->referrers && t.dest->lone)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "%s has no place for what refers to an image", dst->text);
	for (size_t i = 0; i < n; i++)
		if (copy_source(r, srcs[i], dst, result, err) < 0)
			return -1;
	return dest_finish(t.dest, err);
}

/* ---- doors ---- */

int copy_archive_name(const char *text, struct reference *ret, dray_error **err)
{
	if (reference_parse(span_str(text), ret, err) < 0 || reference_default_tag(ret, err) < 0)
		return -1;
	return digest_set(&ret->digest)
		       ? err_set(err, DRAY_ERR_USAGE, "a digest names no image in an archive")
		       : 0;
}

int copy_whole_name(const char *text, char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	if (copy_archive_name(text, &ref, err) < 0)
		return -1;
	*ret = reference_text(&ref);
	return *ret ? 0 : err_nomem(err);
}

int copy_complete_name(struct place *dst, dray_error **err)
{
	char *text;

	if (dst->has_at)
		return err_set(err, DRAY_ERR_USAGE, "%s: a position is not written to", dst->text);
	if (!dst->tag)
		return 0;
	if (copy_whole_name(dst->tag, &text, err) < 0)
		return err_ctx(err, "%s", dst->text);
	mem_free(dst->tag);
	dst->tag = text;
	return 0;
}

/* What the reference leaves open. */
static int complete_place(struct run *r, struct place *dst, dray_error **err)
{
	if (dst->kind == PLACE_REGISTRY && r->made && r->made->n_tags && !dst->ref.tag &&
	    !digest_set(&dst->ref.digest)) {
		r->made_tags = true;
		dst->ref.tag = mem_strdup(r->made->tags[0]);
		return dst->ref.tag ? 0 : err_nomem(err);
	}
	if (dst->kind == PLACE_REGISTRY)
		return reference_default_tag(&dst->ref, err);
	return dst->kind == PLACE_ARCHIVE ? copy_complete_name(dst, err) : 0;
}

/* The sources, or what is made of the one that there is then, or changed in its images. */
static int copy_run(dray_context *ctx, const char *const *srcs, size_t n, const struct made *made,
		    struct edit *edit, struct place *to, const struct dray_copy_options *o,
		    dray_copy_result *result, dray_error **err)
{
	cleanup_run struct run r = { .made = made, .edit = edit };

	if (run_begin(&r, ctx, o, err) < 0 || complete_place(&r, to, err) < 0)
		return -1;
	return copy_to(&r, srcs, n, to, result, err);
}

static int copy_place(dray_context *ctx, const char *const *srcs, size_t n, struct place *to,
		      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	cleanup_result dray_copy_result *result = mem_zalloc(sizeof(*result));

	if (!result)
		return err_nomem(err);
	if (o->canonical && o->legacy)
		return err_set(err, DRAY_ERR_USAGE, "--legacy and --canonical: one of both");
	if (o->canonical ? copy_canonical(ctx, srcs, n, to, o, result, err) < 0
			 : copy_run(ctx, srcs, n, NULL, NULL, to, o, result, err) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}

static int copy_changed(dray_context *ctx, const char *src, const struct made *made,
			struct edit *edit, const char *dst, const struct dray_copy_options *o,
			dray_copy_result **ret, dray_error **err)
{
	struct dray_copy_options own = DRAY_COPY_OPTIONS_INIT;
	cleanup_result dray_copy_result *result = mem_zalloc(sizeof(*result));
	cleanup_place struct place to = { 0 };

	if (!result)
		return err_nomem(err);
	o = options_take(&own, sizeof(own), o);
	if (place_parse(dst, place_use_of(o), &to, err) < 0)
		return -1;
	if (edit)
		edit->whole_names = to.kind == PLACE_ARCHIVE || to.kind == PLACE_DAEMON;
	if ((edit && edit_check_tags(edit, err) < 0) ||
	    copy_run(ctx, &src, 1, made, edit, &to, o, result, err) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}

int copy_made(dray_context *ctx, const struct made *m, const char *dst,
	      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	return copy_changed(ctx, m->from, m, NULL, dst, o, ret, err);
}

int copy_edited(dray_context *ctx, struct edit *e, const char *src, const char *dst,
		const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	return copy_changed(ctx, src, NULL, e, dst, o, ret, err);
}

int dray_copy_many(dray_context *ctx, const char *const *srcs, size_t n, const char *dst,
		   const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	struct dray_copy_options own = DRAY_COPY_OPTIONS_INIT;
	cleanup_place struct place to = { 0 };

	o = options_take(&own, sizeof(own), o);
	if (place_parse(dst, place_use_of(o), &to, err) < 0)
		return -1;
	return copy_place(ctx, srcs, n, &to, o, ret, err);
}

int dray_copy(dray_context *ctx, const char *src, const char *dst,
	      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	return dray_copy_many(ctx, &src, 1, dst, o, ret, err);
}

static int push_own(dray_context *ctx, const char *src, const struct dray_copy_options *o,
		    dray_copy_result **ret, dray_error **err)
{
	cleanup_result dray_copy_result *result = mem_zalloc(sizeof(*result));
	cleanup_run struct run r = { 0 };

	if (!result)
		return err_nomem(err);
	if (run_begin(&r, ctx, o, err) < 0 || run_source(&r, src, err) < 0 ||
	    copy_to_own_tags(&r, result, err) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}

/* "oci:x" is a name that a registry could have, but nobody who types it means that. */
static int push_place(const char *text, struct place *ret, dray_error **err)
{
	if (!place_prefixed(text))
		return place_registry(text, ret, err);
	if (place_parse(text, PLACE_WRITE, ret, err) < 0)
		return -1;
	if (ret->kind == PLACE_REGISTRY)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "%s: push sends to a registry", ret->text);
	return err_hint(err, "dray copy SRC %s", ret->text);
}

int dray_push(dray_context *ctx, const char *src, const char *ref,
	      const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	struct dray_copy_options own = DRAY_COPY_OPTIONS_INIT;
	cleanup_place struct place to = { 0 };

	o = options_take(&own, sizeof(own), o);
	if (!ref)
		return push_own(ctx, src, o, ret, err);
	if (push_place(ref, &to, err) < 0)
		return -1;
	return copy_place(ctx, &src, 1, &to, o, ret, err);
}
