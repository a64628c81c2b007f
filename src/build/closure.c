/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a text describes to units: names settled, references checked, what is not needed left
 * out.
 * Relies on closure_json.c and closure_text.c to take the text apart.
 * Promises units by path, no cycles, no reference to nothing.
 */
#include "build/closure_priv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define NO_UNIT UINT32_MAX

static void draft_clear(struct draft *d)
{
	arena_clear(&d->arena);
	map_clear(&d->by_path);
	mem_free(d->names);
	mem_free(d->entries);
	mem_free(d->refs);
}

void closure_clear(struct closure *c)
{
	arena_clear(&c->arena);
	*c = (struct closure){ 0 };
}

/* ---- names ---- */

static int bad_path(struct span path, const struct draft *d, dray_error **err)
{
	cleanup_free char *safe = text_safe(path, 200), *store = text_safe(d->store, 200);

	if (!safe || !store)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT, "\"%s\" is no path directly in %s", safe, store);
}

/* What follows the store and its '/'; no data = it is elsewhere. */
static struct span below_store(const struct draft *d, struct span path)
{
	if (path.len > d->store.len + 1 && path.data[d->store.len] == '/' &&
	    memcmp(path.data, d->store.data, d->store.len) == 0)
		return span_from(path, d->store.len + 1);
	return (struct span){ 0 };
}

static bool is_name(struct span s)
{
	return s.len > 0 && s.len <= 255 && span_find(s, '/') < 0 && span_find(s, '\0') < 0 &&
	       !span_is(s, ".") && !span_is(s, "..");
}

static int intern(struct draft *d, struct span path, uint32_t *ret, dray_error **err)
{
	struct span base = d->base_names && span_find(path, '/') < 0 ? path : below_store(d, path);
	const struct map_slot *slot;
	const char *name;

	if (!is_name(base))
		return bad_path(path, d, err);
	if (base.data == path.data) {
		name = arena_printf(&d->arena, "%.*s/%.*s", (int)d->store.len,
				    (const char *)d->store.data, (int)base.len,
				    (const char *)base.data);
		if (!name)
			return err_nomem(err);
		path = span_str(name);
	}
	slot = map_find(&d->by_path, path);
	if (slot) {
		*ret = (uint32_t)((uintptr_t)slot->value - 1);
		return 0;
	}
	if (d->n_names == LIMIT_UNITS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d paths (LIMIT_UNITS)",
			       LIMIT_UNITS);
	name = arena_strndup(&d->arena, (const char *)path.data, path.len);
	if (!name || mem_grow(&d->names, d->n_names, &d->cap_names, sizeof(*d->names)) < 0)
		return err_nomem(err);
	*ret = (uint32_t)d->n_names;
	d->names[d->n_names++] = (struct draft_name){ name, NO_UNIT };
	return map_put(&d->by_path, span_str(name), (void *)(uintptr_t)d->n_names, err);
}

int draft_entry(struct draft *d, struct span path, int64_t size, dray_error **err)
{
	struct draft_entry e = { .size = size, .refs = d->n_refs };

	if (intern(d, path, &e.name, err) < 0)
		return -1;
	/* Each path is told once or twice; whoever goes on has other plans. */
	if (d->n_entries >= 2 * (size_t)LIMIT_UNITS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d paths (LIMIT_UNITS)",
			       2 * LIMIT_UNITS);
	if (mem_grow(&d->entries, d->n_entries, &d->cap_entries, sizeof(e)) < 0)
		return err_nomem(err);
	d->entries[d->n_entries++] = e;
	return 0;
}

int draft_ref(struct draft *d, struct span path, dray_error **err)
{
	uint32_t name = 0;

	if (intern(d, path, &name, err) < 0)
		return err_ctx(err, "reference");
	if (d->n_refs == LIMIT_UNIT_REFS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d references (LIMIT_UNIT_REFS)",
			       LIMIT_UNIT_REFS);
	if (mem_grow(&d->refs, d->n_refs, &d->cap_refs, sizeof(*d->refs)) < 0)
		return err_nomem(err);
	d->refs[d->n_refs++] = name;
	d->entries[d->n_entries - 1].n_refs++;
	return 0;
}

