/* SPDX-License-Identifier: Apache-2.0
 *
 * Ownership visible where it is declared: cleanup attributes and hand-over.
 */
#pragma once

#include <stddef.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void cleanup_free_fn(void *slot);
void cleanup_fd_fn(int *fd);

#define cleanup_free CLEANUP(cleanup_free_fn)
#define cleanup_fd CLEANUP(cleanup_fd_fn)

/** Define the cleanup function @p name for pointers freed by @p free_fn. */
#define DEFINE_CLEANUP(type, name, free_fn)                                                        \
	static inline void name(type **slot)                                                       \
	{                                                                                          \
		free_fn(*slot);                                                                    \
	}

static inline void *steal_pointer_fn(void *slot)
{
	void **p = (void **)slot;
	void *v = *p;

	*p = NULL;
	return v;
}

/** Hand over what @p slot owns: the value leaves, NULL stays. */
#define steal_pointer(slot) ((__typeof__(*(slot)))steal_pointer_fn(slot))

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}
