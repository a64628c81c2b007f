/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushing bytes. Without sink_finish() everything is discarded.
 */
#pragma once

#include "flow/source.h"

struct sink;
struct sink_ops {
	int (*write)(struct sink *k, struct span bytes, dray_error **err);
	/** Optional: flush, check, commit. Called at most once. */
	int (*finish)(struct sink *k, dray_error **err);
	/** Optional: take an extent of a file without it passing through memory. */
	int (*splice)(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err);
	void (*free)(struct sink *k);	/* discards unless finished */
};
struct sink {
	const struct sink_ops *ops;
	int64_t pos;	/* bytes taken so far */
	bool failed;
	bool finished;
	bool lasting;	/* set by whoever made it: see io_writeback(); for the kinds with a file */
	int64_t begun;	/* of io_writeback() */
	int64_t start;	/* in a file, for sink_restart() */
};

int sink_write(struct sink *k, struct span bytes, dray_error **err) MUST_CHECK;
/** Write @p len bytes at @p off of a regular file; by ops.splice where there is one. */
int sink_splice(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err) MUST_CHECK;
int sink_finish(struct sink *k, dray_error **err) MUST_CHECK;
void sink_free(struct sink *k);
static inline void cleanup_sink_fn(struct sink **k)
{
	sink_free(*k);
}
#define cleanup_sink CLEANUP(cleanup_sink_fn)

/** @p b is lent. */
struct sink *sink_to_buf(struct buf *b, dray_error **err);
/** Not atomic: a pipe, stdout, somebody's temp. Closed when @p own. */
struct sink *sink_to_fd(int fd, bool own, dray_error **err);
/**
 * Into a regular file from byte @p off on, with pwrite(2): many may share one fd, which is
 * lent. More than @p max bytes are refused with LIMIT and none of the piece is written.
 */
struct sink *sink_to_extent(int fd, int64_t off, int64_t max, dray_error **err);
/** As struct outfile: committed by sink_finish(). */
struct sink *sink_to_file(int dirfd, const char *path, bool no_clobber, dray_error **err);
/**
 * Before the first byte: may all that will be written be taken back? In a file that appears whole, and
 * in one behind a descriptor that only becomes longer.
 */
bool sink_can_restart(struct sink *k);
/** Then: nothing was written. */
int sink_restart(struct sink *k, dray_error **err) MUST_CHECK;
struct sink *sink_null(dray_error **err);
/** All that @p s still has into @p k, which is not finished; both are lent. Bytes moved, -1. */
int64_t pump(struct source *s, struct sink *k, dray_error **err) MUST_CHECK;

/**
 * What is written is read by @p read as @p copy (lent), on a thread of its own, up to @p ahead bytes
 * behind. sink_finish() is its end, waits for it and returns its answer; a write fails with that, too,
 * once it has given up, and one that was content takes no more. When the sink is freed before, @p copy
 * and what looks at the cancel flag fail with CANCELLED; it is over when that returns.
 */
struct sink *sink_read_by(branch_fn *read, void *arg, size_t ahead, dray_error **err);
