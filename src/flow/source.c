/* SPDX-License-Identifier: Apache-2.0 */
/* For: the reader's half of every source, whatever its kind.
 * Relies on: the operations of struct source_ops.
 * Promises: end is final, failure is sticky, no byte is consumed that was not lent.
 */
#include "flow/source.h"

#include <assert.h>
#include <inttypes.h>

#include "base/cancel.h"

static int fail(struct source *s)
{
	s->failed = true;
	s->lent = 0;
	return -1;
}

int source_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct span got = { 0 };

	assert(min >= 1 && min <= SOURCE_PEEK_MAX);
	assert(!s->failed);
	s->lent = 0;
	if (!s->ended) {
		if (cancel_check(err) < 0 || s->ops->peek(s, min, &got, err) < 0)
			return fail(s);
		s->ended = got.len == 0;
	}
	s->lent = got.len;
	*ret = got;
	return 0;
}

void source_consume(struct source *s, size_t n)
{
	assert(n <= s->lent);
	if (n == 0)
		return;
	s->ops->consume(s, n);
	s->lent -= n;
	s->pos += (int64_t)n;
}

int64_t source_read(struct source *s, void *data, size_t len, dray_error **err)
{
	struct span got;

	if (len == 0)
		return 0;
	if (source_peek(s, 1, &got, err) < 0)
		return -1;
	got = span_head(got, len);
	if (got.len > 0)
		memcpy(data, got.data, got.len);
	source_consume(s, got.len);
	return (int64_t)got.len;
}

int source_read_exact(struct source *s, void *data, size_t len, dray_error **err)
{
	uint8_t *to = data;

	while (len > 0) {
		int64_t n = source_read(s, to, len, err);

		if (n < 0)
			return -1;
		if (n == 0) {
			fail(s);
			return err_set(err, DRAY_ERR_FORMAT, "truncated at byte %" PRId64, s->pos);
		}
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Skip by reading; returns how far. */
static int64_t skip_by_reading(struct source *s, int64_t n, dray_error **err)
{
	int64_t done = 0;

	while (done < n) {
		struct span got;

		if (source_peek(s, 1, &got, err) < 0)
			return -1;
		if (got.len == 0)
			break;
		if ((uint64_t)got.len > (uint64_t)(n - done))
			got.len = (size_t)(n - done);
		source_consume(s, got.len);
		done += (int64_t)got.len;
	}
	return done;
}

int64_t source_skip(struct source *s, int64_t n, dray_error **err)
{
	assert(n >= 0 && !s->failed);
	if (n == 0 || s->ended)
		return 0;
	if (!s->ops->skip)
		return skip_by_reading(s, n, err);
	s->lent = 0;

	int64_t done = cancel_check(err) < 0 ? -1 : s->ops->skip(s, n, err);

	if (done < 0)
		return fail(s);
	assert(done <= n);
	s->pos += done;
	return done;
}

int source_drain(struct source *s, dray_error **err)
{
	return skip_by_reading(s, INT64_MAX, err) < 0 ? -1 : 0;
}

int source_slurp(struct source *s, struct buf *ret, dray_error **err)
{
	for (;;) {
		struct span got;

		if (source_peek(s, 1, &got, err) < 0)
			return -1;
		if (got.len == 0)
			return 0;
		if (buf_add(ret, got, err) < 0)
			return -1;
		source_consume(s, got.len);
	}
}

bool source_can_rewind(const struct source *s)
{
	return s->ops->rewind != NULL;
}

int source_rewind(struct source *s, int64_t off, dray_error **err)
{
	assert(off >= 0 && !s->failed);
	if (!s->ops->rewind)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "this stream cannot be read a second time");
	if (s->ops->rewind(s, off, err) < 0)
		return -1;
	s->lent = 0;
	s->ended = false;
	s->pos = off;
	return 0;
}

int source_own_extent(struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len,
		      dray_error **err)
{
	if (!s->ops->own_extent || s->pos > 0)
		return 0;
	return s->ops->own_extent(s, ret_fd, ret_off, ret_len, err);
}

void source_free(struct source *s)
{
	if (s)
		s->ops->free(s);
}
