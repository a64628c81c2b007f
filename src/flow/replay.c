/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading a second time: from a window of what passed, or by opening again.
 * Relies on: flow/source.c for the rules of reading.
 * Promises: a rewind gives the same bytes or fails, never others.
 */
#include "flow/source.h"

#include <inttypes.h>

#include "base/mem.h"
#include "flow/spares.h"

/* ---- replayable ----
 *
 *   0 ........ seen-len ........ s->pos ........ seen ........ (not read yet)
 *              |<-------- data, len bytes ------->|
 *                                |<-- behind ---->|  served from data, then from in
 */
/* What is kept, alone: it goes to whoever comes next. */
struct history {
	struct spare spare; /* its kind is the size */
	uint8_t data[];
};

struct replayable {
	struct source base;
	struct spares *spares; /* NULL = none */
	struct history *history;
	struct source *in;
	struct span loan; /* what @in lends; unused while behind > 0 */
	size_t window;	  /* how far back a rewind may go */
	size_t keep;	  /* bytes that are kept; >= window and >= any peek */
	uint8_t *data;	  /* of history: the last bytes that left @in, in a ring of keep bytes */
	size_t len;
	size_t end; /* where the next byte goes */
	size_t behind;
	int64_t seen; /* bytes that left @in */
};

static void history_add(struct replayable *r, struct span bytes)
{
	r->seen += (int64_t)bytes.len;
	if (bytes.len > r->keep)
		bytes = span_from(bytes, bytes.len - r->keep);
	r->len = r->len + bytes.len < r->keep ? r->len + bytes.len : r->keep;
	while (bytes.len > 0) {
		struct span piece = span_head(bytes, r->keep - r->end);

		memcpy(r->data + r->end, piece.data, piece.len);
		r->end = (r->end + piece.len) % r->keep;
		bytes = span_from(bytes, piece.len);
	}
}

static void reverse(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint8_t byte = p[i];

		p[i] = p[n - 1 - i];
		p[n - 1 - i] = byte;
	}
}

/* The oldest byte to the front, so that all can be lent in one piece. Few readers ever go back. */
static void history_straighten(struct replayable *r)
{
	if (r->len < r->keep || r->end == 0)
		return;
	reverse(r->data, r->end);
	reverse(r->data + r->end, r->keep - r->end);
	reverse(r->data, r->keep);
	r->end = 0;
}

/* Move bytes of @in into the history until @min of them can be replayed in one piece. */
static int history_extend(struct replayable *r, size_t min, dray_error **err)
{
	while (r->behind < min) {
		struct span got;

		if (source_peek(r->in, 1, &got, err) < 0)
			return -1;
		if (got.len == 0)
			break;
		got = span_head(got, min - r->behind);
		history_add(r, got);
		r->behind += got.len;
		source_consume(r->in, got.len);
	}
	history_straighten(r);
	return 0;
}

static int replayable_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct replayable *r = (struct replayable *)s;

	if (r->behind > 0) {
		if (history_extend(r, min, err) < 0)
			return -1;
		*ret = span_of(r->data + r->len - r->behind, r->behind);
		return 0;
	}
	if (source_peek(r->in, min, &r->loan, err) < 0)
		return -1;
	*ret = r->loan;
	return 0;
}

static void replayable_consume(struct source *s, size_t n)
{
	struct replayable *r = (struct replayable *)s;

	if (r->behind > 0) {
		r->behind -= n;
		r->loan = (struct span){ 0 };
		return;
	}
	history_add(r, span_head(r->loan, n));
	r->loan = span_from(r->loan, n);
	source_consume(r->in, n);
}

static int replayable_rewind(struct source *s, int64_t off, dray_error **err)
{
	struct replayable *r = (struct replayable *)s;
	int64_t oldest = r->seen > (int64_t)r->window ? r->seen - (int64_t)r->window : 0;

	if (off < oldest || off > r->seen)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "cannot read again from byte %" PRId64 ": bytes %" PRId64
			       " to %" PRId64 " are kept",
			       off, oldest, r->seen);
	r->behind = (size_t)(r->seen - off);
	history_straighten(r);
	return 0;
}

static void replayable_free(struct source *s)
{
	struct replayable *r = (struct replayable *)s;

	source_free(r->in);
	if (r->spares && r->history)
		spares_give(r->spares, &r->history->spare);
	else
		mem_free(r->history);
	mem_free(r);
}

static const struct source_ops replayable_ops = {
	.peek = replayable_peek,
	.consume = replayable_consume,
	.rewind = replayable_rewind,
	.free = replayable_free,
};

static void history_free(struct spare *s)
{
	mem_free(s);
}

static struct history *history_new(struct spares *spares, size_t keep)
{
	struct spare *old = spares ? spares_take(spares, keep, history_free) : NULL;
	struct history *h = (struct history *)old;
	size_t size;

