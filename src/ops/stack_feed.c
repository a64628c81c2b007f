/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of layers, once more, for who writes them in another order.
 * Relies on layer_tar_order() to foresee what is read when.
 * Promises to decode a layer once more at most: in order as it is written, with the few pieces
 * that come late kept in memory, or into a file when they are many.
 */
#include "ops/stack_priv.h"

#include <assert.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "layer/sparse.h"

#define AHEAD (2 * MIB)	    /* bytes read or decoded before they are asked for */
#define AHEAD_LAYERS 4	    /* the biggest layers: each has a thread for it */
#define LATE_MAX (16 * MIB) /* bytes of all layers that are kept in memory */

/* How one layer is read again. */
struct stack_feed {
	struct source *in; /* NULL = not begun */
	struct layer_order order;
	struct buf kept; /* the late pieces that were passed, one after the other */
	size_t n_kept;
};

/* There are none where all lies in files: then many threads may come by. */
void stack_feeds_free(struct stack *s)
{
	if (!s->feeds)
		return;
	for (size_t i = 0; i < s->n; i++) {
		source_free(s->feeds[i].in);
		buf_clear(&s->feeds[i].kept);
		layer_orders_clear(&s->feeds[i].order, 1);
	}
	s->feeds = NULL;
}

/* ---- making ready ---- */

/* Decode a layer into a file, since it will be read to and fro. */
static int spool_layer(void *arg, size_t index, dray_error **err)
{
	struct stack *s = arg;
	struct stack_read *r = &s->reads[index];
	cleanup_sink struct sink *k = NULL;
	cleanup_source struct source *tar = NULL;
	struct extent file;
	int64_t size;

	if (!r->random || r->bytes.fd >= 0)
		return 0;
	r->spool = io_tempfile(s->ctx->tmpdir, err);
	k = r->spool < 0 ? NULL : sink_to_fd(r->spool, false, err);
	tar = k ? stack_open_tar(s, r->layer, 0, &file, err) : NULL;
	size = tar ? pump(tar, k, err) : -1;
	if (size < 0)
		return err_ctx(err, "layer %zu of %zu", r->layer + 1, s->n);
	r->bytes = (struct extent){ r->spool, 0, size };
	return 0;
}

/* Which layers have more that comes late than memory is for? Bottom first: those are big. */
static void choose_random(struct stack *s, const struct layer_order *orders)
{
	int64_t left = LATE_MAX;

	for (size_t i = s->n; i-- > 0;) {
		struct stack_read *r = &s->reads[s->which[i]];

		if (r->bytes.fd >= 0 || r->random)
			continue;
		r->random = orders[i].late_bytes > left;
		left -= r->random ? 0 : orders[i].late_bytes;
		if (r->random)
			context_log(s->ctx, DRAY_LOG_INFO,
				    "layer %zu of %zu is not in order: it is decoded into a "
				    "temporary file",
				    r->layer + 1, s->n);
	}
}

int stack_spool(struct stack *s, dray_error **err)
{
	stack_feeds_free(s);
	for (size_t i = 0; i < s->n_reads; i++)
		s->reads[i].random = true;
	return run_parallel(s->ctx->threads, s->n_reads, spool_layer, s, err);
}

void stack_spend_tars(struct stack *s)
{
	s->spends = true;
}

bool stack_lies_in_files(const struct stack *s)
{
	for (size_t i = 0; i < s->n_reads; i++)
		if (s->reads[i].bytes.fd < 0)
			return false;
	return true;
}

int stack_prepare(struct stack *s, const struct record_list *l, dray_error **err)
{
	struct layer_order *orders;
	int rc;

	if (stack_lies_in_files(s)) /* and perhaps others do the same now */
		return 0;
	stack_feeds_free(s);
	orders = arena_array(&s->arena, s->n + 1, sizeof(*orders));
	s->feeds = arena_array(&s->arena, s->n + 1, sizeof(*s->feeds));
	if (!orders || !s->feeds)
		return err_nomem(err);
	rc = layer_tar_order(l, orders, s->n, err);
	for (size_t i = 0; i < s->n; i++) { /* theirs now, to be freed either way */
		s->feeds[i].order = orders[i];
		s->feeds[i].kept = BUF_INIT(LATE_MAX);
	}
	if (rc < 0)
		return -1;
	choose_random(s, orders);
	return run_parallel(s->ctx->threads, s->n_reads, spool_layer, s, err);
}

/* ---- reading forward ---- */

/* Is layer @p i among the few that are worth a thread? */
static bool is_big(const struct stack *s, size_t i)
{
	size_t bigger = 0;

	for (size_t k = 0; k < s->n; k++)
		bigger += s->index[k]->size > s->index[i]->size;
	return bigger < AHEAD_LAYERS && s->index[i]->size > AHEAD;
}

static struct source *open_stream(struct stack *s, size_t i, dray_error **err)
{
	struct extent file;

