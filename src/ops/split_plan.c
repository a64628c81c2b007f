/* SPDX-License-Identifier: Apache-2.0
 *
 * From an image and what was asked to new layers.
 * Relies on layer/cut for who goes where, on ops/packages for who owns what.
 * Promises that a plan depends on the images and options alone.
 */
#include "ops/split.h"

#include "base/mem.h"
#include "base/text.h"
#include "ops/packages.h"

#define RULE_SHOWN_MAX 200 /* bytes of a rule that messages show */
#define MANY_LAYERS 100	   /* that leaves room for others up to DRAY_SPLIT_LAYERS_MAX */
#define STEP_PREFIX "dray split "
#define STEP_RULE "--layer "

void dray_split_plan_free(dray_split_plan *p)
{
	if (!p)
		return;
	cut_layers_clear(&p->cut);
	cut_parts_clear(&p->parts);
	change_free(p->change);
	tree_free(p->tree);
	stack_free(p->stack);
	arena_clear(&p->arena);
	mem_free(p);
}

/* ---- what is cut ---- */

int split_rules(const struct dray_split_options *o, struct cut_rules *r, dray_error **err)
{
	for (size_t i = 0; i < o->n_rules; i++) {
		if (cut_rules_add(r, o->rules[i], err) == 0)
			continue;
		cleanup_free char *shown = text_safe(span_str(o->rules[i]), RULE_SHOWN_MAX);

		return err_ctx(err, "--layer '%s'", shown ? shown : "?");
	}
	return 0;
}

/* Over kept layers only what differs from what they add up to is written. */
static int find_change(struct dray_split_plan *p, dray_error **err)
{
	cleanup_tree struct tree *base = NULL;

	if (stack_tree(p->stack, p->kept, &base, err) < 0 ||
	    change_find(base, p->tree, &p->change, err) < 0)
		return -1;
	p->list = change_records(p->change);
	return 0;
}

static int mark(struct dray_split_plan *p, const struct dray_split_options *o, dray_error **err)
{
	cleanup_cut_rules struct cut_rules rules = { 0 };
	size_t torn = 0;

	if (split_rules(o, &rules, err) < 0 || cut_mark(p->tree, &rules, &torn, err) < 0)
		return -1;
	if (torn)
		context_log(p->stack->ctx, DRAY_LOG_INFO,
			    "%zu name%s of hard-linked files go%s with another name of the file",
			    torn, torn == 1 ? "" : "s", torn == 1 ? "es" : "");
	p->list = (struct record_list){ tree_record_next, p->tree };
	return p->kept ? find_change(p, err) : 0;
}

/* ---- the rest ---- */

static const char *owner_of(void *arg, const char *path)
{
	const struct package *p = package_of(arg, path);

	return p ? p->source : NULL;
}

/* @p strict: packages or nothing; else folders where there are none. */
static int rest_by_package(struct dray_split_plan *p, int64_t share, bool strict, dray_error **err)
{
	cleanup_packages struct package_set *set = NULL;

	if (packages_read(p->stack, p->tree, &set, err) < 0)
		return -1;
	if (set->n == 0 && strict)
		return err_set(err, DRAY_ERR_NOT_FOUND,
			       "%s: there is no package database that --by package could go by",
			       p->stack->im->where);
	return set->n ? cut_rest_by_owner(&p->parts, &p->list, owner_of, set, err)
		      : cut_rest_by_folder(&p->parts, &p->list, share, err);
}

static int name_rest(struct dray_split_plan *p, const char *by, size_t room, dray_error **err)
{
	int64_t bytes;

	if (strcmp(by, "none") == 0 || strcmp(by, "keep") == 0)
		return cut_rest_whole(&p->parts, &p->list, err);
	if (layer_tar_size(&p->list, &bytes, err) < 0)
		return -1;
	if (strcmp(by, "size") == 0)
		return cut_rest_by_size(&p->parts, &p->list, bytes / (int64_t)room, err);
	if (strcmp(by, "dir") == 0)
		return cut_rest_by_folder(&p->parts, &p->list, bytes / (int64_t)room, err);
	return rest_by_package(p, bytes / (int64_t)room, strcmp(by, "package") == 0, err);
}

/* What a cut of ours said of layer @p i: "libc6, zlib1g", or its rule. NULL = nothing. */
static const char *said_of(const struct stack *old, size_t i)
{
	const struct config *c = old->im->config;
	int64_t at = config_history_of_layer(c, i);
	const char *text = at < 0 ? NULL : c->history[at].created_by;

	/* Steps that do not fit the layers speak of others. */
	if (config_history_of_layer(c, old->n) >= 0 || !text ||
	    !span_starts(span_str(text), STEP_PREFIX))
		return NULL;
	text += strlen(STEP_PREFIX);
	if (span_starts(span_str(text), STEP_RULE))
		text += strlen(STEP_RULE);
	return *text ? text : NULL;
}

