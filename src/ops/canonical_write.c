/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the bytes of a canonical archive, front to back or all layers at once.
 * Relies on: store/canonical.h for places and documents, canonical_layer.c for proven bytes.
 * Promises: the same bytes either way; a size that was only guessed is corrected or the run fails.
 */
#include "base/io.h"
#include "base/mem.h"
#include "ops/canonical_priv.h"
#include "tar/tar.h"

static const uint8_t zeros[CANONICAL_END];

static int about(const struct canonical_layer *l, dray_error **err)
{
	return err_ctx(err, "%s: layer %zu of %zu", l->image->where, l->at + 1, l->image->n_layers);
}

/* ---- front to back ---- */

static int stream_layer(struct canonical_run *r, const struct canonical_layer *l, struct sink *k,
			dray_error **err)
{
	const struct held *h = &r->held[l->number];
	struct canonical_meter m;
	int rc;

	if (h->here)
		return sink_splice(k, h->fd, h->off, h->size, err);
	canonical_meter_begin(&m, r, l);
	cleanup_source struct source *s = canonical_open_layer(r, l, &m, err);

	rc = s && pump(s, k, err) >= 0 ? 0 : -1;
	canonical_meter_end(&m, rc < 0);
	return rc < 0 ? about(l, err) : 0;
}

static int stream_member(struct canonical_run *r, const struct canonical_member *m, struct sink *k,
			 dray_error **err)
{
	if (sink_write(k, m->head, err) < 0)
		return -1;
	if ((m->layer ? stream_layer(r, m->layer, k, err) : sink_write(k, m->bytes, err)) < 0)
		return -1;
	return sink_write(k, span_of(zeros, tar_padding(m->size)), err);
}

int canonical_write_stream(struct canonical_run *r, struct sink *k, dray_error **err)
{
	canonical_layout_clear(&r->layout);
	if (canonical_size_layers(r, false, err) < 0 ||
	    canonical_lay_out(&r->set, &r->layout, err) < 0)
		return -1;
	for (size_t i = 0; i < r->layout.n_members; i++)
		if (stream_member(r, &r->layout.members[i], k, err) < 0)
			return -1;
	return sink_write(k, span_of(zeros, CANONICAL_END), err);
}

/* ---- all layers at once ---- */

struct placing {
	struct canonical_run *r;
	int fd;
};

/* 1 = there, 0 = more or fewer bytes than was guessed, -1. */
static int place_bytes(struct placing *p, const struct canonical_layer *l,
		       struct canonical_meter *m, dray_error **err)
{
	bool hinted = p->r->held[l->number].hinted;
	cleanup_source struct source *s = canonical_open_layer(p->r, l, m, err);
	cleanup_sink struct sink *k = s ? sink_to_extent(p->fd, l->off, l->size, err) : NULL;
	cleanup_error dray_error *e = NULL;

	if (!k)
		return -1;
	k->lasting = true;
	if (pump(s, k, &e) >= 0)
		return !hinted || k->pos == l->size;
	if (hinted && k->failed && dray_error_kind(e) == DRAY_ERR_LIMIT)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int place_layer(void *arg, size_t index, dray_error **err)
{
	struct placing *p = arg;
	struct canonical_layer *l = p->r->set.layers[index];
	struct canonical_meter m;
	int rc;

	if (l->off < 0)
		return 0; /* a document holds the same bytes */
	canonical_meter_begin(&m, p->r, l);
	rc = place_bytes(p, l, &m, err);
	canonical_meter_end(&m, rc < 0);
	if (rc < 0)
		return about(l, err);
	if (rc == 0)
		l->size = -1;
	return 0;
}

static int place_around(const struct placing *p, const struct canonical_member *m, dray_error **err)
{
	int64_t data = m->off + (int64_t)m->head.len;

	if (io_pwrite_all(p->fd, m->head, m->off, err) < 0 ||
	    (!m->layer && io_pwrite_all(p->fd, m->bytes, data, err) < 0))
		return -1;
	return io_pwrite_all(p->fd, span_of(zeros, tar_padding(m->size)), data + m->size, err);
}

/* Everything but the layers, and the file's length. */
static int place_frame(const struct placing *p, dray_error **err)
{
	const struct canonical_layout *l = &p->r->layout;

	for (size_t i = 0; i < l->n_members; i++)
		if (place_around(p, &l->members[i], err) < 0)
			return -1;
	if (io_pwrite_all(p->fd, span_of(zeros, CANONICAL_END), l->size - CANONICAL_END, err) < 0)
		return -1;
	return io_ftruncate(p->fd, l->size, err);
}

/* Layers whose guess was wrong have no size any more; the other guesses are true now. */
static bool guessed_right(struct canonical_run *r)
{
	bool right = true;

	for (size_t i = 0; i < r->set.n_layers; i++) {
		r->held[i].hinted = false;
		right = right && r->set.layers[i]->size >= 0;
	}
	return right;
}

static int place_all(struct placing *p, dray_error **err)
{
	struct canonical_run *r = p->r;

	canonical_layout_clear(&r->layout);
	if (canonical_lay_out(&r->set, &r->layout, err) < 0)
		return -1;
	return run_parallel(r->ctx->jobs, r->set.n_layers, place_layer, p, err);
}

int canonical_write_file(struct canonical_run *r, int fd, dray_error **err)
{
	struct placing p = { .r = r, .fd = fd };

	if (canonical_size_layers(r, true, err) < 0 || place_all(&p, err) < 0)
		return -1;
	/* A wrong guess moves all that lies behind it: once more, with sizes that are known. */
	if (!guessed_right(r) &&
	    (canonical_size_layers(r, false, err) < 0 || place_all(&p, err) < 0))
		return -1;
	return place_frame(&p, err);
}
