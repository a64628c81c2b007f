/* SPDX-License-Identifier: Apache-2.0
 *
 * From parts to layers: which share one, and which lies on which.
 * Relies on cut_tally().
 * Promises the same bins for the same parts: sorts are total, sizes and times come from entries.
 */
#include "layer/cut_priv.h"

#include <stdlib.h>

#include "base/mem.h"

#define RULE_BIN (1U << 30) /* over all others */

/* ---- parts that count ---- */

struct pick {
	struct cut_part **list;
	size_t n;
};

static void pick_clear(struct pick *p)
{
	mem_free(p->list);
}
#define cleanup_pick CLEANUP(pick_clear)

/* Those of @p kind that hold something. */
static int pick(struct pick *ret, const struct cut_parts *p, enum cut_kind kind, dray_error **err)
{
	ret->n = 0;
	if (!ret->list)
		ret->list = mem_alloc_array(p->n + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].kind == kind && p->list[i].entries > 0)
			ret->list[ret->n++] = &p->list[i];
	return 0;
}

static int64_t bytes_of(struct cut_part *const *list, size_t n)
{
	int64_t ret = 0;

	for (size_t i = 0; i < n; i++)
		ret += list[i]->bytes;
	return ret;
}

static void put(struct cut_part **list, size_t n, size_t bin)
{
	for (size_t i = 0; i < n; i++)
		list[i]->bin = (uint32_t)bin;
}

