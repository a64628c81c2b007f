/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what layers carry for nothing: files that later layers replace or delete.
 * Relies on: layer/tree for what is seen in the end.
 * Promises: every byte of every file of every layer is either seen or wasted; the order of what
 * is told depends on sizes and names only.
 */
#include "ops/efficiency.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

/* One path, over all layers. */
struct use {
	struct dray_waste waste;
	int64_t *layers; /* waste.layers as it is filled */
	size_t n_layers;
	int64_t sum, least; /* of its copies; least -1 = none yet */
	size_t n_hidden;
};

struct counting {
	const struct layer_index *const *layers;
	size_t n;
	struct arena *a;
	struct arena scratch;
	uint8_t **seen;	 /* of each layer, of each entry: its bytes are in the merged tree */
	struct map uses; /* path -> struct use */
	struct dray_layer_use *shares;
	struct dray_efficiency *e;
};

static void counting_clear(struct counting *c)
{
	map_clear(&c->uses);
	arena_clear(&c->scratch);
}
#define cleanup_counting CLEANUP(counting_clear)

int64_t millionths(int64_t part, int64_t whole)
{
	if (whole == 0)
		return MILLION;
	while (whole > INT64_MAX / MILLION) {
		whole >>= 1;
		part >>= 1;
	}
	return part * MILLION / whole;
}

/* ---- what is seen ---- */

static int see_all(struct counting *c, const struct tree *t, dray_error **err)
{
	c->seen = arena_array(&c->scratch, c->n + 1, sizeof(*c->seen));
	for (size_t i = 0; c->seen && i < c->n; i++) {
		c->seen[i] = arena_alloc(&c->scratch, c->layers[i]->n + 1);
		if (!c->seen[i])
			return err_nomem(err);
	}
	if (!c->seen)
		return err_nomem(err);
	for (const struct node *n = tree_root(t); n; n = tree_next(n)) {
		const struct inode *i = n->inode;

		if (i->data)
			c->seen[i->data_layer][i->data - c->layers[i->data_layer]->list] = 1;
	}
	return 0;
}

/* ---- every copy ---- */

/* Whiteouts have no bytes; what aufs left beside its links has. */
static bool is_copy(const struct layer_entry *e)
{
	enum whiteout w;

	if (e->type != TAR_FILE && e->type != TAR_SPARSE)
		return false;
	w = whiteout_of(e->path, NULL);
	return w == WHITEOUT_NONE || w == WHITEOUT_AUFS;
}

static struct use *use_of(struct counting *c, const char *path, dray_error **err)
{
	struct use *u = map_get(&c->uses, span_str(path));

	if (u)
		return u;
	u = arena_alloc(&c->scratch, sizeof(*u));
	if (!u) {
		err_nomem(err);
		return NULL;
	}
	u->waste.path = path;
	u->least = -1;
	return map_put(&c->uses, span_str(path), u, err) < 0 ? NULL : u;
}

static int count_copy(struct counting *c, size_t layer, size_t at, dray_error **err)
{
	const struct layer_entry *e = &c->layers[layer]->list[at];
	struct use *u = use_of(c, e->path, err);

	if (!u)
		return -1;
	u->sum += e->size;
	if (u->least < 0 || e->size < u->least)
		u->least = e->size;
	c->shares[layer].file_bytes += e->size;
	if (c->seen[layer][at]) {
		u->waste.visible = true;
	} else if (e->size > 0) {
		u->n_hidden++;
		u->waste.bytes += e->size;
		c->shares[layer].wasted_bytes += e->size;
	}
	return 0;
}

static int count_all(struct counting *c, dray_error **err)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->layers[i]->n; k++)
			if (is_copy(&c->layers[i]->list[k]) && count_copy(c, i, k, err) < 0)
				return -1;
	return 0;
}

/* ---- the answer ---- */

/* Which layers have the hidden copies, now that their number is known. */
static int place_copies(struct counting *c, dray_error **err)
{
	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < c->layers[i]->n; k++) {
			const struct layer_entry *e = &c->layers[i]->list[k];
			struct use *u = is_copy(e) ? map_get(&c->uses, span_str(e->path)) : NULL;

			if (!u || e->size == 0 || c->seen[i][k])
				continue;
			if (!u->layers)
				u->layers = arena_array(c->a, u->n_hidden, sizeof(*u->layers));
			if (!u->layers)
				return err_nomem(err);
			u->layers[u->n_layers++] = (int64_t)i;
		}
	}
	return 0;
}

static int worst_first(const void *a, const void *b)
{
	const struct dray_waste *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int list_files(struct counting *c, dray_error **err)
{
	struct dray_waste *files;
	size_t n = 0;

	for (size_t i = 0; i < c->uses.len; i++)
		n += ((struct use *)c->uses.slots[i].value)->n_hidden > 0;
	files = arena_array(c->a, n + 1, sizeof(*files));
	if (!files)
		return err_nomem(err);
	n = 0;
	for (size_t i = 0; i < c->uses.len; i++) {
		struct use *u = c->uses.slots[i].value;

		if (u->n_hidden == 0)
			continue;
		u->waste.layers = u->layers;
		u->waste.n_copies = u->n_layers;
		files[n++] = u->waste;
	}
	qsort(files, n, sizeof(*files), worst_first);
	c->e->files = files;
	c->e->n_files = n;
	return 0;
}

static void sum_up(struct counting *c)
{
	struct dray_efficiency *e = c->e;
	int64_t least = 0;

	for (size_t i = 0; i < c->n; i++) {
		e->file_bytes += c->shares[i].file_bytes;
		e->wasted_bytes += c->shares[i].wasted_bytes;
	}
	for (size_t i = 0; i < c->uses.len; i++) {
		const struct use *u = c->uses.slots[i].value;

		least += u->waste.visible ? u->least : 0;
	}
	e->score_ppm = millionths(least, e->file_bytes);
	e->wasted_ppm = e->file_bytes ? millionths(e->wasted_bytes, e->file_bytes) : 0;
	e->layers = c->shares;
	e->n_layers = c->n;
}

int efficiency_count(const struct layer_index *const *layers, size_t n, const struct tree *t,
		     struct arena *a, struct dray_efficiency *ret, dray_error **err)
{
	cleanup_counting struct counting c = { .layers = layers, .n = n, .a = a, .e = ret };

	*ret = (struct dray_efficiency){ 0 };
	c.shares = arena_array(a, n + 1, sizeof(*c.shares));
	if (!c.shares)
		return err_nomem(err);
	if (see_all(&c, t, err) < 0 || count_all(&c, err) < 0 || place_copies(&c, err) < 0 ||
	    list_files(&c, err) < 0)
		return -1;
	sum_up(&c);
	return 0;
}
