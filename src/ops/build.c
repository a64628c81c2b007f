/* SPDX-License-Identifier: Apache-2.0
 *
 * build: an image out of sources, on a base or on nothing.
 * Relies on ops/relayer to write it, on build/deal for what each layer holds.
 * Promises one history entry for each layer, and nothing of the machine that builds.
 */
#include "ops/build.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/case_twins.h"
#include "build/config_make.h"
#include "ops/relayer.h"

#define COMMENT_MAX 1024 /* bytes of a history entry that names what its layer holds */
#define MANY_LAYERS 100	 /* that leaves room for others up to LAYERING_HARD */

void build_clear(struct build *b)
{
	build_clear_layers(b);
	deal_clear(&b->deal);
	memo_clear(&b->cache.old);
	memo_clear(&b->cache.now);
	json_doc_free(b->labels);
	json_doc_free(b->around);
	for (size_t i = 0; i < b->n_closures; i++)
		closure_clear(&b->closures[i].closure);
	mem_free(b->closures);
	rules_clear(&b->rules);
	merge_clear(&b->merge);
	tree_free(b->tree);
	tree_free(b->lower);
	for (size_t i = 0; i < b->n_indexes; i++)
		layer_index_free(b->indexes[i]);
	mem_free(b->indexes);
	mem_free(b->source_of);
	for (size_t i = 0; i < b->n_images; i++)
		stack_free(b->images[i]);
	mem_free(b->images);
	for (size_t i = 0; i < b->n_lists; i++)
		mtree_clear(&b->lists[i]);
	mem_free(b->lists);
	map_clear(&b->meant);
	stack_free(b->base);
	inputs_clear(&b->in);
	spec_free(b->spec);
	arena_clear(&b->arena);
}

/* ---- the plan ---- */

int64_t build_folder_mtime(const struct build *b)
{
	return b->spec->mtime.kind == SPEC_TIME_SET ? b->spec->mtime.sec : b->now;
}

static char *shown_path(const struct node *n, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	char *ret;

	if (node_path(n, &path, err) < 0)
		return NULL;
	ret = text_safe(span_buf(&path), 400);
	if (!ret)
		err_nomem(err);
	return ret;
}

static int warn_of_twins(const struct build *b, dray_error **err)
{
	cleanup_free char *x = NULL, *y = NULL;
	struct case_twins t;

	if (case_twins_find(b->tree, b->n_base, &t, err) < 0)
		return -1;
	if (t.n == 0)
		return 0;
	x = shown_path(t.a, err);
	y = x ? shown_path(t.b, err) : NULL;
	if (!y)
		return -1;
	context_log(b->ctx, DRAY_LOG_WARNING,
		    "/%s and /%s differ in case alone (%zu such): a file system that folds "
		    "case holds one of them",
		    x, y, t.n);
	return 0;
}

static void warn_of_layers(struct build *b)
{
	size_t n = b->base->n + b->deal.n;

	if (n > (b->deal.n ? MANY_LAYERS : LAYERING_HARD))
		context_log(b->ctx, DRAY_LOG_WARNING,
			    "%zu layers: engines take %d, and images upon this one need some", n,
			    LAYERING_HARD);
}

static int make_plan(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	struct deal_input in;

	build_cache_begin(b, o->cache);
	if (build_settle(b, o, err) < 0 || build_check_sources(b, o, err) < 0 ||
	    build_open_base(b, err) < 0 || build_take_sources(b, err) < 0 ||
	    build_dedupe(b, err) < 0 || warn_of_twins(b, err) < 0 ||
	    build_read_previous(b, err) < 0)
		return -1;
	in = (struct deal_input){ .spec = b->spec,
				  .tree = b->tree,
				  .lower = b->lower,
				  .rules = &b->rules,
				  .n_base = b->n_base,
				  .source_of = b->source_of,
				  .closures = b->closures,
				  .n_closures = b->n_closures,
				  .mtime = { SPEC_TIME_SET, build_folder_mtime(b) },
				  .base_layers = b->base->n,
				  .previous = b->previous,
				  .n_previous = b->n_previous };
	if (deal_make(&in, &b->deal, err) < 0 || build_set_config(b, err) < 0)
		return -1;
	warn_of_layers(b);
	return 0;
}

/* ---- layers ---- */

static int make_layers(struct build *b, struct relayer_plan *plan, dray_error **err)
{
	size_t old = b->base->n, n = b->deal.n;
	struct remake_layer *layers = arena_array(&b->arena, old + n + 1, sizeof(*layers));

	b->foreseen = arena_array(&b->arena, n + 1, sizeof(struct memo_layer *));
	if (!layers || !b->foreseen)
		return err_nomem(err);
	if (build_open_layers(b, layers + old, err) < 0)
		return -1;
	for (size_t i = 0; i < old; i++)
		layers[i] = (struct remake_layer){ .stack = b->base, .keep = (int64_t)i };
	for (size_t i = 0; i < n; i++) {
		if (build_foresee(b, i, &b->foreseen[i], err) < 0)
			return -1;
		layers[old + i].known = b->foreseen[i];
	}
	plan->layers = layers;
	plan->n = old + n;
	return build_label_layers(b, layers + old, err);
}

