/* SPDX-License-Identifier: Apache-2.0
 *
 * Records dealt out to layers, with the folders that each of them needs.
 * Relies on parts that have layers, and on lists that name folders before their contents.
 * Promises that the layers, one on the other, say what the list says.
 */
#include "layer/cut_priv.h"

#include <assert.h>

#include "base/mem.h"

/* ---- sets of layers ---- */

struct set {
	uint64_t bits[(CUT_LAYERS_FORCED + 63) / 64];
};

static void set_add(struct set *s, size_t i)
{
	s->bits[i / 64] |= 1ULL << (i % 64);
}

static bool set_has(const struct set *s, size_t i)
{
	return s->bits[i / 64] >> (i % 64) & 1;
}

static void set_join(struct set *s, const struct set *more)
{
	for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
		s->bits[i] |= more->bits[i];
}

static size_t set_count(const struct set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
		n += (size_t)__builtin_popcountll(s->bits[i]);
	return n;
}

/* The highest, of a set that is not empty. */
static size_t set_top(const struct set *s)
{
	size_t i = CUT_LAYERS_FORCED;

	while (i > 0 && !set_has(s, i - 1))
		i--;
	return i > 0 ? i - 1 : 0;
}

/* ---- walking ---- */

/* A folder with contents that the walk is in. */
struct frame {
	const struct node *dir;
	struct set layers; /* that hold something of it; later: that have it already */
};

struct dealer {
	const struct cut_parts *parts;
	struct frame *frames;
	size_t n, cap;
	size_t times;
	struct cut_layers *to;
};

/* Everything goes where its part goes, whiteouts to the bottom. */
static size_t layer_of(const struct dealer *d, const struct record *r)
{
	return r->kind == RECORD_WHITEOUT ? 0 : d->parts->list[r->node->inode->mark].layer;
}

static int enter(struct dealer *d, const struct node *dir, dray_error **err)
{
	if (mem_grow(&d->frames, d->n, &d->cap, sizeof(*d->frames)) < 0)
		return err_nomem(err);
	d->frames[d->n++] = (struct frame){ .dir = dir };
	return 0;
}

/*
 * The layer that says all of a folder. One that several share says so in the highest, not below
 * the one for times.
 */
static size_t home_of(const struct dealer *d, const struct set *layers)
{
	size_t top = set_top(layers);

	return set_count(layers) > 1 && d->times != CUT_TIMES_ALL && top < d->times ? d->times
										    : top;
}

/* Out of the folders that do not hold @p n (NULL = all), whose homes are known now. */
static void leave(struct dealer *d, const struct node *n)
{
	while (d->n > 0 && (!n || d->frames[d->n - 1].dir != n->parent)) {
		struct frame *f = &d->frames[--d->n];

		f->dir->inode->mark = (uint32_t)home_of(d, &f->layers);
		if (d->n > 0)
			set_join(&d->frames[d->n - 1].layers, &f->layers);
	}
}

/* First: which layers each folder is in. */
static int find_homes(struct dealer *d, const struct record_list *l, dray_error **err)
{
	struct record r = { 0 }, next = { 0 };

	for (bool more = l->next(l, &r, &next); more;) {
		r = next;
		more = l->next(l, &r, &next);
		if (!more)
			next.node = NULL;
		leave(d, r.node);
		if (r.kind == RECORD_WHITEOUT || is_leaf(&r, &next)) {
			if (d->n > 0)
				set_add(&d->frames[d->n - 1].layers, layer_of(d, &r));
		} else if (enter(d, r.node, err) < 0) {
			return -1;
		}
	}
	leave(d, NULL);
	return 0;
}

/* ---- dealing ---- */

static int add(struct dealer *d, size_t layer, const struct record *r, dray_error **err)
{
	struct cut_layer *to = &d->to->list[layer];

	if (mem_grow(&to->records, to->n, &to->cap, sizeof(*to->records)) < 0)
		return err_nomem(err);
	to->records[to->n] = *r;
	to->records[to->n].place = to->n;
	to->n++;
	return 0;
}

/* The folders that the walk is in, into @p layer, unless it has them. */
static int add_folders(struct dealer *d, size_t layer, dray_error **err)
{
	size_t i = d->n;

	while (i > 0 && !set_has(&d->frames[i - 1].layers, layer))
		i--;
	for (; i < d->n; i++) {
		struct frame *f = &d->frames[i];
		bool whole = d->times == CUT_TIMES_ALL || f->dir->inode->mark == layer;
		const struct record r = { .kind = whole ? RECORD_NODE : RECORD_PARENT,
					  .node = f->dir };

		if (add(d, layer, &r, err) < 0)
			return -1;
		set_add(&f->layers, layer);
	}
	return 0;
}

static int deal_one(struct dealer *d, const struct record *r, const struct record *next,
		    dray_error **err)
{
	while (d->n > 0 && d->frames[d->n - 1].dir != r->node->parent)
		d->n--;
	if (r->kind == RECORD_WHITEOUT || is_leaf(r, next)) {
		size_t layer = layer_of(d, r);

		return add_folders(d, layer, err) < 0 ? -1 : add(d, layer, r, err);
	}
	if (enter(d, r->node, err) < 0)
		return -1;
	return add_folders(d, r->node->inode->mark, err);
}

static int deal_all(struct dealer *d, const struct record_list *l, dray_error **err)
{
	struct record r = { 0 }, next = { 0 };

	d->n = 0;
	for (bool more = l->next(l, &r, &next); more;) {
		r = next;
		more = l->next(l, &r, &next);
		if (!more)
			next.node = NULL;
		if (deal_one(d, &r, &next, err) < 0)
			return -1;
	}
	return 0;
}

int cut_deal(const struct cut_parts *p, const struct record_list *l, size_t n, size_t times,
	     struct cut_layers *ret, dray_error **err)
{
	struct dealer d = { .parts = p, .times = times, .to = ret };
	int rc;

	assert(n > 0 && n <= CUT_LAYERS_FORCED && (times < n || times == CUT_TIMES_ALL));
	ret->list = mem_zalloc(n * sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	ret->n = n;
	rc = find_homes(&d, l, err);
	if (rc == 0)
		rc = deal_all(&d, l, err);
	mem_free(d.frames);
	return rc;
}

static bool cut_record_next(const struct record_list *l, const struct record *at,
			    struct record *ret)
{
	const struct cut_layer *layer = l->arg;
	size_t i = at->node ? at->place + 1 : 0;

	if (i >= layer->n)
		return false;
	*ret = layer->records[i];
	return true;
}

struct record_list cut_records(const struct cut_layer *layer)
{
	return (struct record_list){ cut_record_next, layer };
}

void cut_layers_clear(struct cut_layers *c)
{
	for (size_t i = 0; i < c->n; i++)
		mem_free(c->list[i].records);
	mem_free(c->list);
	*c = (struct cut_layers){ 0 };
}
