/* SPDX-License-Identifier: Apache-2.0
 *
 * A bbolt database for reading: the file in which containerd, and so Docker 29, keeps names
 * (formats.md 7.4). Pages of a B+ tree; buckets hold keys in order with values or further buckets.
 *
 * What is read is the state that the newest transaction left. The owner of the file may go on
 * writing: it writes beside what that state is made of, until it begins a second transaction,
 * so bolt_unchanged() tells afterwards whether what was read is true. Nothing is locked.
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

#define BOLT_DEPTH 32 /* pages on the way to a key; a tree of this height holds 2^32 keys */

struct bolt {
	int fd; /* lent */
	int64_t size;
	uint64_t page_size;
	uint64_t root, txid; /* of the state that is read */
	uint64_t n_read;     /* bytes, against LIMIT_BOLT: a page that leads to itself ends there */
	struct arena arena;  /* all that spans point to */
};

/** A bucket is a page, or a page's content inside the page of its parent. */
struct bolt_bucket {
	uint64_t page; /* 0 = inlined */
	struct span inlined;
};

struct bolt_item {
	struct span key;
	struct span value;	   /* of a key with a value */
	bool is_bucket;
	struct bolt_bucket bucket; /* of a key with a bucket */
};

/** Where one is in a bucket. */
struct bolt_cursor {
	struct bolt *db;
	struct bolt_frame {
		struct span page;
		uint16_t i, n;
		bool leaf;
	} stack[BOLT_DEPTH];
	size_t depth;
};

/** FORMAT when it is none, UNSUPPORTED for another version or byte order. @p fd stays the caller's. */
int bolt_open(struct bolt *db, int fd, int64_t size, dray_error **err) MUST_CHECK;
void bolt_clear(struct bolt *db);
#define cleanup_bolt CLEANUP(bolt_clear)
/** 1 = all that was read is of one state; 0 = it may be mixed, read again; -1. */
int bolt_unchanged(const struct bolt *db, dray_error **err) MUST_CHECK;

static inline struct bolt_bucket bolt_top(const struct bolt *db)
{
	return (struct bolt_bucket){ .page = db->root };
}
/** Before the first item of @p bucket. FORMAT, LIMIT. */
int bolt_begin(struct bolt *db, const struct bolt_bucket *bucket, struct bolt_cursor *ret,
	       dray_error **err) MUST_CHECK;
/** 1 = *ret, valid until bolt_clear(); 0 = end, -1: FORMAT names the page. */
int bolt_next(struct bolt_cursor *c, struct bolt_item *ret, dray_error **err) MUST_CHECK;
/** The item of @p bucket under @p key: 1 = *ret, 0 = none, -1. */
int bolt_find(struct bolt *db, const struct bolt_bucket *bucket, const char *key,
	      struct bolt_item *ret, dray_error **err) MUST_CHECK;
