/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a bbolt database: all of it can be walked, buckets in buckets, or it is refused, and
 * what a walk lists bolt_find() finds.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "disk/bolt.h"

#define WALK_MAX 10000 /* items: a small file may say that it has a great many */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bucket in each bucket, down to the last one. */
static void walk(struct bolt *db)
{
	struct bolt_bucket at = bolt_top(db), below = at;
	size_t n = 0;

	for (bool more = true; more; at = below) {
		struct bolt_cursor c;
		struct bolt_item item;

		more = false;
		if (bolt_begin(db, &at, &c, NULL) < 0)
			return;
		while (n++ < WALK_MAX && bolt_next(&c, &item, NULL) > 0) {
			if (item.is_bucket && !more) {
				below = item.bucket;
				more = true;
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bolt_item item;
	struct bolt db;
	int fd = memfd_create("bolt", MFD_CLOEXEC);

	assert(fd >= 0 && io_write_all(fd, span_of(data, size), NULL) == 0);
	if (bolt_open(&db, fd, (int64_t)size, NULL) == 0) {
		struct bolt_bucket top = bolt_top(&db);

		walk(&db);
		if (bolt_find(&db, &top, "v1", &item, NULL) > 0)
			assert(span_is(item.key, "v1"));
		assert(bolt_unchanged(&db, NULL) == 1);
		bolt_clear(&db);
	}
	close(fd);
	return 0;
}
