/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel was told to do to a folder, and the disks that a power cut may leave of it.
 *
 * The recorder hears of every call that changes files below the folder: dray's own, for the linker
 * prefers this program's functions of those names, and SQLite's. A disk is promised no more
 * than POSIX promises: what was synced, a file's bytes by a sync of the file, its name by a sync of
 * the folder. Everything else may be there or not, each write and each name for itself, in
 * sectors. (Journals of real file systems promise more.)
 */
#pragma once

#include "support.h"

/** The folder's call number @p n was made when this many were acknowledged, and so on. */
struct disk_op {
	enum {
		DISK_WRITE,    /* bytes at off */
		DISK_SIZE,     /* of a file: off */
		DISK_NAME,     /* of target, or of nothing (-1), in a folder */
		DISK_SYNC,
		DISK_ACK,      /* somebody was told; off counts them */
	} kind;
	int node;	/* whose; files and folders count from 0, the folder itself */
	int target;
	int64_t off;
	struct buf bytes;	/* of a write; of a name, with its NUL */
	size_t synced;		/* number of the next DISK_SYNC of the node; SIZE_MAX = none */
};

/** From here on, what happens below @p dir. */
void disk_record(const char *dir);
/** Somebody is told that what was done is done. */
void disk_acknowledge(void);
/** That was all. */
void disk_record_end(void);

size_t disk_ops(void);
const struct disk_op *disk_op(size_t i);

/** What becomes of a call that was not synced when the power went. */
enum disk_fate {
	DISK_LOST,
	DISK_KEPT,
	DISK_TORN,   /* of a write the first sectors */
	DISK_ZEROED, /* of a write its length, and no byte */
};
typedef enum disk_fate disk_fate_fn(void *arg, const struct disk_op *op);

/** The disk after the first @p n calls, made below the empty folder @p dir. */
void disk_make(int dir, size_t n, disk_fate_fn *fate, void *arg);
