/* SPDX-License-Identifier: Apache-2.0
 *
 * For: where a layer's uncompressed bytes come from, and how many there are.
 * Relies on: stores for stored bytes, flow/ stages for the checks.
 * Promises: no end is seen before blob digest and DiffID have been compared.
 */
#include "base/mem.h"
#include "ops/canonical_priv.h"

#define DECODE_AHEAD (1024 * 1024) /* bytes, when a layer has cores to spare */

/* ---- progress ---- */

static void tell(const struct canonical_meter *m, enum dray_progress_state state)
{
	context_progress(m->ctx, &(struct dray_progress){ .state = state,
							  .id = m->id,
							  .label = m->label,
							  .done = m->done,
							  .total = m->total });
}

static void see(void *arg, struct span bytes)
{
	struct canonical_meter *m = arg;

	m->done += (int64_t)bytes.len;
	tell(m, DRAY_PROGRESS_BYTES);
}

void canonical_meter_begin(struct canonical_meter *m, struct canonical_run *r,
			   const struct canonical_layer *l)
{
	*m = (struct canonical_meter){ .ctx = r->ctx,
				       .id = context_progress_id(r->ctx),
				       .total = r->held[l->number].here
							? l->size
							: l->image->layers[l->at].blob.size };
	snprintf(m->label, sizeof(m->label), "layer %zu of %zu %.19s", l->number + 1,
		 r->set.n_layers, l->diff_id.text);
	tell(m, DRAY_PROGRESS_BEGIN);
}

void canonical_meter_end(struct canonical_meter *m, bool failed)
{
	tell(m, failed ? DRAY_PROGRESS_FAILED : DRAY_PROGRESS_DONE);
}

/* ---- opening ---- */

static const struct layer *stored(const struct canonical_layer *l)
{
	return &l->image->layers[l->at];
}

/* Bytes of which the DiffID says all: an uncompressed layer is its own blob. */
static bool known_plain(const struct layer *l)
{
	return l->has_compression && l->compression == COMPRESSION_NONE;
}

static struct source *open_stored(const struct canonical_layer *l, struct canonical_meter *m,
				  dray_error **err)
{
	const struct layer *from = stored(l);
	struct source *s = store_open_layer(l->store, l->image, l->at, err);

	if (!s)
		place_absent(l->store, err);
	s = source_watch(s, (struct tap){ see, m }, err);
	if (digest_set(&from->blob.digest) &&
	    !(known_plain(from) && digest_eq(&from->blob.digest, &l->diff_id)))
		s = source_verified(s, &from->blob.digest, from->blob.size, "blob digest", err);
	return s;
}

struct source *canonical_open_layer(struct canonical_run *r, const struct canonical_layer *l,
				    struct canonical_meter *m, dray_error **err)
{
	const struct held *h = &r->held[l->number];
	struct source *s;

	if (h->here) /* proven when it came here */
		return source_watch(source_from_extent(h->fd, h->off, h->size, err),
				    (struct tap){ see, m }, err);
	s = open_stored(l, m, err);
	if (!known_plain(stored(l))) {
		s = source_decode_auto(s, NULL, err);
		if (s && r->set.n_layers < (size_t)r->ctx->threads)
			s = source_readahead(s, DECODE_AHEAD, err);
	}
	return source_verified(s, &l->diff_id, h->hinted ? -1 : l->size, "DiffID", err);
}

/* ---- sizes ---- */

/* A layer that was read already: what was seen of it is held against what documents say. */
static int take_passed(struct canonical_run *r, struct canonical_layer *l, dray_error **err)
{
	const struct layer *from = stored(l);
	const struct held *h = map_get(&r->passed, span_str(l->diff_id.text));

	if (digest_set(&from->blob.digest) &&
	    digest_expect(&from->blob.digest, &from->facts->blob_digest, "blob digest", err) < 0)
		return -1;
	if (!digest_set(&from->facts->diff_id))
		return err_set(err, DRAY_ERR_FORMAT, "it does not decode");
	if (digest_expect(&l->diff_id, &from->facts->diff_id, "DiffID", err) < 0)
		return -1;
	if (!h)
		return 0; /* so small that it was kept with the documents: it can be opened */
	r->held[l->number] = *h;
	l->size = h->size;
	return 0;
}

static int hint(struct canonical_run *r, struct canonical_layer *l, dray_error **err)
{
	const struct layer *from = stored(l);
	cleanup_source struct source *s = NULL;

	/* Sniffed means that the bytes lie in a file: reading a little here and there is cheap. */
	if (!from->has_compression || from->compression != COMPRESSION_GZIP)
		return 0;
	s = store_open_layer(l->store, l->image, l->at, err);
	if (!s)
		return place_absent(l->store, err);
	if (gzip_size_hint(s, from->blob.size, &l->size, err) < 0)
		return -1;
	r->held[l->number].hinted = l->size >= 0;
	return 0;
}

static int size_of(struct canonical_run *r, struct canonical_layer *l, bool guess, dray_error **err)
{
	const struct layer *from = stored(l);

	if (from->missing && from->trouble)
		return err_set(err, DRAY_ERR_FORMAT, "%s", from->trouble);
	if (l->store->forward_only && from->facts && take_passed(r, l, err) < 0)
		return -1;
	if (l->size >= 0)
		return 0;
	if (known_plain(from) && from->blob.size >= 0) {
		l->size = from->blob.size;
		return 0;
	}
	return guess ? hint(r, l, err) : 0;
}

static int spool_one(void *arg, size_t index, dray_error **err)
{
	struct canonical_run *r = arg;
	struct canonical_layer *l = r->set.layers[index];

	if (l->size >= 0)
		return 0;
	if (canonical_spool_layer(r, l, err) == 0)
		return 0;
	return err_ctx(err, "%s: layer %zu of %zu", l->image->where, l->at + 1, l->image->n_layers);
}

int canonical_size_layers(struct canonical_run *r, bool guess, dray_error **err)
{
	for (size_t i = 0; i < r->set.n_layers; i++) {
		struct canonical_layer *l = r->set.layers[i];

		if (size_of(r, l, guess, err) < 0)
			return err_ctx(err, "%s: layer %zu of %zu", l->image->where, l->at + 1,
				       l->image->n_layers);
	}
	return run_parallel(r->ctx->jobs, r->set.n_layers, spool_one, r, err);
}
