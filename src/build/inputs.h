/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image is made of before it is one: entries of sources, and where the bytes of their
 * files lie. All files lie one behind the other in a range of numbers of their own, so that
 * layer_entry.data_off says which one is meant.
 */
#pragma once

#include <sys/stat.h>

#include "layer/index.h"
#include "layer/write.h"

enum content_kind {
	CONTENT_FILE,	/* of the host */
	CONTENT_EXTENT, /* part of an open file of ours */
	CONTENT_BYTES,
};
struct content {
	enum content_kind kind;
	int64_t at, size; /* in the range; by inputs_add() */
	/* FILE: below this folder, or with AT_FDCWD as somebody typed it. */
	int dirfd;
	/* Lent. EXTENT: of somebody's file, which may change; NULL = one of ours without a name. */
	const char *path;
	struct stat seen; /* what it was when it was planned, or opened */
	/* EXTENT */
	int fd;
	int64_t off;
	/* BYTES; lent */
	const uint8_t *bytes;
};

struct inputs {
	struct arena arena; /* strings of entries, and whatever lives as long */
	struct content *list;
	size_t n, cap;
	int64_t end;
	struct content *empty; /* of the host; nobody will read them */
	size_t n_empty, cap_empty;
	/* the host's file that is being read */
	size_t open; /* which; SIZE_MAX = none */
	int fd;
	int dir; /* the folder it is in, kept for its neighbours */
	int dir_root;	      /* below which that is */
	const char *dir_path; /* the file for which it was opened; lent */
	int *fds; /* to be closed at the end */
	size_t n_fds, cap_fds;
};
#define INPUTS_INIT ((struct inputs){ .open = SIZE_MAX, .fd = -1, .dir = -1 })
void inputs_clear(struct inputs *in);
#define cleanup_inputs CLEANUP(inputs_clear)

/** One more file; *ret_at is its place in the range. */
int inputs_add(struct inputs *in, const struct content *c, int64_t *ret_at,
	       dray_error **err) MUST_CHECK;
/** The file at place @p at of the range, lent. */
const struct content *inputs_at(const struct inputs *in, int64_t at);
/** Close @p fd (taken over, also on failure) with @p in. */
int inputs_keep_fd(struct inputs *in, int fd, dray_error **err) MUST_CHECK;
/** CORRUPT when the open file is not what was @p seen of it. */
int inputs_check(int fd, const struct stat *seen, const char *path, dray_error **err) MUST_CHECK;
/** When all has been read: CORRUPT when a file without bytes has some now. */
int inputs_check_empty(struct inputs *in, dray_error **err) MUST_CHECK;
/**
 * The bytes of all of them. A file of the host that is not what it was, at its beginning or at its
 * end, is CORRUPT, and so is a tar at the end of each file.
 */
struct layer_feed inputs_feed(struct inputs *in);
/** All of what lies at @p at, of @p size bytes, through @p fn. */
int inputs_read(struct inputs *in, int64_t at, int64_t size,
		void (*fn)(void *arg, struct span bytes), void *arg, dray_error **err) MUST_CHECK;

/** One more entry, zeroed but for its path, which is lent, and its type. NULL = no memory. */
struct layer_entry *entries_add(struct layer_index *ix, const char *path, enum tar_type type,
				dray_error **err);
/** An empty index. */
struct layer_index *entries_new(dray_error **err);
