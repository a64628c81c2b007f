/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layers of a plan an earlier image does not have, so that they would be sent.
 * Relies on layer/write for the bytes that the layers will have.
 * Promises what is true of the bytes: layers are made and hashed, and kept nowhere.
 */
#include "ops/split.h"

static int hash_layer(struct dray_split_plan *p, const struct cut_layer *layer, struct digest *ret,
		      dray_error **err)
{
	const struct record_list l = cut_records(layer);
	const struct layer_feed feed = stack_feed(p->stack);
	cleanup_source struct source *tar = NULL;
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0 || stack_prepare(p->stack, &l, err) < 0)
		return -1;
	tar = source_hash(layer_tar_source(&l, &feed, err), &h, err);
	if (!tar || source_drain(tar, err) < 0 || stack_feed_finish(p->stack, err) < 0)
		return -1;
	return hash_finish(&h, ret, err);
}

static bool has_layer(const struct dray_split_plan *p, const struct digest *d)
{
	for (size_t i = 0; i < p->n_previous; i++)
		if (digest_eq(&p->previous[i], d))
			return true;
	return false;
}

int split_keep_ids(struct dray_split_plan *p, const struct image *previous, dray_error **err)
{
	struct digest *ids = arena_array(&p->arena, previous->n_layers + 1, sizeof(*ids));

	if (!ids)
		return err_nomem(err);
	for (size_t i = 0; i < previous->n_layers; i++)
		if (digest_set(&previous->layers[i].diff_id))
			ids[p->n_previous++] = previous->layers[i].diff_id;
	p->previous = ids;
	return 0;
}

int split_compare(struct dray_split_plan *p, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		struct digest d = p->stack->im->layers[i < p->kept ? i : 0].diff_id;

		if (i >= p->kept && hash_layer(p, &p->cut.list[i - p->kept], &d, err) < 0)
			return -1;
		p->layers[i].resent = !has_layer(p, &d);
	}
	return 0;
}
