/* SPDX-License-Identifier: Apache-2.0
 *
 * For: comparing lent bytes and growing owned ones.
 * Relies on: mem.h.
 * Promises: a buf never holds more than its max; sizes never wrap.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/span.h"

bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_is(struct span a, const char *text)
{
	return span_eq(a, span_str(text));
}

bool span_starts(struct span a, const char *text)
{
	return span_eq(span_head(a, strlen(text)), span_str(text));
}

bool span_ends(struct span a, const char *text)
{
	size_t len = strlen(text);

	return a.len >= len && span_is(span_from(a, a.len - len), text);
}

int64_t span_find(struct span s, uint8_t c)
{
	const uint8_t *at = s.len ? memchr(s.data, c, s.len) : NULL;

	return at ? at - s.data : -1;
}

void buf_clear(struct buf *b)
{
	mem_free(b->data);
	*b = BUF_INIT(b->max);
}

void buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

/* Twice as much as before, so that adding bytes one by one stays linear; never over max. */
static size_t grown_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;

	if (cap < 64)
		cap = 64;
	if (cap > b->max)
		cap = b->max;
	return cap < need ? need : cap;
}

int buf_reserve(struct buf *b, size_t more, dray_error **err)
{
	size_t need;

	if (__builtin_add_overflow(b->len, more, &need) || need > b->max)
		return err_set(err, DRAY_ERR_LIMIT, "over the limit of %zu bytes", b->max);
	if (need <= b->cap)
		return 0;
	size_t cap = grown_cap(b, need);
	uint8_t *data = mem_realloc(b->data, cap);
	if (!data)
		return err_nomem(err);
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, struct span bytes, dray_error **err)
{
	if (buf_reserve(b, bytes.len, err) < 0)
		return -1;
	if (bytes.len)
		memcpy(b->data + b->len, bytes.data, bytes.len);
	b->len += bytes.len;
	return 0;
}

int buf_add_str(struct buf *b, const char *s, dray_error **err)
{
	return buf_add(b, span_str(s), err);
}

int buf_add_byte(struct buf *b, uint8_t c, dray_error **err)
{
	if (b->len == b->cap && buf_reserve(b, 1, err) < 0)
		return -1;
	b->data[b->len++] = c;
	return 0;
}

int buf_printf(struct buf *b, dray_error **err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cleanup_free char *text = mem_vprintf(fmt, args);
	va_end(args);
	if (!text)
		return err_nomem(err);
	return buf_add_str(b, text, err);
}

char *buf_steal_str(struct buf *b, dray_error **err)
{
	/* Room for the NUL comes on top of max: it is not content. */
	char *text = b->len == SIZE_MAX ? NULL : mem_realloc(b->data, b->len + 1);

	if (!text) {
		err_nomem(err);
		return NULL;
	}
	text[b->len] = '\0';
	*b = BUF_INIT(b->max);
	return text;
}
