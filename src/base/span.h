/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes: lent (span), writable room, and owned and growing (buf).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/error.h"

/** Bytes lent for a stated time, never owned. */
struct span {
	const uint8_t *data;
	size_t len;
};

/** Memory that someone else fills from the front: data and len advance. */
struct room {
	uint8_t *data;
	size_t len;
};

/** Owned bytes that grow up to @p max. Zero-initialised with a max is valid and empty. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;	/* a named constant of limits.h; growing past it is LIMIT */
};

#define SPAN_LIT(s) ((struct span){ (const uint8_t *)(s), sizeof(s) - 1 })
#define BUF_INIT(limit) ((struct buf){ .max = (limit) })

static inline struct span span_of(const void *data, size_t len)
{
	return (struct span){ data, len };
}

static inline struct span span_str(const char *s)
{
	return (struct span){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

static inline struct span span_buf(const struct buf *b)
{
	return (struct span){ b->data, b->len };
}

static inline struct span span_from(struct span s, size_t off)
{
	/* An empty span may have no address, and nothing may be added to that. */
	return (struct span){ off ? s.data + off : s.data, s.len - off };
}

static inline struct span span_head(struct span s, size_t len)
{
	return (struct span){ s.data, len < s.len ? len : s.len };
}

bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_starts(struct span a, const char *text);
bool span_ends(struct span a, const char *text);
/** Offset of @p c in @p s, or -1. */
int64_t span_find(struct span s, uint8_t c);

void buf_clear(struct buf *b);	/* frees; keeps max */
void buf_wipe(struct buf *b);	/* the same for secrets: nothing of them stays in memory */
void buf_reset(struct buf *b);	/* empties, keeps memory */
int buf_reserve(struct buf *b, size_t more, dray_error **err) MUST_CHECK;
int buf_add(struct buf *b, struct span bytes, dray_error **err) MUST_CHECK;
int buf_add_str(struct buf *b, const char *s, dray_error **err) MUST_CHECK;
int buf_add_byte(struct buf *b, uint8_t c, dray_error **err) MUST_CHECK;
int buf_printf(struct buf *b, dray_error **err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;
/** NUL-terminate (the NUL is not counted) and hand the memory over; *b is empty after. */
char *buf_steal_str(struct buf *b, dray_error **err) MUST_CHECK;

static inline void cleanup_buf_fn(struct buf *b)
{
	buf_clear(b);
}
#define cleanup_buf CLEANUP(cleanup_buf_fn)
#define cleanup_secret_buf CLEANUP(buf_wipe)
