/* SPDX-License-Identifier: Apache-2.0
 *
 * For: many small files of an image at once.
 * Relies on: stack.c for layers once more.
 * Promises: each layer is decoded once more at most, and nothing is told before it was proven.
 */
#include "ops/stack_priv.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

static int by_place(const void *a, const void *b)
{
	const struct inode *x = (*(struct stack_file *const *)a)->inode;
	const struct inode *y = (*(struct stack_file *const *)b)->inode;

	if (x->data_layer != y->data_layer)
		return x->data_layer < y->data_layer ? -1 : 1;
	return (x->data->data_off > y->data->data_off) - (x->data->data_off < y->data->data_off);
}

static int read_file(struct source *in, struct stack_file *f, struct arena *a, dray_error **err)
{
	const struct layer_entry *e = f->inode->data;
	int64_t left = e->data_off - in->pos;
	uint8_t *data = arena_alloc(a, (size_t)e->size + 1);

	if (!data)
		return err_nomem(err);
	while (left > 0) {
		int64_t n = source_skip(in, left, err);

		if (n < 0)
			return -1;
		if (n == 0)
			return err_set(err, DRAY_ERR_CORRUPT, "it ends early the second time");
		left -= n;
	}
	if (source_read_exact(in, data, (size_t)e->size, err) < 0)
		return -1;
	f->bytes = (struct room){ data, (size_t)e->size };
	return 0;
}

/* The first @p n of @p list, which lie in one layer, in the order of their places. */
static int read_layer(struct stack *s, struct stack_file **list, size_t n, struct arena *a,
		      dray_error **err)
{
	size_t layer = list[0]->inode->data_layer;
	const struct extent *b = &s->reads[s->which[layer]].bytes;
	cleanup_source struct source *in = NULL;
	struct extent file;

	if (b->fd >= 0)
		in = source_from_extent(b->fd, b->off, s->index[layer]->size, err);
	else
		in = stack_open_tar(s, layer, 0, &file, err);
	for (size_t i = 0; in && i < n; i++) {
		if (i > 0 && by_place(&list[i - 1], &list[i]) == 0)
			list[i]->bytes = list[i - 1]->bytes;
		else if (read_file(in, list[i], a, err) < 0)
			return -1;
	}
	if (!in)
		return -1;
	return b->fd >= 0 ? 0 : source_drain(in, err);
}

int stack_read_files(struct stack *s, struct stack_file *list, size_t n, int64_t max,
		     struct arena *a, dray_error **err)
{
	cleanup_free struct stack_file **order = mem_alloc_array(n + 1, sizeof(*order));
	int64_t left = max;

	if (!order)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		order[i] = &list[i];
		if (list[i].inode->data->size > left)
			return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes of files",
				       (long long)max);
		left -= list[i].inode->data->size;
	}
	qsort(order, n, sizeof(struct stack_file *), by_place);
	for (size_t first = 0, end; first < n; first = end) {
		uint32_t layer = order[first]->inode->data_layer;

		for (end = first + 1; end < n && order[end]->inode->data_layer == layer;)
			end++;
		if (read_layer(s, &order[first], end - first, a, err) < 0)
			return err_ctx(err, "layer %u of %zu", layer + 1, s->n);
	}
	return 0;
}
