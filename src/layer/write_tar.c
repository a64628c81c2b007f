/* SPDX-License-Identifier: Apache-2.0
 *
 * From pieces to the bytes of a tar, pulled.
 * Relies on write.c for what comes next, on a feed for the layers' bytes.
 * Promises that long runs of a layer are lent on, and what lies between is gathered.
 */
#include "base/mem.h"
#include "layer/write_priv.h"

#define OUT_BUFFER (512 * 1024) /* bytes made ahead: over SOURCE_PEEK_MAX */
#define LENT_LEAST (16 * 1024)	/* bytes: fewer are copied */
#define GATHERED (256 * 1024)	/* bytes that wait for each other: small files are many */

struct tar_source {
	struct source base;
	struct cursor cursor;
	struct layer_feed feed;
	struct buf head; /* made by us; goes before the run */
	size_t head_done;
	struct run run;
	size_t padding; /* zeros behind the run */
	bool has_ahead; /* a piece was planned while looking whether the run goes on */
	struct piece ahead;
	uint8_t *out;
	size_t start, len;
	struct span loan; /* of the feed: the run's next bytes, when out is empty */
	bool ended;	  /* the end blocks are in head */
};

static int put_end(struct tar_source *s, dray_error **err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	s->ended = true;
	buf_reset(&s->head);
	s->head_done = 0;
	return buf_add(&s->head, span_of(zeros, sizeof(zeros)), err);
}

/* A piece that was planned ahead is that of the cursor's record still. */
static int take_piece(struct tar_source *s, struct piece *ret, dray_error **err)
{
	if (!s->has_ahead)
		return next_piece(&s->cursor, ret, err);
	s->has_ahead = false;
	*ret = s->ahead;
	return 1;
}

static int put_next(struct tar_source *s, dray_error **err)
{
	struct piece p;
	int rc = take_piece(s, &p, err);

	if (rc <= 0)
		return rc < 0 ? -1 : put_end(s, err);
	s->run = p.run;
	s->padding = p.padding;
	buf_reset(&s->head);
	s->head_done = 0;
	return p.made ? piece_header(&s->cursor, &p, &s->head, err) : 0;
}

/* Small files that lie side by side are read together. */
static int lengthen_run(struct tar_source *s, size_t room, dray_error **err)
{
	while (!s->has_ahead && (uint64_t)s->run.left < room) {
		struct piece p;
		int rc = next_piece(&s->cursor, &p, err);

		if (rc <= 0)
			return rc;
		if (p.made || p.run.layer != s->run.layer ||
		    p.run.off != s->run.off + s->run.left) {
			s->ahead = p;
			s->has_ahead = true;
			return 0;
		}
		s->run.left += p.run.left;
	}
	return 0;
}

static size_t room_left(const struct tar_source *s)
{
	return OUT_BUFFER - s->start - s->len;
}

static uint8_t *room_at(struct tar_source *s)
{
	return s->out + s->start + s->len;
}

static void take_run(struct tar_source *s, int64_t n)
{
	s->run.off += n;
	s->run.left -= n;
}

static int read_run(struct tar_source *s, dray_error **err)
{
	size_t room = room_left(s);
	int64_t got;

	if (s->padding == 0 && lengthen_run(s, room, err) < 0)
		return -1;
	if ((uint64_t)s->run.left < room)
		room = (size_t)s->run.left;
	got = s->feed.read(s->feed.arg, s->run.layer, s->run.off, room_at(s), room, err);
	if (got < 0)
		return -1;
	s->len += (size_t)got;
	take_run(s, got);
	return 0;
}

/* Long runs are lent on, not copied. */
static int lend_run(struct tar_source *s, dray_error **err)
{
	if (!s->feed.lend || s->len > 0 || s->head_done < s->head.len || s->run.left == 0)
		return 0;
	if (s->padding == 0 && lengthen_run(s, OUT_BUFFER, err) < 0)
		return -1;
	if (s->run.left < LENT_LEAST)
		return 0;
	if (s->feed.lend(s->feed.arg, s->run.layer, s->run.off, &s->loan, err) < 0)
		return -1;
	if ((uint64_t)s->run.left < s->loan.len)
		s->loan.len = (size_t)s->run.left;
	if (s->loan.len < LENT_LEAST)
		s->loan.len = 0;
	take_run(s, (int64_t)s->loan.len);
	return 0;
}