/* Where the times of folders are told that several layers have. */
struct times {
	bool everywhere;
	uint32_t part; /* else in its layer, if not above; UINT32_MAX = of none in particular */
};

/* The parts that keep to @p old have its names. */
static int name_old(struct dray_split_plan *p, const struct stack *old, dray_error **err)
{
	for (size_t i = 0; i < p->parts.n; i++) {
		struct cut_part *part = &p->parts.list[i];
		const char *said = part->kind == CUT_OLD ? said_of(old, p->kept + part->bin) : NULL;

		if (!said)
			continue;
		part->name = arena_strdup(&p->parts.arena, said);
		if (!part->name)
			return err_nomem(err);
	}
	return 0;
}

/* Has a layer below the one that tells a folder's time none for it? Else times are in all layers. */
static bool is_timeless(const struct stack *old, const struct tree *t, size_t base)
{
	for (size_t i = base; i + 1 < old->n; i++)
		for (size_t k = 0; k < old->index[i]->n; k++) {
			const struct layer_entry *e = &old->index[i]->list[k];
			const struct node *n = e->type == TAR_DIR && e->mtime == 0
						       ? tree_find(t, e->path)
						       : NULL;

			if (n && n->layer > i && node_is_dir(n) && node_attributes(n)->mtime != 0)
				return true;
		}
	return false;
}

/* What lies in which layer of @p old. */
static int keep_to(struct dray_split_plan *p, struct stack *old, struct times *ret,
		   dray_error **err)
{
	cleanup_tree struct tree *t = NULL; /* p->tree has marks of its own */

	if (stack_tree(old, old->n, &t, err) < 0)
		return -1;
	ret->everywhere = !is_timeless(old, t, p->kept);
	if (cut_follow(&p->parts, &p->list, t, (uint32_t)p->kept, &ret->part, err) < 0)
		return -1;
	return name_old(p, old, err);
}

static int follow(struct dray_split_plan *p, const char *previous, struct times *ret,
		  dray_error **err)
{
	const struct stack_options so = { 0 };
	cleanup_stack struct stack *old = NULL;

	if (stack_open(p->stack->ctx, previous, NULL, &so, &old, err) < 0 ||
	    keep_to(p, old, ret, err) < 0 || split_keep_ids(p, old->im, err) < 0)
		return err_ctx(err, "--previous");
	return 0;
}

/* ---- how many ---- */

/* Rules that something falls under, before the rest has parts. */
static size_t count_rules(struct dray_split_plan *p)
{
	size_t n = 0;

	cut_tally(&p->parts, &p->list);
	for (size_t i = 0; i < p->parts.n_rules; i++)
		n += p->parts.list[i].entries > 0;
	return n;
}

static void warn_idle(const struct dray_split_plan *p)
{
	for (size_t i = 0; i < p->parts.n_rules; i++) {
		cleanup_free char *shown = NULL;

		if (p->parts.list[i].entries > 0)
			continue;
		shown = text_safe(span_str(p->parts.list[i].name), RULE_SHOWN_MAX);
		context_log(p->stack->ctx, DRAY_LOG_WARNING,
			    "--layer '%s': nothing falls under it; it makes no layer",
			    shown ? shown : "?");
	}
}

static size_t hard_limit(const struct dray_split_options *o)
{
	return o->force ? DRAY_SPLIT_LAYERS_FORCED : DRAY_SPLIT_LAYERS_MAX;
}

static int too_many(const struct dray_split_plan *p, const struct dray_split_options *o, size_t n,
		    size_t max, dray_error **err)
{
	if (max < hard_limit(o)) {
		err_set(err, DRAY_ERR_USAGE, "%s: that makes %zu layers, more than %zu",
			p->stack->im->where, n, max);
		return err_hint(err, "--max tells how many there may be");
	}
	if (o->force)
		return err_set(err, DRAY_ERR_USAGE, "%s: that makes %zu layers, more than %zu",
			       p->stack->im->where, n, max);
	err_set(err, DRAY_ERR_USAGE, "%s: that makes %zu layers, but engines take %zu",
		p->stack->im->where, n, max);
	return err_hint(err, "--force makes them all the same");
}

/* Who writes them tells of more than engines take. */
static void warn_many(const struct dray_split_plan *p)
{
	if (p->cut.n > 0 && p->n > MANY_LAYERS && (!p->write || p->n <= DRAY_SPLIT_LAYERS_MAX))
		context_log(p->stack->ctx, DRAY_LOG_WARNING,
			    "%zu layers: engines take %d, and images upon this one need some", p->n,
			    DRAY_SPLIT_LAYERS_MAX);
}

