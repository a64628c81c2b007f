/* SPDX-License-Identifier: Apache-2.0
 *
 * What stack.c and stack_feed.c share.
 */
#pragma once

#include "ops/stack.h"

/* Stored bytes that a forward walk kept in a temporary file. */
struct stack_passed {
	struct digest digest;
	int fd;
	int64_t size;
};

/* Part of a regular file. */
struct extent {
	int fd; /* lent; -1 = none */
	int64_t off, size;
};

/* One distinct layer. */
struct stack_read {
	size_t layer; /* the first of its kind */
	struct layer_index *index;
	bool shared; /* the index is another stack's */
	bool random;	     /* too much of it is read out of its order */
	int spool;	     /* the decoded tar, when it had to be kept; -1 */
	struct extent bytes; /* the decoded tar in a file, if it lies in one; fd -1 */
};

/**
 * The decoded tar of layer @p i, proven as it passes; *ret_file where it lies, if in a file. With
 * @p ahead on a thread of its own, that many bytes ahead of the reader.
 */
struct source *stack_open_tar(struct stack *s, size_t i, size_t ahead, struct extent *ret_file,
			      dray_error **err);
void stack_feeds_free(struct stack *s);
