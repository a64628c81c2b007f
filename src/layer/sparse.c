/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of a sparse file with the zeros between them.
 * Relies on tar/ for a map whose pieces are in order.
 * Promises constant memory, however large the holes are.
 */
#include "layer/sparse.h"

#include <assert.h>

#include "base/mem.h"

#define OUT_BUFFER ((size_t)2 * SOURCE_PEEK_MAX) /* bytes made ahead */

struct sparse_source {
	struct source base;
	struct source *packed;
	const struct layer_sparse *map;
	int64_t made; /* bytes of the file that went into the buffer */
	size_t next;  /* the piece that is not through */
	size_t start, len;
	uint8_t out[OUT_BUFFER];
};

/* The packed pieces end where the map does, and who proves them says so at their end. */
static int check_end(struct sparse_source *s, dray_error **err)
{
	struct span rest;

	if (source_peek(s->packed, 1, &rest, err) < 0)
		return -1;
	assert(rest.len == 0); /* the reader of the map saw to it */
	return 0;
}

static int put_zeros(struct sparse_source *s, int64_t end, size_t room)
{
	int64_t n = end - s->made;

	n = (uint64_t)n < room ? n : (int64_t)room;
	memset(s->out + s->start + s->len, 0, (size_t)n);
	s->len += (size_t)n;
	s->made += n;
	return 1;
}

static int put_piece(struct sparse_source *s, int64_t end, size_t room, dray_error **err)
{
	int64_t want = end - s->made, got;

	want = (uint64_t)want < room ? want : (int64_t)room;
	got = source_read(s->packed, s->out + s->start + s->len, (size_t)want, err);
	if (got <= 0)
		return got < 0 ? -1 : err_set(err, DRAY_ERR_CORRUPT, "a sparse file ends early");
	s->len += (size_t)got;
	s->made += got;
	s->next += s->made == end;
	return 1;
}

/* Some more bytes into the buffer: 1, 0 = nothing is left, -1. */
static int fill(struct sparse_source *s, dray_error **err)
{
	const struct tar_extent *x = s->next < s->map->n ? &s->map->list[s->next] : NULL;
	size_t room = OUT_BUFFER - s->start - s->len;

	if (x && s->made >= x->off)
		return put_piece(s, x->off + x->size, room, err);
	if (s->made < s->map->size)
		return put_zeros(s, x ? x->off : s->map->size, room);
	return check_end(s, err);
}

static int sparse_peek(struct source *base, size_t min, struct span *ret, dray_error **err)
{
	struct sparse_source *s = (struct sparse_source *)base;
	int rc = 1;

	if (s->start > 0 && s->len < min) {
		memmove(s->out, s->out + s->start, s->len);
		s->start = 0;
	}
	while (rc > 0 && s->len < min) {
		rc = fill(s, err);
		if (rc < 0)
			return -1;
	}
	*ret = span_of(s->out + s->start, s->len);
	return 0;
}

static void sparse_consume(struct source *base, size_t n)
{
	struct sparse_source *s = (struct sparse_source *)base;

	s->start += n;
	s->len -= n;
	if (s->len == 0)
		s->start = 0;
}

static void sparse_free(struct source *base)
{
	struct sparse_source *s = (struct sparse_source *)base;

	source_free(s->packed);
	mem_free(s);
}

struct source *sparse_expand(struct source *packed, const struct layer_sparse *map,
			     dray_error **err)
{
	static const struct source_ops ops = { .peek = sparse_peek,
					       .consume = sparse_consume,
					       .free = sparse_free };
	struct sparse_source *s = packed ? mem_alloc(sizeof(*s)) : NULL;

	if (!s) {
		if (packed)
			err_nomem(err);
		source_free(packed);
		return NULL;
	}
	s->base = (struct source){ .ops = &ops };
	s->packed = packed;
	s->map = map;
	s->made = 0;
	s->next = s->start = s->len = 0;
	return &s->base;
}
