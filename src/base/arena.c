/* SPDX-License-Identifier: Apache-2.0
 *
 * For: many small pieces that live and die together.
 * Relies on: mem.h.
 * Promises: pieces are zeroed, 16-aligned and never move.
 */
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/mem.h"

#define ALIGN 16
#define FIRST_BLOCK ((size_t)1024)
#define LARGEST_BLOCK ((size_t)256 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(ALIGN) uint8_t data[];
};

void arena_clear(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b) {
		struct arena_block *next = b->next;
		mem_free(b);
		b = next;
	}
	a->blocks = NULL;
}

static struct arena_block *new_block(size_t size)
{
	size_t total;

	if (__builtin_add_overflow(sizeof(struct arena_block), size, &total))
		return NULL;
	struct arena_block *b = mem_zalloc(total);
	if (b)
		b->size = size;
	return b;
}

#ifdef ARENA_MALLOC

static void *alloc_piece(struct arena *a, size_t size)
{
	struct arena_block *b = new_block(size);

	if (!b)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	return b->data;
}

#else

/* Blocks double, so that small arenas stay small and large ones need few blocks. */
static struct arena_block *push_block(struct arena *a)
{
	size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;

	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	struct arena_block *b = new_block(size);
	if (!b)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

/* A large piece gets a block of its own behind the first, whose rest stays in use. */
static void *alloc_large(struct arena *a, size_t size)
{
	struct arena_block *head = a->blocks ? a->blocks : push_block(a);
	struct arena_block *b = head ? new_block(size) : NULL;

	if (!b)
		return NULL;
	b->used = size;
	b->next = head->next;
	head->next = b;
	return b->data;
}

static void *alloc_piece(struct arena *a, size_t size)
{
	if (size > FIRST_BLOCK / 2)
		return alloc_large(a, size);
	size = (size + ALIGN - 1) / ALIGN * ALIGN;

	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < size)
		b = push_block(a);
	if (!b)
		return NULL;
	void *piece = b->data + b->used;
	b->used += size;
	return piece;
}

#endif

void *arena_alloc(struct arena *a, size_t size)
{
	return alloc_piece(a, size ? size : 1);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = n ? strnlen(s, n) : 0; /* an empty span may have no data */
	char *copy = arena_alloc(a, len + 1);

	if (copy && len)
		memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	char *text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
	if (!text)
		return NULL;

	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}

struct span arena_dup(struct arena *a, struct span bytes)
{
	uint8_t *copy = arena_alloc(a, bytes.len);

	if (!copy)
		return span_of(NULL, 0);
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	return span_of(copy, bytes.len);
}
