/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers by the big units that need them: nixpkgs' default since 2025 (building.md 2.3).
 * Relies on acyclic graphs.
 * Promises nixpkgs' layers, and of equal sizes the one whose name comes first.
 *
 * The biggest unit that is left becomes a mark, one after the other. What has the same set of
 * marks above it, seen from below up to the first, shares a layer. Units of one layer always move
 * together, so sets are kept for layers, not for units.
 */
#include "build/layering_priv.h"

#include <stdlib.h>

#include "base/mem.h"

struct split {
	const struct graph *g;
	struct arena *a;
	size_t words;		  /* of a set */
	uint32_t *of;		  /* node -> class */
	uint32_t *then;		  /* the same, after the step that is tried */
	const uint64_t **classes; /* sets: bits are marks, by when they were made */
	size_t n, cap;
	struct map by_set; /* set -> class + 1 */
	uint32_t *marks;   /* nodes, by when they were made marks */
	size_t n_marks;
	uint32_t *below, *above; /* node -> the last mark that was met from there, + 1 */
	uint32_t *todo;
	uint64_t *marks_below, *marks_above, *scratch; /* sets */
	uint32_t *moved;			       /* class -> its class after the step */
	size_t moved_cap;
};

static void split_clear(struct split *s)
{
	map_clear(&s->by_set);
	mem_free(s->classes);
	mem_free(s->moved);
}
#define cleanup_split CLEANUP(split_clear)

static int split_init(struct split *s, const struct graph *g, size_t limit, struct arena *a,
		      dray_error **err)
{
	size_t most = (limit < g->n ? limit : g->n) + 1;

	s->g = g;
	s->a = a;
	s->words = (most + 63) / 64;
	s->of = arena_array(a, g->n, sizeof(*s->of));
	s->then = arena_array(a, g->n, sizeof(*s->then));
	s->marks = arena_array(a, most, sizeof(*s->marks));
	s->below = arena_array(a, g->n, sizeof(*s->below));
	s->above = arena_array(a, g->n, sizeof(*s->above));
	s->todo = arena_array(a, g->n, sizeof(*s->todo));
	s->marks_below = arena_array(a, s->words, sizeof(uint64_t));
	s->marks_above = arena_array(a, s->words, sizeof(uint64_t));
	s->scratch = arena_array(a, s->words, sizeof(uint64_t));
	if (!s->of || !s->then || !s->marks || !s->below || !s->above || !s->todo ||
	    !s->marks_below || !s->marks_above || !s->scratch)
		return err_nomem(err);
	return 0;
}

/* The class of the set in scratch. */
static int find_class(struct split *s, uint32_t *ret, dray_error **err)
{
	struct span set = span_of(s->scratch, s->words * sizeof(uint64_t));
	const struct map_slot *slot = map_find(&s->by_set, set);

	if (slot) {
		*ret = (uint32_t)((uintptr_t)slot->value - 1);
		return 0;
	}
	set = arena_dup(s->a, set);
	if (!set.data || mem_grow(&s->classes, s->n, &s->cap, sizeof(*s->classes)) < 0)
		return err_nomem(err);
	*ret = (uint32_t)s->n;
	s->classes[s->n++] = (const uint64_t *)(const void *)set.data;
	return map_put(&s->by_set, set, (void *)(uintptr_t)s->n, err);
}

