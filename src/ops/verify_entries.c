/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries of a layer as verify sees them pass.
 * Relies on layer/ for what is refused, and on the seeded hash: of a name only 64 bits are kept, so
 * that memory stays small; two names of one hash are a warning too many, or one on a hard link too
 * few, once in a billion layers.
 * Promises that a layer costs at most 17 MiB, whatever it holds, and half of it once it has passed.
 */
#include "ops/verify_entries.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "layer/index.h"

#define NAME_SHOWN_MAX 200	/* bytes of a name that a finding shows */
#define NAMES_FIRST 1024	/* slots of the first table */
#define NAMES_MAX (1024 * 1024) /* names remembered of a layer; those after it are not compared */
#define LINKS_MAX (64 * 1024)	/* hard links to other layers, of one; with more none is judged */

/* The slot of @p h, or the free one where it belongs. The table is never full. */
static uint64_t *slot_of(uint64_t *table, size_t cap, uint64_t h)
{
	size_t at = (size_t)h & (cap - 1);

	while (table[at] && table[at] != h)
		at = (at + 1) & (cap - 1);
	return &table[at];
}

static int grow(struct entries *e, dray_error **err)
{
	size_t cap = e->cap ? e->cap * 2 : NAMES_FIRST;
	uint64_t *bigger;

	if (map_hash_ready(err) < 0)
		return -1;
	bigger = mem_alloc_array(cap, sizeof(*bigger));
	if (!bigger)
		return err_nomem(err);
	memset(bigger, 0, cap * sizeof(*bigger));
	for (size_t i = 0; i < e->cap; i++)
		if (e->seen[i])
			*slot_of(bigger, cap, e->seen[i]) = e->seen[i];
	mem_free(e->seen);
	e->seen = bigger;
	e->cap = cap;
	return 0;
}

static uint64_t hash_name(struct span name)
{
	return map_hash(name) | 1; /* never the free slot */
}

/* 1 = the name was there before, 0, -1. */
static int remember(struct entries *e, struct span name, dray_error **err)
{
	uint64_t h, *slot;

	if (e->n * 2 >= e->cap && e->n < NAMES_MAX && grow(e, err) < 0)
		return -1;
	h = hash_name(name);
	slot = slot_of(e->seen, e->cap, h);
	if (*slot)
		return 1;
	if (e->n == NAMES_MAX) {
		e->partial = true;
		return 0;
	}
	*slot = h;
	e->n++;
	return 0;
}

/* A link that finds no file before it may find one below. */
static int remember_link(struct entries *e, const struct tar_entry *t, dray_error **err)
{
	uint64_t h;

	if (t->type != TAR_HARDLINK)
		return 0;
	buf_reset(&e->link_room);
	if (tar_name_clean(t->link, &e->link_room, err) < 0 || map_hash_ready(err) < 0)
		return -1;
	h = hash_name(span_buf(&e->link_room));
	if (e->cap && *slot_of(e->seen, e->cap, h))
		return 0;
	if (e->n_links == LINKS_MAX) {
		e->partial = true;
		return 0;
	}
	if (mem_grow(&e->links, e->n_links, &e->cap_links, sizeof(*e->links)) < 0)
		return err_nomem(err);
	e->links[e->n_links++] = (struct entry_link){ h, t->header_off };
	return 0;
}

static int tell(const struct tar_entry *t, const char *code, const char *what, tar_oddity_fn *odd,
		void *arg, dray_error **err)
{
	cleanup_free char *name = text_safe(t->name, NAME_SHOWN_MAX);
	cleanup_free char *text = name ? mem_printf("%s: %s", name, what) : NULL;

	if (!text)
		return err_nomem(err);
	odd(arg, &(struct tar_oddity){ .code = code, .off = t->header_off, .message = text });
	return 0;
}

int entries_look(struct entries *e, const struct tar_entry *t, tar_oddity_fn *odd, void *arg,
		 dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	int twice;

	if (!e->room.max)
		e->room = e->link_room = BUF_INIT(LIMIT_PATH + 1);
	if (layer_entry_check(t, &e->room, &why) < 0) {
		e->partial = true;
		if (dray_error_kind(why) == DRAY_ERR_FORMAT ||
		    dray_error_kind(why) == DRAY_ERR_LIMIT)
			return tell(t, "layer-entry-refused", dray_error_message(why), odd, arg,
				    err);
		if (err)
			*err = steal_pointer(&why);
		return -1;
	}
	if (remember_link(e, t, err) < 0)
		return -1;
	twice = remember(e, span_buf(&e->room), err);
	if (twice <= 0)
		return twice;
	return tell(t, "layer-name-twice", "another entry of the layer has the same name", odd, arg,
		    err);
}

void entries_clear(struct entries *e)
{
	buf_clear(&e->room);
	buf_clear(&e->link_room);
	mem_free(e->seen);
	mem_free(e->links);
	*e = (struct entries){ 0 };
}

/* ---- across layers ---- */

int entries_keep(struct entries *e, struct entry_names *ret, dray_error **err)
{
	*ret = (struct entry_names){ .whole = !e->partial };
	if (e->partial)
		return 0;
	ret->names = mem_alloc_array(e->n + 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	for (size_t i = 0; i < e->cap; i++)
		if (e->seen[i])
			ret->names[ret->n++] = e->seen[i];
	ret->links = steal_pointer(&e->links);
	ret->n_links = e->n_links;
	return 0;
}

void entry_names_clear(struct entry_names *k)
{
	mem_free(k->names);
	mem_free(k->links);
	*k = (struct entry_names){ 0 };
}

static size_t table_size(size_t n)
{
	size_t ret = 16;

	while (ret < 2 * n)
		ret *= 2;
	return ret;
}

int entry_links_lost(const struct entry_names *own, const struct entry_names *const *below,
		     size_t n, bool *ret, dray_error **err)
{
	size_t cap = table_size(own->n_links);
	cleanup_free uint64_t *wanted = mem_zalloc(cap * sizeof(*wanted));
	cleanup_free bool *found = mem_zalloc(cap);

	if (!wanted || !found)
		return err_nomem(err);
	for (size_t i = 0; i < own->n_links; i++)
		*slot_of(wanted, cap, own->links[i].target) = own->links[i].target;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < below[i]->n; k++)
			/* A free slot is marked too, and nobody looks. */
			found[slot_of(wanted, cap, below[i]->names[k]) - wanted] = true;
	for (size_t i = 0; i < own->n_links; i++)
		ret[i] = !found[slot_of(wanted, cap, own->links[i].target) - wanted];
	return 0;
}
