/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what later layers hide of earlier ones, of an image that a server has.
 * Relies on layer/ for what layers mean, on efficiency.c to count.
 * Promises: it ends after LOOK_BYTES, LOOK_ENTRIES, LOOK_TEXT or LOOK_MS, whatever the layers are,
 * and soon after it is told to.
 */
#include "ops/serve_look.h"

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "ops/efficiency.h"

/* ---- what it may cost ---- */

struct allowance {
	int64_t stored, bytes; /* as they lie there, and uncompressed */
	size_t entries, text;
	int64_t until_ms;
	const atomic_bool *stop;
};

/*
 * Lends what it reads, for as long as the allowance lasts. Before a decoder and behind it: much
 * comes of few bytes, and of some streams nothing at all.
 */
struct gate {
	struct source base;
	struct source *in;
	const struct allowance *left;
	int64_t *bytes; /* that go by here, of it */
};

static int gate_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct gate *g = (struct gate *)s;

	if (atomic_load(g->left->stop))
		return err_set(err, DRAY_ERR_CANCELLED, "the server stops");
	if (*g->bytes <= 0 || io_now_ms() > g->left->until_ms)
		return err_set(err, DRAY_ERR_LIMIT, "more than what a look may cost");
	if (source_peek(g->in, min, ret, err) < 0)
		return -1;
	*ret = span_head(*ret, SOURCE_PEEK_MAX);
	return 0;
}

static void gate_consume(struct source *s, size_t n)
{
	struct gate *g = (struct gate *)s;

	*g->bytes -= (int64_t)n;
	source_consume(g->in, n);
}

static void gate_free(struct source *s)
{
	source_free(((struct gate *)s)->in);
	mem_free(s);
}

static const struct source_ops gate_ops = {
	.peek = gate_peek,
	.consume = gate_consume,
	.free = gate_free,
};

/* Consumes @p in. */
static struct source *gated(struct source *in, const struct allowance *left, int64_t *bytes,
			    dray_error **err)
{
	struct gate *g = in ? mem_zalloc(sizeof(*g)) : NULL;

	if (g) {
		*g = (struct gate){ { .ops = &gate_ops }, in, left, bytes };
		return &g->base;
	}
	if (in)
		err_nomem(err);
	source_free(in);
	return NULL;
}

/* ---- the layers ---- */

struct looking {
	struct looker *k;
	const char *repo;
	const struct manifest *m;
	struct allowance left;
	struct layer_index **layers;
	struct arena arena;
};

static void looking_clear(struct looking *l)
{
	for (size_t i = 0; l->layers && i < l->m->n_entries; i++)
		layer_index_free(l->layers[i]);
	arena_clear(&l->arena);
}
#define cleanup_looking CLEANUP(looking_clear)

/* Consumes @p stored. */
static struct source *proven(struct source *stored, const struct descriptor *d, dray_error **err)
{
	return source_verified(stored, &d->digest, d->size, "blob digest", err);
}

/* Where the shelf would decode it we do so, on this side of the gate; the blob is what comes of it. */
static int read_tar(struct looking *l, struct source *stored, bool packed,
		    const struct descriptor *d, struct layer_index **ret, dray_error **err)
{
	const struct layer_index_options o = { .max_entries = l->left.entries,
					       .max_text = l->left.text };
	cleanup_source struct source *in = packed ? stored : proven(stored, d, err);

	in = gated(in, &l->left, &l->left.stored, err);
	in = source_decode_auto(in, NULL, err);
	in = packed ? proven(in, d, err) : in;
	in = gated(in, &l->left, &l->left.bytes, err);
	if (!in || layer_index_read(in, &o, ret, err) < 0)
		return -1;
	l->left.entries -= (*ret)->n;
	l->left.text -= (*ret)->text;
	if (l->left.entries > 0 && l->left.text > 0)
		return 0;
	return err_set(err, DRAY_ERR_LIMIT, "more than what a look may cost");
}

static int read_layer(struct looking *l, size_t i, dray_error **err)
{
	const struct descriptor *d = &l->m->entries[i];
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	struct shelf *s = l->k->shelf;
	struct source *stored;
	bool packed;

	if (s->ops->blob(s, l->repo, &d->digest, true, &b, err) < 0)
		return -1;
	packed = b.packed;
	b.packed = false;
	stored = shelf_blob_open(&b, err);
	if (!stored || read_tar(l, stored, packed, d, &l->layers[i], err) < 0)
		return err_ctx(err, "layer %zu", i + 1);
	return 0;
}

static int count(struct looking *l, struct serve_layer *ret, dray_error **err)
{
	const struct layer_index *const *layers = (const struct layer_index *const *)l->layers;
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);
	struct dray_efficiency e;

	for (size_t i = 0; t && i < l->m->n_entries; i++)
		if (tree_apply(t, l->layers[i], err) < 0)
			return -1;
	if (!t)
		return -1;
	tree_finish(t);
	if (efficiency_count(layers, l->m->n_entries, t, &l->arena, &e, err) < 0)
		return -1;
	for (size_t i = 0; i < l->m->n_entries; i++)
		ret[i] = (struct serve_layer){ l->layers[i]->size, e.layers[i].file_bytes,
					       e.layers[i].wasted_bytes };
	return 0;
}

static int look(struct looking *l, struct serve_layer *ret, dray_error **err)
{
	l->layers = arena_array(&l->arena, l->m->n_entries + 1, sizeof(struct layer_index *));
	if (!l->layers)
		return err_nomem(err);
	for (size_t i = 0; i < l->m->n_entries; i++)
		if (read_layer(l, i, err) < 0)
			return -1;
	return count(l, ret, err);
}

/* What is not told to whoever asked is for the log. */
static int tell(const struct looking *l, dray_error *why, dray_error **err)
{
	bool nomem = dray_error_kind(why) == DRAY_ERR_NOMEM;

	if (dray_error_kind(why) == DRAY_ERR_LIMIT)
		shelf_refuse(err, SHELF_SIZE_INVALID,
			     "a server looks into layers of up to 1 GiB and 200,000 files "
			     "with 64 MiB of names together, for up to 20 s");
	else if (dray_error_http_status(why) > 0)
		shelf_refuse(err, SHELF_BLOB_UNKNOWN, "not all of the layers are here");
	if (!nomem && !*err)
		context_log(l->k->ctx, DRAY_LOG_WARNING, "%s: %s", l->repo,
			    dray_error_message(why));
	if (!*err) {
		*err = why;
		return -1;
	}
	dray_error_free(why);
	return -1;
}

int looker_look(struct looker *k, const char *repo, const struct manifest *m,
		struct serve_layer *ret, dray_error **err)
{
	cleanup_looking struct looking l = { .k = k, .repo = repo, .m = m };
	dray_error *why = NULL;
	int rc;

	if (atomic_exchange(&k->busy, true))
		return shelf_refuse(err, SHELF_TOOMANYREQUESTS,
				    "the layers of another image are being read, try again");
	l.left = (struct allowance){
		LOOK_BYTES, LOOK_BYTES, LOOK_ENTRIES, LOOK_TEXT, io_now_ms() + LOOK_MS, &k->stop
	};
	rc = look(&l, ret, &why);
	atomic_store(&k->busy, false);
	return rc < 0 ? tell(&l, why, err) : 0;
}