	if (h || __builtin_add_overflow(keep, sizeof(*h), &size))
		return h;
	h = mem_alloc(size);
	if (h)
		h->spare = (struct spare){ .kind = keep, .free = history_free };
	return h;
}

struct source *source_replayable(struct source *in, size_t window, dray_error **err)
{
	return source_replayable_from(NULL, in, window, err);
}

struct source *source_replayable_from(struct spares *spares, struct source *in, size_t window,
				      dray_error **err)
{
	if (!in)
		return NULL;

	struct replayable *r = mem_zalloc(sizeof(*r));

	if (!r) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	r->base.ops = &replayable_ops;
	r->in = in;
	r->window = window;
	r->keep = window > SOURCE_PEEK_MAX ? window : SOURCE_PEEK_MAX;
	r->spares = spares;
	r->history = history_new(spares, r->keep);
	if (!r->history) {
		replayable_free(&r->base);
		err_nomem(err);
		return NULL;
	}
	r->data = r->history->data;
	return &r->base;
}

/* ---- reopenable ---- */

struct reopenable {
	struct source base;
	struct source *now; /* NULL until the next read */
	/* one of the two */
	struct source *(*open)(void *arg, dray_error **err);
	struct source *(*open_at)(void *arg, int64_t off, dray_error **err);
	void *arg;
	void (*free_arg)(void *arg);
};

/* Have a source that stands at the reader's position. */
static int reopenable_open(struct reopenable *r, dray_error **err)
{
	if (r->now)
		return 0;
	r->now = r->open_at ? r->open_at(r->arg, r->base.pos, err) : r->open(r->arg, err);
	if (!r->now)
		return -1;
	if (r->open_at)
		return 0;

	int64_t got = source_skip(r->now, r->base.pos, err);

	if (got < 0)
		return -1;
	if (got < r->base.pos)
		return err_set(err, DRAY_ERR_CORRUPT,
			       "opened again, the stream ends at byte %" PRId64
			       ", before byte %" PRId64 " that was read earlier",
			       got, r->base.pos);
	return 0;
}

static int reopenable_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct reopenable *r = (struct reopenable *)s;

	if (reopenable_open(r, err) < 0)
		return -1;
	return source_peek(r->now, min, ret, err);
}

static void reopenable_consume(struct source *s, size_t n)
{
	source_consume(((struct reopenable *)s)->now, n);
}

static int64_t reopenable_skip(struct source *s, int64_t n, dray_error **err)
{
	struct reopenable *r = (struct reopenable *)s;

	if (reopenable_open(r, err) < 0)
		return -1;
	return source_skip(r->now, n, err);
}

static int reopenable_rewind(struct source *s, int64_t off, dray_error **err)
{
	struct reopenable *r = (struct reopenable *)s;

	(void)off; /* the caller stores it as pos; the next read goes there */
	(void)err;
	source_free(r->now);
	r->now = NULL;
	return 0;
}

static int reopenable_own_extent(struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len,
				 dray_error **err)
{
	struct reopenable *r = (struct reopenable *)s;

	if (reopenable_open(r, err) < 0)
		return -1;
	return source_own_extent(r->now, ret_fd, ret_off, ret_len, err);
}

static void reopenable_free(struct source *s)
{
	struct reopenable *r = (struct reopenable *)s;

	source_free(r->now);
	if (r->free_arg)
		r->free_arg(r->arg);
	mem_free(r);
}

static const struct source_ops reopenable_ops = {
	.peek = reopenable_peek,
	.consume = reopenable_consume,
	.skip = reopenable_skip,
	.rewind = reopenable_rewind,
	.own_extent = reopenable_own_extent,
	.free = reopenable_free,
};

static struct reopenable *reopenable_new(void *arg, void (*free_arg)(void *arg), dray_error **err)
{
	struct reopenable *r = mem_zalloc(sizeof(*r));

	if (!r) {
		if (free_arg)
			free_arg(arg);
		err_nomem(err);
		return NULL;
	}
	r->base.ops = &reopenable_ops;
	r->arg = arg;
	r->free_arg = free_arg;
	return r;
}

struct source *source_reopenable(struct source *(*open)(void *arg, dray_error **err), void *arg,
				 void (*free_arg)(void *arg), dray_error **err)
{
	struct reopenable *r = reopenable_new(arg, free_arg, err);

	if (!r)
		return NULL;
	r->open = open;
	return &r->base;
}

struct source *source_reopenable_at(struct source *(*open)(void *arg, int64_t off,
							   dray_error **err),
				    void *arg, void (*free_arg)(void *arg), dray_error **err)
{
	struct reopenable *r = reopenable_new(arg, free_arg, err);

	if (!r)
		return NULL;
	r->open_at = open;
	return &r->base;
}
