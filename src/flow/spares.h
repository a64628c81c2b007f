/* SPDX-License-Identifier: Apache-2.0
 *
 * What every blob needs for a while, kept from one blob for the next: memory that goes back to
 * the system comes again page by page, which costs as much as a tenth of the compression in it.
 * A pool has one (pool_spares). Any thread may take and give.
 */
#pragma once

#include <stdint.h>
#include "base/cleanup.h"

/** First member of what is kept. */
struct spare {
	struct spare *next;		 /* of the list */
	uint64_t kind;			 /* of what has one free: equal where all that matters is */
	void (*free)(struct spare *s);
};

struct spares;
struct spares *spares_new(void);	/* NULL = no memory */
/** One of @p kind that @p free would free, as it was given; NULL = none, make one. */
struct spare *spares_take(struct spares *s, uint64_t kind, void (*free)(struct spare *s));
/** Takes @p one over, which may be NULL. So there are never more than were in use at once. */
void spares_give(struct spares *s, struct spare *one);
void spares_free(struct spares *s);	/* and all it holds; NULL is fine */
