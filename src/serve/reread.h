/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a file looks other than it did, for those that are read again while a server runs.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/** Zeroed but for the path, which is lent: never looked at. */
struct reread {
	const char *path;
	bool there; /* when it was looked at last; then the rest is what it looked like */
	bool told;  /* that it is not there */
	bool lacked; /* memory or descriptors, to read it; said, and there is false */
	uint64_t dev, ino;
	int64_t size, mtime_ns, ctime_ns;
};

/**
 * Look: 1 = it changed, read it now; 0 = it did not; -1 = it cannot be looked at, said once. What
 * changes from here on is found the next time, so what is read may be newer, and never older.
 */
int reread_look(struct reread *f, dray_error **err) MUST_CHECK;
/**
 * What changed could not be read, or not be used: *err says why, NULL = nobody asks. Where memory
 * or descriptors were short the next look tells of the change again, so that it is not lost. -1, or
 * 0 with *err freed where that was said for the same change before.
 */
int reread_failed(struct reread *f, dray_error **err) MUST_CHECK;
/** Whether @p errnum says so. */
bool reread_is_shortage(int errnum);
