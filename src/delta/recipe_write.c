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

/* How much effort what has to be compressed is worth, by how much it is. */
static const struct {
	int64_t up_to;
	int level;
} levels[] = {
	{ 64 * MIB, 19 }, { 256 * MIB, 12 }, { 1024 * MIB, 6 }, { INT64_MAX, 3 },
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

/* The next @p n bytes, at most a window, compressed beside @p p. */
static int tell_piece(struct writer *w, size_t n, const struct place *p, bool dense,
		      dray_error **err)
{
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

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * What of the old file @p p stands beside the piece of @p n bytes at @p off of a new one of
 * @p size: all of it, or what is around the same part of it.
 */
static struct place beside(const struct writer *w, const struct place *p, int64_t off, size_t n,
			   int64_t size)
{
	int64_t len = least(p->len, least(RECIPE_PREFIX_WINDOWS * (int64_t)w->options.window,
					  RECIPE_PREFIX_PER_BYTE * (int64_t)n));
	double middle = ((double)off + (double)n / 2) / (double)size * (double)p->len;
	int64_t from = (int64_t)middle - len / 2;

	if (from < 0)
		from = 0;
	if (from > p->len - len)
		from = p->len - len;
	return (struct place){ p->base, p->off + from, len };
}

/* The next @p n bytes, of any number. */
static int tell_data(struct writer *w, int64_t n, const struct place *p, bool dense,
		     dray_error **err)
{
	for (int64_t done = 0; done < n;) {
		size_t piece = (size_t)least(n - done, (int64_t)w->options.window);
		struct place part = beside(w, p, done, piece, n);

		if (tell_piece(w, piece, &part, dense, err) < 0)
			return -1;
		done += (int64_t)piece;
	}
	return 0;
}

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
	if (n != p->len || n > HEADER_COMPARED)
		return tell_data(w, n, p, false, err);
	if (read_new(w, w->at, w->fresh, (size_t)n, err) < 0 || read_old(w, p, w->old, err) < 0)
		return -1;
	if (memcmp(w->fresh, w->old, (size_t)n) == 0)
		return tell_copy(w, p, err);
	if (n % UNIT != 0 || count_changed(w, (size_t)n) > (size_t)n / CHANGED_MOST)
		return tell_data(w, n, p, false, err);
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
		p = (struct place){ o->base, o->e->header_off,
				    least(o->e->data_off - o->e->header_off, HEADER_COMPARED) };
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
	return tell_data(w, e->size, &p, dense, err);
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
	const struct place nowhere = { 0 };

	if (write_head(w, out, err) < 0)
		return -1;
	for (size_t i = 0; i < ix->n; i++)
		if (tell_entry(w, &ix->list[i], err) < 0)
			return -1;
	if (tell_data(w, ix->size - w->at, &nowhere, false, err) < 0 ||
	    queue_finish(w->queue, err) < 0)
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
