/* SPDX-License-Identifier: Apache-2.0
 *
 * deal: which unit of the plan a name belongs to.
 * Relies on build/match for what the spec names, build/units for closures.
 * Promises that names of one group, source and place share a unit, and that big files stand alone.
 */
#include "build/deal_priv.h"

#include "base/limits.h"
#include "build/rules.h"

#define BIG MIB /* a file from this size on is a unit by itself */

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

static int read_matches(struct dealer *k, dray_error **err)
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

int deal_read_groups(struct dealer *k, dray_error **err)
{
	return read_matches(k, err) < 0 || read_rules(k, err) < 0 || read_on_top(k, err) < 0
		       ? -1
		       : init_places(k, err);
}

int deal_add_refs(struct dealer *k, dray_error **err)
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

int deal_add_to_unit(struct dealer *k, const struct node *n, uint32_t *ret, dray_error **err)
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