/* ---- history ---- */

/* "NAME: a, b, c, and 12 more" */
static int write_comment(const struct deal_layer *l, struct buf *ret, dray_error **err)
{
	for (size_t i = 0; i < l->n_units; i++) {
		cleanup_free char *name = text_safe(span_str(l->components[i]), 200);

		if (!name)
			return err_nomem(err);
		if (ret->len + strlen(name) > COMMENT_MAX)
			return buf_printf(ret, err, " and %zu more", l->n_units - i);
		if (buf_printf(ret, err, "%s%s", i ? ", " : "", name) < 0)
			return -1;
	}
	return 0;
}

static int make_step(struct build *b, const struct deal_layer *l, struct span *ret,
		     dray_error **err)
{
	cleanup_buf struct buf comment = BUF_INIT(2 * COMMENT_MAX), text = BUF_INIT(LIMIT_CONFIG);
	bool none = b->spec->history.comment && strcmp(b->spec->history.comment, "none") == 0;

	if (write_comment(l, &comment, err) < 0 || buf_add_byte(&comment, 0, err) < 0 ||
	    config_make_step(b->spec, b->created, none ? NULL : (const char *)comment.data, &text,
			     err) < 0)
		return -1;
	*ret = arena_dup(&b->arena, span_buf(&text));
	return ret->data ? 0 : err_nomem(err);
}

static int make_history(struct build *b, struct relayer_plan *plan, dray_error **err)
{
	size_t n = b->deal.n;
	const char **none = arena_array(&b->arena, n + 1, sizeof(*none));
	struct relayer_step *steps;

	if (!none)
		return err_nomem(err);
	if (relayer_history(b->base, b->base->n, none, n, plan, err) < 0)
		return -1;
	steps = arena_array(&b->arena, plan->n_steps + 1, sizeof(*steps));
	if (!steps)
		return err_nomem(err);
	if (plan->n_steps)
		memcpy(steps, plan->steps, plan->n_steps * sizeof(*steps));
	for (size_t i = 0; i < n; i++)
		if (make_step(b, &b->deal.layers[i], &steps[plan->n_steps - n + i].raw, err) < 0)
			return -1;
	plan->steps = steps;
	return 0;
}

/* ---- the run ---- */

/* What was read back has all names that were dealt out; files without bytes are as they were. */
static int check_made(void *arg, const struct remade_layers *made, struct span config,
		      dray_error **err)
{
	struct build *b = arg;

	for (size_t i = 0; i < b->deal.n; i++) {
		int64_t n = made->entries[b->base->n + i];

		if (n >= 0 && (uint64_t)n != b->deal.layers[i].n)
			return err_set(err, DRAY_ERR_CORRUPT,
				       "new layer %zu has %lld entries, it should have %zu", i + 1,
				       (long long)n, b->deal.layers[i].n);
	}
	if (inputs_check_empty(&b->in, err) < 0 || build_cache_learn(b, made, err) < 0)
		return -1;
	return build_set_tags(b, config, err);
}

static struct dray_copy_options copy_options(const struct build *b,
					     const struct dray_copy_options *o)
{
	struct dray_copy_options ret = *o;

	if (!ret.compression)
		ret.compression = b->spec->compression.algorithm;
	if (!ret.level && b->spec->compression.level.set)
		ret.level = (int)b->spec->compression.level.v;
	ret.image = NULL;
	ret.all = false;
	return ret;
}

struct check {
	struct build *b;
	dray_built *r;
};

static int on_foretell(void *arg, dray_error **err)
{
	struct check *c = arg;

	return build_foretell(c->b, err);
}

static int on_check(void *arg, const struct remade_layers *made, struct span config,
		    dray_error **err)
{
	struct check *c = arg;

	if (check_made(c->b, made, config, err) < 0 ||
	    build_tell(c->r, c->b, made->diff_ids, err) < 0)
		return -1;
	return build_tell_tags(c->r, c->b->base->im, err);
}

static int run(struct build *b, const char *dst, const struct dray_copy_options *o, dray_built *r,
	       dray_error **err)
{
	const struct dray_copy_options copy = copy_options(b, o);
	cleanup_manifest struct manifest *like = NULL;
	struct check check = { b, r };
	struct build_there there = { 0 };
	struct relayer_plan plan = { .image = b->spec->base.set ? b->spec->base.image : "-",
				     .tags = b->spec->tag ? &b->spec->tag : b->spec->tags.list,
				     .n_tags = b->spec->tag ? 1 : b->spec->tags.n,
				     .stack = b->base,
				     .no_ids = true,
				     .told_many = true,
				     .previous = b->spec->layers.previous,
				     .foretell = on_foretell,
				     .contents = b->cache.dir != NULL,
				     .check = on_check,
				     .arg = &check };

	if (build_check_format(b, &copy, err) < 0 || build_annotations(b, &like, err) < 0 ||
	    build_index_annotations(b, err) < 0 || make_layers(b, &plan, err) < 0 ||
	    make_history(b, &plan, err) < 0)
		return -1;
	plan.like = like;
	if (b->around)
		plan.around = json_root(b->around);
	if (build_find_there(&r->arena, dst, &copy, &plan, &there, err) < 0 ||
	    relayer_run(&plan, dst, &copy, &r->made, err) < 0)
		return -1;
	build_cache_end(b);
	r->info.copied = dray_relayered_info(r->made)->copied;
	r->info.known = b->n_known;
	build_tell_there(&there, &r->info);
	return 0;
}