static int by_bytes(const void *a, const void *b)
{
	const struct cut_part *x = *(struct cut_part *const *)a, *y = *(struct cut_part *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* What changed last will change next. */
static int by_age(const void *a, const void *b)
{
	const struct cut_part *x = *(struct cut_part *const *)a, *y = *(struct cut_part *const *)b;

	if (x->newest != y->newest)
		return x->newest < y->newest ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void sort(struct cut_part **list, size_t n, int (*order)(const void *, const void *))
{
	if (n > 1)
		qsort(list, n, sizeof(*list), order);
}

/* ---- the biggest alone ---- */

/* How many of the @p n units, by size, get a bin of their own when there is room for @p room. */
static size_t count_alone(struct cut_part *const *list, size_t n, size_t room, int64_t min)
{
	size_t alone = n <= room ? n : room - 1;

	while (alone > 0 && list[alone - 1]->bytes < min)
		alone--;
	while (alone > 0 && alone < n && bytes_of(list + alone, n - alone) < min)
		alone--;
	return alone;
}

int cut_pack(struct cut_parts *p, size_t max, int64_t min, dray_error **err)
{
	cleanup_pick struct pick units = { 0 }, tops = { 0 };
	size_t alone, bins;
	bool apart;

	if (pick(&units, p, CUT_UNIT, err) < 0 || pick(&tops, p, CUT_VOLATILE, err) < 0)
		return -1;
	sort(units.list, units.n, by_bytes);
	apart = max > 1 && tops.n > 0 && bytes_of(tops.list, tops.n) >= min;
	alone = count_alone(units.list, units.n, max - apart, min);
	sort(units.list, alone, by_age);
	for (size_t i = 0; i < alone; i++)
		put(&units.list[i], 1, i);
	put(units.list + alone, units.n - alone, alone);
	bins = alone + (units.n > alone);
	put(tops.list, tops.n, bins > 0 && !apart ? bins - 1 : bins);
	return 0;
}

/* ---- about the same size ---- */

/* Neighbours that share a bin. */
struct run {
	size_t first; /* unit */
	int64_t bytes;
};

static void join(struct run *runs, size_t *n, size_t i)
{
	runs[i].bytes += runs[i + 1].bytes;
	--*n;
	memmove(&runs[i + 1], &runs[i + 2], (*n - i - 1) * sizeof(*runs));
}

/* The neighbours whose join is smallest: the first of them. */
static size_t least_pair(const struct run *runs, size_t n)
{
	size_t ret = 0;

	for (size_t i = 1; i + 1 < n; i++)
		if (runs[i].bytes + runs[i + 1].bytes < runs[ret].bytes + runs[ret + 1].bytes)
			ret = i;
	return ret;
}

static size_t least(const struct run *runs, size_t n)
{
	size_t ret = 0;

	for (size_t i = 1; i < n; i++)
		if (runs[i].bytes < runs[ret].bytes)
			ret = i;
	return ret;
}

static void join_small(struct run *runs, size_t *n, int64_t min)
{
	while (*n > 1) {
		size_t i = least(runs, *n);

		if (runs[i].bytes >= min)
			return;
		if (i > 0 && (i + 1 == *n || runs[i - 1].bytes <= runs[i + 1].bytes))
			i--;
		join(runs, n, i);
	}
}

/* So few that to look for the least pair again and again costs nothing. */
static size_t first_runs(const struct pick *units, size_t max, struct run *runs)
{
	int64_t fill = bytes_of(units->list, units->n) / (4 * (int64_t)max);
	size_t n = 0;

	for (size_t i = 0; i < units->n; i++) {
		int64_t bytes = units->list[i]->bytes;

		if (n > 0 && runs[n - 1].bytes + bytes <= fill)
			runs[n - 1].bytes += bytes;
		else
			runs[n++] = (struct run){ i, bytes };
	}
	return n;
}

static void put_runs(const struct pick *units, const struct run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(units->list + runs[i].first,
		    (i + 1 < n ? runs[i + 1].first : units->n) - runs[i].first, i);
}

int cut_pack_even(struct cut_parts *p, size_t max, int64_t min, dray_error **err)
{
	cleanup_pick struct pick units = { 0 };
	cleanup_free struct run *runs = mem_alloc_array(p->n + 1, sizeof(*runs));
	size_t n;

	if (!runs)
		return err_nomem(err);
	if (pick(&units, p, CUT_UNIT, err) < 0)
		return -1;
	n = first_runs(&units, max, runs);
	while (n > max)
		join(runs, &n, least_pair(runs, n));
	join_small(runs, &n, min);
	put_runs(&units, runs, n);
	return 0;
}

int cut_join(struct cut_parts *p, size_t max, dray_error **err)
{
	cleanup_pick struct pick old = { 0 };
	cleanup_free struct run *runs = mem_alloc_array(p->n + 1, sizeof(*runs));
	size_t n;

	if (!runs)
		return err_nomem(err);
	if (pick(&old, p, CUT_OLD, err) < 0)
		return -1;
	for (n = 0; n < old.n; n++)
		runs[n] = (struct run){ n, old.list[n]->bytes };
	while (n > max && n > 1)
		join(runs, &n, least_pair(runs, n));
	put_runs(&old, runs, n);
	return 0;
}

/* ---- no more than so much ---- */

#define SUB_BITS 16 /* of a bin: which of the several that it has become */

/* What a bin has taken since it was last cut. */
struct fill {
	int64_t bytes;
	uint32_t sub;
};

static size_t count_bins(const struct cut_parts *p)
{
	size_t n = 0;

	for (size_t i = p->n_rules; i < p->n; i++)
		if (p->list[i].entries > 0 && p->list[i].bin >= n)
			n = p->list[i].bin + 1;
	return n;
}

int cut_limit(struct cut_parts *p, int64_t most, dray_error **err)
{
	size_t n = count_bins(p);
	cleanup_free struct fill *fills = mem_alloc_array(n + 1, sizeof(*fills));

	if (!fills)
		return err_nomem(err);
	memset(fills, 0, (n + 1) * sizeof(*fills));
	for (size_t i = p->n_rules; i < p->n; i++) {
		struct cut_part *part = &p->list[i];
		struct fill *f;

		if (part->entries == 0)
			continue;
		f = &fills[part->bin];
		/* Too many of them are refused later, however many more. */
		if (f->bytes > 0 && f->bytes > most - part->bytes) {
			f->sub += f->sub < (1U << SUB_BITS) - 1;
			f->bytes = 0;
		}
		f->bytes += part->bytes;
		part->bin = part->bin << SUB_BITS | f->sub;
	}
	return 0;
}

/* ---- numbers ---- */

static int by_bin(const void *a, const void *b)
{
	const struct cut_part *x = *(struct cut_part *const *)a, *y = *(struct cut_part *const *)b;

	return (x->bin > y->bin) - (x->bin < y->bin);
}

int cut_number(struct cut_parts *p, size_t *ret, size_t *ret_rest, dray_error **err)
{
	cleanup_free struct cut_part **used = mem_alloc_array(p->n + 1, sizeof(*used));
	size_t n = 0, layer = 0;

	if (!used)
		return err_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].kind == CUT_RULE)
			p->list[i].bin = RULE_BIN + (uint32_t)i;
		if (p->list[i].entries > 0)
			used[n++] = &p->list[i];
	}
	sort(used, n, by_bin);
	*ret_rest = 0;
	for (size_t i = 0; i < n; i++) {
		layer += i > 0 && used[i]->bin != used[i - 1]->bin;
		used[i]->layer = (uint32_t)layer;
		if (used[i]->kind != CUT_RULE)
			*ret_rest = layer + 1;
	}
	*ret = n ? layer + 1 : 0;
	return 0;
}
