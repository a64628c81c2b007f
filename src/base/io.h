/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls, each through a counted door (fault.h), EINTR handled, errors
 * translated. Descriptors are O_CLOEXEC. Paths are relative to a directory fd.
 */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include "base/arena.h"
#include "base/span.h"

/** As openat(2) with O_CLOEXEC; -1 sets SYSTEM, or NOT_FOUND for ENOENT and ENOTDIR. */
int io_openat(int dirfd, const char *path, int flags, mode_t mode, dray_error **err) MUST_CHECK;
/** Up to @p len bytes; 0 = end. */
int64_t io_read(int fd, void *data, size_t len, dray_error **err) MUST_CHECK;
int64_t io_pread(int fd, void *data, size_t len, int64_t off, dray_error **err) MUST_CHECK;
/** All of it. */
int io_write_all(int fd, struct span bytes, dray_error **err) MUST_CHECK;
int io_pwrite_all(int fd, struct span bytes, int64_t off, dray_error **err) MUST_CHECK;
/**
 * Copy an extent to @p out at its file position, with copy_file_range(2) or by reading
 * and writing. Too short an input is CORRUPT.
 */
int io_copy_range(int in, int64_t off, int64_t len, int out, dray_error **err) MUST_CHECK;
/**
 * Begin to write to the disk what @p fd holds from byte *@p begun on: called as a big file grows,
 * so that the fsync at its end finds little to do. @p end is how far it has grown; nothing is done
 * before that is some MiB more than *@p begun, first 0. Errors are left for the fsync.
 */
void io_writeback(int fd, int64_t *begun, int64_t end);
/**
 * Nobody reads bytes @p off to @p end of a file any more: the whole pages among them may go, from disk
 * and memory, and are zeros then. Few bytes stay, and so do all where the file system can't.
 */
void io_let_go(int fd, int64_t off, int64_t end);
/** What has nothing to sync (a pipe, /dev/null) is success; any other failure counts (G-03). */
int io_fsync(int fd, dray_error **err) MUST_CHECK;
/** close(2) of a file that was written: its error counts (G-03). Consumes @p fd. */
int io_close(int fd, dray_error **err) MUST_CHECK;
int io_fstat(int fd, struct stat *ret, dray_error **err) MUST_CHECK;
/** As fstatat(2); nothing there is NOT_FOUND. */
int io_fstatat(int dirfd, const char *path, int flags, struct stat *ret,
	       dray_error **err) MUST_CHECK;
/** The text of a symbolic link, appended to @p ret; @p path "" is @p dirfd itself (O_PATH). */
int io_readlinkat(int dirfd, const char *path, struct buf *ret, dray_error **err) MUST_CHECK;
/** The absolute name of what @p path leads to, with no symbolic link in it; to be freed. */
char *io_realpath(const char *path, dray_error **err) MUST_CHECK;
/** Whether the file position of @p fd is 0; false for what has none. */
bool io_at_start(int fd);
/** Does the next write make a regular file longer, from byte *@p ret on? Not where all append to it. */
bool io_at_end(int fd, int64_t *ret);
/** Cut the file to @p pos bytes and write on from there. */
int io_restart(int fd, int64_t pos, dray_error **err) MUST_CHECK;
int io_fchmod(int fd, mode_t mode, dray_error **err) MUST_CHECK;
int io_mkdirat(int dirfd, const char *path, mode_t mode, bool exist_ok,
	       dray_error **err) MUST_CHECK;
/** With @p no_replace an existing @p to is SYSTEM with EEXIST. */
int io_renameat(int dirfd, const char *from, const char *to, bool no_replace,
		dray_error **err) MUST_CHECK;
