/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers of a build as tars.
 * Relies on build/deal for what is in them, on build/inputs for the bytes of their files.
 * Promises that each has a reader of its own: several may be read side by side.
 */
#include "ops/build.h"

#include "base/mem.h"
#include "flow/pool.h"
#include "ops/remake.h"

struct layer_maker {
	struct record_list list;
	struct inputs_reader reader;
	struct remake_layer *layer;
	struct digest diff_id;
	bool remember;		  /* read back what passes */
	struct layer_index *made; /* the same, when it did; NULL */
};

void build_clear_layers(struct build *b)
{
	for (size_t i = 0; b->makers && i < b->deal.n; i++) {
		inputs_reader_clear(&b->makers[i].reader);
		layer_index_free(b->makers[i].made);
	}
}

static struct source *open_layer(void *arg, int64_t *ret_size, dray_error **err)
{
	struct layer_maker *m = arg;
	const struct layer_feed feed = inputs_reader_feed(&m->reader);

	if (layer_tar_size(&m->list, ret_size, err) < 0)
		return NULL;
	return layer_tar_source(&m->list, &feed, err);
}

int build_open_layers(struct build *b, struct remake_layer *ret, dray_error **err)
{
	size_t n = b->deal.n;

	b->makers = arena_array(&b->arena, n + 1, sizeof(*b->makers));
	if (!b->makers)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct layer_maker *m = &b->makers[i];

		*m = (struct layer_maker){ .list = deal_records(&b->deal.layers[i]),
					   .reader = INPUTS_READER_INIT(&b->in),
					   .remember = b->cache.dir != NULL,
					   .layer = &ret[i] };
		ret[i] = (struct remake_layer){
			.stack = b->base, .keep = -1, .open = open_layer, .arg = m, .beside = true
		};
	}
	return 0;
}

/* ---- ahead ---- */

static int read_back(void *arg, struct source *copy, dray_error **err)
{
	struct layer_maker *m = arg;
	const struct layer_index_options o = { .contents = true };

	return layer_index_read(copy, &o, &m->made, err);
}

const struct layer_index *build_layer_read(const struct build *b, size_t i)
{
	return b->makers[i].made;
}

static int find_diff_id(void *arg, size_t i, dray_error **err)
{
	struct layer_maker *m = &((struct build *)arg)->makers[i];
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *tar = NULL;
	int64_t size;

	if (m->layer->diff_id || m->layer->known)
		return 0;
	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	tar = source_hash(open_layer(m, &size, err), &h, err);
	if (m->remember)
		tar = source_branch(steal_pointer(&tar), read_back, m, err);
	if (!tar || source_drain(tar, err) < 0 || hash_finish(&h, &m->diff_id, err) < 0)
		return -1;
	inputs_reader_clear(&m->reader);
	m->layer->diff_id = &m->diff_id;
	return 0;
}

int build_foretell(struct build *b, dray_error **err)
{
	return run_parallel(b->ctx->jobs, b->deal.n, find_diff_id, b, err);
}
