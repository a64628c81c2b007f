/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls, each through a counted door (fault.h), EINTR handled, errors
 * translated. Descriptors are O_CLOEXEC. Paths are relative to a directory fd.
 */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include "base/span.h"

/** As openat(2) with O_CLOEXEC; -1 sets SYSTEM, or NOT_FOUND for ENOENT/ENOTDIR. @p what names the file in the error. */
int io_openat(int dirfd, const char *path, int flags, mode_t mode, dray_error **err) MUST_CHECK;
/** Up to @p len bytes; 0 = end. */
int64_t io_read(int fd, void *data, size_t len, dray_error **err) MUST_CHECK;
int64_t io_pread(int fd, void *data, size_t len, int64_t off, dray_error **err) MUST_CHECK;
/** All of it. */
int io_write_all(int fd, struct span bytes, dray_error **err) MUST_CHECK;
int io_pwrite_all(int fd, struct span bytes, int64_t off, dray_error **err) MUST_CHECK;
/** Copy an extent into @p out at its file position with copy_file_range, else read and write. */
int io_copy_range(int in, int64_t off, int64_t len, int out, dray_error **err) MUST_CHECK;
int io_fsync(int fd, dray_error **err) MUST_CHECK;
/** close(2) of a file that was written: its error counts (G-03). Consumes @p fd. */
int io_close(int fd, dray_error **err) MUST_CHECK;
int io_fstat(int fd, struct stat *ret, dray_error **err) MUST_CHECK;
int io_mkdirat(int dirfd, const char *path, mode_t mode, bool exist_ok, dray_error **err) MUST_CHECK;
int io_renameat(int dirfd, const char *from, const char *to, bool no_replace, dray_error **err) MUST_CHECK;
int io_unlinkat(int dirfd, const char *path, dray_error **err) MUST_CHECK;	/* ENOENT is success */
/** Whole small file; over @p max is LIMIT. */
int io_read_file(int dirfd, const char *path, size_t max, struct buf *ret, dray_error **err) MUST_CHECK;
/** Monotonic clock in milliseconds. */
int64_t io_now_ms(void);
int io_random(void *data, size_t len, dray_error **err) MUST_CHECK;

/**
 * An output file that appears whole or not at all: a 0600 temp of random name in
 * the same folder, fsync, rename, fsync of the folder (reliability G-01).
 */
struct outfile {
	int dirfd;	/* the folder, owned */
	int fd;		/* write here; owned */
	char *temp;	/* name of the temp in dirfd; NULL once committed */
	char *name;	/* final name in dirfd */
	bool no_clobber;
};
#define OUTFILE_INIT ((struct outfile){ .dirfd = -1, .fd = -1 })

/** Begin @p path (relative to @p dirfd or absolute). Mode of the final file: 0666 & ~umask, or that of the file it replaces. */
int outfile_begin(struct outfile *o, int dirfd, const char *path, bool no_clobber, dray_error **err) MUST_CHECK;
/** fsync, rename over the final name. */
int outfile_commit(struct outfile *o, dray_error **err) MUST_CHECK;
/** Discard unless committed; frees. NULL-safe, leaves errno alone. */
void outfile_clear(struct outfile *o);
#define cleanup_outfile CLEANUP(outfile_clear)

/** Remove the temps of every outfile still open: for signal handlers' last step (async-signal-safe). */
void outfile_unlink_all(void);
