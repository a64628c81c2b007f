/* SPDX-License-Identifier: Apache-2.0 */
/* For: telling a layer by the layers of its base: entry by entry, what is there and what is not.
 * Relies on: match.h to find old files, block.h to compress and write.
 * Promises: every byte of the tar is told once, in order; content is never kept.
 */
#include <assert.h>

#include "base/mem.h"
#include "codec/patch.h"
#include "delta/block.h"
#include "delta/match.h"
#include "delta/runs.h"

#define HEADER_COMPARED (64 * KIB) /* a longer one is not compared with the old, but compressed */
#define UNIT 4			   /* bytes that are replaced together */
#define EQUAL_LEAST 16		   /* bytes between two replaced runs, else they are one */
#define CHANGED_MOST 8		   /* one part in so many: more are compressed beside the old */
#define OPS_ENOUGH (1 * MIB)	   /* operations of a block after which it is cut */

/*
 * Content that is compressed already costs much time and gains nothing: a file whose taste, a few
 * pieces spread over it, does not shrink gets a block of its own.
 */
#define DENSE_FROM (256 * KIB) /* smaller ones are not worth a block */
#define TASTE_PIECES 4
#define TASTE_PIECE (16 * KIB)
#define TASTE (TASTE_PIECES * TASTE_PIECE)
#define TASTE_GAIN 32 /* one part in so many has to be gained */

#define GAP_BESIDE 32 /* bytes between two runs: fewer are compressed alone */
#define NOT_IN_RUNS 8 /* one part in so many, at most, or all is left to the compressor */

/*
 * How much effort the files are worth that are not in the bases, by how many bytes they have.
 * Measured on Debian packages and their updates: 15 takes four times as long as 12 for nothing.
 */
static const struct {
	int64_t up_to;
	int level;
} levels[] = {
	{ 1 * MIB, 19 },
	{ 256 * MIB, 12 },
	{ 1024 * MIB, 9 },
	{ INT64_MAX, 3 },
};

/* Where old bytes are; len 0 = nowhere. */
struct place {
	size_t base;
	int64_t off, len;
};

struct writer {
	const struct recipe_new *tar;
	const struct recipe_bases *bases;
	struct recipe_options options;
	struct match *match;
	struct queue *queue;
	struct patch_encoder *taster;
	struct runs runs;
	uint8_t *new_piece, *old_piece; /* of a changed file; come with the first */
	struct recipe_stats stats;
	int64_t at; /* all before it is told */
	uint8_t fresh[HEADER_COMPARED], old[HEADER_COMPARED];
	uint8_t taste[TASTE];
};

static int read_new(struct writer *w, int64_t off, void *data, size_t len, dray_error **err)
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
static int tell_copy(struct writer *w, const struct place *p, dray_error **err)
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

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
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
	if (read_new(w, w->at, b->data + b->data_len, n, err) < 0)
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
static int tell_new(struct writer *w, int64_t n, bool dense, dray_error **err)
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

	if (read_new(w, w->at, w->new_piece, n, err) < 0 || read_old(w, p, w->old_piece, err) < 0 ||
	    runs_find(&w->runs, old, new, err) < 0)
		return -1;
	if (in_runs(&w->runs) < n - n / NOT_IN_RUNS)
		return tell_piece(w, n, p, dense, err);
	return tell_runs(w, n, p, dense, err);
}

/* The next @p n bytes are a file, made of the one at @p p. */
static int tell_file(struct writer *w, int64_t n, const struct place *p, bool dense,
		     dray_error **err)
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
static int tell_small(struct writer *w, int64_t n, const struct place *p, dray_error **err)
{
	if (n > HEADER_COMPARED)
		return tell_new(w, n, false, err);
	if (n != p->len)
		return tell_piece(w, (size_t)n, p, false, err);
	if (read_new(w, w->at, w->fresh, (size_t)n, err) < 0 || read_old(w, p, w->old, err) < 0)
		return -1;
	if (memcmp(w->fresh, w->old, (size_t)n) == 0)
		return tell_copy(w, p, err);
	if (n % UNIT != 0 || count_changed(w, (size_t)n) > (size_t)n / CHANGED_MOST)
		return tell_piece(w, (size_t)n, p, false, err);
	return tell_replaced(w, p, err);
}