/* Folders on the way are not counted as parts are weighed: a sixteenth is left for them. */
static int pack(struct dray_split_plan *p, const struct dray_split_options *o, const char *by,
		size_t room, struct times *ret, dray_error **err)
{
	int64_t most = o->max_size - o->max_size / 16;
	int rc;

	if (o->previous)
		return follow(p, o->previous, ret, err);
	if (strcmp(by, "keep") == 0)
		return keep_to(p, p->stack, ret, err);
	*ret = (struct times){ .everywhere = strcmp(by, "none") == 0, .part = UINT32_MAX };
	cut_tally(&p->parts, &p->list);
	if (most > 0 && cut_divide(&p->parts, &p->list, most, err) < 0)
		return -1;
	cut_tally(&p->parts, &p->list);
	if (strcmp(by, "none") == 0)
		room = 1; /* but for what is too big */
	rc = strcmp(by, "size") == 0 ? cut_pack_even(&p->parts, room, o->min_size, err)
				     : cut_pack(&p->parts, room, o->min_size, err);
	return rc == 0 && most > 0 ? cut_limit(&p->parts, most, err) : rc;
}

/* An automatic cut has the times of folders on top of the rest, where most changes are. */
static size_t times_layer(const struct dray_split_plan *p, const struct times *t, bool follows,
			  size_t rest)
{
	if (t->everywhere)
		return CUT_TIMES_ALL;
	if (t->part != UINT32_MAX && p->parts.list[t->part].entries > 0)
		return p->parts.list[t->part].layer;
	return follows || rest == 0 ? 0 : rest - 1;
}

/* Layers of an earlier cut for which there is no room share some, and do so from now on. */
static int join_old(struct dray_split_plan *p, size_t room, dray_error **err)
{
	cut_tally(&p->parts, &p->list);
	return cut_join(&p->parts, room, err);
}

/* Rules that were given make their layers; what is left of the limit is for the rest. */
static int choose(struct dray_split_plan *p, const struct dray_split_options *o, dray_error **err)
{
	size_t max = o->max && (size_t)o->max < hard_limit(o) ? (size_t)o->max : hard_limit(o);
	size_t aim = o->max ? max : DRAY_SPLIT_MAX;
	size_t fixed = p->kept + count_rules(p), n = 0, rest = 0;
	size_t room = fixed < aim ? aim - fixed : 1;
	const char *by = o->by;
	struct times times;
	bool follows;

	if (!by)
		by = o->n_rules && !o->previous ? "none" : "auto";
	follows = o->previous || strcmp(by, "keep") == 0;
	if (name_rest(p, by, room, err) < 0 || pack(p, o, by, room, &times, err) < 0 ||
	    (follows && join_old(p, fixed < max ? max - fixed : 1, err) < 0))
		return -1;
	cut_tally(&p->parts, &p->list);
	warn_idle(p);
	if (cut_number(&p->parts, &n, &rest, err) < 0)
		return -1;
	if (p->kept + n > max)
		return too_many(p, o, p->kept + n, max, err);
	if (n == 0 && !(p->change && change_is_empty(p->change)))
		n = 1; /* whiteouts alone */
	if (n == 0)
		return 0;
	return cut_deal(&p->parts, &p->list, n, times_layer(p, &times, follows, rest), &p->cut,
			err);
}

/* ---- telling ---- */

/* A root that nobody described is walked over, not written. */
static int64_t count_entries(const struct cut_layer *l)
{
	const struct node *first = l->n ? l->records[0].node : NULL;

	return (int64_t)l->n - (first && !first->parent && !first->inode->data);
}

/* A step of the history names several parts: "a, b". */
static size_t count_names(const struct cut_part *part)
{
	size_t n = 1;

	for (const char *at = part->name; part->kind == CUT_OLD && (at = strstr(at, ", ")); at += 2)
		n++;
	return n;
}

static int add_names(struct dray_split_plan *p, const struct cut_part *part, const char **names,
		     struct dray_split_layer *ret, dray_error **err)
{
	const char *at = part->name, *end;

	for (size_t n = count_names(part); n > 0; n--, at = end + 2) {
		end = n > 1 ? strstr(at, ", ") : at + strlen(at);
		names[ret->n_parts] = arena_strndup(&p->arena, at, (size_t)(end - at));
		if (!names[ret->n_parts++])
			return err_nomem(err);
	}
	return 0;
}

