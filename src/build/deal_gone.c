/* SPDX-License-Identifier: Apache-2.0
 *
 * deal: what the base has and the image lacks, as whiteouts.
 * Relies on the two trees, finished: the base's and the image's.
 * Promises one whiteout for whatever went with a folder, before what else its folder holds.
 */
#include "build/deal_priv.h"

#include "base/limits.h"

#define GONE_SHOWN 400 /* bytes of what is removed that a plan tells */

static int note_gone(struct dealer *k, const struct node *n, dray_error **err)
{
	struct folder *f;

	if (mem_grow(&k->gone, k->n_gone, &k->cap_gone, sizeof(*k->gone)) < 0)
		return err_nomem(err);
	if (node_path(n->parent, &k->path, err) < 0)
		return -1;
	k->gone[k->n_gone] = (struct gone){
		.node = n, .folder = tree_find(k->in->tree, (const char *)k->path.data)
	};
	f = folder_of(k, k->gone[k->n_gone++].folder);
	if (f->last_gone)
		k->gone[f->last_gone - 1].next = (uint32_t)k->n_gone;
	else
		f->first_gone = (uint32_t)k->n_gone;
	f->last_gone = (uint32_t)k->n_gone;
	return 0;
}

/* Of a folder that is gone nothing more is said; below what is no folder nothing is to be seen. */
static int find_gone(struct dealer *k, dray_error **err)
{
	const struct node *n = k->in->lower ? tree_next(tree_root(k->in->lower)) : NULL;

	while (n) {
		const struct node *now;

		if (node_path(n, &k->path, err) < 0)
			return -1;
		now = tree_find(k->in->tree, (const char *)k->path.data);
		if (!now && note_gone(k, n, err) < 0)
			return -1;
		n = now && node_is_dir(now) && node_is_dir(n) ? tree_next(n) : tree_skip(n);
	}
	return 0;
}

/* "removed /a /b and 3 more" */
static int name_gone(struct dealer *k, const char **ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(3 * LIMIT_PATH);

	if (buf_add_str(&text, "removed", err) < 0)
		return -1;
	for (size_t i = 0; i < k->n_gone; i++) {
		if (text.len > GONE_SHOWN) {
			if (buf_printf(&text, err, " and %zu more", k->n_gone - i) < 0)
				return -1;
			break;
		}
		if (node_path(k->gone[i].node, &k->path, err) < 0 ||
		    buf_add_str(&text, " /", err) < 0 ||
		    buf_add(&text, span_buf(&k->path), err) < 0)
			return -1;
	}
	*ret = arena_strndup(&k->d->arena, (const char *)text.data, text.len);
	return *ret ? 0 : err_nomem(err);
}

int deal_add_gone(struct dealer *k, dray_error **err)
{
	struct deal *d = k->d;
	struct unit u = { .component = "removed",
			  .group = LAYERING_NONE,
			  .source = UINT32_MAX - 1 };

	if (find_gone(k, err) < 0)
		return -1;
	if (k->n_gone == 0)
		return 0;
	u.entries = k->n_gone;
	u.bytes = 512 * (int64_t)k->n_gone;
	if (name_gone(k, &u.name, err) < 0)
		return -1;
	if (mem_grow(&d->units, d->n_units, &d->cap_units, sizeof(*d->units)) < 0)
		return err_nomem(err);
	k->gone_unit = (uint32_t)d->n_units;
	d->units[d->n_units++] = u;
	return 0;
}

int deal_add_whiteouts(struct dealer *k, const struct node *folder, dray_error **err)
{
	uint32_t first = folder_of(k, folder)->first_gone;
	struct deal_layer *l;

	if (!first || k->d->plan.layer_of[k->gone_unit] == LAYERING_NONE)
		return 0;
	l = &k->d->layers[k->d->plan.layer_of[k->gone_unit]];
	for (uint32_t i = first; i; i = k->gone[i - 1].next) {
		if (mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
			return err_nomem(err);
		l->list[l->n++] = (struct dealt){ k->gone[i - 1].node, true };
	}
	return 0;
}