/* ---- one entry ---- */

/* Does what lies at the next @p n bytes not shrink? */
static int is_dense(struct writer *w, int64_t n, bool *ret, dray_error **err)
{
	uint8_t out[TASTE];
	size_t size;

	*ret = false;
	if (n < DENSE_FROM)
		return 0;
	for (int64_t i = 0; i < TASTE_PIECES; i++)
		if (read_new(w, w->at + n / TASTE_PIECES * i, w->taste + i * TASTE_PIECE,
			     TASTE_PIECE, err) < 0)
			return -1;
	/* No room for more than what is worth it: 0 says that it would not fit. */
	size = patch_encode(w->taster, 1, (struct span){ 0 }, span_of(w->taste, TASTE),
			    (struct room){ out, TASTE - TASTE / TASTE_GAIN });
	*ret = size == 0;
	return 0;
}

static bool is_file(const struct layer_entry *e)
{
	return (e->type == TAR_FILE || e->type == TAR_SPARSE) && e->size > 0;
}

/* The old entries of one new entry; each may be NULL. */
struct found {
	const struct old *path;	   /* what has its path */
	const struct old *content; /* a file with its bytes */
	const struct old *alike;   /* a file that it may be made of */
};

static struct found find(const struct writer *w, const struct layer_entry *e)
{
	struct found f = { .path = match_path(w->match, e->path) };

	f.content = match_content(w->match, e, f.path);
	if (f.content || !is_file(e))
		return f;
	f.alike = f.path && is_file(f.path->e) ? f.path : match_alike(w->match, e);
	return f;
}

/* The header, and whatever else lies before the data. */
static int tell_header(struct writer *w, const struct layer_entry *e, const struct found *f,
		       dray_error **err)
{
	const struct old *o = f->path ? f->path : f->content ? f->content : f->alike;
	struct place p = { 0 };

	if (o)
		p = (struct place){ o->base, o->e->header_off, o->e->data_off - o->e->header_off };
	return tell_small(w, e->data_off - w->at, &p, err);
}

static int tell_body(struct writer *w, const struct layer_entry *e, const struct found *f,
		     dray_error **err)
{
	const struct old *o = f->content ? f->content : f->alike;
	struct place p = { 0 };
	bool dense;

	if (e->size == 0)
		return 0;
	if (o)
		p = (struct place){ o->base, o->e->data_off, o->e->size };
	if (f->content) {
		w->stats.files_same++;
		return tell_copy(w, &p, err);
	}
	if (f->alike)
		w->stats.files_patched++;
	else
		w->stats.files_new++;
	if (is_dense(w, e->size, &dense, err) < 0)
		return -1;
	return o ? tell_file(w, e->size, &p, dense, err) : tell_new(w, e->size, dense, err);
}

/* What follows the data up to @p end: padding, which may hold anything. */
static int tell_padding(struct writer *w, int64_t end, const struct found *f, dray_error **err)
{
	const struct old *o = f->content;
	struct place p = { 0 };

	if (o) {
		int64_t off = o->e->data_off + o->e->size;

		p = (struct place){ o->base, off,
				    least(o->end_off, w->bases->list[o->base].size) - off };
	}
	return tell_small(w, end - w->at, &p, err);
}

static int tell_entry(struct writer *w, const struct layer_entry *e, dray_error **err)
{
	int64_t end = e->data_off + e->size + (int64_t)tar_padding(e->size);
	struct found f = find(w, e);

	assert(w->at <= e->data_off);
	if (tell_header(w, e, &f, err) < 0 || tell_body(w, e, &f, err) < 0)
		return -1;
	return tell_padding(w, least(end, w->tar->index->size), &f, err);
}

/* ---- all ---- */