/** Two names change places at once; SYSTEM with EINVAL where the file system cannot. */
int io_exchangeat(int dirfd, const char *a, const char *b, dray_error **err) MUST_CHECK;
/** ENOENT is success. */
int io_unlinkat(int dirfd, const char *path, dray_error **err) MUST_CHECK;
int io_ftruncate(int fd, int64_t size, dray_error **err) MUST_CHECK;
/** rmdir(2); ENOENT is success. */
int io_rmdirat(int dirfd, const char *path, dray_error **err) MUST_CHECK;
int io_dir_empty(int dirfd, bool *ret, dray_error **err) MUST_CHECK;
/**
 * A file that has no name, or loses it when the caller returns, below @p dir; NULL = TMPDIR
 * where that is absolute, else /var/tmp.
 */
int io_tempfile(const char *dir, dray_error **err) MUST_CHECK;
/** flock(2). 1 = held, 0 = someone else holds it (only with LOCK_NB), -1. */
int io_flock(int fd, int operation, dray_error **err) MUST_CHECK;
/** Everything written to the file system of @p fd is on the disk; its errors are final (G-03). */
int io_syncfs(int fd, dray_error **err) MUST_CHECK;
/** Bytes that the file system of @p fd has left; INT64_MAX where it does not say. */
int io_space(int fd, int64_t *ret, dray_error **err) MUST_CHECK;
/**
 * For a TCP socket whose other end is on this machine, as soon as that is known. Between such ends
 * is no road that could be congested. What paces (BBR, the default of many) waits for its timers
 * all the same, and takes twice the time of the copying (docs/benchmarks.md, "Serving"). Reno does not, is in every kernel
 * and open to everybody; where it cannot be had, all stays as it is.
 */
void io_unpace(int fd);

/* ---- names of every kind, for who writes trees; symbolic links are never followed ---- */

int io_symlinkat(const char *text, int dirfd, const char *path, dray_error **err) MUST_CHECK;
int io_linkat(int from_dir, const char *from, int to_dir, const char *to,
	      dray_error **err) MUST_CHECK;
/** As mknod(2): a fifo or a device. */
int io_mknodat(int dirfd, const char *path, mode_t mode, unsigned major, unsigned minor,
	       dray_error **err) MUST_CHECK;
/** @p path "" is @p dirfd itself, in these three. */
int io_chownat(int dirfd, const char *path, uid_t uid, gid_t gid, dray_error **err) MUST_CHECK;
int io_chmodat(int dirfd, const char *path, mode_t mode, dray_error **err) MUST_CHECK;
/** The time of modification; the time of access stays. */
int io_utimeat(int dirfd, const char *path, int64_t mtime, uint32_t nsec,
	       dray_error **err) MUST_CHECK;
/** As lsetxattr(2); of what is no open file by way of /proc. @p path "" is @p dirfd itself. */
int io_setxattrat(int dirfd, const char *path, const char *name, struct span value,
		  dray_error **err) MUST_CHECK;
/** As io_renameat(), from folder to folder. */
int io_moveat(int from_dir, const char *from, int to_dir, const char *to, bool no_replace,
	      dray_error **err) MUST_CHECK;
/**
 * Open the folder @p path below @p dirfd, of any length, with no symbolic link, no ".." and no
 * leading '/' in it: whatever lies there, the result is below @p dirfd.
 */
int io_open_beneath(int dirfd, const char *path, dray_error **err) MUST_CHECK;
/**
 * Call @p each for every name in the folder @p dirfd but "." and "..", in the order of the file
 * system, until it fails.
 */
int io_each_name(int dirfd, int (*each)(void *arg, const char *name, dray_error **err), void *arg,
		 dray_error **err) MUST_CHECK;
/**
 * Remove a folder of ours with all that is in it, however deep: no memory, no path and no
 * descriptor per level. Nothing there is success.
 */
int io_remove_tree(int dirfd, const char *name, dray_error **err) MUST_CHECK;

/* ---- looking at trees; the last part of a path is not followed ---- */

