/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the one door to the allocator.
 * Relies on: malloc(3) and the counted door of fault.h.
 * Promises: NULL instead of a wrapped size; never NULL for a size of 0.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "base/mem.h"

static bool refused(void)
{
	if (!fault_hit(FAULT_ALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *mem_alloc(size_t size)
{
	return refused() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t size)
{
	return refused() ? NULL : calloc(1, size ? size : 1);
}

void *mem_alloc_array(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return mem_alloc(total);
}

void *mem_realloc(void *p, size_t size)
{
	return refused() ? NULL : realloc(p, size ? size : 1);
}

void *mem_realloc_array(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return mem_realloc(p, total);
}

void *mem_dup(const void *p, size_t size)
{
	void *copy = mem_alloc(size);

	if (copy && size)
		memcpy(copy, p, size);
	return copy;
}

char *mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s) + 1);
}

char *mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = '\0';
	}
	return copy;
}

char *mem_vprintf(const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return NULL;

	char *text = mem_alloc((size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, fmt, args);
	return text;
}

char *mem_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	char *text = mem_vprintf(fmt, args);
	va_end(args);
	return text;
}

void mem_free(void *p)
{
	int saved = errno;

	free(p);
	errno = saved;
}

int mem_grow(void *p, size_t n, size_t *cap, size_t size)
{
	void *old;
	size_t more;

	if (n < *cap)
		return 0;
	if (__builtin_mul_overflow(*cap, (size_t)2, &more))
		return -1;
	if (more < 8)
		more = 8;
	/* The slot may be of any pointer type: copying its bytes breaks no aliasing rule. */
	memcpy(&old, p, sizeof(old));
	void *grown = mem_realloc_array(old, more, size);
	if (!grown)
		return -1;
	memcpy(p, &grown, sizeof(grown));
	*cap = more;
	return 0;
}

void cleanup_free_fn(void *slot)
{
	void *p;

	memcpy(&p, slot, sizeof(p));
	mem_free(p);
}