static void set_bit(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

/* What needs the newest mark and what it needs: among all nodes, and among marks. */
static void look_around(struct split *s, uint32_t mark)
{
	uint32_t now = (uint32_t)s->n_marks;

	graph_mark(&s->g->refs, mark, s->below, now, s->todo);
	graph_mark(&s->g->users, mark, s->above, now, s->todo);
	memset(s->marks_below, 0, s->words * sizeof(uint64_t));
	memset(s->marks_above, 0, s->words * sizeof(uint64_t));
	for (size_t i = 0; i + 1 < s->n_marks; i++) {
		if (s->below[s->marks[i]] == now)
			set_bit(s->marks_below, i);
		if (s->above[s->marks[i]] == now)
			set_bit(s->marks_above, i);
	}
}

/*
 * The class that nodes of @p class below the newest mark go to: marks above it are seen through
 * it now; unless a mark below hides it, it is seen itself.
 */
static int move_class(struct split *s, uint32_t class, uint32_t *ret, dray_error **err)
{
	const uint64_t *set = s->classes[class];
	uint64_t hidden = 0;

	for (size_t i = 0; i < s->words; i++) {
		s->scratch[i] = set[i] & ~s->marks_above[i];
		hidden |= s->scratch[i] & s->marks_below[i];
	}
	if (!hidden)
		set_bit(s->scratch, s->n_marks - 1);
	return find_class(s, ret, err);
}

static int reset_moved(struct split *s, dray_error **err)
{
	if (s->moved_cap < s->n) {
		uint32_t *more = mem_realloc_array(s->moved, s->n * 2, sizeof(*more));

		if (!more)
			return err_nomem(err);
		s->moved = more;
		s->moved_cap = s->n * 2;
	}
	memset(s->moved, 0xff, s->moved_cap * sizeof(*s->moved));
	return 0;
}

/* Classes that have nodes after the step. */
static size_t count_used(struct split *s)
{
	size_t n = 0;

	memset(s->moved, 0xff, s->moved_cap * sizeof(*s->moved));
	for (size_t i = 0; i < s->g->n; i++)
		if (s->moved[s->then[i]] == LAYERING_NONE)
			s->moved[s->then[i]] = (uint32_t)n++;
	return n;
}

/* Make @p mark a mark, in then. */
static int step(struct split *s, uint32_t mark, dray_error **err)
{
	s->marks[s->n_marks++] = mark;
	look_around(s, mark);
	if (reset_moved(s, err) < 0)
		return -1;
	memset(s->scratch, 0, s->words * sizeof(uint64_t));
	set_bit(s->scratch, s->n_marks - 1);
	memcpy(s->then, s->of, s->g->n * sizeof(*s->then));
	if (find_class(s, &s->then[mark], err) < 0)
		return -1;
	for (uint32_t i = 0; i < s->g->n; i++) {
		if (i == mark || s->below[i] != s->n_marks)
			continue;
		if (s->moved[s->of[i]] == LAYERING_NONE &&
		    move_class(s, s->of[i], &s->moved[s->of[i]], err) < 0)
			return -1;
		s->then[i] = s->moved[s->of[i]];
	}
	return reset_moved(s, err);
}

static int split_all(struct split *s, size_t limit, dray_error **err)
{
	const uint32_t *biggest = graph_by_size(s->g, s->a);

	if (!biggest)
		return err_nomem(err);
	if (find_class(s, &s->of[0], err) < 0) /* the empty set */
		return -1;
	for (size_t i = 0; i < s->g->n; i++) {
		if (step(s, biggest[i], err) < 0)
			return -1;
		if (count_used(s) > limit)
			return 0;
		memcpy(s->of, s->then, s->g->n * sizeof(*s->of));
	}
	return 0;
}

int plan_graph(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
	       dray_error **err)
{
	struct arena scratch CLEANUP(arena_clear) = { 0 };
	cleanup_split struct split s = { 0 };

	if (bins_init(ret, a, g, err) < 0 || split_init(&s, g, limit, &scratch, err) < 0 ||
	    split_all(&s, limit, err) < 0)
		return -1;
	memcpy(s.then, s.of, g->n * sizeof(*s.of));
	if (reset_moved(&s, err) < 0)
		return -1;
	ret->n = count_used(&s);
	for (size_t i = 0; i < g->n; i++)
		ret->of[i] = s.moved[s.of[i]];
	return bins_by_closure(ret, g, a, err);
}
