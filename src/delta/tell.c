/* SPDX-License-Identifier: Apache-2.0 */
/* For: telling the next bytes of a layer: as old ones, beside old ones, or alone.
 * Relies on: runs.h for what two files have in common, block.h to compress and write.
 * Promises: each call tells its bytes once and moves on; memory of three windows.
 */
#include "delta/tell.h"

#include "base/mem.h"

#define UNIT 4		     /* bytes that are replaced together */
#define EQUAL_LEAST 16	     /* bytes between two replaced runs, else they are one */
#define CHANGED_MOST 8	     /* one part in so many: more are compressed beside the old */
#define OPS_ENOUGH (1 * MIB) /* operations of a block after which it is cut */
#define GAP_BESIDE 32	     /* bytes between two runs: fewer are compressed alone */
#define NOT_IN_RUNS 8	     /* one part in so many, at most, or all is left to the compressor */

int tell_read_new(struct writer *w, int64_t off, void *data, size_t len, dray_error **err)
{
	if (recipe_read_exact(w->tar->read, w->tar->arg, 0, off, data, len, err) < 0)
		return err_ctx(err, "the new layer");
	return 0;
}

static int read_old(struct writer *w, const struct place *p, void *data, dray_error **err)
{
	const struct digest *d = &w->bases->list[p->base].diff_id;

	if (recipe_read_exact(w->bases->read, w->bases->arg, p->base, p->off, data, (size_t)p->len,
			      err) < 0)
		return err_ctx(err, "base layer %s", digest_set(d) ? d->text : "without a DiffID");
	return 0;
}

/* ---- telling ---- */

/* The next @p p->len bytes are those of @p p. */
int tell_copy(struct writer *w, const struct place *p, dray_error **err)
{
	struct block *b = queue_now(w->queue);

	if (p->len == 0)
		return 0;
	if (b->ops.len > OPS_ENOUGH) {
		if (queue_cut(w->queue, err) < 0)
			return -1;
		b = queue_now(w->queue);
	}
	w->at += p->len;
	w->stats.referenced += p->len;
	return block_copy(b, p->base, p->off, p->len, err);
}

/* A block that has room for so much, of this kind. */
static int make_room(struct writer *w, size_t data, int64_t prefix, bool dense, dray_error **err)
{
	struct block *b = queue_now(w->queue);
	size_t window = w->options.window;

	if (data > window - b->data_len ||
	    (size_t)prefix > RECIPE_PREFIX_WINDOWS * window - b->prefix_len ||
	    (b->data_len > 0 && b->dense != dense) || b->ops.len > OPS_ENOUGH)
		if (queue_cut(w->queue, err) < 0)
			return -1;
	queue_now(w->queue)->dense = dense;
	return 0;
}

/* As much as may stand beside @p n bytes. */
static int64_t prefix_most(const struct writer *w, size_t n)
{
	return least(RECIPE_PREFIX_WINDOWS * (int64_t)w->options.window,
		     RECIPE_PREFIX_PER_BYTE * (int64_t)n);
}

/* The next @p n bytes, at most a window, compressed beside @p like or its beginning. */
static int tell_piece(struct writer *w, size_t n, const struct place *like, bool dense,
		      dray_error **err)
{
	const struct place beginning = { like->base, like->off,
					 least(like->len, prefix_most(w, n)) };
	const struct place *p = &beginning;
	struct block *b;

	if (make_room(w, n, p->len, dense, err) < 0)
		return -1;
	b = queue_now(w->queue);
	if (p->len > 0) {
		if (read_old(w, p, b->prefix + b->prefix_len, err) < 0 ||
		    block_ref(b, p->base, p->off, p->len, err) < 0)
			return -1;
		b->prefix_len += (size_t)p->len;
	}
	if (tell_read_new(w, w->at, b->data + b->data_len, n, err) < 0)
		return -1;
	b->data_len += n;
	w->at += (int64_t)n;
	if (p->len > 0)
		w->stats.patched += (int64_t)n;
	else
		w->stats.literal += (int64_t)n;
	return block_take(b, n, err);
}

