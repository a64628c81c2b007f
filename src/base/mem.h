/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to the allocator. Tests make the n-th call fail (see fault.h).
 * All return NULL on failure; sizes are checked for overflow.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include "base/cleanup.h"

void *mem_alloc(size_t size) MUST_CHECK;
void *mem_zalloc(size_t size) MUST_CHECK;
void *mem_alloc_array(size_t n, size_t size) MUST_CHECK;
void *mem_realloc(void *p, size_t size) MUST_CHECK;
void *mem_realloc_array(void *p, size_t n, size_t size) MUST_CHECK;
void *mem_dup(const void *p, size_t size) MUST_CHECK;
char *mem_strdup(const char *s) MUST_CHECK;
char *mem_strndup(const char *s, size_t n) MUST_CHECK;
/** sprintf into new memory; NULL when out of memory. */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_CHECK;
char *mem_vprintf(const char *fmt, va_list args) PRINTF_LIKE(1, 0) MUST_CHECK;
void mem_free(void *p);

/** Make room for one more element: *p has *cap elements of @p size, @p n in use. 0 or -1. */
int mem_grow(void *p, size_t n, size_t *cap, size_t size) MUST_CHECK;
