/* SPDX-License-Identifier: Apache-2.0
 *
 * From a merged tree to the records of each new layer.
 * Relies on build/layering for which units share a layer.
 * Promises that each new name is in exactly one layer, with all folders above it.
 */
#include "build/deal_priv.h"

#include "base/limits.h"

static void dealer_clear(struct dealer *k)
{
	map_clear(&k->by_key);
	map_clear(&k->names);
	mem_free(k->gone);
	match_path_clear(&k->parts);
	buf_clear(&k->path);
}
#define cleanup_dealer CLEANUP(dealer_clear)

void deal_clear(struct deal *d)
{
	for (size_t i = 0; i < d->n; i++)
		mem_free(d->layers[i].list);
	layering_clear(&d->plan);
	mem_free(d->units);
	arena_clear(&d->arena);
	*d = (struct deal){ 0 };
}

/* ---- what is new ---- */

static bool is_new(const struct dealer *k, const struct node *n)
{
	return n->entry && n->layer >= k->in->n_base;
}

/* A folder that only its contents imply, in the place of one of the base that went. */
static int is_remade(struct dealer *k, const struct node *n, bool *ret, dray_error **err)
{
	*ret = false;
	if (!k->in->lower || n->entry || n->layer < k->in->n_base || !n->parent)
		return 0;
	if (node_path(n, &k->path, err) < 0)
		return -1;
	*ret = tree_find(k->in->lower, (const char *)k->path.data) != NULL;
	return 0;
}

static int note_folder(struct dealer *k, struct node *n, dray_error **err)
{
	struct folder *f = &k->folders[k->n_folders++];
	bool remade;

	if (is_remade(k, n, &remade, err) < 0)
		return -1;
	f->same = n->inode->mark == DEAL_SAME || (!is_new(k, n) && !remade) || !n->parent;
	n->inode->mark = (uint32_t)k->n_folders;
	return 0;
}

static int mark_all(struct dealer *k, dray_error **err)
{
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n)) {
		uint32_t unit;

		if (node_is_dir(n)) {
			if (note_folder(k, n, err) < 0)
				return -1;
			continue;
		}
		if (!is_new(k, n) || n->inode->mark != 0)
			continue;
		if (deal_add_to_unit(k, n, &unit, err) < 0)
			return -1;
		n->inode->mark = unit + FIRST_UNIT;
	}
	return 0;
}

static void tell_parents(const struct dealer *k, const struct node *n)
{
	for (const struct node *p = n->parent; p && !folder_of(k, p)->holds; p = p->parent)
		folder_of(k, p)->holds = true;
}

static bool is_written(const struct dealer *k, const struct node *n)
{
	return !node_is_dir(n) && is_new(k, n) && n->inode->mark >= FIRST_UNIT;
}

/* Folders of which nothing else tells; those above a folder that is written come along. */
static int mark_folders(struct dealer *k, dray_error **err)
{
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n))
		if (is_written(k, n) || (node_is_dir(n) && !folder_of(k, n)->same))
			tell_parents(k, n);
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n)) {
		struct folder *f = node_is_dir(n) ? folder_of(k, n) : NULL;

		if (!f || f->same || f->holds)
			continue;
		f->written = true;
		if (deal_add_to_unit(k, n, &f->unit, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- layers ---- */

/* A list of operations is a strategy. */
static int plan_with(struct dealer *k, struct layering_options *o, dray_error **err)
{
	const struct spec_layers *l = &k->in->spec->layers;
	const char *name = l->pipeline.len ? "pipeline" : l->strategy ? l->strategy : "auto";
	cleanup_json struct json_doc *pipeline = NULL;

	if (layering_strategy_parse(name, &o->strategy, err) < 0 ||
	    (l->pipeline.len && json_parse(l->pipeline, &pipeline, err) < 0))
		return -1;
	if (pipeline)
		o->pipeline = json_root(pipeline);
	return layering_plan(k->d->units, k->d->n_units, o, &k->d->plan, err);
}

static int plan(struct dealer *k, dray_error **err)
{
	const struct spec_layers *l = &k->in->spec->layers;
	struct layering_group *groups = arena_array(&k->d->arena, l->n_groups + 1, sizeof(*groups));
	struct layering_options o = { .max = l->max.set ? (size_t)l->max.v : 0,
				      .force = k->in->spec->force,
				      .base = k->in->base_layers,
				      .min_size = l->min_size.set ? l->min_size.v : -1,
				      .max_size = l->max_size.set ? l->max_size.v : 0,
				      .groups = groups,
				      .n_groups = l->n_groups,
				      .previous = k->in->previous,
				      .n_previous = k->in->n_previous };

	if (!groups)
		return err_nomem(err);
	for (size_t i = 0; i < l->n_groups; i++)
		groups[i] = (struct layering_group){
			.name = l->groups[i].name,
			.units = { l->groups[i].units.list, l->groups[i].units.n },
			.closure_of = { l->groups[i].closure_of.list, l->groups[i].closure_of.n },
			.max = l->groups[i].max.set ? (size_t)l->groups[i].max.v : 1,
		};
	return plan_with(k, &o, err);
}

#define WORD_BITS 64

/* There may be hundreds of layers, and a million folders: no more bits of each than it takes. */
static int make_masks(struct dealer *k, dray_error **err)
{
	size_t all;

	k->n_words = (k->d->n + WORD_BITS - 1) / WORD_BITS;
	if (__builtin_mul_overflow(k->n_folders, k->n_words, &all))
		return err_nomem(err);
	k->masks = arena_array(&k->d->arena, all + 1, sizeof(*k->masks));
	return k->masks ? 0 : err_nomem(err);
}

static uint64_t *mask_of(const struct dealer *k, const struct node *folder)
{
	return &k->masks[(size_t)(folder->inode->mark - 1) * k->n_words];
}

/* What a pipeline removed is in none. */
static void set_layer(const struct dealer *k, const struct node *n, uint32_t layer)
{
	uint64_t bit = (uint64_t)1 << (layer % WORD_BITS);

	if (layer == LAYERING_NONE)
		return;

	for (const struct node *p = n; p; p = p->parent) {
		uint64_t *word = &mask_of(k, p)[layer / WORD_BITS];

		if (*word & bit)
			return;
		*word |= bit;
	}
}

static int add_record(struct deal_layer *l, const struct node *n, dray_error **err)
{
	if (mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
		return err_nomem(err);
	l->list[l->n++] = (struct dealt){ .node = n };
	if (n->inode->data)
		l->bytes += n->inode->data->size;
	return 0;
}

static int add_file(struct dealer *k, const struct node *n, dray_error **err)
{
	uint32_t layer = k->d->plan.layer_of[n->inode->mark - FIRST_UNIT];

	return layer == LAYERING_NONE ? 0 : add_record(&k->d->layers[layer], n, err);
}

static int add_folder(struct dealer *k, const struct node *n, dray_error **err)
{
	const uint64_t *mask = mask_of(k, n);

	if (!n->parent)
		return 0; /* the root is what the engine makes it */
	for (uint32_t i = 0; i < k->d->n; i++)
		if ((mask[i / WORD_BITS] >> (i % WORD_BITS) & 1) &&
		    add_record(&k->d->layers[i], n, err) < 0)
			return -1;
	return 0;
}

static int fill_layers(struct dealer *k, dray_error **err)
{
	const uint32_t *layer_of = k->d->plan.layer_of;

	for (size_t i = 0; i < k->n_gone && layer_of[k->gone_unit] != LAYERING_NONE; i++)
		set_layer(k, k->gone[i].folder, layer_of[k->gone_unit]);

	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n)) {
		if (is_written(k, n))
			set_layer(k, n->parent, layer_of[n->inode->mark - FIRST_UNIT]);
		else if (node_is_dir(n) && folder_of(k, n)->written)
			set_layer(k, n, layer_of[folder_of(k, n)->unit]);
	}
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n)) {
		if (node_is_dir(n) ? add_folder(k, n, err) < 0 || deal_add_whiteouts(k, n, err) < 0
				   : is_written(k, n) && add_file(k, n, err) < 0)
			return -1;
	}
	return 0;
}