/* ---- doors ---- */

#define BUILD_INIT(context)                         \
	{                                           \
		.ctx = (context), .in = INPUTS_INIT \
	}

int dray_build(dray_context *ctx, const struct dray_build_options *bo, const char *dst,
	       const struct dray_copy_options *o, dray_built **ret, dray_error **err)
{
	struct dray_build_options own = DRAY_BUILD_OPTIONS_INIT;
	struct dray_copy_options own_copy = DRAY_COPY_OPTIONS_INIT;
	cleanup_built dray_built *r = mem_zalloc(sizeof(*r));
	cleanup_build struct build b = BUILD_INIT(ctx);

	if (!r)
		return err_nomem(err);
	bo = options_take(&own, sizeof(own), bo);
	o = options_take(&own_copy, sizeof(own_copy), o);
	if (build_check_also(bo, o, err) < 0 || make_plan(&b, bo, err) < 0 ||
	    run(&b, dst, o, r, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

/* Only bytes tell whether the other image has a layer: all are read. */
static int tell_update(dray_built *r, struct build *b, const char *against, dray_error **err)
{
	struct relayer_plan plan = { .stack = b->base };
	struct dray_build_update *u = arena_alloc(&r->arena, sizeof(*u));
	struct digest *diff_ids;

	if (!u)
		return err_nomem(err);
	*u = (struct dray_build_update){ .image = arena_strdup(&r->arena, against) };
	if (!u->image)
		return err_nomem(err);
	if (make_layers(b, &plan, err) < 0 || build_foretell(b, err) < 0)
		return -1;
	diff_ids = arena_array(&b->arena, plan.n + 1, sizeof(*diff_ids));
	if (!diff_ids)
		return err_nomem(err);
	for (size_t i = b->base->n; i < plan.n; i++)
		diff_ids[i] = plan.layers[i].known ? plan.layers[i].known->diff_id
						   : *plan.layers[i].diff_id;
	r->info.update = u;
	return build_tell(r, b, diff_ids, err) < 0
		       ? -1
		       : build_against(b, against, r->layers, plan.n, u, err);
}

int dray_build_plan(dray_context *ctx, const struct dray_build_options *bo, dray_built **ret,
		    dray_error **err)
{
	struct dray_build_options own = DRAY_BUILD_OPTIONS_INIT;
	cleanup_built dray_built *r = mem_zalloc(sizeof(*r));
	cleanup_build struct build b = BUILD_INIT(ctx);

	if (!r)
		return err_nomem(err);
	bo = options_take(&own, sizeof(own), bo);
	if (make_plan(&b, bo, err) < 0 ||
	    (bo->against ? tell_update(r, &b, bo->against, err) : build_tell(r, &b, NULL, err)) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

/* JSON has no way to say other bytes: the spec would name other files. */
static int check_texts(const struct dray_build_options *o, dray_error **err)
{
	cleanup_free char *shown = NULL;
	const char *bad = o->spec && !utf8_valid(span_str(o->spec)) ? o->spec : NULL;

	for (size_t i = 0; !bad && i < o->n_words; i++)
		if (!utf8_valid(span_str(o->words[i].value)))
			bad = o->words[i].value;
	if (!bad)
		return 0;
	shown = text_safe(span_str(bad), 200);
	return err_set(err, DRAY_ERR_USAGE, "a spec is UTF-8, and this is not: %s",
		       shown ? shown : "");
}

/* Nor to say that nothing of a base stays, and something comes. */
static int check_pairs(const struct spec *s, dray_error **err)
{
	const struct spec_pairs *all[] = { &s->config.env, &s->config.labels, &s->config.ports,
					   &s->config.volumes };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i]->none && all[i]->n)
			return err_set(err, DRAY_ERR_USAGE,
				       "null in the spec and a flag for the same field: no spec "
				       "says both");
	return 0;
}

int dray_build_spec(const struct dray_build_options *bo, dray_built **ret, dray_error **err)
{
	struct dray_build_options own = DRAY_BUILD_OPTIONS_INIT;
	cleanup_built dray_built *r = mem_zalloc(sizeof(*r));
	cleanup_build struct build b = BUILD_INIT(NULL);

	if (!r)
		return err_nomem(err);
	bo = options_take(&own, sizeof(own), bo);
	if (check_texts(bo, err) < 0 || build_read_spec(&b, bo, err) < 0 ||
	    check_pairs(b.spec, err) < 0 || build_tell_spec(r, b.spec, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}
