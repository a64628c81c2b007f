/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that differ in case alone, folder by folder.
 * Relies on a finished tree, whose names are sorted by their bytes.
 * Promises the same pair whatever the order of sources.
 */
#include "build/case_twins.h"

#include "base/mem.h"
#include "base/text.h"

struct siblings {
	const struct node **list;
	size_t n, cap;
};

static int fold_compare(const char *a, const char *b)
{
	while (*a && ascii_lower(*a) == ascii_lower(*b)) {
		a++;
		b++;
	}
	return (uint8_t)ascii_lower(*a) - (uint8_t)ascii_lower(*b);
}

/* Twins keep the order that their bytes give them. */
static int by_folded(const void *a, const void *b)
{
	const char *x = (*(const struct node *const *)a)->name;
	const char *y = (*(const struct node *const *)b)->name;
	int folded = fold_compare(x, y);

	return folded ? folded : strcmp(x, y);
}

static int list_children(struct siblings *s, const struct node *dir, dray_error **err)
{
	s->n = 0;
	for (const struct node *n = dir->child; n; n = n->next) {
		if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
			return err_nomem(err);
		s->list[s->n++] = n;
	}
	if (s->n > 1)
		qsort(s->list, s->n, sizeof(*s->list), by_folded);
	return 0;
}

static void count_twins(const struct siblings *s, uint32_t from, struct case_twins *ret)
{
	for (size_t i = 1; i < s->n; i++) {
		const struct node *a = s->list[i - 1], *b = s->list[i];

		if ((a->layer < from && b->layer < from) || fold_compare(a->name, b->name) != 0)
			continue;
		if (ret->n++ > 0)
			continue;
		ret->a = a;
		ret->b = b;
	}
}

int case_twins_find(const struct tree *t, uint32_t from, struct case_twins *ret, dray_error **err)
{
	struct siblings s = { 0 };
	int rc = 0;

	*ret = (struct case_twins){ 0 };
	for (const struct node *n = tree_root(t); rc == 0 && n; n = tree_next(n)) {
		if (!n->child)
			continue;
		rc = list_children(&s, n, err);
		if (rc == 0)
			count_twins(&s, from, ret);
	}
	mem_free(s.list);
	return rc;
}
