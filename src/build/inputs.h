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
/** What tells that a file is the one that was planned, of its struct stat; its size is told beside. */
struct seen {
	uint64_t dev, ino;
	int64_t mtime, ctime;
	uint32_t mtime_nsec, ctime_nsec;
};
/** One for each file of a build: kept small. */
struct content {
	int64_t at, size; /* in the range; by inputs_add() */
	/* Lent. EXTENT: of somebody's file, which may change; NULL = one of ours without a name. */
	const char *path;
	union {
		int64_t off;	      /* EXTENT */
		const uint8_t *bytes; /* BYTES; lent */
	};
	union {
		int dirfd; /* FILE: path is below this folder, or with AT_FDCWD as somebody typed it */
		int fd;	   /* EXTENT */
	};
	enum content_kind kind;
	struct seen seen; /* when it was planned, or opened */
};

/** Where one reader of the range is: the host's file that it reads. */
struct inputs_place {
	size_t open; /* which; SIZE_MAX = none */
	int fd;
	int dir;	      /* the folder it is in, kept for its neighbours */
	int dir_root;	      /* below which that is */
	const char *dir_path; /* the file for which it was opened; lent */
};
#define INPUTS_PLACE_INIT { .open = SIZE_MAX, .fd = -1, .dir = -1 }

struct inputs {
	struct arena arena; /* strings of entries, and whatever lives as long */
	struct content *list;
	size_t n, cap;
	int64_t end;
	struct content *empty; /* of the host; nobody will read them */
	size_t n_empty, cap_empty;
	struct inputs_place place; /* of inputs_feed() */
	int *fds; /* to be closed at the end */
	size_t n_fds, cap_fds;
};
#define INPUTS_INIT ((struct inputs){ .place = INPUTS_PLACE_INIT })
void inputs_clear(struct inputs *in);
#define cleanup_inputs CLEANUP(inputs_clear)

struct seen seen_of(const struct stat *st);
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
/** A reader of its own, beside others on other threads, once nothing is added any more. */
struct inputs_reader {
	const struct inputs *in;
	struct inputs_place place;
};
#define INPUTS_READER_INIT(inputs) { .in = (inputs), .place = INPUTS_PLACE_INIT }
void inputs_reader_clear(struct inputs_reader *r);
#define cleanup_inputs_reader CLEANUP(inputs_reader_clear)
struct layer_feed inputs_reader_feed(struct inputs_reader *r);
/** All of what lies at @p at, of @p size bytes, through @p fn. */
int inputs_read(struct inputs *in, int64_t at, int64_t size,
		void (*fn)(void *arg, struct span bytes), void *arg, dray_error **err) MUST_CHECK;

/** One more entry, zeroed but for its path, which is lent, and its type. NULL = no memory. */
struct layer_entry *entries_add(struct layer_index *ix, const char *path, enum tar_type type,
				dray_error **err);
/** An empty index. */
struct layer_index *entries_new(dray_error **err);