/* ---- units ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct draft_name *const *)a)->path,
		      (*(struct draft_name *const *)b)->path);
}

/* Names that an entry describes become units, in order. */
static int number_units(struct draft *d, struct closure *c, dray_error **err)
{
	cleanup_free struct draft_name **list = mem_alloc_array(d->n_entries + 1, sizeof(*list));

	if (!list)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_entries; i++) {
		struct draft_name *name = &d->names[d->entries[i].name];

		if (name->unit == NO_UNIT)
			list[c->n++] = name;
		name->unit = 0;
	}
	if (c->n > 1)
		qsort(list, c->n, sizeof(*list), by_path);
	c->units = arena_array(&c->arena, c->n + 1, sizeof(*c->units));
	if (!c->units)
		return err_nomem(err);
	for (size_t i = 0; i < c->n; i++) {
		list[i]->unit = (uint32_t)i;
		c->units[i].path = arena_strdup(&c->arena, list[i]->path);
		if (!c->units[i].path)
			return err_nomem(err);
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int missing(const char *path, const char *ref, dray_error **err)
{
	cleanup_free char *a = text_safe(span_str(path), 200), *b = text_safe(span_str(ref), 200);

	if (!a || !b)
		return err_nomem(err);
	err_set(err, DRAY_ERR_FORMAT, "%s refers to %s, which is not described", a, b);
	return err_hint(err, "ignore_missing leaves such references out");
}

/* The references of an entry as numbers of units: each once, ascending, never itself. */
static int settle_refs(const struct draft *d, const struct draft_entry *e, bool ignore,
		       uint32_t *ret, size_t *ret_n, dray_error **err)
{
	uint32_t self = d->names[e->name].unit;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < e->n_refs; i++) {
		const struct draft_name *to = &d->names[d->refs[e->refs + i]];

		if (to->unit != NO_UNIT)
			ret[n++] = to->unit;
		else if (!ignore)
			return missing(d->names[e->name].path, to->path, err);
	}
	if (n > 1)
		qsort(ret, n, sizeof(*ret), by_number);
	for (size_t i = 0; i < n; i++)
		if (ret[i] != self && (kept == 0 || ret[kept - 1] != ret[i]))
			ret[kept++] = ret[i];
	*ret_n = kept;
	return 0;
}

static int twin(const char *path, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(path), 200);

	return safe ? err_set(err, DRAY_ERR_FORMAT, "%s is described twice, and not alike", safe)
		    : err_nomem(err);
}

static int fill_units(struct draft *d, bool ignore, struct closure *c, dray_error **err)
{
	uint32_t *to = arena_array(&c->arena, d->n_refs + 1, sizeof(*to));

	if (!to)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_entries; i++) {
		const struct draft_entry *e = &d->entries[i];
		struct closure_unit *u = &c->units[d->names[e->name].unit];
		size_t n = 0;

		if (settle_refs(d, e, ignore, to, &n, err) < 0)
			return -1;
		if (u->refs) {
			if (u->nar_size != e->size || u->n_refs != n ||
			    memcmp(u->refs, to, n * sizeof(*to)) != 0)
				return twin(u->path, err);
			continue;
		}
		u->nar_size = e->size;
		u->refs = to;
		u->n_refs = n;
		to += n;
	}
	return 0;
}

/* ---- cycles ---- */

/* Units that some chain of references leads back to, or from: @p left counts their users. */
static size_t peel(const struct closure *c, uint32_t *left, uint32_t *todo)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->units[i].n_refs; k++)
			left[c->units[i].refs[k]]++;
	for (uint32_t i = 0; i < c->n; i++)
		if (left[i] == 0)
			todo[n++] = i;
	for (size_t i = 0; i < n; i++) {
		const struct closure_unit *u = &c->units[todo[i]];

		for (size_t k = 0; k < u->n_refs; k++)
			if (--left[u->refs[k]] == 0)
				todo[n++] = u->refs[k];
	}
	return c->n - n;
}

/*
 * Two units that lie on one ring. Each that is left has a user that is left, so whoever goes from
 * user to user comes to a ring at last.
 */
static int tell_cycle(const struct closure *c, const uint32_t *left, uint32_t *user,
		      dray_error **err)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; left[i] > 0 && k < c->units[i].n_refs; k++)
			user[c->units[i].refs[k]] = i;
	while (left[at] == 0)
		at++;
	for (size_t i = 0; i < c->n; i++)
		at = user[at];
	cleanup_free char *a = text_safe(span_str(c->units[at].path), 200);
	cleanup_free char *b = text_safe(span_str(c->units[user[at]].path), 200);
	if (!a || !b)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT, "a cycle of references leads from %s to %s and back",
		       b, a);
}

static int check_cycles(const struct closure *c, dray_error **err)
{
	cleanup_free uint32_t *left = mem_zalloc((c->n + 1) * sizeof(*left));
	cleanup_free uint32_t *todo = mem_alloc_array(c->n + 1, sizeof(*todo));

	if (!left || !todo)
		return err_nomem(err);
	return peel(c, left, todo) > 0 ? tell_cycle(c, left, todo, err) : 0;
}