/** Zeroed is empty. */
struct io_names {
	struct arena arena;
	const char **list;
	size_t n, cap;
};
/** The names in @p dirfd but "." and "..", by their bytes. */
int io_list(int dirfd, struct io_names *ret, dray_error **err) MUST_CHECK;
void io_names_clear(struct io_names *l);
#define cleanup_io_names CLEANUP(io_names_clear)
/** The names of extended attributes, each with a NUL, appended; none where there are none. */
int io_list_xattrs(int dirfd, const char *path, struct buf *ret, dray_error **err) MUST_CHECK;
/** The value of one, appended: 1, 0 = it has none, -1. */
int io_get_xattr(int dirfd, const char *path, const char *name, struct buf *ret,
		 dray_error **err) MUST_CHECK;

/**
 * Whole small file into *ret, whose bytes and max are replaced; over @p max is LIMIT.
 * Never waits for a fifo's writer.
 */
int io_read_file(int dirfd, const char *path, size_t max, struct buf *ret,
		 dray_error **err) MUST_CHECK;
/** Monotonic clock in milliseconds. */
int64_t io_now_ms(void);
int io_random(void *data, size_t len, dray_error **err) MUST_CHECK;

/**
 * An output file that appears whole or not at all: a 0600 temp of random name in
 * the same folder, fsync, rename, fsync of the folder (reliability G-01). A target
 * that is no regular file (/dev/null, a fifo, /dev/stdout) is written directly.
 */
#define OUTFILE_PARTIAL_MARK ".dray-partial"
struct outfile {
	int dirfd;	/* the folder, owned; -1 when written directly */
	int fd;		/* write here; owned */
	char *temp;	/* its name in dirfd; NULL once committed or when written directly */
	char *name;	/* final name in dirfd */
	bool no_clobber;
	mode_t mode;	/* of the final file */
	int slot;	/* in the table that outfile_unlink_all() walks; -1 = none */
	int hold;	/* keeps the temp locked until outfile_clear(), also when fd is closed */
};
#define OUTFILE_INIT ((struct outfile){ .dirfd = -1, .fd = -1, .slot = -1, .hold = -1 })

/**
 * Begin @p path (relative to @p dirfd or absolute) in *o, which is OUTFILE_INIT.
 * Mode of the final file: 0666 & ~umask, or that of the file it replaces. With
 * @p no_clobber an existing file is USAGE, now or at commit. A symbolic link is
 * replaced, not followed, unless it leads to something that is no regular file.
 * A folder that is missing is SYSTEM: nobody asked for something to be found.
 */
int outfile_begin(struct outfile *o, int dirfd, const char *path, bool no_clobber,
		  dray_error **err) MUST_CHECK;
/**
 * As outfile_begin() for a file that is not there yet and whose content its name tells: the
 * temp has a fixed name, and what a killed run wrote to it is still in it; *ret_have says how
 * many bytes. Writes go to the end (O_APPEND). Best effort: 1 = ours, 0 = take an ordinary
 * temp (another process writes it, or it cannot be had or locked), -1 = NOMEM.
 */
int outfile_begin_partial(struct outfile *o, int dirfd, const char *path, int64_t *ret_have,
			  dray_error **err) MUST_CHECK;
/** From here on outfile_clear() leaves the temp where it is: for the next run, or renamed. */
void outfile_keep(struct outfile *o);
/** fsync, rename over the final name, fsync of the folder. */
int outfile_commit(struct outfile *o, dray_error **err) MUST_CHECK;
/**
 * Remove the temps that a killed run left in @p folder (G-02): files of our pattern that
 * no living process holds. Those of outfile_begin_partial() stay for OUTFILE_PARTIAL_DAYS
 * after their last byte, unless the file itself is there by now. Best effort, says nothing.
 */
#define OUTFILE_PARTIAL_DAYS 7
void outfile_sweep(int dirfd, const char *folder);
/** The same beside @p o, for its temp is locked: what begins an output that users name. */
void outfile_tidy(const struct outfile *o);
/** Discard unless committed; frees. NULL-safe, leaves errno alone. */
void outfile_clear(struct outfile *o);
#define cleanup_outfile CLEANUP(outfile_clear)

/** Remove the temps of every open outfile: a signal handler's last step; async-signal-safe. */
void outfile_unlink_all(void);
