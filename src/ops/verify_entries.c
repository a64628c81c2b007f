/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries of a layer as verify sees them pass.
 * Relies on layer/ for what is refused, and on the seeded hash: of a name only 64 bits are kept, so
 * that memory stays small; two names of one hash are a warning too many, once in a billion layers.
 * Promises that a layer costs at most 16 MiB, whatever it holds.
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

/* 1 = the name was there before, 0, -1. */
static int remember(struct entries *e, struct span name, dray_error **err)
{
	uint64_t h, *slot;

	if (e->n * 2 >= e->cap && e->n < NAMES_MAX && grow(e, err) < 0)
		return -1;
	h = map_hash(name) | 1; /* never the free slot */
	slot = slot_of(e->seen, e->cap, h);
	if (*slot)
		return 1;
	if (e->n == NAMES_MAX)
		return 0;
	*slot = h;
	e->n++;
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
		e->room = BUF_INIT(LIMIT_PATH + 1);
	if (layer_entry_check(t, &e->room, &why) < 0) {
		if (dray_error_kind(why) == DRAY_ERR_FORMAT ||
		    dray_error_kind(why) == DRAY_ERR_LIMIT)
			return tell(t, "layer-entry-refused", dray_error_message(why), odd, arg,
				    err);
		if (err)
			*err = steal_pointer(&why);
		return -1;
	}
	twice = remember(e, span_buf(&e->room), err);
	if (twice <= 0)
		return twice;
	return tell(t, "layer-name-twice", "another entry of the layer has the same name", odd, arg,
		    err);
}

void entries_clear(struct entries *e)
{
	buf_clear(&e->room);
	mem_free(e->seen);
	*e = (struct entries){ 0 };
}
