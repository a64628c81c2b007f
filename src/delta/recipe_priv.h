/* SPDX-License-Identifier: Apache-2.0
 *
 * What writer and reader of recipes share: the numbers of the format and its operations.
 * Spec: docs/delta-recipe.md, which tells the same in prose.
 */
#pragma once

#include "delta/recipe.h"

#define RECIPE_MAGIC "dray-recipe\n"
#define RECIPE_MAGIC_LEN 12
#define RECIPE_VERSION 1
#define RECIPE_WINDOW_LEAST (64 * KIB)
#define RECIPE_PREFIX_WINDOWS 2 /* a prefix has at most so many windows */
/* And at most so many bytes for each of the data, or a few bytes would make a reader read much. */
#define RECIPE_PREFIX_PER_BYTE 16
/*
 * Up to the end of each block there are at most so many operations, and one more for so many bytes
 * of the tar: each costs a read of a base. Ours makes some 16 bytes at the least, see tell_small().
 */
#define RECIPE_OPS_FREE 1024
#define RECIPE_BYTES_PER_OP 8

/*
 * An operation is a number n and a kind, as varint(n << 2 | kind). What is used of a base is used at
 * the cursor, which stands at 0 of base 0 when a block begins. Whatever makes bytes of the tar moves
 * it as far, but not behind the end of its base: where bytes were replaced it is right after them.
 */
enum recipe_op_kind {
	RECIPE_TAKE, /* n bytes of the block's data */
	RECIPE_COPY, /* n bytes of the base */
	RECIPE_REF,  /* n bytes of the base are the next of the prefix; the cursor stays */
	/* The cursor moves by zigzag n; n = 0: varint base, varint offset follow. */
	RECIPE_SEEK,
};

struct recipe_cursor {
	uint64_t base;
	int64_t off;
};

#define VARINT_MAX 10 /* bytes of a number: LEB128 */

/** Returns its length. */
size_t varint_put(uint8_t to[VARINT_MAX], uint64_t v);
/** The number at the front of *in, which advances; false = cut off, over 64 bits, or not shortest. */
bool varint_take(struct span *in, uint64_t *ret);

static inline uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/** Behind @p n bytes of the tar. */
static inline void cursor_pass(struct recipe_cursor *c, const struct recipe_bases *b, uint64_t n)
{
	int64_t left = c->base < b->n ? b->list[c->base].size - c->off : 0;

	c->off += n < (uint64_t)left ? (int64_t)n : left;
}

/** Exactly @p len bytes or CORRUPT; @p what as "base 3". */
int recipe_read_exact(recipe_read_fn *read, void *arg, size_t i, int64_t off, void *data,
		      size_t len, dray_error **err) MUST_CHECK;