/* A reader who wants more than is lent gets all from the buffer. */
static void keep_loan(struct tar_source *s)
{
	if (s->loan.len)
		memcpy(s->out, s->loan.data, s->loan.len);
	s->start = 0;
	s->len = s->loan.len;
	s->loan.len = 0;
}

static size_t put_head(struct tar_source *s)
{
	size_t n = s->head.len - s->head_done, room = room_left(s);

	n = n < room ? n : room;
	if (n > 0)
		memcpy(room_at(s), s->head.data + s->head_done, n);
	s->head_done += n;
	s->len += n;
	return n;
}

static size_t put_padding(struct tar_source *s)
{
	size_t room = room_left(s), n = s->padding < room ? s->padding : room;

	memset(room_at(s), 0, n);
	s->padding -= n;
	s->len += n;
	return n;
}

/* Some more bytes into the buffer: 1, 0 = nothing is left, -1. */
static int fill(struct tar_source *s, dray_error **err)
{
	if (put_head(s) > 0)
		return 1;
	if (s->run.left > 0)
		return read_run(s, err) < 0 ? -1 : 1;
	if (put_padding(s) > 0)
		return 1;
	if (s->ended)
		return 0;
	return put_next(s, err) < 0 ? -1 : 1;
}

/* What is at hand suffices: all that was asked for, and what follows is lent, or it is much. */
static bool suffices(const struct tar_source *s, size_t min)
{
	bool lends = s->feed.lend && s->head_done == s->head.len && s->run.left >= LENT_LEAST;

	return s->len >= min && (lends || s->len >= GATHERED);
}

static int gather(struct tar_source *s, size_t min, dray_error **err)
{
	int rc = 1;

	if (s->start > 0) {
		memmove(s->out, s->out + s->start, s->len);
		s->start = 0;
	}
	while (rc > 0 && !suffices(s, min))
		rc = fill(s, err);
	return rc < 0 ? -1 : 0;
}

static int tar_source_peek(struct source *base, size_t min, struct span *ret, dray_error **err)
{
	struct tar_source *s = (struct tar_source *)base;

	if (s->loan.len == 0 && lend_run(s, err) < 0)
		return -1;
	*ret = s->loan;
	if (s->loan.len >= min)
		return 0;
	if (s->loan.len > 0)
		keep_loan(s);
	if (s->len < min && gather(s, min, err) < 0)
		return -1;
	*ret = span_of(s->out + s->start, s->len);
	return 0;
}

static void tar_source_consume(struct source *base, size_t n)
{
	struct tar_source *s = (struct tar_source *)base;

	if (s->loan.len > 0) {
		s->loan = span_from(s->loan, n);
		return;
	}
	s->start += n;
	s->len -= n;
	if (s->len == 0)
		s->start = 0;
}

static void tar_source_free(struct source *base)
{
	struct tar_source *s = (struct tar_source *)base;

	cursor_clear(&s->cursor);
	buf_clear(&s->head);
	mem_free(s->out);
	mem_free(s);
}

static const struct source_ops tar_source_ops = {
	.peek = tar_source_peek,
	.consume = tar_source_consume,
	.free = tar_source_free,
};

struct source *layer_tar_source(const struct record_list *l, const struct layer_feed *feed,
				dray_error **err)
{
	struct tar_source *s = mem_zalloc(sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->base.ops = &tar_source_ops;
	s->cursor = cursor_of(l);
	s->feed = *feed;
	s->head = BUF_INIT(HEAD_MAX);
	s->out = mem_alloc(OUT_BUFFER);
	if (s->out)
		return &s->base;
	tar_source_free(&s->base);
	err_nomem(err);
	return NULL;
}
