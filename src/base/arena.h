/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory with one lifetime and one free. Parsed documents live in one.
 * Built with -Darena=malloc every piece is its own allocation, so that
 * sanitizers see its edges.
 */
#pragma once

#include "base/span.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
};

void arena_clear(struct arena *a);
/** 16-aligned, zeroed; all of these return NULL when there is no memory. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
void *arena_array(struct arena *a, size_t n, size_t size) MUST_CHECK;
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_CHECK;
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/** A copy; data NULL = no memory. */
struct span arena_dup(struct arena *a, struct span bytes) MUST_CHECK;