	return stack_open_tar(s, i, is_big(s, i) ? AHEAD : 0, &file, err);
}

static int skip_to(struct source *in, int64_t off, dray_error **err)
{
	int64_t want = off - in->pos;

	assert(want >= 0); /* layer_tar_order() saw to it */
	if (want == 0)
		return 0;
	int64_t done = source_skip(in, want, err);
	if (done < 0)
		return -1;
	return done == want ? 0 : err_set(err, DRAY_ERR_CORRUPT, "it ends early the second time");
}

/* Go to @p off, keeping what is passed and wanted later. */
static int go_to(struct stack_feed *f, int64_t off, dray_error **err)
{
	while (f->n_kept < f->order.n_late && f->order.late[f->n_kept].off < off) {
		const struct late *l = &f->order.late[f->n_kept];

		if (skip_to(f->in, l->off, err) < 0 ||
		    buf_reserve(&f->kept, (size_t)l->size, err) < 0 ||
		    source_read_exact(f->in, f->kept.data + f->kept.len, (size_t)l->size, err) < 0)
			return -1;
		f->kept.len += (size_t)l->size;
		f->n_kept++;
	}
	return skip_to(f->in, off, err);
}

/* A piece that was passed: the bytes at @p off of the layer, within it. */
static int64_t read_kept(const struct stack_feed *f, int64_t off, void *data, size_t len)
{
	size_t first = 0, end = f->n_kept;
	const struct late *l;
	int64_t have;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		*(f->order.late[middle].off <= off ? &first : &end) = middle;
	}
	assert(first < f->n_kept);
	l = &f->order.late[first];
	have = l->off + l->size - off;
	assert(off >= l->off && have > 0);
	have = (uint64_t)have < len ? have : (int64_t)len;
	memcpy(data, f->kept.data + l->before + (off - l->off), (size_t)have);
	return have;
}

static int64_t read_stream(struct stack *s, size_t i, int64_t off, void *data, size_t len,
			   dray_error **err)
{
	struct stack_feed *f = &s->feeds[i];

	if (!f->in)
		f->in = open_stream(s, i, err);
	if (!f->in)
		return -1;
	if (off < f->in->pos)
		return read_kept(f, off, data, len);
	return go_to(f, off, err) < 0 ? -1 : source_read(f->in, data, len, err);
}

/* What stream @p i has at hand; nothing when it is to be read otherwise. */
static int lend_stream(struct stack *s, size_t i, int64_t off, struct span *ret, dray_error **err)
{
	struct stack_feed *f = &s->feeds[i];

	if (!f->in || off < f->in->pos)
		return 0;
	if (go_to(f, off, err) < 0)
		return -1;
	return source_peek(f->in, 1, ret, err);
}

static int feed_lend(void *arg, uint32_t layer, int64_t off, struct span *ret, dray_error **err)
{
	struct stack *s = arg;

	*ret = (struct span){ 0 };
	if (s->reads[s->which[layer]].bytes.fd >= 0 || lend_stream(s, layer, off, ret, err) == 0)
		return 0;
	return err_ctx(err, "layer %u of %zu", layer + 1, s->n);
}

/* ---- temporary tars that shrink ---- */

/* The last entry that begins at or before @off, else the first. */
static size_t entry_at(const struct layer_index *ix, int64_t off)
{
	size_t first = 0, end = ix->n;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		*(ix->list[middle].header_off <= off ? &first : &end) = middle;
	}
	return first;
}

/* Folders are in every layer that has something of theirs: they stay. */
static void spend(const struct stack_read *r, int64_t off, int64_t end)
{
	const struct layer_index *ix = r->index;

	for (size_t i = entry_at(ix, off); i < ix->n && ix->list[i].header_off < end; i++) {
		const struct layer_entry *e = &ix->list[i];

		if (e->type != TAR_DIR || e->data_off <= off)
			continue;
		io_let_go(r->spool, off, e->header_off);
		off = e->data_off;
	}
	io_let_go(r->spool, off, end);
}

/* ---- the feed ---- */

static int64_t feed_read(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			 dray_error **err)
{
	struct stack *s = arg;
	const struct stack_read *r = &s->reads[s->which[layer]];
	const struct extent *b = &r->bytes;
	int64_t n;

	if (b->fd < 0)
		n = read_stream(s, layer, off, data, len, err);
	else
		n = io_pread(b->fd, data, len, b->off + off, err);
	if (n > 0 && s->spends && b->fd == r->spool)
		spend(r, off, off + n);
	if (n > 0)
		return n;
	if (n == 0)
		err_set(err, DRAY_ERR_CORRUPT, "it changed or was truncated while it was read");
	return err_ctx(err, "layer %u of %zu", layer + 1, s->n);
}

struct layer_feed stack_feed(struct stack *s)
{
	return (struct layer_feed){ feed_read, s, feed_lend };
}