/* The next @p n bytes, of any number, which are like nothing we know. */
int tell_new(struct writer *w, int64_t n, bool dense, dray_error **err)
{
	const struct place nowhere = { 0 };

	for (int64_t done = 0; done < n;) {
		size_t piece = (size_t)least(n - done, (int64_t)w->options.window);

		if (tell_piece(w, piece, &nowhere, dense, err) < 0)
			return -1;
		done += (int64_t)piece;
	}
	return 0;
}

/* ---- a file and the old one ---- */

/* What lies between two runs, in both. */
struct gap {
	size_t at, len, old, old_len;
};

static struct gap gap_before(const struct run *last, const struct run *next)
{
	struct gap g = { .at = last->at + last->len, .old = last->old + last->len };

	g.len = next->at - g.at;
	/* Something was moved: what is behind the last run is as good a guess as any. */
	g.old_len = next->old >= g.old ? next->old - g.old : g.len;
	if (g.old_len > RECIPE_PREFIX_PER_BYTE * g.len)
		g.old_len = RECIPE_PREFIX_PER_BYTE * g.len;
	return g;
}

static int tell_gap(struct writer *w, const struct place *p, const struct gap *g, bool dense,
		    dray_error **err)
{
	size_t old = g->len >= GAP_BESIDE ? g->old_len : 0;
	struct block *b;

	if (g->len == 0)
		return 0;
	if (old > (size_t)p->len - g->old)
		old = (size_t)p->len - g->old;
	if (make_room(w, g->len, (int64_t)old, dense && g->len >= DENSE_FROM, err) < 0)
		return -1;
	b = queue_now(w->queue);
	memcpy(b->prefix + b->prefix_len, w->old_piece + g->old, old);
	memcpy(b->data + b->data_len, w->new_piece + g->at, g->len);
	if (old > 0 && block_ref(b, p->base, p->off + (int64_t)g->old, (int64_t)old, err) < 0)
		return -1;
	b->prefix_len += old;
	b->data_len += g->len;
	w->at += (int64_t)g->len;
	w->stats.patched += (int64_t)g->len;
	return block_take(b, g->len, err);
}

static int tell_runs(struct writer *w, size_t n, const struct place *p, bool dense,
		     dray_error **err)
{
	const struct run end = { .at = n, .old = (size_t)p->len };
	struct run last = { 0 };

	for (size_t i = 0; i <= w->runs.n; i++) {
		const struct run *next = i < w->runs.n ? &w->runs.list[i] : &end;
		struct gap gap = gap_before(&last, next);
		struct place same = { p->base, p->off + (int64_t)next->old, (int64_t)next->len };

		if (tell_gap(w, p, &gap, dense, err) < 0 || tell_copy(w, &same, err) < 0)
			return -1;
		last = *next;
	}
	return 0;
}

static int take_pieces(struct writer *w, dray_error **err)
{
	size_t window = w->options.window;

	if (!w->new_piece)
		w->new_piece = mem_alloc(window);
	if (!w->old_piece)
		w->old_piece = mem_alloc(RECIPE_PREFIX_WINDOWS * window);
	return w->new_piece && w->old_piece ? 0 : err_nomem(err);
}

static size_t in_runs(const struct runs *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->list[i].len;
	return n;
}

/*
 * What of the old file @p p stands beside the next @p n bytes of a new one: as much as may be, and
 * around @p ahead, where they are likely to be.
 */
static struct place beside(const struct writer *w, const struct place *p, int64_t ahead, size_t n)
{
	int64_t len = least(p->len, prefix_most(w, n));
	int64_t from = ahead - (len - (int64_t)n) / 2;

	if (from > p->len - len)
		from = p->len - len;
	if (from < 0)
		from = 0;
	return (struct place){ p->base, p->off + from, len };
}

/*
 * Where in the old file that follows which has @p n bytes of the new one told beside @p part: right
 * behind the last run, or as much further as it is in the new one.
 */
static int64_t go_on(const struct writer *w, const struct place *p, const struct place *part,
		     size_t n, int64_t ahead, int64_t left)
{
	const struct runs *r = &w->runs;

	if (r->n > 0) {
		const struct run *last = &r->list[r->n - 1];

		return part->off - p->off + (int64_t)(last->old + n - last->at);
	}
	if (ahead >= p->len)
		return p->len;
	return ahead + (int64_t)((double)n * (double)(p->len - ahead) / (double)left);
}

