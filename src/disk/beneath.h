/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an engine's folder that anybody may have planted things in, and that the engine may
 * be changing: every path is opened below a folder that is open, no symbolic link on it is
 * followed, nothing but regular files is read, and nothing makes us wait.
 */
#pragma once

#include <sys/stat.h>
#include "base/arena.h"
#include "base/span.h"

/** Names in a folder, sorted by their bytes; in the arena they were asked into. */
struct names {
	const char **list;
	size_t n, cap;
};
void names_clear(struct names *n);
#define cleanup_names CLEANUP(names_clear)

/**
 * *err of an open below: a symbolic link in the way or a socket is FORMAT, no trouble of this
 * machine.
 * Returns -1.
 */
int beneath_failed(dray_error **err);
/** All but "." and ".."; an absent folder has none. LIMIT over LIMIT_DISK_NAMES. */
int beneath_list(int root, const char *path, struct arena *a, struct names *ret,
		 dray_error **err) MUST_CHECK;
/** lstat; 1 = there, 0 = not, -1. */
int beneath_stat(int root, const char *path, struct stat *ret, dray_error **err) MUST_CHECK;
/** 1 = a folder is there, 0 = not, -1. */
int beneath_is_dir(int root, const char *path, dray_error **err) MUST_CHECK;
/** A regular file to read; NOT_FOUND, and FORMAT for anything else. */
int beneath_open(int root, const char *path, struct stat *ret, dray_error **err) MUST_CHECK;
/** All of a small regular file, appended to @p ret, whose max applies. *ret_mtime may be NULL. */
int beneath_read(int root, const char *path, struct buf *ret, struct timespec *ret_mtime,
		 dray_error **err) MUST_CHECK;
/**
 * The same as one line of text in @p a, without its end; NULL in *ret when it is absent.
 */
int beneath_line(int root, const char *path, struct arena *a, const char **ret,
		 dray_error **err) MUST_CHECK;