static int write_head(struct writer *w, struct sink *out, dray_error **err)
{
	const uint64_t numbers[] = { RECIPE_VERSION, w->options.window,
				     (uint64_t)w->tar->index->size };
	uint8_t head[RECIPE_MAGIC_LEN + ARRAY_LEN(numbers) * VARINT_MAX];
	size_t n = RECIPE_MAGIC_LEN;

	memcpy(head, RECIPE_MAGIC, n);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		n += varint_put(head + n, numbers[i]);
	return sink_write(out, span_of(head, n), err);
}

static int write_all(struct writer *w, struct sink *out, dray_error **err)
{
	const struct layer_index *ix = w->tar->index;

	if (write_head(w, out, err) < 0)
		return -1;
	for (size_t i = 0; i < ix->n; i++)
		if (tell_entry(w, &ix->list[i], err) < 0)
			return -1;
	if (tell_new(w, ix->size - w->at, false, err) < 0 || queue_finish(w->queue, err) < 0)
		return -1;
	return sink_write(out, SPAN_LIT("\0"), err);
}

/* Bytes of files that are nowhere in the bases. */
static int64_t count_new(const struct writer *w)
{
	const struct layer_index *ix = w->tar->index;
	int64_t n = 0;

	for (size_t i = 0; i < ix->n; i++)
		if (is_file(&ix->list[i]) && !match_content(w->match, &ix->list[i], NULL))
			n += ix->list[i].size;
	return n;
}

static void choose_level(struct writer *w)
{
	int64_t n = count_new(w);
	size_t i = 0;

	while (n > levels[i].up_to)
		i++;
	w->options.level = levels[i].level;
}

static int complete(struct recipe_options *o, dray_error **err)
{
	if (o->window == 0)
		o->window = RECIPE_WINDOW;
	if (o->window < RECIPE_WINDOW_LEAST || o->window > LIMIT_RECIPE_WINDOW)
		return err_set(err, DRAY_ERR_USAGE, "a window of %zu bytes is not in %lld to %lld",
			       o->window, RECIPE_WINDOW_LEAST, LIMIT_RECIPE_WINDOW);
	if (o->level < 0 || o->level > PATCH_LEVEL_MAX)
		return err_set(err, DRAY_ERR_USAGE, "compression level %d is not in 1 to %d",
			       o->level, PATCH_LEVEL_MAX);
	return 0;
}

static void writer_free(struct writer *w)
{
	if (!w)
		return;
	queue_free(w->queue);
	match_free(w->match);
	patch_encoder_free(w->taster);
	runs_clear(&w->runs);
	mem_free(w->new_piece);
	mem_free(w->old_piece);
	mem_free(w);
}

static struct writer *writer_new(const struct recipe_new *tar, const struct recipe_bases *b,
				 const struct recipe_options *o, struct sink *out, dray_error **err)
{
	struct writer *w = mem_zalloc(sizeof(*w));

	if (w)
		w->taster = patch_encoder_new();
	if (!w || !w->taster) {
		writer_free(w);
		err_nomem(err);
		return NULL;
	}
	w->tar = tar;
	w->bases = b;
	w->options = *o;
	if (complete(&w->options, err) == 0)
		w->match = match_new(b, err);
	if (w->match) {
		if (w->options.level == 0)
			choose_level(w);
		w->queue = queue_new(&w->options, b, out, err);
	}
	if (w->queue)
		return w;
	writer_free(w);
	return NULL;
}

int recipe_write(const struct recipe_new *tar, const struct recipe_bases *b,
		 const struct recipe_options *o, struct sink *out, struct recipe_stats *ret,
		 dray_error **err)
{
	struct writer *w = writer_new(tar, b, o, out, err);
	int64_t start = out->pos;
	int rc;

	if (!w)
		return -1;
	rc = write_all(w, out, err);
	if (rc == 0) {
		*ret = w->stats;
		ret->tar = tar->index->size;
		ret->stored = out->pos - start;
	}
	writer_free(w);
	return rc;
}