static int name_layers(struct dealer *k, dray_error **err)
{
	struct deal *d = k->d;

	d->layers = arena_array(&d->arena, d->plan.n + 1, sizeof(*d->layers));
	if (!d->layers)
		return err_nomem(err);
	d->n = d->plan.n;
	/* Readers want an image to have a layer: of nothing at all it is the empty tar. */
	if (d->n == 0 && !k->in->spec->base.set)
		d->n = 1;
	for (size_t i = 0; i < d->n; i++) {
		size_t n = i < d->plan.n ? d->plan.layers[i].units + 1 : 1;

		d->layers[i].name = i < d->plan.n ? d->plan.layers[i].name : "";
		d->layers[i].units = arena_array(&d->arena, n, sizeof(char *));
		d->layers[i].components = arena_array(&d->arena, n, sizeof(char *));
		if (!d->layers[i].units || !d->layers[i].components)
			return err_nomem(err);
	}
	for (size_t i = 0; i < d->n_units; i++) {
		struct deal_layer *l;

		if (d->plan.layer_of[i] == LAYERING_NONE)
			continue;
		l = &d->layers[d->plan.layer_of[i]];
		l->components[l->n_units] = d->plan.components[i];
		l->units[l->n_units++] = d->units[i].name;
	}
	return 0;
}

static int own_all(struct dealer *k, dray_error **err)
{
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n))
		if ((node_is_dir(n) || is_written(k, n)) &&
		    deal_own_attributes(k, n->inode, err) < 0)
			return -1;
	return 0;
}

static size_t count_folders(const struct tree *t)
{
	size_t ret = 0;

	for (const struct node *n = tree_root(t); n; n = tree_next(n))
		ret += node_is_dir(n);
	return ret;
}

int deal_make(const struct deal_input *in, struct deal *ret, dray_error **err)
{
	cleanup_dealer struct dealer k = { .in = in, .d = ret, .path = BUF_INIT(2 * LIMIT_PATH) };

	k.folders = arena_array(&ret->arena, count_folders(in->tree), sizeof(*k.folders));
	if (!k.folders)
		return err_nomem(err);
	if (deal_read_groups(&k, err) < 0 || mark_all(&k, err) < 0 || mark_folders(&k, err) < 0 ||
	    deal_add_gone(&k, err) < 0 || deal_add_refs(&k, err) < 0 || plan(&k, err) < 0 ||
	    name_layers(&k, err) < 0 || make_masks(&k, err) < 0)
		return -1;
	return own_all(&k, err) < 0 ? -1 : fill_layers(&k, err);
}

static bool next_record(const struct record_list *l, const struct record *at, struct record *ret)
{
	const struct deal_layer *layer = l->arg;
	size_t i = at->node ? at->place + 1 : 0;

	if (i >= layer->n)
		return false;
	*ret = (struct record){ .kind = layer->list[i].gone ? RECORD_WHITEOUT : RECORD_MADE,
				.node = layer->list[i].node,
				.place = i };
	return true;
}

struct record_list deal_records(const struct deal_layer *l)
{
	return (struct record_list){ next_record, l };
}
