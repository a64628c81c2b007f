/* SPDX-License-Identifier: Apache-2.0
 *
 * From a merged tree to the records of each new layer.
 * Relies on build/layering for which units share a layer.
 * Promises that each new name is in exactly one layer, with all folders above it.
 */
#include "build/deal.h"

#include "base/limits.h"
#include "base/mem.h"
#include "build/match.h"
#include "build/rules.h"
#include "build/units.h"

#define BIG MIB	       /* a file from this size on is a unit by itself */
#define MASK_WORDS 2   /* layers are fewer than 128 */
#define GONE_SHOWN 400 /* bytes of what is removed that a plan tells */
#define FIRST_UNIT 2   /* inode.mark of a name that is no folder: its unit, from here on */

/* What is known of a folder; inode.mark is its index and one. */
struct folder {
	bool same;    /* nothing about it is new */
	bool holds;   /* something below it is written */
	bool written; /* it stands for itself */
	uint32_t unit;
	uint64_t layers[MASK_WORDS];
	uint32_t first_gone, last_gone; /* of what it has lost of the base; places + 1 */
};

/* A name of the base that the image has no more. */
struct gone {
	const struct node *node;   /* of the base */
	const struct node *folder; /* of the image: where it was */
	uint32_t next;		   /* of the same folder: place + 1 */
};

struct group_match {
	struct match_list globs;
	const struct spec_list *sources;
};

struct layer_rule {
	size_t rule;
	uint32_t group;
};

struct dealer {
	const struct deal_input *in;
	struct deal *d;
	struct folder *folders;
	size_t n_folders;
	struct group_match *groups;
	struct layer_rule *rules; /* those that name a layer */
	size_t n_rules;
	struct match_list on_top;
	struct map by_key; /* unit + 1 */
	struct map names;  /* the last number of each */
	struct match_path parts;
	struct buf path;
	uint32_t **places; /* of each closure: of each unit, its place among units */
	bool globs;	   /* some path is looked at */
	struct gone *gone;
	size_t n_gone, cap_gone;
	uint32_t gone_unit;
};

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

/* ---- which group ---- */

static bool list_has(const struct spec_list *l, const char *text)
{
	for (size_t i = 0; text && i < l->n; i++)
		if (strcmp(l->list[i], text) == 0)
			return true;
	return false;
}

static uint32_t group_named(const struct spec *s, const char *name)
{
	for (size_t i = 0; i < s->layers.n_groups; i++)
		if (strcmp(s->layers.groups[i].name, name) == 0)
			return (uint32_t)i;
	return LAYERING_NONE;
}

static int read_groups(struct dealer *k, dray_error **err)
{
	const struct spec *s = k->in->spec;
	struct arena *a = &k->d->arena;

	k->groups = arena_array(a, s->layers.n_groups + 1, sizeof(*k->groups));
	if (!k->groups)
		return err_nomem(err);
	for (size_t i = 0; i < s->layers.n_groups; i++) {
		const struct spec_group *g = &s->layers.groups[i];

		if (match_parse_all(a, g->match.list, g->match.n, &k->groups[i].globs, err) < 0)
			return err_ctx(err, "layers: group \"%s\"", g->name);
		k->groups[i].sources = &g->sources;
		k->globs = k->globs || g->match.n > 0;
	}
	return 0;
}

static int read_rules(struct dealer *k, dray_error **err)
{
	const struct spec *s = k->in->spec;
	struct arena *a = &k->d->arena;

	k->rules = arena_array(a, s->n_rules + 1, sizeof(*k->rules));
	if (!k->rules)
		return err_nomem(err);
	for (size_t i = 0; i < s->n_rules; i++) {
		struct layer_rule *r = &k->rules[k->n_rules];

		if (!s->rules[i].layer)
			continue;
		r->rule = i;
		r->group = group_named(s, s->rules[i].layer);
		k->n_rules++;
		k->globs = true;
	}
	return 0;
}