/* ---- roots ---- */

const struct closure_unit *closure_find(const struct closure *c, const char *path)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(path, c->units[mid].path);

		if (order == 0)
			return &c->units[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* What nobody refers to; of a list nothing is known. */
static int find_roots(struct closure *c, dray_error **err)
{
	cleanup_free bool *used = mem_zalloc((c->n + 1) * sizeof(*used));

	if (!used)
		return err_nomem(err);
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->units[i].n_refs; k++)
			used[c->units[i].refs[k]] = true;
	for (size_t i = 0; c->has_refs && i < c->n; i++)
		c->units[i].root = !used[i];
	return 0;
}

static int mark_roots(struct closure *c, const struct closure_options *o, dray_error **err)
{
	for (size_t i = 0; i < o->n_roots; i++) {
		const struct closure_unit *u = closure_find(c, o->roots[i]);

		if (!u) {
			cleanup_free char *safe = text_safe(span_str(o->roots[i]), 200);

			return safe ? err_set(err, DRAY_ERR_NOT_FOUND,
					      "the root %s is not in the closure", safe)
				    : err_nomem(err);
		}
		c->units[u - c->units].root = true;
	}
	for (size_t i = 0; i < o->n_extra; i++) {
		const struct closure_unit *u = closure_find(c, o->extra[i]);

		if (u)
			c->units[u - c->units].root = true;
	}
	return 0;
}

/* Number @p to of each unit that roots need, NO_UNIT of others. */
static size_t number_needed(const struct closure *c, uint32_t *to, uint32_t *todo)
{
	size_t n = 0, kept = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		to[i] = c->units[i].root ? 0 : NO_UNIT;
		if (c->units[i].root)
			todo[n++] = i;
	}
	while (n > 0) {
		const struct closure_unit *u = &c->units[todo[--n]];

		for (size_t k = 0; k < u->n_refs; k++)
			if (to[u->refs[k]] == NO_UNIT) {
				to[u->refs[k]] = 0;
				todo[n++] = u->refs[k];
			}
	}
	for (size_t i = 0; i < c->n; i++)
		if (to[i] != NO_UNIT)
			to[i] = (uint32_t)kept++;
	return kept;
}

static int keep_needed(struct closure *c, dray_error **err)
{
	cleanup_free uint32_t *to = mem_alloc_array(c->n + 1, sizeof(*to));
	cleanup_free uint32_t *todo = mem_alloc_array(c->n + 1, sizeof(*todo));
	size_t kept;

	if (!to || !todo)
		return err_nomem(err);
	kept = number_needed(c, to, todo);
	for (size_t i = 0; i < c->n; i++) {
		struct closure_unit *u = &c->units[i];
		uint32_t *refs = (uint32_t *)(uintptr_t)u->refs;

		if (to[i] == NO_UNIT)
			continue;
		for (size_t k = 0; k < u->n_refs; k++)
			refs[k] = to[refs[k]];
		c->units[to[i]] = *u;
	}
	c->n = kept;
	return 0;
}

/* ---- all ---- */

static int finish(struct draft *d, const struct closure_options *o, struct closure *ret,
		  dray_error **err)
{
	ret->has_refs = d->has_refs;
	if (number_units(d, ret, err) < 0 || fill_units(d, o->ignore_missing, ret, err) < 0 ||
	    check_cycles(ret, err) < 0)
		return -1;
	if (o->n_roots == 0)
		return find_roots(ret, err);
	if (mark_roots(ret, o, err) < 0)
		return -1;
	return ret->has_refs ? keep_needed(ret, err) : 0;
}

static bool is_json(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n", text.data[i]) || !text.data[i])
			return text.data[i] == '[' || text.data[i] == '{';
	return false;
}

int closure_read(struct span text, const struct closure_options *o, struct closure *ret,
		 dray_error **err)
{
	struct draft d CLEANUP(draft_clear) = {
		.store = span_str(o->store ? o->store : "/nix/store"),
		.store_given = o->store,
		.key = o->key,
	};

	*ret = (struct closure){ 0 };
	if ((int64_t)text.len > LIMIT_CLOSURE)
		return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes (LIMIT_CLOSURE)",
			       LIMIT_CLOSURE);
	while (d.store.len > 1 && d.store.data[d.store.len - 1] == '/')
		d.store.len--;
	if ((is_json(text) ? draft_json(&d, text, err) : draft_text(&d, text, err)) < 0)
		return -1;
	return finish(&d, o, ret, err);
}
