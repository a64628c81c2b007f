/* SPDX-License-Identifier: Apache-2.0 */
/* For: telling a layer by the layers of its base: entry by entry, what is there and what is not.
 * Relies on: match.h to find old files, tell.h for each step.
 * Promises: every byte of the tar is told once, in order; content is never kept.
 */
#include <assert.h>

#include "base/mem.h"
#include "codec/patch.h"
#include "delta/tell.h"

/*
 * Content that is compressed already costs much time and gains nothing: a file whose taste, a few
 * pieces spread over it, does not shrink gets a block of its own.
 */
#define TASTE_PIECES 4
#define TASTE_PIECE (16 * KIB)
#define TASTE (TASTE_PIECES * TASTE_PIECE)
#define TASTE_GAIN 32 /* one part in so many has to be gained */

/*
 * How much effort the files are worth that are not in the bases, by how many bytes they have.
 * Measured on Debian packages and their updates (160 MB that are new): beside 8, 10 takes a quarter
 * more processor time for 15 % less, 12 another third for 1 %, 15 four times as much for nothing.
 */
static const struct {
	int64_t up_to;
	int level;
} levels[] = {
	{ 1 * MIB, 19 },
	{ 32 * MIB, 12 },
	{ 1024 * MIB, 8 },
	{ INT64_MAX, 3 },
};

/* ---- one entry ---- */

/* Does what lies at the next @p n bytes not shrink? */
static int is_dense(struct writer *w, int64_t n, bool *ret, dray_error **err)
{
	uint8_t taste[TASTE], out[TASTE];
	size_t size;

	*ret = false;
	if (n < DENSE_FROM)
		return 0;
	for (int64_t i = 0; i < TASTE_PIECES; i++)
		if (tell_read_new(w, w->at + n / TASTE_PIECES * i, taste + i * TASTE_PIECE,
				  TASTE_PIECE, err) < 0)
			return -1;
	/* No room for more than what is worth it: 0 says that it would not fit. */
	size = patch_encode(w->taster, 1, (struct span){ 0 }, span_of(taste, TASTE),
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