/* The next @p n bytes, at most a window, which are a part of a file, and @p p is of the old one. */
static int tell_part(struct writer *w, size_t n, const struct place *p, bool dense,
		     dray_error **err)
{
	struct span new = { w->new_piece, n }, old = { w->old_piece, (size_t)p->len };

	if (tell_read_new(w, w->at, w->new_piece, n, err) < 0 ||
	    read_old(w, p, w->old_piece, err) < 0 || runs_find(&w->runs, old, new, err) < 0)
		return -1;
	if (in_runs(&w->runs) < n - n / NOT_IN_RUNS)
		return tell_piece(w, n, p, dense, err);
	return tell_runs(w, n, p, dense, err);
}

/* The next @p n bytes are a file, made of the one at @p p. */
int tell_file(struct writer *w, int64_t n, const struct place *p, bool dense, dray_error **err)
{
	if (take_pieces(w, err) < 0)
		return -1;
	for (int64_t left = n, ahead = 0; left > 0;) {
		size_t piece = (size_t)least(left, (int64_t)w->options.window);
		struct place part = beside(w, p, ahead, piece);

		if (tell_part(w, piece, &part, dense, err) < 0)
			return -1;
		ahead = go_on(w, p, &part, piece, ahead, left);
		left -= (int64_t)piece;
	}
	return 0;
}

/* ---- few bytes ---- */

/* The next @p n bytes, which are in memory, few, and no more than a block has room for. */
static int tell_bytes(struct writer *w, const uint8_t *bytes, size_t n, dray_error **err)
{
	struct block *b;

	if (make_room(w, n, 0, false, err) < 0)
		return -1;
	b = queue_now(w->queue);
	memcpy(b->data + b->data_len, bytes, n);
	b->data_len += n;
	w->at += (int64_t)n;
	w->stats.patched += (int64_t)n;
	return block_take(b, n, err);
}

static bool unit_same(const struct writer *w, size_t at)
{
	return memcmp(w->fresh + at, w->old + at, UNIT) == 0;
}

/* Where the run of equal or of different units at @p at ends; short equal ones do not count. */
static size_t run_end(const struct writer *w, size_t at, size_t n)
{
	bool same = unit_same(w, at);
	size_t end = at, equal = 0;

	for (; end < n && (same ? unit_same(w, end) : equal < EQUAL_LEAST); end += UNIT)
		equal = unit_same(w, end) ? equal + UNIT : 0;
	return same || equal < EQUAL_LEAST ? end : end - equal;
}

static size_t count_changed(const struct writer *w, size_t n)
{
	size_t changed = 0;

	for (size_t at = 0; at < n; at += UNIT)
		changed += unit_same(w, at) ? 0 : UNIT;
	return changed;
}

/* The next @p p->len bytes are those of @p p with some replaced: fresh and old are in memory. */
static int tell_replaced(struct writer *w, const struct place *p, dray_error **err)
{
	size_t n = (size_t)p->len;

	for (size_t at = 0, end; at < n; at = end) {
		const struct place same = { p->base, p->off + (int64_t)at,
					    (int64_t)((end = run_end(w, at, n)) - at) };

		if (unit_same(w, at) ? tell_copy(w, &same, err) < 0
				     : tell_bytes(w, w->fresh + at, end - at, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * The next @p n bytes, few: as those at @p p where they are the same. In most headers that changed
 * only a time did, and the checksum beside it.
 */
int tell_small(struct writer *w, int64_t n, const struct place *p, dray_error **err)
{
	if (n > HEADER_COMPARED)
		return tell_new(w, n, false, err);
	if (n != p->len)
		return tell_piece(w, (size_t)n, p, false, err);
	if (tell_read_new(w, w->at, w->fresh, (size_t)n, err) < 0 ||
	    read_old(w, p, w->old, err) < 0)
		return -1;
	if (memcmp(w->fresh, w->old, (size_t)n) == 0)
		return tell_copy(w, p, err);
	if (n % UNIT != 0 || count_changed(w, (size_t)n) > (size_t)n / CHANGED_MOST)
		return tell_piece(w, (size_t)n, p, false, err);
	return tell_replaced(w, p, err);
}