/* What is no id of a source is a glob. */
static int read_on_top(struct dealer *k, dray_error **err)
{
	const struct spec *s = k->in->spec;
	const struct spec_list *l = &s->layers.is_volatile;

	k->on_top.list = arena_array(&k->d->arena, l->n + 1, sizeof(struct match));
	if (!k->on_top.list)
		return err_nomem(err);
	for (size_t i = 0; i < l->n; i++) {
		bool is_id = false;

		for (size_t j = 0; j < s->n_sources; j++)
			is_id = is_id ||
				(s->sources[j].id && strcmp(s->sources[j].id, l->list[i]) == 0);
		if (is_id)
			continue;
		if (match_parse(&k->d->arena, l->list[i], &k->on_top.list[k->on_top.n++], err) < 0)
			return err_ctx(err, "layers: volatile");
		k->globs = true;
	}
	return 0;
}

static const struct spec_source *source_of(const struct dealer *k, const struct node *n)
{
	uint32_t i = n->layer < k->in->n_base ? UINT32_MAX
					      : k->in->source_of[n->layer - k->in->n_base];

	return i == UINT32_MAX ? NULL : &k->in->spec->sources[i];
}

/* A rule is for what it fits, the later one wins; a group for all below that, the first one wins. */
static int find_group(struct dealer *k, const struct spec_source *src, const char *path,
		      enum tar_type type, uint32_t *ret, dray_error **err)
{
	*ret = LAYERING_NONE;
	for (size_t i = k->n_rules; i-- > 0;) {
		int rc = rules_fit(k->in->rules, k->rules[i].rule, &k->parts, path, type, err);

		*ret = k->rules[i].group;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	*ret = src && src->layer ? group_named(k->in->spec, src->layer) : LAYERING_NONE;
	if (*ret != LAYERING_NONE)
		return 0;
	for (size_t i = 0; i < k->in->spec->layers.n_groups; i++)
		if ((src && list_has(k->groups[i].sources, src->id)) ||
		    match_any_holds(&k->groups[i].globs, &k->parts, type == TAR_DIR)) {
			*ret = (uint32_t)i;
			break;
		}
	return 0;
}

static bool is_on_top(struct dealer *k, const struct spec_source *src, bool is_dir)
{
	if (src &&
	    (src->is_volatile == SPEC_YES || list_has(&k->in->spec->layers.is_volatile, src->id)))
		return true;
	return match_any_holds(&k->on_top, &k->parts, is_dir);
}

/* ---- units ---- */

/* Bytes of the path that name what stays together: a folder at the top, of some the second. */
static size_t unit_len(const char *path)
{
	static const char *const second[] = { "usr/", "opt/", "srv/", "home/" };
	size_t len = strcspn(path, "/"), more;

	for (size_t i = 0; i < ARRAY_LEN(second); i++)
		if (path[len] && strncmp(path, second[i], len + 1) == 0) {
			more = strcspn(path + len + 1, "/");
			return path[len + 1 + more] ? len + 1 + more : len;
		}
	return path[len] ? len : 0;
}

/*
 * Names are unique: the second of one name gets a number. Of each name the last number is known;
 * a path that looks like a name with a number is rare, and stepped over.
 */
static int name_unit(struct dealer *k, const char *path, size_t len, struct unit *u,
		     dray_error **err)
{
	const char *plain = arena_printf(&k->d->arena, "/%.*s", (int)len, path);
	uintptr_t number;

	if (!plain)
		return err_nomem(err);
	number = (uintptr_t)map_get(&k->names, span_str(plain)) + 1;
	for (u->name = plain; number > 1; number++) {
		u->name = arena_printf(&k->d->arena, "%s #%zu", plain, (size_t)number);
		if (!u->name)
			return err_nomem(err);
		if (!map_find(&k->names, span_str(u->name)))
			break;
	}
	if (u->name != plain && map_put(&k->names, span_str(u->name), (void *)1, err) < 0)
		return -1;
	return map_put(&k->names, span_str(plain), (void *)number, err);
}

static int new_unit(struct dealer *k, const char *path, size_t len, const struct unit *like,
		    uint32_t *ret, dray_error **err)
{
	struct deal *d = k->d;
	struct unit u = *like;

	if (name_unit(k, path, len, &u, err) < 0)
		return -1;
	if (mem_grow(&d->units, d->n_units, &d->cap_units, sizeof(*d->units)) < 0)
		return err_nomem(err);
	*ret = (uint32_t)d->n_units;
	d->units[d->n_units++] = u;
	return 0;
}

/* A store path is one unit, whatever is in it. */
static int closure_unit(struct dealer *k, const struct deal_closure *c,
			const struct closure_unit *from, const struct spec_source *src,
			uint32_t *place, dray_error **err)
{
	struct unit like = { .source = c->source };

	if (k->globs && match_path_set(&k->parts, from->path + 1, err) < 0)
		return -1;
	like.is_volatile = is_on_top(k, src, true);
	if (find_group(k, src, from->path + 1, TAR_DIR, &like.group, err) < 0 ||
	    units_describe(&k->d->arena, from, &like, err) < 0)
		return -1;
	return new_unit(k, from->path + 1, strlen(from->path + 1), &like, place, err);
}

/* The unit of a store path that k->path lies in: 1, 0 = it lies in none, -1. */
static int find_closure_unit(struct dealer *k, const struct spec_source *src, uint32_t *ret,
			     dray_error **err)
{
	uint32_t source = (uint32_t)(src - k->in->spec->sources);

	for (size_t i = 0; i < k->in->n_closures; i++) {
		const struct deal_closure *c = &k->in->closures[i];
		const struct closure_unit *from;
		uint32_t *place;

		if (c->source != source)
			continue;
		from = units_owner(&c->closure, (const char *)k->path.data);
		if (!from)
			return 0;
		place = &k->places[i][from - c->closure.units];
		if (*place == LAYERING_NONE && closure_unit(k, c, from, src, place, err) < 0)
			return -1;
		*ret = *place;
		return 1;
	}
	return 0;
}

static int init_places(struct dealer *k, dray_error **err)
{
	k->places = arena_array(&k->d->arena, k->in->n_closures + 1, sizeof(*k->places));
	for (size_t i = 0; k->places && i < k->in->n_closures; i++) {
		size_t n = k->in->closures[i].closure.n;

		k->places[i] = arena_array(&k->d->arena, n + 1, sizeof(**k->places));
		if (!k->places[i])
			return err_nomem(err);
		memset(k->places[i], 0xff, (n + 1) * sizeof(**k->places));
	}
	return k->places ? 0 : err_nomem(err);
}

static int add_refs(struct dealer *k, dray_error **err)
{
	for (size_t i = 0; i < k->in->n_closures; i++)
		if (units_refs(&k->d->arena, &k->in->closures[i].closure, k->places[i], k->d->units,
			       err) < 0)
			return -1;
	return 0;
}

/* The unit of what stands at k->path. */
static int find_unit(struct dealer *k, const struct node *n, uint32_t *ret, dray_error **err)
{
	const char *path = (const char *)k->path.data;
	const struct spec_source *src = source_of(k, n);
	bool is_dir = node_is_dir(n), alone = !is_dir && n->inode->data->size >= BIG;
	size_t len = alone ? strlen(path) : unit_len(path);
	struct unit like = { .root = false };
	const char *key;
	uintptr_t have;
	int rc = src ? find_closure_unit(k, src, ret, err) : 0;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (find_group(k, src, path, node_type(n), &like.group, err) < 0)
		return -1;
	like.source = src ? (uint32_t)(src - k->in->spec->sources) : UINT32_MAX - 1;
	like.is_volatile = is_on_top(k, src, is_dir);
	key = arena_printf(&k->d->arena, "%u %u %d %d %.*s", like.group, like.source,
			   like.is_volatile, alone, (int)len, path);
	if (!key)
		return err_nomem(err);
	have = (uintptr_t)map_get(&k->by_key, span_str(key));
	if (have) {
		*ret = (uint32_t)(have - 1);
		return 0;
	}
	if (new_unit(k, path, len, &like, ret, err) < 0)
		return -1;
	return map_put(&k->by_key, span_str(key), (void *)((uintptr_t)*ret + 1), err);
}

static int add_to_unit(struct dealer *k, const struct node *n, uint32_t *ret, dray_error **err)
{
	const struct layer_entry *data = n->inode->data;
	struct unit *u;

	if (node_path(n, &k->path, err) < 0 ||
	    (k->globs && match_path_set(&k->parts, (const char *)k->path.data, err) < 0) ||
	    find_unit(k, n, ret, err) < 0)
		return -1;
	u = &k->d->units[*ret];
	u->entries++;
	u->bytes += 512 + (data ? data->size + (int64_t)tar_padding(data->size) : 0);
	if (n->inode->attrs && n->inode->attrs->mtime > u->changed)
		u->changed = n->inode->attrs->mtime;
	return 0;
}

/* ---- what is new ---- */

static bool is_new(const struct dealer *k, const struct node *n)
{
	return n->entry && n->layer >= k->in->n_base;
}

static struct folder *folder_of(const struct dealer *k, const struct node *n)
{
	return &k->folders[n->inode->mark - 1];
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
		if (add_to_unit(k, n, &unit, err) < 0)
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
		if (add_to_unit(k, n, &f->unit, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what the base has and the image lacks ---- */

static int note_gone(struct dealer *k, const struct node *n, dray_error **err)
{
	struct folder *f;

	if (mem_grow(&k->gone, k->n_gone, &k->cap_gone, sizeof(*k->gone)) < 0)
		return err_nomem(err);
	if (node_path(n->parent, &k->path, err) < 0)
		return -1;
	k->gone[k->n_gone] = (struct gone){
		.node = n, .folder = tree_find(k->in->tree, (const char *)k->path.data)
	};
	f = folder_of(k, k->gone[k->n_gone++].folder);
	if (f->last_gone)
		k->gone[f->last_gone - 1].next = (uint32_t)k->n_gone;
	else
		f->first_gone = (uint32_t)k->n_gone;
	f->last_gone = (uint32_t)k->n_gone;
	return 0;
}

/* Of a folder that is gone nothing more is said; below what is no folder nothing is to be seen. */
static int find_gone(struct dealer *k, dray_error **err)
{
	const struct node *n = k->in->lower ? tree_next(tree_root(k->in->lower)) : NULL;

	while (n) {
		const struct node *now;

		if (node_path(n, &k->path, err) < 0)
			return -1;
		now = tree_find(k->in->tree, (const char *)k->path.data);
		if (!now && note_gone(k, n, err) < 0)
			return -1;
		n = now && node_is_dir(now) && node_is_dir(n) ? tree_next(n) : tree_skip(n);
	}
	return 0;
}

/* "removed /a /b and 3 more" */
static int name_gone(struct dealer *k, const char **ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(3 * LIMIT_PATH);

	if (buf_add_str(&text, "removed", err) < 0)
		return -1;
	for (size_t i = 0; i < k->n_gone; i++) {
		if (text.len > GONE_SHOWN) {
			if (buf_printf(&text, err, " and %zu more", k->n_gone - i) < 0)
				return -1;
			break;
		}
		if (node_path(k->gone[i].node, &k->path, err) < 0 ||
		    buf_add_str(&text, " /", err) < 0 ||
		    buf_add(&text, span_buf(&k->path), err) < 0)
			return -1;
	}
	*ret = arena_strndup(&k->d->arena, (const char *)text.data, text.len);
	return *ret ? 0 : err_nomem(err);
}

/* All of it is one unit. */
static int add_gone(struct dealer *k, dray_error **err)
{
	struct deal *d = k->d;
	struct unit u = { .component = "removed",
			  .group = LAYERING_NONE,
			  .source = UINT32_MAX - 1 };

	if (find_gone(k, err) < 0)
		return -1;
	if (k->n_gone == 0)
		return 0;
	u.entries = k->n_gone;
	u.bytes = 512 * (int64_t)k->n_gone;
	if (name_gone(k, &u.name, err) < 0)
		return -1;
	if (mem_grow(&d->units, d->n_units, &d->cap_units, sizeof(*d->units)) < 0)
		return err_nomem(err);
	k->gone_unit = (uint32_t)d->n_units;
	d->units[d->n_units++] = u;
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

/* What a pipeline removed is in none. */
static void set_layer(const struct dealer *k, const struct node *n, uint32_t layer)
{
	uint64_t bit = (uint64_t)1 << (layer % 64);

	if (layer == LAYERING_NONE)
		return;

	for (const struct node *p = n; p; p = p->parent) {
		struct folder *f = folder_of(k, p);

		if (f->layers[layer / 64] & bit)
			return;
		f->layers[layer / 64] |= bit;
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
	const struct folder *f = folder_of(k, n);

	if (!n->parent)
		return 0; /* the root is what the engine makes it */
	for (uint32_t i = 0; i < k->d->n; i++)
		if ((f->layers[i / 64] >> (i % 64) & 1) && add_record(&k->d->layers[i], n, err) < 0)
			return -1;
	return 0;
}

/* Before what else the folder holds. */
static int add_whiteouts(struct dealer *k, const struct node *folder, dray_error **err)
{
	uint32_t first = folder_of(k, folder)->first_gone;
	struct deal_layer *l;

	if (!first || k->d->plan.layer_of[k->gone_unit] == LAYERING_NONE)
		return 0;
	l = &k->d->layers[k->d->plan.layer_of[k->gone_unit]];
	for (uint32_t i = first; i; i = k->gone[i - 1].next) {
		if (mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
			return err_nomem(err);
		l->list[l->n++] = (struct dealt){ k->gone[i - 1].node, true };
	}
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
		if (node_is_dir(n) ? add_folder(k, n, err) < 0 || add_whiteouts(k, n, err) < 0
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

/* ---- attributes as they are written ---- */

static int sort_xattrs(struct arena *a, struct layer_entry *e, dray_error **err)
{
	cleanup_free struct tar_xattr *list = NULL;
	struct layer_xattrs *x;
	size_t n;

	if (!e->xattrs)
		return 0;
	if (layer_xattrs_sorted(e->xattrs, &list, &n, err) < 0)
		return -1;
	x = arena_alloc(a, sizeof(*x) + n * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	if (n)
		memcpy(x->list, list, n * sizeof(x->list[0]));
	x->n = n;
	e->xattrs = x;
	return 0;
}

/* What is written of an inode: its entry, or one of its own where that says more than is written. */
static int own_attributes(struct dealer *k, struct inode *i, dray_error **err)
{
	struct layer_entry *e;

	if (i->attrs && !i->attrs->mtime_nsec && !i->attrs->xattrs)
		return 0;
	e = arena_alloc(&k->d->arena, sizeof(*e));
	if (!e)
		return err_nomem(err);
	if (i->attrs)
		*e = *i->attrs;
	else
		*e = (struct layer_entry){ .type = TAR_DIR,
					   .mode = 0755,
					   .path = "",
					   .uname = "",
					   .gname = "",
					   .mtime = k->in->mtime.sec };
	e->mtime_nsec = 0;
	i->attrs = e;
	return sort_xattrs(&k->d->arena, e, err);
}

static int own_all(struct dealer *k, dray_error **err)
{
	for (struct node *n = tree_root(k->in->tree); n; n = tree_next(n))
		if ((node_is_dir(n) || is_written(k, n)) && own_attributes(k, n->inode, err) < 0)
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
	if (read_groups(&k, err) < 0 || read_rules(&k, err) < 0 || read_on_top(&k, err) < 0 ||
	    init_places(&k, err) < 0 || mark_all(&k, err) < 0 || mark_folders(&k, err) < 0 ||
	    add_gone(&k, err) < 0 || add_refs(&k, err) < 0 || plan(&k, err) < 0 ||
	    name_layers(&k, err) < 0)
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