static int tell_parts(struct dray_split_plan *p, size_t layer, struct dray_split_layer *ret,
		      dray_error **err)
{
	const char **names;
	size_t n = 0;

	for (size_t i = 0; i < p->parts.n; i++)
		n += count_names(&p->parts.list[i]);
	ret->parts = names = arena_array(&p->arena, n + 1, sizeof(*names));
	if (!names)
		return err_nomem(err);
	for (size_t i = 0; i < p->parts.n; i++) {
		const struct cut_part *part = &p->parts.list[i];

		if (part->entries == 0 || part->layer != layer)
			continue;
		if (part->kind == CUT_RULE)
			ret->rule = part->name;
		else if (add_names(p, part, names, ret, err) < 0)
			return -1;
	}
	return 0;
}

static int tell_layer(struct dray_split_plan *p, size_t layer, struct dray_split_layer *ret,
		      dray_error **err)
{
	const struct record_list l = cut_records(&p->cut.list[layer]);

	if (tell_parts(p, layer, ret, err) < 0)
		return -1;
	ret->entries = count_entries(&p->cut.list[layer]);
	return layer_tar_size(&l, &ret->bytes, err);
}

static void warn_big(const struct dray_split_plan *p, int64_t most)
{
	size_t n = 0;

	for (size_t i = p->kept; i < p->n; i++)
		n += p->layers[i].bytes > most;
	if (most && n)
		context_log(p->stack->ctx, DRAY_LOG_WARNING,
			    "%zu layer%s bigger than asked for: a file is not cut, nor what a rule "
			    "puts together",
			    n, n == 1 ? " is" : "s are");
}

static int tell(struct dray_split_plan *p, dray_error **err)
{
	p->n = p->kept + p->cut.n;
	p->layers = arena_array(&p->arena, p->n + 1, sizeof(*p->layers));
	if (!p->layers)
		return err_nomem(err);
	for (size_t i = 0; i < p->kept; i++)
		p->layers[i] = (struct dray_split_layer){
			.kept = true,
			.entries = (int64_t)p->stack->index[i]->n,
			.bytes = p->stack->index[i]->size,
		};
	for (size_t i = 0; i < p->cut.n; i++)
		if (tell_layer(p, i, &p->layers[p->kept + i], err) < 0)
			return -1;
	return 0;
}

/* ---- the plan ---- */

static int check_options(const struct dray_split_options *o, dray_error **err)
{
	if (o->max < 0)
		return err_set(err, DRAY_ERR_USAGE, "%d layers are none", o->max);
	if (o->by && strcmp(o->by, "none") != 0 && strcmp(o->by, "auto") != 0 &&
	    strcmp(o->by, "package") != 0 && strcmp(o->by, "dir") != 0 &&
	    strcmp(o->by, "size") != 0 && strcmp(o->by, "keep") != 0)
		return err_set(err, DRAY_ERR_USAGE,
			       "the rest is cut by none, auto, package, dir, size or keep");
	if (o->by && strcmp(o->by, "keep") == 0 && o->previous)
		return err_set(err, DRAY_ERR_USAGE,
			       "the rest keeps to the layers of this image or of a previous one");
	if (o->max_size < 0 ||
	    (o->max_size && (o->previous || (o->by && strcmp(o->by, "keep") == 0))))
		return err_set(err, DRAY_ERR_USAGE,
			       "a layer that stays as it is cannot be kept below a size");
	return 0;
}

int split_open(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_split_options *o, enum split_use use, struct dray_split_plan **ret,
	       dray_error **err)
{
	const bool write = use != SPLIT_SHOWN;
	const struct stack_options so = { .contents = write || o->keep_base,
					  .keep_tars = write || o->previous,
					  .lazy = use == SPLIT_FORESEEN };
	cleanup_split_plan struct dray_split_plan *p = mem_zalloc(sizeof(*p));

	if (!p)
		return err_nomem(err);
	p->write = write;
	if (check_options(o, err) < 0 || stack_open(ctx, image, sel, &so, &p->stack, err) < 0)
		return -1;
	if (o->keep_base > p->stack->n)
		return err_set(err, DRAY_ERR_USAGE,
			       "%s has %zu layers, of which %zu are to be kept",
			       p->stack->im->where, p->stack->n, o->keep_base);
	p->kept = o->keep_base;
	*ret = steal_pointer(&p);
	return 0;
}

int split_make(struct dray_split_plan *p, const struct dray_split_options *o, dray_error **err)
{
	if (stack_tree(p->stack, p->stack->n, &p->tree, err) < 0 || mark(p, o, err) < 0 ||
	    cut_parts_rules(&p->parts, o->rules, o->n_rules, err) < 0 || choose(p, o, err) < 0 ||
	    tell(p, err) < 0)
		return -1;
	warn_big(p, o->max_size);
	warn_many(p);
	return 0;
}