int stack_feed_finish(struct stack *s, dray_error **err)
{
	for (size_t i = 0; s->feeds && i < s->n; i++)
		if (s->feeds[i].in && source_drain(s->feeds[i].in, err) < 0)
			return err_ctx(err, "layer %zu of %zu", i + 1, s->n);
	stack_feeds_free(s);
	return 0;
}

/* ---- one file ---- */

/* The tar of a layer that stands at a file: its rest is proven before the end is told. */
struct file_source {
	struct source base;
	struct source *tar;
	int64_t left;
	bool proven;
};

static int file_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct file_source *f = (struct file_source *)s;
	size_t want = (uint64_t)f->left < min ? (size_t)f->left : min;

	*ret = (struct span){ 0 };
	if (want > 0) {
		if (source_peek(f->tar, want, ret, err) < 0)
			return -1;
		if (ret->len < want)
			return err_set(err, DRAY_ERR_CORRUPT, "it ends early the second time");
		*ret = span_head(*ret, (uint64_t)f->left < ret->len ? (size_t)f->left : ret->len);
	} else if (!f->proven) {
		if (source_drain(f->tar, err) < 0)
			return -1;
		f->proven = true;
	}
	return 0;
}

static void file_consume(struct source *s, size_t n)
{
	struct file_source *f = (struct file_source *)s;

	source_consume(f->tar, n);
	f->left -= (int64_t)n;
}

static void file_free(struct source *s)
{
	struct file_source *f = (struct file_source *)s;

	source_free(f->tar);
	mem_free(f);
}

/* The bytes of @p e as they are stored. */
static struct source *open_packed(struct stack *s, size_t i, const struct layer_entry *e,
				  dray_error **err)
{
	static const struct source_ops ops = { .peek = file_peek,
					       .consume = file_consume,
					       .free = file_free };
	const struct extent *b = &s->reads[s->which[i]].bytes;
	cleanup_source struct source *tar = NULL;
	struct extent file;
	struct file_source *f;

	if (b->fd >= 0)
		return source_from_extent(b->fd, b->off + e->data_off, e->size, err);
	tar = stack_open_tar(s, i, 0, &file, err);
	if (!tar || skip_to(tar, e->data_off, err) < 0)
		return NULL;
	f = mem_zalloc(sizeof(*f));
	if (!f) {
		err_nomem(err);
		return NULL;
	}
	f->base.ops = &ops;
	f->tar = steal_pointer(&tar);
	f->left = e->size;
	return &f->base;
}

struct source *stack_open_file(struct stack *s, size_t i, const struct layer_entry *e,
			       dray_error **err)
{
	if (e->sparse && e->sparse->size > LIMIT_SPARSE_SIZE) {
		err_set(err, DRAY_ERR_LIMIT,
			"a sparse file of %lld bytes is over LIMIT_SPARSE_SIZE (%lld)",
			(long long)e->sparse->size, LIMIT_SPARSE_SIZE);
		return NULL;
	}
	struct source *packed = open_packed(s, i, e, err);

	return e->sparse ? sparse_expand(packed, e->sparse, err) : packed;
}

/* ---- many files ---- */

static int pass_stored(struct stack_read *r, size_t read, const struct layer_entry *e,
		       stack_file_fn *fn, void *arg, dray_error **err)
{
	cleanup_source struct source *data = source_from_extent(
		r->bytes.fd, r->bytes.off + e->data_off, e->size, err);

	return data ? fn(arg, read, e, data, err) : -1;
}

static int pass_decoded(struct source *tar, size_t read, const struct layer_entry *e,
			stack_file_fn *fn, void *arg, dray_error **err)
{
	cleanup_source struct source *data = NULL;

	if (skip_to(tar, e->data_off, err) < 0)
		return -1;
	data = source_limit(tar, e->size, err);
	return data ? fn(arg, read, e, data, err) : -1;
}

static int pass_files(struct stack *s, size_t read, const struct layer_entry *const *list, size_t n,
		      stack_file_fn *fn, void *arg, dray_error **err)
{
	struct stack_read *r = &s->reads[read];
	cleanup_source struct source *tar = NULL;
	struct extent file;

	if (r->bytes.fd < 0) {
		tar = stack_open_tar(s, r->layer, 0, &file, err);
		if (!tar)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		int rc = tar ? pass_decoded(tar, read, list[i], fn, arg, err)
			     : pass_stored(r, read, list[i], fn, arg, err);
		if (rc < 0)
			return -1;
	}
	return tar ? source_drain(tar, err) : 0;
}

int stack_pass_files(struct stack *s, size_t read, const struct layer_entry *const *list, size_t n,
		     stack_file_fn *fn, void *arg, dray_error **err)
{
	if (pass_files(s, read, list, n, fn, arg, err) == 0)
		return 0;
	return err_ctx(err, "layer %zu of %zu", s->reads[read].layer + 1, s->n);
}
